/* common/sql/diagnostics.h -- problems in definitions: file:line:col: message, the line, a caret under the word.
 * Thread: belongs to one thread. */
#ifndef TLY_SQL_DIAGNOSTICS_H
#define TLY_SQL_DIAGNOSTICS_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

struct tly_diagnostic {
  enum tly_status status;
  const char *file;
  uint32_t line, column;      /* from 1; column counts characters; line 0: the whole file */
  const char *message, *hint; /* hint may be NULL */
  const char *source_line;    /* NULL when line is 0 */
};

struct tly_diagnostics {
  struct tly_arena arena;
  struct tly_diagnostic *items;
  uint32_t count, capacity;
};

void tly_diagnostics_init(struct tly_diagnostics *diagnostics);
void tly_diagnostics_free(struct tly_diagnostics *diagnostics);
/* Add `error`, whose position is a byte offset into `text` when `has_position`. */
void tly_diagnostics_add(struct tly_diagnostics *diagnostics, const char *file, const char *text, bool has_position,
                         uint32_t byte_offset, const struct tly_error *error);
/* file:line:col: message / source line / caret / hint, each diagnostic after the other. */
void tly_diagnostics_print(const struct tly_diagnostics *diagnostics, struct tly_buffer *out);
/* The caret form of one error of a query text (error->position in characters), as psql shows it. */
void tly_diagnostic_print_query(const char *sql, const struct tly_error *error, struct tly_buffer *out);

#endif
