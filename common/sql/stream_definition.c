/* CREATE FOREIGN TABLE: a stream's columns and where each stands in an event. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/definitions.h"

/* ---- columns ----------------------------------------------------------------------------------------------------- */

/* 'data.status' to {"data", "status"}. */
static enum tly_status split_path(struct tly_resolver *resolver, const char *text, uint32_t location,
                                  struct tly_stream_column *column) {
  uint32_t count = 1;
  for (const char *at = text; *at != '\0'; at++)
    count += *at == '.';
  if (count > TLY_JSON_DEPTH_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_TOO_COMPLEX, "path of more than %d members", TLY_JSON_DEPTH_MAX);
  column->path = TLY_ARENA_ARRAY(resolver->arena, const char *, count);
  column->path_count = count;
  const char *start = text;
  for (uint32_t i = 0; i < count; i++) {
    size_t size = strcspn(start, ".");
    if (size == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_INVALID_PARAMETER, "path '%s' has an empty member name", text);
    column->path[i] = tly_arena_copy(resolver->arena, start, size);
    start += size + 1;
  }
  return TLY_OK;
}

static enum tly_status read_unit(struct tly_resolver *resolver, const struct tly_option *option,
                                 struct tly_stream_column *column) {
  static const char *const names[] = {"rfc3339", "s", "ms", "us"};
  if (tly_type_category(column->type.id) != 'D')
    return TLY_FAIL_AT(resolver, option->location, TLY_E_INVALID_PARAMETER,
                       "option \"unit\" is for columns of type date, timestamp and timestamptz");
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(names[i], option->value) == 0) {
      column->unit = (enum tly_timestamp_unit)i;
      return TLY_OK;
    }
  }
  return TLY_FAIL_AT(resolver, option->location, TLY_E_INVALID_PARAMETER,
                     "unit '%s': it is one of 'rfc3339', 's', 'ms', 'us'", option->value);
}

static enum tly_status read_column_options(struct tly_definitions *definitions, struct tly_node node,
                                           struct tly_stream_column *column) {
  static const char *const known[] = {"path", "unit", "header", NULL};
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_option *options;
  uint32_t count;
  TLY_TRY(tly_definitions_options(definitions, node, "fdwoptions", known, &options, &count));
  column->path = TLY_ARENA_ARRAY(resolver->arena, const char *, 1);
  column->path[0] = column->name;
  column->path_count = 1;
  column->header = column->name;
  const struct tly_option *path = tly_option_find(options, count, "path");
  const struct tly_option *unit = tly_option_find(options, count, "unit");
  const struct tly_option *header = tly_option_find(options, count, "header");
  if (path != NULL)
    TLY_TRY(split_path(resolver, path->value, path->location, column));
  if (unit != NULL)
    TLY_TRY(read_unit(resolver, unit, column));
  if (header != NULL && header->value[0] == '\0')
    return TLY_FAIL_AT(resolver, header->location, TLY_E_INVALID_PARAMETER, "header is empty");
  if (header != NULL)
    column->header = header->value;
  return TLY_OK;
}

static enum tly_status read_column(struct tly_definitions *definitions, struct tly_node node,
                                   struct tly_stream_column *column) {
  column->location = tly_node_location(node);
  TLY_TRY(tly_definitions_column(definitions, node, "a stream", &column->name, &column->type, &column->not_null));
  return read_column_options(definitions, node, column);
}

/* One path begins like the other: both are one member, or one is inside the other. */
static bool paths_collide(const struct tly_stream_column *a, const struct tly_stream_column *b) {
  uint32_t count = a->path_count < b->path_count ? a->path_count : b->path_count;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(a->path[i], b->path[i]) != 0)
      return false;
  return true;
}

static enum tly_status check_against(struct tly_resolver *resolver, const struct tly_stream_column *column,
                                     const struct tly_stream_column *earlier, enum tly_format format) {
  if (strcmp(column->name, earlier->name) == 0)
    return TLY_FAIL_AT(resolver, column->location, TLY_E_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                       column->name);
  if (format == TLY_FORMAT_JSON && paths_collide(column, earlier))
    return TLY_FAIL_AT(resolver, column->location, TLY_E_INVALID_OBJECT_DEFINITION,
                       "columns \"%s\" and \"%s\" stand at the same path, or one inside the other", earlier->name,
                       column->name);
  if (format == TLY_FORMAT_CSV && strcmp(column->header, earlier->header) == 0)
    return TLY_FAIL_AT(resolver, column->location, TLY_E_INVALID_OBJECT_DEFINITION,
                       "columns \"%s\" and \"%s\" have the same header", earlier->name, column->name);
  return TLY_OK;
}

/* Every wrong column is a problem of its own. */
static bool read_columns(struct tly_definitions *definitions, struct tly_node base, struct tly_stream *stream) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t count = (uint32_t)tly_node_count(base, "tableElts");
  bool fine = true;
  if (count == 0 || count > TLY_COLUMNS_MAX)
    return tly_definitions_report(definitions, TLY_FAIL_AT(resolver, tly_node_location(base), TLY_E_TOO_COMPLEX,
                                                           "a stream has 1 to %d columns", TLY_COLUMNS_MAX));
  stream->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_stream_column, count);
  for (uint32_t i = 0; i < count; i++) {
    struct tly_stream_column *column = &stream->columns[stream->column_count];
    enum tly_status status = read_column(definitions, tly_node_item(base, "tableElts", i), column);
    for (uint32_t j = 0; j < stream->column_count && status == TLY_OK; j++)
      status = check_against(resolver, column, &stream->columns[j], stream->format);
    if (tly_definitions_report(definitions, status))
      stream->column_count++;
    else
      fine = false;
  }
  return fine;
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

static enum tly_status find_server(struct tly_definitions *definitions, struct tly_node node,
                                   struct tly_stream *stream) {
  struct tly_resolver *resolver = &definitions->resolver;
  const struct tly_project *project = definitions->project;
  const char *name = tly_node_text(node, "servername");
  struct tly_suggestion suggestion = {.best = NULL};
  stream->server = tly_definitions_server(definitions, node);
  if (stream->server != NULL)
    return TLY_OK;
  for (uint32_t i = 0; i < project->server_count; i++)
    tly_suggest(&suggestion, name, project->servers[i].name);
  (void)TLY_FAIL_AT(resolver, stream->location, TLY_E_UNDEFINED_OBJECT, "server \"%s\" does not exist", name);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  return TLY_E_UNDEFINED_OBJECT;
}

static enum tly_status read_format(struct tly_resolver *resolver, struct tly_stream *stream) {
  const struct tly_option *format = tly_option_find(stream->options, stream->option_count, "format");
  if (format == NULL || strcmp(format->value, "json") == 0)
    return TLY_OK;
  stream->format = TLY_FORMAT_CSV;
  if (strcmp(format->value, "csv") == 0)
    return TLY_OK;
  return TLY_FAIL_AT(resolver, format->location, TLY_E_INVALID_PARAMETER, "format '%s': it is 'json' or 'csv'",
                     format->value);
}

static enum tly_status read_event_time(struct tly_resolver *resolver, struct tly_stream *stream) {
  const struct tly_option *option = tly_option_find(stream->options, stream->option_count, "event_time");
  struct tly_suggestion suggestion = {.best = NULL};
  stream->event_time = -1;
  if (option == NULL)
    return TLY_OK;
  for (uint32_t i = 0; i < stream->column_count; i++) {
    tly_suggest(&suggestion, option->value, stream->columns[i].name);
    if (strcmp(stream->columns[i].name, option->value) != 0)
      continue;
    if (tly_type_category(stream->columns[i].type.id) != 'D')
      return TLY_FAIL_AT(resolver, option->location, TLY_E_DATATYPE_MISMATCH,
                         "event_time must be of type date, timestamp or timestamptz, not %s",
                         tly_type_name(stream->columns[i].type));
    stream->event_time = (int32_t)i;
    return TLY_OK;
  }
  (void)TLY_FAIL_AT(resolver, option->location, TLY_E_UNDEFINED_COLUMN, "column \"%s\" does not exist", option->value);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  return TLY_E_UNDEFINED_COLUMN;
}

static enum tly_status read_head(struct tly_definitions *definitions, struct tly_node node, struct tly_node base,
                                 struct tly_stream *stream) {
  static const char *const embedded[] = {"format", "event_time", NULL};
  static const char *const kafka[] = {"format", "event_time", "topic", NULL};
  struct tly_resolver *resolver = &definitions->resolver;
  TLY_TRY(tly_resolver_expect(resolver, node, "base servername options"));
  TLY_TRY(tly_resolver_expect(resolver, base, "relation tableElts oncommit"));
  TLY_TRY(find_server(definitions, node, stream));
  bool is_kafka = stream->server->wrapper == TLY_WRAPPER_KAFKA;
  TLY_TRY(tly_definitions_options(definitions, node, "options", is_kafka ? kafka : embedded, &stream->options,
                                  &stream->option_count));
  return read_format(resolver, stream);
}

void tly_define_stream(struct tly_definitions *definitions, struct tly_node node) {
  struct tly_project *project = definitions->project;
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_node base = tly_node_struct(node, "base", "CreateStmt");
  struct tly_node relation = tly_node_struct(base, "relation", "RangeVar");
  struct tly_stream stream = {.file = definitions->file, .location = tly_node_location(relation)};
  if (!tly_definitions_report(definitions, tly_definitions_new_name(definitions, relation, &stream.name)))
    return;
  bool fine = tly_definitions_report(definitions, read_head(definitions, node, base, &stream));
  fine = read_columns(definitions, base, &stream) && fine;
  if (fine)
    fine = tly_definitions_report(definitions, read_event_time(resolver, &stream));
  if (fine && project->stream_count == TLY_STREAMS_MAX)
    fine = tly_definitions_report(
        definitions, TLY_FAIL_AT(resolver, stream.location, TLY_E_TOO_MANY, "more than %d streams", TLY_STREAMS_MAX));
  if (!fine) {
    tly_definitions_add_broken(definitions, stream.name);
    return;
  }
  tly_canonical_stream(resolver, &stream);
  stream.source = tly_definitions_source(definitions);
  stream.location += definitions->piece_offset;
  project->streams[project->stream_count++] = stream;
}
