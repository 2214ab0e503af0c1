#include "batch_layer/job_decoder.h"

#include <string.h>

#include "common/archive/json_walk.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/event/decoder.h"
#include "common/value/value.h"
#include "common/wire/request.h"

enum {
  JOBS_KEPT = 5,                /* what one fast client has on its way; each may hold a bulk and its columns */
  DECODED_BYTES_MAX = 512 << 20 /* of one request's columns: a million events of a hundred columns do not fit memory */
};

struct tly_job_decoder {
  const struct tly_project *project;
  tly_decoder **json; /* one a stream, so that what it learned stays */
  struct tly_archive_job *kept[JOBS_KEPT];
  uint32_t kept_count;
};

struct tly_job_decoder *tly_job_decoder_new(const struct tly_project *project) {
  struct tly_job_decoder *decoder = tly_calloc(1, sizeof *decoder);
  decoder->project = project;
  decoder->json = tly_calloc(project->stream_count + 1, sizeof(tly_decoder *));
  return decoder;
}

void tly_job_decoder_trim(struct tly_job_decoder *decoder) {
  while (decoder->kept_count > 0)
    tly_archive_job_free(decoder->kept[--decoder->kept_count]);
}

void tly_job_decoder_free(struct tly_job_decoder *decoder) {
  tly_job_decoder_trim(decoder);
  for (uint32_t s = 0; s < decoder->project->stream_count; s++)
    tly_decoder_free(decoder->json[s]);
  tly_free(decoder->json);
  tly_free(decoder);
}

struct tly_archive_job *tly_job_decoder_job(struct tly_job_decoder *decoder) {
  return decoder->kept_count > 0 ? decoder->kept[--decoder->kept_count] : tly_archive_job_new(TLY_JOB_INGEST);
}

void tly_job_decoder_recycle(struct tly_job_decoder *decoder, struct tly_archive_job *job) {
  if (job->kind != TLY_JOB_INGEST || decoder->kept_count == JOBS_KEPT || job->batch_capacity > 4) {
    tly_archive_job_free(job);
    return;
  }
  tly_archive_job_reset(job);
  decoder->kept[decoder->kept_count++] = job;
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

static enum tly_status set_format(const char *name, struct tly_archive_job *job, struct tly_error *error) {
  job->format = job->stream->format;
  if (name == NULL)
    return TLY_OK;
  if (strcmp(name, "json") == 0)
    job->format = TLY_FORMAT_JSON;
  else if (strcmp(name, "csv") == 0)
    job->format = TLY_FORMAT_CSV;
  else
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "format \"%s\" is not known; there are json and csv", name);
  return TLY_OK;
}

static enum tly_status set_producer(const json_t *params, struct tly_archive_job *job, struct tly_error *error) {
  enum { PRODUCER_BYTES_MAX = 256 };
  const char *producer = NULL;
  TLY_TRY(tly_param_text(params, "producer", &producer, error));
  if (producer == NULL)
    return TLY_OK;
  if (strlen(producer) == 0 || strlen(producer) > PRODUCER_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "a producer's name has 1 to %d bytes", PRODUCER_BYTES_MAX);
  job->sequence = -1;
  TLY_TRY(tly_param_integer(params, "sequence", &job->sequence, error));
  if (job->sequence < 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "a request with \"producer\" needs a \"sequence\" of 0 or more");
  tly_free(job->producer);
  job->producer = tly_strdup(producer);
  return TLY_OK;
}

static enum tly_status take_word(const json_t *object, const char *name, size_t size_max, char **out,
                                 struct tly_error *error) {
  const char *word = NULL;
  TLY_TRY(tly_param_text(object, name, &word, error));
  if (word == NULL || *word == 0 || strlen(word) > size_max)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "an import needs a \"%s\" of 1 to %zu bytes", name, size_max);
  tly_free(*out);
  *out = tly_strdup(word);
  return TLY_OK;
}

static enum tly_status set_import(const json_t *params, struct tly_archive_job *job, struct tly_error *error) {
  const json_t *import = json_object_get(params, "import");
  if (import == NULL)
    return TLY_OK;
  if (!json_is_object(import) || job->producer != NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"import\" is an object, and stands in the place of \"producer\"");
  job->sequence = -1;
  TLY_TRY(tly_param_integer(params, "sequence", &job->sequence, error));
  if (job->sequence < 1)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "a request with \"import\" needs a \"sequence\" of 1 or more");
  TLY_TRY(take_word(import, "name", TLY_IMPORT_NAME_BYTES_MAX, &job->import_name, error));
  TLY_TRY(take_word(import, "content", TLY_IMPORT_PLACE_BYTES_MAX, &job->import_content, error));
  return take_word(import, "place", TLY_IMPORT_PLACE_BYTES_MAX, &job->import_place, error);
}

static enum tly_status set_stream(const struct tly_project *project, const json_t *params, struct tly_archive_job *job,
                                  struct tly_error *error) {
  const char *stream = NULL;
  TLY_TRY(tly_param_text(params, "stream", &stream, error));
  if (stream == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "ingest needs a \"stream\"");
  job->stream = tly_project_stream(project, stream);
  if (job->stream == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "stream \"%s\" does not exist", stream);
  if (job->stream->server != NULL && job->stream->server->wrapper != TLY_WRAPPER_EMBEDDED)
    return TLY_FAIL(error, TLY_E_WRONG_OBJECT_TYPE, "stream \"%s\" is filled from server \"%s\", not by ingest", stream,
                    job->stream->server->name);
  return TLY_OK;
}

enum tly_status tly_job_decoder_set_import_question(struct tly_job_decoder *decoder, const json_t *params,
                                                    struct tly_archive_job *job, struct tly_error *error) {
  TLY_TRY(set_stream(decoder->project, params, job, error));
  TLY_TRY(take_word(params, "name", TLY_IMPORT_NAME_BYTES_MAX, &job->import_name, error));
  return take_word(params, "content", TLY_IMPORT_PLACE_BYTES_MAX, &job->import_content, error);
}

enum tly_status tly_job_decoder_set_parameters(struct tly_job_decoder *decoder, const json_t *params,
                                               struct tly_archive_job *job, struct tly_error *error) {
  const char *format = NULL;
  TLY_TRY(set_stream(decoder->project, params, job, error));
  TLY_TRY(tly_param_text(params, "format", &format, error));
  TLY_TRY(set_format(format, job, error));
  TLY_TRY(set_producer(params, job, error));
  return set_import(params, job, error);
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

static tly_decoder *json_decoder(struct tly_job_decoder *decoder, const struct tly_stream *stream) {
  size_t s = (size_t)(stream - decoder->project->streams);
  TLY_ASSERT(s < decoder->project->stream_count);
  if (decoder->json[s] == NULL)
    decoder->json[s] = tly_decoder_new(stream, TLY_FORMAT_JSON);
  return decoder->json[s];
}

struct listed {
  uint64_t rejected;
  uint32_t count;
  struct tly_buffer text; /* of "errors" */
};

static void list_rejections(struct listed *listed, const struct tly_event_batch *batch) {
  listed->rejected += batch->rejection_count;
  for (uint32_t i = 0; i < batch->rejection_listed && listed->count < TLY_REJECTIONS_LISTED; i++, listed->count++) {
    const struct tly_rejection *rejection = &batch->rejections[i];
    tly_buffer_print(&listed->text, "%s{\"line\":%llu,\"sqlstate\":\"%s\",\"message\":", listed->count == 0 ? "" : ",",
                     (unsigned long long)rejection->line, tly_status_sqlstate(rejection->status));
    tly_json_print_text(rejection->message, strlen(rejection->message), &listed->text);
    tly_buffer_append_byte(&listed->text, '}');
  }
}

static enum tly_status decode_all(tly_decoder *decoder, struct tly_archive_job *job, struct listed *listed,
                                  struct tly_error *error) {
  const char *bytes = (const char *)job->payload.data;
  uint64_t line = 0;
  for (size_t done = 0; done < job->payload.size;) {
    struct tly_event_batch *batch = tly_archive_job_add_batch(job);
    size_t consumed = 0;
    uint64_t lines = 0;
    TLY_TRY(tly_decoder_decode(decoder, bytes + done, job->payload.size - done, line, batch, &consumed, &lines, error));
    TLY_ASSERT(consumed > 0);
    done += consumed;
    line += lines;
    job->event_count += batch->count;
    job->bytes += batch->arena.allocated_bytes;
    list_rejections(listed, batch);
    if (job->bytes > DECODED_BYTES_MAX)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "the request has too many events; send smaller ones");
  }
  return TLY_OK;
}

static void copy_header(const tly_decoder *decoder, struct tly_archive_job *job) {
  size_t size;
  const char *header = tly_decoder_header(decoder, &size);
  if (header != NULL)
    tly_buffer_append(&job->header, header, size);
}

enum tly_status tly_job_decoder_decode(struct tly_job_decoder *decoder, struct tly_archive_job *job,
                                       struct tly_error *error) {
  struct listed listed = {0};
  bool is_csv = job->format == TLY_FORMAT_CSV;
  tly_decoder *bytes_decoder =
      is_csv ? tly_decoder_new(job->stream, TLY_FORMAT_CSV) : json_decoder(decoder, job->stream);
  job->bytes = job->payload.capacity;
  enum tly_status status = decode_all(bytes_decoder, job, &listed, error);
  if (status == TLY_OK) {
    tly_buffer_print(&job->result, "{\"accepted\":%llu,\"rejected\":%llu,\"errors\":[",
                     (unsigned long long)job->event_count, (unsigned long long)listed.rejected);
    tly_buffer_append(&job->result, listed.text.data, listed.text.size);
    tly_buffer_append_text(&job->result, "]}");
    job->rejected_count = listed.rejected;
  }
  if (is_csv) {
    copy_header(bytes_decoder, job);
    tly_decoder_free(bytes_decoder);
  }
  tly_buffer_free(&listed.text);
  return status;
}

/* ---- events in the request line ---------------------------------------------------------------------------------- */

static bool find_member(struct tly_json_walk *walk, const char *name) {
  struct tly_text member;
  if (!tly_json_enter_object(walk))
    return false;
  while (tly_json_next_member(walk, &member)) {
    if (tly_text_equal(member, tly_text_of(name)))
      return true;
    (void)tly_json_skip_value(walk);
  }
  return false;
}

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t'))
    at++;
  return at;
}

static bool split_elements(struct tly_json_walk *walk, struct tly_buffer *events) {
  if (!tly_json_enter_array(walk))
    return false;
  while (tly_json_next_element(walk)) {
    struct tly_text element = tly_json_skip_value(walk);
    const char *behind = skip_space(walk->next, walk->end);
    if (element.size == 0 || behind == walk->end || (*behind != ',' && *behind != ']'))
      return false;
    tly_buffer_append(events, element.data, element.size);
    tly_buffer_append_byte(events, '\n');
    if (*behind == ',' && (behind = skip_space(behind + 1, walk->end)) < walk->end &&
        (*behind == ']' || *behind == ','))
      return false;
  }
  return walk->next[-1] == ']';
}

bool tly_events_extract(const char *line, size_t size, struct tly_buffer *events, struct tly_buffer *stripped) {
  struct tly_json_walk walk = {.next = line, .end = line + size};
  if (!find_member(&walk, "params") || !find_member(&walk, "events"))
    return false;
  const char *start = walk.next;
  if (!split_elements(&walk, events))
    return false;
  tly_buffer_append(stripped, line, (size_t)(start - line));
  tly_buffer_append_text(stripped, "[]");
  tly_buffer_append(stripped, walk.next, (size_t)(line + size - walk.next));
  return true;
}
