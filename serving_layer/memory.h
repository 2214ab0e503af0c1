/* serving_layer/memory.h -- a bound on what SQLite may allocate for one query.
 *
 * SQLite's own statistics would serialise all threads, so they are off; instead its allocator counts by thread, and
 * each worker thread runs one query at a time. A query over its bound gets SQLITE_NOMEM and ends with 53200; the others
 * do not notice. Thread: setup once, before any other use of SQLite; the rest counts for the calling thread. */
#ifndef TLY_SERVING_MEMORY_H
#define TLY_SERVING_MEMORY_H

#include <stdint.h>

/* Makes SQLite use the counting allocator, and sets SQLite up (tly_sqlite_setup). */
void tly_memory_setup(void);
/* From now on this thread's SQLite may hold at most `bytes` more than now; 0: no bound. */
void tly_memory_limit(int64_t bytes);
/* What this thread's SQLite holds. */
int64_t tly_memory_used(void);

#endif
