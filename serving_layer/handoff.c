/* The channel to the archiver: a connection that sends ingest goes there whole, and comes back when it sends something
 * else. The archiver may restart at any time: the channel is opened when it is needed, and again when it broke; the
 * connections the archiver held have ended with it. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/wire/socket.h"
#include "serving_layer/server.h"

struct tly_handoff {
  struct tly_serving *server;
  uv_poll_t *poll; /* NULL: no channel. Freed by its close callback */
  int fd;
  struct tly_buffer rest;
};

static void free_poll(uv_handle_t *handle) {
  tly_free(handle);
}

static void close_channel(struct tly_handoff *handoff) {
  if (handoff->poll == NULL)
    return;
  uv_poll_stop(handoff->poll);
  close(handoff->fd);
  uv_close((uv_handle_t *)handoff->poll, free_poll);
  handoff->poll = NULL;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct tly_handoff *handoff = poll->data;
  struct tly_error error = TLY_ERROR_NONE;
  int fd;
  (void)events;
  if (status == 0 && tly_handoff_receive(handoff->fd, &fd, &handoff->rest, &error) == TLY_OK) {
    tly_session_open(handoff->server, fd, handoff->rest.data, handoff->rest.size);
    return;
  }
  close_channel(handoff);
}

static enum tly_status open_channel(struct tly_handoff *handoff, struct tly_error *error) {
  char path[4096];
  if (handoff->poll != NULL)
    return TLY_OK;
  snprintf(path, sizeof path, "%s/handoff.sock", handoff->server->settings->directory);
  if (tly_socket_connect_unix(path, &handoff->fd, NULL) != TLY_OK) {
    (void)TLY_FAIL(error, TLY_E_CONNECTION, "the archiver is not running: nothing can be ingested now");
    tly_error_hint(error, "it is started again by itself under tally run; send the events again");
    return TLY_E_CONNECTION;
  }
  handoff->poll = tly_calloc(1, sizeof *handoff->poll);
  handoff->poll->data = handoff;
  TLY_ASSERT(uv_poll_init(&handoff->server->loop, handoff->poll, handoff->fd) == 0);
  TLY_ASSERT(uv_poll_start(handoff->poll, UV_READABLE, on_readable) == 0);
  return TLY_OK;
}

enum tly_status tly_handoff_give(struct tly_serving *server, int fd, const void *rest, size_t size,
                                 struct tly_error *error) {
  struct tly_handoff *handoff = server->handoff;
  bool was_open = handoff->poll != NULL;
  TLY_TRY(open_channel(handoff, error));
  enum tly_status status = tly_handoff_send(handoff->fd, fd, rest, size, error);
  if (status == TLY_OK)
    return TLY_OK;
  close_channel(handoff);
  if (!was_open)
    return status;
  TLY_TRY(open_channel(handoff, error)); /* the archiver was started again since: once more, on a new channel */
  status = tly_handoff_send(handoff->fd, fd, rest, size, error);
  if (status != TLY_OK)
    close_channel(handoff);
  return status;
}

void tly_handoff_start(struct tly_serving *server) {
  server->handoff = tly_calloc(1, sizeof *server->handoff);
  server->handoff->server = server;
}

void tly_handoff_stop(struct tly_serving *server) {
  close_channel(server->handoff);
  tly_buffer_free(&server->handoff->rest);
  tly_free(server->handoff);
}
