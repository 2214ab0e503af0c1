#include "serving_layer/forms.h"

static enum tly_status wrong_form(struct tly_type type, struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_INTERNAL, "a value of type %s came in another form", tly_type_name(type));
}

static enum tly_status read_numeric(sqlite3_value *from, struct tly_type type, struct tly_arena *arena,
                                    struct tly_value *out, struct tly_error *error) {
  const uint8_t *bytes = sqlite3_value_blob(from);
  int size = sqlite3_value_bytes(from);
  if (sqlite3_value_type(from) != SQLITE_BLOB || size <= TLY_FORM_SCALE_BYTES)
    return wrong_form(type, error);
  int32_t scale = bytes[size - 2] << 8 | bytes[size - 1];
  struct tly_cursor cursor = tly_cursor_of(bytes, (size_t)size - TLY_FORM_SCALE_BYTES);
  struct tly_decimal decimal;
  TLY_TRY(tly_decimal_read_ordered(&cursor, scale, arena, &decimal, error));
  *out = tly_value_of_decimal(type, decimal);
  return TLY_OK;
}

static enum tly_status read_text(sqlite3_value *from, struct tly_type type, struct tly_value *out,
                                 struct tly_error *error) {
  bool is_uuid = type.id == TLY_TYPE_UUID;
  if (sqlite3_value_type(from) != (is_uuid ? SQLITE_BLOB : SQLITE_TEXT))
    return wrong_form(type, error);
  const void *bytes = is_uuid ? sqlite3_value_blob(from) : sqlite3_value_text(from);
  int size = sqlite3_value_bytes(from);
  out->text = (struct tly_text){.data = bytes != NULL ? bytes : "", .size = (uint32_t)size};
  return TLY_OK;
}

enum tly_status tly_form_read(sqlite3_value *from, struct tly_type type, struct tly_arena *arena, struct tly_value *out,
                              struct tly_error *error) {
  *out = tly_value_null(type);
  if (sqlite3_value_type(from) == SQLITE_NULL)
    return TLY_OK;
  out->is_null = false;
  switch (type.id) {
  case TLY_TYPE_NUMERIC: return read_numeric(from, type, arena, out, error);
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR:
  case TLY_TYPE_UUID: return read_text(from, type, out, error);
  case TLY_TYPE_DOUBLE:
    if (sqlite3_value_type(from) != SQLITE_FLOAT)
      return wrong_form(type, error);
    out->f64 = sqlite3_value_double(from);
    return TLY_OK;
  case TLY_TYPE_INTERVAL: return wrong_form(type, error);
  default:
    if (sqlite3_value_type(from) != SQLITE_INTEGER)
      return wrong_form(type, error);
    out->i64 = sqlite3_value_int64(from);
    return TLY_OK;
  }
}

static void numeric_form(const struct tly_value *value, struct tly_buffer *out) {
  struct tly_decimal decimal = tly_value_decimal(value);
  tly_decimal_append_ordered(decimal, out);
  tly_buffer_append_byte(out, (uint8_t)(decimal.scale >> 8));
  tly_buffer_append_byte(out, (uint8_t)decimal.scale);
}

void tly_form_result(sqlite3_context *context, const struct tly_value *value) {
  if (value->is_null) {
    sqlite3_result_null(context);
    return;
  }
  struct tly_buffer bytes = {0};
  switch (value->type.id) {
  case TLY_TYPE_NUMERIC:
    numeric_form(value, &bytes);
    sqlite3_result_blob64(context, bytes.data, bytes.size, SQLITE_TRANSIENT);
    tly_buffer_free(&bytes);
    return;
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR:
    sqlite3_result_text64(context, value->text.size > 0 ? value->text.data : "", value->text.size, SQLITE_TRANSIENT,
                          SQLITE_UTF8);
    return;
  case TLY_TYPE_UUID: sqlite3_result_blob64(context, value->text.data, value->text.size, SQLITE_TRANSIENT); return;
  case TLY_TYPE_DOUBLE: sqlite3_result_double(context, value->f64); return;
  case TLY_TYPE_INTERVAL: sqlite3_result_error(context, "an interval has no form in SQLite", -1); return;
  default: sqlite3_result_int64(context, value->i64); return;
  }
}

int tly_form_bind(sqlite3_stmt *statement, int index, const struct tly_value *value) {
  if (value->is_null)
    return sqlite3_bind_null(statement, index);
  struct tly_buffer bytes = {0};
  int code;
  switch (value->type.id) {
  case TLY_TYPE_NUMERIC:
    numeric_form(value, &bytes);
    code = sqlite3_bind_blob64(statement, index, bytes.data, bytes.size, SQLITE_TRANSIENT);
    tly_buffer_free(&bytes);
    return code;
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR:
    return sqlite3_bind_text64(statement, index, value->text.size > 0 ? value->text.data : "", value->text.size,
                               SQLITE_TRANSIENT, SQLITE_UTF8);
  case TLY_TYPE_UUID:
    return sqlite3_bind_blob64(statement, index, value->text.data, value->text.size, SQLITE_TRANSIENT);
  case TLY_TYPE_DOUBLE: return sqlite3_bind_double(statement, index, value->f64);
  case TLY_TYPE_INTERVAL: return SQLITE_MISMATCH;
  default: return sqlite3_bind_int64(statement, index, value->i64);
  }
}

bool tly_form_is_canonical(struct tly_type type) {
  return type.id != TLY_TYPE_NUMERIC || type.precision > 0;
}

bool tly_form_is_comparable(struct tly_type a, struct tly_type b) {
  if (tly_type_is_integer(a.id) && tly_type_is_integer(b.id))
    return true;
  if (tly_type_is_text(a.id) && tly_type_is_text(b.id))
    return true;
  if (a.id != b.id || a.id == TLY_TYPE_INTERVAL || a.id == TLY_TYPE_UNKNOWN)
    return false;
  return a.id != TLY_TYPE_NUMERIC || (a.precision > 0 && b.precision > 0 && a.scale == b.scale);
}
