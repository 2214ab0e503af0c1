/* Eight values of w bits are w bytes, so every eighth value begins at a byte. With AVX2 eight are unpacked at a time:
 * each half of a vector loads the 16 bytes in which its four values begin, a shuffle brings the four bytes that hold a
 * value into its lane, a shift by its place in the first of them and a mask do the rest. Shuffle and shifts are the
 * same for all eights. A value lies within four bytes at any bit while w <= 25; wider ones take the plain loop, and so
 * do the last values, behind which there are no 16 bytes to load. */
#include "common/archive/unpack_bits.h"

#include <immintrin.h>

enum { LANES = 8, LANE_WIDTH_MAX = 25, LOAD_BYTES = 16, PADDING_BYTES = 8 };

/* ---- plain ------------------------------------------------------------------------------------------------------- */

static void frame_from(const struct tly_packed_bits *packed, uint32_t first, uint32_t count, int64_t *out) {
  for (uint32_t i = first; i < count; i++)
    out[i] = (int64_t)(packed->base + packed->unit * tly_bits_at(packed, i));
}

static uint32_t narrow_from(const struct tly_packed_bits *packed, uint32_t first, uint32_t count, uint32_t *out) {
  uint32_t most = 0;
  for (uint32_t i = first; i < count; i++) {
    out[i] = (uint32_t)(packed->base + tly_bits_at(packed, i));
    most = out[i] > most ? out[i] : most;
  }
  return most;
}

void tly_unpack_frame_plain(const struct tly_packed_bits *packed, uint32_t count, int64_t *out) {
  frame_from(packed, 0, count, out);
}

uint32_t tly_unpack_narrow_plain(const struct tly_packed_bits *packed, uint32_t count, uint32_t *out) {
  return narrow_from(packed, 0, count, out);
}

/* ---- AVX2 -------------------------------------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2")))

/* How the eight lanes find their values. */
struct lanes {
  uint8_t shuffle[32];
  uint32_t shifts[LANES];
  unsigned width, high_offset; /* bytes of eight values; where those of the upper half begin */
};

static struct lanes lanes_of(unsigned width) {
  struct lanes lanes = {.width = width, .high_offset = width / 2};
  for (unsigned lane = 0; lane < LANES; lane++) {
    unsigned bit = lane * width - (lane < LANES / 2 ? 0 : 8 * lanes.high_offset);
    lanes.shifts[lane] = bit & 7;
    for (unsigned byte = 0; byte < 4; byte++)
      lanes.shuffle[4 * lane + byte] = (uint8_t)((bit >> 3) + byte);
  }
  return lanes;
}

/* How many values can be unpacked by eights: behind their bytes come the loads' and what the padding allows of them. */
static uint32_t count_by_lanes(unsigned width, uint32_t count) {
  uint64_t readable = ((uint64_t)count * width + 7) / 8 + PADDING_BYTES, reach = width / 2 + LOAD_BYTES;
  if (width == 0 || width > LANE_WIDTH_MAX || readable < reach)
    return 0;
  uint64_t eights = (readable - reach) / width + 1, all = count / LANES;
  return LANES * (uint32_t)(eights < all ? eights : all);
}

AVX2 static inline __m256i load_eight(const uint8_t *from, unsigned high_offset, __m256i shuffle, __m256i shifts,
                                      __m256i mask) {
  __m128i low = _mm_loadu_si128((const __m128i *)(const void *)from);
  __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(from + high_offset));
  __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, shuffle), shifts), mask);
}

AVX2 static void frame_by_lanes(const struct tly_packed_bits *packed, uint32_t count, int64_t *out) {
  const struct lanes lanes = lanes_of(packed->width);
  const __m256i shuffle = _mm256_loadu_si256((const __m256i *)(const void *)lanes.shuffle);
  const __m256i shifts = _mm256_loadu_si256((const __m256i *)(const void *)lanes.shifts);
  const __m256i mask = _mm256_set1_epi32((int)packed->mask);
  const __m256i base = _mm256_set1_epi64x((long long)packed->base), unit = _mm256_set1_epi64x((long long)packed->unit);
  const uint8_t *from = packed->bytes;
  for (uint32_t i = 0; i < count; i += LANES, from += lanes.width) {
    __m256i eight = load_eight(from, lanes.high_offset, shuffle, shifts, mask);
    __m256i low = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(eight));
    __m256i high = _mm256_cvtepu32_epi64(_mm256_extracti128_si256(eight, 1));
    __m256i *to = (__m256i *)(void *)(out + i);
    _mm256_storeu_si256(to, _mm256_add_epi64(base, _mm256_mul_epu32(low, unit)));
    _mm256_storeu_si256(to + 1, _mm256_add_epi64(base, _mm256_mul_epu32(high, unit)));
  }
}

AVX2 static uint32_t narrow_by_lanes(const struct tly_packed_bits *packed, uint32_t count, uint32_t *out) {
  const struct lanes lanes = lanes_of(packed->width);
  const __m256i shuffle = _mm256_loadu_si256((const __m256i *)(const void *)lanes.shuffle);
  const __m256i shifts = _mm256_loadu_si256((const __m256i *)(const void *)lanes.shifts);
  const __m256i mask = _mm256_set1_epi32((int)packed->mask), base = _mm256_set1_epi32((int)packed->base);
  const uint8_t *from = packed->bytes;
  __m256i most = _mm256_setzero_si256();
  for (uint32_t i = 0; i < count; i += LANES, from += lanes.width) {
    __m256i eight = _mm256_add_epi32(base, load_eight(from, lanes.high_offset, shuffle, shifts, mask));
    most = _mm256_max_epu32(most, eight);
    _mm256_storeu_si256((__m256i *)(void *)(out + i), eight);
  }
  uint32_t each[LANES], largest = 0;
  _mm256_storeu_si256((__m256i *)(void *)each, most);
  for (unsigned lane = 0; lane < LANES; lane++)
    largest = each[lane] > largest ? each[lane] : largest;
  return largest;
}

/* ---- by what there is -------------------------------------------------------------------------------------------- */

void tly_unpack_frame(const struct tly_packed_bits *packed, uint32_t count, int64_t *out) {
  uint32_t by_lanes = packed->unit <= UINT32_MAX ? count_by_lanes(packed->width, count) : 0;
  if (by_lanes > 0 && __builtin_cpu_supports("avx2"))
    frame_by_lanes(packed, by_lanes, out);
  else
    by_lanes = 0;
  frame_from(packed, by_lanes, count, out);
}

uint32_t tly_unpack_narrow(const struct tly_packed_bits *packed, uint32_t count, uint32_t *out) {
  uint32_t by_lanes = count_by_lanes(packed->width, count), most = 0;
  if (by_lanes > 0 && __builtin_cpu_supports("avx2"))
    most = narrow_by_lanes(packed, by_lanes, out);
  else
    by_lanes = 0;
  uint32_t rest = narrow_from(packed, by_lanes, count, out);
  return most > rest ? most : rest;
}
