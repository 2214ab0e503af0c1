#include "cli/command.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"

int tly_command_fail(const struct tly_error *error) {
  fprintf(stderr, "tally: %s\n", error->message);
  if (error->hint[0] != 0)
    fprintf(stderr, "hint: %s\n", error->hint);
  return TLY_EXIT_FAILED;
}

struct tly_project *tly_command_load_project(const char *folder) {
  struct tly_project *project;
  struct tly_error error;
  return tly_project_load_or_complain(folder, &project, &error) == TLY_OK ? project : NULL;
}

void tly_command_socket_path(const struct tly_options *options, char *path, size_t size) {
  if (options->socket != NULL)
    snprintf(path, size, "%s", options->socket);
  else
    snprintf(path, size, "%s/tally.sock", options->settings.directory);
}

enum tly_status tly_command_connect(const struct tly_options *options, tly_client **out, struct tly_error *error) {
  char path[4096];
  if (options->host != NULL)
    return tly_client_connect(options->host, true, out, error);
  tly_command_socket_path(options, path, sizeof path);
  enum tly_status status = tly_client_connect(path, false, out, error);
  if (status == TLY_E_CONNECTION && options->socket == NULL)
    tly_error_hint(error, "start it with `tally run PROJECT --data %s`, or name another folder with --data",
                   options->settings.directory);
  return status;
}

json_t *tly_command_caller(const struct tly_options *options) {
  const struct passwd *user = getpwuid(geteuid());
  char host[65] = "";
  if (options->by != NULL)
    return json_string(options->by);
  if (gethostname(host, sizeof host - 1) != 0)
    host[0] = 0;
  return json_sprintf("%.60s@%s", user != NULL ? user->pw_name : "unknown", host);
}
