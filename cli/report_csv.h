/* cli/report_csv.h -- a report as CSV, in long form: section, item, field, value.
 *
 * Path of a report: report_data -> [report csv] -> stdout or a file.
 *
 * Every value of the report is a row, so nothing is lost and INCOMPLETE stands in its first rows. `section` is the
 * member of the report ("report" for its plain ones); `item` numbers the rows of a list from 1; `field` is the path in
 * it. Values are exact and never changed: one that begins with =, +, - or @ stays as it is, since a compliance file has
 * to have what was there. Who opens it in a spreadsheet imports the columns as text. NULL is an empty value, an empty
 * text is "". Thread: main. */
#ifndef TLY_CLI_REPORT_CSV_H
#define TLY_CLI_REPORT_CSV_H

#include <jansson.h>

#include "common/base/buffer.h"

void tly_report_csv(const json_t *report, struct tly_buffer *out);

#endif
