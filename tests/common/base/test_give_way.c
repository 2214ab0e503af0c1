/* tests/common/base/test_give_way.c -- when background work sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/give_way.h"

static void nobody_sleeps_while_nobody_else_wants_the_processor(void **state) {
  (void)state;
  struct tly_way way = {0};
  for (int64_t now_us = 5000; now_us < 500000; now_us += 100)
    assert_false(tly_way_is_wanted(&way, now_us, 7 + now_us / 2000)); /* a tick now and then */
}

static void who_was_preempted_within_a_millisecond_sleeps_once(void **state) {
  (void)state;
  struct tly_way way = {0};
  assert_false(tly_way_is_wanted(&way, 5000, 100)); /* the first look: there is nothing to compare with */
  assert_true(tly_way_is_wanted(&way, 6000, 102));
  assert_false(tly_way_is_wanted(&way, 7000, 102));
}

static void a_look_comes_once_a_millisecond_however_often_it_is_asked_for(void **state) {
  (void)state;
  struct tly_way way = {0};
  assert_false(tly_way_is_wanted(&way, 5000, 0));
  assert_false(tly_way_is_wanted(&way, 5999, 50));
  assert_true(tly_way_is_wanted(&way, 6000, 50)); /* what came meanwhile is not forgotten */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_sleeps_while_nobody_else_wants_the_processor),
      cmocka_unit_test(who_was_preempted_within_a_millisecond_sleeps_once),
      cmocka_unit_test(a_look_comes_once_a_millisecond_however_often_it_is_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
