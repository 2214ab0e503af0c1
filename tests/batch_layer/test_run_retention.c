/* tests/batch_layer/test_run_retention.c -- which runs are kept. */
#include "tests/common/store/view_fixture.h"

#include "common/store/run_reader.h"
#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

/* ---- retention --------------------------------------------------------------------------------------------------- */

static void old_runs_go_when_nobody_reads_them(void **state) {
  (void)state;
  tly_run_reader *reader = NULL;
  int64_t ids[5];
  bench_open(THREE_VIEWS);
  bench.settings.keep_runs = 2;
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  struct tly_view_program *totals = tly_view_program_new(tly_project_view(bench.rig.project, "totals"));
  for (int i = 0; i < 5; i++) {
    json_t *reply = bench_ask(bench_recompute_all);
    ids[i] = bench_member(reply, "run");
    json_decref(reply);
    if (i == 1)
      CHECK_OK(tly_run_reader_open(bench.rig.directory, ids[1], totals, &reader, &test_error));
  }
  assert_false(bench_has_folder(ids[0]));
  assert_true(bench_has_folder(ids[1])); /* it is still read */
  assert_false(bench_has_folder(ids[2]));
  assert_true(bench_has_folder(ids[3]));
  assert_true(bench_has_folder(ids[4]));
  assert_int_equal(bench_count_runs("ready"), 2);
  assert_int_equal(bench_count_runs("withdrawn"), 3);
  tly_run_reader_close(reader);
  json_t *reply = bench_ask(bench_recompute_all);
  assert_false(bench_has_folder(ids[1]));
  assert_false(bench_has_folder(ids[3]));
  json_decref(reply);
  tly_view_program_free(totals);
  bench_close();
}

static void the_last_run_of_a_view_is_kept_however_old(void **state) {
  (void)state;
  bench_open(THREE_VIEWS);
  bench.settings.keep_runs = 1;
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  json_t *reply = bench_ask(bench_recompute_all);
  int64_t first = bench_member(reply, "run");
  json_decref(reply);
  for (int i = 0; i < 3; i++)
    json_decref(bench_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n"));
  assert_true(bench_has_folder(first)); /* totals and shares are published from it */
  assert_int_equal(bench_count_runs("ready"), 2);
  rig_assert_right(&bench.rig);
  bench_close();
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(old_runs_go_when_nobody_reads_them),
      cmocka_unit_test(the_last_run_of_a_view_is_kept_however_old),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
