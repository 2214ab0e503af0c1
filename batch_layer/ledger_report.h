/* batch_layer/ledger_report.h -- a reconciliation with a ledger as one JSON object: what was compared, what came out.
 *
 * Path of a ledger: ledger_comparison -> [report] -> answer (docs/PROTOCOL.md, schemas/protocol/reconcile.json).
 * Thread: pure. */
#ifndef TLY_BATCH_LEDGER_REPORT_H
#define TLY_BATCH_LEDGER_REPORT_H

#include "batch_layer/ledger_comparison.h"
#include "batch_layer/ledger_source.h"
#include "batch_layer/merged_view.h"

struct tly_ledger_report {
  const struct tly_ledger_match *match;
  struct tly_decimal tolerance;
  const struct tly_comparison *comparison;        /* NULL: there is none, `why` */
  const struct tly_merged_view_facts *view_facts; /* NULL: the view could not be opened */
  const struct tly_ledger_facts *ledger_facts;    /* NULL: the ledger could not be opened */
  const struct tly_hash *ledger_hash;             /* of what was read of the ledger; NULL: not all was */
  const struct tly_error *why;                    /* of an incomplete one; else NULL */
};

/* Append it. The result is OK only when both sides were read to their ends and nothing is broken; an incomplete one has
 * no counts, for they would be those of an accident. The breaks themselves are not in it (break_file.h). Equal inputs
 * give equal bytes. */
void tly_ledger_report_print(const struct tly_ledger_report *report, struct tly_buffer *out);

#endif
