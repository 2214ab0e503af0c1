/* batch_layer/break_request.h -- somebody says something of a break: the request `break`.
 *
 * Path of a request: batch.sock -> scheduler -> [break_request] -> break_store -> reply.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_BREAK_REQUEST_H
#define TLY_BATCH_BREAK_REQUEST_H

#include "batch_layer/batch_requests.h"
#include "batch_layer/break_store.h"

/* "break": its number; "status"; "reason" and "by": texts that are not blank. Answers `client`, also when the request
 * is refused; nothing is changed then. A failure is one of batch.db. */
TLY_CHECK enum tly_status tly_break_request_serve(tly_break_store *breaks, tly_batch_requests *requests,
                                                  uint64_t client, const struct tly_request *request, int64_t now_us,
                                                  struct tly_error *error);

#endif
