/* serving_layer/serve.h -- the serving process: one endpoint for clients.
 *
 * Thread: the main thread of its process. */
#ifndef TLY_SERVING_SERVE_H
#define TLY_SERVING_SERVE_H

#include "common/base/process.h"

/* Answer on DIR/tally.sock (and TCP when settings->listen) until a stop is asked for. Signals and log are set up by the
 * caller (tly_process_setup). Returns the process's exit code; problems are logged. */
int tly_serve_main(const struct tly_settings *settings);

#endif
