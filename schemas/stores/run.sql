-- runs/<run>/<view>.<part>.<piece>.db: the groups of one view up to a cut, sorted by key, in blocks.
-- Written by: a recompute (batch_layer/run_writer), once; immutable after. Read by: everybody (common/store/run_reader).
-- A view's groups may lie in several pieces, each a key range, so that several threads can write.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,      -- format, run, view, definition hash, part, piece, groups, content hash
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE block (
  id          INTEGER PRIMARY KEY,  -- 1, 2, ... in key order
  first_key   BLOB NOT NULL,
  last_key    BLOB NOT NULL,
  group_count INTEGER NOT NULL,
  body        BLOB NOT NULL,        -- common/engine/group_block.h
  checksum    BLOB NOT NULL         -- XXH3-128 over the columns before it; checked at each read
) STRICT;
