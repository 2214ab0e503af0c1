/* tests/common/value/test_ordered_key.c -- the bytes of a key sort as its columns do, and come back as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/value/ordered_key.h"

enum { COLUMNS = 3 };

static struct tly_arena arena;

static struct tly_value parse(struct tly_type type, const char *text) {
  struct tly_value value;
  assert_int_equal(tly_value_parse(type, text, strlen(text), &arena, &value, NULL), TLY_OK);
  return value;
}

static int sign_of(int order) {
  return (order > 0) - (order < 0);
}

static int compare_keys(const struct tly_value *a, const struct tly_value *b, int count) {
  struct tly_buffer left = {0}, right = {0};
  for (int i = 0; i < count; i++) {
    tly_key_append(&left, &a[i]);
    tly_key_append(&right, &b[i]);
  }
  int order = tly_key_compare(left.data, left.size, right.data, right.size);
  tly_buffer_free(&left);
  tly_buffer_free(&right);
  return sign_of(order);
}

static int compare_values(const struct tly_value *a, const struct tly_value *b) {
  if (a->is_null || b->is_null)
    return a->is_null - b->is_null;
  return sign_of(tly_value_compare(a, b));
}

static struct tly_value random_value(struct tly_type type) {
  static const char *const texts[] = {"",     "a",    "ab", "b", "a\x01", "\x01", "\xc3\xbc", "\xf4\x8f\xbf\xbf",
                                      "A-17", "A-170"};
  static const int64_t integers[] = {0,    1,    -1,   127,  128,       255,       256,
                                     -128, -255, -256, -257, INT32_MAX, INT64_MAX, INT64_MIN};
  static const double doubles[] = {0, 1, -1, 0.5, -0.5, 1e300, -1e300, 5e-324, -5e-324, 1.7976931348623157e308};
  struct tly_value value = {.type = type};
  char number[32];
  if (rand() % 8 == 0)
    return tly_value_null(type);
  switch (type.id) {
  case TLY_TYPE_TEXT: value.text = tly_text_of(texts[rand() % 10]); return value;
  case TLY_TYPE_DOUBLE: value.f64 = rand() % 2 == 0 ? doubles[rand() % 10] : rand() % 1000 / 7.0; return value;
  case TLY_TYPE_UUID: {
    char *bytes = memset(tly_arena_alloc(&arena, 16), rand() % 3 == 0 ? 0xFF : 0, 16);
    bytes[rand() % 16] = (char)rand();
    value.text = (struct tly_text){.data = bytes, .size = 16};
    return value;
  }
  case TLY_TYPE_NUMERIC:
    snprintf(number, sizeof number, "%d.%0*d", rand() % 21 - 10, 1 + rand() % 4, rand() % 10);
    return parse(type, number);
  default: value.i64 = rand() % 2 == 0 ? integers[rand() % 14] : rand() % 1000 - 500; return value;
  }
}

static struct tly_type random_type(void) {
  static const struct tly_type types[] = {
      {.id = TLY_TYPE_BIGINT},
      {.id = TLY_TYPE_TEXT},
      {.id = TLY_TYPE_DOUBLE},
      {.id = TLY_TYPE_UUID},
      {.id = TLY_TYPE_NUMERIC},
      {.id = TLY_TYPE_NUMERIC, .precision = 10, .scale = 2},
      {.id = TLY_TYPE_NUMERIC, .precision = 30, .scale = 4},
  };
  return types[(size_t)rand() % (sizeof types / sizeof *types)];
}

static void keys_sort_as_their_columns_with_nulls_last(void **state) {
  (void)state;
  for (int round = 0; round < 20000; round++) {
    struct tly_value left[COLUMNS], right[COLUMNS];
    int expected = 0;
    tly_arena_reset(&arena);
    for (int i = 0; i < COLUMNS; i++) {
      struct tly_type type = random_type();
      left[i] = random_value(type);
      right[i] = rand() % 2 == 0 ? left[i] : random_value(type);
      if (expected == 0)
        expected = compare_values(&left[i], &right[i]);
    }
    assert_int_equal(compare_keys(left, right, COLUMNS), expected);
  }
}

static void a_key_comes_back_column_by_column(void **state) {
  (void)state;
  for (int round = 0; round < 20000; round++) {
    struct tly_value values[COLUMNS], back;
    struct tly_buffer key = {0};
    tly_arena_reset(&arena);
    for (int i = 0; i < COLUMNS; i++) {
      values[i] = random_value(random_type());
      tly_key_append(&key, &values[i]);
    }
    struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
    for (int i = 0; i < COLUMNS; i++) {
      assert_int_equal(tly_key_read(&cursor, values[i].type, &arena, &back, NULL), TLY_OK);
      assert_int_equal(back.is_null, values[i].is_null);
      assert_int_equal(compare_values(&back, &values[i]), 0);
    }
    assert_int_equal(tly_cursor_left(&cursor), 0);
    tly_buffer_free(&key);
  }
}

static void equal_numerics_have_equal_keys_whatever_their_scale_and_form(void **state) {
  (void)state;
  struct tly_type narrow = {.id = TLY_TYPE_NUMERIC, .precision = 4, .scale = 2};
  struct tly_type wide = {.id = TLY_TYPE_NUMERIC, .precision = 25, .scale = 6};
  struct tly_value a = parse(narrow, "1.5"), b = parse(wide, "1.5"), c = parse(TLY_TYPE_OF(TLY_TYPE_NUMERIC), "1.5");
  assert_int_equal(compare_keys(&a, &b, 1), 0);
  assert_int_equal(compare_keys(&b, &c, 1), 0);
}

static void a_numeric_key_shows_its_proof_or_the_least_scale(void **state) {
  (void)state;
  struct tly_value value = parse(TLY_TYPE_OF(TLY_TYPE_NUMERIC), "1.500"), back;
  struct tly_type proof = {.id = TLY_TYPE_NUMERIC, .precision = 6, .scale = 4};
  struct tly_type too_narrow = {.id = TLY_TYPE_NUMERIC, .precision = 3, .scale = 0};
  struct tly_buffer key = {0};
  tly_key_append(&key, &value);
  struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
  assert_int_equal(tly_key_read(&cursor, value.type, &arena, &back, NULL), TLY_OK);
  assert_int_equal(back.decimal.scale, 1);
  cursor = tly_cursor_of(key.data, key.size);
  assert_int_equal(tly_key_read(&cursor, proof, &arena, &back, NULL), TLY_OK);
  assert_true(back.i64 == 15000);
  cursor = tly_cursor_of(key.data, key.size);
  assert_int_equal(tly_key_read(&cursor, too_narrow, &arena, &back, NULL), TLY_E_CORRUPT);
  tly_buffer_free(&key);
}

static void integer_keys_are_short(void **state) {
  (void)state;
  static const struct {
    int64_t value;
    size_t size;
  } cases[] = {{0, 1}, {1, 2}, {255, 2}, {256, 3}, {-1, 2}, {-256, 2}, {-257, 3}, {INT64_MAX, 9}, {INT64_MIN, 9}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct tly_value value = {.type = TLY_TYPE_OF(TLY_TYPE_BIGINT), .i64 = cases[i].value};
    struct tly_buffer key = {0};
    tly_key_append(&key, &value);
    assert_int_equal(key.size, cases[i].size);
    tly_buffer_free(&key);
  }
}

static void damaged_keys_are_refused_or_read_as_written(void **state) {
  (void)state;
  for (int round = 0; round < 200000; round++) {
    uint8_t bytes[20];
    tly_arena_reset(&arena);
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = (uint8_t)(rand() % 3 == 0 ? 0x7D + rand() % 6 : rand() % 4 == 0 ? rand() % 3 : rand());
    struct tly_value value;
    struct tly_cursor cursor = tly_cursor_of(bytes, sizeof bytes);
    if (tly_key_read(&cursor, random_type(), &arena, &value, NULL) != TLY_OK)
      continue;
    struct tly_buffer again = {0};
    tly_key_append(&again, &value);
    assert_int_equal(again.size, sizeof bytes - tly_cursor_left(&cursor));
    assert_memory_equal(again.data, bytes, again.size);
    tly_buffer_free(&again);
  }
  struct tly_cursor empty = tly_cursor_of(NULL, 0);
  struct tly_value value;
  assert_int_equal(tly_key_read(&empty, TLY_TYPE_OF(TLY_TYPE_TEXT), &arena, &value, NULL), TLY_E_CORRUPT);
  assert_int_equal(tly_key_read(&empty, TLY_TYPE_OF(TLY_TYPE_BIGINT), &arena, &value, NULL), TLY_E_CORRUPT);
}

static int make_arena(void **state) {
  (void)state;
  tly_arena_init(&arena);
  srand(20260302);
  return 0;
}

static int free_arena(void **state) {
  (void)state;
  tly_arena_free(&arena);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_sort_as_their_columns_with_nulls_last),
      cmocka_unit_test(a_key_comes_back_column_by_column),
      cmocka_unit_test(equal_numerics_have_equal_keys_whatever_their_scale_and_form),
      cmocka_unit_test(a_numeric_key_shows_its_proof_or_the_least_scale),
      cmocka_unit_test(integer_keys_are_short),
      cmocka_unit_test(damaged_keys_are_refused_or_read_as_written),
  };
  return cmocka_run_group_tests(tests, make_arena, free_arena);
}
