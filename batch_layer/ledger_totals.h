/* batch_layer/ledger_totals.h -- what both sides of a reconciliation add up to, by currency.
 *
 * Path of a ledger: ledger_comparison -> [totals] -> report. For every amount: the sum of all its values on either
 * side, whether their keys match or not; the gross difference, which is the sum of |tally - ledger| over all keys, a
 * side that has no value counting as 0; and how much of it is within tolerance. So tally - ledger, the net difference,
 * is what the differences of all keys add up to. A view with a key column `currency` has totals for each of them;
 * amounts of several currencies have no sum.
 * Thread: belongs to one thread. */
#ifndef TLY_BATCH_LEDGER_TOTALS_H
#define TLY_BATCH_LEDGER_TOTALS_H

#include "batch_layer/ledger_match.h"

/* An exact sum; `limbs` holds what `value` points to when it is wide. */
struct tly_running_sum {
  struct tly_decimal value;
  struct tly_buffer limbs;
};

/* `scratch` is used for what need not last. 22003 beyond 1,000 digits. */
TLY_CHECK enum tly_status tly_running_sum_add(struct tly_running_sum *sum, struct tly_decimal value,
                                              struct tly_arena *scratch, struct tly_error *error);
void tly_running_sum_free(struct tly_running_sum *sum);

struct tly_amount_totals {
  struct tly_running_sum tally, ledger, gross, within_tolerance;
};

struct tly_currency_totals {
  char *currency; /* JSON text of the key's value. NULL: there is no such key, or too many currencies came before */
  struct tly_amount_totals *amounts; /* one a compared column that is an amount, in their order */
};

struct tly_ledger_totals {
  const struct tly_ledger_match *match;
  struct tly_currency_totals *entries; /* in the order they were met */
  uint32_t count, last;                /* last: the one that was asked for last */
};

void tly_ledger_totals_init(struct tly_ledger_totals *totals, const struct tly_ledger_match *match);
void tly_ledger_totals_free(struct tly_ledger_totals *totals);
/* The totals that a row of this key belongs to; valid until the next call. At most TLY_CURRENCIES_MAX have an entry of
 * their own, the others share one more. */
TLY_CHECK enum tly_status tly_ledger_totals_find(struct tly_ledger_totals *totals, struct tly_text key,
                                                 struct tly_arena *scratch, struct tly_currency_totals **out,
                                                 struct tly_error *error);

#endif
