/* batch_layer/recompute_plan.h -- which blocks a recompute reads, and who reads them.
 *
 * Path of an event: archive -> [recompute_plan: blocks of the cut, checked] -> recompute's threads.
 *
 * Thread: made by one thread; tly_recompute_plan_take may be called by any. */
#ifndef TLY_BATCH_RECOMPUTE_PLAN_H
#define TLY_BATCH_RECOMPUTE_PLAN_H

#include <pthread.h>

#include "common/archive/archive_reader.h"

struct tly_planned_block {
  uint32_t stream; /* number in the project */
  struct tly_block_ref ref;
};

/* Blocks first .. end - 1 that one thread reads in order; others take from their end when they have nothing else to do.
 */
struct tly_plan_share {
  uint32_t first, end;
};

struct tly_recompute_plan {
  struct tly_planned_block *blocks; /* by stream, partition, offset */
  uint32_t block_count, block_capacity;
  uint64_t events;
  uint64_t *stream_events; /* one a stream of the project */
  struct tly_plan_share *shares;
  uint32_t share_count;
  pthread_mutex_t mutex; /* guards the shares */
};

/* List the blocks of generations <= cut of the streams with wanted[s], and check that they are what the cut says: they
 * tile, begin at an empty chain, and end at the cut's offset and chain hash. */
TLY_CHECK enum tly_status tly_recompute_plan_init(struct tly_recompute_plan *plan, tly_archive_reader *reader,
                                                  const struct tly_project *project, const struct tly_cut *cut,
                                                  const bool *wanted, uint32_t threads, struct tly_error *error);
void tly_recompute_plan_free(struct tly_recompute_plan *plan);
/* The next block for `thread`, or NULL when there is none left. */
const struct tly_planned_block *tly_recompute_plan_take(struct tly_recompute_plan *plan, uint32_t thread);

#endif
