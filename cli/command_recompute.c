/* tally recompute and tally reconcile without a ledger: a run of the batch layer, watched to its publication. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/drift_report.h"
#include "cli/progress.h"

static void show_progress(void *context, const json_t *line) {
  const json_t *progress = json_object_get(line, "progress");
  const char *stage = json_string_value(json_object_get(progress, "stage"));
  tly_progress_show(context, stage != NULL ? stage : "recompute",
                    (uint64_t)json_integer_value(json_object_get(progress, "done")),
                    (uint64_t)json_integer_value(json_object_get(progress, "all")), "events");
}

static enum tly_status call(const struct tly_options *options, const char *method, const json_t *params,
                            json_t **result, struct tly_error *error) {
  struct tly_progress progress;
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  tly_progress_start(&progress);
  enum tly_status status = tly_client_call(client, method, params, -1, show_progress, &progress, result, error);
  tly_progress_end(&progress);
  tly_client_close(client);
  return status;
}

/* {"payments":[120000],"orders":[7,9]} as payments:120000 orders:7,9 */
static void print_cut(const json_t *cut, FILE *out) {
  const char *stream;
  json_t *offsets, *offset;
  size_t i;
  const char *separator = "";
  if (json_object_size(cut) == 0)
    fputs("empty", out);
  json_object_foreach((json_t *)(uintptr_t)cut, stream, offsets) {
    fprintf(out, "%s%s:", separator, stream);
    json_array_foreach(offsets, i, offset) {
      fprintf(out, "%s%lld", i > 0 ? "," : "", (long long)json_integer_value(offset));
    }
    separator = " ";
  }
}

/* How much of it was done before, if any was. */
static void print_reused(const json_t *result, FILE *out) {
  long long reused = (long long)json_integer_value(json_object_get(result, "reused"));
  long long events = (long long)json_integer_value(json_object_get(result, "events"));
  const char *note = json_string_value(json_object_get(result, "note"));
  if (reused > 0)
    fprintf(out, "%lld events folded; %lld were taken over from earlier work (--full folds all)\n", events - reused,
            reused);
  if (note != NULL)
    fprintf(out, "note: %s\n", note);
}

/* NULL drift: there was nothing to compare with, the first run of a definition; no drift was found. */
static long long drift_of(const json_t *result) {
  return (long long)json_integer_value(json_object_get(result, "drift"));
}

/* A run that did not pass the gate, on stderr: which control totals do not hold, and what can be done. */
static bool tell_held(const json_t *result) {
  const char *hold = json_string_value(json_object_get(result, "hold"));
  if (hold == NULL)
    return false;
  long long run = (long long)json_integer_value(json_object_get(result, "run"));
  fprintf(
      stderr,
      "held: %s\nThe runs published before stay so. Look at run_%lld.VIEW in SQL; tally publish %lld --reason TEXT\n"
      "lets it go live after all.\n",
      hold, run, run);
  return true;
}

int tly_command_recompute(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result, *params = json_pack("{s:b,s:b}", "full", options->full, "progress", 1);
  if (options->job != NULL)
    json_object_set_new(params, "job", json_string(options->job));
  if (options->argument_count > 0) {
    json_t *views = json_array();
    for (int i = 0; i < options->argument_count; i++)
      json_array_append_new(views, json_string(options->arguments[i]));
    json_object_set_new(params, "views", views);
  }
  enum tly_status status = call(options, "recompute", params, &result, &error);
  json_decref(params);
  if (status != TLY_OK)
    return tly_command_fail(&error);
  long long drift = drift_of(result);
  if (json_is_null(json_object_get(result, "drift")))
    fprintf(stderr, "nothing to compare with yet: this is the first run of a definition\n");
  bool is_held = tell_held(result);
  if (drift > 0)
    fprintf(stderr, "drift: live and recomputed values differ; see tally reconcile VIEW --last\n");
  print_reused(result, stderr);
  printf("run %lld %s: %lld events, cut ", (long long)json_integer_value(json_object_get(result, "run")),
         is_held ? "held" : "published", (long long)json_integer_value(json_object_get(result, "events")));
  print_cut(json_object_get(result, "cut"), stdout);
  printf(", drift %lld\n", drift);
  json_decref(result);
  return drift > 0 || is_held ? TLY_EXIT_FAILED : TLY_EXIT_OK;
}

/* --last: what the last run found, nothing is computed. */
static int show_last(const struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *last;
  if (tly_drift_report_last(options, options->arguments[0], &last, &error) != TLY_OK)
    return tly_command_fail(&error);
  const json_t *drift = json_object_get(last, "drift");
  bool is_equal = json_is_integer(drift) && json_integer_value(drift) == 0;
  tly_drift_report_rows(json_object_get(last, "drift_rows"), options->format, stdout);
  tly_drift_report_print_last(options->arguments[0], last, stdout);
  json_decref(last);
  return is_equal ? TLY_EXIT_OK : TLY_EXIT_FAILED;
}

/* Before a new comparison, for whoever watches; it is not the command's answer, so it goes to stderr. */
static void tell_last(const struct tly_options *options) {
  json_t *last;
  if (tly_drift_report_last(options, options->arguments[0], &last, NULL) != TLY_OK)
    return;
  tly_drift_report_print_last(options->arguments[0], last, stderr);
  json_decref(last);
}

int tly_command_reconcile(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (options->last && options->against != NULL) {
    fprintf(stderr,
            "tally reconcile: --last is of live and recomputed totals; for ledgers see tally reconciliations\n");
    return TLY_EXIT_USAGE;
  }
  if (options->against != NULL)
    return tly_command_reconcile_ledger(options);
  if (options->tolerance != NULL) {
    fprintf(stderr, "tally reconcile: --tolerance goes with --against: live and recomputed totals are equal or not\n");
    return TLY_EXIT_USAGE;
  }
  if (options->last)
    return show_last(options);
  tell_last(options);
  json_t *params = json_pack("{s:s,s:b}", "view", options->arguments[0], "progress", 1);
  enum tly_status status = call(options, "reconcile", params, &result, &error);
  json_decref(params);
  if (status != TLY_OK)
    return tly_command_fail(&error);
  long long drift = drift_of(result);
  bool is_held = tell_held(result);
  const json_t *rows = json_object_get(result, "drift_rows");
  tly_drift_report_rows(rows, options->format, stdout);
  printf("%s: %lld events, cut ", options->arguments[0],
         (long long)json_integer_value(json_object_get(result, "events")));
  print_cut(json_object_get(result, "cut"), stdout);
  printf(", drift %lld\n", drift);
  json_decref(result);
  return drift > 0 || is_held ? TLY_EXIT_FAILED : TLY_EXIT_OK;
}
