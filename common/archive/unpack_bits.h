/* common/archive/unpack_bits.h -- packed bits back to integers: the inner loops of reading a block.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_UNPACK_BITS_H
#define TLY_ARCHIVE_UNPACK_BITS_H

#include <stdint.h>
#include <string.h>

/* Value i is base + unit * (the `width` bits from bit i * width on), modulo 2^64. 8 more bytes are readable behind the
 * last bits (TLY_PACK_PADDING). */
struct tly_packed_bits {
  const uint8_t *bytes;
  uint64_t base, unit;
  uint64_t mask;  /* of `width` bits */
  unsigned width; /* 0..57 or 64 */
};

static inline uint64_t tly_bits_at(const struct tly_packed_bits *packed, uint64_t index) {
  uint64_t word, bit = index * packed->width;
  memcpy(&word, packed->bytes + (bit >> 3), sizeof word);
  return (word >> (bit & 7)) & packed->mask;
}

/* The first `count` values. Uses what the processor has; the plain one gives the same, on any. */
void tly_unpack_frame(const struct tly_packed_bits *packed, uint32_t count, int64_t *out);
void tly_unpack_frame_plain(const struct tly_packed_bits *packed, uint32_t count, int64_t *out);
/* The same for values of 32 bits, of unit 1; gives the largest (0 when there is none). */
uint32_t tly_unpack_narrow(const struct tly_packed_bits *packed, uint32_t count, uint32_t *out);
uint32_t tly_unpack_narrow_plain(const struct tly_packed_bits *packed, uint32_t count, uint32_t *out);

#endif
