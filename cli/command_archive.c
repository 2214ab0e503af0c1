/* tally archive: verify, measure and export the raw events. All three read the data folder itself, whether a server
 * runs on it or not. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "common/archive/export.h"
#include "common/archive/segment.h"
#include "common/archive/verify.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"

/* ---- verify and stat --------------------------------------------------------------------------------------------- */

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

/* ---- export ------------------------------------------------------------------------------------------------------ */

/* A whole number from `minimum` to `maximum`; `text` NULL leaves *out as it is. */
static enum tly_status read_number(const char *flag, const char *text, int64_t minimum, int64_t maximum, int64_t *out,
                                   struct tly_error *error) {
  char *end;
  if (text == NULL)
    return TLY_OK;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (*text == 0 || *end != 0 || errno != 0 || value < minimum || value > maximum)
    return TLY_FAIL(error, TLY_E_CONFIG, "%s must be a whole number from %" PRId64 " to %" PRId64 ", not \"%s\"", flag,
                    minimum, maximum, text);
  *out = value;
  return TLY_OK;
}

static enum tly_status read_time(const char *flag, const char *text, bool *is_given, int64_t *out,
                                 struct tly_error *error) {
  struct tly_error words = TLY_ERROR_NONE;
  *is_given = text != NULL;
  if (text == NULL)
    return TLY_OK;
  if (tly_timestamp_parse(text, strlen(text), true, out, &words) != TLY_OK)
    return TLY_FAIL(error, TLY_E_CONFIG, "%s: %s", flag, words.message);
  return TLY_OK;
}

static enum tly_status read_form(const struct tly_options *options, enum tly_export_form *out,
                                 struct tly_error *error) {
  static const char *const names[] = {"raw", "ndjson", "csv"};
  const char *text = options->format_text;
  *out = TLY_EXPORT_RAW;
  if (text == NULL)
    return TLY_OK;
  for (int form = 0; form < 3; form++)
    if (strcmp(text, names[form]) == 0) {
      *out = (enum tly_export_form)form;
      return TLY_OK;
    }
  enum tly_status status =
      TLY_FAIL(error, TLY_E_CONFIG, "--format of an export is raw, ndjson or csv, not \"%s\"", text);
  if (strcmp(text, "parquet") == 0)
    tly_error_hint(error, "export csv, then in DuckDB: COPY (FROM 'FILE.csv') TO 'FILE.parquet' (FORMAT parquet)");
  return status;
}

static enum tly_status find_column(const struct tly_stream *stream, const char *name, size_t size, uint32_t *out,
                                   struct tly_error *error) {
  for (uint32_t c = 0; c < stream->column_count; c++)
    if (strlen(stream->columns[c].name) == size && memcmp(stream->columns[c].name, name, size) == 0) {
      *out = c;
      return TLY_OK;
    }
  return TLY_FAIL(error, TLY_E_UNDEFINED_COLUMN, "stream \"%s\" has no column \"%.*s\"", stream->name, (int)size, name);
}

/* --columns a,b: names as the stream has them, each once, so that TLY_COLUMNS_MAX places are enough. */
static enum tly_status read_columns(const char *text, const struct tly_stream *stream, uint32_t *columns,
                                    uint32_t *count, struct tly_error *error) {
  *count = 0;
  for (const char *name = text;; name += strcspn(name, ",") + 1) {
    size_t size = strcspn(name, ",");
    uint32_t column = 0;
    TLY_TRY(find_column(stream, name, size, &column, error));
    for (uint32_t i = 0; i < *count; i++)
      if (columns[i] == column)
        return TLY_FAIL(error, TLY_E_DUPLICATE_COLUMN, "--columns names \"%.*s\" twice", (int)size, name);
    TLY_ASSERT(*count < TLY_COLUMNS_MAX);
    columns[(*count)++] = column;
    if (name[size] == 0)
      return TLY_OK;
  }
}

static enum tly_status check_together(const struct tly_options *options, const struct tly_export_request *request,
                                      struct tly_error *error) {
  if (request->form == TLY_EXPORT_RAW && (options->columns != NULL || options->positions))
    return TLY_FAIL(error, TLY_E_CONFIG, "--format raw gives events as they were received; %s goes with ndjson and csv",
                    options->positions ? "--positions" : "--columns");
  if (options->cut != NULL && options->to_offset != NULL)
    return TLY_FAIL(error, TLY_E_CONFIG, "--cut and --to-offset both say where the export ends; give one");
  if (options->compress != NULL && strcmp(options->compress, "zstd") != 0)
    return TLY_FAIL(error, TLY_E_CONFIG, "--compress is zstd, not \"%s\"", options->compress);
  return TLY_OK;
}

/* Everything but the columns: those need the stream. */
static enum tly_status read_request(const struct tly_options *options, struct tly_export_request *request,
                                    struct tly_error *error) {
  *request = (struct tly_export_request){.directory = options->settings.directory,
                                         .partition = -1,
                                         .to_offset = INT64_MAX,
                                         .with_positions = options->positions,
                                         .is_compressed = options->compress != NULL};
  TLY_TRY(read_form(options, &request->form, error));
  TLY_TRY(read_number("--partition", options->partition, 0, TLY_PARTITIONS_MAX - 1, &request->partition, error));
  TLY_TRY(read_number("--from-offset", options->from_offset, 0, INT64_MAX - 1, &request->from_offset, error));
  TLY_TRY(read_number("--to-offset", options->to_offset, 0, INT64_MAX - 1, &request->to_offset, error));
  TLY_TRY(read_number("--cut", options->cut, 1, INT64_MAX, &request->cut, error));
  TLY_TRY(read_time("--from", options->from, &request->has_from, &request->from_us, error));
  TLY_TRY(read_time("--to", options->to, &request->has_to, &request->to_us, error));
  return check_together(options, request, error);
}

/* --output as a path of a file; in a folder it is named after the stream, as its files in the archive are. The caller
 * frees; NULL: stdout. */
static char *output_path(const char *output, const struct tly_export_request *request) {
  struct stat status;
  struct tly_buffer path = {0};
  if (output == NULL)
    return NULL;
  tly_buffer_append_text(&path, output);
  if (stat(output, &status) == 0 && S_ISDIR(status.st_mode)) {
    char *folder = tly_archive_stream_folder("", request->stream->name);
    bool is_csv = request->form == TLY_EXPORT_CSV ||
                  (request->form == TLY_EXPORT_RAW && request->stream->format == TLY_FORMAT_CSV);
    tly_buffer_print(&path, "%s.%s%s", strrchr(folder, '/'), is_csv ? "csv" : "ndjson",
                     request->is_compressed ? ".zst" : "");
    tly_free(folder);
  }
  char *result = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return result;
}

static void show_export(void *context, uint64_t done, uint64_t all) {
  tly_progress_show(context, "export", done, all, "events");
}

static int run_export(struct tly_export_request *request, const char *output) {
  struct tly_export_summary summary;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_progress progress;
  struct tly_arena arena;
  char *path = output_path(output, request);
  tly_arena_init(&arena);
  tly_progress_start(&progress);
  request->progress = show_export;
  request->context = &progress;
  signal(SIGPIPE, SIG_DFL); /* `| head` ends it as it ends other tools, also where the signal was ignored before */
  enum tly_status status = tly_archive_export(request, path, &arena, &summary, &error);
  tly_progress_end(&progress);
  if (status == TLY_OK && path != NULL)
    printf("exported %" PRIu64 " events, %" PRIu64 " bytes to %s\n", summary.events, summary.file.bytes, path);
  int code = status == TLY_OK ? TLY_EXIT_OK : tly_command_fail(&error);
  tly_arena_free(&arena);
  tly_free(path);
  return code;
}

static int export(const struct tly_options *options, const struct tly_project *project,
                  struct tly_export_request request) {
  struct tly_error error = TLY_ERROR_NONE;
  uint32_t columns[TLY_COLUMNS_MAX] = {0};
  request.project = project;
  request.stream = tly_project_stream(project, options->arguments[1]);
  if (request.stream == NULL) {
    (void)TLY_FAIL(&error, TLY_E_UNDEFINED_TABLE, "there is no stream \"%s\"", options->arguments[1]);
    return tly_command_fail(&error);
  }
  if (options->columns != NULL) {
    request.columns = columns;
    if (read_columns(options->columns, request.stream, columns, &request.column_count, &error) != TLY_OK)
      return tly_command_fail(&error);
  }
  return run_export(&request, options->output);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int usage(const char *words, const char *hint) {
  fprintf(stderr, "tally archive: %s\n", words);
  if (hint[0] != 0)
    fprintf(stderr, "hint: %s\n", hint);
  fputs("See tally archive --help\n", stderr);
  return TLY_EXIT_USAGE;
}

/* The project named on the command line, else the definitions the server was last started with. NULL after words. */
static struct tly_project *load_project(const struct tly_options *options, int argument) {
  char snapshot[4096];
  snprintf(snapshot, sizeof snapshot, "%s/definitions", options->settings.directory);
  return tly_command_load_project(options->argument_count > argument ? options->arguments[argument] : snapshot);
}

static int archive_export(const struct tly_options *options) {
  struct tly_export_request request;
  struct tly_error error = TLY_ERROR_NONE;
  if (options->argument_count < 2)
    return usage("export needs the name of a stream", "");
  if (read_request(options, &request, &error) != TLY_OK)
    return usage(error.message, error.hint);
  struct tly_project *project = load_project(options, 2);
  if (project == NULL)
    return TLY_EXIT_FAILED;
  tly_sqlite_setup();
  int code = export(options, project, request);
  tly_project_free(project);
  return code;
}

int tly_command_archive(struct tly_options *options) {
  const char *what = options->arguments[0];
  bool is_verify = strcmp(what, "verify") == 0;
  if (strcmp(what, "export") == 0)
    return archive_export(options);
  if (!is_verify && strcmp(what, "stat") != 0) {
    fprintf(stderr, "tally archive: unknown word \"%s\"; there are verify, stat and export\n", what);
    return TLY_EXIT_USAGE;
  }
  if (options->argument_count > 2)
    return usage("too many arguments", "");
  if (options->is_other_format)
    return usage(TLY_OUTPUT_WORDS, "");
  struct tly_project *project = load_project(options, 1);
  if (project == NULL)
    return TLY_EXIT_FAILED;
  tly_sqlite_setup();
  int code = is_verify ? verify(options, project) : show_stat(options, project);
  tly_project_free(project);
  return code;
}
