/* common/sql/position.h -- bytes to characters and back: the parser and the tree count bytes, people and PostgreSQL
 * count characters.
 * Thread: pure. */
#ifndef TLY_SQL_POSITION_H
#define TLY_SQL_POSITION_H

#include <stddef.h>
#include <stdint.h>

/* The 1-based character position of byte `offset` (valid UTF-8; an offset past the end counts as the end). */
uint32_t tly_position_of_offset(const char *text, size_t size, uint32_t offset);
/* The byte offset of the 1-based character `position`. */
uint32_t tly_position_to_offset(const char *text, size_t size, uint32_t position);
/* Line and column, from 1; *line_start and *line_size are the line without its end. */
void tly_position_line(const char *text, size_t size, uint32_t offset, uint32_t *line, uint32_t *column,
                       uint32_t *line_start, uint32_t *line_size);

#endif
