/* tests/common/value/test_exact_sum.c -- sums of doubles that do not depend on their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/value/exact_sum.h"

enum { VALUES_MAX = 200 };

static double result_of(const struct tly_exact_sum *sum) {
  double result;
  assert_int_equal(tly_exact_sum_result(sum, &result, NULL), TLY_OK);
  return result;
}

static double sum_of(const double *values, int count) {
  struct tly_exact_sum sum;
  tly_exact_sum_init(&sum);
  for (int i = 0; i < count; i++)
    tly_exact_sum_add(&sum, values[i]);
  double result = result_of(&sum);
  tly_exact_sum_free(&sum);
  return result;
}

/* A finite double of any exponent. */
static double random_double(void) {
  for (;;) {
    uint64_t bits = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
    double value;
    memcpy(&value, &bits, sizeof value);
    if (isfinite(value) && fabs(value) < 1e300)
      return value;
  }
}

/* Answers of Python's math.fsum. */
static void sums_are_rounded_once(void **state) {
  (void)state;
  static const struct {
    double values[4], sum;
  } cases[] = {
      {{0.1, 0.2, 0.3, 0}, 0.6},
      {{1e16, 1, -1e16, 0}, 1},
      {{1e308, 1e308, -1e308, -1e308}, 0},
      {{1e308, 1e308, -1e308, 0}, 1e308},
      {{0x1p53, 1, 0x1p-60, 0}, 0x1p53 + 2}, /* above the half: up */
      {{0x1p53, 1, 0, 0}, 0x1p53},           /* the half: to even */
      {{0x1p53, 3, 0, 0}, 0x1p53 + 4},       /* the half: to even */
      {{0x1p53, 1, -0x1p-60, 0}, 0x1p53},    /* below the half: down */
      {{5e-324, 5e-324, -1e-320, 0}, -9.99e-321},
      {{1, 1e100, 1, -1e100}, 2},
      {{-0.1, -0.2, -0.3, 0}, -0.6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_true(sum_of(cases[i].values, 4) == cases[i].sum);
}

static void nothing_sums_to_plain_zero(void **state) {
  (void)state;
  double values[2] = {1.25e-300, -1.25e-300};
  assert_false(signbit(sum_of(values, 0)));
  assert_false(signbit(sum_of(values, 2)));
}

static void only_a_result_beyond_double_is_out_of_range(void **state) {
  (void)state;
  struct tly_exact_sum sum;
  double result;
  tly_exact_sum_init(&sum);
  tly_exact_sum_add(&sum, 1.7976931348623157e308);
  tly_exact_sum_add(&sum, 0x1p969); /* less than half a last place: rounds down */
  assert_true(result_of(&sum) == 1.7976931348623157e308);
  tly_exact_sum_add(&sum, 0x1p969);
  assert_int_equal(tly_exact_sum_result(&sum, &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  assert_int_equal(tly_exact_sum_average(&sum, 2, &result, NULL), TLY_OK);
  assert_true(result == 0x1p1023);
  tly_exact_sum_free(&sum);
}

static void an_average_is_rounded_once(void **state) {
  (void)state;
  struct tly_exact_sum sum;
  double result;
  tly_exact_sum_init(&sum);
  tly_exact_sum_add(&sum, 1);
  assert_int_equal(tly_exact_sum_average(&sum, 3, &result, NULL), TLY_OK);
  assert_true(result == 1.0 / 3.0);
  tly_exact_sum_add(&sum, 0.1);
  tly_exact_sum_add(&sum, 0.7);
  assert_int_equal(tly_exact_sum_average(&sum, 3, &result, NULL), TLY_OK);
  assert_true(result == 0.6); /* the exact sum is below 1.8, and still its third is nearest to 0.6 */
  tly_exact_sum_free(&sum);
}

/* Splits the values over two sums at random, in random order. */
static void add_in_parts(const double *values, int count, struct tly_exact_sum *whole) {
  struct tly_exact_sum parts[3];
  int order[VALUES_MAX];
  for (int i = 0; i < 3; i++)
    tly_exact_sum_init(&parts[i]);
  for (int i = 0; i < count; i++)
    order[i] = i;
  for (int i = count - 1; i > 0; i--) {
    int other = rand() % (i + 1), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
  for (int i = 0; i < count; i++)
    tly_exact_sum_add(&parts[rand() % 3], values[order[i]]);
  tly_exact_sum_init(whole);
  for (int i = 0; i < 3; i++) {
    tly_exact_sum_merge(whole, &parts[i]);
    tly_exact_sum_free(&parts[i]);
  }
}

static void stored_bytes_do_not_depend_on_order_or_parts(void **state) {
  (void)state;
  for (int round = 0; round < 2000; round++) {
    double values[VALUES_MAX];
    int count = 1 + rand() % VALUES_MAX;
    for (int i = 0; i < count; i++)
      values[i] = round % 3 == 0 ? random_double() : (double)(rand() % 2000000 - 1000000) / 100;
    struct tly_exact_sum first, second;
    struct tly_buffer first_bytes = {0}, second_bytes = {0};
    add_in_parts(values, count, &first);
    add_in_parts(values, count, &second);
    tly_exact_sum_append(&first, &first_bytes);
    tly_exact_sum_append(&second, &second_bytes);
    assert_int_equal(first_bytes.size, second_bytes.size);
    assert_memory_equal(first_bytes.data, second_bytes.data, first_bytes.size);
    assert_true(result_of(&first) == result_of(&second));
    tly_exact_sum_free(&first);
    tly_exact_sum_free(&second);
    tly_buffer_free(&first_bytes);
    tly_buffer_free(&second_bytes);
  }
}

static void what_is_added_and_taken_away_leaves_no_trace(void **state) {
  (void)state;
  for (int round = 0; round < 500; round++) {
    double values[VALUES_MAX];
    struct tly_exact_sum sum;
    struct tly_buffer bytes = {0};
    tly_exact_sum_init(&sum);
    for (int i = 0; i < VALUES_MAX; i++)
      tly_exact_sum_add(&sum, values[i] = random_double());
    for (int i = 0; i < VALUES_MAX; i++)
      tly_exact_sum_add(&sum, -values[i]);
    tly_exact_sum_append(&sum, &bytes);
    assert_int_equal(bytes.size, 1); /* as if nothing had been there */
    assert_int_equal(bytes.data[0], 0);
    tly_exact_sum_free(&sum);
    tly_buffer_free(&bytes);
  }
}

static void merging_back_and_forth_stays_in_bounds(void **state) {
  (void)state;
  struct tly_exact_sum sums[2];
  for (int i = 0; i < 2; i++)
    tly_exact_sum_init(&sums[i]);
  tly_exact_sum_add(&sums[0], 5e-324);
  tly_exact_sum_add(&sums[1], 1.7976931348623157e308);
  for (int round = 0; round < 60; round++) /* both grow as Fibonacci's numbers do, 2^41 times */
    tly_exact_sum_merge(&sums[round % 2], &sums[1 - round % 2]);
  double result;
  assert_int_equal(tly_exact_sum_result(&sums[0], &result, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  for (int i = 0; i < 2; i++)
    tly_exact_sum_free(&sums[i]);
}

static void ordinary_sums_are_small(void **state) {
  (void)state;
  struct tly_exact_sum sum;
  struct tly_buffer bytes = {0};
  tly_exact_sum_init(&sum);
  for (int i = 0; i < 10000; i++)
    tly_exact_sum_add(&sum, (double)(rand() % 1000000) / 100);
  tly_exact_sum_append(&sum, &bytes);
  assert_true(bytes.size <= 14);
  tly_exact_sum_free(&sum);
  tly_buffer_free(&bytes);
}

static void damaged_bytes_are_refused_or_read_as_written(void **state) {
  (void)state;
  for (int round = 0; round < 100000; round++) {
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = (uint8_t)(rand() % 2 == 0 ? rand() % 16 : rand());
    struct tly_cursor cursor = tly_cursor_of(bytes, sizeof bytes);
    struct tly_exact_sum sum;
    struct tly_buffer again = {0};
    if (tly_exact_sum_read(&cursor, &sum, NULL) == TLY_OK) {
      tly_exact_sum_append(&sum, &again);
      assert_int_equal(again.size, sizeof bytes - tly_cursor_left(&cursor));
      assert_memory_equal(again.data, bytes, again.size);
    }
    tly_exact_sum_free(&sum);
    tly_buffer_free(&again);
  }
}

static int seed(void **state) {
  (void)state;
  srand(20260302);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_are_rounded_once),
      cmocka_unit_test(nothing_sums_to_plain_zero),
      cmocka_unit_test(only_a_result_beyond_double_is_out_of_range),
      cmocka_unit_test(an_average_is_rounded_once),
      cmocka_unit_test(stored_bytes_do_not_depend_on_order_or_parts),
      cmocka_unit_test(what_is_added_and_taken_away_leaves_no_trace),
      cmocka_unit_test(merging_back_and_forth_stays_in_bounds),
      cmocka_unit_test(ordinary_sums_are_small),
      cmocka_unit_test(damaged_bytes_are_refused_or_read_as_written),
  };
  return cmocka_run_group_tests(tests, seed, NULL);
}
