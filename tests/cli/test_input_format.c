/* tests/cli/test_input_format.c -- a file's ending tells its format, with or without compression behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/input_format.h"

static void the_ending_tells_the_format(void **state) {
  (void)state;
  static const struct {
    const char *name, *format;
  } cases[] = {
      {"a.csv", "csv"},   {"a.csv.gz", "csv"}, {"a.csv.zst", "csv"}, {"a.ndjson", "json"}, {"a.jsonl.gz", "json"},
      {"a.json", "json"}, {"a.gz", NULL},      {"a", NULL},          {"", NULL},           {"csv", NULL},
      {"a.csv.xz", NULL}, {"a.CSV", NULL},     {".gz", NULL},        {"a.gz.csv", "csv"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *format = tly_input_format_of_name(cases[i].name);
    if (cases[i].format == NULL)
      assert_null(format);
    else
      assert_string_equal(format, cases[i].format);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_ending_tells_the_format)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
