/* batch_layer/run_schedule.h -- which views are due: their cron texts against a clock that a test may turn.
 *
 * A missed minute is made up once: after a pause of a week an hourly view is due once, not 168 times. A view whose
 * schedule is new, or has changed, is first due at its next minute. Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_SCHEDULE_H
#define TLY_BATCH_RUN_SCHEDULE_H

#include "batch_layer/batch_store.h"
#include "common/sql/cron.h"

typedef struct tly_run_schedule tly_run_schedule;

/* Schedules of the project's views; what fired last comes from `store`. */
TLY_CHECK enum tly_status tly_run_schedule_open(const struct tly_project *project, tly_batch_store *store,
                                                int64_t now_us, tly_run_schedule **out, struct tly_error *error);
void tly_run_schedule_close(tly_run_schedule *schedule);
/* How many views are due. If any is, fired_at_us[view] is the minute it is due for (0: it is not), and they count as
 * fired, so that they are told once. That they were is durable only with the run that serves them
 * (tly_batch_store_begin). */
uint32_t tly_run_schedule_due(tly_run_schedule *schedule, int64_t now_us, int64_t *fired_at_us);

#endif
