#include "batch_layer/run_queue.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

void tly_run_queue_init(struct tly_run_queue *queue, uint32_t view_count) {
  /* One place more: a job that was taken out can always be put back. */
  *queue = (struct tly_run_queue){.view_count = view_count,
                                  .jobs = tly_calloc(TLY_BATCH_JOBS_MAX + 1, sizeof(struct tly_run_job *))};
}

void tly_run_queue_free(struct tly_run_queue *queue) {
  for (uint32_t i = 0; i < queue->count; i++)
    tly_run_job_free(queue->jobs[i]);
  tly_free(queue->jobs);
  memset(queue, 0, sizeof *queue);
}

void tly_run_job_free(struct tly_run_job *job) {
  if (job == NULL)
    return;
  for (uint32_t i = 0; i < job->waiter_count; i++)
    tly_free(job->waiters[i].id);
  tly_free(job->waiters);
  tly_free(job->views);
  tly_free(job->fired_at_us);
  tly_free(job->schedules);
  tly_free(job);
}

bool tly_run_job_has_views(const struct tly_run_job *job, uint32_t view_count) {
  for (uint32_t v = 0; v < view_count; v++)
    if (job->views[v])
      return true;
  return false;
}

static bool is_called(const struct tly_run_job *job, const char *reason, const char *name) {
  return strcmp(job->reason, reason) == 0 && (job->name == NULL) == (name == NULL) &&
         (name == NULL || strcmp(job->name, name) == 0);
}

struct tly_run_job *tly_run_queue_find(const struct tly_run_queue *queue, const char *reason, const char *name,
                                       bool is_full, const bool *views) {
  for (uint32_t i = 0; i < queue->count; i++)
    if (is_called(queue->jobs[i], reason, name) && queue->jobs[i]->is_full == is_full &&
        memcmp(queue->jobs[i]->views, views, queue->view_count * sizeof *views) == 0)
      return queue->jobs[i];
  return NULL;
}

struct tly_run_job *tly_run_queue_first(const struct tly_run_queue *queue, const char *reason, const char *name) {
  for (uint32_t i = 0; i < queue->count; i++)
    if (is_called(queue->jobs[i], reason, name))
      return queue->jobs[i];
  return NULL;
}

bool tly_run_queue_has_view(const struct tly_run_queue *queue, uint32_t view) {
  for (uint32_t i = 0; i < queue->count; i++)
    if (queue->jobs[i]->views[view])
      return true;
  return false;
}

enum tly_status tly_run_queue_add(struct tly_run_queue *queue, const char *reason, int64_t now_us,
                                  struct tly_run_job **out, struct tly_error *error) {
  *out = NULL;
  if (queue->count >= TLY_BATCH_JOBS_MAX)
    return TLY_FAIL(error, TLY_E_TOO_MANY, "%d runs are waiting for their turn already", TLY_BATCH_JOBS_MAX);
  struct tly_run_job *job = tly_calloc(1, sizeof *job);
  job->number = ++queue->last_number;
  job->reason = reason;
  job->queued_at_us = now_us;
  job->views = tly_calloc(queue->view_count, sizeof *job->views);
  job->fired_at_us = tly_calloc(queue->view_count, sizeof *job->fired_at_us);
  queue->jobs[queue->count++] = job;
  *out = job;
  return TLY_OK;
}

static struct tly_run_job *take_at(struct tly_run_queue *queue, uint32_t place) {
  struct tly_run_job *job = queue->jobs[place];
  queue->count--;
  memmove(&queue->jobs[place], &queue->jobs[place + 1], (queue->count - place) * sizeof(struct tly_run_job *));
  return job;
}

struct tly_run_job *tly_run_queue_take(struct tly_run_queue *queue, int64_t monotonic_us) {
  for (uint32_t i = 0; i < queue->count; i++)
    if (queue->jobs[i]->not_before_us <= monotonic_us)
      return take_at(queue, i);
  return NULL;
}

struct tly_run_job *tly_run_queue_remove(struct tly_run_queue *queue, uint64_t number) {
  for (uint32_t i = 0; i < queue->count; i++)
    if (queue->jobs[i]->number == number)
      return take_at(queue, i);
  return NULL;
}

void tly_run_queue_put_back(struct tly_run_queue *queue, struct tly_run_job *job) {
  TLY_ASSERT(queue->count <= TLY_BATCH_JOBS_MAX);
  memmove(&queue->jobs[1], &queue->jobs[0], queue->count * sizeof(struct tly_run_job *));
  queue->jobs[0] = job;
  queue->count++;
}

void tly_run_job_wait(struct tly_run_job *job, struct tly_run_waiter waiter) {
  waiter.id = tly_strdup(waiter.id);
  job->waiters = tly_realloc_array(job->waiters, job->waiter_count + 1, sizeof *job->waiters);
  job->waiters[job->waiter_count++] = waiter;
}
