/* The bytes `columns`: version, varint count, then column after column (column.c) and padding for the unpacker. A
 * reader skips a column it does not want by the size in its header. */
#include "common/archive/block.h"

#include <string.h>

#include "common/archive/checksum.h"
#include "common/archive/column.h"
#include "common/base/assert.h"
#include "common/base/limits.h"

enum { COLUMNS_VERSION = 1 };

static void add_place(struct tly_checksum *checksum, const char *stream, const struct tly_block *block) {
  tly_checksum_add_text(checksum, stream);
  tly_checksum_add_i64(checksum, block->partition);
  tly_checksum_add_i64(checksum, block->generation);
  tly_checksum_add_i64(checksum, block->first_offset);
  tly_checksum_add_i64(checksum, block->event_count);
  tly_checksum_add(checksum, block->chain_before.bytes, sizeof block->chain_before.bytes);
  tly_checksum_add(checksum, block->chain_after.bytes, sizeof block->chain_after.bytes);
}

struct tly_hash tly_block_checksum(const char *stream, const struct tly_block *block) {
  struct tly_checksum checksum;
  tly_checksum_begin(&checksum);
  add_place(&checksum, stream, block);
  tly_checksum_add_i64(&checksum, block->appended_at_us);
  tly_checksum_add_i64(&checksum, block->has_time);
  tly_checksum_add_i64(&checksum, block->has_time ? block->time_min_us : 0);
  tly_checksum_add_i64(&checksum, block->has_time ? block->time_max_us : 0);
  tly_checksum_add_i64(&checksum, block->payload_bytes);
  tly_checksum_add(&checksum, block->raw_checksum.bytes, sizeof block->raw_checksum.bytes);
  tly_checksum_add(&checksum, block->columns, block->columns_size);
  return tly_checksum_end(&checksum);
}

struct tly_hash tly_block_raw_checksum(const char *stream, const struct tly_block *block) {
  struct tly_checksum checksum;
  tly_checksum_begin(&checksum);
  add_place(&checksum, stream, block);
  tly_checksum_add(&checksum, block->raw, block->raw_size);
  return tly_checksum_end(&checksum);
}

void tly_block_write_columns(const struct tly_vector *columns, const struct tly_column_codes *codes, uint32_t count,
                             enum tly_effort effort, struct tly_buffer *out) {
  tly_buffer_append_byte(out, COLUMNS_VERSION);
  tly_buffer_append_varint(out, count);
  for (uint32_t c = 0; c < count; c++)
    tly_column_write(&columns[c], codes[c].codes, codes[c].limit, effort, out);
  memset(tly_buffer_reserve(out, TLY_PACK_PADDING), 0, TLY_PACK_PADDING);
  out->size += TLY_PACK_PADDING;
}

static bool begin_columns(const void *bytes, size_t size, struct tly_cursor *in, uint32_t *count) {
  *in = tly_cursor_of(bytes, size);
  if (tly_cursor_byte(in) != COLUMNS_VERSION)
    in->failed = 1;
  uint64_t stored = tly_cursor_varint(in);
  *count = (uint32_t)stored;
  return !in->failed && stored <= TLY_COLUMNS_MAX;
}

bool tly_block_read_limits(const void *bytes, size_t size, uint32_t *limits, uint32_t limit_count, uint32_t *count) {
  struct tly_cursor in;
  if (!begin_columns(bytes, size, &in, count))
    return false;
  for (uint32_t c = 0; c < *count; c++) {
    struct tly_column_header header = tly_column_read_header(&in);
    if (tly_cursor_bytes(&in, header.size) == NULL || in.failed)
      return false;
    if (c < limit_count)
      limits[c] = header.code_limit;
  }
  return tly_cursor_left(&in) == TLY_PACK_PADDING;
}

bool tly_block_read_columns(const void *bytes, size_t size, uint32_t event_count, const bool *wanted,
                            const struct tly_dictionary *const *dictionaries, uint32_t column_count,
                            struct tly_arena *arena, struct tly_vector *out) {
  struct tly_cursor in;
  uint32_t stored;
  if (event_count > TLY_BATCH_EVENTS_MAX || !begin_columns(bytes, size, &in, &stored) || stored != column_count)
    return false;
  for (uint32_t c = 0; c < column_count; c++) {
    struct tly_column_header header = tly_column_read_header(&in);
    if (in.failed)
      return false;
    struct tly_cursor rows = in;
    if (tly_cursor_bytes(&in, header.size) == NULL)
      return false;
    out[c] = (struct tly_vector){.type = header.type};
    if (wanted != NULL && !wanted[c])
      continue;
    tly_column_read(&rows, &header, event_count, dictionaries[c], arena, &out[c]);
    if (rows.failed || rows.next != in.next)
      return false;
  }
  return tly_cursor_left(&in) == TLY_PACK_PADDING;
}
