#include "common/event/event_batch.h"

#include "common/base/assert.h"

/* The arrays of columns and rejections are the first things in the arena after each reset, so that a batch is whole
 * (and empty) at any time. */
static void make_empty(struct tly_event_batch *batch) {
  batch->count = 0;
  batch->raw = NULL;
  batch->raw_format = TLY_FORMAT_JSON;
  batch->raw_header = (struct tly_text){0};
  batch->shapes = NULL;
  batch->shape_of = NULL;
  batch->shape_count = 0;
  batch->columns = TLY_ARENA_ARRAY(&batch->arena, struct tly_vector, batch->stream->column_count);
  for (uint32_t i = 0; i < batch->stream->column_count; i++)
    batch->columns[i].type = batch->stream->columns[i].type;
  batch->rejections = TLY_ARENA_ARRAY(&batch->arena, struct tly_rejection, TLY_REJECTIONS_LISTED);
  batch->rejection_listed = 0;
  batch->rejection_count = 0;
}

void tly_event_batch_init(struct tly_event_batch *batch, const struct tly_stream *stream) {
  TLY_ASSERT(stream != NULL);
  batch->stream = stream;
  tly_arena_init(&batch->arena);
  make_empty(batch);
}

void tly_event_batch_free(struct tly_event_batch *batch) {
  tly_arena_free(&batch->arena);
  batch->raw = NULL;
  batch->shapes = NULL;
  batch->shape_of = NULL;
  batch->columns = NULL;
  batch->rejections = NULL;
  batch->count = 0;
}

void tly_event_batch_reset(struct tly_event_batch *batch) {
  tly_arena_reset(&batch->arena);
  make_empty(batch);
}
