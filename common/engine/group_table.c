/* Groups are numbered in the order in which they come. A group is a row: the states of all components, so that an event
 * that touches several of them touches one or two cache lines, and before them the address of its key record, unless
 * the table is numbered (group_access.h). (Slices have columns instead: they are coded, merged and finished column by
 * column.) `as_columns` shows one row as columns of one element, for the functions that know columns. An initial state
 * points to nothing, so a new row is a copy of one made beforehand.
 *
 * Rows start at a cache line, so that those of 64 bytes are one line and not two, and lie on huge pages when they are
 * many: a group is met at random.
 *
 * The index by key (open addressing, a slot is the hash, of 32 bits, and the group's number) exists only from the
 * moment it is needed: a fold that alone fills a table never needs it.
 *
 * Texts and wide decimals in states are replaced by new ones all the time; what they leave behind in `values` is given
 * back by copying the living ones over when the arena has doubled since the last time.
 *
 * INVARIANTS (check_invariants)
 *   (1) count <= capacity; rows below count are initialised.
 *   (2) No two groups have the same key.
 *   (3) is_indexed: every group is in exactly one slot, and at most half of the slots are used. */
#include "common/engine/group_table.h"

#include <string.h>
#define XXH_INLINE_ALL /* short keys are hashed without a call */
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_access.h"
#include "common/engine/group_sort.h"
#include "common/engine/group_state.h"
#include "common/engine/hash_seed.h"
#include "common/engine/key_heap.h"

enum { CAPACITY_MIN = 64, GROUPS_MAX = 1 << 30, VALUES_SLACK_BYTES = 1 << 20, KEEP_CAPACITY = 1024 };
enum { ROW_ALIGNMENT = 8, CACHED_BYTES = 256 << 10 };

struct slot {
  uint32_t hash;
  uint32_t group; /* TLY_GROUP_NONE: free */
};

struct tly_group_table {
  const struct tly_view_program *program;
  uint32_t part, component_count;
  uint32_t count, capacity;
  uint8_t *rows;
  uint8_t *initial_row; /* states that have met nothing; copied for each new group */
  size_t row_bytes;
  size_t *offsets, *empty_offsets; /* in a row, a component each; empty: 0 when there is none */
  struct tly_key_heap key_heap;
  struct tly_arena layout;          /* of offsets and columns */
  struct tly_state_column *columns; /* for as_columns */
  struct tly_arena values;
  size_t values_bytes_compacted;
  bool is_indexed;
  bool is_drained;
  bool has_texts;        /* among the states */
  tly_group_drain drain; /* of a numbered table, else NULL */
  void *drain_context;
  struct slot *slots;
  uint32_t slot_count; /* a power of two, or 0 */
  uint64_t epoch;
};

static void check_invariants(const tly_group_table *table) {
  TLY_ASSERT(table->count <= table->capacity && table->capacity <= GROUPS_MAX);
  TLY_ASSERT(!table->is_indexed || table->slot_count >= 2 * (uint64_t)table->count);
  TLY_ASSERT((table->slot_count & (table->slot_count - 1)) == 0);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static bool goes_in_pass(enum tly_state_form form, int pass) {
  bool is_word = form == TLY_STATE_I64 || form == TLY_STATE_F64;
  return pass == 0 ? is_word : pass == 1 ? form == TLY_STATE_I128 : !is_word && form != TLY_STATE_I128;
}

static size_t round_up(size_t size, size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

/* The record's address, then words, 128-bit integers, the rest, and last the bytes that say empty. */
static void lay_out(tly_group_table *table) {
  size_t at = table->drain == NULL ? sizeof(const uint8_t *) : 0;
  for (int pass = 0; pass < 3; pass++) {
    for (uint32_t c = 0; c < table->component_count; c++) {
      enum tly_state_form form = table->columns[c].form;
      if (!goes_in_pass(form, pass))
        continue;
      table->has_texts |= form == TLY_STATE_TEXT;
      table->offsets[c] = at;
      at += round_up(tly_state_size(form), ROW_ALIGNMENT);
    }
  }
  for (uint32_t c = 0; c < table->component_count; c++)
    table->empty_offsets[c] = table->program->components[c].nullable ? at++ : 0;
  table->row_bytes = at > 0 ? round_up(at, ROW_ALIGNMENT) : ROW_ALIGNMENT;
}

static uint8_t *row_of(const tly_group_table *table, uint32_t group) {
  return table->rows + group * table->row_bytes;
}

static const uint8_t *record_of(const tly_group_table *table, uint32_t group) {
  const uint8_t *record;
  TLY_ASSERT(table->drain == NULL);
  memcpy(&record, row_of(table, group), sizeof record);
  return record;
}

static void show_row(const tly_group_table *table, uint8_t *row, struct tly_state_column *columns) {
  for (uint32_t c = 0; c < table->component_count; c++) {
    columns[c].i64 = (int64_t *)(void *)(row + table->offsets[c]);
    columns[c].empty = table->program->components[c].nullable ? row + table->empty_offsets[c] : NULL;
  }
}

void tly_group_table_show(const tly_group_table *table, uint32_t group, struct tly_state_column *columns) {
  TLY_ASSERT(group < table->count);
  show_row(table, row_of(table, group), columns);
}

/* The states of a row as columns whose row 0 they are, until the next call. */
static struct tly_state_column *columns_of(const tly_group_table *table, uint8_t *row) {
  show_row(table, row, table->columns);
  return table->columns;
}

static struct tly_state_column *as_columns(const tly_group_table *table, uint32_t group) {
  return columns_of(table, row_of(table, group));
}

struct tly_state_field tly_group_table_field(const tly_group_table *table, uint32_t component) {
  TLY_ASSERT(component < table->component_count);
  bool is_nullable = table->program->components[component].nullable;
  return (struct tly_state_field){.form = table->columns[component].form,
                                  .values = table->rows + table->offsets[component],
                                  .empty = is_nullable ? table->rows + table->empty_offsets[component] : NULL,
                                  .stride = table->row_bytes};
}

static size_t rows_bytes(const tly_group_table *table, uint32_t capacity) {
  return capacity * table->row_bytes;
}

static void set_capacity(tly_group_table *table, uint32_t capacity) {
  uint8_t *before = table->rows;
  table->rows = capacity > 0 ? tly_large_alloc(rows_bytes(table, capacity)) : NULL;
  if (capacity > 0 && table->count > 0)
    memcpy(table->rows, before, rows_bytes(table, table->count));
  if (before != NULL)
    tly_large_free(before, rows_bytes(table, table->capacity));
  table->capacity = capacity;
}

static void grow(tly_group_table *table) {
  set_capacity(table, table->capacity == 0 ? CAPACITY_MIN : 2 * table->capacity);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static tly_group_table *new_table(const struct tly_view_program *program, uint32_t part, tly_group_drain drain,
                                  void *context) {
  TLY_ASSERT(part < program->part_count);
  tly_group_table *table = tly_calloc(1, sizeof *table);
  table->drain = drain;
  table->drain_context = context;
  table->program = program;
  table->part = part;
  table->component_count = program->parts[part].component_count;
  tly_arena_init(&table->values);
  tly_arena_init(&table->layout);
  table->columns = tly_states_new(program, part, &table->layout);
  table->offsets = TLY_ARENA_ARRAY(&table->layout, size_t, table->component_count);
  table->empty_offsets = TLY_ARENA_ARRAY(&table->layout, size_t, table->component_count);
  lay_out(table);
  table->initial_row = tly_arena_zero(&table->layout, table->row_bytes);
  tly_states_init(program, part, columns_of(table, table->initial_row), 0);
  return table;
}

tly_group_table *tly_group_table_new(const struct tly_view_program *program, uint32_t part) {
  return new_table(program, part, NULL, NULL);
}

tly_group_table *tly_group_table_new_numbered(const struct tly_view_program *program, tly_group_drain drain,
                                              void *context) {
  TLY_ASSERT(drain != NULL);
  return new_table(program, 0, drain, context);
}

/* Give back what the exact sums of one group hold. */
static void release_group(tly_group_table *table, uint32_t group) {
  tly_states_release(table->program, table->part, as_columns(table, group), 1);
}

static bool has_exact_sums(const tly_group_table *table) {
  for (uint32_t c = 0; c < table->component_count; c++) {
    if (table->columns[c].form == TLY_STATE_EXACT_SUM)
      return true;
  }
  return false;
}

void tly_group_table_free(tly_group_table *table) {
  if (table == NULL)
    return;
  tly_group_table_clear(table);
  set_capacity(table, 0);
  tly_free(table->slots);
  tly_arena_free(&table->values);
  tly_arena_free(&table->layout);
  tly_free(table);
}

/* Memory of a rush is not kept for ever: a table that is cleared keeps room for as many groups as it had. */
void tly_group_table_clear(tly_group_table *table) {
  check_invariants(table);
  for (uint32_t group = 0; !table->is_drained && has_exact_sums(table) && group < table->count; group++)
    release_group(table, group);
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

/* Of a large array only what has been touched is memory. */
size_t tly_group_table_bytes(const tly_group_table *table) {
  size_t rows = rows_bytes(table, table->capacity);
  return (rows < TLY_LARGE_BYTES ? rows : rows_bytes(table, table->count)) + table->slot_count * sizeof *table->slots +
         table->key_heap.allocated_bytes + table->values.allocated_bytes;
}

uint64_t tly_group_table_epoch(const tly_group_table *table) {
  return table->epoch;
}

static struct tly_text key_of(const tly_group_table *table, uint32_t group) {
  TLY_ASSERT(group < table->count);
  return tly_key_record_text(record_of(table, group));
}

struct tly_arena *tly_group_table_values(tly_group_table *table) {
  return &table->values;
}

/* --- index -------------------------------------------------------------------------------------------------------- */

static uint32_t hash_of(const tly_group_table *table, struct tly_text key) {
  return (uint32_t)XXH3_64bits_withSeed(key.data, key.size, tly_hash_seed(table));
}

static void place(tly_group_table *table, uint32_t hash, uint32_t group) {
  uint32_t mask = table->slot_count - 1;
  uint32_t at = hash & mask;
  while (table->slots[at].group != TLY_GROUP_NONE)
    at = (at + 1) & mask;
  table->slots[at] = (struct slot){.hash = hash, .group = group};
}

static void make_slots(tly_group_table *table, uint32_t slot_count) {
  table->slots = tly_malloc(slot_count * sizeof *table->slots);
  memset(table->slots, 0xFF, slot_count * sizeof *table->slots);
  table->slot_count = slot_count;
}

/* A slot's place follows from its hash: no key is read. */
static void grow_slots(tly_group_table *table) {
  struct slot *before = table->slots;
  uint32_t count_before = table->slot_count;
  make_slots(table, 2 * count_before);
  for (uint32_t at = 0; at < count_before; at++) {
    if (before[at].group != TLY_GROUP_NONE)
      place(table, before[at].hash, before[at].group);
  }
  tly_free(before);
}

static void make_index(tly_group_table *table) {
  if (table->is_indexed)
    return;
  uint32_t slot_count = 2 * CAPACITY_MIN;
  while (slot_count < 4 * (uint64_t)table->count)
    slot_count *= 2;
  make_slots(table, slot_count);
  for (uint32_t group = 0; group < table->count; group++)
    place(table, hash_of(table, key_of(table, group)), group);
  table->is_indexed = true;
  check_invariants(table);
}

static uint32_t find(const tly_group_table *table, uint32_t hash, struct tly_text key) {
  uint32_t mask = table->slot_count - 1;
  for (uint32_t at = hash & mask; table->slots[at].group != TLY_GROUP_NONE; at = (at + 1) & mask) {
    uint32_t group = table->slots[at].group;
    if (table->slots[at].hash == hash && tly_text_equal(key_of(table, group), key))
      return group;
  }
  return TLY_GROUP_NONE;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static uint32_t append_row(tly_group_table *table) {
  TLY_ASSERT(!table->is_drained && table->count < GROUPS_MAX);
  if (table->count == table->capacity)
    grow(table);
  uint32_t group = table->count++;
  memcpy(row_of(table, group), table->initial_row, table->row_bytes);
  return group;
}

void tly_group_table_extend(tly_group_table *table, uint32_t count) {
  TLY_ASSERT(table->drain != NULL && count >= table->count);
  while (table->count < count)
    append_row(table);
}

static uint32_t append_group(tly_group_table *table, struct tly_text key) {
  uint32_t group = append_row(table);
  const uint8_t *record = tly_key_record_new(&table->key_heap, group, key);
  memcpy(row_of(table, group), &record, sizeof record);
  return group;
}

void tly_group_table_append(tly_group_table *table, const uint8_t *key, size_t size) {
  TLY_ASSERT(!table->is_indexed && size <= UINT32_MAX);
  append_group(table, (struct tly_text){.data = (const char *)key, .size = (uint32_t)size});
}

/* The number of the group with this key, which is added in initial states if it is not there. */
static uint32_t find_or_add(tly_group_table *table, struct tly_text key) {
  uint32_t hash = hash_of(table, key);
  uint32_t group = find(table, hash, key);
  if (group != TLY_GROUP_NONE)
    return group;
  group = append_group(table, key);
  if (2 * (uint64_t)table->count > table->slot_count)
    grow_slots(table);
  place(table, hash, group);
  check_invariants(table);
  return group;
}

void tly_group_table_add_slice(tly_group_table *table, const struct tly_group_slice *slice) {
  TLY_ASSERT(slice->part == table->part && table->drain == NULL);
  make_index(table);
  for (uint32_t row = 0; row < slice->count; row++) {
    uint32_t count_before = table->count;
    uint32_t group = find_or_add(table, slice->keys[row]);
    if (group == count_before)
      tly_states_copy(table->program, table->part, as_columns(table, group), 0, slice->states, row, &table->values);
    else if (table->part == 0)
      tly_states_merge(table->program, as_columns(table, group), 0, slice->states, row, &table->values);
  }
  tly_group_table_compact(table);
}

/* --- what the fold and its union do ------------------------------------------------------------------------------- */

bool tly_group_table_is_far(const tly_group_table *table) {
  return table->count * table->row_bytes >= CACHED_BYTES;
}

const uint8_t *tly_group_table_row(const tly_group_table *table, uint32_t group) {
  return row_of(table, group);
}

bool tly_group_table_has_texts(const tly_group_table *table) {
  return table->has_texts;
}

void tly_group_table_borrow(const tly_group_table *table, uint32_t group, struct tly_state_column *states,
                            uint32_t row) {
  const uint8_t *from = row_of(table, group);
  for (uint32_t c = 0; c < table->component_count; c++) {
    const uint8_t *state = from + table->offsets[c];
    if (states[c].empty != NULL)
      states[c].empty[row] = from[table->empty_offsets[c]];
    switch (states[c].form) {
    case TLY_STATE_I64:
    case TLY_STATE_F64: memcpy(&states[c].i64[row], state, sizeof(int64_t)); break;
    case TLY_STATE_I128: memcpy(&states[c].i128[row], state, sizeof(tly_i128)); break;
    case TLY_STATE_DECIMAL: memcpy(&states[c].decimal[row], state, sizeof(struct tly_decimal)); break;
    case TLY_STATE_TEXT: memcpy(&states[c].text[row], state, sizeof(struct tly_text)); break;
    case TLY_STATE_EXACT_SUM:
      tly_exact_sum_init(&states[c].exact_sum[row]);
      tly_exact_sum_merge(&states[c].exact_sum[row], (const struct tly_exact_sum *)(const void *)state);
      break;
    }
  }
}

void tly_group_table_compact(tly_group_table *table) {
  if (table->values.allocated_bytes <= 2 * table->values_bytes_compacted + VALUES_SLACK_BYTES)
    return;
  struct tly_arena fresh;
  tly_arena_init(&fresh);
  for (uint32_t group = 0; group < table->count; group++) {
    struct tly_state_column *states = as_columns(table, group);
    for (uint32_t c = 0; c < table->component_count; c++) {
      if (states[c].form == TLY_STATE_DECIMAL)
        states[c].decimal[0] = tly_state_decimal_copy(states[c].decimal[0], &fresh);
      if (states[c].form == TLY_STATE_TEXT && !tly_state_text_is_unset(states[c].text[0]))
        states[c].text[0] = tly_state_text_copy(states[c].text[0], &fresh);
    }
  }
  tly_arena_free(&table->values);
  table->values = fresh;
  table->values_bytes_compacted = fresh.allocated_bytes;
}

/* --- drain -------------------------------------------------------------------------------------------------------- */

/* Move the groups of records[0 ..] into the slice until it has `slice_groups` or TLY_SLICE_BYTES_MAX; gives how many.
 * The keys stay where they are in the table's heap. */
static uint32_t fill_slice(tly_group_table *table, const uint8_t *const *records, uint32_t left, uint32_t slice_groups,
                           struct tly_group_slice *slice) {
  enum { PREFETCH_RECORDS = 24, PREFETCH_ROWS = 12 };
  uint32_t room = left < slice_groups ? left : slice_groups;
  tly_group_slice_reset(slice);
  slice->keys = TLY_ARENA_ARRAY(&slice->arena, struct tly_text, room);
  tly_states_reserve(table->program, table->part, slice->states, room, &slice->arena);
  size_t bytes = 0;
  while (slice->count < room && (slice->count == 0 || bytes < TLY_SLICE_BYTES_MAX)) {
    uint32_t row = slice->count++;
    if (row + PREFETCH_RECORDS < left)
      __builtin_prefetch(records[row + PREFETCH_RECORDS]);
    if (row + PREFETCH_ROWS < left)
      __builtin_prefetch(row_of(table, tly_key_record_group(records[row + PREFETCH_ROWS])));
    uint32_t group = tly_key_record_group(records[row]);
    slice->keys[row] = tly_key_record_text(records[row]);
    tly_states_move(table->program, table->part, slice->states, row, as_columns(table, group), 0);
    bytes += slice->keys[row].size;
    bytes += tly_states_text_bytes(table->program, table->part, slice->states, row);
  }
  return slice->count;
}

enum tly_status tly_group_table_drain(tly_group_table *table, uint32_t slice_groups, tly_group_slice_visit visit,
                                      void *context, struct tly_error *error) {
  TLY_ASSERT(slice_groups > 0 && !table->is_drained);
  if (table->drain != NULL)
    return table->drain(table->drain_context, slice_groups, visit, context, error);
  enum tly_status status = TLY_OK;
  const uint8_t **records = tly_malloc(table->count * sizeof *records);
  for (uint32_t group = 0; group < table->count; group++)
    records[group] = record_of(table, group);
  tly_group_sort(records, table->count);
  struct tly_group_slice slice;
  tly_group_slice_init(&slice, table->program, table->part);
  table->is_drained = true;
  table->epoch++;
  uint32_t done = 0;
  while (status == TLY_OK && done < table->count) {
    done += fill_slice(table, records + done, table->count - done, slice_groups, &slice);
    status = visit(context, &slice, error);
  }
  for (; done < table->count && has_exact_sums(table); done++) /* what a visitor that stopped has not seen */
    release_group(table, tly_key_record_group(records[done]));
  tly_group_slice_free(&slice);
  tly_free(records);
  return status;
}
