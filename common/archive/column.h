/* common/archive/column.h -- one typed column of a block as bytes.
 *
 * Path of an event: event batch -> [column bytes] -> block -> [vector] -> fold.
 * Thread: pure. */
#ifndef TLY_ARCHIVE_COLUMN_H
#define TLY_ARCHIVE_COLUMN_H

#include "common/archive/pack.h"
#include "common/value/vector.h"

/* Append the rows of `vector` (not constant). `codes` (or NULL) are the rows' codes in the file's dictionary, all below
 * `code_limit`, 0 for NULL rows; only for vectors of text. */
void tly_column_write(const struct tly_vector *vector, const uint32_t *codes, uint32_t code_limit,
                      enum tly_effort effort, struct tly_buffer *out);

/* What stands before a column's rows. The types of a block are its own: a later definition of the stream does not
 * change what was stored. */
struct tly_column_header {
  struct tly_type type;
  uint32_t code_limit; /* the dictionary must have that many entries; 0: the column does not use it */
  size_t size;         /* bytes of the rows */
};

/* Reads the header; the cursor stands at the rows then, and is failed when the type cannot be. */
struct tly_column_header tly_column_read_header(struct tly_cursor *in);
/* Reads `count` rows into a vector that lives in `arena` and borrows `dictionary` (may be NULL when code_limit is 0).
 * The cursor fails on bytes that tly_column_write cannot have written, and wants TLY_PACK_PADDING readable bytes behind
 * the rows. */
void tly_column_read(struct tly_cursor *in, const struct tly_column_header *header, uint32_t count,
                     const struct tly_dictionary *dictionary, struct tly_arena *arena, struct tly_vector *out);

/* A double as `digits` (0..TLY_SCALED_DIGITS_MAX) digits after the point: true when *scaled / 10^digits is `value`. */
enum { TLY_SCALED_DIGITS_MAX = 9 };
bool tly_double_to_scaled(double value, unsigned digits, int64_t *scaled);
double tly_double_of_scaled(int64_t scaled, unsigned digits);

#endif
