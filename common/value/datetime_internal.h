/* common/value/datetime_internal.h -- what the date, timestamp, interval and time zone files share. Included by those
 * only. Thread: pure. */
#ifndef TLY_VALUE_DATETIME_INTERNAL_H
#define TLY_VALUE_DATETIME_INTERNAL_H

#include "common/value/timestamp.h"

enum {
  TLY_DATETIME_BYTES_MAX = 128, /* longer input is bad syntax, as MAXDATELEN in PostgreSQL */
  TLY_MONTHS_PER_YEAR = 12,
  TLY_DAYS_PER_MONTH = 30, /* where an interval has to be compared or spread */
};

#define TLY_US_PER_MILLISECOND INT64_C(1000)
#define TLY_US_PER_MINUTE      INT64_C(60000000)
#define TLY_US_PER_HOUR        INT64_C(3600000000)

/* The words for parts of a time, in date_trunc, extract and interval input. */
enum tly_unit {
  TLY_UNIT_NONE, /* no such word */
  TLY_UNIT_MICROSECOND,
  TLY_UNIT_MILLISECOND,
  TLY_UNIT_SECOND,
  TLY_UNIT_MINUTE,
  TLY_UNIT_HOUR,
  TLY_UNIT_DAY,
  TLY_UNIT_WEEK,
  TLY_UNIT_MONTH,
  TLY_UNIT_QUARTER,
  TLY_UNIT_YEAR,
  TLY_UNIT_DECADE,
  TLY_UNIT_CENTURY,
  TLY_UNIT_MILLENNIUM,
  TLY_UNIT_TIMEZONE,
  TLY_UNIT_TIMEZONE_HOUR,
  TLY_UNIT_TIMEZONE_MINUTE,
  /* only to extract: */
  TLY_UNIT_DOW,
  TLY_UNIT_DOY,
  TLY_UNIT_ISODOW,
  TLY_UNIT_ISOYEAR,
  TLY_UNIT_JULIAN,
  TLY_UNIT_EPOCH,
};

/* Case-insensitive, with PostgreSQL's abbreviations; like it, looks at the first ten letters only. */
enum tly_unit tly_unit_of(const char *word, size_t size);
/* 22023 for TLY_UNIT_NONE, else 0A000: `word` means nothing for `type_name`. */
enum tly_status tly_unit_refuse(enum tly_unit unit, const char *word, size_t size, const char *type_name,
                                struct tly_error *error);

/* How long the units are whose starts are evenly spaced from 1970, microseconds to days; 0 for the others. */
int64_t tly_unit_step_us(enum tly_unit unit);
/* The first day of the unit, from days to millennia, that `days` is in. */
int64_t tly_unit_first_day(enum tly_unit unit, int64_t days);

/* A time of day or an interval's time with its sign in every part. */
struct tly_clock_time {
  int64_t hours;
  int32_t minutes, seconds, microseconds;
};

struct tly_clock_time tly_clock_time_of(int64_t microseconds);
/* ":SS[.ffffff]" without trailing zeros. */
void tly_seconds_print(int32_t seconds, int32_t microseconds, struct tly_buffer *out);

/* Floor division by a positive divisor. */
static inline int64_t tly_floor_divide(int64_t value, int64_t divisor) {
  int64_t quotient = value / divisor;
  return quotient - (value % divisor < 0);
}

#endif
