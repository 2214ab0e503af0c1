/* speed_layer/tail.h -- how far a fold has come in each partition, and whether the archive still says the same.
 *
 * Path of an event: archive block -> [tail: chain checked, cut to what is new] -> fold.
 *
 * A position is an offset and the running hash of all events below it. Every block that is taken must begin with that
 * hash, so a fold can only ever stand on the archive's own events: after a power cut, or when a lost tail was written
 * anew, the hashes differ and the speed layer starts over from the archive.
 * Thread: a tail belongs to one thread. */
#ifndef TLY_SPEED_TAIL_H
#define TLY_SPEED_TAIL_H

#include "common/archive/archive_reader.h"

struct tly_tail_position {
  const struct tly_stream *stream;
  uint32_t partition;
  int64_t next_offset; /* the next event to fold */
  tly_chain chain;     /* over the events before it; all zeros before the first */
  int64_t generation;  /* stamp of the last block; 0: none, or not known */
  bool is_dirty;       /* moved since it was last stored */
};

/* A position a partition. A zeroed tail is empty: every partition stands before its first event. */
struct tly_tail {
  struct tly_tail_position *positions;
  uint32_t count, capacity;
  uint32_t hint; /* where the next look-up probably ends: callers go through the partitions in one order */
};

void tly_tail_free(struct tly_tail *tail);
/* The partition's position, made if it is not there. Valid until the next call. */
struct tly_tail_position *tly_tail_position(struct tly_tail *tail, const struct tly_stream *stream, uint32_t partition);
/* The partition's position, or NULL: before its first event. */
const struct tly_tail_position *tly_tail_find(const struct tly_tail *tail, const struct tly_stream *stream,
                                              uint32_t partition);
/* Whether `tail` has come to `goal` (or beyond) in each partition of it. */
bool tly_tail_has_reached(const struct tly_tail *tail, const struct tly_tail *goal);

/* The archive's running hash before `offset`. *found is false when the archive does not reach that far. `batch` is one
 * of the stream, for scratch. */
TLY_CHECK enum tly_status tly_tail_chain_at(tly_archive_reader *archive, const struct tly_stream *stream,
                                            uint32_t partition, int64_t offset, struct tly_event_batch *batch,
                                            tly_chain *chain, int64_t *stamp, bool *found, struct tly_error *error);
/* *agrees: the archive has all events below the position, they are the ones that were folded, and the last of them
 * still has its stamp. (The same events can come again after a power cut, from a producer that repeats them, and then
 * stand behind a cut that they stood before.) */
TLY_CHECK enum tly_status tly_tail_check(tly_archive_reader *archive, const struct tly_tail_position *position,
                                         struct tly_event_batch *batch, bool *agrees, struct tly_error *error);
/* The running hash after the first `count` events of a batch that was read with raw. */
tly_chain tly_tail_chain_over(tly_chain before, const struct tly_event_batch *batch, uint32_t count);
/* See events first .. first + count - 1 of `from` as a batch of their own: `columns` has room for the stream's. It
 * borrows everything and is not freed. */
void tly_tail_slice(const struct tly_event_batch *from, uint32_t first, uint32_t count, struct tly_vector *columns,
                    struct tly_event_batch *out);
/* A running hash over cuts: what a generation is rests on their numbers, their order and the views they name. */
tly_chain tly_tail_chain_cut(tly_chain before, const struct tly_cut *cut);
bool tly_chain_equal(const tly_chain *a, const tly_chain *b);

#endif
