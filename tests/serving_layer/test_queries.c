/* Every query of queries.sql has PostgreSQL's answer (queries.expected, by generate_queries.py), wherever the cut fell:
 * all live, all in the run, or half of each. */
#include "tests/serving_layer/fixture.h"

#include <jansson.h>
#include <math.h>

struct context {
  struct tly_buffer views, events, queries, expected;
};

static struct context context;

static int read_files(void **state) {
  struct tly_error error = TLY_ERROR_NONE;
  (void)state;
  assert_int_equal(tly_file_read("tests/serving_layer/views.sql", 1 << 20, &context.views, &error), TLY_OK);
  assert_int_equal(tly_file_read("tests/common/engine/events.ndjson", 1 << 24, &context.events, &error), TLY_OK);
  assert_int_equal(tly_file_read("tests/serving_layer/queries.sql", 1 << 20, &context.queries, &error), TLY_OK);
  assert_int_equal(tly_file_read("tests/serving_layer/queries.expected", 1 << 24, &context.expected, &error), TLY_OK);
  return 0;
}

static int free_files(void **state) {
  (void)state;
  tly_buffer_free(&context.views);
  tly_buffer_free(&context.events);
  tly_buffer_free(&context.queries);
  tly_buffer_free(&context.expected);
  return 0;
}

/* Rows as 0x1f- and 0x1e-separated text again. */
static void join_rows(const json_t *rows, struct tly_buffer *out) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    for (size_t f = 0; f < json_array_size(row); f++) {
      const char *text = json_string_value(json_array_get(row, f));
      tly_buffer_append_text(out, text != NULL ? text : "\x02");
      tly_buffer_append_byte(out, 0x1f);
    }
    tly_buffer_append_byte(out, 0x1e);
  }
}

static int compare_lines(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Split at 0x1e, sorted when `sort`. The texts are cut in place. */
static char **split_rows(char *text, size_t *count, bool sort) {
  char **rows = tly_calloc(1 << 16, sizeof *rows);
  *count = 0;
  for (char *row = text, *end; (end = strchr(row, 0x1e)) != NULL; row = end + 1) {
    *end = 0;
    rows[(*count)++] = row;
  }
  if (sort)
    qsort(rows, *count, sizeof *rows, compare_lines);
  return rows;
}

static bool same_field(const char *a, size_t a_size, const char *b, size_t b_size) {
  char a_text[2048], b_text[2048], *a_end, *b_end;
  if (a_size == b_size && memcmp(a, b, a_size) == 0)
    return true;
  if (a_size >= sizeof a_text || b_size >= sizeof b_text || a_size == 0 || b_size == 0)
    return false;
  memcpy(a_text, a, a_size);
  memcpy(b_text, b, b_size);
  a_text[a_size] = b_text[b_size] = 0;
  long double x = strtold(a_text, &a_end), y = strtold(b_text, &b_end);
  return *a_end == 0 && *b_end == 0 && fabsl(x - y) <= 1e-15L * fabsl(x); /* display scale, last digit of a double */
}

static bool same_row(const char *a, const char *b) {
  for (;;) {
    const char *a_end = strchr(a, 0x1f), *b_end = strchr(b, 0x1f);
    if (a_end == NULL || b_end == NULL)
      return a_end == b_end;
    if (!same_field(a, (size_t)(a_end - a), b, (size_t)(b_end - b)))
      return false;
    a = a_end + 1;
    b = b_end + 1;
  }
}

static void printable(char *text) {
  for (; *text != 0; text++)
    if (*text == 0x1f)
      *text = '|';
    else if (*text == 0x1e)
      *text = '\n';
    else if (*text == 2)
      *text = '~';
}

static int check_rows(const char *sql, struct fixture_answer *answer, const json_t *rows) {
  struct tly_buffer expected = {0};
  bool sort = strstr(sql, "ORDER BY") == NULL;
  size_t count, wanted_count;
  int wrong = 0;
  join_rows(rows, &expected);
  char **got = split_rows(tly_buffer_text(&answer->text), &count, sort);
  char **wanted = split_rows(tly_buffer_text(&expected), &wanted_count, sort);
  if (count != wanted_count) {
    print_error("%s\n  %zu rows, not %zu\n  %s\n", sql, count, wanted_count, tly_buffer_text(&answer->sql));
    wrong = 1;
  }
  for (size_t i = 0; wrong == 0 && i < count; i++)
    if (!same_row(got[i], wanted[i])) {
      printable(got[i]);
      printable(wanted[i]);
      print_error("%s\n  row %zu:   %s\n  expected: %s\n  %s\n", sql, i, got[i], wanted[i],
                  tly_buffer_text(&answer->sql));
      wrong = 1;
    }
  tly_free(got);
  tly_free(wanted);
  tly_buffer_free(&expected);
  return wrong;
}

static int check_query(struct fixture_store *store, const char *sql, const json_t *expected) {
  const char *sqlstate = json_string_value(json_object_get(expected, "sqlstate"));
  struct fixture_answer answer;
  int wrong = 0;
  enum tly_status status = fixture_query(store, sql, NULL, &answer);
  if (status == TLY_OK && sqlstate == NULL)
    wrong = check_rows(sql, &answer, json_object_get(expected, "rows"));
  else if (strcmp(tly_status_sqlstate(status), sqlstate != NULL ? sqlstate : "00000") != 0) {
    print_error("%s\n  %s: %s, not %s\n  %s\n", sql, tly_status_sqlstate(status), answer.error.message,
                sqlstate != NULL ? sqlstate : "success", tly_buffer_text(&answer.sql));
    wrong = 1;
  }
  fixture_answer_free(&answer);
  return wrong;
}

static void check_all(int64_t cut) {
  struct fixture_store store;
  int wrong = 0;
  fixture_store_init(&store, tly_buffer_text(&context.views), tly_buffer_text(&context.events), context.events.size,
                     cut);
  const char *expected = tly_buffer_text(&context.expected);
  for (const char *query = tly_buffer_text(&context.queries); *query != 0;) {
    const char *end = strchr(query, '\n');
    if (strncmp(query, "--", 2) != 0) {
      char *sql = tly_strdup(query);
      sql[end - query - 1] = 0; /* without the semicolon */
      const char *expected_end = strchr(expected, '\n');
      json_t *answer = json_loadb(expected, (size_t)(expected_end - expected), 0, NULL);
      assert_non_null(answer);
      wrong += check_query(&store, sql, answer);
      json_decref(answer);
      tly_free(sql);
      expected = expected_end + 1;
    }
    query = end + 1;
  }
  fixture_store_free(&store);
  assert_int_equal(wrong, 0);
}

static void answers_are_postgresqls_when_all_is_live(void **state) {
  (void)state;
  check_all(0);
}

static void answers_are_postgresqls_when_half_is_in_the_run(void **state) {
  (void)state;
  check_all(350);
}

static void answers_are_postgresqls_when_all_is_in_the_run(void **state) {
  (void)state;
  check_all(700);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers_are_postgresqls_when_half_is_in_the_run),
      cmocka_unit_test(answers_are_postgresqls_when_all_is_live),
      cmocka_unit_test(answers_are_postgresqls_when_all_is_in_the_run),
  };
  return cmocka_run_group_tests(tests, read_files, free_files);
}
