-- batch.db: what the batch layer did and decided. WAL, synchronous=FULL.
-- Written by: the batch layer's scheduler process. Read by: speed layer, serving layer, read-only (common/store).
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  id          INTEGER PRIMARY KEY,   -- never reused; equals the number of the cut it covers
  state       TEXT NOT NULL CHECK (state IN ('running', 'ready', 'failed', 'withdrawn', 'rejected')),
  reason      TEXT NOT NULL,         -- 'schedule', 'manual', 'definition'
  started_at  INTEGER NOT NULL,      -- microseconds since 1970
  finished_at INTEGER,
  events      INTEGER,               -- events read
  drift       INTEGER,               -- keys that differed, over all views; NULL: nothing to compare with
  error       TEXT,                  -- why it failed
  sqlstate    TEXT,
  note        TEXT                   -- what else to know of it: why its drift was not checked
) STRICT;

CREATE TABLE run_view (
  run             INTEGER NOT NULL,
  view            TEXT NOT NULL,
  definition_hash BLOB NOT NULL,
  groups          INTEGER,           -- NULL while running
  folded          INTEGER,           -- events folded, filtered out by WHERE, set aside: they add up to events read
  filtered        INTEGER,
  set_aside       INTEGER,
  drift           INTEGER,           -- NULL: nothing to compare with (first run of this definition)
  content_hash    BLOB,              -- over the canonical content: equal for any thread count
  pieces          INTEGER,
  PRIMARY KEY (run, view)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE schedule (              -- when each view's schedule last fired, so that a missed run is made up once
  view     TEXT PRIMARY KEY,
  cron     TEXT NOT NULL,            -- and behind it the time zone, if it names one
  fired_at INTEGER NOT NULL          -- the scheduled minute, microseconds since 1970
) STRICT, WITHOUT ROWID;
