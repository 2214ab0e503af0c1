/* common/sqlite/sqlite.h -- the ways a store is opened, and SQLite's failures as statuses.
 *
 * Every store has exactly one writer: one process, one thread, one connection, which also does every checkpoint (this
 * keeps SQLite 3.40.1 clear of its WAL-reset bug). Everybody else opens it read-only. Memory statistics are off: they
 * would serialise all threads.
 * Thread: a connection belongs to one thread at a time. */
#ifndef TLY_SQLITE_SQLITE_H
#define TLY_SQLITE_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

enum tly_sqlite_role {
  TLY_SQLITE_WRITER_FULL,   /* WAL, synchronous=FULL: commit returns when durable. wal_autocheckpoint off */
  TLY_SQLITE_WRITER_NORMAL, /* WAL, synchronous=NORMAL */
  TLY_SQLITE_WRITER_BULK,   /* a new file, journal and sync off: the caller syncs the finished file itself */
  TLY_SQLITE_READER,        /* read-only, of a store that is being written */
  TLY_SQLITE_READER_SEALED  /* read-only, immutable: of a file that never changes */
};

/* Increase when a store's meaning changes; kept as user_version. A file of another format is refused untouched
 * (TLY_E_CONFIG). */
enum { TLY_STORE_FORMAT = 3, TLY_SQLITE_APPLICATION_ID = 0x54414c59 /* "TALY" */ };

/* Once, before any other use of SQLite in the process. */
void tly_sqlite_setup(void);

/* Open `path`. Writers make the file from `schema` (a text of schemas/stores) when it is new; readers fail with
 * TLY_E_NOT_READY when it is not there. For a writer of a store that was not closed cleanly the first act is a sync of
 * file, WAL and folder: recovery may have read back what is not durable. The caller closes with tly_sqlite_close. */
TLY_CHECK enum tly_status tly_sqlite_open(const char *path, enum tly_sqlite_role role, const char *schema,
                                          sqlite3 **out, struct tly_error *error);
/* NULL is fine. All statements must be finalised. */
void tly_sqlite_close(sqlite3 *database);

/* The status for a failed call on `database`, with words "<what>: <sqlite's message> (<file>)". */
TLY_CHECK enum tly_status tly_sqlite_fail(sqlite3 *database, struct tly_error *error, const char *what);
TLY_CHECK enum tly_status tly_sqlite_execute(sqlite3 *database, const char *sql, struct tly_error *error);
TLY_CHECK enum tly_status tly_sqlite_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **out,
                                             struct tly_error *error);
/* Step a statement that gives no rows, then reset it and clear its bindings. */
TLY_CHECK enum tly_status tly_sqlite_run(sqlite3_stmt *statement, struct tly_error *error);
/* Step: *has_row false at the end (the statement is then reset). */
TLY_CHECK enum tly_status tly_sqlite_step(sqlite3_stmt *statement, bool *has_row, struct tly_error *error);

/* name/value rows of the table `meta` that every store has. get leaves *out empty and *found false when absent. */
TLY_CHECK enum tly_status tly_sqlite_meta_set(sqlite3 *database, const char *name, const char *value,
                                              struct tly_error *error);
TLY_CHECK enum tly_status tly_sqlite_meta_get(sqlite3 *database, const char *name, struct tly_buffer *out, bool *found,
                                              struct tly_error *error);

/* A writer whose commits somebody waits for moves its log into the file a little at a time: a checkpoint and its sync
 * hold up the next commit for as long as their pages take. The log is begun anew by the first commit after a step that
 * reached its end, and its file keeps its size, so that later syncs change no metadata. */
struct tly_log_steps {
  int frames; /* in the log, after the last commit */
  int tried;  /* how many of them there were at the last step */
};
/* Counts the frames of each commit from now on; `steps` must live as long as the connection. */
void tly_sqlite_watch_log(sqlite3 *database, struct tly_log_steps *steps);
/* After a commit: move what is in the log into the file when `pages` of frames have come since the last step. What a
 * reader still needs is left for the next step. */
TLY_CHECK enum tly_status tly_sqlite_checkpoint_step(sqlite3 *database, struct tly_log_steps *steps, int pages,
                                                     struct tly_error *error);
/* By the writer, after a commit: move the WAL into the file when it is longer than `wal_pages_max`. A busy reader is no
 * failure. */
TLY_CHECK enum tly_status tly_sqlite_checkpoint(sqlite3 *database, int wal_pages_max, struct tly_error *error);
/* Pages in the WAL after the last commit of this connection. */
int tly_sqlite_wal_pages(sqlite3 *database);

#endif
