#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

/* A message that had to be cut ends in a whole UTF-8 character: it goes to clients as JSON. */
static void end_in_whole_character(char *text) {
  size_t size = strlen(text);
  size_t start = size;
  while (start > 0 && ((uint8_t)text[start - 1] & 0xC0) == 0x80)
    start--;
  if (start == 0)
    return;
  uint8_t lead = (uint8_t)text[start - 1];
  size_t needed = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size - (start - 1) < needed)
    text[start - 1] = '\0';
}

static void print_words(char *out, size_t size, const char *format, va_list arguments) {
  int needed = vsnprintf(out, size, format, arguments);
  TLY_ASSERT(needed >= 0);
  if ((size_t)needed >= size)
    end_in_whole_character(out);
}

static void set_words(struct tly_error *error, enum tly_status status, const char *file, int line, const char *format,
                      va_list arguments) {
  error->status = status;
  error->position = 0;
  error->born_file = file;
  error->born_line = line;
  error->hint[0] = '\0';
  print_words(error->message, sizeof error->message, format, arguments);
}

enum tly_status tly_error_set(struct tly_error *error, enum tly_status status, const char *file, int line,
                              const char *format, ...) {
  TLY_ASSERT(status != TLY_OK);
  if (error == NULL)
    return status;
  va_list arguments;
  va_start(arguments, format);
  set_words(error, status, file, line, format, arguments);
  va_end(arguments);
  return status;
}

enum tly_status tly_error_set_errno(struct tly_error *error, enum tly_status status, const char *file, int line,
                                    const char *format, ...) {
  int saved_errno = errno;
  TLY_ASSERT(status != TLY_OK);
  if (saved_errno == ENOSPC || saved_errno == EDQUOT)
    status = TLY_E_DISK_FULL;
  if (error == NULL)
    return status;
  va_list arguments;
  va_start(arguments, format);
  set_words(error, status, file, line, format, arguments);
  va_end(arguments);
  char words[128];
  size_t size = strlen(error->message);
  int needed = snprintf(error->message + size, sizeof error->message - size, ": %s",
                        strerror_r(saved_errno, words, sizeof words));
  if (needed > 0 && (size_t)needed >= sizeof error->message - size)
    end_in_whole_character(error->message);
  return status;
}

void tly_error_hint(struct tly_error *error, const char *format, ...) {
  if (error == NULL)
    return;
  va_list arguments;
  va_start(arguments, format);
  print_words(error->hint, sizeof error->hint, format, arguments);
  va_end(arguments);
}
