#include "batch_layer/run_result.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "batch_layer/run_writer.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/store/fact_json.h"
#include "common/store/run_reader.h"

enum { MANIFEST_FORMAT = 2 };

int64_t tly_run_result_drift(const struct tly_run_result *result) {
  int64_t drift = -1;
  for (uint32_t i = 0; i < result->view_count; i++)
    if (result->views[i].drift >= 0)
      drift = (drift < 0 ? 0 : drift) + result->views[i].drift;
  return drift;
}

bool tly_run_hash_parse(const char *text, struct tly_hash *out) {
  if (text == NULL || strlen(text) != 2 * TLY_HASH_BYTES || strspn(text, "0123456789abcdef") != 2 * TLY_HASH_BYTES)
    return false;
  for (int i = 0; i < TLY_HASH_BYTES; i++) {
    const char digits[3] = {text[2 * i], text[2 * i + 1], 0};
    out->bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  return true;
}

static struct tly_hash hash_of(const void *bytes, size_t size) {
  struct tly_hash hash;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
  memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
  return hash;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void set(json_t *object, const char *name, json_t *value) {
  TLY_ASSERT(value != NULL && json_object_set_new(object, name, value) == 0);
}

/* A message may have been cut to its room in the midst of a character. */
static json_t *message_json(const char *message) {
  size_t size = strlen(message);
  while (size > 0 && !tly_text_is_valid(message, size))
    size--;
  return json_stringn(message, size);
}

static json_t *positions_json(const struct tly_run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->position_count; i++) {
    const struct tly_position *position = &result->positions[i];
    json_t *item = json_object();
    set(item, "stream", json_string(position->stream));
    set(item, "partition", json_integer(position->partition));
    set(item, "next_offset", json_integer(position->next_offset));
    set(item, "chain", tly_hash_json(&position->chain));
    json_array_append_new(array, item);
  }
  return array;
}

static json_t *ranges_json(const struct tly_run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->range_count; i++) {
    const struct tly_log_range *range = &result->ranges[i];
    json_t *item = json_object();
    set(item, "partition", json_integer(range->partition));
    set(item, "first_offset", json_integer(range->first_offset));
    set(item, "next_offset", json_integer(range->next_offset));
    set(item, "chain_before", tly_hash_json(&range->chain_before));
    set(item, "chain_after", tly_hash_json(&range->chain_after));
    json_array_append_new(array, item);
  }
  return array;
}

static json_t *files_json(const struct tly_run_view_result *view) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < view->file_count; i++) {
    const struct tly_run_file *file = &view->files[i];
    json_t *item = json_object();
    set(item, "file", json_string(file->name));
    set(item, "part", json_integer(file->part));
    set(item, "piece", json_integer(file->piece));
    set(item, "groups", json_integer((json_int_t)file->groups));
    set(item, "bytes", json_integer((json_int_t)file->bytes));
    set(item, "xxh3", tly_hash_json(&file->hash));
    json_array_append_new(array, item);
  }
  return array;
}

static json_t *set_aside_json(const struct tly_run_view_result *view) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < view->set_aside_listed_count; i++) {
    const struct tly_run_set_aside *event = &view->set_aside_listed[i];
    json_t *item = json_object();
    set(item, "partition", json_integer(event->partition));
    set(item, "offset", json_integer(event->offset));
    set(item, "sqlstate", json_string(event->sqlstate));
    set(item, "message", message_json(event->message));
    json_array_append_new(array, item);
  }
  return array;
}

static json_t *drift_json(const struct tly_run_view_result *view) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < view->drift_listed_count; i++) {
    const struct tly_run_drift *drift = &view->drift_listed[i];
    json_t *item = json_object();
    set(item, "key", json_string(drift->key));
    set(item, "live", tly_text_json(drift->live));
    set(item, "recomputed", tly_text_json(drift->recomputed));
    set(item, "explanation", tly_text_json(drift->explanation));
    json_array_append_new(array, item);
  }
  return array;
}

static json_t *check_json(const struct tly_run_check *check) {
  if (check->text == NULL)
    return json_null();
  json_t *item = json_object();
  set(item, "text", json_string(check->text));
  set(item, "verdict", json_string(check->verdict));
  set(item, "found", json_string(check->found));
  return item;
}

static json_t *view_json(const struct tly_run_view_result *view) {
  json_t *item = json_object();
  set(item, "view", json_string(view->view));
  set(item, "definition", tly_hash_json(&view->definition_hash));
  set(item, "content", tly_hash_json(&view->content_hash));
  set(item, "groups", json_integer((json_int_t)view->groups));
  set(item, "folded", json_integer((json_int_t)view->folded));
  set(item, "filtered", json_integer((json_int_t)view->filtered));
  set(item, "set_aside", json_integer((json_int_t)view->set_aside));
  set(item, "drift", view->drift >= 0 ? json_integer(view->drift) : json_null());
  set(item, "base", json_integer(view->base));
  set(item, "base_count", json_integer(view->base_count));
  set(item, "files", files_json(view));
  set(item, "set_aside_events", set_aside_json(view));
  set(item, "drift_keys", drift_json(view));
  set(item, "check", check_json(&view->check));
  return item;
}

enum tly_status tly_manifest_write(const char *folder, const struct tly_run_result *result, struct tly_hash *hash,
                                   struct tly_error *error) {
  struct tly_buffer path = {0};
  json_t *root = json_object(), *views = json_array();
  set(root, "format", json_integer(MANIFEST_FORMAT));
  set(root, "run", json_integer(result->run));
  set(root, "events", json_integer((json_int_t)result->events));
  set(root, "reused", json_integer((json_int_t)result->reused));
  set(root, "fold_version", json_integer(result->fold_version));
  set(root, "inputs", tly_hash_json(&result->inputs));
  set(root, "note", tly_text_json(result->note));
  set(root, "cut", positions_json(result));
  set(root, "ranges", ranges_json(result));
  for (uint32_t i = 0; i < result->view_count; i++)
    json_array_append_new(views, view_json(&result->views[i]));
  set(root, "views", views);
  char *text = json_dumps(root, JSON_INDENT(1));
  TLY_ASSERT(text != NULL);
  json_decref(root);
  *hash = hash_of(text, strlen(text));
  tly_buffer_print(&path, "%s/manifest.json", folder);
  enum tly_status status = tly_file_replace(tly_buffer_text(&path), text, strlen(text), error);
  tly_buffer_free(&path);
  free(text);
  return status;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The manifest has its hash, so it is what we wrote: a member of the wrong kind is a bug or another version's file.
 * Reads go on with zeros and set `wrong`; the caller looks once. */
struct parse {
  struct tly_arena *arena;
  bool wrong;
};

static int64_t integer_of(struct parse *parse, const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  if (!json_is_integer(value))
    parse->wrong = true;
  return json_integer_value(value);
}

static const char *text_of(struct parse *parse, const json_t *object, const char *name, bool may_be_null) {
  const json_t *value = json_object_get(object, name);
  if (may_be_null && json_is_null(value))
    return NULL;
  if (!json_is_string(value)) {
    parse->wrong = true;
    return "";
  }
  return tly_arena_copy(parse->arena, json_string_value(value), json_string_length(value));
}

static struct tly_hash hash_member(struct parse *parse, const json_t *object, const char *name) {
  struct tly_hash hash = {0};
  if (!tly_run_hash_parse(json_string_value(json_object_get(object, name)), &hash))
    parse->wrong = true;
  return hash;
}

static const json_t *array_of(struct parse *parse, const json_t *object, const char *name, uint32_t *count) {
  const json_t *array = json_object_get(object, name);
  if (!json_is_array(array))
    parse->wrong = true;
  *count = (uint32_t)json_array_size(array);
  return array;
}

static void read_positions(struct parse *parse, const json_t *root, struct tly_run_result *out) {
  const json_t *array = array_of(parse, root, "cut", &out->position_count);
  out->positions = TLY_ARENA_ARRAY(parse->arena, struct tly_position, out->position_count);
  for (uint32_t i = 0; i < out->position_count; i++) {
    const json_t *item = json_array_get(array, i);
    out->positions[i] = (struct tly_position){.stream = text_of(parse, item, "stream", false),
                                              .partition = (uint32_t)integer_of(parse, item, "partition"),
                                              .next_offset = integer_of(parse, item, "next_offset"),
                                              .chain = hash_member(parse, item, "chain")};
  }
}

static void read_ranges(struct parse *parse, const json_t *root, struct tly_run_result *out) {
  const json_t *array = array_of(parse, root, "ranges", &out->range_count);
  out->ranges = TLY_ARENA_ARRAY(parse->arena, struct tly_log_range, out->range_count);
  for (uint32_t i = 0; i < out->range_count; i++) {
    const json_t *item = json_array_get(array, i);
    out->ranges[i] = (struct tly_log_range){.partition = (uint32_t)integer_of(parse, item, "partition"),
                                            .first_offset = integer_of(parse, item, "first_offset"),
                                            .next_offset = integer_of(parse, item, "next_offset"),
                                            .chain_before = hash_member(parse, item, "chain_before"),
                                            .chain_after = hash_member(parse, item, "chain_after")};
  }
}

static void read_files(struct parse *parse, const json_t *view, struct tly_run_view_result *out) {
  const json_t *array = array_of(parse, view, "files", &out->file_count);
  out->files = TLY_ARENA_ARRAY(parse->arena, struct tly_run_file, out->file_count);
  for (uint32_t i = 0; i < out->file_count; i++) {
    const json_t *item = json_array_get(array, i);
    out->files[i] = (struct tly_run_file){.name = text_of(parse, item, "file", false),
                                          .part = (uint32_t)integer_of(parse, item, "part"),
                                          .piece = (uint32_t)integer_of(parse, item, "piece"),
                                          .groups = (uint64_t)integer_of(parse, item, "groups"),
                                          .bytes = (uint64_t)integer_of(parse, item, "bytes"),
                                          .hash = hash_member(parse, item, "xxh3")};
  }
}

static void read_set_aside(struct parse *parse, const json_t *view, struct tly_run_view_result *out) {
  const json_t *array = array_of(parse, view, "set_aside_events", &out->set_aside_listed_count);
  out->set_aside_listed = TLY_ARENA_ARRAY(parse->arena, struct tly_run_set_aside, out->set_aside_listed_count);
  for (uint32_t i = 0; i < out->set_aside_listed_count; i++) {
    const json_t *item = json_array_get(array, i);
    out->set_aside_listed[i] = (struct tly_run_set_aside){.partition = (uint32_t)integer_of(parse, item, "partition"),
                                                          .offset = integer_of(parse, item, "offset"),
                                                          .sqlstate = text_of(parse, item, "sqlstate", false),
                                                          .message = text_of(parse, item, "message", false)};
  }
}

static void read_drift(struct parse *parse, const json_t *view, struct tly_run_view_result *out) {
  const json_t *array = array_of(parse, view, "drift_keys", &out->drift_listed_count);
  out->drift_listed = TLY_ARENA_ARRAY(parse->arena, struct tly_run_drift, out->drift_listed_count);
  for (uint32_t i = 0; i < out->drift_listed_count; i++) {
    const json_t *item = json_array_get(array, i);
    out->drift_listed[i] = (struct tly_run_drift){.key = text_of(parse, item, "key", false),
                                                  .live = text_of(parse, item, "live", true),
                                                  .recomputed = text_of(parse, item, "recomputed", true),
                                                  .explanation = text_of(parse, item, "explanation", true)};
  }
}

static void read_check(struct parse *parse, const json_t *view, struct tly_run_check *out) {
  const json_t *check = json_object_get(view, "check");
  if (json_is_null(check))
    return;
  *out = (struct tly_run_check){.text = text_of(parse, check, "text", false),
                                .verdict = text_of(parse, check, "verdict", false),
                                .found = text_of(parse, check, "found", false)};
}

static void read_view(struct parse *parse, const json_t *view, struct tly_run_view_result *out) {
  *out = (struct tly_run_view_result){.view = text_of(parse, view, "view", false),
                                      .definition_hash = hash_member(parse, view, "definition"),
                                      .content_hash = hash_member(parse, view, "content"),
                                      .groups = (uint64_t)integer_of(parse, view, "groups"),
                                      .folded = (uint64_t)integer_of(parse, view, "folded"),
                                      .filtered = (uint64_t)integer_of(parse, view, "filtered"),
                                      .set_aside = (uint64_t)integer_of(parse, view, "set_aside"),
                                      .drift = -1,
                                      .base = integer_of(parse, view, "base"),
                                      .base_count = (uint32_t)integer_of(parse, view, "base_count")};
  if (!json_is_null(json_object_get(view, "drift")))
    out->drift = integer_of(parse, view, "drift");
  read_files(parse, view, out);
  read_set_aside(parse, view, out);
  read_drift(parse, view, out);
  read_check(parse, view, &out->check);
}

static bool read_root(const json_t *root, struct tly_arena *arena, struct tly_run_result *out) {
  struct parse parse = {.arena = arena, .wrong = false};
  if (integer_of(&parse, root, "format") != MANIFEST_FORMAT)
    return false;
  out->run = integer_of(&parse, root, "run");
  out->events = (uint64_t)integer_of(&parse, root, "events");
  out->reused = (uint64_t)integer_of(&parse, root, "reused");
  out->fold_version = integer_of(&parse, root, "fold_version");
  out->inputs = hash_member(&parse, root, "inputs");
  out->note = text_of(&parse, root, "note", true);
  read_positions(&parse, root, out);
  read_ranges(&parse, root, out);
  const json_t *views = array_of(&parse, root, "views", &out->view_count);
  out->views = TLY_ARENA_ARRAY(arena, struct tly_run_view_result, out->view_count);
  for (uint32_t i = 0; i < out->view_count; i++)
    read_view(&parse, json_array_get(views, i), &out->views[i]);
  return !parse.wrong;
}

static enum tly_status check_files(const char *folder, const struct tly_run_view_result *view,
                                   struct tly_error *error) {
  enum tly_status status = TLY_OK;
  struct tly_buffer path = {0};
  for (uint32_t i = 0; status == TLY_OK && i < view->file_count; i++) {
    struct tly_hash hash;
    uint64_t bytes;
    tly_buffer_clear(&path);
    tly_buffer_print(&path, "%s/%s", folder, view->files[i].name);
    status = tly_run_hash_file(tly_buffer_text(&path), &hash, &bytes, error);
    if (status == TLY_OK && (bytes != view->files[i].bytes || memcmp(&hash, &view->files[i].hash, sizeof hash) != 0))
      status = TLY_FAIL(error, TLY_E_CORRUPT, "run file %s is not what the manifest says", tly_buffer_text(&path));
  }
  tly_buffer_free(&path);
  return status;
}

static enum tly_status parse_manifest(const char *path, const struct tly_buffer *text, const struct tly_hash *hash,
                                      struct tly_arena *arena, struct tly_run_result *out, struct tly_error *error) {
  struct tly_hash found = hash_of(text->data, text->size);
  if (memcmp(&found, hash, sizeof found) != 0)
    return TLY_FAIL(error, TLY_E_CORRUPT, "%s is not what the recompute wrote", path);
  json_t *root = json_loadb((const char *)text->data, text->size, JSON_REJECT_DUPLICATES, NULL);
  bool is_good = root != NULL && read_root(root, arena, out);
  json_decref(root);
  return is_good ? TLY_OK : TLY_FAIL(error, TLY_E_CORRUPT, "%s is not a manifest of this version", path);
}

enum tly_status tly_manifest_read_alone(const char *folder, const struct tly_hash *hash, struct tly_arena *arena,
                                        struct tly_run_result *out, struct tly_error *error) {
  struct tly_buffer path = {0}, text = {0};
  memset(out, 0, sizeof *out);
  tly_buffer_print(&path, "%s/manifest.json", folder);
  enum tly_status status = tly_file_read(tly_buffer_text(&path), TLY_MANIFEST_BYTES_MAX, &text, error);
  if (status == TLY_OK)
    status = parse_manifest(tly_buffer_text(&path), &text, hash, arena, out, error);
  out->manifest = *hash;
  tly_buffer_free(&path);
  tly_buffer_free(&text);
  return status;
}

enum tly_status tly_manifest_read(const char *folder, const struct tly_hash *hash, struct tly_arena *arena,
                                  struct tly_run_result *out, struct tly_error *error) {
  enum tly_status status = tly_manifest_read_alone(folder, hash, arena, out, error);
  for (uint32_t i = 0; status == TLY_OK && i < out->view_count; i++)
    status = check_files(folder, &out->views[i], error);
  return status;
}
