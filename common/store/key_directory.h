/* common/store/key_directory.h -- where a key stands among sorted keys, found without reading many of them.
 *
 * Path of an answer: key -> [first keys of blocks] -> block -> row. A binary search over texts misses the cache and
 * mispredicts at each step; this one runs over eight bytes of each key, as numbers, and reads texts only where these
 * are equal.
 * Thread: pure once made. */
#ifndef TLY_STORE_KEY_DIRECTORY_H
#define TLY_STORE_KEY_DIRECTORY_H

#include <stdbool.h>

#include "common/value/text.h"

struct tly_key_directory {
  const struct tly_text *keys;
  const uint64_t *heads; /* the eight bytes behind the shared ones, big endian, zeros behind a short key */
  uint32_t count;
  uint32_t shared_size; /* bytes all keys begin with */
};

/* `keys` ascend strictly; they and `heads`, an array of `count` that is filled here, are borrowed for the directory's
 * life. */
struct tly_key_directory tly_key_directory_make(const struct tly_text *keys, uint32_t count, uint64_t *heads);
/* How many keys are below `key`. */
uint32_t tly_key_directory_below(const struct tly_key_directory *directory, struct tly_text key);
/* How many keys are not above it. */
uint32_t tly_key_directory_not_above(const struct tly_key_directory *directory, struct tly_text key);

#endif
