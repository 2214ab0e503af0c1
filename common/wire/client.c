#include "common/wire/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/socket.h"

struct tly_client {
  int fd;
  struct tly_buffer in; /* reply bytes that are not a whole line yet; a server sends parts of a bounded size */
  size_t scanned;
  char address[256];
};

/* A reply line is a part of an answer: bounded by the server, but a row can be as wide as its texts. */
enum { REPLY_LINE_MAX = 64 << 20, READ_SIZE = 64 << 10 };

enum tly_status tly_client_connect(const char *address, bool is_tcp, tly_client **out, struct tly_error *error) {
  int fd;
  *out = NULL;
  if (is_tcp)
    TLY_TRY(tly_socket_connect_tcp(address, &fd, error));
  else
    TLY_TRY(tly_socket_connect_unix(address, &fd, error));
  tly_client *client = tly_calloc(1, sizeof *client);
  client->fd = fd;
  strncpy(client->address, address, sizeof client->address - 1);
  *out = client;
  return TLY_OK;
}

void tly_client_close(tly_client *client) {
  if (client == NULL)
    return;
  close(client->fd);
  tly_buffer_free(&client->in);
  tly_free(client);
}

int tly_client_fd(const tly_client *client) {
  return client->fd;
}

enum tly_status tly_client_send(tly_client *client, const void *bytes, size_t size, struct tly_error *error) {
  const char *next = bytes;
  while (size > 0) {
    ssize_t sent = send(client->fd, next, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "send to %s", client->address);
    next += sent;
    size -= (size_t)sent;
  }
  return TLY_OK;
}

/* Wait for bytes until `deadline_us` (monotonic; < 0 none) and append them. */
static enum tly_status read_more(tly_client *client, int64_t deadline_us, struct tly_error *error) {
  for (;;) {
    int timeout_ms = -1;
    if (deadline_us >= 0) {
      int64_t left_us = deadline_us - tly_clock_monotonic_us(&tly_clock_real);
      timeout_ms = left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
    }
    struct pollfd waiter = {.fd = client->fd, .events = POLLIN};
    int ready = poll(&waiter, 1, timeout_ms);
    if (ready == 0)
      return TLY_FAIL(error, TLY_E_CANCELLED, "no reply from %s in time", client->address);
    if (ready < 0 && errno != EINTR)
      return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "wait for %s", client->address);
    if (ready < 0)
      continue;
    ssize_t got = recv(client->fd, tly_buffer_reserve(&client->in, READ_SIZE), READ_SIZE, 0);
    if (got > 0) {
      client->in.size += (size_t)got;
      return TLY_OK;
    }
    if (got == 0)
      return TLY_FAIL(error, TLY_E_CONNECTION, "%s closed the connection", client->address);
    if (errno != EINTR && errno != EAGAIN)
      return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "receive from %s", client->address);
  }
}

enum tly_status tly_client_receive(tly_client *client, int timeout_ms, json_t **out, struct tly_error *error) {
  int64_t deadline_us = timeout_ms < 0 ? -1 : tly_clock_monotonic_us(&tly_clock_real) + (int64_t)timeout_ms * 1000;
  json_error_t json_error;
  const uint8_t *end = NULL;
  *out = NULL;
  while (client->in.size == client->scanned ||
         (end = memchr(client->in.data + client->scanned, '\n', client->in.size - client->scanned)) == NULL) {
    client->scanned = client->in.size;
    if (client->in.size > REPLY_LINE_MAX)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "a reply line from %s is over %d bytes", client->address, REPLY_LINE_MAX);
    TLY_TRY(read_more(client, deadline_us, error));
  }
  size_t line = (size_t)(end - client->in.data);
  *out = json_loadb((const char *)client->in.data, line, JSON_ALLOW_NUL, &json_error);
  tly_buffer_consume(&client->in, line + 1);
  client->scanned = 0;
  if (*out == NULL)
    return TLY_FAIL(error, TLY_E_PROTOCOL, "%s sent what is not JSON: %s", client->address, json_error.text);
  return TLY_OK;
}

/* SQLSTATE back to status: the first of the list that has it. */
static enum tly_status status_of_sqlstate(const char *sqlstate) {
  for (int status = 1; status < TLY_STATUS_COUNT; status++)
    if (strcmp(tly_status_sqlstate((enum tly_status)status), sqlstate) == 0)
      return (enum tly_status)status;
  return TLY_E_INTERNAL;
}

enum tly_status tly_client_error(const json_t *reply, struct tly_error *error) {
  const json_t *member = json_object_get(reply, "error");
  const json_t *data = json_object_get(member, "data");
  const char *message = json_string_value(json_object_get(member, "message"));
  const char *sqlstate = json_string_value(json_object_get(data, "sqlstate"));
  const char *hint = json_string_value(json_object_get(data, "hint"));
  enum tly_status status = sqlstate != NULL ? status_of_sqlstate(sqlstate) : TLY_E_PROTOCOL;
  status = TLY_FAIL(error, status, "%s", message != NULL ? message : "error without words");
  if (error != NULL) {
    error->position = (int32_t)json_integer_value(json_object_get(data, "position"));
    if (hint != NULL)
      tly_error_hint(error, "%s", hint);
  }
  return status;
}

static enum tly_status send_request(tly_client *client, const char *method, const json_t *params,
                                    struct tly_error *error) {
  json_t *request = json_pack("{s:i,s:s,s:O?}", "id", 1, "method", method, "params", params);
  char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
  json_decref(request);
  if (text == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "request \"%s\" has text that is not UTF-8", method);
  struct tly_buffer line = {0};
  tly_buffer_append_text(&line, text);
  tly_buffer_append_byte(&line, '\n');
  free(text);
  enum tly_status status = tly_client_send(client, line.data, line.size, error);
  tly_buffer_free(&line);
  return status;
}

enum tly_status tly_client_call(tly_client *client, const char *method, const json_t *params, int timeout_ms,
                                void (*on_part)(void *context, const json_t *line), void *context, json_t **result,
                                struct tly_error *error) {
  json_t *reply;
  *result = NULL;
  TLY_TRY(send_request(client, method, params, error));
  for (;;) {
    TLY_TRY(tly_client_receive(client, timeout_ms, &reply, error));
    if (json_object_get(reply, "error") != NULL || json_object_get(reply, "result") != NULL)
      break;
    if (on_part != NULL)
      on_part(context, reply);
    json_decref(reply);
  }
  enum tly_status status = TLY_OK;
  if (json_object_get(reply, "error") != NULL)
    status = tly_client_error(reply, error);
  else
    *result = json_incref(json_object_get(reply, "result"));
  json_decref(reply);
  return status;
}
