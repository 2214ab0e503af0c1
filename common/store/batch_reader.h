/* common/store/batch_reader.h -- read batch.db: runs, what each covers, drift, schedules.
 * Thread: a reader belongs to one thread at a time. Results live in the arena given. */
#ifndef TLY_STORE_BATCH_READER_H
#define TLY_STORE_BATCH_READER_H

#include "common/archive/archive_reader.h"
#include "common/store/set_aside_row.h"

/* An operator's word that a run is not shown again for a view: `tally rollback`. */
struct tly_rollback {
  int64_t at_us;
  const char *by, *reason;
};

struct tly_run_view {
  const char *view;
  struct tly_hash definition_hash;
  int64_t scheduled_at_us;                     /* the scheduled minute that the run serves; 0: not of a schedule */
  int64_t groups, folded, filtered, set_aside; /* -1: not known (running) */
  int64_t drift;                               /* -1: nothing to compare with */
  const char *check, *verdict, *found; /* its control total: the condition, "true", "false", "null" or "error", and what
                                          it was computed from; NULL: it had none */
  const struct tly_rollback *rollback; /* NULL: none */
};

struct tly_run {
  int64_t id; /* also the number of its cut */
  const char *state, *reason;
  const char *job;                       /* whose views these are, or NULL */
  int64_t started_at_us, finished_at_us; /* 0: not finished */
  int64_t events;                        /* -1: not known */
  int64_t reused;                        /* of them, those that were not folded again; -1: not known */
  int64_t drift;                         /* -1: nothing to compare with */
  const char *error, *sqlstate;          /* NULL: none */
  const char *note;                      /* what else to know of it (why drift was not checked), or NULL */
  const char *hold;                      /* which control totals did not hold, or NULL */
  int64_t released_at_us;                /* an operator let it go live after all; 0: nobody did */
  const char *released_by, *released_reason;
  struct tly_run_view *views;
  struct tly_position *positions;
  uint32_t view_count, position_count;
  uint32_t attempt;         /* to run for the scheduled minute, from 1; 0: not of a schedule */
  bool is_full;             /* asked to fold everything from the archive */
  struct tly_hash manifest; /* of its manifest, once it is ready */
};

typedef struct tly_batch_reader tly_batch_reader;

TLY_CHECK enum tly_status tly_batch_reader_open(const char *directory, const struct tly_project *project,
                                                tly_batch_reader **out, struct tly_error *error);
void tly_batch_reader_close(tly_batch_reader *reader);
/* All calls between begin and end see one state of the store: the one at the first of them. Every begin needs an end,
 * soon. Without them each call looks anew. */
TLY_CHECK enum tly_status tly_batch_snapshot_begin(tly_batch_reader *reader, struct tly_error *error);
void tly_batch_snapshot_end(tly_batch_reader *reader);
/* Newest first, of those with id < `below` (INT64_MAX: of all) at most `max`. */
TLY_CHECK enum tly_status tly_batch_reader_runs(tly_batch_reader *reader, int64_t below, uint32_t max,
                                                struct tly_arena *arena, struct tly_run **out, uint32_t *count,
                                                struct tly_error *error);
/* Runs in state 'ready' with id > `after`, ascending, with those of their views for which they are not rejected: what
 * the speed layer publishes. */
TLY_CHECK enum tly_status tly_batch_reader_ready(tly_batch_reader *reader, int64_t after, struct tly_arena *arena,
                                                 struct tly_run **out, uint32_t *count, struct tly_error *error);
/* Runs whose files are kept, ready, held or rejected, ascending, with all their views. */
TLY_CHECK enum tly_status tly_batch_reader_kept(tly_batch_reader *reader, struct tly_arena *arena, struct tly_run **out,
                                                uint32_t *count, struct tly_error *error);

/* A run that is not shown again for this view. */
struct tly_rejected {
  int64_t run;
  const char *view;
};
/* Of runs >= `oldest`, by run and view. */
TLY_CHECK enum tly_status tly_batch_reader_rejected(tly_batch_reader *reader, int64_t oldest, struct tly_arena *arena,
                                                    struct tly_rejected **out, uint32_t *count,
                                                    struct tly_error *error);
/* TLY_E_UNDEFINED_OBJECT when there is none of that number. */
TLY_CHECK enum tly_status tly_batch_reader_run(tly_batch_reader *reader, int64_t id, struct tly_arena *arena,
                                               struct tly_run *out, struct tly_error *error);

/* What a run's report says of a view besides: it is not needed to publish or to read it. */
struct tly_run_view_facts {
  const char *view;
  struct tly_hash content_hash;
  bool has_content_hash; /* a run that did not end well has none */
  const char *source;    /* the view's definition and its stream's, as written then; NULL: not known */
};
/* By view. */
TLY_CHECK enum tly_status tly_batch_reader_view_facts(tly_batch_reader *reader, int64_t run, struct tly_arena *arena,
                                                      struct tly_run_view_facts **out, uint32_t *count,
                                                      struct tly_error *error);

/* What is remembered of a schedule: that of a job, or a view's own. */
struct tly_schedule_row {
  const char *name;
  const char *cron;     /* its text, and behind it the time zone, if it names one */
  int64_t fired_at_us;  /* the scheduled minute it last ran for */
  int64_t run;          /* the last run for it; 0: none */
  uint32_t attempts;    /* runs for that minute that have begun; 0: there is nothing to try again */
  int64_t try_at_us;    /* when the next attempt is due; 0: none is */
  int64_t paused_at_us; /* 0: it goes on */
  const char *paused_by;
};
TLY_CHECK enum tly_status tly_batch_reader_schedules(tly_batch_reader *reader, struct tly_arena *arena,
                                                     struct tly_schedule_row **out, uint32_t *count,
                                                     struct tly_error *error);

struct tly_drift_row {
  const char *view, *key, *live, *recomputed; /* JSON texts; live or recomputed NULL: the key is missing there */
  const char *explanation;                    /* JSON: which events explain it; NULL: not searched for */
};
TLY_CHECK enum tly_status tly_batch_reader_drift(tly_batch_reader *reader, int64_t run, struct tly_arena *arena,
                                                 struct tly_drift_row **out, uint32_t *count, struct tly_error *error);

/* The first TLY_SET_ASIDE_LISTED_MAX events set aside a view, by partition and offset. */
TLY_CHECK enum tly_status tly_batch_reader_set_aside(tly_batch_reader *reader, int64_t run, struct tly_arena *arena,
                                                     struct tly_set_aside_row **out, uint32_t *count,
                                                     struct tly_error *error);

#endif
