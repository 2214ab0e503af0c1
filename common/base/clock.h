/* common/base/clock.h -- time as a seam: the real clock, or one that a test turns.
 * Thread: the real clock may be read by any thread. */
#ifndef TLY_BASE_CLOCK_H
#define TLY_BASE_CLOCK_H

#include <stdint.h>

struct tly_clock {
  int64_t (*now_us)(void *context);       /* microseconds since 1970-01-01 UTC, may jump */
  int64_t (*monotonic_us)(void *context); /* microseconds since some start, never goes back */
  void *context;
};

extern const struct tly_clock tly_clock_real;

int64_t tly_clock_now_us(const struct tly_clock *clock);
int64_t tly_clock_monotonic_us(const struct tly_clock *clock);

#endif
