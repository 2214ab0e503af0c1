/* One loop thread (epoll) for all sockets: it frames, decodes and answers. One commit thread owns the archive. What is
 * bounded: bytes on their way (ingest_session.c), requests a connection, connections. A connection that is not allowed
 * to go on is simply not watched for input; whoever is not read from waits in its own send.
 *
 * Connections of a hand-off channel that has closed stay: they may go on ingesting. When one of them sends another
 * method there is nobody to hand it to, and it is closed; the client connects again, to the new serving layer. */
#include "batch_layer/archiver.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch_layer/archive_writer.h"
#include "batch_layer/commit_thread.h"
#include "batch_layer/ingest_session.h"
#include "batch_layer/seal.h"
#include "common/base/assert.h"
#include "common/base/doorbell.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "common/wire/request.h"
#include "common/wire/socket.h"

enum {
  EVENTS_AT_ONCE = 64,
  IDLE_MS = 2000,  /* nothing has happened for so long: memory kept for reuse is given back */
  DRAIN_MS = 2000, /* how long clients have to read their last replies */
  SWEEP_US = 5000000,
  CHANNELS_MAX = 16
};

enum source_kind { SOURCE_STOP, SOURCE_DONE, SOURCE_CLIENTS, SOURCE_HANDOFFS, SOURCE_CHANNEL, SOURCE_SESSION };

/* What an epoll event is about. A session's begins with the session itself. */
struct source {
  enum source_kind kind;
  int fd;
  uint32_t channel; /* SOURCE_CHANNEL: its number, from 1; never reused */
  struct tly_ingest_session *session;
};

struct session_source {
  struct source source;
  struct session_source *next, **link;
};

struct archiver {
  const struct tly_settings *settings;
  const struct tly_project *project;
  struct tly_ingest_context context;
  int epoll;
  struct source stop, done, clients, handoffs;
  struct source channels[CHANNELS_MAX]; /* fd -1: free */
  uint32_t channel_count;               /* ever opened */
  struct session_source *sessions;
  uint32_t session_count;
  int64_t swept_us; /* when stalled clients were last looked for */
  bool stopping, is_trimmed;
};

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static enum tly_status watch(struct archiver *archiver, struct source *source, uint32_t events,
                             struct tly_error *error) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  if (epoll_ctl(archiver->epoll, EPOLL_CTL_ADD, source->fd, &event) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not watch a socket");
  return TLY_OK;
}

static void close_session(struct archiver *archiver, struct session_source *held) {
  *held->link = held->next;
  if (held->next != NULL)
    held->next->link = held->link;
  archiver->session_count--;
  if (held->source.fd >= 0)
    epoll_ctl(archiver->epoll, EPOLL_CTL_DEL, held->source.fd, NULL);
  tly_ingest_session_free(held->source.session);
  tly_free(held);
}

static struct source *channel_numbered(struct archiver *archiver, uint32_t number) {
  for (uint32_t i = 0; i < CHANNELS_MAX; i++)
    if (archiver->channels[i].fd >= 0 && archiver->channels[i].channel == number)
      return &archiver->channels[i];
  return NULL;
}

/* The line that ended the session and all bytes behind it go back with the connection. */
static void hand_back(struct archiver *archiver, struct session_source *held) {
  struct tly_ingest_session *session = held->source.session;
  struct source *channel = channel_numbered(archiver, session->channel);
  struct tly_error error = TLY_ERROR_NONE;
  size_t rest_size;
  const uint8_t *rest = tly_framer_rest(&session->framer, &rest_size);
  tly_buffer_append(&session->leaving_with, rest, rest_size);
  epoll_ctl(archiver->epoll, EPOLL_CTL_DEL, held->source.fd, NULL);
  held->source.fd = -1;
  if (channel != NULL && tly_handoff_send(channel->fd, session->fd, session->leaving_with.data,
                                          session->leaving_with.size, &error) != TLY_OK)
    tly_log(TLY_LOG_WARN, "a connection could not be handed back", "reason=\"%s\"", error.message);
  close_session(archiver, held);
}

/* What is to be watched may have changed; a session that has ended is closed. Every path that touched a session ends
 * here. */
static void settle(struct archiver *archiver, struct session_source *held) {
  struct tly_ingest_session *session = held->source.session;
  if (tly_ingest_session_is_settled(session) && session->state != TLY_SESSION_OPEN) {
    if (session->state == TLY_SESSION_LEAVING)
      hand_back(archiver, held);
    else
      close_session(archiver, held);
    return;
  }
  uint32_t events = 0;
  if (!archiver->stopping && tly_ingest_session_wants_read(session))
    events |= EPOLLIN;
  if (tly_ingest_session_wants_write(session))
    events |= EPOLLOUT;
  if (session->state == TLY_SESSION_GONE && held->source.fd >= 0) {
    epoll_ctl(archiver->epoll, EPOLL_CTL_DEL, held->source.fd, NULL);
    held->source.fd = -1;
  }
  if (held->source.fd < 0 || events == session->events_watched)
    return;
  struct epoll_event event = {.events = events, .data.ptr = &held->source};
  epoll_ctl(archiver->epoll, EPOLL_CTL_MOD, held->source.fd, &event);
  session->events_watched = events;
}

static void open_session(struct archiver *archiver, int fd, uint32_t channel, const void *rest, size_t rest_size) {
  struct tly_error error = TLY_ERROR_NONE;
  struct session_source *held = tly_calloc(1, sizeof *held);
  struct tly_ingest_session *session = tly_ingest_session_new(&archiver->context, fd, channel != 0, rest, rest_size);
  session->channel = channel;
  session->holder = held;
  held->source = (struct source){.kind = SOURCE_SESSION, .fd = fd, .session = session};
  held->next = archiver->sessions;
  held->link = &archiver->sessions;
  if (held->next != NULL)
    held->next->link = &held->next;
  archiver->sessions = held;
  archiver->session_count++;
  if (watch(archiver, &held->source, EPOLLIN, &error) != TLY_OK) {
    tly_log(TLY_LOG_WARN, "a connection could not be watched", "reason=\"%s\"", error.message);
    held->source.fd = -1;
    close_session(archiver, held);
    return;
  }
  session->events_watched = EPOLLIN;
  tly_ingest_session_pump(session); /* what came along with it */
  settle(archiver, held);
}

static void on_session(struct archiver *archiver, struct source *source, uint32_t events) {
  struct tly_ingest_session *session = source->session;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !archiver->stopping && tly_ingest_session_wants_read(session))
    tly_ingest_session_read(session);
  else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
    tly_ingest_session_abandon(session); /* nobody is there to read the replies */
  else
    tly_ingest_session_pump(session);
  settle(archiver, session->holder);
}

/* ---- what the commit thread has done ----------------------------------------------------------------------------- */

static void touch(struct tly_ingest_session **touched, struct tly_ingest_session *session) {
  if (session->is_touched)
    return;
  session->is_touched = true;
  session->next_touched = *touched;
  *touched = session;
}

/* Only sessions that something was done for are looked at; all of them when the queue was too full to read from any. */
static void on_done(struct archiver *archiver) {
  struct tly_ingest_session *touched = NULL, *next;
  bool was_full = tly_commit_thread_is_full(archiver->context.commits);
  struct tly_archive_job *next_job;
  for (struct tly_archive_job *job = tly_commit_thread_take_done(archiver->context.commits); job != NULL;
       job = next_job) {
    next_job = job->next;
    touch(&touched, job->session);
    tly_ingest_session_job_done(job->session, job);
  }
  for (struct session_source *held = archiver->sessions; held != NULL && was_full; held = held->next)
    touch(&touched, held->source.session);
  for (struct tly_ingest_session *session = touched; session != NULL; session = next) {
    next = session->next_touched;
    session->is_touched = false;
    tly_ingest_session_pump(session);
    settle(archiver, session->holder);
  }
}

/* ---- new connections --------------------------------------------------------------------------------------------- */

/* A line to say why, if it fits the socket; then the connection ends. */
static void refuse(int fd) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer reply = {0};
  (void)TLY_FAIL(&error, TLY_E_TOO_MANY, "too many connections; at most %d can ingest at once", TLY_CONNECTIONS_MAX);
  tly_reply_error(&reply, "null", TLY_RPC_SERVER_ERROR, &error);
  ssize_t sent = send(fd, reply.data, reply.size, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)sent;
  tly_buffer_free(&reply);
  close(fd);
}

static void on_client(struct archiver *archiver) {
  int fd = accept4(archiver->clients.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  if (archiver->session_count >= TLY_CONNECTIONS_MAX) {
    refuse(fd);
    return;
  }
  open_session(archiver, fd, 0, NULL, 0);
}

static void on_new_channel(struct archiver *archiver) {
  struct tly_error error = TLY_ERROR_NONE;
  int fd = accept4(archiver->handoffs.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  for (uint32_t i = 0; i < CHANNELS_MAX; i++) {
    struct source *channel = &archiver->channels[i];
    if (channel->fd >= 0)
      continue;
    *channel = (struct source){.kind = SOURCE_CHANNEL, .fd = fd, .channel = ++archiver->channel_count};
    if (watch(archiver, channel, EPOLLIN, &error) == TLY_OK)
      return;
    channel->fd = -1;
    break;
  }
  close(fd);
}

static void on_channel(struct archiver *archiver, struct source *channel) {
  struct tly_buffer rest = {0};
  struct tly_error error = TLY_ERROR_NONE;
  int fd;
  if (tly_handoff_receive(channel->fd, &fd, &rest, &error) == TLY_OK) {
    if (archiver->session_count < TLY_CONNECTIONS_MAX)
      open_session(archiver, fd, channel->channel, rest.data, rest.size);
    else
      refuse(fd);
  } else {
    epoll_ctl(archiver->epoll, EPOLL_CTL_DEL, channel->fd, NULL);
    close(channel->fd);
    channel->fd = -1;
  }
  tly_buffer_free(&rest);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void dispatch(struct archiver *archiver, const struct epoll_event *event) {
  struct source *source = event->data.ptr;
  switch (source->kind) {
  case SOURCE_STOP: archiver->stopping = true; break;
  case SOURCE_DONE: on_done(archiver); break;
  case SOURCE_CLIENTS: on_client(archiver); break;
  case SOURCE_HANDOFFS: on_new_channel(archiver); break;
  case SOURCE_CHANNEL: on_channel(archiver, source); break;
  case SOURCE_SESSION: on_session(archiver, source, event->events); break;
  }
}

/* Idle: what was kept for the next bulk goes back to the system, once. */
static void trim(struct archiver *archiver) {
  if (archiver->is_trimmed)
    return;
  tly_job_decoder_trim(archiver->context.decoder);
  for (struct session_source *held = archiver->sessions; held != NULL; held = held->next)
    tly_ingest_session_trim(held->source.session);
  malloc_trim(0);
}

/* Close clients that have stalled, now and then; and when a bulk has made room, look who waits for it. */
static void sweep(struct archiver *archiver) {
  int64_t now = tly_clock_monotonic_us(&tly_clock_real);
  bool look_for_stalled = now - archiver->swept_us > SWEEP_US;
  struct session_source *next;
  if (!look_for_stalled && !archiver->context.bulk_ended)
    return;
  archiver->context.bulk_ended = false;
  archiver->swept_us = look_for_stalled ? now : archiver->swept_us;
  for (struct session_source *held = archiver->sessions; held != NULL; held = next) {
    next = held->next;
    if (look_for_stalled && tly_ingest_session_has_stalled(held->source.session))
      tly_ingest_session_abandon(held->source.session);
    settle(archiver, held);
  }
}

/* A session is only freed by the event that is its own or by SOURCE_DONE: such an event ends the round, so that no
 * later event of it can name what is gone. */
static void run(struct archiver *archiver) {
  struct epoll_event events[EVENTS_AT_ONCE];
  while (!archiver->stopping && !tly_commit_thread_is_broken(archiver->context.commits)) {
    int count = epoll_wait(archiver->epoll, events, EVENTS_AT_ONCE, IDLE_MS);
    if (count == 0)
      trim(archiver);
    archiver->is_trimmed = count == 0;
    for (int i = 0; i < count; i++) {
      enum source_kind kind = ((struct source *)events[i].data.ptr)->kind;
      dispatch(archiver, &events[i]);
      if (kind == SOURCE_DONE)
        break;
    }
    sweep(archiver);
  }
  archiver->stopping = true;
}

/* Write the replies of what was committed last, as far as clients read them. */
static void drain(struct archiver *archiver) {
  struct epoll_event events[EVENTS_AT_ONCE];
  int64_t deadline = tly_clock_monotonic_us(&tly_clock_real) + DRAIN_MS * INT64_C(1000);
  on_done(archiver);
  for (;;) {
    bool unwritten = false;
    for (struct session_source *held = archiver->sessions; held != NULL; held = held->next)
      unwritten = unwritten || tly_ingest_session_wants_write(held->source.session);
    int64_t left = deadline - tly_clock_monotonic_us(&tly_clock_real);
    if (!unwritten || left <= 0)
      break;
    int count = epoll_wait(archiver->epoll, events, EVENTS_AT_ONCE, (int)(left / 1000) + 1);
    for (int i = 0; i < count; i++)
      if (((struct source *)events[i].data.ptr)->kind == SOURCE_SESSION)
        on_session(archiver, events[i].data.ptr, events[i].events);
  }
}

/* ---- start and stop ---------------------------------------------------------------------------------------------- */

/* Files that a failed sync has spoilt are copied into sound ones before any event is taken. */
static enum tly_status copy_spoilt(const struct tly_settings *settings, tly_archive_writer *writer,
                                   struct tly_error *error) {
  struct tly_seal_job job = {.directory = settings->directory};
  bool spoilt, has_events;
  while (tly_archive_writer_next_to_seal(writer, &job.stream, &job.number, &job.sealed_number, &spoilt) && spoilt) {
    tly_log(TLY_LOG_WARN, "copying a file after a failed sync", "stream=\"%s\" file=%lld.db", job.stream->name,
            (long long)job.number);
    TLY_TRY(tly_seal_run(&job, &has_events, error));
    TLY_TRY(tly_archive_writer_sealed(writer, job.stream, job.number, has_events ? job.sealed_number : 0, error));
  }
  return TLY_OK;
}

static enum tly_status listen_on(struct archiver *archiver, struct source *source, enum source_kind kind,
                                 const char *name, struct tly_error *error) {
  char path[4096];
  source->kind = kind;
  if (snprintf(path, sizeof path, "%s/%s", archiver->settings->directory, name) >= (int)sizeof path)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", archiver->settings->directory);
  TLY_TRY(tly_socket_listen_unix(path, &source->fd, error));
  return watch(archiver, source, EPOLLIN, error);
}

static enum tly_status start(struct archiver *archiver, struct tly_error *error) {
  tly_archive_writer *writer;
  const struct tly_settings *settings = archiver->settings;
  TLY_TRY(tly_file_make_folder(settings->directory, error));
  TLY_TRY(tly_process_lock(settings->directory, "archiver", error));
  TLY_TRY(tly_archive_writer_open(settings->directory, archiver->project, &tly_clock_real, &writer, error));
  enum tly_status status = copy_spoilt(settings, writer, error);
  if (status != TLY_OK) {
    tly_archive_writer_close(writer);
    return status;
  }
  archiver->context.project = archiver->project;
  archiver->context.clock = &tly_clock_real;
  archiver->context.decoder = tly_job_decoder_new(archiver->project);
  TLY_TRY(tly_commit_thread_start(writer, archiver->project, settings, &archiver->context.commits, error));
  archiver->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (archiver->epoll < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make an epoll");
  archiver->stop = (struct source){.kind = SOURCE_STOP, .fd = tly_process_stop_fd()};
  archiver->done = (struct source){.kind = SOURCE_DONE, .fd = tly_commit_thread_fd(archiver->context.commits)};
  TLY_TRY(watch(archiver, &archiver->stop, EPOLLIN, error));
  TLY_TRY(watch(archiver, &archiver->done, EPOLLIN, error));
  TLY_TRY(listen_on(archiver, &archiver->clients, SOURCE_CLIENTS, "archiver.sock", error));
  return listen_on(archiver, &archiver->handoffs, SOURCE_HANDOFFS, "handoff.sock", error);
}

static void stop(struct archiver *archiver) {
  if (archiver->context.commits != NULL) {
    tly_commit_thread_stop(archiver->context.commits);
    drain(archiver);
    while (archiver->sessions != NULL)
      close_session(archiver, archiver->sessions);
    tly_commit_thread_free(archiver->context.commits);
  }
  if (archiver->clients.fd >= 0)
    close(archiver->clients.fd);
  if (archiver->handoffs.fd >= 0)
    close(archiver->handoffs.fd);
  for (uint32_t i = 0; i < CHANNELS_MAX; i++)
    if (archiver->channels[i].fd >= 0)
      close(archiver->channels[i].fd);
  if (archiver->epoll >= 0)
    close(archiver->epoll);
  if (archiver->context.decoder != NULL)
    tly_job_decoder_free(archiver->context.decoder);
}

static int serve(const struct tly_settings *settings, const struct tly_project *project) {
  struct archiver archiver = {.settings = settings, .project = project, .epoll = -1};
  struct tly_error error = TLY_ERROR_NONE;
  int result = 0;
  archiver.clients.fd = archiver.handoffs.fd = -1;
  for (uint32_t i = 0; i < CHANNELS_MAX; i++)
    archiver.channels[i].fd = -1;
  if (start(&archiver, &error) == TLY_OK) {
    tly_process_ready();
    tly_log(TLY_LOG_INFO, "ready", "directory=\"%s\"", settings->directory);
    tly_doorbell_ring(settings->directory, "speed");
    run(&archiver);
    result = tly_commit_thread_is_broken(archiver.context.commits) ? 1 : 0;
  } else {
    tly_log(TLY_LOG_ERROR, "could not start", "reason=\"%s\" hint=\"%s\"", error.message, error.hint);
    result = 1;
  }
  stop(&archiver);
  return result;
}

int tly_archiver_main(const struct tly_settings *settings) {
  struct tly_project *project;
  struct tly_error error;
  tly_process_setup("archiver", getenv("TALLY_READY_FD") != NULL); /* the supervisor's child ends with it */
  umask(0027);                                                     /* stores are for the user and the group */
  tly_sqlite_setup();
  if (tly_project_load_or_complain(settings->project, &project, &error) != TLY_OK)
    return 1;
  int result = serve(settings, project);
  tly_project_free(project);
  return result;
}
