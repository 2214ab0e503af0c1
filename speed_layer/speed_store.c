/* A transaction of this store carries everything that belongs together: the deltas a fold made, the counts, the
 * set-aside events and the positions. With synchronous=NORMAL a power cut takes whole transactions from the end, so
 * state and offsets stay together (invariant 2 of the product). Those that publish something are FULL.
 *
 * The WAL is moved into the file by this thread alone, between transactions: in steps as far as readers allow, and when
 * idle with truncation. */
#include "speed_layer/speed_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/store/delta_block.h"
#include "speed_layer/wal_sync.h"

extern const char tly_schema_speed[]; /* schemas/stores/speed.sql */

enum { CHECKPOINT_PAGES = 2048 /* 8 MB of log: pages that are written again and again go into the file once */ };

enum statement {
  BEGIN,
  COMMIT,
  SET_CUTS,
  CUTS,
  LOAD_POSITIONS,
  SAVE_POSITION,
  LOAD_VIEWS,
  ADD_VIEW,
  SET_VIEW,
  REMOVE_VIEW,
  LOAD_CATCH_UP,
  SAVE_CATCH_UP,
  FORGET_CATCH_UP,
  ADD_COUNTS,
  COUNT_SET_ASIDE,
  ADD_SET_ASIDE,
  LOAD_DELTAS,
  ADD_DELTA,
  FINISH_DELTA,
  DROP_DELTA_NOTE,
  DROP_DELTA,
  ADD_BLOCK,
  READ_BLOCK,
  NEXT_DROPPED,
  LAST_BLOCK,
  DELETE_BLOCKS,
  FORGET_DROPPED,
  STATEMENT_COUNT
};

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [SET_CUTS] = "INSERT OR REPLACE INTO known_cuts (id, number, chain) VALUES (1, ?1, ?2)",
    [CUTS] = "SELECT number, chain FROM known_cuts WHERE id = 1",
    [LOAD_POSITIONS] = "SELECT stream, partition, next_offset, chain, generation FROM position",
    [SAVE_POSITION] = "INSERT OR REPLACE INTO position (stream, partition, next_offset, chain, generation)"
                      " VALUES (?1, ?2, ?3, ?4, ?5)",
    [LOAD_VIEWS] = "SELECT id, name, definition_hash, state = 'ready', run, cut FROM view"
                   " ORDER BY state = 'ready' DESC, id",
    [ADD_VIEW] = "INSERT INTO view (name, definition_hash, state, run, cut) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SET_VIEW] = "UPDATE view SET state = ?2, run = ?3, cut = ?4 WHERE id = ?1",
    [REMOVE_VIEW] = "DELETE FROM view WHERE id = ?1",
    [LOAD_CATCH_UP] = "SELECT partition, next_offset, chain FROM catch_up WHERE view = ?1",
    [SAVE_CATCH_UP] = "INSERT OR REPLACE INTO catch_up (view, partition, next_offset, chain) VALUES (?1, ?2, ?3, ?4)",
    [FORGET_CATCH_UP] = "DELETE FROM catch_up WHERE view = ?1",
    [ADD_COUNTS] = "INSERT INTO generation (view, number, folded, filtered, set_aside) VALUES (?1, ?2, ?3, ?4, ?5)"
                   " ON CONFLICT DO UPDATE SET folded = folded + excluded.folded,"
                   " filtered = filtered + excluded.filtered, set_aside = set_aside + excluded.set_aside",
    [COUNT_SET_ASIDE] = "SELECT count(*) FROM set_aside WHERE view = ?1",
    [ADD_SET_ASIDE] = "INSERT INTO set_aside (view, generation, partition, offset, sqlstate, message)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [LOAD_DELTAS] = "SELECT id, view, part, generation, level, group_count FROM delta WHERE level >= 0"
                    " ORDER BY view, part, generation, level, id",
    [ADD_DELTA] = "INSERT INTO delta (view, part, generation, level, group_count) VALUES (?1, ?2, ?3, ?4, ?5)",
    [FINISH_DELTA] = "UPDATE delta SET level = ?2, group_count = ?3 WHERE id = ?1",
    [DROP_DELTA_NOTE] = "INSERT INTO dropped_delta (id) VALUES (?1)",
    [DROP_DELTA] = "DELETE FROM delta WHERE id = ?1",
    [ADD_BLOCK] = "INSERT INTO delta_block (delta, number, first_key, last_key, group_count, body, checksum)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [READ_BLOCK] = "SELECT " TLY_DELTA_BLOCK_COLUMNS " FROM delta_block WHERE delta = ?1 AND number = ?2",
    [NEXT_DROPPED] = "SELECT id FROM dropped_delta ORDER BY id LIMIT 1",
    [LAST_BLOCK] = "SELECT number FROM delta_block WHERE delta = ?1 ORDER BY number DESC LIMIT 1",
    [DELETE_BLOCKS] = "DELETE FROM delta_block WHERE delta = ?1 AND number >= ?2",
    [FORGET_DROPPED] = "DELETE FROM dropped_delta WHERE id = ?1",
};

struct tly_speed_store {
  char *directory;
  int64_t epoch;
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENT_COUNT];
  bool is_in_transaction, is_durable;
  struct tly_log_steps log;
  struct tly_buffer block; /* the body being written */
  tly_wal_sync *wal_sync;  /* from the first commit on, when there is a WAL */
};

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static enum tly_status store_path(const char *directory, int64_t epoch, char *out, size_t size,
                                  struct tly_error *error) {
  if (snprintf(out, size, "%s/speed-%lld.db", directory, (long long)epoch) >= (int)size)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", directory);
  return TLY_OK;
}

int64_t tly_speed_store_current(const char *directory) {
  char path[4096];
  struct tly_buffer text = {0};
  int64_t epoch = 0;
  if (snprintf(path, sizeof path, "%s/speed.epoch", directory) < (int)sizeof path &&
      tly_file_read(path, 64, &text, NULL) == TLY_OK)
    epoch = strtoll(tly_buffer_text(&text), NULL, 10);
  tly_buffer_free(&text);
  return epoch > 0 ? epoch : 0;
}

static enum tly_status open_file(const char *directory, int64_t epoch, const char *path, tly_speed_store **out,
                                 struct tly_error *error) {
  tly_speed_store *store = tly_calloc(1, sizeof *store);
  store->directory = tly_strdup(directory);
  store->epoch = epoch;
  enum tly_status status = tly_sqlite_open(path, TLY_SQLITE_WRITER_NORMAL, tly_schema_speed, &store->database, error);
  for (int s = 0; s < STATEMENT_COUNT && status == TLY_OK; s++)
    status = tly_sqlite_prepare(store->database, statement_sql[s], &store->statements[s], error);
  if (status != TLY_OK) {
    tly_speed_store_close(store);
    return status;
  }
  tly_sqlite_watch_log(store->database, &store->log);
  *out = store;
  return TLY_OK;
}

enum tly_status tly_speed_store_open(const char *directory, int64_t epoch, tly_speed_store **out,
                                     struct tly_error *error) {
  char path[4096];
  *out = NULL;
  TLY_TRY(store_path(directory, epoch, path, sizeof path, error));
  if (!tly_file_exists(path))
    return TLY_FAIL(error, TLY_E_NOT_READY, "%s is not there", path);
  return open_file(directory, epoch, path, out, error);
}

static void delete_file(const char *directory, const char *name) {
  static const char *const suffixes[] = {"", "-wal", "-shm"};
  char path[4200];
  for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++)
    if (snprintf(path, sizeof path, "%s/%s%s", directory, name, suffixes[s]) < (int)sizeof path)
      unlink(path);
}

enum tly_status tly_speed_store_create(const char *directory, int64_t epoch, tly_speed_store **out,
                                       struct tly_error *error) {
  char path[4096];
  *out = NULL;
  TLY_TRY(store_path(directory, epoch, path, sizeof path, error));
  delete_file(directory, strrchr(path, '/') + 1);
  return open_file(directory, epoch, path, out, error);
}

static enum tly_status delete_other_epochs(tly_speed_store *store, struct tly_error *error) {
  char own[64];
  char **names;
  size_t count;
  snprintf(own, sizeof own, "speed-%lld.db", (long long)store->epoch);
  TLY_TRY(tly_file_list(store->directory, ".db", &names, &count, error));
  for (size_t n = 0; n < count; n++)
    if (strncmp(names[n], "speed-", 6) == 0 && strcmp(names[n], own) != 0)
      delete_file(store->directory, names[n]);
  tly_file_list_free(names, count);
  return TLY_OK;
}

enum tly_status tly_speed_store_adopt(tly_speed_store *store, struct tly_error *error) {
  char path[4096], text[32];
  if (snprintf(path, sizeof path, "%s/speed.epoch", store->directory) >= (int)sizeof path)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", store->directory);
  int size = snprintf(text, sizeof text, "%lld\n", (long long)store->epoch);
  tly_crash_point("rebuild.before_epoch");
  TLY_TRY(tly_file_replace(path, text, (size_t)size, error));
  tly_crash_point("rebuild.after_epoch");
  return delete_other_epochs(store, error);
}

void tly_speed_store_close(tly_speed_store *store) {
  if (store == NULL)
    return;
  tly_wal_sync_stop(store->wal_sync);
  for (int s = 0; s < STATEMENT_COUNT; s++)
    sqlite3_finalize(store->statements[s]);
  tly_sqlite_close(store->database);
  tly_buffer_free(&store->block);
  tly_free(store->directory);
  tly_free(store);
}

int64_t tly_speed_store_epoch(const tly_speed_store *store) {
  return store->epoch;
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

enum tly_status tly_speed_store_begin(tly_speed_store *store, struct tly_error *error) {
  if (store->is_in_transaction)
    return TLY_OK;
  TLY_TRY(tly_sqlite_run(store->statements[BEGIN], error));
  store->is_in_transaction = true;
  return TLY_OK;
}

enum tly_status tly_speed_store_begin_durable(tly_speed_store *store, struct tly_error *error) {
  TLY_ASSERT(!store->is_in_transaction);
  TLY_TRY(tly_sqlite_execute(store->database, "PRAGMA synchronous = FULL", error));
  store->is_durable = true;
  return tly_speed_store_begin(store, error);
}

bool tly_speed_store_is_in_transaction(const tly_speed_store *store) {
  return store->is_in_transaction;
}

enum tly_status tly_speed_store_commit(tly_speed_store *store, struct tly_error *error) {
  TLY_ASSERT(store->is_in_transaction);
  TLY_TRY(tly_sqlite_run(store->statements[COMMIT], error));
  store->is_in_transaction = false;
  if (store->is_durable)
    TLY_TRY(tly_sqlite_execute(store->database, "PRAGMA synchronous = NORMAL", error));
  store->is_durable = false;
  if (store->wal_sync == NULL)
    TLY_TRY(tly_wal_sync_start(sqlite3_db_filename(store->database, "main"), &store->wal_sync, error));
  return tly_wal_sync_note(store->wal_sync, error);
}

enum tly_status tly_speed_store_checkpoint(tly_speed_store *store, bool is_idle, struct tly_error *error) {
  TLY_ASSERT(!store->is_in_transaction);
  return is_idle ? tly_sqlite_checkpoint(store->database, 0, error)
                 : tly_sqlite_checkpoint_step(store->database, &store->log, CHECKPOINT_PAGES, error);
}

enum tly_status tly_speed_store_set_checked(tly_speed_store *store, struct tly_error *error) {
  struct tly_buffer value = {0};
  TLY_TRY(tly_file_read("/proc/sys/kernel/random/boot_id", 4096, &value, error));
  while (value.size > 0 && value.data[value.size - 1] == '\n')
    value.size--;
  tly_buffer_print(&value, " %ld", (long)getpid());
  enum tly_status status = tly_sqlite_meta_set(store->database, "checked", tly_buffer_text(&value), error);
  tly_buffer_free(&value);
  return status;
}

enum tly_status tly_speed_store_set_cuts(tly_speed_store *store, int64_t number, const tly_chain *chain,
                                         struct tly_error *error) {
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_int64(store->statements[SET_CUTS], 1, number);
  sqlite3_bind_blob(store->statements[SET_CUTS], 2, chain->bytes, sizeof chain->bytes, SQLITE_STATIC);
  return tly_sqlite_run(store->statements[SET_CUTS], error);
}

enum tly_status tly_speed_store_cuts(tly_speed_store *store, int64_t *number, tly_chain *chain,
                                     struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[CUTS];
  bool has_row;
  *number = 0;
  memset(chain, 0, sizeof *chain);
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  if (has_row) {
    *number = sqlite3_column_int64(statement, 0);
    *chain = tly_column_hash(statement, 1);
  }
  sqlite3_reset(statement);
  return TLY_OK;
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

enum tly_status tly_speed_store_load_positions(tly_speed_store *store, const struct tly_project *project,
                                               struct tly_tail *tail, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[LOAD_POSITIONS];
  bool has_row;
  for (;;) {
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      return TLY_OK;
    const struct tly_stream *stream = tly_project_stream(project, (const char *)sqlite3_column_text(statement, 0));
    if (stream == NULL)
      continue;
    struct tly_tail_position *position = tly_tail_position(tail, stream, (uint32_t)sqlite3_column_int64(statement, 1));
    position->next_offset = sqlite3_column_int64(statement, 2);
    position->chain = tly_column_hash(statement, 3);
    position->generation = sqlite3_column_int64(statement, 4);
  }
}

enum tly_status tly_speed_store_save_positions(tly_speed_store *store, struct tly_tail *tail, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[SAVE_POSITION];
  TLY_ASSERT(store->is_in_transaction);
  for (uint32_t p = 0; p < tail->count; p++) {
    struct tly_tail_position *position = &tail->positions[p];
    if (!position->is_dirty)
      continue;
    sqlite3_bind_text(statement, 1, position->stream->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, position->partition);
    sqlite3_bind_int64(statement, 3, position->next_offset);
    sqlite3_bind_blob(statement, 4, position->chain.bytes, sizeof position->chain.bytes, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, position->generation);
    TLY_TRY(tly_sqlite_run(statement, error));
    position->is_dirty = false;
  }
  return TLY_OK;
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

enum tly_status tly_speed_store_load_views(tly_speed_store *store, struct tly_arena *arena, struct tly_view_row **out,
                                           uint32_t *count, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[LOAD_VIEWS];
  bool has_row;
  *out = TLY_ARENA_ARRAY(arena, struct tly_view_row, 2 * TLY_VIEWS_MAX);
  *count = 0;
  for (;;) {
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      return TLY_OK;
    TLY_ASSERT(*count < 2 * TLY_VIEWS_MAX);
    struct tly_text name = tly_column_text(statement, 1);
    struct tly_view_row *row = &(*out)[(*count)++];
    row->id = sqlite3_column_int64(statement, 0);
    row->name = tly_arena_copy(arena, name.data, name.size);
    row->definition_hash = tly_column_hash(statement, 2);
    row->is_ready = sqlite3_column_int(statement, 3) != 0;
    row->run = sqlite3_column_int64(statement, 4);
    row->cut = sqlite3_column_int64(statement, 5);
    row->is_catching_up = !row->is_ready && row->run > 0;
  }
}

static const char *state_name(bool is_ready) {
  return is_ready ? "ready" : "building";
}

enum tly_status tly_speed_store_add_view(tly_speed_store *store, struct tly_view_row *row, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_VIEW];
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_text(statement, 1, row->name, -1, SQLITE_STATIC);
  sqlite3_bind_blob(statement, 2, row->definition_hash.bytes, sizeof row->definition_hash.bytes, SQLITE_STATIC);
  sqlite3_bind_text(statement, 3, state_name(row->is_ready), -1, SQLITE_STATIC);
  sqlite3_bind_int64(statement, 4, row->run);
  sqlite3_bind_int64(statement, 5, row->cut);
  TLY_TRY(tly_sqlite_run(statement, error));
  row->id = sqlite3_last_insert_rowid(store->database);
  return TLY_OK;
}

enum tly_status tly_speed_store_set_view(tly_speed_store *store, int64_t id, bool is_ready, int64_t run, int64_t cut,
                                         struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[SET_VIEW];
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_int64(statement, 1, id);
  sqlite3_bind_text(statement, 2, state_name(is_ready), -1, SQLITE_STATIC);
  sqlite3_bind_int64(statement, 3, run);
  sqlite3_bind_int64(statement, 4, cut);
  TLY_TRY(tly_sqlite_run(statement, error));
  TLY_ASSERT(sqlite3_changes(store->database) == 1);
  return TLY_OK;
}

enum tly_status tly_speed_store_remove_view(tly_speed_store *store, int64_t id, struct tly_error *error) {
  TLY_ASSERT(store->is_in_transaction);
  TLY_TRY(tly_speed_store_forget_catch_up(store, id, error));
  sqlite3_bind_int64(store->statements[REMOVE_VIEW], 1, id);
  return tly_sqlite_run(store->statements[REMOVE_VIEW], error);
}

#define HIDDEN "NOT EXISTS (SELECT 1 FROM view AS v WHERE v.id = view AND v.cut < generation)"

enum tly_status tly_speed_store_drop_hidden(tly_speed_store *store, struct tly_error *error) {
  TLY_ASSERT(store->is_in_transaction);
  return tly_sqlite_execute(store->database,
                            "INSERT INTO dropped_delta SELECT id FROM delta WHERE " HIDDEN ";"
                            "DELETE FROM delta WHERE " HIDDEN ";"
                            "DELETE FROM set_aside WHERE " HIDDEN ";"
                            "DELETE FROM generation WHERE NOT EXISTS (SELECT 1 FROM view AS v"
                            " WHERE v.id = generation.view AND v.cut < generation.number);",
                            error);
}

enum tly_status tly_speed_store_load_catch_up(tly_speed_store *store, int64_t view, const struct tly_stream *stream,
                                              struct tly_tail *tail, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[LOAD_CATCH_UP];
  bool has_row;
  sqlite3_bind_int64(statement, 1, view);
  for (;;) {
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      return TLY_OK;
    struct tly_tail_position *position = tly_tail_position(tail, stream, (uint32_t)sqlite3_column_int64(statement, 0));
    position->next_offset = sqlite3_column_int64(statement, 1);
    position->chain = tly_column_hash(statement, 2);
  }
}

enum tly_status tly_speed_store_save_catch_up(tly_speed_store *store, int64_t view, struct tly_tail *tail,
                                              struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[SAVE_CATCH_UP];
  TLY_ASSERT(store->is_in_transaction);
  for (uint32_t p = 0; p < tail->count; p++) {
    struct tly_tail_position *position = &tail->positions[p];
    if (!position->is_dirty)
      continue;
    sqlite3_bind_int64(statement, 1, view);
    sqlite3_bind_int64(statement, 2, position->partition);
    sqlite3_bind_int64(statement, 3, position->next_offset);
    sqlite3_bind_blob(statement, 4, position->chain.bytes, sizeof position->chain.bytes, SQLITE_STATIC);
    TLY_TRY(tly_sqlite_run(statement, error));
    position->is_dirty = false;
  }
  return TLY_OK;
}

enum tly_status tly_speed_store_forget_catch_up(tly_speed_store *store, int64_t view, struct tly_error *error) {
  sqlite3_bind_int64(store->statements[FORGET_CATCH_UP], 1, view);
  return tly_sqlite_run(store->statements[FORGET_CATCH_UP], error);
}

/* ---- generations ------------------------------------------------------------------------------------------------- */

enum tly_status tly_speed_store_add_counts(tly_speed_store *store, int64_t view, int64_t generation,
                                           const struct tly_fold_counts *counts, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_COUNTS];
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_int64(statement, 1, view);
  sqlite3_bind_int64(statement, 2, generation);
  sqlite3_bind_int64(statement, 3, (int64_t)counts->folded);
  sqlite3_bind_int64(statement, 4, (int64_t)counts->filtered);
  sqlite3_bind_int64(statement, 5, (int64_t)counts->set_aside);
  return tly_sqlite_run(statement, error);
}

enum tly_status tly_speed_store_count_set_aside(tly_speed_store *store, int64_t view, uint32_t *count,
                                                struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[COUNT_SET_ASIDE];
  bool has_row;
  sqlite3_bind_int64(statement, 1, view);
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  *count = (uint32_t)sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return TLY_OK;
}

enum tly_status tly_speed_store_add_set_aside(tly_speed_store *store, int64_t view, int64_t generation,
                                              uint32_t partition, int64_t offset, const char *sqlstate,
                                              const char *message, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_SET_ASIDE];
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_int64(statement, 1, view);
  sqlite3_bind_int64(statement, 2, generation);
  sqlite3_bind_int64(statement, 3, partition);
  sqlite3_bind_int64(statement, 4, offset);
  sqlite3_bind_text(statement, 5, sqlstate, -1, SQLITE_STATIC);
  sqlite3_bind_text(statement, 6, message, -1, SQLITE_STATIC);
  return tly_sqlite_run(statement, error);
}

/* ---- deltas ------------------------------------------------------------------------------------------------------ */

enum tly_status tly_speed_store_load_deltas(tly_speed_store *store, struct tly_delta **out, uint32_t *count,
                                            struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[LOAD_DELTAS];
  struct tly_buffer rows = {0};
  enum tly_status status;
  bool has_row;
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    struct tly_delta delta = {.id = sqlite3_column_int64(statement, 0),
                              .view = sqlite3_column_int64(statement, 1),
                              .part = (uint32_t)sqlite3_column_int64(statement, 2),
                              .generation = sqlite3_column_int64(statement, 3),
                              .level = sqlite3_column_int(statement, 4),
                              .group_count = (uint64_t)sqlite3_column_int64(statement, 5)};
    tly_buffer_append(&rows, &delta, sizeof delta);
  }
  *out = (struct tly_delta *)(void *)rows.data; /* the buffer's memory is handed over */
  *count = (uint32_t)(rows.size / sizeof(struct tly_delta));
  return status;
}

enum tly_status tly_speed_store_add_delta(tly_speed_store *store, struct tly_delta *delta, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_DELTA];
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_int64(statement, 1, delta->view);
  sqlite3_bind_int64(statement, 2, delta->part);
  sqlite3_bind_int64(statement, 3, delta->generation);
  sqlite3_bind_int64(statement, 4, delta->level);
  sqlite3_bind_int64(statement, 5, (int64_t)delta->group_count);
  TLY_TRY(tly_sqlite_run(statement, error));
  delta->id = sqlite3_last_insert_rowid(store->database);
  return TLY_OK;
}

enum tly_status tly_speed_store_finish_delta(tly_speed_store *store, const struct tly_delta *delta,
                                             struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[FINISH_DELTA];
  TLY_ASSERT(store->is_in_transaction && delta->level >= 0);
  sqlite3_bind_int64(statement, 1, delta->id);
  sqlite3_bind_int64(statement, 2, delta->level);
  sqlite3_bind_int64(statement, 3, (int64_t)delta->group_count);
  TLY_TRY(tly_sqlite_run(statement, error));
  TLY_ASSERT(sqlite3_changes(store->database) == 1);
  return TLY_OK;
}

enum tly_status tly_speed_store_drop_delta(tly_speed_store *store, int64_t id, struct tly_error *error) {
  TLY_ASSERT(store->is_in_transaction);
  sqlite3_bind_int64(store->statements[DROP_DELTA_NOTE], 1, id);
  TLY_TRY(tly_sqlite_run(store->statements[DROP_DELTA_NOTE], error));
  sqlite3_bind_int64(store->statements[DROP_DELTA], 1, id);
  TLY_TRY(tly_sqlite_run(store->statements[DROP_DELTA], error));
  TLY_ASSERT(sqlite3_changes(store->database) == 1);
  return TLY_OK;
}

enum tly_status tly_speed_store_add_block(tly_speed_store *store, int64_t delta, uint32_t number,
                                          const struct tly_group_slice *slice, bool is_lasting,
                                          struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_BLOCK];
  TLY_ASSERT(store->is_in_transaction && slice->count >= 1 && slice->count <= TLY_GROUPS_PER_BLOCK);
  struct tly_text first_key = slice->keys[0], last_key = slice->keys[slice->count - 1];
  tly_buffer_clear(&store->block);
  if (is_lasting)
    tly_group_block_encode(slice, &store->block);
  else
    tly_group_block_encode_plain(slice, &store->block);
  struct tly_hash checksum =
      tly_group_block_checksum(first_key, last_key, slice->count, store->block.data, store->block.size);
  sqlite3_bind_int64(statement, 1, delta);
  sqlite3_bind_int64(statement, 2, number);
  sqlite3_bind_blob64(statement, 3, first_key.size > 0 ? first_key.data : "", first_key.size, SQLITE_STATIC);
  sqlite3_bind_blob64(statement, 4, last_key.size > 0 ? last_key.data : "", last_key.size, SQLITE_STATIC);
  sqlite3_bind_int64(statement, 5, slice->count);
  sqlite3_bind_blob64(statement, 6, store->block.size > 0 ? (void *)store->block.data : "", store->block.size,
                      SQLITE_STATIC);
  sqlite3_bind_blob(statement, 7, checksum.bytes, sizeof checksum.bytes, SQLITE_STATIC);
  return tly_sqlite_run(statement, error);
}

enum tly_status tly_speed_store_read_block(tly_speed_store *store, int64_t delta, uint32_t number,
                                           struct tly_group_slice *slice, bool *found, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[READ_BLOCK];
  sqlite3_bind_int64(statement, 1, delta);
  sqlite3_bind_int64(statement, 2, number);
  TLY_TRY(tly_sqlite_step(statement, found, error));
  if (!*found)
    return TLY_OK;
  enum tly_status status = tly_delta_block_read(statement, slice, error);
  sqlite3_reset(statement);
  return status;
}

static enum tly_status first_integer(sqlite3_stmt *statement, int64_t *out, bool *found, struct tly_error *error) {
  TLY_TRY(tly_sqlite_step(statement, found, error));
  if (*found)
    *out = sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return TLY_OK;
}

enum tly_status tly_speed_store_has_dropped(tly_speed_store *store, bool *out, struct tly_error *error) {
  int64_t delta;
  return first_integer(store->statements[NEXT_DROPPED], &delta, out, error);
}

/* From the last block down, so that what is left is always blocks 0 .. n. */
enum tly_status tly_speed_store_delete_blocks(tly_speed_store *store, uint32_t max, bool *more,
                                              struct tly_error *error) {
  int64_t delta = 0, last = 0;
  bool found;
  TLY_ASSERT(store->is_in_transaction);
  TLY_TRY(first_integer(store->statements[NEXT_DROPPED], &delta, more, error));
  if (!*more)
    return TLY_OK;
  sqlite3_bind_int64(store->statements[LAST_BLOCK], 1, delta);
  TLY_TRY(first_integer(store->statements[LAST_BLOCK], &last, &found, error));
  int64_t from = found && last + 1 > max ? last + 1 - max : 0;
  sqlite3_bind_int64(store->statements[DELETE_BLOCKS], 1, delta);
  sqlite3_bind_int64(store->statements[DELETE_BLOCKS], 2, from);
  TLY_TRY(tly_sqlite_run(store->statements[DELETE_BLOCKS], error));
  if (from > 0)
    return TLY_OK;
  sqlite3_bind_int64(store->statements[FORGET_DROPPED], 1, delta);
  return tly_sqlite_run(store->statements[FORGET_DROPPED], error);
}

enum tly_status tly_speed_store_drop_unfinished(tly_speed_store *store, struct tly_error *error) {
  TLY_ASSERT(store->is_in_transaction);
  return tly_sqlite_execute(store->database,
                            "INSERT INTO dropped_delta SELECT id FROM delta WHERE level < 0;"
                            "DELETE FROM delta WHERE level < 0;",
                            error);
}
