/* tests/batch_layer/test_drift_search.c -- which events explain a difference, over all kinds of states. */
#include "tests/common/store/view_fixture.h"

#include "batch_layer/drift_search.h"

#define STREAM "CREATE FOREIGN TABLE e (n integer NOT NULL, d double precision, t text) SERVER embedded;\n"

static struct tly_project *project;
static struct tly_view_program *program;

static void open_view(const char *select) {
  char text[600];
  snprintf(text, sizeof text, STREAM "CREATE MATERIALIZED VIEW v AS SELECT %s FROM e;", select);
  project = parse_project(text);
  program = tly_view_program_new(tly_project_view(project, "v"));
}

static int close_view(void **state) {
  (void)state;
  tly_view_program_free(program);
  tly_project_free(project);
  return 0;
}

static tly_fold *fold_of(const int *numbers, uint32_t count) {
  tly_fold *fold = tly_fold_new(program);
  struct tly_buffer lines = {0};
  for (uint32_t i = 0; i < count; i++)
    tly_buffer_print(&lines, "{\"n\":%d,\"d\":%d.125,\"t\":\"t%d\"}\n", numbers[i], numbers[i], numbers[i]);
  fold_lines(fold, tly_project_view(project, "v")->stream, tly_buffer_text(&lines), lines.size);
  tly_buffer_free(&lines);
  return fold;
}

static enum tly_status add(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)error;
  assert_true(tly_drift_search_add(context, slice, 0));
  return TLY_OK;
}

struct live {
  tly_drift_search *search;
  struct tly_drift_found *found;
};

static enum tly_status search_here(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  const struct live *live = context;
  return tly_drift_search_run(live->search, slice, 0, live->found, error);
}

/* What explains that live folded `live` where it should have folded `right`. */
static struct tly_drift_found found(const int *right, uint32_t right_count, const int *live, uint32_t live_count) {
  struct tly_drift_found result;
  tly_drift_search *search = tly_drift_search_new(program, 0, 100);
  for (uint32_t i = 0; i < right_count; i++) {
    tly_fold *fold = fold_of(&right[i], 1);
    assert_int_equal(tly_group_table_drain(tly_fold_part(fold, 0), 10, add, search, &test_error), TLY_OK);
    tly_fold_free(fold);
  }
  assert_int_equal(tly_drift_search_count(search), right_count);
  if (live_count == 0) {
    assert_int_equal(tly_drift_search_run(search, NULL, 0, &result, &test_error), TLY_OK);
  } else {
    struct live context = {.search = search, .found = &result};
    tly_fold *fold = fold_of(live, live_count);
    assert_int_equal(tly_group_table_drain(tly_fold_part(fold, 0), 10, search_here, &context, &test_error), TLY_OK);
    tly_fold_free(fold);
  }
  tly_drift_search_free(search);
  return result;
}

#define FOUND(right, live) found(right, sizeof(right) / sizeof *(right), live, sizeof(live) / sizeof *(live))

static void assert_is(struct tly_drift_found got, enum tly_drift_verdict verdict, uint32_t first, uint32_t count,
                      uint32_t alternatives) {
  assert_int_equal(got.verdict, verdict);
  assert_int_equal(got.first, first);
  assert_int_equal(got.count, count);
  assert_int_equal(got.alternatives, alternatives);
  assert_false(got.has_more);
}

static const int right[] = {5, 3, 8, 8, 2, 9, 4};
static const int without_2[] = {5, 3, 8, 8, 9, 4};
static const int with_9_twice[] = {5, 3, 8, 8, 2, 9, 4, 9};

static void states_of_every_kind_lead_to_the_event(void **state) {
  static const char *const selects[] = {"sum(n) AS s",      "count(*) AS c, sum(n) AS s",
                                        "sum(d) AS s",      "sum(n) AS s, min(n) AS a, max(t) AS b",
                                        "var_samp(n) AS v", "avg(n) AS a, count(*) FILTER (WHERE n > 4) AS c"};
  for (size_t i = 0; i < sizeof selects / sizeof *selects; i++) {
    open_view(selects[i]);
    assert_is(FOUND(right, without_2), TLY_DRIFT_LACKS, 4, 1, 0);
    assert_is(FOUND(right, with_9_twice), TLY_DRIFT_TWICE, 5, 1, 0);
    assert_is(FOUND(right, right), TLY_DRIFT_EQUAL, 0, 0, 0);
    close_view(state);
  }
  open_view("count(*) AS c");
}

static void a_lost_least_value_is_found_though_minima_cannot_be_subtracted(void **state) {
  (void)state;
  open_view("min(n) AS a, max(n) AS b");
  assert_is(FOUND(right, without_2), TLY_DRIFT_LACKS, 4, 1, 0);
}

static void counts_alone_leave_every_event_open(void **state) {
  (void)state;
  open_view("count(*) AS c");
  assert_is(FOUND(right, without_2), TLY_DRIFT_LACKS, 0, 1, 6);
}

static void the_shortest_run_of_neighbours_is_taken(void **state) {
  (void)state;
  static const int lost[] = {5, 3, 4};
  open_view("count(*) AS c, sum(n) AS s");
  assert_is(FOUND(right, lost), TLY_DRIFT_LACKS, 2, 4, 0);
}

static void events_that_are_no_neighbours_are_not_claimed(void **state) {
  (void)state;
  static const int lost[] = {3, 8, 8, 2, 9};
  open_view("count(*) AS c, sum(n) AS s");
  assert_is(FOUND(right, lost), TLY_DRIFT_UNKNOWN, 0, 0, 0);
}

static void a_live_side_without_the_key_lacks_all(void **state) {
  (void)state;
  open_view("count(*) AS c, sum(n) AS s");
  assert_is(found(right, 7, NULL, 0), TLY_DRIFT_LACKS, 0, 7, 0);
  assert_is(found(NULL, 0, right, 7), TLY_DRIFT_UNKNOWN, 0, 0, 0);
}

#define VIEW_TEST(name) cmocka_unit_test_teardown(name, close_view)

int main(void) {
  const struct CMUnitTest tests[] = {
      VIEW_TEST(states_of_every_kind_lead_to_the_event),
      VIEW_TEST(a_lost_least_value_is_found_though_minima_cannot_be_subtracted),
      VIEW_TEST(counts_alone_leave_every_event_open),
      VIEW_TEST(the_shortest_run_of_neighbours_is_taken),
      VIEW_TEST(events_that_are_no_neighbours_are_not_claimed),
      VIEW_TEST(a_live_side_without_the_key_lacks_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
