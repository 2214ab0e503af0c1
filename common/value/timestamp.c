/* Days and microseconds since 1970 are integers, so everything here is floor division and range checks; a civil date is
 * only made where a month or a year matters. Every sum that could leave its range is checked, because "out of range" is
 * an answer of its own (22008) that must not depend on the machine. */
#include "common/value/timestamp.h"

#include "common/base/assert.h"
#include "common/value/datetime_internal.h"

enum { DAYS_PER_ERA = 146097, YEARS_PER_ERA = 400, DAYS_FROM_MARCH_0_TO_1970 = 719468 };

#define DATE_MIN_DAYS    INT64_C(-719162)    /* 0001-01-01 */
#define DATE_END_DAYS    INT64_C(2145042906) /* 5874898-01-01 */
#define TIMESTAMP_MIN_US (DATE_MIN_DAYS * TLY_US_PER_DAY)
#define TIMESTAMP_END_US (INT64_C(106751982) * TLY_US_PER_DAY) /* 294247-01-01 */

/* --- calendar ------------------------------------------------------------------------------------------------------
 */

int64_t tly_days_of_civil(int64_t year, int month, int day) {
  year -= month <= 2; /* years that begin in March put the leap day last */
  int64_t era = tly_floor_divide(year, YEARS_PER_ERA);
  int64_t year_of_era = year - era * YEARS_PER_ERA;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * DAYS_PER_ERA + day_of_era - DAYS_FROM_MARCH_0_TO_1970;
}

void tly_civil_of_days(int64_t days, int64_t *year, int *month, int *day) {
  days += DAYS_FROM_MARCH_0_TO_1970;
  int64_t era = tly_floor_divide(days, DAYS_PER_ERA);
  int64_t day_of_era = days - era * DAYS_PER_ERA;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t march_month = (5 * day_of_year + 2) / 153;
  *day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
  *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
  *year = year_of_era + era * YEARS_PER_ERA + (*month <= 2);
}

/* 0 is Monday; 1970-01-01 was a Thursday. */
static int64_t weekday_of(int64_t days) {
  return days + 3 - 7 * tly_floor_divide(days + 3, 7);
}

static int64_t year_of(int64_t days) {
  int64_t year;
  int month, day;
  tly_civil_of_days(days, &year, &month, &day);
  return year;
}

static enum tly_status check_not_bc(bool is_bc, struct tly_error *error) {
  return is_bc ? TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "dates before 0001-01-01 (BC) are not supported") : TLY_OK;
}

static enum tly_status timestamp_overflow(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "timestamp out of range");
}

enum tly_status tly_timestamp_check(int64_t microseconds, struct tly_error *error) {
  if (microseconds >= TIMESTAMP_END_US)
    return timestamp_overflow(error);
  return check_not_bc(microseconds < TIMESTAMP_MIN_US, error);
}

enum tly_status tly_date_check(int64_t days, struct tly_error *error) {
  if (days >= DATE_END_DAYS)
    return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "date out of range");
  return check_not_bc(days < DATE_MIN_DAYS, error);
}

struct tly_clock_time tly_clock_time_of(int64_t microseconds) {
  struct tly_clock_time time = {.hours = microseconds / TLY_US_PER_HOUR};
  int64_t rest = microseconds % TLY_US_PER_HOUR;
  time.minutes = (int32_t)(rest / TLY_US_PER_MINUTE);
  rest %= TLY_US_PER_MINUTE;
  time.seconds = (int32_t)(rest / TLY_US_PER_SECOND);
  time.microseconds = (int32_t)(rest % TLY_US_PER_SECOND);
  return time;
}

/* --- date_trunc and date_bin ---------------------------------------------------------------------------------------
 */

int64_t tly_unit_step_us(enum tly_unit unit) {
  switch (unit) {
  case TLY_UNIT_MICROSECOND: return 1;
  case TLY_UNIT_MILLISECOND: return TLY_US_PER_MILLISECOND;
  case TLY_UNIT_SECOND: return TLY_US_PER_SECOND;
  case TLY_UNIT_MINUTE: return TLY_US_PER_MINUTE;
  case TLY_UNIT_HOUR: return TLY_US_PER_HOUR;
  case TLY_UNIT_DAY: return TLY_US_PER_DAY;
  default: return 0;
  }
}

int64_t tly_unit_first_day(enum tly_unit unit, int64_t days) {
  TLY_ASSERT(unit >= TLY_UNIT_DAY && unit <= TLY_UNIT_MILLENNIUM);
  int64_t year;
  int month, day;
  tly_civil_of_days(days, &year, &month, &day);
  switch (unit) {
  case TLY_UNIT_DAY: return days;
  case TLY_UNIT_WEEK: return days - weekday_of(days);
  case TLY_UNIT_MONTH: return days - (day - 1);
  case TLY_UNIT_QUARTER: return tly_days_of_civil(year, (month - 1) / 3 * 3 + 1, 1);
  case TLY_UNIT_DECADE: year = year / 10 * 10; break;
  case TLY_UNIT_CENTURY: year = (year - 1) / 100 * 100 + 1; break;
  case TLY_UNIT_MILLENNIUM: year = (year - 1) / 1000 * 1000 + 1; break;
  default: break;
  }
  return tly_days_of_civil(year, 1, 1);
}

enum tly_status tly_timestamp_trunc(const char *unit, size_t unit_size, int64_t microseconds, int64_t *out,
                                    struct tly_error *error) {
  enum tly_unit known = tly_unit_of(unit, unit_size);
  int64_t step_us = tly_unit_step_us(known);
  if (step_us > 0) {
    *out = tly_floor_divide(microseconds, step_us) * step_us;
    return TLY_OK;
  }
  if (known == TLY_UNIT_NONE || known > TLY_UNIT_MILLENNIUM)
    return tly_unit_refuse(known >= TLY_UNIT_DOW ? TLY_UNIT_NONE : known, unit, unit_size, "timestamp", error);
  *out = tly_unit_first_day(known, tly_floor_divide(microseconds, TLY_US_PER_DAY)) * TLY_US_PER_DAY;
  return tly_timestamp_check(*out, error);
}

enum tly_status tly_timestamp_bin(struct tly_interval stride, int64_t source, int64_t origin, int64_t *out,
                                  struct tly_error *error) {
  int64_t stride_us, distance;
  if (stride.months != 0)
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED,
                    "timestamps cannot be binned into intervals containing months or years");
  if (__builtin_mul_overflow((int64_t)stride.days, TLY_US_PER_DAY, &stride_us) ||
      __builtin_add_overflow(stride_us, stride.microseconds, &stride_us))
    return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "interval out of range");
  if (stride_us <= 0)
    return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "stride must be greater than zero");
  if (__builtin_sub_overflow(source, origin, &distance) ||
      __builtin_mul_overflow(tly_floor_divide(distance, stride_us), stride_us, &distance) ||
      __builtin_add_overflow(origin, distance, out))
    return timestamp_overflow(error);
  return tly_timestamp_check(*out, error);
}

/* --- extract -------------------------------------------------------------------------------------------------------
 */

/* Parts of the calendar, the same for dates and timestamps. */
static bool extract_calendar(enum tly_unit unit, int64_t days, int64_t *out) {
  int64_t year, thursday = days - weekday_of(days) + 3; /* decides which year an ISO week is in */
  int month, day;
  tly_civil_of_days(days, &year, &month, &day);
  switch (unit) {
  case TLY_UNIT_DAY: *out = day; return true;
  case TLY_UNIT_WEEK: *out = (thursday - tly_days_of_civil(year_of(thursday), 1, 1)) / 7 + 1; return true;
  case TLY_UNIT_MONTH: *out = month; return true;
  case TLY_UNIT_QUARTER: *out = (month - 1) / 3 + 1; return true;
  case TLY_UNIT_YEAR: *out = year; return true;
  case TLY_UNIT_DECADE: *out = year / 10; return true;
  case TLY_UNIT_CENTURY: *out = (year + 99) / 100; return true;
  case TLY_UNIT_MILLENNIUM: *out = (year + 999) / 1000; return true;
  case TLY_UNIT_ISOYEAR: *out = year_of(thursday); return true;
  case TLY_UNIT_DOW: *out = (weekday_of(days) + 1) % 7; return true;
  case TLY_UNIT_ISODOW: *out = weekday_of(days) + 1; return true;
  case TLY_UNIT_DOY: *out = days - tly_days_of_civil(year, 1, 1) + 1; return true;
  default: return false;
  }
}

static bool extract_clock(enum tly_unit unit, int64_t microseconds, struct tly_decimal *out) {
  int64_t in_day_us = microseconds - tly_floor_divide(microseconds, TLY_US_PER_DAY) * TLY_US_PER_DAY;
  struct tly_clock_time time = tly_clock_time_of(in_day_us);
  int64_t in_minute_us = in_day_us % TLY_US_PER_MINUTE;
  switch (unit) {
  case TLY_UNIT_MICROSECOND: *out = tly_decimal_of_i64(in_minute_us, 0); return true;
  case TLY_UNIT_MILLISECOND: *out = tly_decimal_of_i64(in_minute_us, 3); return true;
  case TLY_UNIT_SECOND: *out = tly_decimal_of_i64(in_minute_us, 6); return true;
  case TLY_UNIT_MINUTE: *out = tly_decimal_of_i64(time.minutes, 0); return true;
  case TLY_UNIT_HOUR: *out = tly_decimal_of_i64(time.hours, 0); return true;
  case TLY_UNIT_EPOCH: *out = tly_decimal_of_i64(microseconds, 6); return true;
  default: return false;
  }
}

static bool is_zone_part(enum tly_unit unit) {
  return unit == TLY_UNIT_TIMEZONE || unit == TLY_UNIT_TIMEZONE_HOUR || unit == TLY_UNIT_TIMEZONE_MINUTE;
}

enum tly_status tly_timestamp_extract(const char *field, size_t field_size, enum tly_extract_source source,
                                      int64_t value, struct tly_decimal *out, struct tly_error *error) {
  static const char *const type_names[] = {"date", "timestamp without time zone", "timestamp with time zone"};
  enum tly_unit unit = tly_unit_of(field, field_size);
  bool is_date = source == TLY_EXTRACT_DATE;
  int64_t part;
  if (extract_calendar(unit, is_date ? value : tly_floor_divide(value, TLY_US_PER_DAY), &part))
    *out = tly_decimal_of_i64(part, 0);
  else if (is_date && unit == TLY_UNIT_EPOCH)
    *out = tly_decimal_of_i64(value * (TLY_US_PER_DAY / TLY_US_PER_SECOND), 0);
  else if (source == TLY_EXTRACT_TIMESTAMPTZ && is_zone_part(unit)) /* sessions are UTC */
    *out = tly_decimal_of_i64(0, 0);
  else if (is_date || !extract_clock(unit, value, out))
    return tly_unit_refuse(unit, field, field_size, type_names[source], error);
  return TLY_OK;
}

/* --- arithmetic ----------------------------------------------------------------------------------------------------
 */

static int days_in_month(int64_t year, int month) {
  int64_t start = tly_days_of_civil(year, month, 1);
  return (int)((month == 12 ? tly_days_of_civil(year + 1, 1, 1) : tly_days_of_civil(year, month + 1, 1)) - start);
}

/* The same day `months` later, or the last day of that month if it is shorter. */
static int64_t add_months(int64_t days, int64_t months) {
  int64_t year;
  int month, day;
  tly_civil_of_days(days, &year, &month, &day);
  int64_t month_count = year * TLY_MONTHS_PER_YEAR + (month - 1) + months;
  year = tly_floor_divide(month_count, TLY_MONTHS_PER_YEAR);
  month = (int)(month_count - year * TLY_MONTHS_PER_YEAR) + 1;
  int day_max = days_in_month(year, month);
  return tly_days_of_civil(year, month, day < day_max ? day : day_max);
}

enum tly_status tly_timestamp_add(int64_t microseconds, struct tly_interval interval, int sign, int64_t *out,
                                  struct tly_error *error) {
  TLY_ASSERT(sign == 1 || sign == -1);
  int64_t days = tly_floor_divide(microseconds, TLY_US_PER_DAY);
  int64_t in_day_us = microseconds - days * TLY_US_PER_DAY;
  if (interval.months != 0)
    days = add_months(days, (int64_t)sign * interval.months);
  days += (int64_t)sign * interval.days;
  /* Days are within 2^33 here, so 128 bits hold any sum. */
  tly_i128 sum = (tly_i128)days * TLY_US_PER_DAY + in_day_us + (tly_i128)sign * interval.microseconds;
  if (sum >= TIMESTAMP_END_US)
    return timestamp_overflow(error);
  *out = sum < TIMESTAMP_MIN_US ? TIMESTAMP_MIN_US - 1 : (int64_t)sum;
  return tly_timestamp_check(*out, error);
}

enum tly_status tly_timestamp_subtract(int64_t a, int64_t b, struct tly_interval *out, struct tly_error *error) {
  int64_t distance;
  if (__builtin_sub_overflow(a, b, &distance))
    return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "interval out of range");
  *out = (struct tly_interval){.microseconds = distance % TLY_US_PER_DAY, .days = (int32_t)(distance / TLY_US_PER_DAY)};
  return TLY_OK;
}
