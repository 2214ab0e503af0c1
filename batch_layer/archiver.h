/* batch_layer/archiver.h -- the process that takes events in and is the only writer of the archive.
 *
 * Path of an event: client socket -> [archiver] -> archive/<stream>/<number>.db, synced -> acknowledgement; and a ring
 * at the speed layer's door.
 *
 * DIR/archiver.sock answers ingest, cut, seal and status; on DIR/handoff.sock the serving layer hands over connections
 * that send ingest, and gets them back when they send something else (common/wire/socket.h).
 * Thread: main. */
#ifndef TLY_BATCH_ARCHIVER_H
#define TLY_BATCH_ARCHIVER_H

#include "common/base/process.h"

/* Run until asked to stop (tly_process_stop) or the archive cannot be written. Returns the process's exit status. */
int tly_archiver_main(const struct tly_settings *settings);

#endif
