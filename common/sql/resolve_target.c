/* The SELECT list and what refers to it by name or number: GROUP BY and ORDER BY (parse_target.c and parse_clause.c of
 * PostgreSQL).
 *
 * A bare name in GROUP BY is an input column if there is one, and only then an output alias; in ORDER BY the alias
 * wins. An integer is the number of an output column in both. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

/* ---- names of result columns ------------------------------------------------------------------------------------- */

static const char *last_string(struct tly_node node, const char *member) {
  size_t count = tly_node_count(node, member);
  return count == 0 ? NULL : tly_node_string(tly_node_item(node, member, count - 1));
}

static const struct {
  const char *kind, *name;
} fixed_names[] = {
    {"CoalesceExpr", "coalesce"},
    {"A_ArrayExpr", "array"},
    {"RowExpr", "row"},
};

static const char *name_of_value_function(const char *op) {
  static const struct {
    const char *op, *name;
  } names[] = {
      {"SVFOP_CURRENT_DATE", "current_date"},
      {"SVFOP_CURRENT_TIMESTAMP", "current_timestamp"},
      {"SVFOP_LOCALTIMESTAMP", "localtimestamp"},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i].op, op) == 0)
      return names[i].name;
  return NULL;
}

static const char *figure_name(struct tly_node node, int *strength);

static const char *name_of_sublink(struct tly_node node, int *strength) {
  *strength = 2;
  if (strcmp(tly_node_text(node, "subLinkType"), "EXISTS_SUBLINK") == 0)
    return "exists";
  struct tly_node select = tly_node_child(node, "subselect");
  struct tly_node target = tly_node_item(select, "targetList", 0);
  if (strcmp(tly_node_text(node, "subLinkType"), "EXPR_SUBLINK") != 0 || target.kind == NULL) {
    *strength = 0;
    return NULL;
  }
  const char *name = tly_node_text(target, "name");
  return name != NULL ? name : figure_name(tly_node_child(target, "val"), strength);
}

/* A cast or a CASE gives its own name only where what is inside has none. */
static const char *name_of_weak(struct tly_node inside, const char *own, int *strength) {
  const char *name = inside.kind == NULL ? NULL : figure_name(inside, strength);
  if (name != NULL && *strength == 2)
    return name;
  *strength = 1;
  return own;
}

/* strength 2: a good name, 1: a makeshift, 0: none. */
static const char *figure_name(struct tly_node node, int *strength) {
  *strength = 2;
  if (tly_node_is(node, "ColumnRef"))
    return last_string(node, "fields");
  if (tly_node_is(node, "FuncCall"))
    return last_string(node, "funcname");
  if (tly_node_is(node, "A_Expr") && strcmp(tly_node_text(node, "kind"), "AEXPR_NULLIF") == 0)
    return "nullif";
  if (tly_node_is(node, "MinMaxExpr"))
    return strcmp(tly_node_text(node, "op"), "IS_GREATEST") == 0 ? "greatest" : "least";
  if (tly_node_is(node, "SQLValueFunction"))
    return name_of_value_function(tly_node_text(node, "op"));
  if (tly_node_is(node, "SubLink"))
    return name_of_sublink(node, strength);
  if (tly_node_is(node, "TypeCast"))
    return name_of_weak(tly_node_child(node, "arg"),
                        last_string(tly_node_struct(node, "typeName", "TypeName"), "names"), strength);
  if (tly_node_is(node, "CaseExpr"))
    return name_of_weak(tly_node_child(node, "defresult"), "case", strength);
  for (size_t i = 0; i < sizeof fixed_names / sizeof fixed_names[0]; i++)
    if (tly_node_is(node, fixed_names[i].kind))
      return fixed_names[i].name;
  *strength = 0;
  return NULL;
}

const char *tly_resolve_target_name(struct tly_node target) {
  const char *name = tly_node_text(target, "name");
  int strength;
  if (name == NULL)
    name = figure_name(tly_node_child(target, "val"), &strength);
  return name == NULL ? "?column?" : name;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static void add_target(struct tly_resolver *resolver, struct tly_target_list *list, const char *name,
                       struct tly_expr *expression, struct tly_node node) {
  if (list->count == list->capacity) {
    uint32_t capacity = list->capacity == 0 ? 8 : 2 * list->capacity;
    struct tly_target *grown = TLY_ARENA_ARRAY(resolver->arena, struct tly_target, capacity);
    if (list->count > 0)
      memcpy(grown, list->items, list->count * sizeof grown[0]);
    list->items = grown;
    list->capacity = capacity;
  }
  list->items[list->count++] =
      (struct tly_target){tly_arena_copy(resolver->arena, name, strlen(name)), expression, node};
}

static void add_column(struct tly_resolver *resolver, struct tly_target_list *list, uint32_t relation, uint32_t column,
                       uint32_t location) {
  const struct tly_result_column *from = &resolver->scope->relations[relation].columns[column];
  struct tly_expr *node = tly_expr_new(resolver, TLY_EXPR_COLUMN, from->type, location);
  node->relation = (uint16_t)relation;
  node->column = column;
  node->nullable = from->nullable;
  add_target(resolver, list, from->name, node, TLY_NODE_NONE);
}

/* Does a later relation's USING name this column? Such columns come first in `*`. */
static bool is_joined_on(const struct tly_scope *scope, uint32_t relation, uint32_t column) {
  const char *name = scope->relations[relation].columns[column].name;
  for (uint32_t r = relation + 1; r < scope->relation_count; r++)
    for (uint32_t c = 0; c < scope->relations[r].column_count; c++)
      if (scope->relations[r].merged[c] && strcmp(scope->relations[r].columns[c].name, name) == 0)
        return true;
  return false;
}

static void add_columns(struct tly_resolver *resolver, struct tly_target_list *list, uint32_t relation, bool joined_on,
                        uint32_t location) {
  const struct tly_scope *scope = resolver->scope;
  for (uint32_t c = 0; c < scope->relations[relation].starred_count; c++)
    if (!scope->relations[relation].merged[c] && is_joined_on(scope, relation, c) == joined_on)
      add_column(resolver, list, relation, c, location);
}

static enum tly_status expand_star(struct tly_resolver *resolver, struct tly_node reference,
                                   struct tly_target_list *list) {
  const struct tly_scope *scope = resolver->scope;
  uint32_t location = tly_node_location(reference);
  size_t parts = tly_node_count(reference, "fields");
  if (parts > 2)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "schema.relation.* is not supported");
  if (parts == 1) {
    if (scope->relation_count == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_SYNTAX, "SELECT * with no tables specified is not valid");
    for (uint32_t r = 0; r < scope->relation_count; r++)
      add_columns(resolver, list, r, true, location);
    for (uint32_t r = 0; r < scope->relation_count; r++)
      add_columns(resolver, list, r, false, location);
    return TLY_OK;
  }
  const char *alias = tly_node_string(tly_node_item(reference, "fields", 0));
  for (uint32_t r = 0; r < scope->relation_count; r++) {
    if (strcmp(scope->relations[r].alias, alias) != 0)
      continue;
    for (uint32_t c = 0; c < scope->relations[r].starred_count; c++)
      add_column(resolver, list, r, c, location);
    return TLY_OK;
  }
  return TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_TABLE, "missing FROM-clause entry for table \"%s\"", alias);
}

static bool is_star(struct tly_node value) {
  size_t parts = tly_node_count(value, "fields");
  return tly_node_is(value, "ColumnRef") && tly_node_is(tly_node_item(value, "fields", parts - 1), "A_Star");
}

enum tly_status tly_resolve_target(struct tly_resolver *resolver, struct tly_node target,
                                   struct tly_target_list *list) {
  struct tly_expr *expression;
  struct tly_node value = tly_node_child(target, "val");
  TLY_TRY(tly_resolver_expect(resolver, target, "name val"));
  if (is_star(value))
    return expand_star(resolver, value, list);
  resolver->scope->clause = TLY_CLAUSE_TARGET;
  TLY_TRY(tly_resolve_expression(resolver, value, &expression));
  add_target(resolver, list, tly_resolve_target_name(target), expression, value);
  return TLY_OK;
}

/* ---- by name and number ------------------------------------------------------------------------------------------ */

#define NO_TARGET UINT32_MAX

static const char *bare_name(struct tly_node node) {
  return tly_node_is(node, "ColumnRef") && tly_node_count(node, "fields") == 1
             ? tly_node_string(tly_node_item(node, "fields", 0))
             : NULL;
}

static enum tly_status by_name(struct tly_resolver *resolver, const char *name, const char *clause, uint32_t location,
                               const struct tly_target_list *targets, uint32_t *target) {
  *target = NO_TARGET;
  for (uint32_t i = 0; i < targets->count; i++) {
    if (strcmp(targets->items[i].name, name) != 0)
      continue;
    if (*target != NO_TARGET && !tly_expr_equal(targets->items[*target].expression, targets->items[i].expression))
      return TLY_FAIL_AT(resolver, location, TLY_E_AMBIGUOUS_COLUMN, "%s \"%s\" is ambiguous", clause, name);
    if (*target == NO_TARGET)
      *target = i;
  }
  return TLY_OK;
}

static enum tly_status by_number(struct tly_resolver *resolver, struct tly_node constant, const char *clause,
                                 const struct tly_target_list *targets, uint32_t *target) {
  uint32_t location = tly_node_location(constant);
  if (!tly_node_has(constant, "ival"))
    return TLY_FAIL_AT(resolver, location, TLY_E_SYNTAX, "non-integer constant in %s", clause);
  int64_t number = tly_node_constant_integer(constant, resolver->sql, resolver->sql_size);
  if (number < 1 || number > targets->count)
    return TLY_FAIL_AT(resolver, location, TLY_E_COLUMN_REFERENCE, "%s position %lld is not in select list", clause,
                       (long long)number);
  *target = (uint32_t)number - 1;
  return TLY_OK;
}

static void find_aggregate(struct tly_expr **node, void *argument) {
  const struct tly_expr **found = argument;
  if (*found != NULL)
    return;
  if ((*node)->kind == TLY_EXPR_AGGREGATE || (*node)->kind == TLY_EXPR_WINDOW)
    *found = *node;
  else
    tly_expr_each(*node, find_aggregate, argument);
}

/* GROUP BY 1 where the first output is sum(x). */
static enum tly_status check_group_target(struct tly_resolver *resolver, struct tly_expr *expression) {
  const struct tly_expr *found = NULL;
  find_aggregate(&expression, &found);
  if (found == NULL)
    return TLY_OK;
  bool is_window = found->kind == TLY_EXPR_WINDOW;
  return TLY_FAIL_AT(resolver, found->location, is_window ? TLY_E_WINDOWING : TLY_E_GROUPING,
                     "%s functions are not allowed in GROUP BY", is_window ? "window" : "aggregate");
}

static enum tly_status refuse_interval(struct tly_resolver *resolver, const struct tly_expr *expression,
                                       const char *where) {
  if (expression->type.id != TLY_TYPE_INTERVAL)
    return TLY_OK;
  return TLY_FAIL_AT(resolver, tly_expr_location(expression), TLY_E_NOT_SUPPORTED, "an interval in %s is not supported",
                     where);
}

enum tly_status tly_resolve_group_item(struct tly_resolver *resolver, struct tly_node node,
                                       const struct tly_target_list *targets, struct tly_expr **out) {
  const char *name = bare_name(node);
  uint32_t target = NO_TARGET, location = tly_node_location(node);
  *out = NULL;
  if (name != NULL && !tly_resolve_is_column(resolver, name))
    TLY_TRY(by_name(resolver, name, "GROUP BY", location, targets, &target));
  else if (tly_node_is(node, "A_Const"))
    TLY_TRY(by_number(resolver, node, "GROUP BY", targets, &target));
  if (target != NO_TARGET) {
    *out = targets->items[target].expression;
    TLY_TRY(check_group_target(resolver, *out));
  } else {
    resolver->scope->clause = TLY_CLAUSE_GROUP;
    TLY_TRY(tly_resolve_expression(resolver, node, out));
  }
  TLY_TRY(tly_coerce_unknown_to_text(resolver, out));
  return refuse_interval(resolver, *out, "GROUP BY");
}

static void order_direction(struct tly_node sort_by, struct tly_order_item *out) {
  out->descending = strcmp(tly_node_text(sort_by, "sortby_dir"), "SORTBY_DESC") == 0;
  const char *nulls = tly_node_text(sort_by, "sortby_nulls");
  out->nulls_first =
      strcmp(nulls, "SORTBY_NULLS_DEFAULT") == 0 ? out->descending : strcmp(nulls, "SORTBY_NULLS_FIRST") == 0;
}

enum tly_status tly_resolve_order_item(struct tly_resolver *resolver, struct tly_node sort_by,
                                       const struct tly_target_list *targets, struct tly_order_item *out,
                                       uint32_t *target) {
  struct tly_node node = tly_node_child(sort_by, "node");
  const char *name = bare_name(node);
  *target = NO_TARGET;
  TLY_TRY(tly_resolver_expect(resolver, sort_by, "node sortby_dir sortby_nulls"));
  order_direction(sort_by, out);
  if (strcmp(tly_node_text(sort_by, "sortby_dir"), "SORTBY_USING") == 0)
    return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED, "ORDER BY ... USING is not supported");
  if (name != NULL)
    TLY_TRY(by_name(resolver, name, "ORDER BY", tly_node_location(node), targets, target));
  else if (tly_node_is(node, "A_Const"))
    TLY_TRY(by_number(resolver, node, "ORDER BY", targets, target));
  if (*target != NO_TARGET) {
    out->expression = targets->items[*target].expression;
  } else {
    resolver->scope->clause = TLY_CLAUSE_ORDER;
    TLY_TRY(tly_resolve_expression(resolver, node, &out->expression));
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &out->expression));
    for (uint32_t i = 0; i < targets->count && *target == NO_TARGET; i++)
      if (tly_expr_equal(targets->items[i].expression, out->expression))
        *target = i;
  }
  return refuse_interval(resolver, out->expression, "ORDER BY");
}

enum tly_status tly_resolve_order_by(struct tly_resolver *resolver, struct tly_node node, const char *member,
                                     struct tly_order_item **out, uint32_t *count) {
  *count = (uint32_t)tly_node_count(node, member);
  *out = TLY_ARENA_ARRAY(resolver->arena, struct tly_order_item, *count);
  for (uint32_t i = 0; i < *count; i++) {
    struct tly_node sort_by = tly_node_item(node, member, i);
    TLY_TRY(tly_resolver_expect(resolver, sort_by, "node sortby_dir sortby_nulls"));
    order_direction(sort_by, &(*out)[i]);
    TLY_TRY(tly_resolve_expression(resolver, tly_node_child(sort_by, "node"), &(*out)[i].expression));
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &(*out)[i].expression));
    TLY_TRY(refuse_interval(resolver, (*out)[i].expression, "ORDER BY"));
  }
  return TLY_OK;
}
