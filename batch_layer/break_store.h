/* batch_layer/break_store.h -- the writer of reconciliations with ledgers and of their breaks, in batch.db.
 *
 * Path of a ledger: ledger child -> break_file, answer -> ledger_outcome -> [break store] -> batch.db.
 *
 * A reconciliation and all that it changes is one synced transaction: after a kill there is all of it or nothing.
 * Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_BREAK_STORE_H
#define TLY_BATCH_BREAK_STORE_H

#include "batch_layer/batch_store.h"
#include "batch_layer/break_file.h"
#include "batch_layer/break_life.h"
#include "common/store/break_reader.h"

typedef struct tly_break_store tly_break_store;

/* On the connection of `store`, which is borrowed and must outlive it. */
TLY_CHECK enum tly_status tly_break_store_open(tly_batch_store *store, tly_break_store **out, struct tly_error *error);
/* NULL is fine. */
void tly_break_store_close(tly_break_store *breaks);

/* What a break has become, told of each that a reconciliation has seen. */
struct tly_break_mark {
  int64_t id;
  enum tly_break_change change; /* FOUND, CARRIED or REOPENED */
  enum tly_break_status status;
  int64_t since_us; /* its age counts from here */
  int64_t times_seen;
};

struct tly_break_listener {
  enum tly_status (*hear)(void *context, const struct tly_break_record *record, const struct tly_break_mark *mark,
                          struct tly_error *error);
  /* When all were told: to add to *end before it is written. */
  void (*conclude)(void *context, struct tly_reconciliation *end);
  void *context;
};

/* A schedule's minute that is done with, if the reconciliation was for one. */
struct tly_fired_minute {
  const struct tly_view *view; /* NULL: none */
  int64_t fired_at_us;
};

/* A reconciliation has ended. *end has everything that it found; id, previous and the counts of changes are filled in.
 * `source` gives its breaks, end->kept of them, which the caller has made sure of; NULL for an incomplete one, which
 * changes no break. When not all breaks are kept, one that was not seen may be among the others, so none is cleared. */
TLY_CHECK enum tly_status tly_break_store_end(tly_break_store *breaks, struct tly_reconciliation *end,
                                              tly_break_source *source, struct tly_break_listener listener,
                                              struct tly_fired_minute fired, struct tly_error *error);

/* Somebody sets a break's status; what it was goes to *before. TLY_E_UNDEFINED_OBJECT when there is no such break, and
 * the errors of tly_break_life_set: nothing is changed then, and *is_refused is true. Any other failure is one of
 * batch.db. */
TLY_CHECK enum tly_status tly_break_store_set(tly_break_store *breaks, int64_t id, enum tly_break_status status,
                                              const char *who, const char *why, int64_t now_us,
                                              enum tly_break_status *before, bool *is_refused, struct tly_error *error);

/* ---- schedules --------------------------------------------------------------------------------------------------- */

/* The last minute of the view's present schedule that is done with; *found false: none. */
TLY_CHECK enum tly_status tly_break_store_fired(tly_break_store *breaks, const struct tly_view *view,
                                                const char *ledger, bool *found, int64_t *fired_at_us,
                                                struct tly_error *error);
TLY_CHECK enum tly_status tly_break_store_set_fired(tly_break_store *breaks, const char *ledger,
                                                    struct tly_fired_minute fired, struct tly_error *error);

#endif
