#include "common/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/log.h"

_Noreturn static void out_of_memory(size_t size) {
  tly_log(TLY_LOG_ERROR, "out of memory", "bytes=%zu", size);
  _exit(1);
}

void *tly_malloc(size_t size) {
  void *pointer = malloc(size > 0 ? size : 1);
  if (pointer == NULL)
    out_of_memory(size);
  return pointer;
}

void *tly_calloc(size_t count, size_t size) {
  void *pointer = count > 0 && size > 0 ? calloc(count, size) : calloc(1, 1);
  if (pointer == NULL)
    out_of_memory(size);
  return pointer;
}

void *tly_realloc(void *pointer, size_t size) {
  void *moved = realloc(pointer, size > 0 ? size : 1);
  if (moved == NULL)
    out_of_memory(size);
  return moved;
}

void *tly_realloc_array(void *pointer, size_t count, size_t size) {
  size_t bytes;
  TLY_ASSERT(!__builtin_mul_overflow(count, size, &bytes));
  return tly_realloc(pointer, bytes);
}

char *tly_strdup(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(tly_malloc(size), text, size);
}

void tly_free(void *pointer) {
  free(pointer);
}

/* --- large -------------------------------------------------------------------------------------------------------- */

enum { LINE_BYTES = 64, HUGE_PAGE_BYTES = 2 << 20 };

static size_t whole_pages(size_t size) {
  return (size + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
}

/* A huge page begins at a multiple of its size, so one more is mapped, and what stands out on both sides is given back.
 */
static void *map_pages(size_t size) {
  uint8_t *mapped = mmap(NULL, size + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    out_of_memory(size);
  size_t before = (HUGE_PAGE_BYTES - (uintptr_t)mapped % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
  if (before > 0)
    munmap(mapped, before);
  munmap(mapped + before + size, HUGE_PAGE_BYTES - before);
  (void)madvise(mapped + before, size, MADV_HUGEPAGE); /* a wish */
  return mapped + before;
}

void *tly_large_alloc(size_t size) {
  if (size >= TLY_LARGE_BYTES)
    return map_pages(whole_pages(size));
  void *pointer = aligned_alloc(LINE_BYTES, (size + LINE_BYTES) / LINE_BYTES * LINE_BYTES);
  if (pointer == NULL)
    out_of_memory(size);
  return pointer;
}

void tly_large_free(void *pointer, size_t size) {
  if (size < TLY_LARGE_BYTES)
    free(pointer);
  else if (pointer != NULL)
    munmap(pointer, whole_pages(size));
}
