#include "batch_layer/batch_requests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/framing.h"
#include "common/wire/socket.h"

enum { READ_BYTES = 16 << 10 };

struct connection {
  uint64_t number; /* 0: free place */
  int fd;
  struct tly_framer framer;
  struct tly_buffer out;
  bool is_waiting; /* for the answer to its request */
  bool is_at_end;  /* it sends no more */
};

struct tly_batch_requests {
  int fd;
  uint64_t last_number;
  tly_batch_request_handler handler;
  void *context;
  struct connection connections[TLY_BATCH_CLIENTS_MAX];
};

enum tly_status tly_batch_requests_open(const char *directory, tly_batch_request_handler handler, void *context,
                                        tly_batch_requests **out, struct tly_error *error) {
  struct tly_buffer path = {0};
  tly_batch_requests *requests = tly_calloc(1, sizeof *requests);
  requests->handler = handler;
  requests->context = context;
  tly_buffer_print(&path, "%s/batch.sock", directory);
  enum tly_status status = tly_socket_listen_unix(tly_buffer_text(&path), &requests->fd, error);
  tly_buffer_free(&path);
  *out = requests;
  if (status != TLY_OK) {
    tly_free(requests);
    *out = NULL;
  }
  return status;
}

static void drop(struct connection *connection) {
  close(connection->fd);
  tly_framer_free(&connection->framer);
  tly_buffer_free(&connection->out);
  memset(connection, 0, sizeof *connection);
}

void tly_batch_requests_close(tly_batch_requests *requests) {
  if (requests == NULL)
    return;
  for (uint32_t i = 0; i < TLY_BATCH_CLIENTS_MAX; i++)
    if (requests->connections[i].number != 0)
      drop(&requests->connections[i]);
  close(requests->fd);
  tly_free(requests);
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

/* Write what the socket takes. False when the connection is dead. */
static bool flush(struct connection *connection) {
  while (connection->out.size > 0) {
    ssize_t sent = send(connection->fd, connection->out.data, connection->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK;
    tly_buffer_consume(&connection->out, (size_t)sent);
  }
  return true;
}

static struct connection *find(tly_batch_requests *requests, uint64_t client) {
  for (uint32_t i = 0; i < TLY_BATCH_CLIENTS_MAX; i++)
    if (requests->connections[i].number == client)
      return &requests->connections[i];
  return NULL;
}

void tly_batch_requests_tell(tly_batch_requests *requests, uint64_t client, const char *line) {
  struct connection *connection = find(requests, client);
  if (connection == NULL || connection->out.size > TLY_BATCH_OUTPUT_BYTES / 2)
    return;
  tly_buffer_append_text(&connection->out, line);
  if (!flush(connection))
    drop(connection);
}

void tly_batch_requests_answer(tly_batch_requests *requests, uint64_t client, const struct tly_buffer *reply) {
  struct connection *connection = find(requests, client);
  if (connection == NULL)
    return;
  TLY_ASSERT(connection->is_waiting);
  connection->is_waiting = false;
  tly_buffer_append(&connection->out, reply->data, reply->size);
  if (!flush(connection) || connection->out.size > TLY_BATCH_OUTPUT_BYTES)
    drop(connection);
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static void take_line(tly_batch_requests *requests, struct connection *connection, const char *line, size_t size) {
  struct tly_request request;
  struct tly_error error = TLY_ERROR_NONE;
  int code;
  connection->is_waiting = true;
  if (tly_request_parse(line, size, &request, &code, &error) == TLY_OK) {
    requests->handler(requests->context, connection->number, &request);
  } else {
    struct tly_buffer reply = {0};
    tly_reply_error(&reply, request.id != NULL ? request.id : "null", code, &error);
    tly_batch_requests_answer(requests, connection->number, &reply);
    tly_buffer_free(&reply);
  }
  tly_request_free(&request);
}

static void refuse_long_line(tly_batch_requests *requests, struct connection *connection) {
  struct tly_buffer reply = {0};
  struct tly_error error;
  (void)TLY_FAIL(&error, TLY_E_TOO_LARGE, "a line has at most %d bytes", TLY_LINE_BYTES_MAX);
  tly_reply_error(&reply, "null", TLY_RPC_INVALID_REQUEST, &error);
  connection->is_waiting = true;
  tly_batch_requests_answer(requests, connection->number, &reply);
  tly_buffer_free(&reply);
}

/* Handle requests until one has to wait for its answer. */
static void take_frames(tly_batch_requests *requests, struct connection *connection) {
  uint64_t number = connection->number;
  const char *data;
  size_t size;
  while (connection->number == number && !connection->is_waiting) {
    switch (tly_framer_next(&connection->framer, &data, &size)) {
    case TLY_FRAME_LINE:
      if (size > 0)
        take_line(requests, connection, data, size);
      break;
    case TLY_FRAME_TOO_LONG: refuse_long_line(requests, connection); break;
    case TLY_FRAME_BULK: TLY_UNREACHABLE(); /* none was announced */
    case TLY_FRAME_NONE: return;
    }
  }
}

/* False when the connection is dead. */
static bool receive(struct connection *connection) {
  size_t room;
  uint8_t *space = tly_framer_space(&connection->framer, READ_BYTES, &room);
  ssize_t count = recv(connection->fd, space, room, MSG_DONTWAIT);
  if (count < 0)
    return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
  connection->is_at_end = count == 0;
  tly_framer_added(&connection->framer, (size_t)count);
  return true;
}

static void accept_all(tly_batch_requests *requests) {
  for (;;) {
    struct connection *place = find(requests, 0);
    int fd = accept4(requests->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
      return;
    if (place == NULL) {
      close(fd);
      continue;
    }
    place->number = ++requests->last_number;
    place->fd = fd;
    tly_framer_init(&place->framer);
  }
}

uint32_t tly_batch_requests_poll(const tly_batch_requests *requests, struct pollfd *polled) {
  uint32_t count = 0;
  polled[count++] = (struct pollfd){.fd = requests->fd, .events = POLLIN};
  for (uint32_t i = 0; i < TLY_BATCH_CLIENTS_MAX; i++) {
    const struct connection *connection = &requests->connections[i];
    if (connection->number == 0)
      continue;
    short events = (short)(connection->is_waiting || connection->is_at_end ? 0 : POLLIN);
    if (connection->out.size > 0)
      events = (short)(events | POLLOUT);
    polled[count++] = (struct pollfd){.fd = connection->fd, .events = events};
  }
  return count;
}

static void serve_connection(tly_batch_requests *requests, struct connection *connection, short ready) {
  bool is_alive = (ready & (POLLERR | POLLNVAL)) == 0;
  if (is_alive && (ready & POLLOUT) != 0)
    is_alive = flush(connection);
  if (is_alive && (ready & (POLLIN | POLLHUP)) != 0 && !connection->is_waiting)
    is_alive = receive(connection);
  else if ((ready & POLLHUP) != 0)
    is_alive = false; /* it waits for an answer and has gone */
  if (is_alive) {
    uint64_t number = connection->number;
    take_frames(requests, connection);
    if (connection->number != number)
      return; /* dropped, and perhaps used anew */
    is_alive = !connection->is_at_end || connection->is_waiting || connection->out.size > 0;
  }
  if (!is_alive)
    drop(connection);
}

void tly_batch_requests_serve(tly_batch_requests *requests, const struct pollfd *polled, uint32_t count) {
  TLY_ASSERT(count > 0 && polled[0].fd == requests->fd);
  for (uint32_t p = 1; p < count; p++)
    for (uint32_t i = 0; i < TLY_BATCH_CLIENTS_MAX; i++)
      if (requests->connections[i].number != 0 && requests->connections[i].fd == polled[p].fd) {
        serve_connection(requests, &requests->connections[i], polled[p].revents);
        break;
      }
  if (polled[0].revents != 0)
    accept_all(requests);
}
