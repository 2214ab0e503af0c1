/* An interval keeps months, days and microseconds apart, since a month and a day have no fixed length. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/value/datetime_internal.h"

static enum tly_status interval_overflow(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "interval out of range");
}

/* --- print: IntervalStyle postgres ---------------------------------------------------------------------------------
 */

struct interval_print {
  struct tly_buffer *out;
  bool has_part, was_negative; /* the part before; a positive one behind a negative one shows its sign */
};

static void print_part(struct interval_print *print, int64_t value, const char *unit) {
  if (value == 0)
    return;
  tly_buffer_print(print->out, "%s%s%lld %s%s", print->has_part ? " " : "", print->was_negative && value > 0 ? "+" : "",
                   (long long)value, unit, value != 1 ? "s" : "");
  print->has_part = true;
  print->was_negative = value < 0;
}

void tly_seconds_print(int32_t seconds, int32_t microseconds, struct tly_buffer *out) {
  tly_buffer_print(out, ":%02d", abs(seconds));
  if (microseconds == 0)
    return;
  tly_buffer_print(out, ".%06d", abs(microseconds));
  while (out->data[out->size - 1] == '0')
    out->size--;
}

void tly_interval_print(struct tly_interval interval, struct tly_buffer *out) {
  struct interval_print print = {.out = out};
  print_part(&print, interval.months / TLY_MONTHS_PER_YEAR, "year");
  print_part(&print, interval.months % TLY_MONTHS_PER_YEAR, "mon");
  print_part(&print, interval.days, "day");
  if (print.has_part && interval.microseconds == 0)
    return;
  struct tly_clock_time time = tly_clock_time_of(interval.microseconds);
  const char *sign = interval.microseconds < 0 ? "-" : print.was_negative ? "+" : "";
  tly_buffer_print(out, "%s%s%02lld:%02d", print.has_part ? " " : "", sign, llabs(time.hours), abs(time.minutes));
  tly_seconds_print(time.seconds, time.microseconds, out);
}

/* --- extract -------------------------------------------------------------------------------------------------------
 */

/* Seconds with a year of 365.25 days, as PostgreSQL counts them. */
static struct tly_decimal epoch_of(struct tly_interval interval) {
  enum { QUARTER_DAYS_PER_YEAR = 1461, QUARTER_DAYS_PER_DAY = 4 };
  tly_i128 quarter_days =
      (tly_i128)QUARTER_DAYS_PER_YEAR * (interval.months / TLY_MONTHS_PER_YEAR) +
      QUARTER_DAYS_PER_DAY * ((tly_i128)TLY_DAYS_PER_MONTH * (interval.months % TLY_MONTHS_PER_YEAR) + interval.days);
  return tly_decimal_of_i128(quarter_days * (TLY_US_PER_DAY / QUARTER_DAYS_PER_DAY) + interval.microseconds, 6);
}

enum tly_status tly_interval_extract(const char *field, size_t field_size, struct tly_interval value,
                                     struct tly_decimal *out, struct tly_error *error) {
  enum tly_unit unit = tly_unit_of(field, field_size);
  struct tly_clock_time time = tly_clock_time_of(value.microseconds);
  int64_t in_minute_us = time.seconds * TLY_US_PER_SECOND + time.microseconds;
  int32_t years = value.months / TLY_MONTHS_PER_YEAR, months = value.months % TLY_MONTHS_PER_YEAR;
  int64_t part = 0;
  int32_t scale = 0;
  switch (unit) {
  case TLY_UNIT_MICROSECOND: part = in_minute_us; break;
  case TLY_UNIT_MILLISECOND: part = in_minute_us, scale = 3; break;
  case TLY_UNIT_SECOND: part = in_minute_us, scale = 6; break;
  case TLY_UNIT_MINUTE: part = time.minutes; break;
  case TLY_UNIT_HOUR: part = time.hours; break;
  case TLY_UNIT_DAY: part = value.days; break;
  case TLY_UNIT_MONTH: part = months; break;
  case TLY_UNIT_QUARTER: part = months / 3 + 1; break;
  case TLY_UNIT_YEAR: part = years; break;
  case TLY_UNIT_DECADE: part = years / 10; break;
  case TLY_UNIT_CENTURY: part = years / 100; break;
  case TLY_UNIT_MILLENNIUM: part = years / 1000; break;
  case TLY_UNIT_EPOCH: *out = epoch_of(value); return TLY_OK;
  default: return tly_unit_refuse(unit, field, field_size, "interval", error);
  }
  *out = tly_decimal_of_i64(part, scale);
  return TLY_OK;
}

/* --- arithmetic ----------------------------------------------------------------------------------------------------
 */

static tly_i128 span_us(struct tly_interval interval) {
  return ((tly_i128)interval.months * TLY_DAYS_PER_MONTH + interval.days) * TLY_US_PER_DAY + interval.microseconds;
}

int tly_interval_compare(struct tly_interval a, struct tly_interval b) {
  tly_i128 left = span_us(a), right = span_us(b);
  return (left > right) - (left < right);
}

enum tly_status tly_interval_add(struct tly_interval a, struct tly_interval b, int sign, struct tly_interval *out,
                                 struct tly_error *error) {
  TLY_ASSERT(sign == 1 || sign == -1);
  bool overflows = sign > 0 ? __builtin_add_overflow(a.months, b.months, &out->months) ||
                                  __builtin_add_overflow(a.days, b.days, &out->days) ||
                                  __builtin_add_overflow(a.microseconds, b.microseconds, &out->microseconds)
                            : __builtin_sub_overflow(a.months, b.months, &out->months) ||
                                  __builtin_sub_overflow(a.days, b.days, &out->days) ||
                                  __builtin_sub_overflow(a.microseconds, b.microseconds, &out->microseconds);
  return overflows ? interval_overflow(error) : TLY_OK;
}

/* Fractions of a second below this are noise of the products above it (TSROUND). */
static double round_to_microseconds(double value) {
  return rint(value * 1e6) / 1e6;
}

static bool fits_i32(double value) {
  return value >= INT32_MIN && value <= INT32_MAX;
}

/* interval_mul() and interval_div(): whole months and days stay in their units, what is left of them goes down to days
 * and seconds. */
static enum tly_status cascade(double months, double days, double rest_us, struct tly_interval *out,
                               struct tly_error *error) {
  enum { SECONDS_PER_DAY = 86400 };
  if (!fits_i32(months) || !fits_i32(days))
    return interval_overflow(error);
  int32_t whole_months = (int32_t)months, whole_days = (int32_t)days;
  double month_days = round_to_microseconds((months - whole_months) * TLY_DAYS_PER_MONTH);
  int32_t whole_month_days = (int32_t)month_days;
  double seconds = round_to_microseconds((days - whole_days + month_days - whole_month_days) * SECONDS_PER_DAY);
  int32_t carried_days = (int32_t)(seconds / SECONDS_PER_DAY);
  seconds -= carried_days * (double)SECONDS_PER_DAY;
  double microseconds = rint(rest_us + seconds * 1e6);
  if (!(microseconds >= -0x1p63 && microseconds < 0x1p63) ||
      __builtin_add_overflow(whole_days, whole_month_days + carried_days, &whole_days))
    return interval_overflow(error);
  *out = (struct tly_interval){.microseconds = (int64_t)microseconds, .days = whole_days, .months = whole_months};
  return TLY_OK;
}

enum tly_status tly_interval_multiply(struct tly_interval interval, double factor, struct tly_interval *out,
                                      struct tly_error *error) {
  return cascade(interval.months * factor, interval.days * factor, (double)interval.microseconds * factor, out, error);
}

enum tly_status tly_interval_divide(struct tly_interval interval, double divisor, struct tly_interval *out,
                                    struct tly_error *error) {
  TLY_ASSERT(divisor != 0);
  return cascade(interval.months / divisor, interval.days / divisor, (double)interval.microseconds / divisor, out,
                 error);
}
