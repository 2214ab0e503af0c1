/* common/engine/view_program.h -- a view as what is stored and folded: parts, each a sorted table of keys and states.
 *
 * Path of an event: event batch -> fold [by the view's program] -> groups -> blocks -> merge -> [finish] -> answer.
 *
 * Aggregates are split into *components*: primitive states that are commutative, associative merges with one canonical
 * form. Equal components are shared: sum(x), avg(x) and count(x) over the same x and FILTER are one COUNT and one SUM.
 *   COUNT      rows (with a non-NULL argument)            int64
 *   SUM        exact sum of integers or numerics          int128, or decimal where that may not hold
 *   SUM_SQUARES  the same of squares, for var and stddev
 *   EXACT_SUM  exact sum of doubles                       tly_exact_sum
 *   MIN, MAX   NULL until the first value                 the argument's form
 *   AND, OR    as MIN and MAX over booleans
 * count(DISTINCT x) is not a component but a *part* of its own: a sorted table of (group key, x) without states, merged
 * by union; its count is how many rows of it begin with the group's key. So part 0 holds the groups and part i > 0 the
 * i-th distinct set, and every store, merge, comparison and checksum treats all parts alike. Thread: immutable once
 * made. */
#ifndef TLY_ENGINE_VIEW_PROGRAM_H
#define TLY_ENGINE_VIEW_PROGRAM_H

#include "common/sql/typed_tree.h"

enum tly_component_kind {
  TLY_COMPONENT_COUNT,
  TLY_COMPONENT_SUM,
  TLY_COMPONENT_SUM_SQUARES,
  TLY_COMPONENT_EXACT_SUM,
  TLY_COMPONENT_MIN,
  TLY_COMPONENT_MAX
};

/* How a column of states lies in memory. */
enum tly_state_form {
  TLY_STATE_I64,     /* COUNT; MIN and MAX of I64 form */
  TLY_STATE_I128,    /* SUM, SUM_SQUARES where 2^63 events cannot overflow it; MIN and MAX of I128 form */
  TLY_STATE_F64,     /* MIN and MAX of double */
  TLY_STATE_DECIMAL, /* SUM, SUM_SQUARES of wide or unknown-scale numerics (display scale: the largest seen); MIN, MAX
                      */
  TLY_STATE_TEXT,    /* MIN and MAX of text */
  TLY_STATE_EXACT_SUM
};

struct tly_component {
  enum tly_component_kind kind;
  enum tly_state_form form;
  struct tly_expr *argument; /* NULL: count(*) */
  struct tly_expr *filter;   /* or NULL */
  struct tly_type type;      /* of the argument; of count: bigint */
  bool nullable;             /* MIN, MAX: the state may be "no value yet" */
};

/* How an aggregate of the view is finished from components. */
struct tly_aggregate_plan {
  const struct tly_aggregate *aggregate;
  int32_t count, sum, sum_squares, extreme; /* component numbers, or -1 */
  int32_t part;                             /* count(DISTINCT): its part; else 0 */
};

struct tly_part {
  struct tly_type *key_types; /* part 0: the group key; others: group key, then the distinct value */
  uint32_t key_count;
  struct tly_expr *distinct; /* parts > 0 */
  struct tly_expr *filter;
  uint32_t component_count; /* part 0: all; others 0 */
};

struct tly_view_program {
  struct tly_arena arena;
  const struct tly_view *view;
  struct tly_component *components;
  uint32_t component_count;
  struct tly_aggregate_plan *plans; /* one an aggregate of the view */
  struct tly_part *parts;
  uint32_t part_count; /* >= 1 */
  bool *column_used;   /* one a stream column: which columns folding reads */
};

/* Never fails: the front end has refused what has no program. The caller frees. `view` must outlive it. */
struct tly_view_program *tly_view_program_new(const struct tly_view *view);
void tly_view_program_free(struct tly_view_program *program);

#endif
