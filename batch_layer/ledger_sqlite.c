/* One read transaction on a read-only connection, begun when the ledger is opened: all rows are of one snapshot. The
 * file is somebody else's, in whatever journal mode; a writer that holds it is waited for. A REAL is printed with the
 * fewest digits that read back as the same number, as the sqlite3 shell's users see it; money kept in REAL is compared
 * as it is shown. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "batch_layer/ledger_source.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "common/value/value.h"

enum { READ_BYTES = 1 << 20, BUSY_MS = 10000 };

struct sqlite {
  const struct tly_ledger *ledger;
  sqlite3 *database;
  sqlite3_stmt *statement;
  bool has_header;
};

static enum tly_status fail(const struct sqlite *sqlite, enum tly_status status, struct tly_error *error) {
  const char *words = sqlite->database != NULL ? sqlite3_errmsg(sqlite->database) : "out of memory";
  return TLY_FAIL(error, status, "ledger \"%s\": %s", sqlite->ledger->name, words);
}

static const char *table_of(const struct tly_ledger *ledger) {
  const char *name = tly_ledger_option(ledger, "table_name");
  return name != NULL ? name : ledger->name;
}

/* Whether the name in double quotes is a column: SQLite takes it for a text when it is none. */
static enum tly_status check_columns(const struct sqlite *sqlite, struct tly_error *error) {
  const struct tly_ledger *ledger = sqlite->ledger;
  const char *table = table_of(ledger);
  sqlite3_stmt *statement;
  static const char sql[] = "SELECT count(*) FILTER (WHERE name = ?2 COLLATE NOCASE), count(*)"
                            " FROM pragma_table_xinfo(?1)";
  if (sqlite3_prepare_v2(sqlite->database, sql, -1, &statement, NULL) != SQLITE_OK)
    return fail(sqlite, TLY_E_IO, error);
  enum tly_status status = TLY_OK;
  for (uint32_t i = 0; status == TLY_OK && i < ledger->column_count; i++) {
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, ledger->columns[i].remote_name, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_ROW)
      status = fail(sqlite, TLY_E_IO, error);
    else if (sqlite3_column_int(statement, 1) == 0)
      status = TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "ledger \"%s\": no table \"%s\"", ledger->name, table);
    else if (sqlite3_column_int(statement, 0) == 0)
      status = TLY_FAIL(error, TLY_E_UNDEFINED_COLUMN, "ledger \"%s\": table \"%s\" has no column \"%s\"", ledger->name,
                        table, ledger->columns[i].remote_name);
    sqlite3_reset(statement);
  }
  sqlite3_finalize(statement);
  return status;
}

static enum tly_status start_select(struct sqlite *sqlite, struct tly_error *error) {
  struct tly_buffer sql = {0};
  tly_buffer_append_text(&sql, "SELECT ");
  tly_ledger_print_columns(sqlite->ledger, "", &sql);
  tly_buffer_append_text(&sql, " FROM ");
  tly_ledger_print_name(table_of(sqlite->ledger), &sql);
  enum tly_status status = TLY_OK;
  if (sqlite3_prepare_v2(sqlite->database, tly_buffer_text(&sql), -1, &sqlite->statement, NULL) != SQLITE_OK)
    status = fail(sqlite, TLY_E_IO, error);
  tly_buffer_free(&sql);
  return status;
}

static enum tly_status print_facts(const char *path, const struct sqlite *sqlite, struct tly_ledger_facts *facts,
                                   struct tly_error *error) {
  struct stat file;
  if (stat(path, &file) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "ledger \"%s\": %s", sqlite->ledger->name, path);
  tly_buffer_print(&facts->place, "table \"%s\" of %s", table_of(sqlite->ledger), path);
  tly_buffer_print(&facts->as_of, "file of %" PRId64 " bytes, last written ", (int64_t)file.st_size);
  struct tly_value written = {.type = {.id = TLY_TYPE_TIMESTAMPTZ},
                              .i64 = (int64_t)file.st_mtim.tv_sec * 1000000 + file.st_mtim.tv_nsec / 1000};
  tly_value_print(&written, &facts->as_of);
  return TLY_OK;
}

static void print_text_field(const char *text, size_t size, struct tly_buffer *out) {
  struct tly_value value = {.type = {.id = TLY_TYPE_TEXT}, .text = {.data = text, .size = (uint32_t)size}};
  tly_value_print_csv(&value, out);
}

static enum tly_status print_field(const struct sqlite *sqlite, int column, struct tly_buffer *out,
                                   struct tly_error *error) {
  sqlite3_stmt *statement = sqlite->statement;
  switch (sqlite3_column_type(statement, column)) {
  case SQLITE_NULL: return TLY_OK;
  case SQLITE_INTEGER: tly_buffer_print(out, "%lld", (long long)sqlite3_column_int64(statement, column)); return TLY_OK;
  case SQLITE_FLOAT: tly_double_print(sqlite3_column_double(statement, column), out); return TLY_OK;
  case SQLITE_TEXT:
    print_text_field((const char *)sqlite3_column_text(statement, column),
                     (size_t)sqlite3_column_bytes(statement, column), out);
    return TLY_OK;
  default:
    return TLY_FAIL(error, TLY_E_DATATYPE_MISMATCH, "ledger \"%s\": column \"%s\" has a BLOB", sqlite->ledger->name,
                    sqlite->ledger->columns[column].remote_name);
  }
}

static enum tly_status read(void *context, struct tly_buffer *out, bool *at_end, struct tly_error *error) {
  struct sqlite *sqlite = context;
  size_t until = out->size + READ_BYTES;
  *at_end = false;
  if (!sqlite->has_header) {
    tly_ledger_print_header(sqlite->ledger, out);
    sqlite->has_header = true;
  }
  while (out->size < until) {
    int code = sqlite3_step(sqlite->statement);
    *at_end = code == SQLITE_DONE;
    if (code == SQLITE_DONE)
      return TLY_OK;
    if (code != SQLITE_ROW)
      return fail(sqlite, TLY_E_IO, error);
    for (uint32_t i = 0; i < sqlite->ledger->column_count; i++) {
      if (i > 0)
        tly_buffer_append_byte(out, ',');
      TLY_TRY(print_field(sqlite, (int)i, out, error));
    }
    tly_buffer_append_text(out, tly_ledger_has_filler(sqlite->ledger) ? ",1\n" : "\n");
  }
  return TLY_OK;
}

static void close_database(void *context) {
  struct sqlite *sqlite = context;
  sqlite3_finalize(sqlite->statement);
  sqlite3_close(sqlite->database);
  tly_free(sqlite);
}

enum tly_status tly_ledger_open_sqlite(const struct tly_ledger *ledger, const char *project,
                                       struct tly_ledger_facts *facts, struct tly_ledger_source *out,
                                       struct tly_error *error) {
  struct sqlite *sqlite = tly_calloc(1, sizeof *sqlite);
  char *path = tly_ledger_path(project, NULL, tly_ledger_server_option(ledger, "path"));
  enum tly_status status = TLY_OK;
  sqlite->ledger = ledger;
  if (sqlite3_open_v2(path, &sqlite->database, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
    status = TLY_FAIL(error, TLY_E_IO, "ledger \"%s\": %s: %s", ledger->name, path, sqlite3_errmsg(sqlite->database));
  sqlite3_busy_timeout(sqlite->database, BUSY_MS);
  if (status == TLY_OK && sqlite3_exec(sqlite->database, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
    status = fail(sqlite, TLY_E_IO, error);
  if (status == TLY_OK) /* the first read: the snapshot is that of now */
    status = check_columns(sqlite, error);
  if (status == TLY_OK)
    status = start_select(sqlite, error);
  if (status == TLY_OK)
    status = print_facts(path, sqlite, facts, error);
  *out = (struct tly_ledger_source){.read = read, .close = close_database, .context = sqlite};
  tly_free(path);
  if (status != TLY_OK)
    close_database(sqlite);
  return status;
}
