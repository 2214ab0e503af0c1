/* serving_layer/batch_queue.h -- what waits in the batch layer, and how far its run is: asked for, not stored.
 *
 * Path of an answer: batch layer (queue_report) -> batch.sock -> [batch_queue] -> report.
 * Thread: any; blocks for a moment, so not the loop's. */
#ifndef TLY_SERVING_BATCH_QUEUE_H
#define TLY_SERVING_BATCH_QUEUE_H

#include <jansson.h>

/* Set the members `under_way` and `queue` of `out` as the batch layer of `directory` tells them; both are null when it
 * is not running, or does not answer within TLY_QUEUE_WAIT_MS. */
void tly_batch_queue(const char *directory, json_t *out);

#endif
