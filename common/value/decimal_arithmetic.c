/* Each operation: the operands' coefficients are brought to the scales that make the result an integer operation, in
 * 128 bits with overflow checks, else with GMP. The scales are PostgreSQL's:
 *
 *   a + b, a - b, a % b   max(sa, sb)
 *   a * b                 sa + sb
 *   a / b                 enough for 16 significant digits, judged in its base-10000 digits (division_scale), and not
 *                         less than sa or sb
 *
 * Rounding is half away from zero everywhere. */
#include "common/base/assert.h"
#include "common/value/decimal_internal.h"

/* --- add, subtract, multiply ---------------------------------------------------------------------------------------
 */

static bool add_inline(struct tly_decimal a, struct tly_decimal b, struct tly_decimal *out) {
  if (!tly_decimal_is_inline(a) || !tly_decimal_is_inline(b))
    return false;
  int32_t scale = a.scale > b.scale ? a.scale : b.scale;
  tly_u128 left, right, sum;
  if (!tly_u128_scale_up(tly_decimal_magnitude(a), scale - a.scale, &left) ||
      !tly_u128_scale_up(tly_decimal_magnitude(b), scale - b.scale, &right))
    return false;
  bool is_negative = a.limb_count < 0;
  if (is_negative == (b.limb_count < 0)) {
    if (__builtin_add_overflow(left, right, &sum))
      return false;
  } else if (left >= right) {
    sum = left - right;
  } else {
    sum = right - left;
    is_negative = !is_negative;
  }
  *out = tly_decimal_of_magnitude(is_negative, sum, scale);
  return true;
}

enum tly_status tly_decimal_add(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                struct tly_decimal *out, struct tly_error *error) {
  if (add_inline(a, b, out))
    return TLY_OK;
  mpz_t left, right, sum;
  int32_t scale = a.scale > b.scale ? a.scale : b.scale;
  tly_decimal_view(left, &a);
  tly_decimal_view(right, &b);
  mpz_init(sum);
  if (a.scale != b.scale) {
    tly_mpz_power_of_ten(sum, 2 * scale - a.scale - b.scale); /* one of them needs nothing */
    mpz_mul(sum, sum, a.scale < b.scale ? left : right);
    mpz_add(sum, sum, a.scale < b.scale ? right : left);
  } else {
    mpz_add(sum, left, right);
  }
  enum tly_status status = tly_decimal_take(sum, scale, arena, out, error);
  mpz_clear(sum);
  return status;
}

enum tly_status tly_decimal_subtract(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                     struct tly_decimal *out, struct tly_error *error) {
  return tly_decimal_add(a, tly_decimal_negate(b), arena, out, error);
}

enum tly_status tly_decimal_multiply(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                     struct tly_decimal *out, struct tly_error *error) {
  int32_t scale = a.scale + b.scale;
  if (scale > TLY_DECIMAL_DIGITS_MAX)
    return tly_decimal_overflow(error);
  tly_u128 magnitude;
  if (tly_decimal_is_inline(a) && tly_decimal_is_inline(b) &&
      !__builtin_mul_overflow(tly_decimal_magnitude(a), tly_decimal_magnitude(b), &magnitude)) {
    *out = tly_decimal_of_magnitude((a.limb_count < 0) != (b.limb_count < 0), magnitude, scale);
    return TLY_OK;
  }
  mpz_t left, right, product;
  tly_decimal_view(left, &a);
  tly_decimal_view(right, &b);
  mpz_init(product);
  mpz_mul(product, left, right);
  enum tly_status status = tly_decimal_take(product, scale, arena, out, error);
  mpz_clear(product);
  return status;
}

/* --- divide, modulo ------------------------------------------------------------------------------------------------
 */

/* The first base-10000 digit of a value as PostgreSQL stores it (digits aligned at the point), and its exponent. */
struct leading_digit {
  int32_t weight, digit;
};

static struct leading_digit leading_digit_of(struct tly_decimal value) {
  if (value.limb_count == 0)
    return (struct leading_digit){0, 0};
  int32_t digits = tly_decimal_digits(value);
  int32_t exponent = digits - 1 - value.scale; /* of ten, of the first decimal digit */
  int32_t weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4);
  int32_t shown = exponent - 4 * weight + 1; /* how many decimal digits stand in it: 1 to 4 */
  if (tly_decimal_is_inline(value)) {
    tly_u128 magnitude = tly_decimal_magnitude(value);
    tly_u128 digit =
        digits >= shown ? magnitude / tly_power_of_ten(digits - shown) : magnitude * tly_power_of_ten(shown - digits);
    return (struct leading_digit){weight, (int32_t)digit};
  }
  mpz_t view, power;
  tly_decimal_view(view, &value);
  mpz_init(power);
  tly_mpz_power_of_ten(power, digits - shown);
  mpz_tdiv_q(power, view, power);
  struct leading_digit leading = {weight, (int32_t)mpz_get_ui(power)};
  mpz_clear(power);
  return leading;
}

/* select_div_scale() of numeric.c. */
static int32_t division_scale(struct tly_decimal a, struct tly_decimal b) {
  struct leading_digit left = leading_digit_of(a), right = leading_digit_of(b);
  int32_t quotient_weight = left.weight - right.weight - (left.digit <= right.digit);
  int32_t scale = 16 - 4 * quotient_weight;
  if (scale < a.scale)
    scale = a.scale;
  if (scale < b.scale)
    scale = b.scale;
  return scale > TLY_DECIMAL_DIGITS_MAX ? TLY_DECIMAL_DIGITS_MAX : scale;
}

static enum tly_status division_by_zero(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_DIVISION_BY_ZERO, "division by zero");
}

enum tly_status tly_decimal_divide(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                   struct tly_decimal *out, struct tly_error *error) {
  if (b.limb_count == 0)
    return division_by_zero(error);
  int32_t scale = division_scale(a, b);
  int32_t shift = scale - a.scale + b.scale; /* a * 10^shift / b has `scale` digits; not negative: scale >= sa */
  tly_u128 numerator;
  if (tly_decimal_is_inline(a) && tly_decimal_is_inline(b) &&
      tly_u128_scale_up(tly_decimal_magnitude(a), shift, &numerator)) {
    tly_u128 denominator = tly_decimal_magnitude(b);
    tly_u128 quotient = numerator / denominator;
    tly_u128 remainder = numerator - quotient * denominator;
    quotient += remainder >= denominator - remainder;
    *out = tly_decimal_of_magnitude((a.limb_count < 0) != (b.limb_count < 0), quotient, scale);
    return TLY_OK;
  }
  mpz_t left, right, quotient;
  tly_decimal_view(left, &a);
  tly_decimal_view(right, &b);
  mpz_init(quotient);
  tly_mpz_power_of_ten(quotient, shift);
  mpz_mul(quotient, quotient, left);
  tly_mpz_divide_round(quotient, quotient, right);
  enum tly_status status = tly_decimal_take(quotient, scale, arena, out, error);
  mpz_clear(quotient);
  return status;
}

enum tly_status tly_decimal_modulo(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                   struct tly_decimal *out, struct tly_error *error) {
  if (b.limb_count == 0)
    return division_by_zero(error);
  int32_t scale = a.scale > b.scale ? a.scale : b.scale;
  tly_u128 dividend, divisor;
  if (tly_decimal_is_inline(a) && tly_decimal_is_inline(b) &&
      tly_u128_scale_up(tly_decimal_magnitude(a), scale - a.scale, &dividend) &&
      tly_u128_scale_up(tly_decimal_magnitude(b), scale - b.scale, &divisor)) {
    *out = tly_decimal_of_magnitude(a.limb_count < 0, dividend % divisor, scale);
    return TLY_OK;
  }
  mpz_t view, left, right;
  mpz_inits(left, right, NULL);
  tly_mpz_power_of_ten(left, scale - a.scale);
  tly_decimal_view(view, &a);
  mpz_mul(left, left, view);
  tly_mpz_power_of_ten(right, scale - b.scale);
  tly_decimal_view(view, &b);
  mpz_mul(right, right, view);
  mpz_tdiv_r(left, left, right);
  enum tly_status status = tly_decimal_take(left, scale, arena, out, error);
  mpz_clears(left, right, NULL);
  return status;
}

/* --- rounding ------------------------------------------------------------------------------------------------------
 */

static enum tly_status pad(struct tly_decimal value, int32_t scale, struct tly_arena *arena, struct tly_decimal *out,
                           struct tly_error *error) {
  tly_u128 magnitude;
  if (scale > TLY_DECIMAL_DIGITS_MAX)
    return tly_decimal_overflow(error);
  if (tly_decimal_is_inline(value) &&
      tly_u128_scale_up(tly_decimal_magnitude(value), scale - value.scale, &magnitude)) {
    *out = tly_decimal_of_magnitude(value.limb_count < 0, magnitude, scale);
    return TLY_OK;
  }
  mpz_t view, padded;
  tly_decimal_view(view, &value);
  mpz_init(padded);
  tly_mpz_power_of_ten(padded, scale - value.scale);
  mpz_mul(padded, padded, view);
  enum tly_status status = tly_decimal_take(padded, scale, arena, out, error);
  mpz_clear(padded);
  return status;
}

/* Drop `dropped` digits, put back `zeros` of them as zeros before the point. */
static enum tly_status cut(struct tly_decimal value, int32_t dropped, int32_t zeros, struct tly_arena *arena,
                           struct tly_decimal *out, struct tly_error *error) {
  int32_t scale = value.scale - dropped + zeros;
  if (tly_decimal_digits(value) < dropped) {
    *out = tly_decimal_of_i64(0, scale);
    return TLY_OK;
  }
  tly_u128 magnitude;
  if (tly_decimal_is_inline(value) &&
      tly_u128_scale_up(tly_u128_scale_down(tly_decimal_magnitude(value), dropped), zeros, &magnitude)) {
    *out = tly_decimal_of_magnitude(value.limb_count < 0, magnitude, scale);
    return TLY_OK;
  }
  mpz_t view, rounded, power;
  tly_decimal_view(view, &value);
  mpz_init_set(rounded, view);
  mpz_init(power);
  tly_mpz_scale_down(rounded, dropped);
  tly_mpz_power_of_ten(power, zeros);
  mpz_mul(rounded, rounded, power);
  enum tly_status status = tly_decimal_take(rounded, scale, arena, out, error);
  mpz_clears(rounded, power, NULL);
  return status;
}

enum tly_status tly_decimal_round(struct tly_decimal value, int32_t scale, struct tly_arena *arena,
                                  struct tly_decimal *out, struct tly_error *error) {
  if (scale >= value.scale)
    return pad(value, scale, arena, out, error);
  if (scale < -TLY_DECIMAL_DIGITS_MAX - 1) /* every value is 0 there */
    scale = -TLY_DECIMAL_DIGITS_MAX - 1;
  return cut(value, value.scale - scale, scale < 0 ? -scale : 0, arena, out, error);
}

/* The integer next to `value` on the side of `direction` (-1 down, +1 up). */
static enum tly_status round_towards(int direction, struct tly_decimal value, struct tly_arena *arena,
                                     struct tly_decimal *out, struct tly_error *error) {
  struct tly_decimal nearest;
  TLY_TRY(tly_decimal_round(value, 0, arena, &nearest, error));
  if (tly_decimal_compare(nearest, value) != -direction) {
    *out = nearest;
    return TLY_OK;
  }
  return tly_decimal_add(nearest, tly_decimal_of_i64(direction, 0), arena, out, error);
}

enum tly_status tly_decimal_floor(struct tly_decimal value, struct tly_arena *arena, struct tly_decimal *out,
                                  struct tly_error *error) {
  return round_towards(-1, value, arena, out, error);
}

enum tly_status tly_decimal_ceil(struct tly_decimal value, struct tly_arena *arena, struct tly_decimal *out,
                                 struct tly_error *error) {
  return round_towards(+1, value, arena, out, error);
}

static struct tly_decimal normalize_inline(struct tly_decimal value) {
  tly_u128 magnitude = tly_decimal_magnitude(value);
  while (value.scale > 0 && magnitude > UINT64_MAX && magnitude % 10 == 0) {
    magnitude /= 10;
    value.scale--;
  }
  if (magnitude <= UINT64_MAX) { /* 64-bit division is some ten times faster */
    uint64_t narrow = (uint64_t)magnitude;
    while (value.scale > 0 && narrow % 10 == 0) {
      narrow /= 10;
      value.scale--;
    }
    magnitude = narrow;
  }
  return tly_decimal_of_magnitude(value.limb_count < 0, magnitude, value.scale);
}

struct tly_decimal tly_decimal_normalize(struct tly_decimal value, struct tly_arena *arena) {
  if (value.limb_count == 0)
    return tly_decimal_of_i64(0, 0);
  if (tly_decimal_is_inline(value))
    return normalize_inline(value);
  mpz_t view, rest, ten;
  tly_decimal_view(view, &value);
  mpz_init_set(rest, view);
  mpz_init_set_ui(ten, 10);
  while (value.scale > 0 && mpz_divisible_ui_p(rest, 10)) {
    mpz_divexact(rest, rest, ten);
    value.scale--;
  }
  struct tly_decimal normal;
  enum tly_status status = tly_decimal_take(rest, value.scale, arena, &normal, NULL);
  TLY_ASSERT(status == TLY_OK); /* it has no more digits than `value` */
  mpz_clears(rest, ten, NULL);
  return normal;
}

enum tly_status tly_decimal_to_typmod(struct tly_decimal value, int32_t precision, int32_t scale,
                                      struct tly_arena *arena, struct tly_decimal *out, struct tly_error *error) {
  TLY_TRY(tly_decimal_round(value, scale, arena, out, error));
  int32_t whole_digits_max = precision - scale;
  if (out->limb_count == 0 || tly_decimal_digits(*out) - out->scale <= whole_digits_max)
    return TLY_OK;
  enum tly_status status = TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "numeric field overflow");
  tly_error_hint(error, "A field with precision %d, scale %d must round to an absolute value less than %s%d.",
                 precision, scale, whole_digits_max != 0 ? "10^" : "", whole_digits_max != 0 ? whole_digits_max : 1);
  return status;
}
