/* batch_layer/stream_record.h -- a stream's definition as the archive remembers it, to see what changed between two
 * starts. Thread: pure. */
#ifndef TLY_BATCH_STREAM_RECORD_H
#define TLY_BATCH_STREAM_RECORD_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/sql/typed_tree.h"

/* JSON of the columns, appended to `out`. */
void tly_stream_record_write(const struct tly_stream *stream, struct tly_buffer *out);
/* Compare with what was recorded. Nullable columns may have been added (*added is true then); any other change is
 * TLY_E_CONFIG with the way out as the hint. */
TLY_CHECK enum tly_status tly_stream_record_compare(const struct tly_stream *stream, const char *recorded, bool *added,
                                                    struct tly_error *error);

#endif
