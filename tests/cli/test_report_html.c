/* tests/cli/test_report_html.c -- a page shows what users wrote as text, by its code where it is not seen, and the same
 * report as the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "cli/report_html.h"
#include "common/base/limits.h"

static json_t *report_with_key(const char *key) {
  return json_pack("{s:s,s:i,s:s,s:n,s:[{s:i,s:s,s:{s:s},s:s}],s:[]}", "report", "reconciliation", "number", 7,
                   "result", "BREAKS", "reason", "breaks", "id", 3, "break", "over", "key", "account", key, "status",
                   "open", "cleared");
}

static char *page_of(json_t *report, struct tly_buffer *out) {
  tly_report_html(report, out);
  return tly_buffer_text(out);
}

static void what_users_wrote_is_text(void **state) {
  (void)state;
  static const struct {
    const char *key, *shown;
  } cases[] = {{"<script>", "&lt;script&gt;"},
               {"\"'&", "&quot;&#39;&amp;"},
               {"a\tb", "a<span class=\"bad mono\">U+0009</span>b"},
               {"\x7f", "U+007F"},
               {"\xe2\x80\xae", "U+202E"},
               {"\xef\xbb\xbf", "U+FEFF"},
               {"\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80"},
               {"", "(empty)"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_buffer page = {0};
    json_t *report = report_with_key(cases[i].key);
    assert_non_null(report);
    char *text = page_of(report, &page);
    assert_non_null(strstr(text, cases[i].shown));
    assert_null(strstr(text, "<script"));
    tly_buffer_free(&page);
    json_decref(report);
  }
}

static void equal_reports_are_equal_bytes(void **state) {
  (void)state;
  struct tly_buffer one = {0}, other = {0};
  json_t *report = report_with_key("A"), *copy = json_deep_copy(report);
  assert_string_equal(page_of(report, &one), page_of(copy, &other));
  assert_non_null(strstr((char *)one.data, "<strong>BREAKS</strong>"));
  tly_buffer_free(&one);
  tly_buffer_free(&other);
  json_decref(report);
  json_decref(copy);
}

static void an_incomplete_one_says_why_and_shows_no_totals(void **state) {
  (void)state;
  struct tly_buffer page = {0};
  json_t *report = json_pack("{s:s,s:i,s:s,s:{s:s,s:s}}", "report", "reconciliation", "number", 7, "result",
                             "INCOMPLETE", "reason", "sqlstate", "08006", "message", "nobody is <there>");
  const char *text = page_of(report, &page);
  assert_non_null(strstr(text, "<strong>INCOMPLETE</strong>"));
  assert_non_null(strstr(text, "nobody is &lt;there&gt;"));
  assert_null(strstr(text, "Totals of both sides"));
  assert_null(strstr(text, "Match rate"));
  tly_buffer_free(&page);
  json_decref(report);
}

static void a_list_that_is_cut_says_so(void **state) {
  (void)state;
  struct tly_buffer page = {0};
  json_t *report = report_with_key("A"), *rows = json_object_get(report, "breaks");
  while (json_array_size(rows) < TLY_REPORT_ROWS_MAX + 5)
    json_array_append(rows, json_array_get(rows, 0));
  assert_non_null(strstr(page_of(report, &page), "the first 1000 of 1005 rows"));
  tly_buffer_free(&page);
  json_decref(report);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_users_wrote_is_text),
      cmocka_unit_test(equal_reports_are_equal_bytes),
      cmocka_unit_test(an_incomplete_one_says_why_and_shows_no_totals),
      cmocka_unit_test(a_list_that_is_cut_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
