/* batch_layer/recompute_plan.h -- which blocks a recompute reads, and who reads them.
 *
 * Path of an event: archive -> [recompute_plan: blocks of the cut, checked] -> recompute's threads.
 *
 * Thread: made by one thread; tly_recompute_plan_take may be called by any. */
#ifndef TLY_BATCH_RECOMPUTE_PLAN_H
#define TLY_BATCH_RECOMPUTE_PLAN_H

#include <pthread.h>

#include "common/archive/archive_reader.h"
#include "common/base/limits.h"

struct tly_planned_block {
  uint32_t stream; /* number in the project */
  struct tly_block_ref ref;
  bool is_needed;                       /* some view has to fold it */
  uint64_t covered[TLY_VIEWS_MAX / 64]; /* a bit a view of the run: it has these events already (recompute_reuse.h) */
};

/* Whether the view (its number in the run) has the block's events already. */
bool tly_planned_block_is_covered(const struct tly_planned_block *block, uint32_t view);
void tly_planned_block_cover(struct tly_planned_block *block, uint32_t view);

/* Blocks first .. end - 1 that one thread reads in order; others take from their end when they have nothing else to do.
 */
struct tly_plan_share {
  uint32_t first, end;
};

struct tly_recompute_plan {
  struct tly_planned_block *blocks; /* by stream, partition, offset */
  uint32_t block_count, block_capacity;
  uint64_t events;         /* of the blocks that were shared out */
  uint64_t *stream_events; /* one a stream of the project: of all blocks that were listed */
  struct tly_plan_share *shares;
  uint32_t share_count;
  pthread_mutex_t mutex; /* guards the shares */
};

/* Where a list begins: the positions of an earlier cut. None: at the archive's beginning. */
struct tly_plan_start {
  const struct tly_position *positions;
  uint32_t position_count;
};

/* List the blocks of generations <= cut of the streams with wanted[s], from starts[s] on, and check that they are what
 * the cut says: they tile, begin with the start's chain hash (an empty chain without one), and end at the cut's offset
 * and chain hash. They are yet to be shared out. */
TLY_CHECK enum tly_status tly_recompute_plan_init(struct tly_recompute_plan *plan, tly_archive_reader *reader,
                                                  const struct tly_project *project, const struct tly_cut *cut,
                                                  const bool *wanted, const struct tly_plan_start *starts,
                                                  struct tly_error *error);
/* Where a block of this stream and partition that begins at `offset` stands, or would stand, in `blocks`. Before the
 * list is shared out. */
uint32_t tly_recompute_plan_find(const struct tly_recompute_plan *plan, uint32_t stream, uint32_t partition,
                                 int64_t offset);
/* Forget the blocks that are not needed, and divide the others among `threads`. Once. */
void tly_recompute_plan_share_out(struct tly_recompute_plan *plan, uint32_t threads);
void tly_recompute_plan_free(struct tly_recompute_plan *plan);
/* The next block for `thread`, or NULL when there is none left. */
const struct tly_planned_block *tly_recompute_plan_take(struct tly_recompute_plan *plan, uint32_t thread);

#endif
