/* tests/batch_layer/test_ledger_schedule.c -- when a pair is due, and for how long an incomplete one is tried again. */
#include "tests/batch_layer/break_rig.h"

#include "batch_layer/ledger_schedule.h"
#include "common/base/limits.h"

static const int64_t minute_us = INT64_C(60000000), hour_us = INT64_C(3600000000);
static tly_ledger_schedule *schedule;

static void open_at(int64_t now_us) {
  CHECK_OK(tly_ledger_schedule_open(break_rig.project, break_rig.breaks, now_us, &schedule, &test_error));
}

static void close_all(void) {
  tly_ledger_schedule_close(schedule);
  break_rig_close();
}

/* Take what is due; the minute it is due for, or 0. */
static int64_t take(int64_t now_us, struct tly_ledger_due *due) {
  return tly_ledger_schedule_take(schedule, now_us, due) ? due->minute_us : 0;
}

static void store(struct tly_ledger_due due, struct tly_fired_minute fired) {
  assert_non_null(fired.view);
  CHECK_OK(tly_break_store_set_fired(break_rig.breaks, due.ledger->name, fired, &test_error));
}

static void each_ledger_of_a_view_is_due_at_its_minute_and_once(void **state) {
  (void)state;
  struct tly_ledger_due first, second, none;
  break_rig_open();
  open_at(10 * minute_us);
  assert_int_equal(take(59 * minute_us, &none), 0); /* a new schedule is first due at its next minute */
  assert_int_equal(take(hour_us, &first), hour_us);
  assert_int_equal(take(hour_us, &second), hour_us);
  assert_string_equal(first.ledger->name, "l");
  assert_string_equal(second.ledger->name, "m");
  assert_int_equal(take(hour_us, &none), 0); /* no overlap: neither has ended */
  store(first, tly_ledger_schedule_end(schedule, &first, true, hour_us + minute_us));
  assert_int_equal(take(hour_us + 2 * minute_us, &none), 0);
  close_all();
}

static void a_missed_minute_is_made_up_once_also_after_a_restart(void **state) {
  (void)state;
  struct tly_ledger_due due, none;
  break_rig_open();
  open_at(10 * minute_us);
  tly_ledger_schedule_close(schedule);
  open_at(50 * hour_us + minute_us);
  assert_int_equal(take(50 * hour_us + minute_us, &due), 50 * hour_us);
  store(due, tly_ledger_schedule_end(schedule, &due, true, 50 * hour_us + 2 * minute_us));
  assert_int_equal(take(50 * hour_us + 3 * minute_us, &due), 50 * hour_us); /* the other ledger */
  tly_ledger_schedule_close(schedule);
  open_at(50 * hour_us + 4 * minute_us); /* it was not done with */
  assert_int_equal(take(50 * hour_us + 4 * minute_us, &due), 50 * hour_us);
  assert_string_equal(due.ledger->name, "m");
  assert_int_equal(take(50 * hour_us + 5 * minute_us, &none), 0);
  close_all();
}

static void an_incomplete_one_is_tried_again_and_at_last_no_more(void **state) {
  (void)state;
  static const int64_t waits[] = {1, 4, 16, 64};
  struct tly_ledger_due due, none;
  struct tly_project *project =
      parse_project("CREATE FOREIGN TABLE e (k text) SERVER embedded;"
                    "CREATE SERVER files FOREIGN DATA WRAPPER file;"
                    "CREATE FOREIGN TABLE l (k text, n bigint) SERVER files OPTIONS (filename 'l');"
                    "CREATE MATERIALIZED VIEW v WITH (reconcile = '@daily',"
                    " reconcile_with = 'l') AS SELECT k, count(*) AS n FROM e GROUP BY k;");
  int64_t now_us = 24 * hour_us;
  break_rig_open();
  CHECK_OK(tly_ledger_schedule_open(project, break_rig.breaks, hour_us, &schedule, &test_error));
  for (int i = 0; i < TLY_RECONCILE_TRIES_MAX; i++) {
    assert_int_equal(take(now_us, &due), 24 * hour_us);
    struct tly_fired_minute fired = tly_ledger_schedule_end(schedule, &due, false, now_us);
    assert_int_equal(fired.view != NULL, i == TLY_RECONCILE_TRIES_MAX - 1);
    if (fired.view != NULL)
      break;
    assert_int_equal(take(now_us + waits[i] * minute_us - 1, &none), 0);
    now_us += waits[i] * minute_us;
  }
  assert_int_equal(take(47 * hour_us, &none), 0);
  assert_int_equal(take(48 * hour_us, &due), 48 * hour_us); /* the next period begins anew */
  close_all();
  tly_project_free(project);
}

static void a_later_minute_takes_the_place_of_one_that_is_tried(void **state) {
  (void)state;
  struct tly_ledger_due due, other;
  break_rig_open();
  open_at(10 * minute_us);
  assert_int_equal(take(hour_us, &due), hour_us);
  assert_int_equal(take(hour_us, &other), hour_us);
  assert_int_equal(take(2 * hour_us, &(struct tly_ledger_due){0}), 0); /* still under way: due after it */
  assert_non_null(tly_ledger_schedule_end(schedule, &due, false, 2 * hour_us).view);
  assert_int_equal(take(2 * hour_us, &due), 2 * hour_us);
  close_all();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_ledger_of_a_view_is_due_at_its_minute_and_once),
      cmocka_unit_test(a_missed_minute_is_made_up_once_also_after_a_restart),
      cmocka_unit_test(an_incomplete_one_is_tried_again_and_at_last_no_more),
      cmocka_unit_test(a_later_minute_takes_the_place_of_one_that_is_tried),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
