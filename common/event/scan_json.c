/* The grammar is a small automaton: `expectation` says what may stand next, the stack of open containers is one bit a
 * level (so 64 levels are 64 bits, and hostile nesting costs nothing). Strings are looked through 16 bytes at a time
 * (SSE2 is part of every x86-64); bytes outside ASCII are noticed on the way and checked as UTF-8 once the string's end
 * is known. An escape sequence is checked when it is met, so that tly_json_unescape cannot fail.
 *
 * INVARIANTS (check_invariants)
 *   (1) begin <= next <= end.
 *   (2) depth <= TLY_JSON_DEPTH_MAX; at depth 0 either the value is still to come or nothing but white space is. */
#include "common/event/scan_json.h"

#include <emmintrin.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/value/text.h"

enum expectation {
  EXPECT_VALUE,
  EXPECT_FIRST_ELEMENT, /* a value, or the end of the array */
  EXPECT_FIRST_KEY,     /* a key, or the end of the object */
  EXPECT_SEPARATOR,     /* a comma, or the end of the container */
  EXPECT_NOTHING
};

_Static_assert(TLY_JSON_DEPTH_MAX <= 64, "a level is a bit of is_object");

static void check_invariants(const struct tly_json_scanner *scanner) {
  TLY_ASSERT(scanner->begin <= scanner->next && scanner->next <= scanner->end);
  TLY_ASSERT(scanner->depth <= TLY_JSON_DEPTH_MAX);
  TLY_ASSERT(scanner->depth > 0 || scanner->expectation == EXPECT_VALUE || scanner->expectation == EXPECT_NOTHING);
}

void tly_json_scanner_init(struct tly_json_scanner *scanner, const char *text, size_t size) {
  TLY_ASSERT(size <= UINT32_MAX);
  *scanner = (struct tly_json_scanner){.begin = text, .next = text, .end = text + size, .expectation = EXPECT_VALUE};
}

const char *tly_json_kind_words(enum tly_json_kind kind) {
  switch (kind) {
  case TLY_JSON_OBJECT_BEGIN: return "an object";
  case TLY_JSON_ARRAY_BEGIN: return "an array";
  case TLY_JSON_STRING: return "a string";
  case TLY_JSON_NUMBER: return "a number";
  case TLY_JSON_TRUE: return "true";
  case TLY_JSON_FALSE: return "false";
  case TLY_JSON_NULL: return "null";
  default: TLY_UNREACHABLE();
  }
}

/* ---- where and what ---------------------------------------------------------------------------------------------- */

static unsigned long long byte_number(const struct tly_json_scanner *scanner, const char *place) {
  return (unsigned long long)(place - scanner->begin) + 1;
}

static enum tly_status fail_at(const struct tly_json_scanner *scanner, const char *place, const char *expected,
                               struct tly_error *error) {
  if (place >= scanner->end)
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON: the text ends at byte %llu where %s should stand",
                    byte_number(scanner, scanner->end), expected);
  unsigned char byte = (unsigned char)*place;
  if (byte > ' ' && byte < 0x7f)
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON at byte %llu: '%c' where %s should stand",
                    byte_number(scanner, place), byte, expected);
  return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON at byte %llu: byte 0x%02x where %s should stand",
                  byte_number(scanner, place), byte, expected);
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

/* The first byte in [next, end) that is a quote, a backslash or a control character, or `end`. *has_high says whether a
 * byte before it is outside ASCII. */
static inline const char *string_stop(const char *next, const char *end, bool *has_high) {
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i control = _mm_set1_epi8(0x1f);
  unsigned high = 0;
  while (end - next >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)next);
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
    stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
    unsigned stop_bits = (unsigned)_mm_movemask_epi8(stops);
    unsigned high_bits = (unsigned)_mm_movemask_epi8(bytes);
    if (stop_bits != 0) {
      unsigned at = (unsigned)__builtin_ctz(stop_bits);
      *has_high = (high | (high_bits & ((1u << at) - 1))) != 0;
      return next + at;
    }
    high |= high_bits;
    next += 16;
  }
  for (; next < end; next++) {
    unsigned char byte = (unsigned char)*next;
    if (byte == '"' || byte == '\\' || byte < 0x20)
      break;
    high |= byte & 0x80;
  }
  *has_high = high != 0;
  return next;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex_of_four(const char *digits, const char *end) {
  int32_t value = 0;
  if (end - digits < 4)
    return -1;
  for (int i = 0; i < 4; i++) {
    char c = digits[i];
    int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
    if (digit < 0)
      return -1;
    value = value * 16 + digit;
  }
  return value;
}

static bool is_high_surrogate(int32_t unit) {
  return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int32_t unit) {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* `place` is a \u; *behind is set behind it (and behind its second half). */
static enum tly_status check_unicode_escape(const struct tly_json_scanner *scanner, const char *place,
                                            const char **behind, struct tly_error *error) {
  int32_t unit = hex_of_four(place + 2, scanner->end);
  if (unit < 0)
    return fail_at(scanner, place, "\\u with four hexadecimal digits", error);
  if (unit == 0)
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON at byte %llu: \\u0000 cannot be stored in a text",
                    byte_number(scanner, place));
  *behind = place + 6;
  if (!is_high_surrogate(unit) && !is_low_surrogate(unit))
    return TLY_OK;
  bool is_pair = is_high_surrogate(unit) && scanner->end - place >= 12 && place[6] == '\\' && place[7] == 'u' &&
                 is_low_surrogate(hex_of_four(place + 8, scanner->end));
  if (!is_pair)
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON at byte %llu: \\u%.4s is half of a surrogate pair",
                    byte_number(scanner, place), place + 2);
  *behind = place + 12;
  return TLY_OK;
}

static enum tly_status check_escape(const struct tly_json_scanner *scanner, const char *place, const char **behind,
                                    struct tly_error *error) {
  if (scanner->end - place < 2)
    return fail_at(scanner, scanner->end, "the rest of an escape sequence", error);
  if (place[1] == 'u')
    return check_unicode_escape(scanner, place, behind, error);
  if (place[1] == '\0' || strchr("\"\\/bfnrt", place[1]) == NULL)
    return fail_at(scanner, place + 1, "one of \"\\/bfnrtu (an escape sequence)", error);
  *behind = place + 2;
  return TLY_OK;
}

/* Most strings are short and plain: the closing quote of one that ends within 16 bytes, all of them ASCII and no
 * escape. NULL: it is another. */
static inline const char *short_string_end(const char *next, const char *end) {
  if (end - next < 16)
    return NULL;
  __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)next);
  /* compared as signed bytes, both control characters and those outside ASCII are below the space */
  __m128i odd = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
  uint32_t odd_bits = (uint32_t)_mm_movemask_epi8(odd);
  uint32_t quote_bits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
  if (quote_bits == 0 || (odd_bits & (quote_bits - 1) & ~quote_bits) != 0)
    return NULL;
  return next + __builtin_ctz(quote_bits);
}

/* `next` is behind the opening quote. */
static enum tly_status scan_any_string(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                       struct tly_error *error) {
  const char *start = scanner->next;
  const char *place = start;
  bool any_high = false;
  token->is_escaped = false;
  for (;;) {
    bool has_high;
    place = string_stop(place, scanner->end, &has_high);
    any_high |= has_high;
    if (place == scanner->end || (unsigned char)*place < 0x20)
      return fail_at(scanner, place, "more of a string, or its closing quote", error);
    if (*place == '"')
      break;
    token->is_escaped = true;
    TLY_TRY(check_escape(scanner, place, &place, error));
  }
  token->data = start;
  token->size = (uint32_t)(place - start);
  if (any_high && !tly_text_is_valid(start, token->size))
    return TLY_FAIL(error, TLY_E_CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\" in the string at byte %llu",
                    byte_number(scanner, start - 1));
  scanner->next = place + 1;
  return TLY_OK;
}

static inline enum tly_status scan_string(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                          struct tly_error *error) {
  const char *quote = short_string_end(scanner->next, scanner->end);
  if (quote == NULL)
    return scan_any_string(scanner, token, error);
  token->data = scanner->next;
  token->size = (uint32_t)(quote - scanner->next);
  token->is_escaped = false;
  scanner->next = quote + 1;
  return TLY_OK;
}

const char *tly_json_string_end(const char *next, const char *end, bool *is_escaped) {
  struct tly_json_scanner scanner = {.begin = next, .next = next, .end = end};
  struct tly_json_token token;
  if (scan_any_string(&scanner, &token, NULL) != TLY_OK)
    return NULL;
  *is_escaped = token.is_escaped;
  return scanner.next;
}

static char *put_utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (char)(0xE0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xF0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 0x3F));
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

static char simple_escape(char letter) {
  switch (letter) {
  case 'b': return '\b';
  case 'f': return '\f';
  case 'n': return '\n';
  case 'r': return '\r';
  case 't': return '\t';
  default: return letter;
  }
}

uint32_t tly_json_unescape(const char *data, uint32_t size, char *out) {
  const char *next = data;
  const char *end = data + size;
  char *to = out;
  while (next < end) {
    if (*next != '\\') {
      *to++ = *next++;
      continue;
    }
    TLY_ASSERT(end - next >= 2);
    if (next[1] != 'u') {
      *to++ = simple_escape(next[1]);
      next += 2;
      continue;
    }
    int32_t unit = hex_of_four(next + 2, end);
    TLY_ASSERT(unit > 0);
    next += 6;
    if (is_high_surrogate(unit)) {
      unit = 0x10000 + ((unit - 0xD800) << 10) + (hex_of_four(next + 2, end) - 0xDC00);
      next += 6;
    }
    to = put_utf8(to, (uint32_t)unit);
  }
  TLY_ASSERT(next == end);
  return (uint32_t)(to - out);
}

/* ---- numbers and words ------------------------------------------------------------------------------------------- */

static bool is_digit(const char *next, const char *end) {
  return next < end && *next >= '0' && *next <= '9';
}

static const char *skip_digits(const char *next, const char *end) {
  while (is_digit(next, end))
    next++;
  return next;
}

const char *tly_json_number_end(const char *next, const char *end) {
  if (next < end && *next == '-')
    next++;
  if (!is_digit(next, end))
    return NULL;
  next = *next == '0' ? next + 1 : skip_digits(next, end);
  if (next < end && *next == '.') {
    if (!is_digit(next + 1, end))
      return NULL;
    next = skip_digits(next + 1, end);
  }
  if (next < end && (*next == 'e' || *next == 'E')) {
    next++;
    if (next < end && (*next == '+' || *next == '-'))
      next++;
    if (!is_digit(next, end))
      return NULL;
    next = skip_digits(next, end);
  }
  return next;
}

static enum tly_status scan_number(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                   struct tly_error *error) {
  const char *end = tly_json_number_end(scanner->next, scanner->end);
  if (end == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_JSON, "invalid JSON at byte %llu: this is not a number",
                    byte_number(scanner, scanner->next));
  token->kind = TLY_JSON_NUMBER;
  token->data = scanner->next;
  token->size = (uint32_t)(end - scanner->next);
  scanner->next = end;
  return TLY_OK;
}

static enum tly_status scan_word(struct tly_json_scanner *scanner, const char *word, enum tly_json_kind kind,
                                 struct tly_json_token *token, struct tly_error *error) {
  size_t size = strlen(word);
  if ((size_t)(scanner->end - scanner->next) < size || memcmp(scanner->next, word, size) != 0)
    return fail_at(scanner, scanner->next, "a value", error);
  token->kind = kind;
  token->data = scanner->next;
  token->size = (uint32_t)size;
  scanner->next += size;
  return TLY_OK;
}

/* ---- structure --------------------------------------------------------------------------------------------------- */

static inline void skip_space(struct tly_json_scanner *scanner) {
  const char *next = scanner->next;
  if (next < scanner->end && (unsigned char)*next > ' ')
    return;
  while (next < scanner->end && (*next == ' ' || *next == '\t' || *next == '\n' || *next == '\r'))
    next++;
  scanner->next = next;
}

static void value_is_over(struct tly_json_scanner *scanner) {
  scanner->expectation = scanner->depth == 0 ? EXPECT_NOTHING : EXPECT_SEPARATOR;
}

static enum tly_status open_container(struct tly_json_scanner *scanner, bool is_object, struct tly_json_token *token,
                                      struct tly_error *error) {
  if (scanner->depth == TLY_JSON_DEPTH_MAX)
    return TLY_FAIL(error, TLY_E_TOO_COMPLEX, "JSON nested deeper than %d levels at byte %llu", TLY_JSON_DEPTH_MAX,
                    byte_number(scanner, scanner->next));
  uint64_t bit = UINT64_C(1) << scanner->depth;
  scanner->is_object = is_object ? scanner->is_object | bit : scanner->is_object & ~bit;
  scanner->depth++;
  scanner->expectation = is_object ? EXPECT_FIRST_KEY : EXPECT_FIRST_ELEMENT;
  token->kind = is_object ? TLY_JSON_OBJECT_BEGIN : TLY_JSON_ARRAY_BEGIN;
  scanner->next++;
  check_invariants(scanner);
  return TLY_OK;
}

static enum tly_status close_container(struct tly_json_scanner *scanner, struct tly_json_token *token) {
  token->kind = tly_json_scanner_is_in_object(scanner) ? TLY_JSON_OBJECT_END : TLY_JSON_ARRAY_END;
  scanner->depth--;
  scanner->next++;
  value_is_over(scanner);
  check_invariants(scanner);
  return TLY_OK;
}

static enum tly_status scan_value(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                  struct tly_error *error) {
  char first = scanner->next < scanner->end ? *scanner->next : '\0';
  switch (first) {
  case '{': return open_container(scanner, true, token, error);
  case '[': return open_container(scanner, false, token, error);
  case '"':
    scanner->next++;
    token->kind = TLY_JSON_STRING;
    TLY_TRY(scan_string(scanner, token, error));
    break;
  case 't': TLY_TRY(scan_word(scanner, "true", TLY_JSON_TRUE, token, error)); break;
  case 'f': TLY_TRY(scan_word(scanner, "false", TLY_JSON_FALSE, token, error)); break;
  case 'n': TLY_TRY(scan_word(scanner, "null", TLY_JSON_NULL, token, error)); break;
  default:
    if (first != '-' && (first < '0' || first > '9'))
      return fail_at(scanner, scanner->next, "a value", error);
    TLY_TRY(scan_number(scanner, token, error));
  }
  value_is_over(scanner);
  return TLY_OK;
}

static enum tly_status scan_key(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                struct tly_error *error) {
  if (scanner->next == scanner->end || *scanner->next != '"')
    return fail_at(scanner, scanner->next, "a key in double quotes", error);
  scanner->next++;
  token->kind = TLY_JSON_KEY;
  TLY_TRY(scan_string(scanner, token, error));
  skip_space(scanner);
  if (scanner->next == scanner->end || *scanner->next != ':')
    return fail_at(scanner, scanner->next, "':' after a key", error);
  scanner->next++;
  scanner->expectation = EXPECT_VALUE;
  return TLY_OK;
}

/* Behind a value inside a container. */
static enum tly_status scan_separator(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                      struct tly_error *error) {
  char first = scanner->next < scanner->end ? *scanner->next : '\0';
  bool in_object = tly_json_scanner_is_in_object(scanner);
  if (first == (in_object ? '}' : ']'))
    return close_container(scanner, token);
  if (first != ',')
    return fail_at(scanner, scanner->next, in_object ? "',' or '}'" : "',' or ']'", error);
  scanner->next++;
  skip_space(scanner);
  return in_object ? scan_key(scanner, token, error) : scan_value(scanner, token, error);
}

enum tly_status tly_json_scan(struct tly_json_scanner *scanner, struct tly_json_token *token, struct tly_error *error) {
  skip_space(scanner);
  char first = scanner->next < scanner->end ? *scanner->next : '\0';
  switch ((enum expectation)scanner->expectation) {
  case EXPECT_VALUE: return scan_value(scanner, token, error);
  case EXPECT_FIRST_ELEMENT: return first == ']' ? close_container(scanner, token) : scan_value(scanner, token, error);
  case EXPECT_FIRST_KEY: return first == '}' ? close_container(scanner, token) : scan_key(scanner, token, error);
  case EXPECT_SEPARATOR: return scan_separator(scanner, token, error);
  case EXPECT_NOTHING: break;
  }
  if (scanner->next < scanner->end)
    return fail_at(scanner, scanner->next, "the end of the text", error);
  token->kind = TLY_JSON_END;
  return TLY_OK;
}
