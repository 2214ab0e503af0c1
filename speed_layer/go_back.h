/* speed_layer/go_back.h -- a view whose published run was rejected by an operator shows an older run again.
 *
 * Path of an event: archive above the older run's cut -> folded anew -> [go_back: one transaction] -> answer.
 * Thread: belongs to the speed layer's loop. */
#ifndef TLY_SPEED_GO_BACK_H
#define TLY_SPEED_GO_BACK_H

#include "speed_layer/state.h"

/* Between commits, after tly_publish_step: begin to go back where a run that is shown was rejected, and switch where
 * that has come far enough. *did_work: something was. */
TLY_CHECK enum tly_status tly_go_back_step(struct tly_speed *speed, bool *did_work, struct tly_error *error);

#endif
