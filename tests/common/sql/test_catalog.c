/* The catalogue is PostgreSQL's: regenerated from a real one it is the same file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/sql/catalog.h"

static void the_catalogue_is_what_postgresql_has(void **state) {
  (void)state;
  int ended = system("scripts/generate-catalog --check >&2");
  assert_true(WIFEXITED(ended));
  if (WEXITSTATUS(ended) == 77)
    skip(); /* no PostgreSQL 15 here */
  assert_int_equal(WEXITSTATUS(ended), 0);
}

static void every_kernel_has_its_name(void **state) {
  (void)state;
  assert_string_equal(tly_kernel_name(TLY_KERNEL_NONE), "none");
  assert_string_equal(tly_kernel_name(TLY_KERNEL_int4pl), "int4pl");
  for (unsigned kernel = 0; kernel < TLY_KERNEL_COUNT; kernel++)
    assert_true(strlen(tly_kernel_name((enum tly_kernel)kernel)) > 0);
}

static void no_row_has_a_type_that_is_not_there(void **state) {
  (void)state;
  for (size_t i = 0; i < tly_catalog_function_count; i++) {
    const struct tly_catalog_function *row = &tly_catalog_functions[i];
    assert_in_range(row->argument_count, 1, TLY_CATALOG_ARGUMENTS_MAX);
    for (unsigned a = 0; a < row->argument_count; a++)
      assert_in_range(row->arguments[a], TLY_TYPE_BOOLEAN, TLY_TYPE_COUNT - 1);
    assert_int_not_equal(row->kernel, TLY_KERNEL_NONE);
  }
  for (size_t i = 0; i < tly_catalog_operator_count; i++) {
    assert_in_range(tly_catalog_operators[i].right, TLY_TYPE_BOOLEAN, TLY_TYPE_COUNT - 1);
    assert_int_not_equal(tly_catalog_operators[i].kernel, TLY_KERNEL_NONE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_catalogue_is_what_postgresql_has),
      cmocka_unit_test(every_kernel_has_its_name),
      cmocka_unit_test(no_row_has_a_type_that_is_not_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
