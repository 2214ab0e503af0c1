/* batch_layer/recompute.h -- compute views anew from the raw archive up to a cut: the authoritative result.
 *
 * Path of an event: archive -> [recompute: read, fold, merge] -> run_writer -> runs/<run>/ -> published by the speed
 * layer.
 *
 * Blocks of generations <= cut are read and decoded once and folded into every view of the run that reads their
 * stream, except what a view has already (recompute_reuse.h): the events below the cut of its last run, to whose groups
 * those of the other events are added, and what a recompute that died has left as partial results. The result does not
 * depend on that, nor on the number of threads, the memory bound or the order of blocks, bit for bit.
 * Thread: tly_recompute starts and ends threads of its own. */
#ifndef TLY_BATCH_RECOMPUTE_H
#define TLY_BATCH_RECOMPUTE_H

#include "batch_layer/run_result.h"
#include "common/base/process.h"

/* Raised when the same events would be decoded or folded into other groups than before: what an older program has
 * computed is not taken over then. */
enum { TLY_FOLD_VERSION = 1 };

/* An earlier run that a view may be taken over from. Run 0: none. */
struct tly_run_base {
  int64_t run;
  struct tly_hash manifest;
};

struct tly_recompute_job {
  const char *directory;
  const struct tly_project *project;
  const struct tly_cut *cut; /* its number is the run's id */
  const struct tly_view *const *views;
  uint32_t view_count;
  const struct tly_run_base *bases; /* one a view: the newest ready run of its definition. NULL: none */
  bool is_full;                     /* fold everything: take over neither a base nor a partial result */
  struct tly_hash inputs;           /* of what is folded besides archive and definitions; what was computed from others
                                       is not taken over. All zero: nothing */
  uint64_t partial_events;     /* a thread keeps a partial result of a view after so many events; 0: when it pays */
  uint32_t threads;            /* 1..TLY_RECOMPUTE_THREADS_MAX */
  size_t group_bytes_max;      /* of groups in memory, all threads; TLY_RECOMPUTE_BYTES */
  tly_archive_reader *archive; /* borrowed, for the calling thread; NULL: one is opened */
  /* Told now and then, from the calling thread, how many events of how many are folded. NULL is fine. */
  void (*progress)(void *context, uint64_t done, uint64_t all);
  void *context;
};

/* Write the files of the run into DIR/runs/<run>/, which must be there, empty but for its lock, and sync them; their
 * names are synced with the manifest's. *out (in `arena`) has everything but drift. TLY_E_CORRUPT when the archive does
 * not hold what the cut says: blocks that do not tile, an end or a chain hash that differs. A base or a partial result
 * that is damaged or fits nothing is reported (log, note) and folded anew. */
TLY_CHECK enum tly_status tly_recompute(const struct tly_recompute_job *job, struct tly_arena *arena,
                                        struct tly_run_result *out, struct tly_error *error);

/* The child process that the scheduler starts as `<program> recompute-child --data DIR PROJECT`: reads the definitions,
 * waits for the number of a run on stdin (a line; its end: there is none), computes that run, which stands in batch.db
 * as running, checks drift, writes the manifest. It dies with its parent, which has lowered its priority, and tells
 * what it does as JSON lines on stdout:
 *   {"stage":"recompute","done":n,"all":m}, {"stage":"reconcile",...}, {"stage":"check",...}, and at last
 *   {"manifest":"<hash>"} or {"error":{"sqlstate":...,"message":...}}.
 * Calls tly_process_setup itself. The exit status. */
int tly_recompute_main(const struct tly_settings *settings);

#endif
