/* Calls with OVER: window functions and aggregates over frames (transformWindowFuncCall of PostgreSQL). */
#include <string.h>

#include "common/base/assert.h"
#include "common/sql/resolve.h"

#define ANY_TYPE TLY_TYPE_UNKNOWN

/* The window functions of PostgreSQL. A first argument of any type gives the result's type when result is ANY_TYPE; the
 * third of lag and lead is of that type too. */
static const struct window_row {
  const char *name;
  enum tly_window_function function;
  uint32_t least, most; /* arguments */
  enum tly_type_id result;
} rows[] = {
    {"row_number", TLY_WINDOW_ROW_NUMBER, 0, 0, TLY_TYPE_BIGINT},
    {"rank", TLY_WINDOW_RANK, 0, 0, TLY_TYPE_BIGINT},
    {"dense_rank", TLY_WINDOW_DENSE_RANK, 0, 0, TLY_TYPE_BIGINT},
    {"percent_rank", TLY_WINDOW_PERCENT_RANK, 0, 0, TLY_TYPE_DOUBLE},
    {"cume_dist", TLY_WINDOW_CUME_DIST, 0, 0, TLY_TYPE_DOUBLE},
    {"ntile", TLY_WINDOW_NTILE, 1, 1, TLY_TYPE_INTEGER},
    {"lag", TLY_WINDOW_LAG, 1, 3, ANY_TYPE},
    {"lead", TLY_WINDOW_LEAD, 1, 3, ANY_TYPE},
    {"first_value", TLY_WINDOW_FIRST_VALUE, 1, 1, ANY_TYPE},
    {"last_value", TLY_WINDOW_LAST_VALUE, 1, 1, ANY_TYPE},
    {"nth_value", TLY_WINDOW_NTH_VALUE, 2, 2, ANY_TYPE},
};

static const struct window_row *row_of(const char *name) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (strcmp(rows[i].name, name) == 0)
      return &rows[i];
  return NULL;
}

bool tly_resolve_is_window_function(const char *name) {
  return row_of(name) != NULL;
}

/* ---- where it stands --------------------------------------------------------------------------------------------- */

static const char *forbidden_place(enum tly_clause clause) {
  switch (clause) {
  case TLY_CLAUSE_TARGET:
  case TLY_CLAUSE_ORDER: return NULL;
  case TLY_CLAUSE_ON: return "JOIN conditions";
  case TLY_CLAUSE_WHERE: return "WHERE";
  case TLY_CLAUSE_GROUP: return "GROUP BY";
  case TLY_CLAUSE_HAVING: return "HAVING";
  case TLY_CLAUSE_FILTER: return "FILTER";
  case TLY_CLAUSE_LIMIT: return "LIMIT";
  case TLY_CLAUSE_OFFSET: return "OFFSET";
  case TLY_CLAUSE_FROM: return "functions in FROM";
  case TLY_CLAUSE_WINDOW:
  case TLY_CLAUSE_FRAME: break;
  }
  return "window definitions";
}

static enum tly_status check_place(struct tly_resolver *resolver, struct tly_node node, const char *name) {
  const struct tly_scope *scope = resolver->scope;
  uint32_t location = tly_node_location(node);
  const char *place = forbidden_place(scope->clause);
  if (resolver->is_view) {
    (void)TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED,
                      "a window function is not supported in a view's definition");
    tly_error_hint(resolver->error, "use window functions in the query that reads the view");
    return TLY_E_NOT_SUPPORTED;
  }
  if (!tly_node_has(node, "over")) {
    struct tly_expr **arguments;
    uint32_t count;
    TLY_TRY(tly_resolve_list(resolver, node, "args", &arguments, &count)); /* whose problems come first */
    return TLY_FAIL_AT(resolver, location, TLY_E_WRONG_OBJECT_TYPE, "window function %s requires an OVER clause", name);
  }
  if (scope->in_aggregate)
    return TLY_FAIL_AT(resolver, location, TLY_E_GROUPING,
                       "aggregate function calls cannot contain window function calls");
  if (place != NULL)
    return TLY_FAIL_AT(resolver, location, TLY_E_WINDOWING, "window functions are not allowed in %s", place);
  if (scope->in_window)
    return TLY_FAIL_AT(resolver, location, TLY_E_WINDOWING, "window function calls cannot be nested");
  return TLY_OK;
}

/* ---- OVER -------------------------------------------------------------------------------------------------------- */

enum frame_option { /* PostgreSQL's FRAMEOPTION_ bits */
                    FRAME_NON_DEFAULT = 0x1,
                    FRAME_RANGE = 0x2,
                    FRAME_ROWS = 0x4,
                    FRAME_GROUPS = 0x8,
                    FRAME_START_UNBOUNDED_PRECEDING = 0x20,
                    FRAME_END_UNBOUNDED_FOLLOWING = 0x100,
                    FRAME_START_CURRENT_ROW = 0x200,
                    FRAME_END_CURRENT_ROW = 0x400,
                    FRAME_START_PRECEDING = 0x800,
                    FRAME_END_PRECEDING = 0x1000,
                    FRAME_START_FOLLOWING = 0x2000,
                    FRAME_END_FOLLOWING = 0x4000,
                    FRAME_EXCLUSION = 0x38000
};

static enum tly_frame_bound start_of(int64_t options) {
  if ((options & FRAME_START_UNBOUNDED_PRECEDING) != 0)
    return TLY_FRAME_UNBOUNDED_PRECEDING;
  if ((options & FRAME_START_PRECEDING) != 0)
    return TLY_FRAME_PRECEDING;
  return (options & FRAME_START_FOLLOWING) != 0 ? TLY_FRAME_FOLLOWING : TLY_FRAME_CURRENT_ROW;
}

static enum tly_frame_bound end_of(int64_t options) {
  if ((options & FRAME_END_UNBOUNDED_FOLLOWING) != 0)
    return TLY_FRAME_UNBOUNDED_FOLLOWING;
  if ((options & FRAME_END_PRECEDING) != 0)
    return TLY_FRAME_PRECEDING;
  return (options & FRAME_END_FOLLOWING) != 0 ? TLY_FRAME_FOLLOWING : TLY_FRAME_CURRENT_ROW;
}

static enum tly_status resolve_frame(struct tly_resolver *resolver, struct tly_node definition,
                                     struct tly_window *window) {
  int64_t options = tly_node_integer(definition, "frameOptions");
  uint32_t location = tly_node_location(definition);
  window->has_frame = (options & FRAME_NON_DEFAULT) != 0;
  window->mode = (options & FRAME_ROWS) != 0     ? TLY_FRAME_ROWS
                 : (options & FRAME_GROUPS) != 0 ? TLY_FRAME_GROUPS
                                                 : TLY_FRAME_RANGE;
  window->start = start_of(options);
  window->end = end_of(options);
  bool has_offset =
      (options & (FRAME_START_PRECEDING | FRAME_END_PRECEDING | FRAME_START_FOLLOWING | FRAME_END_FOLLOWING)) != 0;
  if ((options & FRAME_EXCLUSION) != 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "EXCLUDE in a window frame is not supported");
  if (window->mode == TLY_FRAME_RANGE && has_offset)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "RANGE with an offset is not supported");
  if (window->mode == TLY_FRAME_GROUPS && window->order_count == 0)
    return TLY_FAIL_AT(resolver, location, TLY_E_WINDOWING, "GROUPS mode requires an ORDER BY clause");
  const char *what = window->mode == TLY_FRAME_ROWS ? "ROWS" : "GROUPS";
  TLY_TRY(tly_resolve_row_count(resolver, tly_node_child(definition, "startOffset"), TLY_CLAUSE_FRAME, what,
                                &window->start_offset));
  return tly_resolve_row_count(resolver, tly_node_child(definition, "endOffset"), TLY_CLAUSE_FRAME, what,
                               &window->end_offset);
}

static enum tly_status resolve_definition(struct tly_resolver *resolver, struct tly_node definition,
                                          struct tly_window *window) {
  TLY_TRY(tly_resolver_expect(resolver, definition,
                              "name refname partitionClause orderClause frameOptions startOffset "
                              "endOffset"));
  if (tly_node_has(definition, "refname"))
    return TLY_FAIL_AT(resolver, tly_node_location(definition), TLY_E_NOT_SUPPORTED,
                       "a window made from another window is not supported");
  resolver->scope->clause = TLY_CLAUSE_WINDOW;
  TLY_TRY(tly_resolve_list(resolver, definition, "partitionClause", &window->partition, &window->partition_count));
  for (uint32_t i = 0; i < window->partition_count; i++) {
    TLY_TRY(tly_coerce_unknown_to_text(resolver, &window->partition[i]));
    if (window->partition[i]->type.id == TLY_TYPE_INTERVAL)
      return TLY_FAIL_AT(resolver, tly_expr_location(window->partition[i]), TLY_E_NOT_SUPPORTED,
                         "an interval in PARTITION BY is not supported");
  }
  TLY_TRY(tly_resolve_order_by(resolver, definition, "orderClause", &window->order, &window->order_count));
  return resolve_frame(resolver, definition, window);
}

/* OVER w: the definition in the WINDOW clause. */
static enum tly_status find_definition(struct tly_resolver *resolver, struct tly_node over,
                                       struct tly_node *definition) {
  const char *name = tly_node_text(over, "name");
  *definition = over;
  if (name == NULL)
    return TLY_OK;
  struct tly_node select = resolver->scope->select;
  for (size_t i = 0; i < tly_node_count(select, "windowClause"); i++) {
    *definition = tly_node_item(select, "windowClause", i);
    if (strcmp(tly_node_text(*definition, "name"), name) == 0)
      return TLY_OK;
  }
  return TLY_FAIL_AT(resolver, tly_node_location(over), TLY_E_UNDEFINED_OBJECT, "window \"%s\" does not exist", name);
}

/* Also a window that no call uses must be one. */
enum tly_status tly_resolve_window_clause(struct tly_resolver *resolver, struct tly_node select) {
  size_t count = tly_node_count(select, "windowClause");
  for (size_t i = 0; i < count; i++) {
    struct tly_node definition = tly_node_item(select, "windowClause", i);
    struct tly_window unused = {.is_aggregate = false};
    for (size_t j = 0; j < i; j++)
      if (strcmp(tly_node_text(tly_node_item(select, "windowClause", j), "name"), tly_node_text(definition, "name")) ==
          0)
        return TLY_FAIL_AT(resolver, tly_node_location(definition), TLY_E_WINDOWING, "window \"%s\" is already defined",
                           tly_node_text(definition, "name"));
    TLY_TRY(resolve_definition(resolver, definition, &unused));
  }
  return TLY_OK;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

static enum tly_status resolve_aggregate_call(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                              struct tly_window *window) {
  window->is_aggregate = true;
  TLY_TRY(tly_resolve_aggregate_parts(resolver, node, name, &window->aggregate));
  if (tly_node_flag(node, "agg_distinct"))
    return TLY_FAIL_AT(resolver, tly_node_location(node), TLY_E_NOT_SUPPORTED,
                       "DISTINCT is not implemented for window functions");
  return TLY_OK;
}

/* lag(x, offset, default): x and default are of one type. */
static enum tly_status resolve_any_arguments(struct tly_resolver *resolver, struct tly_window *window,
                                             struct tly_type *type) {
  struct tly_expr **arguments = window->arguments;
  struct tly_expr *values[2] = {arguments[0], window->argument_count == 3 ? arguments[2] : arguments[0]};
  uint32_t count = window->argument_count == 3 ? 2 : 1;
  enum tly_type_id target;
  TLY_TRY(tly_coerce_common_type(resolver, values, count, "lag or lead", &target));
  TLY_TRY(tly_coerce_all(resolver, values, count, target, "lag or lead", type));
  arguments[0] = values[0];
  if (count == 2)
    arguments[2] = values[1];
  return TLY_OK;
}

static enum tly_status resolve_function_call(struct tly_resolver *resolver, struct tly_node node,
                                             const struct window_row *row, struct tly_window *window,
                                             struct tly_type *type) {
  uint32_t location = tly_node_location(node);
  TLY_TRY(tly_resolver_expect(resolver, node, "funcname args over funcformat"));
  TLY_TRY(tly_resolve_list(resolver, node, "args", &window->arguments, &window->argument_count));
  window->function = row->function;
  if (window->argument_count < row->least || window->argument_count > row->most)
    return tly_resolve_no_function(resolver, row->name, window->arguments, window->argument_count, false, location);
  *type = TLY_TYPE_OF(row->result);
  if (row->result == ANY_TYPE)
    TLY_TRY(resolve_any_arguments(resolver, window, type));
  if (type->id == TLY_TYPE_INTERVAL)
    return TLY_FAIL_AT(resolver, location, TLY_E_NOT_SUPPORTED, "%s over interval is not supported", row->name);
  uint32_t integer_at = row->result == ANY_TYPE ? 1 : 0;
  if (window->argument_count <= integer_at)
    return TLY_OK;
  if (!tly_coerce_can(window->arguments[integer_at]->type.id, TLY_TYPE_INTEGER, TLY_COERCION_IMPLICIT))
    return tly_resolve_no_function(resolver, row->name, window->arguments, window->argument_count, false, location);
  return tly_coerce_implicit(resolver, TLY_TYPE_INTEGER, &window->arguments[integer_at]);
}

struct raise_search {
  bool can_raise;
};

static void see_can_raise(struct tly_expr **node, void *argument) {
  struct raise_search *search = argument;
  search->can_raise |= (*node)->can_raise;
}

static struct tly_expr *window_node(struct tly_resolver *resolver, struct tly_window *window, struct tly_type type,
                                    uint32_t location) {
  struct tly_expr *node = tly_expr_new(resolver, TLY_EXPR_WINDOW, type, location);
  node->window = window;
  bool counts = window->is_aggregate ? window->aggregate.function == TLY_AGGREGATE_COUNT
                                     : window->function <= TLY_WINDOW_CUME_DIST;
  node->nullable = !counts;
  struct raise_search search = {!counts};
  tly_expr_each(node, see_can_raise, &search);
  node->can_raise = search.can_raise;
  return node;
}

static enum tly_status resolve_inside(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                      struct tly_window *window, struct tly_type *type) {
  struct tly_node definition;
  const struct window_row *row = row_of(name);
  if (row != NULL) {
    TLY_TRY(resolve_function_call(resolver, node, row, window, type));
  } else {
    TLY_TRY(resolve_aggregate_call(resolver, node, name, window));
    *type = window->aggregate.type;
  }
  TLY_TRY(find_definition(resolver, tly_node_struct(node, "over", "WindowDef"), &definition));
  return resolve_definition(resolver, definition, window);
}

enum tly_status tly_resolve_window(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                   struct tly_expr **out) {
  struct tly_scope *scope = resolver->scope;
  struct tly_window *window = TLY_ARENA_NEW(resolver->arena, struct tly_window);
  struct tly_type type = TLY_TYPE_OF(TLY_TYPE_UNKNOWN);
  enum tly_clause clause = scope->clause;
  TLY_TRY(check_place(resolver, node, name));
  scope->in_window = true;
  enum tly_status status = resolve_inside(resolver, node, name, window, &type);
  scope->in_window = false;
  scope->clause = clause;
  TLY_TRY(status);
  *out = window_node(resolver, window, type, tly_node_location(node));
  return TLY_OK;
}
