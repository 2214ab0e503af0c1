/* tests/batch_layer/test_publish_orders.c -- an operator's word: a held run goes live after all, or why not. */
#include "tests/common/store/view_fixture.h"

#include "common/base/limits.h"
#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

#define CHECKED_VIEW                                                                                                   \
  "CREATE MATERIALIZED VIEW checked WITH (check = 'sum(n) <= 3') AS SELECT account, count(*) AS n FROM payments"       \
  " GROUP BY account;\n"

static const char payment[] = "{\"account\":\"A\",\"amount\":10.00,\"kind\":\"x\",\"parts\":1}\n";

/* Three payments and a run; then one more, and a run that is held. Its number. */
static int64_t open_with_held(const char *definitions) {
  bench_open(definitions);
  for (int i = 0; i < 3; i++)
    rig_ingest(&bench.rig, "payments", 0, payment);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  json_decref(bench_ask(bench_recompute_all));
  rig_ingest(&bench.rig, "payments", 0, payment);
  rig_settle(&bench.rig);
  json_t *reply = bench_ask(bench_recompute_all);
  int64_t held = bench_member(reply, "run");
  json_decref(reply);
  assert_int_equal(bench_count_runs("held"), 1);
  return held;
}

static json_t *publish(int64_t run) {
  char line[200];
  snprintf(line, sizeof line,
           "{\"id\":5,\"method\":\"publish\",\"params\":{\"run\":%" PRId64
           ",\"reason\":\"ticket 7\",\"user\":\"ann\"}}\n",
           run);
  return bench_ask(line);
}

static void assert_refused(json_t *reply, const char *sqlstate, const char *words) {
  const char *message = json_string_value(json_object_get(json_object_get(reply, "error"), "message"));
  assert_string_equal(bench_sqlstate(reply), sqlstate);
  if (strstr(message, words) == NULL)
    fail_msg("\"%s\" is not in \"%s\"", words, message);
  json_decref(reply);
}

static void a_held_run_goes_live_with_who_when_and_why(void **state) {
  (void)state;
  uint32_t count;
  int64_t held = open_with_held(PAYMENTS_STREAM CHECKED_VIEW TOTALS_VIEW);
  rig_ingest(&bench.rig, "payments", 0, payment); /* live goes on above its cut meanwhile */
  bench.now_us = bench_start_us + bench_hour_us;
  json_t *reply = publish(held);
  assert_int_equal(bench_member(reply, "run"), held);
  json_decref(reply);
  assert_int_equal(rig_published(&bench.rig, "checked").run, held);
  assert_int_equal(rig_published(&bench.rig, "totals").run, held);
  struct tly_run *runs = bench_runs(&count);
  assert_string_equal(runs[0].state, "ready");
  assert_string_equal(runs[0].released_by, "ann");
  assert_string_equal(runs[0].released_reason, "ticket 7");
  assert_int_equal(runs[0].released_at_us, bench_start_us + bench_hour_us);
  assert_non_null(strstr(runs[0].hold, "sum(n) = 4")); /* why it was held stays */
  rig_settle(&bench.rig);
  rig_assert_right(&bench.rig);
  bench_close();
}

static void a_held_run_is_published_after_a_restart_of_everything(void **state) {
  (void)state;
  int64_t held = open_with_held(PAYMENTS_STREAM CHECKED_VIEW);
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_ingest(&bench.rig, "payments", 0, payment);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  assert_int_equal(bench_count_runs("held"), 1);
  json_decref(publish(held));
  assert_int_equal(rig_published(&bench.rig, "checked").run, held);
  rig_assert_right(&bench.rig);
  bench_close();
}

static void the_first_run_of_a_view_can_be_released_too(void **state) {
  (void)state;
  uint32_t one = 1;
  bench_open(PAYMENTS_STREAM TOTALS_VIEW);
  for (int i = 0; i < 4; i++)
    rig_ingest(&bench.rig, "payments", 0, payment);
  rig_settle(&bench.rig);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, PAYMENTS_STREAM TOTALS_VIEW CHECKED_VIEW);
  bench_write_project(PAYMENTS_STREAM TOTALS_VIEW CHECKED_VIEW);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  assert_int_equal(bench_count_runs("held"), 1);
  json_decref(publish(1));
  bench_pump(bench_is_idle, NULL);
  rig_settle(&bench.rig);
  assert_true(rig_published(&bench.rig, "checked").is_ready);
  rig_assert_right(&bench.rig);
  bench_close();
}

static void what_cannot_be_published_is_refused_and_changes_nothing(void **state) {
  (void)state;
  int64_t held = open_with_held(PAYMENTS_STREAM CHECKED_VIEW TOTALS_VIEW);
  assert_refused(publish(held - 1), "22023", "is not held: it is ready");
  assert_refused(publish(99), "42704", "there is no run 99");
  assert_refused(publish(0), "22023", "the number of a held run");
  assert_refused(bench_ask("{\"id\":5,\"method\":\"publish\",\"params\":{\"run\":2,\"user\":\"ann\"}}\n"), "22023",
                 "\"reason\" is missing");
  assert_refused(
      bench_ask("{\"id\":5,\"method\":\"publish\",\"params\":{\"run\":2,\"reason\":\" \\t\",\"user\":\"ann\"}}\n"),
      "22023", "\"reason\" is missing");
  assert_refused(bench_ask("{\"id\":5,\"method\":\"publish\",\"params\":{\"run\":2,\"reason\":\"x\"}}\n"), "22023",
                 "\"user\" is missing");
  assert_int_equal(bench_count_runs("held"), 1);
  json_decref(bench_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"totals\"]}}\n"));
  assert_refused(publish(held), "22023", "run 3 of view totals is newer than run 2");
  assert_int_equal(bench_count_runs("held"), 1);
  bench_close();
}

static void a_run_of_another_definition_is_refused(void **state) {
  (void)state;
  static const char changed[] = PAYMENTS_STREAM TOTALS_VIEW
      "CREATE MATERIALIZED VIEW checked WITH (check = 'sum(n) <= 3') AS SELECT account, count(*) AS n FROM payments"
      " WHERE amount > 5 GROUP BY account;\n";
  int64_t held = open_with_held(PAYMENTS_STREAM CHECKED_VIEW TOTALS_VIEW);
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, changed);
  bench_write_project(changed);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  assert_refused(publish(held), "22023", "was computed by another definition of view checked");
  bench_close();
}

static void who_waits_is_told_when_the_speed_layer_stands_still(void **state) {
  (void)state;
  int64_t held = open_with_held(PAYMENTS_STREAM CHECKED_VIEW);
  bench.speed_runs = false;
  assert_refused(publish(held), "55000", "the speed layer does not publish it");
  assert_int_equal(bench_count_runs("held"), 0); /* the word stands: it is published when the layer moves */
  rig_settle(&bench.rig);
  assert_int_equal(rig_published(&bench.rig, "checked").run, held);
  rig_assert_right(&bench.rig);
  bench_close();
}

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_held_run_goes_live_with_who_when_and_why),
      cmocka_unit_test(a_held_run_is_published_after_a_restart_of_everything),
      cmocka_unit_test(the_first_run_of_a_view_can_be_released_too),
      cmocka_unit_test(what_cannot_be_published_is_refused_and_changes_nothing),
      cmocka_unit_test(a_run_of_another_definition_is_refused),
      cmocka_unit_test(who_waits_is_told_when_the_speed_layer_stands_still),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
