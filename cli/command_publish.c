/* tally publish RUN --reason TEXT: a held run goes live after all. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"

static enum tly_status call(const struct tly_options *options, const json_t *params, json_t **result,
                            struct tly_error *error) {
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  enum tly_status status = tly_client_call(client, "publish", params, -1, NULL, NULL, result, error);
  tly_client_close(client);
  return status;
}

int tly_command_publish(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  char *end;
  long long run = strtoll(options->arguments[0], &end, 10);
  if (*end != '\0' || run <= 0) {
    fprintf(stderr, "tally publish: RUN is the number of a held run, not \"%s\"; tally runs lists them\n",
            options->arguments[0]);
    return TLY_EXIT_USAGE;
  }
  if (options->reason == NULL) {
    fprintf(stderr, "tally publish: --reason TEXT is missing: why the run goes live although its control totals do "
                    "not hold\n");
    return TLY_EXIT_USAGE;
  }
  json_t *params = json_pack("{s:I,s:s,s:o}", "run", (json_int_t)run, "reason", options->reason, "user",
                             tly_command_caller(options));
  if (params == NULL) {
    fprintf(stderr, "tally publish: --reason is not valid UTF-8\n");
    return TLY_EXIT_USAGE;
  }
  enum tly_status status = call(options, params, &result, &error);
  json_decref(params);
  if (status != TLY_OK)
    return tly_command_fail(&error);
  printf("run %lld published by %s: %s\n", run, json_string_value(json_object_get(result, "released_by")),
         json_string_value(json_object_get(result, "released_reason")));
  json_decref(result);
  return TLY_EXIT_OK;
}
