/* batch_layer/ledger_queue.h -- reconciliations with ledgers that wait for their turn, and the one under way.
 *
 * Path of a request: batch.sock -> scheduler -> [ledger queue] -> ledger child -> ledger_outcome -> reply.
 *                     clock -> ledger_schedule ------^
 *
 * One at a time, in a child process beside the recompute, if there is one: it reads what others have published, so it
 * disturbs no run. It goes on when its client has gone; it ends with this process, and has not happened then. One that
 * has ended, however it did, is kept in batch.db before anybody is told.
 * Thread: belongs to the scheduler's thread; no call waits for a child. */
#ifndef TLY_BATCH_LEDGER_QUEUE_H
#define TLY_BATCH_LEDGER_QUEUE_H

#include "batch_layer/batch_requests.h"
#include "batch_layer/break_store.h"
#include "common/base/clock.h"
#include "common/base/process.h"
#include "common/sql/project.h"

typedef struct tly_ledger_queue tly_ledger_queue;

/* All are borrowed. */
struct tly_ledger_queue_options {
  const struct tly_settings *settings;
  const struct tly_project *project;
  const struct tly_clock *clock;
  tly_batch_requests *requests; /* where answers go */
  tly_break_store *breaks;
};

TLY_CHECK enum tly_status tly_ledger_queue_open(const struct tly_ledger_queue_options *options, tly_ledger_queue **out,
                                                struct tly_error *error);
/* Kills the child; who waits is told so. NULL is fine. */
void tly_ledger_queue_close(tly_ledger_queue *queue);
/* A request `reconcile` with "against". Wrong names, columns and amounts are found here; TLY_E_TOO_MANY when
 * TLY_LEDGER_JOBS_MAX wait. On success it is answered later. */
TLY_CHECK enum tly_status tly_ledger_queue_add(tly_ledger_queue *queue, uint64_t client,
                                               const struct tly_request *request, struct tly_error *error);
/* To be polled for POLLIN; -1: nothing is under way. */
int tly_ledger_queue_fd(const tly_ledger_queue *queue);
/* Pass on what the child has said, keep what came out, take what is due, start the next one. A failure is one of
 * batch.db. */
TLY_CHECK enum tly_status tly_ledger_queue_go_on(tly_ledger_queue *queue, struct tly_error *error);
bool tly_ledger_queue_is_idle(const tly_ledger_queue *queue);

#endif
