/* Evaluation is a walk over the tree in which every step is a loop over rows. A node gets the rows that reach it and
 * gives a vector with an element for each of them; what stands at other rows is nobody's business. So a branch is a
 * shorter list of rows, and an error is a row that is on no later list.
 *
 * Order. PostgreSQL evaluates arguments from left to right and stops at the first that raises. Here all rows evaluate
 * the first argument, then those that did not raise evaluate the second, and so on: for each row alone the order is the
 * same, hence so is its first error.
 *
 * Constants. A node whose arguments are all constant is computed once; if that raises, every row that reached it
 * raises.
 *
 * Dictionaries. A kernel over one dictionary-coded text whose other arguments are constant is computed once a
 * dictionary entry when that is less work, provided that it cannot raise (an entry that no row refers to must not
 * matter).
 *
 * INVARIANTS
 *   (1) error_count is the number of rows whose status is not TLY_OK.
 *   (2) No kernel is called for a row that has raised or one of whose arguments is NULL. */
#include "common/engine/evaluate.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/engine/kernel.h"

static const tly_kernel_function kernels[TLY_KERNEL_COUNT] = {
#define TLY_CATALOG_KERNEL(name) [TLY_KERNEL_##name] = tly_kernel_##name,
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_KERNEL
};

tly_evaluator *tly_evaluator_new(void) {
  tly_evaluator *evaluator = tly_calloc(1, sizeof *evaluator);
  tly_arena_init(&evaluator->arena);
  return evaluator;
}

void tly_evaluator_free(tly_evaluator *evaluator) {
  if (evaluator == NULL)
    return;
  tly_arena_free(&evaluator->arena);
  tly_free(evaluator);
}

static void clear_errors(tly_evaluator *evaluator) {
  for (uint32_t row = 0; evaluator->error_count > 0 && row < evaluator->row_count; row++)
    evaluator->errors[row].status = TLY_OK;
  evaluator->error_count = 0;
}

void tly_evaluator_reset(tly_evaluator *evaluator) {
  clear_errors(evaluator);
  evaluator->input = NULL;
  evaluator->row_count = 0;
  tly_arena_reset(&evaluator->arena);
}

void tly_evaluate_begin(tly_evaluator *evaluator, const struct tly_evaluate_input *input) {
  TLY_ASSERT(input->row_count <= TLY_EVALUATE_ROWS);
  clear_errors(evaluator);
  evaluator->input = input;
  evaluator->row_count = input->row_count;
}

const struct tly_row_error *tly_evaluate_error(const tly_evaluator *evaluator, uint32_t row) {
  TLY_ASSERT(row < evaluator->row_count);
  return evaluator->errors[row].status == TLY_OK ? NULL : &evaluator->errors[row];
}

uint32_t tly_evaluate_error_count(const tly_evaluator *evaluator) {
  return evaluator->error_count;
}

/* --- rows and vectors --------------------------------------------------------------------------------------------- */

static void raise_one(tly_evaluator *evaluator, uint32_t row, enum tly_status status, const char *message) {
  TLY_ASSERT(row < evaluator->row_count && status != TLY_OK);
  if (evaluator->errors[row].status != TLY_OK)
    return;
  evaluator->errors[row] = (struct tly_row_error){.status = status, .message = message};
  evaluator->error_count++;
}

void tly_evaluator_raise(tly_evaluator *evaluator, uint32_t row, enum tly_status status, const char *message) {
  if (!evaluator->is_spread) {
    raise_one(evaluator, row, status, message);
    return;
  }
  TLY_EACH_ROW (evaluator->spread, each)
    raise_one(evaluator, each, status, message);
}

void tly_evaluator_raise_error(tly_evaluator *evaluator, uint32_t row, const struct tly_error *error) {
  const char *message = tly_arena_copy(&evaluator->arena, error->message, strlen(error->message));
  tly_evaluator_raise(evaluator, row, error->status, message);
}

uint32_t *tly_evaluator_list(tly_evaluator *evaluator) {
  return tly_arena_alloc(&evaluator->arena, sizeof(uint32_t) * evaluator->row_count);
}

uint8_t *tly_evaluator_flags(tly_evaluator *evaluator) {
  return tly_arena_zero(&evaluator->arena, evaluator->row_count);
}

struct tly_rows tly_evaluator_live(tly_evaluator *evaluator, struct tly_rows rows) {
  if (evaluator->error_count == 0)
    return rows;
  uint32_t *list = tly_evaluator_list(evaluator), count = 0;
  TLY_EACH_ROW (rows, row) {
    list[count] = row;
    count += evaluator->errors[row].status == TLY_OK;
  }
  return (struct tly_rows){.list = list, .count = count};
}

struct tly_vector tly_evaluator_vector(tly_evaluator *evaluator, struct tly_type type) {
  return tly_vector_new(type, evaluator->row_count, &evaluator->arena);
}

struct tly_vector tly_evaluator_null(tly_evaluator *evaluator, struct tly_type type) {
  struct tly_value null = tly_value_null(type);
  return tly_vector_of_value(&null, evaluator->row_count, &evaluator->arena);
}

struct tly_rows tly_evaluator_true_rows(tly_evaluator *evaluator, const struct tly_vector *condition,
                                        struct tly_rows rows) {
  TLY_ASSERT(condition->type.id == TLY_TYPE_BOOLEAN);
  rows = tly_evaluator_live(evaluator, rows);
  if (condition->is_constant) {
    bool is_true = !tly_vector_is_null(condition, 0) && condition->i64[0] != 0;
    return is_true ? rows : (struct tly_rows){.list = rows.list, .count = 0};
  }
  uint32_t *list = tly_evaluator_list(evaluator), count = 0;
  if (condition->null == NULL) {
    TLY_EACH_ROW (rows, row) {
      list[count] = row;
      count += condition->i64[row] != 0;
    }
  } else {
    TLY_EACH_ROW (rows, row) {
      list[count] = row;
      count += condition->null[row] == 0 && condition->i64[row] != 0;
    }
  }
  if (rows.list == NULL && count == rows.count)
    return rows;
  return (struct tly_rows){.list = list, .count = count};
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */

/* The rows of `rows` none of whose arguments is NULL; marks the others in *null, which stays NULL if there are none. */
static struct tly_rows strict_rows(tly_evaluator *evaluator, const struct tly_vector *arguments,
                                   uint32_t argument_count, struct tly_rows rows, const uint8_t **null) {
  uint8_t *flags = NULL;
  for (uint32_t a = 0; a < argument_count; a++) {
    if (arguments[a].null == NULL || arguments[a].is_constant) /* a constant here is not NULL */
      continue;
    if (flags == NULL)
      flags = tly_evaluator_flags(evaluator);
    for (uint32_t row = 0; row < evaluator->row_count; row++)
      flags[row] |= arguments[a].null[row];
  }
  if (flags == NULL)
    return rows;
  uint32_t *list = tly_evaluator_list(evaluator), count = 0;
  TLY_EACH_ROW (rows, row) {
    list[count] = row;
    count += flags[row] == 0;
  }
  if (count == rows.count)
    return rows;
  *null = flags;
  return (struct tly_rows){.list = list, .count = count};
}

static void apply_to_constants(tly_evaluator *evaluator, enum tly_kernel kernel, struct tly_type type,
                               const struct tly_vector *arguments, uint32_t argument_count, struct tly_rows rows,
                               struct tly_vector *out) {
  *out = tly_vector_new(type, 1, &evaluator->arena);
  struct tly_kernel_call call = {.evaluator = evaluator,
                                 .arguments = arguments,
                                 .argument_count = argument_count,
                                 .rows = {.list = NULL, .count = 1},
                                 .out = out};
  TLY_ASSERT(!evaluator->is_spread);
  evaluator->is_spread = true;
  evaluator->spread = rows;
  kernels[kernel](&call);
  evaluator->is_spread = false;
  out->count = evaluator->row_count;
  out->is_constant = true;
}

/* The number of the one dictionary-coded argument when all others are constant and the dictionary is small, else -1. */
static int coded_argument(const struct tly_vector *arguments, uint32_t argument_count, uint32_t row_count) {
  int coded = -1;
  for (uint32_t a = 0; a < argument_count; a++) {
    if (arguments[a].is_constant)
      continue;
    if (arguments[a].codes == NULL || coded >= 0 || arguments[a].dictionary->count > row_count / 2)
      return -1;
    coded = (int)a;
  }
  return coded;
}

static void spread_entries(const struct tly_vector *by_code, const uint32_t *codes, struct tly_rows rows,
                           struct tly_vector *out) {
  if (tly_type_form(out->type) == TLY_FORM_I64) {
    TLY_EACH_ROW (rows, row)
      out->i64[row] = by_code->i64[codes[row]];
    return;
  }
  size_t size = tly_form_size(tly_type_form(out->type));
  const char *from = (const char *)by_code->i64;
  char *to = (char *)out->i64;
  TLY_EACH_ROW (rows, row)
    memcpy(to + row * size, from + codes[row] * size, size);
}

/* The kernel's result for every entry of the dictionary of argument `coded`. */
static struct tly_vector apply_to_entries(tly_evaluator *evaluator, enum tly_kernel kernel, struct tly_type type,
                                          const struct tly_vector *arguments, uint32_t argument_count, uint32_t coded) {
  const struct tly_vector *source = &arguments[coded];
  const struct tly_dictionary *dictionary = source->dictionary;
  struct tly_vector entries[TLY_CATALOG_ARGUMENTS_MAX];
  memcpy(entries, arguments, argument_count * sizeof *entries);
  entries[coded] = (struct tly_vector){.type = source->type, .count = dictionary->count};
  entries[coded].text = (struct tly_text *)(uintptr_t)dictionary->entries; /* read only */
  struct tly_vector by_code = tly_vector_new(type, dictionary->count, &evaluator->arena);
  struct tly_kernel_call call = {.evaluator = evaluator,
                                 .arguments = entries,
                                 .argument_count = argument_count,
                                 .rows = {.list = NULL, .count = dictionary->count},
                                 .out = &by_code};
  uint32_t errors_before = evaluator->error_count;
  kernels[kernel](&call);
  TLY_ASSERT(evaluator->error_count == errors_before);
  return by_code;
}

/* Once an entry, then once more for every row: by reference when the result is text, else by copy. */
static void apply_to_dictionary(tly_evaluator *evaluator, enum tly_kernel kernel, struct tly_type type,
                                const struct tly_vector *arguments, uint32_t argument_count, uint32_t coded,
                                struct tly_rows rows, struct tly_vector *out) {
  const struct tly_vector *source = &arguments[coded];
  struct tly_vector by_code = apply_to_entries(evaluator, kernel, type, arguments, argument_count, coded);
  *out = (struct tly_vector){.type = type, .count = evaluator->row_count};
  if (tly_type_form(type) == TLY_FORM_TEXT) {
    struct tly_dictionary *results = TLY_ARENA_NEW(&evaluator->arena, struct tly_dictionary);
    *results = (struct tly_dictionary){.entries = by_code.text, .count = source->dictionary->count};
    out->codes = source->codes;
    out->dictionary = results;
    return;
  }
  *out = tly_evaluator_vector(evaluator, type);
  spread_entries(&by_code, source->codes, rows, out);
}

void tly_kernel_apply(tly_evaluator *evaluator, enum tly_kernel kernel, struct tly_type type, bool can_raise,
                      const struct tly_vector *arguments, uint32_t argument_count, struct tly_rows rows,
                      struct tly_vector *out) {
  TLY_ASSERT(kernels[kernel] != NULL && argument_count <= TLY_CATALOG_ARGUMENTS_MAX);
  rows = tly_evaluator_live(evaluator, rows);
  bool all_constant = true;
  for (uint32_t a = 0; a < argument_count; a++) {
    if (arguments[a].is_constant && tly_vector_is_null(&arguments[a], 0)) {
      *out = tly_evaluator_null(evaluator, type);
      return;
    }
    all_constant = all_constant && arguments[a].is_constant;
  }
  if (rows.count == 0) {
    *out = tly_evaluator_null(evaluator, type);
    return;
  }
  if (all_constant) {
    apply_to_constants(evaluator, kernel, type, arguments, argument_count, rows, out);
    return;
  }
  const uint8_t *null = NULL;
  rows = strict_rows(evaluator, arguments, argument_count, rows, &null);
  int coded = can_raise ? -1 : coded_argument(arguments, argument_count, rows.count);
  if (coded >= 0) {
    apply_to_dictionary(evaluator, kernel, type, arguments, argument_count, (uint32_t)coded, rows, out);
  } else {
    *out = tly_evaluator_vector(evaluator, type);
    struct tly_kernel_call call = {
        .evaluator = evaluator, .arguments = arguments, .argument_count = argument_count, .rows = rows, .out = out};
    kernels[kernel](&call);
  }
  out->null = null;
}

static void evaluate_call(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                          struct tly_vector *out) {
  struct tly_vector arguments[TLY_CATALOG_ARGUMENTS_MAX];
  TLY_ASSERT(expression->argument_count <= TLY_CATALOG_ARGUMENTS_MAX);
  for (uint32_t a = 0; a < expression->argument_count; a++)
    tly_evaluate_node(evaluator, expression->arguments[a], rows, &arguments[a]);
  tly_kernel_apply(evaluator, expression->kernel, expression->type, expression->can_raise, arguments,
                   expression->argument_count, rows, out);
}

/* --- conditions --------------------------------------------------------------------------------------------------- */

TLY_ALWAYS_INLINE uint32_t list_by_code(const int64_t *by_code, const uint32_t *codes, struct tly_rows rows,
                                        uint32_t *list) {
  uint32_t count = 0;
  TLY_EACH_ROW (rows, row) {
    list[count] = row;
    count += by_code[codes[row]] != 0;
  }
  return count;
}

/* A condition on a dictionary-coded text (status <> 'failed') is decided once an entry, and the rows are listed by
 * their codes; nothing stands in between. False when the condition is another. */
static bool true_rows_by_code(tly_evaluator *evaluator, const struct tly_expr *condition,
                              const struct tly_vector *arguments, struct tly_rows rows, struct tly_rows *chosen) {
  int coded = condition->can_raise ? -1 : coded_argument(arguments, condition->argument_count, rows.count);
  if (coded < 0 || arguments[coded].null != NULL)
    return false;
  for (uint32_t a = 0; a < condition->argument_count; a++)
    if (arguments[a].is_constant && tly_vector_is_null(&arguments[a], 0))
      return false;
  struct tly_vector by_code = apply_to_entries(evaluator, condition->kernel, condition->type, arguments,
                                               condition->argument_count, (uint32_t)coded);
  const uint32_t *codes = arguments[coded].codes;
  uint32_t *list = tly_evaluator_list(evaluator), count;
  if (rows.list == NULL)
    count = list_by_code(by_code.i64, codes, (struct tly_rows){.list = NULL, .count = rows.count}, list);
  else
    count = list_by_code(by_code.i64, codes, rows, list);
  bool is_all = rows.list == NULL && count == rows.count;
  *chosen = is_all ? rows : (struct tly_rows){.list = list, .count = count};
  return true;
}

struct tly_rows tly_evaluate_condition(tly_evaluator *evaluator, const struct tly_expr *condition,
                                       struct tly_rows rows) {
  struct tly_vector verdict, arguments[TLY_CATALOG_ARGUMENTS_MAX];
  rows = tly_evaluator_live(evaluator, rows);
  if (rows.count == 0 || condition->kind != TLY_EXPR_CALL) {
    tly_evaluate_node(evaluator, condition, rows, &verdict);
    return tly_evaluator_true_rows(evaluator, &verdict, rows);
  }
  for (uint32_t a = 0; a < condition->argument_count; a++)
    tly_evaluate_node(evaluator, condition->arguments[a], rows, &arguments[a]);
  rows = tly_evaluator_live(evaluator, rows);
  struct tly_rows chosen;
  if (true_rows_by_code(evaluator, condition, arguments, rows, &chosen))
    return chosen;
  tly_kernel_apply(evaluator, condition->kernel, condition->type, condition->can_raise, arguments,
                   condition->argument_count, rows, &verdict);
  return tly_evaluator_true_rows(evaluator, &verdict, rows);
}

/* --- conversions -------------------------------------------------------------------------------------------------- */

typedef void (*row_function)(tly_evaluator *evaluator, const struct tly_vector *from, uint32_t row,
                             struct tly_vector *out);

static void parse_row(tly_evaluator *evaluator, const struct tly_vector *from, uint32_t row, struct tly_vector *out) {
  struct tly_text text = tly_vector_text(from, row);
  struct tly_value value;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_value_parse(out->type, text.data, text.size, &evaluator->arena, &value, &error) != TLY_OK) {
    tly_evaluator_raise_error(evaluator, row, &error);
    return;
  }
  TLY_ASSERT(!value.is_null);
  struct tly_vector element = tly_vector_of_value(&value, 1, &evaluator->arena);
  size_t size = tly_form_size(tly_type_form(out->type));
  memcpy((char *)out->i64 + row * size, element.i64, size);
}

static void print_row(tly_evaluator *evaluator, const struct tly_vector *from, uint32_t row, struct tly_vector *out) {
  struct tly_value value = tly_vector_value(from, row);
  struct tly_buffer buffer = {0};
  tly_value_print(&value, &buffer);
  TLY_ASSERT(buffer.size <= UINT32_MAX);
  out->text[row].data = tly_arena_copy(&evaluator->arena, buffer.data, buffer.size);
  out->text[row].size = (uint32_t)buffer.size;
  tly_buffer_free(&buffer);
}

/* Input and output functions: a value at a time, constants once. */
static void evaluate_rowwise(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                             row_function function, struct tly_vector *out) {
  struct tly_vector argument;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &argument);
  rows = tly_evaluator_live(evaluator, rows);
  if (rows.count == 0 || (argument.is_constant && tly_vector_is_null(&argument, 0))) {
    *out = tly_evaluator_null(evaluator, expression->type);
    return;
  }
  if (argument.is_constant) {
    *out = tly_vector_new(expression->type, 1, &evaluator->arena);
    evaluator->is_spread = true;
    evaluator->spread = rows;
    function(evaluator, &argument, 0, out);
    evaluator->is_spread = false;
    out->count = evaluator->row_count;
    out->is_constant = true;
    return;
  }
  const uint8_t *null = NULL;
  rows = strict_rows(evaluator, &argument, 1, rows, &null);
  *out = tly_evaluator_vector(evaluator, expression->type);
  TLY_EACH_ROW (rows, row)
    function(evaluator, &argument, row, out);
  out->null = null;
}

static void evaluate_relabel(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                             struct tly_vector *out) {
  struct tly_vector argument;
  tly_evaluate_node(evaluator, expression->arguments[0], rows, &argument);
  struct tly_type from = argument.type, to = expression->type;
  bool is_same_number = from.precision == to.precision && from.scale == to.scale;
  if (to.id != TLY_TYPE_NUMERIC || is_same_number) {
    TLY_ASSERT(tly_type_form(from) == tly_type_form(to));
    *out = argument;
    out->type = to;
    return;
  }
  if (argument.is_constant) {
    *out = tly_vector_new(to, 1, &evaluator->arena);
    out->count = evaluator->row_count;
    out->is_constant = true;
    out->null = argument.null;
    if (!tly_vector_is_null(&argument, 0))
      tly_vector_copy_rows(out, &argument, (struct tly_rows){.list = NULL, .count = 1});
    return;
  }
  const uint8_t *null = NULL;
  rows = strict_rows(evaluator, &argument, 1, tly_evaluator_live(evaluator, rows), &null);
  *out = tly_evaluator_vector(evaluator, to);
  tly_vector_copy_rows(out, &argument, rows);
  out->null = null;
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static void constant_vector(tly_evaluator *evaluator, const struct tly_value *value, struct tly_type type,
                            struct tly_vector *out) {
  bool same_form = tly_type_form(value->type) == tly_type_form(type);
  TLY_ASSERT(value->is_null || (same_form && value->type.scale == type.scale));
  struct tly_value typed = *value;
  typed.type = type;
  *out = tly_vector_of_value(&typed, evaluator->row_count, &evaluator->arena);
}

static void evaluate_leaf(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_vector *out) {
  const struct tly_evaluate_input *input = evaluator->input;
  switch (expression->kind) {
  case TLY_EXPR_COLUMN: *out = input->columns[expression->column]; break;
  case TLY_EXPR_KEY: *out = input->keys[expression->column]; break;
  case TLY_EXPR_AGGREGATE: *out = input->aggregates[expression->column]; break;
  case TLY_EXPR_CONSTANT: constant_vector(evaluator, &expression->constant, expression->type, out); return;
  case TLY_EXPR_PARAMETER:
    constant_vector(evaluator, &input->parameters[expression->column], expression->type, out);
    return;
  case TLY_EXPR_NOW: {
    struct tly_value now = {.type = expression->type, .i64 = input->now_us};
    constant_vector(evaluator, &now, expression->type, out);
    return;
  }
  default: TLY_UNREACHABLE();
  }
  TLY_ASSERT(out->is_constant || out->count >= evaluator->row_count);
  TLY_ASSERT(tly_type_form(out->type) == tly_type_form(expression->type));
}

void tly_evaluate_node(tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                       struct tly_vector *out) {
  rows = tly_evaluator_live(evaluator, rows);
  if (rows.count == 0) {
    *out = tly_evaluator_null(evaluator, expression->type);
    return;
  }
  switch (expression->kind) {
  case TLY_EXPR_COLUMN:
  case TLY_EXPR_KEY:
  case TLY_EXPR_AGGREGATE:
  case TLY_EXPR_CONSTANT:
  case TLY_EXPR_PARAMETER:
  case TLY_EXPR_NOW: evaluate_leaf(evaluator, expression, out); return;
  case TLY_EXPR_CALL: evaluate_call(evaluator, expression, rows, out); return;
  case TLY_EXPR_FROM_TEXT: evaluate_rowwise(evaluator, expression, rows, parse_row, out); return;
  case TLY_EXPR_TO_TEXT: evaluate_rowwise(evaluator, expression, rows, print_row, out); return;
  case TLY_EXPR_RELABEL: evaluate_relabel(evaluator, expression, rows, out); return;
  case TLY_EXPR_WINDOW:
  case TLY_EXPR_EXISTS:
  case TLY_EXPR_IN_QUERY:
  case TLY_EXPR_SCALAR_QUERY: TLY_UNREACHABLE(); /* the serving layer's plan has replaced these */
  default: tly_evaluate_branch(evaluator, expression, rows, out); return;
  }
}

static struct tly_rows given_rows(const tly_evaluator *evaluator, const uint32_t *rows, uint32_t listed_count) {
  TLY_ASSERT(evaluator->input != NULL);
  TLY_ASSERT(rows == NULL || listed_count <= evaluator->row_count);
  return (struct tly_rows){.list = rows, .count = rows == NULL ? evaluator->row_count : listed_count};
}

void tly_evaluate(tly_evaluator *evaluator, const struct tly_expr *expression, const uint32_t *rows,
                  uint32_t listed_count, struct tly_vector *out) {
  tly_evaluate_node(evaluator, expression, given_rows(evaluator, rows, listed_count), out);
}

uint32_t tly_evaluate_filter(tly_evaluator *evaluator, const struct tly_expr *condition, const uint32_t *rows,
                             uint32_t listed_count, const uint32_t **selected) {
  struct tly_rows chosen = tly_evaluate_condition(evaluator, condition, given_rows(evaluator, rows, listed_count));
  if (chosen.list == NULL) {
    uint32_t *list = tly_evaluator_list(evaluator);
    for (uint32_t row = 0; row < chosen.count; row++)
      list[row] = row;
    chosen.list = list;
  }
  *selected = chosen.list;
  return chosen.count;
}

enum tly_status tly_evaluate_value(tly_evaluator *evaluator, const struct tly_expr *expression,
                                   const struct tly_evaluate_input *input, struct tly_value *out,
                                   struct tly_error *error) {
  TLY_ASSERT(input->row_count == 1);
  tly_evaluate_begin(evaluator, input);
  struct tly_vector result;
  tly_evaluate_node(evaluator, expression, (struct tly_rows){.list = NULL, .count = 1}, &result);
  const struct tly_row_error *raised = tly_evaluate_error(evaluator, 0);
  if (raised != NULL)
    return TLY_FAIL(error, raised->status, "%s", raised->message);
  *out = tly_vector_value(&result, 0);
  return TLY_OK;
}
