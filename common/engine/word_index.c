/* Open addressing. A slot is the hash, of 32 bits, and the tuple's number; the words themselves stand by number. Since
 * a slot's place follows from its hash alone, growing reads nothing but slots, and in their order: it is two sequential
 * writes, not a million cache misses. Rows of a batch are hashed first and looked up after, so that in a large index
 * the memory each row will want is already on its way (prefetched) when its turn comes.
 *
 * INVARIANTS
 *   (1) Every slot's tuple has its words at its number.
 *   (2) At most 5 of 8 slots are used. */
#include "common/engine/word_index.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/engine/hash_seed.h"

enum { SLOTS_MIN = 64, LARGE_SLOTS = 1 << 15, PREFETCH_SLOTS = 32, PREFETCH_WORDS = 16 };

void tly_word_index_init(struct tly_word_index *index, uint32_t word_count) {
  *index = (struct tly_word_index){.word_count = word_count};
  index->seed = tly_hash_seed(index);
  index->factor = tly_hash_seed(&index->factor) | 1;
}

void tly_word_index_free(struct tly_word_index *index) {
  tly_free(index->words);
  tly_free(index->slots);
  *index = (struct tly_word_index){.word_count = 0};
}

size_t tly_word_index_bytes(const struct tly_word_index *index) {
  return (size_t)index->capacity * index->word_count * sizeof(uint64_t) + index->slot_count * sizeof *index->slots;
}

/* --- hashing ------------------------------------------------------------------------------------------------------ */

/* Both halves of a 128-bit product, folded (Wang Yi, wyhash). The factor is odd and nobody's guess. */
TLY_ALWAYS_INLINE uint64_t mix(uint64_t factor, uint64_t hash, uint64_t word) {
  tly_u128 product = (tly_u128)(hash ^ word) * factor;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_of(const struct tly_word_index *index, const uint64_t *tuple) {
  uint64_t hash = index->seed;
  for (uint32_t w = 0; w < index->word_count; w++)
    hash = mix(index->factor, hash, tuple[w]);
  return (uint32_t)hash;
}

/* `word_count` is a constant where this is inlined. */
TLY_ALWAYS_INLINE void hash_rows(const struct tly_word_index *index, uint64_t *const *words, uint32_t word_count,
                                 struct tly_rows rows, uint32_t *hashes) {
  const uint64_t factor = index->factor, seed = index->seed;
  TLY_EACH_ROW (rows, row) {
    uint64_t hash = seed;
    for (uint32_t w = 0; w < word_count; w++)
      hash = mix(factor, hash, words[w][row]);
    hashes[row] = (uint32_t)hash;
  }
}

/* The slot of the row PREFETCH_SLOTS further on, and the words of the tuple in the slot of the one PREFETCH_WORDS
 * further: by then its slot is here. */
TLY_ALWAYS_INLINE void prefetch_ahead(const struct tly_word_index *index, const uint32_t *hashes, struct tly_rows rows,
                                      uint32_t at, uint32_t word_count) {
  uint32_t mask = index->slot_count - 1;
  if (at + PREFETCH_SLOTS < rows.count)
    __builtin_prefetch(&index->slots[hashes[tly_rows_at(rows, at + PREFETCH_SLOTS)] & mask]);
  if (at + PREFETCH_WORDS < rows.count) {
    uint32_t number = index->slots[hashes[tly_rows_at(rows, at + PREFETCH_WORDS)] & mask].number;
    if (number != TLY_WORD_NONE)
      __builtin_prefetch(&index->words[(size_t)number * word_count]);
  }
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

static void place(struct tly_word_index *index, uint32_t hash, uint32_t number) {
  uint32_t mask = index->slot_count - 1, at = hash & mask;
  while (index->slots[at].number != TLY_WORD_NONE)
    at = (at + 1) & mask;
  index->slots[at] = (struct tly_word_slot){.hash = hash, .number = number};
}

static void set_slots(struct tly_word_index *index, uint32_t slot_count) {
  struct tly_word_slot *before = index->slots;
  uint32_t count_before = index->slot_count;
  index->slot_count = slot_count;
  index->slots = tly_malloc(slot_count * sizeof *index->slots);
  memset(index->slots, 0xFF, slot_count * sizeof *index->slots);
  for (uint32_t at = 0; at < count_before; at++) {
    if (before[at].number != TLY_WORD_NONE)
      place(index, before[at].hash, before[at].number);
  }
  tly_free(before);
}

/* Slots and words for `count` tuples. */
static void make_room(struct tly_word_index *index, uint32_t count) {
  uint32_t slot_count = index->slot_count == 0 ? SLOTS_MIN : index->slot_count;
  while (8 * (uint64_t)count > 5 * (uint64_t)slot_count)
    slot_count *= 2;
  if (slot_count != index->slot_count)
    set_slots(index, slot_count);
  if (count <= index->capacity)
    return;
  uint32_t capacity = index->capacity + index->capacity / 4;
  index->capacity = capacity < count + SLOTS_MIN ? count + SLOTS_MIN : capacity;
  index->words = tly_realloc_array(index->words, (size_t)index->capacity * index->word_count, sizeof(uint64_t));
}

static uint32_t add_tuple(struct tly_word_index *index, uint64_t *const *words, uint32_t row, uint32_t hash) {
  uint32_t number = index->count++;
  TLY_ASSERT(number < TLY_WORD_NONE - 1);
  make_room(index, index->count);
  for (uint32_t w = 0; w < index->word_count; w++)
    index->words[(size_t)number * index->word_count + w] = words[w][row];
  place(index, hash, number);
  return number;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

TLY_ALWAYS_INLINE bool words_equal(const uint64_t *of_number, uint64_t *const *words, uint32_t word_count,
                                   uint32_t row) {
  for (uint32_t w = 0; w < word_count; w++) {
    if (of_number[w] != words[w][row])
      return false;
  }
  return true;
}

TLY_ALWAYS_INLINE void find_rows(struct tly_word_index *index, uint64_t *const *words, uint32_t word_count,
                                 struct tly_rows rows, uint32_t *numbers) {
  uint32_t hashes[TLY_EVALUATE_ROWS];
  hash_rows(index, words, word_count, rows, hashes);
  const bool is_large = index->slot_count >= LARGE_SLOTS;
  TLY_EACH_ROW (rows, row) {
    if (is_large)
      prefetch_ahead(index, hashes, rows, row_index, word_count);
    uint32_t hash = hashes[row], mask = index->slot_count - 1, at = hash & mask, number;
    while ((number = index->slots[at].number) != TLY_WORD_NONE) {
      if (index->slots[at].hash == hash &&
          words_equal(&index->words[(size_t)number * word_count], words, word_count, row))
        break;
      at = (at + 1) & mask;
    }
    numbers[row] = number != TLY_WORD_NONE ? number : add_tuple(index, words, row, hash);
  }
}

void tly_word_index_find_rows(struct tly_word_index *index, uint64_t *const *words, struct tly_rows rows,
                              uint32_t *numbers) {
  if (index->slot_count == 0)
    make_room(index, 1);
  switch (index->word_count) {
  case 1: find_rows(index, words, 1, rows, numbers); return;
  case 2: find_rows(index, words, 2, rows, numbers); return;
  default: find_rows(index, words, index->word_count, rows, numbers); return;
  }
}

uint32_t tly_word_index_find(struct tly_word_index *index, const uint64_t *tuple) {
  if (index->slot_count == 0)
    make_room(index, 1);
  uint32_t hash = hash_of(index, tuple), mask = index->slot_count - 1, at = hash & mask, number;
  for (; (number = index->slots[at].number) != TLY_WORD_NONE; at = (at + 1) & mask) {
    if (index->slots[at].hash == hash &&
        memcmp(&index->words[(size_t)number * index->word_count], tuple, index->word_count * sizeof *tuple) == 0)
      return number;
  }
  number = index->count++;
  make_room(index, index->count);
  memcpy(&index->words[(size_t)number * index->word_count], tuple, index->word_count * sizeof *tuple);
  place(index, hash, number);
  return number;
}

void tly_word_index_reserve(struct tly_word_index *index, uint32_t count) {
  TLY_ASSERT(index->count == 0);
  make_room(index, count);
  index->count = count;
}

void tly_word_index_put(struct tly_word_index *index, const uint64_t *tuple, uint32_t number) {
  TLY_ASSERT(number < index->count);
  memcpy(&index->words[(size_t)number * index->word_count], tuple, index->word_count * sizeof *tuple);
  place(index, hash_of(index, tuple), number);
}
