/* Numerics come in three forms (value/type.h): scaled integers of 64 and 128 bits where the type has a proof, decimals
 * where it has none. This file is the one place where a value changes from one form to another. */
#include <string.h>

#include "common/engine/kernel.h"

static bool is_wide(struct tly_type type) {
  enum tly_form form = tly_type_form(type);
  TLY_ASSERT(form == TLY_FORM_I64 || form == TLY_FORM_I128);
  return form == TLY_FORM_I128;
}

tly_i128 tly_vector_coefficient(const struct tly_vector *vector, uint32_t row) {
  row = tly_vector_row(vector, row);
  return is_wide(vector->type) ? vector->i128[row] : vector->i64[row];
}

struct tly_decimal tly_vector_decimal(const struct tly_vector *vector, uint32_t row) {
  row = tly_vector_row(vector, row);
  switch (tly_type_form(vector->type)) {
  case TLY_FORM_I64: return tly_decimal_of_i64(vector->i64[row], vector->type.scale);
  case TLY_FORM_I128: return tly_decimal_of_i128(vector->i128[row], vector->type.scale);
  case TLY_FORM_DECIMAL: return vector->decimal[row];
  default: TLY_UNREACHABLE();
  }
}

void tly_vector_set_coefficient(struct tly_vector *out, uint32_t row, tly_i128 coefficient) {
  if (is_wide(out->type)) {
    out->i128[row] = coefficient;
    return;
  }
  TLY_ASSERT(coefficient >= INT64_MIN && coefficient <= INT64_MAX);
  out->i64[row] = (int64_t)coefficient;
}

void tly_vector_set_decimal(struct tly_vector *out, uint32_t row, struct tly_decimal value) {
  if (tly_type_form(out->type) == TLY_FORM_DECIMAL) {
    out->decimal[row] = value;
    return;
  }
  tly_i128 coefficient = 0;
  bool fits = tly_decimal_to_i128(value, out->type.scale, &coefficient);
  TLY_ASSERT(fits);
  tly_vector_set_coefficient(out, row, coefficient);
}

/* Both proven: multiply up to out's scale; its proof says that this fits. */
static void rescale_rows(struct tly_vector *out, const struct tly_vector *from, struct tly_rows rows) {
  TLY_ASSERT(out->type.scale >= from->type.scale);
  tly_i128 factor = (tly_i128)tly_power_of_ten(out->type.scale - from->type.scale);
  TLY_EACH_ROW (rows, row)
    tly_vector_set_coefficient(out, row, tly_vector_coefficient(from, row) * factor);
}

static void copy_elements(struct tly_vector *out, const struct tly_vector *from, struct tly_rows rows) {
  size_t size = tly_form_size(tly_type_form(out->type));
  char *to = (char *)out->i64;
  const char *source = (const char *)from->i64;
  TLY_EACH_ROW (rows, row)
    memcpy(to + row * size, source + tly_vector_row(from, row) * size, size);
}

void tly_vector_copy_rows(struct tly_vector *out, const struct tly_vector *from, struct tly_rows rows) {
  enum tly_form to = tly_type_form(out->type), source = tly_type_form(from->type);
  if (from->codes != NULL) {
    TLY_ASSERT(to == TLY_FORM_TEXT);
    TLY_EACH_ROW (rows, row)
      out->text[row] = tly_vector_text(from, row);
    return;
  }
  bool is_numeric = out->type.id == TLY_TYPE_NUMERIC;
  if (is_numeric && to == TLY_FORM_DECIMAL) {
    TLY_EACH_ROW (rows, row)
      out->decimal[row] = tly_vector_decimal(from, row);
  } else if (is_numeric && (to != source || out->type.scale != from->type.scale)) {
    rescale_rows(out, from, rows);
  } else {
    TLY_ASSERT(to == source);
    copy_elements(out, from, rows);
  }
}
