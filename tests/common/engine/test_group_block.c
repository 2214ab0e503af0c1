/* tests/common/engine/test_group_block.c -- blocks: there and back, equal bytes for equal slices, and bytes nobody
 * wrote. */
#include "tests/common/engine/engine_fixture.h"

#include <stdio.h>

static const char sql[] =
    "CREATE FOREIGN TABLE t (k text, n integer NOT NULL, free numeric, amount numeric(18,2), at timestamptz,\n"
    "  x double precision, wide numeric(38,4)) SERVER embedded OPTIONS (format 'json');\n"
    "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c, sum(n) AS s, sum(free) AS f, min(free) AS lf, min(k) AS "
    "lk,\n"
    "  max(at) AS la, sum(x) AS sx, min(x) AS lx, max(wide) AS hw, sum(amount) AS a FROM t GROUP BY k;\n";

struct fixture {
  struct tly_project *project;
  struct tly_view_program *program;
  struct stored_part stored; /* one block of all groups */
};

static void append_line(struct tly_buffer *lines, int i) {
  tly_buffer_print(lines, "{\"n\":%d", i * 7919 % 1000 - 500);
  if (i % 11 != 0)
    tly_buffer_print(lines, ",\"k\":\"key-%d\"", i % 97);
  if (i % 5 != 0)
    tly_buffer_print(lines, ",\"free\":\"%d.%d0\",\"x\":%d.125", i, i % 10, i - 50);
  if (i % 3 == 0)
    tly_buffer_print(lines, ",\"amount\":%d.25,\"at\":\"2026-03-02T00:00:%02dZ\"", i, i % 60);
  if (i % 7 == 0)
    tly_buffer_print(lines, ",\"wide\":\"1234567890123456789012345678%d.5\"", i);
  tly_buffer_append_text(lines, "}\n");
}

static int open_fixture(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  fixture->project = fixture_project(sql);
  const struct tly_view *view = tly_project_view(fixture->project, "v");
  fixture->program = tly_view_program_new(view);
  struct tly_buffer lines = {0};
  for (int i = 0; i < 400; i++)
    append_line(&lines, i);
  struct tly_event_batch batch;
  fixture_decode(view->stream, tly_buffer_text(&lines), lines.size, &batch);
  tly_fold *fold = tly_fold_new(fixture->program);
  tly_fold_batch(fold, &batch, NULL, NULL);
  fixture->stored = stored_part_of_table(fixture->program, 0, tly_fold_part(fold, 0), 1000);
  assert_int_equal(fixture->stored.block_count, 1);
  tly_fold_free(fold);
  tly_event_batch_free(&batch);
  tly_buffer_free(&lines);
  *state = fixture;
  return 0;
}

static int close_fixture(void **state) {
  struct fixture *fixture = *state;
  stored_part_free(&fixture->stored);
  tly_view_program_free(fixture->program);
  tly_project_free(fixture->project);
  free(fixture);
  return 0;
}

static const struct stored_block *the_block(void **state) {
  return &((struct fixture *)*state)->stored.blocks[0];
}

static const struct tly_view_program *the_program(void **state) {
  return ((struct fixture *)*state)->program;
}

static void a_block_comes_back_as_the_slice_it_was(void **state) {
  const struct stored_block *block = the_block(state);
  struct tly_group_slice slice;
  struct tly_buffer again = {0};
  struct tly_error error = TLY_ERROR_NONE;
  tly_group_slice_init(&slice, the_program(state), 0);
  assert_int_equal(tly_group_block_decode(block->body.data, block->body.size, block->group_count, &slice, &error),
                   TLY_OK);
  assert_int_equal(slice.count, 98);
  tly_group_block_encode(&slice, &again);
  assert_int_equal(again.size, block->body.size);
  assert_memory_equal(again.data, block->body.data, again.size);
  tly_buffer_free(&again);
  tly_group_slice_free(&slice);
}

static void a_plain_block_is_the_same_slice_uncompressed(void **state) {
  const struct stored_block *block = the_block(state);
  struct tly_group_slice slice;
  struct tly_buffer plain = {0}, again = {0};
  struct tly_error error = TLY_ERROR_NONE;
  tly_group_slice_init(&slice, the_program(state), 0);
  assert_int_equal(block->body.data[0], 1);
  assert_int_equal(tly_group_block_decode(block->body.data, block->body.size, block->group_count, &slice, &error),
                   TLY_OK);
  tly_group_block_encode_plain(&slice, &plain);
  assert_int_equal(plain.data[0], 0);
  assert_int_equal(tly_group_block_decode(plain.data, plain.size, block->group_count, &slice, &error), TLY_OK);
  tly_group_block_encode(&slice, &again);
  assert_int_equal(again.size, block->body.size);
  assert_memory_equal(again.data, block->body.data, again.size);
  tly_buffer_free(&plain);
  tly_buffer_free(&again);
  tly_group_slice_free(&slice);
}

static enum tly_status decode(void **state, const void *body, size_t size, uint32_t group_count) {
  struct tly_group_slice slice;
  struct tly_error error = TLY_ERROR_NONE;
  tly_group_slice_init(&slice, the_program(state), 0);
  enum tly_status status = tly_group_block_decode(body, size, group_count, &slice, &error);
  if (status == TLY_OK) { /* whatever it says, it is a slice that can be written: the same bytes, if plain */
    struct tly_buffer again = {0};
    tly_group_block_encode(&slice, &again);
    if (((const uint8_t *)body)[0] == 0 && again.data[0] == 0) {
      assert_int_equal(again.size, size);
      assert_memory_equal(again.data, body, size);
    }
    tly_buffer_free(&again);
  } else {
    assert_int_equal(status, TLY_E_CORRUPT);
    assert_int_equal(slice.count, 0);
  }
  tly_group_slice_free(&slice);
  return status;
}

static void a_cut_block_is_corrupt(void **state) {
  const struct stored_block *block = the_block(state);
  for (size_t size = 0; size < block->body.size; size++)
    assert_int_equal(decode(state, block->body.data, size, block->group_count), TLY_E_CORRUPT);
  assert_int_equal(decode(state, block->body.data, block->body.size, block->group_count - 1), TLY_E_CORRUPT);
  assert_int_equal(decode(state, block->body.data, block->body.size, block->group_count + 1), TLY_E_CORRUPT);
  assert_int_equal(decode(state, block->body.data, block->body.size, 0), TLY_E_CORRUPT);
}

/* The payload of the block without packing. */
static struct tly_buffer plain_body(void **state) {
  const struct stored_block *block = the_block(state);
  struct tly_group_slice slice;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer body = {0};
  tly_group_slice_init(&slice, the_program(state), 0);
  assert_int_equal(tly_group_block_decode(block->body.data, block->body.size, block->group_count, &slice, &error),
                   TLY_OK);
  slice.count = 5; /* few groups do not pack */
  tly_group_block_encode(&slice, &body);
  slice.count = block->group_count;
  tly_group_slice_free(&slice);
  return body;
}

static void changed_bytes_give_an_error_or_a_slice_but_no_crash(void **state) {
  const struct stored_block *block = the_block(state);
  struct tly_buffer plain = plain_body(state);
  assert_int_equal(plain.data[0], 0);
  assert_int_equal(decode(state, plain.data, plain.size, 5), TLY_OK);
  unsigned corrupt = 0;
  for (size_t at = 0; at < plain.size; at++) {
    for (int bit = 0; bit < 8; bit++) {
      plain.data[at] ^= (uint8_t)(1 << bit);
      corrupt += decode(state, plain.data, plain.size, 5) == TLY_E_CORRUPT;
      plain.data[at] ^= (uint8_t)(1 << bit);
    }
  }
  assert_true(corrupt > plain.size); /* many are seen even without the checksum */
  for (size_t at = 0; at < block->body.size; at++) {
    block->body.data[at] ^= 0x41;
    (void)decode(state, block->body.data, block->body.size, block->group_count);
    block->body.data[at] ^= 0x41;
  }
  tly_buffer_free(&plain);
}

static void the_checksum_covers_body_keys_and_count(void **state) {
  const struct stored_block *block = the_block(state);
  struct tly_text first = tly_text_of("a"), last = tly_text_of("bc");
  struct tly_hash hash = tly_group_block_checksum(first, last, 3, block->body.data, block->body.size);
  struct tly_hash same = tly_group_block_checksum(first, last, 3, block->body.data, block->body.size);
  struct tly_hash others[] = {
      tly_group_block_checksum(first, last, 4, block->body.data, block->body.size),
      tly_group_block_checksum(last, first, 3, block->body.data, block->body.size),
      tly_group_block_checksum(tly_text_of("ab"), tly_text_of("c"), 3, block->body.data, block->body.size),
      tly_group_block_checksum(first, last, 3, block->body.data, block->body.size - 1),
  };
  assert_memory_equal(&hash, &same, sizeof hash);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_memory_not_equal(&hash, &others[i], sizeof hash);
}

/* --- extremes of states
 * -------------------------------------------------------------------------------------------------- */

/* A view of integer extremes, so that every varint length and both forms of integers come up. */
static void integers_of_all_sizes_come_back(void **state) {
  (void)state;
  struct tly_project *project =
      fixture_project("CREATE FOREIGN TABLE t (k integer NOT NULL, b bigint) SERVER embedded OPTIONS (format 'json');\n"
                      "CREATE MATERIALIZED VIEW v AS SELECT k, min(b) AS lo, sum(b) AS s FROM t GROUP BY k;\n");
  struct tly_buffer lines = {0}, expected = {0};
  for (int i = 0; i < 130; i++) {
    int64_t value = i < 64 ? (int64_t)(UINT64_C(1) << i) : i < 127 ? -(int64_t)(UINT64_C(1) << (i - 64)) : 0;
    if (i == 129)
      value = INT64_MAX;
    tly_buffer_print(&lines, "{\"k\":%d,\"b\":%lld}\n", i, (long long)value);
    tly_buffer_print(&expected, "%d|%lld|%lld\n", i, (long long)value, (long long)value);
  }
  char *rows = fixture_rows(project, "v", tly_buffer_text(&lines), NULL);
  assert_string_equal(rows, tly_buffer_text(&expected));
  free(rows);
  tly_buffer_free(&lines);
  tly_buffer_free(&expected);
  tly_project_free(project);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_block_comes_back_as_the_slice_it_was),
      cmocka_unit_test(a_plain_block_is_the_same_slice_uncompressed),
      cmocka_unit_test(a_cut_block_is_corrupt),
      cmocka_unit_test(changed_bytes_give_an_error_or_a_slice_but_no_crash),
      cmocka_unit_test(the_checksum_covers_body_keys_and_count),
      cmocka_unit_test(integers_of_all_sizes_come_back),
  };
  return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
