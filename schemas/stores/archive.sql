-- archive/<stream>/<number>.db: the raw events of one stream, the one source of truth.
-- Written by: the archiver (batch_layer/archiver). Read by: everybody else, read-only (common/archive).
-- The active file (the highest number) is in WAL mode with synchronous=FULL; a sealed file is in rollback mode, 0444,
-- and never changes. Integers are 64-bit; hashes are XXH3-128, 16 bytes, big endian (the canonical form).
CREATE TABLE meta (            -- format, stream, segment, sealed ('0'/'1'), layout definitions: one row a fact
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE block (
  id           INTEGER PRIMARY KEY,  -- append order
  partition    INTEGER NOT NULL,
  generation   INTEGER NOT NULL,     -- stamped at append; re-blocking never merges two
  first_offset INTEGER NOT NULL,
  event_count  INTEGER NOT NULL,     -- offsets first_offset .. first_offset + event_count - 1
  appended_at  INTEGER NOT NULL,     -- microseconds since 1970, of the oldest event in it
  time_min     INTEGER,              -- event time range, microseconds; NULL when the stream has none
  time_max     INTEGER,
  chain_before BLOB NOT NULL,        -- running hash over all events of the partition before this block
  chain_after  BLOB NOT NULL,        -- and after it
  raw          BLOB NOT NULL,        -- original bytes (common/archive/block.h)
  columns      BLOB NOT NULL,        -- typed columns, derived from raw
  checksum     BLOB NOT NULL         -- over all of the above
) STRICT;
CREATE UNIQUE INDEX block_position ON block (partition, first_offset);

CREATE TABLE dictionary (      -- the distinct texts of a column in this file, in code order, in pieces
  column_index INTEGER NOT NULL,
  first_code   INTEGER NOT NULL,
  entry_count  INTEGER NOT NULL,
  entries      BLOB NOT NULL,
  checksum     BLOB NOT NULL,
  PRIMARY KEY (column_index, first_code)
) STRICT, WITHOUT ROWID;

CREATE TABLE producer (        -- the last sequence acknowledged to each producer: a retry is not appended again
  name     TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL,
  accepted INTEGER NOT NULL,   -- what the reply to that sequence said
  rejected INTEGER NOT NULL,
  reply    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
