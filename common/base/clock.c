#include "common/base/clock.h"

#include <time.h>

#include "common/base/assert.h"

static int64_t read_clock_us(clockid_t id) {
  struct timespec time;
  TLY_ASSERT(clock_gettime(id, &time) == 0);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int64_t real_now_us(void *context) {
  (void)context;
  return read_clock_us(CLOCK_REALTIME);
}

static int64_t real_monotonic_us(void *context) {
  (void)context;
  return read_clock_us(CLOCK_MONOTONIC);
}

const struct tly_clock tly_clock_real = {real_now_us, real_monotonic_us, 0};

int64_t tly_clock_now_us(const struct tly_clock *clock) {
  return clock->now_us(clock->context);
}

int64_t tly_clock_monotonic_us(const struct tly_clock *clock) {
  return clock->monotonic_us(clock->context);
}
