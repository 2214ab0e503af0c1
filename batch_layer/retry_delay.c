#include "batch_layer/retry_delay.h"

enum { RETRY_FIRST_US = 1000000, RETRY_LAST_US = 300 * 1000000 };

int64_t tly_retry_delay_us(uint32_t attempts) {
  int64_t delay = RETRY_FIRST_US;
  for (uint32_t i = 1; i < attempts && delay < RETRY_LAST_US; i++)
    delay *= 2;
  return delay < RETRY_LAST_US ? delay : RETRY_LAST_US;
}
