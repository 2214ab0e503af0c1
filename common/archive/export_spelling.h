/* common/archive/export_spelling.h -- how one event is spelled in an export.
 * Thread: belongs to one thread. */
#ifndef TLY_ARCHIVE_EXPORT_SPELLING_H
#define TLY_ARCHIVE_EXPORT_SPELLING_H

#include "common/archive/export.h"

/* One column of a typed line. */
struct tly_export_field {
  uint32_t column;
  size_t label, label_size; /* in `labels`: what stands before the value */
};

struct tly_export_spelling {
  const struct tly_export_request *request;
  struct tly_export_field *fields; /* in the arena given to init */
  uint32_t field_count;
  struct tly_buffer labels;
  /* raw: what the events came as, once there was one. */
  bool has_source;
  enum tly_format source_format;
  struct tly_buffer source_header;
};

/* `request` and `arena` must outlive it. TLY_E_DUPLICATE_COLUMN: a column of the stream has the name of a position
 * column. The caller frees, also after a failure. */
TLY_CHECK enum tly_status tly_export_spelling_init(struct tly_export_spelling *spelling,
                                                   const struct tly_export_request *request, struct tly_arena *arena,
                                                   struct tly_error *error);
void tly_export_spelling_free(struct tly_export_spelling *spelling);
/* Which columns of a block must be read for it; sets wanted[] of the stream's columns. */
void tly_export_spelling_want(const struct tly_export_spelling *spelling, bool *wanted);

/* Before the first event: the header line of CSV. */
void tly_export_spelling_begin(struct tly_export_spelling *spelling, struct tly_buffer *out);
/* Before the first event of a batch: `position` is its partition and offset. A raw export writes the header line of CSV
 * here, and refuses a batch that came otherwise than those before (TLY_E_FILE_FORMAT). */
TLY_CHECK enum tly_status tly_export_spelling_batch(struct tly_export_spelling *spelling,
                                                    const struct tly_event_batch *batch, uint32_t partition,
                                                    int64_t offset, struct tly_buffer *out, struct tly_error *error);
/* One event and its line end. */
void tly_export_spelling_event(const struct tly_export_spelling *spelling, const struct tly_event_batch *batch,
                               uint32_t row, uint32_t partition, int64_t offset, struct tly_buffer *out);

#endif
