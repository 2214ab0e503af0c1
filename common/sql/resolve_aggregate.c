/* Aggregate calls: their overload, their FILTER, and where they may stand (parse_agg.c of PostgreSQL). */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

static const struct {
  const char *name;
  enum tly_aggregate_function function;
} functions[] = {
    {"count", TLY_AGGREGATE_COUNT},
    {"sum", TLY_AGGREGATE_SUM},
    {"avg", TLY_AGGREGATE_AVG},
    {"min", TLY_AGGREGATE_MIN},
    {"max", TLY_AGGREGATE_MAX},
    {"bool_and", TLY_AGGREGATE_BOOL_AND},
    {"every", TLY_AGGREGATE_BOOL_AND},
    {"bool_or", TLY_AGGREGATE_BOOL_OR},
    {"variance", TLY_AGGREGATE_VAR_SAMP},
    {"var_samp", TLY_AGGREGATE_VAR_SAMP},
    {"var_pop", TLY_AGGREGATE_VAR_POP},
    {"stddev", TLY_AGGREGATE_STDDEV_SAMP},
    {"stddev_samp", TLY_AGGREGATE_STDDEV_SAMP},
    {"stddev_pop", TLY_AGGREGATE_STDDEV_POP},
};

static enum tly_aggregate_function function_of(const char *name) {
  size_t i = 0;
  while (strcmp(functions[i].name, name) != 0)
    TLY_ASSERT(++i < sizeof functions / sizeof functions[0]);
  return functions[i].function;
}

/* Where an aggregate may not stand, in PostgreSQL's words; NULL: it may. */
static const char *forbidden_place(enum tly_clause clause) {
  switch (clause) {
  case TLY_CLAUSE_ON: return "JOIN conditions";
  case TLY_CLAUSE_WHERE: return "WHERE";
  case TLY_CLAUSE_GROUP: return "GROUP BY";
  case TLY_CLAUSE_FILTER: return "FILTER";
  case TLY_CLAUSE_LIMIT: return "LIMIT";
  case TLY_CLAUSE_OFFSET: return "OFFSET";
  case TLY_CLAUSE_FRAME: return "window frame offsets";
  case TLY_CLAUSE_FROM: return "FROM clause of their own query level";
  case TLY_CLAUSE_TARGET:
  case TLY_CLAUSE_HAVING:
  case TLY_CLAUSE_ORDER:
  case TLY_CLAUSE_WINDOW: break;
  }
  return NULL;
}

static enum tly_status check_place(struct tly_resolver *resolver, uint32_t location) {
  const struct tly_scope *scope = resolver->scope;
  const char *place = forbidden_place(scope->clause);
  if (place != NULL)
    return TLY_FAIL_AT(resolver, location, TLY_E_GROUPING, "aggregate functions are not allowed in %s", place);
  if (scope->in_aggregate)
    return TLY_FAIL_AT(resolver, location, TLY_E_GROUPING, "aggregate function calls cannot be nested");
  return TLY_OK;
}

struct level_search {
  bool has_own, has_outer;
};

static void find_levels(struct tly_expr **node, void *argument) {
  struct level_search *search = argument;
  if ((*node)->kind == TLY_EXPR_COLUMN)
    *((*node)->levels_up == 0 ? &search->has_own : &search->has_outer) = true;
  tly_expr_each(*node, find_levels, search);
}

/* An aggregate over columns of an outer query alone belongs to that query, in standard SQL. */
static enum tly_status refuse_outer_aggregate(struct tly_resolver *resolver, struct tly_expr *argument,
                                              uint32_t location) {
  struct level_search search = {false, false};
  if (argument != NULL)
    find_levels(&argument, &search);
  if (search.has_outer && !search.has_own)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                       "an aggregate over columns of an outer query alone is not supported");
  return TLY_OK;
}

static enum tly_status resolve_inside(struct tly_resolver *resolver, struct tly_node node,
                                      struct tly_aggregate *aggregate, struct tly_expr ***arguments, uint32_t *count) {
  TLY_TRY(tly_resolve_list(resolver, node, "args", arguments, count));
  return tly_resolve_condition(resolver, TLY_CLAUSE_FILTER, tly_node_child(node, "agg_filter"), "FILTER",
                               &aggregate->filter);
}

/* count(*), count(x): any type; the others by the catalogue. */
static enum tly_status choose(struct tly_resolver *resolver, const char *name, struct tly_expr **arguments,
                              uint32_t count, uint32_t location, struct tly_aggregate *aggregate) {
  bool is_ambiguous = false;
  size_t row = SIZE_MAX;
  if (aggregate->function == TLY_AGGREGATE_COUNT && count == 1) {
    aggregate->type = TLY_TYPE_OF(TLY_TYPE_BIGINT);
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &arguments[0]));
    if (!aggregate->distinct)
      TLY_TRY(tly_resolve_presence(resolver, &arguments[0]));
    aggregate->argument = arguments[0];
    return TLY_OK;
  }
  if (count == 1 && aggregate->function != TLY_AGGREGATE_COUNT)
    row = tly_overload_aggregate(name, arguments[0]->type.id, &is_ambiguous);
  if (row == SIZE_MAX)
    return tly_resolve_no_function(resolver, name, arguments, count, is_ambiguous, location);
  TLY_TRY(tly_coerce_implicit(resolver, tly_catalog_aggregates[row].argument, &arguments[0]));
  aggregate->argument = arguments[0];
  aggregate->type = TLY_TYPE_OF(tly_catalog_aggregates[row].result);
  bool keeps_scale = aggregate->function == TLY_AGGREGATE_MIN || aggregate->function == TLY_AGGREGATE_MAX;
  if (keeps_scale && aggregate->type.id == TLY_TYPE_NUMERIC)
    aggregate->type = aggregate->argument->type;
  return TLY_OK;
}

static bool is_statistic(enum tly_aggregate_function function) {
  return function >= TLY_AGGREGATE_VAR_SAMP;
}

static enum tly_status refuse(struct tly_resolver *resolver, const char *name, struct tly_aggregate *aggregate,
                              uint32_t location) {
  enum tly_type_id argument = aggregate->argument == NULL ? TLY_TYPE_BIGINT : aggregate->argument->type.id;
  if (is_statistic(aggregate->function) && argument == TLY_TYPE_DOUBLE) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s over double precision is not supported", name);
    tly_error_hint(resolver->error, "cast the argument to numeric");
    return TLY_E_NOT_SUPPORTED;
  }
  if (argument == TLY_TYPE_INTERVAL)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s over interval is not supported", name);
  bool distinct_matters = aggregate->function != TLY_AGGREGATE_COUNT && aggregate->function != TLY_AGGREGATE_MIN &&
                          aggregate->function != TLY_AGGREGATE_MAX && aggregate->function != TLY_AGGREGATE_BOOL_AND &&
                          aggregate->function != TLY_AGGREGATE_BOOL_OR;
  if (aggregate->distinct && distinct_matters)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s(DISTINCT ...) is not supported", name);
  if (aggregate->function != TLY_AGGREGATE_COUNT)
    aggregate->distinct = false;
  return TLY_OK;
}

enum tly_status tly_resolve_aggregate_parts(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                            struct tly_aggregate *aggregate) {
  struct tly_expr **arguments;
  uint32_t count, location = tly_node_location(node);
  bool is_star = tly_node_flag(node, "agg_star");
  aggregate->function = function_of(name);
  aggregate->distinct = tly_node_flag(node, "agg_distinct");
  TLY_TRY(tly_resolver_expect(resolver, node, "funcname args agg_filter agg_star agg_distinct over funcformat"));
  TLY_TRY(resolve_inside(resolver, node, aggregate, &arguments, &count));
  if (aggregate->function == TLY_AGGREGATE_COUNT && count == 0) {
    if (!is_star)
      return TLY_FAIL_AT(resolver, location, TLY_E_WRONG_OBJECT_TYPE,
                         "count(*) must be used to call a parameterless aggregate function");
    aggregate->type = TLY_TYPE_OF(TLY_TYPE_BIGINT);
    return TLY_OK;
  }
  TLY_TRY(choose(resolver, name, arguments, count, location, aggregate));
  TLY_TRY(refuse(resolver, name, aggregate, location));
  return refuse_outer_aggregate(resolver, aggregate->argument, location);
}

/* A total may overflow in the result alone; a count or an extreme cannot. */
static bool result_can_raise(enum tly_aggregate_function function) {
  return function == TLY_AGGREGATE_SUM || function == TLY_AGGREGATE_AVG || is_statistic(function);
}

enum tly_status tly_resolve_aggregate(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                      struct tly_expr **out) {
  uint32_t location = tly_node_location(node);
  struct tly_aggregate *aggregate = TLY_ARENA_NEW(resolver->arena, struct tly_aggregate);
  struct tly_scope *scope = resolver->scope;
  bool was_inside = scope->in_aggregate;
  scope->in_aggregate = true;
  enum tly_status status = tly_resolve_aggregate_parts(resolver, node, name, aggregate);
  scope->in_aggregate = was_inside;
  TLY_TRY(status);
  TLY_TRY(check_place(resolver, location));
  scope->has_aggregates = true;
  struct tly_expr *call = tly_expr_new(resolver, TLY_EXPR_AGGREGATE, aggregate->type, location);
  call->aggregate = aggregate;
  call->nullable = aggregate->function != TLY_AGGREGATE_COUNT;
  call->can_raise = result_can_raise(aggregate->function);
  if (!resolver->is_view) /* in a view the argument raises where it is folded: the event is set aside */
    call->can_raise |= (aggregate->argument != NULL && aggregate->argument->can_raise) ||
                       (aggregate->filter != NULL && aggregate->filter->can_raise);
  *out = call;
  return TLY_OK;
}
