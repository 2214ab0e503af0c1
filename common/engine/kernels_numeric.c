/* numeric: scaled integers where the types have proofs, decimals where they have not.
 *
 * A proof (value/type.h) says that every value of an expression has exactly so many digits after the point and at most
 * so many in all. Where operands and result have one, +, -, *, %, comparisons and rounding are integer arithmetic
 * without a check: the front end has derived the result's proof from the operands', so nothing can overflow. In 64 bits
 * that is a plain loop; in 128 bits a slower one. Everything else goes through tly_decimal, whose rules are
 * PostgreSQL's.
 *
 * Aligning: before adding or comparing, both coefficients are brought to the larger scale. That takes at most
 * max(p1 - s1, p2 - s2) + max(s1, s2) digits, which decides the width. */
#include "common/engine/kernel_loop.h"

enum { I64_DIGITS_MAX = 18, I128_DIGITS_MAX = 38 };

enum width { WIDTH_64, WIDTH_128, WIDTH_DECIMAL };

static bool is_proven(struct tly_type type) {
  return tly_type_form(type) != TLY_FORM_DECIMAL;
}

static int max_of(int a, int b) {
  return a > b ? a : b;
}

/* How the operands can be aligned and what to multiply them by. */
struct alignment {
  enum width width;
  tly_i128 a_factor, b_factor;
};

static struct alignment align(const struct tly_kernel_call *call) {
  struct tly_type a = call->arguments[0].type, b = call->arguments[1].type;
  if (!is_proven(a) || !is_proven(b))
    return (struct alignment){.width = WIDTH_DECIMAL};
  int scale = max_of(a.scale, b.scale);
  int digits = max_of(a.precision - a.scale, b.precision - b.scale) + scale;
  if (digits > I128_DIGITS_MAX)
    return (struct alignment){.width = WIDTH_DECIMAL};
  bool is_narrow = digits <= I64_DIGITS_MAX;
  TLY_ASSERT(!is_narrow || (tly_type_form(a) == TLY_FORM_I64 && tly_type_form(b) == TLY_FORM_I64));
  return (struct alignment){.width = is_narrow ? WIDTH_64 : WIDTH_128,
                            .a_factor = (tly_i128)tly_power_of_ten(scale - a.scale),
                            .b_factor = (tly_i128)tly_power_of_ten(scale - b.scale)};
}

/* --- + and - ------------------------------------------------------------------------------------------------------ */

typedef enum tly_status (*decimal_operation)(struct tly_decimal a, struct tly_decimal b, struct tly_arena *arena,
                                             struct tly_decimal *out, struct tly_error *error);

static void by_decimal(const struct tly_kernel_call *call, decimal_operation operation) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_decimal a = tly_vector_decimal(&call->arguments[0], row);
    struct tly_decimal b = tly_vector_decimal(&call->arguments[1], row), result;
    if (operation(a, b, &call->evaluator->arena, &result, &error) != TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    else
      tly_vector_set_decimal(call->out, row, result);
  }
}

TLY_ALWAYS_INLINE void add_64(const struct tly_kernel_call *call, int64_t a_factor, int64_t b_factor) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = tly_argument_i64(call, 0, row) * a_factor + tly_argument_i64(call, 1, row) * b_factor;
}

static void add_128(const struct tly_kernel_call *call, tly_i128 a_factor, tly_i128 b_factor) {
  TLY_EACH_ROW (call->rows, row) {
    tly_i128 a = tly_vector_coefficient(&call->arguments[0], row) * a_factor;
    tly_i128 b = tly_vector_coefficient(&call->arguments[1], row) * b_factor;
    tly_vector_set_coefficient(call->out, row, a + b);
  }
}

/* A sum may have one digit more than its aligned operands, so the result's form decides as well. */
static bool result_is(const struct tly_kernel_call *call, enum tly_form form) {
  int scale = max_of(call->arguments[0].type.scale, call->arguments[1].type.scale);
  return tly_type_form(call->out->type) == form && call->out->type.scale == scale;
}

static void add_signed(const struct tly_kernel_call *call, int sign, decimal_operation operation) {
  struct alignment alignment = align(call);
  if (alignment.width == WIDTH_64 && result_is(call, TLY_FORM_I64))
    add_64(call, (int64_t)alignment.a_factor, sign * (int64_t)alignment.b_factor);
  else if (alignment.width != WIDTH_DECIMAL && result_is(call, TLY_FORM_I128))
    add_128(call, alignment.a_factor, sign * alignment.b_factor);
  else
    by_decimal(call, operation);
}

void tly_kernel_numeric_add(const struct tly_kernel_call *call) {
  add_signed(call, 1, tly_decimal_add);
}

void tly_kernel_numeric_sub(const struct tly_kernel_call *call) {
  add_signed(call, -1, tly_decimal_subtract);
}

/* --- *, /, % ------------------------------------------------------------------------------------------------------ */

TLY_ALWAYS_INLINE bool multiply_64(int64_t a, int64_t b, int64_t *out) {
  *out = a * b;
  return false;
}

void tly_kernel_numeric_mul(const struct tly_kernel_call *call) {
  const struct tly_vector *a = &call->arguments[0], *b = &call->arguments[1];
  struct tly_type result = call->out->type;
  bool is_scaled = is_proven(a->type) && is_proven(b->type) && is_proven(result) &&
                   result.scale == a->type.scale + b->type.scale &&
                   result.precision >= a->type.precision + b->type.precision;
  if (is_scaled && tly_type_form(result) == TLY_FORM_I64) {
    (void)tly_loop_binary(call, multiply_64);
  } else if (is_scaled) {
    TLY_EACH_ROW (call->rows, row)
      call->out->i128[row] = tly_vector_coefficient(a, row) * tly_vector_coefficient(b, row);
  } else {
    by_decimal(call, tly_decimal_multiply);
  }
}

void tly_kernel_numeric_div(const struct tly_kernel_call *call) {
  by_decimal(call, tly_decimal_divide);
}

void tly_kernel_numeric_mod(const struct tly_kernel_call *call) {
  struct alignment alignment = align(call);
  bool is_scaled = alignment.width != WIDTH_DECIMAL && is_proven(call->out->type) &&
                   (result_is(call, TLY_FORM_I64) || result_is(call, TLY_FORM_I128));
  if (!is_scaled) {
    by_decimal(call, tly_decimal_modulo);
    return;
  }
  TLY_EACH_ROW (call->rows, row) {
    tly_i128 a = tly_vector_coefficient(&call->arguments[0], row) * alignment.a_factor;
    tly_i128 b = tly_vector_coefficient(&call->arguments[1], row) * alignment.b_factor;
    if (b == 0)
      tly_evaluator_raise(call->evaluator, row, TLY_E_DIVISION_BY_ZERO, "division by zero");
    else
      tly_vector_set_coefficient(call->out, row, a % b);
  }
}

/* --- comparisons -------------------------------------------------------------------------------------------------- */

#define COMPARISON(name, comparison)                                                                                   \
  TLY_ALWAYS_INLINE bool i64_##name(int64_t a, int64_t b, int64_t *out) {                                              \
    *out = a comparison b;                                                                                             \
    return false;                                                                                                      \
  }                                                                                                                    \
  void tly_kernel_numeric_##name(const struct tly_kernel_call *call) {                                                 \
    const struct tly_vector *a = &call->arguments[0], *b = &call->arguments[1];                                        \
    struct alignment alignment = align(call);                                                                          \
    if (alignment.width == WIDTH_64 && a->type.scale == b->type.scale) {                                               \
      (void)tly_loop_binary(call, i64_##name);                                                                         \
    } else if (alignment.width == WIDTH_64) {                                                                          \
      int64_t a_factor = (int64_t)alignment.a_factor, b_factor = (int64_t)alignment.b_factor;                          \
      TLY_EACH_ROW (call->rows, row)                                                                                   \
        call->out->i64[row] =                                                                                          \
            tly_argument_i64(call, 0, row) * a_factor comparison tly_argument_i64(call, 1, row) * b_factor;            \
    } else if (alignment.width == WIDTH_128) {                                                                         \
      TLY_EACH_ROW (call->rows, row)                                                                                   \
        call->out->i64[row] = tly_vector_coefficient(a, row) *                                                         \
                              alignment.a_factor comparison tly_vector_coefficient(b, row) * alignment.b_factor;       \
    } else {                                                                                                           \
      TLY_EACH_ROW (call->rows, row)                                                                                   \
        call->out->i64[row] =                                                                                          \
            tly_decimal_compare(tly_vector_decimal(a, row), tly_vector_decimal(b, row)) comparison 0;                  \
    }                                                                                                                  \
  }
COMPARISON(eq, ==)
COMPARISON(ne, !=)
COMPARISON(lt, <)
COMPARISON(le, <=)
COMPARISON(gt, >)
COMPARISON(ge, >=)

/* --- one operand -------------------------------------------------------------------------------------------------- */

/* Scale and digits stay, so a scaled integer stays one. */
TLY_ALWAYS_INLINE void unary(const struct tly_kernel_call *call, bool only_negative) {
  const struct tly_vector *argument = &call->arguments[0];
  TLY_EACH_ROW (call->rows, row) {
    if (is_proven(argument->type)) {
      tly_i128 value = tly_vector_coefficient(argument, row);
      value = only_negative && value >= 0 ? value : -value;
      if (is_proven(call->out->type))
        tly_vector_set_coefficient(call->out, row, value);
      else
        call->out->decimal[row] = tly_decimal_of_i128(value, argument->type.scale);
    } else {
      struct tly_decimal value = tly_vector_decimal(argument, row);
      value = only_negative ? tly_decimal_absolute(value) : tly_decimal_negate(value);
      tly_vector_set_decimal(call->out, row, value);
    }
  }
}

void tly_kernel_numeric_uminus(const struct tly_kernel_call *call) {
  unary(call, false);
}

void tly_kernel_numeric_abs(const struct tly_kernel_call *call) {
  unary(call, true);
}

void tly_kernel_numeric_uplus(const struct tly_kernel_call *call) {
  tly_vector_copy_rows(call->out, &call->arguments[0], call->rows);
}

typedef enum tly_status (*decimal_function)(struct tly_decimal value, struct tly_arena *arena, struct tly_decimal *out,
                                            struct tly_error *error);

static void by_decimal_function(const struct tly_kernel_call *call, decimal_function function) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_decimal value = tly_vector_decimal(&call->arguments[0], row), result;
    if (function(value, &call->evaluator->arena, &result, &error) != TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    else
      tly_vector_set_decimal(call->out, row, result);
  }
}

void tly_kernel_numeric_floor(const struct tly_kernel_call *call) {
  by_decimal_function(call, tly_decimal_floor);
}

void tly_kernel_numeric_ceil(const struct tly_kernel_call *call) {
  by_decimal_function(call, tly_decimal_ceil);
}

/* --- rounding ----------------------------------------------------------------------------------------------------- */

static void round_row(const struct tly_kernel_call *call, uint32_t row, int32_t scale) {
  struct tly_decimal value = tly_vector_decimal(&call->arguments[0], row), result;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_decimal_round(value, scale, &call->evaluator->arena, &result, &error) != TLY_OK)
    tly_evaluator_raise_error(call->evaluator, row, &error);
  else
    tly_vector_set_decimal(call->out, row, result);
}

/* round(x, n), and round(x), which is round(x, 0). PostgreSQL's limits of n lie beyond our digits. */
void tly_kernel_numeric_round(const struct tly_kernel_call *call) {
  bool has_places = call->argument_count == 2;
  struct tly_type from = call->arguments[0].type, to = call->out->type;
  bool is_scaled = tly_type_form(from) == TLY_FORM_I64 && tly_type_form(to) == TLY_FORM_I64 && from.scale >= to.scale &&
                   (!has_places || (call->arguments[1].is_constant && call->arguments[1].i64[0] == to.scale));
  if (is_scaled) {
    int64_t divisor = (int64_t)tly_power_of_ten(from.scale - to.scale);
    TLY_EACH_ROW (call->rows, row)
      call->out->i64[row] = tly_round_half_away(tly_argument_i64(call, 0, row), divisor);
    return;
  }
  TLY_EACH_ROW (call->rows, row) {
    int64_t scale = has_places ? tly_argument_i64(call, 1, row) : 0;
    int64_t bound = TLY_DECIMAL_DIGITS_MAX;
    scale = scale < -bound ? -bound : scale > bound ? bound : scale;
    round_row(call, row, (int32_t)scale);
  }
}
