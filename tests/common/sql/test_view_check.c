/* WITH (check = '...'): how a control total is typed, what it is computed by, and where its errors stand. */
#include "tests/common/sql/sql_fixture.h"

static const char stream[] = "CREATE FOREIGN TABLE entries (account text NOT NULL, debit numeric(18,2) NOT NULL,"
                             " credit numeric(18,2), n int, at timestamptz) SERVER embedded;\n";

/* A view with the option `option`, which is all of the text's second line. */
static enum tly_status open_view(struct fixture *fixture, const char *option) {
  struct tly_buffer text = {0};
  tly_buffer_print(
      &text,
      "%sCREATE MATERIALIZED VIEW v WITH (recompute = '@daily',\n%s\n) AS SELECT account, count(*) AS rows,"
      " sum(debit) AS debit, sum(credit) AS credit, max(n) AS \"big\"\"est\" FROM entries GROUP BY account",
      stream, option);
  enum tly_status status = fixture_open(fixture, tly_buffer_text(&text));
  tly_buffer_free(&text);
  return status;
}

static void a_check_is_a_view_without_keys_over_the_rows_of_its_view(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(open_view(&fixture, "check = 'sum(debit) = sum(credit) AND count(*) > 0'"), TLY_OK);
  const struct tly_view *view = tly_project_view(fixture.project, "v");
  const struct tly_view *check = view->check->view;
  assert_string_equal(view->check->text, "sum(debit) = sum(credit) AND count(*) > 0");
  assert_int_equal(check->key_count, 0);
  assert_int_equal(check->stream->column_count, view->output_count);
  assert_string_equal(check->stream->columns[2].name, "debit");
  assert_true(check->stream->columns[0].not_null);
  assert_false(check->stream->columns[2].not_null);
  assert_int_equal(check->outputs[0].expression->type.id, TLY_TYPE_BOOLEAN);
  assert_int_equal(check->aggregate_count, 3);
  assert_int_equal(check->output_count, 4);
  assert_string_equal(check->outputs[1].name, "sum(debit)");
  assert_string_equal(check->outputs[3].name, "count(*)");
  assert_int_equal(check->outputs[1].expression->aggregate->argument->column, 2);
  fixture_close(&fixture);
}

static void an_aggregate_is_named_as_it_was_written_and_once(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(open_view(&fixture, "check = $$ sum(debit)\n  FILTER /* of */ (WHERE account <> 'a)  b') >= 0\n"
                                       " AND sum (debit) filter (where account <> 'a)  b') < 9 -- fine\n"
                                       " AND max(\"big\"\"est\") < 7 $$"),
                   TLY_OK);
  const struct tly_view_check *check = tly_project_view(fixture.project, "v")->check;
  assert_string_equal(check->text, "sum(debit) FILTER (WHERE account <> 'a)  b') >= 0 AND sum (debit) filter (where"
                                   " account <> 'a)  b') < 9 AND max(\"big\"\"est\") < 7");
  assert_int_equal(check->view->output_count, 3);
  assert_string_equal(check->view->outputs[1].name, "sum(debit) FILTER (WHERE account <> 'a)  b')");
  assert_string_equal(check->view->outputs[2].name, "max(\"big\"\"est\")");
  fixture_close(&fixture);
}

static void a_check_may_be_a_constant_and_a_view_may_have_none(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(open_view(&fixture, "check = '1 < 2'"), TLY_OK);
  assert_int_equal(tly_project_view(fixture.project, "v")->check->view->output_count, 1);
  assert_false(tly_project_view(fixture.project, "v")->publish_with_drift);
  fixture_close(&fixture);
  assert_int_equal(open_view(&fixture, "publish_with_drift = true"), TLY_OK);
  assert_null(tly_project_view(fixture.project, "v")->check);
  assert_true(tly_project_view(fixture.project, "v")->publish_with_drift);
  fixture_close(&fixture);
  assert_int_equal(open_view(&fixture, "publish_with_drift = 'false'"), TLY_OK);
  assert_false(tly_project_view(fixture.project, "v")->publish_with_drift);
  fixture_close(&fixture);
}

static void the_gate_is_not_part_of_the_definitions_hash(void **state) {
  struct fixture with, without;
  (void)state;
  assert_int_equal(open_view(&with, "check = 'sum(debit) > 0', publish_with_drift = true"), TLY_OK);
  assert_int_equal(open_view(&without, "time_zone = 'UTC'"), TLY_OK);
  assert_memory_equal(&tly_project_view(with.project, "v")->hash, &tly_project_view(without.project, "v")->hash,
                      sizeof(struct tly_hash));
  fixture_close(&with);
  fixture_close(&without);
}

/* `at` is what stands under the caret. */
struct refusal {
  const char *option, *sqlstate, *message, *at;
};

static void assert_refused(const struct refusal *refusal) {
  struct fixture fixture;
  assert_int_not_equal(open_view(&fixture, refusal->option), TLY_OK);
  const struct tly_diagnostic *item = &fixture.diagnostics.items[0];
  bool is_placed = item->column > 0 && item->column <= strlen(item->source_line) + 1 &&
                   strncmp(item->source_line + item->column - 1, refusal->at, strlen(refusal->at)) == 0;
  if (fixture.diagnostics.count != 1 || strcmp(item->message, refusal->message) != 0 ||
      strcmp(tly_status_sqlstate(item->status), refusal->sqlstate) != 0 || !is_placed)
    fail_msg("%s\ngot %u: %s %s at %u:%u", refusal->option, fixture.diagnostics.count,
             tly_status_sqlstate(item->status), item->message, item->line, item->column);
  fixture_close(&fixture);
}

static void a_check_is_refused_at_its_place(void **state) {
  static const struct refusal refusals[] = {
      {"check = 'sum(debit) = sum(credits)'", "42703", "column \"credits\" does not exist", "credits)"},
      {"check = 'count(*) > 0 AND account = ''x'''", "42803",
       "a check is about all rows together: a column must stand in an aggregate", "account"},
      {"check = 'bool_and(account <> ''it''''s'') AND sum(nothing) > 0'", "42703", "column \"nothing\" does not exist",
       "nothing"},
      {"check = $x$max(account) <> 'y' AND nothing$x$", "42703", "column \"nothing\" does not exist", "nothing$x$"},
      {"check = E'max(account) <> ''y'' AND nothing'", "42703", "column \"nothing\" does not exist", "nothing'"},
      {"check = E'max(account) <> \\'y\\' AND nothing'", "42703", "column \"nothing\" does not exist", "E'max"},
      {"check /* = */ = -- two\n'nothing'", "42703", "column \"nothing\" does not exist", "nothing"},
      {"\"check\"='nothing'", "42703", "column \"nothing\" does not exist", "nothing"},
      {"check = 'sum(debit)'", "42804", "argument of check must be type boolean, not type numeric", "sum(debit)"},
      {"check = 'sum(account) > 0'", "42883", "function sum(text) does not exist", "sum(account)"},
      {"check = 'sum(debit) >'", "42601", "syntax error at end of input", "'"},
      {"check = 'sum(debit) > 0 GROUP BY account'", "42601", "syntax error at or near \"GROUP\"", "GROUP"},
      {"check = 'sum(debit) > 0 LIMIT 1'", "0A000", "LIMIT is not supported", "1"},
      {"check = 'count(*) > 0, count(*) < 9'", "42601", "syntax error at or near \",\"", ","},
      {"check = 'count(*) > 0 AS x'", "42601", "syntax error at or near \"AS\"", "AS"},
      {"check = 'count(*) > 0; SELECT 1'", "42601", "a check is one condition, not several statements", "count"},
      {"check = 'count(*) > (SELECT 1)'", "0A000", "a sub-select is not supported in a view's definition", "("},
      {"check = 'now() > ''2020-01-01'''", "0A000", "the current time is not supported in a view", "now()"},
      {"check = ' -- nothing'", "22023", "the check is empty", "check"},
      {"check = 5", "22023", "option \"check\" wants a text in single quotes", "check"},
      {"publish_with_drift = 'maybe'", "22023", "option \"publish_with_drift\" is true or false, not \"maybe\"",
       "publish"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
    assert_refused(&refusals[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_check_is_a_view_without_keys_over_the_rows_of_its_view),
      cmocka_unit_test(an_aggregate_is_named_as_it_was_written_and_once),
      cmocka_unit_test(a_check_may_be_a_constant_and_a_view_may_have_none),
      cmocka_unit_test(the_gate_is_not_part_of_the_definitions_hash),
      cmocka_unit_test(a_check_is_refused_at_its_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
