/* common/engine/fold_access.h -- what the union of folds sees of a fold. Private to the engine wing.
 * Thread: as fold.h. */
#ifndef TLY_ENGINE_FOLD_ACCESS_H
#define TLY_ENGINE_FOLD_ACCESS_H

#include "common/engine/fold.h"
#include "common/engine/key_order.h"

const struct tly_view_program *tly_fold_program(const tly_fold *fold);
/* The order that tly_fold_sort has made; it lives until the fold changes. */
const tly_key_order *tly_fold_order(const tly_fold *fold);

#endif
