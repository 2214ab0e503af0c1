/* common/store/break_reader.h -- read batch.db: reconciliations with ledgers, and the breaks they found.
 *
 * Path of a ledger: break_store (batch layer) -> batch.db -> [break reader] -> breaks, as a list or by SQL.
 * Each call is one short read transaction. Thread: a reader belongs to one thread at a time. Results live in the arena
 * given; texts of JSON are valid JSON. */
#ifndef TLY_STORE_BREAK_READER_H
#define TLY_STORE_BREAK_READER_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/sql/typed_tree.h"

typedef struct tly_break_reader tly_break_reader;

/* TLY_E_NOT_READY while there is no batch.db. */
TLY_CHECK enum tly_status tly_break_reader_open(const char *directory, tly_break_reader **out, struct tly_error *error);
/* NULL is fine. */
void tly_break_reader_close(tly_break_reader *reader);

/* ---- age --------------------------------------------------------------------------------------------------------- */

/* Whole days of 24 hours from `since_us` to `until_us`; 0 when the clock was put back. */
int64_t tly_break_age_days(int64_t since_us, int64_t until_us);
/* Its bucket: "0-1", "2-7", "8-30", "31-90", ">90". Static. */
const char *tly_break_age_bucket(int64_t days);

/* ---- breaks ------------------------------------------------------------------------------------------------------ */

struct tly_break_row {
  int64_t id;
  const char *view, *ledger;
  const char *key;               /* JSON object */
  const char *column;            /* NULL: the key as a whole */
  const char *kind;              /* "over", "missing_in_ledger", ... */
  const char *status;            /* "open", "investigating", "resolved", "accepted" */
  bool is_present;               /* the last complete reconciliation of the view with the ledger saw it */
  int64_t first_seen, last_seen; /* reconciliations */
  int64_t first_seen_at_us, last_seen_at_us;
  int64_t times_seen;
  int64_t since_us;                             /* when it came, the last time it did */
  int64_t gone_at_us;                           /* when it was seen to be gone; 0: it is present */
  const char *tally, *ledger_side, *difference; /* JSON, when it was last seen; "null": the side has no such key */
  int64_t ledger_rows;
};

/* Which breaks; a zeroed one is all that are not resolved. */
struct tly_break_filter {
  const char *view, *ledger; /* NULL: any */
  const char *status;        /* this one alone; NULL: any */
  bool with_resolved;        /* also what is resolved, when `status` is NULL */
  int64_t id;                /* this one alone, whatever its status; 0: any */
  int64_t after;             /* those with a greater id */
};

/* By id, at most `max`. */
TLY_CHECK enum tly_status tly_break_reader_breaks(tly_break_reader *reader, const struct tly_break_filter *filter,
                                                  uint32_t max, struct tly_arena *arena, struct tly_break_row **out,
                                                  uint32_t *count, struct tly_error *error);

/* A change of a break's status. */
struct tly_break_event {
  int64_t at_us;
  const char *change; /* "found", "reopened", "cleared", "set" */
  const char *status; /* from then on */
  const char *who, *why;
  int64_t reconciliation; /* 0: somebody made it */
};

/* All changes of a break, oldest first. */
TLY_CHECK enum tly_status tly_break_reader_history(tly_break_reader *reader, int64_t id, struct tly_arena *arena,
                                                   struct tly_break_event **out, uint32_t *count,
                                                   struct tly_error *error);

/* ---- reconciliations --------------------------------------------------------------------------------------------- */

/* Counts are -1, texts NULL where there is none: for an incomplete one. */
struct tly_reconciliation {
  int64_t id;
  const char *view, *ledger, *reason; /* "manual", "schedule" */
  int64_t scheduled_for_us;           /* 0: manual */
  int64_t started_at_us, finished_at_us;
  const char *result; /* "OK", "BREAKS", "INCOMPLETE" */
  const char *error, *sqlstate;
  const char *tolerance;
  const char *columns; /* JSON object: key, compared, only_in_view, only_in_ledger */
  struct tly_hash definition_hash, ledger_hash;
  bool has_ledger_hash;
  const char *as_of; /* JSON object: tally, ledger */
  int64_t keys, matched, within_tolerance, broken, tally_keys, ledger_rows;
  int64_t breaks, kept;
  const char *kinds, *totals; /* JSON */
  int64_t previous;           /* -1: it is the first */
  int64_t new_count, carried, reopened, cleared, accepted;
  const char *view_source, *ledger_source; /* definitions as written then; NULL: not known, or not asked for */
};

/* Newest first, at most `max`; NULL: of any view, any ledger. */
TLY_CHECK enum tly_status tly_break_reader_reconciliations(tly_break_reader *reader, const char *view,
                                                           const char *ledger, uint32_t max, struct tly_arena *arena,
                                                           struct tly_reconciliation **out, uint32_t *count,
                                                           struct tly_error *error);

/* One of them, with its sources. TLY_E_UNDEFINED_OBJECT when there is none of that number. */
TLY_CHECK enum tly_status tly_break_reader_reconciliation(tly_break_reader *reader, int64_t id, struct tly_arena *arena,
                                                          struct tly_reconciliation *out, struct tly_error *error);

/* A break as a reconciliation saw it, or saw that it is gone. It never changes. */
struct tly_sighting {
  int64_t id;               /* of the break */
  const char *key, *column; /* as in tly_break_row */
  const char *kind;
  const char *change;            /* "new", "carried", "reopened", "cleared" */
  struct tly_break_event status; /* the last change of its status then */
  int64_t first_seen, since_us, times_seen;
  const char *tally, *ledger_side, *difference; /* cleared: when it was last seen */
  int64_t ledger_rows;
};

/* Those of breaks with an id > `after`, by id, at most `max`. */
TLY_CHECK enum tly_status tly_break_reader_sightings(tly_break_reader *reader, int64_t reconciliation, int64_t after,
                                                     uint32_t max, struct tly_arena *arena, struct tly_sighting **out,
                                                     uint32_t *count, struct tly_error *error);

#endif
