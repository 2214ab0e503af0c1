/* speed_layer/wal_sync.h -- write the WAL to disk little by little, so that a checkpoint need not do it at once.
 *
 * With synchronous=NORMAL the WAL is synced by the checkpoint alone: 64 MB of it at once held the fold up for 50 ms
 * (measured; with this helper 1 ms). A thread of its own writes the -wal file out many times a second while there are
 * commits. It does not make it durable (the checkpoint does): flushes of the disk's own cache would stand in line with
 * those of the archiver, for whose every acknowledgement one is waited for. It touches no other file: the locks of the
 * database are not its business.
 * Thread: start, note and stop belong to the store's thread. */
#ifndef TLY_SPEED_WAL_SYNC_H
#define TLY_SPEED_WAL_SYNC_H

#include <stdbool.h>

#include "common/base/error.h"

typedef struct tly_wal_sync tly_wal_sync;

/* For the WAL of the database at `path`, which must have been written to. The caller owns *out. */
TLY_CHECK enum tly_status tly_wal_sync_start(const char *path, tly_wal_sync **out, struct tly_error *error);
/* Something was committed. Fails once a sync has failed: what the disk has is then unknown, the process must end. */
TLY_CHECK enum tly_status tly_wal_sync_note(tly_wal_sync *sync, struct tly_error *error);
/* NULL is fine. */
void tly_wal_sync_stop(tly_wal_sync *sync);

#endif
