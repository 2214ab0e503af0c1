#include "cli/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { BAR_WIDTH = 30, REDRAW_US = 100000 };

void tly_progress_start(struct tly_progress *progress) {
  *progress = (struct tly_progress){.started_us = tly_clock_monotonic_us(&tly_clock_real),
                                    .is_terminal = isatty(STDERR_FILENO)};
}

/* Whether it is time to draw. */
static bool is_due(struct tly_progress *progress, int64_t now) {
  if (!progress->is_terminal || now - progress->drawn_us < REDRAW_US)
    return false;
  progress->drawn_us = now;
  return true;
}

static void draw_bar(uint64_t done, uint64_t all) {
  int filled = (int)(done >= all ? BAR_WIDTH : done * BAR_WIDTH / all);
  fputc('[', stderr);
  for (int i = 0; i < BAR_WIDTH; i++)
    fputc(i < filled ? '#' : '.', stderr);
  fprintf(stderr, "] %3d %%  ", (int)(done >= all ? 100 : done * 100 / all));
}

static void draw_left(int64_t seconds) {
  fprintf(stderr, ", %lld:%02lld:%02lld left", (long long)(seconds / 3600), (long long)(seconds / 60 % 60),
          (long long)(seconds % 60));
}

void tly_progress_show_parts(struct tly_progress *progress, const char *what, int64_t part, int64_t parts,
                             uint64_t done, const char *unit) {
  int64_t now = tly_clock_monotonic_us(&tly_clock_real);
  if (strcmp(progress->what, what) != 0 || done < progress->done_before) { /* it begins, or we come to it */
    snprintf(progress->what, sizeof progress->what, "%s", what);
    progress->started_us = now;
    progress->done_before = done;
    progress->part_before = part;
  }
  if (!is_due(progress, now))
    return;
  double seconds = (double)(now - progress->started_us) / 1e6;
  fprintf(stderr, "\r\033[K%s ", what);
  if (parts > 0)
    draw_bar((uint64_t)part, (uint64_t)parts);
  fprintf(stderr, "%llu %s, %.0f/s", (unsigned long long)done, unit,
          seconds > 0 ? (double)(done - progress->done_before) / seconds : 0.0);
  if (part > progress->part_before && parts > part)
    draw_left((int64_t)(seconds * (double)(parts - part) / (double)(part - progress->part_before)));
  fflush(stderr);
}

void tly_progress_show(struct tly_progress *progress, const char *what, uint64_t done, uint64_t all, const char *unit) {
  tly_progress_show_parts(progress, what, (int64_t)done, (int64_t)all, done, unit);
}

void tly_progress_end(struct tly_progress *progress) {
  if (progress->is_terminal && progress->drawn_us != 0)
    fputs("\r\033[K", stderr);
  fflush(stderr);
}
