/* common/value/text.h -- UTF-8 text with PostgreSQL's character semantics (C.UTF-8).
 * Thread: pure (upper and lower read a locale that is made once). */
#ifndef TLY_VALUE_TEXT_H
#define TLY_VALUE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"

struct tly_text {
  const char *data; /* not terminated */
  uint32_t size;    /* bytes */
};

struct tly_text tly_text_of(const char *terminated);
int tly_text_compare(struct tly_text a, struct tly_text b); /* bytewise: C order */
bool tly_text_equal(struct tly_text a, struct tly_text b);
/* Valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF) without NUL. */
bool tly_text_is_valid(const char *data, size_t size);
uint32_t tly_text_length(struct tly_text text); /* characters */
struct tly_text tly_text_upper(struct tly_text text, struct tly_arena *arena);
struct tly_text tly_text_lower(struct tly_text text, struct tly_arena *arena);
/* left(s, n) and right(s, n), negative n as in PostgreSQL. The result points into `text`. */
struct tly_text tly_text_left(struct tly_text text, int64_t count);
struct tly_text tly_text_right(struct tly_text text, int64_t count);
/* substring(s from `start` for `length`), 1-based; length < 0 is 22011. has_length false: to the end. */
TLY_CHECK enum tly_status tly_text_substring(struct tly_text text, int64_t start, bool has_length, int64_t length,
                                             struct tly_text *out, struct tly_error *error);
/* Characters of `set` cut off at the front (leading) and the back (trailing). */
struct tly_text tly_text_trim(struct tly_text text, struct tly_text set, bool leading, bool trailing);
struct tly_text tly_text_concat(struct tly_text a, struct tly_text b, struct tly_arena *arena);
/* LIKE with backslash as the escape; a trailing backslash that is reached is 22025. fold_case: ILIKE. */
TLY_CHECK enum tly_status tly_text_like(struct tly_text text, struct tly_text pattern, bool fold_case, bool *out,
                                        struct tly_error *error);

#endif
