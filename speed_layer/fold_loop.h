/* speed_layer/fold_loop.h -- fold the archive's new blocks into the views and commit, deltas and positions together.
 *
 * Path of an event: archive block -> [fold_loop: tail -> live views] -> one transaction of speed_store -> doorbells.
 * Thread: belongs to the speed layer's loop. */
#ifndef TLY_SPEED_FOLD_LOOP_H
#define TLY_SPEED_FOLD_LOOP_H

#include "speed_layer/state.h"

/* Fold what is new and commit it. *did_work: something was. Sets speed->disagrees when the archive has other events
 * than those that were folded. */
TLY_CHECK enum tly_status tly_fold_loop_step(struct tly_speed *speed, bool *did_work, struct tly_error *error);

#endif
