/* The second half of a recompute: the sorted folds of all threads, groups that were spilled, and those that are kept in
 * files, of the run this one stands on and of partial results, are merged into the files of the run. The folds of a
 * view are one source (fold_union.h); each spill is another, and each that is kept.
 *
 * A part with many groups is divided into pieces, each a key range, so that all threads have work. A piece must begin
 * where a chapter does (run_writer.h): the boundary is the first such key at or above a sampled one, over all sources.
 * So the number of pieces follows from the sizes and the threads, but the blocks in them do not depend on it. */
#include <stdlib.h>
#include <string.h>

#include "batch_layer/recompute_work.h"
#include "common/base/assert.h"
#include "common/base/give_way.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/store/run_reader.h"
#include "common/value/ordered_key.h"

enum { PIECE_GROUPS_MIN = 4 * TLY_RUN_CHAPTER_GROUPS, MERGED_GROUPS = 4096 };

/* ---- dividing ---------------------------------------------------------------------------------------------------- */

static struct tly_text buffer_text(const struct tly_buffer *buffer) {
  return (struct tly_text){.data = (const char *)buffer->data, .size = (uint32_t)buffer->size};
}

static int compare_keys(const void *a, const void *b) {
  const struct tly_text *left = a, *right = b;
  return tly_key_compare(left->data, left->size, right->data, right->size);
}

/* All samples of a part, sorted; the caller frees. */
static struct tly_text *sorted_samples(const struct tly_part_work *part, uint32_t *count) {
  *count = 0;
  for (uint32_t i = 0; i < part->sorted_count; i++)
    *count += tly_sorted_groups_sample_count(part->sorted[i]);
  struct tly_text *samples = tly_malloc(*count * sizeof *samples);
  struct tly_text *next = samples;
  for (uint32_t i = 0; i < part->sorted_count; i++)
    for (uint32_t s = 0; s < tly_sorted_groups_sample_count(part->sorted[i]); s++)
      *next++ = tly_sorted_groups_sample(part->sorted[i], s);
  qsort(samples, *count, sizeof *samples, compare_keys);
  return samples;
}

/* Take `candidate` for the least key if it is. */
static void note_least(const struct tly_buffer *candidate, struct tly_buffer *least, bool *found) {
  struct tly_text key = buffer_text(candidate), before = buffer_text(least);
  if (*found && compare_keys(&key, &before) >= 0)
    return;
  tly_buffer_clear(least);
  tly_buffer_append(least, candidate->data, candidate->size);
  *found = true;
}

/* In run files a block begins where a chapter does, so the directory says where. */
static bool find_kept_chapter(const struct tly_kept_groups *kept, uint32_t part, struct tly_text key,
                              struct tly_buffer *out) {
  uint32_t count = tly_run_reader_block_count(kept->reader, part);
  for (uint32_t i = tly_run_reader_find_block(kept->reader, part, key); i < count; i++) {
    struct tly_text first = tly_run_reader_block(kept->reader, part, i).first_key;
    if (compare_keys(&first, &key) < 0 || !tly_run_chapter_begins(first))
      continue;
    tly_buffer_append(out, first.data, first.size);
    return true;
  }
  return false;
}

/* Where the groups of one part of a view are. */
struct part_sources {
  const struct tly_part_work *part;
  const tly_fold_union *folds; /* or NULL */
  const struct tly_kept_groups *kept;
  uint32_t kept_count, number;
};

/* The first chapter at or above `key` over all sources, into *out; *found false when there is none. */
static enum tly_status find_chapter(const struct part_sources *from, struct tly_text key, struct tly_buffer *out,
                                    bool *found, struct tly_error *error) {
  const struct tly_part_work *part = from->part;
  const tly_fold_union *folds = from->folds;
  struct tly_buffer candidate = {0};
  enum tly_status status = TLY_OK;
  *found = false;
  if (folds != NULL && tly_fold_union_find(folds, key, tly_run_chapter_begins, &candidate))
    note_least(&candidate, out, found);
  for (uint32_t i = 0; i < from->kept_count; i++) {
    tly_buffer_clear(&candidate);
    if (find_kept_chapter(&from->kept[i], from->number, key, &candidate))
      note_least(&candidate, out, found);
  }
  for (uint32_t i = 0; status == TLY_OK && i < part->sorted_count; i++) {
    bool is_here;
    tly_buffer_clear(&candidate);
    status = tly_sorted_groups_chapter(part->sorted[i], key, &candidate, &is_here, error);
    if (status == TLY_OK && is_here)
      note_least(&candidate, out, found);
  }
  tly_buffer_free(&candidate);
  return status;
}

static uint64_t sorted_groups(const struct tly_part_work *part) {
  uint64_t groups = 0;
  for (uint32_t i = 0; i < part->sorted_count; i++)
    groups += tly_sorted_groups_count(part->sorted[i]);
  return groups;
}

static uint64_t fold_groups(const struct part_sources *from) {
  return from->folds != NULL ? tly_fold_union_count(from->folds) : 0;
}

static uint64_t kept_groups(const struct part_sources *from, uint32_t index) {
  return tly_run_reader_groups(from->kept[index].reader, from->number);
}

/* The largest of what is kept; 0 also when nothing is. */
static uint32_t largest_kept(const struct part_sources *from) {
  uint32_t largest = 0;
  for (uint32_t i = 1; i < from->kept_count; i++)
    if (kept_groups(from, i) > kept_groups(from, largest))
      largest = i;
  return largest;
}

static void find_kept_quantiles(const struct part_sources *from, uint32_t largest, uint32_t pieces,
                                struct tly_buffer *keys) {
  const tly_run_reader *reader = from->kept[largest].reader;
  uint32_t blocks = tly_run_reader_block_count(reader, from->number);
  for (uint32_t i = 1; i < pieces; i++) {
    struct tly_text key =
        tly_run_reader_block(reader, from->number, (uint32_t)((uint64_t)blocks * i / pieces)).first_key;
    tly_buffer_append(&keys[i - 1], key.data, key.size);
  }
}

/* Keys that divide the groups into about equal pieces, the first of them at boundaries[0]: taken from the folds, or
 * from what was spilled, or from the largest that is kept, whichever has the most groups. */
static void find_quantiles(const struct part_sources *from, uint32_t pieces, struct tly_buffer *keys) {
  const struct tly_part_work *part = from->part;
  const tly_fold_union *folds = from->folds;
  uint32_t largest = largest_kept(from);
  if (largest < from->kept_count && kept_groups(from, largest) > sorted_groups(part) &&
      kept_groups(from, largest) > fold_groups(from)) {
    find_kept_quantiles(from, largest, pieces, keys);
    return;
  }
  if (folds != NULL && tly_fold_union_count(folds) >= sorted_groups(part)) {
    for (uint32_t i = 1; i < pieces; i++)
      tly_fold_union_quantile(folds, i, pieces, &keys[i - 1]);
    return;
  }
  uint32_t count;
  struct tly_text *samples = sorted_samples(part, &count);
  for (uint32_t i = 1; i < pieces; i++) {
    struct tly_text sample = samples[(uint64_t)count * i / pieces];
    tly_buffer_append(&keys[i - 1], sample.data, sample.size);
  }
  tly_free(samples);
}

/* Boundaries between at most `pieces` pieces, ascending, *count of them. */
static enum tly_status find_boundaries(const struct part_sources *from, uint32_t pieces, struct tly_buffer *boundaries,
                                       uint32_t *count, struct tly_error *error) {
  struct tly_buffer quantiles[TLY_RUN_PIECES_MAX] = {{0}};
  enum tly_status status = TLY_OK;
  bool found = true;
  *count = 0;
  find_quantiles(from, pieces, quantiles);
  for (uint32_t i = 0; status == TLY_OK && found && i + 1 < pieces; i++) {
    struct tly_buffer *boundary = &boundaries[*count];
    tly_buffer_clear(boundary);
    status = find_chapter(from, buffer_text(&quantiles[i]), boundary, &found, error);
    if (status != TLY_OK || !found)
      continue;
    struct tly_text key = buffer_text(boundary);
    struct tly_text before = *count > 0 ? buffer_text(boundary - 1) : (struct tly_text){.data = NULL};
    if (before.data == NULL || compare_keys(&before, &key) < 0)
      ++*count;
  }
  for (uint32_t i = 0; i < TLY_RUN_PIECES_MAX; i++)
    tly_buffer_free(&quantiles[i]);
  return status;
}

static struct tly_merge_task *add_task(struct tly_recompute_work *work) {
  if (work->task_count == work->task_capacity) {
    work->task_capacity = work->task_capacity == 0 ? 16 : 2 * work->task_capacity;
    work->tasks = tly_realloc_array(work->tasks, work->task_capacity, sizeof *work->tasks);
  }
  struct tly_merge_task *task = &work->tasks[work->task_count++];
  memset(task, 0, sizeof *task);
  return task;
}

static enum tly_status divide_part(struct tly_recompute_work *work, uint32_t view, uint32_t part_number,
                                   struct tly_error *error) {
  const struct part_sources from = {.part = &work->views[view].parts[part_number],
                                    .folds = part_number == 0 ? work->views[view].all_folds : NULL,
                                    .kept = work->views[view].kept,
                                    .kept_count = work->views[view].kept_count,
                                    .number = part_number};
  struct tly_buffer boundaries[TLY_RUN_PIECES_MAX] = {{0}};
  uint64_t groups = sorted_groups(from.part) + fold_groups(&from);
  for (uint32_t i = 0; i < from.kept_count; i++)
    groups += kept_groups(&from, i);
  uint64_t pieces = groups / PIECE_GROUPS_MIN;
  pieces = pieces > work->job->threads ? work->job->threads : pieces;
  pieces = pieces > TLY_RUN_PIECES_MAX ? TLY_RUN_PIECES_MAX : pieces;
  uint32_t count = 0;
  enum tly_status status = TLY_OK;
  if (pieces > 1)
    status = find_boundaries(&from, (uint32_t)pieces, boundaries, &count, error);
  for (uint32_t i = 0; status == TLY_OK && i <= count; i++) {
    struct tly_merge_task *task = add_task(work);
    task->view = view;
    task->part = part_number;
    task->piece = i;
    task->pieces = count + 1;
    if (i > 0)
      tly_buffer_append(&task->low, boundaries[i - 1].data, boundaries[i - 1].size);
    if (i < count)
      tly_buffer_append(&task->high, boundaries[i].data, boundaries[i].size);
  }
  for (uint32_t i = 0; i < TLY_RUN_PIECES_MAX; i++)
    tly_buffer_free(&boundaries[i]);
  return status;
}

/* Folds whose keys cannot be ranked together: each becomes a source of its own. */
static enum tly_status drain_folds(struct tly_view_work *view, struct tly_error *error) {
  struct tly_part_work *part = &view->parts[0];
  part->sorted = tly_realloc_array(part->sorted, part->sorted_count + view->fold_count, sizeof(tly_sorted_groups *));
  part->sorted_capacity = part->sorted_count + view->fold_count;
  for (uint32_t i = 0; i < view->fold_count; i++) {
    tly_sorted_groups *sorted = tly_sorted_groups_new(view->program, 0, NULL);
    part->sorted[part->sorted_count++] = sorted;
    TLY_TRY(tly_group_table_drain(tly_fold_part(view->folds[i], 0), MERGED_GROUPS, tly_sorted_groups_append, sorted,
                                  error));
  }
  return TLY_OK;
}

static enum tly_status join_folds(struct tly_view_work *view, struct tly_error *error) {
  if (view->fold_count == 0)
    return TLY_OK;
  view->all_folds = tly_fold_union_new(view->folds, view->fold_count);
  return view->all_folds == NULL ? drain_folds(view, error) : TLY_OK;
}

static enum tly_status open_kept(struct tly_view_work *view, struct tly_error *error) {
  for (uint32_t i = 0; i < view->kept_count; i++) {
    struct tly_kept_groups *kept = &view->kept[i];
    TLY_TRY(tly_run_reader_open_folder(kept->folder, kept->run, view->program, &kept->reader, error));
  }
  return TLY_OK;
}

enum tly_status tly_recompute_divide(struct tly_recompute_work *work, struct tly_error *error) {
  for (uint32_t v = 0; v < work->job->view_count; v++) {
    TLY_TRY(join_folds(&work->views[v], error));
    TLY_TRY(open_kept(&work->views[v], error));
  }
  for (uint32_t v = 0; v < work->job->view_count; v++)
    for (uint32_t p = 0; p < work->views[v].program->part_count; p++)
      TLY_TRY(divide_part(work, v, p, error));
  return TLY_OK;
}

void tly_recompute_tasks_free(struct tly_recompute_work *work) {
  for (uint32_t i = 0; i < work->task_count; i++) {
    tly_buffer_free(&work->tasks[i].low);
    tly_buffer_free(&work->tasks[i].high);
    tly_run_piece_free(&work->tasks[i].result);
  }
  tly_free(work->tasks);
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

static enum tly_status write_source(struct tly_group_source source, const struct tly_recompute_work *work,
                                    tly_run_writer *writer, struct tly_error *error) {
  const struct tly_group_slice *slice;
  while (!atomic_load(&work->stopping)) {
    TLY_TRY(source.next(source.context, &slice, error));
    if (slice == NULL)
      return TLY_OK;
    TLY_TRY(tly_run_writer_append(writer, slice, error));
    tly_give_way();
  }
  return TLY_FAIL(error, TLY_E_CANCELLED, "another thread of the recompute has failed");
}

static enum tly_status write_merged(const struct tly_recompute_work *work, const struct tly_view_work *view,
                                    uint32_t part, const struct tly_group_source *sources, uint32_t count,
                                    tly_run_writer *writer, struct tly_error *error) {
  if (count == 0)
    return TLY_OK;
  if (count == 1)
    return write_source(sources[0], work, writer, error);
  tly_merge *merge = tly_merge_new(view->program, part, sources, count);
  const struct tly_group_slice *slice;
  enum tly_status status;
  while ((status = tly_merge_next(merge, MERGED_GROUPS, &slice, error)) == TLY_OK && slice != NULL &&
         !atomic_load(&work->stopping)) {
    status = tly_run_writer_append(writer, slice, error);
    if (status != TLY_OK)
      break;
    tly_give_way();
  }
  tly_merge_free(merge);
  return status;
}

/* What a piece is merged from. */
struct piece_sources {
  tly_fold_cursor *folds; /* or NULL */
  tly_sorted_cursor **sorted;
  uint32_t sorted_count;
  tly_run_reader **kept;
  uint32_t kept_count;
  struct tly_group_source *sources;
  uint32_t count;
};

/* A reader belongs to one thread, so each piece opens its own. */
static enum tly_status open_kept_sources(const struct tly_view_work *view, const struct tly_merge_task *task,
                                         struct piece_sources *from, struct tly_error *error) {
  for (uint32_t i = 0; i < view->kept_count; i++) {
    const struct tly_kept_groups *kept = &view->kept[i];
    TLY_TRY(tly_run_reader_open_folder(kept->folder, kept->run, view->program, &from->kept[i], error));
    from->kept_count++;
    TLY_TRY(tly_run_reader_scan(from->kept[i], task->part, buffer_text(&task->low), buffer_text(&task->high),
                                &from->sources[from->count++], error));
  }
  return TLY_OK;
}

static enum tly_status open_sources(const struct tly_view_work *view, const struct tly_merge_task *task,
                                    struct piece_sources *from, struct tly_error *error) {
  const struct tly_part_work *part = &view->parts[task->part];
  struct tly_text low = buffer_text(&task->low), high = buffer_text(&task->high);
  *from =
      (struct piece_sources){.sorted = tly_calloc(part->sorted_count, sizeof(tly_sorted_cursor *)),
                             .sorted_count = part->sorted_count,
                             .kept = tly_calloc(view->kept_count, sizeof(tly_run_reader *)),
                             .sources = tly_calloc(part->sorted_count + view->kept_count + 1, sizeof *from->sources)};
  if (task->part == 0 && view->all_folds != NULL) {
    from->folds = tly_fold_cursor_new(view->all_folds, low, high, MERGED_GROUPS);
    from->sources[from->count++] = tly_fold_cursor_source(from->folds);
  }
  for (uint32_t i = 0; i < part->sorted_count; i++) {
    from->sorted[i] = tly_sorted_cursor_new(part->sorted[i], low, high);
    from->sources[from->count++] = tly_sorted_cursor_source(from->sorted[i]);
  }
  return open_kept_sources(view, task, from, error);
}

static void close_sources(struct piece_sources *from) {
  tly_fold_cursor_free(from->folds);
  for (uint32_t i = 0; i < from->sorted_count; i++)
    tly_sorted_cursor_free(from->sorted[i]);
  for (uint32_t i = 0; i < from->kept_count; i++)
    tly_run_reader_close(from->kept[i]);
  tly_free(from->sorted);
  tly_free(from->kept);
  tly_free(from->sources);
}

static enum tly_status write_piece(const struct tly_recompute_work *work, struct tly_merge_task *task,
                                   struct tly_error *error) {
  const struct tly_view_work *view = &work->views[task->view];
  struct piece_sources from;
  tly_run_writer *writer = NULL;
  enum tly_status status = open_sources(view, task, &from, error);
  if (status == TLY_OK)
    status = tly_run_writer_open(work->folder, work->job->cut->number, view->program, task->part, task->piece,
                                 task->pieces, &writer, error);
  if (status == TLY_OK)
    status = write_merged(work, view, task->part, from.sources, from.count, writer, error);
  if (status == TLY_OK && !atomic_load(&work->stopping))
    status = tly_run_writer_finish(writer, &task->result, error);
  tly_run_writer_close(writer);
  close_sources(&from);
  return status;
}

enum tly_status tly_recompute_merge(struct tly_recompute_work *work, uint32_t thread, struct tly_error *error) {
  (void)thread;
  uint32_t task;
  while (!atomic_load(&work->stopping) && (task = atomic_fetch_add(&work->next_task, 1)) < work->task_count)
    TLY_TRY(write_piece(work, &work->tasks[task], error));
  return TLY_OK;
}
