#include "cli/chunk_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/value/text.h"

enum {
  CHUNK_BYTES = 1 << 20,
  RANGE_BYTES = 4 << 20,  /* larger: a range takes no memory here, and a bulk is a block of the archive there */
  READ_BYTES = 256 << 10, /* how much of a long event is read on at once */
  SCAN_BYTES = 64 << 10
};

_Static_assert(RANGE_BYTES < TLY_BULK_BYTES_MAX - TLY_LINE_BYTES_MAX, "a range and one more event is a bulk");

/* A file whose bytes can be read again. Those of /proc say that they are empty, and are not. */
static bool is_seekable(int fd, int64_t *begin) {
  struct stat about;
  *begin = lseek(fd, 0, SEEK_CUR);
  return fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0 && *begin >= 0;
}

void tly_chunk_reader_init(struct tly_chunk_reader *reader, int fd, const char *name, bool is_csv) {
  tly_chunk_reader_init_exact(reader, fd, name, is_csv, CHUNK_BYTES);
  reader->is_exact = false;
  reader->is_regular = !is_csv && is_seekable(fd, &reader->begin) && !tly_input_is_compressed(fd, reader->begin);
  reader->next = reader->begin;
}

void tly_chunk_reader_init_exact(struct tly_chunk_reader *reader, int fd, const char *name, bool is_csv,
                                 size_t bytes_max) {
  *reader =
      (struct tly_chunk_reader){.fd = fd, .name = name, .is_csv = is_csv, .is_exact = true, .bytes_max = bytes_max};
  reader->input = tly_input_stream_new(fd, name);
}

void tly_chunk_reader_free(struct tly_chunk_reader *reader) {
  tly_input_stream_free(reader->input);
  tly_buffer_free(&reader->header);
  tly_buffer_free(&reader->pending);
  tly_buffer_free(&reader->scan_room);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

void tly_chunk_init(struct tly_chunk *chunk) {
  *chunk = (struct tly_chunk){.fd = -1};
}

void tly_chunk_clear(struct tly_chunk *chunk) {
  if (chunk->fd >= 0)
    close(chunk->fd);
  chunk->fd = -1;
  chunk->size = 0;
  chunk->header_size = 0;
  tly_buffer_clear(&chunk->bytes);
}

void tly_chunk_free(struct tly_chunk *chunk) {
  tly_chunk_clear(chunk);
  tly_buffer_free(&chunk->bytes);
}

int64_t tly_chunk_size(const struct tly_chunk *chunk) {
  return chunk->fd >= 0 ? chunk->size : (int64_t)chunk->bytes.size;
}

static ssize_t read_at(int fd, void *into, size_t size, int64_t offset) {
  ssize_t got;
  do
    got = pread(fd, into, size, offset);
  while (got < 0 && errno == EINTR);
  return got;
}

enum tly_status tly_chunk_read(const struct tly_chunk *chunk, const char *name, int64_t done, uint8_t *into,
                               size_t room, const uint8_t **bytes, size_t *size, struct tly_error *error) {
  int64_t left = tly_chunk_size(chunk) - done;
  TLY_ASSERT(done >= 0 && left > 0);
  *size = left < (int64_t)room ? (size_t)left : room;
  if (chunk->fd < 0) {
    *bytes = chunk->bytes.data + done;
    return TLY_OK;
  }
  ssize_t got = read_at(chunk->fd, into, *size, chunk->start + done);
  if (got < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", name);
  if (got == 0)
    return TLY_FAIL(error, TLY_E_IO, "%s has become shorter while it was read", name);
  *bytes = into;
  *size = (size_t)got;
  return TLY_OK;
}

static uint64_t count_lines(const uint8_t *data, size_t size) {
  uint64_t lines = 0;
  const uint8_t *end = data + size;
  while (data < end && (data = memchr(data, '\n', (size_t)(end - data))) != NULL) {
    lines++;
    data++;
  }
  return lines;
}

uint64_t tly_chunk_first_line(const struct tly_chunk *chunk) {
  static uint8_t room[SCAN_BYTES];
  uint64_t lines = 0;
  if (chunk->fd < 0)
    return chunk->first_line;
  for (int64_t at = chunk->begin; at < chunk->start;) {
    int64_t left = chunk->start - at;
    ssize_t got = read_at(chunk->fd, room, left < SCAN_BYTES ? (size_t)left : SCAN_BYTES, at);
    if (got <= 0)
      break; /* the number is for a message only */
    lines += count_lines(room, (size_t)got);
    at += got;
  }
  return lines;
}

/* ---- ranges of a file -------------------------------------------------------------------------------------------- */

static enum tly_status fail_long_event(const struct tly_chunk_reader *reader, uint64_t lines, struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_TOO_LARGE, "%s: an event after line %llu is over %d bytes", reader->name,
                  (unsigned long long)lines, TLY_LINE_BYTES_MAX);
}

static enum tly_status scan(struct tly_chunk_reader *reader, int64_t from, int64_t to, const uint8_t **bytes,
                            struct tly_error *error) {
  size_t size = (size_t)(to - from), done = 0;
  uint8_t *room = tly_buffer_reserve(&reader->scan_room, size);
  *bytes = room;
  while (done < size) {
    ssize_t got = read_at(reader->fd, room + done, size - done, from + (int64_t)done);
    if (got < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", reader->name);
    if (got == 0)
      return TLY_FAIL(error, TLY_E_IO, "%s has become shorter while it was read", reader->name);
    done += (size_t)got;
  }
  return TLY_OK;
}

/* The end of the last line that ends in [from, to), or `from`. */
static enum tly_status last_line_end(struct tly_chunk_reader *reader, int64_t from, int64_t to, int64_t *out,
                                     struct tly_error *error) {
  const uint8_t *bytes = NULL;
  *out = from;
  while (to > from) {
    int64_t start = to - from > SCAN_BYTES ? to - SCAN_BYTES : from;
    TLY_TRY(scan(reader, start, to, &bytes, error));
    const uint8_t *end = memrchr(bytes, '\n', (size_t)(to - start));
    if (end != NULL) {
      *out = start + (end - bytes) + 1;
      return TLY_OK;
    }
    to = start;
  }
  return TLY_OK;
}

/* Where a range of at most `size` bytes ends in a file of `file_size`; at its beginning when no line ends in it. */
static enum tly_status range_end(struct tly_chunk_reader *reader, int64_t size, int64_t file_size, int64_t *end,
                                 struct tly_error *error) {
  if (file_size - reader->next > size)
    return last_line_end(reader, reader->next, reader->next + size, end, error);
  *end = file_size; /* all that is left, whether or not a line ends there */
  return TLY_OK;
}

static enum tly_status next_range(struct tly_chunk_reader *reader, struct tly_chunk *out, struct tly_error *error) {
  struct stat about;
  int64_t end = 0;
  if (fstat(reader->fd, &about) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", reader->name);
  if (reader->next >= about.st_size)
    return TLY_OK;
  TLY_TRY(range_end(reader, RANGE_BYTES, about.st_size, &end, error));
  if (end == reader->next) /* a long event: the server says what is wrong with it, if it comes that far */
    TLY_TRY(range_end(reader, TLY_BULK_BYTES_MAX, about.st_size, &end, error));
  *out = (struct tly_chunk){.bytes = out->bytes, .begin = reader->begin, .start = reader->next};
  out->fd = fcntl(reader->fd, F_DUPFD_CLOEXEC, 0);
  if (out->fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", reader->name);
  if (end == reader->next)
    return fail_long_event(reader, tly_chunk_first_line(out), error);
  out->size = end - reader->next;
  reader->next = end;
  return TLY_OK;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* Read on until `size` bytes are pending or nothing more can be read. */
static void fill(struct tly_chunk_reader *reader, size_t size) {
  while (!reader->at_end && reader->pending.size < size) {
    size_t got, room = size - reader->pending.size;
    uint8_t *into = tly_buffer_reserve(&reader->pending, room);
    enum tly_status status = tly_input_stream_read(reader->input, into, room, &got, &reader->end);
    reader->at_end = status != TLY_OK || got == 0;
    reader->pending.size += status == TLY_OK ? got : 0;
  }
}

/* The end of the last whole event in pending[0, size), or 0. */
static size_t last_boundary(const struct tly_chunk_reader *reader, size_t size) {
  const uint8_t *data = reader->pending.data;
  if (!reader->is_csv) {
    const uint8_t *end = size > 0 ? memrchr(data, '\n', size) : NULL;
    return end != NULL ? (size_t)(end - data) + 1 : 0;
  }
  size_t boundary = 0;
  bool in_quotes = false; /* chunks begin at a record */
  for (size_t i = 0; i < size; i++) {
    if (data[i] == '"')
      in_quotes = !in_quotes;
    else if (data[i] == '\n' && !in_quotes)
      boundary = i + 1;
  }
  return boundary;
}

/* The end of the record that begins at `start`, at most `size`. */
static size_t record_end(const struct tly_chunk_reader *reader, size_t start, size_t size) {
  bool in_quotes = false;
  for (size_t i = start; i < size; i++) {
    if (reader->pending.data[i] == '"' && reader->is_csv)
      in_quotes = !in_quotes;
    else if (reader->pending.data[i] == '\n' && !in_quotes)
      return i + 1;
  }
  return size;
}

/* How many bytes of whole events are handed out next; 0 at the end. */
static enum tly_status whole_events(struct tly_chunk_reader *reader, size_t *size, struct tly_error *error) {
  for (size_t wanted = reader->bytes_max;; wanted += READ_BYTES) {
    fill(reader, wanted);
    bool is_rest = reader->at_end && reader->pending.size <= wanted;
    if (is_rest && reader->end.status == TLY_OK)
      *size = reader->pending.size; /* whether or not a line ends there */
    else
      *size = last_boundary(reader, wanted < reader->pending.size ? wanted : reader->pending.size);
    if (*size > 0 || (is_rest && reader->end.status == TLY_OK))
      return TLY_OK;
    if (is_rest) {
      *error = reader->end;
      return error->status;
    }
    if (wanted > TLY_BULK_BYTES_MAX - CHUNK_BYTES)
      return fail_long_event(reader, reader->lines, error);
  }
}

/* A record that is no UTF-8 ends the input before it. */
static enum tly_status stop_at_wrong_text(struct tly_chunk_reader *reader, size_t *size, struct tly_error *error) {
  const char *data = (const char *)reader->pending.data;
  size_t good = 0, next;
  if (*size == 0 || tly_text_is_valid(data, *size))
    return TLY_OK;
  while (good < *size && tly_text_is_valid(data + good, (next = record_end(reader, good, *size)) - good))
    good = next;
  TLY_ASSERT(good < *size);
  reader->at_end = true;
  uint64_t line = reader->lines + count_lines(reader->pending.data, good) + 1;
  (void)TLY_FAIL(&reader->end, TLY_E_CHARACTER_NOT_IN_REPERTOIRE, "%s: line %llu is not valid UTF-8, or has a NUL byte",
                 reader->name, (unsigned long long)line);
  reader->pending.size = *size = good;
  if (good > 0)
    return TLY_OK;
  *error = reader->end;
  return error->status;
}

static void take_header(struct tly_chunk_reader *reader, size_t size) {
  size_t header = record_end(reader, 0, size);
  tly_buffer_append(&reader->header, reader->pending.data, header);
  if (reader->header.data[header - 1] != '\n')
    tly_buffer_append_byte(&reader->header, '\n');
}

enum tly_status tly_chunk_reader_next(struct tly_chunk_reader *reader, struct tly_chunk *out, struct tly_error *error) {
  size_t size;
  TLY_ASSERT(tly_chunk_size(out) == 0);
  if (reader->is_regular)
    return next_range(reader, out, error);
  TLY_TRY(whole_events(reader, &size, error));
  if (reader->is_exact)
    TLY_TRY(stop_at_wrong_text(reader, &size, error));
  out->first_line = reader->lines;
  if (size == 0)
    return TLY_OK;
  if (reader->is_csv && reader->header.size == 0) {
    take_header(reader, size);
  } else if (reader->is_csv) {
    tly_buffer_append(&out->bytes, reader->header.data, reader->header.size);
    out->header_size = reader->header.size;
    out->first_line -= count_lines(reader->header.data, reader->header.size);
  }
  tly_buffer_append(&out->bytes, reader->pending.data, size);
  reader->lines += count_lines(reader->pending.data, size);
  reader->position += (int64_t)size;
  tly_buffer_consume(&reader->pending, size);
  return TLY_OK;
}
