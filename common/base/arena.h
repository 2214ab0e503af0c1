/* common/base/arena.h -- memory that is freed all at once: a statement's tree, a batch's values.
 *
 * Path of an event: decode -> [batch arena] -> evaluate -> fold. Blocks are kept by reset, so that a loop over batches
 * allocates nothing after its first rounds.
 * Thread: an arena belongs to one thread at a time. */
#ifndef TLY_BASE_ARENA_H
#define TLY_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct tly_arena_block;

struct tly_arena {
  struct tly_arena_block *first, *current;
  uint8_t *next, *end;
  size_t allocated_bytes; /* in all blocks, for memory bounds */
};

void tly_arena_init(struct tly_arena *arena);
void tly_arena_free(struct tly_arena *arena);
/* Forget everything, keep the blocks. */
void tly_arena_reset(struct tly_arena *arena);
/* 16-byte aligned, not zeroed, never NULL. */
void *tly_arena_alloc(struct tly_arena *arena, size_t size) __attribute__((returns_nonnull));
void *tly_arena_zero(struct tly_arena *arena, size_t size) __attribute__((returns_nonnull));
/* A copy, with a terminating 0 behind it that is not counted. */
char *tly_arena_copy(struct tly_arena *arena, const void *bytes, size_t size) __attribute__((returns_nonnull));
char *tly_arena_print(struct tly_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define TLY_ARENA_NEW(arena, type)          ((type *)tly_arena_zero((arena), sizeof(type)))
#define TLY_ARENA_ARRAY(arena, type, count) ((type *)tly_arena_zero((arena), sizeof(type) * (size_t)(count)))

#endif
