/* tests/common/store/test_fact_json.c -- what the stores know, as JSON values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/fact_json.h"

static void check(json_t *value, const char *wanted) {
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  assert_string_equal(text, wanted);
  free(text);
  json_decref(value);
}

static void what_is_not_known_is_null(void **state) {
  (void)state;
  check(tly_time_json(0), "null");
  check(tly_count_json(-1), "null");
  check(tly_text_json(NULL), "null");
  check(tly_text_json("\xff"), "null");
  check(tly_stored_json(NULL), "null");
  check(tly_stored_json("{broken"), "null");
}

static void what_is_known_has_its_value(void **state) {
  struct tly_hash hash = {.bytes = {0x00, 0x1f, 0xa0}};
  (void)state;
  check(tly_time_json(1500000), "\"1970-01-01T00:00:01.5Z\"");
  check(tly_count_json(0), "0");
  check(tly_text_json(""), "\"\"");
  check(tly_hash_json(&hash), "\"001fa000000000000000000000000000\"");
  check(tly_stored_json("{\"total\":\"1.50\"}"), "{\"total\":\"1.50\"}");
}

static void positions_stand_by_partition_in_their_stream(void **state) {
  struct tly_position positions[] = {{.stream = "payments", .partition = 2, .next_offset = 7},
                                     {.stream = "refunds", .partition = 0, .next_offset = 1},
                                     {.stream = "payments", .partition = 0, .next_offset = 5}};
  (void)state;
  check(tly_positions_json(positions, 3), "{\"payments\":[5,0,7],\"refunds\":[1]}");
  check(tly_positions_json(positions, 0), "{}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_not_known_is_null),
      cmocka_unit_test(what_is_known_has_its_value),
      cmocka_unit_test(positions_stand_by_partition_in_their_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
