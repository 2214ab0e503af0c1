/* batch_layer/ingest_session.h -- one connection of the archiver: request lines and bulk bytes in, replies out, in
 * order.
 *
 * Path of an event: socket -> [ingest session: frame, decode] -> job -> commit thread -> [reply] -> socket.
 * Thread: the archiver's loop. */
#ifndef TLY_BATCH_INGEST_SESSION_H
#define TLY_BATCH_INGEST_SESSION_H

#include "batch_layer/commit_thread.h"
#include "batch_layer/job_decoder.h"
#include "common/wire/framing.h"

/* What all sessions share. */
struct tly_ingest_context {
  const struct tly_project *project;
  tly_commit_thread *commits;
  struct tly_job_decoder *decoder;
  const struct tly_clock *clock;
  size_t bulk_bytes; /* of bulks that are being read, in all sessions */
  bool bulk_ended;   /* one of them is no longer: those that wait for room may be looked at */
};

/* Where a session stands; the archiver's loop acts on it after each call. */
enum tly_session_state {
  TLY_SESSION_OPEN,
  TLY_SESSION_LEAVING, /* a request of another method came: its replies written, the connection is to be handed back */
  TLY_SESSION_CLOSING, /* nothing more is read; closes when its replies are written */
  TLY_SESSION_GONE     /* the client is not there any more; freed when its last job is done */
};

struct tly_ingest_session {
  void *holder;                            /* the loop's record of it */
  struct tly_ingest_session *next_touched; /* the loop's list of sessions to look after ... */
  bool is_touched;                         /* ... and whether it is in it */
  struct tly_ingest_context *context;
  int fd;
  bool is_handed;   /* by the serving layer: only ingest is answered here */
  uint32_t channel; /* which hand-off channel it came from; 0: none */
  enum tly_session_state state;
  struct tly_framer framer;
  struct tly_buffer out;
  size_t out_sent;
  struct tly_archive_job *first_job, **last_job; /* in request order, done or not */
  uint32_t job_count;
  struct tly_archive_job *bulk;   /* the request whose bytes are being read */
  size_t bulk_bytes;              /* how many, once there was room for them; 0: they are not read yet */
  size_t bulk_wanted;             /* how many were announced */
  int64_t progress_us;            /* when the client last sent or took something */
  struct tly_buffer leaving_with; /* the line that ended it, to be handed back with the rest */
  uint32_t events_watched;        /* what the loop has asked epoll for */
};

/* Takes `fd` over. `rest` are bytes that were read from it already. */
struct tly_ingest_session *tly_ingest_session_new(struct tly_ingest_context *context, int fd, bool is_handed,
                                                  const void *rest, size_t rest_size);
/* No job of it may be under way. */
void tly_ingest_session_free(struct tly_ingest_session *session);

/* Read what the socket has, at most a moderate amount, and work on it. */
void tly_ingest_session_read(struct tly_ingest_session *session);
/* Work on what was read and could not be taken before; and write what can be written. */
void tly_ingest_session_pump(struct tly_ingest_session *session);
/* A job of this session is done: keep it for its turn. */
void tly_ingest_session_job_done(struct tly_ingest_session *session, struct tly_archive_job *job);
/* The client is not there any more, or is treated so. */
void tly_ingest_session_abandon(struct tly_ingest_session *session);
/* The client has left a bulk half sent, or replies unread, for too long. */
bool tly_ingest_session_has_stalled(struct tly_ingest_session *session);
/* Nothing was ingested for a while: give buffers back that hold nothing. */
void tly_ingest_session_trim(struct tly_ingest_session *session);
/* Whether the session wants to read, and has something to write. */
bool tly_ingest_session_wants_read(struct tly_ingest_session *session);
bool tly_ingest_session_wants_write(const struct tly_ingest_session *session);
/* All requests are answered and all replies written. */
bool tly_ingest_session_is_settled(const struct tly_ingest_session *session);

#endif
