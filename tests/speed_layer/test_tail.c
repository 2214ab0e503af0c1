/* Positions, and seeing a part of a batch as a batch of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "speed_layer/tail.h"

static void a_partition_has_one_position_wherever_it_is_asked_for(void **state) {
  struct tly_stream streams[2] = {{.name = "a"}, {.name = "b"}};
  struct tly_tail tail = {0};
  (void)state;
  for (uint32_t partition = 0; partition < 50; partition++)
    tly_tail_position(&tail, &streams[partition % 2], partition)->next_offset = partition;
  for (uint32_t partition = 49; partition > 0; partition -= 7)
    assert_int_equal(tly_tail_position(&tail, &streams[partition % 2], partition)->next_offset, partition);
  assert_int_equal(tail.count, 50);
  assert_null(tly_tail_find(&tail, &streams[0], 1));
  assert_non_null(tly_tail_find(&tail, &streams[1], 1));
  tly_tail_free(&tail);
}

static void a_goal_is_reached_when_every_partition_of_it_is(void **state) {
  struct tly_stream stream = {.name = "a"};
  struct tly_tail tail = {0}, goal = {0};
  (void)state;
  assert_true(tly_tail_has_reached(&tail, &goal));
  tly_tail_position(&goal, &stream, 0)->next_offset = 5;
  tly_tail_position(&goal, &stream, 1)->next_offset = 0;
  assert_false(tly_tail_has_reached(&tail, &goal));
  tly_tail_position(&tail, &stream, 0)->next_offset = 4;
  assert_false(tly_tail_has_reached(&tail, &goal));
  tly_tail_position(&tail, &stream, 0)->next_offset = 6;
  assert_true(tly_tail_has_reached(&tail, &goal)); /* partition 1 stands before its first event on both sides */
  tly_tail_free(&tail);
  tly_tail_free(&goal);
}

static void a_part_of_a_batch_shows_its_rows_of_every_form(void **state) {
  struct tly_stream stream = {.name = "a", .column_count = 4};
  int64_t numbers[5] = {10, 11, 12, 13, 14};
  tly_i128 wide[5] = {20, 21, 22, 23, 24};
  uint8_t nulls[5] = {0, 0, 1, 0, 1};
  struct tly_text entries[2] = {{"x", 1}, {"yy", 2}};
  struct tly_dictionary dictionary = {.entries = entries, .count = 2};
  uint32_t codes[5] = {0, 1, 0, 1, 1};
  struct tly_text raw[5] = {{"r0", 2}, {"r1", 2}, {"r2", 2}, {"r3", 2}, {"r4", 2}};
  struct tly_vector columns[4] = {
      {.type = {.id = TLY_TYPE_BIGINT}, .count = 5, .i64 = numbers, .null = nulls},
      {.type = {.id = TLY_TYPE_NUMERIC, .precision = 30, .scale = 2}, .count = 5, .i128 = wide},
      {.type = {.id = TLY_TYPE_TEXT}, .count = 5, .codes = codes, .dictionary = &dictionary},
      {.type = {.id = TLY_TYPE_BIGINT}}, /* not asked for */
  };
  struct tly_event_batch batch = {.stream = &stream, .count = 5, .raw = raw, .columns = columns}, part;
  struct tly_vector room[4];
  (void)state;
  tly_tail_slice(&batch, 2, 2, room, &part);
  assert_int_equal(part.count, 2);
  assert_memory_equal(part.raw[0].data, "r2", 2);
  assert_true(tly_vector_is_null(&part.columns[0], 0));
  assert_false(tly_vector_is_null(&part.columns[0], 1));
  assert_int_equal(part.columns[0].i64[1], 13);
  assert_int_equal((int64_t)part.columns[1].i128[1], 23);
  assert_int_equal(tly_vector_text(&part.columns[2], 0).size, 1);
  assert_int_equal(tly_vector_text(&part.columns[2], 1).size, 2);
  assert_int_equal(part.columns[0].count, 2);
  assert_int_equal(part.columns[3].count, 0);
  assert_int_equal(batch.columns[0].count, 5); /* the batch itself is as it was */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_partition_has_one_position_wherever_it_is_asked_for),
      cmocka_unit_test(a_goal_is_reached_when_every_partition_of_it_is),
      cmocka_unit_test(a_part_of_a_batch_shows_its_rows_of_every_form),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
