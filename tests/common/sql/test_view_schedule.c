/* tests/common/sql/test_view_schedule.c -- when views are recomputed, and with which others. */
#include "common/sql/view_schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STREAM              "CREATE FOREIGN TABLE pay (account text, at timestamptz) SERVER embedded OPTIONS (format 'json');\n"
#define VIEW(name, options) "CREATE MATERIALIZED VIEW " name " WITH (" options ") AS SELECT count(*) AS n FROM pay;\n"

static struct tly_project *parse_project(const char *definitions) {
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("test.sql", definitions, &diagnostics, &project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  return project;
}

static void the_views_of_a_job_share_the_schedule_that_one_of_them_gives(void **state) {
  (void)state;
  struct tly_project *project = parse_project(
      STREAM VIEW("a", "job = 'night-run'") VIEW("b", "job = 'night-run', recompute = '0 2 * * *', time_zone = 'UTC'")
          VIEW("c", "job = 'night-run'") VIEW("d", "recompute = '@hourly'") VIEW("e", "job = 'by_hand'"));
  for (uint32_t v = 0; v < 3; v++) {
    assert_string_equal(project->views[v].job, "night-run");
    assert_string_equal(project->views[v].recompute, "0 2 * * *");
    assert_string_equal(project->views[v].time_zone, "UTC");
    assert_string_equal(tly_view_schedule_name(&project->views[v]), "night-run");
  }
  assert_null(project->views[3].job);
  assert_string_equal(tly_view_schedule_name(&project->views[3]), "d");
  assert_null(project->views[4].recompute); /* nobody says when: it is recomputed by hand */
  tly_project_free(project);
}

static void views_may_say_the_same_twice(void **state) {
  (void)state;
  struct tly_project *project =
      parse_project(STREAM VIEW("a", "job = 'j', recompute = '@daily'") VIEW("b", "recompute = '@daily', job = 'j'"));
  assert_string_equal(project->views[1].recompute, "@daily");
  tly_project_free(project);
}

static void neither_schedule_nor_job_is_part_of_the_definition(void **state) {
  (void)state;
  struct tly_project *alone = parse_project(STREAM VIEW("a", "recompute = '@daily'"));
  struct tly_project *in_job = parse_project(STREAM VIEW("a", "job = 'j'"));
  assert_memory_equal(&alone->views[0].hash, &in_job->views[0].hash, sizeof in_job->views[0].hash);
  tly_project_free(alone);
  tly_project_free(in_job);
}

/* The problems of a project as line:column SQLSTATE message. */
static void assert_refused(const char *definitions, const char *expected) {
  struct tly_diagnostics diagnostics;
  struct tly_project *project;
  char words[2000] = "";
  tly_diagnostics_init(&diagnostics);
  assert_int_not_equal(tly_project_parse("test.sql", definitions, &diagnostics, &project), TLY_OK);
  assert_null(project);
  for (uint32_t i = 0; i < diagnostics.count; i++) {
    const struct tly_diagnostic *problem = &diagnostics.items[i];
    size_t used = strlen(words);
    snprintf(words + used, sizeof words - used, "%u:%u %s %s", problem->line, problem->column,
             tly_status_sqlstate(problem->status), problem->message);
  }
  assert_string_equal(words, expected);
  tly_diagnostics_free(&diagnostics);
}

static void what_does_not_agree_is_refused_where_it_stands(void **state) {
  (void)state;
  assert_refused(STREAM VIEW("a", "job = 'j', recompute = '@daily'") VIEW("b", "job = 'j', recompute = '@hourly'"),
                 "3:45 22023 job \"j\" has another schedule already: view \"a\" says '@daily' by the clocks of UTC");
  assert_refused(STREAM VIEW("a", "job = 'j', recompute = '@daily'")
                     VIEW("b", "job = 'j', recompute = '@daily', time_zone = 'UTC'"),
                 "3:67 22023 job \"j\" has another schedule already: view \"a\" says '@daily' by the clocks of UTC");
  assert_refused(STREAM VIEW("a", "job = 'j', time_zone = 'UTC'"),
                 "2:45 22023 time_zone without recompute: a view that leaves its schedule to its job has the job's");
  assert_refused(STREAM VIEW("a", "job = ''"),
                 "2:34 22023 the name of a job has letters, digits, _ and - only, at most 63");
  assert_refused(STREAM VIEW("a", "job = 'x y'"),
                 "2:34 22023 the name of a job has letters, digits, _ and - only, at most 63");
  assert_refused(STREAM VIEW("a", "job = 'a'"), "2:34 42710 \"a\" is already the name of a view");
  assert_refused(STREAM VIEW("a", "job = 'b'") VIEW("b", "recompute = '@daily'"),
                 "3:26 42710 \"b\" is already the name of a job, that of view \"a\"");
  assert_refused(STREAM VIEW("b", "recompute = '@daily'") VIEW("a", "job = 'b'"),
                 "3:34 42710 \"b\" is already the name of a view");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_views_of_a_job_share_the_schedule_that_one_of_them_gives),
      cmocka_unit_test(views_may_say_the_same_twice),
      cmocka_unit_test(neither_schedule_nor_job_is_part_of_the_definition),
      cmocka_unit_test(what_does_not_agree_is_refused_where_it_stands),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
