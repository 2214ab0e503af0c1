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

/* Does the shape take the line? It then has to read it as it is read without. */
static bool fits(const struct tly_request_shape *shape, const char *line) {
  struct tly_request_line fast, slow;
  if (!tly_request_shape_read(shape, line, strlen(line), &fast))
    return false;
  if (!tly_request_line_read(line, strlen(line), &slow))
    fail_msg("only the shape takes %s", line);
  assert_true(tly_text_equal(fast.id, slow.id));
  assert_ptr_equal(fast.sql.data, slow.sql.data);
  assert_int_equal(fast.sql.size, slow.sql.size);
  assert_int_equal(fast.argument_count, slow.argument_count);
  for (uint32_t i = 0; i < fast.argument_count; i++) {
    assert_ptr_equal(fast.arguments[i].text, slow.arguments[i].text);
    assert_int_equal(fast.arguments[i].size, slow.arguments[i].size);
    assert_false(fast.arguments[i].is_null || slow.arguments[i].is_null);
  }
  return true;
}

static bool learn(struct tly_request_shape *shape, const char *line) {
  struct tly_request_line request;
  assert_true(tly_request_line_read(line, strlen(line), &request));
  return tly_request_shape_learn(shape, line, strlen(line), &request);
}

static void a_line_of_a_known_shape_is_read_as_without_it(void **state) {
  static const char *const lines[][3] = {
      /* learned from, of its shape, not of its shape */
      {"{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[\"a\",-7]}}",
       "{\"id\":-20,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[\"\",123]}}",
       "{\"id\":-20,\"method\":\"query\",\"params\":{\"sql\":\"y\",\"args\":[\"\",123]}}"},
      {"{\"params\": {\"args\": [5], \"sql\": \"x\"}, \"method\": \"query\", \"id\": \"q\"}",
       "{\"params\": {\"args\": [6], \"sql\": \"x\"}, \"method\": \"query\", \"id\": \"q 17\"}",
       "{\"params\": {\"args\": [6], \"sql\": \"x\"}, \"method\": \"query\", \"id\": 17}"},
      {"{\"method\":\"query\",\"params\":{\"sql\":\"\",\"args\":[\"a\"]}}",
       "{\"method\":\"query\",\"params\":{\"sql\":\"\",\"args\":[\"12345678901234567890\"]}}",
       "{\"method\":\"query\",\"params\":{\"sql\":\"\",\"args\":[\"a\",\"b\"]}}"},
      {"{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
       "{\"id\":2,\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
       "{\"id\":2,\"method\":\"query\",\"params\":{\"sql\":\"x\"}} "},
      {"{\"method\":\"query\",\"params\":{\"sql\":\"x\"}}", "{\"method\":\"query\",\"params\":{\"sql\":\"x\"}}",
       "{\"method\":\"query\",\"params\":{\"sql\":\"x\"}"},
  };
  struct tly_request_shape shape = {0};
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    assert_true(learn(&shape, lines[i][0]));
    assert_true(fits(&shape, lines[i][0]));
    assert_true(fits(&shape, lines[i][1]));
    assert_false(fits(&shape, lines[i][2]));
  }
  tly_request_shape_free(&shape);
}

static void a_line_with_null_or_true_as_an_argument_has_no_shape(void **state) {
  static const char *const words[] = {"null", "true", "false"};
  struct tly_request_shape shape = {0};
  (void)state;
  assert_false(fits(&shape, ""));
  assert_true(learn(&shape, "{\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[1]}}"));
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    char line[200];
    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"x\",\"args\":[1,%s]}}", words[i]);
    assert_false(learn(&shape, line));
    assert_false(fits(&shape, line));
  }
  tly_request_shape_free(&shape);
}

/* Any byte of a line of a known shape changed or cut: what the shape takes is read alike without it. */
static void damaged_lines_are_never_read_in_another_way_by_a_shape(void **state) {
  static const char good[] = "{\"id\":\"q1\", \"method\":\"query\",\"params\":{\"sql\":\"SELECT a FROM v WHERE a = "
                             "$1\",\"args\":[\"x y\",-12, 7]}}";
  struct tly_request_shape shape = {0};
  uint32_t taken = 0;
  (void)state;
  assert_true(learn(&shape, good));
  for (size_t at = 0; at < sizeof good - 1; at++)
    for (int byte = 0; byte < 256; byte++) {
      char line[sizeof good];
      memcpy(line, good, sizeof good);
      if (byte == 0)
        memmove(line + at, line + at + 1, sizeof good - at - 1);
      else
        line[at] = (char)byte;
      taken += fits(&shape, line);
    }
  assert_true(taken > 100);
  tly_request_shape_free(&shape);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_common_forms_are_taken),
      cmocka_unit_test(whatever_is_unusual_is_left_to_the_general_parser),
      cmocka_unit_test(any_byte_anywhere_in_a_text_is_read_alike),
      cmocka_unit_test(damaged_lines_never_make_the_two_ways_disagree),
      cmocka_unit_test(a_line_of_a_known_shape_is_read_as_without_it),
      cmocka_unit_test(a_line_with_null_or_true_as_an_argument_has_no_shape),
      cmocka_unit_test(damaged_lines_are_never_read_in_another_way_by_a_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
