/* common/store/delta_cache.h -- live deltas that were asked for by key: where their blocks begin, and those decoded.
 *
 * Path of an event: fold -> deltas -> speed_reader [delta_cache] -> answer. A delta never changes and its id is never
 * used again, so what is held here is never stale. Blocks are held up to a bound; directories, some tens of bytes for
 * 512 groups, until the delta is gone.
 * Thread: a cache belongs to one thread at a time. */
#ifndef TLY_STORE_DELTA_CACHE_H
#define TLY_STORE_DELTA_CACHE_H

#include "common/store/block_cache.h"
#include "common/store/key_directory.h"

/* A delta that is known: block i begins at first_keys.keys[i]; blocks[i] is NULL while it is not held. One allocation.
 */
struct tly_known_delta {
  int64_t id;
  struct tly_known_delta *next; /* delta_cache.c */
  struct tly_key_directory first_keys;
  struct tly_held_block **blocks;
};

typedef struct tly_delta_cache tly_delta_cache;

/* Holds decoded blocks of up to `bytes_max`. */
tly_delta_cache *tly_delta_cache_new(size_t bytes_max);
void tly_delta_cache_free(tly_delta_cache *cache);
/* Forget everything: another store, where the same ids mean something else. */
void tly_delta_cache_clear(tly_delta_cache *cache);

/* The delta, or NULL when it is not known. Valid until it is dropped. */
struct tly_known_delta *tly_delta_cache_find(tly_delta_cache *cache, int64_t id);
/* Make a delta known whose blocks begin at `first_keys` (copied), in key order. */
struct tly_known_delta *tly_delta_cache_add(tly_delta_cache *cache, int64_t id, const struct tly_text *first_keys,
                                            uint32_t block_count);
/* The delta is gone from the store. It need not be known. */
void tly_delta_cache_drop(tly_delta_cache *cache, int64_t id);
/* Hold a copy of block `number`, which is not held. Others may be dropped for it. */
struct tly_held_block *tly_delta_cache_add_block(tly_delta_cache *cache, struct tly_known_delta *delta, uint32_t number,
                                                 const struct tly_group_slice *slice);
/* Of blocks. */
size_t tly_delta_cache_bytes(const tly_delta_cache *cache);

#endif
