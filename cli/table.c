#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/value/text.h"
#include "common/value/value.h"

struct tly_table {
  enum tly_output_format format;
  FILE *out;
  size_t column_count;
  char **names, **types;
  char **cells; /* table form: row by row; NULL is SQL's NULL */
  size_t row_count, row_capacity;
};

static bool is_type(const struct tly_table *table, size_t column, const char *type) {
  return strcmp(table->types[column], type) == 0;
}

static bool is_right_aligned(const struct tly_table *table, size_t column) {
  static const char *const numbers[] = {"smallint", "integer", "bigint", "numeric", "double precision"};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (is_type(table, column, numbers[i]))
      return true;
  return false;
}

/* The protocol's JSON value in psql's text form. */
static void print_cell(const struct tly_table *table, size_t column, const json_t *value, struct tly_buffer *out) {
  if (json_is_boolean(value)) {
    tly_buffer_append_byte(out, json_is_true(value) ? 't' : 'f');
  } else if (json_is_integer(value)) {
    if (is_type(table, column, "double precision"))
      tly_double_print((double)json_integer_value(value), out);
    else
      tly_buffer_print(out, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    tly_double_print(json_real_value(value), out);
  } else if (json_is_string(value)) {
    size_t start = out->size, size = json_string_length(value);
    tly_buffer_append(out, json_string_value(value), size);
    bool zoned = is_type(table, column, "timestamptz");
    if ((zoned || is_type(table, column, "timestamp")) && size > 10) { /* RFC 3339 to psql's */
      char *at = memchr(out->data + start, 'T', size);
      if (at != NULL)
        *at = ' ';
      if (zoned && out->data[out->size - 1] == 'Z') {
        out->size--;
        tly_buffer_append_text(out, "+00");
      }
    }
  } else if (!json_is_null(value)) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    tly_buffer_append_text(out, text != NULL ? text : "?");
    free(text);
  }
}

static void append_csv(const char *text, struct tly_buffer *out) {
  if (*text != 0 && strpbrk(text, ",\"\r\n") == NULL && strcmp(text, "\\.") != 0) {
    tly_buffer_append_text(out, text);
    return;
  }
  tly_buffer_append_byte(out, '"');
  for (; *text != 0; text++) {
    if (*text == '"')
      tly_buffer_append_byte(out, '"');
    tly_buffer_append_byte(out, (uint8_t)*text);
  }
  tly_buffer_append_byte(out, '"');
}

static void print_csv_header(const struct tly_table *table) {
  struct tly_buffer line = {0};
  for (size_t c = 0; c < table->column_count; c++) {
    if (c > 0)
      tly_buffer_append_byte(&line, ',');
    append_csv(table->names[c], &line);
  }
  fprintf(table->out, "%s\n", tly_buffer_text(&line));
  tly_buffer_free(&line);
}

static void print_csv_row(const struct tly_table *table, const json_t *row) {
  struct tly_buffer line = {0}, cell = {0};
  for (size_t c = 0; c < table->column_count; c++) {
    const json_t *value = json_array_get(row, c);
    if (c > 0)
      tly_buffer_append_byte(&line, ',');
    if (json_is_null(value))
      continue;
    tly_buffer_clear(&cell);
    print_cell(table, c, value, &cell);
    append_csv(tly_buffer_text(&cell), &line);
  }
  fprintf(table->out, "%s\n", tly_buffer_text(&line));
  tly_buffer_free(&line);
  tly_buffer_free(&cell);
}

static void print_ndjson_row(const struct tly_table *table, const json_t *row) {
  struct tly_buffer line = {0};
  for (size_t c = 0; c < table->column_count; c++) {
    const json_t *value = json_array_get(row, c);
    tly_buffer_append_byte(&line, c == 0 ? '{' : ',');
    tly_json_print_text(table->names[c], strlen(table->names[c]), &line);
    tly_buffer_append_byte(&line, ':');
    if (json_is_real(value)) {
      tly_double_print(json_real_value(value), &line);
      continue;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    tly_buffer_append_text(&line, text != NULL ? text : "null");
    free(text);
  }
  fprintf(table->out, "%s}\n", tly_buffer_text(&line));
  tly_buffer_free(&line);
}

static void keep_row(struct tly_table *table, const json_t *row) {
  struct tly_buffer cell = {0};
  if (table->row_count == table->row_capacity) {
    table->row_capacity = table->row_capacity * 2 + 64;
    table->cells = tly_realloc_array(table->cells, table->row_capacity * table->column_count, sizeof *table->cells);
  }
  char **cells = table->cells + table->row_count++ * table->column_count;
  for (size_t c = 0; c < table->column_count; c++) {
    const json_t *value = json_array_get(row, c);
    tly_buffer_clear(&cell);
    print_cell(table, c, value, &cell);
    cells[c] = value == NULL || json_is_null(value) ? NULL : tly_strdup(tly_buffer_text(&cell));
  }
  tly_buffer_free(&cell);
}

tly_table *tly_table_begin(const json_t *columns, enum tly_output_format format, FILE *out) {
  tly_table *table = tly_calloc(1, sizeof *table);
  table->format = format;
  table->out = out;
  table->column_count = json_array_size(columns);
  table->names = tly_calloc(table->column_count + 1, sizeof *table->names);
  table->types = tly_calloc(table->column_count + 1, sizeof *table->types);
  for (size_t c = 0; c < table->column_count; c++) {
    const json_t *column = json_array_get(columns, c);
    const char *name = json_string_value(json_object_get(column, "name"));
    const char *type = json_string_value(json_object_get(column, "type"));
    table->names[c] = tly_strdup(name != NULL ? name : "?column?");
    table->types[c] = tly_strdup(type != NULL ? type : "text");
  }
  if (format == TLY_OUTPUT_CSV)
    print_csv_header(table);
  return table;
}

void tly_table_row(tly_table *table, const json_t *row) {
  switch (table->format) {
  case TLY_OUTPUT_TABLE: keep_row(table, row); break;
  case TLY_OUTPUT_CSV: print_csv_row(table, row); break;
  case TLY_OUTPUT_JSON:
  case TLY_OUTPUT_NDJSON: print_ndjson_row(table, row); break;
  }
}

/* ---- the aligned form -------------------------------------------------------------------------------------------- */

static size_t width_of(const char *text) {
  return text != NULL ? tly_text_length(tly_text_of(text)) : 0;
}

static void print_padded(FILE *out, const char *text, size_t width, bool right) {
  int pad = (int)(width - width_of(text));
  fprintf(out, "%*s%s%*s", right ? pad : 0, "", text != NULL ? text : "", right ? 0 : pad, "");
}

static size_t *column_widths(const struct tly_table *table) {
  size_t *widths = tly_calloc(table->column_count + 1, sizeof *widths);
  for (size_t c = 0; c < table->column_count; c++) {
    widths[c] = width_of(table->names[c]);
    for (size_t r = 0; r < table->row_count; r++) {
      size_t width = width_of(table->cells[r * table->column_count + c]);
      if (width > widths[c])
        widths[c] = width;
    }
  }
  return widths;
}

static void print_aligned_header(const struct tly_table *table, const size_t *widths) {
  for (size_t c = 0; c < table->column_count; c++) {
    size_t left = (widths[c] - width_of(table->names[c])) / 2; /* centred, as psql does */
    fprintf(table->out, "%s %*s", c > 0 ? "|" : "", (int)left, "");
    print_padded(table->out, table->names[c], widths[c] - left, false);
    fputs(c + 1 < table->column_count ? " " : "\n", table->out);
  }
  for (size_t c = 0; c < table->column_count; c++) {
    fputs(c > 0 ? "+" : "", table->out);
    for (size_t i = 0; i < widths[c] + 2; i++)
      fputc('-', table->out);
  }
  fputc('\n', table->out);
}

static void print_aligned(const struct tly_table *table) {
  size_t *widths = column_widths(table);
  print_aligned_header(table, widths);
  for (size_t r = 0; r < table->row_count; r++) {
    for (size_t c = 0; c < table->column_count; c++) {
      const char *cell = table->cells[r * table->column_count + c];
      bool last = c + 1 == table->column_count;
      fputs(c > 0 ? "| " : " ", table->out);
      bool right = is_right_aligned(table, c);
      print_padded(table->out, cell, last && !right ? width_of(cell) : widths[c], right);
      fputs(last ? "\n" : " ", table->out);
    }
  }
  fprintf(table->out, "(%zu row%s)\n", table->row_count, table->row_count == 1 ? "" : "s");
  tly_free(widths);
}

void tly_table_end(tly_table *table) {
  if (table->format == TLY_OUTPUT_TABLE)
    print_aligned(table);
  for (size_t i = 0; i < table->row_count * table->column_count; i++)
    tly_free(table->cells[i]);
  for (size_t c = 0; c < table->column_count; c++) {
    tly_free(table->names[c]);
    tly_free(table->types[c]);
  }
  tly_free(table->cells);
  tly_free(table->names);
  tly_free(table->types);
  tly_free(table);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

static const char *type_of_member(const json_t *objects, const char *name) {
  size_t i;
  const json_t *object;
  const char *type = "text";
  json_array_foreach(objects, i, object) {
    const json_t *value = json_object_get(object, name);
    if (json_is_number(value))
      type = "bigint";
    else if (value != NULL && !json_is_null(value))
      return "text";
  }
  return type;
}

/* Is the member null in all of them? */
static bool is_empty(const json_t *objects, const char *name) {
  size_t i;
  const json_t *object;
  json_array_foreach(objects, i, object) {
    if (!json_is_null(json_object_get(object, name)))
      return false;
  }
  return true;
}

/* The form for people leaves out what nobody has a value for. */
static json_t *columns_of(const json_t *objects, enum tly_output_format format) {
  json_t *columns = json_array(), *first = json_array_get(objects, 0);
  const char *name;
  json_t *value;
  json_object_foreach(first, name, value) {
    if (format == TLY_OUTPUT_TABLE && is_empty(objects, name))
      continue;
    json_array_append_new(columns, json_pack("{s:s,s:s}", "name", name, "type", type_of_member(objects, name)));
  }
  return columns;
}

void tly_table_print_objects(const json_t *objects, enum tly_output_format format, FILE *out) {
  if (format == TLY_OUTPUT_JSON) {
    json_dumpf(objects, out, JSON_INDENT(2));
    fputc('\n', out);
    return;
  }
  json_t *columns = columns_of(objects, format);
  tly_table *table = tly_table_begin(columns, format, out);
  size_t i, c;
  json_t *object, *column;
  json_array_foreach(objects, i, object) {
    json_t *row = json_array();
    json_array_foreach(columns, c, column) {
      json_t *value = json_object_get(object, json_string_value(json_object_get(column, "name")));
      json_array_append(row, value != NULL ? value : json_null());
    }
    tly_table_row(table, row);
    json_decref(row);
  }
  tly_table_end(table);
  json_decref(columns);
}
