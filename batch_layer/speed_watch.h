/* batch_layer/speed_watch.h -- what the batch layer sees of the speed layer: speed.db, once there is one.
 *
 * Path of an event: ... -> run k ready -> published by the speed layer -> [seen here] -> waiters are answered.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_SPEED_WATCH_H
#define TLY_BATCH_SPEED_WATCH_H

#include "common/store/speed_reader.h"

struct tly_speed_watch {
  const char *directory;
  const struct tly_project *project;
  tly_speed_reader *reader; /* NULL until there is a speed.db */
};

void tly_speed_watch_init(struct tly_speed_watch *watch, const char *directory, const struct tly_project *project);
void tly_speed_watch_free(struct tly_speed_watch *watch);
/* What speed.db says of each view of the project: known[v] is false where it says nothing yet of the view's present
 * definition. Returns false when there is no speed.db to ask. */
bool tly_speed_watch_look(struct tly_speed_watch *watch, struct tly_published *published, bool *known);
/* Whether each view with a flag in `views`, one a view of the project, shows `run` or a newer one. */
bool tly_speed_watch_shows(struct tly_speed_watch *watch, int64_t run, const bool *views);
/* How far a view has come that goes back to an older run; false: it does not, or there is no speed.db to ask. */
bool tly_speed_watch_going_back(struct tly_speed_watch *watch, const struct tly_view *view, struct tly_going_back *out);
/* The sum of the offsets up to which events are folded: it grows while the speed layer moves. */
int64_t tly_speed_watch_progress(struct tly_speed_watch *watch);

/* Patience with the speed layer: however much it has to do, it is waited for while it moves, and no longer than
 * `wait_ms` once it stands still. Times are monotonic. */
struct tly_speed_patience {
  int wait_ms;
  int64_t until_us, progress;
};

void tly_speed_patience_begin(struct tly_speed_patience *patience, int wait_ms, int64_t now_us);
/* Whether it is over. `progress` is any number that changes when the speed layer moves. */
bool tly_speed_patience_is_over(struct tly_speed_patience *patience, int64_t progress, int64_t now_us);

#endif
