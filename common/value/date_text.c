/* Dates and timestamps as text.
 *
 * Input is the ISO part of what PostgreSQL takes (DateStyle ISO), spaces around allowed:
 *
 *   date       YYYY-MM-DD with one or two digits for month and day and 3 to 6 for the year; '/' or '.' for both '-';
 *              YYYYMMDD
 *   time       behind spaces or a 'T': HH:MM, HH:MM:SS, HH:MM:SS.fraction; behind a 'T' also HHMM, HHMMSS,
 * HHMMSS.fraction zone       Z, UTC, GMT, +hh, +hhmm, +hh:mm, +hh:mm:ss, spaces before allowed
 *
 * 23:59:60 and 24:00:00 are the next minute and day; a fraction is rounded to microseconds as PostgreSQL rounds it,
 * through a double. A date's text may have a time and a zone, which say nothing; so says a zone in a timestamp without
 * one. The words now, today, tomorrow, yesterday, epoch, infinity and the era BC are known and refused (0A000).
 * Anything else is bad syntax (22007), also where PostgreSQL would understand it: month names, 3/2/2026, AM and PM.
 *
 * Events mostly come in one shape, YYYY-MM-DD?HH:MM:SS with a short fraction and UTC or no zone, which is tried first.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/value/datetime_internal.h"

enum {
  NUMBER_DIGITS_MAX = 9,
  SHOWN_BYTES_MAX = 100,
  ZONE_HOURS_MAX = 15,
  MICROSECOND_DIGITS = 6,
};

/* What stands in the text, field by field, not yet checked against its range. */
struct civil_time {
  int64_t year;
  int month, day;
  int hour, minute, second;
  int64_t microsecond;  /* up to 1,000,000 after rounding */
  int64_t zone_seconds; /* east is positive */
};

enum scan_result { SCAN_OK, SCAN_BAD_SYNTAX, SCAN_OUT_OF_RANGE, SCAN_BAD_ZONE, SCAN_NOT_SUPPORTED };

struct scan {
  const char *next, *end;
};

/* A run of digits. */
struct number {
  int value, digits;
};

static char peek(const struct scan *scan) {
  return scan->next < scan->end ? *scan->next : '\0';
}

static bool skip(struct scan *scan, char character) {
  bool is_there = scan->next < scan->end && *scan->next == character;
  scan->next += is_there;
  return is_there;
}

static bool is_digit(char character) {
  return character >= '0' && character <= '9';
}

static void skip_spaces(struct scan *scan) {
  while (scan->next < scan->end && isspace((unsigned char)*scan->next))
    scan->next++;
}

/* At most `digits_max` digits (the rest stays); none gives digits 0. */
static struct number scan_number(struct scan *scan, int digits_max) {
  struct number number = {0, 0};
  for (; is_digit(peek(scan)) && number.digits < digits_max; scan->next++, number.digits++)
    number.value = number.value * 10 + (*scan->next - '0');
  return number;
}

/* --- the fast shape ------------------------------------------------------------------------------------------------
 */

/* Two digits at `text`, or -1. */
static int two_digits(const char *text) {
  unsigned tens = (unsigned)text[0] - '0', ones = (unsigned)text[1] - '0';
  return tens > 9 || ones > 9 ? -1 : (int)(tens * 10 + ones);
}

/* YYYY-MM-DD?HH:MM:SS[.f{1,6}][Z|+00|+00:00] with ordinary values; false means only: look closer. */
static bool scan_fast(const char *text, size_t size, struct civil_time *time) {
  if (size < 19 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' ||
      text[16] != ':')
    return false;
  int century = two_digits(text), year = two_digits(text + 2);
  *time = (struct civil_time){.year = century * 100 + year,
                              .month = two_digits(text + 5),
                              .day = two_digits(text + 8),
                              .hour = two_digits(text + 11),
                              .minute = two_digits(text + 14),
                              .second = two_digits(text + 17)};
  if ((century | year | time->month | time->day | time->hour | time->minute | time->second) < 0)
    return false;
  size_t place = 19;
  if (place < size && text[place] == '.') {
    int digits = 0;
    for (place++; place < size && is_digit(text[place]) && digits < MICROSECOND_DIGITS; place++, digits++)
      time->microsecond = time->microsecond * 10 + (text[place] - '0');
    if (digits == 0)
      return false;
    for (; digits < MICROSECOND_DIGITS; digits++)
      time->microsecond *= 10;
  }
  size_t left = size - place;
  return left == 0 || (left == 1 && text[place] == 'Z') || (left == 3 && memcmp(text + place, "+00", 3) == 0) ||
         (left == 6 && memcmp(text + place, "+00:00", 6) == 0);
}

/* --- the full grammar ----------------------------------------------------------------------------------------------
 */

static enum scan_result scan_date(struct scan *scan, struct civil_time *time) {
  struct number year = scan_number(scan, NUMBER_DIGITS_MAX);
  char separator = peek(scan);
  if (year.digits == 8 && separator != '-' && separator != '/' && separator != '.') {
    time->year = year.value / 10000;
    time->month = year.value / 100 % 100;
    time->day = year.value % 100;
    return SCAN_OK;
  }
  if (year.digits < 3 || (separator != '-' && separator != '/' && separator != '.'))
    return SCAN_BAD_SYNTAX;
  scan->next++;
  struct number month = scan_number(scan, 2);
  if (month.digits == 0 || !skip(scan, separator))
    return SCAN_BAD_SYNTAX;
  struct number day = scan_number(scan, 2);
  if (day.digits == 0 || is_digit(peek(scan)))
    return SCAN_BAD_SYNTAX;
  time->year = year.value;
  time->month = month.value;
  time->day = day.value;
  return SCAN_OK;
}

/* The digits behind a point, as PostgreSQL rounds them. */
static void scan_fraction(struct scan *scan, struct civil_time *time) {
  char text[TLY_DATETIME_BYTES_MAX + 3] = "0.";
  size_t size = 2;
  for (; is_digit(peek(scan)) && size + 1 < sizeof text; scan->next++)
    text[size++] = *scan->next;
  text[size] = '\0';
  time->microsecond = (int64_t)rint(strtod(text, NULL) * 1e6);
}

static enum scan_result scan_clock(struct scan *scan, bool *is_compact, struct civil_time *time) {
  struct number hour = scan_number(scan, NUMBER_DIGITS_MAX);
  *is_compact = (hour.digits == 4 || hour.digits == 6) && peek(scan) != ':';
  if (*is_compact) {
    int without_seconds = hour.digits == 4 ? hour.value : hour.value / 100;
    time->hour = without_seconds / 100;
    time->minute = without_seconds % 100;
    time->second = hour.digits == 4 ? 0 : hour.value % 100;
    if (hour.digits == 6 && skip(scan, '.')) {
      scan_fraction(scan, time);
      *is_compact = false; /* only plain digits take in what follows */
    }
    return SCAN_OK;
  }
  if (hour.digits == 0 || !skip(scan, ':'))
    return SCAN_BAD_SYNTAX;
  struct number minute = scan_number(scan, NUMBER_DIGITS_MAX);
  if (minute.digits == 0)
    return SCAN_BAD_SYNTAX;
  time->hour = hour.value;
  time->minute = minute.value;
  if (!skip(scan, ':'))
    return SCAN_OK;
  struct number second = scan_number(scan, NUMBER_DIGITS_MAX);
  if (second.digits == 0)
    return SCAN_BAD_SYNTAX;
  time->second = second.value;
  if (skip(scan, '.'))
    scan_fraction(scan, time);
  return SCAN_OK;
}

/* The letters that come next; `size` of them. */
static const char *scan_word(struct scan *scan, size_t *size) {
  const char *start = scan->next;
  while (isalpha((unsigned char)peek(scan)))
    scan->next++;
  *size = (size_t)(scan->next - start);
  return start;
}

static bool is_word(const char *word, size_t size, const char *const *words) {
  for (; *words != NULL; words++)
    if (strlen(*words) == size && strncasecmp(*words, word, size) == 0)
      return true;
  return false;
}

static enum scan_result scan_zone_word(struct scan *scan) {
  static const char *const utc[] = {"z", "utc", "gmt", NULL}, *const era[] = {"bc", NULL};
  size_t size;
  const char *word = scan_word(scan, &size);
  if (is_word(word, size, era))
    return SCAN_NOT_SUPPORTED;
  return is_word(word, size, utc) ? SCAN_OK : SCAN_BAD_SYNTAX;
}

static enum scan_result scan_zone_offset(struct scan *scan, struct civil_time *time) {
  bool is_west = *scan->next++ == '-';
  struct number hours = scan_number(scan, NUMBER_DIGITS_MAX), minutes = {0, 0}, seconds = {0, 0};
  if (hours.digits == 0)
    return SCAN_BAD_SYNTAX;
  if (skip(scan, ':')) {
    minutes = scan_number(scan, NUMBER_DIGITS_MAX);
    if (skip(scan, ':'))
      seconds = scan_number(scan, NUMBER_DIGITS_MAX);
  } else if (hours.digits > 2) {
    minutes.value = hours.value % 100;
    hours.value /= 100;
  }
  if (hours.value > ZONE_HOURS_MAX || minutes.value >= 60 || seconds.value >= 60)
    return SCAN_BAD_ZONE;
  int64_t offset = ((int64_t)hours.value * 60 + minutes.value) * 60 + seconds.value;
  time->zone_seconds = is_west ? -offset : offset;
  return SCAN_OK;
}

/* Whether a '-' stands at digits without colons, so that PostgreSQL takes it for a part of them and not for a zone. */
static bool is_glued(const struct scan *scan, bool has_time, bool is_compact) {
  if (peek(scan) != '-' || !is_digit(scan->next[-1]) || (has_time && !is_compact))
    return false;
  return !has_time || memchr(scan->next, ':', (size_t)(scan->end - scan->next)) != NULL;
}

/* What follows the date. */
static enum scan_result scan_rest(struct scan *scan, struct civil_time *time) {
  enum scan_result result = SCAN_OK;
  bool is_compact = false, has_t = skip(scan, 'T') || skip(scan, 't');
  skip_spaces(scan);
  bool has_time = has_t || is_digit(peek(scan));
  if (has_time)
    result = scan_clock(scan, &is_compact, time);
  if (is_glued(scan, has_time, is_compact))
    return SCAN_BAD_SYNTAX;
  skip_spaces(scan);
  if (result == SCAN_OK && (peek(scan) == '+' || peek(scan) == '-'))
    result = scan_zone_offset(scan, time);
  else if (result == SCAN_OK && isalpha((unsigned char)peek(scan)))
    result = scan_zone_word(scan);
  skip_spaces(scan);
  if (result == SCAN_OK && isalpha((unsigned char)peek(scan))) /* ... +00 BC */
    result = scan_zone_word(scan) == SCAN_NOT_SUPPORTED ? SCAN_NOT_SUPPORTED : SCAN_BAD_SYNTAX;
  return result == SCAN_OK && scan->next != scan->end ? SCAN_BAD_SYNTAX : result;
}

static enum scan_result scan_special(struct scan scan) {
  static const char *const words[] = {"now", "today", "tomorrow", "yesterday", "epoch", "infinity", NULL};
  size_t size;
  (void)(skip(&scan, '-') || skip(&scan, '+'));
  const char *word = scan_word(&scan, &size);
  return is_word(word, size, words) ? SCAN_NOT_SUPPORTED : SCAN_BAD_SYNTAX;
}

static bool is_date_in_range(const struct civil_time *time) {
  static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (time->year < 1 || time->month < 1 || time->month > 12 || time->day < 1 || time->day > days[time->month - 1])
    return false;
  bool is_leap = time->year % 4 == 0 && (time->year % 100 != 0 || time->year % 400 == 0);
  return is_leap || time->month != 2 || time->day != 29;
}

/* As far as 24:00:00 and :60. */
static bool is_clock_in_range(const struct civil_time *time) {
  if (time->hour > 24 || time->minute > 59 || time->second > 60)
    return false;
  int64_t in_day_us = (((int64_t)time->hour * 60 + time->minute) * 60 + time->second) * TLY_US_PER_SECOND;
  return in_day_us + time->microsecond <= TLY_US_PER_DAY;
}

static enum scan_result scan_civil_time(const char *text, size_t size, struct civil_time *time) {
  enum scan_result result = SCAN_OK;
  if (!scan_fast(text, size, time)) {
    struct scan scan = {text, text + size};
    *time = (struct civil_time){.year = 0};
    skip_spaces(&scan);
    while (scan.end > scan.next && isspace((unsigned char)scan.end[-1]))
      scan.end--;
    if (scan.end - scan.next > TLY_DATETIME_BYTES_MAX)
      return SCAN_BAD_SYNTAX;
    if (!is_digit(peek(&scan)))
      return scan_special(scan);
    result = scan_date(&scan, time);
    if (result == SCAN_OK)
      result = scan_rest(&scan, time);
  }
  bool is_readable = result == SCAN_OK || result == SCAN_BAD_ZONE; /* PostgreSQL looks at clock, zone, date in turn */
  if ((is_readable && !is_clock_in_range(time)) || (result == SCAN_OK && !is_date_in_range(time)))
    return SCAN_OUT_OF_RANGE;
  return result;
}

static enum tly_status fail_scan(enum scan_result result, const char *type_name, const char *text, size_t size,
                                 struct tly_error *error) {
  int shown = size < SHOWN_BYTES_MAX ? (int)size : SHOWN_BYTES_MAX;
  switch (result) {
  case SCAN_OK: break;
  case SCAN_BAD_SYNTAX:
    return TLY_FAIL(error, TLY_E_DATETIME_FORMAT, "invalid input syntax for type %s: \"%.*s\"", type_name, shown, text);
  case SCAN_OUT_OF_RANGE:
    return TLY_FAIL(error, TLY_E_DATETIME_OVERFLOW, "date/time field value out of range: \"%.*s\"", shown, text);
  case SCAN_BAD_ZONE:
    return TLY_FAIL(error, TLY_E_TIME_ZONE_DISPLACEMENT, "time zone displacement out of range: \"%.*s\"", shown, text);
  case SCAN_NOT_SUPPORTED:
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "%s value \"%.*s\" is not supported", type_name, shown, text);
  }
  TLY_UNREACHABLE();
}

enum tly_status tly_date_parse(const char *text, size_t size, int64_t *days, struct tly_error *error) {
  struct civil_time time;
  enum scan_result result = scan_civil_time(text, size, &time);
  if (result != SCAN_OK)
    return fail_scan(result, "date", text, size, error);
  *days = tly_days_of_civil(time.year, time.month, time.day);
  return tly_date_check(*days, error);
}

enum tly_status tly_timestamp_parse(const char *text, size_t size, bool with_zone, int64_t *microseconds,
                                    struct tly_error *error) {
  struct civil_time time;
  enum scan_result result = scan_civil_time(text, size, &time);
  if (result != SCAN_OK)
    return fail_scan(result, with_zone ? "timestamp with time zone" : "timestamp", text, size, error);
  int64_t days = tly_days_of_civil(time.year, time.month, time.day);
  int64_t seconds = ((int64_t)time.hour * 60 + time.minute) * 60 + time.second - (with_zone ? time.zone_seconds : 0);
  int64_t in_day_us = seconds * TLY_US_PER_SECOND + time.microsecond;
  if (__builtin_mul_overflow(days, TLY_US_PER_DAY, microseconds) ||
      __builtin_add_overflow(*microseconds, in_day_us, microseconds))
    *microseconds = INT64_MAX;
  return tly_timestamp_check(*microseconds, error);
}

/* --- print ---------------------------------------------------------------------------------------------------------
 */

static char *put_two_digits(char *place, int value) {
  *place++ = (char)('0' + value / 10);
  *place++ = (char)('0' + value % 10);
  return place;
}

void tly_date_print(int64_t days, struct tly_buffer *out) {
  int64_t year;
  int month, day;
  tly_civil_of_days(days, &year, &month, &day);
  char text[8], *place = text;
  if (year >= 1 && year <= 9999) {
    place = put_two_digits(put_two_digits(place, (int)year / 100), (int)year % 100);
    tly_buffer_append(out, text, (size_t)(place - text));
  } else {
    tly_buffer_print(out, "%04lld", (long long)year);
  }
  place = text;
  *place++ = '-';
  place = put_two_digits(place, month);
  *place++ = '-';
  place = put_two_digits(place, day);
  tly_buffer_append(out, text, (size_t)(place - text));
}

static void print_timestamp(int64_t microseconds, char separator, const char *zone, struct tly_buffer *out) {
  int64_t days = tly_floor_divide(microseconds, TLY_US_PER_DAY);
  struct tly_clock_time time = tly_clock_time_of(microseconds - days * TLY_US_PER_DAY);
  tly_date_print(days, out);
  char text[16], *place = text;
  *place++ = separator;
  place = put_two_digits(place, (int)time.hours);
  *place++ = ':';
  place = put_two_digits(place, time.minutes);
  *place++ = ':';
  place = put_two_digits(place, time.seconds);
  if (time.microseconds != 0) {
    *place++ = '.';
    for (int32_t rest = time.microseconds, unit = 100000; rest > 0; rest %= unit, unit /= 10)
      *place++ = (char)('0' + rest / unit);
  }
  tly_buffer_append(out, text, (size_t)(place - text));
  tly_buffer_append_text(out, zone);
}

void tly_timestamp_print(int64_t microseconds, bool with_zone, struct tly_buffer *out) {
  print_timestamp(microseconds, ' ', with_zone ? "+00" : "", out);
}

void tly_timestamp_print_rfc3339(int64_t microseconds, bool with_zone, struct tly_buffer *out) {
  print_timestamp(microseconds, 'T', with_zone ? "Z" : "", out);
}
