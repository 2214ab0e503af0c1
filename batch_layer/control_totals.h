/* batch_layer/control_totals.h -- compute the checks of a run's views: WITH (check = 'sum(debit) = sum(credit)').
 *
 * Path of an event: recompute -> run files -> [control totals: the finished rows, folded once more] -> manifest ->
 * publish gate.
 *
 * A check is a view without keys over the finished rows of its view (behind HAVING), so the one engine folds and
 * finishes it: the same aggregates, the same exactness, a batch of rows in memory at a time. What a check cannot be
 * computed from (a row on which it raises, a result that overflows) is a verdict, not a failure. Thread: belongs to one
 * thread. */
#ifndef TLY_BATCH_CONTROL_TOTALS_H
#define TLY_BATCH_CONTROL_TOTALS_H

#include "batch_layer/run_result.h"

struct tly_control_totals_job {
  const char *directory;
  int64_t run; /* whose files are written */
  const struct tly_view *const *views;
  uint32_t view_count; /* as in the run's result, in the same order */
  /* Told how many rows of how many of a view were checked. NULL is fine. */
  void (*progress)(void *context, uint64_t done, uint64_t all);
  void *context;
};

/* Fill the `check` of each view of `result` whose definition has one; what it points to lives in `arena`. Fails only
 * when the run's files cannot be read. */
TLY_CHECK enum tly_status tly_control_totals(const struct tly_control_totals_job *job, struct tly_arena *arena,
                                             struct tly_run_result *result, struct tly_error *error);

#endif
