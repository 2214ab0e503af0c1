/* The relations of schema tally, asked in SQL over a batch.db with known rows. */
#include "tests/serving_layer/fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/sqlite/sqlite.h"
#include "serving_layer/store_source.h"
#include "serving_layer/system_rows.h"

extern const char tly_schema_batch[];

static const char definitions[] =
    "CREATE FOREIGN TABLE payments (account text NOT NULL, paid_at timestamptz NOT NULL) SERVER embedded"
    " OPTIONS (format 'json', event_time 'paid_at');"
    "CREATE FOREIGN TABLE refunds (account text NOT NULL) SERVER embedded OPTIONS (format 'csv');"
    "CREATE MATERIALIZED VIEW totals WITH (recompute = '@daily', time_zone = 'Europe/Berlin') AS"
    " SELECT account, count(*) AS n FROM payments GROUP BY account;";

static const char rows[] =
    "INSERT INTO run (id, state, reason, started_at, finished_at, events, drift, error, sqlstate, note) VALUES"
    " (4, 'failed', 'schedule', 3000000, 3500000, NULL, NULL, 'the disk is full', '53100', NULL),"
    " (7, 'ready', 'schedule', 4000000, 5000000, 20, 2, NULL, NULL, NULL),"
    " (9, 'running', 'definition', 6000000, NULL, NULL, NULL, NULL, NULL, NULL);"
    "INSERT INTO run_view (run, view, definition_hash, groups, folded, filtered, set_aside, drift) VALUES"
    " (7, 'totals', x'000102030405060708090a0b0c0d0e0f', 5, 15, 3, 2, 2),"
    " (9, 'totals', x'000102030405060708090a0b0c0d0e0f', NULL, NULL, NULL, NULL, NULL);"
    "UPDATE run SET job = 'nightly', attempt = 2, reused = 12, is_full = 1 WHERE id = 7;"
    "INSERT INTO run_position VALUES (7, 'payments', 0, 12, x'ff0102030405060708090a0b0c0d0e0f');"
    "INSERT INTO drift VALUES (7, 'totals', 1, '[\"b\"]', NULL, '{\"n\":1}', NULL),"
    " (7, 'totals', 0, '[\"a\"]', '{\"n\":1}', '{\"n\":2}', NULL);"
    "INSERT INTO set_aside VALUES (7, 'totals', 1, 5, '22012', 'division by zero');";

static char directory[] = "/tmp/tally_test_system_rows_XXXXXX";
static struct tly_project *project;
static struct tly_programs *programs;
static tly_store_source *source;

static void write_rows(const char *sql) {
  char path[256];
  sqlite3 *database;
  snprintf(path, sizeof path, "%s/batch.db", directory);
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_WRITER_FULL, tly_schema_batch, &database, NULL), TLY_OK);
  assert_int_equal(tly_sqlite_execute(database, sql, NULL), TLY_OK);
  tly_sqlite_close(database);
}

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_memory_setup();
  tly_sqlite_setup();
  project = fixture_project(definitions);
  programs = tly_programs_new(project);
  write_rows(rows);
  source = tly_store_source_new(directory, programs);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_store_source_free(source);
  tly_programs_free(programs);
  tly_project_free(project);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static void check_within(const char *sql, int64_t memory_max, const char *wanted) {
  struct tly_source seam = tly_store_source_of(source);
  struct fixture_answer answer;
  struct tly_control control;
  tly_control_init(&control, 10000, memory_max);
  if (fixture_query_source(&seam, programs, sql, NULL, &control, &answer) != TLY_OK)
    fail_msg("%s: %s", sql, answer.error.message);
  for (size_t i = 0; i < answer.text.size; i++)
    answer.text.data[i] = answer.text.data[i] == 0x1f   ? '|'
                          : answer.text.data[i] == 0x1e ? '/'
                          : answer.text.data[i] == 2    ? '~'
                                                        : answer.text.data[i];
  assert_string_equal(tly_buffer_text(&answer.text), wanted);
  assert_string_equal(tly_buffer_text(&answer.as_of), "{}");
  fixture_answer_free(&answer);
}

static void check(const char *sql, const char *wanted) {
  check_within(sql, 64 << 20, wanted);
}

static void runs_have_their_times_counts_and_reasons(void **state) {
  (void)state;
  check("SELECT run, job, attempt, reused, is_full FROM tally.runs WHERE run IN (4, 7) ORDER BY run",
        "4|~|~|~|f|/7|nightly|2|12|t|/");
  check("SELECT run, state, reason, started_at, finished_at, events, drift, error, sqlstate, note FROM tally.runs"
        " ORDER BY run",
        "4|failed|schedule|1970-01-01 00:00:03+00|1970-01-01 00:00:03.5+00|~|~|the disk is full|53100|~|/"
        "7|ready|schedule|1970-01-01 00:00:04+00|1970-01-01 00:00:05+00|20|2|~|~|~|/"
        "9|running|definition|1970-01-01 00:00:06+00|~|~|~|~|~|~|/");
}

static void what_belongs_to_a_run_joins_with_it(void **state) {
  (void)state;
  check("SELECT r.run, v.view, v.groups, v.definition, p.next_offset, p.chain FROM tally.runs r"
        " LEFT JOIN tally.run_views v USING (run) LEFT JOIN tally.run_positions p ON p.run = r.run ORDER BY 1",
        "4|~|~|~|~|~|/"
        "7|totals|5|000102030405060708090a0b0c0d0e0f|12|ff0102030405060708090a0b0c0d0e0f|/"
        "9|totals|~|000102030405060708090a0b0c0d0e0f|~|~|/");
  check("SELECT d.key, d.live, d.recomputed, s.event_offset, s.message FROM tally.drift d"
        " JOIN tally.set_aside s ON s.run = d.run AND s.view = d.view ORDER BY d.key",
        "[\"a\"]|{\"n\":1}|{\"n\":2}|5|division by zero|/[\"b\"]|~|{\"n\":1}|5|division by zero|/");
}

static void expressions_and_aggregates_see_typed_columns(void **state) {
  (void)state;
  check("SELECT count(*), max(finished_at) - min(started_at) < interval '3 seconds', sum(events) FROM tally.runs",
        "3|t|20|/");
  check("SELECT state, count(*) FROM tally.runs WHERE started_at > '1970-01-01 00:00:03.5+00' GROUP BY state"
        " ORDER BY state",
        "ready|1|/running|1|/");
  check("SELECT run, lag(run) OVER (ORDER BY run) FROM tally.runs WHERE run IN (SELECT run FROM tally.run_views)"
        " ORDER BY run",
        "7|~|/9|7|/");
}

static void the_project_is_known_before_there_are_stores(void **state) {
  (void)state;
  check("SELECT view, stream, state, run, folded, recompute, time_zone FROM tally.views",
        "totals|payments|building|~|0|@daily|Europe/Berlin|/");
  check("SELECT stream, format, event_time FROM tally.streams ORDER BY stream",
        "payments|json|paid_at|/refunds|csv|~|/");
  check("SELECT stream, partition, archived, folded, lag FROM tally.partitions ORDER BY stream",
        "payments|0|0|0|0|/refunds|0|0|0|0|/");
}

static void no_relation_is_left_without_rows_or_types(void **state) {
  (void)state;
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++) {
    const struct tly_system_relation *relation = &tly_system_relations[i];
    char sql[128];
    assert_int_equal(relation->id, i);
    assert_ptr_equal(tly_system_relation(relation->name), relation);
    snprintf(sql, sizeof sql, "SELECT count(*) >= 0 FROM (SELECT * FROM tally.%s) AS r", relation->name);
    check(sql, "t|/");
  }
}

static void check_exceeds(const char *sql, int64_t memory_max) {
  struct tly_source seam = tly_store_source_of(source);
  struct fixture_answer answer;
  struct tly_control control;
  tly_control_init(&control, 10000, memory_max);
  assert_int_equal(fixture_query_source(&seam, programs, sql, NULL, &control, &answer), TLY_E_NO_MEMORY);
  fixture_answer_free(&answer);
}

static void rows_count_against_the_memory_of_a_query(void **state) {
  (void)state;
  check_within("SELECT count(*) FROM tally.runs", 1 << 20, "3|/");
  check_exceeds("SELECT 1 FROM tally.runs", 4096);
}

/* More than the pages that SQLite holds of batch.db, which count as well. */
static void texts_count_too(void **state) {
  (void)state;
  write_rows("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80) INSERT INTO run"
             " (id, state, reason, started_at, note) SELECT 100 + i, 'failed', 'manual', 1, printf('%.*c', 200000, 'x')"
             " FROM n");
  check_exceeds("SELECT count(*) FROM tally.runs", 8 << 20);
  check_within("SELECT sum(length(note)) FROM tally.runs", 64 << 20, "16000000|/");
  write_rows("DELETE FROM run WHERE id >= 100");
}

static void many_runs_are_all_given_once(void **state) {
  (void)state;
  static const int64_t counts[] = {61, 62, 125, 200}; /* beside the three: whole pages and broken ones */
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    char sql[256], wanted[64];
    snprintf(sql, sizeof sql,
             "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %lld) INSERT INTO run"
             " (id, state, reason, started_at) SELECT 100 + 3 * i, 'failed', 'manual', 1 FROM n",
             (long long)counts[i]);
    write_rows(sql);
    snprintf(wanted, sizeof wanted, "%lld|%lld|/", (long long)counts[i] + 3, (long long)counts[i] + 3);
    check("SELECT count(*), count(DISTINCT run) FROM tally.runs", wanted);
    write_rows("DELETE FROM run WHERE id >= 100");
  }
}

/* Writes a run as soon as a reader asks for the views of one: the runs themselves have been read then. */
static int write_between(unsigned kind, void *context, void *statement, void *text) {
  (void)kind;
  (void)context;
  (void)statement;
  static bool is_written;
  if (is_written || strstr(text, "FROM run_view") == NULL)
    return 0;
  is_written = true;
  write_rows("INSERT INTO run (id, state, reason, started_at) VALUES (11, 'running', 'manual', 7000000);"
             "INSERT INTO run_view (run, view, definition_hash) VALUES (11, 'totals', zeroblob(16))");
  return 0;
}

static int watch_readers(sqlite3 *database, char **message, const void *routines) {
  (void)message;
  (void)routines;
  return sqlite3_trace_v2(database, SQLITE_TRACE_STMT, write_between, NULL);
}

static void a_run_that_begins_meanwhile_is_in_all_relations_or_in_none(void **state) {
  (void)state;
  const char *sql = "SELECT (SELECT max(run) FROM tally.runs), (SELECT max(run) FROM tally.run_views)";
  tly_store_source *quiet = source;
  sqlite3_auto_extension((void (*)(void))watch_readers);
  source = tly_store_source_new(directory, programs);
  check(sql, "9|9|/");
  check(sql, "11|11|/");
  sqlite3_cancel_auto_extension((void (*)(void))watch_readers);
  tly_store_source_free(source);
  source = quiet;
  write_rows("DELETE FROM run_view WHERE run = 11; DELETE FROM run WHERE id = 11");
}

/* docs/SQL.md has every relation and column, with its type and its words. */
static void the_manual_has_every_column(void **state) {
  (void)state;
  struct tly_buffer manual = {0};
  assert_int_equal(tly_file_read("docs/SQL.md", 1 << 20, &manual, NULL), TLY_OK);
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++) {
    const struct tly_system_relation *relation = &tly_system_relations[i];
    struct tly_buffer wanted = {0};
    tly_buffer_print(&wanted, "**tally.%s**: %s.\n\n| column | type | |\n|---|---|---|\n", relation->name,
                     relation->about);
    for (uint32_t c = 0; c < relation->column_count; c++) {
      const struct tly_system_column *column = &relation->columns[c];
      tly_buffer_print(&wanted, "| `%s`%s | %s | %s |\n", column->name, column->nullable ? " ?" : "",
                       tly_type_protocol_name(TLY_TYPE_OF(column->type)), column->about);
    }
    tly_buffer_append_text(&wanted, "\n");
    if (strstr(tly_buffer_text(&manual), tly_buffer_text(&wanted)) == NULL)
      fail_msg("docs/SQL.md does not have:\n%s", tly_buffer_text(&wanted));
    tly_buffer_free(&wanted);
  }
  tly_buffer_free(&manual);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_have_their_times_counts_and_reasons),
      cmocka_unit_test(what_belongs_to_a_run_joins_with_it),
      cmocka_unit_test(expressions_and_aggregates_see_typed_columns),
      cmocka_unit_test(the_project_is_known_before_there_are_stores),
      cmocka_unit_test(no_relation_is_left_without_rows_or_types),
      cmocka_unit_test(rows_count_against_the_memory_of_a_query),
      cmocka_unit_test(texts_count_too),
      cmocka_unit_test(many_runs_are_all_given_once),
      cmocka_unit_test(a_run_that_begins_meanwhile_is_in_all_relations_or_in_none),
      cmocka_unit_test(the_manual_has_every_column),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
