/* tests/common/engine/test_expressions.c -- every kernel and branch against the answers of a real PostgreSQL 15.
 *
 * Each expression of postgresql_expressions.tsv is evaluated as it stands; then with its constants made columns, so
 * that the loops over rows must give what the constants gave: in all rows, in a list of rows, with NULLs among the
 * arguments, with dictionary-coded texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/engine/evaluate.h"
#include "common/sql/project.h"

enum { COLUMNS_MAX = 16, ROWS = 7, PADDING_ROWS = 40 };

struct fixture {
  struct tly_project *project;
  tly_evaluator *evaluator;
  struct tly_arena arena; /* of one expression */
};

static int open_fixture(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  assert_int_equal(setenv("TZDIR", "tests/common/value/zoneinfo", 1), 0);
  struct tly_diagnostics diagnostics;
  tly_diagnostics_init(&diagnostics);
  assert_int_equal(tly_project_parse("empty.sql", "", &diagnostics, &fixture->project), TLY_OK);
  tly_diagnostics_free(&diagnostics);
  fixture->evaluator = tly_evaluator_new();
  tly_arena_init(&fixture->arena);
  *state = fixture;
  return 0;
}

static int close_fixture(void **state) {
  struct fixture *fixture = *state;
  tly_arena_free(&fixture->arena);
  tly_evaluator_free(fixture->evaluator);
  tly_project_free(fixture->project);
  free(fixture);
  return 0;
}

struct each_case {
  char *expression, *answer;
};

/* The next line of the table; the text is cut in place. */
static bool next_case(char **text, struct each_case *out) {
  if (**text == '\0')
    return false;
  out->expression = *text;
  char *tab = strchr(*text, '\t'), *end = strchr(*text, '\n');
  assert_true(tab != NULL && end != NULL && tab < end);
  *tab = *end = '\0';
  out->answer = tab + 1;
  *text = end + 1;
  return true;
}

static char *read_cases(struct tly_buffer *buffer) {
  struct tly_error error = TLY_ERROR_NONE;
  assert_int_equal(tly_file_read("tests/common/engine/postgresql_expressions.tsv", 16 << 20, buffer, &error), TLY_OK);
  return tly_buffer_text(buffer);
}

/* The tree of `expression`; NULL and *error when the front end itself finds the error. */
static struct tly_expr *parse(struct fixture *fixture, const char *expression, struct tly_error *error) {
  struct tly_statement *statement;
  char *sql = tly_arena_print(&fixture->arena, "SELECT %s", expression);
  if (tly_query_parse(fixture->project, sql, strlen(sql), &fixture->arena, &statement, error) != TLY_OK)
    return NULL;
  return statement->query->targets[0];
}

static void answer_of_error(enum tly_status status, struct tly_buffer *out) {
  tly_buffer_print(out, "!%s", tly_status_sqlstate(status));
}

static void answer_of_value(const struct tly_value *value, struct tly_buffer *out) {
  if (value->is_null)
    tly_buffer_append_text(out, "\\N");
  else
    tly_value_print(value, out);
}

static const char *evaluate_constant(struct fixture *fixture, const struct tly_expr *tree, struct tly_buffer *out) {
  struct tly_evaluate_input input = {.row_count = 1};
  struct tly_value value;
  struct tly_error error = TLY_ERROR_NONE;
  tly_buffer_clear(out);
  tly_evaluator_reset(fixture->evaluator);
  enum tly_status status = tly_evaluate_value(fixture->evaluator, tree, &input, &value, &error);
  if (status == TLY_OK)
    answer_of_value(&value, out);
  else
    answer_of_error(status, out);
  return tly_buffer_text(out);
}

/* Doubles are compared by value: PostgreSQL prints a few of them one digit longer. */
static bool same_answer(const struct tly_expr *tree, const char *ours, const char *theirs) {
  if (strcmp(ours, theirs) == 0)
    return true;
  bool are_numbers =
      tree->type.id == TLY_TYPE_DOUBLE && ours[0] != '!' && theirs[0] != '!' && ours[0] != '\\' && theirs[0] != '\\';
  return are_numbers && strtod(ours, NULL) == strtod(theirs, NULL);
}

/* What tally refuses on purpose, or shows otherwise (docs/SQL.md): equal values may be shown in the least scale. */
static bool is_refused(enum tly_status status) {
  return status == TLY_E_NOT_SUPPORTED;
}

static void every_expression_equals_postgresql(void **state) {
  struct fixture *fixture = *state;
  struct tly_buffer cases = {0}, ours = {0};
  char *text = read_cases(&cases);
  unsigned count = 0, different = 0, refused = 0;
  for (struct each_case each; next_case(&text, &each); count++) {
    tly_arena_reset(&fixture->arena);
    struct tly_error error = TLY_ERROR_NONE;
    struct tly_expr *tree = parse(fixture, each.expression, &error);
    bool is_equal;
    if (tree == NULL && is_refused(error.status)) {
      refused++;
      continue;
    }
    if (tree == NULL) {
      tly_buffer_clear(&ours);
      answer_of_error(error.status, &ours);
      is_equal = strcmp(tly_buffer_text(&ours), each.answer) == 0;
    } else {
      is_equal = same_answer(tree, evaluate_constant(fixture, tree, &ours), each.answer);
    }
    if (!is_equal)
      print_error("%s: %s, but PostgreSQL says %s\n", each.expression, tly_buffer_text(&ours), each.answer);
    different += !is_equal;
  }
  print_message("%u expressions, %u refused by name\n", count, refused);
  assert_int_equal(different, 0);
  assert_true(count > 5000 && refused < count / 20);
  tly_buffer_free(&cases);
  tly_buffer_free(&ours);
}

/* --- constants made columns --------------------------------------------------------------------------------------- */

/* The constants of a tree, each of which becomes a column. Dates' units and the like stay: they are part of the meaning
 * of their type, not of a value. */
struct leaves {
  struct tly_expr *expression[COLUMNS_MAX];
  struct tly_value value[COLUMNS_MAX];
  uint32_t count;
};

static void take_leaves(struct tly_expr *tree, struct leaves *leaves) {
  if (tree->kind == TLY_EXPR_CONSTANT && leaves->count < COLUMNS_MAX) {
    leaves->expression[leaves->count] = tree;
    leaves->value[leaves->count++] = tree->constant;
  }
  for (uint32_t i = 0; i < tree->argument_count; i++)
    take_leaves(tree->arguments[i], leaves);
}

/* Whether these raise is known of a constant pattern, unit or field. */
static bool is_proven_by_constants(enum tly_kernel kernel) {
  switch (kernel) {
  case TLY_KERNEL_textlike:
  case TLY_KERNEL_textnlike:
  case TLY_KERNEL_texticlike:
  case TLY_KERNEL_texticnlike:
  case TLY_KERNEL_timestamp_trunc:
  case TLY_KERNEL_timestamptz_trunc:
  case TLY_KERNEL_extract_date:
  case TLY_KERNEL_extract_timestamp:
  case TLY_KERNEL_extract_timestamptz: return true;
  default: return false;
  }
}

/* What the front end proved of constants is no proof for columns with NULLs. */
static void forget_proofs(struct tly_expr *tree) {
  tree->nullable = true;
  tree->can_raise |= is_proven_by_constants(tree->kernel);
  for (uint32_t i = 0; i < tree->argument_count; i++)
    forget_proofs(tree->arguments[i]);
}

static void set_row(struct tly_vector *vector, uint8_t *null, uint32_t row, const struct tly_value *value) {
  null[row] = value->is_null;
  if (value->is_null)
    return;
  switch (tly_type_form(vector->type)) {
  case TLY_FORM_I64: vector->i64[row] = value->i64; break;
  case TLY_FORM_I128: vector->i128[row] = value->i128; break;
  case TLY_FORM_F64: vector->f64[row] = value->f64; break;
  case TLY_FORM_TEXT: vector->text[row] = value->text; break;
  case TLY_FORM_DECIMAL: vector->decimal[row] = value->decimal; break;
  case TLY_FORM_INTERVAL: vector->interval[row] = value->interval; break;
  }
}

/* In row r leaf l is NULL when (r >> l) & 1; rows that have no such bits repeat the original. */
static bool leaf_is_null(uint32_t leaf, uint32_t row) {
  return leaf < 3 && ((row % ROWS) >> leaf & 1) != 0;
}

static struct tly_vector column_of(const struct tly_value *value, uint32_t leaf, uint32_t rows,
                                   struct tly_arena *arena) {
  struct tly_vector vector = tly_vector_new(value->type, rows, arena);
  uint8_t *null = tly_arena_zero(arena, rows);
  for (uint32_t row = 0; row < rows; row++) {
    struct tly_value element = *value;
    element.is_null = value->is_null || leaf_is_null(leaf, row);
    set_row(&vector, null, row, &element);
  }
  vector.null = null;
  return vector;
}

/* The same text column as codes: entry 0 is somebody else's, entry 1 the value. */
static void code_column(struct tly_vector *vector, const struct tly_value *value, struct tly_arena *arena) {
  struct tly_text *entries = TLY_ARENA_ARRAY(arena, struct tly_text, 2);
  entries[0] = tly_text_of("somebody else");
  if (!value->is_null)
    entries[1] = value->text;
  struct tly_dictionary *dictionary = TLY_ARENA_NEW(arena, struct tly_dictionary);
  *dictionary = (struct tly_dictionary){.entries = entries, .count = 2};
  uint32_t *codes = TLY_ARENA_ARRAY(arena, uint32_t, vector->count);
  for (uint32_t row = 0; row < vector->count; row++)
    codes[row] = vector->null[row] ? 0 : 1;
  vector->text = NULL;
  vector->codes = codes;
  vector->dictionary = dictionary;
}

static void answer_of_row(struct fixture *fixture, const struct tly_vector *vector, uint32_t row,
                          struct tly_buffer *out) {
  const struct tly_row_error *raised = tly_evaluate_error(fixture->evaluator, row);
  tly_buffer_clear(out);
  if (raised != NULL) {
    answer_of_error(raised->status, out);
    return;
  }
  struct tly_value value = tly_vector_value(vector, row);
  answer_of_value(&value, out);
}

/* Row r as constants: what each row of the columns must give. */
static char *expected_of_row(struct fixture *fixture, struct tly_expr *tree, struct leaves *leaves, uint32_t row,
                             struct tly_buffer *out) {
  for (uint32_t l = 0; l < leaves->count; l++) {
    leaves->expression[l]->kind = TLY_EXPR_CONSTANT;
    leaves->expression[l]->constant = leaves->value[l];
    leaves->expression[l]->constant.is_null = leaves->value[l].is_null || leaf_is_null(l, row);
  }
  return strdup(evaluate_constant(fixture, tree, out));
}

static unsigned compare_rows(struct fixture *fixture, const char *text, struct tly_expr *tree, char **expected,
                             const struct tly_vector *columns, uint32_t row_count, const uint32_t *list,
                             uint32_t list_count) {
  struct tly_evaluate_input input = {.row_count = row_count, .columns = columns};
  struct tly_vector result;
  struct tly_buffer ours = {0};
  unsigned different = 0;
  tly_evaluator_reset(fixture->evaluator);
  tly_evaluate_begin(fixture->evaluator, &input);
  tly_evaluate(fixture->evaluator, tree, list, list_count, &result);
  for (uint32_t i = 0; i < (list == NULL ? row_count : list_count); i++) {
    uint32_t row = list == NULL ? i : list[i];
    answer_of_row(fixture, &result, row, &ours);
    if (strcmp(tly_buffer_text(&ours), expected[row % ROWS]) != 0) {
      print_error("%s, row %u of columns: %s, but of constants %s\n", text, row, tly_buffer_text(&ours),
                  expected[row % ROWS]);
      different++;
    }
  }
  tly_buffer_free(&ours);
  return different;
}

static void make_columns(struct tly_expr **expressions, uint32_t count, uint32_t only) {
  for (uint32_t l = 0; l < count; l++) {
    bool is_column = only == UINT32_MAX || only == l;
    expressions[l]->kind = is_column ? TLY_EXPR_COLUMN : TLY_EXPR_CONSTANT;
    expressions[l]->column = l;
  }
}

static unsigned check_columns(struct fixture *fixture, const char *text, struct tly_expr *tree, struct leaves *leaves) {
  struct tly_buffer out = {0};
  char *expected[ROWS];
  for (uint32_t row = 0; row < ROWS; row++)
    expected[row] = expected_of_row(fixture, tree, leaves, row, &out);
  const uint32_t row_count = PADDING_ROWS, list[] = {1, 3, 5, 7, 20, 39};
  struct tly_vector columns[COLUMNS_MAX];
  for (uint32_t l = 0; l < leaves->count; l++)
    columns[l] = column_of(&leaves->value[l], l, row_count, &fixture->arena);
  make_columns(leaves->expression, leaves->count, UINT32_MAX);
  unsigned different = compare_rows(fixture, text, tree, expected, columns, row_count, NULL, 0);
  different += compare_rows(fixture, text, tree, expected, columns, row_count, list, 6);
  for (uint32_t l = 0; l < leaves->count; l++) {
    if (tly_type_form(columns[l].type) == TLY_FORM_TEXT)
      code_column(&columns[l], &leaves->value[l], &fixture->arena);
  }
  different += compare_rows(fixture, text, tree, expected, columns, row_count, NULL, 0);
  for (uint32_t row = 0; row < ROWS; row++)
    free(expected[row]);
  tly_buffer_free(&out);
  return different;
}

/* One column, all others constants: the loops for a constant on either side. No NULLs: rows that are all alike. */
static unsigned check_single_columns(struct fixture *fixture, const char *text, struct tly_expr *tree,
                                     struct leaves *leaves) {
  struct tly_buffer out = {0};
  char *expected = expected_of_row(fixture, tree, leaves, 0, &out), *all[ROWS];
  for (uint32_t row = 0; row < ROWS; row++)
    all[row] = expected;
  struct tly_vector columns[COLUMNS_MAX];
  unsigned different = 0;
  for (uint32_t l = 0; l < leaves->count; l++) {
    columns[l] = column_of(&leaves->value[l], COLUMNS_MAX, PADDING_ROWS, &fixture->arena);
    if (!leaves->value[l].is_null)
      columns[l].null = NULL;
    make_columns(leaves->expression, leaves->count, l);
    for (uint32_t other = 0; other < leaves->count; other++)
      leaves->expression[other]->constant = leaves->value[other];
    different += compare_rows(fixture, text, tree, all, columns, PADDING_ROWS, NULL, 0);
    if (tly_type_form(columns[l].type) == TLY_FORM_TEXT && !leaves->value[l].is_null) {
      const uint8_t *null = tly_arena_zero(&fixture->arena, PADDING_ROWS);
      columns[l].null = null;
      code_column(&columns[l], &leaves->value[l], &fixture->arena);
      columns[l].null = NULL;
      different += compare_rows(fixture, text, tree, all, columns, PADDING_ROWS, NULL, 0);
    }
  }
  free(expected);
  tly_buffer_free(&out);
  return different;
}

static void a_column_gives_row_by_row_what_constants_give(void **state) {
  struct fixture *fixture = *state;
  struct tly_buffer cases = {0};
  char *text = read_cases(&cases);
  unsigned different = 0;
  for (struct each_case each; next_case(&text, &each);) {
    tly_arena_reset(&fixture->arena);
    struct tly_expr *tree = parse(fixture, each.expression, NULL);
    if (tree == NULL)
      continue;
    struct leaves leaves = {.count = 0};
    take_leaves(tree, &leaves);
    forget_proofs(tree);
    different += check_columns(fixture, each.expression, tree, &leaves);
    different += check_single_columns(fixture, each.expression, tree, &leaves);
  }
  assert_int_equal(different, 0);
  tly_buffer_free(&cases);
}

/* --- completeness ------------------------------------------------------------------------------------------------- */

static void mark_kernels(const struct tly_expr *tree, bool *seen) {
  seen[tree->kernel] = true;
  for (uint32_t i = 0; i < tree->argument_count; i++)
    mark_kernels(tree->arguments[i], seen);
}

static void every_kernel_of_the_catalogue_is_among_the_expressions(void **state) {
  struct fixture *fixture = *state;
  struct tly_buffer cases = {0};
  char *text = read_cases(&cases);
  bool seen[TLY_KERNEL_COUNT] = {false};
  for (struct each_case each; next_case(&text, &each);) {
    tly_arena_reset(&fixture->arena);
    struct tly_expr *tree = parse(fixture, each.expression, NULL);
    if (tree != NULL)
      mark_kernels(tree, seen);
  }
  unsigned missing = 0;
  for (int kernel = TLY_KERNEL_NONE + 1; kernel < TLY_KERNEL_COUNT; kernel++) {
    if (!seen[kernel])
      print_error("no expression uses %s\n", tly_kernel_name((enum tly_kernel)kernel));
    missing += !seen[kernel];
  }
  assert_int_equal(missing, 0);
  tly_buffer_free(&cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_expression_equals_postgresql),
      cmocka_unit_test(a_column_gives_row_by_row_what_constants_give),
      cmocka_unit_test(every_kernel_of_the_catalogue_is_among_the_expressions),
  };
  return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
