/* batch_layer/ledger_schedule.h -- which views are due to be reconciled with which ledgers, against a clock that a test
 * may turn.
 *
 * Path of a ledger: definitions, clock -> [ledger schedule] -> ledger_queue -> ledger child.
 *
 * A missed minute is made up once. A pair whose schedule is new, or has changed, is first due at its next minute. A
 * reconciliation that stays incomplete is tried again after 1, 4, 16 and 64 minutes, as long as no later minute of the
 * schedule has come; that a minute is done with becomes durable when it is complete or not tried again, so a restart
 * begins its tries anew. Thread: belongs to the scheduler's thread. */
#ifndef TLY_BATCH_LEDGER_SCHEDULE_H
#define TLY_BATCH_LEDGER_SCHEDULE_H

#include "batch_layer/break_store.h"
#include "common/sql/project.h"

typedef struct tly_ledger_schedule tly_ledger_schedule;

/* A reconciliation that is due. */
struct tly_ledger_due {
  const struct tly_view *view;
  const struct tly_ledger *ledger;
  int64_t minute_us; /* that it serves */
};

/* `project` and `breaks` are borrowed. */
TLY_CHECK enum tly_status tly_ledger_schedule_open(const struct tly_project *project, tly_break_store *breaks,
                                                   int64_t now_us, tly_ledger_schedule **out, struct tly_error *error);
/* NULL is fine. */
void tly_ledger_schedule_close(tly_ledger_schedule *schedule);

/* Take the one that has been due for longest; false: none is. It is not given out again before its end. */
bool tly_ledger_schedule_take(tly_ledger_schedule *schedule, int64_t now_us, struct tly_ledger_due *out);
/* It has ended; what is to be stored with it. */
struct tly_fired_minute tly_ledger_schedule_end(tly_ledger_schedule *schedule, const struct tly_ledger_due *due,
                                                bool is_complete, int64_t now_us);

#endif
