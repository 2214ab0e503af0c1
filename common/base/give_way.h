/* common/base/give_way.h -- a thread that does long work behind the others lets them have its processor.
 *
 * A low priority alone does not do that. Where Linux shares a processor out among groups of processes (sessions,
 * containers), a thread of the kernel can be found to have had too much, and then it waits for a busy thread of ours,
 * of whatever priority, for some ten milliseconds each time it is woken. A write to a file and its sync take several
 * such wake-ups. Only a processor that is left alone runs such a thread at once.
 *
 * Path of an event: archive -> recompute, seal -> [give way] -> the next block.
 * Thread: each for itself. */
#ifndef TLY_BASE_GIVE_WAY_H
#define TLY_BASE_GIVE_WAY_H

#include <stdbool.h>
#include <stdint.h>

/* To be called every millisecond or so of work: sleeps for a moment if others wanted this thread's processor since the
 * last time. On a machine that has nothing else to do it costs a look at the clock. */
void tly_give_way(void);

/* What tly_give_way goes by, one a thread; all zero at first. */
struct tly_way {
  int64_t looked_us;
  int64_t preempted;
};
/* Whether to sleep now, for a thread that was preempted so often since its start. It looks once a millisecond. */
bool tly_way_is_wanted(struct tly_way *way, int64_t now_us, int64_t preempted);

#endif
