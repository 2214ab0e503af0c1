/* tally status, views and check: what there is. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/table.h"

static enum tly_status ask(const struct tly_options *options, const char *method, json_t **result,
                           struct tly_error *error) {
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  enum tly_status status = tly_client_call(client, method, NULL, -1, NULL, NULL, result, error);
  tly_client_close(client);
  return status;
}

/* Runs in a table, where each is a line, go without what their checks found: why one was held is told anyway. */
static void shorten(json_t *runs, enum tly_output_format format) {
  size_t i;
  json_t *run;
  json_array_foreach(runs, i, run) {
    if (format == TLY_OUTPUT_TABLE)
      json_object_del(run, "checks");
  }
}

/* An answer {"<member>":[{...},...]}: the list. */
static int show_list(const struct tly_options *options, const char *method, const char *member) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (ask(options, method, &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  shorten(json_object_get(result, "runs"), options->format);
  tly_table_print_objects(json_object_get(result, member), options->format, stdout);
  json_decref(result);
  return TLY_EXIT_OK;
}

int tly_command_views(struct tly_options *options) {
  return show_list(options, "views", "views");
}

/* Status has several lists; in table form each stands under its name, other members on a line. */
int tly_command_status(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result, *value;
  const char *name;
  if (ask(options, "status", &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  if (options->format == TLY_OUTPUT_JSON) {
    json_dumpf(result, stdout, JSON_INDENT(2));
    putchar('\n');
  } else {
    shorten(json_object_get(result, "runs"), options->format);
    json_object_foreach(result, name, value) {
      if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
        printf("%s\n", name);
        tly_table_print_objects(value, options->format, stdout);
      } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("%s %s\n", name, text != NULL ? text : "");
        free(text);
      }
    }
  }
  json_decref(result);
  return TLY_EXIT_OK;
}

int tly_command_check(struct tly_options *options) {
  struct tly_project *project = tly_command_load_project(options->settings.project);
  if (project == NULL)
    return TLY_EXIT_FAILED;
  printf("ok: %u stream%s, %u view%s\n", project->stream_count, project->stream_count == 1 ? "" : "s",
         project->view_count, project->view_count == 1 ? "" : "s");
  tly_project_free(project);
  return TLY_EXIT_OK;
}
