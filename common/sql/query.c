/* A query text into a typed statement, within its limits. */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/parse.h"
#include "common/sql/position.h"
#include "common/sql/resolve.h"

static enum tly_status check_cost(struct tly_resolver *resolver, struct tly_cost cost) {
  if (cost.from_items > TLY_SQL_FROM_ITEMS_MAX)
    return TLY_FAIL(resolver->error, TLY_E_TOO_COMPLEX,
                    "statement too complex: more than %d relations, counting each WITH query at each use",
                    TLY_SQL_FROM_ITEMS_MAX);
  if (cost.nodes > TLY_SQL_EXPR_NODES_MAX)
    return TLY_FAIL(resolver->error, TLY_E_TOO_COMPLEX, "statement too complex: more than %d expression nodes",
                    TLY_SQL_EXPR_NODES_MAX);
  return TLY_OK;
}

/* Every parameter up to the highest must have got a type from some place. */
static enum tly_status finish_parameters(struct tly_resolver *resolver, struct tly_statement *statement) {
  for (struct tly_parameter_use *use = resolver->parameter_uses; use != NULL; use = use->next) {
    struct tly_type type = resolver->parameters[use->node->column];
    if (type.id == TLY_TYPE_UNKNOWN)
      return TLY_FAIL_AT(resolver, use->node->location, TLY_E_INDETERMINATE_DATATYPE,
                         "could not determine data type of parameter $%u", (unsigned)use->node->column + 1);
    use->node->type = type;
  }
  statement->parameter_count = resolver->parameter_count;
  statement->parameters = TLY_ARENA_ARRAY(resolver->arena, struct tly_type, resolver->parameter_count);
  for (uint32_t i = 0; i < resolver->parameter_count; i++) {
    statement->parameters[i] = resolver->parameters[i];
    if (statement->parameters[i].id == TLY_TYPE_UNKNOWN)
      return TLY_FAIL(resolver->error, TLY_E_INDETERMINATE_DATATYPE, "could not determine data type of parameter $%u",
                      (unsigned)i + 1);
  }
  return TLY_OK;
}

static enum tly_status resolve_statement(struct tly_resolver *resolver, const struct json_t *tree,
                                         struct tly_statement *statement) {
  size_t count = tly_tree_statement_count(tree);
  if (count == 0)
    return TLY_FAIL(resolver->error, TLY_E_SYNTAX, "the query is empty");
  if (count > 1)
    return TLY_FAIL(resolver->error, TLY_E_SYNTAX, "more than one statement in a query");
  struct tly_node select = tly_tree_statement(tree, 0);
  if (!tly_node_is(select, "SelectStmt")) {
    (void)TLY_FAIL_AT(resolver, 0, TLY_E_NOT_SUPPORTED, "only SELECT is supported in a query");
    tly_error_hint(resolver->error, "streams and views are defined in the project's *.sql files");
    return TLY_E_NOT_SUPPORTED;
  }
  struct tly_cost cost = {0, 0};
  TLY_TRY(tly_resolve_query(resolver, select, &statement->query, &cost));
  TLY_TRY(check_cost(resolver, cost));
  return finish_parameters(resolver, statement);
}

struct query_job {
  struct tly_resolver resolver;
  struct tly_statement *statement;
  enum tly_status status;
};

static void query_main(void *argument) {
  struct query_job *job = argument;
  struct tly_resolver *resolver = &job->resolver;
  struct json_t *tree;
  job->status = tly_sql_parse(resolver->sql, resolver->sql_size, &tree, &resolver->error_location, resolver->error);
  if (job->status != TLY_OK)
    return;
  job->status = resolve_statement(resolver, tree, job->statement);
  tly_sql_tree_free(tree);
}

enum tly_status tly_query_parse(const struct tly_project *project, const char *sql, size_t size,
                                struct tly_arena *arena, struct tly_statement **out, struct tly_error *error) {
  struct tly_statement *statement = TLY_ARENA_NEW(arena, struct tly_statement);
  *out = NULL;
  statement->sql = tly_arena_copy(arena, sql, size);
  struct query_job job = {.resolver = {.arena = arena,
                                       .project = project,
                                       .sql = statement->sql,
                                       .sql_size = size,
                                       .error = error,
                                       .error_location = TLY_LOCATION_NONE},
                          .statement = statement};
  TLY_TRY(tly_sql_on_large_stack(size, query_main, &job, error));
  if (job.status == TLY_OK)
    *out = statement;
  else if (error != NULL && job.resolver.error_location != TLY_LOCATION_NONE)
    error->position = (int32_t)tly_position_of_offset(sql, size, job.resolver.error_location);
  return job.status;
}
