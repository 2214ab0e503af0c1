/* How aggregates become components.
 *
 *   count(*), count(x)      COUNT               (count(x) of an x that is never NULL and never raises is count(*))
 *   sum, avg                COUNT, SUM          (EXACT_SUM over doubles)
 *   var_*, stddev_*         COUNT, SUM, SUM_SQUARES
 *   min, bool_and           MIN
 *   max, bool_or            MAX
 *   count(DISTINCT x)       no component: a part
 *
 * Each is looked for among those already there before it is added, so equal ones are shared. Expressions are equal when
 * their trees are; equal arguments and filters are made one pointer, so that the fold evaluates them once.
 *
 * A sum's form follows from the argument's proof: 2^63 events of at most 19 digits stay within 38 digits, which 128
 * bits hold; for squares the same goes for arguments of up to 9 digits and 32-bit integers. All others are decimals. */
#include "common/engine/view_program.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { SUM_DIGITS_MAX = 19, SQUARE_DIGITS_MAX = 9 };

/* --- equality of trees -------------------------------------------------------------------------------------------- */

static bool types_equal(struct tly_type a, struct tly_type b) {
  return a.id == b.id && a.precision == b.precision && a.scale == b.scale;
}

/* Equal and shown alike: 1.5 and 1.50 are different constants. */
static bool constants_equal(const struct tly_value *a, const struct tly_value *b) {
  if (!types_equal(a->type, b->type) || a->is_null != b->is_null)
    return false;
  if (a->is_null)
    return true;
  if (tly_type_form(a->type) == TLY_FORM_DECIMAL && a->decimal.scale != b->decimal.scale)
    return false;
  if (tly_type_form(a->type) == TLY_FORM_INTERVAL) /* 1 month and 30 days compare equal */
    return a->interval.months == b->interval.months && a->interval.days == b->interval.days &&
           a->interval.microseconds == b->interval.microseconds;
  return tly_value_compare(a, b) == 0;
}

static bool expressions_equal(const struct tly_expr *a, const struct tly_expr *b) {
  if (a == b)
    return true;
  if (a == NULL || b == NULL || a->kind != b->kind || !types_equal(a->type, b->type) || a->kernel != b->kernel ||
      a->column != b->column || a->argument_count != b->argument_count)
    return false;
  if (a->kind == TLY_EXPR_CONSTANT && !constants_equal(&a->constant, &b->constant))
    return false;
  for (uint32_t i = 0; i < a->argument_count; i++) {
    if (!expressions_equal(a->arguments[i], b->arguments[i]))
      return false;
  }
  return true;
}

/* --- components --------------------------------------------------------------------------------------------------- */

struct builder {
  struct tly_view_program *program;
  struct tly_expr **seen; /* arguments and filters of components and parts, each tree once */
  uint32_t seen_count;
};

static struct tly_expr *canonical(struct builder *builder, struct tly_expr *expression) {
  if (expression == NULL)
    return NULL;
  for (uint32_t i = 0; i < builder->seen_count; i++) {
    if (expressions_equal(builder->seen[i], expression))
      return builder->seen[i];
  }
  builder->seen[builder->seen_count++] = expression;
  return expression;
}

static enum tly_state_form extreme_form(struct tly_type type) {
  switch (tly_type_form(type)) {
  case TLY_FORM_I64: return TLY_STATE_I64;
  case TLY_FORM_I128: return TLY_STATE_I128;
  case TLY_FORM_F64: return TLY_STATE_F64;
  case TLY_FORM_TEXT: return TLY_STATE_TEXT;
  case TLY_FORM_DECIMAL: return TLY_STATE_DECIMAL;
  case TLY_FORM_INTERVAL: break;
  }
  TLY_UNREACHABLE(); /* the front end refuses intervals as results */
}

/* Whether 128 bits hold 2^63 summands, or squares of them. */
static bool sum_is_narrow(struct tly_type type, bool squared) {
  if (type.id == TLY_TYPE_NUMERIC)
    return tly_type_form(type) != TLY_FORM_DECIMAL && type.precision <= (squared ? SQUARE_DIGITS_MAX : SUM_DIGITS_MAX);
  TLY_ASSERT(tly_type_is_integer(type.id));
  return !squared || type.id != TLY_TYPE_BIGINT;
}

static enum tly_state_form component_form(enum tly_component_kind kind, struct tly_type type) {
  switch (kind) {
  case TLY_COMPONENT_COUNT: return TLY_STATE_I64;
  case TLY_COMPONENT_SUM: return sum_is_narrow(type, false) ? TLY_STATE_I128 : TLY_STATE_DECIMAL;
  case TLY_COMPONENT_SUM_SQUARES: return sum_is_narrow(type, true) ? TLY_STATE_I128 : TLY_STATE_DECIMAL;
  case TLY_COMPONENT_EXACT_SUM: return TLY_STATE_EXACT_SUM;
  case TLY_COMPONENT_MIN:
  case TLY_COMPONENT_MAX: return extreme_form(type);
  }
  TLY_UNREACHABLE();
}

/* The number of the component, which is added if it is not there. */
static int32_t component(struct builder *builder, enum tly_component_kind kind, struct tly_expr *argument,
                         struct tly_expr *filter) {
  struct tly_view_program *program = builder->program;
  argument = canonical(builder, argument);
  filter = canonical(builder, filter);
  for (uint32_t i = 0; i < program->component_count; i++) {
    const struct tly_component *other = &program->components[i];
    if (other->kind == kind && other->argument == argument && other->filter == filter)
      return (int32_t)i;
  }
  bool is_extreme = kind == TLY_COMPONENT_MIN || kind == TLY_COMPONENT_MAX;
  bool is_always_met = filter == NULL && argument != NULL && !argument->nullable && program->view->key_count > 0;
  TLY_ASSERT(kind == TLY_COMPONENT_COUNT || argument != NULL);
  struct tly_type type = kind == TLY_COMPONENT_COUNT ? TLY_TYPE_OF(TLY_TYPE_BIGINT) : argument->type;
  program->components[program->component_count] = (struct tly_component){.kind = kind,
                                                                         .form = component_form(kind, type),
                                                                         .argument = argument,
                                                                         .filter = filter,
                                                                         .type = type,
                                                                         .nullable = is_extreme && !is_always_met};
  return (int32_t)program->component_count++;
}

/* The count that goes with other components of `argument`: they evaluate it, so that here only its NULLs matter. */
static int32_t count_component(struct builder *builder, struct tly_expr *argument, struct tly_expr *filter) {
  return component(builder, TLY_COMPONENT_COUNT, argument->nullable ? argument : NULL, filter);
}

/* The number of the part of count(DISTINCT argument). */
static int32_t distinct_part(struct builder *builder, struct tly_expr *argument, struct tly_expr *filter) {
  struct tly_view_program *program = builder->program;
  argument = canonical(builder, argument);
  filter = canonical(builder, filter);
  for (uint32_t i = 1; i < program->part_count; i++) {
    if (program->parts[i].distinct == argument && program->parts[i].filter == filter)
      return (int32_t)i;
  }
  uint32_t key_count = program->parts[0].key_count;
  struct tly_type *key_types = TLY_ARENA_ARRAY(&program->arena, struct tly_type, key_count + 1);
  if (key_count > 0)
    memcpy(key_types, program->parts[0].key_types, key_count * sizeof *key_types);
  key_types[key_count] = argument->type;
  program->parts[program->part_count] =
      (struct tly_part){.key_types = key_types, .key_count = key_count + 1, .distinct = argument, .filter = filter};
  return (int32_t)program->part_count++;
}

static void plan_sum(struct builder *builder, const struct tly_aggregate *aggregate, bool with_squares,
                     struct tly_aggregate_plan *plan) {
  struct tly_expr *argument = aggregate->argument, *filter = aggregate->filter;
  bool is_double = argument->type.id == TLY_TYPE_DOUBLE;
  TLY_ASSERT(!is_double || !with_squares); /* var and stddev of doubles are refused */
  plan->count = count_component(builder, argument, filter);
  plan->sum = component(builder, is_double ? TLY_COMPONENT_EXACT_SUM : TLY_COMPONENT_SUM, argument, filter);
  if (with_squares)
    plan->sum_squares = component(builder, TLY_COMPONENT_SUM_SQUARES, argument, filter);
}

static void plan_aggregate(struct builder *builder, const struct tly_aggregate *aggregate,
                           struct tly_aggregate_plan *plan) {
  struct tly_expr *argument = aggregate->argument, *filter = aggregate->filter;
  *plan = (struct tly_aggregate_plan){
      .aggregate = aggregate, .count = -1, .sum = -1, .sum_squares = -1, .extreme = -1, .part = 0};
  TLY_ASSERT(!aggregate->distinct || aggregate->function == TLY_AGGREGATE_COUNT);
  switch (aggregate->function) {
  case TLY_AGGREGATE_COUNT:
    if (aggregate->distinct) {
      plan->part = distinct_part(builder, argument, filter);
    } else {
      bool is_star = argument == NULL || (!argument->nullable && !argument->can_raise);
      plan->count = component(builder, TLY_COMPONENT_COUNT, is_star ? NULL : argument, filter);
    }
    return;
  case TLY_AGGREGATE_SUM:
  case TLY_AGGREGATE_AVG: plan_sum(builder, aggregate, false, plan); return;
  case TLY_AGGREGATE_VAR_SAMP:
  case TLY_AGGREGATE_VAR_POP:
  case TLY_AGGREGATE_STDDEV_SAMP:
  case TLY_AGGREGATE_STDDEV_POP: plan_sum(builder, aggregate, true, plan); return;
  case TLY_AGGREGATE_MIN:
  case TLY_AGGREGATE_BOOL_AND: plan->extreme = component(builder, TLY_COMPONENT_MIN, argument, filter); return;
  case TLY_AGGREGATE_MAX:
  case TLY_AGGREGATE_BOOL_OR: plan->extreme = component(builder, TLY_COMPONENT_MAX, argument, filter); return;
  }
  TLY_UNREACHABLE();
}

/* --- columns ------------------------------------------------------------------------------------------------------ */

static void mark_columns(const struct tly_expr *expression, bool *column_used) {
  if (expression == NULL)
    return;
  if (expression->kind == TLY_EXPR_COLUMN)
    column_used[expression->column] = true;
  for (uint32_t i = 0; i < expression->argument_count; i++)
    mark_columns(expression->arguments[i], column_used);
}

static void mark_all_columns(struct tly_view_program *program) {
  const struct tly_view *view = program->view;
  program->column_used = TLY_ARENA_ARRAY(&program->arena, bool, view->stream->column_count);
  mark_columns(view->where, program->column_used);
  for (uint32_t i = 0; i < view->key_count; i++)
    mark_columns(view->keys[i], program->column_used);
  for (uint32_t i = 0; i < program->component_count; i++) {
    mark_columns(program->components[i].argument, program->column_used);
    mark_columns(program->components[i].filter, program->column_used);
  }
  for (uint32_t i = 1; i < program->part_count; i++) {
    mark_columns(program->parts[i].distinct, program->column_used);
    mark_columns(program->parts[i].filter, program->column_used);
  }
}

struct tly_view_program *tly_view_program_new(const struct tly_view *view) {
  enum { COMPONENTS_PER_AGGREGATE = 3, EXPRESSIONS_PER_AGGREGATE = 2 };
  struct tly_view_program *program = tly_calloc(1, sizeof *program);
  tly_arena_init(&program->arena);
  struct tly_arena *arena = &program->arena;
  program->view = view;
  program->components = TLY_ARENA_ARRAY(arena, struct tly_component, view->aggregate_count * COMPONENTS_PER_AGGREGATE);
  program->plans = TLY_ARENA_ARRAY(arena, struct tly_aggregate_plan, view->aggregate_count);
  program->parts = TLY_ARENA_ARRAY(arena, struct tly_part, view->aggregate_count + 1);
  program->part_count = 1;
  program->parts[0].key_count = view->key_count;
  program->parts[0].key_types = TLY_ARENA_ARRAY(arena, struct tly_type, view->key_count);
  for (uint32_t i = 0; i < view->key_count; i++)
    program->parts[0].key_types[i] = view->keys[i]->type;
  struct builder builder = {
      .program = program,
      .seen = TLY_ARENA_ARRAY(arena, struct tly_expr *, view->aggregate_count * EXPRESSIONS_PER_AGGREGATE)};
  for (uint32_t i = 0; i < view->aggregate_count; i++)
    plan_aggregate(&builder, &view->aggregates[i], &program->plans[i]);
  program->parts[0].component_count = program->component_count;
  mark_all_columns(program);
  return program;
}

void tly_view_program_free(struct tly_view_program *program) {
  if (program == NULL)
    return;
  tly_arena_free(&program->arena);
  tly_free(program);
}
