/* tally runs, status, views, check and archive: what there is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "common/archive/verify.h"
#include "common/sqlite/sqlite.h"

static enum tly_status ask(const struct tly_options *options, const char *method, json_t **result,
                           struct tly_error *error) {
  tly_client *client;
  TLY_TRY(tly_command_connect(options, &client, error));
  enum tly_status status = tly_client_call(client, method, NULL, -1, NULL, NULL, result, error);
  tly_client_close(client);
  return status;
}

/* An answer {"<member>":[{...},...]}: the list. */
static int show_list(const struct tly_options *options, const char *method, const char *member) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result;
  if (ask(options, method, &result, &error) != TLY_OK)
    return tly_command_fail(&error);
  tly_table_print_objects(json_object_get(result, member), options->format, stdout);
  json_decref(result);
  return TLY_EXIT_OK;
}

int tly_command_runs(struct tly_options *options) {
  return show_list(options, "runs", "runs");
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

/* ---- archive ----------------------------------------------------------------------------------------------------- */

static void show_verify(void *context, uint64_t done, uint64_t all) {
  tly_progress_show(context, "verify", done, all, "blocks");
}

static int verify(const struct tly_options *options, const struct tly_project *project) {
  struct tly_verify_report report;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_progress progress;
  struct tly_arena arena;
  tly_arena_init(&arena);
  tly_progress_start(&progress);
  enum tly_status status =
      tly_archive_verify(options->settings.directory, project, show_verify, &progress, &arena, &report, &error);
  tly_progress_end(&progress);
  if (status == TLY_OK) {
    for (uint32_t i = 0; i < report.damage_count; i++) {
      const struct tly_damage *damage = &report.damages[i];
      if (damage->block > 0)
        printf("damaged: %s block %lld: %s\n", damage->file, (long long)damage->block, damage->message);
      else
        printf("damaged: %s: %s\n", damage->file, damage->message);
    }
    printf("verified %" PRIu64 " files, %" PRIu64 " blocks, %" PRIu64 " events, %" PRIu64 " raw bytes: %u damaged\n",
           report.files, report.blocks, report.events, report.raw_bytes, report.damage_count);
  }
  int code = status != TLY_OK ? tly_command_fail(&error) : report.damage_count > 0 ? TLY_EXIT_FAILED : TLY_EXIT_OK;
  tly_arena_free(&arena);
  return code;
}

static json_t *stat_row(const struct tly_archive_stat *stat) {
  return json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "stream", stat->stream, "segment",
                   (json_int_t)stat->segment, "state", stat->state, "blocks", (json_int_t)stat->blocks, "events",
                   (json_int_t)stat->events, "raw_bytes", (json_int_t)stat->raw_bytes, "stored_raw_bytes",
                   (json_int_t)stat->stored_raw_bytes, "stored_column_bytes", (json_int_t)stat->stored_column_bytes,
                   "file_bytes", (json_int_t)stat->file_bytes, "generation_first", (json_int_t)stat->generation_first,
                   "generation_last", (json_int_t)stat->generation_last);
}

static int show_stat(const struct tly_options *options, const struct tly_project *project) {
  struct tly_archive_stat *stats;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_arena arena;
  uint32_t count;
  int code = TLY_EXIT_OK;
  tly_arena_init(&arena);
  if (tly_archive_stat_read(options->settings.directory, project, &arena, &stats, &count, &error) == TLY_OK) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < count; i++)
      json_array_append_new(rows, stat_row(&stats[i]));
    tly_table_print_objects(rows, options->format, stdout);
    json_decref(rows);
  } else {
    code = tly_command_fail(&error);
  }
  tly_arena_free(&arena);
  return code;
}

int tly_command_archive(struct tly_options *options) {
  const char *what = options->arguments[0];
  bool is_verify = strcmp(what, "verify") == 0;
  if (!is_verify && strcmp(what, "stat") != 0) {
    fprintf(stderr, "tally archive: unknown word \"%s\"; there are verify and stat\n", what);
    return TLY_EXIT_USAGE;
  }
  char snapshot[4096];
  snprintf(snapshot, sizeof snapshot, "%s/definitions", options->settings.directory);
  struct tly_project *project =
      tly_command_load_project(options->argument_count > 1 ? options->arguments[1] : snapshot);
  if (project == NULL)
    return TLY_EXIT_FAILED;
  tly_sqlite_setup();
  int code = is_verify ? verify(options, project) : show_stat(options, project);
  tly_project_free(project);
  return code;
}
