/* batch_layer/batch_requests.h -- DIR/batch.sock: connections to the scheduler, requests in, replies out.
 *
 * Path of a request: client -> serving layer -> [batch.sock] -> scheduler -> run -> reply.
 *
 * A connection has one request at a time: the next one is looked at when the one before it is answered, so replies are
 * in the order of requests. All sockets are non-blocking; a client that does not read loses progress lines, then its
 * connection.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_BATCH_REQUESTS_H
#define TLY_BATCH_BATCH_REQUESTS_H

#include <poll.h>

#include "common/wire/request.h"

typedef struct tly_batch_requests tly_batch_requests;

/* Told of each request. `client` names the connection for replies; numbers are never used again. */
typedef void (*tly_batch_request_handler)(void *context, uint64_t client, const struct tly_request *request);

TLY_CHECK enum tly_status tly_batch_requests_open(const char *directory, tly_batch_request_handler handler,
                                                  void *context, tly_batch_requests **out, struct tly_error *error);
void tly_batch_requests_close(tly_batch_requests *requests);

/* Descriptors to wait for: at most TLY_BATCH_CLIENTS_MAX + 1 are written to `polled`; returns how many. */
uint32_t tly_batch_requests_poll(const tly_batch_requests *requests, struct pollfd *polled);
/* After the wait, with the same array: accept, read, handle, write. */
void tly_batch_requests_serve(tly_batch_requests *requests, const struct pollfd *polled, uint32_t count);

/* A line for `client` that is not its last: dropped when the client is gone or behind. */
void tly_batch_requests_tell(tly_batch_requests *requests, uint64_t client, const char *line);
/* The reply to the client's request, a whole line; nothing happens when the client is gone. */
void tly_batch_requests_answer(tly_batch_requests *requests, uint64_t client, const struct tly_buffer *reply);

#endif
