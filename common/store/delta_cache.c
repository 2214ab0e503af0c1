#include "common/store/delta_cache.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { BUCKET_COUNT = 1024 };

struct tly_delta_cache {
  struct tly_known_delta *buckets[BUCKET_COUNT]; /* ids are given in turn: they spread evenly */
  tly_block_cache *blocks;
};

tly_delta_cache *tly_delta_cache_new(size_t bytes_max) {
  tly_delta_cache *cache = tly_calloc(1, sizeof *cache);
  cache->blocks = tly_block_cache_new(bytes_max);
  return cache;
}

/* The pointer to the delta: NULL at the end of its chain when it is not known. */
static struct tly_known_delta **link_of(tly_delta_cache *cache, int64_t id) {
  struct tly_known_delta **link = &cache->buckets[(uint64_t)id % BUCKET_COUNT];
  while (*link != NULL && (*link)->id != id)
    link = &(*link)->next;
  return link;
}

static void drop(tly_delta_cache *cache, struct tly_known_delta **link) {
  struct tly_known_delta *delta = *link;
  for (uint32_t number = 0; number < delta->first_keys.count; number++)
    if (delta->blocks[number] != NULL)
      tly_block_cache_drop(cache->blocks, delta->blocks[number]);
  *link = delta->next;
  tly_free(delta);
}

void tly_delta_cache_clear(tly_delta_cache *cache) {
  for (uint32_t bucket = 0; bucket < BUCKET_COUNT; bucket++)
    while (cache->buckets[bucket] != NULL)
      drop(cache, &cache->buckets[bucket]);
  TLY_ASSERT(tly_block_cache_bytes(cache->blocks) == 0);
}

void tly_delta_cache_free(tly_delta_cache *cache) {
  if (cache == NULL)
    return;
  tly_delta_cache_clear(cache);
  tly_block_cache_free(cache->blocks);
  tly_free(cache);
}

struct tly_known_delta *tly_delta_cache_find(tly_delta_cache *cache, int64_t id) {
  return *link_of(cache, id);
}

void tly_delta_cache_drop(tly_delta_cache *cache, int64_t id) {
  struct tly_known_delta **link = link_of(cache, id);
  if (*link != NULL)
    drop(cache, link);
}

/* The delta, and behind it: pointers to blocks, heads, keys, the keys' bytes. */
struct tly_known_delta *tly_delta_cache_add(tly_delta_cache *cache, int64_t id, const struct tly_text *first_keys,
                                            uint32_t block_count) {
  struct tly_known_delta **link = link_of(cache, id), *delta;
  size_t key_bytes = 0;
  TLY_ASSERT(*link == NULL);
  for (uint32_t i = 0; i < block_count; i++)
    key_bytes += first_keys[i].size;
  delta =
      tly_calloc(1, sizeof *delta + block_count * (sizeof(void *) + sizeof(uint64_t) + sizeof *first_keys) + key_bytes);
  delta->id = id;
  delta->blocks = (struct tly_held_block **)(delta + 1);
  uint64_t *heads = (uint64_t *)(delta->blocks + block_count);
  struct tly_text *keys = (struct tly_text *)(heads + block_count);
  char *bytes = (char *)(keys + block_count);
  for (uint32_t i = 0; i < block_count; i++) {
    keys[i] = (struct tly_text){.data = bytes, .size = first_keys[i].size};
    memcpy(bytes, first_keys[i].data, first_keys[i].size);
    bytes += first_keys[i].size;
  }
  delta->first_keys = tly_key_directory_make(keys, block_count, heads);
  *link = delta;
  return delta;
}

struct tly_held_block *tly_delta_cache_add_block(tly_delta_cache *cache, struct tly_known_delta *delta, uint32_t number,
                                                 const struct tly_group_slice *slice) {
  TLY_ASSERT(number < delta->first_keys.count);
  return tly_block_cache_add(cache->blocks, slice, &delta->blocks[number]);
}

size_t tly_delta_cache_bytes(const tly_delta_cache *cache) {
  return tly_block_cache_bytes(cache->blocks);
}
