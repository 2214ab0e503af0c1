/* tally query: one statement, its answer in one of four forms, and what it rests on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/table.h"
#include "common/sql/diagnostics.h"

/* Rows may come in several parts; the first part names the columns, the last line has as_of. */
struct answer {
  enum tly_output_format format;
  tly_table *table;
  json_t *columns;
  size_t row_count;
  bool has_rows_array; /* json form: "rows":[ is open */
};

static void take_row(struct answer *answer, const json_t *row) {
  if (answer->format != TLY_OUTPUT_JSON) {
    tly_table_row(answer->table, row);
    return;
  }
  fputs(answer->row_count == 0 ? "\n    " : ",\n    ", stdout);
  json_dumpf(row, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}

static void take_columns(struct answer *answer, json_t *columns) {
  if (columns == NULL || answer->columns != NULL)
    return;
  answer->columns = json_incref(columns);
  if (answer->format != TLY_OUTPUT_JSON) {
    answer->table = tly_table_begin(columns, answer->format, stdout);
    return;
  }
  fputs("{\n  \"columns\": ", stdout);
  json_dumpf(columns, stdout, JSON_COMPACT);
  fputs(",\n  \"rows\": [", stdout);
}

static void take_part(void *context, const json_t *line) {
  struct answer *answer = context;
  size_t i;
  json_t *row;
  take_columns(answer, json_object_get(line, "columns"));
  json_array_foreach(json_object_get(line, "rows"), i, row) {
    take_row(answer, row);
    answer->row_count++;
  }
}

static void finish_json(const struct answer *answer, const json_t *as_of) {
  fputs(answer->row_count > 0 ? "\n  ],\n  \"as_of\": " : "],\n  \"as_of\": ", stdout);
  json_dumpf(as_of, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
  fputs("\n}\n", stdout);
}

/* What the answer rests on, on stderr, as the JSON it came as: the same words everywhere. */
static void print_as_of(const json_t *as_of) {
  char *text = json_dumps(as_of, JSON_ENCODE_ANY);
  if (text != NULL && json_object_size(as_of) > 0)
    fprintf(stderr, "as of %s\n", text);
  free(text);
}

static int fail_query(const char *sql, const struct tly_error *error) {
  struct tly_buffer text = {0};
  tly_diagnostic_print_query(sql, error, &text);
  fputs(tly_buffer_text(&text), stderr);
  tly_buffer_free(&text);
  return TLY_EXIT_FAILED;
}

int tly_command_query(struct tly_options *options) {
  const char *sql = options->arguments[0];
  struct answer answer = {.format = options->format};
  struct tly_error error = TLY_ERROR_NONE;
  tly_client *client;
  json_t *result;
  if (tly_command_connect(options, &client, &error) != TLY_OK)
    return tly_command_fail(&error);
  json_t *params = json_pack("{s:s,s:b}", "sql", sql, "wait", options->wait);
  if (params == NULL) {
    tly_client_close(client);
    (void)TLY_FAIL(&error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE, "the statement is not valid UTF-8");
    return tly_command_fail(&error);
  }
  enum tly_status status = tly_client_call(client, "query", params, -1, take_part, &answer, &result, &error);
  json_decref(params);
  tly_client_close(client);
  if (status == TLY_OK) {
    take_part(&answer, result);
    if (options->format == TLY_OUTPUT_JSON)
      finish_json(&answer, json_object_get(result, "as_of"));
  }
  if (answer.table != NULL)
    tly_table_end(answer.table);
  if (status == TLY_OK && options->format == TLY_OUTPUT_TABLE) {
    fflush(stdout);
    print_as_of(json_object_get(result, "as_of"));
  }
  json_decref(answer.columns);
  json_decref(result);
  return status == TLY_OK ? TLY_EXIT_OK : fail_query(sql, &error);
}
