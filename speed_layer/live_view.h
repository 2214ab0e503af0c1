/* speed_layer/live_view.h -- one view while it is folded: its program, what is folded and not yet written, its state.
 *
 * Path of an event: archive block -> tail -> [live_view: fold, then deltas] -> speed_store.
 * Thread: belongs to the speed layer's loop. */
#ifndef TLY_SPEED_LIVE_VIEW_H
#define TLY_SPEED_LIVE_VIEW_H

#include "common/base/limits.h"
#include "speed_layer/cut.h"
#include "speed_layer/delta_merge.h"
#include "speed_layer/speed_store.h"

/* An event set aside, until it is written. */
struct tly_set_aside_note {
  uint32_t partition;
  int64_t offset;
  const char *sqlstate; /* static */
  const char *message;  /* in the view's arena */
};

struct tly_live_view {
  const struct tly_view *view;
  struct tly_view_program *program;
  int64_t id;
  bool is_ready;
  int64_t run, cut;    /* published, or what a building view builds on; 0: none */
  bool is_catching_up; /* building, on a run: folds from `catch_up` towards the layer's own tail */
  bool has_caught_up;  /* ... and stood there at the end of the last step */
  struct tly_tail catch_up;
  struct tly_cut_list cuts; /* above `cut`, naming this view */
  tly_fold *fold;
  int64_t generation;    /* of what is in `fold`; 0: nothing is */
  uint64_t given_count;  /* events given to `fold` since it was empty */
  uint32_t listed_count; /* set-aside events stored or noted */
  struct tly_arena note_arena;
  struct tly_set_aside_note notes[TLY_SET_ASIDE_LISTED_MAX];
  uint32_t note_count;
};

/* `view` must outlive it. Not in the store yet. */
void tly_live_view_init(struct tly_live_view *live, const struct tly_view *view);
void tly_live_view_free(struct tly_live_view *live);
/* Take the state that a row of the store tells, and count what is listed as set aside. */
TLY_CHECK enum tly_status tly_live_view_adopt(struct tly_live_view *live, tly_speed_store *store,
                                              const struct tly_view_row *row, struct tly_error *error);

/* Fold events of a block stamped `stamp` > live->cut; the first is `first_offset` of `partition`. What is folded of
 * another generation is written first, within the store's transaction. All cuts below `stamp` must be in live->cuts. */
TLY_CHECK enum tly_status tly_live_view_fold(struct tly_live_view *live, tly_speed_store *store, tly_delta_merge *merge,
                                             const struct tly_event_batch *batch, int64_t stamp, uint32_t partition,
                                             int64_t first_offset, struct tly_error *error);
/* Write what is folded: a delta a part, the counts, the events set aside. Begins the store's transaction if needed. */
TLY_CHECK enum tly_status tly_live_view_flush(struct tly_live_view *live, tly_speed_store *store,
                                              tly_delta_merge *merge, struct tly_error *error);
/* Between commits: give back the memory that the fold holds for the next events. */
void tly_live_view_rest(struct tly_live_view *live);
/* The published cut has moved to `cut`: forget what it covers. */
void tly_live_view_published(struct tly_live_view *live, int64_t run, int64_t cut);

#endif
