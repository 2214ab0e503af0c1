/* Query levels: FROM, WHERE, GROUP BY, HAVING, targets, DISTINCT, ORDER BY, LIMIT, UNION ALL and WITH. */
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "serving_layer/forms.h"
#include "serving_layer/plan_internal.h"

static struct tly_scope_plan *push_scope(struct tly_planner *planner, const struct tly_query *query) {
  struct tly_arena *arena = &planner->plan->arena;
  struct tly_scope_plan *scope = TLY_ARENA_NEW(arena, struct tly_scope_plan);
  scope->outer = planner->scope;
  scope->query = query;
  scope->number = planner->scope_count++;
  scope->item_numbers = TLY_ARENA_ARRAY(arena, uint32_t, query->from_count + 1);
  scope->cte_numbers = TLY_ARENA_ARRAY(arena, uint32_t, query->cte_count + 1);
  planner->scope = scope;
  return scope;
}

static void pop_scope(struct tly_planner *planner) {
  planner->scope = planner->scope->outer;
}

/* ---- FROM -------------------------------------------------------------------------------------------------------- */

static struct tly_view_use *add_use(struct tly_plan *plan) {
  if (plan->use_count == plan->use_capacity) {
    plan->use_capacity = plan->use_capacity == 0 ? 4 : 2 * plan->use_capacity;
    plan->uses = tly_realloc_array(plan->uses, plan->use_capacity, sizeof *plan->uses);
  }
  return &plan->uses[plan->use_count++];
}

/* Is `expression` a column of FROM item `item` of this level? */
static bool is_column_of(const struct tly_expr *expression, uint32_t item) {
  return expression->kind == TLY_EXPR_COLUMN && expression->levels_up == 0 && expression->relation == item;
}

/* Neither a system relation nor a stream has keys. */
static bool is_leading_key(const struct tly_from_item *from, uint32_t column) {
  const struct tly_expr *output = from->kind == TLY_FROM_VIEW ? from->view->outputs[column].expression : NULL;
  return output != NULL && output->kind == TLY_EXPR_KEY && output->column == 0;
}

/* Does a term of `condition` join a column of `item` by equality to something of another item? *on_leading_key: is one
 * of those columns the view's first key? Then each lookup is a key range; otherwise SQLite needs an index. */
static bool has_equality(const struct tly_expr *condition, const struct tly_from_item *from, uint32_t item,
                         bool *on_leading_key) {
  if (condition == NULL)
    return false;
  if (condition->kind == TLY_EXPR_AND) {
    bool found = false;
    for (uint32_t i = 0; i < condition->argument_count; i++)
      found |= has_equality(condition->arguments[i], from, item, on_leading_key);
    return found;
  }
  const char *operator= condition->kind == TLY_EXPR_CALL ? tly_plan_comparison(condition->kernel) : NULL;
  if (operator== NULL || strcmp(operator, "=") != 0)
    return false;
  for (int side = 0; side < 2; side++) {
    const struct tly_expr *own = condition->arguments[side], *other = condition->arguments[1 - side];
    if (!is_column_of(own, item) || is_column_of(other, item) || tly_plan_is_constant(other))
      continue;
    *on_leading_key |= is_leading_key(from, own->column);
    return true;
  }
  return false;
}

/* A virtual table gets no automatic index: one that is joined by equality on other columns than a leading key is copied
 * into one that does (LIMIT -1 keeps SQLite from flattening it). */
static bool needs_copy(const struct tly_query *query, uint32_t item) {
  const struct tly_from_item *from = &query->from[item];
  bool on_leading_key = false;
  bool found = has_equality(query->where, from, item, &on_leading_key);
  for (uint32_t i = 0; i < query->from_count; i++)
    found |= has_equality(query->from[i].on, from, item, &on_leading_key);
  return found && !on_leading_key && query->from_count > 1;
}

/* v<view>(<use>) */
static void plan_view(struct tly_planner *planner, const struct tly_query *query, uint32_t item,
                      struct tly_buffer *out) {
  const struct tly_from_item *from = &query->from[item];
  uint32_t view = tly_programs_index(planner->programs, from->view);
  struct tly_view_use *use = add_use(planner->plan);
  tly_view_use_init(use, planner->programs->programs[view], from->run);
  tly_plan_key_range(planner, query, item, use);
  tly_buffer_print(out, "v%u(%u)", view, planner->plan->use_count - 1);
}

/* s<relation> */
static void plan_system(struct tly_planner *planner, const struct tly_from_item *from, struct tly_buffer *out) {
  planner->plan->uses_system[from->system->id] = true;
  tly_buffer_print(out, "s%u", (unsigned)from->system->id);
}

/* e<stream> */
static void plan_stream(struct tly_planner *planner, const struct tly_stream *stream, struct tly_buffer *out) {
  struct tly_plan *plan = planner->plan;
  bool is_known = false;
  for (uint32_t i = 0; i < plan->stream_count; i++)
    is_known |= plan->streams[i].stream == stream;
  if (!is_known) {
    TLY_ASSERT(plan->stream_count < TLY_SQL_FROM_ITEMS_MAX);
    plan->streams[plan->stream_count++] = (struct tly_stream_use){.stream = stream};
  }
  tly_buffer_print(out, "e%u", (uint32_t)(stream - planner->programs->project->streams));
}

/* A view, a system relation or a stream. */
static void plan_table(struct tly_planner *planner, const struct tly_query *query, uint32_t item,
                       struct tly_buffer *out) {
  const struct tly_from_item *from = &query->from[item];
  bool is_copied = needs_copy(query, item);
  if (is_copied) {
    tly_buffer_append_text(out, "(SELECT ");
    for (uint32_t column = 0; column < from->column_count; column++)
      tly_buffer_print(out, "%sc%u", column > 0 ? "," : "", column);
    tly_buffer_append_text(out, " FROM ");
  }
  if (from->kind == TLY_FROM_VIEW)
    plan_view(planner, query, item, out);
  else if (from->kind == TLY_FROM_SYSTEM)
    plan_system(planner, from, out);
  else
    plan_stream(planner, from->stream, out);
  if (is_copied)
    tly_buffer_append_text(out, " LIMIT -1)");
  tly_buffer_print(out, " AS f%u_%u", planner->scope->number, item);
}

/* The WITH query that FROM item `from` means. */
static enum tly_status plan_cte(struct tly_planner *planner, const struct tly_from_item *from, uint32_t item,
                                struct tly_buffer *out) {
  struct tly_scope_plan *scope = planner->scope;
  for (uint32_t level = 0; level < from->cte_levels_up; level++)
    scope = scope->outer;
  TLY_ASSERT(from->cte < scope->query->cte_count);
  uint32_t number = scope->cte_numbers[from->cte];
  planner->scope->item_numbers[item] = number;
  tly_buffer_print(out, "w%u AS f%u_%u", number, planner->scope->number, item);
  return TLY_OK;
}

static enum tly_status plan_from_item(struct tly_planner *planner, const struct tly_query *query, uint32_t item,
                                      struct tly_buffer *out) {
  const struct tly_from_item *from = &query->from[item];
  struct tly_scope_plan *scope = planner->scope;
  static const char *const joins[] = {
      [TLY_JOIN_NONE] = "", [TLY_JOIN_CROSS] = " JOIN ", [TLY_JOIN_INNER] = " JOIN ", [TLY_JOIN_LEFT] = " LEFT JOIN "};
  tly_buffer_append_text(out, joins[from->join]);
  switch (from->kind) {
  case TLY_FROM_VIEW:
  case TLY_FROM_SYSTEM:
  case TLY_FROM_STREAM: plan_table(planner, query, item, out); break;
  case TLY_FROM_CTE: TLY_TRY(plan_cte(planner, from, item, out)); break;
  case TLY_FROM_QUERY:
    tly_buffer_append_byte(out, '(');
    TLY_TRY(tly_plan_query(planner, from->query, &scope->item_numbers[item], out));
    tly_buffer_print(out, ") AS f%u_%u", scope->number, item);
    break;
  }
  if (from->on == NULL)
    return TLY_OK;
  tly_buffer_append_text(out, " ON ");
  return tly_plan_condition(planner, from->on, true, out);
}

static enum tly_status plan_from_where(struct tly_planner *planner, const struct tly_query *query,
                                       struct tly_buffer *out) {
  if (query->from_count > 0)
    tly_buffer_append_text(out, " FROM ");
  for (uint32_t item = 0; item < query->from_count; item++)
    TLY_TRY(plan_from_item(planner, query, item, out));
  if (query->where == NULL)
    return TLY_OK;
  tly_buffer_append_text(out, " WHERE ");
  return tly_plan_condition(planner, query->where, query->from_count > 1, out);
}

/* ---- GROUP BY ---------------------------------------------------------------------------------------------------- */

static void collect_aggregates(struct tly_planner *planner, struct tly_expr *expression);

static void collect_from_window(struct tly_planner *planner, struct tly_window *window) {
  if (window->is_aggregate && window->aggregate.argument != NULL)
    collect_aggregates(planner, window->aggregate.argument);
  if (window->is_aggregate && window->aggregate.filter != NULL)
    collect_aggregates(planner, window->aggregate.filter);
  for (uint32_t i = 0; i < window->argument_count; i++)
    collect_aggregates(planner, window->arguments[i]);
  for (uint32_t i = 0; i < window->partition_count; i++)
    collect_aggregates(planner, window->partition[i]);
  for (uint32_t i = 0; i < window->order_count; i++)
    collect_aggregates(planner, window->order[i].expression);
}

/* Each distinct aggregate call of this level, once. Sub-selects have levels of their own. */
static void collect_aggregates(struct tly_planner *planner, struct tly_expr *expression) {
  struct tly_scope_plan *scope = planner->scope;
  if (expression->kind == TLY_EXPR_AGGREGATE) {
    for (uint32_t i = 0; i < scope->aggregate_count; i++)
      if (tly_expr_equal(scope->aggregates[i], expression))
        return;
    TLY_ASSERT(scope->aggregate_count < scope->aggregate_capacity);
    scope->aggregates[scope->aggregate_count++] = expression;
    return;
  }
  if (expression->kind == TLY_EXPR_WINDOW)
    collect_from_window(planner, expression->window);
  for (uint32_t i = 0; i < expression->argument_count; i++)
    collect_aggregates(planner, expression->arguments[i]);
}

static void collect_level(struct tly_planner *planner, const struct tly_query *query) {
  struct tly_scope_plan *scope = planner->scope;
  scope->aggregate_capacity = TLY_SQL_EXPR_NODES_MAX; /* of the whole statement, so of this level */
  scope->aggregates = TLY_ARENA_ARRAY(&planner->plan->arena, struct tly_expr *, scope->aggregate_capacity);
  for (uint32_t i = 0; i < query->column_count; i++)
    collect_aggregates(planner, query->targets[i]);
  if (query->having != NULL)
    collect_aggregates(planner, query->having);
  for (uint32_t i = 0; i < query->order_count; i++)
    collect_aggregates(planner, query->order[i].expression);
}

/* The keys' columns. Of numerics that are equal but differ in scale, the least scale is shown: min() over the form. */
static enum tly_status plan_keys(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  for (uint32_t i = 0; i < query->group_count; i++) {
    bool is_canonical = tly_form_is_canonical(query->group[i]->type);
    tly_buffer_append_text(out, i > 0 ? "," : "");
    tly_buffer_append_text(out, is_canonical ? "" : "min(");
    TLY_TRY(tly_plan_expression(planner, query->group[i], out));
    tly_buffer_print(out, "%s AS k%u", is_canonical ? "" : ")", i);
  }
  return TLY_OK;
}

static enum tly_status plan_group_by(struct tly_planner *planner, const struct tly_query *query,
                                     struct tly_buffer *out) {
  if (query->group_count == 0)
    return TLY_OK;
  tly_buffer_append_text(out, " GROUP BY ");
  for (uint32_t i = 0; i < query->group_count; i++) {
    tly_buffer_append_text(out, i > 0 ? "," : "");
    if (tly_form_is_canonical(query->group[i]->type))
      tly_buffer_print(out, "%u", i + 1);
    else
      TLY_TRY(tly_plan_comparable(planner, query->group[i], out));
  }
  return TLY_OK;
}

/* "keys, aggregates" */
static enum tly_status plan_group_columns(struct tly_planner *planner, const struct tly_query *query,
                                          struct tly_buffer *out) {
  struct tly_scope_plan *scope = planner->scope;
  collect_level(planner, query);
  TLY_TRY(plan_keys(planner, query, out));
  for (uint32_t i = 0; i < scope->aggregate_count; i++) {
    tly_buffer_append_text(out, query->group_count + i > 0 ? "," : "");
    TLY_TRY(tly_plan_aggregate(planner, scope->aggregates[i]->aggregate, out));
    tly_buffer_print(out, " AS a%u", i);
  }
  if (query->group_count + scope->aggregate_count == 0) /* HAVING alone: one group */
    tly_buffer_append_text(out, "count(*)");
  return TLY_OK;
}

/* " FROM (SELECT keys, aggregates FROM ... GROUP BY ...) AS g<n> [WHERE having]" */
static enum tly_status plan_groups(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  struct tly_scope_plan *scope = planner->scope;
  struct tly_buffer below = {0};
  tly_buffer_append_text(out, " FROM (SELECT ");
  enum tly_status status = plan_from_where(planner, query, &below);
  if (status == TLY_OK)
    status = plan_group_columns(planner, query, out);
  tly_buffer_append(out, below.data, below.size);
  tly_buffer_free(&below);
  if (status == TLY_OK)
    status = plan_group_by(planner, query, out);
  TLY_TRY(status);
  tly_buffer_print(out, ") AS g%u", scope->number);
  scope->is_grouped = true;
  if (query->having == NULL)
    return TLY_OK;
  tly_buffer_append_text(out, " WHERE ");
  return tly_plan_condition(planner, query->having, false, out);
}

/* ---- result ------------------------------------------------------------------------------------------------------ */

/* FROM comes before the targets here: its items must have their numbers when columns are spelled. */
static enum tly_status plan_select(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  struct tly_buffer below = {0};
  enum tly_status status =
      query->is_grouped ? plan_groups(planner, query, &below) : plan_from_where(planner, query, &below);
  tly_buffer_append_text(out, "SELECT ");
  for (uint32_t i = 0; status == TLY_OK && i < query->column_count; i++) {
    tly_buffer_append_text(out, i > 0 ? "," : "");
    status = tly_plan_expression(planner, query->targets[i], out);
    tly_buffer_print(out, " AS r%u_%u", planner->scope->number, i);
  }
  tly_buffer_append(out, below.data, below.size);
  tly_buffer_free(&below);
  return status;
}

/* DISTINCT, over the whole result. Where equal values can have different bytes it is a GROUP BY of their keys. */
static enum tly_status plan_distinct(struct tly_planner *planner, const struct tly_query *query,
                                     struct tly_buffer *out) {
  uint32_t number = planner->scope->number;
  bool is_canonical = true;
  for (uint32_t i = 0; i < query->column_count; i++)
    is_canonical &= tly_form_is_canonical(query->columns[i].type);
  tly_buffer_append_text(out, is_canonical ? "SELECT DISTINCT " : "SELECT ");
  for (uint32_t i = 0; i < query->column_count; i++) {
    tly_buffer_append_text(out, i > 0 ? "," : "");
    if (tly_form_is_canonical(query->columns[i].type))
      tly_buffer_print(out, "d.r%u_%u AS r%u_%u", number, i, number, i);
    else
      tly_buffer_print(out, "min(d.r%u_%u) AS r%u_%u", number, i, number, i);
  }
  tly_buffer_append_text(out, " FROM (");
  TLY_TRY(plan_select(planner, query, out));
  tly_buffer_append_text(out, ") AS d");
  for (uint32_t i = 0; !is_canonical && i < query->column_count; i++) {
    bool is_key = tly_form_is_canonical(query->columns[i].type);
    tly_buffer_print(out, "%s%s(d.r%u_%u)", i > 0 ? "," : " GROUP BY ", is_key ? "" : "tly_key", number, i);
  }
  return TLY_OK;
}

/* UNION ALL: the members one after the other, their columns under this level's names. */
static enum tly_status plan_union(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  uint32_t number = planner->scope->number, first = 0;
  struct tly_buffer members = {0};
  enum tly_status status = TLY_OK;
  for (uint32_t i = 0; status == TLY_OK && i < query->member_count; i++) {
    uint32_t member;
    tly_buffer_append_text(&members, i > 0 ? " UNION ALL SELECT * FROM (" : "SELECT * FROM (");
    status = tly_plan_query(planner, query->members[i], &member, &members);
    tly_buffer_append_byte(&members, ')');
    if (i == 0)
      first = member;
  }
  tly_buffer_append_text(out, "SELECT ");
  for (uint32_t i = 0; i < query->column_count; i++)
    tly_buffer_print(out, "%su.r%u_%u AS r%u_%u", i > 0 ? "," : "", first, i, number, i);
  tly_buffer_append_text(out, " FROM (");
  tly_buffer_append(out, members.data, members.size);
  tly_buffer_append_text(out, ") AS u");
  tly_buffer_free(&members);
  return status;
}

static enum tly_status plan_limits(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  if (query->limit == NULL && query->offset == NULL)
    return TLY_OK;
  if (query->limit != NULL) {
    tly_buffer_append_text(out, " LIMIT tly_limit(");
    TLY_TRY(tly_plan_expression(planner, query->limit, out));
    tly_buffer_append_byte(out, ')');
  } else
    tly_buffer_append_text(out, " LIMIT -1");
  if (query->offset == NULL)
    return TLY_OK;
  tly_buffer_append_text(out, " OFFSET tly_offset(");
  TLY_TRY(tly_plan_expression(planner, query->offset, out));
  tly_buffer_append_byte(out, ')');
  return TLY_OK;
}

static enum tly_status plan_order(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  for (uint32_t i = 0; i < query->order_count; i++) {
    tly_buffer_append_text(out, i > 0 ? "," : " ORDER BY ");
    TLY_TRY(tly_plan_order_item(planner, &query->order[i], out));
  }
  return TLY_OK;
}

static enum tly_status plan_with(struct tly_planner *planner, const struct tly_query *query, struct tly_buffer *out) {
  bool is_first = true;
  for (uint32_t i = 0; i < query->cte_count; i++) {
    struct tly_buffer text = {0};
    if (query->ctes[i].use_count == 0) /* checked by the front end, executed by nobody */
      continue;
    uint32_t number = 0;
    enum tly_status status = tly_plan_query(planner, query->ctes[i].query, &number, &text);
    planner->scope->cte_numbers[i] = number;
    tly_buffer_print(out, "%sw%u AS (", is_first ? "WITH " : ",", number);
    tly_buffer_append(out, text.data, text.size);
    tly_buffer_append_byte(out, ')');
    tly_buffer_free(&text);
    is_first = false;
    TLY_TRY(status);
  }
  tly_buffer_append_text(out, is_first ? "" : " ");
  return TLY_OK;
}

enum tly_status tly_plan_query(struct tly_planner *planner, const struct tly_query *query, uint32_t *number,
                               struct tly_buffer *out) {
  struct tly_scope_plan *scope = push_scope(planner, query);
  *number = scope->number;
  enum tly_status status = plan_with(planner, query, out);
  if (status == TLY_OK && query->member_count > 0)
    status = plan_union(planner, query, out);
  else if (status == TLY_OK)
    status = query->distinct ? plan_distinct(planner, query, out) : plan_select(planner, query, out);
  if (status == TLY_OK)
    status = plan_order(planner, query, out);
  if (status == TLY_OK)
    status = plan_limits(planner, query, out);
  pop_scope(planner);
  return status;
}
