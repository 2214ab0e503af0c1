/* Not a parser: it knows just enough of SQL's words to tell a literal from what is none, and gives up where it would
 * have to know more. What it makes goes through the parser once, as a statement with parameters; a parameter takes the
 * type that a text literal in its place would (an integer is more particular: point.c asks for an integer type). */
#include "serving_layer/literals.h"

#include <string.h>

enum { DIGITS_MAX = 9 }; /* of an integer: any of these is one to PostgreSQL too */

struct lexer {
  const char *at, *end;
  struct tly_literals *out;
  bool is_over; /* more literals than there is room for */
};

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_word(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
         (unsigned char)byte >= 0x80;
}

static void copy(struct lexer *lexer, const char *end) {
  tly_buffer_append(&lexer->out->sql, lexer->at, (size_t)(end - lexer->at));
  lexer->at = end;
}

static void take(struct lexer *lexer, const char *begin, const char *end, bool is_integer) {
  struct tly_literals *out = lexer->out;
  if (out->count == TLY_REQUEST_LINE_ARGUMENTS_MAX) {
    lexer->is_over = true;
    return;
  }
  out->values[out->count] = (struct tly_request_argument){.text = begin, .size = (uint32_t)(end - begin)};
  out->integers |= (uint32_t)is_integer << out->count;
  tly_buffer_print(&out->sql, "$%u", ++out->count);
}

/* 'text', without a quote in it. */
static bool take_text(struct lexer *lexer) {
  const char *begin = lexer->at + 1, *end = memchr(begin, '\'', (size_t)(lexer->end - begin));
  if (end == NULL || (end + 1 < lexer->end && (end[1] == '\'' || is_word(end[1]))))
    return false;
  take(lexer, begin, end, false);
  lexer->at = end + 1;
  return true;
}

static bool take_integer(struct lexer *lexer) {
  const char *begin = lexer->at, *end = begin;
  while (end < lexer->end && is_digit(*end))
    end++;
  if (end - begin > DIGITS_MAX || (end < lexer->end && (*end == '.' || is_word(*end))))
    return false;
  take(lexer, begin, end, true);
  lexer->at = end;
  return true;
}

/* A name or keyword; with a quote behind it, it would be a prefix of a text: E'..'. */
static bool copy_word(struct lexer *lexer) {
  const char *end = lexer->at;
  while (end < lexer->end && is_word(*end))
    end++;
  if (end < lexer->end && (*end == '\'' || *end == '$'))
    return false;
  copy(lexer, end);
  return true;
}

static bool copy_quoted_name(struct lexer *lexer) {
  const char *begin = lexer->at + 1, *end = memchr(begin, '"', (size_t)(lexer->end - begin));
  if (end == NULL)
    return false;
  copy(lexer, end + 1);
  return true;
}

static bool copy_sign(struct lexer *lexer) {
  char sign = *lexer->at, next = lexer->at + 1 < lexer->end ? lexer->at[1] : 0;
  bool is_comment = (sign == '-' && next == '-') || (sign == '/' && next == '*');
  if (sign == '$' || is_comment || (sign == '.' && is_digit(next)))
    return false;
  copy(lexer, lexer->at + 1);
  return true;
}

enum tly_literals_found tly_literals_take(const char *sql, size_t size, struct tly_literals *out) {
  struct lexer lexer = {.at = sql, .end = sql + size, .out = out};
  tly_buffer_clear(&out->sql);
  out->count = out->integers = 0;
  while (lexer.at < lexer.end && !lexer.is_over) {
    bool is_read = *lexer.at == '\''     ? take_text(&lexer)
                   : *lexer.at == '"'    ? copy_quoted_name(&lexer)
                   : is_digit(*lexer.at) ? take_integer(&lexer)
                   : is_word(*lexer.at)  ? copy_word(&lexer)
                                         : copy_sign(&lexer);
    if (!is_read)
      return TLY_LITERALS_NONE;
  }
  if (lexer.is_over)
    return TLY_LITERALS_TOO_MANY;
  return out->count > 0 ? TLY_LITERALS_TAKEN : TLY_LITERALS_NONE;
}
