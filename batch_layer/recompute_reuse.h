/* batch_layer/recompute_reuse.h -- what a recompute need not fold again: an earlier run, and partial results. Private
 * to recompute.
 *
 * Path of an event: runs/<base>/, partials/ -> [recompute_reuse: which of them, for which blocks] -> fold of the other
 * blocks -> merge of both.
 * Thread: what is said at each function. */
#ifndef TLY_BATCH_RECOMPUTE_REUSE_H
#define TLY_BATCH_RECOMPUTE_REUSE_H

#include "batch_layer/recompute_work.h"
#include "common/store/batch_reader.h"

/* Make the work's plan: find what the views have already, list the other blocks, and share them out. Of what is taken
 * over the views get groups, counts and events set aside. The calling thread, before any other. */
TLY_CHECK enum tly_status tly_recompute_make_plan(struct tly_recompute_work *work, struct tly_error *error);

/* Give a view what is on the disk: the groups in `folder` (which is taken) as files of `run`, and what `result` says of
 * counts and events set aside; the texts are borrowed. One thread at a time. */
void tly_recompute_keep(struct tly_view_work *view, char *folder, int64_t run,
                        const struct tly_run_view_result *result);

/* The newest ready run of each view's present definition, for tly_recompute_job.bases; run 0 where there is none. */
TLY_CHECK enum tly_status tly_recompute_find_bases(tly_batch_reader *reader, const struct tly_view *const *views,
                                                   uint32_t view_count, struct tly_run_base *bases,
                                                   struct tly_error *error);

/* Remove partial results that no run will take over: unfinished or damaged ones, those of views that are no more, and
 * those whose events a ready run covers. Not while a recompute works. */
TLY_CHECK enum tly_status tly_recompute_tidy_partials(const char *directory, const struct tly_project *project,
                                                      tly_batch_reader *reader, struct tly_error *error);

#endif
