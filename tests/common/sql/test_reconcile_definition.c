/* tests/common/sql/test_reconcile_definition.c -- which ledgers a view names, and what is wrong with such a name. */
#include "tests/common/sql/sql_fixture.h"

#define LEDGERS                                                                                                        \
  "CREATE FOREIGN TABLE pay (account text, amount bigint) SERVER embedded;"                                            \
  "CREATE SERVER files FOREIGN DATA WRAPPER file;"                                                                     \
  "CREATE FOREIGN TABLE bank (account text, total numeric) SERVER files OPTIONS (filename 'b.csv');"                   \
  "CREATE FOREIGN TABLE statement (account text, total numeric) SERVER files OPTIONS (filename 's.csv');\n"
#define SELECTION " AS SELECT account, sum(amount) AS total FROM pay GROUP BY account"

static void a_view_names_the_ledgers_it_is_reconciled_with(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(fixture_open(&fixture, LEDGERS "CREATE MATERIALIZED VIEW v WITH (reconcile = '30 2 * * *',"
                                                  " reconcile_with = ' bank,statement', tolerance = '0.05')" SELECTION),
                   TLY_OK);
  const struct tly_view *view = tly_project_view(fixture.project, "v");
  assert_string_equal(view->reconcile, "30 2 * * *");
  assert_string_equal(view->tolerance, "0.05");
  assert_int_equal(view->ledger_count, 2);
  assert_ptr_equal(view->ledgers[0], tly_project_ledger(fixture.project, "bank"));
  assert_ptr_equal(view->ledgers[1], tly_project_ledger(fixture.project, "statement"));
  assert_null(view->recompute);
  fixture_close(&fixture);
}

static void a_ledger_may_be_defined_behind_the_view_that_names_it(void **state) {
  struct fixture fixture;
  (void)state;
  assert_int_equal(
      fixture_open(&fixture, "CREATE FOREIGN TABLE pay (account text, amount bigint) SERVER embedded;"
                             "CREATE MATERIALIZED VIEW v WITH (reconcile = '@daily', reconcile_with = 'late')" SELECTION
                             ";CREATE SERVER files FOREIGN DATA WRAPPER file;"
                             "CREATE FOREIGN TABLE late (account text) SERVER files OPTIONS (filename 'b.csv');"),
      TLY_OK);
  assert_ptr_equal(tly_project_view(fixture.project, "v")->ledgers[0], tly_project_ledger(fixture.project, "late"));
  fixture_close(&fixture);
}

static void schedules_and_tolerances_are_no_part_of_the_definition(void **state) {
  struct fixture plain, scheduled;
  (void)state;
  assert_int_equal(fixture_open(&plain, LEDGERS "CREATE MATERIALIZED VIEW v" SELECTION), TLY_OK);
  assert_int_equal(fixture_open(&scheduled, LEDGERS "CREATE MATERIALIZED VIEW v WITH (reconcile = '@daily',"
                                                    " reconcile_with = 'bank', tolerance = '1')" SELECTION),
                   TLY_OK);
  assert_memory_equal(&tly_project_view(plain.project, "v")->hash, &tly_project_view(scheduled.project, "v")->hash,
                      sizeof(struct tly_hash));
  fixture_close(&plain);
  fixture_close(&scheduled);
}

static void what_is_wrong_is_told_with_its_place(void **state) {
  static const struct {
    const char *options, *words;
  } cases[] = {
      {"reconcile = '@daily'", "2:34 22023 reconcile without reconcile_with"},
      {"reconcile_with = 'bank'", "2:34 22023 reconcile_with without reconcile"},
      {"reconcile = '@daily', reconcile_with = 'bnak'",
       "2:56 42P01 ledger \"bnak\" does not exist (did you mean bank?)"},
      {"reconcile = '@daily', reconcile_with = 'pay'", "2:56 42P01 ledger \"pay\" does not exist"},
      {"reconcile = '@daily', reconcile_with = 'bank, bank'", "2:56 42710 ledger \"bank\" specified more than once"},
      {"reconcile = '@daily', reconcile_with = 'bank,'", "2:56 22023 reconcile_with names ledgers"},
      {"reconcile = '@daily', reconcile_with = ' '", "2:56 22023 reconcile_with names ledgers"},
      {"reconcile = '0 25 * * *', reconcile_with = 'bank'", "2:34 22023 schedule '0 25 * * *': wrong hour"},
      {"tolerance = '-1'", "2:34 22023 a tolerance is an amount of 0 or more"},
      {"tolerance = 'much'", "2:34 22023 a tolerance is an amount of 0 or more"},
      {"time_zone = 'Europe/Berlin'", "2:34 22023 time_zone without recompute or reconcile"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture fixture;
    struct tly_buffer text = {0}, words = {0};
    tly_buffer_print(&text, "%sCREATE MATERIALIZED VIEW v WITH (%s)%s", LEDGERS, cases[i].options, SELECTION);
    assert_int_not_equal(fixture_open(&fixture, tly_buffer_text(&text)), TLY_OK);
    const struct tly_diagnostic *first = &fixture.diagnostics.items[0];
    tly_buffer_print(&words, "%u:%u %s %s%s%s%s", first->line, first->column, tly_status_sqlstate(first->status),
                     first->message, first->hint != NULL ? " (" : "", first->hint != NULL ? first->hint : "",
                     first->hint != NULL ? ")" : "");
    if (strncmp(tly_buffer_text(&words), cases[i].words, strlen(cases[i].words)) != 0)
      fail_msg("%s\nexpected: %s\n     got: %s", cases[i].options, cases[i].words, tly_buffer_text(&words));
    tly_buffer_free(&text);
    tly_buffer_free(&words);
    fixture_close(&fixture);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_view_names_the_ledgers_it_is_reconciled_with),
      cmocka_unit_test(a_ledger_may_be_defined_behind_the_view_that_names_it),
      cmocka_unit_test(schedules_and_tolerances_are_no_part_of_the_definition),
      cmocka_unit_test(what_is_wrong_is_told_with_its_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
