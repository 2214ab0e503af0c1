/* tests/common/store/test_slice.c -- windows see what is there, copies keep it. */
#include "tests/common/store/view_fixture.h"

#include "common/store/slice.h"

enum { ACCOUNTS = 700 };

static struct tly_project *project;
static struct tly_view_program *program;
static tly_fold *fold;

static int set_up(void **state) {
  (void)state;
  struct tly_buffer lines = {0};
  project =
      parse_project("CREATE FOREIGN TABLE payments (account text NOT NULL, amount numeric, weight double precision,"
                    " note text) SERVER embedded;"
                    "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total,"
                    " min(amount) AS least, max(note) AS note, sum(weight) AS weight FROM payments"
                    " GROUP BY account;");
  program = tly_view_program_new(&project->views[0]);
  for (int i = 0; i < 3 * ACCOUNTS; i++) /* wide decimals, wide sums, groups without any value */
    tly_buffer_print(&lines, "{\"account\":\"a%04d\",\"amount\":%s,\"weight\":%s,\"note\":%s}\n", i % ACCOUNTS,
                     i % 7 == 0   ? "123456789012345678901234567890123456789012345678901234567890.5"
                     : i % 7 == 1 ? "null"
                                  : "2.50",
                     i % 3 == 0 ? "1e300" : "1e-300", i % 7 == 1 ? "null" : "\"a note of some length\"");
  fold = tly_fold_new(program);
  fold_lines(fold, program->view->stream, (const char *)lines.data, lines.size);
  tly_buffer_free(&lines);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_fold_free(fold);
  tly_view_program_free(program);
  tly_project_free(project);
  return 0;
}

static void assert_rows_equal(const struct tly_group_slice *a, uint32_t a_row, const struct tly_group_slice *b,
                              uint32_t b_row) {
  assert_true(tly_text_equal(a->keys[a_row], b->keys[b_row]));
  assert_true(tly_states_equal(program, a->states, a_row, b->states, b_row));
}

struct copies {
  struct tly_slice_copy whole, pieces;
  uint32_t count;
};

static enum tly_status check_slice(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  struct copies *copies = context;
  struct tly_slice_window window;
  (void)error;
  tly_slice_copy_whole(&copies->whole, slice);
  tly_slice_copy_whole(&copies->whole, slice); /* again, over itself */
  assert_int_equal(copies->whole.slice.count, slice->count);
  tly_slice_copy_reset(&copies->pieces, slice->count);
  for (uint32_t row = 0; row < slice->count; row += 13)
    tly_slice_copy_append(&copies->pieces, slice, row, row + 13 < slice->count ? row + 13 : slice->count);
  tly_slice_window_init(&window, program, 0);
  const struct tly_group_slice *seen = tly_slice_window_set(&window, slice, slice->count / 3, slice->count);
  for (uint32_t row = 0; row < slice->count; row++) {
    assert_rows_equal(slice, row, &copies->whole.slice, row);
    assert_rows_equal(slice, row, &copies->pieces.slice, row);
    if (row >= slice->count / 3)
      assert_rows_equal(slice, row, seen, row - slice->count / 3);
    assert_int_equal(tly_slice_lower_bound(slice, slice->keys[row]), row);
  }
  tly_slice_window_free(&window);
  copies->count += slice->count;
  return TLY_OK;
}

static void windows_and_copies_have_the_rows_they_should(void **state) {
  (void)state;
  struct copies copies = {.count = 0};
  tly_slice_copy_init(&copies.whole, program, 0);
  tly_slice_copy_init(&copies.pieces, program, 0);
  CHECK_OK(tly_group_table_drain(tly_fold_part(fold, 0), 300, check_slice, &copies, &test_error));
  assert_int_equal(copies.count, ACCOUNTS);
  /* The last slice had 100 groups: the copy took one block of about what that needs, whatever came before. */
  assert_in_range(tly_slice_copy_bytes(&copies.whole), 1, 100 * 500);
  tly_slice_copy_free(&copies.whole);
  tly_slice_copy_free(&copies.pieces);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(windows_and_copies_have_the_rows_they_should),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
