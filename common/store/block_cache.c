/* Blocks stand in a ring; the hand goes round it when room is needed. A block that was used since the hand last came by
 * stays for another round ("second chance"): so using a block is setting a bit, not moving it in a list.
 *
 * The index of a block is a hash table of rows, at most half full: a slot holds 16 bits of the hash and the row's
 * number plus one. A look-up reads one slot or two and then the one key it wants: a binary search would read nine keys,
 * most of them not in the processor's caches. A client can choose keys that collide; then a look-up in that block costs
 * as much as reading its keys one by one, at most.
 *
 * INVARIANTS (check_invariants)
 *   (1) *block->place == block for every block in the ring.
 *   (2) bytes and count are those of the ring; the hand is NULL exactly when it is empty. */
#include "common/store/block_cache.h"

#include <string.h>
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { ROW_BITS = 16, ROW_MASK = (1 << ROW_BITS) - 1, SLOTS_MIN = 4 };

static const uint32_t NO_ROW = UINT32_MAX;

_Static_assert((int)TLY_GROUPS_PER_BLOCK < (int)ROW_MASK, "a row's number plus one fits into its slot");

struct tly_block_cache {
  struct tly_held_block *hand;
  uint32_t count; /* of blocks in the ring */
  size_t bytes, bytes_max;
};

static void check_invariants(const tly_block_cache *cache) {
  TLY_ASSERT((cache->hand == NULL) == (cache->bytes == 0) && (cache->hand == NULL) == (cache->count == 0));
  TLY_ASSERT(cache->hand == NULL || *cache->hand->place == cache->hand);
}

/* ---- the index --------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct tly_text key) {
  return XXH3_64bits(key.data, key.size);
}

static uint32_t tag_of(uint64_t hash) {
  return (uint32_t)(hash >> 48) << ROW_BITS;
}

static void make_index(struct tly_held_block *block) {
  const struct tly_group_slice *slice = &block->copy.slice;
  uint32_t slot_count = SLOTS_MIN;
  TLY_ASSERT(slice->count < ROW_MASK);
  while (slot_count < 2 * slice->count)
    slot_count *= 2;
  block->slots = tly_calloc(slot_count, sizeof *block->slots);
  block->slot_mask = slot_count - 1;
  for (uint32_t row = 0; row < slice->count; row++) {
    uint64_t hash = hash_of(slice->keys[row]);
    uint32_t at = (uint32_t)hash & block->slot_mask;
    while (block->slots[at] != 0)
      at = (at + 1) & block->slot_mask;
    block->slots[at] = tag_of(hash) | (row + 1);
  }
  block->bytes += slot_count * sizeof *block->slots;
}

/* The next row from slot *at on whose hash has the same tag, and *at behind it; NO_ROW when there is none. */
static uint32_t next_candidate(const struct tly_held_block *block, uint32_t tag, uint32_t *at) {
  uint32_t slot;
  for (; (slot = block->slots[*at]) != 0; *at = (*at + 1) & block->slot_mask)
    if ((slot & ~(uint32_t)ROW_MASK) == tag) {
      *at = (*at + 1) & block->slot_mask;
      return (slot & ROW_MASK) - 1;
    }
  return NO_ROW;
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

struct tly_block_lookup tly_block_lookup_begin(struct tly_group_row *row) {
  return (struct tly_block_lookup){.row = row, .hash = hash_of(row->key)};
}

void tly_block_lookup_add(struct tly_block_lookup *lookup, struct tly_held_block *block) {
  __builtin_prefetch(block);
  if (lookup->count == TLY_LOOKUP_BLOCKS)
    tly_block_lookup_finish(lookup);
  lookup->blocks[lookup->count++] = block;
}

/* Where the look-up stands in one block. */
struct candidate {
  const struct tly_group_slice *slice;
  uint32_t row, at;
};

void tly_block_lookup_finish(struct tly_block_lookup *lookup) {
  struct candidate candidates[TLY_LOOKUP_BLOCKS];
  uint32_t tag = tag_of(lookup->hash);
  struct tly_text key = lookup->row->key;
  for (uint32_t i = 0; i < lookup->count; i++) {
    struct tly_held_block *block = lookup->blocks[i];
    if (!block->was_used) /* most are: nothing is written for nothing */
      block->was_used = true;
    candidates[i].at = (uint32_t)lookup->hash & block->slot_mask;
    __builtin_prefetch(&block->slots[candidates[i].at]);
    __builtin_prefetch(block->copy.slice.states);
  }
  for (uint32_t i = 0; i < lookup->count; i++) {
    const struct tly_group_slice *slice = &lookup->blocks[i]->copy.slice;
    uint32_t row = next_candidate(lookup->blocks[i], tag, &candidates[i].at);
    candidates[i].slice = slice;
    candidates[i].row = row;
    if (row == NO_ROW)
      continue;
    __builtin_prefetch(&slice->keys[row]);
    tly_group_row_prefetch(lookup->row, slice, row);
  }
  for (uint32_t i = 0; i < lookup->count; i++)
    if (candidates[i].row != NO_ROW)
      __builtin_prefetch(candidates[i].slice->keys[candidates[i].row].data);
  for (uint32_t i = 0; i < lookup->count; i++) {
    uint32_t row = candidates[i].row;
    while (row != NO_ROW && !tly_text_equal(candidates[i].slice->keys[row], key))
      row = next_candidate(lookup->blocks[i], tag, &candidates[i].at);
    if (row != NO_ROW)
      tly_group_row_add(lookup->row, candidates[i].slice, row);
  }
  lookup->count = 0;
}

/* ---- the ring ---------------------------------------------------------------------------------------------------- */

tly_block_cache *tly_block_cache_new(size_t bytes_max) {
  tly_block_cache *cache = tly_calloc(1, sizeof *cache);
  cache->bytes_max = bytes_max;
  return cache;
}

void tly_block_cache_free(tly_block_cache *cache) {
  if (cache == NULL)
    return;
  TLY_ASSERT(cache->hand == NULL);
  tly_free(cache);
}

size_t tly_block_cache_bytes(const tly_block_cache *cache) {
  return cache->bytes;
}

void tly_block_cache_drop(tly_block_cache *cache, struct tly_held_block *block) {
  check_invariants(cache);
  TLY_ASSERT(block->pins == 0 && *block->place == block);
  *block->place = NULL;
  cache->bytes -= block->bytes;
  cache->count--;
  block->previous->next = block->next;
  block->next->previous = block->previous;
  if (cache->hand == block)
    cache->hand = block->next == block ? NULL : block->next;
  tly_slice_copy_free(&block->copy);
  tly_free(block->slots);
  tly_free(block);
}

/* Let go of blocks until `bytes` more fit. In two rounds the hand has met every block as one that is not used. */
static void make_room(tly_block_cache *cache, size_t bytes) {
  uint32_t steps = 2 * cache->count;
  for (struct tly_held_block *block; steps > 0 && (block = cache->hand) != NULL; steps--) {
    if (cache->bytes + bytes <= cache->bytes_max)
      return;
    cache->hand = block->next;
    if (block->was_used)
      block->was_used = false;
    else if (block->pins == 0)
      tly_block_cache_drop(cache, block);
  }
}

/* Behind the hand: the whole ring comes before it. */
static void enter(tly_block_cache *cache, struct tly_held_block *block) {
  struct tly_held_block *hand = cache->hand;
  if (hand == NULL) {
    cache->hand = block->next = block->previous = block;
    return;
  }
  block->next = hand;
  block->previous = hand->previous;
  hand->previous->next = block;
  hand->previous = block;
}

struct tly_held_block *tly_block_cache_add(tly_block_cache *cache, const struct tly_group_slice *slice,
                                           struct tly_held_block **place) {
  TLY_ASSERT(*place == NULL);
  check_invariants(cache);
  struct tly_held_block *block = tly_calloc(1, sizeof *block);
  tly_slice_copy_init(&block->copy, slice->program, slice->part);
  tly_slice_copy_whole(&block->copy, slice);
  block->place = place;
  block->bytes = sizeof *block + tly_slice_copy_bytes(&block->copy);
  make_index(block);
  make_room(cache, block->bytes);
  *place = block;
  enter(cache, block);
  cache->bytes += block->bytes;
  cache->count++;
  return block;
}
