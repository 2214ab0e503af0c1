/* speed_layer/publish.h -- let recomputed runs take the place of the live generations they cover.
 *
 * Path of an event: run files of the batch layer -> [publish: one transaction] -> speed_reader -> answer.
 * Thread: belongs to the speed layer's loop. */
#ifndef TLY_SPEED_PUBLISH_H
#define TLY_SPEED_PUBLISH_H

#include "speed_layer/state.h"

/* Look for runs that are ready, and publish what can be. *did_publish: readers see something new. Between commits. */
TLY_CHECK enum tly_status tly_publish_step(struct tly_speed *speed, bool *did_publish, struct tly_error *error);
/* The newest run that a view (of this definition) can stand on, checked against the archive, in speed->arena; *found
 * false: none. */
TLY_CHECK enum tly_status tly_publish_find_base(struct tly_speed *speed, const struct tly_live_view *live,
                                                struct tly_run *run, bool *found, struct tly_error *error);
/* Whether the view can stand on this run: ready, not rejected, of its definition, of the archive's events, with its
 * files. On the one that it shows (is_shown) it may stand also when that was rejected, until it has gone back. */
TLY_CHECK enum tly_status tly_publish_is_base(struct tly_speed *speed, const struct tly_live_view *live, int64_t run,
                                              bool is_shown, bool *is_base, struct tly_error *error);
/* Within a transaction: the view is building on `run`, and folds from its cut on with a tail of its own. */
TLY_CHECK enum tly_status tly_publish_catch_up_from(struct tly_speed *speed, struct tly_live_view *live,
                                                    const struct tly_run *run, struct tly_error *error);
/* Read the lists of all views' cuts again. */
void tly_publish_forget_cuts(struct tly_speed *speed);
/* Read what batch.db has rejected of runs >= `oldest`, in speed->arena. */
TLY_CHECK enum tly_status tly_publish_rejected(struct tly_speed *speed, int64_t oldest, struct tly_rejected **out,
                                               uint32_t *count, struct tly_error *error);
/* A building view has caught up: it is ready with the commit that is under way; unless its run has gone meanwhile, then
 * it starts over. */
TLY_CHECK enum tly_status tly_publish_built(struct tly_speed *speed, struct tly_live_view *live,
                                            struct tly_error *error);

#endif
