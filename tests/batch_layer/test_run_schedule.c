/* tests/batch_layer/test_run_schedule.c -- jobs, attempts, pauses: what is due, through the whole scheduler. */
#include "tests/common/store/view_fixture.h"

#include <unistd.h>

#include "common/base/limits.h"
#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

#define ORDERS_STREAM "CREATE FOREIGN TABLE orders (customer text NOT NULL) SERVER embedded OPTIONS (format 'json');\n"
/* A job over two streams, and a view with a schedule of its own. */
#define NIGHTLY                                                                                                        \
  PAYMENTS_STREAM ORDERS_STREAM                                                                                        \
      "CREATE MATERIALIZED VIEW by_account WITH (job = 'nightly') AS SELECT account, count(*) AS n FROM payments"      \
      " GROUP BY account;\n"                                                                                           \
      "CREATE MATERIALIZED VIEW by_customer WITH (job = 'nightly', recompute = '0 2 * * *') AS"                        \
      " SELECT customer, count(*) AS n FROM orders GROUP BY customer;\n"                                               \
      "CREATE MATERIALIZED VIEW alone WITH (recompute = '0 2 * * *') AS SELECT count(*) AS n FROM payments;\n"

static const int64_t day_us = INT64_C(86400000000);
static const int64_t second_us = INT64_C(1000000);

static void open_nightly(void) {
  bench_open(NIGHTLY);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_ingest(&bench.rig, "orders", 0, "{\"customer\":\"c\"}\n{\"customer\":\"d\"}\n");
  rig_settle(&bench.rig);
  bench_open_scheduler();
}

static void wait_for_runs(uint32_t count) {
  bench_pump(bench_run_has_begun, &count);
  bench_pump(bench_is_idle, NULL);
}

static const struct tly_run *run_of_job(const char *job) {
  uint32_t count;
  const struct tly_run *runs = bench_runs(&count);
  for (uint32_t i = 0; i < count; i++)
    if (job == NULL ? runs[i].job == NULL : runs[i].job != NULL && strcmp(runs[i].job, job) == 0)
      return &runs[i];
  fail_msg("no run of job %s", job != NULL ? job : "(none)");
  return NULL;
}

static void assert_ask(const char *line, const char *sqlstate) {
  json_t *reply = bench_ask(line);
  assert_string_equal(bench_sqlstate(reply), sqlstate);
  json_decref(reply);
}

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

static void the_views_of_a_job_share_one_run_over_all_their_streams(void **state) {
  (void)state;
  open_nightly();
  bench_turn_in_vain();
  bench.now_us += 2 * bench_hour_us; /* 02:10 */
  wait_for_runs(2);
  const struct tly_run *job = run_of_job("nightly"), *alone = run_of_job(NULL);
  assert_int_equal(job->view_count, 2);
  assert_int_equal(job->position_count, 2);
  assert_int_equal(job->events, 102);
  assert_int_equal(job->attempt, 1);
  assert_int_equal(job->views[0].scheduled_at_us, bench_start_us + 2 * bench_hour_us - 600 * second_us);
  assert_int_equal(job->started_at_us, bench.now_us);
  assert_int_equal(alone->view_count, 1);
  assert_int_equal(rig_published(&bench.rig, "by_account").run, job->id);
  assert_int_equal(rig_published(&bench.rig, "by_customer").run, job->id);
  assert_int_equal(rig_published(&bench.rig, "alone").run, alone->id);
  rig_assert_right(&bench.rig);
  bench_turn_in_vain();
  bench_close();
}

static void a_job_is_run_on_demand_by_its_name(void **state) {
  (void)state;
  open_nightly();
  json_t *reply = bench_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"job\":\"nightly\"}}\n");
  assert_int_equal(bench_member(reply, "events"), 102);
  assert_string_equal(run_of_job("nightly")->reason, "manual");
  assert_int_equal(run_of_job("nightly")->attempt, 0);
  json_decref(reply);
  assert_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"job\":\"alone\"}}\n", "42704");
  assert_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"job\":7}}\n", "22023");
  assert_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"job\":\"nightly\",\"views\":[\"alone\"]}}\n", "22023");
  bench_close();
}

static void a_week_missed_is_made_up_once_for_a_job(void **state) {
  (void)state;
  uint32_t count;
  open_nightly();
  tly_scheduler_close(bench.scheduler);
  bench.now_us += 7 * day_us;
  bench_open_scheduler();
  wait_for_runs(2);
  assert_int_equal(run_of_job("nightly")->views[0].scheduled_at_us,
                   bench_start_us + 6 * day_us + 2 * bench_hour_us - 600 * second_us);
  bench_turn_in_vain();
  bench_runs(&count);
  assert_int_equal(count, 2);
  bench_close();
}

static void a_job_that_waits_is_not_queued_again(void **state) {
  (void)state;
  uint32_t count;
  open_nightly();
  close(bench.archiver);
  bench.archiver = -1; /* nothing can begin */
  for (int night = 0; night < 3; night++) {
    bench.now_us += day_us;
    for (int i = 0; i < 10; i++)
      CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  }
  bench_open_archiver();
  wait_for_runs(2);
  bench_runs(&count);
  assert_int_equal(count, 2);
  assert_int_equal(run_of_job("nightly")->views[0].scheduled_at_us, /* the newest of those that were missed */
                   bench.now_us - bench_hour_us * 22 - 600 * second_us);
  bench_close();
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

/* Let the runs that are due after `later_us` begin, `count` rows in all, in children that die. */
static void fail_runs(int64_t later_us, uint32_t count) {
  bench_kill_child();
  setenv("TALLY_CRASH_AT", "recompute.after_fold", 1);
  bench.now_us += later_us;
  wait_for_runs(count);
  unsetenv("TALLY_CRASH_AT");
  bench_kill_child();
}

static void open_failed_job(void) {
  bench_open(PAYMENTS_STREAM "CREATE MATERIALIZED VIEW totals WITH (job = 'nightly', recompute = '0 2 * * *') AS"
                             " SELECT account, count(*) AS n FROM payments GROUP BY account;\n");
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  fail_runs(2 * bench_hour_us, 1);
  assert_int_equal(bench_count_runs("failed"), 1);
}

static void a_scheduled_run_that_failed_is_tried_again_after_a_while(void **state) {
  (void)state;
  uint32_t count;
  open_failed_job();
  bench_turn_in_vain();
  bench.now_us += 29 * second_us;
  bench_turn_in_vain();
  bench.now_us += 2 * second_us;
  wait_for_runs(2);
  const struct tly_run *runs = bench_runs(&count);
  assert_string_equal(runs[0].state, "ready");
  assert_int_equal(runs[0].attempt, 2);
  assert_int_equal(runs[1].attempt, 1);
  assert_int_equal(runs[0].views[0].scheduled_at_us, runs[1].views[0].scheduled_at_us);
  bench.now_us += bench_hour_us;
  bench_turn_in_vain(); /* it has been done */
  bench_close();
}

static void what_is_to_be_tried_again_is_so_after_a_restart(void **state) {
  (void)state;
  uint32_t count;
  open_failed_job();
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler();
  bench_turn_in_vain(); /* not before its time */
  bench.now_us += 31 * second_us;
  wait_for_runs(2);
  assert_int_equal(bench_runs(&count)[0].attempt, 2);
  bench_close();
}

static void a_run_that_a_stop_has_cut_off_is_tried_again(void **state) {
  (void)state;
  uint32_t one = 1;
  open_nightly();
  bench.now_us += 2 * bench_hour_us;
  bench_pump(bench_run_has_begun, &one);
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler();
  bench.now_us += 31 * second_us;
  wait_for_runs(3);
  assert_int_equal(bench_count_runs("failed"), 1);
  assert_int_equal(run_of_job("nightly")->attempt + run_of_job(NULL)->attempt, 3);
  bench_close();
}

static void attempts_end_and_the_next_minute_begins_anew(void **state) {
  (void)state;
  uint32_t count;
  open_failed_job();
  for (uint32_t attempt = 2; attempt <= TLY_RUN_ATTEMPTS_MAX; attempt++)
    fail_runs(301 * second_us, attempt);
  assert_int_equal(bench_count_runs("failed"), TLY_RUN_ATTEMPTS_MAX);
  assert_int_equal(bench_runs(&count)[0].attempt, TLY_RUN_ATTEMPTS_MAX);
  bench.now_us += bench_hour_us;
  bench_turn_in_vain();
  bench.now_us += day_us;
  wait_for_runs(TLY_RUN_ATTEMPTS_MAX + 1);
  assert_string_equal(bench_runs(&count)[0].state, "ready");
  assert_int_equal(bench_runs(&count)[0].attempt, 1);
  bench_close();
}

static void a_run_by_hand_saves_the_attempts_that_are_left(void **state) {
  (void)state;
  open_failed_job();
  assert_ask(bench_recompute_all, "none");
  bench.now_us += bench_hour_us;
  bench_turn_in_vain();
  bench_close();
}

/* ---- pause and resume -------------------------------------------------------------------------------------------- */

static void a_paused_schedule_rests_over_restarts_and_makes_up_once_when_resumed(void **state) {
  (void)state;
  open_nightly();
  assert_ask("{\"id\":1,\"method\":\"pause\",\"params\":{\"names\":[\"nightly\"],\"by\":\"the operator\"}}\n", "none");
  bench.now_us += day_us;
  wait_for_runs(1);
  assert_null(bench_runs(&(uint32_t){0})[0].job); /* the other one goes on */
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler();
  bench.now_us += 60 * second_us;
  bench_turn_in_vain();
  assert_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"job\":\"nightly\"}}\n", "none"); /* by hand it works */
  bench.now_us += 60 * second_us;
  bench_turn_in_vain();
  assert_ask("{\"id\":1,\"method\":\"resume\",\"params\":{\"names\":[\"nightly\"]}}\n", "none");
  wait_for_runs(3);
  assert_string_equal(run_of_job("nightly")->reason, "schedule");
  bench_turn_in_vain();
  bench_close();
}

static void a_pause_takes_what_waits_out_of_the_queue(void **state) {
  (void)state;
  uint32_t count;
  open_nightly();
  close(bench.archiver);
  bench.archiver = -1;
  bench.now_us += 2 * bench_hour_us;
  for (int i = 0; i < 10; i++)
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  assert_false(tly_scheduler_is_idle(bench.scheduler));
  assert_ask("{\"id\":1,\"method\":\"pause\"}\n", "none"); /* all of them */
  assert_true(tly_scheduler_is_idle(bench.scheduler));
  bench_open_archiver();
  bench_turn_in_vain();
  assert_ask("{\"id\":1,\"method\":\"resume\"}\n", "none");
  wait_for_runs(2);
  bench_runs(&count);
  assert_int_equal(count, 2);
  bench_close();
}

static void a_pause_outlives_a_change_of_the_schedule(void **state) {
  (void)state;
  static const char *const crons[] = {"0 2 * * *", "0 * * * *"};
  for (int i = 0; i < 2; i++) {
    char definitions[1000];
    snprintf(definitions, sizeof definitions,
             PAYMENTS_STREAM
             "CREATE MATERIALIZED VIEW v WITH (recompute = '%s') AS SELECT count(*) AS n FROM payments;",
             crons[i]);
    if (i == 0)
      bench_open(definitions);
    else
      rig_change_project(&bench.rig, definitions);
    bench_write_project(definitions);
    rig_ingest_payments(&bench.rig, 0, 10 * i, 10, 3);
    rig_settle(&bench.rig);
    bench_open_scheduler();
    if (i == 0)
      assert_ask("{\"id\":1,\"method\":\"pause\",\"params\":{\"names\":[\"v\"]}}\n", "none");
    bench.now_us += day_us;
    bench_turn_in_vain();
    tly_scheduler_close(bench.scheduler);
    bench.scheduler = NULL;
    rig_stop(&bench.rig);
  }
  bench_close();
}

static void what_cannot_be_paused_is_refused_and_nothing_is(void **state) {
  (void)state;
  static const struct {
    const char *params, *sqlstate;
  } cases[] = {
      {"{\"names\":[\"nothing\"]}", "42704"},
      {"{\"names\":[\"alone\",\"by_account\"]}", "22023"}, /* paused with its job */
      {"{\"names\":\"alone\"}", "22023"},
      {"{\"names\":[1]}", "22023"},
      {"{\"by\":\"\"}", "22023"},
      {"{\"by\":\"a\\nb\"}", "22023"},
      {"{\"by\":5}", "22023"},
  };
  open_nightly();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int resume = 0; resume < 2; resume++) {
      char line[300];
      snprintf(line, sizeof line, "{\"id\":1,\"method\":\"%s\",\"params\":%s}\n", resume ? "resume" : "pause",
               cases[i].params);
      assert_ask(line, cases[i].sqlstate);
    }
  bench.now_us += day_us;
  wait_for_runs(2);
  bench_close();
}

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_views_of_a_job_share_one_run_over_all_their_streams),
      cmocka_unit_test(a_job_is_run_on_demand_by_its_name),
      cmocka_unit_test(a_week_missed_is_made_up_once_for_a_job),
      cmocka_unit_test(a_job_that_waits_is_not_queued_again),
      cmocka_unit_test(a_scheduled_run_that_failed_is_tried_again_after_a_while),
      cmocka_unit_test(what_is_to_be_tried_again_is_so_after_a_restart),
      cmocka_unit_test(a_run_that_a_stop_has_cut_off_is_tried_again),
      cmocka_unit_test(attempts_end_and_the_next_minute_begins_anew),
      cmocka_unit_test(a_run_by_hand_saves_the_attempts_that_are_left),
      cmocka_unit_test(a_paused_schedule_rests_over_restarts_and_makes_up_once_when_resumed),
      cmocka_unit_test(a_pause_takes_what_waits_out_of_the_queue),
      cmocka_unit_test(a_pause_outlives_a_change_of_the_schedule),
      cmocka_unit_test(what_cannot_be_paused_is_refused_and_nothing_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
