/* batch_layer/run_queue.h -- runs that wait for their turn, and who waits for each.
 *
 * Path of a request: batch.sock -> [run_queue] -> scheduler -> run -> reply.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_QUEUE_H
#define TLY_BATCH_RUN_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/store/batch_reader.h"

/* Why there is a run: batch.db has these words. */
#define TLY_REASON_SCHEDULE   "schedule"
#define TLY_REASON_MANUAL     "manual"
#define TLY_REASON_DEFINITION "definition"

/* A client that is told when the run is published. */
struct tly_run_waiter {
  uint64_t client; /* of batch_requests */
  char *id;        /* of its request, JSON text */
  bool wants_progress;
  bool wants_drift; /* the keys that differ in the answer, not their number alone */
};

/* A run that has not begun, or is under way. */
struct tly_run_job {
  uint64_t number;      /* since the start of the process; never used again */
  const char *reason;   /* TLY_REASON_... */
  const char *name;     /* of the project's job whose views these are, borrowed; NULL: of none */
  bool is_full;         /* everything is folded from the archive */
  bool *views;          /* one a view of the project */
  int64_t *fired_at_us; /* one a view: the scheduled minute, or 0 */
  int64_t queued_at_us; /* by the clock */
  struct tly_run_waiter *waiters;
  uint32_t waiter_count;
  int64_t not_before_us;              /* monotonic: after a failure to begin, it is tried again then */
  uint32_t refusals;                  /* how often it could not begin, ... */
  struct tly_error why;               /* ... and why, the last time */
  uint32_t attempt;                   /* of its schedules, from 1, once it begins; else 0 */
  struct tly_schedule_row *schedules; /* to be remembered when it has begun (run_schedule) */
  uint32_t schedule_count;
};

struct tly_run_queue {
  uint32_t view_count;
  struct tly_run_job **jobs; /* in order of arrival */
  uint32_t count;
  uint64_t last_number;
};

void tly_run_queue_init(struct tly_run_queue *queue, uint32_t view_count);
void tly_run_queue_free(struct tly_run_queue *queue);
void tly_run_job_free(struct tly_run_job *job);

bool tly_run_job_has_views(const struct tly_run_job *job, uint32_t view_count);

/* The waiting job with this reason and name, full or not, and exactly these views, or NULL. */
struct tly_run_job *tly_run_queue_find(const struct tly_run_queue *queue, const char *reason, const char *name,
                                       bool is_full, const bool *views);
/* The first waiting job with this reason and name, or NULL. */
struct tly_run_job *tly_run_queue_first(const struct tly_run_queue *queue, const char *reason, const char *name);
/* Whether any waiting job has the view. */
bool tly_run_queue_has_view(const struct tly_run_queue *queue, uint32_t view);
/* A new job at the end, for no views yet. TLY_E_TOO_MANY when TLY_BATCH_JOBS_MAX wait. */
TLY_CHECK enum tly_status tly_run_queue_add(struct tly_run_queue *queue, const char *reason, int64_t now_us,
                                            struct tly_run_job **out, struct tly_error *error);
/* Take the first job whose time has come out of the queue, or NULL. The caller frees it or puts it back. */
struct tly_run_job *tly_run_queue_take(struct tly_run_queue *queue, int64_t monotonic_us);
/* Take the job with this number out, or NULL when none of it waits. The caller owns it. */
struct tly_run_job *tly_run_queue_remove(struct tly_run_queue *queue, uint64_t number);
/* Back to the front of the queue. */
void tly_run_queue_put_back(struct tly_run_queue *queue, struct tly_run_job *job);
/* The waiter's id is copied. */
void tly_run_job_wait(struct tly_run_job *job, struct tly_run_waiter waiter);

#endif
