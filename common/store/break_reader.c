#include "common/store/break_reader.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"

enum statement { BREAKS, HISTORY, RECONCILIATIONS, SOURCES, SIGHTINGS, STATEMENT_COUNT };

static const char *const statement_texts[STATEMENT_COUNT] = {
    [BREAKS] = "SELECT id, view, ledger, key, column_name, kind, status, is_present, first_seen, first_seen_at,"
               " last_seen, last_seen_at, times_seen, since, gone_at, tally, ledger_side, difference, ledger_rows"
               " FROM break WHERE id > ?1 AND (?2 = 0 OR id = ?2) AND (?3 IS NULL OR view = ?3)"
               " AND (?4 IS NULL OR ledger = ?4) AND (?5 IS NULL OR status = ?5)"
               " AND (?6 OR status <> 'resolved') ORDER BY id LIMIT ?7",
    [HISTORY] = "SELECT at, change, status, who, why, reconciliation FROM break_history WHERE break = ?1"
                " ORDER BY number",
    [RECONCILIATIONS] =
        "SELECT id, view, ledger, reason, scheduled_for, started_at, finished_at, result, error, sqlstate, tolerance,"
        " columns, definition_hash, ledger_hash, as_of, keys, matched, within_tolerance, broken, tally_keys,"
        " ledger_rows, breaks, kept, kinds, totals, previous, new, carried, reopened, cleared, accepted"
        " FROM reconciliation WHERE (?1 IS NULL OR view = ?1) AND (?2 IS NULL OR ledger = ?2)"
        " AND (?4 = 0 OR id = ?4) ORDER BY id DESC LIMIT ?3",
    [SOURCES] = "SELECT (SELECT text FROM source_text WHERE id = view_source),"
                " (SELECT text FROM source_text WHERE id = ledger_source) FROM reconciliation WHERE id = ?1",
    [SIGHTINGS] = "SELECT b.id, b.key, b.column_name, b.kind, s.change, h.at, h.change, h.status, h.who, h.why,"
                  " h.reconciliation, b.first_seen, s.since, s.times_seen, s.tally, s.ledger_side, s.difference,"
                  " s.ledger_rows FROM sighting s JOIN break b ON b.id = s.break"
                  " JOIN break_history h ON h.break = s.break AND h.number = s.history"
                  " WHERE s.reconciliation = ?1 AND s.break > ?2 ORDER BY s.break LIMIT ?3",
};

struct tly_break_reader {
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENT_COUNT];
};

enum tly_status tly_break_reader_open(const char *directory, tly_break_reader **out, struct tly_error *error) {
  struct tly_buffer path = {0};
  tly_break_reader *reader = tly_calloc(1, sizeof *reader);
  tly_buffer_print(&path, "%s/batch.db", directory);
  enum tly_status status = tly_sqlite_open(tly_buffer_text(&path), TLY_SQLITE_READER, NULL, &reader->database, error);
  tly_buffer_free(&path);
  for (int i = 0; status == TLY_OK && i < STATEMENT_COUNT; i++)
    status = tly_sqlite_prepare(reader->database, statement_texts[i], &reader->statements[i], error);
  *out = reader;
  if (status != TLY_OK) {
    tly_break_reader_close(reader);
    *out = NULL;
  }
  return status;
}

void tly_break_reader_close(tly_break_reader *reader) {
  if (reader == NULL)
    return;
  for (int i = 0; i < STATEMENT_COUNT; i++)
    sqlite3_finalize(reader->statements[i]);
  tly_sqlite_close(reader->database);
  tly_free(reader);
}

/* ---- age --------------------------------------------------------------------------------------------------------- */

int64_t tly_break_age_days(int64_t since_us, int64_t until_us) {
  return until_us > since_us ? (until_us - since_us) / INT64_C(86400000000) : 0;
}

const char *tly_break_age_bucket(int64_t days) {
  return days <= 1 ? "0-1" : days <= 7 ? "2-7" : days <= 30 ? "8-30" : days <= 90 ? "31-90" : ">90";
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* The columns of a row, one after the other. */
struct columns {
  sqlite3_stmt *statement;
  struct tly_arena *arena;
  int next;
};

static const char *next_text(struct columns *columns) {
  const unsigned char *text = sqlite3_column_text(columns->statement, columns->next++);
  int size = sqlite3_column_bytes(columns->statement, columns->next - 1);
  return text == NULL ? NULL : tly_arena_copy(columns->arena, text, (size_t)size);
}

static int64_t next_integer(struct columns *columns, int64_t if_null) {
  int place = columns->next++;
  bool is_null = sqlite3_column_type(columns->statement, place) == SQLITE_NULL;
  return is_null ? if_null : sqlite3_column_int64(columns->statement, place);
}

static bool next_hash(struct columns *columns, struct tly_hash *out) {
  int place = columns->next++;
  if (sqlite3_column_bytes(columns->statement, place) != TLY_HASH_BYTES)
    return false;
  memcpy(out->bytes, sqlite3_column_blob(columns->statement, place), TLY_HASH_BYTES);
  return true;
}

static void read_break(struct columns *columns, void *row) {
  struct tly_break_row *found = row;
  found->id = next_integer(columns, 0);
  found->view = next_text(columns);
  found->ledger = next_text(columns);
  found->key = next_text(columns);
  found->column = next_text(columns);
  if (found->column != NULL && *found->column == '\0')
    found->column = NULL;
  found->kind = next_text(columns);
  found->status = next_text(columns);
  found->is_present = next_integer(columns, 0) != 0;
  found->first_seen = next_integer(columns, 0);
  found->first_seen_at_us = next_integer(columns, 0);
  found->last_seen = next_integer(columns, 0);
  found->last_seen_at_us = next_integer(columns, 0);
  found->times_seen = next_integer(columns, 0);
  found->since_us = next_integer(columns, 0);
  found->gone_at_us = next_integer(columns, 0);
  found->tally = next_text(columns);
  found->ledger_side = next_text(columns);
  found->difference = next_text(columns);
  found->ledger_rows = next_integer(columns, 0);
}

static void read_event(struct columns *columns, void *row) {
  struct tly_break_event *event = row;
  event->at_us = next_integer(columns, 0);
  event->change = next_text(columns);
  event->status = next_text(columns);
  event->who = next_text(columns);
  event->why = next_text(columns);
  event->reconciliation = next_integer(columns, 0);
}

static void read_reconciliation(struct columns *columns, void *row) {
  struct tly_reconciliation *found = row;
  found->id = next_integer(columns, 0);
  found->view = next_text(columns);
  found->ledger = next_text(columns);
  found->reason = next_text(columns);
  found->scheduled_for_us = next_integer(columns, 0);
  found->started_at_us = next_integer(columns, 0);
  found->finished_at_us = next_integer(columns, 0);
  found->result = next_text(columns);
  found->error = next_text(columns);
  found->sqlstate = next_text(columns);
  found->tolerance = next_text(columns);
  found->columns = next_text(columns);
  (void)next_hash(columns, &found->definition_hash);
  found->has_ledger_hash = next_hash(columns, &found->ledger_hash);
  found->as_of = next_text(columns);
  found->keys = next_integer(columns, -1);
  found->matched = next_integer(columns, -1);
  found->within_tolerance = next_integer(columns, -1);
  found->broken = next_integer(columns, -1);
  found->tally_keys = next_integer(columns, -1);
  found->ledger_rows = next_integer(columns, -1);
  found->breaks = next_integer(columns, -1);
  found->kept = next_integer(columns, -1);
  found->kinds = next_text(columns);
  found->totals = next_text(columns);
  found->previous = next_integer(columns, -1);
  found->new_count = next_integer(columns, -1);
  found->carried = next_integer(columns, -1);
  found->reopened = next_integer(columns, -1);
  found->cleared = next_integer(columns, -1);
  found->accepted = next_integer(columns, -1);
}

static void read_sources(struct columns *columns, void *row) {
  struct tly_reconciliation *found = row;
  found->view_source = next_text(columns);
  found->ledger_source = next_text(columns);
}

static void read_sighting(struct columns *columns, void *row) {
  struct tly_sighting *found = row;
  found->id = next_integer(columns, 0);
  found->key = next_text(columns);
  found->column = next_text(columns);
  if (found->column != NULL && *found->column == '\0')
    found->column = NULL;
  found->kind = next_text(columns);
  found->change = next_text(columns);
  read_event(columns, &found->status);
  found->first_seen = next_integer(columns, 0);
  found->since_us = next_integer(columns, 0);
  found->times_seen = next_integer(columns, 0);
  found->tally = next_text(columns);
  found->ledger_side = next_text(columns);
  found->difference = next_text(columns);
  found->ledger_rows = next_integer(columns, 0);
}

typedef void (*row_reader)(struct columns *columns, void *row);

/* All rows of a statement that is bound, as an array in `arena`. */
static enum tly_status read_rows(sqlite3_stmt *statement, row_reader read, size_t row_size, struct tly_arena *arena,
                                 void **out, uint32_t *count, struct tly_error *error) {
  struct tly_buffer rows = {0};
  bool has_row = false;
  enum tly_status status;
  *out = NULL;
  *count = 0;
  while ((status = tly_sqlite_step(statement, &has_row, error)) == TLY_OK && has_row) {
    struct columns columns = {.statement = statement, .arena = arena};
    void *row = tly_buffer_reserve(&rows, row_size);
    memset(row, 0, row_size);
    read(&columns, row);
    rows.size += row_size;
    ++*count;
  }
  if (status == TLY_OK && *count > 0)
    *out = tly_arena_copy(arena, rows.data, rows.size);
  sqlite3_reset(statement);
  tly_buffer_free(&rows);
  return status;
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text) {
  sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

enum tly_status tly_break_reader_breaks(tly_break_reader *reader, const struct tly_break_filter *filter, uint32_t max,
                                        struct tly_arena *arena, struct tly_break_row **out, uint32_t *count,
                                        struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[BREAKS];
  void *rows;
  sqlite3_bind_int64(statement, 1, filter->after);
  sqlite3_bind_int64(statement, 2, filter->id);
  bind_text(statement, 3, filter->view);
  bind_text(statement, 4, filter->ledger);
  bind_text(statement, 5, filter->status);
  sqlite3_bind_int(statement, 6, filter->with_resolved || filter->status != NULL || filter->id != 0);
  sqlite3_bind_int64(statement, 7, max);
  TLY_TRY(read_rows(statement, read_break, sizeof **out, arena, &rows, count, error));
  *out = rows;
  return TLY_OK;
}

enum tly_status tly_break_reader_history(tly_break_reader *reader, int64_t id, struct tly_arena *arena,
                                         struct tly_break_event **out, uint32_t *count, struct tly_error *error) {
  void *rows;
  sqlite3_bind_int64(reader->statements[HISTORY], 1, id);
  TLY_TRY(read_rows(reader->statements[HISTORY], read_event, sizeof **out, arena, &rows, count, error));
  *out = rows;
  return TLY_OK;
}

enum tly_status tly_break_reader_reconciliations(tly_break_reader *reader, const char *view, const char *ledger,
                                                 uint32_t max, struct tly_arena *arena, struct tly_reconciliation **out,
                                                 uint32_t *count, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[RECONCILIATIONS];
  void *rows;
  bind_text(statement, 1, view);
  bind_text(statement, 2, ledger);
  sqlite3_bind_int64(statement, 3, max);
  sqlite3_bind_int64(statement, 4, 0);
  TLY_TRY(read_rows(statement, read_reconciliation, sizeof **out, arena, &rows, count, error));
  *out = rows;
  return TLY_OK;
}

enum tly_status tly_break_reader_reconciliation(tly_break_reader *reader, int64_t id, struct tly_arena *arena,
                                                struct tly_reconciliation *out, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[RECONCILIATIONS];
  struct tly_reconciliation *sources;
  uint32_t count;
  void *rows;
  bind_text(statement, 1, NULL);
  bind_text(statement, 2, NULL);
  sqlite3_bind_int64(statement, 3, 1);
  sqlite3_bind_int64(statement, 4, id);
  TLY_TRY(read_rows(statement, read_reconciliation, sizeof *out, arena, &rows, &count, error));
  if (count == 0 || id <= 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "there is no reconciliation %" PRId64, id);
  *out = *(struct tly_reconciliation *)rows;
  sqlite3_bind_int64(reader->statements[SOURCES], 1, id);
  TLY_TRY(read_rows(reader->statements[SOURCES], read_sources, sizeof *out, arena, &rows, &count, error));
  sources = rows; /* rows are never deleted, so it is there */
  out->view_source = sources->view_source;
  out->ledger_source = sources->ledger_source;
  return TLY_OK;
}

enum tly_status tly_break_reader_sightings(tly_break_reader *reader, int64_t reconciliation, int64_t after,
                                           uint32_t max, struct tly_arena *arena, struct tly_sighting **out,
                                           uint32_t *count, struct tly_error *error) {
  sqlite3_stmt *statement = reader->statements[SIGHTINGS];
  void *rows;
  sqlite3_bind_int64(statement, 1, reconciliation);
  sqlite3_bind_int64(statement, 2, after);
  sqlite3_bind_int64(statement, 3, max);
  TLY_TRY(read_rows(statement, read_sighting, sizeof **out, arena, &rows, count, error));
  *out = rows;
  return TLY_OK;
}
