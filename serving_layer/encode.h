/* serving_layer/encode.h -- answers as reply lines (docs/PROTOCOL.md).
 *
 * Path of an answer: executor, point -> rows -> [encode] -> session -> socket.
 * Thread: pure; an answer belongs to one thread. */
#ifndef TLY_SERVING_ENCODE_H
#define TLY_SERVING_ENCODE_H

#include "serving_layer/executor.h"

/* "columns":[{"name":..,"type":..},..] */
void tly_encode_columns(const struct tly_query *query, struct tly_buffer *out);
/* [value,value,..] */
void tly_encode_row(const struct tly_value *values, uint32_t count, struct tly_buffer *out);
/* What one use of a view rests on: {"run":..,"cut":{..},"live":{..},"definition":".."} */
void tly_encode_view_state(const struct tly_view *view, const struct tly_view_state *state, struct tly_buffer *out);
/* The same for a whole plan: {} without views, {"views":{"name":{..},..}} for several. */
void tly_encode_as_of(const struct tly_plan *plan, struct tly_buffer *out);

/* An answer while its rows come: parts of at most TLY_PART_ROWS rows and about TLY_PART_BYTES, the last of them in the
 * result line. The first part names the columns too, so that a client can print rows as they come. */
struct tly_answer {
  const char *id;                /* JSON text */
  const struct tly_query *query; /* set before the first row */
  enum tly_status (*send)(void *context, struct tly_buffer *line, struct tly_error *error); /* may take the bytes */
  void *context;
  struct tly_buffer rows; /* of the part that is being made */
  uint32_t row_count;
  uint64_t sent_rows;
};

/* A sink that feeds `answer`. */
struct tly_row_sink tly_answer_sink(struct tly_answer *answer);
/* Append the result line to *out. */
void tly_answer_end(struct tly_answer *answer, const struct tly_plan *plan, struct tly_buffer *out);
void tly_answer_free(struct tly_answer *answer);

#endif
