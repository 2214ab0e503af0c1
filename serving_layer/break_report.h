/* serving_layer/break_report.h -- reconciliations with ledgers and their breaks: the methods breaks and
 * reconciliations.
 *
 * Path of a request: work -> report -> [break report] -> reply. The shapes are in docs/PROTOCOL.md.
 * Thread: that of the source. */
#ifndef TLY_SERVING_BREAK_REPORT_H
#define TLY_SERVING_BREAK_REPORT_H

#include <jansson.h>

#include "common/base/clock.h"
#include "serving_layer/store_source.h"

/* Members are added to *out. Ages are as of now. A batch.db that is not there yet is an empty one. */
TLY_CHECK enum tly_status tly_report_breaks(tly_store_source *source, const json_t *params, json_t *out,
                                            struct tly_error *error);
TLY_CHECK enum tly_status tly_report_reconciliations(tly_store_source *source, const json_t *params, json_t *out,
                                                     struct tly_error *error);

#endif
