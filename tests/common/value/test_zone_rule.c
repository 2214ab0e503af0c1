/* tests/common/value/test_zone_rule.c -- POSIX rules of time zones: their grammar and their days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/value/timestamp.h"
#include "common/value/zone_rule.h"

static void rules_are_read_to_the_last_character_or_refused(void **state) {
  static const char *const good[] = {"UTC0",
                                     "<+0545>-5:45",
                                     "CET-1CEST,M3.5.0,M10.5.0/3",
                                     "XXX+24:59:59",
                                     "IST-1GMT0,M10.5.0,M3.5.0/1",
                                     "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
                                     "XXX3YYY,J60/0,J365/23",
                                     "XXX3YYY2:30,0/-167,365/167",
                                     "EET-2EEST,M3.4.4/50,M10.4.4/50"};
  static const char *const bad[] = {"",
                                    "U",
                                    "UTC",
                                    "UT0",
                                    "UTC0 ",
                                    "UTC25",
                                    "UTC1:60",
                                    "<+05>",
                                    "<+05-5",
                                    "CET-1CEST",
                                    "CET-1CEST,",
                                    "CET-1CEST,M3.5.0",
                                    "CET-1CEST,M3.5.0,",
                                    "CET-1CEST,M13.5.0,M10.5.0",
                                    "CET-1CEST,M3.6.0,M10.5.0",
                                    "CET-1CEST,M3.0.0,M10.5.0",
                                    "CET-1CEST,M3.5.7,M10.5.0",
                                    "CET-1CEST,J0,J365",
                                    "CET-1CEST,0,366",
                                    "CET-1CEST,M3.5.0/168,M10.5.0",
                                    "CET-1CEST,M3.5.0/,M10.5.0",
                                    "CET-1CEST,M3.5.0,M10.5.0/3x",
                                    "CET-1CEST,M3.5.0,M10.5.0,M1.1.1",
                                    "CET-99999999999999999999"};
  struct tly_zone_rule rule;
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    if (!tly_zone_rule_read(good[i], strlen(good[i]), &rule))
      fail_msg("'%s' was refused", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (tly_zone_rule_read(bad[i], strlen(bad[i]), &rule))
      fail_msg("'%s' was taken", bad[i]);
}

static int64_t day_of(const char *date, const char *year_rule) {
  struct tly_zone_rule rule;
  assert_true(tly_zone_rule_read(year_rule, strlen(year_rule), &rule));
  int64_t us = tly_zone_change_at(&rule.to_summer, atoi(date), rule.standard_offset_s) * TLY_US_PER_SECOND;
  struct tly_buffer text = {0};
  tly_timestamp_print(us, false, &text);
  int differs = strcmp(tly_buffer_text(&text), date);
  if (differs != 0)
    print_error("%s: %s\n", year_rule, tly_buffer_text(&text));
  tly_buffer_free(&text);
  return differs;
}

static void days_of_a_rule_are_found(void **state) {
  (void)state;
  assert_int_equal(day_of("2026-03-29 02:00:00", "AAA0BBB,M3.5.0,M10.5.0"), 0);
  assert_int_equal(day_of("2026-12-31 02:00:00", "AAA0BBB,M12.5.4,M1.5.0"), 0);
  assert_int_equal(day_of("2026-02-01 02:00:00", "AAA0BBB,M2.1.0,M10.5.0"), 0);
  assert_int_equal(day_of("2027-02-22 02:00:00", "AAA0BBB,M2.5.1,M10.5.0"), 0);
  assert_int_equal(day_of("2024-03-01 02:00:00", "AAA0BBB,J60,M10.5.0"), 0);
  assert_int_equal(day_of("2026-03-01 02:00:00", "AAA0BBB,J60,M10.5.0"), 0);
  assert_int_equal(day_of("2024-02-29 02:00:00", "AAA0BBB,59,M10.5.0"), 0);
  assert_int_equal(day_of("2026-03-01 02:00:00", "AAA0BBB,59,M10.5.0"), 0);
  assert_int_equal(day_of("2026-01-01 05:00:00", "AAA5BBB,0/0,M10.5.0"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rules_are_read_to_the_last_character_or_refused),
      cmocka_unit_test(days_of_a_rule_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
