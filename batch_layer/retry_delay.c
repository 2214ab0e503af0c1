#include "batch_layer/retry_delay.h"

enum { FIRST_US = 1000000, FIRST_OF_RUN_US = 30 * 1000000, LAST_US = 300 * 1000000 };

static int64_t doubled(int64_t first_us, uint32_t attempts) {
  int64_t delay = first_us;
  for (uint32_t i = 1; i < attempts && delay < LAST_US; i++)
    delay *= 2;
  return delay < LAST_US ? delay : LAST_US;
}

int64_t tly_retry_delay_us(uint32_t attempts) {
  return doubled(FIRST_US, attempts);
}

int64_t tly_run_retry_delay_us(uint32_t attempts) {
  return doubled(FIRST_OF_RUN_US, attempts);
}
