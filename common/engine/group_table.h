/* common/engine/group_table.h -- groups in memory: encoded keys and columns of states; and sorted slices of them.
 *
 * Path of an event: fold -> [group table] -> sort -> group blocks -> stores; and stores -> [group slice] -> merge ->
 * answer. Thread: a table belongs to one thread at a time. */
#ifndef TLY_ENGINE_GROUP_TABLE_H
#define TLY_ENGINE_GROUP_TABLE_H

#include "common/engine/view_program.h"
#include "common/value/exact_sum.h"
#include "common/value/vector.h"

/* A column of states, one element a group. MIN and MAX: `empty[g]` 1 means no value yet. */
struct tly_state_column {
  enum tly_state_form form;
  uint8_t *empty; /* NULL when the component is not nullable */
  union {
    int64_t *i64;
    tly_i128 *i128;
    double *f64;
    struct tly_decimal *decimal;
    struct tly_text *text;
    struct tly_exact_sum *exact_sum;
  };
};

/* Groups of one part, sorted by key, strictly ascending: what a block decodes to and what a merge gives. Everything it
 * points to lives in `arena` (exact sums are freed with tly_group_slice_free). */
struct tly_group_slice {
  const struct tly_view_program *program;
  uint32_t part;
  uint32_t count;
  struct tly_text *keys;           /* encoded, ordered_key.h */
  struct tly_state_column *states; /* parts[part].component_count of them */
  struct tly_arena arena;
};

void tly_group_slice_init(struct tly_group_slice *slice, const struct tly_view_program *program, uint32_t part);
void tly_group_slice_reset(struct tly_group_slice *slice);
void tly_group_slice_free(struct tly_group_slice *slice);

/* The groups of one part of one view while they are folded: a hash table by key. */
typedef struct tly_group_table tly_group_table;

tly_group_table *tly_group_table_new(const struct tly_view_program *program, uint32_t part);
void tly_group_table_free(tly_group_table *table);
void tly_group_table_clear(tly_group_table *table);
uint64_t tly_group_table_count(const tly_group_table *table);
/* Bytes it holds, for memory bounds. */
size_t tly_group_table_bytes(const tly_group_table *table);
/* Add every group of `slice` (merge states of equal keys). */
void tly_group_table_add_slice(tly_group_table *table, const struct tly_group_slice *slice);
/* Sort by key and hand the groups out in slices of at most `slice_groups` (fewer where keys and texts reach
 * TLY_SLICE_BYTES_MAX), in key order; the table is then empty of
 * use but for clear and free. `visit` borrows the slice; a status other than TLY_OK stops and is returned. */
typedef enum tly_status (*tly_group_slice_visit)(void *context, const struct tly_group_slice *slice,
                                                 struct tly_error *error);
TLY_CHECK enum tly_status tly_group_table_drain(tly_group_table *table, uint32_t slice_groups,
                                                tly_group_slice_visit visit, void *context, struct tly_error *error);

/* Merge the states of group `from_row` of `from` into group `into_row` of `into`: the one place where two states of any
 * component meet. Text and decimals are copied into `arena`. */
void tly_states_merge(const struct tly_view_program *program, struct tly_state_column *into, uint32_t into_row,
                      const struct tly_state_column *from, uint32_t from_row, struct tly_arena *arena);
/* Equal in canonical form. */
bool tly_states_equal(const struct tly_view_program *program, const struct tly_state_column *a, uint32_t a_row,
                      const struct tly_state_column *b, uint32_t b_row);

#endif
