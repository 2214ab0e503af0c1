/* Lines and bulk bodies out of a byte stream, for every way the stream may be split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/framing.h"

static void feed(struct tly_framer *framer, const char *bytes, size_t size) {
  size_t space;
  memcpy(tly_framer_space(framer, size, &space), bytes, size);
  assert_true(space >= size);
  tly_framer_added(framer, size);
}

static void expect(struct tly_framer *framer, enum tly_frame_kind kind, const char *text) {
  const char *data = NULL;
  size_t size = 0;
  assert_int_equal(tly_framer_next(framer, &data, &size), kind);
  if (text == NULL)
    return;
  assert_int_equal(size, strlen(text));
  assert_memory_equal(data, text, size);
}

/* "bulk N" lines announce N bytes, as an ingest request does. Prints every frame into `out`. */
static void describe_frames(struct tly_framer *framer, char *out, size_t room) {
  const char *data;
  size_t size;
  for (;;) {
    enum tly_frame_kind kind = tly_framer_next(framer, &data, &size);
    size_t used = strlen(out);
    if (kind == TLY_FRAME_NONE)
      return;
    snprintf(out + used, room - used, "%c(%.*s)", kind == TLY_FRAME_BULK ? 'B' : 'L', (int)size, data);
    if (kind == TLY_FRAME_LINE && size > 5 && memcmp(data, "bulk ", 5) == 0)
      tly_framer_expect_bulk(framer, (size_t)(data[5] - '0'));
  }
}

static void every_split_of_the_input_gives_the_same_frames(void **state) {
  static const char input[] = "one\r\n\ntwo\nbulk 5\na\nb\nc\nthree\nbulk 1\n\n\nrest";
  static const char wanted[] = "L(one)L()L(two)L(bulk 5)B(a\nb\nc)L()L(three)L(bulk 1)B(\n)L()";
  (void)state;
  for (size_t first = 0; first < sizeof input; first++)
    for (size_t second = first; second < sizeof input; second++) {
      struct tly_framer framer;
      char frames[256] = "";
      tly_framer_init(&framer);
      feed(&framer, input, first);
      describe_frames(&framer, frames, sizeof frames);
      feed(&framer, input + first, second - first);
      describe_frames(&framer, frames, sizeof frames);
      feed(&framer, input + second, sizeof input - 1 - second);
      describe_frames(&framer, frames, sizeof frames);
      assert_string_equal(frames, wanted);
      size_t rest;
      assert_memory_equal(tly_framer_rest(&framer, &rest), "rest", 4);
      assert_int_equal(rest, 4);
      tly_framer_free(&framer);
    }
}

/* Bulks of `size` bytes behind each other, read as a socket gives them; each is kept, the large ones without a copy. */
static void keep_bulks(size_t size, bool is_large) {
  enum { BULKS = 5 };
  struct tly_framer framer;
  struct tly_buffer input = {0}, kept = {0};
  const char *data;
  size_t length, done = 0;
  int bulks = 0;
  for (int i = 0; i < BULKS; i++) {
    tly_buffer_append_text(&input, "bulk\n");
    memset(tly_buffer_reserve(&input, size), 'a' + i, size);
    input.size += size;
  }
  tly_framer_init(&framer);
  while (bulks < BULKS) {
    uint8_t *space = tly_framer_space(&framer, 100000, &length);
    length = length < input.size - done ? length : input.size - done;
    assert_true(length > 0);
    memcpy(space, input.data + done, length);
    tly_framer_added(&framer, length);
    done += length;
    enum tly_frame_kind kind;
    while ((kind = tly_framer_next(&framer, &data, &length)) != TLY_FRAME_NONE) {
      if (kind == TLY_FRAME_LINE) {
        assert_int_equal(length, 4);
        tly_framer_expect_bulk(&framer, size);
        continue;
      }
      assert_int_equal(kind, TLY_FRAME_BULK);
      const uint8_t *place = (const uint8_t *)data;
      tly_framer_keep_bulk(&framer, data, length, &kept);
      assert_int_equal(kept.size, size);
      assert_true(kept.data[0] == 'a' + bulks && memcmp(kept.data, kept.data + 1, size - 1) == 0);
      assert_true(!is_large || bulks == 0 || kept.data == place);
      bulks++;
    }
  }
  tly_framer_free(&framer);
  tly_buffer_free(&kept);
  tly_buffer_free(&input);
}

static void a_kept_bulk_is_whole_and_a_large_one_is_not_copied(void **state) {
  (void)state;
  keep_bulks(20, false);
  keep_bulks(50000, false);
  keep_bulks(300000, true);
  keep_bulks(3000000, true);
}

static void a_line_over_the_limit_is_told_once_and_the_next_one_is_read(void **state) {
  (void)state;
  struct tly_framer framer;
  size_t size = 3 * (size_t)TLY_LINE_BYTES_MAX;
  char *line = tly_malloc(size);
  int told = 0;
  memset(line, 'x', size);
  tly_framer_init(&framer);
  for (size_t at = 0; at < size; at += 100000) {
    const char *data;
    size_t length;
    feed(&framer, line + at, size - at < 100000 ? size - at : 100000);
    enum tly_frame_kind kind;
    while ((kind = tly_framer_next(&framer, &data, &length)) != TLY_FRAME_NONE) {
      assert_int_equal(kind, TLY_FRAME_TOO_LONG);
      told++;
    }
    assert_true(framer.buffer.capacity <= 4 * (size_t)TLY_LINE_BYTES_MAX);
  }
  assert_int_equal(told, 1);
  feed(&framer, "y\nok\n", 5);
  expect(&framer, TLY_FRAME_LINE, "ok");
  expect(&framer, TLY_FRAME_NONE, NULL);
  tly_framer_free(&framer);
  tly_free(line);
}

static void a_line_of_exactly_the_limit_is_a_line(void **state) {
  (void)state;
  struct tly_framer framer;
  char *line = tly_malloc(TLY_LINE_BYTES_MAX + 2);
  const char *data;
  size_t size;
  memset(line, 'x', TLY_LINE_BYTES_MAX + 1);
  line[TLY_LINE_BYTES_MAX] = '\n';
  tly_framer_init(&framer);
  feed(&framer, line, TLY_LINE_BYTES_MAX + 1);
  assert_int_equal(tly_framer_next(&framer, &data, &size), TLY_FRAME_LINE);
  assert_int_equal(size, TLY_LINE_BYTES_MAX);
  line[TLY_LINE_BYTES_MAX] = 'x';
  line[TLY_LINE_BYTES_MAX + 1] = '\n';
  feed(&framer, line, TLY_LINE_BYTES_MAX + 2);
  assert_int_equal(tly_framer_next(&framer, &data, &size), TLY_FRAME_TOO_LONG);
  expect(&framer, TLY_FRAME_NONE, NULL);
  tly_framer_free(&framer);
  tly_free(line);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_split_of_the_input_gives_the_same_frames),
      cmocka_unit_test(a_kept_bulk_is_whole_and_a_large_one_is_not_copied),
      cmocka_unit_test(a_line_over_the_limit_is_told_once_and_the_next_one_is_read),
      cmocka_unit_test(a_line_of_exactly_the_limit_is_a_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
