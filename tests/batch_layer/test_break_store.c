/* tests/batch_layer/test_break_store.c -- the life of breaks over several reconciliations, as batch.db has it. */
#include "tests/batch_layer/break_rig.h"

#include "common/sqlite/sqlite.h"

static const int64_t day_us = INT64_C(86400000000);

static struct tly_break_row row_of(int64_t id) {
  struct tly_break_filter filter = {.id = id};
  struct tly_break_row *rows;
  uint32_t count;
  CHECK_OK(tly_break_reader_breaks(break_rig.reader, &filter, 10, &break_rig.arena, &rows, &count, &test_error));
  assert_int_equal(count, 1);
  return rows[0];
}

static struct tly_break_event *history_of(int64_t id, uint32_t *count) {
  struct tly_break_event *events;
  CHECK_OK(tly_break_reader_history(break_rig.reader, id, &break_rig.arena, &events, count, &test_error));
  assert_string_equal(events[*count - 1].status, row_of(id).status); /* the last change is how it is */
  return events;
}

/* Its changes in a row: "found reopened". */
static void assert_history(int64_t id, const char *wanted) {
  struct tly_buffer seen = {0};
  uint32_t count;
  struct tly_break_event *events = history_of(id, &count);
  for (uint32_t i = 0; i < count; i++)
    tly_buffer_print(&seen, "%s%s", i > 0 ? " " : "", events[i].change);
  assert_string_equal(tly_buffer_text(&seen), wanted);
  tly_buffer_free(&seen);
}

static void set(int64_t id, enum tly_break_status status, int64_t at_us) {
  enum tly_break_status before;
  bool is_refused;
  CHECK_OK(
      tly_break_store_set(break_rig.breaks, id, status, "ann", "because", at_us, &before, &is_refused, &test_error));
}

static void assert_changes(const struct tly_reconciliation *end, int found, int carried, int reopened, int cleared) {
  assert_int_equal(end->new_count, found);
  assert_int_equal(end->carried, carried);
  assert_int_equal(end->reopened, reopened);
  assert_int_equal(end->cleared, cleared);
}

static void a_break_has_one_number_from_first_seen_to_reopened(void **state) {
  (void)state;
  break_rig_open();
  struct tly_reconciliation end = break_rig_reconcile("l", "a 5 b -1", 0, day_us);
  assert_int_equal(end.id, 1);
  assert_int_equal(end.previous, -1);
  assert_changes(&end, 2, 0, 0, 0);
  end = break_rig_reconcile("l", "a 7 c 1", 0, 3 * day_us);
  assert_int_equal(end.previous, 1);
  assert_changes(&end, 1, 1, 0, 1);
  struct tly_break_row row = row_of(1);
  assert_string_equal(row.key, "{\"k\":\"a\"}");
  assert_string_equal(row.column, "n");
  assert_string_equal(row.kind, "over");
  assert_string_equal(row.difference, "{\"n\":\"7\"}"); /* when last seen */
  assert_int_equal(row.times_seen, 2);
  assert_int_equal(row.first_seen, 1);
  assert_int_equal(row.last_seen, 2);
  assert_int_equal(tly_break_age_days(row.since_us, 4 * day_us), 3);
  assert_string_equal(row_of(2).status, "resolved");
  assert_int_equal(row_of(2).gone_at_us, 3 * day_us);
  assert_history(2, "found cleared");
  end = break_rig_reconcile("l", "a 7 b -1 c 1", 0, 5 * day_us);
  assert_changes(&end, 0, 2, 1, 0);
  assert_string_equal(row_of(2).status, "open");
  assert_int_equal(row_of(2).since_us, 5 * day_us); /* its age begins anew, its first sight does not */
  assert_int_equal(row_of(2).first_seen_at_us, day_us);
  assert_int_equal(row_of(2).gone_at_us, 0);
  assert_history(2, "found cleared reopened");
  assert_int_equal(break_rig.heard[1].id, 2);
  assert_int_equal(break_rig.heard[1].change, TLY_BREAK_REOPENED);
  break_rig_close();
}

static void over_and_short_and_another_ledger_are_breaks_of_their_own(void **state) {
  (void)state;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5", 0, 1);
  struct tly_reconciliation end = break_rig_reconcile("l", "a -5", 0, 2);
  assert_changes(&end, 1, 0, 0, 1);
  end = break_rig_reconcile("m", "a -5", 0, 3);
  assert_changes(&end, 1, 0, 0, 0); /* it clears none of l's */
  assert_int_equal(end.previous, -1);
  assert_string_equal(row_of(2).status, "open");
  break_rig_close();
}

static void what_is_accepted_stays_so_while_the_difference_is_the_same(void **state) {
  (void)state;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5 b 1", 0, 1);
  set(1, TLY_BREAK_ACCEPTED, 2);
  struct tly_reconciliation end = break_rig_reconcile("l", "a 5 b 1", 0, 3);
  assert_int_equal(end.accepted, 1);
  assert_changes(&end, 0, 2, 0, 0);
  end = break_rig_reconcile("l", "a 6 b 1", 0, 4);
  assert_int_equal(end.accepted, 0);
  assert_changes(&end, 0, 1, 1, 0);
  uint32_t count;
  struct tly_break_event *events = history_of(1, &count);
  assert_int_equal(count, 3);
  assert_string_equal(events[1].who, "ann");
  assert_string_equal(events[1].why, "because");
  assert_int_equal(events[1].at_us, 2);
  assert_int_equal(events[1].reconciliation, 0);
  assert_non_null(strstr(events[2].why, "{\"n\":\"5\"} then, {\"n\":\"6\"} in reconciliation 3"));
  assert_int_equal(events[2].reconciliation, 3);
  break_rig_close();
}

static void what_was_called_resolved_and_is_still_there_is_reopened(void **state) {
  (void)state;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5", 0, 1);
  set(1, TLY_BREAK_RESOLVED, 2);
  struct tly_reconciliation end = break_rig_reconcile("l", "a 5", 0, 3);
  assert_changes(&end, 0, 0, 1, 0);
  assert_int_equal(row_of(1).since_us, 1); /* it never went */
  set(1, TLY_BREAK_RESOLVED, 4);
  end = break_rig_reconcile("l", "", 0, 5);
  assert_changes(&end, 0, 0, 0, 1);
  assert_history(1, "found set reopened set cleared");
  break_rig_close();
}

static void an_incomplete_reconciliation_changes_no_break(void **state) {
  (void)state;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5", 0, 1);
  struct tly_reconciliation end = break_rig_reconcile("l", NULL, 0, 2);
  assert_int_equal(end.id, 2);
  assert_int_equal(row_of(1).times_seen, 1);
  assert_string_equal(row_of(1).status, "open");
  end = break_rig_reconcile("l", "a 5", 0, 3);
  assert_int_equal(end.previous, 1); /* the last complete one */
  assert_changes(&end, 0, 1, 0, 0);
  struct tly_reconciliation *rows;
  uint32_t count;
  CHECK_OK(
      tly_break_reader_reconciliations(break_rig.reader, "v", "l", 10, &break_rig.arena, &rows, &count, &test_error));
  assert_int_equal(count, 3);
  assert_string_equal(rows[1].result, "INCOMPLETE");
  assert_string_equal(rows[1].sqlstate, "08006");
  assert_int_equal(rows[1].breaks, -1);
  assert_null(rows[1].totals);
  assert_int_equal(rows[0].carried, 1);
  assert_string_equal(rows[0].totals, "[]");
  break_rig_close();
}

static void when_not_all_breaks_are_kept_none_is_cleared(void **state) {
  (void)state;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5 b 5", 0, 1);
  struct tly_reconciliation end = break_rig_reconcile("l", "a 5", 3, 2);
  assert_changes(&end, 0, 1, 0, 0);
  assert_string_equal(row_of(2).status, "open");
  assert_true(row_of(2).is_present);
  end = break_rig_reconcile("l", "a 5", 0, 3);
  assert_changes(&end, 0, 1, 0, 1);
  break_rig_close();
}

static void a_break_that_is_gone_or_never_was_cannot_be_set(void **state) {
  (void)state;
  enum tly_break_status before;
  bool is_refused;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5", 0, 1);
  (void)break_rig_reconcile("l", "", 0, 2);
  assert_int_equal(
      tly_break_store_set(break_rig.breaks, 1, TLY_BREAK_ACCEPTED, "ann", "x", 3, &before, &is_refused, &test_error),
      TLY_E_NOT_READY);
  assert_true(is_refused);
  assert_int_equal(
      tly_break_store_set(break_rig.breaks, 2, TLY_BREAK_ACCEPTED, "ann", "x", 3, &before, &is_refused, &test_error),
      TLY_E_UNDEFINED_OBJECT);
  assert_true(is_refused);
  assert_history(1, "found cleared");
  set(1, TLY_BREAK_RESOLVED, 4);
  assert_history(1, "found cleared set");
  break_rig_close();
}

static void history_is_never_edited_away(void **state) {
  (void)state;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5", 0, 1);
  sqlite3 *database = tly_batch_store_database(break_rig.store);
  assert_int_not_equal(tly_sqlite_execute(database, "UPDATE break_history SET who = 'nobody'", &test_error), TLY_OK);
  assert_int_not_equal(tly_sqlite_execute(database, "DELETE FROM break_history", &test_error), TLY_OK);
  assert_history(1, "found");
  break_rig_close();
}

static void breaks_are_listed_page_by_page_and_by_what_they_are(void **state) {
  (void)state;
  struct tly_break_row *rows;
  uint32_t count;
  break_rig_open();
  (void)break_rig_reconcile("l", "a 5 b 5 c 5 d 5", 0, 1);
  (void)break_rig_reconcile("l", "a 5 b 5 c 5", 0, 2);
  (void)break_rig_reconcile("m", "a 5", 0, 3);
  set(2, TLY_BREAK_ACCEPTED, 4);
  static const struct {
    struct tly_break_filter filter;
    uint32_t max, count;
    int64_t first;
  } cases[] = {
      {{.view = NULL}, 10, 4, 1},          {{.view = NULL}, 2, 2, 1},         {{.after = 2}, 2, 2, 3},
      {{.with_resolved = true}, 10, 5, 1}, {{.view = "w"}, 10, 0, 0},         {{.ledger = "m"}, 10, 1, 5},
      {{.status = "accepted"}, 10, 1, 2},  {{.status = "resolved"}, 9, 1, 4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK_OK(tly_break_reader_breaks(break_rig.reader, &cases[i].filter, cases[i].max, &break_rig.arena, &rows, &count,
                                     &test_error));
    assert_int_equal(count, cases[i].count);
    if (count > 0)
      assert_int_equal(rows[0].id, cases[i].first);
  }
  break_rig_close();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_break_has_one_number_from_first_seen_to_reopened),
      cmocka_unit_test(over_and_short_and_another_ledger_are_breaks_of_their_own),
      cmocka_unit_test(what_is_accepted_stays_so_while_the_difference_is_the_same),
      cmocka_unit_test(what_was_called_resolved_and_is_still_there_is_reopened),
      cmocka_unit_test(an_incomplete_reconciliation_changes_no_break),
      cmocka_unit_test(when_not_all_breaks_are_kept_none_is_cleared),
      cmocka_unit_test(a_break_that_is_gone_or_never_was_cannot_be_set),
      cmocka_unit_test(history_is_never_edited_away),
      cmocka_unit_test(breaks_are_listed_page_by_page_and_by_what_they_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
