/* common/archive/checksum.h -- XXH3-128 over several pieces of memory.
 * Thread: a checksum belongs to one thread. */
#ifndef TLY_ARCHIVE_CHECKSUM_H
#define TLY_ARCHIVE_CHECKSUM_H

#include <stddef.h>

#include "common/sql/typed_tree.h"

struct tly_checksum {
  _Alignas(64) unsigned char state[640]; /* an XXH3_state_t */
};

void tly_checksum_begin(struct tly_checksum *checksum);
void tly_checksum_add(struct tly_checksum *checksum, const void *bytes, size_t size);
void tly_checksum_add_i64(struct tly_checksum *checksum, int64_t value);
/* With its end, so that "ab", "c" and "a", "bc" differ. */
void tly_checksum_add_text(struct tly_checksum *checksum, const char *text);
struct tly_hash tly_checksum_end(struct tly_checksum *checksum);

bool tly_hash_equal(struct tly_hash a, struct tly_hash b);

#endif
