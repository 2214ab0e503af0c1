/* A record is its size (u32) and then: kind (byte), rows (varint), fingerprint (16 bytes), and five texts, each with
 * its size before it (varint): column, key, tally, ledger, difference. */
#include "batch_layer/break_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/memory.h"

enum { CHUNK_BYTES = 256 << 10, SIZE_BYTES = 4 };

const char *tly_break_name(enum tly_break_kind kind) {
  static const char *const names[TLY_BREAK_KIND_COUNT] = {
      [TLY_BREAK_OVER] = "over",
      [TLY_BREAK_SHORT] = "short",
      [TLY_BREAK_DIFFERS] = "differs",
      [TLY_BREAK_MISSING_IN_LEDGER] = "missing_in_ledger",
      [TLY_BREAK_MISSING_IN_TALLY] = "missing_in_tally",
      [TLY_BREAK_DUPLICATE_IN_LEDGER] = "duplicate_in_ledger",
  };
  return names[kind];
}

static void print_text(const char *name, struct tly_text json, struct tly_buffer *out) {
  tly_buffer_print(out, ",\"%s\":", name);
  tly_buffer_append(out, json.data, json.size);
}

void tly_break_record_print(const struct tly_break_record *record, struct tly_buffer *out) {
  tly_buffer_print(out, "\"break\":\"%s\"", tly_break_name(record->kind));
  print_text("key", record->key, out);
  print_text("tally", record->tally, out);
  print_text("ledger", record->ledger, out);
  print_text("difference", record->difference, out);
  if (record->kind == TLY_BREAK_DUPLICATE_IN_LEDGER)
    tly_buffer_print(out, ",\"rows\":%" PRIu64, record->ledger_rows);
}

static char *path_of(const char *directory) {
  struct tly_buffer path = {0};
  tly_buffer_print(&path, "%s/breaks.tmp", directory);
  char *copy = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return copy;
}

void tly_break_file_remove(const char *directory) {
  char *path = path_of(directory);
  (void)unlink(path); /* one that stays is written over by the next child */
  tly_free(path);
}

/* ---- the child's side -------------------------------------------------------------------------------------------- */

struct tly_break_writer {
  int fd;
  struct tly_buffer pending;
};

enum tly_status tly_break_writer_open(const char *directory, tly_break_writer **out, struct tly_error *error) {
  char *path = path_of(directory);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  enum tly_status status = TLY_OK;
  *out = NULL;
  if (fd < 0) {
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "make %s", path);
  } else {
    *out = tly_calloc(1, sizeof **out);
    (*out)->fd = fd;
  }
  tly_free(path);
  return status;
}

enum tly_status tly_break_writer_flush(tly_break_writer *writer, struct tly_error *error) {
  while (writer->pending.size > 0) {
    ssize_t count = write(writer->fd, writer->pending.data, writer->pending.size);
    if (count < 0 && errno != EINTR)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "write breaks.tmp");
    if (count > 0)
      tly_buffer_consume(&writer->pending, (size_t)count);
  }
  return TLY_OK;
}

static void append_text(struct tly_text text, struct tly_buffer *out) {
  tly_buffer_append_varint(out, text.size);
  tly_buffer_append(out, text.data, text.size);
}

enum tly_status tly_break_writer_add(tly_break_writer *writer, const struct tly_break_record *record,
                                     struct tly_error *error) {
  struct tly_buffer *out = &writer->pending;
  size_t start = out->size;
  tly_buffer_append_u32(out, 0);
  tly_buffer_append_byte(out, (uint8_t)record->kind);
  tly_buffer_append_varint(out, record->ledger_rows);
  tly_buffer_append(out, record->fingerprint.bytes, TLY_HASH_BYTES);
  append_text(record->column, out);
  append_text(record->key, out);
  append_text(record->tally, out);
  append_text(record->ledger, out);
  append_text(record->difference, out);
  struct tly_buffer size = {0};
  tly_buffer_append_u32(&size, (uint32_t)(out->size - start - SIZE_BYTES));
  memcpy(out->data + start, size.data, SIZE_BYTES);
  tly_buffer_free(&size);
  return out->size >= CHUNK_BYTES ? tly_break_writer_flush(writer, error) : TLY_OK;
}

void tly_break_writer_close(tly_break_writer *writer) {
  if (writer == NULL)
    return;
  close(writer->fd);
  tly_buffer_free(&writer->pending);
  tly_free(writer);
}

/* ---- the other side ---------------------------------------------------------------------------------------------- */

struct tly_break_source {
  int fd;
  bool is_at_end;
  struct tly_buffer bytes; /* from `next` on not yet given */
  size_t next;
};

enum tly_status tly_break_source_open(const char *directory, tly_break_source **out, struct tly_error *error) {
  char *path = path_of(directory);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  enum tly_status status = TLY_OK;
  *out = NULL;
  if (fd < 0) {
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "open %s", path);
  } else {
    *out = tly_calloc(1, sizeof **out);
    (*out)->fd = fd;
  }
  tly_free(path);
  return status;
}

void tly_break_source_close(tly_break_source *source) {
  if (source == NULL)
    return;
  close(source->fd);
  tly_buffer_free(&source->bytes);
  tly_free(source);
}

/* Have `size` bytes from `next` on, unless the file ends before. */
static enum tly_status fill(tly_break_source *source, size_t size, struct tly_error *error) {
  while (!source->is_at_end && source->bytes.size - source->next < size) {
    tly_buffer_consume(&source->bytes, source->next);
    source->next = 0;
    ssize_t count = read(source->fd, tly_buffer_reserve(&source->bytes, CHUNK_BYTES), CHUNK_BYTES);
    if (count < 0 && errno != EINTR)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "read breaks.tmp");
    source->is_at_end = count == 0;
    source->bytes.size += count > 0 ? (size_t)count : 0;
  }
  return TLY_OK;
}

static struct tly_text read_text(struct tly_cursor *cursor) {
  uint64_t size = tly_cursor_varint(cursor);
  const uint8_t *data = tly_cursor_bytes(cursor, size <= tly_cursor_left(cursor) ? (size_t)size : SIZE_MAX);
  return (struct tly_text){.data = data != NULL ? (const char *)data : "", .size = data != NULL ? (uint32_t)size : 0};
}

static enum tly_status read_record(struct tly_cursor cursor, struct tly_break_record *out, struct tly_error *error) {
  out->kind = (enum tly_break_kind)tly_cursor_byte(&cursor);
  out->ledger_rows = tly_cursor_varint(&cursor);
  const uint8_t *fingerprint = tly_cursor_bytes(&cursor, TLY_HASH_BYTES);
  out->column = read_text(&cursor);
  out->key = read_text(&cursor);
  out->tally = read_text(&cursor);
  out->ledger = read_text(&cursor);
  out->difference = read_text(&cursor);
  if (cursor.failed || fingerprint == NULL || tly_cursor_left(&cursor) > 0 || out->kind >= TLY_BREAK_KIND_COUNT)
    return TLY_FAIL(error, TLY_E_CORRUPT, "breaks.tmp has a record that is none");
  memcpy(out->fingerprint.bytes, fingerprint, TLY_HASH_BYTES);
  return TLY_OK;
}

enum tly_status tly_break_source_next(tly_break_source *source, struct tly_break_record *out, bool *found,
                                      struct tly_error *error) {
  TLY_TRY(fill(source, SIZE_BYTES, error));
  size_t left = source->bytes.size - source->next;
  *found = left > 0;
  if (left == 0)
    return TLY_OK;
  struct tly_cursor head = tly_cursor_of(source->bytes.data + source->next, left);
  uint32_t size = tly_cursor_u32(&head);
  if (!head.failed)
    TLY_TRY(fill(source, SIZE_BYTES + (size_t)size, error));
  if (head.failed || source->bytes.size - source->next < SIZE_BYTES + (size_t)size)
    return TLY_FAIL(error, TLY_E_CORRUPT, "breaks.tmp ends in the middle of a record");
  const uint8_t *body = source->bytes.data + source->next + SIZE_BYTES;
  source->next += SIZE_BYTES + (size_t)size;
  return read_record(tly_cursor_of(body, size), out, error);
}
