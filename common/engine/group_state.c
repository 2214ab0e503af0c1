#include "common/engine/group_state.h"

#include <math.h>
#include <string.h>

#define I128_MAX ((tly_i128)(((tly_u128)1 << 127) - 1))
#define I128_MIN (-I128_MAX - 1)

size_t tly_state_size(enum tly_state_form form) {
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

struct tly_state_column *tly_states_new(const struct tly_view_program *program, uint32_t part,
                                        struct tly_arena *arena) {
  uint32_t count = program->parts[part].component_count;
  struct tly_state_column *states = TLY_ARENA_ARRAY(arena, struct tly_state_column, count);
  for (uint32_t c = 0; c < count; c++)
    states[c].form = program->components[c].form;
  return states;
}

void tly_states_reserve(const struct tly_view_program *program, uint32_t part, struct tly_state_column *states,
                        uint32_t count, struct tly_arena *arena) {
  for (uint32_t c = 0; c < program->parts[part].component_count; c++) {
    states[c].empty = program->components[c].nullable ? tly_arena_alloc(arena, count) : NULL;
    states[c].i64 = tly_arena_alloc(arena, count * tly_state_size(states[c].form));
  }
}

static void init_extreme(struct tly_state_column *column, uint32_t row, bool is_min) {
  switch (column->form) {
  case TLY_STATE_I64: column->i64[row] = is_min ? INT64_MAX : INT64_MIN; return;
  case TLY_STATE_I128: column->i128[row] = is_min ? I128_MAX : I128_MIN; return;
  case TLY_STATE_F64: column->f64[row] = is_min ? (double)INFINITY : (double)-INFINITY; return;
  case TLY_STATE_DECIMAL: column->decimal[row] = (struct tly_decimal){.scale = -1}; return;
  case TLY_STATE_TEXT: column->text[row] = (struct tly_text){.data = NULL}; return;
  case TLY_STATE_EXACT_SUM: break;
  }
  TLY_UNREACHABLE();
}

static void init_sum(struct tly_state_column *column, uint32_t row) {
  switch (column->form) {
  case TLY_STATE_I64: column->i64[row] = 0; return;
  case TLY_STATE_I128: column->i128[row] = 0; return;
  case TLY_STATE_DECIMAL: column->decimal[row] = tly_decimal_of_i64(0, 0); return;
  case TLY_STATE_EXACT_SUM: tly_exact_sum_init(&column->exact_sum[row]); return;
  case TLY_STATE_F64:
  case TLY_STATE_TEXT: break;
  }
  TLY_UNREACHABLE();
}

void tly_state_init(const struct tly_component *component, struct tly_state_column *column, uint32_t row) {
  enum tly_component_kind kind = component->kind;
  if (column->empty != NULL)
    column->empty[row] = 1;
  if (kind == TLY_COMPONENT_MIN || kind == TLY_COMPONENT_MAX)
    init_extreme(column, row, kind == TLY_COMPONENT_MIN);
  else
    init_sum(column, row);
}

void tly_states_init(const struct tly_view_program *program, uint32_t part, struct tly_state_column *states,
                     uint32_t row) {
  for (uint32_t c = 0; c < program->parts[part].component_count; c++)
    tly_state_init(&program->components[c], &states[c], row);
}

void tly_states_release(const struct tly_view_program *program, uint32_t part, struct tly_state_column *states,
                        uint32_t count) {
  for (uint32_t c = 0; c < program->parts[part].component_count; c++) {
    for (uint32_t row = 0; states[c].form == TLY_STATE_EXACT_SUM && row < count; row++)
      tly_exact_sum_free(&states[c].exact_sum[row]);
  }
}

struct tly_decimal tly_state_decimal_copy(struct tly_decimal value, struct tly_arena *arena) {
  uint32_t limb_count = (uint32_t)(value.limb_count < 0 ? -value.limb_count : value.limb_count);
  if (limb_count > 2)
    value.limbs = (const uint64_t *)(void *)tly_arena_copy(arena, value.limbs, limb_count * sizeof *value.limbs);
  return value;
}

struct tly_text tly_state_text_copy(struct tly_text text, struct tly_arena *arena) {
  return (struct tly_text){.data = tly_arena_copy(arena, text.data, text.size), .size = text.size};
}

static void move_element(struct tly_state_column *into, uint32_t into_row, const struct tly_state_column *from,
                         uint32_t from_row) {
  size_t size = tly_state_size(into->form);
  if (into->empty != NULL)
    into->empty[into_row] = from->empty[from_row];
  memcpy((char *)into->i64 + into_row * size, (const char *)from->i64 + from_row * size, size);
}

void tly_states_move(const struct tly_view_program *program, uint32_t part, struct tly_state_column *into,
                     uint32_t into_row, const struct tly_state_column *from, uint32_t from_row) {
  for (uint32_t c = 0; c < program->parts[part].component_count; c++)
    move_element(&into[c], into_row, &from[c], from_row);
}

void tly_state_copy(struct tly_state_column *into, uint32_t into_row, const struct tly_state_column *from,
                    uint32_t from_row, struct tly_arena *arena) {
  move_element(into, into_row, from, from_row);
  switch (into->form) {
  case TLY_STATE_DECIMAL: into->decimal[into_row] = tly_state_decimal_copy(into->decimal[into_row], arena); return;
  case TLY_STATE_TEXT:
    if (!tly_state_text_is_unset(into->text[into_row]))
      into->text[into_row] = tly_state_text_copy(into->text[into_row], arena);
    return;
  case TLY_STATE_EXACT_SUM:
    tly_exact_sum_init(&into->exact_sum[into_row]);
    tly_exact_sum_merge(&into->exact_sum[into_row], &from->exact_sum[from_row]);
    return;
  case TLY_STATE_I64:
  case TLY_STATE_I128:
  case TLY_STATE_F64: return;
  }
  TLY_UNREACHABLE();
}

void tly_states_copy(const struct tly_view_program *program, uint32_t part, struct tly_state_column *into,
                     uint32_t into_row, const struct tly_state_column *from, uint32_t from_row,
                     struct tly_arena *arena) {
  for (uint32_t c = 0; c < program->parts[part].component_count; c++)
    tly_state_copy(&into[c], into_row, &from[c], from_row, arena);
}

size_t tly_states_text_bytes(const struct tly_view_program *program, uint32_t part,
                             const struct tly_state_column *states, uint32_t row) {
  size_t bytes = 0;
  for (uint32_t c = 0; c < program->parts[part].component_count; c++) {
    if (states[c].form == TLY_STATE_TEXT)
      bytes += states[c].text[row].size;
  }
  return bytes;
}

/* --- where two states meet ---------------------------------------------------------------------------------------- */

/* The limit on summands (limits.h) keeps every sum within a decimal's digits. */
static struct tly_decimal add(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena) {
  struct tly_decimal sum;
  enum tly_status status = tly_decimal_add(a, b, arena, &sum, NULL);
  TLY_ASSERT(status == TLY_OK);
  return sum;
}

static void merge_sum(struct tly_state_column *into, uint32_t into_row, const struct tly_state_column *from,
                      uint32_t from_row, struct tly_arena *arena) {
  switch (into->form) {
  case TLY_STATE_I64: into->i64[into_row] += from->i64[from_row]; return;
  case TLY_STATE_I128: into->i128[into_row] += from->i128[from_row]; return;
  case TLY_STATE_DECIMAL:
    into->decimal[into_row] = add(into->decimal[into_row], from->decimal[from_row], arena);
    return;
  case TLY_STATE_EXACT_SUM: tly_exact_sum_merge(&into->exact_sum[into_row], &from->exact_sum[from_row]); return;
  case TLY_STATE_F64:
  case TLY_STATE_TEXT: break;
  }
  TLY_UNREACHABLE();
}

/* <0, 0, >0; both have a value. */
static int compare_states(const struct tly_state_column *a, uint32_t a_row, const struct tly_state_column *b,
                          uint32_t b_row) {
  switch (a->form) {
  case TLY_STATE_I64: return (a->i64[a_row] > b->i64[b_row]) - (a->i64[a_row] < b->i64[b_row]);
  case TLY_STATE_I128: return (a->i128[a_row] > b->i128[b_row]) - (a->i128[a_row] < b->i128[b_row]);
  case TLY_STATE_F64: return (a->f64[a_row] > b->f64[b_row]) - (a->f64[a_row] < b->f64[b_row]);
  case TLY_STATE_DECIMAL: return tly_decimal_compare(a->decimal[a_row], b->decimal[b_row]);
  case TLY_STATE_TEXT: return tly_text_compare(a->text[a_row], b->text[b_row]);
  case TLY_STATE_EXACT_SUM: break;
  }
  TLY_UNREACHABLE();
}

static bool is_empty(const struct tly_state_column *column, uint32_t row) {
  return column->empty != NULL && column->empty[row] != 0;
}

static void merge_extreme(struct tly_state_column *into, uint32_t into_row, const struct tly_state_column *from,
                          uint32_t from_row, bool is_min, struct tly_arena *arena) {
  if (is_empty(from, from_row))
    return;
  if (!is_empty(into, into_row)) {
    int order = compare_states(from, from_row, into, into_row);
    if (is_min ? order >= 0 : order <= 0)
      return;
  }
  move_element(into, into_row, from, from_row);
  if (into->form == TLY_STATE_TEXT)
    into->text[into_row] = tly_state_text_copy(into->text[into_row], arena);
  if (into->form == TLY_STATE_DECIMAL)
    into->decimal[into_row] = tly_state_decimal_copy(into->decimal[into_row], arena);
}

void tly_state_merge(const struct tly_component *component, struct tly_state_column *into, uint32_t into_row,
                     const struct tly_state_column *from, uint32_t from_row, struct tly_arena *arena) {
  enum tly_component_kind kind = component->kind;
  if (kind == TLY_COMPONENT_MIN || kind == TLY_COMPONENT_MAX)
    merge_extreme(into, into_row, from, from_row, kind == TLY_COMPONENT_MIN, arena);
  else
    merge_sum(into, into_row, from, from_row, arena);
}

void tly_states_merge(const struct tly_view_program *program, struct tly_state_column *into, uint32_t into_row,
                      const struct tly_state_column *from, uint32_t from_row, struct tly_arena *arena) {
  for (uint32_t c = 0; c < program->component_count; c++)
    tly_state_merge(&program->components[c], &into[c], into_row, &from[c], from_row, arena);
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

/* A column of any form: the way of which the loops below are the fast ones. */
static void take_steps_slowly(const struct tly_component *component, uint32_t c, struct tly_state_column *into,
                              const struct tly_state_step *steps, uint32_t count, struct tly_arena *arena) {
  for (uint32_t s = 0; s < count; s++) {
    const struct tly_state_step *step = &steps[s];
    if (step->is_first)
      tly_state_copy(into, step->into_row, &step->from[c], step->from_row, arena);
    else
      tly_state_merge(component, into, step->into_row, &step->from[c], step->from_row, arena);
  }
}

/* Without a branch on what is first: a step meets its row or `initial`. */
#define TAKE_STEPS(member, type, initial, meet)                                                                        \
  do {                                                                                                                 \
    for (uint32_t s = 0; s < count; s++) {                                                                             \
      const struct tly_state_step *step = &steps[s];                                                                   \
      type *place = &into->member[step->into_row], element = step->from[c].member[step->from_row];                     \
      type met = step->is_first ? (initial) : *place;                                                                  \
      *place = meet;                                                                                                   \
    }                                                                                                                  \
  } while (0)

static void take_empties(uint32_t c, struct tly_state_column *into, const struct tly_state_step *steps,
                         uint32_t count) {
  for (uint32_t s = 0; s < count; s++) {
    const struct tly_state_step *step = &steps[s];
    uint8_t met = step->is_first ? 1 : into->empty[step->into_row];
    into->empty[step->into_row] = met & step->from[c].empty[step->from_row];
  }
}

static void take_sums_i64(uint32_t c, struct tly_state_column *into, const struct tly_state_step *steps,
                          uint32_t count) {
  TAKE_STEPS(i64, int64_t, 0, met + element);
}

static void take_sums_i128(uint32_t c, struct tly_state_column *into, const struct tly_state_step *steps,
                           uint32_t count) {
  TAKE_STEPS(i128, tly_i128, 0, met + element);
}

/* A state without a value holds the value that any other one replaces. */
static void take_extremes(uint32_t c, struct tly_state_column *into, bool is_min, const struct tly_state_step *steps,
                          uint32_t count) {
  if (into->empty != NULL)
    take_empties(c, into, steps, count);
  if (into->form == TLY_STATE_I64 && is_min)
    TAKE_STEPS(i64, int64_t, INT64_MAX, element < met ? element : met);
  else if (into->form == TLY_STATE_I64)
    TAKE_STEPS(i64, int64_t, INT64_MIN, element > met ? element : met);
  else if (is_min)
    TAKE_STEPS(i128, tly_i128, I128_MAX, element < met ? element : met);
  else
    TAKE_STEPS(i128, tly_i128, I128_MIN, element > met ? element : met);
}

void tly_states_take_steps(const struct tly_view_program *program, uint32_t part, struct tly_state_column *into,
                           const struct tly_state_step *steps, uint32_t count, struct tly_arena *arena) {
  for (uint32_t c = 0; c < program->parts[part].component_count; c++) {
    const struct tly_component *component = &program->components[c];
    struct tly_state_column *column = &into[c];
    bool is_extreme = component->kind == TLY_COMPONENT_MIN || component->kind == TLY_COMPONENT_MAX;
    if (column->form != TLY_STATE_I64 && column->form != TLY_STATE_I128)
      take_steps_slowly(component, c, column, steps, count, arena);
    else if (is_extreme)
      take_extremes(c, column, component->kind == TLY_COMPONENT_MIN, steps, count);
    else if (column->form == TLY_STATE_I64)
      take_sums_i64(c, column, steps, count);
    else
      take_sums_i128(c, column, steps, count);
  }
}

static bool exact_sums_equal(const struct tly_exact_sum *a, const struct tly_exact_sum *b) {
  if (a->wide == NULL && b->wide == NULL)
    return a->tame == b->tame;
  struct tly_buffer left = {0}, right = {0};
  tly_exact_sum_append(a, &left);
  tly_exact_sum_append(b, &right);
  bool is_equal = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
  tly_buffer_free(&left);
  tly_buffer_free(&right);
  return is_equal;
}

bool tly_states_equal(const struct tly_view_program *program, const struct tly_state_column *a, uint32_t a_row,
                      const struct tly_state_column *b, uint32_t b_row) {
  for (uint32_t c = 0; c < program->component_count; c++) {
    if (is_empty(&a[c], a_row) != is_empty(&b[c], b_row))
      return false;
    if (is_empty(&a[c], a_row))
      continue;
    if (a[c].form == TLY_STATE_EXACT_SUM) {
      if (!exact_sums_equal(&a[c].exact_sum[a_row], &b[c].exact_sum[b_row]))
        return false;
      continue;
    }
    if (compare_states(&a[c], a_row, &b[c], b_row) != 0)
      return false;
    if (a[c].form == TLY_STATE_DECIMAL && a[c].decimal[a_row].scale != b[c].decimal[b_row].scale)
      return false;
  }
  return true;
}

/* --- slices ------------------------------------------------------------------------------------------------------- */

void tly_group_slice_init(struct tly_group_slice *slice, const struct tly_view_program *program, uint32_t part) {
  TLY_ASSERT(part < program->part_count);
  *slice = (struct tly_group_slice){.program = program, .part = part};
  tly_arena_init(&slice->arena);
  tly_group_slice_reset(slice);
}

void tly_group_slice_reset(struct tly_group_slice *slice) {
  if (slice->states != NULL)
    tly_states_release(slice->program, slice->part, slice->states, slice->count);
  tly_arena_reset(&slice->arena);
  slice->count = 0;
  slice->keys = NULL;
  slice->states = tly_states_new(slice->program, slice->part, &slice->arena);
}

void tly_group_slice_free(struct tly_group_slice *slice) {
  if (slice->states != NULL)
    tly_states_release(slice->program, slice->part, slice->states, slice->count);
  tly_arena_free(&slice->arena);
  *slice = (struct tly_group_slice){.program = NULL};
}
