#include "cli/options.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

/* One row a setting. The key of tally.conf is the flag without dashes, '-' as '_'; the environment variable is TALLY_
 * and the key in capitals. Texts that come from the file are kept for the life of the process. */
struct setting {
  const char *flag;
  size_t offset;
  bool is_text;
  bool is_wide; /* int64_t, else int */
  int64_t minimum, maximum;
};

#define TEXT(name, member)                                                                                             \
  { name, offsetof(struct tly_settings, member), true, false, 0, 0 }
#define NUMBER(name, member, a, b)                                                                                     \
  { name, offsetof(struct tly_settings, member), false, false, a, b }
#define WIDE(name, member, a, b)                                                                                       \
  { name, offsetof(struct tly_settings, member), false, true, a, b }

static const struct setting settings_table[] = {
    TEXT("--data", directory),
    TEXT("--listen", listen),
    TEXT("--ledger-folder", ledger_folder),
    NUMBER("--recompute-threads", recompute_threads, 0, 256),
    NUMBER("--query-timeout-ms", query_timeout_ms, 1, 3600000),
    NUMBER("--query-memory-bytes", query_memory_bytes, 1 << 20, INT32_MAX),
    NUMBER("--keep-runs", keep_runs, 1, 1000),
    WIDE("--seal-bytes", seal_bytes, 1 << 20, INT64_MAX),
    WIDE("--seal-age-s", seal_age_s, 1, INT64_MAX),
};

enum { SETTING_COUNT = sizeof settings_table / sizeof settings_table[0], KEY_SIZE = 64 };

static const struct tly_settings defaults = {
    .directory = "./tally-data",
    .query_timeout_ms = TLY_QUERY_TIMEOUT_MS,
    .query_memory_bytes = 256 << 20,
    .keep_runs = 3,
    .seal_bytes = 64 << 20,
    .seal_age_s = 3600,
};

static enum tly_status parse_number(const char *text, int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (*text == 0 || *end != 0 || errno != 0)
    return TLY_E_CONFIG;
  *out = value;
  return TLY_OK;
}

/* `where` names the source in an error: a flag, a variable, a line of a file. */
static enum tly_status apply(const struct setting *setting, const char *text, const char *where,
                             struct tly_settings *settings, struct tly_error *error) {
  char *member = (char *)settings + setting->offset;
  int64_t value;
  if (setting->is_text) {
    if (*text == 0)
      return TLY_FAIL(error, TLY_E_CONFIG, "%s is empty", where);
    memcpy(member, &text, sizeof text);
    return TLY_OK;
  }
  if (parse_number(text, &value) != TLY_OK || value < setting->minimum || value > setting->maximum)
    return TLY_FAIL(error, TLY_E_CONFIG, "%s must be a whole number from %lld to %lld, not \"%s\"", where,
                    (long long)setting->minimum, (long long)setting->maximum, text);
  if (setting->is_wide)
    memcpy(member, &value, sizeof value);
  else
    memcpy(member, &(int){(int)value}, sizeof(int));
  return TLY_OK;
}

static void key_of(const struct setting *setting, char *key) {
  size_t size = strlen(setting->flag + 2);
  TLY_ASSERT(size < KEY_SIZE);
  memset(key, 0, KEY_SIZE);
  for (size_t i = 0; i < size; i++)
    key[i] = setting->flag[2 + i] == '-' ? '_' : setting->flag[2 + i];
}

/* ---- tally.conf -------------------------------------------------------------------------------------------------- */

struct file_context {
  const char *path;
  struct tly_settings *settings;
  struct tly_error *error;
  enum tly_status status;
};

static int on_pair(void *user, const char *section, const char *name, const char *value) {
  struct file_context *context = user;
  char where[512];
  snprintf(where, sizeof where, "%s: %s", context->path, name);
  if (*section != 0 && strcmp(section, "tally") != 0) {
    context->status = TLY_FAIL(context->error, TLY_E_CONFIG, "%s: unknown section [%s]; there is only [tally]",
                               context->path, section);
    return 0;
  }
  for (int i = 0; i < SETTING_COUNT; i++) {
    char key[KEY_SIZE];
    key_of(&settings_table[i], key);
    if (strcmp(key, name) == 0) {
      context->status = apply(&settings_table[i], tly_strdup(value), where, context->settings, context->error);
      return context->status == TLY_OK;
    }
  }
  context->status = TLY_FAIL(context->error, TLY_E_CONFIG, "%s is no setting; see tally run --help", where);
  return 0;
}

static enum tly_status read_file(const char *path, struct tly_settings *settings, struct tly_error *error) {
  struct file_context context = {.path = path, .settings = settings, .error = error};
  int line = ini_parse(path, on_pair, &context);
  if (context.status != TLY_OK)
    return context.status;
  if (line < 0)
    return TLY_FAIL(error, TLY_E_CONFIG, "cannot read %s", path);
  if (line > 0)
    return TLY_FAIL(error, TLY_E_CONFIG, "%s:%d: not a line of the form key = value", path, line);
  return TLY_OK;
}

static enum tly_status read_environment(struct tly_settings *settings, struct tly_error *error) {
  for (int i = 0; i < SETTING_COUNT; i++) {
    char key[KEY_SIZE], name[KEY_SIZE + 8] = "TALLY_";
    key_of(&settings_table[i], key);
    for (size_t c = 0; key[c] != 0; c++)
      name[6 + c] = (char)(key[c] >= 'a' && key[c] <= 'z' ? key[c] - 32 : key[c]);
    name[6 + strlen(key)] = 0;
    const char *value = getenv(name);
    if (value != NULL)
      TLY_TRY(apply(&settings_table[i], value, name, settings, error));
  }
  return TLY_OK;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

/* `--name value` or `--name=value`: the value, with *index on its argument; NULL when this is another flag. */
static const char *value_of(const char *flag, int argc, char **argv, int *index, bool *missing) {
  const char *argument = argv[*index];
  size_t size = strlen(flag);
  TLY_ASSERT(argument != NULL);
  if (strncmp(argument, flag, size) != 0)
    return NULL;
  if (argument[size] == '=')
    return argument + size + 1;
  if (argument[size] != 0)
    return NULL;
  *missing = *index + 1 >= argc;
  return *missing ? NULL : argv[++*index];
}

static void set_format(const char *text, struct tly_options *out) {
  static const char *const names[] = {"table", "csv", "json", "ndjson"};
  out->format_text = text;
  out->is_other_format = true;
  for (int format = 0; format < 4; format++)
    if (strcmp(text, names[format]) == 0) {
      out->format = (enum tly_output_format)format;
      out->is_other_format = false;
    }
}

/* HTTP and the PostgreSQL protocol are named in the command line's contract; until they are there, only `off` is true.
 */
static enum tly_status refuse_listener(const char *flag, const char *value, struct tly_error *error) {
  if (strcmp(value, "off") == 0)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_CONFIG, "%s %s: this version has no such endpoint yet; use %s off", flag, value, flag);
}

struct value_flag {
  const char *flag;
  size_t offset; /* of a const char * in tly_options */
};

/* Returns whether argv[*index] was an option. Settings given by flags are only remembered in `flags`: they are applied
 * after the file and the environment. */
static enum tly_status take_option(int argc, char **argv, int *index, struct tly_options *out, const char **flags,
                                   const char **config, bool *taken, struct tly_error *error) {
  static const struct value_flag texts[] = {
      {"--socket", offsetof(struct tly_options, socket)},
      {"--host", offsetof(struct tly_options, host)},
      {"--against", offsetof(struct tly_options, against)},
      {"--tolerance", offsetof(struct tly_options, tolerance)},
      {"--status", offsetof(struct tly_options, status)},
      {"--reason", offsetof(struct tly_options, reason)},
      {"--by", offsetof(struct tly_options, by)},
      {"--job", offsetof(struct tly_options, job)},
      {"--partition", offsetof(struct tly_options, partition)},
      {"--from-offset", offsetof(struct tly_options, from_offset)},
      {"--to-offset", offsetof(struct tly_options, to_offset)},
      {"--from", offsetof(struct tly_options, from)},
      {"--to", offsetof(struct tly_options, to)},
      {"--cut", offsetof(struct tly_options, cut)},
      {"--columns", offsetof(struct tly_options, columns)},
      {"--output", offsetof(struct tly_options, output)},
      {"--compress", offsetof(struct tly_options, compress)},
      {"--rate", offsetof(struct tly_options, rate)},
      {"--name", offsetof(struct tly_options, name)},
      {"--max-rejected", offsetof(struct tly_options, max_rejected)},
  };
  const char *value, *argument = argv[*index];
  bool missing = false;
  *taken = true;
  for (int i = 0; i < SETTING_COUNT; i++)
    if ((value = value_of(settings_table[i].flag, argc, argv, index, &missing)) != NULL) {
      flags[i] = value;
      return TLY_OK;
    }
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if ((value = value_of(texts[i].flag, argc, argv, index, &missing)) != NULL) {
      memcpy((char *)out + texts[i].offset, &value, sizeof value);
      return TLY_OK;
    }
  if ((value = value_of("--config", argc, argv, index, &missing)) != NULL) {
    *config = value;
    return TLY_OK;
  }
  if ((value = value_of("--format", argc, argv, index, &missing)) != NULL) {
    set_format(value, out);
    return TLY_OK;
  }
  if ((value = value_of("--http", argc, argv, index, &missing)) != NULL)
    return refuse_listener("--http", value, error);
  if ((value = value_of("--pg", argc, argv, index, &missing)) != NULL)
    return refuse_listener("--pg", value, error);
  if (missing)
    return TLY_FAIL(error, TLY_E_CONFIG, "%s needs a value", argument);
  if (strcmp(argument, "--wait") == 0)
    out->wait = true;
  else if (strcmp(argument, "--full") == 0)
    out->full = true;
  else if (strcmp(argument, "--all") == 0)
    out->all = true;
  else if (strcmp(argument, "--positions") == 0)
    out->positions = true;
  else if (strcmp(argument, "--queue") == 0)
    out->queue = true;
  else if (strcmp(argument, "--last") == 0)
    out->last = true;
  else if (strcmp(argument, "--follow") == 0)
    out->follow = true;
  else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
    out->help = true;
  else
    *taken = false;
  return TLY_OK;
}

static enum tly_status take_arguments(int argc, char **argv, struct tly_options *out, const char **flags,
                                      const char **config, struct tly_error *error) {
  bool only_arguments = false;
  for (int i = 0; i < argc; i++) {
    bool taken = false;
    if (!only_arguments && strcmp(argv[i], "--") == 0) {
      only_arguments = true;
      continue;
    }
    if (!only_arguments)
      TLY_TRY(take_option(argc, argv, &i, out, flags, config, &taken, error));
    if (taken)
      continue;
    if (!only_arguments && argv[i][0] == '-' && argv[i][1] == '-' && argv[i][2] > ' ')
      return TLY_FAIL(error, TLY_E_CONFIG, "unknown option %s", argv[i]);
    if (out->argument_count == TLY_ARGUMENTS_MAX)
      return TLY_FAIL(error, TLY_E_CONFIG, "more than %d arguments", TLY_ARGUMENTS_MAX);
    out->arguments[out->argument_count++] = argv[i];
  }
  return TLY_OK;
}

enum tly_status tly_options_parse(int argc, char **argv, bool has_project, struct tly_options *out,
                                  struct tly_error *error) {
  const char *flags[SETTING_COUNT] = {NULL};
  const char *config = NULL;
  char path[4096];
  *out = (struct tly_options){.settings = defaults};
  TLY_TRY(take_arguments(argc, argv, out, flags, &config, error));
  if (has_project && out->argument_count > 0)
    out->settings.project = out->arguments[0];
  if (config == NULL && out->settings.project != NULL &&
      snprintf(path, sizeof path, "%s/tally.conf", out->settings.project) < (int)sizeof path && tly_file_exists(path))
    config = tly_strdup(path);
  if (config != NULL)
    TLY_TRY(read_file(config, &out->settings, error));
  TLY_TRY(read_environment(&out->settings, error));
  for (int i = 0; i < SETTING_COUNT; i++)
    if (flags[i] != NULL)
      TLY_TRY(apply(&settings_table[i], flags[i], settings_table[i].flag, &out->settings, error));
  if (out->host != NULL && out->socket != NULL)
    return TLY_FAIL(error, TLY_E_CONFIG, "give --socket or --host, not both");
  return TLY_OK;
}
