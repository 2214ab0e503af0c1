-- batch.db: what the batch layer did and decided. WAL, synchronous=FULL.
-- Written by: the batch layer's scheduler process. Read by: speed layer, serving layer, read-only (common/store).
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE source_text (           -- definitions as they were written when they were used, each text once
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE run (
  id          INTEGER PRIMARY KEY,   -- never reused; equals the number of the cut it covers
  state       TEXT NOT NULL CHECK (state IN ('running', 'ready', 'held', 'failed', 'withdrawn', 'rejected')),
  reason      TEXT NOT NULL,         -- 'schedule', 'manual', 'definition'
  job         TEXT,                  -- whose views these are; NULL: of none
  attempt     INTEGER,               -- to run for the scheduled minute, from 1; NULL: not of a schedule
  started_at  INTEGER NOT NULL,      -- microseconds since 1970
  finished_at INTEGER,
  events      INTEGER,               -- events below the cut, of the run's streams
  reused      INTEGER,               -- of them, those that were not folded again: taken over from an earlier run, or from
                                     -- what a run that died had kept
  is_full     INTEGER NOT NULL DEFAULT 0,  -- 1: asked to fold everything from the archive
  manifest    BLOB,                  -- hash of runs/<id>/manifest.json
  drift       INTEGER,               -- keys that differed, over all views; NULL: nothing to compare with
  error       TEXT,                  -- why it failed
  sqlstate    TEXT,
  note        TEXT,                  -- what else to know of it: why its drift was not checked
  hold        TEXT,                  -- why it did not go live by itself: which control totals did not hold
  released_at     INTEGER,           -- an operator let it go live after all: when, who, why
  released_by     TEXT,
  released_reason TEXT
) STRICT;

CREATE TABLE run_view (
  run             INTEGER NOT NULL,
  view            TEXT NOT NULL,
  definition_hash BLOB NOT NULL,
  scheduled_at    INTEGER,           -- the scheduled minute that this run serves; NULL: not of a schedule
  groups          INTEGER,           -- NULL while running
  folded          INTEGER,           -- events folded, filtered out by WHERE, set aside: they add up to events read
  filtered        INTEGER,
  set_aside       INTEGER,
  drift           INTEGER,           -- NULL: nothing to compare with (first run of this definition)
  content_hash    BLOB,              -- over the canonical content: equal for any thread count
  pieces          INTEGER,
  check_text      TEXT,              -- the view's check as it was then; NULL: it had none
  check_verdict   TEXT CHECK (check_verdict IN ('true', 'false', 'null', 'error')),
  check_found     TEXT,              -- the values it was computed from
  rollback        INTEGER,           -- the rollback that has rejected the run for this view; NULL: none has
  source          INTEGER,           -- source_text of the view and its stream
  PRIMARY KEY (run, view)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_view_rejected ON run_view (run, view) WHERE rollback IS NOT NULL;

CREATE TABLE rollback (              -- an operator's word; it is never taken back. A run that is rejected for all its
  id     INTEGER PRIMARY KEY,        -- views is in state 'rejected'
  at     INTEGER NOT NULL,           -- microseconds since 1970
  by     TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;

CREATE TABLE run_position (          -- the cut, with chain hashes
  run         INTEGER NOT NULL,
  stream      TEXT NOT NULL,
  partition   INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  chain       BLOB NOT NULL,
  PRIMARY KEY (run, stream, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE drift (                 -- at most TLY_DRIFT_LISTED_MAX a run; run_view.drift counts all
  run        INTEGER NOT NULL,
  view       TEXT NOT NULL,
  number     INTEGER NOT NULL,
  key        TEXT NOT NULL,          -- JSON array of the group's key columns
  live       TEXT,                   -- JSON object of the columns that differ; NULL: the key is missing there
  recomputed TEXT,
  explanation TEXT,                  -- JSON object: which events explain it; NULL: not searched for
  PRIMARY KEY (run, view, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (             -- events a view's expression raised on, at most TLY_SET_ASIDE_LISTED_MAX a run and view
  run       INTEGER NOT NULL,
  view      TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset    INTEGER NOT NULL,
  sqlstate  TEXT NOT NULL,
  message   TEXT NOT NULL,
  PRIMARY KEY (run, view, partition, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE schedule (              -- of a job, or of a view with a schedule of its own
  name      TEXT PRIMARY KEY,
  cron      TEXT NOT NULL,           -- and behind it the time zone, if it names one
  fired_at  INTEGER NOT NULL,        -- the scheduled minute it last ran for: a missed one is made up once; microseconds
                                     -- since 1970
  run       INTEGER,                 -- the last run for it, if there was one
  attempts  INTEGER NOT NULL,        -- runs for that minute that have begun; 0: there is nothing to try again
  try_at    INTEGER,                 -- when the next attempt is due; NULL: none is
  paused_at INTEGER,                 -- NULL: it goes on
  paused_by TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE reconciliation (        -- each comparison of a view with a ledger that has ended, however it did
  id              INTEGER PRIMARY KEY, -- 1, 2, 3, ...
  view            TEXT NOT NULL,
  ledger          TEXT NOT NULL,
  reason          TEXT NOT NULL CHECK (reason IN ('manual', 'schedule')),
  scheduled_for   INTEGER,           -- the minute it served, microseconds since 1970; NULL: manual
  started_at      INTEGER NOT NULL,
  finished_at     INTEGER NOT NULL,
  result          TEXT NOT NULL CHECK (result IN ('OK', 'BREAKS', 'INCOMPLETE')),
  error           TEXT,              -- why it is INCOMPLETE; only then, and then counts and totals are NULL
  sqlstate        TEXT,
  tolerance       TEXT NOT NULL,     -- the rule set: an amount, and
  columns         TEXT NOT NULL,     -- JSON {"key":[..],"compared":[..],"only_in_view":[..],"only_in_ledger":[..]}
  definition_hash BLOB NOT NULL,     -- of the view
  ledger_hash     BLOB,              -- XXH3-128 of what was read of the ledger: canonical rows in key order
  as_of           TEXT NOT NULL,     -- JSON {"tally":..,"ledger":..}: both instants; null for a side that was not opened
  keys            INTEGER,           -- of both sides = matched + within_tolerance + broken
  matched         INTEGER,
  within_tolerance INTEGER,
  broken          INTEGER,
  tally_keys      INTEGER,
  ledger_rows     INTEGER,
  breaks          INTEGER,           -- all; those that are rows of `break` are kept
  kept            INTEGER,
  kinds           TEXT,              -- JSON {"over":..,...}
  totals          TEXT,              -- JSON, by column and currency
  previous        INTEGER,           -- the complete one of this pair before it, that the following are against
  new             INTEGER,
  carried         INTEGER,
  reopened        INTEGER,
  cleared         INTEGER,
  accepted        INTEGER,           -- of those kept
  view_source     INTEGER,           -- source_text of the view and its stream; NULL: not that of definition_hash
  ledger_source   INTEGER            -- source_text of the ledger
) STRICT;
CREATE INDEX reconciliation_of_pair ON reconciliation (view, ledger, id);

CREATE TABLE break (                 -- a difference between a view and a ledger, from when it was first seen, for good
  id          INTEGER PRIMARY KEY,   -- 1, 2, 3, ...: rows are never deleted
  view        TEXT NOT NULL,
  ledger      TEXT NOT NULL,
  key         TEXT NOT NULL,         -- JSON object of the key columns
  column_name TEXT NOT NULL,         -- '': the key as a whole
  kind        TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('open', 'investigating', 'resolved', 'accepted')),
  is_present  INTEGER NOT NULL,      -- whether the last complete reconciliation saw it
  first_seen  INTEGER NOT NULL,      -- reconciliation
  first_seen_at INTEGER NOT NULL,
  last_seen   INTEGER NOT NULL,      -- reconciliation
  last_seen_at INTEGER NOT NULL,
  times_seen  INTEGER NOT NULL,
  since       INTEGER NOT NULL,      -- when it came, the last time it did: its age counts from here ...
  gone_at     INTEGER,               -- ... to here, or on
  tally       TEXT NOT NULL,         -- JSON object of the values when last seen; null: the side does not have the key
  ledger_side TEXT NOT NULL,
  difference  TEXT NOT NULL,         -- JSON object: tally - ledger of the amounts
  ledger_rows INTEGER NOT NULL,      -- under the key
  fingerprint BLOB NOT NULL,         -- equal for equal differences, by value
  UNIQUE (view, ledger, key, column_name, kind)
) STRICT;
CREATE INDEX break_that_is_present ON break (view, ledger, last_seen) WHERE is_present = 1;

CREATE TABLE break_history (         -- every change of a break's status; never edited
  break          INTEGER NOT NULL,
  number         INTEGER NOT NULL,   -- 1, 2, 3, ... of the break
  at             INTEGER NOT NULL,
  change         TEXT NOT NULL CHECK (change IN ('found', 'reopened', 'cleared', 'set')),
  status         TEXT NOT NULL,      -- from now on
  who            TEXT NOT NULL,      -- 'reconciliation', or a name
  why            TEXT NOT NULL,
  reconciliation INTEGER,            -- that made the change; NULL: somebody did
  PRIMARY KEY (break, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER break_history_is_not_updated BEFORE UPDATE ON break_history
BEGIN SELECT RAISE(ABORT, 'the history of a break is never edited'); END;
CREATE TRIGGER break_history_is_not_deleted BEFORE DELETE ON break_history
BEGIN SELECT RAISE(ABORT, 'the history of a break is never edited'); END;

CREATE TABLE sighting (              -- what a reconciliation saw of each break, or that it is gone: its report, for good
  reconciliation INTEGER NOT NULL,
  break          INTEGER NOT NULL,
  change         TEXT NOT NULL CHECK (change IN ('new', 'carried', 'reopened', 'cleared')),
  history        INTEGER NOT NULL,   -- number of the break's last change then: its status, by whom and why
  since          INTEGER NOT NULL,   -- of `break`, as they were then; cleared: as it was last seen
  times_seen     INTEGER NOT NULL,
  tally          TEXT NOT NULL,
  ledger_side    TEXT NOT NULL,
  difference     TEXT NOT NULL,
  ledger_rows    INTEGER NOT NULL,
  PRIMARY KEY (reconciliation, break)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER sighting_is_not_updated BEFORE UPDATE ON sighting
BEGIN SELECT RAISE(ABORT, 'what a reconciliation saw is never edited'); END;
CREATE TRIGGER sighting_is_not_deleted BEFORE DELETE ON sighting
BEGIN SELECT RAISE(ABORT, 'what a reconciliation saw is never edited'); END;

CREATE TABLE reconciliation_schedule ( -- as `schedule`, for views that are reconciled by themselves
  view     TEXT NOT NULL,
  ledger   TEXT NOT NULL,
  cron     TEXT NOT NULL,            -- and behind it the time zone, if it names one
  fired_at INTEGER NOT NULL,         -- the last minute that is done with
  PRIMARY KEY (view, ledger)
) STRICT, WITHOUT ROWID;
