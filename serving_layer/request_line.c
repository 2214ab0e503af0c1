#include "serving_layer/request_line.h"

#include <string.h>

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
