#include "cli/break_cells.h"

#include <stdlib.h>

#include "common/base/buffer.h"

json_t *tly_break_cell(const json_t *members) {
  const char *name;
  json_t *value;
  struct tly_buffer text = {0};
  if (json_object_size(members) == 0)
    return json_null();
  if (json_object_size(members) == 1)
    return json_incref(json_object_iter_value(json_object_iter((json_t *)(uintptr_t)members)));
  json_object_foreach((json_t *)(uintptr_t)members, name, value) {
    char *json = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    tly_buffer_print(&text, "%s%s %s", text.size > 0 ? ", " : "", name, json != NULL ? json : json_string_value(value));
    free(json);
  }
  json_t *cell = json_string(tly_buffer_text(&text));
  tly_buffer_free(&text);
  return cell;
}

json_t *tly_break_names_cell(const json_t *members) {
  const char *name;
  json_t *value;
  struct tly_buffer text = {0};
  json_object_foreach((json_t *)(uintptr_t)members, name, value) {
    tly_buffer_print(&text, "%s%s", text.size > 0 ? ", " : "", name);
  }
  json_t *cell = json_string(tly_buffer_text(&text));
  tly_buffer_free(&text);
  return cell;
}
