/* batch_layer/run_schedule.h -- what is due: the cron texts of jobs and views against a clock that a test may turn.
 *
 * Path of an event: the clock -> [run_schedule] -> run_queue -> run_stages -> [how it ended].
 *
 * A schedule is that of a job, or of a view that has one of its own; the queue's jobs carry views, by which the
 * schedules are found that they serve. A missed minute is made up once: after a pause of a week an hourly schedule is
 * due once, not 168 times. One that is new, or has changed, is first due at its next minute. A run that failed is due
 * again after a while, TLY_RUN_ATTEMPTS_MAX times in all, unless its next minute comes first. What is queued or under
 * way is not due, what is paused neither; both are when that is over and a minute was missed.
 *
 * What has to outlive the process is in batch.db: the last minute that a run began for, in the transaction in which it
 * began; with it the attempt, and when the next one is due if this process dies in the middle; the pause.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_SCHEDULE_H
#define TLY_BATCH_RUN_SCHEDULE_H

#include "batch_layer/batch_store.h"
#include "batch_layer/run_queue.h"

typedef struct tly_run_schedule tly_run_schedule;

/* Schedules of the project's views; `reader` knows what was remembered of them. Both stores are borrowed. */
TLY_CHECK enum tly_status tly_run_schedule_open(const struct tly_project *project, tly_batch_store *store,
                                                tly_batch_reader *reader, int64_t now_us, tly_run_schedule **out,
                                                struct tly_error *error);
void tly_run_schedule_close(tly_run_schedule *schedule);

/* Put what is due into `queue`: a job's views as a job of their own, views with schedules of their own together.
 * Returns how many schedules were. When too many jobs wait, the rest stays due. */
uint32_t tly_run_schedule_queue(tly_run_schedule *schedule, int64_t now_us, struct tly_run_queue *queue);
/* `job`, of the queue, is about to begin: the minutes that it serves by now, and what is to be remembered once it
 * has begun. Nothing for a job that is of no schedule. */
void tly_run_schedule_prepare(tly_run_schedule *schedule, int64_t now_us, struct tly_run_job *job);
/* `job` could not begin: back into `queue`, but for what was paused meanwhile. */
void tly_run_schedule_put_back(tly_run_schedule *schedule, struct tly_run_job *job, struct tly_run_queue *queue);
/* How a run has ended that had begun. */
enum tly_schedule_end { TLY_SCHEDULE_SERVED, TLY_SCHEDULE_FAILED, TLY_SCHEDULE_CANCELLED };
TLY_CHECK enum tly_status tly_run_schedule_ended(tly_run_schedule *schedule, int64_t now_us,
                                                 const struct tly_run_job *job, int64_t run, enum tly_schedule_end how,
                                                 struct tly_error *error);
/* `job` was taken from the queue by somebody: the minutes it was there for are not made up. */
TLY_CHECK enum tly_status tly_run_schedule_dropped(tly_run_schedule *schedule, const struct tly_run_job *job,
                                                   struct tly_error *error);

/* ---- what there is: schedules have numbers from 0 ---- */

uint32_t tly_run_schedule_count(const tly_run_schedule *schedule);
/* The schedule with this name, or that of a view of the project; -1: none. */
int tly_run_schedule_find(const tly_run_schedule *schedule, const char *name);
int tly_run_schedule_of_view(const tly_run_schedule *schedule, uint32_t view);
const struct tly_schedule_row *tly_run_schedule_row(const tly_run_schedule *schedule, uint32_t number);
/* The name of the job whose schedule it is, or NULL: a view's own. */
const char *tly_run_schedule_job(const tly_run_schedule *schedule, uint32_t number);
/* Whether a run of it is queued or under way. */
bool tly_run_schedule_is_taken(const tly_run_schedule *schedule, uint32_t number);
/* Its next minute after `now_us`; 0: there is none. */
int64_t tly_run_schedule_next(const tly_run_schedule *schedule, uint32_t number, int64_t now_us);

/* ---- pause and resume ---- */

/* Durable when it returns. What waits in `queue` for a paused schedule goes; a run under way goes on. Nothing happens
 * to one that is paused already. `by` has at most TLY_WHO_BYTES_MAX bytes. */
TLY_CHECK enum tly_status tly_run_schedule_pause(tly_run_schedule *schedule, uint32_t number, int64_t now_us,
                                                 const char *by, struct tly_run_queue *queue, struct tly_error *error);
TLY_CHECK enum tly_status tly_run_schedule_resume(tly_run_schedule *schedule, uint32_t number, struct tly_error *error);

#endif
