/* serving_layer/plan_internal.h -- what the plan_*.c files share.
 *
 * Thread: as plan.h. */
#ifndef TLY_SERVING_PLAN_INTERNAL_H
#define TLY_SERVING_PLAN_INTERNAL_H

#include "serving_layer/plan.h"

/* One query level while it is spelled. Its FROM items are f<number>_<item>, its result columns r<number>_<column>, and,
 * above its GROUP BY, the groups are g<number> with columns k<i> (keys) and a<i> (aggregates). */
struct tly_scope_plan {
  struct tly_scope_plan *outer;
  const struct tly_query *query;
  uint32_t number;
  uint32_t *item_numbers;       /* the scope number of a FROM item that is a query */
  uint32_t *cte_numbers;        /* the scope number of each WITH query */
  bool is_grouped;              /* expressions now stand above GROUP BY */
  struct tly_expr **aggregates; /* distinct aggregate calls of this level */
  uint32_t aggregate_count, aggregate_capacity;
};

struct tly_planner {
  struct tly_plan *plan;
  const struct tly_programs *programs;
  const struct tly_arguments *arguments;
  struct tly_scope_plan *scope;
  uint32_t scope_count;
  struct tly_error *error;
};

/* plan_expression.c: append the SQL of `expression`, as it stands in the planner's scope. */
TLY_CHECK enum tly_status tly_plan_expression(struct tly_planner *planner, const struct tly_expr *expression,
                                              struct tly_buffer *out);
/* The same in a form where equal values are equal bytes: tly_key() around numerics of unproven scale. */
TLY_CHECK enum tly_status tly_plan_comparable(struct tly_planner *planner, const struct tly_expr *expression,
                                              struct tly_buffer *out);
/* A condition: terms that cannot raise stay SQLite's, from the first that can on it is one call in written order. */
TLY_CHECK enum tly_status tly_plan_condition(struct tly_planner *planner, const struct tly_expr *condition,
                                             bool is_joined, struct tly_buffer *out);
/* An aggregate call, with its FILTER. */
TLY_CHECK enum tly_status tly_plan_aggregate(struct tly_planner *planner, const struct tly_aggregate *aggregate,
                                             struct tly_buffer *out);
TLY_CHECK enum tly_status tly_plan_window(struct tly_planner *planner, const struct tly_window *window,
                                          struct tly_buffer *out);
TLY_CHECK enum tly_status tly_plan_order_item(struct tly_planner *planner, const struct tly_order_item *item,
                                              struct tly_buffer *out);
/* Bind a value: appends ?n. */
void tly_plan_bind(struct tly_planner *planner, const struct tly_value *value, struct tly_buffer *out);
/* The value of an expression without columns; the error is the expression's. */
TLY_CHECK enum tly_status tly_plan_constant(struct tly_planner *planner, const struct tly_expr *expression,
                                            struct tly_value *out, struct tly_error *error);
/* No columns, aggregates, windows or queries below? */
bool tly_plan_is_constant(const struct tly_expr *expression);

/* plan_query.c: append a whole SELECT; *number is its scope's. */
TLY_CHECK enum tly_status tly_plan_query(struct tly_planner *planner, const struct tly_query *query, uint32_t *number,
                                         struct tly_buffer *out);

/* key_range.c: the key range that WHERE and ON leave of FROM item `item` of `query`, a view: into use->low and high. */
void tly_plan_key_range(struct tly_planner *planner, const struct tly_query *query, uint32_t item,
                        struct tly_view_use *use);

#endif
