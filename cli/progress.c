#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { BAR_WIDTH = 30, REDRAW_US = 100000 };

void tly_progress_start(struct tly_progress *progress) {
  *progress = (struct tly_progress){.started_us = tly_clock_monotonic_us(&tly_clock_real),
                                    .is_terminal = isatty(STDERR_FILENO)};
}

void tly_progress_show(struct tly_progress *progress, const char *what, uint64_t done, uint64_t all, const char *unit) {
  int64_t now = tly_clock_monotonic_us(&tly_clock_real);
  if (strcmp(progress->what, what) != 0 || done < progress->done_before) { /* it begins, or we come to it */
    snprintf(progress->what, sizeof progress->what, "%s", what);
    progress->started_us = now;
    progress->done_before = done;
  }
  if (!progress->is_terminal || now - progress->drawn_us < REDRAW_US)
    return;
  progress->drawn_us = now;
  double seconds = (double)(now - progress->started_us) / 1e6;
  double rate = seconds > 0 ? (double)(done - progress->done_before) / seconds : 0;
  fprintf(stderr, "\r\033[K%s ", what);
  if (all > 0) {
    int filled = (int)(done >= all ? BAR_WIDTH : done * BAR_WIDTH / all);
    fputc('[', stderr);
    for (int i = 0; i < BAR_WIDTH; i++)
      fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3d %%  ", (int)(done >= all ? 100 : done * 100 / all));
  }
  fprintf(stderr, "%llu %s, %.0f/s", (unsigned long long)done, unit, rate);
  if (rate > 0 && all > done)
    fprintf(stderr, ", %.0f s to go", (double)(all - done) / rate);
  fflush(stderr);
}

void tly_progress_end(struct tly_progress *progress) {
  if (progress->is_terminal && progress->drawn_us != 0)
    fputs("\r\033[K", stderr);
  fflush(stderr);
}
