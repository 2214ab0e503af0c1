#include "common/sqlite/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/file.h"

void tly_sqlite_setup(void) {
  static int done; /* called before threads are made */
  if (done)
    return;
  done = 1;
  TLY_ASSERT(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
  TLY_ASSERT(sqlite3_initialize() == SQLITE_OK);
}

static enum tly_status status_of(int code, int system_error) {
  switch (code & 0xff) {
  case SQLITE_FULL: return TLY_E_DISK_FULL;
  case SQLITE_NOMEM: return TLY_E_NO_MEMORY;
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return TLY_E_IN_USE;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return TLY_E_CORRUPT;
  case SQLITE_CANTOPEN: return system_error == ENOENT ? TLY_E_NOT_READY : TLY_E_IO;
  case SQLITE_INTERRUPT: return TLY_E_CANCELLED;
  case SQLITE_TOOBIG: return TLY_E_TOO_LARGE;
  case SQLITE_IOERR: return system_error == ENOSPC || system_error == EDQUOT ? TLY_E_DISK_FULL : TLY_E_IO;
  default: return TLY_E_IO;
  }
}

enum tly_status tly_sqlite_fail(sqlite3 *database, struct tly_error *error, const char *what) {
  const char *file = sqlite3_db_filename(database, "main");
  int code = sqlite3_extended_errcode(database);
  return TLY_FAIL(error, status_of(code, sqlite3_system_errno(database)), "%s: %s (%s)", what, sqlite3_errmsg(database),
                  file != NULL && *file != 0 ? file : "in memory");
}

enum tly_status tly_sqlite_execute(sqlite3 *database, const char *sql, struct tly_error *error) {
  if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
    return tly_sqlite_fail(database, error, "execute");
  return TLY_OK;
}

enum tly_status tly_sqlite_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **out, struct tly_error *error) {
  if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
    return tly_sqlite_fail(database, error, "prepare");
  return TLY_OK;
}

enum tly_status tly_sqlite_run(sqlite3_stmt *statement, struct tly_error *error) {
  int code = sqlite3_step(statement);
  enum tly_status status = TLY_OK;
  TLY_ASSERT(code != SQLITE_ROW);
  if (code != SQLITE_DONE)
    status = tly_sqlite_fail(sqlite3_db_handle(statement), error, "write");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

enum tly_status tly_sqlite_step(sqlite3_stmt *statement, bool *has_row, struct tly_error *error) {
  int code = sqlite3_step(statement);
  *has_row = code == SQLITE_ROW;
  if (code == SQLITE_ROW)
    return TLY_OK;
  enum tly_status status = code == SQLITE_DONE ? TLY_OK : tly_sqlite_fail(sqlite3_db_handle(statement), error, "read");
  sqlite3_reset(statement);
  return status;
}

/* After a crash WAL recovery reads frames back that may be in the page cache alone. Whoever builds on them (appends,
 * cuts, acknowledges) must have them durable first. */
static enum tly_status sync_leftovers(const char *path, struct tly_error *error) {
  char wal[4096];
  if (snprintf(wal, sizeof wal, "%s-wal", path) >= (int)sizeof wal)
    return TLY_FAIL(error, TLY_E_CONFIG, "file name is too long: %s", path);
  if (tly_file_size(wal) <= 0)
    return TLY_OK;
  TLY_TRY(tly_file_sync(wal, error));
  TLY_TRY(tly_file_sync(path, error));
  char *slash = strrchr(wal, '/');
  if (slash == NULL)
    return tly_file_sync_folder(".", error);
  *slash = 0;
  return tly_file_sync_folder(slash == wal ? "/" : wal, error);
}

static enum tly_status query_integer(sqlite3 *database, const char *sql, int64_t *out, struct tly_error *error) {
  sqlite3_stmt *statement;
  bool has_row;
  TLY_TRY(tly_sqlite_prepare(database, sql, &statement, error));
  enum tly_status status = tly_sqlite_step(statement, &has_row, error);
  *out = status == TLY_OK && has_row ? sqlite3_column_int64(statement, 0) : 0;
  sqlite3_finalize(statement);
  return status;
}

static enum tly_status check_format(sqlite3 *database, const char *path, int64_t *version, struct tly_error *error) {
  TLY_TRY(query_integer(database, "PRAGMA user_version", version, error));
  if (*version > TLY_STORE_FORMAT)
    return TLY_FAIL(error, TLY_E_CONFIG, "%s has format %lld, this tally knows formats up to %d; use a newer tally",
                    path, (long long)*version, TLY_STORE_FORMAT);
  if (*version > 0 && *version < TLY_STORE_FORMAT) /* 0: new */
    return TLY_FAIL(error, TLY_E_CONFIG,
                    "%s has format %lld, of a version before the first release; this tally begins"
                    " with format %d: ingest into a new data folder",
                    path, (long long)*version, TLY_STORE_FORMAT);
  return TLY_OK;
}

static enum tly_status make_schema(sqlite3 *database, const char *schema, struct tly_error *error) {
  char pragmas[128];
  snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d;", TLY_SQLITE_APPLICATION_ID,
           TLY_STORE_FORMAT);
  TLY_TRY(tly_sqlite_execute(database, "BEGIN IMMEDIATE", error));
  TLY_TRY(tly_sqlite_execute(database, schema, error));
  TLY_TRY(tly_sqlite_execute(database, pragmas, error));
  return tly_sqlite_execute(database, "COMMIT", error);
}

static const char *pragmas_of(enum tly_sqlite_role role) {
  switch (role) {
  case TLY_SQLITE_WRITER_FULL:
    return "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
           "PRAGMA secure_delete = OFF; PRAGMA mmap_size = 0; PRAGMA foreign_keys = OFF;";
  case TLY_SQLITE_WRITER_NORMAL:
    return "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
           "PRAGMA secure_delete = OFF; PRAGMA mmap_size = 0; PRAGMA foreign_keys = OFF;";
  case TLY_SQLITE_WRITER_BULK:
    return "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
           "PRAGMA secure_delete = OFF; PRAGMA mmap_size = 0;";
  case TLY_SQLITE_READER:
  case TLY_SQLITE_READER_SEALED: return "PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;";
  }
  TLY_UNREACHABLE();
}

static bool is_reader(enum tly_sqlite_role role) {
  return role == TLY_SQLITE_READER || role == TLY_SQLITE_READER_SEALED;
}

/* A path as a URI for immutable=1: the characters that mean something there are escaped. */
static void print_uri(const char *path, struct tly_buffer *out) {
  tly_buffer_append_text(out, "file:");
  for (const char *c = path; *c != 0; c++)
    if (*c == '?' || *c == '#' || *c == '%')
      tly_buffer_print(out, "%%%02X", (unsigned)*c);
    else
      tly_buffer_append_byte(out, (uint8_t)*c);
  tly_buffer_append_text(out, "?immutable=1");
}

static int open_handle(const char *path, enum tly_sqlite_role role, sqlite3 **database) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  if (!is_reader(role))
    return sqlite3_open_v2(path, database, flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
  if (role == TLY_SQLITE_READER)
    return sqlite3_open_v2(path, database, flags | SQLITE_OPEN_READONLY, NULL);
  struct tly_buffer uri = {0};
  print_uri(path, &uri);
  int code = sqlite3_open_v2(tly_buffer_text(&uri), database, flags | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
  tly_buffer_free(&uri);
  return code;
}

static enum tly_status set_up(sqlite3 *database, const char *path, enum tly_sqlite_role role, const char *schema,
                              struct tly_error *error) {
  int64_t version, table_count;
  sqlite3_busy_timeout(database, 5000);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  TLY_TRY(check_format(database, path, &version, error)); /* before anything is written */
  TLY_TRY(tly_sqlite_execute(database, pragmas_of(role), error));
  if (is_reader(role)) {
    if (version == 0)
      return TLY_FAIL(error, TLY_E_NOT_READY, "%s is not made yet", path);
    return TLY_OK;
  }
  TLY_TRY(query_integer(database, "SELECT count(*) FROM sqlite_schema", &table_count, error));
  return table_count == 0 ? make_schema(database, schema, error) : TLY_OK;
}

enum tly_status tly_sqlite_open(const char *path, enum tly_sqlite_role role, const char *schema, sqlite3 **out,
                                struct tly_error *error) {
  enum tly_status status;
  *out = NULL;
  TLY_ASSERT(is_reader(role) || schema != NULL);
  if (!is_reader(role) && role != TLY_SQLITE_WRITER_BULK)
    TLY_TRY(sync_leftovers(path, error));
  if (is_reader(role) && !tly_file_exists(path))
    return TLY_FAIL(error, TLY_E_NOT_READY, "%s is not there yet", path);
  if (open_handle(path, role, out) != SQLITE_OK) {
    status = *out != NULL ? tly_sqlite_fail(*out, error, "open") : TLY_FAIL(error, TLY_E_NO_MEMORY, "open %s", path);
    goto close;
  }
  status = set_up(*out, path, role, schema, error);
  if (status == TLY_OK)
    return TLY_OK;
close:
  tly_sqlite_close(*out);
  *out = NULL;
  return status;
}

void tly_sqlite_close(sqlite3 *database) {
  if (database != NULL)
    TLY_ASSERT(sqlite3_close(database) == SQLITE_OK); /* a statement that is left open is a bug of ours */
}

enum tly_status tly_sqlite_meta_set(sqlite3 *database, const char *name, const char *value, struct tly_error *error) {
  sqlite3_stmt *statement;
  TLY_TRY(tly_sqlite_prepare(database, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", &statement, error));
  sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
  enum tly_status status = tly_sqlite_run(statement, error);
  sqlite3_finalize(statement);
  return status;
}

enum tly_status tly_sqlite_meta_get(sqlite3 *database, const char *name, struct tly_buffer *out, bool *found,
                                    struct tly_error *error) {
  sqlite3_stmt *statement;
  tly_buffer_clear(out);
  *found = false;
  TLY_TRY(tly_sqlite_prepare(database, "SELECT value FROM meta WHERE name = ?1", &statement, error));
  sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
  enum tly_status status = tly_sqlite_step(statement, found, error);
  if (status == TLY_OK && *found)
    tly_buffer_append(out, sqlite3_column_text(statement, 0), (size_t)sqlite3_column_bytes(statement, 0));
  sqlite3_finalize(statement);
  return status;
}

/* With autocheckpoint off the size of the log is asked from the file: header of 32 bytes, frames of 24 and a page. */
int tly_sqlite_wal_pages(sqlite3 *database) {
  sqlite3_file *wal = NULL;
  sqlite3_int64 size = 0;
  if (sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK || wal == NULL ||
      wal->pMethods == NULL || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK)
    return 0;
  return (int)(size / (24 + 4096));
}

static int note_log(void *context, sqlite3 *database, const char *name, int frames) {
  struct tly_log_steps *steps = context;
  (void)database;
  (void)name;
  if (frames < steps->frames)
    steps->tried = 0; /* the log has begun anew */
  steps->frames = frames;
  return SQLITE_OK;
}

void tly_sqlite_watch_log(sqlite3 *database, struct tly_log_steps *steps) {
  *steps = (struct tly_log_steps){0};
  sqlite3_wal_hook(database, note_log, steps);
}

enum tly_status tly_sqlite_checkpoint_step(sqlite3 *database, struct tly_log_steps *steps, int pages,
                                           struct tly_error *error) {
  if (steps->frames - steps->tried < pages)
    return TLY_OK;
  steps->tried = steps->frames;
  int code = sqlite3_wal_checkpoint_v2(database, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
    return tly_sqlite_fail(database, error, "checkpoint");
  return TLY_OK;
}

enum tly_status tly_sqlite_checkpoint(sqlite3 *database, int wal_pages_max, struct tly_error *error) {
  if (tly_sqlite_wal_pages(database) <= wal_pages_max)
    return TLY_OK;
  sqlite3_busy_timeout(database, 0); /* a reader that is in the way is met again at the next commit */
  int code = sqlite3_wal_checkpoint_v2(database, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  sqlite3_busy_timeout(database, 5000);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
    return tly_sqlite_fail(database, error, "checkpoint");
  return TLY_OK;
}
