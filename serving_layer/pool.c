/* A job goes: queued -> (line, drained)* -> done. The loop is told of a line or of the end through one list and one
 * uv_async, which may coalesce: the list says what there is.
 *
 * Threads are started when there is work for them: at most ACTIVE_MAX that compute, and beside them those whose client
 * does not read (they stand still with their query open). When even THREADS_MAX of them do not leave one for a queued
 * job, the query that has stood still longest ends.
 *
 * INVARIANTS (check_invariants, under the mutex)
 *   (1) A job is in the queue, with one worker, or done. The loop frees it only when it was told that it is done.
 *   (2) At most one line of a job exists between worker and client: the worker waits until it is drained.
 *   (3) idle_count + blocked_count <= thread_count. */
#include "serving_layer/pool.h"

#include <errno.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "serving_layer/work.h"

enum { ACTIVE_MAX = 8, THREADS_MAX = 24, WORKER_STACK_BYTES = 16 << 20, REST_AFTER_S = 5 };

_Static_assert(ACTIVE_MAX < THREADS_MAX, "clients that do not read leave threads for others");

struct worker {
  struct tly_pool *pool;
  pthread_t thread;
  struct tly_job *job;      /* what it works on, or NULL */
  int64_t blocked_since_us; /* its client has not taken a part since; 0: it computes */
  bool is_evicted;          /* the thread is needed */
};

struct tly_pool {
  const struct tly_settings *settings;
  const struct tly_programs *programs;
  tly_pool_callback callback;
  void *context;
  uv_async_t *wake; /* freed by its close callback */
  pthread_mutex_t mutex;
  pthread_cond_t work;
  struct tly_job *first, *last; /* queue */
  uint32_t queue_count;
  struct tly_job *told; /* jobs with news for the loop, newest first */
  struct worker workers[THREADS_MAX];
  uint32_t thread_count, idle_count, blocked_count;
  bool is_stopping;
};

struct tly_job *tly_job_new(struct tly_request *request, int64_t timeout_ms, int64_t memory_max, void *session) {
  struct tly_job *job = tly_calloc(1, sizeof *job);
  pthread_condattr_t attributes;
  job->request = *request;
  *request = (struct tly_request){0};
  tly_control_init(&job->control, timeout_ms, memory_max);
  job->session = session;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  TLY_ASSERT(pthread_cond_init(&job->drained, &attributes) == 0);
  pthread_condattr_destroy(&attributes);
  return job;
}

void tly_job_free(struct tly_job *job) {
  tly_request_free(&job->request);
  tly_buffer_free(&job->line);
  tly_buffer_free(&job->reply);
  pthread_cond_destroy(&job->drained);
  tly_free(job);
}

/* Under the mutex. */
static void tell(struct tly_pool *pool, struct tly_job *job) {
  if (!job->is_told) {
    job->is_told = true;
    job->next_told = pool->told;
    pool->told = job;
  }
  uv_async_send(pool->wake);
}

static struct timespec monotonic_after_us(int64_t us) {
  int64_t at = tly_clock_monotonic_us(&tly_clock_real) + us;
  return (struct timespec){.tv_sec = at / 1000000, .tv_nsec = (long)(at % 1000000) * 1000};
}

static void check_invariants(const struct tly_pool *pool) {
  TLY_ASSERT(pool->idle_count + pool->blocked_count <= pool->thread_count);
  TLY_ASSERT((pool->first == NULL) == (pool->queue_count == 0));
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void *work(void *argument);

static void start_thread(struct tly_pool *pool) {
  struct worker *worker = &pool->workers[pool->thread_count];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
  worker->pool = pool;
  if (pthread_create(&worker->thread, &attributes, work, worker) == 0)
    pool->thread_count++;
  else
    tly_log(TLY_LOG_ERROR, "cannot start a thread for queries", NULL);
  pthread_attr_destroy(&attributes);
}

static void evict_longest_blocked(struct tly_pool *pool) {
  struct worker *longest = NULL;
  for (uint32_t i = 0; i < pool->thread_count; i++) {
    struct worker *worker = &pool->workers[i];
    if (worker->blocked_since_us > 0 && !worker->is_evicted &&
        (longest == NULL || worker->blocked_since_us < longest->blocked_since_us))
      longest = worker;
  }
  if (longest == NULL)
    return;
  longest->is_evicted = true;
  pthread_cond_signal(&longest->job->drained);
}

/* Under the mutex: see that somebody takes what is queued. */
static void provide(struct tly_pool *pool) {
  check_invariants(pool);
  if (pool->queue_count <= pool->idle_count || pool->is_stopping)
    return;
  if (pool->thread_count - pool->blocked_count - pool->idle_count >= ACTIVE_MAX)
    return; /* one of these will */
  if (pool->thread_count < THREADS_MAX)
    start_thread(pool);
  else
    evict_longest_blocked(pool);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

/* Under the mutex: wait until the client has the part. */
static void wait_drained(struct worker *worker, int64_t begin_us) {
  struct tly_pool *pool = worker->pool;
  struct tly_job *job = worker->job;
  struct timespec until = monotonic_after_us(job->control.timeout_ms * 1000);
  int waited = 0;
  worker->blocked_since_us = begin_us;
  worker->is_evicted = false;
  pool->blocked_count++;
  provide(pool);
  while (!job->is_drained && !worker->is_evicted && !atomic_load(&job->control.is_cancelled) && waited != ETIMEDOUT)
    waited = pthread_cond_timedwait(&job->drained, &pool->mutex, &until);
  pool->blocked_count--;
  worker->blocked_since_us = 0;
}

/* Hand a part to the loop and wait until the client has it. The query's clock stands still meanwhile, but a client that
 * does not read for as long as a query may run, or while others wait for its thread, ends it. */
static enum tly_status send_line(void *context, struct tly_buffer *line, struct tly_error *error) {
  struct worker *worker = context;
  struct tly_job *job = worker->job;
  struct tly_pool *pool = worker->pool;
  int64_t begin_us = tly_clock_monotonic_us(&tly_clock_real);
  TLY_TRY(tly_control_check(&job->control, error));
  pthread_mutex_lock(&pool->mutex);
  TLY_ASSERT(!job->has_line);
  struct tly_buffer empty = job->line;
  job->line = *line;
  *line = empty;
  job->has_line = true;
  job->is_drained = false;
  tell(pool, job);
  wait_drained(worker, begin_us);
  bool is_drained = job->is_drained, is_evicted = worker->is_evicted;
  pthread_mutex_unlock(&pool->mutex);
  int64_t waited_us = tly_clock_monotonic_us(&tly_clock_real) - begin_us;
  job->control.deadline_us += waited_us;
  TLY_TRY(tly_control_check(&job->control, error));
  if (is_drained)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_CANCELLED, "canceling statement: the client did not read the answer for %lld ms%s",
                  (long long)waited_us / 1000, is_evicted ? " while other queries waited" : "");
}

/* Under the mutex: the next job, or NULL when the pool stops. *is_idle: there was none for a while. */
static struct tly_job *next_job(struct tly_pool *pool, bool *is_idle) {
  struct timespec until = monotonic_after_us(REST_AFTER_S * INT64_C(1000000));
  *is_idle = false;
  pool->idle_count++;
  while (pool->first == NULL && !pool->is_stopping && !*is_idle)
    *is_idle = pthread_cond_timedwait(&pool->work, &pool->mutex, &until) == ETIMEDOUT;
  pool->idle_count--;
  struct tly_job *job = pool->first;
  if (job != NULL) {
    pool->first = job->next;
    pool->queue_count--;
    if (pool->first == NULL)
      pool->last = NULL;
    *is_idle = false;
  }
  return job;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  struct tly_pool *pool = worker->pool;
  tly_worker *hands = tly_worker_new(pool->settings, pool->programs);
  pthread_mutex_lock(&pool->mutex);
  for (;;) {
    bool is_idle;
    struct tly_job *job = next_job(pool, &is_idle);
    if (job == NULL && pool->is_stopping)
      break;
    worker->job = job;
    pthread_mutex_unlock(&pool->mutex);
    if (job != NULL)
      tly_worker_do(hands, job, send_line, worker);
    else
      tly_worker_rest(hands);
    pthread_mutex_lock(&pool->mutex);
    worker->job = NULL;
    if (job != NULL) {
      job->is_done = true;
      tell(pool, job);
    }
  }
  pthread_mutex_unlock(&pool->mutex);
  tly_worker_free(hands);
  return NULL;
}

/* ---- the loop's side --------------------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake) {
  struct tly_pool *pool = wake->data;
  pthread_mutex_lock(&pool->mutex);
  struct tly_job *told = pool->told;
  pool->told = NULL;
  pthread_mutex_unlock(&pool->mutex);
  while (told != NULL) {
    struct tly_job *job = told;
    struct tly_buffer line = {0};
    pthread_mutex_lock(&pool->mutex);
    told = job->next_told;
    job->is_told = false;
    if (job->has_line) {
      line = job->line;
      job->line = (struct tly_buffer){0};
      job->has_line = false;
    }
    bool is_done = job->is_done;
    pthread_mutex_unlock(&pool->mutex);
    pool->callback(pool->context, job, &line, is_done);
    tly_buffer_free(&line);
  }
}

static void free_wake(uv_handle_t *handle) {
  tly_free(handle);
}

tly_pool *tly_pool_start(uv_loop_t *loop, const struct tly_settings *settings, const struct tly_programs *programs,
                         tly_pool_callback callback, void *context) {
  tly_pool *pool = tly_calloc(1, sizeof *pool);
  pthread_condattr_t attributes;
  pool->settings = settings;
  pool->programs = programs;
  pool->callback = callback;
  pool->context = context;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&pool->work, &attributes);
  pthread_condattr_destroy(&attributes);
  pool->wake = tly_calloc(1, sizeof *pool->wake);
  pool->wake->data = pool;
  TLY_ASSERT(uv_async_init(loop, pool->wake, on_wake) == 0);
  return pool;
}

void tly_pool_stop(tly_pool *pool) {
  if (pool == NULL)
    return;
  pthread_mutex_lock(&pool->mutex);
  pool->is_stopping = true;
  for (struct tly_job *job = pool->first; job != NULL; job = job->next)
    tly_control_cancel(&job->control);
  for (uint32_t i = 0; i < pool->thread_count; i++)
    if (pool->workers[i].job != NULL) {
      tly_control_cancel(&pool->workers[i].job->control);
      pthread_cond_broadcast(&pool->workers[i].job->drained);
    }
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  for (uint32_t i = 0; i < pool->thread_count; i++)
    pthread_join(pool->workers[i].thread, NULL);
  while (pool->first != NULL) { /* only when no thread could be started */
    struct tly_job *job = pool->first;
    pool->first = job->next;
    job->is_done = true;
    tell(pool, job);
  }
  on_wake(pool->wake); /* every job is done: the callback frees them */
  uv_close((uv_handle_t *)pool->wake, free_wake);
  pthread_cond_destroy(&pool->work);
  pthread_mutex_destroy(&pool->mutex);
  tly_free(pool);
}

void tly_pool_submit(tly_pool *pool, struct tly_job *job) {
  pthread_mutex_lock(&pool->mutex);
  job->next = NULL;
  if (pool->last != NULL)
    pool->last->next = job;
  else
    pool->first = job;
  pool->last = job;
  pool->queue_count++;
  pthread_cond_signal(&pool->work);
  provide(pool);
  pthread_mutex_unlock(&pool->mutex);
}

void tly_pool_drained(tly_pool *pool, struct tly_job *job) {
  pthread_mutex_lock(&pool->mutex);
  job->is_drained = true;
  pthread_cond_signal(&job->drained);
  pthread_mutex_unlock(&pool->mutex);
}

void tly_pool_cancel(tly_pool *pool, struct tly_job *job) {
  pthread_mutex_lock(&pool->mutex);
  tly_control_cancel(&job->control);
  pthread_cond_signal(&job->drained);
  pthread_mutex_unlock(&pool->mutex);
}
