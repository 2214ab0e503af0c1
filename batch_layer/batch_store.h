/* batch_layer/batch_store.h -- the writer of batch.db: what the batch layer did and decided.
 *
 * Path of an event: ... -> recompute -> run files -> [batch_store: run k is ready] -> speed layer publishes it.
 *
 * A run is `running`, then `ready`, `held` (its control totals do not hold) or `failed`; a held one may become ready by
 * an operator's word; a ready one may become `rejected` by a rollback; and all three `withdrawn` before their files are
 * deleted. No other change of state exists; each is one synced transaction. A rollback is of views: a run is rejected
 * for each of them, and as a whole once it is for all that it has; one that is still running, when it ends.
 * Thread: belongs to the scheduler's thread, the only writer. */
#ifndef TLY_BATCH_BATCH_STORE_H
#define TLY_BATCH_BATCH_STORE_H

#include "batch_layer/run_result.h"
#include "common/store/batch_reader.h"

typedef struct tly_batch_store tly_batch_store;

/* Open or make `directory`/batch.db. Runs that were left running become failed: their process has ended. */
TLY_CHECK enum tly_status tly_batch_store_open(const char *directory, int64_t now_us, tly_batch_store **out,
                                               struct tly_error *error);
void tly_batch_store_close(tly_batch_store *store);

/* For those who keep other tables of batch.db (break_store): the one connection that writes it, and a transaction of
 * theirs. end commits when `status` is TLY_OK, else it rolls back, and gives the status of the whole. */
struct sqlite3 *tly_batch_store_database(tly_batch_store *store);
TLY_CHECK enum tly_status tly_batch_store_transaction_begin(tly_batch_store *store, struct tly_error *error);
TLY_CHECK enum tly_status tly_batch_store_transaction_end(tly_batch_store *store, enum tly_status status,
                                                          struct tly_error *error);

/* Within a transaction: from now on a definition's text is a row of source_text, if it was not. */
TLY_CHECK enum tly_status tly_batch_store_add_source(tly_batch_store *store, const char *text, struct tly_error *error);

/* A run that begins. */
struct tly_run_start {
  const struct tly_cut *cut; /* its number is the run's id */
  const char *reason;        /* "schedule", "manual", "definition" */
  bool is_full;              /* it takes nothing over from earlier runs */
  int64_t started_at_us;
  const struct tly_view *const *views;
  const int64_t *fired_at_us; /* one a view: the scheduled minute that this run serves, or 0 */
  uint32_t view_count;
  const char *job;                          /* whose views these are, or NULL */
  uint32_t attempt;                         /* of a schedule, from 1; else 0 */
  const struct tly_schedule_row *schedules; /* what is to be remembered of those that it runs for; `run` is set here */
  uint32_t schedule_count;
};

TLY_CHECK enum tly_status tly_batch_store_begin(tly_batch_store *store, const struct tly_run_start *start,
                                                struct tly_error *error);
/* running -> ready, with everything the recompute found; or rejected, when it has been for all its views meanwhile. */
TLY_CHECK enum tly_status tly_batch_store_ready(tly_batch_store *store, const struct tly_run_result *result,
                                                int64_t now_us, struct tly_error *error);
/* running -> held, with the same, and the words why. */
TLY_CHECK enum tly_status tly_batch_store_hold(tly_batch_store *store, const struct tly_run_result *result,
                                               const char *why, int64_t now_us, struct tly_error *error);

/* An operator's word. */
struct tly_run_release {
  int64_t at_us;
  const char *by, *reason;
};

/* held -> ready. */
TLY_CHECK enum tly_status tly_batch_store_release(tly_batch_store *store, int64_t run,
                                                  const struct tly_run_release *release, struct tly_error *error);
/* running -> failed, with the words of `why`. */
TLY_CHECK enum tly_status tly_batch_store_fail(tly_batch_store *store, int64_t run, int64_t now_us,
                                               const struct tly_error *why, struct tly_error *error);
/* An operator's word: of each view, runs of its definition newer than `target` are never shown again. */
struct tly_rollback_order {
  int64_t at_us;
  const char *by, *reason;
  const struct tly_view *const *views;
  const int64_t *targets; /* one a view */
  uint32_t view_count;
};

/* Reject, ready or running, what the order says. `rejected_count` is for how many runs and views; nothing is recorded
 * when there are none. */
TLY_CHECK enum tly_status tly_batch_store_roll_back(tly_batch_store *store, const struct tly_rollback_order *order,
                                                    uint32_t *rejected_count, struct tly_error *error);
/* For which views, one flag a view of the project, the run was rejected. */
TLY_CHECK enum tly_status tly_batch_store_rejected(tly_batch_store *store, int64_t run,
                                                   const struct tly_project *project, bool *views,
                                                   struct tly_error *error);
/* ready, held or rejected -> withdrawn: from now on nobody may begin to read it. */
TLY_CHECK enum tly_status tly_batch_store_withdraw(tly_batch_store *store, int64_t run, struct tly_error *error);

/* Remember this of a schedule, all but whether it is paused; a new one is not. */
TLY_CHECK enum tly_status tly_batch_store_set_schedule(tly_batch_store *store, const struct tly_schedule_row *row,
                                                       struct tly_error *error);
/* Remember whether it is paused, and nothing else. The schedule is known. */
TLY_CHECK enum tly_status tly_batch_store_set_pause(tly_batch_store *store, const struct tly_schedule_row *row,
                                                    struct tly_error *error);

#endif
