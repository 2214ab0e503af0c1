/* cli/drift_report.h -- what the drift check found: groups that differ, the events that explain it, the last result.
 * Thread: main. */
#ifndef TLY_CLI_DRIFT_REPORT_H
#define TLY_CLI_DRIFT_REPORT_H

#include "cli/command.h"

/* The members of "drift_rows": in table form the groups, then a sentence a group that was explained, with its first
 * events; as csv with that sentence as a column; as json whole. Nothing for an empty list. */
void tly_drift_report_rows(const json_t *rows, enum tly_output_format format, FILE *out);

/* What the last run that computed the view found, as "run" (absent: there was none), "finished_at", "state", "drift"
 * (null: there was nothing to compare with) and "drift_rows". The caller owns *out. */
TLY_CHECK enum tly_status tly_drift_report_last(const struct tly_options *options, const char *view, json_t **out,
                                                struct tly_error *error);
/* A line about it: `VIEW: last compared by run 7, published at ..., drift 0`. */
void tly_drift_report_print_last(const char *view, const json_t *last, FILE *out);

#endif
