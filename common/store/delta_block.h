/* common/store/delta_block.h -- read one block of a live delta: checked first, then decoded.
 *
 * Path of an event: fold -> delta blocks of speed-<epoch>.db -> [delta_block] -> merge of deltas, speed_reader ->
 * answer. Thread: pure; the statement belongs to one thread. */
#ifndef TLY_STORE_DELTA_BLOCK_H
#define TLY_STORE_DELTA_BLOCK_H

#include "common/base/limits.h"
#include "common/engine/group_block.h"
#include "common/sqlite/sqlite.h"

/* What a statement selects, in this order, to be read with tly_delta_block_read. */
#define TLY_DELTA_BLOCK_COLUMNS "delta, number, first_key, last_key, group_count, body, checksum"

/* Decode the row on which `statement` stands into `slice` (initialised for the view's program and part; reset first).
 * TLY_E_CORRUPT, naming delta and block, when the stored bytes are not what was written. */
TLY_CHECK enum tly_status tly_delta_block_read(sqlite3_stmt *statement, struct tly_group_slice *slice,
                                               struct tly_error *error);

/* A column that holds a key or a hash. The text lives until the statement is stepped. */
struct tly_text tly_column_text(sqlite3_stmt *statement, int column);
/* All zeros when the blob has another size: no chain or definition is that. */
struct tly_hash tly_column_hash(sqlite3_stmt *statement, int column);

#endif
