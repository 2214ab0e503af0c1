/* batch_layer/recompute_child.h -- the scheduler's end of a recompute that runs as a child process.
 *
 * A child is started before there is a run for it, and waits: to link, to read the definitions and to open the stores
 * takes longer than a small run does. It has said all once it has said its last word; what it does afterwards, giving
 * memory back and ending, nobody waits for.
 *
 *   NONE -> prepare -> WAITING -> start -> WORKING -> (its last word) -> LEAVING -> (its end) -> NONE
 *
 * Path of an event: scheduler -> [start] -> recompute child -> runs/<run>/ -> [its last word] -> scheduler -> batch.db.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RECOMPUTE_CHILD_H
#define TLY_BATCH_RECOMPUTE_CHILD_H

#include <sys/types.h>

#include "batch_layer/run_result.h"
#include "common/base/process.h"

enum tly_child_state { TLY_CHILD_NONE, TLY_CHILD_WAITING, TLY_CHILD_WORKING, TLY_CHILD_LEAVING };

/* All zero: NONE. */
struct tly_recompute_child {
  enum tly_child_state state;
  pid_t process;
  int orders_fd;          /* where it is told its run; WAITING only */
  int fd;                 /* what it says; non-blocking. Valid unless NONE */
  struct tly_buffer said; /* not yet a whole line */
  bool has_manifest, has_error;
  struct tly_hash manifest;
  struct tly_error error; /* of its last word */
};

/* Start `<program> recompute-child --data DIR PROJECT`, which waits for a run. There must be none. */
TLY_CHECK enum tly_status tly_recompute_child_prepare(struct tly_recompute_child *child,
                                                      const struct tly_settings *settings, struct tly_error *error);
/* Give the waiting child this run; one that is leaving is waited for; when there is none, or it has died meanwhile,
 * another one is started. Not while one is working. */
TLY_CHECK enum tly_status tly_recompute_child_start(struct tly_recompute_child *child,
                                                    const struct tly_settings *settings, int64_t run,
                                                    struct tly_error *error);
/* Read what the working child has said, without waiting. `progress` is told of each stage line. *ended is true with its
 * last word: TLY_OK with child->manifest when it succeeded, else its status with words. A child that ends without one
 * has failed, too. */
TLY_CHECK enum tly_status tly_recompute_child_read(struct tly_recompute_child *child,
                                                   void (*progress)(void *context, const char *stage, int64_t done,
                                                                    int64_t all),
                                                   void *context, bool *ended, struct tly_error *error);
/* Whether the child that waits or leaves has ended, which its fd being readable means; it is NONE then. *how, which may
 * be NULL, is its status as of waitpid. */
bool tly_recompute_child_is_gone(struct tly_recompute_child *child, int *how);
/* Kill and wait for it, if there is one. */
void tly_recompute_child_kill(struct tly_recompute_child *child);

#endif
