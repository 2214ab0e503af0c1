/* batch_layer/recompute_child.h -- the scheduler's end of a recompute that runs as a child process.
 *
 * Path of an event: scheduler -> [start] -> recompute child -> runs/<run>/ -> [its last word] -> scheduler -> batch.db.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_RECOMPUTE_CHILD_H
#define TLY_BATCH_RECOMPUTE_CHILD_H

#include <sys/types.h>

#include "batch_layer/run_result.h"
#include "common/base/process.h"

struct tly_recompute_child {
  pid_t process; /* 0: none */
  int fd;        /* what it says; non-blocking */
  int64_t run;
  struct tly_buffer said; /* not yet a whole line */
  bool has_manifest, has_error;
  struct tly_hash manifest;
  struct tly_error error; /* of its last word, or how it ended without one */
};

/* Start `<program> recompute-child --data DIR --run N PROJECT`. */
TLY_CHECK enum tly_status tly_recompute_child_start(struct tly_recompute_child *child,
                                                    const struct tly_settings *settings, int64_t run,
                                                    struct tly_error *error);
/* Read what it has said, without waiting. `progress` is told of each stage line. Once the child has closed its end
 * *ended is true and it has been waited for: TLY_OK with child->manifest when it succeeded, else its status with words.
 */
TLY_CHECK enum tly_status tly_recompute_child_read(struct tly_recompute_child *child,
                                                   void (*progress)(void *context, const char *stage, int64_t done,
                                                                    int64_t all),
                                                   void *context, bool *ended, struct tly_error *error);
/* Kill and wait for it, if there is one. */
void tly_recompute_child_kill(struct tly_recompute_child *child);

#endif
