/* cli/progress.h -- a progress bar on stderr, when that is a terminal; silent otherwise.
 * Thread: main. */
#ifndef TLY_CLI_PROGRESS_H
#define TLY_CLI_PROGRESS_H

#include <stdint.h>

struct tly_progress {
  int64_t started_us, drawn_us;
  int is_terminal;
  char what[32];        /* what was shown last: another one has a rate of its own */
  uint64_t done_before; /* of it, when it was first shown */
};

void tly_progress_start(struct tly_progress *progress);
/* `all` 0: unknown, then only the count and the rate are shown. `unit`: "events", "blocks", ... */
void tly_progress_show(struct tly_progress *progress, const char *what, uint64_t done, uint64_t all, const char *unit);
/* Clear the line. */
void tly_progress_end(struct tly_progress *progress);

#endif
