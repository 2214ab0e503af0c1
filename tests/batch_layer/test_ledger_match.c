/* tests/batch_layer/test_ledger_match.c -- which columns belong together, in what form, and what does not fit. */
#include "tests/common/store/view_fixture.h"

#include "batch_layer/ledger_match.h"

#define STREAM                                                                                                         \
  "CREATE FOREIGN TABLE e (a text, small smallint, n integer, big bigint, amount numeric(18,2), free numeric,"         \
  " d double precision, day date, at timestamptz, ok boolean, id uuid) SERVER embedded;"                               \
  "CREATE SERVER bank FOREIGN DATA WRAPPER sqlite OPTIONS (path 'bank.db');"

static struct tly_project *project;
static struct tly_arena arena;
static struct tly_ledger_match match;

static enum tly_status match_of(const char *view, const char *columns) {
  struct tly_buffer text = {0};
  tly_buffer_print(&text, STREAM "CREATE MATERIALIZED VIEW v AS %s; CREATE FOREIGN TABLE l (%s) SERVER bank;", view,
                   columns);
  tly_arena_init(&arena);
  project = parse_project(tly_buffer_text(&text));
  tly_buffer_free(&text);
  test_error = TLY_ERROR_NONE;
  return tly_ledger_match(&project->views[0], &project->ledgers[0], &arena, &match, &test_error);
}

static void forget(void) {
  tly_project_free(project);
  tly_arena_free(&arena);
}

static void assert_refused(const char *view, const char *columns, enum tly_status status, const char *words) {
  assert_int_equal(match_of(view, columns), status);
  if (strstr(test_error.message, words) == NULL)
    fail_msg("expected: %s\ngot: %s", words, test_error.message);
  assert_true(test_error.hint[0] != '\0');
  forget();
}

static void keys_come_from_group_by_and_the_rest_by_name(void **state) {
  (void)state;
  assert_int_equal(match_of("SELECT sum(amount) AS total, day, a AS account, count(*) AS events, max(n) AS most"
                            " FROM e GROUP BY a, day",
                            "most int, note text, total numeric(18,2), day date, account varchar(20)"),
                   TLY_OK);
  assert_int_equal(match.key_count, 2);
  assert_string_equal(match.keys[0].name, "account");
  assert_int_equal(match.keys[0].output, 2);
  assert_int_equal(match.keys[0].column, 4);
  assert_int_equal(match.keys[0].type.id, TLY_TYPE_TEXT);
  assert_string_equal(match.keys[1].name, "day");
  assert_int_equal(match.compared_count, 2);
  assert_string_equal(match.compared[0].name, "total");
  assert_int_equal(match.compared[0].column, 2);
  assert_string_equal(match.compared[1].name, "most");
  assert_int_equal(match.amount_count, 2);
  assert_int_equal(match.currency, -1);
  assert_int_equal(match.only_in_view_count, 1);
  assert_string_equal(match.only_in_view[0], "events");
  assert_int_equal(match.only_in_ledger_count, 1);
  assert_string_equal(match.only_in_ledger[0], "note");
  forget();
}

static void of_two_outputs_of_a_key_the_one_that_the_ledger_has_is_taken(void **state) {
  (void)state;
  assert_int_equal(
      match_of("SELECT a AS first, a AS currency, count(*) AS n FROM e GROUP BY a", "currency text, n bigint"), TLY_OK);
  assert_string_equal(match.keys[0].name, "currency");
  assert_int_equal(match.currency, 0);
  assert_int_equal(match.compared_count, 1);
  forget();
}

static void a_view_without_group_by_has_an_empty_key(void **state) {
  (void)state;
  assert_int_equal(match_of("SELECT count(*) AS n FROM e", "n bigint"), TLY_OK);
  assert_int_equal(match.key_count, 0);
  assert_int_equal(match.compared_count, 1);
  forget();
}

static void what_cannot_be_matched_is_refused_by_name(void **state) {
  (void)state;
  assert_refused("SELECT count(*) AS n FROM e GROUP BY a", "a text, n bigint", TLY_E_UNDEFINED_COLUMN,
                 "view \"v\" has no output for column 1 of its GROUP BY");
  assert_refused("SELECT day, upper(a) AS a, count(*) AS n FROM e GROUP BY day, a", "a text, day date, n bigint",
                 TLY_E_UNDEFINED_COLUMN, "view \"v\" has no output for column 2 of its GROUP BY");
  assert_refused("SELECT a, count(*) AS n FROM e GROUP BY a", "account text, n bigint", TLY_E_UNDEFINED_COLUMN,
                 "ledger \"l\" has no column \"a\", which is a key of view \"v\"");
  assert_refused("SELECT a, count(*) AS n FROM e GROUP BY a", "a text, m bigint", TLY_E_UNDEFINED_COLUMN,
                 "ledger \"l\" has nothing to compare with view \"v\" but its keys");
}

static void only_types_that_mean_the_same_are_compared(void **state) {
  (void)state;
  static const struct {
    const char *output, *column;
    enum tly_type_id type; /* UNKNOWN: refused */
  } cases[] = {
      {"max(small)", "bigint", TLY_TYPE_BIGINT},
      {"max(n)", "smallint", TLY_TYPE_BIGINT},
      {"sum(n)", "numeric(10,2)", TLY_TYPE_NUMERIC},
      {"sum(big)", "integer", TLY_TYPE_NUMERIC},
      {"sum(amount)", "numeric", TLY_TYPE_NUMERIC},
      {"max(free)", "bigint", TLY_TYPE_NUMERIC},
      {"max(a)", "varchar(3)", TLY_TYPE_TEXT},
      {"max(d)", "double precision", TLY_TYPE_DOUBLE},
      {"max(day)", "date", TLY_TYPE_DATE},
      {"max(at)", "timestamptz", TLY_TYPE_TIMESTAMPTZ},
      {"bool_and(ok)", "boolean", TLY_TYPE_BOOLEAN},
      {"max(d)", "numeric", TLY_TYPE_UNKNOWN},
      {"sum(amount)", "double precision", TLY_TYPE_UNKNOWN},
      {"sum(amount)", "text", TLY_TYPE_UNKNOWN},
      {"max(day)", "timestamp", TLY_TYPE_UNKNOWN},
      {"max(at)", "timestamp", TLY_TYPE_UNKNOWN},
      {"bool_and(ok)", "integer", TLY_TYPE_UNKNOWN},
      {"max(a)", "uuid", TLY_TYPE_UNKNOWN},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char view[100], columns[100];
    snprintf(view, sizeof view, "SELECT a, %s AS x FROM e GROUP BY a", cases[i].output);
    snprintf(columns, sizeof columns, "a text, x %s", cases[i].column);
    enum tly_status status = match_of(view, columns);
    if (status != (cases[i].type == TLY_TYPE_UNKNOWN ? TLY_E_DATATYPE_MISMATCH : TLY_OK) ||
        (status == TLY_OK && match.compared[0].type.id != cases[i].type))
      fail_msg("%s against %s: status %d", cases[i].output, cases[i].column, (int)status);
    forget();
  }
  assert_refused("SELECT a, sum(amount) AS x FROM e GROUP BY a", "a text, x text", TLY_E_DATATYPE_MISMATCH,
                 "column \"x\" is numeric in view \"v\" and text in ledger \"l\"");
  assert_refused("SELECT n, count(*) AS x FROM e GROUP BY n", "n text, x bigint", TLY_E_DATATYPE_MISMATCH,
                 "column \"n\" is integer in view \"v\" and text in ledger \"l\"");
}

static void both_sides_values_have_one_form_and_one_encoding(void **state) {
  (void)state;
  struct tly_buffer ours = {0}, theirs = {0};
  assert_int_equal(match_of("SELECT amount, count(*) AS n FROM e GROUP BY amount", "amount integer, n smallint"),
                   TLY_OK);
  struct tly_value cents = {.type = {.id = TLY_TYPE_NUMERIC, .precision = 18, .scale = 2}, .i64 = -1200};
  struct tly_value whole = {.type = TLY_TYPE_OF(TLY_TYPE_INTEGER), .i64 = -12};
  struct tly_value a = tly_ledger_pair_value(&match.keys[0], &cents), b = tly_ledger_pair_value(&match.keys[0], &whole);
  tly_key_append(&ours, &a);
  tly_key_append(&theirs, &b);
  assert_int_equal(ours.size, theirs.size);
  assert_memory_equal(ours.data, theirs.data, ours.size);
  struct tly_value none = tly_value_null(TLY_TYPE_OF(TLY_TYPE_SMALLINT));
  a = tly_ledger_pair_value(&match.compared[0], &none);
  assert_true(a.is_null && a.type.id == TLY_TYPE_BIGINT);
  tly_buffer_free(&ours);
  tly_buffer_free(&theirs);
  forget();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_come_from_group_by_and_the_rest_by_name),
      cmocka_unit_test(of_two_outputs_of_a_key_the_one_that_the_ledger_has_is_taken),
      cmocka_unit_test(a_view_without_group_by_has_an_empty_key),
      cmocka_unit_test(what_cannot_be_matched_is_refused_by_name),
      cmocka_unit_test(only_types_that_mean_the_same_are_compared),
      cmocka_unit_test(both_sides_values_have_one_form_and_one_encoding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
