/* tests/common/engine/test_fold.c -- what is folded, what is set aside, and sums against a model that re-adds
 * everything. */
#include "tests/common/engine/engine_fixture.h"

#include <stdio.h>

static const char stream_sql[] = "CREATE FOREIGN TABLE t (\n"
                                 "  k text, n integer NOT NULL, d integer NOT NULL, big bigint, free numeric,\n"
                                 "  amount numeric(18,2), note text, at timestamptz, x double precision\n"
                                 ") SERVER embedded OPTIONS (format 'json');\n";

static struct tly_project *project_of(const char *views) {
  char *sql = malloc(sizeof stream_sql + strlen(views));
  strcpy(sql, stream_sql);
  strcat(sql, views);
  struct tly_project *project = fixture_project(sql);
  free(sql);
  return project;
}

/* The rows of the view `v` of `views` over `lines`. */
static void assert_rows(const char *views, const char *lines, const char *expected) {
  struct tly_project *project = project_of(views);
  char *rows = fixture_rows(project, "v", lines, NULL);
  assert_string_equal(rows, expected);
  free(rows);
  tly_project_free(project);
}

/* --- set aside -------------------------------------------------------------------------------------------------------
 */

struct aside {
  uint32_t event[8];
  enum tly_status status[8];
  char message[8][80];
  uint32_t count;
};

static void note_aside(void *context, uint32_t event, const struct tly_row_error *error) {
  struct aside *aside = context;
  assert_true(aside->count < 8);
  aside->event[aside->count] = event;
  aside->status[aside->count] = error->status;
  snprintf(aside->message[aside->count++], sizeof aside->message[0], "%s", error->message);
}

static const char raising_lines[] = "{\"k\":\"a\",\"n\":1,\"d\":1}\n"
                                    "{\"k\":\"a\",\"n\":2,\"d\":0}\n"
                                    "{\"k\":\"b\",\"n\":3,\"d\":1}\n"
                                    "{\"k\":\"c\",\"n\":4,\"d\":0}\n";

/* Fold the four lines by view `v`; gives what was set aside and the groups of every part. */
static struct aside fold_raising(const char *views, struct tly_fold_counts *counts, uint64_t *groups) {
  struct tly_project *project = project_of(views);
  const struct tly_view *view = tly_project_view(project, "v");
  struct tly_view_program *program = tly_view_program_new(view);
  struct tly_event_batch batch;
  fixture_decode(view->stream, raising_lines, strlen(raising_lines), &batch);
  tly_fold *fold = tly_fold_new(program);
  struct aside aside = {.count = 0};
  tly_fold_batch(fold, &batch, note_aside, &aside);
  *counts = tly_fold_counts(fold);
  for (uint32_t part = 0; part < program->part_count; part++)
    groups[part] = tly_group_table_count(tly_fold_part(fold, part));
  tly_fold_free(fold);
  tly_event_batch_free(&batch);
  tly_view_program_free(program);
  tly_project_free(project);
  return aside;
}

static void an_event_that_raises_anywhere_is_in_no_part(void **state) {
  (void)state;
  const char *views[] = {
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c, count(DISTINCT n) AS u FROM t WHERE n / d > 0 GROUP BY "
      "k;",
      "CREATE MATERIALIZED VIEW v AS SELECT n / d AS q, count(*) AS c, count(DISTINCT n) AS u FROM t GROUP BY q;",
      "CREATE MATERIALIZED VIEW v AS SELECT k, sum(n / d) AS c, count(DISTINCT n) AS u FROM t GROUP BY k;",
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(n / d) AS c, count(DISTINCT n) AS u FROM t GROUP BY k;",
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) FILTER (WHERE n / d > 5) AS c, count(DISTINCT n) AS u FROM t "
      "GROUP BY k;",
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(DISTINCT n / d) AS c, count(*) AS n FROM t GROUP BY k;",
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(DISTINCT n) FILTER (WHERE n / d > 0) AS c FROM t GROUP BY k;",
  };
  for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
    struct tly_fold_counts counts;
    uint64_t groups[3] = {0};
    struct aside aside = fold_raising(views[v], &counts, groups);
    assert_int_equal(counts.folded, 2);
    assert_int_equal(counts.filtered, 0);
    assert_int_equal(counts.set_aside, 2);
    assert_int_equal(groups[0], 2);
    assert_int_equal(groups[1], 2);
    assert_int_equal(aside.count, 2);
    assert_int_equal(aside.event[0], 1);
    assert_int_equal(aside.event[1], 3);
    assert_int_equal(aside.status[0], TLY_E_DIVISION_BY_ZERO);
    assert_string_equal(aside.message[0], "division by zero");
  }
}

static void an_event_that_where_drops_cannot_raise_later(void **state) {
  (void)state;
  struct tly_fold_counts counts;
  uint64_t groups[3] = {0};
  struct aside aside = fold_raising(
      "CREATE MATERIALIZED VIEW v AS SELECT k, sum(n / d) AS c FROM t WHERE d <> 0 GROUP BY k;", &counts, groups);
  assert_int_equal(aside.count, 0);
  assert_int_equal(counts.folded, 2);
  assert_int_equal(counts.filtered, 2);
}

static void a_branch_that_is_not_taken_does_not_raise(void **state) {
  (void)state;
  const char *arguments[] = {
      "sum(CASE WHEN d = 0 THEN 0 ELSE n / d END)", "sum(coalesce(CASE WHEN d = 0 THEN n END, n / d))",
      "count(*) FILTER (WHERE d = 0 OR n / d > 0)", "count(*) FILTER (WHERE d <> 0 AND n / d > 0)",
      "count(*) FILTER (WHERE n IN (n, n / d))",
  };
  for (size_t a = 0; a < sizeof arguments / sizeof *arguments; a++) {
    char view[200];
    snprintf(view, sizeof view, "CREATE MATERIALIZED VIEW v AS SELECT k, %s AS c FROM t GROUP BY k;", arguments[a]);
    struct tly_fold_counts counts;
    uint64_t groups[3] = {0};
    struct aside aside = fold_raising(view, &counts, groups);
    assert_int_equal(aside.count, 0);
    assert_int_equal(counts.folded, 4);
  }
}

static void the_first_error_in_written_order_is_reported(void **state) {
  (void)state;
  struct tly_fold_counts counts;
  uint64_t groups[3] = {0};
  struct aside aside =
      fold_raising("CREATE MATERIALIZED VIEW v AS SELECT k, sum(substring(k from 1 for n - 5)::integer + n / d) AS c "
                   "FROM t GROUP BY k;",
                   &counts, groups);
  assert_int_equal(aside.count, 4);
  for (uint32_t i = 0; i < 4; i++)
    assert_int_equal(aside.status[i], TLY_E_SUBSTRING);
}

static void a_summand_with_too_many_digits_is_set_aside(void **state) {
  (void)state;
  struct tly_project *project =
      project_of("CREATE MATERIALIZED VIEW v AS SELECT sum(free * free) AS s, count(*) AS n FROM t;");
  char lines[3000];
  int size = snprintf(lines, sizeof lines, "{\"n\":1,\"d\":1,\"free\":1.5}\n{\"n\":1,\"d\":1,\"free\":\"1");
  for (int i = 0; i < 300; i++)
    lines[size++] = '0';
  snprintf(lines + size, sizeof lines - (size_t)size, "\"}\n{\"n\":1,\"d\":1,\"free\":2}\n");
  struct tly_fold_counts counts;
  char *rows = fixture_rows(project, "v", lines, &counts);
  assert_string_equal(rows, "6.25|2\n");
  assert_int_equal(counts.set_aside, 1);
  free(rows);
  tly_project_free(project);
}

static void a_key_that_is_too_long_is_set_aside(void **state) {
  (void)state;
  struct tly_project *project =
      project_of("CREATE MATERIALIZED VIEW v AS SELECT left(k, 3) AS k, note, count(*) AS n, count(DISTINCT k) AS u "
                 "FROM t GROUP BY left(k, 3), note;");
  const size_t half = 600 * 1000;
  char *long_text = malloc(half + 1), *lines = malloc(6 * half);
  memset(long_text, 'x', half);
  long_text[half] = '\0';
  sprintf(lines,
          "{\"n\":1,\"d\":1,\"k\":\"a\",\"note\":\"b\"}\n"
          "{\"n\":1,\"d\":1,\"k\":\"%s\",\"note\":\"b\"}\n"
          "{\"n\":1,\"d\":1,\"k\":\"a\",\"note\":\"%s\"}\n"
          "{\"n\":1,\"d\":1,\"k\":\"%s\",\"note\":\"%.*s\"}\n"
          "{\"n\":1,\"d\":1,\"k\":\"c\",\"note\":\"b\"}\n",
          long_text, long_text, long_text, (int)half - 200 * 1000, long_text);
  struct tly_fold_counts counts;
  char *rows = fixture_rows(project, "v", lines, &counts);
  assert_int_equal(counts.folded, 5); /* 600 kB and 400 kB are still a key */
  free(rows);
  tly_project_free(project);
  project =
      project_of("CREATE MATERIALIZED VIEW v AS SELECT note || note AS k, count(*) AS n FROM t GROUP BY note || note;");
  rows = fixture_rows(project, "v", lines, &counts);
  assert_int_equal(counts.folded, 4);
  assert_int_equal(counts.set_aside, 1);
  assert_int_equal(strncmp(rows, "bb|3\n", 5), 0);
  free(rows);
  tly_project_free(project);
  project = project_of("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, count(DISTINCT note || note) AS u, "
                       "count(DISTINCT length(note)) AS l FROM t;");
  rows = fixture_rows(project, "v", lines, &counts);
  assert_string_equal(rows, "4|2|2\n");
  assert_int_equal(counts.set_aside, 1);
  free(rows);
  free(lines);
  free(long_text);
  tly_project_free(project);
}

/* --- groups
 * ------------------------------------------------------------------------------------------------------------ */

static void nulls_are_one_group_and_sort_last(void **state) {
  (void)state;
  assert_rows(
      "CREATE MATERIALIZED VIEW v AS SELECT k, big, count(*) AS n, count(note) AS c, sum(big) AS s, min(note) AS lo "
      "FROM t GROUP BY k, big;",
      "{\"n\":1,\"d\":1}\n{\"n\":1,\"d\":1,\"k\":\"\",\"big\":0}\n{\"n\":1,\"d\":1,\"k\":\"z\"}\n"
      "{\"n\":1,\"d\":1,\"note\":\"x\"}\n{\"n\":1,\"d\":1,\"k\":\"z\",\"big\":7}\n{\"n\":1,\"d\":1,\"big\":0}\n",
      "|0|1|0|0|\\N\nz|7|1|0|7|\\N\nz|\\N|1|0|\\N|\\N\n\\N|0|1|0|0|\\N\n\\N|\\N|2|1|\\N|x\n");
}

static void equal_numerics_are_one_group_and_one_distinct_value(void **state) {
  (void)state;
  assert_rows("CREATE MATERIALIZED VIEW v AS SELECT free, count(*) AS n FROM t GROUP BY free;",
              "{\"n\":1,\"d\":1,\"free\":1.5}\n{\"n\":1,\"d\":1,\"free\":1.50}\n{\"n\":1,\"d\":1,\"free\":\"1.500\"}\n",
              "1.5|3\n");
  assert_rows("CREATE MATERIALIZED VIEW v AS SELECT count(DISTINCT free) AS u, min(free) AS lo, sum(free) AS s FROM t;",
              "{\"n\":1,\"d\":1,\"free\":1.50}\n{\"n\":1,\"d\":1,\"free\":1.5}\n{\"n\":1,\"d\":1,\"free\":2}\n",
              "2|1.5|5.00\n");
}

static void a_view_without_group_by_has_one_row_over_nothing(void **state) {
  (void)state;
  assert_rows("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, sum(n) AS s, max(k) AS m, count(DISTINCT k) AS u, "
              "bool_and(n > 0) AS b FROM t;",
              "", "0|\\N|\\N|0|\\N\n");
  assert_rows("CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM t GROUP BY k;", "", "");
}

static void a_sum_raises_only_when_the_exact_total_leaves_its_type(void **state) {
  (void)state;
  const char *view = "CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s, count(*) AS c FROM t;";
  assert_rows(view, "{\"n\":2147483647,\"d\":1}\n{\"n\":2147483647,\"d\":1}\n", "4294967294|2\n");
  const char *sums = "CREATE MATERIALIZED VIEW v AS SELECT sum(x) AS s, avg(x) AS a FROM t;";
  assert_rows(sums, "{\"n\":1,\"d\":1,\"x\":1e308}\n{\"n\":1,\"d\":1,\"x\":1e308}\n{\"n\":1,\"d\":1,\"x\":-1e308}\n",
              "1e+308|3.333333333333333e+307\n");
  assert_rows(sums, "{\"n\":1,\"d\":1,\"x\":1e308}\n{\"n\":1,\"d\":1,\"x\":1e308}\n", "!22003");
}

static void having_sees_the_merged_row(void **state) {
  (void)state;
  assert_rows(
      "CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS s FROM t GROUP BY k HAVING count(*) > 1 AND min(d) > 0;",
      "{\"n\":1,\"d\":1,\"k\":\"a\"}\n{\"n\":2,\"d\":1,\"k\":\"b\"}\n{\"n\":3,\"d\":2,\"k\":\"a\"}\n", "a|4\n");
}

/* --- programs
 * ----------------------------------------------------------------------------------------------------------- */

static void equal_components_are_shared(void **state) {
  (void)state;
  struct tly_project *project = project_of(
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS a, count(n) AS b, sum(n) AS c, avg(n) AS d, sum(amount) AS "
      "e,"
      " avg(amount) AS f, count(amount) AS g, min(amount) AS h, count(DISTINCT n) AS i, count(DISTINCT n + 0) AS j,"
      " sum(n) FILTER (WHERE n > 1) AS l, count(*) FILTER (WHERE n > 1) AS m FROM t GROUP BY k HAVING count(DISTINCT "
      "n) > 0;");
  struct tly_view_program *program = tly_view_program_new(tly_project_view(project, "v"));
  /* count(*), sum(n), count(amount), sum(amount), min(amount), and count(*), sum(n) under the filter */
  assert_int_equal(program->component_count, 7);
  assert_int_equal(program->part_count, 3);
  assert_int_equal(program->components[0].form, TLY_STATE_I64);
  bool used[] = {true, true, false, false, false, true, false, false, false};
  for (size_t c = 0; c < sizeof used; c++)
    assert_int_equal(program->column_used[c], used[c]);
  tly_view_program_free(program);
  tly_project_free(project);
}

/* --- folding on ----------------------------------------------------------------------------------------------------
 */

static void fold_lines(tly_fold *fold, const struct tly_stream *stream, const char *lines, uint64_t dictionary_id) {
  struct tly_event_batch batch;
  fixture_decode(stream, lines, strlen(lines), &batch);
  if (dictionary_id != UINT64_MAX)
    fixture_code_texts(&batch, dictionary_id);
  tly_fold_batch(fold, &batch, NULL, NULL);
  tly_event_batch_free(&batch);
}

/* A fold goes on correctly into tables that have been cleared. */
static void a_fold_begins_anew_when_its_tables_are_cleared(void **state) {
  (void)state;
  const char *views[] = {
      "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, count(DISTINCT d) AS u FROM t GROUP BY k;",
      "CREATE MATERIALIZED VIEW v AS SELECT k, n, count(*) AS c FROM t GROUP BY k, n;",
      "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, count(DISTINCT k) AS u FROM t;"};
  const char *expected[] = {"a|3|1\nb|1|1\n", "a|1|2\na|2|1\nb|1|1\n", "4|2\n"};
  for (int v = 0; v < 3; v++) {
    struct tly_project *project = project_of(views[v]);
    const struct tly_view *view = tly_project_view(project, "v");
    struct tly_view_program *program = tly_view_program_new(view);
    tly_fold *fold = tly_fold_new(program);
    fold_lines(fold, view->stream, "{\"n\":9,\"d\":9,\"k\":\"z\"}\n", 0);
    tly_fold_clear(fold);
    fold_lines(fold, view->stream, "{\"n\":1,\"d\":1,\"k\":\"b\"}\n{\"n\":1,\"d\":1,\"k\":\"a\"}\n", UINT64_MAX);
    fold_lines(fold, view->stream, "{\"n\":2,\"d\":1,\"k\":\"a\"}\n{\"n\":1,\"d\":1,\"k\":\"a\"}\n", 7);
    struct stored_part stored[2];
    for (uint32_t part = 0; part < program->part_count; part++)
      stored[part] = stored_part_of_table(program, part, tly_fold_part(fold, part), 2);
    struct tly_buffer rows = {0};
    assert_int_equal(fixture_finish(program, stored, &rows, NULL), TLY_OK);
    assert_string_equal(tly_buffer_text(&rows), expected[v]);
    tly_buffer_free(&rows);
    for (uint32_t part = 0; part < program->part_count; part++)
      stored_part_free(&stored[part]);
    tly_fold_free(fold);
    tly_view_program_free(program);
    tly_project_free(project);
  }
}

/* Fold, as at each commit of the speed layer: the rows of the events since the last time. */
static void assert_commit(tly_fold *fold, const struct tly_view_program *program, const char *expected) {
  struct stored_part stored = stored_part_of_table(program, 0, tly_fold_part(fold, 0), 2);
  struct tly_buffer rows = {0};
  assert_int_equal(fixture_finish(program, &stored, &rows, NULL), TLY_OK);
  assert_string_equal(tly_buffer_text(&rows), expected);
  tly_buffer_free(&rows);
  stored_part_free(&stored);
  tly_fold_clear(fold);
}

/* Keys that are known from before, in another order, some of them missing, and new ones between them. */
static void what_is_kept_between_commits_shows_in_no_row(void **state) {
  (void)state;
  struct tly_project *project = project_of("CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM t GROUP BY k;");
  const struct tly_view *view = tly_project_view(project, "v");
  struct tly_view_program *program = tly_view_program_new(view);
  tly_fold *fold = tly_fold_new(program);
  const char *coded = "{\"n\":1,\"d\":1,\"k\":\"m\"}\n{\"n\":1,\"d\":1,\"k\":\"b\"}\n{\"n\":1,\"d\":1}\n{\"n\":1,\"d\":"
                      "1,\"k\":\"x\"}\n";
  fold_lines(fold, view->stream, coded, 7);
  assert_commit(fold, program, "b|1\nm|1\nx|1\n\\N|1\n");
  fold_lines(fold, view->stream, "{\"n\":1,\"d\":1,\"k\":\"x\"}\n", UINT64_MAX);
  assert_commit(fold, program, "x|1\n"); /* few of those that are known */
  fold_lines(fold, view->stream, "{\"n\":1,\"d\":1,\"k\":\"c\"}\n{\"n\":1,\"d\":1,\"k\":\"a\"}\n", UINT64_MAX);
  assert_commit(fold, program, "a|1\nc|1\n");
  fold_lines(fold, view->stream, coded, 7);
  fold_lines(fold, view->stream, "{\"n\":1,\"d\":1,\"k\":\"c\"}\n{\"n\":1,\"d\":1,\"k\":\"b\"}\n", UINT64_MAX);
  assert_commit(fold, program, "b|2\nc|1\nm|1\nx|1\n\\N|1\n"); /* in the order that is kept */
  fold_lines(fold, view->stream, "{\"n\":1,\"d\":1,\"k\":\"m\"}\n{\"n\":1,\"d\":1}\n", UINT64_MAX);
  assert_commit(fold, program, "m|1\n\\N|1\n");
  tly_fold_free(fold);
  tly_view_program_free(program);
  tly_project_free(project);
}

static void a_dictionary_of_another_identity_has_other_codes(void **state) {
  (void)state;
  struct tly_project *project = project_of("CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM t GROUP BY k;");
  const struct tly_view *view = tly_project_view(project, "v");
  struct tly_view_program *program = tly_view_program_new(view);
  tly_fold *fold = tly_fold_new(program);
  const char *ab = "{\"n\":1,\"d\":1,\"k\":\"a\"}\n{\"n\":1,\"d\":1,\"k\":\"b\"}\n";
  const char *ba = "{\"n\":1,\"d\":1,\"k\":\"b\"}\n{\"n\":1,\"d\":1,\"k\":\"c\"}\n{\"n\":1,\"d\":1,\"k\":\"b\"}\n";
  fold_lines(fold, view->stream, ab, 100);
  fold_lines(fold, view->stream, ab, 100);
  fold_lines(fold, view->stream, ba, 200);
  fold_lines(fold, view->stream, ab, 0);
  fold_lines(fold, view->stream, ba, 0);
  fold_lines(fold, view->stream, ab, 100);
  struct stored_part stored = stored_part_of_table(program, 0, tly_fold_part(fold, 0), 512);
  struct tly_buffer rows = {0};
  assert_int_equal(fixture_finish(program, &stored, &rows, NULL), TLY_OK);
  assert_string_equal(tly_buffer_text(&rows), "a|4\nb|8\nc|2\n");
  tly_buffer_free(&rows);
  stored_part_free(&stored);
  tly_fold_free(fold);
  tly_view_program_free(program);
  tly_project_free(project);
}

/* --- the model
 * ------------------------------------------------------------------------------------------------------------ */

enum { ACCOUNTS = 300, HOURS = 9, MODEL_EVENTS = 20000 };

struct model_group {
  int64_t n, lo, hi;
  tly_i128 total;
  bool notes[40];
};

static uint64_t random_state = 0x9E3779B97F4A7C15;

static uint32_t random_below(uint32_t bound) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (uint32_t)((random_state * UINT64_C(2685821657736338717) >> 33) % bound);
}

static void print_cents(tly_i128 cents, char *out, size_t size) {
  tly_i128 magnitude = cents < 0 ? -cents : cents;
  snprintf(out, size, "%s%lld.%02lld", cents < 0 ? "-" : "", (long long)(magnitude / 100),
           (long long)(magnitude % 100));
}

/* One event into the model, and as a line of JSON. */
static void model_event(struct model_group (*model)[HOURS], struct tly_buffer *lines) {
  uint32_t account = random_below(ACCOUNTS), hour = random_below(HOURS), note = random_below(40);
  int64_t cents = (int64_t)random_below(2000000000) - 1000000000;
  char amount[40];
  print_cents(cents, amount, sizeof amount);
  struct model_group *group = &model[account][hour];
  group->lo = group->n == 0 || cents < group->lo ? cents : group->lo;
  group->hi = group->n == 0 || cents > group->hi ? cents : group->hi;
  group->n++;
  group->total += cents;
  group->notes[note] = true;
  tly_buffer_print(
      lines, "{\"n\":1,\"d\":1,\"k\":\"A-%03u\",\"amount\":%s,\"note\":\"n%u\",\"at\":\"2026-03-02T%02u:%02u:59Z\"}\n",
      account, amount, note, hour, random_below(60));
}

static void print_model(struct model_group (*model)[HOURS], struct tly_buffer *rows) {
  for (uint32_t account = 0; account < ACCOUNTS; account++) {
    for (uint32_t hour = 0; hour < HOURS; hour++) {
      const struct model_group *group = &model[account][hour];
      if (group->n == 0)
        continue;
      char total[60], lo[60], hi[60];
      print_cents(group->total, total, sizeof total);
      print_cents(group->lo, lo, sizeof lo);
      print_cents(group->hi, hi, sizeof hi);
      unsigned notes = 0;
      for (int i = 0; i < 40; i++)
        notes += group->notes[i];
      tly_buffer_print(rows, "A-%03u|2026-03-02 %02u:00:00+00|%lld|%s|%s|%s|%u\n", account, hour, (long long)group->n,
                       total, lo, hi, notes);
    }
  }
}

static void many_groups_equal_a_model_that_re_adds_every_event(void **state) {
  (void)state;
  struct model_group(*model)[HOURS] = calloc(ACCOUNTS, sizeof *model);
  struct tly_buffer lines = {0}, expected = {0};
  for (int i = 0; i < MODEL_EVENTS; i++)
    model_event(model, &lines);
  print_model(model, &expected);
  struct tly_project *project = project_of(
      "CREATE MATERIALIZED VIEW v AS SELECT k, date_trunc('hour', at) AS hour, count(*) AS n, sum(amount) AS "
      "total, min(amount) AS lo, max(amount) AS hi, count(DISTINCT note) AS notes FROM t GROUP BY k, hour;");
  char *rows = fixture_rows(project, "v", tly_buffer_text(&lines), NULL);
  assert_string_equal(rows, tly_buffer_text(&expected));
  free(rows);
  tly_project_free(project);
  tly_buffer_free(&lines);
  tly_buffer_free(&expected);
  free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_that_raises_anywhere_is_in_no_part),
      cmocka_unit_test(an_event_that_where_drops_cannot_raise_later),
      cmocka_unit_test(a_branch_that_is_not_taken_does_not_raise),
      cmocka_unit_test(the_first_error_in_written_order_is_reported),
      cmocka_unit_test(a_summand_with_too_many_digits_is_set_aside),
      cmocka_unit_test(a_key_that_is_too_long_is_set_aside),
      cmocka_unit_test(nulls_are_one_group_and_sort_last),
      cmocka_unit_test(equal_numerics_are_one_group_and_one_distinct_value),
      cmocka_unit_test(a_view_without_group_by_has_one_row_over_nothing),
      cmocka_unit_test(a_sum_raises_only_when_the_exact_total_leaves_its_type),
      cmocka_unit_test(having_sees_the_merged_row),
      cmocka_unit_test(equal_components_are_shared),
      cmocka_unit_test(a_fold_begins_anew_when_its_tables_are_cleared),
      cmocka_unit_test(what_is_kept_between_commits_shows_in_no_row),
      cmocka_unit_test(a_dictionary_of_another_identity_has_other_codes),
      cmocka_unit_test(many_groups_equal_a_model_that_re_adds_every_event),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
