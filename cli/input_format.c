#include "cli/input_format.h"

#include <string.h>

static bool ends_with(const char *text, size_t size, const char *end) {
  size_t end_size = strlen(end);
  return size >= end_size && memcmp(text + size - end_size, end, end_size) == 0;
}

const char *tly_input_format_of_name(const char *file) {
  size_t size = strlen(file);
  if (ends_with(file, size, ".gz"))
    size -= 3;
  else if (ends_with(file, size, ".zst"))
    size -= 4;
  if (ends_with(file, size, ".csv"))
    return "csv";
  if (ends_with(file, size, ".json") || ends_with(file, size, ".ndjson") || ends_with(file, size, ".jsonl"))
    return "json";
  return NULL;
}

enum tly_status tly_input_format_of_stream(tly_client *client, const char *stream, const char **out,
                                           struct tly_error *error) {
  json_t *result, *item;
  size_t i;
  TLY_TRY(tly_client_call(client, "status", NULL, -1, NULL, NULL, &result, error));
  *out = "json";
  json_array_foreach(json_object_get(result, "streams"), i, item) {
    const char *name = json_string_value(json_object_get(item, "stream"));
    const char *format = json_string_value(json_object_get(item, "format"));
    if (name != NULL && format != NULL && strcmp(name, stream) == 0 && strcmp(format, "csv") == 0)
      *out = "csv";
  }
  json_decref(result);
  return TLY_OK;
}
