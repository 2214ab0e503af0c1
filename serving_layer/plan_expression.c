/* Expressions. SQLite gets columns, bound values, AND, OR, NOT, IS NULL, comparisons of operands of one form,
 * sub-selects and aggregates; everything else is one call of the evaluator. Constants are computed here and bound; one
 * that raises stays a call, so that it raises only if a row reaches it. */
#include "serving_layer/plan_internal.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/engine/evaluate.h"
#include "serving_layer/forms.h"

enum { CALL_ARGUMENTS_MAX = 100 };

/* ---- what an expression is made of ------------------------------------------------------------------------------- */

bool tly_plan_is_constant(const struct tly_expr *expression) {
  switch (expression->kind) {
  case TLY_EXPR_COLUMN:
  case TLY_EXPR_KEY:
  case TLY_EXPR_AGGREGATE:
  case TLY_EXPR_WINDOW:
  case TLY_EXPR_EXISTS:
  case TLY_EXPR_IN_QUERY:
  case TLY_EXPR_SCALAR_QUERY: return false;
  default: break;
  }
  for (uint32_t i = 0; i < expression->argument_count; i++)
    if (!tly_plan_is_constant(expression->arguments[i]))
      return false;
  return true;
}

static bool has_query(const struct tly_expr *expression) {
  if (expression->kind == TLY_EXPR_EXISTS || expression->kind == TLY_EXPR_IN_QUERY ||
      expression->kind == TLY_EXPR_SCALAR_QUERY)
    return true;
  for (uint32_t i = 0; i < expression->argument_count; i++)
    if (has_query(expression->arguments[i]))
      return true;
  return false;
}

const char *tly_plan_comparison(enum tly_kernel kernel) {
  static const char *const names[] = {"=", "<>", "<", ">", "<=", ">="};
  for (size_t i = 0; i < tly_catalog_operator_count; i++) {
    const struct tly_catalog_operator *operator= & tly_catalog_operators[i];
    struct tly_type left = TLY_TYPE_OF(operator->left), right = TLY_TYPE_OF(operator->right);
    if (operator->kernel != kernel || operator->result != TLY_TYPE_BOOLEAN)
      continue;
    for (size_t name = 0; name < sizeof names / sizeof *names; name++)
      if (strcmp(operator->name, names[name]) == 0 &&
          (tly_form_is_comparable(left, right) || (left.id == TLY_TYPE_NUMERIC && right.id == TLY_TYPE_NUMERIC)))
        return names[name];
  }
  return NULL;
}

enum tly_status tly_plan_constant(struct tly_planner *planner, const struct tly_expr *expression, struct tly_value *out,
                                  struct tly_error *error) {
  const struct tly_arguments *arguments = planner->arguments;
  struct tly_evaluate_input input = {.row_count = 1, .parameters = arguments->parameters, .now_us = arguments->now_us};
  tly_evaluator *evaluator = tly_evaluator_new();
  enum tly_status status = tly_evaluate_value(evaluator, expression, &input, out, error);
  if (status == TLY_OK && !out->is_null) { /* into the plan's arena */
    struct tly_arena *arena = &planner->plan->arena;
    if (tly_type_form(out->type) == TLY_FORM_TEXT) {
      out->text.data = tly_arena_copy(arena, out->text.data, out->text.size);
    } else if (tly_type_form(out->type) == TLY_FORM_DECIMAL) {
      size_t limbs = (size_t)(out->decimal.limb_count < 0 ? -out->decimal.limb_count : out->decimal.limb_count);
      if (limbs > 2)
        out->decimal.limbs = (void *)tly_arena_copy(arena, out->decimal.limbs, limbs * sizeof(uint64_t));
    }
  }
  tly_evaluator_free(evaluator);
  return status;
}

/* ---- leaves ------------------------------------------------------------------------------------------------------ */

static struct tly_binding *add_binding(struct tly_plan *plan) {
  if (plan->binding_count == plan->binding_capacity) {
    plan->binding_capacity = plan->binding_capacity == 0 ? 16 : 2 * plan->binding_capacity;
    plan->bindings = tly_realloc_array(plan->bindings, plan->binding_capacity, sizeof *plan->bindings);
  }
  struct tly_binding *binding = &plan->bindings[plan->binding_count++];
  *binding = (struct tly_binding){0};
  return binding;
}

void tly_plan_bind(struct tly_planner *planner, const struct tly_value *value, struct tly_buffer *out) {
  add_binding(planner->plan)->value = *value;
  tly_buffer_print(out, "?%u", planner->plan->binding_count);
}

/* The group key of `scope` that `expression`, seen from there, is; -1: none. */
static int group_of(const struct tly_scope_plan *scope, const struct tly_expr *expression) {
  for (uint32_t i = 0; i < scope->query->group_count; i++)
    if (tly_expr_equal(scope->query->group[i], expression))
      return (int)i;
  return -1;
}

static enum tly_status plan_column(struct tly_planner *planner, const struct tly_expr *expression,
                                   struct tly_buffer *out) {
  const struct tly_scope_plan *scope = planner->scope;
  for (uint32_t level = 0; level < expression->levels_up; level++)
    scope = scope->outer;
  TLY_ASSERT(scope != NULL);
  if (scope->is_grouped) {
    struct tly_expr seen = *expression;
    seen.levels_up = 0;
    int key = group_of(scope, &seen);
    if (key < 0)
      return TLY_FAIL(planner->error, TLY_E_NOT_SUPPORTED,
                      "a sub-select that uses an expression of the outer query's GROUP BY is not supported");
    tly_buffer_print(out, "g%u.k%d", scope->number, key);
    return TLY_OK;
  }
  TLY_ASSERT(expression->relation < scope->query->from_count);
  tly_buffer_print(out, "f%u_%u.", scope->number, expression->relation);
  enum tly_from_kind kind = scope->query->from[expression->relation].kind;
  if (kind == TLY_FROM_VIEW || kind == TLY_FROM_SYSTEM || kind == TLY_FROM_STREAM)
    tly_buffer_print(out, "c%u", expression->column);
  else
    tly_buffer_print(out, "r%u_%u", scope->item_numbers[expression->relation], expression->column);
  return TLY_OK;
}

static void plan_aggregate_column(struct tly_planner *planner, const struct tly_expr *expression,
                                  struct tly_buffer *out) {
  const struct tly_scope_plan *scope = planner->scope;
  for (uint32_t i = 0; i < scope->aggregate_count; i++)
    if (tly_expr_equal(scope->aggregates[i], expression)) {
      tly_buffer_print(out, "g%u.a%u", scope->number, i);
      return;
    }
  TLY_UNREACHABLE(); /* collected before anything above GROUP BY is spelled */
}

/* ---- calls of the evaluator -------------------------------------------------------------------------------------- */

struct call_builder {
  struct tly_planner *planner;
  const struct tly_expr *sources[CALL_ARGUMENTS_MAX];
  struct tly_type types[CALL_ARGUMENTS_MAX];
  uint32_t count;
  struct tly_buffer text; /* ", a, b" */
  enum tly_status status;
};

/* Is this something SQLite holds, seen from above or below GROUP BY? */
static bool is_leaf(const struct tly_scope_plan *scope, const struct tly_expr *expression) {
  switch (expression->kind) {
  case TLY_EXPR_COLUMN:
  case TLY_EXPR_AGGREGATE:
  case TLY_EXPR_WINDOW:
  case TLY_EXPR_EXISTS:
  case TLY_EXPR_IN_QUERY:
  case TLY_EXPR_SCALAR_QUERY: return true;
  case TLY_EXPR_CONSTANT:
  case TLY_EXPR_PARAMETER:
  case TLY_EXPR_NOW: return false;
  default: return scope->is_grouped && group_of(scope, expression) >= 0;
  }
}

static uint32_t argument_number(struct call_builder *builder, const struct tly_expr *expression) {
  for (uint32_t i = 0; i < builder->count; i++)
    if (tly_expr_equal(builder->sources[i], expression))
      return i;
  if (builder->count == CALL_ARGUMENTS_MAX) {
    builder->status = TLY_FAIL(builder->planner->error, TLY_E_TOO_COMPLEX, "an expression uses more than %d columns",
                               CALL_ARGUMENTS_MAX);
    return 0;
  }
  builder->sources[builder->count] = expression;
  builder->types[builder->count] = expression->type;
  tly_buffer_append_byte(&builder->text, ',');
  if (builder->status == TLY_OK)
    builder->status = tly_plan_expression(builder->planner, expression, &builder->text);
  return builder->count++;
}

/* A copy of `expression` whose leaves are columns of the call, and whose parameters and now() are constants. */
static struct tly_expr *rewrite(struct call_builder *builder, const struct tly_expr *expression) {
  struct tly_planner *planner = builder->planner;
  struct tly_arena *arena = &planner->plan->arena;
  struct tly_expr *copy = (void *)tly_arena_copy(arena, expression, sizeof *expression);
  if (is_leaf(planner->scope, expression)) {
    uint32_t number = argument_number(builder, expression);
    *copy = (struct tly_expr){.kind = TLY_EXPR_COLUMN,
                              .type = expression->type,
                              .nullable = true,
                              .location = expression->location,
                              .column = number};
    return copy;
  }
  if (expression->kind == TLY_EXPR_PARAMETER || expression->kind == TLY_EXPR_NOW) {
    copy->kind = TLY_EXPR_CONSTANT;
    copy->constant = tly_value_null(expression->type);
    if (builder->status == TLY_OK)
      builder->status = tly_plan_constant(planner, expression, &copy->constant, planner->error);
    return copy;
  }
  copy->arguments = TLY_ARENA_ARRAY(arena, struct tly_expr *, expression->argument_count + 1);
  for (uint32_t i = 0; i < expression->argument_count; i++)
    copy->arguments[i] = rewrite(builder, expression->arguments[i]);
  return copy;
}

static enum tly_status plan_call(struct tly_planner *planner, const struct tly_expr *expression,
                                 struct tly_buffer *out) {
  struct tly_arena *arena = &planner->plan->arena;
  struct call_builder *builder = tly_calloc(1, sizeof *builder); /* too large for a stack that recurses */
  builder->planner = planner;
  struct tly_call *call = TLY_ARENA_NEW(arena, struct tly_call);
  call->expression = rewrite(builder, expression);
  call->argument_count = builder->count;
  call->types = (void *)tly_arena_copy(arena, builder->types, builder->count * sizeof *builder->types);
  add_binding(planner->plan)->call = call;
  tly_buffer_print(out, "tly(?%u", planner->plan->binding_count);
  tly_buffer_append(out, builder->text.data, builder->text.size);
  tly_buffer_append_byte(out, ')');
  enum tly_status status = builder->status;
  tly_buffer_free(&builder->text);
  tly_free(builder);
  return status;
}

/* ---- native forms ------------------------------------------------------------------------------------------------ */

static enum tly_status plan_list(struct tly_planner *planner, const struct tly_expr *expression, const char *between,
                                 struct tly_buffer *out) {
  tly_buffer_append_byte(out, '(');
  for (uint32_t i = 0; i < expression->argument_count; i++) {
    tly_buffer_append_text(out, i > 0 ? between : "");
    TLY_TRY(tly_plan_expression(planner, expression->arguments[i], out));
  }
  tly_buffer_append_byte(out, ')');
  return TLY_OK;
}

static enum tly_status plan_wrapped(struct tly_planner *planner, const char *before, const struct tly_expr *expression,
                                    const char *after, struct tly_buffer *out) {
  tly_buffer_append_text(out, before);
  TLY_TRY(tly_plan_expression(planner, expression, out));
  tly_buffer_append_text(out, after);
  return TLY_OK;
}

enum tly_status tly_plan_comparable(struct tly_planner *planner, const struct tly_expr *expression,
                                    struct tly_buffer *out) {
  if (tly_form_is_canonical(expression->type))
    return tly_plan_expression(planner, expression, out);
  return plan_wrapped(planner, "tly_key(", expression, ")", out);
}

static enum tly_status plan_comparison(struct tly_planner *planner, const struct tly_expr *expression,
                                       const char *operator, struct tly_buffer * out) {
  const struct tly_expr *left = expression->arguments[0], *right = expression->arguments[1];
  bool is_direct = tly_form_is_comparable(left->type, right->type);
  tly_buffer_append_text(out, is_direct ? "(" : "(tly_key(");
  TLY_TRY(tly_plan_expression(planner, left, out));
  tly_buffer_print(out, is_direct ? "%s" : ")%stly_key(", operator);
  TLY_TRY(tly_plan_expression(planner, right, out));
  tly_buffer_append_text(out, is_direct ? ")" : "))");
  return TLY_OK;
}

/* CASE and COALESCE over sub-selects: SQLite's own, which evaluates only the branch it takes. */
static enum tly_status plan_case(struct tly_planner *planner, const struct tly_expr *expression,
                                 struct tly_buffer *out) {
  tly_buffer_append_text(out, "CASE");
  for (uint32_t i = 0; i + 1 < expression->argument_count; i += 2) {
    TLY_TRY(plan_wrapped(planner, " WHEN ", expression->arguments[i], " THEN ", out));
    TLY_TRY(tly_plan_expression(planner, expression->arguments[i + 1], out));
  }
  return plan_wrapped(planner, " ELSE ", expression->arguments[expression->argument_count - 1], " END", out);
}

/* ---- sub-selects ------------------------------------------------------------------------------------------------- */

static enum tly_status plan_sub_select(struct tly_planner *planner, const struct tly_query *query, uint32_t *number,
                                       struct tly_buffer *out) {
  bool is_grouped = planner->scope->is_grouped;
  tly_buffer_append_byte(out, '(');
  TLY_TRY(tly_plan_query(planner, query, number, out));
  tly_buffer_append_byte(out, ')');
  TLY_ASSERT(planner->scope->is_grouped == is_grouped);
  return TLY_OK;
}

/* SQLite would take the first of several rows; tly_one() raises 21000 at the second. */
static enum tly_status plan_scalar_query(struct tly_planner *planner, const struct tly_expr *expression,
                                         struct tly_buffer *out) {
  struct tly_buffer query = {0};
  uint32_t number = 0;
  enum tly_status status = plan_sub_select(planner, expression->query, &number, &query);
  tly_buffer_print(out, "(SELECT tly_one(s.r%u_0) FROM ", number);
  tly_buffer_append(out, query.data, query.size);
  tly_buffer_append_text(out, " AS s)");
  tly_buffer_free(&query);
  return status;
}

static enum tly_status plan_in_query(struct tly_planner *planner, const struct tly_expr *expression,
                                     struct tly_buffer *out) {
  const struct tly_expr *left = expression->arguments[0];
  struct tly_type right = expression->query->columns[0].type;
  bool is_direct = tly_form_is_comparable(left->type, right);
  struct tly_buffer query = {0};
  uint32_t number = 0;
  if (!is_direct && (left->type.id != TLY_TYPE_NUMERIC || right.id != TLY_TYPE_NUMERIC))
    return TLY_FAIL(planner->error, TLY_E_NOT_SUPPORTED, "IN over a sub-select of type %s for a value of type %s",
                    tly_type_name(right), tly_type_name(left->type));
  TLY_TRY(plan_wrapped(planner, is_direct ? "(" : "(tly_key(", left, is_direct ? " IN " : ") IN ", out));
  enum tly_status status = plan_sub_select(planner, expression->query, &number, &query);
  if (!is_direct)
    tly_buffer_print(out, "(SELECT tly_key(s.r%u_0) FROM ", number);
  tly_buffer_append(out, query.data, query.size);
  tly_buffer_append_text(out, is_direct ? ")" : " AS s))");
  tly_buffer_free(&query);
  return status;
}

/* ---- the switch -------------------------------------------------------------------------------------------------- */

static enum tly_status plan_operator(struct tly_planner *planner, const struct tly_expr *expression,
                                     struct tly_buffer *out) {
  const char *operator;
  bool is_native = !expression->can_raise || has_query(expression);
  switch (expression->kind) {
  case TLY_EXPR_AND:
    if (is_native)
      return plan_list(planner, expression, " AND ", out);
    break;
  case TLY_EXPR_OR:
    if (is_native)
      return plan_list(planner, expression, " OR ", out);
    break;
  case TLY_EXPR_NOT: return plan_wrapped(planner, "(NOT ", expression->arguments[0], ")", out);
  case TLY_EXPR_IS_NULL: return plan_wrapped(planner, "(", expression->arguments[0], " IS NULL)", out);
  case TLY_EXPR_IS_NOT_NULL: return plan_wrapped(planner, "(", expression->arguments[0], " IS NOT NULL)", out);
  case TLY_EXPR_RELABEL: return tly_plan_expression(planner, expression->arguments[0], out);
  case TLY_EXPR_CASE:
    if (has_query(expression))
      return plan_case(planner, expression, out);
    break;
  case TLY_EXPR_COALESCE:
    if (has_query(expression) && expression->argument_count > 1) {
      tly_buffer_append_text(out, "coalesce");
      return plan_list(planner, expression, ",", out);
    }
    break;
  case TLY_EXPR_CALL:
    operator= tly_plan_comparison(expression->kernel);
    if (operator!= NULL)
      return plan_comparison(planner, expression, operator, out);
    break;
  default: break;
  }
  return plan_call(planner, expression, out);
}

enum tly_status tly_plan_expression(struct tly_planner *planner, const struct tly_expr *expression,
                                    struct tly_buffer *out) {
  struct tly_scope_plan *scope = planner->scope;
  struct tly_value value;
  uint32_t number;
  if (tly_plan_is_constant(expression) && expression->type.id != TLY_TYPE_INTERVAL &&
      tly_plan_constant(planner, expression, &value, NULL) == TLY_OK) {
    tly_plan_bind(planner, &value, out);
    return TLY_OK;
  }
  if (scope->is_grouped && expression->kind != TLY_EXPR_COLUMN) {
    int key = group_of(scope, expression);
    if (key >= 0) {
      tly_buffer_print(out, "g%u.k%d", scope->number, key);
      return TLY_OK;
    }
  }
  switch (expression->kind) {
  case TLY_EXPR_COLUMN: return plan_column(planner, expression, out);
  case TLY_EXPR_AGGREGATE: plan_aggregate_column(planner, expression, out); return TLY_OK;
  case TLY_EXPR_WINDOW: return tly_plan_window(planner, expression->window, out);
  case TLY_EXPR_SCALAR_QUERY: return plan_scalar_query(planner, expression, out);
  case TLY_EXPR_IN_QUERY: return plan_in_query(planner, expression, out);
  case TLY_EXPR_EXISTS:
    tly_buffer_append_text(out, "EXISTS");
    return plan_sub_select(planner, expression->query, &number, out);
  default: return plan_operator(planner, expression, out);
  }
}

/* ---- conditions -------------------------------------------------------------------------------------------------- */

/* The terms numbered by list, as one evaluator call in written order. Sub-selects among them keep them apart. */
static enum tly_status plan_raising_terms(struct tly_planner *planner, const struct tly_expr *condition,
                                          struct tly_expr **terms, uint32_t count, struct tly_buffer *out) {
  struct tly_expr rest = *condition;
  rest.arguments = terms;
  rest.argument_count = count;
  if (count == 1)
    return tly_plan_expression(planner, terms[0], out);
  return has_query(&rest) ? plan_list(planner, &rest, " AND ", out) : plan_call(planner, &rest, out);
}

enum tly_status tly_plan_condition(struct tly_planner *planner, const struct tly_expr *condition, bool is_joined,
                                   struct tly_buffer *out) {
  if (condition->kind != TLY_EXPR_AND || !condition->can_raise)
    return tly_plan_expression(planner, condition, out);
  struct tly_expr **raising = TLY_ARENA_ARRAY(&planner->plan->arena, struct tly_expr *, condition->argument_count);
  uint32_t count = 0;
  bool is_first = true;
  for (uint32_t i = 0; i < condition->argument_count; i++) {
    struct tly_expr *term = condition->arguments[i];
    if (term->can_raise || (count > 0 && !is_joined)) {
      raising[count++] = term;
      continue;
    }
    tly_buffer_append_text(out, is_first ? "" : " AND ");
    TLY_TRY(tly_plan_expression(planner, term, out));
    is_first = false;
  }
  if (count == 0)
    return TLY_OK;
  tly_buffer_append_text(out, is_first ? "" : " AND ");
  return plan_raising_terms(planner, condition, raising, count, out);
}
