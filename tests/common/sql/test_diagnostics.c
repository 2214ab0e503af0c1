#include "common/sql/position.h"
#include "tests/common/sql/sql_fixture.h"

static void add(struct tly_diagnostics *diagnostics, const char *text, uint32_t offset, const char *hint) {
  struct tly_error error = TLY_ERROR_NONE;
  (void)TLY_FAIL(&error, TLY_E_SYNTAX, "wrong word");
  if (hint != NULL)
    tly_error_hint(&error, "%s", hint);
  tly_diagnostics_add(diagnostics, "a.sql", text, offset != UINT32_MAX, offset == UINT32_MAX ? 0 : offset, &error);
}

static void assert_printed(const struct tly_diagnostics *diagnostics, const char *expected) {
  struct tly_buffer out = {.data = NULL};
  tly_diagnostics_print(diagnostics, &out);
  assert_string_equal(tly_buffer_text(&out), expected);
  tly_buffer_free(&out);
}

static void a_problem_shows_its_line_and_a_caret_under_the_word(void **state) {
  struct tly_diagnostics diagnostics;
  (void)state;
  tly_diagnostics_init(&diagnostics);
  add(&diagnostics, "first\n\tsecond wrong\r\nthird", 14, "right");
  assert_int_equal(diagnostics.items[0].line, 2);
  assert_int_equal(diagnostics.items[0].column, 9);
  assert_printed(&diagnostics, "a.sql:2:9: wrong word\n  \tsecond wrong\n  \t       ^\n  hint: right\n");
  tly_diagnostics_free(&diagnostics);
}

static void columns_count_characters_and_not_bytes(void **state) {
  struct tly_diagnostics diagnostics;
  (void)state;
  tly_diagnostics_init(&diagnostics);
  add(&diagnostics, "'äö€' wrong", 10, NULL);
  assert_printed(&diagnostics, "a.sql:1:7: wrong word\n  'äö€' wrong\n        ^\n");
  tly_diagnostics_free(&diagnostics);
}

static void a_problem_of_a_whole_file_has_no_line(void **state) {
  struct tly_diagnostics diagnostics;
  (void)state;
  tly_diagnostics_init(&diagnostics);
  add(&diagnostics, "", UINT32_MAX, NULL);
  assert_null(diagnostics.items[0].source_line);
  assert_printed(&diagnostics, "a.sql: wrong word\n");
  tly_diagnostics_free(&diagnostics);
}

static void an_offset_behind_the_end_is_the_end(void **state) {
  struct tly_diagnostics diagnostics;
  (void)state;
  tly_diagnostics_init(&diagnostics);
  add(&diagnostics, "abc", 99, NULL);
  assert_printed(&diagnostics, "a.sql:1:4: wrong word\n  abc\n     ^\n");
  for (unsigned i = 0; i < 100; i++)
    add(&diagnostics, "abc", 0, NULL);
  assert_int_equal(diagnostics.count, 101);
  assert_int_equal(diagnostics.items[100].column, 1);
  tly_diagnostics_free(&diagnostics);
}

static void a_long_line_of_a_query_is_cut_around_its_caret(void **state) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer out = {.data = NULL};
  char sql[1001];
  (void)state;
  memset(sql, 'x', 1000);
  sql[1000] = '\0';
  (void)TLY_FAIL(&error, TLY_E_SYNTAX, "wrong");
  error.position = 500;
  tly_diagnostic_print_query(sql, &error, &out);
  assert_true(out.size < 200);
  const char *line = strchr(tly_buffer_text(&out), '\n') + 1, *caret = strchr(line, '\n') + 1;
  assert_memory_equal(line, "LINE 1: ...xxx", 14);
  assert_int_equal(strchr(caret, '^') - caret, 8 + 3 + 50);
  tly_buffer_free(&out);
}

static void positions_and_offsets_are_inverse(void **state) {
  const char *text = "aä€😀z";
  size_t size = strlen(text);
  (void)state;
  for (uint32_t position = 1; position <= 6; position++)
    assert_int_equal(tly_position_of_offset(text, size, tly_position_to_offset(text, size, position)), position);
  assert_int_equal(tly_position_to_offset(text, size, 6), size);
  assert_int_equal(tly_position_to_offset(text, size, 99), size);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_problem_shows_its_line_and_a_caret_under_the_word),
      cmocka_unit_test(columns_count_characters_and_not_bytes),
      cmocka_unit_test(a_problem_of_a_whole_file_has_no_line),
      cmocka_unit_test(an_offset_behind_the_end_is_the_end),
      cmocka_unit_test(a_long_line_of_a_query_is_cut_around_its_caret),
      cmocka_unit_test(positions_and_offsets_are_inverse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
