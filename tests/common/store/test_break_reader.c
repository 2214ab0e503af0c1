/* tests/common/store/test_break_reader.c -- ages and their buckets; rows are read in tests/batch_layer, where there is
 * a writer (test_break_store). */
#include "tests/common/store/view_fixture.h"

#include "common/store/break_reader.h"

static void an_age_is_whole_days_in_a_bucket(void **state) {
  (void)state;
  static const int64_t day_us = INT64_C(86400000000);
  static const struct {
    int64_t days;
    const char *bucket;
  } cases[] = {{0, "0-1"},   {1, "0-1"},    {2, "2-7"},    {7, "2-7"},  {8, "8-30"},
               {30, "8-30"}, {31, "31-90"}, {90, "31-90"}, {91, ">90"}, {4000, ">90"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(tly_break_age_days(5, 5 + cases[i].days * day_us), cases[i].days);
    assert_int_equal(tly_break_age_days(5, 4 + (cases[i].days + 1) * day_us), cases[i].days);
    assert_string_equal(tly_break_age_bucket(cases[i].days), cases[i].bucket);
  }
  assert_int_equal(tly_break_age_days(10 * day_us, day_us), 0); /* a clock that was put back */
}

static void a_folder_without_a_store_is_not_ready(void **state) {
  (void)state;
  tly_break_reader *reader;
  assert_int_equal(tly_break_reader_open("/tmp/tally-no-such-folder", &reader, &test_error), TLY_E_NOT_READY);
  assert_null(reader);
  tly_break_reader_close(reader);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_age_is_whole_days_in_a_bucket),
      cmocka_unit_test(a_folder_without_a_store_is_not_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
