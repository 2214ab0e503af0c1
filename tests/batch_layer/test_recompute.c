/* tests/batch_layer/test_recompute.c -- a run is the fold of exactly the events below its cut, however it was computed.
 */
#include "tests/batch_layer/batch_fixture.h"

static const char definitions[] =
    "CREATE FOREIGN TABLE payments (account text NOT NULL, amount numeric(18,2) NOT NULL, items integer NOT NULL,"
    " weight double precision, status text) SERVER embedded;"
    "CREATE FOREIGN TABLE visits (page text NOT NULL) SERVER embedded;"
    "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total, min(status) AS least,"
    " sum(weight) AS weight, count(DISTINCT status) AS kinds FROM payments WHERE status <> 'failed' GROUP BY account;"
    "CREATE MATERIALIZED VIEW each_price AS SELECT status, sum(amount / items) AS price FROM payments GROUP BY status;"
    "CREATE MATERIALIZED VIEW everything AS SELECT count(*) AS n FROM visits;"
    /* keys that have no ranks of 64 bits: folds are drained and merged by encoded keys */
    "CREATE MATERIALIZED VIEW wide AS SELECT weight, amount, account, count(*) AS n, max(status) AS most FROM payments"
    " GROUP BY weight, amount, account;";

enum { BLOCKS = 80, BLOCK_EVENTS = 600, ACCOUNTS = 40000, PARTITIONS = 3 };

static char directory[] = "/tmp/tally_test_recompute_XXXXXX";
static struct tly_project *project;
static const struct tly_stream *payments, *visits;
static tly_archive_writer *writer;
static struct tly_arena arena;
static struct tly_cut first_cut, second_cut;
static struct tly_buffer below_first, below_second; /* the payments below each cut */

/* Payments `from` .. `from` + count - 1, the same whenever they are asked for. */
static void print_payments(struct tly_buffer *lines, int from, int count) {
  static const char *statuses[] = {"\"paid\"", "\"failed\"", "null", "\"refunded\""};
  for (int i = from; i < from + count; i++) {
    uint32_t mixed = (uint32_t)i * 2654435761u;
    tly_buffer_print(lines, "{\"account\":\"a%05u\",\"amount\":%u.%02u,\"items\":%u,\"weight\":%u.1,\"status\":%s}\n",
                     mixed % ACCOUNTS, mixed % 977, mixed % 100, i % 5000 == 17 ? 0 : mixed % 7 + 1, mixed % 13,
                     statuses[mixed >> 20 & 3]);
  }
}

static void append_payments(int block, struct tly_buffer *seen, struct tly_buffer *seen_too) {
  struct tly_buffer lines = {0};
  print_payments(&lines, block * BLOCK_EVENTS, BLOCK_EVENTS);
  append_lines(writer, payments, (uint32_t)block % PARTITIONS, &lines);
  tly_buffer_append(seen, lines.data, lines.size);
  if (seen_too != NULL)
    tly_buffer_append(seen_too, lines.data, lines.size);
  tly_buffer_free(&lines);
}

static void append_visits(int count) {
  struct tly_buffer lines = {0};
  for (int i = 0; i < count; i++)
    tly_buffer_append_text(&lines, "{\"page\":\"/\"}\n");
  append_lines(writer, visits, 0, &lines);
  tly_buffer_free(&lines);
}

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_sqlite_setup();
  tly_arena_init(&arena);
  project = parse_project(definitions);
  payments = tly_project_stream(project, "payments");
  visits = tly_project_stream(project, "visits");
  CHECK_OK(tly_archive_writer_open(directory, project, &tly_clock_real, &writer, &test_error));
  for (int block = 0; block < BLOCKS / 2; block++)
    append_payments(block, &below_first, &below_second);
  append_visits(10);
  make_cut(writer, project, &arena, &first_cut);
  for (int block = BLOCKS / 2; block < BLOCKS; block++)
    append_payments(block, &below_second, NULL);
  append_visits(5);
  make_cut(writer, project, &arena, &second_cut);
  append_visits(1); /* above all cuts */
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_archive_writer_close(writer);
  tly_buffer_free(&below_first);
  tly_buffer_free(&below_second);
  tly_project_free(project);
  tly_arena_free(&arena);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static enum tly_status recompute(const struct tly_cut *cut, uint32_t threads, size_t bytes_max,
                                 struct tly_run_result *result) {
  static const struct tly_view *views[4];
  for (uint32_t v = 0; v < project->view_count; v++)
    views[v] = &project->views[v];
  char folder[300];
  snprintf(folder, sizeof folder, "%s/runs/%" PRId64, directory, cut->number);
  CHECK_OK(tly_file_remove_tree(folder, &test_error));
  make_run_folder(directory, cut->number);
  struct tly_recompute_job job = {.directory = directory,
                                  .project = project,
                                  .cut = cut,
                                  .views = views,
                                  .view_count = project->view_count,
                                  .is_full = true,
                                  .threads = threads,
                                  .group_bytes_max = bytes_max};
  return tly_recompute(&job, &arena, result, &test_error);
}

static void check_view(int64_t run, const char *name, const struct tly_buffer *events) {
  struct tly_view_program *program = tly_view_program_new(tly_project_view(project, name));
  tly_fold *fold = tly_fold_new(program);
  fold_lines(fold, payments, (const char *)events->data, events->size);
  assert_int_equal(differing_groups(directory, run, program, fold), 0);
  tly_fold_free(fold);
  tly_view_program_free(program);
}

static void a_run_is_the_fold_of_the_events_below_its_cut(void **state) {
  (void)state;
  struct tly_run_result result;
  CHECK_OK(recompute(&first_cut, 2, TLY_RECOMPUTE_BYTES, &result));
  check_view(first_cut.number, "totals", &below_first);
  check_view(first_cut.number, "each_price", &below_first);
  assert_int_equal(result.run, first_cut.number);
  assert_int_equal(result.events, BLOCKS / 2 * BLOCK_EVENTS + 10);
  CHECK_OK(recompute(&second_cut, 2, TLY_RECOMPUTE_BYTES, &result));
  check_view(second_cut.number, "totals", &below_second);
  assert_int_equal(result.events, BLOCKS * BLOCK_EVENTS + 15);
}

static void every_event_read_is_folded_filtered_or_set_aside(void **state) {
  (void)state;
  struct tly_run_result result;
  CHECK_OK(recompute(&second_cut, 2, TLY_RECOMPUTE_BYTES, &result));
  for (uint32_t v = 0; v < result.view_count; v++) {
    uint64_t events = strcmp(result.views[v].view, "everything") == 0 ? 15 : BLOCKS * BLOCK_EVENTS;
    assert_int_equal(result.views[v].folded + result.views[v].filtered + result.views[v].set_aside, events);
  }
  assert_true(result.views[0].filtered > 0);
}

static void events_on_which_a_view_raises_are_listed_by_position(void **state) {
  (void)state;
  struct tly_run_result result;
  CHECK_OK(recompute(&second_cut, 2, TLY_RECOMPUTE_BYTES, &result));
  const struct tly_run_view_result *prices = &result.views[1];
  assert_string_equal(prices->view, "each_price");
  assert_int_equal(prices->set_aside, (BLOCKS * BLOCK_EVENTS + 4999 - 17) / 5000);
  assert_int_equal(prices->set_aside_listed_count, prices->set_aside);
  assert_int_equal(prices->set_aside_listed[0].partition, 0);
  assert_int_equal(prices->set_aside_listed[0].offset, 17);
  for (uint32_t i = 0; i < prices->set_aside_listed_count; i++)
    assert_string_equal(prices->set_aside_listed[i].sqlstate, "22012");
  assert_int_equal(result.views[0].set_aside, 0);
}

/* Invariant 6. */
static void content_is_the_same_for_any_threads_and_memory(void **state) {
  (void)state;
  static const struct {
    uint32_t threads;
    size_t bytes_max;
  } cases[] = {{1, TLY_RECOMPUTE_BYTES},
               {1, TLY_RECOMPUTE_BYTES},
               {2, TLY_RECOMPUTE_BYTES},
               {2, TLY_RECOMPUTE_BYTES},
               {5, TLY_RECOMPUTE_BYTES},
               {1, 1 << 20},
               {3, 1 << 20},
               {1, 1},
               {2, 1},
               {16, 4 << 20}};
  struct tly_run_result first, result;
  CHECK_OK(recompute(&second_cut, cases[0].threads, cases[0].bytes_max, &first));
  for (size_t i = 1; i < sizeof cases / sizeof *cases; i++) {
    CHECK_OK(recompute(&second_cut, cases[i].threads, cases[i].bytes_max, &result));
    for (uint32_t v = 0; v < project->view_count; v++) {
      assert_memory_equal(&first.views[v].content_hash, &result.views[v].content_hash, TLY_HASH_BYTES);
      assert_int_equal(first.views[v].groups, result.views[v].groups);
      assert_int_equal(first.views[v].set_aside_listed_count, result.views[v].set_aside_listed_count);
    }
    check_view(second_cut.number, "totals", &below_second);
    check_view(second_cut.number, "wide", &below_second);
  }
}

static void the_manifest_says_what_was_found(void **state) {
  (void)state;
  struct tly_run_result result, read;
  struct tly_hash hash, wrong;
  char folder[300], file[700];
  CHECK_OK(recompute(&first_cut, 2, TLY_RECOMPUTE_BYTES, &result));
  result.note = "a note";
  result.views[0].drift = 1;
  result.views[0].drift_listed_count = 1;
  result.views[0].drift_listed = &(struct tly_run_drift){.key = "[\"a\"]", .live = NULL, .recomputed = "{\"n\":1}"};
  snprintf(folder, sizeof folder, "%s/runs/%" PRId64, directory, first_cut.number);
  CHECK_OK(tly_manifest_write(folder, &result, &hash, &test_error));
  CHECK_OK(tly_manifest_read(folder, &hash, &arena, &read, &test_error));
  assert_int_equal(read.run, first_cut.number);
  assert_int_equal(read.events, result.events);
  assert_string_equal(read.note, "a note");
  assert_int_equal(read.position_count, first_cut.position_count);
  assert_int_equal(read.view_count, 4);
  assert_memory_equal(&read.views[1].content_hash, &result.views[1].content_hash, TLY_HASH_BYTES);
  assert_int_equal(read.views[1].set_aside, result.views[1].set_aside);
  assert_string_equal(read.views[1].set_aside_listed[0].sqlstate, "22012");
  assert_null(read.views[0].drift_listed[0].live);
  assert_int_equal(tly_run_result_drift(&read), 1);
  wrong = hash;
  wrong.bytes[3] ^= 1;
  assert_int_equal(tly_manifest_read(folder, &wrong, &arena, &read, NULL), TLY_E_CORRUPT);
  snprintf(file, sizeof file, "%s/%s", folder, result.views[0].files[0].name);
  CHECK_OK(tly_file_replace(file, "x", 1, &test_error));
  assert_int_equal(tly_manifest_read(folder, &hash, &arena, &read, NULL), TLY_E_CORRUPT);
}

static void an_archive_that_is_not_what_the_cut_says_fails_the_run(void **state) {
  (void)state;
  struct tly_run_result result;
  struct tly_cut cut = second_cut;
  struct tly_position positions[8];
  memcpy(positions, second_cut.positions, second_cut.position_count * sizeof *positions);
  cut.positions = positions;
  positions[0].chain.bytes[5] ^= 1;
  assert_int_equal(recompute(&cut, 2, TLY_RECOMPUTE_BYTES, &result), TLY_E_CORRUPT);
  assert_non_null(strstr(test_error.message, "payments"));
  positions[0].chain.bytes[5] ^= 1;
  positions[0].next_offset++; /* a lost tail: the chain alone cannot show it */
  assert_int_equal(recompute(&cut, 2, TLY_RECOMPUTE_BYTES, &result), TLY_E_CORRUPT);
}

static void a_view_over_no_events_has_a_run_too(void **state) {
  (void)state;
  struct tly_run_result result;
  struct tly_cut cut = {.number = 999};
  CHECK_OK(recompute(&cut, 2, TLY_RECOMPUTE_BYTES, &result));
  assert_int_equal(result.events, 0);
  assert_int_equal(result.views[0].groups, 0);
  assert_int_equal(result.views[0].file_count, 2); /* groups and distinct values */
}

static void a_sealed_archive_gives_the_same_content(void **state) {
  (void)state;
  struct tly_run_result active, sealed;
  CHECK_OK(recompute(&second_cut, 2, TLY_RECOMPUTE_BYTES, &active));
  seal_stream(writer, directory, payments);
  CHECK_OK(recompute(&second_cut, 2, TLY_RECOMPUTE_BYTES, &sealed));
  for (uint32_t v = 0; v < project->view_count; v++)
    assert_memory_equal(&active.views[v].content_hash, &sealed.views[v].content_hash, TLY_HASH_BYTES);
  CHECK_OK(recompute(&first_cut, 2, TLY_RECOMPUTE_BYTES, &sealed)); /* generations are never merged */
  check_view(first_cut.number, "totals", &below_first);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_is_the_fold_of_the_events_below_its_cut),
      cmocka_unit_test(every_event_read_is_folded_filtered_or_set_aside),
      cmocka_unit_test(events_on_which_a_view_raises_are_listed_by_position),
      cmocka_unit_test(content_is_the_same_for_any_threads_and_memory),
      cmocka_unit_test(the_manifest_says_what_was_found),
      cmocka_unit_test(an_archive_that_is_not_what_the_cut_says_fails_the_run),
      cmocka_unit_test(a_view_over_no_events_has_a_run_too),
      cmocka_unit_test(a_sealed_archive_gives_the_same_content),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
