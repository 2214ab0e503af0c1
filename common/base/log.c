/* A line must stay one line and its values must stay where their quotes put them, whatever text is logged: an event's
 * bytes, a client's SQL. Formatting first and escaping afterwards cannot tell a quote of the format from a quote of a
 * value. So the fields' format is walked here: each conversion is formatted on its own, and what came from a %s or %c
 * is escaped while it is copied.
 *
 * No memory is allocated, because "out of memory" is logged too. A line that does not fit is cut and says so. */
#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { LINE_BYTES_MAX = 4096, CONVERSION_BYTES_MAX = 2048, SPECIFICATION_BYTES_MAX = 32 };

static const char cut_mark[] = " cut=true\n";

static struct {
  const char *process;
  enum tly_log_level level;
} setup = {"tally", TLY_LOG_INFO};

struct line {
  char text[LINE_BYTES_MAX];
  size_t size;
  bool is_cut;
};

void tly_log_setup(const char *process, enum tly_log_level level) {
  setup.process = process;
  setup.level = level;
}

static void append_bytes(struct line *line, const char *bytes, size_t size) {
  size_t room = sizeof line->text - sizeof cut_mark - line->size;
  if (line->is_cut || size > room) {
    line->is_cut = true; /* a cut line takes nothing more: no half escapes, no later fields */
    return;
  }
  memcpy(line->text + line->size, bytes, size);
  line->size += size;
}

static void append_text(struct line *line, const char *text) {
  append_bytes(line, text, strlen(text));
}

static void append_escaped(struct line *line, const char *text) {
  for (; *text != '\0'; text++) {
    unsigned char byte = (unsigned char)*text;
    char escape[8];
    if (byte == '"' || byte == '\\')
      snprintf(escape, sizeof escape, "\\%c", byte);
    else if (byte == '\n')
      snprintf(escape, sizeof escape, "\\n");
    else if (byte < 0x20 || byte == 0x7F)
      snprintf(escape, sizeof escape, "\\x%02x", byte);
    else
      snprintf(escape, sizeof escape, "%c", byte);
    append_text(line, escape);
  }
}

/* One conversion: `specification` is "%...d" without its stars, whose values were put in already. */
struct conversion {
  char specification[SPECIFICATION_BYTES_MAX];
  size_t size;
  int long_count; /* l: 1, ll, j, z, t: 2 (all 64 bits wide here); L: 3 */
};

static void add_character(struct conversion *conversion, char character) {
  if (conversion->size + 1 < sizeof conversion->specification)
    conversion->specification[conversion->size++] = character;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void format_conversion(struct line *line, const struct conversion *conversion, char kind, va_list *arguments) {
  char text[CONVERSION_BYTES_MAX];
  const char *specification = conversion->specification;
  switch (kind) {
  case 's': snprintf(text, sizeof text, specification, va_arg(*arguments, const char *)); break;
  case 'c': snprintf(text, sizeof text, specification, va_arg(*arguments, int)); break;
  case 'p': snprintf(text, sizeof text, specification, va_arg(*arguments, void *)); break;
  case 'e':
  case 'f':
  case 'g': snprintf(text, sizeof text, specification, va_arg(*arguments, double)); break;
  default: /* the integers: d i u x X o */
    if (conversion->long_count > 0)
      snprintf(text, sizeof text, specification, va_arg(*arguments, long long));
    else
      snprintf(text, sizeof text, specification, va_arg(*arguments, int));
  }
  append_escaped(line, text);
}
#pragma GCC diagnostic pop

/* Formats the conversion that starts behind the percent sign at `format`; returns what follows it. */
static const char *append_conversion(struct line *line, const char *format, va_list *arguments) {
  struct conversion conversion = {.specification = "%", .size = 1};
  for (; *format != '\0' && strchr("-+ #0123456789.*lhjzt", *format) != NULL; format++) {
    if (*format == '*') {
      char number[16];
      snprintf(number, sizeof number, "%d", va_arg(*arguments, int));
      for (const char *digit = number; *digit != '\0'; digit++)
        add_character(&conversion, *digit);
      continue;
    }
    conversion.long_count += strchr("ljzt", *format) != NULL;
    add_character(&conversion, *format);
  }
  if (*format == '%') {
    append_text(line, "%");
    return format + 1;
  }
  if (*format == '\0')
    return format;
  add_character(&conversion, *format);
  format_conversion(line, &conversion, *format, arguments);
  return format + 1;
}

static void append_fields(struct line *line, const char *format, va_list *arguments) {
  while (*format != '\0') {
    size_t plain = strcspn(format, "%");
    append_bytes(line, format, plain);
    format += plain;
    if (*format == '%')
      format = append_conversion(line, format + 1, arguments);
  }
}

static void append_time(struct line *line) {
  int64_t now_us = tly_clock_now_us(&tly_clock_real);
  time_t seconds = (time_t)(now_us / 1000000);
  struct tm parts;
  char text[48];
  gmtime_r(&seconds, &parts);
  size_t size = strftime(text, sizeof text, "ts=%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + size, sizeof text - size, ".%03dZ", (int)(now_us / 1000 % 1000));
  append_text(line, text);
}

static void write_line(const struct line *line) {
  ssize_t written;
  do
    written = write(STDERR_FILENO, line->text, line->size);
  while (written < 0 && errno == EINTR);
}

void tly_log(enum tly_log_level level, const char *message, const char *fields, ...) {
  static const char *const names[] = {"debug", "info", "warn", "error"};
  if (level < setup.level)
    return;
  int saved_errno = errno;
  struct line line = {.size = 0};
  append_time(&line);
  append_text(&line, " level=");
  append_text(&line, names[level]);
  append_text(&line, " process=");
  append_text(&line, setup.process);
  append_text(&line, " msg=\"");
  append_escaped(&line, message);
  append_text(&line, "\"");
  if (fields != NULL) {
    va_list arguments;
    va_start(arguments, fields);
    append_text(&line, " ");
    append_fields(&line, fields, &arguments);
    va_end(arguments);
  }
  const char *end = line.is_cut ? cut_mark : "\n";
  memcpy(line.text + line.size, end, strlen(end));
  line.size += strlen(end);
  write_line(&line);
  errno = saved_errno;
}
