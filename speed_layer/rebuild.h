/* speed_layer/rebuild.h -- at the start: is the store still true? If not, a new one from the newest run and the
 * archive.
 *
 * Path of an event: archive, run files -> [rebuild: what is published, where to fold from] -> fold_loop.
 * Thread: belongs to the speed layer's loop. */
#ifndef TLY_SPEED_REBUILD_H
#define TLY_SPEED_REBUILD_H

#include "speed_layer/state.h"

/* With speed->archive open: open the store that counts and check it; make a new one if there is none, if it cannot be
 * trusted, or if `rebuild`. Fills store, merge, views' state, tail and target. */
TLY_CHECK enum tly_status tly_rebuild_open_store(struct tly_speed *speed, bool rebuild, struct tly_error *error);

#endif
