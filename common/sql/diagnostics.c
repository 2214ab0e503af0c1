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

void tly_diagnostic_print_query(const char *sql, const struct tly_error *error, struct tly_buffer *out) {
  tly_buffer_print(out, "ERROR:  %s\n", error->message);
  if (error->position > 0) {
    uint32_t line, column, start, line_size;
    size_t size = strlen(sql);
    uint32_t offset = tly_position_to_offset(sql, size, (uint32_t)error->position);
    tly_position_line(sql, size, offset, &line, &column, &start, &line_size);
    size_t head_start = out->size;
    tly_buffer_print(out, "LINE %u: ", line);
    uint32_t head = (uint32_t)(out->size - head_start);
    size_t text_start = out->size;
    tly_buffer_append(out, sql + start, line_size);
    struct tly_buffer text = {.data = NULL};
    tly_buffer_append(&text, out->data + text_start, line_size);
    tly_buffer_append_byte(out, '\n');
    tly_buffer_print(out, "%*s", (int)head, "");
    print_caret(tly_buffer_text(&text), column, out);
    tly_buffer_free(&text);
  }
  if (error->hint[0] != '\0')
    tly_buffer_print(out, "HINT:  %s\n", error->hint);
}
