/* batch_layer/merged_view.h -- the rows of a view at one instant, run and live together, in key order.
 *
 * Path of an event: published run (<= cut) + live increments (> cut) -> [merged view] -> reconciliation with a ledger.
 *
 * The instant is one snapshot of the live store, taken when everything that was archived before the view was opened has
 * been folded: what was acknowledged to anybody counts. Memory is bounded: live groups are copied to a file without a
 * name in the data folder, a key range at a time, and merged from there after the snapshot has ended.
 * Thread: belongs to one thread; opening waits for the speed layer. */
#ifndef TLY_BATCH_MERGED_VIEW_H
#define TLY_BATCH_MERGED_VIEW_H

#include "common/engine/view_walk.h"
#include "common/store/speed_reader.h"

typedef struct tly_merged_view tly_merged_view;

struct tly_merged_view_options {
  const char *directory;
  const struct tly_project *project;
  const struct tly_view *view;
  const bool *wanted; /* outputs that are asked for; the others are not computed, and cannot raise. NULL: all. Only
                         open looks at it */
  int wait_ms;        /* for a speed layer that makes no progress; TLY_DRIFT_WAIT_MS */
};

/* What the rows stand on. Positions are those of the view's stream. */
struct tly_merged_view_facts {
  int64_t run;               /* 0: none is published, the view is all live */
  struct tly_position *cut;  /* the run's */
  struct tly_position *live; /* next offsets folded */
  uint32_t cut_count, live_count;
  uint64_t set_aside; /* events that are in no row, because an expression raised on them */
};

/* TLY_E_NOT_READY when the view is still being built, or the speed layer stands still. */
TLY_CHECK enum tly_status tly_merged_view_open(const struct tly_merged_view_options *options, tly_merged_view **out,
                                               struct tly_error *error);
/* NULL is fine. */
void tly_merged_view_close(tly_merged_view *merged);
/* Valid until close. */
const struct tly_merged_view_facts *tly_merged_view_facts(const tly_merged_view *merged);
/* As tly_view_walk_next. */
TLY_CHECK enum tly_status tly_merged_view_next(tly_merged_view *merged, struct tly_view_rows *out,
                                               struct tly_error *error);

#endif
