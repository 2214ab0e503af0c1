/* common/engine/group_sort.h -- sort words, and encoded keys. Private to the engine wing.
 * Thread: pure. */
#ifndef TLY_ENGINE_GROUP_SORT_H
#define TLY_ENGINE_GROUP_SORT_H

#include <string.h>

#include "common/engine/key_heap.h"

/* A key as the group table keeps it: the group's number and the key's size, 4 bytes each, unaligned, then its bytes. */
enum { TLY_KEY_RECORD_HEAD_BYTES = 8 };

static inline uint32_t tly_key_record_group(const uint8_t *record) {
  uint32_t group;
  memcpy(&group, record, sizeof group);
  return group;
}

static inline struct tly_text tly_key_record_text(const uint8_t *record) {
  struct tly_text key = {.data = (const char *)record + TLY_KEY_RECORD_HEAD_BYTES};
  memcpy(&key.size, record + sizeof(uint32_t), sizeof key.size);
  return key;
}

static inline const uint8_t *tly_key_record_new(struct tly_key_heap *heap, uint32_t group, struct tly_text key) {
  uint8_t *record = tly_key_heap_alloc(heap, TLY_KEY_RECORD_HEAD_BYTES + key.size);
  memcpy(record, &group, sizeof group);
  memcpy(record + sizeof group, &key.size, sizeof key.size);
  if (key.size > 0)
    memcpy(record + TLY_KEY_RECORD_HEAD_BYTES, key.data, key.size);
  return record;
}

/* What is sorted: a word, and what belongs to it. */
struct tly_sort_item {
  uint64_t word, payload;
};

/* Sort items in place by word; equal words stay in their order. `scratch` has room for `count`. */
void tly_word_sort(struct tly_sort_item *items, struct tly_sort_item *scratch, uint32_t count);

/* Sort key records in place by their keys, which are all different and none of which begins another (as encoded tuples
 * of the same types are). */
void tly_group_sort(const uint8_t **records, uint32_t count);

#endif
