/* common/archive/pack_shape.h -- what a run of integers is like: its range, that of its differences, how often it
 * changes. Thread: pure. */
#ifndef TLY_ARCHIVE_PACK_SHAPE_H
#define TLY_ARCHIVE_PACK_SHAPE_H

#include <stdint.h>

struct tly_pack_shape {
  int64_t min, max;
  int64_t delta_min; /* of the differences modulo 2^64, taken as signed; 0 for a single value */
  int64_t delta_max;
  uint32_t runs; /* of equal values */
};

/* Of `count` values, at least one. Uses what the processor has; the plain one gives the same, on any. */
struct tly_pack_shape tly_pack_shape_of(const int64_t *values, uint32_t count);
struct tly_pack_shape tly_pack_shape_of_plain(const int64_t *values, uint32_t count);

#endif
