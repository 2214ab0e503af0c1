/* tly_aggregate(number, x): sum, avg, var_* and stddev_* of a query, exact, for GROUP BY and for windows.
 *
 * The state is the exact sum (and sum of squares, where it is needed) as a decimal, or as an exact sum of doubles; so a
 * value can be taken out again (xInverse) without a trace, and the result does not depend on the order of the rows.
 *
 * INVARIANTS
 *   (1) sum, squares and count are those of exactly the rows in the frame.
 *   (2) A numeric's display scale in the result is the largest of the rows in the frame, as PostgreSQL shows it: where
 * the scale is not proven by the type, rows are counted by scale. */
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "serving_layer/forms.h"
#include "serving_layer/runtime.h"

enum { COMPACT_BYTES = 64 << 10 };

/* A decimal that grows in an arena; when that is large, the value moves to the other one. */
struct running_sum {
  struct tly_decimal value;
  struct tly_arena arenas[2];
  int current;
};

struct accumulator {
  bool is_open;
  const struct tly_aggregate_call *call;
  int64_t count;
  struct running_sum sum, squares;
  struct tly_exact_sum doubles;
  uint32_t *by_scale; /* rows by display scale; NULL: the type has a proof */
};

static bool has_squares(enum tly_aggregate_function function) {
  return function != TLY_AGGREGATE_SUM && function != TLY_AGGREGATE_AVG;
}

static void open_accumulator(struct accumulator *accumulator, const struct tly_aggregate_call *call) {
  accumulator->is_open = true;
  accumulator->call = call;
  for (int i = 0; i < 2; i++) {
    tly_arena_init(&accumulator->sum.arenas[i]);
    tly_arena_init(&accumulator->squares.arenas[i]);
  }
  tly_exact_sum_init(&accumulator->doubles);
  if (call->argument.id == TLY_TYPE_NUMERIC && call->argument.precision == 0)
    accumulator->by_scale = tly_calloc(TLY_DECIMAL_DIGITS_MAX + 1, sizeof *accumulator->by_scale);
}

static void close_accumulator(struct accumulator *accumulator) {
  if (!accumulator->is_open)
    return;
  for (int i = 0; i < 2; i++) {
    tly_arena_free(&accumulator->sum.arenas[i]);
    tly_arena_free(&accumulator->squares.arenas[i]);
  }
  tly_exact_sum_free(&accumulator->doubles);
  tly_free(accumulator->by_scale);
  accumulator->is_open = false;
}

static enum tly_status add_to(struct running_sum *sum, struct tly_decimal value, struct tly_error *error) {
  TLY_TRY(tly_decimal_add(sum->value, value, &sum->arenas[sum->current], &sum->value, error));
  if (sum->arenas[sum->current].allocated_bytes < COMPACT_BYTES)
    return TLY_OK;
  int other = 1 - sum->current;
  int32_t limbs = sum->value.limb_count < 0 ? -sum->value.limb_count : sum->value.limb_count;
  if (limbs > 2)
    sum->value.limbs = (void *)tly_arena_copy(&sum->arenas[other], sum->value.limbs, (size_t)limbs * sizeof(uint64_t));
  tly_arena_free(&sum->arenas[sum->current]);
  tly_arena_init(&sum->arenas[sum->current]);
  sum->current = other;
  return TLY_OK;
}

/* Add (sign 1) or take out (sign -1) one value. */
static enum tly_status accumulate(struct accumulator *accumulator, const struct tly_value *value, int sign,
                                  struct tly_arena *arena, struct tly_error *error) {
  accumulator->count += sign;
  TLY_ASSERT(accumulator->count >= 0);
  if (value->type.id == TLY_TYPE_DOUBLE) {
    tly_exact_sum_add(&accumulator->doubles, sign > 0 ? value->f64 : -value->f64);
    return TLY_OK;
  }
  struct tly_decimal decimal =
      value->type.id == TLY_TYPE_NUMERIC ? tly_value_decimal(value) : tly_decimal_of_i64(value->i64, 0);
  if (accumulator->by_scale != NULL)
    accumulator->by_scale[decimal.scale] += (uint32_t)sign;
  TLY_TRY(add_to(&accumulator->sum, sign > 0 ? decimal : tly_decimal_negate(decimal), error));
  if (!has_squares(accumulator->call->function))
    return TLY_OK;
  struct tly_decimal square;
  TLY_TRY(tly_decimal_multiply(decimal, decimal, arena, &square, error));
  return add_to(&accumulator->squares, sign > 0 ? square : tly_decimal_negate(square), error);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

/* The sums at the display scale of the rows that are in the frame now. */
static enum tly_status shown_sums(const struct accumulator *accumulator, struct tly_arena *arena,
                                  struct tly_decimal *sum, struct tly_decimal *squares, struct tly_error *error) {
  int32_t scale = accumulator->call->argument.scale;
  if (accumulator->by_scale != NULL) {
    scale = TLY_DECIMAL_DIGITS_MAX;
    while (scale > 0 && accumulator->by_scale[scale] == 0)
      scale--;
  }
  TLY_TRY(tly_decimal_round(accumulator->sum.value, scale, arena, sum, error));
  return tly_decimal_round(accumulator->squares.value, 2 * scale, arena, squares, error);
}

static enum tly_status sum_result(const struct accumulator *accumulator, struct tly_decimal sum, struct tly_value *out,
                                  struct tly_error *error) {
  if (accumulator->call->result.id != TLY_TYPE_BIGINT) {
    *out = tly_value_of_decimal(out->type, sum);
    return TLY_OK;
  }
  return tly_decimal_to_i64(sum, &out->i64, error);
}

static enum tly_status double_result(const struct accumulator *accumulator, struct tly_value *out,
                                     struct tly_error *error) {
  if (accumulator->call->function == TLY_AGGREGATE_SUM)
    return tly_exact_sum_result(&accumulator->doubles, &out->f64, error);
  TLY_ASSERT(accumulator->call->function == TLY_AGGREGATE_AVG);
  return tly_exact_sum_average(&accumulator->doubles, accumulator->count, &out->f64, error);
}

static enum tly_status statistic_result(const struct accumulator *accumulator, struct tly_decimal sum,
                                        struct tly_decimal squares, struct tly_arena *arena, struct tly_value *out,
                                        struct tly_error *error) {
  struct tly_decimal result;
  enum tly_variance kind;
  int64_t count = accumulator->count;
  switch (accumulator->call->function) {
  case TLY_AGGREGATE_AVG:
    TLY_TRY(tly_decimal_average(sum, count, arena, &result, error));
    *out = tly_value_of_decimal(out->type, result);
    return TLY_OK;
  case TLY_AGGREGATE_VAR_SAMP: kind = TLY_VAR_SAMP; break;
  case TLY_AGGREGATE_VAR_POP: kind = TLY_VAR_POP; break;
  case TLY_AGGREGATE_STDDEV_SAMP: kind = TLY_STDDEV_SAMP; break;
  case TLY_AGGREGATE_STDDEV_POP: kind = TLY_STDDEV_POP; break;
  default: TLY_UNREACHABLE();
  }
  if (count < 2 && (kind == TLY_VAR_SAMP || kind == TLY_STDDEV_SAMP)) {
    out->is_null = true;
    return TLY_OK;
  }
  TLY_TRY(tly_decimal_variance(kind, sum, squares, count, arena, &result, error));
  *out = tly_value_of_decimal(out->type, result);
  return TLY_OK;
}

static enum tly_status result_of(const struct accumulator *accumulator, struct tly_arena *arena, struct tly_value *out,
                                 struct tly_error *error) {
  struct tly_decimal sum, squares;
  *out = tly_value_null(accumulator->call->result);
  if (accumulator->count == 0)
    return TLY_OK;
  out->is_null = false;
  if (accumulator->call->argument.id == TLY_TYPE_DOUBLE)
    return double_result(accumulator, out, error);
  TLY_TRY(shown_sums(accumulator, arena, &sum, &squares, error));
  if (accumulator->call->function == TLY_AGGREGATE_SUM)
    return sum_result(accumulator, sum, out, error);
  return statistic_result(accumulator, sum, squares, arena, out, error);
}

/* ---- SQLite's callbacks ------------------------------------------------------------------------------------------ */

static void step(sqlite3_context *context, sqlite3_value **values, int sign) {
  struct tly_runtime *runtime = sqlite3_user_data(context);
  struct accumulator *accumulator = sqlite3_aggregate_context(context, sizeof *accumulator);
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_value value;
  if (accumulator == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (!accumulator->is_open)
    open_accumulator(accumulator, &runtime->plan->aggregates[sqlite3_value_int(values[0])]);
  if (sqlite3_value_type(values[1]) == SQLITE_NULL)
    return;
  tly_arena_reset(&runtime->arena);
  enum tly_status status = tly_form_read(values[1], accumulator->call->argument, &runtime->arena, &value, &error);
  if (status == TLY_OK)
    status = accumulate(accumulator, &value, sign, &runtime->arena, &error);
  if (status != TLY_OK)
    tly_runtime_fail(runtime, context, &error);
}

static void step_in(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  step(context, values, 1);
}

static void step_out(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  step(context, values, -1);
}

static void give_value(sqlite3_context *context) {
  struct tly_runtime *runtime = sqlite3_user_data(context);
  struct accumulator *accumulator = sqlite3_aggregate_context(context, 0);
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_value value;
  if (accumulator == NULL || !accumulator->is_open)
    return; /* no row: NULL */
  tly_arena_reset(&runtime->arena);
  if (result_of(accumulator, &runtime->arena, &value, &error) == TLY_OK)
    tly_form_result(context, &value);
  else
    tly_runtime_fail(runtime, context, &error);
}

static void give_final(sqlite3_context *context) {
  struct tly_runtime *runtime = sqlite3_user_data(context);
  struct accumulator *accumulator = sqlite3_aggregate_context(context, 0);
  if (runtime->error.status == TLY_OK) /* else SQLite only wants the state freed */
    give_value(context);
  if (accumulator != NULL)
    close_accumulator(accumulator);
}

enum tly_status tly_aggregate_register(struct tly_runtime *runtime, struct tly_error *error) {
  if (sqlite3_create_window_function(runtime->database, "tly_aggregate", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, runtime,
                                     step_in, give_final, give_value, step_out, NULL) != SQLITE_OK)
    return tly_sqlite_fail(runtime->database, error, "register aggregates");
  return TLY_OK;
}
