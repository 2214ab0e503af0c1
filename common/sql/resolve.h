/* common/sql/resolve.h -- inside the front end: what the files that turn a parse tree into a typed tree share.
 *
 * Path of an event: node -> [resolve] -> typed tree. Only common/sql includes this header. The files, in the order a
 * statement meets them: resolve_query, resolve_from, resolve_column, resolve_expression, resolve_operator,
 * resolve_call, resolve_aggregate, resolve_window, overload, coerce, proof, grouping, definitions, view_definition,
 * canonical. Thread: a resolver belongs to one thread, on a large stack (parse.h): all of this recurses over the tree.
 */
#ifndef TLY_SQL_RESOLVE_H
#define TLY_SQL_RESOLVE_H

#include "common/base/arena.h"
#include "common/base/assert.h"
#include "common/base/error.h"
#include "common/base/limits.h"
#include "common/sql/node.h"
#include "common/sql/project.h"
#include "common/sql/typed_tree.h"

/* Where an expression stands: decides what is allowed in it, and the words when it is not. */
enum tly_clause {
  TLY_CLAUSE_TARGET,
  TLY_CLAUSE_FROM,
  TLY_CLAUSE_ON,
  TLY_CLAUSE_WHERE,
  TLY_CLAUSE_GROUP,
  TLY_CLAUSE_HAVING,
  TLY_CLAUSE_ORDER,
  TLY_CLAUSE_LIMIT,
  TLY_CLAUSE_OFFSET,
  TLY_CLAUSE_FILTER,
  TLY_CLAUSE_WINDOW,
  TLY_CLAUSE_FRAME
};

/* What column names are looked up in: one FROM item. */
struct tly_relation {
  const char *alias;
  const char *name; /* of the view or stream, when the alias hides it; else NULL */
  struct tly_result_column *columns;
  uint32_t column_count;
  uint32_t starred_count; /* those that * stands for: the first ones */
  bool *merged;           /* columns that a USING to the left of it stands for: found by alias only */
};

/* What a WITH query costs at each use of it (the limits are on the expanded statement). */
struct tly_cost {
  uint32_t nodes, from_items;
};

/* One SELECT while it is resolved. */
struct tly_scope {
  struct tly_scope *outer;
  struct tly_relation *relations;
  uint32_t relation_count, relation_capacity;
  uint32_t visible_from; /* ON sees only the relations of its own join */
  struct tly_query *query;
  struct tly_cost cost;       /* of what stands below it: FROM items, sub-selects */
  struct tly_cost *cte_costs; /* one a WITH query of `query` */
  struct tly_node select;     /* for its WINDOW clause */
  enum tly_clause clause;
  bool in_aggregate, in_window;
  bool has_aggregates;
};

/* A place where a parameter stands. Its type may be known only at the end of the statement. */
struct tly_parameter_use {
  struct tly_expr *node;
  struct tly_parameter_use *next;
};

struct tly_resolver {
  struct tly_arena *arena;
  const struct tly_project *project;
  const char *sql; /* what locations count bytes of */
  size_t sql_size;
  struct tly_error *error;
  uint32_t error_location; /* bytes; TLY_LOCATION_NONE: nowhere */
  bool is_view;            /* a definition: no parameters, sub-selects, windows, now() */
  struct tly_scope *scope;
  struct tly_type parameters[TLY_SQL_PARAMETERS_MAX];
  struct tly_parameter_use *parameter_uses;
  uint32_t parameter_count;
};

/* Note where an error stands; returns `status`. An error that has a place already keeps it. */
static inline enum tly_status tly_resolver_place(struct tly_resolver *resolver, uint32_t location,
                                                 enum tly_status status) {
  TLY_ASSERT(status != TLY_OK);
  if (resolver->error_location == TLY_LOCATION_NONE)
    resolver->error_location = location;
  return status;
}
#define TLY_FAIL_AT(resolver, location, status, ...)                                                                   \
  tly_resolver_place((resolver), (location), TLY_FAIL((resolver)->error, (status), __VA_ARGS__))

/* Refuse by name (0A000) any member of `node` that is not among the space-separated `known` ones: what is written and
 * not understood is never skipped. */
TLY_CHECK enum tly_status tly_resolver_expect(struct tly_resolver *resolver, struct tly_node node, const char *known);

/* ---- expressions: make ------------------------------------------------------------------------------------------- */

/* A bare node; nullable and can_raise are false. */
struct tly_expr *tly_expr_new(struct tly_resolver *resolver, enum tly_expr_kind kind, struct tly_type type,
                              uint32_t location);
/* Give `expression` these arguments (borrowed) and derive nullable and can_raise from them: any. */
void tly_expr_set_arguments(struct tly_expr *expression, struct tly_expr **arguments, uint32_t count);
/* The same, copying a C array into the arena. */
void tly_expr_copy_arguments(struct tly_resolver *resolver, struct tly_expr *expression,
                             struct tly_expr *const *arguments, uint32_t count);
/* A kernel over arguments that already have its types: proof of the result's type, nullable and can_raise are derived
 * (proof.c). `type` gives the id, and for the kernels numeric and varchar the typmod. */
struct tly_expr *tly_expr_call(struct tly_resolver *resolver, enum tly_kernel kernel, struct tly_type type,
                               uint32_t location, struct tly_expr *const *arguments, uint32_t count);
struct tly_expr *tly_expr_constant(struct tly_resolver *resolver, struct tly_value value, uint32_t location);
struct tly_expr *tly_expr_and(struct tly_resolver *resolver, enum tly_expr_kind and_or, struct tly_expr *left,
                              struct tly_expr *right, uint32_t location);
/* As exprLocation: the leftmost place of a call, its own place for anything else. */
uint32_t tly_expr_location(const struct tly_expr *expression);
/* A literal or parameter without a type yet? */
static inline bool tly_expr_is_unknown(const struct tly_expr *expression) {
  return expression->type.id == TLY_TYPE_UNKNOWN;
}
static inline bool tly_expr_is_constant(const struct tly_expr *expression) {
  return expression->kind == TLY_EXPR_CONSTANT;
}
/* The argument of a call that names a time zone, or NULL. */
const struct tly_expr *tly_expr_zone(const struct tly_expr *call);
/* Call visit on every direct sub-expression, those of aggregates and windows included (not queries). */
void tly_expr_each(struct tly_expr *expression, void (*visit)(struct tly_expr **child, void *argument), void *argument);
/* Nodes of the tree (a shared node counts at each place), at most `limit` + 1. */
uint32_t tly_expr_count(const struct tly_expr *expression, uint32_t limit);

/* ---- proof.c ----------------------------------------------------------------------------------------------------- */

/* The type of kernel(arguments), numeric precision and scale proven where that is certain. */
struct tly_type tly_proof_type(enum tly_kernel kernel, struct tly_type type, struct tly_expr *const *arguments,
                               uint32_t count);
/* Can the kernel itself raise over these arguments? (Errors of the arguments are another matter.) */
bool tly_proof_can_raise(enum tly_kernel kernel, struct tly_type type, struct tly_expr *const *arguments,
                         uint32_t count);
/* What date_trunc or extract says to a constant unit or field; other kernels and other arguments: TLY_OK. */
enum tly_status tly_proof_check_unit(enum tly_kernel kernel, const struct tly_expr *unit, struct tly_error *error);
/* The narrowest proof that holds for a constant. */
struct tly_type tly_proof_of_decimal(struct tly_decimal value);
/* A proof that holds for values of both: same scale, the larger precision; else none. */
struct tly_type tly_proof_union(struct tly_type a, struct tly_type b);

/* ---- overload.c -------------------------------------------------------------------------------------------------- */

/* PostgreSQL's choice among functions of one name (manual, 10.2 and 10.3). `types` may hold TLY_TYPE_UNKNOWN. `row` is
 * the index in the table, or SIZE_MAX; *is_ambiguous tells which. */
size_t tly_overload_function(const char *name, const enum tly_type_id *types, uint32_t count, bool *is_ambiguous);
/* `left` TLY_TYPE_COUNT: a prefix operator. */
size_t tly_overload_operator(const char *name, enum tly_type_id left, enum tly_type_id right, bool *is_ambiguous);
size_t tly_overload_aggregate(const char *name, enum tly_type_id argument, bool *is_ambiguous);
bool tly_overload_function_exists(const char *name);
bool tly_overload_operator_exists(const char *name);
bool tly_overload_aggregate_exists(const char *name);

/* ---- coerce.c ---------------------------------------------------------------------------------------------------- */

enum tly_coercion { TLY_COERCION_IMPLICIT, TLY_COERCION_ASSIGNMENT, TLY_COERCION_EXPLICIT };

bool tly_coerce_can(enum tly_type_id source, enum tly_type_id target, enum tly_coercion context);
/* B, N, S, D, T, U of pg_type.typcategory, X for unknown; and typispreferred. */
char tly_type_category(enum tly_type_id type);
bool tly_type_is_preferred(enum tly_type_id type);
/* Make *expression one of type `target`, as an implicit conversion; it must be possible (tly_coerce_can). Literals are
 * read by the type's input function (22P02 and the like at their place), parameters get the type. */
TLY_CHECK enum tly_status tly_coerce_implicit(struct tly_resolver *resolver, enum tly_type_id target,
                                              struct tly_expr **expression);
/* CAST(expression AS target), with its typmod; 42846 when there is no such cast. */
TLY_CHECK enum tly_status tly_coerce_cast(struct tly_resolver *resolver, struct tly_type target, bool has_typmod,
                                          uint32_t location, struct tly_expr **expression);
/* "argument of WHERE must be type boolean, not type integer" */
TLY_CHECK enum tly_status tly_coerce_boolean(struct tly_resolver *resolver, const char *where,
                                             struct tly_expr **expression);
/* PostgreSQL's common type of `count` expressions (manual, 10.5); `what` is "CASE", "COALESCE", ... */
TLY_CHECK enum tly_status tly_coerce_common_type(struct tly_resolver *resolver, struct tly_expr *const *expressions,
                                                 uint32_t count, const char *what, enum tly_type_id *out);
/* Make all of them that type; *type gets the proof that holds for all, and every one has exactly it. */
TLY_CHECK enum tly_status tly_coerce_all(struct tly_resolver *resolver, struct tly_expr **expressions, uint32_t count,
                                         enum tly_type_id target, const char *what, struct tly_type *type);
/* What has no type at the end of a SELECT list is text. */
TLY_CHECK enum tly_status tly_coerce_unknown_to_text(struct tly_resolver *resolver, struct tly_expr **expression);
/* The same value under exactly `type` (text under varchar, a numeric whose proof is widened or dropped). */
struct tly_expr *tly_coerce_relabel(struct tly_resolver *resolver, struct tly_type type, struct tly_expr *expression);
/* The cast named by a type, as PostgreSQL sees date(x): TLY_TYPE_UNKNOWN when `name` names no type. */
enum tly_type_id tly_type_of_function_name(const char *name);

/* ---- type_name.c ------------------------------------------------------------------------------------------------- */

/* A TypeName node; *has_typmod when it limits values: numeric(p,s), varchar(n). */
TLY_CHECK enum tly_status tly_type_of_node(struct tly_resolver *resolver, struct tly_node type_name,
                                           struct tly_type *type, bool *has_typmod);

/* ---- resolve_*.c ------------------------------------------------------------------------------------------------- */

TLY_CHECK enum tly_status tly_resolve_expression(struct tly_resolver *resolver, struct tly_node node,
                                                 struct tly_expr **out);
/* A condition of `what` ("WHERE"), boolean. */
TLY_CHECK enum tly_status tly_resolve_condition(struct tly_resolver *resolver, enum tly_clause clause,
                                                struct tly_node node, const char *what, struct tly_expr **out);
TLY_CHECK enum tly_status tly_resolve_list(struct tly_resolver *resolver, struct tly_node node, const char *member,
                                           struct tly_expr ***out, uint32_t *count);
TLY_CHECK enum tly_status tly_resolve_operator_node(struct tly_resolver *resolver, struct tly_node node,
                                                    struct tly_expr **out);
/* left name right (left NULL: prefix), arguments coerced to the operator's types. */
TLY_CHECK enum tly_status tly_resolve_operator(struct tly_resolver *resolver, const char *name, struct tly_expr *left,
                                               struct tly_expr *right, uint32_t location, struct tly_expr **out);
/* Where only the presence of a value matters (IS NULL, count), an interval x becomes x = x, which is NULL exactly where
 * x is: no store and no row of SQLite holds an interval. */
TLY_CHECK enum tly_status tly_resolve_presence(struct tly_resolver *resolver, struct tly_expr **expression);
TLY_CHECK enum tly_status tly_resolve_call(struct tly_resolver *resolver, struct tly_node node, struct tly_expr **out);
TLY_CHECK enum tly_status tly_resolve_aggregate(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                                struct tly_expr **out);
/* What stands inside an aggregate call, wherever the call stands. */
TLY_CHECK enum tly_status tly_resolve_aggregate_parts(struct tly_resolver *resolver, struct tly_node node,
                                                      const char *name, struct tly_aggregate *aggregate);
TLY_CHECK enum tly_status tly_resolve_window(struct tly_resolver *resolver, struct tly_node node, const char *name,
                                             struct tly_expr **out);
/* The definitions of a SELECT's WINDOW clause, each of which must be right, used or not. */
TLY_CHECK enum tly_status tly_resolve_window_clause(struct tly_resolver *resolver, struct tly_node select);
/* "function foo(integer) does not exist" and its like, with a hint. */
enum tly_status tly_resolve_no_function(struct tly_resolver *resolver, const char *name,
                                        struct tly_expr *const *arguments, uint32_t count, bool is_ambiguous,
                                        uint32_t location);
TLY_CHECK enum tly_status tly_resolve_column(struct tly_resolver *resolver, struct tly_node node,
                                             struct tly_expr **out);
/* Does a bare name stand for a column of this level's FROM items? (GROUP BY asks.) */
bool tly_resolve_is_column(const struct tly_resolver *resolver, const char *name);
TLY_CHECK enum tly_status tly_resolve_sublink(struct tly_resolver *resolver, struct tly_node node,
                                              struct tly_expr **out);
/* The name PostgreSQL gives to a result column (FigureColname). */
const char *tly_resolve_target_name(struct tly_node target);
/* Is it one a window function's name? */
bool tly_resolve_is_window_function(const char *name);

/* The targets of a SELECT, `*` expanded. */
struct tly_target {
  const char *name;
  struct tly_expr *expression;
  struct tly_node node; /* its expression's; none for columns of a `*` */
};
struct tly_target_list {
  struct tly_target *items;
  uint32_t count, capacity;
};
TLY_CHECK enum tly_status tly_resolve_target(struct tly_resolver *resolver, struct tly_node target,
                                             struct tly_target_list *list);
/* One item of GROUP BY: ordinal, input column, output alias or expression, in PostgreSQL's order of trial. */
TLY_CHECK enum tly_status tly_resolve_group_item(struct tly_resolver *resolver, struct tly_node node,
                                                 const struct tly_target_list *targets, struct tly_expr **out);
/* The same for ORDER BY, where the alias wins. *target is the number of the target it is, or UINT32_MAX. */
TLY_CHECK enum tly_status tly_resolve_order_item(struct tly_resolver *resolver, struct tly_node sort_by,
                                                 const struct tly_target_list *targets, struct tly_order_item *out,
                                                 uint32_t *target);
TLY_CHECK enum tly_status tly_resolve_query(struct tly_resolver *resolver, struct tly_node select,
                                            struct tly_query **out, struct tly_cost *cost);
TLY_CHECK enum tly_status tly_resolve_from(struct tly_resolver *resolver, struct tly_node select);
TLY_CHECK enum tly_status tly_resolve_with(struct tly_resolver *resolver, struct tly_node select);
/* LIMIT, OFFSET and the offsets of window frames: bigint without columns. */
TLY_CHECK enum tly_status tly_resolve_row_count(struct tly_resolver *resolver, struct tly_node node,
                                                enum tly_clause clause, const char *what, struct tly_expr **out);
/* Make a result column of a finished query that type, in every member of a UNION ALL. */
TLY_CHECK enum tly_status tly_resolve_convert_column(struct tly_resolver *resolver, struct tly_query *query,
                                                     uint32_t number, enum tly_type_id type);
void tly_scope_add_relation(struct tly_resolver *resolver, const char *alias, const char *name,
                            struct tly_result_column *columns, uint32_t column_count);
TLY_CHECK enum tly_status tly_resolve_order_by(struct tly_resolver *resolver, struct tly_node node, const char *member,
                                               struct tly_order_item **out, uint32_t *count);

/* ---- query_walk.c ------------------------------------------------------------------------------------------------ */

typedef void tly_query_visit(struct tly_expr **expression, uint32_t levels, void *argument);
/* Every expression that stands directly in a query (not what is below it), with `levels` handed through. */
void tly_query_each_own(struct tly_query *query, tly_query_visit *visit, uint32_t levels, void *argument);
/* The same for the queries below it too (WITH, FROM, members), each level down with levels + 1. Sub-selects inside
 * expressions are the visitor's to follow. */
void tly_query_each(struct tly_query *query, tly_query_visit *visit, uint32_t levels, void *argument);
/* Can reading this query raise? */
bool tly_query_can_raise(struct tly_query *query);
/* Sums that stop far above any limit. */
void tly_cost_add(struct tly_cost *cost, struct tly_cost more);

/* ---- grouping.c -------------------------------------------------------------------------------------------------- */

/* 42803 when `expression` uses a column of this level that is neither a group key nor inside an aggregate. */
TLY_CHECK enum tly_status tly_grouping_check(struct tly_resolver *resolver, struct tly_expr *const *keys,
                                             uint32_t key_count, struct tly_expr *expression);
/* For a view: the same, giving the expression over KEY and AGGREGATE nodes, aggregates numbered in `view`. */
TLY_CHECK enum tly_status tly_grouping_rewrite(struct tly_resolver *resolver, struct tly_view *view,
                                               struct tly_expr **expression);

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* Fill in the canonical text and the hash of a finished definition. */
void tly_canonical_stream(struct tly_resolver *resolver, struct tly_stream *stream);
void tly_canonical_view(struct tly_resolver *resolver, struct tly_view *view);

/* Keep the candidate nearest to `name` by edit distance, if it is near enough to be what was meant. Begin with best =
 * NULL. */
struct tly_suggestion {
  const char *best;
  uint32_t distance;
};
void tly_suggest(struct tly_suggestion *suggestion, const char *name, const char *candidate);

#endif
