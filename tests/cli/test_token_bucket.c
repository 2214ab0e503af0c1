/* tests/cli/test_token_bucket.c -- the rate holds to the microsecond over any number of requests, on a clock that the
 * test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/token_bucket.h"

static void the_first_request_goes_at_once(void **state) {
  (void)state;
  struct tly_token_bucket bucket;
  tly_token_bucket_init(&bucket, 1000, 77);
  assert_int_equal(tly_token_bucket_wait_us(&bucket, 77), 0);
}

static void a_request_is_paid_for_before_the_next(void **state) {
  (void)state;
  struct tly_token_bucket bucket;
  tly_token_bucket_init(&bucket, 1000, 0);
  tly_token_bucket_spend(&bucket, 500, 0);
  assert_int_equal(tly_token_bucket_wait_us(&bucket, 0), 500000);
  assert_int_equal(tly_token_bucket_wait_us(&bucket, 200000), 300000);
  assert_int_equal(tly_token_bucket_wait_us(&bucket, 500000), 0);
}

static void small_requests_are_not_rounded_away(void **state) {
  (void)state;
  struct tly_token_bucket bucket;
  int64_t now = 0;
  tly_token_bucket_init(&bucket, 3000000, 0);
  for (int i = 0; i < 3000000; i++) { /* a third of a microsecond each */
    now += tly_token_bucket_wait_us(&bucket, now);
    tly_token_bucket_spend(&bucket, 1, now);
  }
  assert_in_range(now, 999990, 1000010);
}

static void time_that_was_not_used_is_not_saved_up(void **state) {
  (void)state;
  struct tly_token_bucket bucket;
  tly_token_bucket_init(&bucket, 1000, 0);
  tly_token_bucket_spend(&bucket, 100, 60000000);
  assert_int_equal(tly_token_bucket_wait_us(&bucket, 60000000), 100000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_request_goes_at_once),
      cmocka_unit_test(a_request_is_paid_for_before_the_next),
      cmocka_unit_test(small_requests_are_not_rounded_away),
      cmocka_unit_test(time_that_was_not_used_is_not_saved_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
