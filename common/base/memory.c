#include "common/base/memory.h"

#include <stdlib.h>
#include <string.h>
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
