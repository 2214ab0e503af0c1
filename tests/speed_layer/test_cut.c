/* Which generation a stamped block is folded into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "speed_layer/cut.h"

static void a_block_before_any_cut_is_in_the_first_generation(void **state) {
  (void)state;
  struct tly_cut_list list = {0};
  assert_int_equal(tly_cut_list_generation(&list, 0, 1), 1);
}

static void a_cut_that_names_the_view_opens_a_generation(void **state) {
  (void)state;
  struct tly_cut_list list = {0};
  tly_cut_list_add(&list, 1);
  assert_int_equal(tly_cut_list_generation(&list, 0, 1), 1);
  assert_int_equal(tly_cut_list_generation(&list, 0, 2), 2);
  tly_cut_list_free(&list);
}

static void cuts_for_other_views_do_not_multiply_generations(void **state) {
  (void)state;
  struct tly_cut_list list = {0};
  tly_cut_list_add(&list, 3);
  tly_cut_list_add(&list, 9);
  for (int64_t stamp = 1; stamp <= 3; stamp++)
    assert_int_equal(tly_cut_list_generation(&list, 0, stamp), 1);
  for (int64_t stamp = 4; stamp <= 9; stamp++)
    assert_int_equal(tly_cut_list_generation(&list, 0, stamp), 4);
  assert_int_equal(tly_cut_list_generation(&list, 0, 10), 10);
  tly_cut_list_free(&list);
}

static void generations_above_a_published_cut_stay_what_they_were(void **state) {
  (void)state;
  struct tly_cut_list list = {0};
  tly_cut_list_add(&list, 3);
  tly_cut_list_add(&list, 9);
  int64_t before = tly_cut_list_generation(&list, 0, 12);
  tly_cut_list_forget(&list, 3);
  assert_int_equal(list.count, 1);
  assert_int_equal(tly_cut_list_generation(&list, 3, 4), 4);
  assert_int_equal(tly_cut_list_generation(&list, 3, 12), before);
  tly_cut_list_free(&list);
}

static void a_cut_that_is_known_is_passed_over(void **state) {
  (void)state;
  struct tly_cut_list list = {0};
  for (int64_t number = 1; number <= 40; number++)
    tly_cut_list_add(&list, number);
  tly_cut_list_add(&list, 7);
  assert_int_equal(list.count, 40);
  assert_int_equal(tly_cut_list_generation(&list, 0, 30), 30);
  tly_cut_list_free(&list);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_block_before_any_cut_is_in_the_first_generation),
      cmocka_unit_test(a_cut_that_names_the_view_opens_a_generation),
      cmocka_unit_test(cuts_for_other_views_do_not_multiply_generations),
      cmocka_unit_test(generations_above_a_published_cut_stay_what_they_were),
      cmocka_unit_test(a_cut_that_is_known_is_passed_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
