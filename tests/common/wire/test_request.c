/* Request lines: JSON-RPC, bare SQL, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/request.h"

static void a_line_that_is_not_json_is_sql(void **state) {
  (void)state;
  struct tly_request request;
  struct tly_error error = TLY_ERROR_NONE;
  int code;
  const char *sql = NULL;
  static const char line[] = "  SELECT 1 -- \xc3\xbc";
  assert_int_equal(tly_request_parse(line, sizeof line - 1, &request, &code, &error), TLY_OK);
  assert_int_equal(request.method, TLY_METHOD_QUERY);
  assert_string_equal(request.id, "null");
  assert_int_equal(tly_param_text(request.params, "sql", &sql, &error), TLY_OK);
  assert_string_equal(sql, "SELECT 1 -- \xc3\xbc");
  tly_request_free(&request);
}

static void bad_requests_say_what_is_wrong_and_keep_their_id(void **state) {
  (void)state;
  static const struct {
    const char *line;
    int code;
    const char *id, *words;
  } cases[] = {
      {"{\"id\":1,", TLY_RPC_PARSE_ERROR, "null", "invalid JSON"},
      {"{\"id\":1}", TLY_RPC_INVALID_REQUEST, "1", "needs a \"method\""},
      {"{\"id\":\"a\",\"method\":7}", TLY_RPC_INVALID_REQUEST, "\"a\"", "needs a \"method\""},
      {"{\"id\":2,\"method\":\"drop\"}", TLY_RPC_METHOD_NOT_FOUND, "2", "unknown method \"drop\""},
      {"{\"id\":3,\"method\":\"query\",\"params\":[1]}", TLY_RPC_INVALID_PARAMS, "3", "must be an object"},
      {"{\"id\":{},\"method\":\"nope\"}", TLY_RPC_METHOD_NOT_FOUND, "null", "unknown method"},
      {"{\"id\":4,\"id\":5,\"method\":\"query\"}", TLY_RPC_PARSE_ERROR, "null", "duplicate"},
      {"SELECT '\xff'", TLY_RPC_PARSE_ERROR, "null", "UTF-8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_request request;
    struct tly_error error = TLY_ERROR_NONE;
    int code = 0;
    assert_int_not_equal(tly_request_parse(cases[i].line, strlen(cases[i].line), &request, &code, &error), TLY_OK);
    assert_int_equal(code, cases[i].code);
    assert_string_equal(request.id, cases[i].id);
    assert_non_null(strstr(error.message, cases[i].words));
    tly_request_free(&request);
  }
}

static void json_nested_deeper_than_the_limit_is_refused_before_it_is_parsed(void **state) {
  (void)state;
  char line[400] = "{\"method\":\"query\",\"params\":{\"x\":\"[[[\\\"[\",\"a\":";
  struct tly_request request;
  struct tly_error error = TLY_ERROR_NONE;
  int code;
  size_t start = strlen(line);
  for (int depth = 62; depth <= 63; depth++) { /* two objects stand around it */
    memset(line + start, '[', (size_t)depth);
    memset(line + start + depth, ']', (size_t)depth);
    strcpy(line + start + 2 * depth, "}}");
    assert_int_equal(tly_request_parse(line, strlen(line), &request, &code, &error),
                     depth == 62 ? TLY_OK : TLY_E_TOO_COMPLEX);
    tly_request_free(&request);
  }
}

static void an_error_reply_carries_sqlstate_position_and_hint(void **state) {
  (void)state;
  struct tly_buffer out = {0};
  struct tly_error error = TLY_ERROR_NONE;
  (void)TLY_FAIL(&error, TLY_E_UNDEFINED_COLUMN, "column \"totl\" does not exist");
  error.position = 8;
  tly_error_hint(&error, "did you mean total?");
  tly_reply_error(&out, "2", TLY_RPC_INVALID_PARAMS, &error);
  assert_string_equal(tly_buffer_text(&out),
                      "{\"id\":2,\"error\":{\"code\":-32602,\"message\":\"column \\\"totl\\\" does not exist\","
                      "\"data\":{\"sqlstate\":\"42703\",\"position\":8,\"hint\":\"did you mean total?\"}}}\n");
  tly_buffer_free(&out);
}

static void a_parameter_of_another_type_is_refused_by_name(void **state) {
  (void)state;
  json_t *params = json_pack("{s:i,s:s}", "sql", 1, "bytes", "x");
  struct tly_error error = TLY_ERROR_NONE;
  const char *text = NULL;
  int64_t number = 7;
  bool flag = true;
  assert_int_equal(tly_param_text(params, "sql", &text, &error), TLY_E_INVALID_PARAMETER);
  assert_non_null(strstr(error.message, "\"sql\" must be a text"));
  assert_int_equal(tly_param_integer(params, "bytes", &number, &error), TLY_E_INVALID_PARAMETER);
  assert_int_equal(tly_param_boolean(params, "sql", &flag, &error), TLY_E_INVALID_PARAMETER);
  assert_int_equal(tly_param_integer(params, "absent", &number, &error), TLY_OK);
  assert_int_equal(number, 7);
  json_decref(params);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_that_is_not_json_is_sql),
      cmocka_unit_test(bad_requests_say_what_is_wrong_and_keep_their_id),
      cmocka_unit_test(json_nested_deeper_than_the_limit_is_refused_before_it_is_parsed),
      cmocka_unit_test(an_error_reply_carries_sqlstate_position_and_hint),
      cmocka_unit_test(a_parameter_of_another_type_is_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
