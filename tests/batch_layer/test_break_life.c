/* tests/batch_layer/test_break_life.c -- every state of a break with everything that can happen to it. */
#include "tests/common/store/view_fixture.h"

#include "batch_layer/break_life.h"

enum { SAME = 1, GONE = 0, THERE = 1 };

static void what_is_seen_stays_or_is_reopened(void **state) {
  (void)state;
  static const struct {
    struct tly_break_life before;
    bool is_same;
    enum tly_break_change change;
    enum tly_break_status after;
  } cases[] = {
      {{TLY_BREAK_OPEN, THERE}, SAME, TLY_BREAK_CARRIED, TLY_BREAK_OPEN},
      {{TLY_BREAK_OPEN, THERE}, !SAME, TLY_BREAK_CARRIED, TLY_BREAK_OPEN},
      {{TLY_BREAK_INVESTIGATING, THERE}, SAME, TLY_BREAK_CARRIED, TLY_BREAK_INVESTIGATING},
      {{TLY_BREAK_INVESTIGATING, THERE}, !SAME, TLY_BREAK_CARRIED, TLY_BREAK_INVESTIGATING},
      {{TLY_BREAK_ACCEPTED, THERE}, SAME, TLY_BREAK_CARRIED, TLY_BREAK_ACCEPTED},
      {{TLY_BREAK_ACCEPTED, THERE}, !SAME, TLY_BREAK_REOPENED, TLY_BREAK_OPEN},
      {{TLY_BREAK_RESOLVED, THERE}, SAME, TLY_BREAK_REOPENED, TLY_BREAK_OPEN},
      {{TLY_BREAK_RESOLVED, THERE}, !SAME, TLY_BREAK_REOPENED, TLY_BREAK_OPEN},
      {{TLY_BREAK_RESOLVED, GONE}, SAME, TLY_BREAK_REOPENED, TLY_BREAK_OPEN},
      {{TLY_BREAK_RESOLVED, GONE}, !SAME, TLY_BREAK_REOPENED, TLY_BREAK_OPEN},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_break_life life = cases[i].before;
    assert_int_equal(tly_break_life_see(&life, cases[i].is_same), cases[i].change);
    assert_int_equal(life.status, cases[i].after);
    assert_true(life.is_present);
  }
}

static void what_is_not_seen_is_cleared_once(void **state) {
  (void)state;
  for (int status = 0; status < TLY_BREAK_STATUS_COUNT; status++) {
    struct tly_break_life life = {(enum tly_break_status)status, THERE};
    assert_int_equal(tly_break_life_miss(&life), TLY_BREAK_CLEARED);
    assert_int_equal(life.status, TLY_BREAK_RESOLVED);
    assert_false(life.is_present);
    assert_int_equal(tly_break_life_miss(&life), TLY_BREAK_CARRIED);
    assert_int_equal(life.status, TLY_BREAK_RESOLVED);
  }
}

static void what_is_there_can_get_any_status_and_what_is_gone_only_remarks(void **state) {
  (void)state;
  for (int from = 0; from < TLY_BREAK_STATUS_COUNT; from++)
    for (int to = 0; to < TLY_BREAK_STATUS_COUNT; to++) {
      struct tly_break_life life = {(enum tly_break_status)from, THERE};
      CHECK_OK(tly_break_life_set(&life, (enum tly_break_status)to, &test_error));
      assert_int_equal(life.status, to);
      assert_true(life.is_present);
    }
  for (int to = 0; to < TLY_BREAK_STATUS_COUNT; to++) {
    struct tly_break_life life = {TLY_BREAK_RESOLVED, GONE};
    enum tly_status expected = to == TLY_BREAK_RESOLVED ? TLY_OK : TLY_E_NOT_READY;
    assert_int_equal(tly_break_life_set(&life, (enum tly_break_status)to, &test_error), expected);
    assert_int_equal(life.status, TLY_BREAK_RESOLVED);
    assert_false(life.is_present);
  }
}

static void names_are_read_as_they_are_printed(void **state) {
  (void)state;
  enum tly_break_status status;
  for (int i = 0; i < TLY_BREAK_STATUS_COUNT; i++) {
    CHECK_OK(tly_break_status_parse(tly_break_status_name((enum tly_break_status)i), &status, &test_error));
    assert_int_equal(status, i);
  }
  assert_int_equal(tly_break_status_parse("Open", &status, &test_error), TLY_E_INVALID_PARAMETER);
  assert_int_equal(tly_break_status_parse("", &status, &test_error), TLY_E_INVALID_PARAMETER);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_seen_stays_or_is_reopened),
      cmocka_unit_test(what_is_not_seen_is_cleared_once),
      cmocka_unit_test(what_is_there_can_get_any_status_and_what_is_gone_only_remarks),
      cmocka_unit_test(names_are_read_as_they_are_printed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
