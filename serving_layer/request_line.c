#include "serving_layer/request_line.h"

#include <string.h>

struct reader {
  const char *next, *end;
};

enum member { ID = 1, METHOD = 2, PARAMS = 4, JSONRPC = 8, SQL = 16, ARGS = 32 };

static void skip_spaces(struct reader *reader) {
  while (reader->next < reader->end && (*reader->next == ' ' || *reader->next == '\t'))
    reader->next++;
}

static bool take(struct reader *reader, char wanted) {
  skip_spaces(reader);
  if (reader->next == reader->end || *reader->next != wanted)
    return false;
  reader->next++;
  return true;
}

/* A text without escapes, in valid UTF-8; what is between the quotes. */
static bool take_text(struct reader *reader, struct tly_text *out) {
  bool is_ascii = true;
  if (!take(reader, '"'))
    return false;
  const char *begin = reader->next;
  for (; reader->next < reader->end && *reader->next != '"'; reader->next++) {
    unsigned char byte = (unsigned char)*reader->next;
    if (byte < 0x20 || byte == '\\')
      return false;
    is_ascii &= byte < 0x7f;
  }
  if (reader->next == reader->end)
    return false;
  *out = (struct tly_text){.data = begin, .size = (uint32_t)(reader->next - begin)};
  reader->next++;
  return is_ascii || tly_text_is_valid(out->data, out->size);
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

static bool is_text(struct tly_text text, const char *wanted) {
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
  static const struct {
    const char *name;
    enum member member;
  } members[] = {{"id", ID},           {"method", METHOD}, {"params", PARAMS},
                 {"jsonrpc", JSONRPC}, {"sql", SQL},       {"args", ARGS}};
  struct tly_text name, text;
  unsigned member = 0;
  if (!take_text(reader, &name) || !take(reader, ':'))
    return false;
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (is_text(name, members[i].name))
      member = members[i].member;
  if (member == 0 || (*seen & member) != 0)
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
