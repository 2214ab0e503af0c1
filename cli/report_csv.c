#include "cli/report_csv.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"

struct place {
  const char *section;
  size_t item; /* 0: none */
  struct tly_arena *arena;
  struct tly_buffer *out;
};

/* Quoted where RFC 4180 needs it, and an empty text, which is not NULL. */
static void print_text(const char *text, struct tly_buffer *out) {
  if (*text != '\0' && strpbrk(text, "\",\r\n") == NULL) {
    tly_buffer_append_text(out, text);
    return;
  }
  tly_buffer_append_byte(out, '"');
  for (; *text != '\0'; text++) {
    if (*text == '"')
      tly_buffer_append_byte(out, '"');
    tly_buffer_append_byte(out, (uint8_t)*text);
  }
  tly_buffer_append_byte(out, '"');
}

static void print_plain(const struct place *place, const char *field, const json_t *value) {
  struct tly_buffer *out = place->out;
  tly_buffer_append_text(out, place->section);
  tly_buffer_append_byte(out, ',');
  if (place->item > 0)
    tly_buffer_print(out, "%zu", place->item);
  tly_buffer_append_byte(out, ',');
  if (*field != '\0')
    print_text(field, out);
  tly_buffer_append_byte(out, ',');
  if (json_is_string(value)) {
    print_text(json_string_value(value), out);
  } else if (!json_is_null(value)) {
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    print_text(text, out);
    free(text);
  }
  tly_buffer_append_byte(out, '\n');
}

static void print_rows(const struct place *place, const char *path, const json_t *value) {
  const char *dot = *path != '\0' ? "." : "", *name;
  json_t *member;
  size_t i;
  json_object_foreach((json_t *)(uintptr_t)value, name, member) {
    print_rows(place, tly_arena_print(place->arena, "%s%s%s", path, dot, name), member);
  }
  json_array_foreach((json_t *)(uintptr_t)value, i, member) {
    print_rows(place, tly_arena_print(place->arena, "%s%s%zu", path, dot, i + 1), member);
  }
  if (!json_is_object(value) && !json_is_array(value))
    print_plain(place, path, value);
}

/* A list of the report: an item a member. */
static void print_items(struct place place, const json_t *list) {
  json_t *value;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)list, i, value) {
    place.item = i + 1;
    print_rows(&place, "", value);
    tly_arena_reset(place.arena);
  }
}

void tly_report_csv(const json_t *report, struct tly_buffer *out) {
  struct tly_arena arena;
  const char *name;
  json_t *value;
  tly_arena_init(&arena);
  tly_buffer_append_text(out, "section,item,field,value\n");
  json_object_foreach((json_t *)(uintptr_t)report, name, value) {
    struct place place = {.section = name, .arena = &arena, .out = out};
    if (json_is_array(value)) {
      print_items(place, value);
    } else if (json_is_object(value)) {
      print_rows(&place, "", value);
    } else {
      place.section = "report";
      print_plain(&place, name, value);
    }
  }
  tly_arena_free(&arena);
}
