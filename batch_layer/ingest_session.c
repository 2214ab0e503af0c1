#include "batch_layer/ingest_session.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/request.h"

enum {
  READ_BYTES = 256 << 10,
  REPLY_BYTES_MAX = 1 << 20,      /* unread replies; then nothing more is read from the client */
  BULK_BYTES_ALL_MAX = 256 << 20, /* half-read bulks of all clients; the next waits until one is whole */
  STALL_US = 30000000
};

struct tly_ingest_session *tly_ingest_session_new(struct tly_ingest_context *context, int fd, bool is_handed,
                                                  const void *rest, size_t rest_size) {
  struct tly_ingest_session *session = tly_calloc(1, sizeof *session);
  session->context = context;
  session->fd = fd;
  session->is_handed = is_handed;
  session->progress_us = tly_clock_monotonic_us(context->clock);
  session->last_job = &session->first_job;
  tly_framer_init(&session->framer);
  if (rest_size > 0) {
    size_t room;
    memcpy(tly_framer_space(&session->framer, rest_size, &room), rest, rest_size);
    tly_framer_added(&session->framer, rest_size);
  }
  return session;
}

/* The bulk is whole, or will never be. */
static void end_bulk(struct tly_ingest_session *session) {
  TLY_ASSERT(session->context->bulk_bytes >= session->bulk_bytes);
  session->context->bulk_bytes -= session->bulk_bytes;
  session->context->bulk_ended = session->context->bulk_ended || session->bulk_bytes > 0;
  session->bulk_bytes = session->bulk_wanted = 0;
}

/* Whether the bulk that was announced may be read now. */
static bool admit_bulk(struct tly_ingest_session *session) {
  if (session->bulk_bytes == session->bulk_wanted)
    return true;
  if (session->context->bulk_bytes + session->bulk_wanted > BULK_BYTES_ALL_MAX)
    return false;
  session->bulk_bytes = session->bulk_wanted;
  session->context->bulk_bytes += session->bulk_bytes;
  return true;
}

void tly_ingest_session_free(struct tly_ingest_session *session) {
  struct tly_archive_job *next;
  for (struct tly_archive_job *job = session->first_job; job != NULL; job = next) {
    next = job->next_of_session;
    TLY_ASSERT(job->is_done);
    tly_archive_job_free(job);
  }
  end_bulk(session);
  tly_archive_job_free(session->bulk);
  tly_framer_free(&session->framer);
  tly_buffer_free(&session->out);
  tly_buffer_free(&session->leaving_with);
  if (session->fd >= 0)
    close(session->fd);
  tly_free(session);
}

/* ---- replies ----------------------------------------------------------------------------------------------------- */

static void print_reply(struct tly_buffer *out, const struct tly_archive_job *job) {
  if (job->error.status != TLY_OK) {
    int code = job->error.status == TLY_E_INVALID_PARAMETER ? TLY_RPC_INVALID_PARAMS : TLY_RPC_SERVER_ERROR;
    tly_reply_error(out, job->id, code, &job->error);
    return;
  }
  tly_buffer_append_text(out, "{\"id\":");
  tly_buffer_append_text(out, job->id);
  tly_buffer_append_text(out, ",\"result\":");
  tly_buffer_append(out, job->result.data, job->result.size);
  tly_buffer_append_text(out, "}\n");
}

/* Replies go out in the order of requests: as far as jobs are done from the first on. */
static void take_replies(struct tly_ingest_session *session) {
  while (session->first_job != NULL && session->first_job->is_done) {
    struct tly_archive_job *job = session->first_job;
    session->first_job = job->next_of_session;
    if (session->first_job == NULL)
      session->last_job = &session->first_job;
    session->job_count--;
    if (session->state != TLY_SESSION_GONE)
      print_reply(&session->out, job);
    tly_job_decoder_recycle(session->context->decoder, job);
  }
}

static void add_job(struct tly_ingest_session *session, struct tly_archive_job *job) {
  job->session = session;
  job->next_of_session = NULL;
  *session->last_job = job;
  session->last_job = &job->next_of_session;
  session->job_count++;
}

void tly_ingest_session_job_done(struct tly_ingest_session *session, struct tly_archive_job *job) {
  TLY_ASSERT(job->session == session);
  job->is_done = true;
  take_replies(session);
}

/* A job that the archive need not see: it is answered in its turn. */
static void add_done(struct tly_ingest_session *session, struct tly_archive_job *job) {
  add_job(session, job);
  tly_ingest_session_job_done(session, job);
}

static void add_failure(struct tly_ingest_session *session, const char *id, const struct tly_error *error) {
  struct tly_archive_job *job = tly_archive_job_new(TLY_JOB_INGEST);
  job->id = tly_strdup(id);
  job->error = *error;
  add_done(session, job);
}

static void submit(struct tly_ingest_session *session, struct tly_archive_job *job) {
  add_job(session, job);
  tly_commit_thread_submit(session->context->commits, job);
}

/* ---- ingest ------------------------------------------------------------------------------------------------------ */

static void decode_and_submit(struct tly_ingest_session *session, struct tly_archive_job *job) {
  if (job->error.status == TLY_OK && tly_job_decoder_decode(session->context->decoder, job, &job->error) == TLY_OK)
    submit(session, job);
  else
    add_done(session, job);
}

static void begin_bulk(struct tly_ingest_session *session, struct tly_archive_job *job, int64_t bytes) {
  if (bytes < 1 || bytes > TLY_BULK_BYTES_MAX) {
    (void)TLY_FAIL(&job->error, TLY_E_TOO_LARGE, "\"bytes\" is %lld; one request may carry 1 to %d", (long long)bytes,
                   TLY_BULK_BYTES_MAX);
    session->state = TLY_SESSION_CLOSING; /* where the next request begins is not known */
    add_done(session, job);
    return;
  }
  session->bulk = job;
  session->bulk_wanted = (size_t)bytes;
  tly_framer_expect_bulk(&session->framer, (size_t)bytes);
}

static void take_ingest(struct tly_ingest_session *session, struct tly_request *request, struct tly_buffer *events) {
  struct tly_archive_job *job = tly_job_decoder_job(session->context->decoder);
  int64_t bytes = 0;
  job->id = request->id;
  request->id = NULL;
  bool has_bytes = json_object_get(request->params, "bytes") != NULL;
  enum tly_status status = tly_param_integer(request->params, "bytes", &bytes, &job->error);
  if (status == TLY_OK)
    status = tly_job_decoder_set_parameters(session->context->decoder, request->params, job, &job->error);
  if (has_bytes) {
    begin_bulk(session, job, bytes); /* a wrong request's bytes come all the same, and are skipped */
    return;
  }
  if (status == TLY_OK && json_object_get(request->params, "events") == NULL)
    (void)TLY_FAIL(&job->error, TLY_E_INVALID_PARAMETER, "ingest needs \"bytes\" or \"events\"");
  else if (status == TLY_OK && events == NULL)
    (void)TLY_FAIL(&job->error, TLY_E_INVALID_PARAMETER, "\"events\" must be an array of events");
  else if (status == TLY_OK)
    tly_buffer_append(&job->payload, events->data, events->size);
  if (job->format == TLY_FORMAT_CSV && job->error.status == TLY_OK)
    job->format = TLY_FORMAT_JSON; /* what stands in a request line is JSON */
  decode_and_submit(session, job);
}

static void take_bulk(struct tly_ingest_session *session, const char *data, size_t size) {
  struct tly_archive_job *job = session->bulk;
  session->bulk = NULL;
  end_bulk(session);
  tly_framer_keep_bulk(&session->framer, data, size, &job->payload);
  decode_and_submit(session, job);
}

/* ---- other methods ----------------------------------------------------------------------------------------------- */

static enum tly_status set_views(const struct tly_project *project, const json_t *params, struct tly_archive_job *job,
                                 struct tly_error *error) {
  const json_t *views = json_object_get(params, "views");
  job->views = tly_calloc(TLY_VIEWS_MAX + json_array_size(views), sizeof *job->views);
  if (views == NULL) { /* for all of them */
    for (uint32_t v = 0; v < project->view_count; v++)
      job->views[job->view_count++] = project->views[v].name;
    return TLY_OK;
  }
  if (!json_is_array(views))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"views\" must be an array of names");
  for (size_t i = 0; i < json_array_size(views); i++) {
    const char *name = json_string_value(json_array_get(views, i));
    const struct tly_view *view = name == NULL ? NULL : tly_project_view(project, name);
    if (view == NULL)
      return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "view \"%s\" does not exist", name == NULL ? "" : name);
    job->views[job->view_count++] = view->name;
  }
  return TLY_OK;
}

static void take_command(struct tly_ingest_session *session, struct tly_request *request) {
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_job_kind kind;
  switch (request->method) {
  case TLY_METHOD_CUT: kind = TLY_JOB_CUT; break;
  case TLY_METHOD_SEAL: kind = TLY_JOB_SEAL; break;
  case TLY_METHOD_STATUS: kind = TLY_JOB_STATUS; break;
  default:
    (void)TLY_FAIL(&error, TLY_E_PROTOCOL, "the archiver answers ingest, import, cut, seal and status");
    add_failure(session, request->id, &error);
    return;
  }
  struct tly_archive_job *job = tly_archive_job_new(kind);
  job->id = request->id;
  request->id = NULL;
  if (kind == TLY_JOB_CUT && set_views(session->context->project, request->params, job, &job->error) != TLY_OK)
    add_done(session, job);
  else
    submit(session, job);
}

static void take_import(struct tly_ingest_session *session, struct tly_request *request) {
  struct tly_archive_job *job = tly_archive_job_new(TLY_JOB_IMPORT);
  job->id = request->id;
  request->id = NULL;
  if (tly_job_decoder_set_import_question(session->context->decoder, request->params, job, &job->error) != TLY_OK)
    add_done(session, job);
  else
    submit(session, job);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

static void leave(struct tly_ingest_session *session, const char *line, size_t size) {
  session->state = TLY_SESSION_LEAVING;
  tly_buffer_append(&session->leaving_with, line, size);
  tly_buffer_append_byte(&session->leaving_with, '\n');
}

static void take_line(struct tly_ingest_session *session, const char *line, size_t size) {
  struct tly_buffer events = {0}, stripped = {0};
  struct tly_request request;
  struct tly_error error = TLY_ERROR_NONE;
  int code;
  if (size == 0)
    return;
  bool has_events = memmem(line, size, "\"events\"", 8) != NULL && tly_events_extract(line, size, &events, &stripped);
  enum tly_status status = has_events
                               ? tly_request_parse((const char *)stripped.data, stripped.size, &request, &code, &error)
                               : tly_request_parse(line, size, &request, &code, &error);
  if (status == TLY_OK && request.method == TLY_METHOD_INGEST)
    take_ingest(session, &request, has_events ? &events : NULL);
  else if (status == TLY_OK && request.method == TLY_METHOD_IMPORT)
    take_import(session, &request);
  else if (session->is_handed)
    leave(session, line, size); /* whatever it is: the serving layer answers it */
  else if (status != TLY_OK)
    add_failure(session, request.id, &error);
  else
    take_command(session, &request);
  tly_request_free(&request);
  tly_buffer_free(&events);
  tly_buffer_free(&stripped);
}

static void take_too_long(struct tly_ingest_session *session) {
  struct tly_error error = TLY_ERROR_NONE;
  (void)TLY_FAIL(&error, TLY_E_TOO_LARGE, "a line may have %d bytes; use bulk ingest for more", TLY_LINE_BYTES_MAX);
  add_failure(session, "null", &error);
}

static bool may_take(struct tly_ingest_session *session) {
  return admit_bulk(session) && session->state == TLY_SESSION_OPEN && session->job_count < TLY_PIPELINE_MAX &&
         session->out.size - session->out_sent < REPLY_BYTES_MAX &&
         !tly_commit_thread_is_full(session->context->commits);
}

static void take_frames(struct tly_ingest_session *session) {
  const char *data;
  size_t size;
  while (may_take(session)) {
    switch (tly_framer_next(&session->framer, &data, &size)) {
    case TLY_FRAME_NONE: return;
    case TLY_FRAME_LINE: take_line(session, data, size); break;
    case TLY_FRAME_BULK: take_bulk(session, data, size); break;
    case TLY_FRAME_TOO_LONG: take_too_long(session); break;
    }
  }
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

void tly_ingest_session_abandon(struct tly_ingest_session *session) {
  session->state = TLY_SESSION_GONE;
  tly_buffer_clear(&session->out);
  session->out_sent = 0;
}

static void write_some(struct tly_ingest_session *session) {
  while (session->out_sent < session->out.size && session->state != TLY_SESSION_GONE) {
    ssize_t sent = send(session->fd, session->out.data + session->out_sent, session->out.size - session->out_sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return;
    if (sent < 0) {
      tly_ingest_session_abandon(session);
      return;
    }
    session->out_sent += (size_t)sent;
    session->progress_us = tly_clock_monotonic_us(session->context->clock);
  }
  tly_buffer_clear(&session->out);
  session->out_sent = 0;
}

void tly_ingest_session_pump(struct tly_ingest_session *session) {
  take_frames(session);
  write_some(session);
}

/* After the end of the input what was sent is still answered. A last line without its end is a line. */
static void take_end(struct tly_ingest_session *session) {
  size_t rest;
  if (session->bulk == NULL && (tly_framer_rest(&session->framer, &rest), rest > 0)) {
    size_t room;
    *tly_framer_space(&session->framer, 1, &room) = '\n';
    tly_framer_added(&session->framer, 1);
    take_frames(session);
  }
  if (session->state == TLY_SESSION_OPEN)
    session->state = TLY_SESSION_CLOSING;
}

void tly_ingest_session_read(struct tly_ingest_session *session) {
  size_t room;
  TLY_ASSERT(may_take(session));
  uint8_t *space = tly_framer_space(&session->framer, READ_BYTES, &room);
  ssize_t got = recv(session->fd, space, room, MSG_DONTWAIT);
  if (got > 0) {
    session->progress_us = tly_clock_monotonic_us(session->context->clock);
    tly_framer_added(&session->framer, (size_t)got);
    tly_ingest_session_pump(session);
  } else if (got == 0) {
    take_end(session);
    write_some(session);
  } else if (errno != EAGAIN && errno != EINTR) {
    tly_ingest_session_abandon(session);
  }
}

void tly_ingest_session_trim(struct tly_ingest_session *session) {
  size_t rest;
  tly_framer_rest(&session->framer, &rest);
  if (rest == 0 && session->bulk == NULL && session->state == TLY_SESSION_OPEN && !session->framer.skipping) {
    tly_framer_free(&session->framer);
    tly_framer_init(&session->framer);
  }
  if (session->out.size == 0)
    tly_buffer_free(&session->out);
}

bool tly_ingest_session_wants_read(struct tly_ingest_session *session) {
  return may_take(session);
}

bool tly_ingest_session_has_stalled(struct tly_ingest_session *session) {
  int64_t now = tly_clock_monotonic_us(session->context->clock);
  if (tly_ingest_session_wants_write(session))
    return now - session->progress_us > STALL_US;
  if (session->bulk_bytes == 0 || !may_take(session)) { /* it owes nothing, or waits for us */
    session->progress_us = now;
    return false;
  }
  return now - session->progress_us > STALL_US;
}

bool tly_ingest_session_wants_write(const struct tly_ingest_session *session) {
  return session->state != TLY_SESSION_GONE && session->out_sent < session->out.size;
}

bool tly_ingest_session_is_settled(const struct tly_ingest_session *session) {
  return session->first_job == NULL && !tly_ingest_session_wants_write(session);
}
