/* What bounds a query, what it may push down, and what its answer says it rests on. */
#include "tests/serving_layer/fixture.h"

#include "serving_layer/forms.h"

static const char views[] =
    "CREATE FOREIGN TABLE s (a text NOT NULL, b integer, m numeric(10,2)) SERVER embedded OPTIONS (format 'json');"
    "CREATE MATERIALIZED VIEW v AS SELECT a, b, count(*) AS n, sum(m) AS total, count(DISTINCT m) AS kinds "
    "FROM s GROUP BY a, b;"
    "CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n, sum(m) AS total FROM s;";

/* 4,000 events: a = k0 .. k199, b = 0 .. 4. */
static void make_events(struct tly_buffer *out) {
  for (int i = 0; i < 4000; i++)
    tly_buffer_print(out, "{\"a\":\"k%d\",\"b\":%d,\"m\":\"%d.%02d\"}\n", i % 200, i / 200 % 5, i % 7, i % 100);
}

static struct fixture_store store;
static struct tly_buffer events;

static int open_store(void **state) {
  (void)state;
  make_events(&events);
  fixture_store_init(&store, views, tly_buffer_text(&events), events.size, 2500);
  return 0;
}

static int close_store(void **state) {
  (void)state;
  fixture_store_free(&store);
  tly_buffer_free(&events);
  return 0;
}

static void check(const char *sql, const char *const *parameters, const char *wanted) {
  struct fixture_answer answer;
  if (fixture_query(&store, sql, parameters, &answer) != TLY_OK)
    fail_msg("%s: %s", sql, answer.error.message);
  for (size_t i = 0; i < answer.text.size; i++)
    answer.text.data[i] = answer.text.data[i] == 0x1f ? '|' : answer.text.data[i] == 0x1e ? '/' : answer.text.data[i];
  assert_string_equal(tly_buffer_text(&answer.text), wanted);
  fixture_answer_free(&answer);
}

static void check_fails(const char *sql, struct tly_control *control, const char *sqlstate) {
  struct fixture_answer answer;
  enum tly_status status = fixture_query_within(&store, sql, NULL, control, &answer);
  if (strcmp(tly_status_sqlstate(status), sqlstate) != 0)
    fail_msg("%s: %s %s", sql, tly_status_sqlstate(status), answer.error.message);
  fixture_answer_free(&answer);
}

static void parameters_take_their_type_from_context(void **state) {
  static const char *const one[] = {"k7", "2"}, *const none[] = {NULL, "2"};
  (void)state;
  check("SELECT a, b, n FROM v WHERE a = $1 AND b = $2", one, "k7|2|4|/");
  check("SELECT a, b, n FROM v WHERE a = $1 AND b = $2", none, "");
  check("SELECT $2 + n FROM v WHERE a = $1 AND b = 1", one, "6|/");
}

static void now_is_fixed_for_a_statement(void **state) {
  (void)state;
  check("SELECT now() = current_timestamp, now() FROM w", NULL, "t|2026-03-02 10:00:00+00|/");
}

static void a_view_without_groups_has_one_row(void **state) {
  (void)state;
  check("SELECT n FROM w", NULL, "4000|/");
}

static void a_kept_run_is_a_schema(void **state) {
  struct tly_control control;
  (void)state;
  check("SELECT n FROM run_1.w", NULL, "2500|/");
  check("SELECT w.n - r.n FROM w, run_1.w AS r", NULL, "1500|/");
  tly_control_init(&control, 10000, 64 << 20);
  check_fails("SELECT n FROM run_9.w", &control, "42P01");
}

static void the_answer_says_what_it_rests_on(void **state) {
  struct fixture_answer answer;
  (void)state;
  assert_int_equal(fixture_query(&store, "SELECT n FROM w", NULL, &answer), TLY_OK);
  const char *as_of = tly_buffer_text(&answer.as_of);
  assert_ptr_equal(strstr(as_of, "{\"run\":1,\"cut\":{\"s\":[2500]},\"live\":{\"s\":[4000]},\"definition\":\""), as_of);
  fixture_answer_free(&answer);
  assert_int_equal(fixture_query(&store, "SELECT 1 FROM w, v, v AS x, run_1.w AS r LIMIT 1", NULL, &answer), TLY_OK);
  as_of = tly_buffer_text(&answer.as_of);
  assert_ptr_equal(strstr(as_of, "{\"views\":{\"w\":{\"run\":1,"), as_of);
  assert_non_null(strstr(as_of, "\"v\":{\"run\":1,"));
  assert_non_null(strstr(as_of, "\"run_1.w\":{\"run\":1,\"cut\":{\"s\":[2500]},\"definition\""));
  fixture_answer_free(&answer);
  assert_int_equal(fixture_query(&store, "SELECT 1", NULL, &answer), TLY_OK);
  assert_string_equal(tly_buffer_text(&answer.as_of), "{}");
  fixture_answer_free(&answer);
}

static void equalities_and_intervals_on_leading_keys_become_a_key_range(void **state) {
  (void)state;
  check("SELECT count(*), min(a), max(a) FROM v WHERE a > 'k10' AND a <= 'k12'", NULL, "110|k100|k12|/");
  check("SELECT count(*) FROM v WHERE a = 'k3' AND b >= 2", NULL, "3|/");
  check("SELECT count(*) FROM v WHERE a = 'k3' AND b < 2 AND b > 0", NULL, "1|/");
  check("SELECT count(*) FROM v WHERE a = 'k3' AND a = 'k4'", NULL, "0|/");
  check("SELECT count(*) FROM v WHERE a IN ('k3', 'k5')", NULL, "10|/");
  check("SELECT count(*) FROM v x JOIN v y ON x.a = y.a AND x.b = y.b", NULL, "1000|/");
  check("SELECT count(*) FROM v x JOIN v y ON x.b = y.b WHERE x.a = 'k1'", NULL, "1000|/");
}

static void a_cross_join_ends_at_its_deadline(void **state) {
  struct tly_control control;
  (void)state;
  tly_control_init(&control, 200, 64 << 20);
  check_fails("SELECT count(*) FROM v a, v b, v c, v d, v e, v f, v g", &control, "57014");
}

static void a_query_that_was_cancelled_ends(void **state) {
  struct tly_control control;
  (void)state;
  tly_control_init(&control, 10000, 64 << 20);
  tly_control_cancel(&control);
  check_fails("SELECT count(*) FROM v a, v b, v c", &control, "57014");
}

static void a_sort_over_its_memory_ends(void **state) {
  struct tly_control control;
  (void)state;
  tly_control_init(&control, 60000, 8 << 20);
  check_fails("SELECT count(*) FROM (SELECT x.a || y.a AS k FROM v x, v y ORDER BY 1 LIMIT 2000000) t", &control,
              "53200");
  check("SELECT n FROM w", NULL, "4000|/"); /* and the next one does not notice */
}

static void live_groups_over_the_memory_of_a_query_end_it(void **state) {
  struct tly_control control;
  (void)state;
  tly_control_init(&control, 10000, 4 << 10);
  check_fails("SELECT count(*) FROM v", &control, "53200");
}

static int64_t memory_of(const char *sql) {
  struct fixture_answer answer;
  struct tly_control control;
  tly_control_init(&control, 10000, 64 << 20);
  assert_int_equal(fixture_query_within(&store, sql, NULL, &control, &answer), TLY_OK);
  fixture_answer_free(&answer);
  return control.memory_used;
}

static void distinct_sets_are_copied_only_where_a_count_of_them_is_asked_for(void **state) {
  (void)state;
  int64_t groups = memory_of("SELECT a, total FROM v"), all = memory_of("SELECT a, kinds FROM v");
  assert_true(all > groups);
  assert_int_equal(memory_of("SELECT x.a FROM v AS x LEFT JOIN v AS y ON y.a = x.a AND y.b = x.b"), 2 * groups);
  assert_true(memory_of("SELECT max(n) FROM v WHERE a = 'k7'") < groups / 2);
}

static void what_a_query_expands_to_is_bounded(void **state) {
  struct tly_buffer sql = {0};
  struct tly_control control;
  (void)state;
  tly_control_init(&control, 10000, 64 << 20);
  tly_buffer_append_text(&sql, "SELECT count(*) FROM v");
  for (int i = 0; i < 9; i++)
    tly_buffer_print(&sql, ", v AS v%d", i);
  check_fails(tly_buffer_text(&sql), &control, "54001");
  tly_buffer_clear(&sql);
  tly_buffer_append_text(&sql, "SELECT ");
  for (int i = 0; i < 100000; i++)
    tly_buffer_append_byte(&sql, '(');
  struct fixture_answer answer;
  assert_int_not_equal(fixture_query(&store, tly_buffer_text(&sql), NULL, &answer), TLY_OK);
  assert_string_equal(tly_status_sqlstate(answer.error.status), "54000"); /* over 64 KiB */
  fixture_answer_free(&answer);
  sql.size = 30000;
  assert_int_not_equal(fixture_query(&store, tly_buffer_text(&sql), NULL, &answer), TLY_OK);
  fixture_answer_free(&answer);
  tly_buffer_clear(&sql);
  tly_buffer_append_text(&sql, "WITH c0 AS (SELECT a FROM v)");
  for (int i = 1; i < 22; i++)
    tly_buffer_print(&sql, ", c%d AS (SELECT x.a FROM c%d x, c%d y)", i, i - 1, i - 1);
  tly_buffer_append_text(&sql, " SELECT count(*) FROM c21");
  check_fails(tly_buffer_text(&sql), &control, "54001");
  tly_buffer_free(&sql);
}

/* Every value of a type goes into SQLite and comes back; the order there is the type's. */
static void numerics_keep_order_and_scale_in_sqlite(void **state) {
  static const char *const texts[] = {"-100",   "-1.50", "-1.5", "0",   "0.00",
                                      "0.0001", "1",     "1.50", "1.5", "99999999999999999999.9"};
  struct tly_type type = TLY_TYPE_OF(TLY_TYPE_NUMERIC);
  struct tly_arena arena;
  sqlite3 *database;
  sqlite3_stmt *statement;
  (void)state;
  tly_arena_init(&arena);
  assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(database,
                                      "SELECT ?1, ?2, substr(?1, 1, length(?1) - 2) < substr(?2, 1, length(?2) - 2)",
                                      -1, &statement, NULL),
                   SQLITE_OK);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
      struct tly_value a, b, back;
      struct tly_error error = TLY_ERROR_NONE;
      assert_int_equal(tly_value_parse(type, texts[i], strlen(texts[i]), &arena, &a, &error), TLY_OK);
      assert_int_equal(tly_value_parse(type, texts[j], strlen(texts[j]), &arena, &b, &error), TLY_OK);
      assert_int_equal(tly_form_bind(statement, 1, &a), SQLITE_OK);
      assert_int_equal(tly_form_bind(statement, 2, &b), SQLITE_OK);
      assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
      assert_int_equal(sqlite3_column_int(statement, 2), tly_value_compare(&a, &b) < 0);
      assert_int_equal(tly_form_read(sqlite3_column_value(statement, 0), type, &arena, &back, &error), TLY_OK);
      struct tly_buffer text = {0};
      tly_value_print(&back, &text);
      assert_string_equal(tly_buffer_text(&text), texts[i]);
      tly_buffer_free(&text);
      sqlite3_reset(statement);
    }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  tly_arena_free(&arena);
}

/* The front end lets no interval out of an expression; if it did, that statement would fail, and no other. */
static void give_interval(sqlite3_context *context, int count, sqlite3_value **values) {
  struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_INTERVAL), .interval = {.days = 1}};
  (void)count;
  (void)values;
  tly_form_result(context, &value);
}

static void an_interval_in_sqlite_is_an_error_of_its_statement(void **state) {
  struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_INTERVAL), .interval = {.days = 1}};
  sqlite3 *database;
  sqlite3_stmt *statement;
  (void)state;
  assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
  assert_int_equal(sqlite3_create_function(database, "given", 0, SQLITE_UTF8, NULL, give_interval, NULL, NULL),
                   SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(database, "SELECT given(), ?1", -1, &statement, NULL), SQLITE_OK);
  assert_int_equal(tly_form_bind(statement, 1, &value), SQLITE_MISMATCH);
  assert_int_equal(sqlite3_step(statement), SQLITE_ERROR);
  sqlite3_finalize(statement);
  sqlite3_close(database);
}

static void intervals_inside_of_expressions_are_no_trouble(void **state) {
  static const char *const one[] = {"1 day"}, *const none[] = {NULL};
  (void)state;
  check("SELECT now() - (SELECT now()) < $1 FROM w", one, "t|/");
  check("SELECT (now() - (SELECT now()) < $1) IS NULL FROM w", none, "t|/");
  check("SELECT now() + CASE WHEN EXISTS (SELECT 1 FROM v) THEN $1::interval END FROM w", one,
        "2026-03-03 10:00:00+00|/");
  check("SELECT count(*) FROM v x WHERE coalesce($1::interval, '1 hour') > '1 hour' AND x.n > (SELECT 0)", one,
        "1000|/");
  check("SELECT $1::interval = '24 hours', $1::interval::text, count($1::interval) FROM w", one, "t|1 day|1|/");
}

/* A large answer comes in parts, the last of them in the result. */
struct parts {
  uint32_t lines;
  size_t longest;
};

static enum tly_status take_part(void *context, struct tly_buffer *line, struct tly_error *error) {
  struct parts *parts = context;
  (void)error;
  parts->lines++;
  parts->longest = line->size > parts->longest ? line->size : parts->longest;
  return TLY_OK;
}

static void a_large_answer_comes_in_parts(void **state) {
  struct parts parts = {0};
  struct tly_result_column column = {.name = "n", .type = TLY_TYPE_OF(TLY_TYPE_BIGINT)};
  struct tly_query query = {.columns = &column, .column_count = 1};
  struct tly_answer answer = {.id = "7", .query = &query, .send = take_part, .context = &parts};
  struct tly_row_sink sink = tly_answer_sink(&answer);
  struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_BIGINT), .i64 = 5};
  (void)state;
  for (int i = 0; i < 2500; i++)
    assert_int_equal(sink.row(sink.context, &value, 1, NULL), TLY_OK);
  assert_int_equal(parts.lines, 2);
  assert_int_equal(answer.row_count, 500);
  assert_int_equal(parts.longest, strlen("{\"id\":7,\"columns\":[{\"name\":\"n\",\"type\":\"bigint\"}],\"rows\":[") +
                                      1000 * strlen("[5],") - 1 + strlen("]}\n"));
  tly_answer_free(&answer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters_take_their_type_from_context),
      cmocka_unit_test(now_is_fixed_for_a_statement),
      cmocka_unit_test(a_view_without_groups_has_one_row),
      cmocka_unit_test(a_kept_run_is_a_schema),
      cmocka_unit_test(the_answer_says_what_it_rests_on),
      cmocka_unit_test(equalities_and_intervals_on_leading_keys_become_a_key_range),
      cmocka_unit_test(a_cross_join_ends_at_its_deadline),
      cmocka_unit_test(a_query_that_was_cancelled_ends),
      cmocka_unit_test(a_sort_over_its_memory_ends),
      cmocka_unit_test(live_groups_over_the_memory_of_a_query_end_it),
      cmocka_unit_test(distinct_sets_are_copied_only_where_a_count_of_them_is_asked_for),
      cmocka_unit_test(what_a_query_expands_to_is_bounded),
      cmocka_unit_test(numerics_keep_order_and_scale_in_sqlite),
      cmocka_unit_test(an_interval_in_sqlite_is_an_error_of_its_statement),
      cmocka_unit_test(intervals_inside_of_expressions_are_no_trouble),
      cmocka_unit_test(a_large_answer_comes_in_parts),
  };
  return cmocka_run_group_tests(tests, open_store, close_store);
}
