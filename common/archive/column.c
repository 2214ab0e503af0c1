/* A column: type (1 byte, zig-zag precision and scale), varint code limit, varint size of the rows; then the rows:
 *
 *   null form   1 byte: no row is NULL, a bit a row follows, or all are (and nothing follows)
 *   encoding    1 byte
 *   values      as the encoding says; a NULL row repeats the value before it, which costs least
 *
 * Encodings by form. I64: packed integers. I128: the same when all fit 64 bits, else 16 bytes a value. F64: most
 * doubles in events were decimals once; where all rows are an integer of at most 53 bits divided by one power of ten
 * (checked value by value, exactly) they are packed as that integer, else 8 bytes a value. DECIMAL: scales and
 * coefficients as packed integers while those fit 64 bits, else the compact form of decimal.h. TEXT: codes of the
 * file's dictionary; else, where all rows are one prefix and a number (identifiers), prefix and packed integers; else
 * the bytes. */
#include "common/archive/column.h"

#include <math.h>
#include <string.h>

#include "common/archive/bytes.h"
#include "common/archive/same_bytes.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum null_form { NULL_NONE, NULL_SOME, NULL_ALL };

enum encoding {
  ENCODE_INTEGERS,
  ENCODE_WIDE,
  ENCODE_DOUBLES,
  ENCODE_SCALED_DOUBLES,
  ENCODE_CODES,
  ENCODE_NUMBERED,
  ENCODE_BYTES,
  ENCODE_SMALL_DECIMALS,
  ENCODE_DECIMALS
};

enum { NUMBER_DIGITS_MAX = 18, DOUBLE_INTEGER_BITS = 53 };

static const double powers_of_ten[TLY_SCALED_DIGITS_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/* ---- doubles ----------------------------------------------------------------------------------------------------- */

double tly_double_of_scaled(int64_t scaled, unsigned digits) {
  return (double)scaled / powers_of_ten[digits]; /* both are exact, so this is the double nearest to the decimal */
}

bool tly_double_to_scaled(double value, unsigned digits, int64_t *scaled) {
  double product = value * powers_of_ten[digits];
  if (!(fabs(product) < (double)(INT64_C(1) << DOUBLE_INTEGER_BITS)))
    return false;
  *scaled = llrint(product);
  return tly_double_of_scaled(*scaled, digits) == value;
}

static bool scale_doubles(const double *values, uint32_t count, unsigned *digits, int64_t *scaled) {
  *digits = 0;
  for (uint32_t i = 0; i < count;) {
    if (tly_double_to_scaled(values[i], *digits, &scaled[i])) {
      i++;
    } else {
      if (*digits == TLY_SCALED_DIGITS_MAX)
        return false;
      ++*digits;
      i = 0;
    }
  }
  return true;
}

static void write_doubles(const double *values, uint32_t count, struct tly_buffer *out) {
  int64_t *scaled = tly_malloc((count + 1) * sizeof *scaled);
  unsigned digits;
  if (scale_doubles(values, count, &digits, scaled)) {
    tly_buffer_append_byte(out, ENCODE_SCALED_DOUBLES);
    tly_buffer_append_byte(out, (uint8_t)digits);
    tly_pack_integers(scaled, count, 1, TLY_EFFORT_LIVE, out);
  } else {
    tly_buffer_append_byte(out, ENCODE_DOUBLES);
    tly_buffer_append(out, values, count * sizeof *values);
  }
  tly_free(scaled);
}

/* ---- wide integers and decimals ---------------------------------------------------------------------------------- */

static bool fits_i64(tly_i128 value) {
  return value == (tly_i128)(int64_t)value;
}

static void write_wide(const tly_i128 *values, uint32_t count, enum tly_effort effort, struct tly_buffer *out) {
  int64_t *narrow = tly_malloc((count + 1) * sizeof *narrow);
  bool fits = true;
  for (uint32_t i = 0; i < count && fits; i++) {
    fits = fits_i64(values[i]);
    narrow[i] = (int64_t)values[i];
  }
  tly_buffer_append_byte(out, fits ? ENCODE_INTEGERS : ENCODE_WIDE);
  if (fits)
    tly_pack_integers(narrow, count, 1, effort, out);
  else
    tly_buffer_append(out, values, count * sizeof *values);
  tly_free(narrow);
}

static void write_decimals(const struct tly_decimal *values, uint32_t count, enum tly_effort effort,
                           struct tly_buffer *out) {
  int64_t *scales = tly_malloc(2 * (size_t)(count + 1) * sizeof *scales), *coefficients = scales + count + 1;
  bool small = true;
  for (uint32_t i = 0; i < count && small; i++) {
    tly_i128 coefficient;
    small = tly_decimal_to_i128(values[i], values[i].scale, &coefficient) && fits_i64(coefficient);
    scales[i] = values[i].scale;
    coefficients[i] = small ? (int64_t)coefficient : 0;
  }
  tly_buffer_append_byte(out, small ? ENCODE_SMALL_DECIMALS : ENCODE_DECIMALS);
  if (small) {
    tly_pack_integers(scales, count, 1, effort, out);
    tly_pack_integers(coefficients, count, 1, effort, out);
  } else {
    for (uint32_t i = 0; i < count; i++)
      tly_decimal_append_compact(values[i], out);
  }
  tly_free(scales);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static uint32_t digits_at_end(struct tly_text text) {
  uint32_t digits = 0;
  while (digits < text.size && digits < NUMBER_DIGITS_MAX && text.data[text.size - digits - 1] >= '0' &&
         text.data[text.size - digits - 1] <= '9')
    digits++;
  return digits;
}

/* The digits that the upper `count` (1 to 8) bytes of a word spell as a number; false when one of them is no digit. */
static inline bool digits_of(uint64_t word, uint32_t count, int64_t *number) {
  uint64_t digits = (word ^ UINT64_C(0x3030303030303030)) & UINT64_MAX << (8 * (8 - count)); /* zeros before them */
  if (((digits | (digits + UINT64_C(0x0606060606060606))) & UINT64_C(0xF0F0F0F0F0F0F0F0)) != 0)
    return false;
  digits = digits * 10 + (digits >> 8);
  digits = ((digits & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064) +
            (digits >> 16 & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001)) >>
           32;
  *number = (int64_t)(uint32_t)digits;
  return true;
}

/* The number behind a prefix of `prefix` bytes; false when what stands there is no number, or not in its shortest form
 * unless `is_padded`. Eight bytes at once, the last of which are the text's last. */
static inline bool number_behind(struct tly_text text, uint32_t prefix, bool is_padded, int64_t *number) {
  static const int64_t powers[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
  uint32_t digits = text.size - prefix;
  if (digits == 0 || digits > NUMBER_DIGITS_MAX || (!is_padded && digits > 1 && text.data[prefix] == '0'))
    return false;
  int64_t sum = 0, part;
  for (const char *next = text.data + prefix; digits > 0;) {
    uint32_t count = digits < 8 ? digits : 8;
    uint64_t word = 0;
    if (text.size >= 8)
      word = tly_load_u64(next + count - 8);
    else
      memcpy((char *)&word + 8 - count, next, count);
    if (!digits_of(word, count, &part))
      return false;
    sum = sum * powers[count] + part;
    next += count;
    digits -= count;
  }
  *number = sum;
  return true;
}

static bool write_numbered(const struct tly_text *texts, uint32_t count, enum tly_effort effort,
                           struct tly_buffer *out) {
  uint32_t prefix = texts[0].size - digits_at_end(texts[0]);
  bool is_padded = true;
  for (uint32_t i = 1; i < count && is_padded; i++)
    is_padded = texts[i].size == texts[0].size;
  int64_t *numbers = tly_malloc(count * sizeof *numbers);
  bool fits = true;
  for (uint32_t i = 0; i < count && fits; i++)
    fits = texts[i].size >= prefix && tly_same_bytes(texts[i].data, texts[0].data, prefix) &&
           number_behind(texts[i], prefix, is_padded, &numbers[i]);
  if (fits) {
    tly_buffer_append_byte(out, ENCODE_NUMBERED);
    tly_buffer_append_varint(out, prefix);
    tly_buffer_append(out, texts[0].data, prefix);
    tly_buffer_append_byte(out, is_padded ? (uint8_t)(texts[0].size - prefix) : 0);
    tly_pack_integers(numbers, count, 1, effort, out);
  }
  tly_free(numbers);
  return fits;
}

/* The rows of a text vector, coded or not, with size 0 for NULL. */
static struct tly_text *texts_of(const struct tly_vector *vector) {
  struct tly_text *texts = tly_malloc((vector->count + 1) * sizeof *texts);
  for (uint32_t i = 0; i < vector->count; i++)
    texts[i] = tly_vector_is_null(vector, i) ? (struct tly_text){.data = "", .size = 0} : tly_vector_text(vector, i);
  return texts;
}

static void write_texts(const struct tly_vector *vector, enum tly_effort effort, struct tly_buffer *out) {
  struct tly_text *copy = vector->null == NULL && vector->codes == NULL ? NULL : texts_of(vector);
  const struct tly_text *texts = copy != NULL ? copy : vector->text;
  if (vector->null != NULL || !write_numbered(texts, vector->count, effort, out)) {
    tly_buffer_append_byte(out, ENCODE_BYTES);
    tly_bytes_write(texts, vector->count, effort == TLY_EFFORT_SEALED ? TLY_COMPRESS_WELL : TLY_COMPRESS_NEVER, out);
  }
  tly_free(copy);
}

static void write_codes(const uint32_t *codes, uint32_t count, enum tly_effort effort, struct tly_buffer *out) {
  int64_t *wide = tly_malloc((count + 1) * sizeof *wide);
  for (uint32_t i = 0; i < count; i++)
    wide[i] = codes[i];
  tly_buffer_append_byte(out, ENCODE_CODES);
  (void)effort; /* a unit would cost the reader a multiplication a row, and codes have none */
  tly_pack_integers(wide, count, 1, TLY_EFFORT_LIVE, out);
  tly_free(wide);
}

/* ---- writing a column -------------------------------------------------------------------------------------------- */

static enum null_form null_form_of(const struct tly_vector *vector) {
  if (vector->null == NULL)
    return NULL_NONE;
  uint32_t nulls = 0;
  for (uint32_t i = 0; i < vector->count; i++)
    nulls += vector->null[i] != 0;
  return nulls == 0 ? NULL_NONE : nulls == vector->count ? NULL_ALL : NULL_SOME;
}

static void write_null_bits(const struct tly_vector *vector, struct tly_buffer *out) {
  size_t size = (vector->count + 7) / 8;
  uint8_t *bits = tly_buffer_reserve(out, size);
  memset(bits, 0, size);
  for (uint32_t i = 0; i < vector->count; i++)
    bits[i / 8] |= (uint8_t)((vector->null[i] != 0) << (i % 8));
  out->size += size;
}

/* A copy of a vector of fixed-size elements in which NULL rows repeat the row before (or, at the start, the first one
 * that is not NULL): what the encoders see. The caller frees *room. */
static struct tly_vector without_nulls(const struct tly_vector *vector, void **room) {
  size_t size = tly_form_size(tly_type_form(vector->type));
  struct tly_vector copy = *vector;
  uint8_t *elements = tly_malloc(vector->count * size);
  const uint8_t *source = (const uint8_t *)vector->i64;
  uint32_t last = 0;
  while (vector->null[last] != 0)
    last++;
  for (uint32_t i = 0; i < vector->count; i++) {
    if (vector->null[i] == 0)
      last = i;
    memcpy(elements + i * size, source + last * size, size);
  }
  copy.null = NULL;
  copy.i64 = (int64_t *)(void *)elements;
  *room = elements;
  return copy;
}

/* Times of events are mostly whole seconds or milliseconds. */
static int64_t unit_hint(const struct tly_vector *vector) {
  if (vector->type.id != TLY_TYPE_TIMESTAMP && vector->type.id != TLY_TYPE_TIMESTAMPTZ)
    return 1;
  return vector->i64[0] % TLY_US_PER_SECOND == 0 ? TLY_US_PER_SECOND : 1000;
}

static void write_values(const struct tly_vector *vector, const uint32_t *codes, enum tly_effort effort,
                         struct tly_buffer *out) {
  switch (tly_type_form(vector->type)) {
  case TLY_FORM_I64:
    tly_buffer_append_byte(out, ENCODE_INTEGERS);
    tly_pack_integers(vector->i64, vector->count, unit_hint(vector), effort, out);
    return;
  case TLY_FORM_I128: write_wide(vector->i128, vector->count, effort, out); return;
  case TLY_FORM_F64: write_doubles(vector->f64, vector->count, out); return;
  case TLY_FORM_DECIMAL: write_decimals(vector->decimal, vector->count, effort, out); return;
  case TLY_FORM_TEXT:
    if (codes != NULL)
      write_codes(codes, vector->count, effort, out);
    else
      write_texts(vector, effort, out);
    return;
  case TLY_FORM_INTERVAL: break;
  }
  TLY_UNREACHABLE();
}

static void write_rows(const struct tly_vector *vector, const uint32_t *codes, enum tly_effort effort,
                       struct tly_buffer *out) {
  enum null_form nulls = vector->count == 0 ? NULL_ALL : null_form_of(vector);
  void *room = NULL;
  struct tly_vector dense = *vector;
  tly_buffer_append_byte(out, (uint8_t)nulls);
  if (nulls == NULL_ALL)
    return;
  if (nulls == NULL_SOME)
    write_null_bits(vector, out);
  if (nulls == NULL_NONE)
    dense.null = NULL;
  else if (tly_type_form(vector->type) != TLY_FORM_TEXT)
    dense = without_nulls(vector, &room);
  write_values(&dense, codes, effort, out);
  tly_free(room);
}

void tly_column_write(const struct tly_vector *vector, const uint32_t *codes, uint32_t code_limit,
                      enum tly_effort effort, struct tly_buffer *out) {
  struct tly_buffer rows = {0};
  TLY_ASSERT(!vector->is_constant);
  TLY_ASSERT((codes != NULL) == (code_limit > 0));
  write_rows(vector, codes, effort, &rows);
  tly_buffer_append_byte(out, (uint8_t)vector->type.id);
  tly_buffer_append_zigzag(out, vector->type.precision);
  tly_buffer_append_zigzag(out, vector->type.scale);
  tly_buffer_append_varint(out, code_limit);
  tly_buffer_append_varint(out, rows.size);
  tly_buffer_append(out, rows.data, rows.size);
  tly_buffer_free(&rows);
}

/* ---- reading a column -------------------------------------------------------------------------------------------- */

/* What type.h says of a numeric's precision and scale is asserted in the value wing, so it is looked at here. */
static bool is_type(uint8_t id, int64_t precision, int64_t scale) {
  if (id == TLY_TYPE_UNKNOWN || id >= TLY_TYPE_INTERVAL || precision < 0 || precision > INT16_MAX || scale < 0 ||
      scale > INT16_MAX)
    return false;
  return id != TLY_TYPE_NUMERIC || scale <= precision;
}

struct tly_column_header tly_column_read_header(struct tly_cursor *in) {
  struct tly_column_header header;
  memset(&header, 0, sizeof header);
  uint8_t id = tly_cursor_byte(in);
  int64_t precision = tly_cursor_zigzag(in), scale = tly_cursor_zigzag(in);
  uint64_t code_limit = tly_cursor_varint(in), size = tly_cursor_varint(in);
  if (!is_type(id, precision, scale) || code_limit > UINT32_MAX || size > tly_cursor_left(in))
    in->failed = 1;
  if (!in->failed)
    header.type = (struct tly_type){.id = id, .precision = (int16_t)precision, .scale = (int16_t)scale};
  header.code_limit = (uint32_t)code_limit;
  header.size = size;
  return header;
}

static void read_wide(struct tly_cursor *in, enum encoding encoding, struct tly_vector *out, struct tly_arena *arena) {
  if (encoding == ENCODE_WIDE) {
    const uint8_t *bytes = tly_cursor_bytes(in, out->count * sizeof *out->i128);
    if (bytes != NULL)
      memcpy(out->i128, bytes, out->count * sizeof *out->i128);
    return;
  }
  int64_t *narrow = tly_arena_alloc(arena, out->count * sizeof *narrow);
  tly_unpack_integers(in, out->count, narrow);
  for (uint32_t i = 0; i < out->count && !in->failed; i++)
    out->i128[i] = narrow[i];
}

static void read_doubles(struct tly_cursor *in, enum encoding encoding, struct tly_vector *out,
                         struct tly_arena *arena) {
  if (encoding == ENCODE_DOUBLES) {
    const uint8_t *bytes = tly_cursor_bytes(in, out->count * sizeof *out->f64);
    if (bytes != NULL)
      memcpy(out->f64, bytes, out->count * sizeof *out->f64);
    return;
  }
  unsigned digits = tly_cursor_byte(in);
  int64_t *scaled = tly_arena_alloc(arena, out->count * sizeof *scaled);
  tly_unpack_integers(in, out->count, scaled);
  if (digits > TLY_SCALED_DIGITS_MAX)
    in->failed = 1;
  for (uint32_t i = 0; i < out->count && !in->failed; i++)
    out->f64[i] = tly_double_of_scaled(scaled[i], digits);
}

static void read_decimals(struct tly_cursor *in, enum encoding encoding, struct tly_vector *out,
                          struct tly_arena *arena) {
  if (encoding == ENCODE_DECIMALS) {
    for (uint32_t i = 0; i < out->count && !in->failed; i++)
      if (tly_decimal_read_compact(in, arena, &out->decimal[i], NULL) != TLY_OK)
        in->failed = 1;
    return;
  }
  int64_t *scales = tly_arena_alloc(arena, 2 * (size_t)out->count * sizeof *scales);
  int64_t *coefficients = scales + out->count;
  tly_unpack_integers(in, out->count, scales);
  tly_unpack_integers(in, out->count, coefficients);
  for (uint32_t i = 0; i < out->count && !in->failed; i++) {
    if (scales[i] < 0 || scales[i] > TLY_DECIMAL_DIGITS_MAX)
      in->failed = 1;
    else
      out->decimal[i] = tly_decimal_of_i64(coefficients[i], (int32_t)scales[i]);
  }
}

/* The digits of `number`, at least `width` of them, behind the prefix that stands at `at`. Returns the digits' count.
 */
static uint32_t print_number(uint64_t number, uint32_t width, char *at) {
  char digits[20];
  uint32_t count = 0;
  do {
    digits[sizeof digits - ++count] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  while (count < width)
    digits[sizeof digits - ++count] = '0';
  memcpy(at, digits + sizeof digits - count, count);
  return count;
}

static void read_numbered(struct tly_cursor *in, struct tly_vector *out, struct tly_arena *arena) {
  enum { DIGITS_ROOM = 20 };
  uint64_t prefix_size = tly_cursor_varint(in);
  const uint8_t *prefix = tly_cursor_bytes(in, prefix_size);
  uint32_t width = tly_cursor_byte(in);
  int64_t *numbers = tly_arena_alloc(arena, out->count * sizeof *numbers);
  tly_unpack_integers(in, out->count, numbers);
  if (in->failed || width > NUMBER_DIGITS_MAX || prefix_size > TLY_LINE_BYTES_MAX) {
    in->failed = 1;
    return;
  }
  char *next = tly_arena_alloc(arena, out->count * (prefix_size + DIGITS_ROOM));
  for (uint32_t i = 0; i < out->count; i++) {
    memcpy(next, prefix, prefix_size);
    uint32_t digits = print_number((uint64_t)numbers[i], width, next + prefix_size);
    out->text[i] = (struct tly_text){.data = next, .size = (uint32_t)prefix_size + digits};
    next += out->text[i].size;
  }
}

static void read_texts(struct tly_cursor *in, enum encoding encoding, const struct tly_column_header *header,
                       const struct tly_dictionary *dictionary, struct tly_vector *out, struct tly_arena *arena) {
  if (encoding == ENCODE_CODES) {
    if (dictionary == NULL || dictionary->count < header->code_limit) {
      in->failed = 1;
      return;
    }
    uint32_t *codes = tly_arena_alloc(arena, out->count * sizeof *codes);
    tly_unpack_codes(in, out->count, header->code_limit, codes);
    out->text = NULL;
    out->codes = codes;
    out->dictionary = dictionary;
  } else if (encoding == ENCODE_NUMBERED) {
    read_numbered(in, out, arena);
  } else {
    tly_bytes_read(in, out->count, arena, out->text);
  }
}

static bool encoding_fits(enum tly_form form, enum encoding encoding) {
  switch (form) {
  case TLY_FORM_I64: return encoding == ENCODE_INTEGERS;
  case TLY_FORM_I128: return encoding == ENCODE_INTEGERS || encoding == ENCODE_WIDE;
  case TLY_FORM_F64: return encoding == ENCODE_DOUBLES || encoding == ENCODE_SCALED_DOUBLES;
  case TLY_FORM_TEXT: return encoding == ENCODE_CODES || encoding == ENCODE_NUMBERED || encoding == ENCODE_BYTES;
  case TLY_FORM_DECIMAL: return encoding == ENCODE_SMALL_DECIMALS || encoding == ENCODE_DECIMALS;
  case TLY_FORM_INTERVAL: return false;
  }
  return false;
}

static void read_values(struct tly_cursor *in, const struct tly_column_header *header,
                        const struct tly_dictionary *dictionary, struct tly_vector *out, struct tly_arena *arena) {
  enum tly_form form = tly_type_form(header->type);
  enum encoding encoding = tly_cursor_byte(in);
  if (in->failed || !encoding_fits(form, encoding)) {
    in->failed = 1;
    return;
  }
  out->i64 = tly_arena_alloc(arena, out->count * tly_form_size(form));
  switch (form) {
  case TLY_FORM_I64: tly_unpack_integers(in, out->count, out->i64); break;
  case TLY_FORM_I128: read_wide(in, encoding, out, arena); break;
  case TLY_FORM_F64: read_doubles(in, encoding, out, arena); break;
  case TLY_FORM_DECIMAL: read_decimals(in, encoding, out, arena); break;
  default: read_texts(in, encoding, header, dictionary, out, arena); break;
  }
}

static const uint8_t *read_nulls(struct tly_cursor *in, uint32_t count, struct tly_arena *arena) {
  const uint8_t *bits = tly_cursor_bytes(in, (count + 7) / 8);
  uint8_t *nulls = tly_arena_alloc(arena, count);
  for (uint32_t i = 0; i < count && bits != NULL; i++)
    nulls[i] = (bits[i / 8] >> (i % 8)) & 1;
  return nulls;
}

void tly_column_read(struct tly_cursor *in, const struct tly_column_header *header, uint32_t count,
                     const struct tly_dictionary *dictionary, struct tly_arena *arena, struct tly_vector *out) {
  uint8_t nulls = tly_cursor_byte(in);
  memset(out, 0, sizeof *out);
  out->type = header->type;
  out->count = count;
  if (nulls == NULL_ALL) {
    *out = tly_vector_new(header->type, count, arena);
    out->null = memset(tly_arena_alloc(arena, count), 1, count);
    return;
  }
  if (nulls == NULL_SOME)
    out->null = read_nulls(in, count, arena);
  else if (nulls != NULL_NONE)
    in->failed = 1;
  if (!in->failed)
    read_values(in, header, dictionary, out, arena);
}
