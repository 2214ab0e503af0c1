/* tests/cli/test_chunk_reader.c -- bulks end where events end, hold every byte once, and say which lines they are, for
 * ranges of a file as for bytes from a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/chunk_reader.h"
#include "common/base/limits.h"

enum { PIECE_BYTES = 100 << 10, CHUNKS_MAX = 64, WHOLE = 9 << 20 };

static struct tly_error test_error;

/* Lines of 1 to 200 bytes, `size` bytes in all. */
static void make_lines(struct tly_buffer *out, size_t size) {
  unsigned state = 1;
  while (out->size < size) {
    state = state * 1103515245 + 12345;
    size_t line = 1 + state / 65536 % 200;
    for (size_t i = 0; i + 1 < line && out->size + 1 < size; i++)
      tly_buffer_append_byte(out, (uint8_t)('a' + i % 26));
    tly_buffer_append_byte(out, '\n');
  }
}

static int file_of(const void *bytes, size_t size) {
  char name[] = "/tmp/tally-chunk-XXXXXX";
  int fd = mkstemp(name);
  assert_true(fd >= 0);
  unlink(name);
  for (size_t done = 0; done < size;) {
    ssize_t count = write(fd, (const char *)bytes + done, size - done);
    assert_true(count > 0);
    done += (size_t)count;
  }
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  return fd;
}

static void append_chunk(const struct tly_chunk *chunk, struct tly_buffer *out) {
  uint8_t *room = malloc(PIECE_BYTES);
  for (int64_t done = 0; done < tly_chunk_size(chunk);) {
    const uint8_t *bytes;
    size_t size;
    assert_int_equal(tly_chunk_read(chunk, "a file", done, room, PIECE_BYTES, &bytes, &size, &test_error), TLY_OK);
    tly_buffer_append(out, bytes, size);
    done += (int64_t)size;
  }
  free(room);
}

static uint64_t lines_of(const struct tly_buffer *bytes) {
  uint64_t lines = 0;
  for (size_t i = 0; i < bytes->size; i++)
    lines += bytes->data[i] == '\n';
  return lines;
}

/* Reads all of `fd`, whose bytes must be `wanted`. Returns how many chunks it took. */
static int read_all(int fd, const uint8_t *wanted, size_t size) {
  struct tly_chunk_reader reader;
  struct tly_chunk chunk;
  struct tly_buffer got = {0};
  int count = 0;
  tly_chunk_reader_init(&reader, fd, "a file", false);
  tly_chunk_init(&chunk);
  for (;; count++) {
    uint64_t lines = lines_of(&got);
    tly_chunk_clear(&chunk);
    assert_int_equal(tly_chunk_reader_next(&reader, &chunk, &test_error), TLY_OK);
    if (tly_chunk_size(&chunk) == 0)
      break;
    assert_true(tly_chunk_size(&chunk) <= TLY_BULK_BYTES_MAX && count < CHUNKS_MAX);
    assert_int_equal(tly_chunk_first_line(&chunk), lines);
    append_chunk(&chunk, &got);
    assert_true(got.data[got.size - 1] == '\n' || got.size == size);
  }
  assert_int_equal(got.size, size);
  assert_memory_equal(got.data, wanted, size);
  tly_chunk_free(&chunk);
  tly_chunk_reader_free(&reader);
  tly_buffer_free(&got);
  return count;
}

static void a_file_is_cut_at_line_ends_and_its_last_line_needs_none(void **state) {
  (void)state;
  struct tly_buffer bytes = {0};
  make_lines(&bytes, WHOLE);
  for (size_t cut = 0; cut < 3; cut++) {
    int fd = file_of(bytes.data, bytes.size - cut);
    assert_true(read_all(fd, bytes.data, bytes.size - cut) > 1);
    close(fd);
  }
  tly_buffer_free(&bytes);
}

static void a_file_is_taken_from_where_it_stands(void **state) {
  (void)state;
  struct tly_buffer bytes = {0};
  make_lines(&bytes, WHOLE);
  size_t line = (size_t)((uint8_t *)memchr(bytes.data, '\n', bytes.size) - bytes.data) + 1;
  int fd = file_of(bytes.data, bytes.size);
  assert_int_equal(lseek(fd, (off_t)line, SEEK_SET), (off_t)line);
  read_all(fd, bytes.data + line, bytes.size - line);
  close(fd);
  tly_buffer_free(&bytes);
}

static void a_pipe_is_cut_like_a_file(void **state) {
  (void)state;
  struct tly_buffer bytes = {0};
  int ends[2];
  make_lines(&bytes, WHOLE);
  assert_int_equal(pipe(ends), 0);
  pid_t writer = fork();
  if (writer == 0) {
    close(ends[0]);
    for (size_t done = 0; done < bytes.size;) {
      ssize_t count = write(ends[1], bytes.data + done, bytes.size - done);
      if (count <= 0)
        _exit(1);
      done += (size_t)count;
    }
    _exit(0);
  }
  close(ends[1]);
  assert_true(read_all(ends[0], bytes.data, bytes.size) > 1);
  close(ends[0]);
  tly_buffer_free(&bytes);
}

static void an_empty_file_has_no_bulk(void **state) {
  (void)state;
  int fd = file_of("", 0);
  assert_int_equal(read_all(fd, (const uint8_t *)"", 0), 0);
  close(fd);
}

static void a_line_that_no_bulk_can_hold_is_refused_by_its_number(void **state) {
  (void)state;
  struct tly_chunk_reader reader;
  struct tly_chunk chunk;
  struct tly_buffer bytes = {0};
  tly_buffer_append_text(&bytes, "a\nb\n");
  memset(tly_buffer_reserve(&bytes, 2 * TLY_BULK_BYTES_MAX), 'x', 2 * TLY_BULK_BYTES_MAX);
  bytes.size += 2 * TLY_BULK_BYTES_MAX;
  int fd = file_of(bytes.data, bytes.size);
  tly_chunk_reader_init(&reader, fd, "a file", false);
  tly_chunk_init(&chunk);
  assert_int_equal(tly_chunk_reader_next(&reader, &chunk, &test_error), TLY_OK);
  assert_int_equal(tly_chunk_size(&chunk), 4);
  tly_chunk_clear(&chunk);
  assert_int_equal(tly_chunk_reader_next(&reader, &chunk, &test_error), TLY_E_TOO_LARGE);
  assert_non_null(strstr(test_error.message, "after line 2 "));
  tly_chunk_free(&chunk);
  tly_chunk_reader_free(&reader);
  tly_buffer_free(&bytes);
  close(fd);
}

static void a_long_line_that_a_bulk_can_hold_is_left_to_the_server(void **state) {
  (void)state;
  struct tly_buffer bytes = {0};
  for (int line = 0; line < 3; line++) {
    memset(tly_buffer_reserve(&bytes, TLY_BULK_BYTES_MAX / 2), 'x', TLY_BULK_BYTES_MAX / 2);
    bytes.size += TLY_BULK_BYTES_MAX / 2;
    tly_buffer_append_byte(&bytes, '\n');
  }
  int fd = file_of(bytes.data, bytes.size);
  assert_int_equal(read_all(fd, bytes.data, bytes.size), 3);
  close(fd);
  tly_buffer_free(&bytes);
}

static void a_file_that_becomes_shorter_is_told_and_one_that_grows_is_read_on(void **state) {
  (void)state;
  struct tly_chunk_reader reader;
  struct tly_chunk chunk;
  const uint8_t *bytes;
  uint8_t room[16];
  size_t size;
  int fd = file_of("one\ntwo\n", 8);
  tly_chunk_reader_init(&reader, fd, "a file", false);
  tly_chunk_init(&chunk);
  assert_int_equal(tly_chunk_reader_next(&reader, &chunk, &test_error), TLY_OK);
  assert_int_equal(pwrite(fd, "three\n", 6, 8), 6);
  assert_int_equal(tly_chunk_size(&chunk), 8);
  tly_chunk_clear(&chunk);
  assert_int_equal(tly_chunk_reader_next(&reader, &chunk, &test_error), TLY_OK);
  assert_int_equal(tly_chunk_size(&chunk), 6);
  assert_int_equal(ftruncate(fd, 8), 0);
  assert_int_equal(tly_chunk_read(&chunk, "a file", 0, room, sizeof room, &bytes, &size, &test_error), TLY_E_IO);
  tly_chunk_free(&chunk);
  tly_chunk_reader_free(&reader);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_is_cut_at_line_ends_and_its_last_line_needs_none),
      cmocka_unit_test(a_file_is_taken_from_where_it_stands),
      cmocka_unit_test(a_pipe_is_cut_like_a_file),
      cmocka_unit_test(an_empty_file_has_no_bulk),
      cmocka_unit_test(a_line_that_no_bulk_can_hold_is_refused_by_its_number),
      cmocka_unit_test(a_long_line_that_a_bulk_can_hold_is_left_to_the_server),
      cmocka_unit_test(a_file_that_becomes_shorter_is_told_and_one_that_grows_is_read_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
