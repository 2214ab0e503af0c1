/* speed_layer/speed.h -- the speed layer's process: fold each event within milliseconds, publish runs.
 * Thread: called once, from main. */
#ifndef TLY_SPEED_SPEED_H
#define TLY_SPEED_SPEED_H

#include "common/base/process.h"

/* Run until asked to stop; the exit code. */
int tly_speed_main(const struct tly_settings *settings);

#endif
