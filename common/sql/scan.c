#include "common/sql/scan.h"

#include <stdbool.h>
#include <string.h>

static bool starts_with(const char *at, const char *end, const char *word) {
  size_t size = strlen(word);
  return (size_t)(end - at) >= size && memcmp(at, word, size) == 0;
}

static bool is_space(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f' || byte == '\v';
}

static bool is_word(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' ||
         (unsigned char)byte >= 0x80;
}

/* Past the comment that begins here; `at` itself when none does. */
static const char *skip_comment(const char *at, const char *end) {
  if (starts_with(at, end, "--")) {
    while (at < end && *at != '\n')
      at++;
    return at;
  }
  if (!starts_with(at, end, "/*"))
    return at;
  int depth = 0;
  do {
    bool opens = starts_with(at, end, "/*"), closes = starts_with(at, end, "*/");
    depth += opens ? 1 : closes ? -1 : 0;
    at += opens || closes ? 2 : 1;
  } while (at < end && depth > 0);
  return at;
}

const char *tly_scan_blank(const char *at, const char *end) {
  for (;;) {
    const char *start = at;
    while (at < end && is_space(*at))
      at++;
    at = skip_comment(at, end);
    if (at == start)
      return at;
  }
}

/* Past '...' or "...", where a doubled quote is one, and in E'...' a backslash takes the next character along. */
static const char *skip_quoted(const char *at, const char *end, bool has_escapes) {
  char quote = *at++;
  while (at < end) {
    if (has_escapes && *at == '\\' && end - at > 1)
      at++;
    else if (*at == quote && end - at > 1 && at[1] == quote)
      at++;
    else if (*at == quote)
      return at + 1;
    at++;
  }
  return end;
}

/* Past $tag$...$tag$; past the dollar alone when it begins no such quote. */
static const char *skip_dollar(const char *at, const char *end) {
  const char *tag_end = at + 1;
  while (tag_end < end && is_word(*tag_end))
    tag_end++;
  bool is_parameter = at + 1 < end && at[1] >= '0' && at[1] <= '9';
  if (is_parameter || tag_end == end || *tag_end != '$')
    return at + 1;
  size_t size = (size_t)(tag_end - at) + 1;
  for (const char *close = tag_end + 1; (size_t)(end - close) >= size; close++)
    if (memcmp(close, at, size) == 0)
      return close + size;
  return end;
}

/* Past the comment or the quoted text that begins at `at`, else past one byte. `start`: nothing before it is of the
 * text. */
static const char *skip_token(const char *start, const char *at, const char *end) {
  const char *after_comment = skip_comment(at, end);
  bool follows_word = at > start && is_word(at[-1]);
  if (after_comment != at)
    return after_comment;
  if (*at == '\'')
    return skip_quoted(at, end,
                       follows_word && (at[-1] == 'E' || at[-1] == 'e') && (at - 1 == start || !is_word(at[-2])));
  if (*at == '"')
    return skip_quoted(at, end, false);
  return *at == '$' && !follows_word ? skip_dollar(at, end) : at + 1;
}

const char *tly_scan_statement(const char *at, const char *end) {
  const char *start = at;
  while (at < end && *at != ';')
    at = skip_token(start, at, end);
  return at;
}

const char *tly_scan_parentheses(const char *at, const char *end) {
  const char *start = at;
  int depth = 0;
  while (at < end && *at != '(')
    at = skip_token(start, at, end);
  while (at < end) {
    depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
    at = skip_token(start, at, end);
    if (depth == 0)
      break;
  }
  return at;
}

void tly_scan_one_line(const char *at, const char *end, struct tly_buffer *out) {
  const char *start = tly_scan_blank(at, end);
  at = start;
  while (at < end) {
    const char *word = tly_scan_blank(at, end);
    if (word > at && word < end)
      tly_buffer_append_byte(out, ' ');
    at = word < end ? skip_token(start, word, end) : end;
    tly_buffer_append(out, word, (size_t)(at - word));
  }
}

size_t tly_scan_name_size(const char *at, const char *end) {
  bool is_quoted = at < end && *at == '"';
  const char *start = at + is_quoted;
  const char *stop = start;
  while (stop < end && (is_quoted ? *stop != '"' : is_word(*stop)))
    stop++;
  return (size_t)(stop - start);
}
