/* A hash table of chains and, through the same entries, a list in order of use: the head was used last. An entry holds
 * a decoded block or, under number DIRECTORY, a delta's directory. */
#include "common/store/delta_cache.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { BUCKET_COUNT = 4096 };
static const uint32_t DIRECTORY = UINT32_MAX;

struct entry {
  int64_t delta;
  uint32_t number;
  size_t bytes;
  struct tly_group_slice slice;          /* unless number is DIRECTORY */
  struct tly_delta_directory *directory; /* if it is */
  struct entry *next_in_bucket;
  struct entry *newer, *older;
};

struct tly_delta_cache {
  struct entry *buckets[BUCKET_COUNT];
  struct entry *newest, *oldest;
  size_t bytes, bytes_max;
};

tly_delta_cache *tly_delta_cache_new(size_t bytes_max) {
  tly_delta_cache *cache = tly_calloc(1, sizeof *cache);
  cache->bytes_max = bytes_max;
  return cache;
}

static struct entry **bucket_of(tly_delta_cache *cache, int64_t delta, uint32_t number) {
  uint64_t hash = ((uint64_t)delta * 0x9e3779b97f4a7c15u) ^ ((uint64_t)number * 0xc2b2ae3d27d4eb4fu);
  return &cache->buckets[(hash >> 32) % BUCKET_COUNT];
}

static void unlink_use(tly_delta_cache *cache, struct entry *entry) {
  *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
  *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(tly_delta_cache *cache, struct entry *entry) {
  entry->newer = NULL;
  entry->older = cache->newest;
  *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
  cache->newest = entry;
}

static void drop(tly_delta_cache *cache, struct entry *entry) {
  struct entry **link = bucket_of(cache, entry->delta, entry->number);
  while (*link != entry)
    link = &(*link)->next_in_bucket;
  *link = entry->next_in_bucket;
  unlink_use(cache, entry);
  cache->bytes -= entry->bytes;
  if (entry->number == DIRECTORY)
    tly_free(entry->directory);
  else
    tly_group_slice_free(&entry->slice);
  tly_free(entry);
}

void tly_delta_cache_clear(tly_delta_cache *cache) {
  while (cache->oldest != NULL)
    drop(cache, cache->oldest);
  TLY_ASSERT(cache->bytes == 0);
}

void tly_delta_cache_free(tly_delta_cache *cache) {
  if (cache == NULL)
    return;
  tly_delta_cache_clear(cache);
  tly_free(cache);
}

static struct entry *find(tly_delta_cache *cache, int64_t delta, uint32_t number) {
  struct entry *entry = *bucket_of(cache, delta, number);
  while (entry != NULL && (entry->delta != delta || entry->number != number))
    entry = entry->next_in_bucket;
  if (entry != NULL && entry != cache->newest) {
    unlink_use(cache, entry);
    link_newest(cache, entry);
  }
  return entry;
}

const struct tly_group_slice *tly_delta_cache_block(tly_delta_cache *cache, int64_t delta, uint32_t number) {
  struct entry *entry = find(cache, delta, number);
  return entry != NULL ? &entry->slice : NULL;
}

const struct tly_delta_directory *tly_delta_cache_directory(tly_delta_cache *cache, int64_t delta) {
  struct entry *entry = find(cache, delta, DIRECTORY);
  return entry != NULL ? entry->directory : NULL;
}

/* The new entry stays, however large it is: the caller is about to use it. */
static struct entry *add(tly_delta_cache *cache, int64_t delta, uint32_t number, size_t bytes) {
  TLY_ASSERT(find(cache, delta, number) == NULL);
  struct entry **bucket = bucket_of(cache, delta, number);
  struct entry *entry = tly_calloc(1, sizeof *entry);
  entry->delta = delta;
  entry->number = number;
  entry->bytes = sizeof *entry + bytes;
  while (cache->oldest != NULL && cache->bytes + entry->bytes > cache->bytes_max)
    drop(cache, cache->oldest);
  entry->next_in_bucket = *bucket;
  *bucket = entry;
  link_newest(cache, entry);
  cache->bytes += entry->bytes;
  return entry;
}

const struct tly_group_slice *tly_delta_cache_add_block(tly_delta_cache *cache, int64_t delta, uint32_t number,
                                                        struct tly_group_slice *slice) {
  TLY_ASSERT(number != DIRECTORY);
  struct entry *entry = add(cache, delta, number, slice->arena.allocated_bytes);
  entry->slice = *slice;
  memset(slice, 0, sizeof *slice);
  return &entry->slice;
}

const struct tly_delta_directory *tly_delta_cache_add_directory(tly_delta_cache *cache, int64_t delta,
                                                                struct tly_delta_directory *directory) {
  struct entry *entry = add(cache, delta, DIRECTORY, directory->bytes);
  entry->directory = directory;
  return directory;
}

size_t tly_delta_cache_bytes(const tly_delta_cache *cache) {
  return cache->bytes;
}
