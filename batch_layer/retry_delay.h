/* batch_layer/retry_delay.h -- how long to wait before what failed is tried again: longer and longer, up to a bound.
 *
 * Thread: any; pure. */
#ifndef TLY_BATCH_RETRY_DELAY_H
#define TLY_BATCH_RETRY_DELAY_H

#include <stdint.h>

/* Before something is begun again that could not begin, `attempts` times by now: 1 s, 2 s, ... 5 minutes. */
int64_t tly_retry_delay_us(uint32_t attempts);
/* Before a scheduled run that has failed `attempts` times is run again: 30 s, 1 minute, ... 5 minutes. A run costs more
 * than a question, and what made it fail may take its time to go away. */
int64_t tly_run_retry_delay_us(uint32_t attempts);

#endif
