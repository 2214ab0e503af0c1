#include "serving_layer/memory.h"

#include <malloc.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/sqlite/sqlite.h"

static _Thread_local int64_t used_bytes;
static _Thread_local int64_t limit_bytes; /* 0: none */

static void *allocate(int size) {
  if (limit_bytes > 0 && used_bytes + size > limit_bytes)
    return NULL;
  void *memory = malloc((size_t)size);
  if (memory != NULL)
    used_bytes += (int64_t)malloc_usable_size(memory);
  return memory;
}

static void release(void *memory) {
  if (memory == NULL)
    return;
  used_bytes -= (int64_t)malloc_usable_size(memory);
  free(memory);
}

static int size_of(void *memory) {
  return memory != NULL ? (int)malloc_usable_size(memory) : 0;
}

static void *reallocate(void *memory, int size) {
  int before = size_of(memory);
  if (limit_bytes > 0 && size > before && used_bytes + size - before > limit_bytes)
    return NULL;
  void *moved = realloc(memory, (size_t)size);
  if (moved != NULL)
    used_bytes += (int64_t)malloc_usable_size(moved) - before;
  return moved;
}

static int round_up(int size) {
  return (size + 7) & ~7;
}

static int start(void *context) {
  (void)context;
  return SQLITE_OK;
}

static void stop(void *context) {
  (void)context;
}

void tly_memory_setup(void) {
  static int done; /* called before threads are made */
  static const sqlite3_mem_methods methods = {.xMalloc = allocate,
                                              .xFree = release,
                                              .xRealloc = reallocate,
                                              .xSize = size_of,
                                              .xRoundup = round_up,
                                              .xInit = start,
                                              .xShutdown = stop};
  if (done)
    return;
  done = 1;
  TLY_ASSERT(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
  tly_sqlite_setup();
}

void tly_memory_limit(int64_t bytes) {
  limit_bytes = bytes > 0 ? used_bytes + bytes : 0;
}

int64_t tly_memory_used(void) {
  return used_bytes;
}
