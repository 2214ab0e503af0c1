/* common/engine/key_heap.h -- byte strings packed one behind the other, freed all at once. Private to the engine wing.
 *
 * An arena aligns to 16 bytes; with millions of short keys that is as much again as the keys.
 * Thread: a heap belongs to one thread. */
#ifndef TLY_ENGINE_KEY_HEAP_H
#define TLY_ENGINE_KEY_HEAP_H

#include "common/value/text.h"

struct tly_key_chunk;

struct tly_key_heap {
  struct tly_key_chunk *last;
  uint8_t *next, *end;
  size_t allocated_bytes;
};

/* A zeroed heap is an empty one. Frees all, the heap can be used again. */
void tly_key_heap_clear(struct tly_key_heap *heap);
/* Room for `size` bytes, unaligned. */
uint8_t *tly_key_heap_alloc(struct tly_key_heap *heap, size_t size);

#endif
