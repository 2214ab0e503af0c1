/* One value of any type: its text forms, and comparing. What a type does with its text is decided in one switch for
 * each direction; the work is in decimal_text.c, double_text.c, date_text.c, interval_text.c and uuid_text.c. */
#include "common/value/value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/value/uuid_internal.h"

enum { SHOWN_BYTES_MAX = 100 };

struct tly_value tly_value_null(struct tly_type type) {
  return (struct tly_value){.type = type, .is_null = true};
}

/* --- parse ---------------------------------------------------------------------------------------------------------
 */

static enum tly_status bad_syntax(struct tly_type type, const char *text, size_t size, struct tly_error *error) {
  int shown = size < SHOWN_BYTES_MAX ? (int)size : SHOWN_BYTES_MAX;
  return TLY_FAIL(error, TLY_E_TEXT_REPRESENTATION, "invalid input syntax for type %s: \"%.*s\"", tly_type_name(type),
                  shown, text);
}

static struct tly_text trim_spaces(const char *text, size_t size) {
  while (size > 0 && isspace((unsigned char)text[0]))
    text++, size--;
  while (size > 0 && isspace((unsigned char)text[size - 1]))
    size--;
  return (struct tly_text){.data = text, .size = (uint32_t)size};
}

/* Any beginning of true, false, yes, no, on, off that means only one of them; 1 and 0. */
static bool parse_boolean(const char *text, size_t size, int64_t *out) {
  static const struct {
    const char *word;
    size_t size_min;
    bool value;
  } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
               {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
  struct tly_text word = trim_spaces(text, size);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (word.size >= words[i].size_min && word.size <= strlen(words[i].word) &&
        strncasecmp(words[i].word, word.data, word.size) == 0) {
      *out = words[i].value;
      return true;
    }
  return false;
}

static enum tly_status parse_integer(struct tly_type type, const char *text, size_t size, int64_t *out,
                                     struct tly_error *error) {
  int64_t min = type.id == TLY_TYPE_BIGINT ? INT64_MIN : type.id == TLY_TYPE_INTEGER ? INT32_MIN : INT16_MIN;
  struct tly_text word = trim_spaces(text, size);
  const char *next = word.data, *end = word.data + word.size;
  int64_t value = 0; /* negative, since that side reaches further */
  bool is_negative = next < end && *next == '-';
  next += next < end && (*next == '-' || *next == '+');
  bool is_out_of_range = false, has_digit = false;
  for (; next < end && *next >= '0' && *next <= '9'; next++) {
    has_digit = true;
    is_out_of_range = is_out_of_range || __builtin_mul_overflow(value, 10, &value) ||
                      __builtin_sub_overflow(value, *next - '0', &value);
  }
  is_out_of_range = is_out_of_range || value < min || (!is_negative && value == min);
  if (is_out_of_range) {
    int shown = size < SHOWN_BYTES_MAX ? (int)size : SHOWN_BYTES_MAX;
    return TLY_FAIL(error, TLY_E_NUMERIC_OUT_OF_RANGE, "value \"%.*s\" is out of range for type %s", shown, text,
                    tly_type_name(type));
  }
  if (!has_digit || next != end)
    return bad_syntax(type, text, size, error);
  *out = is_negative ? value : -value;
  return TLY_OK;
}

static enum tly_status parse_numeric(struct tly_type type, const char *text, size_t size, struct tly_arena *arena,
                                     struct tly_value *out, struct tly_error *error) {
  struct tly_decimal decimal;
  TLY_TRY(tly_decimal_parse(text, size, arena, &decimal, error));
  if (type.precision > 0)
    TLY_TRY(tly_decimal_to_typmod(decimal, type.precision, type.scale, arena, &decimal, error));
  *out = tly_value_of_decimal(type, decimal);
  return TLY_OK;
}

/* varchar(n): spaces beyond n characters are cut, anything else there is an error. */
static enum tly_status parse_text(struct tly_type type, const char *text, size_t size, struct tly_arena *arena,
                                  struct tly_text *out, struct tly_error *error) {
  if (size > UINT32_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "text of %zu bytes is too long", size);
  if (!tly_text_is_valid(text, size))
    return TLY_FAIL(error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"");
  struct tly_text whole = {.data = text, .size = (uint32_t)size};
  struct tly_text kept = type.precision > 0 ? tly_text_left(whole, type.precision) : whole;
  for (uint32_t i = kept.size; i < whole.size; i++)
    if (text[i] != ' ')
      return TLY_FAIL(error, TLY_E_STRING_TRUNCATION, "value too long for type character varying(%d)", type.precision);
  *out = (struct tly_text){.data = tly_arena_copy(arena, kept.data, kept.size), .size = kept.size};
  return TLY_OK;
}

enum tly_status tly_value_parse(struct tly_type type, const char *text, size_t size, struct tly_arena *arena,
                                struct tly_value *out, struct tly_error *error) {
  *out = (struct tly_value){.type = type, .is_null = false};
  switch (type.id) {
  case TLY_TYPE_BOOLEAN: return parse_boolean(text, size, &out->i64) ? TLY_OK : bad_syntax(type, text, size, error);
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT: return parse_integer(type, text, size, &out->i64, error);
  case TLY_TYPE_NUMERIC: return parse_numeric(type, text, size, arena, out, error);
  case TLY_TYPE_DOUBLE: return tly_double_parse(text, size, &out->f64, error);
  case TLY_TYPE_UNKNOWN:
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR: return parse_text(type, text, size, arena, &out->text, error);
  case TLY_TYPE_DATE: return tly_date_parse(text, size, &out->i64, error);
  case TLY_TYPE_TIMESTAMP: return tly_timestamp_parse(text, size, false, &out->i64, error);
  case TLY_TYPE_TIMESTAMPTZ: return tly_timestamp_parse(text, size, true, &out->i64, error);
  case TLY_TYPE_UUID: {
    uint8_t *bytes = tly_arena_alloc(arena, TLY_UUID_BYTES);
    out->text = (struct tly_text){.data = (const char *)bytes, .size = TLY_UUID_BYTES};
    return tly_uuid_parse(text, size, bytes) ? TLY_OK : bad_syntax(type, text, size, error);
  }
  case TLY_TYPE_INTERVAL: return tly_interval_parse(text, size, &out->interval, error);
  case TLY_TYPE_COUNT: break;
  }
  TLY_UNREACHABLE();
}

/* --- print ---------------------------------------------------------------------------------------------------------
 */

static void print_integer(int64_t value, struct tly_buffer *out) {
  enum { DIGITS_MAX = 20 };
  char digits[DIGITS_MAX], *start = digits + DIGITS_MAX;
  uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
  do {
    *--start = (char)('0' + magnitude % 10);
    magnitude /= 10;
  } while (magnitude > 0);
  if (value < 0)
    *--start = '-';
  tly_buffer_append(out, start, (size_t)(digits + DIGITS_MAX - start));
}

void tly_value_print(const struct tly_value *value, struct tly_buffer *out) {
  if (value->is_null)
    return;
  switch (value->type.id) {
  case TLY_TYPE_BOOLEAN: tly_buffer_append_byte(out, value->i64 != 0 ? 't' : 'f'); return;
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT: print_integer(value->i64, out); return;
  case TLY_TYPE_NUMERIC: tly_decimal_print(tly_value_decimal(value), out); return;
  case TLY_TYPE_DOUBLE: tly_double_print(value->f64, out); return;
  case TLY_TYPE_UNKNOWN:
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR: tly_buffer_append(out, value->text.data, value->text.size); return;
  case TLY_TYPE_DATE: tly_date_print(value->i64, out); return;
  case TLY_TYPE_TIMESTAMP: tly_timestamp_print(value->i64, false, out); return;
  case TLY_TYPE_TIMESTAMPTZ: tly_timestamp_print(value->i64, true, out); return;
  case TLY_TYPE_UUID: tly_uuid_print((const uint8_t *)value->text.data, out); return;
  case TLY_TYPE_INTERVAL: tly_interval_print(value->interval, out); return;
  case TLY_TYPE_COUNT: break;
  }
  TLY_UNREACHABLE();
}

void tly_json_print_text(const char *data, size_t size, struct tly_buffer *out) {
  static const char hex[] = "0123456789abcdef";
  tly_buffer_append_byte(out, '"');
  size_t plain = 0; /* where the run of bytes starts that need no escape */
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = (uint8_t)data[i];
    if (byte >= 0x20 && byte != '"' && byte != '\\')
      continue;
    tly_buffer_append(out, data + plain, i - plain);
    plain = i + 1;
    char escape[6] = {'\\', (char)byte, '0', '0', hex[byte >> 4], hex[byte & 15]};
    size_t escape_size = 2;
    switch (byte) {
    case '"':
    case '\\': break;
    case '\b': escape[1] = 'b'; break;
    case '\f': escape[1] = 'f'; break;
    case '\n': escape[1] = 'n'; break;
    case '\r': escape[1] = 'r'; break;
    case '\t': escape[1] = 't'; break;
    default: escape[1] = 'u', escape_size = sizeof escape;
    }
    tly_buffer_append(out, escape, escape_size);
  }
  tly_buffer_append(out, data + plain, size - plain);
  tly_buffer_append_byte(out, '"');
}

void tly_value_print_json(const struct tly_value *value, struct tly_buffer *out) {
  if (value->is_null) {
    tly_buffer_append_text(out, "null");
    return;
  }
  switch (value->type.id) {
  case TLY_TYPE_BOOLEAN: tly_buffer_append_text(out, value->i64 != 0 ? "true" : "false"); return;
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT:
  case TLY_TYPE_DOUBLE: tly_value_print(value, out); return;
  case TLY_TYPE_UNKNOWN:
  case TLY_TYPE_TEXT:
  case TLY_TYPE_VARCHAR: tly_json_print_text(value->text.data, value->text.size, out); return;
  default: break; /* the others print nothing that JSON would have to escape */
  }
  tly_buffer_append_byte(out, '"');
  if (value->type.id == TLY_TYPE_TIMESTAMP || value->type.id == TLY_TYPE_TIMESTAMPTZ)
    tly_timestamp_print_rfc3339(value->i64, value->type.id == TLY_TYPE_TIMESTAMPTZ, out);
  else
    tly_value_print(value, out);
  tly_buffer_append_byte(out, '"');
}

void tly_value_print_csv(const struct tly_value *value, struct tly_buffer *out) {
  size_t start = out->size;
  tly_value_print(value, out);
  size_t size = out->size - start, quotes = 0;
  bool needs_quotes = size == 0 && !value->is_null;
  for (size_t i = start; i < out->size; i++) {
    quotes += out->data[i] == '"';
    needs_quotes = needs_quotes || strchr(",\"\r\n", out->data[i]) != NULL;
  }
  if (!needs_quotes)
    return;
  tly_buffer_reserve(out, quotes + 2);
  uint8_t *from = out->data + out->size, *to = from + quotes + 1; /* moved from the end, so nothing is overwritten */
  *to = '"';
  while (from > out->data + start) {
    *--to = *--from;
    if (*from == '"')
      *--to = '"';
  }
  out->data[start] = '"';
  out->size += quotes + 2;
}

/* --- numeric -------------------------------------------------------------------------------------------------------
 */

struct tly_decimal tly_value_decimal(const struct tly_value *value) {
  TLY_ASSERT(!value->is_null && (value->type.id == TLY_TYPE_NUMERIC || tly_type_is_integer(value->type.id)));
  switch (tly_type_form(value->type)) {
  case TLY_FORM_I64: return tly_decimal_of_i64(value->i64, value->type.scale);
  case TLY_FORM_I128: return tly_decimal_of_i128(value->i128, value->type.scale);
  default: return value->decimal;
  }
}

struct tly_value tly_value_of_decimal(struct tly_type type, struct tly_decimal decimal) {
  TLY_ASSERT(type.id == TLY_TYPE_NUMERIC);
  struct tly_value value = {.type = type, .is_null = false};
  tly_i128 scaled = 0;
  enum tly_form form = tly_type_form(type);
  if (form == TLY_FORM_DECIMAL) {
    value.decimal = decimal;
    return value;
  }
  TLY_ASSERT(tly_decimal_to_i128(decimal, type.scale, &scaled));
  if (form == TLY_FORM_I128) {
    value.i128 = scaled;
  } else {
    TLY_ASSERT(scaled >= INT64_MIN && scaled <= INT64_MAX);
    value.i64 = (int64_t)scaled;
  }
  return value;
}

/* --- comparing -----------------------------------------------------------------------------------------------------
 */

int tly_value_compare(const struct tly_value *a, const struct tly_value *b) {
  TLY_ASSERT(a->type.id == b->type.id && !a->is_null && !b->is_null);
  bool is_numeric = a->type.id == TLY_TYPE_NUMERIC;
  if (is_numeric && (a->type.precision != b->type.precision || a->type.scale != b->type.scale))
    return tly_decimal_compare(tly_value_decimal(a), tly_value_decimal(b));
  switch (tly_type_form(a->type)) {
  case TLY_FORM_I64: return (a->i64 > b->i64) - (a->i64 < b->i64);
  case TLY_FORM_I128: return (a->i128 > b->i128) - (a->i128 < b->i128);
  case TLY_FORM_F64: return (a->f64 > b->f64) - (a->f64 < b->f64);
  case TLY_FORM_TEXT: return tly_text_compare(a->text, b->text);
  case TLY_FORM_DECIMAL: return tly_decimal_compare(a->decimal, b->decimal);
  case TLY_FORM_INTERVAL: return tly_interval_compare(a->interval, b->interval);
  }
  TLY_UNREACHABLE();
}
