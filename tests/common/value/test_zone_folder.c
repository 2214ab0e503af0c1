/* tests/common/value/test_zone_folder.c -- zones by name, and names that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/common/value/zone_fixture.h"

static void a_zone_is_found_in_any_case_and_once(void **state) {
  (void)state;
  assert_ptr_equal(zone_of("Europe/Berlin"), zone_of("europe/BERLIN"));
  assert_ptr_equal(zone_of("UTC"), zone_of("zulu"));
  assert_ptr_not_equal(zone_of("Europe/Berlin"), zone_of("Europe/Dublin"));
  assert_int_equal(tly_time_zone_span(zone_of("gmt"), 0).offset_us, 0);
}

static void a_name_that_is_no_zone_is_refused(void **state) {
  static const struct {
    const char *name;
    enum tly_status status;
  } cases[] = {
      {"Europe/Nowhere", TLY_E_INVALID_PARAMETER},
      {"Europe", TLY_E_INVALID_PARAMETER},
      {"Europe/", TLY_E_INVALID_PARAMETER},
      {"/Europe/Berlin", TLY_E_INVALID_PARAMETER},
      {"Europe//Berlin", TLY_E_INVALID_PARAMETER},
      {"../zoneinfo/Europe/Berlin", TLY_E_INVALID_PARAMETER},
      {"Europe/../Europe/Berlin", TLY_E_INVALID_PARAMETER},
      {"./Europe/Berlin", TLY_E_INVALID_PARAMETER},
      {"/etc/passwd", TLY_E_INVALID_PARAMETER},
      {"", TLY_E_INVALID_PARAMETER},
      {" Europe/Berlin", TLY_E_INVALID_PARAMETER},
      {"Europe/Berlin\n", TLY_E_INVALID_PARAMETER},
      {"Berlin", TLY_E_INVALID_PARAMETER},
      {"UTC+3", TLY_E_NOT_SUPPORTED},
      {"EST5EDT4,M3.2.0,M11.1.0", TLY_E_NOT_SUPPORTED},
      {"<+03>-3", TLY_E_NOT_SUPPORTED},
      {"+02:00", TLY_E_NOT_SUPPORTED},
      {"CET", TLY_E_NOT_SUPPORTED},
      {"est", TLY_E_NOT_SUPPORTED},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const tly_time_zone *zone;
    struct tly_error error = TLY_ERROR_NONE;
    if (tly_time_zone_find(tly_text_of(cases[i].name), &zone, &error) != cases[i].status)
      fail_msg("\"%s\": %s %s", cases[i].name, tly_status_sqlstate(error.status), error.message);
    assert_non_null(strstr(error.hint, "full name"));
  }
  char *longest = malloc(1 << 16);
  memset(longest, 'x', 1 << 16);
  struct tly_error error = TLY_ERROR_NONE;
  const tly_time_zone *zone;
  assert_int_equal(tly_time_zone_find((struct tly_text){longest, 1 << 16}, &zone, &error), TLY_E_INVALID_PARAMETER);
  free(longest);
}

static void without_a_folder_of_rules_it_says_what_to_install(void **state) {
  (void)state;
  const tly_time_zone *zone;
  struct tly_error error = TLY_ERROR_NONE;
  setenv("TZDIR", "tests/nowhere", 1);
  enum tly_status status = tly_time_zone_find(tly_text_of("Asia/Nowhere"), &zone, &error);
  setenv("TZDIR", FOLDER, 1);
  assert_int_equal(status, TLY_E_CONFIG);
  assert_string_equal(error.message, "the rules of time zones are not in tests/nowhere");
  assert_string_equal(error.hint, "install the package tzdata, or set TZDIR to the folder they are in");
}

static void *find_all(void *found) {
  const tly_time_zone **zones = found;
  for (int z = 0; z < ALL_ZONES; z++)
    zones[z] = zone_of(all_zones[z]);
  return NULL;
}

static void threads_that_ask_at_once_get_the_same_zone(void **state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  const tly_time_zone *found[THREADS][ALL_ZONES];
  for (int t = 0; t < THREADS; t++)
    assert_int_equal(pthread_create(&threads[t], NULL, find_all, found[t]), 0);
  for (int t = 0; t < THREADS; t++)
    pthread_join(threads[t], NULL);
  for (int t = 1; t < THREADS; t++)
    assert_memory_equal(found[0], found[t], sizeof found[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_zone_is_found_in_any_case_and_once),
      cmocka_unit_test(a_name_that_is_no_zone_is_refused),
      cmocka_unit_test(without_a_folder_of_rules_it_says_what_to_install),
      cmocka_unit_test(threads_that_ask_at_once_get_the_same_zone),
  };
  return cmocka_run_group_tests(tests, use_our_folder, NULL);
}
