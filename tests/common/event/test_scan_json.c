/* tests/common/event/test_scan_json.c -- the strict scanner against a table of texts, and against jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/limits.h"
#include "common/event/scan_json.h"

/* Scan to the end, in a block of exactly the text's size. */
static enum tly_status scan_all(const char *text, size_t size, struct tly_error *error) {
  char *copy = malloc(size == 0 ? 1 : size);
  struct tly_json_scanner scanner;
  struct tly_json_token token = {.kind = TLY_JSON_NULL};
  enum tly_status status = TLY_OK;
  memcpy(copy, text, size);
  tly_json_scanner_init(&scanner, copy, size);
  while (status == TLY_OK && token.kind != TLY_JSON_END)
    status = tly_json_scan(&scanner, &token, error);
  free(copy);
  return status;
}

/* What jansson says: 1 accepted, 0 refused, -1 refused for what it cannot represent though it is JSON (numbers out of
 * the range of long long and double). */
static int ask_jansson(const char *text, size_t size) {
  json_error_t error;
  json_t *value = json_loadb(text, size, JSON_DECODE_ANY, &error);
  if (value != NULL) {
    json_decref(value);
    return 1;
  }
  return json_error_code(&error) == json_error_numeric_overflow ? -1 : 0;
}

static const char *const accepted[] = {"{}",
                                       "[]",
                                       "0",
                                       "-0",
                                       "1.5",
                                       "1e5",
                                       "1E+5",
                                       "1e-5",
                                       "-1.25e10",
                                       "\"\"",
                                       "true",
                                       "false",
                                       "null",
                                       " \t\r\n{ \"a\" : [ 1 , 2 ] } \n",
                                       "{\"a\":{\"b\":{\"c\":[[],{}]}}}",
                                       "\"\\u00e9\\n\\/\\\\\\\"\\b\\f\\r\\t\"",
                                       "\"\\ud83d\\ude00\"",
                                       "\"\xf0\x9f\x98\x80\"",
                                       "\"\x7f\"",
                                       "\"0123456789abcdef0123456789abcdef\"",
                                       "\"0123456789abcde\"",
                                       "\"0123456789abcdef\"",
                                       "{\"a\":1,\"a\":2}",
                                       "[1,[2,[3]],{\"x\":[]}]",
                                       "123456789012345678",
                                       "0.10",
                                       "{\"\":0}",
                                       "\"\xed\x9f\xbf\"",
                                       "\"\xee\x80\x80\"",
                                       "\"\xf4\x8f\xbf\xbf\""};

static const struct {
  const char *text, *words;
} refused[] = {
    {"", "the text ends at byte 1"},
    {" ", "the text ends at byte 2"},
    {"{", "the text ends at byte 2"},
    {"{\"a\"", "':' after a key"},
    {"{\"a\":", "ends at byte 6 where a value"},
    {"{\"a\":1", "',' or '}'"},
    {"{\"a\":1,", "a key in double quotes"},
    {"{\"a\":1,}", "byte 8: '}' where a key in double quotes"},
    {"{a:1}", "byte 2: 'a' where a key in double quotes"},
    {"{'a':1}", "a key in double quotes"},
    {"{\"a\" 1}", "byte 6: '1' where ':'"},
    {"{\"a\":1 \"b\":2}", "',' or '}'"},
    {"{,}", "a key"},
    {"[1,]", "byte 4: ']' where a value"},
    {"[1 2]", "',' or ']'"},
    {"[", "a value"},
    {"[1}", "',' or ']'"},
    {"{\"a\":1]", "',' or '}'"},
    {"]", "a value"},
    {"NaN", "byte 1: 'N' where a value"},
    {"Infinity", "a value"},
    {"-Infinity", "not a number"},
    {"nul", "a value"},
    {"nulll", "the end of the text"},
    {"True", "a value"},
    {"01", "the end of the text"},
    {"-", "not a number"},
    {"-01", "the end of the text"},
    {"1.", "not a number"},
    {".5", "a value"},
    {"+1", "a value"},
    {"1e", "not a number"},
    {"1e+", "not a number"},
    {"1.e5", "not a number"},
    {"0x10", "the end of the text"},
    {"1_000", "the end of the text"},
    {"\"abc", "its closing quote"},
    {"\"abc\\", "escape sequence"},
    {"\"\\x41\"", "byte 3: 'x'"},
    {"\"\\u12\"", "four hexadecimal digits"},
    {"\"\\u12g4\"", "four hexadecimal digits"},
    {"\"\\u0000\"", "\\u0000 cannot be stored"},
    {"\"\\ud800\"", "\\ud800 is half of a surrogate pair"},
    {"\"\\udc00\"", "half of a surrogate pair"},
    {"\"\\ud800\\ud800\"", "half of a surrogate pair"},
    {"\"\\ud800x\"", "half of a surrogate pair"},
    {"\"\\ud800\\u0041\"", "half of a surrogate pair"},
    {"\"a\nb\"", "byte 3: byte 0x0a"},
    {"\"a\tb\"", "byte 0x09"},
    {"{} x", "byte 4: 'x' where the end of the text"},
    {"{}{}", "the end of the text"},
    {"// a\n{}", "a value"},
    {"\xef\xbb\xbf{}", "byte 0xef"},
    {"{\"a\":\xff}", "byte 0xff"},
};

static const char *const not_utf8[] = {"\"\xff\"",
                                       "\"\xc0\x80\"",
                                       "\"\xc3\"",
                                       "\"\xe2\x82\"",
                                       "\"\xed\xa0\x80\"",
                                       "\"\xf4\x90\x80\x80\"",
                                       "\"\xf8\x88\x80\x80\x80\"",
                                       "{\"\xff\":1}",
                                       "\"0123456789abcdef\xe2\x28\xa1\""};

static void what_rfc_8259_allows_is_accepted(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
    struct tly_error error = TLY_ERROR_NONE;
    if (scan_all(accepted[i], strlen(accepted[i]), &error) != TLY_OK)
      fail_msg("%s: %s", accepted[i], error.message);
    assert_int_equal(ask_jansson(accepted[i], strlen(accepted[i])), 1);
  }
}

static void what_it_does_not_is_refused_with_the_byte(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    struct tly_error error = TLY_ERROR_NONE;
    if (scan_all(refused[i].text, strlen(refused[i].text), &error) != TLY_E_INVALID_JSON)
      fail_msg("%s is not refused", refused[i].text);
    if (strstr(error.message, refused[i].words) == NULL)
      fail_msg("%s: %s, not %s", refused[i].text, error.message, refused[i].words);
    assert_int_equal(ask_jansson(refused[i].text, strlen(refused[i].text)), 0);
  }
}

static void bad_utf8_is_refused_as_such(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof not_utf8 / sizeof *not_utf8; i++) {
    assert_int_equal(scan_all(not_utf8[i], strlen(not_utf8[i]), NULL), TLY_E_CHARACTER_NOT_IN_REPERTOIRE);
    assert_int_equal(ask_jansson(not_utf8[i], strlen(not_utf8[i])), 0);
  }
}

static void a_nul_byte_is_refused(void **state) {
  (void)state;
  assert_int_equal(scan_all("\"a\0b\"", 5, NULL), TLY_E_INVALID_JSON);
  assert_int_equal(scan_all("{}\0", 3, NULL), TLY_E_INVALID_JSON);
  assert_int_equal(scan_all("\0{}", 3, NULL), TLY_E_INVALID_JSON);
}

static void nest(char *out, size_t depth, bool objects) {
  for (size_t i = 0; i < depth; i++)
    out += sprintf(out, objects && i % 2 == 0 ? "{\"a\":" : "[");
  out += sprintf(out, "1");
  for (size_t i = depth; i-- > 0;)
    out += sprintf(out, objects && i % 2 == 0 ? "}" : "]");
}

static void sixty_four_levels_are_allowed_and_no_more(void **state) {
  (void)state;
  char text[20 * TLY_JSON_DEPTH_MAX];
  for (int objects = 0; objects < 2; objects++) {
    nest(text, TLY_JSON_DEPTH_MAX, objects);
    assert_int_equal(scan_all(text, strlen(text), NULL), TLY_OK);
    nest(text, TLY_JSON_DEPTH_MAX + 1, objects);
    assert_int_equal(scan_all(text, strlen(text), NULL), TLY_E_TOO_COMPLEX);
  }
}

static void nesting_without_end_costs_nothing(void **state) {
  (void)state;
  size_t size = 1 << 20;
  char *text = malloc(size);
  memset(text, '[', size);
  assert_int_equal(scan_all(text, size, NULL), TLY_E_TOO_COMPLEX);
  free(text);
}

static void an_escaped_text_is_what_jansson_reads(void **state) {
  (void)state;
  static const char text[] = "\"a\\u00e9\\u20ac\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001 \xc3\xbc z\"";
  struct tly_json_scanner scanner;
  struct tly_json_token token;
  char out[sizeof text];
  tly_json_scanner_init(&scanner, text, sizeof text - 1);
  assert_int_equal(tly_json_scan(&scanner, &token, NULL), TLY_OK);
  assert_true(token.kind == TLY_JSON_STRING && token.is_escaped);
  uint32_t size = tly_json_unescape(token.data, token.size, out);
  json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
  assert_int_equal(size, json_string_length(value));
  assert_memory_equal(out, json_string_value(value), size);
  json_decref(value);
}

static void tokens_come_in_the_order_of_the_text(void **state) {
  (void)state;
  static const char text[] = "{\"a\":[1,\"x\",null],\"b\":{\"c\":true,\"d\":false}}";
  static const enum tly_json_kind kinds[] = {
      TLY_JSON_OBJECT_BEGIN, TLY_JSON_KEY,        TLY_JSON_ARRAY_BEGIN, TLY_JSON_NUMBER,
      TLY_JSON_STRING,       TLY_JSON_NULL,       TLY_JSON_ARRAY_END,   TLY_JSON_KEY,
      TLY_JSON_OBJECT_BEGIN, TLY_JSON_KEY,        TLY_JSON_TRUE,        TLY_JSON_KEY,
      TLY_JSON_FALSE,        TLY_JSON_OBJECT_END, TLY_JSON_OBJECT_END,  TLY_JSON_END};
  struct tly_json_scanner scanner;
  struct tly_json_token token;
  tly_json_scanner_init(&scanner, text, sizeof text - 1);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    assert_int_equal(tly_json_scan(&scanner, &token, NULL), TLY_OK);
    assert_int_equal(token.kind, kinds[i]);
  }
}

static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

/* Some bytes of a text replaced, doubled or cut out by bytes that mean something in JSON. */
static size_t mutate(const char *from, char *to, uint64_t *seed) {
  static const char alphabet[] =
      "{}[]:,\"\\ 0123456789-+.eEtrufalsn\n\r\t\x01\x7f\xc3\xa9\xed\xa0\x80\xff\xf0\x9f\x98\x80";
  size_t size = strlen(from);
  memcpy(to, from, size);
  for (uint64_t changes = 1 + next_random(seed) % 4; changes > 0; changes--) {
    size_t place = size == 0 ? 0 : next_random(seed) % size;
    char byte = alphabet[next_random(seed) % (sizeof alphabet - 1)];
    switch (next_random(seed) % 3) {
    case 0:
      if (size > 0)
        to[place] = byte;
      break;
    case 1:
      memmove(to + place + 1, to + place, size - place);
      to[place] = byte;
      size++;
      break;
    default:
      if (size > 0) {
        memmove(to + place, to + place + 1, size - place - 1);
        size--;
      }
    }
  }
  return size;
}

static void mutated_texts_are_accepted_exactly_when_jansson_does(void **state) {
  (void)state;
  uint64_t seed = getenv("TALLY_SEED") != NULL ? strtoull(getenv("TALLY_SEED"), NULL, 10) : 20261122;
  long rounds = getenv("TALLY_LONG") != NULL ? 5000000 : 200000;
  long both = 0;
  print_message("seed %llu\n", (unsigned long long)seed);
  for (long i = 0; i < rounds; i++) {
    char text[256];
    size_t size = mutate(accepted[next_random(&seed) % (sizeof accepted / sizeof *accepted)], text, &seed);
    enum tly_status status = scan_all(text, size, NULL);
    int verdict = ask_jansson(text, size);
    if (verdict >= 0 && (status == TLY_OK) != (verdict == 1))
      fail_msg("round %ld: \"%.*s\" (%zu bytes): %s, jansson %d", i, (int)size, text, size, tly_status_name(status),
               verdict);
    both += status == TLY_OK;
  }
  assert_true(both > rounds / 20 && both < rounds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_rfc_8259_allows_is_accepted),
      cmocka_unit_test(what_it_does_not_is_refused_with_the_byte),
      cmocka_unit_test(bad_utf8_is_refused_as_such),
      cmocka_unit_test(a_nul_byte_is_refused),
      cmocka_unit_test(sixty_four_levels_are_allowed_and_no_more),
      cmocka_unit_test(nesting_without_end_costs_nothing),
      cmocka_unit_test(an_escaped_text_is_what_jansson_reads),
      cmocka_unit_test(tokens_come_in_the_order_of_the_text),
      cmocka_unit_test(mutated_texts_are_accepted_exactly_when_jansson_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
