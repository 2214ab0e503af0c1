/* lengths (pack.h), all bytes in one varint, 1 byte: compressed or not, stored bytes in one varint, the stored bytes.
 * The sizes are ours: a compressed frame's own idea of its size is never followed. */
#include "common/archive/bytes.h"

#include <pthread.h>
#include <string.h>
#include <zstd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum {
  QUICK_LEVEL = -3,
  GOOD_LEVEL = 6,
  COMPRESS_BYTES_MIN = 64,
  /* All payloads of a block, or all texts of one of its columns; also what a reader allocates on the word of a block.
   */
  BYTES_MAX = INT32_MAX
};

/* A compression context costs more to make than a small block to compress: each thread keeps its own to its end. */
static _Thread_local ZSTD_CCtx *compressor;
static _Thread_local ZSTD_DCtx *decompressor;
static pthread_key_t contexts_key; /* only for the end of a thread */
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void free_contexts(void *unused) {
  (void)unused;
  ZSTD_freeCCtx(compressor);
  ZSTD_freeDCtx(decompressor);
  compressor = NULL;
  decompressor = NULL;
}

static void make_contexts_key(void) {
  TLY_ASSERT(pthread_key_create(&contexts_key, free_contexts) == 0);
}

static void free_contexts_at_end(void) {
  TLY_ASSERT(pthread_once(&contexts_once, make_contexts_key) == 0);
  TLY_ASSERT(pthread_setspecific(contexts_key, &contexts_key) == 0);
}

static ZSTD_CCtx *this_compressor(void) {
  if (compressor == NULL) {
    compressor = ZSTD_createCCtx();
    free_contexts_at_end();
  }
  TLY_ASSERT(compressor != NULL);
  return compressor;
}

static ZSTD_DCtx *this_decompressor(void) {
  if (decompressor == NULL) {
    decompressor = ZSTD_createDCtx();
    free_contexts_at_end();
  }
  TLY_ASSERT(decompressor != NULL);
  return decompressor;
}

static bool compress(const uint8_t *bytes, size_t size, int level, struct tly_buffer *out) {
  if (size < COMPRESS_BYTES_MIN)
    return false;
  size_t limit = size - size / 4, start = out->size;
  tly_buffer_append_byte(out, 1);
  struct tly_buffer room = {0};
  size_t bound = ZSTD_compressBound(size);
  size_t packed = ZSTD_compressCCtx(this_compressor(), tly_buffer_reserve(&room, bound), bound, bytes, size, level);
  bool pays = !ZSTD_isError(packed) && packed <= limit;
  if (pays) {
    tly_buffer_append_varint(out, packed);
    tly_buffer_append(out, room.data, packed);
  } else {
    out->size = start;
  }
  tly_buffer_free(&room);
  return pays;
}

void tly_bytes_write(const struct tly_text *texts, uint32_t count, enum tly_compression compression,
                     struct tly_buffer *out) {
  struct tly_buffer room = {0};
  int64_t *lengths = tly_malloc((count + 1) * sizeof *lengths);
  size_t size = 0;
  for (uint32_t i = 0; i < count; i++) {
    lengths[i] = texts[i].size;
    size += texts[i].size;
  }
  TLY_ASSERT(size <= BYTES_MAX);
  uint8_t *next = tly_buffer_reserve(&room, size + 1);
  for (uint32_t i = 0; i < count; i++) {
    if (texts[i].size > 0)
      memcpy(next, texts[i].data, texts[i].size);
    next += texts[i].size;
  }
  tly_pack_integers(lengths, count, 1, TLY_EFFORT_LIVE, out);
  tly_buffer_append_varint(out, size);
  bool done = compression != TLY_COMPRESS_NEVER &&
              compress(room.data, size, compression == TLY_COMPRESS_WELL ? GOOD_LEVEL : QUICK_LEVEL, out);
  if (!done) {
    tly_buffer_append_byte(out, 0);
    tly_buffer_append_varint(out, size);
    tly_buffer_append(out, room.data, size);
  }
  tly_buffer_free(&room);
  tly_free(lengths);
}

static const char *read_body(struct tly_cursor *in, size_t size, struct tly_arena *arena) {
  uint8_t is_compressed = tly_cursor_byte(in);
  uint64_t stored = tly_cursor_varint(in);
  const uint8_t *bytes = tly_cursor_bytes(in, stored);
  if (in->failed || is_compressed > 1 || (!is_compressed && stored != size)) {
    in->failed = 1;
    return NULL;
  }
  if (!is_compressed)
    return tly_arena_copy(arena, bytes, size);
  char *room = tly_arena_alloc(arena, size);
  if (ZSTD_decompressDCtx(this_decompressor(), room, size, bytes, stored) != size)
    in->failed = 1;
  return room;
}

void tly_bytes_read(struct tly_cursor *in, uint32_t count, struct tly_arena *arena, struct tly_text *out) {
  int64_t *lengths = tly_arena_alloc(arena, (count + 1) * sizeof *lengths);
  tly_unpack_integers(in, count, lengths);
  uint64_t size = tly_cursor_varint(in), sum = 0;
  for (uint32_t i = 0; i < count && !in->failed; i++) {
    if (lengths[i] < 0 || lengths[i] > BYTES_MAX)
      in->failed = 1;
    sum += (uint64_t)lengths[i];
  }
  if (in->failed || size > BYTES_MAX || sum != size) {
    in->failed = 1;
    return;
  }
  const char *next = read_body(in, size, arena);
  for (uint32_t i = 0; i < count && !in->failed; i++) {
    out[i] = (struct tly_text){.data = next, .size = (uint32_t)lengths[i]};
    next += lengths[i];
  }
}
