/* tests/support/fault_vfs.h -- SQLite's files with one operation that fails, or that the process does not survive.
 * Thread: set before the thread that is to fail starts. */
#ifndef TLY_TESTS_FAULT_VFS_H
#define TLY_TESTS_FAULT_VFS_H

#include <stdbool.h>

enum fault_kind {
  FAULT_NONE,
  FAULT_KILL,      /* _exit(FAULT_EXIT) before the operation */
  FAULT_SYNC,      /* the next sync at or after the operation fails with EIO, once */
  FAULT_DISK_FULL, /* writes fail with SQLITE_FULL from the operation on, until cleared */
};

enum { FAULT_EXIT = 99 };

/* Make it the default; once. */
void fault_vfs_register(void);
/* Let the `operation`-th write, sync or truncate from now on (1: the next) meet the fault. */
void fault_vfs_set(enum fault_kind kind, long operation);
/* Operations since the last set. */
long fault_vfs_operations(void);
/* Whether the fault was met. */
bool fault_vfs_met(void);

#endif
