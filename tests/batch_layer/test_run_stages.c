/* tests/batch_layer/test_run_stages.c -- what becomes of runs: the child in which one is computed, and its failures at
 * every stage. */
#include "tests/common/store/view_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/batch_store.h"
#include "batch_layer/recompute_child.h"
#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

/* ---- the child that waits ---------------------------------------------------------------------------------------- */

/* Whether a child is there, and another one than that of the run before, *context. */
static bool child_waits(void *context) {
  pid_t child = bench_find_child();
  return tly_scheduler_is_idle(bench.scheduler) && child != 0 && child != *(const pid_t *)context;
}

/* A reply to bench_recompute_all by a child that has this crash point in its environment, and by none that was there
 * before or will be there after. */
static json_t *ask_and_crash(const char *point) {
  bench_kill_child();
  setenv("TALLY_CRASH_AT", point, 1);
  json_t *reply = bench_ask(bench_recompute_all);
  unsetenv("TALLY_CRASH_AT");
  bench_kill_child();
  return reply;
}

static void a_child_waits_for_the_next_run_and_computes_it(void **state) {
  (void)state;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 300);
  rig_settle(&bench.rig);
  pid_t waiting = 0;
  bench_open_scheduler();
  bench_pump(child_waits, &waiting);
  waiting = bench_find_child();
  json_decref(bench_ask(bench_recompute_all));
  bench_pump(child_waits, &waiting); /* one child, one run */
  rig_assert_right(&bench.rig);
  bench_close();
  assert_int_equal(bench_find_child(), 0);
}

static void a_waiting_child_that_dies_costs_nothing(void **state) {
  (void)state;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 300);
  rig_settle(&bench.rig);
  pid_t child = 0;
  bench_open_scheduler();
  for (int i = 0; i < 2; i++) {
    bench_pump(child_waits, &child);
    bench_kill_child();
    if (i == 1) /* seen before the run, or by it */
      bench_turn_in_vain();
    json_t *reply = bench_ask(bench_recompute_all);
    assert_string_equal(bench_sqlstate(reply), "none");
    json_decref(reply);
    child = bench_find_child(); /* on its way out, or gone */
  }
  assert_int_equal(bench_count_runs("ready"), 2);
  rig_assert_right(&bench.rig);
  bench_close();
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void a_recompute_that_is_killed_changes_nothing(void **state) {
  (void)state;
  static const char *const points[] = {"recompute.after_fold", "recompute.after_merge", "recompute.after_manifest"};
  uint32_t count;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 300);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  json_t *reply = bench_ask(bench_recompute_all);
  int64_t published = bench_member(reply, "run");
  json_decref(reply);
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    rig_ingest_payments(&bench.rig, 0, 1000 + 10 * (int)i, 10, 300);
    reply = ask_and_crash(points[i]);
    assert_string_equal(bench_sqlstate(reply), "XX000");
    json_decref(reply);
    struct tly_run *runs = bench_runs(&count);
    assert_string_equal(runs[0].state, "failed");
    assert_non_null(strstr(runs[0].error, "signal 9"));
    assert_false(bench_has_folder(runs[0].id));
    rig_settle(&bench.rig);
    assert_int_equal(rig_published(&bench.rig, "totals").run, published);
    rig_assert_right(&bench.rig);
  }
  reply = bench_ask(bench_recompute_all);
  assert_int_equal(bench_member(reply, "drift"), 0); /* generations of failed runs simply add up */
  assert_int_equal(rig_published(&bench.rig, "totals").run, bench_member(reply, "run"));
  rig_assert_right(&bench.rig);
  json_decref(reply);
  bench_close();
}

static void a_kill_at_any_moment_fails_the_run_or_comes_too_late(void **state) {
  (void)state;
  int rounds = getenv("TALLY_LONG") != NULL ? 200 : 8, killed = 0;
  unsigned seed = 7;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 20000, 3000);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  for (int round = 0; round < rounds || killed == 0; round++) {
    tly_client *client = bench_connect();
    int lines = 0;
    uint32_t turns = (uint32_t)rand_r(&seed) % 40;
    bench_send(client, bench_recompute_all);
    for (uint32_t i = 0; i < turns || bench_find_child() == 0; i++) {
      bench_serve_cut();
      CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
      if (bench_has_reply(client))
        break;
      rig_settle(&bench.rig);
    }
    pid_t child = bench_find_child();
    if (child > 0)
      kill(child, SIGKILL);
    json_t *reply = bench_receive(client, &lines);
    bool failed = json_object_get(reply, "error") != NULL;
    killed += failed;
    rig_settle(&bench.rig);
    rig_assert_right(&bench.rig);
    json_decref(reply);
    tly_client_close(client);
  }
  assert_int_equal(bench_count_runs("failed"), killed);
  assert_int_equal(bench_count_runs("running"), 0);
  bench_close();
}

static void a_run_under_way_when_we_are_stopped_is_failed(void **state) {
  (void)state;
  uint32_t one = 1, count;
  int lines = 0;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 20000, 300);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  tly_client *client = bench_connect();
  bench_send(client, bench_recompute_all);
  bench_pump(bench_run_has_begun, &one);
  tly_scheduler_close(bench.scheduler);
  bench.scheduler = NULL;
  json_t *reply = bench_receive(client, &lines);
  assert_string_equal(bench_sqlstate(reply), "57014");
  struct tly_run *runs = bench_runs(&count);
  assert_string_equal(runs[0].state, "failed");
  assert_false(bench_has_folder(runs[0].id));
  assert_int_equal(bench_find_child(), 0);
  json_decref(reply);
  tly_client_close(client);
  bench_close();
}

static void runs_left_running_by_a_dead_process_are_failed_and_cleared(void **state) {
  (void)state;
  uint32_t count;
  tly_batch_store *store;
  char path[400];
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  const struct tly_view *views[] = {&bench.rig.project->views[0]};
  for (int64_t number = 50; number < 52; number++) {
    CHECK_OK(tly_batch_store_open(bench.rig.directory, 1, &store, &test_error));
    struct tly_cut cut = {.number = number};
    struct tly_run_start start = {.cut = &cut,
                                  .reason = "manual",
                                  .started_at_us = 5,
                                  .views = views,
                                  .fired_at_us = (int64_t[]){0},
                                  .view_count = 1};
    CHECK_OK(tly_batch_store_begin(store, &start, &test_error));
    tly_batch_store_close(store);
    snprintf(path, sizeof path, "%s/runs/%" PRId64, bench.rig.directory, number);
    CHECK_OK(tly_file_make_folder(path, &test_error));
  }
  snprintf(path, sizeof path, "%s/runs/51/manifest.json", bench.rig.directory);
  CHECK_OK(tly_file_replace(path, "{}", 2, &test_error));
  snprintf(path, sizeof path, "%s/runs/of somebody", bench.rig.directory);
  CHECK_OK(tly_file_make_folder(path, &test_error));
  bench_open_scheduler();
  struct tly_run *runs = bench_runs(&count);
  assert_int_equal(count, 2);
  for (uint32_t i = 0; i < count; i++) {
    assert_string_equal(runs[i].state, "failed");
    assert_non_null(strstr(runs[i].error, "interrupted"));
  }
  assert_false(bench_has_folder(50)); /* an attempt that came to nothing */
  assert_true(bench_has_folder(51));  /* one that says it is whole: reported, not deleted */
  assert_true(tly_file_exists(path));
  bench_close();
}

static void a_run_nobody_publishes_stays_ready(void **state) {
  (void)state;
  uint32_t count;
  bench_open(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  bench.speed_runs = false;
  setenv("TALLY_DRIFT_WAIT_MS", "30", 1);
  bench_open_scheduler();
  json_t *reply = bench_ask(bench_recompute_all);
  unsetenv("TALLY_DRIFT_WAIT_MS");
  assert_string_equal(bench_sqlstate(reply), "55000");
  struct tly_run *runs = bench_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].state, "ready");
  assert_int_equal(runs[0].drift, -1);
  assert_non_null(strstr(runs[0].note, "drift not checked"));
  assert_true(tly_scheduler_is_idle(bench.scheduler));
  rig_settle(&bench.rig); /* the speed layer comes back and publishes it */
  assert_int_equal(rig_published(&bench.rig, "totals").run, runs[0].id);
  rig_assert_right(&bench.rig);
  json_decref(reply);
  bench_close();
}

/* ---- priority ---------------------------------------------------------------------------------------------------- */

static bool has_stepped_back(pid_t process) {
  char path[64];
  struct tly_buffer text = {0};
  snprintf(path, sizeof path, "/proc/%d/autogroup", (int)process);
  bool is_small = !tly_file_exists("/proc/self/autogroup"); /* this kernel has no such groups */
  if (tly_file_read(path, 256, &text, NULL) == TLY_OK)
    is_small |= strstr(tly_buffer_text(&text), " nice 10") != NULL;
  tly_buffer_free(&text);
  return is_small && getsid(process) == process && getpriority(PRIO_PROCESS, (id_t)process) == 10;
}

/* Threads of the lowest priority in the group of the live processes would hold up kernel threads that these wait for.
 */
static void a_recompute_is_a_group_of_its_own_with_a_small_share(void **state) {
  (void)state;
  struct tly_recompute_child child = {0};
  bench_open(THREE_VIEWS);
  CHECK_OK(tly_recompute_child_prepare(&child, &bench.settings, &test_error));
  int64_t until_us = tly_clock_monotonic_us(&tly_clock_real) + INT64_C(60000000);
  while (!has_stepped_back(child.process) && tly_clock_monotonic_us(&tly_clock_real) < until_us)
    usleep(1000);
  assert_true(has_stepped_back(child.process));
  assert_int_not_equal(getsid(0), child.process);
  tly_recompute_child_kill(&child);
  bench_close();
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_child_waits_for_the_next_run_and_computes_it),
      cmocka_unit_test(a_waiting_child_that_dies_costs_nothing),
      cmocka_unit_test(a_recompute_that_is_killed_changes_nothing),
      cmocka_unit_test(a_kill_at_any_moment_fails_the_run_or_comes_too_late),
      cmocka_unit_test(a_run_under_way_when_we_are_stopped_is_failed),
      cmocka_unit_test(runs_left_running_by_a_dead_process_are_failed_and_cleared),
      cmocka_unit_test(a_run_nobody_publishes_stays_ready),
      cmocka_unit_test(a_recompute_is_a_group_of_its_own_with_a_small_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
