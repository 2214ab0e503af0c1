#include "cli/drift_report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/table.h"

#define LAST_RUN                                                                                                       \
  "SELECT v.run, r.finished_at, r.state, v.drift FROM tally.run_views v JOIN tally.runs r USING (run)"                 \
  " WHERE v.view = $1 AND v.groups IS NOT NULL ORDER BY v.run DESC LIMIT 1"
#define ITS_DRIFT "SELECT key, live, recomputed, explanation FROM tally.drift WHERE run = $1 AND view = $2"

enum { EVENTS_SHOWN = 3 };

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL ? text : "";
}

/* ---- groups that differ ------------------------------------------------------------------------------------------ */

/* The rows with their explanations' words instead of the explanations, or without them. */
static json_t *flat_rows(const json_t *rows, bool with_words) {
  size_t i;
  json_t *row, *flat = json_array();
  json_array_foreach(rows, i, row) {
    json_t *copy = json_copy(row);
    json_t *words = json_object_get(json_object_get(row, "explanation"), "words");
    if (with_words)
      json_object_set_new(copy, "explanation", words != NULL ? json_incref(words) : json_null());
    else
      json_object_del(copy, "explanation");
    json_array_append_new(flat, copy);
  }
  return flat;
}

static void print_events(const json_t *explanation, FILE *out) {
  size_t i;
  const json_t *event;
  json_array_foreach(json_object_get(explanation, "events"), i, event) {
    if (i < EVENTS_SHOWN)
      fprintf(out, "  %s\n", text_of(event, "raw"));
  }
  json_int_t count = json_integer_value(json_object_get(explanation, "count"));
  if (count > EVENTS_SHOWN)
    fprintf(out, "  ... and %lld more\n", (long long)count - EVENTS_SHOWN);
}

static void print_explanations(const json_t *rows, FILE *out) {
  size_t i;
  const json_t *row;
  json_array_foreach(rows, i, row) {
    const json_t *explanation = json_object_get(row, "explanation");
    char *key = json_dumps(json_object_get(row, "key"), JSON_COMPACT | JSON_ENCODE_ANY);
    if (key != NULL && json_is_object(explanation)) {
      fprintf(out, "%s: %s\n", key, text_of(explanation, "words"));
      print_events(explanation, out);
    }
    free(key);
  }
}

void tly_drift_report_rows(const json_t *rows, enum tly_output_format format, FILE *out) {
  if (json_array_size(rows) == 0)
    return;
  bool is_whole = format == TLY_OUTPUT_JSON || format == TLY_OUTPUT_NDJSON;
  json_t *shown = is_whole ? json_deep_copy(rows) : flat_rows(rows, format == TLY_OUTPUT_CSV);
  tly_table_print_objects(shown, format, out);
  json_decref(shown);
  if (format == TLY_OUTPUT_TABLE)
    print_explanations(rows, out);
}

/* ---- the last result --------------------------------------------------------------------------------------------- */

/* An answer may come in several parts. */
static void take_rows(void *context, const json_t *line) {
  json_array_extend(context, json_object_get(line, "rows"));
}

/* The rows of a query with these arguments; `arguments` is taken over. */
static enum tly_status ask(tly_client *client, const char *sql, json_t *arguments, json_t *rows,
                           struct tly_error *error) {
  json_t *result, *params = json_pack("{s:s,s:o}", "sql", sql, "args", arguments);
  enum tly_status status = tly_client_call(client, "query", params, -1, take_rows, rows, &result, error);
  json_decref(params);
  if (status != TLY_OK)
    return status;
  take_rows(rows, result);
  json_decref(result);
  return TLY_OK;
}

/* A JSON text of batch.db as what it says; NULL as null. */
static json_t *parsed(const json_t *row, size_t column) {
  const char *text = json_string_value(json_array_get(row, column));
  json_t *value = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
  return value != NULL ? value : json_null();
}

static enum tly_status add_drift_rows(tly_client *client, const char *view, json_t *last, struct tly_error *error) {
  size_t i;
  json_t *row, *rows = json_array(), *list = json_array();
  json_t *arguments = json_pack("[O,s]", json_object_get(last, "run"), view);
  enum tly_status status = ask(client, ITS_DRIFT, arguments, rows, error);
  json_array_foreach(rows, i, row) {
    json_array_append_new(list, json_pack("{s:s,s:o,s:o,s:o,s:o}", "view", view, "key", parsed(row, 0), "live",
                                          parsed(row, 1), "recomputed", parsed(row, 2), "explanation", parsed(row, 3)));
  }
  json_decref(rows);
  json_object_set_new(last, "drift_rows", list);
  return status;
}

enum tly_status tly_drift_report_last(const struct tly_options *options, const char *view, json_t **out,
                                      struct tly_error *error) {
  static const char *const members[] = {"run", "finished_at", "state", "drift"};
  tly_client *client;
  *out = NULL;
  TLY_TRY(tly_command_connect(options, &client, error));
  json_t *rows = json_array(), *last = json_object();
  enum tly_status status = ask(client, LAST_RUN, json_pack("[s]", view), rows, error);
  const json_t *row = json_array_get(rows, 0);
  for (size_t m = 0; row != NULL && m < sizeof members / sizeof members[0]; m++)
    json_object_set(last, members[m], json_array_get(row, m));
  if (status == TLY_OK && json_integer_value(json_object_get(last, "drift")) > 0)
    status = add_drift_rows(client, view, last, error);
  json_decref(rows);
  tly_client_close(client);
  if (status == TLY_OK)
    *out = last;
  else
    json_decref(last);
  return status;
}

void tly_drift_report_print_last(const char *view, const json_t *last, FILE *out) {
  const json_t *drift = json_object_get(last, "drift");
  if (json_object_get(last, "run") == NULL) {
    fprintf(out, "%s: no run has computed it yet\n", view);
    return;
  }
  fprintf(out, "%s: last compared by run %lld, %s, ended %s, ", view,
          (long long)json_integer_value(json_object_get(last, "run")), text_of(last, "state"),
          text_of(last, "finished_at"));
  if (json_is_integer(drift))
    fprintf(out, "drift %lld\n", (long long)json_integer_value(drift));
  else
    fputs("drift not known: there was nothing to compare with\n", out);
}
