/* serving_layer/stream_scan.h -- the events of a stream as rows: what the archive holds, in a range of positions and of
 * event time.
 *
 * Path of an answer: archive_reader -> [stream_scan] -> stream_table -> SQLite -> encode.
 *
 * Blocks outside of the range are not decoded, yet their checksums are compared: their range is trusted then. Memory:
 * the columns that are wanted of one block. Thread: a scan belongs to one thread. */
#ifndef TLY_SERVING_STREAM_SCAN_H
#define TLY_SERVING_STREAM_SCAN_H

#include "common/archive/archive_reader.h"
#include "serving_layer/control.h"
#include "serving_layer/source.h"

/* What is known before the rows are: all bounds inclusive. */
struct tly_stream_range {
  int64_t partition_low, partition_high, offset_low, offset_high;
  bool has_time; /* then events without an event time are not in it */
  int64_t time_low_us, time_high_us;
};
/* Everything. */
struct tly_stream_range tly_stream_range_all(void);
/* Narrow it by <column> <operator> `value`, operator one of = < l(<=) > g(>=). A value that no event can have leaves
 * nothing. */
void tly_stream_range_partition(struct tly_stream_range *range, char operator, int64_t value);
void tly_stream_range_offset(struct tly_stream_range *range, char operator, int64_t value);
void tly_stream_range_time(struct tly_stream_range *range, char operator, int64_t us);

/* Where the stream ended when the statement began. */
struct tly_stream_use {
  const struct tly_stream *stream;
  struct tly_position *heads; /* of this stream, by partition */
  uint32_t head_count;
};

typedef struct tly_stream_scan tly_stream_scan;

/* `use` and `control` outlive the scan. Columns with wanted[c] are read, of the stream's columns; it is copied. */
TLY_CHECK enum tly_status tly_stream_scan_open(const struct tly_stream_use *use, const struct tly_source *source,
                                               struct tly_control *control, const struct tly_stream_range *range,
                                               const bool *wanted, tly_stream_scan **out, struct tly_error *error);
void tly_stream_scan_close(tly_stream_scan *scan);
/* To the next event, by partition and offset; *has_event false at the end. Events of a block that lie outside of the
 * range of event time may be given: who asks looks again. */
TLY_CHECK enum tly_status tly_stream_scan_next(tly_stream_scan *scan, bool *has_event, struct tly_error *error);
/* Of the present event. Text borrows from the scan until the next call of next. */
struct tly_value tly_stream_scan_column(const tly_stream_scan *scan, uint32_t column);
uint32_t tly_stream_scan_partition(const tly_stream_scan *scan);
int64_t tly_stream_scan_offset(const tly_stream_scan *scan);

#endif
