/* common/archive/archive_reader.h -- read the archive: heads, cuts, blocks, events.
 *
 * Path of an event: archiver -> archive/<stream>/<number>.db -> [archive_reader] -> speed layer's tail, recompute,
 * verify.
 *
 * Every block that is read has its checksum verified first; a damaged one is TLY_E_CORRUPT, naming file and block.
 * Reads are short transactions: no reader holds the archiver's WAL back. The texts of a batch live until its reader has
 * read from eight other files, or is closed.
 * Thread: a reader belongs to one thread; threads of a recompute open one each. */
#ifndef TLY_ARCHIVE_ARCHIVE_READER_H
#define TLY_ARCHIVE_ARCHIVE_READER_H

#include "common/event/event_batch.h"
#include "common/sql/project.h"

/* A running hash over a partition's events: h(n) = XXH3-128(h(n-1), length, XXH3-128(payload of event n)), all zeros
 * before the first. Over original bytes, so re-blocking keeps it. */
typedef struct tly_hash tly_chain;

tly_chain tly_chain_next(tly_chain before, const void *payload, size_t size);

/* Where a partition stands: at its end, at a cut, in a run. */
struct tly_position {
  const char *stream; /* the project's string */
  uint32_t partition;
  int64_t next_offset;
  tly_chain chain;
};

struct tly_cut {
  int64_t number; /* 0: no cut yet */
  int64_t made_at_us;
  struct tly_position *positions; /* partitions that are not listed had no events */
  uint32_t position_count;
  const char **views;
  uint32_t view_count;
};

/* What is known of a block without reading its events. */
struct tly_block_ref {
  int64_t segment, id;
  uint32_t partition;
  int64_t generation, first_offset;
  uint32_t event_count;
  int64_t appended_at_us;
  bool has_time; /* the stream has an event time, and some event here has one */
  int64_t time_min_us, time_max_us;
  tly_chain chain_before, chain_after;
};

typedef struct tly_archive_reader tly_archive_reader;

/* Open `directory`/archive of a data folder. TLY_E_NOT_READY when the archiver has not made it yet. `project` must
 * outlive the reader. */
TLY_CHECK enum tly_status tly_archive_reader_open(const char *directory, const struct tly_project *project,
                                                  tly_archive_reader **out, struct tly_error *error);
void tly_archive_reader_close(tly_archive_reader *reader);
/* Stay with the files that the archive is made of now: for one who reads what was listed, once, and wants nothing
 * newer. Files that may yet be rewritten are opened and stay open, so that blocks are read from them as they were
 * listed. (In the copy each is a small part of a large block, which would be decoded again for every one of them.) */
TLY_CHECK enum tly_status tly_archive_reader_hold(tly_archive_reader *reader, struct tly_error *error);

/* The end of each partition of each stream, as of now, one consistent look a stream. Results live in `arena`. */
TLY_CHECK enum tly_status tly_archive_reader_heads(tly_archive_reader *reader, struct tly_arena *arena,
                                                   struct tly_position **out, uint32_t *count, struct tly_error *error);
/* The cuts with number > `after`, ascending. */
TLY_CHECK enum tly_status tly_archive_reader_cuts(tly_archive_reader *reader, int64_t after, struct tly_arena *arena,
                                                  struct tly_cut **out, uint32_t *count, struct tly_error *error);
/* One cut; TLY_E_UNDEFINED_OBJECT when there is none of that number. */
TLY_CHECK enum tly_status tly_archive_reader_cut(tly_archive_reader *reader, int64_t number, struct tly_arena *arena,
                                                 struct tly_cut *out, struct tly_error *error);

/* The blocks of a partition that hold offsets >= `from_offset`, in offset order, of generations <= `generation_max`; at
 * most `max` of them (a caller that tails takes some thousand at a time). */
TLY_CHECK enum tly_status tly_archive_reader_blocks(tly_archive_reader *reader, const struct tly_stream *stream,
                                                    uint32_t partition, int64_t from_offset, int64_t generation_max,
                                                    uint32_t max, struct tly_arena *arena, struct tly_block_ref **out,
                                                    uint32_t *count, struct tly_error *error);
/* Read one block: typed columns (those with wanted[c]; NULL: all) and, if asked for, raw bytes. `batch` is reset. A
 * column that the stream got after the block was written is decoded from raw. What `ref` says of the block is compared
 * with the checked row: to trust the time range of a block that is left out, read it with nothing wanted, which decodes
 * nothing. A block that re-blocking has replaced
 * meanwhile is found again by its position; the batch then holds the events of `ref` alone. */
TLY_CHECK enum tly_status tly_archive_reader_read(tly_archive_reader *reader, const struct tly_stream *stream,
                                                  const struct tly_block_ref *ref, const bool *wanted, bool want_raw,
                                                  struct tly_event_batch *batch, struct tly_error *error);

#endif
