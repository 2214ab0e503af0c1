/* Both sides have their instant fixed before either is read to its end: the ledger is opened (its snapshot, its file),
 * then the view (its snapshot); what takes long, reading, sorting and comparing, comes after both. So between the two
 * instants lies what the speed layer needs to fold what is archived, milliseconds when it is not behind. */
#include "batch_layer/ledger_job.h"

#include <string.h>

#include "batch_layer/ledger_reader.h"
#include "batch_layer/ledger_report.h"
#include "batch_layer/ledger_rows.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

/* The view's rows, as the comparison takes them. */
struct view_side {
  tly_merged_view *merged; /* NULL: not open */
  const struct tly_ledger_match *match;
  struct tly_view_rows rows;
  uint32_t next;
  struct tly_buffer key;
  struct tly_keyed_row row;
};

struct work {
  const struct tly_ledger_job *job;
  tly_ledger_reader *reader; /* NULL: not open */
  tly_ledger_rows *rows;
  struct view_side view;
  struct tly_comparison comparison;
};

/* ---- the view's side --------------------------------------------------------------------------------------------- */

static enum tly_status open_view(const struct tly_ledger_job *job, struct view_side *side, struct tly_error *error) {
  const struct tly_ledger_match *match = job->match;
  bool *wanted = tly_calloc(match->view->output_count, sizeof *wanted);
  for (uint32_t k = 0; k < match->key_count; k++)
    wanted[match->keys[k].output] = true;
  for (uint32_t c = 0; c < match->compared_count; c++)
    wanted[match->compared[c].output] = true;
  struct tly_merged_view_options options = {.directory = job->directory,
                                            .project = job->project,
                                            .view = match->view,
                                            .wanted = wanted,
                                            .wait_ms = job->wait_ms};
  side->match = match;
  side->row.values = tly_calloc(match->compared_count, sizeof *side->row.values);
  enum tly_status status = tly_merged_view_open(&options, &side->merged, error);
  tly_free(wanted);
  return status;
}

static void close_view(struct view_side *side) {
  tly_merged_view_close(side->merged);
  tly_buffer_free(&side->key);
  tly_free(side->row.values);
}

static struct tly_value value_of(const struct view_side *side, const struct tly_ledger_pair *pair, uint32_t row) {
  struct tly_value value = tly_vector_value(&side->rows.outputs[pair->output], row);
  return tly_ledger_pair_value(pair, &value);
}

static enum tly_status next_of_view(void *context, const struct tly_keyed_row **out, struct tly_error *error) {
  struct view_side *side = context;
  *out = NULL;
  if (side->next == side->rows.row_count) {
    TLY_TRY(tly_merged_view_next(side->merged, &side->rows, error));
    side->next = 0;
    if (side->rows.row_count == 0)
      return TLY_OK;
  }
  uint32_t row = side->rows.rows[side->next++];
  tly_buffer_clear(&side->key);
  for (uint32_t k = 0; k < side->match->key_count; k++) {
    struct tly_value value = value_of(side, &side->match->keys[k], row);
    tly_key_append(&side->key, &value);
  }
  for (uint32_t c = 0; c < side->match->compared_count; c++)
    side->row.values[c] = value_of(side, &side->match->compared[c], row);
  side->row.key.data = tly_buffer_text(&side->key);
  side->row.key.size = (uint32_t)side->key.size;
  *out = &side->row;
  return TLY_OK;
}

/* ---- the work ---------------------------------------------------------------------------------------------------- */

static enum tly_status read_ledger(struct work *work, struct tly_error *error) {
  const struct tly_ledger_job *job = work->job;
  const struct tly_event_batch *batch;
  uint64_t count = 0;
  TLY_TRY(tly_ledger_rows_open(job->match, job->directory, &work->rows, error));
  for (;;) {
    TLY_TRY(tly_ledger_reader_next(work->reader, &batch, error));
    if (batch == NULL)
      return tly_ledger_rows_sort(work->rows, error);
    TLY_TRY(tly_ledger_rows_add(work->rows, batch, error));
    count += batch->count;
    if (job->progress != NULL)
      job->progress(job->context, "ledger", count);
  }
}

static void say_compared(void *context, uint64_t keys) {
  const struct tly_ledger_job *job = context;
  if (job->progress != NULL)
    job->progress(job->context, "compare", keys);
}

static enum tly_status run(struct work *work, struct tly_error *error) {
  const struct tly_ledger_job *job = work->job;
  TLY_TRY(tly_ledger_reader_open(job->match->ledger, job->folder, &work->reader, error));
  TLY_TRY(open_view(job, &work->view, error));
  TLY_TRY(read_ledger(work, error));
  struct tly_keyed_source tally = {.next = next_of_view, .context = &work->view};
  return tly_ledger_compare(&work->comparison, job->tolerance, tally, tly_ledger_rows_source(work->rows), say_compared,
                            (void *)(uintptr_t)job, error);
}

void tly_ledger_job_run(const struct tly_ledger_job *job, struct tly_buffer *out) {
  struct work work = {.job = job};
  struct tly_error why = TLY_ERROR_NONE;
  tly_comparison_init(&work.comparison, job->match, job->breaks);
  bool is_complete = run(&work, &why) == TLY_OK;
  struct tly_hash hash = {0};
  if (is_complete)
    hash = tly_ledger_rows_hash(work.rows);
  struct tly_ledger_report report = {.match = job->match,
                                     .tolerance = job->tolerance,
                                     .comparison = is_complete ? &work.comparison : NULL,
                                     .view_facts =
                                         work.view.merged != NULL ? tly_merged_view_facts(work.view.merged) : NULL,
                                     .ledger_facts = work.reader != NULL ? tly_ledger_reader_facts(work.reader) : NULL,
                                     .ledger_hash = is_complete ? &hash : NULL,
                                     .why = is_complete ? NULL : &why};
  tly_ledger_report_print(&report, out);
  tly_comparison_free(&work.comparison);
  tly_ledger_rows_close(work.rows);
  close_view(&work.view);
  tly_ledger_reader_close(work.reader);
}
