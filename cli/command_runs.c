/* tally runs: what is under way, what waits, what was; and --follow, which watches until nothing is left to do. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"

enum { FOLLOW_MS = 300 };

static enum tly_status ask(const struct tly_options *options, json_t **result, struct tly_error *error) {
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  enum tly_status status = tly_client_call(client, "runs", NULL, -1, NULL, NULL, result, error);
  tly_client_close(client);
  return status;
}

/* ---- once -------------------------------------------------------------------------------------------------------- */

/* A list under its heading, in table form. */
static void print_list(const char *heading, const json_t *list) {
  printf("%s\n", heading);
  tly_table_print_objects(list, TLY_OUTPUT_TABLE, stdout);
}

static void print_queue(const struct tly_options *options, const json_t *result) {
  const json_t *under_way = json_object_get(result, "under_way"), *queue = json_object_get(result, "queue");
  if (options->format != TLY_OUTPUT_TABLE) {
    tly_table_print_objects(queue, options->format, stdout);
    return;
  }
  if (json_is_object(under_way)) {
    json_t *list = json_pack("[O]", under_way);
    print_list("under way", list);
    json_decref(list);
  }
  if (json_array_size(queue) > 0)
    print_list("waiting", queue);
}

static int show(const struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (ask(options, &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  bool is_told = json_is_array(json_object_get(result, "queue"));
  if (!is_told && (options->queue || options->format == TLY_OUTPUT_TABLE))
    fputs("the batch layer does not answer: nothing begins until it does (see tally status)\n", stderr);
  if (is_told && (options->queue || options->format == TLY_OUTPUT_TABLE))
    print_queue(options, result);
  if (!options->queue) {
    if (options->format == TLY_OUTPUT_TABLE)
      puts("runs");
    tly_table_print_objects(json_object_get(result, "runs"), options->format, stdout);
  }
  json_decref(result);
  return is_told || !options->queue ? TLY_EXIT_OK : TLY_EXIT_FAILED;
}

/* ---- until nothing is left to do --------------------------------------------------------------------------------- */

static long long integer(const json_t *object, const char *name) {
  return (long long)json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name) {
  const char *value = json_string_value(json_object_get(object, name));
  return value != NULL ? value : "";
}

static bool has_ended(const json_t *run) {
  return strcmp(text(run, "state"), "running") != 0;
}

/* The newest run that is not under way; 0: none. */
static long long newest_ended(const json_t *runs) {
  const json_t *run;
  long long newest = 0;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)runs, i, run) {
    if (has_ended(run) && integer(run, "run") > newest)
      newest = integer(run, "run");
  }
  return newest;
}

/* A line for each run above `after` that has ended, oldest first. */
static void print_ended(const json_t *runs, long long after) {
  for (size_t i = json_array_size(runs); i > 0; i--) {
    const json_t *run = json_array_get(runs, i - 1);
    if (!has_ended(run) || integer(run, "run") <= after)
      continue;
    if (json_is_string(json_object_get(run, "error")))
      printf("run %lld %s: %s\n", integer(run, "run"), text(run, "state"), text(run, "error"));
    else
      printf("run %lld %s: %lld events, drift %lld, %lld ms\n", integer(run, "run"), text(run, "state"),
             integer(run, "events"), integer(run, "drift"), integer(run, "duration_ms"));
  }
  fflush(stdout);
}

/* Whether there is a run under way, or one that waits for its turn: what is paused or tried again later is not waited
 * for. */
static bool is_busy(const json_t *result) {
  const json_t *row;
  size_t i;
  if (json_is_object(json_object_get(result, "under_way")))
    return true;
  json_array_foreach(json_object_get(result, "queue"), i, row) {
    if (json_is_string(json_object_get(row, "waits")) && json_is_null(json_object_get(row, "next_try_at")))
      return true;
  }
  return false;
}

static int follow(const struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_progress progress;
  json_t *result = NULL;
  long long last = -1;
  bool goes_on = true;
  tly_progress_start(&progress);
  while (goes_on) {
    if (ask(options, &result, &error) != TLY_OK)
      break;
    const json_t *runs = json_object_get(result, "runs"), *under_way = json_object_get(result, "under_way");
    long long newest = newest_ended(runs);
    if (last >= 0 && newest > last) {
      tly_progress_end(&progress);
      print_ended(runs, last);
    }
    last = newest;
    if (json_is_object(under_way))
      tly_progress_show(&progress, text(under_way, "stage"), (uint64_t)integer(under_way, "done"),
                        (uint64_t)integer(under_way, "all"), "events");
    goes_on = is_busy(result);
    json_decref(result);
    if (goes_on)
      nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000L}, NULL);
  }
  tly_progress_end(&progress);
  return error.status == TLY_OK ? TLY_EXIT_OK : tly_command_fail(&error);
}

int tly_command_runs(struct tly_options *options) {
  return options->follow ? follow(options) : show(options);
}
