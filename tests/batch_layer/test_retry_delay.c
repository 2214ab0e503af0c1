/* tests/batch_layer/test_retry_delay.c -- how long what failed is left alone. */
#include "batch_layer/retry_delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void delays_double_up_to_five_minutes(void **state) {
  (void)state;
  static const struct {
    uint32_t attempts;
    int64_t question_s, run_s;
  } cases[] = {{1, 1, 30},   {2, 2, 60},    {3, 4, 120},    {4, 8, 240},
               {5, 16, 300}, {9, 256, 300}, {10, 300, 300}, {UINT32_MAX, 300, 300}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(tly_retry_delay_us(cases[i].attempts), cases[i].question_s * 1000000);
    assert_int_equal(tly_run_retry_delay_us(cases[i].attempts), cases[i].run_s * 1000000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(delays_double_up_to_five_minutes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
