/* serving_layer/plan.h -- a typed statement as the SQLite statement that executes its relational part.
 *
 * Path of an answer: typed tree -> [plan] -> executor (SQLite over merged tables) -> encode.
 * Thread: a plan belongs to one thread; it is made for one execution (parameters and now() are known when it is made).
 */
#ifndef TLY_SERVING_PLAN_H
#define TLY_SERVING_PLAN_H

#include "common/base/limits.h"
#include "common/sql/project.h"
#include "serving_layer/control.h"
#include "serving_layer/stream_scan.h"
#include "serving_layer/view_scan.h"

struct tly_system_rows;

/* A project with the program of each of its views; immutable, shared by all threads. */
struct tly_programs {
  const struct tly_project *project;
  struct tly_view_program **programs; /* by number of the view in the project */
};

struct tly_programs *tly_programs_new(const struct tly_project *project);
void tly_programs_free(struct tly_programs *programs);
uint32_t tly_programs_index(const struct tly_programs *programs, const struct tly_view *view);

/* The values a statement is executed with. */
struct tly_arguments {
  const struct tly_value *parameters; /* as many as the statement has, of its types */
  int64_t now_us;
};

/* An expression that SQLite evaluates by tly(?k, a, b, ...): COLUMN node n of it is the n-th argument after the first.
 */
struct tly_call {
  const struct tly_expr *expression;
  const struct tly_type *types;
  uint32_t argument_count;
};

/* An aggregate that SQLite computes by tly_aggregate(number, x). */
struct tly_aggregate_call {
  enum tly_aggregate_function function;
  struct tly_type argument, result;
};

struct tly_binding {
  struct tly_value value;
  const struct tly_call *call; /* not NULL: a pointer to it is bound, not the value */
};

struct tly_plan {
  struct tly_arena arena; /* of everything below */
  const struct tly_statement *statement;
  struct tly_buffer sql;
  struct tly_binding *bindings; /* ?1, ?2, ... */
  uint32_t binding_count, binding_capacity;
  struct tly_aggregate_call *aggregates;
  uint32_t aggregate_count, aggregate_capacity;
  struct tly_view_use *uses; /* v<view>(<use>) in the SQL */
  uint32_t use_count, use_capacity;
  struct tly_stream_use streams[TLY_SQL_FROM_ITEMS_MAX]; /* e<stream> in the SQL, each once */
  uint32_t stream_count;
  bool uses_system[TLY_SYSTEM_RELATION_COUNT];                    /* s<relation> in the SQL */
  struct tly_system_rows *system_rows[TLY_SYSTEM_RELATION_COUNT]; /* of those, once the statement has begun */
};

/* On success the caller frees *out. `statement`, `programs` and `arguments` must outlive it. */
TLY_CHECK enum tly_status tly_plan_new(const struct tly_statement *statement, const struct tly_programs *programs,
                                       const struct tly_arguments *arguments, struct tly_plan **out,
                                       struct tly_error *error);
void tly_plan_free(struct tly_plan *plan);

/* "Can SQLite compare by itself": the operator's name if `kernel` is one of the six comparisons over operands that
 * tly_form_is_comparable accepts, with forms equal up to a numeric's scale; NULL if not. */
const char *tly_plan_comparison(enum tly_kernel kernel);

#endif
