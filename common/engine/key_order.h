/* common/engine/key_order.h -- the groups of one fold, sorted by key. Private to the engine wing.
 *
 * Path of an event: group lookup -> [key order] -> fold_union -> sorted slices. Thread: whoever owns the fold. */
#ifndef TLY_ENGINE_KEY_ORDER_H
#define TLY_ENGINE_KEY_ORDER_H

#include "common/engine/group_lookup.h"
#include "common/engine/group_sort.h"
#include "common/engine/key_coder.h"
#include "common/engine/key_heap.h"

/* How a key column's values become small integers in the same order, its *ranks*. */
struct tly_rank_column {
  tly_key_coder *coder;
  uint32_t first_word; /* of the column, in a group's words */
  bool is_interned;
  const struct tly_text *texts; /* if so: encoded values by rank, */
  uint32_t text_count;
  uint32_t *ranks;            /* and ranks by word; if not: */
  struct tly_text *own_texts; /* what `texts` points to, unless it is the coder's */
  uint64_t base;              /* rank = (ordered value - base) >> shift; all low bits below `shift` are base's */
  unsigned shift;
  uint64_t most;      /* the largest rank of a value */
  uint64_t null_rank; /* behind all values */
  bool has_value, has_null;
  unsigned bits, at; /* of the rank, in a group's rank */
};

/* The rank of a group is its columns' ranks, one behind the other, first column highest. */
typedef struct tly_key_order {
  uint32_t column_count;
  struct tly_rank_column *columns;
  struct tly_sort_item *groups; /* rank, number; ascending */
  uint32_t count, group_capacity;
  bool is_wide;            /* ranks do not fit 64 bits: a rank is a position, and */
  const uint8_t **records; /* of each rank, its encoded key (group_sort.h) */
  struct tly_key_heap heap;
} tly_key_order;

/* `lookup` has the groups of `column_count` coders, and is empty then; NULL when there are no key columns, and so at
 * most one group. */
tly_key_order *tly_key_order_new(tly_key_coder *const *coders, uint32_t column_count, tly_group_lookup *lookup,
                                 uint32_t group_count);
void tly_key_order_free(tly_key_order *order);

/* A value's place among those of its type, as an unsigned number, and back. */
uint64_t tly_rank_ordered(enum tly_form form, uint64_t word);
uint64_t tly_rank_word(enum tly_form form, uint64_t ordered);
/* Bits that hold all numbers up to `most`. */
unsigned tly_rank_bits(uint64_t most);

#endif
