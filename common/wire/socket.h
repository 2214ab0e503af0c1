/* common/wire/socket.h -- unix sockets with the traps removed, and connections that change hands.
 *
 * A client talks to one endpoint, the serving layer's. When a connection sends ingest, the serving layer hands the
 * whole connection (descriptor and the bytes read but not consumed) to the archiver, which answers ingest requests on
 * it and hands it back as soon as another method comes. So bulk bytes are copied once. Thread: any; no state. */
#ifndef TLY_WIRE_SOCKET_H
#define TLY_WIRE_SOCKET_H

#include "common/base/buffer.h"
#include "common/base/error.h"

/* Listen on a unix socket, mode 0660: a stale one is removed, a live one is TLY_E_IN_USE. Paths over sun_path are bound
 * through the folder's descriptor. Non-blocking, close-on-exec. */
TLY_CHECK enum tly_status tly_socket_listen_unix(const char *path, int *fd, struct tly_error *error);
/* HOST:PORT, numeric host or localhost; port 0 picks one. The bound address as text goes to *bound (may be NULL). */
TLY_CHECK enum tly_status tly_socket_listen_tcp(const char *host_port, int *fd, struct tly_buffer *bound,
                                                struct tly_error *error);
TLY_CHECK enum tly_status tly_socket_connect_unix(const char *path, int *fd, struct tly_error *error);
TLY_CHECK enum tly_status tly_socket_connect_tcp(const char *host_port, int *fd, struct tly_error *error);

/* The hand-off channel: a unix stream socket DIR/handoff.sock that the archiver listens on and the serving layer
 * connects to; each message is u32 size, bytes, with one descriptor. Both ends use both directions. */
/* Blocks at most 5 s; on success the caller closes its copy of `client_fd`. */
TLY_CHECK enum tly_status tly_handoff_send(int channel_fd, int client_fd, const void *rest, size_t rest_size,
                                           struct tly_error *error);
/* Wait for and read one message: *client_fd is the caller's, `rest` is replaced. TLY_E_CONNECTION when the other end
 * has closed. */
TLY_CHECK enum tly_status tly_handoff_receive(int channel_fd, int *client_fd, struct tly_buffer *rest,
                                              struct tly_error *error);

#endif
