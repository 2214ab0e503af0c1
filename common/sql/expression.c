/* Making, comparing, counting and walking typed expressions. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

struct tly_expr *tly_expr_new(struct tly_resolver *resolver, enum tly_expr_kind kind, struct tly_type type,
                              uint32_t location) {
  struct tly_expr *expression = TLY_ARENA_NEW(resolver->arena, struct tly_expr);
  expression->kind = kind;
  expression->type = type;
  expression->location = location;
  return expression;
}

void tly_expr_set_arguments(struct tly_expr *expression, struct tly_expr **arguments, uint32_t count) {
  expression->arguments = arguments;
  expression->argument_count = count;
  for (uint32_t i = 0; i < count; i++) {
    expression->nullable |= arguments[i]->nullable;
    expression->can_raise |= arguments[i]->can_raise;
  }
}

void tly_expr_copy_arguments(struct tly_resolver *resolver, struct tly_expr *expression,
                             struct tly_expr *const *arguments, uint32_t count) {
  struct tly_expr **copy = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count);
  for (uint32_t i = 0; i < count; i++)
    copy[i] = arguments[i];
  tly_expr_set_arguments(expression, copy, count);
}

struct tly_expr *tly_expr_call(struct tly_resolver *resolver, enum tly_kernel kernel, struct tly_type type,
                               uint32_t location, struct tly_expr *const *arguments, uint32_t count) {
  struct tly_type proven = tly_proof_type(kernel, type, arguments, count);
  struct tly_expr *call = tly_expr_new(resolver, TLY_EXPR_CALL, proven, location);
  call->kernel = kernel;
  call->can_raise = tly_proof_can_raise(kernel, proven, arguments, count);
  tly_expr_copy_arguments(resolver, call, arguments, count);
  return call;
}

struct tly_expr *tly_expr_constant(struct tly_resolver *resolver, struct tly_value value, uint32_t location) {
  struct tly_expr *constant = tly_expr_new(resolver, TLY_EXPR_CONSTANT, value.type, location);
  constant->constant = value;
  constant->nullable = value.is_null;
  return constant;
}

struct tly_expr *tly_expr_and(struct tly_resolver *resolver, enum tly_expr_kind and_or, struct tly_expr *left,
                              struct tly_expr *right, uint32_t location) {
  TLY_ASSERT(and_or == TLY_EXPR_AND || and_or == TLY_EXPR_OR);
  struct tly_expr *both = tly_expr_new(resolver, and_or, TLY_TYPE_OF(TLY_TYPE_BOOLEAN), location);
  tly_expr_copy_arguments(resolver, both, (struct tly_expr *[]){left, right}, 2);
  return both;
}

static bool type_equal(struct tly_type a, struct tly_type b) {
  return a.id == b.id && a.precision == b.precision && a.scale == b.scale;
}

static bool value_equal(const struct tly_value *a, const struct tly_value *b) {
  if (!type_equal(a->type, b->type) || a->is_null != b->is_null)
    return false;
  if (a->is_null)
    return true;
  bool same_scale = a->type.id != TLY_TYPE_NUMERIC || tly_value_decimal(a).scale == tly_value_decimal(b).scale;
  if (a->type.id == TLY_TYPE_UNKNOWN)
    return tly_text_equal(a->text, b->text);
  return same_scale && tly_value_compare(a, b) == 0;
}

static bool list_equal(struct tly_expr *const *a, uint32_t a_count, struct tly_expr *const *b, uint32_t b_count) {
  if (a_count != b_count)
    return false;
  for (uint32_t i = 0; i < a_count; i++)
    if (!tly_expr_equal(a[i], b[i]))
      return false;
  return true;
}

static bool aggregate_equal(const struct tly_aggregate *a, const struct tly_aggregate *b) {
  return a->function == b->function && a->distinct == b->distinct && type_equal(a->type, b->type) &&
         tly_expr_equal(a->argument, b->argument) && tly_expr_equal(a->filter, b->filter);
}

static bool order_equal(const struct tly_window *a, const struct tly_window *b) {
  if (a->order_count != b->order_count)
    return false;
  for (uint32_t i = 0; i < a->order_count; i++) {
    const struct tly_order_item *x = &a->order[i], *y = &b->order[i];
    if (x->descending != y->descending || x->nulls_first != y->nulls_first ||
        !tly_expr_equal(x->expression, y->expression))
      return false;
  }
  return true;
}

static bool frame_equal(const struct tly_window *a, const struct tly_window *b) {
  if (a->has_frame != b->has_frame)
    return false;
  return !a->has_frame ||
         (a->mode == b->mode && a->start == b->start && a->end == b->end &&
          tly_expr_equal(a->start_offset, b->start_offset) && tly_expr_equal(a->end_offset, b->end_offset));
}

static bool window_equal(const struct tly_window *a, const struct tly_window *b) {
  if (a->is_aggregate != b->is_aggregate)
    return false;
  bool same_call = a->is_aggregate ? aggregate_equal(&a->aggregate, &b->aggregate)
                                   : a->function == b->function &&
                                         list_equal(a->arguments, a->argument_count, b->arguments, b->argument_count);
  return same_call && list_equal(a->partition, a->partition_count, b->partition, b->partition_count) &&
         order_equal(a, b) && frame_equal(a, b);
}

bool tly_expr_equal(const struct tly_expr *a, const struct tly_expr *b) {
  if (a == b)
    return true;
  if (a == NULL || b == NULL || a->kind != b->kind || !type_equal(a->type, b->type) || a->kernel != b->kernel)
    return false;
  switch (a->kind) {
  case TLY_EXPR_COLUMN: return a->relation == b->relation && a->column == b->column && a->levels_up == b->levels_up;
  case TLY_EXPR_KEY:
  case TLY_EXPR_PARAMETER: return a->column == b->column;
  case TLY_EXPR_CONSTANT: return value_equal(&a->constant, &b->constant);
  case TLY_EXPR_AGGREGATE: return aggregate_equal(a->aggregate, b->aggregate);
  case TLY_EXPR_WINDOW: return window_equal(a->window, b->window);
  case TLY_EXPR_EXISTS:
  case TLY_EXPR_IN_QUERY:
  case TLY_EXPR_SCALAR_QUERY:
    if (a->query != b->query) /* two sub-selects are never taken to be one */
      return false;
    break;
  default: break;
  }
  return list_equal(a->arguments, a->argument_count, b->arguments, b->argument_count);
}

static bool is_leaf(enum tly_expr_kind kind) {
  return kind == TLY_EXPR_COLUMN || kind == TLY_EXPR_KEY || kind == TLY_EXPR_CONSTANT || kind == TLY_EXPR_PARAMETER ||
         kind == TLY_EXPR_NOW || kind == TLY_EXPR_AGGREGATE || kind == TLY_EXPR_WINDOW || kind == TLY_EXPR_CASE;
}

uint32_t tly_expr_location(const struct tly_expr *expression) {
  uint32_t least = expression->location;
  if (is_leaf(expression->kind))
    return least;
  for (uint32_t i = 0; i < expression->argument_count; i++) {
    uint32_t location = tly_expr_location(expression->arguments[i]);
    least = location < least ? location : least;
  }
  return least;
}

const struct tly_expr *tly_expr_zone(const struct tly_expr *call) {
  switch (call->kernel) {
  case TLY_KERNEL_timestamp_zone:
  case TLY_KERNEL_timestamptz_zone: return call->arguments[0];
  case TLY_KERNEL_timestamptz_trunc_zone: return call->arguments[2];
  default: return NULL;
  }
}

static void each_of(struct tly_expr **list, uint32_t count, void (*visit)(struct tly_expr **child, void *argument),
                    void *argument) {
  for (uint32_t i = 0; i < count; i++)
    visit(&list[i], argument);
}

static void each_of_aggregate(struct tly_aggregate *aggregate, void (*visit)(struct tly_expr **child, void *argument),
                              void *argument) {
  if (aggregate->argument != NULL)
    visit(&aggregate->argument, argument);
  if (aggregate->filter != NULL)
    visit(&aggregate->filter, argument);
}

void tly_expr_each(struct tly_expr *expression, void (*visit)(struct tly_expr **child, void *argument),
                   void *argument) {
  each_of(expression->arguments, expression->argument_count, visit, argument);
  if (expression->aggregate != NULL)
    each_of_aggregate(expression->aggregate, visit, argument);
  struct tly_window *window = expression->window;
  if (window == NULL)
    return;
  if (window->is_aggregate)
    each_of_aggregate(&window->aggregate, visit, argument);
  each_of(window->arguments, window->argument_count, visit, argument);
  each_of(window->partition, window->partition_count, visit, argument);
  for (uint32_t i = 0; i < window->order_count; i++)
    visit(&window->order[i].expression, argument);
}

struct count_state {
  uint32_t count, limit;
};

static void count_node(struct tly_expr **node, void *argument) {
  struct count_state *state = argument;
  state->count++;
  if (state->count <= state->limit)
    tly_expr_each(*node, count_node, state);
}

uint32_t tly_expr_count(const struct tly_expr *expression, uint32_t limit) {
  struct count_state state = {0, limit};
  struct tly_expr *node = (struct tly_expr *)expression;
  count_node(&node, &state);
  return state.count;
}
