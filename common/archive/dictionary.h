/* common/archive/dictionary.h -- the distinct texts of one column of one archive file, in code order.
 *
 * Path of an event: a text of a batch -> [code] -> packed column -> [code, dictionary] -> fold. One dictionary serves
 * all blocks of a file, so a code means the same text in each of them. It is stored in pieces, one a commit that met
 * new texts. Thread: a dictionary belongs to one thread at a time. */
#ifndef TLY_ARCHIVE_DICTIONARY_H
#define TLY_ARCHIVE_DICTIONARY_H

#include "common/archive/pack.h"
#include "common/base/arena.h"
#include "common/sql/typed_tree.h"
#include "common/value/vector.h"

struct tly_text_slot;

/* The address of `view` stays the same while the dictionary grows; its entries never change, more come behind them. */
struct tly_text_dictionary {
  struct tly_dictionary view;
  struct tly_text *entries;
  uint32_t capacity;
  struct tly_arena arena;      /* the bytes of the entries */
  struct tly_text_slot *slots; /* for finding a text's code; NULL until the first intern */
  uint32_t slot_count;         /* a power of two */
  uint64_t seed, second_seed;  /* of the hash: nobody outside can make texts that all meet in one slot */
};

void tly_text_dictionary_init(struct tly_text_dictionary *dictionary);
void tly_text_dictionary_free(struct tly_text_dictionary *dictionary);
/* The code of `text`, which is added (copied) when it is new. */
uint32_t tly_text_dictionary_intern(struct tly_text_dictionary *dictionary, struct tly_text text);
/* The codes of `count` texts; the code of a row with null[row] is 0 (null may be NULL). Faster than one by one: the
 * look-ups of many rows wait for memory together. */
void tly_text_dictionary_intern_rows(struct tly_text_dictionary *dictionary, const struct tly_text *texts,
                                     const uint8_t *null, uint32_t count, uint32_t *codes);
/* Forget the entries from `count` on: the transaction that would have stored them was rolled back. */
void tly_text_dictionary_truncate(struct tly_text_dictionary *dictionary, uint32_t count);

/* Append the entries first .. first + count - 1 to `out` as one piece. */
void tly_text_dictionary_write(const struct tly_text_dictionary *dictionary, uint32_t first, uint32_t count,
                               enum tly_effort effort, struct tly_buffer *out);
/* Add the `count` entries of a piece behind the others; false when its bytes are not such a piece. */
bool tly_text_dictionary_read(struct tly_text_dictionary *dictionary, const void *piece, size_t size, uint32_t count);
/* What a piece's row is checked by. */
struct tly_hash tly_text_dictionary_checksum(const char *stream, uint32_t column, uint32_t first, uint32_t count,
                                             const void *piece, size_t size);

#endif
