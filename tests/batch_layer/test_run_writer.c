/* tests/batch_layer/test_run_writer.c -- what is written is what is read, and does not depend on how it was divided. */
#include "tests/common/store/view_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "batch_layer/run_writer.h"
#include "batch_layer/sorted_groups.h"
#include "common/base/limits.h"
#include "common/sqlite/sqlite.h"
#include "common/store/run_reader.h"
#include "common/store/slice.h"
#include "common/value/ordered_key.h"

enum { ACCOUNTS = 30000 };

static const char definitions[] =
    "CREATE FOREIGN TABLE payments (account text NOT NULL, amount numeric(18,2) NOT NULL, weight double precision,"
    " note text) SERVER embedded;"
    "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total, min(note) AS least,"
    " sum(weight) AS weight, count(DISTINCT note) AS notes FROM payments GROUP BY account;";

static char directory[] = "/tmp/tally_test_run_writer_XXXXXX";
static struct tly_project *project;
static struct tly_view_program *program;
static tly_sorted_groups *all_groups[2]; /* the parts of the view: groups and distinct notes */

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_sqlite_setup();
  project = parse_project(definitions);
  program = tly_view_program_new(&project->views[0]);
  struct tly_buffer lines = {0};
  for (int i = 0; i < 2 * ACCOUNTS; i++)
    tly_buffer_print(&lines, "{\"account\":\"a%06d\",\"amount\":%d.25,\"weight\":%s,\"note\":%s}\n", i % ACCOUNTS, i,
                     i % 5 == 0 ? "1e300" : "0.1", i % 3 == 0 ? "null" : "\"seen\"");
  tly_fold *fold = tly_fold_new(program);
  fold_lines(fold, program->view->stream, (const char *)lines.data, lines.size);
  for (uint32_t p = 0; p < 2; p++) {
    all_groups[p] = tly_sorted_groups_new(program, p, NULL);
    CHECK_OK(tly_group_table_drain(tly_fold_part(fold, p), 1000, tly_sorted_groups_append, all_groups[p], &test_error));
  }
  tly_fold_free(fold);
  tly_buffer_free(&lines);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_sorted_groups_free(all_groups[0]);
  tly_sorted_groups_free(all_groups[1]);
  tly_view_program_free(program);
  tly_project_free(project);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static const char *run_folder(int64_t run) {
  static char path[256];
  snprintf(path, sizeof path, "%s/runs/%" PRId64, directory, run);
  return path;
}

static void make_run_folder(int64_t run) {
  char lock[300];
  CHECK_OK(tly_file_make_folder(run_folder(run), &test_error));
  snprintf(lock, sizeof lock, "%s/lock", run_folder(run));
  CHECK_OK(tly_file_replace(lock, "", 0, &test_error));
}

/* Append groups of a key range, in slices cut at odd places so that blocks straddle them. */
static void append_range(tly_run_writer *writer, uint32_t part, struct tly_text low, struct tly_text high,
                         uint32_t slice_groups) {
  tly_sorted_cursor *cursor = tly_sorted_cursor_new(all_groups[part], low, high);
  struct tly_group_source source = tly_sorted_cursor_source(cursor);
  struct tly_slice_window window;
  const struct tly_group_slice *slice;
  tly_slice_window_init(&window, program, part);
  for (;;) {
    CHECK_OK(source.next(source.context, &slice, &test_error));
    if (slice == NULL)
      break;
    for (uint32_t first = 0; first < slice->count; first += slice_groups) {
      uint32_t end = first + slice_groups < slice->count ? first + slice_groups : slice->count;
      CHECK_OK(tly_run_writer_append(writer, tly_slice_window_set(&window, slice, first, end), &test_error));
    }
  }
  tly_slice_window_free(&window);
  tly_sorted_cursor_free(cursor);
}

static void write_piece(int64_t run, uint32_t part, uint32_t piece, uint32_t pieces, struct tly_text low,
                        struct tly_text high, uint32_t slice_groups, struct tly_run_piece *out) {
  tly_run_writer *writer;
  CHECK_OK(tly_run_writer_open(run_folder(run), run, program, part, piece, pieces, &writer, &test_error));
  append_range(writer, part, low, high, slice_groups);
  CHECK_OK(tly_run_writer_finish(writer, out, &test_error));
  tly_run_writer_close(writer);
}

static const struct tly_text open_bound = {.data = NULL, .size = 0};

/* Write the run, part 0 in as many as `boundary_count` + 1 pieces, and give its content hash. */
static struct tly_hash write_run(int64_t run, const struct tly_buffer *boundaries, uint32_t boundary_count,
                                 uint32_t slice_groups) {
  struct tly_run_piece pieces[8];
  const struct tly_run_piece *list[8];
  uint32_t count = 0;
  make_run_folder(run);
  for (uint32_t i = 0; i <= boundary_count; i++) {
    struct tly_text low = open_bound, high = open_bound;
    if (i > 0)
      low = (struct tly_text){.data = (const char *)boundaries[i - 1].data, .size = (uint32_t)boundaries[i - 1].size};
    if (i < boundary_count)
      high = (struct tly_text){.data = (const char *)boundaries[i].data, .size = (uint32_t)boundaries[i].size};
    write_piece(run, 0, i, boundary_count + 1, low, high, slice_groups, &pieces[count++]);
  }
  write_piece(run, 1, 0, 1, open_bound, open_bound, slice_groups, &pieces[count++]);
  for (uint32_t i = 0; i < count; i++)
    list[i] = &pieces[i];
  struct tly_hash hash = tly_run_content_hash(list, count);
  for (uint32_t i = 0; i < count; i++)
    tly_run_piece_free(&pieces[i]);
  return hash;
}

static void check_run(int64_t run) {
  tly_run_reader *reader;
  CHECK_OK(tly_run_reader_open(directory, run, program, &reader, &test_error));
  for (uint32_t part = 0; part < 2; part++) {
    tly_sorted_cursor *cursor = tly_sorted_cursor_new(all_groups[part], open_bound, open_bound);
    struct tly_group_source expected = tly_sorted_cursor_source(cursor), found;
    const struct tly_group_slice *left = NULL, *right = NULL;
    uint32_t left_row = 0, right_row = 0;
    uint64_t groups = 0;
    CHECK_OK(tly_run_reader_scan(reader, part, open_bound, open_bound, &found, &test_error));
    for (;; left_row++, right_row++, groups++) {
      if (left == NULL || left_row == left->count) {
        CHECK_OK(expected.next(expected.context, &left, &test_error));
        left_row = 0;
      }
      if (right == NULL || right_row == right->count) {
        CHECK_OK(found.next(found.context, &right, &test_error));
        right_row = 0;
      }
      if (left == NULL || right == NULL)
        break;
      assert_true(tly_text_equal(left->keys[left_row], right->keys[right_row]));
      assert_true(part > 0 || tly_states_equal(program, left->states, left_row, right->states, right_row));
    }
    assert_null(left);
    assert_null(right);
    assert_int_equal(groups, tly_run_reader_groups(reader, part));
    tly_run_reader_end_scan(reader, &found);
    tly_sorted_cursor_free(cursor);
  }
  tly_run_reader_close(reader);
}

static void what_is_written_is_read_again(void **state) {
  (void)state;
  write_run(1, NULL, 0, 1000);
  check_run(1);
}

static void content_does_not_depend_on_slices_or_pieces(void **state) {
  (void)state;
  struct tly_buffer boundaries[3] = {{0}}, key = {0};
  uint32_t count = 0;
  const char *near[] = {"a008000", "a014000", "a021000"};
  for (size_t i = 0; i < 3; i++) {
    bool found;
    CHECK_OK(
        tly_sorted_groups_chapter(all_groups[0], text_key(&key, near[i]), &boundaries[count], &found, &test_error));
    if (found && (count == 0 || boundaries[count].size != boundaries[count - 1].size ||
                  memcmp(boundaries[count].data, boundaries[count - 1].data, boundaries[count].size) != 0))
      count++;
  }
  assert_true(count >= 1); /* else the test says nothing */
  struct tly_hash whole = write_run(2, NULL, 0, 1000);
  struct tly_hash divided = write_run(3, boundaries, count, 1000);
  struct tly_hash in_small_slices = write_run(4, NULL, 0, 7);
  struct tly_hash in_odd_slices = write_run(5, boundaries, count, 513);
  assert_memory_equal(&whole, &divided, sizeof whole);
  assert_memory_equal(&whole, &in_small_slices, sizeof whole);
  assert_memory_equal(&whole, &in_odd_slices, sizeof whole);
  check_run(3);
  for (size_t i = 0; i < 3; i++)
    tly_buffer_free(&boundaries[i]);
  tly_buffer_free(&key);
}

static void one_more_group_changes_the_content_but_few_blocks(void **state) {
  (void)state;
  tly_run_reader *before, *after;
  tly_run_writer *writer;
  struct tly_run_piece piece;
  struct tly_buffer key = {0};
  write_run(6, NULL, 0, 1000);
  make_run_folder(7);
  write_piece(7, 1, 0, 1, open_bound, open_bound, 1000, &piece);
  tly_run_piece_free(&piece);
  CHECK_OK(tly_run_writer_open(run_folder(7), 7, program, 0, 0, 1, &writer, &test_error));
  append_range(writer, 0, open_bound, text_key(&key, "a010000"), 1000); /* all but one account */
  append_range(writer, 0, text_key(&key, "a010001"), open_bound, 1000);
  CHECK_OK(tly_run_writer_finish(writer, &piece, &test_error));
  tly_run_writer_close(writer);
  tly_run_piece_free(&piece);
  CHECK_OK(tly_run_reader_open(directory, 6, program, &before, &test_error));
  CHECK_OK(tly_run_reader_open(directory, 7, program, &after, &test_error));
  uint32_t same = 0, blocks = tly_run_reader_block_count(before, 0);
  for (uint32_t i = 0; i < blocks; i++) {
    struct tly_run_block block = tly_run_reader_block(before, 0, i);
    uint32_t place = tly_run_reader_find_block(after, 0, block.first_key);
    struct tly_run_block other = tly_run_reader_block(after, 0, place);
    same += memcmp(&block.checksum, &other.checksum, sizeof block.checksum) == 0;
  }
  assert_true(same < blocks);
  assert_true(same > blocks / 3); /* those of other chapters */
  tly_run_reader_close(before);
  tly_run_reader_close(after);
  tly_buffer_free(&key);
}

static void a_finished_file_is_read_only_and_has_its_hash(void **state) {
  (void)state;
  struct tly_run_piece piece;
  struct tly_hash hash;
  uint64_t bytes;
  struct stat status;
  char path[400];
  make_run_folder(8);
  write_piece(8, 0, 0, 1, open_bound, open_bound, 1000, &piece);
  assert_string_equal(piece.file, "totals.0.0.db");
  assert_int_equal(piece.groups, ACCOUNTS);
  snprintf(path, sizeof path, "%s/%s", run_folder(8), piece.file);
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0222, 0);
  assert_int_equal(piece.bytes, status.st_size);
  CHECK_OK(tly_run_hash_file(path, &hash, &bytes, &test_error));
  assert_memory_equal(&hash, &piece.file_hash, sizeof hash);
  tly_run_piece_free(&piece);
}

static void a_part_without_groups_is_a_file_without_blocks(void **state) {
  (void)state;
  struct tly_run_piece pieces[2];
  tly_run_reader *reader;
  tly_run_writer *writer;
  make_run_folder(9);
  for (uint32_t p = 0; p < 2; p++) {
    CHECK_OK(tly_run_writer_open(run_folder(9), 9, program, p, 0, 1, &writer, &test_error));
    CHECK_OK(tly_run_writer_finish(writer, &pieces[p], &test_error));
    tly_run_writer_close(writer);
    tly_run_piece_free(&pieces[p]);
  }
  CHECK_OK(tly_run_reader_open(directory, 9, program, &reader, &test_error));
  assert_int_equal(tly_run_reader_groups(reader, 0), 0);
  assert_int_equal(tly_run_reader_block_count(reader, 1), 0);
  tly_run_reader_close(reader);
}

static void blocks_with_large_keys_have_fewer_groups(void **state) {
  (void)state;
  enum { KEYS = 20, KEY_BYTES = 600 << 10 };
  struct tly_buffer line = {0};
  struct tly_run_piece piece;
  tly_run_writer *writer;
  tly_fold *fold = tly_fold_new(program);
  for (int i = 0; i < KEYS; i++) {
    tly_buffer_clear(&line);
    tly_buffer_print(&line, "{\"amount\":1,\"account\":\"%c", 'a' + i);
    memset(tly_buffer_reserve(&line, KEY_BYTES), 'x', KEY_BYTES);
    line.size += KEY_BYTES;
    tly_buffer_append_text(&line, "\"}\n");
    fold_lines(fold, program->view->stream, (const char *)line.data, line.size);
  }
  tly_sorted_groups *sorted = tly_sorted_groups_new(program, 0, NULL);
  CHECK_OK(tly_group_table_drain(tly_fold_part(fold, 0), 1000, tly_sorted_groups_append, sorted, &test_error));
  make_run_folder(10);
  CHECK_OK(tly_run_writer_open(run_folder(10), 10, program, 0, 0, 1, &writer, &test_error));
  tly_sorted_cursor *cursor = tly_sorted_cursor_new(sorted, open_bound, open_bound);
  struct tly_group_source source = tly_sorted_cursor_source(cursor);
  const struct tly_group_slice *slice;
  do {
    CHECK_OK(source.next(source.context, &slice, &test_error));
    if (slice != NULL)
      CHECK_OK(tly_run_writer_append(writer, slice, &test_error));
  } while (slice != NULL);
  CHECK_OK(tly_run_writer_finish(writer, &piece, &test_error));
  assert_int_equal(piece.groups, KEYS);
  assert_true(piece.checksums.size / TLY_HASH_BYTES >= KEYS * (size_t)KEY_BYTES / TLY_SLICE_BYTES_MAX);
  tly_run_writer_close(writer);
  tly_run_piece_free(&piece);
  tly_sorted_cursor_free(cursor);
  tly_sorted_groups_free(sorted);
  tly_fold_free(fold);
  tly_buffer_free(&line);
}

static void spilled_groups_are_the_groups_that_were_spilled(void **state) {
  (void)state;
  struct tly_spill_file spill = {.fd = -1};
  CHECK_OK(tly_spill_file_open(directory, &spill, &test_error));
  tly_sorted_groups *spilled = tly_sorted_groups_new(program, 0, &spill);
  tly_sorted_cursor *cursor = tly_sorted_cursor_new(all_groups[0], open_bound, open_bound);
  struct tly_group_source source = tly_sorted_cursor_source(cursor);
  const struct tly_group_slice *slice;
  do {
    CHECK_OK(source.next(source.context, &slice, &test_error));
    if (slice != NULL)
      CHECK_OK(tly_sorted_groups_append(spilled, slice, &test_error));
  } while (slice != NULL);
  tly_sorted_cursor_free(cursor);
  tly_sorted_groups *memory = all_groups[0];
  struct tly_hash expected = write_run(11, NULL, 0, 1000);
  all_groups[0] = spilled;
  struct tly_hash found = write_run(12, NULL, 0, 1000);
  all_groups[0] = memory;
  assert_memory_equal(&expected, &found, sizeof found);
  char **names;
  size_t count;
  CHECK_OK(tly_file_list(directory, "", &names, &count, &test_error));
  assert_int_equal(count, 1); /* the spill file has no name: "runs" is all there is */
  tly_file_list_free(names, count);
  tly_sorted_groups_free(spilled);
  tly_spill_file_close(&spill);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_is_read_again),
      cmocka_unit_test(content_does_not_depend_on_slices_or_pieces),
      cmocka_unit_test(one_more_group_changes_the_content_but_few_blocks),
      cmocka_unit_test(a_finished_file_is_read_only_and_has_its_hash),
      cmocka_unit_test(a_part_without_groups_is_a_file_without_blocks),
      cmocka_unit_test(blocks_with_large_keys_have_fewer_groups),
      cmocka_unit_test(spilled_groups_are_the_groups_that_were_spilled),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
