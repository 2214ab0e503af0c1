/* common/store/run_reader.h -- read one view of one run: runs/<run>/<view>.<part>.<piece>.db.
 *
 * Path of an event: recompute -> run files -> [run_reader] -> merge -> answer. Files are immutable and opened so; each
 * block's checksum is verified at each read, a damaged one is TLY_E_CORRUPT naming file and block. The block directory
 * (first keys) is held in memory: about 40 bytes for 512 groups.
 * Thread: a reader belongs to one thread at a time. */
#ifndef TLY_STORE_RUN_READER_H
#define TLY_STORE_RUN_READER_H

#include "common/engine/merge.h"

typedef struct tly_run_reader tly_run_reader;

/* Takes a shared lock on the run's folder (its file `lock`) until close, so that it can't be deleted meanwhile.
 * TLY_E_NOT_READY when the folder or a file is not there; TLY_E_CORRUPT when the definition hash is another. */
TLY_CHECK enum tly_status tly_run_reader_open(const char *directory, int64_t run,
                                              const struct tly_view_program *program, tly_run_reader **out,
                                              struct tly_error *error);
void tly_run_reader_close(tly_run_reader *reader);
uint64_t tly_run_reader_groups(const tly_run_reader *reader, uint32_t part);

/* Groups of `part` with low <= key < high (encoded keys; a bound of size 0 with data NULL is open), in key order. */
TLY_CHECK enum tly_status tly_run_reader_scan(tly_run_reader *reader, uint32_t part, struct tly_text low,
                                              struct tly_text high, struct tly_group_source *out,
                                              struct tly_error *error);
/* End a scan early or after its end; sources of a reader end with it at the latest. */
void tly_run_reader_end_scan(tly_run_reader *reader, struct tly_group_source *source);

/* Blocks of a part, for the drift check: equal checksums need no decoding. */
uint32_t tly_run_reader_block_count(const tly_run_reader *reader, uint32_t part);

#endif
