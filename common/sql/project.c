/* Reading a project: files in name order, each cut into statements, each statement parsed and defined on its own, so
 * that a slip in one does not hide the next. */
#include "common/sql/project.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/sql/definitions.h"
#include "common/sql/parse.h"
#include "common/sql/scan.h"
#include "common/sql/view_schedule.h"

static struct tly_project *new_project(void) {
  struct tly_project *project = tly_calloc(1, sizeof *project);
  tly_arena_init(&project->arena);
  /* Views point to streams and streams to servers: the arrays never move. */
  project->servers = TLY_ARENA_ARRAY(&project->arena, struct tly_server, TLY_STREAMS_MAX);
  project->streams = TLY_ARENA_ARRAY(&project->arena, struct tly_stream, TLY_STREAMS_MAX);
  project->views = TLY_ARENA_ARRAY(&project->arena, struct tly_view, TLY_VIEWS_MAX);
  project->ledgers = TLY_ARENA_ARRAY(&project->arena, struct tly_ledger, TLY_LEDGERS_MAX);
  project->servers[project->server_count++] =
      (struct tly_server){.name = "embedded", .wrapper = TLY_WRAPPER_EMBEDDED, .wrapper_name = "embedded"};
  return project;
}

void tly_project_free(struct tly_project *project) {
  if (project == NULL)
    return;
  tly_arena_free(&project->arena);
  tly_free(project);
}

const struct tly_stream *tly_project_stream(const struct tly_project *project, const char *name) {
  for (uint32_t i = 0; i < project->stream_count; i++)
    if (strcmp(project->streams[i].name, name) == 0)
      return &project->streams[i];
  return NULL;
}

const struct tly_view *tly_project_view(const struct tly_project *project, const char *name) {
  for (uint32_t i = 0; i < project->view_count; i++)
    if (strcmp(project->views[i].name, name) == 0)
      return &project->views[i];
  return NULL;
}

const struct tly_ledger *tly_project_ledger(const struct tly_project *project, const char *name) {
  for (uint32_t i = 0; i < project->ledger_count; i++)
    if (strcmp(project->ledgers[i].name, name) == 0)
      return &project->ledgers[i];
  return NULL;
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static void define_piece(struct tly_definitions *definitions, const char *start, const char *end) {
  struct tly_resolver *resolver = &definitions->resolver;
  struct json_t *tree;
  definitions->piece_offset = (uint32_t)(start - definitions->text);
  resolver->sql = start;
  resolver->sql_size = (size_t)(end - start);
  enum tly_status status =
      tly_sql_parse(resolver->sql, resolver->sql_size, &tree, &resolver->error_location, resolver->error);
  if (!tly_definitions_report(definitions, status))
    return;
  for (size_t i = 0; i < tly_tree_statement_count(tree); i++)
    tly_define_statement(definitions, tly_tree_statement(tree, i));
  tly_sql_tree_free(tree);
}

static void define_text(struct tly_definitions *definitions, const char *file, const char *text, size_t size) {
  struct tly_resolver *resolver = &definitions->resolver;
  definitions->file = tly_arena_copy(resolver->arena, file, strlen(file));
  definitions->text = tly_arena_copy(resolver->arena, text, size);
  const char *at = definitions->text, *end = at + size;
  for (;;) {
    at = tly_scan_blank(at, end);
    if (at == end)
      return;
    const char *stop = tly_scan_statement(at, end);
    if (stop > at)
      define_piece(definitions, at, stop);
    at = stop < end ? stop + 1 : end;
  }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* A problem of a whole file, or of the folder. */
static void report_file(struct tly_definitions *definitions, const char *file) {
  tly_diagnostics_add(definitions->diagnostics, file, "", false, 0, &definitions->error);
}

static void report_too_large(struct tly_definitions *definitions, const char *file) {
  (void)TLY_FAIL(&definitions->error, TLY_E_TOO_LARGE, "more than %d bytes of definitions", TLY_DEFINITION_BYTES_MAX);
  report_file(definitions, file);
}

static void define_file(struct tly_definitions *definitions, const char *folder, const char *name) {
  struct tly_buffer content = {.data = NULL};
  char *path = tly_arena_print(definitions->resolver.arena, "%s/%s", folder, name);
  if (tly_file_read(path, TLY_DEFINITION_BYTES_MAX, &content, &definitions->error) != TLY_OK) {
    report_file(definitions, path);
  } else if (memchr(content.data, '\0', content.size) != NULL) {
    (void)TLY_FAIL(&definitions->error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE,
                   "the file has a zero byte: it is not SQL text");
    report_file(definitions, path);
  } else {
    define_text(definitions, path, tly_buffer_text(&content), content.size);
  }
  tly_buffer_free(&content);
}

static void define_folder(struct tly_definitions *definitions, const char *folder) {
  char **names;
  size_t count;
  if (tly_file_list(folder, ".sql", &names, &count, &definitions->error) != TLY_OK) {
    report_file(definitions, folder);
    return;
  }
  if (count == 0) {
    (void)TLY_FAIL(&definitions->error, TLY_E_CONFIG, "no *.sql file in the project folder");
    report_file(definitions, folder);
  }
  for (size_t i = 0; i < count; i++)
    define_file(definitions, folder, names[i]);
  tly_file_list_free(names, count);
}

/* ---- in a thread with a large stack ------------------------------------------------------------------------------ */

struct load {
  struct tly_definitions *definitions;
  const char *folder; /* or */
  const char *file, *text;
};

static void load_main(void *argument) {
  const struct load *load = argument;
  if (load->folder != NULL)
    define_folder(load->definitions, load->folder);
  else if (strlen(load->text) <= TLY_DEFINITION_BYTES_MAX)
    define_text(load->definitions, load->file, load->text, strlen(load->text));
  else
    report_too_large(load->definitions, load->file);
  tly_define_reconcile_ledgers(load->definitions);
}

static enum tly_status read_project(struct load *load, struct tly_diagnostics *diagnostics, struct tly_project **out) {
  struct tly_definitions *definitions = tly_calloc(1, sizeof *definitions);
  uint32_t before = diagnostics->count;
  load->definitions = definitions;
  definitions->project = new_project();
  definitions->diagnostics = diagnostics;
  definitions->resolver = (struct tly_resolver){.arena = &definitions->project->arena,
                                                .project = definitions->project,
                                                .error = &definitions->error,
                                                .error_location = TLY_LOCATION_NONE,
                                                .is_view = true};
  if (tly_sql_on_large_stack(SIZE_MAX, load_main, load, &definitions->error) != TLY_OK)
    report_file(definitions, load->folder != NULL ? load->folder : load->file);
  tly_view_schedule_share(definitions->project);
  *out = definitions->project;
  tly_free(definitions);
  if (diagnostics->count == before)
    return TLY_OK;
  tly_project_free(*out);
  *out = NULL;
  return diagnostics->items[before].status;
}

enum tly_status tly_project_load(const char *folder, struct tly_diagnostics *diagnostics, struct tly_project **out) {
  struct load load = {.folder = folder};
  return read_project(&load, diagnostics, out);
}

enum tly_status tly_project_load_or_complain(const char *folder, struct tly_project **out, struct tly_error *error) {
  struct tly_diagnostics diagnostics;
  struct tly_buffer text = {0};
  tly_diagnostics_init(&diagnostics);
  enum tly_status status = tly_project_load(folder, &diagnostics, out);
  if (status != TLY_OK) {
    const struct tly_diagnostic *first = &diagnostics.items[0];
    tly_diagnostics_print(&diagnostics, &text);
    fputs(tly_buffer_text(&text), stderr);
    status = TLY_FAIL(error, status, "project \"%s\" cannot be used: %s:%u: %s", folder, first->file, first->line,
                      first->message);
  }
  tly_buffer_free(&text);
  tly_diagnostics_free(&diagnostics);
  return status;
}

enum tly_status tly_project_parse(const char *file, const char *text, struct tly_diagnostics *diagnostics,
                                  struct tly_project **out) {
  struct load load = {.file = file, .text = text};
  return read_project(&load, diagnostics, out);
}
