/* tests/batch_layer/test_rollback.c -- an operator lets views show an older run again. */
#include <stdio.h>
#include <string.h>

#include "tests/common/store/view_fixture.h"

#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

#define WHO "\"reason\":\"a test\",\"user\":\"ops\""

static const char roll_back[] = "{\"id\":1,\"method\":\"rollback\",\"params\":{" WHO "}}\n";

/* Runs 1 .. count of all views, the last one shown, events before and after each. */
static void open_with_runs(int count) {
  bench_open(THREE_VIEWS);
  bench.settings.keep_runs = 4;
  rig_ingest_payments(&bench.rig, 0, 0, 200, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  for (int n = 1; n <= count; n++) {
    json_t *reply = bench_ask(bench_recompute_all);
    assert_int_equal(bench_member(reply, "run"), n);
    json_decref(reply);
    rig_ingest_payments(&bench.rig, 0, n * 200, 200, 30);
    rig_settle(&bench.rig);
  }
}

static void assert_shown(int64_t totals, int64_t kinds, int64_t shares) {
  assert_int_equal(rig_published(&bench.rig, "totals").run, totals);
  assert_int_equal(rig_published(&bench.rig, "kinds").run, kinds);
  assert_int_equal(rig_published(&bench.rig, "shares").run, shares);
  rig_assert_right(&bench.rig);
}

static void check_refused(const char *params, const char *sqlstate, const char *words) {
  char line[500];
  snprintf(line, sizeof line, "{\"id\":1,\"method\":\"rollback\",\"params\":{%s}}\n", params);
  json_t *reply = bench_ask(line);
  if (bench_sqlstate(reply) == NULL || strcmp(bench_sqlstate(reply), sqlstate) != 0)
    fail_msg("%s: %s", params, json_dumps(reply, 0));
  char *text = json_dumps(reply, JSON_ENCODE_ANY);
  if (strstr(text, words) == NULL)
    fail_msg("%s: no \"%s\" in %s", params, words, text);
  free(text);
  json_decref(reply);
}

static void the_views_of_the_newest_run_show_the_one_before_it(void **state) {
  (void)state;
  open_with_runs(3);
  json_t *reply = bench_ask(roll_back);
  json_t *wanted =
      json_pack("{s:[{s:s,s:i,s:[i]},{s:s,s:i,s:[i]},{s:s,s:i,s:[i]}]}", "views", "view", "totals", "run", 2,
                "rejected", 3, "view", "kinds", "run", 2, "rejected", 3, "view", "shares", "run", 2, "rejected", 3);
  if (!json_equal(json_object_get(reply, "result"), wanted))
    fail_msg("%s", json_dumps(reply, 0));
  assert_shown(2, 2, 2);
  assert_int_equal(bench_count_runs("rejected"), 1);
  json_decref(wanted);
  json_decref(reply);
  bench_close();
}

static void a_named_view_goes_back_alone_and_the_run_stays_ready_for_the_others(void **state) {
  uint32_t count;
  (void)state;
  open_with_runs(3);
  json_decref(bench_ask("{\"id\":1,\"method\":\"rollback\",\"params\":{\"views\":[\"kinds\"],\"to\":1," WHO
                        ",\"progress\":true}}\n"));
  assert_shown(3, 1, 3);
  assert_int_equal(bench_count_runs("ready"), 3);
  struct tly_run *runs = bench_runs(&count);
  for (uint32_t r = 0; r < count; r++)
    for (uint32_t v = 0; v < runs[r].view_count; v++) {
      bool is_rejected = runs[r].id > 1 && strcmp(runs[r].views[v].view, "kinds") == 0;
      assert_int_equal(runs[r].views[v].rollback != NULL, is_rejected);
      if (is_rejected) {
        assert_string_equal(runs[r].views[v].rollback->by, "ops");
        assert_string_equal(runs[r].views[v].rollback->reason, "a test");
      }
    }
  json_decref(bench_ask(roll_back)); /* those that show run 3: the others */
  assert_shown(2, 1, 2);
  assert_int_equal(bench_count_runs("rejected"), 1); /* run 2 is still shown */
  bench_close();
}

static void a_later_run_is_published_and_the_rejected_one_is_never_again(void **state) {
  (void)state;
  open_with_runs(2);
  json_decref(bench_ask(roll_back));
  assert_shown(1, 1, 1);
  check_refused("\"to\":2," WHO, "22023", "was rejected for view \\\"totals\\\" by ops: a test");
  json_t *reply = bench_ask(bench_recompute_all);
  assert_int_equal(bench_member(reply, "run"), 3);
  json_decref(reply);
  assert_shown(3, 3, 3);
  json_decref(bench_ask(roll_back));
  assert_shown(1, 1, 1);
  bench_close();
}

static void what_cannot_be_carried_out_is_refused_and_changes_nothing(void **state) {
  (void)state;
  open_with_runs(2);
  check_refused("\"user\":\"ops\"", "22023", "reason");
  check_refused("\"reason\":\" \",\"user\":\"ops\"", "22023", "reason");
  check_refused("\"reason\":\"x\"", "22023", "user");
  check_refused("\"views\":[\"nothing\"]," WHO, "42P01", "nothing");
  check_refused("\"views\":\"kinds\"," WHO, "22023", "array");
  check_refused("\"to\":0," WHO, "22023", "older run");
  check_refused("\"to\":9," WHO, "42704", "can go back to: 1");
  check_refused("\"to\":2," WHO, "22023", "shows run 2 already");
  assert_int_equal(bench_count_runs("ready"), 2);
  json_decref(bench_ask(roll_back));
  check_refused(WHO, "42704", "no older run of it is kept");
  assert_shown(1, 1, 1);
  bench_close();
}

static void a_run_that_is_not_kept_is_named_with_those_that_are(void **state) {
  (void)state;
  open_with_runs(6); /* four are kept */
  check_refused("\"to\":1," WHO, "42704", "run 1 is not kept: it is withdrawn");
  check_refused("\"to\":1," WHO, "42704", "can go back to: 3, 4, 5");
  assert_int_equal(bench_count_runs("rejected"), 0);
  bench_close();
}

/* The newest good run is what a view may go back to: however many others were rejected, it is there. */
static void the_run_to_go_back_to_is_kept(void **state) {
  (void)state;
  bench_open(THREE_VIEWS);
  bench.settings.keep_runs = 2;
  rig_ingest_payments(&bench.rig, 0, 0, 200, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  json_decref(bench_ask(bench_recompute_all));
  for (int n = 0; n < 4; n++) {
    json_decref(bench_ask(bench_recompute_all));
    json_decref(bench_ask(roll_back));
    assert_shown(1, 1, 1);
  }
  json_decref(bench_ask(bench_recompute_all));
  assert_true(bench_has_folder(1));
  assert_false(bench_has_folder(2));
  assert_false(bench_has_folder(3));
  assert_true(bench_has_folder(4)); /* as many rejected ones are kept, to look at */
  assert_true(bench_has_folder(5));
  json_decref(bench_ask(roll_back));
  assert_shown(1, 1, 1);
  bench_close();
}

static void a_run_of_another_definition_is_refused_by_name(void **state) {
  static const char changed[] =
      PAYMENTS_STREAM "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n FROM payments"
                      " GROUP BY account;\n" KINDS_VIEW SHARES_VIEW;
  uint32_t two = 2;
  (void)state;
  open_with_runs(1);
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  bench_write_project(changed);
  rig_change_project(&bench.rig, changed);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_pump(bench_run_has_begun, &two); /* by itself: the definition is new */
  bench_pump(bench_is_idle, NULL);
  json_decref(bench_ask(bench_recompute_all));
  json_decref(bench_ask("{\"id\":1,\"method\":\"rollback\",\"params\":{\"views\":[\"totals\"]," WHO "}}\n"));
  assert_shown(2, 3, 3);
  check_refused("\"views\":[\"totals\"]," WHO, "22023", "run 1 was computed by another definition of view");
  check_refused("\"views\":[\"totals\"],\"to\":1," WHO, "22023", "put the old definition back");
  check_refused("\"views\":[\"totals\",\"kinds\"]," WHO, "22023", "another definition"); /* all of them, or none */
  json_decref(bench_ask("{\"id\":1,\"method\":\"rollback\",\"params\":{\"views\":[\"kinds\",\"shares\"]," WHO "}}\n"));
  assert_shown(2, 1, 1);
  bench_close();
}

/* It began before the decision, so the decision is about it. */
static void a_run_under_way_is_rejected_too(void **state) {
  (void)state;
  uint32_t three = 3;
  open_with_runs(2);
  tly_client *client = bench_connect(), *operator= bench_connect();
  int progress;
  bench_send(client, bench_recompute_all);
  bench_pump(bench_run_has_begun, &three);
  bench_send(operator, roll_back);
  json_t *reply = bench_receive(operator, & progress);
  assert_non_null(json_object_get(reply, "result"));
  json_decref(reply);
  reply = bench_receive(client, &progress);
  assert_string_equal(bench_sqlstate(reply), "57014");
  json_decref(reply);
  assert_shown(1, 1, 1);
  assert_int_equal(bench_count_runs("rejected"), 2);
  tly_client_close(client);
  tly_client_close(operator);
  bench_close();
}

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_views_of_the_newest_run_show_the_one_before_it),
      cmocka_unit_test(a_named_view_goes_back_alone_and_the_run_stays_ready_for_the_others),
      cmocka_unit_test(a_later_run_is_published_and_the_rejected_one_is_never_again),
      cmocka_unit_test(what_cannot_be_carried_out_is_refused_and_changes_nothing),
      cmocka_unit_test(a_run_that_is_not_kept_is_named_with_those_that_are),
      cmocka_unit_test(the_run_to_go_back_to_is_kept),
      cmocka_unit_test(a_run_of_another_definition_is_refused_by_name),
      cmocka_unit_test(a_run_under_way_is_rejected_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
