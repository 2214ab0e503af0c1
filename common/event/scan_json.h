/* common/event/scan_json.h -- the strict RFC 8259 scanner: one text into tokens, or the byte where it stops being JSON.
 *
 * Path of an event: a line that fits no learned layout -> [scan_json] -> decode_json.
 * Stricter than many: the whole text is checked, also what nobody asked for; NaN, Infinity, comments, trailing commas,
 * \u0000 and lone surrogates are refused; at most TLY_JSON_DEPTH_MAX levels. Numbers stay text, of any length.
 * Duplicate keys are the caller's concern. No allocation, no recursion.
 * Thread: pure; a scanner belongs to one thread. */
#ifndef TLY_EVENT_SCAN_JSON_H
#define TLY_EVENT_SCAN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

enum tly_json_kind {
  TLY_JSON_OBJECT_BEGIN,
  TLY_JSON_OBJECT_END,
  TLY_JSON_ARRAY_BEGIN,
  TLY_JSON_ARRAY_END,
  TLY_JSON_KEY,    /* of an object; its colon is consumed with it */
  TLY_JSON_STRING, /* a value */
  TLY_JSON_NUMBER,
  TLY_JSON_TRUE,
  TLY_JSON_FALSE,
  TLY_JSON_NULL,
  TLY_JSON_END /* the text is complete and nothing but white space stands behind it */
};

struct tly_json_token {
  enum tly_json_kind kind;
  const char *data; /* into the text; strings and keys without their quotes, not unescaped */
  uint32_t size;
  bool is_escaped; /* strings and keys: a backslash occurs */
};

struct tly_json_scanner {
  const char *begin, *next, *end;
  uint64_t is_object; /* bit d - 1: level d is an object */
  uint32_t depth;
  uint8_t expectation;
};

/* `text` is borrowed while the scanner is used; size <= UINT32_MAX. */
void tly_json_scanner_init(struct tly_json_scanner *scanner, const char *text, size_t size);
/* The next token. TLY_E_INVALID_JSON with the byte, counted from 1; TLY_E_CHARACTER_NOT_IN_REPERTOIRE for bad UTF-8 in
 * a string; TLY_E_TOO_COMPLEX for one level too many. After a failure the scanner is not to be used again. */
TLY_CHECK enum tly_status tly_json_scan(struct tly_json_scanner *scanner, struct tly_json_token *token,
                                        struct tly_error *error);
/* "an object", "an array", "a string", "a number", "true", "false" or "null": what a token is or opens. Static. */
const char *tly_json_kind_words(enum tly_json_kind kind);
/* Whether the innermost open container is an object; depth > 0. */
static inline bool tly_json_scanner_is_in_object(const struct tly_json_scanner *scanner) {
  return (scanner->is_object >> (scanner->depth - 1) & 1) != 0;
}

/* Write the characters that a string or key token stands for to `out`, which has room for `size` bytes; returns how
 * many. The token came from tly_json_scan. */
uint32_t tly_json_unescape(const char *data, uint32_t size, char *out);
/* The first byte behind the number that starts at `next`, or NULL when none starts there. */
const char *tly_json_number_end(const char *next, const char *end);
/* The same for a string whose opening quote stands before `next`: the first byte behind its closing quote, or NULL when
 * it is no string. */
const char *tly_json_string_end(const char *next, const char *end, bool *is_escaped);

#endif
