/* Size-tiered merging. Every commit of a fold adds a delta; a reader has to look into all of them, so their number must
 * stay small, while each group should be rewritten seldom. Deltas of one class (within a factor of eight in groups) are
 * merged eight at a time: at most seven of a class are left, of some five classes, and a group is rewritten about once
 * for each eightfold growth. The result is classed by its own size: eight small deltas of the same few keys make a
 * small one.
 *
 * A merge of large deltas would hold a commit up for seconds. So it is a *job* that goes on in slices, a transaction
 * each: its output stands in the store with level -1, which readers pass over, until the last slice puts it in place of
 * its inputs. Jobs live in memory alone; what a killed process was writing is dropped at the next start. One job a
 * class may run, and the smallest class goes first: small merges are cheap and keep readers fast, and a large one fills
 * the time that is left.
 *
 * INVARIANTS
 *   (1) A delta is in `deltas` or input of one job, not both.
 *   (2) Inputs and output of a job are of one view, part and generation: generations never meet.
 *   (3) Inputs stay readable until the very transaction that shows the output. */
#include "speed_layer/delta_merge.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/crash_point.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { LEVEL_COUNT = 12, LASTING_LEVEL = 2 /* what comes of merging deltas of this class is compressed */ };

struct input {
  tly_speed_store *store;
  struct tly_delta delta;
  uint32_t next_block;
  struct tly_group_slice slice;
};

struct job {
  bool is_running;
  struct input inputs[TLY_DELTA_FAN_IN];
  tly_merge *merge;
  struct tly_delta output;
  uint32_t block_count;
};

struct tly_delta_merge {
  tly_speed_store *store;
  struct tly_delta *deltas; /* sorted as compare_deltas */
  uint32_t count, capacity;
  struct job jobs[LEVEL_COUNT]; /* by the class of the inputs */
};

int tly_delta_level(uint64_t group_count) {
  int level = 0;
  for (uint64_t room = TLY_GROUPS_PER_BLOCK; group_count > room && level < LEVEL_COUNT - 1; room *= TLY_DELTA_FAN_IN)
    level++;
  return level;
}

static int compare_class(const struct tly_delta *a, const struct tly_delta *b) {
  if (a->view != b->view)
    return a->view < b->view ? -1 : 1;
  if (a->part != b->part)
    return a->part < b->part ? -1 : 1;
  if (a->generation != b->generation)
    return a->generation < b->generation ? -1 : 1;
  return a->level - b->level;
}

static int compare_deltas(const struct tly_delta *a, const struct tly_delta *b) {
  int order = compare_class(a, b);
  return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

enum tly_status tly_delta_merge_new(tly_speed_store *store, tly_delta_merge **out, struct tly_error *error) {
  tly_delta_merge *merge = tly_calloc(1, sizeof *merge);
  *out = NULL;
  merge->store = store;
  enum tly_status status = tly_speed_store_load_deltas(store, &merge->deltas, &merge->count, error);
  merge->capacity = merge->count;
  if (status != TLY_OK) {
    tly_delta_merge_free(merge);
    return status;
  }
  for (uint32_t d = 1; d < merge->count; d++)
    TLY_ASSERT(compare_deltas(&merge->deltas[d - 1], &merge->deltas[d]) < 0);
  *out = merge;
  return TLY_OK;
}

static void end_job(struct job *job) {
  TLY_ASSERT(job->is_running);
  tly_merge_free(job->merge);
  for (int i = 0; i < TLY_DELTA_FAN_IN; i++)
    tly_group_slice_free(&job->inputs[i].slice);
  memset(job, 0, sizeof *job);
}

void tly_delta_merge_free(tly_delta_merge *merge) {
  if (merge == NULL)
    return;
  for (int level = 0; level < LEVEL_COUNT; level++)
    if (merge->jobs[level].is_running)
      end_job(&merge->jobs[level]);
  tly_free(merge->deltas);
  tly_free(merge);
}

void tly_delta_merge_add(tly_delta_merge *merge, const struct tly_delta *delta) {
  uint32_t low = 0, high = merge->count;
  TLY_ASSERT(delta->id > 0 && delta->level >= 0 && delta->level < LEVEL_COUNT);
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_deltas(&merge->deltas[middle], delta) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  if (merge->count == merge->capacity) {
    merge->capacity = merge->capacity == 0 ? 64 : 2 * merge->capacity;
    merge->deltas = tly_realloc_array(merge->deltas, merge->capacity, sizeof *merge->deltas);
  }
  memmove(merge->deltas + low + 1, merge->deltas + low, (merge->count - low) * sizeof *merge->deltas);
  merge->deltas[low] = *delta;
  merge->count++;
}

void tly_delta_merge_forget(tly_delta_merge *merge, int64_t view, int64_t generation) {
  uint32_t kept = 0;
  for (uint32_t d = 0; d < merge->count; d++)
    if (merge->deltas[d].view != view || merge->deltas[d].generation > generation)
      merge->deltas[kept++] = merge->deltas[d];
  merge->count = kept;
  for (int level = 0; level < LEVEL_COUNT; level++) {
    struct job *job = &merge->jobs[level];
    if (job->is_running && job->output.view == view && job->output.generation <= generation)
      end_job(job);
  }
}

uint32_t tly_delta_merge_count(const tly_delta_merge *merge) {
  return merge->count;
}

/* The class that stands first in `deltas`, has deltas enough, and whose level has no job; NULL: none. *most is the size
 * of the largest class. */
static struct tly_delta *find_full_class(tly_delta_merge *merge, int level, uint32_t *most) {
  struct tly_delta *full = NULL;
  for (uint32_t first = 0, end; first < merge->count; first = end) {
    for (end = first + 1; end < merge->count; end++)
      if (compare_class(&merge->deltas[first], &merge->deltas[end]) != 0)
        break;
    if (end - first > *most)
      *most = end - first;
    if (full == NULL && merge->deltas[first].level == level && end - first >= TLY_DELTA_FAN_IN)
      full = &merge->deltas[first];
  }
  return full;
}

bool tly_delta_merge_is_due(tly_delta_merge *merge, uint32_t *most) {
  bool is_running = false;
  *most = 0;
  for (int level = 0; level < LEVEL_COUNT; level++)
    is_running |= merge->jobs[level].is_running;
  find_full_class(merge, LEVEL_COUNT, most); /* for the largest class alone */
  return is_running || *most >= TLY_DELTA_FAN_IN;
}

static enum tly_status next_slice(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  struct input *input = context;
  bool found;
  TLY_TRY(tly_speed_store_read_block(input->store, input->delta.id, input->next_block, &input->slice, &found, error));
  input->next_block += found;
  *out = found ? &input->slice : NULL;
  return TLY_OK;
}

static enum tly_status start_job(tly_delta_merge *merge, struct job *job, const struct tly_delta *first,
                                 const struct tly_view_program *program, struct tly_error *error) {
  struct tly_group_source sources[TLY_DELTA_FAN_IN];
  TLY_ASSERT(!job->is_running);
  for (int i = 0; i < TLY_DELTA_FAN_IN; i++) {
    TLY_ASSERT(compare_class(first, first + i) == 0);
    job->inputs[i].store = merge->store;
    job->inputs[i].delta = first[i];
    tly_group_slice_init(&job->inputs[i].slice, program, first->part);
    sources[i] = (struct tly_group_source){.next = next_slice, .context = &job->inputs[i]};
  }
  job->is_running = true;
  job->merge = tly_merge_new(program, first->part, sources, TLY_DELTA_FAN_IN);
  job->output =
      (struct tly_delta){.view = first->view, .part = first->part, .generation = first->generation, .level = -1};
  uint32_t at = (uint32_t)(first - merge->deltas);
  merge->count -= TLY_DELTA_FAN_IN;
  memmove(merge->deltas + at, merge->deltas + at + TLY_DELTA_FAN_IN, (merge->count - at) * sizeof *merge->deltas);
  return tly_speed_store_add_delta(merge->store, &job->output, error);
}

/* The last slice: the output takes the place of the inputs. */
static enum tly_status finish_job(tly_delta_merge *merge, struct job *job, struct tly_error *error) {
  for (int i = 0; i < TLY_DELTA_FAN_IN; i++)
    TLY_TRY(tly_speed_store_drop_delta(merge->store, job->inputs[i].delta.id, error));
  TLY_ASSERT(job->output.group_count > 0);
  job->output.level = tly_delta_level(job->output.group_count);
  TLY_TRY(tly_speed_store_finish_delta(merge->store, &job->output, error));
  tly_delta_merge_add(merge, &job->output);
  tly_crash_point("merge.before_switch");
  end_job(job);
  return TLY_OK;
}

/* *ended: the time is up. */
static enum tly_status continue_job(tly_delta_merge *merge, struct job *job, const struct tly_clock *clock,
                                    int64_t until_us, bool *ended, struct tly_error *error) {
  const struct tly_group_slice *slice;
  for (;;) {
    TLY_TRY(tly_merge_next(job->merge, TLY_GROUPS_PER_BLOCK, &slice, error));
    if (slice == NULL)
      return finish_job(merge, job, error);
    job->output.group_count += slice->count;
    TLY_TRY(tly_speed_store_add_block(merge->store, job->output.id, job->block_count++, slice,
                                      job->inputs[0].delta.level >= LASTING_LEVEL, error));
    *ended = tly_clock_monotonic_us(clock) >= until_us;
    if (*ended)
      return TLY_OK;
  }
}

enum tly_status tly_delta_merge_step(tly_delta_merge *merge, const struct tly_clock *clock, int64_t until_us,
                                     const struct tly_view_program *(*program_of)(void *context, int64_t view),
                                     void *context, struct tly_error *error) {
  bool ended = false;
  uint32_t most = 0;
  TLY_TRY(tly_speed_store_begin(merge->store, error));
  for (int level = 0; level < LEVEL_COUNT && !ended; level++) {
    struct job *job = &merge->jobs[level];
    struct tly_delta *full = job->is_running ? NULL : find_full_class(merge, level, &most);
    if (full != NULL)
      TLY_TRY(start_job(merge, job, full, program_of(context, full->view), error));
    if (job->is_running)
      TLY_TRY(continue_job(merge, job, clock, until_us, &ended, error));
  }
  tly_crash_point("merge.before_commit");
  TLY_TRY(tly_speed_store_commit(merge->store, error));
  tly_crash_point("merge.after_commit");
  return TLY_OK;
}
