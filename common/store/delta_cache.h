/* common/store/delta_cache.h -- decoded blocks and block directories of live deltas, kept for point queries.
 *
 * Path of an event: fold -> deltas -> speed_reader [delta_cache] -> answer. A delta never changes and its id is never
 * used again, so what is held here is never stale; what is not asked for ages out.
 * Thread: a cache belongs to one thread at a time. */
#ifndef TLY_STORE_DELTA_CACHE_H
#define TLY_STORE_DELTA_CACHE_H

#include "common/engine/group_table.h"

/* The first keys of a delta's blocks, in key order: block i is the one with number i. One allocation. */
struct tly_delta_directory {
  uint32_t block_count;
  size_t bytes;
  struct tly_text first_keys[]; /* and behind them the bytes they point to */
};

typedef struct tly_delta_cache tly_delta_cache;

/* Holds up to `bytes_max`, the least recently used go first. */
tly_delta_cache *tly_delta_cache_new(size_t bytes_max);
void tly_delta_cache_free(tly_delta_cache *cache);
/* Forget everything: another store, where the same ids mean something else. */
void tly_delta_cache_clear(tly_delta_cache *cache);

/* What is held, or NULL. Valid until the next add or clear. */
const struct tly_group_slice *tly_delta_cache_block(tly_delta_cache *cache, int64_t delta, uint32_t number);
const struct tly_delta_directory *tly_delta_cache_directory(tly_delta_cache *cache, int64_t delta);
/* Take over `slice` (left zeroed) or `directory` (made with tly_malloc), which must not be held yet. What comes back is
 * valid until the next add or clear. */
const struct tly_group_slice *tly_delta_cache_add_block(tly_delta_cache *cache, int64_t delta, uint32_t number,
                                                        struct tly_group_slice *slice);
const struct tly_delta_directory *tly_delta_cache_add_directory(tly_delta_cache *cache, int64_t delta,
                                                                struct tly_delta_directory *directory);
size_t tly_delta_cache_bytes(const tly_delta_cache *cache);

#endif
