/* tests/common/store/test_batch_reader.c -- runs, drift and events set aside as batch.db has them. */
#include "tests/common/store/view_fixture.h"

#include <unistd.h>

#include "common/sqlite/sqlite.h"
#include "common/store/batch_reader.h"

extern const char tly_schema_batch[];

static char directory[] = "/tmp/tally_test_batch_reader_XXXXXX";
static struct tly_project *project;
static struct tly_arena arena;

static const char rows[] =
    "INSERT INTO run (id, state, reason, started_at, finished_at, events, drift, error, sqlstate, note) VALUES"
    " (3, 'ready', 'manual', 1000, 2000, 10, NULL, NULL, NULL, 'drift not checked: because'),"
    " (4, 'failed', 'schedule', 3000, 3500, NULL, NULL, 'the disk is full', '53100', NULL),"
    " (7, 'ready', 'schedule', 4000, 5000, 20, 2, NULL, NULL, NULL),"
    " (9, 'running', 'definition', 6000, NULL, NULL, NULL, NULL, NULL, NULL);"
    "INSERT INTO run_view (run, view, definition_hash, groups, folded, filtered, set_aside, drift) VALUES"
    " (7, 'totals', x'000102030405060708090a0b0c0d0e0f', 5, 15, 3, 2, 2),"
    " (9, 'totals', x'000102030405060708090a0b0c0d0e0f', NULL, NULL, NULL, NULL, NULL);"
    "INSERT INTO run_position VALUES (7, 'payments', 0, 12, x'ff0102030405060708090a0b0c0d0e0f'),"
    " (7, 'payments', 1, 8, x'000102030405060708090a0b0c0d0e0f'), (7, 'gone', 0, 1, x'00');"
    "INSERT INTO drift VALUES (7, 'totals', 1, '[\"b\"]', NULL, '{\"n\":1}', NULL),"
    " (7, 'totals', 0, '[\"a\"]', '{\"n\":1}', '{\"n\":2}', NULL);"
    "INSERT INTO set_aside VALUES (7, 'totals', 1, 5, '22012', 'division by zero'),"
    " (7, 'totals', 0, 9, '22003', 'out of range');";

static int set_up(void **state) {
  (void)state;
  char path[256];
  sqlite3 *database;
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_sqlite_setup();
  tly_arena_init(&arena);
  project = parse_project("CREATE FOREIGN TABLE payments (account text NOT NULL) SERVER embedded;");
  snprintf(path, sizeof path, "%s/batch.db", directory);
  CHECK_OK(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, tly_schema_batch, &database, &test_error));
  CHECK_OK(tly_sqlite_execute(database, rows, &test_error));
  tly_sqlite_close(database);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_arena_free(&arena);
  tly_project_free(project);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static tly_batch_reader *open_reader(void) {
  tly_batch_reader *reader;
  CHECK_OK(tly_batch_reader_open(directory, project, &reader, &test_error));
  return reader;
}

static void a_store_that_is_not_there_is_not_ready(void **state) {
  (void)state;
  tly_batch_reader *reader;
  assert_int_equal(tly_batch_reader_open("/nowhere", project, &reader, NULL), TLY_E_NOT_READY);
  assert_null(reader);
}

static void runs_come_newest_first_up_to_a_number(void **state) {
  (void)state;
  tly_batch_reader *reader = open_reader();
  struct tly_run *runs;
  uint32_t count;
  CHECK_OK(tly_batch_reader_runs(reader, INT64_MAX, 3, &arena, &runs, &count, &test_error));
  assert_int_equal(count, 3);
  assert_int_equal(runs[0].id, 9);
  assert_string_equal(runs[0].state, "running");
  assert_int_equal(runs[0].events, -1);
  assert_int_equal(runs[0].finished_at_us, 0);
  assert_int_equal(runs[0].views[0].groups, -1);
  assert_int_equal(runs[1].id, 7);
  assert_int_equal(runs[2].id, 4);
  assert_string_equal(runs[2].error, "the disk is full");
  assert_string_equal(runs[2].sqlstate, "53100");
  assert_null(runs[2].note);
  CHECK_OK(tly_batch_reader_runs(reader, 7, 3, &arena, &runs, &count, &test_error));
  assert_int_equal(count, 2);
  assert_int_equal(runs[0].id, 4);
  assert_int_equal(runs[1].id, 3);
  tly_batch_reader_close(reader);
}

static void write_rows(const char *sql) {
  char path[256];
  sqlite3 *database;
  snprintf(path, sizeof path, "%s/batch.db", directory);
  CHECK_OK(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, tly_schema_batch, &database, &test_error));
  CHECK_OK(tly_sqlite_execute(database, sql, &test_error));
  tly_sqlite_close(database);
}

static void a_snapshot_does_not_see_what_is_written_meanwhile(void **state) {
  (void)state;
  tly_batch_reader *reader = open_reader();
  struct tly_run *runs, run;
  struct tly_drift_row *drift;
  uint32_t count;
  CHECK_OK(tly_batch_snapshot_begin(reader, &test_error));
  CHECK_OK(tly_batch_reader_run(reader, 9, &arena, &run, &test_error));
  write_rows("INSERT INTO run (id, state, reason, started_at) VALUES (11, 'running', 'manual', 7000);"
             "INSERT INTO drift VALUES (9, 'totals', 0, '[\"c\"]', NULL, '{}', NULL)");
  CHECK_OK(tly_batch_reader_runs(reader, INT64_MAX, 1, &arena, &runs, &count, &test_error));
  assert_int_equal(runs[0].id, 9);
  CHECK_OK(tly_batch_reader_drift(reader, 9, &arena, &drift, &count, &test_error));
  assert_int_equal(count, 0);
  tly_batch_snapshot_end(reader);
  CHECK_OK(tly_batch_reader_runs(reader, INT64_MAX, 1, &arena, &runs, &count, &test_error));
  assert_int_equal(runs[0].id, 11);
  CHECK_OK(tly_batch_reader_drift(reader, 9, &arena, &drift, &count, &test_error));
  assert_int_equal(count, 1);
  write_rows("DELETE FROM drift WHERE run = 9; DELETE FROM run WHERE id = 11");
  tly_batch_reader_close(reader);
}

static void ready_runs_come_in_order_after_a_number(void **state) {
  (void)state;
  tly_batch_reader *reader = open_reader();
  struct tly_run *runs;
  uint32_t count;
  CHECK_OK(tly_batch_reader_ready(reader, 0, &arena, &runs, &count, &test_error));
  assert_int_equal(count, 2);
  assert_int_equal(runs[0].id, 3);
  assert_int_equal(runs[0].drift, -1);
  assert_string_equal(runs[0].note, "drift not checked: because");
  assert_int_equal(runs[1].id, 7);
  CHECK_OK(tly_batch_reader_ready(reader, 7, &arena, &runs, &count, &test_error));
  assert_int_equal(count, 0);
  tly_batch_reader_close(reader);
}

static void a_run_has_its_views_and_its_cut(void **state) {
  (void)state;
  tly_batch_reader *reader = open_reader();
  struct tly_run run;
  CHECK_OK(tly_batch_reader_run(reader, 7, &arena, &run, &test_error));
  assert_int_equal(run.view_count, 1);
  assert_string_equal(run.views[0].view, "totals");
  assert_int_equal(run.views[0].definition_hash.bytes[15], 15);
  assert_int_equal(run.views[0].folded + run.views[0].filtered + run.views[0].set_aside, run.events);
  assert_int_equal(run.drift, 2);
  assert_int_equal(run.position_count, 3);
  assert_ptr_equal(run.positions[1].stream, project->streams[0].name); /* the project's own string */
  assert_int_equal(run.positions[1].next_offset, 12);
  assert_int_equal(run.positions[1].chain.bytes[0], 0xff);
  assert_int_equal(run.positions[2].partition, 1);
  assert_string_equal(run.positions[0].stream, "gone"); /* a stream the project has no more */
  assert_int_equal(tly_batch_reader_run(reader, 8, &arena, &run, NULL), TLY_E_UNDEFINED_OBJECT);
  tly_batch_reader_close(reader);
}

static void drift_and_events_set_aside_are_listed_in_order(void **state) {
  (void)state;
  tly_batch_reader *reader = open_reader();
  struct tly_drift_row *drift;
  struct tly_set_aside_row *set_aside;
  uint32_t count;
  CHECK_OK(tly_batch_reader_drift(reader, 7, &arena, &drift, &count, &test_error));
  assert_int_equal(count, 2);
  assert_string_equal(drift[0].key, "[\"a\"]");
  assert_string_equal(drift[0].recomputed, "{\"n\":2}");
  assert_null(drift[1].live);
  CHECK_OK(tly_batch_reader_set_aside(reader, 7, &arena, &set_aside, &count, &test_error));
  assert_int_equal(count, 2);
  assert_int_equal(set_aside[0].partition, 0);
  assert_int_equal(set_aside[0].offset, 9);
  assert_string_equal(set_aside[1].sqlstate, "22012");
  CHECK_OK(tly_batch_reader_drift(reader, 3, &arena, &drift, &count, &test_error));
  assert_int_equal(count, 0);
  tly_batch_reader_close(reader);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_store_that_is_not_there_is_not_ready),
      cmocka_unit_test(runs_come_newest_first_up_to_a_number),
      cmocka_unit_test(a_snapshot_does_not_see_what_is_written_meanwhile),
      cmocka_unit_test(ready_runs_come_in_order_after_a_number),
      cmocka_unit_test(a_run_has_its_views_and_its_cut),
      cmocka_unit_test(drift_and_events_set_aside_are_listed_in_order),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
