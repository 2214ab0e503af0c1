/* What expression_types.tsv says a real PostgreSQL 15 makes of some 7,000 expressions, the front end must make of them:
 * the same type, or the same SQLSTATE. scripts/generate-expression-types makes the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/sql/project.h"

static const char definitions[] =
    "CREATE FOREIGN TABLE s (b boolean, i2 smallint, i4 integer, i8 bigint, n numeric(12,2), f8 double precision,"
    " t text, v varchar(5), d date, ts timestamp, tz timestamptz, u uuid) SERVER embedded;"
    "CREATE MATERIALIZED VIEW x AS SELECT b, i2, i4, i8, n, f8, t, v, d, ts, tz, u FROM s"
    " GROUP BY b, i2, i4, i8, n, f8, t, v, d, ts, tz, u;";

/* Differences that are meant, by name: an interval is an operand only; var and stddev are exact or refused. */
static bool is_refused_by_design(const char *expected, const struct tly_error *error) {
  if (error->status != TLY_E_NOT_SUPPORTED)
    return false;
  return strcmp(expected, "interval") == 0 || strstr(error->message, "over double precision is not supported") != NULL;
}

static bool agrees(const struct tly_project *project, const char *expression, const char *expected, char *got,
                   size_t got_size) {
  struct tly_arena arena;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_statement *statement;
  char sql[512];
  int size = snprintf(sql, sizeof sql, "SELECT %s AS r FROM x", expression);
  tly_arena_init(&arena);
  enum tly_status status = tly_query_parse(project, sql, (size_t)size, &arena, &statement, &error);
  snprintf(got, got_size, "%s",
           status == TLY_OK ? tly_type_name(statement->query->columns[0].type) : tly_status_sqlstate(status));
  bool same = strcmp(got, expected) == 0 || is_refused_by_design(expected, &error);
  if (status != TLY_OK)
    snprintf(got, got_size, "%s %s", tly_status_sqlstate(status), error.message);
  tly_arena_free(&arena);
  return same;
}

static void every_expression_has_the_type_postgresql_gives_it(void **state) {
  (void)state;
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  struct tly_buffer table = {.data = NULL};
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("x.sql", definitions, &diagnostics, &project), TLY_OK);
  assert_int_equal(tly_file_read("tests/common/sql/expression_types.tsv", 1 << 20, &table, NULL), TLY_OK);
  unsigned lines = 0, wrong = 0;
  for (char *line = strtok(tly_buffer_text(&table), "\n"); line != NULL; line = strtok(NULL, "\n")) {
    char *tab = strchr(line, '\t'), got[700];
    assert_non_null(tab);
    *tab = '\0';
    lines++;
    if (agrees(project, line, tab + 1, got, sizeof got))
      continue;
    wrong++;
    print_message("%s: expected %s, got %s\n", line, tab + 1, got);
  }
  assert_true(lines > 7000);
  assert_int_equal(wrong, 0);
  tly_buffer_free(&table);
  tly_project_free(project);
  tly_diagnostics_free(&diagnostics);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_expression_has_the_type_postgresql_gives_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
