/* common/engine/group_block.h -- a sorted slice of groups as bytes: the unit of run files and of live deltas.
 *
 * Path of an event: group table -> slice -> [group block] -> store -> [group block] -> slice -> merge.
 *
 * Keys are prefix-coded against their predecessor; states stand by column, small integers as varints of differences,
 * the rest in their canonical forms; the whole is zstd-compressed where that saves a quarter, unless it is to be plain.
 * Equal slices give equal bytes. The checksum is XXH3-128 over body, first key, last key and count: it is checked
 * before anything is decoded. Thread: pure. */
#ifndef TLY_ENGINE_GROUP_BLOCK_H
#define TLY_ENGINE_GROUP_BLOCK_H

#include "common/engine/group_table.h"

/* Append the block's body to *body. `slice` has 1..65535 groups. */
void tly_group_block_encode(const struct tly_group_slice *slice, struct tly_buffer *body);
/* The same without compression: for blocks that are soon read and written again. */
void tly_group_block_encode_plain(const struct tly_group_slice *slice, struct tly_buffer *body);
/* Decode into `slice` (initialised by the caller for the same program and part; reset first). TLY_E_CORRUPT on bytes
 * that encode does not write. */
TLY_CHECK enum tly_status tly_group_block_decode(const void *body, size_t size, uint32_t group_count,
                                                 struct tly_group_slice *slice, struct tly_error *error);
/* What stands in the store's checksum column. */
struct tly_hash tly_group_block_checksum(struct tly_text first_key, struct tly_text last_key, uint32_t group_count,
                                         const void *body, size_t size);

#endif
