/* What is certain about a kernel's result before any row is seen: the precision and scale of a numeric, and whether the
 * kernel can raise at all. Both may give up (precision 0; can raise) and must never be wrong: the evaluator computes a
 * proven numeric on scaled integers without a check, and the planner moves what cannot raise out of the written order.
 *
 * Scales are numeric.c's (docs/SQL.md has them in a table): + - and % the larger, * the sum, round(x, n) n, floor and
 * ceil 0. The scale of a quotient depends on the values, so there is no proof for /. */
#include "common/base/assert.h"
#include "common/sql/resolve.h"
#include "common/value/time_zone.h"

enum { PROOF_DIGITS_MAX = 38 };

static const struct tly_type no_proof = {.id = TLY_TYPE_NUMERIC};

static bool has_proof(struct tly_type type) {
  return type.id == TLY_TYPE_NUMERIC && type.precision > 0;
}

static int32_t max_of(int32_t a, int32_t b) {
  return a > b ? a : b;
}

static int32_t min_of(int32_t a, int32_t b) {
  return a < b ? a : b;
}

/* `whole` digits before the point and `scale` after it. */
static struct tly_type proof_of(int32_t whole, int32_t scale) {
  int32_t precision = max_of(whole + scale, 1);
  if (precision > PROOF_DIGITS_MAX || scale < 0 || scale > precision)
    return no_proof;
  return (struct tly_type){TLY_TYPE_NUMERIC, (int16_t)precision, (int16_t)scale};
}

static struct tly_type proof_of_binary(enum tly_kernel kernel, struct tly_type a, struct tly_type b) {
  if (!has_proof(a) || !has_proof(b))
    return no_proof;
  int32_t a_whole = a.precision - a.scale, b_whole = b.precision - b.scale;
  int32_t scale = max_of(a.scale, b.scale);
  if (kernel == TLY_KERNEL_numeric_mul)
    return proof_of(a_whole + b_whole, a.scale + b.scale);
  if (kernel == TLY_KERNEL_numeric_mod)
    return proof_of(min_of(a_whole, b_whole), scale);
  return proof_of(max_of(a_whole, b_whole) + 1, scale);
}

/* round(x) and round(x, n) with a constant n; rounding up can add a digit before the point. */
static struct tly_type proof_of_round(struct tly_expr *const *arguments, uint32_t count) {
  struct tly_type type = arguments[0]->type;
  int64_t digits = 0;
  if (count == 2) {
    const struct tly_expr *places = arguments[1];
    if (!tly_expr_is_constant(places) || places->constant.is_null)
      return no_proof;
    digits = places->constant.i64;
  }
  if (!has_proof(type) || digits > PROOF_DIGITS_MAX)
    return no_proof;
  int32_t scale = digits < 0 ? 0 : (int32_t)digits;
  return proof_of(type.precision - type.scale + 1, scale);
}

struct tly_type tly_proof_type(enum tly_kernel kernel, struct tly_type type, struct tly_expr *const *arguments,
                               uint32_t count) {
  if (type.id != TLY_TYPE_NUMERIC)
    return type;
  switch (kernel) {
  case TLY_KERNEL_numeric: return type;
  case TLY_KERNEL_numeric_add:
  case TLY_KERNEL_numeric_sub:
  case TLY_KERNEL_numeric_mul:
  case TLY_KERNEL_numeric_mod: return proof_of_binary(kernel, arguments[0]->type, arguments[1]->type);
  case TLY_KERNEL_numeric_abs:
  case TLY_KERNEL_numeric_uminus:
  case TLY_KERNEL_numeric_uplus: return arguments[0]->type;
  case TLY_KERNEL_numeric_round: return proof_of_round(arguments, count);
  case TLY_KERNEL_numeric_floor:
  case TLY_KERNEL_numeric_ceil:
    return has_proof(arguments[0]->type) ? proof_of(arguments[0]->type.precision - arguments[0]->type.scale + 1, 0)
                                         : no_proof;
  case TLY_KERNEL_int2_numeric: return proof_of(5, 0);
  case TLY_KERNEL_int4_numeric: return proof_of(10, 0);
  case TLY_KERNEL_int8_numeric: return proof_of(19, 0);
  default: return no_proof;
  }
}

struct tly_type tly_proof_of_decimal(struct tly_decimal value) {
  tly_i128 coefficient;
  if (value.scale > PROOF_DIGITS_MAX || !tly_decimal_to_i128(value, value.scale, &coefficient))
    return no_proof;
  tly_u128 magnitude = coefficient < 0 ? -(tly_u128)coefficient : (tly_u128)coefficient;
  int32_t digits = 0;
  for (; magnitude > 0; magnitude /= 10)
    digits++;
  return proof_of(max_of(digits, value.scale) - value.scale, value.scale);
}

struct tly_type tly_proof_union(struct tly_type a, struct tly_type b) {
  if (a.id != TLY_TYPE_NUMERIC || !has_proof(a) || !has_proof(b) || a.scale != b.scale)
    return TLY_TYPE_OF(a.id);
  a.precision = (int16_t)max_of(a.precision, b.precision);
  return a;
}

/* Kernels that answer for every value they can be given. Comparisons are recognised by their result below. */
static bool never_raises(enum tly_kernel kernel) {
  switch (kernel) {
  case TLY_KERNEL_NONE:
  case TLY_KERNEL_bool_int4:
  case TLY_KERNEL_booltext:
  case TLY_KERNEL_btrim:
  case TLY_KERNEL_btrim1:
  case TLY_KERNEL_ltrim:
  case TLY_KERNEL_ltrim1:
  case TLY_KERNEL_rtrim:
  case TLY_KERNEL_rtrim1:
  case TLY_KERNEL_lower:
  case TLY_KERNEL_upper:
  case TLY_KERNEL_textcat:
  case TLY_KERNEL_textlen:
  case TLY_KERNEL_text_left:
  case TLY_KERNEL_text_right:
  case TLY_KERNEL_text_substr_no_len:
  case TLY_KERNEL_varchar:
  case TLY_KERNEL_dceil:
  case TLY_KERNEL_dfloor:
  case TLY_KERNEL_dround:
  case TLY_KERNEL_float8abs:
  case TLY_KERNEL_float8um:
  case TLY_KERNEL_float8up:
  case TLY_KERNEL_i2tod:
  case TLY_KERNEL_i4tod:
  case TLY_KERNEL_i8tod:
  case TLY_KERNEL_i2toi4:
  case TLY_KERNEL_int28:
  case TLY_KERNEL_int48:
  case TLY_KERNEL_int2up:
  case TLY_KERNEL_int4up:
  case TLY_KERNEL_int8up:
  case TLY_KERNEL_int2_numeric:
  case TLY_KERNEL_int4_numeric:
  case TLY_KERNEL_int8_numeric:
  case TLY_KERNEL_float8_numeric:
  case TLY_KERNEL_numeric_abs:
  case TLY_KERNEL_numeric_uminus:
  case TLY_KERNEL_numeric_uplus:
  case TLY_KERNEL_timestamp_timestamptz:
  case TLY_KERNEL_timestamptz_timestamp:
  case TLY_KERNEL_timestamp_date:
  case TLY_KERNEL_timestamptz_date: return true;
  default: return false;
  }
}

/* numeric(p, s) of a value whose digits are known to fit even after rounding. */
static bool typmod_holds(struct tly_type target, struct tly_type source) {
  if (!has_proof(source))
    return false;
  int32_t whole = source.precision - source.scale + (source.scale > target.scale ? 1 : 0);
  return whole <= target.precision - target.scale;
}

/* A LIKE pattern that ends in a lone backslash raises when the match comes that far. */
static bool like_can_raise(const struct tly_expr *pattern) {
  if (!tly_expr_is_constant(pattern))
    return true;
  if (pattern->constant.is_null)
    return false;
  struct tly_text text = pattern->constant.text;
  uint32_t backslashes = 0;
  while (backslashes < text.size && text.data[text.size - 1 - backslashes] == '\\')
    backslashes++;
  return backslashes % 2 == 1;
}

/* date_trunc and extract raise for the unit alone, whatever the time. */
enum tly_status tly_proof_check_unit(enum tly_kernel kernel, const struct tly_expr *unit, struct tly_error *error) {
  if (!tly_expr_is_constant(unit) || unit->constant.is_null)
    return TLY_OK;
  struct tly_text text = unit->constant.text;
  struct tly_decimal ignored;
  struct tly_zone_trunc prepared;
  int64_t truncated;
  switch (kernel) {
  case TLY_KERNEL_timestamp_trunc:
  case TLY_KERNEL_timestamptz_trunc: return tly_timestamp_trunc(text.data, text.size, 0, &truncated, error);
  case TLY_KERNEL_timestamptz_trunc_zone:
    return tly_zone_trunc_prepare(text.data, text.size, tly_time_zone_utc(), &prepared, error);
  case TLY_KERNEL_extract_date:
    return tly_timestamp_extract(text.data, text.size, TLY_EXTRACT_DATE, 0, &ignored, error);
  case TLY_KERNEL_extract_timestamp:
    return tly_timestamp_extract(text.data, text.size, TLY_EXTRACT_TIMESTAMP, 0, &ignored, error);
  case TLY_KERNEL_extract_timestamptz:
    return tly_timestamp_extract(text.data, text.size, TLY_EXTRACT_TIMESTAMPTZ, 0, &ignored, error);
  default: return TLY_OK;
  }
}

static bool unit_can_raise(enum tly_kernel kernel, const struct tly_expr *unit) {
  return !tly_expr_is_constant(unit) || tly_proof_check_unit(kernel, unit, NULL) != TLY_OK;
}

/* A constant that is neither 0 nor -1: nothing divided by it raises, not even the least integer. */
static bool divides_safely(const struct tly_expr *divisor) {
  if (!tly_expr_is_constant(divisor) || divisor->constant.is_null)
    return false;
  if (divisor->type.id == TLY_TYPE_NUMERIC)
    return tly_decimal_sign(tly_value_decimal(&divisor->constant)) != 0;
  return divisor->constant.i64 != 0 && divisor->constant.i64 != -1;
}

bool tly_proof_can_raise(enum tly_kernel kernel, struct tly_type type, struct tly_expr *const *arguments,
                         uint32_t count) {
  switch (kernel) {
  case TLY_KERNEL_textlike:
  case TLY_KERNEL_textnlike:
  case TLY_KERNEL_texticlike:
  case TLY_KERNEL_texticnlike: return like_can_raise(arguments[1]);
  case TLY_KERNEL_numeric_add:
  case TLY_KERNEL_numeric_sub:
  case TLY_KERNEL_numeric_mul:
  case TLY_KERNEL_numeric_round:
  case TLY_KERNEL_numeric_floor:
  case TLY_KERNEL_numeric_ceil: return !has_proof(type);
  case TLY_KERNEL_numeric_float8: return !has_proof(arguments[0]->type);
  case TLY_KERNEL_numeric: return !typmod_holds(type, arguments[0]->type);
  case TLY_KERNEL_int4_bool: return false;
  case TLY_KERNEL_timestamp_trunc:
  case TLY_KERNEL_timestamptz_trunc:
  case TLY_KERNEL_extract_date:
  case TLY_KERNEL_extract_timestamp:
  case TLY_KERNEL_extract_timestamptz: return unit_can_raise(kernel, arguments[0]);
  case TLY_KERNEL_numeric_mod:
  case TLY_KERNEL_numeric_div: return !has_proof(arguments[0]->type) || !divides_safely(arguments[1]);
  case TLY_KERNEL_int2div:
  case TLY_KERNEL_int4div:
  case TLY_KERNEL_int8div:
  case TLY_KERNEL_int42div:
  case TLY_KERNEL_int82div:
  case TLY_KERNEL_int84div:
  case TLY_KERNEL_int24div:
  case TLY_KERNEL_int28div:
  case TLY_KERNEL_int48div:
  case TLY_KERNEL_int2mod:
  case TLY_KERNEL_int4mod:
  case TLY_KERNEL_int8mod: return !divides_safely(arguments[1]);
  default: TLY_ASSERT(count > 0); return type.id != TLY_TYPE_BOOLEAN && !never_raises(kernel);
  }
}
