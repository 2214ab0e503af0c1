/* common/value/decimal.h -- exact decimals with PostgreSQL's rounding and display scales.
 *
 * A value is an integer coefficient times 10^-scale; the display scale is part of the value (1.5 and 1.50 are equal but
 * print differently), as in PostgreSQL's numeric. Up to 38 digits the coefficient stands inline; above that its limbs
 * (GMP's mpn form, little endian) live in the arena given to the operation. At most TLY_DECIMAL_DIGITS_MAX digits in
 * all, else TLY_E_NUMERIC_OUT_OF_RANGE. There is no NaN and no infinity.
 * Source of the rules: src/backend/utils/adt/numeric.c of PostgreSQL 15 (select_div_scale and friends), restated.
 * Thread: pure; results live as long as their arena. */
#ifndef TLY_VALUE_DECIMAL_H
#define TLY_VALUE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

/* Aligned as other words are, so that a state of 128 bits costs a row of groups no padding. */
__extension__ typedef __int128 tly_i128 __attribute__((aligned(8)));
__extension__ typedef unsigned __int128 tly_u128;

enum { TLY_U128_DIGITS_MAX = 38 }; /* every number of so many digits fits 128 bits, and even a signed integer of them */

struct tly_decimal {
  int32_t scale;      /* digits after the point, 0..TLY_DECIMAL_DIGITS_MAX */
  int32_t limb_count; /* 0: the value is zero; negative: the value is negative; |n| <= 2: inline */
  union {
    uint64_t small[2];
    const uint64_t *limbs;
  };
};

/* 10^exponent, 0 <= exponent <= TLY_U128_DIGITS_MAX. */
tly_u128 tly_power_of_ten(int32_t exponent);
struct tly_decimal tly_decimal_of_i64(int64_t coefficient, int32_t scale);
struct tly_decimal tly_decimal_of_i128(tly_i128 coefficient, int32_t scale);
/* Whether the value at exactly `scale` digits fits; digits that would be cut must be zeros. */
bool tly_decimal_to_i128(struct tly_decimal value, int32_t scale, tly_i128 *out);

/* PostgreSQL's numeric input: spaces around, sign, digits, point, exponent. NaN and infinity are refused (0A000). */
TLY_CHECK enum tly_status tly_decimal_parse(const char *text, size_t size, struct tly_arena *arena,
                                            struct tly_decimal *out, struct tly_error *error);
/* As numeric_out. */
void tly_decimal_print(struct tly_decimal value, struct tly_buffer *out);

int tly_decimal_sign(struct tly_decimal value);
/* Decimal digits of the coefficient; 0 has none. */
int32_t tly_decimal_digits(struct tly_decimal value);
/* By value: 1.5 equals 1.50. */
int tly_decimal_compare(struct tly_decimal a, struct tly_decimal b);
struct tly_decimal tly_decimal_negate(struct tly_decimal value);
struct tly_decimal tly_decimal_absolute(struct tly_decimal value);

#define TLY_DECIMAL_BINARY(name)                                                                                       \
  TLY_CHECK enum tly_status tly_decimal_##name(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,    \
                                               struct tly_decimal *out, struct tly_error *error)
TLY_DECIMAL_BINARY(add);
TLY_DECIMAL_BINARY(subtract);
TLY_DECIMAL_BINARY(multiply);
TLY_DECIMAL_BINARY(divide); /* PostgreSQL's result scale; division by zero is 22012 */
TLY_DECIMAL_BINARY(modulo); /* sign of the dividend */
#undef TLY_DECIMAL_BINARY

/* Round half away from zero to `scale` digits after the point; negative scales round before it (the display scale is
 * then 0); a larger scale pads with zeros. */
TLY_CHECK enum tly_status tly_decimal_round(struct tly_decimal value, int32_t scale, struct tly_arena *arena,
                                            struct tly_decimal *out, struct tly_error *error);
TLY_CHECK enum tly_status tly_decimal_floor(struct tly_decimal value, struct tly_arena *arena, struct tly_decimal *out,
                                            struct tly_error *error);
TLY_CHECK enum tly_status tly_decimal_ceil(struct tly_decimal value, struct tly_arena *arena, struct tly_decimal *out,
                                           struct tly_error *error);
/* The same value with the least scale that shows it: 1.50 -> 1.5, 100 -> 100. */
struct tly_decimal tly_decimal_normalize(struct tly_decimal value, struct tly_arena *arena);
/* Check and round to numeric(precision, scale): 22003 with PostgreSQL's words when it does not fit. */
TLY_CHECK enum tly_status tly_decimal_to_typmod(struct tly_decimal value, int32_t precision, int32_t scale,
                                                struct tly_arena *arena, struct tly_decimal *out,
                                                struct tly_error *error);

/* Half away from zero; 22003 out of the 64-bit range ("bigint out of range"). */
TLY_CHECK enum tly_status tly_decimal_to_i64(struct tly_decimal value, int64_t *out, struct tly_error *error);
/* Nearest double, rounded once; overflow is 22003. */
TLY_CHECK enum tly_status tly_decimal_to_double(struct tly_decimal value, double *out, struct tly_error *error);
/* PostgreSQL's float8 -> numeric: 15 significant digits. */
TLY_CHECK enum tly_status tly_decimal_of_double(double value, struct tly_arena *arena, struct tly_decimal *out,
                                                struct tly_error *error);

/* avg, var_samp, var_pop, stddev_samp, stddev_pop from exact sums: `sum` and `sum_squares` have scales s and 2s
 * (facts: num = n*sumsq - sum^2, exact; then the division rule; stddev = square root at that scale). `count` > 0, and
 * > 1 for the samp forms: the caller gives NULL otherwise. */
enum tly_variance { TLY_VAR_SAMP, TLY_VAR_POP, TLY_STDDEV_SAMP, TLY_STDDEV_POP };
TLY_CHECK enum tly_status tly_decimal_average(struct tly_decimal sum, int64_t count, struct tly_arena *arena,
                                              struct tly_decimal *out, struct tly_error *error);
TLY_CHECK enum tly_status tly_decimal_variance(enum tly_variance kind, struct tly_decimal sum,
                                               struct tly_decimal sum_squares, int64_t count, struct tly_arena *arena,
                                               struct tly_decimal *out, struct tly_error *error);

/* The ordered form: memcmp order is numeric order, equal values give equal bytes; self-terminating. Sign and biased
 * exponent in one byte (three far from 1), base-100 digits whose last one is marked (after SQLite4's key encoding). The
 * first byte is never 0x00 or 0xFF. Display scale is not in it. */
void tly_decimal_append_ordered(struct tly_decimal value, struct tly_buffer *out);
/* Reads one; display scale becomes the least that shows the value, or `scale` when scale >= 0. */
TLY_CHECK enum tly_status tly_decimal_read_ordered(struct tly_cursor *cursor, int32_t scale, struct tly_arena *arena,
                                                   struct tly_decimal *out, struct tly_error *error);
/* A compact, canonical, self-terminating form that keeps the display scale (for states and stored values). */
void tly_decimal_append_compact(struct tly_decimal value, struct tly_buffer *out);
TLY_CHECK enum tly_status tly_decimal_read_compact(struct tly_cursor *cursor, struct tly_arena *arena,
                                                   struct tly_decimal *out, struct tly_error *error);

#endif
