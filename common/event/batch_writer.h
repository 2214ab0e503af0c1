/* common/event/batch_writer.h -- where a decoder puts values: the arrays of an event batch while they are being filled.
 *
 * Path of an event: decode_json, decode_csv -> [batch writer] -> event batch. Values of the event being decoded are
 * written at row batch->count; commit makes it an event, reject and clear forget it.
 * Thread: belongs to its decoder. */
#ifndef TLY_EVENT_BATCH_WRITER_H
#define TLY_EVENT_BATCH_WRITER_H

#include "common/event/event_batch.h"

/* One column's array. Rows at and behind batch->count have null 0. */
struct tly_column_target {
  const struct tly_stream_column *column;
  enum tly_form form;
  union {
    void *values;
    int64_t *i64;
    tly_i128 *i128;
    double *f64;
    struct tly_text *text;
    struct tly_decimal *decimal;
  };
  uint8_t *null; /* NULL when the column is NOT NULL */
  bool any_null;
};

struct tly_batch_writer {
  struct tly_event_batch *batch;
  struct tly_column_target *targets; /* one a column */
  uint32_t target_count;
  uint32_t capacity; /* rows there is room for, at most TLY_BATCH_EVENTS_MAX */
};

void tly_batch_writer_init(struct tly_batch_writer *writer, const struct tly_stream *stream);
void tly_batch_writer_free(struct tly_batch_writer *writer);
/* Reset `batch` and make room for the events that `size` bytes can hold, but no more than TLY_BATCH_EVENTS_MAX. */
void tly_batch_writer_begin(struct tly_batch_writer *writer, struct tly_event_batch *batch, size_t size);
/* The batch's columns become what was written. */
void tly_batch_writer_finish(struct tly_batch_writer *writer);

static inline bool tly_batch_writer_is_full(const struct tly_batch_writer *writer) {
  return writer->batch->count == writer->capacity;
}

/* The row under work is an event with this payload. */
static inline void tly_batch_writer_commit(struct tly_batch_writer *writer, const char *raw, size_t size) {
  struct tly_event_batch *batch = writer->batch;
  batch->raw[batch->count] = (struct tly_text){.data = raw, .size = (uint32_t)size};
  batch->shape_of[batch->count] = 0;
  batch->count++;
}

/* The batch's number (1 and up) for `shape`, which is new to it; 0 when it has too many. */
uint32_t tly_batch_writer_add_shape(struct tly_batch_writer *writer, const struct tly_shape *shape);
/* The event committed last has that shape. */
static inline void tly_batch_writer_set_shape(struct tly_batch_writer *writer, uint32_t number) {
  writer->batch->shape_of[writer->batch->count - 1] = (uint8_t)number;
}

/* The row under work is NULL in a column that allows it. */
void tly_batch_writer_set_null(struct tly_column_target *target, uint32_t row);
/* Forget what was written of the row under work. */
void tly_batch_writer_clear(struct tly_batch_writer *writer);
/* Forget it and count a rejection; the first TLY_REJECTIONS_LISTED are kept with their words. */
void tly_batch_writer_reject(struct tly_batch_writer *writer, uint64_t line, enum tly_status status,
                             const struct tly_error *error);
/* Whether words for a rejection would be kept: when not, a decoder need not make them. */
static inline bool tly_batch_writer_wants_words(const struct tly_batch_writer *writer) {
  return writer->batch->rejection_listed < TLY_REJECTIONS_LISTED;
}

#endif
