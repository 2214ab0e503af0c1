#include "cli/backfill_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { CONTENT_BYTES = 64 << 10 };

/* ---- places ------------------------------------------------------------------------------------------------------ */

static void print_hash(XXH128_hash_t hash, char out[TLY_HASH_TEXT_SIZE]) {
  snprintf(out, TLY_HASH_TEXT_SIZE, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
}

void tly_backfill_place_print(const struct tly_backfill_place *place, char out[TLY_PLACE_TEXT_SIZE]) {
  int size =
      snprintf(out, TLY_PLACE_TEXT_SIZE, "1 %" PRId64 " %" PRIu64 " %s", place->bytes, place->lines, place->hash);
  TLY_ASSERT(size > 0 && size < TLY_PLACE_TEXT_SIZE);
}

bool tly_backfill_place_parse(const char *text, struct tly_backfill_place *out) {
  int end = 0;
  *out = (struct tly_backfill_place){0};
  int fields = sscanf(text, "1 %" SCNd64 " %" SCNu64 " %32[0-9a-f]%n", &out->bytes, &out->lines, out->hash, &end);
  return fields == 3 && text[end] == 0 && out->bytes > 0 && strlen(out->hash) == TLY_HASH_TEXT_SIZE - 1;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* What can be read of the file's beginning: one that is broken there has a content too. */
static enum tly_status read_content(struct tly_backfill_file *file, struct tly_error *error) {
  size_t size = 0;
  struct tly_error broken = TLY_ERROR_NONE;
  uint8_t *bytes = tly_malloc(CONTENT_BYTES);
  struct tly_input_stream *input = tly_input_stream_new(file->fd, file->name);
  enum tly_status status = tly_input_stream_read(input, bytes, CONTENT_BYTES, &size, &broken);
  print_hash(XXH3_128bits(bytes, size), file->content);
  tly_input_stream_free(input);
  tly_free(bytes);
  if (status != TLY_OK)
    *error = broken;
  else if (lseek(file->fd, 0, SEEK_SET) != 0)
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", file->name);
  return status;
}

static enum tly_status open_regular(struct tly_backfill_file *file, struct tly_error *error) {
  struct stat about;
  file->fd = open(file->name, O_RDONLY | O_CLOEXEC);
  if (file->fd < 0 || fstat(file->fd, &about) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "open %s", file->name);
  if (!S_ISREG(about.st_mode)) {
    (void)TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "%s is no file: it could not be read again from where it stopped",
                   file->name);
    tly_error_hint(error, "tally ingest reads anything, once.");
    return error->status;
  }
  file->size = about.st_size;
  return TLY_OK;
}

enum tly_status tly_backfill_file_open(const char *name, bool is_csv, struct tly_backfill_file *out,
                                       struct tly_error *error) {
  *out = (struct tly_backfill_file){.fd = -1, .name = name, .ends_line = true};
  enum tly_status status = open_regular(out, error);
  if (status == TLY_OK)
    status = read_content(out, error);
  if (status != TLY_OK) {
    if (out->fd >= 0)
      close(out->fd);
    return status;
  }
  tly_chunk_reader_init_exact(&out->reader, out->fd, name, is_csv, TLY_BACKFILL_BYTES);
  out->hash = XXH3_createState();
  TLY_ASSERT(out->hash != NULL);
  XXH3_128bits_reset(out->hash);
  return TLY_OK;
}

void tly_backfill_file_close(struct tly_backfill_file *file) {
  tly_chunk_reader_free(&file->reader);
  XXH3_freeState(file->hash);
  close(file->fd);
}

static void drop_ending(char *path, const char *ending) {
  size_t size = strlen(path), ending_size = strlen(ending);
  if (size > ending_size && strcmp(path + size - ending_size, ending) == 0)
    path[size - ending_size] = 0;
}

enum tly_status tly_backfill_file_import_name(const char *name, char *out, size_t size, struct tly_error *error) {
  char path[PATH_MAX];
  if (realpath(name, path) == NULL)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "open %s", name);
  drop_ending(path, ".gz");
  drop_ending(path, ".zst");
  if (strlen(path) >= size || strlen(path) > TLY_IMPORT_NAME_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "the path of %s has more than %d bytes: give --name", name,
                    TLY_IMPORT_NAME_BYTES_MAX);
  memcpy(out, path, strlen(path) + 1);
  return TLY_OK;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

enum tly_status tly_backfill_file_next(struct tly_backfill_file *file, struct tly_chunk *out,
                                       struct tly_backfill_place *place, struct tly_error *error) {
  tly_chunk_clear(out);
  TLY_TRY(tly_chunk_reader_next(&file->reader, out, error));
  if (tly_chunk_size(out) > 0) {
    const uint8_t *bytes = out->bytes.data + out->header_size;
    size_t size = out->bytes.size - out->header_size;
    XXH3_128bits_update(file->hash, bytes, size);
    file->ends_line = bytes[size - 1] == '\n';
  }
  place->bytes = file->reader.position;
  place->lines = file->reader.lines;
  print_hash(XXH3_128bits_digest(file->hash), place->hash);
  return TLY_OK;
}

enum tly_status tly_backfill_file_find(struct tly_backfill_file *file, const struct tly_backfill_place *place,
                                       enum tly_backfill_found *found, struct tly_error *error) {
  struct tly_chunk chunk;
  struct tly_backfill_place here = {0};
  enum tly_status status = TLY_OK;
  TLY_ASSERT(file->reader.position == 0);
  tly_chunk_init(&chunk);
  while (status == TLY_OK && here.bytes < place->bytes) {
    int64_t left = place->bytes - here.bytes;
    file->reader.bytes_max = left < TLY_BACKFILL_BYTES ? (size_t)left : TLY_BACKFILL_BYTES;
    status = tly_backfill_file_next(file, &chunk, &here, error);
    if (tly_chunk_size(&chunk) == 0)
      break;
  }
  tly_chunk_free(&chunk);
  file->reader.bytes_max = TLY_BACKFILL_BYTES;
  if (here.bytes < place->bytes)
    *found = TLY_BACKFILL_SHORTER;
  else
    *found =
        here.bytes == place->bytes && strcmp(here.hash, place->hash) == 0 ? TLY_BACKFILL_SAME : TLY_BACKFILL_DIFFERENT;
  return status;
}
