/* The archive as a table: events of a stream asked in SQL, over real archive files, active and sealed. */
#include "tests/serving_layer/fixture.h"
#include "tests/support/archive_fixture.h"

#include "serving_layer/store_source.h"

/* Partition 0 has the events 0 .. 2999 in three blocks, partition 2 the events 0 .. 999 in one. Of an event n with a
 * time, that is n minutes after 2026-03-01 00:00, but for the odd ones of archive_fixture_event. */
static struct archive_fixture archive;
static struct tly_programs *programs;
static tly_store_source *source;

static int set_up(void **state) {
  (void)state;
  tly_memory_setup();
  archive_fixture_init(&archive, archive_fixture_definition);
  archive_fixture_open(&archive);
  for (uint64_t first = 0; first < 3000; first += 1000)
    assert_int_equal(archive_fixture_append(&archive, 0, first, 1000, NULL), TLY_OK);
  assert_int_equal(archive_fixture_append(&archive, 2, 0, 1000, NULL), TLY_OK);
  programs = tly_programs_new(archive.project);
  source = tly_store_source_new(archive.directory, programs);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_store_source_free(source);
  tly_programs_free(programs);
  archive_fixture_free(&archive);
  return 0;
}

static enum tly_status ask(const char *sql, const char *const *parameters, struct fixture_answer *answer) {
  struct tly_source seam = tly_store_source_of(source);
  struct tly_control control;
  tly_control_init(&control, 10000, 64 << 20);
  enum tly_status status = fixture_query_source(&seam, programs, sql, parameters, &control, answer);
  for (size_t i = 0; i < answer->text.size; i++) {
    uint8_t *byte = &answer->text.data[i];
    *byte = *byte == 0x1f ? '|' : *byte == 0x1e ? '/' : *byte == 2 ? '~' : *byte;
  }
  return status;
}

static void check_with(const char *sql, const char *const *parameters, const char *wanted) {
  struct fixture_answer answer;
  if (ask(sql, parameters, &answer) != TLY_OK)
    fail_msg("%s: %s", sql, answer.error.message);
  if (strcmp(tly_buffer_text(&answer.text), wanted) != 0)
    fail_msg("%s: %s, not %s", sql, tly_buffer_text(&answer.text), wanted);
  fixture_answer_free(&answer);
}

static void check(const char *sql, const char *wanted) {
  check_with(sql, NULL, wanted);
}

static void check_ranges(void) {
  check("SELECT count(*), count(at), sum(_offset) FROM payments", "4000|3293|4998000|/");
  check("SELECT _partition, count(*), min(_offset), max(_offset) FROM payments GROUP BY 1 ORDER BY 1",
        "0|3000|0|2999|/2|1000|0|999|/");
  check("SELECT payment_id, amount, note FROM payments WHERE _offset = 1200", "p-00001200|200.00|n0|/");
  check("SELECT _partition, payment_id FROM payments WHERE _offset = 1 ORDER BY 1", "0|p-00000001|/2|p-00000001|/");
  check("SELECT count(*) FROM payments WHERE _offset >= 998 AND _offset < 1002", "6|/");
  check("SELECT count(*) FROM payments WHERE _offset > 998 AND _offset <= 1002 AND _partition = 0", "4|/");
  check("SELECT count(*) FROM payments WHERE _partition = 1", "0|/");
  check("SELECT count(*) FROM payments WHERE _offset < 0 OR _offset > 99999", "0|/");
  check("SELECT count(*) FROM payments WHERE _offset = 9223372036854775807", "0|/");
}

static void check_times(void) {
  check("SELECT payment_id FROM payments WHERE at = '2026-03-01 16:42:00Z' AND _partition = 0", "p-00001002|/");
  check("SELECT count(*), min(_offset), max(_offset) FROM payments"
        " WHERE at >= '2026-03-02 00:00Z' AND at < '2026-03-02 01:00Z'",
        "46|1440|1498|/");
  check("SELECT count(*) FROM payments WHERE at < '2026-01-01'", "0|/");
  check("SELECT count(*) FROM payments WHERE at > '2027-01-01' OR at IS NULL", "707|/");
  check("SELECT count(*) FROM payments WHERE at = NULL", "0|/");
}

static void ranges_of_positions_are_exact(void **state) {
  (void)state;
  check_ranges();
}

static void ranges_of_event_time_are_exact(void **state) {
  (void)state;
  check_times();
}

/* What the scan gives before anybody looks at an event: those of the blocks that may have some in the range. */
static uint32_t count_given(const struct tly_stream_range *range) {
  struct tly_source seam = tly_store_source_of(source);
  struct tly_stream_use use = {.stream = archive.stream};
  struct tly_control control;
  struct tly_arena arena;
  tly_stream_scan *scan;
  bool wanted[TLY_COLUMNS_MAX] = {false}, has_event = true;
  uint32_t given = 0;
  tly_arena_init(&arena);
  tly_control_init(&control, 10000, 64 << 20);
  assert_int_equal(seam.heads(seam.context, &arena, &use.heads, &use.head_count, NULL), TLY_OK);
  assert_int_equal(tly_stream_scan_open(&use, &seam, &control, range, wanted, &scan, NULL), TLY_OK);
  while (tly_stream_scan_next(scan, &has_event, NULL) == TLY_OK && has_event)
    given++;
  tly_stream_scan_close(scan);
  tly_arena_free(&arena);
  return given;
}

static void blocks_outside_of_the_range_are_not_decoded(void **state) {
  struct tly_stream_range range = tly_stream_range_all();
  (void)state;
  assert_int_equal(count_given(&range), 4000);
  tly_stream_range_time(&range, '<',
                        INT64_C(1772323200000000) + 60000000); /* the first minute: the first block of each */
  assert_int_equal(count_given(&range), 2000);
  tly_stream_range_partition(&range, '=', 2);
  assert_int_equal(count_given(&range), 1000);
  tly_stream_range_offset(&range, 'l', 9);
  assert_int_equal(count_given(&range), 10);
  tly_stream_range_time(&range, '<', 0);
  assert_int_equal(count_given(&range), 0);
}

static void parameters_narrow_a_scan_as_constants_do(void **state) {
  static const char *const range[] = {"998", "1001"}, *const none[] = {NULL, "5"};
  (void)state;
  check_with("SELECT count(*) FROM payments WHERE _offset BETWEEN $1 AND $2", range, "6|/");
  check_with("SELECT count(*) FROM payments WHERE _offset BETWEEN $1 AND $2", none, "0|/");
}

static void positions_are_named_and_not_starred(void **state) {
  struct fixture_answer answer;
  (void)state;
  check("SELECT * FROM payments p WHERE _offset = 1 AND _partition = 0",
        "p-00000001|A-419|1.01|n1|~|~|~|2026-03-01 00:01:00+00|/");
  check("SELECT p.*, p._offset FROM payments AS p WHERE p._offset = 13 AND p._partition = 0",
        "|~|13.00|~|1e-300|~|~|~|13|/");
  assert_int_equal(ask("SELECT nothing FROM payments", NULL, &answer), TLY_E_UNDEFINED_COLUMN);
  fixture_answer_free(&answer);
}

static void a_stream_joins_with_itself_and_with_what_is_known_of_it(void **state) {
  (void)state;
  check("SELECT count(*) FROM payments a JOIN payments b ON a._offset = b._offset AND a.payment_id = b.payment_id"
        " WHERE a._partition = 0 AND b._partition = 2",
        "1000|/");
  check("SELECT p._partition, t.archived - count(*) FROM payments p JOIN tally.partitions t"
        " ON t.partition = p._partition GROUP BY 1, t.archived ORDER BY 1",
        "0|0|/2|0|/");
}

static void the_answer_says_where_the_archive_ended(void **state) {
  struct fixture_answer answer;
  (void)state;
  assert_int_equal(ask("SELECT 1 FROM payments a, payments b LIMIT 1", NULL, &answer), TLY_OK);
  assert_string_equal(tly_buffer_text(&answer.as_of), "{\"archive\":{\"payments\":[3000,0,1000]}}");
  fixture_answer_free(&answer);
}

/* Sealing rewrites all blocks into larger ones: nothing changes for who asks. */
static void sealed_files_give_the_same_rows(void **state) {
  (void)state;
  archive_fixture_seal(&archive, true);
  check_ranges();
  check_times();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ranges_of_positions_are_exact),
      cmocka_unit_test(ranges_of_event_time_are_exact),
      cmocka_unit_test(blocks_outside_of_the_range_are_not_decoded),
      cmocka_unit_test(parameters_narrow_a_scan_as_constants_do),
      cmocka_unit_test(positions_are_named_and_not_starred),
      cmocka_unit_test(a_stream_joins_with_itself_and_with_what_is_known_of_it),
      cmocka_unit_test(the_answer_says_where_the_archive_ended),
      cmocka_unit_test(sealed_files_give_the_same_rows),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
