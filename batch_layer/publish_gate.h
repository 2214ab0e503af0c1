/* batch_layer/publish_gate.h -- whether a run that was computed may go live by itself.
 *
 * Path of an event: recompute -> drift check, control totals -> manifest -> [publish gate] -> run k ready, or held.
 *
 * Control totals are: the check of each view holds (true, neither NULL nor an error), and no view drifted against its
 * live totals, unless its definition says publish_with_drift. Drift that is not known (nothing to compare with, or a
 * speed layer that stands still) holds nothing back: nothing was found to be wrong, and a first run has to be possible.
 * All views of a run go live in one switch, so one that does not pass holds all of them. Thread: pure. */
#ifndef TLY_BATCH_PUBLISH_GATE_H
#define TLY_BATCH_PUBLISH_GATE_H

#include "batch_layer/run_result.h"
#include "common/sql/project.h"

/* What does not hold, in words ("view v: check count(*) > 0 is false: count(*) = 0; view w: 3 keys drifted"), at most
 * TLY_HOLD_BYTES of them and of one view's; in `arena`. NULL: all holds. */
const char *tly_publish_gate_judge(const struct tly_project *project, const struct tly_run_result *result,
                                   struct tly_arena *arena);

#endif
