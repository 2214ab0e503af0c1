/* common/engine/hash_seed.h -- a number that clients cannot know, so that they cannot make keys that all collide.
 * Private to the engine wing.
 *
 * It comes from where the system's address randomisation has put an object. Nothing that is stored or answered depends
 * on it: hashes only find groups, which are numbered by their coming and sorted by their keys. Thread: pure. */
#ifndef TLY_ENGINE_HASH_SEED_H
#define TLY_ENGINE_HASH_SEED_H

#include <stdint.h>

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): the finaliser. */
static inline uint64_t tly_hash_seed(const void *object) {
  uint64_t seed = (uint64_t)(uintptr_t)object + UINT64_C(0x9E3779B97F4A7C15);
  seed = (seed ^ seed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  seed = (seed ^ seed >> 27) * UINT64_C(0x94D049BB133111EB);
  return seed ^ seed >> 31;
}

#endif
