/* batch_layer/run_reply.h -- what those who wait for a run are told: its progress, its result, why there is none.
 *
 * Path of a request: batch.sock -> run_request -> run_queue -> run_stages -> [run_reply] -> batch.sock.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_REPLY_H
#define TLY_BATCH_RUN_REPLY_H

#include "batch_layer/batch_requests.h"
#include "batch_layer/run_queue.h"
#include "batch_layer/run_result.h"

/* A line of progress to everybody of `job` who wants one. */
void tly_run_reply_progress(tly_batch_requests *requests, const struct tly_run_job *job, int64_t run, const char *stage,
                            int64_t done, int64_t all);
/* The run is published, or held with these words (`hold`, else NULL): its result to everybody of `job`. */
void tly_run_reply_result(tly_batch_requests *requests, const struct tly_run_job *job,
                          const struct tly_run_result *result, const char *hold, int64_t duration_ms);
/* There is no run, or it is not published: why, to everybody of `job`. */
void tly_run_reply_failure(tly_batch_requests *requests, const struct tly_run_job *job, const struct tly_error *why);
/* An error as the answer to one request. */
void tly_run_reply_error(tly_batch_requests *requests, uint64_t client, const char *id, int code,
                         const struct tly_error *error);

#endif
