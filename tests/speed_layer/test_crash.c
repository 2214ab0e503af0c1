/* Killed at any named point, then started again: what is shown is right. Each case names what the killed process finds
 * to do; a point that is never reached fails the test, so that none goes stale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

static void prepare_folding(struct rig *rig) {
  rig_ingest_payments(rig, 0, 0, 900, 300);
  rig_cut(rig, totals_only);
  rig_ingest_payments(rig, 1, 900, 900, 300);
}

static void prepare_publishing(struct rig *rig) {
  rig_ingest_payments(rig, 0, 0, 900, 300);
  rig_settle(rig);
  rig_cut_and_run(rig, all_views);
  rig_ingest_payments(rig, 0, 900, 900, 300);
  rig_stop(rig);
}

/* Seven deltas of a class: the next commit makes it eight. */
static void prepare_merging(struct rig *rig) {
  for (int n = 0; n < 7; n++) {
    rig_ingest_payments(rig, 0, n * 1500, 1500, 900);
    rig_settle(rig);
  }
  rig_ingest_payments(rig, 0, 7 * 1500, 1500, 900);
  rig_stop(rig);
}

static void prepare_rebuilding(struct rig *rig) {
  char path[400];
  prepare_publishing(rig);
  rig_settle(rig);
  rig_stop(rig);
  snprintf(path, sizeof path, "%s/speed-1.db", rig->directory);
  unlink(path);
}

static void prepare_definitions(struct rig *rig) {
  rig_ingest_payments(rig, 0, 0, 500, 300);
  rig_settle(rig);
  rig_stop(rig);
  rig_change_project(rig, PAYMENTS_STREAM TOTALS_VIEW);
}

static void prepare_building(struct rig *rig) {
  prepare_definitions(rig);
  rig_settle(rig);
  rig_stop(rig);
  rig_change_project(rig, THREE_VIEWS);
  rig_ingest_payments(rig, 0, 500, 500, 300);
  rig_cut_and_run(rig, all_views);
  rig_ingest_payments(rig, 0, 1000, 500, 300);
}

/* Run 2 is shown and was rejected; folded anew is what came after run 1. */
static void prepare_going_back(struct rig *rig) {
  rig_ingest_payments(rig, 0, 0, 900, 300);
  rig_cut_and_run(rig, all_views);
  rig_ingest_payments(rig, 0, 900, 900, 300);
  rig_cut_and_run(rig, all_views);
  rig_ingest_payments(rig, 1, 1800, 100, 300);
  rig_settle(rig);
  rig_stop(rig);
  rig_roll_back(rig, 1, all_views);
}

struct crash_case {
  const char *point;
  void (*prepare)(struct rig *rig);
};

static const struct crash_case cases[] = {
    {"fold.before_commit", prepare_folding},       {"fold.after_commit", prepare_folding},
    {"fold.before_commit", prepare_publishing},    {"fold.after_commit", prepare_publishing},
    {"publish.before_commit", prepare_publishing}, {"publish.after_commit", prepare_publishing},
    {"trim.before_commit", prepare_publishing},    {"trim.before_commit", prepare_definitions},
    {"merge.before_commit", prepare_merging},      {"merge.after_commit", prepare_merging},
    {"merge.before_switch", prepare_merging},      {"rebuild.before_epoch", prepare_rebuilding},
    {"rebuild.after_epoch", prepare_rebuilding},   {"definitions.before_commit", prepare_definitions},
    {"publish.before_commit", prepare_building},   {"publish.after_commit", prepare_building},
    {"go_back.before_begin", prepare_going_back},  {"go_back.after_begin", prepare_going_back},
    {"go_back.before_switch", prepare_going_back}, {"go_back.after_switch", prepare_going_back},
    {"catch_up.before_commit", prepare_building},  {"catch_up.before_commit:2", prepare_building},
};

static void a_kill_at_any_named_point_leaves_right_totals(void **state) {
  (void)state;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct rig rig;
    rig_open(&rig, THREE_VIEWS);
    cases[c].prepare(&rig);
    if (!rig_dies_at(&rig, cases[c].point))
      fail_msg("case %zu: the point %s was not reached", c, cases[c].point);
    rig_settle(&rig);
    rig_assert_right(&rig);
    rig_ingest_payments(&rig, 0, 50000, 200, 300);
    rig_settle(&rig);
    rig_assert_right(&rig);
    assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE level < 0"), 0);
    assert_int_equal(
        rig_store_integer(&rig, "SELECT count(*) FROM delta_block WHERE delta NOT IN (SELECT id FROM delta)"), 0);
    rig_close(&rig);
  }
}

/* A kill in the start that follows a kill. */
static void a_second_kill_in_the_recovery_changes_nothing(void **state) {
  static const char *const first[] = {"rebuild.before_epoch", "rebuild.after_epoch"};
  static const char *const second[] = {"rebuild.before_epoch", "definitions.before_commit", "fold.before_commit"};
  (void)state;
  for (int a = 0; a < 2; a++)
    for (int b = 0; b < 3; b++) {
      struct rig rig;
      rig_open(&rig, THREE_VIEWS);
      prepare_rebuilding(&rig);
      rig_ingest_payments(&rig, 0, 3000, 50, 10);
      assert_true(rig_dies_at(&rig, first[a]));
      rig_dies_at(&rig, second[b]); /* after_epoch leaves nothing to rebuild */
      rig_settle(&rig);
      rig_assert_right(&rig);
      rig_close(&rig);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_kill_at_any_named_point_leaves_right_totals),
      cmocka_unit_test(a_second_kill_in_the_recovery_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
