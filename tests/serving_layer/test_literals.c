/* tests/serving_layer/test_literals.c -- what is a literal is taken out, and what is none is never taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "serving_layer/literals.h"

/* The statement without its literals, and these behind it: |t:text|i:integer. */
static void check_taken(const char *sql, const char *wanted) {
  struct tly_literals literals = {.count = 0};
  if (tly_literals_take(sql, strlen(sql), &literals) != TLY_LITERALS_TAKEN)
    fail_msg("not taken: %s", sql);
  for (uint32_t i = 0; i < literals.count; i++)
    tly_buffer_print(&literals.sql, "|%c:%.*s", (literals.integers >> i & 1) != 0 ? 'i' : 't',
                     (int)literals.values[i].size, literals.values[i].text);
  assert_string_equal(tly_buffer_text(&literals.sql), wanted);
  tly_buffer_free(&literals.sql);
}

static void check_not_taken(const char *sql, enum tly_literals_found wanted) {
  struct tly_literals literals = {.count = 0};
  if (tly_literals_take(sql, strlen(sql), &literals) != wanted)
    fail_msg("%s", sql);
  tly_buffer_free(&literals.sql);
}

static void texts_and_integers_become_arguments(void **state) {
  (void)state;
  check_taken("SELECT n FROM v WHERE a = 'A-17'", "SELECT n FROM v WHERE a = $1|t:A-17");
  check_taken("select n from v1 where a='x' and b =42 AND c2 = ''",
              "select n from v1 where a=$1 and b =$2 AND c2 = $3|t:x|i:42|t:");
}

static void names_that_hold_digits_and_quotes_stay(void **state) {
  (void)state;
  check_taken("SELECT a1, \"b 'c' 2\" FROM t_9 WHERE \xc3\xa4"
              "1 = 7",
              "SELECT a1, \"b 'c' 2\" FROM t_9 WHERE \xc3\xa4"
              "1 = $1|i:7");
  check_taken("SELECT 'a', t.b FROM run_4.t WHERE x=-5", "SELECT $1, t.b FROM run_4.t WHERE x=-$2|t:a|i:5");
}

static void what_is_not_sure_is_left_alone(void **state) {
  static const char *const statements[] = {
      "",
      "SELECT n FROM v WHERE a = $1",
      "SELECT n FROM v WHERE a = $1 AND b = 'x'",
      "SELECT n FROM v WHERE a = 'it''s'",
      "SELECT n FROM v WHERE a = E'x'",
      "SELECT n FROM v WHERE a = U&'x'x",
      "SELECT n FROM v WHERE a = 'x",
      "SELECT n FROM v WHERE a = $$x$$",
      "SELECT n FROM v WHERE a = a$b$c",
      "SELECT n FROM v WHERE a = 1.5",
      "SELECT n FROM v WHERE a = .5",
      "SELECT n FROM v WHERE a = 1e5",
      "SELECT n FROM v WHERE a = 0x1F",
      "SELECT n FROM v WHERE a = 1234567890",
      "SELECT n FROM v -- 'x'",
      "SELECT n FROM v /* 'x' */",
      "SELECT \"n FROM v WHERE a = 'x'",
  };
  (void)state;
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
    check_not_taken(statements[i], TLY_LITERALS_NONE);
}

static void more_than_a_request_has_arguments_are_told(void **state) {
  char sql[400] = "SELECT n FROM v WHERE a IN (0";
  (void)state;
  for (int i = 1; i < TLY_REQUEST_LINE_ARGUMENTS_MAX; i++)
    strcat(sql, ",'x'");
  strcat(sql, ")");
  check_not_taken(sql, TLY_LITERALS_TAKEN);
  strcat(sql, " OR b = 1");
  check_not_taken(sql, TLY_LITERALS_TOO_MANY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_and_integers_become_arguments),
      cmocka_unit_test(names_that_hold_digits_and_quotes_stay),
      cmocka_unit_test(what_is_not_sure_is_left_alone),
      cmocka_unit_test(more_than_a_request_has_arguments_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
