/* What may stand beside GROUP BY: group keys, aggregates, and what is computed from them (parseCheckAggregates).
 *
 * In a query the tree stays as it is: SQLite groups. In a view the outputs are rewritten over what is stored: a
 * sub-expression that equals a group key becomes KEY number i, an aggregate call becomes AGGREGATE number j, each
 * distinct call once. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

struct grouping {
  struct tly_resolver *resolver;
  struct tly_expr *const *keys;
  uint32_t key_count;
  struct tly_view *view; /* NULL: check only */
  enum tly_status status;
};

/* A constant stays what it is, even beside an equal key: a time zone must. */
static uint32_t find_key(const struct grouping *grouping, const struct tly_expr *node) {
  if (tly_expr_is_constant(node))
    return UINT32_MAX;
  for (uint32_t i = 0; i < grouping->key_count; i++)
    if (tly_expr_equal(grouping->keys[i], node))
      return i;
  return UINT32_MAX;
}

static enum tly_status ungrouped(struct tly_resolver *resolver, const struct tly_expr *column) {
  const struct tly_relation *relation = &resolver->scope->relations[column->relation];
  return TLY_FAIL_AT(resolver, column->location, TLY_E_GROUPING,
                     "column \"%s.%s\" must appear in the GROUP BY clause or be used in an aggregate function",
                     relation->alias, relation->columns[column->column].name);
}

static struct tly_expr *key_node(struct tly_resolver *resolver, const struct tly_expr *key, uint32_t number,
                                 uint32_t location) {
  struct tly_expr *node = tly_expr_new(resolver, TLY_EXPR_KEY, key->type, location);
  node->column = number;
  node->nullable = key->nullable;
  return node;
}

static bool same_aggregate(const struct tly_aggregate *a, const struct tly_aggregate *b) {
  struct tly_expr left = {.kind = TLY_EXPR_AGGREGATE, .aggregate = (struct tly_aggregate *)a};
  struct tly_expr right = {.kind = TLY_EXPR_AGGREGATE, .aggregate = (struct tly_aggregate *)b};
  return tly_expr_equal(&left, &right);
}

/* The number of the call in the view, which has room for one more. */
static uint32_t number_aggregate(struct tly_view *view, const struct tly_aggregate *aggregate) {
  for (uint32_t i = 0; i < view->aggregate_count; i++)
    if (same_aggregate(&view->aggregates[i], aggregate))
      return i;
  view->aggregates[view->aggregate_count] = *aggregate;
  return view->aggregate_count++;
}

static enum tly_status store_aggregate(struct tly_resolver *resolver, struct tly_view *view, struct tly_expr *node) {
  if (view->aggregate_count == TLY_COLUMNS_MAX)
    return TLY_FAIL_AT(resolver, node->location, TLY_E_TOO_COMPLEX, "more than %d aggregates in a view",
                       TLY_COLUMNS_MAX);
  node->column = number_aggregate(view, node->aggregate);
  node->aggregate = &view->aggregates[node->column];
  return TLY_OK;
}

/* ---- sub-selects that use columns of the grouped query ----------------------------------------------------------- */

struct outer_use {
  struct grouping *grouping;
  uint32_t levels; /* from the sub-select's expression up to the grouped query */
};

static bool is_column_key(const struct grouping *grouping, const struct tly_expr *column) {
  for (uint32_t i = 0; i < grouping->key_count; i++) {
    const struct tly_expr *key = grouping->keys[i];
    if (key->kind == TLY_EXPR_COLUMN && key->levels_up == 0 && key->relation == column->relation &&
        key->column == column->column)
      return true;
  }
  return false;
}

static void visit_query_expression(struct tly_expr **expression, uint32_t levels, void *argument);

static void visit_outer_use(struct tly_expr **node, void *argument) {
  const struct outer_use *use = argument;
  struct grouping *grouping = use->grouping;
  const struct tly_expr *column = *node;
  if (grouping->status != TLY_OK)
    return;
  if (column->query != NULL)
    tly_query_each(column->query, visit_query_expression, use->levels + 1, grouping);
  if (column->kind != TLY_EXPR_COLUMN) {
    tly_expr_each(*node, visit_outer_use, argument);
  } else if (column->levels_up == use->levels && !is_column_key(grouping, column)) {
    const struct tly_relation *relation = &grouping->resolver->scope->relations[column->relation];
    grouping->status = TLY_FAIL_AT(grouping->resolver, column->location, TLY_E_GROUPING,
                                   "subquery uses ungrouped column \"%s.%s\" from outer query", relation->alias,
                                   relation->columns[column->column].name);
  }
}

static void visit_query_expression(struct tly_expr **expression, uint32_t levels, void *argument) {
  struct outer_use use = {argument, levels};
  visit_outer_use(expression, &use);
}

/* ---- the expression itself --------------------------------------------------------------------------------------- */

static void visit(struct tly_expr **node, void *argument) {
  struct grouping *grouping = argument;
  if (grouping->status != TLY_OK)
    return;
  uint32_t key = find_key(grouping, *node);
  if (key == UINT32_MAX && (*node)->query != NULL)
    tly_query_each((*node)->query, visit_query_expression, 1, grouping);
  if (key != UINT32_MAX) {
    if (grouping->view != NULL)
      *node = key_node(grouping->resolver, *node, key, (*node)->location);
  } else if ((*node)->kind == TLY_EXPR_AGGREGATE) {
    if (grouping->view != NULL)
      grouping->status = store_aggregate(grouping->resolver, grouping->view, *node);
  } else if ((*node)->kind == TLY_EXPR_COLUMN && (*node)->levels_up == 0) {
    grouping->status = ungrouped(grouping->resolver, *node);
  } else {
    tly_expr_each(*node, visit, grouping);
  }
}

enum tly_status tly_grouping_check(struct tly_resolver *resolver, struct tly_expr *const *keys, uint32_t key_count,
                                   struct tly_expr *expression) {
  struct grouping grouping = {resolver, keys, key_count, NULL, TLY_OK};
  visit(&expression, &grouping);
  return grouping.status;
}

/* A sub-expression may be shared (GROUP BY 1 makes the key and the output one tree), and a key must stay over COLUMN
 * nodes: what is rewritten is copied first. */
static struct tly_expr *copy_tree(struct tly_resolver *resolver, const struct tly_expr *node) {
  struct tly_expr *copy = TLY_ARENA_NEW(resolver->arena, struct tly_expr);
  *copy = *node;
  if (node->argument_count > 0) {
    copy->arguments = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, node->argument_count);
    for (uint32_t i = 0; i < node->argument_count; i++)
      copy->arguments[i] = copy_tree(resolver, node->arguments[i]);
  }
  return copy;
}

enum tly_status tly_grouping_rewrite(struct tly_resolver *resolver, struct tly_view *view,
                                     struct tly_expr **expression) {
  struct grouping grouping = {resolver, view->keys, view->key_count, view, TLY_OK};
  *expression = copy_tree(resolver, *expression);
  visit(expression, &grouping);
  return grouping.status;
}
