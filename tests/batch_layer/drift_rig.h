/* tests/batch_layer/drift_rig.h -- runs that are compared with a live store, and a live store that was tampered with.
 * Thread: one. */
#ifndef TLY_TESTS_DRIFT_RIG_H
#define TLY_TESTS_DRIFT_RIG_H

#include "tests/common/store/view_fixture.h"

#include <sqlite3.h>
#include <unistd.h>

#include "batch_layer/recompute.h"
#include "batch_layer/reconcile.h"
#include "common/base/limits.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

/* HAVING hides small groups from queries, not from the check. */
#define FEW_VIEW                                                                                                       \
  "CREATE MATERIALIZED VIEW few AS SELECT kind, count(*) AS n, sum(amount) AS total, count(DISTINCT account) AS who"   \
  " FROM payments GROUP BY kind HAVING count(*) > 1000000;\n"

static struct rig rig;
static struct tly_arena arena;

static int open_rig(void **state) {
  (void)state;
  tly_arena_init(&arena);
  rig_open(&rig, PAYMENTS_STREAM TOTALS_VIEW FEW_VIEW);
  return 0;
}

static int close_rig(void **state) {
  (void)state;
  rig_close(&rig);
  tly_arena_free(&arena);
  return 0;
}

/* Recompute all views at a new cut and reconcile; the run is not made ready. */
static void run_and_reconcile(bool settle, int wait_ms, struct tly_run_result *result) {
  static const char *const names[] = {"totals", "few", NULL};
  const struct tly_view *views[2];
  struct tly_cut cut;
  tly_archive_reader *archive;
  char path[400];
  int64_t number = rig_cut(&rig, names);
  for (uint32_t v = 0; v < 2; v++)
    views[v] = tly_project_view(rig.project, names[v]);
  if (settle)
    rig_settle(&rig);
  CHECK_OK(tly_archive_reader_open(rig.directory, rig.project, &archive, &test_error));
  CHECK_OK(tly_archive_reader_cut(archive, number, &arena, &cut, &test_error));
  tly_archive_reader_close(archive);
  snprintf(path, sizeof path, "%s/runs/%" PRId64, rig.directory, number);
  CHECK_OK(tly_file_make_folder(path, &test_error));
  snprintf(path, sizeof path, "%s/runs/%" PRId64 "/lock", rig.directory, number);
  CHECK_OK(tly_file_replace(path, "", 0, &test_error));
  struct tly_recompute_job job = {.directory = rig.directory,
                                  .project = rig.project,
                                  .cut = &cut,
                                  .views = views,
                                  .view_count = 2,
                                  .threads = 2,
                                  .group_bytes_max = TLY_RECOMPUTE_BYTES};
  CHECK_OK(tly_recompute(&job, &arena, result, &test_error));
  struct tly_reconcile_job check = {.directory = rig.directory,
                                    .project = rig.project,
                                    .cut = &cut,
                                    .views = views,
                                    .view_count = 2,
                                    .wait_ms = wait_ms};
  tly_reconcile(&check, &arena, result);
}

/* The speed layer's store, behind its back; it is stopped. */
static sqlite3 *open_speed_store(void) {
  char path[400];
  struct tly_buffer epoch = {0};
  sqlite3 *database;
  rig_stop(&rig);
  snprintf(path, sizeof path, "%s/speed.epoch", rig.directory);
  CHECK_OK(tly_file_read(path, 100, &epoch, &test_error));
  snprintf(path, sizeof path, "%s/speed-%ld.db", rig.directory, strtol(tly_buffer_text(&epoch), NULL, 10));
  tly_buffer_free(&epoch);
  assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  return database;
}

static void spoil(const char *sql) {
  sqlite3 *database = open_speed_store();
  if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
    fail_msg("%s", sqlite3_errmsg(database));
  sqlite3_close(database);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

#endif
