/* A view whose run was rejected shows an older one again, with every event since, and never nothing in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sqlite/sqlite.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

/* Each look at it is a second later: a step folds a block and its time is up. */
static int64_t hasty_us;

static int64_t hasty(void *context) {
  (void)context;
  return hasty_us += 1000000;
}

static const struct tly_clock hasty_clock = {.now_us = hasty, .monotonic_us = hasty};

/* Runs 1 and 2 of all views, and events before, between and after their cuts; run 2 is shown. */
static void open_with_two_runs(struct rig *rig) {
  rig_open(rig, THREE_VIEWS);
  rig->clock = &hasty_clock;
  rig_ingest_payments(rig, 0, 0, 500, 100);
  rig_settle(rig);
  assert_int_equal(rig_cut_and_run(rig, all_views), 1);
  rig_settle(rig);
  for (int n = 0; n < 5; n++)
    rig_ingest_payments(rig, (uint32_t)n % 2, 500 + n * 100, 100, 100);
  rig_settle(rig);
  assert_int_equal(rig_cut_and_run(rig, all_views), 2);
  rig_settle(rig);
  rig_ingest_payments(rig, 0, 1000, 300, 100);
  rig_settle(rig);
  assert_int_equal(rig_published(rig, "totals").run, 2);
}

static bool step(struct rig *rig) {
  struct tly_error error;
  bool did_work;
  if (rig->speed == NULL)
    rig_start(rig);
  assert_int_equal(tly_speed_step(rig->speed, &did_work, &error), TLY_OK);
  assert_false(rig->speed->disagrees);
  return did_work;
}

/* Until the view has begun to go back, and no further. */
static void begin_to_go_back(struct rig *rig) {
  while (rig->speed == NULL || rig->speed->live_count == rig->speed->view_count)
    assert_true(step(rig));
}

static void assert_shown(struct rig *rig, int64_t totals, int64_t kinds, int64_t shares) {
  assert_int_equal(rig_published(rig, "totals").run, totals);
  assert_int_equal(rig_published(rig, "kinds").run, kinds);
  assert_int_equal(rig_published(rig, "shares").run, shares);
  rig_assert_right(rig);
}

static void assert_nothing_is_left_over(struct rig *rig) {
  assert_int_equal(rig_store_integer(rig, "SELECT count(*) FROM view"), 3);
  assert_int_equal(rig_store_integer(rig, "SELECT count(*) FROM catch_up"), 0);
  assert_int_equal(rig_store_integer(rig, "SELECT count(*) FROM delta WHERE view NOT IN (SELECT id FROM view)"), 0);
  assert_int_equal(rig_store_integer(rig, "SELECT count(*) FROM generation WHERE view NOT IN (SELECT id FROM view)"),
                   0);
  assert_int_equal(rig_store_integer(rig, "SELECT count(*) FROM delta_block WHERE delta NOT IN (SELECT id FROM delta)"),
                   0);
}

/* The generations between the two cuts were trimmed: without a fold of the archive they would be missing. */
static void the_older_run_comes_back_with_every_event_since_its_cut(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  rig_settle(&rig);
  assert_shown(&rig, 1, 1, 1);
  struct tly_published totals = rig_published(&rig, "totals");
  assert_int_equal(totals.cut, 1);
  assert_int_equal(totals.live_folded, 800);
  assert_nothing_is_left_over(&rig);
  rig_close(&rig);
}

static void what_was_shown_stays_until_all_views_switch_in_one_step(void **state) {
  struct rig rig;
  int before = 0;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  for (int64_t run = 2; run == 2; before++) {
    step(&rig);
    run = rig_published(&rig, "totals").run;
    assert_shown(&rig, run, run, run);
  }
  assert_true(before > 3); /* the clock has seen to it that it takes a while */
  rig_settle(&rig);
  assert_shown(&rig, 1, 1, 1);
  rig_close(&rig);
}

static void events_that_arrive_meanwhile_are_shown_at_once_and_not_lost(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  for (int n = 0; n < 12; n++) {
    rig_ingest_payments(&rig, 1, 2000 + n * 10, 10, 100);
    step(&rig);
    rig_assert_right(&rig);
  }
  rig_settle(&rig);
  assert_shown(&rig, 1, 1, 1);
  rig_close(&rig);
}

static void a_view_goes_back_alone_when_it_is_named(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, kinds_only);
  rig_settle(&rig);
  assert_shown(&rig, 2, 1, 2);
  assert_nothing_is_left_over(&rig);
  rig_close(&rig);
}

static void a_later_run_is_published_as_always(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  rig_settle(&rig);
  assert_int_equal(rig_cut_and_run(&rig, all_views), 3);
  rig_ingest_payments(&rig, 0, 3000, 100, 100);
  rig_settle(&rig);
  assert_shown(&rig, 3, 3, 3);
  rig_close(&rig);
}

static void a_later_run_that_comes_in_the_middle_makes_going_back_needless(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  begin_to_go_back(&rig);
  assert_int_equal(rig_cut_and_run(&rig, kinds_only), 3);
  rig_settle(&rig);
  assert_shown(&rig, 1, 3, 1);
  assert_nothing_is_left_over(&rig);
  rig_close(&rig);
}

static void a_run_rejected_before_it_was_published_never_is(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_stop(&rig);
  assert_int_equal(rig_cut_and_run(&rig, all_views), 3);
  rig_roll_back(&rig, 2, all_views);
  rig_settle(&rig);
  assert_shown(&rig, 2, 2, 2);
  rig_close(&rig);
}

static void lose_store(struct rig *rig) {
  char path[400];
  int64_t epoch = tly_speed_store_epoch(rig->speed->store);
  rig_stop(rig);
  snprintf(path, sizeof path, "%s/speed-%lld.db", rig->directory, (long long)epoch);
  assert_int_equal(unlink(path), 0);
}

static void a_lost_store_honours_the_decision(void **state) {
  (void)state;
  for (int when = 0; when < 2; when++) { /* in the middle; and afterwards */
    struct rig rig;
    open_with_two_runs(&rig);
    rig_roll_back(&rig, 1, all_views);
    if (when == 0)
      begin_to_go_back(&rig);
    else
      rig_settle(&rig);
    lose_store(&rig);
    rig_settle(&rig);
    assert_shown(&rig, 1, 1, 1);
    assert_nothing_is_left_over(&rig);
    rig_close(&rig);
  }
}

static void a_restart_in_the_middle_goes_on_from_there_and_answers_stay(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  begin_to_go_back(&rig);
  step(&rig);
  int64_t epoch = tly_speed_store_epoch(rig.speed->store);
  rig_stop(&rig);
  rig_start(&rig);
  assert_int_equal(tly_speed_store_epoch(rig.speed->store), epoch);
  assert_int_equal(rig.speed->live_count, 6);
  step(&rig);
  assert_shown(&rig, 2, 2, 2);
  rig_settle(&rig);
  assert_shown(&rig, 1, 1, 1);
  rig_close(&rig);
}

static void a_second_rollback_in_the_middle_leads_further_back(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  assert_int_equal(rig_cut_and_run(&rig, all_views), 3);
  rig_settle(&rig);
  rig_roll_back(&rig, 2, all_views);
  begin_to_go_back(&rig);
  rig_roll_back(&rig, 1, totals_only);
  rig_settle(&rig);
  assert_shown(&rig, 1, 2, 2);
  assert_nothing_is_left_over(&rig);
  rig_close(&rig);
}

static void views_with_nothing_to_go_back_to_stay_together_until_there_is_a_newer_run(void **state) {
  struct rig rig;
  char path[400];
  (void)state;
  open_with_two_runs(&rig);
  snprintf(path, sizeof path, "%s/runs/1/kinds.0.0.db", rig.directory);
  assert_int_equal(unlink(path), 0);
  rig_roll_back(&rig, 1, all_views);
  rig_settle(&rig);
  assert_shown(&rig, 2, 2, 2);
  assert_int_equal(rig_cut_and_run(&rig, kinds_only), 3);
  rig_settle(&rig);
  assert_shown(&rig, 1, 3, 1);
  rig_close(&rig);
}

static void files_that_vanish_in_the_middle_are_noticed_before_the_switch(void **state) {
  struct rig rig;
  char path[400];
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  begin_to_go_back(&rig);
  snprintf(path, sizeof path, "%s/runs/1/kinds.0.0.db", rig.directory);
  assert_int_equal(unlink(path), 0);
  rig_settle(&rig);
  assert_shown(&rig, 2, 2, 2);
  rig_close(&rig);
}

static void a_view_that_is_changed_in_the_middle_is_another_view(void **state) {
  struct rig rig;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  begin_to_go_back(&rig);
  rig_stop(&rig);
  rig_change_project(&rig, PAYMENTS_STREAM TOTALS_VIEW SHARES_VIEW
                     "CREATE MATERIALIZED VIEW kinds AS SELECT kind, count(*) AS n FROM payments GROUP BY kind;");
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 1);
  assert_false(rig_published(&rig, "kinds").is_ready);
  assert_int_equal(rig_cut_and_run(&rig, kinds_only), 3);
  rig_settle(&rig);
  assert_shown(&rig, 1, 3, 1);
  assert_nothing_is_left_over(&rig);
  rig_close(&rig);
}

/* tests/model: else a power cut brings back what readers have seen replaced. */
static void the_switch_is_on_the_disk_before_it_is_seen(void **state) {
  struct rig rig;
  struct tly_error error;
  bool did_work;
  enum tly_status status = TLY_OK;
  (void)state;
  open_with_two_runs(&rig);
  rig_roll_back(&rig, 1, all_views);
  begin_to_go_back(&rig);
  fault_vfs_set(FAULT_SYNC, 1);
  for (int n = 0; n < 100 && status == TLY_OK; n++)
    status = tly_speed_step(rig.speed, &did_work, &error);
  assert_int_not_equal(status, TLY_OK);
  assert_true(fault_vfs_met());
  fault_vfs_set(FAULT_NONE, 0);
  assert_int_equal(rig_published(&rig, "totals").run, 2);
  rig_stop(&rig);
  rig_settle(&rig);
  assert_shown(&rig, 1, 1, 1);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_older_run_comes_back_with_every_event_since_its_cut),
      cmocka_unit_test(what_was_shown_stays_until_all_views_switch_in_one_step),
      cmocka_unit_test(events_that_arrive_meanwhile_are_shown_at_once_and_not_lost),
      cmocka_unit_test(a_view_goes_back_alone_when_it_is_named),
      cmocka_unit_test(a_later_run_is_published_as_always),
      cmocka_unit_test(a_later_run_that_comes_in_the_middle_makes_going_back_needless),
      cmocka_unit_test(a_run_rejected_before_it_was_published_never_is),
      cmocka_unit_test(a_lost_store_honours_the_decision),
      cmocka_unit_test(a_restart_in_the_middle_goes_on_from_there_and_answers_stay),
      cmocka_unit_test(a_second_rollback_in_the_middle_leads_further_back),
      cmocka_unit_test(views_with_nothing_to_go_back_to_stay_together_until_there_is_a_newer_run),
      cmocka_unit_test(files_that_vanish_in_the_middle_are_noticed_before_the_switch),
      cmocka_unit_test(a_view_that_is_changed_in_the_middle_is_another_view),
      cmocka_unit_test(the_switch_is_on_the_disk_before_it_is_seen),
  };
  tly_sqlite_setup();
  fault_vfs_register();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
