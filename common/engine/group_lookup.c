/* Open addressing over words. A slot is the hash, of 32 bits, and the group's number; the words themselves stand by
 * group number. Since a slot's place follows from its hash alone, growing reads nothing but slots, and in their order:
 * it is two sequential writes, not a million cache misses. Rows of a batch are hashed first and looked up after, so
 * that in a large table the memory each row will want is already on its way (prefetched) when its turn comes.
 *
 * INVARIANTS
 *   (1) Every slot's group has its words in words_by_group.
 *   (2) At most 5 of 8 slots are used. */
#include "common/engine/group_lookup.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/engine/hash_seed.h"

enum { SLOTS_MIN = 256, LARGE_SLOTS = 1 << 15, PREFETCH_SLOTS = 32, PREFETCH_WORDS = 16 };

struct slot {
  uint32_t hash;
  uint32_t group; /* TLY_GROUP_NONE: free */
};

struct tly_group_lookup {
  tly_group_table *table;
  uint64_t epoch;
  uint32_t word_count;
  uint64_t seed, factor;
  uint64_t *words_by_group;
  uint32_t group_capacity;
  struct slot *slots;
  uint32_t slot_count, used_count;
  struct tly_buffer key;
  uint32_t hashes[TLY_EVALUATE_ROWS];
};

tly_group_lookup *tly_group_lookup_new(tly_group_table *table, uint32_t word_count) {
  TLY_ASSERT(word_count >= 1);
  tly_group_lookup *lookup = tly_calloc(1, sizeof *lookup);
  lookup->table = table;
  lookup->word_count = word_count;
  lookup->epoch = tly_group_table_epoch(table);
  lookup->seed = tly_hash_seed(lookup);
  lookup->factor = tly_hash_seed(&lookup->factor) | 1;
  return lookup;
}

void tly_group_lookup_free(tly_group_lookup *lookup) {
  if (lookup == NULL)
    return;
  tly_free(lookup->words_by_group);
  tly_free(lookup->slots);
  tly_buffer_free(&lookup->key);
  tly_free(lookup);
}

void tly_group_lookup_reset(tly_group_lookup *lookup) {
  tly_free(lookup->words_by_group);
  tly_free(lookup->slots);
  lookup->words_by_group = NULL;
  lookup->slots = NULL;
  lookup->group_capacity = lookup->slot_count = lookup->used_count = 0;
  if (tly_group_table_count(lookup->table) > 0)
    tly_group_table_index(lookup->table);
  lookup->epoch = tly_group_table_epoch(lookup->table);
}

bool tly_group_lookup_is_stale(const tly_group_lookup *lookup) {
  return lookup->epoch != tly_group_table_epoch(lookup->table);
}

size_t tly_group_lookup_bytes(const tly_group_lookup *lookup) {
  return lookup->group_capacity * lookup->word_count * sizeof(uint64_t) + lookup->slot_count * sizeof(struct slot);
}

/* --- hashing ------------------------------------------------------------------------------------------------------ */

/* Both halves of a 128-bit product, folded (Wang Yi, wyhash). The factor is odd and nobody's guess. */
TLY_ALWAYS_INLINE uint64_t mix(uint64_t factor, uint64_t hash, uint64_t word) {
  tly_u128 product = (tly_u128)(hash ^ word) * factor;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* `word_count` is a constant where this is inlined. */
TLY_ALWAYS_INLINE void hash_rows(tly_group_lookup *lookup, uint64_t *const *words, uint32_t word_count,
                                 struct tly_rows rows) {
  const uint64_t factor = lookup->factor, seed = lookup->seed;
  TLY_EACH_ROW (rows, row) {
    uint64_t hash = seed;
    for (uint32_t w = 0; w < word_count; w++)
      hash = mix(factor, hash, words[w][row]);
    lookup->hashes[row] = (uint32_t)hash;
  }
}

/* The slot of the row PREFETCH_SLOTS further on, and the words of the group in the slot of the one PREFETCH_WORDS
 * further: by then its slot is here. */
TLY_ALWAYS_INLINE void prefetch_ahead(const tly_group_lookup *lookup, struct tly_rows rows, uint32_t index,
                                      uint32_t word_count) {
  uint32_t mask = lookup->slot_count - 1;
  if (index + PREFETCH_SLOTS < rows.count)
    __builtin_prefetch(&lookup->slots[lookup->hashes[tly_rows_at(rows, index + PREFETCH_SLOTS)] & mask]);
  if (index + PREFETCH_WORDS < rows.count) {
    uint32_t group = lookup->slots[lookup->hashes[tly_rows_at(rows, index + PREFETCH_WORDS)] & mask].group;
    if (group != TLY_GROUP_NONE)
      __builtin_prefetch(&lookup->words_by_group[(size_t)group * word_count]);
  }
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

static void place(tly_group_lookup *lookup, uint32_t hash, uint32_t group) {
  uint32_t mask = lookup->slot_count - 1, at = hash & mask;
  while (lookup->slots[at].group != TLY_GROUP_NONE)
    at = (at + 1) & mask;
  lookup->slots[at] = (struct slot){.hash = hash, .group = group};
}

static void grow_slots(tly_group_lookup *lookup) {
  struct slot *before = lookup->slots;
  uint32_t count_before = lookup->slot_count;
  lookup->slot_count = count_before == 0 ? SLOTS_MIN : 2 * count_before;
  lookup->slots = tly_malloc(lookup->slot_count * sizeof *lookup->slots);
  memset(lookup->slots, 0xFF, lookup->slot_count * sizeof *lookup->slots);
  for (uint32_t at = 0; at < count_before; at++) {
    if (before[at].group != TLY_GROUP_NONE)
      place(lookup, before[at].hash, before[at].group);
  }
  tly_free(before);
}

static void grow_words(tly_group_lookup *lookup, uint32_t group) {
  uint32_t capacity = lookup->group_capacity + lookup->group_capacity / 4;
  if (capacity <= group)
    capacity = group + SLOTS_MIN;
  lookup->words_by_group =
      tly_realloc_array(lookup->words_by_group, (size_t)capacity * lookup->word_count, sizeof(uint64_t));
  lookup->group_capacity = capacity;
}

static uint32_t add_group(tly_group_lookup *lookup, uint64_t *const *words, uint32_t row, tly_key_build build,
                          void *context) {
  tly_buffer_clear(&lookup->key);
  build(context, row, &lookup->key);
  uint32_t group = tly_group_table_group(lookup->table, lookup->key.data, lookup->key.size);
  if (group >= lookup->group_capacity)
    grow_words(lookup, group);
  for (uint32_t w = 0; w < lookup->word_count; w++)
    lookup->words_by_group[(size_t)group * lookup->word_count + w] = words[w][row];
  if (8 * (uint64_t)++lookup->used_count > 5 * (uint64_t)lookup->slot_count)
    grow_slots(lookup);
  place(lookup, lookup->hashes[row], group);
  return group;
}

TLY_ALWAYS_INLINE bool words_equal(const uint64_t *of_group, uint64_t *const *words, uint32_t word_count,
                                   uint32_t row) {
  for (uint32_t w = 0; w < word_count; w++) {
    if (of_group[w] != words[w][row])
      return false;
  }
  return true;
}

TLY_ALWAYS_INLINE void find_rows(tly_group_lookup *lookup, uint64_t *const *words, uint32_t word_count,
                                 struct tly_rows rows, tly_key_build build, void *context, uint32_t *groups) {
  const bool is_large = lookup->slot_count >= LARGE_SLOTS;
  hash_rows(lookup, words, word_count, rows);
  TLY_EACH_ROW (rows, row) {
    if (is_large)
      prefetch_ahead(lookup, rows, row_index, word_count);
    uint32_t hash = lookup->hashes[row], mask = lookup->slot_count - 1, at = hash & mask, group;
    while ((group = lookup->slots[at].group) != TLY_GROUP_NONE) {
      if (lookup->slots[at].hash == hash &&
          words_equal(&lookup->words_by_group[(size_t)group * word_count], words, word_count, row))
        break;
      at = (at + 1) & mask;
    }
    groups[row] = group != TLY_GROUP_NONE ? group : add_group(lookup, words, row, build, context);
  }
}

void tly_group_lookup_find(tly_group_lookup *lookup, uint64_t *const *words, struct tly_rows rows, tly_key_build build,
                           void *context, uint32_t *groups) {
  TLY_ASSERT(!tly_group_lookup_is_stale(lookup));
  if (lookup->slot_count == 0)
    grow_slots(lookup);
  switch (lookup->word_count) {
  case 1: find_rows(lookup, words, 1, rows, build, context, groups); return;
  case 2: find_rows(lookup, words, 2, rows, build, context, groups); return;
  default: find_rows(lookup, words, lookup->word_count, rows, build, context, groups); return;
  }
}
