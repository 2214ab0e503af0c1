/* tests/serving_layer/test_statements.c -- a statement asked again is the one parsed before, and never another one. */
#include "tests/serving_layer/fixture.h"

#include "serving_layer/statements.h"

static const char views[] = "CREATE FOREIGN TABLE s (a text NOT NULL) SERVER embedded OPTIONS (format 'json');"
                            "CREATE MATERIALIZED VIEW v AS SELECT a, count(*) AS n FROM s GROUP BY a;";

static const struct tly_statement *get(tly_statements *statements, const char *sql) {
  const struct tly_statement *statement = NULL;
  assert_int_equal(tly_statements_get(statements, sql, strlen(sql), &statement, NULL), TLY_OK);
  return statement;
}

static void the_same_text_is_parsed_once(void **state) {
  struct tly_project *project = fixture_project(views);
  tly_statements *statements = tly_statements_new(project);
  (void)state;
  const struct tly_statement *first = get(statements, "SELECT a FROM v");
  assert_ptr_equal(get(statements, "SELECT a FROM v"), first);
  tly_statements_clear(statements);
  assert_int_equal(get(statements, "SELECT a FROM v")->query->column_count, 1);
  tly_statements_free(statements);
  tly_project_free(project);
}

static void any_number_of_statements_in_turn_stay_themselves(void **state) {
  struct tly_project *project = fixture_project(views);
  tly_statements *statements = tly_statements_new(project);
  (void)state;
  for (int round = 0; round < 3; round++)
    for (int i = 1; i < 100; i++) {
      struct tly_buffer sql = {0};
      tly_buffer_append_text(&sql, "SELECT a");
      for (int column = 1; column < i; column++)
        tly_buffer_append_text(&sql, ", n");
      tly_buffer_append_text(&sql, " FROM v");
      assert_int_equal(get(statements, tly_buffer_text(&sql))->query->column_count, i);
      tly_buffer_free(&sql);
    }
  tly_statements_free(statements);
  tly_project_free(project);
}

static void a_statement_that_is_wrong_is_wrong_again(void **state) {
  struct tly_project *project = fixture_project(views);
  tly_statements *statements = tly_statements_new(project);
  const struct tly_statement *statement;
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct tly_error error = TLY_ERROR_NONE;
    static const char wrong[] = "SELECT b FROM v";
    assert_int_equal(tly_statements_get(statements, wrong, strlen(wrong), &statement, &error), TLY_E_UNDEFINED_COLUMN);
    assert_int_equal(error.position, 8);
  }
  tly_statements_free(statements);
  tly_project_free(project);
}

static void a_long_statement_is_not_held_for_others(void **state) {
  struct tly_project *project = fixture_project(views);
  tly_statements *statements = tly_statements_new(project);
  struct tly_buffer sql = {0};
  (void)state;
  tly_buffer_append_text(&sql, "SELECT a FROM v");
  while (sql.size < 10000)
    tly_buffer_append_byte(&sql, ' ');
  assert_int_equal(get(statements, tly_buffer_text(&sql))->query->column_count, 1);
  memcpy(sql.data, "SELECT n, a FROM v", strlen("SELECT n, a FROM v"));
  assert_int_equal(get(statements, tly_buffer_text(&sql))->query->column_count, 2);
  tly_buffer_free(&sql);
  tly_statements_free(statements);
  tly_project_free(project);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_text_is_parsed_once),
      cmocka_unit_test(any_number_of_statements_in_turn_stay_themselves),
      cmocka_unit_test(a_statement_that_is_wrong_is_wrong_again),
      cmocka_unit_test(a_long_statement_is_not_held_for_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
