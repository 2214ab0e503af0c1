/* Every SQL text that people copy is SQL that works: the examples, and the ```sql blocks of README.md and docs. The
 * CREATE statements of a document are one project (the payments example when it has none), its SELECTs are queries
 * against it. */
#include <stdlib.h>

#include "common/base/file.h"
#include "common/sql/scan.h"
#include "tests/common/sql/sql_fixture.h"

static const char payments_example[] = "schemas/examples/payments/payments.sql";

static void append_file(const char *path, struct tly_buffer *out) {
  struct tly_error error;
  if (tly_file_read(path, 1 << 20, out, &error) != TLY_OK)
    fail_msg("%s", error.message);
  tly_buffer_append_text(out, "\n");
}

/* What stands between ```sql and ``` in a document. */
static void extract_blocks(const char *document, struct tly_buffer *out) {
  const char *at = document;
  while ((at = strstr(at, "```sql\n")) != NULL) {
    at += strlen("```sql\n");
    const char *end = strstr(at, "```");
    assert_non_null(end);
    tly_buffer_append(out, at, (size_t)(end - at));
    tly_buffer_append_text(out, "\n");
    at = end + 3;
  }
}

/* The next statement of *at, NULL at the end. */
static char *next_statement(const char **at, const char *end, struct tly_buffer *statement) {
  *at = tly_scan_blank(*at, end);
  if (*at == end)
    return NULL;
  const char *stop = tly_scan_statement(*at, end);
  tly_buffer_clear(statement);
  tly_buffer_append(statement, *at, (size_t)(stop - *at));
  *at = stop < end ? stop + 1 : end;
  return tly_buffer_text(statement);
}

static bool is_create(const char *statement) {
  return strncmp(statement, "CREATE ", 7) == 0;
}

static void open_project(const char *path, const char *definitions, struct fixture *fixture) {
  struct tly_buffer words = {.data = NULL};
  if (fixture_open(fixture, definitions) != TLY_OK) {
    tly_diagnostics_print(&fixture->diagnostics, &words);
    fail_msg("%s:\n%s", path, tly_buffer_text(&words));
  }
}

static unsigned check_queries(const char *path, const struct tly_buffer *sql, struct fixture *fixture) {
  struct tly_buffer statement = {.data = NULL};
  const char *at = (const char *)sql->data, *end = at + sql->size;
  unsigned queries = 0;
  for (char *text = next_statement(&at, end, &statement); text != NULL; text = next_statement(&at, end, &statement)) {
    if (is_create(text))
      continue;
    queries++;
    if (fixture_query(fixture, text) != TLY_OK)
      fail_msg("%s: %s\n%s", path, fixture->error.message, text);
  }
  tly_buffer_free(&statement);
  return queries;
}

static unsigned check_document(const char *path) {
  struct tly_buffer document = {.data = NULL}, sql = {.data = NULL}, definitions = {.data = NULL};
  struct tly_buffer statement = {.data = NULL};
  struct fixture fixture;
  append_file(path, &document);
  extract_blocks(tly_buffer_text(&document), &sql);
  const char *at = tly_buffer_text(&sql), *end = at + sql.size;
  unsigned created = 0;
  for (char *text = next_statement(&at, end, &statement); text != NULL; text = next_statement(&at, end, &statement))
    if (is_create(text)) {
      tly_buffer_print(&definitions, "%s;\n", text);
      created++;
    }
  if (created == 0)
    append_file(payments_example, &definitions);
  open_project(path, tly_buffer_text(&definitions), &fixture);
  unsigned queries = check_queries(path, &sql, &fixture);
  fixture_close(&fixture);
  tly_buffer_free(&document);
  tly_buffer_free(&sql);
  tly_buffer_free(&definitions);
  tly_buffer_free(&statement);
  return created + queries;
}

static void every_example_is_a_project(void **state) {
  static const char *const folders[] = {"schemas/examples/payments", "schemas/examples/orders",
                                        "schemas/examples/flights"};
  (void)state;
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
    struct tly_diagnostics diagnostics;
    struct tly_project *project;
    tly_diagnostics_init(&diagnostics);
    if (tly_project_load(folders[i], &diagnostics, &project) != TLY_OK)
      fail_msg("%s:%u: %s", diagnostics.items[0].file, diagnostics.items[0].line, diagnostics.items[0].message);
    assert_true(project->view_count > 0);
    tly_project_free(project);
    tly_diagnostics_free(&diagnostics);
  }
}

static void every_sql_text_of_the_documents_is_taken(void **state) {
  char **names;
  size_t count;
  (void)state;
  assert_int_equal(tly_file_list("docs", ".md", &names, &count, NULL), TLY_OK);
  unsigned statements = tly_file_exists("README.md") ? check_document("README.md") : 0;
  for (size_t i = 0; i < count; i++) {
    char path[300];
    snprintf(path, sizeof path, "docs/%s", names[i]);
    statements += check_document(path);
  }
  assert_true(statements >= 7); /* those of docs/SQL.md alone */
  tly_file_list_free(names, count);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_example_is_a_project),
      cmocka_unit_test(every_sql_text_of_the_documents_is_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
