/* speed_layer/speed_store.h -- the rows of speed-<epoch>.db, and nothing but rows: every statement that writes it.
 *
 * Path of an event: fold -> [speed_store: deltas, counts and positions in one transaction] -> speed_reader -> answer.
 *
 * The store holds nothing unique. When it cannot be trusted a new file with the next epoch number takes its place; the
 * file speed.epoch, replaced atomically, says which one counts, so that readers of the old one notice.
 * Thread: the one writer: all calls from the speed layer's loop, which also does the checkpoints. */
#ifndef TLY_SPEED_SPEED_STORE_H
#define TLY_SPEED_SPEED_STORE_H

#include "common/engine/fold.h"
#include "common/sqlite/sqlite.h"
#include "speed_layer/tail.h"

typedef struct tly_speed_store tly_speed_store;

/* The epoch that counts; 0: none yet, or speed.epoch is not readable. */
int64_t tly_speed_store_current(const char *directory);
/* Open DIR/speed-<epoch>.db; TLY_E_NOT_READY when it is not there. */
TLY_CHECK enum tly_status tly_speed_store_open(const char *directory, int64_t epoch, tly_speed_store **out,
                                               struct tly_error *error);
/* Make it, in place of what an interrupted attempt may have left under this number. Readers do not see it yet. */
TLY_CHECK enum tly_status tly_speed_store_create(const char *directory, int64_t epoch, tly_speed_store **out,
                                                 struct tly_error *error);
/* Make this store the one that counts, and delete the files of all others. */
TLY_CHECK enum tly_status tly_speed_store_adopt(tly_speed_store *store, struct tly_error *error);
void tly_speed_store_close(tly_speed_store *store);
int64_t tly_speed_store_epoch(const tly_speed_store *store);

/* One transaction at a time; begin within one does nothing, so that work which may have nothing to write begins late. A
 * failed commit ends the process (the caller passes the status on): memory has gone on, the store has not. */
TLY_CHECK enum tly_status tly_speed_store_begin(tly_speed_store *store, struct tly_error *error);
/* Begin one, outside of any, that is on the disk before its commit returns and before anybody sees it: what readers
 * have seen published must not be taken back by a power cut (tests/model: publishing_is_synced). */
TLY_CHECK enum tly_status tly_speed_store_begin_durable(tly_speed_store *store, struct tly_error *error);
bool tly_speed_store_is_in_transaction(const tly_speed_store *store);
TLY_CHECK enum tly_status tly_speed_store_commit(tly_speed_store *store, struct tly_error *error);
/* Between transactions: move the WAL into the file when it has grown past its bound, or, when idle, at all. Never waits
 * for a reader. */
TLY_CHECK enum tly_status tly_speed_store_checkpoint(tly_speed_store *store, bool is_idle, struct tly_error *error);

/* Remember that the store was checked against the archive since this boot: readers wait for it. */
TLY_CHECK enum tly_status tly_speed_store_set_checked(tly_speed_store *store, struct tly_error *error);

/* The running hash over the archive's cuts up to `number` on which the generations rest; number 0: none. */
TLY_CHECK enum tly_status tly_speed_store_set_cuts(tly_speed_store *store, int64_t number, const tly_chain *chain,
                                                   struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_cuts(tly_speed_store *store, int64_t *number, tly_chain *chain,
                                               struct tly_error *error);

/* ---- positions --------------------------------------------------------------------------------------------------- */
/* Of the project's streams; rows of others are left alone. */
TLY_CHECK enum tly_status tly_speed_store_load_positions(tly_speed_store *store, const struct tly_project *project,
                                                         struct tly_tail *tail, struct tly_error *error);
/* Those that have moved. */
TLY_CHECK enum tly_status tly_speed_store_save_positions(tly_speed_store *store, struct tly_tail *tail,
                                                         struct tly_error *error);

/* ---- views ------------------------------------------------------------------------------------------------------- */
/* A name has one row; while the view goes back to an older run, a second one, which is not ready. */
struct tly_view_row {
  int64_t id;
  const char *name;
  struct tly_hash definition_hash;
  bool is_ready;
  int64_t run, cut;
  bool is_catching_up; /* building on `run` */
};

/* Those that are ready first. */
TLY_CHECK enum tly_status tly_speed_store_load_views(tly_speed_store *store, struct tly_arena *arena,
                                                     struct tly_view_row **out, uint32_t *count,
                                                     struct tly_error *error);
/* Fills row->id. */
TLY_CHECK enum tly_status tly_speed_store_add_view(tly_speed_store *store, struct tly_view_row *row,
                                                   struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_set_view(tly_speed_store *store, int64_t id, bool is_ready, int64_t run,
                                                   int64_t cut, struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_remove_view(tly_speed_store *store, int64_t id, struct tly_error *error);
/* Take away what no view shows any more: generations at or below a view's cut, and all of views that are gone. Blocks
 * of their deltas are deleted later (trim.h). */
TLY_CHECK enum tly_status tly_speed_store_drop_hidden(tly_speed_store *store, struct tly_error *error);
/* catch_up rows of one view: load, save those that moved, forget. */
TLY_CHECK enum tly_status tly_speed_store_load_catch_up(tly_speed_store *store, int64_t view,
                                                        const struct tly_stream *stream, struct tly_tail *tail,
                                                        struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_save_catch_up(tly_speed_store *store, int64_t view, struct tly_tail *tail,
                                                        struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_forget_catch_up(tly_speed_store *store, int64_t view,
                                                          struct tly_error *error);

/* ---- generations ------------------------------------------------------------------------------------------------- */
TLY_CHECK enum tly_status tly_speed_store_add_counts(tly_speed_store *store, int64_t view, int64_t generation,
                                                     const struct tly_fold_counts *counts, struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_count_set_aside(tly_speed_store *store, int64_t view, uint32_t *count,
                                                          struct tly_error *error);
TLY_CHECK enum tly_status tly_speed_store_add_set_aside(tly_speed_store *store, int64_t view, int64_t generation,
                                                        uint32_t partition, int64_t offset, const char *sqlstate,
                                                        const char *message, struct tly_error *error);

/* ---- deltas ------------------------------------------------------------------------------------------------------ */
struct tly_delta {
  int64_t id, view;
  uint32_t part;
  int64_t generation;
  int level; /* -1: being written */
  uint64_t group_count;
};

/* All but those being written, by view, part, generation, level, id. The caller frees *out (tly_free). */
TLY_CHECK enum tly_status tly_speed_store_load_deltas(tly_speed_store *store, struct tly_delta **out, uint32_t *count,
                                                      struct tly_error *error);
/* Fills delta->id. */
TLY_CHECK enum tly_status tly_speed_store_add_delta(tly_speed_store *store, struct tly_delta *delta,
                                                    struct tly_error *error);
/* Store level and group count of a delta that was written at level -1: from now on it is there. */
TLY_CHECK enum tly_status tly_speed_store_finish_delta(tly_speed_store *store, const struct tly_delta *delta,
                                                       struct tly_error *error);
/* Take the delta away; its blocks are deleted later. */
TLY_CHECK enum tly_status tly_speed_store_drop_delta(tly_speed_store *store, int64_t id, struct tly_error *error);
/* is_lasting: it will stay for long, compress it. Others are soon read, merged and written again. */
TLY_CHECK enum tly_status tly_speed_store_add_block(tly_speed_store *store, int64_t delta, uint32_t number,
                                                    const struct tly_group_slice *slice, bool is_lasting,
                                                    struct tly_error *error);
/* *found false: the delta has no block of that number. */
TLY_CHECK enum tly_status tly_speed_store_read_block(tly_speed_store *store, int64_t delta, uint32_t number,
                                                     struct tly_group_slice *slice, bool *found,
                                                     struct tly_error *error);
/* Whether there are dropped deltas that still have blocks. */
TLY_CHECK enum tly_status tly_speed_store_has_dropped(tly_speed_store *store, bool *out, struct tly_error *error);
/* Delete up to `max` blocks of a dropped delta. *more false: there is none left. */
TLY_CHECK enum tly_status tly_speed_store_delete_blocks(tly_speed_store *store, uint32_t max, bool *more,
                                                        struct tly_error *error);
/* After a start: what a merge was writing when the last process ended is dropped. */
TLY_CHECK enum tly_status tly_speed_store_drop_unfinished(tly_speed_store *store, struct tly_error *error);

#endif
