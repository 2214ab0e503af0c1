/* tally ingest: files into a stream, each event once, whatever happens to the server meanwhile.
 *
 * The input is cut into bulks of whole events, numbered 1, 2, ... under a producer name that is random for this
 * invocation. Up to WINDOW bulks are on their way at once; each is kept until it is acknowledged. When the connection
 * breaks (the server was killed, restarted), the client connects again and sends everything that was not acknowledged
 * once more: the archive knows the last sequence of each producer and acknowledges a repeat without appending it.
 * What is kept of a bulk from a regular file is its place there. It is read and sent in pieces that stay in the
 * processor's cache between the two: with larger ones each byte would come from memory twice.
 *
 * INVARIANT: window[0 .. count) holds sequences next_sequence - count .. next_sequence - 1, in order. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cli/chunk_reader.h"
#include "cli/command.h"
#include "cli/input_format.h"
#include "cli/progress.h"
#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

enum { WINDOW = 4, LISTED_MAX = 10, RECONNECT_MS = 60000, PAUSE_MS = 100, PIECE_BYTES = 128 << 10 };

struct ingest {
  const struct tly_options *options;
  const char *stream;
  const char *format; /* NULL: the stream's own */
  char producer[40];
  tly_client *client;
  struct tly_chunk window[WINDOW];
  const char *window_files[WINDOW];
  int count;
  int64_t next_sequence;
  uint64_t accepted, rejected, listed;
  uint8_t *piece; /* PIECE_BYTES */
  struct tly_progress progress;
};

static void make_producer(struct ingest *ingest) {
  uint64_t random[2];
  TLY_ASSERT(getrandom(random, sizeof random, 0) == sizeof random);
  snprintf(ingest->producer, sizeof ingest->producer, "ingest-%016llx%016llx", (unsigned long long)random[0],
           (unsigned long long)random[1]);
}

static enum tly_status send_bytes(struct ingest *ingest, int slot, struct tly_error *error) {
  const struct tly_chunk *chunk = &ingest->window[slot];
  for (int64_t done = 0; done < tly_chunk_size(chunk);) {
    const uint8_t *bytes;
    size_t size;
    TLY_TRY(tly_chunk_read(chunk, ingest->window_files[slot], done, ingest->piece, PIECE_BYTES, &bytes, &size, error));
    TLY_TRY(tly_client_send(ingest->client, bytes, size, error));
    done += (int64_t)size;
  }
  return TLY_OK;
}

static enum tly_status send_chunk(struct ingest *ingest, int slot, struct tly_error *error) {
  int64_t sequence = ingest->next_sequence - ingest->count + slot;
  json_t *request =
      json_pack("{s:I,s:s,s:{s:s,s:I,s:s,s:I,s:s*}}", "id", (json_int_t)sequence, "method", "ingest", "params",
                "stream", ingest->stream, "bytes", (json_int_t)tly_chunk_size(&ingest->window[slot]), "producer",
                ingest->producer, "sequence", (json_int_t)sequence, "format", ingest->format);
  char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
  json_decref(request);
  if (line == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "the stream's name is not valid UTF-8");
  enum tly_status status = tly_client_send(ingest->client, line, strlen(line), error);
  free(line);
  if (status == TLY_OK)
    status = tly_client_send(ingest->client, "\n", 1, error);
  if (status == TLY_OK)
    status = send_bytes(ingest, slot, error);
  return status;
}

static void list_rejections(struct ingest *ingest, const json_t *errors) {
  size_t i;
  json_t *item;
  if (json_array_size(errors) == 0 || ingest->listed == LISTED_MAX)
    return;
  uint64_t first_line = tly_chunk_first_line(&ingest->window[0]);
  json_array_foreach(errors, i, item) {
    if (ingest->listed == LISTED_MAX)
      return;
    ingest->listed++;
    tly_progress_end(&ingest->progress);
    fprintf(stderr, "%s:%llu: rejected: %s (SQLSTATE %s)\n", ingest->window_files[0],
            (unsigned long long)first_line + (unsigned long long)json_integer_value(json_object_get(item, "line")),
            json_string_value(json_object_get(item, "message")), json_string_value(json_object_get(item, "sqlstate")));
  }
}

/* The oldest bulk is acknowledged: forget it. */
static void drop_oldest(struct ingest *ingest) {
  struct tly_chunk oldest = ingest->window[0];
  memmove(ingest->window, ingest->window + 1, sizeof ingest->window[0] * (WINDOW - 1));
  memmove(ingest->window_files, ingest->window_files + 1, sizeof ingest->window_files[0] * (WINDOW - 1));
  tly_chunk_clear(&oldest);
  ingest->window[WINDOW - 1] = oldest; /* its memory is used again */
  ingest->count--;
}

static enum tly_status receive_one(struct ingest *ingest, struct tly_error *error) {
  json_t *reply;
  TLY_TRY(tly_client_receive(ingest->client, -1, &reply, error));
  enum tly_status status = TLY_OK;
  const json_t *result = json_object_get(reply, "result");
  if (result == NULL) {
    status = tly_client_error(reply, error);
  } else {
    ingest->accepted += (uint64_t)json_integer_value(json_object_get(result, "accepted"));
    ingest->rejected += (uint64_t)json_integer_value(json_object_get(result, "rejected"));
    list_rejections(ingest, json_object_get(result, "errors"));
    drop_oldest(ingest);
    tly_progress_show(&ingest->progress, "ingest", ingest->accepted + ingest->rejected, 0, "events");
  }
  json_decref(reply);
  return status;
}

static bool may_retry(enum tly_status status) {
  return status == TLY_E_CONNECTION || status == TLY_E_NOT_READY;
}

/* Connect, again if need be, and send what was not acknowledged once more. Gives up after RECONNECT_MS. */
static enum tly_status reconnect(struct ingest *ingest, struct tly_error *error) {
  int64_t deadline = tly_clock_monotonic_us(&tly_clock_real) + RECONNECT_MS * INT64_C(1000);
  for (;;) {
    tly_client_close(ingest->client);
    ingest->client = NULL;
    enum tly_status status = tly_command_connect(ingest->options, &ingest->client, error);
    for (int slot = 0; status == TLY_OK && slot < ingest->count; slot++)
      status = send_chunk(ingest, slot, error);
    if (status == TLY_OK || !may_retry(status) || tly_clock_monotonic_us(&tly_clock_real) > deadline)
      return status;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
  }
}

/* Wait until at most `left` bulks are on their way. */
static enum tly_status settle(struct ingest *ingest, int left, struct tly_error *error) {
  int64_t deadline = 0;
  int before = ingest->count;
  while (ingest->count > left) {
    enum tly_status status = receive_one(ingest, error);
    if (status == TLY_OK || !may_retry(status)) {
      if (status != TLY_OK)
        return status;
      continue;
    }
    int64_t now = tly_clock_monotonic_us(&tly_clock_real);
    if (deadline == 0 || ingest->count < before)
      deadline = now + RECONNECT_MS * INT64_C(1000);
    before = ingest->count;
    if (now > deadline)
      return status;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    TLY_TRY(reconnect(ingest, error));
  }
  return TLY_OK;
}

static enum tly_status push_chunk(struct ingest *ingest, const char *file, struct tly_error *error) {
  ingest->window_files[ingest->count] = file;
  ingest->count++;
  ingest->next_sequence++;
  enum tly_status status = send_chunk(ingest, ingest->count - 1, error);
  return may_retry(status) ? reconnect(ingest, error) : status;
}

static enum tly_status ingest_file(struct ingest *ingest, const char *name, int fd, struct tly_error *error) {
  struct tly_chunk_reader reader;
  enum tly_status status = TLY_OK;
  ingest->format = ingest->options->format_text;
  if (ingest->format == NULL)
    ingest->format = tly_input_format_of_name(name);
  if (ingest->format == NULL) {
    TLY_TRY(settle(ingest, 0, error)); /* replies come in order: none may be on its way */
    TLY_TRY(tly_input_format_of_stream(ingest->client, ingest->stream, &ingest->format, error));
  }
  tly_chunk_reader_init(&reader, fd, name, strcmp(ingest->format, "csv") == 0);
  while (status == TLY_OK) {
    status = settle(ingest, WINDOW - 1, error);
    if (status == TLY_OK)
      status = tly_chunk_reader_next(&reader, &ingest->window[ingest->count], error);
    if (status != TLY_OK || tly_chunk_size(&ingest->window[ingest->count]) == 0)
      break;
    status = push_chunk(ingest, name, error);
  }
  tly_chunk_reader_free(&reader);
  return status;
}

static enum tly_status ingest_all(struct ingest *ingest, struct tly_error *error) {
  const struct tly_options *options = ingest->options;
  TLY_TRY(tly_command_connect(options, &ingest->client, error));
  if (options->argument_count == 1)
    TLY_TRY(ingest_file(ingest, "stdin", STDIN_FILENO, error));
  for (int i = 1; i < options->argument_count; i++) {
    const char *name = options->arguments[i];
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "open %s", name);
    enum tly_status status = ingest_file(ingest, name, fd, error);
    if (!is_stdin)
      close(fd);
    TLY_TRY(status);
  }
  return settle(ingest, 0, error);
}

int tly_command_ingest(struct tly_options *options) {
  struct ingest ingest = {.options = options, .stream = options->arguments[0], .next_sequence = 1};
  struct tly_error error = TLY_ERROR_NONE;
  if (options->format_text != NULL && options->format != TLY_OUTPUT_CSV && options->format != TLY_OUTPUT_JSON) {
    fprintf(stderr, "tally ingest: --format is json or csv\n");
    return TLY_EXIT_USAGE;
  }
  make_producer(&ingest);
  ingest.piece = tly_malloc(PIECE_BYTES);
  for (int slot = 0; slot < WINDOW; slot++)
    tly_chunk_init(&ingest.window[slot]);
  tly_progress_start(&ingest.progress);
  enum tly_status status = ingest_all(&ingest, &error);
  tly_progress_end(&ingest.progress);
  tly_client_close(ingest.client);
  for (int slot = 0; slot < WINDOW; slot++)
    tly_chunk_free(&ingest.window[slot]);
  tly_free(ingest.piece);
  if (ingest.rejected > ingest.listed)
    fprintf(stderr, "... and %llu more rejected\n", (unsigned long long)(ingest.rejected - ingest.listed));
  int code = status == TLY_OK ? TLY_EXIT_OK : tly_command_fail(&error);
  printf("ingested %llu, rejected %llu\n", (unsigned long long)ingest.accepted, (unsigned long long)ingest.rejected);
  return code;
}
