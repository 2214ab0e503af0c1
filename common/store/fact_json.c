#include "common/store/fact_json.h"

#include "common/store/run_reader.h"
#include "common/value/timestamp.h"

json_t *tly_time_json(int64_t us) {
  struct tly_buffer text = {0};
  if (us == 0)
    return json_null();
  tly_timestamp_print_rfc3339(us, true, &text);
  json_t *out = json_stringn((const char *)text.data, text.size);
  tly_buffer_free(&text);
  return out;
}

json_t *tly_count_json(int64_t count) {
  return count < 0 ? json_null() : json_integer(count);
}

json_t *tly_text_json(const char *text) {
  json_t *out = text != NULL ? json_string(text) : NULL;
  return out != NULL ? out : json_null();
}

json_t *tly_hash_json(const struct tly_hash *hash) {
  char text[2 * TLY_HASH_BYTES + 1];
  tly_run_hash_print(hash, text);
  return json_string(text);
}

json_t *tly_stored_json(const char *text) {
  json_t *out = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
  return out != NULL ? out : json_null();
}

json_t *tly_positions_json(const struct tly_position *positions, uint32_t count) {
  json_t *out = json_object();
  for (uint32_t i = 0; i < count; i++) {
    json_t *offsets = json_object_get(out, positions[i].stream);
    if (offsets == NULL) {
      offsets = json_array();
      json_object_set_new(out, positions[i].stream, offsets);
    }
    while (json_array_size(offsets) <= positions[i].partition)
      json_array_append_new(offsets, json_integer(0));
    json_array_set_new(offsets, positions[i].partition, json_integer(positions[i].next_offset));
  }
  return out;
}
