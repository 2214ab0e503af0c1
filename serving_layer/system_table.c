/* A system relation as a SQLite table: s<relation>, with columns c0, c1, ...: a plain scan over the rows that the plan
 * holds. */
#include "common/base/assert.h"
#include "common/base/memory.h"
#include "serving_layer/forms.h"
#include "serving_layer/read_only_table.h"

enum { ROWS_ASSUMED = 1000 };

struct system_cursor {
  sqlite3_vtab_cursor base;
  const struct tly_system_rows *rows;
  uint32_t row;
};

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
  (void)base;
  info->estimatedRows = ROWS_ASSUMED;
  info->estimatedCost = ROWS_ASSUMED;
  return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
  (void)base;
  struct system_cursor *cursor = tly_calloc(1, sizeof *cursor);
  *out = &cursor->base;
  return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
  tly_free(base);
  return SQLITE_OK;
}

static int filter_cursor(sqlite3_vtab_cursor *base, int number, const char *text, int count,
                         sqlite3_value **arguments) {
  struct system_cursor *cursor = (struct system_cursor *)base;
  const struct tly_read_only_table *table = (struct tly_read_only_table *)base->pVtab;
  const struct tly_system_relation *relation = table->subject;
  (void)number;
  (void)text;
  (void)count;
  (void)arguments;
  cursor->rows = table->runtime->plan->system_rows[relation->id];
  TLY_ASSERT(cursor->rows != NULL); /* read before the statement's first step */
  cursor->row = 0;
  return SQLITE_OK;
}

static int next_row(sqlite3_vtab_cursor *base) {
  ((struct system_cursor *)base)->row++;
  return SQLITE_OK;
}

static int is_at_end(sqlite3_vtab_cursor *base) {
  const struct system_cursor *cursor = (struct system_cursor *)base;
  return cursor->row >= cursor->rows->count;
}

static int give_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  const struct system_cursor *cursor = (struct system_cursor *)base;
  tly_form_result(context, tly_system_rows_value(cursor->rows, cursor->row, (uint32_t)column));
  return SQLITE_OK;
}

static int give_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
  *out = ((struct system_cursor *)base)->row;
  return SQLITE_OK;
}

static const sqlite3_module module_methods = {
    .iVersion = 1,
    .xConnect = tly_read_only_connect,
    .xBestIndex = best_index,
    .xDisconnect = tly_read_only_disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter_cursor,
    .xNext = next_row,
    .xEof = is_at_end,
    .xColumn = give_column,
    .xRowid = give_rowid,
};

enum tly_status tly_system_table_register(struct tly_runtime *runtime, struct tly_error *error) {
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++) {
    const struct tly_system_relation *relation = &tly_system_relations[i];
    TLY_TRY(
        tly_read_only_table_register(runtime, 's', i, relation->column_count, false, relation, &module_methods, error));
  }
  return TLY_OK;
}
