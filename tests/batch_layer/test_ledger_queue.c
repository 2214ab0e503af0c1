/* tests/batch_layer/test_ledger_queue.c -- reconciliations with ledgers, asked for at the socket. */
#include "tests/common/store/view_fixture.h"

#include "common/base/limits.h"
#include "common/store/break_reader.h"
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

/* ---- breaks ------------------------------------------------------------------------------------------------------ */

static void write_bank(const char *csv) {
  char path[400];
  snprintf(path, sizeof path, "%s/bank.csv", bench.project_folder);
  CHECK_OK(tly_file_replace(path, csv, strlen(csv), &test_error));
}

static int64_t change_of(const json_t *reply, const char *name) {
  return json_integer_value(json_object_get(json_object_get(json_object_get(reply, "result"), "changes"), name));
}

static void assert_changes(const json_t *reply, int found, int carried, int reopened, int cleared) {
  assert_int_equal(change_of(reply, "new"), found);
  assert_int_equal(change_of(reply, "carried"), carried);
  assert_int_equal(change_of(reply, "reopened"), reopened);
  assert_int_equal(change_of(reply, "cleared"), cleared);
}

static const json_t *first_row(const json_t *reply) {
  return json_array_get(json_object_get(json_object_get(reply, "result"), "break_rows"), 0);
}

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL ? text : "";
}

static void a_break_ages_is_cleared_after_repair_and_reopened_when_it_comes_back(void **state) {
  (void)state;
  open_ledger_bench("account,total\nb,2\na,1.4\n");
  json_t *reply = bench_ask(against_bank);
  assert_changes(reply, 1, 0, 0, 0);
  assert_true(json_is_null(json_object_get(json_object_get(reply, "result"), "previous")));
  json_decref(reply);
  bench.now_us += 9 * 24 * bench_hour_us;
  reply = bench_ask(against_bank);
  assert_changes(reply, 0, 1, 0, 0);
  assert_int_equal(bench_member(reply, "previous"), 1);
  assert_int_equal(json_integer_value(json_object_get(first_row(reply), "id")), 1);
  assert_int_equal(json_integer_value(json_object_get(first_row(reply), "age_days")), 9);
  assert_string_equal(text_of(first_row(reply), "age"), "8-30");
  assert_string_equal(text_of(first_row(reply), "since"), "2024-01-01T00:10:00Z");
  json_decref(reply);
  write_bank("account,total\nb,2\na,1.5\n");
  reply = bench_ask(against_bank);
  assert_string_equal(outcome_of(reply), "OK");
  assert_changes(reply, 0, 0, 0, 1);
  json_decref(reply);
  write_bank("account,total\nb,2\na,1.4\n");
  bench.now_us += 24 * bench_hour_us;
  reply = bench_ask(against_bank);
  assert_changes(reply, 0, 0, 1, 0);
  assert_int_equal(json_integer_value(json_object_get(first_row(reply), "id")), 1);
  assert_int_equal(json_integer_value(json_object_get(first_row(reply), "age_days")), 0);
  json_decref(reply);
  bench_close();
}

static json_t *set_break(const char *params) {
  char line[6000];
  snprintf(line, sizeof line, "{\"id\":1,\"method\":\"break\",\"params\":{%s}}\n", params);
  return bench_ask(line);
}

static void an_accepted_break_is_counted_and_valued_and_outlives_a_restart(void **state) {
  (void)state;
  open_ledger_bench("account,total\nb,2.25\na,1.4\n");
  json_decref(bench_ask(against_bank));
  json_t *reply = set_break("\"break\":2,\"status\":\"accepted\",\"reason\":\"a fee\",\"by\":\"ann\"");
  assert_string_equal(text_of(json_object_get(reply, "result"), "status"), "accepted");
  assert_string_equal(text_of(json_object_get(reply, "result"), "before"), "open");
  json_decref(reply);
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler();
  reply = bench_ask(against_bank);
  assert_string_equal(outcome_of(reply), "BREAKS");
  assert_int_equal(bench_member(reply, "breaks"), 2);
  assert_int_equal(bench_member(reply, "accepted"), 1);
  const json_t *total = json_array_get(json_object_get(json_object_get(reply, "result"), "totals"), 0);
  assert_string_equal(text_of(total, "gross"), "0.35");
  assert_string_equal(text_of(total, "accepted"), "0.25");
  json_decref(reply);
  bench_close();
}

static void a_word_on_a_break_that_makes_no_sense_is_an_error_reply(void **state) {
  (void)state;
  static const struct {
    const char *params, *sqlstate;
  } cases[] = {
      {"\"status\":\"open\",\"reason\":\"x\",\"by\":\"ann\"", "22023"},
      {"\"break\":\"1\",\"status\":\"open\",\"reason\":\"x\",\"by\":\"ann\"", "22023"},
      {"\"break\":0,\"status\":\"open\",\"reason\":\"x\",\"by\":\"ann\"", "22023"},
      {"\"break\":1,\"status\":\"fine\",\"reason\":\"x\",\"by\":\"ann\"", "22023"},
      {"\"break\":1,\"reason\":\"x\",\"by\":\"ann\"", "22023"},
      {"\"break\":1,\"status\":\"open\",\"reason\":\" \",\"by\":\"ann\"", "22023"},
      {"\"break\":1,\"status\":\"open\",\"reason\":\"x\"", "22023"},
      {"\"break\":2,\"status\":\"open\",\"reason\":\"x\",\"by\":\"ann\"", "42704"},
  };
  char params[5500];
  open_ledger_bench("account,total\nb,2\na,1.4\n");
  json_decref(bench_ask(against_bank));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    json_t *reply = set_break(cases[i].params);
    if (strcmp(bench_sqlstate(reply), cases[i].sqlstate) != 0)
      fail_msg("%s gives %s, not %s", cases[i].params, bench_sqlstate(reply), cases[i].sqlstate);
    json_decref(reply);
  }
  snprintf(params, sizeof params, "\"break\":1,\"status\":\"open\",\"by\":\"ann\",\"reason\":\"%0*d\"",
           TLY_BREAK_WORDS_BYTES_MAX + 1, 1);
  json_t *reply = set_break(params);
  assert_string_equal(bench_sqlstate(reply), "54000");
  json_decref(reply);
  reply = bench_ask(against_bank);
  assert_changes(reply, 0, 1, 0, 0); /* nothing of it has happened */
  json_decref(reply);
  bench_close();
}

static void the_first_breaks_are_listed_and_all_are_kept(void **state) {
  (void)state;
  enum { KEYS = 1500 };
  struct tly_buffer csv = {0};
  tly_buffer_append_text(&csv, "account,total\n");
  for (int i = 0; i < KEYS; i++)
    tly_buffer_print(&csv, "x%04d,1\n", i);
  open_ledger_bench(tly_buffer_text(&csv));
  json_t *reply = bench_ask(against_bank);
  assert_int_equal(bench_member(reply, "breaks"), KEYS + 2);
  assert_int_equal(bench_member(reply, "kept"), KEYS + 2);
  assert_int_equal(json_array_size(json_object_get(json_object_get(reply, "result"), "break_rows")),
                   TLY_BREAKS_LISTED_MAX);
  json_decref(reply);
  write_bank("account,total\na,1.5\nb,2\n");
  reply = bench_ask(against_bank);
  assert_changes(reply, 0, 0, 0, KEYS + 2);
  json_decref(reply);
  tly_buffer_free(&csv);
  bench_close();
}

static void a_child_that_dies_makes_it_incomplete_and_changes_no_break(void **state) {
  (void)state;
  open_ledger_bench("account,total\nb,2\na,1.4\n");
  json_decref(bench_ask(against_bank));
  setenv("TALLY_CRASH_AT", "reconcile.before_report", 1);
  json_t *reply = bench_ask(against_bank);
  unsetenv("TALLY_CRASH_AT");
  assert_string_equal(outcome_of(reply), "INCOMPLETE");
  assert_non_null(strstr(text_of(json_object_get(json_object_get(reply, "result"), "reason"), "message"), "signal 9"));
  assert_int_equal(bench_member(reply, "reconciliation"), 2);
  json_decref(reply);
  reply = bench_ask(against_bank);
  assert_changes(reply, 0, 1, 0, 0);
  assert_int_equal(bench_member(reply, "previous"), 1);
  json_decref(reply);
  bench_close();
}

/* ---- by schedule ------------------------------------------------------------------------------------------------- */

#define WITH_SCHEDULE                                                                                                  \
  PAYMENTS_STREAM                                                                                                      \
  "CREATE MATERIALIZED VIEW totals WITH (reconcile = '0 * * * *', reconcile_with = 'bank', tolerance = '0.1') AS"      \
  " SELECT account, sum(amount) AS total FROM payments GROUP BY account;"                                              \
  "CREATE SERVER files FOREIGN DATA WRAPPER file;"                                                                     \
  "CREATE FOREIGN TABLE bank (account text, total numeric(18,2)) SERVER files OPTIONS (filename 'bank.csv');"

/* The rows of reconciliations, newest first. */
static struct tly_reconciliation *read_reconciliations(uint32_t *count) {
  tly_break_reader *reader;
  struct tly_reconciliation *rows;
  CHECK_OK(tly_break_reader_open(bench.rig.directory, &reader, &test_error));
  CHECK_OK(tly_break_reader_reconciliations(reader, NULL, NULL, 100, &bench.arena, &rows, count, &test_error));
  tly_break_reader_close(reader);
  return rows;
}

static bool are_reconciled(void *context) {
  uint32_t count;
  (void)read_reconciliations(&count);
  return count >= *(const uint32_t *)context && bench_is_idle(NULL);
}

static struct tly_reconciliation wait_for(uint32_t count) {
  bench_pump(are_reconciled, &count);
  uint32_t seen;
  struct tly_reconciliation *rows = read_reconciliations(&seen);
  assert_int_equal(seen, count);
  return rows[0];
}

static void a_view_is_reconciled_by_itself_at_its_minute(void **state) {
  (void)state;
  bench_open(WITH_SCHEDULE);
  write_bank("account,total\na,1.45\nb,3\n");
  rig_ingest(&bench.rig, "payments", 0, "{\"account\":\"a\",\"amount\":1.50}\n{\"account\":\"b\",\"amount\":2}\n");
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench_turn_in_vain();
  bench.now_us = bench_start_us + bench_hour_us; /* 01:10, for 01:00 */
  struct tly_reconciliation row = wait_for(1);
  assert_string_equal(row.reason, "schedule");
  assert_int_equal(row.scheduled_for_us, bench.now_us / bench_hour_us * bench_hour_us);
  assert_int_equal(row.started_at_us, bench.now_us);
  assert_string_equal(row.result, "BREAKS");
  assert_string_equal(row.tolerance, "0.1");
  assert_int_equal(row.within_tolerance, 1);
  assert_int_equal(row.new_count, 1);
  assert_true(row.has_ledger_hash);
  bench_turn_in_vain();
  json_t *reply = bench_ask(against_bank); /* the tolerance is the view's here, too */
  assert_int_equal(bench_member(reply, "within_tolerance"), 1);
  assert_changes(reply, 0, 1, 0, 0);
  json_decref(reply);
  tly_scheduler_close(bench.scheduler);
  bench_open_scheduler(); /* that it was done is durable */
  bench_turn_in_vain();
  bench.now_us += 50 * bench_hour_us; /* what was missed is made up once */
  assert_string_equal(wait_for(3).reason, "schedule");
  bench_turn_in_vain();
  bench_close();
}

static void a_ledger_that_is_not_there_is_tried_again_within_the_period(void **state) {
  (void)state;
  bench_open(WITH_SCHEDULE);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  bench.now_us = bench_start_us + bench_hour_us;
  struct tly_reconciliation row = wait_for(1);
  assert_string_equal(row.result, "INCOMPLETE");
  assert_string_equal(row.sqlstate, "58030");
  assert_int_equal(row.breaks, -1);
  bench_turn_in_vain();
  bench.now_us += 61 * INT64_C(1000000);
  (void)wait_for(2);
  write_bank("account,total\n");
  bench_turn_in_vain();
  bench.now_us += 5 * 60 * INT64_C(1000000);
  row = wait_for(3);
  assert_string_equal(row.result, "OK");
  bench.now_us += 30 * 60 * INT64_C(1000000);
  bench_turn_in_vain();
  bench_close();
}

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
      cmocka_unit_test(a_break_ages_is_cleared_after_repair_and_reopened_when_it_comes_back),
      cmocka_unit_test(an_accepted_break_is_counted_and_valued_and_outlives_a_restart),
      cmocka_unit_test(a_word_on_a_break_that_makes_no_sense_is_an_error_reply),
      cmocka_unit_test(the_first_breaks_are_listed_and_all_are_kept),
      cmocka_unit_test(a_child_that_dies_makes_it_incomplete_and_changes_no_break),
      cmocka_unit_test(a_view_is_reconciled_by_itself_at_its_minute),
      cmocka_unit_test(a_ledger_that_is_not_there_is_tried_again_within_the_period),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
