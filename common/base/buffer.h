/* common/base/buffer.h -- a growing run of bytes.
 * Thread: a buffer belongs to one thread at a time. */
#ifndef TLY_BASE_BUFFER_H
#define TLY_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct tly_buffer {
  uint8_t *data; /* NULL while capacity is 0 */
  size_t size, capacity;
};

/* A zeroed buffer is a valid empty one; init is for those who like to say so. */
void tly_buffer_init(struct tly_buffer *buffer);
void tly_buffer_free(struct tly_buffer *buffer);
/* size = 0, memory kept. */
void tly_buffer_clear(struct tly_buffer *buffer);
/* Room for `more` bytes behind size; returns where they go. The caller adds to size what it wrote. */
uint8_t *tly_buffer_reserve(struct tly_buffer *buffer, size_t more);
void tly_buffer_append(struct tly_buffer *buffer, const void *bytes, size_t size);
void tly_buffer_append_byte(struct tly_buffer *buffer, uint8_t byte);
void tly_buffer_append_text(struct tly_buffer *buffer, const char *text);
void tly_buffer_print(struct tly_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tly_buffer_vprint(struct tly_buffer *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
/* Drop `count` bytes at the front. */
void tly_buffer_consume(struct tly_buffer *buffer, size_t count);
/* A terminating 0 behind size, not counted; returns data as text. */
char *tly_buffer_text(struct tly_buffer *buffer);

/* Fixed and variable integers, little endian; LEB128 for varint, zig-zag for the signed one. */
void tly_buffer_append_u32(struct tly_buffer *buffer, uint32_t value);
void tly_buffer_append_u64(struct tly_buffer *buffer, uint64_t value);
void tly_buffer_append_varint(struct tly_buffer *buffer, uint64_t value);
void tly_buffer_append_zigzag(struct tly_buffer *buffer, int64_t value);

/* A reader of the same forms that never runs past its end: after the first failure `failed` stays set and every read
 * gives 0, so a decoder checks once. */
struct tly_cursor {
  const uint8_t *next, *end;
  int failed;
};

struct tly_cursor tly_cursor_of(const void *bytes, size_t size);
uint8_t tly_cursor_byte(struct tly_cursor *cursor);
uint32_t tly_cursor_u32(struct tly_cursor *cursor);
uint64_t tly_cursor_u64(struct tly_cursor *cursor);
uint64_t tly_cursor_varint(struct tly_cursor *cursor);
int64_t tly_cursor_zigzag(struct tly_cursor *cursor);
/* `size` bytes inside the input, or NULL (and failed) when there are fewer. */
const uint8_t *tly_cursor_bytes(struct tly_cursor *cursor, size_t size);
size_t tly_cursor_left(const struct tly_cursor *cursor);

#endif
