#include "common/archive/checksum.h"

/* Inlined, for two reasons: a state can stand on the stack; and libpg_query exports an xxhash of its own, whose
 * functions could otherwise be the ones that are linked. */
#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#include "common/archive/archive_reader.h"

_Static_assert(sizeof(XXH3_state_t) <= sizeof(struct tly_checksum), "the state fits");

static XXH3_state_t *state_of(struct tly_checksum *checksum) {
  return (XXH3_state_t *)(void *)checksum->state;
}

static struct tly_hash canonical(XXH128_hash_t value) {
  struct tly_hash hash;
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, value);
  memcpy(hash.bytes, bytes.digest, sizeof hash.bytes);
  return hash;
}

void tly_checksum_begin(struct tly_checksum *checksum) {
  XXH3_128bits_reset(state_of(checksum));
}

void tly_checksum_add(struct tly_checksum *checksum, const void *bytes, size_t size) {
  if (size > 0)
    XXH3_128bits_update(state_of(checksum), bytes, size);
}

void tly_checksum_add_i64(struct tly_checksum *checksum, int64_t value) {
  tly_checksum_add(checksum, &value, sizeof value);
}

void tly_checksum_add_text(struct tly_checksum *checksum, const char *text) {
  tly_checksum_add(checksum, text, strlen(text) + 1);
}

struct tly_hash tly_checksum_end(struct tly_checksum *checksum) {
  return canonical(XXH3_128bits_digest(state_of(checksum)));
}

bool tly_hash_equal(struct tly_hash a, struct tly_hash b) {
  return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

/* The payload is hashed alone and folded in: the long hash does not wait for the one before it, so the processor works
 * on several events at once. */
tly_chain tly_chain_next(tly_chain before, const void *payload, size_t size) {
  struct {
    tly_chain before;
    uint64_t size;
    XXH128_hash_t payload;
  } link = {before, size, XXH3_128bits(payload, size)};
  return canonical(XXH3_128bits(&link, sizeof link));
}
