/* A run takes the place of exactly the generations it covers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "speed_layer/publish.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

static void a_run_replaces_the_generations_it_covers(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 3000, 700);
  rig_settle(&rig);
  int64_t run = rig_cut_and_run(&rig, all_views);
  rig_ingest_payments(&rig, 0, 3000, 100, 700);
  rig_settle(&rig);
  struct tly_published totals = rig_published(&rig, "totals");
  assert_int_equal(totals.run, run);
  assert_int_equal(totals.cut, run);
  assert_int_equal(totals.live_folded, 100);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM generation WHERE number <= 1"), 0);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM delta WHERE generation <= 1"), 0);
  assert_int_equal(rig_store_integer(&rig, "SELECT count(*) FROM dropped_delta"), 0);
  assert_int_equal(
      rig_store_integer(&rig, "SELECT count(*) FROM delta_block WHERE delta NOT IN (SELECT id FROM delta)"), 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_run_for_one_view_leaves_the_others_alone(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 1000, 100);
  rig_settle(&rig);
  rig_cut_and_run(&rig, totals_only);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").live_folded, 0);
  struct tly_published kinds = rig_published(&rig, "kinds");
  assert_int_equal(kinds.run, 0);
  assert_int_equal(kinds.live_folded + kinds.live_filtered, 1000);
  rig_assert_right(&rig);
  rig_close(&rig);
}

/* The cut is of all streams, the run of those that its views read: other streams' events once kept it from being
 * published. */
static void a_run_is_published_though_other_streams_have_events(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW
           "CREATE FOREIGN TABLE visits (page text NOT NULL) SERVER embedded OPTIONS (format 'json');\n"
           "CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM visits GROUP BY page;\n");
  rig_ingest_payments(&rig, 0, 0, 100, 10);
  rig_ingest(&rig, "visits", 0, "{\"page\":\"a\"}\n{\"page\":\"b\"}\n");
  rig_settle(&rig);
  int64_t run = rig_cut_and_run(&rig, totals_only);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, run);
  assert_int_equal(rig_published(&rig, "pages").run, 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_run_waits_until_the_fold_has_passed_its_cut(void **state) {
  struct rig rig;
  struct tly_error error;
  bool did_publish;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 10, 5);
  rig_settle(&rig);
  rig_ingest_payments(&rig, 0, 10, 10, 5);
  rig_cut_and_run(&rig, all_views);
  assert_int_equal(tly_publish_step(rig.speed, &did_publish, &error), TLY_OK);
  assert_false(did_publish);
  assert_int_equal(rig_published(&rig, "totals").run, 0);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 1);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void an_older_run_that_comes_late_is_not_published(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 20);
  int64_t first = rig_cut(&rig, all_views);
  rig_ingest_payments(&rig, 0, 100, 100, 20);
  int64_t second = rig_cut_and_run(&rig, all_views);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, second);
  rig_run(&rig, first, all_views);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, second);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_run_whose_files_are_gone_is_not_published(void **state) {
  struct rig rig;
  char path[400];
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 20);
  rig_cut_and_run(&rig, all_views);
  snprintf(path, sizeof path, "%s/runs/1", rig.directory);
  assert_int_equal(tly_file_remove_tree(path, NULL), TLY_OK);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void a_run_of_another_definition_is_not_published(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 20);
  rig_settle(&rig);
  int64_t cut = rig_cut(&rig, totals_only);
  rig_stop(&rig);
  rig_change_project(&rig,
                     PAYMENTS_STREAM "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n FROM payments"
                                     " GROUP BY account;" KINDS_VIEW SHARES_VIEW);
  rig_run(&rig, cut, totals_only); /* under the new definition */
  rig_change_project(&rig, THREE_VIEWS);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "totals").run, 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

/* tests/model: the view's generation goes on through such a cut, so hiding it would hide too much. */
static void a_run_for_a_view_that_its_cut_does_not_name_is_not_published(void **state) {
  struct rig rig;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 100, 20);
  int64_t cut = rig_cut(&rig, totals_only);
  rig_ingest_payments(&rig, 0, 100, 100, 20);
  rig_settle(&rig);
  rig_run(&rig, cut, kinds_only);
  rig_settle(&rig);
  assert_int_equal(rig_published(&rig, "kinds").run, 0);
  rig_assert_right(&rig);
  rig_close(&rig);
}

static void run_after_run_stays_right_while_events_arrive(void **state) {
  struct rig rig;
  bool did_work;
  struct tly_error error;
  (void)state;
  rig_open(&rig, THREE_VIEWS);
  rig_start(&rig);
  for (int n = 0; n < 8; n++) {
    rig_ingest_payments(&rig, (uint32_t)n % 2, n * 1000, 700, 900);
    if (n % 3 == 0)
      assert_int_equal(tly_speed_step(rig.speed, &did_work, &error), TLY_OK);
    if (n % 2 == 1)
      rig_cut_and_run(&rig, n % 4 == 1 ? totals_only : all_views);
    rig_ingest_payments(&rig, (uint32_t)n % 3, n * 1000 + 700, 300, 900);
    rig_settle(&rig);
    rig_assert_right(&rig);
  }
  assert_int_equal(rig_published(&rig, "totals").run, 4);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_replaces_the_generations_it_covers),
      cmocka_unit_test(a_run_for_one_view_leaves_the_others_alone),
      cmocka_unit_test(a_run_is_published_though_other_streams_have_events),
      cmocka_unit_test(a_run_waits_until_the_fold_has_passed_its_cut),
      cmocka_unit_test(an_older_run_that_comes_late_is_not_published),
      cmocka_unit_test(a_run_whose_files_are_gone_is_not_published),
      cmocka_unit_test(a_run_of_another_definition_is_not_published),
      cmocka_unit_test(a_run_for_a_view_that_its_cut_does_not_name_is_not_published),
      cmocka_unit_test(run_after_run_stays_right_while_events_arrive),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
