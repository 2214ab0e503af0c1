/* tests/batch_layer/test_merged_view.c -- a view's rows at one instant, whatever of them is in the run and what live.
 */
#include "tests/common/store/view_fixture.h"

#include "batch_layer/merged_view.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

static struct rig rig;

static void open_rig(const char *definitions) {
  rig_open(&rig, definitions);
  rig_start(&rig);
}

static struct tly_merged_view_options options_of(const char *view) {
  return (struct tly_merged_view_options){
      .directory = rig.directory, .project = rig.project, .view = tly_project_view(rig.project, view), .wait_ms = 50};
}

static void print_rows(const struct tly_view *view, const struct tly_view_rows *rows, struct tly_buffer *out) {
  for (uint32_t i = 0; i < rows->row_count; i++) {
    for (uint32_t o = 0; o < view->output_count; o++) {
      struct tly_value value = tly_vector_value(&rows->outputs[o], rows->rows[i]);
      tly_buffer_append_text(out, o > 0 ? "," : "");
      tly_value_print_csv(&value, out);
    }
    tly_buffer_append_byte(out, '\n');
  }
}

/* All rows as CSV, and the facts but their pointers; the caller frees `out`. */
static struct tly_merged_view_facts read_view(const char *name, struct tly_buffer *out) {
  struct tly_merged_view_options options = options_of(name);
  struct tly_view_rows rows;
  tly_merged_view *merged;
  memset(out, 0, sizeof *out);
  CHECK_OK(tly_merged_view_open(&options, &merged, &test_error));
  do {
    CHECK_OK(tly_merged_view_next(merged, &rows, &test_error));
    print_rows(options.view, &rows, out);
  } while (rows.row_count > 0);
  struct tly_merged_view_facts facts = *tly_merged_view_facts(merged);
  tly_merged_view_close(merged);
  return facts;
}

static void assert_rows(const char *view, const char *expected) {
  struct tly_buffer seen;
  read_view(view, &seen);
  assert_string_equal(tly_buffer_text(&seen), expected);
  tly_buffer_free(&seen);
}

static const char some[] = "{\"account\":\"a\",\"amount\":1.50,\"kind\":\"in\"}\n"
                           "{\"account\":\"b\",\"amount\":2,\"kind\":\"in\"}\n"
                           "{\"account\":\"a\",\"amount\":-0.25,\"kind\":\"out\"}\n";

static void rows_are_the_same_live_in_the_run_and_in_both(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "kinds", "shares", NULL};
  open_rig(THREE_VIEWS);
  rig_settle(&rig);
  assert_rows("totals", "");
  rig_ingest(&rig, "payments", 0, some);
  rig_settle(&rig);
  assert_rows("totals", "a,2,1.25,2,out\nb,1,2.00,1,in\n");
  rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  assert_true(rig_published(&rig, "totals").run > 0);
  assert_rows("totals", "a,2,1.25,2,out\nb,1,2.00,1,in\n");
  rig_ingest(&rig, "payments", 1,
             "{\"account\":\"c\",\"amount\":3}\n{\"account\":\"a\",\"amount\":1,\"kind\":\"in\"}\n");
  rig_settle(&rig);
  assert_rows("totals", "a,3,2.25,2,out\nb,1,2.00,1,in\nc,1,3.00,0,\n");
  rig_close(&rig);
}

static void what_the_rows_stand_on_is_told(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "kinds", "shares", NULL};
  struct tly_buffer seen;
  open_rig(THREE_VIEWS);
  rig_ingest(&rig, "payments", 0, some);
  rig_settle(&rig);
  struct tly_merged_view_facts facts = read_view("totals", &seen);
  tly_buffer_free(&seen);
  assert_int_equal(facts.run, 0);
  assert_int_equal(facts.cut_count, 0);
  assert_true(facts.live_count >= 1);
  int64_t run = rig_cut_and_run(&rig, names);
  rig_ingest(&rig, "payments", 0, "{\"account\":\"z\",\"amount\":1,\"kind\":\"in\",\"parts\":0}\n");
  rig_settle(&rig);
  struct tly_merged_view_options options = options_of("shares");
  tly_merged_view *merged;
  CHECK_OK(tly_merged_view_open(&options, &merged, &test_error));
  const struct tly_merged_view_facts *shares = tly_merged_view_facts(merged);
  assert_int_equal(shares->run, run);
  assert_int_equal(shares->cut[0].next_offset, 3);
  assert_int_equal(shares->live[0].next_offset, 4);
  assert_int_equal(shares->set_aside, 1);
  tly_merged_view_close(merged);
  rig_close(&rig);
}

static void many_groups_in_many_blocks_are_each_there_once(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "kinds", "shares", NULL};
  struct tly_buffer before, after;
  open_rig(THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 60000, 50000);
  rig_settle(&rig);
  read_view("totals", &before);
  rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  read_view("totals", &after);
  assert_int_equal(before.size, after.size);
  assert_memory_equal(before.data, after.data, before.size);
  tly_buffer_free(&after);
  rig_ingest_payments(&rig, 0, 0, 60000, 50000); /* each group live too, over several ranges of the run's blocks */
  rig_settle(&rig);
  struct tly_merged_view_facts facts = read_view("totals", &after);
  assert_true(facts.run > 0);
  rig_assert_right(&rig);
  size_t lines = 0, lines_before = 0;
  for (size_t i = 0; i < after.size; i++)
    lines += after.data[i] == '\n';
  for (size_t i = 0; i < before.size; i++)
    lines_before += before.data[i] == '\n';
  assert_int_equal(lines, lines_before);
  tly_buffer_free(&before);
  tly_buffer_free(&after);
  rig_close(&rig);
}

static void rows_are_those_of_the_instant_however_much_comes_later(void **state) {
  (void)state;
  static const char *const names[] = {"totals", "kinds", "shares", NULL};
  struct tly_buffer expected, seen = {0};
  open_rig(THREE_VIEWS);
  rig_ingest_payments(&rig, 0, 0, 20000, 9000);
  rig_settle(&rig);
  read_view("totals", &expected);
  struct tly_merged_view_options options = options_of("totals");
  struct tly_view_rows rows;
  tly_merged_view *merged;
  CHECK_OK(tly_merged_view_open(&options, &merged, &test_error));
  rig_ingest_payments(&rig, 0, 50000, 20000, 9000);
  rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  do {
    CHECK_OK(tly_merged_view_next(merged, &rows, &test_error));
    print_rows(options.view, &rows, &seen);
  } while (rows.row_count > 0);
  tly_merged_view_close(merged);
  assert_int_equal(seen.size, expected.size);
  assert_memory_equal(seen.data, expected.data, seen.size);
  tly_buffer_free(&seen);
  tly_buffer_free(&expected);
  rig_close(&rig);
}

static void what_is_archived_and_not_yet_folded_is_waited_for(void **state) {
  (void)state;
  tly_merged_view *merged;
  open_rig(THREE_VIEWS);
  rig_ingest(&rig, "payments", 0, some);
  rig_settle(&rig);
  rig_ingest(&rig, "payments", 0, some);
  struct tly_merged_view_options options = options_of("totals");
  assert_int_equal(tly_merged_view_open(&options, &merged, &test_error), TLY_E_NOT_READY); /* nobody folds */
  assert_null(merged);
  assert_non_null(strstr(test_error.message, "3 events behind"));
  rig_settle(&rig);
  assert_rows("totals", "a,4,2.50,2,out\nb,2,4.00,1,in\n");
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_the_same_live_in_the_run_and_in_both),
      cmocka_unit_test(what_the_rows_stand_on_is_told),
      cmocka_unit_test(many_groups_in_many_blocks_are_each_there_once),
      cmocka_unit_test(rows_are_those_of_the_instant_however_much_comes_later),
      cmocka_unit_test(what_is_archived_and_not_yet_folded_is_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
