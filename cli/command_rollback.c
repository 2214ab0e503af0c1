/* tally rollback: views show an older run again; the newer ones are rejected. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/progress.h"

static void show_progress(void *context, const json_t *line) {
  const json_t *progress = json_object_get(line, "progress");
  tly_progress_show(context, "fold again", (uint64_t)json_integer_value(json_object_get(progress, "done")),
                    (uint64_t)json_integer_value(json_object_get(progress, "all")), "events");
}

static enum tly_status call(const struct tly_options *options, const json_t *params, json_t **result,
                            struct tly_error *error) {
  struct tly_progress progress;
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  tly_progress_start(&progress);
  enum tly_status status = tly_client_call(client, "rollback", params, -1, show_progress, &progress, result, error);
  tly_progress_end(&progress);
  tly_client_close(client);
  return status;
}

static long long run_of(const json_t *view) {
  return (long long)json_integer_value(json_object_get(view, "run"));
}

/* "run 11 published again: a, b; run 9 published again: c": views by run, in the order of the answer. */
static void print_published(const json_t *views) {
  size_t i, k;
  json_t *first, *view;
  const char *separator = "";
  json_array_foreach(views, i, first) {
    bool is_told = false;
    for (k = 0; k < i; k++)
      is_told |= run_of(json_array_get(views, k)) == run_of(first);
    if (is_told)
      continue;
    printf("%srun %lld published again: ", separator, run_of(first));
    for (k = i; k < json_array_size(views); k++) {
      view = json_array_get(views, k);
      if (run_of(view) == run_of(first))
        printf("%s%s", k > i ? ", " : "", json_string_value(json_object_get(view, "view")));
    }
    separator = "; ";
  }
}

static int compare_runs(const void *a, const void *b) {
  long long left = *(const long long *)a, right = *(const long long *)b;
  return left < right ? -1 : left > right;
}

/* "; runs 12, 13 rejected": each once. */
static void print_rejected(const json_t *views) {
  size_t i, k, count = 0, all = 0;
  json_t *view, *run;
  json_array_foreach(views, i, view) {
    all += json_array_size(json_object_get(view, "rejected"));
  }
  long long *runs = calloc(all + 1, sizeof *runs);
  if (runs == NULL)
    return;
  json_array_foreach(views, i, view) {
    json_array_foreach(json_object_get(view, "rejected"), k, run) {
      runs[count++] = (long long)json_integer_value(run);
    }
  }
  qsort(runs, count, sizeof *runs, compare_runs);
  for (i = 0; i < count; i++)
    if (i == 0 || runs[i] != runs[i - 1])
      printf("%s%lld", i > 0 ? ", " : runs[count - 1] != runs[0] ? "; runs " : "; run ", runs[i]);
  if (count > 0)
    printf(" rejected");
  free(runs);
}

static bool take_number(const char *text, json_t *params) {
  char *end;
  long long run = strtoll(text, &end, 10);
  if (*end != '\0' || run <= 0)
    return false;
  json_object_set_new(params, "to", json_integer((json_int_t)run));
  return true;
}

static json_t *params_of(const struct tly_options *options) {
  json_t *params =
      json_pack("{s:s,s:o,s:b}", "reason", options->reason, "user", tly_command_caller(options), "progress", 1);
  if (params == NULL) {
    fprintf(stderr, "tally rollback: --reason is not valid UTF-8\n");
    return NULL;
  }
  json_t *views = json_array();
  for (int i = 0; i < options->argument_count; i++)
    json_array_append_new(views, json_string(options->arguments[i]));
  json_object_set_new(params, "views", views);
  if (options->to == NULL || take_number(options->to, params))
    return params;
  fprintf(stderr, "tally rollback: --to is the number of an older run, not \"%s\"; tally runs lists them\n",
          options->to);
  json_decref(params);
  return NULL;
}

int tly_command_rollback(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (options->reason == NULL) {
    fprintf(stderr, "tally rollback: --reason TEXT is missing: it is recorded why runs are rejected\n");
    return TLY_EXIT_USAGE;
  }
  json_t *params = params_of(options);
  if (params == NULL)
    return TLY_EXIT_USAGE;
  enum tly_status status = call(options, params, &result, &error);
  json_decref(params);
  if (status != TLY_OK)
    return tly_command_fail(&error);
  print_published(json_object_get(result, "views"));
  print_rejected(json_object_get(result, "views"));
  putchar('\n');
  json_decref(result);
  return TLY_EXIT_OK;
}
