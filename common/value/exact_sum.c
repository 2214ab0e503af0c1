/* Every finite double is an integer times 2^-1074, so a sum of doubles is one (long) integer in that unit: 2,098 bits
 * and a few more for carries. Addition of integers is exact, commutative and associative; only showing the result
 * rounds.
 *
 * Most sums never need that many bits. A sum starts as a double ("tame") and stays one while each addition is exact,
 * which TwoSum tells: the rounding error of a + b is itself a double that six operations give. With the first error the
 * sum turns wide: a window of 64-bit limbs, in two's complement, over the bit positions used so far. It grows down and
 * up as values need it; for amounts of ordinary size it has three limbs, where a full superaccumulator has 536 bytes.
 *
 *   limb i of the window has the bits 64 (low + i) and up, in units of 2^-1074; above the window the sign goes on.
 *
 * INVARIANTS (check_invariants)
 *   (1) The top limb, signed, lies in [-2^62, 2^62): no single addition can overflow it.
 *   (2) 0 <= low and low + count <= LIMBS_MAX.
 *
 * STORED FORM, a function of the value alone:
 *   0x00                         zero
 *   varint(1 + 2 p + s), varint(n), n bytes little endian
 *                                (-1)^s * m * 2^(p - 1074), m odd with n bytes, its last byte not zero
 * It does not tell a tame sum from a wide one; read makes the sum tame whenever it is a double. */
#include "common/value/exact_sum.h"

#include <gmp.h>
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum {
  UNIT_EXPONENT = -1074,
  MANTISSA_BITS = 53,
  FRACTION_BITS = 52,
  POSITION_END = 2098, /* one above the highest bit of the largest double */
  CARRY_BITS = 64,     /* of 2^64 largest doubles */
  LIMBS_MAX = (POSITION_END + CARRY_BITS) / 64 + 3,
  MAGNITUDE_BYTES_MAX = 8 * LIMBS_MAX,
  FIRST_LIMBS = 3,
};

struct tly_wide_sum {
  int32_t low, count;
  uint64_t limbs[];
};

/* A double or a limb's worth: (-1)^s * magnitude * 2^(position - 1074). */
struct term {
  uint64_t magnitude;
  int32_t position;
  bool is_negative;
};

static void check_invariants(const struct tly_wide_sum *wide) {
  int64_t top = (int64_t)wide->limbs[wide->count - 1];
  TLY_ASSERT(top >= -(INT64_C(1) << 62) && top < INT64_C(1) << 62);
  TLY_ASSERT(wide->low >= 0 && wide->low + wide->count <= LIMBS_MAX);
}

static struct term term_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  int32_t biased = (int32_t)(bits >> FRACTION_BITS & 0x7FF);
  uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
  TLY_ASSERT(biased != 0x7FF);
  return (struct term){.magnitude = biased == 0 ? fraction : fraction | UINT64_C(1) << FRACTION_BITS,
                       .position = biased == 0 ? 0 : biased - 1,
                       .is_negative = bits >> 63 != 0};
}

/* --- the window ----------------------------------------------------------------------------------------------------
 */

static uint64_t sign_limb(const struct tly_wide_sum *wide) {
  return (int64_t)wide->limbs[wide->count - 1] < 0 ? UINT64_MAX : 0;
}

/* Make the window reach over limbs [low, end). */
static struct tly_wide_sum *cover(struct tly_wide_sum *wide, int32_t low, int32_t end) {
  int32_t old_end = wide->low + wide->count;
  if (low >= wide->low && end <= old_end)
    return wide;
  int32_t below = low < wide->low ? wide->low - low : 0, above = end > old_end ? end - old_end : 0;
  uint64_t sign = sign_limb(wide);
  wide = tly_realloc(wide, sizeof *wide + (size_t)(wide->count + below + above) * sizeof wide->limbs[0]);
  memmove(wide->limbs + below, wide->limbs, (size_t)wide->count * sizeof wide->limbs[0]);
  for (int32_t i = 0; i < below; i++)
    wide->limbs[i] = 0;
  for (int32_t i = 0; i < above; i++)
    wide->limbs[below + wide->count + i] = sign;
  wide->low -= below;
  wide->count += below + above;
  return wide;
}

/* Restore invariant (1) after an addition. */
static struct tly_wide_sum *relieve_top(struct tly_wide_sum *wide) {
  int64_t top = (int64_t)wide->limbs[wide->count - 1];
  if (top < -(INT64_C(1) << 62) || top >= INT64_C(1) << 62)
    wide = cover(wide, wide->low, wide->low + wide->count + 1);
  check_invariants(wide);
  return wide;
}

/* wide += or -= bits << (64 * place); the top limb takes the last carry. */
static void add_limbs(struct tly_wide_sum *wide, int32_t place, uint64_t low_bits, uint64_t high_bits,
                      bool is_negative) {
  uint64_t parts[2] = {low_bits, high_bits};
  bool carry = false;
  for (int32_t i = 0; place + i < wide->count && (i < 2 || carry); i++) {
    uint64_t part = i < 2 ? parts[i] : 0, *limb = &wide->limbs[place + i];
    bool first, second;
    if (is_negative) {
      first = __builtin_sub_overflow(*limb, part, limb);
      second = __builtin_sub_overflow(*limb, (uint64_t)carry, limb);
    } else {
      first = __builtin_add_overflow(*limb, part, limb);
      second = __builtin_add_overflow(*limb, (uint64_t)carry, limb);
    }
    carry = first || second;
  }
}

static struct tly_wide_sum *add_term(struct tly_wide_sum *wide, struct term term) {
  int32_t limb = term.position / 64;
  unsigned shift = (unsigned)term.position % 64;
  wide = cover(wide, limb, limb + 3); /* two limbs for the bits, and one above them that only takes the carry */
  uint64_t high_bits = shift > 0 ? term.magnitude >> (64 - shift) : 0;
  add_limbs(wide, limb - wide->low, term.magnitude << shift, high_bits, term.is_negative);
  return relieve_top(wide);
}

static struct tly_wide_sum *new_wide(struct term term) {
  struct tly_wide_sum *wide = tly_calloc(1, sizeof *wide + FIRST_LIMBS * sizeof wide->limbs[0]);
  wide->low = term.position / 64;
  wide->count = FIRST_LIMBS;
  return add_term(wide, term);
}

static struct tly_wide_sum *add_wide(struct tly_wide_sum *wide, const struct tly_wide_sum *other) {
  wide = cover(wide, other->low, other->low + other->count); /* by (1) two top limbs add up without overflow */
  uint64_t sign = sign_limb(other);
  bool carry = false;
  for (int32_t i = other->low - wide->low; i < wide->count; i++) {
    int32_t place = i + wide->low - other->low;
    uint64_t part = place < other->count ? other->limbs[place] : sign;
    bool first = __builtin_add_overflow(wide->limbs[i], part, &wide->limbs[i]);
    bool second = __builtin_add_overflow(wide->limbs[i], (uint64_t)carry, &wide->limbs[i]);
    carry = first || second; /* a carry out of the top limb is the sum of two signs: it vanishes */
  }
  return relieve_top(wide);
}

/* --- add and merge -------------------------------------------------------------------------------------------------
 */

void tly_exact_sum_init(struct tly_exact_sum *sum) {
  *sum = (struct tly_exact_sum){.tame = 0, .wide = NULL};
}

void tly_exact_sum_free(struct tly_exact_sum *sum) {
  tly_free(sum->wide);
  tly_exact_sum_init(sum);
}

/* Knuth's TwoSum. False when a + b is not a double; an overflow counts as that. */
static bool add_exactly(double a, double b, double *out) {
  double total = a + b;
  double b_part = total - a;
  double error = (a - (total - b_part)) + (b - b_part);
  *out = total;
  return isfinite(total) && error == 0;
}

void tly_exact_sum_add(struct tly_exact_sum *sum, double value) {
  TLY_ASSERT(isfinite(value));
  double total;
  if (sum->wide == NULL) {
    if (add_exactly(sum->tame, value, &total)) {
      sum->tame = total;
      return;
    }
    sum->wide = new_wide(term_of(sum->tame));
    sum->tame = 0;
  }
  sum->wide = add_term(sum->wide, term_of(value));
}

void tly_exact_sum_merge(struct tly_exact_sum *sum, const struct tly_exact_sum *other) {
  if (other->wide == NULL) {
    tly_exact_sum_add(sum, other->tame);
    return;
  }
  if (sum->wide == NULL) {
    sum->wide = new_wide(term_of(sum->tame));
    sum->tame = 0;
  }
  sum->wide = add_wide(sum->wide, other->wide);
}

/* --- result --------------------------------------------------------------------------------------------------------
 */

/* |sum| as `magnitude` in units of 2^(*position - 1074); returns whether the sum is negative. */
static bool magnitude_of(const struct tly_exact_sum *sum, mpz_t magnitude, int32_t *position) {
  const struct tly_wide_sum *wide = sum->wide;
  if (wide == NULL) {
    struct term term = term_of(sum->tame);
    mpz_set_ui(magnitude, term.magnitude);
    *position = term.position;
    return term.is_negative && term.magnitude != 0;
  }
  *position = 64 * wide->low;
  mpz_import(magnitude, (size_t)wide->count, -1, sizeof wide->limbs[0], 0, 0, wide->limbs);
  bool is_negative = sign_limb(wide) != 0;
  if (is_negative) { /* two's complement: 2^bits - value */
    mpz_t modulus;
    mpz_init_set_ui(modulus, 1);
    mpz_mul_2exp(modulus, modulus, 64 * (mp_bitcnt_t)wide->count);
    mpz_sub(magnitude, modulus, magnitude);
    mpz_clear(modulus);
  }
  return is_negative;
}

/* magnitude * 2^exponent / count, nearest, ties to even; infinite when too large. `magnitude` is changed. */
static double round_quotient(mpz_t magnitude, int32_t exponent, int64_t count) {
  if (mpz_sgn(magnitude) == 0)
    return 0;
  /* Scaled so that the quotient has two bits more than a double: one to tell half, one that is part of "above half". */
  int32_t wanted = MANTISSA_BITS + 2 + (64 - __builtin_clzll((uint64_t)count));
  int32_t bits = (int32_t)mpz_sizeinbase(magnitude, 2), scale = wanted > bits ? wanted - bits : 0;
  mpz_t rest;
  mpz_init(rest);
  mpz_mul_2exp(magnitude, magnitude, (mp_bitcnt_t)scale);
  bool is_inexact = mpz_tdiv_q_ui(magnitude, magnitude, (unsigned long)count) != 0;
  exponent -= scale;
  bits = (int32_t)mpz_sizeinbase(magnitude, 2);
  int32_t last = exponent + bits - MANTISSA_BITS; /* exponent of the result's last bit */
  if (last < UNIT_EXPONENT)
    last = UNIT_EXPONENT;
  mp_bitcnt_t dropped = (mp_bitcnt_t)(last - exponent);
  mpz_tdiv_r_2exp(rest, magnitude, dropped);
  mpz_tdiv_q_2exp(magnitude, magnitude, dropped);
  uint64_t mantissa = mpz_get_ui(magnitude);
  bool is_half_or_more = dropped > 0 && mpz_tstbit(rest, dropped - 1) != 0;
  bool is_half = is_half_or_more && !is_inexact && mpz_scan1(rest, 0) == dropped - 1;
  mpz_clear(rest);
  if (is_half_or_more && (!is_half || mantissa % 2 != 0))
    mantissa++;
  return ldexp((double)mantissa, last);
}

static enum tly_status round_sum(const struct tly_exact_sum *sum, int64_t count, double *out, struct tly_error *error) {
  mpz_t magnitude;
  int32_t position;
  mpz_init(magnitude);
  bool is_negative = magnitude_of(sum, magnitude, &position);
  double result = round_quotient(magnitude, position + UNIT_EXPONENT, count);
  mpz_clear(magnitude);
  if (isinf(result))
    return TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "value out of range: overflow");
  *out = is_negative && result != 0 ? -result : result;
  return TLY_OK;
}

enum tly_status tly_exact_sum_result(const struct tly_exact_sum *sum, double *out, struct tly_error *error) {
  if (sum->wide == NULL) {
    *out = sum->tame;
    return TLY_OK;
  }
  return round_sum(sum, 1, out, error);
}

enum tly_status tly_exact_sum_average(const struct tly_exact_sum *sum, int64_t count, double *out,
                                      struct tly_error *error) {
  TLY_ASSERT(count > 0);
  return round_sum(sum, count, out, error);
}

/* --- stored form ---------------------------------------------------------------------------------------------------
 */

void tly_exact_sum_append(const struct tly_exact_sum *sum, struct tly_buffer *out) {
  mpz_t magnitude;
  int32_t position;
  mpz_init(magnitude);
  bool is_negative = magnitude_of(sum, magnitude, &position);
  if (mpz_sgn(magnitude) == 0) {
    tly_buffer_append_byte(out, 0);
  } else {
    mp_bitcnt_t zeros = mpz_scan1(magnitude, 0);
    mpz_tdiv_q_2exp(magnitude, magnitude, zeros);
    size_t size = (mpz_sizeinbase(magnitude, 2) + 7) / 8;
    tly_buffer_append_varint(out, 1 + 2 * ((uint64_t)position + zeros) + is_negative);
    tly_buffer_append_varint(out, size);
    mpz_export(tly_buffer_reserve(out, size), NULL, -1, 1, 0, 0, magnitude);
    out->size += size;
  }
  mpz_clear(magnitude);
}

/* The eight bytes or fewer at `bytes`, little endian. */
static uint64_t load(const uint8_t *bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size && i < 8; i++)
    value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

static bool is_double(struct term term) {
  int32_t bits = 64 - __builtin_clzll(term.magnitude);
  return bits <= MANTISSA_BITS && term.position + bits <= POSITION_END;
}

enum tly_status tly_exact_sum_read(struct tly_cursor *cursor, struct tly_exact_sum *sum, struct tly_error *error) {
  tly_exact_sum_init(sum);
  uint64_t head = tly_cursor_varint(cursor);
  if (!cursor->failed && head == 0)
    return TLY_OK;
  uint64_t size = tly_cursor_varint(cursor);
  const uint8_t *bytes = size > 0 && size <= MAGNITUDE_BYTES_MAX ? tly_cursor_bytes(cursor, size) : NULL;
  uint64_t position = (head - 1) / 2;
  if (cursor->failed || bytes == NULL || bytes[0] % 2 == 0 || bytes[size - 1] == 0 ||
      position + 8 * size > 64 * (LIMBS_MAX - 2))
    return TLY_FAIL(error, TLY_E_CORRUPT, "stored sum is not in its canonical form");
  bool is_negative = (head - 1) % 2 != 0;
  struct term term = {.magnitude = load(bytes, size), .position = (int32_t)position, .is_negative = is_negative};
  if (size <= 8 && is_double(term)) {
    double magnitude = ldexp((double)term.magnitude, term.position + UNIT_EXPONENT);
    sum->tame = is_negative ? -magnitude : magnitude;
    return TLY_OK;
  }
  sum->wide = new_wide(term);
  for (size_t place = 8; place < size; place += 8) {
    term.magnitude = load(bytes + place, size - place);
    term.position += 64;
    sum->wide = add_term(sum->wide, term);
  }
  return TLY_OK;
}
