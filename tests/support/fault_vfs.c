#include "tests/support/fault_vfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sqlite3_vfs *real;
static enum fault_kind kind;
static long operations, fault_at;
static bool met;

struct fault_file {
  sqlite3_file base;
  sqlite3_file *inner; /* behind this structure */
};

static sqlite3_file *inner_of(sqlite3_file *file) {
  return ((struct fault_file *)file)->inner;
}

/* The code the operation fails with, or SQLITE_OK. */
static int meet(bool is_sync) {
  operations++;
  if (kind == FAULT_NONE || operations < fault_at)
    return SQLITE_OK;
  if (kind == FAULT_KILL && operations == fault_at)
    _exit(FAULT_EXIT);
  if (kind == FAULT_SYNC && is_sync && !met) {
    met = true;
    return SQLITE_IOERR_FSYNC;
  }
  if (kind == FAULT_DISK_FULL && !is_sync) {
    met = true;
    return SQLITE_FULL;
  }
  return SQLITE_OK;
}

static int file_close(sqlite3_file *file) {
  return inner_of(file)->pMethods->xClose(inner_of(file));
}
static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset) {
  return inner_of(file)->pMethods->xRead(inner_of(file), bytes, size, offset);
}
static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset) {
  int code = meet(false);
  return code != SQLITE_OK ? code : inner_of(file)->pMethods->xWrite(inner_of(file), bytes, size, offset);
}
static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  int code = meet(false);
  return code != SQLITE_OK ? code : inner_of(file)->pMethods->xTruncate(inner_of(file), size);
}
static int file_sync(sqlite3_file *file, int flags) {
  int code = meet(true);
  return code != SQLITE_OK ? code : inner_of(file)->pMethods->xSync(inner_of(file), flags);
}
static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  return inner_of(file)->pMethods->xFileSize(inner_of(file), size);
}
static int file_lock(sqlite3_file *file, int level) {
  return inner_of(file)->pMethods->xLock(inner_of(file), level);
}
static int file_unlock(sqlite3_file *file, int level) {
  return inner_of(file)->pMethods->xUnlock(inner_of(file), level);
}
static int file_check_reserved(sqlite3_file *file, int *out) {
  return inner_of(file)->pMethods->xCheckReservedLock(inner_of(file), out);
}
static int file_control(sqlite3_file *file, int operation, void *argument) {
  return inner_of(file)->pMethods->xFileControl(inner_of(file), operation, argument);
}
static int file_sector_size(sqlite3_file *file) {
  return inner_of(file)->pMethods->xSectorSize(inner_of(file));
}
static int file_characteristics(sqlite3_file *file) {
  return inner_of(file)->pMethods->xDeviceCharacteristics(inner_of(file));
}
static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
  return inner_of(file)->pMethods->xShmMap(inner_of(file), page, size, extend, out);
}
static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
  return inner_of(file)->pMethods->xShmLock(inner_of(file), offset, count, flags);
}
static void file_shm_barrier(sqlite3_file *file) {
  inner_of(file)->pMethods->xShmBarrier(inner_of(file));
}
static int file_shm_unmap(sqlite3_file *file, int delete_flag) {
  return inner_of(file)->pMethods->xShmUnmap(inner_of(file), delete_flag);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  struct fault_file *fault = (struct fault_file *)file;
  (void)vfs;
  fault->inner = (sqlite3_file *)(void *)((char *)file + sizeof *fault);
  memset(fault->inner, 0, (size_t)real->szOsFile);
  int code = real->xOpen(real, name, fault->inner, flags, out_flags);
  fault->base.pMethods = fault->inner->pMethods != NULL ? &methods : NULL;
  return code;
}

void fault_vfs_register(void) {
  static sqlite3_vfs vfs;
  if (real != NULL)
    return;
  real = sqlite3_vfs_find(NULL);
  vfs = *real;
  vfs.zName = "fault";
  vfs.szOsFile = (int)sizeof(struct fault_file) + real->szOsFile;
  vfs.xOpen = vfs_open;
  sqlite3_vfs_register(&vfs, 1);
}

void fault_vfs_set(enum fault_kind new_kind, long operation) {
  kind = new_kind;
  fault_at = operation;
  operations = 0;
  met = false;
}

long fault_vfs_operations(void) {
  return operations;
}

bool fault_vfs_met(void) {
  return met;
}
