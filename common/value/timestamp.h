/* common/value/timestamp.h -- dates, timestamps and intervals with PostgreSQL's arithmetic, UTC only.
 *
 * date: days since 1970-01-01; timestamp: microseconds since 1970-01-01 00:00:00. Proleptic Gregorian calendar from
 * year 1 on: dates to 5874897 as in PostgreSQL, timestamps to the end of 294246, the last whole year that 64 bits reach
 * from 1970 (PostgreSQL counts from 2000 and ends 30 years later). BC and infinity are refused (0A000). Thread: pure.
 */
#ifndef TLY_VALUE_TIMESTAMP_H
#define TLY_VALUE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/value/decimal.h"

struct tly_interval {
  int64_t microseconds;
  int32_t days;
  int32_t months;
};

#define TLY_US_PER_SECOND INT64_C(1000000)
#define TLY_US_PER_DAY    INT64_C(86400000000)

/* Civil date to days and back (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
int64_t tly_days_of_civil(int64_t year, int month, int day);
void tly_civil_of_days(int64_t days, int64_t *year, int *month, int *day);

/* PostgreSQL's text input, ISO forms (the subset is in the source): a date; a date and time, 'T' or space, optional
 * fraction (rounded to microseconds), :60 and 24:00:00 roll over; for timestamptz an optional zone (Z, +hh[:mm], UTC;
 * none is UTC), for timestamp a zone is ignored as PostgreSQL does; 'now' and the like are refused. 22007 on bad words,
 * 22008 on fields out of range. */
TLY_CHECK enum tly_status tly_date_parse(const char *text, size_t size, int64_t *days, struct tly_error *error);
TLY_CHECK enum tly_status tly_timestamp_parse(const char *text, size_t size, bool with_zone, int64_t *microseconds,
                                              struct tly_error *error);
/* '1 day', '2 hours 30 minutes', '01:30:00', 'P1DT2H', '-1 mon', fractions as PostgreSQL spreads them. */
TLY_CHECK enum tly_status tly_interval_parse(const char *text, size_t size, struct tly_interval *out,
                                             struct tly_error *error);

/* psql's ISO output: 2026-03-02; 2026-03-02 10:00:00.5 (+00 with_zone). */
void tly_date_print(int64_t days, struct tly_buffer *out);
void tly_timestamp_print(int64_t microseconds, bool with_zone, struct tly_buffer *out);
/* RFC 3339: 2026-03-02T10:00:00.5Z (Z with_zone). */
void tly_timestamp_print_rfc3339(int64_t microseconds, bool with_zone, struct tly_buffer *out);
void tly_interval_print(struct tly_interval interval, struct tly_buffer *out);

/* `unit` is case-insensitive: microseconds .. millennium; unknown is 22023. */
TLY_CHECK enum tly_status tly_timestamp_trunc(const char *unit, size_t unit_size, int64_t microseconds, int64_t *out,
                                              struct tly_error *error);
/* date_bin: months in stride 0A000, stride <= 0 22008; floors below the origin. */
TLY_CHECK enum tly_status tly_timestamp_bin(struct tly_interval stride, int64_t source, int64_t origin, int64_t *out,
                                            struct tly_error *error);
enum tly_extract_source { TLY_EXTRACT_DATE, TLY_EXTRACT_TIMESTAMP, TLY_EXTRACT_TIMESTAMPTZ };
/* extract(field from ...): numeric with PostgreSQL's display scale. `value` is days or microseconds. */
TLY_CHECK enum tly_status tly_timestamp_extract(const char *field, size_t field_size, enum tly_extract_source source,
                                                int64_t value, struct tly_decimal *out, struct tly_error *error);
TLY_CHECK enum tly_status tly_interval_extract(const char *field, size_t field_size, struct tly_interval value,
                                               struct tly_decimal *out, struct tly_error *error);

/* sign = +1 or -1. */
TLY_CHECK enum tly_status tly_timestamp_add(int64_t microseconds, struct tly_interval interval, int sign, int64_t *out,
                                            struct tly_error *error);
/* timestamp - timestamp: days and microseconds, as PostgreSQL (justify_hours). */
TLY_CHECK enum tly_status tly_timestamp_subtract(int64_t a, int64_t b, struct tly_interval *out,
                                                 struct tly_error *error);
int tly_interval_compare(struct tly_interval a, struct tly_interval b); /* 1 mon = 30 days, 1 day = 24 h */
TLY_CHECK enum tly_status tly_interval_add(struct tly_interval a, struct tly_interval b, int sign,
                                           struct tly_interval *out, struct tly_error *error);
TLY_CHECK enum tly_status tly_interval_multiply(struct tly_interval interval, double factor, struct tly_interval *out,
                                                struct tly_error *error);
/* `divisor` is not 0. */
TLY_CHECK enum tly_status tly_interval_divide(struct tly_interval interval, double divisor, struct tly_interval *out,
                                              struct tly_error *error);
/* Range checks of PostgreSQL: 22008. */
TLY_CHECK enum tly_status tly_timestamp_check(int64_t microseconds, struct tly_error *error);
TLY_CHECK enum tly_status tly_date_check(int64_t days, struct tly_error *error);

#endif
