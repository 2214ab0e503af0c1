/* batch_layer/ledger_outcome.h -- what came out of a reconciliation, kept in batch.db and told to who asked.
 *
 * Path of a ledger: ledger child -> report, break_file -> [ledger outcome] -> break_store, answer.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_LEDGER_OUTCOME_H
#define TLY_BATCH_LEDGER_OUTCOME_H

#include <jansson.h>

#include "batch_layer/break_store.h"

struct tly_ledger_outcome {
  const char *directory; /* where break_file is */
  const struct tly_view *view;
  const struct tly_ledger *ledger;
  struct tly_decimal tolerance;
  int64_t scheduled_for_us; /* the minute it served; 0: somebody asked */
  int64_t started_at_us, finished_at_us;
};

/* The report (ledger_report.h) of a reconciliation that ended without one: incomplete, for the reason `why`. */
json_t *tly_ledger_outcome_failed(const struct tly_ledger_outcome *outcome, const struct tly_error *why);

/* Whether the breaks of a complete report are there, whole: before it is kept. */
TLY_CHECK enum tly_status tly_ledger_outcome_check(const struct tly_ledger_outcome *outcome, const json_t *report,
                                                   struct tly_error *error);

/* Keep a reconciliation and its breaks. `report` is completed: number, what changed against the one before, what is
 * accepted. The answer, a JSON object with the first breaks in it, is appended to *answer. A failure is one of
 * batch.db. */
TLY_CHECK enum tly_status tly_ledger_outcome_keep(const struct tly_ledger_outcome *outcome, tly_break_store *breaks,
                                                  struct tly_fired_minute fired, json_t *report,
                                                  struct tly_buffer *answer, struct tly_error *error);

/* Whether a report is complete: OK or BREAKS. */
bool tly_ledger_outcome_is_complete(const json_t *report);

#endif
