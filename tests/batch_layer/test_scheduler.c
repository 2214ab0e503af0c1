/* tests/batch_layer/test_scheduler.c -- why runs begin by themselves: schedules and definitions. */
#include "tests/common/store/view_fixture.h"

#include <unistd.h>

#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

#define HOURLY_VIEW                                                                                                    \
  "CREATE MATERIALIZED VIEW hourly WITH (recompute = '0 * * * *') AS"                                                  \
  " SELECT kind, count(*) AS n FROM payments GROUP BY kind;\n"
#define NIGHTLY_VIEW                                                                                                   \
  "CREATE MATERIALIZED VIEW nightly WITH (recompute = '0 2 * * *') AS"                                                 \
  " SELECT account, count(*) AS n FROM payments GROUP BY account;\n"
/* Two in the morning in Kolkata is 20:30 UTC. */
#define ZONED_VIEW(zone)                                                                                               \
  "CREATE MATERIALIZED VIEW zoned WITH (recompute = '0 2 * * *', time_zone = '" zone "') AS"                           \
  " SELECT account, count(*) AS n FROM payments GROUP BY account;\n"
#define SCHEDULED PAYMENTS_STREAM HOURLY_VIEW NIGHTLY_VIEW

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static void views_that_are_due_at_one_minute_share_a_run(void **state) {
  (void)state;
  uint32_t count, one = 1, two = 2;
  bench_open(SCHEDULED);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_turn_in_vain();
  bench.now_us = bench_start_us + bench_hour_us; /* 01:10: the hourly one, for 01:00 */
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  struct tly_run *runs = bench_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].reason, "schedule");
  assert_int_equal(runs[0].started_at_us, bench.now_us);
  assert_int_equal(runs[0].view_count, 1);
  assert_string_equal(runs[0].views[0].view, "hourly");
  bench_turn_in_vain();
  bench.now_us = bench_start_us + 2 * bench_hour_us; /* 02:10: both */
  bench_pump(bench_run_has_begun, &two);
  bench_pump(bench_is_idle, NULL);
  runs = bench_runs(&count);
  assert_int_equal(count, 2);
  assert_int_equal(runs[0].view_count, 2);
  bench_turn_in_vain();
  bench_close();
}

static void a_schedule_goes_by_the_clocks_of_its_time_zone(void **state) {
  (void)state;
  uint32_t one = 1, count;
  setenv("TZDIR", "tests/common/value/zoneinfo", 1);
  bench_open(PAYMENTS_STREAM ZONED_VIEW("Asia/Kolkata"));
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench.now_us = bench_start_us + 20 * bench_hour_us; /* 20:10 */
  bench_turn_in_vain();
  bench.now_us = bench_start_us + 21 * bench_hour_us; /* 21:10 */
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  struct tly_run *runs = bench_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].reason, "schedule");
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, PAYMENTS_STREAM ZONED_VIEW("Europe/Berlin"));
  bench_write_project(PAYMENTS_STREAM ZONED_VIEW("Europe/Berlin"));
  rig_settle(&bench.rig);
  bench.now_us = bench_start_us + 26 * bench_hour_us; /* 02:10: in Berlin it has been two o'clock an hour ago */
  bench_open_scheduler();
  bench_turn_in_vain(); /* a schedule that has changed is first due at its next minute */
  bench_close();
}

static void a_missed_run_is_made_up_once(void **state) {
  (void)state;
  uint32_t one = 1, count;
  bench_open(SCHEDULED);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_turn_in_vain();
  tly_scheduler_close(bench.scheduler);
  bench.now_us = bench_start_us + 7 * 24 * bench_hour_us; /* a week without us */
  bench_open_scheduler();
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  struct tly_run *runs = bench_runs(&count);
  assert_int_equal(count, 1);
  assert_int_equal(runs[0].view_count, 2);
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler(); /* that it fired is durable */
  bench_turn_in_vain();
  bench_close();
}

static void a_schedule_tries_again_when_no_archiver_is_there(void **state) {
  (void)state;
  uint32_t one = 1, count;
  bench_open(SCHEDULED);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  close(bench.archiver);
  bench.archiver = -1;
  bench_open_scheduler();
  bench.now_us = bench_start_us + bench_hour_us;
  for (int i = 0; i < 10; i++)
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  bench_runs(&count);
  assert_int_equal(count, 0);
  assert_false(tly_scheduler_is_idle(bench.scheduler));
  json_t *reply = bench_ask(bench_recompute_all); /* whoever asks is told at once */
  assert_string_equal(bench_sqlstate(reply), "08006");
  json_decref(reply);
  bench_open_archiver();
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  assert_int_equal(bench_count_runs("ready"), 1);
  bench_close();
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static void a_new_view_over_old_events_gets_its_run_by_itself(void **state) {
  (void)state;
  uint32_t one = 1, count;
  bench_open(PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_turn_in_vain(); /* a view that was there from the beginning is all live */
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  bench_write_project(PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  struct tly_run *runs = bench_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].reason, "definition");
  assert_int_equal(runs[0].view_count, 1);
  assert_string_equal(runs[0].views[0].view, "kinds");
  assert_int_equal(runs[0].drift, -1); /* nothing to compare with */
  assert_true(rig_published(&bench.rig, "kinds").is_ready);
  rig_assert_right(&bench.rig);
  bench_turn_in_vain();
  bench_close();
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(views_that_are_due_at_one_minute_share_a_run),
      cmocka_unit_test(a_schedule_goes_by_the_clocks_of_its_time_zone),
      cmocka_unit_test(a_missed_run_is_made_up_once),
      cmocka_unit_test(a_schedule_tries_again_when_no_archiver_is_there),
      cmocka_unit_test(a_new_view_over_old_events_gets_its_run_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
