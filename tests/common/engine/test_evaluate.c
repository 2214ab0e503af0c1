/* tests/common/engine/test_evaluate.c -- rows, errors and inputs of the evaluator (its kernels: test_expressions.c). */
#include "tests/common/engine/engine_fixture.h"

static const char sql[] = "CREATE FOREIGN TABLE t (a integer NOT NULL, b integer, k text NOT NULL)\n"
                          "  SERVER embedded OPTIONS (format 'json');\n"
                          "CREATE MATERIALIZED VIEW ratio AS SELECT count(*) AS n FROM t WHERE 100 / a > b;\n"
                          "CREATE MATERIALIZED VIEW words AS SELECT upper(k) || '!' AS w, count(*) AS n FROM t\n"
                          "  WHERE k <> 'no' GROUP BY upper(k) || '!';\n"
                          "CREATE MATERIALIZED VIEW never AS SELECT count(*) AS n FROM t WHERE 1 / 0 = a OR a = 7;\n"
                          "CREATE MATERIALIZED VIEW later AS SELECT count(*) AS n FROM t WHERE a = 7 OR 1 / 0 = a;\n";

enum { ROWS = 6 };

static int64_t a_values[ROWS] = {1, 0, 7, 50, 0, 7};
static int64_t b_values[ROWS] = {10, 10, 0, 2, 0, 10};
static const uint8_t b_null[ROWS] = {0, 0, 1, 0, 0, 0};
static const struct tly_text entries[] = {{"no", 2}, {"yes", 3}};
static const uint32_t codes[ROWS] = {1, 0, 1, 1, 0, 1};
static const struct tly_dictionary dictionary = {.entries = entries, .count = 2};

struct fixture {
  struct tly_project *project;
  tly_evaluator *evaluator;
  struct tly_vector columns[3];
  struct tly_evaluate_input input;
};

static int open_fixture(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  fixture->project = fixture_project(sql);
  fixture->evaluator = tly_evaluator_new();
  struct tly_type integer = TLY_TYPE_OF(TLY_TYPE_INTEGER);
  fixture->columns[0] = (struct tly_vector){.type = integer, .count = ROWS, .i64 = a_values};
  fixture->columns[1] = (struct tly_vector){.type = integer, .count = ROWS, .i64 = b_values, .null = b_null};
  fixture->columns[2] =
      (struct tly_vector){.type = TLY_TYPE_OF(TLY_TYPE_TEXT), .count = ROWS, .codes = codes, .dictionary = &dictionary};
  fixture->input = (struct tly_evaluate_input){.row_count = ROWS, .columns = fixture->columns};
  *state = fixture;
  return 0;
}

static int close_fixture(void **state) {
  struct fixture *fixture = *state;
  tly_evaluator_free(fixture->evaluator);
  tly_project_free(fixture->project);
  free(fixture);
  return 0;
}

static const struct tly_expr *where_of(const struct fixture *fixture, const char *view) {
  return tly_project_view(fixture->project, view)->where;
}

static void a_filter_gives_the_rows_that_are_true_and_notes_those_that_raise(void **state) {
  struct fixture *fixture = *state;
  const uint32_t *selected;
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  assert_int_equal(tly_evaluate_filter(fixture->evaluator, where_of(fixture, "ratio"), NULL, 0, &selected), 2);
  assert_int_equal(selected[0], 0);
  assert_int_equal(selected[1], 5); /* row 2 is NULL, row 3 false */
  assert_int_equal(tly_evaluate_error_count(fixture->evaluator), 2);
  assert_int_equal(tly_evaluate_error(fixture->evaluator, 1)->status, TLY_E_DIVISION_BY_ZERO);
  assert_int_equal(tly_evaluate_error(fixture->evaluator, 4)->status, TLY_E_DIVISION_BY_ZERO);
  assert_null(tly_evaluate_error(fixture->evaluator, 2));
  tly_evaluator_reset(fixture->evaluator);
}

static void a_row_that_is_not_listed_does_not_raise(void **state) {
  struct fixture *fixture = *state;
  const uint32_t listed[] = {0, 2, 3}, *selected;
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  assert_int_equal(tly_evaluate_filter(fixture->evaluator, where_of(fixture, "ratio"), listed, 3, &selected), 1);
  assert_int_equal(selected[0], 0);
  assert_int_equal(tly_evaluate_error_count(fixture->evaluator), 0);
  tly_evaluator_reset(fixture->evaluator);
}

static void a_row_that_raised_is_out_until_the_next_begin(void **state) {
  struct fixture *fixture = *state;
  const uint32_t *selected;
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  (void)tly_evaluate_filter(fixture->evaluator, where_of(fixture, "ratio"), NULL, 0, &selected);
  assert_int_equal(tly_evaluate_filter(fixture->evaluator, where_of(fixture, "words"), NULL, 0, &selected), 4);
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  assert_int_equal(tly_evaluate_error_count(fixture->evaluator), 0);
  assert_int_equal(tly_evaluate_filter(fixture->evaluator, where_of(fixture, "words"), NULL, 0, &selected), 4);
  assert_int_equal(selected[1], 2);
  tly_evaluator_reset(fixture->evaluator);
}

static void a_constant_that_raises_does_so_for_every_row_that_reaches_it(void **state) {
  struct fixture *fixture = *state;
  const uint32_t *selected;
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  assert_int_equal(tly_evaluate_filter(fixture->evaluator, where_of(fixture, "never"), NULL, 0, &selected), 0);
  assert_int_equal(tly_evaluate_error_count(fixture->evaluator), ROWS);
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  assert_int_equal(tly_evaluate_filter(fixture->evaluator, where_of(fixture, "later"), NULL, 0, &selected), 2);
  assert_int_equal(tly_evaluate_error_count(fixture->evaluator), ROWS - 2);
  tly_evaluator_reset(fixture->evaluator);
}

/* upper(k) || '!' over a dictionary of two is computed twice, not once a row, and its result is coded again. */
static void a_function_of_a_coded_text_is_computed_once_an_entry(void **state) {
  struct fixture *fixture = *state;
  struct tly_vector result;
  struct tly_expr *key = tly_project_view(fixture->project, "words")->keys[0], *upper = key->arguments[0];
  assert_int_equal(upper->kind, TLY_EXPR_CALL);
  tly_evaluate_begin(fixture->evaluator, &fixture->input);
  tly_evaluate(fixture->evaluator, upper, NULL, 0, &result);
  assert_ptr_equal(result.codes, codes);
  assert_int_equal(result.dictionary->count, 2);
  assert_true(tly_text_equal(tly_vector_text(&result, 3), tly_text_of("YES")));
  tly_evaluate(fixture->evaluator, key, NULL, 0, &result);
  assert_true(tly_text_equal(tly_vector_text(&result, 1), tly_text_of("NO!")));
  assert_true(tly_text_equal(tly_vector_text(&result, 5), tly_text_of("YES!")));
  tly_evaluator_reset(fixture->evaluator);
}

static struct tly_value value_of(const struct fixture *fixture, const char *query, const struct tly_value *parameters,
                                 int64_t now_us, struct tly_arena *arena) {
  struct tly_statement *statement;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_query_parse(fixture->project, query, strlen(query), arena, &statement, &error) != TLY_OK)
    fail_msg("%s", error.message);
  struct tly_evaluate_input input = {.row_count = 1, .parameters = parameters, .now_us = now_us};
  struct tly_value value;
  assert_int_equal(tly_evaluate_value(fixture->evaluator, statement->query->targets[0], &input, &value, &error),
                   TLY_OK);
  return value;
}

static void parameters_and_now_are_values_that_come_in(void **state) {
  struct fixture *fixture = *state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  const struct tly_value parameters[] = {{.type = TLY_TYPE_OF(TLY_TYPE_INTEGER), .i64 = 41},
                                         {.type = TLY_TYPE_OF(TLY_TYPE_TEXT), .is_null = true}};
  assert_int_equal(value_of(fixture, "SELECT $1::integer + 1", parameters, 0, &arena).i64, 42);
  assert_true(value_of(fixture, "SELECT $1::integer + length($2::text)", parameters, 0, &arena).is_null);
  int64_t now_us = INT64_C(1772445672345678);
  assert_int_equal(value_of(fixture, "SELECT now()", NULL, now_us, &arena).i64, now_us);
  assert_int_equal(value_of(fixture, "SELECT date_trunc('second', now()) - '1 s'::interval", NULL, now_us, &arena).i64,
                   INT64_C(1772445671000000));
  tly_evaluator_reset(fixture->evaluator);
  tly_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_filter_gives_the_rows_that_are_true_and_notes_those_that_raise),
      cmocka_unit_test(a_row_that_is_not_listed_does_not_raise),
      cmocka_unit_test(a_row_that_raised_is_out_until_the_next_begin),
      cmocka_unit_test(a_constant_that_raises_does_so_for_every_row_that_reaches_it),
      cmocka_unit_test(a_function_of_a_coded_text_is_computed_once_an_entry),
      cmocka_unit_test(parameters_and_now_are_values_that_come_in),
  };
  return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
