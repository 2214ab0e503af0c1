/* A system relation as a SQLite table: s<relation>, with columns c0, c1, ...: a plain scan over the rows that the plan
 * holds. */
#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "serving_layer/forms.h"
#include "serving_layer/runtime.h"

enum { ROWS_ASSUMED = 1000 };

struct system_module {
  struct tly_runtime *runtime;
  const struct tly_system_relation *relation;
};

struct system_table {
  sqlite3_vtab base;
  const struct system_module *module;
};

struct system_cursor {
  sqlite3_vtab_cursor base;
  const struct tly_system_rows *rows;
  uint32_t row;
};

static int connect_table(sqlite3 *database, void *module_pointer, int count, const char *const *words,
                         sqlite3_vtab **out, char **message) {
  struct system_module *module = module_pointer;
  struct tly_buffer sql = {0};
  (void)count;
  (void)words;
  (void)message;
  tly_buffer_append_text(&sql, "CREATE TABLE x(");
  for (uint32_t i = 0; i < module->relation->column_count; i++)
    tly_buffer_print(&sql, "%sc%u", i > 0 ? "," : "", i);
  tly_buffer_append_text(&sql, ")");
  module->runtime->is_declaring = true;
  int code = sqlite3_declare_vtab(database, tly_buffer_text(&sql));
  module->runtime->is_declaring = false;
  tly_buffer_free(&sql);
  if (code != SQLITE_OK)
    return code;
  sqlite3_vtab_config(database, SQLITE_VTAB_DIRECTONLY);
  struct system_table *table = tly_calloc(1, sizeof *table);
  table->module = module;
  *out = &table->base;
  return SQLITE_OK;
}

static int disconnect_table(sqlite3_vtab *base) {
  tly_free(base);
  return SQLITE_OK;
}

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
  const struct system_module *module = ((struct system_table *)base->pVtab)->module;
  (void)number;
  (void)text;
  (void)count;
  (void)arguments;
  cursor->rows = module->runtime->plan->system_rows[module->relation->id];
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
    .xConnect = connect_table,
    .xBestIndex = best_index,
    .xDisconnect = disconnect_table,
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
    char name[16];
    struct system_module *module = tly_calloc(1, sizeof *module);
    module->runtime = runtime;
    module->relation = &tly_system_relations[i];
    snprintf(name, sizeof name, "s%u", i);
    if (sqlite3_create_module_v2(runtime->database, name, &module_methods, module, tly_free) != SQLITE_OK)
      return tly_sqlite_fail(runtime->database, error, "register system relations");
  }
  return TLY_OK;
}
