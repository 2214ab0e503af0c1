/* tests/common/archive/test_block.c -- the columns of a block come back, all or some, and damaged ones never read over
 * their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/archive/block.h"

enum { ROWS = 70, COLUMNS = 7 };

struct fixture {
  struct tly_arena arena;
  struct tly_vector columns[COLUMNS];
  struct tly_column_codes codes[COLUMNS];
  struct tly_text_dictionary dictionary;
  const struct tly_dictionary *dictionaries[COLUMNS];
  struct tly_buffer bytes;
};

static int set_up(void **state) {
  static const struct tly_type types[COLUMNS] = {
      {TLY_TYPE_BIGINT, 0, 0}, {TLY_TYPE_NUMERIC, 38, 4}, {TLY_TYPE_DOUBLE, 0, 0}, {TLY_TYPE_TEXT, 0, 0},
      {TLY_TYPE_TEXT, 0, 0},   {TLY_TYPE_NUMERIC, 0, 0},  {TLY_TYPE_VARCHAR, 9, 0}};
  struct fixture *fixture = calloc(1, sizeof *fixture);
  uint32_t *codes;
  tly_arena_init(&fixture->arena);
  tly_text_dictionary_init(&fixture->dictionary);
  codes = TLY_ARENA_ARRAY(&fixture->arena, uint32_t, ROWS);
  for (int c = 0; c < COLUMNS; c++)
    fixture->columns[c] = tly_vector_new(types[c], ROWS, &fixture->arena);
  uint8_t *nulls = TLY_ARENA_ARRAY(&fixture->arena, uint8_t, ROWS);
  for (uint32_t i = 0; i < ROWS; i++) {
    nulls[i] = i % 7 == 0;
    fixture->columns[0].i64[i] = (int64_t)i * 1000 - 5;
    fixture->columns[1].i128[i] = ((tly_i128)i << 70) - i;
    fixture->columns[2].f64[i] = i / 8.0;
    fixture->columns[3].text[i] = tly_text_of(tly_arena_print(&fixture->arena, "key %u", i % 9));
    codes[i] = tly_text_dictionary_intern(&fixture->dictionary, fixture->columns[3].text[i]);
    fixture->columns[4].text[i] = tly_text_of(tly_arena_print(&fixture->arena, "id-%05u", i));
    fixture->columns[5].decimal[i] = tly_decimal_of_i64(i * 77, (int32_t)(i % 4));
    fixture->columns[6].text[i] = tly_text_of(nulls[i] ? "" : tly_arena_print(&fixture->arena, "text %u!", i * i));
  }
  fixture->columns[0].null = nulls;
  fixture->columns[6].null = nulls;
  fixture->codes[3] = (struct tly_column_codes){.codes = codes, .limit = fixture->dictionary.view.count};
  fixture->dictionaries[3] = &fixture->dictionary.view;
  tly_block_write_columns(fixture->columns, fixture->codes, COLUMNS, TLY_EFFORT_SEALED, &fixture->bytes);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  tly_buffer_free(&fixture->bytes);
  tly_text_dictionary_free(&fixture->dictionary);
  tly_arena_free(&fixture->arena);
  free(fixture);
  return 0;
}

static void the_columns_that_are_asked_for_come_back(void **state) {
  struct fixture *fixture = *state;
  for (unsigned asked = 0; asked < 1u << COLUMNS; asked += 5) {
    bool wanted[COLUMNS];
    struct tly_vector read[COLUMNS];
    for (unsigned c = 0; c < COLUMNS; c++)
      wanted[c] = (asked >> c & 1) != 0;
    assert_true(tly_block_read_columns(fixture->bytes.data, fixture->bytes.size, ROWS, wanted, fixture->dictionaries,
                                       COLUMNS, &fixture->arena, read));
    for (unsigned c = 0; c < COLUMNS; c++) {
      assert_int_equal(read[c].type.id, fixture->columns[c].type.id);
      assert_int_equal(read[c].count, wanted[c] ? ROWS : 0);
      for (uint32_t row = 0; row < read[c].count; row++) {
        struct tly_value before = tly_vector_value(&fixture->columns[c], row), after = tly_vector_value(&read[c], row);
        assert_int_equal(before.is_null, after.is_null);
        assert_true(before.is_null || tly_value_compare(&before, &after) == 0);
      }
    }
  }
}

static void a_block_says_how_much_of_the_dictionary_it_needs(void **state) {
  struct fixture *fixture = *state;
  uint32_t limits[COLUMNS], count;
  struct tly_vector read[COLUMNS];
  assert_true(tly_block_read_limits(fixture->bytes.data, fixture->bytes.size, limits, COLUMNS, &count));
  assert_int_equal(count, COLUMNS);
  for (int c = 0; c < COLUMNS; c++)
    assert_int_equal(limits[c], c == 3 ? 9 : 0);
  tly_text_dictionary_truncate(&fixture->dictionary, 8);
  assert_false(tly_block_read_columns(fixture->bytes.data, fixture->bytes.size, ROWS, NULL, fixture->dictionaries,
                                      COLUMNS, &fixture->arena, read));
}

static void damaged_columns_are_refused_or_read_within_their_bounds(void **state) {
  struct fixture *fixture = *state;
  for (size_t bit = 0; bit < 8 * fixture->bytes.size; bit++) {
    struct tly_arena arena;
    struct tly_vector read[COLUMNS];
    uint8_t *copy = malloc(fixture->bytes.size); /* its own allocation, so that ASan sees its end */
    tly_arena_init(&arena);
    memcpy(copy, fixture->bytes.data, fixture->bytes.size);
    copy[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    (void)tly_block_read_columns(copy, fixture->bytes.size, ROWS, NULL, fixture->dictionaries, COLUMNS, &arena, read);
    tly_arena_reset(&arena);
    assert_false(
        tly_block_read_columns(copy, bit / 8, ROWS, NULL, fixture->dictionaries, COLUMNS, &arena, read)); /* cut */
    tly_arena_free(&arena);
    free(copy);
  }
}

static void a_checksum_covers_every_part_of_a_block(void **state) {
  struct fixture *fixture = *state;
  struct tly_block block = {.partition = 1,
                            .generation = 2,
                            .first_offset = 3,
                            .event_count = 4,
                            .appended_at_us = 5,
                            .has_time = true,
                            .time_min_us = 6,
                            .time_max_us = 7,
                            .payload_bytes = 8,
                            .columns = fixture->bytes.data,
                            .columns_size = fixture->bytes.size,
                            .raw = "raw",
                            .raw_size = 3};
  struct tly_hash whole = tly_block_checksum("s", &block), raw = tly_block_raw_checksum("s", &block);
#define DIFFERS(field, value)                                                                                          \
  do {                                                                                                                 \
    struct tly_block changed = block;                                                                                  \
    changed.field = value;                                                                                             \
    struct tly_hash now = tly_block_checksum("s", &changed);                                                           \
    assert_memory_not_equal(now.bytes, whole.bytes, sizeof whole.bytes);                                               \
  } while (0)
  DIFFERS(partition, 9);
  DIFFERS(generation, 9);
  DIFFERS(first_offset, 9);
  DIFFERS(event_count, 9);
  DIFFERS(appended_at_us, 9);
  DIFFERS(has_time, false);
  DIFFERS(time_min_us, 9);
  DIFFERS(time_max_us, 9);
  DIFFERS(payload_bytes, 9);
  DIFFERS(columns_size, fixture->bytes.size - 1);
  DIFFERS(chain_before.bytes[0], 1);
  DIFFERS(chain_after.bytes[15], 1);
  DIFFERS(raw_checksum.bytes[7], 1);
#undef DIFFERS
  struct tly_hash other = tly_block_checksum("t", &block);
  assert_memory_not_equal(other.bytes, whole.bytes, sizeof whole.bytes); /* another stream's block */
  block.raw = "rae";
  other = tly_block_raw_checksum("s", &block);
  assert_memory_not_equal(other.bytes, raw.bytes, sizeof raw.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_columns_that_are_asked_for_come_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_block_says_how_much_of_the_dictionary_it_needs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(damaged_columns_are_refused_or_read_within_their_bounds, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_checksum_covers_every_part_of_a_block, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
