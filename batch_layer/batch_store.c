/* INVARIANT: states only go running -> ready | held | failed | rejected, held -> ready, ready -> withdrawn | rejected,
 * and held and rejected -> withdrawn. Each change names the state it leaves in its WHERE and must touch one row: a
 * second change of the same run is a bug that stops here, before it is on disk. */
#include "batch_layer/batch_store.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"

enum { WAL_PAGES_MAX = 1000 };

extern const char tly_schema_batch[];

enum statement {
  ADD_SOURCE,
  BEGIN_RUN,
  BEGIN_VIEW,
  ADD_POSITION,
  SET_SCHEDULE,
  SET_PAUSE,
  END_RUN,
  END_VIEW,
  ADD_DRIFT,
  ADD_SET_ASIDE,
  END_FAILED,
  RELEASE,
  WITHDRAW,
  ADD_ROLLBACK,
  REJECT_VIEW,
  REJECT_RUNS,
  REJECTED,
  STATEMENT_COUNT
};

static const char *const statement_texts[STATEMENT_COUNT] = {
    [ADD_SOURCE] = "INSERT OR IGNORE INTO source_text (text) VALUES (?1)",
    [BEGIN_RUN] = "INSERT INTO run (id, state, reason, started_at, job, attempt, is_full)"
                  " VALUES (?1, 'running', ?2, ?3, ?4, ?5, ?6)",
    [BEGIN_VIEW] = "INSERT INTO run_view (run, view, definition_hash, scheduled_at, source)"
                   " VALUES (?1, ?2, ?3, ?4, (SELECT id FROM source_text WHERE text = ?5))",
    [ADD_POSITION] =
        "INSERT INTO run_position (run, stream, partition, next_offset, chain) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SET_SCHEDULE] =
        "INSERT INTO schedule (name, cron, fired_at, run, attempts, try_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, fired_at = excluded.fired_at,"
        " run = excluded.run, attempts = excluded.attempts, try_at = excluded.try_at",
    [SET_PAUSE] = "UPDATE schedule SET paused_at = ?2, paused_by = ?3 WHERE name = ?1",
    [END_RUN] =
        "UPDATE run SET state = CASE WHEN NOT EXISTS (SELECT 1 FROM run_view WHERE run = ?1 AND rollback IS NULL)"
        " THEN 'rejected' WHEN ?6 IS NULL THEN 'ready' ELSE 'held' END, finished_at = ?2, events = ?3, drift = ?4,"
        " note = ?5, hold = ?6, reused = ?7, manifest = ?8 WHERE id = ?1 AND state = 'running'",
    [END_VIEW] = "UPDATE run_view SET groups = ?3, folded = ?4, filtered = ?5, set_aside = ?6, drift = ?7,"
                 " content_hash = ?8, pieces = ?9, check_text = ?10, check_verdict = ?11, check_found = ?12"
                 " WHERE run = ?1 AND view = ?2",
    [ADD_DRIFT] = "INSERT INTO drift (run, view, number, key, live, recomputed, explanation)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [ADD_SET_ASIDE] = "INSERT INTO set_aside (run, view, partition, \"offset\", sqlstate, message)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [END_FAILED] = "UPDATE run SET state = 'failed', finished_at = ?2, error = ?3, sqlstate = ?4"
                   " WHERE id = ?1 AND state = 'running'",
    [RELEASE] = "UPDATE run SET state = 'ready', released_at = ?2, released_by = ?3, released_reason = ?4"
                " WHERE id = ?1 AND state = 'held'",
    [WITHDRAW] = "UPDATE run SET state = 'withdrawn' WHERE id = ?1 AND state IN ('ready', 'held', 'rejected')",
    [ADD_ROLLBACK] = "INSERT INTO rollback (at, by, reason) VALUES (?1, ?2, ?3)",
    [REJECT_VIEW] = "UPDATE run_view SET rollback = ?1 WHERE view = ?2 AND definition_hash = ?3 AND run > ?4"
                    " AND rollback IS NULL AND run IN (SELECT id FROM run WHERE state IN ('running', 'ready'))",
    [REJECTED] = "SELECT view FROM run_view WHERE run = ?1 AND rollback IS NOT NULL",
    [REJECT_RUNS] = "UPDATE run SET state = 'rejected' WHERE state = 'ready' AND NOT EXISTS"
                    " (SELECT 1 FROM run_view WHERE run = id AND rollback IS NULL)",
};

struct tly_batch_store {
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENT_COUNT];
};

static void bind_text(sqlite3_stmt *statement, int place, const char *text) {
  sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

static void bind_hash(sqlite3_stmt *statement, int place, const struct tly_hash *hash) {
  sqlite3_bind_blob(statement, place, hash->bytes, TLY_HASH_BYTES, SQLITE_STATIC);
}

/* Run a statement that must change exactly one row. */
static enum tly_status change_one(tly_batch_store *store, enum statement which, int64_t run, struct tly_error *error) {
  TLY_TRY(tly_sqlite_run(store->statements[which], error));
  if (sqlite3_changes(store->database) != 1)
    return TLY_FAIL(error, TLY_E_INTERNAL, "run %" PRId64 " is not in the state that this step begins with", run);
  return TLY_OK;
}

struct sqlite3 *tly_batch_store_database(tly_batch_store *store) {
  return store->database;
}

enum tly_status tly_batch_store_transaction_begin(tly_batch_store *store, struct tly_error *error) {
  return tly_sqlite_execute(store->database, "BEGIN IMMEDIATE", error);
}

enum tly_status tly_batch_store_transaction_end(tly_batch_store *store, enum tly_status status,
                                                struct tly_error *error) {
  if (status == TLY_OK)
    status = tly_sqlite_execute(store->database, "COMMIT", error);
  if (status == TLY_OK)
    return tly_sqlite_checkpoint(store->database, WAL_PAGES_MAX, error);
  if (!sqlite3_get_autocommit(store->database))
    sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL); /* the first failure is the one to tell of */
  return status;
}

static enum tly_status fail_interrupted(tly_batch_store *store, int64_t now_us, struct tly_error *error) {
  sqlite3_stmt *statement;
  TLY_TRY(tly_sqlite_prepare(store->database,
                             "UPDATE run SET state = 'failed', finished_at = ?1,"
                             " error = 'interrupted: the process ended', sqlstate = '57014' WHERE state = 'running'",
                             &statement, error));
  sqlite3_bind_int64(statement, 1, now_us);
  enum tly_status status = tly_sqlite_run(statement, error);
  sqlite3_finalize(statement);
  return status;
}

enum tly_status tly_batch_store_open(const char *directory, int64_t now_us, tly_batch_store **out,
                                     struct tly_error *error) {
  struct tly_buffer path = {0};
  tly_batch_store *store = tly_calloc(1, sizeof *store);
  tly_buffer_print(&path, "%s/batch.db", directory);
  enum tly_status status =
      tly_sqlite_open(tly_buffer_text(&path), TLY_SQLITE_WRITER_FULL, tly_schema_batch, &store->database, error);
  tly_buffer_free(&path);
  for (int i = 0; status == TLY_OK && i < STATEMENT_COUNT; i++)
    status = tly_sqlite_prepare(store->database, statement_texts[i], &store->statements[i], error);
  if (status == TLY_OK)
    status = fail_interrupted(store, now_us, error);
  *out = store;
  if (status != TLY_OK) {
    tly_batch_store_close(store);
    *out = NULL;
  }
  return status;
}

void tly_batch_store_close(tly_batch_store *store) {
  if (store == NULL)
    return;
  for (int i = 0; i < STATEMENT_COUNT; i++)
    sqlite3_finalize(store->statements[i]);
  tly_sqlite_close(store->database);
  tly_free(store);
}

/* ---- begin ------------------------------------------------------------------------------------------------------- */

/* 0 is NULL: it is not there. */
static void bind_unless_zero(sqlite3_stmt *statement, int place, int64_t value) {
  if (value != 0)
    sqlite3_bind_int64(statement, place, value);
  else
    sqlite3_bind_null(statement, place);
}

static enum tly_status set_schedule(tly_batch_store *store, const struct tly_schedule_row *row, int64_t run,
                                    struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[SET_SCHEDULE];
  bind_text(statement, 1, row->name);
  bind_text(statement, 2, row->cron);
  sqlite3_bind_int64(statement, 3, row->fired_at_us);
  bind_unless_zero(statement, 4, run);
  sqlite3_bind_int64(statement, 5, row->attempts);
  bind_unless_zero(statement, 6, row->try_at_us);
  return tly_sqlite_run(statement, error);
}

enum tly_status tly_batch_store_add_source(tly_batch_store *store, const char *text, struct tly_error *error) {
  bind_text(store->statements[ADD_SOURCE], 1, text);
  return tly_sqlite_run(store->statements[ADD_SOURCE], error);
}

static enum tly_status begin_view(tly_batch_store *store, int64_t run, const struct tly_view *view, int64_t fired_at_us,
                                  struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[BEGIN_VIEW];
  TLY_TRY(tly_batch_store_add_source(store, view->source, error));
  sqlite3_bind_int64(statement, 1, run);
  bind_text(statement, 2, view->name);
  bind_hash(statement, 3, &view->hash);
  bind_unless_zero(statement, 4, fired_at_us);
  bind_text(statement, 5, view->source);
  return tly_sqlite_run(statement, error);
}

static enum tly_status begin_rows(tly_batch_store *store, const struct tly_run_start *start, struct tly_error *error) {
  int64_t run = start->cut->number;
  sqlite3_stmt *statement = store->statements[BEGIN_RUN];
  sqlite3_bind_int64(statement, 1, run);
  bind_text(statement, 2, start->reason);
  sqlite3_bind_int64(statement, 3, start->started_at_us);
  bind_text(statement, 4, start->job);
  bind_unless_zero(statement, 5, start->attempt);
  sqlite3_bind_int64(statement, 6, start->is_full);
  TLY_TRY(tly_sqlite_run(statement, error));
  for (uint32_t i = 0; i < start->view_count; i++)
    TLY_TRY(begin_view(store, run, start->views[i], start->fired_at_us[i], error));
  for (uint32_t i = 0; i < start->schedule_count; i++)
    TLY_TRY(set_schedule(store, &start->schedules[i], run, error));
  statement = store->statements[ADD_POSITION];
  for (uint32_t i = 0; i < start->cut->position_count; i++) {
    const struct tly_position *position = &start->cut->positions[i];
    sqlite3_bind_int64(statement, 1, run);
    bind_text(statement, 2, position->stream);
    sqlite3_bind_int64(statement, 3, position->partition);
    sqlite3_bind_int64(statement, 4, position->next_offset);
    bind_hash(statement, 5, &position->chain);
    TLY_TRY(tly_sqlite_run(statement, error));
  }
  return TLY_OK;
}

enum tly_status tly_batch_store_begin(tly_batch_store *store, const struct tly_run_start *start,
                                      struct tly_error *error) {
  TLY_ASSERT(start->cut->number > 0);
  TLY_TRY(tly_batch_store_transaction_begin(store, error));
  return tly_batch_store_transaction_end(store, begin_rows(store, start, error), error);
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static void bind_drift(sqlite3_stmt *statement, int place, int64_t drift) {
  if (drift >= 0)
    sqlite3_bind_int64(statement, place, drift);
  else
    sqlite3_bind_null(statement, place);
}

static enum tly_status add_lists(tly_batch_store *store, int64_t run, const struct tly_run_view_result *view,
                                 struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_DRIFT];
  for (uint32_t i = 0; i < view->drift_listed_count; i++) {
    sqlite3_bind_int64(statement, 1, run);
    bind_text(statement, 2, view->view);
    sqlite3_bind_int64(statement, 3, i);
    bind_text(statement, 4, view->drift_listed[i].key);
    bind_text(statement, 5, view->drift_listed[i].live);
    bind_text(statement, 6, view->drift_listed[i].recomputed);
    bind_text(statement, 7, view->drift_listed[i].explanation);
    TLY_TRY(tly_sqlite_run(statement, error));
  }
  statement = store->statements[ADD_SET_ASIDE];
  for (uint32_t i = 0; i < view->set_aside_listed_count; i++) {
    const struct tly_run_set_aside *event = &view->set_aside_listed[i];
    sqlite3_bind_int64(statement, 1, run);
    bind_text(statement, 2, view->view);
    sqlite3_bind_int64(statement, 3, event->partition);
    sqlite3_bind_int64(statement, 4, event->offset);
    bind_text(statement, 5, event->sqlstate);
    bind_text(statement, 6, event->message);
    TLY_TRY(tly_sqlite_run(statement, error));
  }
  return TLY_OK;
}

static enum tly_status end_view(tly_batch_store *store, int64_t run, const struct tly_run_view_result *view,
                                struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[END_VIEW];
  sqlite3_bind_int64(statement, 1, run);
  bind_text(statement, 2, view->view);
  sqlite3_bind_int64(statement, 3, (int64_t)view->groups);
  sqlite3_bind_int64(statement, 4, (int64_t)view->folded);
  sqlite3_bind_int64(statement, 5, (int64_t)view->filtered);
  sqlite3_bind_int64(statement, 6, (int64_t)view->set_aside);
  bind_drift(statement, 7, view->drift);
  bind_hash(statement, 8, &view->content_hash);
  sqlite3_bind_int64(statement, 9, view->file_count);
  bind_text(statement, 10, view->check.text);
  bind_text(statement, 11, view->check.verdict);
  bind_text(statement, 12, view->check.found);
  TLY_TRY(change_one(store, END_VIEW, run, error));
  return add_lists(store, run, view, error);
}

static enum tly_status end_rows(tly_batch_store *store, const struct tly_run_result *result, const char *hold,
                                int64_t now_us, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[END_RUN];
  sqlite3_bind_int64(statement, 1, result->run);
  sqlite3_bind_int64(statement, 2, now_us);
  sqlite3_bind_int64(statement, 3, (int64_t)result->events);
  bind_drift(statement, 4, tly_run_result_drift(result));
  bind_text(statement, 5, result->note);
  bind_text(statement, 6, hold);
  sqlite3_bind_int64(statement, 7, (int64_t)result->reused);
  bind_hash(statement, 8, &result->manifest);
  TLY_TRY(change_one(store, END_RUN, result->run, error));
  for (uint32_t i = 0; i < result->view_count; i++)
    TLY_TRY(end_view(store, result->run, &result->views[i], error));
  return TLY_OK;
}

static enum tly_status end_run(tly_batch_store *store, const struct tly_run_result *result, const char *hold,
                               int64_t now_us, struct tly_error *error) {
  TLY_TRY(tly_batch_store_transaction_begin(store, error));
  enum tly_status status = end_rows(store, result, hold, now_us, error);
  tly_crash_point("run.before_ready");
  status = tly_batch_store_transaction_end(store, status, error);
  tly_crash_point("run.after_ready");
  return status;
}

enum tly_status tly_batch_store_ready(tly_batch_store *store, const struct tly_run_result *result, int64_t now_us,
                                      struct tly_error *error) {
  return end_run(store, result, NULL, now_us, error);
}

enum tly_status tly_batch_store_hold(tly_batch_store *store, const struct tly_run_result *result, const char *why,
                                     int64_t now_us, struct tly_error *error) {
  TLY_ASSERT(why != NULL);
  return end_run(store, result, why, now_us, error);
}

enum tly_status tly_batch_store_release(tly_batch_store *store, int64_t run, const struct tly_run_release *release,
                                        struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[RELEASE];
  sqlite3_bind_int64(statement, 1, run);
  sqlite3_bind_int64(statement, 2, release->at_us);
  bind_text(statement, 3, release->by);
  bind_text(statement, 4, release->reason);
  TLY_TRY(change_one(store, RELEASE, run, error));
  tly_crash_point("run.after_release");
  return TLY_OK;
}

enum tly_status tly_batch_store_fail(tly_batch_store *store, int64_t run, int64_t now_us, const struct tly_error *why,
                                     struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[END_FAILED];
  sqlite3_bind_int64(statement, 1, run);
  sqlite3_bind_int64(statement, 2, now_us);
  bind_text(statement, 3, why->message);
  bind_text(statement, 4, tly_status_sqlstate(why->status));
  return change_one(store, END_FAILED, run, error);
}

enum tly_status tly_batch_store_withdraw(tly_batch_store *store, int64_t run, struct tly_error *error) {
  sqlite3_bind_int64(store->statements[WITHDRAW], 1, run);
  return change_one(store, WITHDRAW, run, error);
}

/* ---- rollback ---------------------------------------------------------------------------------------------------- */

static enum tly_status rollback_rows(tly_batch_store *store, const struct tly_rollback_order *order,
                                     uint32_t *rejected_count, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[ADD_ROLLBACK];
  sqlite3_bind_int64(statement, 1, order->at_us);
  bind_text(statement, 2, order->by);
  bind_text(statement, 3, order->reason);
  TLY_TRY(tly_sqlite_run(statement, error));
  int64_t rollback = sqlite3_last_insert_rowid(store->database);
  statement = store->statements[REJECT_VIEW];
  for (uint32_t v = 0; v < order->view_count; v++) {
    sqlite3_bind_int64(statement, 1, rollback);
    bind_text(statement, 2, order->views[v]->name);
    bind_hash(statement, 3, &order->views[v]->hash);
    sqlite3_bind_int64(statement, 4, order->targets[v]);
    TLY_TRY(tly_sqlite_run(statement, error));
    *rejected_count += (uint32_t)sqlite3_changes(store->database);
  }
  return tly_sqlite_run(store->statements[REJECT_RUNS], error);
}

enum tly_status tly_batch_store_roll_back(tly_batch_store *store, const struct tly_rollback_order *order,
                                          uint32_t *rejected_count, struct tly_error *error) {
  *rejected_count = 0;
  TLY_TRY(tly_batch_store_transaction_begin(store, error));
  enum tly_status status = rollback_rows(store, order, rejected_count, error);
  if (status == TLY_OK && *rejected_count == 0)
    return tly_sqlite_execute(store->database, "ROLLBACK", error);
  tly_crash_point("rollback.before_decision");
  status = tly_batch_store_transaction_end(store, status, error);
  tly_crash_point("rollback.after_decision");
  return status;
}

enum tly_status tly_batch_store_rejected(tly_batch_store *store, int64_t run, const struct tly_project *project,
                                         bool *views, struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[REJECTED];
  bool has_row;
  memset(views, 0, project->view_count * sizeof *views);
  sqlite3_bind_int64(statement, 1, run);
  for (;;) {
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      return TLY_OK;
    const struct tly_view *view = tly_project_view(project, (const char *)sqlite3_column_text(statement, 0));
    if (view != NULL)
      views[view - project->views] = true;
  }
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

enum tly_status tly_batch_store_set_schedule(tly_batch_store *store, const struct tly_schedule_row *row,
                                             struct tly_error *error) {
  return set_schedule(store, row, row->run, error);
}

enum tly_status tly_batch_store_set_pause(tly_batch_store *store, const struct tly_schedule_row *row,
                                          struct tly_error *error) {
  sqlite3_stmt *statement = store->statements[SET_PAUSE];
  bind_text(statement, 1, row->name);
  bind_unless_zero(statement, 2, row->paused_at_us);
  bind_text(statement, 3, row->paused_by);
  TLY_TRY(tly_sqlite_run(statement, error));
  TLY_ASSERT(sqlite3_changes(store->database) == 1);
  return TLY_OK;
}
