/* common/engine/fold.h -- fold event batches into a view's groups: WHERE, keys, components.
 *
 * Path of an event: archive block -> event batch -> [fold] -> group tables -> speed.db or run files. Both layers run
 * this very code, so they cannot disagree.
 *
 * An event on which WHERE, a key, a FILTER or an argument raises is *set aside*: not folded at all (in no part),
 * counted and reported. The rule depends on the event alone. Thread: a fold belongs to one thread; several folds may
 * share a program. Pure: no clock, no file. */
#ifndef TLY_ENGINE_FOLD_H
#define TLY_ENGINE_FOLD_H

#include "common/engine/evaluate.h"
#include "common/engine/group_table.h"
#include "common/event/event_batch.h"

struct tly_fold_counts {
  uint64_t folded, filtered, set_aside; /* they add up to the events given */
};

/* Told of each event set aside: its index in the batch. */
typedef void (*tly_set_aside_visit)(void *context, uint32_t event, const struct tly_row_error *error);

typedef struct tly_fold tly_fold;

tly_fold *tly_fold_new(const struct tly_view_program *program);
void tly_fold_free(tly_fold *fold);
/* Fold all events of the batch; columns that program->column_used names must be there. `visit` may be NULL. Never
 * fails. */
void tly_fold_batch(tly_fold *fold, const struct tly_event_batch *batch, tly_set_aside_visit visit, void *context);
/* The groups so far, a table a part; the caller may drain, and then must clear, all of them. */
tly_group_table *tly_fold_part(tly_fold *fold, uint32_t part);
/* Sort the groups of part 0, for fold_union.h; no event may be folded then until all parts are cleared. */
void tly_fold_sort(tly_fold *fold);
struct tly_fold_counts tly_fold_counts(const tly_fold *fold);
/* Empty all parts and zero the counts. */
void tly_fold_clear(tly_fold *fold);
/* Bytes it holds, and will hold when it is sorted, for memory bounds. */
size_t tly_fold_bytes(const tly_fold *fold);

#endif
