/* tests/batch_layer/test_import_memory.c -- each request of an import counts once, in order; the last one is answered
 * again; what does not fit is refused with words; and nothing is forgotten when a new file begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "batch_layer/import_memory.h"
#include "common/base/limits.h"

extern const char tly_schema_archive[];

struct fixture {
  sqlite3 *database;
  struct tly_import_memory memory;
  struct tly_buffer reply;
  struct tly_error refusal, error;
};

static sqlite3 *open_memory(void) {
  sqlite3 *database;
  assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
  assert_int_equal(sqlite3_exec(database, tly_schema_archive, NULL, NULL, NULL), SQLITE_OK);
  return database;
}

static int set_up(void **state) {
  static struct fixture fixture;
  fixture = (struct fixture){.database = open_memory()};
  *state = &fixture;
  return tly_import_memory_open(fixture.database, &fixture.memory, &fixture.error) == TLY_OK ? 0 : -1;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  tly_import_memory_close(&fixture->memory);
  tly_buffer_free(&fixture->reply);
  return sqlite3_close(fixture->database) == SQLITE_OK ? 0 : -1;
}

static struct tly_import_step step_of(const char *name, int64_t sequence, const char *place) {
  return (struct tly_import_step){
      .name = name, .content = "c", .place = place, .sequence = sequence, .accepted = 10, .rejected = 1};
}

static enum tly_import_turn check(struct fixture *fixture, struct tly_import_step step) {
  enum tly_import_turn turn;
  fixture->refusal.status = TLY_OK;
  assert_int_equal(
      tly_import_memory_check(&fixture->memory, &step, &turn, &fixture->reply, &fixture->refusal, &fixture->error),
      TLY_OK);
  assert_int_equal(turn == TLY_IMPORT_REFUSED, fixture->refusal.status != TLY_OK);
  return turn;
}

static void put(struct fixture *fixture, struct tly_import_step step, const char *reply) {
  assert_int_equal(tly_import_memory_put(&fixture->memory, &step, reply, &fixture->error), TLY_OK);
}

static void assert_described(struct tly_import_memory *memory, const char *name, const char *content,
                             const char *wanted) {
  struct tly_buffer result = {0};
  struct tly_error error;
  assert_int_equal(tly_import_memory_describe(memory, name, content, &result, &error), TLY_OK);
  assert_string_equal(tly_buffer_text(&result), wanted);
  tly_buffer_free(&result);
}

static void requests_come_in_order_and_the_last_one_is_answered_again(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(check(fixture, step_of("a", 2, "p2")), TLY_IMPORT_REFUSED); /* it has not begun */
  assert_int_equal(check(fixture, step_of("a", 1, "p1")), TLY_IMPORT_NEXT);
  put(fixture, step_of("a", 1, "p1"), "first");
  assert_int_equal(check(fixture, step_of("a", 1, "p1")), TLY_IMPORT_REPEATED);
  assert_string_equal(tly_buffer_text(&fixture->reply), "first");
  assert_int_equal(check(fixture, step_of("a", 3, "p3")), TLY_IMPORT_REFUSED);
  assert_int_equal(check(fixture, step_of("a", 2, "p2")), TLY_IMPORT_NEXT);
  put(fixture, step_of("a", 2, "p2"), "second");
  assert_int_equal(check(fixture, step_of("a", 1, "p1")), TLY_IMPORT_REFUSED); /* one is on its way at a time */
  assert_int_equal(fixture->refusal.status, TLY_E_SEQUENCE);
}

static void the_same_number_with_another_place_or_content_is_another_client(void **state) {
  struct fixture *fixture = *state;
  put(fixture, step_of("a", 1, "p1"), "first");
  assert_int_equal(check(fixture, step_of("a", 1, "elsewhere")), TLY_IMPORT_REFUSED);
  struct tly_import_step other = step_of("a", 2, "p2");
  other.content = "d";
  assert_int_equal(check(fixture, other), TLY_IMPORT_REFUSED);
  assert_int_equal(check(fixture, step_of("b", 1, "p1")), TLY_IMPORT_NEXT); /* names are apart */
}

static void where_an_import_stands_is_told_by_name_and_then_by_content(void **state) {
  struct fixture *fixture = *state;
  static const char nothing[] =
      "{\"name\":null,\"content\":null,\"sequence\":0,\"place\":null,\"accepted\":0,\"rejected\":0}";
  static const char known[] =
      "{\"name\":\"a\",\"content\":\"c\",\"sequence\":2,\"place\":\"p2\",\"accepted\":20,\"rejected\":2}";
  assert_described(&fixture->memory, "a", "c", nothing);
  put(fixture, step_of("a", 1, "p1"), "first");
  put(fixture, step_of("a", 2, "p2"), "second");
  assert_described(&fixture->memory, "a", "unknown", known);
  assert_described(&fixture->memory, "b", "c", known);
  assert_described(&fixture->memory, "b", "unknown", nothing);
}

static void a_new_file_knows_every_import(void **state) {
  struct fixture *fixture = *state;
  sqlite3 *after = open_memory();
  struct tly_import_memory memory;
  put(fixture, step_of("a", 1, "p1"), "first");
  put(fixture, step_of("a", 2, "p2"), "second");
  put(fixture, step_of("b", 1, "q1"), "third");
  assert_int_equal(tly_import_memory_copy(fixture->database, after, &fixture->error), TLY_OK);
  assert_int_equal(tly_import_memory_open(after, &memory, &fixture->error), TLY_OK);
  assert_described(&memory, "a", "c",
                   "{\"name\":\"a\",\"content\":\"c\",\"sequence\":2,\"place\":\"p2\",\"accepted\":20,\"rejected\":2}");
  assert_described(&memory, "b", "c",
                   "{\"name\":\"b\",\"content\":\"c\",\"sequence\":1,\"place\":\"q1\",\"accepted\":10,\"rejected\":1}");
  tly_import_memory_close(&memory);
  assert_int_equal(sqlite3_close(after), SQLITE_OK);
}

static void one_too_many_is_refused_and_none_is_forgotten(void **state) {
  struct fixture *fixture = *state;
  char name[16];
  for (int i = 0; i < TLY_IMPORTS_MAX; i++) {
    snprintf(name, sizeof name, "n%d", i);
    put(fixture, step_of(name, 1, "p"), "r");
  }
  assert_int_equal(check(fixture, step_of("one more", 1, "p")), TLY_IMPORT_REFUSED);
  assert_int_equal(fixture->refusal.status, TLY_E_TOO_MANY);
  assert_int_equal(check(fixture, step_of("n0", 1, "p")), TLY_IMPORT_REPEATED);
  assert_int_equal(check(fixture, step_of("n0", 2, "p2")), TLY_IMPORT_NEXT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(requests_come_in_order_and_the_last_one_is_answered_again),
      TEST(the_same_number_with_another_place_or_content_is_another_client),
      TEST(where_an_import_stands_is_told_by_name_and_then_by_content),
      TEST(a_new_file_knows_every_import),
      TEST(one_too_many_is_refused_and_none_is_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
