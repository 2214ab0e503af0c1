/* tests/batch_layer/test_ledger_queue.c -- reconciliations with ledgers, asked for at the socket. */
#include "tests/common/store/view_fixture.h"

#include "common/base/limits.h"
#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

/* ---- ledgers ----------------------------------------------------------------------------------------------------- */

#define WITH_LEDGER                                                                                                    \
  THREE_VIEWS                                                                                                          \
  "CREATE SERVER files FOREIGN DATA WRAPPER file;"                                                                     \
  "CREATE FOREIGN TABLE bank (account text, total numeric(18,2)) SERVER files OPTIONS (filename 'bank.csv');"

static const char against_bank[] =
    "{\"id\":1,\"method\":\"reconcile\",\"params\":{\"view\":\"totals\",\"against\":\"bank\",\"progress\":true}}\n";

static void open_ledger_bench(const char *csv) {
  char path[400];
  bench_open(WITH_LEDGER);
  snprintf(path, sizeof path, "%s/bank.csv", bench.project_folder);
  CHECK_OK(tly_file_replace(path, csv, strlen(csv), &test_error));
  rig_ingest(&bench.rig, "payments", 0, "{\"account\":\"a\",\"amount\":1.50}\n{\"account\":\"b\",\"amount\":2}\n");
  rig_settle(&bench.rig);
  bench_open_scheduler();
}

static const char *outcome_of(const json_t *reply) {
  const char *outcome = json_string_value(json_object_get(json_object_get(reply, "result"), "result"));
  return outcome != NULL ? outcome : bench_sqlstate(reply);
}

static void a_view_is_reconciled_with_a_ledger_in_a_child_of_its_own(void **state) {
  (void)state;
  open_ledger_bench("account,total\nb,2\na,1.5\n");
  json_t *reply = bench_ask(against_bank);
  assert_string_equal(outcome_of(reply), "OK");
  assert_int_equal(bench_member(reply, "keys"), 2);
  assert_int_equal(bench_member(reply, "matched"), 2);
  json_decref(reply);
  assert_int_equal(bench_count_runs("ready"), 0); /* nothing was recomputed for it */
  bench_pump(bench_is_idle, NULL);
  bench_close();
}

static void reconciliations_queue_and_a_recompute_goes_on_beside_them(void **state) {
  (void)state;
  tly_client *clients[4];
  int progress = 0;
  open_ledger_bench("account,total\nb,2\na,1.4\n");
  for (int i = 0; i < 4; i++) {
    clients[i] = bench_connect();
    bench_send(clients[i], i == 1 ? bench_recompute_all : against_bank);
  }
  for (int i = 0; i < 4; i++) {
    json_t *reply = bench_receive(clients[i], &progress);
    if (i != 1) {
      assert_string_equal(outcome_of(reply), "BREAKS");
      assert_int_equal(bench_member(reply, "breaks"), 1);
    } else {
      assert_int_equal(bench_member(reply, "events"), 2);
    }
    json_decref(reply);
    tly_client_close(clients[i]);
  }
  bench_pump(bench_is_idle, NULL);
  bench_close();
}

static void a_request_for_a_ledger_that_makes_no_sense_is_an_error_reply(void **state) {
  (void)state;
  static const struct {
    const char *params, *sqlstate;
  } cases[] = {
      {"\"view\":\"totals\",\"against\":\"nothing\"", "42P01"},
      {"\"view\":\"nothing\",\"against\":\"bank\"", "42P01"},
      {"\"view\":\"totals\",\"against\":7", "22023"},
      {"\"against\":\"bank\"", "42P01"},
      {"\"view\":\"kinds\",\"against\":\"bank\"", "42703"},
      {"\"view\":\"totals\",\"against\":\"bank\",\"tolerance\":\"-1\"", "22023"},
      {"\"view\":\"totals\",\"against\":\"bank\",\"tolerance\":\"much\"", "22023"},
      {"\"view\":\"totals\",\"against\":\"bank\",\"tolerance\":0.5", "22023"},
  };
  open_ledger_bench("account,total\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char line[300];
    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"reconcile\",\"params\":{%s}}\n", cases[i].params);
    json_t *reply = bench_ask(line);
    if (strcmp(bench_sqlstate(reply), cases[i].sqlstate) != 0)
      fail_msg("%s gives %s, not %s", line, bench_sqlstate(reply), cases[i].sqlstate);
    json_decref(reply);
  }
  bench_close();
}

static void a_ledger_that_cannot_be_read_is_incomplete(void **state) {
  (void)state;
  open_ledger_bench("account,total\na,1.5\nb,\"2\n");
  json_t *reply = bench_ask(against_bank);
  assert_string_equal(outcome_of(reply), "INCOMPLETE");
  assert_null(json_object_get(json_object_get(reply, "result"), "matched"));
  json_decref(reply);
  bench_close();
}

static void more_reconciliations_than_may_wait_are_refused(void **state) {
  (void)state;
  tly_client *clients[TLY_LEDGER_JOBS_MAX + 1];
  int progress = 0, refused = 0, fine = 0;
  open_ledger_bench("account,total\nb,2\na,1.5\n");
  for (int i = 0; i <= TLY_LEDGER_JOBS_MAX; i++) {
    clients[i] = bench_connect();
    bench_send(clients[i], against_bank); /* all are there before the scheduler looks */
  }
  for (int i = 0; i <= TLY_LEDGER_JOBS_MAX; i++) {
    json_t *reply = bench_receive(clients[i], &progress);
    refused += strcmp(outcome_of(reply), "53300") == 0;
    fine += strcmp(outcome_of(reply), "OK") == 0;
    json_decref(reply);
    tly_client_close(clients[i]);
  }
  assert_int_equal(refused, 1);
  assert_int_equal(fine, TLY_LEDGER_JOBS_MAX);
  bench_close();
}

static void a_stop_ends_reconciliations_and_tells_who_waits(void **state) {
  (void)state;
  tly_client *clients[2];
  json_t *reply;
  open_ledger_bench("account,total\nb,2\na,1.5\n");
  for (int i = 0; i < 2; i++) {
    clients[i] = bench_connect();
    bench_send(clients[i], against_bank);
  }
  for (int i = 0; i < 3; i++) /* accept, read, start */
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 0, &test_error));
  tly_scheduler_close(bench.scheduler);
  bench.scheduler = NULL;
  for (int i = 0; i < 2; i++) {
    CHECK_OK(tly_client_receive(clients[i], 1000, &reply, &test_error));
    assert_string_equal(outcome_of(reply), "57014");
    json_decref(reply);
    tly_client_close(clients[i]);
  }
  bench_close();
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_view_is_reconciled_with_a_ledger_in_a_child_of_its_own),
      cmocka_unit_test(reconciliations_queue_and_a_recompute_goes_on_beside_them),
      cmocka_unit_test(a_request_for_a_ledger_that_makes_no_sense_is_an_error_reply),
      cmocka_unit_test(a_ledger_that_cannot_be_read_is_incomplete),
      cmocka_unit_test(more_reconciliations_than_may_wait_are_refused),
      cmocka_unit_test(a_stop_ends_reconciliations_and_tells_who_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
