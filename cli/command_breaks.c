/* tally breaks, break and reconciliations: what reconciliations with ledgers have found, and what is said of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/break_cells.h"
#include "cli/command.h"
#include "cli/table.h"
#include "common/base/buffer.h"

static void set_text(json_t *params, const char *name, const char *text) {
  if (text != NULL)
    json_object_set_new(params, name, json_string(text));
}

/* `params` is used up. */
static enum tly_status call(const struct tly_options *options, const char *method, json_t *params, json_t **result,
                            struct tly_error *error) {
  tly_client *client;
  enum tly_status status = tly_command_connect(options, &client, error);
  if (status == TLY_OK) {
    status = tly_client_call(client, method, params, -1, NULL, NULL, result, error);
    tly_client_close(client);
  }
  json_decref(params);
  return status;
}

/* ---- breaks ------------------------------------------------------------------------------------------------------ */

/* As many requests as it takes; the caller decrefs *out. */
static enum tly_status read_all(const struct tly_options *options, json_t **out, struct tly_error *error) {
  bool has_more = true;
  json_int_t last = 0;
  *out = json_array();
  while (has_more) {
    json_t *result, *params = json_pack("{s:b,s:I}", "all", options->all, "after", last);
    set_text(params, "view", options->argument_count > 0 ? options->arguments[0] : NULL);
    set_text(params, "against", options->against);
    set_text(params, "status", options->status);
    TLY_TRY(call(options, "breaks", params, &result, error));
    const json_t *page = json_object_get(result, "breaks");
    json_array_extend(*out, (json_t *)(uintptr_t)page);
    last = json_integer_value(json_object_get(json_array_get(page, json_array_size(page) - 1), "id"));
    has_more = json_is_true(json_object_get(result, "more")) && json_array_size(page) > 0;
    json_decref(result);
  }
  return TLY_OK;
}

/* A break with its objects as cells. */
static json_t *flat(const json_t *found) {
  static const char *const members[] = {"id",     "view",       "against", "break",    "key", "column",     "tally",
                                        "ledger", "difference", "status",  "age_days", "age", "times_seen", "since"};
  json_t *out = json_object();
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    json_t *value = json_object_get(found, members[i]);
    if (json_is_object(value))
      json_object_set_new(out, members[i], tly_break_cell(value));
    else
      json_object_set(out, members[i], value);
  }
  return out;
}

static void print_breaks(const json_t *breaks, enum tly_output_format format) {
  size_t i;
  const json_t *found;
  if (format == TLY_OUTPUT_JSON || format == TLY_OUTPUT_NDJSON) {
    tly_table_print_objects(breaks, format, stdout);
    return;
  }
  json_t *rows = json_array();
  json_array_foreach(breaks, i, found) {
    json_array_append_new(rows, flat(found));
  }
  tly_table_print_objects(rows, format, stdout);
  json_decref(rows);
}

int tly_command_breaks(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *breaks;
  enum tly_status status = read_all(options, &breaks, &error);
  if (status == TLY_OK)
    print_breaks(breaks, options->format);
  json_decref(breaks);
  return status == TLY_OK ? TLY_EXIT_OK : tly_command_fail(&error);
}

/* ---- break ------------------------------------------------------------------------------------------------------- */

static void print_member(const json_t *found, const char *name) {
  const json_t *value = json_object_get(found, name);
  json_t *cell = json_is_object(value) ? tly_break_cell(value) : json_incref((json_t *)(uintptr_t)value);
  char *text = json_is_string(cell) ? NULL : json_dumps(cell, JSON_ENCODE_ANY | JSON_COMPACT);
  printf("%-12s%s\n", name, text != NULL ? text : json_string_value(cell));
  free(text);
  json_decref(cell);
}

static void print_break(const json_t *found, enum tly_output_format format) {
  static const char *const members[] = {"id",    "view",       "against",    "break",    "column", "key",
                                        "tally", "ledger",     "difference", "status",   "since",  "age_days",
                                        "age",   "times_seen", "first_seen", "last_seen"};
  if (format == TLY_OUTPUT_JSON || format == TLY_OUTPUT_NDJSON) {
    json_dumpf(found, stdout, format == TLY_OUTPUT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
    putchar('\n');
    return;
  }
  if (format == TLY_OUTPUT_TABLE)
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
      print_member(found, members[i]);
  tly_table_print_objects(json_object_get(found, "history"), format, stdout);
}

static int show_break(struct tly_options *options, json_int_t id) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (call(options, "breaks", json_pack("{s:I}", "break", id), &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  print_break(json_array_get(json_object_get(result, "breaks"), 0), options->format);
  json_decref(result);
  return TLY_EXIT_OK;
}

static int set_break(struct tly_options *options, json_int_t id) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  json_t *params = json_pack("{s:I,s:s,s:s,s:o}", "break", id, "status", options->status, "reason", options->reason,
                             "by", tly_command_caller(options));
  if (params == NULL) {
    fputs("tally break: --reason and --by are texts in UTF-8\n", stderr);
    return TLY_EXIT_USAGE;
  }
  if (call(options, "break", params, &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  printf("break %lld is %s, was %s\n", (long long)id, json_string_value(json_object_get(result, "status")),
         json_string_value(json_object_get(result, "before")));
  json_decref(result);
  return TLY_EXIT_OK;
}

int tly_command_break(struct tly_options *options) {
  char *end;
  errno = 0;
  long long id = strtoll(options->arguments[0], &end, 10);
  if (*options->arguments[0] == '\0' || *end != '\0' || errno != 0 || id <= 0) {
    fprintf(stderr, "tally break: the number of a break is wanted (tally breaks lists them), not \"%s\"\n",
            options->arguments[0]);
    return TLY_EXIT_USAGE;
  }
  if (options->status == NULL && options->reason == NULL && options->by == NULL)
    return show_break(options, id);
  if (options->status == NULL || options->reason == NULL) {
    fputs("tally break: --status and --reason go together: the history says why\n", stderr);
    return TLY_EXIT_USAGE;
  }
  return set_break(options, id);
}

/* ---- reconciliations --------------------------------------------------------------------------------------------- */

static json_t *flat_reconciliation(const json_t *found) {
  static const char *const members[] = {"reconciliation", "view",     "against", "result",  "started_by",
                                        "started_at",     "keys",     "matched", "breaks",  "new",
                                        "carried",        "reopened", "cleared", "accepted"};
  json_t *out = json_object(), *message = json_object_get(json_object_get(found, "reason"), "message");
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    json_object_set(out, members[i], json_object_get(found, members[i]));
  json_object_set(out, "error", message != NULL ? message : json_null());
  return out;
}

int tly_command_reconciliations(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result, *found, *params = json_object(), *rows = json_array();
  size_t i;
  set_text(params, "view", options->argument_count > 0 ? options->arguments[0] : NULL);
  set_text(params, "against", options->against);
  if (call(options, "reconciliations", params, &result, &error) != TLY_OK) {
    json_decref(rows);
    return tly_command_fail(&error);
  }
  json_array_foreach(json_object_get(result, "reconciliations"), i, found) {
    bool is_whole = options->format == TLY_OUTPUT_JSON || options->format == TLY_OUTPUT_NDJSON;
    json_array_append_new(rows, is_whole ? json_incref(found) : flat_reconciliation(found));
  }
  tly_table_print_objects(rows, options->format, stdout);
  json_decref(rows);
  json_decref(result);
  return TLY_EXIT_OK;
}
