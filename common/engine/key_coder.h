/* common/engine/key_coder.h -- one column of a group key as machine words: equal words, equal values. Private to the
 * engine wing.
 *
 * Integers and doubles are their own words (and a second word tells NULL, where NULL can be). Texts and wide numerics
 * are interned: their word is the number of their first appearance, 0, 1, 2, ..., and NULL has a number like any other
 * value. A dictionary code is looked up once and then remembered, across batches where the dictionary has an identity;
 * and what is interned is remembered when words are forgotten, as at each commit of the speed layer.
 * The encoded key is made from words only for a new group.
 * Thread: a coder belongs to one thread. */
#ifndef TLY_ENGINE_KEY_CODER_H
#define TLY_ENGINE_KEY_CODER_H

#include "common/engine/kernel.h"

enum { TLY_KEY_WORDS_MAX = 2 };

typedef struct tly_key_coder tly_key_coder;

/* The coder of the values of `expression`. */
tly_key_coder *tly_key_coder_new(const struct tly_expr *expression);
void tly_key_coder_free(tly_key_coder *coder);
/* Forget all words: they begin with 0 again. Interned values stay known, if they are not too large to keep. */
void tly_key_coder_clear(tly_key_coder *coder);
size_t tly_key_coder_bytes(const tly_key_coder *coder);
/* 1, or 2 where NULL needs a word of its own. */
uint32_t tly_key_coder_word_count(const tly_key_coder *coder);
bool tly_key_coder_is_interned(const tly_key_coder *coder);
/* How many interned values have a word: words are smaller. */
uint32_t tly_key_coder_count(const tly_key_coder *coder);
/* Bytes of the largest encoded value that is known; 0 if it is not interned. */
size_t tly_key_coder_largest(const tly_key_coder *coder);

/* A new batch begins: dictionaries without identity are unknown again. */
void tly_key_coder_begin(tly_key_coder *coder);
/* words[w][row] for each row of `rows` and each word w of the column. */
void tly_key_coder_code(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows,
                        uint64_t *const *words);
/* Append the encoded value of its words. */
void tly_key_coder_append(const tly_key_coder *coder, const uint64_t *words, struct tly_buffer *key);
size_t tly_key_coder_size(const tly_key_coder *coder, uint64_t word);
/* The encoded value of an interned word. */
struct tly_text tly_key_coder_encoded(const tly_key_coder *coder, uint64_t word);
/* All known values' encoded forms in their order, *count of them, and the place of each word's in ranks[word]. NULL
 * when they are not in order, and so many have no word that it does not pay to sort them. Valid until the next value.
 */
const struct tly_text *tly_key_coder_order(tly_key_coder *coder, uint32_t *ranks, uint32_t *count);
struct tly_type tly_key_coder_type(const tly_key_coder *coder);

#endif
