/* tests/batch_layer/test_partial.c -- a partial result is there whole, under the hash of what it says, or not at all.
 */
#include "tests/batch_layer/batch_fixture.h"

#include "batch_layer/partial.h"
#include "common/base/memory.h"

static const char definitions[] =
    "CREATE FOREIGN TABLE payments (account text, amount integer NOT NULL) SERVER embedded;"
    "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total,"
    " count(DISTINCT amount) AS amounts FROM payments GROUP BY account;";

static char directory[64];
static struct tly_project *project;
static struct tly_view_program *program;
static struct tly_arena arena;
static struct tly_log_range ranges[2];

static int set_up(void **state) {
  (void)state;
  strcpy(directory, "/tmp/tally_test_partial_XXXXXX");
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_sqlite_setup();
  tly_arena_init(&arena);
  project = parse_project(definitions);
  program = tly_view_program_new(&project->views[0]);
  ranges[0] = (struct tly_log_range){.partition = 1, .first_offset = 5, .next_offset = 7};
  ranges[1] = (struct tly_log_range){.partition = 2, .first_offset = 0, .next_offset = 2, .chain_after.bytes = {9}};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_view_program_free(program);
  tly_project_free(project);
  tly_arena_free(&arena);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static tly_fold *fold_some(void) {
  static const char lines[] = "{\"account\":\"a\",\"amount\":1}\n{\"account\":null,\"amount\":2}\n"
                              "{\"account\":\"a\",\"amount\":1}\n{\"account\":\"b\",\"amount\":3}\n";
  tly_fold *fold = tly_fold_new(program);
  fold_lines(fold, &project->streams[0], lines, sizeof lines - 1);
  return fold;
}

/* All parts, without an end. */
static tly_partial_writer *begin(uint32_t number) {
  tly_partial_writer *writer;
  tly_fold *fold = fold_some();
  CHECK_OK(tly_partial_open(directory, 3, number, program, &writer, &test_error));
  for (uint32_t p = 0; p < program->part_count; p++) {
    CHECK_OK(tly_partial_begin_part(writer, p, &test_error));
    CHECK_OK(tly_group_table_drain(tly_fold_part(fold, p), 100, tly_partial_append, writer, &test_error));
  }
  tly_fold_free(fold);
  return writer;
}

/* The name of one that was finished. */
static const char *keep(uint64_t events) {
  char *folder;
  struct tly_run_set_aside aside = {.partition = 1, .offset = 6, .sqlstate = "22012", .message = "division by zero"};
  struct tly_run_view_result view = {
      .folded = 3, .set_aside = 1, .drift = -1, .set_aside_listed = &aside, .set_aside_listed_count = 1};
  struct tly_run_result result = {
      .run = 3, .events = events, .ranges = ranges, .range_count = 2, .views = &view, .view_count = 1};
  tly_partial_writer *writer = begin(0);
  CHECK_OK(tly_partial_finish(writer, &result, &folder, &test_error));
  tly_partial_close(writer);
  const char *name = tly_arena_print(&arena, "%s", strrchr(folder, '/') + 1);
  tly_free(folder);
  return name;
}

static size_t count_names(void) {
  char **names;
  size_t count;
  CHECK_OK(tly_partial_list(directory, &names, &count, &test_error));
  tly_file_list_free(names, count);
  return count;
}

static void what_was_written_is_read_again(void **state) {
  (void)state;
  struct tly_run_result result;
  const char *folder;
  tly_run_reader *reader;
  assert_int_equal(count_names(), 0); /* before there is a folder for them */
  const char *name = keep(4);
  assert_int_equal(count_names(), 1);
  CHECK_OK(tly_partial_verify(directory, name, &arena, &result, &folder, &test_error));
  assert_int_equal(result.run, 3);
  assert_int_equal(result.range_count, 2);
  assert_memory_equal(&result.ranges[1].chain_after, &ranges[1].chain_after, TLY_HASH_BYTES);
  assert_int_equal(result.ranges[0].first_offset, 5);
  assert_string_equal(result.views[0].view, "totals");
  assert_memory_equal(&result.views[0].definition_hash, &program->view->hash, TLY_HASH_BYTES);
  assert_int_equal(result.views[0].groups, 3);
  assert_int_equal(result.views[0].file_count, 2);
  assert_string_equal(result.views[0].set_aside_listed[0].message, "division by zero");
  CHECK_OK(tly_run_reader_open_folder(folder, 3, program, &reader, &test_error));
  assert_int_equal(tly_run_reader_groups(reader, 0), 3);
  assert_int_equal(tly_run_reader_groups(reader, 1), 3);
  tly_run_reader_close(reader);
}

static void other_content_has_another_name_and_the_same_has_the_same(void **state) {
  (void)state;
  const char *first = keep(4), *again = keep(4), *other = keep(5);
  assert_string_equal(first, again);
  assert_string_not_equal(first, other);
  assert_int_equal(count_names(), 2);
  CHECK_OK(tly_partial_remove(directory, first, &test_error));
  assert_int_equal(count_names(), 1);
}

static void one_that_was_given_up_leaves_nothing(void **state) {
  (void)state;
  tly_partial_writer *writer = begin(0);
  assert_int_equal(count_names(), 1); /* under a name that nobody reads */
  tly_partial_close(writer);
  assert_int_equal(count_names(), 0);
}

static void one_that_was_not_finished_is_none(void **state) {
  (void)state;
  struct tly_run_result result;
  tly_partial_writer *writer = begin(7);
  assert_int_equal(tly_partial_read(directory, "new-7", &arena, &result, &test_error), TLY_E_CORRUPT);
  tly_partial_close(writer);
}

static void a_damaged_file_or_manifest_shows(void **state) {
  (void)state;
  struct tly_run_result result;
  const char *folder, *name = keep(4);
  CHECK_OK(tly_partial_verify(directory, name, &arena, &result, &folder, &test_error));
  const char *file = tly_arena_print(&arena, "%s/%s", folder, result.views[0].files[1].name);
  CHECK_OK(tly_file_replace(file, "x", 1, &test_error));
  CHECK_OK(tly_partial_read(directory, name, &arena, &result, &test_error)); /* of the manifest alone */
  assert_int_equal(tly_partial_verify(directory, name, &arena, &result, &folder, &test_error), TLY_E_CORRUPT);
  assert_non_null(strstr(test_error.message, "totals.1.0.db"));
  CHECK_OK(tly_file_replace(tly_arena_print(&arena, "%s/manifest.json", folder), "{}", 2, &test_error));
  assert_int_equal(tly_partial_read(directory, name, &arena, &result, &test_error), TLY_E_CORRUPT);
}

static void one_under_a_foreign_name_is_none(void **state) {
  (void)state;
  struct tly_run_result result;
  const char *name = keep(4), *other = "00112233445566778899aabbccddeeff";
  assert_int_equal(rename(tly_arena_print(&arena, "%s/partials/%s", directory, name),
                          tly_arena_print(&arena, "%s/partials/%s", directory, other)),
                   0);
  assert_int_equal(tly_partial_read(directory, other, &arena, &result, &test_error), TLY_E_CORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_was_written_is_read_again),       TEST(other_content_has_another_name_and_the_same_has_the_same),
      TEST(one_that_was_given_up_leaves_nothing), TEST(one_that_was_not_finished_is_none),
      TEST(a_damaged_file_or_manifest_shows),     TEST(one_under_a_foreign_name_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
