/* tests/batch_layer/test_control_totals.c -- the checks of a run's views: what they are computed from, and what holds.
 */
#include "tests/common/store/view_fixture.h"

#include "batch_layer/control_totals.h"
#include "batch_layer/recompute.h"
#include "common/base/limits.h"
#include "tests/support/speed_rig.h"

static const char entries_stream[] =
    "CREATE FOREIGN TABLE entries (account text, debit numeric(18,2) NOT NULL, credit numeric(18,2), n bigint, f double"
    " precision, day date) SERVER embedded OPTIONS (format 'json');\n";

static const char four_entries[] =
    "{\"account\":\"a\",\"debit\":12.30,\"credit\":0,\"n\":3,\"f\":0.5,\"day\":\"2026-03-01\"}\n"
    "{\"account\":\"b\",\"debit\":0,\"credit\":12.20,\"n\":4,\"f\":0.25}\n"
    "{\"account\":\"b\",\"debit\":1,\"credit\":1,\"n\":0}\n"
    "{\"debit\":0.7,\"credit\":0.8,\"day\":\"2026-03-02\"}\n";

static struct rig rig;
static struct tly_arena arena;

/* Recompute the views of `definitions` over `lines` and check them. */
static enum tly_status check_run(const char *definitions, const char *lines, struct tly_run_result *result) {
  struct tly_buffer text = {0};
  const struct tly_view *views[4];
  const char *names[5] = {NULL};
  struct tly_cut cut;
  tly_archive_reader *archive;
  char path[400];
  tly_arena_init(&arena);
  tly_buffer_print(&text, "%s%s", entries_stream, definitions);
  rig_open(&rig, tly_buffer_text(&text));
  tly_buffer_free(&text);
  uint32_t count = rig.project->view_count;
  for (uint32_t v = 0; v < count; v++)
    names[v] = (views[v] = &rig.project->views[v])->name;
  if (*lines != '\0')
    rig_ingest(&rig, "entries", 0, lines);
  int64_t number = rig_cut(&rig, names);
  CHECK_OK(tly_archive_reader_open(rig.directory, rig.project, &archive, &test_error));
  CHECK_OK(tly_archive_reader_cut(archive, number, &arena, &cut, &test_error));
  tly_archive_reader_close(archive);
  snprintf(path, sizeof path, "%s/runs/%" PRId64, rig.directory, number);
  CHECK_OK(tly_file_make_folder(path, &test_error));
  snprintf(path, sizeof path, "%s/runs/%" PRId64 "/lock", rig.directory, number);
  CHECK_OK(tly_file_replace(path, "", 0, &test_error));
  struct tly_recompute_job job = {.directory = rig.directory,
                                  .project = rig.project,
                                  .cut = &cut,
                                  .views = views,
                                  .view_count = count,
                                  .threads = 2,
                                  .group_bytes_max = TLY_RECOMPUTE_BYTES};
  CHECK_OK(tly_recompute(&job, &arena, result, &test_error));
  struct tly_control_totals_job check = {
      .directory = rig.directory, .run = number, .views = views, .view_count = count};
  return tly_control_totals(&check, &arena, result, &test_error);
}

static void close_run(void) {
  rig_close(&rig);
  tly_arena_free(&arena);
}

#define ACCOUNTS_SELECT                                                                                                \
  "SELECT account, sum(debit) AS debit, sum(credit) AS credit, sum(n) AS n, sum(f) AS f, max(day) AS day, count(*) AS" \
  " entries, count(DISTINCT credit) AS credits FROM entries GROUP BY account"

/* The verdict on `check` over the accounts of `lines`. */
static void assert_verdict(const char *check, const char *lines, const char *verdict, const char *found) {
  char definition[4096];
  struct tly_run_result result;
  snprintf(definition, sizeof definition, "CREATE MATERIALIZED VIEW accounts WITH (check = $$%s$$) AS " ACCOUNTS_SELECT,
           check);
  CHECK_OK(check_run(definition, lines, &result));
  const struct tly_run_check *got = &result.views[0].check;
  assert_string_equal(got->text, check);
  if (strcmp(got->verdict, verdict) != 0 || strcmp(got->found, found) != 0)
    fail_msg("%s\ngot %s: %s\nnot %s: %s", check, got->verdict, got->found, verdict, found);
  close_run();
}

static void totals_are_compared_over_all_finished_rows(void **state) {
  (void)state;
  assert_verdict("sum(debit) = sum(credit)", four_entries, "true", "sum(debit) = 14.00, sum(credit) = 14.00");
  assert_verdict("sum(debit) < sum(credit)", four_entries, "false", "sum(debit) = 14.00, sum(credit) = 14.00");
  assert_verdict("count(*) = 3 AND sum(entries) = 4 AND sum(credits) = 4", four_entries, "true",
                 "count(*) = 3, sum(entries) = 4, sum(credits) = 4");
  assert_verdict("max(debit) - min(debit) >= 12", four_entries, "false", "max(debit) = 12.3, min(debit) = 0.7");
  assert_verdict("bool_and(credit >= 0) AND max(day) > '2026-03-01' AND sum(f) = 0.75", four_entries, "true",
                 "bool_and(credit >= 0) = t, max(day) = 2026-03-02, sum(f) = 0.75");
}

static void keys_null_values_and_filters_count_as_in_any_view(void **state) {
  (void)state;
  assert_verdict("count(account) = 2 AND count(*) FILTER (WHERE account IS NULL) = 1", four_entries, "true",
                 "count(account) = 2, count(*) FILTER (WHERE account IS NULL) = 1");
  assert_verdict("max(account) = 'b' AND count(DISTINCT n) = 1", four_entries, "false",
                 "max(account) = b, count(DISTINCT n) = 2"); /* 3 and 4; no n at all is no value */
  assert_verdict("avg(debit) = 14.00 / 3", four_entries, "true", "avg(debit) = 4.6666666666666667");
}

static void a_constant_is_a_check_too(void **state) {
  (void)state;
  assert_verdict("1 < 2", four_entries, "true", "");
  assert_verdict("false", four_entries, "false", "");
  assert_verdict("1 / 0 = 1", four_entries, "error", "division by zero (22012)");
}

static void null_does_not_hold(void **state) {
  (void)state;
  assert_verdict("sum(debit) > 0", "", "null", "sum(debit) = NULL");
  assert_verdict("count(*) > 0", "", "false", "count(*) = 0");
  assert_verdict("sum(n) FILTER (WHERE account = 'z') = 0", four_entries, "null",
                 "sum(n) FILTER (WHERE account = 'z') = NULL");
}

static void what_raises_does_not_hold_and_says_where(void **state) {
  (void)state;
  assert_verdict("sum(1 / (entries - 2)) = 0", four_entries, "error",
                 "division by zero (22012) in the row account = b, entries = 2");
  assert_verdict("count(*) FILTER (WHERE 1 / (entries - 1) = 1) = 0", four_entries, "error",
                 "division by zero (22012) in the row account = a, entries = 1, and in 1 more");
  assert_verdict("sum(entries) / count(DISTINCT n) FILTER (WHERE n > 5) = 0", four_entries, "error",
                 "division by zero (22012): sum(entries) = 4, count(DISTINCT n) FILTER (WHERE n > 5) = 0");
}

static void a_total_of_the_view_that_overflows_is_a_verdict_too(void **state) {
  (void)state;
  struct tly_run_result result;
  CHECK_OK(check_run("CREATE MATERIALIZED VIEW v WITH (check = 'sum(x) > 0') AS SELECT account, 1 / (count(*) - 2) AS x"
                     " FROM entries GROUP BY account;\n"
                     "CREATE MATERIALIZED VIEW w WITH (check = 'count(*) = 3') AS SELECT account, 1 / (count(*) - 2)"
                     " AS x FROM entries GROUP BY account",
                     four_entries, &result));
  assert_string_equal(result.views[0].check.verdict, "error");
  assert_string_equal(result.views[0].check.found, "division by zero (22012)");
  assert_string_equal(result.views[1].check.verdict, "true"); /* what it does not read cannot fail it */
  close_run();
}

static void rows_behind_having_count_and_views_without_keys_have_one(void **state) {
  (void)state;
  struct tly_run_result result;
  CHECK_OK(check_run(
      "CREATE MATERIALIZED VIEW two WITH (check = 'count(*) = 1 AND max(n) = 2') AS SELECT account, count(*) AS n FROM"
      " entries GROUP BY account HAVING count(*) > 1;\n"
      "CREATE MATERIALIZED VIEW whole WITH (check = 'count(*) = 1 AND sum(debit) = 14') AS SELECT sum(debit) AS debit"
      " FROM entries;\n"
      "CREATE MATERIALIZED VIEW plain AS SELECT account FROM entries GROUP BY account",
      four_entries, &result));
  assert_string_equal(result.views[0].check.verdict, "true");
  assert_string_equal(result.views[1].check.verdict, "true");
  assert_null(result.views[2].check.text);
  close_run();
}

static void many_rows_are_folded_batch_by_batch_and_exactly(void **state) {
  (void)state;
  struct tly_run_result result;
  struct tly_buffer lines = {0};
  for (int i = 0; i < 20000; i++)
    tly_buffer_print(&lines, "{\"account\":\"account %d\",\"debit\":0.01,\"credit\":%d.99,\"n\":%d}\n", i, i, i % 7);
  CHECK_OK(check_run("CREATE MATERIALIZED VIEW v WITH (check = 'sum(debit) = 200 AND sum(credit) = 200009800 AND"
                     " count(DISTINCT account) = 20000 AND count(DISTINCT n) = 7 AND sum(f) IS NULL') AS "
                     "SELECT account, sum(debit) AS debit, sum(credit) AS credit, sum(n) AS n, sum(f) AS f FROM entries"
                     " GROUP BY account",
                     tly_buffer_text(&lines), &result));
  if (strcmp(result.views[0].check.verdict, "true") != 0)
    fail_msg("%s", result.views[0].check.found);
  tly_buffer_free(&lines);
  close_run();
}

static void long_values_are_cut_at_a_character(void **state) {
  (void)state;
  struct tly_run_result result;
  struct tly_buffer line = {0};
  tly_buffer_append_text(&line, "{\"debit\":0,\"account\":\"x");
  for (int i = 0; i < 400; i++)
    tly_buffer_append_text(&line, "\xc3\xa4");
  tly_buffer_append_text(&line, "\"}\n");
  CHECK_OK(check_run("CREATE MATERIALIZED VIEW v WITH (check = 'max(account) = $$$$') AS SELECT account FROM entries"
                     " GROUP BY account",
                     tly_buffer_text(&line), &result));
  const char *found = result.views[0].check.found;
  assert_string_equal(result.views[0].check.verdict, "false");
  assert_true(tly_text_is_valid(found, strlen(found)));
  assert_string_equal(found + strlen(found) - 5, "\xc3\xa4...");
  assert_true(strlen(found) <= strlen("max(account) = ") + TLY_CHECK_VALUE_BYTES + 3);
  tly_buffer_free(&line);
  close_run();
}

static void a_run_whose_files_are_damaged_is_a_failure_and_no_verdict(void **state) {
  (void)state;
  struct tly_run_result result;
  char path[400];
  const struct tly_view *view;
  CHECK_OK(check_run("CREATE MATERIALIZED VIEW v WITH (check = 'count(*) > 0') AS SELECT account FROM entries GROUP BY"
                     " account",
                     four_entries, &result));
  view = rig.project->views;
  snprintf(path, sizeof path, "%s/runs/%" PRId64 "/%s", rig.directory, result.run, result.views[0].files[0].name);
  CHECK_OK(tly_file_replace(path, "nothing", 7, &test_error));
  struct tly_control_totals_job job = {.directory = rig.directory, .run = result.run, .views = &view, .view_count = 1};
  assert_int_not_equal(tly_control_totals(&job, &arena, &result, &test_error), TLY_OK);
  close_run();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(totals_are_compared_over_all_finished_rows),
      cmocka_unit_test(keys_null_values_and_filters_count_as_in_any_view),
      cmocka_unit_test(a_constant_is_a_check_too),
      cmocka_unit_test(null_does_not_hold),
      cmocka_unit_test(what_raises_does_not_hold_and_says_where),
      cmocka_unit_test(a_total_of_the_view_that_overflows_is_a_verdict_too),
      cmocka_unit_test(rows_behind_having_count_and_views_without_keys_have_one),
      cmocka_unit_test(many_rows_are_folded_batch_by_batch_and_exactly),
      cmocka_unit_test(long_values_are_cut_at_a_character),
      cmocka_unit_test(a_run_whose_files_are_damaged_is_a_failure_and_no_verdict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
