/* tests/common/value/test_text.c -- what UTF-8 is, and character semantics where they are not PostgreSQL's to decide.
 * PostgreSQL's answers to single calls are in test_postgresql_cases.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/value/text.h"

static void only_well_formed_utf8_without_nul_is_valid(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
    bool is_valid;
  } cases[] = {
      {"", 0, true},
      {"plain ascii, longer than eight", 30, true},
      {"\xc3\xbc", 2, true},
      {"\xf0\x9f\x98\x80", 4, true},
      {"\xf4\x8f\xbf\xbf", 4, true},    /* U+10FFFF */
      {"\xef\xbf\xbf", 3, true},        /* U+FFFF */
      {"a\0b", 3, false},               /* NUL */
      {"abcdefg\0abcdefgh", 16, false}, /* NUL in a run of eight */
      {"\xc0\x80", 2, false},           /* overlong NUL */
      {"\xc1\xbf", 2, false},           /* overlong */
      {"\xe0\x9f\xbf", 3, false},       /* overlong */
      {"\xf0\x8f\xbf\xbf", 4, false},   /* overlong */
      {"\xed\xa0\x80", 3, false},       /* surrogate */
      {"\xf4\x90\x80\x80", 4, false},   /* above U+10FFFF */
      {"\xf5\x80\x80\x80", 4, false},
      {"\x80", 1, false}, /* continuation alone */
      {"\xc3", 1, false}, /* cut */
      {"\xe4\xbd", 2, false},
      {"\xf0\x9f\x98", 3, false},
      {"abcdefgh\xc3", 9, false},
      {"\xc3\x28", 2, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(tly_text_is_valid(cases[i].bytes, cases[i].size), cases[i].is_valid);
}

/* Every lead byte and second byte, against the definition by code points. */
static void validity_agrees_with_decoding(void **state) {
  (void)state;
  for (unsigned code = 1; code < 0x120000; code++) {
    uint8_t bytes[4] = {(uint8_t)(0xF0 | (code >> 18 & 7)), (uint8_t)(0x80 | (code >> 12 & 0x3F)),
                        (uint8_t)(0x80 | (code >> 6 & 0x3F)), (uint8_t)(0x80 | (code & 0x3F))};
    bool is_surrogate = code >= 0xD800 && code < 0xE000;
    assert_int_equal(tly_text_is_valid((char *)bytes, 4), code >= 0x10000 && code < 0x110000);
    if (code < 0x10000) {
      bytes[1] = (uint8_t)(0xE0 | code >> 12);
      assert_int_equal(tly_text_is_valid((char *)bytes + 1, 3), code >= 0x800 && !is_surrogate);
    }
    if (code < 0x800) {
      bytes[2] = (uint8_t)(0xC0 | code >> 6);
      assert_int_equal(tly_text_is_valid((char *)bytes + 2, 2), code >= 0x80);
    }
  }
}

static void order_is_bytewise_and_the_shorter_comes_first(void **state) {
  (void)state;
  assert_true(tly_text_compare(tly_text_of("a"), tly_text_of("ab")) < 0);
  assert_true(tly_text_compare(tly_text_of("Z"), tly_text_of("a")) < 0);
  assert_true(tly_text_compare(tly_text_of("z"), tly_text_of("\xc3\xa4")) < 0);
  assert_int_equal(tly_text_compare(tly_text_of(""), tly_text_of("")), 0);
  assert_true(tly_text_equal(tly_text_of("ab"), tly_text_of("ab")));
  assert_false(tly_text_equal(tly_text_of("ab"), tly_text_of("a")));
}

static bool like(const char *text, const char *pattern) {
  bool result;
  assert_int_equal(tly_text_like(tly_text_of(text), tly_text_of(pattern), false, &result, NULL), TLY_OK);
  return result;
}

static void a_trailing_backslash_raises_only_when_it_is_reached(void **state) {
  (void)state;
  bool result;
  struct tly_error error;
  assert_false(like("abc", "x\\"));
  assert_int_equal(tly_text_like(tly_text_of("abc"), tly_text_of("ab\\"), false, &result, &error),
                   TLY_E_ESCAPE_SEQUENCE);
  assert_string_equal(error.message, "LIKE pattern must not end with escape character");
}

/* A pattern that makes a backtracking matcher run for hours. */
static void many_wildcards_take_no_more_than_pattern_times_text(void **state) {
  (void)state;
  char text[2001], pattern[401];
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  for (size_t i = 0; i + 2 < sizeof pattern; i += 2)
    memcpy(pattern + i, "%a", 2);
  memcpy(pattern + sizeof pattern - 3, "%b", 3);
  assert_false(like(text, pattern));
  text[sizeof text - 2] = 'b';
  assert_true(like(text, pattern));
}

static void case_does_not_depend_on_the_locale_of_the_process(void **state) {
  (void)state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  assert_true(tly_text_equal(tly_text_upper(tly_text_of("aü ß"), &arena), tly_text_of("AÜ ß")));
  assert_true(tly_text_equal(tly_text_lower(tly_text_of("İÜA"), &arena), tly_text_of("iüa")));
  tly_arena_free(&arena);
}

static void texts_join(void **state) {
  (void)state;
  struct tly_arena arena;
  tly_arena_init(&arena);
  assert_true(tly_text_equal(tly_text_concat(tly_text_of("ab"), tly_text_of("c"), &arena), tly_text_of("abc")));
  assert_int_equal(tly_text_concat(tly_text_of(""), tly_text_of(""), &arena).size, 0);
  tly_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_well_formed_utf8_without_nul_is_valid),
      cmocka_unit_test(validity_agrees_with_decoding),
      cmocka_unit_test(order_is_bytewise_and_the_shorter_comes_first),
      cmocka_unit_test(a_trailing_backslash_raises_only_when_it_is_reached),
      cmocka_unit_test(many_wildcards_take_no_more_than_pattern_times_text),
      cmocka_unit_test(case_does_not_depend_on_the_locale_of_the_process),
      cmocka_unit_test(texts_join),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
