/* common/archive/raw.h -- the original bytes of a block's events, in as few bytes as give them back exactly.
 *
 * Path of an event: payloads -> [raw bytes] -> block -> [payloads]: what everything else in the archive can be rebuilt
 * from. Thread: pure, but for the templates a writer owns. */
#ifndef TLY_ARCHIVE_RAW_H
#define TLY_ARCHIVE_RAW_H

#include "common/archive/pack.h"
#include "common/archive/template.h"
#include "common/base/arena.h"

/* What goes into a block: payloads of one format and, for CSV, under one header line. */
struct tly_raw_source {
  const struct tly_stream *stream;
  enum tly_format format;
  struct tly_text header; /* CSV; else size 0 */
  const struct tly_text *payloads;
  const struct tly_vector *columns; /* as they go into the same block */
  uint32_t count;
  /* As in an event batch; or NULL. */
  const struct tly_shape *shapes;
  const uint8_t *shape_of;
};

/* `templates` learns and must be zeroed before its first use. */
void tly_raw_write(const struct tly_raw_source *source, struct tly_templates *templates, enum tly_effort effort,
                   struct tly_buffer *out);

struct tly_raw_header {
  enum tly_format format;
  struct tly_text header; /* borrows the bytes */
  bool needs_columns;     /* the payloads are rendered from the block's columns */
};

bool tly_raw_read_header(const void *bytes, size_t size, struct tly_raw_header *out);
/* Read the payloads of `count` events; `columns` (column_count of them, all read) may be NULL unless the header says
 * they are needed. Everything lives in `arena`. False when the bytes are not such payloads. */
bool tly_raw_read(const void *bytes, size_t size, uint32_t count, const struct tly_vector *columns,
                  uint32_t column_count, struct tly_arena *arena, struct tly_text *out);

#endif
