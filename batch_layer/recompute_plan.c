/* Each thread gets a contiguous share of the log. Events near each other in the log tend to fall into the same groups
 * (the same hour, the same sensor), so contiguous shares make each thread's table smaller and the tables overlap less
 * than dealing blocks out in turn would. Who is done with its share takes blocks from the end of the largest one left.
 */
#include "batch_layer/recompute_plan.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { BLOCKS_AT_A_TIME = 4096 };

bool tly_planned_block_is_covered(const struct tly_planned_block *block, uint32_t view) {
  return block->covered[view / 64] >> view % 64 & 1;
}

void tly_planned_block_cover(struct tly_planned_block *block, uint32_t view) {
  TLY_ASSERT(!tly_planned_block_is_covered(block, view));
  block->covered[view / 64] |= (uint64_t)1 << view % 64;
}

static void add_block(struct tly_recompute_plan *plan, uint32_t stream, const struct tly_block_ref *ref) {
  if (plan->block_count == plan->block_capacity) {
    plan->block_capacity = plan->block_capacity == 0 ? 256 : 2 * plan->block_capacity;
    plan->blocks = tly_realloc_array(plan->blocks, plan->block_capacity, sizeof *plan->blocks);
  }
  plan->blocks[plan->block_count++] = (struct tly_planned_block){.stream = stream, .ref = *ref, .is_needed = true};
  plan->stream_events[stream] += ref->event_count;
}

/* Where the blocks of a partition have come so far. */
struct walk {
  const struct tly_position *cut;
  int64_t next_offset; /* -1: before the first block */
  tly_chain chain;
};

static enum tly_status check_block(struct walk *walk, const struct tly_block_ref *ref, struct tly_error *error) {
  bool follows = walk->next_offset < 0 || ref->first_offset == walk->next_offset;
  if (!follows || ref->event_count == 0 || memcmp(&walk->chain, &ref->chain_before, sizeof walk->chain) != 0)
    return TLY_FAIL(error, TLY_E_CORRUPT,
                    "archive of stream %s, partition %" PRIu32 ": the block at offset %" PRId64
                    " does not follow the one before it",
                    walk->cut->stream, walk->cut->partition, ref->first_offset);
  walk->next_offset = ref->first_offset + ref->event_count;
  walk->chain = ref->chain_after;
  return TLY_OK;
}

static enum tly_status check_end(const struct walk *walk, const struct tly_cut *cut, struct tly_error *error) {
  int64_t end = walk->next_offset < 0 ? 0 : walk->next_offset;
  if (end != walk->cut->next_offset || memcmp(&walk->chain, &walk->cut->chain, sizeof walk->chain) != 0)
    return TLY_FAIL(error, TLY_E_CORRUPT,
                    "archive of stream %s, partition %" PRIu32 " ends at offset %" PRId64
                    " with another hash than cut %" PRId64 " at offset %" PRId64,
                    walk->cut->stream, walk->cut->partition, end, cut->number, walk->cut->next_offset);
  return TLY_OK;
}

static struct walk start_walk(const struct tly_position *position, const struct tly_plan_start *start) {
  struct walk walk = {.cut = position, .next_offset = -1};
  for (uint32_t i = 0; i < start->position_count; i++) {
    const struct tly_position *from = &start->positions[i];
    if (from->partition == position->partition && strcmp(from->stream, position->stream) == 0 &&
        from->next_offset > 0) {
      walk.next_offset = from->next_offset;
      walk.chain = from->chain;
    }
  }
  return walk;
}

static enum tly_status add_partition(struct tly_recompute_plan *plan, tly_archive_reader *reader,
                                     const struct tly_stream *stream, uint32_t stream_number, const struct tly_cut *cut,
                                     const struct tly_position *position, const struct tly_plan_start *start,
                                     struct tly_arena *arena, struct tly_error *error) {
  struct walk walk = start_walk(position, start);
  for (;;) {
    struct tly_block_ref *refs;
    uint32_t count;
    tly_arena_reset(arena);
    TLY_TRY(tly_archive_reader_blocks(reader, stream, position->partition, walk.next_offset < 0 ? 0 : walk.next_offset,
                                      cut->number, BLOCKS_AT_A_TIME, arena, &refs, &count, error));
    for (uint32_t i = 0; i < count; i++) {
      TLY_TRY(check_block(&walk, &refs[i], error));
      add_block(plan, stream_number, &refs[i]);
    }
    if (count < BLOCKS_AT_A_TIME)
      break;
  }
  return check_end(&walk, cut, error);
}

static enum tly_status add_streams(struct tly_recompute_plan *plan, tly_archive_reader *reader,
                                   const struct tly_project *project, const struct tly_cut *cut, const bool *wanted,
                                   const struct tly_plan_start *starts, struct tly_error *error) {
  struct tly_arena arena;
  enum tly_status status = TLY_OK;
  tly_arena_init(&arena);
  for (uint32_t s = 0; s < project->stream_count; s++)
    for (uint32_t p = 0; status == TLY_OK && wanted[s] && p < cut->position_count; p++)
      if (strcmp(cut->positions[p].stream, project->streams[s].name) == 0)
        status =
            add_partition(plan, reader, &project->streams[s], s, cut, &cut->positions[p], &starts[s], &arena, error);
  tly_arena_free(&arena);
  return status;
}

static void drop_needless(struct tly_recompute_plan *plan) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < plan->block_count; i++) {
    if (!plan->blocks[i].is_needed)
      continue;
    plan->events += plan->blocks[i].ref.event_count;
    plan->blocks[kept++] = plan->blocks[i];
  }
  plan->block_count = kept;
}

/* Shares of about equally many events. */
void tly_recompute_plan_share_out(struct tly_recompute_plan *plan, uint32_t threads) {
  uint32_t block = 0;
  uint64_t events = 0;
  TLY_ASSERT(plan->shares == NULL);
  drop_needless(plan);
  plan->share_count = threads;
  plan->shares = tly_calloc(threads, sizeof *plan->shares);
  for (uint32_t t = 0; t < threads; t++) {
    uint64_t until = plan->events / threads * (t + 1);
    plan->shares[t].first = block;
    while (block < plan->block_count && (events < until || t + 1 == threads))
      events += plan->blocks[block++].ref.event_count;
    plan->shares[t].end = block;
  }
  TLY_ASSERT(block == plan->block_count);
}

enum tly_status tly_recompute_plan_init(struct tly_recompute_plan *plan, tly_archive_reader *reader,
                                        const struct tly_project *project, const struct tly_cut *cut,
                                        const bool *wanted, const struct tly_plan_start *starts,
                                        struct tly_error *error) {
  memset(plan, 0, sizeof *plan);
  pthread_mutex_init(&plan->mutex, NULL);
  plan->stream_events = tly_calloc(project->stream_count, sizeof *plan->stream_events);
  enum tly_status status = add_streams(plan, reader, project, cut, wanted, starts, error);
  if (status != TLY_OK)
    tly_recompute_plan_free(plan);
  return status;
}

static int compare_place(const struct tly_planned_block *block, uint32_t stream, uint32_t partition, int64_t offset) {
  if (block->stream != stream)
    return block->stream < stream ? -1 : 1;
  if (block->ref.partition != partition)
    return block->ref.partition < partition ? -1 : 1;
  return block->ref.first_offset < offset ? -1 : block->ref.first_offset > offset;
}

uint32_t tly_recompute_plan_find(const struct tly_recompute_plan *plan, uint32_t stream, uint32_t partition,
                                 int64_t offset) {
  uint32_t low = 0, high = plan->block_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_place(&plan->blocks[middle], stream, partition, offset) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void tly_recompute_plan_free(struct tly_recompute_plan *plan) {
  pthread_mutex_destroy(&plan->mutex);
  tly_free(plan->blocks);
  tly_free(plan->stream_events);
  tly_free(plan->shares);
  memset(plan, 0, sizeof *plan);
}

const struct tly_planned_block *tly_recompute_plan_take(struct tly_recompute_plan *plan, uint32_t thread) {
  TLY_ASSERT(thread < plan->share_count);
  const struct tly_planned_block *block = NULL;
  pthread_mutex_lock(&plan->mutex);
  struct tly_plan_share *own = &plan->shares[thread], *largest = own;
  if (own->first < own->end) {
    block = &plan->blocks[own->first++];
  } else {
    for (uint32_t t = 0; t < plan->share_count; t++)
      if (plan->shares[t].end - plan->shares[t].first > largest->end - largest->first)
        largest = &plan->shares[t];
    if (largest->first < largest->end)
      block = &plan->blocks[--largest->end];
  }
  pthread_mutex_unlock(&plan->mutex);
  return block;
}
