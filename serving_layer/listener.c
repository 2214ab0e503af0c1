#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "serving_layer/server.h"

enum { ACCEPTS_A_TURN = 64 };

struct tly_listener {
  struct tly_serving *server;
  uv_poll_t poll;
  int fd;
  int spare; /* given up for a moment when descriptors run out, so that a client gets an answer */
};

static int open_spare(void) {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Say why, and close: the socket is fresh, so the line fits its buffer. */
static void refuse(int fd) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer line = {0};
  (void)TLY_FAIL(&error, TLY_E_TOO_MANY, "too many connections (%d)", TLY_CONNECTIONS_MAX);
  tly_reply_error(&line, "null", TLY_RPC_SERVER_ERROR, &error);
  ssize_t written = send(fd, line.data, line.size, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)written;
  tly_buffer_free(&line);
  close(fd);
}

static bool accept_one(struct tly_listener *listener) {
  struct tly_serving *server = listener->server;
  int yes = 1;
  int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0 && (errno == EMFILE || errno == ENFILE) && listener->spare >= 0) {
    close(listener->spare);
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
      refuse(fd);
    listener->spare = open_spare();
    return false;
  }
  if (fd < 0)
    return errno == EINTR || errno == ECONNABORTED;
  if (server->session_count >= TLY_CONNECTIONS_MAX || server->is_stopping) {
    refuse(fd);
    return true;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* fails on unix sockets, which need none */
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  tly_session_open(server, fd, NULL, 0);
  return true;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct tly_listener *listener = poll->data;
  (void)events;
  for (int i = 0; status == 0 && i < ACCEPTS_A_TURN; i++)
    if (!accept_one(listener))
      return;
}

struct tly_listener *tly_listener_start(struct tly_serving *server, int fd) {
  struct tly_listener *listener = tly_calloc(1, sizeof *listener);
  listener->server = server;
  listener->fd = fd;
  listener->spare = open_spare();
  listener->poll.data = listener;
  TLY_ASSERT(uv_poll_init(&server->loop, &listener->poll, fd) == 0);
  TLY_ASSERT(uv_poll_start(&listener->poll, UV_READABLE, on_readable) == 0);
  return listener;
}

static void free_listener(uv_handle_t *handle) {
  tly_free(handle->data);
}

void tly_listener_stop(struct tly_listener *listener) {
  if (listener == NULL)
    return;
  uv_poll_stop(&listener->poll);
  close(listener->fd);
  if (listener->spare >= 0)
    close(listener->spare);
  uv_close((uv_handle_t *)&listener->poll, free_listener);
}
