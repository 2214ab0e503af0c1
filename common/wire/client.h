/* common/wire/client.h -- a blocking connection to a tally socket: the command line's, and one layer's to another.
 * Thread: a client belongs to one thread. */
#ifndef TLY_WIRE_CLIENT_H
#define TLY_WIRE_CLIENT_H

#include <jansson.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

typedef struct tly_client tly_client;

/* `address`: a path of a unix socket, or HOST:PORT when `is_tcp`. TLY_E_CONNECTION when nobody answers. A unix path
 * longer than sun_path is reached through its folder's descriptor. */
TLY_CHECK enum tly_status tly_client_connect(const char *address, bool is_tcp, tly_client **out,
                                             struct tly_error *error);
void tly_client_close(tly_client *client);
/* Send bytes, all of them. */
TLY_CHECK enum tly_status tly_client_send(tly_client *client, const void *bytes, size_t size, struct tly_error *error);
/* The next reply line as JSON; the caller decrefs *out. timeout_ms < 0: wait for ever; TLY_E_CANCELLED on timeout. */
TLY_CHECK enum tly_status tly_client_receive(tly_client *client, int timeout_ms, json_t **out, struct tly_error *error);
/* Send one request and wait for its last line (a line with "result" or "error"); an error reply becomes a status with
 * its words. `params` is borrowed. `on_part` (may be NULL) gets each line before the last. */
TLY_CHECK enum tly_status tly_client_call(tly_client *client, const char *method, const json_t *params, int timeout_ms,
                                          void (*on_part)(void *context, const json_t *line), void *context,
                                          json_t **result, struct tly_error *error);
/* The status an error reply stands for, with its words in *error. */
enum tly_status tly_client_error(const json_t *reply, struct tly_error *error);
int tly_client_fd(const tly_client *client);

#endif
