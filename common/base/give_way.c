#include "common/base/give_way.h"

#include <sys/resource.h>
#include <time.h>

#include "common/base/clock.h"

enum {
  LOOK_US = 1000,
  PREEMPTED_MANY = 2, /* once in a while happens on an idle machine, too */
  PAUSE_NS = 1000000
};

bool tly_way_is_wanted(struct tly_way *way, int64_t now_us, int64_t preempted) {
  if (now_us - way->looked_us < LOOK_US)
    return false;
  bool is_wanted = way->looked_us > 0 && preempted - way->preempted >= PREEMPTED_MANY;
  *way = (struct tly_way){.looked_us = now_us, .preempted = preempted};
  return is_wanted;
}

void tly_give_way(void) {
  static _Thread_local struct tly_way way;
  struct rusage usage;
  int64_t now_us = tly_clock_monotonic_us(&tly_clock_real);
  if (now_us - way.looked_us < LOOK_US || getrusage(RUSAGE_THREAD, &usage) != 0)
    return;
  if (tly_way_is_wanted(&way, now_us, usage.ru_nivcsw))
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}
