-- runs/<run>/<view>.<part>.<piece>.db: the groups of one view up to a cut, sorted by key, in blocks.
-- (and partials/<hash>/, the same of a partial result, batch_layer/partial.h)
-- Written by: a recompute (batch_layer/run_writer), once; immutable after. Read by: everybody (common/store/run_reader).
-- A view's groups may lie in several pieces, each a key range, so that several threads can write.
-- A new *chapter* begins at each key whose hash says so (common/store/run_reader.h); blocks have 512 groups counted from
-- the beginning of their chapter, and pieces begin where chapters do. So the blocks do not depend on how many pieces (or
-- threads) there are, and a group more or less changes the blocks of one chapter only.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,      -- run, view, definition, part, piece, pieces, groups; checksum: over those and all that
                               -- directory says, so that a lost or misplaced block shows when the file is opened
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE directory (            -- apart from the bodies: who opens the file reads this and nothing else
  id          INTEGER PRIMARY KEY,  -- of the block: 1, 2, ... in key order
  first_key   BLOB NOT NULL,
  last_key    BLOB NOT NULL,
  group_count INTEGER NOT NULL,
  checksum    BLOB NOT NULL         -- XXH3-128 over the keys, the count and the body; checked at each read
) STRICT;

CREATE TABLE block (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL                -- common/engine/group_block.h
) STRICT;
