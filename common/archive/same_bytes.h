/* common/archive/same_bytes.h -- whether two short runs of bytes are equal, without a call.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_SAME_BYTES_H
#define TLY_ARCHIVE_SAME_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t tly_load_u64(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static inline uint32_t tly_load_u32(const char *at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

/* Literals between values and most texts have 1 to 30 bytes: two overlapping loads cover 4 to 16, a loop the rest. */
static inline bool tly_same_bytes(const char *a, const char *b, size_t size) {
  if (size >= 8) {
    for (size_t i = 0; i + 8 < size; i += 8)
      if (tly_load_u64(a + i) != tly_load_u64(b + i))
        return false;
    return tly_load_u64(a + size - 8) == tly_load_u64(b + size - 8);
  }
  if (size >= 4)
    return ((tly_load_u32(a) ^ tly_load_u32(b)) | (tly_load_u32(a + size - 4) ^ tly_load_u32(b + size - 4))) == 0;
  for (size_t i = 0; i < size; i++)
    if (a[i] != b[i])
      return false;
  return true;
}

#endif
