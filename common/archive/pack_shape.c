#include "common/archive/pack_shape.h"

#include <immintrin.h>
#include <string.h>

#include "common/base/assert.h"

enum { LANES = 4 };

static int64_t subtract(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a - (uint64_t)b);
}

static struct tly_pack_shape first_of(const int64_t *values, uint32_t count) {
  struct tly_pack_shape shape = {.min = values[0], .max = values[0], .runs = 1};
  if (count > 1)
    shape.delta_min = shape.delta_max = subtract(values[1], values[0]);
  return shape;
}

/* Take in values[from .. count). */
static void take_rest(struct tly_pack_shape *shape, const int64_t *values, uint32_t from, uint32_t count) {
  for (uint32_t i = from; i < count; i++) {
    int64_t value = values[i], delta = subtract(value, values[i - 1]);
    shape->min = value < shape->min ? value : shape->min;
    shape->max = value > shape->max ? value : shape->max;
    shape->delta_min = delta < shape->delta_min ? delta : shape->delta_min;
    shape->delta_max = delta > shape->delta_max ? delta : shape->delta_max;
    shape->runs += delta != 0;
  }
}

struct tly_pack_shape tly_pack_shape_of_plain(const int64_t *values, uint32_t count) {
  TLY_ASSERT(count > 0);
  struct tly_pack_shape shape = first_of(values, count);
  take_rest(&shape, values, 1, count);
  return shape;
}

/* ---- AVX2 -------------------------------------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load(const int64_t *values) {
  return _mm256_loadu_si256((const __m256i *)(const void *)values);
}

AVX2 static inline __m256i smaller(__m256i a, __m256i b) {
  return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b));
}

AVX2 static inline __m256i larger(__m256i a, __m256i b) {
  return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b));
}

AVX2 static struct tly_pack_shape shape_by_lanes(const int64_t *values, uint32_t count) {
  struct tly_pack_shape shape = first_of(values, count);
  __m256i min = _mm256_set1_epi64x(shape.min), max = min, same = _mm256_setzero_si256();
  __m256i delta_min = _mm256_set1_epi64x(shape.delta_min), delta_max = delta_min;
  uint32_t i = 1;
  for (; i + LANES <= count; i += LANES) {
    __m256i value = load(values + i), delta = _mm256_sub_epi64(value, load(values + i - 1));
    min = smaller(min, value);
    max = larger(max, value);
    delta_min = smaller(delta_min, delta);
    delta_max = larger(delta_max, delta);
    same = _mm256_sub_epi64(same, _mm256_cmpeq_epi64(delta, _mm256_setzero_si256()));
  }
  int64_t lanes[5][LANES];
  memcpy(lanes[0], &min, sizeof min);
  memcpy(lanes[1], &max, sizeof max);
  memcpy(lanes[2], &delta_min, sizeof delta_min);
  memcpy(lanes[3], &delta_max, sizeof delta_max);
  memcpy(lanes[4], &same, sizeof same);
  shape.runs += i - 1;
  for (unsigned lane = 0; lane < LANES; lane++) {
    shape.min = lanes[0][lane] < shape.min ? lanes[0][lane] : shape.min;
    shape.max = lanes[1][lane] > shape.max ? lanes[1][lane] : shape.max;
    shape.delta_min = lanes[2][lane] < shape.delta_min ? lanes[2][lane] : shape.delta_min;
    shape.delta_max = lanes[3][lane] > shape.delta_max ? lanes[3][lane] : shape.delta_max;
    shape.runs -= (uint32_t)lanes[4][lane];
  }
  take_rest(&shape, values, i, count);
  return shape;
}

struct tly_pack_shape tly_pack_shape_of(const int64_t *values, uint32_t count) {
  TLY_ASSERT(count > 0);
  return __builtin_cpu_supports("avx2") ? shape_by_lanes(values, count) : tly_pack_shape_of_plain(values, count);
}
