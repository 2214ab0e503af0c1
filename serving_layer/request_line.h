/* serving_layer/request_line.h -- a query request in its common form, read without building a JSON tree.
 *
 * Path of a request: session -> [request_line] -> point. Reads what the general parser (common/wire/request.h) would
 * read from it, or refuses: members id, method, params (sql, args) and jsonrpc, each at most once, in any order; texts
 * without escapes; integers, texts, true, false and null as arguments.
 * Thread: pure; what comes out points into the line. */
#ifndef TLY_SERVING_REQUEST_LINE_H
#define TLY_SERVING_REQUEST_LINE_H

#include "common/value/text.h"

enum { TLY_REQUEST_LINE_ARGUMENTS_MAX = 16 };

struct tly_request_argument {
  const char *text;
  uint32_t size;
  bool is_null;
};

struct tly_request_line {
  struct tly_text id; /* JSON text */
  struct tly_text sql;
  struct tly_request_argument arguments[TLY_REQUEST_LINE_ARGUMENTS_MAX];
  uint32_t argument_count;
};

/* False: not of this form; nothing is said about whether it is a good request. */
bool tly_request_line_read(const char *line, size_t size, struct tly_request_line *out);

#endif
