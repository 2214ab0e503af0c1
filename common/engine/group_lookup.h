/* common/engine/group_lookup.h -- from words of key columns to group numbers of a table. Private to the engine wing.
 *
 * The encoded key of a group is built once, when its words are new; after that an event finds its group by words alone.
 * Thread: as group_table.h. */
#ifndef TLY_ENGINE_GROUP_LOOKUP_H
#define TLY_ENGINE_GROUP_LOOKUP_H

#include "common/engine/group_access.h"
#include "common/engine/kernel.h"

typedef struct tly_group_lookup tly_group_lookup;

/* Builds the encoded key of a row into an empty buffer. */
typedef void (*tly_key_build)(void *context, uint32_t row, struct tly_buffer *key);

/* A lookup over `word_count` (>= 1) words in `table`, which it borrows. */
tly_group_lookup *tly_group_lookup_new(tly_group_table *table, uint32_t word_count);
void tly_group_lookup_free(tly_group_lookup *lookup);
/* Forget all words; groups that the table has already are from now on found through its index. */
void tly_group_lookup_reset(tly_group_lookup *lookup);
/* Whether the table has changed under it, so that it must be reset. */
bool tly_group_lookup_is_stale(const tly_group_lookup *lookup);
size_t tly_group_lookup_bytes(const tly_group_lookup *lookup);
/* groups[row] for each row of `rows` with words[0 .. word_count)[row]; new ones are added. */
void tly_group_lookup_find(tly_group_lookup *lookup, uint64_t *const *words, struct tly_rows rows, tly_key_build build,
                           void *context, uint32_t *groups);

#endif
