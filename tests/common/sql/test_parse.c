/* The guards around libpg_query: what its tree loses, and what would overrun it. */
#include <pthread.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/sql/scan.h"
#include "tests/common/sql/sql_fixture.h"

static void negative_integers_keep_their_sign(void **state) {
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {
      {"0", 0},
      {"-5", -5},
      {"- 5", -5},
      {"-(5)", -5},
      {"- ( - 5 )", 5},
      {"-(-(-7))", -7},
      {"-/* x */5", -5},
      {"- -- five\n 5", -5},
      {"-/* a /* b */ 9 */ 5", -5},
      {"-0", 0},
      {"-2147483647", -2147483647},
      {"-2147483648", INT64_C(-2147483648)},
      {"2147483647", 2147483647},
      {"2147483648", INT64_C(2147483648)},
      {"-9223372036854775808", INT64_MIN},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct tly_expr *constant = fixture_expression(*state, cases[i].text);
    assert_int_equal(constant->kind, TLY_EXPR_CONSTANT);
    assert_true(constant->constant.i64 == cases[i].value);
  }
}

static void negative_integers_keep_their_sign_inside_other_words(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture_query(fixture, "SELECT i4 FROM x WHERE i4 < -1 LIMIT -3 OFFSET -4"), TLY_OK);
  const struct tly_query *query = fixture->statement->query;
  assert_true(query->where->arguments[1]->constant.i64 == -1);
  assert_true(query->limit->constant.i64 == -3);
  assert_true(query->offset->constant.i64 == -4);
  const struct tly_expr *in = fixture_expression(fixture, "i4 IN (-1, -2, 3)");
  assert_true(in->arguments[1]->constant.i64 == -1);
  assert_true(in->arguments[2]->constant.i64 == -2);
}

static void integers_too_wide_for_their_type_go_to_the_next(void **state) {
  assert_int_equal(fixture_expression(*state, "2147483648")->type.id, TLY_TYPE_BIGINT);
  assert_int_equal(fixture_expression(*state, "-2147483648")->type.id, TLY_TYPE_INTEGER);
  assert_int_equal(fixture_expression(*state, "9223372036854775808")->type.id, TLY_TYPE_NUMERIC);
  assert_int_equal(fixture_expression(*state, "1e3")->type.id, TLY_TYPE_NUMERIC);
}

/* `piece` repeated up to the limit of a statement. */
static char *repeated(const char *head, const char *piece, const char *tail, const char *close, size_t count) {
  struct tly_buffer out = {.data = NULL};
  tly_buffer_append_text(&out, head);
  for (size_t i = 0; i < count; i++)
    tly_buffer_append_text(&out, piece);
  tly_buffer_append_text(&out, tail);
  for (size_t i = 0; i < count; i++)
    tly_buffer_append_text(&out, close);
  return tly_buffer_text(&out);
}

static const struct shape {
  const char *head, *piece, *tail, *close;
} shapes[] = {
    {"SELECT ", "1+", "1", ""},
    {"SELECT ", "(", "1", ")"},
    {"SELECT ", "- ", "i4 FROM x", ""},
    {"SELECT ", "NOT ", "true", ""},
    {"SELECT ", "abs(", "1", ")"},
    {"SELECT ", "case ", "1", ""},
    {"SELECT ", "(SELECT ", "1", ")"},
    {"", "(", "SELECT 1", ")"},
    {"SELECT ", "case when ", "true", " then 1 end"},
    {"SELECT 1", " UNION ALL SELECT 1", "", ""},
    {"SELECT 1 WHERE true", " AND true", "", ""},
    {"SELECT 1 FROM ", "(SELECT 1 FROM ", "x", ")a"},
    {"SELECT i4", "::int", " FROM x", ""},
};
enum { SHAPE_COUNT = sizeof shapes / sizeof shapes[0] };

/* A statement of about `size` bytes of one shape. */
static char *nested(const struct shape *shape, size_t size) {
  size_t fixed = strlen(shape->head) + strlen(shape->tail), unit = strlen(shape->piece) + strlen(shape->close);
  return repeated(shape->head, shape->piece, shape->tail, shape->close, (size - fixed) / unit);
}

static void nothing_a_client_nests_overruns_the_stack(void **state) {
  for (size_t i = 0; i < SHAPE_COUNT; i++) {
    for (size_t size = 512; size <= TLY_SQL_BYTES_MAX; size *= 2) {
      char *sql = nested(&shapes[i], size);
      (void)fixture_query(*state, sql);
      tly_free(sql);
    }
  }
}

static void *parse_every_shape(void *argument) {
  for (size_t i = 0; i < SHAPE_COUNT; i++) {
    char *sql = nested(&shapes[i], TLY_SQL_SHORT_BYTES);
    (void)fixture_query(argument, sql);
    tly_free(sql);
  }
  return NULL;
}

/* The least stack on which a text is parsed in place, and what the calls up to there take. */
static void a_short_text_fits_the_stack_it_is_parsed_on(void **state) {
  pthread_attr_t attributes;
  pthread_t thread;
  assert_int_equal(pthread_attr_init(&attributes), 0);
  assert_int_equal(pthread_attr_setstacksize(&attributes, TLY_SQL_SHORT_STACK_BYTES + (64 << 10)), 0);
  assert_int_equal(pthread_create(&thread, &attributes, parse_every_shape, *state), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  pthread_attr_destroy(&attributes);
}

static void a_statement_too_deep_is_too_complex(void **state) {
  struct fixture *fixture = *state;
  char *sql = repeated("SELECT ", "1+", "1", "", 5000);
  assert_int_equal(fixture_query(fixture, sql), TLY_E_TOO_COMPLEX);
  assert_string_equal(fixture->error.message, "statement too complex");
  tly_free(sql);
  sql = repeated("SELECT ", "1+", "1", "", 900);
  assert_int_equal(fixture_query(fixture, sql), TLY_OK);
  tly_free(sql);
}

static void a_statement_of_more_than_64_kib_is_not_read(void **state) {
  char *sql = repeated("SELECT '", "x", "'", "", TLY_SQL_BYTES_MAX);
  assert_int_equal(fixture_query(*state, sql), TLY_E_TOO_LARGE);
  tly_free(sql);
  sql = repeated("SELECT '", "x", "'", "", TLY_SQL_BYTES_MAX - 9);
  assert_int_equal(fixture_query(*state, sql), TLY_OK);
  tly_free(sql);
}

static void text_that_is_not_utf8_is_refused(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture_query(fixture, "SELECT '\xe4'"), TLY_E_CHARACTER_NOT_IN_REPERTOIRE);
  assert_int_equal(fixture_query(fixture, "SELECT '\xed\xa0\x80'"), TLY_E_CHARACTER_NOT_IN_REPERTOIRE);
  assert_int_equal(tly_query_parse(fixture->project, "SELECT 1\0 2", 11, &fixture->arena, &fixture->statement, NULL),
                   TLY_E_CHARACTER_NOT_IN_REPERTOIRE);
}

/* Between the parser and us they are JSON. */
static void texts_come_through_byte_for_byte(void **state) {
  static const struct {
    const char *sql, *text;
  } cases[] = {
      {"''", ""},
      {"'it''s'", "it's"},
      {"E'\\x01\\x02\\x1f\\x7f\\t\\n\\r\\b\\f'", "\x01\x02\x1f\x7f\t\n\r\b\f"},
      {"'\"\\/</script>'", "\"\\/</script>"},
      {"$$a'b$$", "a'b"},
      {"'ä€😀'", "ä€😀"},
      {"U&'\\00e4'", "ä"},
      {"'a'\n'b'", "ab"},
      {"'tab\there'", "tab\there"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_text text = fixture_expression(*state, cases[i].sql)->constant.text;
    assert_int_equal(text.size, strlen(cases[i].text));
    assert_memory_equal(text.data, cases[i].text, text.size);
  }
}

static void parameter_zero_is_refused(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture_query(fixture, "SELECT $0"), TLY_E_UNDEFINED_PARAMETER);
  assert_int_equal(fixture->error.position, 8);
}

static void positions_count_characters(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture_query(fixture, "SELECT 'äöü€😀', nothing FROM x"), TLY_E_UNDEFINED_COLUMN);
  assert_int_equal(fixture->error.position, 17);
  assert_int_equal(fixture_query(fixture, "SELECT 'äöü€😀' FROM WHERE"), TLY_E_SYNTAX);
  assert_int_equal(fixture->error.position, 21);
}

static void the_text_need_not_be_terminated(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(
      tly_query_parse(fixture->project, "SELECT 1, nothing", 8, &fixture->arena, &fixture->statement, NULL), TLY_OK);
  assert_int_equal(fixture->statement->query->column_count, 1);
}

static void a_query_is_one_select(void **state) {
  struct fixture *fixture = *state;
  static const struct {
    const char *sql;
    enum tly_status status;
  } cases[] = {
      {"", TLY_E_SYNTAX},
      {" -- nothing", TLY_E_SYNTAX},
      {";", TLY_E_SYNTAX},
      {"SELECT 1;", TLY_OK},
      {"SELECT 1; SELECT 2", TLY_E_SYNTAX},
      {"SELECT 1;;", TLY_OK},
      {"DELETE FROM x", TLY_E_NOT_SUPPORTED},
      {"EXPLAIN SELECT 1", TLY_E_NOT_SUPPORTED},
      {"CREATE VIEW v AS SELECT 1", TLY_E_NOT_SUPPORTED},
      {"SET a = 1", TLY_E_NOT_SUPPORTED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(fixture_query(fixture, cases[i].sql), cases[i].status);
}

static void statements_end_at_semicolons_that_are_not_quoted(void **state) {
  static const struct {
    const char *text, *rest;
  } cases[] = {
      {"a; b", "; b"},           {"a 'x;y' ; b", "; b"},
      {"a 'it''s;' ; b", "; b"}, {"a E'x\\';' ; b", "; b"},
      {"a 'x\\' ; b", "; b"},    {"a \"x;\"\"y\" ; b", "; b"},
      {"a $$x;y$$ ; b", "; b"},  {"a $tag$x;$$;$tag$ ; b", "; b"},
      {"a $1 ; b", "; b"},       {"a /* ; /* ; */ ; */ ; b", "; b"},
      {"a -- ;\n ; b", "; b"},   {"a (1; b", "; b"},
      {"a 'never ends ; b", ""},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *end = cases[i].text + strlen(cases[i].text);
    assert_string_equal(tly_scan_statement(cases[i].text, end), cases[i].rest);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(negative_integers_keep_their_sign),
      cmocka_unit_test(negative_integers_keep_their_sign_inside_other_words),
      cmocka_unit_test(integers_too_wide_for_their_type_go_to_the_next),
      cmocka_unit_test(nothing_a_client_nests_overruns_the_stack),
      cmocka_unit_test(a_short_text_fits_the_stack_it_is_parsed_on),
      cmocka_unit_test(a_statement_too_deep_is_too_complex),
      cmocka_unit_test(a_statement_of_more_than_64_kib_is_not_read),
      cmocka_unit_test(text_that_is_not_utf8_is_refused),
      cmocka_unit_test(texts_come_through_byte_for_byte),
      cmocka_unit_test(parameter_zero_is_refused),
      cmocka_unit_test(positions_count_characters),
      cmocka_unit_test(the_text_need_not_be_terminated),
      cmocka_unit_test(a_query_is_one_select),
      cmocka_unit_test(statements_end_at_semicolons_that_are_not_quoted),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
