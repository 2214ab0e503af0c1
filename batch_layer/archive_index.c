#include "batch_layer/archive_index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "batch_layer/write_failure.h"
#include "common/archive/segment.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

extern const char tly_schema_index[];

enum { CHECKPOINT_PAGES = 256 };

struct tly_archive_index {
  sqlite3 *database;
  char *folder, *path, *marker;
};

/* ---- an index that a failed sync has spoilt ---------------------------------------------------------------------- */

static enum tly_status remove_file(const char *path, struct tly_error *error) {
  return unlink(path) == 0 || errno == ENOENT ? TLY_OK
                                              : TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", path);
}

static enum tly_status rename_file(const char *from, const char *to, struct tly_error *error) {
  return rename(from, to) == 0 ? TLY_OK
                               : TLY_FAIL_ERRNO(error, TLY_E_IO, "could not rename \"%s\" to \"%s\"", from, to);
}

/* A whole, synced copy of what the page cache has, under the name `fresh`: from then on the copy is the index. */
static enum tly_status copy_index(struct tly_archive_index *index, const char *temporary, const char *fresh,
                                  struct tly_error *error) {
  sqlite3 *database;
  sqlite3_stmt *statement;
  TLY_TRY(remove_file(temporary, error));
  TLY_TRY(tly_sqlite_open(index->path, TLY_SQLITE_READER, NULL, &database, error));
  enum tly_status status = tly_sqlite_execute(database, "PRAGMA query_only = OFF", error);
  if (status == TLY_OK)
    status = tly_sqlite_prepare(database, "VACUUM INTO ?1", &statement, error);
  if (status == TLY_OK) {
    sqlite3_bind_text(statement, 1, temporary, -1, SQLITE_STATIC);
    status = tly_sqlite_run(statement, error);
    sqlite3_finalize(statement);
  }
  tly_sqlite_close(database);
  if (status == TLY_OK)
    status = tly_file_sync(temporary, error);
  if (status == TLY_OK)
    status = rename_file(temporary, fresh, error);
  return status == TLY_OK ? tly_file_sync_folder(index->folder, error) : status;
}

/* The old log must be gone before the copy takes the name it belongs to. */
static enum tly_status put_copy_in_place(struct tly_archive_index *index, const char *directory, const char *fresh,
                                         struct tly_error *error) {
  char *wal = tly_archive_index_path(directory, "-wal"), *shm = tly_archive_index_path(directory, "-shm");
  enum tly_status status = remove_file(wal, error);
  if (status == TLY_OK)
    status = remove_file(shm, error);
  if (status == TLY_OK)
    status = rename_file(fresh, index->path, error);
  if (status == TLY_OK)
    status = tly_file_sync_folder(index->folder, error);
  if (status == TLY_OK)
    status = remove_file(index->marker, error);
  tly_free(wal);
  tly_free(shm);
  return status;
}

static enum tly_status rewrite_if_condemned(struct tly_archive_index *index, const char *directory,
                                            struct tly_error *error) {
  char *temporary = tly_archive_index_path(directory, ".tmp"), *fresh = tly_archive_index_path(directory, ".new");
  enum tly_status status = TLY_OK;
  bool is_copied = tly_file_exists(fresh);
  if (!is_copied && tly_file_exists(index->marker)) {
    tly_log(TLY_LOG_WARN, "rewriting the archive's index after a failed sync", NULL);
    status = copy_index(index, temporary, fresh, error);
    is_copied = status == TLY_OK;
  }
  if (is_copied)
    status = put_copy_in_place(index, directory, fresh, error);
  tly_free(temporary);
  tly_free(fresh);
  return status;
}

void tly_archive_index_condemn(tly_archive_index *index) {
  tly_failure_leave_marker(index->marker);
  tly_failure_forbid_writing(index->database);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

/* A random name for the archive, once, so that stores that rest on it can tell it from another one. */
static enum tly_status put_archive_id(struct tly_archive_index *index, struct tly_error *error) {
  struct tly_buffer value = {0};
  uint8_t bytes[16];
  char text[2 * sizeof bytes + 1];
  bool found;
  enum tly_status status = tly_sqlite_meta_get(index->database, "archive_id", &value, &found, error);
  tly_buffer_free(&value);
  if (status != TLY_OK || found)
    return status;
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not get random bytes");
  for (size_t i = 0; i < sizeof bytes; i++)
    snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return tly_sqlite_meta_set(index->database, "archive_id", text, error);
}

enum tly_status tly_archive_index_open(const char *directory, tly_archive_index **out, struct tly_error *error) {
  struct tly_archive_index *index = tly_calloc(1, sizeof *index);
  *out = NULL;
  index->folder = tly_archive_stream_folder(directory, "");
  index->path = tly_archive_index_path(directory, "");
  index->marker = tly_archive_index_path(directory, ".failed");
  enum tly_status status = tly_file_make_folder(index->folder, error);
  if (status == TLY_OK)
    status = rewrite_if_condemned(index, directory, error);
  if (status == TLY_OK)
    status = tly_sqlite_open(index->path, TLY_SQLITE_WRITER_FULL, tly_schema_index, &index->database, error);
  if (status == TLY_OK)
    status = put_archive_id(index, error);
  if (status == TLY_OK)
    status = tly_file_sync_folder(index->folder, error);
  if (status == TLY_OK)
    status = tly_file_sync_folder(directory, error); /* archive/ is a name in it */
  if (status != TLY_OK) {
    tly_archive_index_close(index);
    return status;
  }
  *out = index;
  return TLY_OK;
}

void tly_archive_index_close(tly_archive_index *index) {
  if (index == NULL)
    return;
  tly_sqlite_close(index->database);
  tly_free(index->folder);
  tly_free(index->path);
  tly_free(index->marker);
  tly_free(index);
}

enum tly_status tly_archive_index_begin(tly_archive_index *index, struct tly_error *error) {
  return tly_sqlite_execute(index->database, "BEGIN IMMEDIATE", error);
}

void tly_archive_index_rollback(tly_archive_index *index, bool *may_go_on) {
  *may_go_on = tly_failure_is_harmless(index->database);
  if (!sqlite3_get_autocommit(index->database) &&
      sqlite3_exec(index->database, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
    *may_go_on = false;
}

enum tly_status tly_archive_index_commit(tly_archive_index *index, bool *may_go_on, struct tly_error *error) {
  *may_go_on = true;
  enum tly_status status = tly_sqlite_execute(index->database, "COMMIT", error);
  if (status != TLY_OK) {
    tly_archive_index_rollback(index, may_go_on);
    return status;
  }
  struct tly_error checkpoint_error = TLY_ERROR_NONE;
  if (tly_sqlite_checkpoint(index->database, CHECKPOINT_PAGES, &checkpoint_error) != TLY_OK)
    *may_go_on = tly_failure_is_harmless(index->database);
  return TLY_OK;
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

/* A statement that is used seldom: prepared, and its first text parameter bound. */
static enum tly_status prepare_for(tly_archive_index *index, const char *sql, const char *stream, sqlite3_stmt **out,
                                   struct tly_error *error) {
  TLY_TRY(tly_sqlite_prepare(index->database, sql, out, error));
  sqlite3_bind_text(*out, 1, stream, -1, SQLITE_STATIC);
  return TLY_OK;
}

static enum tly_status run_once(sqlite3_stmt *statement, struct tly_error *error) {
  enum tly_status status = tly_sqlite_run(statement, error);
  sqlite3_finalize(statement);
  return status;
}

enum tly_status tly_archive_index_definition(tly_archive_index *index, const char *stream,
                                             struct tly_buffer *definition, bool *found, struct tly_error *error) {
  sqlite3_stmt *row;
  tly_buffer_clear(definition);
  TLY_TRY(prepare_for(index, "SELECT definition FROM stream WHERE name = ?1", stream, &row, error));
  enum tly_status status = tly_sqlite_step(row, found, error);
  if (status == TLY_OK && *found)
    tly_buffer_append(definition, sqlite3_column_text(row, 0), (size_t)sqlite3_column_bytes(row, 0));
  sqlite3_finalize(row);
  return status;
}

enum tly_status tly_archive_index_put_stream(tly_archive_index *index, const struct tly_stream *stream,
                                             const char *definition, struct tly_error *error) {
  sqlite3_stmt *row;
  TLY_TRY(prepare_for(index, "INSERT OR REPLACE INTO stream (name, definition, hash) VALUES (?1, ?2, ?3)", stream->name,
                      &row, error));
  sqlite3_bind_text(row, 2, definition, -1, SQLITE_STATIC);
  sqlite3_bind_blob(row, 3, stream->hash.bytes, sizeof stream->hash.bytes, SQLITE_STATIC);
  return run_once(row, error);
}

/* ---- segments ---------------------------------------------------------------------------------------------------- */

enum tly_status tly_archive_index_segments(tly_archive_index *index, const char *stream, struct tly_index_segment **out,
                                           uint32_t *count, struct tly_error *error) {
  sqlite3_stmt *rows;
  bool has_row = true;
  *out = NULL;
  *count = 0;
  TLY_TRY(prepare_for(index, "SELECT number, state, replaced_by FROM segment WHERE stream = ?1 ORDER BY number", stream,
                      &rows, error));
  enum tly_status status;
  while ((status = tly_sqlite_step(rows, &has_row, error)) == TLY_OK && has_row) {
    *out = tly_realloc_array(*out, *count + 1, sizeof **out);
    (*out)[(*count)++] = (struct tly_index_segment){.number = sqlite3_column_int64(rows, 0),
                                                    .state = (char)sqlite3_column_text(rows, 1)[0],
                                                    .replaced_by = sqlite3_column_int64(rows, 2)};
  }
  sqlite3_finalize(rows);
  if (status != TLY_OK) {
    tly_free(*out);
    *out = NULL;
    *count = 0;
  }
  return status;
}

enum tly_status tly_archive_index_put_segment(tly_archive_index *index, const char *stream,
                                              struct tly_index_segment segment, struct tly_error *error) {
  sqlite3_stmt *row;
  const char *state = segment.state == 'a' ? "active" : segment.state == 's' ? "sealed" : "replaced";
  TLY_TRY(prepare_for(index,
                      "INSERT OR REPLACE INTO segment (stream, number, state, replaced_by) "
                      "VALUES (?1, ?2, ?3, nullif(?4, 0))",
                      stream, &row, error));
  sqlite3_bind_int64(row, 2, segment.number);
  sqlite3_bind_text(row, 3, state, -1, SQLITE_STATIC);
  sqlite3_bind_int64(row, 4, segment.replaced_by);
  return run_once(row, error);
}

enum tly_status tly_archive_index_drop_segment(tly_archive_index *index, const char *stream, int64_t number,
                                               struct tly_error *error) {
  sqlite3_stmt *row;
  TLY_TRY(prepare_for(index, "DELETE FROM segment WHERE stream = ?1 AND number = ?2", stream, &row, error));
  sqlite3_bind_int64(row, 2, number);
  return run_once(row, error);
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

enum tly_status tly_archive_index_last_cut(tly_archive_index *index, int64_t *number, struct tly_error *error) {
  sqlite3_stmt *row;
  bool has_row;
  *number = 0;
  TLY_TRY(tly_sqlite_prepare(index->database, "SELECT max(number) FROM cut", &row, error));
  enum tly_status status = tly_sqlite_step(row, &has_row, error);
  if (status == TLY_OK && has_row)
    *number = sqlite3_column_int64(row, 0);
  sqlite3_finalize(row);
  return status;
}

static enum tly_status read_position(const tly_archive_index *index, sqlite3_stmt *row, const char *stream,
                                     struct tly_position *out, struct tly_error *error) {
  *out = (struct tly_position){.stream = stream,
                               .partition = (uint32_t)sqlite3_column_int64(row, 0),
                               .next_offset = sqlite3_column_int64(row, 1)};
  if (sqlite3_column_bytes(row, 2) != (int)sizeof out->chain.bytes)
    return TLY_FAIL(error, TLY_E_CORRUPT, "a position of a cut in %s is damaged", index->path);
  memcpy(out->chain.bytes, sqlite3_column_blob(row, 2), sizeof out->chain.bytes);
  return TLY_OK;
}

enum tly_status tly_archive_index_cut_positions(tly_archive_index *index, int64_t number, const char *stream,
                                                struct tly_position **out, uint32_t *count, struct tly_error *error) {
  sqlite3_stmt *rows;
  bool has_row = true;
  *out = NULL;
  *count = 0;
  TLY_TRY(prepare_for(index, "SELECT partition, next_offset, chain FROM cut_position WHERE stream = ?1 AND cut = ?2",
                      stream, &rows, error));
  sqlite3_bind_int64(rows, 2, number);
  enum tly_status status = TLY_OK;
  while (status == TLY_OK && (status = tly_sqlite_step(rows, &has_row, error)) == TLY_OK && has_row) {
    *out = tly_realloc_array(*out, *count + 1, sizeof **out);
    status = read_position(index, rows, stream, &(*out)[(*count)++], error);
  }
  sqlite3_finalize(rows);
  return status;
}

static enum tly_status put_cut_position(tly_archive_index *index, int64_t cut, const struct tly_position *position,
                                        struct tly_error *error) {
  sqlite3_stmt *row;
  TLY_TRY(prepare_for(index,
                      "INSERT INTO cut_position (stream, cut, partition, next_offset, chain) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
                      position->stream, &row, error));
  sqlite3_bind_int64(row, 2, cut);
  sqlite3_bind_int64(row, 3, position->partition);
  sqlite3_bind_int64(row, 4, position->next_offset);
  sqlite3_bind_blob(row, 5, position->chain.bytes, sizeof position->chain.bytes, SQLITE_STATIC);
  return run_once(row, error);
}

enum tly_status tly_archive_index_put_cut(tly_archive_index *index, const struct tly_cut *cut,
                                          struct tly_error *error) {
  sqlite3_stmt *row;
  TLY_TRY(tly_sqlite_prepare(index->database, "INSERT INTO cut (number, made_at) VALUES (?1, ?2)", &row, error));
  sqlite3_bind_int64(row, 1, cut->number);
  sqlite3_bind_int64(row, 2, cut->made_at_us);
  TLY_TRY(run_once(row, error));
  for (uint32_t i = 0; i < cut->position_count; i++)
    TLY_TRY(put_cut_position(index, cut->number, &cut->positions[i], error));
  for (uint32_t i = 0; i < cut->view_count; i++) {
    TLY_TRY(
        prepare_for(index, "INSERT OR IGNORE INTO cut_view (view, cut) VALUES (?1, ?2)", cut->views[i], &row, error));
    sqlite3_bind_int64(row, 2, cut->number);
    TLY_TRY(run_once(row, error));
  }
  return TLY_OK;
}
