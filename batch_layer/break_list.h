/* batch_layer/break_list.h -- differences between a view and a ledger: counted by kind, the first ones listed as JSON.
 *
 * Path of a ledger: ledger_comparison -> [break list] -> report.
 * Thread: belongs to one thread. */
#ifndef TLY_BATCH_BREAK_LIST_H
#define TLY_BATCH_BREAK_LIST_H

#include "batch_layer/ledger_match.h"

enum tly_break_kind {
  TLY_BREAK_OVER,                /* an amount: tally has more than the ledger */
  TLY_BREAK_SHORT,               /* less */
  TLY_BREAK_DIFFERS,             /* another value, or NULL on one side */
  TLY_BREAK_MISSING_IN_LEDGER,   /* the key */
  TLY_BREAK_MISSING_IN_TALLY,    /* the key */
  TLY_BREAK_DUPLICATE_IN_LEDGER, /* the key stands there more than once: none of its rows is matched */
  TLY_BREAK_KIND_COUNT
};

/* "over", "missing_in_ledger", ... Static. */
const char *tly_break_name(enum tly_break_kind kind);

struct tly_break {
  enum tly_break_kind kind;
  struct tly_text key;            /* encoded, in the match's types */
  int32_t column;                 /* the compared column; -1: the key as a whole, all of them */
  const struct tly_value *tally;  /* the compared values; NULL: the side does not have the key */
  const struct tly_value *ledger; /* of a duplicate: the sums of amounts, NULL values for the rest */
  uint64_t ledger_rows;
};

struct tly_break_list {
  const struct tly_ledger_match *match;
  uint64_t kinds[TLY_BREAK_KIND_COUNT], count;
  /* {"break":..,"key":{..},"tally":{..},"ledger":{..},"difference":{..}}, with commas between: the first breaks in key
   * order, up to TLY_BREAKS_LISTED_MAX and TLY_BREAKS_LISTED_BYTES. `rows` is in that of a duplicate. */
  struct tly_buffer listed;
  uint32_t listed_count;
  bool is_full;
  struct tly_arena scratch;
};

void tly_break_list_init(struct tly_break_list *list, const struct tly_ledger_match *match);
void tly_break_list_free(struct tly_break_list *list);
/* In key order. */
TLY_CHECK enum tly_status tly_break_list_add(struct tly_break_list *list, const struct tly_break *found,
                                             struct tly_error *error);

#endif
