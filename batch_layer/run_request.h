/* batch_layer/run_request.h -- a request for a run as a job of the queue.
 *
 * Path of a request: batch.sock -> [run_request] -> run_queue -> run_stages -> run_reply.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_REQUEST_H
#define TLY_BATCH_RUN_REQUEST_H

#include "batch_layer/run_queue.h"
#include "common/sql/project.h"
#include "common/wire/request.h"

/* Queue the run that a `recompute` or `reconcile` asks for; one that waits for its turn with the same views serves this
 * client too. TLY_E_TOO_MANY when too many runs wait. */
TLY_CHECK enum tly_status tly_run_request_queue(struct tly_run_queue *queue, const struct tly_project *project,
                                                int64_t now_us, uint64_t client, const struct tly_request *request,
                                                struct tly_error *error);

#endif
