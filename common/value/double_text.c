/* Doubles as text.
 *
 * Output: the fewest digits that read back as the same double, scientific from 1e15 up and below 1e-4, as PostgreSQL.
 * C has no shortest printer, but a decimal of at most 15 digits survives the way through a double and back, so if 15,
 * 16 or 17 digits are tried in that order the first that reads back is the shortest; subnormal numbers have less
 * precision and start at one digit.
 *
 * Input: strtod, with a shortcut that is exact where both the digits (up to 2^53) and the power of ten (up to 10^22)
 * are doubles, so that one multiplication or division rounds once. */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/value/value.h"

enum { DIGITS_MAX = 17, EXACT_POWER_MAX = 22, SHOWN_BYTES_MAX = 100, PARSE_BYTES_INLINE = 128 };

/* --- print ---------------------------------------------------------------------------------------------------------
 */

/* d[.ddd]e[+-]xx of the least precision that reads back, taken apart: digits without the point and without zeros at the
 * end; the exponent is of the first. */
struct shortest {
  char digits[DIGITS_MAX + 1];
  int count, exponent;
};

static void drop_zeros(struct shortest *shortest) {
  while (shortest->count > 1 && shortest->digits[shortest->count - 1] == '0')
    shortest->count--;
}

static bool find_short_fraction(double magnitude, struct shortest *out) {
  static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
  for (int decimals = 0; decimals < (int)(sizeof powers / sizeof *powers); decimals++) {
    double scaled = rint(magnitude * powers[decimals]);
    if (scaled >= 1e15)
      return false;
    if (scaled / powers[decimals] != magnitude)
      continue;
    char text[24];
    out->count = snprintf(text, sizeof text, "%lld", (long long)scaled);
    memcpy(out->digits, text, (size_t)out->count);
    out->exponent = out->count - 1 - decimals;
    drop_zeros(out);
    return true;
  }
  return false;
}

static struct shortest shortest_of(double magnitude) {
  char text[40];
  struct shortest shortest = {.count = 0};
  if (magnitude >= 1e-4 && find_short_fraction(magnitude, &shortest))
    return shortest;
  int precision = magnitude < DBL_MIN ? 1 : DBL_DIG;
  for (;; precision++) {
    snprintf(text, sizeof text, "%.*e", precision - 1, magnitude);
    if (precision >= DIGITS_MAX || strtod(text, NULL) == magnitude)
      break;
  }
  const char *place = text;
  for (; *place != 'e'; place++)
    if (*place != '.')
      shortest.digits[shortest.count++] = *place;
  drop_zeros(&shortest);
  shortest.exponent = atoi(place + 1);
  return shortest;
}

static void print_shortest(const struct shortest *shortest, struct tly_buffer *out) {
  int whole = shortest->exponent + 1; /* digits before the point */
  if (shortest->exponent < -4 || shortest->exponent >= 15) {
    tly_buffer_print(out, "%c%s%.*se%c%02d", shortest->digits[0], shortest->count > 1 ? "." : "", shortest->count - 1,
                     shortest->digits + 1, shortest->exponent < 0 ? '-' : '+', abs(shortest->exponent));
  } else if (whole <= 0) {
    tly_buffer_print(out, "0.%.*s%.*s", -whole, "000", shortest->count, shortest->digits);
  } else if (shortest->count <= whole) {
    tly_buffer_print(out, "%.*s%.*s", shortest->count, shortest->digits, whole - shortest->count, "00000000000000");
  } else {
    tly_buffer_print(out, "%.*s.%.*s", whole, shortest->digits, shortest->count - whole, shortest->digits + whole);
  }
}

void tly_double_print(double value, struct tly_buffer *out) {
  TLY_ASSERT(isfinite(value));
  if (value == 0) {
    tly_buffer_append_byte(out, '0');
    return;
  }
  if (value < 0)
    tly_buffer_append_byte(out, '-');
  struct shortest shortest = shortest_of(fabs(value));
  print_shortest(&shortest, out);
}

/* --- parse ---------------------------------------------------------------------------------------------------------
 */

static bool is_digit(char character) {
  return character >= '0' && character <= '9';
}

/* [-]digits[.digits][e[+-]digits] where the digits are at most 18 and the result is exact. */
static bool parse_exactly(const char *text, size_t size, double *out) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char *end = text + size;
  bool is_negative = text < end && *text == '-';
  uint64_t mantissa = 0;
  int digits = 0, exponent = 0, stated = 0;
  text += is_negative;
  for (; text < end && is_digit(*text) && digits < 18; text++, digits++)
    mantissa = mantissa * 10 + (unsigned)(*text - '0');
  if (digits == 0)
    return false;
  if (text < end && *text == '.')
    for (text++; text < end && is_digit(*text) && digits < 18; text++, digits++, exponent--)
      mantissa = mantissa * 10 + (unsigned)(*text - '0');
  if (text < end && (*text == 'e' || *text == 'E')) {
    text++;
    bool is_below = text < end && *text == '-';
    text += is_below || (text < end && *text == '+');
    if (text == end)
      return false;
    for (; text < end && is_digit(*text) && stated < 1000; text++)
      stated = stated * 10 + (*text - '0');
    exponent += is_below ? -stated : stated;
  }
  if (text != end || mantissa > UINT64_C(1) << 53 || abs(exponent) > EXACT_POWER_MAX)
    return false;
  double magnitude = exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
  *out = is_negative && mantissa != 0 ? -magnitude : magnitude; /* never -0 */
  return true;
}

static enum tly_status parse_terminated(const char *text, double *out, struct tly_error *error) {
  char *end;
  /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.ArraySubscript): the text is terminated */
  while (isspace((unsigned char)*text))
    text++;
  errno = 0;
  double value = strtod(text, &end);
  bool is_out_of_range = errno == ERANGE && (value == 0 || isinf(value));
  bool is_empty = end == text;
  while (isspace((unsigned char)*end))
    end++;
  if (is_empty || *end != '\0')
    return TLY_FAIL(error, TLY_E_TEXT_REPRESENTATION, "invalid input syntax for type double precision: \"%.*s\"",
                    SHOWN_BYTES_MAX, text);
  if (is_out_of_range)
    return TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "\"%.*s\" is out of range for type double precision",
                    SHOWN_BYTES_MAX, text);
  if (!isfinite(value))
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "NaN and infinity are not supported: \"%.*s\"", SHOWN_BYTES_MAX, text);
  *out = value == 0 ? 0 : value;
  return TLY_OK;
}

enum tly_status tly_double_parse(const char *text, size_t size, double *out, struct tly_error *error) {
  char copy[PARSE_BYTES_INLINE];
  if (parse_exactly(text, size, out))
    return TLY_OK;
  char *terminated = size < sizeof copy ? copy : tly_malloc(size + 1);
  if (size > 0)
    memcpy(terminated, text, size);
  terminated[size] = '\0';
  enum tly_status status = parse_terminated(terminated, out, error);
  if (terminated != copy)
    tly_free(terminated);
  return status;
}
