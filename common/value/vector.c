#include "common/value/vector.h"

#include <string.h>

#include "common/base/assert.h"

size_t tly_form_size(enum tly_form form) {
  switch (form) {
  case TLY_FORM_I64: return sizeof(int64_t);
  case TLY_FORM_I128: return sizeof(tly_i128);
  case TLY_FORM_F64: return sizeof(double);
  case TLY_FORM_TEXT: return sizeof(struct tly_text);
  case TLY_FORM_DECIMAL: return sizeof(struct tly_decimal);
  case TLY_FORM_INTERVAL: return sizeof(struct tly_interval);
  }
  TLY_UNREACHABLE();
}

struct tly_value tly_vector_value(const struct tly_vector *vector, uint32_t row) {
  TLY_ASSERT(row < vector->count);
  if (tly_vector_is_null(vector, row))
    return tly_value_null(vector->type);
  struct tly_value value = {.type = vector->type, .is_null = false};
  uint32_t place = tly_vector_row(vector, row);
  switch (tly_type_form(vector->type)) {
  case TLY_FORM_I64: value.i64 = vector->i64[place]; break;
  case TLY_FORM_I128: value.i128 = vector->i128[place]; break;
  case TLY_FORM_F64: value.f64 = vector->f64[place]; break;
  case TLY_FORM_TEXT: value.text = tly_vector_text(vector, row); break;
  case TLY_FORM_DECIMAL: value.decimal = vector->decimal[place]; break;
  case TLY_FORM_INTERVAL: value.interval = vector->interval[place]; break;
  }
  return value;
}

struct tly_vector tly_vector_of_value(const struct tly_value *value, uint32_t count, struct tly_arena *arena) {
  struct tly_vector vector = tly_vector_new(value->type, 1, arena);
  vector.count = count;
  vector.is_constant = true;
  if (value->is_null) {
    vector.null = memset(tly_arena_alloc(arena, 1), 1, 1);
    return vector;
  }
  switch (tly_type_form(value->type)) {
  case TLY_FORM_I64: vector.i64[0] = value->i64; break;
  case TLY_FORM_I128: vector.i128[0] = value->i128; break;
  case TLY_FORM_F64: vector.f64[0] = value->f64; break;
  case TLY_FORM_TEXT: vector.text[0] = value->text; break;
  case TLY_FORM_DECIMAL: vector.decimal[0] = value->decimal; break;
  case TLY_FORM_INTERVAL: vector.interval[0] = value->interval; break;
  }
  return vector;
}

/* Zeroed, because elements of NULL rows must be readable. */
struct tly_vector tly_vector_new(struct tly_type type, uint32_t count, struct tly_arena *arena) {
  struct tly_vector vector = {.type = type, .count = count};
  vector.i64 = tly_arena_zero(arena, count * tly_form_size(tly_type_form(type)));
  return vector;
}
