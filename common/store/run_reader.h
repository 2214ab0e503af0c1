/* common/store/run_reader.h -- read one view of one run: runs/<run>/<view>.<part>.<piece>.db.
 *
 * Path of an event: recompute -> run files -> [run_reader] -> merge -> answer. Files are immutable and opened so; each
 * block's checksum is verified at each read, a damaged one is TLY_E_CORRUPT naming file and block. The block directory
 * (first and last keys) is held in memory, about 100 bytes for 512 groups, and checked as a whole when the run is
 * opened. Lookups and narrow scans keep the blocks they decoded (up to TLY_RUN_CACHE_BYTES a reader), so that a lookup
 * is a binary search in the directory and one in a hash table. Thread: a reader belongs to one thread at a time. */
#ifndef TLY_STORE_RUN_READER_H
#define TLY_STORE_RUN_READER_H

#include "common/engine/merge.h"
#include "common/store/block_cache.h"

typedef struct tly_run_reader tly_run_reader;

/* Takes a shared lock on the run's folder (its file `lock`) until close, so that it can't be deleted meanwhile.
 * TLY_E_NOT_READY when the folder or a file is not there; TLY_E_CORRUPT when the definition hash is another. */
TLY_CHECK enum tly_status tly_run_reader_open(const char *directory, int64_t run,
                                              const struct tly_view_program *program, tly_run_reader **out,
                                              struct tly_error *error);
/* The same of a folder that is not under DIR/runs, with files that name `run`: a partial result. */
TLY_CHECK enum tly_status tly_run_reader_open_folder(const char *folder, int64_t run,
                                                     const struct tly_view_program *program, tly_run_reader **out,
                                                     struct tly_error *error);
void tly_run_reader_close(tly_run_reader *reader);
/* Keep decoded blocks in `cache`, which others may share and which outlives the reader, within its bound instead of
 * TLY_RUN_CACHE_BYTES. To be called before anything is read. */
void tly_run_reader_share_cache(tly_run_reader *reader, tly_block_cache *cache);
uint64_t tly_run_reader_groups(const tly_run_reader *reader, uint32_t part);

/* Groups of `part` with low <= key < high (encoded keys; a bound of size 0 with data NULL is open), in key order. The
 * bounds are copied. At most TLY_RUN_SCANS_MAX scans of a reader may be open at a time (TLY_E_TOO_MANY). */
TLY_CHECK enum tly_status tly_run_reader_scan(tly_run_reader *reader, uint32_t part, struct tly_text low,
                                              struct tly_text high, struct tly_group_source *out,
                                              struct tly_error *error);
/* End a scan early or after its end; sources of a reader end with it at the latest. */
void tly_run_reader_end_scan(tly_run_reader *reader, struct tly_group_source *source);

/* Look a group of part 0 up: the block where its key would stand is added to `lookup` (block_cache.h), and held decoded
 * for the next look-up. The look-up is finished before the reader is used again. */
TLY_CHECK enum tly_status tly_run_reader_look_up(tly_run_reader *reader, struct tly_block_lookup *lookup,
                                                 struct tly_error *error);

/* A block as the directory has it. Equal checksums are equal content: the drift check decodes neither. */
struct tly_run_block {
  struct tly_text first_key, last_key; /* the reader's, until close */
  uint32_t group_count;
  struct tly_hash checksum;
};

uint32_t tly_run_reader_block_count(const tly_run_reader *reader, uint32_t part);
struct tly_run_block tly_run_reader_block(const tly_run_reader *reader, uint32_t part, uint32_t index);
/* The first block that may hold keys >= `key`: the one it would stand in. 0 when it is below all of them. */
uint32_t tly_run_reader_find_block(const tly_run_reader *reader, uint32_t part, struct tly_text key);

/* ---- what readers and writers of run files agree on -------------------------------------------------------------- */

/* Append "<view>.<part>.<piece>.db"; bytes of the view's name that are not letters, digits, '-' or '_' as %XX. */
void tly_run_file_name(const char *view, uint32_t part, uint32_t piece, struct tly_buffer *out);
/* Whether a chapter begins at this key (schemas/stores/run.sql): for one key in 8,192 on average. */
bool tly_run_chapter_begins(struct tly_text key);

/* What a piece's meta says. */
struct tly_run_meta {
  int64_t run;
  const char *view;
  struct tly_hash definition_hash;
  uint32_t part, piece, pieces;
  uint64_t groups;
};

/* The checksum of a piece: begin with its meta, add each block, end. */
struct tly_run_checksum {
  struct tly_buffer bytes;
};
void tly_run_checksum_begin(struct tly_run_checksum *checksum, const struct tly_run_meta *meta);
void tly_run_checksum_add(struct tly_run_checksum *checksum, const struct tly_run_block *block);
/* Gives the hash as 32 hexadecimal digits and frees what begin took. */
void tly_run_checksum_end(struct tly_run_checksum *checksum, char text[33]);
/* A hash as 32 hexadecimal digits. */
void tly_run_hash_print(const struct tly_hash *hash, char text[33]);

#endif
