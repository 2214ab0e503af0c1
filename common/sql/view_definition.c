/* CREATE MATERIALIZED VIEW: one SELECT over one stream, grouped, into keys, aggregates and outputs.
 *
 * The order of the work is PostgreSQL's (FROM, targets, WHERE, HAVING, GROUP BY, then the check of what is ungrouped),
 * so that of several mistakes in one place the same one is reported; but every target and clause reports for itself. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/definitions.h"
#include "common/sql/view_schedule.h"
#include "common/value/zone_folder.h"

/* ---- what a definition cannot have ------------------------------------------------------------------------------- */

static const struct {
  const char *member, *words, *hint;
} refused[] = {
    {"sortClause", "ORDER BY", "order the rows in the query that reads the view"},
    {"limitCount", "LIMIT", "limit the rows in the query that reads the view"},
    {"limitOffset", "OFFSET", "skip rows in the query that reads the view"},
    {"distinctClause", "DISTINCT", "use GROUP BY"},
    {"windowClause", "WINDOW", "use window functions in the query that reads the view"},
    {"withClause", "WITH", "write the expression out, or make another view"},
    {"valuesLists", "VALUES", "a view reads one stream"},
    {"larg", "a set operation (UNION, INTERSECT, EXCEPT)",
     "make a view for each stream, and combine them in the query"},
    {"lockingClause", "FOR UPDATE", NULL},
    {"intoClause", "INTO", NULL},
};

static uint32_t clause_location(struct tly_node select, const char *member) {
  struct tly_node child = tly_node_child(select, member);
  if (child.kind == NULL)
    child = tly_node_item(select, member, 0);
  if (child.kind == NULL)
    child = tly_node_struct(select, member, member);
  uint32_t location = tly_node_location(child);
  return location == TLY_LOCATION_NONE ? tly_node_location(select) : location;
}

/* Each clause that is there is a problem of its own. */
static bool refuse_clauses(struct tly_definitions *definitions, struct tly_node select) {
  struct tly_resolver *resolver = &definitions->resolver;
  bool fine = true;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    if (!tly_node_has(select, refused[i].member))
      continue;
    uint32_t location = clause_location(select, refused[i].member);
    enum tly_status status = TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                                         "%s is not supported in a view's definition", refused[i].words);
    if (refused[i].hint != NULL)
      tly_error_hint(resolver->error, "%s", refused[i].hint);
    fine = tly_definitions_report(definitions, status);
  }
  return fine && tly_definitions_report(definitions, tly_resolver_expect(resolver, select,
                                                                         "targetList fromClause whereClause "
                                                                         "groupClause havingClause limitOption op"));
}

/* ---- FROM -------------------------------------------------------------------------------------------------------- */

static enum tly_status refuse_from(struct tly_resolver *resolver, struct tly_node item, uint32_t count,
                                   uint32_t location) {
  if (count == 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "a view reads one stream: FROM is missing");
  const char *words = count > 1 || tly_node_is(item, "JoinExpr") ? "a join"
                      : tly_node_is(item, "RangeSubselect")      ? "a sub-select"
                                                                 : "a function in FROM";
  (void)TLY_FAIL_AT(resolver, tly_node_location(item), TLY_E_NOT_SUPPORTED,
                    "%s is not supported in a view's definition", words);
  tly_error_hint(resolver->error, "a view reads one stream; join views in the query that reads them");
  return TLY_E_NOT_SUPPORTED;
}

static enum tly_status no_stream(struct tly_definitions *definitions, const char *name, uint32_t location) {
  struct tly_resolver *resolver = &definitions->resolver;
  const struct tly_project *project = definitions->project;
  if (tly_project_view(project, name) != NULL) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "\"%s\" is a view: a view over a view is not supported",
                      name);
    tly_error_hint(resolver->error, "a view reads one stream");
    return TLY_E_NOT_SUPPORTED;
  }
  if (tly_project_ledger(project, name) != NULL) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "\"%s\" is a ledger: a view reads a stream", name);
    tly_error_hint(resolver->error, "tally reconcile VIEW --against %s compares a view with it", name);
    return TLY_E_NOT_SUPPORTED;
  }
  struct tly_suggestion suggestion = {.best = NULL};
  for (uint32_t i = 0; i < project->stream_count; i++)
    tly_suggest(&suggestion, name, project->streams[i].name);
  (void)TLY_FAIL_AT(resolver, location, TLY_E_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
  if (suggestion.best != NULL)
    tly_error_hint(resolver->error, "did you mean %s?", suggestion.best);
  else
    tly_error_hint(resolver->error, "a stream is defined before the views that read it; files are read in name order");
  return TLY_E_UNDEFINED_TABLE;
}

static void add_stream_columns(struct tly_resolver *resolver, const struct tly_stream *stream, const char *alias) {
  struct tly_result_column *columns = TLY_ARENA_ARRAY(resolver->arena, struct tly_result_column, stream->column_count);
  for (uint32_t i = 0; i < stream->column_count; i++)
    columns[i] =
        (struct tly_result_column){stream->columns[i].name, stream->columns[i].type, !stream->columns[i].not_null};
  tly_scope_add_relation(resolver, alias, stream->name, columns, stream->column_count);
}

/* *stream stays NULL, with TLY_OK, when the stream's own definition failed. */
static enum tly_status read_from(struct tly_definitions *definitions, struct tly_node select,
                                 const struct tly_stream **stream) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t count = (uint32_t)tly_node_count(select, "fromClause");
  struct tly_node item = tly_node_item(select, "fromClause", 0);
  if (count != 1 || !tly_node_is(item, "RangeVar"))
    return refuse_from(resolver, item, count, tly_node_location(select));
  uint32_t location = tly_node_location(item);
  struct tly_node alias = tly_node_struct(item, "alias", "Alias");
  const char *name = tly_node_text(item, "relname");
  TLY_TRY(tly_resolver_expect(resolver, item, "relname inh relpersistence alias"));
  if (!tly_node_flag(item, "inh"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "ONLY is not supported");
  if (tly_node_has(alias, "colnames"))
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                       "column names behind an alias are not supported in a view's definition");
  if (tly_definitions_is_broken(definitions, name))
    return TLY_OK;
  *stream = tly_project_stream(definitions->project, name);
  if (*stream == NULL)
    return no_stream(definitions, name, location);
  add_stream_columns(resolver, *stream, alias.kind == NULL ? (*stream)->name : tly_node_text(alias, "aliasname"));
  return TLY_OK;
}

/* ---- SELECT, WHERE, HAVING, GROUP BY ----------------------------------------------------------------------------- */

static bool read_targets(struct tly_definitions *definitions, struct tly_node select, struct tly_target_list *targets) {
  bool fine = true;
  for (size_t i = 0; i < tly_node_count(select, "targetList"); i++) {
    enum tly_status status =
        tly_resolve_target(&definitions->resolver, tly_node_item(select, "targetList", i), targets);
    fine = tly_definitions_report(definitions, status) && fine;
  }
  return fine;
}

static bool read_conditions(struct tly_definitions *definitions, struct tly_node select, struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  enum tly_status status =
      tly_resolve_condition(resolver, TLY_CLAUSE_WHERE, tly_node_child(select, "whereClause"), "WHERE", &view->where);
  bool fine = tly_definitions_report(definitions, status);
  status = tly_resolve_condition(resolver, TLY_CLAUSE_HAVING, tly_node_child(select, "havingClause"), "HAVING",
                                 &view->having);
  return tly_definitions_report(definitions, status) && fine;
}

static bool has_key(const struct tly_view *view, const struct tly_expr *key) {
  for (uint32_t i = 0; i < view->key_count; i++)
    if (tly_expr_equal(view->keys[i], key))
      return true;
  return false;
}

static bool read_keys(struct tly_definitions *definitions, struct tly_node select,
                      const struct tly_target_list *targets, struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  uint32_t count = (uint32_t)tly_node_count(select, "groupClause");
  bool fine = true;
  view->keys = TLY_ARENA_ARRAY(resolver->arena, struct tly_expr *, count);
  for (uint32_t i = 0; i < count; i++) {
    struct tly_expr *key;
    enum tly_status status = tly_resolve_group_item(resolver, tly_node_item(select, "groupClause", i), targets, &key);
    if (!tly_definitions_report(definitions, status))
      fine = false;
    else if (!has_key(view, key))
      view->keys[view->key_count++] = key;
  }
  return fine;
}

static enum tly_status check_size(struct tly_resolver *resolver, const struct tly_target_list *targets,
                                  const struct tly_view *view) {
  uint64_t nodes = 0;
  for (uint32_t i = 0; i < targets->count; i++)
    nodes += tly_expr_count(targets->items[i].expression, TLY_SQL_EXPR_NODES_MAX);
  for (uint32_t i = 0; i < view->key_count; i++)
    nodes += tly_expr_count(view->keys[i], TLY_SQL_EXPR_NODES_MAX);
  if (view->where != NULL)
    nodes += tly_expr_count(view->where, TLY_SQL_EXPR_NODES_MAX);
  if (view->having != NULL)
    nodes += tly_expr_count(view->having, TLY_SQL_EXPR_NODES_MAX);
  if (nodes > TLY_SQL_EXPR_NODES_MAX)
    return TLY_FAIL_AT(resolver, 0, TLY_E_TOO_COMPLEX, "statement too complex: more than %d expression nodes",
                       TLY_SQL_EXPR_NODES_MAX);
  if (targets->count > TLY_COLUMNS_MAX || view->key_count > TLY_COLUMNS_MAX)
    return TLY_FAIL_AT(resolver, 0, TLY_E_TOO_COMPLEX, "a view has at most %d columns", TLY_COLUMNS_MAX);
  return TLY_OK;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

static enum tly_status add_output(struct tly_definitions *definitions, const struct tly_target *target,
                                  const char *name, struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_expr *expression = target->expression;
  TLY_TRY(tly_coerce_unknown_to_text(resolver, &expression));
  if (expression->type.id == TLY_TYPE_INTERVAL) {
    (void)TLY_FAIL_AT(resolver, tly_expr_location(expression), TLY_E_NOT_SUPPORTED,
                      "an interval as a result is not supported");
    tly_error_hint(resolver->error, "extract(epoch from ...) gives seconds");
    return TLY_E_NOT_SUPPORTED;
  }
  for (uint32_t i = 0; i < view->output_count; i++)
    if (strcmp(view->outputs[i].name, name) == 0) {
      (void)TLY_FAIL_AT(resolver, tly_expr_location(expression), TLY_E_DUPLICATE_COLUMN,
                        "column \"%s\" specified more than once", name);
      tly_error_hint(resolver->error, "give it a name of its own: AS ...");
      return TLY_E_DUPLICATE_COLUMN;
    }
  TLY_TRY(tly_grouping_rewrite(resolver, view, &expression));
  view->outputs[view->output_count++] = (struct tly_view_output){name, expression};
  return TLY_OK;
}

static bool add_outputs(struct tly_definitions *definitions, struct tly_node into,
                        const struct tly_target_list *targets, struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  size_t renamed = tly_node_count(into, "colNames");
  if (renamed > targets->count)
    return tly_definitions_report(definitions,
                                  TLY_FAIL_AT(resolver, 0, TLY_E_SYNTAX, "too many column names were specified"));
  view->outputs = TLY_ARENA_ARRAY(resolver->arena, struct tly_view_output, targets->count);
  view->aggregates = TLY_ARENA_ARRAY(resolver->arena, struct tly_aggregate, TLY_COLUMNS_MAX);
  bool fine = true;
  for (uint32_t i = 0; i < targets->count; i++) {
    const char *name = targets->items[i].name;
    if (i < renamed) {
      name = tly_node_string(tly_node_item(into, "colNames", i));
      name = tly_arena_copy(resolver->arena, name, strlen(name));
    }
    fine = tly_definitions_report(definitions, add_output(definitions, &targets->items[i], name, view)) && fine;
  }
  if (view->having != NULL)
    fine = tly_definitions_report(definitions, tly_grouping_rewrite(resolver, view, &view->having)) && fine;
  return fine;
}

static enum tly_status check_grouped(struct tly_resolver *resolver, struct tly_node select,
                                     const struct tly_view *view) {
  if (view->key_count > 0 || resolver->scope->has_aggregates || view->having != NULL)
    return TLY_OK;
  (void)TLY_FAIL_AT(resolver, tly_node_location(select), TLY_E_NOT_SUPPORTED,
                    "a view without GROUP BY and without an aggregate is not supported");
  tly_error_hint(resolver->error, "a view keeps totals: group the events, or aggregate them");
  return TLY_E_NOT_SUPPORTED;
}

static bool read_select(struct tly_definitions *definitions, struct tly_node select, struct tly_node into,
                        struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_target_list targets = {.count = 0};
  bool fine = refuse_clauses(definitions, select);
  if (tly_node_has(select, "larg"))
    return false; /* a UNION has no FROM of its own to go on with */
  if (!tly_definitions_report(definitions, read_from(definitions, select, &view->stream)) || view->stream == NULL)
    return false;
  fine = read_targets(definitions, select, &targets) && fine;
  fine = read_conditions(definitions, select, view) && fine;
  fine = fine && read_keys(definitions, select, &targets, view);
  fine = fine && tly_definitions_report(definitions, check_size(resolver, &targets, view));
  fine = fine && tly_definitions_report(definitions, check_grouped(resolver, select, view));
  return fine && add_outputs(definitions, into, &targets, view);
}

/* ---- the view ---------------------------------------------------------------------------------------------------- */

static enum tly_status read_truth(struct tly_resolver *resolver, const struct tly_option *option, bool *out) {
  *out = option != NULL && strcmp(option->value, "true") == 0;
  if (option != NULL && !*out && strcmp(option->value, "false") != 0)
    return TLY_FAIL_AT(resolver, option->location, TLY_E_INVALID_PARAMETER,
                       "option \"%s\" is true or false, not \"%s\"", option->name, option->value);
  return TLY_OK;
}

/* *check: the option of that name, to be read when the view's outputs are known. */
static enum tly_status read_head(struct tly_definitions *definitions, struct tly_node node, struct tly_node into,
                                 struct tly_view *view, const struct tly_option **check) {
  static const char *const known[] = {
      "recompute", "time_zone", "job", "reconcile", "reconcile_with", "tolerance", "check", "publish_with_drift", NULL};
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_option *options;
  uint32_t count;
  TLY_TRY(tly_resolver_expect(resolver, node, "query into objtype"));
  TLY_TRY(tly_resolver_expect(resolver, into, "rel colNames options onCommit"));
  TLY_TRY(tly_definitions_options(definitions, into, "options", known, &options, &count));
  *check = tly_option_find(options, count, "check");
  TLY_TRY(read_truth(resolver, tly_option_find(options, count, "publish_with_drift"), &view->publish_with_drift));
  TLY_TRY(tly_define_reconcile(definitions, options, count, view));
  return tly_view_schedule_read(resolver, options, count, view);
}

static bool read_view(struct tly_definitions *definitions, struct tly_node node, struct tly_node into,
                      struct tly_view *view) {
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_node select = tly_node_child(node, "query");
  if (!tly_node_is(select, "SelectStmt"))
    return tly_definitions_report(
        definitions, TLY_FAIL_AT(resolver, view->location, TLY_E_NOT_SUPPORTED, "a view is defined by a SELECT"));
  struct tly_query query = {.members = NULL};
  struct tly_scope scope = {.query = &query, .select = select};
  const struct tly_option *check = NULL;
  resolver->scope = &scope;
  bool fine = tly_definitions_report(definitions, read_head(definitions, node, into, view, &check));
  if (!read_select(definitions, select, into, view))
    fine = false;
  else
    fine = tly_definitions_report(definitions, tly_define_check(resolver, view, check, &view->check)) && fine;
  if (fine && definitions->project->view_count == TLY_VIEWS_MAX)
    fine = tly_definitions_report(
        definitions, TLY_FAIL_AT(resolver, view->location, TLY_E_TOO_MANY, "more than %d views", TLY_VIEWS_MAX));
  resolver->scope = NULL;
  return fine;
}

void tly_define_view(struct tly_definitions *definitions, struct tly_node node) {
  struct tly_project *project = definitions->project;
  struct tly_resolver *resolver = &definitions->resolver;
  struct tly_node into = tly_node_struct(node, "into", "IntoClause");
  struct tly_node relation = tly_node_struct(into, "rel", "RangeVar");
  struct tly_view view = {.file = definitions->file, .location = tly_node_location(relation)};
  if (!tly_definitions_report(definitions, tly_definitions_new_name(definitions, relation, &view.name)))
    return;
  if (!read_view(definitions, node, into, &view)) {
    tly_definitions_add_broken(definitions, view.name);
    return;
  }
  tly_canonical_view(resolver, &view);
  view.source = tly_arena_print(resolver->arena, "%s\n\n%s", view.stream->source, tly_definitions_source(definitions));
  view.location += definitions->piece_offset;
  project->views[project->view_count++] = view;
}
