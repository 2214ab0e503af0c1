#include "batch_layer/stream_record.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "numeric(18,2)" */
static void type_text(struct tly_type type, char *out, size_t size) {
  if (type.id == TLY_TYPE_NUMERIC && type.precision > 0)
    snprintf(out, size, "numeric(%d,%d)", type.precision, type.scale);
  else if (type.id == TLY_TYPE_VARCHAR && type.precision > 0)
    snprintf(out, size, "varchar(%d)", type.precision);
  else
    snprintf(out, size, "%s", tly_type_name(type));
}

static json_t *column_record(const struct tly_stream_column *column) {
  char type[64];
  json_t *path = json_array();
  for (uint32_t i = 0; i < column->path_count; i++)
    json_array_append_new(path, json_string(column->path[i]));
  type_text(column->type, type, sizeof type);
  return json_pack("{s:s, s:s, s:b, s:o, s:s, s:i}", "name", column->name, "type", type, "not_null", column->not_null,
                   "path", path, "header", column->header == NULL ? column->name : column->header, "unit",
                   (int)column->unit);
}

static json_t *record_of(const struct tly_stream *stream) {
  json_t *columns = json_array();
  for (uint32_t c = 0; c < stream->column_count; c++)
    json_array_append_new(columns, column_record(&stream->columns[c]));
  return json_pack("{s:s, s:s, s:o}", "server", stream->server == NULL ? "embedded" : stream->server->name,
                   "event_time", stream->event_time < 0 ? "" : stream->columns[stream->event_time].name, "columns",
                   columns);
}

void tly_stream_record_write(const struct tly_stream *stream, struct tly_buffer *out) {
  json_t *record = record_of(stream);
  char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
  tly_buffer_append_text(out, text);
  free(text);
  json_decref(record);
}

static const char *text_of(const json_t *object, const char *member) {
  const char *text = json_string_value(json_object_get(object, member));
  return text == NULL ? "" : text;
}

static json_t *column_named(json_t *record, const char *name) {
  json_t *column;
  size_t i;
  json_array_foreach(json_object_get(record, "columns"), i, column) {
    if (strcmp(text_of(column, "name"), name) == 0)
      return column;
  }
  return NULL;
}

static enum tly_status refuse(const struct tly_stream *stream, struct tly_error *error, const char *what,
                              const char *name) {
  enum tly_status status =
      TLY_FAIL(error, TLY_E_CONFIG, "stream \"%s\" has changed: %s \"%s\"", stream->name, what, name);
  tly_error_hint(error, "Its stored events were taken in by the old definition. Put that back (nullable columns may be "
                        "added), or define a stream of another name, or start with another --data folder.");
  return status;
}

static enum tly_status compare_columns(const struct tly_stream *stream, json_t *before, json_t *now, bool *added,
                                       struct tly_error *error) {
  json_t *column;
  size_t i;
  json_array_foreach(json_object_get(before, "columns"), i, column) {
    const char *name = text_of(column, "name");
    json_t *same = column_named(now, name);
    if (same == NULL)
      return refuse(stream, error, "it no longer has the column", name);
    if (strcmp(text_of(same, "type"), text_of(column, "type")) != 0)
      return refuse(stream, error, "another type is given to the column", name);
    if (!json_equal(same, column))
      return refuse(stream, error, "NOT NULL or an option has changed of the column", name);
  }
  json_array_foreach(json_object_get(now, "columns"), i, column) {
    const char *name = text_of(column, "name");
    if (column_named(before, name) != NULL)
      continue;
    if (json_is_true(json_object_get(column, "not_null")))
      return refuse(stream, error, "stored events may lack the new NOT NULL column", name);
    *added = true;
  }
  return TLY_OK;
}

enum tly_status tly_stream_record_compare(const struct tly_stream *stream, const char *recorded, bool *added,
                                          struct tly_error *error) {
  json_t *before = json_loads(recorded, 0, NULL), *now = record_of(stream);
  enum tly_status status = TLY_OK;
  *added = false;
  if (before == NULL)
    status = TLY_FAIL(error, TLY_E_CORRUPT, "the recorded definition of stream \"%s\" is damaged", stream->name);
  else if (strcmp(text_of(before, "server"), text_of(now, "server")) != 0)
    status = refuse(stream, error, "it now comes from the server", text_of(now, "server"));
  else if (strcmp(text_of(before, "event_time"), text_of(now, "event_time")) != 0)
    status = refuse(stream, error, "its event time is now", text_of(now, "event_time"));
  else
    status = compare_columns(stream, before, now, added, error);
  json_decref(before);
  json_decref(now);
  return status;
}
