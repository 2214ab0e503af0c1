/* serving_layer/view_scan.h -- the rows of a merged view in key order: run (<= cut) plus live groups (> cut), finished.
 *
 * Path of an answer: source -> [view_scan] -> merged_table -> SQLite -> encode; and, for point queries, -> encode.
 *
 * A *use* is one view in one FROM item. Opening it, within the source's snapshot, copies the live groups of the use's
 * key range; after that the snapshot can end, and any number of scans of any part of the range see that one state.
 * Thread: a use and its scans belong to one thread. */
#ifndef TLY_SERVING_VIEW_SCAN_H
#define TLY_SERVING_VIEW_SCAN_H

#include "common/engine/view_walk.h"
#include "serving_layer/control.h"
#include "serving_layer/group_list.h"
#include "serving_layer/source.h"

struct tly_view_use {
  const struct tly_view_program *program;
  int64_t run;                 /* run_<n>.view: that run; 0: the merged view */
  uint64_t used;               /* outputs that may be asked for, by bit; bit 63 stands for all from there on */
  struct tly_buffer low, high; /* encoded keys: low <= key < high; empty: open */
  struct tly_view_state state; /* after open */
  struct tly_group_list *live; /* one a part, or NULL */
  int64_t *offsets;            /* the use's copy of the state's arrays */
};

/* All outputs may be asked for until the caller knows better. */
void tly_view_use_init(struct tly_view_use *use, const struct tly_view_program *program, int64_t run);
void tly_view_use_free(struct tly_view_use *use);
/* Between the source's begin and end: take the view's state (look) and copy its live groups (copy); open does both. */
TLY_CHECK enum tly_status tly_view_use_look(struct tly_view_use *use, const struct tly_source *source,
                                            struct tly_error *error);
TLY_CHECK enum tly_status tly_view_use_copy(struct tly_view_use *use, const struct tly_source *source,
                                            struct tly_control *control, struct tly_error *error);
TLY_CHECK enum tly_status tly_view_use_open(struct tly_view_use *use, const struct tly_source *source,
                                            struct tly_control *control, struct tly_error *error);

typedef struct tly_view_scan tly_view_scan;

/* Scan the part of the use's range with low <= key < high (size 0: as far as the use goes). Outputs with wanted[o] are
 * finished; NULL: all. The use and the source outlive the scan; `wanted`, `low` and `high` are copied. */
TLY_CHECK enum tly_status tly_view_scan_open(const struct tly_view_use *use, const struct tly_source *source,
                                             struct tly_control *control, struct tly_text low, struct tly_text high,
                                             const bool *wanted, tly_view_scan **out, struct tly_error *error);
void tly_view_scan_close(tly_view_scan *scan);
/* The next rows, in key order, valid until the next call; row_count 0 only at the end. HAVING is applied. A view
 * without GROUP BY gives its one row also over nothing (if HAVING lets it through). */
TLY_CHECK enum tly_status tly_view_scan_next(tly_view_scan *scan, struct tly_view_rows *out, struct tly_error *error);

/* The outputs in `used` as flags. */
void tly_view_wanted_outputs(const struct tly_view_program *program, uint64_t used, bool *wanted);

/* The smallest key above all keys that begin with `prefix`, appended to `out`; nothing when there is none. */
void tly_key_append_successor(const void *prefix, size_t size, struct tly_buffer *out);

#endif
