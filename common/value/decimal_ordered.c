/* Two stored forms of a decimal.
 *
 * ORDERED: memcmp order is numeric order, equal values give equal bytes. After SQLite4's key encoding.
 *   value = +-0.d1 d2 d3 ... * 100^E, base-100 digits, d1 and the last digit not zero.
 *   head    0x80                 zero; nothing follows
 *           0xC0 + E             positive, -50 <= E <= 50
 *           0xFE, E big endian   positive, E > 50 (two bytes)
 *           0x82, E + 1000 b.e.  positive, E < -50 (two bytes)
 *   digits  2 d + 1, and 2 d for the last: a number that ends where another goes on is the smaller one, and the end
 *           needs no byte of its own.
 *   A negative number is its magnitude's form with every byte complemented, which turns the order around; its head is
 *   below 0x80. The display scale is not part of it.
 *
 * COMPACT: canonical, self-terminating, with the display scale.
 *   varint(4 * scale + kind); kind 0: zigzag coefficient when it fits 64 bits; kind 1 (positive) and 2 (negative):
 *   varint size, then so many bytes of the magnitude, little endian, the last one not zero. */
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/value/decimal_internal.h"

enum {
  ZERO_HEAD = 0x80,
  NEAR_HEAD = 0xC0,
  LARGE_HEAD = 0xFE,
  SMALL_HEAD = 0x82,
  NEAR_EXPONENT_MAX = 50,
  SMALL_BIAS = 1000,
  PAIRS_MAX = 512,           /* base-100 digits of any coefficient, with what GMP wants beyond */
  MAGNITUDE_BYTES_MAX = 416, /* of 10^1000 */
};
_Static_assert(PAIRS_MAX > TLY_DECIMAL_DIGITS_MAX / 2 + 2, "a coefficient and one digit more fit");

/* --- ordered -------------------------------------------------------------------------------------------------------
 */

struct pairs {
  uint8_t room[PAIRS_MAX];
  const uint8_t *first; /* not zero */
  int32_t count;
};

/* Digits of a magnitude that is not zero. */
static void pairs_of_u128(tly_u128 magnitude, struct pairs *pairs) {
  uint8_t *place = pairs->room + sizeof pairs->room;
  for (; magnitude > UINT64_MAX; magnitude /= 100)
    *--place = (uint8_t)(magnitude % 100);
  for (uint64_t rest = (uint64_t)magnitude; rest > 0; rest /= 100)
    *--place = (uint8_t)(rest % 100);
  pairs->first = place;
  pairs->count = (int32_t)(pairs->room + sizeof pairs->room - place);
}

static void pairs_of_wide(struct tly_decimal value, unsigned factor, struct pairs *pairs) {
  mpz_t view, magnitude;
  tly_decimal_view(view, &value);
  mpz_init(magnitude);
  mpz_mul_ui(magnitude, view, factor);
  mp_size_t size = (mp_size_t)mpz_size(magnitude);
  size_t count = mpn_get_str(pairs->room, 100, mpz_limbs_modify(magnitude, size), size);
  TLY_ASSERT(count <= sizeof pairs->room);
  const uint8_t *first = pairs->room;
  for (; *first == 0; first++)
    count--;
  pairs->first = first;
  pairs->count = (int32_t)count;
  mpz_clear(magnitude);
}

/* The base-100 digits of a value that is not zero, without zeros at either end; returns E. */
static int32_t split_into_pairs(struct tly_decimal value, struct pairs *pairs) {
  unsigned factor = value.scale % 2 != 0 ? 10 : 1; /* the point must stand between pairs */
  tly_u128 magnitude;
  if (tly_decimal_is_inline(value) && !__builtin_mul_overflow(tly_decimal_magnitude(value), factor, &magnitude))
    pairs_of_u128(magnitude, pairs);
  else
    pairs_of_wide(value, factor, pairs);
  int32_t exponent = pairs->count - (value.scale + 1) / 2;
  /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the first pair of a value is not zero */
  while (pairs->first[pairs->count - 1] == 0)
    pairs->count--;
  return exponent;
}

static uint8_t *put_head(uint8_t *place, int32_t exponent) {
  if (abs(exponent) <= NEAR_EXPONENT_MAX) {
    *place++ = (uint8_t)(NEAR_HEAD + exponent);
    return place;
  }
  int32_t stored = exponent > 0 ? exponent : exponent + SMALL_BIAS;
  TLY_ASSERT(stored > 0 && stored <= UINT16_MAX);
  *place++ = exponent > 0 ? LARGE_HEAD : SMALL_HEAD;
  *place++ = (uint8_t)(stored >> 8);
  *place++ = (uint8_t)stored;
  return place;
}

void tly_decimal_append_ordered(struct tly_decimal value, struct tly_buffer *out) {
  if (value.limb_count == 0) {
    tly_buffer_append_byte(out, ZERO_HEAD);
    return;
  }
  struct pairs pairs;
  int32_t exponent = split_into_pairs(value, &pairs);
  uint8_t *start = tly_buffer_reserve(out, (size_t)pairs.count + 3);
  uint8_t *place = put_head(start, exponent);
  for (int32_t i = 0; i < pairs.count; i++)
    *place++ = (uint8_t)(2 * pairs.first[i] + 1);
  place[-1]--;
  if (value.limb_count < 0)
    for (uint8_t *byte = start; byte < place; byte++)
      *byte = (uint8_t) ~*byte;
  out->size += (size_t)(place - start);
}

static enum tly_status corrupt(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "stored numeric is not in its canonical form");
}

/* Reads head and digits; `flip` is 0xFF for a negative number. False on bytes that append does not write. */
static bool read_pairs(struct tly_cursor *cursor, uint8_t head, uint8_t flip, struct pairs *pairs, int32_t *exponent) {
  if (head == LARGE_HEAD || head == SMALL_HEAD) {
    int32_t stored = (uint8_t)(tly_cursor_byte(cursor) ^ flip) << 8;
    stored |= tly_cursor_byte(cursor) ^ flip;
    *exponent = head == LARGE_HEAD ? stored : stored - SMALL_BIAS;
    if (head == LARGE_HEAD ? *exponent <= NEAR_EXPONENT_MAX : *exponent >= -NEAR_EXPONENT_MAX)
      return false;
  } else {
    *exponent = head - NEAR_HEAD;
    if (abs(*exponent) > NEAR_EXPONENT_MAX)
      return false;
  }
  pairs->first = pairs->room;
  for (pairs->count = 0; pairs->count < PAIRS_MAX;) {
    uint8_t digit = tly_cursor_byte(cursor) ^ flip;
    pairs->room[pairs->count++] = digit / 2;
    if (cursor->failed || digit > 199)
      return false;
    if (digit % 2 == 0) /* the last one */
      return pairs->room[0] != 0 && digit != 0;
  }
  return false;
}

/* The value of the pairs at its least scale. Corrupt bytes can only be out of bounds here. */
static bool join_inline(const struct pairs *pairs, int32_t exponent, bool is_negative, struct tly_decimal *out) {
  tly_u128 magnitude = 0;
  if (pairs->count > TLY_U128_DIGITS_MAX / 2)
    return false;
  for (int32_t i = 0; i < pairs->count; i++)
    magnitude = magnitude * 100 + pairs->first[i];
  int32_t scale = 2 * (pairs->count - exponent);
  if (scale < 0 && !tly_u128_scale_up(magnitude, -scale, &magnitude))
    return false;
  if (scale > 0 && magnitude % 10 == 0) {
    magnitude /= 10;
    scale--;
  }
  if (scale > TLY_DECIMAL_DIGITS_MAX)
    return false;
  *out = tly_decimal_of_magnitude(is_negative, magnitude, scale < 0 ? 0 : scale);
  return true;
}

static enum tly_status join_wide(const struct pairs *pairs, int32_t exponent, bool is_negative, struct tly_arena *arena,
                                 struct tly_decimal *out) {
  mpz_t coefficient, power;
  int32_t scale = 2 * (pairs->count - exponent);
  mpz_inits(coefficient, power, NULL);
  mp_size_t limbs_max = PAIRS_MAX * 7 / 64 + 2; /* 100 < 2^7 */
  mp_limb_t *limbs = mpz_limbs_write(coefficient, limbs_max);
  mpz_limbs_finish(coefficient, mpn_set_str(limbs, pairs->first, (size_t)pairs->count, 100));
  if (scale < 0) {
    tly_mpz_power_of_ten(power, -scale);
    mpz_mul(coefficient, coefficient, power);
    scale = 0;
  }
  if (scale > 0 && pairs->first[pairs->count - 1] % 10 == 0) {
    mpz_divexact_ui(coefficient, coefficient, 10);
    scale--;
  }
  if (is_negative)
    mpz_neg(coefficient, coefficient);
  enum tly_status status = tly_decimal_take(coefficient, scale, arena, out, NULL);
  mpz_clears(coefficient, power, NULL);
  return status;
}

enum tly_status tly_decimal_read_ordered(struct tly_cursor *cursor, int32_t scale, struct tly_arena *arena,
                                         struct tly_decimal *out, struct tly_error *error) {
  struct pairs pairs;
  int32_t exponent;
  uint8_t head = tly_cursor_byte(cursor);
  if (!cursor->failed && head == ZERO_HEAD) {
    *out = tly_decimal_of_i64(0, scale < 0 ? 0 : scale);
    return TLY_OK;
  }
  uint8_t flip = head < ZERO_HEAD ? 0xFF : 0;
  if (cursor->failed || !read_pairs(cursor, head ^ flip, flip, &pairs, &exponent) ||
      abs(exponent) > TLY_DECIMAL_DIGITS_MAX)
    return corrupt(error);
  if (!join_inline(&pairs, exponent, flip != 0, out) && join_wide(&pairs, exponent, flip != 0, arena, out) != TLY_OK)
    return corrupt(error);
  if (scale >= 0 && scale < out->scale)
    return corrupt(error);
  return scale < 0 ? TLY_OK : tly_decimal_round(*out, scale, arena, out, error);
}

/* --- compact -------------------------------------------------------------------------------------------------------
 */

enum compact_kind { KIND_I64, KIND_POSITIVE, KIND_NEGATIVE, KIND_COUNT };

static void append_magnitude(struct tly_decimal value, struct tly_buffer *out) {
  uint32_t limb_count = (uint32_t)abs(value.limb_count);
  const uint64_t *limbs = tly_decimal_is_inline(value) ? value.small : value.limbs;
  uint32_t unused = (uint32_t)__builtin_clzll(limbs[limb_count - 1]) / 8;
  uint32_t size = 8 * limb_count - unused;
  tly_buffer_append_varint(out, size);
  uint8_t *place = tly_buffer_reserve(out, size);
  for (uint32_t i = 0; i < size; i++)
    place[i] = (uint8_t)(limbs[i / 8] >> (8 * (i % 8)));
  out->size += size;
}

void tly_decimal_append_compact(struct tly_decimal value, struct tly_buffer *out) {
  tly_i128 narrow;
  bool is_narrow = tly_decimal_to_i128(value, value.scale, &narrow) && narrow >= INT64_MIN && narrow <= INT64_MAX;
  enum compact_kind kind = is_narrow ? KIND_I64 : value.limb_count > 0 ? KIND_POSITIVE : KIND_NEGATIVE;
  tly_buffer_append_varint(out, 4 * (uint64_t)value.scale + kind);
  if (is_narrow)
    tly_buffer_append_zigzag(out, (int64_t)narrow);
  else
    append_magnitude(value, out);
}

static enum tly_status read_magnitude(struct tly_cursor *cursor, bool is_negative, int32_t scale,
                                      struct tly_arena *arena, struct tly_decimal *out, struct tly_error *error) {
  uint64_t size = tly_cursor_varint(cursor);
  if (size < 8 || size > MAGNITUDE_BYTES_MAX)
    return corrupt(error);
  const uint8_t *bytes = tly_cursor_bytes(cursor, size);
  if (bytes == NULL || bytes[size - 1] == 0)
    return corrupt(error);
  mpz_t coefficient;
  mpz_init(coefficient);
  mpz_import(coefficient, size, -1, 1, 0, 0, bytes);
  if (is_negative)
    mpz_neg(coefficient, coefficient);
  bool is_narrow = mpz_fits_slong_p(coefficient) != 0; /* it has a shorter form */
  enum tly_status status = tly_decimal_take(coefficient, scale, arena, out, NULL);
  mpz_clear(coefficient);
  return status != TLY_OK || is_narrow ? corrupt(error) : TLY_OK;
}

enum tly_status tly_decimal_read_compact(struct tly_cursor *cursor, struct tly_arena *arena, struct tly_decimal *out,
                                         struct tly_error *error) {
  uint64_t head = tly_cursor_varint(cursor);
  enum compact_kind kind = (enum compact_kind)(head % 4);
  if (cursor->failed || head / 4 > TLY_DECIMAL_DIGITS_MAX || kind >= KIND_COUNT)
    return corrupt(error);
  int32_t scale = (int32_t)(head / 4);
  if (kind != KIND_I64)
    return read_magnitude(cursor, kind == KIND_NEGATIVE, scale, arena, out, error);
  *out = tly_decimal_of_i64(tly_cursor_zigzag(cursor), scale);
  return cursor->failed ? corrupt(error) : TLY_OK;
}
