/* Slices are sorted tables of columns, so a range of their rows is the same columns seen from further on: a window
 * costs a few pointers. A copy is deep: text, wide decimals and exact sums move into the copy, since what is borrowed
 * from a table or a block ends with it. */
#include "common/store/slice.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

static uint32_t component_count(const struct tly_group_slice *slice) {
  return slice->program->parts[slice->part].component_count;
}

uint32_t tly_slice_lower_bound(const struct tly_group_slice *slice, struct tly_text key) {
  uint32_t low = 0, high = slice->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (tly_key_compare(slice->keys[middle].data, slice->keys[middle].size, key.data, key.size) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void tly_slice_window_init(struct tly_slice_window *window, const struct tly_view_program *program, uint32_t part) {
  memset(window, 0, sizeof *window);
  window->slice.program = program;
  window->slice.part = part;
  window->slice.states = tly_calloc(program->parts[part].component_count, sizeof *window->slice.states);
}

void tly_slice_window_free(struct tly_slice_window *window) {
  tly_free(window->slice.states);
  window->slice.states = NULL;
}

static size_t element_size(enum tly_state_form form) {
  switch (form) {
  case TLY_STATE_I64: return sizeof(int64_t);
  case TLY_STATE_I128: return sizeof(tly_i128);
  case TLY_STATE_F64: return sizeof(double);
  case TLY_STATE_DECIMAL: return sizeof(struct tly_decimal);
  case TLY_STATE_TEXT: return sizeof(struct tly_text);
  case TLY_STATE_EXACT_SUM: return sizeof(struct tly_exact_sum);
  }
  TLY_UNREACHABLE();
}

const struct tly_group_slice *tly_slice_window_set(struct tly_slice_window *window, const struct tly_group_slice *from,
                                                   uint32_t first, uint32_t end) {
  TLY_ASSERT(first <= end && end <= from->count);
  window->slice.count = end - first;
  window->slice.keys = from->keys + first;
  for (uint32_t c = 0; c < component_count(from); c++) {
    const struct tly_state_column *column = &from->states[c];
    struct tly_state_column *seen = &window->slice.states[c];
    seen->form = column->form;
    seen->empty = column->empty != NULL ? column->empty + first : NULL;
    seen->i64 = (int64_t *)((char *)column->i64 + first * element_size(column->form));
  }
  return &window->slice;
}

void tly_slice_copy_init(struct tly_slice_copy *copy, const struct tly_view_program *program, uint32_t part) {
  memset(copy, 0, sizeof *copy);
  tly_group_slice_init(&copy->slice, program, part);
}

void tly_slice_copy_free(struct tly_slice_copy *copy) {
  tly_group_slice_free(&copy->slice);
}

/* Room for `capacity` rows in a slice without rows. */
static void make_columns(struct tly_slice_copy *copy, uint32_t capacity) {
  struct tly_group_slice *slice = &copy->slice;
  const struct tly_view_program *program = slice->program;
  copy->capacity = capacity;
  slice->keys = TLY_ARENA_ARRAY(&slice->arena, struct tly_text, capacity);
  slice->states = TLY_ARENA_ARRAY(&slice->arena, struct tly_state_column, component_count(slice));
  for (uint32_t c = 0; c < component_count(slice); c++) {
    struct tly_state_column *column = &slice->states[c];
    column->form = program->components[c].form;
    if (program->components[c].nullable)
      column->empty = TLY_ARENA_ARRAY(&slice->arena, uint8_t, capacity);
    column->i64 = tly_arena_zero(&slice->arena, capacity * element_size(column->form));
  }
}

void tly_slice_copy_reset(struct tly_slice_copy *copy, uint32_t capacity) {
  tly_group_slice_reset(&copy->slice);
  make_columns(copy, capacity);
}

static void copy_keys(struct tly_group_slice *into, const struct tly_group_slice *from, uint32_t first, uint32_t end) {
  size_t size = 0;
  for (uint32_t row = first; row < end; row++)
    size += from->keys[row].size;
  char *place = tly_arena_alloc(&into->arena, size);
  for (uint32_t row = first; row < end; row++) {
    struct tly_text *key = &into->keys[into->count + row - first];
    *key = (struct tly_text){.data = place, .size = from->keys[row].size};
    if (key->size > 0)
      memcpy(place, from->keys[row].data, key->size);
    place += key->size;
  }
}

static struct tly_decimal copy_decimal(struct tly_decimal value, struct tly_arena *arena) {
  size_t limbs = (size_t)(value.limb_count < 0 ? -value.limb_count : value.limb_count);
  if (limbs > 2)
    value.limbs = (const uint64_t *)(void *)tly_arena_copy(arena, value.limbs, limbs * sizeof(uint64_t));
  return value;
}

static void copy_states(struct tly_group_slice *into, struct tly_state_column *column,
                        const struct tly_state_column *from, uint32_t first, uint32_t count) {
  uint32_t place = into->count;
  if (column->empty != NULL)
    memcpy(column->empty + place, from->empty + first, count);
  if (column->form == TLY_STATE_EXACT_SUM) {
    for (uint32_t i = 0; i < count; i++) {
      tly_exact_sum_init(&column->exact_sum[place + i]);
      tly_exact_sum_merge(&column->exact_sum[place + i], &from->exact_sum[first + i]);
    }
    return;
  }
  size_t size = element_size(column->form);
  memcpy((char *)column->i64 + place * size, (const char *)from->i64 + first * size, count * size);
  for (uint32_t i = 0; column->form == TLY_STATE_DECIMAL && i < count; i++)
    column->decimal[place + i] = copy_decimal(column->decimal[place + i], &into->arena);
  for (uint32_t i = 0; column->form == TLY_STATE_TEXT && i < count; i++) {
    struct tly_text *text = &column->text[place + i];
    if (text->data != NULL) /* NULL marks a state without a value */
      text->data = tly_arena_copy(&into->arena, text->data, text->size);
  }
}

size_t tly_slice_row_bytes(const struct tly_group_slice *slice, uint32_t row) {
  size_t bytes = slice->keys[row].size;
  for (uint32_t c = 0; c < component_count(slice); c++)
    if (slice->states[c].form == TLY_STATE_TEXT)
      bytes += slice->states[c].text[row].size;
  return bytes;
}

void tly_slice_copy_append(struct tly_slice_copy *copy, const struct tly_group_slice *from, uint32_t first,
                           uint32_t end) {
  struct tly_group_slice *into = &copy->slice;
  TLY_ASSERT(first <= end && end <= from->count);
  TLY_ASSERT(into->count + (end - first) <= copy->capacity);
  if (first == end)
    return;
  copy_keys(into, from, first, end);
  TLY_ASSERT(into->count == 0 || tly_key_compare(into->keys[into->count - 1].data, into->keys[into->count - 1].size,
                                                 into->keys[into->count].data, into->keys[into->count].size) < 0);
  for (uint32_t c = 0; c < component_count(into); c++)
    copy_states(into, &into->states[c], &from->states[c], first, end - first);
  into->count += end - first;
}

enum { ARENA_ALIGNMENT = 16 };

/* Bytes one allocation of `size` takes of an arena, at most. */
static size_t arena_bytes(size_t size) {
  return size + 1 + ARENA_ALIGNMENT;
}

static size_t limb_bytes(struct tly_decimal value) {
  size_t limbs = (size_t)(value.limb_count < 0 ? -value.limb_count : value.limb_count);
  return limbs > 2 ? arena_bytes(limbs * sizeof(uint64_t)) : 0;
}

/* What a copy of `from` takes of its arena, at most. */
static size_t bytes_of_copy(const struct tly_group_slice *from) {
  size_t keys = 0;
  for (uint32_t row = 0; row < from->count; row++)
    keys += from->keys[row].size;
  size_t bytes = arena_bytes(from->count * sizeof(struct tly_text)) + arena_bytes(keys);
  bytes += arena_bytes(component_count(from) * sizeof(struct tly_state_column));
  for (uint32_t c = 0; c < component_count(from); c++) {
    const struct tly_state_column *column = &from->states[c];
    bytes += arena_bytes(from->count * element_size(column->form)) + arena_bytes(from->count);
    for (uint32_t row = 0; column->form == TLY_STATE_TEXT && row < from->count; row++)
      bytes += arena_bytes(column->text[row].size);
    for (uint32_t row = 0; column->form == TLY_STATE_DECIMAL && row < from->count; row++)
      bytes += limb_bytes(column->decimal[row]);
  }
  return bytes;
}

void tly_slice_copy_whole(struct tly_slice_copy *copy, const struct tly_group_slice *from) {
  const struct tly_view_program *program = copy->slice.program;
  uint32_t part = copy->slice.part;
  tly_group_slice_free(&copy->slice);
  copy->slice = (struct tly_group_slice){.program = program, .part = part};
  tly_arena_init(&copy->slice.arena);
  tly_arena_alloc(&copy->slice.arena, bytes_of_copy(from)); /* a first block, into which all that follows fits */
  tly_arena_reset(&copy->slice.arena);
  make_columns(copy, from->count);
  tly_slice_copy_append(copy, from, 0, from->count);
}

size_t tly_slice_copy_bytes(const struct tly_slice_copy *copy) {
  return copy->slice.arena.allocated_bytes;
}
