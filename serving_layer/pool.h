/* serving_layer/pool.h -- the threads that answer what the loop does not: queries, runs, status, views.
 *
 * Path of a request: session -> [pool] -> executor or report -> [pool] -> session. A job is an owned message: the loop
 * makes it, one worker works on it, the loop frees it. Between them stands one mutex. Thread: submit, cancel and the
 * callback belong to the loop's thread. */
#ifndef TLY_SERVING_POOL_H
#define TLY_SERVING_POOL_H

#include <pthread.h>
#include <uv.h>

#include "common/base/process.h"
#include "common/wire/request.h"
#include "serving_layer/plan.h"

struct tly_job {
  struct tly_request request; /* the worker's while it works */
  struct tly_control control;
  void *session; /* the loop's; NULL: the client has gone */

  /* Under the pool's mutex. A line is one part of a large answer: the worker makes the next when it was drained. */
  struct tly_buffer line;
  bool has_line, is_drained, is_done;
  pthread_cond_t drained;
  struct tly_buffer reply; /* the last line; the loop's once is_done */
  struct tly_job *next, *next_told;
  bool is_told;
};

typedef struct tly_pool tly_pool;

/* Called on the loop for a job that has a line (taken into *line) or is done (its reply is job->reply; the callee frees
 * the job with tly_job_free). */
typedef void (*tly_pool_callback)(void *context, struct tly_job *job, struct tly_buffer *line, bool is_done);

/* `programs` and `settings` outlive the pool. The caller stops it. */
tly_pool *tly_pool_start(uv_loop_t *loop, const struct tly_settings *settings, const struct tly_programs *programs,
                         tly_pool_callback callback, void *context);
/* Cancels what is under way, waits for the threads, frees the pool. The loop must still run its close callbacks. */
void tly_pool_stop(tly_pool *pool);

/* Takes over *request. `timeout_ms` is what is left of it. */
struct tly_job *tly_job_new(struct tly_request *request, int64_t timeout_ms, int64_t memory_max, void *session);
void tly_job_free(struct tly_job *job);
void tly_pool_submit(tly_pool *pool, struct tly_job *job);
/* The part was written to the client: go on. */
void tly_pool_drained(tly_pool *pool, struct tly_job *job);
/* Nobody waits for the answer any more; the callback still comes. */
void tly_pool_cancel(tly_pool *pool, struct tly_job *job);

#endif
