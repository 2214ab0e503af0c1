/* serving_layer/work.h -- what a worker thread does with one job.
 *
 * Path of a request: pool -> [work] -> executor, report -> reply.
 * Thread: a worker belongs to its thread. */
#ifndef TLY_SERVING_WORK_H
#define TLY_SERVING_WORK_H

#include "serving_layer/encode.h"
#include "serving_layer/pool.h"

typedef struct tly_worker tly_worker;

tly_worker *tly_worker_new(const struct tly_settings *settings, const struct tly_programs *programs);
void tly_worker_free(tly_worker *worker);
/* Idle for a while: let go of runs, so that they can be deleted, and of statements. */
void tly_worker_rest(tly_worker *worker);
/* Answer `job`: parts by `send`, the last line into job->reply. */
void tly_worker_do(tly_worker *worker, struct tly_job *job,
                   enum tly_status (*send)(void *context, struct tly_buffer *line, struct tly_error *error),
                   void *context);
/* The JSON-RPC code that goes with a status. */
int tly_rpc_code(enum tly_status status);

#endif
