/* tests/fuzz/fuzz_raw.c -- what the archive keeps of JSON events gives back their exact bytes, whatever is mixed into a
 * producer's layout.
 *
 * The input is some lines; they are decoded behind lines that teach a layout, and several times over, so that templates
 * are learned and events have shapes (common/event/shape.h), whose rendering is not tried event by event. Properties:
 *   (1) the payloads read back are the payloads given, both as a live block and as a sealed one keeps them;
 *   (2) the first byte chooses a place and a bit to damage: reading stays within the bytes and fails or gives payloads.
 */
#include <stdlib.h>
#include <string.h>

#include "common/archive/raw.h"
#include "common/base/assert.h"
#include "tests/common/event/decode_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TIMES = 6 };

static const struct column_spec specs[] = {
    {.name = "id", .type = TEXT},
    {.name = "ok", .type = BOOLEAN},
    {.name = "big", .type = BIGINT},
    {.name = "amount", .type = NUMERIC(18, 2)},
    {.name = "wide", .type = NUMERIC(38, 6)},
    {.name = "any", .type = NUMERIC(0, 0)},
    {.name = "ratio", .type = DOUBLE},
    {.name = "status", .type = TEXT, .path = "data.status"},
    {.name = "day", .type = DATE},
    {.name = "at", .type = TIMESTAMPTZ},
    {.name = "ms", .type = TIMESTAMPTZ, .unit = TLY_TIME_EPOCH_MS},
    {.name = "uuid", .type = UUID},
};

static const char teachers[] =
    "{\"id\":\"a-0001\",\"amount\":\"12.50\",\"big\":3,\"at\":\"2026-03-02T10:00:00.250Z\"}\n"
    "{\"id\":\"a-0002\",\"amount\":\"1.75\",\"big\":44,\"at\":\"2026-03-02T10:00:01.750Z\"}\n"
    "{\"id\": \"b\", \"ok\": true, \"amount\": 1.5, \"wide\": 1.25, \"any\": 10, \"ratio\": 0.1, "
    "\"data\": {\"status\": \"x\"}, \"day\": \"2026-03-02\", \"ms\": 1, \"uuid\": "
    "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"}\n";

static struct tly_text *room_for(struct tly_arena *arena, uint32_t count) {
  return tly_arena_alloc(arena, (count + 1) * sizeof(struct tly_text));
}

static void read_damaged(const struct tly_raw_source *source, const struct tly_buffer *bytes, uint8_t how) {
  struct tly_arena arena;
  uint8_t *copy = malloc(bytes->size);
  memcpy(copy, bytes->data, bytes->size);
  copy[how % bytes->size] ^= (uint8_t)(1u << how % 8);
  tly_arena_init(&arena);
  (void)tly_raw_read(copy, bytes->size, source->count, source->columns, source->stream->column_count, &arena,
                     room_for(&arena, source->count));
  tly_arena_free(&arena);
  free(copy);
}

static void check_round_trip(const struct tly_raw_source *source, enum tly_effort effort, uint8_t how) {
  struct tly_templates templates = {0};
  struct tly_arena arena;
  struct tly_buffer bytes = {0};
  tly_arena_init(&arena);
  tly_raw_write(source, &templates, effort, &bytes);
  struct tly_text *read = room_for(&arena, source->count);
  TLY_ASSERT(
      tly_raw_read(bytes.data, bytes.size, source->count, source->columns, source->stream->column_count, &arena, read));
  for (uint32_t event = 0; event < source->count; event++)
    TLY_ASSERT(tly_text_equal(read[event], source->payloads[event]));
  read_damaged(source, &bytes, how);
  tly_buffer_free(&bytes);
  tly_arena_free(&arena);
}

static void check_batch(const struct tly_stream *stream, const struct tly_event_batch *batch, uint8_t how) {
  struct tly_raw_source source = {.stream = stream,
                                  .format = TLY_FORMAT_JSON,
                                  .header = {.data = "", .size = 0},
                                  .payloads = batch->raw,
                                  .columns = batch->columns,
                                  .count = batch->count,
                                  .shapes = batch->shapes,
                                  .shape_of = batch->shape_of};
  check_round_trip(&source, TLY_EFFORT_LIVE, how);
  check_round_trip(&source, TLY_EFFORT_SEALED, how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct test_stream stream;
  static struct tly_event_batch batch;
  struct tly_buffer lines = {0};
  size_t consumed;
  uint64_t line_count;
  if (size == 0)
    return 0;
  if (stream.stream.column_count == 0) {
    make_stream(&stream, specs, sizeof specs / sizeof *specs);
    tly_event_batch_init(&batch, &stream.stream);
  }
  for (int i = 0; i < TIMES; i++) {
    tly_buffer_append_text(&lines, teachers);
    tly_buffer_append(&lines, data + 1, size - 1);
    tly_buffer_append_byte(&lines, '\n');
  }
  tly_decoder *decoder = tly_decoder_new(&stream.stream, TLY_FORMAT_JSON);
  TLY_ASSERT(tly_decoder_decode(decoder, (char *)lines.data, lines.size, 0, &batch, &consumed, &line_count, NULL) ==
             TLY_OK);
  check_batch(&stream.stream, &batch, data[0]);
  tly_decoder_free(decoder);
  tly_buffer_free(&lines);
  return 0;
}
