/* serving_layer/runtime.h -- inside the executor: what SQLite's callbacks (functions, aggregates, merged tables) share.
 *
 * An error born in a callback cannot pass through SQLite, which keeps a text only: it is kept here, and the callback
 * tells SQLite to stop. Thread: as executor.h. */
#ifndef TLY_SERVING_RUNTIME_H
#define TLY_SERVING_RUNTIME_H

#include <sqlite3.h>

#include "common/engine/evaluate.h"
#include "serving_layer/plan.h"
#include "serving_layer/system_rows.h"

#define TLY_CALL_POINTER "tly_call"

struct tly_runtime {
  sqlite3 *database;
  const struct tly_programs *programs;
  const struct tly_source *source;
  struct tly_plan *plan;       /* of the statement that runs, else NULL */
  struct tly_control *control; /* the same */
  struct tly_error error;      /* the first error of a callback; TLY_OK: none */
  tly_evaluator *evaluator;
  struct tly_arena arena; /* of one call */
  bool is_declaring;      /* a merged table is being declared: the authorizer lets it */
};

/* Keep the error and make the SQLite function fail. */
void tly_runtime_fail(struct tly_runtime *runtime, sqlite3_context *context, const struct tly_error *error);

/* functions.c, aggregate.c, merged_table.c, system_table.c, stream_table.c: register on runtime->database. */
TLY_CHECK enum tly_status tly_functions_register(struct tly_runtime *runtime, struct tly_error *error);
TLY_CHECK enum tly_status tly_aggregate_register(struct tly_runtime *runtime, struct tly_error *error);
TLY_CHECK enum tly_status tly_merged_table_register(struct tly_runtime *runtime, struct tly_error *error);
TLY_CHECK enum tly_status tly_system_table_register(struct tly_runtime *runtime, struct tly_error *error);
TLY_CHECK enum tly_status tly_stream_table_register(struct tly_runtime *runtime, struct tly_error *error);

#endif
