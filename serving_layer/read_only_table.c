#include "serving_layer/read_only_table.h"

#include <stdio.h>

#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"

struct module {
  struct tly_runtime *runtime;
  const void *subject;
  uint32_t column_count;
  bool has_hidden;
};

enum tly_status tly_read_only_table_register(struct tly_runtime *runtime, char letter, uint32_t number,
                                             uint32_t column_count, bool has_hidden, const void *subject,
                                             const sqlite3_module *methods, struct tly_error *error) {
  char name[16];
  struct module *module = tly_calloc(1, sizeof *module);
  *module =
      (struct module){.runtime = runtime, .subject = subject, .column_count = column_count, .has_hidden = has_hidden};
  snprintf(name, sizeof name, "%c%u", letter, number);
  if (sqlite3_create_module_v2(runtime->database, name, methods, module, tly_free) != SQLITE_OK)
    return tly_sqlite_fail(runtime->database, error, "register a table");
  return TLY_OK;
}

static int declare(sqlite3 *database, const struct module *module) {
  struct tly_buffer sql = {0};
  tly_buffer_append_text(&sql, "CREATE TABLE x(");
  for (uint32_t i = 0; i < module->column_count; i++)
    tly_buffer_print(&sql, "%sc%u", i > 0 ? "," : "", i);
  tly_buffer_append_text(&sql, module->has_hidden ? ",hidden HIDDEN)" : ")");
  module->runtime->is_declaring = true;
  int code = sqlite3_declare_vtab(database, tly_buffer_text(&sql));
  module->runtime->is_declaring = false;
  tly_buffer_free(&sql);
  return code;
}

int tly_read_only_connect(sqlite3 *database, void *module_pointer, int count, const char *const *words,
                          sqlite3_vtab **out, char **message) {
  const struct module *module = module_pointer;
  (void)count;
  (void)words;
  (void)message;
  int code = declare(database, module);
  if (code != SQLITE_OK)
    return code;
  sqlite3_vtab_config(database, SQLITE_VTAB_DIRECTONLY);
  struct tly_read_only_table *table = tly_calloc(1, sizeof *table);
  table->runtime = module->runtime;
  table->subject = module->subject;
  *out = &table->base;
  return SQLITE_OK;
}

int tly_read_only_disconnect(sqlite3_vtab *base) {
  tly_free(base);
  return SQLITE_OK;
}

int tly_read_only_fail(struct tly_runtime *runtime, const struct tly_error *error) {
  if (runtime->error.status == TLY_OK)
    runtime->error = *error;
  return SQLITE_ERROR;
}
