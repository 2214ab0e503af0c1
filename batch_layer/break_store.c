/* INVARIANTS
 *   (1) A break is one row for good, found by (view, ledger, key, column, kind); its status changes only together with
 * a new row of break_history, whose last row has the status it has. (2) is_present is whether last_seen is the pair's
 * last complete reconciliation, or a later one could not tell. (3) Only complete reconciliations touch `break`. */
#include "batch_layer/break_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"

enum statement {
  NEXT_ID,
  PREVIOUS,
  ADD_RECONCILIATION,
  FIND,
  FIND_BY_ID,
  ADD,
  SEE,
  MISSED,
  MISS,
  SET,
  ADD_HISTORY,
  ADD_SIGHTING,
  GET_FIRED,
  SET_FIRED,
  STATEMENT_COUNT
};

static const char *const statement_texts[STATEMENT_COUNT] = {
    [NEXT_ID] = "SELECT coalesce(max(id), 0) + 1 FROM reconciliation",
    [PREVIOUS] = "SELECT max(id) FROM reconciliation WHERE view = ?1 AND ledger = ?2 AND result <> 'INCOMPLETE'",
    [ADD_RECONCILIATION] =
        "INSERT INTO reconciliation (id, view, ledger, reason, scheduled_for, started_at, finished_at, result, error,"
        " sqlstate, tolerance, columns, definition_hash, ledger_hash, as_of, kinds, totals, keys, matched,"
        " within_tolerance, broken, tally_keys, ledger_rows, breaks, kept, previous, new, carried, reopened, cleared,"
        " accepted, view_source, ledger_source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
        "?15, ?16, ?17, ?18, ?19,"
        " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, (SELECT id FROM source_text WHERE text = ?32),"
        " (SELECT id FROM source_text WHERE text = ?33))",
    [FIND] = "SELECT id, status, is_present, since, times_seen, fingerprint, difference FROM break"
             " WHERE view = ?1 AND ledger = ?2 AND key = ?3 AND column_name = ?4 AND kind = ?5",
    [FIND_BY_ID] = "SELECT id, status, is_present FROM break WHERE id = ?1",
    [ADD] = "INSERT INTO break (view, ledger, key, column_name, kind, status, is_present, first_seen, first_seen_at,"
            " last_seen, last_seen_at, times_seen, since, tally, ledger_side, difference, ledger_rows, fingerprint)"
            " VALUES (?1, ?2, ?3, ?4, ?5, 'open', 1, ?6, ?7, ?6, ?7, 1, ?7, ?8, ?9, ?10, ?11, ?12)",
    [SEE] = "UPDATE break SET status = ?2, is_present = 1, last_seen = ?3, last_seen_at = ?4,"
            " times_seen = times_seen + 1, since = ?5, gone_at = NULL, tally = ?6, ledger_side = ?7, difference = ?8,"
            " ledger_rows = ?9, fingerprint = ?10 WHERE id = ?1",
    [MISSED] = "SELECT id, status FROM break WHERE view = ?1 AND ledger = ?2 AND is_present = 1 AND last_seen < ?3"
               " ORDER BY last_seen LIMIT 1",
    [MISS] = "UPDATE break SET status = ?2, is_present = 0, gone_at = ?3 WHERE id = ?1",
    [SET] = "UPDATE break SET status = ?2 WHERE id = ?1",
    [ADD_HISTORY] =
        "INSERT INTO break_history (break, number, at, change, status, who, why, reconciliation) VALUES (?1,"
        " (SELECT coalesce(max(number), 0) + 1 FROM break_history WHERE break = ?1),"
        " ?2, ?3, ?4, ?5, ?6, ?7)",
    [ADD_SIGHTING] =
        "INSERT INTO sighting (reconciliation, break, change, history, since, times_seen, tally, ledger_side,"
        " difference, ledger_rows) SELECT ?1, id, ?2, (SELECT max(number) FROM break_history WHERE break = id), since,"
        " times_seen, tally, ledger_side, difference, ledger_rows FROM break WHERE id = ?3",
    [GET_FIRED] = "SELECT fired_at FROM reconciliation_schedule WHERE view = ?1 AND ledger = ?2 AND cron = ?3",
    [SET_FIRED] =
        "INSERT OR REPLACE INTO reconciliation_schedule (view, ledger, cron, fired_at) VALUES (?1, ?2, ?3, ?4)",
};

struct tly_break_store {
  tly_batch_store *store;
  sqlite3_stmt *statements[STATEMENT_COUNT];
};

enum tly_status tly_break_store_open(tly_batch_store *store, tly_break_store **out, struct tly_error *error) {
  tly_break_store *breaks = tly_calloc(1, sizeof *breaks);
  enum tly_status status = TLY_OK;
  breaks->store = store;
  for (int i = 0; status == TLY_OK && i < STATEMENT_COUNT; i++)
    status = tly_sqlite_prepare(tly_batch_store_database(store), statement_texts[i], &breaks->statements[i], error);
  *out = breaks;
  if (status != TLY_OK) {
    tly_break_store_close(breaks);
    *out = NULL;
  }
  return status;
}

void tly_break_store_close(tly_break_store *breaks) {
  if (breaks == NULL)
    return;
  for (int i = 0; i < STATEMENT_COUNT; i++)
    sqlite3_finalize(breaks->statements[i]);
  tly_free(breaks);
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text) {
  sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

static void bind_span(sqlite3_stmt *statement, int place, struct tly_text text) {
  sqlite3_bind_text(statement, place, text.size > 0 ? text.data : "", (int)text.size, SQLITE_STATIC);
}

static void bind_hash(sqlite3_stmt *statement, int place, const struct tly_hash *hash) {
  sqlite3_bind_blob(statement, place, hash->bytes, TLY_HASH_BYTES, SQLITE_STATIC);
}

static void bind_unless(sqlite3_stmt *statement, int place, int64_t value, int64_t none) {
  if (value != none)
    sqlite3_bind_int64(statement, place, value);
}

/* The one integer of a query's only row; `if_null` for NULL. */
static enum tly_status read_integer(sqlite3_stmt *statement, int64_t if_null, int64_t *out, struct tly_error *error) {
  bool has_row;
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  *out = !has_row || sqlite3_column_type(statement, 0) == SQLITE_NULL ? if_null : sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return TLY_OK;
}

static enum tly_break_status status_at(sqlite3_stmt *statement, int column) {
  enum tly_break_status status = TLY_BREAK_OPEN;
  TLY_ASSERT(tly_break_status_parse((const char *)sqlite3_column_text(statement, column), &status, NULL) == TLY_OK);
  return status; /* a CHECK of the table */
}

/* ---- history ----------------------------------------------------------------------------------------------------- */

struct change {
  int64_t id, at_us;
  enum tly_break_change change;
  enum tly_break_status status;
  const char *who, *why;
  int64_t reconciliation; /* 0: none */
};

static enum tly_status add_history(tly_break_store *breaks, const struct change *change, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[ADD_HISTORY];
  sqlite3_bind_int64(statement, 1, change->id);
  sqlite3_bind_int64(statement, 2, change->at_us);
  bind_text(statement, 3, tly_break_change_name(change->change));
  bind_text(statement, 4, tly_break_status_name(change->status));
  bind_text(statement, 5, change->who);
  bind_text(statement, 6, change->why);
  bind_unless(statement, 7, change->reconciliation, 0);
  return tly_sqlite_run(statement, error);
}

/* The break and its history are as they are from this reconciliation on: keep that. */
static enum tly_status add_sighting(tly_break_store *breaks, int64_t reconciliation, int64_t id,
                                    enum tly_break_change change, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[ADD_SIGHTING];
  sqlite3_bind_int64(statement, 1, reconciliation);
  bind_text(statement, 2, tly_break_sighting_name(change));
  sqlite3_bind_int64(statement, 3, id);
  return tly_sqlite_run(statement, error);
}

/* ---- breaks that are seen ---------------------------------------------------------------------------------------- */

/* What is known of a break before it is seen. */
struct known {
  int64_t id; /* 0: nothing */
  struct tly_break_life life;
  int64_t since_us, times_seen;
  bool is_same; /* its difference */
  char *difference;
};

static enum tly_status find(tly_break_store *breaks, const struct tly_reconciliation *end,
                            const struct tly_break_record *record, struct known *out, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[FIND];
  bool has_row;
  *out = (struct known){.id = 0};
  bind_text(statement, 1, end->view);
  bind_text(statement, 2, end->ledger);
  bind_span(statement, 3, record->key);
  bind_span(statement, 4, record->column);
  bind_text(statement, 5, tly_break_name(record->kind));
  TLY_TRY(tly_sqlite_step(statement, &has_row, error));
  if (!has_row)
    return TLY_OK;
  out->id = sqlite3_column_int64(statement, 0);
  out->life = (struct tly_break_life){status_at(statement, 1), sqlite3_column_int(statement, 2) != 0};
  out->since_us = sqlite3_column_int64(statement, 3);
  out->times_seen = sqlite3_column_int64(statement, 4);
  out->is_same = sqlite3_column_bytes(statement, 5) == TLY_HASH_BYTES &&
                 memcmp(sqlite3_column_blob(statement, 5), record->fingerprint.bytes, TLY_HASH_BYTES) == 0;
  out->difference = tly_strdup((const char *)sqlite3_column_text(statement, 6));
  sqlite3_reset(statement);
  return TLY_OK;
}

static enum tly_status add(tly_break_store *breaks, const struct tly_reconciliation *end,
                           const struct tly_break_record *record, struct tly_break_mark *mark,
                           struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[ADD];
  char why[64];
  bind_text(statement, 1, end->view);
  bind_text(statement, 2, end->ledger);
  bind_span(statement, 3, record->key);
  bind_span(statement, 4, record->column);
  bind_text(statement, 5, tly_break_name(record->kind));
  sqlite3_bind_int64(statement, 6, end->id);
  sqlite3_bind_int64(statement, 7, end->finished_at_us);
  bind_span(statement, 8, record->tally);
  bind_span(statement, 9, record->ledger);
  bind_span(statement, 10, record->difference);
  sqlite3_bind_int64(statement, 11, (int64_t)record->ledger_rows);
  bind_hash(statement, 12, &record->fingerprint);
  TLY_TRY(tly_sqlite_run(statement, error));
  *mark = (struct tly_break_mark){.id = sqlite3_last_insert_rowid(tly_batch_store_database(breaks->store)),
                                  .change = TLY_BREAK_FOUND,
                                  .status = TLY_BREAK_OPEN,
                                  .since_us = end->finished_at_us,
                                  .times_seen = 1};
  snprintf(why, sizeof why, "first seen by reconciliation %" PRId64, end->id);
  struct change change = {mark->id, end->finished_at_us, TLY_BREAK_FOUND, TLY_BREAK_OPEN, "reconciliation", why,
                          end->id};
  return add_history(breaks, &change, error);
}

/* Why a break is open again. `before` is its life before it was seen. */
static void print_reopened(const struct known *known, struct tly_break_life before,
                           const struct tly_reconciliation *end, const struct tly_break_record *record,
                           struct tly_buffer *out) {
  if (before.status == TLY_BREAK_ACCEPTED)
    tly_buffer_print(out, "no longer the difference that was accepted: %s then, %.*s in reconciliation %" PRId64,
                     known->difference, (int)record->difference.size, record->difference.data, end->id);
  else
    tly_buffer_print(out, "%s by reconciliation %" PRId64, before.is_present ? "still seen" : "seen again", end->id);
}

static enum tly_status see_known(tly_break_store *breaks, const struct tly_reconciliation *end,
                                 const struct tly_break_record *record, struct known *known,
                                 struct tly_break_mark *mark, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[SEE];
  struct tly_break_life before = known->life;
  *mark = (struct tly_break_mark){.id = known->id,
                                  .change = tly_break_life_see(&known->life, known->is_same),
                                  .status = known->life.status,
                                  .since_us = before.is_present ? known->since_us : end->finished_at_us,
                                  .times_seen = known->times_seen + 1};
  sqlite3_bind_int64(statement, 1, known->id);
  bind_text(statement, 2, tly_break_status_name(mark->status));
  sqlite3_bind_int64(statement, 3, end->id);
  sqlite3_bind_int64(statement, 4, end->finished_at_us);
  sqlite3_bind_int64(statement, 5, mark->since_us);
  bind_span(statement, 6, record->tally);
  bind_span(statement, 7, record->ledger);
  bind_span(statement, 8, record->difference);
  sqlite3_bind_int64(statement, 9, (int64_t)record->ledger_rows);
  bind_hash(statement, 10, &record->fingerprint);
  TLY_TRY(tly_sqlite_run(statement, error));
  if (mark->change == TLY_BREAK_CARRIED)
    return TLY_OK;
  struct tly_buffer why = {0};
  print_reopened(known, before, end, record, &why);
  struct change change = {mark->id,         end->finished_at_us,   mark->change, mark->status,
                          "reconciliation", tly_buffer_text(&why), end->id};
  enum tly_status status = add_history(breaks, &change, error);
  tly_buffer_free(&why);
  return status;
}

static enum tly_status see(tly_break_store *breaks, struct tly_reconciliation *end,
                           const struct tly_break_record *record, struct tly_break_listener listener,
                           struct tly_error *error) {
  struct tly_break_mark mark;
  struct known known;
  TLY_TRY(find(breaks, end, record, &known, error));
  enum tly_status status =
      known.id == 0 ? add(breaks, end, record, &mark, error) : see_known(breaks, end, record, &known, &mark, error);
  tly_free(known.difference);
  if (status != TLY_OK)
    return status;
  TLY_TRY(add_sighting(breaks, end->id, mark.id, mark.change, error));
  end->new_count += mark.change == TLY_BREAK_FOUND;
  end->carried += mark.change == TLY_BREAK_CARRIED;
  end->reopened += mark.change == TLY_BREAK_REOPENED;
  end->accepted += mark.status == TLY_BREAK_ACCEPTED;
  return listener.hear(listener.context, record, &mark, error);
}

/* ---- breaks that are not ----------------------------------------------------------------------------------------- */

static enum tly_status clear(tly_break_store *breaks, const struct tly_reconciliation *end, int64_t id,
                             struct tly_break_life life, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[MISS];
  struct tly_buffer why = {0};
  TLY_ASSERT(tly_break_life_miss(&life) == TLY_BREAK_CLEARED);
  sqlite3_bind_int64(statement, 1, id);
  bind_text(statement, 2, tly_break_status_name(life.status));
  sqlite3_bind_int64(statement, 3, end->finished_at_us);
  TLY_TRY(tly_sqlite_run(statement, error));
  tly_buffer_print(&why, "cleared by reconciliation %" PRId64 ", which did not see it (tolerance %s)", end->id,
                   end->tolerance);
  struct change change = {
      id, end->finished_at_us, TLY_BREAK_CLEARED, life.status, "reconciliation", tly_buffer_text(&why), end->id};
  enum tly_status status = add_history(breaks, &change, error);
  tly_buffer_free(&why);
  return status == TLY_OK ? add_sighting(breaks, end->id, id, TLY_BREAK_CLEARED, error) : status;
}

/* One at a time, as each that is cleared is no longer among them. */
static enum tly_status clear_missed(tly_break_store *breaks, struct tly_reconciliation *end, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[MISSED];
  for (;;) {
    bool has_row;
    bind_text(statement, 1, end->view);
    bind_text(statement, 2, end->ledger);
    sqlite3_bind_int64(statement, 3, end->id);
    TLY_TRY(tly_sqlite_step(statement, &has_row, error));
    if (!has_row)
      return TLY_OK;
    int64_t id = sqlite3_column_int64(statement, 0);
    struct tly_break_life life = {status_at(statement, 1), true};
    sqlite3_reset(statement);
    TLY_TRY(clear(breaks, end, id, life, error));
    end->cleared++;
  }
}

/* ---- a reconciliation -------------------------------------------------------------------------------------------- */

static enum tly_status take_breaks(tly_break_store *breaks, struct tly_reconciliation *end, tly_break_source *source,
                                   struct tly_break_listener listener, struct tly_error *error) {
  struct tly_break_record record;
  bool found;
  int64_t seen = 0;
  end->new_count = end->carried = end->reopened = end->cleared = end->accepted = 0;
  for (;;) {
    TLY_TRY(tly_break_source_next(source, &record, &found, error));
    if (!found)
      break;
    TLY_TRY(see(breaks, end, &record, listener, error));
    seen++;
  }
  TLY_ASSERT(seen == end->kept);
  listener.conclude(listener.context, end);
  return end->kept == end->breaks ? clear_missed(breaks, end, error) : TLY_OK;
}

static enum tly_status add_reconciliation(tly_break_store *breaks, const struct tly_reconciliation *end,
                                          struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[ADD_RECONCILIATION];
  const char *const texts[] = {end->result, end->error, end->sqlstate, end->tolerance, end->columns};
  const int64_t counts[] = {
      end->keys, end->matched,  end->within_tolerance, end->broken,  end->tally_keys, end->ledger_rows, end->breaks,
      end->kept, end->previous, end->new_count,        end->carried, end->reopened,   end->cleared,     end->accepted};
  sqlite3_bind_int64(statement, 1, end->id);
  bind_text(statement, 2, end->view);
  bind_text(statement, 3, end->ledger);
  bind_text(statement, 4, end->reason);
  bind_unless(statement, 5, end->scheduled_for_us, 0);
  sqlite3_bind_int64(statement, 6, end->started_at_us);
  sqlite3_bind_int64(statement, 7, end->finished_at_us);
  for (int i = 0; i < 5; i++)
    bind_text(statement, 8 + i, texts[i]);
  bind_hash(statement, 13, &end->definition_hash);
  if (end->has_ledger_hash)
    bind_hash(statement, 14, &end->ledger_hash);
  bind_text(statement, 15, end->as_of);
  bind_text(statement, 16, end->kinds);
  bind_text(statement, 17, end->totals);
  for (int i = 0; i < (int)(sizeof counts / sizeof counts[0]); i++)
    bind_unless(statement, 18 + i, counts[i], -1);
  bind_text(statement, 32, end->view_source);
  bind_text(statement, 33, end->ledger_source);
  return tly_sqlite_run(statement, error);
}

/* What was compared, as written. */
static enum tly_status add_sources(tly_break_store *breaks, const struct tly_reconciliation *end,
                                   struct tly_error *error) {
  if (end->view_source != NULL)
    TLY_TRY(tly_batch_store_add_source(breaks->store, end->view_source, error));
  return end->ledger_source != NULL ? tly_batch_store_add_source(breaks->store, end->ledger_source, error) : TLY_OK;
}

static enum tly_status end_rows(tly_break_store *breaks, struct tly_reconciliation *end, tly_break_source *source,
                                struct tly_break_listener listener, struct tly_fired_minute fired,
                                struct tly_error *error) {
  sqlite3_stmt *previous = breaks->statements[PREVIOUS];
  TLY_TRY(read_integer(breaks->statements[NEXT_ID], 1, &end->id, error));
  bind_text(previous, 1, end->view);
  bind_text(previous, 2, end->ledger);
  TLY_TRY(read_integer(previous, -1, &end->previous, error));
  end->new_count = end->carried = end->reopened = end->cleared = end->accepted = -1;
  if (source != NULL)
    TLY_TRY(take_breaks(breaks, end, source, listener, error));
  TLY_TRY(add_sources(breaks, end, error));
  TLY_TRY(add_reconciliation(breaks, end, error));
  return fired.view != NULL ? tly_break_store_set_fired(breaks, end->ledger, fired, error) : TLY_OK;
}

enum tly_status tly_break_store_end(tly_break_store *breaks, struct tly_reconciliation *end, tly_break_source *source,
                                    struct tly_break_listener listener, struct tly_fired_minute fired,
                                    struct tly_error *error) {
  TLY_ASSERT((source != NULL) == (strcmp(end->result, "INCOMPLETE") != 0));
  TLY_TRY(tly_batch_store_transaction_begin(breaks->store, error));
  enum tly_status status = end_rows(breaks, end, source, listener, fired, error);
  tly_crash_point("reconcile.before_commit");
  return tly_batch_store_transaction_end(breaks->store, status, error);
}

/* ---- somebody's word --------------------------------------------------------------------------------------------- */

static enum tly_status find_life(tly_break_store *breaks, int64_t id, bool *found, struct tly_break_life *out,
                                 struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[FIND_BY_ID];
  sqlite3_bind_int64(statement, 1, id);
  TLY_TRY(tly_sqlite_step(statement, found, error));
  if (!*found)
    return TLY_OK;
  *out = (struct tly_break_life){status_at(statement, 1), sqlite3_column_int(statement, 2) != 0};
  sqlite3_reset(statement);
  return TLY_OK;
}

static enum tly_status set_rows(tly_break_store *breaks, const struct change *change, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[SET];
  sqlite3_bind_int64(statement, 1, change->id);
  bind_text(statement, 2, tly_break_status_name(change->status));
  TLY_TRY(tly_sqlite_run(statement, error));
  return add_history(breaks, change, error);
}

enum tly_status tly_break_store_set(tly_break_store *breaks, int64_t id, enum tly_break_status status, const char *who,
                                    const char *why, int64_t now_us, enum tly_break_status *before, bool *is_refused,
                                    struct tly_error *error) {
  struct tly_break_life life;
  bool found;
  *is_refused = false;
  TLY_TRY(find_life(breaks, id, &found, &life, error)); /* nobody else writes between this and the transaction */
  *is_refused = true;
  if (!found)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "there is no break %" PRId64, id);
  *before = life.status;
  TLY_TRY(tly_break_life_set(&life, status, error));
  *is_refused = false;
  struct change change = {id, now_us, TLY_BREAK_SET, life.status, who, why, 0};
  TLY_TRY(tly_batch_store_transaction_begin(breaks->store, error));
  return tly_batch_store_transaction_end(breaks->store, set_rows(breaks, &change, error), error);
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

/* The schedule as a text that changes when it does. */
static void bind_schedule(sqlite3_stmt *statement, int place, const struct tly_view *view) {
  struct tly_buffer text = {0};
  TLY_ASSERT(view->reconcile != NULL);
  tly_buffer_append_text(&text, view->reconcile);
  if (view->time_zone != NULL)
    tly_buffer_print(&text, " %s", view->time_zone);
  sqlite3_bind_text(statement, place, tly_buffer_text(&text), (int)text.size, SQLITE_TRANSIENT);
  tly_buffer_free(&text);
}

enum tly_status tly_break_store_fired(tly_break_store *breaks, const struct tly_view *view, const char *ledger,
                                      bool *found, int64_t *fired_at_us, struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[GET_FIRED];
  bind_text(statement, 1, view->name);
  bind_text(statement, 2, ledger);
  bind_schedule(statement, 3, view);
  enum tly_status status = tly_sqlite_step(statement, found, error);
  *fired_at_us = status == TLY_OK && *found ? sqlite3_column_int64(statement, 0) : 0;
  sqlite3_reset(statement);
  return status;
}

enum tly_status tly_break_store_set_fired(tly_break_store *breaks, const char *ledger, struct tly_fired_minute fired,
                                          struct tly_error *error) {
  sqlite3_stmt *statement = breaks->statements[SET_FIRED];
  bind_text(statement, 1, fired.view->name);
  bind_text(statement, 2, ledger);
  bind_schedule(statement, 3, fired.view);
  sqlite3_bind_int64(statement, 4, fired.fired_at_us);
  return tly_sqlite_run(statement, error);
}
