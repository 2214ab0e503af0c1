/* A raw export is what an ingest would take: it has one format and, for CSV, one header line. Events that came
 * otherwise than those before end it with an error that names the offset, since no reader could tell where the change
 * is.
 *
 * In the typed forms what stands between two values is the same in each line, so it is spelled once. */
#include "common/archive/export_spelling.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"

static const char *const position_names[] = {"_partition", "_offset"};

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static struct tly_value text_value(const char *text) {
  struct tly_value value = {.type = {.id = TLY_TYPE_TEXT}};
  value.text = (struct tly_text){.data = text, .size = (uint32_t)strlen(text)};
  return value;
}

/* What stands before the value of the `number`th column of a line. */
static void add_label(struct tly_export_spelling *spelling, uint32_t number, const char *name) {
  if (spelling->request->form == TLY_EXPORT_CSV) {
    tly_buffer_append_text(&spelling->labels, number == 0 ? "" : ",");
    return;
  }
  tly_buffer_append_text(&spelling->labels, number == 0 ? "{" : ",");
  tly_json_print_text(name, strlen(name), &spelling->labels);
  tly_buffer_append_byte(&spelling->labels, ':');
}

static enum tly_status check_names(const struct tly_export_request *request, struct tly_error *error) {
  for (uint32_t c = 0; c < request->stream->column_count; c++)
    for (size_t p = 0; p < 2; p++)
      if (strcmp(request->stream->columns[c].name, position_names[p]) == 0)
        return TLY_FAIL(error, TLY_E_DUPLICATE_COLUMN,
                        "stream \"%s\" has a column \"%s\" of its own: it cannot be exported with positions",
                        request->stream->name, position_names[p]);
  return TLY_OK;
}

enum tly_status tly_export_spelling_init(struct tly_export_spelling *spelling, const struct tly_export_request *request,
                                         struct tly_arena *arena, struct tly_error *error) {
  uint32_t shift = request->with_positions ? 2 : 0;
  *spelling = (struct tly_export_spelling){.request = request};
  if (request->form == TLY_EXPORT_RAW) {
    TLY_ASSERT(request->columns == NULL && !request->with_positions);
    return TLY_OK;
  }
  if (request->with_positions)
    TLY_TRY(check_names(request, error));
  spelling->field_count = request->columns != NULL ? request->column_count : request->stream->column_count;
  spelling->fields = TLY_ARENA_ARRAY(arena, struct tly_export_field, spelling->field_count);
  for (uint32_t f = 0; f < spelling->field_count; f++) {
    struct tly_export_field *field = &spelling->fields[f];
    field->column = request->columns != NULL ? request->columns[f] : f;
    TLY_ASSERT(field->column < request->stream->column_count);
    field->label = spelling->labels.size;
    add_label(spelling, f + shift, request->stream->columns[field->column].name);
    field->label_size = spelling->labels.size - field->label;
  }
  return TLY_OK;
}

void tly_export_spelling_free(struct tly_export_spelling *spelling) {
  tly_buffer_free(&spelling->labels);
  tly_buffer_free(&spelling->source_header);
}

void tly_export_spelling_want(const struct tly_export_spelling *spelling, bool *wanted) {
  for (uint32_t f = 0; f < spelling->field_count; f++)
    wanted[spelling->fields[f].column] = true;
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

void tly_export_spelling_begin(struct tly_export_spelling *spelling, struct tly_buffer *out) {
  const struct tly_export_request *request = spelling->request;
  if (request->form != TLY_EXPORT_CSV)
    return;
  for (size_t p = 0; p < 2 && request->with_positions; p++)
    tly_buffer_print(out, "%s%s", p == 0 ? "" : ",", position_names[p]);
  for (uint32_t f = 0; f < spelling->field_count; f++) {
    struct tly_value name = text_value(request->stream->columns[spelling->fields[f].column].name);
    tly_buffer_append(out, spelling->labels.data + spelling->fields[f].label, spelling->fields[f].label_size);
    tly_value_print_csv(&name, out);
  }
  tly_buffer_append_byte(out, '\n');
}

static enum tly_status refuse_mixture(const struct tly_export_spelling *spelling, const struct tly_event_batch *batch,
                                      uint32_t partition, int64_t offset, struct tly_error *error) {
  bool is_format = spelling->source_format != batch->raw_format;
  enum tly_status status = TLY_FAIL(
      error, TLY_E_FILE_FORMAT,
      "from offset %" PRId64 " of partition %u on, the events of stream \"%s\" came %s than those before: one "
      "raw file cannot hold both",
      offset, partition, spelling->request->stream->name, is_format ? "in another format" : "under another CSV header");
  tly_error_hint(error,
                 "export them apart (--partition %u --to-offset %" PRId64 ", then --from-offset %" PRId64
                 "), or as --format ndjson or csv",
                 partition, offset, offset);
  return status;
}

enum tly_status tly_export_spelling_batch(struct tly_export_spelling *spelling, const struct tly_event_batch *batch,
                                          uint32_t partition, int64_t offset, struct tly_buffer *out,
                                          struct tly_error *error) {
  struct tly_text header = batch->raw_header;
  if (spelling->request->form != TLY_EXPORT_RAW)
    return TLY_OK;
  if (spelling->has_source) {
    bool is_same = spelling->source_format == batch->raw_format && spelling->source_header.size == header.size &&
                   (header.size == 0 || memcmp(spelling->source_header.data, header.data, header.size) == 0);
    return is_same ? TLY_OK : refuse_mixture(spelling, batch, partition, offset, error);
  }
  spelling->has_source = true;
  spelling->source_format = batch->raw_format;
  tly_buffer_append(&spelling->source_header, header.data, header.size);
  if (batch->raw_format == TLY_FORMAT_CSV) {
    tly_buffer_append(out, header.data, header.size);
    tly_buffer_append_byte(out, '\n');
  }
  return TLY_OK;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void append_fields(const struct tly_export_spelling *spelling, const struct tly_event_batch *batch, uint32_t row,
                          struct tly_buffer *out) {
  bool is_csv = spelling->request->form == TLY_EXPORT_CSV;
  for (uint32_t f = 0; f < spelling->field_count; f++) {
    const struct tly_export_field *field = &spelling->fields[f];
    struct tly_value value = tly_vector_value(&batch->columns[field->column], row);
    tly_buffer_append(out, spelling->labels.data + field->label, field->label_size);
    if (is_csv)
      tly_value_print_csv(&value, out);
    else
      tly_value_print_json(&value, out);
  }
}

void tly_export_spelling_event(const struct tly_export_spelling *spelling, const struct tly_event_batch *batch,
                               uint32_t row, uint32_t partition, int64_t offset, struct tly_buffer *out) {
  const struct tly_export_request *request = spelling->request;
  TLY_ASSERT(row < batch->count);
  if (request->form == TLY_EXPORT_RAW) {
    tly_buffer_append(out, batch->raw[row].data, batch->raw[row].size);
  } else {
    if (request->with_positions)
      tly_buffer_print(out, request->form == TLY_EXPORT_CSV ? "%u,%" PRId64 : "{\"_partition\":%u,\"_offset\":%" PRId64,
                       partition, offset);
    append_fields(spelling, batch, row, out);
    if (request->form == TLY_EXPORT_NDJSON)
      tly_buffer_append_byte(out, '}');
  }
  tly_buffer_append_byte(out, '\n');
}
