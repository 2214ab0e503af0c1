/* avg, variance and standard deviation from exact sums.
 *
 * num = n * sum(x^2) - sum(x)^2 is exact and not negative (Cauchy-Schwarz); the variance is num / (n (n - 1)) or
 * num / n^2, rounded once, by the division rule; the deviation is the root of that *rounded* variance at the same
 * scale, as in numeric_stddev_internal() of PostgreSQL's numeric.c. */
#include "common/base/assert.h"
#include "common/value/decimal_internal.h"

enum tly_status tly_decimal_average(struct tly_decimal sum, int64_t count, struct tly_arena *arena,
                                    struct tly_decimal *out, struct tly_error *error) {
  TLY_ASSERT(count > 0);
  return tly_decimal_divide(sum, tly_decimal_of_i64(count, 0), arena, out, error);
}

/* floor(sqrt(value) * 10^scale + 1/2) / 10^scale: floor(2 y) has the digit that decides how y rounds. */
static enum tly_status square_root(struct tly_decimal value, struct tly_arena *arena, struct tly_decimal *out,
                                   struct tly_error *error) {
  mpz_t view, root;
  TLY_ASSERT(value.limb_count >= 0);
  tly_decimal_view(view, &value);
  mpz_init(root);
  tly_mpz_power_of_ten(root, value.scale); /* coefficient * 10^scale = value * 10^(2 scale) */
  mpz_mul(root, root, view);
  mpz_mul_2exp(root, root, 2);
  mpz_sqrt(root, root);
  mpz_add_ui(root, root, 1);
  mpz_fdiv_q_2exp(root, root, 1);
  enum tly_status status = tly_decimal_take(root, value.scale, arena, out, error);
  mpz_clear(root);
  return status;
}

enum tly_status tly_decimal_variance(enum tly_variance kind, struct tly_decimal sum, struct tly_decimal sum_squares,
                                     int64_t count, struct tly_arena *arena, struct tly_decimal *out,
                                     struct tly_error *error) {
  bool is_sample = kind == TLY_VAR_SAMP || kind == TLY_STDDEV_SAMP;
  bool is_deviation = kind == TLY_STDDEV_SAMP || kind == TLY_STDDEV_POP;
  TLY_ASSERT(count > (is_sample ? 1 : 0));
  struct tly_decimal squares, square, numerator;
  struct tly_decimal denominator = tly_decimal_of_i128((tly_i128)count * (count - is_sample), 0);
  TLY_TRY(tly_decimal_multiply(tly_decimal_of_i64(count, 0), sum_squares, arena, &squares, error));
  TLY_TRY(tly_decimal_multiply(sum, sum, arena, &square, error));
  TLY_TRY(tly_decimal_subtract(squares, square, arena, &numerator, error));
  if (numerator.limb_count <= 0) { /* all values equal; below zero only if the sums did not belong together */
    *out = tly_decimal_of_i64(0, 0);
    return TLY_OK;
  }
  TLY_TRY(tly_decimal_divide(numerator, denominator, arena, out, error));
  return is_deviation ? square_root(*out, arena, out, error) : TLY_OK;
}
