/* tests/cli/test_input_stream.c -- what comes out is what was put in, whatever it was compressed with and however it is
 * read; what is broken gives all that is whole before the break, and then says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "cli/input_stream.h"
#include "common/base/buffer.h"

enum { BYTES = 1 << 20 };

static struct tly_error test_error;
static char plain[BYTES];

static int make_plain(void **state) {
  (void)state;
  uint32_t random = 1;
  for (size_t i = 0; i < BYTES; i++) {
    random = random * 1103515245 + 12345;
    plain[i] = (char)('a' + (random >> 16) % 7);
  }
  return 0;
}

static void gzip_of(const char *data, size_t size, struct tly_buffer *out) {
  z_stream stream = {0};
  assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  size_t room = deflateBound(&stream, size) + 64;
  stream.next_in = (Bytef *)(uintptr_t)data;
  stream.avail_in = (uInt)size;
  stream.next_out = tly_buffer_reserve(out, room);
  stream.avail_out = (uInt)room;
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out->size += room - stream.avail_out;
  deflateEnd(&stream);
}

static void zstd_of(const char *data, size_t size, struct tly_buffer *out) {
  size_t room = ZSTD_compressBound(size);
  size_t got = ZSTD_compress(tly_buffer_reserve(out, room), room, data, size, 3);
  assert_false(ZSTD_isError(got));
  out->size += got;
}

static int file_of(const void *bytes, size_t size) {
  char name[] = "/tmp/tally-input-XXXXXX";
  int fd = mkstemp(name);
  assert_true(fd >= 0);
  unlink(name);
  assert_int_equal(write(fd, bytes, size), size);
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  return fd;
}

/* Everything in `fd`, read `room` bytes at a time. The status is that behind it; what was read is compared with plain.
 */
static enum tly_status read_all(int fd, size_t room, size_t *size) {
  struct tly_input_stream *input = tly_input_stream_new(fd, "a file");
  uint8_t *bytes = malloc(room);
  enum tly_status status;
  size_t got = 0;
  *size = 0;
  while ((status = tly_input_stream_read(input, bytes, room, &got, &test_error)) == TLY_OK && got > 0) {
    assert_true(*size + got <= BYTES);
    assert_memory_equal(bytes, plain + *size, got);
    *size += got;
  }
  assert_int_equal(tly_input_stream_read(input, bytes, room, &got, &test_error), status); /* and stays so */
  free(bytes);
  tly_input_stream_free(input);
  close(fd);
  return status;
}

static void check_whole(const struct tly_buffer *file) {
  size_t size;
  for (size_t room = 1000; room <= 4 * BYTES; room *= 16) {
    assert_int_equal(read_all(file_of(file->data, file->size), room, &size), TLY_OK);
    assert_int_equal(size, BYTES);
  }
}

static void plain_gzip_and_zstd_give_the_same_bytes(void **state) {
  (void)state;
  struct tly_buffer file = {0};
  tly_buffer_append(&file, plain, BYTES);
  check_whole(&file);
  tly_buffer_clear(&file);
  gzip_of(plain, BYTES, &file);
  check_whole(&file);
  tly_buffer_clear(&file);
  zstd_of(plain, BYTES, &file);
  check_whole(&file);
  tly_buffer_free(&file);
}

static void members_and_frames_behind_each_other_are_one_input(void **state) {
  (void)state;
  struct tly_buffer file = {0};
  gzip_of(plain, BYTES / 2, &file);
  gzip_of(plain, 0, &file);
  gzip_of(plain + BYTES / 2, BYTES / 2, &file);
  check_whole(&file);
  tly_buffer_clear(&file);
  zstd_of(plain, BYTES / 2, &file);
  zstd_of(plain, 0, &file);
  zstd_of(plain + BYTES / 2, BYTES / 2, &file);
  check_whole(&file);
  tly_buffer_free(&file);
}

static void an_empty_input_is_an_empty_one(void **state) {
  (void)state;
  size_t size;
  struct tly_buffer file = {0};
  assert_int_equal(read_all(file_of("", 0), 100, &size), TLY_OK);
  assert_int_equal(size, 0);
  gzip_of(plain, 0, &file);
  assert_int_equal(read_all(file_of(file.data, file.size), 100, &size), TLY_OK);
  assert_int_equal(size, 0);
  tly_buffer_free(&file);
}

static void what_is_cut_off_gives_what_is_there_and_then_an_error(void **state) {
  (void)state;
  struct tly_buffer files[2] = {{0}};
  size_t size;
  gzip_of(plain, BYTES, &files[0]);
  zstd_of(plain, BYTES, &files[1]);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(read_all(file_of(files[i].data, files[i].size / 2), 1000, &size), TLY_E_FILE_FORMAT);
    assert_in_range(size, BYTES / 4, BYTES - 1);
    assert_non_null(strstr(test_error.message, "a file"));
    assert_non_null(strstr(test_error.message, "it ends too early"));
    assert_int_equal(read_all(file_of(files[i].data, files[i].size - 1), 1000, &size), TLY_E_FILE_FORMAT);
    tly_buffer_free(&files[i]);
  }
}

static void what_is_spoilt_or_followed_by_something_else_is_an_error(void **state) {
  (void)state;
  struct tly_buffer files[2] = {{0}};
  size_t size;
  gzip_of(plain, BYTES, &files[0]);
  zstd_of(plain, BYTES, &files[1]);
  for (int i = 0; i < 2; i++) {
    tly_buffer_append_text(&files[i], "something else");
    assert_int_equal(read_all(file_of(files[i].data, files[i].size), 1000, &size), TLY_E_FILE_FORMAT);
    assert_int_equal(size, BYTES);
    tly_buffer_free(&files[i]);
  }
  gzip_of(plain, BYTES, &files[0]);
  files[0].data[files[0].size - 6] ^= 1; /* of the checksum */
  assert_int_equal(read_all(file_of(files[0].data, files[0].size), 1000, &size), TLY_E_FILE_FORMAT);
  tly_buffer_free(&files[0]);
}

static void other_compressions_are_refused_by_their_first_bytes(void **state) {
  (void)state;
  static const char *const magics[] = {"\xfd\067zXZ and so on", "BZh9 and so on", "PK\x03\x04 and so on"};
  size_t size;
  for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
    int fd = file_of(magics[i], strlen(magics[i]));
    assert_true(tly_input_is_compressed(fd, 0));
    assert_int_equal(read_all(fd, 1000, &size), TLY_E_FILE_FORMAT);
    assert_int_equal(size, 0);
  }
  int fd = file_of("{\"a\":1}\n", 8);
  assert_false(tly_input_is_compressed(fd, 0));
  close(fd);
}

/* A gigabyte of one byte in a megabyte of file: read through a room of 64 KiB, it needs no more than that. */
static void a_bomb_is_read_in_bounded_memory(void **state) {
  (void)state;
  enum { ROUNDS = 1024 };
  static char zeros[BYTES];
  struct tly_buffer file = {0};
  gzip_of(zeros, BYTES, &file);
  size_t member = file.size;
  for (int i = 1; i < ROUNDS; i++)
    tly_buffer_append(&file, file.data, member);
  int fd = file_of(file.data, file.size);
  struct tly_input_stream *input = tly_input_stream_new(fd, "a bomb");
  static uint8_t room[64 << 10];
  uint64_t sum = 0;
  size_t got = 1;
  while (got > 0) {
    assert_int_equal(tly_input_stream_read(input, room, sizeof room, &got, &test_error), TLY_OK);
    sum += got;
  }
  assert_int_equal(sum, (uint64_t)ROUNDS * BYTES);
  assert_int_equal(tly_input_stream_taken(input), file.size);
  tly_input_stream_free(input);
  close(fd);
  tly_buffer_free(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_gzip_and_zstd_give_the_same_bytes),
      cmocka_unit_test(members_and_frames_behind_each_other_are_one_input),
      cmocka_unit_test(an_empty_input_is_an_empty_one),
      cmocka_unit_test(what_is_cut_off_gives_what_is_there_and_then_an_error),
      cmocka_unit_test(what_is_spoilt_or_followed_by_something_else_is_an_error),
      cmocka_unit_test(other_compressions_are_refused_by_their_first_bytes),
      cmocka_unit_test(a_bomb_is_read_in_bounded_memory),
  };
  return cmocka_run_group_tests(tests, make_plain, NULL);
}
