/* Ledgers in SQLite and in files: every row, typed, of one instant; or a reason, with its place, and nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch_layer/ledger_reader.h"
#include "common/base/file.h"
#include "common/sql/project.h"

static char folder[] = "/tmp/tally-test-ledger-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

static struct tly_project *project_of(const char *definitions) {
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("t.sql", definitions, &diagnostics, &project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  return project;
}

static void write_file(const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fputs(text, file) >= 0 && fclose(file) == 0, 1);
}

static void write_database(const char *name, const char *sql) {
  char path[128];
  sqlite3 *database;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  unlink(path);
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(database);
}

static void print_rows(const struct tly_event_batch *batch, struct tly_buffer *out) {
  for (uint32_t row = 0; row < batch->count; row++) {
    for (uint32_t i = 0; i < batch->stream->column_count; i++) {
      struct tly_value value = tly_vector_value(&batch->columns[i], row);
      if (i > 0)
        tly_buffer_append_byte(out, ',');
      tly_value_print_csv(&value, out);
    }
    tly_buffer_append_byte(out, '\n');
  }
}

/* The rows of the ledger `l` as CSV, or "SQLSTATE words" of why there are none. The caller frees it. */
static void read_ledger(const char *definitions, struct tly_buffer *out) {
  struct tly_project *project = project_of(definitions);
  const struct tly_event_batch *batch = NULL;
  struct tly_error error = TLY_ERROR_NONE;
  tly_ledger_reader *reader;
  memset(out, 0, sizeof *out);
  enum tly_status status = tly_ledger_reader_open(tly_project_ledger(project, "l"), folder, &reader, &error);
  while (status == TLY_OK && (status = tly_ledger_reader_next(reader, &batch, &error)) == TLY_OK && batch != NULL)
    print_rows(batch, out);
  if (status != TLY_OK) {
    tly_buffer_clear(out);
    tly_buffer_print(out, "%s %s", tly_status_sqlstate(status), error.message);
  }
  tly_ledger_reader_close(reader);
  tly_project_free(project);
}

static void assert_ledger(const char *definitions, const char *wanted) {
  struct tly_buffer seen;
  read_ledger(definitions, &seen);
  assert_string_equal(tly_buffer_text(&seen), wanted);
  tly_buffer_free(&seen);
}

/* Words that end with a part of a path are compared up to there. */
static void assert_unreadable(const char *definitions, const char *wanted) {
  struct tly_buffer seen;
  read_ledger(definitions, &seen);
  if (strstr(tly_buffer_text(&seen), wanted) == NULL)
    fail_msg("expected: %s\ngot: %s", wanted, tly_buffer_text(&seen));
  tly_buffer_free(&seen);
}

#define FILE_LEDGER(columns)                                                                                           \
  "CREATE SERVER f FOREIGN DATA WRAPPER file; CREATE FOREIGN TABLE l (" columns ") SERVER f OPTIONS (filename "        \
  "'l.csv')"

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void a_file_gives_its_records_as_typed_rows_under_its_own_header(void **state) {
  (void)state;
  write_file("l.csv",
             "Balance,Note,Account,Unused\r\n12.5,\"two\nlines, \"\"quoted\"\"\",A-1,x\r\n,,A-2,\n-0.10,\"\",A-3,");
  assert_ledger(FILE_LEDGER("account text OPTIONS (column_name 'Account') NOT NULL,"
                            " balance numeric(18,2) OPTIONS (column_name 'Balance'),"
                            " note text OPTIONS (column_name 'Note')"),
                "A-1,12.50,\"two\nlines, \"\"quoted\"\"\"\nA-2,,\nA-3,-0.10,\"\"\n");
}

static void a_file_of_more_than_one_piece_is_read_whole(void **state) {
  enum { ROWS = 200000 };
  struct tly_buffer text = {0}, seen;
  (void)state;
  tly_buffer_append_text(&text, "n,words\n");
  for (int n = 0; n < ROWS; n++)
    tly_buffer_print(&text, "%d,\"line\n%d\"\n", n, n);
  write_file("l.csv", tly_buffer_text(&text));
  read_ledger(FILE_LEDGER("n integer, words text"), &seen);
  assert_int_equal(seen.size, text.size - strlen("n,words\n"));
  assert_memory_equal(seen.data, text.data + strlen("n,words\n"), seen.size);
  tly_buffer_free(&text);
  tly_buffer_free(&seen);
}

static void a_file_that_is_broken_gives_no_rows_but_the_place(void **state) {
  (void)state;
  write_file("l.csv", "a,b\n1,2\n3,x\n");
  assert_unreadable(FILE_LEDGER("a integer, b integer"), "22P02 ledger \"l\", line 3: column \"b\"");
  write_file("l.csv", "a,b\n1,2\n3\n");
  assert_unreadable(FILE_LEDGER("a integer, b integer"), "22P04 ledger \"l\", line 3: the record has 1 field");
  write_file("l.csv", "a,b\n1,\"2\n3,4\n");
  assert_unreadable(FILE_LEDGER("a integer, b integer"), "22P04 ledger \"l\", line 2: the quote");
  write_file("l.csv", "a,b\n,2\n");
  assert_unreadable(FILE_LEDGER("a integer NOT NULL, b integer"), "ledger \"l\", line 2: ");
  write_file("l.csv", "a,b\n1,0.005\n");
  assert_unreadable(FILE_LEDGER("a integer, b numeric(18,2)"), "ledger \"l\", line 2: ");
}

static void a_file_without_a_column_or_a_header_is_another_ledger(void **state) {
  (void)state;
  write_file("l.csv", "a\n1\n");
  assert_unreadable(FILE_LEDGER("a integer, b integer"), "42703 ledger \"l\": ");
  write_file("l.csv", "");
  assert_unreadable(FILE_LEDGER("a integer"), "22P04 ledger \"l\" is empty");
  write_file("l.csv", "a\n");
  assert_ledger(FILE_LEDGER("a integer"), "");
  unlink("l.csv");
  assert_unreadable("CREATE SERVER f FOREIGN DATA WRAPPER file OPTIONS (folder 'nowhere');"
                    "CREATE FOREIGN TABLE l (a int) SERVER f OPTIONS (filename 'l.csv')",
                    "/nowhere/l.csv: No such file or directory");
}

/* ---- SQLite ------------------------------------------------------------------------------------------------------ */

#define SQLITE_LEDGER(columns, table)                                                                                  \
  "CREATE SERVER s FOREIGN DATA WRAPPER sqlite OPTIONS (path '%s/l.db');"                                              \
  "CREATE FOREIGN TABLE l (" columns ") SERVER s OPTIONS (table_name '" table "')"

static const char *in_folder(const char *definitions) {
  static char text[1024];
  snprintf(text, sizeof text, definitions, folder);
  return text;
}

static void a_table_of_sqlite_gives_its_rows_whatever_they_are_stored_as(void **state) {
  (void)state;
  write_database("l.db", "CREATE TABLE \"t \"\"1\" (id, amount, note TEXT, ok);"
                         "INSERT INTO \"t \"\"1\" VALUES (1, '12.30', 'a,\"b\"', 1), ('2', 0.1, '', 0), (3, NULL, NULL,"
                         " NULL), (4, -7, 'x' || char(10) || 'y', 1)");
  assert_ledger(in_folder(SQLITE_LEDGER("id integer NOT NULL, amount numeric(18,2), note text, ok boolean", "t \"1")),
                "1,12.30,\"a,\"\"b\"\"\",t\n2,0.10,\"\",f\n3,,,\n4,-7.00,\"x\ny\",t\n");
}

static void a_null_alone_is_a_row(void **state) {
  (void)state;
  write_database("l.db", "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (NULL), (3)");
  assert_ledger(in_folder(SQLITE_LEDGER("n integer", "t")), "1\n\n3\n");
}

static void a_database_is_found_relative_to_the_project(void **state) {
  (void)state;
  write_database("l.db", "CREATE TABLE l (n INTEGER, m INTEGER); INSERT INTO l VALUES (1, 2)");
  assert_ledger("CREATE SERVER s FOREIGN DATA WRAPPER sqlite OPTIONS (path 'l.db');"
                "CREATE FOREIGN TABLE l (n integer, m integer) SERVER s",
                "1,2\n");
}

static void a_table_of_sqlite_that_does_not_fit_gives_no_rows_but_the_reason(void **state) {
  (void)state;
  write_database("l.db", "CREATE TABLE t (id INTEGER, amount REAL, raw BLOB);"
                         "INSERT INTO t VALUES (1, 0.125, x'00')");
  assert_unreadable(in_folder(SQLITE_LEDGER("id integer, amount numeric(18,2)", "t")), "ledger \"l\", line 2: ");
  assert_unreadable(in_folder(SQLITE_LEDGER("id integer, other integer", "t")),
                    "42703 ledger \"l\": table \"t\" has no column \"other\"");
  assert_unreadable(in_folder(SQLITE_LEDGER("id integer", "u")), "42P01 ledger \"l\": no table \"u\"");
  assert_unreadable(in_folder(SQLITE_LEDGER("raw text", "t")), "column \"raw\" has a BLOB");
  write_file("l.db",
             "this is no database, but long enough to be looked at as one, which it is not by any means at all....");
  assert_unreadable(in_folder(SQLITE_LEDGER("id integer", "t")), "file is not a database");
  assert_unreadable("CREATE SERVER s FOREIGN DATA WRAPPER sqlite OPTIONS (path '/nowhere/l.db');"
                    "CREATE FOREIGN TABLE l (a int) SERVER s",
                    "58030 ledger \"l\": /nowhere/l.db: unable to open database file");
}

static void what_is_committed_while_rows_are_read_is_not_among_them(void **state) {
  const struct tly_event_batch *batch;
  struct tly_error error = TLY_ERROR_NONE;
  tly_ledger_reader *reader;
  uint32_t rows = 0;
  (void)state;
  write_database("l.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER, filler TEXT);"
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
                         " INSERT INTO t SELECT i, 'something to fill a page with' FROM n");
  struct tly_project *project = project_of(in_folder(SQLITE_LEDGER("id integer, filler text", "t")));
  assert_int_equal(tly_ledger_reader_open(tly_project_ledger(project, "l"), folder, &reader, &error), TLY_OK);
  assert_int_equal(tly_ledger_reader_next(reader, &batch, &error), TLY_OK);
  assert_in_range(batch->count, 1, 99999);
  sqlite3 *writer;
  char path[128];
  snprintf(path, sizeof path, "%s/l.db", folder);
  assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
  assert_int_equal(sqlite3_exec(writer, "DELETE FROM t WHERE id > 10", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(writer);
  while (batch != NULL) {
    rows += batch->count;
    assert_int_equal(tly_ledger_reader_next(reader, &batch, &error), TLY_OK);
  }
  assert_int_equal(rows, 100000);
  tly_ledger_reader_close(reader);
  tly_project_free(project);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_gives_its_records_as_typed_rows_under_its_own_header),
      cmocka_unit_test(a_file_of_more_than_one_piece_is_read_whole),
      cmocka_unit_test(a_file_that_is_broken_gives_no_rows_but_the_place),
      cmocka_unit_test(a_file_without_a_column_or_a_header_is_another_ledger),
      cmocka_unit_test(a_table_of_sqlite_gives_its_rows_whatever_they_are_stored_as),
      cmocka_unit_test(a_null_alone_is_a_row),
      cmocka_unit_test(a_database_is_found_relative_to_the_project),
      cmocka_unit_test(a_table_of_sqlite_that_does_not_fit_gives_no_rows_but_the_reason),
      cmocka_unit_test(what_is_committed_while_rows_are_read_is_not_among_them),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
