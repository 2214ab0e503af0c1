/* batch_layer/ledger_job.h -- a view against a ledger, as a whole: from two definitions to a report.
 *
 * Path of a ledger: ledger_main -> [ledger job: match, read, sort, merge, compare] -> report.
 * Thread: belongs to one thread; waits for the ledger and for the speed layer. */
#ifndef TLY_BATCH_LEDGER_JOB_H
#define TLY_BATCH_LEDGER_JOB_H

#include "batch_layer/break_list.h"
#include "common/sql/project.h"

struct tly_ledger_job {
  const char *directory; /* data folder; also for what does not fit memory */
  const char *folder;    /* that paths of ledgers are relative to */
  const struct tly_project *project;
  const struct tly_ledger_match *match;
  struct tly_decimal tolerance; /* absolute, 0 or above */
  struct tly_break_sink breaks; /* where they go */
  int wait_ms;                  /* for a speed layer that makes no progress */
  /* Told what is done: "ledger" rows, then "compare" keys. NULL is fine. */
  void (*progress)(void *context, const char *stage, uint64_t done);
  void *context;
};

/* Append the report (ledger_report.h). Does not fail: a side that cannot be read to its end makes it INCOMPLETE, with
 * the reason. */
void tly_ledger_job_run(const struct tly_ledger_job *job, struct tly_buffer *out);

#endif
