/* A decimal is sign, magnitude and scale. The magnitude is a row of 64-bit limbs without leading zero limbs; up to two
 * stand in the value itself, so sums of money never allocate. Arithmetic (decimal_arithmetic.c) first tries 128 bits
 * with overflow checks and falls back to GMP only when that fails: both give the same value, and since the form of a
 * value is a function of the value (check_invariants) nobody can tell which way it came.
 *
 * INVARIANTS (check_invariants)
 *   (1) 0 <= scale <= TLY_DECIMAL_DIGITS_MAX.
 *   (2) The highest limb is not zero: zero has limb_count 0, and a magnitude below 2^128 is always inline.
 *   (3) small[] beyond limb_count is zero, so that the magnitude of an inline value is always small[1]:small[0]. */
#include "common/value/decimal.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/value/decimal_internal.h"

static void check_invariants(struct tly_decimal value) {
  TLY_ASSERT(value.scale >= 0 && value.scale <= TLY_DECIMAL_DIGITS_MAX);
  if (tly_decimal_is_inline(value)) {
    int count = abs(value.limb_count);
    TLY_ASSERT(count == 2 ? value.small[1] != 0 : value.small[1] == 0);
    TLY_ASSERT(count == 0 ? value.small[0] == 0 : count == 2 || value.small[0] != 0);
  } else {
    TLY_ASSERT(value.limbs[abs(value.limb_count) - 1] != 0);
  }
}

/* --- 128 bits ------------------------------------------------------------------------------------------------------
 */

#define TEN_19 UINT64_C(10000000000000000000)

static const uint64_t u64_powers[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    TEN_19,
};

tly_u128 tly_power_of_ten(int32_t exponent) {
  TLY_ASSERT(exponent >= 0 && exponent <= TLY_U128_DIGITS_MAX);
  return exponent <= 19 ? u64_powers[exponent] : (tly_u128)u64_powers[exponent - 19] * TEN_19;
}

static int32_t u64_digits(uint64_t value) {
  if (value == 0)
    return 0;
  int32_t bits = 64 - __builtin_clzll(value);
  int32_t guess = bits * 1233 >> 12; /* bits * log10(2), rounded down */
  return guess + (value >= u64_powers[guess]);
}

int32_t tly_u128_digits(tly_u128 value) {
  if (value < TEN_19)
    return u64_digits((uint64_t)value);
  value /= TEN_19;
  return value < TEN_19 ? 19 + u64_digits((uint64_t)value) : 38 + u64_digits((uint64_t)(value / TEN_19));
}

bool tly_u128_scale_up(tly_u128 value, int32_t exponent, tly_u128 *out) {
  if (exponent > TLY_U128_DIGITS_MAX) {
    *out = 0;
    return value == 0;
  }
  return !__builtin_mul_overflow(value, tly_power_of_ten(exponent), out);
}

tly_u128 tly_u128_scale_down(tly_u128 value, int32_t exponent) {
  if (exponent == 0)
    return value;
  if (exponent > TLY_U128_DIGITS_MAX) /* at most 39 digits: 10^39 halves to more than 2^128 */
    return 0;
  tly_u128 power = tly_power_of_ten(exponent);
  tly_u128 quotient = value / power;
  return quotient + (value - quotient * power >= power / 2);
}

/* --- GMP -----------------------------------------------------------------------------------------------------------
 */

void tly_decimal_view(mpz_t out, const struct tly_decimal *value) {
  const uint64_t *limbs = tly_decimal_is_inline(*value) ? value->small : value->limbs;
  mpz_roinit_n(out, (mp_srcptr)limbs, value->limb_count);
}

void tly_mpz_power_of_ten(mpz_t out, int32_t exponent) {
  TLY_ASSERT(exponent >= 0);
  mpz_ui_pow_ui(out, 10, (unsigned long)exponent);
}

void tly_mpz_set_u128(mpz_t out, tly_u128 value) {
  mpz_set_ui(out, (unsigned long)(value >> 64));
  mpz_mul_2exp(out, out, 64);
  mpz_add_ui(out, out, (unsigned long)value);
}

void tly_mpz_divide_round(mpz_t quotient, const mpz_t numerator, const mpz_t denominator) {
  mpz_t remainder;
  int sign = mpz_sgn(numerator) * mpz_sgn(denominator);
  mpz_init(remainder);
  mpz_t divisor;
  mpz_init_set(divisor, denominator);
  mpz_tdiv_qr(quotient, remainder, numerator, divisor);
  mpz_mul_2exp(remainder, remainder, 1);
  if (mpz_cmpabs(remainder, divisor) >= 0) {
    if (sign < 0)
      mpz_sub_ui(quotient, quotient, 1);
    else
      mpz_add_ui(quotient, quotient, 1);
  }
  mpz_clears(remainder, divisor, NULL);
}

void tly_mpz_scale_down(mpz_t value, int32_t exponent) {
  mpz_t power;
  mpz_init(power);
  tly_mpz_power_of_ten(power, exponent);
  tly_mpz_divide_round(value, value, power);
  mpz_clear(power);
}

enum tly_status tly_decimal_overflow(struct tly_error *error) {
  enum tly_status status = TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "value overflows numeric format");
  tly_error_hint(error, "A number may have %d digits in all.", TLY_DECIMAL_DIGITS_MAX);
  return status;
}

/* Decimal digits, exactly: GMP's own count may be one too high. */
static int32_t mpz_digits(const mpz_t value) {
  if (mpz_sgn(value) == 0)
    return 0;
  size_t digits = mpz_sizeinbase(value, 10);
  mpz_t power;
  mpz_init(power);
  tly_mpz_power_of_ten(power, (int32_t)digits - 1);
  bool is_one_less = mpz_cmpabs(value, power) < 0;
  mpz_clear(power);
  return (int32_t)digits - is_one_less;
}

enum tly_status tly_decimal_take(const mpz_t coefficient, int32_t scale, struct tly_arena *arena,
                                 struct tly_decimal *out, struct tly_error *error) {
  TLY_ASSERT(scale >= 0);
  size_t count = mpz_size(coefficient);
  if (scale > TLY_DECIMAL_DIGITS_MAX || (count > 2 && mpz_digits(coefficient) > TLY_DECIMAL_DIGITS_MAX))
    return tly_decimal_overflow(error);
  *out = (struct tly_decimal){.scale = scale, .limb_count = (int32_t)count * mpz_sgn(coefficient)};
  const mp_limb_t *limbs = mpz_limbs_read(coefficient);
  if (count > 2)
    out->limbs = memcpy(tly_arena_alloc(arena, count * sizeof *limbs), limbs, count * sizeof *limbs);
  else if (count > 0)
    memcpy(out->small, limbs, count * sizeof *limbs);
  check_invariants(*out);
  return TLY_OK;
}

int32_t tly_decimal_digits(struct tly_decimal value) {
  if (tly_decimal_is_inline(value))
    return tly_u128_digits(tly_decimal_magnitude(value));
  mpz_t view;
  tly_decimal_view(view, &value);
  return mpz_digits(view);
}

/* --- integers ------------------------------------------------------------------------------------------------------
 */

struct tly_decimal tly_decimal_of_i64(int64_t coefficient, int32_t scale) {
  return tly_decimal_of_i128(coefficient, scale);
}

struct tly_decimal tly_decimal_of_i128(tly_i128 coefficient, int32_t scale) {
  tly_u128 magnitude = coefficient < 0 ? -(tly_u128)coefficient : (tly_u128)coefficient;
  struct tly_decimal value = tly_decimal_of_magnitude(coefficient < 0, magnitude, scale);
  check_invariants(value);
  return value;
}

/* The magnitude at `scale` digits if that is exact and fits 128 bits. */
static bool rescale_exactly(struct tly_decimal value, int32_t scale, tly_u128 *out) {
  if (tly_decimal_is_inline(value)) {
    tly_u128 magnitude = tly_decimal_magnitude(value);
    if (scale >= value.scale)
      return tly_u128_scale_up(magnitude, scale - value.scale, out);
    *out = tly_u128_scale_down(magnitude, value.scale - scale);
    tly_u128 back;
    return tly_u128_scale_up(*out, value.scale - scale, &back) && back == magnitude;
  }
  if (scale >= value.scale)
    return false;
  mpz_t coefficient, power;
  tly_decimal_view(coefficient, &value);
  mpz_init(power);
  tly_mpz_power_of_ten(power, value.scale - scale);
  bool is_exact = mpz_divisible_p(coefficient, power) != 0;
  if (is_exact)
    mpz_divexact(power, coefficient, power);
  is_exact = is_exact && mpz_size(power) <= 2;
  if (is_exact)
    *out = (tly_u128)mpz_getlimbn(power, 1) << 64 | mpz_getlimbn(power, 0);
  mpz_clear(power);
  return is_exact;
}

bool tly_decimal_to_i128(struct tly_decimal value, int32_t scale, tly_i128 *out) {
  tly_u128 magnitude;
  TLY_ASSERT(scale >= 0);
  if (!rescale_exactly(value, scale, &magnitude))
    return false;
  tly_u128 limit = ((tly_u128)1 << 127) - (value.limb_count >= 0);
  if (magnitude > limit)
    return false;
  *out = value.limb_count < 0 ? (tly_i128)-magnitude : (tly_i128)magnitude;
  return true;
}

/* --- comparing -----------------------------------------------------------------------------------------------------
 */

int tly_decimal_sign(struct tly_decimal value) {
  return (value.limb_count > 0) - (value.limb_count < 0);
}

struct tly_decimal tly_decimal_negate(struct tly_decimal value) {
  value.limb_count = -value.limb_count;
  return value;
}

struct tly_decimal tly_decimal_absolute(struct tly_decimal value) {
  value.limb_count = abs(value.limb_count);
  return value;
}

static int compare_wide(struct tly_decimal a, struct tly_decimal b) {
  mpz_t left, right;
  struct tly_decimal *coarse = a.scale < b.scale ? &a : &b;
  int32_t shift = abs(a.scale - b.scale);
  mpz_t scaled;
  mpz_init(scaled);
  tly_decimal_view(left, &a);
  tly_decimal_view(right, &b);
  tly_mpz_power_of_ten(scaled, shift);
  mpz_mul(scaled, scaled, coarse == &a ? left : right);
  int order = coarse == &a ? mpz_cmpabs(scaled, right) : mpz_cmpabs(left, scaled);
  mpz_clear(scaled);
  return order;
}

static int compare_magnitudes(struct tly_decimal a, struct tly_decimal b) {
  if (tly_decimal_is_inline(a) && tly_decimal_is_inline(b)) {
    tly_u128 left = tly_decimal_magnitude(a), right = tly_decimal_magnitude(b);
    bool fits = a.scale < b.scale ? tly_u128_scale_up(left, b.scale - a.scale, &left)
                                  : tly_u128_scale_up(right, a.scale - b.scale, &right);
    if (fits)
      return (left > right) - (left < right);
  }
  int32_t left_exponent = tly_decimal_digits(a) - a.scale, right_exponent = tly_decimal_digits(b) - b.scale;
  if (left_exponent != right_exponent)
    return left_exponent > right_exponent ? 1 : -1;
  return compare_wide(a, b);
}

int tly_decimal_compare(struct tly_decimal a, struct tly_decimal b) {
  int a_sign = tly_decimal_sign(a), b_sign = tly_decimal_sign(b);
  if (a_sign != b_sign)
    return a_sign > b_sign ? 1 : -1;
  int order = a_sign == 0 ? 0 : compare_magnitudes(a, b);
  order = (order > 0) - (order < 0);
  return a_sign < 0 ? -order : order;
}
