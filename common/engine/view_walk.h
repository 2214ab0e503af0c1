/* common/engine/view_walk.h -- the merged parts of a view, walked side by side: finished rows in key order.
 *
 * Path of an answer: merge (one a part) -> [view walk] -> rows of a query, or of a reconciliation.
 *
 * Part 0 holds the groups; part i > 0 the i-th count(DISTINCT) set, whose keys are a group's key followed by a value.
 * All parts are sorted alike, and a group's key is a prefix of its distinct rows' keys, so one pass counts them.
 * Thread: a walk belongs to one thread. */
#ifndef TLY_ENGINE_VIEW_WALK_H
#define TLY_ENGINE_VIEW_WALK_H

#include "common/engine/merge.h"

/* Some finished rows: for i < row_count, output o of row rows[i] is element rows[i] of outputs[o]. */
struct tly_view_rows {
  const struct tly_vector *outputs;
  const uint32_t *rows;
  uint32_t row_count;
};

typedef struct tly_view_walk tly_view_walk;

/* parts[p] gives the groups of part p, strictly ascending, in slices of at most TLY_EVALUATE_ROWS; those of parts that
 * tly_view_needed_parts leaves out are not touched. Outputs with wanted[o] are finished; NULL: all. Both arrays are
 * copied, what the sources point to is borrowed. */
tly_view_walk *tly_view_walk_new(const struct tly_view_program *program, const struct tly_group_source *parts,
                                 const bool *wanted);
/* NULL is fine. */
void tly_view_walk_free(tly_view_walk *walk);
/* The next rows, in key order, valid until the next call; row_count 0 only at the end. HAVING is applied. A view
 * without GROUP BY gives its one row also over nothing (if HAVING lets it through). An output that raises fails the
 * call. */
TLY_CHECK enum tly_status tly_view_walk_next(tly_view_walk *walk, struct tly_view_rows *out, struct tly_error *error);

/* Which parts of the view the outputs with wanted[o] (NULL: all) and HAVING are computed from: needed[p] for each part;
 * part 0 always is. */
void tly_view_needed_parts(const struct tly_view_program *program, const bool *wanted, bool *needed);

#endif
