/* common/event/line.h -- where a line of the input ends, and what of it is the event's payload.
 *
 * One rule for both formats and for both scanners: the line end is \n or \r\n, or the end of the input (a \r just
 * before it is cut as well); it is not part of the payload. Thread: pure. */
#ifndef TLY_EVENT_LINE_H
#define TLY_EVENT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The first byte behind the line that starts at `next`. */
static inline const char *tly_line_end(const char *next, const char *end) {
  const char *newline = memchr(next, '\n', (size_t)(end - next));
  return newline != NULL ? newline + 1 : end;
}

/* Bytes of the payload of the line [line, behind). */
static inline size_t tly_line_payload_size(const char *line, const char *behind) {
  if (behind > line && behind[-1] == '\n')
    behind--;
  if (behind > line && behind[-1] == '\r')
    behind--;
  return (size_t)(behind - line);
}

static inline bool tly_line_is_blank(const char *payload, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (payload[i] != ' ' && payload[i] != '\t' && payload[i] != '\r')
      return false;
  return true;
}

#endif
