/* Events become visible, once each, whatever the commits, partitions, cuts and merges in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/base/limits.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

static void an_event_shows_as_soon_as_it_is_archived(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_start(&rig);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").live_folded, 0);
  rig_ingest_payments(&rig, 0, 0, 1, 10);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").live_folded, 1);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_round_without_news_writes_nothing(void **state) {
  struct rig rig;
  struct tly_error error;
  tly_speed_reader *reader;
  uint64_t before, after;
  bool did_work;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 10);
  rig_settle(&rig);
  assert_int_equal(tly_speed_reader_open(rig.directory, rig.project, &reader, &error), TLY_OK);
  assert_int_equal(tly_speed_reader_version(reader, &before, &error), TLY_OK);
  assert_int_equal(tly_speed_step(rig.speed, &did_work, &error), TLY_OK);
  assert_false(did_work);
  assert_int_equal(tly_speed_reader_version(reader, &after, &error), TLY_OK);
  assert_int_equal(before, after);
  tly_speed_reader_close(reader);
  rig_close(&rig);
}

static void every_event_given_is_counted_as_folded_filtered_or_set_aside(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 1100, 50);
  rig_settle(&rig);
  struct tly_published kinds = rig_published(&rig, "kinds"), shares = rig_published(&rig, "shares");
  assert_int_equal(kinds.live_folded + kinds.live_filtered, 1100);
  assert_true(kinds.live_filtered > 0);
  assert_int_equal(shares.live_folded, 1000);
  assert_int_equal(shares.live_set_aside, 100);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM set_aside WHERE sqlstate = '22012'"), 100);
  assert_int_equal(rig_store_integer(&rig, "SELECT min(\"offset\") FROM set_aside"), 0);
  assert_int_equal(rig_store_integer(&rig, "SELECT max(\"offset\") FROM set_aside"), 1089);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void no_more_events_are_listed_than_the_bound_but_all_are_counted(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  for (int n = 0; n < 4; n++) {
    rig_ingest_payments(&rig, 0, n * 4400, 4400, 50);
    rig_settle(&rig);
  }
  assert_int_equal(rig_published(&rig, "shares").live_set_aside, 1600);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM set_aside"), TLY_SET_ASIDE_LISTED_MAX);
  rig_close(&rig);
}

static void partitions_are_followed_each_by_itself(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  for (int n = 0; n < 12; n++) {
    rig_ingest_payments(&rig, (uint32_t)n % 3, n * 100, 50 + n, 40);
    if (n % 4 == 3)
      rig_settle(&rig);
  }
  rig_settle(&rig);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM position"), 3);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_cut_ends_the_generation_of_the_views_it_names_and_of_no_others(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 10, 5);
  assert_int_equal(rig_cut(&rig, totals_only), 1);
  rig_ingest_payments(&rig, 0, 10, 20, 5);
  assert_int_equal(rig_cut(&rig, kinds_only), 2);
  rig_ingest_payments(&rig, 0, 30, 40, 5);
  rig_settle(&rig);
#define FOLDED(view, number)                                                                                           \
  rig_store_integer(&rig, "SELECT folded + filtered FROM generation WHERE number = " #number                           \
                          " AND view = (SELECT id FROM view WHERE name = '" #view "')")
  assert_int_equal(FOLDED(totals, 1), 10);
  assert_int_equal(FOLDED(totals, 2), 60);
  assert_int_equal(FOLDED(totals, 3), -1);
  assert_int_equal(FOLDED(kinds, 1), 30);
  assert_int_equal(FOLDED(kinds, 3), 40);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void many_small_commits_leave_few_deltas(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  for (int n = 0; n < 150; n++) {
    rig_ingest_payments(&rig, 0, n * 40, 40, 2000);
    rig_settle(&rig);
  }
  assert_true(
      rig_store_integer(&rig, "SELECT max(n) FROM (SELECT count(*) AS n FROM delta GROUP BY view, part, level)") <
      TLY_DELTA_FAN_IN);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE level < 0"), 0);
  assert_true(rig_store_integer(&rig, "SELECT max(level) FROM delta") >= 1);
  assert_int_equal(
      rig_store_integer(&rig, "SELECT count(*) FROM delta_block WHERE delta NOT IN (SELECT id FROM delta)"), 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static int64_t no_time_passes(void *context) {
  (void)context;
  return 1000000;
}

#define VIEW_BY_ACCOUNT(name)                                                                                          \
  "CREATE MATERIALIZED VIEW " #name " AS SELECT account, count(*) AS n FROM payments GROUP BY account;\n"
#define FOUR_BY_ACCOUNT(name)                                                                                          \
  VIEW_BY_ACCOUNT(name##_1) VIEW_BY_ACCOUNT(name##_2) VIEW_BY_ACCOUNT(name##_3) VIEW_BY_ACCOUNT(name##_4)

static void many_views_with_many_groups_are_not_written_anew_for_each_block(void **state) {
  static const struct tly_clock standing = {no_time_passes, no_time_passes, NULL};
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM FOUR_BY_ACCOUNT(a) FOUR_BY_ACCOUNT(b) FOUR_BY_ACCOUNT(c) FOUR_BY_ACCOUNT(d));
  rig.clock = &standing;
  rig_ingest_payments(&rig, 0, 0, 40000, 40000);
  rig_ingest_payments(&rig, 0, 40000, 40000, 40000);
  rig_settle(&rig);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta"), 16);
  assert_true(rig_store_integer(&rig, "SELECT min(group_count) FROM delta") > 20000);
  rig_close(&rig);
}

static void a_restart_goes_on_where_it_stopped(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  for (int n = 0; n < 6; n++) {
    rig_ingest_payments(&rig, 0, n * 500, 500, 300);
    rig_settle(&rig);
    rig_stop(&rig);
  }
  assert_int_equal(tly_speed_store_current(rig.directory), 1);
  rig_settle(&rig);
  rig_assert_right(&rig);
  rig_close(&rig);
}

/* The positions stand in the middle of the blocks that sealing makes, live and after a restart. */
static void sealing_small_blocks_into_large_ones_changes_nothing(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  for (int n = 0; n < 20; n++) {
    rig_ingest_payments(&rig, 0, n * 37, 37, 100);
    if (n == 6 || n == 13)
      rig_settle(&rig);
    if (n == 9)
      rig_cut(&rig, totals_only);
  }
  rig_seal(&rig, "payments");
  rig_settle(&rig);
  rig_assert_right(&rig);
  for (int n = 20; n < 30; n++) {
    rig_ingest_payments(&rig, 0, n * 37, 37, 100);
    if (n == 24) {
      rig_settle(&rig);
      rig_stop(&rig);
    }
  }
  rig_seal(&rig, "payments");
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 1);
  rig_assert_right(&rig);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_shows_as_soon_as_it_is_archived),
      cmocka_unit_test(a_round_without_news_writes_nothing),
      cmocka_unit_test(every_event_given_is_counted_as_folded_filtered_or_set_aside),
      cmocka_unit_test(no_more_events_are_listed_than_the_bound_but_all_are_counted),
      cmocka_unit_test(partitions_are_followed_each_by_itself),
      cmocka_unit_test(a_cut_ends_the_generation_of_the_views_it_names_and_of_no_others),
      cmocka_unit_test(many_small_commits_leave_few_deltas),
      cmocka_unit_test(many_views_with_many_groups_are_not_written_anew_for_each_block),
      cmocka_unit_test(sealing_small_blocks_into_large_ones_changes_nothing),
      cmocka_unit_test(a_restart_goes_on_where_it_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
