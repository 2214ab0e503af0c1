/* tests/common/base/test_file.c -- folders, whole files, locks, and the doorbell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/doorbell.h"
#include "common/base/file.h"

static char folder[] = "/tmp/tally_test_file_XXXXXX";

static const char *in_folder(const char *name) {
  static char paths[4][256];
  static unsigned turn;
  char *path = paths[turn++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  return tly_file_remove_tree(folder, NULL) != TLY_OK || tly_file_exists(folder);
}

static void folders_are_made_with_those_above_them(void **state) {
  (void)state;
  assert_int_equal(tly_file_make_folder(in_folder("a/b//c/"), NULL), TLY_OK);
  assert_int_equal(tly_file_make_folder(in_folder("a/b/c"), NULL), TLY_OK);
  assert_true(tly_file_exists(in_folder("a/b/c")));
  assert_int_equal(tly_file_sync_folder(in_folder("a/b"), NULL), TLY_OK);
  struct tly_error error;
  assert_int_equal(tly_file_replace(in_folder("a/file"), "x", 1, NULL), TLY_OK);
  assert_int_equal(tly_file_make_folder(in_folder("a/file/d"), &error), TLY_E_IO);
  assert_non_null(strstr(error.message, "a/file"));
}

static void a_file_is_replaced_whole(void **state) {
  (void)state;
  struct tly_buffer content = {0};
  const char *path = in_folder("settings");
  assert_int_equal(tly_file_size(path), -1);
  assert_int_equal(tly_file_replace(path, "first, longer", 13, NULL), TLY_OK);
  assert_int_equal(tly_file_replace(path, "second", 6, NULL), TLY_OK);
  assert_int_equal(tly_file_size(path), 6);
  assert_int_equal(tly_file_sync(path, NULL), TLY_OK);
  tly_buffer_append_text(&content, "> ");
  assert_int_equal(tly_file_read(path, 6, &content, NULL), TLY_OK);
  assert_string_equal(tly_buffer_text(&content), "> second");
  assert_int_equal(tly_file_read(path, 5, &content, NULL), TLY_E_TOO_LARGE);
  assert_int_equal(content.size, 8);
  assert_false(tly_file_exists(in_folder("settings.tmp")));
  tly_buffer_free(&content);
}

static void what_is_not_there_fails_with_its_name(void **state) {
  (void)state;
  struct tly_error error;
  struct tly_buffer content = {0};
  assert_int_equal(tly_file_read(in_folder("nothing"), 10, &content, &error), TLY_E_IO);
  assert_non_null(strstr(error.message, "nothing\": No such file"));
  assert_int_equal(tly_file_sync(in_folder("nothing"), &error), TLY_E_IO);
  assert_int_equal(tly_file_sync_folder(in_folder("nothing"), &error), TLY_E_IO);
  assert_int_equal(tly_file_replace(in_folder("nothing/file"), "x", 1, &error), TLY_E_IO);
  assert_int_equal(tly_file_remove_tree(in_folder("nothing"), &error), TLY_OK);
  tly_buffer_free(&content);
}

static void names_are_listed_in_order_by_suffix(void **state) {
  (void)state;
  char **names;
  size_t count;
  assert_int_equal(tly_file_make_folder(in_folder("list"), NULL), TLY_OK);
  assert_int_equal(tly_file_list(in_folder("list"), ".db", &names, &count, NULL), TLY_OK);
  assert_int_equal(count, 0);
  tly_file_list_free(names, count);
  assert_int_equal(tly_file_replace(in_folder("list/b.db"), "", 0, NULL), TLY_OK);
  assert_int_equal(tly_file_replace(in_folder("list/a.db"), "", 0, NULL), TLY_OK);
  assert_int_equal(tly_file_replace(in_folder("list/a.db-wal"), "", 0, NULL), TLY_OK);
  assert_int_equal(tly_file_list(in_folder("list"), ".db", &names, &count, NULL), TLY_OK);
  assert_int_equal(count, 2);
  assert_string_equal(names[0], "a.db");
  assert_string_equal(names[1], "b.db");
  tly_file_list_free(names, count);
  assert_int_equal(tly_file_list(in_folder("none"), "", &names, &count, NULL), TLY_E_IO);
}

static void an_exclusive_lock_excludes_and_shared_ones_do_not(void **state) {
  (void)state;
  int first, second, third;
  const char *path = in_folder("lock");
  assert_int_equal(tly_file_lock(path, false, &first, NULL), TLY_OK);
  assert_int_equal(tly_file_lock(path, false, &second, NULL), TLY_OK);
  assert_int_equal(tly_file_lock(path, true, &third, NULL), TLY_E_IN_USE);
  assert_int_equal(third, -1);
  close(first);
  close(second);
  assert_int_equal(tly_file_lock(path, true, &third, NULL), TLY_OK);
  assert_int_equal(tly_file_lock(path, false, &first, NULL), TLY_E_IN_USE);
  close(third);
}

static void removing_a_tree_does_not_follow_links(void **state) {
  (void)state;
  assert_int_equal(tly_file_make_folder(in_folder("kept"), NULL), TLY_OK);
  assert_int_equal(tly_file_replace(in_folder("kept/file"), "x", 1, NULL), TLY_OK);
  assert_int_equal(tly_file_make_folder(in_folder("gone/deep"), NULL), TLY_OK);
  assert_int_equal(symlink(in_folder("kept"), in_folder("gone/deep/link")), 0);
  assert_int_equal(tly_file_remove_tree(in_folder("gone"), NULL), TLY_OK);
  assert_false(tly_file_exists(in_folder("gone")));
  assert_true(tly_file_exists(in_folder("kept/file")));
}

static bool is_rung(const tly_doorbell *bell) {
  struct pollfd waiting = {.fd = tly_doorbell_fd(bell), .events = POLLIN};
  return poll(&waiting, 1, 0) > 0;
}

static void a_ring_wakes_and_many_rings_are_one(void **state) {
  (void)state;
  tly_doorbell *bell;
  assert_int_equal(tly_doorbell_open(folder, "speed", &bell, NULL), TLY_OK);
  assert_false(is_rung(bell));
  for (int i = 0; i < 10000; i++) /* more than the socket queues: ringing must not block */
    tly_doorbell_ring(folder, "speed");
  assert_true(is_rung(bell));
  int64_t start_us = tly_clock_monotonic_us(&tly_clock_real);
  tly_doorbell_wait(bell, 60000);
  assert_true(tly_clock_monotonic_us(&tly_clock_real) - start_us < 10000000);
  assert_false(is_rung(bell));
  tly_doorbell_wait(bell, 1); /* nobody rings: the time-out ends it */
  tly_doorbell_close(bell);
  tly_doorbell_ring(folder, "speed"); /* nobody listens: nothing happens */
  assert_false(tly_file_exists(in_folder("doorbell.speed")));
}

static void a_new_bell_takes_the_place_of_one_left_behind(void **state) {
  (void)state;
  tly_doorbell *old, *bell;
  assert_int_equal(tly_doorbell_open(folder, "batch", &old, NULL), TLY_OK);
  assert_int_equal(tly_doorbell_open(folder, "batch", &bell, NULL), TLY_OK);
  tly_doorbell_close(old); /* must not remove the new one's name */
  tly_doorbell_ring(folder, "batch");
  assert_true(is_rung(bell));
  tly_doorbell_close(bell);
}

static void a_path_too_long_for_a_socket_is_refused_with_words(void **state) {
  (void)state;
  struct tly_error error;
  char path[200];
  tly_doorbell *bell;
  memset(path, 'x', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  assert_int_equal(tly_doorbell_open(path, "speed", &bell, &error), TLY_E_CONFIG);
  assert_null(bell);
  assert_non_null(strstr(error.hint, "107"));
  tly_doorbell_ring(path, "speed");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(folders_are_made_with_those_above_them),
      cmocka_unit_test(a_file_is_replaced_whole),
      cmocka_unit_test(what_is_not_there_fails_with_its_name),
      cmocka_unit_test(names_are_listed_in_order_by_suffix),
      cmocka_unit_test(an_exclusive_lock_excludes_and_shared_ones_do_not),
      cmocka_unit_test(removing_a_tree_does_not_follow_links),
      cmocka_unit_test(a_ring_wakes_and_many_rings_are_one),
      cmocka_unit_test(a_new_bell_takes_the_place_of_one_left_behind),
      cmocka_unit_test(a_path_too_long_for_a_socket_is_refused_with_words),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
