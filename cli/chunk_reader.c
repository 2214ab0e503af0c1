#include "cli/chunk_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

enum { CHUNK_BYTES = 1 << 20, READ_BYTES = 256 << 10 };

void tly_chunk_reader_init(struct tly_chunk_reader *reader, int fd, const char *name, bool is_csv) {
  *reader = (struct tly_chunk_reader){.fd = fd, .name = name, .is_csv = is_csv};
}

void tly_chunk_reader_free(struct tly_chunk_reader *reader) {
  tly_buffer_free(&reader->header);
  tly_buffer_free(&reader->pending);
}

static enum tly_status fill(struct tly_chunk_reader *reader, struct tly_error *error) {
  while (!reader->at_end && reader->pending.size < CHUNK_BYTES) {
    ssize_t got = read(reader->fd, tly_buffer_reserve(&reader->pending, READ_BYTES), READ_BYTES);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", reader->name);
    reader->at_end = got == 0;
    reader->pending.size += (size_t)got;
  }
  return TLY_OK;
}

/* The end of the last whole event in pending[0, size), or 0. */
static size_t last_boundary(const struct tly_chunk_reader *reader) {
  const uint8_t *data = reader->pending.data;
  if (!reader->is_csv) {
    const uint8_t *end = memrchr(data, '\n', reader->pending.size);
    return end != NULL ? (size_t)(end - data) + 1 : 0;
  }
  size_t boundary = 0;
  bool in_quotes = false; /* chunks begin at a record */
  for (size_t i = 0; i < reader->pending.size; i++) {
    if (data[i] == '"')
      in_quotes = !in_quotes;
    else if (data[i] == '\n' && !in_quotes)
      boundary = i + 1;
  }
  return boundary;
}

static size_t first_record(const struct tly_chunk_reader *reader, size_t size) {
  bool in_quotes = false;
  for (size_t i = 0; i < size; i++) {
    if (reader->pending.data[i] == '"')
      in_quotes = !in_quotes;
    else if (reader->pending.data[i] == '\n' && !in_quotes)
      return i + 1;
  }
  return size;
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

static enum tly_status whole_events(struct tly_chunk_reader *reader, size_t *size, struct tly_error *error) {
  for (;;) {
    TLY_TRY(fill(reader, error));
    *size = reader->at_end ? reader->pending.size : last_boundary(reader);
    if (*size > 0 || reader->at_end)
      return TLY_OK;
    if (reader->pending.size > TLY_BULK_BYTES_MAX - CHUNK_BYTES)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "%s: an event after line %llu is over %d bytes", reader->name,
                      (unsigned long long)reader->lines, TLY_LINE_BYTES_MAX);
    size_t had = reader->pending.size; /* a long event: read on beyond a chunk */
    ssize_t got = read(reader->fd, tly_buffer_reserve(&reader->pending, READ_BYTES), READ_BYTES);
    if (got < 0 && errno != EINTR)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", reader->name);
    reader->at_end = got == 0;
    reader->pending.size = had + (got > 0 ? (size_t)got : 0);
  }
}

enum tly_status tly_chunk_reader_next(struct tly_chunk_reader *reader, struct tly_chunk *out, struct tly_error *error) {
  size_t size;
  tly_buffer_clear(&out->bytes);
  TLY_TRY(whole_events(reader, &size, error));
  out->first_line = reader->lines;
  if (size == 0)
    return TLY_OK;
  if (reader->is_csv && reader->header.size == 0) {
    size_t header = first_record(reader, size);
    tly_buffer_append(&reader->header, reader->pending.data, header);
    if (reader->header.data[header - 1] != '\n')
      tly_buffer_append_byte(&reader->header, '\n');
  } else if (reader->is_csv) {
    tly_buffer_append(&out->bytes, reader->header.data, reader->header.size);
    out->first_line -= count_lines(reader->header.data, reader->header.size);
  }
  tly_buffer_append(&out->bytes, reader->pending.data, size);
  reader->lines += count_lines(reader->pending.data, size);
  tly_buffer_consume(&reader->pending, size);
  return TLY_OK;
}
