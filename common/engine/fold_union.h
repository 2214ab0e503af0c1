/* common/engine/fold_union.h -- the groups (part 0) of several folds of one view as one sorted sequence.
 *
 * Path of an event: blocks -> a fold a thread -> [fold union] -> slices -> run_writer. Groups are sorted and merged by
 * small integers; a key is encoded when its group leaves.
 *
 * Thread: sort a fold where it was filled; make the union on one thread when all are; then any number of threads may
 * read it, each through a cursor of its own. The folds must not be touched meanwhile, and outlive the union. */
#ifndef TLY_ENGINE_FOLD_UNION_H
#define TLY_ENGINE_FOLD_UNION_H

#include "common/engine/fold.h"
#include "common/engine/merge.h"

typedef struct tly_fold_union tly_fold_union;

/* The union of folds that tly_fold_sort has sorted; NULL when their keys cannot be ranked together (then each is to be
 * drained alone). */
tly_fold_union *tly_fold_union_new(tly_fold *const *folds, uint32_t fold_count);
void tly_fold_union_free(tly_fold_union *all);
/* Groups of all folds, counted once a fold. */
uint64_t tly_fold_union_count(const tly_fold_union *all);
/* Append the key below which about `part` of `parts` of the groups stand; there is at least one group. */
void tly_fold_union_quantile(const tly_fold_union *all, uint32_t part, uint32_t parts, struct tly_buffer *key);
/* Append the first key at or above `low` that `test` is true for; false when there is none. */
bool tly_fold_union_find(const tly_fold_union *all, struct tly_text low, bool (*test)(struct tly_text key),
                         struct tly_buffer *key);

typedef struct tly_fold_cursor tly_fold_cursor;

/* Groups with low <= key < high (data NULL: open), in slices of at most `slice_groups`. The slices borrow texts and
 * decimals from the folds. */
tly_fold_cursor *tly_fold_cursor_new(const tly_fold_union *all, struct tly_text low, struct tly_text high,
                                     uint32_t slice_groups);
void tly_fold_cursor_free(tly_fold_cursor *cursor);
struct tly_group_source tly_fold_cursor_source(tly_fold_cursor *cursor);

#endif
