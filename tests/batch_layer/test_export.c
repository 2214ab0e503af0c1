/* tests/batch_layer/test_export.c -- an export gives back the events that went in, byte for byte, in any range, however
 * the archive has cut them into blocks and files; and says what it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/archive/checksum.h"
#include "common/archive/export.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "tests/support/archive_fixture.h"

enum { EVENTS = 40, GROUPS = 5, ALL = EVENTS * GROUPS };

struct rig {
  struct archive_fixture archive;
  struct tly_arena arena;
  struct tly_error error;
  struct tly_export_summary summary;
  struct tly_export_request request; /* all of the stream, raw */
  char path[128];
  struct tly_buffer content; /* of the file, after a good export */
};

static void append(struct rig *rig, uint32_t partition, uint64_t first, uint32_t count) {
  if (archive_fixture_append(&rig->archive, partition, first, count, &rig->error) != TLY_OK)
    fail_msg("append: %s", rig->error.message);
}

static void set_up_with(void **state, const char *definition) {
  struct rig *rig = calloc(1, sizeof *rig);
  archive_fixture_init(&rig->archive, definition);
  archive_fixture_open(&rig->archive);
  tly_arena_init(&rig->arena);
  snprintf(rig->path, sizeof rig->path, "%s/out", rig->archive.directory);
  rig->request = (struct tly_export_request){.directory = rig->archive.directory,
                                             .project = rig->archive.project,
                                             .stream = rig->archive.stream,
                                             .partition = -1,
                                             .to_offset = INT64_MAX};
  *state = rig;
}

/* Partition 0 in five blocks. */
static int set_up(void **state) {
  set_up_with(state, archive_fixture_definition);
  for (uint64_t group = 0; group < GROUPS; group++)
    append(*state, 0, group * EVENTS, EVENTS);
  return 0;
}

static int tear_down(void **state) {
  struct rig *rig = *state;
  archive_fixture_free(&rig->archive);
  tly_arena_free(&rig->arena);
  tly_buffer_free(&rig->content);
  free(rig);
  return 0;
}

static void read_content(struct rig *rig) {
  tly_buffer_clear(&rig->content);
  if (tly_file_read(rig->path, SIZE_MAX, &rig->content, &rig->error) != TLY_OK)
    fail_msg("%s", rig->error.message);
}

static void export_all(struct rig *rig) {
  rig->error = TLY_ERROR_NONE;
  if (tly_archive_export(&rig->request, rig->path, &rig->arena, &rig->summary, &rig->error) != TLY_OK)
    fail_msg("export: %s", rig->error.message);
  read_content(rig);
}

static void expect_refused(struct rig *rig, enum tly_status status, const char *words) {
  rig->error = TLY_ERROR_NONE;
  assert_int_equal(tly_archive_export(&rig->request, rig->path, &rig->arena, &rig->summary, &rig->error), status);
  if (strstr(rig->error.message, words) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", rig->error.message, words);
}

/* The lines of the events first .. last - 1 are put behind `out`. */
static void expected_lines(uint64_t first, uint64_t last, struct tly_buffer *out) {
  struct tly_buffer event = {0};
  for (uint64_t i = first; i < last; i++) {
    archive_fixture_event(i, &event);
    tly_buffer_append(out, event.data, event.size);
    tly_buffer_append_byte(out, '\n');
  }
  tly_buffer_free(&event);
}

static void assert_content(struct rig *rig, const struct tly_buffer *wanted) {
  assert_int_equal(rig->content.size, wanted->size);
  if (wanted->size > 0)
    assert_memory_equal(rig->content.data, wanted->data, wanted->size);
}

static void assert_range(struct rig *rig, uint64_t first, uint64_t last) {
  struct tly_buffer wanted = {0};
  expected_lines(first, last, &wanted);
  assert_content(rig, &wanted);
  assert_int_equal(rig->summary.events, last - first);
  tly_buffer_free(&wanted);
}

static json_t *manifest_of(const struct rig *rig) {
  char path[160];
  snprintf(path, sizeof path, "%s.manifest.json", rig->path);
  json_t *manifest = json_load_file(path, 0, NULL);
  assert_non_null(manifest);
  return manifest;
}

static void hash_text(const struct tly_hash *hash, char text[33]) {
  for (size_t i = 0; i < sizeof hash->bytes; i++)
    snprintf(text + 2 * i, 3, "%02x", hash->bytes[i]);
}

static void assert_hash(const struct tly_hash *hash, const json_t *text) {
  char wanted[33];
  hash_text(hash, wanted);
  assert_string_equal(json_string_value(text), wanted);
}

/* The running hash over events 0 .. count - 1, from their bytes alone. */
static tly_chain chain_of(uint64_t count) {
  struct tly_buffer event = {0};
  tly_chain chain = {{0}};
  for (uint64_t i = 0; i < count; i++) {
    archive_fixture_event(i, &event);
    chain = tly_chain_next(chain, event.data, event.size);
  }
  tly_buffer_free(&event);
  return chain;
}

static struct tly_hash hash_of(const void *bytes, size_t size) {
  struct tly_checksum checksum;
  tly_checksum_begin(&checksum);
  tly_checksum_add(&checksum, bytes, size);
  return tly_checksum_end(&checksum);
}

/* ---- raw --------------------------------------------------------------------------------------------------------- */

static void raw_gives_every_event_as_it_was_received(void **state) {
  struct rig *rig = *state;
  export_all(rig);
  assert_range(rig, 0, ALL);
}

static void raw_is_the_same_from_active_and_sealed_files(void **state) {
  struct rig *rig = *state;
  archive_fixture_seal(&rig->archive, true);
  append(rig, 0, ALL, EVENTS);
  export_all(rig);
  assert_range(rig, 0, ALL + EVENTS);
  archive_fixture_seal(&rig->archive, true);
  export_all(rig);
  assert_range(rig, 0, ALL + EVENTS);
}

static void offsets_may_lie_at_and_inside_blocks(void **state) {
  struct rig *rig = *state;
  static const int64_t places[] = {0, 1, EVENTS - 1, EVENTS, EVENTS + 1, 2 * EVENTS + 7, ALL - 1, ALL};
  enum { PLACES = sizeof places / sizeof places[0] };
  for (int sealed = 0; sealed < 2; sealed++) {
    for (int a = 0; a < PLACES; a++)
      for (int b = a; b < PLACES; b++) {
        rig->request.from_offset = places[a];
        rig->request.to_offset = places[b];
        export_all(rig);
        assert_range(rig, (uint64_t)places[a], (uint64_t)places[b]);
        const struct tly_export_partition *partition = &rig->summary.partitions[0];
        assert_int_equal(partition->first_offset, places[a]);
        assert_int_equal(partition->next_offset, places[b]);
        assert_true(tly_hash_equal(partition->chain_first, chain_of((uint64_t)places[a])));
        assert_true(tly_hash_equal(partition->chain_next, chain_of((uint64_t)places[b])));
      }
    archive_fixture_seal(&rig->archive, true);
  }
}

static void partitions_follow_each_other_and_one_can_be_chosen(void **state) {
  struct rig *rig = *state;
  struct tly_buffer wanted = {0};
  append(rig, 7, 1000, 3);
  append(rig, 2, 500, 2);
  export_all(rig);
  expected_lines(0, ALL, &wanted);
  expected_lines(500, 502, &wanted);
  expected_lines(1000, 1003, &wanted);
  assert_content(rig, &wanted);
  assert_int_equal(rig->summary.partition_count, 3);
  rig->request.partition = 7;
  export_all(rig);
  tly_buffer_clear(&wanted);
  expected_lines(1000, 1003, &wanted);
  assert_content(rig, &wanted);
  rig->request.partition = 3;
  expect_refused(rig, TLY_E_UNDEFINED_OBJECT, "no events in partition 3");
  tly_buffer_free(&wanted);
}

static void a_cut_names_exactly_the_events_below_it(void **state) {
  struct rig *rig = *state;
  struct tly_cut cut;
  assert_int_equal(tly_archive_writer_cut(rig->archive.writer, NULL, 0, &rig->arena, &cut, &rig->error), TLY_OK);
  append(rig, 0, ALL, EVENTS);
  append(rig, 1, 0, EVENTS);
  rig->request.cut = cut.number;
  for (int sealed = 0; sealed < 2; sealed++) {
    export_all(rig);
    assert_range(rig, 0, ALL);
    assert_int_equal(rig->summary.partitions[1].next_offset, 0); /* it had no events then */
    assert_true(tly_hash_equal(rig->summary.partitions[0].chain_next, cut.positions[0].chain));
    archive_fixture_seal(&rig->archive, true);
  }
  rig->request.cut = cut.number + 1;
  expect_refused(rig, TLY_E_UNDEFINED_OBJECT, "no cut");
}

static void an_empty_stream_gives_an_empty_export_with_a_manifest(void **state) {
  struct rig *rig = *state;
  export_all(rig);
  assert_int_equal(rig->content.size, 0);
  json_t *manifest = manifest_of(rig);
  assert_int_equal(json_integer_value(json_object_get(manifest, "events")), 0);
  assert_int_equal(json_array_size(json_object_get(manifest, "partitions")), 0);
  json_decref(manifest);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static bool has_time_in(const struct tly_event_batch *batch, uint32_t row, int64_t from_us, int64_t to_us) {
  const struct tly_vector *times = &batch->columns[batch->stream->event_time];
  return !tly_vector_is_null(times, row) && times->i64[row] >= from_us && times->i64[row] < to_us;
}

/* Every event is decoded anew and looked at by itself. */
static void expected_by_time(struct rig *rig, int64_t from_us, int64_t to_us, struct tly_buffer *out) {
  archive_fixture_decode(&rig->archive, 0, ALL);
  tly_buffer_clear(out);
  for (uint32_t row = 0; row < ALL; row++)
    if (has_time_in(&rig->archive.batch, row, from_us, to_us))
      expected_lines(row, row + 1, out);
}

static void a_range_of_event_time_is_half_open_and_leaves_out_events_without_one(void **state) {
  struct rig *rig = *state;
  struct tly_buffer wanted = {0};
  int64_t start = tly_days_of_civil(2026, 3, 1) * TLY_US_PER_DAY, minute = 60 * TLY_US_PER_SECOND;
  static const int64_t minutes[] = {-1, 0, 1, 39, 40, 41, 95, 199, 200, 3000};
  enum { PLACES = sizeof minutes / sizeof minutes[0] };
  rig->request.has_from = rig->request.has_to = true;
  for (int a = 0; a < PLACES; a++)
    for (int b = a; b < PLACES; b++) {
      rig->request.from_us = start + minutes[a] * minute;
      rig->request.to_us = start + minutes[b] * minute;
      export_all(rig);
      expected_by_time(rig, rig->request.from_us, rig->request.to_us, &wanted);
      assert_content(rig, &wanted);
      assert_int_equal(rig->summary.partitions[0].next_offset, ALL); /* what was read, not what was chosen */
    }
  tly_buffer_free(&wanted);
}

static void a_time_range_that_was_changed_behind_its_checksum_is_damage(void **state) {
  struct rig *rig = *state;
  sqlite3 *database;
  char path[128];
  archive_fixture_close(&rig->archive);
  snprintf(path, sizeof path, "%s/archive/payments/1.db", rig->archive.directory);
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, "UPDATE block SET time_min = 5, time_max = 6 WHERE id = 2", NULL, NULL, NULL),
                   SQLITE_OK);
  rig->request.has_from = true;
  rig->request.from_us = 7; /* by its own word the block would be left out */
  expect_refused(rig, TLY_E_CORRUPT, "block 2 of");
  sqlite3_close(database);
}

/* ---- typed forms ------------------------------------------------------------------------------------------------- */

static void assert_line(const struct rig *rig, size_t number, const char *wanted) {
  const char *line = (const char *)rig->content.data, *end = line + rig->content.size;
  for (size_t i = 0; i < number; i++)
    line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
  const char *stop = memchr(line, '\n', (size_t)(end - line));
  assert_non_null(stop);
  if (strlen(wanted) != (size_t)(stop - line) || memcmp(wanted, line, strlen(wanted)) != 0)
    fail_msg("line %zu is %.*s", number, (int)(stop - line), line);
}

static void ndjson_has_the_columns_as_the_protocol_prints_them(void **state) {
  struct rig *rig = *state;
  rig->request.form = TLY_EXPORT_NDJSON;
  export_all(rig);
  assert_line(rig, 1,
              "{\"payment_id\":\"p-00000001\",\"account\":\"A-419\",\"amount\":\"1.01\",\"note\":\"n1\",\"rate\":null,"
              "\"free\":null,\"big\":null,\"at\":\"2026-03-01T00:01:00Z\"}");
  assert_line(rig, 3,
              "{\"payment_id\":\"odd 3\",\"account\":null,\"amount\":\"3.50\",\"note\":null,\"rate\":null,"
              "\"free\":null,\"big\":null,\"at\":null}");
  assert_line(rig, 11,
              "{\"payment_id\":\"caf\xc3\xa9 11\",\"account\":null,\"amount\":\"-0.10\",\"note\":null,\"rate\":null,"
              "\"free\":\"11.000100\",\"big\":\"12345678901234567890123456789.000011\","
              "\"at\":\"2026-03-02T10:00:00.5Z\"}");
}

static void chosen_columns_come_in_the_order_asked_for_with_their_positions(void **state) {
  struct rig *rig = *state;
  static const uint32_t columns[] = {7, 0};
  rig->request.columns = columns;
  rig->request.column_count = 2;
  rig->request.with_positions = true;
  rig->request.from_offset = EVENTS + 1;
  rig->request.form = TLY_EXPORT_NDJSON;
  export_all(rig);
  assert_line(rig, 0, "{\"_partition\":0,\"_offset\":41,\"at\":null,\"payment_id\":\"p41\"}");
  rig->request.form = TLY_EXPORT_CSV;
  export_all(rig);
  assert_line(rig, 0, "_partition,_offset,at,payment_id");
  assert_line(rig, 1, "0,41,,p41");
  assert_line(rig, 2, "0,42,2026-03-01 00:42:00+00,p-00000042");
}

static void csv_tells_null_from_an_empty_text(void **state) {
  struct rig *rig = *state;
  rig->request.form = TLY_EXPORT_CSV;
  export_all(rig);
  assert_line(rig, 0, "payment_id,account,amount,note,rate,free,big,at");
  assert_line(rig, 1 + 13, "\"\",,13.00,,1e-300,,,");
}

static void typed_forms_are_the_same_from_active_and_sealed_files(void **state) {
  struct rig *rig = *state;
  struct tly_buffer before = {0};
  rig->request.form = TLY_EXPORT_NDJSON;
  export_all(rig);
  tly_buffer_append(&before, rig->content.data, rig->content.size);
  archive_fixture_seal(&rig->archive, true);
  export_all(rig);
  assert_content(rig, &before);
  tly_buffer_free(&before);
}

/* ---- CSV streams ------------------------------------------------------------------------------------------------- */

static const char csv_definition[] = "CREATE FOREIGN TABLE rows (name text, n integer) SERVER embedded"
                                     " OPTIONS (format 'csv');";

static void append_csv(struct rig *rig, const char *header, const char *records) {
  struct archive_fixture *archive = &rig->archive;
  tly_decoder *decoder = tly_decoder_new(archive->stream, TLY_FORMAT_CSV);
  struct tly_text text = {.data = header, .size = (uint32_t)strlen(header)};
  size_t consumed;
  uint64_t lines;
  assert_int_equal(tly_decoder_set_header(decoder, header, strlen(header), &rig->error), TLY_OK);
  assert_int_equal(
      tly_decoder_decode(decoder, records, strlen(records), 0, &archive->batch, &consumed, &lines, &rig->error),
      TLY_OK);
  assert_int_equal(consumed, strlen(records));
  assert_int_equal(archive->batch.rejection_count, 0);
  assert_int_equal(tly_archive_writer_begin(archive->writer, archive->stream, &rig->error), TLY_OK);
  assert_int_equal(tly_archive_writer_append(archive->writer, 0, &archive->batch, TLY_FORMAT_CSV, text, &rig->error),
                   TLY_OK);
  assert_int_equal(tly_archive_writer_commit(archive->writer, &rig->error), TLY_OK);
  tly_decoder_free(decoder);
}

static int set_up_csv(void **state) {
  set_up_with(state, csv_definition);
  append_csv(*state, "n,name,more", "1,\"a\nb\",x\n2,\"\"\"\",\n");
  append_csv(*state, "n,name,more", "3,,\n");
  return 0;
}

static int set_up_empty(void **state) {
  set_up_with(state, archive_fixture_definition);
  return 0;
}

static void a_csv_stream_comes_back_under_its_header(void **state) {
  struct rig *rig = *state;
  struct tly_buffer wanted = {0};
  tly_buffer_append_text(&wanted, "n,name,more\n1,\"a\nb\",x\n2,\"\"\"\",\n3,,\n");
  export_all(rig);
  assert_content(rig, &wanted);
  archive_fixture_seal(&rig->archive, true);
  export_all(rig);
  assert_content(rig, &wanted);
  rig->request.from_offset = 2;
  export_all(rig);
  assert_string_equal(tly_buffer_text(&rig->content), "n,name,more\n3,,\n");
  tly_buffer_free(&wanted);
}

static void another_header_ends_a_raw_export_with_the_offset_it_begins_at(void **state) {
  struct rig *rig = *state;
  append_csv(rig, "name,n", "x,4\n");
  expect_refused(rig, TLY_E_FILE_FORMAT, "from offset 3 of partition 0 on");
  assert_non_null(strstr(rig->error.hint, "--to-offset 3"));
  assert_false(tly_file_exists(rig->path));
  rig->request.from_offset = 3;
  export_all(rig);
  assert_string_equal(tly_buffer_text(&rig->content), "name,n\nx,4\n");
  rig->request.from_offset = 0;
  rig->request.form = TLY_EXPORT_CSV;
  export_all(rig);
  assert_string_equal(tly_buffer_text(&rig->content), "name,n\n\"a\nb\",1\n\"\"\"\",2\n,3\nx,4\n");
}

/* ---- the file and its manifest ----------------------------------------------------------------------------------- */

static void the_manifest_says_what_the_file_holds(void **state) {
  struct rig *rig = *state;
  rig->request.from_offset = 3;
  rig->request.to_offset = ALL - 3;
  export_all(rig);
  json_t *manifest = manifest_of(rig), *partition = json_array_get(json_object_get(manifest, "partitions"), 0);
  struct tly_hash hash = hash_of(rig->content.data, rig->content.size);
  tly_chain first = chain_of(3), next = chain_of(ALL - 3);
  assert_string_equal(json_string_value(json_object_get(manifest, "stream")), "payments");
  assert_hash(&rig->archive.stream->hash, json_object_get(manifest, "definition"));
  assert_int_equal(json_integer_value(json_object_get(manifest, "events")), ALL - 6);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(manifest, "file"), "bytes")), rig->content.size);
  assert_hash(&hash, json_object_get(json_object_get(manifest, "file"), "xxh3_128"));
  assert_int_equal(json_integer_value(json_object_get(partition, "first_offset")), 3);
  assert_int_equal(json_integer_value(json_object_get(partition, "next_offset")), ALL - 3);
  assert_hash(&first, json_object_get(partition, "chain_first"));
  assert_hash(&next, json_object_get(partition, "chain_next"));
  json_t *time = json_object_get(manifest, "event_time");
  assert_string_equal(json_string_value(json_object_get(time, "min")), "2026-03-01T00:04:00Z");
  assert_string_equal(json_string_value(json_object_get(time, "max")), "2026-03-02T10:00:00.5Z");
  json_decref(manifest);
}

static void the_same_export_has_the_same_manifest_from_active_and_sealed_files(void **state) {
  struct rig *rig = *state;
  rig->request.from_offset = EVENTS / 2;
  rig->request.is_compressed = true;
  export_all(rig);
  json_t *before = manifest_of(rig);
  archive_fixture_seal(&rig->archive, true);
  export_all(rig);
  json_t *after = manifest_of(rig);
  assert_true(json_equal(before, after));
  json_decref(before);
  json_decref(after);
}

static void compressed_content_is_that_of_the_plain_export(void **state) {
  struct rig *rig = *state;
  export_all(rig);
  struct tly_export_digest plain = rig->summary.file;
  rig->request.is_compressed = true;
  export_all(rig);
  assert_int_equal(rig->summary.content.bytes, plain.bytes);
  assert_true(tly_hash_equal(rig->summary.content.hash, plain.hash));
  assert_int_equal(rig->summary.file.bytes, rig->content.size);
  assert_true(rig->content.size < plain.bytes / 2);
  assert_memory_equal(rig->content.data, "\x28\xb5\x2f\xfd", 4); /* a zstd frame */
}

static void more_than_a_chunk_comes_back_whole(void **state) {
  struct rig *rig = *state;
  uint64_t count = ALL;
  while (count < 12000) {
    append(rig, 0, count, 1000);
    count += 1000;
  }
  export_all(rig);
  assert_true(rig->content.size > 4 * TLY_EXPORT_CHUNK_BYTES);
  assert_range(rig, 0, count);
  struct tly_hash hash = hash_of(rig->content.data, rig->content.size);
  assert_true(tly_hash_equal(hash, rig->summary.file.hash));
}

/* ---- an archive that changes meanwhile --------------------------------------------------------------------------- */

struct intruder {
  struct rig *rig;
  bool came;
};

/* Seals the file that is being read, and appends to a new one. */
static void intrude(void *context, uint64_t done, uint64_t all) {
  struct intruder *intruder = context;
  if (intruder->came || done < all / 4)
    return;
  intruder->came = true;
  archive_fixture_seal(&intruder->rig->archive, true);
  append(intruder->rig, 0, all, 5);
}

enum { SMALL = 3, SMALL_GROUPS = TLY_EXPORT_BLOCKS_LISTED + 50 };

/* The first list names small blocks, the second one begins inside the large one that they have become. */
static void an_export_goes_on_when_its_file_is_sealed_and_ends_where_it_planned(void **state) {
  struct rig *rig = *state;
  struct intruder intruder = {.rig = rig};
  for (uint64_t i = 0; i < SMALL_GROUPS; i++)
    append(rig, 0, i * SMALL, SMALL);
  rig->request.progress = intrude;
  rig->request.context = &intruder;
  export_all(rig);
  assert_true(intruder.came);
  assert_range(rig, 0, SMALL * SMALL_GROUPS);
}

static void a_time_range_is_right_when_its_file_is_sealed_meanwhile(void **state) {
  struct rig *rig = *state;
  struct intruder intruder = {.rig = rig, .came = true};
  struct tly_buffer before = {0};
  for (uint64_t i = 0; i < SMALL_GROUPS; i++)
    append(rig, 0, i * SMALL, SMALL);
  rig->request.progress = intrude;
  rig->request.context = &intruder;
  rig->request.has_from = true;
  rig->request.from_us = tly_days_of_civil(2026, 3, 2) * TLY_US_PER_DAY; /* about the last hundred events */
  export_all(rig);
  tly_buffer_append(&before, rig->content.data, rig->content.size);
  assert_true(before.size > 0);
  intruder.came = false;
  export_all(rig);
  assert_true(intruder.came);
  assert_content(rig, &before);
  tly_buffer_free(&before);
}

/* ---- damage and refusals ----------------------------------------------------------------------------------------- */

static void a_damaged_block_is_named_and_the_file_stays_as_it_was(void **state) {
  struct rig *rig = *state;
  sqlite3 *database;
  char path[128], temporary[160];
  struct tly_buffer wanted = {0};
  expected_lines(0, ALL, &wanted);
  export_all(rig);
  json_t *before = manifest_of(rig);
  archive_fixture_close(&rig->archive);
  snprintf(path, sizeof path, "%s/archive/payments/1.db", rig->archive.directory);
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(
      sqlite3_exec(database, "UPDATE block SET raw = zeroblob(length(raw)) WHERE id = 3", NULL, NULL, NULL), SQLITE_OK);
  expect_refused(rig, TLY_E_CORRUPT, "block 3 of");
  assert_non_null(strstr(rig->error.message, "1.db"));
  snprintf(temporary, sizeof temporary, "%s.tmp", rig->path);
  assert_false(tly_file_exists(temporary));
  read_content(rig);
  assert_content(rig, &wanted);
  json_t *after = manifest_of(rig);
  assert_true(json_equal(before, after));
  json_decref(before);
  json_decref(after);
  rig->request.to_offset = 2 * EVENTS; /* what stands before it can be had */
  export_all(rig);
  assert_range(rig, 0, 2 * EVENTS);
  tly_buffer_free(&wanted);
  sqlite3_close(database);
}

static void a_block_that_is_gone_is_an_error(void **state) {
  struct rig *rig = *state;
  sqlite3 *database;
  char path[128];
  archive_fixture_close(&rig->archive);
  snprintf(path, sizeof path, "%s/archive/payments/1.db", rig->archive.directory);
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, "DELETE FROM block WHERE id = 3", NULL, NULL, NULL), SQLITE_OK);
  expect_refused(rig, TLY_E_CORRUPT, "does not continue");
  assert_false(tly_file_exists(rig->path));
  rig->request.from_offset = 2 * EVENTS + 5;
  expect_refused(rig, TLY_E_CORRUPT, "continue");
  sqlite3_close(database);
}

static void events_missing_below_a_cut_are_an_error(void **state) {
  struct rig *rig = *state;
  struct tly_cut cut;
  sqlite3 *database;
  char path[128];
  assert_int_equal(tly_archive_writer_cut(rig->archive.writer, NULL, 0, &rig->arena, &cut, &rig->error), TLY_OK);
  archive_fixture_close(&rig->archive);
  snprintf(path, sizeof path, "%s/archive/payments/1.db", rig->archive.directory);
  assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, "DELETE FROM block WHERE id = 5", NULL, NULL, NULL), SQLITE_OK);
  rig->request.cut = cut.number;
  expect_refused(rig, TLY_E_CORRUPT, "before cut 1 are missing");
  sqlite3_close(database);
}

static void ranges_that_are_none_are_refused(void **state) {
  struct rig *rig = *state;
  rig->request.to_offset = ALL + 1;
  expect_refused(rig, TLY_E_INVALID_PARAMETER, "ends at offset 200");
  rig->request.to_offset = INT64_MAX;
  rig->request.from_offset = ALL + 1;
  expect_refused(rig, TLY_E_INVALID_PARAMETER, "ends at offset 200");
  rig->request.to_offset = 5;
  rig->request.from_offset = 6;
  expect_refused(rig, TLY_E_INVALID_PARAMETER, "no range");
  rig->request.from_offset = 0;
  rig->request.to_offset = INT64_MAX;
  rig->request.has_from = rig->request.has_to = true;
  rig->request.from_us = 1;
  expect_refused(rig, TLY_E_INVALID_PARAMETER, "ends before it begins");
}

static void a_file_that_another_export_is_writing_is_in_use(void **state) {
  struct rig *rig = *state;
  char temporary[160];
  int fd;
  snprintf(temporary, sizeof temporary, "%s.tmp", rig->path);
  assert_int_equal(tly_file_lock(temporary, true, &fd, &rig->error), TLY_OK);
  expect_refused(rig, TLY_E_IN_USE, "in use");
  close(fd);
  export_all(rig); /* what one that was killed has left is no obstacle */
  assert_range(rig, 0, ALL);
}

static void only_a_regular_file_is_replaced(void **state) {
  struct rig *rig = *state;
  assert_int_equal(mkfifo(rig->path, 0600), 0);
  expect_refused(rig, TLY_E_INVALID_PARAMETER, "not a regular file");
}

static void a_column_with_the_name_of_a_position_is_refused(void **state) {
  struct rig *rig = *state;
  rig->request.form = TLY_EXPORT_NDJSON;
  rig->request.with_positions = true;
  expect_refused(rig, TLY_E_DUPLICATE_COLUMN, "\"_offset\"");
}

static int set_up_offset_column(void **state) {
  set_up_with(state, "CREATE FOREIGN TABLE marks (_offset integer) SERVER embedded OPTIONS (format 'json');");
  return 0;
}

#define EXPORT_TEST(name, prepare) cmocka_unit_test_setup_teardown(name, prepare, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      EXPORT_TEST(raw_gives_every_event_as_it_was_received, set_up),
      EXPORT_TEST(raw_is_the_same_from_active_and_sealed_files, set_up),
      EXPORT_TEST(offsets_may_lie_at_and_inside_blocks, set_up),
      EXPORT_TEST(partitions_follow_each_other_and_one_can_be_chosen, set_up),
      EXPORT_TEST(a_cut_names_exactly_the_events_below_it, set_up),
      EXPORT_TEST(an_empty_stream_gives_an_empty_export_with_a_manifest, set_up_empty),
      EXPORT_TEST(a_range_of_event_time_is_half_open_and_leaves_out_events_without_one, set_up),
      EXPORT_TEST(a_time_range_that_was_changed_behind_its_checksum_is_damage, set_up),
      EXPORT_TEST(ndjson_has_the_columns_as_the_protocol_prints_them, set_up),
      EXPORT_TEST(chosen_columns_come_in_the_order_asked_for_with_their_positions, set_up),
      EXPORT_TEST(csv_tells_null_from_an_empty_text, set_up),
      EXPORT_TEST(typed_forms_are_the_same_from_active_and_sealed_files, set_up),
      EXPORT_TEST(a_csv_stream_comes_back_under_its_header, set_up_csv),
      EXPORT_TEST(another_header_ends_a_raw_export_with_the_offset_it_begins_at, set_up_csv),
      EXPORT_TEST(the_manifest_says_what_the_file_holds, set_up),
      EXPORT_TEST(the_same_export_has_the_same_manifest_from_active_and_sealed_files, set_up),
      EXPORT_TEST(compressed_content_is_that_of_the_plain_export, set_up),
      EXPORT_TEST(more_than_a_chunk_comes_back_whole, set_up),
      EXPORT_TEST(an_export_goes_on_when_its_file_is_sealed_and_ends_where_it_planned, set_up_empty),
      EXPORT_TEST(a_time_range_is_right_when_its_file_is_sealed_meanwhile, set_up_empty),
      EXPORT_TEST(a_damaged_block_is_named_and_the_file_stays_as_it_was, set_up),
      EXPORT_TEST(a_block_that_is_gone_is_an_error, set_up),
      EXPORT_TEST(events_missing_below_a_cut_are_an_error, set_up),
      EXPORT_TEST(ranges_that_are_none_are_refused, set_up),
      EXPORT_TEST(a_file_that_another_export_is_writing_is_in_use, set_up),
      EXPORT_TEST(only_a_regular_file_is_replaced, set_up),
      EXPORT_TEST(a_column_with_the_name_of_a_position_is_refused, set_up_offset_column),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
