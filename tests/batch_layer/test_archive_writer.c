/* tests/batch_layer/test_archive_writer.c -- what was committed comes back, once, whatever happens in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/seal.h"
#include "common/archive/checksum.h"
#include "common/archive/segment.h"
#include "common/base/file.h"
#include "tests/support/archive_fixture.h"
#include "tests/support/fault_vfs.h"

static int set_up(void **state) {
  struct archive_fixture *fixture = malloc(sizeof *fixture);
  archive_fixture_init(fixture, archive_fixture_definition);
  archive_fixture_open(fixture);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  fault_vfs_set(FAULT_NONE, 0);
  archive_fixture_free(*state);
  free(*state);
  return 0;
}

static void append(struct archive_fixture *fixture, uint32_t partition, uint64_t first, uint32_t count) {
  struct tly_error error = TLY_ERROR_NONE;
  if (archive_fixture_append(fixture, partition, first, count, &error) != TLY_OK)
    fail_msg("append: %s", error.message);
}

static struct tly_cut cut(struct archive_fixture *fixture, struct tly_arena *arena) {
  static const char *const views[] = {"totals"};
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_cut made;
  if (tly_archive_writer_cut(fixture->writer, views, 1, arena, &made, &error) != TLY_OK)
    fail_msg("cut: %s", error.message);
  return made;
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

static void events_come_back_bit_for_bit_from_active_and_sealed_files(void **state) {
  struct archive_fixture *fixture = *state;
  static const uint32_t sizes[] = {1, 1, 2, 17, 300, 5000, 1, 40, 9000};
  uint64_t next = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; next += sizes[i], i++)
    append(fixture, 0, next, sizes[i]);
  append(fixture, 5, 0, 100);
  assert_int_equal(archive_fixture_check(fixture, 0), next);
  assert_int_equal(archive_fixture_check(fixture, 5), 100);
  archive_fixture_seal(fixture, true);
  append(fixture, 0, next, 10);
  assert_int_equal(archive_fixture_check(fixture, 0), next + 10);
  assert_int_equal(archive_fixture_check(fixture, 5), 100);
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  append(fixture, 0, next + 10, 10);
  append(fixture, 5, 100, 3);
  assert_int_equal(archive_fixture_check(fixture, 0), next + 20);
  assert_int_equal(archive_fixture_check(fixture, 5), 103);
  assert_int_equal(archive_fixture_verify(fixture), 0);
}

static void small_batches_of_one_group_become_one_block(void **state) {
  struct archive_fixture *fixture = *state;
  static const struct tly_text no_header = {.data = "", .size = 0};
  struct tly_error error = TLY_ERROR_NONE;
  struct archive_fixture others[5];
  assert_int_equal(tly_archive_writer_begin(fixture->writer, fixture->stream, &error), TLY_OK);
  for (int i = 0; i < 5; i++) {
    archive_fixture_init(&others[i], archive_fixture_definition);
    others[i].batch.stream = fixture->stream; /* one project's stream is another's */
    archive_fixture_decode(fixture, (uint64_t)i, 1);
    struct tly_event_batch moved = fixture->batch;
    struct tly_buffer lines = fixture->lines;
    fixture->batch = others[i].batch;
    fixture->lines = others[i].lines;
    others[i].batch = moved;
    others[i].lines = lines;
    assert_int_equal(
        tly_archive_writer_append(fixture->writer, 0, &others[i].batch, TLY_FORMAT_JSON, no_header, &error), TLY_OK);
  }
  assert_int_equal(tly_archive_writer_commit(fixture->writer, &error), TLY_OK);
  for (int i = 0; i < 5; i++)
    archive_fixture_free(&others[i]);
  tly_archive_reader *reader;
  struct tly_arena arena;
  struct tly_block_ref *refs;
  uint32_t count;
  tly_arena_init(&arena);
  assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
  assert_int_equal(
      tly_archive_reader_blocks(reader, fixture->stream, 0, 0, INT64_MAX, 100, &arena, &refs, &count, &error), TLY_OK);
  assert_int_equal(count, 1);
  assert_int_equal(refs[0].event_count, 5);
  tly_archive_reader_close(reader);
  tly_arena_free(&arena);
  assert_int_equal(archive_fixture_check(fixture, 0), 5);
}

static void a_block_is_found_again_after_its_file_was_rewritten(void **state) {
  struct archive_fixture *fixture = *state;
  tly_archive_reader *reader;
  struct tly_arena arena;
  struct tly_block_ref *refs;
  struct tly_event_batch batch;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer event = {0};
  uint32_t count;
  for (uint64_t i = 0; i < 20; i++)
    append(fixture, 0, i * 10, 10);
  tly_arena_init(&arena);
  tly_event_batch_init(&batch, fixture->stream);
  assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
  assert_int_equal(
      tly_archive_reader_blocks(reader, fixture->stream, 0, 0, INT64_MAX, 100, &arena, &refs, &count, &error), TLY_OK);
  assert_int_equal(count, 20);
  archive_fixture_seal(fixture, true);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(tly_archive_reader_read(reader, fixture->stream, &refs[i], NULL, true, &batch, &error), TLY_OK);
    assert_int_equal(batch.count, 10);
    for (uint32_t row = 0; row < 10; row++) {
      archive_fixture_event(i * 10 + row, &event);
      assert_int_equal(batch.raw[row].size, event.size);
      assert_memory_equal(batch.raw[row].data, event.data, event.size);
    }
  }
  tly_buffer_free(&event);
  tly_archive_reader_close(reader);
  tly_event_batch_free(&batch);
  tly_arena_free(&arena);
}

/* Else each small block that was listed would cost the decoding of the large one that it has become a part of. */
static void who_holds_the_files_reads_small_blocks_as_they_were_listed(void **state) {
  struct archive_fixture *fixture = *state;
  tly_archive_reader *reader;
  struct tly_arena arena;
  struct tly_block_ref *before, *after;
  struct tly_event_batch batch;
  struct tly_error error = TLY_ERROR_NONE;
  uint32_t count, count_after;
  for (uint64_t i = 0; i < 20; i++)
    append(fixture, 0, i * 10, 10);
  tly_arena_init(&arena);
  tly_event_batch_init(&batch, fixture->stream);
  assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
  assert_int_equal(tly_archive_reader_hold(reader, &error), TLY_OK);
  assert_int_equal(
      tly_archive_reader_blocks(reader, fixture->stream, 0, 0, INT64_MAX, 100, &arena, &before, &count, &error),
      TLY_OK);
  archive_fixture_seal(fixture, true);
  assert_int_equal(
      tly_archive_reader_blocks(reader, fixture->stream, 0, 0, INT64_MAX, 100, &arena, &after, &count_after, &error),
      TLY_OK);
  assert_int_equal(count, 20);
  assert_int_equal(count_after, count);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(after[i].segment, before[i].segment);
    assert_int_equal(tly_archive_reader_read(reader, fixture->stream, &before[i], NULL, true, &batch, &error), TLY_OK);
    assert_int_equal(batch.count, 10);
  }
  tly_archive_reader_close(reader);
  tly_event_batch_free(&batch);
  tly_arena_free(&arena);
}

static void the_chain_is_the_same_before_and_after_sealing(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_arena arena;
  struct tly_position *positions;
  struct tly_buffer event = {0};
  uint32_t count;
  tly_chain chain = {{0}};
  for (uint64_t i = 0; i < 30; i++)
    append(fixture, 0, i * 7, 7);
  for (uint64_t i = 0; i < 210; i++) {
    archive_fixture_event(i, &event);
    chain = tly_chain_next(chain, event.data, event.size);
  }
  tly_buffer_free(&event);
  tly_arena_init(&arena);
  for (int round = 0; round < 2; round++) {
    tly_archive_writer_positions(fixture->writer, &arena, &positions, &count);
    assert_int_equal(count, 1);
    assert_int_equal(positions[0].next_offset, 210);
    assert_true(tly_hash_equal(positions[0].chain, chain));
    archive_fixture_seal(fixture, true);
    archive_fixture_close(fixture);
    archive_fixture_open(fixture);
  }
  assert_int_equal(archive_fixture_verify(fixture), 0);
  tly_arena_free(&arena);
}

static bool is_uncoded(struct archive_fixture *fixture, int64_t number) {
  sqlite3 *database;
  struct tly_buffer value = {0};
  struct tly_error error = TLY_ERROR_NONE;
  bool found;
  char *path = tly_archive_file_path(fixture->directory, fixture->stream->name, number, "");
  assert_int_equal(tly_sqlite_open(path, TLY_SQLITE_READER, NULL, &database, &error), TLY_OK);
  assert_int_equal(tly_sqlite_meta_get(database, "uncoded.0", &value, &found, &error), TLY_OK);
  tly_sqlite_close(database);
  tly_buffer_free(&value);
  free(path);
  return found;
}

static void a_column_of_ever_new_texts_stops_using_its_dictionary(void **state) {
  struct archive_fixture *fixture = *state;
  for (uint64_t block = 0; block < 4; block++) {
    assert_false(is_uncoded(fixture, 1));
    append(fixture, 0, block * 60000, 60000);
  }
  assert_true(is_uncoded(fixture, 1));
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  append(fixture, 0, 240000, 100);
  assert_int_equal(archive_fixture_verify(fixture), 0);
  archive_fixture_seal(fixture, true);
  assert_int_equal(archive_fixture_verify(fixture), 0);
}

static void large_events_are_sealed_into_blocks_that_a_reader_can_hold(void **state) {
  struct archive_fixture *fixture = *state;
  static const struct tly_text no_header = {.data = "", .size = 0};
  enum { TEXT_BYTES = 900000, EVENTS = 50 };
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer line = {0};
  size_t consumed;
  uint64_t lines;
  tly_buffer_append_text(&line, "{\"amount\":1,\"payment_id\":\"");
  memset(tly_buffer_reserve(&line, TEXT_BYTES), 'x', TEXT_BYTES);
  line.size += TEXT_BYTES;
  tly_buffer_append_text(&line, "\"}\n");
  for (int i = 0; i < EVENTS; i++) {
    line.data[40] = (uint8_t)('0' + i);
    line.data[41] = (uint8_t)('a' + i / 2 % 26);
    if (line.data[40] == '"' || line.data[40] == '\\')
      line.data[40] = 'y';
    assert_int_equal(tly_decoder_decode(fixture->decoder, tly_buffer_text(&line), line.size, 0, &fixture->batch,
                                        &consumed, &lines, &error),
                     TLY_OK);
    assert_int_equal(fixture->batch.count, 1);
    assert_int_equal(tly_archive_writer_begin(fixture->writer, fixture->stream, &error), TLY_OK);
    assert_int_equal(tly_archive_writer_append(fixture->writer, 0, &fixture->batch, TLY_FORMAT_JSON, no_header, &error),
                     TLY_OK);
    assert_int_equal(tly_archive_writer_commit(fixture->writer, &error), TLY_OK);
  }
  tly_buffer_free(&line);
  archive_fixture_seal(fixture, true);
  assert_int_equal(archive_fixture_verify(fixture), 0);
  tly_archive_reader *reader;
  struct tly_arena arena;
  struct tly_block_ref *refs;
  uint32_t count;
  tly_arena_init(&arena);
  assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
  assert_int_equal(
      tly_archive_reader_blocks(reader, fixture->stream, 0, 0, INT64_MAX, 100, &arena, &refs, &count, &error), TLY_OK);
  assert_int_equal(count, 2); /* 45 MB of payloads, 32 MiB a block */
  tly_archive_reader_close(reader);
  tly_arena_free(&arena);
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

static void a_cut_stays_where_it_was_made_and_later_blocks_are_of_the_next_generation(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_arena arena;
  struct tly_error error = TLY_ERROR_NONE;
  tly_arena_init(&arena);
  assert_int_equal(cut(fixture, &arena).number, 1); /* an empty archive can be cut */
  append(fixture, 0, 0, 100);
  struct tly_cut second = cut(fixture, &arena);
  assert_int_equal(second.number, 2);
  assert_int_equal(second.positions[0].next_offset, 100);
  append(fixture, 0, 100, 50);
  append(fixture, 1, 0, 5);
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  append(fixture, 0, 150, 50);
  for (int sealed = 0; sealed < 2; sealed++) {
    tly_archive_reader *reader;
    struct tly_cut *cuts, one;
    struct tly_block_ref *refs;
    uint32_t cut_count, count;
    assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
    assert_int_equal(tly_archive_reader_cuts(reader, 0, &arena, &cuts, &cut_count, &error), TLY_OK);
    assert_int_equal(cut_count, 2);
    assert_int_equal(cuts[0].position_count, 0);
    assert_int_equal(cuts[1].position_count, 1);
    assert_int_equal(cuts[1].positions[0].next_offset, 100);
    assert_true(tly_hash_equal(cuts[1].positions[0].chain, second.positions[0].chain));
    assert_string_equal(cuts[1].views[0], "totals");
    assert_int_equal(tly_archive_reader_cut(reader, 3, &arena, &one, &error), TLY_E_UNDEFINED_OBJECT);
    assert_int_equal(tly_archive_reader_blocks(reader, fixture->stream, 0, 0, 2, 100, &arena, &refs, &count, &error),
                     TLY_OK);
    assert_int_equal(count, 1); /* what lies below the cut ends at it, also after sealing */
    assert_int_equal(refs[0].event_count, 100);
    assert_true(tly_hash_equal(refs[0].chain_after, second.positions[0].chain));
    assert_int_equal(tly_archive_reader_blocks(reader, fixture->stream, 0, 100, 3, 100, &arena, &refs, &count, &error),
                     TLY_OK);
    assert_int_equal(count, sealed ? 1 : 2);
    assert_int_equal(refs[0].generation, 3);
    tly_archive_reader_close(reader);
    archive_fixture_seal(fixture, true);
  }
  assert_int_equal(cut(fixture, &arena).number, 3);
  assert_int_equal(archive_fixture_verify(fixture), 0);
  tly_arena_free(&arena);
}

/* ---- producers --------------------------------------------------------------------------------------------------- */

static enum tly_sequence sequence(struct archive_fixture *fixture, int64_t number, const char *reply_if_new) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer reply = {0};
  enum tly_sequence verdict;
  int64_t expected;
  assert_int_equal(tly_archive_writer_begin(fixture->writer, fixture->stream, &error), TLY_OK);
  assert_int_equal(
      tly_archive_writer_check_sequence(fixture->writer, "till-7", number, &verdict, &reply, &expected, &error),
      TLY_OK);
  if (verdict == TLY_SEQUENCE_NEXT)
    assert_int_equal(tly_archive_writer_remember(fixture->writer, "till-7", number, reply_if_new, &error), TLY_OK);
  if (verdict == TLY_SEQUENCE_REPEATED && reply_if_new != NULL)
    assert_string_equal(tly_buffer_text(&reply), reply_if_new);
  assert_int_equal(tly_archive_writer_commit(fixture->writer, &error), TLY_OK);
  tly_buffer_free(&reply);
  return verdict;
}

static void a_repeated_sequence_gets_its_first_reply_and_a_gap_is_refused(void **state) {
  struct archive_fixture *fixture = *state;
  assert_int_equal(sequence(fixture, 41, "first"), TLY_SEQUENCE_NEXT); /* a producer may begin anywhere */
  assert_int_equal(sequence(fixture, 41, "first"), TLY_SEQUENCE_REPEATED);
  assert_int_equal(sequence(fixture, 43, NULL), TLY_SEQUENCE_GAP);
  assert_int_equal(sequence(fixture, 42, "second"), TLY_SEQUENCE_NEXT);
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  assert_int_equal(sequence(fixture, 42, "second"), TLY_SEQUENCE_REPEATED);
  append(fixture, 0, 0, 10);
  archive_fixture_seal(fixture, true); /* the replies go along into the new active file */
  assert_int_equal(sequence(fixture, 41, "first"), TLY_SEQUENCE_REPEATED);
  assert_int_equal(sequence(fixture, 44, NULL), TLY_SEQUENCE_GAP);
  for (int64_t number = 43; number < 43 + TLY_PRODUCER_REPLIES_KEPT; number++)
    assert_int_equal(sequence(fixture, number, "many"), TLY_SEQUENCE_NEXT);
  assert_int_equal(sequence(fixture, 41, NULL), TLY_SEQUENCE_REPEATED); /* its words are gone, not its effect */
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static void reopen_as(struct archive_fixture *fixture, const char *definition, enum tly_status expected) {
  struct tly_diagnostics diagnostics;
  struct tly_error error = TLY_ERROR_NONE;
  archive_fixture_close(fixture);
  tly_event_batch_free(&fixture->batch);
  tly_decoder_free(fixture->decoder);
  tly_project_free(fixture->project);
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("test.sql", definition, &diagnostics, &fixture->project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  fixture->stream = &fixture->project->streams[0];
  fixture->decoder = tly_decoder_new(fixture->stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&fixture->batch, fixture->stream);
  enum tly_status status =
      tly_archive_writer_open(fixture->directory, fixture->project, &tly_clock_real, &fixture->writer, &error);
  if (status != expected)
    fail_msg("%s: %s", tly_status_name(status), error.message);
  if (expected != TLY_OK)
    assert_true(strlen(error.hint) > 0);
}

#define PAYMENTS(columns)                                                                                              \
  "CREATE FOREIGN TABLE payments (" columns ") SERVER embedded OPTIONS (format 'json', event_time 'at');"
#define FIRST_COLUMNS "payment_id text NOT NULL, account text, amount numeric(18,2) NOT NULL,"

#define LAST_COLUMNS " free numeric, big numeric(38,6), at timestamptz"

static void a_changed_stream_is_refused_and_an_added_nullable_column_is_decoded_from_old_events(void **state) {
  struct archive_fixture *fixture = *state;
  archive_fixture_free(fixture);
  archive_fixture_init(fixture, PAYMENTS(FIRST_COLUMNS LAST_COLUMNS));
  archive_fixture_open(fixture);
  append(fixture, 0, 0, 500);
  archive_fixture_seal(fixture, true);
  append(fixture, 0, 500, 500);
  reopen_as(fixture, PAYMENTS(FIRST_COLUMNS " at timestamptz"), TLY_E_CONFIG);
  reopen_as(fixture, PAYMENTS("payment_id text NOT NULL, account text, amount numeric(18,3) NOT NULL," LAST_COLUMNS),
            TLY_E_CONFIG);
  reopen_as(fixture, PAYMENTS(FIRST_COLUMNS LAST_COLUMNS ", extra bigint NOT NULL"), TLY_E_CONFIG);
  reopen_as(fixture, PAYMENTS(FIRST_COLUMNS LAST_COLUMNS), TLY_OK);
  reopen_as(fixture,
            PAYMENTS(FIRST_COLUMNS " note text OPTIONS (path 'more.note')," LAST_COLUMNS ", rate double precision"),
            TLY_OK);
  append(fixture, 0, 1000, 100);
  assert_int_equal(archive_fixture_check(fixture, 0),
                   1100); /* old blocks' new columns are decoded from their payloads */
  archive_fixture_seal(fixture, true);
  assert_int_equal(archive_fixture_check(fixture, 0), 1100);
  assert_int_equal(archive_fixture_verify(fixture), 0);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void a_full_disk_takes_the_group_back_and_the_writer_goes_on_when_there_is_room(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_error error = TLY_ERROR_NONE;
  append(fixture, 0, 0, 100);
  for (long operation = 1; operation < 12; operation++) {
    fault_vfs_set(FAULT_DISK_FULL, operation);
    if (archive_fixture_append(fixture, 0, 100, 3000, &error) == TLY_OK)
      break;
    assert_int_equal(error.status, TLY_E_DISK_FULL);
    assert_false(tly_archive_writer_is_broken(fixture->writer));
  }
  fault_vfs_set(FAULT_NONE, 0);
  uint64_t stored = archive_fixture_check(fixture, 0);
  if (stored == 100)
    append(fixture, 0, 100, 3000);
  assert_int_equal(archive_fixture_check(fixture, 0), 3100);
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  append(fixture, 0, 3100, 10);
  assert_int_equal(archive_fixture_check(fixture, 0), 3110);
  assert_int_equal(archive_fixture_verify(fixture), 0);
}

static void after_a_failed_sync_the_file_is_left_and_its_events_are_copied_into_a_new_one(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_seal_job job;
  bool spoilt;
  append(fixture, 0, 0, 100);
  assert_int_equal(sequence(fixture, 7, "seven"), TLY_SEQUENCE_NEXT);
  fault_vfs_set(FAULT_SYNC, 1);
  assert_int_not_equal(archive_fixture_append(fixture, 0, 100, 50, &error), TLY_OK);
  assert_true(fault_vfs_met());
  fault_vfs_set(FAULT_NONE, 0);
  assert_true(tly_archive_writer_is_broken(fixture->writer));
  assert_int_not_equal(archive_fixture_append(fixture, 0, 100, 50, &error), TLY_OK); /* never again */
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  assert_true(tly_archive_writer_next_to_seal(fixture->writer, &job.stream, &job.number, &job.sealed_number, &spoilt));
  assert_true(spoilt);
  archive_fixture_seal(fixture, false);
  uint64_t stored = archive_fixture_check(fixture, 0);
  assert_true(stored == 100 || stored == 150); /* what was never acknowledged may be there, whole */
  assert_int_equal(sequence(fixture, 7, "seven"), TLY_SEQUENCE_REPEATED);
  append(fixture, 0, stored, 10);
  assert_int_equal(archive_fixture_check(fixture, 0), stored + 10);
  assert_int_equal(archive_fixture_verify(fixture), 0);
}

static void an_index_with_a_failed_sync_is_rewritten(void **state) {
  struct archive_fixture *fixture = *state;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_arena arena;
  struct tly_cut made;
  tly_archive_reader *reader;
  struct tly_cut *cuts;
  uint32_t count;
  tly_arena_init(&arena);
  append(fixture, 0, 0, 100);
  assert_int_equal(cut(fixture, &arena).number, 1);
  assert_int_equal(tly_archive_reader_open(fixture->directory, fixture->project, &reader, &error), TLY_OK);
  fault_vfs_set(FAULT_SYNC, 1);
  assert_int_not_equal(tly_archive_writer_cut(fixture->writer, NULL, 0, &arena, &made, &error), TLY_OK);
  fault_vfs_set(FAULT_NONE, 0);
  assert_true(tly_archive_writer_is_broken(fixture->writer));
  archive_fixture_close(fixture);
  archive_fixture_open(fixture);
  int64_t next = cut(fixture, &arena).number;
  assert_true(next == 2 || next == 3);
  append(fixture, 0, 100, 5);
  /* A reader that had the old index open meets the new one. */
  assert_int_equal(tly_archive_reader_cuts(reader, 0, &arena, &cuts, &count, &error), TLY_OK);
  assert_int_equal(cuts[count - 1].number, next);
  tly_archive_reader_close(reader);
  assert_int_equal(archive_fixture_check(fixture, 0), 105);
  tly_arena_free(&arena);
}

/* ---- kills ------------------------------------------------------------------------------------------------------- */

/* What a killed child has told: how far events were acknowledged, and the last cut it was given. */
struct told {
  uint64_t acknowledged;
  int64_t cut;
};

static void tell(int pipe_fd, struct told told) {
  if (write(pipe_fd, &told, sizeof told) != (ssize_t)sizeof told)
    _exit(1);
}

/* Appends, cuts and seals in a child; every acknowledgement is told through the pipe. */
static void live(struct archive_fixture *fixture, int pipe_fd, long kill_at) {
  struct tly_arena arena;
  struct told told = {0};
  tly_arena_init(&arena);
  fault_vfs_set(FAULT_KILL, kill_at);
  archive_fixture_open(fixture);
  tly_arena_init(&arena);
  struct tly_position *positions;
  uint32_t count;
  tly_archive_writer_positions(fixture->writer, &arena, &positions, &count);
  told.acknowledged = count == 0 ? 0 : (uint64_t)positions[0].next_offset;
  for (int step = 0; step < 4; step++) {
    append(fixture, 0, told.acknowledged, 30);
    told.acknowledged += 30;
    tell(pipe_fd, told);
    if (step == 1 || step == 3) {
      told.cut = cut(fixture, &arena).number;
      tell(pipe_fd, told);
    }
    if (step == 2)
      archive_fixture_seal(fixture, true);
  }
  archive_fixture_close(fixture);
  _exit(0);
}

static bool child_was_killed(struct archive_fixture *fixture, long kill_at, struct told *told) {
  int pipe_fds[2], result;
  assert_int_equal(pipe(pipe_fds), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    live(fixture, pipe_fds[1], kill_at);
  close(pipe_fds[1]);
  struct told last;
  while (read(pipe_fds[0], &last, sizeof last) == (ssize_t)sizeof last)
    *told = last;
  close(pipe_fds[0]);
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_true(WIFEXITED(result) && (WEXITSTATUS(result) == 0 || WEXITSTATUS(result) == FAULT_EXIT));
  return WEXITSTATUS(result) == FAULT_EXIT;
}

static void check_after_kill(struct archive_fixture *fixture, struct told told) {
  archive_fixture_open(fixture);
  uint64_t stored = archive_fixture_check(fixture, 0);
  assert_true(stored >= told.acknowledged && stored <= told.acknowledged + 30);
  assert_true(tly_archive_writer_last_cut(fixture->writer) >= told.cut);
  archive_fixture_seal(fixture, false);
  assert_int_equal(archive_fixture_check(fixture, 0), stored);
  assert_int_equal(archive_fixture_verify(fixture), 0);
  archive_fixture_close(fixture);
}

static void killed_at_any_write_it_has_every_acknowledged_event_once(void **state) {
  struct archive_fixture *fixture = *state;
  archive_fixture_close(fixture);
  long step = getenv("TALLY_LONG") != NULL ? 1 : 3;
  int kills = 0;
  for (long kill_at = 1;; kill_at += step) {
    struct archive_fixture fresh;
    struct told told = {0};
    archive_fixture_init(&fresh, archive_fixture_definition);
    bool was_killed = child_was_killed(&fresh, kill_at, &told);
    check_after_kill(&fresh, told);
    if (was_killed && kill_at % 2 == 0) { /* and killed once more in its second life */
      told = (struct told){.cut = told.cut};
      struct told again = told;
      (void)child_was_killed(&fresh, kill_at / 2 + 1, &again);
      if (again.acknowledged > 0)
        check_after_kill(&fresh, again);
    }
    archive_fixture_free(&fresh);
    if (!was_killed)
      break;
    kills++;
  }
  print_message("%d kill points\n", kills);
  assert_true(kills > 20);
  archive_fixture_open(fixture);
}

int main(void) {
  tly_sqlite_setup();
  fault_vfs_register();
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(events_come_back_bit_for_bit_from_active_and_sealed_files),
      TEST(small_batches_of_one_group_become_one_block),
      TEST(a_block_is_found_again_after_its_file_was_rewritten),
      TEST(who_holds_the_files_reads_small_blocks_as_they_were_listed),
      TEST(the_chain_is_the_same_before_and_after_sealing),
      TEST(a_column_of_ever_new_texts_stops_using_its_dictionary),
      TEST(large_events_are_sealed_into_blocks_that_a_reader_can_hold),
      TEST(a_cut_stays_where_it_was_made_and_later_blocks_are_of_the_next_generation),
      TEST(a_repeated_sequence_gets_its_first_reply_and_a_gap_is_refused),
      TEST(a_changed_stream_is_refused_and_an_added_nullable_column_is_decoded_from_old_events),
      TEST(a_full_disk_takes_the_group_back_and_the_writer_goes_on_when_there_is_room),
      TEST(after_a_failed_sync_the_file_is_left_and_its_events_are_copied_into_a_new_one),
      TEST(an_index_with_a_failed_sync_is_rewritten),
      TEST(killed_at_any_write_it_has_every_acknowledged_event_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
