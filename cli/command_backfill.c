/* tally backfill: history from files into a stream, beside live traffic, and to be stopped at any moment.
 *
 * Each file is an import with a name. Its events go out in small requests, numbered 1, 2, ..., one on its way at a
 * time. A request says which place in the file is behind its events, and the archive keeps that place in the
 * transaction of the events (batch_layer/import_memory.h). So where to go on is never a guess of this program: it asks.
 * When the connection breaks, the request that was not answered is sent again under its number, and is answered again
 * if it had been stored.
 *
 * The place is checked against the file before anything is sent: the hash of all bytes before it must be the same. An
 * import is looked for by its name, and then by the file's first bytes: so a file that was moved or renamed is known,
 * and one that was changed under its name is refused.
 *
 * Why it gives way: the archiver decodes in one loop and commits in one thread, and a live event waits for what is
 * before it there and in the fold. So a request is some hundred events, and the next one is not sent before the last is
 * not only durable but folded into the live views, and then only after a rest as long as all that took. When live
 * traffic takes its time, or the fold is behind, the backfill slows down with them; its own events never queue up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/backfill_file.h"
#include "cli/command.h"
#include "cli/input_format.h"
#include "cli/progress.h"
#include "cli/token_bucket.h"
#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum {
  LISTED_MAX = 10,
  RECONNECT_MS = 60000,
  PAUSE_MS = 100,
  DEFAULT_RATE = 100000,
  RATE_MAX = 1000000000,
  REST_US_MAX = 1000000,
  FOLD_WAIT_MS = 5000
};

/* What the archive knows of an import. */
struct import {
  char name[TLY_IMPORT_NAME_BYTES_MAX + 1];
  char content[TLY_HASH_TEXT_SIZE];
  int64_t sequence; /* of the last request; 0: it has not begun */
  uint64_t accepted, rejected;
  struct tly_backfill_place place;
};

struct backfill {
  const struct tly_options *options;
  const char *stream, *format;
  tly_client *client;
  tly_client *watcher;  /* asks whether the events are folded; NULL: not connected */
  struct import import; /* of the file under way */
  struct tly_chunk chunk;
  struct tly_token_bucket bucket;
  int64_t max_rejected; /* of a file; < 0: any number */
  int64_t parts, part;  /* bytes of all files, and of those that are done */
  uint64_t accepted, rejected, resumed, sent, listed, unlisted;
  struct tly_progress progress;
};

static int64_t now_us(void) {
  return tly_clock_monotonic_us(&tly_clock_real);
}

static void rest_us(int64_t microseconds) {
  nanosleep(&(struct timespec){.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000}, NULL);
}

static bool may_retry(enum tly_status status) {
  return status == TLY_E_CONNECTION || status == TLY_E_NOT_READY;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* Send one request, with the chunk's bytes behind it if `has_bytes`, and wait for its reply. */
static enum tly_status ask_once(struct backfill *backfill, const char *line, bool has_bytes, json_t **result,
                                struct tly_error *error) {
  json_t *reply;
  if (backfill->client == NULL)
    TLY_TRY(tly_command_connect(backfill->options, &backfill->client, error));
  TLY_TRY(tly_client_send(backfill->client, line, strlen(line), error));
  TLY_TRY(tly_client_send(backfill->client, "\n", 1, error));
  if (has_bytes)
    TLY_TRY(tly_client_send(backfill->client, backfill->chunk.bytes.data, backfill->chunk.bytes.size, error));
  TLY_TRY(tly_client_receive(backfill->client, -1, &reply, error));
  enum tly_status status = TLY_OK;
  *result = json_incref(json_object_get(reply, "result"));
  if (*result == NULL)
    status = tly_client_error(reply, error);
  json_decref(reply);
  return status;
}

/* The same, again while the server is away, for RECONNECT_MS. The caller decrefs *result. */
static enum tly_status ask(struct backfill *backfill, json_t *request, bool has_bytes, json_t **result,
                           struct tly_error *error) {
  int64_t deadline = now_us() + RECONNECT_MS * INT64_C(1000);
  char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
  json_decref(request);
  if (line == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "the name of the stream, or of the import, is not valid UTF-8");
  for (;;) {
    enum tly_status status = ask_once(backfill, line, has_bytes, result, error);
    if (status == TLY_OK || !may_retry(status) || now_us() > deadline) {
      free(line);
      return status;
    }
    tly_client_close(backfill->client);
    backfill->client = NULL;
    rest_us(PAUSE_MS * INT64_C(1000));
  }
}

/* Wait until everything that was acknowledged is in the live views, as far as that can be known: while the other layers
 * are away the import goes on, the archive has it. */
static void wait_for_fold(struct backfill *backfill) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *result = NULL, *params = json_pack("{s:s,s:b}", "sql", "SELECT 1", "wait", 1);
  enum tly_status status = TLY_OK;
  if (backfill->watcher == NULL)
    status = tly_command_connect(backfill->options, &backfill->watcher, &error);
  if (status == TLY_OK)
    status = tly_client_call(backfill->watcher, "query", params, FOLD_WAIT_MS, NULL, NULL, &result, &error);
  if (status != TLY_OK) { /* a reply that comes later must not be taken for the next one */
    tly_client_close(backfill->watcher);
    backfill->watcher = NULL;
  }
  json_decref(result);
  json_decref(params);
}

static uint64_t member(const json_t *object, const char *name) {
  return (uint64_t)json_integer_value(json_object_get(object, name));
}

static enum tly_status take_import(const json_t *result, struct import *out, struct tly_error *error) {
  const char *name = json_string_value(json_object_get(result, "name"));
  const char *content = json_string_value(json_object_get(result, "content"));
  const char *place = json_string_value(json_object_get(result, "place"));
  *out = (struct import){0};
  if (name == NULL)
    return TLY_OK;
  if (content == NULL || place == NULL || strlen(content) >= sizeof out->content || strlen(name) >= sizeof out->name ||
      !tly_backfill_place_parse(place, &out->place))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                    "import \"%s\" is not one of tally backfill, or of another version: give another --name", name);
  snprintf(out->name, sizeof out->name, "%s", name);
  snprintf(out->content, sizeof out->content, "%s", content);
  out->sequence = (int64_t)member(result, "sequence");
  out->accepted = member(result, "accepted");
  out->rejected = member(result, "rejected");
  return TLY_OK;
}

/* What the archive knows of the import `name`, or of another one with this content; sequence 0: nothing. */
static enum tly_status ask_import(struct backfill *backfill, const char *name, const char *content, struct import *out,
                                  struct tly_error *error) {
  json_t *result;
  json_t *request = json_pack("{s:i,s:s,s:{s:s,s:s,s:s}}", "id", 1, "method", "import", "params", "stream",
                              backfill->stream, "name", name, "content", content);
  TLY_TRY(ask(backfill, request, false, &result, error));
  enum tly_status status = take_import(result, out, error);
  json_decref(result);
  return status;
}

/* ---- where to go on ---------------------------------------------------------------------------------------------- */

static enum tly_status fail_changed(const struct backfill *backfill, const struct tly_backfill_file *file,
                                    enum tly_backfill_found found, struct tly_error *error) {
  const struct import *import = &backfill->import;
  (void)TLY_FAIL(error, TLY_E_FILE_FORMAT, "%s %s line %llu, which import \"%s\" has reached (%llu events)", file->name,
                 found == TLY_BACKFILL_SHORTER ? "ends before" : "is not the file it was: it differs before",
                 (unsigned long long)import->place.lines, import->name,
                 (unsigned long long)(import->accepted + import->rejected));
  tly_error_hint(error, "Put the file back as it was and run the same command again; or, if these are other events, "
                        "import them all under another --name.");
  return error->status;
}

static enum tly_status begin_new(struct backfill *backfill, const char *name, const char *content) {
  backfill->import = (struct import){0};
  snprintf(backfill->import.name, sizeof backfill->import.name, "%s", name);
  snprintf(backfill->import.content, sizeof backfill->import.content, "%s", content);
  return TLY_OK;
}

/* Open `path` and go to where its import stands; a file that has its import to begin stands at its beginning. */
static enum tly_status open_at_place(struct backfill *backfill, const char *path, const char *name,
                                     struct tly_backfill_file *file, struct tly_error *error) {
  enum tly_backfill_found found = TLY_BACKFILL_SAME;
  bool is_csv = strcmp(backfill->format, "csv") == 0;
  TLY_TRY(tly_backfill_file_open(path, is_csv, file, error));
  enum tly_status status = ask_import(backfill, name, file->content, &backfill->import, error);
  bool is_own = strcmp(backfill->import.name, name) == 0;
  if (status == TLY_OK && backfill->options->name != NULL && !is_own)
    backfill->import.sequence = 0; /* whoever gives a name means it */
  if (status == TLY_OK && backfill->import.sequence == 0)
    return begin_new(backfill, name, file->content);
  if (status == TLY_OK)
    status = tly_backfill_file_find(file, &backfill->import.place, &found, error);
  if (status == TLY_OK && found == TLY_BACKFILL_SAME)
    return TLY_OK;
  if (status == TLY_OK && is_own)
    status = fail_changed(backfill, file, found, error);
  tly_backfill_file_close(file);
  if (status != TLY_OK)
    return status;
  TLY_TRY(tly_backfill_file_open(path, is_csv, file, error)); /* it only begins like another one */
  return begin_new(backfill, name, file->content);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void list_rejections(struct backfill *backfill, const char *file, const json_t *result) {
  size_t i;
  json_t *item;
  json_array_foreach(json_object_get(result, "errors"), i, item) {
    if (backfill->listed == LISTED_MAX)
      break;
    backfill->listed++;
    tly_progress_end(&backfill->progress);
    uint64_t line = backfill->chunk.first_line + member(item, "line");
    fprintf(stderr, "%s:%llu: rejected: %s (SQLSTATE %s)\n", file, (unsigned long long)line,
            json_string_value(json_object_get(item, "message")), json_string_value(json_object_get(item, "sqlstate")));
  }
}

static enum tly_status check_rejected(const struct backfill *backfill, const char *file, struct tly_error *error) {
  if (backfill->max_rejected < 0 || backfill->import.rejected <= (uint64_t)backfill->max_rejected)
    return TLY_OK;
  (void)TLY_FAIL(error, TLY_E_TOO_MANY, "%s: %llu lines are rejected, more than --max-rejected %lld", file,
                 (unsigned long long)backfill->import.rejected, (long long)backfill->max_rejected);
  tly_error_hint(error, "What was imported stays. The same command with a larger --max-rejected goes on.");
  return error->status;
}

/* Send the chunk as the import's next request; it is durable when this returns TLY_OK. */
static enum tly_status send_chunk(struct backfill *backfill, const struct tly_backfill_place *place, const char *file,
                                  struct tly_error *error) {
  struct import *import = &backfill->import;
  char place_text[TLY_PLACE_TEXT_SIZE];
  json_t *result;
  tly_backfill_place_print(place, place_text);
  json_t *request =
      json_pack("{s:I,s:s,s:{s:s,s:I,s:I,s:s,s:{s:s,s:s,s:s}}}", "id", (json_int_t)import->sequence + 1, "method",
                "ingest", "params", "stream", backfill->stream, "bytes", (json_int_t)tly_chunk_size(&backfill->chunk),
                "sequence", (json_int_t)import->sequence + 1, "format", backfill->format, "import", "name",
                import->name, "content", import->content, "place", place_text);
  int64_t sent_us = now_us();
  TLY_TRY(ask(backfill, request, true, &result, error));
  uint64_t accepted = member(result, "accepted"), rejected = member(result, "rejected");
  import->sequence++;
  import->place = *place;
  import->accepted += accepted;
  import->rejected += rejected;
  backfill->sent += accepted + rejected;
  backfill->unlisted += rejected;
  list_rejections(backfill, file, result);
  json_decref(result);
  tly_token_bucket_spend(&backfill->bucket, (int64_t)(accepted + rejected), sent_us);
  wait_for_fold(backfill);
  int64_t took_us = now_us() - sent_us;
  rest_us(took_us < REST_US_MAX ? took_us : REST_US_MAX);
  return check_rejected(backfill, file, error);
}

/* A last line without its end was imported as it was; now it has become longer. */
static enum tly_status fail_longer_line(const struct tly_backfill_file *file, const struct import *import,
                                        struct tly_error *error) {
  (void)TLY_FAIL(error, TLY_E_FILE_FORMAT,
                 "%s: line %llu was imported when it was the last one, without its end, and "
                 "goes on now",
                 file->name, (unsigned long long)import->place.lines + 1);
  tly_error_hint(error, "Put a line end behind what it was, and run the same command again.");
  return error->status;
}

static enum tly_status send_rest(struct backfill *backfill, struct tly_backfill_file *file, struct tly_error *error) {
  struct tly_backfill_place place;
  bool ends_line = file->ends_line;
  for (;;) {
    TLY_TRY(tly_backfill_file_next(file, &backfill->chunk, &place, error));
    if (tly_chunk_size(&backfill->chunk) == 0)
      return TLY_OK;
    if (!ends_line && backfill->chunk.bytes.data[backfill->chunk.header_size] != '\n')
      return fail_longer_line(file, &backfill->import, error);
    ends_line = true;
    rest_us(tly_token_bucket_wait_us(&backfill->bucket, now_us()));
    TLY_TRY(send_chunk(backfill, &place, file->name, error));
    tly_progress_show_parts(&backfill->progress, "backfill",
                            backfill->part + tly_input_stream_taken(file->reader.input), backfill->parts,
                            backfill->sent, "events");
  }
}

static enum tly_status set_format(struct backfill *backfill, const char *path, struct tly_error *error) {
  backfill->format = backfill->options->format_text;
  if (backfill->format == NULL)
    backfill->format = tly_input_format_of_name(path);
  if (backfill->format != NULL)
    return TLY_OK;
  if (backfill->client == NULL)
    TLY_TRY(tly_command_connect(backfill->options, &backfill->client, error));
  return tly_input_format_of_stream(backfill->client, backfill->stream, &backfill->format, error);
}

static enum tly_status import_file(struct backfill *backfill, const char *path, struct tly_error *error) {
  struct tly_backfill_file file;
  char own_name[TLY_IMPORT_NAME_BYTES_MAX + 1];
  const char *name = backfill->options->name;
  TLY_TRY(set_format(backfill, path, error));
  if (name == NULL)
    TLY_TRY(tly_backfill_file_import_name(path, own_name, sizeof own_name, error));
  TLY_TRY(open_at_place(backfill, path, name != NULL ? name : own_name, &file, error));
  backfill->resumed += backfill->import.accepted + backfill->import.rejected;
  enum tly_status status = check_rejected(backfill, path, error);
  if (status == TLY_OK)
    status = send_rest(backfill, &file, error);
  backfill->accepted += backfill->import.accepted;
  backfill->rejected += backfill->import.rejected;
  backfill->part += file.size;
  if (status == TLY_E_FILE_FORMAT || status == TLY_E_CHARACTER_NOT_IN_REPERTOIRE)
    fprintf(stderr,
            "tally backfill: %s stops behind line %llu; what stands before it is imported. When the file is "
            "repaired, the same command goes on there.\n",
            path, (unsigned long long)backfill->import.place.lines);
  tly_backfill_file_close(&file);
  return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* A whole number from `minimum` on; false when the text is none. */
static bool take_number(const char *text, int64_t minimum, int64_t *out) {
  char *end;
  if (text == NULL)
    return true;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  *out = value;
  return *text != 0 && *end == 0 && errno == 0 && value >= minimum && value <= RATE_MAX;
}

static int fail_usage(const char *words) {
  fprintf(stderr, "tally backfill: %s\n", words);
  return TLY_EXIT_USAGE;
}

static int check_options(const struct tly_options *options, int64_t *rate, int64_t *max_rejected) {
  if (options->format_text != NULL && options->format != TLY_OUTPUT_CSV && options->format != TLY_OUTPUT_JSON)
    return fail_usage("--format is json or csv");
  if (!take_number(options->rate, 1, rate))
    return fail_usage("--rate is a whole number of events a second, from 1 to 1000000000");
  if (!take_number(options->max_rejected, 0, max_rejected))
    return fail_usage("--max-rejected is a whole number, from 0 to 1000000000");
  if (options->name != NULL && options->argument_count != 2)
    return fail_usage("--name is for one file");
  if (options->name != NULL && (*options->name == 0 || strlen(options->name) > TLY_IMPORT_NAME_BYTES_MAX))
    return fail_usage("--name has 1 to 1024 bytes");
  return TLY_EXIT_OK;
}

/* All files, before the first is begun: a wrong name among many must not be found after hours. */
static enum tly_status look_at_files(struct backfill *backfill, struct tly_error *error) {
  struct stat about;
  for (int i = 1; i < backfill->options->argument_count; i++) {
    if (stat(backfill->options->arguments[i], &about) != 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "open %s", backfill->options->arguments[i]);
    backfill->parts += about.st_size;
  }
  return TLY_OK;
}

static enum tly_status import_all(struct backfill *backfill, struct tly_error *error) {
  TLY_TRY(look_at_files(backfill, error));
  for (int i = 1; i < backfill->options->argument_count; i++)
    TLY_TRY(import_file(backfill, backfill->options->arguments[i], error));
  return TLY_OK;
}

static void print_outcome(const struct backfill *backfill, enum tly_status status) {
  uint64_t all = backfill->accepted + backfill->rejected;
  if (status == TLY_OK && backfill->sent == 0 && all > 0)
    printf("already imported: %llu events\n", (unsigned long long)backfill->accepted);
  else
    printf("imported %llu, rejected %llu, resumed at %llu\n", (unsigned long long)backfill->accepted,
           (unsigned long long)backfill->rejected, (unsigned long long)backfill->resumed);
}

int tly_command_backfill(struct tly_options *options) {
  int64_t rate = DEFAULT_RATE;
  struct backfill backfill = {.options = options, .stream = options->arguments[0], .max_rejected = -1};
  struct tly_error error = TLY_ERROR_NONE;
  int usage = check_options(options, &rate, &backfill.max_rejected);
  if (usage != TLY_EXIT_OK)
    return usage;
  tly_chunk_init(&backfill.chunk);
  tly_token_bucket_init(&backfill.bucket, rate, now_us());
  tly_progress_start(&backfill.progress);
  enum tly_status status = import_all(&backfill, &error);
  tly_progress_end(&backfill.progress);
  tly_client_close(backfill.client);
  tly_client_close(backfill.watcher);
  tly_chunk_free(&backfill.chunk);
  if (backfill.unlisted > backfill.listed)
    fprintf(stderr, "... and %llu more rejected\n", (unsigned long long)(backfill.unlisted - backfill.listed));
  int code = status == TLY_OK ? TLY_EXIT_OK : tly_command_fail(&error);
  print_outcome(&backfill, status);
  return code;
}
