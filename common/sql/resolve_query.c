/* One SELECT, or several under UNION ALL: transformSelectStmt and transformSetOperationStmt of PostgreSQL, in their
 * order of work (WITH, FROM, targets, WHERE, HAVING, ORDER BY, GROUP BY, DISTINCT, LIMIT, then the check of what is
 * ungrouped), which decides which of several mistakes is reported, and what types parameters get. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

static const char select_members[] = "distinctClause targetList fromClause whereClause groupClause havingClause "
                                     "windowClause sortClause limitOffset limitCount limitOption withClause op";
static const char union_members[] = "op all larg rarg sortClause limitOffset limitCount limitOption withClause";

/* ---- LIMIT and OFFSET -------------------------------------------------------------------------------------------- */

static void find_variable(struct tly_expr **node, void *argument) {
  const struct tly_expr **found = argument;
  enum tly_expr_kind kind = (*node)->kind;
  if (kind == TLY_EXPR_COLUMN || kind == TLY_EXPR_EXISTS || kind == TLY_EXPR_IN_QUERY || kind == TLY_EXPR_SCALAR_QUERY)
    *found = *node;
  else
    tly_expr_each(*node, find_variable, argument);
}

enum tly_status tly_resolve_row_count(struct tly_resolver *resolver, struct tly_node node, enum tly_clause clause,
                                      const char *what, struct tly_expr **out) {
  const struct tly_expr *variable = NULL;
  *out = NULL;
  if (node.kind == NULL)
    return TLY_OK;
  resolver->scope->clause = clause;
  TLY_TRY(tly_resolve_expression(resolver, node, out));
  if (!tly_coerce_can((*out)->type.id, TLY_TYPE_BIGINT, TLY_COERCION_ASSIGNMENT))
    return TLY_FAIL_AT(resolver, tly_expr_location(*out), TLY_E_DATATYPE_MISMATCH,
                       "argument of %s must be type bigint, not type %s", what, tly_type_name((*out)->type));
  TLY_TRY(tly_coerce_cast(resolver, TLY_TYPE_OF(TLY_TYPE_BIGINT), false, (*out)->location, out));
  find_variable(out, &variable);
  if (variable == NULL)
    return TLY_OK;
  if (variable->kind != TLY_EXPR_COLUMN)
    return TLY_FAIL_AT(resolver, variable->location, TLY_E_NOT_SUPPORTED, "a sub-select in %s is not supported", what);
  return TLY_FAIL_AT(resolver, variable->location, TLY_E_COLUMN_REFERENCE, "argument of %s must not contain variables",
                     what);
}

static enum tly_status resolve_limits(struct tly_resolver *resolver, struct tly_node select, struct tly_query *query) {
  struct tly_node offset = tly_node_child(select, "limitOffset"), count = tly_node_child(select, "limitCount");
  TLY_TRY(tly_resolve_row_count(resolver, offset, TLY_CLAUSE_OFFSET, "OFFSET", &query->offset));
  TLY_TRY(tly_resolve_row_count(resolver, count, TLY_CLAUSE_LIMIT, "LIMIT", &query->limit));
  if (strcmp(tly_node_text(select, "limitOption"), "LIMIT_OPTION_WITH_TIES") == 0)
    return TLY_FAIL_AT(resolver, tly_node_location(count), TLY_E_NOT_SUPPORTED, "WITH TIES is not supported");
  return TLY_OK;
}

/* ---- result columns ---------------------------------------------------------------------------------------------- */

static enum tly_status check_result(struct tly_resolver *resolver, const struct tly_expr *target) {
  if (target->type.id != TLY_TYPE_INTERVAL)
    return TLY_OK;
  (void)TLY_FAIL_AT(resolver, tly_expr_location(target), TLY_E_NOT_SUPPORTED,
                    "an interval as a result is not supported");
  tly_error_hint(resolver->error, "extract(epoch from ...) gives seconds, ::text its words");
  return TLY_E_NOT_SUPPORTED;
}

static void set_columns(struct tly_resolver *resolver, struct tly_query *query, const struct tly_target_list *targets) {
  query->column_count = targets->count;
  query->targets = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, targets->count);
  query->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, targets->count);
  for (uint32_t i = 0; i < targets->count; i++) {
    struct tly_expr *target = targets->items[i].expression;
    query->targets[i] = target;
    query->columns[i] = (struct tly_result_column){targets->items[i].name, target->type, target->nullable};
  }
}

/* What has no type by now is text; a member of a UNION waits for the others. */
static enum tly_status finish_targets(struct tly_resolver *resolver, struct tly_target_list *targets,
                                      bool is_union_member) {
  for (uint32_t i = 0; i < targets->count; i++) {
    if (!is_union_member)
      TLY_TRY(tly_coerce_unknown_to_text(resolver, &targets->items[i].expression));
    TLY_TRY(check_result(resolver, targets->items[i].expression));
  }
  return TLY_OK;
}

/* ---- ORDER BY, DISTINCT, GROUP BY -------------------------------------------------------------------------------- */

static struct tly_expr *result_column(struct tly_resolver *resolver, const struct tly_result_column *column,
                                      uint32_t number, uint32_t location) {
  struct tly_expr *node = tly_expr_new(resolver, TLY_EXPR_COLUMN, column->type, location);
  node->relation = TLY_RELATION_RESULT;
  node->column = number;
  node->nullable = column->nullable;
  return node;
}

static enum tly_status resolve_sort(struct tly_resolver *resolver, struct tly_node select,
                                    const struct tly_target_list *targets, struct tly_query *query,
                                    uint32_t **order_targets) {
  query->order_count = (uint32_t)tly_node_count(select, "sortClause");
  query->order = TLY_ARENA_ARRAY(resolver->arena, struct tly_order_item, query->order_count);
  *order_targets = TLY_ARENA_ARRAY(resolver->arena, uint32_t, query->order_count);
  for (uint32_t i = 0; i < query->order_count; i++)
    TLY_TRY(tly_resolve_order_item(resolver, tly_node_item(select, "sortClause", i), targets, &query->order[i],
                                   &(*order_targets)[i]));
  return TLY_OK;
}

/* DISTINCT comes before ORDER BY: the keys must be among what was selected, and are taken from there. */
static enum tly_status resolve_distinct(struct tly_resolver *resolver, struct tly_node select, struct tly_query *query,
                                        const uint32_t *order_targets) {
  query->distinct = tly_node_count(select, "distinctClause") > 0;
  if (!query->distinct)
    return TLY_OK;
  struct tly_node on = tly_node_item(select, "distinctClause", 0);
  if (on.kind != NULL)
    return TLY_FAIL_AT(resolver, tly_node_location(on), TLY_E_NOT_SUPPORTED, "DISTINCT ON is not supported");
  for (uint32_t i = 0; i < query->order_count; i++) {
    struct tly_order_item *item = &query->order[i];
    uint32_t location = tly_expr_location(item->expression);
    if (order_targets[i] == UINT32_MAX)
      return TLY_FAIL_AT(resolver, location, TLY_E_COLUMN_REFERENCE,
                         "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    item->expression = result_column(resolver, &query->columns[order_targets[i]], order_targets[i], location);
  }
  return TLY_OK;
}

static enum tly_status resolve_group(struct tly_resolver *resolver, struct tly_node select,
                                     const struct tly_target_list *targets, struct tly_query *query) {
  uint32_t count = (uint32_t)tly_node_count(select, "groupClause");
  query->group = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count);
  for (uint32_t i = 0; i < count; i++) {
    struct tly_expr *key;
    TLY_TRY(tly_resolve_group_item(resolver, tly_node_item(select, "groupClause", i), targets, &key));
    bool is_new = true;
    for (uint32_t j = 0; j < query->group_count; j++)
      is_new &= !tly_expr_equal(query->group[j], key);
    if (is_new)
      query->group[query->group_count++] = key;
  }
  query->is_grouped = count > 0 || query->having != NULL || resolver->scope->has_aggregates;
  return TLY_OK;
}

static enum tly_status check_grouping(struct tly_resolver *resolver, struct tly_query *query) {
  if (!query->is_grouped)
    return TLY_OK;
  for (uint32_t i = 0; i < query->column_count; i++)
    TLY_TRY(tly_grouping_check(resolver, query->group, query->group_count, query->targets[i]));
  if (query->having != NULL)
    TLY_TRY(tly_grouping_check(resolver, query->group, query->group_count, query->having));
  for (uint32_t i = 0; i < query->order_count && !query->distinct; i++)
    TLY_TRY(tly_grouping_check(resolver, query->group, query->group_count, query->order[i].expression));
  return TLY_OK;
}

/* ---- one SELECT -------------------------------------------------------------------------------------------------- */

static enum tly_status resolve_targets(struct tly_resolver *resolver, struct tly_node select,
                                       struct tly_target_list *targets) {
  for (size_t i = 0; i < tly_node_count(select, "targetList"); i++)
    TLY_TRY(tly_resolve_target(resolver, tly_node_item(select, "targetList", i), targets));
  if (targets->count == 0)
    return TLY_FAIL_AT(resolver, tly_node_location(select), TLY_E_NOT_SUPPORTED,
                       "a SELECT without result columns is not supported");
  return TLY_OK;
}

static enum tly_status resolve_plain(struct tly_resolver *resolver, struct tly_node select, bool is_union_member,
                                     struct tly_query *query) {
  struct tly_target_list targets = {.count = 0};
  uint32_t *order_targets;
  TLY_TRY(tly_resolver_expect(resolver, select, select_members));
  TLY_TRY(tly_resolve_with(resolver, select));
  TLY_TRY(tly_resolve_from(resolver, select));
  TLY_TRY(resolve_targets(resolver, select, &targets));
  TLY_TRY(
      tly_resolve_condition(resolver, TLY_CLAUSE_WHERE, tly_node_child(select, "whereClause"), "WHERE", &query->where));
  TLY_TRY(tly_resolve_condition(resolver, TLY_CLAUSE_HAVING, tly_node_child(select, "havingClause"), "HAVING",
                                &query->having));
  bool waits = is_union_member && !tly_node_has(select, "sortClause") && !tly_node_has(select, "groupClause") &&
               !tly_node_has(select, "distinctClause");
  TLY_TRY(finish_targets(resolver, &targets, waits));
  TLY_TRY(resolve_sort(resolver, select, &targets, query, &order_targets));
  TLY_TRY(resolve_group(resolver, select, &targets, query));
  set_columns(resolver, query, &targets);
  TLY_TRY(resolve_distinct(resolver, select, query, order_targets));
  TLY_TRY(resolve_limits(resolver, select, query));
  TLY_TRY(tly_resolve_window_clause(resolver, select));
  return check_grouping(resolver, query);
}

/* ---- UNION ALL --------------------------------------------------------------------------------------------------- */

static enum tly_status refuse_set_operation(struct tly_resolver *resolver, struct tly_node node) {
  const char *op = tly_node_text(node, "op");
  uint32_t location = tly_node_location(tly_node_struct(node, "rarg", "SelectStmt"));
  if (strcmp(op, "SETOP_UNION") != 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s is not supported",
                       strcmp(op, "SETOP_EXCEPT") == 0 ? "EXCEPT" : "INTERSECT");
  if (!tly_node_flag(node, "all")) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "UNION without ALL is not supported");
    tly_error_hint(resolver->error, "SELECT DISTINCT ... FROM (... UNION ALL ...) gives the same");
    return TLY_E_NOT_SUPPORTED;
  }
  return TLY_OK;
}

static bool is_set_operation(struct tly_node select) {
  return strcmp(tly_node_text(select, "op"), "SETOP_NONE") != 0;
}

/* A side in parentheses with its own ORDER BY, LIMIT or WITH is a query of its own; others are members of this one. */
static bool is_flat(struct tly_node select) {
  return is_set_operation(select) && !tly_node_has(select, "sortClause") && !tly_node_has(select, "limitCount") &&
         !tly_node_has(select, "limitOffset") && !tly_node_has(select, "withClause");
}

static size_t count_members(struct tly_node select) {
  if (!is_flat(select))
    return 1;
  return count_members(tly_node_struct(select, "larg", "SelectStmt")) +
         count_members(tly_node_struct(select, "rarg", "SelectStmt"));
}

static enum tly_status resolve_member_query(struct tly_resolver *resolver, struct tly_node select,
                                            struct tly_query **out, struct tly_cost *cost);

static enum tly_status resolve_members(struct tly_resolver *resolver, struct tly_node select, struct tly_query *query) {
  if (is_flat(select)) {
    TLY_TRY(tly_resolver_expect(resolver, select, union_members));
    TLY_TRY(refuse_set_operation(resolver, select));
    TLY_TRY(resolve_members(resolver, tly_node_struct(select, "larg", "SelectStmt"), query));
    return resolve_members(resolver, tly_node_struct(select, "rarg", "SelectStmt"), query);
  }
  struct tly_query *member;
  TLY_TRY(resolve_member_query(resolver, select, &member, &resolver->scope->cost));
  if (query->member_count > 0 && member->column_count != query->members[0]->column_count)
    return TLY_FAIL_AT(resolver, tly_node_location(select), TLY_E_SYNTAX,
                       "each UNION query must have the same number of columns");
  query->members[query->member_count++] = member;
  return TLY_OK;
}

/* An ORDER BY that names a result column (DISTINCT, UNION ALL) sees its new type. */
static void retype_order(const struct tly_query *query, uint32_t number) {
  for (uint32_t i = 0; i < query->order_count; i++) {
    struct tly_expr *expression = query->order[i].expression;
    if (expression->kind == TLY_EXPR_COLUMN && expression->relation == TLY_RELATION_RESULT &&
        expression->column == number)
      expression->type = query->columns[number].type;
  }
}

/* Make column `number` of a query that type, in all its members. */
static void relabel_column(struct tly_resolver *resolver, struct tly_query *query, uint32_t number,
                           struct tly_type type) {
  query->columns[number].type = type;
  retype_order(query, number);
  if (query->member_count == 0)
    query->targets[number] = tly_coerce_relabel(resolver, type, query->targets[number]);
  for (uint32_t i = 0; i < query->member_count; i++)
    relabel_column(resolver, query->members[i], number, type);
}

static enum tly_status convert_column(struct tly_resolver *resolver, struct tly_query *query, uint32_t number,
                                      enum tly_type_id type) {
  if (query->member_count == 0) {
    TLY_TRY(tly_coerce_implicit(resolver, type, &query->targets[number]));
    query->columns[number].type = query->targets[number]->type;
    retype_order(query, number);
    return TLY_OK;
  }
  struct tly_type common = TLY_TYPE_OF(type);
  for (uint32_t i = 0; i < query->member_count; i++) {
    TLY_TRY(convert_column(resolver, query->members[i], number, type));
    struct tly_type its = query->members[i]->columns[number].type;
    common = i == 0 ? its : tly_proof_union(common, its);
  }
  relabel_column(resolver, query, number, common);
  return TLY_OK;
}

enum tly_status tly_resolve_convert_column(struct tly_resolver *resolver, struct tly_query *query, uint32_t number,
                                           enum tly_type_id type) {
  return query->columns[number].type.id == type ? TLY_OK : convert_column(resolver, query, number, type);
}

/* The common type of a column of all members, pair by pair from the left as PostgreSQL does. */
static enum tly_status unify_column(struct tly_resolver *resolver, struct tly_query *query, uint32_t number) {
  struct tly_expr pair[2] = {{.kind = TLY_EXPR_COLUMN}, {.kind = TLY_EXPR_COLUMN}};
  struct tly_expr *pointers[2] = {&pair[0], &pair[1]};
  enum tly_type_id type = query->members[0]->columns[number].type.id;
  for (uint32_t i = 1; i < query->member_count; i++) {
    const struct tly_query *member = query->members[i];
    pair[0].type.id = type;
    pair[1].type = member->columns[number].type;
    pair[1].location = member->member_count == 0 ? tly_expr_location(member->targets[number]) : TLY_LOCATION_NONE;
    TLY_TRY(tly_coerce_common_type(resolver, pointers, 2, "UNION", &type));
    for (uint32_t j = 0; j <= i; j++) /* literals are read as soon as they have met a type */
      if (query->members[j]->columns[number].type.id == TLY_TYPE_UNKNOWN)
        TLY_TRY(convert_column(resolver, query->members[j], number, type));
  }
  TLY_TRY(convert_column(resolver, query, number, type));
  for (uint32_t i = 0; i < query->member_count; i++)
    query->columns[number].nullable |= query->members[i]->columns[number].nullable;
  return TLY_OK;
}

/* Only result columns: by name or number. */
static enum tly_status sort_union(struct tly_resolver *resolver, struct tly_node select, struct tly_query *query) {
  struct tly_target_list targets = {.items = TLY_ARENA_ARRAY(resolver->arena, struct tly_target, query->column_count),
                                    .count = query->column_count,
                                    .capacity = query->column_count};
  for (uint32_t i = 0; i < query->column_count; i++)
    targets.items[i] = (struct tly_target){
        query->columns[i].name, result_column(resolver, &query->columns[i], i, TLY_LOCATION_NONE), TLY_NODE_NONE};
  query->order_count = (uint32_t)tly_node_count(select, "sortClause");
  query->order = TLY_ARENA_ARRAY(resolver->arena, struct tly_order_item, query->order_count);
  for (uint32_t i = 0; i < query->order_count; i++) {
    struct tly_node item = tly_node_item(select, "sortClause", i);
    uint32_t target;
    TLY_TRY(tly_resolve_order_item(resolver, item, &targets, &query->order[i], &target));
    if (target == UINT32_MAX) {
      (void)TLY_FAIL_AT(resolver, tly_node_location(item), TLY_E_NOT_SUPPORTED,
                        "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
      tly_error_hint(resolver->error, "only result column names can be used, not expressions or functions");
      return TLY_E_NOT_SUPPORTED;
    }
  }
  return TLY_OK;
}

static enum tly_status resolve_union(struct tly_resolver *resolver, struct tly_node select, struct tly_query *query) {
  TLY_TRY(tly_resolver_expect(resolver, select, union_members));
  TLY_TRY(refuse_set_operation(resolver, select));
  TLY_TRY(tly_resolve_with(resolver, select));
  struct tly_node left = tly_node_struct(select, "larg", "SelectStmt");
  struct tly_node right = tly_node_struct(select, "rarg", "SelectStmt");
  query->members = TLY_ARENA_ARRAY(resolver->arena, struct tly_query *, count_members(left) + count_members(right));
  TLY_TRY(resolve_members(resolver, left, query));
  TLY_TRY(resolve_members(resolver, right, query));
  const struct tly_query *first = query->members[0];
  query->column_count = first->column_count;
  query->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, first->column_count);
  for (uint32_t i = 0; i < first->column_count; i++) {
    query->columns[i].name = first->columns[i].name;
    TLY_TRY(unify_column(resolver, query, i));
  }
  TLY_TRY(sort_union(resolver, select, query));
  return resolve_limits(resolver, select, query);
}

/* ---- any query --------------------------------------------------------------------------------------------------- */

struct node_count {
  uint32_t count;
};

static void count_nodes(struct tly_expr **expression, uint32_t levels, void *argument) {
  struct node_count *nodes = argument;
  (void)levels;
  nodes->count += tly_expr_count(*expression, TLY_SQL_EXPR_NODES_MAX);
}

static enum tly_status resolve_in_scope(struct tly_resolver *resolver, struct tly_node select, bool is_union_member,
                                        struct tly_query **out, struct tly_cost *cost) {
  struct tly_query *query = TLY_ARENA_NEW(resolver->arena, struct tly_query);
  struct tly_scope scope = {.outer = resolver->scope, .query = query, .select = select};
  TLY_ASSERT(tly_node_is(select, "SelectStmt"));
  *out = query;
  resolver->scope = &scope;
  enum tly_status status = is_set_operation(select) ? resolve_union(resolver, select, query)
                                                    : resolve_plain(resolver, select, is_union_member, query);
  resolver->scope = scope.outer;
  TLY_TRY(status);
  struct node_count own = {0};
  tly_query_each_own(query, count_nodes, 0, &own);
  tly_cost_add(cost, scope.cost);
  tly_cost_add(cost, (struct tly_cost){own.count, 0});
  return TLY_OK;
}

static enum tly_status resolve_member_query(struct tly_resolver *resolver, struct tly_node select,
                                            struct tly_query **out, struct tly_cost *cost) {
  return resolve_in_scope(resolver, select, true, out, cost);
}

enum tly_status tly_resolve_query(struct tly_resolver *resolver, struct tly_node select, struct tly_query **out,
                                  struct tly_cost *cost) {
  return resolve_in_scope(resolver, select, false, out, cost);
}
