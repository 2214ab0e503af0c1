/* tests/cli/test_backfill_file.c -- the same bytes are cut at the same places, from the beginning or from any of them;
 * a place is found again in the same file and in no other; texts that are no places are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/backfill_file.h"
#include "common/base/limits.h"

enum { PLACES_MAX = 64, EVENTS = 40000 };

static struct tly_error test_error;
static char path[] = "/tmp/tally-backfill-XXXXXX";
static struct tly_buffer events; /* CSV with line ends in quotes: harder than JSON */

static int set_up(void **state) {
  (void)state;
  int fd = mkstemp(path);
  if (fd < 0)
    return -1;
  close(fd);
  tly_buffer_append_text(&events, "a,b\n");
  for (int i = 0; i < EVENTS; i++)
    tly_buffer_print(&events, "%d,\"%d\n\"\"\n\"\n", i, i * 7 % 1000);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tly_buffer_free(&events);
  return unlink(path);
}

static void put(const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/* All places behind where `file` stands. */
static int places_of(struct tly_backfill_file *file, struct tly_backfill_place *out) {
  struct tly_chunk chunk;
  int count = 0;
  tly_chunk_init(&chunk);
  for (;; count++) {
    assert_true(count < PLACES_MAX);
    assert_int_equal(tly_backfill_file_next(file, &chunk, &out[count], &test_error), TLY_OK);
    if (tly_chunk_size(&chunk) == 0)
      break;
    assert_true(tly_chunk_size(&chunk) <= TLY_BACKFILL_BYTES + 4);
    assert_memory_equal(chunk.bytes.data, "a,b\n", 4); /* the header, each time */
  }
  tly_chunk_free(&chunk);
  return count;
}

static enum tly_backfill_found find(const struct tly_backfill_place *place) {
  struct tly_backfill_file file;
  enum tly_backfill_found found;
  assert_int_equal(tly_backfill_file_open(path, true, &file, &test_error), TLY_OK);
  assert_int_equal(tly_backfill_file_find(&file, place, &found, &test_error), TLY_OK);
  tly_backfill_file_close(&file);
  return found;
}

static int all_places(struct tly_backfill_place *out) {
  struct tly_backfill_file file;
  put(events.data, events.size);
  assert_int_equal(tly_backfill_file_open(path, true, &file, &test_error), TLY_OK);
  int count = places_of(&file, out);
  tly_backfill_file_close(&file);
  return count;
}

static void cuts_are_the_same_from_every_place_on(void **state) {
  (void)state;
  struct tly_backfill_place wanted[PLACES_MAX], got[PLACES_MAX];
  int count = all_places(wanted);
  assert_true(count > 2);
  assert_int_equal(wanted[count - 1].bytes, events.size);
  assert_int_equal(wanted[count - 1].lines, 1 + 3 * EVENTS);
  for (int i = 0; i < count; i++) {
    struct tly_backfill_file file;
    enum tly_backfill_found found;
    assert_int_equal(tly_backfill_file_open(path, true, &file, &test_error), TLY_OK);
    assert_int_equal(tly_backfill_file_find(&file, &wanted[i], &found, &test_error), TLY_OK);
    assert_int_equal(found, TLY_BACKFILL_SAME);
    assert_int_equal(places_of(&file, got), count - 1 - i);
    for (int k = 0; k < count - 1 - i; k++) {
      assert_int_equal(got[k].bytes, wanted[i + 1 + k].bytes);
      assert_int_equal(got[k].lines, wanted[i + 1 + k].lines);
      assert_string_equal(got[k].hash, wanted[i + 1 + k].hash);
    }
    tly_backfill_file_close(&file);
  }
}

static void a_place_is_found_in_no_other_file(void **state) {
  (void)state;
  struct tly_backfill_place places[PLACES_MAX];
  (void)all_places(places);
  struct tly_buffer other = {0};
  tly_buffer_append(&other, events.data, events.size);
  tly_buffer_append_text(&other, "1,2\n");
  put(other.data, other.size);
  assert_int_equal(find(&places[1]), TLY_BACKFILL_SAME); /* it has grown */
  other.data[places[1].bytes + 1] ^= 1;
  put(other.data, other.size);
  assert_int_equal(find(&places[1]), TLY_BACKFILL_SAME); /* repaired behind the place */
  other.data[10] ^= 1;
  put(other.data, other.size);
  assert_int_equal(find(&places[1]), TLY_BACKFILL_DIFFERENT);
  put(events.data, (size_t)places[1].bytes - 1);
  assert_int_not_equal(find(&places[1]), TLY_BACKFILL_SAME);
  put(events.data, (size_t)places[0].bytes);
  assert_int_equal(find(&places[1]), TLY_BACKFILL_SHORTER);
  put("", 0);
  assert_int_equal(find(&places[1]), TLY_BACKFILL_SHORTER);
  tly_buffer_free(&other);
}

static void wrong_text_ends_the_file_before_its_line(void **state) {
  (void)state;
  static const char bytes[] = "{\"a\":1}\n{\"a\":2}\n{\"a\":\"\xff\"}\n{\"a\":4}\n";
  struct tly_backfill_file file;
  struct tly_backfill_place place;
  struct tly_chunk chunk;
  tly_chunk_init(&chunk);
  put(bytes, sizeof bytes - 1);
  assert_int_equal(tly_backfill_file_open(path, false, &file, &test_error), TLY_OK);
  assert_int_equal(tly_backfill_file_next(&file, &chunk, &place, &test_error), TLY_OK);
  assert_int_equal(tly_chunk_size(&chunk), 16);
  assert_int_equal(place.lines, 2);
  assert_int_equal(tly_backfill_file_next(&file, &chunk, &place, &test_error), TLY_E_CHARACTER_NOT_IN_REPERTOIRE);
  assert_non_null(strstr(test_error.message, "line 3"));
  tly_backfill_file_close(&file);
  tly_chunk_free(&chunk);
}

static void a_place_survives_being_written_down(void **state) {
  (void)state;
  struct tly_backfill_place place = {.bytes = INT64_MAX, .lines = UINT64_MAX}, again;
  char text[TLY_PLACE_TEXT_SIZE];
  memset(place.hash, 'f', TLY_HASH_TEXT_SIZE - 1);
  tly_backfill_place_print(&place, text);
  assert_true(tly_backfill_place_parse(text, &again));
  assert_int_equal(again.bytes, place.bytes);
  assert_int_equal(again.lines, place.lines);
  assert_string_equal(again.hash, place.hash);
  static const char *const wrong[] = {"",
                                      "1",
                                      "1 5 5",
                                      "1 5 5 abc",
                                      "2 5 5 00000000000000000000000000000000",
                                      "1 0 5 00000000000000000000000000000000",
                                      "1 -1 5 00000000000000000000000000000000",
                                      "1 5 5 00000000000000000000000000000000x",
                                      "1 5 5 0000000000000000000000000000000g"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_false(tly_backfill_place_parse(wrong[i], &again));
}

static void what_is_no_file_is_refused_and_names_have_no_endings(void **state) {
  (void)state;
  struct tly_backfill_file file;
  char name[TLY_IMPORT_NAME_BYTES_MAX + 1], small[8];
  assert_int_equal(tly_backfill_file_open("/dev/null", false, &file, &test_error), TLY_E_INVALID_PARAMETER);
  assert_int_equal(tly_backfill_file_open("/tmp/tally-no-such-file", false, &file, &test_error), TLY_E_IO);
  assert_int_equal(tly_backfill_file_import_name(path, small, sizeof small, &test_error), TLY_E_TOO_LARGE);
  assert_int_equal(tly_backfill_file_import_name(path, name, sizeof name, &test_error), TLY_OK);
  assert_non_null(strstr(name, "tally-backfill-"));
  char link_path[64], linked[TLY_IMPORT_NAME_BYTES_MAX + 1];
  snprintf(link_path, sizeof link_path, "%s.gz", path);
  put("", 0);
  assert_int_equal(rename(path, link_path), 0);
  assert_int_equal(tly_backfill_file_import_name(link_path, linked, sizeof linked, &test_error), TLY_OK);
  assert_string_equal(linked, name);
  assert_int_equal(rename(link_path, path), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cuts_are_the_same_from_every_place_on),
      cmocka_unit_test(a_place_is_found_in_no_other_file),
      cmocka_unit_test(wrong_text_ends_the_file_before_its_line),
      cmocka_unit_test(a_place_survives_being_written_down),
      cmocka_unit_test(what_is_no_file_is_refused_and_names_have_no_endings),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
