-- archive/<stream>/<number>.db: the raw events of one stream, the one source of truth.
-- Written by: the archiver (batch_layer/archiver). Read by: everybody else, read-only (common/archive).
-- The active file (index.sql says which it is) is in WAL mode with synchronous=FULL; a sealed file is in rollback mode,
-- 0444, and never changes. Integers are 64-bit; hashes are XXH3-128, 16 bytes, big endian (the canonical form).
CREATE TABLE meta (            -- stream, segment, columns (JSON array of names), sealed ('0'/'1'), replaces (sealed: the number
  name  TEXT PRIMARY KEY,      -- of the file it was rewritten from), created_at, uncoded.<column> ('1': no dictionary any more)
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE block (
  id            INTEGER PRIMARY KEY,  -- append order
  partition     INTEGER NOT NULL,
  generation    INTEGER NOT NULL,     -- stamped at append; re-blocking never merges two
  first_offset  INTEGER NOT NULL,
  event_count   INTEGER NOT NULL,     -- offsets first_offset .. first_offset + event_count - 1
  appended_at   INTEGER NOT NULL,     -- microseconds since 1970, of the oldest event in it
  time_min      INTEGER,              -- event time range, microseconds; NULL when the stream has none
  time_max      INTEGER,
  payload_bytes INTEGER NOT NULL,     -- of the events as they were received
  chain_before  BLOB NOT NULL,        -- running hash over all events of the partition before this block
  chain_after   BLOB NOT NULL,        -- and after it
  checksum      BLOB NOT NULL,        -- over all other columns but raw
  raw_checksum  BLOB NOT NULL,        -- over raw and the block's place
  columns       BLOB NOT NULL,        -- typed columns, derived from raw (common/archive/block.h)
  raw           BLOB NOT NULL         -- original bytes (common/archive/raw.h); last, so that a fold never reads over it
) STRICT;
CREATE UNIQUE INDEX block_position ON block (partition, first_offset);
-- A sealed file has another index, block_place, over all columns but columns and raw (batch_layer/seal): who lists the
-- blocks reads that alone.

CREATE TABLE dictionary (      -- the distinct texts of a column in this file, in code order, in pieces
  column_index INTEGER NOT NULL,
  first_code   INTEGER NOT NULL,
  entry_count  INTEGER NOT NULL,
  entries      BLOB NOT NULL,
  checksum     BLOB NOT NULL,
  PRIMARY KEY (column_index, first_code)
) STRICT, WITHOUT ROWID;

CREATE TABLE producer (        -- the last replies to each producer: a retry is answered by them and not appended again
  name     TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  used_at  INTEGER NOT NULL,   -- microseconds since 1970
  reply    TEXT NOT NULL,      -- JSON, the result as it was sent
  PRIMARY KEY (name, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE import (          -- where each import of files stands, moved with its events; goes along into every new file
  name     TEXT NOT NULL PRIMARY KEY,
  content  TEXT NOT NULL,      -- what tells its input from others, in the client's words
  sequence INTEGER NOT NULL,   -- of its last request
  place    TEXT NOT NULL,      -- in the input, behind the events of that request, in the client's words
  accepted INTEGER NOT NULL,   -- of all its requests
  rejected INTEGER NOT NULL,
  reply    TEXT NOT NULL       -- to the last request, JSON
) STRICT, WITHOUT ROWID;
