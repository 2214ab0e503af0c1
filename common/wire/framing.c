#include "common/wire/framing.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

enum {
  LARGE_BULK_BYTES = 64 << 10, /* worth a buffer of its own */
  BEHIND_BYTES = 4096          /* read along behind a large bulk: what follows has to be moved */
};

/* The buffer holds [0, start) handed out, [start, size) not yet. `scanned` bytes from start hold no line end, so that a
 * long line that comes in small pieces is searched once. While `skipping`, bytes up to the next line end are dropped.
 */

static void check_invariants(const struct tly_framer *framer) {
  TLY_ASSERT(framer->start <= framer->buffer.size);
  TLY_ASSERT(framer->scanned <= framer->buffer.size - framer->start);
  TLY_ASSERT(framer->bulk_bytes <= TLY_BULK_BYTES_MAX);
}

void tly_framer_init(struct tly_framer *framer) {
  *framer = (struct tly_framer){0};
}

void tly_framer_free(struct tly_framer *framer) {
  tly_buffer_free(&framer->buffer);
}

uint8_t *tly_framer_space(struct tly_framer *framer, size_t want, size_t *size) {
  check_invariants(framer);
  if (framer->start > 0) {
    tly_buffer_consume(&framer->buffer, framer->start);
    framer->start = 0;
  }
  /* A bulk body is read into its place at once instead of growing there by doubling. */
  size_t bulk_left = framer->bulk_bytes > framer->buffer.size ? framer->bulk_bytes - framer->buffer.size : 0;
  bool is_large = bulk_left > 0 && framer->bulk_bytes >= LARGE_BULK_BYTES;
  if (is_large || want < bulk_left)
    want = bulk_left + BEHIND_BYTES;
  uint8_t *space = tly_buffer_reserve(&framer->buffer, want);
  *size = is_large ? want : framer->buffer.capacity - framer->buffer.size;
  return space;
}

void tly_framer_added(struct tly_framer *framer, size_t size) {
  TLY_ASSERT(size <= framer->buffer.capacity - framer->buffer.size);
  framer->buffer.size += size;
}

static enum tly_frame_kind next_bulk(struct tly_framer *framer, const char **data, size_t *size) {
  if (framer->buffer.size - framer->start < framer->bulk_bytes)
    return TLY_FRAME_NONE;
  *data = (const char *)framer->buffer.data + framer->start;
  *size = framer->bulk_bytes;
  framer->start += framer->bulk_bytes;
  framer->bulk_bytes = 0;
  framer->scanned = 0;
  return TLY_FRAME_BULK;
}

/* No line end among the `left` bytes that are there: wait, or begin to skip. */
static enum tly_frame_kind unfinished_line(struct tly_framer *framer, size_t left) {
  if (framer->skipping) {
    framer->start += left;
    framer->scanned = 0;
    return TLY_FRAME_NONE;
  }
  framer->scanned = left;
  if (left <= TLY_LINE_BYTES_MAX)
    return TLY_FRAME_NONE;
  framer->skipping = true;
  framer->start += left;
  framer->scanned = 0;
  return TLY_FRAME_TOO_LONG;
}

enum tly_frame_kind tly_framer_next(struct tly_framer *framer, const char **data, size_t *size) {
  check_invariants(framer);
  if (framer->bulk_bytes > 0)
    return next_bulk(framer, data, size);
  for (;;) {
    size_t left = framer->buffer.size - framer->start;
    const char *begin = (const char *)framer->buffer.data + framer->start;
    const char *end = left > framer->scanned ? memchr(begin + framer->scanned, '\n', left - framer->scanned) : NULL;
    if (end == NULL)
      return unfinished_line(framer, left);
    size_t line = (size_t)(end - begin);
    framer->start += line + 1;
    framer->scanned = 0;
    if (framer->skipping) { /* the end of a line that was told already */
      framer->skipping = false;
      continue;
    }
    if (line > TLY_LINE_BYTES_MAX)
      return TLY_FRAME_TOO_LONG;
    *data = begin;
    *size = line > 0 && end[-1] == '\r' ? line - 1 : line;
    return TLY_FRAME_LINE;
  }
}

void tly_framer_expect_bulk(struct tly_framer *framer, size_t bytes) {
  TLY_ASSERT(bytes > 0 && bytes <= TLY_BULK_BYTES_MAX);
  TLY_ASSERT(!framer->skipping && framer->bulk_bytes == 0);
  framer->bulk_bytes = bytes;
}

void tly_framer_keep_bulk(struct tly_framer *framer, const char *data, size_t size, struct tly_buffer *out) {
  struct tly_buffer whole = framer->buffer;
  tly_buffer_clear(out);
  if (size < LARGE_BULK_BYTES || (const uint8_t *)data != whole.data) {
    tly_buffer_append(out, data, size);
    return;
  }
  TLY_ASSERT(framer->start == size);
  framer->buffer = *out;
  tly_buffer_append(&framer->buffer, whole.data + size, whole.size - size);
  framer->start = 0;
  *out = whole;
  out->size = size;
}

const uint8_t *tly_framer_rest(const struct tly_framer *framer, size_t *size) {
  *size = framer->buffer.size - framer->start;
  return *size > 0 ? framer->buffer.data + framer->start : (const uint8_t *)"";
}
