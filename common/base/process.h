/* common/base/process.h -- what every tally process has: settings, a stop signal, a lock, a word when it is ready.
 *
 * The supervisor starts the four layers' processes with these options; each is also a command of its own.
 * Thread: setup before threads; stop_fd and is_stopping from any. */
#ifndef TLY_BASE_PROCESS_H
#define TLY_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

/* Flag > environment TALLY_* > tally.conf > default; filled by the command line. Strings outlive the process. */
struct tly_settings {
  const char *project;       /* folder of *.sql files */
  const char *directory;     /* data folder */
  const char *program;       /* path of this binary, for child processes */
  const char *listen;        /* serve: HOST:PORT for TCP, or NULL */
  const char *ledger_folder; /* where relative paths of ledgers begin; NULL: the project's folder */
  int recompute_threads;     /* 0: all cores */
  int query_timeout_ms;
  int query_memory_bytes; /* bound of one query */
  int keep_runs;          /* published runs kept a view */
  int64_t seal_bytes;     /* the active archive file is sealed at this size ... */
  int64_t seal_age_s;     /* ... or age, when it has events */
};

/* Signals (TERM and INT ask to stop, a second one ends at once; PIPE ignored), log name, death with the parent when
 * `with_parent`. */
void tly_process_setup(const char *name, bool with_parent);
/* Readable once a stop was asked for. */
int tly_process_stop_fd(void);
bool tly_process_is_stopping(void);
/* As a SIGTERM to oneself: for a process that finds it has to end. */
void tly_process_stop(void);

/* Hold DIR/lock.<name> for the life of the process: TLY_E_IN_USE, naming the folder, when another one does. */
TLY_CHECK enum tly_status tly_process_lock(const char *directory, const char *name, struct tly_error *error);
/* Tell the supervisor (descriptor in TALLY_READY_FD, if set) that this process answers. */
void tly_process_ready(void);

#endif
