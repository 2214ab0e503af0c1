/* batch_layer/drift_evidence.h -- drift, down to the events that explain it.
 *
 * Path of an event: reconcile -> [drift_evidence: archive blocks and live generations of a key] -> manifest -> batch.db
 * -> `tally reconcile`, tally.drift.
 *
 * Thread: belongs to one thread. */
#ifndef TLY_BATCH_DRIFT_EVIDENCE_H
#define TLY_BATCH_DRIFT_EVIDENCE_H

#include "batch_layer/run_result.h"
#include "common/store/speed_reader.h"

struct tly_drift_evidence_job {
  const char *directory;
  const struct tly_project *project;
  const struct tly_cut *cut; /* of the run that live was compared with */
  const struct tly_view_program *program;
  const struct tly_published *published; /* what the view stood on */
  tly_speed_reader *speed;               /* borrowed; no snapshot is open */
};

/* Fill `explanation` of the first TLY_DRIFT_EXPLAINED_MAX of `drift`, in `arena`:
 *   {"verdict":"lacks" | "twice" | "unknown" | "run" | "not searched", "words":<for a reader>,
 *    "after_cut":a,"up_to_cut":b,        the generation it lies in: events above cut a, up to cut b
 *    "key_events":n,                     events of the key in there
 *    "count":m,"alternatives":k,         events that explain it; other choices that would as well
 *    "events":[{"partition":p,"offset":o,"raw":<as received>}, ...]}     the first TLY_DRIFT_EVENTS_LISTED of them
 * where what is not known is left out. Does not fail: an explanation then says why there is none. */
void tly_drift_evidence(const struct tly_drift_evidence_job *job, struct tly_run_drift *drift, uint32_t count,
                        struct tly_arena *arena);

#endif
