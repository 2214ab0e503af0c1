/* Eight deltas of a class become one, in slices, and nothing of another generation gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "speed_layer/delta_merge.h"
#include "speed_layer/fold_loop.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

static void a_class_holds_eight_times_as_many_groups_as_the_one_below(void **state) {
  (void)state;
  assert_int_equal(tly_delta_level(1), 0);
  assert_int_equal(tly_delta_level(TLY_GROUPS_PER_BLOCK), 0);
  assert_int_equal(tly_delta_level(TLY_GROUPS_PER_BLOCK + 1), 1);
  assert_int_equal(tly_delta_level(8 * TLY_GROUPS_PER_BLOCK), 1);
  assert_int_equal(tly_delta_level(8 * TLY_GROUPS_PER_BLOCK + 1), 2);
  assert_true(tly_delta_level(UINT64_MAX) > 5);
}

static int64_t no_time(void *context) {
  (void)context;
  return 0;
}

static const struct tly_view_program *program_of(void *context, int64_t view) {
  struct rig *rig = context;
  for (uint32_t v = 0; v < rig->speed->view_count; v++)
    if (rig->speed->views[v].id == view)
      return rig->speed->views[v].program;
  return NULL;
}

/* Eight deltas of some thousand groups, a commit each. */
static void fold_without_merging(struct rig *rig) {
  struct tly_error error;
  bool did_fold;
  rig_start(rig);
  for (int n = 0; n < TLY_DELTA_FAN_IN; n++) {
    rig_ingest_payments(rig, 0, n * 1400, 1400, 5000);
    assert_int_equal(tly_fold_loop_step(rig->speed, &did_fold, &error), TLY_OK);
  }
}

/* With a clock that stands still and a deadline that is over, a step writes one block. */
static void a_large_merge_goes_on_over_many_commits_and_readers_see_both_sides_whole(void **state) {
  struct rig rig;
  struct tly_error error;
  struct tly_clock stopped = {.now_us = no_time, .monotonic_us = no_time};
  uint32_t most;
  int steps = 0;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  fold_without_merging(&rig);
  assert_true(tly_delta_merge_is_due(rig.speed->merge, &most));
  for (; tly_delta_merge_is_due(rig.speed->merge, &most); steps++) {
    assert_int_equal(tly_delta_merge_step(rig.speed->merge, &stopped, 0, program_of, &rig, &error), TLY_OK);
    rig_assert_right(&rig);
  }
  assert_true(steps > 5);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE part = 0"), 1);
  rig_close(&rig);
}

static void deltas_of_two_generations_are_never_merged(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  for (int n = 0; n < 2 * (TLY_DELTA_FAN_IN - 1); n++) {
    rig_ingest_payments(&rig, 0, n * 10, 10, 50);
    rig_settle(&rig);
    if (n == TLY_DELTA_FAN_IN - 2)
      rig_cut(&rig, totals_only);
  }
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE part = 0"), 2 * (TLY_DELTA_FAN_IN - 1));
  rig_ingest_payments(&rig, 0, 1000, 10, 50);
  rig_settle(&rig);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE part = 0"), TLY_DELTA_FAN_IN);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void publishing_ends_a_merge_that_is_under_way(void **state) {
  struct rig rig;
  struct tly_error error;
  struct tly_clock stopped = {.now_us = no_time, .monotonic_us = no_time};
  uint32_t most;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  fold_without_merging(&rig);
  assert_int_equal(tly_delta_merge_step(rig.speed->merge, &stopped, 0, program_of, &rig, &error), TLY_OK);
  assert_true(tly_delta_merge_is_due(rig.speed->merge, &most));
  rig_cut_and_run(&rig, totals_only);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 1);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta"), 0);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta_block"), 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_class_holds_eight_times_as_many_groups_as_the_one_below),
      cmocka_unit_test(a_large_merge_goes_on_over_many_commits_and_readers_see_both_sides_whole),
      cmocka_unit_test(deltas_of_two_generations_are_never_merged),
      cmocka_unit_test(publishing_ends_a_merge_that_is_under_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
