/* batch_layer/child_process.h -- start a process of the batch layer that takes what processor time nobody else wants.
 *
 * Path of an event: scheduler -> [child process] -> recompute, reconciliation with a ledger.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_CHILD_PROCESS_H
#define TLY_BATCH_CHILD_PROCESS_H

#include <sys/types.h>

#include "common/base/process.h"

struct tly_child_process {
  pid_t process;
  int orders_fd; /* its stdin */
  int words_fd;  /* its stdout; non-blocking */
};

/* Start `<program> <command> --data DIR PROJECT`. It dies with its parent, at once. The caller closes both descriptors
 * and waits for it. */
TLY_CHECK enum tly_status tly_child_process_start(const struct tly_settings *settings, const char *command,
                                                  struct tly_child_process *out, struct tly_error *error);
/* Wait until it has ended; its status, as of waitpid. */
int tly_child_process_wait(pid_t process);

#endif
