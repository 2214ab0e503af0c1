/* serving_layer/executor.h -- run a planned statement: SQLite over merged tables, one row after the other.
 *
 * Path of an answer: plan -> [executor] -> rows -> encode.
 * Thread: an executor belongs to one thread, and so does its source. */
#ifndef TLY_SERVING_EXECUTOR_H
#define TLY_SERVING_EXECUTOR_H

#include "serving_layer/plan.h"

/* Told of the answer. Values are borrowed for the call. A status other than TLY_OK ends the query with it. */
struct tly_row_sink {
  enum tly_status (*row)(void *context, const struct tly_value *values, uint32_t count, struct tly_error *error);
  void *context;
};

typedef struct tly_executor tly_executor;

/* The caller owns *out; `programs` and `source` are borrowed for its life. */
TLY_CHECK enum tly_status tly_executor_new(const struct tly_programs *programs, const struct tly_source *source,
                                           tly_executor **out, struct tly_error *error);
void tly_executor_free(tly_executor *executor);

/* Execute `plan`: take the state of all its views in one look, then give every row. On return plan->uses have the
 * states the answer rests on. Errors have PostgreSQL's SQLSTATE. */
TLY_CHECK enum tly_status tly_executor_run(tly_executor *executor, struct tly_plan *plan, struct tly_control *control,
                                           const struct tly_row_sink *sink, struct tly_error *error);

#endif
