#include "batch_layer/write_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/log.h"

bool tly_failure_is_harmless(sqlite3 *database) {
  int code = sqlite3_extended_errcode(database);
  int system_error = sqlite3_system_errno(database);
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC || code == SQLITE_IOERR_TRUNCATE)
    return false;
  if ((code & 0xff) == SQLITE_FULL)
    return true;
  return (code & 0xff) == SQLITE_IOERR && (system_error == ENOSPC || system_error == EDQUOT);
}

void tly_failure_leave_marker(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
  if (fd >= 0)
    close(fd);
  tly_log(TLY_LOG_ERROR, "store is not to be written to again", "marker=\"%s\" made=%s", path, fd >= 0 ? "yes" : "no");
}

void tly_failure_forbid_writing(sqlite3 *database) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}
