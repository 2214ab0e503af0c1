/* common/value/decimal_internal.h -- what the decimal_*.c files share: digit counts, and the way between a decimal and
 * GMP's integers. Included by those files only.
 * Thread: pure. */
#ifndef TLY_VALUE_DECIMAL_INTERNAL_H
#define TLY_VALUE_DECIMAL_INTERNAL_H

#include <gmp.h>

#include "common/base/limits.h"
#include "common/value/decimal.h"

_Static_assert(sizeof(mp_limb_t) == sizeof(uint64_t), "limbs of a decimal are GMP's limbs");

static inline bool tly_decimal_is_inline(struct tly_decimal value) {
  return value.limb_count >= -2 && value.limb_count <= 2;
}

/* |coefficient| of an inline value. */
static inline tly_u128 tly_decimal_magnitude(struct tly_decimal value) {
  return (tly_u128)value.small[1] << 64 | value.small[0];
}

static inline struct tly_decimal tly_decimal_of_magnitude(bool is_negative, tly_u128 magnitude, int32_t scale) {
  struct tly_decimal value = {.scale = scale};
  value.small[0] = (uint64_t)magnitude;
  value.small[1] = (uint64_t)(magnitude >> 64);
  int32_t count = value.small[1] != 0 ? 2 : value.small[0] != 0;
  value.limb_count = is_negative ? -count : count;
  return value;
}

/* Decimal digits; 0 has none. */
int32_t tly_u128_digits(tly_u128 value);
int32_t tly_decimal_digits(struct tly_decimal value);
/* Multiply by 10^exponent; false when it leaves 128 bits. */
bool tly_u128_scale_up(tly_u128 value, int32_t exponent, tly_u128 *out);
/* Divide by 10^exponent, half away from zero; any exponent >= 0. */
tly_u128 tly_u128_scale_down(tly_u128 value, int32_t exponent);

/* A read-only GMP integer over the coefficient of *value, which must outlive it. Not to be cleared. */
void tly_decimal_view(mpz_t out, const struct tly_decimal *value);
/* GMP's 10^exponent; `out` is initialised. */
void tly_mpz_power_of_ten(mpz_t out, int32_t exponent);
void tly_mpz_set_u128(mpz_t out, tly_u128 value);
/* value = value / 10^exponent, half away from zero. */
void tly_mpz_scale_down(mpz_t value, int32_t exponent);
/* quotient = numerator / denominator, half away from zero. May be the same variable as either. */
void tly_mpz_divide_round(mpz_t quotient, const mpz_t numerator, const mpz_t denominator);
/* Make a decimal of coefficient and scale: limbs go to the arena if there are more than two. 22003 when it has more
 * than TLY_DECIMAL_DIGITS_MAX digits before and after the point. */
TLY_CHECK enum tly_status tly_decimal_take(const mpz_t coefficient, int32_t scale, struct tly_arena *arena,
                                           struct tly_decimal *out, struct tly_error *error);
enum tly_status tly_decimal_overflow(struct tly_error *error);

#endif
