/* The inner loops of the fold: one for each component and form, without a branch on either inside. Where an argument is
 * a constant (sum(1)), the loop reads the same element again.
 *
 * Count, sum, min and max over one column of 64-bit integers, or any of them, go together in one loop: what costs is to
 * find the group's states, not to add to them. Each of its sixteen forms is made by inlining. Where the states lie
 * beyond the processor's own caches, the loop fetches those of the rows some way ahead; that goes better than to fetch
 * all of a piece first, since a processor waits for some dozens of lines at a time, and forgets the others. */
#include "common/engine/fold_apply.h"

#include "common/engine/group_state.h"

/* An argument's element; `step` is 0 for a constant. */
#define ELEMENT(array, row) ((array)[(row)*step])

/* A group's state. */
#define STATE_OF(type, field, group) ((type *)(void *)((field)->values + (size_t)(group) * (field)->stride))

static void apply_count(const struct tly_state_field *field, struct tly_rows rows, const uint32_t *groups) {
  TLY_EACH_ROW (rows, row)
    ++*STATE_OF(int64_t, field, groups[row]);
}

static void apply_sum(const struct tly_state_field *field, const struct tly_vector *argument, struct tly_rows rows,
                      const uint32_t *groups) {
  const uint32_t step = !argument->is_constant;
  if (tly_type_form(argument->type) == TLY_FORM_I64) {
    const int64_t *elements = argument->i64;
    TLY_EACH_ROW (rows, row)
      *STATE_OF(tly_i128, field, groups[row]) += ELEMENT(elements, row);
  } else {
    const tly_i128 *elements = argument->i128;
    TLY_EACH_ROW (rows, row)
      *STATE_OF(tly_i128, field, groups[row]) += ELEMENT(elements, row);
  }
}

static void apply_sum_squares(const struct tly_state_field *field, const struct tly_vector *argument,
                              struct tly_rows rows, const uint32_t *groups) {
  const uint32_t step = !argument->is_constant;
  TLY_ASSERT(tly_type_form(argument->type) == TLY_FORM_I64);
  TLY_EACH_ROW (rows, row) {
    tly_i128 element = ELEMENT(argument->i64, row);
    *STATE_OF(tly_i128, field, groups[row]) += element * element;
  }
}

static struct tly_decimal summand(const struct tly_vector *argument, uint32_t row) {
  return argument->type.id == TLY_TYPE_NUMERIC ? tly_vector_decimal(argument, row)
                                               : tly_decimal_of_i64(argument->i64[tly_vector_row(argument, row)], 0);
}

static void apply_decimal_sum(const struct tly_state_field *field, const struct tly_vector *argument, bool squared,
                              struct tly_rows rows, const uint32_t *groups, struct tly_arena *values,
                              struct tly_arena *scratch) {
  TLY_EACH_ROW (rows, row) {
    struct tly_decimal value = summand(argument, row), *sum = STATE_OF(struct tly_decimal, field, groups[row]);
    enum tly_status status = TLY_OK;
    if (squared)
      status = tly_decimal_multiply(value, value, scratch, &value, NULL);
    TLY_ASSERT(status == TLY_OK); /* tly_fold_check_summands has seen to it */
    status = tly_decimal_add(*sum, value, values, sum, NULL);
    TLY_ASSERT(status == TLY_OK);
  }
}

static void apply_exact_sum(const struct tly_state_field *field, const struct tly_vector *argument,
                            struct tly_rows rows, const uint32_t *groups) {
  const uint32_t step = !argument->is_constant;
  TLY_EACH_ROW (rows, row)
    tly_exact_sum_add(STATE_OF(struct tly_exact_sum, field, groups[row]), ELEMENT(argument->f64, row));
}

/* The initial state is the value that any other one replaces. */
#define APPLY_EXTREMES(type, member)                                                                                   \
  TLY_ALWAYS_INLINE void apply_extreme_##member(const struct tly_state_field *field,                                   \
                                                const struct tly_vector *argument, bool is_min, struct tly_rows rows,  \
                                                const uint32_t *groups) {                                              \
    const uint32_t step = !argument->is_constant;                                                                      \
    const type *elements = argument->member;                                                                           \
    TLY_EACH_ROW (rows, row) {                                                                                         \
      type element = ELEMENT(elements, row), *state = STATE_OF(type, field, groups[row]);                              \
      bool replaces = is_min ? element < *state : element > *state;                                                    \
      *state = replaces ? element : *state;                                                                            \
    }                                                                                                                  \
  }
APPLY_EXTREMES(int64_t, i64)
APPLY_EXTREMES(tly_i128, i128)
APPLY_EXTREMES(double, f64)

static void apply_extreme_text(const struct tly_state_field *field, const struct tly_vector *argument, bool is_min,
                               struct tly_rows rows, const uint32_t *groups, struct tly_arena *values) {
  TLY_EACH_ROW (rows, row) {
    struct tly_text element = tly_vector_text(argument, row), *state = STATE_OF(struct tly_text, field, groups[row]);
    int order = tly_state_text_is_unset(*state) ? 0 : tly_text_compare(element, *state);
    if (tly_state_text_is_unset(*state) || (is_min ? order < 0 : order > 0))
      *state = tly_state_text_copy(element, values);
  }
}

/* Kept in the least scale, so that the state does not depend on which of equal values came first. */
static void apply_extreme_decimal(const struct tly_state_field *field, const struct tly_vector *argument, bool is_min,
                                  struct tly_rows rows, const uint32_t *groups, struct tly_arena *values,
                                  struct tly_arena *scratch) {
  TLY_EACH_ROW (rows, row) {
    struct tly_decimal element = tly_vector_decimal(argument, row);
    struct tly_decimal *state = STATE_OF(struct tly_decimal, field, groups[row]);
    int order = tly_state_decimal_is_unset(*state) ? 0 : tly_decimal_compare(element, *state);
    if (tly_state_decimal_is_unset(*state) || (is_min ? order < 0 : order > 0))
      *state = tly_state_decimal_copy(tly_decimal_normalize(element, scratch), values);
  }
}

static void mark_met(const struct tly_state_field *field, struct tly_rows rows, const uint32_t *groups) {
  TLY_EACH_ROW (rows, row)
    field->empty[groups[row] * field->stride] = 0;
}

static void apply_extreme(const struct tly_state_field *field, const struct tly_vector *argument, bool is_min,
                          struct tly_rows rows, const uint32_t *groups, struct tly_arena *values,
                          struct tly_arena *scratch) {
  if (field->empty != NULL)
    mark_met(field, rows, groups);
  switch (field->form) {
  case TLY_STATE_I64:
    if (is_min)
      apply_extreme_i64(field, argument, true, rows, groups);
    else
      apply_extreme_i64(field, argument, false, rows, groups);
    return;
  case TLY_STATE_I128: apply_extreme_i128(field, argument, is_min, rows, groups); return;
  case TLY_STATE_F64: apply_extreme_f64(field, argument, is_min, rows, groups); return;
  case TLY_STATE_TEXT: apply_extreme_text(field, argument, is_min, rows, groups, values); return;
  case TLY_STATE_DECIMAL: apply_extreme_decimal(field, argument, is_min, rows, groups, values, scratch); return;
  case TLY_STATE_EXACT_SUM: break;
  }
  TLY_UNREACHABLE();
}

static void apply_alone(const struct tly_component *component, const struct tly_state_field *field,
                        const struct tly_vector *argument, struct tly_rows rows, const uint32_t *groups,
                        struct tly_arena *values, struct tly_arena *scratch) {
  bool is_decimal = field->form == TLY_STATE_DECIMAL;
  switch (component->kind) {
  case TLY_COMPONENT_COUNT: apply_count(field, rows, groups); return;
  case TLY_COMPONENT_SUM:
    if (is_decimal)
      apply_decimal_sum(field, argument, false, rows, groups, values, scratch);
    else
      apply_sum(field, argument, rows, groups);
    return;
  case TLY_COMPONENT_SUM_SQUARES:
    if (is_decimal)
      apply_decimal_sum(field, argument, true, rows, groups, values, scratch);
    else
      apply_sum_squares(field, argument, rows, groups);
    return;
  case TLY_COMPONENT_EXACT_SUM: apply_exact_sum(field, argument, rows, groups); return;
  case TLY_COMPONENT_MIN: apply_extreme(field, argument, true, rows, groups, values, scratch); return;
  case TLY_COMPONENT_MAX: apply_extreme(field, argument, false, rows, groups, values, scratch); return;
  }
  TLY_UNREACHABLE();
}

/* --- together ----------------------------------------------------------------------------------------------------- */

enum together { TOGETHER_COUNT = 1, TOGETHER_SUM = 2, TOGETHER_MIN = 4, TOGETHER_MAX = 8 };
enum { ROWS_AHEAD = 24 };

/* Where the states of each kind stand in group 0. */
struct together_states {
  unsigned kinds;
  uint8_t *counts, *sums, *mins, *maxs;
  const uint8_t *first, *last; /* of all these, the first and the last state */
  size_t stride;
};

static uint8_t **place_of(struct together_states *together, enum tly_component_kind kind, unsigned *bit) {
  switch (kind) {
  case TLY_COMPONENT_COUNT: *bit = TOGETHER_COUNT; return &together->counts;
  case TLY_COMPONENT_SUM: *bit = TOGETHER_SUM; return &together->sums;
  case TLY_COMPONENT_MIN: *bit = TOGETHER_MIN; return &together->mins;
  case TLY_COMPONENT_MAX: *bit = TOGETHER_MAX; return &together->maxs;
  case TLY_COMPONENT_SUM_SQUARES:
  case TLY_COMPONENT_EXACT_SUM: break;
  }
  return NULL;
}

/* Let the component go together with the others, if it can. */
static void join(struct together_states *together, const struct tly_component *component,
                 const struct tly_state_field *field, const struct tly_vector *argument) {
  unsigned bit = 0;
  uint8_t **place = place_of(together, component->kind, &bit);
  enum tly_state_form form = component->kind == TLY_COMPONENT_SUM ? TLY_STATE_I128 : TLY_STATE_I64;
  bool is_column = argument == NULL || (!argument->is_constant && tly_type_form(argument->type) == TLY_FORM_I64);
  if (place == NULL || *place != NULL || field->form != form || !is_column)
    return;
  *place = field->values;
  together->first = together->kinds == 0 || field->values < together->first ? field->values : together->first;
  together->last = together->kinds == 0 || field->values > together->last ? field->values : together->last;
  together->kinds |= bit;
  together->stride = field->stride;
}

static bool has_joined(struct together_states *together, const struct tly_component *component,
                       const struct tly_state_field *field) {
  unsigned bit;
  uint8_t **place = place_of(together, component->kind, &bit);
  return place != NULL && *place == field->values;
}

/* The first `fetching` rows fetch the states of the row ROWS_AHEAD of them. */
TLY_ALWAYS_INLINE void add_rows(const struct together_states *together, unsigned kinds, const int64_t *elements,
                                struct tly_rows rows, uint32_t fetching, const uint32_t *groups) {
  uint8_t *const counts = together->counts, *const sums = together->sums;
  uint8_t *const mins = together->mins, *const maxs = together->maxs;
  const uint8_t *const first = together->first, *const last = together->last;
  const size_t stride = together->stride;
  TLY_ASSERT(kinds == TOGETHER_COUNT || elements != NULL);
  TLY_EACH_ROW (rows, row) {
    if (row_index < fetching) {
      const size_t ahead = groups[tly_rows_at(rows, row_index + ROWS_AHEAD)] * stride;
      __builtin_prefetch(first + ahead);
      __builtin_prefetch(last + ahead);
    }
    const size_t at = groups[row] * stride;
    const int64_t element = kinds != TOGETHER_COUNT ? elements[row] : 0;
    if (kinds & TOGETHER_COUNT)
      ++*(int64_t *)(void *)(counts + at);
    if (kinds & TOGETHER_SUM)
      *(tly_i128 *)(void *)(sums + at) += element;
    if (kinds & TOGETHER_MIN) {
      int64_t *min = (int64_t *)(void *)(mins + at), before = *min;
      *min = element < before ? element : before;
    }
    if (kinds & TOGETHER_MAX) {
      int64_t *max = (int64_t *)(void *)(maxs + at), before = *max;
      *max = element > before ? element : before;
    }
  }
}

/* All rows, or those of a list; near states, or far ones: the loop is made for each. */
TLY_ALWAYS_INLINE void add_together(const struct together_states *together, unsigned kinds, const int64_t *elements,
                                    struct tly_rows rows, uint32_t fetching, const uint32_t *groups) {
  const struct tly_rows all = {.list = NULL, .count = rows.count};
  if (rows.list == NULL && fetching == 0)
    add_rows(together, kinds, elements, all, 0, groups);
  else if (rows.list == NULL)
    add_rows(together, kinds, elements, all, fetching, groups);
  else if (fetching == 0)
    add_rows(together, kinds, elements, rows, 0, groups);
  else
    add_rows(together, kinds, elements, rows, fetching, groups);
}

static void apply_together(const struct together_states *together, const struct tly_vector *argument, bool is_far,
                           struct tly_rows rows, const uint32_t *groups) {
  const int64_t *elements = argument == NULL ? NULL : argument->i64;
  const uint32_t fetching = is_far && rows.count > ROWS_AHEAD ? rows.count - ROWS_AHEAD : 0;
#define TOGETHER(kinds)                                                                                                \
  case kinds:                                                                                                          \
    add_together(together, kinds, elements, rows, fetching, groups);                                                   \
    return;
#define FOUR_TOGETHER(kinds) TOGETHER(kinds) TOGETHER((kinds) + 1) TOGETHER((kinds) + 2) TOGETHER((kinds) + 3)
  switch (together->kinds) { FOUR_TOGETHER(0) FOUR_TOGETHER(4) FOUR_TOGETHER(8) FOUR_TOGETHER(12) }
#undef FOUR_TOGETHER
#undef TOGETHER
  TLY_UNREACHABLE();
}

static void fetch_states(const struct tly_state_field *field, struct tly_rows rows, const uint32_t *groups) {
  TLY_EACH_ROW (rows, row)
    __builtin_prefetch(field->values + groups[row] * field->stride);
}

void tly_fold_apply(const struct tly_feed_states *states, const struct tly_vector *argument, struct tly_rows rows,
                    const uint32_t *groups, struct tly_arena *values, struct tly_arena *scratch) {
  struct together_states together = {.kinds = 0};
  for (uint32_t i = 0; i < states->count; i++)
    join(&together, &states->components[states->numbers[i]], &states->fields[i], argument);
  if (together.kinds != 0)
    apply_together(&together, argument, states->are_far, rows, groups);
  else if (states->are_far)
    fetch_states(&states->fields[0], rows, groups);
  for (uint32_t i = 0; i < states->count; i++) {
    const struct tly_component *component = &states->components[states->numbers[i]];
    const struct tly_state_field *field = &states->fields[i];
    if (!has_joined(&together, component, field))
      apply_alone(component, field, argument, rows, groups, values, scratch);
    else if (field->empty != NULL)
      mark_met(field, rows, groups);
  }
}

void tly_fold_check_summands(tly_evaluator *evaluator, const struct tly_component *component,
                             const struct tly_vector *argument, struct tly_rows rows) {
  bool is_sum = component->kind == TLY_COMPONENT_SUM || component->kind == TLY_COMPONENT_SUM_SQUARES;
  if (!is_sum || tly_type_form(argument->type) != TLY_FORM_DECIMAL)
    return;
  int32_t most = component->kind == TLY_COMPONENT_SUM ? TLY_SUMMAND_DIGITS_MAX : TLY_SUMMAND_SQUARED_DIGITS_MAX;
  TLY_EACH_ROW (rows, row) {
    struct tly_decimal value = tly_vector_decimal(argument, row);
    if (value.scale > most || tly_decimal_digits(value) > most)
      tly_evaluator_raise(evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, "a number with too many digits to be summed up");
  }
}
