/* Snapshots of a hand-made live store: what belongs together is read together, and no cache outlives its truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_block.h"
#include "common/sqlite/sqlite.h"
#include "common/store/delta_cache.h"
#include "common/store/speed_reader.h"
#include "common/value/ordered_key.h"

extern const char tly_schema_speed[];

static const char definitions[] =
    "CREATE FOREIGN TABLE hits (page integer NOT NULL) SERVER embedded OPTIONS (format 'json');"
    "CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM hits GROUP BY page;";

struct store {
  char directory[64];
  struct tly_project *project;
  struct tly_view_program *program;
  sqlite3 *writer;
};

#define OK(call)                                                                                                       \
  do {                                                                                                                 \
    struct tly_error error = TLY_ERROR_NONE;                                                                           \
    enum tly_status ok_status = (call);                                                                                \
    if (ok_status != TLY_OK)                                                                                           \
      fail_msg("%s: %s", #call, error.message);                                                                        \
  } while (0)

static void execute(struct store *store, const char *sql) {
  OK(tly_sqlite_execute(store->writer, sql, &error));
}

static void make_epoch(struct store *store, int epoch) {
  char path[128], text[16];
  if (store->writer != NULL)
    tly_sqlite_close(store->writer);
  snprintf(path, sizeof path, "%s/speed-%d.db", store->directory, epoch);
  OK(tly_sqlite_open(path, TLY_SQLITE_WRITER_NORMAL, tly_schema_speed, &store->writer, &error));
  snprintf(path, sizeof path, "%s/speed.epoch", store->directory);
  snprintf(text, sizeof text, "%d\n", epoch);
  OK(tly_file_replace(path, text, strlen(text), &error));
}

static void mark_checked(struct store *store) {
  struct tly_buffer id = {0};
  OK(tly_file_read("/proc/sys/kernel/random/boot_id", 64, &id, &error));
  OK(tly_sqlite_meta_set(store->writer, "checked", tly_buffer_text(&id), &error));
  tly_buffer_free(&id);
}

static void add_view(struct store *store, int run) {
  sqlite3_stmt *statement;
  const struct tly_view *view = &store->project->views[0];
  OK(tly_sqlite_prepare(
      store->writer, "INSERT INTO view (name, definition_hash, state, run, cut) VALUES ('pages', ?1, 'ready', ?2, ?2)",
      &statement, &error));
  sqlite3_bind_blob(statement, 1, view->hash.bytes, sizeof view->hash.bytes, SQLITE_STATIC);
  sqlite3_bind_int(statement, 2, run);
  OK(tly_sqlite_run(statement, &error));
  sqlite3_finalize(statement);
}

static void open_store(struct store *store) {
  struct tly_diagnostics diagnostics;
  memset(store, 0, sizeof *store);
  tly_sqlite_setup();
  strcpy(store->directory, "/tmp/tally-reader-XXXXXX");
  assert_non_null(mkdtemp(store->directory));
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("test.sql", definitions, &diagnostics, &store->project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  store->program = tly_view_program_new(&store->project->views[0]);
  make_epoch(store, 1);
  mark_checked(store);
  add_view(store, 0);
}

static void close_store(struct store *store) {
  tly_sqlite_close(store->writer);
  tly_view_program_free(store->program);
  tly_project_free(store->project);
  OK(tly_file_remove_tree(store->directory, &error));
}

static struct tly_text page_key(int page, struct tly_buffer *out) {
  struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_INTEGER), .i64 = page};
  tly_buffer_clear(out);
  tly_key_append(out, &value);
  return (struct tly_text){.data = (const char *)out->data, .size = (uint32_t)out->size};
}

struct block_writer {
  struct store *store;
  sqlite3_stmt *statement;
  int64_t delta;
  int number;
};

static enum tly_status write_block(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  struct block_writer *writer = context;
  struct tly_buffer body = {0};
  struct tly_text first = slice->keys[0], last = slice->keys[slice->count - 1];
  tly_group_block_encode(slice, &body);
  struct tly_hash checksum = tly_group_block_checksum(first, last, slice->count, body.data, body.size);
  sqlite3_bind_int64(writer->statement, 1, writer->delta);
  sqlite3_bind_int(writer->statement, 2, writer->number++);
  sqlite3_bind_blob(writer->statement, 3, first.data, (int)first.size, SQLITE_STATIC);
  sqlite3_bind_blob(writer->statement, 4, last.data, (int)last.size, SQLITE_STATIC);
  sqlite3_bind_int64(writer->statement, 5, slice->count);
  sqlite3_bind_blob(writer->statement, 6, body.data, (int)body.size, SQLITE_STATIC);
  sqlite3_bind_blob(writer->statement, 7, checksum.bytes, sizeof checksum.bytes, SQLITE_STATIC);
  enum tly_status status = tly_sqlite_run(writer->statement, error);
  tly_buffer_free(&body);
  return status;
}

/* One delta in which pages first, first + step, ... have been hit `hits` times each. */
static void add_delta(struct store *store, int generation, int level, int first, int step, int count, int hits) {
  char sql[200];
  struct tly_buffer key = {0};
  tly_group_table *table = tly_group_table_new(store->program, 0);
  int64_t hit_counts[1] = {hits};
  for (int n = 0; n < count; n++) {
    struct tly_text text = page_key(first + n * step, &key);
    struct tly_state_column column = {.form = TLY_STATE_I64, .i64 = hit_counts};
    struct tly_group_slice slice = {.program = store->program, .part = 0, .count = 1, .keys = &text, .states = &column};
    tly_group_table_add_slice(table, &slice);
  }
  snprintf(sql, sizeof sql, "INSERT INTO delta (view, part, generation, level, group_count) VALUES (1, 0, %d, %d, %d)",
           generation, level, count);
  execute(store, sql);
  struct block_writer writer = {.store = store, .delta = sqlite3_last_insert_rowid(store->writer)};
  OK(tly_sqlite_prepare(store->writer, "INSERT INTO delta_block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", &writer.statement,
                        &error));
  OK(tly_group_table_drain(table, TLY_GROUPS_PER_BLOCK, write_block, &writer, &error));
  sqlite3_finalize(writer.statement);
  tly_group_table_free(table);
  tly_buffer_free(&key);
}

static tly_speed_reader *open_reader(struct store *store) {
  tly_speed_reader *reader;
  OK(tly_speed_reader_open(store->directory, store->project, &reader, &error));
  return reader;
}

static enum tly_status sum_slice(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)error;
  for (uint32_t g = 0; g < slice->count; g++)
    *(int64_t *)context += slice->states[0].i64[g];
  return TLY_OK;
}

/* Looking one page up gives what its range gives. */
static void check_look_up(struct store *store, tly_speed_reader *reader, struct tly_text key, int64_t above,
                          int64_t expected) {
  struct tly_group_row row;
  tly_group_row_init(&row, store->program, NULL);
  tly_group_row_begin(&row, key);
  struct tly_block_lookup lookup = tly_block_lookup_begin(&row);
  OK(tly_speed_snapshot_begin(reader, &error));
  OK(tly_speed_snapshot_look_up(reader, store->program, 1, above, &lookup, &error));
  tly_block_lookup_finish(&lookup);
  tly_speed_snapshot_end(reader);
  assert_int_equal(row.slice.count > 0 ? row.slice.states[0].i64[0] : 0, expected);
  tly_group_row_free(&row);
}

/* Hits of the pages low .. high - 1 (high 0: of all), in a snapshot of its own. */
static int64_t hits(struct store *store, tly_speed_reader *reader, int low, int high, int64_t above, int64_t up_to) {
  struct tly_buffer low_key = {0}, high_key = {0};
  struct tly_text from = {0}, to = {0};
  int64_t sum = 0;
  tly_group_table *table = tly_group_table_new(store->program, 0);
  if (high != 0) {
    from = page_key(low, &low_key);
    to = page_key(high, &high_key);
  }
  OK(tly_speed_snapshot_begin(reader, &error));
  OK(tly_speed_snapshot_groups(reader, store->program, 1, 0, above, up_to, from, to, table, &error));
  tly_speed_snapshot_end(reader);
  OK(tly_group_table_drain(table, TLY_GROUPS_PER_BLOCK, sum_slice, &sum, &error));
  tly_group_table_free(table);
  if (high == low + 1 && up_to == INT64_MAX)
    check_look_up(store, reader, from, above, sum);
  tly_buffer_free(&low_key);
  tly_buffer_free(&high_key);
  return sum;
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static void all_deltas_of_a_group_are_added_up(void **state) {
  struct store store;
  (void)state;
  open_store(&store);
  add_delta(&store, 1, 0, 0, 1, 100, 1);
  add_delta(&store, 1, 1, 0, 7, 3000, 10);
  add_delta(&store, 1, 0, 50, 1, 1, 100);
  tly_speed_reader *reader = open_reader(&store);
  assert_int_equal(hits(&store, reader, 0, 0, 0, INT64_MAX), 100 + 30000 + 100);
  assert_int_equal(hits(&store, reader, 50, 51, 0, INT64_MAX), 1 + 100);
  assert_int_equal(hits(&store, reader, 7, 8, 0, INT64_MAX), 1 + 10);
  assert_int_equal(hits(&store, reader, 20999, 21000, 0, INT64_MAX), 0);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void every_range_gives_what_a_full_read_would(void **state) {
  struct store store;
  (void)state;
  open_store(&store);
  add_delta(&store, 1, 1, 0, 3, 5000, 1);
  add_delta(&store, 1, 1, 1, 3, 2000, 1);
  tly_speed_reader *reader = open_reader(&store);
  for (int low = 0; low < 15100; low += 379)
    for (int width = 1; width < 9000; width = width * 5 + 3) {
      int64_t expected = 0;
      for (int page = low; page < low + width; page++)
        expected += (page % 3 == 0 && page < 15000) + (page % 3 == 1 && page < 6001);
      assert_int_equal(hits(&store, reader, low, low + width, 0, INT64_MAX), expected);
    }
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void generations_outside_the_asked_ones_do_not_count(void **state) {
  struct store store;
  (void)state;
  open_store(&store);
  for (int generation = 1; generation <= 4; generation++)
    add_delta(&store, generation, 0, 5, 1, 1, generation);
  tly_speed_reader *reader = open_reader(&store);
  assert_int_equal(hits(&store, reader, 0, 0, 1, INT64_MAX), 2 + 3 + 4);
  assert_int_equal(hits(&store, reader, 5, 6, 0, 2), 1 + 2);
  assert_int_equal(hits(&store, reader, 5, 6, 4, INT64_MAX), 0);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void a_delta_that_is_being_written_is_not_there_yet(void **state) {
  struct store store;
  (void)state;
  open_store(&store);
  add_delta(&store, 1, -1, 5, 1, 1, 7);
  tly_speed_reader *reader = open_reader(&store);
  assert_int_equal(hits(&store, reader, 0, 0, 0, INT64_MAX), 0);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void what_is_held_in_memory_follows_the_store(void **state) {
  struct store store;
  (void)state;
  open_store(&store);
  add_delta(&store, 1, 0, 5, 1, 1, 7);
  tly_speed_reader *reader = open_reader(&store);
  for (int n = 1; n <= 30; n++) {
    assert_int_equal(hits(&store, reader, 5, 6, 0, INT64_MAX), 7 * n);
    assert_int_equal(hits(&store, reader, 5, 6, 0, INT64_MAX), 7 * n);
    add_delta(&store, 1, 0, 5, 1, 1, 7);
  }
  execute(&store, "DELETE FROM delta WHERE id > 1");
  assert_int_equal(hits(&store, reader, 5, 6, 0, INT64_MAX), 7);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void a_snapshot_does_not_see_what_is_committed_after_it_began(void **state) {
  struct store store;
  struct tly_published published;
  (void)state;
  open_store(&store);
  execute(&store, "INSERT INTO generation VALUES (1, 1, 10, 20, 30)");
  tly_speed_reader *reader = open_reader(&store);
  OK(tly_speed_snapshot_begin(reader, &error));
  execute(&store, "UPDATE view SET run = 1, cut = 1; DELETE FROM generation");
  OK(tly_speed_snapshot_view(reader, &store.project->views[0], &published, &error));
  assert_int_equal(published.run, 0);
  assert_int_equal(published.live_folded + published.live_filtered + published.live_set_aside, 60);
  tly_speed_snapshot_end(reader);
  OK(tly_speed_snapshot_begin(reader, &error));
  OK(tly_speed_snapshot_view(reader, &store.project->views[0], &published, &error));
  assert_int_equal(published.run, 1);
  assert_int_equal(published.live_folded, 0);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void a_flipped_bit_in_a_block_is_found(void **state) {
  struct store store;
  (void)state;
  open_store(&store);
  add_delta(&store, 1, 0, 0, 1, 300, 1);
  execute(&store, "UPDATE delta_block SET body = CAST(substr(body, 1, length(body) - 1) || x'5a' AS BLOB)");
  tly_speed_reader *reader = open_reader(&store);
  struct tly_error refusal;
  struct tly_buffer key = {0}, next = {0};
  tly_group_table *table = tly_group_table_new(store.program, 0);
  OK(tly_speed_snapshot_begin(reader, &error));
  assert_int_equal(tly_speed_snapshot_groups(reader, store.program, 1, 0, 0, INT64_MAX, page_key(5, &key),
                                             page_key(6, &next), table, &refusal),
                   TLY_E_CORRUPT);
  assert_non_null(strstr(refusal.message, "block 0 of delta 1"));
  tly_group_table_free(table);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  tly_buffer_free(&key);
  tly_buffer_free(&next);
  close_store(&store);
}

/* ---- who may read ------------------------------------------------------------------------------------------------ */

static void a_store_that_nobody_checked_since_the_boot_is_not_read(void **state) {
  struct store store;
  struct tly_error error;
  (void)state;
  open_store(&store);
  execute(&store, "DELETE FROM meta WHERE name = 'checked'");
  tly_speed_reader *reader = open_reader(&store);
  assert_int_equal(tly_speed_snapshot_begin(reader, &error), TLY_E_NOT_READY);
  mark_checked(&store);
  assert_int_equal(tly_speed_snapshot_begin(reader, &error), TLY_OK);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void the_version_changes_with_every_commit_and_with_the_epoch(void **state) {
  struct store store;
  uint64_t versions[4];
  (void)state;
  open_store(&store);
  add_delta(&store, 1, 0, 5, 1, 1, 7);
  tly_speed_reader *reader = open_reader(&store);
  OK(tly_speed_reader_version(reader, &versions[0], &error));
  OK(tly_speed_reader_version(reader, &versions[1], &error));
  execute(&store, "UPDATE view SET cut = 1");
  OK(tly_speed_reader_version(reader, &versions[2], &error));
  assert_int_equal(hits(&store, reader, 5, 6, 0, INT64_MAX), 7);
  make_epoch(&store, 2);
  mark_checked(&store);
  add_view(&store, 0);
  add_delta(&store, 1, 0, 5, 1, 1, 9);
  OK(tly_speed_reader_version(reader, &versions[3], &error));
  assert_int_equal(versions[0], versions[1]);
  assert_int_not_equal(versions[1], versions[2]);
  assert_int_not_equal(versions[2], versions[3]);
  assert_int_equal(hits(&store, reader, 5, 6, 0, INT64_MAX), 9); /* the same delta id, another delta */
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void a_view_of_another_definition_is_not_ready(void **state) {
  struct store store;
  struct tly_error refusal;
  struct tly_published published;
  (void)state;
  open_store(&store);
  execute(&store, "UPDATE view SET definition_hash = zeroblob(16)");
  tly_speed_reader *reader = open_reader(&store);
  OK(tly_speed_snapshot_begin(reader, &error));
  assert_int_equal(tly_speed_snapshot_view(reader, &store.project->views[0], &published, &refusal), TLY_E_NOT_READY);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void a_view_that_is_building_has_no_run_yet(void **state) {
  struct store store;
  struct tly_published published;
  (void)state;
  open_store(&store);
  execute(&store, "UPDATE view SET state = 'building', run = 3, cut = 3");
  tly_speed_reader *reader = open_reader(&store);
  OK(tly_speed_snapshot_begin(reader, &error));
  OK(tly_speed_snapshot_view(reader, &store.project->views[0], &published, &error));
  assert_false(published.is_ready);
  assert_int_equal(published.run, 0);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  close_store(&store);
}

static void positions_are_those_of_the_asked_stream(void **state) {
  struct store store;
  struct tly_arena arena;
  struct tly_position *positions;
  uint32_t count;
  (void)state;
  open_store(&store);
  execute(&store, "INSERT INTO position VALUES ('hits', 0, 12, zeroblob(16), 1), ('hits', 3, 7, zeroblob(16), 1),"
                  " ('gone', 0, 99, zeroblob(16), 1)");
  tly_arena_init(&arena);
  tly_speed_reader *reader = open_reader(&store);
  OK(tly_speed_snapshot_begin(reader, &error));
  OK(tly_speed_snapshot_positions(reader, NULL, &arena, &positions, &count, &error));
  assert_int_equal(count, 2);
  assert_ptr_equal(positions[1].stream, store.project->streams[0].name);
  assert_int_equal(positions[0].next_offset, 12);
  assert_int_equal(positions[1].partition, 3);
  tly_speed_snapshot_end(reader);
  tly_speed_reader_close(reader);
  tly_arena_free(&arena);
  close_store(&store);
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */

static void a_delta_is_known_until_it_is_gone(void **state) {
  struct store store;
  struct tly_buffer key = {0};
  struct tly_group_slice slice;
  int64_t counts[1] = {1};
  (void)state;
  open_store(&store);
  tly_delta_cache *cache = tly_delta_cache_new(1 << 20);
  tly_group_slice_init(&slice, store.program, 0);
  struct tly_text text = page_key(7, &key);
  slice.count = 1;
  slice.keys = &text;
  slice.states[0].i64 = counts;
  for (int64_t id = 1; id <= 3000; id++) {
    struct tly_known_delta *delta = tly_delta_cache_add(cache, id, &text, 1);
    const struct tly_held_block *block = tly_delta_cache_add_block(cache, delta, 0, &slice);
    assert_ptr_equal(block, delta->blocks[0]);
  }
  for (int64_t id = 1; id <= 3000; id += 2)
    tly_delta_cache_drop(cache, id);
  tly_delta_cache_drop(cache, 1);
  for (int64_t id = 1; id <= 3000; id++)
    assert_int_equal(tly_delta_cache_find(cache, id) != NULL, id % 2 == 0);
  assert_true(tly_delta_cache_bytes(cache) > 0);
  tly_delta_cache_clear(cache);
  assert_int_equal(tly_delta_cache_bytes(cache), 0);
  assert_null(tly_delta_cache_find(cache, 2));
  tly_delta_cache_free(cache);
  tly_group_slice_free(&slice);
  tly_buffer_free(&key);
  close_store(&store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_deltas_of_a_group_are_added_up),
      cmocka_unit_test(every_range_gives_what_a_full_read_would),
      cmocka_unit_test(generations_outside_the_asked_ones_do_not_count),
      cmocka_unit_test(a_delta_that_is_being_written_is_not_there_yet),
      cmocka_unit_test(what_is_held_in_memory_follows_the_store),
      cmocka_unit_test(a_snapshot_does_not_see_what_is_committed_after_it_began),
      cmocka_unit_test(a_flipped_bit_in_a_block_is_found),
      cmocka_unit_test(a_store_that_nobody_checked_since_the_boot_is_not_read),
      cmocka_unit_test(the_version_changes_with_every_commit_and_with_the_epoch),
      cmocka_unit_test(a_view_of_another_definition_is_not_ready),
      cmocka_unit_test(a_view_that_is_building_has_no_run_yet),
      cmocka_unit_test(positions_are_those_of_the_asked_stream),
      cmocka_unit_test(a_delta_is_known_until_it_is_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
