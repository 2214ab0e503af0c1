/* What WHERE says about the leading key columns of a view, as a range of encoded keys.
 *
 * Terms of a conjunction that compare a key column with something constant: equalities on the first columns, then at
 * most one interval on the next. The term itself stays in the plan, so a range may only be too wide: whatever is not
 * understood (other types, NULL, a constant that raises) leaves it open. A comparison is never true for NULL, so the
 * same holds for the right side of a LEFT JOIN, and ON of that join narrows only the table it joins. */
#include <string.h>

#include "common/base/assert.h"
#include "common/value/ordered_key.h"
#include "serving_layer/plan_internal.h"

/* What is known of one key column; values lie in the plan's arena. */
struct column_range {
  bool has_equal, has_low, has_high;
  bool low_is_open, high_is_open; /* > and <, not >= and <= */
  struct tly_value equal, low, high;
};

struct range_builder {
  struct tly_planner *planner;
  const struct tly_view_program *program;
  uint32_t item;
  struct column_range *columns; /* one a key */
};

/* Bring `value` to the key's type where that changes nothing but its form. */
static bool to_key_type(struct tly_value *value, struct tly_type key) {
  struct tly_type own = value->type;
  if (value->is_null)
    return false;
  if (own.id == TLY_TYPE_NUMERIC && key.id == TLY_TYPE_NUMERIC)
    return true; /* the encoding is by value */
  bool is_same = own.id == key.id || (tly_type_is_integer(own.id) && tly_type_is_integer(key.id)) ||
                 (tly_type_is_text(own.id) && tly_type_is_text(key.id));
  if (is_same)
    value->type = key;
  return is_same;
}

static int compare(const struct tly_value *a, const struct tly_value *b) {
  return tly_value_compare(a, b);
}

static void add_bound(struct column_range *range, const char *operator, const struct tly_value * value) {
  if (strcmp(operator, "=") == 0) {
    range->has_equal = true;
    range->equal = *value;
  } else if (operator[0] == '>' &&(!range->has_low || compare(value, &range->low) > 0)) {
    range->has_low = true;
    range->low = *value;
    range->low_is_open = operator[1] == 0;
  } else if (operator[0] == '<' && operator[1] != '>' &&(!range->has_high || compare(value, &range->high) < 0)) {
    range->has_high = true;
    range->high = *value;
    range->high_is_open = operator[1] == 0;
  }
}

/* The key that `expression` is, if it is a plain key column of the item; -1: it is not. */
static int key_of(const struct range_builder *builder, const struct tly_expr *expression) {
  while (expression->kind == TLY_EXPR_RELABEL)
    expression = expression->arguments[0];
  if (expression->kind != TLY_EXPR_COLUMN || expression->levels_up != 0 || expression->relation != builder->item)
    return -1;
  const struct tly_expr *output = builder->program->view->outputs[expression->column].expression;
  return output->kind == TLY_EXPR_KEY ? (int)output->column : -1;
}

static const char *mirrored(const char *operator) {
  switch (operator[0]) {
  case '<': return operator[1] == '=' ? ">=" : operator[1] == '>' ? "<>" : ">";
  case '>': return operator[1] == '=' ? "<=" : "<";
  default: return operator;
  }
}

static void add_comparison(struct range_builder *builder, const struct tly_expr *term, const char *operator) {
  for (int side = 0; side < 2; side++) {
    const struct tly_expr *constant = term->arguments[1 - side];
    int key = key_of(builder, term->arguments[side]);
    struct tly_value value;
    if (key < 0 || !tly_plan_is_constant(constant) || constant->type.id == TLY_TYPE_INTERVAL)
      continue;
    if (tly_plan_constant(builder->planner, constant, &value, NULL) == TLY_OK &&
        to_key_type(&value, builder->program->parts[0].key_types[key]))
      add_bound(&builder->columns[key], side == 0 ? operator : mirrored(operator), &value);
    return;
  }
}

/* x IN (constants): from the least to the greatest of them. */
static void add_in(struct range_builder *builder, const struct tly_expr *term) {
  int key = key_of(builder, term->arguments[0]);
  struct tly_value least, greatest;
  if (key < 0)
    return;
  for (uint32_t i = 1; i < term->argument_count; i++) {
    struct tly_value value;
    if (!tly_plan_is_constant(term->arguments[i]) ||
        tly_plan_constant(builder->planner, term->arguments[i], &value, NULL) != TLY_OK ||
        !to_key_type(&value, builder->program->parts[0].key_types[key]))
      return;
    if (i == 1 || compare(&value, &least) < 0)
      least = value;
    if (i == 1 || compare(&value, &greatest) > 0)
      greatest = value;
  }
  if (term->argument_count > 1) {
    add_bound(&builder->columns[key], ">=", &least);
    add_bound(&builder->columns[key], "<=", &greatest);
  }
}

static void add_terms(struct range_builder *builder, const struct tly_expr *condition) {
  if (condition == NULL)
    return;
  if (condition->kind == TLY_EXPR_AND) {
    for (uint32_t i = 0; i < condition->argument_count; i++)
      add_terms(builder, condition->arguments[i]);
  } else if (condition->kind == TLY_EXPR_CALL) {
    const char *operator= tly_plan_comparison(condition->kernel);
    if (operator!= NULL)
      add_comparison(builder, condition, operator);
  } else if (condition->kind == TLY_EXPR_IN && tly_plan_comparison(condition->kernel) != NULL)
    add_in(builder, condition);
}

static void append_bound(struct tly_buffer *out, const struct tly_buffer *prefix, const struct tly_value *value,
                         bool is_after) {
  struct tly_buffer key = {0};
  tly_buffer_append(&key, prefix->data, prefix->size);
  tly_key_append(&key, value);
  if (is_after)
    tly_key_append_successor(key.data, key.size, out);
  else
    tly_buffer_append(out, key.data, key.size);
  tly_buffer_free(&key);
}

static void encode_range(const struct range_builder *builder, struct tly_view_use *use) {
  struct tly_buffer prefix = {0};
  uint32_t key = 0, key_count = builder->program->view->key_count;
  while (key < key_count && builder->columns[key].has_equal)
    tly_key_append(&prefix, &builder->columns[key++].equal);
  const struct column_range *next = key < key_count ? &builder->columns[key] : NULL;
  if (next != NULL && next->has_low)
    append_bound(&use->low, &prefix, &next->low, next->low_is_open);
  else
    tly_buffer_append(&use->low, prefix.data, prefix.size);
  if (next != NULL && next->has_high)
    append_bound(&use->high, &prefix, &next->high, !next->high_is_open);
  else
    tly_key_append_successor(prefix.data, prefix.size, &use->high);
  tly_buffer_free(&prefix);
}

void tly_plan_key_range(struct tly_planner *planner, const struct tly_query *query, uint32_t item,
                        struct tly_view_use *use) {
  struct range_builder builder = {.planner = planner, .program = use->program, .item = item};
  builder.columns = TLY_ARENA_ARRAY(&planner->plan->arena, struct column_range, use->program->view->key_count + 1);
  add_terms(&builder, query->where);
  for (uint32_t i = 0; i < query->from_count; i++)
    if (query->from[i].join != TLY_JOIN_LEFT || i == item)
      add_terms(&builder, query->from[i].on);
  encode_range(&builder, use);
}
