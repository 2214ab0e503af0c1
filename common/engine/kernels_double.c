/* double precision: always finite, never -0. What leaves the range raises 22003 as in PostgreSQL, on both ends: a
 * product or quotient that becomes 0 though no operand was is an underflow. Adding +0.0 turns -0 into 0. */
#include <math.h>

#include "common/engine/kernel.h"

static void store(const struct tly_kernel_call *call, uint32_t row, double value) {
  call->out->f64[row] = value + 0.0;
  if (__builtin_expect(isinf(value), 0))
    tly_evaluator_raise(call->evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, "value out of range: overflow");
}

static void raise_underflow(const struct tly_kernel_call *call, uint32_t row) {
  tly_evaluator_raise(call->evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, "value out of range: underflow");
}

void tly_kernel_float8pl(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    store(call, row, tly_argument_f64(call, 0, row) + tly_argument_f64(call, 1, row));
}

void tly_kernel_float8mi(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    store(call, row, tly_argument_f64(call, 0, row) - tly_argument_f64(call, 1, row));
}

void tly_kernel_float8mul(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row) {
    double a = tly_argument_f64(call, 0, row), b = tly_argument_f64(call, 1, row), product = a * b;
    store(call, row, product);
    if (product == 0.0 && a != 0.0 && b != 0.0)
      raise_underflow(call, row);
  }
}

void tly_kernel_float8div(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row) {
    double a = tly_argument_f64(call, 0, row), b = tly_argument_f64(call, 1, row);
    if (b == 0.0) {
      tly_evaluator_raise(call->evaluator, row, TLY_E_DIVISION_BY_ZERO, "division by zero");
      continue;
    }
    double quotient = a / b;
    store(call, row, quotient);
    if (quotient == 0.0 && a != 0.0)
      raise_underflow(call, row);
  }
}

#define UNARY(kernel, expression)                                                                                      \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    TLY_EACH_ROW (call->rows, row) {                                                                                   \
      double a = tly_argument_f64(call, 0, row);                                                                       \
      call->out->f64[row] = (expression) + 0.0;                                                                        \
    }                                                                                                                  \
  }
UNARY(float8um, -a)
UNARY(float8up, a)
UNARY(float8abs, fabs(a))
UNARY(dceil, ceil(a))
UNARY(dfloor, floor(a))
UNARY(dround, rint(a)) /* half to even */

/* --- casts -------------------------------------------------------------------------------------------------------- */

static void from_integer(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->f64[row] = (double)tly_argument_i64(call, 0, row);
}

#define FROM_INTEGER(kernel)                                                                                           \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    from_integer(call);                                                                                                \
  }
FROM_INTEGER(i2tod)
FROM_INTEGER(i4tod)
FROM_INTEGER(i8tod)

/* Half to even; `bound` is the power of two that is the first value too large. */
static void to_integer(const struct tly_kernel_call *call, double bound, const char *message) {
  TLY_EACH_ROW (call->rows, row) {
    double value = rint(tly_argument_f64(call, 0, row));
    if (value >= -bound && value < bound)
      call->out->i64[row] = (int64_t)value;
    else
      tly_evaluator_raise(call->evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, message);
  }
}

void tly_kernel_dtoi2(const struct tly_kernel_call *call) {
  to_integer(call, 0x1p15, "smallint out of range");
}

void tly_kernel_dtoi4(const struct tly_kernel_call *call) {
  to_integer(call, 0x1p31, "integer out of range");
}

void tly_kernel_dtoi8(const struct tly_kernel_call *call) {
  to_integer(call, 0x1p63, "bigint out of range");
}
