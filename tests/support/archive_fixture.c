#include "tests/support/archive_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch_layer/seal.h"
#include "common/archive/verify.h"
#include "common/base/file.h"

const char archive_fixture_definition[] =
    "CREATE FOREIGN TABLE payments (payment_id text NOT NULL, account text, amount numeric(18,2) NOT NULL,"
    " note text OPTIONS (path 'more.note'), rate double precision, free numeric, big numeric(38,6), at timestamptz)"
    " SERVER embedded OPTIONS (format 'json', event_time 'at');"
    "CREATE MATERIALIZED VIEW totals AS SELECT account, sum(amount) AS total FROM payments GROUP BY account;";

#define MUST(call)                                                                                                     \
  do {                                                                                                                 \
    struct tly_error must_error = TLY_ERROR_NONE, *error = &must_error;                                                \
    if ((call) != TLY_OK)                                                                                              \
      fail_msg("%s: %s", #call, must_error.message);                                                                   \
  } while (0)

void archive_fixture_init(struct archive_fixture *fixture, const char *definition) {
  struct tly_diagnostics diagnostics;
  memset(fixture, 0, sizeof *fixture);
  tly_sqlite_setup();
  strcpy(fixture->directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tally-test-XXXXXX" : "/tmp/tally-test-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("test.sql", definition, &diagnostics, &fixture->project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  fixture->stream = &fixture->project->streams[0];
  fixture->decoder = tly_decoder_new(fixture->stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&fixture->batch, fixture->stream);
}

void archive_fixture_free(struct archive_fixture *fixture) {
  archive_fixture_close(fixture);
  tly_event_batch_free(&fixture->batch);
  tly_decoder_free(fixture->decoder);
  tly_project_free(fixture->project);
  tly_buffer_free(&fixture->lines);
  MUST(tly_file_remove_tree(fixture->directory, error));
}

void archive_fixture_open(struct archive_fixture *fixture) {
  MUST(tly_archive_writer_open(fixture->directory, fixture->project, &tly_clock_real, &fixture->writer, error));
}

void archive_fixture_close(struct archive_fixture *fixture) {
  tly_archive_writer_close(fixture->writer);
  fixture->writer = NULL;
}

void archive_fixture_event(uint64_t number, struct tly_buffer *out) {
  unsigned long long n = number;
  tly_buffer_clear(out);
  switch (number % 17) {
  case 3:
    tly_buffer_print(out, "{ \"payment_id\" : \"odd %llu\", \"amount\":%llu.5, \"unknown\":[1,{\"a\":null}] }", n, n);
    break;
  case 7:
    tly_buffer_print(out, "{\"payment_id\":\"\\u0070%llu\",\"amount\":1e2,\"account\":null,\"rate\":%llu.125}", n,
                     n % 9);
    break;
  case 11:
    tly_buffer_print(out,
                     "{\"payment_id\":\"caf\xc3\xa9 %llu\",\"amount\":\"-0.10\",\"free\":%llu.000100,"
                     "\"big\":12345678901234567890123456789.%06llu,\"at\":\"2026-03-02T12:00:00.5+02:00\"}",
                     n, n, n % 1000000);
    break;
  case 13: tly_buffer_print(out, "{\"amount\":%llu,\"payment_id\":\"\",\"rate\":1e-300}", n); break;
  default:
    tly_buffer_print(
        out,
        "{\"payment_id\":\"p-%08llu\",\"account\":\"A-%llu\",\"amount\":%llu.%02llu,\"more\":{\"note\":\"n%llu\"},"
        "\"at\":\"2026-03-%02lluT%02llu:%02llu:00Z\"}",
        n, n * 7919 % 500, n % 1000, n % 100, n % 3, 1 + n / 1440 % 28, n / 60 % 24, n % 60);
    break;
  }
}

void archive_fixture_decode(struct archive_fixture *fixture, uint64_t first, uint32_t count) {
  struct tly_buffer event = {0};
  size_t consumed;
  uint64_t lines;
  tly_buffer_clear(&fixture->lines);
  for (uint64_t i = first; i < first + count; i++) {
    archive_fixture_event(i, &event);
    tly_buffer_append(&fixture->lines, event.data, event.size);
    tly_buffer_append_byte(&fixture->lines, '\n');
  }
  tly_buffer_free(&event);
  MUST(tly_decoder_decode(fixture->decoder, tly_buffer_text(&fixture->lines), fixture->lines.size, 0, &fixture->batch,
                          &consumed, &lines, error));
  if (fixture->batch.rejection_count > 0)
    fail_msg("%s", fixture->batch.rejections[0].message);
  assert_int_equal(fixture->batch.count, count);
}

enum tly_status archive_fixture_append(struct archive_fixture *fixture, uint32_t partition, uint64_t first,
                                       uint32_t count, struct tly_error *error) {
  static const struct tly_text no_header = {.data = "", .size = 0};
  archive_fixture_decode(fixture, first, count);
  TLY_TRY(tly_archive_writer_begin(fixture->writer, fixture->stream, error));
  enum tly_status status =
      tly_archive_writer_append(fixture->writer, partition, &fixture->batch, TLY_FORMAT_JSON, no_header, error);
  if (status != TLY_OK) {
    tly_archive_writer_rollback(fixture->writer);
    return status;
  }
  return tly_archive_writer_commit(fixture->writer, error);
}

void archive_fixture_seal(struct archive_fixture *fixture, bool rotate) {
  struct tly_seal_job job = {.directory = fixture->directory};
  bool spoilt, has_events;
  if (rotate)
    MUST(tly_archive_writer_rotate(fixture->writer, fixture->stream, error));
  while (tly_archive_writer_next_to_seal(fixture->writer, &job.stream, &job.number, &job.sealed_number, &spoilt)) {
    MUST(tly_seal_run(&job, &has_events, error));
    MUST(tly_archive_writer_sealed(fixture->writer, job.stream, job.number, has_events ? job.sealed_number : 0, error));
  }
}

static void assert_same_value(const struct tly_vector *a, uint32_t row_a, const struct tly_vector *b, uint32_t row_b) {
  struct tly_buffer text_a = {0}, text_b = {0};
  struct tly_value value_a = tly_vector_value(a, row_a), value_b = tly_vector_value(b, row_b);
  assert_int_equal(value_a.is_null, value_b.is_null);
  tly_value_print(&value_a, &text_a);
  tly_value_print(&value_b, &text_b);
  assert_string_equal(tly_buffer_text(&text_a), tly_buffer_text(&text_b));
  tly_buffer_free(&text_a);
  tly_buffer_free(&text_b);
}

/* The events of a block that was read, against their payloads and against decoding them anew. */
static void check_block(struct archive_fixture *fixture, const struct tly_event_batch *read, uint64_t first) {
  struct tly_buffer event = {0};
  archive_fixture_decode(fixture, first, read->count);
  for (uint32_t i = 0; i < read->count; i++) {
    archive_fixture_event(first + i, &event);
    assert_int_equal(read->raw[i].size, event.size);
    assert_memory_equal(read->raw[i].data, event.data, event.size);
    for (uint32_t c = 0; c < fixture->stream->column_count; c++)
      assert_same_value(&read->columns[c], i, &fixture->batch.columns[c], i);
  }
  tly_buffer_free(&event);
}

uint64_t archive_fixture_check(struct archive_fixture *fixture, uint32_t partition) {
  tly_archive_reader *reader;
  struct tly_event_batch read;
  struct tly_arena arena;
  uint64_t next = 0;
  MUST(tly_archive_reader_open(fixture->directory, fixture->project, &reader, error));
  tly_event_batch_init(&read, fixture->stream);
  tly_arena_init(&arena);
  for (uint32_t count = 1; count > 0;) {
    struct tly_block_ref *refs;
    tly_arena_reset(&arena);
    MUST(tly_archive_reader_blocks(reader, fixture->stream, partition, (int64_t)next, INT64_MAX, 7, &arena, &refs,
                                   &count, error));
    for (uint32_t i = 0; i < count; i++) {
      assert_int_equal(refs[i].first_offset, next);
      MUST(tly_archive_reader_read(reader, fixture->stream, &refs[i], NULL, true, &read, error));
      assert_int_equal(read.count, refs[i].event_count);
      check_block(fixture, &read, next);
      next += read.count;
    }
  }
  tly_arena_free(&arena);
  tly_event_batch_free(&read);
  tly_archive_reader_close(reader);
  return next;
}

uint32_t archive_fixture_verify(struct archive_fixture *fixture) {
  struct tly_arena arena;
  struct tly_verify_report report;
  tly_arena_init(&arena);
  MUST(tly_archive_verify(fixture->directory, fixture->project, NULL, NULL, &arena, &report, error));
  for (uint32_t i = 0; i < report.damage_count; i++)
    print_message("damage: %s block %lld: %s\n", report.damages[i].file, (long long)report.damages[i].block,
                  report.damages[i].message);
  uint32_t count = report.damage_count;
  tly_arena_free(&arena);
  return count;
}
