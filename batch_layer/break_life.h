/* batch_layer/break_life.h -- the life of a break: what becomes of its status when a reconciliation sees it or not, and
 * when somebody says something of it.
 *
 * Path of a ledger: comparison -> break_store [break life] -> batch.db.
 *
 *                    seen                                     not seen                 somebody sets
 *   (nothing)        found, open                              -                        -
 *   open             stays                                    cleared, resolved        any status
 *   investigating    stays                                    cleared, resolved        any status
 *   accepted         stays while the difference is the same,  cleared, resolved        any status
 *                    else reopened, open
 *   resolved, there  reopened, open                           cleared, resolved        any status
 *   resolved, gone   reopened, open                           stays                    resolved alone: a remark
 *
 * "There" is what the last complete reconciliation saw. Thread: pure. */
#ifndef TLY_BATCH_BREAK_LIFE_H
#define TLY_BATCH_BREAK_LIFE_H

#include "common/base/error.h"

enum tly_break_status {
  TLY_BREAK_OPEN,
  TLY_BREAK_INVESTIGATING,
  TLY_BREAK_RESOLVED,
  TLY_BREAK_ACCEPTED,
  TLY_BREAK_STATUS_COUNT
};

enum tly_break_change {
  TLY_BREAK_CARRIED, /* nothing: as it was */
  TLY_BREAK_FOUND,
  TLY_BREAK_REOPENED,
  TLY_BREAK_CLEARED,
  TLY_BREAK_SET
};

struct tly_break_life {
  enum tly_break_status status;
  bool is_present; /* the last complete reconciliation saw it */
};

/* "open", ... Static. */
const char *tly_break_status_name(enum tly_break_status status);
TLY_CHECK enum tly_status tly_break_status_parse(const char *text, enum tly_break_status *out, struct tly_error *error);
/* "found", "reopened", "cleared", "set"; TLY_BREAK_CARRIED has no name, for it is no change. Static. */
const char *tly_break_change_name(enum tly_break_change change);
/* As a reconciliation's lists have it: "new", "carried", "reopened", "cleared". Static. */
const char *tly_break_sighting_name(enum tly_break_change change);

/* A complete reconciliation has seen the break that *life is of: CARRIED or REOPENED. */
enum tly_break_change tly_break_life_see(struct tly_break_life *life, bool is_same_difference);
/* A complete reconciliation that keeps all its breaks has not: CLEARED, or CARRIED when it was gone already. */
enum tly_break_change tly_break_life_miss(struct tly_break_life *life);
/* Somebody sets `status`. TLY_E_NOT_READY when the break is gone and `status` is not resolved; *life is as before. */
TLY_CHECK enum tly_status tly_break_life_set(struct tly_break_life *life, enum tly_break_status status,
                                             struct tly_error *error);

#endif
