/* tests/common/base/test_memory.c -- arena, buffer and cursor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"

static void allocations_of_an_arena_are_aligned_and_apart(void **state) {
  (void)state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  uint8_t *before = NULL;
  for (size_t size = 0; size < 300; size++) {
    uint8_t *place = tly_arena_alloc(&arena, size);
    assert_int_equal((uintptr_t)place % 16, 0);
    assert_ptr_not_equal(place, before);
    memset(place, (int)size, size);
    before = place;
  }
  tly_arena_free(&arena);
}

static void a_loop_of_equal_rounds_allocates_only_in_its_first(void **state) {
  (void)state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  size_t after_first = 0;
  for (int round = 0; round < 20; round++) {
    tly_arena_reset(&arena);
    for (size_t i = 0; i < 500; i++)
      memset(tly_arena_alloc(&arena, i * 37), 1, i * 37);
    if (round == 0)
      after_first = arena.allocated_bytes;
    assert_int_equal(arena.allocated_bytes, after_first);
  }
  tly_arena_free(&arena);
}

static void rounds_that_grow_leave_no_trail_of_small_blocks(void **state) {
  (void)state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  for (size_t size = 2 << 20; size < (2 << 20) + 100 * 4096; size += 4096) {
    tly_arena_reset(&arena);
    tly_arena_alloc(&arena, 16);
    tly_arena_alloc(&arena, size);
    assert_true(arena.allocated_bytes < 4 << 20);
  }
  tly_arena_free(&arena);
}

static void an_arena_copies_and_prints_terminated_text(void **state) {
  (void)state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  assert_string_equal(tly_arena_copy(&arena, "abcdef", 3), "abc");
  assert_string_equal(tly_arena_copy(&arena, NULL, 0), "");
  assert_string_equal(tly_arena_print(&arena, "%s-%d", "x", 42), "x-42");
  uint64_t *zeros = TLY_ARENA_ARRAY(&arena, uint64_t, 5);
  for (int i = 0; i < 5; i++)
    assert_int_equal(zeros[i], 0);
  tly_arena_free(&arena);
}

static void a_zeroed_buffer_is_empty_and_grows(void **state) {
  (void)state;
  struct tly_buffer buffer = {0};
  tly_buffer_append(&buffer, NULL, 0);
  assert_int_equal(buffer.size, 0);
  for (int i = 0; i < 1000; i++)
    tly_buffer_print(&buffer, "%d,", i % 10);
  assert_int_equal(buffer.size, 2000);
  assert_memory_equal(buffer.data + 1998, "9,", 2);
  tly_buffer_consume(&buffer, 1996);
  tly_buffer_append_text(&buffer, "end");
  assert_string_equal(tly_buffer_text(&buffer), "8,9,end");
  tly_buffer_consume(&buffer, buffer.size);
  assert_string_equal(tly_buffer_text(&buffer), "");
  tly_buffer_free(&buffer);
}

static void integers_come_back_from_their_bytes(void **state) {
  (void)state;
  static const uint64_t cases[] = {0,         1, 127, 128, 300, UINT32_MAX, (uint64_t)INT64_MAX, (uint64_t)INT64_MIN,
                                   UINT64_MAX};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct tly_buffer buffer = {0};
    tly_buffer_append_u32(&buffer, (uint32_t)cases[i]);
    tly_buffer_append_u64(&buffer, cases[i]);
    tly_buffer_append_varint(&buffer, cases[i]);
    tly_buffer_append_zigzag(&buffer, (int64_t)cases[i]);
    struct tly_cursor cursor = tly_cursor_of(buffer.data, buffer.size);
    assert_int_equal(tly_cursor_u32(&cursor), (uint32_t)cases[i]);
    assert_true(tly_cursor_u64(&cursor) == cases[i]);
    assert_true(tly_cursor_varint(&cursor) == cases[i]);
    assert_true(tly_cursor_zigzag(&cursor) == (int64_t)cases[i]);
    assert_int_equal(tly_cursor_left(&cursor), 0);
    assert_false(cursor.failed);
    tly_buffer_free(&buffer);
  }
}

static void a_cursor_never_reads_past_its_end_and_stays_failed(void **state) {
  (void)state;
  struct tly_cursor cursor = tly_cursor_of("\x01\x02\x03", 3);
  assert_int_equal(tly_cursor_u32(&cursor), 0);
  assert_true(cursor.failed);
  assert_int_equal(tly_cursor_byte(&cursor), 0);
  assert_null(tly_cursor_bytes(&cursor, 0));
}

static void a_varint_has_one_form_only(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
  } cases[] = {
      {"\x80", 1},                                          /* cut */
      {"\x80\x00", 2},                                      /* padded */
      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},     /* 65 bits */
      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* too long */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct tly_cursor cursor = tly_cursor_of(cases[i].bytes, cases[i].size);
    assert_true(tly_cursor_varint(&cursor) == 0);
    assert_true(cursor.failed);
  }
}

static void large_memory_is_whole_and_aligned(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 100, TLY_LARGE_BYTES - 1, TLY_LARGE_BYTES, TLY_LARGE_BYTES + 1, 9000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint8_t *memory = tly_large_alloc(sizes[i]);
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (size_t at = 0; at < sizes[i]; at += 1000)
      memory[at] = 1;
    if (sizes[i] > 0)
      memory[sizes[i] - 1] = 1;
    tly_large_free(memory, sizes[i]);
  }
  tly_large_free(NULL, TLY_LARGE_BYTES);
  tly_large_free(NULL, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(large_memory_is_whole_and_aligned),
      cmocka_unit_test(allocations_of_an_arena_are_aligned_and_apart),
      cmocka_unit_test(a_loop_of_equal_rounds_allocates_only_in_its_first),
      cmocka_unit_test(rounds_that_grow_leave_no_trail_of_small_blocks),
      cmocka_unit_test(an_arena_copies_and_prints_terminated_text),
      cmocka_unit_test(a_zeroed_buffer_is_empty_and_grows),
      cmocka_unit_test(integers_come_back_from_their_bytes),
      cmocka_unit_test(a_cursor_never_reads_past_its_end_and_stays_failed),
      cmocka_unit_test(a_varint_has_one_form_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
