/* Interval input: PostgreSQL's, in its own three spellings (DecodeInterval, DecodeISO8601Interval in datetime.c).
 *
 *   quantities    1 year 2 mons -3.5 days 04:05:06.7 ago, @ in front allowed; a number without a unit is seconds, or
 *                 days when a time follows it; the words may touch the numbers ('1day')
 *   SQL           1-2 (years-months), 3 04:05:06
 *   ISO 8601      P1Y2M3W4DT5H6M7.8S
 *
 * Fields are read from the right, because a number's unit stands behind it. A unit may come once; the time counts as
 * hours, minutes and seconds. A fraction goes down: of years to whole months, of months and weeks to days and time, of
 * the others to time. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/value/datetime_internal.h"

enum {
  FIELDS_MAX = 25,
  SHOWN_BYTES_MAX = 100,
  ALL_SECONDS = 1 << TLY_UNIT_SECOND | 1 << TLY_UNIT_MILLISECOND | 1 << TLY_UNIT_MICROSECOND,
};

enum scan_result { SCAN_OK, SCAN_BAD_SYNTAX, SCAN_OUT_OF_RANGE };

struct field {
  const char *text;
  size_t size;
  bool is_word;
};

/* How a unit adds up: whole units go to months, days or microseconds; what becomes of a fraction. */
struct unit_rule {
  enum { TO_MICROSECONDS, TO_DAYS, TO_MONTHS } target;
  int64_t size; /* microseconds, days or months in one */
};

/* A number of an interval: whole part and fraction, both with the sign. */
struct quantity {
  int64_t whole;
  double fraction;
};

static enum scan_result checked(bool is_in_range) {
  return is_in_range ? SCAN_OK : SCAN_OUT_OF_RANGE;
}

/* --- adding quantities ---------------------------------------------------------------------------------------------
 */

/* Rounds half towards zero, as AdjustFractMicroseconds. */
static bool add_fraction_us(double fraction, int64_t size_us, struct tly_interval *interval) {
  if (fraction == 0)
    return true;
  fraction *= (double)size_us;
  int64_t whole_us = (int64_t)fraction;
  fraction -= (double)whole_us;
  whole_us += (fraction > 0.5) - (fraction < -0.5);
  return !__builtin_add_overflow(interval->microseconds, whole_us, &interval->microseconds);
}

static bool add_fraction_days(double fraction, int size_days, struct tly_interval *interval) {
  fraction *= size_days;
  int32_t whole_days = (int32_t)fraction;
  return !__builtin_add_overflow(interval->days, whole_days, &interval->days) &&
         add_fraction_us(fraction - whole_days, TLY_US_PER_DAY, interval);
}

static bool add_fraction_years(double fraction, int64_t size_months, struct tly_interval *interval) {
  int32_t whole_months = (int32_t)rint(fraction * (double)size_months);
  return !__builtin_add_overflow(interval->months, whole_months, &interval->months);
}

static bool add_whole(int64_t whole, int64_t size, int32_t *target) {
  int64_t amount;
  return !__builtin_mul_overflow(whole, size, &amount) && !__builtin_add_overflow(*target, amount, target);
}

static bool add_quantity(struct quantity quantity, struct unit_rule rule, struct tly_interval *interval) {
  int64_t amount_us;
  switch (rule.target) {
  case TO_MICROSECONDS:
    return !__builtin_mul_overflow(quantity.whole, rule.size, &amount_us) &&
           !__builtin_add_overflow(interval->microseconds, amount_us, &interval->microseconds) &&
           add_fraction_us(quantity.fraction, rule.size, interval);
  case TO_DAYS:
    return add_whole(quantity.whole, rule.size, &interval->days) &&
           add_fraction_days(quantity.fraction, (int)rule.size, interval);
  case TO_MONTHS:
    return add_whole(quantity.whole, rule.size, &interval->months) &&
           (rule.size == 1 ? add_fraction_days(quantity.fraction, TLY_DAYS_PER_MONTH, interval)
                           : add_fraction_years(quantity.fraction, rule.size, interval));
  }
  return false;
}

static bool rule_of(enum tly_unit unit, struct unit_rule *rule) {
  switch (unit) {
  case TLY_UNIT_MICROSECOND: *rule = (struct unit_rule){TO_MICROSECONDS, 1}; return true;
  case TLY_UNIT_MILLISECOND: *rule = (struct unit_rule){TO_MICROSECONDS, TLY_US_PER_MILLISECOND}; return true;
  case TLY_UNIT_SECOND: *rule = (struct unit_rule){TO_MICROSECONDS, TLY_US_PER_SECOND}; return true;
  case TLY_UNIT_MINUTE: *rule = (struct unit_rule){TO_MICROSECONDS, TLY_US_PER_MINUTE}; return true;
  case TLY_UNIT_HOUR: *rule = (struct unit_rule){TO_MICROSECONDS, TLY_US_PER_HOUR}; return true;
  case TLY_UNIT_DAY: *rule = (struct unit_rule){TO_DAYS, 1}; return true;
  case TLY_UNIT_WEEK: *rule = (struct unit_rule){TO_DAYS, 7}; return true;
  case TLY_UNIT_MONTH: *rule = (struct unit_rule){TO_MONTHS, 1}; return true;
  case TLY_UNIT_YEAR: *rule = (struct unit_rule){TO_MONTHS, TLY_MONTHS_PER_YEAR}; return true;
  case TLY_UNIT_DECADE: *rule = (struct unit_rule){TO_MONTHS, 10 * TLY_MONTHS_PER_YEAR}; return true;
  case TLY_UNIT_CENTURY: *rule = (struct unit_rule){TO_MONTHS, 100 * TLY_MONTHS_PER_YEAR}; return true;
  case TLY_UNIT_MILLENNIUM: *rule = (struct unit_rule){TO_MONTHS, 1000 * TLY_MONTHS_PER_YEAR}; return true;
  default: return false;
  }
}

/* --- fields --------------------------------------------------------------------------------------------------------
 */

static bool is_number_character(char character) {
  return isdigit((unsigned char)character) || character == '.' || character == ':' || character == '-';
}

/* Steps over one number with its sign; a point at its end must not touch a word. False: no field starts so. */
static bool skip_number(const char *text, size_t size, size_t *place) {
  bool has_sign = text[*place] == '+' || text[*place] == '-';
  *place += has_sign;
  while (has_sign && *place < size && isspace((unsigned char)text[*place])) /* a sign may stand apart */
    ++*place;
  if (*place == size || !(isdigit((unsigned char)text[*place]) || (text[*place] == '.' && !has_sign)))
    return false;
  while (*place < size && is_number_character(text[*place]))
    ++*place;
  return *place == size || text[*place - 1] != '.' || !isalpha((unsigned char)text[*place]);
}

/* Words, and numbers with what stands in them; @ and spaces between mean nothing. */
static bool split_fields(const char *text, size_t size, struct field *fields, int *count) {
  *count = 0;
  for (size_t place = 0; place < size;) {
    size_t start = place;
    bool is_word = isalpha((unsigned char)text[place]) != 0;
    if (isspace((unsigned char)text[place]) || text[place] == '@') {
      place++;
      continue;
    }
    while (is_word && place < size && isalpha((unsigned char)text[place]))
      place++;
    if ((!is_word && !skip_number(text, size, &place)) || *count == FIELDS_MAX)
      return false;
    fields[(*count)++] = (struct field){.text = text + start, .size = place - start, .is_word = is_word};
  }
  return *count > 0;
}

/* Copies a field without the spaces behind its sign, so that strtod and strtoll see its end. */
static void copy_field(const struct field *field, char *out) {
  for (size_t i = 0; i < field->size; i++)
    if (!isspace((unsigned char)field->text[i]))
      *out++ = field->text[i];
  *out = '\0';
}

/* What has been read so far, from the right. */
struct interval_scan {
  struct tly_interval *interval;
  enum tly_unit next_unit; /* of the next number to the left */
  uint32_t seen;           /* bits of enum tly_unit */
};

static enum scan_result mark_seen(struct interval_scan *scan, uint32_t units) {
  bool is_twice = (scan->seen & units) != 0;
  scan->seen |= units;
  return is_twice ? SCAN_BAD_SYNTAX : SCAN_OK;
}

static bool scan_fraction(const char *point, double *fraction) {
  size_t digits = strspn(point + 1, "0123456789");
  if (point[1 + digits] != '\0')
    return false;
  *fraction = digits == 0 ? 0 : strtod(point, NULL);
  return true;
}

/* [h]:m[:s[.f]]; m:s.f when there is one colon and a fraction. `text` has no sign. */
static enum scan_result scan_time(const char *text, int64_t *microseconds) {
  long long parts[3] = {0, 0, 0};
  int count = 0;
  double fraction = 0;
  for (bool has_more = true; has_more; count++) {
    char *end;
    if (!isdigit((unsigned char)*text))
      return SCAN_BAD_SYNTAX;
    parts[count] = strtoll(text, &end, 10);
    bool has_colon = *end == ':' && count < 2;
    text = end + has_colon;
    has_more = has_colon && !(*text == '\0' && count == 1); /* a colon at the end means no seconds */
  }
  if (count < 2 || (*text != '\0' && (*text != '.' || !scan_fraction(text, &fraction))))
    return SCAN_BAD_SYNTAX;
  if (count == 2 && *text == '.') {
    parts[2] = parts[1];
    parts[1] = parts[0];
    parts[0] = 0;
  }
  if (parts[1] > 59 || parts[2] > 60)
    return SCAN_OUT_OF_RANGE;
  int64_t rest_us = parts[1] * TLY_US_PER_MINUTE + parts[2] * TLY_US_PER_SECOND + (int64_t)rint(fraction * 1e6);
  return checked(!__builtin_mul_overflow(parts[0], TLY_US_PER_HOUR, microseconds) &&
                 !__builtin_add_overflow(*microseconds, rest_us, microseconds));
}

static enum scan_result add_time(struct interval_scan *scan, const char *text) {
  int64_t microseconds;
  const uint32_t units = 1u << TLY_UNIT_HOUR | 1u << TLY_UNIT_MINUTE | ALL_SECONDS;
  bool has_sign = *text == '-' || *text == '+';
  enum scan_result result = scan_time(text + has_sign, &microseconds);
  if (result != SCAN_OK)
    return result;
  scan->interval->microseconds = *text == '-' ? -microseconds : microseconds;
  scan->next_unit = TLY_UNIT_DAY;
  return mark_seen(scan, units);
}

/* years-months */
static enum scan_result scan_year_month(char *end, bool is_negative, struct quantity *quantity) {
  if (!isdigit((unsigned char)end[1]))
    return SCAN_BAD_SYNTAX;
  long long months = strtoll(end + 1, &end, 10);
  if (months >= TLY_MONTHS_PER_YEAR)
    return SCAN_OUT_OF_RANGE;
  if (*end != '\0')
    return SCAN_BAD_SYNTAX;
  return checked(!__builtin_mul_overflow(quantity->whole, TLY_MONTHS_PER_YEAR, &quantity->whole) &&
                 !__builtin_add_overflow(quantity->whole, is_negative ? -months : months, &quantity->whole));
}

static uint32_t units_of(enum tly_unit unit, double fraction) {
  if (unit == TLY_UNIT_SECOND && fraction != 0)
    return ALL_SECONDS;
  return 1u << unit;
}

static enum scan_result add_number(struct interval_scan *scan, const char *text) {
  bool is_negative = *text == '-';
  char *end;
  long long whole = strtoll(text, &end, 10);
  if ((whole == INT64_MAX || whole == INT64_MIN) && end > text + 18)
    return SCAN_OUT_OF_RANGE;
  if (end == text && *(end += *text == '-' || *text == '+') != '.')
    return SCAN_BAD_SYNTAX;
  struct quantity quantity = {.whole = whole};
  if (*end == '-') {
    enum scan_result result = scan_year_month(end, is_negative, &quantity);
    if (result != SCAN_OK)
      return result;
    scan->next_unit = TLY_UNIT_MONTH;
  } else if (*end == '.') {
    if (!scan_fraction(end, &quantity.fraction))
      return SCAN_BAD_SYNTAX;
    if (is_negative)
      quantity.fraction = -quantity.fraction;
  } else if (*end != '\0') {
    return SCAN_BAD_SYNTAX;
  }
  struct unit_rule rule;
  if (!rule_of(scan->next_unit, &rule))
    return SCAN_BAD_SYNTAX;
  uint32_t units = units_of(scan->next_unit, quantity.fraction);
  if (scan->next_unit == TLY_UNIT_HOUR) /* '3 4 hours' is three days and four hours */
    scan->next_unit = TLY_UNIT_DAY;
  enum scan_result result = checked(add_quantity(quantity, rule, scan->interval));
  return result != SCAN_OK ? result : mark_seen(scan, units);
}

static enum scan_result add_field(struct interval_scan *scan, const struct field *field) {
  char text[TLY_DATETIME_BYTES_MAX + 1];
  if (field->is_word) {
    struct unit_rule rule;
    scan->next_unit = tly_unit_of(field->text, field->size);
    return rule_of(scan->next_unit, &rule) ? SCAN_OK : SCAN_BAD_SYNTAX;
  }
  copy_field(field, text);
  return strchr(text, ':') != NULL ? add_time(scan, text) : add_number(scan, text);
}

static enum scan_result scan_quantities(const char *text, size_t size, struct tly_interval *interval) {
  struct field fields[FIELDS_MAX];
  int count;
  if (!split_fields(text, size, fields, &count))
    return SCAN_BAD_SYNTAX;
  bool is_ago =
      fields[count - 1].is_word && fields[count - 1].size == 3 && strncasecmp(fields[count - 1].text, "ago", 3) == 0;
  count -= is_ago;
  struct interval_scan scan = {.interval = interval, .next_unit = TLY_UNIT_SECOND};
  while (count > 0) {
    enum scan_result result = add_field(&scan, &fields[--count]);
    if (result != SCAN_OK)
      return result;
  }
  if (scan.seen == 0)
    return SCAN_BAD_SYNTAX;
  struct tly_interval none = {0};
  return checked(!is_ago || tly_interval_add(none, *interval, -1, interval, NULL) == TLY_OK);
}

/* --- ISO 8601 ------------------------------------------------------------------------------------------------------
 */

static bool scan_iso_number(const char **text, struct quantity *quantity) {
  char *end;
  if (!isdigit((unsigned char)**text) && **text != '-' && **text != '.')
    return false;
  double value = strtod(*text, &end);
  if (end == *text || !(fabs(value) <= 1e15))
    return false;
  *text = end;
  quantity->whole = (int64_t)trunc(value);
  quantity->fraction = value - (double)quantity->whole;
  return true;
}

static enum tly_unit iso_unit(char letter, bool is_in_time) {
  switch (letter) {
  case 'Y': return is_in_time ? TLY_UNIT_NONE : TLY_UNIT_YEAR;
  case 'M': return is_in_time ? TLY_UNIT_MINUTE : TLY_UNIT_MONTH;
  case 'W': return is_in_time ? TLY_UNIT_NONE : TLY_UNIT_WEEK;
  case 'D': return is_in_time ? TLY_UNIT_NONE : TLY_UNIT_DAY;
  case 'H': return is_in_time ? TLY_UNIT_HOUR : TLY_UNIT_NONE;
  case 'S': return is_in_time ? TLY_UNIT_SECOND : TLY_UNIT_NONE;
  default: return TLY_UNIT_NONE;
  }
}

/* `text` follows the P. */
static enum scan_result scan_iso(const char *text, struct tly_interval *interval) {
  bool is_in_time = false;
  if (*text == '\0')
    return SCAN_BAD_SYNTAX;
  while (*text != '\0') {
    struct quantity quantity;
    struct unit_rule rule;
    if (!is_in_time && *text == 'T') {
      is_in_time = true;
      text++;
      continue;
    }
    if (!scan_iso_number(&text, &quantity) || !rule_of(iso_unit(*text, is_in_time), &rule))
      return SCAN_BAD_SYNTAX;
    if (!add_quantity(quantity, rule, interval))
      return SCAN_OUT_OF_RANGE;
    text++;
  }
  return SCAN_OK;
}

enum tly_status tly_interval_parse(const char *text, size_t size, struct tly_interval *out, struct tly_error *error) {
  char copy[TLY_DATETIME_BYTES_MAX + 1];
  int shown = size < SHOWN_BYTES_MAX ? (int)size : SHOWN_BYTES_MAX;
  enum scan_result result = SCAN_BAD_SYNTAX;
  *out = (struct tly_interval){0};
  if (size <= TLY_DATETIME_BYTES_MAX) {
    memcpy(copy, text, size);
    copy[size] = '\0';
    result = copy[0] == 'P' ? scan_iso(copy + 1, out) : scan_quantities(text, size, out);
  }
  if (result == SCAN_OUT_OF_RANGE)
    return TLY_FAIL(error, TLY_E_INTERVAL_OVERFLOW, "interval field value out of range: \"%.*s\"", shown, text);
  if (result != SCAN_OK)
    return TLY_FAIL(error, TLY_E_DATETIME_FORMAT, "invalid input syntax for type interval: \"%.*s\"", shown, text);
  return TLY_OK;
}
