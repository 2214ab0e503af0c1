#include "common/sql/position.h"

#include <stdbool.h>

static bool begins_character(char byte) {
  return ((unsigned char)byte & 0xC0) != 0x80;
}

uint32_t tly_position_of_offset(const char *text, size_t size, uint32_t offset) {
  uint32_t position = 1;
  for (size_t i = 0; i < size && i < offset; i++)
    if (begins_character(text[i]))
      position++;
  return position;
}

uint32_t tly_position_to_offset(const char *text, size_t size, uint32_t position) {
  size_t i = 0;
  for (uint32_t at = 1; i < size && at < position; at++) {
    i++;
    while (i < size && !begins_character(text[i]))
      i++;
  }
  return (uint32_t)i;
}

void tly_position_line(const char *text, size_t size, uint32_t offset, uint32_t *line, uint32_t *column,
                       uint32_t *line_start, uint32_t *line_size) {
  size_t end = offset < size ? offset : size;
  size_t start = 0;
  *line = 1;
  for (size_t i = 0; i < end; i++) {
    if (text[i] == '\n') {
      (*line)++;
      start = i + 1;
    }
  }
  *column = tly_position_of_offset(text + start, size - start, (uint32_t)(end - start));
  size_t stop = end;
  while (stop < size && text[stop] != '\n' && text[stop] != '\r')
    stop++;
  *line_start = (uint32_t)start;
  *line_size = (uint32_t)(stop - start);
}
