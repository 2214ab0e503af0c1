/* cli/report_html.h -- a report as one self-contained page: no script, no font, nothing that is fetched.
 *
 * Path of a report: report_data -> [report html] -> stdout or a file.
 *
 * Equal reports give equal bytes. What comes from users (keys, names, reasons, definitions) is escaped; control
 * characters and those that turn the direction of text are shown by their code, as U+202E, so that what is read is what
 * is there. Thread: main. */
#ifndef TLY_CLI_REPORT_HTML_H
#define TLY_CLI_REPORT_HTML_H

#include <jansson.h>

#include "common/base/buffer.h"

/* Append the page to *out. Of long lists it has the first TLY_REPORT_ROWS_MAX rows, and says so. */
void tly_report_html(const json_t *report, struct tly_buffer *out);

#endif
