#include "serving_layer/stream_scan.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

struct tly_stream_scan {
  const struct tly_stream_use *use;
  struct tly_control *control;
  struct tly_stream_range range;
  tly_archive_reader *reader; /* its own: a batch's texts live with their reader */
  struct tly_event_batch batch;
  struct tly_arena list_arena; /* of `refs` */
  struct tly_block_ref *refs;
  uint32_t ref_count, ref_index; /* the block that is read is ref_index - 1 */
  uint32_t head_index;           /* the partition */
  int64_t next_offset;           /* where the next block begins */
  int64_t block_offset;          /* of the batch's first row */
  uint32_t row, row_end;         /* of the batch; row is the present event after next */
  bool is_begun;                 /* `row` is an event that was given */
  bool wanted[TLY_COLUMNS_MAX];
};

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

struct tly_stream_range tly_stream_range_all(void) {
  return (struct tly_stream_range){
      .partition_high = INT64_MAX, .offset_high = INT64_MAX, .time_low_us = INT64_MIN, .time_high_us = INT64_MAX};
}

static void raise_low(int64_t *low, int64_t value) {
  if (value > *low)
    *low = value;
}

static void lower_high(int64_t *high, int64_t value) {
  if (value < *high)
    *high = value;
}

static void narrow(int64_t *low, int64_t *high, char operator, int64_t value) {
  bool has_lower = value > INT64_MIN, has_higher = value < INT64_MAX;
  switch (operator) {
  case '=':
    raise_low(low, value);
    lower_high(high, value);
    break;
  case 'g': raise_low(low, value); break;
  case 'l': lower_high(high, value); break;
  case '>': raise_low(low, has_higher ? value + 1 : value); break; /* SQLite asks again: too wide is no harm */
  case '<': lower_high(high, has_lower ? value - 1 : value); break;
  default: TLY_UNREACHABLE();
  }
}

void tly_stream_range_partition(struct tly_stream_range *range, char operator, int64_t value) {
  narrow(&range->partition_low, &range->partition_high, operator, value);
}

void tly_stream_range_offset(struct tly_stream_range *range, char operator, int64_t value) {
  narrow(&range->offset_low, &range->offset_high, operator, value);
}

void tly_stream_range_time(struct tly_stream_range *range, char operator, int64_t us) {
  range->has_time = true;
  narrow(&range->time_low_us, &range->time_high_us, operator, us);
}

/* ---- scans ------------------------------------------------------------------------------------------------------- */

enum tly_status tly_stream_scan_open(const struct tly_stream_use *use, const struct tly_source *source,
                                     struct tly_control *control, const struct tly_stream_range *range,
                                     const bool *wanted, tly_stream_scan **out, struct tly_error *error) {
  tly_stream_scan *scan = tly_calloc(1, sizeof *scan);
  *out = scan;
  scan->use = use;
  scan->control = control;
  scan->range = *range;
  memcpy(scan->wanted, wanted, use->stream->column_count * sizeof *wanted);
  tly_arena_init(&scan->list_arena);
  tly_event_batch_init(&scan->batch, use->stream);
  scan->next_offset = range->offset_low;
  enum tly_status status = use->head_count > 0 ? source->archive(source->context, &scan->reader, error) : TLY_OK;
  if (status == TLY_OK)
    return TLY_OK;
  tly_stream_scan_close(scan);
  *out = NULL;
  return status;
}

void tly_stream_scan_close(tly_stream_scan *scan) {
  if (scan == NULL)
    return;
  tly_event_batch_free(&scan->batch);
  if (scan->reader != NULL)
    tly_archive_reader_close(scan->reader);
  tly_arena_free(&scan->list_arena);
  tly_free(scan);
}

static const struct tly_position *head_of(const tly_stream_scan *scan) {
  return scan->head_index < scan->use->head_count ? &scan->use->heads[scan->head_index] : NULL;
}

/* One past the last offset wanted of the present partition; 0: nothing of it. */
static int64_t end_of(const tly_stream_scan *scan, const struct tly_position *head) {
  const struct tly_stream_range *range = &scan->range;
  if (head->partition < range->partition_low || head->partition > range->partition_high || range->offset_high < 0)
    return 0;
  return range->offset_high < head->next_offset ? range->offset_high + 1 : head->next_offset;
}

static enum tly_status missing(const struct tly_position *head, int64_t offset, struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "the events of stream \"%s\" do not continue at offset %lld of partition %u",
                  head->stream, (long long)offset, head->partition);
}

/* The next blocks of the present partition, or of the first one after it that has some. */
static enum tly_status list_blocks(tly_stream_scan *scan, struct tly_error *error) {
  const struct tly_position *head;
  scan->ref_count = scan->ref_index = 0;
  while ((head = head_of(scan)) != NULL && scan->next_offset >= end_of(scan, head)) {
    scan->head_index++;
    scan->next_offset = scan->range.offset_low;
  }
  if (head == NULL)
    return TLY_OK;
  tly_arena_reset(&scan->list_arena);
  TLY_TRY(tly_archive_reader_blocks(scan->reader, scan->use->stream, head->partition, scan->next_offset, INT64_MAX,
                                    TLY_EXPORT_BLOCKS_LISTED, &scan->list_arena, &scan->refs, &scan->ref_count, error));
  if (scan->ref_count == 0 || scan->refs[0].first_offset > scan->next_offset)
    return missing(head, scan->next_offset, error);
  return TLY_OK;
}

/* Whether no event of the block can be in the range of event time. */
static bool is_left_out(const struct tly_stream_range *range, const struct tly_block_ref *ref) {
  return range->has_time &&
         (!ref->has_time || ref->time_max_us < range->time_low_us || ref->time_min_us > range->time_high_us);
}

/* Read the next block of the list; its rows in the range may be none. */
static enum tly_status read_block(tly_stream_scan *scan, struct tly_error *error) {
  static const bool none[TLY_COLUMNS_MAX];
  const struct tly_block_ref *ref = &scan->refs[scan->ref_index++];
  int64_t end = end_of(scan, head_of(scan)), block_end = ref->first_offset + ref->event_count;
  bool left_out = is_left_out(&scan->range, ref);
  TLY_TRY(tly_control_check(scan->control, error));
  TLY_TRY(tly_archive_reader_read(scan->reader, scan->use->stream, ref, left_out ? none : scan->wanted, false,
                                  &scan->batch, error));
  scan->row = (uint32_t)(scan->next_offset - ref->first_offset);
  scan->row_end = left_out ? scan->row : block_end < end ? ref->event_count : (uint32_t)(end - ref->first_offset);
  scan->next_offset = block_end;
  scan->block_offset = ref->first_offset;
  scan->is_begun = false;
  if (block_end >= end) /* the rest of the list lies behind the range */
    scan->ref_index = scan->ref_count;
  return TLY_OK;
}

enum tly_status tly_stream_scan_next(tly_stream_scan *scan, bool *has_event, struct tly_error *error) {
  *has_event = false;
  if (scan->is_begun)
    scan->row++;
  while (scan->row >= scan->row_end) {
    if (scan->ref_index == scan->ref_count)
      TLY_TRY(list_blocks(scan, error));
    if (scan->ref_count == 0)
      return TLY_OK;
    TLY_TRY(read_block(scan, error));
  }
  scan->is_begun = true;
  *has_event = true;
  return TLY_OK;
}

struct tly_value tly_stream_scan_column(const tly_stream_scan *scan, uint32_t column) {
  TLY_ASSERT(scan->is_begun && scan->wanted[column]);
  return tly_vector_value(&scan->batch.columns[column], scan->row);
}

uint32_t tly_stream_scan_partition(const tly_stream_scan *scan) {
  return head_of(scan)->partition;
}

int64_t tly_stream_scan_offset(const tly_stream_scan *scan) {
  return scan->block_offset + scan->row;
}
