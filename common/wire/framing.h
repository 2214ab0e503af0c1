/* common/wire/framing.h -- cut a stream of bytes into request lines and bulk bodies.
 *
 * Path of a request: socket -> [framing] -> request -> session. Pure: bytes in, frames out; the same for every split of
 * the input.
 * Thread: a framer belongs to one thread at a time. */
#ifndef TLY_WIRE_FRAMING_H
#define TLY_WIRE_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

enum tly_frame_kind {
  TLY_FRAME_NONE,     /* more bytes are needed */
  TLY_FRAME_LINE,     /* a line without its end; may be empty */
  TLY_FRAME_TOO_LONG, /* a line over TLY_LINE_BYTES_MAX has begun; it is skipped up to its end, told once */
  TLY_FRAME_BULK      /* the bytes asked for by tly_framer_expect_bulk, all of them */
};

struct tly_framer {
  struct tly_buffer buffer;
  size_t start, scanned; /* consumed and already searched for a line end */
  size_t bulk_bytes;     /* > 0: the next frame is that many raw bytes */
  bool skipping;
};

void tly_framer_init(struct tly_framer *framer);
void tly_framer_free(struct tly_framer *framer);
/* Where to read the next bytes into, at least `want`, but not far beyond the end of a large bulk; then tell how many
 * came. */
uint8_t *tly_framer_space(struct tly_framer *framer, size_t want, size_t *size);
void tly_framer_added(struct tly_framer *framer, size_t size);
/* The next frame; *data is borrowed until the next call of space or next. */
enum tly_frame_kind tly_framer_next(struct tly_framer *framer, const char **data, size_t *size);
/* After a LINE that announced it: the next `bytes` (1..TLY_BULK_BYTES_MAX) bytes are one BULK frame. */
void tly_framer_expect_bulk(struct tly_framer *framer, size_t bytes);
/* The bulk that `next` has just returned becomes `out`, whose memory the framer may take in exchange: a large one is
 * not copied. */
void tly_framer_keep_bulk(struct tly_framer *framer, const char *data, size_t size, struct tly_buffer *out);
/* What was read but not yet handed out, for handing the connection on. */
const uint8_t *tly_framer_rest(const struct tly_framer *framer, size_t *size);

#endif
