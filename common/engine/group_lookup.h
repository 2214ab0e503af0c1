/* common/engine/group_lookup.h -- from words of key columns to group numbers. Private to the engine wing.
 *
 * Path of an event: key columns -> words (key_coder.h) -> [group lookup] -> group number -> states.
 *
 * Groups are numbered in the order in which they come. The key of a group is known here alone, as words; its encoded
 * form is made when groups leave (key_order.h). Thread: a lookup belongs to one thread. */
#ifndef TLY_ENGINE_GROUP_LOOKUP_H
#define TLY_ENGINE_GROUP_LOOKUP_H

#include "common/engine/kernel.h"

typedef struct tly_group_lookup tly_group_lookup;

/* A lookup over `word_count` (>= 1) words. */
tly_group_lookup *tly_group_lookup_new(uint32_t word_count);
void tly_group_lookup_free(tly_group_lookup *lookup);
/* Forget all groups. */
void tly_group_lookup_clear(tly_group_lookup *lookup);
uint32_t tly_group_lookup_count(const tly_group_lookup *lookup);
size_t tly_group_lookup_bytes(const tly_group_lookup *lookup);
/* groups[row] for each row of `rows` with words[0 .. word_count)[row]; new groups get the next numbers. The words w are
 * numbers below bounds[w], where that is not 0. */
void tly_group_lookup_find(tly_group_lookup *lookup, uint64_t *const *words, const uint64_t *bounds,
                           struct tly_rows rows, uint32_t *groups);
/* Tell every group once, in no order. `words` is borrowed for the call. */
typedef void (*tly_group_words_visit)(void *context, uint32_t group, const uint64_t *words);
void tly_group_lookup_each(const tly_group_lookup *lookup, tly_group_words_visit visit, void *context);

#endif
