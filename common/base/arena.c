/* An arena is a list of blocks. Allocation moves `next` through the current block; the blocks behind `current` hold
 * nothing since the last reset, so a request too large for the following block may replace it. Without that, a loop
 * whose requests grow a little each round would leave a trail of blocks that are too small for it.
 *
 * INVARIANTS (check_invariants)
 *   (1) next <= end, both inside `current`, or all are NULL in an arena that never allocated.
 *   (2) next is 16-byte aligned. */
#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { ALIGNMENT = 16, FIRST_BLOCK_BYTES = 16 << 10, BLOCK_BYTES_MAX = 1 << 20 };

struct tly_arena_block {
  struct tly_arena_block *following;
  size_t capacity;
  _Alignas(ALIGNMENT) uint8_t bytes[];
};

static void check_invariants(const struct tly_arena *arena) {
  TLY_ASSERT((arena->first == NULL) == (arena->current == NULL));
  TLY_ASSERT(arena->next <= arena->end);
  TLY_ASSERT(((uintptr_t)arena->next & (ALIGNMENT - 1)) == 0);
}

static void enter_block(struct tly_arena *arena, struct tly_arena_block *block) {
  arena->current = block;
  arena->next = block->bytes;
  arena->end = block->bytes + block->capacity;
}

void tly_arena_init(struct tly_arena *arena) {
  memset(arena, 0, sizeof *arena);
}

void tly_arena_free(struct tly_arena *arena) {
  struct tly_arena_block *block = arena->first;
  while (block != NULL) {
    struct tly_arena_block *following = block->following;
    tly_free(block);
    block = following;
  }
  tly_arena_init(arena);
}

void tly_arena_reset(struct tly_arena *arena) {
  check_invariants(arena);
  if (arena->first != NULL)
    enter_block(arena, arena->first);
}

/* Blocks double in size, so that a small tree costs little and a large batch few blocks. */
static size_t next_capacity(const struct tly_arena *arena, size_t size) {
  size_t capacity = arena->current == NULL ? FIRST_BLOCK_BYTES : 2 * arena->current->capacity;
  if (capacity > BLOCK_BYTES_MAX)
    capacity = BLOCK_BYTES_MAX;
  return capacity < size ? size : capacity;
}

static void add_block(struct tly_arena *arena, size_t size) {
  struct tly_arena_block *following = arena->current == NULL ? NULL : arena->current->following;
  if (following != NULL && following->capacity >= size) {
    enter_block(arena, following);
    return;
  }
  struct tly_arena_block *behind = NULL;
  if (following != NULL) { /* too small, and empty: replace it */
    behind = following->following;
    arena->allocated_bytes -= following->capacity;
    tly_free(following);
  }
  size_t capacity = next_capacity(arena, size);
  struct tly_arena_block *block = tly_malloc(sizeof *block + capacity);
  block->capacity = capacity;
  block->following = behind;
  arena->allocated_bytes += capacity;
  if (arena->current == NULL)
    arena->first = block;
  else
    arena->current->following = block;
  enter_block(arena, block);
}

void *tly_arena_alloc(struct tly_arena *arena, size_t size) {
  TLY_ASSERT(size <= SIZE_MAX / 2);
  size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  if (arena->next == NULL || (size_t)(arena->end - arena->next) < size)
    add_block(arena, size);
  check_invariants(arena);
  void *result = arena->next;
  arena->next += size;
  return result;
}

void *tly_arena_zero(struct tly_arena *arena, size_t size) {
  return memset(tly_arena_alloc(arena, size), 0, size);
}

char *tly_arena_copy(struct tly_arena *arena, const void *bytes, size_t size) {
  char *copy = tly_arena_alloc(arena, size + 1);
  if (size > 0)
    memcpy(copy, bytes, size);
  copy[size] = '\0';
  return copy;
}

char *tly_arena_print(struct tly_arena *arena, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int size = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  TLY_ASSERT(size >= 0);
  char *text = tly_arena_alloc(arena, (size_t)size + 1);
  vsnprintf(text, (size_t)size + 1, format, again);
  va_end(again);
  return text;
}
