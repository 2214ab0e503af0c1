/* batch_layer/recompute_work.h -- the two halves of a recompute, and what they hand on: fold, then merge. Private to
 * recompute.
 *
 * Path of an event: archive block -> [fold: one a thread and view] -> sorted folds, and groups that were spilled ->
 * [merge: pieces] -> files. Thread: what is said at each function. */
#ifndef TLY_BATCH_RECOMPUTE_WORK_H
#define TLY_BATCH_RECOMPUTE_WORK_H

#include <stdatomic.h>

#include "batch_layer/recompute.h"
#include "batch_layer/recompute_plan.h"
#include "batch_layer/run_writer.h"
#include "batch_layer/sorted_groups.h"
#include "common/engine/fold_union.h"
#include "common/store/run_reader.h"

/* Groups of a view in run files of an earlier run or of a partial result: a source of its last merge. */
struct tly_kept_groups {
  char *folder;
  int64_t run;            /* that the files name */
  tly_run_reader *reader; /* the calling thread's, from tly_recompute_divide on */
};

/* Sorted groups of one part of a view that are in no fold any more, from all threads: sources of its last merge. */
struct tly_part_work {
  tly_sorted_groups **sorted;
  uint32_t sorted_count, sorted_capacity;
};

struct tly_view_work {
  const struct tly_view *view;
  struct tly_view_program *program;
  uint32_t stream; /* number in the project */
  struct tly_part_work *parts;
  tly_fold **folds; /* sorted; their part 0 is a source of the last merge, through */
  uint32_t fold_count;
  tly_fold_union *all_folds; /* NULL before they are divided, and when there are none */
  struct tly_kept_groups *kept;
  uint32_t kept_count;
  int64_t base; /* the run it was taken over from, or 0 */
  uint32_t base_count;
  struct tly_fold_counts counts;       /* of folds that were handed over, and of what was kept */
  struct tly_run_set_aside *set_aside; /* the same, in the arenas of the workers and of the work, in no order */
  uint32_t set_aside_count;
};

struct tly_recompute_work {
  const struct tly_recompute_job *job;
  const char *folder;
  struct tly_recompute_plan plan;
  uint64_t *events_before; /* one a stream: below the first block of the plan */
  struct tly_arena arena;  /* what was taken over; the calling thread's, before threads are started */
  struct tly_buffer note;  /* what to say of it */
  _Atomic uint32_t next_partial;
  bool **wanted; /* one a stream: the columns its views fold, or NULL when no view reads it */
  struct tly_view_work *views;
  struct tly_spill_file *spills; /* one a thread */
  struct tly_arena *arenas;      /* one a thread: texts of events set aside */
  struct tly_merge_task *tasks;
  uint32_t task_count, task_capacity;
  _Atomic uint32_t next_task;
  _Atomic uint64_t folded; /* events, for the progress */
  _Atomic bool stopping;   /* a thread has failed: the others give up */
  pthread_mutex_t mutex;   /* guards `views` while threads hand over, and what follows */
  pthread_cond_t changed;
  uint32_t running;
  enum tly_status status; /* the first failure */
  struct tly_error error;
};

/* Fold blocks of the plan until there are none, then hand the groups over. Any thread, each with its own number. */
TLY_CHECK enum tly_status tly_recompute_fold(struct tly_recompute_work *work, uint32_t thread, struct tly_error *error);

/* One piece to write. */
struct tly_merge_task {
  uint32_t view, part, piece, pieces;
  struct tly_buffer low, high; /* encoded keys; no data: open */
  struct tly_run_piece result;
};

/* Divide the views' parts into pieces. The calling thread alone. */
TLY_CHECK enum tly_status tly_recompute_divide(struct tly_recompute_work *work, struct tly_error *error);
/* Write pieces until there are none left. Any thread. */
TLY_CHECK enum tly_status tly_recompute_merge(struct tly_recompute_work *work, uint32_t thread,
                                              struct tly_error *error);
void tly_recompute_tasks_free(struct tly_recompute_work *work);

#endif
