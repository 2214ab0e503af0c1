/* common/engine/merge.h -- merge sorted sources of groups into one, adding the states of equal keys.
 *
 * Path of an event: run blocks + live deltas -> [merge] -> finish -> answer; also compaction of deltas, the last step
 * of a parallel recompute, and both sides of the drift check. Thread: a merge belongs to one thread, and so do its
 * sources. */
#ifndef TLY_ENGINE_MERGE_H
#define TLY_ENGINE_MERGE_H

#include "common/engine/group_table.h"

/* A sorted sequence of slices: next gives the following one (borrowed until the next call), or NULL at the end. */
struct tly_group_source {
  enum tly_status (*next)(void *context, const struct tly_group_slice **out, struct tly_error *error);
  void *context;
};

typedef struct tly_merge tly_merge;

/* The sources are borrowed. */
tly_merge *tly_merge_new(const struct tly_view_program *program, uint32_t part, const struct tly_group_source *sources,
                         uint32_t source_count);
void tly_merge_free(tly_merge *merge);
/* The next merged groups in *out, at most `group_max` and at least one (borrowed until the next call); NULL at the end.
 * How many there are depends on how the sources are cut, so whoever writes blocks makes them of groups, not of slices.
 * A tly_merge is itself a source: tly_merge_source. */
TLY_CHECK enum tly_status tly_merge_next(tly_merge *merge, uint32_t group_max, const struct tly_group_slice **out,
                                         struct tly_error *error);
struct tly_group_source tly_merge_source(tly_merge *merge);

#endif
