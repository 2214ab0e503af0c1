/* common/archive/pack.h -- runs of integers in few bits: frame of reference (with outliers apart), deltas or runs,
 * whichever is smallest.
 *
 * Path of an event: typed columns -> [packed integers] -> archive block -> [unpacked] -> fold.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_PACK_H
#define TLY_ARCHIVE_PACK_H

#include <stdbool.h>

#include "common/base/buffer.h"

/* How hard an encoder tries: a live block is written once and soon rewritten; a sealed one is read for years. */
enum tly_effort { TLY_EFFORT_LIVE, TLY_EFFORT_SEALED };

/* Whoever keeps packed integers must have this many readable bytes behind them: unpacking loads whole words. */
enum { TLY_PACK_PADDING = 8 };

/* Append `count` values. `unit_hint` (1: none) is a divisor the values are likely to share, for example the
 * microseconds of a second; with TLY_EFFORT_SEALED the greatest common one is looked for. */
void tly_pack_integers(const int64_t *values, uint32_t count, int64_t unit_hint, enum tly_effort effort,
                       struct tly_buffer *out);
/* Read `count` values. The cursor fails on bytes that tly_pack_integers cannot have written, and when there are fewer
 * than TLY_PACK_PADDING bytes behind the packed ones; `out` is then unspecified. */
void tly_unpack_integers(struct tly_cursor *in, uint32_t count, int64_t *out);
/* The same for dictionary codes: a value outside 0..limit-1 fails the cursor. */
void tly_unpack_codes(struct tly_cursor *in, uint32_t count, uint32_t limit, uint32_t *out);

#endif
