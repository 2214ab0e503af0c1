/* serving_layer/request_line.h -- a query request in its common form, read without building a JSON tree.
 *
 * Path of a request: session -> [request_line] -> point. Reads what the general parser (common/wire/request.h) would
 * read from it, or refuses: members id, method, params (sql, args) and jsonrpc, each at most once, in any order; texts
 * without escapes; integers, texts, true, false and null as arguments.
 * Thread: pure; what comes out points into the line. */
#ifndef TLY_SERVING_REQUEST_LINE_H
#define TLY_SERVING_REQUEST_LINE_H

#include "common/base/buffer.h"
#include "common/value/text.h"

enum { TLY_REQUEST_LINE_ARGUMENTS_MAX = 16, TLY_REQUEST_SHAPE_VALUES_MAX = TLY_REQUEST_LINE_ARGUMENTS_MAX + 1 };

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

/* What the lines of one client have in common: a line without its values (the id and the arguments). Another line of
 * this shape is compared, not read. A zeroed shape is a valid one without memory. */
struct tly_request_shape {
  struct tly_buffer text; /* the pieces between the values, one behind the other */
  uint32_t piece_sizes[TLY_REQUEST_SHAPE_VALUES_MAX + 1];
  uint32_t value_count;
  uint32_t id; /* the value that is the id; value_count: there is none */
  uint32_t sql_piece, sql_begin, sql_size;
};

void tly_request_shape_free(struct tly_request_shape *shape);
/* Take the shape of `line`, of which `request` was read. False: it has none (null, true or false as an argument); then
 * no line is of this shape. */
bool tly_request_shape_learn(struct tly_request_shape *shape, const char *line, size_t size,
                             const struct tly_request_line *request);
/* As tly_request_line_read for a line of this shape with plain values, by comparing it; false for any other line. */
bool tly_request_shape_read(const struct tly_request_shape *shape, const char *line, size_t size,
                            struct tly_request_line *out);

#endif
