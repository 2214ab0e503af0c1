/* FROM: views, kept runs, streams, system relations, WITH queries and sub-selects, joined left to right
 * (transformFromClause of PostgreSQL).
 *
 * The typed tree has FROM items in a row, each joined to all before it. A comma is a cross join; `a, b LEFT JOIN c ON
 * q` means the same in a row, since q may only name b and c. Right, full, natural and nested joins are refused. */
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

/* ---- one item ---------------------------------------------------------------------------------------------------- */

static const char *alias_of(struct tly_resolver *resolver, struct tly_node item, const char *name) {
  struct tly_node alias = tly_node_struct(item, "alias", "Alias");
  const char *written = alias.kind == NULL ? name : tly_node_text(alias, "aliasname");
  return tly_arena_copy(resolver->arena, written, strlen(written));
}

/* FROM v AS a (x, y): the first columns under other names. */
static enum tly_status rename_columns(struct tly_resolver *resolver, struct tly_node names, const char *member,
                                      const char *alias, uint32_t location, struct tly_result_column *columns,
                                      uint32_t column_count) {
  size_t count = tly_node_count(names, member);
  if (count > column_count)
    return TLY_FAIL_AT(resolver, location, TLY_E_COLUMN_REFERENCE,
                       "table \"%s\" has %u columns available but %zu columns specified", alias, (unsigned)column_count,
                       count);
  for (size_t i = 0; i < count; i++) {
    const char *name = tly_node_string(tly_node_item(names, member, i));
    columns[i].name = tly_arena_copy(resolver->arena, name, strlen(name));
  }
  return TLY_OK;
}

static struct tly_result_column *copy_columns(struct tly_resolver *resolver, const struct tly_result_column *columns,
                                              uint32_t count) {
  struct tly_result_column *copy = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, count);
  memcpy(copy, columns, count * sizeof copy[0]);
  return copy;
}

static void use_view(struct tly_resolver *resolver, const struct tly_view *view, struct tly_from_item *item) {
  item->kind = TLY_FROM_VIEW;
  item->view = view;
  item->column_count = view->output_count;
  item->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, view->output_count);
  for (uint32_t i = 0; i < view->output_count; i++)
    item->columns[i] = (struct tly_result_column){view->outputs[i].name, view->outputs[i].expression->type,
                                                  view->outputs[i].expression->nullable};
}

static void use_system(struct tly_resolver *resolver, const struct tly_system_relation *relation,
                       struct tly_from_item *item) {
  item->kind = TLY_FROM_SYSTEM;
  item->system = relation;
  item->column_count = relation->column_count;
  item->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, relation->column_count);
  for (uint32_t i = 0; i < relation->column_count; i++)
    item->columns[i] = (struct tly_result_column){relation->columns[i].name, TLY_TYPE_OF(relation->columns[i].type),
                                                  relation->columns[i].nullable};
}

/* A column of the stream hides a position of its name: that one then has a name which no query can write. */
static struct tly_result_column position_column(const struct tly_stream *stream, const char *name,
                                                enum tly_type_id type) {
  struct tly_result_column column = {name, TLY_TYPE_OF(type), false};
  for (uint32_t i = 0; i < stream->column_count; i++)
    if (strcmp(stream->columns[i].name, name) == 0)
      column.name = "";
  return column;
}

static void use_stream(struct tly_resolver *resolver, const struct tly_stream *stream, struct tly_from_item *item) {
  uint32_t count = stream->column_count;
  item->kind = TLY_FROM_STREAM;
  item->stream = stream;
  item->column_count = count + TLY_STREAM_POSITIONS;
  item->columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, item->column_count);
  for (uint32_t i = 0; i < count; i++)
    item->columns[i] =
        (struct tly_result_column){stream->columns[i].name, stream->columns[i].type, !stream->columns[i].not_null};
  item->columns[count + TLY_STREAM_PARTITION] = position_column(stream, "_partition", TLY_TYPE_INTEGER);
  item->columns[count + TLY_STREAM_OFFSET] = position_column(stream, "_offset", TLY_TYPE_BIGINT);
}

static bool use_cte(struct tly_resolver *resolver, const char *name, struct tly_from_item *item) {
  uint32_t levels_up = 0;
  for (struct tly_scope *scope = resolver->scope; scope != NULL; scope = scope->outer, levels_up++) {
    for (uint32_t i = 0; i < scope->query->cte_count; i++) {
      struct tly_cte *cte = &scope->query->ctes[i];
      if (strcmp(cte->name, name) != 0)
        continue;
      cte->use_count++;
      item->kind = TLY_FROM_CTE;
      item->cte = i;
      item->cte_levels_up = levels_up;
      item->column_count = cte->query->column_count;
      item->columns = copy_columns(resolver, cte->query->columns, cte->query->column_count);
      tly_cost_add(&resolver->scope->cost, scope->cte_costs[i]);
      return true;
    }
  }
  return false;
}

static enum tly_status no_view(struct tly_resolver *resolver, const char *schema, const char *name, uint32_t location) {
  const struct tly_project *project = resolver->project;
  if (schema == NULL && tly_project_ledger(project, name) != NULL) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "\"%s\" is a ledger: a query reads views and streams",
                      name);
    tly_error_hint(resolver->error, "tally reconcile VIEW --against %s compares a view with it", name);
    return TLY_E_NOT_SUPPORTED;
  }
  struct tly_suggestion suggestion = {.best = NULL};
  bool is_system = schema != NULL && strcmp(schema, TLY_SYSTEM_SCHEMA) == 0;
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT && is_system; i++)
    tly_suggest(&suggestion, name, tly_system_relations[i].name);
  for (uint32_t i = 0; i < project->view_count && !is_system; i++)
    tly_suggest(&suggestion, name, project->views[i].name);
  for (uint32_t i = 0; i < project->stream_count && !is_system; i++)
    tly_suggest(&suggestion, name, project->streams[i].name);
  for (const struct tly_scope *scope = resolver->scope; scope != NULL && schema == NULL; scope = scope->outer)
    for (uint32_t i = 0; i < scope->query->cte_count; i++)
      tly_suggest(&suggestion, name, scope->query->ctes[i].name);
  (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_TABLE, "relation \"%s%s%s\" does not exist",
                    schema == NULL ? "" : schema, schema == NULL ? "" : ".", name);
  if (schema == NULL && tly_system_relation(name) != NULL)
    tly_error_hint(resolver->error, "did you mean %s.%s?", TLY_SYSTEM_SCHEMA, name);
  else if (suggestion.best != NULL && suggestion.distance > 0)
    tly_error_hint(resolver->error, "did you mean %s%s?", is_system ? TLY_SYSTEM_SCHEMA "." : "", suggestion.best);
  return TLY_E_UNDEFINED_TABLE;
}

/* "run_12" is 12; 0 is not the schema of a run. */
static int64_t run_of_schema(const char *schema) {
  enum { DIGITS_MAX = 18 };
  if (strncmp(schema, "run_", 4) != 0 || schema[4] < '1' || schema[4] > '9')
    return 0;
  size_t digits = strspn(schema + 4, "0123456789");
  return schema[4 + digits] == '\0' && digits <= DIGITS_MAX ? strtoll(schema + 4, NULL, 10) : 0;
}

static enum tly_status resolve_range_var(struct tly_resolver *resolver, struct tly_node node,
                                         struct tly_from_item *item) {
  uint32_t location = tly_node_location(node);
  const char *schema = tly_node_text(node, "schemaname"), *name = tly_node_text(node, "relname");
  TLY_TRY(tly_resolver_expect(resolver, node, "schemaname relname inh relpersistence alias"));
  if (!tly_node_flag(node, "inh"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "ONLY is not supported");
  item->alias = alias_of(resolver, node, name);
  if (schema == NULL && use_cte(resolver, name, item))
    return TLY_OK;
  const struct tly_system_relation *system =
      schema != NULL && strcmp(schema, TLY_SYSTEM_SCHEMA) == 0 ? tly_system_relation(name) : NULL;
  if (system != NULL) {
    use_system(resolver, system, item);
    return TLY_OK;
  }
  bool is_public = schema == NULL || strcmp(schema, "public") == 0;
  item->run = is_public ? 0 : run_of_schema(schema);
  const struct tly_stream *stream = is_public ? tly_project_stream(resolver->project, name) : NULL;
  if (stream != NULL) {
    use_stream(resolver, stream, item);
    return TLY_OK;
  }
  const struct tly_view *view = tly_project_view(resolver->project, name);
  if (view == NULL || (!is_public && item->run == 0))
    return no_view(resolver, schema, name, location);
  use_view(resolver, view, item);
  return TLY_OK;
}

/* A sub-select in FROM does not see its neighbours. */
static enum tly_status resolve_range_subselect(struct tly_resolver *resolver, struct tly_node node,
                                               struct tly_from_item *item) {
  struct tly_scope *scope = resolver->scope;
  struct tly_node select = tly_node_child(node, "subquery");
  struct tly_cost cost = {0, 0};
  TLY_TRY(tly_resolver_expect(resolver, node, "subquery alias"));
  if (!tly_node_has(node, "alias"))
    return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_SYNTAX, "subquery in FROM must have an alias");
  item->kind = TLY_FROM_QUERY;
  item->alias = alias_of(resolver, node, "");
  uint32_t visible_from = scope->visible_from;
  scope->visible_from = scope->relation_count;
  enum tly_status status = tly_resolve_query(resolver, select, &item->query, &cost);
  scope->visible_from = visible_from;
  TLY_TRY(status);
  tly_cost_add(&scope->cost, cost);
  item->column_count = item->query->column_count;
  item->columns = copy_columns(resolver, item->query->columns, item->column_count);
  return TLY_OK;
}

static enum tly_status check_alias(struct tly_resolver *resolver, const char *alias, uint32_t location) {
  const struct tly_scope *scope = resolver->scope;
  for (uint32_t r = 0; r < scope->relation_count; r++)
    if (strcmp(scope->relations[r].alias, alias) == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_DUPLICATE_ALIAS, "table name \"%s\" specified more than once",
                         alias);
  if (scope->relation_count == TLY_SQL_JOINS_MAX)
    return TLY_FAIL_AT(resolver, location, TLY_E_TOO_COMPLEX,
                       "statement too complex: more than %d relations in one FROM", TLY_SQL_JOINS_MAX);
  return TLY_OK;
}

static enum tly_status refuse_item(struct tly_resolver *resolver, struct tly_node node) {
  const char *words = tly_node_is(node, "RangeFunction")      ? "a function in FROM"
                      : tly_node_is(node, "JoinExpr")         ? "a join nested in a join"
                      : tly_node_is(node, "RangeTableSample") ? "TABLESAMPLE"
                                                              : node.kind;
  return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED, "%s is not supported", words);
}

static enum tly_status add_item(struct tly_resolver *resolver, struct tly_node node, enum tly_join_kind join) {
  struct tly_scope *scope = resolver->scope;
  uint32_t location = tly_node_location(node);
  struct tly_from_item item = {.join = join};
  if (tly_node_is(node, "RangeVar"))
    TLY_TRY(resolve_range_var(resolver, node, &item));
  else if (tly_node_is(node, "RangeSubselect"))
    TLY_TRY(resolve_range_subselect(resolver, node, &item));
  else
    return refuse_item(resolver, node);
  TLY_ASSERT(item.alias != NULL);
  TLY_TRY(check_alias(resolver, item.alias, location));
  TLY_TRY(rename_columns(resolver, tly_node_struct(node, "alias", "Alias"), "colnames", item.alias, location,
                         item.columns, item.column_count));
  tly_scope_add_relation(resolver, item.alias, item.view == NULL || item.run != 0 ? NULL : item.view->name,
                         item.columns, item.column_count);
  if (item.kind == TLY_FROM_STREAM) /* positions are there to be named */
    scope->relations[scope->relation_count - 1].starred_count = item.stream->column_count;
  tly_cost_add(&scope->cost, (struct tly_cost){0, 1});
  scope->query->from[scope->query->from_count++] = item;
  return TLY_OK;
}

/* ---- joins ------------------------------------------------------------------------------------------------------- */

static struct tly_expr *column_of(struct tly_resolver *resolver, uint32_t relation, uint32_t column,
                                  uint32_t location) {
  const struct tly_result_column *from = &resolver->scope->relations[relation].columns[column];
  struct tly_expr *node = tly_expr_new(resolver, TLY_EXPR_COLUMN, from->type, location);
  node->relation = (uint16_t)relation;
  node->column = column;
  node->nullable = from->nullable;
  return node;
}

/* The column of USING among relations first..end-1, as one that can be named plainly. */
static enum tly_status find_using(struct tly_resolver *resolver, const char *name, uint32_t first, uint32_t end,
                                  const char *side, uint32_t location, struct tly_expr **out) {
  const struct tly_scope *scope = resolver->scope;
  *out = NULL;
  for (uint32_t r = first; r < end; r++)
    for (uint32_t c = 0; c < scope->relations[r].column_count; c++) {
      if (strcmp(scope->relations[r].columns[c].name, name) != 0 || scope->relations[r].merged[c])
        continue;
      if (*out != NULL)
        return TLY_FAIL_AT(resolver, location, TLY_E_AMBIGUOUS_COLUMN,
                           "common column name \"%s\" appears more than once in %s table", name, side);
      *out = column_of(resolver, r, c, location);
    }
  if (*out == NULL)
    return TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_COLUMN,
                       "column \"%s\" specified in USING clause does not exist in %s table", name, side);
  return TLY_OK;
}

static enum tly_status resolve_using(struct tly_resolver *resolver, struct tly_node join, uint32_t first,
                                     struct tly_expr **on) {
  struct tly_scope *scope = resolver->scope;
  uint32_t right = scope->relation_count - 1, location = tly_node_location(tly_node_child(join, "rarg"));
  *on = NULL;
  for (size_t i = 0; i < tly_node_count(join, "usingClause"); i++) {
    const char *name = tly_node_string(tly_node_item(join, "usingClause", i));
    struct tly_expr *left_column, *right_column, *equal;
    TLY_TRY(find_using(resolver, name, first, right, "left", location, &left_column));
    TLY_TRY(find_using(resolver, name, right, right + 1, "right", location, &right_column));
    TLY_ASSERT(left_column != NULL && right_column != NULL);
    if (left_column->type.id != right_column->type.id)
      return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                         "USING over columns of different types is not supported: %s is %s and %s", name,
                         tly_type_name(left_column->type), tly_type_name(right_column->type));
    TLY_TRY(tly_resolve_operator(resolver, "=", left_column, right_column, location, &equal));
    *on = *on == NULL ? equal : tly_expr_and(resolver, TLY_EXPR_AND, *on, equal, location);
    scope->relations[right].merged[right_column->column] = true;
  }
  return TLY_OK;
}

static enum tly_status join_kind(struct tly_resolver *resolver, struct tly_node join, enum tly_join_kind *kind) {
  const char *type = tly_node_text(join, "jointype");
  uint32_t location = tly_node_location(tly_node_child(join, "rarg"));
  bool is_inner = strcmp(type, "JOIN_INNER") == 0;
  if (!is_inner && strcmp(type, "JOIN_LEFT") != 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s is not supported",
                       strcmp(type, "JOIN_RIGHT") == 0 ? "RIGHT JOIN" : "FULL JOIN");
  TLY_TRY(tly_resolver_expect(resolver, join, "jointype larg rarg usingClause quals"));
  bool has_condition = tly_node_has(join, "quals") || tly_node_has(join, "usingClause");
  *kind = !is_inner ? TLY_JOIN_LEFT : has_condition ? TLY_JOIN_INNER : TLY_JOIN_CROSS;
  return TLY_OK;
}

static enum tly_status resolve_from_node(struct tly_resolver *resolver, struct tly_node node, enum tly_join_kind join);

static enum tly_status resolve_join(struct tly_resolver *resolver, struct tly_node join, enum tly_join_kind outer) {
  struct tly_scope *scope = resolver->scope;
  uint32_t first = scope->relation_count;
  enum tly_join_kind kind;
  TLY_TRY(join_kind(resolver, join, &kind));
  TLY_TRY(resolve_from_node(resolver, tly_node_child(join, "larg"), outer));
  TLY_TRY(add_item(resolver, tly_node_child(join, "rarg"), kind));
  struct tly_from_item *item = &scope->query->from[scope->query->from_count - 1];
  uint32_t visible_from = scope->visible_from;
  scope->visible_from = first;
  enum tly_status status =
      tly_node_has(join, "usingClause")
          ? resolve_using(resolver, join, first, &item->on)
          : tly_resolve_condition(resolver, TLY_CLAUSE_ON, tly_node_child(join, "quals"), "JOIN/ON", &item->on);
  scope->visible_from = visible_from;
  TLY_TRY(status);
  for (uint32_t c = 0; c < item->column_count && kind == TLY_JOIN_LEFT; c++)
    item->columns[c].nullable = true;
  return TLY_OK;
}

static enum tly_status resolve_from_node(struct tly_resolver *resolver, struct tly_node node, enum tly_join_kind join) {
  return tly_node_is(node, "JoinExpr") ? resolve_join(resolver, node, join) : add_item(resolver, node, join);
}

enum tly_status tly_resolve_from(struct tly_resolver *resolver, struct tly_node select) {
  struct tly_scope *scope = resolver->scope;
  scope->clause = TLY_CLAUSE_FROM;
  scope->query->from = TLY_ARENA_ARRAY(resolver->arena, struct tly_from_item, TLY_SQL_JOINS_MAX);
  for (size_t i = 0; i < tly_node_count(select, "fromClause"); i++)
    TLY_TRY(
        resolve_from_node(resolver, tly_node_item(select, "fromClause", i), i == 0 ? TLY_JOIN_NONE : TLY_JOIN_CROSS));
  return TLY_OK;
}

/* ---- WITH -------------------------------------------------------------------------------------------------------- */

static enum tly_status resolve_cte(struct tly_resolver *resolver, struct tly_node node) {
  struct tly_scope *scope = resolver->scope;
  struct tly_query *query = scope->query;
  const char *name = tly_node_text(node, "ctename");
  uint32_t location = tly_node_location(node), number = query->cte_count;
  TLY_TRY(tly_resolver_expect(resolver, node, "ctename aliascolnames ctematerialized ctequery"));
  for (uint32_t i = 0; i < number; i++)
    if (strcmp(query->ctes[i].name, name) == 0)
      return TLY_FAIL_AT(resolver, location, TLY_E_DUPLICATE_ALIAS, "WITH query name \"%s\" specified more than once",
                         name);
  struct tly_node select = tly_node_child(node, "ctequery");
  if (!tly_node_is(select, "SelectStmt"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "WITH is supported over SELECT only");
  struct tly_cte cte = {.name = tly_arena_copy(resolver->arena, name, strlen(name))};
  TLY_TRY(tly_resolve_query(resolver, select, &cte.query, &scope->cte_costs[number]));
  TLY_TRY(rename_columns(resolver, node, "aliascolnames", name, location, cte.query->columns, cte.query->column_count));
  query->ctes[query->cte_count++] = cte;
  return TLY_OK;
}

enum tly_status tly_resolve_with(struct tly_resolver *resolver, struct tly_node select) {
  struct tly_node with = tly_node_struct(select, "withClause", "WithClause");
  struct tly_scope *scope = resolver->scope;
  if (with.kind == NULL)
    return TLY_OK;
  TLY_TRY(tly_resolver_expect(resolver, with, "ctes"));
  size_t count = tly_node_count(with, "ctes");
  scope->query->ctes = TLY_ARENA_ARRAY(resolver->arena, struct tly_cte, count);
  scope->cte_costs = TLY_ARENA_ARRAY(resolver->arena, struct tly_cost, count);
  for (size_t i = 0; i < count; i++)
    TLY_TRY(resolve_cte(resolver, tly_node_item(with, "ctes", i)));
  return TLY_OK;
}
