/* tests/common/event/test_decode_json.c -- JSON events: values into columns, lines into events and rejections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/limits.h"
#include "tests/common/event/decode_fixture.h"

/* ---- one value --------------------------------------------------------------------------------------------------- */

struct value_case {
  struct tly_type type;
  const char *json;
  const char *expected; /* as psql shows it, or the SQLSTATE it is rejected with */
  enum tly_timestamp_unit unit;
};

#define S  TLY_TIME_EPOCH_S
#define MS TLY_TIME_EPOCH_MS
#define US TLY_TIME_EPOCH_US

static const struct value_case value_cases[] = {
    {.type = BOOLEAN, .json = "true", .expected = "t"},
    {.type = BOOLEAN, .json = "false", .expected = "f"},
    {.type = BOOLEAN, .json = "\"true\"", .expected = "42804"},
    {.type = BOOLEAN, .json = "1", .expected = "42804"},
    {.type = BOOLEAN, .json = "null", .expected = "NULL"},
    {.type = SMALLINT, .json = "32767", .expected = "32767"},
    {.type = SMALLINT, .json = "32768", .expected = "22003"},
    {.type = SMALLINT, .json = "-32768", .expected = "-32768"},
    {.type = SMALLINT, .json = "-32769", .expected = "22003"},
    {.type = INTEGER, .json = "12.0", .expected = "12"},
    {.type = INTEGER, .json = "12.5", .expected = "22P02"},
    {.type = INTEGER, .json = "1e2", .expected = "100"},
    {.type = INTEGER, .json = "1.5e1", .expected = "15"},
    {.type = INTEGER, .json = "1500e-2", .expected = "15"},
    {.type = INTEGER, .json = "1e-2", .expected = "22P02"},
    {.type = INTEGER, .json = "0e-999999999999", .expected = "0"},
    {.type = INTEGER, .json = "-0", .expected = "0"},
    {.type = INTEGER, .json = "2147483647", .expected = "2147483647"},
    {.type = INTEGER, .json = "2147483648", .expected = "22003"},
    {.type = INTEGER, .json = "1e999999999999999999999", .expected = "22003"},
    {.type = INTEGER, .json = "1e-999999999999999999999", .expected = "22P02"},
    {.type = INTEGER, .json = "\"12\"", .expected = "12"},
    {.type = INTEGER, .json = "\" +12 \"", .expected = "12"},
    {.type = INTEGER, .json = "\"abc\"", .expected = "22P02"},
    {.type = INTEGER, .json = "\"\"", .expected = "22P02"},
    {.type = INTEGER, .json = "\"0x10\"", .expected = "22P02"},
    {.type = INTEGER, .json = "true", .expected = "42804"},
    {.type = INTEGER, .json = "{}", .expected = "42804"},
    {.type = INTEGER, .json = "[1]", .expected = "42804"},
    {.type = BIGINT, .json = "9223372036854775807", .expected = "9223372036854775807"},
    {.type = BIGINT, .json = "9223372036854775808", .expected = "22003"},
    {.type = BIGINT, .json = "-9223372036854775808", .expected = "-9223372036854775808"},
    {.type = BIGINT, .json = "-9223372036854775809", .expected = "22003"},
    {.type = BIGINT, .json = "9007199254740993", .expected = "9007199254740993"},
    {.type = BIGINT, .json = "999999999999999999", .expected = "999999999999999999"},
    {.type = BIGINT, .json = "1000000000000000000", .expected = "1000000000000000000"},
    {.type = NUMERIC(18, 2), .json = "12.30", .expected = "12.30"},
    {.type = NUMERIC(18, 2), .json = "\"12.30\"", .expected = "12.30"},
    {.type = NUMERIC(18, 2), .json = "12.3", .expected = "12.30"},
    {.type = NUMERIC(18, 2), .json = "12", .expected = "12.00"},
    {.type = NUMERIC(18, 2), .json = "12.300000", .expected = "12.30"},
    {.type = NUMERIC(18, 2), .json = "12.345", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "0.005", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "1e2", .expected = "100.00"},
    {.type = NUMERIC(18, 2), .json = "1234.5e-1", .expected = "123.45"},
    {.type = NUMERIC(18, 2), .json = "-0.01", .expected = "-0.01"},
    {.type = NUMERIC(18, 2), .json = "-0.00", .expected = "0.00"},
    {.type = NUMERIC(18, 2), .json = "9999999999999999.99", .expected = "9999999999999999.99"},
    {.type = NUMERIC(18, 2), .json = "10000000000000000", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "0.1e16", .expected = "1000000000000000.00"},
    {.type = NUMERIC(18, 2), .json = "1e400", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "1e999999999", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "1e-999999999", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "\"1e999999999\"", .expected = "22003"},
    {.type = NUMERIC(18, 2), .json = "\"NaN\"", .expected = "0A000"},
    {.type = NUMERIC(18, 2), .json = "\"-Infinity\"", .expected = "0A000"},
    {.type = NUMERIC(18, 2), .json = "\"12,30\"", .expected = "22P02"},
    {.type = NUMERIC(18, 2), .json = "\".5\"", .expected = "0.50"},
    {.type = NUMERIC(18, 2), .json = "\"5.\"", .expected = "5.00"},
    {.type = NUMERIC(18, 2), .json = "\".\"", .expected = "22P02"},
    {.type = NUMERIC(18, 2), .json = "\"007\"", .expected = "7.00"},
    {.type = NUMERIC(18, 2), .json = "true", .expected = "42804"},
    {.type = NUMERIC(18, 18), .json = "0.123456789012345678", .expected = "0.123456789012345678"},
    {.type = NUMERIC(18, 18), .json = "1", .expected = "22003"},
    {.type = NUMERIC(1, 0), .json = "9", .expected = "9"},
    {.type = NUMERIC(1, 0), .json = "10", .expected = "22003"},
    {.type = NUMERIC(38, 4),
     .json = "1234567890123456789012345678901234.5678",
     .expected = "1234567890123456789012345678901234.5678"},
    {.type = NUMERIC(38, 0),
     .json = "-99999999999999999999999999999999999999",
     .expected = "-99999999999999999999999999999999999999"},
    {.type = NUMERIC(38, 0), .json = "100000000000000000000000000000000000000", .expected = "22003"},
    {.type = NUMERIC(38, 0), .json = "1e37", .expected = "10000000000000000000000000000000000000"},
    {.type = NUMERIC(0, 0), .json = "1.500", .expected = "1.500"},
    {.type = NUMERIC(0, 0), .json = "1.5e1", .expected = "15"},
    {.type = NUMERIC(0, 0), .json = "1.50e1", .expected = "15.0"},
    {.type = NUMERIC(0, 0), .json = "1e3", .expected = "1000"},
    {.type = NUMERIC(0, 0), .json = "0.000", .expected = "0.000"},
    {.type = NUMERIC(0, 0), .json = "-0", .expected = "0"},
    {.type = NUMERIC(0, 0), .json = "1e400", .expected = "22003"},
    {.type = NUMERIC(0, 0), .json = "1e-400", .expected = "1e-400"},
    {.type = NUMERIC(0, 0), .json = "1e-401", .expected = "22003"},
    {.type = NUMERIC(0, 0), .json = "1e999999999", .expected = "22003"},
    {.type = NUMERIC(0, 0), .json = "0e999999999", .expected = "0"},
    {.type = NUMERIC(0, 0), .json = "0e-999999999", .expected = "22003"},
    {.type = DOUBLE, .json = "0.1", .expected = "0.1"},
    {.type = DOUBLE, .json = "1e23", .expected = "1e+23"},
    {.type = DOUBLE, .json = "9007199254740993", .expected = "9.007199254740992e+15"},
    {.type = DOUBLE, .json = "1e400", .expected = "22003"},
    {.type = DOUBLE, .json = "1e-400", .expected = "22003"},
    {.type = DOUBLE, .json = "1.7976931348623157e308", .expected = "1.7976931348623157e+308"},
    {.type = DOUBLE, .json = "4.9e-324", .expected = "5e-324"},
    {.type = DOUBLE, .json = "-0.0", .expected = "0"},
    {.type = DOUBLE, .json = "0e999999999999", .expected = "0"},
    {.type = DOUBLE, .json = "\"1.5\"", .expected = "1.5"},
    {.type = DOUBLE, .json = "\"NaN\"", .expected = "0A000"},
    {.type = DOUBLE, .json = "\"0x1p3\"", .expected = "22P02"},
    {.type = TEXT, .json = "\"abc\"", .expected = "abc"},
    {.type = TEXT, .json = "\"\"", .expected = ""},
    {.type = TEXT,
     .json = "\"a\\u00fcb\\\"\"",
     .expected = "a\xc3\xbc"
                 "b\""},
    {.type = TEXT, .json = "12", .expected = "42804"},
    {.type = TEXT, .json = "true", .expected = "42804"},
    {.type = TEXT, .json = "{\"a\":1}", .expected = "42804"},
    {.type = VARCHAR(3), .json = "\"abc\"", .expected = "abc"},
    {.type = VARCHAR(3), .json = "\"\xc3\xbc\xc3\xbc\xc3\xbc\"", .expected = "\xc3\xbc\xc3\xbc\xc3\xbc"},
    {.type = VARCHAR(3), .json = "\"abcd\"", .expected = "22001"},
    {.type = VARCHAR(3), .json = "\"\\u00fc\\u00fc\\u00fc\\u00fc\"", .expected = "22001"},
    {.type = VARCHAR(3), .json = "\"abc  \"", .expected = "abc"},
    {.type = DATE, .json = "\"2026-03-02\"", .expected = "2026-03-02"},
    {.type = DATE, .json = "\"2024-02-29\"", .expected = "2024-02-29"},
    {.type = DATE, .json = "\"2023-02-29\"", .expected = "22008"},
    {.type = DATE, .json = "\"2023-13-01\"", .expected = "22008"},
    {.type = DATE, .json = "\"yesterday\"", .expected = "0A000"},
    {.type = DATE, .json = "\"2 March\"", .expected = "22007"},
    {.type = DATE, .json = "20260302", .expected = "42804"},
    {.type = DATE, .json = "86399", .unit = S, .expected = "1970-01-01"},
    {.type = DATE, .json = "-1", .unit = S, .expected = "1969-12-31"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T10:00:00Z\"", .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T10:00:00.5Z\"", .expected = "2026-03-02 10:00:00.5+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T10:00:00+05:30\"", .expected = "2026-03-02 04:30:00+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02 10:00:00\"", .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T10:00:00.1234567Z\"", .expected = "2026-03-02 10:00:00.123457+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T23:59:60Z\"", .expected = "2026-03-03 00:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T25:00:00Z\"", .expected = "22008"},
    {.type = TIMESTAMPTZ, .json = "\"2026-02-30T10:00:00Z\"", .expected = "22008"},
    {.type = TIMESTAMPTZ, .json = "\"soon\"", .expected = "22007"},
    {.type = TIMESTAMPTZ, .json = "\"\"", .expected = "22007"},
    {.type = TIMESTAMPTZ, .json = "1772445600", .expected = "42804"},
    {.type = TIMESTAMPTZ, .json = "1772445600", .unit = S, .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "1772445600.25", .unit = S, .expected = "2026-03-02 10:00:00.25+00"},
    {.type = TIMESTAMPTZ, .json = "1772445600.1234567", .unit = S, .expected = "2026-03-02 10:00:00.123457+00"},
    {.type = TIMESTAMPTZ, .json = "0.0000005", .unit = S, .expected = "1970-01-01 00:00:00.000001+00"},
    {.type = TIMESTAMPTZ, .json = "0.00000049", .unit = S, .expected = "1970-01-01 00:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "-1.5", .unit = S, .expected = "1969-12-31 23:59:58.5+00"},
    {.type = TIMESTAMPTZ, .json = "1772445600000", .unit = MS, .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "1.7724456e12", .unit = MS, .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "1772445600000000", .unit = US, .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "\"1772445600\"", .unit = S, .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "\"2026-03-02T10:00:00Z\"", .unit = S, .expected = "2026-03-02 10:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "1e18", .unit = S, .expected = "22008"},
    {.type = TIMESTAMPTZ, .json = "1e999999999", .unit = S, .expected = "22008"},
    {.type = TIMESTAMPTZ, .json = "1e-999999999", .unit = S, .expected = "1970-01-01 00:00:00+00"},
    {.type = TIMESTAMPTZ, .json = "true", .unit = S, .expected = "42804"},
    {.type = TIMESTAMP, .json = "\"2026-03-02T10:00:00+05:30\"", .expected = "2026-03-02 10:00:00"},
    {.type = TIMESTAMP, .json = "\"2026-03-02\"", .expected = "2026-03-02 00:00:00"},
    {.type = UUID,
     .json = "\"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
     .expected = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {.type = UUID,
     .json = "\"{a0eebc999c0b4ef8bb6d6bb9bd380a11}\"",
     .expected = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {.type = UUID, .json = "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g\"", .expected = "22P02"},
    {.type = UUID, .json = "12", .expected = "42804"},
    {.type = TEXT, .json = "NaN", .expected = "22032"},
    {.type = DOUBLE, .json = "Infinity", .expected = "22032"},
    {.type = TEXT, .json = "\"\\u0000\"", .expected = "22032"},
    {.type = TEXT, .json = "\"\\ud800\"", .expected = "22032"},
    {.type = TEXT, .json = "\"\xff\"", .expected = "22021"},
};

/* What the decoder makes of {"v":<json>}: its value, or its SQLSTATE. The second of three equal lines is looked at, so
 * that a learned layout has read it when it can. */
static void decode_value(const struct value_case *value, bool learned, char *out, size_t size) {
  struct column_spec spec = {.name = "v", .type = value->type, .unit = value->unit};
  struct test_stream test;
  struct tly_buffer bytes = {0};
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t lines;
  make_stream(&test, &spec, 1);
  for (int i = 0; i < 3; i++)
    tly_buffer_print(&bytes, "{\"v\":%s}\n", value->json);
  tly_buffer_print(&bytes, "%200s\n", "");
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_JSON);
  tly_decoder_use_learned_layout(decoder, learned);
  tly_event_batch_init(&batch, &test.stream);
  assert_int_equal(tly_decoder_decode(decoder, (char *)bytes.data, bytes.size, 0, &batch, &consumed, &lines, NULL),
                   TLY_OK);
  assert_int_equal(consumed, bytes.size);
  assert_int_equal(lines, 4);
  if (batch.rejection_count > 0) {
    assert_int_equal(batch.rejection_count, 3);
    snprintf(out, size, "%s", tly_status_sqlstate(batch.rejections[1].status));
  } else {
    struct tly_buffer text = {0};
    struct tly_value decoded = tly_vector_value(&batch.columns[0], 1);
    assert_int_equal(batch.count, 3);
    tly_value_print(&decoded, &text);
    snprintf(out, size, "%s", decoded.is_null ? "NULL" : tly_buffer_text(&text));
    tly_buffer_free(&text);
  }
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  tly_buffer_free(&bytes);
  free_stream(&test);
}

/* "1e-400" stands for its digits. */
static const char *expand(const char *expected, char *out) {
  if (strcmp(expected, "1e-400") != 0)
    return expected;
  memset(out, '0', 402);
  out[1] = '.';
  out[401] = '1';
  out[402] = '\0';
  return out;
}

static void each_json_value_meets_each_type_as_the_table_says(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof value_cases / sizeof *value_cases; i++) {
    for (int learned = 0; learned < 2; learned++) {
      const struct value_case *value = &value_cases[i];
      char out[1024], expanded[512];
      decode_value(value, learned, out, sizeof out);
      if (strcmp(out, expand(value->expected, expanded)) != 0)
        fail_msg("%s(%d,%d) from %s (learned %d): %s, not %s", tly_type_name(value->type), value->type.precision,
                 value->type.scale, value->json, learned, out, value->expected);
    }
  }
}

static void a_number_of_a_million_digits_is_rejected_in_no_time(void **state) {
  (void)state;
  static const struct column_spec specs[] = {{.name = "d", .type = DOUBLE},
                                             {.name = "n", .type = NUMERIC(0, 0)},
                                             {.name = "m", .type = NUMERIC(38, 4)},
                                             {.name = "i", .type = BIGINT}};
  size_t digits = 1000000;
  char *line = malloc(digits + 32);
  clock_t start = clock();
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    for (int zeros = 0; zeros < 2; zeros++) {
      struct test_stream test;
      struct tly_buffer out;
      size_t size = (size_t)sprintf(line, "{\"%s\":%s", specs[i].name, zeros ? "0." : "1");
      memset(line + size, zeros ? '0' : '7', digits);
      size += digits;
      size += (size_t)sprintf(line + size, "1}");
      make_stream(&test, &specs[i], 1);
      describe_bytes(&test.stream, TLY_FORMAT_JSON, true, line, size, &out);
      assert_memory_equal(out.data, "line 1: 22", 10);
      tly_buffer_free(&out);
      free_stream(&test);
    }
  }
  assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
  free(line);
}

/* ---- one event --------------------------------------------------------------------------------------------------- */

static const struct column_spec payment[] = {
    {.name = "payment_id", .type = TEXT, .not_null = true},
    {.name = "amount", .type = NUMERIC(18, 2), .not_null = true},
    {.name = "status", .type = TEXT, .path = "data.status"},
    {.name = "paid_at", .type = TIMESTAMPTZ},
};

/* Decode `bytes` as payments both ways and compare with `expected`. */
static void assert_decoded_sized(const char *bytes, size_t size, const char *expected) {
  struct test_stream test;
  make_stream(&test, payment, sizeof payment / sizeof *payment);
  for (int learned = 0; learned < 2; learned++) {
    struct tly_buffer out;
    describe_bytes(&test.stream, TLY_FORMAT_JSON, learned, bytes, size, &out);
    assert_string_equal((char *)out.data, expected);
    tly_buffer_free(&out);
  }
  free_stream(&test);
}

static void assert_decoded(const char *bytes, const char *expected) {
  assert_decoded_sized(bytes, strlen(bytes), expected);
}

static void members_come_in_any_order_and_unknown_ones_are_ignored(void **state) {
  (void)state;
  assert_decoded("{\"x\":[{\"payment_id\":1}],\"data\":{\"status\":\"paid\",\"amount\":9},\"amount\":1.5,\"y\":null,"
                 "\"payment_id\":\"p\"}",
                 "[{\"x\":[{\"payment_id\":1}],\"data\":{\"status\":\"paid\",\"amount\":9},\"amount\":1.5,\"y\":null,"
                 "\"payment_id\":\"p\"}] p|1.50|paid|NULL\n");
}

static void an_escaped_key_is_the_same_key(void **state) {
  (void)state;
  assert_decoded("{\"payment\\u005fid\":\"p\",\"\\u0061mount\":1}",
                 "[{\"payment\\u005fid\":\"p\",\"\\u0061mount\":1}] p|1.00|NULL|NULL\n");
}

static void what_is_ignored_is_still_checked(void **state) {
  (void)state;
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"x\":[1,,2]}",
                 "line 1: 22032 invalid JSON at byte 37: ',' where a value should stand\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"x\":\"\\ud800\"}",
                 "line 1: 22032 invalid JSON at byte 35: \\ud800 is half of a surrogate pair\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"x\":\"\xff\"}",
                 "line 1: 22021 invalid byte sequence for encoding \"UTF8\" in the string at byte 34\n");
}

static void a_missing_column_is_null_or_a_rejection(void **state) {
  (void)state;
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1}", "[{\"payment_id\":\"p\",\"amount\":1}] p|1.00|NULL|NULL\n");
  assert_decoded(
      "{\"payment_id\":\"p\"}",
      "line 1: 23502 column \"amount\": it is NOT NULL, but the event has no value for it (no \"amount\")\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":null}",
                 "line 1: 23502 column \"amount\": it is NOT NULL, but the event has null\n");
  assert_decoded("{}", "line 1: 23502 column \"payment_id\": it is NOT NULL, but the event has no value for it (no "
                       "\"payment_id\")\n");
}

static void a_missing_column_with_a_similar_key_says_what_to_write(void **state) {
  (void)state;
  assert_decoded("{\"paymentId\":\"p\",\"amount\":1}",
                 "line 1: 23502 column \"payment_id\": it is NOT NULL, but the event has no value for it. It has "
                 "\"paymentId\": to read the column from there, write OPTIONS (path 'paymentId') behind its type\n");
  assert_decoded("{\"x\":{\"amount\":1},\"payment_id\":\"p\",\"AMOUNT\":1}",
                 "line 1: 23502 column \"amount\": it is NOT NULL, but the event has no value for it. It has "
                 "\"AMOUNT\": to read the column from there, write OPTIONS (path 'AMOUNT') behind its type\n");
}

static void a_similar_path_is_named_in_full(void **state) {
  (void)state;
  static const struct column_spec spec = {.name = "status", .type = TEXT, .not_null = true, .path = "data.status"};
  static const char line[] = "{\"x\":[{\"Data\":1}],\"Data\":{\"statuses\":1,\"Sta_tus\":\"a\"}}";
  struct test_stream test;
  struct tly_buffer out;
  make_stream(&test, &spec, 1);
  describe_bytes(&test.stream, TLY_FORMAT_JSON, true, line, sizeof line - 1, &out);
  assert_non_null(strstr((char *)out.data, "It has \"Data.Sta_tus\""));
  tly_buffer_free(&out);
  free_stream(&test);
}

static void a_key_twice_is_rejected_when_a_column_is_read_from_it(void **state) {
  (void)state;
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"amount\":2}",
                 "line 1: 22032 duplicate key \"amount\", which column \"amount\" is read from\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"\\u0061mount\":2}",
                 "line 1: 22032 duplicate key \"amount\", which column \"amount\" is read from\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"data\":{\"status\":\"a\"},\"data\":{}}",
                 "line 1: 22032 duplicate key \"data\", which column \"status\" is read from\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"x\":1,\"x\":2}",
                 "[{\"payment_id\":\"p\",\"amount\":1,\"x\":1,\"x\":2}] p|1.00|NULL|NULL\n");
}

static void a_path_through_something_else_than_an_object_is_rejected(void **state) {
  (void)state;
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"data\":\"paid\"}",
                 "line 1: 42804 column \"status\": its path goes through \"data\", but the event has a string there, "
                 "not an object\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"data\":[{\"status\":\"a\"}]}",
                 "line 1: 42804 column \"status\": its path goes through \"data\", but the event has an array there, "
                 "not an object\n");
  assert_decoded("{\"payment_id\":\"p\",\"amount\":1,\"data\":null}",
                 "[{\"payment_id\":\"p\",\"amount\":1,\"data\":null}] p|1.00|NULL|NULL\n");
}

static void an_event_that_is_not_an_object_is_rejected(void **state) {
  (void)state;
  assert_decoded("[]\n\"x\"\n1\nnull\nx\n", "line 1: 22032 an event is a JSON object, but this line is an array\n"
                                            "line 2: 22032 an event is a JSON object, but this line is a string\n"
                                            "line 3: 22032 an event is a JSON object, but this line is a number\n"
                                            "line 4: 22032 an event is a JSON object, but this line is null\n"
                                            "line 5: 22032 invalid JSON at byte 1: 'x' where a value should stand\n");
}

static void a_byte_order_mark_is_named(void **state) {
  (void)state;
  assert_decoded(
      "\xef\xbb\xbf{\"payment_id\":\"p\",\"amount\":1}\n",
      "line 1: 22032 invalid JSON: the line begins with a byte order mark (EF BB BF); save the file as UTF-8 "
      "without one\n");
}

static void a_line_that_is_not_json_is_that_first_of_all(void **state) {
  (void)state;
  assert_decoded("{\"payment_id\":1,\"amount\":1.005,\"amount\":2",
                 "line 1: 22032 invalid JSON: the text ends at byte 42 where ',' or '}' should stand\n");
}

static void a_value_that_does_not_fit_is_rejected_with_the_columns_name(void **state) {
  (void)state;
  assert_decoded("{\"payment_id\":1,\"amount\":1}\n{\"payment_id\":\"p\",\"amount\":1.005}\n",
                 "line 1: 42804 column \"payment_id\": it is of type text, but the event has a number\n"
                 "line 2: 22003 column \"amount\": 1.005 has more than 2 digits after the point: it does not fit "
                 "numeric(18,2) exactly\n");
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void line_ends_are_no_part_of_the_payload_and_blank_lines_are_skipped(void **state) {
  (void)state;
  assert_decoded("\n{\"payment_id\":\"a\",\"amount\":1}\r\n \t\r\n\r\nx\n {\"payment_id\":\"b\",\"amount\":2} \n"
                 "{\"payment_id\":\"c\",\"amount\":3}\r",
                 "[{\"payment_id\":\"a\",\"amount\":1}] a|1.00|NULL|NULL\n"
                 "[ {\"payment_id\":\"b\",\"amount\":2} ] b|2.00|NULL|NULL\n"
                 "[{\"payment_id\":\"c\",\"amount\":3}] c|3.00|NULL|NULL\n"
                 "line 5: 22032 invalid JSON at byte 1: 'x' where a value should stand\n");
  assert_decoded("", "");
  assert_decoded("\n\n", "");
}

static void a_rejected_event_leaves_nothing_behind(void **state) {
  (void)state;
  assert_decoded(
      "{\"data\":null,\"paid_at\":null,\"payment_id\":\"a\",\"amount\":\"x\"}\n"
      "{\"payment_id\":\"b\",\"amount\":2,\"data\":{\"status\":\"s\"},\"paid_at\":\"2026-03-02T10:00:00Z\"}\n",
      "[{\"payment_id\":\"b\",\"amount\":2,\"data\":{\"status\":\"s\"},\"paid_at\":\"2026-03-02T10:00:00Z\"}] "
      "b|2.00|s|2026-03-02 10:00:00+00\n"
      "line 1: 22P02 column \"amount\": invalid input syntax for type numeric: \"x\"\n");
}

static void ten_rejections_are_listed_and_all_are_counted(void **state) {
  (void)state;
  struct test_stream test;
  struct tly_buffer bytes = {0};
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t lines;
  make_stream(&test, payment, sizeof payment / sizeof *payment);
  for (int i = 0; i < 25; i++)
    tly_buffer_append_text(&bytes, i % 5 == 4 ? "{\"payment_id\":\"p\",\"amount\":1}\n" : "nonsense\n");
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&batch, &test.stream);
  assert_int_equal(tly_decoder_decode(decoder, (char *)bytes.data, bytes.size, 100, &batch, &consumed, &lines, NULL),
                   TLY_OK);
  assert_int_equal(batch.count, 5);
  assert_int_equal(lines, 25);
  assert_int_equal(batch.rejection_count, 20);
  assert_int_equal(batch.rejection_listed, TLY_REJECTIONS_LISTED);
  assert_int_equal(batch.rejections[0].line, 101);
  assert_int_equal(batch.rejections[9].line, 112);
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  tly_buffer_free(&bytes);
  free_stream(&test);
}

static void a_full_batch_ends_the_call_at_a_line_end(void **state) {
  (void)state;
  static const struct column_spec spec = {.name = "n", .type = INTEGER, .not_null = true};
  enum { EVENTS = TLY_BATCH_EVENTS_MAX + 1000 };
  struct test_stream test;
  struct tly_buffer bytes = {0};
  struct tly_event_batch batch;
  size_t first, second;
  uint64_t lines;
  make_stream(&test, &spec, 1);
  for (int i = 0; i < EVENTS; i++)
    tly_buffer_print(&bytes, "{\"n\":%d}\n", i);
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&batch, &test.stream);
  const char *text = (char *)bytes.data;
  assert_int_equal(tly_decoder_decode(decoder, text, bytes.size, 0, &batch, &first, &lines, NULL), TLY_OK);
  assert_int_equal(batch.count, TLY_BATCH_EVENTS_MAX);
  assert_int_equal(lines, TLY_BATCH_EVENTS_MAX);
  assert_int_equal(text[first - 1], '\n');
  for (uint32_t i = 0; i < batch.count; i++)
    assert_int_equal(batch.columns[0].i64[i], i);
  assert_int_equal(tly_decoder_decode(decoder, text + first, bytes.size - first, lines, &batch, &second, &lines, NULL),
                   TLY_OK);
  assert_int_equal(batch.count, 1000);
  assert_int_equal(batch.columns[0].i64[999], EVENTS - 1);
  assert_int_equal(first + second, bytes.size);
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  tly_buffer_free(&bytes);
  free_stream(&test);
}

static void an_event_may_have_a_mebibyte_and_no_more(void **state) {
  (void)state;
  static const struct column_spec spec = {.name = "t", .type = TEXT, .not_null = true};
  struct test_stream test;
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t lines;
  make_stream(&test, &spec, 1);
  size_t line_size = TLY_LINE_BYTES_MAX + 2; /* a line end and one byte too many */
  char *bytes = malloc(3 * line_size);
  memset(bytes, 'x', 3 * line_size);
  for (int i = 0; i < 3; i++) {
    char *line = bytes + (size_t)i * line_size;
    memcpy(line, "{\"t\":\"", 6);
    memcpy(line + line_size - 3 - (i == 1 ? 0 : 1), "\"}\n\n", i == 1 ? 3 : 4);
  }
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&batch, &test.stream);
  assert_int_equal(tly_decoder_decode(decoder, bytes, 3 * line_size, 0, &batch, &consumed, &lines, NULL), TLY_OK);
  assert_int_equal(batch.count, 2);
  assert_int_equal(batch.raw[0].size, TLY_LINE_BYTES_MAX);
  assert_int_equal(batch.rejection_count, 1);
  assert_int_equal(batch.rejections[0].status, TLY_E_TOO_LARGE);
  assert_int_equal(batch.rejections[0].line, 3);
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  free(bytes);
  free_stream(&test);
}

static void plain_texts_point_into_the_input(void **state) {
  (void)state;
  static const char line[] = "{\"payment_id\":\"abc\",\"amount\":1}\n";
  struct test_stream test;
  struct tly_event_batch batch;
  size_t consumed;
  uint64_t lines;
  make_stream(&test, payment, sizeof payment / sizeof *payment);
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_JSON);
  tly_event_batch_init(&batch, &test.stream);
  assert_int_equal(tly_decoder_decode(decoder, line, sizeof line - 1, 0, &batch, &consumed, &lines, NULL), TLY_OK);
  assert_ptr_equal(batch.raw[0].data, line);
  assert_ptr_equal(batch.columns[0].text[0].data, line + 15);
  assert_null(batch.columns[0].null);
  assert_non_null(batch.columns[2].null);
  tly_event_batch_free(&batch);
  tly_decoder_free(decoder);
  free_stream(&test);
}

static void two_columns_may_be_read_from_one_place(void **state) {
  (void)state;
  static const struct column_spec specs[] = {{.name = "a", .type = INTEGER, .path = "n"},
                                             {.name = "b", .type = NUMERIC(10, 1), .path = "n"},
                                             {.name = "c", .type = TEXT, .path = "n.c"}};
  static const char lines[] = "{\"n\":5}\n{\"n\":null}\n{}\n{\"n\":{\"c\":\"x\"}}\n";
  struct test_stream test;
  struct tly_buffer out;
  make_stream(&test, specs, 3);
  describe_bytes(&test.stream, TLY_FORMAT_JSON, true, lines, sizeof lines - 1, &out);
  assert_string_equal((char *)out.data,
                      "[{\"n\":null}] NULL|NULL|NULL\n[{}] NULL|NULL|NULL\n"
                      "line 1: 42804 column \"c\": its path goes through \"n\", but the event has a number there, not "
                      "an object\nline 4: 42804 column \"b\": it is of type numeric, but the event has an object\n");
  tly_buffer_free(&out);
  free_stream(&test);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_json_value_meets_each_type_as_the_table_says),
      cmocka_unit_test(a_number_of_a_million_digits_is_rejected_in_no_time),
      cmocka_unit_test(members_come_in_any_order_and_unknown_ones_are_ignored),
      cmocka_unit_test(an_escaped_key_is_the_same_key),
      cmocka_unit_test(what_is_ignored_is_still_checked),
      cmocka_unit_test(a_missing_column_is_null_or_a_rejection),
      cmocka_unit_test(a_missing_column_with_a_similar_key_says_what_to_write),
      cmocka_unit_test(a_similar_path_is_named_in_full),
      cmocka_unit_test(a_key_twice_is_rejected_when_a_column_is_read_from_it),
      cmocka_unit_test(a_path_through_something_else_than_an_object_is_rejected),
      cmocka_unit_test(an_event_that_is_not_an_object_is_rejected),
      cmocka_unit_test(a_byte_order_mark_is_named),
      cmocka_unit_test(a_line_that_is_not_json_is_that_first_of_all),
      cmocka_unit_test(a_value_that_does_not_fit_is_rejected_with_the_columns_name),
      cmocka_unit_test(line_ends_are_no_part_of_the_payload_and_blank_lines_are_skipped),
      cmocka_unit_test(a_rejected_event_leaves_nothing_behind),
      cmocka_unit_test(ten_rejections_are_listed_and_all_are_counted),
      cmocka_unit_test(a_full_batch_ends_the_call_at_a_line_end),
      cmocka_unit_test(an_event_may_have_a_mebibyte_and_no_more),
      cmocka_unit_test(plain_texts_point_into_the_input),
      cmocka_unit_test(two_columns_may_be_read_from_one_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
