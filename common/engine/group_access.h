/* common/engine/group_access.h -- what the fold does to a group table, beyond group_table.h. Private to the engine
 * wing.
 *
 * The fold has its own way from key columns to group numbers (group_lookup.h), so the table's index by encoded key is
 * made only when somebody else adds groups too.
 * Thread: as group_table.h. */
#ifndef TLY_ENGINE_GROUP_ACCESS_H
#define TLY_ENGINE_GROUP_ACCESS_H

#include "common/engine/group_table.h"

#define TLY_GROUP_NONE UINT32_MAX

/* Changes whenever group numbers given before lose their meaning. */
uint64_t tly_group_table_epoch(const tly_group_table *table);
/* Whether it finds groups by key itself. */
bool tly_group_table_is_indexed(const tly_group_table *table);
/* Make it so. */
void tly_group_table_index(tly_group_table *table);
/* The number of the group with this key, which is added in initial states if it is not there. In a table without an
 * index the caller vouches that it is not. */
uint32_t tly_group_table_group(tly_group_table *table, const uint8_t *key, size_t size);
struct tly_text tly_group_table_key(const tly_group_table *table, uint32_t group);

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
