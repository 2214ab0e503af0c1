/* One client's connection.
 *
 * Requests are answered one at a time, in the order they came: the next line is cut off the input only when the one
 * before has its whole reply in the output. Point queries are answered at once, so a pipeline of them is answered in
 * one go; everything else makes the session busy (a job in the pool, a wait, a relay) until its helper comes back.
 *
 * Sessions take turns. One whose input was read is ready; when the loop has handed out all events, or TURNS_TOGETHER
 * sessions are ready, first the requests of all of them are answered into their outputs, then these are written. So
 * reading, answering and writing each find their code and data in the processor's caches, and a client of several
 * connections is woken once for several replies; not for all of them, so that it works while we do.
 *
 * INVARIANTS (check_invariants)
 *   (1) A busy session has exactly one helper, and a session without helpers is not busy.
 *   (2) What a client can make us hold is bounded: one line or bulk body of input beyond what was asked for, and of
 * output one part, or the replies to the lines of one read. While output is pending above OUT_HIGH no line is taken;
 * while nothing can be taken nothing is read, so the client's own send buffer fills up.
 *   (3) A session stands in server->ready once (is_ready): after its input was read, or when it gave way to others with
 * requests left.
 *
 * A client that shuts down its sending side (nc -N) still gets its replies; the connection ends when they are written.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "serving_layer/server.h"
#include "serving_layer/work.h"

enum {
  READ_BYTES = 16 << 10,
  OUT_HIGH = TLY_PART_BYTES,
  BUFFER_KEPT = 64 << 10,      /* an idle session's buffers shrink to this */
  INPUT_BYTES_MAX = 256 << 20, /* of all sessions' unfinished lines */
  LINES_A_TURN = 64,
  TURNS_TOGETHER = 16, /* sessions whose requests are answered before the first reply is written */
  BLOCKED_SECONDS_MAX = 30
};

struct tly_session {
  struct tly_serving *server;
  struct tly_session *previous, *next, *next_ready;
  uv_poll_t poll;
  int fd;
  int events; /* asked of poll */
  struct tly_framer framer;
  struct tly_buffer out;
  size_t out_sent;
  int64_t blocked_since_us; /* no byte was taken since; 0: nothing pending */
  size_t input_counted;
  bool is_ready; /* stands in server->ready */
  bool is_closed;
  bool has_ended;      /* nothing more comes */
  bool is_half_closed; /* known to come to an end; maybe not read to there yet */
  bool is_discarding;  /* what is left of the input is not looked at */
  /* At most one: the helper that makes the session busy. */
  struct tly_job *job;
  bool awaits_drain; /* the job's part is in `out` */
  struct tly_wait *wait;
  struct tly_relay *relay;
  struct tly_buffer handoff; /* not empty: the request line that hands the connection on, once `out` is written */
};

static bool is_busy(const struct tly_session *session) {
  return session->job != NULL || session->wait != NULL || session->relay != NULL || session->handoff.size > 0;
}

static size_t pending(const struct tly_session *session) {
  return session->out.size - session->out_sent;
}

static void check_invariants(const struct tly_session *session) {
  int helpers =
      (session->job != NULL) + (session->wait != NULL) + (session->relay != NULL) + (session->handoff.size > 0);
  TLY_ASSERT(helpers <= 1);
  TLY_ASSERT(session->out_sent <= session->out.size);
  TLY_ASSERT(!session->awaits_drain || session->job != NULL);
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

static void free_session(uv_handle_t *handle) {
  struct tly_session *session = handle->data;
  tly_framer_free(&session->framer);
  tly_buffer_free(&session->out);
  tly_buffer_free(&session->handoff);
  tly_free(session);
}

static void leave_ready(struct tly_session *session) {
  if (!session->is_ready)
    return;
  struct tly_session **link = &session->server->ready;
  while (*link != session)
    link = &(*link)->next_ready;
  *link = session->next_ready;
  session->is_ready = false;
  session->server->ready_count--;
}

static void close_session(struct tly_session *session) {
  struct tly_serving *server = session->server;
  if (session->is_closed)
    return;
  session->is_closed = true;
  if (session->job != NULL) {
    session->job->session = NULL;
    tly_pool_cancel(server->pool, session->job);
  }
  if (session->wait != NULL)
    tly_wait_cancel(session->wait);
  if (session->relay != NULL)
    tly_relay_close(session->relay);
  leave_ready(session);
  uv_poll_stop(&session->poll);
  close(session->fd);
  if (session->previous != NULL)
    session->previous->next = session->next;
  else
    server->sessions = session->next;
  if (session->next != NULL)
    session->next->previous = session->previous;
  server->session_count--;
  server->input_bytes -= session->input_counted;
  uv_close((uv_handle_t *)&session->poll, free_session);
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static void shrink(struct tly_buffer *buffer) {
  if (buffer->size == 0 && buffer->capacity > BUFFER_KEPT)
    tly_buffer_free(buffer);
}

/* Write what the socket takes. False: the connection is broken. */
static bool flush(struct tly_session *session) {
  while (pending(session) > 0) {
    ssize_t count = send(session->fd, session->out.data + session->out_sent, pending(session), MSG_NOSIGNAL);
    if (count > 0) {
      session->out_sent += (size_t)count;
      session->blocked_since_us = 0;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (session->blocked_since_us == 0)
        session->blocked_since_us = tly_clock_monotonic_us(&tly_clock_real);
      return true;
    } else if (errno != EINTR)
      return false;
  }
  tly_buffer_clear(&session->out);
  session->out_sent = 0;
  session->blocked_since_us = 0;
  shrink(&session->out);
  return true;
}

static void reply_error(struct tly_session *session, const char *id, int rpc_code, const struct tly_error *error) {
  tly_reply_error(&session->out, id, rpc_code, error);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* The bulk body that follows a refused ingest is read and forgotten, so that the connection lives on. */
static void skip_bulk(struct tly_session *session, const json_t *params) {
  int64_t bytes = 0;
  struct tly_error ignored;
  if (tly_param_integer(params, "bytes", &bytes, &ignored) == TLY_OK && bytes > 0 && bytes <= TLY_BULK_BYTES_MAX)
    tly_framer_expect_bulk(&session->framer, (size_t)bytes);
}

static void hand_on(struct tly_session *session) {
  struct tly_serving *server = session->server;
  struct tly_error error = TLY_ERROR_NONE;
  size_t line_size = session->handoff.size, rest_size;
  const uint8_t *rest = tly_framer_rest(&session->framer, &rest_size);
  tly_buffer_append_byte(&session->handoff, '\n');
  tly_buffer_append(&session->handoff, rest, rest_size);
  uv_poll_stop(&session->poll);
  session->events = 0;
  if (tly_handoff_give(server, session->fd, session->handoff.data, session->handoff.size, &error) == TLY_OK) {
    close_session(session);
    return;
  }
  struct tly_request request;
  struct tly_error parse_error;
  int rpc_code;
  if (tly_request_parse((const char *)session->handoff.data, line_size, &request, &rpc_code, &parse_error) == TLY_OK)
    skip_bulk(session, request.params);
  reply_error(session, request.id, TLY_RPC_SERVER_ERROR, &error);
  tly_request_free(&request);
  tly_buffer_clear(&session->handoff);
}

void tly_session_submit(struct tly_session *session, struct tly_request *request, int64_t timeout_ms) {
  struct tly_serving *server = session->server;
  session->wait = NULL;
  session->job = tly_job_new(request, timeout_ms, server->settings->query_memory_bytes, session);
  tly_pool_submit(server->pool, session->job);
}

static void take_query(struct tly_session *session, struct tly_request *request) {
  struct tly_serving *server = session->server;
  struct tly_error error = TLY_ERROR_NONE;
  bool wait = false;
  if (tly_param_boolean(request->params, "wait", &wait, &error) != TLY_OK) {
    reply_error(session, request->id, TLY_RPC_INVALID_PARAMS, &error);
    return;
  }
  if (wait)
    session->wait = tly_wait_new(server, session, request);
  else if (!tly_points_answer(server->points, request, &session->out))
    tly_session_submit(session, request, server->settings->query_timeout_ms);
}

/* `request` is taken over where its pointer members become NULL; the caller frees what is left. */
static void take_request(struct tly_session *session, struct tly_request *request, const char *line, size_t size) {
  struct tly_serving *server = session->server;
  struct tly_error error = TLY_ERROR_NONE;
  switch (request->method) {
  case TLY_METHOD_QUERY: take_query(session, request); return;
  case TLY_METHOD_RUNS:
  case TLY_METHOD_STATUS:
  case TLY_METHOD_VIEWS:
  case TLY_METHOD_RECONCILIATIONS:
  case TLY_METHOD_BREAKS: tly_session_submit(session, request, server->settings->query_timeout_ms); return;
  case TLY_METHOD_INGEST:
  case TLY_METHOD_IMPORT: tly_buffer_append(&session->handoff, line, size); return;
  case TLY_METHOD_RECOMPUTE:
  case TLY_METHOD_RECONCILE:
  case TLY_METHOD_BREAK:
  case TLY_METHOD_PAUSE:
  case TLY_METHOD_RESUME:
  case TLY_METHOD_CANCEL:
  case TLY_METHOD_PUBLISH:
  case TLY_METHOD_ROLLBACK:
    session->relay = tly_relay_new(server, session, request->id, line, size, &error);
    if (session->relay == NULL)
      reply_error(session, request->id, TLY_RPC_SERVER_ERROR, &error);
    return;
  default:
    (void)TLY_FAIL(&error, TLY_E_PROTOCOL, "unknown method; there are " TLY_CLIENT_METHODS);
    reply_error(session, request->id, TLY_RPC_METHOD_NOT_FOUND, &error);
    return;
  }
}

/* A browser that was told to POST here must not get its body executed line by line. */
static bool is_http(const char *line, size_t size) {
  static const char *const methods[] = {"GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "PATCH "};
  if (memmem(line, size, " HTTP/1", 7) == NULL)
    return false;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (size >= strlen(methods[i]) && memcmp(line, methods[i], strlen(methods[i])) == 0)
      return true;
  return false;
}

static bool is_blank(const char *line, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (line[i] != ' ' && line[i] != '\t')
      return false;
  return true;
}

static void take_line(struct tly_session *session, const char *line, size_t size) {
  struct tly_request request;
  struct tly_error error = TLY_ERROR_NONE;
  int rpc_code;
  if (is_blank(line, size) || tly_points_answer_line(session->server->points, line, size, &session->out))
    return;
  if (is_http(line, size)) {
    tly_log(TLY_LOG_WARN, "an HTTP request came to the socket protocol", NULL);
    session->has_ended = true;
    session->is_discarding = true;
    return;
  }
  if (tly_request_parse(line, size, &request, &rpc_code, &error) == TLY_OK)
    take_request(session, &request, line, size);
  else
    reply_error(session, request.id != NULL ? request.id : "null", rpc_code, &error);
  tly_request_free(&request);
}

static void take_too_long(struct tly_session *session) {
  struct tly_error error = TLY_ERROR_NONE;
  (void)TLY_FAIL(&error, TLY_E_TOO_LARGE, "a line is longer than %d bytes", TLY_LINE_BYTES_MAX);
  tly_error_hint(&error, "send events in bulk: {\"method\":\"ingest\",\"params\":{\"bytes\":...}}");
  reply_error(session, "null", TLY_RPC_INVALID_REQUEST, &error);
}

/* The session's turn comes with the next ones. */
static void make_ready(struct tly_session *session) {
  struct tly_serving *server = session->server;
  session->is_ready = true;
  session->next_ready = server->ready;
  server->ready = session;
  server->ready_count++;
}

/* Take frames until the session is busy, its output is full or its turn is over. True: no whole frame is left. */
static bool take_frames(struct tly_session *session) {
  int lines = 0;
  if (session->is_discarding)
    return true;
  while (!is_busy(session) && pending(session) < OUT_HIGH) {
    const char *data;
    size_t size;
    if (lines++ == LINES_A_TURN) {
      make_ready(session);
      return false;
    }
    switch (tly_framer_next(&session->framer, &data, &size)) {
    case TLY_FRAME_NONE: return true;
    case TLY_FRAME_LINE: take_line(session, data, size); break;
    case TLY_FRAME_TOO_LONG: take_too_long(session); break;
    case TLY_FRAME_BULK: break; /* of a refused ingest */
    }
    if (session->is_discarding)
      return true;
  }
  return false;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void on_event(uv_poll_t *poll, int status, int events);

static void watch(struct tly_session *session) {
  int events = 0;
  if (pending(session) > 0)
    events |= UV_WRITABLE;
  if (!session->has_ended && !is_busy(session) && !session->is_ready && pending(session) < OUT_HIGH)
    events |= UV_READABLE;
  else if (!session->is_half_closed)
    events |= UV_DISCONNECT; /* a client that has gone needs no answer */
  if (events == session->events)
    return;
  session->events = events;
  if (events == 0)
    uv_poll_stop(&session->poll);
  else
    TLY_ASSERT(uv_poll_start(&session->poll, events, on_event) == 0);
}

/* Input buffers of idle sessions shrink; together they stay below INPUT_BYTES_MAX. False: this one has to go. */
static bool count_input(struct tly_session *session) {
  struct tly_serving *server = session->server;
  struct tly_framer *framer = &session->framer;
  size_t rest_size;
  (void)tly_framer_rest(framer, &rest_size);
  if (rest_size == 0 && framer->bulk_bytes == 0 && !framer->skipping && framer->buffer.capacity > BUFFER_KEPT) {
    tly_framer_free(framer);
    tly_framer_init(framer);
  }
  server->input_bytes += framer->buffer.capacity - session->input_counted;
  session->input_counted = framer->buffer.capacity;
  return server->input_bytes <= INPUT_BYTES_MAX || session->input_counted <= BUFFER_KEPT;
}

/* The output is written: whoever waited for that goes on. False: the connection was handed on. */
static bool settle(struct tly_session *session) {
  if (session->awaits_drain) {
    session->awaits_drain = false;
    tly_pool_drained(session->server->pool, session->job);
  }
  if (session->handoff.size > 0)
    hand_on(session);
  return !session->is_closed;
}

/* Write replies and take what requests are left, then wait for more, or close. `is_exhausted`: no whole frame is left.
 */
static void end_turn(struct tly_session *session, bool is_exhausted) {
  for (;; is_exhausted = take_frames(session)) {
    if (!flush(session)) {
      close_session(session);
      return;
    }
    if (pending(session) > 0)
      break;
    if (!settle(session))
      return;
    if (is_busy(session) || session->is_ready)
      break;
    if (is_exhausted && session->has_ended) {
      close_session(session);
      return;
    }
    if (is_exhausted)
      break;
  }
  check_invariants(session);
  if (count_input(session))
    watch(session);
  else
    close_session(session);
}

/* After anything else than input has happened. */
static void continue_session(struct tly_session *session) {
  end_turn(session, !session->is_ready && take_frames(session));
}

static void read_some(struct tly_session *session) {
  size_t size;
  uint8_t *space = tly_framer_space(&session->framer, READ_BYTES, &size);
  ssize_t count = recv(session->fd, space, size, 0);
  if (count > 0)
    tly_framer_added(&session->framer, (size_t)count);
  else if (count == 0)
    session->has_ended = session->is_half_closed = true;
  else if (errno != EAGAIN && errno != EINTR)
    session->has_ended = session->is_half_closed = session->is_discarding = true;
}

/* Has the client gone altogether, or has it only ended its side? */
static bool is_hung_up(int fd) {
  struct pollfd state = {.fd = fd, .events = 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

static void on_event(uv_poll_t *poll, int status, int events) {
  struct tly_session *session = poll->data;
  if (status < 0 || ((events & UV_DISCONNECT) != 0 && is_hung_up(session->fd))) {
    close_session(session);
    return;
  }
  if ((events & UV_DISCONNECT) != 0)
    session->is_half_closed = true; /* it still reads, and what it sent before is still to be answered */
  if ((events & UV_READABLE) != 0 && !session->is_ready) {
    read_some(session);
    make_ready(session);
    if (session->server->ready_count >= TURNS_TOGETHER)
      tly_sessions_continue(session->server);
  } else
    continue_session(session);
}

/* ---- doors ------------------------------------------------------------------------------------------------------- */

void tly_session_open(struct tly_serving *server, int fd, const void *rest, size_t rest_size) {
  struct tly_session *session = tly_calloc(1, sizeof *session);
  tly_points_end_look(server->points);
  session->server = server;
  session->fd = fd;
  session->poll.data = session;
  tly_framer_init(&session->framer);
  TLY_ASSERT(uv_poll_init(&server->loop, &session->poll, fd) == 0);
  session->next = server->sessions;
  if (server->sessions != NULL)
    server->sessions->previous = session;
  server->sessions = session;
  server->session_count++;
  if (rest_size > 0) {
    size_t size;
    memcpy(tly_framer_space(&session->framer, rest_size, &size), rest, rest_size);
    tly_framer_added(&session->framer, rest_size);
  }
  continue_session(session);
}

void tly_session_on_job(void *context, struct tly_job *job, struct tly_buffer *line, bool is_done) {
  struct tly_session *session = job->session;
  tly_points_end_look(((struct tly_serving *)context)->points);
  if (session != NULL && line->size > 0) {
    tly_buffer_append(&session->out, line->data, line->size);
    session->awaits_drain = true;
  }
  if (is_done) {
    if (session != NULL) {
      TLY_ASSERT(session->job == job);
      tly_buffer_append(&session->out, job->reply.data, job->reply.size);
      session->job = NULL;
      session->awaits_drain = false;
    }
    tly_job_free(job);
  }
  if (session != NULL)
    continue_session(session);
}

void tly_session_reply(struct tly_session *session, const struct tly_buffer *bytes, bool is_done) {
  tly_points_end_look(session->server->points);
  tly_buffer_append(&session->out, bytes->data, bytes->size);
  if (is_done) {
    session->wait = NULL;
    session->relay = NULL;
  }
  continue_session(session);
}

/* The requests of several sessions first, then their replies. A session's turn closes and re-queues no other session
 * than itself. */
static void take_turns(struct tly_session *const *sessions, uint32_t count) {
  bool is_exhausted[TURNS_TOGETHER];
  for (uint32_t i = 0; i < count; i++) {
    sessions[i]->is_ready = false;
    is_exhausted[i] = take_frames(sessions[i]);
  }
  for (uint32_t i = 0; i < count; i++)
    end_turn(sessions[i], is_exhausted[i]);
}

void tly_sessions_continue(struct tly_serving *server) {
  struct tly_session *ready = server->ready, *next = NULL;
  server->ready = NULL;
  server->ready_count = 0;
  while (ready != NULL) { /* oldest first */
    struct tly_session *newer = ready->next_ready;
    ready->next_ready = next;
    next = ready;
    ready = newer;
  }
  while (next != NULL) {
    struct tly_session *turn[TURNS_TOGETHER];
    uint32_t count = 0;
    for (; next != NULL && count < TURNS_TOGETHER; next = next->next_ready)
      turn[count++] = next;
    take_turns(turn, count);
  }
}

void tly_sessions_check_blocked(struct tly_serving *server) {
  int64_t now_us = tly_clock_monotonic_us(&tly_clock_real);
  for (struct tly_session *session = server->sessions, *next; session != NULL; session = next) {
    next = session->next;
    if (session->blocked_since_us > 0 && now_us - session->blocked_since_us > BLOCKED_SECONDS_MAX * INT64_C(1000000))
      close_session(session);
  }
}

void tly_sessions_close_all(struct tly_serving *server) {
  while (server->sessions != NULL)
    close_session(server->sessions);
}
