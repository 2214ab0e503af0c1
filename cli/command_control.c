/* tally pause, resume and cancel: what an operator does to schedules and runs. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static enum tly_status call(const struct tly_options *options, const char *method, json_t *params, json_t **result,
                            struct tly_error *error) {
  tly_client *client;
  json_object_set_new(params, "by", tly_command_caller(options));
  enum tly_status status = tly_command_connect(options, &client, error);
  if (status == TLY_OK) {
    status = tly_client_call(client, method, params, -1, NULL, NULL, result, error);
    tly_client_close(client);
  }
  json_decref(params);
  return status;
}

/* "paused: nightly, totals" */
static void print_names(const char *what, const json_t *names) {
  const json_t *name;
  size_t i;
  printf("%s:", what);
  json_array_foreach((json_t *)(uintptr_t)names, i, name) {
    printf("%s %s", i > 0 ? "," : "", json_string_value(name));
  }
  putchar('\n');
}

/* Schedules are named by the arguments; all without any. `member` is the answer's. */
static int change_schedules(const struct tly_options *options, const char *method, const char *member) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *names = json_array(), *result;
  for (int i = 0; i < options->argument_count; i++)
    json_array_append_new(names, json_string(options->arguments[i]));
  if (call(options, method, json_pack("{s:o}", "names", names), &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  print_names(member, json_object_get(result, member));
  json_decref(result);
  return TLY_EXIT_OK;
}

int tly_command_pause(struct tly_options *options) {
  return change_schedules(options, "pause", "paused");
}

int tly_command_resume(struct tly_options *options) {
  return change_schedules(options, "resume", "resumed");
}

/* 17 is a run's number, anything else the server's to judge. */
static json_t *run_of(const char *argument) {
  size_t digits = strspn(argument, "0123456789");
  return digits > 0 && digits < 19 && argument[digits] == 0 ? json_integer(strtoll(argument, NULL, 10))
                                                            : json_string(argument);
}

int tly_command_cancel(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *params = json_object(), *result;
  if (options->argument_count > 0)
    json_object_set_new(params, "run", run_of(options->arguments[0]));
  if (call(options, "cancel", params, &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  const json_t *run = json_object_get(result, "cancelled");
  if (json_is_integer(run))
    printf("run %lld cancelled\n", (long long)json_integer_value(run));
  else
    printf("%s cancelled: it had not begun\n", json_string_value(run));
  json_decref(result);
  return TLY_EXIT_OK;
}
