#include "common/sql/diagnostics.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/sql/position.h"

void tly_diagnostics_init(struct tly_diagnostics *diagnostics) {
  *diagnostics = (struct tly_diagnostics){.items = NULL};
  tly_arena_init(&diagnostics->arena);
}

void tly_diagnostics_free(struct tly_diagnostics *diagnostics) {
  tly_arena_free(&diagnostics->arena);
  *diagnostics = (struct tly_diagnostics){.items = NULL};
}

static struct tly_diagnostic *new_item(struct tly_diagnostics *diagnostics) {
  if (diagnostics->count == diagnostics->capacity) {
    uint32_t capacity = diagnostics->capacity == 0 ? 8 : 2 * diagnostics->capacity;
    struct tly_diagnostic *grown = TLY_ARENA_ARRAY(&diagnostics->arena, struct tly_diagnostic, capacity);
    if (diagnostics->count > 0)
      memcpy(grown, diagnostics->items, diagnostics->count * sizeof grown[0]);
    diagnostics->items = grown;
    diagnostics->capacity = capacity;
  }
  return &diagnostics->items[diagnostics->count++];
}

static const char *keep(struct tly_diagnostics *diagnostics, const char *text) {
  return tly_arena_copy(&diagnostics->arena, text, strlen(text));
}

void tly_diagnostics_add(struct tly_diagnostics *diagnostics, const char *file, const char *text, bool has_position,
                         uint32_t byte_offset, const struct tly_error *error) {
  TLY_ASSERT(error->status != TLY_OK);
  struct tly_diagnostic *item = new_item(diagnostics);
  *item = (struct tly_diagnostic){.status = error->status,
                                  .file = keep(diagnostics, file),
                                  .message = keep(diagnostics, error->message),
                                  .hint = error->hint[0] == '\0' ? NULL : keep(diagnostics, error->hint)};
  if (!has_position)
    return;
  uint32_t start, size;
  tly_position_line(text, strlen(text), byte_offset, &item->line, &item->column, &start, &size);
  item->source_line = tly_arena_copy(&diagnostics->arena, text + start, size);
}

/* Spaces up to a 1-based column; a tab stays one, so that the caret stands under its word at any tab width. */
static void print_caret(const char *line, uint32_t column, struct tly_buffer *out) {
  uint32_t at = 1;
  for (const char *byte = line; at < column; byte++) {
    if (*byte == '\0') {
      tly_buffer_append_byte(out, ' ');
      byte--;
      at++;
    } else if (((unsigned char)*byte & 0xC0) != 0x80) {
      tly_buffer_append_byte(out, *byte == '\t' ? '\t' : ' ');
      at++;
    }
  }
  tly_buffer_append_text(out, "^\n");
}

void tly_diagnostics_print(const struct tly_diagnostics *diagnostics, struct tly_buffer *out) {
  for (uint32_t i = 0; i < diagnostics->count; i++) {
    const struct tly_diagnostic *item = &diagnostics->items[i];
    if (item->line > 0)
      tly_buffer_print(out, "%s:%u:%u: %s\n", item->file, item->line, item->column, item->message);
    else
      tly_buffer_print(out, "%s: %s\n", item->file, item->message);
    if (item->source_line != NULL) {
      tly_buffer_print(out, "  %s\n  ", item->source_line);
      print_caret(item->source_line, item->column, out);
    }
    if (item->hint != NULL)
      tly_buffer_print(out, "  hint: %s\n", item->hint);
  }
}

/* ---- as psql shows it -------------------------------------------------------------------------------------------- */

enum { SHOWN_CHARACTERS = 60, SHOWN_BEHIND_CARET = 10 };

/* The part of a line that is shown, in characters from 0: psql's rule (reportErrorPosition of libpq). */
struct window {
  uint32_t begin, end;
  bool cut_left, cut_right;
};

static struct window window_of(uint32_t length, uint32_t caret) {
  struct window window = {0, length, false, false};
  if (length <= SHOWN_CHARACTERS)
    return window;
  window.cut_right = true;
  if (SHOWN_CHARACTERS >= caret + SHOWN_BEHIND_CARET) {
    window.end = SHOWN_CHARACTERS;
    return window;
  }
  window.cut_right = caret + SHOWN_BEHIND_CARET < length;
  if (window.cut_right)
    window.end = caret + SHOWN_BEHIND_CARET;
  window.cut_left = window.end > SHOWN_CHARACTERS;
  if (window.cut_left)
    window.begin = window.end - SHOWN_CHARACTERS;
  return window;
}

static void print_line(const char *sql, uint32_t position, struct tly_buffer *out) {
  uint32_t number, column, start, line_size;
  size_t size = strlen(sql);
  tly_position_line(sql, size, tly_position_to_offset(sql, size, position), &number, &column, &start, &line_size);
  const char *line = sql + start;
  struct window window = window_of(tly_position_of_offset(line, line_size, line_size) - 1, column - 1);
  uint32_t from = tly_position_to_offset(line, line_size, window.begin + 1);
  uint32_t to = tly_position_to_offset(line, line_size, window.end + 1);
  struct tly_buffer shown = {.data = NULL};
  tly_buffer_print(&shown, "LINE %u: %s", number, window.cut_left ? "..." : "");
  uint32_t caret = (uint32_t)shown.size + column - window.begin;
  tly_buffer_append(&shown, line + from, to - from);
  tly_buffer_append_text(&shown, window.cut_right ? "..." : "");
  tly_buffer_print(out, "%s\n", tly_buffer_text(&shown));
  print_caret(tly_buffer_text(&shown), caret, out);
  tly_buffer_free(&shown);
}

void tly_diagnostic_print_query(const char *sql, const struct tly_error *error, struct tly_buffer *out) {
  tly_buffer_print(out, "ERROR:  %s\n", error->message);
  if (error->position > 0)
    print_line(sql, (uint32_t)error->position, out);
  if (error->hint[0] != '\0')
    tly_buffer_print(out, "HINT:  %s\n", error->hint);
}
