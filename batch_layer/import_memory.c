#include "batch_layer/import_memory.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/value/value.h"

enum { NAME, CONTENT, SEQUENCE, PLACE, ACCEPTED, REJECTED, REPLY, COLUMN_COUNT };

#define COLUMNS "name, content, sequence, place, accepted, rejected, reply"

enum tly_status tly_import_memory_open(sqlite3 *database, struct tly_import_memory *out, struct tly_error *error) {
  *out = (struct tly_import_memory){0};
  TLY_TRY(tly_sqlite_prepare(database, "SELECT " COLUMNS " FROM import WHERE name = ?1", &out->find, error));
  TLY_TRY(tly_sqlite_prepare(database, "SELECT " COLUMNS " FROM import WHERE content = ?1 ORDER BY name LIMIT 1",
                             &out->find_alike, error));
  TLY_TRY(tly_sqlite_prepare(database, "SELECT count(*) FROM import", &out->count, error));
  return tly_sqlite_prepare(database,
                            "INSERT INTO import (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                            "ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence, place = excluded.place, "
                            "accepted = accepted + excluded.accepted, rejected = rejected + excluded.rejected, "
                            "reply = excluded.reply",
                            &out->put, error);
}

void tly_import_memory_close(struct tly_import_memory *memory) {
  sqlite3_finalize(memory->find);
  sqlite3_finalize(memory->find_alike);
  sqlite3_finalize(memory->count);
  sqlite3_finalize(memory->put);
  *memory = (struct tly_import_memory){0};
}

static bool has_text(sqlite3_stmt *row, int column, const char *text) {
  return strcmp((const char *)sqlite3_column_text(row, column), text) == 0;
}

static void append_column(sqlite3_stmt *row, int column, struct tly_buffer *out) {
  const void *text = sqlite3_column_text(row, column);
  tly_buffer_append(out, text, (size_t)sqlite3_column_bytes(row, column));
}

static enum tly_status check_new(struct tly_import_memory *memory, const struct tly_import_step *step,
                                 enum tly_import_turn *turn, struct tly_error *refusal, struct tly_error *error) {
  bool has_row;
  TLY_TRY(tly_sqlite_step(memory->count, &has_row, error));
  TLY_ASSERT(has_row);
  int64_t count = sqlite3_column_int64(memory->count, 0);
  sqlite3_reset(memory->count);
  *turn = TLY_IMPORT_REFUSED;
  if (step->sequence != 1) {
    (void)TLY_FAIL(refusal, TLY_E_SEQUENCE, "import \"%s\" sent sequence %lld, but it has not begun: 1 comes next",
                   step->name, (long long)step->sequence);
  } else if (count >= TLY_IMPORTS_MAX) {
    (void)TLY_FAIL(refusal, TLY_E_TOO_MANY, "the stream has %d imports already, and none is ever forgotten",
                   TLY_IMPORTS_MAX);
    tly_error_hint(refusal, "Put the files together into fewer, or send them with tally ingest.");
  } else {
    *turn = TLY_IMPORT_NEXT;
  }
  return TLY_OK;
}

static void check_known(sqlite3_stmt *row, const struct tly_import_step *step, enum tly_import_turn *turn,
                        struct tly_buffer *reply, struct tly_error *refusal) {
  int64_t last = sqlite3_column_int64(row, SEQUENCE);
  bool is_same = has_text(row, CONTENT, step->content);
  *turn = TLY_IMPORT_REFUSED;
  if (is_same && step->sequence == last && has_text(row, PLACE, step->place)) {
    *turn = TLY_IMPORT_REPEATED;
    tly_buffer_clear(reply);
    append_column(row, REPLY, reply);
  } else if (is_same && step->sequence == last + 1) {
    *turn = TLY_IMPORT_NEXT;
  } else if (!is_same) {
    (void)TLY_FAIL(refusal, TLY_E_SEQUENCE, "import \"%s\" was begun with other content", step->name);
  } else {
    (void)TLY_FAIL(refusal, TLY_E_SEQUENCE, "import \"%s\" stands at sequence %lld, not before %lld", step->name,
                   (long long)last, (long long)step->sequence);
    tly_error_hint(refusal, "Does another client run the same import? Nothing of this request was stored.");
  }
}

enum tly_status tly_import_memory_check(struct tly_import_memory *memory, const struct tly_import_step *step,
                                        enum tly_import_turn *turn, struct tly_buffer *reply, struct tly_error *refusal,
                                        struct tly_error *error) {
  bool has_row;
  sqlite3_bind_text(memory->find, 1, step->name, -1, SQLITE_STATIC);
  TLY_TRY(tly_sqlite_step(memory->find, &has_row, error));
  if (!has_row)
    return check_new(memory, step, turn, refusal, error);
  check_known(memory->find, step, turn, reply, refusal);
  sqlite3_reset(memory->find);
  return TLY_OK;
}

enum tly_status tly_import_memory_put(struct tly_import_memory *memory, const struct tly_import_step *step,
                                      const char *reply, struct tly_error *error) {
  sqlite3_bind_text(memory->put, 1 + NAME, step->name, -1, SQLITE_STATIC);
  sqlite3_bind_text(memory->put, 1 + CONTENT, step->content, -1, SQLITE_STATIC);
  sqlite3_bind_int64(memory->put, 1 + SEQUENCE, step->sequence);
  sqlite3_bind_text(memory->put, 1 + PLACE, step->place, -1, SQLITE_STATIC);
  sqlite3_bind_int64(memory->put, 1 + ACCEPTED, (int64_t)step->accepted);
  sqlite3_bind_int64(memory->put, 1 + REJECTED, (int64_t)step->rejected);
  sqlite3_bind_text(memory->put, 1 + REPLY, reply, -1, SQLITE_STATIC);
  return tly_sqlite_run(memory->put, error);
}

static void print_text(sqlite3_stmt *row, int column, struct tly_buffer *out) {
  const char *text = (const char *)sqlite3_column_text(row, column);
  tly_json_print_text(text, (size_t)sqlite3_column_bytes(row, column), out);
}

static void print_row(sqlite3_stmt *row, struct tly_buffer *out) {
  tly_buffer_append_text(out, "{\"name\":");
  print_text(row, NAME, out);
  tly_buffer_append_text(out, ",\"content\":");
  print_text(row, CONTENT, out);
  tly_buffer_print(out, ",\"sequence\":%lld,\"place\":", (long long)sqlite3_column_int64(row, SEQUENCE));
  print_text(row, PLACE, out);
  tly_buffer_print(out, ",\"accepted\":%lld,\"rejected\":%lld}", (long long)sqlite3_column_int64(row, ACCEPTED),
                   (long long)sqlite3_column_int64(row, REJECTED));
}

static enum tly_status describe_by(sqlite3_stmt *statement, const char *key, struct tly_buffer *result, bool *found,
                                   struct tly_error *error) {
  sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
  TLY_TRY(tly_sqlite_step(statement, found, error));
  if (*found)
    print_row(statement, result);
  sqlite3_reset(statement);
  return TLY_OK;
}

enum tly_status tly_import_memory_describe(struct tly_import_memory *memory, const char *name, const char *content,
                                           struct tly_buffer *result, struct tly_error *error) {
  bool found;
  TLY_TRY(describe_by(memory->find, name, result, &found, error));
  if (!found)
    TLY_TRY(describe_by(memory->find_alike, content, result, &found, error));
  if (!found)
    tly_buffer_append_text(result, "{\"name\":null,\"content\":null,\"sequence\":0,\"place\":null,"
                                   "\"accepted\":0,\"rejected\":0}");
  return TLY_OK;
}

static enum tly_status copy_rows(sqlite3_stmt *rows, sqlite3_stmt *put, struct tly_error *error) {
  bool has_row = true;
  for (;;) {
    TLY_TRY(tly_sqlite_step(rows, &has_row, error));
    if (!has_row)
      return TLY_OK;
    for (int column = 0; column < COLUMN_COUNT; column++)
      sqlite3_bind_value(put, column + 1, sqlite3_column_value(rows, column));
    TLY_TRY(tly_sqlite_run(put, error));
  }
}

enum tly_status tly_import_memory_copy(sqlite3 *before, sqlite3 *after, struct tly_error *error) {
  struct tly_import_memory memory;
  sqlite3_stmt *rows = NULL;
  enum tly_status status = tly_import_memory_open(after, &memory, error);
  if (status == TLY_OK)
    status = tly_sqlite_prepare(before, "SELECT " COLUMNS " FROM import ORDER BY name", &rows, error);
  if (status == TLY_OK)
    status = copy_rows(rows, memory.put, error);
  sqlite3_finalize(rows);
  tly_import_memory_close(&memory);
  return status;
}
