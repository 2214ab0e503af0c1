/* date, timestamp, timestamptz and interval; sessions are UTC, so timestamp and timestamptz share everything.
 *
 * date_trunc to a constant unit of fixed length is the usual group key. There the unit is looked at once, and a row
 * costs a division by a constant the compiler knows. */
#include <string.h>

#include "common/engine/kernel.h"

#define DATE_RANGE      "date out of range"
#define TIMESTAMP_RANGE "date out of range for timestamp"

#define SAME(kernel, loop)                                                                                             \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    loop(call);                                                                                                        \
  }

/* Store an outcome of the value wing. */
static void settle(const struct tly_kernel_call *call, uint32_t row, enum tly_status status,
                   const struct tly_error *error) {
  if (status != TLY_OK)
    tly_evaluator_raise_error(call->evaluator, row, error);
}

/* --- dates -------------------------------------------------------------------------------------------------------- */

TLY_ALWAYS_INLINE void date_shift(const struct tly_kernel_call *call, int sign) {
  TLY_EACH_ROW (call->rows, row) {
    int64_t days = tly_argument_i64(call, 0, row) + sign * tly_argument_i64(call, 1, row); /* both are 32 bits wide */
    call->out->i64[row] = days;
    if (tly_date_check(days, NULL) != TLY_OK)
      tly_evaluator_raise(call->evaluator, row, TLY_E_DATETIME_OVERFLOW, DATE_RANGE);
  }
}

void tly_kernel_date_pli(const struct tly_kernel_call *call) {
  date_shift(call, 1);
}

void tly_kernel_date_mii(const struct tly_kernel_call *call) {
  date_shift(call, -1);
}

void tly_kernel_date_mi(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = tly_argument_i64(call, 0, row) - tly_argument_i64(call, 1, row);
}

/* Midnight of a date; 22008 beyond the range of timestamps. */
static enum tly_status midnight(int64_t days, int64_t *out, struct tly_error *error) {
  if (__builtin_mul_overflow(days, TLY_US_PER_DAY, out) || tly_timestamp_check(*out, NULL) != TLY_OK)
    return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, TIMESTAMP_RANGE);
  return TLY_OK;
}

static void date_to_timestamp(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    enum tly_status status = midnight(tly_argument_i64(call, 0, row), &call->out->i64[row], &error);
    settle(call, row, status, &error);
  }
}

SAME(date_timestamp, date_to_timestamp)
SAME(date_timestamptz, date_to_timestamp)

TLY_ALWAYS_INLINE int64_t floor_divide(int64_t value, int64_t divisor) {
  int64_t quotient = value / divisor;
  return quotient - (value % divisor < 0);
}

static void timestamp_to_date(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = floor_divide(tly_argument_i64(call, 0, row), TLY_US_PER_DAY);
}

SAME(timestamp_date, timestamp_to_date)
SAME(timestamptz_date, timestamp_to_date)

static void same_instant(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = tly_argument_i64(call, 0, row);
}

SAME(timestamp_timestamptz, same_instant)
SAME(timestamptz_timestamp, same_instant)

/* --- arithmetic with intervals ------------------------------------------------------------------------------------ */

TLY_ALWAYS_INLINE void timestamp_shift(const struct tly_kernel_call *call, int sign, bool from_date) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    int64_t start = tly_argument_i64(call, 0, row);
    enum tly_status status = from_date ? midnight(start, &start, &error) : TLY_OK;
    if (status == TLY_OK)
      status = tly_timestamp_add(start, tly_argument_interval(call, 1, row), sign, &call->out->i64[row], &error);
    settle(call, row, status, &error);
  }
}

#define SHIFT(kernel, sign, from_date)                                                                                 \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    timestamp_shift(call, sign, from_date);                                                                            \
  }
SHIFT(timestamp_pl_interval, 1, false)
SHIFT(timestamp_mi_interval, -1, false)
SHIFT(timestamptz_pl_interval, 1, false)
SHIFT(timestamptz_mi_interval, -1, false)
SHIFT(date_pl_interval, 1, true)
SHIFT(date_mi_interval, -1, true)

void tly_kernel_timestamp_mi(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    enum tly_status status = tly_timestamp_subtract(tly_argument_i64(call, 0, row), tly_argument_i64(call, 1, row),
                                                    &call->out->interval[row], &error);
    settle(call, row, status, &error);
  }
}

TLY_ALWAYS_INLINE void interval_shift(const struct tly_kernel_call *call, int sign) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    enum tly_status status = tly_interval_add(tly_argument_interval(call, 0, row), tly_argument_interval(call, 1, row),
                                              sign, &call->out->interval[row], &error);
    settle(call, row, status, &error);
  }
}

void tly_kernel_interval_pl(const struct tly_kernel_call *call) {
  interval_shift(call, 1);
}

void tly_kernel_interval_mi(const struct tly_kernel_call *call) {
  interval_shift(call, -1);
}

void tly_kernel_interval_um(const struct tly_kernel_call *call) {
  const struct tly_interval zero = {0};
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    enum tly_status status =
        tly_interval_add(zero, tly_argument_interval(call, 0, row), -1, &call->out->interval[row], &error);
    settle(call, row, status, &error);
  }
}

static void multiply_row(const struct tly_kernel_call *call, uint32_t row, struct tly_interval interval,
                         double factor) {
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_status status = tly_interval_multiply(interval, factor, &call->out->interval[row], &error);
  settle(call, row, status, &error);
}

void tly_kernel_interval_mul(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    multiply_row(call, row, tly_argument_interval(call, 0, row), tly_argument_f64(call, 1, row));
}

void tly_kernel_mul_d_interval(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    multiply_row(call, row, tly_argument_interval(call, 1, row), tly_argument_f64(call, 0, row));
}

void tly_kernel_interval_div(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    double divisor = tly_argument_f64(call, 1, row);
    if (divisor == 0.0) {
      tly_evaluator_raise(call->evaluator, row, TLY_E_DIVISION_BY_ZERO, "division by zero");
      continue;
    }
    enum tly_status status =
        tly_interval_divide(tly_argument_interval(call, 0, row), divisor, &call->out->interval[row], &error);
    settle(call, row, status, &error);
  }
}

/* --- date_trunc, date_bin, extract -------------------------------------------------------------------------------- */

/* Events come nearly in order of time, so a row is mostly in the unit of the row before: a comparison instead of a
 * division. Where that fails too often, every row is divided. */
TLY_ALWAYS_INLINE void trunc_fixed(const struct tly_kernel_call *call, int64_t unit_us) {
  enum { ROWS_PER_CHANGE_MIN = 16 };
  const uint64_t unit = (uint64_t)unit_us;
  int64_t *out = call->out->i64;
  int64_t start = floor_divide(tly_argument_i64(call, 1, tly_rows_at(call->rows, 0)), unit_us) * unit_us;
  uint32_t changes_left = call->rows.count / ROWS_PER_CHANGE_MIN + 1;
  TLY_EACH_ROW (call->rows, row) {
    int64_t value = tly_argument_i64(call, 1, row);
    if (changes_left == 0) {
      out[row] = floor_divide(value, unit_us) * unit_us;
      continue;
    }
    if ((uint64_t)value - (uint64_t)start >= unit) {
      start = floor_divide(value, unit_us) * unit_us;
      changes_left--;
    }
    out[row] = start;
  }
}

/* The common spellings; all others, and what is out of range, go row by row. */
static bool trunc_constant_unit(const struct tly_kernel_call *call) {
  if (!call->arguments[0].is_constant)
    return false;
  struct tly_text unit = tly_argument_text(call, 0, 0);
  if (tly_text_equal(unit, tly_text_of("second")))
    trunc_fixed(call, TLY_US_PER_SECOND);
  else if (tly_text_equal(unit, tly_text_of("minute")))
    trunc_fixed(call, 60 * TLY_US_PER_SECOND);
  else if (tly_text_equal(unit, tly_text_of("hour")))
    trunc_fixed(call, 3600 * TLY_US_PER_SECOND);
  else if (tly_text_equal(unit, tly_text_of("day")))
    trunc_fixed(call, TLY_US_PER_DAY);
  else
    return false;
  return true;
}

static void timestamp_trunc(const struct tly_kernel_call *call) {
  if (trunc_constant_unit(call))
    return;
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text unit = tly_argument_text(call, 0, row);
    enum tly_status status =
        tly_timestamp_trunc(unit.data, unit.size, tly_argument_i64(call, 1, row), &call->out->i64[row], &error);
    settle(call, row, status, &error);
  }
}

SAME(timestamp_trunc, timestamp_trunc)
SAME(timestamptz_trunc, timestamp_trunc)

static void timestamp_bin(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    enum tly_status status = tly_timestamp_bin(tly_argument_interval(call, 0, row), tly_argument_i64(call, 1, row),
                                               tly_argument_i64(call, 2, row), &call->out->i64[row], &error);
    settle(call, row, status, &error);
  }
}

SAME(timestamp_bin, timestamp_bin)
SAME(timestamptz_bin, timestamp_bin)

TLY_ALWAYS_INLINE void extract(const struct tly_kernel_call *call, enum tly_extract_source source) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text field = tly_argument_text(call, 0, row);
    struct tly_decimal result;
    if (tly_timestamp_extract(field.data, field.size, source, tly_argument_i64(call, 1, row), &result, &error) !=
        TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    else
      tly_vector_set_decimal(call->out, row, result);
  }
}

void tly_kernel_extract_date(const struct tly_kernel_call *call) {
  extract(call, TLY_EXTRACT_DATE);
}

void tly_kernel_extract_timestamp(const struct tly_kernel_call *call) {
  extract(call, TLY_EXTRACT_TIMESTAMP);
}

void tly_kernel_extract_timestamptz(const struct tly_kernel_call *call) {
  extract(call, TLY_EXTRACT_TIMESTAMPTZ);
}

void tly_kernel_extract_interval(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text field = tly_argument_text(call, 0, row);
    struct tly_decimal result;
    if (tly_interval_extract(field.data, field.size, tly_argument_interval(call, 1, row), &result, &error) != TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    else
      tly_vector_set_decimal(call->out, row, result);
  }
}
