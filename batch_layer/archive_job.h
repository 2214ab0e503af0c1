/* batch_layer/archive_job.h -- one request on its way through the archiver: decoded by the loop, done by the writing
 * thread.
 *
 * Path of an event: ingest session -> [job] -> commit thread -> [job] -> ingest session, which writes the reply.
 * Thread: belongs to whoever holds it; passing it on passes it whole. */
#ifndef TLY_BATCH_ARCHIVE_JOB_H
#define TLY_BATCH_ARCHIVE_JOB_H

#include "common/event/event_batch.h"

enum tly_job_kind { TLY_JOB_INGEST, TLY_JOB_CUT, TLY_JOB_SEAL, TLY_JOB_STATUS, TLY_JOB_IMPORT };

struct tly_ingest_session;

struct tly_archive_job {
  struct tly_archive_job *next; /* in the queue that holds it */
  enum tly_job_kind kind;
  struct tly_ingest_session *session; /* who waits for it; untouched by the writing thread */
  struct tly_archive_job *next_of_session;
  bool is_done;
  char *id; /* JSON text */

  /* TLY_JOB_INGEST */
  const struct tly_stream *stream;
  enum tly_format format;
  struct tly_buffer payload; /* what the batches point into */
  struct tly_buffer header;  /* CSV */
  struct tly_event_batch *batches;
  uint32_t batch_count, batch_capacity; /* batches up to capacity are initialised, for reuse */
  uint64_t event_count;
  uint64_t rejected_count;
  char *producer; /* or NULL */
  int64_t sequence;

  /* TLY_JOB_INGEST of an import, and TLY_JOB_IMPORT, which has a stream and no place; else NULL */
  char *import_name, *import_content, *import_place;

  /* TLY_JOB_CUT: views of the project */
  const char **views;
  uint32_t view_count;

  size_t bytes; /* what it holds, for the queue's bound */

  /* The outcome. For TLY_JOB_INGEST `result` is what to say if all goes well, before it does. */
  struct tly_buffer result; /* JSON */
  struct tly_error error;   /* error.status != TLY_OK: say this instead */
};

struct tly_archive_job *tly_archive_job_new(enum tly_job_kind kind);
void tly_archive_job_free(struct tly_archive_job *job);
/* Empty for another use as TLY_JOB_INGEST; buffers and batches keep their memory. */
void tly_archive_job_reset(struct tly_archive_job *job);
/* The next batch to decode into, for `job->stream`. */
struct tly_event_batch *tly_archive_job_add_batch(struct tly_archive_job *job);

#endif
