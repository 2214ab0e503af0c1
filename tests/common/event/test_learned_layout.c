/* tests/common/event/test_learned_layout.c -- lines read by a learned layout are what the strict path makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/event/learned_layout.h"
#include "common/event/plain_time.h"
#include "tests/common/event/decode_fixture.h"

static const struct column_spec specs[] = {
    {.name = "id", .type = TEXT, .not_null = true},
    {.name = "amount", .type = NUMERIC(18, 2)},
    {.name = "count", .type = INTEGER},
    {.name = "big", .type = BIGINT},
    {.name = "rate", .type = NUMERIC(0, 0)},
    {.name = "ratio", .type = DOUBLE},
    {.name = "ok", .type = BOOLEAN},
    {.name = "status", .type = VARCHAR(8), .path = "data.status"},
    {.name = "paid_at", .type = TIMESTAMPTZ},
    {.name = "sent_at", .type = TIMESTAMP, .unit = TLY_TIME_EPOCH_MS},
    {.name = "day", .type = DATE},
    {.name = "wide", .type = NUMERIC(30, 3)},
};

enum { COLUMNS = sizeof specs / sizeof *specs };

/* Whether a layout learned from `first` takes `second`. */
static bool is_taken(const char *first, const char *second) {
  struct test_stream test;
  struct tly_path_tree tree;
  struct tly_buffer scratch = {0};
  struct tly_batch_writer writer;
  struct tly_event_batch batch;
  char input[4096];
  make_stream(&test, specs, COLUMNS);
  tly_path_tree_init(&tree, &test.stream);
  struct tly_layouts *layouts = tly_layouts_new(&tree);
  size_t size = (size_t)snprintf(input, sizeof input, "%s%200s", first, "");
  tly_layouts_learn(layouts, input, input + strlen(first), input + size, &scratch);
  size = (size_t)snprintf(input, sizeof input, "%s%200s", second, "");
  tly_batch_writer_init(&writer, &test.stream);
  tly_event_batch_init(&batch, &test.stream);
  tly_batch_writer_begin(&writer, &batch, size);
  const char *behind = tly_layouts_match(layouts, input, input + size, &writer);
  tly_batch_writer_finish(&writer);
  assert_int_equal(batch.count, behind != NULL);
  if (behind != NULL)
    assert_ptr_equal(behind, input + strlen(second));
  tly_event_batch_free(&batch);
  tly_batch_writer_free(&writer);
  tly_layouts_free(layouts);
  tly_path_tree_free(&tree);
  tly_buffer_free(&scratch);
  free_stream(&test);
  return behind != NULL;
}

static void lines_of_one_shape_are_taken(void **state) {
  (void)state;
  static const char first[] = "{\"id\":\"a\",\"amount\":1.5,\"x\":{\"y\":[1,\"z\"]},\"ok\":true}\n";
  assert_true(is_taken(first, first));
  assert_true(
      is_taken(first, "{\"id\":\"longer than sixteen bytes\",\"amount\":-0,\"x\":{\"y\":[null,\"\"]},\"ok\":false}\n"));
  assert_true(is_taken(first, "{\"id\":\"\xc3\xbc\",\"amount\":\"12.30\",\"x\":{\"y\":[\"1\",-1.5e3]},\"ok\":null}\n"));
  assert_true(is_taken(first, "{\"id\":\"\\u00fc\\n\",\"amount\":1.0,\"x\":{\"y\":[\"\\\\\",1]},\"ok\":true}\n"));
  assert_true(is_taken("{\"id\":\"a\"}\r\n", "{\"id\":\"b\"}\r\n"));
  assert_true(is_taken(" { \"id\" : \"a\" } \n", " { \"id\" : \"b\" } \n"));
}

static void unusual_spellings_of_numbers_are_taken_too(void **state) {
  (void)state;
  static const char first[] = "{\"id\":\"a\",\"amount\":1.5,\"big\":1,\"sent_at\":1}\n";
  assert_true(is_taken(first, "{\"id\":\"a\",\"amount\":1.500e2,\"big\":9223372036854775807,\"sent_at\":1e12}\n"));
  assert_true(is_taken(first, "{\"id\":\"a\",\"amount\":\" +1.50\",\"big\":\"-1.0\",\"sent_at\":1.0005}\n"));
}

static void lines_may_lack_optional_members(void **state) {
  (void)state;
  static const char first[] =
      "{\"id\":\"a\",\"amount\":1.5, \"x\" : 1,\"data\":{\"y\":1,\"status\":\"s\"},\"ok\":true}\n";
  assert_true(is_taken(first, "{\"id\":\"a\", \"x\" : 1,\"data\":{\"y\":1,\"status\":\"s\"},\"ok\":true}\n"));
  assert_true(is_taken(first, "{\"id\":\"a\",\"data\":{\"y\":1,\"status\":\"s\"}}\n"));
  assert_true(is_taken(first, "{\"id\":\"a\",\"data\":{\"y\":1}}\n"));
  assert_false(is_taken(first, "{\"id\":\"a\",\"amount\":1.5, \"x\" : 1,\"ok\":true}\n"));
  assert_false(is_taken(first, "{\"id\":\"a\",\"amount\":1.5, \"x\" : 1,\"data\":{\"status\":\"s\"},\"ok\":true}\n"));
  assert_false(is_taken(first, "{\"id\":\"a\",\"data\":{\"y\":1},\"ok\":true},\"amount\":1}\n"));
  assert_false(
      is_taken("{\"amount\":1,\"id\":\"a\",\"ok\":true}\n", "{\"amount\":1,\"ok\":true}\n")); /* id is NOT NULL */
}

static void what_is_left_without_a_member_must_be_json(void **state) {
  (void)state;
  static const char list[] = "{\"id\":\"a\",\"x\":[1],\"ok\":true}\n";
  static const char object[] = "{\"id\":\"a\",\"x\":{\"y\":1},\"ok\":true}\n";
  static const char first[] = "{\"amount\":1,\"id\":\"a\"}\n";
  assert_true(is_taken(list, "{\"id\":\"a\",\"x\":[1]}\n"));
  assert_false(is_taken(list, "{\"id\":\"a\"],\"ok\":true}\n"));
  assert_false(is_taken(list, "{\"id\":\"a\",\"x\":[],\"ok\":true}\n"));
  assert_true(is_taken(object, "{\"id\":\"a\",\"x\":{\"y\":1}}\n"));
  assert_false(is_taken(object, "{\"id\":\"a\"},\"ok\":true}\n"));
  assert_false(is_taken(object, "{\"id\":\"a\"}}\n"));
  assert_false(is_taken(first, ",\"id\":\"a\"}\n"));
  assert_false(is_taken(first, "{\"id\":\"a\"}\n"));
}

static void lines_of_another_shape_are_left_to_the_strict_path(void **state) {
  (void)state;
  static const char first[] = "{\"id\":\"a\",\"amount\":1.5}\n";
  static const char *const others[] = {"{\"id\":\"a\",\"amount\":1.5}\r\n",
                                       "{\"id\":\"a\", \"amount\":1.5}\n",
                                       "{\"id\":\"a\",\"amounT\":1.5}\n",
                                       "{\"id\":\"a\",\"amount\":1.5 }\n",
                                       "{\"id\":\"\\ud800\",\"amount\":1}\n",
                                       "{\"id\":\"\xff\",\"amount\":1}\n",
                                       "{\"id\":\"a\",\"amount\":01}\n",
                                       "{\"id\":\"a\",\"amount\":1.}\n",
                                       "{\"id\":\"a\",\"amount\":1.555}\n",
                                       "{\"id\":null,\"amount\":1}\n",
                                       "{\"id\":1,\"amount\":1}\n",
                                       "{\"id\":\"a\tb\",\"amount\":1}\n",
                                       "{\"id\":\"a\",\"amount\":true}\n",
                                       "{\"id\":\"a\",\"amount\":{}}\n",
                                       "{\"id\":\"a\",\"amount\":\"1.5}\n",
                                       "{\"id\":\"a\",\"amount\":--1}\n",
                                       "{\"id\":\"a\",\"amount\":}\n",
                                       "{\"id\":\"a\",\"amount\":1.5},\n",
                                       "{\"id\":\"a\",\"amount\":1.5",
                                       "{\"id\":\"a\",\"amount\":nul}\n",
                                       "{\"id\":\"a\",\"amount\":99999999999999999}\n"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (is_taken(first, others[i]))
      fail_msg("taken: %s", others[i]);
}

static void a_line_is_not_taken_when_the_input_ends_close_behind_it(void **state) {
  (void)state;
  static const char line[] = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}";
  struct test_stream test;
  struct tly_buffer out;
  make_stream(&test, specs, 1);
  describe_bytes(&test.stream, TLY_FORMAT_JSON, true, line, sizeof line - 1, &out); /* a sanitizer would object */
  assert_string_equal((char *)out.data, "[{\"id\":\"a\"}] a\n[{\"id\":\"b\"}] b\n[{\"id\":\"c\"}] c\n");
  tly_buffer_free(&out);
  free_stream(&test);
}

/* ---- the same either way ----------------------------------------------------------------------------------------- */

static void assert_same_either_way(const struct tly_stream *stream, const char *bytes, size_t size) {
  struct tly_buffer learned, strict;
  describe_bytes(stream, TLY_FORMAT_JSON, true, bytes, size, &learned);
  describe_bytes(stream, TLY_FORMAT_JSON, false, bytes, size, &strict);
  if (learned.size != strict.size || memcmp(learned.data, strict.data, strict.size) != 0)
    fail_msg("learned:\n%s\nstrict:\n%s", (char *)learned.data, (char *)strict.data);
  tly_buffer_free(&learned);
  tly_buffer_free(&strict);
}

static const char *const odd_values[] = {"null",
                                         "true",
                                         "false",
                                         "0",
                                         "-0",
                                         "1",
                                         "-1",
                                         "12",
                                         "1.0",
                                         "1.5",
                                         "12.30",
                                         "12.345",
                                         "12.340",
                                         "0.01",
                                         "0.001",
                                         "100000000",
                                         "1234567.89",
                                         "12345678.9",
                                         "123456789.01",
                                         "9999999999999999.99",
                                         "10000000000000000.00",
                                         "123456789012345678",
                                         "1234567890123456789",
                                         "9223372036854775807",
                                         "9223372036854775808",
                                         "2147483647",
                                         "2147483648",
                                         "-2147483648",
                                         "-2147483649",
                                         "32767",
                                         "00",
                                         "01",
                                         "-01",
                                         "1.",
                                         ".5",
                                         "-",
                                         "+1",
                                         "1e2",
                                         "1E2",
                                         "1e-2",
                                         "1.5e3",
                                         "1e400",
                                         "1e-400",
                                         "1e999999999",
                                         "0.1",
                                         "0.30000000000000004",
                                         "12345678901234567890.5",
                                         "1.7976931348623159e308",
                                         "4.9e-324",
                                         "\"\"",
                                         "\"a\"",
                                         "\"abcdefgh\"",
                                         "\"abcdefghi\"",
                                         "\"abcdefgh  \"",
                                         "\"0123456789abcdef\"",
                                         "\"0123456789abcdefg\"",
                                         "\"\xc3\xbc\"",
                                         "\"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\"",
                                         "\"\xc3\"",
                                         "\"\xed\xa0\x80\"",
                                         "\"\\n\"",
                                         "\"\\u00fc\"",
                                         "\"\\ud83d\\ude00\"",
                                         "\"\\ud800\"",
                                         "\"\\u0000\"",
                                         "\"a\tb\"",
                                         "\"12.30\"",
                                         "\"-12.30\"",
                                         "\" 12\"",
                                         "\"12 \"",
                                         "\"+12\"",
                                         "\"007\"",
                                         "\"12.\"",
                                         "\".5\"",
                                         "\"1e2\"",
                                         "\"NaN\"",
                                         "\"abc\"",
                                         "\"12.345\"",
                                         "\"2026-03-02\"",
                                         "\"2026-03-02T10:00:00Z\"",
                                         "\"2026-03-02 10:00:00Z\"",
                                         "\"2026-03-02t10:00:00z\"",
                                         "\"2026-03-02T10:00:00\"",
                                         "\"2026-03-02T10:00:00.5Z\"",
                                         "\"2026-03-02T10:00:00.123456Z\"",
                                         "\"2026-03-02T10:00:00.1234567Z\"",
                                         "\"2026-03-02T10:00:00.Z\"",
                                         "\"2026-03-02T10:00:00+05:30\"",
                                         "\"2026-03-02T10:00:00-08:00\"",
                                         "\"2026-03-02T10:00:00+15:59\"",
                                         "\"2026-03-02T10:00:00+16:00\"",
                                         "\"2026-03-02T23:59:60Z\"",
                                         "\"2026-03-02T24:00:00Z\"",
                                         "\"2026-03-02T24:00:01Z\"",
                                         "\"2026-02-29T10:00:00Z\"",
                                         "\"2024-02-29T10:00:00Z\"",
                                         "\"2026-3-2T10:00:00Z\"",
                                         "\"0000-03-02T10:00:00Z\"",
                                         "\"0001-01-01T00:00:00Z\"",
                                         "\"9999-12-31T23:59:59.999999Z\"",
                                         "\"2026-03-02T10:00:0:Z\"",
                                         "\"2026-03-02T1a:00:00Z\"",
                                         "\"2026-00-02T10:00:00Z\"",
                                         "\"2026-03-00T10:00:00Z\"",
                                         "1772445600000",
                                         "1772445600000.5",
                                         "-1772445600000",
                                         "1772445600000000000",
                                         "99999999999999.9999",
                                         "\"1772445600000\"",
                                         "{}",
                                         "[]",
                                         "{\"status\":\"x\"}",
                                         "[1]",
                                         "nul",
                                         "tru",
                                         "True",
                                         "NaN",
                                         "Infinity",
                                         "'a'",
                                         "",
                                         "1 2",
                                         "\"a\" \"b\"",
                                         "\"a",
                                         "1,2"};

static void an_odd_value_in_any_place_is_read_the_same_either_way(void **state) {
  (void)state;
  static const char *const places[COLUMNS + 1] = {"id",   "amount",  "count",   "big", "rate", "ratio", "ok",
                                                  "data", "paid_at", "sent_at", "day", "wide", "other"};
  static const char *const plain[COLUMNS + 1] = {"\"p\"",
                                                 "1.50",
                                                 "3",
                                                 "4",
                                                 "1.25",
                                                 "0.5",
                                                 "true",
                                                 "{\"status\":\"x\"}",
                                                 "\"2026-03-02T10:00:00Z\"",
                                                 "1772445600000",
                                                 "\"2026-03-02\"",
                                                 "7.125",
                                                 "0"};
  struct test_stream test;
  make_stream(&test, specs, COLUMNS);
  for (size_t place = 0; place <= COLUMNS; place++) {
    struct tly_buffer bytes = {0};
    for (size_t i = 0; i < sizeof odd_values / sizeof *odd_values; i++) {
      for (int round = 0; round < 2; round++) { /* a plain line, then the odd one */
        for (size_t column = 0; column <= COLUMNS; column++)
          tly_buffer_print(&bytes, "%s\"%s\":%s", column == 0 ? "{" : ",", places[column],
                           round == 1 && column == place ? odd_values[i] : plain[column]);
        tly_buffer_append_text(&bytes, "}\n");
      }
      assert_same_either_way(&test.stream, (char *)bytes.data, bytes.size);
      tly_buffer_clear(&bytes);
    }
    tly_buffer_free(&bytes);
  }
  free_stream(&test);
}

static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

static uint64_t first_seed(void) {
  uint64_t seed = getenv("TALLY_SEED") != NULL ? strtoull(getenv("TALLY_SEED"), NULL, 10) : 20261122;
  print_message("seed %llu\n", (unsigned long long)seed);
  return seed;
}

/* A line of random members with random (mostly sensible) values. */
static void random_line(struct tly_buffer *out, uint64_t *seed) {
  static const char *const statuses[] = {"paid", "failed", "\xc3\xa9tat"};
  size_t start = out->size;
  tly_buffer_print(out, "{\"id\":\"p-%llu\"", (unsigned long long)(next_random(seed) % 100000));
  for (uint64_t shape = next_random(seed) % 3 == 0 ? next_random(seed) : 0xFF; shape != 0; shape &= shape - 1) {
    uint64_t value = next_random(seed);
    switch (__builtin_ctzll(shape)) {
    case 0:
      tly_buffer_print(out, ",\"amount\":%lld.%02llu", (long long)(value % 20000) - 10000,
                       (unsigned long long)(value >> 20) % 100);
      break;
    case 1: tly_buffer_print(out, ",\"count\":%lld", (long long)(int32_t)value >> (value >> 32) % 31); break;
    case 2:
      tly_buffer_print(out, ",\"paid_at\":\"20%02llu-%02llu-%02lluT%02llu:%02llu:%02lluZ\"",
                       (unsigned long long)value % 40, (unsigned long long)(value >> 8) % 12 + 1,
                       (unsigned long long)(value >> 12) % 29 + 1, (unsigned long long)(value >> 17) % 25,
                       (unsigned long long)(value >> 22) % 60, (unsigned long long)(value >> 28) % 61);
      break;
    case 3: tly_buffer_print(out, ",\"data\":{\"status\":\"%s\"}", statuses[value % 3]); break;
    case 4: tly_buffer_print(out, ",\"ok\":%s", value % 3 == 0 ? "null" : value % 3 == 1 ? "true" : "false"); break;
    case 5: tly_buffer_print(out, ",\"ratio\":%.17g", (double)(int64_t)value * 1e-10); break;
    case 6: tly_buffer_print(out, ",\"sent_at\":%lld", 1772445600000 + (long long)(value % 1000000)); break;
    case 7:
      tly_buffer_print(out, ",\"wide\":%llu.%llu", (unsigned long long)value, (unsigned long long)value % 1000);
      break;
    default: break;
    }
  }
  tly_buffer_append_text(out, next_random(seed) % 50 == 0 ? "}\r\n" : "}\n");
  if (next_random(seed) % 8 == 0) { /* a byte becomes another */
    static const char bytes[] = "\"\\{}[]:,0123456789.-+eEnt \t\x01\xc3\xbc\xff\nTZ";
    out->data[start + next_random(seed) % (out->size - start)] = (uint8_t)bytes[next_random(seed) % (sizeof bytes - 1)];
  }
}

static void mutated_lines_are_read_the_same_either_way(void **state) {
  (void)state;
  uint64_t seed = first_seed();
  int rounds = getenv("TALLY_LONG") != NULL ? 20000 : 600;
  struct test_stream test;
  make_stream(&test, specs, COLUMNS);
  for (int round = 0; round < rounds; round++) {
    struct tly_buffer bytes = {0};
    for (int i = 0; i < 60; i++)
      random_line(&bytes, &seed);
    if (round % 2 == 0)
      bytes.size--; /* the last line has no end */
    assert_same_either_way(&test.stream, (char *)bytes.data, bytes.size);
    tly_buffer_free(&bytes);
  }
  free_stream(&test);
}

/* ---- against jansson --------------------------------------------------------------------------------------------- */

static const json_t *find_path(const json_t *event, const struct tly_stream_column *column) {
  for (uint32_t i = 0; event != NULL && i < column->path_count; i++)
    event = json_object_get(event, column->path[i]);
  return event;
}

/* What jansson can say exactly: texts, truth values, nulls, integers, doubles. */
static void assert_value_is(const struct tly_value *value, const json_t *expected) {
  if (expected == NULL || json_is_null(expected)) {
    assert_true(value->is_null);
    return;
  }
  assert_false(value->is_null);
  switch (value->type.id) {
  case TLY_TYPE_TEXT:
    assert_true(json_is_string(expected));
    assert_int_equal(json_string_length(expected), value->text.size);
    assert_memory_equal(json_string_value(expected), value->text.data, value->text.size);
    break;
  case TLY_TYPE_BOOLEAN: assert_int_equal(json_is_true(expected), value->i64); break;
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT:
    if (json_is_integer(expected))
      assert_int_equal(json_integer_value(expected), value->i64);
    break;
  case TLY_TYPE_DOUBLE:
    if (json_is_number(expected))
      assert_true(json_number_value(expected) == value->f64);
    break;
  default: break;
  }
}

/* An event we take is an object to jansson, with the same values; an event we refuse as no JSON is none to jansson, but
 * for the places where we differ on purpose: duplicate keys of columns (jansson takes the last), objects only, 64
 * levels (jansson: 2048), numbers beyond long long and double (jansson refuses them, we look at the column's type). */
static long compare_with_jansson(const struct tly_event_batch *batch, const char *line, size_t size) {
  json_error_t error;
  json_t *event = json_loadb(line, size, 0, &error);
  if (batch->count == 1) {
    if (event == NULL) {
      assert_int_equal(json_error_code(&error), json_error_numeric_overflow);
      return 0;
    }
    assert_true(json_is_object(event));
    for (uint32_t i = 0; i < COLUMNS; i++) {
      struct tly_value value = tly_vector_value(&batch->columns[i], 0);
      assert_value_is(&value, find_path(event, &batch->stream->columns[i]));
    }
  } else if (event != NULL && json_is_object(event)) {
    enum tly_status status = batch->rejections[0].status;
    bool is_duplicate = strstr(batch->rejections[0].message, "duplicate key") != NULL;
    if (!is_duplicate && (status == TLY_E_INVALID_JSON || status == TLY_E_CHARACTER_NOT_IN_REPERTOIRE))
      fail_msg("%.*s: %s", (int)size, line, batch->rejections[0].message);
  }
  long taken = batch->count;
  json_decref(event);
  return taken;
}

static void mutated_lines_are_what_jansson_reads(void **state) {
  (void)state;
  uint64_t seed = first_seed();
  int rounds = getenv("TALLY_LONG") != NULL ? 1000000 : 50000;
  long taken = 0;
  struct test_stream test;
  struct tly_event_batch batch;
  make_stream(&test, specs, COLUMNS);
  tly_event_batch_init(&batch, &test.stream);
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_JSON);
  struct tly_buffer bytes = {0};
  for (int round = 0; round < rounds; round++) {
    size_t consumed;
    uint64_t lines;
    tly_buffer_clear(&bytes);
    random_line(&bytes, &seed);
    bytes.size--;
    size_t size = bytes.size;
    if (memchr(bytes.data, '\n', size) != NULL)
      continue;
    tly_buffer_print(&bytes, "\n%100s", "");
    assert_int_equal(tly_decoder_decode(decoder, (char *)bytes.data, bytes.size, 0, &batch, &consumed, &lines, NULL),
                     TLY_OK);
    if (batch.count + batch.rejection_count == 1)
      taken += compare_with_jansson(&batch, (char *)bytes.data, size);
  }
  assert_true(taken > rounds / 2);
  tly_buffer_free(&bytes);
  tly_decoder_free(decoder);
  tly_event_batch_free(&batch);
  free_stream(&test);
}

/* ---- plain timestamps -------------------------------------------------------------------------------------------- */

static void a_plain_timestamp_is_what_the_parser_reads(void **state) {
  (void)state;
  static const char bytes[] = "0123456789-:TZ+. tz";
  uint64_t seed = first_seed();
  long plain = 0;
  for (int round = 0; round < 300000; round++) {
    char text[64];
    uint64_t r = next_random(&seed);
    size_t size = (size_t)snprintf(text, sizeof text, "%04d-%02d-%02d%c%02d:%02d:%02d", (int)(r % 10000),
                                   (int)(r >> 14) % 14, (int)(r >> 18 & 31), r >> 23 & 1 ? 'T' : ' ',
                                   (int)(r >> 24 & 31) % 26, (int)(r >> 29 & 63), (int)(r >> 35 & 63));
    if (r >> 41 & 1)
      size += (size_t)snprintf(text + size, sizeof text - size, ".%llu",
                               (unsigned long long)(next_random(&seed) % 10000000));
    static const char *const zones[] = {"", "Z", "+05:30", "-08:00", "+14:59", "+15:00", "+1:00", "z"};
    size += (size_t)snprintf(text + size, sizeof text - size, "%s", zones[r >> 42 & 7]);
    if ((r >> 45 & 3) == 0)
      text[next_random(&seed) % size] = bytes[next_random(&seed) % (sizeof bytes - 1)];
    for (int with_zone = 0; with_zone < 2; with_zone++) {
      int64_t quick, slow;
      if (!tly_plain_timestamp(text, size, with_zone, &quick))
        continue;
      plain++;
      if (tly_timestamp_parse(text, size, with_zone, &slow, NULL) != TLY_OK || quick != slow)
        fail_msg("%s: %lld", text, (long long)quick);
    }
    int64_t quick, slow;
    if (tly_plain_date(text, &quick) && (tly_date_parse(text, 10, &slow, NULL) != TLY_OK || quick != slow))
      fail_msg("%.10s: %lld", text, (long long)quick);
  }
  assert_true(plain > 20000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_of_one_shape_are_taken),
      cmocka_unit_test(unusual_spellings_of_numbers_are_taken_too),
      cmocka_unit_test(lines_may_lack_optional_members),
      cmocka_unit_test(what_is_left_without_a_member_must_be_json),
      cmocka_unit_test(lines_of_another_shape_are_left_to_the_strict_path),
      cmocka_unit_test(a_line_is_not_taken_when_the_input_ends_close_behind_it),
      cmocka_unit_test(an_odd_value_in_any_place_is_read_the_same_either_way),
      cmocka_unit_test(mutated_lines_are_read_the_same_either_way),
      cmocka_unit_test(mutated_lines_are_what_jansson_reads),
      cmocka_unit_test(a_plain_timestamp_is_what_the_parser_reads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
