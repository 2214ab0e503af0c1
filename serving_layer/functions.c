/* The scalar functions of the plan's SQL: tly (the evaluator), tly_key (a numeric without its display scale), tly_flip
 * (with it turned round), tly_limit and tly_offset (PostgreSQL's rules for LIMIT and OFFSET), and tly_one (the
 * aggregate behind a scalar sub-select). None is marked deterministic: SQLite would compute calls of constants before
 * it knows that a row needs them. */
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "serving_layer/forms.h"
#include "serving_layer/runtime.h"

void tly_runtime_fail(struct tly_runtime *runtime, sqlite3_context *context, const struct tly_error *error) {
  if (runtime->error.status == TLY_OK)
    runtime->error = *error;
  sqlite3_result_error(context, "tally", -1);
}

/* ---- tly --------------------------------------------------------------------------------------------------------- */

static enum tly_status read_arguments(struct tly_runtime *runtime, const struct tly_call *call, sqlite3_value **values,
                                      struct tly_vector **out, struct tly_error *error) {
  struct tly_vector *columns = TLY_ARENA_ARRAY(&runtime->arena, struct tly_vector, call->argument_count + 1);
  for (uint32_t i = 0; i < call->argument_count; i++) {
    struct tly_value value;
    TLY_TRY(tly_form_read(values[i], call->types[i], &runtime->arena, &value, error));
    columns[i] = tly_vector_of_value(&value, 1, &runtime->arena);
  }
  *out = columns;
  return TLY_OK;
}

static void call_evaluator(sqlite3_context *context, int count, sqlite3_value **values) {
  struct tly_runtime *runtime = sqlite3_user_data(context);
  const struct tly_call *call = sqlite3_value_pointer(values[0], TLY_CALL_POINTER);
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_vector *columns = NULL;
  struct tly_value result;
  TLY_ASSERT(call != NULL && (uint32_t)count == call->argument_count + 1);
  tly_arena_reset(&runtime->arena);
  tly_evaluator_reset(runtime->evaluator);
  enum tly_status status = read_arguments(runtime, call, values + 1, &columns, &error);
  if (status == TLY_OK) {
    struct tly_evaluate_input input = {.row_count = 1, .columns = columns};
    status = tly_evaluate_value(runtime->evaluator, call->expression, &input, &result, &error);
  }
  if (status == TLY_OK)
    tly_form_result(context, &result);
  else
    tly_runtime_fail(runtime, context, &error);
}

/* ---- tly_key, tly_limit, tly_offset ------------------------------------------------------------------------------ */

static void numeric_key(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  int size = sqlite3_value_bytes(values[0]);
  if (sqlite3_value_type(values[0]) != SQLITE_BLOB || size <= TLY_FORM_SCALE_BYTES)
    sqlite3_result_value(context, values[0]); /* NULL */
  else
    sqlite3_result_blob(context, sqlite3_value_blob(values[0]), size - TLY_FORM_SCALE_BYTES, SQLITE_TRANSIENT);
}

/* The same numeric with its display scale turned round, so that of equal ones that with the least scale is the
 * greatest; twice is the numeric itself. */
static void flipped_scale(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  int size = sqlite3_value_bytes(values[0]);
  if (sqlite3_value_type(values[0]) != SQLITE_BLOB || size <= TLY_FORM_SCALE_BYTES) {
    sqlite3_result_value(context, values[0]); /* NULL */
    return;
  }
  struct tly_buffer bytes = {0};
  tly_buffer_append(&bytes, sqlite3_value_blob(values[0]), (size_t)size);
  for (size_t i = bytes.size - TLY_FORM_SCALE_BYTES; i < bytes.size; i++)
    bytes.data[i] = (uint8_t)~bytes.data[i];
  sqlite3_result_blob64(context, bytes.data, bytes.size, SQLITE_TRANSIENT);
  tly_buffer_free(&bytes);
}

static void count_of_rows(sqlite3_context *context, sqlite3_value *value, int64_t if_null, enum tly_status negative,
                          const char *name) {
  int64_t rows = sqlite3_value_type(value) == SQLITE_NULL ? if_null : sqlite3_value_int64(value);
  if (rows >= 0 || sqlite3_value_type(value) == SQLITE_NULL) {
    sqlite3_result_int64(context, rows);
    return;
  }
  struct tly_error error = TLY_ERROR_NONE;
  (void)TLY_FAIL(&error, negative, "%s must not be negative", name);
  tly_runtime_fail(sqlite3_user_data(context), context, &error);
}

static void limit_value(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  count_of_rows(context, values[0], -1, TLY_E_LIMIT_NEGATIVE, "LIMIT");
}

static void offset_value(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  count_of_rows(context, values[0], 0, TLY_E_OFFSET_NEGATIVE, "OFFSET");
}

/* ---- tly_one ----------------------------------------------------------------------------------------------------- */

struct one_state {
  bool has_row;
  sqlite3_value *value;
};

static void one_step(sqlite3_context *context, int count, sqlite3_value **values) {
  struct one_state *state = sqlite3_aggregate_context(context, sizeof *state);
  (void)count;
  if (state == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (state->has_row) {
    struct tly_error error = TLY_ERROR_NONE;
    (void)TLY_FAIL(&error, TLY_E_CARDINALITY, "more than one row returned by a subquery used as an expression");
    tly_runtime_fail(sqlite3_user_data(context), context, &error);
    return;
  }
  state->has_row = true;
  state->value = sqlite3_value_dup(values[0]);
  if (state->value == NULL)
    sqlite3_result_error_nomem(context);
}

static void one_final(sqlite3_context *context) {
  struct one_state *state = sqlite3_aggregate_context(context, 0);
  if (state == NULL || state->value == NULL)
    return; /* no row: NULL */
  sqlite3_result_value(context, state->value);
  sqlite3_value_free(state->value);
  state->value = NULL;
}

enum tly_status tly_functions_register(struct tly_runtime *runtime, struct tly_error *error) {
  sqlite3 *database = runtime->database;
  const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
  if (sqlite3_create_function_v2(database, "tly", -1, flags, runtime, call_evaluator, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_create_function_v2(database, "tly_key", 1, flags, runtime, numeric_key, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_create_function_v2(database, "tly_flip", 1, flags, runtime, flipped_scale, NULL, NULL, NULL) !=
          SQLITE_OK ||
      sqlite3_create_function_v2(database, "tly_limit", 1, flags, runtime, limit_value, NULL, NULL, NULL) !=
          SQLITE_OK ||
      sqlite3_create_function_v2(database, "tly_offset", 1, flags, runtime, offset_value, NULL, NULL, NULL) !=
          SQLITE_OK ||
      sqlite3_create_function_v2(database, "tly_one", 1, flags, runtime, NULL, one_step, one_final, NULL) != SQLITE_OK)
    return tly_sqlite_fail(database, error, "register functions");
  return TLY_OK;
}
