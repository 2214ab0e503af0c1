/* batch_layer/job_decoder.h -- the parameters and bytes of an ingest request as decoded batches in a job.
 *
 * Path of an event: bulk bytes or "events" -> [job decoder] -> event batches in a job -> commit thread.
 * Thread: the archiver's loop. */
#ifndef TLY_BATCH_JOB_DECODER_H
#define TLY_BATCH_JOB_DECODER_H

#include <jansson.h>

#include "batch_layer/archive_job.h"
#include "common/sql/project.h"

struct tly_job_decoder;

struct tly_job_decoder *tly_job_decoder_new(const struct tly_project *project);
void tly_job_decoder_free(struct tly_job_decoder *decoder);

/* A job for an ingest request, from the ones kept for reuse if there is one. */
struct tly_archive_job *tly_job_decoder_job(struct tly_job_decoder *decoder);
/* Give a done job back. */
void tly_job_decoder_recycle(struct tly_job_decoder *decoder, struct tly_archive_job *job);
/* Nothing was ingested for a while: free what is kept. */
void tly_job_decoder_trim(struct tly_job_decoder *decoder);

/* stream, name and content of a request that asks where an import stands. */
TLY_CHECK enum tly_status tly_job_decoder_set_import_question(struct tly_job_decoder *decoder, const json_t *params,
                                                              struct tly_archive_job *job, struct tly_error *error);
/* stream, format, producer or import, and sequence of a request's parameters. */
TLY_CHECK enum tly_status tly_job_decoder_set_parameters(struct tly_job_decoder *decoder, const json_t *params,
                                                         struct tly_archive_job *job, struct tly_error *error);
/* Decode job->payload; sets batches, event_count, bytes and the result to say. */
TLY_CHECK enum tly_status tly_job_decoder_decode(struct tly_job_decoder *decoder, struct tly_archive_job *job,
                                                 struct tly_error *error);

/* The member params.events of a request line, an array, as spelled; its elements go one a line to `events`, and
 * `stripped` becomes the line with an empty array in its place. So events reach the decoder as they came: a JSON
 * library would read their numbers as doubles. False when there is no such array (or it is no array of values with
 * commas between). */
bool tly_events_extract(const char *line, size_t size, struct tly_buffer *events, struct tly_buffer *stripped);

#endif
