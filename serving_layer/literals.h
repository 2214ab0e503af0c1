/* serving_layer/literals.h -- a statement without its literals: texts that differ only in these are one statement.
 *
 * Path of a request: session -> request_line -> [literals] -> point. `WHERE account = 'A-17'` becomes `WHERE account =
 * $1` with an argument, so that it is parsed once and not once an account.
 * Thread: pure. */
#ifndef TLY_SERVING_LITERALS_H
#define TLY_SERVING_LITERALS_H

#include "common/base/buffer.h"
#include "serving_layer/request_line.h"

enum tly_literals_found {
  TLY_LITERALS_NONE,     /* none, or something that is not read here (parameters, comments, '' in a text, 1.5) */
  TLY_LITERALS_TAKEN,    /* each is an argument now */
  TLY_LITERALS_TOO_MANY, /* more than TLY_REQUEST_LINE_ARGUMENTS_MAX */
};

struct tly_literals {
  struct tly_buffer sql; /* with $1, $2, .. for the literals; the caller frees it, and may use it again */
  struct tly_request_argument values[TLY_REQUEST_LINE_ARGUMENTS_MAX]; /* they point into the text */
  uint32_t count;
  uint32_t integers; /* bit i: value i is an integer, not a text */
};

enum tly_literals_found tly_literals_take(const char *sql, size_t size, struct tly_literals *out);

#endif
