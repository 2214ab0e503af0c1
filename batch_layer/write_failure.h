/* batch_layer/write_failure.h -- whether a store may be written to again after a failed call.
 * Thread: that of the connection. */
#ifndef TLY_BATCH_WRITE_FAILURE_H
#define TLY_BATCH_WRITE_FAILURE_H

#include <stdbool.h>

#include "common/sqlite/sqlite.h"

/* Looks at the connection's last error. True only when the disk was full and no sync was involved: a write that found
 * no room changed nothing that counts, while a sync that failed, for whatever reason, may have marked pages clean that
 * never reached the disk. */
bool tly_failure_is_harmless(sqlite3 *database);
/* Leave an empty file `path` to be found by the next start. Best effort: that the store is not to be trusted is why we
 * are here, and the danger ends with the page cache, which keeps the marker as well. */
void tly_failure_leave_marker(const char *path);

/* Closing the connection will not move its log into the file. */
void tly_failure_forbid_writing(sqlite3 *database);

#endif
