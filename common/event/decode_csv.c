/* A record is read field by field, each field converted as soon as its end is known. A record that turns out not to be
 * one (22P04) takes precedence over a field that did not convert, as a line that is not JSON does.
 *
 * A QUOTE THAT IS NEVER CLOSED would swallow the rest of the input. It is looked for in the next TLY_LINE_BYTES_MAX
 * bytes; if it is not there, the record's first line is rejected alone and the next one is read as a new record.
 * Whatever else is wrong with a record, reading goes on behind the end of the line where it was noticed. */
#include "common/event/decode_csv.h"

#include <emmintrin.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/buffer.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/event/convert.h"
#include "common/event/line.h"
#include "common/event/path_tree.h"

#define NO_COLUMN UINT32_MAX

enum { CHUNK = 16 };

struct tly_csv_decoder {
  const struct tly_stream *stream;
  struct tly_buffer header; /* without its line end */
  bool has_header;
  uint32_t *column_of_field; /* NO_COLUMN: not ours */
  uint32_t field_count;
  uint32_t *absent; /* columns the header does not name */
  uint32_t absent_count;
};

/* One record under work. */
struct reader {
  const char *record, *next, *end;
  bool is_over; /* the record's end was met; next is behind its line end */
};

struct field {
  const char *data; /* without its quotes */
  uint32_t size;
  bool is_quoted;
  bool has_doubled_quotes;
  bool is_odd; /* perhaps not ASCII, or with a NUL */
};

tly_csv_decoder *tly_csv_decoder_new(const struct tly_stream *stream) {
  tly_csv_decoder *decoder = tly_calloc(1, sizeof *decoder);
  decoder->stream = stream;
  decoder->column_of_field = tly_calloc(TLY_CSV_FIELDS_MAX, sizeof *decoder->column_of_field);
  decoder->absent = tly_calloc(stream->column_count, sizeof *decoder->absent);
  return decoder;
}

void tly_csv_decoder_free(tly_csv_decoder *decoder) {
  if (decoder == NULL)
    return;
  tly_buffer_free(&decoder->header);
  tly_free(decoder->column_of_field);
  tly_free(decoder->absent);
  tly_free(decoder);
}

const char *tly_csv_decoder_header(const tly_csv_decoder *decoder, size_t *size) {
  *size = decoder->header.size;
  return decoder->has_header ? (const char *)decoder->header.data : NULL;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static unsigned long long byte_number(const struct reader *reader) {
  return (unsigned long long)(reader->next - reader->record) + 1;
}

/* The first comma, quote or line feed in [next, end), or `end`; *is_odd when a byte before it is NUL or not ASCII. */
static const char *field_stop(const char *next, const char *end, bool *is_odd) {
  const __m128i comma = _mm_set1_epi8(',');
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i line_feed = _mm_set1_epi8('\n');
  unsigned odd = 0;
  for (; end - next >= CHUNK; next += CHUNK) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)next);
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(bytes, comma), _mm_cmpeq_epi8(bytes, quote));
    unsigned stop_bits = (unsigned)_mm_movemask_epi8(_mm_or_si128(stops, _mm_cmpeq_epi8(bytes, line_feed)));
    unsigned odd_bits = (unsigned)_mm_movemask_epi8(_mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, _mm_setzero_si128())));
    if (stop_bits != 0) {
      unsigned at = (unsigned)__builtin_ctz(stop_bits);
      *is_odd = (odd | (odd_bits & ((1u << at) - 1))) != 0;
      return next + at;
    }
    odd |= odd_bits;
  }
  for (; next < end && *next != ',' && *next != '"' && *next != '\n'; next++)
    odd |= *next == '\0' || (*next & 0x80) != 0;
  *is_odd = odd != 0;
  return next;
}

static enum tly_status check_text(const struct field *field, struct tly_error *error) {
  if (!field->is_odd || tly_text_is_valid(field->data, field->size))
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\" in a field");
}

static enum tly_status read_plain_field(struct reader *reader, struct field *field, struct tly_error *error) {
  bool is_odd;
  const char *stop = field_stop(reader->next, reader->end, &is_odd);
  if (stop < reader->end && *stop == '"') {
    reader->next = stop;
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "a quote inside a field that does not begin with one, at byte %llu",
                    byte_number(reader));
  }
  bool at_line_end = stop == reader->end || *stop == '\n';
  *field = (struct field){.data = reader->next, .size = (uint32_t)(stop - reader->next), .is_odd = is_odd};
  if (at_line_end)
    field->size = (uint32_t)tly_line_payload_size(field->data, stop < reader->end ? stop + 1 : stop);
  if (memchr(field->data, '\r', field->size) != NULL)
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "a carriage return inside a field without quotes, at byte %llu",
                    byte_number(reader));
  reader->next = stop;
  return TLY_OK;
}

/* The closing quote of the field whose text starts at `next`, or NULL. */
static const char *closing_quote(const char *next, const char *end, bool *has_doubled) {
  *has_doubled = false;
  for (;;) {
    const char *quote = memchr(next, '"', (size_t)(end - next));
    if (quote == NULL || quote + 1 == end || quote[1] != '"')
      return quote;
    *has_doubled = true;
    next = quote + 2;
  }
}

static bool is_field_end(const char *next, const char *end) {
  return next == end || *next == ',' || *next == '\n' || (*next == '\r' && (next + 1 == end || next[1] == '\n'));
}

static enum tly_status read_quoted_field(struct reader *reader, struct field *field, struct tly_error *error) {
  const char *limit = reader->end;
  if (limit - reader->record > TLY_LINE_BYTES_MAX)
    limit = reader->record + TLY_LINE_BYTES_MAX;
  const char *start = reader->next + 1;
  bool has_doubled = false;
  const char *quote = start <= limit ? closing_quote(start, limit, &has_doubled) : NULL;
  if (quote == NULL) {
    unsigned long long place = byte_number(reader);
    reader->next = reader->record;
    if (limit < reader->end)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "the quote at byte %llu is not closed within the %d bytes of an event",
                      place, TLY_LINE_BYTES_MAX);
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "the quote at byte %llu is never closed", place);
  }
  reader->next = quote + 1;
  if (!is_field_end(reader->next, reader->end))
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "a closing quote that no comma follows, at byte %llu",
                    byte_number(reader) - 1);
  *field = (struct field){.data = start,
                          .size = (uint32_t)(quote - start),
                          .is_quoted = true,
                          .has_doubled_quotes = has_doubled,
                          .is_odd = true};
  return TLY_OK;
}

/* Read the field at reader->next, and what ends it. */
static enum tly_status read_field(struct reader *reader, struct field *field, struct tly_error *error) {
  bool is_quoted = reader->next < reader->end && *reader->next == '"';
  TLY_TRY(is_quoted ? read_quoted_field(reader, field, error) : read_plain_field(reader, field, error));
  if (reader->next < reader->end && *reader->next == ',') {
    reader->next++;
    return TLY_OK;
  }
  reader->next = tly_line_end(reader->next, reader->end);
  reader->is_over = true;
  return TLY_OK;
}

/* What the field says: itself, or a copy with single quotes for doubled ones. */
static struct tly_text field_text(const struct field *field, struct tly_arena *arena) {
  if (!field->has_doubled_quotes)
    return (struct tly_text){.data = field->data, .size = field->size};
  char *out = tly_arena_alloc(arena, field->size);
  uint32_t size = 0;
  for (uint32_t i = 0; i < field->size; i++) {
    out[size++] = field->data[i];
    i += field->data[i] == '"';
  }
  return (struct tly_text){.data = out, .size = size};
}

/* ---- the header -------------------------------------------------------------------------------------------------- */

/* What the header says, before it is known to be good. */
struct header {
  struct tly_arena arena;
  struct tly_text *names; /* TLY_CSV_FIELDS_MAX */
  uint32_t *columns;      /* of the fields */
  uint32_t count;
  bool *is_named; /* per column */
};

static enum tly_status read_names(struct header *header, struct reader *reader, struct tly_error *error) {
  while (!reader->is_over) {
    struct field field = {0};
    if (header->count == TLY_CSV_FIELDS_MAX)
      return TLY_FAIL(error, TLY_E_FILE_FORMAT, "the header has more than %d fields", TLY_CSV_FIELDS_MAX);
    TLY_TRY(read_field(reader, &field, error));
    TLY_TRY(check_text(&field, error));
    header->names[header->count++] = field_text(&field, &header->arena);
  }
  return TLY_OK;
}

static enum tly_status match_names(struct header *header, const struct tly_stream *stream, struct tly_error *error) {
  for (uint32_t i = 0; i < header->count; i++) {
    header->columns[i] = NO_COLUMN;
    for (uint32_t column = 0; column < stream->column_count; column++) {
      if (!tly_text_equal(header->names[i], tly_text_of(stream->columns[column].header)))
        continue;
      if (header->is_named[column])
        return TLY_FAIL(error, TLY_E_DUPLICATE_COLUMN, "the header has \"%s\" twice", stream->columns[column].header);
      header->is_named[column] = true;
      header->columns[i] = column;
      break;
    }
  }
  return TLY_OK;
}

static enum tly_status fail_not_named(const struct header *header, const struct tly_stream_column *column,
                                      struct tly_error *error) {
  for (uint32_t i = 0; i < header->count; i++) {
    struct tly_text name = header->names[i];
    int size = tly_convert_quoted_size(name);
    if (tly_path_names_alike(name.data, name.size, column->header, strlen(column->header)))
      return TLY_FAIL(error, TLY_E_NOT_NULL,
                      "column \"%s\": it is NOT NULL, but the header does not name it. It has \"%.*s\": to read the "
                      "column from there, write OPTIONS (header '%.*s') behind its type",
                      column->name, size, name.data, size, name.data);
  }
  return TLY_FAIL(error, TLY_E_NOT_NULL, "column \"%s\": it is NOT NULL, but the header has no \"%s\"", column->name,
                  column->header);
}

static enum tly_status check_not_null(const struct header *header, const struct tly_stream *stream,
                                      struct tly_error *error) {
  for (uint32_t i = 0; i < stream->column_count; i++)
    if (stream->columns[i].not_null && !header->is_named[i])
      return fail_not_named(header, &stream->columns[i], error);
  return TLY_OK;
}

static void adopt_header(tly_csv_decoder *decoder, const struct header *header, const char *bytes, size_t size) {
  decoder->has_header = true;
  tly_buffer_clear(&decoder->header);
  tly_buffer_append(&decoder->header, bytes, size);
  decoder->field_count = header->count;
  memcpy(decoder->column_of_field, header->columns, header->count * sizeof *header->columns);
  decoder->absent_count = 0;
  for (uint32_t i = 0; i < decoder->stream->column_count; i++)
    if (!header->is_named[i])
      decoder->absent[decoder->absent_count++] = i;
}

/* Read the header record at the front of [bytes, end); *behind is set behind it. */
static enum tly_status take_header(tly_csv_decoder *decoder, const char *bytes, const char *end, const char **behind,
                                   struct tly_error *error) {
  static const char byte_order_mark[] = "\xEF\xBB\xBF"; /* what Excel writes first */
  size_t mark_size = sizeof byte_order_mark - 1;
  bool has_mark = (size_t)(end - bytes) >= mark_size && memcmp(bytes, byte_order_mark, mark_size) == 0;
  const char *record = bytes + (has_mark ? mark_size : 0);
  struct reader reader = {.record = record, .next = record, .end = end};
  struct header header = {.count = 0};
  tly_arena_init(&header.arena);
  header.names = TLY_ARENA_ARRAY(&header.arena, struct tly_text, TLY_CSV_FIELDS_MAX);
  header.columns = TLY_ARENA_ARRAY(&header.arena, uint32_t, TLY_CSV_FIELDS_MAX);
  header.is_named = TLY_ARENA_ARRAY(&header.arena, bool, decoder->stream->column_count);
  enum tly_status status = read_names(&header, &reader, error);
  if (status == TLY_OK)
    status = match_names(&header, decoder->stream, error);
  if (status == TLY_OK)
    status = check_not_null(&header, decoder->stream, error);
  if (status == TLY_OK) {
    adopt_header(decoder, &header, record, tly_line_payload_size(record, reader.next));
    *behind = reader.next;
  }
  tly_arena_free(&header.arena);
  return status;
}

enum tly_status tly_csv_decoder_set_header(tly_csv_decoder *decoder, const char *header, size_t size,
                                           struct tly_error *error) {
  const char *behind;
  TLY_TRY(take_header(decoder, header, header + size, &behind, error));
  return TLY_OK;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static enum tly_status convert_field(const tly_csv_decoder *decoder, uint32_t index, const struct field *field,
                                     struct tly_batch_writer *writer, struct tly_error *error) {
  TLY_TRY(check_text(field, error));
  if (index >= decoder->field_count || decoder->column_of_field[index] == NO_COLUMN)
    return TLY_OK;
  struct tly_column_target *target = &writer->targets[decoder->column_of_field[index]];
  struct tly_arena *arena = &writer->batch->arena;
  uint32_t row = writer->batch->count;
  if (field->size == 0 && !field->is_quoted)
    return tly_convert_null(target, row, "an empty field, which is NULL (an empty text is \"\")", error);
  return tly_convert_text(target, row, field_text(field, arena), TLY_TEXT_OF_CSV, arena, error);
}

static enum tly_status decode_record(const tly_csv_decoder *decoder, struct reader *reader,
                                     struct tly_batch_writer *writer, struct tly_error *error) {
  enum tly_status value_status = TLY_OK;
  uint32_t count = 0;
  while (!reader->is_over) {
    struct field field = {0};
    TLY_TRY(read_field(reader, &field, error));
    if (value_status == TLY_OK)
      value_status = convert_field(decoder, count, &field, writer, error);
    count++;
  }
  if (count != decoder->field_count)
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "the record has %u field%s, the header %u", count, count == 1 ? "" : "s",
                    decoder->field_count);
  size_t size = tly_line_payload_size(reader->record, reader->next);
  if (size > TLY_LINE_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "the event has %zu bytes, more than the %d an event may have", size,
                    TLY_LINE_BYTES_MAX);
  TLY_TRY(value_status);
  for (uint32_t i = 0; i < decoder->absent_count; i++)
    tly_batch_writer_set_null(&writer->targets[decoder->absent[i]], writer->batch->count);
  tly_batch_writer_commit(writer, reader->record, size);
  return TLY_OK;
}

static uint64_t count_lines(const char *next, const char *behind) {
  uint64_t lines = 0;
  for (; next < behind; next = tly_line_end(next, behind))
    lines++;
  return lines;
}

static bool is_blank(const tly_csv_decoder *decoder, const char *line, size_t size) {
  return size == 0 || (decoder->field_count != 1 && tly_line_is_blank(line, size));
}

/* Take the record at `next`: an event or a rejection. Returns the first byte behind it. */
static const char *take_record(const tly_csv_decoder *decoder, const char *next, const char *end, uint64_t line,
                               struct tly_batch_writer *writer) {
  struct tly_error error;
  struct reader reader = {.record = next, .next = next, .end = end};
  bool wants_words = tly_batch_writer_wants_words(writer);
  enum tly_status status = decode_record(decoder, &reader, writer, wants_words ? &error : NULL);
  if (status == TLY_OK)
    return reader.next;
  tly_batch_writer_reject(writer, line, status, wants_words ? &error : NULL);
  return reader.is_over ? reader.next : tly_line_end(reader.next, end);
}

enum tly_status tly_csv_decoder_run(tly_csv_decoder *decoder, const char *bytes, size_t size, uint64_t line_base,
                                    struct tly_batch_writer *writer, size_t *consumed, uint64_t *lines,
                                    struct tly_error *error) {
  const char *next = bytes;
  const char *end = bytes + size;
  *consumed = 0;
  *lines = 0;
  while (next < end && !tly_batch_writer_is_full(writer)) {
    const char *behind = tly_line_end(next, end);
    if (!is_blank(decoder, next, tly_line_payload_size(next, behind))) {
      if (!decoder->has_header)
        TLY_TRY(take_header(decoder, next, end, &behind, error));
      else
        behind = take_record(decoder, next, end, line_base + *lines + 1, writer);
    }
    *lines += count_lines(next, behind);
    next = behind;
  }
  *consumed = (size_t)(next - bytes);
  return TLY_OK;
}
