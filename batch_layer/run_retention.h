/* batch_layer/run_retention.h -- delete runs that are no longer kept.
 *
 * Kept are, for each view, its newest `keep_runs` ready runs, held runs that are among its newest `keep_runs` of both,
 * as many that were rejected, and whatever is published. So the newest run that may be shown is always there, also
 * while a view goes back to it. Any other of them is withdrawn in batch.db (synced) first; then its folder's lock is
 * taken exclusively, which waits for readers by coming back later; then the folder goes. Folders of failed runs go
 * unless they have a manifest. Folders that no row of batch.db knows are reported, never deleted. Thread: belongs to
 * the scheduler's thread. */
#ifndef TLY_BATCH_RUN_RETENTION_H
#define TLY_BATCH_RUN_RETENTION_H

#include "batch_layer/batch_store.h"
#include "common/store/batch_reader.h"

struct tly_run_retention {
  const char *directory;
  const struct tly_project *project;
  tly_batch_store *store;
  tly_batch_reader *reader;
  uint32_t keep_runs; /* >= 1 */
};

/* `published[v]`, for each view of the project, is the run that is published for it, 0 for none. */
TLY_CHECK enum tly_status tly_run_retention_apply(const struct tly_run_retention *retention, const int64_t *published,
                                                  struct tly_error *error);
/* Remove the folder of a run whose process has ended without publishing anything. */
TLY_CHECK enum tly_status tly_run_remove_folder(const char *directory, int64_t run, struct tly_error *error);

#endif
