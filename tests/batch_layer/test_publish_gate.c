/* tests/batch_layer/test_publish_gate.c -- which runs go live, and what becomes of one that does not. */
#include "tests/common/store/view_fixture.h"

#include <sqlite3.h>

#include "batch_layer/publish_gate.h"
#include "common/base/limits.h"
#include "tests/support/scheduler_bench.h"
#include "tests/support/speed_project.h"

#define CHECKED_VIEW(condition)                                                                                        \
  "CREATE MATERIALIZED VIEW checked WITH (check = '" condition "') AS SELECT account, count(*) AS n, sum(amount) AS"   \
  " total FROM payments GROUP BY account;\n"

/* Holds for up to three payments. */
#define FEW CHECKED_VIEW("sum(n) <= 3")

static const char payment_a[] = "{\"account\":\"A\",\"amount\":10.00,\"kind\":\"x\",\"parts\":1}\n";
static const char three_payments[] = "{\"account\":\"A\",\"amount\":10.00,\"kind\":\"x\",\"parts\":1}\n"
                                     "{\"account\":\"B\",\"amount\":2.50,\"kind\":\"y\",\"parts\":2}\n"
                                     "{\"account\":\"A\",\"amount\":1.00,\"kind\":\"x\",\"parts\":1}\n";

/* ---- the verdict ------------------------------------------------------------------------------------------------- */

static void assert_judged(struct tly_run_view_result *views, uint32_t count, const char *wanted) {
  struct tly_project *project = parse_project(
      PAYMENTS_STREAM TOTALS_VIEW
      "CREATE MATERIALIZED VIEW loose WITH (publish_with_drift = true) AS SELECT count(*) AS n FROM payments;\n");
  struct tly_run_result result = {.run = 13, .views = views, .view_count = count};
  struct tly_arena arena;
  tly_arena_init(&arena);
  const char *why = tly_publish_gate_judge(project, &result, &arena);
  if (wanted == NULL)
    assert_null(why);
  else
    assert_string_equal(why, wanted);
  tly_arena_free(&arena);
  tly_project_free(project);
}

static void what_does_not_hold_is_told_by_view(void **state) {
  (void)state;
  struct tly_run_check met = {.text = "count(*) > 0", .verdict = "true", .found = "count(*) = 1"};
  struct tly_run_check unmet = {.text = "sum(n) = 2", .verdict = "false", .found = "sum(n) = 3"};
  struct tly_run_check null = {.text = "sum(n) > 0", .verdict = "null", .found = "sum(n) = NULL"};
  struct tly_run_check raised = {.text = "1 / 0 = 1", .verdict = "error", .found = "division by zero (22012)"};
  struct tly_run_check constant = {.text = "false", .verdict = "false", .found = ""};
  struct tly_run_view_result views[] = {{.view = "totals", .drift = 0, .check = met}, {.view = "loose", .drift = -1}};
  assert_judged(views, 2, NULL);
  views[1].drift = 7; /* its definition says that it does not matter */
  assert_judged(views, 2, NULL);
  views[0].check = unmet;
  assert_judged(views, 2, "view totals: check sum(n) = 2 is false: sum(n) = 3");
  views[0].drift = 1;
  views[1].check = raised;
  assert_judged(views, 2,
                "view totals: check sum(n) = 2 is false: sum(n) = 3; 1 key drifted against the live totals; view loose:"
                " check 1 / 0 = 1 cannot be computed: division by zero (22012)");
  views[0].check = (struct tly_run_check){.text = NULL};
  views[0].drift = 20;
  views[1].check = null;
  assert_judged(views, 2,
                "view totals: 20 keys drifted against the live totals; view loose: check sum(n) > 0 is null: sum(n) ="
                " NULL");
  views[0].check = constant;
  views[0].drift = -1;
  assert_judged(views, 1, "view totals: check false is false");
}

static void many_views_that_do_not_hold_are_counted(void **state) {
  (void)state;
  struct tly_run_view_result views[200];
  char found[1000];
  struct tly_arena arena;
  struct tly_project *project = parse_project(PAYMENTS_STREAM);
  memset(found, 'x', sizeof found - 1);
  found[sizeof found - 1] = '\0';
  for (uint32_t v = 0; v < 200; v++)
    views[v] = (struct tly_run_view_result){
        .view = "v", .drift = -1, .check = {.text = "false", .verdict = "false", .found = found}};
  struct tly_run_result result = {.run = 13, .views = views, .view_count = 200};
  tly_arena_init(&arena);
  const char *why = tly_publish_gate_judge(project, &result, &arena);
  assert_true(strlen(why) < 2 * TLY_HOLD_BYTES);
  assert_non_null(strstr(why, "; and 184 more views"));
  tly_arena_free(&arena);
  tly_project_free(project);
}

/* ---- a run that is held ------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *reply, const char *name) {
  const char *text = json_string_value(json_object_get(json_object_get(reply, "result"), name));
  return text != NULL ? text : "none";
}

static void open_with(const char *definitions, const char *lines) {
  bench_open(definitions);
  rig_ingest(&bench.rig, "payments", 0, lines);
  rig_settle(&bench.rig);
  bench_open_scheduler();
}

static void add(const char *lines) {
  rig_ingest(&bench.rig, "payments", 0, lines);
  rig_settle(&bench.rig);
}

static void a_run_whose_check_does_not_hold_is_kept_and_changes_nothing(void **state) {
  (void)state;
  uint32_t count;
  open_with(PAYMENTS_STREAM FEW, three_payments);
  json_t *reply = bench_ask(bench_recompute_all);
  int64_t first = bench_member(reply, "run");
  assert_string_equal(text_of(reply, "state"), "published");
  assert_string_equal(text_of(reply, "hold"), "none");
  json_decref(reply);
  add(payment_a);
  reply = bench_ask(bench_recompute_all);
  assert_string_equal(text_of(reply, "state"), "held");
  assert_string_equal(text_of(reply, "hold"), "view checked: check sum(n) <= 3 is false: sum(n) = 4");
  assert_true(bench_has_folder(bench_member(reply, "run")));
  assert_int_equal(bench_member(reply, "drift"), 0);
  json_decref(reply);
  struct tly_run *runs = bench_runs(&count);
  assert_string_equal(runs[0].state, "held");
  assert_string_equal(runs[0].hold, "view checked: check sum(n) <= 3 is false: sum(n) = 4");
  assert_string_equal(runs[0].views[0].check, "sum(n) <= 3");
  assert_string_equal(runs[0].views[0].verdict, "false");
  assert_string_equal(runs[0].views[0].found, "sum(n) = 4");
  assert_string_equal(runs[1].views[0].verdict, "true"); /* what holds is recorded too */
  assert_null(runs[1].hold);
  rig_settle(&bench.rig);
  assert_int_equal(rig_published(&bench.rig, "checked").run, first);
  rig_assert_right(&bench.rig);
  bench_close();
}

static void generations_go_on_over_held_runs_and_the_next_that_holds_is_published(void **state) {
  (void)state;
  open_with(PAYMENTS_STREAM CHECKED_VIEW("sum(n) <> 4 AND sum(n) <> 5"), three_payments);
  json_decref(bench_ask(bench_recompute_all));
  for (int i = 0; i < 3; i++) {
    add(payment_a);
    json_t *reply = bench_ask(bench_recompute_all);
    assert_string_equal(text_of(reply, "state"), i < 2 ? "held" : "published");
    assert_int_equal(bench_member(reply, "drift"), 0);
    if (i == 2)
      assert_int_equal(rig_published(&bench.rig, "checked").run, bench_member(reply, "run"));
    json_decref(reply);
    rig_assert_right(&bench.rig);
  }
  bench_close();
}

static void one_view_holds_all_views_of_its_run(void **state) {
  (void)state;
  open_with(PAYMENTS_STREAM TOTALS_VIEW FEW, three_payments);
  json_t *reply = bench_ask(bench_recompute_all);
  int64_t first = bench_member(reply, "run");
  json_decref(reply);
  add(payment_a);
  json_decref(bench_ask(bench_recompute_all));
  assert_int_equal(bench_count_runs("held"), 1);
  assert_int_equal(rig_published(&bench.rig, "totals").run, first);
  assert_int_equal(rig_published(&bench.rig, "checked").run, first);
  reply = bench_ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"totals\"]}}\n");
  assert_string_equal(text_of(reply, "state"), "published"); /* alone it may */
  assert_int_equal(rig_published(&bench.rig, "totals").run, bench_member(reply, "run"));
  json_decref(reply);
  rig_assert_right(&bench.rig);
  bench_close();
}

/* ---- drift ------------------------------------------------------------------------------------------------------- */

/* The live increments of totals are lost behind the speed layer's back. */
static void spoil_totals(void) {
  static const char sql[] = "DELETE FROM delta_block WHERE delta IN (SELECT id FROM delta WHERE view ="
                            " (SELECT id FROM view WHERE name = 'totals'));"
                            "DELETE FROM delta WHERE view = (SELECT id FROM view WHERE name = 'totals')";
  char path[400];
  struct tly_buffer epoch = {0};
  sqlite3 *database;
  rig_stop(&bench.rig);
  snprintf(path, sizeof path, "%s/speed.epoch", bench.rig.directory);
  CHECK_OK(tly_file_read(path, 100, &epoch, &test_error));
  snprintf(path, sizeof path, "%s/speed-%ld.db", bench.rig.directory, strtol(tly_buffer_text(&epoch), NULL, 10));
  tly_buffer_free(&epoch);
  assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(database);
  rig_settle(&bench.rig);
}

#define LOOSE_TOTALS                                                                                                   \
  "CREATE MATERIALIZED VIEW totals WITH (publish_with_drift = true) AS SELECT account, count(*) AS n, sum(amount) AS"  \
  " total FROM payments GROUP BY account;\n"

static void a_run_with_drift_is_held(void **state) {
  (void)state;
  uint32_t count;
  open_with(PAYMENTS_STREAM TOTALS_VIEW, three_payments);
  spoil_totals();
  json_t *reply = bench_ask("{\"id\":1,\"method\":\"reconcile\",\"params\":{\"view\":\"totals\"}}\n");
  assert_string_equal(text_of(reply, "state"), "held");
  assert_int_equal(json_array_size(json_object_get(json_object_get(reply, "result"), "drift_rows")),
                   bench_member(reply, "drift"));
  struct tly_run *runs = bench_runs(&count);
  assert_true(runs[0].drift > 0);
  assert_non_null(strstr(runs[0].hold, "drifted against the live totals"));
  assert_int_equal(rig_published(&bench.rig, "totals").run, 0);
  json_decref(reply);
  bench_close();
}

static void drift_holds_nothing_where_the_definition_says_so(void **state) {
  (void)state;
  open_with(PAYMENTS_STREAM LOOSE_TOTALS, three_payments);
  spoil_totals();
  json_t *reply = bench_ask(bench_recompute_all);
  assert_true(bench_member(reply, "drift") > 0);
  assert_string_equal(text_of(reply, "state"), "published");
  json_decref(reply);
  rig_assert_right(&bench.rig); /* the run is the cure */
  bench_close();
}

/* ---- runs that nobody asked for ---------------------------------------------------------------------------------- */

/* From now on these are the project's definitions. */
static void change_definitions(const char *definitions) {
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, definitions);
  bench_write_project(definitions);
  rig_settle(&bench.rig);
  bench_open_scheduler();
}

enum { SKIP_US = 300000 };

static void a_new_view_whose_run_is_held_waits_for_somebody(void **state) {
  (void)state;
  uint32_t one = 1, two = 2;
  open_with(PAYMENTS_STREAM TOTALS_VIEW, three_payments);
  change_definitions(PAYMENTS_STREAM TOTALS_VIEW CHECKED_VIEW("sum(n) = 4"));
  bench_pump(bench_run_has_begun, &one);
  bench_pump(bench_is_idle, NULL);
  assert_int_equal(bench_count_runs("held"), 1);
  assert_false(rig_published(&bench.rig, "checked").is_ready);
  bench.skipped_us += SKIP_US; /* longer than the watch's interval: it would begin another one */
  bench_turn_in_vain();
  change_definitions(PAYMENTS_STREAM TOTALS_VIEW CHECKED_VIEW("sum(n) = 4"));
  bench.skipped_us += SKIP_US;
  bench_turn_in_vain(); /* another start changes nothing */
  change_definitions(PAYMENTS_STREAM TOTALS_VIEW CHECKED_VIEW("sum(n) = 3"));
  bench_pump(bench_run_has_begun, &two); /* another check does */
  bench_pump(bench_is_idle, NULL);
  assert_true(rig_published(&bench.rig, "checked").is_ready);
  rig_assert_right(&bench.rig);
  bench_close();
}

/* ---- retention --------------------------------------------------------------------------------------------------- */

static void held_runs_are_kept_among_the_newest_and_cost_ready_ones_nothing(void **state) {
  (void)state;
  int64_t ids[6];
  bench_open(PAYMENTS_STREAM CHECKED_VIEW("sum(n) <= 3 OR sum(n) = 6"));
  bench.settings.keep_runs = 2;
  rig_ingest(&bench.rig, "payments", 0, three_payments);
  rig_settle(&bench.rig);
  bench_open_scheduler();
  for (int i = 0; i < 6; i++) {
    if (i >= 2 && i <= 4)
      add(payment_a);
    json_t *reply = bench_ask(bench_recompute_all);
    ids[i] = bench_member(reply, "run");
    assert_string_equal(text_of(reply, "state"), i == 2 || i == 3 ? "held" : "published");
    json_decref(reply);
    if (i == 3) { /* two held ones are the newest, and two ready ones are there still */
      assert_int_equal(bench_count_runs("ready"), 2);
      assert_int_equal(bench_count_runs("held"), 2);
    }
  }
  for (int i = 0; i < 6; i++)
    assert_int_equal(bench_has_folder(ids[i]), i >= 4);
  assert_int_equal(bench_count_runs("withdrawn"), 4);
  bench_close();
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  int status;
  if (bench_main(argc, argv, &status))
    return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_does_not_hold_is_told_by_view),
      cmocka_unit_test(many_views_that_do_not_hold_are_counted),
      cmocka_unit_test(a_run_whose_check_does_not_hold_is_kept_and_changes_nothing),
      cmocka_unit_test(generations_go_on_over_held_runs_and_the_next_that_holds_is_published),
      cmocka_unit_test(one_view_holds_all_views_of_its_run),
      cmocka_unit_test(a_run_with_drift_is_held),
      cmocka_unit_test(drift_holds_nothing_where_the_definition_says_so),
      cmocka_unit_test(a_new_view_whose_run_is_held_waits_for_somebody),
      cmocka_unit_test(held_runs_are_kept_among_the_newest_and_cost_ready_ones_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
