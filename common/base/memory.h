/* common/base/memory.h -- allocation that cannot fail quietly.
 *
 * Out of memory ends the process with a clear line in the log: every store survives that (crash-only), and no caller
 * has a path that is never tested. What a client can make grow is bounded before it is allocated (limits.h).
 * Thread: any. */
#ifndef TLY_BASE_MEMORY_H
#define TLY_BASE_MEMORY_H

#include <stddef.h>

/* Never NULL (for size 0 a valid pointer). The caller frees with tly_free. */
void *tly_malloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *tly_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *tly_realloc(void *pointer, size_t size) __attribute__((alloc_size(2), returns_nonnull));
/* A reallocarray: asserts that count * size does not overflow. */
void *tly_realloc_array(void *pointer, size_t count, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));
char *tly_strdup(const char *text) __attribute__((returns_nonnull));
void tly_free(void *pointer);

/* For arrays of megabytes that are met at random: on huge pages where the system gives them, which spares the processor
 * a walk through page tables at nearly each access, and a page fault for every 4 KiB. At least 64-byte aligned, not
 * zeroed; what is never touched takes no memory. tly_large_free wants the same size. */
void *tly_large_alloc(size_t size) __attribute__((returns_nonnull));
void tly_large_free(void *pointer, size_t size);
/* From this size on memory is such. */
enum { TLY_LARGE_BYTES = 4 << 20 };

#endif
