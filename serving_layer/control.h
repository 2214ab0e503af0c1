/* serving_layer/control.h -- what bounds one query: its deadline, its client, its memory.
 *
 * Path of an answer: asked by every loop between the stores and the socket.
 * Thread: one thread works under a control; any may cancel it. */
#ifndef TLY_SERVING_CONTROL_H
#define TLY_SERVING_CONTROL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct tly_control {
  atomic_bool is_cancelled; /* the client has gone, or the process stops */
  int64_t deadline_us;      /* monotonic */
  int64_t timeout_ms;       /* for the words */
  int64_t memory_max;       /* bytes of our own copies (SQLite's are bounded by memory.h) */
  int64_t memory_used;
};

void tly_control_init(struct tly_control *control, int64_t timeout_ms, int64_t memory_max);
void tly_control_cancel(struct tly_control *control);
/* TLY_E_CANCELLED once the deadline has passed or somebody cancelled. */
TLY_CHECK enum tly_status tly_control_check(const struct tly_control *control, struct tly_error *error);
/* Count `bytes` (negative: given back) against the bound: TLY_E_NO_MEMORY above it. */
TLY_CHECK enum tly_status tly_control_charge(struct tly_control *control, int64_t bytes, struct tly_error *error);

#endif
