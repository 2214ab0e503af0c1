#include "serving_layer/break_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/store/fact_json.h"
#include "common/wire/request.h"

enum { RECONCILIATIONS_SHOWN = 20 };

/* ---- breaks ------------------------------------------------------------------------------------------------------ */

static json_t *break_json(const struct tly_break_row *row, int64_t now_us) {
  int64_t days = tly_break_age_days(row->since_us, row->is_present ? now_us : row->gone_at_us);
  json_t *out = json_object();
  json_object_set_new(out, "id", json_integer(row->id));
  json_object_set_new(out, "view", json_string(row->view));
  json_object_set_new(out, "against", json_string(row->ledger));
  json_object_set_new(out, "break", json_string(row->kind));
  json_object_set_new(out, "column", tly_text_json(row->column));
  json_object_set_new(out, "key", tly_stored_json(row->key));
  json_object_set_new(out, "tally", tly_stored_json(row->tally));
  json_object_set_new(out, "ledger", tly_stored_json(row->ledger_side));
  json_object_set_new(out, "difference", tly_stored_json(row->difference));
  json_object_set_new(out, "rows", json_integer(row->ledger_rows));
  json_object_set_new(out, "status", json_string(row->status));
  json_object_set_new(out, "present", json_boolean(row->is_present));
  json_object_set_new(out, "since", tly_time_json(row->since_us));
  json_object_set_new(out, "gone_at", tly_time_json(row->gone_at_us));
  json_object_set_new(out, "age_days", json_integer(days));
  json_object_set_new(out, "age", json_string(tly_break_age_bucket(days)));
  json_object_set_new(out, "times_seen", json_integer(row->times_seen));
  json_object_set_new(out, "first_seen", json_integer(row->first_seen));
  json_object_set_new(out, "first_seen_at", tly_time_json(row->first_seen_at_us));
  json_object_set_new(out, "last_seen", json_integer(row->last_seen));
  json_object_set_new(out, "last_seen_at", tly_time_json(row->last_seen_at_us));
  return out;
}

static enum tly_status add_history(tly_break_reader *reader, int64_t id, struct tly_arena *arena, json_t *out,
                                   struct tly_error *error) {
  struct tly_break_event *events;
  uint32_t count;
  TLY_TRY(tly_break_reader_history(reader, id, arena, &events, &count, error));
  json_t *history = json_array();
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(
        history,
        json_pack("{s:o,s:s,s:s,s:s,s:s,s:o}", "at", tly_time_json(events[i].at_us), "change", events[i].change,
                  "status", events[i].status, "by", events[i].who, "reason", events[i].why, "reconciliation",
                  events[i].reconciliation > 0 ? json_integer(events[i].reconciliation) : json_null()));
  json_object_set_new(out, "history", history);
  return TLY_OK;
}

static enum tly_status read_filter(const json_t *params, struct tly_break_filter *filter, int64_t *max,
                                   struct tly_error *error) {
  *filter = (struct tly_break_filter){.view = NULL};
  *max = TLY_BREAKS_PAGE_MAX;
  TLY_TRY(tly_param_text(params, "view", &filter->view, error));
  TLY_TRY(tly_param_text(params, "against", &filter->ledger, error));
  TLY_TRY(tly_param_text(params, "status", &filter->status, error));
  TLY_TRY(tly_param_boolean(params, "all", &filter->with_resolved, error));
  TLY_TRY(tly_param_integer(params, "break", &filter->id, error));
  TLY_TRY(tly_param_integer(params, "after", &filter->after, error));
  TLY_TRY(tly_param_integer(params, "max", max, error));
  if (*max < 1 || *max > TLY_BREAKS_PAGE_MAX)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"max\" must be from 1 to %d", TLY_BREAKS_PAGE_MAX);
  return TLY_OK;
}

static size_t size_of(const struct tly_break_row *row) {
  return strlen(row->key) + strlen(row->tally) + strlen(row->ledger_side) + strlen(row->difference) +
         2 * TLY_BREAK_MARKS_BYTES;
}

/* The rows that fit an answer, at least one; those that do not are asked for anew. */
static void add_rows(const struct tly_break_row *rows, uint32_t count, uint32_t max, json_t *out) {
  json_t *list = json_object_get(out, "breaks");
  int64_t now_us = tly_clock_now_us(&tly_clock_real);
  size_t bytes = 0;
  uint32_t shown = 0;
  for (; shown < count && shown < max; shown++) {
    bytes += size_of(&rows[shown]);
    if (shown > 0 && bytes > TLY_BREAKS_LISTED_BYTES + TLY_BREAKS_PAGE_MAX * TLY_BREAK_MARKS_BYTES)
      break;
    json_array_append_new(list, break_json(&rows[shown], now_us));
  }
  json_object_set_new(out, "more", json_boolean(shown < count));
}

static enum tly_status read_breaks(tly_break_reader *reader, const struct tly_break_filter *filter, uint32_t max,
                                   struct tly_arena *arena, json_t *out, struct tly_error *error) {
  struct tly_break_row *rows;
  uint32_t count;
  TLY_TRY(tly_break_reader_breaks(reader, filter, max + 1, arena, &rows, &count, error));
  add_rows(rows, count, max, out);
  if (filter->id == 0)
    return TLY_OK;
  if (count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "there is no break %" PRId64, filter->id);
  return add_history(reader, filter->id, arena, json_array_get(json_object_get(out, "breaks"), 0), error);
}

enum tly_status tly_report_breaks(tly_store_source *source, const json_t *params, json_t *out,
                                  struct tly_error *error) {
  struct tly_break_filter filter;
  struct tly_arena arena;
  tly_break_reader *reader;
  int64_t max;
  TLY_TRY(read_filter(params, &filter, &max, error));
  json_object_set_new(out, "breaks", json_array());
  json_object_set_new(out, "more", json_false());
  enum tly_status status = tly_store_source_breaks(source, &reader, error);
  if (status != TLY_OK)
    return status == TLY_E_NOT_READY ? TLY_OK : status;
  tly_arena_init(&arena);
  status = read_breaks(reader, &filter, (uint32_t)max, &arena, out, error);
  tly_arena_free(&arena);
  return status;
}

/* ---- reconciliations --------------------------------------------------------------------------------------------- */

static void add_counts(const struct tly_reconciliation *row, json_t *out) {
  const struct {
    const char *name;
    int64_t count;
  } counts[] = {{"keys", row->keys},
                {"matched", row->matched},
                {"within_tolerance", row->within_tolerance},
                {"broken", row->broken},
                {"tally_keys", row->tally_keys},
                {"ledger_rows", row->ledger_rows},
                {"breaks", row->breaks},
                {"kept", row->kept},
                {"previous", row->previous},
                {"new", row->new_count},
                {"carried", row->carried},
                {"reopened", row->reopened},
                {"cleared", row->cleared},
                {"accepted", row->accepted}};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    json_object_set_new(out, counts[i].name, tly_count_json(counts[i].count));
}

static json_t *reason_json(const struct tly_reconciliation *row) {
  if (row->error == NULL)
    return json_null();
  return json_pack("{s:o,s:s}", "sqlstate", tly_text_json(row->sqlstate), "message", row->error);
}

static json_t *reconciliation_json(const struct tly_reconciliation *row) {
  json_t *out = json_object();
  json_object_set_new(out, "reconciliation", json_integer(row->id));
  json_object_set_new(out, "view", json_string(row->view));
  json_object_set_new(out, "against", json_string(row->ledger));
  json_object_set_new(out, "result", json_string(row->result));
  json_object_set_new(out, "reason", reason_json(row));
  json_object_set_new(out, "started_by", json_string(row->reason));
  json_object_set_new(out, "scheduled_for", tly_time_json(row->scheduled_for_us));
  json_object_set_new(out, "started_at", tly_time_json(row->started_at_us));
  json_object_set_new(out, "finished_at", tly_time_json(row->finished_at_us));
  add_counts(row, out);
  json_object_set_new(out, "tolerance", json_string(row->tolerance));
  json_object_set_new(out, "columns", tly_stored_json(row->columns));
  json_object_set_new(out, "definition", tly_hash_json(&row->definition_hash));
  json_object_set_new(out, "ledger_hash", row->has_ledger_hash ? tly_hash_json(&row->ledger_hash) : json_null());
  json_object_set_new(out, "as_of", tly_stored_json(row->as_of));
  json_object_set_new(out, "kinds", tly_stored_json(row->kinds));
  json_object_set_new(out, "totals", tly_stored_json(row->totals));
  return out;
}

/* As many as fit an answer. */
static void add_reconciliations(const struct tly_reconciliation *rows, uint32_t count, json_t *list) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    bytes += strlen(rows[i].columns) + strlen(rows[i].as_of) + (rows[i].totals != NULL ? strlen(rows[i].totals) : 0) +
             4 * TLY_BREAK_MARKS_BYTES;
    if (i > 0 && bytes > TLY_LINE_BYTES_MAX / 2)
      return;
    json_array_append_new(list, reconciliation_json(&rows[i]));
  }
}

enum tly_status tly_report_reconciliations(tly_store_source *source, const json_t *params, json_t *out,
                                           struct tly_error *error) {
  const char *view = NULL, *ledger = NULL;
  struct tly_reconciliation *rows;
  struct tly_arena arena;
  tly_break_reader *reader;
  int64_t max = RECONCILIATIONS_SHOWN;
  uint32_t count;
  TLY_TRY(tly_param_text(params, "view", &view, error));
  TLY_TRY(tly_param_text(params, "against", &ledger, error));
  TLY_TRY(tly_param_integer(params, "max", &max, error));
  if (max < 1 || max > TLY_BREAKS_PAGE_MAX)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"max\" must be from 1 to %d", TLY_BREAKS_PAGE_MAX);
  json_object_set_new(out, "reconciliations", json_array());
  enum tly_status status = tly_store_source_breaks(source, &reader, error);
  if (status != TLY_OK)
    return status == TLY_E_NOT_READY ? TLY_OK : status;
  tly_arena_init(&arena);
  status = tly_break_reader_reconciliations(reader, view, ledger, (uint32_t)max, &arena, &rows, &count, error);
  if (status == TLY_OK)
    add_reconciliations(rows, count, json_object_get(out, "reconciliations"));
  tly_arena_free(&arena);
  return status;
}
