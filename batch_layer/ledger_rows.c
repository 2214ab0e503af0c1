/* A row is kept as its key (the encoding of ordered_key.h, so that SQLite's order of blobs is the view's order) and its
 * compared values one behind the other: 0 for NULL, else 1 and the value, an amount as a decimal that keeps its display
 * scale, others as in a key. */
#include "batch_layer/ledger_rows.h"

#include <string.h>
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/give_way.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "common/value/ordered_key.h"

enum { ROWS_PER_REST = 256 };

struct tly_ledger_rows {
  const struct tly_ledger_match *match;
  sqlite3 *database;
  sqlite3_stmt *insert, *sorted;
  struct tly_buffer key, values;
  struct tly_arena arena; /* of the row that was given */
  struct tly_keyed_row row;
  uint64_t given;
  XXH3_state_t *hash; /* over what was given */
};

static enum tly_status open_database(tly_ledger_rows *rows, const char *folder, struct tly_error *error) {
  static const char setup[] = "PRAGMA temp_store = FILE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -16384;"
                              "CREATE TABLE rows (key BLOB NOT NULL, data BLOB NOT NULL); BEGIN";
  sqlite3_free(sqlite3_temp_directory);
  sqlite3_temp_directory = sqlite3_mprintf("%s", folder);
  if (sqlite3_open_v2("", &rows->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
    return tly_sqlite_fail(rows->database, error, "open a temporary database");
  TLY_TRY(tly_sqlite_execute(rows->database, setup, error));
  return tly_sqlite_prepare(rows->database, "INSERT INTO rows VALUES (?1, ?2)", &rows->insert, error);
}

enum tly_status tly_ledger_rows_open(const struct tly_ledger_match *match, const char *folder, tly_ledger_rows **out,
                                     struct tly_error *error) {
  tly_ledger_rows *rows = tly_calloc(1, sizeof *rows);
  rows->match = match;
  tly_arena_init(&rows->arena);
  rows->hash = XXH3_createState();
  TLY_ASSERT(rows->hash != NULL);
  XXH3_128bits_reset(rows->hash);
  enum tly_status status = open_database(rows, folder, error);
  *out = rows;
  if (status != TLY_OK) {
    tly_ledger_rows_close(rows);
    *out = NULL;
  }
  return status;
}

void tly_ledger_rows_close(tly_ledger_rows *rows) {
  if (rows == NULL)
    return;
  sqlite3_finalize(rows->insert);
  sqlite3_finalize(rows->sorted);
  sqlite3_close(rows->database); /* in the middle of a transaction that nobody needs */
  tly_buffer_free(&rows->key);
  tly_buffer_free(&rows->values);
  tly_arena_free(&rows->arena);
  XXH3_freeState(rows->hash);
  tly_free(rows->row.values);
  tly_free(rows);
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static void append_value(const struct tly_ledger_pair *pair, const struct tly_value *value, struct tly_buffer *out) {
  tly_buffer_append_byte(out, value->is_null ? 0 : 1);
  if (value->is_null)
    return;
  if (pair->is_amount)
    tly_decimal_append_compact(tly_value_decimal(value), out);
  else
    tly_key_append(out, value);
}

static enum tly_status add_row(tly_ledger_rows *rows, const struct tly_event_batch *batch, uint32_t row,
                               struct tly_error *error) {
  const struct tly_ledger_match *match = rows->match;
  tly_buffer_clear(&rows->key);
  tly_buffer_clear(&rows->values);
  for (uint32_t k = 0; k < match->key_count; k++) {
    struct tly_value value = tly_vector_value(&batch->columns[match->keys[k].column], row);
    value = tly_ledger_pair_value(&match->keys[k], &value);
    tly_key_append(&rows->key, &value);
  }
  for (uint32_t c = 0; c < match->compared_count; c++) {
    struct tly_value value = tly_vector_value(&batch->columns[match->compared[c].column], row);
    append_value(&match->compared[c], &value, &rows->values);
  }
  const void *key = rows->key.size > 0 ? (const void *)rows->key.data : "";
  sqlite3_bind_blob64(rows->insert, 1, key, rows->key.size, SQLITE_STATIC);
  sqlite3_bind_blob64(rows->insert, 2, rows->values.data, rows->values.size, SQLITE_STATIC);
  return tly_sqlite_run(rows->insert, error);
}

enum tly_status tly_ledger_rows_add(tly_ledger_rows *rows, const struct tly_event_batch *batch,
                                    struct tly_error *error) {
  TLY_ASSERT(rows->sorted == NULL);
  for (uint32_t row = 0; row < batch->count; row++) {
    if (row % ROWS_PER_REST == 0)
      tly_give_way();
    TLY_TRY(add_row(rows, batch, row, error));
  }
  return TLY_OK;
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

enum tly_status tly_ledger_rows_sort(tly_ledger_rows *rows, struct tly_error *error) {
  static const char sql[] = "SELECT key, data FROM rows ORDER BY key, data";
  rows->row.values = tly_calloc(rows->match->compared_count, sizeof *rows->row.values);
  return tly_sqlite_prepare(rows->database, sql, &rows->sorted, error);
}

static enum tly_status read_value(const struct tly_ledger_pair *pair, struct tly_cursor *cursor,
                                  struct tly_arena *arena, struct tly_value *out, struct tly_error *error) {
  struct tly_decimal decimal;
  *out = tly_value_null(pair->type);
  if (tly_cursor_byte(cursor) == 0)
    return TLY_OK;
  if (!pair->is_amount)
    return tly_key_read(cursor, pair->type, arena, out, error);
  TLY_TRY(tly_decimal_read_compact(cursor, arena, &decimal, error));
  if (pair->type.id == TLY_TYPE_NUMERIC) {
    *out = tly_value_of_decimal(pair->type, decimal);
    return TLY_OK;
  }
  out->is_null = false;
  return tly_decimal_to_i64(decimal, &out->i64, error);
}

static void add_to_hash(tly_ledger_rows *rows, const void *bytes, size_t size) {
  uint64_t before = size; /* each run of bytes behind its size: no two rows look like one */
  XXH3_128bits_update(rows->hash, &before, sizeof before);
  XXH3_128bits_update(rows->hash, bytes, size);
}

struct tly_hash tly_ledger_rows_hash(const tly_ledger_rows *rows) {
  struct tly_hash hash;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(rows->hash));
  memcpy(hash.bytes, canonical.digest, TLY_HASH_BYTES);
  return hash;
}

static enum tly_status next_row(void *context, const struct tly_keyed_row **out, struct tly_error *error) {
  tly_ledger_rows *rows = context;
  bool has_row;
  *out = NULL;
  if (rows->given++ % ROWS_PER_REST == 0)
    tly_give_way();
  TLY_TRY(tly_sqlite_step(rows->sorted, &has_row, error));
  if (!has_row)
    return TLY_OK;
  tly_arena_reset(&rows->arena);
  rows->row.key = (struct tly_text){.size = (uint32_t)sqlite3_column_bytes(rows->sorted, 0)};
  rows->row.key.data = rows->row.key.size > 0 ? sqlite3_column_blob(rows->sorted, 0) : "";
  size_t size = (size_t)sqlite3_column_bytes(rows->sorted, 1);
  struct tly_cursor cursor = tly_cursor_of(sqlite3_column_blob(rows->sorted, 1), size);
  add_to_hash(rows, rows->row.key.data, rows->row.key.size);
  add_to_hash(rows, cursor.next, size);
  for (uint32_t c = 0; c < rows->match->compared_count; c++)
    TLY_TRY(read_value(&rows->match->compared[c], &cursor, &rows->arena, &rows->row.values[c], error));
  *out = &rows->row;
  return TLY_OK;
}

struct tly_keyed_source tly_ledger_rows_source(tly_ledger_rows *rows) {
  TLY_ASSERT(rows->sorted != NULL);
  return (struct tly_keyed_source){.next = next_row, .context = rows};
}
