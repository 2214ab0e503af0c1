/* common/engine/fold_apply.h -- add a column of arguments to a component's states. Private to the engine wing.
 * Thread: as fold.h. */
#ifndef TLY_ENGINE_FOLD_APPLY_H
#define TLY_ENGINE_FOLD_APPLY_H

#include "common/engine/group_access.h"
#include "common/engine/kernel.h"

/* What is added with one argument under one filter: component numbers[i] of the view, for i < count, keeps its states
 * in fields[i]. */
struct tly_feed_states {
  const struct tly_component *components;
  const uint32_t *numbers;
  const struct tly_state_field *fields;
  uint32_t count;
  bool are_far; /* there are more states than the processor's own caches hold: they are fetched ahead */
};

/* For each row of `rows`: the states of groups[row] take argument's element (which is not NULL). `argument` is NULL for
 * counts. Texts and decimals that states keep are copied into `values`; `scratch` is for what they do not keep. */
void tly_fold_apply(const struct tly_feed_states *states, const struct tly_vector *argument, struct tly_rows rows,
                    const uint32_t *groups, struct tly_arena *values, struct tly_arena *scratch);

/* Raise 22003 for the rows whose argument has more digits than a sum of it may be made of (limits.h). */
void tly_fold_check_summands(tly_evaluator *evaluator, const struct tly_component *component,
                             const struct tly_vector *argument, struct tly_rows rows);

#endif
