/* tests/batch_layer/test_run_request.c -- who asks for runs, and what they are told. */
#include "tests/common/store/view_fixture.h"

#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void a_request_is_answered_when_its_run_is_published(void **state) {
  (void)state;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 2000, 300);
  rig_ingest_payments(&bench.rig, 2, 2000, 500, 300);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  json_t *reply = bench_ask(bench_recompute_all);
  int64_t run = bench_member(reply, "run");
  assert_int_equal(bench_member(reply, "events"), 2500);
  assert_int_equal(bench_member(reply, "drift"), 0);
  assert_true(bench_member(reply, "duration_ms") >= 0);
  const json_t *result = json_object_get(reply, "result");
  json_t *cut = json_pack("{s:[i,i,i]}", "payments", 2000, 0, 500);
  assert_true(json_equal(json_object_get(result, "cut"), cut));
  assert_int_equal(json_array_size(json_object_get(result, "views")), 3);
  for (uint32_t v = 0; v < 3; v++)
    assert_int_equal(rig_published(&bench.rig, all_views[v]).run, run);
  rig_assert_right(&bench.rig);
  json_decref(cut);
  json_decref(reply);
  bench_close();
}

static void progress_comes_before_the_result_to_who_wants_it(void **state) {
  (void)state;
  int lines = 0;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  bench_open_scheduler();
  tly_client *client = bench_connect();
  bench_send(client, "{\"id\":\"x\",\"method\":\"recompute\",\"params\":{\"views\":[\"totals\"],\"progress\":true}}\n");
  json_t *reply = bench_receive(client, &lines);
  assert_true(lines > 0);
  assert_string_equal(json_string_value(json_object_get(reply, "id")), "x");
  assert_int_equal(rig_published(&bench.rig, "totals").run, bench_member(reply, "run"));
  assert_int_equal(rig_published(&bench.rig, "kinds").run, 0); /* that was not asked for */
  tly_client_close(client);
  json_decref(reply);
  bench_close();
}

static void a_request_that_makes_no_sense_is_an_error_reply(void **state) {
  (void)state;
  static const struct {
    const char *line, *sqlstate;
  } cases[] = {
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"nothing\"]}}\n", "42P01"},
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":\"totals\"}}\n", "22023"},
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[7]}}\n", "22023"},
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"progress\":1}}\n", "22023"},
      {"{\"id\":1,\"method\":\"reconcile\",\"params\":{}}\n", "22023"},
      {"{\"id\":1,\"method\":\"status\"}\n", "0A000"},
      {"{\"id\":1,\"method\"\n", "22032"},
  };
  bench_open(THREE_VIEWS);
  bench_open_scheduler();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *reply = bench_ask(cases[i].line);
    if (strcmp(bench_sqlstate(reply), cases[i].sqlstate) != 0)
      fail_msg("%s gives %s, not %s", cases[i].line, bench_sqlstate(reply), cases[i].sqlstate);
    json_decref(reply);
  }
  assert_int_equal(bench_count_runs("ready"), 0);
  bench_close();
}

static void equal_requests_share_a_run_and_others_queue(void **state) {
  (void)state;
  int lines = 0;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  bench_open_scheduler();
  tly_client *clients[4];
  json_t *replies[4];
  for (int i = 0; i < 4; i++) {
    clients[i] = bench_connect();
    bench_send(clients[i], i % 2 == 0 ? bench_recompute_all
                                      : "{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n");
  }
  for (int i = 0; i < 4; i++)
    replies[i] = bench_receive(clients[i], &lines);
  assert_int_equal(bench_member(replies[0], "run"), bench_member(replies[2], "run"));
  assert_int_equal(bench_member(replies[1], "run"), bench_member(replies[3], "run"));
  assert_int_not_equal(bench_member(replies[0], "run"), bench_member(replies[1], "run"));
  for (int i = 0; i < 4; i++) {
    json_decref(replies[i]);
    tly_client_close(clients[i]);
  }
  bench_close();
}

static void requests_of_one_connection_are_answered_in_order(void **state) {
  (void)state;
  int lines = 0;
  bench_open(THREE_VIEWS);
  bench_open_scheduler();
  tly_client *client = bench_connect();
  bench_send(client, "{\"id\":1,\"method\":\"recompute\"}\n{\"id\":2,\"method\":\"status\"}\n"
                     "{\"id\":3,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n");
  for (int id = 1; id <= 3; id++) {
    json_t *reply = bench_receive(client, &lines);
    assert_int_equal(json_integer_value(json_object_get(reply, "id")), id);
    json_decref(reply);
  }
  tly_client_close(client);
  bench_close();
}

static void a_client_that_goes_away_leaves_its_run_going(void **state) {
  (void)state;
  uint32_t one = 1;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  bench_open_scheduler();
  tly_client *client = bench_connect();
  bench_send(client, bench_recompute_all);
  bench_pump(bench_run_has_begun, &one);
  tly_client_close(client);
  bench_pump(bench_is_idle, NULL);
  assert_int_equal(bench_count_runs("ready"), 1);
  bench_close();
}

static void reconcile_answers_with_the_keys_that_differ(void **state) {
  (void)state;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  json_t *reply = bench_ask("{\"id\":1,\"method\":\"reconcile\",\"params\":{\"view\":\"totals\"}}\n");
  assert_int_equal(bench_member(reply, "drift"), 0);
  assert_true(json_is_array(json_object_get(json_object_get(reply, "result"), "drift_rows")));
  json_decref(reply);
  bench_close();
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_is_answered_when_its_run_is_published),
      cmocka_unit_test(progress_comes_before_the_result_to_who_wants_it),
      cmocka_unit_test(a_request_that_makes_no_sense_is_an_error_reply),
      cmocka_unit_test(equal_requests_share_a_run_and_others_queue),
      cmocka_unit_test(requests_of_one_connection_are_answered_in_order),
      cmocka_unit_test(a_client_that_goes_away_leaves_its_run_going),
      cmocka_unit_test(reconcile_answers_with_the_keys_that_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
