/* tests/common/value/test_decimal.c -- exact decimals: both ways of computing agree, forms are canonical, bounds hold.
 * PostgreSQL's answers to single calls are in test_postgresql_cases.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/value/decimal.h"

static struct tly_arena arena;

static struct tly_decimal decimal(const char *text) {
  struct tly_decimal value;
  assert_int_equal(tly_decimal_parse(text, strlen(text), &arena, &value, NULL), TLY_OK);
  return value;
}

static void assert_prints(struct tly_decimal value, const char *expected) {
  struct tly_buffer out = {0};
  tly_decimal_print(value, &out);
  assert_string_equal(tly_buffer_text(&out), expected);
  tly_buffer_free(&out);
}

static struct tly_buffer ordered(struct tly_decimal value) {
  struct tly_buffer out = {0};
  tly_decimal_append_ordered(value, &out);
  return out;
}

static int compare_bytes(struct tly_buffer a, struct tly_buffer b) {
  size_t common = a.size < b.size ? a.size : b.size;
  int order = memcmp(a.data, b.data, common);
  return order != 0 ? (order > 0) - (order < 0) : (a.size > b.size) - (a.size < b.size);
}

/* A decimal of up to `digits` digits and a scale near them. */
static void random_text(int digits, char *out) {
  int count = 1 + rand() % digits, point = rand() % 3 == 0 ? rand() % (count + 1) : -1;
  if (rand() % 2 == 0)
    *out++ = '-';
  *out++ = '0';
  for (int i = 0; i < count; i++) {
    if (i == point)
      *out++ = '.';
    *out++ = (char)('0' + (rand() % 4 == 0 ? 0 : rand() % 10));
  }
  *out = '\0';
}

static void text_keeps_its_display_scale(void **state) {
  (void)state;
  assert_prints(decimal("1.50"), "1.50");
  assert_prints(decimal("-0.00"), "0.00");
  assert_prints(decimal("  +1.50e1 "), "15.0");
  assert_prints(decimal("1e-3"), "0.001");
  assert_prints(decimal("1e3"), "1000");
  assert_prints(decimal("340282366920938463463374607431768211455"), "340282366920938463463374607431768211455");
  assert_prints(decimal("340282366920938463463374607431768211456.5"), "340282366920938463463374607431768211456.5");
}

static void nan_and_infinity_are_refused_by_name(void **state) {
  (void)state;
  static const char *const words[] = {"NaN", " nan ", "inf", "-Infinity", "+INF"};
  struct tly_decimal value;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    assert_int_equal(tly_decimal_parse(words[i], strlen(words[i]), &arena, &value, NULL), TLY_E_NOT_SUPPORTED);
  assert_int_equal(tly_decimal_parse("-nan", 4, &arena, &value, NULL), TLY_E_TEXT_REPRESENTATION);
}

static void a_bad_number_is_named_in_the_message(void **state) {
  (void)state;
  struct tly_decimal value;
  struct tly_error error;
  assert_int_equal(tly_decimal_parse("12x", 3, &arena, &value, &error), TLY_E_TEXT_REPRESENTATION);
  assert_string_equal(error.message, "invalid input syntax for type numeric: \"12x\"");
  assert_int_equal(tly_decimal_to_typmod(decimal("1000"), 5, 2, &arena, &value, &error), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_string_equal(error.message, "numeric field overflow");
  assert_string_equal(error.hint, "A field with precision 5, scale 2 must round to an absolute value less than 10^3.");
}

static void a_number_may_have_a_thousand_digits_and_no_more(void **state) {
  (void)state;
  struct tly_decimal result, nines;
  char text[TLY_DECIMAL_DIGITS_MAX + 2];
  memset(text, '9', sizeof text);
  text[TLY_DECIMAL_DIGITS_MAX] = '\0';
  nines = decimal(text);
  assert_prints(nines, text);
  assert_int_equal(tly_decimal_add(nines, decimal("0.4"), &arena, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_decimal_add(nines, decimal("1"), &arena, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_decimal_subtract(nines, decimal("1"), &arena, &result, NULL), TLY_OK);
  assert_int_equal(tly_decimal_multiply(nines, decimal("2"), &arena, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_decimal_round(decimal("1"), 1001, &arena, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  text[TLY_DECIMAL_DIGITS_MAX] = '9';
  text[TLY_DECIMAL_DIGITS_MAX + 1] = '\0';
  assert_int_equal(tly_decimal_parse(text, strlen(text), &arena, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_decimal_parse("1e-1001", 7, &arena, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_decimal_parse("1e-1000", 7, &arena, &result, NULL), TLY_OK);
}

static void division_by_zero_is_an_error_whatever_its_scale(void **state) {
  (void)state;
  struct tly_decimal result;
  assert_int_equal(tly_decimal_divide(decimal("1"), decimal("0.00"), &arena, &result, NULL), TLY_E_DIVISION_BY_ZERO);
  assert_int_equal(tly_decimal_modulo(decimal("1"), decimal("0"), &arena, &result, NULL), TLY_E_DIVISION_BY_ZERO);
}

static void equal_values_of_different_scale_compare_equal(void **state) {
  (void)state;
  assert_int_equal(tly_decimal_compare(decimal("1.5"), decimal("1.500")), 0);
  assert_int_equal(tly_decimal_compare(decimal("0"), decimal("0.00")), 0);
  assert_int_equal(tly_decimal_compare(decimal("-2"), decimal("1e-500")), -1);
  assert_int_equal(tly_decimal_compare(decimal("1e500"), decimal("9.99e499")), 1);
}

static void i128_comes_back_at_its_ends(void **state) {
  (void)state;
  tly_i128 max = (tly_i128)(((tly_u128)1 << 127) - 1), min = -max - 1, back;
  assert_prints(tly_decimal_of_i128(min, 2), "-1701411834604692317316873037158841057.28");
  assert_true(tly_decimal_to_i128(tly_decimal_of_i128(min, 2), 2, &back) && back == min);
  assert_true(tly_decimal_to_i128(tly_decimal_of_i128(max, 0), 0, &back) && back == max);
  assert_false(tly_decimal_to_i128(tly_decimal_negate(tly_decimal_of_i128(min, 0)), 0, &back));
  assert_true(tly_decimal_to_i128(decimal("1.500"), 1, &back) && back == 15);
  assert_false(tly_decimal_to_i128(decimal("1.501"), 1, &back)); /* a digit would be lost */
  assert_true(tly_decimal_to_i128(decimal("-7"), 3, &back) && back == -7000);
  assert_true(tly_decimal_to_i128(decimal("123.00000000000000000000000000000000000000000"), 0, &back) && back == 123);
}

/* (a + b) - b = a, (a * b) / b within the scale, a = (a - a % b) + a % b: across the border of 128 bits. */
static void arithmetic_is_consistent_across_the_inline_border(void **state) {
  (void)state;
  char left[200], right[200];
  for (int round = 0; round < 3000; round++) {
    struct tly_decimal sum, back, product, rest, whole;
    tly_arena_reset(&arena);
    random_text(round % 2 == 0 ? 20 : 90, left);
    random_text(round % 3 == 0 ? 90 : 30, right);
    struct tly_decimal a = decimal(left), b = decimal(right);
    assert_int_equal(tly_decimal_add(a, b, &arena, &sum, NULL), TLY_OK);
    assert_int_equal(tly_decimal_subtract(sum, b, &arena, &back, NULL), TLY_OK);
    assert_int_equal(tly_decimal_compare(back, a), 0);
    assert_int_equal(tly_decimal_multiply(a, b, &arena, &product, NULL), TLY_OK);
    assert_int_equal(tly_decimal_sign(product), tly_decimal_sign(a) * tly_decimal_sign(b));
    if (tly_decimal_sign(b) == 0)
      continue;
    assert_int_equal(tly_decimal_modulo(product, b, &arena, &rest, NULL), TLY_OK);
    if (a.scale == 0)
      assert_int_equal(tly_decimal_sign(rest), 0);
    assert_int_equal(tly_decimal_modulo(a, b, &arena, &rest, NULL), TLY_OK);
    assert_true(tly_decimal_compare(tly_decimal_absolute(rest), tly_decimal_absolute(b)) < 0);
    assert_int_equal(tly_decimal_subtract(a, rest, &arena, &whole, NULL), TLY_OK);
    assert_int_equal(tly_decimal_modulo(whole, b, &arena, &back, NULL), TLY_OK);
    assert_int_equal(tly_decimal_sign(back), 0);
  }
}

static void the_order_of_ordered_bytes_is_the_order_of_values(void **state) {
  (void)state;
  char left[200], right[200];
  for (int round = 0; round < 5000; round++) {
    tly_arena_reset(&arena);
    random_text(round % 2 == 0 ? 3 : 60, left);
    random_text(round % 2 == 0 ? 3 : 60, right);
    struct tly_decimal a = decimal(left), b = decimal(right);
    struct tly_buffer a_bytes = ordered(a), b_bytes = ordered(b);
    assert_int_equal(compare_bytes(a_bytes, b_bytes), tly_decimal_compare(a, b));
    assert_true(a_bytes.data[0] != 0x00 && a_bytes.data[0] != 0xFF);
    tly_buffer_free(&a_bytes);
    tly_buffer_free(&b_bytes);
  }
}

static void far_exponents_are_in_order_too(void **state) {
  (void)state;
  static const char *const rising[] = {"-9e999", "-1e999", "-1e102", "-1e101",  "-1e100",   "-1e99", "-1.01",
                                       "-1",     "-0.99",  "-1e-99", "-1e-103", "-1e-1000", "0",     "1e-1000",
                                       "1e-103", "1e-101", "1e-100", "1e-99",   "0.0099",   "0.01",  "0.099",
                                       "0.1",    "1",      "1.01",   "9.99",    "10",       "99",    "100",
                                       "1e99",   "1e100",  "1e101",  "1e102",   "1e999",    "9e999"};
  for (size_t i = 0; i + 1 < sizeof rising / sizeof *rising; i++) {
    struct tly_buffer low = ordered(decimal(rising[i])), high = ordered(decimal(rising[i + 1]));
    assert_true(compare_bytes(low, high) < 0);
    tly_buffer_free(&low);
    tly_buffer_free(&high);
  }
}

static void stored_forms_come_back_and_are_canonical(void **state) {
  (void)state;
  char text[2000];
  for (int round = 0; round < 3000; round++) {
    tly_arena_reset(&arena);
    random_text(round % 5 == 0 ? 900 : 40, text);
    struct tly_decimal value = decimal(text), back;
    struct tly_buffer bytes = {0}, again = {0};
    tly_decimal_append_compact(value, &bytes);
    struct tly_cursor cursor = tly_cursor_of(bytes.data, bytes.size);
    assert_int_equal(tly_decimal_read_compact(&cursor, &arena, &back, NULL), TLY_OK);
    assert_int_equal(tly_cursor_left(&cursor), 0);
    assert_int_equal(back.scale, value.scale);
    assert_int_equal(tly_decimal_compare(back, value), 0);
    tly_decimal_append_ordered(value, &again);
    cursor = tly_cursor_of(again.data, again.size);
    assert_int_equal(tly_decimal_read_ordered(&cursor, value.scale, &arena, &back, NULL), TLY_OK);
    assert_int_equal(back.scale, value.scale);
    assert_int_equal(tly_decimal_compare(back, value), 0);
    cursor = tly_cursor_of(again.data, again.size);
    assert_int_equal(tly_decimal_read_ordered(&cursor, -1, &arena, &back, NULL), TLY_OK);
    assert_int_equal(back.scale, tly_decimal_normalize(value, &arena).scale);
    tly_buffer_free(&bytes);
    tly_buffer_free(&again);
  }
}

static void money_is_stored_in_a_few_bytes(void **state) {
  (void)state;
  struct tly_buffer bytes = {0};
  tly_decimal_append_compact(decimal("12.30"), &bytes);
  assert_int_equal(bytes.size, 3);
  tly_buffer_clear(&bytes);
  tly_decimal_append_ordered(decimal("12.30"), &bytes);
  assert_int_equal(bytes.size, 3);
  tly_buffer_free(&bytes);
}

/* Whatever bytes are read: a failure, or a value whose own bytes are those that were read. */
static void damaged_bytes_never_give_a_value_of_another_form(void **state) {
  (void)state;
  for (int round = 0; round < 100000; round++) {
    uint8_t bytes[12];
    tly_arena_reset(&arena);
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = (uint8_t)(rand() % 3 == 0 ? rand() % 4 : rand());
    struct tly_decimal value;
    struct tly_buffer again = {0};
    struct tly_cursor cursor = tly_cursor_of(bytes, sizeof bytes);
    if (tly_decimal_read_ordered(&cursor, -1, &arena, &value, NULL) == TLY_OK) {
      tly_decimal_append_ordered(value, &again);
      assert_int_equal(again.size, sizeof bytes - tly_cursor_left(&cursor));
      assert_memory_equal(again.data, bytes, again.size);
    }
    cursor = tly_cursor_of(bytes, sizeof bytes);
    tly_buffer_clear(&again);
    if (tly_decimal_read_compact(&cursor, &arena, &value, NULL) == TLY_OK) {
      tly_decimal_append_compact(value, &again);
      assert_int_equal(again.size, sizeof bytes - tly_cursor_left(&cursor));
      assert_memory_equal(again.data, bytes, again.size);
    }
    tly_buffer_free(&again);
  }
}

static void a_double_is_reached_in_one_rounding(void **state) {
  (void)state;
  char text[100];
  for (int round = 0; round < 3000; round++) {
    double value;
    tly_arena_reset(&arena);
    random_text(round % 2 == 0 ? 17 : 40, text);
    assert_int_equal(tly_decimal_to_double(decimal(text), &value, NULL), TLY_OK);
    assert_true(value == strtod(text, NULL));
  }
  double value;
  assert_int_equal(tly_decimal_to_double(decimal("1e400"), &value, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_decimal_to_double(decimal("1e-400"), &value, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
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
      cmocka_unit_test(text_keeps_its_display_scale),
      cmocka_unit_test(nan_and_infinity_are_refused_by_name),
      cmocka_unit_test(a_bad_number_is_named_in_the_message),
      cmocka_unit_test(a_number_may_have_a_thousand_digits_and_no_more),
      cmocka_unit_test(division_by_zero_is_an_error_whatever_its_scale),
      cmocka_unit_test(equal_values_of_different_scale_compare_equal),
      cmocka_unit_test(i128_comes_back_at_its_ends),
      cmocka_unit_test(arithmetic_is_consistent_across_the_inline_border),
      cmocka_unit_test(the_order_of_ordered_bytes_is_the_order_of_values),
      cmocka_unit_test(far_exponents_are_in_order_too),
      cmocka_unit_test(stored_forms_come_back_and_are_canonical),
      cmocka_unit_test(money_is_stored_in_a_few_bytes),
      cmocka_unit_test(damaged_bytes_never_give_a_value_of_another_form),
      cmocka_unit_test(a_double_is_reached_in_one_rounding),
  };
  return cmocka_run_group_tests(tests, make_arena, free_arena);
}
