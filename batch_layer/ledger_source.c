#include "batch_layer/ledger_source.h"

#include <string.h>

#include "common/base/memory.h"

static const char *find(const struct tly_option *options, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(options[i].name, name) == 0)
      return options[i].value;
  return NULL;
}

const char *tly_ledger_option(const struct tly_ledger *ledger, const char *name) {
  return find(ledger->options, ledger->option_count, name);
}

const char *tly_ledger_server_option(const struct tly_ledger *ledger, const char *name) {
  return find(ledger->server->options, ledger->server->option_count, name);
}

char *tly_ledger_path(const char *project, const char *folder, const char *name) {
  struct tly_buffer path = {0};
  if (name[0] != '/' && (folder == NULL || folder[0] != '/'))
    tly_buffer_print(&path, "%s/", project);
  if (name[0] != '/' && folder != NULL)
    tly_buffer_print(&path, "%s/", folder);
  tly_buffer_append_text(&path, name);
  char *copy = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return copy;
}

void tly_ledger_print_name(const char *name, struct tly_buffer *out) {
  tly_buffer_append_byte(out, '"');
  for (const char *at = name; *at != '\0'; at++) {
    if (*at == '"')
      tly_buffer_append_byte(out, '"');
    tly_buffer_append_byte(out, (uint8_t)*at);
  }
  tly_buffer_append_byte(out, '"');
}

void tly_ledger_print_columns(const struct tly_ledger *ledger, const char *behind, struct tly_buffer *out) {
  for (uint32_t i = 0; i < ledger->column_count; i++) {
    if (i > 0)
      tly_buffer_append_byte(out, ',');
    tly_ledger_print_name(ledger->columns[i].remote_name, out);
    tly_buffer_append_text(out, behind);
  }
}

bool tly_ledger_has_filler(const struct tly_ledger *ledger) {
  return ledger->column_count == 1;
}

void tly_ledger_print_header(const struct tly_ledger *ledger, struct tly_buffer *out) {
  tly_ledger_print_columns(ledger, "", out);
  tly_buffer_append_text(out, tly_ledger_has_filler(ledger) ? ",\"\"\n" : "\n");
}
