/* The grammar is POSIX's with the extensions of RFC 8536, 3.3.1 (a change may be at -167 to 167 hours):
 *
 *   rule    name offset [name [offset] , change , change]
 *   name    three or more letters, or < letters digits + - >
 *   offset  [+-] hours [: minutes [: seconds]]      west is positive; here turned round
 *   change  date [/ time]                            time is 02:00 unless it is written
 *   date    M month . week . day | J day | day
 *
 * POSIX leaves open what summer time without dates means, so that is refused. */
#include "common/value/zone_rule.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/value/timestamp.h"

enum {
  SECONDS_PER_MINUTE = 60,
  SECONDS_PER_HOUR = 3600,
  SECONDS_PER_DAY = 86400,
  OFFSET_HOURS_MAX = 24,
  CHANGE_HOURS_MAX = 167,
  CHANGE_HOUR_DEFAULT = 2,
  NAME_LETTERS_MIN = 3,
  DAYS_PER_WEEK = 7,
  WEEK_LAST = 5,
  DAYS_TO_MARCH = 59, /* of a year without a leap day */
  DAYS_PER_YEAR = 365
};

struct reader {
  const char *at, *end;
};

static char peek(const struct reader *reader) {
  return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(struct reader *reader, char wanted) {
  bool is_it = peek(reader) == wanted;
  reader->at += is_it;
  return is_it;
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* One to three digits that make `low` to `high`. */
static bool take_number(struct reader *reader, int32_t low, int32_t high, int32_t *out) {
  const char *start = reader->at;
  *out = 0;
  while (is_digit(peek(reader)) && reader->at - start < 3)
    *out = *out * 10 + (*reader->at++ - '0');
  return reader->at > start && *out >= low && *out <= high;
}

static bool take_name(struct reader *reader) {
  bool is_quoted = take(reader, '<');
  const char *start = reader->at;
  while (is_letter(peek(reader)) ||
         (is_quoted && (is_digit(peek(reader)) || peek(reader) == '+' || peek(reader) == '-')))
    reader->at++;
  return reader->at - start >= NAME_LETTERS_MIN && (!is_quoted || take(reader, '>'));
}

static bool take_time(struct reader *reader, int32_t hours_max, int32_t *seconds) {
  int32_t hours, minutes = 0, rest = 0;
  bool is_negative = take(reader, '-');
  if (!is_negative)
    (void)take(reader, '+');
  if (!take_number(reader, 0, hours_max, &hours))
    return false;
  if (take(reader, ':')) {
    if (!take_number(reader, 0, 59, &minutes) || (take(reader, ':') && !take_number(reader, 0, 59, &rest)))
      return false;
  }
  *seconds = hours * SECONDS_PER_HOUR + minutes * SECONDS_PER_MINUTE + rest;
  *seconds = is_negative ? -*seconds : *seconds;
  return true;
}

/* West is positive in the text. */
static bool take_offset(struct reader *reader, int32_t *east_s) {
  int32_t west_s;
  if (!take_time(reader, OFFSET_HOURS_MAX, &west_s))
    return false;
  *east_s = -west_s;
  return true;
}

static bool take_date(struct reader *reader, struct tly_zone_change *out) {
  if (take(reader, 'M')) {
    out->kind = TLY_ZONE_DAY_OF_WEEK;
    return take_number(reader, 1, 12, &out->month) && take(reader, '.') &&
           take_number(reader, 1, WEEK_LAST, &out->week) && take(reader, '.') &&
           take_number(reader, 0, DAYS_PER_WEEK - 1, &out->day);
  }
  bool is_julian = take(reader, 'J');
  out->kind = is_julian ? TLY_ZONE_DAY_NO_LEAP : TLY_ZONE_DAY_FROM_ZERO;
  return take_number(reader, is_julian ? 1 : 0, DAYS_PER_YEAR, &out->day);
}

static bool take_change(struct reader *reader, struct tly_zone_change *out) {
  *out = (struct tly_zone_change){.second = CHANGE_HOUR_DEFAULT * SECONDS_PER_HOUR};
  if (!take(reader, ',') || !take_date(reader, out))
    return false;
  return !take(reader, '/') || take_time(reader, CHANGE_HOURS_MAX, &out->second);
}

static bool take_summer(struct reader *reader, struct tly_zone_rule *out) {
  out->has_summer = true;
  out->summer_offset_s = out->standard_offset_s + SECONDS_PER_HOUR;
  if (!take_name(reader) || (peek(reader) != ',' && !take_offset(reader, &out->summer_offset_s)))
    return false;
  return take_change(reader, &out->to_summer) && take_change(reader, &out->to_standard);
}

bool tly_zone_rule_read(const char *text, size_t size, struct tly_zone_rule *out) {
  struct reader reader = {text, text + size};
  *out = (struct tly_zone_rule){.has_summer = false};
  if (!take_name(&reader) || !take_offset(&reader, &out->standard_offset_s))
    return false;
  if (reader.at < reader.end && !take_summer(&reader, out))
    return false;
  return reader.at == reader.end;
}

/* --- changes of a year -------------------------------------------------------------------------------------------- */

/* The first of the month is at least `day` 1; weekday d (0 is Sunday) of week w is then found by counting. */
static int64_t day_of_week(int64_t year, const struct tly_zone_change *change) {
  int64_t first = tly_days_of_civil(year, change->month, 1);
  int64_t next =
      change->month == 12 ? tly_days_of_civil(year + 1, 1, 1) : tly_days_of_civil(year, change->month + 1, 1);
  int64_t weekday = ((first + 4) % DAYS_PER_WEEK + DAYS_PER_WEEK) % DAYS_PER_WEEK; /* 1970-01-01 was a Thursday */
  int64_t day = first + (change->day - weekday + DAYS_PER_WEEK) % DAYS_PER_WEEK + (change->week - 1) * DAYS_PER_WEEK;
  return day >= next ? day - DAYS_PER_WEEK : day;
}

static bool has_leap_day(int64_t year) {
  return tly_days_of_civil(year + 1, 1, 1) - tly_days_of_civil(year, 1, 1) > DAYS_PER_YEAR;
}

int64_t tly_zone_change_at(const struct tly_zone_change *change, int64_t year, int32_t offset_before_s) {
  int64_t day = 0;
  switch (change->kind) {
  case TLY_ZONE_DAY_OF_WEEK: day = day_of_week(year, change); break;
  case TLY_ZONE_DAY_NO_LEAP:
    day = tly_days_of_civil(year, 1, 1) + change->day - 1 + (change->day > DAYS_TO_MARCH && has_leap_day(year));
    break;
  case TLY_ZONE_DAY_FROM_ZERO: day = tly_days_of_civil(year, 1, 1) + change->day; break;
  }
  return day * SECONDS_PER_DAY + change->second - offset_before_s;
}

bool tly_zone_rule_is_always_summer(const struct tly_zone_rule *rule) {
  TLY_ASSERT(rule->has_summer);
  enum { ANY_YEAR = 2001 };
  int64_t summer = tly_zone_change_at(&rule->to_summer, ANY_YEAR, rule->standard_offset_s);
  int64_t standard = tly_zone_change_at(&rule->to_standard, ANY_YEAR, rule->summer_offset_s);
  return standard >= tly_zone_change_at(&rule->to_summer, ANY_YEAR + 1, rule->standard_offset_s) && standard > summer;
}
