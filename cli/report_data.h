/* cli/report_data.h -- what a compliance file keeps of a reconciliation or a run, as one JSON object.
 *
 * Path of a report: batch.db -> [report data] -> report_html, report_csv, or as it is.
 *
 * Every form of a report is a rendering of this object and adds nothing. It is made of what was recorded when the
 * reconciliation or the run ended and never changes after: statuses and ages are of then, so a report has the same
 * bytes whenever it is made. Thread: main. */
#ifndef TLY_CLI_REPORT_DATA_H
#define TLY_CLI_REPORT_DATA_H

#include <jansson.h>

#include "common/base/error.h"

/* The caller decrefs *out. TLY_E_UNDEFINED_OBJECT: there is none of that number; TLY_E_NOT_READY: there is no batch.db,
 * or the run is under way. */
TLY_CHECK enum tly_status tly_report_reconciliation(const char *directory, int64_t id, json_t **out,
                                                    struct tly_error *error);
TLY_CHECK enum tly_status tly_report_run(const char *directory, int64_t id, json_t **out, struct tly_error *error);

#endif
