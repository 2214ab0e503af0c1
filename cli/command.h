/* cli/command.h -- what a command is, and what commands share.
 * Thread: main. */
#ifndef TLY_CLI_COMMAND_H
#define TLY_CLI_COMMAND_H

#include <jansson.h>

#include "cli/options.h"
#include "common/sql/project.h"
#include "common/wire/client.h"

enum { TLY_EXIT_OK = 0, TLY_EXIT_FAILED = 1, TLY_EXIT_USAGE = 2 };

struct tly_command {
  const char *name;
  const char *summary; /* one line of `tally --help`; NULL: not listed (for the supervisor's own use) */
  const char *help;    /* `tally NAME --help` */
  bool has_project;    /* the first argument is a project's folder */
  int argument_min, argument_max;
  int (*run)(struct tly_options *options); /* gives the exit code */
};

/* Who gives the command, for the record: what --by says, else user@host. The caller decrefs it; NULL: --by is no valid
 * UTF-8. */
json_t *tly_command_caller(const struct tly_options *options);

int tly_command_run(struct tly_options *options);
int tly_command_check(struct tly_options *options);
int tly_command_ingest(struct tly_options *options);
int tly_command_backfill(struct tly_options *options);
int tly_command_query(struct tly_options *options);
int tly_command_recompute(struct tly_options *options);
int tly_command_reconcile(struct tly_options *options);
int tly_command_reconcile_ledger(struct tly_options *options); /* with --against */
int tly_command_reconciliations(struct tly_options *options);
int tly_command_breaks(struct tly_options *options);
int tly_command_break(struct tly_options *options);
int tly_command_publish(struct tly_options *options);
int tly_command_rollback(struct tly_options *options);
int tly_command_report(struct tly_options *options);
int tly_command_runs(struct tly_options *options);
int tly_command_pause(struct tly_options *options);
int tly_command_resume(struct tly_options *options);
int tly_command_cancel(struct tly_options *options);
int tly_command_status(struct tly_options *options);
int tly_command_views(struct tly_options *options);
int tly_command_archive(struct tly_options *options);

/* "tally: words" and the hint on stderr; gives TLY_EXIT_FAILED. */
int tly_command_fail(const struct tly_error *error);
/* Load the project or print every problem with its caret; NULL then. The caller frees. */
struct tly_project *tly_command_load_project(const char *folder);
/* Connect as --host, --socket or --data say. */
TLY_CHECK enum tly_status tly_command_connect(const struct tly_options *options, tly_client **out,
                                              struct tly_error *error);
/* The bytes of the data folder's socket path are put into `path`. */
void tly_command_socket_path(const struct tly_options *options, char *path, size_t size);

#endif
