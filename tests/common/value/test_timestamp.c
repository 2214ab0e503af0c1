/* tests/common/value/test_timestamp.c -- calendar, date and time input and output, intervals: what tally decides
 * itself. PostgreSQL's answers to single calls are in test_postgresql_cases.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/value/timestamp.h"

static int64_t timestamp(const char *text) {
  int64_t result;
  assert_int_equal(tly_timestamp_parse(text, strlen(text), true, &result, NULL), TLY_OK);
  return result;
}

static struct tly_interval interval(const char *text) {
  struct tly_interval result;
  assert_int_equal(tly_interval_parse(text, strlen(text), &result, NULL), TLY_OK);
  return result;
}

static void assert_prints(int64_t microseconds, const char *psql, const char *rfc3339) {
  struct tly_buffer out = {0};
  tly_timestamp_print(microseconds, true, &out);
  assert_string_equal(tly_buffer_text(&out), psql);
  tly_buffer_clear(&out);
  tly_timestamp_print_rfc3339(microseconds, true, &out);
  assert_string_equal(tly_buffer_text(&out), rfc3339);
  tly_buffer_free(&out);
}

static void every_day_comes_back_from_its_civil_date(void **state) {
  (void)state;
  int64_t expected_year = 1;
  int expected_month = 1, expected_day = 1;
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (int64_t days = -719162; days < 400000; days++) {
    int64_t year;
    int month, day;
    tly_civil_of_days(days, &year, &month, &day);
    assert_true(year == expected_year && month == expected_month && day == expected_day);
    assert_true(tly_days_of_civil(year, month, day) == days);
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (++expected_day > lengths[month - 1] + (month == 2 && is_leap)) {
      expected_day = 1;
      if (++expected_month > 12) {
        expected_month = 1;
        expected_year++;
      }
    }
  }
}

static void a_timestamp_prints_for_psql_and_for_json(void **state) {
  (void)state;
  assert_prints(0, "1970-01-01 00:00:00+00", "1970-01-01T00:00:00Z");
  assert_prints(timestamp("2026-03-02 10:00:00.5"), "2026-03-02 10:00:00.5+00", "2026-03-02T10:00:00.5Z");
  assert_prints(timestamp("1969-12-31 23:59:59.999999"), "1969-12-31 23:59:59.999999+00",
                "1969-12-31T23:59:59.999999Z");
  assert_prints(timestamp("0001-01-01"), "0001-01-01 00:00:00+00", "0001-01-01T00:00:00Z");
  assert_prints(timestamp("12345-06-07 00:00:00.000001"), "12345-06-07 00:00:00.000001+00",
                "12345-06-07T00:00:00.000001Z");
}

/* The shape most events have is read by a path of its own: it must say what the full grammar says. */
static void the_fast_path_reads_what_the_grammar_reads(void **state) {
  (void)state;
  static const char *const fractions[] = {"", ".5", ".000001", ".999999", ".1234567"};
  for (int round = 0; round < 5000; round++) {
    char fast[64], slow[70];
    int64_t a = 0, b = 0;
    snprintf(fast, sizeof fast, "%04d-%02d-%02d%c%02d:%02d:%02d%s%s", rand() % 3000, rand() % 14, rand() % 33,
             rand() % 2 == 0 ? 'T' : ' ', rand() % 26, rand() % 62, rand() % 63, fractions[rand() % 5],
             rand() % 2 == 0 ? "Z" : "");
    snprintf(slow, sizeof slow, " %s", fast); /* a space in front: not the shape */
    enum tly_status status = tly_timestamp_parse(fast, strlen(fast), true, &a, NULL);
    assert_int_equal(tly_timestamp_parse(slow, strlen(slow), true, &b, NULL), status);
    assert_true(a == b || status != TLY_OK);
  }
}

static void what_tally_does_not_support_is_refused_by_name(void **state) {
  (void)state;
  static const char *const texts[] = {"infinity",
                                      "-infinity",
                                      "now",
                                      "Today",
                                      "epoch",
                                      "2026-01-01 BC",
                                      "0044-03-15 10:00:00+00 BC",
                                      "0001-01-01 00:00:00+01"};
  int64_t result;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_int_equal(tly_timestamp_parse(texts[i], strlen(texts[i]), true, &result, NULL), TLY_E_NOT_SUPPORTED);
  assert_int_equal(tly_timestamp_add(timestamp("0001-01-01"), interval("-1 day"), 1, &result, NULL),
                   TLY_E_NOT_SUPPORTED);
}

static void bad_words_and_bad_fields_are_different_errors(void **state) {
  (void)state;
  struct tly_error error;
  int64_t result;
  assert_int_equal(tly_timestamp_parse("yesterdayish", 12, true, &result, &error), TLY_E_DATETIME_FORMAT);
  assert_string_equal(error.message, "invalid input syntax for type timestamp with time zone: \"yesterdayish\"");
  assert_int_equal(tly_date_parse("2026-02-30", 10, &result, &error), TLY_E_DATETIME_OVERFLOW);
  assert_string_equal(error.message, "date/time field value out of range: \"2026-02-30\"");
  assert_int_equal(tly_timestamp_parse("2026-03-02 10:00+16", 19, true, &result, NULL), TLY_E_TIME_ZONE_DISPLACEMENT);
}

static void ranges_end_where_the_header_says(void **state) {
  (void)state;
  int64_t result;
  assert_true(timestamp("294246-12-31 23:59:59.999999") > 0);
  assert_int_equal(tly_timestamp_parse("294247-01-01", 12, false, &result, NULL), TLY_E_DATETIME_OVERFLOW);
  assert_int_equal(tly_date_parse("5874897-12-31", 13, &result, NULL), TLY_OK);
  assert_int_equal(tly_date_parse("5874898-01-01", 13, &result, NULL), TLY_E_DATETIME_OVERFLOW);
  assert_int_equal(tly_timestamp_add(timestamp("2026-01-01"), interval("178000000 years"), 1, &result, NULL),
                   TLY_E_DATETIME_OVERFLOW);
  assert_int_equal(tly_timestamp_add(timestamp("2026-01-01"), interval("2000000000 days"), 1, &result, NULL),
                   TLY_E_DATETIME_OVERFLOW);
}

static void any_text_is_read_or_refused(void **state) {
  (void)state;
  static const char pieces[] = "0123456789-:. TZ+/PMYDHSabc@";
  for (int round = 0; round < 100000; round++) {
    char text[40];
    size_t size = (size_t)(rand() % (int)sizeof text);
    struct tly_interval span;
    int64_t result;
    for (size_t i = 0; i < size; i++)
      text[i] = pieces[(size_t)rand() % (sizeof pieces - 1)];
    if (tly_timestamp_parse(text, size, true, &result, NULL) == TLY_OK)
      assert_int_equal(tly_timestamp_check(result, NULL), TLY_OK);
    if (tly_date_parse(text, size, &result, NULL) == TLY_OK)
      assert_int_equal(tly_date_check(result, NULL), TLY_OK);
    if (tly_interval_parse(text, size, &span, NULL) == TLY_OK)
      assert_int_equal(tly_interval_compare(span, span), 0);
  }
}

static void an_interval_prints_and_reads_back(void **state) {
  (void)state;
  for (int round = 0; round < 5000; round++) {
    struct tly_interval value = {.months = rand() % 400 - 200,
                                 .days = rand() % 100 - 50,
                                 .microseconds = ((int64_t)rand() << 20 | rand()) * (rand() % 2 == 0 ? 1 : -1)};
    if (rand() % 4 == 0)
      value.months = 0;
    if (rand() % 4 == 0)
      value.microseconds = 0;
    struct tly_buffer out = {0};
    tly_interval_print(value, &out);
    struct tly_interval back = interval(tly_buffer_text(&out));
    assert_true(back.months == value.months && back.days == value.days && back.microseconds == value.microseconds);
    tly_buffer_free(&out);
  }
}

static void every_spelling_of_a_unit_is_known(void **state) {
  (void)state;
  static const char *const units[] = {"Day",       "DAYS", "d",   "hr",   "hrs",  "mon",    "mons",  "qtr",
                                      "yrs",       "decs", "c",   "cent", "mils", "us",     "usecs", "msecs",
                                      "millennia", "w",    "sec", "mins", "m",    "timezo", "",      "fortnight"};
  int64_t result;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    enum tly_status expected = i < 21 ? TLY_OK : TLY_E_INVALID_PARAMETER;
    assert_int_equal(tly_timestamp_trunc(units[i], strlen(units[i]), timestamp("2026-03-02"), &result, NULL), expected);
  }
  assert_int_equal(tly_timestamp_trunc("timezone", 8, 0, &result, NULL), TLY_E_NOT_SUPPORTED);
}

static void a_bin_floors_below_its_origin(void **state) {
  (void)state;
  int64_t result;
  assert_int_equal(tly_timestamp_bin(interval("15 minutes"), timestamp("2026-03-02 09:59:59"),
                                     timestamp("2026-03-02 10:00:00"), &result, NULL),
                   TLY_OK);
  assert_prints(result, "2026-03-02 09:45:00+00", "2026-03-02T09:45:00Z");
  assert_int_equal(tly_timestamp_bin(interval("1 month"), 0, 0, &result, NULL), TLY_E_NOT_SUPPORTED);
  assert_int_equal(tly_timestamp_bin(interval("0 days"), 0, 0, &result, NULL), TLY_E_DATETIME_OVERFLOW);
}

static void julian_days_are_refused(void **state) {
  (void)state;
  struct tly_decimal result;
  assert_int_equal(tly_timestamp_extract("julian", 6, TLY_EXTRACT_DATE, 0, &result, NULL), TLY_E_NOT_SUPPORTED);
  assert_int_equal(tly_timestamp_extract("hour", 4, TLY_EXTRACT_DATE, 0, &result, NULL), TLY_E_NOT_SUPPORTED);
}

static int seed(void **state) {
  (void)state;
  srand(20260302);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_day_comes_back_from_its_civil_date),
      cmocka_unit_test(a_timestamp_prints_for_psql_and_for_json),
      cmocka_unit_test(the_fast_path_reads_what_the_grammar_reads),
      cmocka_unit_test(what_tally_does_not_support_is_refused_by_name),
      cmocka_unit_test(bad_words_and_bad_fields_are_different_errors),
      cmocka_unit_test(ranges_end_where_the_header_says),
      cmocka_unit_test(any_text_is_read_or_refused),
      cmocka_unit_test(an_interval_prints_and_reads_back),
      cmocka_unit_test(every_spelling_of_a_unit_is_known),
      cmocka_unit_test(a_bin_floors_below_its_origin),
      cmocka_unit_test(julian_days_are_refused),
  };
  return cmocka_run_group_tests(tests, seed, NULL);
}
