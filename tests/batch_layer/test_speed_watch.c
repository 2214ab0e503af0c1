/* How long the speed layer is waited for. (What is seen of it is tried in test_run_stages and test_rollback.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "batch_layer/speed_watch.h"

static void a_speed_layer_that_moves_is_waited_for(void **state) {
  struct tly_speed_patience patience;
  (void)state;
  tly_speed_patience_begin(&patience, 100, 0);
  for (int64_t i = 0; i < 50; i++)
    assert_false(tly_speed_patience_is_over(&patience, i, i * 99000));
}

static void one_that_stands_still_is_waited_for_no_longer_than_said(void **state) {
  struct tly_speed_patience patience;
  (void)state;
  tly_speed_patience_begin(&patience, 100, 1000);
  assert_false(tly_speed_patience_is_over(&patience, 7, 2000)); /* it has moved since nobody looked */
  assert_false(tly_speed_patience_is_over(&patience, 7, 101999));
  assert_true(tly_speed_patience_is_over(&patience, 7, 102000));
  assert_false(tly_speed_patience_is_over(&patience, 8, 103000)); /* it moves again */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_speed_layer_that_moves_is_waited_for),
      cmocka_unit_test(one_that_stands_still_is_waited_for_no_longer_than_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
