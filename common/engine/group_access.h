/* common/engine/group_access.h -- what the fold does to a group table, beyond group_table.h. Private to the engine
 * wing.
 *
 * A *numbered* table does not know its groups' keys: the fold that fills it does (group_lookup.h), and hands the groups
 * out in its stead.
 * Thread: as group_table.h. */
#ifndef TLY_ENGINE_GROUP_ACCESS_H
#define TLY_ENGINE_GROUP_ACCESS_H

#include "common/engine/group_table.h"
#include "common/engine/kernel.h"

#define TLY_GROUP_NONE UINT32_MAX

/* What stands in for tly_group_table_drain of a numbered table. */
typedef enum tly_status (*tly_group_drain)(void *context, uint32_t slice_groups, tly_group_slice_visit visit,
                                           void *visit_context, struct tly_error *error);

/* A table of part 0 whose groups are known by number alone. */
tly_group_table *tly_group_table_new_numbered(const struct tly_view_program *program, tly_group_drain drain,
                                              void *context);
/* Add groups in initial states up to `count`. */
void tly_group_table_extend(tly_group_table *table, uint32_t count);
/* Changes whenever group numbers given before lose their meaning. */
uint64_t tly_group_table_epoch(const tly_group_table *table);
/* Add a group to a table that finds no groups by key; the caller vouches that its key is new. */
void tly_group_table_append(tly_group_table *table, const uint8_t *key, size_t size);
/* Whether the states are more than the processor's own caches hold. */
bool tly_group_table_is_far(const tly_group_table *table);
/* Copy a group's states into row `row` of a slice: a copy that borrows the table's texts and decimals. */
void tly_group_table_borrow(const tly_group_table *table, uint32_t group, struct tly_state_column *states,
                            uint32_t row);
/* Let `columns` (of tly_states_new) show the group's states as their row 0. */
void tly_group_table_show(const tly_group_table *table, uint32_t group, struct tly_state_column *columns);
/* Whether there are texts among the states. */
bool tly_group_table_has_texts(const tly_group_table *table);
/* Where a group's states are, for prefetching. */
const uint8_t *tly_group_table_row(const tly_group_table *table, uint32_t group);

/* One component's states in the table: group g's stands at values + g * stride, and whether it has no value yet at
 * empty + g * stride. Moves when a group is added. */
struct tly_state_field {
  enum tly_state_form form;
  uint8_t *values;
  uint8_t *empty; /* NULL when the component is not nullable */
  size_t stride;
};

struct tly_state_field tly_group_table_field(const tly_group_table *table, uint32_t component);
/* Where the texts and decimals of states live. */
struct tly_arena *tly_group_table_values(tly_group_table *table);
/* Give back what replaced texts and decimals have left in it, if that has become much. */
void tly_group_table_compact(tly_group_table *table);

#endif
