/* Casts from and to numeric, to a typmod, and boolean to text. (Casts between integers are in kernels_integer.c,
 * between integers and doubles in kernels_double.c, between dates and timestamps in kernels_time.c.) */
#include "common/engine/kernel.h"

/* --- to numeric --------------------------------------------------------------------------------------------------- */

static void from_integer(const struct tly_kernel_call *call) {
  struct tly_type to = call->out->type;
  if (tly_type_form(to) == TLY_FORM_DECIMAL) {
    TLY_EACH_ROW (call->rows, row)
      call->out->decimal[row] = tly_decimal_of_i64(tly_argument_i64(call, 0, row), 0);
    return;
  }
  tly_i128 factor = (tly_i128)tly_power_of_ten(to.scale);
  TLY_EACH_ROW (call->rows, row)
    tly_vector_set_coefficient(call->out, row, tly_argument_i64(call, 0, row) * factor);
}

void tly_kernel_int2_numeric(const struct tly_kernel_call *call) {
  from_integer(call);
}

void tly_kernel_int4_numeric(const struct tly_kernel_call *call) {
  from_integer(call);
}

void tly_kernel_int8_numeric(const struct tly_kernel_call *call) {
  from_integer(call);
}

/* A cast to numeric(p,s) on the way is a kernel of its own, so the result has no proof here. */
void tly_kernel_float8_numeric(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_decimal result;
    if (tly_decimal_of_double(tly_argument_f64(call, 0, row), &call->evaluator->arena, &result, &error) != TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    else
      tly_vector_set_decimal(call->out, row, result);
  }
}

static void to_typmod_row(const struct tly_kernel_call *call, uint32_t row) {
  struct tly_decimal value = tly_vector_decimal(&call->arguments[0], row), result;
  struct tly_type to = call->out->type;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_decimal_to_typmod(value, to.precision, to.scale, &call->evaluator->arena, &result, &error) != TLY_OK)
    tly_evaluator_raise_error(call->evaluator, row, &error);
  else
    tly_vector_set_decimal(call->out, row, result);
}

/* numeric -> numeric(p,s). Within 64 bits, to fewer decimals: round, and leave only what does not fit to the decimals,
 * which have the words. */
void tly_kernel_numeric(const struct tly_kernel_call *call) {
  struct tly_type from = call->arguments[0].type, to = call->out->type;
  if (to.precision == 0) {
    tly_vector_copy_rows(call->out, &call->arguments[0], call->rows);
    return;
  }
  bool is_scaled = tly_type_form(from) == TLY_FORM_I64 && tly_type_form(to) == TLY_FORM_I64 && from.scale >= to.scale;
  if (!is_scaled) {
    TLY_EACH_ROW (call->rows, row)
      to_typmod_row(call, row);
    return;
  }
  int64_t divisor = (int64_t)tly_power_of_ten(from.scale - to.scale);
  int64_t bound = (int64_t)tly_power_of_ten(to.precision);
  TLY_EACH_ROW (call->rows, row) {
    int64_t value = tly_round_half_away(tly_argument_i64(call, 0, row), divisor);
    call->out->i64[row] = value;
    if (value <= -bound || value >= bound)
      to_typmod_row(call, row);
  }
}

/* --- from numeric ------------------------------------------------------------------------------------------------- */

static void to_integer(const struct tly_kernel_call *call, int64_t least, int64_t most, const char *message) {
  const struct tly_vector *argument = &call->arguments[0];
  bool is_scaled = tly_type_form(argument->type) == TLY_FORM_I64;
  int64_t divisor = is_scaled ? (int64_t)tly_power_of_ten(argument->type.scale) : 1;
  TLY_EACH_ROW (call->rows, row) {
    int64_t value = 0;
    bool fits = true;
    if (is_scaled)
      value = tly_round_half_away(tly_argument_i64(call, 0, row), divisor);
    else
      fits = tly_decimal_to_i64(tly_vector_decimal(argument, row), &value, NULL) == TLY_OK;
    call->out->i64[row] = value;
    if (!fits || value < least || value > most)
      tly_evaluator_raise(call->evaluator, row, TLY_E_NUMERIC_OUT_OF_RANGE, message);
  }
}

void tly_kernel_numeric_int2(const struct tly_kernel_call *call) {
  to_integer(call, INT16_MIN, INT16_MAX, "smallint out of range");
}

void tly_kernel_numeric_int4(const struct tly_kernel_call *call) {
  to_integer(call, INT32_MIN, INT32_MAX, "integer out of range");
}

void tly_kernel_numeric_int8(const struct tly_kernel_call *call) {
  to_integer(call, INT64_MIN, INT64_MAX, "bigint out of range");
}

void tly_kernel_numeric_float8(const struct tly_kernel_call *call) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    double value = 0;
    if (tly_decimal_to_double(tly_vector_decimal(&call->arguments[0], row), &value, &error) != TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    call->out->f64[row] = value + 0.0;
  }
}

/* --- text --------------------------------------------------------------------------------------------------------- */

void tly_kernel_booltext(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->text[row] = tly_text_of(tly_argument_i64(call, 0, row) != 0 ? "true" : "false");
}

/* varchar(n): a cast cuts (an event that is too long is rejected earlier, by the decoder). */
void tly_kernel_varchar(const struct tly_kernel_call *call) {
  int limit = call->out->type.precision;
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text text = tly_argument_text(call, 0, row);
    call->out->text[row] = limit > 0 ? tly_text_left(text, limit) : text;
  }
}
