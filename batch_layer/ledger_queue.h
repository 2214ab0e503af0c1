/* batch_layer/ledger_queue.h -- reconciliations with ledgers that wait for their turn, and the one under way.
 *
 * Path of a request: batch.sock -> scheduler -> [ledger queue] -> ledger child -> reply.
 *
 * One at a time, in a child process beside the recompute, if there is one: it reads what others have published and
 * writes nothing, so it disturbs no run. It goes on when its client has gone; it ends with this process.
 * Thread: belongs to the scheduler's thread; no call waits. */
#ifndef TLY_BATCH_LEDGER_QUEUE_H
#define TLY_BATCH_LEDGER_QUEUE_H

#include "batch_layer/batch_requests.h"
#include "common/base/process.h"
#include "common/sql/project.h"

typedef struct tly_ledger_queue tly_ledger_queue;

/* All are borrowed. `requests` is where answers go. */
tly_ledger_queue *tly_ledger_queue_new(const struct tly_settings *settings, const struct tly_project *project,
                                       tly_batch_requests *requests);
/* Kills the child; who waits is told so. NULL is fine. */
void tly_ledger_queue_free(tly_ledger_queue *queue);
/* A request `reconcile` with "against". Wrong names, columns and amounts are found here; TLY_E_TOO_MANY when
 * TLY_LEDGER_JOBS_MAX wait. On success it is answered later. */
TLY_CHECK enum tly_status tly_ledger_queue_add(tly_ledger_queue *queue, uint64_t client,
                                               const struct tly_request *request, struct tly_error *error);
/* To be polled for POLLIN; -1: nothing is under way. */
int tly_ledger_queue_fd(const tly_ledger_queue *queue);
/* Pass on what the child has said, start the next one. */
void tly_ledger_queue_go_on(tly_ledger_queue *queue);
bool tly_ledger_queue_is_idle(const tly_ledger_queue *queue);

#endif
