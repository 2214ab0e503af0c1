/* common/value/ordered_key.h -- a tuple of values as one run of bytes whose memcmp order is the tuple's SQL order.
 *
 * Path of an event: fold -> [group key] -> speed.db, run files -> merge -> answer. One encoder everywhere. NULLs sort
 * last; equal values give equal bytes (numeric 1.5 and 1.50, by tly_decimal_append_ordered); the encoding of a tuple's
 * first columns is a prefix of the encoding of the tuple.
 * Source: the tuple layer of FoundationDB (length-tagged integers), with PostgreSQL's NULLS LAST.
 * Thread: pure. */
#ifndef TLY_VALUE_ORDERED_KEY_H
#define TLY_VALUE_ORDERED_KEY_H

#include "common/value/value.h"

void tly_key_append(struct tly_buffer *out, const struct tly_value *value);
/* Read one column of `type`; numeric gets type.scale as its display scale when the type has a proof, else the least. */
TLY_CHECK enum tly_status tly_key_read(struct tly_cursor *cursor, struct tly_type type, struct tly_arena *arena,
                                       struct tly_value *out, struct tly_error *error);
/* memcmp, then the shorter first. */
int tly_key_compare(const void *a, size_t a_size, const void *b, size_t b_size);

#endif
