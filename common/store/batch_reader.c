/* Each call is one short read transaction, so that the rows of a run, its views and its positions belong together;
 * between snapshot_begin and snapshot_end all calls share one. */
#include "common/store/batch_reader.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"

enum statement {
  RUNS,
  READY,
  KEPT,
  RUN,
  REJECTED,
  VIEWS,
  VIEW_FACTS,
  POSITIONS,
  DRIFT,
  SET_ASIDE,
  SCHEDULES,
  STATEMENT_COUNT
};

#define RUN_COLUMNS                                                                                                    \
  "SELECT id, state, reason, started_at, finished_at, events, drift, error, sqlstate, note, job, attempt, hold,"       \
  " released_at, released_by, released_reason, reused, is_full, manifest FROM run "

static const char *const statement_texts[STATEMENT_COUNT] = {
    [RUNS] = RUN_COLUMNS "WHERE id < ?2 ORDER BY id DESC LIMIT ?1",
    [READY] = RUN_COLUMNS "WHERE state = 'ready' AND id > ?1 ORDER BY id",
    [KEPT] = RUN_COLUMNS "WHERE state IN ('ready', 'held', 'rejected') AND id > ?1 ORDER BY id",
    [RUN] = RUN_COLUMNS "WHERE id = ?1",
    [REJECTED] = "SELECT run, view FROM run_view WHERE rollback IS NOT NULL AND run >= ?1 ORDER BY run, view",
    [VIEWS] = "SELECT view, definition_hash, groups, folded, filtered, set_aside, drift, scheduled_at, check_text,"
              " check_verdict, check_found, at, by, rollback.reason"
              " FROM run_view LEFT JOIN rollback ON rollback.id = run_view.rollback WHERE run = ?1 ORDER BY view",
    [VIEW_FACTS] = "SELECT view, content_hash, (SELECT text FROM source_text WHERE id = source) FROM run_view"
                   " WHERE run = ?1 ORDER BY view",
    [POSITIONS] = "SELECT stream, partition, next_offset, chain FROM run_position WHERE run = ?1"
                  " ORDER BY stream, partition",
    [DRIFT] = "SELECT view, key, live, recomputed, explanation FROM drift WHERE run = ?1 ORDER BY view, number",
    [SET_ASIDE] = "SELECT view, partition, \"offset\", sqlstate, message FROM set_aside WHERE run = ?1"
                  " ORDER BY view, partition, \"offset\"",
    [SCHEDULES] =
        "SELECT name, cron, fired_at, run, attempts, try_at, paused_at, paused_by FROM schedule ORDER BY name",
};

struct tly_batch_reader {
  const struct tly_project *project;
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENT_COUNT];
  bool in_snapshot;
};

enum tly_status tly_batch_reader_open(const char *directory, const struct tly_project *project, tly_batch_reader **out,
                                      struct tly_error *error) {
  struct tly_buffer path = {0};
  tly_batch_reader *reader = tly_calloc(1, sizeof *reader);
  reader->project = project;
  tly_buffer_print(&path, "%s/batch.db", directory);
  enum tly_status status = tly_sqlite_open(tly_buffer_text(&path), TLY_SQLITE_READER, NULL, &reader->database, error);
  tly_buffer_free(&path);
  for (int i = 0; status == TLY_OK && i < STATEMENT_COUNT; i++)
    status = tly_sqlite_prepare(reader->database, statement_texts[i], &reader->statements[i], error);
  *out = reader;
  if (status != TLY_OK) {
    tly_batch_reader_close(reader);
    *out = NULL;
  }
  return status;
}

void tly_batch_reader_close(tly_batch_reader *reader) {
  if (reader == NULL)
    return;
  for (int i = 0; i < STATEMENT_COUNT; i++)
    sqlite3_finalize(reader->statements[i]);
  tly_sqlite_close(reader->database);
  tly_free(reader);
}

/* ---- one state --------------------------------------------------------------------------------------------------- */

enum tly_status tly_batch_snapshot_begin(tly_batch_reader *reader, struct tly_error *error) {
  TLY_ASSERT(!reader->in_snapshot);
  TLY_TRY(tly_sqlite_execute(reader->database, "BEGIN", error));
  reader->in_snapshot = true;
  return TLY_OK;
}

void tly_batch_snapshot_end(tly_batch_reader *reader) {
  TLY_ASSERT(reader->in_snapshot);
  reader->in_snapshot = false;
  enum tly_status ignored = tly_sqlite_execute(reader->database, "COMMIT", NULL); /* it has nothing to lose */
  (void)ignored;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* Rows of any kind, growing in an arena. */
struct rows {
  struct tly_arena *arena;
  char *items;
  size_t item_size;
  uint32_t count, capacity;
};

static void *add_row(struct rows *rows) {
  if (rows->count == rows->capacity) {
    uint32_t capacity = rows->capacity == 0 ? 16 : 2 * rows->capacity;
    char *items = tly_arena_zero(rows->arena, capacity * rows->item_size);
    if (rows->count > 0)
      memcpy(items, rows->items, rows->count * rows->item_size);
    rows->items = items;
    rows->capacity = capacity;
  }
  return rows->items + rows->item_size * rows->count++;
}

static const char *text_at(sqlite3_stmt *statement, int column, struct tly_arena *arena) {
  const unsigned char *text = sqlite3_column_text(statement, column);
  return text == NULL ? NULL : tly_arena_copy(arena, text, (size_t)sqlite3_column_bytes(statement, column));
}

static int64_t integer_at(sqlite3_stmt *statement, int column, int64_t if_null) {
  return sqlite3_column_type(statement, column) == SQLITE_NULL ? if_null : sqlite3_column_int64(statement, column);
}

static struct tly_hash hash_at(sqlite3_stmt *statement, int column) {
  struct tly_hash hash = {0};
  if (sqlite3_column_bytes(statement, column) == TLY_HASH_BYTES)
    memcpy(hash.bytes, sqlite3_column_blob(statement, column), TLY_HASH_BYTES);
  return hash;
}

typedef void (*row_reader)(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row);

static enum tly_status read_rows(tly_batch_reader *reader, enum statement which, int64_t parameter, row_reader read,
                                 struct rows *rows, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[which];
  bool has_row = false;
  enum tly_status status;
  if (sqlite3_bind_parameter_count(statement) > 0)
    sqlite3_bind_int64(statement, 1, parameter);
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row)
    read(reader, statement, rows->arena, add_row(rows));
  return status;
}

static void read_run(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row) {
  (void)reader;
  *(struct tly_run *)row = (struct tly_run){.id = sqlite3_column_int64(statement, 0),
                                            .state = text_at(statement, 1, arena),
                                            .reason = text_at(statement, 2, arena),
                                            .started_at_us = sqlite3_column_int64(statement, 3),
                                            .finished_at_us = integer_at(statement, 4, 0),
                                            .events = integer_at(statement, 5, -1),
                                            .drift = integer_at(statement, 6, -1),
                                            .error = text_at(statement, 7, arena),
                                            .sqlstate = text_at(statement, 8, arena),
                                            .note = text_at(statement, 9, arena),
                                            .job = text_at(statement, 10, arena),
                                            .attempt = (uint32_t)sqlite3_column_int64(statement, 11),
                                            .hold = text_at(statement, 12, arena),
                                            .released_at_us = integer_at(statement, 13, 0),
                                            .released_by = text_at(statement, 14, arena),
                                            .released_reason = text_at(statement, 15, arena),
                                            .reused = integer_at(statement, 16, -1),
                                            .is_full = sqlite3_column_int64(statement, 17) != 0,
                                            .manifest = hash_at(statement, 18)};
}

/* NULL: the run was not rejected for this view. */
static const struct tly_rollback *read_rollback(sqlite3_stmt *statement, int column, struct tly_arena *arena) {
  if (sqlite3_column_type(statement, column) == SQLITE_NULL)
    return NULL;
  struct tly_rollback *rollback = TLY_ARENA_ARRAY(arena, struct tly_rollback, 1);
  *rollback = (struct tly_rollback){.at_us = sqlite3_column_int64(statement, column),
                                    .by = text_at(statement, column + 1, arena),
                                    .reason = text_at(statement, column + 2, arena)};
  return rollback;
}

static void read_view(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row) {
  (void)reader;
  *(struct tly_run_view *)row = (struct tly_run_view){.view = text_at(statement, 0, arena),
                                                      .definition_hash = hash_at(statement, 1),
                                                      .groups = integer_at(statement, 2, -1),
                                                      .folded = integer_at(statement, 3, -1),
                                                      .filtered = integer_at(statement, 4, -1),
                                                      .set_aside = integer_at(statement, 5, -1),
                                                      .drift = integer_at(statement, 6, -1),
                                                      .scheduled_at_us = sqlite3_column_int64(statement, 7),
                                                      .check = text_at(statement, 8, arena),
                                                      .verdict = text_at(statement, 9, arena),
                                                      .found = text_at(statement, 10, arena),
                                                      .rollback = read_rollback(statement, 11, arena)};
}

static void read_position(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row) {
  const char *name = (const char *)sqlite3_column_text(statement, 0);
  const struct tly_stream *stream = name != NULL ? tly_project_stream(reader->project, name) : NULL;
  *(struct tly_position *)row =
      (struct tly_position){.stream = stream != NULL ? stream->name : text_at(statement, 0, arena),
                            .partition = (uint32_t)sqlite3_column_int64(statement, 1),
                            .next_offset = sqlite3_column_int64(statement, 2),
                            .chain = hash_at(statement, 3)};
}

static enum tly_status complete_run(tly_batch_reader *reader, struct tly_run *run, struct tly_arena *arena,
                                    struct tly_error *error) {
  struct rows views = {.arena = arena, .item_size = sizeof(struct tly_run_view)};
  struct rows positions = {.arena = arena, .item_size = sizeof(struct tly_position)};
  TLY_TRY(read_rows(reader, VIEWS, run->id, read_view, &views, error));
  TLY_TRY(read_rows(reader, POSITIONS, run->id, read_position, &positions, error));
  run->views = (struct tly_run_view *)(void *)views.items;
  run->view_count = views.count;
  run->positions = (struct tly_position *)(void *)positions.items;
  run->position_count = positions.count;
  return TLY_OK;
}

static enum tly_status read_complete_runs(tly_batch_reader *reader, enum statement which, int64_t parameter,
                                          struct rows *runs, struct tly_error *error) {
  TLY_TRY(read_rows(reader, which, parameter, read_run, runs, error));
  for (uint32_t i = 0; i < runs->count; i++)
    TLY_TRY(complete_run(reader, (struct tly_run *)(void *)runs->items + i, runs->arena, error));
  return TLY_OK;
}

static enum tly_status read_runs(tly_batch_reader *reader, enum statement which, int64_t parameter,
                                 struct tly_arena *arena, struct tly_run **out, uint32_t *count,
                                 struct tly_error *error) {
  struct rows runs = {.arena = arena, .item_size = sizeof(struct tly_run)};
  *out = NULL;
  *count = 0;
  bool is_alone = !reader->in_snapshot;
  if (is_alone)
    TLY_TRY(tly_batch_snapshot_begin(reader, error));
  enum tly_status status = read_complete_runs(reader, which, parameter, &runs, error);
  if (is_alone)
    tly_batch_snapshot_end(reader);
  if (status != TLY_OK)
    return status;
  *out = (struct tly_run *)(void *)runs.items;
  *count = runs.count;
  return TLY_OK;
}

enum tly_status tly_batch_reader_runs(tly_batch_reader *reader, int64_t below, uint32_t max, struct tly_arena *arena,
                                      struct tly_run **out, uint32_t *count, struct tly_error *error) {
  sqlite3_bind_int64(reader->statements[RUNS], 2, below);
  return read_runs(reader, RUNS, max, arena, out, count, error);
}

static void leave_out_rejected(struct tly_run *run) {
  uint32_t kept = 0;
  for (uint32_t v = 0; v < run->view_count; v++)
    if (run->views[v].rollback == NULL)
      run->views[kept++] = run->views[v];
  run->view_count = kept;
}

enum tly_status tly_batch_reader_ready(tly_batch_reader *reader, int64_t after, struct tly_arena *arena,
                                       struct tly_run **out, uint32_t *count, struct tly_error *error) {
  TLY_TRY(read_runs(reader, READY, after, arena, out, count, error));
  for (uint32_t i = 0; i < *count; i++)
    leave_out_rejected(&(*out)[i]);
  return TLY_OK;
}

enum tly_status tly_batch_reader_kept(tly_batch_reader *reader, struct tly_arena *arena, struct tly_run **out,
                                      uint32_t *count, struct tly_error *error) {
  return read_runs(reader, KEPT, 0, arena, out, count, error);
}

enum tly_status tly_batch_reader_run(tly_batch_reader *reader, int64_t id, struct tly_arena *arena, struct tly_run *out,
                                     struct tly_error *error) {
  struct tly_run *runs;
  uint32_t count;
  TLY_TRY(read_runs(reader, RUN, id, arena, &runs, &count, error));
  if (count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "there is no run %" PRId64, id);
  *out = runs[0];
  return TLY_OK;
}

static void read_rejected(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row) {
  (void)reader;
  *(struct tly_rejected *)row =
      (struct tly_rejected){.run = sqlite3_column_int64(statement, 0), .view = text_at(statement, 1, arena)};
}

enum tly_status tly_batch_reader_rejected(tly_batch_reader *reader, int64_t oldest, struct tly_arena *arena,
                                          struct tly_rejected **out, uint32_t *count, struct tly_error *error) {
  struct rows rows = {.arena = arena, .item_size = sizeof(struct tly_rejected)};
  enum tly_status status = read_rows(reader, REJECTED, oldest, read_rejected, &rows, error);
  *out = (struct tly_rejected *)(void *)rows.items;
  *count = rows.count;
  return status;
}

static void read_view_facts(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena,
                            void *row) {
  (void)reader;
  *(struct tly_run_view_facts *)row =
      (struct tly_run_view_facts){.view = text_at(statement, 0, arena),
                                  .content_hash = hash_at(statement, 1),
                                  .has_content_hash = sqlite3_column_type(statement, 1) != SQLITE_NULL,
                                  .source = text_at(statement, 2, arena)};
}

enum tly_status tly_batch_reader_view_facts(tly_batch_reader *reader, int64_t run, struct tly_arena *arena,
                                            struct tly_run_view_facts **out, uint32_t *count, struct tly_error *error) {
  struct rows rows = {.arena = arena, .item_size = sizeof(struct tly_run_view_facts)};
  enum tly_status status = read_rows(reader, VIEW_FACTS, run, read_view_facts, &rows, error);
  *out = (struct tly_run_view_facts *)(void *)rows.items;
  *count = rows.count;
  return status;
}

static void read_drift(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row) {
  (void)reader;
  *(struct tly_drift_row *)row = (struct tly_drift_row){.view = text_at(statement, 0, arena),
                                                        .key = text_at(statement, 1, arena),
                                                        .live = text_at(statement, 2, arena),
                                                        .recomputed = text_at(statement, 3, arena),
                                                        .explanation = text_at(statement, 4, arena)};
}

enum tly_status tly_batch_reader_drift(tly_batch_reader *reader, int64_t run, struct tly_arena *arena,
                                       struct tly_drift_row **out, uint32_t *count, struct tly_error *error) {
  struct rows rows = {.arena = arena, .item_size = sizeof(struct tly_drift_row)};
  enum tly_status status = read_rows(reader, DRIFT, run, read_drift, &rows, error);
  *out = (struct tly_drift_row *)(void *)rows.items;
  *count = rows.count;
  return status;
}

static void read_set_aside(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena,
                           void *row) {
  (void)reader;
  *(struct tly_set_aside_row *)row =
      (struct tly_set_aside_row){.view = text_at(statement, 0, arena),
                                 .partition = (uint32_t)sqlite3_column_int64(statement, 1),
                                 .offset = sqlite3_column_int64(statement, 2),
                                 .sqlstate = text_at(statement, 3, arena),
                                 .message = text_at(statement, 4, arena)};
}

enum tly_status tly_batch_reader_set_aside(tly_batch_reader *reader, int64_t run, struct tly_arena *arena,
                                           struct tly_set_aside_row **out, uint32_t *count, struct tly_error *error) {
  struct rows rows = {.arena = arena, .item_size = sizeof(struct tly_set_aside_row)};
  enum tly_status status = read_rows(reader, SET_ASIDE, run, read_set_aside, &rows, error);
  *out = (struct tly_set_aside_row *)(void *)rows.items;
  *count = rows.count;
  return status;
}

static void read_schedule(const tly_batch_reader *reader, sqlite3_stmt *statement, struct tly_arena *arena, void *row) {
  (void)reader;
  *(struct tly_schedule_row *)row = (struct tly_schedule_row){.name = text_at(statement, 0, arena),
                                                              .cron = text_at(statement, 1, arena),
                                                              .fired_at_us = sqlite3_column_int64(statement, 2),
                                                              .run = sqlite3_column_int64(statement, 3),
                                                              .attempts = (uint32_t)sqlite3_column_int64(statement, 4),
                                                              .try_at_us = sqlite3_column_int64(statement, 5),
                                                              .paused_at_us = sqlite3_column_int64(statement, 6),
                                                              .paused_by = text_at(statement, 7, arena)};
}

enum tly_status tly_batch_reader_schedules(tly_batch_reader *reader, struct tly_arena *arena,
                                           struct tly_schedule_row **out, uint32_t *count, struct tly_error *error) {
  struct rows rows = {.arena = arena, .item_size = sizeof(struct tly_schedule_row)};
  enum tly_status status = read_rows(reader, SCHEDULES, 0, read_schedule, &rows, error);
  *out = (struct tly_schedule_row *)(void *)rows.items;
  *count = rows.count;
  return status;
}
