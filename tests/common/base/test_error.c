/* tests/common/base/test_error.c -- statuses, their words, and log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/error.h"
#include "common/base/log.h"

static void every_status_has_a_name_and_a_sqlstate_of_five(void **state) {
  (void)state;
  for (int status = 0; status < TLY_STATUS_COUNT; status++) {
    assert_int_equal(strlen(tly_status_sqlstate((enum tly_status)status)), 5);
    assert_true(strlen(tly_status_name((enum tly_status)status)) > 0);
  }
  assert_string_equal(tly_status_name(TLY_E_IO), "E_IO");
  assert_string_equal(tly_status_sqlstate(TLY_E_DIVISION_BY_ZERO), "22012");
  assert_true(tly_status_is_retriable(TLY_E_IN_USE));
  assert_false(tly_status_is_retriable(TLY_E_CORRUPT));
}

static void a_failure_knows_its_words_and_its_birthplace(void **state) {
  (void)state;
  struct tly_error error = TLY_ERROR_NONE;
  int line = __LINE__ + 1;
  assert_int_equal(TLY_FAIL(&error, TLY_E_SYNTAX, "bad \"%s\"", "word"), TLY_E_SYNTAX);
  assert_int_equal(error.status, TLY_E_SYNTAX);
  assert_string_equal(error.message, "bad \"word\"");
  assert_string_equal(error.hint, "");
  assert_int_equal(error.born_line, line);
  assert_non_null(strstr(error.born_file, "test_error.c"));
  tly_error_hint(&error, "try %d", 2);
  assert_string_equal(error.hint, "try 2");
  assert_int_equal(TLY_FAIL(NULL, TLY_E_IO, "only the status travels"), TLY_E_IO);
  tly_error_hint(NULL, "nothing");
}

static void a_message_is_cut_between_characters(void **state) {
  (void)state;
  char text[2 * TLY_ERROR_MESSAGE_SIZE + 2];
  struct tly_error error;
  for (int shift = 0; shift < 2; shift++) {
    memset(text, 'x', sizeof text);
    for (size_t i = (size_t)shift; i + 2 < sizeof text; i += 2)
      memcpy(text + i, "\xc3\xbc", 2);
    text[sizeof text - 2] = '\0';
    (void)TLY_FAIL(&error, TLY_E_IO, "%s", text);
    size_t size = strlen(error.message);
    assert_true(size >= TLY_ERROR_MESSAGE_SIZE - 2 && size < TLY_ERROR_MESSAGE_SIZE);
    assert_int_equal((unsigned char)error.message[size - 1], 0xbc);
  }
}

static void errno_gives_its_words_and_a_full_disk_its_own_status(void **state) {
  (void)state;
  struct tly_error error;
  errno = ENOENT;
  assert_int_equal(TLY_FAIL_ERRNO(&error, TLY_E_IO, "could not open \"%s\"", "f"), TLY_E_IO);
  assert_string_equal(error.message, "could not open \"f\": No such file or directory");
  errno = ENOSPC;
  assert_int_equal(TLY_FAIL_ERRNO(NULL, TLY_E_IO, "x"), TLY_E_DISK_FULL);
}

/* What `tly_log` writes to stderr during `body`, in `out`. */
static void capture_log(void (*body)(void), char *out, size_t size) {
  char path[] = "/tmp/tally_test_log_XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  unlink(path);
  int saved = dup(STDERR_FILENO);
  assert_true(dup2(fd, STDERR_FILENO) >= 0);
  body();
  assert_true(dup2(saved, STDERR_FILENO) >= 0);
  close(saved);
  ssize_t count = pread(fd, out, size - 1, 0);
  assert_true(count >= 0);
  out[count] = '\0';
  close(fd);
}

static void log_hostile_text(void) {
  tly_log_setup("speed", TLY_LOG_INFO);
  tly_log(TLY_LOG_DEBUG, "dropped", NULL);
  tly_log(TLY_LOG_WARN, "odd \"event\"", "key=\"%s\" count=%d size=%zu part=%.*s share=%.1f%%", "a\" level=error\n\x01",
          -3, (size_t)1 << 40, 2, "abcd", 12.5);
}

static void logged_text_cannot_leave_its_quotes_or_its_line(void **state) {
  (void)state;
  char out[8192];
  capture_log(log_hostile_text, out, sizeof out);
  assert_int_equal(strncmp(out, "ts=20", 5), 0);
  const char *rest = strchr(out, ' ');
  assert_non_null(rest);
  assert_int_equal(rest[-1], 'Z');
  assert_string_equal(rest,
                      " level=warn process=speed msg=\"odd \\\"event\\\"\" key=\"a\\\" level=error\\n\\x01\" count=-3 "
                      "size=1099511627776 part=ab share=12.5%\n");
}

static void log_a_long_text(void) {
  char text[10000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  tly_log(TLY_LOG_ERROR, "long", "a=\"%s\" b=\"%s\" c=\"%s\" d=1", text, text, text);
}

static void a_line_too_long_is_cut_and_says_so(void **state) {
  (void)state;
  char out[16384];
  capture_log(log_a_long_text, out, sizeof out);
  size_t size = strlen(out);
  assert_true(size <= 4096);
  assert_string_equal(out + size - 10, " cut=true\n");
  assert_ptr_equal(strchr(out, '\n'), out + size - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_status_has_a_name_and_a_sqlstate_of_five),
      cmocka_unit_test(a_failure_knows_its_words_and_its_birthplace),
      cmocka_unit_test(a_message_is_cut_between_characters),
      cmocka_unit_test(errno_gives_its_words_and_a_full_disk_its_own_status),
      cmocka_unit_test(logged_text_cannot_leave_its_quotes_or_its_line),
      cmocka_unit_test(a_line_too_long_is_cut_and_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
