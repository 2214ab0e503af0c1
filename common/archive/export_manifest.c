#include "common/archive/export_manifest.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { MANIFEST_FORMAT = 1 };

char *tly_export_manifest_path(const char *path) {
  struct tly_buffer name = {0};
  tly_buffer_print(&name, "%s.manifest.json", path);
  char *result = tly_strdup(tly_buffer_text(&name));
  tly_buffer_free(&name);
  return result;
}

static json_t *hash_text(const struct tly_hash *hash) {
  struct tly_buffer text = {0};
  for (size_t i = 0; i < sizeof hash->bytes; i++)
    tly_buffer_print(&text, "%02x", hash->bytes[i]);
  json_t *result = json_string(tly_buffer_text(&text));
  tly_buffer_free(&text);
  return result;
}

static json_t *time_text(bool is_there, int64_t time_us) {
  struct tly_buffer text = {0};
  if (!is_there)
    return json_null();
  tly_timestamp_print_rfc3339(time_us, true, &text);
  json_t *result = json_string(tly_buffer_text(&text));
  tly_buffer_free(&text);
  return result;
}

static json_t *digest_object(const struct tly_export_digest *digest) {
  return json_pack("{s:I,s:o}", "bytes", (json_int_t)digest->bytes, "xxh3_128", hash_text(&digest->hash));
}

/* The columns of a typed form; null for raw. */
static json_t *columns_array(const struct tly_export_request *request) {
  if (request->form == TLY_EXPORT_RAW)
    return json_null();
  json_t *names = json_array();
  uint32_t count = request->columns != NULL ? request->column_count : request->stream->column_count;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t column = request->columns != NULL ? request->columns[i] : i;
    json_array_append_new(names, json_string(request->stream->columns[column].name));
  }
  return names;
}

static json_t *partitions_array(const struct tly_export_summary *summary) {
  json_t *partitions = json_array();
  for (uint32_t i = 0; i < summary->partition_count; i++) {
    const struct tly_export_partition *partition = &summary->partitions[i];
    json_array_append_new(partitions,
                          json_pack("{s:I,s:I,s:I,s:I,s:o,s:o}", "partition", (json_int_t)partition->partition,
                                    "first_offset", (json_int_t)partition->first_offset, "next_offset",
                                    (json_int_t)partition->next_offset, "events", (json_int_t)partition->events,
                                    "chain_first", hash_text(&partition->chain_first), "chain_next",
                                    hash_text(&partition->chain_next)));
  }
  return partitions;
}

static json_t *event_time_object(const struct tly_export_request *request, const struct tly_export_summary *summary) {
  if (request->stream->event_time < 0)
    return json_null();
  return json_pack(
      "{s:s,s:o,s:o,s:o,s:o}", "column", request->stream->columns[request->stream->event_time].name, "from",
      time_text(request->has_from, request->from_us), "to", time_text(request->has_to, request->to_us), "min",
      time_text(summary->has_time, summary->time_min_us), "max", time_text(summary->has_time, summary->time_max_us));
}

void tly_export_manifest_print(const struct tly_export_request *request, const struct tly_export_summary *summary,
                               struct tly_buffer *out) {
  static const char *const forms[] = {"raw", "ndjson", "csv"};
  json_t *manifest =
      json_pack("{s:i,s:s,s:s,s:o,s:s,s:o,s:b,s:o,s:o,s:o,s:I,s:o,s:o,s:o}", "manifest", (int)MANIFEST_FORMAT, "tally",
                TALLY_VERSION, "stream", request->stream->name, "definition", hash_text(&request->stream->hash),
                "format", forms[request->form], "columns", columns_array(request), "positions",
                (int)request->with_positions, "cut", request->cut > 0 ? json_integer(request->cut) : json_null(),
                "event_time", event_time_object(request, summary), "partitions", partitions_array(summary), "events",
                (json_int_t)summary->events, "compress", request->is_compressed ? json_string("zstd") : json_null(),
                "content", digest_object(&summary->content), "file", digest_object(&summary->file));
  char *text = manifest == NULL ? NULL : json_dumps(manifest, JSON_INDENT(2));
  TLY_ASSERT(text != NULL); /* names are valid UTF-8: the parser saw to it */
  tly_buffer_append_text(out, text);
  tly_buffer_append_byte(out, '\n');
  free(text);
  json_decref(manifest);
}
