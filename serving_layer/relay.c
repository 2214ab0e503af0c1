/* recompute, reconcile, publish, rollback and the other decisions of operators are the batch layer's: the request line
 * goes to DIR/batch.sock as it came, and its reply lines come back as they are, progress lines too, up to the one with
 * the result or the error. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/socket.h"
#include "serving_layer/server.h"

enum { READ_BYTES = 16 << 10 };

struct tly_relay {
  struct tly_session *session; /* NULL: it has gone */
  char *id;
  uv_poll_t poll;
  int fd;
  struct tly_framer framer;
};

static void free_relay(uv_handle_t *handle) {
  struct tly_relay *relay = handle->data;
  tly_framer_free(&relay->framer);
  tly_free(relay->id);
  tly_free(relay);
}

void tly_relay_close(struct tly_relay *relay) {
  relay->session = NULL;
  uv_poll_stop(&relay->poll);
  close(relay->fd);
  uv_close((uv_handle_t *)&relay->poll, free_relay);
}

static void break_off(struct tly_relay *relay) {
  struct tly_session *session = relay->session;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer reply = {0};
  (void)TLY_FAIL(&error, TLY_E_CONNECTION, "the batch layer ended before it answered");
  tly_error_hint(&error, "see tally runs: a run that was cut off is marked failed, and can be repeated");
  tly_reply_error(&reply, relay->id, TLY_RPC_SERVER_ERROR, &error);
  tly_relay_close(relay);
  tly_session_reply(session, &reply, true);
  tly_buffer_free(&reply);
}

static bool is_last_line(const char *line, size_t size) {
  json_t *reply = json_loadb(line, size, 0, NULL);
  bool is_last = json_object_get(reply, "result") != NULL || json_object_get(reply, "error") != NULL;
  json_decref(reply);
  return is_last;
}

/* Pass on what is whole. True: that was the end. */
static bool pass_lines(struct tly_relay *relay) {
  struct tly_buffer lines = {0};
  const char *line;
  size_t size;
  bool is_last = false;
  while (!is_last && tly_framer_next(&relay->framer, &line, &size) == TLY_FRAME_LINE) {
    tly_buffer_append(&lines, line, size);
    tly_buffer_append_byte(&lines, '\n');
    is_last = is_last_line(line, size);
  }
  struct tly_session *session = relay->session;
  if (is_last)
    tly_relay_close(relay);
  if (lines.size > 0)
    tly_session_reply(session, &lines, is_last);
  tly_buffer_free(&lines);
  return is_last;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct tly_relay *relay = poll->data;
  size_t size;
  uint8_t *space = tly_framer_space(&relay->framer, READ_BYTES, &size);
  ssize_t count = status < 0 ? 0 : recv(relay->fd, space, size, 0);
  (void)events;
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (count <= 0) {
    break_off(relay);
    return;
  }
  tly_framer_added(&relay->framer, (size_t)count);
  (void)pass_lines(relay);
}

/* The socket is fresh and blocks: a line of 1 MiB waits at most for the batch layer to read it. */
static enum tly_status send_line(int fd, const char *line, size_t size, struct tly_error *error) {
  struct timeval patience = {.tv_sec = 5};
  struct tly_buffer bytes = {0};
  enum tly_status status = TLY_OK;
  size_t sent = 0;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  tly_buffer_append(&bytes, line, size);
  tly_buffer_append_byte(&bytes, '\n');
  while (status == TLY_OK && sent < bytes.size) {
    ssize_t count = send(fd, bytes.data + sent, bytes.size - sent, MSG_NOSIGNAL);
    if (count > 0)
      sent += (size_t)count;
    else if (errno != EINTR)
      status = TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "the batch layer does not take requests");
  }
  tly_buffer_free(&bytes);
  return status;
}

struct tly_relay *tly_relay_new(struct tly_serving *server, struct tly_session *session, const char *id,
                                const char *line, size_t size, struct tly_error *error) {
  char path[4096];
  int fd;
  snprintf(path, sizeof path, "%s/batch.sock", server->settings->directory);
  if (tly_socket_connect_unix(path, &fd, error) != TLY_OK) {
    (void)TLY_FAIL(error, TLY_E_CONNECTION, "the batch layer is not running");
    tly_error_hint(error, "it is started again by itself under tally run; see tally status");
    return NULL;
  }
  if (send_line(fd, line, size, error) != TLY_OK) {
    close(fd);
    return NULL;
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  struct tly_relay *relay = tly_calloc(1, sizeof *relay);
  relay->session = session;
  relay->id = tly_strdup(id);
  relay->fd = fd;
  relay->poll.data = relay;
  tly_framer_init(&relay->framer);
  TLY_ASSERT(uv_poll_init(&server->loop, &relay->poll, fd) == 0);
  TLY_ASSERT(uv_poll_start(&relay->poll, UV_READABLE, on_readable) == 0);
  return relay;
}
