#include "batch_layer/active_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "batch_layer/write_failure.h"
#include "common/archive/segment.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

extern const char tly_schema_archive[];

enum { CHECKPOINT_PAGES = 256 /* 1 MB of log */ };

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static enum tly_status prepare_all(struct tly_active_file *file, struct tly_error *error) {
  const struct {
    sqlite3_stmt **statement;
    const char *sql;
  } all[] = {
      {&file->last_sequence, "SELECT max(sequence) FROM producer WHERE name = ?1"},
      {&file->find_reply, "SELECT reply FROM producer WHERE name = ?1 AND sequence = ?2"},
      {&file->put_reply, "INSERT INTO producer (name, sequence, used_at, reply) VALUES (?1, ?2, ?3, ?4)"},
      {&file->drop_replies, "DELETE FROM producer WHERE name = ?1 AND sequence <= ?2"},
  };
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    TLY_TRY(tly_sqlite_prepare(file->database, all[i].sql, all[i].statement, error));
  TLY_TRY(tly_import_memory_open(file->database, &file->imports, error));
  return tly_block_writer_open(file->database, file->stream, TLY_EFFORT_LIVE, &file->blocks, error);
}

void tly_active_file_close(struct tly_active_file *file) {
  if (file == NULL)
    return;
  if (file->blocks.columns != NULL)
    tly_block_writer_close(&file->blocks);
  sqlite3_finalize(file->last_sequence);
  sqlite3_finalize(file->find_reply);
  sqlite3_finalize(file->put_reply);
  sqlite3_finalize(file->drop_replies);
  tly_import_memory_close(&file->imports);
  tly_sqlite_close(file->database);
  tly_free(file->path);
  tly_free(file);
}

void tly_active_file_retire(struct tly_active_file *file) {
  enum { ATTEMPTS_MAX = 20, PAUSE_NS = 2000000 };
  bool is_writer = file != NULL && sqlite3_db_readonly(file->database, "main") == 0;
  for (int attempt = 0; is_writer && attempt < ATTEMPTS_MAX && tly_sqlite_wal_pages(file->database) > 0; attempt++) {
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    if (tly_sqlite_checkpoint(file->database, 0, NULL) != TLY_OK)
      break; /* sealing reads it with its log as well */
    if (tly_sqlite_wal_pages(file->database) > 0)
      nanosleep(&pause, NULL);
  }
  tly_active_file_close(file);
}

static enum tly_status open_file(const char *directory, const struct tly_stream *stream, int64_t number,
                                 struct tly_active_file **out, struct tly_error *error) {
  struct tly_active_file *file = tly_calloc(1, sizeof *file);
  file->stream = stream;
  file->number = number;
  file->path = tly_archive_file_path(directory, stream->name, number, "");
  enum tly_status status =
      tly_sqlite_open(file->path, TLY_SQLITE_WRITER_FULL, tly_schema_archive, &file->database, error);
  if (status == TLY_OK)
    tly_sqlite_watch_log(file->database, &file->log);
  if (status == TLY_OK)
    status = prepare_all(file, error);
  if (status != TLY_OK) {
    tly_active_file_close(file);
    file = NULL;
  }
  *out = file;
  return status;
}

/* ---- a new file -------------------------------------------------------------------------------------------------- */

static enum tly_status put_facts(struct tly_active_file *file, int64_t now_us, struct tly_error *error) {
  char number[32], now[32];
  const struct tly_stream *stream = file->stream;
  json_t *names = json_array();
  for (uint32_t c = 0; c < stream->column_count; c++)
    json_array_append_new(names, json_string(stream->columns[c].name));
  char *columns = json_dumps(names, JSON_COMPACT);
  snprintf(number, sizeof number, "%lld", (long long)file->number);
  snprintf(now, sizeof now, "%lld", (long long)now_us);
  enum tly_status status = tly_sqlite_meta_set(file->database, "stream", stream->name, error);
  if (status == TLY_OK)
    status = tly_sqlite_meta_set(file->database, "segment", number, error);
  if (status == TLY_OK)
    status = tly_sqlite_meta_set(file->database, "columns", columns, error);
  if (status == TLY_OK)
    status = tly_sqlite_meta_set(file->database, "created_at", now, error);
  if (status == TLY_OK)
    status = tly_sqlite_meta_set(file->database, "sealed", "0", error);
  free(columns);
  json_decref(names);
  return status;
}

static enum tly_status copy_replies(struct tly_active_file *before, struct tly_active_file *file,
                                    struct tly_error *error) {
  sqlite3_stmt *rows;
  bool has_row = true;
  TLY_TRY(tly_sqlite_prepare(before->database,
                             "SELECT name, sequence, used_at, reply FROM producer ORDER BY used_at DESC LIMIT ?1",
                             &rows, error));
  sqlite3_bind_int64(rows, 1, TLY_PRODUCER_ROWS_KEPT);
  enum tly_status status = TLY_OK;
  while (status == TLY_OK && (status = tly_sqlite_step(rows, &has_row, error)) == TLY_OK && has_row) {
    for (int c = 0; c < 4; c++)
      sqlite3_bind_value(file->put_reply, c + 1, sqlite3_column_value(rows, c));
    status = tly_sqlite_run(file->put_reply, error);
  }
  sqlite3_finalize(rows);
  return status;
}

/* Remove what a kill left under this name, but only when it holds no events. */
static enum tly_status remove_leftover(const char *directory, const struct tly_stream *stream, int64_t number,
                                       struct tly_error *error) {
  static const char *const suffixes[] = {"-wal", "-shm", ""};
  char *path = tly_archive_file_path(directory, stream->name, number, "");
  enum tly_status status = TLY_OK;
  struct tly_active_file *leftover = NULL;
  if (tly_file_exists(path)) {
    sqlite3_stmt *rows;
    bool has_row = true;
    status = open_file(directory, stream, number, &leftover, error);
    if (status == TLY_OK)
      status = tly_sqlite_prepare(leftover->database, "SELECT 1 FROM block LIMIT 1", &rows, error);
    if (status == TLY_OK) {
      status = tly_sqlite_step(rows, &has_row, error);
      sqlite3_finalize(rows);
    }
    if (status == TLY_OK && has_row)
      status = TLY_FAIL(error, TLY_E_CORRUPT, "%s holds events, but the index does not name it", path);
    tly_active_file_close(leftover);
  }
  tly_free(path);
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && status == TLY_OK; i++) {
    char *name = tly_archive_file_path(directory, stream->name, number, suffixes[i]);
    if (unlink(name) != 0 && errno != ENOENT)
      status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", name);
    tly_free(name);
  }
  return status;
}

enum tly_status tly_active_file_create(const char *directory, const struct tly_stream *stream, int64_t number,
                                       int64_t now_us, struct tly_active_file *before, struct tly_active_file **out,
                                       struct tly_error *error) {
  struct tly_active_file *file = NULL;
  bool may_go_on;
  *out = NULL;
  char *folder = tly_archive_stream_folder(directory, stream->name);
  char *archive = tly_archive_stream_folder(directory, "");
  enum tly_status status = tly_file_make_folder(folder, error);
  if (status == TLY_OK)
    status = tly_file_sync_folder(archive, error); /* the stream's folder is a name in it */
  if (status == TLY_OK)
    status = remove_leftover(directory, stream, number, error);
  if (status == TLY_OK)
    status = open_file(directory, stream, number, &file, error);
  if (status == TLY_OK)
    status = tly_active_file_begin(file, error);
  if (status == TLY_OK)
    status = put_facts(file, now_us, error);
  if (status == TLY_OK && before != NULL)
    status = copy_replies(before, file, error);
  if (status == TLY_OK && before != NULL)
    status = tly_import_memory_copy(before->database, file->database, error);
  if (status == TLY_OK)
    status = tly_active_file_commit(file, &may_go_on, error);
  if (status == TLY_OK)
    status = tly_file_sync_folder(folder, error);
  if (status == TLY_OK) {
    file->created_at_us = now_us;
    *out = file;
  } else {
    tly_active_file_close(file);
  }
  tly_free(archive);
  tly_free(folder);
  return status;
}

/* ---- a file that is there ---------------------------------------------------------------------------------------- */

static enum tly_status load_number(struct tly_active_file *file, const char *sql, int64_t *out,
                                   struct tly_error *error) {
  sqlite3_stmt *row;
  bool has_row;
  TLY_TRY(tly_sqlite_prepare(file->database, sql, &row, error));
  enum tly_status status = tly_sqlite_step(row, &has_row, error);
  *out = status == TLY_OK && has_row ? sqlite3_column_int64(row, 0) : 0;
  sqlite3_finalize(row);
  return status;
}

static enum tly_status load_dictionary(struct tly_active_file *file, struct tly_segment *segment, uint32_t c,
                                       struct tly_error *error) {
  struct tly_coded_column *column = &file->blocks.columns[c];
  char name[32];
  bool is_uncoded;
  struct tly_buffer value = {0};
  if (!column->is_coded)
    return TLY_OK;
  snprintf(name, sizeof name, "uncoded.%u", c);
  enum tly_status status = tly_sqlite_meta_get(file->database, name, &value, &is_uncoded, error);
  tly_buffer_free(&value);
  if (status == TLY_OK && is_uncoded)
    column->is_coded = false;
  if (status != TLY_OK || is_uncoded)
    return status;
  TLY_TRY(tly_segment_load_dictionary(segment, c, UINT32_MAX, error));
  const struct tly_dictionary *entries = &segment->dictionaries[c].view;
  for (uint32_t i = 0; i < entries->count; i++)
    if (tly_text_dictionary_intern(&column->dictionary, entries->entries[i]) != i)
      return TLY_FAIL(error, TLY_E_CORRUPT, "the dictionary of column \"%s\" in %s has an entry twice",
                      file->stream->columns[c].name, file->path);
  column->stored = column->committed = entries->count;
  return TLY_OK;
}

enum tly_status tly_active_file_open(const char *directory, const struct tly_stream *stream, int64_t number,
                                     struct tly_active_file **out, struct tly_error *error) {
  struct tly_active_file *file;
  struct tly_segment *segment = NULL;
  int64_t rows = 0;
  *out = NULL;
  TLY_TRY(open_file(directory, stream, number, &file, error));
  enum tly_status status = tly_segment_open(file->path, number, false, stream, &segment, error);
  if (status == TLY_OK)
    status = load_number(file, "SELECT sum(event_count) FROM block", &rows, error);
  if (status == TLY_OK)
    status = load_number(file, "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'created_at'",
                         &file->created_at_us, error);
  file->blocks.rows = file->blocks.committed_rows = (uint64_t)rows;
  for (uint32_t c = 0; c < stream->column_count && status == TLY_OK; c++)
    status = load_dictionary(file, segment, c, error);
  tly_segment_close(segment);
  if (status != TLY_OK) {
    tly_active_file_close(file);
    return status;
  }
  *out = file;
  return TLY_OK;
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

enum tly_status tly_active_file_begin(struct tly_active_file *file, struct tly_error *error) {
  return tly_sqlite_execute(file->database, "BEGIN IMMEDIATE", error);
}

void tly_active_file_rollback(struct tly_active_file *file, bool *may_go_on) {
  *may_go_on = tly_failure_is_harmless(file->database);
  if (!sqlite3_get_autocommit(file->database) &&
      sqlite3_exec(file->database, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
    *may_go_on = false;
  tly_block_writer_rolled_back(&file->blocks);
}

enum tly_status tly_active_file_commit(struct tly_active_file *file, bool *may_go_on, struct tly_error *error) {
  *may_go_on = true;
  enum tly_status status = tly_sqlite_execute(file->database, "COMMIT", error);
  if (status != TLY_OK) {
    tly_active_file_rollback(file, may_go_on);
    return status;
  }
  tly_block_writer_committed(&file->blocks);
  /* The commit stands whatever becomes of the checkpoint; one that fails by a full disk is met again. */
  struct tly_error checkpoint_error = TLY_ERROR_NONE;
  if (tly_sqlite_checkpoint_step(file->database, &file->log, CHECKPOINT_PAGES, &checkpoint_error) != TLY_OK) {
    *may_go_on = tly_failure_is_harmless(file->database);
    tly_log(*may_go_on ? TLY_LOG_WARN : TLY_LOG_ERROR, "checkpoint failed", "reason=\"%s\"", checkpoint_error.message);
  }
  return TLY_OK;
}

int64_t tly_active_file_size(const struct tly_active_file *file) {
  int64_t size = tly_file_size(file->path);
  return (size > 0 ? size : 0) + (int64_t)tly_sqlite_wal_pages(file->database) * 4096;
}

/* ---- producers --------------------------------------------------------------------------------------------------- */

static enum tly_status find_reply(struct tly_active_file *file, const char *producer, int64_t sequence,
                                  struct tly_buffer *reply, struct tly_error *error) {
  bool has_row;
  sqlite3_bind_text(file->find_reply, 1, producer, -1, SQLITE_STATIC);
  sqlite3_bind_int64(file->find_reply, 2, sequence);
  TLY_TRY(tly_sqlite_step(file->find_reply, &has_row, error));
  tly_buffer_clear(reply);
  if (has_row)
    tly_buffer_append(reply, sqlite3_column_text(file->find_reply, 0),
                      (size_t)sqlite3_column_bytes(file->find_reply, 0));
  else /* acknowledged so long ago that its words are gone */
    tly_buffer_append_text(reply, "{\"accepted\":0,\"rejected\":0,\"errors\":[],\"repeated\":true}");
  sqlite3_reset(file->find_reply);
  return TLY_OK;
}

enum tly_status tly_active_file_check_sequence(struct tly_active_file *file, const char *producer, int64_t sequence,
                                               enum tly_sequence *verdict, struct tly_buffer *reply, int64_t *expected,
                                               struct tly_error *error) {
  bool has_row;
  *verdict = TLY_SEQUENCE_NEXT;
  *expected = sequence;
  sqlite3_bind_text(file->last_sequence, 1, producer, -1, SQLITE_STATIC);
  TLY_TRY(tly_sqlite_step(file->last_sequence, &has_row, error));
  bool is_known = has_row && sqlite3_column_type(file->last_sequence, 0) != SQLITE_NULL;
  int64_t last = sqlite3_column_int64(file->last_sequence, 0);
  sqlite3_reset(file->last_sequence);
  if (!is_known)
    return TLY_OK;
  *expected = last + 1;
  if (sequence > last)
    *verdict = sequence == last + 1 ? TLY_SEQUENCE_NEXT : TLY_SEQUENCE_GAP;
  else
    *verdict = TLY_SEQUENCE_REPEATED;
  return *verdict == TLY_SEQUENCE_REPEATED ? find_reply(file, producer, sequence, reply, error) : TLY_OK;
}

enum tly_status tly_active_file_put_reply(struct tly_active_file *file, const char *producer, int64_t sequence,
                                          const char *reply, int64_t now_us, struct tly_error *error) {
  sqlite3_bind_text(file->drop_replies, 1, producer, -1, SQLITE_STATIC);
  sqlite3_bind_int64(file->drop_replies, 2, sequence - TLY_PRODUCER_REPLIES_KEPT);
  TLY_TRY(tly_sqlite_run(file->drop_replies, error));
  sqlite3_bind_text(file->put_reply, 1, producer, -1, SQLITE_STATIC);
  sqlite3_bind_int64(file->put_reply, 2, sequence);
  sqlite3_bind_int64(file->put_reply, 3, now_us);
  sqlite3_bind_text(file->put_reply, 4, reply, -1, SQLITE_STATIC);
  return tly_sqlite_run(file->put_reply, error);
}
