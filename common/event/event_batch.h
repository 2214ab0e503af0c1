/* common/event/event_batch.h -- a run of decoded events of one stream: raw bytes and typed columns side by side.
 *
 * Path of an event: ingest bytes -> decode -> [event batch] -> archive block; and archive block -> [event batch] ->
 * fold. Thread: a batch belongs to one thread at a time. */
#ifndef TLY_EVENT_EVENT_BATCH_H
#define TLY_EVENT_EVENT_BATCH_H

#include "common/event/shape.h"
#include "common/sql/typed_tree.h"
#include "common/value/vector.h"

/* One rejected line of an input. */
struct tly_rejection {
  uint64_t line; /* 1-based within the input given to the decoder */
  enum tly_status status;
  const char *message; /* in the batch's arena */
};

struct tly_event_batch {
  const struct tly_stream *stream;
  struct tly_arena arena;     /* owns everything below */
  uint32_t count;             /* events, at most TLY_BATCH_EVENTS_MAX */
  struct tly_text *raw;       /* each event's payload exactly as it came, without its line end; NULL when the reader did
                                 not ask for raw. Points into the input given to the decoder, or into the arena */
  enum tly_format raw_format; /* of a batch that was read from the archive with raw: how raw is to be decoded, */
  struct tly_text raw_header; /* and for CSV under which header line; else size 0 */
  struct tly_vector *columns; /* stream->column_count of them, each `count` long, never constant. A column that the
                                 reader did not ask for has count 0 */
  /* What the decoder knows of the events' spelling, for the archive: shape_of[event] is 1 + an index into `shapes`, or
     0 when nothing is known. NULL: nothing is known of any (so in every batch that was read from the archive). */
  struct tly_shape *shapes;
  uint8_t *shape_of;
  uint32_t shape_count;
  struct tly_rejection *rejections; /* the first TLY_REJECTIONS_LISTED */
  uint32_t rejection_listed;
  uint64_t rejection_count;
};

enum { TLY_REJECTIONS_LISTED = 10 };

void tly_event_batch_init(struct tly_event_batch *batch, const struct tly_stream *stream);
void tly_event_batch_free(struct tly_event_batch *batch);
/* Empty, memory kept. */
void tly_event_batch_reset(struct tly_event_batch *batch);

#endif
