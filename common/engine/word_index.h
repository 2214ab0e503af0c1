/* common/engine/word_index.h -- tuples of words, numbered in the order in which they come. Private to the engine wing.
 *
 * Path of an event: key columns -> words -> [word index] -> group number. Thread: an index belongs to one thread. */
#ifndef TLY_ENGINE_WORD_INDEX_H
#define TLY_ENGINE_WORD_INDEX_H

#include "common/engine/kernel.h"

#define TLY_WORD_NONE UINT32_MAX

struct tly_word_slot {
  uint32_t hash;
  uint32_t number; /* TLY_WORD_NONE: free */
};

struct tly_word_index {
  uint32_t word_count;
  uint64_t seed, factor;
  uint64_t *words; /* of number n: words[n * word_count ...] */
  uint32_t count, capacity;
  struct tly_word_slot *slots;
  uint32_t slot_count; /* a power of two, or 0 */
};

void tly_word_index_init(struct tly_word_index *index, uint32_t word_count);
void tly_word_index_free(struct tly_word_index *index);
size_t tly_word_index_bytes(const struct tly_word_index *index);
/* numbers[row] of the tuples words[0 .. word_count)[row]; new ones get index->count, index->count + 1, ... */
void tly_word_index_find_rows(struct tly_word_index *index, uint64_t *const *words, struct tly_rows rows,
                              uint32_t *numbers);
/* The number of one tuple; of a new one, the next. */
uint32_t tly_word_index_find(struct tly_word_index *index, const uint64_t *tuple);
/* Fill an empty index: room for `count` tuples, whose numbers the caller then gives, each of 0 .. count - 1 once. */
void tly_word_index_reserve(struct tly_word_index *index, uint32_t count);
void tly_word_index_put(struct tly_word_index *index, const uint64_t *tuple, uint32_t number);

#endif
