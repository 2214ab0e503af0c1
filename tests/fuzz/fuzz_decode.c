/* tests/fuzz/fuzz_decode.c -- bytes into the decoder: the ways of reading them must agree.
 *
 * The input is some lines; the first byte chooses the format and the stream. Properties:
 *   (1) nothing is read or written out of bounds (the input lies in a block of exactly its size);
 *   (2) JSON: with learned layouts and without, alone and after a line that teaches a layout, gives the same events,
 *       the same rejections, the same words;
 *   (3) JSON: an event that is taken is an object to jansson; one that is refused as no JSON is none to jansson, but
 * for the deliberate differences (duplicate keys of columns, 64 levels, numbers beyond jansson's); (4) both formats: an
 * event decoded again from its raw payload has the same values; the calls use up all bytes and count all lines. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "tests/common/event/decode_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct column_spec required[] = {
    {.name = "id", .type = TEXT, .not_null = true},
    {.name = "amount", .type = NUMERIC(18, 2), .not_null = true},
    {.name = "status", .type = TEXT, .path = "data.status"},
    {.name = "at", .type = TIMESTAMPTZ},
};

static const struct column_spec every_type[] = {
    {.name = "id", .type = TEXT},
    {.name = "ok", .type = BOOLEAN},
    {.name = "small", .type = SMALLINT},
    {.name = "count", .type = INTEGER},
    {.name = "big", .type = BIGINT},
    {.name = "amount", .type = NUMERIC(18, 2)},
    {.name = "wide", .type = NUMERIC(38, 6)},
    {.name = "any", .type = NUMERIC(0, 0)},
    {.name = "ratio", .type = DOUBLE},
    {.name = "status", .type = VARCHAR(5), .path = "data.status"},
    {.name = "day", .type = DATE},
    {.name = "at", .type = TIMESTAMPTZ},
    {.name = "local", .type = TIMESTAMP},
    {.name = "s", .type = TIMESTAMPTZ, .unit = TLY_TIME_EPOCH_S},
    {.name = "ms", .type = TIMESTAMPTZ, .unit = TLY_TIME_EPOCH_MS},
    {.name = "us", .type = TIMESTAMP, .unit = TLY_TIME_EPOCH_US},
    {.name = "uuid", .type = UUID},
};

static void assert_equal_texts(const struct tly_buffer *a, const struct tly_buffer *b) {
  TLY_ASSERT(a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0));
}

static uint64_t lines_of(const char *bytes, size_t size) {
  uint64_t lines = 0;
  for (size_t i = 0; i < size; i++)
    lines += bytes[i] == '\n' || i + 1 == size;
  return lines;
}

/* (3) */
static void compare_with_jansson(const struct tly_event_batch *batch, const char *line, size_t size) {
  json_error_t error;
  if (memchr(line, '\0', size) != NULL) { /* jansson overlooks a NUL behind a number */
    TLY_ASSERT(batch->count == 0);
    return;
  }
  json_t *event = json_loadb(line, size, 0, &error);
  if (batch->count == 1)
    TLY_ASSERT(json_is_object(event) || json_error_code(&error) == json_error_numeric_overflow);
  if (batch->rejection_count == 1 && json_is_object(event)) {
    enum tly_status status = batch->rejections[0].status;
    bool says_no_json = status == TLY_E_INVALID_JSON || status == TLY_E_CHARACTER_NOT_IN_REPERTOIRE;
    TLY_ASSERT(!says_no_json || strstr(batch->rejections[0].message, "duplicate key") != NULL);
  }
  json_decref(event);
}

/* (4), and (3) for each line alone. */
static void decode_each_again(const struct tly_stream *stream, tly_decoder *decoder,
                              const struct tly_event_batch *batch, bool is_json) {
  struct tly_event_batch again;
  struct tly_error error;
  tly_event_batch_init(&again, stream);
  for (uint32_t row = 0; row < batch->count; row++) {
    size_t consumed;
    uint64_t lines;
    struct tly_text raw = batch->raw[row];
    enum tly_status status = tly_decoder_decode(decoder, raw.data, raw.size, 0, &again, &consumed, &lines, &error);
    TLY_ASSERT(status == TLY_OK && again.count == 1 && consumed == raw.size);
    for (uint32_t i = 0; i < stream->column_count; i++) {
      struct tly_value first = tly_vector_value(&batch->columns[i], row);
      struct tly_value second = tly_vector_value(&again.columns[i], 0);
      TLY_ASSERT(first.is_null == second.is_null);
      TLY_ASSERT(first.is_null || tly_value_compare(&first, &second) == 0);
    }
    if (is_json)
      compare_with_jansson(&again, raw.data, raw.size);
  }
  tly_event_batch_free(&again);
}

static void check_lines_alone(const struct tly_stream *stream, const char *bytes, size_t size) {
  tly_decoder *decoder = tly_decoder_new(stream, TLY_FORMAT_JSON);
  struct tly_event_batch batch;
  tly_event_batch_init(&batch, stream);
  for (size_t place = 0; place < size;) {
    size_t consumed;
    uint64_t lines;
    const char *newline = memchr(bytes + place, '\n', size - place);
    size_t line_size = newline == NULL ? size - place : (size_t)(newline - bytes) - place;
    TLY_ASSERT(tly_decoder_decode(decoder, bytes + place, line_size, 0, &batch, &consumed, &lines, NULL) == TLY_OK);
    TLY_ASSERT(consumed == line_size && batch.count + batch.rejection_count <= 1);
    compare_with_jansson(&batch, bytes + place, line_size);
    place += line_size + 1;
  }
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
}

static void check_json(const struct tly_stream *stream, const char *bytes, size_t size) {
  static const char teacher[] = "{\"id\":\"a\",\"ok\":true,\"small\":1,\"count\":2,\"big\":3,\"amount\":1.5,\"wide\":1."
                                "25,\"any\":1e3,\"ratio\":0.1,"
                                "\"data\":{\"status\":\"x\"},\"day\":\"2026-03-02\",\"at\":\"2026-03-02T10:00:00Z\","
                                "\"local\":\"2026-03-02 10:00:00\","
                                "\"s\":1,\"ms\":1,\"us\":1,\"uuid\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"}\n";
  struct tly_buffer learned, strict;
  struct tly_buffer taught = {0};
  describe_bytes(stream, TLY_FORMAT_JSON, true, bytes, size, &learned);
  describe_bytes(stream, TLY_FORMAT_JSON, false, bytes, size, &strict);
  assert_equal_texts(&learned, &strict);
  tly_buffer_free(&learned);
  tly_buffer_free(&strict);
  tly_buffer_append_text(&taught, teacher);
  tly_buffer_append(&taught, bytes, size);
  tly_buffer_print(&taught, "\n%100s", "");
  describe_bytes(stream, TLY_FORMAT_JSON, true, (char *)taught.data, taught.size, &learned);
  describe_bytes(stream, TLY_FORMAT_JSON, false, (char *)taught.data, taught.size, &strict);
  assert_equal_texts(&learned, &strict);
  tly_buffer_free(&learned);
  tly_buffer_free(&strict);
  tly_buffer_free(&taught);
  check_lines_alone(stream, bytes, size);
}

static void check_decoding(const struct tly_stream *stream, enum tly_format format, const char *bytes, size_t size) {
  tly_decoder *decoder = tly_decoder_new(stream, format);
  struct tly_event_batch batch;
  struct tly_error error;
  size_t consumed;
  uint64_t lines;
  tly_event_batch_init(&batch, stream);
  if (tly_decoder_decode(decoder, bytes, size, 0, &batch, &consumed, &lines, &error) == TLY_OK) {
    TLY_ASSERT(consumed == size);
    TLY_ASSERT(lines == lines_of(bytes, size));
    decode_each_again(stream, decoder, &batch, format == TLY_FORMAT_JSON);
  }
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct test_stream streams[2];
  static bool is_ready;
  if (!is_ready) {
    make_stream(&streams[0], required, sizeof required / sizeof *required);
    make_stream(&streams[1], every_type, sizeof every_type / sizeof *every_type);
    is_ready = true;
  }
  if (size == 0)
    return 0;
  const struct tly_stream *stream = &streams[data[0] >> 1 & 1].stream;
  enum tly_format format = (data[0] & 1) != 0 ? TLY_FORMAT_CSV : TLY_FORMAT_JSON;
  size_t input_size = size - 1;
  char *bytes = malloc(input_size == 0 ? 1 : input_size);
  memcpy(bytes, data + 1, input_size);
  if (format == TLY_FORMAT_JSON)
    check_json(stream, bytes, input_size);
  check_decoding(stream, format, bytes, input_size);
  free(bytes);
  return 0;
}
