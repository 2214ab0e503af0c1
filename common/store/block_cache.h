/* common/store/block_cache.h -- decoded blocks of groups, held up to a bound, each with an index by key.
 *
 * Path of an answer: run and delta blocks -> decode -> [block cache] -> point look-ups, narrow scans. What is held was
 * checked when it was read; blocks never change, so nothing here is ever stale.
 * Thread: a cache belongs to one thread at a time. */
#ifndef TLY_STORE_BLOCK_CACHE_H
#define TLY_STORE_BLOCK_CACHE_H

#include "common/engine/group_row.h"
#include "common/store/slice.h"

typedef struct tly_block_cache tly_block_cache;

/* A block that is held. Its owner keeps a pointer to it, `*place`, which becomes NULL when the block is dropped. */
struct tly_held_block {
  uint32_t *slots; /* the index: block_cache.c. What a look-up reads stands first, in one cache line */
  uint32_t slot_mask;
  uint32_t pins;              /* > 0: not dropped */
  bool was_used;              /* again, since the search for room last came by */
  struct tly_slice_copy copy; /* read-only */
  struct tly_held_block **place;
  size_t bytes;
  struct tly_held_block *next, *previous;
};

/* Holds up to `bytes_max` (and always the block that was added last, and those with pins). */
tly_block_cache *tly_block_cache_new(size_t bytes_max);
/* Its owners have dropped every block. */
void tly_block_cache_free(tly_block_cache *cache);
size_t tly_block_cache_bytes(const tly_block_cache *cache);
/* Hold a copy of `slice`; others that have not been used for long may be dropped. *place, which must be NULL, is set.
 */
struct tly_held_block *tly_block_cache_add(tly_block_cache *cache, const struct tly_group_slice *slice,
                                           struct tly_held_block **place);
void tly_block_cache_drop(tly_block_cache *cache, struct tly_held_block *block);

/* One key, looked up in all the blocks where it may stand: the misses of the processor's caches overlap, which are most
 * of the time. */
enum { TLY_LOOKUP_BLOCKS = 16 };
struct tly_block_lookup {
  struct tly_group_row *row; /* begun with the key; what is found is added to it */
  uint64_t hash;
  uint32_t count; /* of blocks not looked into yet */
  struct tly_held_block *blocks[TLY_LOOKUP_BLOCKS];
};

struct tly_block_lookup tly_block_lookup_begin(struct tly_group_row *row);
/* Look into `block` too, which has to stay held until the next finish. */
void tly_block_lookup_add(struct tly_block_lookup *lookup, struct tly_held_block *block);
/* Look into the blocks that were added. More may be added after that. */
void tly_block_lookup_finish(struct tly_block_lookup *lookup);

#endif
