/* batch_layer/run_stages.h -- the run under way, one at a time: from the cut it asks for to its publication.
 *
 * Path of an event: archive -> cut -> recompute, control totals -> gate -> run k ready -> published by the speed layer.
 *                             [--------------------- seen through here ---------------------]
 *
 * What becomes of a job is told to the scheduler, which decides what is done about it; who waits for it is answered
 * here. Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RUN_STAGES_H
#define TLY_BATCH_RUN_STAGES_H

#include <poll.h>

#include "batch_layer/batch_requests.h"
#include "batch_layer/batch_store.h"
#include "batch_layer/run_queue.h"
#include "batch_layer/speed_watch.h"
#include "common/base/clock.h"
#include "common/base/process.h"

/* Descriptors of a tly_run_stages_poll. */
enum { TLY_RUN_STAGES_DESCRIPTORS = 3 };

enum tly_run_outcome {
  TLY_RUN_NOT_BEGUN,   /* no cut: it has left no trace */
  TLY_RUN_FAILED,      /* the row says so; the folder is gone */
  TLY_RUN_CANCELLED,   /* by somebody: as NOT_BEGUN or FAILED, by `run` */
  TLY_RUN_HELD,        /* its control totals do not hold: computed and kept, but not to be published */
  TLY_RUN_UNPUBLISHED, /* ready, but rejected before it was published, or the speed layer has not done so in time */
  TLY_RUN_PUBLISHED
};

/* A job that is over. */
struct tly_run_end {
  struct tly_run_job *job; /* NULL: it is still under way, or there is none. The caller owns it */
  enum tly_run_outcome outcome;
  int64_t run; /* 0: it had none yet */
};

/* How far the run under way is. */
struct tly_run_progress {
  const struct tly_run_job *job;
  int64_t run;           /* 0: no cut yet */
  int64_t started_at_us; /* by the clock */
  const char *stage;     /* "cut", what the child says ("recompute", "reconcile"), "publish" */
  int64_t done, all;     /* events of the stage; 0: not known */
  int64_t stage_us;      /* since the stage began */
};

/* All borrowed. */
struct tly_run_stages_options {
  const struct tly_settings *settings;
  const struct tly_project *project;
  const struct tly_clock *clock;
  tly_batch_store *store;
  tly_batch_requests *requests;
  struct tly_speed_watch *speed;
  int cut_timeout_ms;  /* for the archiver's answer */
  int publish_wait_ms; /* for a speed layer that makes no progress */
};

typedef struct tly_run_stages tly_run_stages;

TLY_CHECK enum tly_status tly_run_stages_open(const struct tly_run_stages_options *options, tly_run_stages **out,
                                              struct tly_error *error);
/* Kills a recompute that is under way; its run is failed, and who waits for it is told. */
void tly_run_stages_close(tly_run_stages *stages);

bool tly_run_stages_is_idle(const tly_run_stages *stages);
/* Begin `job`, which now belongs to the stages; they must be idle. *end has it at once if it cannot begin. */
void tly_run_stages_begin(tly_run_stages *stages, struct tly_run_job *job, struct tly_run_end *end);

/* How far it is, unless the stages are idle. *out borrows. */
void tly_run_stages_progress(const tly_run_stages *stages, struct tly_run_progress *out);
/* Whether the run under way can still be cancelled: not once it is ready. */
bool tly_run_stages_can_cancel(const tly_run_stages *stages);
/* End it: its child is killed, the row says `failed` and `why`, the folder is gone, who waits is told. A failure is one
 * of batch.db. */
TLY_CHECK enum tly_status tly_run_stages_cancel(tly_run_stages *stages, const struct tly_error *why,
                                                struct tly_run_end *end, struct tly_error *error);

/* What to wait for: writes TLY_RUN_STAGES_DESCRIPTORS descriptors, and shortens *timeout_ms if need be. */
void tly_run_stages_poll(const tly_run_stages *stages, struct pollfd *polled, int *timeout_ms);
/* After the wait, with the same descriptors: go on with the run, if there is one. A failure is one of batch.db. */
TLY_CHECK enum tly_status tly_run_stages_go_on(tly_run_stages *stages, const struct pollfd *polled,
                                               struct tly_run_end *end, struct tly_error *error);
/* See to it that a child waits for the next run. */
void tly_run_stages_tend_child(tly_run_stages *stages);

#endif
