/* The report says how many breaks there are and what both sides add up to; the breaks are read from break_file while
 * they are kept, and the first of them are listed as they come by, with the numbers that the store gives them. */
#include "batch_layer/ledger_outcome.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batch_layer/ledger_report.h"
#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"

/* What is gathered while breaks are kept. */
struct gathering {
  const struct tly_ledger_outcome *outcome;
  json_t *totals;                   /* the report's */
  struct tly_running_sum *accepted; /* one a row of totals */
  struct tly_buffer rows;           /* JSON objects with commas between */
  uint32_t row_count;
  bool is_full;
  struct tly_arena scratch;
  char *totals_text; /* for the store */
};

bool tly_ledger_outcome_is_complete(const json_t *report) {
  const char *result = json_string_value(json_object_get(report, "result"));
  return result != NULL && strcmp(result, "INCOMPLETE") != 0;
}

json_t *tly_ledger_outcome_failed(const struct tly_ledger_outcome *outcome, const struct tly_error *why) {
  struct tly_ledger_match match;
  struct tly_arena arena;
  struct tly_buffer text = {0};
  tly_arena_init(&arena);
  if (tly_ledger_match(outcome->view, outcome->ledger, &arena, &match, NULL) != TLY_OK)
    match = (struct tly_ledger_match){.view = outcome->view, .ledger = outcome->ledger, .currency = -1};
  struct tly_ledger_report report = {.match = &match, .tolerance = outcome->tolerance, .why = why};
  tly_ledger_report_print(&report, &text);
  json_t *object = json_loadb((const char *)text.data, text.size, 0, NULL);
  TLY_ASSERT(object != NULL);
  tly_buffer_free(&text);
  tly_arena_free(&arena);
  return object;
}

/* ---- what is accepted -------------------------------------------------------------------------------------------- */

/* The total that an amount of this column and key belongs to; the last one of the column is that of other currencies.
 */
static size_t total_of(const json_t *totals, const char *column, const json_t *key) {
  size_t i, others = json_array_size(totals);
  const json_t *total;
  json_array_foreach(totals, i, total) {
    const json_t *currency = json_object_get(total, "currency");
    if (strcmp(json_string_value(json_object_get(total, "column")), column) != 0)
      continue;
    others = i;
    if (currency == NULL || json_equal(currency, json_object_get(key, "currency")))
      return i;
  }
  return others;
}

/* Add |difference| to that of its column and currency. */
static enum tly_status add_amount(struct gathering *gathering, const char *column, const json_t *key,
                                  const json_t *difference, struct tly_error *error) {
  size_t total = total_of(gathering->totals, column, key);
  struct tly_decimal amount;
  TLY_ASSERT(total < json_array_size(gathering->totals)); /* every amount that is compared has a total */
  TLY_TRY(tly_decimal_parse(json_string_value(difference), json_string_length(difference), &gathering->scratch, &amount,
                            error));
  return tly_running_sum_add(&gathering->accepted[total], tly_decimal_absolute(amount), &gathering->scratch, error);
}

/* What is accepted is no less valued than the rest. */
static enum tly_status add_accepted(struct gathering *gathering, const struct tly_break_record *record,
                                    struct tly_error *error) {
  json_t *differences = json_loadb(record->difference.data, record->difference.size, 0, NULL), *difference;
  json_t *key = json_loadb(record->key.data, record->key.size, 0, NULL);
  enum tly_status status = TLY_OK;
  const char *column;
  tly_arena_reset(&gathering->scratch);
  json_object_foreach(differences, column, difference) {
    if (status == TLY_OK)
      status = add_amount(gathering, column, key, difference, error);
  }
  json_decref(differences);
  json_decref(key);
  return status;
}

static void print_accepted(struct gathering *gathering) {
  size_t i;
  json_t *total;
  struct tly_buffer text = {0};
  json_array_foreach(gathering->totals, i, total) {
    tly_buffer_clear(&text);
    tly_decimal_print(gathering->accepted[i].value, &text);
    json_object_set_new(total, "accepted", json_string(tly_buffer_text(&text)));
  }
  tly_buffer_free(&text);
}

/* ---- what is listed ---------------------------------------------------------------------------------------------- */

static void print_mark(const struct gathering *gathering, const struct tly_break_mark *mark, struct tly_buffer *out) {
  int64_t days = tly_break_age_days(mark->since_us, gathering->outcome->finished_at_us);
  tly_buffer_print(out, ",\"status\":\"%s\",\"change\":\"%s\",\"since\":\"", tly_break_status_name(mark->status),
                   tly_break_sighting_name(mark->change));
  tly_timestamp_print_rfc3339(mark->since_us, true, out);
  tly_buffer_print(out, "\",\"age_days\":%" PRId64 ",\"age\":\"%s\",\"times_seen\":%" PRId64, days,
                   tly_break_age_bucket(days), mark->times_seen);
}

static void list(struct gathering *gathering, const struct tly_break_record *record,
                 const struct tly_break_mark *mark) {
  struct tly_buffer *rows = &gathering->rows;
  size_t before = rows->size;
  if (gathering->is_full)
    return;
  tly_buffer_print(rows, "%s{\"id\":%" PRId64 ",", gathering->row_count > 0 ? "," : "", mark->id);
  tly_break_record_print(record, rows);
  print_mark(gathering, mark, rows);
  tly_buffer_append_byte(rows, '}');
  gathering->is_full = rows->size > TLY_BREAKS_LISTED_BYTES + (size_t)gathering->row_count * TLY_BREAK_MARKS_BYTES;
  if (gathering->is_full)
    rows->size = before; /* the list is the first breaks, without a gap */
  else
    gathering->is_full = ++gathering->row_count == TLY_BREAKS_LISTED_MAX;
}

static enum tly_status hear(void *context, const struct tly_break_record *record, const struct tly_break_mark *mark,
                            struct tly_error *error) {
  struct gathering *gathering = context;
  list(gathering, record, mark);
  return mark->status == TLY_BREAK_ACCEPTED ? add_accepted(gathering, record, error) : TLY_OK;
}

/* All breaks have been heard: what is stored of the totals has what is accepted. */
static void conclude(void *context, struct tly_reconciliation *end) {
  struct gathering *gathering = context;
  print_accepted(gathering);
  gathering->totals_text = json_dumps(gathering->totals, JSON_COMPACT);
  end->totals = gathering->totals_text;
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

static int64_t count_of(const json_t *report, const char *name) {
  const json_t *count = json_object_get(report, name);
  return json_is_integer(count) ? json_integer_value(count) : -1;
}

/* Members of the report as one JSON text. */
static char *text_of_columns(const json_t *report) {
  static const char *const names[] = {"key", "compared", "only_in_view", "only_in_ledger"};
  json_t *object = json_object();
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    json_object_set(object, names[i], json_object_get(report, names[i]));
  char *text = json_dumps(object, JSON_COMPACT);
  json_decref(object);
  return text;
}

/* Of the definition that the child compared: its project may be a newer one than ours. */
static struct tly_hash definition_hash(const struct tly_ledger_outcome *outcome, const json_t *as_of) {
  struct tly_hash hash;
  const char *text = json_string_value(json_object_get(json_object_get(as_of, "tally"), "definition"));
  return text != NULL && tly_run_hash_parse(text, &hash) ? hash : outcome->view->hash;
}

static void take_counts(const json_t *report, struct tly_reconciliation *end) {
  end->keys = count_of(report, "keys");
  end->matched = count_of(report, "matched");
  end->within_tolerance = count_of(report, "within_tolerance");
  end->broken = count_of(report, "broken");
  end->tally_keys = count_of(report, "tally_keys");
  end->ledger_rows = count_of(report, "ledger_rows");
  end->breaks = count_of(report, "breaks");
  end->kept = count_of(report, "kept");
}

/* The texts of *end live as long as the report and `texts`, which the caller frees. */
static void make_row(const struct tly_ledger_outcome *outcome, const json_t *report, char *texts[3],
                     struct tly_reconciliation *end) {
  const json_t *reason = json_object_get(report, "reason"), *as_of = json_object_get(report, "as_of");
  const char *hash = json_string_value(json_object_get(json_object_get(as_of, "ledger"), "hash"));
  texts[0] = text_of_columns(report);
  texts[1] = json_dumps(as_of, JSON_COMPACT);
  texts[2] = json_dumps(json_object_get(report, "kinds"), JSON_COMPACT); /* NULL: it has none */
  *end = (struct tly_reconciliation){
      .view = outcome->view->name,
      .ledger = outcome->ledger->name,
      .reason = outcome->scheduled_for_us != 0 ? "schedule" : "manual",
      .scheduled_for_us = outcome->scheduled_for_us,
      .started_at_us = outcome->started_at_us,
      .finished_at_us = outcome->finished_at_us,
      .result = json_string_value(json_object_get(report, "result")),
      .error = json_string_value(json_object_get(reason, "message")),
      .sqlstate = json_string_value(json_object_get(reason, "sqlstate")),
      .tolerance = json_string_value(json_object_get(report, "tolerance")),
      .columns = texts[0],
      .definition_hash = definition_hash(outcome, as_of),
      .as_of = texts[1],
      .kinds = texts[2],
  };
  end->has_ledger_hash = hash != NULL && tly_run_hash_parse(hash, &end->ledger_hash);
  /* A text that is not that of the hash would be worse than none. */
  bool is_ours = memcmp(&end->definition_hash, &outcome->view->hash, sizeof end->definition_hash) == 0;
  end->view_source = is_ours ? outcome->view->source : NULL;
  end->ledger_source = outcome->ledger->source;
  take_counts(report, end);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void print_answer(const struct tly_reconciliation *end, const struct gathering *gathering, json_t *report,
                         struct tly_buffer *out) {
  json_object_set_new(report, "reconciliation", json_integer(end->id));
  if (tly_ledger_outcome_is_complete(report)) {
    json_object_set_new(report, "previous", end->previous >= 0 ? json_integer(end->previous) : json_null());
    json_object_set_new(report, "changes",
                        json_pack("{s:I,s:I,s:I,s:I}", "new", (json_int_t)end->new_count, "carried",
                                  (json_int_t)end->carried, "reopened", (json_int_t)end->reopened, "cleared",
                                  (json_int_t)end->cleared));
    json_object_set_new(report, "accepted", json_integer(end->accepted));
  }
  char *text = json_dumps(report, JSON_COMPACT);
  TLY_ASSERT(text != NULL);
  tly_buffer_append(out, text, strlen(text) - 1); /* but for its last brace */
  free(text);
  if (tly_ledger_outcome_is_complete(report)) {
    tly_buffer_append_text(out, ",\"break_rows\":[");
    tly_buffer_append(out, gathering->rows.data, gathering->rows.size);
    tly_buffer_append_byte(out, ']');
  }
  tly_buffer_append_byte(out, '}');
}

static void tell_log(const struct tly_reconciliation *end) {
  if (end->error != NULL)
    tly_log(TLY_LOG_WARN, "reconciliation incomplete",
            "reconciliation=%" PRId64 " view=%s ledger=%s reason=%s error=\"%s\"", end->id, end->view, end->ledger,
            end->reason, end->error);
  else
    tly_log(end->breaks > end->accepted ? TLY_LOG_WARN : TLY_LOG_INFO, "reconciled",
            "reconciliation=%" PRId64 " view=%s ledger=%s reason=%s breaks=%" PRId64 " new=%" PRId64
            " cleared=%" PRId64,
            end->id, end->view, end->ledger, end->reason, end->breaks, end->new_count, end->cleared);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

enum tly_status tly_ledger_outcome_check(const struct tly_ledger_outcome *outcome, const json_t *report,
                                         struct tly_error *error) {
  struct tly_break_record record;
  tly_break_source *source;
  bool found = true;
  int64_t count = 0, kept = count_of(report, "kept");
  if (!tly_ledger_outcome_is_complete(report))
    return TLY_OK;
  TLY_TRY(tly_break_source_open(outcome->directory, &source, error));
  enum tly_status status = TLY_OK;
  for (; status == TLY_OK && found; count += found)
    status = tly_break_source_next(source, &record, &found, error);
  tly_break_source_close(source);
  if (status == TLY_OK && count != kept)
    status = TLY_FAIL(error, TLY_E_CORRUPT, "%" PRId64 " breaks were found, but %" PRId64 " handed over", kept, count);
  return status;
}

static enum tly_status keep(const struct tly_ledger_outcome *outcome, tly_break_store *breaks,
                            struct tly_fired_minute fired, struct tly_reconciliation *end, bool is_complete,
                            struct gathering *gathering, struct tly_error *error) {
  struct tly_break_listener listener = {.hear = hear, .conclude = conclude, .context = gathering};
  tly_break_source *source = NULL;
  if (is_complete)
    TLY_TRY(tly_break_source_open(outcome->directory, &source, error));
  tly_crash_point("reconcile.before_store");
  enum tly_status status = tly_break_store_end(breaks, end, source, listener, fired, error);
  tly_break_source_close(source);
  return status;
}

static void free_gathering(struct gathering *gathering) {
  for (size_t i = 0; i < json_array_size(gathering->totals); i++)
    tly_running_sum_free(&gathering->accepted[i]);
  tly_free(gathering->accepted);
  tly_buffer_free(&gathering->rows);
  tly_arena_free(&gathering->scratch);
  free(gathering->totals_text);
}

enum tly_status tly_ledger_outcome_keep(const struct tly_ledger_outcome *outcome, tly_break_store *breaks,
                                        struct tly_fired_minute fired, json_t *report, struct tly_buffer *answer,
                                        struct tly_error *error) {
  struct gathering gathering = {.outcome = outcome, .totals = json_object_get(report, "totals")};
  struct tly_reconciliation end;
  char *texts[3];
  bool is_complete = tly_ledger_outcome_is_complete(report);
  gathering.accepted = tly_calloc(json_array_size(gathering.totals), sizeof *gathering.accepted);
  tly_arena_init(&gathering.scratch);
  make_row(outcome, report, texts, &end);
  enum tly_status status = keep(outcome, breaks, fired, &end, is_complete, &gathering, error);
  if (status == TLY_OK) {
    print_answer(&end, &gathering, report, answer);
    tell_log(&end);
  }
  for (int i = 0; i < 3; i++)
    free(texts[i]);
  free_gathering(&gathering);
  return status;
}
