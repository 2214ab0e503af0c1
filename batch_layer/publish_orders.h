/* batch_layer/publish_orders.h -- an operator's word that a held run goes live after all.
 *
 * Path of a request: batch.sock `publish` -> [publish_orders: held -> ready] -> speed layer publishes -> reply.
 *
 * It works beside the run that is under way, if there is one. Who gave the word, when and why is recorded with the run.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_PUBLISH_ORDERS_H
#define TLY_BATCH_PUBLISH_ORDERS_H

#include "batch_layer/batch_requests.h"
#include "batch_layer/batch_store.h"
#include "batch_layer/definition_watch.h"
#include "batch_layer/speed_watch.h"
#include "common/base/clock.h"
#include "common/store/batch_reader.h"

typedef struct tly_publish_orders tly_publish_orders;

/* All borrowed. */
struct tly_publish_orders_options {
  const char *directory;
  const struct tly_project *project;
  const struct tly_clock *clock;
  tly_batch_store *store;
  tly_batch_reader *reader;
  tly_batch_requests *requests;
  struct tly_speed_watch *speed;
  tly_definition_watch *definitions;
  int publish_wait_ms; /* for a speed layer that makes no progress */
};

tly_publish_orders *tly_publish_orders_new(const struct tly_publish_orders_options *options);
/* Who still waits is told that the process ends; what was released stays so. NULL is fine. */
void tly_publish_orders_free(tly_publish_orders *orders);

/* Take a request `publish`: {"run": 13, "reason": "...", "user": "..."}. Errors are those of its parameters, and
 * TLY_E_TOO_MANY; the others are the reply. */
TLY_CHECK enum tly_status tly_publish_orders_add(tly_publish_orders *orders, uint64_t client,
                                                 const struct tly_request *request, struct tly_error *error);
/* Release what may be, answer what is published. A failure is one of batch.db. */
TLY_CHECK enum tly_status tly_publish_orders_go_on(tly_publish_orders *orders, struct tly_error *error);
bool tly_publish_orders_is_idle(const tly_publish_orders *orders);

#endif
