/* tests/cli/test_report_data.c -- the report of a reconciliation is what was then, whatever has become of its breaks.
 */
#include "tests/batch_layer/break_rig.h"

#include "cli/report_data.h"
#include "common/sqlite/sqlite.h"

static const int64_t day_us = INT64_C(86400000000);

static int setup(void **state) {
  (void)state;
  break_rig_open();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  break_rig_close();
  return 0;
}

static json_t *report_of(int64_t id) {
  json_t *report;
  CHECK_OK(tly_report_reconciliation(break_rig.folder, id, &report, &test_error));
  return report;
}

static json_t *find(const json_t *report, const char *list, const char *key) {
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(report, list), i, row) {
    if (strcmp(json_string_value(json_object_get(json_object_get(row, "key"), "k")), key) == 0)
      return row;
  }
  fail_msg("%s is not among the %s", key, list);
  return NULL;
}

static void assert_text(const json_t *row, const char *name, const char *wanted) {
  assert_string_equal(json_string_value(json_object_get(row, name)), wanted);
}

static void what_becomes_of_breaks_later_does_not_change_a_report(void **state) {
  (void)state;
  enum tly_break_status before;
  bool is_refused;
  break_rig_reconcile("l", "a 5 b -1 c 2", 0, 10 * day_us);
  json_t *once = report_of(1);
  CHECK_OK(tly_break_store_set(break_rig.breaks, 1, TLY_BREAK_ACCEPTED, "Ann", "a fee", 11 * day_us, &before,
                               &is_refused, &test_error));
  break_rig_reconcile("l", "a 5 b -3", 0, 13 * day_us);
  break_rig_reconcile("l", NULL, 0, 14 * day_us);
  break_rig_reconcile("l", "a 6 c 2", 0, 20 * day_us);
  json_t *again = report_of(1), *second = report_of(2), *third = report_of(3), *fourth = report_of(4);
  assert_true(json_equal(once, again));
  assert_text(find(once, "breaks", "a"), "status", "open");
  assert_text(find(once, "breaks", "a"), "age", "0-1");

  assert_text(find(second, "breaks", "a"), "status", "accepted");
  assert_text(find(second, "breaks", "a"), "status_by", "Ann");
  assert_text(find(second, "breaks", "a"), "age", "2-7");
  assert_text(json_object_get(find(second, "breaks", "b"), "difference"), "n", "-3");
  assert_text(json_object_get(find(once, "breaks", "b"), "difference"), "n", "-1");
  assert_text(find(second, "cleared", "c"), "status", "resolved");

  assert_text(third, "result", "INCOMPLETE");
  assert_int_equal(json_array_size(json_object_get(third, "breaks")), 0);

  assert_text(find(fourth, "breaks", "a"), "change", "reopened"); /* it is no longer what was accepted */
  assert_text(find(fourth, "breaks", "c"), "change", "reopened");
  assert_text(find(fourth, "breaks", "c"), "age", "0-1");
  assert_text(find(fourth, "cleared", "b"), "change", "cleared");
  json_decref(once);
  json_decref(again);
  json_decref(second);
  json_decref(third);
  json_decref(fourth);
}

static void what_was_seen_is_never_edited(void **state) {
  (void)state;
  sqlite3 *database = tly_batch_store_database(break_rig.store);
  break_rig_reconcile("l", "a 5", 0, day_us);
  assert_int_equal(sqlite3_exec(database, "UPDATE sighting SET since = 0", NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
  assert_int_equal(sqlite3_exec(database, "DELETE FROM sighting", NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
}

static void there_is_no_report_of_what_is_not_there(void **state) {
  (void)state;
  json_t *report;
  assert_int_equal(tly_report_reconciliation(break_rig.folder, 1, &report, &test_error), TLY_E_UNDEFINED_OBJECT);
  assert_null(report);
  assert_int_equal(tly_report_run(break_rig.folder, 1, &report, &test_error), TLY_E_UNDEFINED_OBJECT);
  assert_int_equal(tly_report_run("/tmp/tally-no-such-folder", 1, &report, &test_error), TLY_E_NOT_READY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_becomes_of_breaks_later_does_not_change_a_report, setup, teardown),
      cmocka_unit_test_setup_teardown(what_was_seen_is_never_edited, setup, teardown),
      cmocka_unit_test_setup_teardown(there_is_no_report_of_what_is_not_there, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
