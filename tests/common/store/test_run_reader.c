/* tests/common/store/test_run_reader.c -- run files made by hand are read, and no damage passes unseen. */
#include "tests/common/store/view_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/engine/group_block.h"
#include "common/sqlite/sqlite.h"
#include "common/store/run_reader.h"
#include "common/store/slice.h"
#include "common/value/ordered_key.h"

extern const char tly_schema_run[];

enum { ACCOUNTS = 3000, BLOCK_GROUPS = 100 };

static const char definitions[] =
    "CREATE FOREIGN TABLE payments (account text NOT NULL, amount numeric(18,2) NOT NULL, note text) SERVER embedded;"
    "CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS n, sum(amount) AS total, max(note) AS note"
    " FROM payments GROUP BY account;";

static char directory[] = "/tmp/tally_test_run_reader_XXXXXX";
static struct tly_project *project;
static struct tly_view_program *program;

/* Writes blocks of BLOCK_GROUPS groups into `pieces` files, as a recompute would. */
struct writing {
  sqlite3 *database;
  sqlite3_stmt *insert_entry, *insert_body;
  struct tly_run_checksum checksum;
  struct tly_run_meta meta;
  int64_t next_id;
};

static const char *file_path(uint32_t piece) {
  static char path[256];
  snprintf(path, sizeof path, "%s/runs/7/totals.0.%u.db", directory, piece);
  return path;
}

static void begin_piece(struct writing *writing, uint32_t piece, uint32_t pieces) {
  CHECK_OK(tly_sqlite_open(file_path(piece), TLY_SQLITE_WRITER_BULK, tly_schema_run, &writing->database, &test_error));
  CHECK_OK(tly_sqlite_prepare(writing->database, "INSERT INTO directory VALUES (?1, ?2, ?3, ?4, ?5)",
                              &writing->insert_entry, &test_error));
  CHECK_OK(
      tly_sqlite_prepare(writing->database, "INSERT INTO block VALUES (?1, ?2)", &writing->insert_body, &test_error));
  CHECK_OK(tly_sqlite_execute(writing->database, "BEGIN", &test_error));
  writing->meta = (struct tly_run_meta){
      .run = 7, .view = "totals", .definition_hash = program->view->hash, .piece = piece, .pieces = pieces};
  writing->next_id = 1;
  tly_run_checksum_begin(&writing->checksum, &writing->meta);
}

static enum tly_status write_block(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  struct writing *writing = context;
  struct tly_buffer body = {0};
  struct tly_run_block block = {
      .first_key = slice->keys[0], .last_key = slice->keys[slice->count - 1], .group_count = slice->count};
  if (writing->meta.pieces == 2 && writing->meta.piece == 0 && writing->next_id > 5)
    return TLY_OK; /* the rest is for the second piece */
  tly_group_block_encode(slice, &body);
  block.checksum = tly_group_block_checksum(block.first_key, block.last_key, block.group_count, body.data, body.size);
  sqlite3_bind_int64(writing->insert_entry, 1, writing->next_id);
  sqlite3_bind_blob(writing->insert_entry, 2, block.first_key.data, (int)block.first_key.size, SQLITE_STATIC);
  sqlite3_bind_blob(writing->insert_entry, 3, block.last_key.data, (int)block.last_key.size, SQLITE_STATIC);
  sqlite3_bind_int64(writing->insert_entry, 4, block.group_count);
  sqlite3_bind_blob(writing->insert_entry, 5, block.checksum.bytes, TLY_HASH_BYTES, SQLITE_STATIC);
  sqlite3_bind_int64(writing->insert_body, 1, writing->next_id++);
  sqlite3_bind_blob(writing->insert_body, 2, body.data, (int)body.size, SQLITE_STATIC);
  enum tly_status status = tly_sqlite_run(writing->insert_entry, error);
  if (status == TLY_OK)
    status = tly_sqlite_run(writing->insert_body, error);
  tly_run_checksum_add(&writing->checksum, &block);
  writing->meta.groups += slice->count;
  tly_buffer_free(&body);
  return status;
}

static void end_piece(struct writing *writing) {
  char checksum[33], definition[33], sql[1024];
  tly_run_checksum_end(&writing->checksum, checksum);
  tly_run_hash_print(&writing->meta.definition_hash, definition);
  snprintf(sql, sizeof sql,
           "INSERT INTO meta VALUES ('run', '7'), ('view', 'totals'), ('definition', '%s'), ('part', '0'),"
           " ('piece', '%u'), ('pieces', '%u'), ('groups', '%" PRIu64 "'), ('checksum', '%s'); COMMIT",
           definition, writing->meta.piece, writing->meta.pieces, writing->meta.groups, checksum);
  sqlite3_finalize(writing->insert_entry);
  sqlite3_finalize(writing->insert_body);
  CHECK_OK(tly_sqlite_execute(writing->database, sql, &test_error));
  tly_sqlite_close(writing->database);
}

static tly_fold *fold_accounts(void) {
  struct tly_buffer lines = {0};
  for (int i = 0; i < 3 * ACCOUNTS; i++)
    tly_buffer_print(&lines, "{\"account\":\"a%06d\",\"amount\":%d.25,\"note\":%s}\n", 2 * (i % ACCOUNTS), i,
                     i % 3 == 0 ? "null" : "\"seen\"");
  tly_fold *fold = tly_fold_new(program);
  fold_lines(fold, program->view->stream, (const char *)lines.data, lines.size);
  tly_buffer_free(&lines);
  return fold;
}

static void write_run(void) {
  char path[256];
  struct writing writing;
  snprintf(path, sizeof path, "%s/runs/7", directory);
  CHECK_OK(tly_file_remove_tree(path, &test_error));
  CHECK_OK(tly_file_make_folder(path, &test_error));
  snprintf(path, sizeof path, "%s/runs/7/lock", directory);
  CHECK_OK(tly_file_replace(path, "", 0, &test_error));
  tly_fold *fold = fold_accounts();
  begin_piece(&writing, 0, 1);
  CHECK_OK(tly_group_table_drain(tly_fold_part(fold, 0), BLOCK_GROUPS, write_block, &writing, &test_error));
  end_piece(&writing);
  tly_fold_free(fold);
}

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(directory) == NULL)
    return 1;
  tly_sqlite_setup();
  project = parse_project(definitions);
  program = tly_view_program_new(&project->views[0]);
  write_run();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_view_program_free(program);
  tly_project_free(project);
  return tly_file_remove_tree(directory, NULL) != TLY_OK;
}

static tly_run_reader *open_run(void) {
  tly_run_reader *reader;
  CHECK_OK(tly_run_reader_open(directory, 7, program, &reader, &test_error));
  return reader;
}

static const struct tly_text open_bound = {.data = NULL, .size = 0};

/* Groups between two bounds, checked to ascend. */
static uint32_t count_between(tly_run_reader *reader, struct tly_text low, struct tly_text high) {
  struct tly_group_source source;
  const struct tly_group_slice *slice;
  uint32_t count = 0;
  struct tly_buffer last = {0};
  CHECK_OK(tly_run_reader_scan(reader, 0, low, high, &source, &test_error));
  for (;;) {
    CHECK_OK(source.next(source.context, &slice, &test_error));
    if (slice == NULL)
      break;
    for (uint32_t i = 0; i < slice->count; i++) {
      assert_true(tly_key_compare(last.data, last.size, slice->keys[i].data, slice->keys[i].size) < 0);
      tly_buffer_clear(&last);
      tly_buffer_append(&last, slice->keys[i].data, slice->keys[i].size);
    }
    count += slice->count;
  }
  tly_run_reader_end_scan(reader, &source);
  tly_buffer_free(&last);
  return count;
}

static void every_group_is_found_by_its_key(void **state) {
  (void)state;
  tly_run_reader *reader = open_run();
  struct tly_buffer key_buffer = {0};
  struct tly_group_row row;
  char account[16];
  tly_group_row_init(&row, program, NULL);
  assert_int_equal(tly_run_reader_groups(reader, 0), ACCOUNTS);
  for (int i = 0; i < 2 * ACCOUNTS; i++) { /* odd numbers are not there */
    struct tly_group_source source;
    const struct tly_group_slice *slice;
    snprintf(account, sizeof account, "a%06d", i);
    struct tly_text key = text_key(&key_buffer, account);
    struct tly_buffer after = {0};
    tly_buffer_append(&after, key.data, key.size);
    tly_buffer_append_byte(&after, 0);
    struct tly_text high = {.data = (const char *)after.data, .size = (uint32_t)after.size};
    CHECK_OK(tly_run_reader_scan(reader, 0, key, high, &source, &test_error));
    CHECK_OK(source.next(source.context, &slice, &test_error));
    if (i % 2 != 0) {
      assert_null(slice);
    } else {
      assert_non_null(slice);
      assert_int_equal(slice->count, 1);
      assert_memory_equal(slice->keys[0].data, key.data, key.size);
      assert_int_equal(slice->states[0].i64[0], 3); /* count(*) */
    }
    tly_run_reader_end_scan(reader, &source);
    tly_group_row_begin(&row, key);
    struct tly_block_lookup lookup = tly_block_lookup_begin(&row);
    CHECK_OK(tly_run_reader_look_up(reader, &lookup, &test_error));
    tly_block_lookup_finish(&lookup);
    assert_int_equal(row.slice.count, i % 2 == 0);
    assert_true(i % 2 != 0 || row.slice.states[0].i64[0] == 3);
    tly_buffer_free(&after);
  }
  tly_group_row_free(&row);
  tly_buffer_free(&key_buffer);
  tly_run_reader_close(reader);
}

static int64_t count_of(tly_run_reader *reader, const char *account) {
  struct tly_buffer key = {0};
  struct tly_group_row row;
  tly_group_row_init(&row, program, NULL);
  tly_group_row_begin(&row, text_key(&key, account));
  struct tly_block_lookup lookup = tly_block_lookup_begin(&row);
  CHECK_OK(tly_run_reader_look_up(reader, &lookup, &test_error));
  tly_block_lookup_finish(&lookup);
  int64_t count = row.slice.count > 0 ? row.slice.states[0].i64[0] : 0;
  tly_group_row_free(&row);
  tly_buffer_free(&key);
  return count;
}

static void readers_may_share_a_cache_and_leave_it(void **state) {
  tly_block_cache *cache = tly_block_cache_new(1 << 20);
  tly_run_reader *stays = open_run(), *leaves = open_run();
  struct tly_group_source source;
  const struct tly_group_slice *slice;
  struct tly_buffer low = {0}, high = {0};
  (void)state;
  tly_run_reader_share_cache(stays, cache);
  tly_run_reader_share_cache(leaves, cache);
  assert_int_equal(count_of(stays, "a000002"), 3);
  size_t bytes = tly_block_cache_bytes(cache);
  assert_int_equal(count_of(leaves, "a000002"), 3);
  CHECK_OK(tly_run_reader_scan(leaves, 0, text_key(&low, "a000700"), text_key(&high, "a000800"), &source, &test_error));
  CHECK_OK(source.next(source.context, &slice, &test_error)); /* it pins a block, and is not ended */
  assert_true(tly_block_cache_bytes(cache) > 2 * bytes);
  tly_run_reader_close(leaves);
  assert_int_equal(tly_block_cache_bytes(cache), bytes);
  assert_int_equal(count_of(stays, "a000002"), 3);
  tly_run_reader_close(stays);
  assert_int_equal(tly_block_cache_bytes(cache), 0);
  tly_block_cache_free(cache);
  tly_buffer_free(&low);
  tly_buffer_free(&high);
}

static void a_scan_gives_the_keys_between_its_bounds(void **state) {
  (void)state;
  struct tly_buffer low = {0}, high = {0};
  tly_run_reader *reader = open_run();
  assert_int_equal(count_between(reader, open_bound, open_bound), ACCOUNTS);
  const struct {
    const char *low, *high;
    uint32_t count;
  } cases[] = {{"a000000", "a000001", 1},   {"a000001", "a000002", 0}, {"a000100", "a000300", 100},
               {"a000099", "a002001", 951}, {"A", "a000000", 0},       {"b", "c", 0},
               {"a005998", "z", 1},         {"", "zzz", ACCOUNTS}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(count_between(reader, text_key(&low, cases[i].low), text_key(&high, cases[i].high)),
                     cases[i].count);
  assert_int_equal(count_between(reader, text_key(&low, "a003000"), open_bound), 1500);
  assert_int_equal(count_between(reader, open_bound, text_key(&high, "a003000")), 1500);
  tly_buffer_free(&low);
  tly_buffer_free(&high);
  tly_run_reader_close(reader);
}

static void scans_may_stand_side_by_side_up_to_their_bound(void **state) {
  (void)state;
  tly_run_reader *reader = open_run();
  struct tly_group_source sources[TLY_RUN_SCANS_MAX], one_more;
  const struct tly_group_slice *slices[TLY_RUN_SCANS_MAX];
  struct tly_buffer low = {0}, high = {0};
  for (uint32_t i = 0; i < TLY_RUN_SCANS_MAX; i++) {
    char from[16], to[16];
    snprintf(from, sizeof from, "a%06u", 90 * i);
    snprintf(to, sizeof to, "a%06u", 90 * i + 1);
    CHECK_OK(tly_run_reader_scan(reader, 0, text_key(&low, from), text_key(&high, to), &sources[i], &test_error));
    CHECK_OK(sources[i].next(sources[i].context, &slices[i], &test_error));
    assert_non_null(slices[i]);
  }
  assert_int_equal(tly_run_reader_scan(reader, 0, open_bound, open_bound, &one_more, NULL), TLY_E_TOO_MANY);
  for (uint32_t i = 0; i < TLY_RUN_SCANS_MAX; i++) { /* what the first ones gave is still theirs */
    char from[16];
    snprintf(from, sizeof from, "a%06u", 90 * i);
    struct tly_text key = text_key(&low, from);
    assert_memory_equal(slices[i]->keys[0].data, key.data, key.size);
    tly_run_reader_end_scan(reader, &sources[i]);
  }
  CHECK_OK(tly_run_reader_scan(reader, 0, open_bound, open_bound, &one_more, &test_error));
  tly_run_reader_end_scan(reader, &one_more);
  tly_buffer_free(&low);
  tly_buffer_free(&high);
  tly_run_reader_close(reader);
}

static void the_directory_tells_blocks_and_where_keys_stand(void **state) {
  (void)state;
  tly_run_reader *reader = open_run();
  struct tly_buffer key = {0};
  assert_int_equal(tly_run_reader_block_count(reader, 0), ACCOUNTS / BLOCK_GROUPS);
  assert_int_equal(tly_run_reader_block(reader, 0, 3).group_count, BLOCK_GROUPS);
  assert_int_equal(tly_run_reader_find_block(reader, 0, text_key(&key, "")), 0);
  assert_int_equal(tly_run_reader_find_block(reader, 0, text_key(&key, "a000199")), 0);
  assert_int_equal(tly_run_reader_find_block(reader, 0, text_key(&key, "a000200")), 1);
  assert_int_equal(tly_run_reader_find_block(reader, 0, text_key(&key, "z")), ACCOUNTS / BLOCK_GROUPS - 1);
  tly_buffer_free(&key);
  tly_run_reader_close(reader);
}

static void a_run_that_is_not_there_is_not_ready(void **state) {
  (void)state;
  tly_run_reader *reader;
  struct tly_error error;
  assert_int_equal(tly_run_reader_open(directory, 8, program, &reader, &error), TLY_E_NOT_READY);
  assert_null(reader);
  assert_int_equal(rename(file_path(0), "/dev/null/no"), -1);
  char away[300];
  snprintf(away, sizeof away, "%s.away", file_path(0));
  assert_int_equal(rename(file_path(0), away), 0);
  assert_int_equal(tly_run_reader_open(directory, 7, program, &reader, &error), TLY_E_NOT_READY);
  assert_int_equal(rename(away, file_path(0)), 0);
}

static void a_run_of_another_definition_is_refused(void **state) {
  (void)state;
  tly_run_reader *reader;
  struct tly_view other = *program->view;
  other.hash.bytes[0] ^= 1;
  struct tly_view_program *changed = tly_view_program_new(&other);
  assert_int_equal(tly_run_reader_open(directory, 7, changed, &reader, &test_error), TLY_E_CORRUPT);
  assert_non_null(strstr(test_error.message, "another definition"));
  tly_view_program_free(changed);
}

static void a_run_that_is_read_cannot_be_locked_for_deletion(void **state) {
  (void)state;
  char lock[256];
  int fd;
  snprintf(lock, sizeof lock, "%s/runs/7/lock", directory);
  tly_run_reader *reader = open_run(), *another = open_run();
  assert_int_equal(tly_file_lock(lock, true, &fd, NULL), TLY_E_IN_USE);
  tly_run_reader_close(reader);
  assert_int_equal(tly_file_lock(lock, true, &fd, NULL), TLY_E_IN_USE);
  tly_run_reader_close(another);
  CHECK_OK(tly_file_lock(lock, true, &fd, &test_error));
  assert_int_equal(tly_run_reader_open(directory, 7, program, &reader, NULL), TLY_E_NOT_READY);
  close(fd);
}

/* Read everything; TLY_OK only when all of it came out. */
static enum tly_status read_all(uint64_t *sum) {
  tly_run_reader *reader;
  struct tly_group_source source;
  const struct tly_group_slice *slice;
  *sum = 0;
  enum tly_status status = tly_run_reader_open(directory, 7, program, &reader, &test_error);
  if (status != TLY_OK)
    return status;
  status = tly_run_reader_scan(reader, 0, open_bound, open_bound, &source, &test_error);
  while (status == TLY_OK && (status = source.next(source.context, &slice, &test_error)) == TLY_OK && slice != NULL)
    for (uint32_t i = 0; i < slice->count; i++)
      *sum = *sum * 31 + (uint64_t)slice->states[0].i64[i] + (uint8_t)slice->keys[i].data[slice->keys[i].size - 2];
  tly_run_reader_close(reader);
  return status;
}

/* Invariant 9: any flipped bit is found before it reaches an answer, or changes nothing. */
static void no_flipped_bit_changes_an_answer(void **state) {
  (void)state;
  const char *count_text = getenv("TALLY_LONG");
  int flips = count_text != NULL ? 20000 : 400;
  uint64_t right, sum;
  assert_int_equal(chmod(file_path(0), 0640), 0);
  assert_int_equal(read_all(&right), TLY_OK);
  int64_t size = tly_file_size(file_path(0));
  int fd = open(file_path(0), O_RDWR | O_CLOEXEC), found = 0;
  unsigned seed = 20240517;
  assert_true(fd >= 0);
  for (int i = 0; i < flips; i++) {
    off_t place = (off_t)((((uint64_t)(unsigned)rand_r(&seed) << 16) ^ (unsigned)rand_r(&seed)) % (uint64_t)size);
    uint8_t byte, flipped;
    assert_int_equal(pread(fd, &byte, 1, place), 1);
    flipped = (uint8_t)(byte ^ (1u << (rand_r(&seed) % 8)));
    assert_int_equal(pwrite(fd, &flipped, 1, place), 1);
    enum tly_status status = read_all(&sum);
    if (status == TLY_OK && sum != right)
      fail_msg("a flipped bit at byte %lld changed what is read", (long long)place);
    found += status != TLY_OK;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
  }
  close(fd);
  assert_true(found > flips / 3); /* a good part of the file matters; the rest is room that SQLite's pages leave */
  assert_int_equal(read_all(&sum), TLY_OK);
  assert_int_equal(sum, right);
}

static void damage_is_told_with_file_and_block(void **state) {
  (void)state;
  sqlite3 *database;
  uint64_t sum;
  CHECK_OK(tly_sqlite_open(file_path(0), TLY_SQLITE_WRITER_BULK, tly_schema_run, &database, &test_error));
  CHECK_OK(tly_sqlite_execute(database, "UPDATE block SET body = zeroblob(length(body)) WHERE id = 12", &test_error));
  tly_sqlite_close(database);
  assert_int_equal(read_all(&sum), TLY_E_CORRUPT);
  assert_non_null(strstr(test_error.message, "totals.0.0.db, block 12"));
  write_run();
}

static void a_lost_block_shows_when_the_run_is_opened(void **state) {
  (void)state;
  sqlite3 *database;
  uint64_t sum;
  CHECK_OK(tly_sqlite_open(file_path(0), TLY_SQLITE_WRITER_BULK, tly_schema_run, &database, &test_error));
  CHECK_OK(tly_sqlite_execute(database, "DELETE FROM directory WHERE id = 30", &test_error));
  tly_sqlite_close(database);
  assert_int_equal(read_all(&sum), TLY_E_CORRUPT);
  assert_null(strstr(test_error.message, "block 30"));
  write_run();
}

static void a_lost_body_shows_when_it_is_read(void **state) {
  (void)state;
  sqlite3 *database;
  uint64_t sum;
  CHECK_OK(tly_sqlite_open(file_path(0), TLY_SQLITE_WRITER_BULK, tly_schema_run, &database, &test_error));
  CHECK_OK(tly_sqlite_execute(database, "DELETE FROM block WHERE id = 30", &test_error));
  tly_sqlite_close(database);
  assert_int_equal(read_all(&sum), TLY_E_CORRUPT);
  assert_non_null(strstr(test_error.message, "totals.0.0.db, block 30"));
  write_run();
}

static void names_of_files_are_safe_whatever_a_view_is_called(void **state) {
  (void)state;
  struct tly_buffer name = {0};
  tly_run_file_name("../a b\xc3\xa9_1-x", 2, 13, &name);
  assert_string_equal(tly_buffer_text(&name), "%2E%2E%2Fa%20b%C3%A9_1-x.2.13.db");
  tly_buffer_free(&name);
}

static void chapters_begin_about_every_8192_keys(void **state) {
  (void)state;
  uint32_t chapters = 0;
  for (uint32_t i = 0; i < 100 * TLY_RUN_CHAPTER_GROUPS; i++)
    chapters += tly_run_chapter_begins((struct tly_text){.data = (const char *)&i, .size = sizeof i});
  assert_in_range(chapters, 60, 140);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_group_is_found_by_its_key),
      cmocka_unit_test(readers_may_share_a_cache_and_leave_it),
      cmocka_unit_test(a_scan_gives_the_keys_between_its_bounds),
      cmocka_unit_test(scans_may_stand_side_by_side_up_to_their_bound),
      cmocka_unit_test(the_directory_tells_blocks_and_where_keys_stand),
      cmocka_unit_test(a_run_that_is_not_there_is_not_ready),
      cmocka_unit_test(a_run_of_another_definition_is_refused),
      cmocka_unit_test(a_run_that_is_read_cannot_be_locked_for_deletion),
      cmocka_unit_test(no_flipped_bit_changes_an_answer),
      cmocka_unit_test(damage_is_told_with_file_and_block),
      cmocka_unit_test(a_lost_block_shows_when_the_run_is_opened),
      cmocka_unit_test(a_lost_body_shows_when_it_is_read),
      cmocka_unit_test(names_of_files_are_safe_whatever_a_view_is_called),
      cmocka_unit_test(chapters_begin_about_every_8192_keys),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
