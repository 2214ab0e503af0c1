#include "serving_layer/request_line.h"

#include <string.h>

#include "common/base/assert.h"

struct reader {
  const char *next, *end;
};

enum member { NONE = 0, ID = 1, METHOD = 2, PARAMS = 4, JSONRPC = 8, SQL = 16, ARGS = 32 };

static void skip_spaces(struct reader *reader) {
  while (reader->next < reader->end && (*reader->next == ' ' || *reader->next == '\t'))
    reader->next++;
}

static inline bool take(struct reader *reader, char wanted) {
  if (reader->next < reader->end && *reader->next != wanted)
    skip_spaces(reader);
  if (reader->next == reader->end || *reader->next != wanted)
    return false;
  reader->next++;
  return true;
}

/* 0x80 in each byte of `word` that ends a run of plain text: the quote, a backslash, a control character, and whatever
 * is not ASCII. A byte behind one of these may be marked too, which does not matter: only the first is asked for. */
static uint64_t ends_in(uint64_t word) {
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
  uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\', rubout = word ^ ones * 0x7f;
  return (word | (word - ones * 0x20) | (quote - ones) | (backslash - ones) | (rubout - ones)) & highs;
}

/* The first byte from `at` on that is not plain: eight at a time, then one by one. */
static const char *skip_plain(const char *at, const char *end) {
  for (uint64_t word, ends; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
    memcpy(&word, at, sizeof word);
    if ((ends = ends_in(word)) != 0)
      return at + __builtin_ctzll(ends) / 8;
  }
  while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f && *at != '"' && *at != '\\')
    at++;
  return at;
}

/* A text without escapes, in valid UTF-8; what is between the quotes. */
static bool take_text(struct reader *reader, struct tly_text *out) {
  bool is_plain = true;
  if (!take(reader, '"'))
    return false;
  const char *begin = reader->next, *at = skip_plain(begin, reader->end);
  for (; at < reader->end && *at != '"'; at = skip_plain(at + 1, reader->end)) {
    if ((unsigned char)*at < 0x20 || *at == '\\')
      return false;
    is_plain = false;
  }
  if (at == reader->end)
    return false;
  *out = (struct tly_text){.data = begin, .size = (uint32_t)(at - begin)};
  reader->next = at + 1;
  return is_plain || tly_text_is_valid(out->data, out->size);
}

/* An integer as JSON writes it and would write it again. */
static bool take_integer(struct reader *reader, struct tly_text *out) {
  skip_spaces(reader);
  const char *begin = reader->next;
  if (reader->next < reader->end && *reader->next == '-')
    reader->next++;
  const char *digits = reader->next;
  while (reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9')
    reader->next++;
  size_t count = (size_t)(reader->next - digits);
  *out = (struct tly_text){.data = begin, .size = (uint32_t)(reader->next - begin)};
  if (count == 0 || count > 18 || (*digits == '0' && (count > 1 || digits > begin)))
    return false;
  return reader->next == reader->end || strchr(".eE", *reader->next) == NULL;
}

static bool take_word(struct reader *reader, const char *word) {
  size_t size = strlen(word);
  if ((size_t)(reader->end - reader->next) < size || memcmp(reader->next, word, size) != 0)
    return false;
  reader->next += size;
  return true;
}

static inline bool is_text(struct tly_text text, const char *wanted) {
  return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

static bool take_id(struct reader *reader, struct tly_text *out) {
  skip_spaces(reader);
  if (reader->next == reader->end || *reader->next != '"')
    return take_integer(reader, out);
  for (const char *at = reader->next + 1; at < reader->end && *at != '"'; at++)
    if ((unsigned char)*at >= 0x7f) /* the general parser would write it in its own way */
      return false;
  if (!take_text(reader, out))
    return false;
  *out = (struct tly_text){.data = out->data - 1, .size = out->size + 2};
  return true;
}

static bool take_argument(struct reader *reader, struct tly_request_argument *out) {
  struct tly_text text = {.data = "", .size = 0};
  bool is_null = false, ok = true;
  skip_spaces(reader);
  char first = reader->next < reader->end ? *reader->next : 0;
  if (first == '"')
    ok = take_text(reader, &text);
  else if (take_word(reader, "true"))
    text = tly_text_of("true");
  else if (take_word(reader, "false"))
    text = tly_text_of("false");
  else if (take_word(reader, "null"))
    is_null = true;
  else
    ok = take_integer(reader, &text);
  *out = (struct tly_request_argument){.text = text.data, .size = text.size, .is_null = is_null};
  return ok;
}

static bool take_arguments(struct reader *reader, struct tly_request_line *out) {
  if (!take(reader, '['))
    return false;
  if (take(reader, ']'))
    return true;
  do {
    if (out->argument_count == TLY_REQUEST_LINE_ARGUMENTS_MAX ||
        !take_argument(reader, &out->arguments[out->argument_count++]))
      return false;
  } while (take(reader, ','));
  return take(reader, ']');
}

static enum member member_of(struct tly_text name) {
  switch (name.size) {
  case 2: return is_text(name, "id") ? ID : NONE;
  case 3: return is_text(name, "sql") ? SQL : NONE;
  case 4: return is_text(name, "args") ? ARGS : NONE;
  case 6: return is_text(name, "method") ? METHOD : is_text(name, "params") ? PARAMS : NONE;
  case 7: return is_text(name, "jsonrpc") ? JSONRPC : NONE;
  default: return NONE;
  }
}

static bool take_member(struct reader *reader, unsigned *seen, struct tly_request_line *out);

/* Members up to the closing brace, of which `allowed` may come. */
static bool take_object(struct reader *reader, unsigned allowed, unsigned *seen, struct tly_request_line *out) {
  if (!take(reader, '{'))
    return false;
  do {
    unsigned before = *seen;
    if (!take_member(reader, seen, out) || ((*seen ^ before) & allowed) == 0)
      return false;
  } while (take(reader, ','));
  return take(reader, '}');
}

static bool take_member(struct reader *reader, unsigned *seen, struct tly_request_line *out) {
  struct tly_text name, text;
  if (!take_text(reader, &name) || !take(reader, ':'))
    return false;
  enum member member = member_of(name);
  if (member == NONE || (*seen & member) != 0)
    return false;
  *seen |= member;
  switch (member) {
  case ID: return take_id(reader, &out->id);
  case METHOD: return take_text(reader, &text) && is_text(text, "query");
  case PARAMS: return take_object(reader, SQL | ARGS, seen, out);
  case JSONRPC: return take_text(reader, &text);
  case SQL: return take_text(reader, &out->sql);
  default: return take_arguments(reader, out);
  }
}

bool tly_request_line_read(const char *line, size_t size, struct tly_request_line *out) {
  struct reader reader = {.next = line, .end = line + size};
  unsigned seen = 0;
  out->id = tly_text_of("null");
  out->argument_count = 0;
  if (!take_object(&reader, ID | METHOD | PARAMS | JSONRPC, &seen, out))
    return false;
  skip_spaces(&reader);
  return reader.next == reader.end && (seen & (METHOD | PARAMS | SQL)) == (METHOD | PARAMS | SQL);
}

/* ---- lines of a known shape -------------------------------------------------------------------------------------- */

/* Between the same pieces, in the places of an integer and of a text without a quote in it, any other integer and any
 * other such text make a line that is read alike, since neither can say where it ends: the byte behind it does, and
 * that belongs to the piece. A value is a text when the piece before it ends with a quote. */

void tly_request_shape_free(struct tly_request_shape *shape) {
  tly_buffer_free(&shape->text);
  *shape = (struct tly_request_shape){0};
}

static bool is_within(struct tly_text text, const char *line, size_t size) {
  return (uintptr_t)text.data >= (uintptr_t)line && (uintptr_t)text.data - (uintptr_t)line <= size;
}

/* The values in the order in which they stand in the line; false when one of them stands nowhere. */
static bool list_values(struct tly_request_shape *shape, const char *line, size_t size,
                        const struct tly_request_line *request, struct tly_text *values) {
  struct tly_text id = request->id;
  bool has_id = is_within(id, line, size), is_id_first = has_id;
  if (has_id && id.data[0] == '"')
    id = (struct tly_text){.data = id.data + 1, .size = id.size - 2};
  for (uint32_t i = 0; i < request->argument_count; i++) {
    struct tly_text text = {.data = request->arguments[i].text, .size = request->arguments[i].size};
    if (!is_within(text, line, size))
      return false;
    is_id_first = is_id_first && id.data < text.data;
    values[is_id_first + i] = text;
  }
  shape->value_count = request->argument_count + has_id;
  shape->id = !has_id ? shape->value_count : is_id_first ? 0 : request->argument_count;
  if (has_id)
    values[shape->id] = id;
  return true;
}

static void add_piece(struct tly_request_shape *shape, uint32_t piece, const char *begin, const char *end,
                      struct tly_text sql) {
  shape->piece_sizes[piece] = (uint32_t)(end - begin);
  tly_buffer_append(&shape->text, begin, (size_t)(end - begin));
  if (sql.data >= begin && sql.data < end) {
    shape->sql_piece = piece;
    shape->sql_begin = (uint32_t)(sql.data - begin);
    shape->sql_size = sql.size;
  }
}

bool tly_request_shape_learn(struct tly_request_shape *shape, const char *line, size_t size,
                             const struct tly_request_line *request) {
  struct tly_text values[TLY_REQUEST_SHAPE_VALUES_MAX] = {{0}};
  const char *begin = line;
  tly_buffer_clear(&shape->text);
  if (!list_values(shape, line, size, request, values))
    return false;
  for (uint32_t i = 0; i < shape->value_count; i++) {
    TLY_ASSERT(values[i].data > begin);
    add_piece(shape, i, begin, values[i].data, request->sql);
    begin = values[i].data + values[i].size;
  }
  add_piece(shape, shape->value_count, begin, line + size, request->sql);
  return true;
}

static inline bool take_piece(struct reader *reader, const uint8_t *piece, size_t size) {
  if ((size_t)(reader->end - reader->next) < size || memcmp(reader->next, piece, size) != 0)
    return false;
  reader->next += size;
  return true;
}

/* A text up to its quote, which is left, or an integer. */
static inline bool take_value(struct reader *reader, bool is_quoted, struct tly_text *out) {
  if (!is_quoted)
    return take_integer(reader, out);
  const char *begin = reader->next;
  reader->next = skip_plain(begin, reader->end);
  *out = (struct tly_text){.data = begin, .size = (uint32_t)(reader->next - begin)};
  return reader->next < reader->end && *reader->next == '"';
}

static inline void put_value(const struct tly_request_shape *shape, uint32_t number, struct tly_text value,
                             bool is_quoted, struct tly_request_line *out) {
  if (number == shape->id) {
    out->id = (struct tly_text){.data = value.data - is_quoted, .size = value.size + 2 * is_quoted};
    return;
  }
  out->arguments[out->argument_count++] = (struct tly_request_argument){.text = value.data, .size = value.size};
}

bool tly_request_shape_read(const struct tly_request_shape *shape, const char *line, size_t size,
                            struct tly_request_line *out) {
  struct reader reader = {.next = line, .end = line + size};
  const uint8_t *piece = shape->text.data;
  if (shape->text.size == 0)
    return false;
  out->id = (struct tly_text){.data = "null", .size = 4};
  out->argument_count = 0;
  for (uint32_t i = 0;; i++) {
    struct tly_text value;
    if (i == shape->sql_piece)
      out->sql = (struct tly_text){.data = reader.next + shape->sql_begin, .size = shape->sql_size};
    if (!take_piece(&reader, piece, shape->piece_sizes[i]))
      return false;
    if (i == shape->value_count)
      return reader.next == reader.end;
    piece += shape->piece_sizes[i];
    if (!take_value(&reader, piece[-1] == '"', &value))
      return false;
    put_value(shape, i, value, piece[-1] == '"', out);
  }
}
