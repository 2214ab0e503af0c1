/* common/archive/segment.h -- one file of the archive, open for reading.
 *
 * Path of an event: archive/<stream>/<number>.db -> [segment] -> archive_reader, seal, verify.
 * Thread: a segment belongs to one thread. */
#ifndef TLY_ARCHIVE_SEGMENT_H
#define TLY_ARCHIVE_SEGMENT_H

#include "common/archive/block.h"
#include "common/sqlite/sqlite.h"

/* A list of blocks that grows in an arena. */
struct tly_block_list {
  struct tly_block_ref *items;
  uint32_t count, capacity;
};

struct tly_segment {
  int64_t number;
  bool is_sealed;
  char *path;
  const struct tly_stream *stream; /* the project's */
  struct tly_stream file_stream;   /* the same with the columns that this file has, in its order */
  int32_t *file_column;            /* one a stream column: its number in the file, or -1 */
  sqlite3 *database;
  sqlite3_stmt *read_columns, *read_all, *list, *start, *last_block, *next_partition, *pieces;
  struct tly_text_dictionary *dictionaries; /* one a file column; kept by take_dictionaries */
  uint64_t used_at;                         /* the owner's clock, for whom to close first */
};

/* DIR/archive/<stream>/<number>.db; bytes of the name that are no letter, digit, '_' or '-' become %XX. `suffix` goes
 * behind it ("", ".tmp", "-wal", ".failed"). The caller frees. */
char *tly_archive_file_path(const char *directory, const char *stream, int64_t number, const char *suffix);
char *tly_archive_stream_folder(const char *directory, const char *stream);
char *tly_archive_index_path(const char *directory, const char *suffix);

/* TLY_E_NOT_READY when the file is not there (any more). */
TLY_CHECK enum tly_status tly_segment_open(const char *path, int64_t number, bool is_sealed,
                                           const struct tly_stream *stream, struct tly_segment **out,
                                           struct tly_error *error);
/* NULL is fine. */
void tly_segment_close(struct tly_segment *segment);
/* The dictionaries' structures, which the caller frees (they are emptied): somebody may still compare their addresses.
 */
struct tly_text_dictionary *tly_segment_take_dictionaries(struct tly_segment *segment);

/* Add the blocks of `partition` that hold offsets >= from_offset, in offset order, at most `max`, to the list. */
TLY_CHECK enum tly_status tly_segment_list(struct tly_segment *segment, uint32_t partition, int64_t from_offset,
                                           uint32_t max, struct tly_arena *arena, struct tly_block_list *list,
                                           struct tly_error *error);
/* The smallest partition above `after` (-1: the first); *found false at the end. */
TLY_CHECK enum tly_status tly_segment_next_partition(struct tly_segment *segment, int64_t after, uint32_t *partition,
                                                     bool *found, struct tly_error *error);
/* The end of a partition in this file. *found false when it has no blocks here. */
TLY_CHECK enum tly_status tly_segment_end(struct tly_segment *segment, uint32_t partition, int64_t *next_offset,
                                          tly_chain *chain, bool *found, struct tly_error *error);

/* The block that holds `offset`, its columns' checksum verified (and, with_raw, that of raw); *found false when there
 * is none. *block borrows from the segment until tly_segment_release. */
TLY_CHECK enum tly_status tly_segment_find(struct tly_segment *segment, uint32_t partition, int64_t offset,
                                           bool with_raw, struct tly_block *block, bool *found,
                                           struct tly_error *error);
void tly_segment_release(struct tly_segment *segment);

/* Typed columns of a found block, by file column: wanted[c] or, NULL, all; the dictionaries are brought up to date
 * first. */
TLY_CHECK enum tly_status tly_segment_columns(struct tly_segment *segment, const struct tly_block *block,
                                              const bool *wanted, struct tly_arena *arena, struct tly_vector *out,
                                              struct tly_error *error);
/* The payloads of a block found with_raw, checked against its chain. *format and *header (may be NULL) say how they are
 * to be decoded. */
TLY_CHECK enum tly_status tly_segment_payloads(struct tly_segment *segment, const struct tly_block *block,
                                               struct tly_arena *arena, struct tly_text *out, enum tly_format *format,
                                               struct tly_text *header, struct tly_error *error);
/* All entries of a file column's dictionary are read, and every piece checked. */
TLY_CHECK enum tly_status tly_segment_load_dictionary(struct tly_segment *segment, uint32_t column, uint32_t entries,
                                                      struct tly_error *error);

#endif
