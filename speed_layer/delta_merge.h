/* speed_layer/delta_merge.h -- keep a generation's deltas few: eight of one size class become one.
 *
 * Path of an event: fold -> a small delta a commit -> [delta_merge] -> few large deltas -> speed_reader -> answer.
 * Thread: belongs to the speed layer's loop. */
#ifndef TLY_SPEED_DELTA_MERGE_H
#define TLY_SPEED_DELTA_MERGE_H

#include "common/base/clock.h"
#include "common/engine/merge.h"
#include "speed_layer/speed_store.h"

typedef struct tly_delta_merge tly_delta_merge;

/* The size class of a delta: up to 512 groups are 0, each class holds eight times as many as the one below. */
int tly_delta_level(uint64_t group_count);

/* With the deltas that the store has. The caller owns *out. */
TLY_CHECK enum tly_status tly_delta_merge_new(tly_speed_store *store, tly_delta_merge **out, struct tly_error *error);
void tly_delta_merge_free(tly_delta_merge *merge);
/* A delta was written. */
void tly_delta_merge_add(tly_delta_merge *merge, const struct tly_delta *delta);
/* Deltas of `view` up to `generation` are gone (INT64_MAX: all): stop merging them. */
void tly_delta_merge_forget(tly_delta_merge *merge, int64_t view, int64_t generation);
/* Whether there is something to merge, and how many deltas the most crowded generation has in one class. */
bool tly_delta_merge_is_due(tly_delta_merge *merge, uint32_t *most);
/* Merge in one transaction of its own until `clock`'s monotonic time `until_us`, at least one block. The program of a
 * view is asked from `program_of`. */
TLY_CHECK enum tly_status tly_delta_merge_step(tly_delta_merge *merge, const struct tly_clock *clock, int64_t until_us,
                                               const struct tly_view_program *(*program_of)(void *context,
                                                                                            int64_t view),
                                               void *context, struct tly_error *error);
uint32_t tly_delta_merge_count(const tly_delta_merge *merge);

#endif
