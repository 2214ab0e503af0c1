/* common/sql/scan.h -- the little that must be known of SQL's words before the parser: comments, quotes, semicolons.
 *
 * Path of an event: a file of definitions -> [scan: one statement at a time] -> parse.
 * Thread: pure. */
#ifndef TLY_SQL_SCAN_H
#define TLY_SQL_SCAN_H

#include <stddef.h>

#include "common/base/buffer.h"

/* Past white space and comments (nested ones too). */
const char *tly_scan_blank(const char *at, const char *end);
/* Where the statement that begins at `at` ends: at its semicolon or at `end`. Semicolons in quotes and comments do not
 * count; one inside parentheses does, so that a missing parenthesis spoils one statement and not the rest of a file. */
const char *tly_scan_statement(const char *at, const char *end);
/* Past the parenthesis that closes the first one at or behind `at`; `end` when there is none. */
const char *tly_scan_parentheses(const char *at, const char *end);
/* Append the text with every run of white space and comments as one blank, outside of quotes; none at its ends. */
void tly_scan_one_line(const char *at, const char *end, struct tly_buffer *out);
/* How many bytes the name that begins at `at` has, without its quotes. The parser cuts names after 63 bytes. */
size_t tly_scan_name_size(const char *at, const char *end);

#endif
