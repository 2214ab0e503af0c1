/* tests/common/value/zone_fixture.h -- the zones that stand beside the tests, so that no answer depends on the
 * system's. */
#ifndef TESTS_COMMON_VALUE_ZONE_FIXTURE_H
#define TESTS_COMMON_VALUE_ZONE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/value/zone_folder.h"

#define FOLDER "tests/common/value/zoneinfo"

static const char *const all_zones[] = {
    "Africa/Casablanca", "America/Havana",      "America/New_York", "America/Nuuk",  "America/Sao_Paulo",
    "America/St_Johns",  "Asia/Gaza",           "Asia/Kathmandu",   "Asia/Kolkata",  "Asia/Tehran",
    "Etc/GMT+5",         "Australia/Lord_Howe", "Europe/Berlin",    "Europe/Dublin", "Pacific/Apia",
};
enum { ALL_ZONES = sizeof all_zones / sizeof all_zones[0] };

static inline int use_our_folder(void **state) {
  (void)state;
  return setenv("TZDIR", FOLDER, 1);
}

static inline const tly_time_zone *zone_of(const char *name) {
  const tly_time_zone *zone;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_time_zone_find(tly_text_of(name), &zone, &error) != TLY_OK)
    fail_msg("%s: %s", name, error.message);
  return zone;
}

#endif
