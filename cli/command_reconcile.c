/* tally reconcile VIEW --against LEDGER: the breaks as a table, then what stands behind them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/break_cells.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "common/value/decimal.h"

static void show_progress(void *context, const json_t *line) {
  const json_t *progress = json_object_get(line, "progress");
  const char *stage = json_string_value(json_object_get(progress, "stage"));
  bool is_ledger = stage != NULL && strcmp(stage, "ledger") == 0;
  tly_progress_show(context, is_ledger ? "read the ledger" : "compare",
                    (uint64_t)json_integer_value(json_object_get(progress, "done")), 0, is_ledger ? "rows" : "keys");
}

static enum tly_status call(const struct tly_options *options, json_t **result, struct tly_error *error) {
  struct tly_progress progress;
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  json_t *params =
      json_pack("{s:s,s:s,s:b}", "view", options->arguments[0], "against", options->against, "progress", 1);
  if (options->tolerance != NULL)
    json_object_set_new(params, "tolerance", json_string(options->tolerance));
  tly_progress_start(&progress);
  enum tly_status status = tly_client_call(client, "reconcile", params, -1, show_progress, &progress, result, error);
  tly_progress_end(&progress);
  tly_client_close(client);
  json_decref(params);
  return status;
}

static long long integer_of(const json_t *object, const char *name) {
  return (long long)json_integer_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL ? text : "";
}

/* ---- breaks ------------------------------------------------------------------------------------------------------ */

/* Which columns a break is about. */
static json_t *columns_cell(const json_t *found) {
  const json_t *side = json_object_get(found, "tally");
  return tly_break_names_cell(json_is_object(side) ? side : json_object_get(found, "ledger"));
}

static json_t *header_of(const json_t *result) {
  size_t i;
  json_t *name, *columns = json_array();
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "id", "type", "bigint"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "break", "type", "text"));
  json_array_foreach(json_object_get(result, "key"), i, name) {
    json_array_append_new(columns, json_pack("{s:O,s:s}", "name", name, "type", "text"));
  }
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "column", "type", "text"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "tally", "type", "numeric"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "ledger", "type", "numeric"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "difference", "type", "numeric"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "status", "type", "text"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "change", "type", "text"));
  json_array_append_new(columns, json_pack("{s:s,s:s}", "name", "age_days", "type", "bigint"));
  return columns;
}

static json_t *row_of(const json_t *result, const json_t *found) {
  size_t i;
  json_t *name, *row = json_array();
  const json_t *key = json_object_get(found, "key");
  json_array_append(row, json_object_get(found, "id"));
  json_array_append(row, json_object_get(found, "break"));
  json_array_foreach(json_object_get(result, "key"), i, name) {
    json_array_append(row, json_object_get(key, json_string_value(name)));
  }
  json_array_append_new(row, columns_cell(found));
  json_array_append_new(row, tly_break_cell(json_object_get(found, "tally")));
  json_array_append_new(row, tly_break_cell(json_object_get(found, "ledger")));
  json_array_append_new(row, tly_break_cell(json_object_get(found, "difference")));
  json_array_append(row, json_object_get(found, "status"));
  json_array_append(row, json_object_get(found, "change"));
  json_array_append(row, json_object_get(found, "age_days"));
  return row;
}

static void print_breaks(const json_t *result, enum tly_output_format format) {
  size_t i;
  json_t *found, *columns = header_of(result);
  tly_table *table = tly_table_begin(columns, format, stdout);
  json_array_foreach(json_object_get(result, "break_rows"), i, found) {
    json_t *row = row_of(result, found);
    tly_table_row(table, row);
    json_decref(row);
  }
  tly_table_end(table);
  json_decref(columns);
}

/* ---- the summary ------------------------------------------------------------------------------------------------- */

static void print_names(const char *title, const json_t *names) {
  size_t i;
  const json_t *name;
  printf("%-12s", title);
  json_array_foreach(names, i, name) {
    printf("%s%s", i > 0 ? ", " : "", json_string_value(name));
  }
  fputs(json_array_size(names) > 0 ? "\n" : "(none)\n", stdout);
}

static void print_offsets(const char *title, const json_t *offsets) {
  const char *stream;
  json_t *list, *offset;
  size_t i;
  json_object_foreach((json_t *)(uintptr_t)offsets, stream, list) {
    printf("%s %s:", title, stream);
    json_array_foreach(list, i, offset) {
      printf("%s%lld", i > 0 ? "," : "", (long long)json_integer_value(offset));
    }
  }
}

static void print_instants(const json_t *as_of) {
  const json_t *tally = json_object_get(as_of, "tally"), *ledger = json_object_get(as_of, "ledger");
  if (json_is_object(tally)) {
    printf("%-12srun %lld", "tally", integer_of(tally, "run"));
    if (integer_of(tally, "run") > 0)
      print_offsets(", cut", json_object_get(tally, "cut"));
    print_offsets(", live", json_object_get(tally, "live"));
    if (integer_of(tally, "set_aside") > 0)
      printf(", %lld events set aside", integer_of(tally, "set_aside"));
    putchar('\n');
  }
  if (json_is_object(ledger))
    printf("%-12s%s, %s\n", "ledger", text_of(ledger, "place"), text_of(ledger, "as_of"));
}

static void print_totals(const json_t *totals) {
  static const char *const members[] = {"column", "currency",         "tally",   "ledger", "net",
                                        "gross",  "within_tolerance", "accepted"};
  size_t i;
  json_t *total, *columns = json_array();
  bool has_currency = json_object_get(json_array_get(totals, 0), "currency") != NULL;
  if (json_array_size(totals) == 0) {
    json_decref(columns);
    return;
  }
  for (size_t m = 0; m < sizeof members / sizeof members[0]; m++)
    if (has_currency || strcmp(members[m], "currency") != 0)
      json_array_append_new(columns, json_pack("{s:s,s:s}", "name", m == 0 ? "total of" : members[m], "type",
                                               m < 2 ? "text" : "numeric"));
  tly_table *table = tly_table_begin(columns, TLY_OUTPUT_TABLE, stdout);
  json_array_foreach(totals, i, total) {
    json_t *row = json_array();
    for (size_t m = 0; m < sizeof members / sizeof members[0]; m++)
      if (has_currency || strcmp(members[m], "currency") != 0)
        json_array_append(row, json_object_get(total, members[m]));
    tly_table_row(table, row);
    json_decref(row);
  }
  tly_table_end(table);
  json_decref(columns);
}

static void print_kinds(const json_t *result) {
  const char *kind;
  json_t *count;
  const char *separator = "";
  if (integer_of(result, "breaks") == 0)
    return;
  printf("%-12s", "breaks");
  json_object_foreach(json_object_get(result, "kinds"), kind, count) {
    if (json_integer_value(count) == 0)
      continue;
    printf("%s%lld %s", separator, (long long)json_integer_value(count), kind);
    separator = ", ";
  }
  size_t listed = json_array_size(json_object_get(result, "break_rows"));
  if ((long long)listed < integer_of(result, "breaks"))
    printf(" (the first %zu are listed)", listed);
  putchar('\n');
}

/* What has become of the breaks since the complete reconciliation before it. */
static void print_changes(const json_t *result) {
  const json_t *changes = json_object_get(result, "changes");
  if (integer_of(result, "previous") > 0)
    printf("%-12sreconciliation %lld: ", "against", integer_of(result, "previous"));
  else
    printf("%-12sthe first one: ", "against");
  printf("%lld new, %lld carried, %lld reopened, %lld cleared\n", integer_of(changes, "new"),
         integer_of(changes, "carried"), integer_of(changes, "reopened"), integer_of(changes, "cleared"));
  if (integer_of(result, "accepted") > 0)
    printf("%-12s%lld, see the totals for their value\n", "accepted", integer_of(result, "accepted"));
  if (integer_of(result, "kept") < integer_of(result, "breaks"))
    printf("%-12sthe first %lld breaks; the others are counted, and none is cleared\n", "kept",
           integer_of(result, "kept"));
}

/* The line that scripts and people look at first. */
static void print_last_line(const json_t *result, FILE *out) {
  const json_t *reason = json_object_get(result, "reason");
  if (reason != NULL) {
    if (*text_of(reason, "hint") != '\0')
      fprintf(stderr, "hint: %s\n", text_of(reason, "hint"));
    fprintf(out, "INCOMPLETE: %s\n", text_of(reason, "message"));
    return;
  }
  long long keys = integer_of(result, "keys"), breaks = integer_of(result, "breaks");
  fprintf(out, "%s: %lld key%s, %lld matched, ", text_of(result, "view"), keys, keys == 1 ? "" : "s",
          integer_of(result, "matched"));
  if (integer_of(result, "within_tolerance") > 0)
    fprintf(out, "%lld within tolerance, ", integer_of(result, "within_tolerance"));
  fprintf(out, "%lld break%s", breaks, breaks == 1 ? "" : "s");
  if (integer_of(result, "accepted") > 0)
    fprintf(out, ", %lld accepted", integer_of(result, "accepted"));
  putc('\n', out);
}

static void print_report(const json_t *result) {
  bool is_complete = json_object_get(result, "reason") == NULL;
  if (integer_of(result, "breaks") > 0)
    print_breaks(result, TLY_OUTPUT_TABLE);
  if (is_complete)
    print_totals(json_object_get(result, "totals"));
  print_names("key", json_object_get(result, "key"));
  print_names("compared", json_object_get(result, "compared"));
  if (json_array_size(json_object_get(result, "only_in_view")) > 0)
    print_names("view only", json_object_get(result, "only_in_view"));
  if (json_array_size(json_object_get(result, "only_in_ledger")) > 0)
    print_names("ledger only", json_object_get(result, "only_in_ledger"));
  print_instants(json_object_get(result, "as_of"));
  if (is_complete) {
    printf("%-12s%s\n", "tolerance", text_of(result, "tolerance"));
    print_kinds(result);
    printf("%-12s%s %%\n", "match rate", text_of(result, "match_rate"));
    print_changes(result);
  }
  printf("%-12sreconciliation %lld\n", "recorded", integer_of(result, "reconciliation"));
  print_last_line(result, stdout);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool is_amount(const char *text) {
  struct tly_arena arena;
  struct tly_decimal amount;
  tly_arena_init(&arena);
  bool is_one = tly_decimal_parse(text, strlen(text), &arena, &amount, NULL) == TLY_OK && tly_decimal_sign(amount) >= 0;
  tly_arena_free(&arena);
  return is_one;
}

/* Nothing differs but what is accepted: that was looked at, and has not changed since. */
static bool is_fine(const json_t *result) {
  return json_object_get(result, "reason") == NULL && integer_of(result, "breaks") == integer_of(result, "accepted");
}

int tly_command_reconcile_ledger(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (options->tolerance != NULL && !is_amount(options->tolerance)) {
    fprintf(stderr, "tally reconcile: --tolerance is an amount of 0 or more, as 0.05, not \"%s\"\n",
            options->tolerance);
    return TLY_EXIT_USAGE;
  }
  if (call(options, &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  bool is_ok = is_fine(result);
  if (options->format == TLY_OUTPUT_JSON || options->format == TLY_OUTPUT_NDJSON) {
    json_dumpf(result, stdout, options->format == TLY_OUTPUT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
    putchar('\n');
  } else if (options->format == TLY_OUTPUT_CSV) {
    print_breaks(result, TLY_OUTPUT_CSV);
    print_last_line(result, stderr);
  } else {
    print_report(result);
  }
  json_decref(result);
  return is_ok ? TLY_EXIT_OK : TLY_EXIT_FAILED;
}
