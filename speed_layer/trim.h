/* speed_layer/trim.h -- delete, in small steps, the blocks of deltas that nobody shows any more.
 *
 * Published and merged deltas vanish at once (their rows go in the transaction that hides them); their blocks, which
 * are the bulk, go here, a bounded number a transaction, so that no commit of a fold waits long. Thread: belongs to the
 * speed layer's loop. */
#ifndef TLY_SPEED_TRIM_H
#define TLY_SPEED_TRIM_H

#include "common/base/clock.h"
#include "speed_layer/speed_store.h"

/* One transaction of at most TLY_TRIM_BLOCKS blocks, ending about `until_us`. *more: there is something left. */
TLY_CHECK enum tly_status tly_trim_step(tly_speed_store *store, const struct tly_clock *clock, int64_t until_us,
                                        bool *more, struct tly_error *error);

enum { TLY_TRIM_BLOCKS = 1000 };

#endif
