/* Two walks: the view's rows, read from the run's files and folded into the check's states; then the check's one row,
 * an output at a time, so that one that raises does not hide the others.
 *
 * A row on which an argument or FILTER of the check raises is set aside by the fold, as an event would be. In a view
 * that is right: one bad event must not take the totals of all. In a check it is not: totals that leave rows out prove
 * nothing. So then the verdict is an error, and names the first such row. */
#include "batch_layer/control_totals.h"

#include <inttypes.h>
#include <string.h>

#include "batch_layer/sorted_groups.h"
#include "common/base/assert.h"
#include "common/base/give_way.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/fold.h"
#include "common/engine/view_walk.h"
#include "common/store/run_reader.h"

/* The check of one view. */
struct computation {
  const struct tly_view *view;
  struct tly_view_program *rows_program, *program; /* of the view, of its check */
  tly_run_reader *run;
  bool *wanted, *needed;            /* outputs and parts of the view */
  struct tly_group_source *sources; /* parts of the run */
  tly_view_walk *rows;
  tly_fold *fold;
  struct tly_event_batch batch;
  tly_sorted_groups **totals; /* the check's parts, folded */
  struct tly_buffer raised;   /* the first row that was set aside, and why */
  struct tly_arena *arena;
};

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* At most `max` bytes of it, whole characters (an error's message may have been cut within one); where it was too long,
 * it ends in "...". */
static void append_cut(struct tly_buffer *out, const char *text, size_t size, size_t max) {
  size_t kept = size < max ? size : max;
  while (kept > 0 && !tly_text_is_valid(text, kept))
    kept--;
  tly_buffer_append(out, text, kept);
  if (size > max)
    tly_buffer_append_text(out, "...");
}

/* "division by zero (22012)" */
static void append_error(struct tly_buffer *out, const char *message, enum tly_status status) {
  append_cut(out, message, strlen(message), TLY_CHECK_WORDS_BYTES);
  tly_buffer_print(out, " (%s)", tly_status_sqlstate(status));
}

static void append_value(struct tly_buffer *out, const struct tly_value *value) {
  struct tly_buffer text = {0};
  if (value->is_null)
    tly_buffer_append_text(&text, "NULL");
  else
    tly_value_print(value, &text);
  append_cut(out, tly_buffer_text(&text), text.size, TLY_CHECK_VALUE_BYTES);
  tly_buffer_free(&text);
}

static const char *keep_words(const struct computation *computation, struct tly_buffer *words) {
  struct tly_buffer kept = {0};
  append_cut(&kept, tly_buffer_text(words), words->size, TLY_CHECK_WORDS_BYTES);
  const char *copy = tly_arena_copy(computation->arena, tly_buffer_text(&kept), kept.size);
  tly_buffer_free(&kept);
  return copy;
}

/* Whether a failure says something of the data, and not of the files they stand in. */
static bool is_of_data(enum tly_status status) {
  return strncmp(tly_status_sqlstate(status), "22", 2) == 0;
}

static void set_error(const struct computation *computation, struct tly_buffer *words, struct tly_run_check *result) {
  result->verdict = "error";
  result->found = keep_words(computation, words);
}

/* ---- the view's rows --------------------------------------------------------------------------------------------- */

/* What the check reads, and the keys, which say what row it is. */
static void choose_outputs(struct computation *computation) {
  const struct tly_view *view = computation->view;
  computation->wanted = tly_calloc(view->output_count, sizeof *computation->wanted);
  for (uint32_t o = 0; o < view->output_count; o++)
    computation->wanted[o] = computation->program->column_used[o] || view->outputs[o].expression->kind == TLY_EXPR_KEY;
  computation->needed = tly_calloc(computation->rows_program->part_count, sizeof *computation->needed);
  tly_view_needed_parts(computation->rows_program, computation->wanted, computation->needed);
}

static enum tly_status open_rows(struct computation *computation, const struct tly_control_totals_job *job,
                                 struct tly_error *error) {
  uint32_t part_count = computation->rows_program->part_count;
  struct tly_text unbounded = {.data = NULL};
  choose_outputs(computation);
  computation->sources = tly_calloc(part_count, sizeof *computation->sources);
  TLY_TRY(tly_run_reader_open(job->directory, job->run, computation->rows_program, &computation->run, error));
  for (uint32_t p = 0; p < part_count; p++)
    if (computation->needed[p])
      TLY_TRY(tly_run_reader_scan(computation->run, p, unbounded, unbounded, &computation->sources[p], error));
  computation->rows = tly_view_walk_new(computation->rows_program, computation->sources, computation->wanted);
  return TLY_OK;
}

static void copy_element(struct tly_vector *to, uint32_t to_row, const struct tly_vector *from, uint32_t from_row) {
  from_row = tly_vector_row(from, from_row);
  switch (tly_type_form(from->type)) {
  case TLY_FORM_I64: to->i64[to_row] = from->i64[from_row]; return;
  case TLY_FORM_I128: to->i128[to_row] = from->i128[from_row]; return;
  case TLY_FORM_F64: to->f64[to_row] = from->f64[from_row]; return;
  case TLY_FORM_TEXT: to->text[to_row] = tly_vector_text(from, from_row); return;
  case TLY_FORM_DECIMAL: to->decimal[to_row] = from->decimal[from_row]; return;
  case TLY_FORM_INTERVAL: break;
  }
  TLY_UNREACHABLE(); /* no output of a view is an interval */
}

/* The chosen rows of an output, one behind the other. */
static struct tly_vector gather(const struct tly_vector *from, const struct tly_view_rows *rows,
                                struct tly_arena *arena) {
  struct tly_vector to = tly_vector_new(from->type, rows->row_count, arena);
  uint8_t *null = from->null != NULL ? tly_arena_zero(arena, rows->row_count) : NULL;
  for (uint32_t i = 0; i < rows->row_count; i++) {
    copy_element(&to, i, from, rows->rows[i]);
    if (null != NULL)
      null[i] = tly_vector_is_null(from, rows->rows[i]);
  }
  to.null = null;
  return to;
}

/* The rows as a batch of the check's stream. */
static void fill_batch(struct computation *computation, const struct tly_view_rows *rows) {
  struct tly_event_batch *batch = &computation->batch;
  uint32_t column_count = batch->stream->column_count;
  tly_event_batch_reset(batch);
  batch->count = rows->row_count;
  batch->columns = TLY_ARENA_ARRAY(&batch->arena, struct tly_vector, column_count);
  for (uint32_t o = 0; o < column_count; o++)
    if (computation->wanted[o])
      batch->columns[o] = gather(&rows->outputs[o], rows, &batch->arena);
}

static void note_raised(void *context, uint32_t event, const struct tly_row_error *error) {
  struct computation *computation = context;
  const char *separator = " in the row ";
  if (computation->raised.size > 0)
    return;
  append_error(&computation->raised, error->message, error->status);
  for (uint32_t o = 0; o < computation->view->output_count; o++) {
    if (!computation->wanted[o])
      continue;
    struct tly_value value = tly_vector_value(&computation->batch.columns[o], event);
    tly_buffer_print(&computation->raised, "%s%s = ", separator, computation->view->outputs[o].name);
    append_value(&computation->raised, &value);
    separator = ", ";
  }
}

static enum tly_status fold_rows(struct computation *computation, const struct tly_control_totals_job *job,
                                 struct tly_error *error) {
  uint64_t done = 0, all = tly_run_reader_groups(computation->run, 0);
  struct tly_view_rows rows;
  for (;;) {
    tly_give_way();
    TLY_TRY(tly_view_walk_next(computation->rows, &rows, error));
    if (rows.row_count == 0)
      return TLY_OK;
    fill_batch(computation, &rows);
    tly_fold_batch(computation->fold, &computation->batch, note_raised, computation);
    if (tly_fold_bytes(computation->fold) > TLY_CHECK_BYTES)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "it counts more distinct values than fit into %d MB",
                      TLY_CHECK_BYTES >> 20);
    done += rows.row_count;
    if (job->progress != NULL)
      job->progress(job->context, done, all);
  }
}

/* ---- the check's row --------------------------------------------------------------------------------------------- */

static enum tly_status sort_totals(struct computation *computation, struct tly_error *error) {
  uint32_t part_count = computation->program->part_count;
  computation->totals = tly_calloc(part_count, sizeof(tly_sorted_groups *));
  for (uint32_t p = 0; p < part_count; p++) {
    computation->totals[p] = tly_sorted_groups_new(computation->program, p, NULL);
    TLY_TRY(tly_group_table_drain(tly_fold_part(computation->fold, p), TLY_EVALUATE_ROWS, tly_sorted_groups_append,
                                  computation->totals[p], error));
  }
  return TLY_OK;
}

/* One output of the row appended to *out as text; *value is valid for nothing but whether it is NULL, and a boolean. */
static enum tly_status finish_output(const struct computation *computation, uint32_t output, struct tly_buffer *out,
                                     struct tly_value *value, struct tly_error *error) {
  uint32_t part_count = computation->program->part_count;
  tly_sorted_cursor **cursors = tly_calloc(part_count, sizeof(tly_sorted_cursor *));
  struct tly_group_source *sources = tly_calloc(part_count, sizeof *sources);
  bool *wanted = tly_calloc(computation->program->view->output_count, sizeof *wanted);
  struct tly_text unbounded = {.data = NULL};
  struct tly_view_rows rows;
  wanted[output] = true;
  for (uint32_t p = 0; p < part_count; p++) {
    cursors[p] = tly_sorted_cursor_new(computation->totals[p], unbounded, unbounded);
    sources[p] = tly_sorted_cursor_source(cursors[p]);
  }
  tly_view_walk *walk = tly_view_walk_new(computation->program, sources, wanted);
  enum tly_status status = tly_view_walk_next(walk, &rows, error);
  if (status == TLY_OK) {
    TLY_ASSERT(rows.row_count == 1); /* no keys, no HAVING */
    *value = tly_vector_value(&rows.outputs[output], rows.rows[0]);
    append_value(out, value);
  }
  tly_view_walk_free(walk);
  for (uint32_t p = 0; p < part_count; p++)
    tly_sorted_cursor_free(cursors[p]);
  tly_free(cursors);
  tly_free(sources);
  tly_free(wanted);
  return status;
}

/* "sum(debit) = 12.30, count(*) = 7" */
static enum tly_status append_values(const struct computation *computation, struct tly_buffer *words,
                                     struct tly_error *error) {
  const struct tly_view *check = computation->program->view;
  for (uint32_t o = 1; o < check->output_count; o++) {
    struct tly_value value;
    tly_buffer_print(words, "%s%s = ", o > 1 ? ", " : "", check->outputs[o].name);
    enum tly_status status = finish_output(computation, o, words, &value, error);
    if (status != TLY_OK && !is_of_data(status))
      return status;
    if (status != TLY_OK)
      append_error(words, error->message, status);
  }
  return TLY_OK;
}

static enum tly_status judge(const struct computation *computation, struct tly_run_check *result,
                             struct tly_error *error) {
  struct tly_buffer words = {0}, ignored = {0};
  struct tly_value value;
  enum tly_status status = finish_output(computation, 0, &ignored, &value, error);
  if (status == TLY_OK) {
    result->verdict = value.is_null ? "null" : value.i64 != 0 ? "true" : "false";
  } else if (is_of_data(status)) {
    result->verdict = "error";
    append_error(&words, error->message, status);
    tly_buffer_append_text(&words, computation->program->view->output_count > 1 ? ": " : "");
    status = TLY_OK;
  }
  if (status == TLY_OK)
    status = append_values(computation, &words, error);
  if (status == TLY_OK)
    result->found = keep_words(computation, &words);
  tly_buffer_free(&words);
  tly_buffer_free(&ignored);
  return status;
}

/* ---- the check as a whole ---------------------------------------------------------------------------------------- */

/* The rows are folded: what do they say? */
static enum tly_status conclude(struct computation *computation, struct tly_run_check *result,
                                struct tly_error *error) {
  uint64_t raised = tly_fold_counts(computation->fold).set_aside;
  if (raised == 0) {
    TLY_TRY(sort_totals(computation, error));
    return judge(computation, result, error);
  }
  if (raised > 1)
    tly_buffer_print(&computation->raised, ", and in %" PRIu64 " more", raised - 1);
  set_error(computation, &computation->raised, result);
  return TLY_OK;
}

static enum tly_status compute(struct computation *computation, const struct tly_control_totals_job *job,
                               struct tly_run_check *result, struct tly_error *error) {
  TLY_TRY(open_rows(computation, job, error));
  enum tly_status status = fold_rows(computation, job, error);
  if (status == TLY_OK)
    return conclude(computation, result, error);
  if (!is_of_data(status) && status != TLY_E_TOO_LARGE)
    return status;
  tly_buffer_clear(&computation->raised);
  append_error(&computation->raised, error->message, status);
  set_error(computation, &computation->raised, result);
  return TLY_OK;
}

static void free_computation(struct computation *computation) {
  tly_view_walk_free(computation->rows);
  for (uint32_t p = 0; computation->sources != NULL && p < computation->rows_program->part_count; p++)
    if (computation->sources[p].context != NULL)
      tly_run_reader_end_scan(computation->run, &computation->sources[p]);
  if (computation->run != NULL)
    tly_run_reader_close(computation->run);
  for (uint32_t p = 0; computation->totals != NULL && p < computation->program->part_count; p++)
    tly_sorted_groups_free(computation->totals[p]);
  tly_event_batch_free(&computation->batch);
  tly_fold_free(computation->fold);
  tly_view_program_free(computation->rows_program);
  tly_view_program_free(computation->program);
  tly_buffer_free(&computation->raised);
  tly_free(computation->totals);
  tly_free(computation->sources);
  tly_free(computation->wanted);
  tly_free(computation->needed);
}

static enum tly_status check_view(const struct tly_control_totals_job *job, const struct tly_view *view,
                                  struct tly_arena *arena, struct tly_run_check *result, struct tly_error *error) {
  struct computation computation = {.view = view, .arena = arena};
  result->text = view->check->text;
  computation.rows_program = tly_view_program_new(view);
  computation.program = tly_view_program_new(view->check->view);
  computation.fold = tly_fold_new(computation.program);
  tly_event_batch_init(&computation.batch, view->check->view->stream);
  enum tly_status status = compute(&computation, job, result, error);
  free_computation(&computation);
  return status;
}

enum tly_status tly_control_totals(const struct tly_control_totals_job *job, struct tly_arena *arena,
                                   struct tly_run_result *result, struct tly_error *error) {
  TLY_ASSERT(result->view_count == job->view_count);
  for (uint32_t v = 0; v < job->view_count; v++)
    if (job->views[v]->check != NULL)
      TLY_TRY(check_view(job, job->views[v], arena, &result->views[v].check, error));
  return TLY_OK;
}
