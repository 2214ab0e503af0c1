/* batch_layer/definition_watch.h -- which views need a run that nobody asked for: new ones, and those that were
 * changed.
 *
 * Path of an event: definitions, speed.db and the archive's ends -> [definition_watch] -> scheduler -> run.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_DEFINITION_WATCH_H
#define TLY_BATCH_DEFINITION_WATCH_H

#include "batch_layer/run_queue.h"
#include "batch_layer/speed_watch.h"
#include "common/base/clock.h"
#include "common/store/batch_reader.h"

typedef struct tly_definition_watch tly_definition_watch;

/* What it is to look at: all borrowed. */
struct tly_definition_watch_options {
  const char *directory;
  const struct tly_project *project;
  const struct tly_clock *clock;
  struct tly_speed_watch *speed;
  int wait_ms; /* for speed.db to appear, or to find a run by itself, before a definition starts one */
};

/* `reader` says which views have a ready run of their present definition. */
TLY_CHECK enum tly_status tly_definition_watch_open(const struct tly_definition_watch_options *options,
                                                    tly_batch_reader *reader, tly_definition_watch **out,
                                                    struct tly_error *error);
void tly_definition_watch_close(tly_definition_watch *watch);

/* Queue one run for all views that need one and do not wait for one already. Looks four times a second at most. */
void tly_definition_watch_queue(tly_definition_watch *watch, int64_t now_us, struct tly_run_queue *queue);
/* A run of these views, one flag a view of the project, is ready. */
void tly_definition_watch_covered(tly_definition_watch *watch, const bool *views);
/* A run of these views is held. Another one would find the same: nothing begins by itself until it is released, or
 * until the checks of its views are others. */
void tly_definition_watch_held(tly_definition_watch *watch, const bool *views);
/* A run of these views has failed. Without one a view never answers: it is tried again, later and later. */
void tly_definition_watch_failed(tly_definition_watch *watch, const bool *views);
/* Somebody has cancelled a run of these views. One that has no run at all is not computed by itself any more, until it
 * was covered by one that somebody asked for, or the process starts anew; others are as if the run had failed. */
void tly_definition_watch_cancelled(tly_definition_watch *watch, const bool *views);

#endif
