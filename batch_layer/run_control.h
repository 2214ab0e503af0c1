/* batch_layer/run_control.h -- what an operator asks for beside runs: pause, resume, cancel, and what waits.
 *
 * Path of a request: batch.sock -> scheduler -> [run_control] -> run_schedule, run_queue, run_stages -> reply.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_CONTROL_H
#define TLY_BATCH_RUN_CONTROL_H

#include "batch_layer/batch_requests.h"
#include "batch_layer/run_schedule.h"
#include "batch_layer/run_stages.h"

/* What it acts on: all borrowed. */
struct tly_run_control {
  const struct tly_project *project;
  const struct tly_clock *clock;
  struct tly_run_queue *queue;
  tly_run_schedule *schedule;
  tly_run_stages *stages;
  tly_batch_requests *requests;
};

/* Whether requests of this method are dealt with here. */
bool tly_run_control_takes(enum tly_method method);
/* Do what `request` asks for and answer it. What makes no sense is answered with an error and changes nothing. A job
 * that was cancelled is in *end (else end->job is NULL), and those who waited for it have been told. A failure is one
 * of batch.db. */
TLY_CHECK enum tly_status tly_run_control_handle(const struct tly_run_control *control, uint64_t client,
                                                 const struct tly_request *request, struct tly_run_end *end,
                                                 struct tly_error *error);

#endif
