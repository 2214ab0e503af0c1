#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/sql/cron.h"
#include "common/value/zone_folder.h"

/* "2026-03-02 10:30" in microseconds since 1970, by the C library. */
static int64_t at(const char *text) {
  struct tm tm = {.tm_sec = 0};
  assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
  return (int64_t)timegm(&tm) * 1000000;
}

static struct tly_cron parsed(const char *text) {
  struct tly_cron cron;
  struct tly_error error;
  if (tly_cron_parse(text, &cron, &error) != TLY_OK)
    fail_msg("%s", error.message);
  return cron;
}

static void the_next_time_is_the_first_that_matches(void **state) {
  static const struct {
    const char *cron, *after, *next;
  } cases[] = {
      {"* * * * *", "2026-03-02 10:30", "2026-03-02 10:31"},
      {"0 2 * * *", "2026-03-02 10:30", "2026-03-03 02:00"},
      {"0 2 * * *", "2026-03-02 02:00", "2026-03-03 02:00"},
      {"0 2 * * *", "2026-03-02 01:59", "2026-03-02 02:00"},
      {"*/15 * * * *", "2026-03-02 10:31", "2026-03-02 10:45"},
      {"5-59/20 * * * *", "2026-03-02 10:46", "2026-03-02 11:05"},
      {"0,30 9-17 * * mon-fri", "2026-03-06 17:31", "2026-03-09 09:00"},
      {"0 0 29 2 *", "2026-03-02 00:00", "2028-02-29 00:00"},
      {"0 0 31 * *", "2026-04-01 00:00", "2026-05-31 00:00"},
      {"0 0 1 jan,JUL *", "2026-03-02 00:00", "2026-07-01 00:00"},
      {"0 0 * * 7", "2026-03-02 00:00", "2026-03-08 00:00"},
      {"0 0 * * 0", "2026-03-02 00:00", "2026-03-08 00:00"},
      {"0 0 13 * 5", "2026-03-02 00:00", "2026-03-06 00:00"}, /* the 13th or any Friday */
      {"0 0 13 * *", "2026-03-02 00:00", "2026-03-13 00:00"},
      {"59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"},
      {"@hourly", "2026-03-02 10:30", "2026-03-02 11:00"},
      {"@daily", "2026-03-02 10:30", "2026-03-03 00:00"},
      {"@weekly", "2026-03-02 10:30", "2026-03-08 00:00"},
      {"@monthly", "2026-03-02 10:30", "2026-04-01 00:00"},
      {"@yearly", "2026-03-02 10:30", "2027-01-01 00:00"},
      {"  0   2 *  * * ", "2026-03-02 10:30", "2026-03-03 02:00"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_cron cron = parsed(cases[i].cron);
    assert_true(tly_cron_next(&cron, at(cases[i].after)) == at(cases[i].next));
    assert_true(tly_cron_next(&cron, at(cases[i].next) - 1) == at(cases[i].next));
  }
}

static void the_previous_time_may_be_now(void **state) {
  struct tly_cron cron = parsed("0 2 * * *");
  (void)state;
  assert_true(tly_cron_previous(&cron, at("2026-03-02 02:00")) == at("2026-03-02 02:00"));
  assert_true(tly_cron_previous(&cron, at("2026-03-02 02:00") - 1) == at("2026-03-01 02:00"));
  assert_true(tly_cron_previous(&cron, at("2026-03-02 02:00") + 59999999) == at("2026-03-02 02:00"));
}

/* A walk by hand over every minute of some months says the same. */
static void next_and_previous_agree_with_a_walk_over_every_minute(void **state) {
  static const char *const crons[] = {"*/7 3,15 * * *", "0 0 1,15 * wed", "30 12 * 2-4 sat,sun", "1-5 */6 */10 * *"};
  (void)state;
  for (size_t c = 0; c < sizeof crons / sizeof crons[0]; c++) {
    struct tly_cron cron = parsed(crons[c]);
    int64_t last = tly_cron_previous(&cron, at("2026-01-10 00:00"));
    for (int64_t now = at("2026-01-10 00:00"); now < at("2026-04-01 00:00"); now += 60000000) {
      bool matches = tly_cron_previous(&cron, now) == now;
      assert_true(matches == (tly_cron_next(&cron, now - 60000000) == now));
      last = matches ? now : last;
      assert_true(tly_cron_previous(&cron, now + 30000000) == last);
    }
  }
}

static struct tly_cron parsed_in(const char *text, const char *zone) {
  struct tly_cron cron = parsed(text);
  struct tly_error error;
  if (tly_time_zone_find(tly_text_of(zone), &cron.zone, &error) != TLY_OK)
    fail_msg("%s", error.message);
  return cron;
}

static void a_schedule_follows_the_clocks_of_its_zone(void **state) {
  static const struct {
    const char *zone, *cron, *after, *next;
  } cases[] = {
      {"Europe/Berlin", "0 2 * * *", "2026-03-02 10:30", "2026-03-03 01:00"},
      {"Europe/Berlin", "0 2 * * *", "2026-07-02 10:30", "2026-07-03 00:00"},
      {"Asia/Kolkata", "0 0 * * *", "2026-03-02 10:30", "2026-03-02 18:30"},
      {"Asia/Kathmandu", "30 23 * * 0", "2026-03-02 10:30", "2026-03-08 17:45"},
      {"America/New_York", "0 0 1 * *", "2026-03-02 10:30", "2026-04-01 04:00"},
      /* 02:00 to 03:00 is skipped: due once, when clocks are put forward. */
      {"Europe/Berlin", "30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00"},
      {"Europe/Berlin", "30 2 * * *", "2026-03-29 01:00", "2026-03-30 00:30"},
      {"Europe/Berlin", "0 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00"},
      {"Europe/Berlin", "*/10 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00"},
      {"Europe/Berlin", "*/10 2 * * *", "2026-03-29 01:00", "2026-03-30 00:00"},
      {"Europe/Berlin", "30 2,3 * * *", "2026-03-29 01:00", "2026-03-29 01:30"},
      {"Europe/Berlin", "0 3 * * *", "2026-03-28 12:00", "2026-03-29 01:00"},
      {"Europe/Berlin", "0 4 * * *", "2026-03-28 12:00", "2026-03-29 02:00"},
      /* 02:00 to 03:00 comes twice: due the first time only. */
      {"Europe/Berlin", "30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30"},
      {"Europe/Berlin", "30 2 * * *", "2026-10-25 00:30", "2026-10-26 01:30"},
      {"Europe/Berlin", "30 2,3 * * *", "2026-10-25 00:30", "2026-10-25 02:30"},
      {"Europe/Berlin", "0 3 * * *", "2026-10-25 00:00", "2026-10-25 02:00"},
      /* Of every hour: as clocks go. */
      {"Europe/Berlin", "30 * * * *", "2026-03-29 00:30", "2026-03-29 01:30"},
      {"Europe/Berlin", "30 * * * *", "2026-10-25 00:30", "2026-10-25 01:30"},
      {"Asia/Kolkata", "@hourly", "2026-03-02 10:31", "2026-03-02 11:30"},
      /* Half an hour is skipped, and comes twice. */
      {"Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00", "2026-10-03 15:30"},
      {"Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00", "2026-04-04 14:45"},
      {"Australia/Lord_Howe", "45 1 * * *", "2026-04-04 14:45", "2026-04-05 15:15"},
      /* A day is skipped. */
      {"Pacific/Apia", "0 12 30 12 *", "2011-12-01 00:00", "2011-12-30 10:00"},
      {"Pacific/Apia", "0 12 30 12 *", "2011-12-30 10:00", "2012-12-29 22:00"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tly_cron cron = parsed_in(cases[i].cron, cases[i].zone);
    int64_t next = tly_cron_next(&cron, at(cases[i].after));
    if (next != at(cases[i].next))
      fail_msg("%s %s after %s: %+lld minutes from %s", cases[i].zone, cases[i].cron, cases[i].after,
               (long long)(next - at(cases[i].next)) / 60000000, cases[i].next);
    assert_true(tly_cron_next(&cron, next - 1) == next);
    assert_true(tly_cron_previous(&cron, next) == next);
    assert_true(tly_cron_previous(&cron, next - 1) <= at(cases[i].after));
  }
}

/* Whatever the zone does: what is due at a minute was not due before, and nothing lies between two due minutes. */
static void next_and_previous_agree_at_every_minute_around_a_transition(void **state) {
  static const char *const crons[] = {"*/7 0-22 * * *", "30 2 * * *", "*/20 * * * *", "59 23 * * *", "0 0,1,2,3 * * *"};
  static const struct {
    const char *zone, *from, *to;
  } spans[] = {
      {"Europe/Berlin", "2026-03-28 00:00", "2026-03-30 12:00"},
      {"Europe/Berlin", "2026-10-24 00:00", "2026-10-26 12:00"},
      {"Europe/Dublin", "2026-10-24 00:00", "2026-10-26 12:00"},
      {"Australia/Lord_Howe", "2026-04-04 00:00", "2026-04-06 00:00"},
      {"Pacific/Apia", "2011-12-28 00:00", "2012-01-01 00:00"},
      {"America/Havana", "2026-10-31 00:00", "2026-11-02 00:00"},
  };
  (void)state;
  for (size_t c = 0; c < sizeof crons / sizeof crons[0]; c++) {
    for (size_t s = 0; s < sizeof spans / sizeof spans[0]; s++) {
      struct tly_cron cron = parsed_in(crons[c], spans[s].zone);
      int64_t last = tly_cron_previous(&cron, at(spans[s].from));
      for (int64_t now = at(spans[s].from); now < at(spans[s].to); now += 60000000) {
        bool is_due = tly_cron_previous(&cron, now) == now;
        assert_true(is_due == (tly_cron_next(&cron, now - 60000000) == now));
        last = is_due ? now : last;
        assert_true(tly_cron_previous(&cron, now + 30000000) == last);
      }
    }
  }
}

static void a_day_that_never_comes_is_told(void **state) {
  struct tly_cron cron = parsed("0 0 30 2 *");
  (void)state;
  assert_true(tly_cron_next(&cron, at("2026-03-02 00:00")) == INT64_MAX);
  assert_true(tly_cron_previous(&cron, at("2026-03-02 00:00")) == INT64_MIN);
  cron = parsed_in("0 0 30 2 *", "Europe/Berlin");
  assert_true(tly_cron_next(&cron, at("2026-03-02 00:00")) == INT64_MAX);
  assert_true(tly_cron_previous(&cron, at("2026-03-02 00:00")) == INT64_MIN);
}

static void times_before_1970_are_times(void **state) {
  struct tly_cron cron = parsed("0 2 * * *");
  (void)state;
  assert_true(tly_cron_next(&cron, at("1969-12-30 02:00")) == at("1969-12-31 02:00"));
  assert_true(tly_cron_previous(&cron, at("1969-12-30 01:00")) == at("1969-12-29 02:00"));
}

static void wrong_texts_are_refused_with_words(void **state) {
  static const char *const wrong[] = {"",
                                      "* * * *",
                                      "* * * * * *",
                                      "60 * * * *",
                                      "* 24 * * *",
                                      "* * 0 * *",
                                      "* * 32 * *",
                                      "* * * 13 *",
                                      "* * * * 8",
                                      "*/0 * * * *",
                                      "5/2 * * * *",
                                      "5-1 * * * *",
                                      "a * * * *",
                                      "@sometimes",
                                      "1,,2 * * * *",
                                      "1- * * * *",
                                      "*1 * * * *",
                                      "-1 * * * *",
                                      "99999999999999999999 * * * *",
                                      "* * * janx *",
                                      "0 2 * * *x"};
  struct tly_cron cron;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct tly_error error;
    if (tly_cron_parse(wrong[i], &cron, &error) != TLY_E_INVALID_PARAMETER)
      fail_msg("'%s' was taken", wrong[i]);
    assert_non_null(strstr(error.message, "schedule"));
  }
}

static int use_our_zones(void **state) {
  (void)state;
  return setenv("TZDIR", "tests/common/value/zoneinfo", 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_next_time_is_the_first_that_matches),
      cmocka_unit_test(the_previous_time_may_be_now),
      cmocka_unit_test(next_and_previous_agree_with_a_walk_over_every_minute),
      cmocka_unit_test(a_schedule_follows_the_clocks_of_its_zone),
      cmocka_unit_test(next_and_previous_agree_at_every_minute_around_a_transition),
      cmocka_unit_test(a_day_that_never_comes_is_told),
      cmocka_unit_test(times_before_1970_are_times),
      cmocka_unit_test(wrong_texts_are_refused_with_words),
  };
  return cmocka_run_group_tests(tests, use_our_zones, NULL);
}
