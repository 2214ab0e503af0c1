/* Integers of 16, 32 and 64 bits, all held in 64: the width is the result type's, and what leaves it is 22003.
 *
 * Each operation says for two operands what the result is and whether it raises. The loop over rows has no branch on
 * that: it collects whether any row raised, and only then a second pass finds which. */
#include "common/engine/kernel_loop.h"

#define SMALLINT_RANGE "smallint out of range"
#define INTEGER_RANGE  "integer out of range"
#define BIGINT_RANGE   "bigint out of range"
#define BY_ZERO        "division by zero"

TLY_ALWAYS_INLINE bool leaves_16(int64_t value) {
  return value != (int16_t)value;
}

TLY_ALWAYS_INLINE bool leaves_32(int64_t value) {
  return value != (int32_t)value;
}

/* Two operands of at most 32 bits: 64 bits hold any sum, difference and product. */
#define NARROW_OPERATION(name, leaves, expression)                                                                     \
  TLY_ALWAYS_INLINE bool name(int64_t a, int64_t b, int64_t *out) {                                                    \
    *out = (expression);                                                                                               \
    return leaves(*out);                                                                                               \
  }
NARROW_OPERATION(add_16, leaves_16, a + b)
NARROW_OPERATION(add_32, leaves_32, a + b)
NARROW_OPERATION(subtract_16, leaves_16, a - b)
NARROW_OPERATION(subtract_32, leaves_32, a - b)
NARROW_OPERATION(multiply_16, leaves_16, a *b)
NARROW_OPERATION(multiply_32, leaves_32, a *b)

TLY_ALWAYS_INLINE bool add_64(int64_t a, int64_t b, int64_t *out) {
  return __builtin_add_overflow(a, b, out);
}

TLY_ALWAYS_INLINE bool subtract_64(int64_t a, int64_t b, int64_t *out) {
  return __builtin_sub_overflow(a, b, out);
}

TLY_ALWAYS_INLINE bool multiply_64(int64_t a, int64_t b, int64_t *out) {
  return __builtin_mul_overflow(a, b, out);
}

/* Truncates toward zero. Raises by zero and, at 64 bits, where the least is divided by -1. */
TLY_ALWAYS_INLINE bool divide_64(int64_t a, int64_t b, int64_t *out) {
  bool raises = b == 0 || (a == INT64_MIN && b == -1);
  *out = raises ? 0 : a / b;
  return raises;
}

TLY_ALWAYS_INLINE bool divide_16(int64_t a, int64_t b, int64_t *out) {
  return divide_64(a, b, out) || leaves_16(*out);
}

TLY_ALWAYS_INLINE bool divide_32(int64_t a, int64_t b, int64_t *out) {
  return divide_64(a, b, out) || leaves_32(*out);
}

/* Sign of the dividend; the least % -1 is 0. */
TLY_ALWAYS_INLINE bool modulo(int64_t a, int64_t b, int64_t *out) {
  *out = b == 0 || b == -1 ? 0 : a % b;
  return b == 0;
}

#define BINARY_LOOP(name, operation, message)                                                                          \
  static void name(const struct tly_kernel_call *call) {                                                               \
    if (tly_loop_binary(call, operation))                                                                              \
      tly_loop_binary_raise(call, operation, TLY_E_NUMERIC_OUT_OF_RANGE, message);                                     \
  }

BINARY_LOOP(add_smallint, add_16, SMALLINT_RANGE)
BINARY_LOOP(add_integer, add_32, INTEGER_RANGE)
BINARY_LOOP(add_bigint, add_64, BIGINT_RANGE)
BINARY_LOOP(subtract_smallint, subtract_16, SMALLINT_RANGE)
BINARY_LOOP(subtract_integer, subtract_32, INTEGER_RANGE)
BINARY_LOOP(subtract_bigint, subtract_64, BIGINT_RANGE)
BINARY_LOOP(multiply_smallint, multiply_16, SMALLINT_RANGE)
BINARY_LOOP(multiply_integer, multiply_32, INTEGER_RANGE)
BINARY_LOOP(multiply_bigint, multiply_64, BIGINT_RANGE)

TLY_ALWAYS_INLINE bool is_by_zero(int64_t a, int64_t b, int64_t *out) {
  (void)a;
  *out = 0;
  return b == 0;
}

/* Zero divisors first: the first error of a row stays. */
#define DIVISION_LOOP(name, operation, message)                                                                        \
  static void name(const struct tly_kernel_call *call) {                                                               \
    if (!tly_loop_binary(call, operation))                                                                             \
      return;                                                                                                          \
    tly_loop_binary_raise(call, is_by_zero, TLY_E_DIVISION_BY_ZERO, BY_ZERO);                                          \
    tly_loop_binary_raise(call, operation, TLY_E_NUMERIC_OUT_OF_RANGE, message);                                       \
  }

DIVISION_LOOP(divide_smallint, divide_16, SMALLINT_RANGE)
DIVISION_LOOP(divide_integer, divide_32, INTEGER_RANGE)
DIVISION_LOOP(divide_bigint, divide_64, BIGINT_RANGE)
DIVISION_LOOP(modulo_any, modulo, BIGINT_RANGE)

#define SAME(kernel, loop)                                                                                             \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    loop(call);                                                                                                        \
  }

/* The digits of a name are the bytes of the operands; the result has the wider type. */
#define ARITHMETIC(suffix, verb)                                                                                       \
  SAME(int2##suffix, verb##_smallint)                                                                                  \
  SAME(int4##suffix, verb##_integer)                                                                                   \
  SAME(int24##suffix, verb##_integer)                                                                                  \
  SAME(int42##suffix, verb##_integer)                                                                                  \
  SAME(int8##suffix, verb##_bigint)                                                                                    \
  SAME(int28##suffix, verb##_bigint)                                                                                   \
  SAME(int82##suffix, verb##_bigint)                                                                                   \
  SAME(int48##suffix, verb##_bigint)                                                                                   \
  SAME(int84##suffix, verb##_bigint)

ARITHMETIC(pl, add)
ARITHMETIC(mi, subtract)
ARITHMETIC(mul, multiply)
ARITHMETIC(div, divide)
SAME(int2mod, modulo_any)
SAME(int4mod, modulo_any)
SAME(int8mod, modulo_any)

/* --- one operand -------------------------------------------------------------------------------------------------- */

TLY_ALWAYS_INLINE void unary(const struct tly_kernel_call *call, int64_t least, bool only_negative,
                             const char *message) {
  TLY_EACH_ROW (call->rows, row) {
    int64_t value = tly_argument_i64(call, 0, row);
    if (only_negative && value >= 0)
      call->out->i64[row] = value;
    else if (value == least)
      tly_evaluator_raise(call->evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, message);
    else
      call->out->i64[row] = -value;
  }
}

#define UNARY(kernel, least, only_negative, message)                                                                   \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    unary(call, least, only_negative, message);                                                                        \
  }
UNARY(int2um, INT16_MIN, false, SMALLINT_RANGE)
UNARY(int4um, INT32_MIN, false, INTEGER_RANGE)
UNARY(int8um, INT64_MIN, false, BIGINT_RANGE)
UNARY(int2abs, INT16_MIN, true, SMALLINT_RANGE)
UNARY(int4abs, INT32_MIN, true, INTEGER_RANGE)
UNARY(int8abs, INT64_MIN, true, BIGINT_RANGE)

static void copy(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = tly_argument_i64(call, 0, row);
}

SAME(int2up, copy)
SAME(int4up, copy)
SAME(int8up, copy)

/* --- casts between widths ----------------------------------------------------------------------------------------- */

SAME(i2toi4, copy)
SAME(int28, copy)
SAME(int48, copy)
SAME(bool_int4, copy)

TLY_ALWAYS_INLINE void narrow(const struct tly_kernel_call *call, int64_t least, int64_t most, const char *message) {
  TLY_EACH_ROW (call->rows, row) {
    int64_t value = tly_argument_i64(call, 0, row);
    call->out->i64[row] = value;
    if (value < least || value > most)
      tly_evaluator_raise(call->evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, message);
  }
}

static void to_smallint(const struct tly_kernel_call *call) {
  narrow(call, INT16_MIN, INT16_MAX, SMALLINT_RANGE);
}

static void to_integer(const struct tly_kernel_call *call) {
  narrow(call, INT32_MIN, INT32_MAX, INTEGER_RANGE);
}

SAME(i4toi2, to_smallint)
SAME(int82, to_smallint)
SAME(int84, to_integer)

void tly_kernel_int4_bool(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = tly_argument_i64(call, 0, row) != 0;
}
