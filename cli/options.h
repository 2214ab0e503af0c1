/* cli/options.h -- arguments, environment and tally.conf, in that precedence, as settings.
 *
 * Every setting has one row in the table of options.c: its flag, its environment variable, its key in tally.conf, its
 * default and its bounds. Thread: main. */
#ifndef TLY_CLI_OPTIONS_H
#define TLY_CLI_OPTIONS_H

#include <stdbool.h>

#include "common/base/process.h"

enum tly_output_format { TLY_OUTPUT_TABLE, TLY_OUTPUT_CSV, TLY_OUTPUT_JSON, TLY_OUTPUT_NDJSON };

#define TLY_OUTPUT_WORDS "--format is table, csv, json or ndjson"

enum { TLY_ARGUMENTS_MAX = 1024 };

struct tly_options {
  struct tly_settings settings;
  const char *socket, *host; /* client commands: --socket PATH, --host HOST:PORT */
  enum tly_output_format format;
  const char *format_text; /* as given, for ingest (json | csv); NULL: not given */
  bool is_other_format;    /* format_text is none of those: for a command with words of its own */
  bool wait, full, help;
  const char *against, *tolerance;  /* reconcile */
  bool last;                        /* reconcile */
  const char *status, *reason, *by; /* break, publish, rollback (with `to`) */
  const char *job;                  /* recompute */
  bool all;                         /* breaks */
  bool queue, follow;               /* runs */
  /* archive export, as given; NULL: not given */
  const char *partition, *from_offset, *to_offset, *from, *to, *cut, *columns, *output, *compress;
  bool positions;
  const char *rate, *name, *max_rejected;   /* backfill, as given; NULL: not given */
  const char *arguments[TLY_ARGUMENTS_MAX]; /* what is no option */
  int argument_count;
};

/* Parse what stands behind the command's name. Usage errors are TLY_E_CONFIG with words. tally.conf is read from
 * --config FILE, else from PROJECT/tally.conf when `has_project` (the first argument is the project's folder). */
TLY_CHECK enum tly_status tly_options_parse(int argc, char **argv, bool has_project, struct tly_options *out,
                                            struct tly_error *error);

#endif
