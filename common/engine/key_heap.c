#include "common/engine/key_heap.h"

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { CHUNK_BYTES_MIN = 4 << 10, CHUNK_BYTES_MAX = 1 << 20 };

struct tly_key_chunk {
  struct tly_key_chunk *before;
  size_t capacity;
  uint8_t bytes[];
};

void tly_key_heap_clear(struct tly_key_heap *heap) {
  struct tly_key_chunk *chunk = heap->last;
  while (chunk != NULL) {
    struct tly_key_chunk *before = chunk->before;
    tly_free(chunk);
    chunk = before;
  }
  *heap = (struct tly_key_heap){.last = NULL};
}

static void add_chunk(struct tly_key_heap *heap, size_t size) {
  size_t capacity = heap->last == NULL ? CHUNK_BYTES_MIN : 2 * heap->last->capacity;
  if (capacity > CHUNK_BYTES_MAX)
    capacity = CHUNK_BYTES_MAX;
  if (capacity < size)
    capacity = size;
  struct tly_key_chunk *chunk = tly_malloc(sizeof *chunk + capacity);
  chunk->before = heap->last;
  chunk->capacity = capacity;
  heap->last = chunk;
  heap->next = chunk->bytes;
  heap->end = chunk->bytes + capacity;
  heap->allocated_bytes += sizeof *chunk + capacity;
}

uint8_t *tly_key_heap_alloc(struct tly_key_heap *heap, size_t size) {
  if (heap->last == NULL || (size_t)(heap->end - heap->next) < size)
    add_chunk(heap, size);
  TLY_ASSERT(heap->next <= heap->end);
  uint8_t *place = heap->next;
  heap->next += size;
  return place;
}
