/* Walking the expressions of queries, for limits, proofs and checks. */
#include "common/sql/resolve.h"

void tly_cost_add(struct tly_cost *cost, struct tly_cost more) {
  enum { ENOUGH = 1 << 20 };
  cost->nodes = cost->nodes + more.nodes > ENOUGH ? ENOUGH : cost->nodes + more.nodes;
  cost->from_items = cost->from_items + more.from_items > ENOUGH ? ENOUGH : cost->from_items + more.from_items;
}

static void visit_optional(struct tly_expr **expression, tly_query_visit *visit, uint32_t levels, void *argument) {
  if (*expression != NULL)
    visit(expression, levels, argument);
}

void tly_query_each_own(struct tly_query *query, tly_query_visit *visit, uint32_t levels, void *argument) {
  for (uint32_t i = 0; i < query->column_count && query->targets != NULL; i++)
    visit(&query->targets[i], levels, argument);
  for (uint32_t i = 0; i < query->from_count; i++)
    visit_optional(&query->from[i].on, visit, levels, argument);
  visit_optional(&query->where, visit, levels, argument);
  for (uint32_t i = 0; i < query->group_count; i++)
    visit(&query->group[i], levels, argument);
  visit_optional(&query->having, visit, levels, argument);
  for (uint32_t i = 0; i < query->order_count; i++)
    visit(&query->order[i].expression, levels, argument);
  visit_optional(&query->limit, visit, levels, argument);
  visit_optional(&query->offset, visit, levels, argument);
}

void tly_query_each(struct tly_query *query, tly_query_visit *visit, uint32_t levels, void *argument) {
  for (uint32_t i = 0; i < query->cte_count; i++)
    tly_query_each(query->ctes[i].query, visit, levels + 1, argument);
  for (uint32_t i = 0; i < query->from_count; i++)
    if (query->from[i].kind == TLY_FROM_QUERY)
      tly_query_each(query->from[i].query, visit, levels + 1, argument);
  for (uint32_t i = 0; i < query->member_count; i++)
    tly_query_each(query->members[i], visit, levels + 1, argument);
  tly_query_each_own(query, visit, levels, argument);
}

static void see_can_raise(struct tly_expr **expression, uint32_t levels, void *argument) {
  bool *can_raise = argument;
  (void)levels;
  *can_raise |= (*expression)->can_raise;
}

bool tly_query_can_raise(struct tly_query *query) {
  bool can_raise = false;
  tly_query_each(query, see_can_raise, 0, &can_raise);
  return can_raise;
}
