/* batch_layer/pending_block.h -- several small batches on their way to one block.
 *
 * Path of an event: event batches of many requests -> [pending block] -> block writer. Fifty clients that send an event
 * each make one block of fifty. Only the arrays are copied; texts and payloads are borrowed. Thread: belongs to its
 * writer. */
#ifndef TLY_BATCH_PENDING_BLOCK_H
#define TLY_BATCH_PENDING_BLOCK_H

#include "common/archive/raw.h"
#include "common/event/event_batch.h"

struct tly_pending_block {
  const struct tly_stream *stream;
  uint32_t partition, count, capacity;
  enum tly_format format;
  struct tly_text header;
  struct tly_text *payloads;
  struct tly_vector *columns;
  uint8_t **nulls; /* one array a column */
};

void tly_pending_block_init(struct tly_pending_block *pending, const struct tly_stream *stream);
void tly_pending_block_free(struct tly_pending_block *pending);
/* Whether events of this kind may join those that are there. */
bool tly_pending_block_takes(const struct tly_pending_block *pending, uint32_t partition, uint32_t count,
                             enum tly_format format, struct tly_text header);
void tly_pending_block_add(struct tly_pending_block *pending, uint32_t partition, const struct tly_event_batch *batch,
                           enum tly_format format, struct tly_text header);
/* The events so far; the pending block stays as it is. */
struct tly_raw_source tly_pending_block_source(const struct tly_pending_block *pending);
/* Empty; memory kept unless there is much. */
void tly_pending_block_clear(struct tly_pending_block *pending);

#endif
