/* tests/common/value/test_value.c -- types and their forms, the text, JSON and CSV of values, vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/value/vector.h"

static struct tly_arena arena;

static struct tly_type numeric(int precision, int scale) {
  return (struct tly_type){.id = TLY_TYPE_NUMERIC, .precision = (int16_t)precision, .scale = (int16_t)scale};
}

static struct tly_value parse(struct tly_type type, const char *text) {
  struct tly_value value;
  assert_int_equal(tly_value_parse(type, text, strlen(text), &arena, &value, NULL), TLY_OK);
  return value;
}

typedef void printer(const struct tly_value *value, struct tly_buffer *out);

static void assert_printed(printer *print, const struct tly_value *value, const char *expected) {
  struct tly_buffer out = {0};
  print(value, &out);
  assert_string_equal(tly_buffer_text(&out), expected);
  tly_buffer_free(&out);
}

static void a_numeric_fits_the_form_its_proof_allows(void **state) {
  (void)state;
  assert_int_equal(tly_type_form(numeric(18, 2)), TLY_FORM_I64);
  assert_int_equal(tly_type_form(numeric(19, 0)), TLY_FORM_I128);
  assert_int_equal(tly_type_form(numeric(38, 38)), TLY_FORM_I128);
  assert_int_equal(tly_type_form(numeric(39, 2)), TLY_FORM_DECIMAL);
  assert_int_equal(tly_type_form(numeric(0, 0)), TLY_FORM_DECIMAL);
  assert_int_equal(tly_type_form(TLY_TYPE_OF(TLY_TYPE_UUID)), TLY_FORM_TEXT);
  assert_string_equal(tly_type_name(TLY_TYPE_OF(TLY_TYPE_TIMESTAMPTZ)), "timestamp with time zone");
  assert_string_equal(tly_type_protocol_name(TLY_TYPE_OF(TLY_TYPE_VARCHAR)), "text");
}

static void a_value_has_its_text_in_each_format(void **state) {
  (void)state;
  static const struct {
    enum tly_type_id id;
    const char *input, *text, *json, *csv;
  } cases[] = {
      {TLY_TYPE_BOOLEAN, "yes", "t", "true", "t"},
      {TLY_TYPE_BOOLEAN, "0", "f", "false", "f"},
      {TLY_TYPE_SMALLINT, " -7 ", "-7", "-7", "-7"},
      {TLY_TYPE_BIGINT, "9223372036854775807", "9223372036854775807", "9223372036854775807", "9223372036854775807"},
      {TLY_TYPE_NUMERIC, "12.30", "12.30", "\"12.30\"", "12.30"},
      {TLY_TYPE_DOUBLE, "0.1", "0.1", "0.1", "0.1"},
      {TLY_TYPE_DOUBLE, "1e20", "1e+20", "1e+20", "1e+20"},
      {TLY_TYPE_TEXT, "", "", "\"\"", "\"\""},
      {TLY_TYPE_TEXT, "a,b", "a,b", "\"a,b\"", "\"a,b\""},
      {TLY_TYPE_TEXT, "say \"hi\"\n", "say \"hi\"\n", "\"say \\\"hi\\\"\\n\"", "\"say \"\"hi\"\"\n\""},
      {TLY_TYPE_TEXT, "\x01\\\t\b", "\x01\\\t\b", "\"\\u0001\\\\\\t\\b\"", "\x01\\\t\b"},
      {TLY_TYPE_DATE, "20260302", "2026-03-02", "\"2026-03-02\"", "2026-03-02"},
      {TLY_TYPE_TIMESTAMP, "2026-03-02 10:00", "2026-03-02 10:00:00", "\"2026-03-02T10:00:00\"", "2026-03-02 10:00:00"},
      {TLY_TYPE_TIMESTAMPTZ, "2026-03-02 10:00+01", "2026-03-02 09:00:00+00", "\"2026-03-02T09:00:00Z\"",
       "2026-03-02 09:00:00+00"},
      {TLY_TYPE_UUID, "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
       "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
      {TLY_TYPE_INTERVAL, "90 min", "01:30:00", "\"01:30:00\"", "01:30:00"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct tly_value value = parse(TLY_TYPE_OF(cases[i].id), cases[i].input);
    assert_printed(tly_value_print, &value, cases[i].text);
    assert_printed(tly_value_print_json, &value, cases[i].json);
    assert_printed(tly_value_print_csv, &value, cases[i].csv);
  }
}

static void null_prints_nothing_but_in_json(void **state) {
  (void)state;
  struct tly_value value = tly_value_null(TLY_TYPE_OF(TLY_TYPE_TEXT));
  assert_printed(tly_value_print, &value, "");
  assert_printed(tly_value_print_json, &value, "null");
  assert_printed(tly_value_print_csv, &value, "");
}

static void a_csv_field_is_quoted_behind_what_stands_before_it(void **state) {
  (void)state;
  struct tly_buffer out = {0};
  struct tly_value value = parse(TLY_TYPE_OF(TLY_TYPE_TEXT), "\"\",\"");
  tly_buffer_append_text(&out, "\"first\",");
  tly_value_print_csv(&value, &out);
  assert_string_equal(tly_buffer_text(&out), "\"first\",\"\"\"\"\",\"\"\"");
  tly_buffer_free(&out);
}

static void a_numeric_is_rounded_to_its_proof_in_every_form(void **state) {
  (void)state;
  struct tly_value value;
  struct tly_value narrow = parse(numeric(5, 2), "-12.345"), wide = parse(numeric(30, 2), "12.345");
  assert_true(narrow.i64 == -1235);
  assert_true(wide.i128 == 1235);
  assert_printed(tly_value_print, &narrow, "-12.35");
  assert_printed(tly_value_print, &wide, "12.35");
  assert_int_equal(tly_value_parse(numeric(5, 2), "999.995", 7, &arena, &value, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
  struct tly_value free_form = parse(numeric(0, 0), "12.350");
  assert_int_equal(tly_value_compare(&wide, &free_form), 0);
  assert_true(tly_value_compare(&narrow, &wide) < 0);
}

static void a_varchar_too_long_is_refused_unless_spaces_are_cut(void **state) {
  (void)state;
  struct tly_type type = {.id = TLY_TYPE_VARCHAR, .precision = 2};
  struct tly_value value;
  struct tly_error error;
  assert_int_equal(tly_value_parse(type, "\xc3\xbc\xc3\xbc\xc3\xbc", 6, &arena, &value, &error),
                   TLY_E_STRING_TRUNCATION);
  assert_string_equal(error.message, "value too long for type character varying(2)");
  assert_int_equal(parse(type, "ab   ").text.size, 2);
  assert_int_equal(parse(type, "\xc3\xbc\xc3\xbc").text.size, 4);
  assert_int_equal(tly_value_parse(type, "\xc3", 1, &arena, &value, NULL), TLY_E_CHARACTER_NOT_IN_REPERTOIRE);
}

static void doubles_print_the_shortest_digits_that_read_back(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } cases[] = {
      {0, "0"},
      {-0.0, "0"},
      {1, "1"},
      {-1.5, "-1.5"},
      {100, "100"},
      {0.1, "0.1"},
      {1e14, "100000000000000"},
      {1e15, "1e+15"},
      {1.2345678901234568e17, "1.2345678901234568e+17"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {0.00012345, "0.00012345"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {5e-324, "5e-324"},
      {2.5e-320, "2.5e-320"},
      {0.3, "0.3"},
      {0.1 + 0.2, "0.30000000000000004"},
      {123456.789, "123456.789"},
      {999999999999999.9, "999999999999999.9"},
  };
  struct tly_buffer out = {0};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tly_buffer_clear(&out);
    tly_double_print(cases[i].value, &out);
    assert_string_equal(tly_buffer_text(&out), cases[i].text);
  }
  for (int round = 0; round < 20000; round++) {
    uint64_t bits = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
    double value, back;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
      continue;
    tly_buffer_clear(&out);
    tly_double_print(value, &out);
    assert_int_equal(tly_double_parse((char *)out.data, out.size, &back, NULL), TLY_OK);
    assert_true(back == value);
  }
  tly_buffer_free(&out);
}

/* The shortcut for short decimals must round as strtod. */
static void doubles_read_as_strtod_reads_them(void **state) {
  (void)state;
  for (int round = 0; round < 50000; round++) {
    char text[64];
    double value;
    if (round % 2 == 0)
      snprintf(text, sizeof text, "%d.%0*d", rand() % 100000 - 50000, 1 + rand() % 9, rand() % 1000);
    else
      snprintf(text, sizeof text, "%s%lld.%llde%d", rand() % 2 == 0 ? "-" : "", (long long)rand() * rand(),
               (long long)rand(), rand() % 60 - 30);
    assert_int_equal(tly_double_parse(text, strlen(text), &value, NULL), TLY_OK);
    assert_true(value == strtod(text, NULL));
    assert_false(value == 0 && signbit(value));
  }
}

static void special_doubles_are_refused_and_minus_zero_is_zero(void **state) {
  (void)state;
  static const char *const words[] = {"NaN", " inf ", "-Infinity", "nan"};
  double value;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    assert_int_equal(tly_double_parse(words[i], strlen(words[i]), &value, NULL), TLY_E_NOT_SUPPORTED);
  assert_int_equal(tly_double_parse("-0", 2, &value, NULL), TLY_OK);
  assert_false(signbit(value));
  assert_int_equal(tly_double_parse("-0.0e5 ", 7, &value, NULL), TLY_OK);
  assert_false(signbit(value));
  assert_int_equal(tly_double_parse("1e999", 5, &value, NULL), TLY_E_NUMERIC_OUT_OF_RANGE);
}

static void a_text_is_not_read_past_its_end(void **state) {
  (void)state;
  double value;
  struct tly_value integer;
  assert_int_equal(tly_double_parse("1.55", 3, &value, NULL), TLY_OK);
  assert_true(value == 1.5);
  assert_int_equal(tly_value_parse(TLY_TYPE_OF(TLY_TYPE_BIGINT), "123456", 3, &arena, &integer, NULL), TLY_OK);
  assert_true(integer.i64 == 123);
}

static void a_vector_gives_its_elements_as_values(void **state) {
  (void)state;
  static const enum tly_type_id ids[] = {TLY_TYPE_BIGINT, TLY_TYPE_DOUBLE, TLY_TYPE_TEXT, TLY_TYPE_NUMERIC,
                                         TLY_TYPE_INTERVAL};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    struct tly_value value = parse(TLY_TYPE_OF(ids[i]), "42"), null = tly_value_null(TLY_TYPE_OF(ids[i]));
    struct tly_vector vector = tly_vector_of_value(&value, 1000, &arena);
    struct tly_value element = tly_vector_value(&vector, 999);
    assert_false(element.is_null);
    assert_int_equal(tly_value_compare(&element, &value), 0);
    vector = tly_vector_of_value(&null, 1000, &arena);
    assert_true(tly_vector_value(&vector, 999).is_null);
    vector = tly_vector_new(TLY_TYPE_OF(ids[i]), 10, &arena);
    assert_false(tly_vector_is_null(&vector, 9));
  }
  struct tly_value wide = parse(numeric(38, 0), "99999999999999999999999999999999999999");
  struct tly_vector vector = tly_vector_of_value(&wide, 1, &arena);
  struct tly_value element = tly_vector_value(&vector, 0);
  assert_int_equal(tly_value_compare(&element, &wide), 0);
}

static void a_coded_vector_reads_its_dictionary(void **state) {
  (void)state;
  struct tly_text entries[] = {tly_text_of(""), tly_text_of("EUR"), tly_text_of("USD")};
  struct tly_dictionary dictionary = {.entries = entries, .count = 3};
  uint32_t codes[] = {2, 0, 1};
  uint8_t null[] = {0, 1, 0};
  struct tly_vector vector = {
      .type = TLY_TYPE_OF(TLY_TYPE_TEXT), .count = 3, .null = null, .codes = codes, .dictionary = &dictionary};
  assert_true(tly_text_equal(tly_vector_text(&vector, 0), tly_text_of("USD")));
  assert_true(tly_vector_value(&vector, 1).is_null);
  assert_true(tly_text_equal(tly_vector_value(&vector, 2).text, tly_text_of("EUR")));
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
      cmocka_unit_test(a_numeric_fits_the_form_its_proof_allows),
      cmocka_unit_test(a_value_has_its_text_in_each_format),
      cmocka_unit_test(null_prints_nothing_but_in_json),
      cmocka_unit_test(a_csv_field_is_quoted_behind_what_stands_before_it),
      cmocka_unit_test(a_numeric_is_rounded_to_its_proof_in_every_form),
      cmocka_unit_test(a_varchar_too_long_is_refused_unless_spaces_are_cut),
      cmocka_unit_test(doubles_print_the_shortest_digits_that_read_back),
      cmocka_unit_test(doubles_read_as_strtod_reads_them),
      cmocka_unit_test(special_doubles_are_refused_and_minus_zero_is_zero),
      cmocka_unit_test(a_text_is_not_read_past_its_end),
      cmocka_unit_test(a_vector_gives_its_elements_as_values),
      cmocka_unit_test(a_coded_vector_reads_its_dictionary),
  };
  return cmocka_run_group_tests(tests, make_arena, free_arena);
}
