#include "common/event/plain_time.h"

enum { MICROSECOND_DIGITS = 6, ZONE_HOURS_MAX = 14 };

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool two_digits(const char *text, int32_t *value) {
  if (!is_digit(text[0]) || !is_digit(text[1]))
    return false;
  *value = (text[0] - '0') * 10 + (text[1] - '0');
  return true;
}

bool tly_plain_date(const char *text, int64_t *days) {
  static const uint8_t days_in[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  uint64_t pairs;
  int32_t day;
  if (!tly_plain_fields(text, "0000-00-", UINT64_C(0x00FFFF00FFFFFFFF), &pairs) || !two_digits(text + 8, &day))
    return false;
  int32_t year = (int32_t)(pairs & 0xFF) * 100 + (int32_t)(pairs >> 16 & 0xFF);
  int32_t month = (int32_t)(pairs >> 40 & 0xFF);
  if (year < 1 || month < 1 || month > 12)
    return false;
  bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day < 1 || day > days_in[month] + (month == 2 && is_leap))
    return false;
  *days = tly_days_of_civil(year, month, day);
  return true;
}

/* "", "Z", "+hh:mm" or "-hh:mm". */
static bool plain_zone(const char *text, size_t size, int64_t *offset_us) {
  int32_t hours, minutes;
  *offset_us = 0;
  if (size == 0 || (size == 1 && *text == 'Z'))
    return true;
  if (size != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || !two_digits(text + 1, &hours) ||
      !two_digits(text + 4, &minutes) || hours > ZONE_HOURS_MAX || minutes > 59)
    return false;
  int64_t offset = (hours * 60 + minutes) * 60 * TLY_US_PER_SECOND;
  *offset_us = text[0] == '-' ? -offset : offset;
  return true;
}

/* ".5" to ".500000" in microseconds; *size is how long it is, 0 without a point. */
static bool plain_fraction(const char *text, size_t left, int64_t *microseconds, size_t *size) {
  *microseconds = 0;
  *size = 0;
  if (left == 0 || *text != '.')
    return true;
  size_t digits = 0;
  while (digits + 1 < left && is_digit(text[digits + 1])) {
    if (digits == MICROSECOND_DIGITS)
      return false;
    *microseconds = *microseconds * 10 + (text[digits + 1] - '0');
    digits++;
  }
  *size = digits + 1;
  for (size_t i = digits; i < MICROSECOND_DIGITS; i++)
    *microseconds *= 10;
  return digits > 0;
}

bool tly_plain_timestamp(const char *text, size_t size, bool with_zone, int64_t *microseconds) {
  int64_t days, seconds, fraction_us, offset_us;
  size_t fraction_size;
  if (size < 19 || (text[10] != 'T' && text[10] != ' ') || !tly_plain_date(text, &days) ||
      !tly_plain_seconds(text + 11, &seconds) || !plain_fraction(text + 19, size - 19, &fraction_us, &fraction_size) ||
      !plain_zone(text + 19 + fraction_size, size - 19 - fraction_size, &offset_us))
    return false;
  *microseconds = days * TLY_US_PER_DAY + seconds * TLY_US_PER_SECOND + fraction_us - (with_zone ? offset_us : 0);
  return true;
}
