/* batch_layer/ledger_match.h -- which columns of a view and of a ledger belong together, and in what form they are
 * compared.
 *
 * Path of a ledger: definitions -> [ledger match] -> ledger_rows, merged rows -> ledger_comparison.
 *
 * By name: the key is the view's GROUP BY, the compared columns are the other outputs that both have. Both sides are
 * brought to one form: integers as bigint, a numeric and any other number as numeric without limits, varchar as text;
 * other types are compared with their like alone.
 * Thread: pure. */
#ifndef TLY_BATCH_LEDGER_MATCH_H
#define TLY_BATCH_LEDGER_MATCH_H

#include "common/sql/typed_tree.h"

struct tly_ledger_pair {
  const char *name;
  uint32_t output, column; /* of the view, of the ledger */
  struct tly_type type;    /* in which they are compared */
  bool is_amount;          /* an integer or numeric: it has differences and totals */
};

struct tly_ledger_match {
  const struct tly_view *view;
  const struct tly_ledger *ledger;
  struct tly_ledger_pair *keys; /* in the order of GROUP BY, so that both sides sort as the view is sorted */
  uint32_t key_count;
  struct tly_ledger_pair *compared; /* in the order of the view's outputs */
  uint32_t compared_count, amount_count;
  int32_t currency;                            /* the key column of that name, by which totals are kept; -1: none */
  const char **only_in_view, **only_in_ledger; /* columns that nothing is compared with */
  uint32_t only_in_view_count, only_in_ledger_count;
};

/* Everything lives in `arena`. 42703 when a key has no output or no column, or nothing is left to compare; 42804 when
 * the types of two columns of a name cannot be compared. */
TLY_CHECK enum tly_status tly_ledger_match(const struct tly_view *view, const struct tly_ledger *ledger,
                                           struct tly_arena *arena, struct tly_ledger_match *out,
                                           struct tly_error *error);

/* `value`, of either side's type, in the pair's form; it may point to what `value` points to. */
struct tly_value tly_ledger_pair_value(const struct tly_ledger_pair *pair, const struct tly_value *value);

#endif
