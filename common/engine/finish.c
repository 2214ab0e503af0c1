/* Merged states become a view's rows: the aggregates that HAVING or a wanted output mentions, for all groups of the
 * slice; then HAVING; then the outputs, for the groups it lets through. As in PostgreSQL an aggregate that cannot be
 * finished (a sum that leaves bigint) raises whether or not HAVING would have let its group through. */
#include "common/engine/finish.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/engine/group_state.h"
#include "common/engine/kernel.h"
#include "common/value/ordered_key.h"

struct tly_finisher {
  const struct tly_view_program *program;
  tly_evaluator *evaluator;
  struct tly_arena arena; /* keys */
  struct tly_vector *keys, *aggregates, *outputs;
  bool *key_needed, *aggregate_needed;
};

tly_finisher *tly_finisher_new(const struct tly_view_program *program) {
  const struct tly_view *view = program->view;
  tly_finisher *finisher = tly_calloc(1, sizeof *finisher);
  finisher->program = program;
  finisher->evaluator = tly_evaluator_new();
  tly_arena_init(&finisher->arena);
  finisher->keys = tly_calloc(view->key_count, sizeof *finisher->keys);
  finisher->aggregates = tly_calloc(view->aggregate_count, sizeof *finisher->aggregates);
  finisher->outputs = tly_calloc(view->output_count, sizeof *finisher->outputs);
  finisher->key_needed = tly_calloc(view->key_count, sizeof(bool));
  finisher->aggregate_needed = tly_calloc(view->aggregate_count, sizeof(bool));
  return finisher;
}

void tly_finisher_free(tly_finisher *finisher) {
  if (finisher == NULL)
    return;
  tly_evaluator_free(finisher->evaluator);
  tly_arena_free(&finisher->arena);
  tly_free(finisher->keys);
  tly_free(finisher->aggregates);
  tly_free(finisher->outputs);
  tly_free(finisher->key_needed);
  tly_free(finisher->aggregate_needed);
  tly_free(finisher);
}

/* --- what is needed ----------------------------------------------------------------------------------------------- */

static void mark_needed(tly_finisher *finisher, const struct tly_expr *expression) {
  if (expression == NULL)
    return;
  if (expression->kind == TLY_EXPR_KEY)
    finisher->key_needed[expression->column] = true;
  if (expression->kind == TLY_EXPR_AGGREGATE)
    finisher->aggregate_needed[expression->column] = true;
  for (uint32_t i = 0; i < expression->argument_count; i++)
    mark_needed(finisher, expression->arguments[i]);
}

static void mark_all_needed(tly_finisher *finisher, const bool *wanted) {
  const struct tly_view *view = finisher->program->view;
  memset(finisher->key_needed, 0, view->key_count * sizeof(bool));
  memset(finisher->aggregate_needed, 0, view->aggregate_count * sizeof(bool));
  mark_needed(finisher, view->having);
  for (uint32_t o = 0; o < view->output_count; o++) {
    if (wanted == NULL || wanted[o])
      mark_needed(finisher, view->outputs[o].expression);
  }
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static void set_element(struct tly_vector *vector, uint8_t *null, uint32_t row, const struct tly_value *value) {
  if (value->is_null) {
    null[row] = 1;
    return;
  }
  switch (tly_type_form(vector->type)) {
  case TLY_FORM_I64: vector->i64[row] = value->i64; return;
  case TLY_FORM_I128: vector->i128[row] = value->i128; return;
  case TLY_FORM_F64: vector->f64[row] = value->f64; return;
  case TLY_FORM_TEXT: vector->text[row] = value->text; return;
  case TLY_FORM_DECIMAL: vector->decimal[row] = value->decimal; return;
  case TLY_FORM_INTERVAL: break;
  }
  TLY_UNREACHABLE();
}

/* A key is read up to the last column that is needed. */
static enum tly_status read_keys(tly_finisher *finisher, const struct tly_group_slice *slice, struct tly_error *error) {
  const struct tly_part *part = &finisher->program->parts[0];
  uint32_t last = 0; /* number of columns to read */
  for (uint32_t k = 0; k < part->key_count; k++)
    last = finisher->key_needed[k] ? k + 1 : last;
  uint8_t **nulls = TLY_ARENA_ARRAY(&finisher->arena, uint8_t *, last);
  for (uint32_t k = 0; k < last; k++) {
    finisher->keys[k] = tly_vector_new(part->key_types[k], slice->count, &finisher->arena);
    nulls[k] = tly_arena_zero(&finisher->arena, slice->count);
    finisher->keys[k].null = nulls[k];
  }
  for (uint32_t row = 0; last > 0 && row < slice->count; row++) {
    struct tly_cursor cursor = tly_cursor_of(slice->keys[row].data, slice->keys[row].size);
    for (uint32_t k = 0; k < last; k++) {
      struct tly_value value;
      TLY_TRY(tly_key_read(&cursor, part->key_types[k], &finisher->arena, &value, error));
      set_element(&finisher->keys[k], nulls[k], row, &value);
    }
  }
  return TLY_OK;
}

/* --- aggregates --------------------------------------------------------------------------------------------------- */

/* One aggregate of the slice while it is finished. */
struct finishing {
  const struct tly_view_program *program;
  const struct tly_aggregate_plan *plan;
  const struct tly_state_column *states;
  struct tly_arena *arena;
  /* Of a whole slice: */
  tly_evaluator *evaluator;
  uint32_t count;
  struct tly_vector *out;
  uint8_t *null;
};

static struct tly_decimal sum_of(const struct finishing *finishing, int32_t number, uint32_t row) {
  const struct tly_component *component = &finishing->program->components[number];
  const struct tly_state_column *column = &finishing->states[number];
  if (column->form == TLY_STATE_DECIMAL)
    return column->decimal[row];
  int32_t scale = component->type.scale;
  return tly_decimal_of_i128(column->i128[row], component->kind == TLY_COMPONENT_SUM_SQUARES ? 2 * scale : scale);
}

/* How many values the aggregate is over. */
static int64_t count_of(const struct finishing *finishing, uint32_t row) {
  return finishing->states[finishing->plan->count].i64[row];
}

/* How many it has to be over at least: below that it is NULL. */
static int64_t least_count(const struct tly_aggregate_plan *plan) {
  enum tly_aggregate_function function = plan->aggregate->function;
  return function == TLY_AGGREGATE_VAR_SAMP || function == TLY_AGGREGATE_STDDEV_SAMP ? 2 : 1;
}

static enum tly_status bigint_sum(const struct finishing *finishing, uint32_t row, int64_t *out,
                                  struct tly_error *error) {
  tly_i128 sum = finishing->states[finishing->plan->sum].i128[row];
  if (sum < INT64_MIN || sum > INT64_MAX)
    return TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "bigint out of range");
  *out = (int64_t)sum;
  return TLY_OK;
}

static enum tly_status double_result(const struct finishing *finishing, uint32_t row, double *out,
                                     struct tly_error *error) {
  const struct tly_exact_sum *sum = &finishing->states[finishing->plan->sum].exact_sum[row];
  if (finishing->plan->aggregate->function == TLY_AGGREGATE_SUM)
    return tly_exact_sum_result(sum, out, error);
  return tly_exact_sum_average(sum, count_of(finishing, row), out, error);
}

static enum tly_variance variance_kind(enum tly_aggregate_function function) {
  switch (function) {
  case TLY_AGGREGATE_VAR_SAMP: return TLY_VAR_SAMP;
  case TLY_AGGREGATE_VAR_POP: return TLY_VAR_POP;
  case TLY_AGGREGATE_STDDEV_SAMP: return TLY_STDDEV_SAMP;
  case TLY_AGGREGATE_STDDEV_POP: return TLY_STDDEV_POP;
  default: TLY_UNREACHABLE();
  }
}

/* sum, avg, var and stddev over integers and numerics, in numeric. */
static enum tly_status numeric_result(const struct finishing *finishing, uint32_t row, struct tly_decimal *out,
                                      struct tly_error *error) {
  const struct tly_aggregate_plan *plan = finishing->plan;
  struct tly_decimal sum = sum_of(finishing, plan->sum, row);
  int64_t count = count_of(finishing, row);
  switch (plan->aggregate->function) {
  case TLY_AGGREGATE_SUM: *out = sum; return TLY_OK;
  case TLY_AGGREGATE_AVG: return tly_decimal_average(sum, count, finishing->arena, out, error);
  default:
    return tly_decimal_variance(variance_kind(plan->aggregate->function), sum,
                                sum_of(finishing, plan->sum_squares, row), count, finishing->arena, out, error);
  }
}

/* Sums and what is made of them, for each row of the slice. */
static void finish_sums(const struct finishing *finishing) {
  int64_t least = least_count(finishing->plan);
  enum tly_type_id type = finishing->plan->aggregate->type.id;
  struct tly_error error = TLY_ERROR_NONE;
  for (uint32_t row = 0; row < finishing->count; row++) {
    struct tly_decimal result;
    enum tly_status status;
    if (count_of(finishing, row) < least) {
      finishing->null[row] = 1;
      continue;
    }
    if (type == TLY_TYPE_BIGINT)
      status = bigint_sum(finishing, row, &finishing->out->i64[row], &error);
    else if (type == TLY_TYPE_DOUBLE)
      status = double_result(finishing, row, &finishing->out->f64[row], &error);
    else if ((status = numeric_result(finishing, row, &result, &error)) == TLY_OK)
      tly_vector_set_decimal(finishing->out, row, result);
    if (status != TLY_OK)
      tly_evaluator_raise_error(finishing->evaluator, row, &error);
  }
}

static void finish_extreme(const struct finishing *finishing) {
  const struct tly_state_column *column = &finishing->states[finishing->plan->extreme];
  struct tly_vector source = {.type = finishing->program->components[finishing->plan->extreme].type,
                              .count = finishing->count,
                              .i64 = column->i64}; /* a state's forms are the vector's */
  uint32_t *list = tly_evaluator_list(finishing->evaluator), present = 0;
  for (uint32_t row = 0; row < finishing->count; row++) {
    bool is_empty = column->empty != NULL && column->empty[row] != 0;
    finishing->null[row] = is_empty;
    list[present] = row;
    present += !is_empty;
  }
  tly_vector_copy_rows(finishing->out, &source, (struct tly_rows){.list = list, .count = present});
}

static void finish_count(const struct finishing *finishing, const int64_t *const *distinct_counts) {
  const struct tly_aggregate_plan *plan = finishing->plan;
  const int64_t *counts = plan->part > 0 ? distinct_counts[plan->part - 1] : finishing->states[plan->count].i64;
  memcpy(finishing->out->i64, counts, finishing->count * sizeof *counts);
}

static void finish_aggregate(tly_finisher *finisher, uint32_t number, const struct tly_group_slice *slice,
                             const int64_t *const *distinct_counts) {
  const struct tly_aggregate_plan *plan = &finisher->program->plans[number];
  struct tly_vector *out = &finisher->aggregates[number];
  *out = tly_evaluator_vector(finisher->evaluator, plan->aggregate->type);
  uint8_t *null = tly_evaluator_flags(finisher->evaluator);
  out->null = null;
  const struct finishing finishing = {.program = finisher->program,
                                      .plan = plan,
                                      .states = slice->states,
                                      .arena = &finisher->evaluator->arena,
                                      .evaluator = finisher->evaluator,
                                      .count = slice->count,
                                      .out = out,
                                      .null = null};
  if (plan->aggregate->function == TLY_AGGREGATE_COUNT)
    finish_count(&finishing, distinct_counts);
  else if (plan->extreme >= 0)
    finish_extreme(&finishing);
  else
    finish_sums(&finishing);
}

/* --- one value ---------------------------------------------------------------------------------------------------- */

bool tly_finish_is_direct(const struct tly_view_program *program, uint32_t output) {
  const struct tly_expr *expression = program->view->outputs[output].expression;
  return expression->kind == TLY_EXPR_KEY ||
         (expression->kind == TLY_EXPR_AGGREGATE && program->plans[expression->column].part == 0);
}

static enum tly_status key_value(const struct tly_part *part, uint32_t column, struct tly_text key,
                                 struct tly_arena *arena, struct tly_value *out, struct tly_error *error) {
  struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
  for (uint32_t k = 0; k <= column; k++)
    TLY_TRY(tly_key_read(&cursor, part->key_types[k], arena, out, error));
  return TLY_OK;
}

/* MIN and MAX: a state's forms are those of values. */
static struct tly_value extreme_value(const struct tly_state_column *column, struct tly_type type, uint32_t row) {
  struct tly_value value = {.type = type, .is_null = column->empty != NULL && column->empty[row] != 0};
  if (value.is_null)
    return value;
  switch (column->form) {
  case TLY_STATE_I64: value.i64 = column->i64[row]; return value;
  case TLY_STATE_I128: value.i128 = column->i128[row]; return value;
  case TLY_STATE_F64: value.f64 = column->f64[row]; return value;
  case TLY_STATE_DECIMAL: value.decimal = column->decimal[row]; return value;
  case TLY_STATE_TEXT: value.text = column->text[row]; return value;
  case TLY_STATE_EXACT_SUM: break;
  }
  TLY_UNREACHABLE();
}

static enum tly_status aggregate_value(const struct finishing *finishing, uint32_t row, struct tly_value *out,
                                       struct tly_error *error) {
  const struct tly_aggregate_plan *plan = finishing->plan;
  struct tly_type type = plan->aggregate->type;
  struct tly_decimal decimal;
  *out = (struct tly_value){.type = type};
  if (plan->aggregate->function == TLY_AGGREGATE_COUNT) {
    out->i64 = count_of(finishing, row);
    return TLY_OK;
  }
  if (plan->extreme >= 0) {
    *out = extreme_value(&finishing->states[plan->extreme], finishing->program->components[plan->extreme].type, row);
    if (type.id == TLY_TYPE_NUMERIC && !out->is_null)
      *out = tly_value_of_decimal(type, tly_value_decimal(out));
    out->type = type;
    return TLY_OK;
  }
  out->is_null = count_of(finishing, row) < least_count(plan);
  if (out->is_null)
    return TLY_OK;
  if (type.id == TLY_TYPE_BIGINT)
    return bigint_sum(finishing, row, &out->i64, error);
  if (type.id == TLY_TYPE_DOUBLE)
    return double_result(finishing, row, &out->f64, error);
  TLY_TRY(numeric_result(finishing, row, &decimal, error));
  *out = tly_value_of_decimal(type, decimal);
  return TLY_OK;
}

enum tly_status tly_finish_value(const struct tly_group_slice *slice, uint32_t row, uint32_t output,
                                 struct tly_arena *arena, struct tly_value *out, struct tly_error *error) {
  const struct tly_view_program *program = slice->program;
  const struct tly_expr *expression = program->view->outputs[output].expression;
  TLY_ASSERT(tly_finish_is_direct(program, output) && row < slice->count);
  if (expression->kind == TLY_EXPR_KEY)
    return key_value(&program->parts[0], expression->column, slice->keys[row], arena, out, error);
  const struct finishing finishing = {
      .program = program, .plan = &program->plans[expression->column], .states = slice->states, .arena = arena};
  return aggregate_value(&finishing, row, out, error);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static enum tly_status first_error(const tly_finisher *finisher, uint32_t count, struct tly_error *error) {
  for (uint32_t row = 0; tly_evaluate_error_count(finisher->evaluator) > 0 && row < count; row++) {
    const struct tly_row_error *raised = tly_evaluate_error(finisher->evaluator, row);
    if (raised != NULL)
      return TLY_FAIL(error, raised->status, "%s", raised->message);
  }
  return TLY_OK;
}

static uint32_t rows_of_having(tly_finisher *finisher, uint32_t count, const uint32_t **rows) {
  const struct tly_expr *having = finisher->program->view->having;
  if (having != NULL)
    return tly_evaluate_filter(finisher->evaluator, having, NULL, count, rows);
  uint32_t *all = tly_evaluator_list(finisher->evaluator);
  for (uint32_t row = 0; row < count; row++)
    all[row] = row;
  *rows = all;
  return count;
}

enum tly_status tly_finish(tly_finisher *finisher, const struct tly_group_slice *slice,
                           const int64_t *const *distinct_counts, const bool *wanted, const struct tly_vector **outputs,
                           const uint32_t **rows, uint32_t *row_count, struct tly_error *error) {
  const struct tly_view *view = finisher->program->view;
  TLY_ASSERT(slice->part == 0 && slice->count <= TLY_EVALUATE_ROWS);
  tly_evaluator_reset(finisher->evaluator);
  tly_arena_reset(&finisher->arena);
  mark_all_needed(finisher, wanted);
  TLY_TRY(read_keys(finisher, slice, error));
  struct tly_evaluate_input input = {
      .row_count = slice->count, .keys = finisher->keys, .aggregates = finisher->aggregates};
  tly_evaluate_begin(finisher->evaluator, &input);
  for (uint32_t a = 0; a < view->aggregate_count; a++) {
    if (finisher->aggregate_needed[a])
      finish_aggregate(finisher, a, slice, distinct_counts);
  }
  *row_count = rows_of_having(finisher, slice->count, rows);
  for (uint32_t o = 0; o < view->output_count; o++) {
    if (wanted == NULL || wanted[o])
      tly_evaluate(finisher->evaluator, view->outputs[o].expression, *rows, *row_count, &finisher->outputs[o]);
  }
  *outputs = finisher->outputs;
  return first_error(finisher, slice->count, error);
}

void tly_finish_empty_group(const struct tly_view_program *program, struct tly_group_slice *slice) {
  TLY_ASSERT(slice->program == program && slice->part == 0 && program->parts[0].key_count == 0);
  tly_group_slice_reset(slice);
  slice->keys = TLY_ARENA_ARRAY(&slice->arena, struct tly_text, 1);
  slice->keys[0].data = "";
  tly_states_reserve(program, 0, slice->states, 1, &slice->arena);
  tly_states_init(program, 0, slice->states, 0);
  slice->count = 1;
}
