/* What queries.out says a real PostgreSQL 15 answers to the queries of queries.sql, the front end must answer: names
 * and types of the columns, or the error's words and the word its caret stands under. scripts/generate-query-results
 * makes the file. */
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
    "CREATE FOREIGN TABLE s (account text NOT NULL, day timestamptz NOT NULL, total numeric) SERVER embedded;"
    "CREATE MATERIALIZED VIEW daily AS SELECT account, day, sum(5) AS n, sum(total) AS total FROM s GROUP BY 1, 2;"
    "CREATE MATERIALIZED VIEW hourly AS SELECT account, day AS hour, sum(5) AS n, sum(total) AS total FROM s"
    " GROUP BY 1, 2;";

static void render(const struct tly_project *project, const char *sql, struct tly_buffer *out) {
  struct tly_arena arena;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_statement *statement;
  tly_arena_init(&arena);
  if (tly_query_parse(project, sql, strlen(sql), &arena, &statement, &error) != TLY_OK) {
    error.hint[0] = '\0';
    tly_diagnostic_print_query(sql, &error, out);
  } else {
    for (uint32_t i = 0; i < statement->query->column_count; i++)
      tly_buffer_print(out, "%s|%s\n", statement->query->columns[i].name,
                       tly_type_name(statement->query->columns[i].type));
  }
  tly_arena_free(&arena);
}

/* Some errors have no place in PostgreSQL: then only the message is compared. */
static bool same_answer(char *expected, char *got) {
  bool is_placed = strstr(expected, "\nLINE ") != NULL;
  if (strncmp(expected, "ERROR:", 6) == 0 && strncmp(got, "ERROR:", 6) == 0 && !is_placed) {
    *strchr(expected, '\n') = '\0';
    *strchr(got, '\n') = '\0';
  }
  return strcmp(expected, got) == 0;
}

/* Blanks at the ends of lines are not kept in queries.out. */
static void strip_line_ends(struct tly_buffer *text) {
  size_t kept = 0;
  for (size_t i = 0; i < text->size; i++) {
    while (text->data[i] == '\n' && kept > 0 && text->data[kept - 1] == ' ')
      kept--;
    text->data[kept++] = text->data[i];
  }
  text->size = kept;
}

static bool check(const struct tly_project *project, const char *sql, struct tly_buffer *expected) {
  struct tly_buffer got = {.data = NULL};
  render(project, sql, &got);
  strip_line_ends(&got);
  bool same = same_answer(tly_buffer_text(expected), tly_buffer_text(&got));
  if (!same)
    print_message("%s\n  expected:\n%s  got:\n%s\n", sql, tly_buffer_text(expected), tly_buffer_text(&got));
  tly_buffer_free(&got);
  return same;
}

static void every_query_is_answered_as_postgresql_answers_it(void **state) {
  (void)state;
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  struct tly_buffer file = {.data = NULL}, expected = {.data = NULL};
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("x.sql", definitions, &diagnostics, &project), TLY_OK);
  assert_int_equal(tly_file_read("tests/common/sql/queries.out", 1 << 20, &file, NULL), TLY_OK);
  unsigned queries = 0, wrong = 0;
  const char *sql = NULL;
  for (char *line = strtok(tly_buffer_text(&file), "\n"); line != NULL; line = strtok(NULL, "\n")) {
    char *end = strstr(line, "\\gdesc");
    if (end == NULL) {
      size_t size = strlen(line);
      while (size > 0 && line[size - 1] == ' ')
        size--;
      char *typmod = strstr(line, "|numeric(");
      if (typmod != NULL) /* a type is shown without its modifiers here */
        size = (size_t)(typmod - line) + strlen("|numeric");
      tly_buffer_print(&expected, "%.*s\n", (int)size, line);
      continue;
    }
    if (sql != NULL)
      wrong += !check(project, sql, &expected);
    tly_buffer_clear(&expected);
    *end = '\0'; /* the blank before it is part of what psql sent */
    sql = line;
    queries++;
  }
  wrong += !check(project, sql, &expected);
  assert_true(queries > 100);
  assert_int_equal(wrong, 0);
  tly_buffer_free(&file);
  tly_buffer_free(&expected);
  tly_project_free(project);
  tly_diagnostics_free(&diagnostics);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_query_is_answered_as_postgresql_answers_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
