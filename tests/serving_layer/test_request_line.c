/* The short way to read a query request gives what the general one gives, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/request.h"
#include "serving_layer/request_line.h"

static bool same_text(struct tly_text text, const char *wanted) {
  return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

/* The argument as the general parser's value. */
static bool same_argument(const struct tly_request_argument *argument, const json_t *wanted) {
  char number[32];
  struct tly_text text = {.data = argument->text, .size = argument->size};
  switch (json_typeof(wanted)) {
  case JSON_NULL: return argument->is_null;
  case JSON_STRING: return same_text(text, json_string_value(wanted));
  case JSON_TRUE: return same_text(text, "true");
  case JSON_FALSE: return same_text(text, "false");
  case JSON_INTEGER:
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(wanted));
    return same_text(text, number);
  default: return false;
  }
}

/* True when the short way takes the line; it then has to agree. */
static bool takes(const char *line) {
  struct tly_request_line fast;
  struct tly_request slow;
  struct tly_error error = TLY_ERROR_NONE;
  int code;
  if (!tly_request_line_read(line, strlen(line), &fast))
    return false;
  if (tly_request_parse(line, strlen(line), &slow, &code, &error) != TLY_OK)
    fail_msg("only the short way takes %s (%s)", line, error.message);
  assert_int_equal(slow.method, TLY_METHOD_QUERY);
  assert_true(same_text(fast.id, slow.id));
  assert_true(same_text(fast.sql, json_string_value(json_object_get(slow.params, "sql"))));
  const json_t *args = json_object_get(slow.params, "args");
  assert_int_equal(fast.argument_count, json_array_size(args));
  for (uint32_t i = 0; i < fast.argument_count; i++)
    assert_true(same_argument(&fast.arguments[i], json_array_get(args, i)));
  tly_request_free(&slow);
  return true;
}

static void the_common_forms_are_taken(void **state) {
  (void)state;
  assert_true(takes("{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"SELECT 1\"}}"));
  assert_true(takes("{\"id\": 12, \"method\": \"query\", \"params\": {\"sql\": \"SELECT 1\", \"args\": [\"A-1\", 5, "
                    "-7, null, true, false]}}"));
  assert_true(
      takes("{\"jsonrpc\":\"2.0\",\"params\":{\"args\":[],\"sql\":\"x\"},\"method\":\"query\",\"id\":\"ab\"} "));
  assert_true(takes("{\"method\":\"query\",\"params\":{\"sql\":\"SELECT '\xc3\xbc'\",\"args\":[\"\xc3\xa4\"]}}"));
}

static void whatever_is_unusual_is_left_to_the_general_parser(void **state) {
  static const char *const lines[] = {
      "",
      "{",
      "{}",
      "SELECT 1",
      "{\"id\":1,\"method\":\"runs\",\"params\":{\"sql\":\"x\"}}",
      "{\"id\":1,\"method\":\"query\"}",
      "{\"id\":1,\"method\":\"query\",\"params\":{}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"wait\":true}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\\u0041\"}}",
      "{\"id\":1,\"id\":2,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"method\":\"query\"}}",
      "{\"id\":1,\"method\":\"query\",\"sql\":\"x\",\"params\":{\"sql\":\"x\"}}",
      "{\"id\":1.5,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
      "{\"id\":01,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
      "{\"id\":-0,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[1.5]}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[1,]}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[[1]]}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\"},}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"\xff\"}}",
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"a\tb\"}}",
      "{\"id\":null,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (takes(lines[i]))
      fail_msg("taken: %s", lines[i]);
}

/* Any byte of a good line changed, cut or doubled: the two ways never disagree. */
static void damaged_lines_never_make_the_two_ways_disagree(void **state) {
  static const char good[] = "{\"id\":\"q1\", \"method\":\"query\",\"params\":{\"sql\":\"SELECT a FROM v WHERE a = "
                             "$1\",\"args\":[\"x\",-12,null,true]}}";
  static const char bytes[] = "\"\\{}[]:,0-.etn \x01\x7f\xc3";
  uint32_t taken = 0;
  (void)state;
  for (size_t at = 0; at < sizeof good - 1; at++)
    for (size_t b = 0; b < sizeof bytes; b++) {
      char line[2 * sizeof good];
      memcpy(line, good, sizeof good);
      if (bytes[b] == 0)
        memmove(line + at, line + at + 1, sizeof good - at - 1);
      else
        line[at] = bytes[b];
      taken += takes(line);
    }
  assert_true(taken > 100);
}

/* Texts are read eight bytes at a time: every byte at every place of texts of every length, before and behind. */
static void any_byte_anywhere_in_a_text_is_read_alike(void **state) {
  enum { TEXT_MAX = 20 };
  (void)state;
  for (int size = 1; size <= TEXT_MAX; size++)
    for (int at = 0; at < size; at++)
      for (int byte = 1; byte < 256; byte++) {
        char text[TEXT_MAX + 1], line[200];
        memset(text, 'x', sizeof text);
        text[size] = 0;
        text[at] = (char)byte;
        if (byte >= 0x80 && at + 1 < size)
          text[at + 1] = (char)0x80; /* with some leads a character */
        snprintf(line, sizeof line,
                 "{\"id\":\"%s\",\"method\":\"query\",\"params\":{\"sql\":\"%s\",\"args\":[\"%s\"]}}",
                 byte % 3 == 0 ? text : "i", byte % 3 != 0 ? text : "s", text);
        bool is_plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
        bool is_taken = takes(line);
        assert_true(is_taken || !is_plain || (byte == 0x7f && byte % 3 == 0));
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_common_forms_are_taken),
      cmocka_unit_test(whatever_is_unusual_is_left_to_the_general_parser),
      cmocka_unit_test(any_byte_anywhere_in_a_text_is_read_alike),
      cmocka_unit_test(damaged_lines_never_make_the_two_ways_disagree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
