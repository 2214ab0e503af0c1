/* A column's bytes, by its form; the type is known to the reader, so nothing tells it.
 *
 *   NULL             0xFF, which begins no other value: NULLs last
 *   integers, dates, timestamps, booleans
 *                    0x80 + n, n bytes big endian (the fewest) for 0 and above; 0x80 - n, n bytes of value - 1 below 0
 *                    with the bytes above dropped: longer is further from zero
 *   numeric          tly_decimal_append_ordered
 *   double           0x01, 8 bytes: the bits big endian, all flipped when negative, else only the sign
 *   text             its bytes, 0x00 (text has no NUL)
 *   uuid             0x01, 16 bytes
 *
 * Each ends itself and none is the beginning of another, so concatenated columns compare column by column. */
#include "common/value/ordered_key.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/value/uuid_internal.h"

enum { NULL_TAG = 0xFF, ZERO_TAG = 0x80, FIXED_TAG = 0x01, TEXT_END = 0x00 };

/* --- append --------------------------------------------------------------------------------------------------------
 */

static void append_i64(int64_t value, struct tly_buffer *out) {
  uint64_t magnitude = value < 0 ? ~(uint64_t)value : (uint64_t)value; /* -1 is 0 below zero, and needs a byte */
  int size = magnitude == 0 ? value < 0 : (71 - __builtin_clzll(magnitude)) / 8;
  uint8_t *place = tly_buffer_reserve(out, 9);
  *place++ = (uint8_t)(value < 0 ? ZERO_TAG - size : ZERO_TAG + size);
  for (int i = size - 1; i >= 0; i--)
    *place++ = (uint8_t)((uint64_t)value >> (8 * i));
  out->size += 1 + (size_t)size;
}

static void append_double(double value, struct tly_buffer *out) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits ^= value < 0 ? UINT64_MAX : UINT64_C(1) << 63;
  uint8_t *place = tly_buffer_reserve(out, 9);
  *place++ = FIXED_TAG;
  for (int i = 7; i >= 0; i--)
    *place++ = (uint8_t)(bits >> (8 * i));
  out->size += 9;
}

static void append_text(struct tly_type type, struct tly_text text, struct tly_buffer *out) {
  if (type.id == TLY_TYPE_UUID) {
    TLY_ASSERT(text.size == TLY_UUID_BYTES);
    tly_buffer_append_byte(out, FIXED_TAG);
    tly_buffer_append(out, text.data, text.size);
    return;
  }
  tly_buffer_append(out, text.data, text.size);
  tly_buffer_append_byte(out, TEXT_END);
}

void tly_key_append(struct tly_buffer *out, const struct tly_value *value) {
  if (value->is_null) {
    tly_buffer_append_byte(out, NULL_TAG);
    return;
  }
  if (value->type.id == TLY_TYPE_NUMERIC) {
    tly_decimal_append_ordered(tly_value_decimal(value), out);
    return;
  }
  switch (tly_type_form(value->type)) {
  case TLY_FORM_I64: append_i64(value->i64, out); return;
  case TLY_FORM_F64: append_double(value->f64, out); return;
  case TLY_FORM_TEXT: append_text(value->type, value->text, out); return;
  case TLY_FORM_I128:
  case TLY_FORM_DECIMAL:
  case TLY_FORM_INTERVAL: break; /* the first two are numeric; an interval is never a key */
  }
  TLY_UNREACHABLE();
}

/* --- read ----------------------------------------------------------------------------------------------------------
 */

static enum tly_status corrupt(struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "stored key is not in its canonical form");
}

static bool read_i64(struct tly_cursor *cursor, int64_t *out) {
  int tag = tly_cursor_byte(cursor), size = tag < ZERO_TAG ? ZERO_TAG - tag : tag - ZERO_TAG;
  if (size > 8)
    return false;
  const uint8_t *bytes = tly_cursor_bytes(cursor, (size_t)size);
  if (bytes == NULL)
    return false;
  uint64_t value = tag < ZERO_TAG ? UINT64_MAX : 0;
  for (int i = 0; i < size; i++)
    value = value << 8 | bytes[i];
  *out = (int64_t)value;
  uint8_t spare = tag < ZERO_TAG ? 0xFF : 0x00; /* what a byte holds that could have been left out */
  bool is_shortest = size == 0 || bytes[0] != spare || (size == 1 && tag < ZERO_TAG);
  return is_shortest && (*out < 0) == (tag < ZERO_TAG);
}

static bool read_double(struct tly_cursor *cursor, double *out) {
  uint8_t tag = tly_cursor_byte(cursor);
  const uint8_t *bytes = tly_cursor_bytes(cursor, 8);
  if (bytes == NULL || tag != FIXED_TAG)
    return false;
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++)
    bits = bits << 8 | bytes[i];
  bits ^= bits >> 63 ? UINT64_C(1) << 63 : UINT64_MAX;
  memcpy(out, &bits, sizeof *out);
  return isfinite(*out) && !(*out == 0 && bits != 0);
}

static bool read_text(struct tly_cursor *cursor, struct tly_type type, struct tly_arena *arena, struct tly_text *out) {
  const uint8_t *bytes;
  size_t size = TLY_UUID_BYTES;
  if (type.id == TLY_TYPE_UUID) {
    uint8_t tag = tly_cursor_byte(cursor);
    bytes = tly_cursor_bytes(cursor, size);
    if (bytes == NULL || tag != FIXED_TAG)
      return false;
  } else {
    const uint8_t *end =
        cursor->failed || tly_cursor_left(cursor) == 0 ? NULL : memchr(cursor->next, TEXT_END, tly_cursor_left(cursor));
    if (end == NULL)
      return false;
    size = (size_t)(end - cursor->next);
    bytes = tly_cursor_bytes(cursor, size + 1);
    if (size > UINT32_MAX || !tly_text_is_valid((const char *)bytes, size))
      return false;
  }
  *out = (struct tly_text){.data = tly_arena_copy(arena, bytes, size), .size = (uint32_t)size};
  return true;
}

static enum tly_status read_numeric(struct tly_cursor *cursor, struct tly_type type, struct tly_arena *arena,
                                    struct tly_value *out, struct tly_error *error) {
  struct tly_decimal decimal, checked;
  bool has_proof = type.precision > 0;
  TLY_TRY(tly_decimal_read_ordered(cursor, has_proof ? type.scale : -1, arena, &decimal, error));
  if (has_proof && tly_decimal_to_typmod(decimal, type.precision, type.scale, arena, &checked, NULL) != TLY_OK)
    return corrupt(error);
  *out = tly_value_of_decimal(type, decimal);
  return TLY_OK;
}

enum tly_status tly_key_read(struct tly_cursor *cursor, struct tly_type type, struct tly_arena *arena,
                             struct tly_value *out, struct tly_error *error) {
  *out = (struct tly_value){.type = type, .is_null = false};
  if (!cursor->failed && tly_cursor_left(cursor) > 0 && *cursor->next == NULL_TAG) {
    tly_cursor_byte(cursor);
    *out = tly_value_null(type);
    return TLY_OK;
  }
  if (type.id == TLY_TYPE_NUMERIC)
    return read_numeric(cursor, type, arena, out, error);
  bool is_good = false;
  switch (tly_type_form(type)) {
  case TLY_FORM_I64: is_good = read_i64(cursor, &out->i64); break;
  case TLY_FORM_F64: is_good = read_double(cursor, &out->f64); break;
  case TLY_FORM_TEXT: is_good = read_text(cursor, type, arena, &out->text); break;
  case TLY_FORM_I128:
  case TLY_FORM_DECIMAL:
  case TLY_FORM_INTERVAL: TLY_UNREACHABLE();
  }
  return is_good ? TLY_OK : corrupt(error);
}

int tly_key_compare(const void *a, size_t a_size, const void *b, size_t b_size) {
  size_t common = a_size < b_size ? a_size : b_size;
  int order = common > 0 ? memcmp(a, b, common) : 0;
  return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}
