/* batch_layer/retry_delay.h -- how long to wait before what failed is tried again: longer and longer, up to a bound.
 *
 * Thread: any; pure. */
#ifndef TLY_BATCH_RETRY_DELAY_H
#define TLY_BATCH_RETRY_DELAY_H

#include <stdint.h>

/* After the `attempts`th failure, the first being 1. */
int64_t tly_retry_delay_us(uint32_t attempts);

#endif
