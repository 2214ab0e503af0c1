/* batch_layer/rollback.h -- an operator's word that views show an older run again.
 *
 * Path of a request: batch.sock `rollback` -> [rollback: newer runs rejected in batch.db] -> speed layer goes back
 *                    -> reply.
 *
 * The decision is taken and recorded, with a sync, at once, whatever run is under way; what is waited for afterwards is
 * the speed layer alone (speed_layer/go_back.c), which needs nothing but the decision. Thread: belongs to the
 * scheduler's thread. */
#ifndef TLY_BATCH_ROLLBACK_H
#define TLY_BATCH_ROLLBACK_H

#include "batch_layer/batch_requests.h"
#include "batch_layer/batch_store.h"
#include "batch_layer/speed_watch.h"
#include "common/base/clock.h"
#include "common/store/batch_reader.h"

/* Those that somebody waits for. */
typedef struct tly_rollbacks tly_rollbacks;

/* All borrowed. */
struct tly_rollbacks_options {
  const char *directory;
  const struct tly_project *project;
  const struct tly_clock *clock;
  tly_batch_store *store;
  tly_batch_reader *reader;
  tly_batch_requests *requests;
  struct tly_speed_watch *speed;
  int publish_wait_ms; /* for a speed layer that makes no progress */
};

tly_rollbacks *tly_rollbacks_new(const struct tly_rollbacks_options *options);
/* Who still waits is told that the process ends; what was decided stays so. NULL is fine. */
void tly_rollbacks_free(tly_rollbacks *rollbacks);

/* Take a request `rollback`: {"views": [...], "to": 11, "reason": "...", "user": "..."}; without views all that show
 * the newest published run, without `to` each goes to its newest older run. Errors are those of its parameters, and
 * TLY_E_TOO_MANY; the others are the reply. */
TLY_CHECK enum tly_status tly_rollbacks_add(tly_rollbacks *rollbacks, uint64_t client,
                                            const struct tly_request *request, struct tly_error *error);
/* Decide, tell how far they are, answer those that are done. What cannot be carried out changes nothing. A failure is
 * one of batch.db. */
TLY_CHECK enum tly_status tly_rollbacks_go_on(tly_rollbacks *rollbacks, struct tly_error *error);
bool tly_rollbacks_is_idle(const tly_rollbacks *rollbacks);

#endif
