/* speed_layer/state.h -- the state that the modules of the speed layer share, and how it is opened and driven.
 *
 * Path of an event: archive -> [fold_loop -> live views -> store]; runs of the batch layer -> [publish].
 * Thread: all of it belongs to the one loop. */
#ifndef TLY_SPEED_STATE_H
#define TLY_SPEED_STATE_H

#include "common/base/clock.h"
#include "common/base/doorbell.h"
#include "common/store/batch_reader.h"
#include "speed_layer/live_view.h"

enum { TLY_REFUSED_RUNS = 16 };

struct tly_speed {
  const char *directory;
  const struct tly_project *project;
  const struct tly_clock *clock;
  tly_doorbell *bell; /* rung by archiver and batch layer; NULL: the loop never waits (tests) */
  tly_archive_reader *archive;
  tly_batch_reader *batch; /* NULL until batch.db is there */
  tly_speed_store *store;
  tly_delta_merge *merge;
  struct tly_live_view *views; /* one a view of the project, and behind them those that will take the place of one */
  uint32_t view_count;         /* of the project */
  uint32_t live_count;         /* of all; at most twice as many */
  struct tly_tail tail;        /* every event below is in every ready view, or below its cut */
  struct tly_tail target;      /* the archive's end at the start: readers wait until the tail has come there */
  bool is_checked;             /* it has, and the store says so */
  bool disagrees;              /* the archive is not the one that was folded: open again, which checks and rebuilds */
  bool is_archive_failure;     /* the last failed status came from reading the archive, not the store */
  int64_t cut_known;           /* all cuts up to this one are in the views' lists */
  tly_chain cut_chain;         /* over all of these */
  int64_t cut_stored;          /* up to which the store has them */
  struct tly_event_batch *batches; /* one a stream, for reading */
  struct tly_vector *columns;      /* room for the columns of a part of a batch */
  struct tly_arena arena;          /* of one step */
  int64_t commit_took_us, commit_ended_us, commit_events;
  int64_t runs_looked_for_us;             /* when, last */
  uint32_t first_head;                    /* the partition that the next step begins with */
  int64_t refused_runs[TLY_REFUSED_RUNS]; /* those that were refused aloud lately */
  uint32_t refused_count;
};

/* Open the layer's state over `directory`: the store that counts, checked against the archive, or a new one. rebuild:
 * do not trust the store that counts. `bell` may be NULL. TLY_E_NOT_READY when the archiver has not made the archive
 * yet. What is given must outlive *out. */
TLY_CHECK enum tly_status tly_speed_open(const char *directory, const struct tly_project *project,
                                         const struct tly_clock *clock, tly_doorbell *bell, bool rebuild,
                                         struct tly_speed **out, struct tly_error *error);
void tly_speed_close(struct tly_speed *speed);
/* One round: fold what is new, publish what is ready, merge and trim a little. *did_work false: nothing was new. After
 * a round with speed->disagrees the state has to be closed and opened again. */
TLY_CHECK enum tly_status tly_speed_step(struct tly_speed *speed, bool *did_work, struct tly_error *error);
/* Between commits: give back the memory that the folds hold for the next events. */
void tly_speed_rest(struct tly_speed *speed);

/* A stream's batch for reading. */
struct tly_event_batch *tly_speed_batch(struct tly_speed *speed, const struct tly_stream *stream);
/* The view that is shown, or is being built, under this name; NULL: none. */
struct tly_live_view *tly_speed_view(struct tly_speed *speed, const char *name);
/* Room for a view that will take the place of `live`, which is one of the project's; not in the store yet. */
struct tly_live_view *tly_speed_add_successor(struct tly_speed *speed, const struct tly_live_view *live);
/* The one that will take its place, or NULL. */
struct tly_live_view *tly_speed_successor(struct tly_speed *speed, const struct tly_live_view *live);
/* `status`, noted as a failure of the archive when it is one. */
TLY_CHECK enum tly_status tly_speed_archive_status(struct tly_speed *speed, enum tly_status status);
/* Readers that wait for a commit. */
void tly_speed_ring(const struct tly_speed *speed);

#endif
