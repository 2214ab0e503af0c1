-- speed-<epoch>.db: the live increments and what is published. WAL, synchronous=NORMAL: a power cut takes the newest
-- folds, never consistency; all of it can be rebuilt from the newest run and the archive.
-- Written by: the speed layer. Read by: serving layer and batch layer (drift check), read-only (common/store).
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,       -- checked: '<boot id> <process token>' of the last check against the archive
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE position (         -- the next event to fold and the chain hash before it, a partition
  stream      TEXT NOT NULL,
  partition   INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  chain       BLOB NOT NULL,
  generation  INTEGER NOT NULL, -- stamp of the last block folded
  PRIMARY KEY (stream, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE known_cuts (       -- the archive's cuts on which the generations rest: one row
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  number INTEGER NOT NULL,      -- of the newest
  chain  BLOB NOT NULL          -- running hash over all cuts up to it: number, time, views
) STRICT;

CREATE TABLE view (             -- the views that are folded, a row a definition; and, while a view goes back to an older
                                -- run (a rollback), a second row, building, that will take the place of the first
  id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: what belongs to no view is dropped
  name            TEXT NOT NULL,
  definition_hash BLOB NOT NULL,
  state           TEXT NOT NULL CHECK (state IN ('building', 'ready')),
  run             INTEGER NOT NULL,  -- published run; 0: none, the view is all live since the archive's beginning
  cut             INTEGER NOT NULL,  -- the cut that run covers; 0: none. Generations <= cut are invisible
  UNIQUE (name, state)
) STRICT;

CREATE TABLE catch_up (         -- a view that is building on a run: how far its folding has come from the run's cut
  view        INTEGER NOT NULL, -- towards `position`; once there the view is ready
  partition   INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  chain       BLOB NOT NULL,
  PRIMARY KEY (view, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE generation (       -- the live increments of a view between two cuts that name it
  view       INTEGER NOT NULL,
  number     INTEGER NOT NULL,  -- 1 + the last cut that names the view before these events
  folded     INTEGER NOT NULL,
  filtered   INTEGER NOT NULL,
  set_aside  INTEGER NOT NULL,
  PRIMARY KEY (view, number)
) STRICT, WITHOUT ROWID;

-- A generation's groups: deltas, each a sorted list of increments, merged by addition (a log-structured merge tree of
-- increments). A commit adds one; enough deltas of one level are merged into one. The level is the size class: up to 512
-- groups are level 0, each further level holds eight times as many. Level -1 is being written by a merge: not there yet.
CREATE TABLE delta (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: readers may cache blocks by it
  view       INTEGER NOT NULL,
  part       INTEGER NOT NULL,  -- 0: the groups; 1..: the distinct sets (common/engine/view_program.h)
  generation INTEGER NOT NULL,
  level      INTEGER NOT NULL,
  group_count INTEGER NOT NULL
) STRICT;
CREATE INDEX delta_view ON delta (view, part, generation);

CREATE TABLE delta_block (
  delta       INTEGER NOT NULL,
  number      INTEGER NOT NULL,  -- 0, 1, ... in key order
  first_key   BLOB NOT NULL,
  last_key    BLOB NOT NULL,
  group_count INTEGER NOT NULL,
  body        BLOB NOT NULL,     -- common/engine/group_block.h
  checksum    BLOB NOT NULL,
  PRIMARY KEY (delta, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE dropped_delta (     -- deltas merged away or trimmed, whose blocks are still to be deleted, in small steps
  id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE set_aside (         -- at most TLY_SET_ASIDE_LISTED_MAX a view; generation.set_aside counts all
  view       INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  partition  INTEGER NOT NULL,
  offset     INTEGER NOT NULL,
  sqlstate   TEXT NOT NULL,
  message    TEXT NOT NULL,
  PRIMARY KEY (view, partition, offset)
) STRICT, WITHOUT ROWID;
