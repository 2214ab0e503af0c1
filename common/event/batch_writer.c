/* All arrays of a batch are carved from one allocation: its size depends only on the stream and the capacity, so a loop
 * over inputs of like size finds the same arena block again and allocates nothing.
 *
 * INVARIANTS (check_invariants)
 *   (1) batch->count <= capacity <= TLY_BATCH_EVENTS_MAX.
 *   (2) null[row] is 0 for every row >= batch->count: the decoders write it only for a NULL. (Checked for the next row
 *       when an event is cleared.) */
#include "common/event/batch_writer.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { ALIGNMENT = 16, EVENT_BYTES_MIN = 2 };

static void check_invariants(const struct tly_batch_writer *writer) {
  TLY_ASSERT(writer->batch != NULL);
  TLY_ASSERT(writer->batch->count <= writer->capacity);
  TLY_ASSERT(writer->capacity <= TLY_BATCH_EVENTS_MAX);
}

void tly_batch_writer_init(struct tly_batch_writer *writer, const struct tly_stream *stream) {
  writer->batch = NULL;
  writer->capacity = 0;
  writer->target_count = stream->column_count;
  writer->targets = tly_calloc(stream->column_count, sizeof *writer->targets);
  for (uint32_t i = 0; i < stream->column_count; i++) {
    writer->targets[i].column = &stream->columns[i];
    writer->targets[i].form = tly_type_form(stream->columns[i].type);
  }
}

void tly_batch_writer_free(struct tly_batch_writer *writer) {
  tly_free(writer->targets);
  writer->targets = NULL;
}

static size_t padded(size_t size) {
  return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static size_t arrays_size(const struct tly_batch_writer *writer) {
  size_t size = padded(writer->capacity * sizeof(struct tly_text)) + padded(writer->capacity);
  for (uint32_t i = 0; i < writer->target_count; i++) {
    size += padded(writer->capacity * tly_form_size(writer->targets[i].form));
    if (!writer->targets[i].column->not_null)
      size += padded(writer->capacity);
  }
  return size;
}

void tly_batch_writer_begin(struct tly_batch_writer *writer, struct tly_event_batch *batch, size_t size) {
  size_t events = size / EVENT_BYTES_MIN + 1;
  writer->batch = batch;
  writer->capacity = events < TLY_BATCH_EVENTS_MAX ? (uint32_t)events : TLY_BATCH_EVENTS_MAX;
  tly_event_batch_reset(batch);
  uint8_t *next = tly_arena_alloc(&batch->arena, arrays_size(writer));
  batch->raw = (struct tly_text *)(void *)next;
  next += padded(writer->capacity * sizeof(struct tly_text));
  batch->shape_of = next;
  next += padded(writer->capacity);
  for (uint32_t i = 0; i < writer->target_count; i++) {
    struct tly_column_target *target = &writer->targets[i];
    target->values = next;
    next += padded(writer->capacity * tly_form_size(target->form));
    target->any_null = false;
    target->null = NULL;
    if (!target->column->not_null) {
      target->null = memset(next, 0, writer->capacity);
      next += padded(writer->capacity);
    }
  }
  check_invariants(writer);
}

void tly_batch_writer_finish(struct tly_batch_writer *writer) {
  check_invariants(writer);
  for (uint32_t i = 0; i < writer->target_count; i++) {
    struct tly_column_target *target = &writer->targets[i];
    struct tly_vector *vector = &writer->batch->columns[i];
    vector->count = writer->batch->count;
    vector->null = target->any_null ? target->null : NULL;
    vector->i64 = target->i64; /* whichever form it has: the members of the union are pointers */
  }
  writer->batch = NULL;
}

uint32_t tly_batch_writer_add_shape(struct tly_batch_writer *writer, const struct tly_shape *shape) {
  struct tly_event_batch *batch = writer->batch;
  if (batch->shape_count == TLY_SHAPES_MAX)
    return 0;
  if (batch->shapes == NULL)
    batch->shapes = TLY_ARENA_ARRAY(&batch->arena, struct tly_shape, TLY_SHAPES_MAX);
  batch->shapes[batch->shape_count] = *shape;
  return ++batch->shape_count;
}

void tly_batch_writer_set_null(struct tly_column_target *target, uint32_t row) {
  TLY_ASSERT(target->null != NULL);
  memset((uint8_t *)target->values + row * tly_form_size(target->form), 0, tly_form_size(target->form));
  target->null[row] = 1;
  target->any_null = true;
}

void tly_batch_writer_clear(struct tly_batch_writer *writer) {
  uint32_t row = writer->batch->count;
  check_invariants(writer);
  TLY_ASSERT(row < writer->capacity);
  for (uint32_t i = 0; i < writer->target_count; i++)
    if (writer->targets[i].null != NULL)
      writer->targets[i].null[row] = 0;
}

void tly_batch_writer_reject(struct tly_batch_writer *writer, uint64_t line, enum tly_status status,
                             const struct tly_error *error) {
  struct tly_event_batch *batch = writer->batch;
  TLY_ASSERT(status != TLY_OK);
  tly_batch_writer_clear(writer);
  batch->rejection_count++;
  if (!tly_batch_writer_wants_words(writer))
    return;
  struct tly_rejection *rejection = &batch->rejections[batch->rejection_listed++];
  rejection->line = line;
  rejection->status = status;
  rejection->message = tly_arena_copy(&batch->arena, error->message, strlen(error->message));
}
