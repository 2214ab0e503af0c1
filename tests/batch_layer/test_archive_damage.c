/* tests/batch_layer/test_archive_damage.c -- every flipped bit of a block is found before it reaches an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/archive/segment.h"
#include "common/archive/verify.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "tests/support/archive_fixture.h"

enum { EVENTS = 12 };

static int set_up(void **state) {
  struct archive_fixture *fixture = malloc(sizeof *fixture);
  struct tly_error error = TLY_ERROR_NONE;
  archive_fixture_init(fixture, archive_fixture_definition);
  archive_fixture_open(fixture);
  for (uint64_t i = 0; i < 3; i++)
    if (archive_fixture_append(fixture, 0, i * EVENTS, EVENTS, &error) != TLY_OK)
      fail_msg("append: %s", error.message);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  archive_fixture_free(*state);
  free(*state);
  return 0;
}

/* A connection that changes what is stored behind the archive's back. */
static sqlite3 *vandal(const struct archive_fixture *fixture, int64_t number) {
  sqlite3 *database;
  char *path = tly_archive_file_path(fixture->directory, fixture->stream->name, number, "");
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  tly_free(path);
  return database;
}

/* Read everything of partition 0 as recompute does (from the start to an end it knows): true when that works. */
static bool reads_to_the_end(const struct archive_fixture *fixture, tly_archive_reader *reader,
                             struct tly_event_batch *batch) {
  struct tly_arena arena;
  struct tly_block_ref *refs;
  uint32_t count;
  int64_t next = 0;
  tly_arena_init(&arena);
  bool good = tly_archive_reader_blocks(reader, fixture->stream, 0, 0, 1, 100, &arena, &refs, &count, NULL) == TLY_OK;
  for (uint32_t i = 0; i < count && good; i++) {
    good = tly_archive_reader_read(reader, fixture->stream, &refs[i], NULL, true, batch, NULL) == TLY_OK;
    next = refs[i].first_offset + refs[i].event_count;
  }
  tly_arena_free(&arena);
  return good && next == INT64_C(3) * EVENTS;
}

/* False when a constraint refuses the change: then there is no damage. */
static bool flip_column(sqlite3 *database, const char *column, long bit) {
  sqlite3_stmt *row;
  char sql[128];
  snprintf(sql, sizeof sql, "SELECT %s FROM block WHERE id = 2", column);
  assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &row, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(row), SQLITE_ROW);
  sqlite3_stmt *change;
  snprintf(sql, sizeof sql, "UPDATE block SET %s = ?1 WHERE id = 2", column);
  assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &change, NULL), SQLITE_OK);
  if (sqlite3_column_type(row, 0) == SQLITE_BLOB) {
    size_t size = (size_t)sqlite3_column_bytes(row, 0);
    uint8_t *bytes = malloc(size);
    memcpy(bytes, sqlite3_column_blob(row, 0), size);
    bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    sqlite3_bind_blob(change, 1, bytes, (int)size, free);
  } else {
    sqlite3_bind_int64(change, 1, (int64_t)((uint64_t)sqlite3_column_int64(row, 0) ^ (UINT64_C(1) << bit)));
  }
  sqlite3_finalize(row);
  bool done = sqlite3_step(change) == SQLITE_DONE;
  sqlite3_finalize(change);
  return done;
}

static long bits_of(sqlite3 *database, const char *column) {
  sqlite3_stmt *row;
  char sql[128];
  snprintf(sql, sizeof sql, "SELECT typeof(%s) = 'blob', length(%s) FROM block WHERE id = 2", column, column);
  assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &row, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(row), SQLITE_ROW);
  long bits = sqlite3_column_int(row, 0) != 0 ? 8L * sqlite3_column_int(row, 1) : 64;
  sqlite3_finalize(row);
  return bits;
}

static void every_flipped_bit_of_a_block_is_found(void **state) {
  struct archive_fixture *fixture = *state;
  static const char *const columns[] = {"partition", "generation",   "first_offset",  "event_count",  "appended_at",
                                        "time_min",  "time_max",     "payload_bytes", "chain_before", "chain_after",
                                        "checksum",  "raw_checksum", "columns",       "raw"};
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_event_batch batch;
  tly_archive_reader *reader;
  long step = getenv("TALLY_LONG") != NULL ? 1 : 5, flips = 0;
  archive_fixture_close(fixture);
  sqlite3 *database = vandal(fixture, 1);
  tly_event_batch_init(&batch, fixture->stream);
  assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
  assert_true(reads_to_the_end(fixture, reader, &batch));
  for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
    long bits = bits_of(database, columns[c]);
    for (long bit = 0; bit<bits; bit += bits> 128 ? step : 1) {
      if (!flip_column(database, columns[c], bit))
        continue;
      if (reads_to_the_end(fixture, reader, &batch))
        fail_msg("bit %ld of %s was not found", bit, columns[c]);
      assert_true(flip_column(database, columns[c], bit));
      flips++;
    }
    assert_true(reads_to_the_end(fixture, reader, &batch));
  }
  print_message("%ld flips\n", flips);
  tly_archive_reader_close(reader);
  tly_event_batch_free(&batch);
  sqlite3_close(database);
  archive_fixture_open(fixture);
}

/* Flip a bit of the sealed file itself and read all of it: what is read must be right, or nothing is. */
static void flipped_bits_of_a_sealed_file_never_give_other_events(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_event_batch batch;
  archive_fixture_seal(fixture, true);
  archive_fixture_close(fixture);
  char *path = tly_archive_file_path(fixture->directory, fixture->stream->name, 3, "");
  assert_int_equal(chmod(path, 0644), 0);
  int fd = open(path, O_RDWR);
  assert_true(fd >= 0);
  int64_t size = tly_file_size(path);
  long found = 0, flips = getenv("TALLY_LONG") != NULL ? 200000 : 500;
  uint64_t random = 7;
  tly_event_batch_init(&batch, fixture->stream);
  for (long i = 0; i < flips; i++) {
    tly_archive_reader *reader;
    uint8_t byte;
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
    off_t at = (off_t)((random >> 20) % (uint64_t)size);
    uint8_t mask = (uint8_t)(1 << (random >> 60 & 7));
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    bool good = false;
    if (tly_archive_reader_open(fixture->directory, fixture->project, &reader, NULL) == TLY_OK) {
      good = reads_to_the_end(fixture, reader, &batch);
      tly_archive_reader_close(reader);
    }
    if (good) /* it must have hit what nobody reads: then all events are the right ones */
      assert_int_equal(archive_fixture_check(fixture, 0), 3 * EVENTS);
    else
      found++;
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
  }
  print_message("%ld of %ld flips were in what is read, and found\n", found, flips);
  assert_true(found > flips / 100);
  close(fd);
  tly_free(path);
  tly_event_batch_free(&batch);
  assert_int_equal(archive_fixture_check(fixture, 0), 3 * EVENTS);
}

static uint32_t damages(const struct archive_fixture *fixture, struct tly_arena *arena, const char *words) {
  struct tly_verify_report report;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_archive_verify(fixture->directory, fixture->project, NULL, NULL, arena, &report, &error) != TLY_OK)
    fail_msg("verify: %s", error.message);
  bool found = words == NULL;
  for (uint32_t i = 0; i < report.damage_count; i++)
    found = found || strstr(report.damages[i].message, words) != NULL;
  if (!found)
    fail_msg("no damage says \"%s\"", words);
  return report.damage_count;
}

static void change(const struct archive_fixture *fixture, int64_t number, const char *sql) {
  sqlite3 *database = vandal(fixture, number);
  if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
    fail_msg("%s: %s", sql, sqlite3_errmsg(database));
  sqlite3_close(database);
}

static void verify_names_what_is_missing_swapped_or_cut_off(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_arena arena;
  struct tly_cut cut;
  struct tly_error error = TLY_ERROR_NONE;
  tly_arena_init(&arena);
  assert_int_equal(tly_archive_writer_cut(fixture->writer, NULL, 0, &arena, &cut, &error), TLY_OK);
  archive_fixture_close(fixture);
  assert_int_equal(damages(fixture, &arena, NULL), 0);
  change(fixture, 1, "CREATE TABLE kept AS SELECT * FROM block");
  change(fixture, 1, "DELETE FROM block WHERE id = 2");
  assert_true(damages(fixture, &arena, "does not continue") > 0);
  change(fixture, 1, "INSERT INTO block SELECT * FROM kept WHERE id = 2");
  assert_int_equal(damages(fixture, &arena, NULL), 0);
  change(fixture, 1, "DELETE FROM block WHERE id = 3"); /* the tail: only the cut knows */
  assert_true(damages(fixture, &arena, "before cut 1 are missing") > 0);
  assert_int_equal(
      tly_archive_writer_open(fixture->directory, fixture->project, &tly_clock_real, &fixture->writer, &error),
      TLY_E_CORRUPT); /* and nothing is appended where events are missing */
  change(fixture, 1, "INSERT INTO block SELECT * FROM kept WHERE id = 3");
  change(fixture, 1,
         "UPDATE block SET raw = (SELECT raw FROM kept WHERE id = 1), raw_checksum = "
         "(SELECT raw_checksum FROM kept WHERE id = 1) WHERE id = 2");
  assert_true(damages(fixture, &arena, "checksum") > 0);
  change(fixture, 1,
         "UPDATE block SET raw = (SELECT raw FROM kept WHERE id = 2), raw_checksum = "
         "(SELECT raw_checksum FROM kept WHERE id = 2) WHERE id = 2");
  change(fixture, 1, "UPDATE dictionary SET entries = zeroblob(length(entries)) WHERE first_code = 0");
  assert_true(damages(fixture, &arena, "dictionary") > 0);
  tly_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_flipped_bit_of_a_block_is_found, set_up, tear_down),
      cmocka_unit_test_setup_teardown(flipped_bits_of_a_sealed_file_never_give_other_events, set_up, tear_down),
      cmocka_unit_test_setup_teardown(verify_names_what_is_missing_swapped_or_cut_off, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
