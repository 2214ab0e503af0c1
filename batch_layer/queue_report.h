/* batch_layer/queue_report.h -- what waits and why, and how far the run under way is: for `tally runs`.
 *
 * Path of a request: serving layer (`runs`) -> batch.sock (`queue`) -> [queue_report]. It is asked for and not written
 * down: none of it means anything once this process has ended.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_QUEUE_REPORT_H
#define TLY_BATCH_QUEUE_REPORT_H

#include <jansson.h>

#include "batch_layer/run_schedule.h"
#include "batch_layer/run_stages.h"

/* What it tells of: all borrowed. */
struct tly_queue_report {
  const struct tly_project *project;
  const struct tly_clock *clock;
  const struct tly_run_queue *queue;
  const tly_run_schedule *schedule;
  const tly_run_stages *stages;
};

/* {"under_way":{...} or null,"queue":[...]}; docs/PROTOCOL.md has the members. The caller decrefs. */
json_t *tly_queue_report(const struct tly_queue_report *report);
/* The names of the views among `views`, one flag a view of the project. */
json_t *tly_queue_view_names(const struct tly_project *project, const bool *views);

#endif
