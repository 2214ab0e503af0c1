/* tests/common/engine/test_merge.c -- sources of groups: overlapping, disjoint, empty, failing, and very many. */
#include "tests/common/engine/engine_fixture.h"

#include <stdio.h>

static const char sql[] = "CREATE FOREIGN TABLE t (k integer NOT NULL) SERVER embedded OPTIONS (format 'json');\n"
                          "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM t GROUP BY k;\n";

struct fixture {
  struct tly_project *project;
  struct tly_view_program *program;
};

static int open_fixture(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  fixture->project = fixture_project(sql);
  fixture->program = tly_view_program_new(tly_project_view(fixture->project, "v"));
  *state = fixture;
  return 0;
}

static int close_fixture(void **state) {
  struct fixture *fixture = *state;
  tly_view_program_free(fixture->program);
  tly_project_free(fixture->project);
  free(fixture);
  return 0;
}

/* The keys first, first + step, ... (count of them), each once, in blocks of `slice_groups`. */
static struct stored_part keys_of(const struct fixture *fixture, int first, int step, int count,
                                  uint32_t slice_groups) {
  struct tly_buffer lines = {0};
  for (int i = 0; i < count; i++)
    tly_buffer_print(&lines, "{\"k\":%d}\n", first + i * step);
  tly_buffer_text(&lines);
  struct tly_event_batch batch;
  fixture_decode(fixture->program->view->stream, (const char *)lines.data, lines.size, &batch);
  tly_fold *fold = tly_fold_new(fixture->program);
  tly_fold_batch(fold, &batch, NULL, NULL);
  struct stored_part stored = stored_part_of_table(fixture->program, 0, tly_fold_part(fold, 0), slice_groups);
  tly_fold_free(fold);
  tly_event_batch_free(&batch);
  tly_buffer_free(&lines);
  return stored;
}

/* Merge the parts and print the view's rows. */
static char *merged_rows(const struct fixture *fixture, struct stored_part *parts, uint32_t count, uint32_t group_max) {
  struct stored_part merged = fixture_merge_stored(fixture->program, 0, parts, count, group_max);
  struct tly_buffer rows = {0};
  assert_int_equal(fixture_finish(fixture->program, &merged, &rows, NULL), TLY_OK);
  stored_part_free(&merged);
  for (uint32_t i = 0; i < count; i++)
    stored_part_free(&parts[i]);
  return tly_buffer_text(&rows);
}

/* Keys 0 .. 999 and how often they were there. */
static void assert_counts(char *rows, int (*times)(int)) {
  struct tly_buffer expected = {0};
  for (int key = 0; key < 1000; key++) {
    if (times(key) > 0)
      tly_buffer_print(&expected, "%d|%d\n", key, times(key));
  }
  assert_string_equal(rows, tly_buffer_text(&expected));
  tly_buffer_free(&expected);
  free(rows);
}

/* ---- every form of state ----------------------------------------------------------------------------------------- */

static const char all_forms_sql[] =
    "CREATE FOREIGN TABLE t (k text NOT NULL, n bigint, free numeric, wide numeric(38,4), x double precision)\n"
    "  SERVER embedded OPTIONS (format 'json');\n"
    "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c, count(n) AS cn, sum(n) AS sn, min(n) AS ln, max(n) AS hn,\n"
    "  sum(free) AS sf, min(free) AS lf, sum(wide) AS sw, min(wide) AS lw, max(wide) AS hw, sum(x) AS sx, max(x) AS "
    "hx,\n"
    "  max(k) AS hk, stddev(n) AS dn, min(n) FILTER (WHERE n > 60) AS few FROM t GROUP BY k;\n";

/* Keys that have eight bytes in common, and keys that have none; values that are missing in some parts only. */
static void append_event(struct tly_buffer *lines, int i) {
  tly_buffer_print(lines, i % 2 ? "{\"k\":\"a-long-common-beginning-%d\"" : "{\"k\":\"%d\"", i % 37);
  if (i % 3 != 0)
    tly_buffer_print(lines, ",\"n\":%d,\"x\":%d.25", i % 71 - 5, i * 31 % 97 - 40);
  if (i % 5 != 0)
    tly_buffer_print(lines, ",\"free\":%d.%d0,\"wide\":\"%s123456789012345678901234567%d.5\"", i, i % 7,
                     i % 4 ? "" : "-", i);
  tly_buffer_append_text(lines, "}\n");
}

/* Events first, first + step, ... below 700, folded. */
static struct stored_part part_of_events(const struct tly_view_program *program, int first, int step) {
  struct tly_buffer lines = {0};
  struct tly_event_batch batch;
  for (int i = first; i < 700; i += step)
    append_event(&lines, i);
  fixture_decode(program->view->stream, tly_buffer_text(&lines), lines.size, &batch);
  tly_fold *fold = tly_fold_new(program);
  tly_fold_batch(fold, &batch, NULL, NULL);
  struct stored_part stored = stored_part_of_table(program, 0, tly_fold_part(fold, 0), 10);
  tly_fold_free(fold);
  tly_event_batch_free(&batch);
  tly_buffer_free(&lines);
  return stored;
}

static void parts_of_events_merge_to_what_all_events_fold_to(void **state) {
  enum { PARTS = 9 };
  struct stored_part parts[PARTS];
  struct tly_buffer rows = {0}, expected = {0};
  (void)state;
  struct tly_project *project = fixture_project(all_forms_sql);
  struct tly_view_program *program = tly_view_program_new(tly_project_view(project, "v"));
  for (int p = 0; p < PARTS; p++)
    parts[p] = part_of_events(program, p, PARTS);
  struct stored_part merged = fixture_merge_stored(program, 0, parts, PARTS, 25), whole = part_of_events(program, 0, 1);
  assert_int_equal(fixture_finish(program, &merged, &rows, NULL), TLY_OK);
  assert_int_equal(fixture_finish(program, &whole, &expected, NULL), TLY_OK);
  assert_string_equal(tly_buffer_text(&rows), tly_buffer_text(&expected));
  for (int p = 0; p < PARTS; p++)
    stored_part_free(&parts[p]);
  stored_part_free(&merged);
  stored_part_free(&whole);
  tly_buffer_free(&rows);
  tly_buffer_free(&expected);
  tly_view_program_free(program);
  tly_project_free(project);
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static int once(int key) {
  return key < 900;
}

static int sparse_overlap(int key) {
  return 1 + (key % 100 == 0) + (key == 500);
}

static int of_many(int key) {
  return key < 320 ? 1 + (key % 2 == 0) : 0;
}

static void sources_that_do_not_overlap_are_strung_together(void **state) {
  struct stored_part parts[] = {keys_of(*state, 600, 1, 300, 70), keys_of(*state, 0, 1, 300, 512),
                                keys_of(*state, 300, 1, 300, 1)};
  assert_counts(merged_rows(*state, parts, 3, 100), once);
}

static void a_few_groups_over_a_large_source_are_added_in_place(void **state) {
  for (uint32_t group_max = 1; group_max < 600; group_max += 53) {
    struct stored_part parts[] = {keys_of(*state, 0, 1, 1000, 128), keys_of(*state, 0, 100, 10, 3),
                                  keys_of(*state, 500, 1, 1, 1)};
    assert_counts(merged_rows(*state, parts, 3, group_max), sparse_overlap);
  }
}

static void very_many_sources_are_merged(void **state) {
  struct stored_part parts[64 + 2];
  for (int i = 0; i < 64; i++)
    parts[i] = keys_of(*state, i, 64, 5, 2);
  parts[64] = keys_of(*state, 0, 2, 160, 7);
  parts[65] = keys_of(*state, 0, 1, 0, 7);
  assert_counts(merged_rows(*state, parts, 66, 512), of_many);
}

static void no_source_and_empty_sources_give_nothing(void **state) {
  struct stored_part parts[] = {keys_of(*state, 0, 1, 0, 7), keys_of(*state, 0, 1, 0, 7)};
  char *rows = merged_rows(*state, parts, 2, 10);
  assert_true(rows == NULL || *rows == '\0');
  free(rows);
  tly_merge *merge = tly_merge_new(((struct fixture *)*state)->program, 0, NULL, 0);
  const struct tly_group_slice *slice;
  assert_int_equal(tly_merge_next(merge, 10, &slice, NULL), TLY_OK);
  assert_null(slice);
  tly_merge_free(merge);
}

static void a_merge_is_a_source_of_merges(void **state) {
  struct fixture *fixture = *state;
  struct stored_part parts[] = {keys_of(fixture, 0, 2, 450, 64), keys_of(fixture, 1, 2, 450, 64)};
  struct stored_source sources[2];
  struct tly_group_source inner[2], outer[2];
  tly_merge *merges[2];
  for (int i = 0; i < 2; i++) {
    sources[i] = (struct stored_source){.stored = &parts[i]};
    tly_group_slice_init(&sources[i].slice, fixture->program, 0);
    inner[i] = (struct tly_group_source){.next = stored_source_next, .context = &sources[i]};
    merges[i] = tly_merge_new(fixture->program, 0, &inner[i], 1);
    outer[i] = tly_merge_source(merges[i]);
  }
  tly_merge *merge = tly_merge_new(fixture->program, 0, outer, 2);
  struct stored_part merged = {.program = fixture->program};
  for (const struct tly_group_slice *slice;;) {
    assert_int_equal(tly_merge_next(merge, 200, &slice, NULL), TLY_OK);
    if (slice == NULL)
      break;
    assert_int_equal(stored_part_add(&merged, slice, NULL), TLY_OK);
  }
  assert_counts(merged_rows(fixture, &merged, 1, 512), once);
  tly_merge_free(merge);
  for (int i = 0; i < 2; i++) {
    tly_merge_free(merges[i]);
    tly_group_slice_free(&sources[i].slice);
    stored_part_free(&parts[i]);
  }
}

static enum tly_status fail_third_time(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  struct stored_source *source = context;
  if (source->next == 2)
    return TLY_FAIL(error, TLY_E_IO, "the disk is gone");
  return stored_source_next(context, out, error);
}

static void an_error_of_a_source_ends_the_merge_with_its_words(void **state) {
  struct fixture *fixture = *state;
  struct stored_part part = keys_of(fixture, 0, 1, 300, 50);
  struct stored_source source = {.stored = &part};
  tly_group_slice_init(&source.slice, fixture->program, 0);
  struct tly_group_source link = {.next = fail_third_time, .context = &source};
  tly_merge *merge = tly_merge_new(fixture->program, 0, &link, 1);
  struct tly_error error = TLY_ERROR_NONE;
  const struct tly_group_slice *slice;
  assert_int_equal(tly_merge_next(merge, 1000, &slice, &error), TLY_OK);
  assert_int_equal(tly_merge_next(merge, 1000, &slice, &error), TLY_OK);
  assert_int_equal(tly_merge_next(merge, 1000, &slice, &error), TLY_E_IO);
  assert_string_equal(error.message, "the disk is gone");
  tly_merge_free(merge);
  tly_group_slice_free(&source.slice);
  stored_part_free(&part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sources_that_do_not_overlap_are_strung_together),
      cmocka_unit_test(a_few_groups_over_a_large_source_are_added_in_place),
      cmocka_unit_test(very_many_sources_are_merged),
      cmocka_unit_test(parts_of_events_merge_to_what_all_events_fold_to),
      cmocka_unit_test(no_source_and_empty_sources_give_nothing),
      cmocka_unit_test(a_merge_is_a_source_of_merges),
      cmocka_unit_test(an_error_of_a_source_ends_the_merge_with_its_words),
  };
  return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
