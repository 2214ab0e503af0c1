/* How stores are opened, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/sqlite/sqlite.h"

static char folder[256], path[300];
static const char schema[] = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;";

static int make_folder(void **state) {
  (void)state;
  tly_sqlite_setup();
  snprintf(folder, sizeof folder, "/tmp/tally-sqlite-XXXXXX");
  if (mkdtemp(folder) == NULL)
    return 1;
  snprintf(path, sizeof path, "%s/store.db", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return tly_file_remove_tree(folder, NULL) != TLY_OK;
}

static void a_store_that_is_not_there_is_not_ready_for_readers(void **state) {
  (void)state;
  sqlite3 *reader;
  struct tly_error error = TLY_ERROR_NONE;
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &reader, &error), TLY_E_NOT_READY);
  assert_null(reader);
}

static void a_reader_sees_what_a_writer_committed_and_cannot_write(void **state) {
  (void)state;
  sqlite3 *writer, *reader;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer value = {0};
  bool found;
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, schema, &writer, &error), TLY_OK);
  assert_int_equal(tly_sqlite_meta_set(writer, "a", "1", &error), TLY_OK);
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &reader, &error), TLY_OK);
  assert_int_equal(tly_sqlite_meta_get(reader, "a", &value, &found, &error), TLY_OK);
  assert_true(found);
  assert_string_equal(tly_buffer_text(&value), "1");
  assert_int_equal(tly_sqlite_meta_get(reader, "b", &value, &found, &error), TLY_OK);
  assert_false(found);
  assert_int_not_equal(tly_sqlite_meta_set(reader, "a", "2", &error), TLY_OK);
  assert_true(tly_sqlite_wal_pages(writer) > 0);
  assert_int_equal(tly_sqlite_checkpoint(writer, 0, &error), TLY_OK);
  assert_int_equal(tly_sqlite_wal_pages(writer), 0);
  tly_sqlite_close(reader);
  tly_sqlite_close(writer);
  tly_buffer_free(&value);
}

/* Commits `count` rows, each a transaction, with a step after each; the greatest size of the log. */
static int pages_of_log(sqlite3 *writer, struct tly_log_steps *log, int count, int step) {
  struct tly_error error = TLY_ERROR_NONE;
  int most = 0;
  for (int i = 0; i < count; i++) {
    char name[16];
    snprintf(name, sizeof name, "row %d", i);
    assert_int_equal(tly_sqlite_meta_set(writer, name, "1", &error), TLY_OK);
    assert_int_equal(tly_sqlite_checkpoint_step(writer, log, step, &error), TLY_OK);
    most = tly_sqlite_wal_pages(writer) > most ? tly_sqlite_wal_pages(writer) : most;
  }
  return most;
}

static void a_log_that_is_moved_in_steps_stays_short_and_a_reader_is_not_waited_for(void **state) {
  (void)state;
  enum { COMMITS = 400, STEP = 20, LONGEST = STEP + 10 };
  sqlite3 *writer, *reader;
  struct tly_log_steps log;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer value = {0};
  bool found;
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, schema, &writer, &error), TLY_OK);
  tly_sqlite_watch_log(writer, &log);
  assert_in_range(pages_of_log(writer, &log, COMMITS, STEP), STEP, LONGEST);
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &reader, &error), TLY_OK);
  assert_int_equal(tly_sqlite_execute(reader, "BEGIN; SELECT count(*) FROM meta", &error), TLY_OK);
  assert_true(pages_of_log(writer, &log, COMMITS, STEP) > COMMITS); /* the reader's snapshot needs what lies below */
  assert_int_equal(tly_sqlite_execute(reader, "COMMIT", &error), TLY_OK);
  int before = tly_sqlite_wal_pages(writer);
  assert_in_range(pages_of_log(writer, &log, COMMITS, STEP), before,
                  before + LONGEST); /* then begun anew in its file */
  assert_true(log.frames < LONGEST);
  assert_int_equal(tly_sqlite_meta_get(reader, "row 399", &value, &found, &error), TLY_OK);
  assert_true(found);
  tly_sqlite_close(reader);
  tly_sqlite_close(writer);
  tly_buffer_free(&value);
}

static void set_format(int format) {
  char sql[64];
  sqlite3 *database;
  snprintf(sql, sizeof sql, "PRAGMA user_version = %d", format);
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(database);
}

static void a_store_of_another_format_is_refused_untouched(void **state) {
  (void)state;
  sqlite3 *database;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer before = {0}, after = {0};
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, schema, &database, &error), TLY_OK);
  tly_sqlite_close(database);
  set_format(99);
  assert_int_equal(tly_file_read(path, 1 << 20, &before, &error), TLY_OK);
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, schema, &database, &error), TLY_E_CONFIG);
  assert_non_null(strstr(error.message, "format 99"));
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &database, &error), TLY_E_CONFIG);
  assert_int_equal(tly_file_read(path, 1 << 20, &after, &error), TLY_OK);
  assert_int_equal(before.size, after.size);
  assert_memory_equal(before.data, after.data, before.size);
  set_format(1);
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, schema, &database, &error), TLY_E_CONFIG);
  assert_non_null(strstr(error.message, "format 1, of a version before the first release"));
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &database, &error), TLY_E_CONFIG);
  set_format(TLY_STORE_FORMAT);
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &database, &error), TLY_OK);
  tly_sqlite_close(database);
  tly_buffer_free(&before);
  tly_buffer_free(&after);
}

static void a_file_that_is_no_database_is_corrupt(void **state) {
  (void)state;
  char other[320];
  sqlite3 *database;
  struct tly_error error = TLY_ERROR_NONE;
  static const char junk[4096] = "this is not a database at all, whatever its name says";
  snprintf(other, sizeof other, "%s/junk?1.db", folder);
  assert_int_equal(tly_file_replace(other, junk, sizeof junk, &error), TLY_OK);
  assert_int_equal(tly_sqlite_open(other, TLY_SQLITE_READER_SEALED, NULL, &database, &error), TLY_E_CORRUPT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_store_that_is_not_there_is_not_ready_for_readers),
      cmocka_unit_test(a_reader_sees_what_a_writer_committed_and_cannot_write),
      cmocka_unit_test(a_log_that_is_moved_in_steps_stays_short_and_a_reader_is_not_waited_for),
      cmocka_unit_test(a_store_of_another_format_is_refused_untouched),
      cmocka_unit_test(a_file_that_is_no_database_is_corrupt),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
