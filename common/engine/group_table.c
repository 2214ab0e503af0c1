/* Groups are numbered in the order in which they come. A group is a key record in the heap and a row of every state
 * column. The index by key (open addressing, a slot is the hash's upper half and the group's number) exists only from
 * the moment it is needed: a fold that alone fills a table never needs it.
 *
 * Texts and wide decimals in states are replaced by new ones all the time; what they leave behind in `values` is given
 * back by copying the living ones over when the arena has doubled since the last time.
 *
 * INVARIANTS (check_invariants)
 *   (1) count <= capacity; every state column has room for capacity rows, and rows below count are initialised.
 *   (2) No two groups have the same key.
 *   (3) is_indexed: every group is in exactly one slot, and at most half of the slots are used. */
#include "common/engine/group_table.h"

#include <string.h>
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_access.h"
#include "common/engine/group_sort.h"
#include "common/engine/group_state.h"
#include "common/engine/key_heap.h"

enum { CAPACITY_MIN = 64, GROUPS_MAX = 1 << 30, VALUES_SLACK_BYTES = 1 << 20, KEEP_CAPACITY = 1024 };

struct slot {
  uint32_t tag;
  uint32_t group; /* TLY_GROUP_NONE: free */
};

struct tly_group_table {
  const struct tly_view_program *program;
  uint32_t part;
  uint32_t count, capacity;
  const uint8_t **records;
  struct tly_key_heap key_heap;
  struct tly_arena column_arena; /* of the array of columns itself */
  struct tly_state_column *states;
  struct tly_arena values;
  size_t values_bytes_compacted;
  size_t row_bytes; /* of all state columns */
  bool is_indexed;
  bool is_drained;
  struct slot *slots;
  uint32_t slot_count; /* a power of two, or 0 */
  uint64_t epoch;
};

static void check_invariants(const tly_group_table *table) {
  TLY_ASSERT(table->count <= table->capacity && table->capacity <= GROUPS_MAX);
  TLY_ASSERT(!table->is_indexed || table->slot_count >= 2 * (uint64_t)table->count);
  TLY_ASSERT((table->slot_count & (table->slot_count - 1)) == 0);
}

tly_group_table *tly_group_table_new(const struct tly_view_program *program, uint32_t part) {
  TLY_ASSERT(part < program->part_count);
  tly_group_table *table = tly_calloc(1, sizeof *table);
  table->program = program;
  table->part = part;
  tly_arena_init(&table->values);
  tly_arena_init(&table->column_arena);
  table->states = tly_states_new(program, part, &table->column_arena);
  for (uint32_t c = 0; c < program->parts[part].component_count; c++)
    table->row_bytes += tly_state_size(table->states[c].form) + (program->components[c].nullable ? 1 : 0);
  return table;
}

static void set_capacity(tly_group_table *table, uint32_t capacity) {
  tly_states_resize(table->program, table->part, table->states, capacity);
  if (capacity > 0) {
    table->records = tly_realloc_array(table->records, capacity, sizeof *table->records);
  } else {
    tly_free(table->records);
    table->records = NULL;
  }
  table->capacity = capacity;
}

void tly_group_table_free(tly_group_table *table) {
  if (table == NULL)
    return;
  tly_group_table_clear(table);
  set_capacity(table, 0);
  tly_free(table->slots);
  tly_arena_free(&table->values);
  tly_arena_free(&table->column_arena);
  tly_free(table);
}

/* Memory of a rush is not kept for ever: a table that is cleared keeps room for as many groups as it had. */
void tly_group_table_clear(tly_group_table *table) {
  check_invariants(table);
  if (!table->is_drained)
    tly_states_release(table->program, table->part, table->states, table->count);
  if (table->capacity > KEEP_CAPACITY && table->capacity / 4 > table->count)
    set_capacity(table, 0);
  tly_free(table->slots);
  table->slots = NULL;
  table->slot_count = 0;
  table->is_indexed = false;
  table->is_drained = false;
  table->count = 0;
  tly_key_heap_clear(&table->key_heap);
  if (table->values.allocated_bytes > VALUES_SLACK_BYTES)
    tly_arena_free(&table->values);
  tly_arena_reset(&table->values);
  table->values_bytes_compacted = 0;
  table->epoch++;
}

uint64_t tly_group_table_count(const tly_group_table *table) {
  return table->count;
}

size_t tly_group_table_bytes(const tly_group_table *table) {
  return table->capacity * (table->row_bytes + sizeof *table->records) + table->slot_count * sizeof *table->slots +
         table->key_heap.allocated_bytes + table->values.allocated_bytes;
}

uint64_t tly_group_table_epoch(const tly_group_table *table) {
  return table->epoch;
}

bool tly_group_table_is_indexed(const tly_group_table *table) {
  return table->is_indexed;
}

struct tly_text tly_group_table_key(const tly_group_table *table, uint32_t group) {
  TLY_ASSERT(group < table->count);
  return tly_key_record_text(table->records[group]);
}

struct tly_state_column *tly_group_table_states(tly_group_table *table) {
  return table->states;
}

struct tly_arena *tly_group_table_values(tly_group_table *table) {
  return &table->values;
}

/* --- index
 * ----------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct tly_text key) {
  return XXH3_64bits(key.data, key.size);
}

static void place(tly_group_table *table, uint64_t hash, uint32_t group) {
  uint32_t mask = table->slot_count - 1;
  uint32_t at = (uint32_t)hash & mask;
  while (table->slots[at].group != TLY_GROUP_NONE)
    at = (at + 1) & mask;
  table->slots[at] = (struct slot){.tag = (uint32_t)(hash >> 32), .group = group};
}

static void rebuild_index(tly_group_table *table, uint32_t slot_count) {
  tly_free(table->slots);
  table->slots = tly_malloc(slot_count * sizeof *table->slots);
  memset(table->slots, 0xFF, slot_count * sizeof *table->slots);
  table->slot_count = slot_count;
  for (uint32_t group = 0; group < table->count; group++)
    place(table, hash_of(tly_group_table_key(table, group)), group);
}

void tly_group_table_index(tly_group_table *table) {
  if (table->is_indexed)
    return;
  uint32_t slot_count = 2 * CAPACITY_MIN;
  while (slot_count < 4 * (uint64_t)table->count)
    slot_count *= 2;
  rebuild_index(table, slot_count);
  table->is_indexed = true;
  check_invariants(table);
}

static uint32_t find(const tly_group_table *table, uint64_t hash, struct tly_text key) {
  uint32_t mask = table->slot_count - 1;
  uint32_t tag = (uint32_t)(hash >> 32);
  for (uint32_t at = (uint32_t)hash & mask; table->slots[at].group != TLY_GROUP_NONE; at = (at + 1) & mask) {
    uint32_t group = table->slots[at].group;
    if (table->slots[at].tag == tag && tly_text_equal(tly_group_table_key(table, group), key))
      return group;
  }
  return TLY_GROUP_NONE;
}

/* --- groups
 * ---------------------------------------------------------------------------------------------------------------- */

static uint32_t append_group(tly_group_table *table, struct tly_text key) {
  TLY_ASSERT(!table->is_drained && table->count < GROUPS_MAX);
  if (table->count == table->capacity)
    set_capacity(table, table->capacity == 0 ? CAPACITY_MIN : 2 * table->capacity);
  uint8_t *record = tly_key_heap_alloc(&table->key_heap, sizeof key.size + key.size);
  memcpy(record, &key.size, sizeof key.size);
  if (key.size > 0)
    memcpy(record + sizeof key.size, key.data, key.size);
  uint32_t group = table->count++;
  table->records[group] = record;
  tly_states_init(table->program, table->part, table->states, group);
  return group;
}

uint32_t tly_group_table_group(tly_group_table *table, const uint8_t *bytes, size_t size) {
  TLY_ASSERT(size <= UINT32_MAX);
  struct tly_text key = {.data = (const char *)bytes, .size = (uint32_t)size};
  if (!table->is_indexed)
    return append_group(table, key);
  uint64_t hash = hash_of(key);
  uint32_t group = find(table, hash, key);
  if (group != TLY_GROUP_NONE)
    return group;
  group = append_group(table, key);
  if (2 * (uint64_t)table->count > table->slot_count)
    rebuild_index(table, 2 * table->slot_count);
  else
    place(table, hash, group);
  check_invariants(table);
  return group;
}

void tly_group_table_add_slice(tly_group_table *table, const struct tly_group_slice *slice) {
  TLY_ASSERT(slice->part == table->part);
  if (!table->is_indexed) {
    tly_group_table_index(table);
    table->epoch++; /* the fold's numbers do not cover all groups any more */
  }
  for (uint32_t row = 0; row < slice->count; row++) {
    uint32_t count_before = table->count;
    uint32_t group = tly_group_table_group(table, (const uint8_t *)slice->keys[row].data, slice->keys[row].size);
    if (group == count_before)
      tly_states_copy(table->program, table->part, table->states, group, slice->states, row, &table->values);
    else if (table->part == 0)
      tly_states_merge(table->program, table->states, group, slice->states, row, &table->values);
  }
  tly_group_table_compact(table);
}

void tly_group_table_compact(tly_group_table *table) {
  if (table->values.allocated_bytes <= 2 * table->values_bytes_compacted + VALUES_SLACK_BYTES)
    return;
  struct tly_arena fresh;
  tly_arena_init(&fresh);
  for (uint32_t c = 0; c < table->program->parts[table->part].component_count; c++) {
    struct tly_state_column *column = &table->states[c];
    for (uint32_t group = 0; column->form == TLY_STATE_DECIMAL && group < table->count; group++)
      column->decimal[group] = tly_state_decimal_copy(column->decimal[group], &fresh);
    for (uint32_t group = 0; column->form == TLY_STATE_TEXT && group < table->count; group++) {
      if (!tly_state_text_is_unset(column->text[group]))
        column->text[group] = tly_state_text_copy(column->text[group], &fresh);
    }
  }
  tly_arena_free(&table->values);
  table->values = fresh;
  table->values_bytes_compacted = fresh.allocated_bytes;
}

/* --- drain
 * ------------------------------------------------------------------------------------------------------------------ */

static void prefetch_group(const tly_group_table *table, uint32_t group) {
  __builtin_prefetch(table->records[group]);
  for (uint32_t c = 0; c < table->program->parts[table->part].component_count; c++)
    __builtin_prefetch((const char *)table->states[c].i64 + group * tly_state_size(table->states[c].form));
}

/* Move groups order[0 ..] into the slice until it has `slice_groups` or TLY_SLICE_BYTES_MAX; gives how many. The keys
 * stay where they are in the table's heap. */
static uint32_t fill_slice(tly_group_table *table, const uint32_t *order, uint32_t left, uint32_t slice_groups,
                           struct tly_group_slice *slice) {
  enum { PREFETCH_AHEAD = 12 };
  uint32_t room = left < slice_groups ? left : slice_groups;
  tly_group_slice_reset(slice);
  slice->keys = TLY_ARENA_ARRAY(&slice->arena, struct tly_text, room);
  tly_states_reserve(table->program, table->part, slice->states, room, &slice->arena);
  size_t bytes = 0;
  while (slice->count < room && (slice->count == 0 || bytes < TLY_SLICE_BYTES_MAX)) {
    if (slice->count + PREFETCH_AHEAD < left)
      prefetch_group(table, order[slice->count + PREFETCH_AHEAD]);
    uint32_t group = order[slice->count], row = slice->count++;
    slice->keys[row] = tly_group_table_key(table, group);
    tly_states_move(table->program, table->part, slice->states, row, table->states, group);
    bytes += slice->keys[row].size;
    bytes += tly_states_text_bytes(table->program, table->part, slice->states, row);
  }
  return slice->count;
}

/* What the visitor has not seen when it stops keeps nobody's memory. */
static void release_rest(tly_group_table *table, const uint32_t *order, uint32_t count) {
  for (uint32_t c = 0; c < table->program->parts[table->part].component_count; c++) {
    for (uint32_t i = 0; table->states[c].form == TLY_STATE_EXACT_SUM && i < count; i++)
      tly_exact_sum_free(&table->states[c].exact_sum[order[i]]);
  }
}

enum tly_status tly_group_table_drain(tly_group_table *table, uint32_t slice_groups, tly_group_slice_visit visit,
                                      void *context, struct tly_error *error) {
  TLY_ASSERT(slice_groups > 0 && !table->is_drained);
  enum tly_status status = TLY_OK;
  uint32_t *order = tly_group_sort(table->records, table->count);
  struct tly_group_slice slice;
  tly_group_slice_init(&slice, table->program, table->part);
  table->is_drained = true;
  table->epoch++;
  uint32_t done = 0;
  while (status == TLY_OK && done < table->count) {
    done += fill_slice(table, order + done, table->count - done, slice_groups, &slice);
    status = visit(context, &slice, error);
  }
  release_rest(table, order + done, table->count - done);
  tly_group_slice_free(&slice);
  tly_free(order);
  return status;
}
