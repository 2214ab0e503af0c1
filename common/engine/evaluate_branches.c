/* Nodes that decide by values which arguments a row evaluates, and nodes for which NULL is a value like others.
 *
 * All branches work alike: `open` holds the rows that are not decided yet. An argument is evaluated for those, the rows
 * it decides get their element in the result, and the others go on to the next argument. Rows that raise fall out of
 * `open` by tly_evaluator_live.
 *
 * A result that is put together from several arguments is a plain vector (never coded, never constant): each piece is
 * copied by tly_vector_copy_rows, which also brings numerics of different proofs to the result's form. */
#include <string.h>

#include "common/engine/kernel.h"

struct result {
  struct tly_vector vector;
  uint8_t *null; /* made when the first NULL comes */
};

static struct result result_new(tly_evaluator *evaluator, struct tly_type type) {
  return (struct result){.vector = tly_evaluator_vector(evaluator, type)};
}

static void set_null(tly_evaluator *evaluator, struct result *result, uint32_t row) {
  if (result->null == NULL)
    result->null = tly_evaluator_flags(evaluator);
  result->null[row] = 1;
}

static void give(struct result *result, struct tly_vector *out) {
  *out = result->vector;
  out->null = result->null;
}

/* Split `rows` into those where `vector` is NULL and those where it is not. */
static void split_null(tly_evaluator *evaluator, const struct tly_vector *vector, struct tly_rows rows,
                       struct tly_rows *null, struct tly_rows *present) {
  const struct tly_rows none = {.list = rows.list, .count = 0};
  if (vector->null == NULL || vector->is_constant) {
    bool is_null = tly_vector_is_null(vector, 0);
    *null = is_null ? rows : none;
    *present = is_null ? none : rows;
    return;
  }
  uint32_t *null_list = tly_evaluator_list(evaluator), null_count = 0;
  uint32_t *present_list = tly_evaluator_list(evaluator), present_count = 0;
  TLY_EACH_ROW (rows, row) {
    null_list[null_count] = row;
    present_list[present_count] = row;
    null_count += vector->null[row];
    present_count += vector->null[row] == 0;
  }
  *null = (struct tly_rows){.list = null_list, .count = null_count};
  *present = (struct tly_rows){.list = present_list, .count = present_count};
}

static void fill_null(tly_evaluator *evaluator, struct result *result, struct tly_rows rows) {
  TLY_EACH_ROW (rows, row)
    set_null(evaluator, result, row);
}

/* The piece of the result that `from` decides. */
static void fill(tly_evaluator *evaluator, struct result *result, const struct tly_vector *from, struct tly_rows rows) {
  struct tly_rows null, present;
  split_null(evaluator, from, tly_evaluator_live(evaluator, rows), &null, &present);
  fill_null(evaluator, result, null);
  tly_vector_copy_rows(&result->vector, from, present);
}

/* --- AND, OR, NOT and tests --------------------------------------------------------------------------------------- */

/* AND is decided by the first false, OR by the first true; a NULL on the way makes an undecided row NULL. */
static void evaluate_and_or(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                            struct tly_vector *out) {
  const int64_t decisive = expression->kind == TLY_EXPR_OR;
  struct result result = result_new(evaluator, expression->type);
  TLY_EACH_ROW (rows, row)
    result.vector.i64[row] = !decisive;
  struct tly_rows open = rows;
  for (uint32_t a = 0; a < expression->argument_count && open.count > 0; a++) {
    struct tly_vector argument;
    tly_evaluate_node(evaluator, expression->arguments[a], open, &argument);
    open = tly_evaluator_live(evaluator, open);
    uint32_t *list = tly_evaluator_list(evaluator), count = 0;
    TLY_EACH_ROW (open, row) {
      bool is_null = tly_vector_is_null(&argument, row);
      bool is_decided = !is_null && argument.i64[tly_vector_row(&argument, row)] == decisive;
      if (is_null)
        set_null(evaluator, &result, row);
      if (is_decided) {
        result.vector.i64[row] = decisive;
        if (result.null != NULL)
          result.null[row] = 0;
      }
      list[count] = row;
      count += !is_decided;
    }
    if (count < open.count)
      open = (struct tly_rows){.list = list, .count = count};
  }
  give(&result, out);
}

static void evaluate_not(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                         struct tly_vector *out) {
  struct tly_vector argument;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &argument);
  *out = tly_evaluator_vector(evaluator, expression->type);
  out->is_constant = argument.is_constant;
  out->null = argument.null;
  if (argument.is_constant)
    rows = (struct tly_rows){.list = NULL, .count = 1};
  TLY_EACH_ROW (rows, row)
    out->i64[row] = argument.i64[row] == 0;
}

/* One verdict for each of the three states of an argument. */
static void evaluate_test(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                          struct tly_vector *out) {
  struct tly_vector argument;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &argument);
  *out = tly_evaluator_vector(evaluator, expression->type);
  const enum tly_expr_kind kind = expression->kind;
  bool needs_value = kind != TLY_EXPR_IS_NULL && kind != TLY_EXPR_IS_NOT_NULL;
  bool of_null = kind == TLY_EXPR_IS_NULL || kind == TLY_EXPR_IS_NOT_TRUE || kind == TLY_EXPR_IS_NOT_FALSE;
  bool of_true = kind == TLY_EXPR_IS_NOT_NULL || kind == TLY_EXPR_IS_TRUE || kind == TLY_EXPR_IS_NOT_FALSE;
  bool of_false = kind == TLY_EXPR_IS_NOT_NULL || kind == TLY_EXPR_IS_FALSE || kind == TLY_EXPR_IS_NOT_TRUE;
  TLY_EACH_ROW (rows, row) {
    bool is_true = !needs_value || argument.i64[tly_vector_row(&argument, row)] != 0;
    out->i64[row] = tly_vector_is_null(&argument, row) ? of_null : is_true ? of_true : of_false;
  }
}

/* --- equality with NULLs ------------------------------------------------------------------------------------------ */

static void evaluate_equality(tly_evaluator *evaluator, const struct tly_expr *expression, const struct tly_vector *a,
                              const struct tly_vector *b, struct tly_rows rows, struct tly_vector *equal) {
  const struct tly_vector arguments[2] = {*a, *b};
  tly_kernel_apply(evaluator, expression->kernel, TLY_TYPE_OF(TLY_TYPE_BOOLEAN), expression->can_raise, arguments, 2,
                   rows, equal);
}

static bool is_true(const struct tly_vector *vector, uint32_t row) {
  return !tly_vector_is_null(vector, row) && vector->i64[tly_vector_row(vector, row)] != 0;
}

static void evaluate_distinct(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                              struct tly_vector *out) {
  struct tly_vector a, b, equal;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &a);
  tly_evaluate_node(evaluator, expression->arguments[1], rows, &b);
  rows = tly_evaluator_live(evaluator, rows);
  evaluate_equality(evaluator, expression, &a, &b, rows, &equal);
  *out = tly_evaluator_vector(evaluator, expression->type);
  bool of_same = expression->kind == TLY_EXPR_IS_NOT_DISTINCT;
  TLY_EACH_ROW (rows, row) {
    bool both_null = tly_vector_is_null(&a, row) && tly_vector_is_null(&b, row);
    out->i64[row] = (both_null || is_true(&equal, row)) == of_same;
  }
}

static void evaluate_nullif(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                            struct tly_vector *out) {
  struct tly_vector a, b, equal;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &a);
  tly_evaluate_node(evaluator, expression->arguments[1], rows, &b);
  rows = tly_evaluator_live(evaluator, rows);
  evaluate_equality(evaluator, expression, &a, &b, rows, &equal);
  struct tly_rows same = tly_evaluator_true_rows(evaluator, &equal, rows);
  struct result result = result_new(evaluator, expression->type);
  fill(evaluator, &result, &a, rows);
  fill_null(evaluator, &result, same);
  give(&result, out);
}

/* x IN (v, w, ...): true at the first equal one; without, NULL when x or any of them was NULL. */
static void evaluate_in(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                        struct tly_vector *out) {
  struct tly_vector probe;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &probe);
  struct result result = result_new(evaluator, expression->type);
  struct tly_rows open = tly_evaluator_live(evaluator, rows);
  for (uint32_t a = 1; a < expression->argument_count && open.count > 0; a++) {
    struct tly_vector candidate, equal;
    tly_evaluate_node(evaluator, expression->arguments[a], open, &candidate);
    evaluate_equality(evaluator, expression, &probe, &candidate, open, &equal);
    open = tly_evaluator_live(evaluator, open);
    uint32_t *list = tly_evaluator_list(evaluator), count = 0;
    TLY_EACH_ROW (open, row) {
      bool is_equal = is_true(&equal, row);
      if (tly_vector_is_null(&equal, row))
        set_null(evaluator, &result, row);
      if (is_equal) {
        result.vector.i64[row] = 1;
        if (result.null != NULL)
          result.null[row] = 0;
      }
      list[count] = row;
      count += !is_equal;
    }
    open = (struct tly_rows){.list = list, .count = count};
  }
  give(&result, out);
}

/* --- CASE, COALESCE, GREATEST, LEAST ------------------------------------------------------------------------------ */

/* `rows` without `chosen`, which is a part of them, and without those that have raised. */
static struct tly_rows rows_minus(tly_evaluator *evaluator, struct tly_rows rows, struct tly_rows chosen) {
  uint8_t *is_chosen = tly_evaluator_flags(evaluator);
  TLY_EACH_ROW (chosen, row)
    is_chosen[row] = 1;
  uint32_t *list = tly_evaluator_list(evaluator), count = 0;
  TLY_EACH_ROW (rows, row) {
    list[count] = row;
    count += is_chosen[row] == 0;
  }
  return tly_evaluator_live(evaluator, (struct tly_rows){.list = list, .count = count});
}

static void evaluate_case(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                          struct tly_vector *out) {
  TLY_ASSERT(expression->argument_count % 2 == 1);
  struct result result = result_new(evaluator, expression->type);
  struct tly_vector condition, value;
  uint32_t last = expression->argument_count - 1;
  struct tly_rows open = rows;
  for (uint32_t a = 0; a < last && open.count > 0; a += 2) {
    tly_evaluate_node(evaluator, expression->arguments[a], open, &condition);
    struct tly_rows chosen = tly_evaluator_true_rows(evaluator, &condition, open);
    open = rows_minus(evaluator, open, chosen);
    tly_evaluate_node(evaluator, expression->arguments[a + 1], chosen, &value);
    fill(evaluator, &result, &value, chosen);
  }
  tly_evaluate_node(evaluator, expression->arguments[last], open, &value);
  fill(evaluator, &result, &value, open);
  give(&result, out);
}

static void evaluate_coalesce(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                              struct tly_vector *out) {
  struct result result = result_new(evaluator, expression->type);
  struct tly_rows open = rows;
  for (uint32_t a = 0; a < expression->argument_count && open.count > 0; a++) {
    struct tly_vector argument;
    struct tly_rows present;
    tly_evaluate_node(evaluator, expression->arguments[a], open, &argument);
    open = tly_evaluator_live(evaluator, open);
    split_null(evaluator, &argument, open, &open, &present);
    tly_vector_copy_rows(&result.vector, &argument, present);
  }
  fill_null(evaluator, &result, open);
  give(&result, out);
}

static int compare_elements(const struct tly_vector *a, const struct tly_vector *b, uint32_t row) {
  struct tly_value left = tly_vector_value(a, row), right = tly_vector_value(b, row);
  return tly_value_compare(&left, &right);
}

/* Of equal values the one written first stays (it shows for numerics of unknown scale: greatest(1.0, 1) is 1.0). */
static void evaluate_extreme(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                             struct tly_vector *out) {
  const int wanted = expression->kind == TLY_EXPR_GREATEST ? 1 : -1;
  struct result best = result_new(evaluator, expression->type);
  uint8_t *has_value = tly_evaluator_flags(evaluator);
  for (uint32_t a = 0; a < expression->argument_count; a++) {
    struct tly_vector argument;
    tly_evaluate_node(evaluator, expression->arguments[a], rows, &argument);
    rows = tly_evaluator_live(evaluator, rows);
    struct tly_rows null, present;
    split_null(evaluator, &argument, rows, &null, &present);
    struct tly_vector candidate = tly_evaluator_vector(evaluator, expression->type);
    tly_vector_copy_rows(&candidate, &argument, present);
    uint32_t *list = tly_evaluator_list(evaluator), count = 0;
    TLY_EACH_ROW (present, row) {
      list[count] = row;
      count += !has_value[row] || compare_elements(&candidate, &best.vector, row) * wanted > 0;
      has_value[row] = 1;
    }
    tly_vector_copy_rows(&best.vector, &candidate, (struct tly_rows){.list = list, .count = count});
  }
  TLY_EACH_ROW (rows, row) {
    if (!has_value[row])
      set_null(evaluator, &best, row);
  }
  give(&best, out);
}

void tly_evaluate_branch(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                         struct tly_vector *out) {
  switch (expression->kind) {
  case TLY_EXPR_AND:
  case TLY_EXPR_OR: evaluate_and_or(evaluator, expression, rows, out); return;
  case TLY_EXPR_NOT: evaluate_not(evaluator, expression, rows, out); return;
  case TLY_EXPR_IS_NULL:
  case TLY_EXPR_IS_NOT_NULL:
  case TLY_EXPR_IS_TRUE:
  case TLY_EXPR_IS_NOT_TRUE:
  case TLY_EXPR_IS_FALSE:
  case TLY_EXPR_IS_NOT_FALSE: evaluate_test(evaluator, expression, rows, out); return;
  case TLY_EXPR_IS_DISTINCT:
  case TLY_EXPR_IS_NOT_DISTINCT: evaluate_distinct(evaluator, expression, rows, out); return;
  case TLY_EXPR_NULLIF: evaluate_nullif(evaluator, expression, rows, out); return;
  case TLY_EXPR_IN: evaluate_in(evaluator, expression, rows, out); return;
  case TLY_EXPR_CASE: evaluate_case(evaluator, expression, rows, out); return;
  case TLY_EXPR_COALESCE: evaluate_coalesce(evaluator, expression, rows, out); return;
  case TLY_EXPR_GREATEST:
  case TLY_EXPR_LEAST: evaluate_extreme(evaluator, expression, rows, out); return;
  default: TLY_UNREACHABLE();
  }
}
