/* tests/common/value/test_time_zone.c -- zones with odd rules against the answers of a real PostgreSQL 15
 * (postgresql_zones.tsv, made by generate_zones.py beside it, from the very files in zoneinfo/), and files that are
 * damaged in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/value/timestamp.h"
#include "tests/common/value/zone_fixture.h"

static int64_t at(const char *text) {
  int64_t us;
  assert_int_equal(tly_timestamp_parse(text, strlen(text), false, &us, NULL), TLY_OK);
  return us;
}

/* --- PostgreSQL's answers ----------------------------------------------------------------------------------------- */

/* What the operation gives, as psql shows it. */
static void run_operation(char **fields, struct tly_buffer *out) {
  int64_t result = 0;
  enum tly_status status = TLY_OK;
  bool is_wall = strcmp(fields[0], "wall") == 0;
  if (strcmp(fields[0], "trunc") == 0) {
    struct tly_zone_trunc trunc;
    status = tly_zone_trunc_prepare(fields[1], strlen(fields[1]), zone_of(fields[2]), &trunc, NULL);
    if (status == TLY_OK)
      status = tly_zone_trunc_at(&trunc, at(fields[3]), &result, NULL);
  } else {
    struct tly_zone_clock clock = tly_zone_clock_of(zone_of(fields[1]));
    result = is_wall ? tly_zone_clock_wall(&clock, at(fields[2])) : tly_zone_clock_instant(&clock, at(fields[2]));
    status = tly_timestamp_check(result, NULL);
  }
  if (status == TLY_OK)
    tly_timestamp_print(result, !is_wall, out);
  else
    tly_buffer_print(out, "!%s", tly_status_sqlstate(status));
}

/* The fields of a line, cut in place; the last is the answer. */
static int cut_fields(char *line, char **fields, int most) {
  int count = 0;
  for (char *field = line; field != NULL && count < most; count++) {
    fields[count] = field;
    field = strchr(field, '\t');
    if (field != NULL)
      *field++ = '\0';
  }
  return count;
}

/* Answers that tally refuses on purpose: years BC. */
static bool is_refused(const char *answer, const char *expected) {
  return strcmp(answer, "!0A000") == 0 && strstr(expected, "BC") != NULL;
}

static void every_answer_is_the_one_postgresql_gave(void **state) {
  (void)state;
  FILE *file = fopen("tests/common/value/postgresql_zones.tsv", "r");
  assert_non_null(file);
  struct tly_buffer answer = {0};
  char *line = NULL, *fields[5];
  size_t capacity = 0;
  int lines = 0, differences = 0;
  for (ssize_t size; (size = getline(&line, &capacity, file)) > 0; lines++) {
    line[size - 1] = '\0';
    int count = cut_fields(line, fields, 5);
    assert_true(count >= 4);
    tly_buffer_clear(&answer);
    run_operation(fields, &answer);
    const char *text = tly_buffer_text(&answer), *expected = fields[count - 1];
    if (strcmp(text, expected) != 0 && !is_refused(text, expected)) {
      print_error("%s %s %s %s: PostgreSQL %s, tally %s\n", fields[0], fields[1], fields[2], count > 4 ? fields[3] : "",
                  expected, text);
      differences++;
    }
  }
  print_message("%d answers, %d differences\n", lines, differences);
  assert_true(lines > 3000);
  assert_int_equal(differences, 0);
  free(line);
  fclose(file);
  tly_buffer_free(&answer);
}

/* --- clocks ------------------------------------------------------------------------------------------------------- */

static void a_time_that_is_skipped_is_read_as_if_clocks_had_not_moved(void **state) {
  (void)state;
  struct tly_zone_clock clock = tly_zone_clock_of(zone_of("Europe/Berlin"));
  assert_int_equal(tly_zone_clock_instant(&clock, at("2026-03-29 02:30:00")), at("2026-03-29 01:30:00"));
  assert_int_equal(tly_zone_clock_instant(&clock, at("2026-03-29 01:59:59")), at("2026-03-29 00:59:59"));
  assert_int_equal(tly_zone_clock_instant(&clock, at("2026-03-29 03:00:00")), at("2026-03-29 01:00:00"));
}

static void a_time_that_is_shown_twice_is_the_second(void **state) {
  (void)state;
  struct tly_zone_clock clock = tly_zone_clock_of(zone_of("Europe/Berlin"));
  assert_int_equal(tly_zone_clock_instant(&clock, at("2026-10-25 02:30:00")), at("2026-10-25 01:30:00"));
  assert_int_equal(tly_zone_clock_wall(&clock, at("2026-10-25 00:30:00")), at("2026-10-25 02:30:00"));
  assert_int_equal(tly_zone_clock_wall(&clock, at("2026-10-25 01:30:00")), at("2026-10-25 02:30:00"));
}

/* A clock that remembers its last span says the same as one that does not. */
static void the_order_of_questions_makes_no_difference(void **state) {
  (void)state;
  uint64_t seed = 20260302;
  for (int z = 0; z < ALL_ZONES; z++) {
    const tly_time_zone *zone = zone_of(all_zones[z]);
    struct tly_zone_clock kept = tly_zone_clock_of(zone);
    struct tly_zone_trunc kept_trunc;
    assert_int_equal(tly_zone_trunc_prepare("day", 3, zone, &kept_trunc, NULL), TLY_OK);
    int64_t us = at("1960-01-01");
    for (int i = 0; i < 20000; i++) {
      seed = seed * 6364136223846793005U + 1442695040888963407U;
      us = i % 100 == 0 ? at("1900-01-01") + (int64_t)(seed >> 14) * 7 % (200 * 366 * TLY_US_PER_DAY)
                        : us + (int64_t)(seed >> 40) * 700 - (INT64_C(1) << 32);
      struct tly_zone_clock fresh = tly_zone_clock_of(zone);
      assert_int_equal(tly_zone_clock_wall(&kept, us), tly_zone_clock_wall(&fresh, us));
      fresh = tly_zone_clock_of(zone);
      assert_int_equal(tly_zone_clock_instant(&kept, us), tly_zone_clock_instant(&fresh, us));
      struct tly_zone_trunc trunc;
      int64_t one, other;
      assert_int_equal(tly_zone_trunc_prepare("day", 3, zone, &trunc, NULL), TLY_OK);
      assert_int_equal(tly_zone_trunc_at(&trunc, us, &one, NULL), TLY_OK);
      assert_int_equal(tly_zone_trunc_at(&kept_trunc, us, &other, NULL), TLY_OK);
      assert_int_equal(one, other);
    }
  }
}

static void spans_tile_all_of_time(void **state) {
  (void)state;
  for (int z = 0; z < ALL_ZONES; z++) {
    const tly_time_zone *zone = zone_of(all_zones[z]);
    struct tly_zone_span span = tly_time_zone_span(zone, at("0001-01-01"));
    int count = 0;
    while (span.until_us != INT64_MAX && count++ < 2000) {
      struct tly_zone_span next = tly_time_zone_span(zone, span.until_us);
      assert_int_equal(next.since_us, span.until_us);
      assert_int_equal(tly_time_zone_span(zone, span.until_us - 1).since_us, span.since_us);
      span = next;
    }
    assert_true(count > 0 || strncmp(all_zones[z], "Etc/", 4) == 0);
  }
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

/* A copy of just that size, so that a sanitizer sees any read beyond it; what was read must give some answer. */
static enum tly_status read_copy(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, bytes, size);
  tly_time_zone *zone;
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_status status = tly_time_zone_read(copy, size, &zone, &error);
  if (status != TLY_OK) {
    assert_null(zone);
    assert_true(error.message[0] != '\0');
  } else {
    static const int64_t instants[] = {-62135596800000000, -1, 0, 1774746000000000, 9223371244799999999};
    struct tly_zone_clock clock = tly_zone_clock_of(zone);
    for (int i = 0; i < 5; i++) {
      (void)tly_zone_clock_wall(&clock, instants[i]);
      (void)tly_zone_clock_instant(&clock, instants[i]);
    }
    tly_time_zone_free(zone);
  }
  free(copy);
  return status;
}

static void read_file(const char *name, struct tly_buffer *out) {
  char path[256];
  snprintf(path, sizeof path, FOLDER "/%s", name);
  assert_int_equal(tly_file_read(path, TLY_ZONE_FILE_BYTES_MAX, out, NULL), TLY_OK);
}

static void every_file_that_ends_early_is_refused(void **state) {
  (void)state;
  for (int z = 0; z < ALL_ZONES; z++) {
    struct tly_buffer file = {0};
    read_file(all_zones[z], &file);
    assert_int_equal(read_copy(file.data, file.size), TLY_OK);
    for (size_t size = 0; size < file.size; size++)
      if (read_copy(file.data, size) != TLY_E_CORRUPT)
        fail_msg("%s with %zu of %zu bytes was taken", all_zones[z], size, file.size);
    tly_buffer_free(&file);
  }
}

static void a_flipped_bit_gives_other_rules_or_none_and_reads_nothing_else(void **state) {
  static const char *const zones[] = {"Australia/Lord_Howe", "Asia/Kathmandu", "Etc/GMT+5", "America/Nuuk"};
  (void)state;
  for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
    struct tly_buffer file = {0};
    unsigned refused = 0;
    read_file(zones[z], &file);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
      file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
      refused += read_copy(file.data, file.size) != TLY_OK;
      file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_true(refused > 0 && refused < file.size * 8);
    tly_buffer_free(&file);
  }
}

static void bytes_at_random_are_refused(void **state) {
  (void)state;
  struct tly_buffer file = {0};
  uint64_t seed = 20260302;
  read_file("Europe/Berlin", &file);
  for (int i = 0; i < 20000; i++) {
    struct tly_buffer changed = {0};
    tly_buffer_append(&changed, file.data, file.size);
    for (int c = 0; c < 1 + i % 8; c++) {
      seed = seed * 6364136223846793005U + 1442695040888963407U;
      changed.data[(seed >> 33) % (i % 2 == 0 ? 200 : file.size)] = (uint8_t)(seed >> 24);
    }
    (void)read_copy(changed.data, changed.size);
    tly_buffer_free(&changed);
  }
  tly_buffer_free(&file);
}

static void put_u32(struct tly_buffer *out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    tly_buffer_append_byte(out, (uint8_t)(value >> shift));
}

/* A file of one type, with these counts in its second header and this footer. */
static void make_file(char version, uint32_t leap_seconds, const char *footer, struct tly_buffer *out) {
  for (int block = 0; block < 2; block++) {
    tly_buffer_append(out, "TZif", 4);
    tly_buffer_append_byte(out, (uint8_t)version);
    tly_buffer_append(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    const uint32_t counts[] = {0, 0, block == 1 ? leap_seconds : 0, 0, 1, 4};
    for (int i = 0; i < 6; i++)
      put_u32(out, counts[i]);
    put_u32(out, 3600);
    tly_buffer_append(out, "\0\0XXX", 6);
    for (uint32_t i = 0; block == 1 && i < leap_seconds; i++)
      tly_buffer_append(out, "\0\0\0\0\4\xb2\x58\0\0\0\0\1", 12);
  }
  tly_buffer_append_text(out, footer);
}

static enum tly_status read_made(char version, uint32_t leap_seconds, const char *footer) {
  struct tly_buffer file = {0};
  make_file(version, leap_seconds, footer, &file);
  enum tly_status status = read_copy(file.data, file.size);
  tly_buffer_free(&file);
  return status;
}

static void what_is_not_understood_is_refused(void **state) {
  (void)state;
  assert_int_equal(read_made('2', 0, "\nXXX-1\n"), TLY_OK);
  assert_int_equal(read_made('4', 0, "\n\n"), TLY_OK);
  assert_int_equal(read_made('\0', 0, "\nXXX-1\n"), TLY_E_NOT_SUPPORTED);
  assert_int_equal(read_made('2', 1, "\nXXX-1\n"), TLY_E_NOT_SUPPORTED);
  assert_int_equal(read_made('2', 0, ""), TLY_E_CORRUPT);
  assert_int_equal(read_made('2', 0, "\nXXX\n"), TLY_E_CORRUPT);
  assert_int_equal(read_made('2', 0, "\nXXX-1\nrest"), TLY_E_CORRUPT);
}

/* --- the rule at the end ----------------------------------------------------------------------------------------- */

static int64_t offset_hours(const char *footer, const char *instant) {
  struct tly_buffer file = {0};
  tly_time_zone *zone;
  make_file('3', 0, footer, &file);
  assert_int_equal(tly_time_zone_read(file.data, file.size, &zone, NULL), TLY_OK);
  int64_t offset_us = tly_time_zone_span(zone, at(instant)).offset_us;
  tly_time_zone_free(zone);
  tly_buffer_free(&file);
  return offset_us / (3600 * TLY_US_PER_SECOND);
}

static void a_file_without_transitions_follows_its_rule_for_ever(void **state) {
  static const char summer[] = "\nCET-1CEST,M3.5.0,M10.5.0/3\n", always[] = "\nXXX3YYY2,0/0,J365/23\n",
                    south[] = "\nAAA-10BBB,M10.1.0,M4.1.0/3\n";
  (void)state;
  assert_int_equal(offset_hours("\n\n", "2026-01-01"), 1);
  assert_int_equal(offset_hours("\nXXX-4\n", "2026-01-01"), 4);
  assert_int_equal(offset_hours(summer, "2026-01-01"), 1);
  assert_int_equal(offset_hours(summer, "2026-07-01"), 2);
  assert_int_equal(offset_hours(summer, "2026-03-29 00:59:59"), 1);
  assert_int_equal(offset_hours(summer, "2026-03-29 01:00:00"), 2);
  assert_int_equal(offset_hours(summer, "0100-07-01"), 2);
  assert_int_equal(offset_hours(summer, "294000-07-01"), 2);
  assert_int_equal(offset_hours(south, "2026-01-01"), 11);
  assert_int_equal(offset_hours(south, "2026-07-01"), 10);
  assert_int_equal(offset_hours(always, "2026-01-01"), -2);
  assert_int_equal(offset_hours(always, "2026-07-01"), -2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_answer_is_the_one_postgresql_gave),
      cmocka_unit_test(a_time_that_is_skipped_is_read_as_if_clocks_had_not_moved),
      cmocka_unit_test(a_time_that_is_shown_twice_is_the_second),
      cmocka_unit_test(the_order_of_questions_makes_no_difference),
      cmocka_unit_test(spans_tile_all_of_time),
      cmocka_unit_test(every_file_that_ends_early_is_refused),
      cmocka_unit_test(a_flipped_bit_gives_other_rules_or_none_and_reads_nothing_else),
      cmocka_unit_test(bytes_at_random_are_refused),
      cmocka_unit_test(what_is_not_understood_is_refused),
      cmocka_unit_test(a_file_without_transitions_follows_its_rule_for_ever),
  };
  return cmocka_run_group_tests(tests, use_our_folder, NULL);
}
