/* batch_layer/scheduler.h -- decide when views are recomputed, see each run through, answer who asked for it.
 *
 * Path of an event: archive -> cut -> recompute -> drift check -> run k ready -> published by the speed layer.
 *                             [----------------- seen through here -----------------]
 *
 * A run begins by schedule (cron), by request (`recompute` on DIR/batch.sock), or because a definition is new or
 * changed. Runs never overlap: requests queue. A job's views share a run of their own, views with schedules of their
 * own share one when they are due at the same minute. A run that fails leaves everything as it was; a scheduled one is
 * tried again. Thread: belongs to one thread, which is also the only writer of batch.db. */
#ifndef TLY_BATCH_SCHEDULER_H
#define TLY_BATCH_SCHEDULER_H

#include "common/base/clock.h"
#include "common/base/process.h"
#include "common/sql/project.h"

struct tly_scheduler_options {
  const struct tly_settings *settings;
  const struct tly_project *project;
  const struct tly_clock *clock; /* schedules and deadlines */
  int cut_timeout_ms;            /* for the archiver's answer */
  int publish_wait_ms;           /* for a speed layer that makes no progress */
  int definition_wait_ms; /* for speed.db to appear, or to find a run by itself, before a definition starts one */
};

/* What tly_batch_main uses. */
struct tly_scheduler_options tly_scheduler_defaults(const struct tly_settings *settings,
                                                    const struct tly_project *project);

typedef struct tly_scheduler tly_scheduler;

/* Opens batch.db (runs left running become failed), listens. `options` is copied, what it points to is borrowed. */
TLY_CHECK enum tly_status tly_scheduler_open(const struct tly_scheduler_options *options, tly_scheduler **out,
                                             struct tly_error *error);
/* Kills a recompute that is under way; its run is failed. A reconciliation with a ledger ends with it. */
void tly_scheduler_close(tly_scheduler *scheduler);

/* Wait for something to happen, at most `timeout_ms`, and deal with it. A failure is one of batch.db: the process has
 * to end. A failed run is none. */
TLY_CHECK enum tly_status tly_scheduler_turn(tly_scheduler *scheduler, int timeout_ms, struct tly_error *error);
/* Whether no run and no reconciliation with a ledger is under way or waits. */
bool tly_scheduler_is_idle(const tly_scheduler *scheduler);

#endif
