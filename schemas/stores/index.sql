-- archive/index.db: which files make up the archive, and where the cuts are.
-- Written by: the archiver. Read by: everybody else, read-only (common/archive). WAL, synchronous=FULL.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,      -- format, archive id (random, once), boot id
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stream (
  name       TEXT PRIMARY KEY,
  definition TEXT NOT NULL,    -- JSON of the stream's columns and format, to see what changed between two starts
  hash       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE segment (
  stream   TEXT NOT NULL,
  number   INTEGER NOT NULL,
  state    TEXT NOT NULL CHECK (state IN ('active', 'sealed', 'replaced')),  -- replaced: rewritten into `replaced_by`, to be deleted
  replaced_by INTEGER,
  PRIMARY KEY (stream, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE cut (
  number     INTEGER PRIMARY KEY,  -- 1, 2, ...; never reused. Blocks appended after cut k carry generation k + 1
  made_at    INTEGER NOT NULL      -- microseconds since 1970
) STRICT;

CREATE TABLE cut_position (
  cut         INTEGER NOT NULL,
  stream      TEXT NOT NULL,
  partition   INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  chain       BLOB NOT NULL,
  PRIMARY KEY (cut, stream, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE cut_view (        -- the views the cut is for; other views go on in the generation they had
  cut  INTEGER NOT NULL,
  view TEXT NOT NULL,
  PRIMARY KEY (cut, view)
) STRICT, WITHOUT ROWID;
