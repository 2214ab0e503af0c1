/* common/engine/kernel.h -- what the evaluator and its kernels agree on. Included by common/engine/evaluate*.c,
 * kernel*.c and finish.c only.
 *
 * A kernel is one function of PostgreSQL's catalogue over columns. It is called for rows whose arguments are all there
 * (no NULL) and that have not raised; it writes out's elements at those rows, or raises for a row. NULLs, constants and
 * branches are the evaluator's business, so that a kernel is a loop and nothing else.
 * Thread: as evaluate.h. */
#ifndef TLY_ENGINE_KERNEL_H
#define TLY_ENGINE_KERNEL_H

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/engine/evaluate.h"

#define TLY_ALWAYS_INLINE static inline __attribute__((always_inline))

/* Some rows of the batch: list[0 .. count), ascending, or, when list is NULL, the first `count` rows. */
struct tly_rows {
  const uint32_t *list;
  uint32_t count;
};

struct tly_evaluator {
  struct tly_arena arena;
  const struct tly_evaluate_input *input;
  uint32_t row_count;
  uint32_t error_count;
  bool is_spread; /* a constant is being computed: what raises raises for all rows of `spread` */
  struct tly_rows spread;
  struct tly_row_error errors[TLY_EVALUATE_ROWS]; /* status TLY_OK: none */
};

TLY_ALWAYS_INLINE uint32_t tly_rows_at(struct tly_rows rows, uint32_t index) {
  return rows.list == NULL ? index : rows.list[index];
}

/* for each `row` of `rows` */
#define TLY_EACH_ROW(rows, row)                                                                                        \
  for (uint32_t row##_index = 0, row = 0;                                                                              \
       row##_index < (rows).count && (row = tly_rows_at((rows), row##_index), true); row##_index++)

/* The rows of `rows` that have not raised. */
struct tly_rows tly_evaluator_live(struct tly_evaluator *evaluator, struct tly_rows rows);
/* `row` raises. The first error of a row stays. `message` is static or in the evaluator's arena. */
void tly_evaluator_raise(struct tly_evaluator *evaluator, uint32_t row, enum tly_status status, const char *message);
/* The same from an error of the value wing; its words are copied. */
void tly_evaluator_raise_error(struct tly_evaluator *evaluator, uint32_t row, const struct tly_error *error);

/* Evaluate below a node: for the live rows of `rows`. */
void tly_evaluate_node(struct tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                       struct tly_vector *out);
/* NULL for every row. */
struct tly_vector tly_evaluator_null(struct tly_evaluator *evaluator, struct tly_type type);
/* Room for a result of `type`, a row each, no nulls. */
struct tly_vector tly_evaluator_vector(struct tly_evaluator *evaluator, struct tly_type type);
/* A byte a row, all 0. */
uint8_t *tly_evaluator_flags(struct tly_evaluator *evaluator);
/* Room for a list of rows. */
uint32_t *tly_evaluator_list(struct tly_evaluator *evaluator);
/* The rows of `rows` where `condition`, a boolean vector, is true. */
struct tly_rows tly_evaluator_true_rows(struct tly_evaluator *evaluator, const struct tly_vector *condition,
                                        struct tly_rows rows);
/* The rows of `rows` where `condition`, a boolean expression, is true. */
struct tly_rows tly_evaluate_condition(struct tly_evaluator *evaluator, const struct tly_expr *condition,
                                       struct tly_rows rows);
/* out[row] = from[row] for `rows`, none of them NULL in `from`; numerics are brought to out's form and scale. */
void tly_vector_copy_rows(struct tly_vector *out, const struct tly_vector *from, struct tly_rows rows);

/* evaluate_branches.c: the nodes that do not evaluate all their arguments for all rows, and those that see NULLs. */
void tly_evaluate_branch(struct tly_evaluator *evaluator, const struct tly_expr *expression, struct tly_rows rows,
                         struct tly_vector *out);

struct tly_kernel_call {
  struct tly_evaluator *evaluator;
  const struct tly_vector *arguments;
  uint32_t argument_count;
  struct tly_rows rows;
  struct tly_vector *out;
};

typedef void (*tly_kernel_function)(const struct tly_kernel_call *call);

/* Apply a kernel to arguments: NULLs, constants, dictionaries, then the kernel for the rows left. `can_raise` false is
 * the front end's proof that no row can. */
void tly_kernel_apply(struct tly_evaluator *evaluator, enum tly_kernel kernel, struct tly_type type, bool can_raise,
                      const struct tly_vector *arguments, uint32_t argument_count, struct tly_rows rows,
                      struct tly_vector *out);

/* One function for every name of the catalogue; a name without one does not link. */
#define TLY_CATALOG_KERNEL(name) void tly_kernel_##name(const struct tly_kernel_call *call);
#include "common/sql/catalog.inc"
#undef TLY_CATALOG_KERNEL

TLY_ALWAYS_INLINE int64_t tly_argument_i64(const struct tly_kernel_call *call, uint32_t number, uint32_t row) {
  const struct tly_vector *argument = &call->arguments[number];
  return argument->i64[tly_vector_row(argument, row)];
}

TLY_ALWAYS_INLINE double tly_argument_f64(const struct tly_kernel_call *call, uint32_t number, uint32_t row) {
  const struct tly_vector *argument = &call->arguments[number];
  return argument->f64[tly_vector_row(argument, row)];
}

TLY_ALWAYS_INLINE struct tly_text tly_argument_text(const struct tly_kernel_call *call, uint32_t number, uint32_t row) {
  return tly_vector_text(&call->arguments[number], row);
}

TLY_ALWAYS_INLINE struct tly_interval tly_argument_interval(const struct tly_kernel_call *call, uint32_t number,
                                                            uint32_t row) {
  const struct tly_vector *argument = &call->arguments[number];
  return argument->interval[tly_vector_row(argument, row)];
}

/* numeric_form.c: numerics in their three forms. */
/* The coefficient of an I64 or I128 form numeric (its scale is the type's), or an integer. */
tly_i128 tly_vector_coefficient(const struct tly_vector *vector, uint32_t row);
struct tly_decimal tly_vector_decimal(const struct tly_vector *vector, uint32_t row);
/* Store in out's form; asserts that out's proof holds. */
void tly_vector_set_decimal(struct tly_vector *out, uint32_t row, struct tly_decimal value);
void tly_vector_set_coefficient(struct tly_vector *out, uint32_t row, tly_i128 coefficient);

/* value / divisor, a positive power of ten, half away from zero. */
TLY_ALWAYS_INLINE int64_t tly_round_half_away(int64_t value, int64_t divisor) {
  int64_t quotient = value / divisor, rest = value % divisor;
  int64_t distance = rest < 0 ? -rest : rest;
  int64_t away = distance >= divisor - distance;
  return value < 0 ? quotient - away : quotient + away;
}

#endif
