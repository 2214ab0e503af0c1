/* common/engine/finish.h -- merged states into the view's rows: aggregates, HAVING, output expressions.
 *
 * Path of an event: ... -> merge -> [finish] -> the serving layer's rows. What overflows only in the result raises
 * here. Thread: a finisher belongs to one thread. */
#ifndef TLY_ENGINE_FINISH_H
#define TLY_ENGINE_FINISH_H

#include "common/engine/evaluate.h"
#include "common/engine/group_table.h"

typedef struct tly_finisher tly_finisher;

tly_finisher *tly_finisher_new(const struct tly_view_program *program);
void tly_finisher_free(tly_finisher *finisher);

/* Finish `slice` (part 0, at most TLY_EVALUATE_ROWS groups). distinct_counts[i - 1] is, for part i, an array of
 * slice->count counts (NULL when the program has no such parts). On return *rows lists the groups that HAVING lets
 * through, *row_count of them, and outputs[o], for each output of the view with wanted[o] (NULL: all), is a vector of
 * slice->count elements valid at those rows. A row whose output raises fails the call with that error: the first in row
 * order. All lives until the next call. */
TLY_CHECK enum tly_status tly_finish(tly_finisher *finisher, const struct tly_group_slice *slice,
                                     const int64_t *const *distinct_counts, const bool *wanted,
                                     const struct tly_vector **outputs, const uint32_t **rows, uint32_t *row_count,
                                     struct tly_error *error);
/* Whether an output is a key column or an aggregate (not of a distinct set) and nothing else: then one value of it can
 * be finished by itself. */
bool tly_finish_is_direct(const struct tly_view_program *program, uint32_t output);
/* The value of a direct output in one row of a slice of part 0; equal to what tly_finish gives, without its vectors.
 * It may point into the slice or the arena. */
TLY_CHECK enum tly_status tly_finish_value(const struct tly_group_slice *slice, uint32_t row, uint32_t output,
                                           struct tly_arena *arena, struct tly_value *out, struct tly_error *error);
/* Make `slice`, initialised for part 0, hold one group of the empty key and initial states: a view without GROUP BY
 * over no events. */
void tly_finish_empty_group(const struct tly_view_program *program, struct tly_group_slice *slice);

#endif
