/* serving_layer/report.h -- what there is and how it is: the methods runs, status and views, and those
 * of break_report.h.
 *
 * Path of a request: work -> [report] -> reply. The shapes are in docs/PROTOCOL.md.
 * Thread: that of the source. */
#ifndef TLY_SERVING_REPORT_H
#define TLY_SERVING_REPORT_H

#include "common/base/process.h"
#include "common/wire/request.h"
#include "serving_layer/store_source.h"

/* The caller decrefs *out. Stores that are not there yet count as empty. */
TLY_CHECK enum tly_status tly_report(tly_store_source *source, const struct tly_programs *programs,
                                     const struct tly_settings *settings, const struct tly_request *request,
                                     json_t **out, struct tly_error *error);

#endif
