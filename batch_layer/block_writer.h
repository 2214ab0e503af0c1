/* batch_layer/block_writer.h -- put events into an archive file as blocks, with their codes, chain and checksums.
 *
 * Path of an event: event batch -> [block writer] -> the tables block and dictionary of an active or a sealed file.
 * Thread: belongs to the thread of its connection. */
#ifndef TLY_BATCH_BLOCK_WRITER_H
#define TLY_BATCH_BLOCK_WRITER_H

#include "common/archive/block.h"
#include "common/archive/raw.h"
#include "common/sqlite/sqlite.h"

/* When a column stops using a dictionary: with so many entries or bytes, or, from the lower bound on, when more than
 * half of the rows brought a new one. */
enum {
  TLY_DICTIONARY_ENTRIES_MAX = 1 << 20,
  TLY_DICTIONARY_DOUBT_ENTRIES = 1 << 17,
  TLY_DICTIONARY_BYTES_MAX = 32 << 20
};

/* One text column's dictionary while a file is written. */
struct tly_coded_column {
  bool is_coded;
  struct tly_text_dictionary dictionary;
  uint32_t stored, committed;          /* entries in pieces, of this transaction too; and before it */
  const struct tly_dictionary *source; /* a dictionary that rows come coded in, ... */
  uint32_t *codes_of_source;           /* ... its codes' codes here + 1 */
  uint32_t codes_of_source_count;
};

struct tly_block_writer {
  const struct tly_stream *stream; /* its columns are the file's */
  sqlite3 *database;               /* borrowed */
  sqlite3_stmt *insert_block, *insert_piece, *insert_meta;
  enum tly_effort effort;
  uint64_t rows, committed_rows; /* events in the file */
  struct tly_coded_column *columns;
  struct tly_templates templates;
  struct tly_buffer columns_bytes, raw_bytes;
};

/* The events of one block, at most TLY_BATCH_EVENTS_MAX, all borrowed. */
struct tly_new_block {
  uint32_t partition;
  int64_t generation, first_offset, appended_at_us;
  tly_chain chain_before;
  struct tly_raw_source source; /* payloads and columns */
};

/* For a file whose tables are there. The caller calls close before it closes `database`. */
TLY_CHECK enum tly_status tly_block_writer_open(sqlite3 *database, const struct tly_stream *stream,
                                                enum tly_effort effort, struct tly_block_writer *writer,
                                                struct tly_error *error);
void tly_block_writer_close(struct tly_block_writer *writer);
/* Add one block and the dictionary entries it needs, within the caller's transaction. */
TLY_CHECK enum tly_status tly_block_writer_add(struct tly_block_writer *writer, const struct tly_new_block *block,
                                               tly_chain *chain_after, struct tly_error *error);
/* The caller's transaction was committed, or rolled back: what it added is forgotten then. */
void tly_block_writer_committed(struct tly_block_writer *writer);
void tly_block_writer_rolled_back(struct tly_block_writer *writer);
/* The column's texts stand in the blocks from now on. */
TLY_CHECK enum tly_status tly_block_writer_stop_coding(struct tly_block_writer *writer, uint32_t column,
                                                       struct tly_error *error);

#endif
