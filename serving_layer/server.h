/* serving_layer/server.h -- inside the serving process: what the files around the loop share.
 *
 * Path of a request: listener -> session -> point (inline) | pool | waiting | relay | handoff -> session -> socket.
 * Thread: everything here belongs to the loop's thread. */
#ifndef TLY_SERVING_SERVER_H
#define TLY_SERVING_SERVER_H

#include <uv.h>

#include "common/base/process.h"
#include "common/wire/framing.h"
#include "serving_layer/point.h"
#include "serving_layer/pool.h"
#include "serving_layer/store_source.h"

struct tly_session;
struct tly_handoff;
struct tly_waiting;

struct tly_serving {
  const struct tly_settings *settings;
  const struct tly_project *project;
  const struct tly_programs *programs;
  uv_loop_t loop;
  tly_pool *pool;
  tly_store_source *source; /* the loop's own */
  tly_points *points;
  struct tly_session *sessions; /* all */
  struct tly_session *ready;    /* those with input to be taken, the newest first */
  uint32_t ready_count;
  uint32_t session_count;
  size_t input_bytes; /* that sessions hold of unfinished input */
  struct tly_handoff *handoff;
  struct tly_waiting *waiting;
  uv_idle_t awake;     /* active while `ready` is not empty */
  uv_prepare_t before; /* before the loop sleeps */
  uv_check_t after;    /* after it has looked for events */
  uv_timer_t tick, look_end;
  uint32_t ticks;
  bool is_stopping;
};

/* ---- session.c --------------------------------------------------------------------------------------------------- */

/* Take over a connected socket. `rest` is what was read from it already. */
void tly_session_open(struct tly_serving *server, int fd, const void *rest, size_t rest_size);
/* The pool's callback. */
void tly_session_on_job(void *context, struct tly_job *job, struct tly_buffer *line, bool is_done);
/* Give every session that is ready its turn. */
void tly_sessions_continue(struct tly_serving *server);
/* Close sessions that have not taken a byte for too long. */
void tly_sessions_check_blocked(struct tly_serving *server);
void tly_sessions_close_all(struct tly_serving *server);

/* What a helper of a session (wait, relay, handoff) gives back. `bytes` are whole reply lines. is_done: the session
 * goes on with its next request. */
void tly_session_reply(struct tly_session *session, const struct tly_buffer *bytes, bool is_done);
/* The wait is over: execute the query now, with what is left of its time. */
void tly_session_submit(struct tly_session *session, struct tly_request *request, int64_t timeout_ms);

/* ---- listener.c -------------------------------------------------------------------------------------------------- */

struct tly_listener;
/* Accept connections on `fd`, which is taken over. */
struct tly_listener *tly_listener_start(struct tly_serving *server, int fd);
void tly_listener_stop(struct tly_listener *listener);

/* ---- waiting.c: "wait":true -------------------------------------------------------------------------------------- */

TLY_CHECK enum tly_status tly_waiting_start(struct tly_serving *server, struct tly_error *error);
void tly_waiting_stop(struct tly_serving *server);
struct tly_wait;
/* Hold *request (taken over) back until everything that is acknowledged now is folded; then tly_session_submit, or an
 * error reply when its time is over. */
struct tly_wait *tly_wait_new(struct tly_serving *server, struct tly_session *session, struct tly_request *request);
/* The session has gone. */
void tly_wait_cancel(struct tly_wait *wait);

/* ---- relay.c: what is the batch layer's -------------------------------------------------------------------------- */

struct tly_relay;
/* Send `line` to the batch layer and its reply lines to the session. NULL: it does not answer; *error has the words. */
struct tly_relay *tly_relay_new(struct tly_serving *server, struct tly_session *session, const char *id,
                                const char *line, size_t size, struct tly_error *error);
void tly_relay_close(struct tly_relay *relay);

/* ---- handoff.c: ingest ------------------------------------------------------------------------------------------- */

void tly_handoff_start(struct tly_serving *server);
void tly_handoff_stop(struct tly_serving *server);
/* Pass `fd` and the bytes that were read from it on to the archiver. On success the caller closes its copy. */
TLY_CHECK enum tly_status tly_handoff_give(struct tly_serving *server, int fd, const void *rest, size_t size,
                                           struct tly_error *error);

#endif
