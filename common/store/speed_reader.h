/* common/store/speed_reader.h -- read the live increments and what is published, as one consistent state.
 *
 * Path of an event: fold -> speed-<epoch>.db -> [speed_reader] -> merge -> answer.
 *
 * A snapshot is one read transaction: published runs, positions and the live groups a caller asks for belong together
 * (invariant 4). It must be short: copy the live rows that are needed, then end it, before run files are read.
 * Thread: a reader belongs to one thread at a time. */
#ifndef TLY_STORE_SPEED_READER_H
#define TLY_STORE_SPEED_READER_H

#include "common/archive/archive_reader.h"
#include "common/engine/merge.h"
#include "common/store/block_cache.h"
#include "common/store/set_aside_row.h"

typedef struct tly_speed_reader tly_speed_reader;

/* The file is found by DIR/speed.epoch (a text with the epoch's number, replaced atomically when speed.db is rebuilt).
 * TLY_E_NOT_READY while there is none. */
TLY_CHECK enum tly_status tly_speed_reader_open(const char *directory, const struct tly_project *project,
                                                tly_speed_reader **out, struct tly_error *error);
void tly_speed_reader_close(tly_speed_reader *reader);

/* Begin a snapshot; reopens by itself when the epoch has changed. TLY_E_NOT_READY when the speed layer has not yet
 * checked the store against the archive since boot. */
TLY_CHECK enum tly_status tly_speed_snapshot_begin(tly_speed_reader *reader, struct tly_error *error);
void tly_speed_snapshot_end(tly_speed_reader *reader);
/* A number that changes when anything was committed since: equal numbers, equal state. Cheap; no snapshot needed. */
TLY_CHECK enum tly_status tly_speed_reader_version(tly_speed_reader *reader, uint64_t *out, struct tly_error *error);

struct tly_published {
  int64_t view_id;
  struct tly_hash definition_hash;
  bool is_ready;                                       /* false: still building */
  int64_t run, cut;                                    /* 0: none */
  uint64_t live_folded, live_filtered, live_set_aside; /* of the generations above the cut */
};

/* Within a snapshot. TLY_E_NOT_READY when the view is not there yet, with words about its state. */
TLY_CHECK enum tly_status tly_speed_snapshot_view(tly_speed_reader *reader, const struct tly_view *view,
                                                  struct tly_published *out, struct tly_error *error);
/* How far a view has come that goes back to an older run, in events of its stream: it folds those from that run's cut
 * on again. */
struct tly_going_back {
  int64_t run;           /* 0: it does not go back */
  int64_t reached, goal; /* the sums of the offsets below which it has folded, and the layer has */
};
/* Within a snapshot. */
TLY_CHECK enum tly_status tly_speed_snapshot_going_back(tly_speed_reader *reader, const struct tly_view *view,
                                                        struct tly_going_back *out, struct tly_error *error);
/* The next offset folded, for each partition of `stream` (NULL: of all); in `arena`. */
TLY_CHECK enum tly_status tly_speed_snapshot_positions(tly_speed_reader *reader, const struct tly_stream *stream,
                                                       struct tly_arena *arena, struct tly_position **out,
                                                       uint32_t *count, struct tly_error *error);
/* The first TLY_SET_ASIDE_LISTED_MAX events that were set aside above the published cut, by partition and offset; in
 * `arena`. */
TLY_CHECK enum tly_status tly_speed_snapshot_set_aside(tly_speed_reader *reader, const struct tly_view *view,
                                                       const struct tly_published *published, struct tly_arena *arena,
                                                       struct tly_set_aside_row **out, uint32_t *count,
                                                       struct tly_error *error);
/* Look a group of part 0 up: of each delta of generations above `above` the block where the key would stand is added
 * to `lookup` (block_cache.h). Some may be looked into at once; the look-up is finished before the reader is used
 * again. Blocks are held decoded between calls: `program` must outlive the reader. */
TLY_CHECK enum tly_status tly_speed_snapshot_look_up(tly_speed_reader *reader, const struct tly_view_program *program,
                                                     int64_t view_id, int64_t above, struct tly_block_lookup *lookup,
                                                     struct tly_error *error);
/* Merge the live groups with low <= key < high (a bound with data NULL is open) of generations in (above, up_to] of the
 * view's part into `table` (made by the caller for the same program and part). Use up_to INT64_MAX for all. Blocks of
 * narrow ranges are held decoded between calls: `program` must outlive the reader. */
TLY_CHECK enum tly_status tly_speed_snapshot_groups(tly_speed_reader *reader, const struct tly_view_program *program,
                                                    int64_t view_id, uint32_t part, int64_t above, int64_t up_to,
                                                    struct tly_text low, struct tly_text high, tly_group_table *table,
                                                    struct tly_error *error);

#endif
