/* tests/cli/test_report_csv.c -- every value of a report is a row, exactly as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "cli/report_csv.h"

static void every_value_is_a_row_and_none_is_changed(void **state) {
  (void)state;
  struct tly_buffer out = {0};
  json_t *report = json_loads("{\"result\":\"BREAKS\",\"reason\":null,\"number\":3,\"counts\":{\"rate\":\"40.00\"},"
                              "\"breaks\":[{\"key\":{\"a\":\"=1+1\"},\"list\":[\"-1.50\",\"\"]},"
                              "{\"key\":{\"a\":\"x,\\\"y\\\"\\nz\"}}],\"none\":[]}",
                              0, NULL);
  assert_non_null(report);
  tly_report_csv(report, &out);
  assert_string_equal(tly_buffer_text(&out), "section,item,field,value\n"
                                             "report,,result,BREAKS\n"
                                             "report,,reason,\n"
                                             "report,,number,3\n"
                                             "counts,,rate,40.00\n"
                                             "breaks,1,key.a,=1+1\n"
                                             "breaks,1,list.1,-1.50\n"
                                             "breaks,1,list.2,\"\"\n"
                                             "breaks,2,key.a,\"x,\"\"y\"\"\nz\"\n");
  tly_buffer_free(&out);
  json_decref(report);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_value_is_a_row_and_none_is_changed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
