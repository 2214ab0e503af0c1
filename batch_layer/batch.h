/* batch_layer/batch.h -- the process `tally batch`: schedules, runs, and their fate.
 * Thread: the process's main thread. */
#ifndef TLY_BATCH_BATCH_H
#define TLY_BATCH_BATCH_H

#include "common/base/process.h"

/* Runs until a stop is asked for; the exit status. */
int tly_batch_main(const struct tly_settings *settings);

#endif
