#include "common/base/buffer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { FIRST_CAPACITY = 64 };

void tly_buffer_init(struct tly_buffer *buffer) {
  memset(buffer, 0, sizeof *buffer);
}

void tly_buffer_free(struct tly_buffer *buffer) {
  tly_free(buffer->data);
  tly_buffer_init(buffer);
}

void tly_buffer_clear(struct tly_buffer *buffer) {
  buffer->size = 0;
}

static void grow(struct tly_buffer *buffer, size_t more) {
  TLY_ASSERT(more <= SIZE_MAX / 4 && buffer->size <= SIZE_MAX / 4);
  size_t capacity = buffer->capacity == 0 ? FIRST_CAPACITY : 2 * buffer->capacity;
  while (capacity < buffer->size + more)
    capacity *= 2;
  buffer->data = tly_realloc(buffer->data, capacity);
  buffer->capacity = capacity;
}

uint8_t *tly_buffer_reserve(struct tly_buffer *buffer, size_t more) {
  TLY_ASSERT(buffer->size <= buffer->capacity);
  if (buffer->data == NULL || buffer->capacity - buffer->size < more)
    grow(buffer, more);
  return buffer->data + buffer->size;
}

void tly_buffer_append(struct tly_buffer *buffer, const void *bytes, size_t size) {
  uint8_t *place = tly_buffer_reserve(buffer, size);
  if (size > 0)
    memcpy(place, bytes, size);
  buffer->size += size;
}

void tly_buffer_append_byte(struct tly_buffer *buffer, uint8_t byte) {
  *tly_buffer_reserve(buffer, 1) = byte;
  buffer->size++;
}

void tly_buffer_append_text(struct tly_buffer *buffer, const char *text) {
  tly_buffer_append(buffer, text, strlen(text));
}

void tly_buffer_vprint(struct tly_buffer *buffer, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  size_t room = buffer->capacity - buffer->size;
  int size = vsnprintf(room > 0 ? (char *)buffer->data + buffer->size : NULL, room, format, arguments);
  TLY_ASSERT(size >= 0);
  if ((size_t)size >= room) {
    char *place = (char *)tly_buffer_reserve(buffer, (size_t)size + 1);
    vsnprintf(place, (size_t)size + 1, format, again);
  }
  va_end(again);
  buffer->size += (size_t)size;
}

void tly_buffer_print(struct tly_buffer *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tly_buffer_vprint(buffer, format, arguments);
  va_end(arguments);
}

void tly_buffer_consume(struct tly_buffer *buffer, size_t count) {
  TLY_ASSERT(count <= buffer->size);
  buffer->size -= count;
  if (buffer->size > 0)
    memmove(buffer->data, buffer->data + count, buffer->size);
}

char *tly_buffer_text(struct tly_buffer *buffer) {
  *tly_buffer_reserve(buffer, 1) = 0;
  return (char *)buffer->data;
}

void tly_buffer_append_u32(struct tly_buffer *buffer, uint32_t value) {
  uint8_t *place = tly_buffer_reserve(buffer, 4);
  for (int i = 0; i < 4; i++)
    place[i] = (uint8_t)(value >> (8 * i));
  buffer->size += 4;
}

void tly_buffer_append_u64(struct tly_buffer *buffer, uint64_t value) {
  uint8_t *place = tly_buffer_reserve(buffer, 8);
  for (int i = 0; i < 8; i++)
    place[i] = (uint8_t)(value >> (8 * i));
  buffer->size += 8;
}

enum { VARINT_BYTES_MAX = 10 };

void tly_buffer_append_varint(struct tly_buffer *buffer, uint64_t value) {
  uint8_t *place = tly_buffer_reserve(buffer, VARINT_BYTES_MAX);
  size_t size = 0;
  while (value >= 0x80) {
    place[size++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  place[size++] = (uint8_t)value;
  buffer->size += size;
}

void tly_buffer_append_zigzag(struct tly_buffer *buffer, int64_t value) {
  tly_buffer_append_varint(buffer, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

struct tly_cursor tly_cursor_of(const void *bytes, size_t size) {
  const uint8_t *start = bytes;
  return (struct tly_cursor){.next = start, .end = size > 0 ? start + size : start, .failed = 0};
}

size_t tly_cursor_left(const struct tly_cursor *cursor) {
  return (size_t)(cursor->end - cursor->next);
}

const uint8_t *tly_cursor_bytes(struct tly_cursor *cursor, size_t size) {
  if (cursor->failed || tly_cursor_left(cursor) < size) {
    cursor->failed = 1;
    return NULL;
  }
  const uint8_t *bytes = cursor->next;
  if (size > 0)
    cursor->next += size;
  return bytes;
}

uint8_t tly_cursor_byte(struct tly_cursor *cursor) {
  const uint8_t *bytes = tly_cursor_bytes(cursor, 1);
  return bytes == NULL ? 0 : bytes[0];
}

uint32_t tly_cursor_u32(struct tly_cursor *cursor) {
  const uint8_t *bytes = tly_cursor_bytes(cursor, 4);
  uint32_t value = 0;
  for (int i = 0; bytes != NULL && i < 4; i++)
    value |= (uint32_t)bytes[i] << (8 * i);
  return value;
}

uint64_t tly_cursor_u64(struct tly_cursor *cursor) {
  const uint8_t *bytes = tly_cursor_bytes(cursor, 8);
  uint64_t value = 0;
  for (int i = 0; bytes != NULL && i < 8; i++)
    value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

/* Only what append writes: a padded form (a last byte 0) or one past 64 bits fails, so that a value has one form. */
uint64_t tly_cursor_varint(struct tly_cursor *cursor) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 7 * VARINT_BYTES_MAX; shift += 7) {
    uint8_t byte = tly_cursor_byte(cursor);
    bool is_padded = byte == 0 && shift > 0;
    bool is_too_wide = shift == 63 && byte > 1;
    if (cursor->failed || is_padded || is_too_wide)
      break;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80)
      return value;
  }
  cursor->failed = 1;
  return 0;
}

int64_t tly_cursor_zigzag(struct tly_cursor *cursor) {
  uint64_t value = tly_cursor_varint(cursor);
  return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}
