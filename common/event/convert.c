/* NUMBERS. A number is split into sign, digits and exponent without computing anything; then the digits that matter
 * (without zeros at both ends) and the power of ten of the last one decide by comparison alone whether the value fits
 * the type. Only then is it computed, in 128 bits, from at most 38 digits. So 1e999999999 costs what its text costs.
 *
 * An unconstrained numeric takes at most TLY_EVENT_DECIMAL_DIGITS_MAX digits, so that every sum of them fits a decimal.
 *
 * DOUBLES. Up to 15 digits and a power of ten up to 22 are both exact doubles, so one multiplication or division rounds
 * once and is right (W. D. Clinger, "How to read floating point numbers accurately", 1990). The rest is strtod's.
 *
 * TIMESTAMPS in the plain RFC 3339 form are read by plain_time.h; every other form is tly_timestamp_parse's. */
#include "common/event/convert.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/event/plain_time.h"

enum { INLINE_DIGITS_MAX = 38, WORD_DIGITS_MAX = 19, QUOTED_BYTES_MAX = 64 };

_Static_assert(TLY_EVENT_DECIMAL_DIGITS_MAX <= TLY_SUMMAND_DIGITS_MAX, "any sum over events fits a decimal");

/* ---- words ------------------------------------------------------------------------------------------------------- */

int tly_convert_quoted_size(struct tly_text text) {
  if (text.size <= QUOTED_BYTES_MAX)
    return (int)text.size;
  uint32_t size = QUOTED_BYTES_MAX;
  while (size > 0 && ((unsigned char)text.data[size] & 0xC0) == 0x80)
    size--;
  return (int)size;
}

/* FAIL(column, status, "words about %.*s", QUOTED(text)): the words come behind the column's name. */
#define QUOTED(text)              tly_convert_quoted_size(text), (text).data
#define FAIL(column, status, ...) FAIL_NAMED(column, status, __VA_ARGS__)
#define FAIL_NAMED(column, status, format, ...)                                                                        \
  TLY_FAIL(error, status, "column \"%s\": " format, (column)->name, __VA_ARGS__)

enum tly_status tly_convert_refuse(const struct tly_stream_column *column, const char *what, struct tly_error *error) {
  return FAIL(column, TLY_E_DATATYPE_MISMATCH, "it is of type %s, but the event has %s", tly_type_name(column->type),
              what);
}

static enum tly_status fail_syntax(const struct tly_stream_column *column, struct tly_text text,
                                   struct tly_error *error) {
  return FAIL(column, TLY_E_TEXT_REPRESENTATION, "invalid input syntax for type %s: \"%.*s\"",
              tly_type_name(column->type), QUOTED(text));
}

static enum tly_status fail_range(const struct tly_stream_column *column, struct tly_text text,
                                  struct tly_error *error) {
  return FAIL(column, TLY_E_NUMERIC_OUT_OF_RANGE, "%.*s is out of range for type %s", QUOTED(text),
              tly_type_name(column->type));
}

/* The words of a parser of common/value, behind the column's name. */
static enum tly_status fail_parse(const struct tly_stream_column *column, enum tly_status status,
                                  const struct tly_error *inner, struct tly_error *error) {
  return FAIL(column, status, "%s", inner->message);
}

/* ---- a number's text in parts ------------------------------------------------------------------------------------ */

struct number {
  bool is_negative;
  const char *whole, *fraction; /* the digits before and after the point */
  uint32_t whole_size, fraction_size;
  int64_t exponent; /* what stands behind the e; beyond +-EXPONENT_MAX it is EXPONENT_MAX */
  /* By look_at_digits: the value is the `significant` digits from number `first` on, times 10^power. */
  uint32_t first, significant;
  int64_t power;
};

enum { EXPONENT_MAX = 1 << 30 };

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static uint32_t count_digits(const char *next, const char *end) {
  const char *start = next;
  while (next < end && is_digit(*next))
    next++;
  return (uint32_t)(next - start);
}

/* [e[+-]digits]; false when something else stands there. */
static bool split_exponent(const char *next, const char *end, int64_t *exponent) {
  *exponent = 0;
  if (next == end)
    return true;
  if (*next != 'e' && *next != 'E')
    return false;
  next++;
  bool is_negative = next < end && *next == '-';
  if (next < end && (*next == '-' || *next == '+'))
    next++;
  if (next == end)
    return false;
  for (; next < end; next++) {
    if (!is_digit(*next))
      return false;
    if (*exponent < EXPONENT_MAX)
      *exponent = *exponent * 10 + (*next - '0');
  }
  if (*exponent > EXPONENT_MAX)
    *exponent = EXPONENT_MAX;
  if (is_negative)
    *exponent = -*exponent;
  return true;
}

static char digit_at(const struct number *number, uint32_t index) {
  return index < number->whole_size ? number->whole[index] : number->fraction[index - number->whole_size];
}

/* Find the digits that matter: neither the zeros in front nor those behind. */
static void look_at_digits(struct number *number) {
  uint32_t count = number->whole_size + number->fraction_size;
  uint32_t first = 0;
  while (first < count && digit_at(number, first) == '0')
    first++;
  uint32_t behind = count;
  while (behind > first && digit_at(number, behind - 1) == '0')
    behind--;
  number->first = first;
  number->significant = behind - first;
  number->power = number->exponent - (int64_t)number->fraction_size + (int64_t)(count - behind);
}

/* PostgreSQL's spelling of a number, of which JSON's is a part: blanks around, a sign, a point with digits on at least
 * one side, an exponent. */
static bool split_number(struct tly_text text, struct number *number) {
  const char *next = text.data;
  const char *end = text.data + text.size;
  while (next < end && is_space(*next))
    next++;
  while (next < end && is_space(end[-1]))
    end--;
  number->is_negative = next < end && *next == '-';
  if (next < end && (*next == '-' || *next == '+'))
    next++;
  number->whole = next;
  number->whole_size = count_digits(next, end);
  next += number->whole_size;
  number->fraction = next;
  number->fraction_size = 0;
  if (next < end && *next == '.') {
    number->fraction = next + 1;
    number->fraction_size = count_digits(next + 1, end);
    next += 1 + number->fraction_size;
  }
  if (number->whole_size + number->fraction_size == 0 || !split_exponent(next, end, &number->exponent))
    return false;
  look_at_digits(number);
  return true;
}

static tly_i128 power_of_ten(uint32_t exponent) {
  tly_i128 power = 1;
  TLY_ASSERT(exponent <= INLINE_DIGITS_MAX);
  while (exponent-- > 0)
    power *= 10;
  return power;
}

/* value * 10^scale; the caller has checked that it is whole and of at most 38 digits. */
static tly_i128 compute(const struct number *number, int64_t scale) {
  int64_t shift = number->power + scale;
  if (number->significant == 0)
    return 0;
  TLY_ASSERT(shift >= 0 && number->significant + shift <= INLINE_DIGITS_MAX);
  uint64_t head = 0; /* most have no more digits than this holds */
  uint32_t count = 0;
  for (; count < number->significant && count < WORD_DIGITS_MAX; count++)
    head = head * 10 + (uint64_t)(digit_at(number, number->first + count) - '0');
  tly_i128 value = head;
  for (; count < number->significant; count++)
    value = value * 10 + (digit_at(number, number->first + count) - '0');
  value *= power_of_ten((uint32_t)shift);
  return number->is_negative ? -value : value;
}

/* Digits before the point, 0 or less when the value is below 0.1. */
static int64_t whole_digits(const struct number *number) {
  return number->significant + number->power;
}

static bool is_beyond_scale(const struct number *number, int64_t scale) {
  return number->significant > 0 && number->power + scale < 0;
}

/* ---- integers and numerics --------------------------------------------------------------------------------------- */

static void integer_range(enum tly_type_id id, int64_t *low, int64_t *high) {
  *high = id == TLY_TYPE_SMALLINT ? INT16_MAX : id == TLY_TYPE_INTEGER ? INT32_MAX : INT64_MAX;
  *low = -*high - 1;
}

static enum tly_status convert_integer(struct tly_column_target *target, uint32_t row, const struct number *number,
                                       struct tly_text text, struct tly_error *error) {
  int64_t low, high;
  integer_range(target->column->type.id, &low, &high);
  if (number->significant > 0 && whole_digits(number) > 19)
    return fail_range(target->column, text, error);
  if (is_beyond_scale(number, 0))
    return FAIL(target->column, TLY_E_TEXT_REPRESENTATION, "%.*s is not a whole number, as type %s needs", QUOTED(text),
                tly_type_name(target->column->type));
  tly_i128 value = compute(number, 0);
  if (value < low || value > high)
    return fail_range(target->column, text, error);
  target->i64[row] = (int64_t)value;
  return TLY_OK;
}

/* A numeric that only a decimal can hold. Its text is cut down to what matters first, so that the parser's work is
 * bounded too. */
static enum tly_status convert_decimal(struct tly_column_target *target, uint32_t row, const struct number *number,
                                       struct tly_text text, struct tly_arena *arena, struct tly_error *error) {
  struct tly_type type = target->column->type;
  struct tly_error inner;
  int64_t scale = (int64_t)number->fraction_size - number->exponent; /* digits it shows after the point */
  if (scale < 0)
    scale = 0;
  if (number->significant == 0 && type.precision == 0 && scale <= TLY_EVENT_DECIMAL_DIGITS_MAX) {
    target->decimal[row] = tly_decimal_of_i64(0, (int32_t)scale);
    return TLY_OK;
  }
  int64_t whole = whole_digits(number) > 0 ? whole_digits(number) : 0;
  if (scale + whole > TLY_EVENT_DECIMAL_DIGITS_MAX && type.precision == 0)
    return FAIL(target->column, TLY_E_NUMERIC_OUT_OF_RANGE, "%.*s has more than %d digits", QUOTED(text),
                TLY_EVENT_DECIMAL_DIGITS_MAX);
  char digits[TLY_DECIMAL_DIGITS_MAX + 32];
  int size = 0;
  TLY_ASSERT(number->significant <= TLY_DECIMAL_DIGITS_MAX);
  digits[size++] = number->is_negative ? '-' : '+';
  digits[size++] = '0';
  for (uint32_t i = 0; i < number->significant; i++)
    digits[size++] = digit_at(number, number->first + i);
  size += snprintf(digits + size, sizeof digits - (size_t)size, "e%lld",
                   number->significant == 0 ? 0 : (long long)number->power);
  struct tly_decimal value;
  enum tly_status status = tly_decimal_parse(digits, (size_t)size, arena, &value, &inner);
  if (status == TLY_OK) /* give it the scale it was written with, or that of the type */
    status = tly_decimal_round(value, type.precision == 0 ? (int32_t)scale : type.scale, arena, &value, &inner);
  if (status != TLY_OK)
    return fail_parse(target->column, status, &inner, error);
  target->decimal[row] = value;
  return TLY_OK;
}

static enum tly_status convert_numeric(struct tly_column_target *target, uint32_t row, const struct number *number,
                                       struct tly_text text, struct tly_arena *arena, struct tly_error *error) {
  struct tly_type type = target->column->type;
  if (type.precision > 0 && is_beyond_scale(number, type.scale))
    return FAIL(target->column, TLY_E_NUMERIC_OUT_OF_RANGE,
                "%.*s has more than %d digits after the point: it does not fit numeric(%d,%d) exactly", QUOTED(text),
                type.scale, type.precision, type.scale);
  if (type.precision > 0 && number->significant > 0 && whole_digits(number) > type.precision - type.scale)
    return FAIL(target->column, TLY_E_NUMERIC_OUT_OF_RANGE,
                "%.*s has more than %d digits before the point: it does not fit numeric(%d,%d)", QUOTED(text),
                type.precision - type.scale, type.precision, type.scale);
  switch (target->form) {
  case TLY_FORM_I64: target->i64[row] = (int64_t)compute(number, type.scale); return TLY_OK;
  case TLY_FORM_I128: target->i128[row] = compute(number, type.scale); return TLY_OK;
  default: return convert_decimal(target, row, number, text, arena, error);
  }
}

/* ---- doubles ----------------------------------------------------------------------------------------------------- */

enum { EXACT_DIGITS_MAX = 15, EXACT_POWER_MAX = 22 };

static const double exact_powers[EXACT_POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static enum tly_status convert_double(struct tly_column_target *target, uint32_t row, const struct number *number,
                                      struct tly_text text, struct tly_error *error) {
  if (number->significant == 0) {
    target->f64[row] = 0;
    return TLY_OK;
  }
  if (number->significant <= EXACT_DIGITS_MAX && number->power >= -EXACT_POWER_MAX &&
      number->power <= EXACT_POWER_MAX) {
    int64_t coefficient = 0;
    for (uint32_t i = 0; i < number->significant; i++)
      coefficient = coefficient * 10 + (digit_at(number, number->first + i) - '0');
    double magnitude = number->power < 0 ? (double)coefficient / exact_powers[-number->power]
                                         : (double)coefficient * exact_powers[number->power];
    target->f64[row] = number->is_negative ? -magnitude : magnitude;
    return TLY_OK;
  }
  struct tly_error inner;
  double value;
  enum tly_status status = tly_double_parse(text.data, text.size, &value, &inner);
  if (status == TLY_E_NUMERIC_OUT_OF_RANGE)
    return fail_range(target->column, text, error);
  if (status != TLY_OK)
    return fail_parse(target->column, status, &inner, error);
  target->f64[row] = value == 0 ? 0 : value;
  return TLY_OK;
}

/* ---- dates and timestamps ---------------------------------------------------------------------------------------- */

/* The number as microseconds, rounded half away from zero as a timestamp's fraction is. */
static enum tly_status microseconds_of_epoch(const struct tly_stream_column *column, const struct number *number,
                                             struct tly_text text, int64_t *microseconds, struct tly_error *error) {
  int64_t scale = column->unit == TLY_TIME_EPOCH_S ? 6 : column->unit == TLY_TIME_EPOCH_MS ? 3 : 0;
  struct number cut = *number;
  int64_t beyond = -(number->power + scale);
  bool round_up = false;
  if (number->significant > 0 && whole_digits(number) + scale > 18)
    return FAIL(column, TLY_E_DATETIME_OVERFLOW, "%.*s is out of range for a time", QUOTED(text));
  if (number->significant > 0 && beyond > 0) { /* digits below a microsecond */
    cut.significant = beyond > number->significant ? 0 : number->significant - (uint32_t)beyond;
    cut.power = number->power + beyond;
    round_up = beyond <= number->significant && digit_at(number, number->first + cut.significant) >= '5';
  }
  int64_t value = (int64_t)compute(&cut, scale);
  if (round_up)
    value += number->is_negative ? -1 : 1;
  struct tly_error inner;
  enum tly_status status = tly_timestamp_check(value, &inner);
  if (status != TLY_OK)
    return fail_parse(column, status, &inner, error);
  *microseconds = value;
  return TLY_OK;
}

static enum tly_status convert_epoch(struct tly_column_target *target, uint32_t row, const struct number *number,
                                     struct tly_text text, struct tly_error *error) {
  int64_t microseconds = 0;
  TLY_TRY(microseconds_of_epoch(target->column, number, text, &microseconds, error));
  if (target->column->type.id == TLY_TYPE_DATE) { /* the day it falls on, also before 1970 */
    int64_t days = microseconds / TLY_US_PER_DAY;
    target->i64[row] = days - (microseconds % TLY_US_PER_DAY < 0);
  } else {
    target->i64[row] = microseconds;
  }
  return TLY_OK;
}

static enum tly_status convert_time_text(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                         struct tly_error *error) {
  const struct tly_stream_column *column = target->column;
  int64_t value;
  bool with_zone = column->type.id == TLY_TYPE_TIMESTAMPTZ;
  bool is_date = column->type.id == TLY_TYPE_DATE;
  struct number number;
  if (column->unit != TLY_TIME_RFC3339 && split_number(text, &number))
    return convert_epoch(target, row, &number, text, error);
  if (is_date ? text.size == 10 && tly_plain_date(text.data, &value)
              : tly_plain_timestamp(text.data, text.size, with_zone, &value)) {
    target->i64[row] = value;
    return TLY_OK;
  }
  struct tly_error inner;
  enum tly_status status = is_date ? tly_date_parse(text.data, text.size, &value, &inner)
                                   : tly_timestamp_parse(text.data, text.size, with_zone, &value, &inner);
  if (status != TLY_OK)
    return fail_parse(column, status, &inner, error);
  target->i64[row] = value;
  return TLY_OK;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* varchar(n): characters beyond n must be blanks, which are cut, as PostgreSQL does on input. */
static enum tly_status convert_varchar(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                       struct tly_error *error) {
  int64_t limit = target->column->type.precision;
  if (limit > 0 && text.size > limit && tly_text_length(text) > limit) {
    struct tly_text kept = tly_text_left(text, limit);
    for (uint32_t i = kept.size; i < text.size; i++)
      if (text.data[i] != ' ')
        return FAIL(target->column, TLY_E_STRING_TRUNCATION, "\"%.*s\" is longer than the %d characters of varchar(%d)",
                    QUOTED(text), (int)limit, (int)limit);
    text = kept;
  }
  target->text[row] = text;
  return TLY_OK;
}

static enum tly_status convert_by_input_function(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                                 struct tly_arena *arena, struct tly_error *error) {
  struct tly_value value;
  struct tly_error inner;
  enum tly_status status = tly_value_parse(target->column->type, text.data, text.size, arena, &value, &inner);
  if (status != TLY_OK)
    return fail_parse(target->column, status, &inner, error);
  if (target->form == TLY_FORM_I64)
    target->i64[row] = value.i64;
  else
    target->text[row] = value.text;
  return TLY_OK;
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* The usual form, 8-4-4-4-12; every other is the input function's. */
static enum tly_status convert_uuid(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                    struct tly_arena *arena, struct tly_error *error) {
  static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
  const char *data = text.data;
  if (text.size != 36 || data[8] != '-' || data[13] != '-' || data[18] != '-' || data[23] != '-')
    return convert_by_input_function(target, row, text, arena, error);
  uint8_t *bytes = tly_arena_alloc(arena, sizeof places);
  for (size_t i = 0; i < sizeof places; i++) {
    int high = hex_digit(data[places[i]]);
    int low = hex_digit(data[places[i] + 1]);
    if (high < 0 || low < 0)
      return convert_by_input_function(target, row, text, arena, error);
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  target->text[row] = (struct tly_text){.data = (const char *)bytes, .size = sizeof places};
  return TLY_OK;
}

static bool is_word(struct tly_text text, const char *word) {
  return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static enum tly_status convert_number_text(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                           struct tly_arena *arena, struct tly_error *error) {
  struct number number;
  if (split_number(text, &number)) {
    if (target->column->type.id == TLY_TYPE_NUMERIC)
      return convert_numeric(target, row, &number, text, arena, error);
    if (target->column->type.id == TLY_TYPE_DOUBLE)
      return convert_double(target, row, &number, text, error);
    return convert_integer(target, row, &number, text, error);
  }
  struct tly_text word = text;
  if (word.size > 0 && (*word.data == '-' || *word.data == '+')) {
    word.data++;
    word.size--;
  }
  if (!tly_type_is_integer(target->column->type.id) &&
      (is_word(word, "nan") || is_word(word, "inf") || is_word(word, "infinity")))
    return FAIL(target->column, TLY_E_NOT_SUPPORTED, "\"%.*s\" is not supported: NaN and infinity are no amounts",
                QUOTED(text));
  return fail_syntax(target->column, text, error);
}

/* ---- the doors --------------------------------------------------------------------------------------------------- */

enum tly_status tly_convert_text(struct tly_column_target *target, uint32_t row, struct tly_text text,
                                 enum tly_text_source source, struct tly_arena *arena, struct tly_error *error) {
  switch (target->column->type.id) {
  case TLY_TYPE_TEXT: target->text[row] = text; return TLY_OK;
  case TLY_TYPE_VARCHAR: return convert_varchar(target, row, text, error);
  case TLY_TYPE_BOOLEAN:
    if (source == TLY_TEXT_OF_JSON)
      return tly_convert_refuse(target->column, "a string (only true and false are boolean)", error);
    return convert_by_input_function(target, row, text, arena, error);
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT:
  case TLY_TYPE_NUMERIC:
  case TLY_TYPE_DOUBLE: return convert_number_text(target, row, text, arena, error);
  case TLY_TYPE_DATE:
  case TLY_TYPE_TIMESTAMP:
  case TLY_TYPE_TIMESTAMPTZ: return convert_time_text(target, row, text, error);
  case TLY_TYPE_UUID: return convert_uuid(target, row, text, arena, error);
  default: TLY_UNREACHABLE();
  }
}

enum tly_status tly_convert_number(struct tly_column_target *target, uint32_t row, struct tly_text number,
                                   struct tly_arena *arena, struct tly_error *error) {
  struct number parts;
  switch (target->column->type.id) {
  case TLY_TYPE_SMALLINT:
  case TLY_TYPE_INTEGER:
  case TLY_TYPE_BIGINT:
  case TLY_TYPE_NUMERIC:
  case TLY_TYPE_DOUBLE: return convert_number_text(target, row, number, arena, error);
  case TLY_TYPE_DATE:
  case TLY_TYPE_TIMESTAMP:
  case TLY_TYPE_TIMESTAMPTZ:
    if (target->column->unit == TLY_TIME_RFC3339)
      return tly_convert_refuse(target->column,
                                "a number (for seconds since 1970 declare OPTIONS (unit 's'), or 'ms', 'us')", error);
    TLY_ASSERT(split_number(number, &parts));
    return convert_epoch(target, row, &parts, number, error);
  case TLY_TYPE_BOOLEAN: return tly_convert_refuse(target->column, "a number (only true and false are boolean)", error);
  default: return tly_convert_refuse(target->column, "a number", error);
  }
}

enum tly_status tly_convert_boolean(struct tly_column_target *target, uint32_t row, bool value,
                                    struct tly_error *error) {
  if (target->column->type.id != TLY_TYPE_BOOLEAN)
    return tly_convert_refuse(target->column, value ? "true" : "false", error);
  target->i64[row] = value ? 1 : 0;
  return TLY_OK;
}

enum tly_status tly_convert_null(struct tly_column_target *target, uint32_t row, const char *what,
                                 struct tly_error *error) {
  if (target->column->not_null)
    return FAIL(target->column, TLY_E_NOT_NULL, "it is NOT NULL, but the event has %s", what);
  tly_batch_writer_set_null(target, row);
  return TLY_OK;
}
