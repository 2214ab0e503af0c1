/* tests/batch_layer/test_reconcile.c -- the drift check finds what differs, and only that. */
#include "tests/batch_layer/drift_rig.h"

static void live_and_recomputed_agree_from_the_beginning(void **state) {
  (void)state;
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest_payments(&rig, 0, 0, 3000, 900);
  rig_ingest_payments(&rig, 1, 3000, 2000, 900);
  run_and_reconcile(true, 5000, &result);
  assert_null(result.note);
  assert_int_equal(result.views[0].drift, 0);
  assert_int_equal(result.views[1].drift, 0);
  assert_int_equal(tly_run_result_drift(&result), 0);
}

static void a_published_run_and_what_came_after_agree_with_the_next(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "few", NULL};
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest_payments(&rig, 0, 0, 3000, 900);
  rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  assert_true(rig_published(&rig, "totals").run > 0);
  run_and_reconcile(true, 5000, &result); /* nothing new: equal block by block */
  assert_int_equal(tly_run_result_drift(&result), 0);
  rig_ingest_payments(&rig, 1, 3000, 2500, 1500);
  run_and_reconcile(true, 5000, &result);
  assert_null(result.note);
  assert_int_equal(result.views[0].drift, 0);
  assert_int_equal(result.views[1].drift, 0);
}

static void a_cut_for_other_views_divides_nothing(void **state) {
  (void)state;
  static const char *const few_only[] = {"few", NULL};
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest_payments(&rig, 0, 0, 1000, 300);
  rig_cut_and_run(&rig, few_only);
  rig_ingest_payments(&rig, 0, 1000, 1000, 300);
  rig_cut(&rig, few_only);
  rig_ingest_payments(&rig, 0, 2000, 1000, 300);
  run_and_reconcile(true, 5000, &result);
  assert_int_equal(result.views[0].drift, 0);
  assert_int_equal(result.views[1].drift, 0);
}

static void events_above_the_cut_are_not_compared(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "few", NULL};
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest_payments(&rig, 0, 0, 1000, 300);
  rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  rig_ingest_payments(&rig, 0, 1000, 50, 300);
  int64_t before = rig_cut(&rig, names); /* abandoned: a run that failed */
  (void)before;
  rig_ingest_payments(&rig, 0, 1050, 50, 300);
  run_and_reconcile(true, 5000, &result);
  assert_int_equal(tly_run_result_drift(&result), 0);
}

static void a_lost_increment_is_drift_with_both_values(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "few", NULL};
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest(&rig, "payments", 0, "{\"account\":\"A\",\"amount\":10.00,\"kind\":\"x\",\"parts\":1}\n");
  rig_ingest(&rig, "payments", 0, "{\"account\":\"B\",\"amount\":20.00,\"kind\":\"x\",\"parts\":1}\n");
  rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  rig_ingest(&rig, "payments", 0, "{\"account\":\"B\",\"amount\":0.50,\"kind\":\"x\",\"parts\":1}\n");
  rig_ingest(&rig, "payments", 0, "{\"account\":\"C\",\"amount\":1.25,\"kind\":null,\"parts\":1}\n");
  rig_settle(&rig);
  spoil("DELETE FROM delta_block WHERE delta IN (SELECT id FROM delta WHERE part = 0 AND view ="
        " (SELECT id FROM view WHERE name = 'totals'));"
        "DELETE FROM delta WHERE part = 0 AND view = (SELECT id FROM view WHERE name = 'totals')");
  run_and_reconcile(false, 5000, &result);
  if (result.note != NULL)
    fail_msg("%s", result.note);
  const struct tly_run_view_result *totals = &result.views[0];
  assert_int_equal(totals->drift, 2);
  assert_int_equal(totals->drift_listed_count, 2);
  assert_string_equal(totals->drift_listed[0].key, "[\"B\"]");
  assert_string_equal(totals->drift_listed[0].live, "{\"n\":1,\"total\":\"20.00\"}"); /* what differs, and no more */
  assert_string_equal(totals->drift_listed[0].recomputed, "{\"n\":2,\"total\":\"20.50\"}");
  assert_string_equal(totals->drift_listed[1].key, "[\"C\"]");
  assert_null(totals->drift_listed[1].live);
  assert_non_null(strstr(totals->drift_listed[1].recomputed, "\"total\":\"1.25\""));
  assert_int_equal(result.views[1].drift, 0);
  assert_int_equal(tly_run_result_drift(&result), 2);
}

static void a_lost_distinct_value_is_drift_although_no_group_differs(void **state) {
  (void)state;
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest(&rig, "payments", 0, "{\"account\":\"A\",\"amount\":10.00,\"kind\":\"x\",\"parts\":1}\n");
  rig_settle(&rig);
  spoil("DELETE FROM delta_block WHERE delta IN (SELECT id FROM delta WHERE part = 1 AND view ="
        " (SELECT id FROM view WHERE name = 'few'));"
        "DELETE FROM delta WHERE part = 1 AND view = (SELECT id FROM view WHERE name = 'few')");
  run_and_reconcile(false, 5000, &result);
  assert_null(result.note);
  assert_int_equal(result.views[0].drift, 0);
  assert_int_equal(result.views[1].drift, 1);
  assert_string_equal(result.views[1].drift_listed[0].key, "[\"x\",\"A\"]");
  assert_null(result.views[1].drift_listed[0].live);
}

static void much_drift_is_counted_whole_and_listed_in_part(void **state) {
  (void)state;
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest_payments(&rig, 0, 0, 5000, 2500);
  rig_settle(&rig);
  spoil("DELETE FROM delta_block; DELETE FROM delta");
  run_and_reconcile(false, 5000, &result);
  assert_true(result.views[0].drift > TLY_DRIFT_LISTED_MAX);
  assert_int_equal(result.views[0].drift_listed_count, TLY_DRIFT_LISTED_MAX);
  assert_int_equal(result.views[1].drift_listed_count, 0); /* a run's list has one bound */
  assert_true(result.views[1].drift > 0);
}

static void without_a_speed_layer_drift_is_not_known(void **state) {
  (void)state;
  struct tly_run_result result;
  rig_ingest_payments(&rig, 0, 0, 100, 30);
  run_and_reconcile(false, 50, &result);
  assert_int_equal(tly_run_result_drift(&result), -1);
  assert_non_null(strstr(result.note, "drift not checked"));
}

static void a_speed_layer_that_stands_still_is_not_waited_for_for_ever(void **state) {
  (void)state;
  struct tly_run_result result;
  rig_start(&rig);
  rig_ingest_payments(&rig, 0, 0, 100, 30);
  rig_settle(&rig);
  rig_ingest_payments(&rig, 0, 100, 77, 30);
  run_and_reconcile(false, 50, &result);
  assert_int_equal(tly_run_result_drift(&result), -1);
  assert_non_null(strstr(result.note, "77 events behind the cut"));
}

static void the_first_run_of_a_view_that_is_built_has_nothing_to_compare_with(void **state) {
  (void)state;
  struct tly_run_result result;
  rig_change_project(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 100, 30);
  rig_settle(&rig);
  rig_stop(&rig);
  rig_change_project(&rig, PAYMENTS_STREAM TOTALS_VIEW FEW_VIEW);
  run_and_reconcile(true, 5000, &result);
  assert_null(result.note);
  assert_int_equal(result.views[0].drift, 0);
  assert_int_equal(result.views[1].drift, -1);
  assert_int_equal(tly_run_result_drift(&result), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      RIG_TEST(live_and_recomputed_agree_from_the_beginning),
      RIG_TEST(a_published_run_and_what_came_after_agree_with_the_next),
      RIG_TEST(a_cut_for_other_views_divides_nothing),
      RIG_TEST(events_above_the_cut_are_not_compared),
      RIG_TEST(a_lost_increment_is_drift_with_both_values),
      RIG_TEST(a_lost_distinct_value_is_drift_although_no_group_differs),
      RIG_TEST(much_drift_is_counted_whole_and_listed_in_part),
      RIG_TEST(without_a_speed_layer_drift_is_not_known),
      RIG_TEST(a_speed_layer_that_stands_still_is_not_waited_for_for_ever),
      RIG_TEST(the_first_run_of_a_view_that_is_built_has_nothing_to_compare_with),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
