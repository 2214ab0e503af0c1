/* common/archive/block.h -- a block: some thousand events of one partition and one generation, as one row of a file.
 *
 * Path of an event: event batch -> [block] -> archive/<stream>/<number>.db -> [block] -> event batch.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_BLOCK_H
#define TLY_ARCHIVE_BLOCK_H

#include "common/archive/archive_reader.h"
#include "common/archive/dictionary.h"

/* A row of the table `block`. `raw` and `columns` are borrowed. */
struct tly_block {
  int64_t id;
  uint32_t partition;
  int64_t generation, first_offset;
  uint32_t event_count;
  int64_t appended_at_us;
  bool has_time; /* the stream has an event time, and some event has one */
  int64_t time_min_us, time_max_us;
  tly_chain chain_before, chain_after;
  int64_t payload_bytes; /* of the events as they were received */
  const void *columns, *raw;
  size_t columns_size, raw_size;
  struct tly_hash checksum, raw_checksum; /* over everything but raw; over raw and the block's place */
};

/* Both take the stream's name in, so that a block of another stream cannot pass for one of this. */
struct tly_hash tly_block_checksum(const char *stream, const struct tly_block *block);
struct tly_hash tly_block_raw_checksum(const char *stream, const struct tly_block *block);

/* ---- columns ----------------------------------------------------------------------------------------------------- */

/* The codes of a text column that uses its file's dictionary. */
struct tly_column_codes {
  const uint32_t *codes; /* NULL: the column does not */
  uint32_t limit;
};

/* Append `count` columns; codes[c] belongs to column c. */
void tly_block_write_columns(const struct tly_vector *columns, const struct tly_column_codes *codes, uint32_t count,
                             enum tly_effort effort, struct tly_buffer *out);
/* How many columns there are, and how many dictionary entries each needs (limits[c], for c < limit_count; 0 for a
 * column without). False when the bytes are not columns. */
bool tly_block_read_limits(const void *bytes, size_t size, uint32_t *limits, uint32_t limit_count, uint32_t *count);
/* Read the columns with wanted[c] (NULL: all) of `column_count`; the others get count 0 and only their type.
 * dictionaries[c] may be NULL where no dictionary is needed. Everything lives in `arena`. False when the bytes are not
 * such columns. */
bool tly_block_read_columns(const void *bytes, size_t size, uint32_t event_count, const bool *wanted,
                            const struct tly_dictionary *const *dictionaries, uint32_t column_count,
                            struct tly_arena *arena, struct tly_vector *out);

#endif
