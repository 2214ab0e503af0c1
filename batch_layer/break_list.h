/* batch_layer/break_list.h -- differences between a view and a ledger: counted by kind, handed on as texts.
 *
 * Path of a ledger: ledger_comparison -> [break list] -> break_file, report.
 * Thread: belongs to one thread. */
#ifndef TLY_BATCH_BREAK_LIST_H
#define TLY_BATCH_BREAK_LIST_H

#include "batch_layer/break_file.h"
#include "batch_layer/ledger_match.h"

struct tly_break {
  enum tly_break_kind kind;
  struct tly_text key;            /* encoded, in the match's types */
  int32_t column;                 /* the compared column; -1: the key as a whole, all of them */
  const struct tly_value *tally;  /* the compared values; NULL: the side does not have the key */
  const struct tly_value *ledger; /* of a duplicate: the sums of amounts, NULL values for the rest */
  uint64_t ledger_rows;
};

/* Where breaks go; a status other than TLY_OK ends the comparison. */
struct tly_break_sink {
  enum tly_status (*add)(void *context, const struct tly_break_record *record, struct tly_error *error);
  void *context;
};

struct tly_break_list {
  const struct tly_ledger_match *match;
  struct tly_break_sink sink;
  uint64_t kinds[TLY_BREAK_KIND_COUNT], count;
  uint64_t kept; /* of them, the first in key order: handed on */
  size_t kept_bytes;
  bool is_full;
  struct tly_buffer texts; /* of the break being added */
  struct tly_arena scratch;
};

void tly_break_list_init(struct tly_break_list *list, const struct tly_ledger_match *match, struct tly_break_sink sink);
void tly_break_list_free(struct tly_break_list *list);
/* In key order. All are counted; the first ones, up to TLY_BREAKS_KEPT_MAX and TLY_BREAKS_KEPT_BYTES, are handed on. */
TLY_CHECK enum tly_status tly_break_list_add(struct tly_break_list *list, const struct tly_break *found,
                                             struct tly_error *error);

#endif
