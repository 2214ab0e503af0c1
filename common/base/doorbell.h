/* common/base/doorbell.h -- "something was committed, look": a datagram without content.
 *
 * Each process that waits owns DIR/doorbell.<process>. A ring that is lost costs at most the waiter's poll interval
 * (TLY_DOORBELL_POLL_MS), so ringing never fails and never blocks.
 * Thread: a bell belongs to one thread; tly_doorbell_ring may be called by any. */
#ifndef TLY_BASE_DOORBELL_H
#define TLY_BASE_DOORBELL_H

#include "common/base/error.h"

typedef struct tly_doorbell tly_doorbell;

/* Listen as `process` under `directory`. The caller owns *out. */
TLY_CHECK enum tly_status tly_doorbell_open(const char *directory, const char *process, tly_doorbell **out,
                                            struct tly_error *error);
void tly_doorbell_close(tly_doorbell *bell);
/* For a loop that polls: readable when rung. */
int tly_doorbell_fd(const tly_doorbell *bell);
/* Forget all rings so far; does not block. */
void tly_doorbell_clear(tly_doorbell *bell);
/* Wait for a ring, at most `timeout_ms`, then clear. */
void tly_doorbell_wait(tly_doorbell *bell, int timeout_ms);
/* Ring `process`; if nobody listens, nothing happens. */
void tly_doorbell_ring(const char *directory, const char *process);

#endif
