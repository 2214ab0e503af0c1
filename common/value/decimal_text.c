/* Decimals as text, and the ways to and from integers and doubles that PostgreSQL takes through text.
 *
 * Input is numeric_in's: spaces around; a sign; digits with at most one point; an exponent. The display scale is the
 * count of digits behind the point less the exponent, at least 0, so that 1.50e1 is 15.0 and 1e-3 is 0.001. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/value/decimal_internal.h"

enum {
  EXPONENT_MAX = INT32_MAX / 2, /* larger ones overflow whatever the digits are */
  MESSAGE_TEXT_MAX = 100,       /* characters of a bad input that are shown */
  NUMERIC_DOUBLE_DIGITS = 15    /* DBL_DIG, as PostgreSQL converts */
};

/* --- parse ---------------------------------------------------------------------------------------------------------
 */

struct scan {
  const char *next, *end;
};

/* What a numeric text says: digits without leading zeros, times 10^exponent. */
struct numeral {
  char digits[TLY_DECIMAL_DIGITS_MAX + 1];
  int32_t digit_count;
  int32_t exponent, fraction_digits;
  bool is_negative, has_too_many_digits, is_exponent_out_of_range;
};

static char peek(const struct scan *scan) {
  return scan->next < scan->end ? *scan->next : '\0';
}

static bool is_digit(char character) {
  return character >= '0' && character <= '9';
}

static bool skip(struct scan *scan, char character) {
  bool is_there = scan->next < scan->end && *scan->next == character;
  scan->next += is_there;
  return is_there;
}

static void skip_spaces(struct scan *scan) {
  while (scan->next < scan->end && isspace((unsigned char)*scan->next))
    scan->next++;
}

static void add_digit(struct numeral *numeral, char digit) {
  if (numeral->digit_count == 0 && digit == '0')
    return;
  if (numeral->digit_count == TLY_DECIMAL_DIGITS_MAX)
    numeral->has_too_many_digits = true;
  else
    numeral->digits[numeral->digit_count++] = digit;
}

/* [digits] [. [digits]], with a digit at the front or behind a leading point. */
static bool scan_digits(struct scan *scan, struct numeral *numeral) {
  bool has_point = skip(scan, '.');
  if (!is_digit(peek(scan)))
    return false;
  for (;; scan->next++) {
    if (!has_point && peek(scan) == '.') {
      has_point = true;
      continue;
    }
    if (!is_digit(peek(scan)))
      return true;
    add_digit(numeral, *scan->next);
    if (has_point && numeral->fraction_digits < EXPONENT_MAX)
      numeral->fraction_digits++;
  }
}

/* As strtol, which PostgreSQL reads it with: spaces may follow the e. */
static bool scan_exponent(struct scan *scan, struct numeral *numeral) {
  if (peek(scan) != 'e' && peek(scan) != 'E')
    return true;
  scan->next++;
  skip_spaces(scan);
  bool is_negative = skip(scan, '-');
  if (!is_negative)
    skip(scan, '+');
  if (!is_digit(peek(scan)))
    return false;
  int64_t exponent = 0;
  for (; is_digit(peek(scan)); scan->next++)
    if (exponent < EXPONENT_MAX)
      exponent = exponent * 10 + (*scan->next - '0');
  if (exponent >= EXPONENT_MAX)
    numeral->is_exponent_out_of_range = true;
  else
    numeral->exponent = (int32_t)(is_negative ? -exponent : exponent);
  return true;
}

/* False: bad syntax, unless the exponent was out of range, which PostgreSQL reports before it looks at the rest. */
static bool scan_numeral(struct scan *scan, struct numeral *numeral) {
  skip_spaces(scan);
  numeral->is_negative = skip(scan, '-');
  if (!numeral->is_negative)
    skip(scan, '+');
  if (!scan_digits(scan, numeral) || !scan_exponent(scan, numeral))
    return false;
  skip_spaces(scan);
  return scan->next == scan->end;
}

static bool is_special(const char *text, size_t size) {
  static const char *const words[] = {"nan", "inf", "infinity"};
  struct scan scan = {text, text + size};
  skip_spaces(&scan);
  bool has_sign = skip(&scan, '-') || skip(&scan, '+');
  while (scan.end > scan.next && isspace((unsigned char)scan.end[-1]))
    scan.end--;
  size_t left = (size_t)(scan.end - scan.next);
  for (size_t i = has_sign; i < sizeof words / sizeof *words; i++) /* NaN takes no sign */
    if (strlen(words[i]) == left && strncasecmp(words[i], scan.next, left) == 0)
      return true;
  return false;
}

static enum tly_status refuse_text(const char *text, size_t size, struct tly_error *error) {
  int shown = size < MESSAGE_TEXT_MAX ? (int)size : MESSAGE_TEXT_MAX;
  if (is_special(text, size))
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "NaN and infinity are not supported: \"%.*s\"", shown, text);
  return TLY_FAIL(error, TLY_E_TEXT_REPRESENTATION, "invalid input syntax for type numeric: \"%.*s\"", shown, text);
}

/* The numeral's digits and `zeros` more as a decimal; `scale` is within bounds. */
static enum tly_status take_numeral(struct numeral *numeral, int32_t zeros, int32_t scale, struct tly_arena *arena,
                                    struct tly_decimal *out, struct tly_error *error) {
  if (numeral->digit_count + zeros > TLY_DECIMAL_DIGITS_MAX)
    return tly_decimal_overflow(error);
  memset(numeral->digits + numeral->digit_count, '0', (size_t)zeros);
  int32_t count = numeral->digit_count + zeros;
  numeral->digits[count] = '\0';
  if (count <= TLY_U128_DIGITS_MAX) {
    tly_u128 magnitude = 0;
    for (int32_t i = 0; i < count; i++)
      magnitude = magnitude * 10 + (unsigned)(numeral->digits[i] - '0');
    *out = tly_decimal_of_magnitude(numeral->is_negative, magnitude, scale);
    return TLY_OK;
  }
  mpz_t coefficient;
  int bad = mpz_init_set_str(coefficient, numeral->digits, 10);
  TLY_ASSERT(bad == 0);
  if (numeral->is_negative)
    mpz_neg(coefficient, coefficient);
  enum tly_status status = tly_decimal_take(coefficient, scale, arena, out, error);
  mpz_clear(coefficient);
  return status;
}

enum tly_status tly_decimal_parse(const char *text, size_t size, struct tly_arena *arena, struct tly_decimal *out,
                                  struct tly_error *error) {
  struct scan scan = {text, text + size};
  struct numeral numeral;
  numeral.digit_count = numeral.exponent = numeral.fraction_digits = 0;
  numeral.has_too_many_digits = numeral.is_exponent_out_of_range = false;
  bool is_numeral = scan_numeral(&scan, &numeral);
  if (numeral.is_exponent_out_of_range)
    return tly_decimal_overflow(error);
  if (!is_numeral)
    return refuse_text(text, size, error);
  int32_t scale = numeral.fraction_digits - numeral.exponent;
  int32_t zeros = scale < 0 && numeral.digit_count > 0 ? -scale : 0;
  if (scale < 0)
    scale = 0;
  if (numeral.has_too_many_digits || scale > TLY_DECIMAL_DIGITS_MAX || zeros > TLY_DECIMAL_DIGITS_MAX)
    return tly_decimal_overflow(error);
  return take_numeral(&numeral, zeros, scale, arena, out, error);
}

/* --- print ---------------------------------------------------------------------------------------------------------
 */

/* Digits of a magnitude below 2^128 (at most 39), right-aligned before `end`; returns where they start. */
static char *print_u128(tly_u128 value, char *end) {
  while (value > UINT64_MAX) {
    tly_u128 quotient = value / UINT64_C(10000000000000000000);
    uint64_t rest = (uint64_t)(value - quotient * UINT64_C(10000000000000000000));
    for (int i = 0; i < 19; i++) {
      *--end = (char)('0' + rest % 10);
      rest /= 10;
    }
    value = quotient;
  }
  for (uint64_t rest = (uint64_t)value; rest > 0; rest /= 10)
    *--end = (char)('0' + rest % 10);
  return end;
}

/* `count` digits of a coefficient, the last `scale` of them behind the point. */
static void print_digits(const char *digits, size_t count, size_t scale, struct tly_buffer *out) {
  uint8_t *place = tly_buffer_reserve(out, count + scale + 3), *start = place;
  size_t whole = count > scale ? count - scale : 0;
  if (whole == 0)
    *place++ = '0';
  memcpy(place, digits, whole);
  place += whole;
  if (scale > 0) {
    size_t zeros = scale - (count - whole);
    *place++ = '.';
    memset(place, '0', zeros);
    memcpy(place + zeros, digits + whole, count - whole);
    place += scale;
  }
  out->size += (size_t)(place - start);
}

void tly_decimal_print(struct tly_decimal value, struct tly_buffer *out) {
  if (value.limb_count < 0)
    tly_buffer_append_byte(out, '-');
  if (tly_decimal_is_inline(value)) {
    char digits[40];
    char *start = print_u128(tly_decimal_magnitude(value), digits + sizeof digits);
    print_digits(start, (size_t)(digits + sizeof digits - start), (size_t)value.scale, out);
    return;
  }
  char digits[TLY_DECIMAL_DIGITS_MAX + 3]; /* GMP wants room for a sign and the end */
  mpz_t view;
  struct tly_decimal magnitude = tly_decimal_absolute(value);
  tly_decimal_view(view, &magnitude);
  mpz_get_str(digits, 10, view);
  print_digits(digits, strlen(digits), (size_t)value.scale, out);
}

/* --- integers and doubles ------------------------------------------------------------------------------------------
 */

enum tly_status tly_decimal_to_i64(struct tly_decimal value, int64_t *out, struct tly_error *error) {
  struct tly_arena arena;
  struct tly_decimal rounded;
  tly_i128 wide;
  tly_arena_init(&arena);
  enum tly_status status = tly_decimal_round(value, 0, &arena, &rounded, error);
  TLY_ASSERT(status == TLY_OK || status == TLY_E_NUMERIC_OUT_OF_RANGE);
  bool fits = status == TLY_OK && tly_decimal_to_i128(rounded, 0, &wide) && wide >= INT64_MIN && wide <= INT64_MAX;
  tly_arena_free(&arena);
  if (!fits)
    return TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "bigint out of range");
  *out = (int64_t)wide;
  return TLY_OK;
}

/* Both operands are doubles exactly, so the one division rounds once. */
static bool convert_exactly(struct tly_decimal value, double *out) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (!tly_decimal_is_inline(value) || tly_decimal_magnitude(value) > UINT64_C(1) << 53 ||
      value.scale >= (int32_t)(sizeof powers / sizeof *powers))
    return false;
  double magnitude = (double)value.small[0] / powers[value.scale];
  *out = value.limb_count < 0 ? -magnitude : magnitude;
  return true;
}

enum tly_status tly_decimal_to_double(struct tly_decimal value, double *out, struct tly_error *error) {
  if (convert_exactly(value, out))
    return TLY_OK;
  struct tly_buffer text = {0};
  tly_decimal_print(value, &text);
  double result = strtod(tly_buffer_text(&text), NULL);
  bool is_out_of_range = !isfinite(result) || (result == 0 && value.limb_count != 0);
  enum tly_status status = TLY_OK;
  if (is_out_of_range)
    status = TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "\"%.*s\" is out of range for type double precision",
                      MESSAGE_TEXT_MAX, (const char *)text.data);
  else
    *out = result == 0 ? 0 : result;
  tly_buffer_free(&text);
  return status;
}

enum tly_status tly_decimal_of_double(double value, struct tly_arena *arena, struct tly_decimal *out,
                                      struct tly_error *error) {
  char text[40];
  TLY_ASSERT(isfinite(value));
  int size = snprintf(text, sizeof text, "%.*g", NUMERIC_DOUBLE_DIGITS, value);
  return tly_decimal_parse(text, (size_t)size, arena, out, error);
}
