#include "common/value/type.h"

#include "common/base/assert.h"

enum { I64_DIGITS_MAX = 18, I128_DIGITS_MAX = 38 };

struct type_row {
  enum tly_form form;
  const char *name, *protocol_name;
};

static const struct type_row rows[TLY_TYPE_COUNT] = {
    [TLY_TYPE_UNKNOWN] = {TLY_FORM_TEXT, "unknown", "text"},
    [TLY_TYPE_BOOLEAN] = {TLY_FORM_I64, "boolean", "boolean"},
    [TLY_TYPE_SMALLINT] = {TLY_FORM_I64, "smallint", "smallint"},
    [TLY_TYPE_INTEGER] = {TLY_FORM_I64, "integer", "integer"},
    [TLY_TYPE_BIGINT] = {TLY_FORM_I64, "bigint", "bigint"},
    [TLY_TYPE_NUMERIC] = {TLY_FORM_DECIMAL, "numeric", "numeric"},
    [TLY_TYPE_DOUBLE] = {TLY_FORM_F64, "double precision", "double precision"},
    [TLY_TYPE_TEXT] = {TLY_FORM_TEXT, "text", "text"},
    [TLY_TYPE_VARCHAR] = {TLY_FORM_TEXT, "character varying", "text"},
    [TLY_TYPE_DATE] = {TLY_FORM_I64, "date", "date"},
    [TLY_TYPE_TIMESTAMP] = {TLY_FORM_I64, "timestamp without time zone", "timestamp"},
    [TLY_TYPE_TIMESTAMPTZ] = {TLY_FORM_I64, "timestamp with time zone", "timestamptz"},
    [TLY_TYPE_UUID] = {TLY_FORM_TEXT, "uuid", "uuid"},
    [TLY_TYPE_INTERVAL] = {TLY_FORM_INTERVAL, "interval", "interval"},
};

static const struct type_row *row_of(enum tly_type_id id) {
  TLY_ASSERT((unsigned)id < TLY_TYPE_COUNT);
  return &rows[id];
}

enum tly_form tly_type_form(struct tly_type type) {
  bool has_proof = type.id == TLY_TYPE_NUMERIC && type.precision > 0 && type.precision <= I128_DIGITS_MAX;
  if (!has_proof)
    return row_of(type.id)->form;
  TLY_ASSERT(type.scale >= 0 && type.scale <= type.precision);
  return type.precision <= I64_DIGITS_MAX ? TLY_FORM_I64 : TLY_FORM_I128;
}

const char *tly_type_name(struct tly_type type) {
  return row_of(type.id)->name;
}

const char *tly_type_protocol_name(struct tly_type type) {
  return row_of(type.id)->protocol_name;
}

bool tly_type_is_integer(enum tly_type_id id) {
  return id == TLY_TYPE_SMALLINT || id == TLY_TYPE_INTEGER || id == TLY_TYPE_BIGINT;
}

bool tly_type_is_text(enum tly_type_id id) {
  return id == TLY_TYPE_TEXT || id == TLY_TYPE_VARCHAR;
}
