/* tally report: what a compliance file keeps of a reconciliation or a run. It reads the data folder itself, whether a
 * server runs on it or not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/report_csv.h"
#include "cli/report_data.h"
#include "cli/report_html.h"
#include "common/base/file.h"
#include "common/sqlite/sqlite.h"

typedef enum tly_status (*read_function)(const char *directory, int64_t id, json_t **out, struct tly_error *error);

static void print_json(const json_t *report, struct tly_buffer *out) {
  char *text = json_dumps(report, JSON_INDENT(2));
  tly_buffer_append_text(out, text);
  tly_buffer_append_byte(out, '\n');
  free(text);
}

static const struct form {
  const char *name;
  void (*print)(const json_t *report, struct tly_buffer *out);
} forms[] = {{"html", tly_report_html}, {"csv", tly_report_csv}, {"json", print_json}};

/* NULL: there is no such form. */
static const struct form *find_form(const char *name) {
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    if (strcmp(name, forms[i].name) == 0)
      return &forms[i];
  return NULL;
}

static bool read_number(const char *text, int64_t *out) {
  char *end;
  errno = 0;
  *out = strtoll(text, &end, 10);
  return *text >= '1' && *text <= '9' && *end == '\0' && errno == 0;
}

static int usage(const char *words, const char *what) {
  fprintf(stderr, "tally report: %s \"%s\"\nSee tally report --help\n", words, what);
  return TLY_EXIT_USAGE;
}

static enum tly_status hand_over(const char *path, const struct tly_buffer *text, struct tly_error *error) {
  if (path != NULL)
    return tly_file_replace(path, text->data, text->size, error);
  if (fwrite(text->data, 1, text->size, stdout) != text->size)
    return TLY_FAIL(error, TLY_E_IO, "cannot write the report: %s", strerror(errno));
  return TLY_OK;
}

static int make_report(read_function read, int64_t number, const struct form *form, const struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer text = {0};
  json_t *report;
  enum tly_status status = read(options->settings.directory, number, &report, &error);
  if (status == TLY_OK) {
    form->print(report, &text);
    status = hand_over(options->output, &text, &error);
    json_decref(report);
  }
  tly_buffer_free(&text);
  return status == TLY_OK ? TLY_EXIT_OK : tly_command_fail(&error);
}

int tly_command_report(struct tly_options *options) {
  const char *what = options->arguments[0], *format = options->format_text != NULL ? options->format_text : "html";
  bool is_run = strcmp(what, "run") == 0;
  const struct form *form = find_form(format);
  int64_t number;
  if (!is_run && strcmp(what, "reconciliation") != 0)
    return usage("there are reports of a reconciliation and of a run, not of", what);
  if (!read_number(options->arguments[1], &number))
    return usage("the number of a run or reconciliation is a whole number from 1 on, not", options->arguments[1]);
  if (form == NULL)
    return usage("--format is html, csv or json, not", format);
  tly_sqlite_setup();
  return make_report(is_run ? tly_report_run : tly_report_reconciliation, number, form, options);
}
