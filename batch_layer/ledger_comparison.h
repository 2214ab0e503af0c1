/* batch_layer/ledger_comparison.h -- a view and a ledger, both sorted by key, compared in one pass.
 *
 * Path of a ledger: merged view, ledger_rows -> [ledger comparison] -> breaks, totals -> report.
 *
 * Every key of either side is one of: matched (all compared columns are equal), within tolerance (the amounts that
 * differ do so by no more than that, and nothing else does), or broken. A broken key has a break for each column that
 * differs, or one as a whole when a side does not have it or the ledger has it more than once. Amounts are compared by
 * value, exactly: 1.5 is 1.50. NULL equals NULL and nothing else.
 * Thread: pure. */
#ifndef TLY_BATCH_LEDGER_COMPARISON_H
#define TLY_BATCH_LEDGER_COMPARISON_H

#include "batch_layer/break_list.h"
#include "batch_layer/ledger_totals.h"

/* A row of either side: its encoded key in the match's types, and the compared values in the match's types. */
struct tly_keyed_row {
  struct tly_text key;
  struct tly_value *values;
};

/* Rows by ascending key: next gives the following one, valid until the next call, or NULL at the end. */
struct tly_keyed_source {
  enum tly_status (*next)(void *context, const struct tly_keyed_row **out, struct tly_error *error);
  void *context;
};

struct tly_comparison {
  uint64_t keys; /* of both sides together == matched + within_tolerance + broken */
  uint64_t matched, within_tolerance, broken;
  uint64_t values_within_tolerance; /* compared values that are not equal, but count as if */
  uint64_t tally_keys, ledger_rows;
  struct tly_break_list breaks;
  struct tly_ledger_totals totals;
};

/* `sink` is where breaks go. */
void tly_comparison_init(struct tly_comparison *comparison, const struct tly_ledger_match *match,
                         struct tly_break_sink sink);
void tly_comparison_free(struct tly_comparison *comparison);

/* Compare, once, into an initialised `comparison`. The keys of `tally` are strictly ascending, those of `ledger` may
 * repeat. `tolerance` is an absolute amount, 0 or above. `progress`, which may be NULL, is told of keys that are done.
 * A status other than TLY_OK is a source's, or a sum beyond 1,000 digits; what was compared is worth nothing then. */
TLY_CHECK enum tly_status tly_ledger_compare(struct tly_comparison *comparison, struct tly_decimal tolerance,
                                             struct tly_keyed_source tally, struct tly_keyed_source ledger,
                                             void (*progress)(void *context, uint64_t keys), void *context,
                                             struct tly_error *error);

#endif
