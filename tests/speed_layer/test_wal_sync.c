/* The helper that writes the WAL to disk: it starts, is told, and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "speed_layer/wal_sync.h"

static void it_ends_whether_it_was_told_of_commits_or_not(void **state) {
  char directory[] = "/tmp/tally-wal-XXXXXX", path[64], wal[80];
  struct tly_error error;
  tly_wal_sync *sync;
  (void)state;
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/a.db", directory);
  snprintf(wal, sizeof wal, "%s-wal", path);
  assert_int_equal(tly_file_replace(wal, "x", 1, &error), TLY_OK);
  for (int notes = 0; notes < 3; notes++) {
    assert_int_equal(tly_wal_sync_start(path, &sync, &error), TLY_OK);
    for (int n = 0; n < notes * 100; n++)
      assert_int_equal(tly_wal_sync_note(sync, &error), TLY_OK);
    tly_wal_sync_stop(sync);
  }
  assert_int_equal(tly_file_remove_tree(directory, &error), TLY_OK);
}

static void a_wal_that_is_not_there_is_a_failure_with_its_name(void **state) {
  struct tly_error error;
  tly_wal_sync *sync;
  (void)state;
  assert_int_equal(tly_wal_sync_start("/tmp/tally-no-such-folder/a.db", &sync, &error), TLY_E_IO);
  assert_null(sync);
  assert_non_null(strstr(error.message, "a.db-wal"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_ends_whether_it_was_told_of_commits_or_not),
      cmocka_unit_test(a_wal_that_is_not_there_is_a_failure_with_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
