/* The live state can be lost, stale, damaged or of other definitions: what is shown is right, or nothing is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

#define CHANGED_KINDS_VIEW                                                                                             \
  "CREATE MATERIALIZED VIEW kinds AS SELECT kind, sum(amount) AS total FROM payments GROUP BY kind;\n"

static void remove_file(const struct rig *rig, const char *name) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", rig->directory, name);
  unlink(path);
}

static void remove_folder(const struct rig *rig, const char *name) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", rig->directory, name);
  assert_int_equal(tly_file_remove_tree(path, NULL), TLY_OK);
}

static void lose_store(const struct rig *rig) {
  remove_file(rig, "speed-1.db");
  remove_file(rig, "speed-1.db-wal");
  remove_file(rig, "speed-1.db-shm");
}

/* Not through the layer: what an accident does. */
static void execute_in_store(const struct rig *rig, const char *sql) {
  char path[400];
  sqlite3 *database;
  snprintf(path, sizeof path, "%s/speed-%lld.db", rig->directory, (long long)tly_speed_store_current(rig->directory));
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(database);
}

static enum tly_status snapshot_status(const struct rig *rig) {
  tly_speed_reader *reader;
  struct tly_error error;
  assert_int_equal(tly_speed_reader_open(rig->directory, rig->project, &reader, &error), TLY_OK);
  enum tly_status status = tly_speed_snapshot_begin(reader, &error);
  tly_speed_reader_close(reader);
  return status;
}

/* ---- lost and stale ---------------------------------------------------------------------------------------------- */

static void a_lost_store_is_built_from_the_newest_run_and_the_archive(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 500, 50);
  rig_cut_and_run(&rig, totals_only);
  rig_ingest_payments(&rig, 1, 500, 500, 50);
  rig_cut_and_run(&rig, all_views);
  rig_ingest_payments(&rig, 0, 1000, 500, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  lose_store(&rig);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  assert_int_equal(rig_published(&rig, "totals").run, 2);
  assert_int_equal(rig_published(&rig, "totals").live_folded, 500);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_lost_store_without_runs_is_folded_from_the_beginning(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 500, 50);
  rig_cut(&rig, all_views);
  rig_ingest_payments(&rig, 0, 500, 500, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  lose_store(&rig);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 0);
  assert_int_equal(rig_published(&rig, "totals").live_folded, 1000);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void views_of_a_lost_store_stand_each_on_its_own_run(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 300, 50);
  rig_cut_and_run(&rig, totals_only);
  rig_ingest_payments(&rig, 0, 300, 300, 50);
  rig_cut_and_run(&rig, kinds_only);
  rig_ingest_payments(&rig, 0, 600, 300, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  lose_store(&rig);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 1);
  assert_int_equal(rig_published(&rig, "totals").live_folded, 600);
  struct tly_published kinds = rig_published(&rig, "kinds");
  assert_int_equal(kinds.run, 2);
  assert_int_equal(kinds.live_folded + kinds.live_filtered, 300);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_view_without_a_run_does_not_hold_up_the_others_of_a_lost_store(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 300, 50);
  rig_settle(&rig);
  rig_cut_and_run(&rig, totals_only);
  rig_settle(&rig);
  rig_stop(&rig);
  lose_store(&rig);
  rig_settle(&rig);
  assert_true(rig_published(&rig, "totals").is_ready);
  assert_false(rig_published(&rig, "kinds").is_ready);
  rig_cut_and_run(&rig, kinds_only);
  rig_settle(&rig);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void an_archive_with_other_events_makes_a_new_state(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 500, 50);
  rig_cut_and_run(&rig, all_views);
  rig_settle(&rig);
  rig_stop(&rig);
  tly_archive_writer_close(rig.writer);
  rig.writer = NULL;
  remove_folder(&rig, "archive");
  tly_buffer_clear(&rig.given[0]);
  rig_ingest_payments(&rig, 0, 7000, 600, 50); /* longer, so offsets alone would not tell */
  rig_cut(&rig, all_views);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  assert_int_equal(rig_published(&rig, "totals").run, 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_fold_that_stands_on_other_events_takes_no_further_block(void **state) {
  struct rig rig;
  struct tly_error error;
  bool did_work;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 500, 50);
  rig_settle(&rig);
  rig.speed->tail.positions[0].chain.bytes[7] ^= 1;
  rig_ingest_payments(&rig, 0, 500, 100, 50);
  assert_int_equal(tly_speed_step(rig.speed, &did_work, &error), TLY_OK);
  assert_true(rig.speed->disagrees);
  rig_stop(&rig);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 1); /* the store was right */
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_large_block_is_taken_only_if_its_own_events_lead_to_the_fold(void **state) {
  struct rig rig;
  struct tly_error error;
  bool did_work;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 30, 50);
  rig_settle(&rig);
  rig.speed->tail.positions[0].chain.bytes[7] ^= 1;
  rig_ingest_payments(&rig, 0, 30, 30, 50);
  rig_seal(&rig, "payments"); /* one block of 60 */
  assert_int_equal(tly_speed_step(rig.speed, &did_work, &error), TLY_OK);
  assert_true(rig.speed->disagrees);
  rig_stop(&rig);
  rig_settle(&rig);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_stored_hash_that_the_archive_does_not_have_makes_a_new_state(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 500, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  execute_in_store(&rig, "UPDATE position SET chain = randomblob(16)");
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  rig_assert_right(&rig);
  rig_close(&rig);
}

/* tests/model: without the stamp the hash alone would be taken in. */
static void the_same_events_behind_another_cut_make_a_new_state(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  tly_archive_writer_close(rig.writer);
  rig.writer = NULL;
  remove_folder(&rig, "archive");
  tly_buffer_clear(&rig.given[0]);
  int64_t cut = rig_cut(&rig, all_views);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_run(&rig, cut, all_views);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  assert_int_equal(rig_published(&rig, "totals").run, cut);
  rig_assert_right(&rig);
  rig_close(&rig);
}

/* tests/model: an archive restored from a copy gives the same number to another cut. */
static void a_cut_number_that_was_given_again_makes_a_new_state(void **state) {
  struct rig rig;
  char path[400];
  sqlite3 *index;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_cut(&rig, totals_only);
  rig_ingest_payments(&rig, 0, 100, 100, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 1);
  rig_stop(&rig);
  tly_archive_writer_close(rig.writer);
  rig.writer = NULL;
  snprintf(path, sizeof path, "%s/archive/index.db", rig.directory);
  assert_int_equal(sqlite3_open(path, &index), SQLITE_OK);
  assert_int_equal(sqlite3_exec(index, "UPDATE cut_view SET view = 'kinds'", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(index);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_published_run_that_is_gone_makes_a_new_state(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_cut_and_run(&rig, all_views);
  rig_settle(&rig);
  rig_stop(&rig);
  remove_folder(&rig, "runs/1");
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  assert_int_equal(rig_published(&rig, "totals").run, 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_damaged_delta_is_noticed_and_made_anew(void **state) {
  struct rig rig;
  struct tly_error error;
  bool did_work = true;
  enum tly_status status = TLY_OK;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  execute_in_store(&rig, "UPDATE delta_block SET body = zeroblob(length(body))");
  for (int n = 0; n < 12 && status == TLY_OK; n++) {
    rig_ingest_payments(&rig, 0, 100 + n, 1, 50);
    if (rig.speed == NULL)
      rig_start(&rig);
    status = tly_speed_step(rig.speed, &did_work, &error);
  }
  assert_int_equal(status, TLY_E_CORRUPT);
  assert_false(rig.speed->is_archive_failure);
  rig_stop(&rig);
  assert_int_equal(tly_speed_open(rig.directory, rig.project, &tly_clock_real, NULL, true, &rig.speed, &error), TLY_OK);
  rig_settle(&rig);
  assert_int_equal(tly_speed_store_current(rig.directory), 2);
  rig_assert_right(&rig);
  rig_close(&rig);
}

/* ---- who may read, and when -------------------------------------------------------------------------------------- */

static void readers_wait_until_the_store_was_checked_since_the_boot(void **state) {
  struct rig rig;
  struct tly_error error;
  bool did_work;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_start(&rig);
  assert_int_equal(snapshot_status(&rig), TLY_E_NOT_READY);
  assert_int_equal(tly_speed_step(rig.speed, &did_work, &error), TLY_OK);
  assert_int_equal(snapshot_status(&rig), TLY_OK);
  rig_stop(&rig);
  execute_in_store(&rig, "UPDATE meta SET value = '00000000-0000-0000-0000-000000000000 1' WHERE name = 'checked'");
  assert_int_equal(snapshot_status(&rig), TLY_E_NOT_READY);
  rig_settle(&rig);
  assert_int_equal(snapshot_status(&rig), TLY_OK);
  rig_close(&rig);
}

static void an_open_reader_follows_to_the_new_store(void **state) {
  struct rig rig;
  struct tly_error error;
  struct tly_published published;
  tly_speed_reader *reader;
  uint64_t before, after;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_settle(&rig);
  assert_int_equal(tly_speed_reader_open(rig.directory, rig.project, &reader, &error), TLY_OK);
  assert_int_equal(tly_speed_snapshot_begin(reader, &error), TLY_OK);
  tly_speed_snapshot_end(reader);
  assert_int_equal(tly_speed_reader_version(reader, &before, &error), TLY_OK);
  rig_stop(&rig);
  lose_store(&rig);
  rig_ingest_payments(&rig, 0, 100, 11, 50);
  rig_settle(&rig);
  assert_int_equal(tly_speed_reader_version(reader, &after, &error), TLY_OK);
  assert_int_not_equal(before, after);
  assert_int_equal(tly_speed_snapshot_begin(reader, &error), TLY_OK);
  assert_int_equal(tly_speed_snapshot_view(reader, tly_project_view(rig.project, "totals"), &published, &error),
                   TLY_OK);
  assert_int_equal(published.live_folded, 111);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  rig_close(&rig);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static void a_view_added_before_the_first_event_is_ready_at_once(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  rig_settle(&rig);
  rig_stop(&rig);
  rig_change_project(&rig, THREE_VIEWS);
  rig_settle(&rig);
  assert_true(rig_published(&rig, "kinds").is_ready);
  rig_ingest_payments(&rig, 0, 0, 100, 50);
  rig_settle(&rig);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_view_added_later_answers_once_it_has_its_past(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 400, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  rig_change_project(&rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_ingest_payments(&rig, 1, 400, 400, 50);
  rig_settle(&rig);
  assert_false(rig_published(&rig, "kinds").is_ready);
  rig_ingest_payments(&rig, 0, 800, 400, 50);
  int64_t run = rig_cut(&rig, kinds_only);
  rig_ingest_payments(&rig, 0, 1200, 400, 50);
  rig_settle(&rig);
  rig_run(&rig, run, kinds_only);
  rig_settle(&rig);
  struct tly_published kinds = rig_published(&rig, "kinds");
  assert_true(kinds.is_ready);
  assert_int_equal(kinds.run, run);
  assert_int_equal(kinds.live_folded + kinds.live_filtered, 400);
  rig_ingest_payments(&rig, 2, 1600, 400, 50);
  rig_settle(&rig);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_run_that_was_cut_before_the_view_was_added_will_do(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 400, 50);
  rig_settle(&rig);
  int64_t cut = rig_cut(&rig, kinds_only);
  rig_ingest_payments(&rig, 0, 400, 400, 50);
  rig_cut(&rig, totals_only);
  rig_ingest_payments(&rig, 0, 800, 400, 50);
  rig_settle(&rig);
  rig_stop(&rig);
  rig_change_project(&rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_run(&rig, cut, kinds_only);
  rig_settle(&rig);
  assert_true(rig_published(&rig, "kinds").is_ready);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_changed_view_starts_anew_and_the_old_one_is_dropped(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_ingest_payments(&rig, 0, 0, 400, 50);
  rig_settle(&rig);
  rig_cut_and_run(&rig, kinds_only);
  rig_settle(&rig);
  int64_t old_id = rig_published(&rig, "kinds").view_id;
  rig_stop(&rig);
  rig_change_project(&rig, PAYMENTS_STREAM TOTALS_VIEW CHANGED_KINDS_VIEW);
  rig_settle(&rig);
  assert_false(rig_published(&rig, "kinds").is_ready); /* run 1 is the old definition's */
  assert_true(rig_published(&rig, "kinds").view_id > old_id);
  rig_cut_and_run(&rig, kinds_only);
  rig_settle(&rig);
  assert_true(rig_published(&rig, "kinds").is_ready);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_removed_view_leaves_nothing_behind(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 2000, 900);
  rig_settle(&rig);
  rig_stop(&rig);
  rig_change_project(&rig, PAYMENTS_STREAM KINDS_VIEW);
  rig_settle(&rig);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM view"), 1);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE view NOT IN (SELECT id FROM view)"), 0);
  assert_int_equal(
      rig_store_integer(&rig, "SELECT count(*) FROM delta_block WHERE delta NOT IN (SELECT id FROM delta)"), 0);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM set_aside"), 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lost_store_is_built_from_the_newest_run_and_the_archive),
      cmocka_unit_test(a_lost_store_without_runs_is_folded_from_the_beginning),
      cmocka_unit_test(views_of_a_lost_store_stand_each_on_its_own_run),
      cmocka_unit_test(a_view_without_a_run_does_not_hold_up_the_others_of_a_lost_store),
      cmocka_unit_test(an_archive_with_other_events_makes_a_new_state),
      cmocka_unit_test(a_fold_that_stands_on_other_events_takes_no_further_block),
      cmocka_unit_test(a_large_block_is_taken_only_if_its_own_events_lead_to_the_fold),
      cmocka_unit_test(a_stored_hash_that_the_archive_does_not_have_makes_a_new_state),
      cmocka_unit_test(the_same_events_behind_another_cut_make_a_new_state),
      cmocka_unit_test(a_cut_number_that_was_given_again_makes_a_new_state),
      cmocka_unit_test(a_published_run_that_is_gone_makes_a_new_state),
      cmocka_unit_test(a_damaged_delta_is_noticed_and_made_anew),
      cmocka_unit_test(readers_wait_until_the_store_was_checked_since_the_boot),
      cmocka_unit_test(an_open_reader_follows_to_the_new_store),
      cmocka_unit_test(a_view_added_before_the_first_event_is_ready_at_once),
      cmocka_unit_test(a_view_added_later_answers_once_it_has_its_past),
      cmocka_unit_test(a_run_that_was_cut_before_the_view_was_added_will_do),
      cmocka_unit_test(a_changed_view_starts_anew_and_the_old_one_is_dropped),
      cmocka_unit_test(a_removed_view_leaves_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
