/* tests/common/event/decode_fixture.h -- streams by hand, and what a decoder made of some bytes as one text. */
#ifndef TESTS_COMMON_EVENT_DECODE_FIXTURE_H
#define TESTS_COMMON_EVENT_DECODE_FIXTURE_H

#include <string.h>

#include "common/base/buffer.h"
#include "common/event/decoder.h"

/* As initialisers, for tables. */
#define SMALLINT                                                                                                       \
  { .id = TLY_TYPE_SMALLINT }
#define INTEGER                                                                                                        \
  { .id = TLY_TYPE_INTEGER }
#define BIGINT                                                                                                         \
  { .id = TLY_TYPE_BIGINT }
#define BOOLEAN                                                                                                        \
  { .id = TLY_TYPE_BOOLEAN }
#define DOUBLE                                                                                                         \
  { .id = TLY_TYPE_DOUBLE }
#define TEXT                                                                                                           \
  { .id = TLY_TYPE_TEXT }
#define DATE                                                                                                           \
  { .id = TLY_TYPE_DATE }
#define TIMESTAMP                                                                                                      \
  { .id = TLY_TYPE_TIMESTAMP }
#define TIMESTAMPTZ                                                                                                    \
  { .id = TLY_TYPE_TIMESTAMPTZ }
#define UUID                                                                                                           \
  { .id = TLY_TYPE_UUID }
#define NUMERIC(p, s)                                                                                                  \
  { .id = TLY_TYPE_NUMERIC, .precision = (p), .scale = (s) }
#define VARCHAR(n)                                                                                                     \
  { .id = TLY_TYPE_VARCHAR, .precision = (n) }

struct column_spec {
  const char *name;
  struct tly_type type;
  bool not_null;
  const char *path; /* "a.b"; NULL: the name */
  enum tly_timestamp_unit unit;
};

struct test_stream {
  struct tly_arena arena;
  struct tly_stream stream;
};

static inline void split_path(struct tly_arena *arena, const char *path, struct tly_stream_column *column) {
  column->path = TLY_ARENA_ARRAY(arena, const char *, strlen(path) + 1);
  while (path != NULL) {
    const char *dot = strchr(path, '.');
    column->path[column->path_count++] = tly_arena_copy(arena, path, dot != NULL ? (size_t)(dot - path) : strlen(path));
    path = dot != NULL ? dot + 1 : NULL;
  }
}

static inline void make_stream(struct test_stream *test, const struct column_spec *specs, size_t count) {
  memset(test, 0, sizeof *test);
  tly_arena_init(&test->arena);
  test->stream.name = "payments";
  test->stream.event_time = -1;
  test->stream.column_count = (uint32_t)count;
  test->stream.columns = TLY_ARENA_ARRAY(&test->arena, struct tly_stream_column, count);
  for (size_t i = 0; i < count; i++) {
    struct tly_stream_column *column = &test->stream.columns[i];
    column->name = specs[i].name;
    column->header = specs[i].name;
    column->type = specs[i].type;
    column->not_null = specs[i].not_null;
    column->unit = specs[i].unit;
    split_path(&test->arena, specs[i].path != NULL ? specs[i].path : specs[i].name, column);
  }
}

static inline void free_stream(struct test_stream *test) {
  tly_arena_free(&test->arena);
}

/* [raw] value|value|... for each event, then line: SQLSTATE words for each rejection; NULL prints as NULL. */
static inline void describe_batch(const struct tly_event_batch *batch, struct tly_buffer *out) {
  for (uint32_t row = 0; row < batch->count; row++) {
    tly_buffer_append_text(out, "[");
    tly_buffer_append(out, batch->raw[row].data, batch->raw[row].size);
    tly_buffer_append_text(out, "] ");
    for (uint32_t i = 0; i < batch->stream->column_count; i++) {
      struct tly_value value = tly_vector_value(&batch->columns[i], row);
      tly_buffer_append_text(out, i > 0 ? "|" : "");
      if (value.is_null)
        tly_buffer_append_text(out, "NULL");
      else
        tly_value_print(&value, out);
    }
    tly_buffer_append_text(out, "\n");
  }
  for (uint32_t i = 0; i < batch->rejection_listed; i++)
    tly_buffer_print(out, "line %llu: %s %s\n", (unsigned long long)batch->rejections[i].line,
                     tly_status_sqlstate(batch->rejections[i].status), batch->rejections[i].message);
  if (batch->rejection_count > batch->rejection_listed)
    tly_buffer_print(out, "%llu rejections\n", (unsigned long long)batch->rejection_count);
}

/* Everything that `decoder` makes of the bytes, call after call. The bytes are copied to a block of exactly their size,
 * so that a sanitizer sees a read behind them. */
static inline enum tly_status describe_decoding(tly_decoder *decoder, const struct tly_stream *stream,
                                                const char *bytes, size_t size, struct tly_buffer *out,
                                                struct tly_error *error) {
  struct tly_event_batch batch;
  enum tly_status status = TLY_OK;
  uint64_t line = 0;
  char *copy = malloc(size == 0 ? 1 : size);
  memcpy(copy, bytes, size);
  tly_event_batch_init(&batch, stream);
  for (size_t place = 0; status == TLY_OK && place < size;) {
    size_t consumed;
    uint64_t lines;
    status = tly_decoder_decode(decoder, copy + place, size - place, line, &batch, &consumed, &lines, error);
    if (status == TLY_OK)
      describe_batch(&batch, out);
    place += consumed;
    line += lines;
  }
  tly_event_batch_free(&batch);
  free(copy);
  return status;
}

/* The same with a new decoder; the caller frees *out. */
static inline void describe_bytes(const struct tly_stream *stream, enum tly_format format, bool learned,
                                  const char *bytes, size_t size, struct tly_buffer *out) {
  struct tly_error error;
  tly_decoder *decoder = tly_decoder_new(stream, format);
  tly_decoder_use_learned_layout(decoder, learned);
  tly_buffer_init(out);
  if (describe_decoding(decoder, stream, bytes, size, out, &error) != TLY_OK)
    tly_buffer_print(out, "failed: %s %s\n", tly_status_sqlstate(error.status), error.message);
  (void)tly_buffer_text(out);
  tly_decoder_free(decoder);
}

#endif
