/* Aggregates, windows and ORDER BY. SQLite's own count, min and max work on our forms as they are (their order is the
 * type's order; bool_and and bool_or are min and max over 0 and 1); sum, avg and the variances are ours: exact, with
 * PostgreSQL's result types, and invertible, so that windows slide. */
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "serving_layer/forms.h"
#include "serving_layer/plan_internal.h"

static uint32_t add_aggregate(struct tly_plan *plan, const struct tly_aggregate *aggregate) {
  if (plan->aggregate_count == plan->aggregate_capacity) {
    plan->aggregate_capacity = plan->aggregate_capacity == 0 ? 8 : 2 * plan->aggregate_capacity;
    plan->aggregates = tly_realloc_array(plan->aggregates, plan->aggregate_capacity, sizeof *plan->aggregates);
  }
  plan->aggregates[plan->aggregate_count] = (struct tly_aggregate_call){
      .function = aggregate->function, .argument = aggregate->argument->type, .result = aggregate->type};
  return plan->aggregate_count++;
}

static void plan_function(struct tly_planner *planner, const struct tly_aggregate *aggregate, struct tly_buffer *out) {
  switch (aggregate->function) {
  case TLY_AGGREGATE_COUNT: tly_buffer_append_text(out, aggregate->distinct ? "count(DISTINCT " : "count("); return;
  case TLY_AGGREGATE_MIN:
  case TLY_AGGREGATE_BOOL_AND: tly_buffer_append_text(out, "min("); return;
  case TLY_AGGREGATE_MAX:
  case TLY_AGGREGATE_BOOL_OR: tly_buffer_append_text(out, "max("); return;
  default: tly_buffer_print(out, "tly_aggregate(%u,", add_aggregate(planner->plan, aggregate)); return;
  }
}

/* Of numerics that are equal the one with the least display scale is shown. In their forms it is the least: right for
 * min; max looks at forms with the scale turned round. */
static bool is_flipped(const struct tly_aggregate *aggregate) {
  return aggregate->function == TLY_AGGREGATE_MAX && !tly_form_is_canonical(aggregate->argument->type);
}

static enum tly_status plan_argument(struct tly_planner *planner, const struct tly_aggregate *aggregate,
                                     struct tly_buffer *out) {
  const struct tly_expr *argument = aggregate->argument;
  if (argument == NULL) {
    tly_buffer_append_byte(out, '*');
    return TLY_OK;
  }
  if (aggregate->distinct)
    return tly_plan_comparable(planner, argument, out);
  tly_buffer_append_text(out, is_flipped(aggregate) ? "tly_flip(" : "");
  TLY_TRY(tly_plan_expression(planner, argument, out));
  tly_buffer_append_text(out, is_flipped(aggregate) ? ")" : "");
  return TLY_OK;
}

/* The call, without what is_flipped wraps around it. In a window the filter is a CASE around the argument, since NULLs
 * are ignored anyway: SQLite computes a window's arguments for every row before any filter, so one that raises would do
 * so too early; and SQLite 3.40 forgets the FILTER of min and max over a frame that slides. */
static enum tly_status plan_aggregate_call(struct tly_planner *planner, const struct tly_aggregate *aggregate,
                                           bool is_window, struct tly_buffer *out) {
  bool is_guarded = is_window && aggregate->filter != NULL;
  plan_function(planner, aggregate, out);
  if (is_guarded) {
    tly_buffer_append_text(out, "CASE WHEN ");
    TLY_TRY(tly_plan_condition(planner, aggregate->filter, false, out));
    tly_buffer_append_text(out, " THEN ");
  }
  if (is_guarded && aggregate->argument == NULL)
    tly_buffer_append_byte(out, '1'); /* count(*) */
  else
    TLY_TRY(plan_argument(planner, aggregate, out));
  tly_buffer_append_text(out, is_guarded ? " END)" : ")");
  if (aggregate->filter == NULL || is_window)
    return TLY_OK;
  tly_buffer_append_text(out, " FILTER (WHERE ");
  TLY_TRY(tly_plan_condition(planner, aggregate->filter, false, out));
  tly_buffer_append_byte(out, ')');
  return TLY_OK;
}

enum tly_status tly_plan_aggregate(struct tly_planner *planner, const struct tly_aggregate *aggregate,
                                   struct tly_buffer *out) {
  tly_buffer_append_text(out, is_flipped(aggregate) ? "tly_flip(" : "");
  TLY_TRY(plan_aggregate_call(planner, aggregate, false, out));
  tly_buffer_append_text(out, is_flipped(aggregate) ? ")" : "");
  return TLY_OK;
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

/* lag(x, n, d) is lead(x, -n, d): SQLite's lag sees only rows before, PostgreSQL's n may be negative. */
static enum tly_status plan_lag(struct tly_planner *planner, const struct tly_window *window, struct tly_buffer *out) {
  tly_buffer_append_text(out, "lead(");
  TLY_TRY(tly_plan_expression(planner, window->arguments[0], out));
  tly_buffer_append_text(out, ",-");
  if (window->argument_count < 2)
    tly_buffer_append_byte(out, '1');
  else
    TLY_TRY(tly_plan_expression(planner, window->arguments[1], out));
  if (window->argument_count > 2) {
    tly_buffer_append_byte(out, ',');
    TLY_TRY(tly_plan_expression(planner, window->arguments[2], out));
  }
  tly_buffer_append_byte(out, ')');
  return TLY_OK;
}

static enum tly_status plan_window_function(struct tly_planner *planner, const struct tly_window *window,
                                            struct tly_buffer *out) {
  static const char *const names[] = {
      [TLY_WINDOW_ROW_NUMBER] = "row_number",
      [TLY_WINDOW_RANK] = "rank",
      [TLY_WINDOW_DENSE_RANK] = "dense_rank",
      [TLY_WINDOW_PERCENT_RANK] = "percent_rank",
      [TLY_WINDOW_CUME_DIST] = "cume_dist",
      [TLY_WINDOW_NTILE] = "ntile",
      [TLY_WINDOW_LAG] = "lag",
      [TLY_WINDOW_LEAD] = "lead",
      [TLY_WINDOW_FIRST_VALUE] = "first_value",
      [TLY_WINDOW_LAST_VALUE] = "last_value",
      [TLY_WINDOW_NTH_VALUE] = "nth_value",
  };
  if (window->is_aggregate)
    return plan_aggregate_call(planner, &window->aggregate, true, out);
  if (window->function == TLY_WINDOW_LAG)
    return plan_lag(planner, window, out);
  tly_buffer_print(out, "%s(", names[window->function]);
  for (uint32_t i = 0; i < window->argument_count; i++) {
    tly_buffer_append_text(out, i > 0 ? "," : "");
    TLY_TRY(tly_plan_expression(planner, window->arguments[i], out));
  }
  tly_buffer_append_byte(out, ')');
  return TLY_OK;
}

static enum tly_status plan_bound(struct tly_planner *planner, enum tly_frame_bound bound,
                                  const struct tly_expr *offset, const char *which, struct tly_buffer *out) {
  struct tly_value value;
  switch (bound) {
  case TLY_FRAME_UNBOUNDED_PRECEDING: tly_buffer_append_text(out, "UNBOUNDED PRECEDING"); return TLY_OK;
  case TLY_FRAME_UNBOUNDED_FOLLOWING: tly_buffer_append_text(out, "UNBOUNDED FOLLOWING"); return TLY_OK;
  case TLY_FRAME_CURRENT_ROW: tly_buffer_append_text(out, "CURRENT ROW"); return TLY_OK;
  case TLY_FRAME_PRECEDING:
  case TLY_FRAME_FOLLOWING: break;
  }
  TLY_TRY(tly_plan_constant(planner, offset, &value, planner->error));
  if (value.is_null)
    return TLY_FAIL(planner->error, TLY_E_NULL_NOT_ALLOWED, "frame %s offset must not be null", which);
  if (value.i64 < 0)
    return TLY_FAIL(planner->error, TLY_E_FRAME_OFFSET, "frame %s offset must not be negative", which);
  tly_plan_bind(planner, &value, out);
  tly_buffer_append_text(out, bound == TLY_FRAME_PRECEDING ? " PRECEDING" : " FOLLOWING");
  return TLY_OK;
}

static enum tly_status plan_frame(struct tly_planner *planner, const struct tly_window *window,
                                  struct tly_buffer *out) {
  static const char *const modes[] = {
      [TLY_FRAME_RANGE] = " RANGE", [TLY_FRAME_ROWS] = " ROWS", [TLY_FRAME_GROUPS] = " GROUPS"};
  if (!window->has_frame)
    return TLY_OK;
  tly_buffer_print(out, "%s BETWEEN ", modes[window->mode]);
  TLY_TRY(plan_bound(planner, window->start, window->start_offset, "starting", out));
  tly_buffer_append_text(out, " AND ");
  return plan_bound(planner, window->end, window->end_offset, "ending", out);
}

enum tly_status tly_plan_window(struct tly_planner *planner, const struct tly_window *window, struct tly_buffer *out) {
  bool flips = window->is_aggregate && is_flipped(&window->aggregate);
  tly_buffer_append_text(out, flips ? "tly_flip(" : "");
  TLY_TRY(plan_window_function(planner, window, out));
  tly_buffer_append_text(out, " OVER (");
  for (uint32_t i = 0; i < window->partition_count; i++) {
    tly_buffer_append_text(out, i > 0 ? "," : "PARTITION BY ");
    TLY_TRY(tly_plan_comparable(planner, window->partition[i], out));
  }
  for (uint32_t i = 0; i < window->order_count; i++) {
    const struct tly_order_item *item = &window->order[i];
    tly_buffer_append_text(out, i > 0 ? "," : " ORDER BY ");
    TLY_TRY(tly_plan_comparable(planner, item->expression, out));
    tly_buffer_print(out, "%s NULLS %s", item->descending ? " DESC" : " ASC", item->nulls_first ? "FIRST" : "LAST");
  }
  TLY_TRY(plan_frame(planner, window, out));
  tly_buffer_append_text(out, flips ? "))" : ")");
  return TLY_OK;
}

/* ---- ORDER BY ---------------------------------------------------------------------------------------------------- */

/* A result column by number, under its own name in tly_key(). */
static void plan_result_column(struct tly_planner *planner, uint32_t column, struct tly_buffer *out) {
  const struct tly_scope_plan *scope = planner->scope;
  if (tly_form_is_canonical(scope->query->columns[column].type))
    tly_buffer_print(out, "%u", column + 1);
  else
    tly_buffer_print(out, "tly_key(r%u_%u)", scope->number, column);
}

/* The target that an ORDER BY expression repeats, or -1. */
static int target_of(const struct tly_query *query, const struct tly_expr *expression) {
  for (uint32_t i = 0; query->targets != NULL && i < query->column_count; i++)
    if (tly_expr_equal(query->targets[i], expression))
      return (int)i;
  return -1;
}

enum tly_status tly_plan_order_item(struct tly_planner *planner, const struct tly_order_item *item,
                                    struct tly_buffer *out) {
  const struct tly_query *query = planner->scope->query;
  const struct tly_expr *expression = item->expression;
  bool is_result = expression->kind == TLY_EXPR_COLUMN && expression->relation == TLY_RELATION_RESULT;
  int target = is_result ? (int)expression->column : target_of(query, expression);
  if (target >= 0)
    plan_result_column(planner, (uint32_t)target, out);
  else
    TLY_TRY(tly_plan_comparable(planner, expression, out));
  tly_buffer_append_text(out, item->descending ? " DESC" : " ASC");
  /* Without the words a table may say that it comes in this order already: only where no NULL can be. */
  bool is_plain_view = query->from_count == 1 && query->from[0].kind == TLY_FROM_VIEW && !query->is_grouped;
  if (!is_plain_view || expression->kind != TLY_EXPR_COLUMN || expression->nullable)
    tly_buffer_print(out, " NULLS %s", item->nulls_first ? "FIRST" : "LAST");
  return TLY_OK;
}
