/* date, timestamp, timestamptz and interval; sessions are UTC, so timestamp and timestamptz share everything but what
 * names another time zone.
 *
 * date_trunc to a constant unit of fixed length is the usual group key. There the unit is looked at once, and a row
 * costs a division by a constant the compiler knows. */
#include <string.h>

#include "common/engine/kernel.h"
#include "common/value/zone_folder.h"

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

/* --- date_trunc --------------------------------------------------------------------------------------------------- */

/* Events come nearly in order of time, so the rows of a strip are mostly all in the unit of the strip before: a
 * comparison instead of a division, and no branch a row. A strip in which one is not is divided row by row. */
enum { TRUNC_STRIP = 16 };

TLY_ALWAYS_INLINE bool are_within(const int64_t *values, uint32_t step, struct tly_rows rows, uint32_t first,
                                  uint64_t start, uint64_t unit) {
  uint32_t within = 0;
  for (uint32_t i = first; i < first + TRUNC_STRIP; i++)
    within += (uint64_t)values[tly_rows_at(rows, i) * step] - start < unit;
  return within == TRUNC_STRIP;
}

TLY_ALWAYS_INLINE void trunc_rows(const int64_t *values, uint32_t step, struct tly_rows rows, int64_t unit,
                                  int64_t *out) {
  int64_t start = floor_divide(values[tly_rows_at(rows, 0) * step], unit) * unit;
  for (uint32_t first = 0; first < rows.count; first += TRUNC_STRIP) {
    uint32_t count = rows.count - first < TRUNC_STRIP ? rows.count - first : TRUNC_STRIP;
    if (count == TRUNC_STRIP && are_within(values, step, rows, first, (uint64_t)start, (uint64_t)unit)) {
      for (uint32_t i = first; i < first + TRUNC_STRIP; i++)
        out[tly_rows_at(rows, i)] = start;
      continue;
    }
    for (uint32_t i = first; i < first + count; i++) {
      uint32_t row = tly_rows_at(rows, i);
      out[row] = start = floor_divide(values[row * step], unit) * unit;
    }
  }
}

TLY_ALWAYS_INLINE void trunc_fixed(const struct tly_kernel_call *call, int64_t unit) {
  const struct tly_vector *values = &call->arguments[1];
  const struct tly_rows all = {.list = NULL, .count = call->rows.count};
  if (call->rows.list == NULL && !values->is_constant)
    trunc_rows(values->i64, 1, all, unit, call->out->i64);
  else
    trunc_rows(values->i64, !values->is_constant, call->rows, unit, call->out->i64);
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

/* --- time zones --------------------------------------------------------------------------------------------------- */

/* The zone that an argument names, kept from row to row: names mostly stay the same, and a constant does. */
struct named_zone {
  struct tly_text name;
  enum tly_status status; /* of finding it */
  struct tly_error error;
  struct tly_zone_clock clock;
};

static bool find_zone(const struct tly_kernel_call *call, uint32_t argument, uint32_t row, struct named_zone *zone) {
  struct tly_text name = tly_argument_text(call, argument, row);
  const tly_time_zone *found;
  bool is_same = zone->name.data != NULL &&
                 (zone->name.data == name.data ? zone->name.size == name.size : tly_text_equal(zone->name, name));
  if (!is_same) {
    zone->name = name;
    zone->status = tly_time_zone_find(name, &found, &zone->error);
    if (zone->status == TLY_OK)
      zone->clock = tly_zone_clock_of(found);
  }
  settle(call, row, zone->status, &zone->error);
  return zone->status == TLY_OK;
}

TLY_ALWAYS_INLINE void convert_at_zone(const struct tly_kernel_call *call,
                                       int64_t (*convert)(struct tly_zone_clock *clock, int64_t time_us)) {
  struct named_zone zone = {.status = TLY_OK};
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    if (!find_zone(call, 0, row, &zone))
      continue;
    call->out->i64[row] = convert(&zone.clock, tly_argument_i64(call, 1, row));
    settle(call, row, tly_timestamp_check(call->out->i64[row], &error), &error);
  }
}

void tly_kernel_timestamptz_zone(const struct tly_kernel_call *call) {
  convert_at_zone(call, tly_zone_clock_wall);
}

void tly_kernel_timestamp_zone(const struct tly_kernel_call *call) {
  convert_at_zone(call, tly_zone_clock_instant);
}

/* An interval as a zone is an offset from UTC in whole seconds, east is positive. */
static enum tly_status at_offset(struct tly_interval offset, int sign, int64_t time_us, int64_t *out,
                                 struct tly_error *error) {
  if (offset.months != 0 || offset.days != 0) {
    struct tly_buffer text = {0};
    tly_interval_print(offset, &text);
    (void)TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "interval time zone \"%s\" must not include months or days",
                   tly_buffer_text(&text));
    tly_buffer_free(&text);
    return TLY_E_INVALID_PARAMETER;
  }
  struct tly_interval whole = {.microseconds = offset.microseconds / TLY_US_PER_SECOND * TLY_US_PER_SECOND};
  return tly_timestamp_add(time_us, whole, sign, out, error);
}

TLY_ALWAYS_INLINE void convert_at_offset(const struct tly_kernel_call *call, int sign) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    enum tly_status status = at_offset(tly_argument_interval(call, 0, row), sign, tly_argument_i64(call, 1, row),
                                       &call->out->i64[row], &error);
    settle(call, row, status, &error);
  }
}

void tly_kernel_timestamptz_izone(const struct tly_kernel_call *call) {
  convert_at_offset(call, 1);
}

void tly_kernel_timestamp_izone(const struct tly_kernel_call *call) {
  convert_at_offset(call, -1);
}

/* As PostgreSQL, finds the zone before it looks at the unit. */
static bool prepare_trunc(const struct tly_kernel_call *call, uint32_t row, struct named_zone *zone,
                          struct tly_zone_trunc *trunc) {
  struct tly_error error = TLY_ERROR_NONE;
  if (!find_zone(call, 2, row, zone))
    return false;
  struct tly_text unit = tly_argument_text(call, 0, row);
  enum tly_status status = tly_zone_trunc_prepare(unit.data, unit.size, zone->clock.zone, trunc, &error);
  settle(call, row, status, &error);
  return status == TLY_OK;
}

void tly_kernel_timestamptz_trunc_zone(const struct tly_kernel_call *call) {
  bool is_one = call->arguments[0].is_constant && call->arguments[2].is_constant, is_prepared = false;
  struct named_zone zone = {.status = TLY_OK};
  struct tly_zone_trunc trunc;
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    is_prepared = (is_one && is_prepared) || prepare_trunc(call, row, &zone, &trunc);
    if (!is_prepared)
      continue;
    enum tly_status status = tly_zone_trunc_at(&trunc, tly_argument_i64(call, 1, row), &call->out->i64[row], &error);
    settle(call, row, status, &error);
  }
}

/* --- date_bin, extract -------------------------------------------------------------------------------------------- */

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
