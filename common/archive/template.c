/* Learning walks the event's JSON (known to be valid: a strict decoder has accepted it) and looks, at each scalar that
 * is a column's, for a spelling that renders the column's value to just these bytes. Where there is none the bytes stay
 * literal: the template then fits only events with that very value, which is right for a member that is always the
 * same.
 *
 * Matching and rendering share `spell`, so what matches is what will be rendered. */
#include "common/archive/template.h"

#include <string.h>

#include "common/archive/column.h"
#include "common/archive/json_walk.h"
#include "common/archive/same_bytes.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/value/timestamp.h"

enum {
  SPELL_ROOM = 64,
  SPELL_STEP = 16,
  SCALED_DIGITS_MAX = 18,
  TIME_SHORTEST = 7,
  TIME_SPACE = 8,
  TIME_PARAMETERS = 16,
  FRACTION_DIGITS = 6
};

/* ---- spelling ---------------------------------------------------------------------------------------------------- */

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                  "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

/* The digits of `value`, at least `width`, ending before `end`; returns where they start. */
static char *digits_before(char *end, uint64_t value, unsigned width) {
  char *start = end;
  for (; value >= 100; value /= 100)
    memcpy(start -= 2, digit_pairs + 2 * (value % 100), 2);
  if (value >= 10)
    memcpy(start -= 2, digit_pairs + 2 * value, 2);
  else if (value > 0 || start == end)
    *--start = (char)('0' + value);
  while ((unsigned)(end - start) < width)
    *--start = '0';
  return start;
}

static unsigned spell_integer(int64_t value, char *out) {
  char room[24], *end = room + sizeof room;
  uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  char *start = digits_before(end, magnitude, 1);
  if (value < 0)
    *--start = '-';
  memcpy(out, start, (size_t)(end - start));
  return (unsigned)(end - start);
}

static char *wide_digits_before(char *end, tly_u128 value, unsigned width) {
  static const uint64_t chunk = UINT64_C(1000000000000000000);
  if (value < chunk)
    return digits_before(end, (uint64_t)value, width);
  char *start = digits_before(end, (uint64_t)(value % chunk), 18);
  return wide_digits_before(start, value / chunk, width > 18 ? width - 18 : 1);
}

enum zeros { ZEROS_KEPT, ZEROS_DROPPED, ZEROS_DROPPED_BUT_ONE };

/* magnitude / 10^scale; 0 when it has too many digits. */
static unsigned spell_decimal(bool is_negative, tly_u128 magnitude, unsigned scale, enum zeros zeros, char *out) {
  enum { DIGITS_MAX = 38 };
  char room[SPELL_ROOM], *end = room + sizeof room;
  if (scale > DIGITS_MAX || magnitude / 10 > (tly_u128)INT64_MAX * INT64_MAX)
    return 0;
  if (scale == 0 && zeros == ZEROS_DROPPED_BUT_ONE) {
    magnitude *= 10;
    scale = 1;
  }
  unsigned scale_min = zeros == ZEROS_KEPT ? scale : zeros == ZEROS_DROPPED ? 0 : 1;
  for (; scale > scale_min && magnitude % 10 == 0; scale--)
    magnitude /= 10;
  char *start = magnitude <= UINT64_MAX ? digits_before(end, (uint64_t)magnitude, scale + 1)
                                        : wide_digits_before(end, magnitude, scale + 1);
  unsigned whole = (unsigned)(end - start) - scale;
  char *next = out;
  if (is_negative)
    *next++ = '-';
  memcpy(next, start, whole);
  next += whole;
  if (scale > 0) {
    *next++ = '.';
    memcpy(next, start + whole, scale);
    next += scale;
  }
  return (unsigned)(next - out);
}

/* `size` bytes from `from` to `to`, in whole steps: up to SPELL_STEP - 1 bytes behind both may be touched. Values have
 * a few bytes, for which a call would cost more than the copy. */
static inline void copy_in_steps(char *to, const char *from, size_t size) {
  for (size_t i = 0; i < size; i += SPELL_STEP)
    memcpy(to + i, from + i, SPELL_STEP);
}

/* The same as spell_decimal with ZEROS_KEPT, for what most amounts are: 64 bits. */
static unsigned spell_scaled(int64_t value, unsigned scale, char *out) {
  char room[SPELL_ROOM], *end = room + SPELL_ROOM - SPELL_STEP, *start = end;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  for (unsigned left = scale; left > 1; left -= 2, rest /= 100)
    memcpy(start -= 2, digit_pairs + 2 * (rest % 100), 2);
  if (scale % 2 != 0) {
    *--start = (char)('0' + rest % 10);
    rest /= 10;
  }
  if (scale > 0)
    *--start = '.';
  start = digits_before(start, rest, 1);
  if (value < 0)
    *--start = '-';
  copy_in_steps(out, start, (size_t)(end - start));
  return (unsigned)(end - start);
}

static unsigned spell_numeric(const struct tly_vector *column, uint32_t row, enum zeros zeros, char *out) {
  tly_i128 coefficient;
  int32_t scale = column->type.scale;
  enum tly_form form = tly_type_form(column->type);
  if (form == TLY_FORM_I64 && zeros == ZEROS_KEPT && scale >= 0 && scale <= SCALED_DIGITS_MAX)
    return spell_scaled(column->i64[row], (unsigned)scale, out);
  switch (form) {
  case TLY_FORM_I64: coefficient = column->i64[row]; break;
  case TLY_FORM_I128: coefficient = column->i128[row]; break;
  case TLY_FORM_DECIMAL:
    scale = column->decimal[row].scale;
    if (tly_decimal_to_i128(column->decimal[row], scale, &coefficient))
      break;
    return 0;
  default: return 0;
  }
  tly_u128 magnitude = coefficient < 0 ? 0 - (tly_u128)coefficient : (tly_u128)coefficient;
  return scale < 0 ? 0 : spell_decimal(coefficient < 0, magnitude, (unsigned)scale, zeros, out);
}

/* With the fewest digits after the point that give the same double. */
static unsigned spell_double(double value, enum zeros zeros, char *out) {
  int64_t scaled;
  for (unsigned digits = 0; digits <= TLY_SCALED_DIGITS_MAX; digits++)
    if (tly_double_to_scaled(value, digits, &scaled)) {
      uint64_t magnitude = scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled;
      return spell_decimal(scaled < 0, magnitude, digits, zeros, out);
    }
  return 0;
}

/* Neighbouring events share their day: the calendar is asked once a day. */
static unsigned spell_date(int64_t days, char *out) {
  static _Thread_local int64_t known_days = INT64_MIN;
  static _Thread_local char known[10];
  if (days != known_days) {
    int64_t year;
    int month, day;
    tly_civil_of_days(days, &year, &month, &day);
    if (year < 0 || year > 9999)
      return 0;
    digits_before(known + 4, (uint64_t)year, 4);
    known[4] = known[7] = '-';
    memcpy(known + 5, digit_pairs + 2 * month, 2);
    memcpy(known + 8, digit_pairs + 2 * day, 2);
    known_days = days;
  }
  memcpy(out, known, sizeof known);
  return sizeof known;
}

static unsigned spell_new_time(int64_t microseconds, unsigned parameter, char *out) {
  int64_t days = microseconds / TLY_US_PER_DAY, rest = microseconds % TLY_US_PER_DAY;
  if (rest < 0) {
    rest += TLY_US_PER_DAY;
    days--;
  }
  unsigned size = spell_date(days, out);
  if (size == 0)
    return 0;
  unsigned seconds = (unsigned)(rest / TLY_US_PER_SECOND), fraction = (unsigned)(rest % TLY_US_PER_SECOND);
  char *next = out + size;
  *next++ = (parameter & TIME_SPACE) != 0 ? ' ' : 'T';
  memcpy(next, digit_pairs + 2 * (seconds / 3600), 2);
  next[2] = ':';
  memcpy(next + 3, digit_pairs + 2 * (seconds / 60 % 60), 2);
  next[5] = ':';
  memcpy(next + 6, digit_pairs + 2 * (seconds % 60), 2);
  next += 8;
  unsigned digits = parameter % TIME_SPACE;
  unsigned kept = digits == TIME_SHORTEST ? FRACTION_DIGITS : digits;
  *next = '.';
  digits_before(next + 1 + FRACTION_DIGITS, fraction, FRACTION_DIGITS);
  while (digits == TIME_SHORTEST && kept > 0 && next[kept] == '0')
    kept--;
  for (unsigned i = kept; i < FRACTION_DIGITS; i++)
    if (next[1 + i] != '0')
      return 0;
  return (unsigned)(next - out) + (kept > 0 ? kept + 1 : 0);
}

/* Neighbouring events often share their second, too. */
static unsigned spell_time(int64_t microseconds, unsigned parameter, char *out) {
  static _Thread_local struct {
    int64_t microseconds;
    unsigned parameter, size; /* 0: nothing is known */
    char text[2 * SPELL_STEP];
  } known;
  if (known.size == 0 || microseconds != known.microseconds || parameter != known.parameter) {
    known.size = spell_new_time(microseconds, parameter, known.text);
    known.microseconds = microseconds;
    known.parameter = parameter;
  }
  memcpy(out, known.text, sizeof known.text);
  return known.size;
}

static unsigned spell_epoch(int64_t microseconds, unsigned parameter, char *out) {
  int64_t unit = parameter == 6 ? TLY_US_PER_SECOND : parameter == 3 ? 1000 : 1;
  return microseconds % unit != 0 ? 0 : spell_integer(microseconds / unit, out);
}

static unsigned spell_uuid(struct tly_text bytes, char *out) {
  static const char hex[] = "0123456789abcdef";
  unsigned size = 0;
  if (bytes.size != 16)
    return 0;
  for (unsigned i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      out[size++] = '-';
    out[size++] = hex[(uint8_t)bytes.data[i] >> 4];
    out[size++] = hex[(uint8_t)bytes.data[i] & 15];
  }
  return size;
}

/* Write a value that is not NULL to `out`, which has SPELL_ROOM bytes; 0 when it cannot be spelled that way. Not for
 * TLY_SPELL_TEXT. */
static unsigned spell(enum tly_spelling spelling, unsigned parameter, const struct tly_vector *column, uint32_t row,
                      char *out) {
  switch (spelling) {
  case TLY_SPELL_INTEGER: return spell_integer(column->i64[row], out);
  case TLY_SPELL_NUMERIC: return spell_numeric(column, row, ZEROS_KEPT, out);
  case TLY_SPELL_NUMERIC_SHORT: return spell_numeric(column, row, ZEROS_DROPPED, out);
  case TLY_SPELL_NUMERIC_POINT: return spell_numeric(column, row, ZEROS_DROPPED_BUT_ONE, out);
  case TLY_SPELL_DOUBLE_SHORT: return spell_double(column->f64[row], ZEROS_DROPPED, out);
  case TLY_SPELL_DOUBLE_POINT: return spell_double(column->f64[row], ZEROS_DROPPED_BUT_ONE, out);
  case TLY_SPELL_BOOLEAN:
    memcpy(out, column->i64[row] != 0 ? "true" : "false", 5);
    return column->i64[row] != 0 ? 4 : 5;
  case TLY_SPELL_DATE: return spell_date(column->i64[row], out);
  case TLY_SPELL_TIME: return spell_time(column->i64[row], parameter, out);
  case TLY_SPELL_EPOCH: return spell_epoch(column->i64[row], parameter, out);
  case TLY_SPELL_UUID: return spell_uuid(tly_vector_text(column, row), out);
  case TLY_SPELL_TEXT:
  case TLY_SPELL_COUNT: break;
  }
  TLY_UNREACHABLE();
}

/* Whether values of this type can be given to `spell` at all: what a stored template is checked by. */
static bool spelling_fits(enum tly_spelling spelling, unsigned parameter, struct tly_type type) {
  switch (spelling) {
  case TLY_SPELL_TEXT: return tly_type_is_text(type.id);
  case TLY_SPELL_INTEGER: return tly_type_is_integer(type.id);
  case TLY_SPELL_NUMERIC:
  case TLY_SPELL_NUMERIC_SHORT:
  case TLY_SPELL_NUMERIC_POINT: return type.id == TLY_TYPE_NUMERIC;
  case TLY_SPELL_DOUBLE_SHORT:
  case TLY_SPELL_DOUBLE_POINT: return type.id == TLY_TYPE_DOUBLE;
  case TLY_SPELL_BOOLEAN: return type.id == TLY_TYPE_BOOLEAN;
  case TLY_SPELL_DATE: return type.id == TLY_TYPE_DATE;
  case TLY_SPELL_TIME:
    return parameter < TIME_PARAMETERS && (type.id == TLY_TYPE_TIMESTAMP || type.id == TLY_TYPE_TIMESTAMPTZ);
  case TLY_SPELL_EPOCH: return type.id == TLY_TYPE_TIMESTAMP || type.id == TLY_TYPE_TIMESTAMPTZ;
  case TLY_SPELL_UUID: return type.id == TLY_TYPE_UUID;
  case TLY_SPELL_COUNT: break;
  }
  return false;
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

struct learner {
  const struct tly_stream *stream;
  const struct tly_vector *columns;
  uint32_t row;
  const char *literal; /* where the literal bytes before the next hole start in the payload */
  struct tly_template *template;
  uint32_t literal_bytes;
  bool failed;
  struct tly_text path[TLY_JSON_DEPTH_MAX];
};

/* How many bytes at the start of `token` the value's spelling takes; the rest must be the zone of a time, or nothing.
 */
static uint32_t spelled_size(const struct learner *learner, enum tly_spelling spelling, unsigned parameter,
                             uint32_t column, struct tly_text token) {
  static const char *const zones[] = {"Z", "z", "+00:00", "+00", "+0000", "-00:00"};
  char room[SPELL_ROOM];
  unsigned size = spell(spelling, parameter, &learner->columns[column], learner->row, room);
  if (size == 0 || size > token.size || memcmp(room, token.data, size) != 0)
    return 0;
  if (size == token.size)
    return size;
  struct tly_text rest = {.data = token.data + size, .size = token.size - size};
  for (size_t i = 0; spelling == TLY_SPELL_TIME && i < sizeof zones / sizeof zones[0]; i++)
    if (tly_text_equal(rest, tly_text_of(zones[i])))
      return size;
  return 0;
}

/* A spelling for the column's value in `token` (a string without its quotes, or another scalar). */
static uint32_t find_spelling(const struct learner *learner, uint32_t column, struct tly_text token, uint8_t *spelling,
                              uint8_t *parameter) {
  const struct tly_vector *vector = &learner->columns[column];
  if (tly_type_is_text(vector->type.id)) {
    *spelling = TLY_SPELL_TEXT;
    *parameter = 0;
    return tly_text_equal(tly_vector_text(vector, learner->row), token) ? token.size : 0;
  }
  for (unsigned s = TLY_SPELL_TEXT + 1; s < TLY_SPELL_COUNT; s++) {
    unsigned parameters = s == TLY_SPELL_TIME ? TIME_PARAMETERS : s == TLY_SPELL_EPOCH ? FRACTION_DIGITS + 1 : 1;
    for (unsigned p = 0; p < parameters && spelling_fits(s, p, vector->type); p++) {
      uint32_t size = spelled_size(learner, s, p, column, token);
      if (size > 0) {
        *spelling = (uint8_t)s;
        *parameter = (uint8_t)p;
        return size;
      }
    }
  }
  return 0;
}

static void add_literal(struct learner *learner, const char *end, uint16_t *start, uint16_t *size) {
  size_t bytes = (size_t)(end - learner->literal);
  if (bytes > TLY_TEMPLATE_LITERAL_BYTES_MAX - learner->literal_bytes) {
    learner->failed = true;
    return;
  }
  *start = (uint16_t)learner->literal_bytes;
  *size = (uint16_t)bytes;
  memcpy(learner->template->literals + learner->literal_bytes, learner->literal, bytes);
  learner->literal_bytes += (uint32_t)bytes;
}

static void learn_scalar(struct learner *learner, uint32_t column, struct tly_text token) {
  struct tly_template *template = learner->template;
  if (token.size > 1 && token.data[0] == '"')
    token = (struct tly_text){.data = token.data + 1, .size = token.size - 2};
  struct tly_template_hole hole = {.column = (uint16_t)column};
  if (tly_vector_is_null(&learner->columns[column], learner->row))
    return; /* its null stays literal */
  bool is_empty_text = token.size == 0 && tly_type_is_text(learner->columns[column].type.id);
  uint32_t size = find_spelling(learner, column, token, &hole.spelling, &hole.parameter);
  if (size == 0 && !is_empty_text)
    return;
  if (template->hole_count == TLY_TEMPLATE_HOLES_MAX) {
    learner->failed = true;
    return;
  }
  add_literal(learner, token.data, &hole.literal_start, &hole.literal_size);
  learner->literal = token.data + size;
  template->holes[template->hole_count++] = hole;
}

static bool is_path_of(const struct learner *learner, uint32_t depth, const struct tly_stream_column *column) {
  if (column->path_count != depth)
    return false;
  for (uint32_t i = 0; i < depth; i++)
    if (!tly_text_equal(learner->path[i], tly_text_of(column->path[i])))
      return false;
  return true;
}

static void learn_object(struct learner *learner, struct tly_json_walk *walk, uint32_t depth) {
  if (depth == TLY_JSON_DEPTH_MAX || !tly_json_enter_object(walk))
    return;
  while (tly_json_next_member(walk, &learner->path[depth])) {
    if (walk->next < walk->end && *walk->next == '{') {
      learn_object(learner, walk, depth + 1);
      continue;
    }
    struct tly_text token = tly_json_skip_value(walk);
    for (uint32_t c = 0; c < learner->stream->column_count; c++)
      if (is_path_of(learner, depth + 1, &learner->stream->columns[c])) {
        learn_scalar(learner, c, token);
        break;
      }
  }
}

bool tly_template_learn(const struct tly_stream *stream, const struct tly_vector *columns, uint32_t row,
                        struct tly_text payload, struct tly_template *out) {
  struct learner learner = {.stream = stream, .columns = columns, .row = row, .literal = payload.data, .template = out};
  struct tly_json_walk walk = {.next = payload.data, .end = payload.data + payload.size};
  out->hole_count = 0;
  learn_object(&learner, &walk, 0);
  add_literal(&learner, payload.data + payload.size, &out->tail_start, &out->tail_size);
  return !learner.failed && out->hole_count > 0;
}

/* ---- matching and rendering -------------------------------------------------------------------------------------- */

bool tly_template_matches(const struct tly_template *template, const struct tly_vector *columns, uint32_t row,
                          struct tly_text payload) {
  const char *next = payload.data, *end = next + payload.size;
  for (uint32_t h = 0; h < template->hole_count; h++) {
    const struct tly_template_hole *hole = &template->holes[h];
    const struct tly_vector *column = &columns[hole->column];
    if ((size_t)(end - next) < hole->literal_size ||
        !tly_same_bytes(next, template->literals + hole->literal_start, hole->literal_size) ||
        tly_vector_is_null(column, row))
      return false;
    next += hole->literal_size;
    char room[SPELL_ROOM];
    struct tly_text text = {.data = room};
    if (hole->spelling == TLY_SPELL_TEXT)
      text = tly_vector_text(column, row);
    else if ((text.size = spell(hole->spelling, hole->parameter, column, row, room)) == 0)
      return false;
    /* a text that was decoded from the payload mostly is that part of it */
    if ((size_t)(end - next) < text.size || (next != text.data && !tly_same_bytes(next, text.data, text.size)))
      return false;
    next += text.size;
  }
  return (size_t)(end - next) == template->tail_size &&
         tly_same_bytes(next, template->literals + template->tail_start, template->tail_size);
}

bool tly_template_has_shape(const struct tly_template *template, const struct tly_shape *shape) {
  bool same = template->hole_count == shape->hole_count;
  for (uint32_t h = 0; h < template->hole_count && same; h++)
    same = template->holes[h].column == shape->holes[h].column &&
           template->holes[h].spelling == shape->holes[h].spelling &&
           template->holes[h].parameter == shape->holes[h].parameter;
  return same;
}

/* In whole steps, which may write behind `to + size`, and read behind the literals (they are padded for it): most are a
 * few bytes, for which a call would cost more than the copy. */
static char *copy_literal(char *to, const char *literal, size_t size) {
  for (size_t i = 0; i < size; i += TLY_TEMPLATE_PADDING)
    memcpy(to + i, literal + i, TLY_TEMPLATE_PADDING);
  return to + size;
}

/* Room for any rendering of the row. */
static size_t render_bound(const struct tly_template *template, const struct tly_vector *columns, uint32_t row) {
  size_t bound = TLY_TEMPLATE_LITERAL_BYTES_MAX + TLY_TEMPLATE_PADDING;
  for (uint32_t h = 0; h < template->hole_count; h++) {
    const struct tly_template_hole *hole = &template->holes[h];
    bound += hole->spelling == TLY_SPELL_TEXT ? tly_vector_text(&columns[hole->column], row).size : SPELL_ROOM;
  }
  return bound;
}

bool tly_template_render(const struct tly_template *template, const struct tly_vector *columns, uint32_t row,
                         struct tly_buffer *out) {
  char *start = (char *)tly_buffer_reserve(out, render_bound(template, columns, row)), *next = start;
  for (uint32_t h = 0; h < template->hole_count; h++) {
    const struct tly_template_hole *hole = &template->holes[h];
    const struct tly_vector *column = &columns[hole->column];
    next = copy_literal(next, template->literals + hole->literal_start, hole->literal_size);
    if (tly_vector_is_null(column, row))
      return false;
    if (hole->spelling == TLY_SPELL_TEXT) {
      struct tly_text text = tly_vector_text(column, row);
      memcpy(next, text.data, text.size);
      next += text.size;
      continue;
    }
    unsigned size = spell(hole->spelling, hole->parameter, column, row, next);
    if (size == 0)
      return false;
    next += size;
  }
  next = copy_literal(next, template->literals + template->tail_start, template->tail_size);
  out->size += (size_t)(next - start);
  return true;
}

/* ---- stored form ------------------------------------------------------------------------------------------------- */

void tly_template_write(const struct tly_template *template, struct tly_buffer *out) {
  tly_buffer_append_varint(out, template->hole_count);
  for (uint32_t h = 0; h < template->hole_count; h++) {
    const struct tly_template_hole *hole = &template->holes[h];
    tly_buffer_append_varint(out, hole->literal_size);
    tly_buffer_append(out, template->literals + hole->literal_start, hole->literal_size);
    tly_buffer_append_varint(out, hole->column);
    tly_buffer_append_byte(out, hole->spelling);
    tly_buffer_append_byte(out, hole->parameter);
  }
  tly_buffer_append_varint(out, template->tail_size);
  tly_buffer_append(out, template->literals + template->tail_start, template->tail_size);
}

static void read_literal(struct tly_cursor *in, struct tly_template *out, uint32_t *used, uint16_t *start,
                         uint16_t *size) {
  uint64_t bytes = tly_cursor_varint(in);
  if (bytes > TLY_TEMPLATE_LITERAL_BYTES_MAX - *used) {
    in->failed = 1;
    return;
  }
  const uint8_t *literal = tly_cursor_bytes(in, bytes);
  if (literal == NULL)
    return;
  memcpy(out->literals + *used, literal, bytes);
  *start = (uint16_t)*used;
  *size = (uint16_t)bytes;
  *used += (uint32_t)bytes;
}

void tly_template_read(struct tly_cursor *in, uint32_t column_count, struct tly_template *out) {
  uint64_t holes = tly_cursor_varint(in);
  uint32_t used = 0;
  out->hole_count = 0;
  if (holes > TLY_TEMPLATE_HOLES_MAX)
    in->failed = 1;
  for (; out->hole_count < holes && !in->failed; out->hole_count++) {
    struct tly_template_hole *hole = &out->holes[out->hole_count];
    read_literal(in, out, &used, &hole->literal_start, &hole->literal_size);
    uint64_t column = tly_cursor_varint(in);
    hole->spelling = tly_cursor_byte(in);
    hole->parameter = tly_cursor_byte(in);
    if (column >= column_count || hole->spelling >= TLY_SPELL_COUNT)
      in->failed = 1;
    hole->column = (uint16_t)column;
  }
  read_literal(in, out, &used, &out->tail_start, &out->tail_size);
}

bool tly_template_fits(const struct tly_template *template, const struct tly_vector *columns) {
  for (uint32_t h = 0; h < template->hole_count; h++) {
    const struct tly_template_hole *hole = &template->holes[h];
    if (!spelling_fits(hole->spelling, hole->parameter, columns[hole->column].type))
      return false;
  }
  return true;
}
