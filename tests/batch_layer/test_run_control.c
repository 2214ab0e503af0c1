/* tests/batch_layer/test_run_control.c -- cancelling runs at each moment, and what waits and why. */
#include "tests/common/store/view_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

#define NIGHTLY                                                                                                        \
  PAYMENTS_STREAM "CREATE MATERIALIZED VIEW totals WITH (job = 'nightly', recompute = '0 2 * * *') AS"                 \
                  " SELECT account, count(*) AS n FROM payments GROUP BY account;\n"                                   \
                  "CREATE MATERIALIZED VIEW kinds WITH (recompute = '0 2 * * *') AS"                                   \
                  " SELECT kind, count(*) AS n FROM payments GROUP BY kind;\n"

static void open_events(const char *definitions, int events) {
  bench_open(definitions);
  rig_ingest_payments(&bench.rig, 0, 0, events, 300);
  rig_settle(&bench.rig);
  bench_open_scheduler();
}

/* A cancel of what `run` names, a JSON text; NULL: the run under way. */
static json_t *cancel(const char *run) {
  char line[200];
  snprintf(line, sizeof line, "{\"id\":5,\"method\":\"cancel\",\"params\":{\"by\":\"the operator\"%s%s}}\n",
           run != NULL ? ",\"run\":" : "", run != NULL ? run : "");
  return bench_ask(line);
}

static void assert_cancel(const char *run, const char *sqlstate) {
  json_t *reply = cancel(run);
  assert_string_equal(bench_sqlstate(reply), sqlstate);
  json_decref(reply);
}

static void assert_waiter_was_told(tly_client *client) {
  int lines = 0;
  json_t *reply = bench_receive(client, &lines);
  assert_string_equal(bench_sqlstate(reply), "57014");
  assert_string_equal(json_string_value(json_object_get(json_object_get(reply, "error"), "message")),
                      "cancelled by the operator");
  json_decref(reply);
  tly_client_close(client);
}

/* Turn without an answer of the archiver, until the request on `client` was taken: its job is under way then, CUTTING.
 */
static bool is_cutting(void *context) {
  (void)context;
  return !tly_scheduler_is_idle(bench.scheduler);
}

static void turn_until_cutting(void) {
  for (int i = 0; i < 1000 && !is_cutting(NULL); i++)
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  assert_true(is_cutting(NULL));
}

/* The reply to a request, without letting the archiver or the speed layer do anything meanwhile. */
static json_t *ask_alone(const char *line) {
  json_t *reply;
  tly_client *client = bench_connect();
  bench_send(client, line);
  for (int i = 0; i < 1000 && !bench_has_reply(client); i++)
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  CHECK_OK(tly_client_receive(client, 0, &reply, &test_error));
  tly_client_close(client);
  return reply;
}

static json_t *ask_queue(void) {
  return ask_alone("{\"id\":9,\"method\":\"queue\"}\n");
}

static const json_t *row_of(const json_t *reply, size_t number) {
  return json_array_get(json_object_get(json_object_get(reply, "result"), "queue"), number);
}

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL ? text : "(none)";
}

/* ---- cancel ------------------------------------------------------------------------------------------------------ */

static void a_run_that_is_computed_is_cancelled_and_leaves_nothing_behind(void **state) {
  (void)state;
  uint32_t one = 1, count;
  open_events(THREE_VIEWS, 20000);
  tly_client *client = bench_connect();
  bench_send(client, bench_recompute_all);
  bench_pump(bench_run_has_begun, &one);
  json_t *reply = cancel("1");
  assert_int_equal(bench_member(reply, "cancelled"), 1);
  json_decref(reply);
  assert_waiter_was_told(client);
  const struct tly_run *run = bench_runs(&count);
  assert_string_equal(run->state, "failed");
  assert_string_equal(run->sqlstate, "57014");
  assert_string_equal(run->error, "cancelled by the operator");
  assert_false(bench_has_folder(1));
  bench_turn_in_vain(); /* it is not tried again */
  reply = bench_ask(bench_recompute_all);
  assert_int_equal(bench_member(reply, "drift"), 0);
  rig_assert_right(&bench.rig);
  json_decref(reply);
  bench_close();
}

static void a_run_without_a_cut_is_cancelled_without_a_trace(void **state) {
  (void)state;
  uint32_t count;
  open_events(THREE_VIEWS, 100);
  tly_client *client = bench_connect();
  bench_send(client, bench_recompute_all);
  turn_until_cutting();
  json_t *queue = ask_queue();
  const json_t *under_way = json_object_get(json_object_get(queue, "result"), "under_way");
  assert_string_equal(text_of(under_way, "stage"), "cut");
  assert_true(json_is_null(json_object_get(under_way, "run")));
  assert_string_equal(text_of(under_way, "waits"), "q1");
  json_t *reply = ask_alone("{\"id\":5,\"method\":\"cancel\",\"params\":{\"by\":\"the operator\",\"run\":\"q1\"}}\n");
  assert_string_equal(bench_sqlstate(reply), "none");
  assert_waiter_was_told(client);
  bench_runs(&count);
  assert_int_equal(count, 0);
  close(accept(bench.archiver, NULL, NULL)); /* the archiver's end: nobody would listen to its answer */
  bench_turn_in_vain();
  json_decref(reply);
  json_decref(queue);
  bench_close();
}

static void a_run_that_waits_is_cancelled_by_its_name_and_the_one_under_way_goes_on(void **state) {
  (void)state;
  uint32_t one = 1, count;
  int lines = 0;
  open_events(THREE_VIEWS, 20000);
  tly_client *first = bench_connect(), *second = bench_connect();
  bench_send(first, bench_recompute_all);
  bench_pump(bench_run_has_begun, &one);
  bench_send(second, "{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n");
  CHECK_OK(tly_scheduler_turn(bench.scheduler, 10, &test_error));
  CHECK_OK(tly_scheduler_turn(bench.scheduler, 10, &test_error));
  assert_cancel("\"q2\"", "none");
  assert_waiter_was_told(second);
  json_t *reply = bench_receive(first, &lines);
  assert_int_equal(bench_member(reply, "run"), 1);
  bench_runs(&count);
  assert_int_equal(count, 1);
  tly_client_close(first);
  json_decref(reply);
  bench_close();
}

static void a_run_that_is_ready_cannot_be_cancelled(void **state) {
  (void)state;
  int lines = 0;
  open_events(THREE_VIEWS, 100);
  bench.speed_runs = false; /* nobody publishes */
  setenv("TALLY_DRIFT_WAIT_MS", "30", 1);
  tly_client *client = bench_connect();
  bench_send(client, bench_recompute_all);
  while (bench_count_runs("ready") == 0) {
    bench_serve_cut();
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 2, &test_error));
  }
  assert_cancel(NULL, "55000");
  unsetenv("TALLY_DRIFT_WAIT_MS");
  json_decref(bench_receive(client, &lines));
  assert_int_equal(bench_count_runs("ready"), 1);
  tly_client_close(client);
  bench_close();
}

static void a_cancel_that_makes_no_sense_is_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {{NULL, "42704"},    {"7", "42704"},       {"\"q7\"", "42704"},
                                         {"0", "22023"},     {"-1", "22023"},      {"\"7\"", "22023"},
                                         {"\"q\"", "22023"}, {"\"q1x\"", "22023"}, {"[1]", "22023"}};
  open_events(THREE_VIEWS, 100);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_cancel(cases[i][0], cases[i][1]);
  json_decref(bench_ask(bench_recompute_all));
  assert_cancel("1", "42704"); /* it is over */
  bench_close();
}

static void a_scheduled_run_that_was_cancelled_waits_for_its_next_minute(void **state) {
  (void)state;
  uint32_t one = 1, two = 2, count;
  open_events(NIGHTLY, 20000);
  bench.now_us += 2 * bench_hour_us;
  bench_pump(bench_run_has_begun, &one);
  assert_cancel("1", "none");
  assert_cancel("\"q2\"", "none"); /* it waited, or has just begun */
  bench_turn_in_vain();
  bench.now_us += bench_hour_us;
  bench_turn_in_vain();
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler();
  bench_turn_in_vain(); /* that it was cancelled is durable */
  bench.now_us += 24 * bench_hour_us;
  bench_runs(&count);
  two = count + 2;
  bench_pump(bench_run_has_begun, &two);
  bench_pump(bench_is_idle, NULL);
  assert_int_equal(bench_count_runs("ready"), 2);
  assert_int_equal(bench_runs(&count)->attempt, 1);
  bench_close();
}

static void a_cancelled_run_for_a_definition_leaves_it_to_the_operator(void **state) {
  (void)state;
  uint32_t one = 1;
  bench_open(PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&bench.rig, 0, 0, 20000, 30);
  rig_settle(&bench.rig);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  bench_write_project(PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_pump(bench_run_has_begun, &one);
  assert_cancel("1", "none");
  for (int i = 0; i < 300; i++) /* long enough to look at definitions, and to try again what has failed */
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 5, &test_error));
  assert_true(tly_scheduler_is_idle(bench.scheduler));
  json_decref(bench_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n"));
  assert_true(rig_published(&bench.rig, "kinds").is_ready);
  bench_close();
}

/* ---- what waits -------------------------------------------------------------------------------------------------- */

static void the_queue_tells_what_is_under_way_and_what_waits_for_it(void **state) {
  (void)state;
  open_events(NIGHTLY, 100);
  bench.now_us += 2 * bench_hour_us;
  turn_until_cutting();
  json_t *reply = ask_queue();
  const json_t *under_way = json_object_get(json_object_get(reply, "result"), "under_way");
  assert_string_equal(text_of(under_way, "job"), "nightly");
  assert_string_equal(text_of(under_way, "reason"), "schedule");
  assert_string_equal(text_of(under_way, "scheduled_at"), "2024-01-01T02:00:00Z");
  assert_string_equal(text_of(under_way, "started_at"), "2024-01-01T02:10:00Z");
  assert_int_equal(json_integer_value(json_object_get(under_way, "attempt")), 1);
  const json_t *row = row_of(reply, 0);
  assert_string_equal(text_of(row, "waits"), "q2");
  assert_string_equal(text_of(row, "job"), "(none)");
  assert_string_equal(text_of(row, "since"), "2024-01-01T02:10:00Z");
  assert_string_equal(text_of(row, "why"), "another one is about to begin");
  assert_null(row_of(reply, 1));
  json_decref(reply);
  bench_close();
}

static void the_queue_tells_why_a_run_cannot_begin_and_when_it_is_tried_next(void **state) {
  (void)state;
  open_events(NIGHTLY, 100);
  close(bench.archiver);
  bench.archiver = -1;
  bench.now_us += 2 * bench_hour_us;
  for (int i = 0; i < 10; i++)
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  json_t *reply = ask_queue();
  for (size_t i = 0; i < 2; i++) {
    assert_non_null(strstr(text_of(row_of(reply, i), "why"), "it could not begin: no tally answers at"));
    assert_string_not_equal(text_of(row_of(reply, i), "next_try_at"), "(none)");
  }
  assert_true(json_is_null(json_object_get(json_object_get(reply, "result"), "under_way")));
  json_decref(reply);
  bench_close();
}

static void the_queue_tells_what_is_tried_again_and_what_is_paused(void **state) {
  (void)state;
  uint32_t two = 2;
  open_events(NIGHTLY, 100);
  setenv("TALLY_CRASH_AT", "recompute.after_fold", 1);
  bench.now_us += 2 * bench_hour_us;
  bench_pump(bench_run_has_begun, &two);
  bench_pump(bench_is_idle, NULL);
  unsetenv("TALLY_CRASH_AT");
  json_decref(
      bench_ask("{\"id\":1,\"method\":\"pause\",\"params\":{\"names\":[\"kinds\"],\"by\":\"the operator\"}}\n"));
  json_t *reply = ask_queue();
  assert_string_equal(text_of(row_of(reply, 0), "job"), "nightly");
  assert_string_equal(text_of(row_of(reply, 0), "why"), "run 1 failed, attempt 1 of 5");
  assert_string_equal(text_of(row_of(reply, 0), "next_try_at"), "2024-01-01T02:10:30Z");
  assert_int_equal(json_integer_value(json_object_get(row_of(reply, 0), "attempt")), 2);
  assert_string_equal(text_of(row_of(reply, 1), "why"), "paused by the operator");
  assert_string_equal(text_of(row_of(reply, 1), "since"), "2024-01-01T02:10:00Z");
  json_decref(reply);
  bench_close();
}

static void the_queue_tells_how_far_a_run_is(void **state) {
  (void)state;
  uint32_t one = 1;
  bool is_told = false;
  open_events(THREE_VIEWS, 20000);
  tly_client *client = bench_connect();
  bench_send(client, bench_recompute_all);
  bench_pump(bench_run_has_begun, &one);
  while (!is_told && !tly_scheduler_is_idle(bench.scheduler)) {
    json_t *reply = ask_queue();
    const json_t *under_way = json_object_get(json_object_get(reply, "result"), "under_way");
    is_told = json_integer_value(json_object_get(under_way, "done")) > 0 &&
              json_integer_value(json_object_get(under_way, "all")) == 20000 &&
              json_is_integer(json_object_get(under_way, "events_per_second")) &&
              json_is_integer(json_object_get(under_way, "eta_s"));
    json_decref(reply);
    rig_settle(&bench.rig);
  }
  assert_true(is_told);
  bench_pump(bench_is_idle, NULL);
  tly_client_close(client);
  bench_close();
}

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_that_is_computed_is_cancelled_and_leaves_nothing_behind),
      cmocka_unit_test(a_run_without_a_cut_is_cancelled_without_a_trace),
      cmocka_unit_test(a_run_that_waits_is_cancelled_by_its_name_and_the_one_under_way_goes_on),
      cmocka_unit_test(a_run_that_is_ready_cannot_be_cancelled),
      cmocka_unit_test(a_cancel_that_makes_no_sense_is_refused),
      cmocka_unit_test(a_scheduled_run_that_was_cancelled_waits_for_its_next_minute),
      cmocka_unit_test(a_cancelled_run_for_a_definition_leaves_it_to_the_operator),
      cmocka_unit_test(the_queue_tells_what_is_under_way_and_what_waits_for_it),
      cmocka_unit_test(the_queue_tells_why_a_run_cannot_begin_and_when_it_is_tried_next),
      cmocka_unit_test(the_queue_tells_what_is_tried_again_and_what_is_paused),
      cmocka_unit_test(the_queue_tells_how_far_a_run_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
