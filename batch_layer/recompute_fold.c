/* The first half of a recompute: a thread reads blocks and folds each into every view that reads its stream.
 *
 * Memory. A thread may hold its share of the job's bound in group tables. Above it the largest table is drained into
 * sorted groups in the thread's temporary file and begins anew; the last merge adds the states of a key together again,
 * so a spill changes nothing but the time it takes. Many spills are merged into one now and then, so that no merge has
 * more than some dozens of sources. At the end the folds are sorted and handed over as they are; only their distinct
 * sets are drained: into memory while that fits, else into the file.
 *
 * Partial results. A recompute that is killed shall not have folded for nothing. So now and then a thread puts what it
 * has of a view, tables and spills, into a partial result (partial.h) instead of keeping it for the last merge, which
 * reads it from there. That costs a sort, a write and a read of all its groups, and some syncs, about 1/100 of the time
 * after which it is done if there are many events for each group. It is also done when many spills would have to be
 * merged anyway. A recompute of a second or two does not come to it.
 *
 * Events set aside are listed up to TLY_SET_ASIDE_LISTED_MAX a view, the first by position, whichever thread met them:
 * each thread keeps the first of those it met. */
#include <stdlib.h>
#include <string.h>

#include "batch_layer/partial.h"
#include "batch_layer/recompute_reuse.h"
#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/give_way.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum {
  DRAIN_GROUPS = 4096,
  SPILL_GROUPS = 1024,
  SPILLS_HANDED_OVER_MAX = 16, /* of a thread and view part */
  SET_ASIDE_KEPT_MAX = 2 * TLY_SET_ASIDE_LISTED_MAX
};

/* What one thread has of one view, since it last put it into a partial result. */
struct view_fold {
  tly_fold *fold;               /* NULL: the view's stream had no block for this thread yet */
  struct tly_log_range *ranges; /* what was folded, and ... */
  uint32_t range_count, range_capacity;
  uint64_t events;               /* ... how much that is, ... */
  int64_t began_us;              /* ... and when it began, monotonic */
  int64_t kept_us;               /* how long this thread took for its partial results */
  struct tly_fold_counts counts; /* of folds before the present one */
  struct tly_part_work *parts;   /* what was drained so far */
  struct tly_run_set_aside *set_aside;
  uint32_t set_aside_count;
  bool is_full; /* TLY_SET_ASIDE_LISTED_MAX are kept: those behind the last of them are not */
};

struct folder {
  struct tly_recompute_work *work;
  uint32_t thread;
  tly_archive_reader *reader;
  struct tly_event_batch *batches; /* one a stream, made when first needed */
  bool *has_batch;
  struct view_fold *folds;
  size_t bytes_max;
};

/* ---- set aside --------------------------------------------------------------------------------------------------- */

static int compare_positions(const void *a, const void *b) {
  const struct tly_run_set_aside *left = a, *right = b;
  if (left->partition != right->partition)
    return left->partition < right->partition ? -1 : 1;
  return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* Keep the first of them. */
static void sort_set_aside(struct view_fold *fold) {
  if (fold->set_aside_count > 0)
    qsort(fold->set_aside, fold->set_aside_count, sizeof *fold->set_aside, compare_positions);
  if (fold->set_aside_count > TLY_SET_ASIDE_LISTED_MAX)
    fold->set_aside_count = TLY_SET_ASIDE_LISTED_MAX;
}

struct set_aside_visit {
  struct view_fold *fold;
  const struct tly_block_ref *ref;
  struct tly_arena *arena;
};

static void list_set_aside(void *context, uint32_t event, const struct tly_row_error *row_error) {
  struct set_aside_visit *visit = context;
  struct view_fold *fold = visit->fold;
  struct tly_run_set_aside item = {.partition = visit->ref->partition,
                                   .offset = visit->ref->first_offset + event,
                                   .sqlstate = tly_status_sqlstate(row_error->status)};
  if (fold->is_full && compare_positions(&item, &fold->set_aside[TLY_SET_ASIDE_LISTED_MAX - 1]) > 0)
    return;
  if (fold->set_aside == NULL)
    fold->set_aside = tly_calloc(SET_ASIDE_KEPT_MAX, sizeof *fold->set_aside);
  item.message = tly_arena_copy(visit->arena, row_error->message, strlen(row_error->message));
  fold->set_aside[fold->set_aside_count++] = item;
  if (fold->set_aside_count < SET_ASIDE_KEPT_MAX)
    return;
  sort_set_aside(fold);
  fold->is_full = true;
}

/* ---- groups out of the tables ------------------------------------------------------------------------------------ */

static void add_sorted(struct tly_part_work *part, tly_sorted_groups *sorted) {
  if (part->sorted_count == part->sorted_capacity) {
    part->sorted_capacity = part->sorted_capacity == 0 ? 8 : 2 * part->sorted_capacity;
    part->sorted = tly_realloc_array(part->sorted, part->sorted_capacity, sizeof(tly_sorted_groups *));
  }
  part->sorted[part->sorted_count++] = sorted;
}

static void forget_sorted(struct tly_part_work *part) {
  for (uint32_t i = 0; i < part->sorted_count; i++)
    tly_sorted_groups_free(part->sorted[i]);
  part->sorted_count = 0;
}

static enum tly_status open_spill(struct folder *folder, struct tly_spill_file **out, struct tly_error *error) {
  *out = &folder->work->spills[folder->thread];
  return (*out)->fd < 0 ? tly_spill_file_open(folder->work->folder, *out, error) : TLY_OK;
}

/* Merge what was drained of a part so far, and hand it to `visit`. */
static enum tly_status merge_part(struct folder *folder, uint32_t view, uint32_t number, tly_group_slice_visit visit,
                                  void *context, struct tly_error *error) {
  const struct tly_view_program *program = folder->work->views[view].program;
  struct tly_part_work *part = &folder->folds[view].parts[number];
  const struct tly_text open_bound = {.data = NULL};
  tly_sorted_cursor **cursors = tly_calloc(part->sorted_count, sizeof(tly_sorted_cursor *));
  struct tly_group_source *sources = tly_calloc(part->sorted_count, sizeof *sources);
  for (uint32_t i = 0; i < part->sorted_count; i++) {
    cursors[i] = tly_sorted_cursor_new(part->sorted[i], open_bound, open_bound);
    sources[i] = tly_sorted_cursor_source(cursors[i]);
  }
  tly_merge *merge = tly_merge_new(program, number, sources, part->sorted_count);
  const struct tly_group_slice *slice;
  enum tly_status status;
  while ((status = tly_merge_next(merge, SPILL_GROUPS, &slice, error)) == TLY_OK && slice != NULL)
    if ((status = visit(context, slice, error)) != TLY_OK)
      break;
  tly_merge_free(merge);
  for (uint32_t i = 0; i < part->sorted_count; i++)
    tly_sorted_cursor_free(cursors[i]);
  tly_free(cursors);
  tly_free(sources);
  forget_sorted(part);
  return status;
}

/* Merge what was drained of a part so far into one, in the file. */
static enum tly_status join_part(struct folder *folder, uint32_t view, uint32_t number, struct tly_error *error) {
  struct tly_spill_file *spill;
  TLY_TRY(open_spill(folder, &spill, error));
  tly_sorted_groups *joined = tly_sorted_groups_new(folder->work->views[view].program, number, spill);
  enum tly_status status = merge_part(folder, view, number, tly_sorted_groups_append, joined, error);
  add_sorted(&folder->folds[view].parts[number], joined);
  return status;
}

static enum tly_status drain_part(struct folder *folder, uint32_t view, uint32_t part, bool to_file,
                                  struct tly_error *error) {
  struct tly_part_work *drained = &folder->folds[view].parts[part];
  struct tly_spill_file *spill = NULL;
  tly_group_table *table = tly_fold_part(folder->folds[view].fold, part);
  if (tly_group_table_count(table) == 0)
    return TLY_OK;
  if (to_file)
    TLY_TRY(open_spill(folder, &spill, error));
  tly_sorted_groups *sorted = tly_sorted_groups_new(folder->work->views[view].program, part, spill);
  add_sorted(drained, sorted);
  return tly_group_table_drain(table, to_file ? SPILL_GROUPS : DRAIN_GROUPS, tly_sorted_groups_append, sorted, error);
}

static void take_counts(struct view_fold *fold) {
  struct tly_fold_counts counts = tly_fold_counts(fold->fold);
  fold->counts.folded += counts.folded;
  fold->counts.filtered += counts.filtered;
  fold->counts.set_aside += counts.set_aside;
}

/* ---- partial results --------------------------------------------------------------------------------------------- */

static void note_range(struct view_fold *fold, const struct tly_block_ref *ref) {
  struct tly_log_range *last = fold->range_count > 0 ? &fold->ranges[fold->range_count - 1] : NULL;
  int64_t end = ref->first_offset + ref->event_count;
  if (fold->events == 0)
    fold->began_us = tly_clock_monotonic_us(&tly_clock_real);
  fold->events += ref->event_count;
  if (last != NULL && last->partition == ref->partition && last->next_offset == ref->first_offset) {
    last->next_offset = end;
    last->chain_after = ref->chain_after;
    return;
  }
  if (last != NULL && last->partition == ref->partition && last->first_offset == end) { /* from the end of a share */
    last->first_offset = ref->first_offset;
    last->chain_before = ref->chain_before;
    return;
  }
  if (fold->range_count == fold->range_capacity) {
    fold->range_capacity = fold->range_capacity == 0 ? 4 : 2 * fold->range_capacity;
    fold->ranges = tly_realloc_array(fold->ranges, fold->range_capacity, sizeof *fold->ranges);
  }
  TLY_ASSERT(fold->ranges != NULL && fold->range_count < fold->range_capacity);
  fold->ranges[fold->range_count++] = (struct tly_log_range){.partition = ref->partition,
                                                             .first_offset = ref->first_offset,
                                                             .next_offset = end,
                                                             .chain_before = ref->chain_before,
                                                             .chain_after = ref->chain_after};
}

/* Whether it pays to put the view into a partial result now. */
static bool is_partial_due(const struct folder *folder, uint32_t view) {
  const struct tly_recompute_job *job = folder->work->job;
  const struct view_fold *fold = &folder->folds[view];
  uint64_t groups = 0;
  if (job->partial_events > 0 || fold->events == 0)
    return fold->events > 0 && fold->events >= job->partial_events;
  int64_t took_us = tly_clock_monotonic_us(&tly_clock_real) - fold->began_us;
  if (took_us < (int64_t)job->view_count * TLY_PARTIAL_MS * 1000 || took_us < fold->kept_us / TLY_PARTIAL_GROWTH)
    return false;
  for (uint32_t p = 0; p < folder->work->views[view].program->part_count; p++) {
    groups += fold->fold != NULL ? tly_group_table_count(tly_fold_part(fold->fold, p)) : 0;
    for (uint32_t i = 0; i < fold->parts[p].sorted_count; i++)
      groups += tly_sorted_groups_count(fold->parts[p].sorted[i]);
  }
  return groups * TLY_PARTIAL_GROUP_EVENTS <= fold->events;
}

static enum tly_status write_parts(struct folder *folder, uint32_t view, tly_partial_writer *writer,
                                   struct tly_error *error) {
  struct view_fold *fold = &folder->folds[view];
  for (uint32_t p = 0; p < folder->work->views[view].program->part_count; p++) {
    TLY_TRY(tly_partial_begin_part(writer, p, error));
    if (fold->fold != NULL && fold->parts[p].sorted_count == 0) {
      TLY_TRY(tly_group_table_drain(tly_fold_part(fold->fold, p), DRAIN_GROUPS, tly_partial_append, writer, error));
      continue;
    }
    if (fold->fold != NULL)
      TLY_TRY(drain_part(folder, view, p, true, error));
    if (fold->parts[p].sorted_count > 0)
      TLY_TRY(merge_part(folder, view, p, tly_partial_append, writer, error));
  }
  return TLY_OK;
}

/* The thread begins anew with the view, whose groups, counts and list are the work's now. */
static void begin_anew(struct view_fold *fold) {
  if (fold->fold != NULL)
    tly_fold_clear(fold->fold);
  fold->kept_us += tly_clock_monotonic_us(&tly_clock_real) - fold->began_us;
  fold->events = 0;
  fold->counts = (struct tly_fold_counts){0};
  fold->range_count = fold->set_aside_count = 0;
  fold->is_full = false;
}

static enum tly_status keep_partial(struct folder *folder, uint32_t view, struct tly_error *error) {
  struct tly_recompute_work *work = folder->work;
  const struct tly_recompute_job *job = work->job;
  struct view_fold *fold = &folder->folds[view];
  tly_partial_writer *writer;
  char *name = NULL;
  if (fold->fold != NULL)
    take_counts(fold);
  sort_set_aside(fold);
  TLY_TRY(tly_partial_open(job->directory, job->cut->number, atomic_fetch_add(&work->next_partial, 1),
                           work->views[view].program, &writer, error));
  struct tly_run_view_result kept = {.folded = fold->counts.folded,
                                     .filtered = fold->counts.filtered,
                                     .set_aside = fold->counts.set_aside,
                                     .drift = -1,
                                     .set_aside_listed = fold->set_aside,
                                     .set_aside_listed_count = fold->set_aside_count};
  struct tly_run_result result = {.run = job->cut->number,
                                  .events = fold->events,
                                  .fold_version = TLY_FOLD_VERSION,
                                  .inputs = job->inputs,
                                  .ranges = fold->ranges,
                                  .range_count = fold->range_count,
                                  .views = &kept,
                                  .view_count = 1};
  enum tly_status status = write_parts(folder, view, writer, error);
  if (status == TLY_OK)
    status = tly_partial_finish(writer, &result, &name, error);
  tly_partial_close(writer);
  if (status != TLY_OK)
    return status;
  pthread_mutex_lock(&work->mutex);
  tly_recompute_keep(&work->views[view], name, job->cut->number, &kept);
  pthread_mutex_unlock(&work->mutex);
  begin_anew(fold);
  return TLY_OK;
}

static enum tly_status keep_what_is_due(struct folder *folder, uint32_t stream, struct tly_error *error) {
  for (uint32_t v = 0; v < folder->work->job->view_count; v++)
    if (folder->work->views[v].stream == stream && is_partial_due(folder, v))
      TLY_TRY(keep_partial(folder, v, error));
  return TLY_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Drain the view's tables into the file and give their memory back. */
static enum tly_status spill_view(struct folder *folder, uint32_t view, struct tly_error *error) {
  struct view_fold *fold = &folder->folds[view];
  enum tly_status status = TLY_OK;
  for (uint32_t p = 0; status == TLY_OK && p < folder->work->views[view].program->part_count; p++)
    status = drain_part(folder, view, p, true, error);
  take_counts(fold);
  tly_fold_free(fold->fold);
  fold->fold = NULL;
  if (status == TLY_OK && fold->parts[0].sorted_count >= TLY_RECOMPUTE_SPILLS_MAX)
    status = keep_partial(folder, view, error); /* they would have to be merged anyway */
  return status;
}

/* Nothing more will be folded: sort the groups, and drain the distinct sets. */
static enum tly_status end_view(struct folder *folder, uint32_t view, bool to_file, struct tly_error *error) {
  struct view_fold *fold = &folder->folds[view];
  take_counts(fold);
  tly_fold_sort(fold->fold);
  for (uint32_t p = 1; p < folder->work->views[view].program->part_count; p++) {
    TLY_TRY(drain_part(folder, view, p, to_file, error));
    tly_group_table_clear(tly_fold_part(fold->fold, p));
  }
  return TLY_OK;
}

static size_t fold_bytes(const struct folder *folder, uint32_t view) {
  return folder->folds[view].fold != NULL ? tly_fold_bytes(folder->folds[view].fold) : 0;
}

static size_t all_bytes(const struct folder *folder, uint32_t *largest) {
  size_t bytes = 0;
  *largest = 0;
  for (uint32_t v = 0; v < folder->work->job->view_count; v++) {
    bytes += fold_bytes(folder, v);
    if (fold_bytes(folder, v) > fold_bytes(folder, *largest))
      *largest = v;
  }
  return bytes;
}

static enum tly_status keep_bound(struct folder *folder, struct tly_error *error) {
  uint32_t largest;
  while (all_bytes(folder, &largest) > folder->bytes_max)
    TLY_TRY(spill_view(folder, largest, error));
  return TLY_OK;
}

/* ---- folding ----------------------------------------------------------------------------------------------------- */

static struct tly_event_batch *batch_of(struct folder *folder, uint32_t stream) {
  if (!folder->has_batch[stream])
    tly_event_batch_init(&folder->batches[stream], &folder->work->job->project->streams[stream]);
  folder->has_batch[stream] = true;
  return &folder->batches[stream];
}

static enum tly_status fold_block(struct folder *folder, const struct tly_planned_block *block,
                                  struct tly_error *error) {
  struct tly_recompute_work *work = folder->work;
  const struct tly_stream *stream = &work->job->project->streams[block->stream];
  struct tly_event_batch *batch = batch_of(folder, block->stream);
  TLY_TRY(
      tly_archive_reader_read(folder->reader, stream, &block->ref, work->wanted[block->stream], false, batch, error));
  TLY_ASSERT(batch->count == block->ref.event_count);
  for (uint32_t v = 0; v < work->job->view_count; v++) {
    struct view_fold *fold = &folder->folds[v];
    if (work->views[v].stream != block->stream || tly_planned_block_is_covered(block, v))
      continue;
    if (fold->fold == NULL)
      fold->fold = tly_fold_new(work->views[v].program);
    struct set_aside_visit visit = {.fold = fold, .ref = &block->ref, .arena = &work->arenas[folder->thread]};
    tly_fold_batch(fold->fold, batch, list_set_aside, &visit);
    note_range(fold, &block->ref);
  }
  atomic_fetch_add(&work->folded, block->ref.event_count);
  tly_give_way();
  TLY_TRY(keep_bound(folder, error));
  return keep_what_is_due(folder, block->stream, error);
}

/* Give the fold of a view, what was drained of it, its counts and its list to the work. */
static void give_view(struct folder *folder, uint32_t view) {
  struct tly_recompute_work *work = folder->work;
  struct tly_view_work *into = &work->views[view];
  struct view_fold *fold = &folder->folds[view];
  pthread_mutex_lock(&work->mutex);
  into->counts.folded += fold->counts.folded;
  into->counts.filtered += fold->counts.filtered;
  into->counts.set_aside += fold->counts.set_aside;
  into->set_aside =
      tly_realloc_array(into->set_aside, into->set_aside_count + fold->set_aside_count + 1, sizeof *into->set_aside);
  for (uint32_t i = 0; i < fold->set_aside_count; i++)
    into->set_aside[into->set_aside_count++] = fold->set_aside[i];
  if (fold->fold != NULL)
    into->folds[into->fold_count++] = fold->fold;
  fold->fold = NULL;
  for (uint32_t p = 0; p < into->program->part_count; p++) {
    for (uint32_t i = 0; i < fold->parts[p].sorted_count; i++)
      add_sorted(&into->parts[p], fold->parts[p].sorted[i]);
    fold->parts[p].sorted_count = 0;
  }
  pthread_mutex_unlock(&work->mutex);
}

static enum tly_status hand_over(struct folder *folder, struct tly_error *error) {
  size_t kept = 0;
  for (uint32_t v = 0; v < folder->work->job->view_count; v++) {
    uint32_t largest;
    size_t bytes = fold_bytes(folder, v);
    bool to_file = kept + bytes + all_bytes(folder, &largest) > folder->bytes_max;
    if (folder->folds[v].fold != NULL)
      TLY_TRY(end_view(folder, v, to_file, error));
    kept += bytes;
    for (uint32_t p = 0; p < folder->work->views[v].program->part_count; p++)
      if (folder->folds[v].parts[p].sorted_count > SPILLS_HANDED_OVER_MAX)
        TLY_TRY(join_part(folder, v, p, error));
    give_view(folder, v);
  }
  return TLY_OK;
}

static void free_folder(struct folder *folder) {
  for (uint32_t v = 0; v < folder->work->job->view_count; v++) {
    if (folder->folds[v].fold != NULL)
      tly_fold_free(folder->folds[v].fold);
    tly_free(folder->folds[v].set_aside);
    tly_free(folder->folds[v].ranges);
    for (uint32_t p = 0; p < folder->work->views[v].program->part_count; p++) {
      forget_sorted(&folder->folds[v].parts[p]);
      tly_free(folder->folds[v].parts[p].sorted);
    }
    tly_free(folder->folds[v].parts);
  }
  for (uint32_t s = 0; s < folder->work->job->project->stream_count; s++)
    if (folder->has_batch[s])
      tly_event_batch_free(&folder->batches[s]);
  tly_free(folder->folds);
  tly_free(folder->batches);
  tly_free(folder->has_batch);
  tly_archive_reader_close(folder->reader);
}

enum tly_status tly_recompute_fold(struct tly_recompute_work *work, uint32_t thread, struct tly_error *error) {
  const struct tly_recompute_job *job = work->job;
  struct folder folder = {.work = work, .thread = thread, .bytes_max = job->group_bytes_max / job->threads};
  TLY_TRY(tly_archive_reader_open(job->directory, job->project, &folder.reader, error));
  folder.batches = tly_calloc(job->project->stream_count, sizeof *folder.batches);
  folder.has_batch = tly_calloc(job->project->stream_count, sizeof *folder.has_batch);
  folder.folds = tly_calloc(job->view_count, sizeof *folder.folds);
  for (uint32_t v = 0; v < job->view_count; v++)
    folder.folds[v].parts = tly_calloc(work->views[v].program->part_count, sizeof *folder.folds[v].parts);
  enum tly_status status = tly_archive_reader_hold(folder.reader, error); /* sealing goes on meanwhile */
  const struct tly_planned_block *block;
  while (status == TLY_OK && !atomic_load(&work->stopping) &&
         (block = tly_recompute_plan_take(&work->plan, thread)) != NULL)
    status = fold_block(&folder, block, error);
  if (status == TLY_OK)
    status = hand_over(&folder, error);
  free_folder(&folder);
  return status;
}
