/* tests/common/engine/test_view_walk.c -- parts walked side by side: distinct values counted, HAVING, no groups. */
#include "tests/common/store/view_fixture.h"

#include "common/engine/group_block.h"
#include "common/engine/view_walk.h"

#define STREAM "CREATE FOREIGN TABLE e (a text, n integer, who text) SERVER embedded;"

/* The groups of one part as encoded blocks, given back one by one. */
struct blocks {
  const struct tly_view_program *program;
  uint32_t part, count, next, touched;
  struct tly_buffer bodies[64];
  uint32_t groups[64];
  struct tly_group_slice slice;
};

static enum tly_status keep_block(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  struct blocks *blocks = context;
  (void)error;
  assert_true(blocks->count < 64);
  tly_group_block_encode(slice, &blocks->bodies[blocks->count]);
  blocks->groups[blocks->count++] = slice->count;
  return TLY_OK;
}

static enum tly_status next_block(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  struct blocks *blocks = context;
  blocks->touched++;
  *out = NULL;
  if (blocks->next == blocks->count)
    return TLY_OK;
  const struct tly_buffer *body = &blocks->bodies[blocks->next];
  TLY_TRY(tly_group_block_decode(body->data, body->size, blocks->groups[blocks->next++], &blocks->slice, error));
  *out = &blocks->slice;
  return TLY_OK;
}

enum { PARTS_MAX = 4 };

static struct tly_project *project;
static struct tly_view_program *program;
static struct blocks parts[PARTS_MAX];

static void fold(const char *view, const char *lines, uint32_t groups_per_block) {
  struct tly_buffer text = {0};
  tly_buffer_print(&text, STREAM "CREATE MATERIALIZED VIEW v AS %s;", view);
  project = parse_project(tly_buffer_text(&text));
  tly_buffer_free(&text);
  program = tly_view_program_new(&project->views[0]);
  assert_true(program->part_count <= PARTS_MAX);
  tly_fold *folded = tly_fold_new(program);
  fold_lines(folded, &project->streams[0], lines, strlen(lines));
  memset(parts, 0, sizeof parts);
  for (uint32_t p = 0; p < program->part_count; p++) {
    parts[p].program = program;
    parts[p].part = p;
    tly_group_slice_init(&parts[p].slice, program, p);
    CHECK_OK(tly_group_table_drain(tly_fold_part(folded, p), groups_per_block, keep_block, &parts[p], &test_error));
  }
  tly_fold_free(folded);
}

static void forget(void) {
  for (uint32_t p = 0; p < program->part_count; p++) {
    tly_group_slice_free(&parts[p].slice);
    for (uint32_t b = 0; b < parts[p].count; b++)
      tly_buffer_free(&parts[p].bodies[b]);
  }
  tly_view_program_free(program);
  tly_project_free(project);
}

/* All rows as "a,1;b,2;", outputs that are not wanted left out. */
static enum tly_status walk(const bool *wanted, struct tly_buffer *out) {
  struct tly_group_source sources[PARTS_MAX];
  struct tly_view_rows rows;
  enum tly_status status;
  for (uint32_t p = 0; p < program->part_count; p++) {
    parts[p].next = parts[p].touched = 0;
    sources[p] = (struct tly_group_source){.next = next_block, .context = &parts[p]};
  }
  tly_view_walk *walked = tly_view_walk_new(program, sources, wanted);
  memset(out, 0, sizeof *out);
  while ((status = tly_view_walk_next(walked, &rows, &test_error)) == TLY_OK && rows.row_count > 0)
    for (uint32_t i = 0; i < rows.row_count; i++) {
      for (uint32_t o = 0; o < project->views[0].output_count; o++) {
        if (wanted != NULL && !wanted[o])
          continue;
        struct tly_value value = tly_vector_value(&rows.outputs[o], rows.rows[i]);
        tly_value_print_csv(&value, out);
        tly_buffer_append_byte(out, ',');
      }
      tly_buffer_append_byte(out, ';');
    }
  tly_view_walk_free(walked);
  return status;
}

static void assert_rows(const bool *wanted, const char *expected) {
  struct tly_buffer seen;
  CHECK_OK(walk(wanted, &seen));
  assert_string_equal(tly_buffer_text(&seen), expected);
  tly_buffer_free(&seen);
}

static const char events[] = "{\"a\":\"x\",\"n\":1,\"who\":\"p\"}\n{\"a\":\"x\",\"n\":2,\"who\":\"q\"}\n"
                             "{\"a\":\"y\",\"n\":5,\"who\":\"p\"}\n{\"a\":\"x\",\"n\":4,\"who\":\"p\"}\n"
                             "{\"a\":\"z\",\"n\":7,\"who\":null}\n{\"n\":9,\"who\":\"r\"}\n";

static void distinct_values_are_counted_with_the_group_they_belong_to(void **state) {
  (void)state;
  for (uint32_t groups = 1; groups <= 5; groups += 2) { /* however the parts are cut */
    fold("SELECT a, sum(n) AS n, count(DISTINCT who) AS who, count(DISTINCT n) AS ns FROM e GROUP BY a", events,
         groups);
    assert_rows(NULL, "x,7,2,3,;y,5,1,1,;z,7,0,1,;,9,1,1,;");
    forget();
  }
}

static void parts_that_nothing_needs_are_not_read(void **state) {
  (void)state;
  static const bool wanted[] = {true, false, true, false};
  fold("SELECT a, sum(n) AS n, count(DISTINCT who) AS who, count(DISTINCT n) AS ns FROM e GROUP BY a", events, 2);
  assert_rows(wanted, "x,2,;y,1,;z,0,;,1,;");
  assert_true(parts[1].touched > 0);
  assert_int_equal(parts[2].touched, 0);
  forget();
}

static void having_hides_groups_even_whole_slices_of_them(void **state) {
  (void)state;
  fold("SELECT a, sum(n) AS n FROM e GROUP BY a HAVING count(DISTINCT who) = 0 OR sum(n) > 8", events, 1);
  assert_rows(NULL, "z,7,;,9,;");
  forget();
}

static void a_view_without_group_by_has_a_row_over_nothing(void **state) {
  (void)state;
  fold("SELECT count(*) AS n, sum(n) AS total, count(DISTINCT who) AS who FROM e", "", 1);
  assert_rows(NULL, "0,,0,;");
  forget();
  fold("SELECT count(*) AS n FROM e HAVING count(*) > 0", "", 1);
  assert_rows(NULL, "");
  forget();
  fold("SELECT a, count(*) AS n FROM e GROUP BY a", "", 1);
  assert_rows(NULL, "");
  forget();
}

static void an_output_that_raises_fails_the_walk_unless_nobody_wants_it(void **state) {
  (void)state;
  static const bool wanted[] = {true, false};
  struct tly_buffer seen;
  fold("SELECT a, 10 / (sum(n) - 5) AS share FROM e GROUP BY a", events, 1);
  assert_int_equal(walk(NULL, &seen), TLY_E_DIVISION_BY_ZERO);
  tly_buffer_free(&seen);
  assert_rows(wanted, "x,;y,;z,;,;");
  forget();
}

static void a_distinct_value_of_no_group_is_corruption(void **state) {
  (void)state;
  struct tly_buffer seen;
  fold("SELECT a, count(DISTINCT who) AS who FROM e GROUP BY a", events, 1);
  tly_buffer_free(&parts[0].bodies[0]); /* the group x */
  memmove(&parts[0].bodies[0], &parts[0].bodies[1], --parts[0].count * sizeof *parts[0].bodies);
  assert_int_equal(walk(NULL, &seen), TLY_E_CORRUPT);
  tly_buffer_free(&seen);
  forget();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(distinct_values_are_counted_with_the_group_they_belong_to),
      cmocka_unit_test(parts_that_nothing_needs_are_not_read),
      cmocka_unit_test(having_hides_groups_even_whole_slices_of_them),
      cmocka_unit_test(a_view_without_group_by_has_a_row_over_nothing),
      cmocka_unit_test(an_output_that_raises_fails_the_walk_unless_nobody_wants_it),
      cmocka_unit_test(a_distinct_value_of_no_group_is_corruption),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
