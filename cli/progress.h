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
  int64_t part_before;  /* the same of the parts */
};

void tly_progress_start(struct tly_progress *progress);
/* `all` 0: unknown, then only the count and the rate are shown. `unit`: "events", "blocks", ... */
void tly_progress_show(struct tly_progress *progress, const char *what, uint64_t done, uint64_t all, const char *unit);
/* A bar for `part` of `parts` (bytes of input, say), with what they held so far, the rate, and the time that is left if
 * it goes on like this since the first call. */
void tly_progress_show_parts(struct tly_progress *progress, const char *what, int64_t part, int64_t parts,
                             uint64_t done, const char *unit);
/* Clear the line. */
void tly_progress_end(struct tly_progress *progress);

#endif
