/* common/engine/group_sort.h -- sort encoded keys. Private to the engine wing.
 * Thread: pure. */
#ifndef TLY_ENGINE_GROUP_SORT_H
#define TLY_ENGINE_GROUP_SORT_H

#include <string.h>

#include "common/value/text.h"

/* A key as the group table keeps it: its size in 4 bytes, unaligned, then its bytes. */
static inline struct tly_text tly_key_record_text(const uint8_t *record) {
  struct tly_text key = {.data = (const char *)record + sizeof key.size};
  memcpy(&key.size, record, sizeof key.size);
  return key;
}

/* The numbers 0 .. count-1 of key records in the order of their keys, which are all different and none of which begins
 * another (as encoded tuples of the same types are). The caller frees the array. */
uint32_t *tly_group_sort(const uint8_t *const *records, uint32_t count);

#endif
