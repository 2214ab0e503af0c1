/* tests/common/event/test_decode_csv.c -- CSV records into events and rejections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/limits.h"
#include "tests/common/event/decode_fixture.h"

static const struct column_spec payment[] = {
    {.name = "id", .type = TEXT, .not_null = true},
    {.name = "amount", .type = NUMERIC(10, 2), .not_null = true},
    {.name = "note", .type = TEXT},
    {.name = "at", .type = TIMESTAMPTZ, .unit = TLY_TIME_EPOCH_MS},
    {.name = "ok", .type = BOOLEAN},
};

static void assert_decoded_sized(const char *bytes, size_t size, const char *expected) {
  struct test_stream test;
  struct tly_buffer out;
  make_stream(&test, payment, sizeof payment / sizeof *payment);
  describe_bytes(&test.stream, TLY_FORMAT_CSV, true, bytes, size, &out);
  assert_string_equal((char *)out.data, expected);
  tly_buffer_free(&out);
  free_stream(&test);
}

static void assert_decoded(const char *bytes, const char *expected) {
  assert_decoded_sized(bytes, strlen(bytes), expected);
}

static void the_header_names_the_columns(void **state) {
  (void)state;
  assert_decoded("id,amount,note,at,ok\na,1.5,hello,1772445600000,true\n",
                 "[a,1.5,hello,1772445600000,true] a|1.50|hello|2026-03-02 10:00:00+00|t\n");
  assert_decoded("x,amount,\"id\",y\n1,2,b,3\n", "[1,2,b,3] b|2.00|NULL|NULL|NULL\n");
  assert_decoded("\xef\xbb\xbfid,amount\r\na,1\r\n", "[a,1] a|1.00|NULL|NULL|NULL\n");
}

static void a_header_that_does_not_fit_fails_the_call(void **state) {
  (void)state;
  assert_decoded("id,note\na,b\n",
                 "failed: 23502 column \"amount\": it is NOT NULL, but the header has no \"amount\"\n");
  assert_decoded("Id,amount\na,b\n",
                 "failed: 23502 column \"id\": it is NOT NULL, but the header does not name it. It has \"Id\": to read "
                 "the column from there, write OPTIONS (header 'Id') behind its type\n");
  assert_decoded("id,amount,id\na,1,b\n", "failed: 42701 the header has \"id\" twice\n");
  assert_decoded("id,amount,\"x\na,1,b\n", "failed: 22P04 the quote at byte 11 is never closed\n");
  assert_decoded("id,amount,\xff\na,1,b\n", "failed: 22021 invalid byte sequence for encoding \"UTF8\" in a field\n");
  assert_decoded("id,amount,x,x\na,1,2,3\n", "[a,1,2,3] a|1.00|NULL|NULL|NULL\n");
}

static void an_empty_field_is_null_and_a_quoted_one_is_an_empty_text(void **state) {
  (void)state;
  assert_decoded(
      "id,amount,note,at,ok\na,1,,,\n\"\",1,\"\",\"\",\n,1,,,\n\"b\",\"1\",,,f\n",
      "[a,1,,,] a|1.00|NULL|NULL|NULL\n"
      "[\"b\",\"1\",,,f] b|1.00|NULL|NULL|f\n"
      "line 3: 22007 column \"at\": invalid input syntax for type timestamp with time zone: \"\"\n"
      "line 4: 23502 column \"id\": it is NOT NULL, but the event has an empty field, which is NULL (an empty "
      "text is \"\")\n");
}

static void quoted_fields_may_hold_commas_quotes_and_line_ends(void **state) {
  (void)state;
  assert_decoded("id,amount,note\n\"a,\"\"b\"\"\n\nc\",1,\"\"\"\"\nx,y\nz,2,\"\r\n\"\r\n",
                 "[\"a,\"\"b\"\"\n\nc\",1,\"\"\"\"] a,\"b\"\n\nc|1.00|\"|NULL|NULL\n"
                 "[z,2,\"\r\n\"] z|2.00|\r\n|NULL|NULL\n"
                 "line 5: 22P04 the record has 2 fields, the header 3\n");
}

static void lines_end_in_lf_crlf_or_with_the_input_and_empty_ones_are_skipped(void **state) {
  (void)state;
  assert_decoded("\r\nid,amount\r\n\r\na,1\r\n \nb,2\n\nc,3\r",
                 "[a,1] a|1.00|NULL|NULL|NULL\n[b,2] b|2.00|NULL|NULL|NULL\n[c,3] c|3.00|NULL|NULL|NULL\n");
  assert_decoded("id,amount\na,1", "[a,1] a|1.00|NULL|NULL|NULL\n");
  assert_decoded("id,amount\n\"a\",\"1\"", "[\"a\",\"1\"] a|1.00|NULL|NULL|NULL\n");
  assert_decoded("", "");
}

static void a_malformed_record_is_rejected_alone(void **state) {
  (void)state;
  assert_decoded("id,amount\na\"b,1\n\"a\"b,1\na,1,\na\ra,1\n\"c\",2\n",
                 "[\"c\",2] c|2.00|NULL|NULL|NULL\n"
                 "line 2: 22P04 a quote inside a field that does not begin with one, at byte 2\n"
                 "line 3: 22P04 a closing quote that no comma follows, at byte 3\n"
                 "line 4: 22P04 the record has 3 fields, the header 2\n"
                 "line 5: 22P04 a carriage return inside a field without quotes, at byte 1\n");
}

static void a_quote_that_is_never_closed_costs_one_line(void **state) {
  (void)state;
  assert_decoded("id,amount\n\"a,1\nb,2\nc,3\n", "[b,2] b|2.00|NULL|NULL|NULL\n[c,3] c|3.00|NULL|NULL|NULL\n"
                                                 "line 2: 22P04 the quote at byte 1 is never closed\n");
}

static void bad_text_is_rejected_also_where_nobody_reads_it(void **state) {
  (void)state;
  static const char nul[] = "id,amount,x\na,1,\0\nb,2,\"\0\n\"\nc,3,\n";
  assert_decoded("id,amount,x\na,1,\xff\nb,2,\"\n\xc3\"\nc,3,\xc3\xbc\n",
                 "[c,3,\xc3\xbc] c|3.00|NULL|NULL|NULL\n"
                 "line 2: 22021 invalid byte sequence for encoding \"UTF8\" in a field\n"
                 "line 3: 22021 invalid byte sequence for encoding \"UTF8\" in a field\n");
  assert_decoded_sized(nul, sizeof nul - 1,
                       "[c,3,] c|3.00|NULL|NULL|NULL\n"
                       "line 2: 22021 invalid byte sequence for encoding \"UTF8\" in a field\n"
                       "line 3: 22021 invalid byte sequence for encoding \"UTF8\" in a field\n");
}

static void values_are_converted_as_json_texts_are(void **state) {
  (void)state;
  assert_decoded("id,amount,at,ok\na,12.345,,\na,1e2,1772445600000.5,yes\na,1,2026-03-02T10:00:00Z,0\na,1,,maybe\n"
                 "a,NaN,,\n",
                 "[a,1e2,1772445600000.5,yes] a|100.00|NULL|2026-03-02 10:00:00.0005+00|t\n"
                 "[a,1,2026-03-02T10:00:00Z,0] a|1.00|NULL|2026-03-02 10:00:00+00|f\n"
                 "line 2: 22003 column \"amount\": 12.345 has more than 2 digits after the point: it does not fit "
                 "numeric(10,2) exactly\n"
                 "line 5: 22P02 column \"ok\": invalid input syntax for type boolean: \"maybe\"\n"
                 "line 6: 0A000 column \"amount\": \"NaN\" is not supported: NaN and infinity are no amounts\n");
}

static void an_event_may_have_a_mebibyte_and_no_more(void **state) {
  (void)state;
  static const struct column_spec spec = {.name = "t", .type = TEXT, .not_null = true};
  for (int quoted = 0; quoted < 2; quoted++) {
    struct test_stream test;
    struct tly_event_batch batch;
    size_t consumed;
    uint64_t lines;
    struct tly_error error;
    make_stream(&test, &spec, 1);
    size_t size = TLY_LINE_BYTES_MAX;
    char *bytes = malloc(2 * size + 16);
    memset(bytes, 'x', 2 * size + 16);
    memcpy(bytes, "t\n", 2);
    char *first = bytes + 2;
    char *second = first + size + 1;
    first[size] = '\n';
    second[size + 1] = '\n';
    if (quoted) {
      first[0] = first[size - 1] = '"';
      second[0] = second[size] = '"';
    }
    memcpy(second + size + 2, "z\n", 2);
    size_t total = (size_t)(second + size + 4 - bytes);
    tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_CSV);
    tly_event_batch_init(&batch, &test.stream);
    assert_int_equal(tly_decoder_decode(decoder, bytes, total, 0, &batch, &consumed, &lines, &error), TLY_OK);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.raw[0].size, size);
    assert_int_equal(batch.raw[1].size, 1);
    assert_int_equal(batch.rejection_count, 1);
    assert_int_equal(batch.rejections[0].status, TLY_E_TOO_LARGE);
    assert_int_equal(batch.rejections[0].line, 3);
    assert_int_equal(lines, 4);
    tly_event_batch_free(&batch);
    tly_decoder_free(decoder);
    free(bytes);
    free_stream(&test);
  }
}

static void a_record_is_decoded_again_under_its_header(void **state) {
  (void)state;
  static const char header[] = "amount,id\r\n";
  static const char record[] = "1,\"a\nb\"";
  struct test_stream test;
  struct tly_buffer out = {0};
  struct tly_error error;
  size_t size;
  make_stream(&test, payment, sizeof payment / sizeof *payment);
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_CSV);
  assert_null(tly_decoder_header(decoder, &size));
  assert_int_equal(tly_decoder_set_header(decoder, header, sizeof header - 1, &error), TLY_OK);
  assert_int_equal(tly_decoder_set_header(decoder, "id", 2, &error), TLY_E_NOT_NULL);
  assert_memory_equal(tly_decoder_header(decoder, &size), "amount,id", 9);
  assert_int_equal(size, 9);
  assert_int_equal(describe_decoding(decoder, &test.stream, record, sizeof record - 1, &out, &error), TLY_OK);
  assert_string_equal(tly_buffer_text(&out), "[1,\"a\nb\"] a\nb|1.00|NULL|NULL|NULL\n");
  tly_buffer_free(&out);
  tly_decoder_free(decoder);
  free_stream(&test);
}

static void the_header_stays_in_force_from_call_to_call(void **state) {
  (void)state;
  struct test_stream test;
  struct tly_buffer out = {0};
  struct tly_error error;
  make_stream(&test, payment, sizeof payment / sizeof *payment);
  tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_CSV);
  assert_int_equal(describe_decoding(decoder, &test.stream, "id,amount\n", 10, &out, &error), TLY_OK);
  assert_int_equal(describe_decoding(decoder, &test.stream, "a,1\n", 4, &out, &error), TLY_OK);
  assert_string_equal(tly_buffer_text(&out), "[a,1] a|1.00|NULL|NULL|NULL\n");
  tly_buffer_free(&out);
  tly_decoder_free(decoder);
  free_stream(&test);
}

/* ---- against a reader that is obviously right -------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

/* Write a field of random bytes as RFC 4180 says. */
static void append_field(struct tly_buffer *out, const char *text, size_t size, bool quote) {
  if (!quote) {
    tly_buffer_append(out, text, size);
    return;
  }
  tly_buffer_append_text(out, "\"");
  for (size_t i = 0; i < size; i++)
    tly_buffer_print(out, text[i] == '"' ? "\"\"" : "%c", text[i]);
  tly_buffer_append_text(out, "\"");
}

static void what_is_written_by_the_rules_is_read_back(void **state) {
  (void)state;
  static const char bytes[] = "ab,\"\n\r \xc3\xbc";
  static const struct column_spec texts[] = {{.name = "a", .type = TEXT}, {.name = "b", .type = TEXT}};
  uint64_t seed = getenv("TALLY_SEED") != NULL ? strtoull(getenv("TALLY_SEED"), NULL, 10) : 20261122;
  print_message("seed %llu\n", (unsigned long long)seed);
  struct test_stream test;
  struct tly_event_batch batch;
  make_stream(&test, texts, 2);
  tly_event_batch_init(&batch, &test.stream);
  for (int round = 0; round < 20000; round++) {
    struct tly_buffer csv = {0};
    char fields[2][24];
    size_t sizes[2], consumed;
    uint64_t lines;
    struct tly_error error;
    tly_decoder *decoder = tly_decoder_new(&test.stream, TLY_FORMAT_CSV);
    tly_buffer_append_text(&csv, "a,b\r\n");
    for (int field = 0; field < 2; field++) {
      size_t size = 1 + next_random(&seed) % 20;
      bool needs_quotes = false;
      sizes[field] = 0;
      while (sizes[field] + 2 < size) {
        char byte = bytes[next_random(&seed) % 7];
        needs_quotes |= strchr(",\"\n\r ", byte) != NULL;
        fields[field][sizes[field]++] = byte;
      }
      memcpy(fields[field] + sizes[field], "\xc3\xbc", 2);
      sizes[field] += 2;
      append_field(&csv, fields[field], sizes[field], needs_quotes || next_random(&seed) % 2 == 0);
      tly_buffer_append_text(&csv, field == 0 ? "," : round % 2 == 0 ? "\r\n" : "\n");
    }
    assert_int_equal(tly_decoder_decode(decoder, (char *)csv.data, csv.size, 0, &batch, &consumed, &lines, &error),
                     TLY_OK);
    assert_int_equal(batch.count, 1);
    for (int field = 0; field < 2; field++) {
      struct tly_text text = batch.columns[field].text[0];
      assert_int_equal(text.size, sizes[field]);
      assert_memory_equal(text.data, fields[field], sizes[field]);
    }
    tly_decoder_free(decoder);
    tly_buffer_free(&csv);
  }
  tly_event_batch_free(&batch);
  free_stream(&test);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_header_names_the_columns),
      cmocka_unit_test(a_header_that_does_not_fit_fails_the_call),
      cmocka_unit_test(an_empty_field_is_null_and_a_quoted_one_is_an_empty_text),
      cmocka_unit_test(quoted_fields_may_hold_commas_quotes_and_line_ends),
      cmocka_unit_test(lines_end_in_lf_crlf_or_with_the_input_and_empty_ones_are_skipped),
      cmocka_unit_test(a_malformed_record_is_rejected_alone),
      cmocka_unit_test(a_quote_that_is_never_closed_costs_one_line),
      cmocka_unit_test(bad_text_is_rejected_also_where_nobody_reads_it),
      cmocka_unit_test(values_are_converted_as_json_texts_are),
      cmocka_unit_test(an_event_may_have_a_mebibyte_and_no_more),
      cmocka_unit_test(a_record_is_decoded_again_under_its_header),
      cmocka_unit_test(the_header_stays_in_force_from_call_to_call),
      cmocka_unit_test(what_is_written_by_the_rules_is_read_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
