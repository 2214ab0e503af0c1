/* batch_layer/import_memory.h -- where each import of files stands: moved on in the transaction of its events.
 *
 * Path of an event: ingest session -> commit thread -> [import memory], in the active file -> the reply.
 *
 * An import is what a client reads from a place that it can come back to. Each of its requests has a sequence (1, 2,
 * ...), one on its way at a time, and the place in the input behind its events, in the client's own words. So after any
 * crash of anybody the place says exactly which events the archive has. Unlike producers, imports are never forgotten:
 * a forgotten one would be doubled in silence. There may be TLY_IMPORTS_MAX of a stream; a further one is refused.
 * Thread: belongs to the archiver's writing thread. */
#ifndef TLY_BATCH_IMPORT_MEMORY_H
#define TLY_BATCH_IMPORT_MEMORY_H

#include <stdbool.h>

#include "common/sqlite/sqlite.h"

struct tly_import_memory {
  sqlite3_stmt *find, *find_alike, *count, *put;
};

/* One request of an import. `content` tells what it reads (the same in every request), `place` is behind its events. */
struct tly_import_step {
  const char *name, *content, *place;
  int64_t sequence;
  uint64_t accepted, rejected;
};

enum tly_import_turn {
  TLY_IMPORT_NEXT,
  TLY_IMPORT_REPEATED, /* the last one again: it is answered as it was then */
  TLY_IMPORT_REFUSED   /* its own fault, or that of a second client at the same import */
};

TLY_CHECK enum tly_status tly_import_memory_open(sqlite3 *database, struct tly_import_memory *out,
                                                 struct tly_error *error);
/* Also of one whose opening failed. */
void tly_import_memory_close(struct tly_import_memory *memory);

/* Whose turn `step` is. For a repeated one *reply is replaced by what was answered; for a refused one *refusal says
 * why. The status is that of the store. */
TLY_CHECK enum tly_status tly_import_memory_check(struct tly_import_memory *memory, const struct tly_import_step *step,
                                                  enum tly_import_turn *turn, struct tly_buffer *reply,
                                                  struct tly_error *refusal, struct tly_error *error);
/* Move the import on, within the transaction of the events. Totals are added up. */
TLY_CHECK enum tly_status tly_import_memory_put(struct tly_import_memory *memory, const struct tly_import_step *step,
                                                const char *reply, struct tly_error *error);
/* Where the import `name` stands, else another one of the same `content`, as the result of the request `import`. */
TLY_CHECK enum tly_status tly_import_memory_describe(struct tly_import_memory *memory, const char *name,
                                                     const char *content, struct tly_buffer *result,
                                                     struct tly_error *error);
/* All imports of `before` into `after`, within a transaction of it. */
TLY_CHECK enum tly_status tly_import_memory_copy(sqlite3 *before, sqlite3 *after, struct tly_error *error);

#endif
