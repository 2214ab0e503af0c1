/* batch_layer/reconcile.h -- the drift check: what the layers say at the same cut must be the same, key by key.
 *
 * Path of an event: it was folded twice, live and by the recompute; here both are compared before the run is published:
 *   published run + live generations in (its cut, k]   ==   run k
 * for every part, every key and every state, in canonical form. A difference is *drift*.
 *
 * Nothing is compared, and drift is "not known", for a view that the speed layer is still building (the first run of a
 * definition), or when the speed layer does not come as far as the cut: the run is published without the check then,
 * and says so. Thread: belongs to one thread. */
#ifndef TLY_BATCH_RECONCILE_H
#define TLY_BATCH_RECONCILE_H

#include "batch_layer/run_result.h"
#include "common/store/speed_reader.h"

struct tly_reconcile_job {
  const char *directory;
  const struct tly_project *project;
  const struct tly_cut *cut; /* of the run, whose files are written */
  const struct tly_view *const *views;
  uint32_t view_count;     /* as in the run's result, in the same order */
  tly_speed_reader *speed; /* taken over; NULL: one is opened */
  int wait_ms;             /* for a speed layer that makes no progress; TLY_DRIFT_WAIT_MS */
  /* Told how many of how many views are compared. NULL is fine. */
  void (*progress)(void *context, uint64_t done, uint64_t all);
  void *context;
};

/* Fill drift, its list (with what explains the first of it, drift_evidence.h) and the note of `result`, whose views are
 * the job's. What it points to lives in `arena`. Does not fail: that a side cannot be read is no reason to hold back
 * the new run, which may be the cure; the note says what was not compared, and why. */
void tly_reconcile(const struct tly_reconcile_job *job, struct tly_arena *arena, struct tly_run_result *result);

#endif
