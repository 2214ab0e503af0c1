/* Whatever words stand in whatever order: a tree that holds together, or an error with words and a place inside the
 * text. Statements are made by shuffling the words of queries.sql and of a view's definition. TLY_LONG=1 tries many
 * more. */
#include <stdlib.h>

#include "common/base/file.h"
#include "common/sql/position.h"
#include "common/sql/resolve.h"
#include "tests/common/sql/sql_fixture.h"

enum { WORDS_MAX = 4000, STATEMENT_WORDS_MAX = 60 };

struct words {
  const char *items[WORDS_MAX];
  uint32_t count;
};

static uint64_t random_state;

static uint32_t random_below(uint32_t bound) {
  random_state ^= random_state << 13; /* xorshift64 (Marsaglia) */
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)((random_state >> 11) % bound);
}

static const char definitions[] =
    "CREATE FOREIGN TABLE s (account text NOT NULL, day timestamptz NOT NULL, total numeric(18,2)) SERVER embedded;"
    "CREATE MATERIALIZED VIEW daily AS SELECT account, day, sum(5) AS n, sum(total) AS total FROM s GROUP BY 1, 2;"
    "CREATE MATERIALIZED VIEW hourly AS SELECT account, day AS hour, sum(5) AS n, sum(total) AS total FROM s"
    " GROUP BY 1, 2;";

/* ---- a finished tree holds together ------------------------------------------------------------------------------ */

static void check_node(struct tly_expr **node, void *argument) {
  const struct tly_expr *expression = *node;
  (void)argument;
  assert_int_not_equal(expression->type.id, TLY_TYPE_UNKNOWN);
  assert_in_range(expression->type.precision, 0, INT16_MAX);
  if (expression->type.id == TLY_TYPE_NUMERIC)
    assert_in_range(expression->type.scale, 0, expression->type.precision);
  if (expression->kind == TLY_EXPR_CONSTANT && expression->constant.is_null)
    assert_true(expression->nullable);
  assert_true((expression->kind == TLY_EXPR_CALL) <= (expression->kernel != TLY_KERNEL_NONE));
  tly_expr_each(*node, check_node, NULL);
}

static void check_expression(struct tly_expr **expression, uint32_t levels, void *argument) {
  (void)levels;
  check_node(expression, argument);
}

static void check_query(struct tly_query *query) {
  assert_true(query->column_count > 0);
  for (uint32_t i = 0; i < query->column_count; i++) {
    assert_non_null(query->columns[i].name);
    assert_int_not_equal(query->columns[i].type.id, TLY_TYPE_UNKNOWN);
    if (query->targets != NULL)
      assert_memory_equal(&query->columns[i].type, &query->targets[i]->type, sizeof query->columns[i].type);
  }
  tly_query_each(query, check_expression, 0, NULL);
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static void read_words(struct tly_buffer *file, struct words *words) {
  assert_int_equal(tly_file_read("tests/common/sql/queries.sql", 1 << 20, file, NULL), TLY_OK);
  char *save, *text = tly_buffer_text(file);
  for (char *word = strtok_r(text, " \n", &save); word != NULL; word = strtok_r(NULL, " \n", &save))
    if (strcmp(word, "\\gdesc") != 0 && words->count < WORDS_MAX)
      words->items[words->count++] = word;
}

/* A run of words as they stand, with some exchanged, left out, or said twice. */
static void make_statement(const struct words *words, struct tly_buffer *out) {
  uint32_t at = random_below(words->count), size = 2 + random_below(STATEMENT_WORDS_MAX - 2);
  uint32_t disorder = 2 + random_below(20);
  tly_buffer_clear(out);
  while (at > 0 && strcmp(words->items[at], "SELECT") != 0)
    at--;
  for (uint32_t i = 0; i < size; i++) {
    if (random_below(disorder) == 0)
      at = random_below(3) == 0 ? random_below(words->count) : at + random_below(3);
    tly_buffer_print(out, "%s ", words->items[at % words->count]);
    at++;
    if (i > 3 && strcmp(words->items[at % words->count], "SELECT") == 0 && random_below(4) != 0)
      break;
  }
}

static bool try_query(struct fixture *fixture, const char *sql) {
  tly_arena_reset(&fixture->arena);
  enum tly_status status = fixture_query(fixture, sql);
  if (status == TLY_OK) {
    check_query(fixture->statement->query);
    return true;
  }
  assert_int_not_equal(status, TLY_E_INTERNAL);
  assert_true(strlen(fixture->error.message) > 0);
  assert_in_range(fixture->error.position, 0, tly_position_of_offset(sql, strlen(sql), UINT32_MAX));
  return false;
}

static void shuffled_queries_end_in_a_tree_or_an_error(void **state) {
  struct fixture fixture;
  struct words words = {.count = 0};
  struct tly_buffer file = {.data = NULL}, sql = {.data = NULL};
  unsigned rounds = getenv("TLY_LONG") != NULL ? 1000000 : 4000, taken = 0;
  const char *seed = getenv("TLY_SEED");
  (void)state;
  random_state = seed != NULL ? strtoull(seed, NULL, 10) : 20260302;
  print_message("seed %llu\n", (unsigned long long)random_state);
  read_words(&file, &words);
  assert_int_equal(fixture_open(&fixture, definitions), TLY_OK);
  for (unsigned round = 0; round < rounds; round++) {
    make_statement(&words, &sql);
    taken += try_query(&fixture, tly_buffer_text(&sql));
  }
  assert_true(taken > rounds / 100);
  fixture_close(&fixture);
  tly_buffer_free(&file);
  tly_buffer_free(&sql);
}

static void shuffled_definitions_end_in_a_project_or_in_problems(void **state) {
  static const char *const words[] = {"CREATE",
                                      "FOREIGN TABLE",
                                      "MATERIALIZED VIEW",
                                      "SERVER",
                                      "embedded",
                                      "t",
                                      "v",
                                      "(",
                                      ")",
                                      ",",
                                      "a",
                                      "text",
                                      "integer",
                                      "numeric(18,2)",
                                      "NOT NULL",
                                      "OPTIONS",
                                      "(path 'a.b')",
                                      "(format 'csv')",
                                      "(event_time 'a')",
                                      "AS",
                                      "SELECT",
                                      "count(*)",
                                      "sum(a)",
                                      "FROM",
                                      "s",
                                      "GROUP BY",
                                      "account",
                                      "day",
                                      "1",
                                      "WHERE",
                                      "total > 5",
                                      ";",
                                      "WITH",
                                      "(recompute = '@daily')",
                                      "HAVING",
                                      "'x'",
                                      "$1",
                                      "FOREIGN DATA WRAPPER kafka"};
  unsigned rounds = getenv("TLY_LONG") != NULL ? 100000 : 1000;
  (void)state;
  random_state = 7;
  for (unsigned round = 0; round < rounds; round++) {
    struct tly_buffer text = {.data = NULL};
    struct fixture fixture;
    tly_buffer_append_text(&text, definitions);
    tly_buffer_append_text(&text,
                           round % 2 == 0 ? "CREATE FOREIGN TABLE t (a text" : "CREATE MATERIALIZED VIEW v AS SELECT");
    for (uint32_t i = random_below(12); i > 0; i--)
      tly_buffer_print(&text, " %s", words[random_below(sizeof words / sizeof words[0])]);
    enum tly_status status = fixture_open(&fixture, tly_buffer_text(&text));
    assert_true((status == TLY_OK) == (fixture.project != NULL));
    assert_true((status == TLY_OK) == (fixture.diagnostics.count == 0));
    fixture_close(&fixture);
    tly_buffer_free(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shuffled_queries_end_in_a_tree_or_an_error),
      cmocka_unit_test(shuffled_definitions_end_in_a_project_or_in_problems),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
