/* Proofs are never wrong: of numeric precision and scale (against what a real PostgreSQL computed over extreme values),
 * of NULL, and of errors. */
#include <stdlib.h>

#include "common/base/file.h"
#include "tests/common/sql/sql_fixture.h"

/* The view `x` has the columns of numeric_scales.sql: n numeric(12,2), m without limits, integers. */
static void check_line(struct fixture *fixture, char *line, unsigned *proven) {
  char *columns[4] = {line};
  for (unsigned i = 1; i < 4; i++) {
    columns[i] = strchr(columns[i - 1], '\t');
    assert_non_null(columns[i]);
    *columns[i]++ = '\0';
  }
  const struct tly_expr *expression = fixture_expression(fixture, columns[0]);
  bool is_proven = expression->type.id == TLY_TYPE_NUMERIC && expression->type.precision > 0;
  if (!is_proven || columns[1][0] == '\0')
    return;
  (*proven)++;
  bool holds = expression->type.scale == atoi(columns[1]) && expression->type.scale == atoi(columns[2]) &&
               expression->type.precision >= atoi(columns[3]);
  if (!holds)
    fail_msg("%s: proof (%d,%d), but scales %s to %s and %s digits were seen", columns[0], expression->type.precision,
             expression->type.scale, columns[1], columns[2], columns[3]);
}

static void numeric_proofs_hold_for_what_postgresql_computes(void **state) {
  struct tly_buffer table = {.data = NULL};
  unsigned lines = 0, proven = 0;
  assert_int_equal(tly_file_read("tests/common/sql/numeric_scales.tsv", 1 << 20, &table, NULL), TLY_OK);
  char *save;
  for (char *line = strtok_r(tly_buffer_text(&table), "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
    check_line(*state, line, &proven);
    lines++;
  }
  assert_true(lines > 2000);
  assert_true(proven > lines / 3); /* proofs that always give up would hold too */
  tly_buffer_free(&table);
}

static void numeric_proofs_are_as_narrow_as_they_can_be(void **state) {
  static const struct {
    const char *expression;
    int precision, scale;
  } cases[] = {
      {"n", 12, 2},
      {"m", 0, 0},
      {"1.50", 3, 2},
      {"0.005", 3, 3},
      {"n + n", 13, 2},
      {"n + 1", 13, 2},
      {"n * n", 24, 4},
      {"n * 2", 13, 2},
      {"n * i4", 22, 2},
      {"n * i8", 31, 2},
      {"n * n * n", 36, 6},
      {"n * n * n * n", 0, 0},
      {"n / 2", 0, 0},
      {"n % 7", 3, 2},
      {"-n", 12, 2},
      {"abs(n)", 12, 2},
      {"round(n)", 11, 0},
      {"round(n, 1)", 12, 1},
      {"round(n, 4)", 15, 4},
      {"round(n, -3)", 11, 0},
      {"round(n, i4)", 0, 0},
      {"floor(n)", 11, 0},
      {"ceil(n)", 11, 0},
      {"n::numeric(5,1)", 5, 1},
      {"m::numeric(5,1)", 5, 1},
      {"n::numeric", 12, 2},
      {"i4::numeric", 10, 0},
      {"5::numeric", 1, 0},
      {"f8::numeric", 0, 0},
      {"t::numeric", 0, 0},
      {"'12.30'::numeric", 4, 2},
      {"'12.30'::numeric(10,1)", 3, 1},
      {"coalesce(n, 0.00)", 12, 2},
      {"coalesce(n, 0)", 0, 0},
      {"coalesce(n, NULL)", 12, 2},
      {"CASE WHEN b THEN n ELSE n * 10 END", 14, 2},
      {"CASE WHEN b THEN n END", 12, 2},
      {"CASE WHEN b THEN n ELSE 1.5 END", 0, 0},
      {"greatest(n, 1.00)", 12, 2},
      {"nullif(n, 0)", 12, 2},
      {"sum(n)", 0, 0},
      {"min(n)", 12, 2},
      {"avg(n)", 0, 0},
      {"max(n) OVER ()", 12, 2},
      {"lag(n, 1, 0.00) OVER ()", 12, 2},
      {"extract(day from tz)", 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_type type = fixture_expression(*state, cases[i].expression)->type;
    if (type.precision != cases[i].precision || type.scale != cases[i].scale)
      fail_msg("%s: proof (%d,%d)", cases[i].expression, type.precision, type.scale);
  }
}

/* n alone is NOT NULL in the fixture. */
static void null_is_possible_exactly_where_it_is(void **state) {
  static const struct {
    const char *expression;
    bool nullable;
  } cases[] = {
      {"n", false},
      {"m", true},
      {"1", false},
      {"NULL", true},
      {"n + 1", false},
      {"n + m", true},
      {"m IS NULL", false},
      {"m IS DISTINCT FROM n", false},
      {"b IS TRUE", false},
      {"coalesce(m, n)", false},
      {"coalesce(m, i4)", true},
      {"nullif(n, 0)", true},
      {"CASE WHEN b THEN n ELSE 1.5 END", false},
      {"CASE WHEN b THEN n END", true},
      {"greatest(m, n)", false},
      {"n > 1 AND n < 5", false},
      {"n > 1 AND b", true},
      {"n IN (1, 2)", false},
      {"n IN (1, NULL)", true},
      {"count(m)", false},
      {"sum(n)", true},
      {"row_number() OVER ()", false},
      {"lag(n) OVER ()", true},
      {"now()", false},
      {"EXISTS (SELECT 1)", false},
      {"(SELECT 1)", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (fixture_expression(*state, cases[i].expression)->nullable != cases[i].nullable)
      fail_msg("%s: nullable is wrong", cases[i].expression);
}

static void an_error_is_possible_exactly_where_it_is(void **state) {
  static const struct {
    const char *expression;
    bool can_raise;
  } cases[] = {
      {"n", false},
      {"i4 + 1", true},
      {"n + 1", false},
      {"m + 1", true},
      {"n * n", false},
      {"n * n * n * n", true},
      {"n / 2", false},
      {"n % 2", false},
      {"i4 < 5", false},
      {"n = m", false},
      {"i4 + 1 < 5", true},
      {"f8 * 2", true},
      {"f8 < 2", false},
      {"-f8", false},
      {"-i4", true},
      {"abs(n)", false},
      {"i4::bigint", false},
      {"i8::integer", true},
      {"n::integer", true},
      {"n::numeric(20,2)", false},
      {"n::numeric(11,1)", true},
      {"n::numeric(12,1)", false},
      {"m::numeric(12,1)", true},
      {"t::integer", true},
      {"i4::text", false},
      {"t::varchar(3)", false},
      {"lower(t) || 'x'", false},
      {"t LIKE 'a%'", false},
      {"t LIKE 'a\\'", true},
      {"t LIKE 'a\\\\'", false},
      {"t LIKE v", true},
      {"left(t, 3)", false},
      {"substr(t, 1, i4)", true},
      {"b AND i4 > 5", false},
      {"CASE WHEN b THEN i4 ELSE i4 / 0 END", true},
      {"coalesce(n, 1.5)", false},
      {"d > ts", false},
      {"d + 1", true},
      {"d::timestamp", true},
      {"ts::date", false},
      {"i4 / 2", false},
      {"i4 / -1", true},
      {"i4 / i8", true},
      {"n / 0", true},
      {"m / 2", true},
      {"date_trunc('day', tz)", false},
      {"date_trunc('dya', tz)", true},
      {"date_trunc(t, tz)", true},
      {"date_trunc('day', tz, 'UTC')", true},
      {"tz AT TIME ZONE 'UTC'", false},
      {"tz AT TIME ZONE 'Europe/Berlin'", true},
      {"extract(year from ts)", false},
      {"extract(hour from d)", true},
      {"count(i4)", false},
      {"count(i4 / i8)", true},
      {"sum(i4)", true},
      {"max(i4)", false},
      {"EXISTS (SELECT 1 / i4)", true},
      {"EXISTS (SELECT i4)", false},
      {"rank() OVER (ORDER BY i4)", false},
      {"rank() OVER (ORDER BY i4 / i8)", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (fixture_expression(*state, cases[i].expression)->can_raise != cases[i].can_raise)
      fail_msg("%s: can_raise is wrong", cases[i].expression);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numeric_proofs_hold_for_what_postgresql_computes),
      cmocka_unit_test(numeric_proofs_are_as_narrow_as_they_can_be),
      cmocka_unit_test(null_is_possible_exactly_where_it_is),
      cmocka_unit_test(an_error_is_possible_exactly_where_it_is),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
