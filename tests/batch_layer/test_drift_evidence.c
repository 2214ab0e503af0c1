/* tests/batch_layer/test_drift_evidence.c -- what drifted is led back to the events that explain it.
 *
 * The live store is tampered with: the increments of a view are replaced, under right checksums, by what other events
 * than those of the archive make. */
#include "tests/batch_layer/drift_rig.h"

#include <jansson.h>

#include "common/engine/group_block.h"

static const char *const names[] = {"totals", "few", NULL};
enum { EVENTS = 8 };

/* Offsets 0 to 7. Account B is at 1, 3, 4 and 6; its amounts all differ. */
static const char *const events[EVENTS] = {
    "{\"account\":\"A\",\"amount\":1.00,\"kind\":\"x\"}\n", "{\"account\":\"B\",\"amount\":2.00,\"kind\":\"x\"}\n",
    "{\"account\":\"A\",\"amount\":1.00,\"kind\":\"x\"}\n", "{\"account\":\"B\",\"amount\":3.50,\"kind\":\"y\"}\n",
    "{\"account\":\"B\",\"amount\":4.25,\"kind\":\"x\"}\n", "{\"account\":\"A\",\"amount\":7.00,\"kind\":\"x\"}\n",
    "{\"account\":\"B\",\"amount\":9.75,\"kind\":\"y\"}\n", "{\"account\":\"C\",\"amount\":1.00,\"kind\":\"x\"}\n"};

struct delta {
  sqlite3 *database;
  int64_t view, generation;
};

static enum tly_status add_delta(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  const struct delta *delta = context;
  struct tly_buffer body = {0};
  sqlite3_stmt *statement;
  char sql[200];
  struct tly_text first = slice->keys[0], last = slice->keys[slice->count - 1];
  (void)error;
  snprintf(sql, sizeof sql, "INSERT INTO delta (view, part, generation, level, group_count) VALUES (%lld,%u,%lld,0,%u)",
           (long long)delta->view, slice->part, (long long)delta->generation, slice->count);
  assert_int_equal(sqlite3_exec(delta->database, sql, NULL, NULL, NULL), SQLITE_OK);
  tly_group_block_encode(slice, &body);
  struct tly_hash checksum = tly_group_block_checksum(first, last, slice->count, body.data, body.size);
  assert_int_equal(sqlite3_prepare_v2(delta->database,
                                      "INSERT INTO delta_block (delta, number, first_key, last_key, group_count, body,"
                                      " checksum) VALUES (last_insert_rowid(), 0, ?1, ?2, ?3, ?4, ?5)",
                                      -1, &statement, NULL),
                   SQLITE_OK);
  sqlite3_bind_blob(statement, 1, first.data, (int)first.size, SQLITE_STATIC);
  sqlite3_bind_blob(statement, 2, last.data, (int)last.size, SQLITE_STATIC);
  sqlite3_bind_int64(statement, 3, slice->count);
  sqlite3_bind_blob(statement, 4, body.data, (int)body.size, SQLITE_STATIC);
  sqlite3_bind_blob(statement, 5, &checksum, sizeof checksum, SQLITE_STATIC);
  assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
  sqlite3_finalize(statement);
  tly_buffer_free(&body);
  return TLY_OK;
}

/* The live increments of `totals` in its newest generation are now what `lines` make. */
static void live_is(const char *lines) {
  const struct tly_view *view = tly_project_view(rig.project, "totals");
  struct tly_view_program *program = tly_view_program_new(view);
  tly_fold *fold = tly_fold_new(program);
  struct delta delta = {.view = rig_store_integer(&rig, "SELECT id FROM view WHERE name = 'totals'"),
                        .generation = rig_store_integer(&rig, "SELECT max(generation) FROM delta WHERE view ="
                                                              " (SELECT id FROM view WHERE name = 'totals')")};
  char sql[300];
  snprintf(sql, sizeof sql,
           "DELETE FROM delta_block WHERE delta IN (SELECT id FROM delta WHERE view = %lld AND generation = %lld);"
           "DELETE FROM delta WHERE view = %lld AND generation = %lld",
           (long long)delta.view, (long long)delta.generation, (long long)delta.view, (long long)delta.generation);
  spoil(sql);
  fold_lines(fold, view->stream, lines, strlen(lines));
  delta.database = open_speed_store();
  for (uint32_t p = 0; p < program->part_count; p++)
    CHECK_OK(tly_group_table_drain(tly_fold_part(fold, p), 256, add_delta, &delta, &test_error));
  sqlite3_close(delta.database);
  tly_fold_free(fold);
  tly_view_program_free(program);
}

static void ingest_all(uint32_t partition) {
  for (uint32_t i = 0; i < EVENTS; i++)
    rig_ingest(&rig, "payments", partition, events[i]);
  rig_settle(&rig);
}

/* All events but those with a bit in `lacked`, and those with one in `twice` twice. */
static void live_has(uint32_t lacked, uint32_t twice) {
  struct tly_buffer lines = {0};
  for (uint32_t i = 0; i < EVENTS; i++)
    for (uint32_t n = 0; n < 1 - (lacked >> i & 1) + (twice >> i & 1); n++)
      tly_buffer_append_text(&lines, events[i]);
  live_is(tly_buffer_text(&lines));
  tly_buffer_free(&lines);
}

/* The explanation of the only key of `totals` that drifted; the caller gives it back. */
static json_t *explained(const char *key) {
  struct tly_run_result result;
  run_and_reconcile(false, 5000, &result);
  if (result.note != NULL)
    fail_msg("%s", result.note);
  assert_int_equal(result.views[0].drift, 1);
  assert_string_equal(result.views[0].drift_listed[0].key, key);
  json_t *json = json_loads(result.views[0].drift_listed[0].explanation, 0, NULL);
  assert_non_null(json);
  return json;
}

static long long number_of(const json_t *json, const char *name) {
  return json_integer_value(json_object_get(json, name));
}

static void assert_found(json_t *json, const char *verdict, uint32_t count, int64_t first_offset) {
  const json_t *first = json_array_get(json_object_get(json, "events"), 0);
  assert_string_equal(json_string_value(json_object_get(json, "verdict")), verdict);
  assert_int_equal(number_of(json, "count"), count);
  assert_int_equal(json_array_size(json_object_get(json, "events")), count);
  assert_int_equal(number_of(first, "offset"), first_offset);
  json_decref(json);
}

static void an_event_that_live_dropped_is_named_with_its_text(void **state) {
  (void)state;
  rig_start(&rig);
  ingest_all(0);
  live_has(1 << 4, 0);
  json_t *json = explained("[\"B\"]");
  assert_string_equal(json_string_value(json_object_get(json, "words")),
                      "live lacks 1 event of payments, partition 0 offset 4");
  const json_t *event = json_array_get(json_object_get(json, "events"), 0);
  assert_string_equal(json_string_value(json_object_get(event, "raw")),
                      "{\"account\":\"B\",\"amount\":4.25,\"kind\":\"x\"}");
  assert_int_equal(number_of(json, "key_events"), 4);
  assert_int_equal(number_of(json, "alternatives"), 0);
  assert_found(json, "lacks", 1, 4);
}

static void an_event_that_live_folded_twice_is_named(void **state) {
  (void)state;
  rig_start(&rig);
  ingest_all(1);
  live_has(0, 1 << 6);
  json_t *json = explained("[\"B\"]");
  assert_string_equal(json_string_value(json_object_get(json, "words")),
                      "live has once too often 1 event of payments, partition 1 offset 6");
  assert_found(json, "twice", 1, 6);
}

static void neighbours_that_live_dropped_are_found_together(void **state) {
  (void)state;
  rig_start(&rig);
  ingest_all(0);
  live_has(1 << 3 | 1 << 4, 0);
  json_t *json = explained("[\"B\"]");
  assert_string_equal(json_string_value(json_object_get(json, "words")),
                      "live lacks 2 events of payments, partition 0 offset 3 to partition 0 offset 4");
  assert_found(json, "lacks", 2, 3);
}

static void a_key_that_live_does_not_have_lacks_all_its_events(void **state) {
  (void)state;
  rig_start(&rig);
  ingest_all(0);
  live_has(1 << 7, 0);
  struct tly_run_result result;
  run_and_reconcile(false, 5000, &result);
  assert_int_equal(result.views[0].drift, 2); /* the group, and its distinct value */
  for (uint32_t i = 0; i < 2; i++)
    assert_found(json_loads(result.views[0].drift_listed[i].explanation, 0, NULL), "lacks", 1, 7);
}

static void equal_events_cannot_be_told_apart_and_it_says_so(void **state) {
  (void)state;
  rig_start(&rig);
  ingest_all(0);
  live_has(1 << 2, 0);
  json_t *json = explained("[\"A\"]");
  assert_int_equal(number_of(json, "alternatives"), 1);
  assert_non_null(strstr(json_string_value(json_object_get(json, "words")), "1 other choice would explain it as well"));
  assert_found(json, "lacks", 1, 0);
}

static void a_changed_amount_is_explained_by_no_event(void **state) {
  (void)state;
  rig_start(&rig);
  rig_ingest(&rig, "payments", 0, events[1]);
  rig_ingest(&rig, "payments", 0, events[4]);
  rig_settle(&rig);
  live_is("{\"account\":\"B\",\"amount\":2.00,\"kind\":\"x\"}\n{\"account\":\"B\",\"amount\":4.26,\"kind\":\"x\"}\n");
  json_t *json = explained("[\"B\"]");
  assert_string_equal(json_string_value(json_object_get(json, "verdict")), "unknown");
  assert_string_equal(json_string_value(json_object_get(json, "words")),
                      "2 events of payments, partition 0 offset 0 to partition 0 offset 1: the key's, and no run of "
                      "neighbours among them explains it");
  json_decref(json);
}

static void a_key_without_events_is_told_to_have_none(void **state) {
  (void)state;
  struct tly_buffer lines = {0};
  struct tly_run_result result;
  rig_start(&rig);
  ingest_all(0);
  for (uint32_t i = 0; i < EVENTS; i++)
    tly_buffer_append_text(&lines, events[i]);
  tly_buffer_append_text(&lines, "{\"account\":\"Z\",\"amount\":5,\"kind\":\"x\"}\n");
  live_is(tly_buffer_text(&lines));
  tly_buffer_free(&lines);
  run_and_reconcile(false, 5000, &result);
  assert_string_equal(result.views[0].drift_listed[0].key, "[\"Z\"]");
  assert_non_null(strstr(result.views[0].drift_listed[0].explanation, "of which payments has no event there"));
}

static void it_is_looked_for_in_the_generation_that_differs(void **state) {
  (void)state;
  rig_start(&rig);
  ingest_all(0);
  int64_t first = rig_cut_and_run(&rig, names);
  rig_settle(&rig);
  ingest_all(0);                         /* offsets 8 to 15 */
  int64_t failed = rig_cut(&rig, names); /* its run failed */
  ingest_all(1);                         /* a generation of its own */
  live_has(0, 1 << 3);
  json_t *json = explained("[\"B\"]");
  assert_int_equal(number_of(json, "after_cut"), failed);
  assert_true(number_of(json, "up_to_cut") > failed && failed > first);
  assert_int_equal(number_of(json, "key_events"), 4);
  assert_int_equal(number_of(json_array_get(json_object_get(json, "events"), 0), "partition"), 1);
  assert_found(json, "twice", 1, 3);
}

static void one_event_among_many_of_many_keys_is_found(void **state) {
  (void)state;
  struct tly_buffer lines = {0};
  rig_start(&rig);
  for (int i = 0; i < 3000; i++)
    tly_buffer_print(&lines, "{\"account\":\"%s%d\",\"amount\":%d.25,\"kind\":\"k\"}\n", i % 2 == 0 ? "hot" : "A",
                     i % 2 == 0 ? 0 : i, i);
  rig_ingest(&rig, "payments", 0, tly_buffer_text(&lines));
  rig_settle(&rig);
  char *gone = strstr(tly_buffer_text(&lines), "{\"account\":\"hot0\",\"amount\":1234.25");
  assert_non_null(gone);
  memset(gone, ' ', (size_t)(strchr(gone, '\n') - gone + 1));
  live_is(tly_buffer_text(&lines));
  tly_buffer_free(&lines);
  json_t *json = explained("[\"hot0\"]");
  assert_int_equal(number_of(json, "key_events"), 1500);
  assert_found(json, "lacks", 1, 1234);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      RIG_TEST(an_event_that_live_dropped_is_named_with_its_text),
      RIG_TEST(an_event_that_live_folded_twice_is_named),
      RIG_TEST(neighbours_that_live_dropped_are_found_together),
      RIG_TEST(a_key_that_live_does_not_have_lacks_all_its_events),
      RIG_TEST(equal_events_cannot_be_told_apart_and_it_says_so),
      RIG_TEST(a_changed_amount_is_explained_by_no_event),
      RIG_TEST(a_key_without_events_is_told_to_have_none),
      RIG_TEST(it_is_looked_for_in_the_generation_that_differs),
      RIG_TEST(one_event_among_many_of_many_keys_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
