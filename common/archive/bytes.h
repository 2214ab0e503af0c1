/* common/archive/bytes.h -- a run of texts or payloads as bytes: packed lengths, then the bytes, compressed where that
 * pays.
 *
 * Path of an event: payloads and texts -> [bytes] -> archive block.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_BYTES_H
#define TLY_ARCHIVE_BYTES_H

#include "common/archive/pack.h"
#include "common/base/arena.h"
#include "common/value/text.h"

/* When compression is worth its time. */
enum tly_compression {
  TLY_COMPRESS_NEVER,
  TLY_COMPRESS_QUICKLY, /* a fast level, kept when it saves a quarter */
  TLY_COMPRESS_WELL     /* a thorough level, kept when it saves a quarter */
};

void tly_bytes_write(const struct tly_text *texts, uint32_t count, enum tly_compression compression,
                     struct tly_buffer *out);
/* Read `count` texts; they point into `arena`. The cursor fails on bytes that tly_bytes_write cannot have written. */
void tly_bytes_read(struct tly_cursor *in, uint32_t count, struct tly_arena *arena, struct tly_text *out);

#endif
