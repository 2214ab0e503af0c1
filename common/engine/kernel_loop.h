/* common/engine/kernel_loop.h -- loops over 64-bit operands, made for each operation by inlining.
 *
 * Rows may be all or a list, an operand a column or a constant. The loop is made separately for the cases that matter
 * for speed (all rows, at most one constant), so that the compiler sees plain arrays; every other case takes the
 * general one. Thread: as evaluate.h. */
#ifndef TLY_ENGINE_KERNEL_LOOP_H
#define TLY_ENGINE_KERNEL_LOOP_H

#include "common/engine/kernel.h"

/* The result of one row, and whether it raises instead. */
typedef bool (*tly_operation_i64)(int64_t a, int64_t b, int64_t *out);

/* One of the loops: steps are 0 (constant) or 1. */
TLY_ALWAYS_INLINE bool tly_loop_steps(tly_operation_i64 operation, const int64_t *a, uint32_t a_step, const int64_t *b,
                                      uint32_t b_step, struct tly_rows rows, int64_t *out) {
  bool raised = false;
  for (uint32_t i = 0; i < rows.count; i++) {
    uint32_t row = tly_rows_at(rows, i);
    raised |= operation(a[row * a_step], b[row * b_step], &out[row]);
  }
  return raised;
}

/* out = operation(argument 0, argument 1); whether any row raised. */
TLY_ALWAYS_INLINE bool tly_loop_binary(const struct tly_kernel_call *call, tly_operation_i64 operation) {
  const struct tly_vector *a = &call->arguments[0], *b = &call->arguments[1];
  const struct tly_rows all = {.list = NULL, .count = call->rows.count};
  int64_t *out = call->out->i64;
  if (call->rows.list != NULL || (a->is_constant && b->is_constant))
    return tly_loop_steps(operation, a->i64, !a->is_constant, b->i64, !b->is_constant, call->rows, out);
  if (a->is_constant)
    return tly_loop_steps(operation, a->i64, 0, b->i64, 1, all, out);
  if (b->is_constant)
    return tly_loop_steps(operation, a->i64, 1, b->i64, 0, all, out);
  return tly_loop_steps(operation, a->i64, 1, b->i64, 1, all, out);
}

/* The second pass: raise where the operation does. */
TLY_ALWAYS_INLINE void tly_loop_binary_raise(const struct tly_kernel_call *call, tly_operation_i64 operation,
                                             enum tly_status status, const char *message) {
  TLY_EACH_ROW (call->rows, row) {
    int64_t unused;
    if (operation(tly_argument_i64(call, 0, row), tly_argument_i64(call, 1, row), &unused))
      tly_evaluator_raise(call->evaluator, row, status, message);
  }
}

#endif
