/* WHAT NEVER CHANGES. A reconciliation's row and its sightings are written once; a sighting names the last change of
 * its break's history then, which is only added to. So what somebody decides of a break later is in the report of the
 * next reconciliation, not in this one. A run's rows are final when it has ended but for its state, which goes on (its
 * files are withdrawn, it is rolled back): the report says how the run ended, and nothing of what became of it. */
#include "cli/report_data.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/store/batch_reader.h"
#include "common/store/break_reader.h"
#include "common/store/fact_json.h"

enum { AGE_BUCKET_COUNT = 5, MICROSECONDS_A_MILLISECOND = 1000 };

static const char *const age_buckets[AGE_BUCKET_COUNT] = {"0-1", "2-7", "8-30", "31-90", ">90"};
static const char *const statuses[] = {"open", "investigating", "accepted"}; /* of a break that is there */

static json_t *error_json(const char *sqlstate, const char *message) {
  return message != NULL
             ? json_pack("{s:o,s:o}", "sqlstate", tly_text_json(sqlstate), "message", tly_text_json(message))
             : json_null();
}

/* ---- breaks ------------------------------------------------------------------------------------------------------ */

static json_t *break_json(const struct tly_sighting *row, int64_t ended_at_us) {
  int64_t days = tly_break_age_days(row->since_us, ended_at_us);
  json_t *out = json_object();
  json_object_set_new(out, "id", json_integer(row->id));
  json_object_set_new(out, "break", tly_text_json(row->kind));
  json_object_set_new(out, "key", tly_stored_json(row->key));
  json_object_set_new(out, "column", tly_text_json(row->column));
  json_object_set_new(out, "tally", tly_stored_json(row->tally));
  json_object_set_new(out, "ledger", tly_stored_json(row->ledger_side));
  json_object_set_new(out, "difference", tly_stored_json(row->difference));
  json_object_set_new(out, "ledger_rows", json_integer(row->ledger_rows));
  json_object_set_new(out, "change", tly_text_json(row->change));
  json_object_set_new(out, "status", tly_text_json(row->status.status));
  json_object_set_new(out, "status_at", tly_time_json(row->status.at_us));
  json_object_set_new(out, "status_by", tly_text_json(row->status.who));
  json_object_set_new(out, "status_reason", tly_text_json(row->status.why));
  json_object_set_new(out, "since", tly_time_json(row->since_us));
  json_object_set_new(out, "age_days", json_integer(days));
  json_object_set_new(out, "age", json_string(tly_break_age_bucket(days)));
  json_object_set_new(out, "first_seen", json_integer(row->first_seen));
  json_object_set_new(out, "times_seen", json_integer(row->times_seen));
  return out;
}

static void add_one(json_t *counts, const char *name) {
  json_object_set_new(counts, name, json_integer(json_integer_value(json_object_get(counts, name)) + 1));
}

static json_t *new_aging(void) {
  json_t *out = json_array();
  for (int i = 0; i < AGE_BUCKET_COUNT; i++) {
    json_t *row = json_pack("{s:s,s:i}", "age", age_buckets[i], "breaks", 0);
    for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++)
      json_object_set_new(row, statuses[s], json_integer(0));
    json_array_append_new(out, row);
  }
  return out;
}

static void add_age(json_t *aging, const json_t *found) {
  size_t i;
  json_t *row;
  const char *age = json_string_value(json_object_get(found, "age"));
  json_array_foreach(aging, i, row) {
    if (strcmp(json_string_value(json_object_get(row, "age")), age) == 0) {
      add_one(row, "breaks");
      add_one(row, json_string_value(json_object_get(found, "status")));
    }
  }
}

static enum tly_status add_breaks(tly_break_reader *reader, const struct tly_reconciliation *row, json_t *out,
                                  struct tly_error *error) {
  json_t *aging = new_aging(), *seen = json_array(), *cleared = json_array();
  struct tly_sighting *sightings;
  struct tly_arena arena;
  uint32_t count = 1;
  int64_t after = 0;
  enum tly_status status = TLY_OK;
  json_object_set_new(out, "aging", aging);
  json_object_set_new(out, "breaks", seen);
  json_object_set_new(out, "cleared", cleared);
  tly_arena_init(&arena);
  while (status == TLY_OK && count > 0) {
    tly_arena_reset(&arena);
    status = tly_break_reader_sightings(reader, row->id, after, TLY_BREAKS_PAGE_MAX, &arena, &sightings, &count, error);
    for (uint32_t i = 0; status == TLY_OK && i < count; i++) {
      bool is_gone = strcmp(sightings[i].change, "cleared") == 0;
      json_t *found = break_json(&sightings[i], row->finished_at_us);
      json_array_append_new(is_gone ? cleared : seen, found);
      if (!is_gone)
        add_age(aging, found);
      after = sightings[i].id;
    }
  }
  tly_arena_free(&arena);
  return status;
}

/* ---- reconciliations --------------------------------------------------------------------------------------------- */

/* Both sides, each at its instant. */
static json_t *inputs_json(const struct tly_reconciliation *row) {
  json_t *as_of = tly_stored_json(row->as_of), *tally = json_object(), *ledger = json_object();
  json_object_set_new(tally, "view", tly_text_json(row->view));
  json_object_set_new(tally, "definition_hash", tly_hash_json(&row->definition_hash));
  json_object_set(tally, "as_of", json_object_get(as_of, "tally"));
  json_object_set_new(tally, "keys", tly_count_json(row->tally_keys));
  json_object_set_new(tally, "definition", tly_text_json(row->view_source));
  json_object_set_new(ledger, "name", tly_text_json(row->ledger));
  json_object_set(ledger, "as_of", json_object_get(as_of, "ledger"));
  json_object_set_new(ledger, "content_hash", row->has_ledger_hash ? tly_hash_json(&row->ledger_hash) : json_null());
  json_object_set_new(ledger, "rows", tly_count_json(row->ledger_rows));
  json_object_set_new(ledger, "definition", tly_text_json(row->ledger_source));
  json_decref(as_of);
  return json_pack("{s:o,s:o}", "tally", tally, "ledger", ledger);
}

static json_t *rules_json(const struct tly_reconciliation *row) {
  json_t *out = tly_stored_json(row->columns);
  if (!json_is_object(out))
    out = json_object();
  json_object_set_new(out, "tolerance", tly_text_json(row->tolerance));
  return out;
}

/* Per cent of the keys that have no break, two digits, never rounded up: 100.00 is all of them. */
static json_t *match_rate_json(const struct tly_reconciliation *row) {
  if (row->keys < 0)
    return json_null();
  unsigned long long rate = 10000;
  if (row->keys > 0)
    rate = (unsigned long long)((tly_u128)(row->matched + row->within_tolerance) * 10000 / (tly_u128)row->keys);
  return json_sprintf("%llu.%02llu", rate / 100, rate % 100);
}

static json_t *counts_json(const struct tly_reconciliation *row) {
  json_t *out = json_object();
  json_object_set_new(out, "keys", tly_count_json(row->keys));
  json_object_set_new(out, "matched", tly_count_json(row->matched));
  json_object_set_new(out, "within_tolerance", tly_count_json(row->within_tolerance));
  json_object_set_new(out, "broken", tly_count_json(row->broken));
  json_object_set_new(out, "match_rate", match_rate_json(row));
  json_object_set_new(out, "breaks", tly_count_json(row->breaks));
  json_object_set_new(out, "kept", tly_count_json(row->kept));
  return out;
}

static json_t *changes_json(const struct tly_reconciliation *row) {
  json_t *out = json_object();
  json_object_set_new(out, "previous", tly_count_json(row->previous));
  json_object_set_new(out, "new", tly_count_json(row->new_count));
  json_object_set_new(out, "carried", tly_count_json(row->carried));
  json_object_set_new(out, "reopened", tly_count_json(row->reopened));
  json_object_set_new(out, "cleared", tly_count_json(row->cleared));
  json_object_set_new(out, "accepted", tly_count_json(row->accepted));
  return out;
}

static json_t *reconciliation_json(const struct tly_reconciliation *row) {
  json_t *out = json_object();
  json_object_set_new(out, "report", json_string("reconciliation"));
  json_object_set_new(out, "number", json_integer(row->id));
  json_object_set_new(out, "result", tly_text_json(row->result));
  json_object_set_new(out, "reason", error_json(row->sqlstate, row->error));
  json_object_set_new(out, "started_by", tly_text_json(row->reason));
  json_object_set_new(out, "scheduled_for", tly_time_json(row->scheduled_for_us));
  json_object_set_new(out, "started_at", tly_time_json(row->started_at_us));
  json_object_set_new(out, "finished_at", tly_time_json(row->finished_at_us));
  json_object_set_new(out, "inputs", inputs_json(row));
  json_object_set_new(out, "rules", rules_json(row));
  json_object_set_new(out, "counts", counts_json(row));
  json_object_set_new(out, "kinds", tly_stored_json(row->kinds));
  json_object_set_new(out, "totals", tly_stored_json(row->totals));
  json_object_set_new(out, "changes", changes_json(row));
  return out;
}

/* What began may fail: *out is let go of then. */
static enum tly_status keep_or_drop(enum tly_status status, json_t **out) {
  if (status != TLY_OK) {
    json_decref(*out);
    *out = NULL;
  }
  return status;
}

enum tly_status tly_report_reconciliation(const char *directory, int64_t id, json_t **out, struct tly_error *error) {
  struct tly_reconciliation row;
  tly_break_reader *reader;
  struct tly_arena arena;
  *out = NULL;
  TLY_TRY(tly_break_reader_open(directory, &reader, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_break_reader_reconciliation(reader, id, &arena, &row, error);
  if (status == TLY_OK) {
    *out = reconciliation_json(&row);
    status = add_breaks(reader, &row, *out, error);
  }
  tly_arena_free(&arena);
  tly_break_reader_close(reader);
  return keep_or_drop(status, out);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static json_t *view_json(const struct tly_run_view *view, const struct tly_run_view_facts *facts) {
  json_t *out = json_object();
  json_object_set_new(out, "view", tly_text_json(view->view));
  json_object_set_new(out, "groups", tly_count_json(view->groups));
  json_object_set_new(out, "folded", tly_count_json(view->folded));
  json_object_set_new(out, "filtered", tly_count_json(view->filtered));
  json_object_set_new(out, "set_aside", tly_count_json(view->set_aside));
  json_object_set_new(out, "drift", tly_count_json(view->drift));
  json_object_set_new(out, "check", tly_text_json(view->check));
  json_object_set_new(out, "verdict", tly_text_json(view->verdict));
  json_object_set_new(out, "found", tly_text_json(view->found));
  json_object_set_new(out, "scheduled_for", tly_time_json(view->scheduled_at_us));
  json_object_set_new(out, "definition_hash", tly_hash_json(&view->definition_hash));
  json_object_set_new(out, "content_hash", facts->has_content_hash ? tly_hash_json(&facts->content_hash) : json_null());
  json_object_set_new(out, "definition", tly_text_json(facts->source));
  return out;
}

static json_t *cut_json(const struct tly_run *run) {
  json_t *out = json_array();
  for (uint32_t i = 0; i < run->position_count; i++) {
    const struct tly_position *position = &run->positions[i];
    json_array_append_new(out, json_pack("{s:o,s:i,s:I,s:o}", "stream", tly_text_json(position->stream), "partition",
                                         (int)position->partition, "next_offset", (json_int_t)position->next_offset,
                                         "chain", tly_hash_json(&position->chain)));
  }
  return out;
}

static const char *result_of(const struct tly_run *run) {
  return strcmp(run->state, "failed") == 0 ? "FAILED"
         : run->hold != NULL               ? "HELD"
         : run->drift < 0                  ? "NOT COMPARED"
         : run->drift > 0                  ? "DRIFT"
                                           : "NO DRIFT";
}

static json_t *run_json(const struct tly_run *run) {
  json_t *out = json_object();
  json_object_set_new(out, "report", json_string("run"));
  json_object_set_new(out, "number", json_integer(run->id));
  json_object_set_new(out, "result", json_string(result_of(run)));
  json_object_set_new(out, "reason", error_json(run->sqlstate, run->error));
  json_object_set_new(out, "hold", tly_text_json(run->hold));
  json_object_set_new(out, "note", tly_text_json(run->note));
  json_object_set_new(out, "started_by", tly_text_json(run->reason));
  json_object_set_new(out, "job", tly_text_json(run->job));
  json_object_set_new(out, "attempt", run->attempt > 0 ? json_integer(run->attempt) : json_null());
  json_object_set_new(out, "started_at", tly_time_json(run->started_at_us));
  json_object_set_new(out, "finished_at", tly_time_json(run->finished_at_us));
  json_object_set_new(out, "duration_ms",
                      json_integer((run->finished_at_us - run->started_at_us) / MICROSECONDS_A_MILLISECOND));
  json_object_set_new(out, "events", tly_count_json(run->events));
  json_object_set_new(out, "reused", tly_count_json(run->reused));
  json_object_set_new(out, "drift", tly_count_json(run->drift));
  json_object_set_new(out, "cut", cut_json(run));
  return out;
}

static enum tly_status add_views(tly_batch_reader *reader, const struct tly_run *run, struct tly_arena *arena,
                                 json_t *out, struct tly_error *error) {
  struct tly_run_view_facts *facts;
  json_t *views = json_array();
  uint32_t count;
  json_object_set_new(out, "views", views);
  TLY_TRY(tly_batch_reader_view_facts(reader, run->id, arena, &facts, &count, error));
  TLY_ASSERT(count == run->view_count); /* both by view, of one state of the store */
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(views, view_json(&run->views[i], &facts[i]));
  return TLY_OK;
}

static enum tly_status add_drift(tly_batch_reader *reader, int64_t run, struct tly_arena *arena, json_t *out,
                                 struct tly_error *error) {
  struct tly_drift_row *rows;
  json_t *list = json_array();
  uint32_t count;
  json_object_set_new(out, "drift_rows", list);
  TLY_TRY(tly_batch_reader_drift(reader, run, arena, &rows, &count, error));
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "view", tly_text_json(rows[i].view), "key",
                                          tly_stored_json(rows[i].key), "live", tly_stored_json(rows[i].live),
                                          "recomputed", tly_stored_json(rows[i].recomputed), "explanation",
                                          tly_stored_json(rows[i].explanation)));
  return TLY_OK;
}

static enum tly_status add_set_aside(tly_batch_reader *reader, int64_t run, struct tly_arena *arena, json_t *out,
                                     struct tly_error *error) {
  struct tly_set_aside_row *rows;
  json_t *list = json_array();
  uint32_t count;
  json_object_set_new(out, "set_aside_events", list);
  TLY_TRY(tly_batch_reader_set_aside(reader, run, arena, &rows, &count, error));
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(list, json_pack("{s:o,s:i,s:I,s:o,s:o}", "view", tly_text_json(rows[i].view), "partition",
                                          (int)rows[i].partition, "offset", (json_int_t)rows[i].offset, "sqlstate",
                                          tly_text_json(rows[i].sqlstate), "message", tly_text_json(rows[i].message)));
  return TLY_OK;
}

static enum tly_status read_run(tly_batch_reader *reader, int64_t id, struct tly_arena *arena, json_t **out,
                                struct tly_error *error) {
  struct tly_run run;
  TLY_TRY(tly_batch_reader_run(reader, id, arena, &run, error));
  if (run.finished_at_us == 0) {
    (void)TLY_FAIL(error, TLY_E_NOT_READY, "run %" PRId64 " is under way: there is a report when it has ended", id);
    tly_error_hint(error, "tally runs --follow watches it");
    return TLY_E_NOT_READY;
  }
  *out = run_json(&run);
  TLY_TRY(add_views(reader, &run, arena, *out, error));
  TLY_TRY(add_drift(reader, id, arena, *out, error));
  return add_set_aside(reader, id, arena, *out, error);
}

enum tly_status tly_report_run(const char *directory, int64_t id, json_t **out, struct tly_error *error) {
  static const struct tly_project no_project; /* names of streams are taken from the store */
  tly_batch_reader *reader;
  struct tly_arena arena;
  *out = NULL;
  TLY_TRY(tly_batch_reader_open(directory, &no_project, &reader, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_snapshot_begin(reader, error);
  if (status == TLY_OK) {
    status = read_run(reader, id, &arena, out, error);
    tly_batch_snapshot_end(reader);
  }
  tly_arena_free(&arena);
  tly_batch_reader_close(reader);
  return keep_or_drop(status, out);
}
