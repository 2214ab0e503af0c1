/* batch_layer/commit_thread.h -- the one thread that writes the archive: groups of requests become one synced
 * transaction.
 *
 * Path of an event: decoded job -> [queue, group, commit] -> done job. Decoding of the next group overlaps with the
 * commit of this one. When little comes, a commit is made at once; when much comes, commits start at most once a
 * millisecond, so that each carries more. Thread: submit, take_done and stop belong to the loop's thread. */
#ifndef TLY_BATCH_COMMIT_THREAD_H
#define TLY_BATCH_COMMIT_THREAD_H

#include "batch_layer/archive_job.h"
#include "batch_layer/archive_writer.h"
#include "common/base/process.h"

typedef struct tly_commit_thread tly_commit_thread;

/* Takes `writer` over (used and at last closed by the thread). `settings` gives folder and sealing bounds. */
TLY_CHECK enum tly_status tly_commit_thread_start(tly_archive_writer *writer, const struct tly_project *project,
                                                  const struct tly_settings *settings, tly_commit_thread **out,
                                                  struct tly_error *error);
/* Pass a job on; never blocks. Jobs are done in this order. The caller asks is_full before. */
void tly_commit_thread_submit(tly_commit_thread *thread, struct tly_archive_job *job);
/* So much is submitted and not taken back that nothing more should come. */
bool tly_commit_thread_is_full(const tly_commit_thread *thread);
/* Readable when jobs are done; take_done clears it. */
int tly_commit_thread_fd(const tly_commit_thread *thread);
/* The jobs done since the last call, linked by next, in order; or NULL. */
struct tly_archive_job *tly_commit_thread_take_done(tly_commit_thread *thread);
/* The archive cannot be written any more: the process must end once the replies are sent. */
bool tly_commit_thread_is_broken(tly_commit_thread *thread);
/* Do what was submitted, then end and close the writer. Jobs done last are taken by take_done before free. */
void tly_commit_thread_stop(tly_commit_thread *thread);
void tly_commit_thread_free(tly_commit_thread *thread);

#endif
