/* Heads never descend, since the keys ascend and share the bytes before them; zeros behind a short key only make heads
 * equal, never change their order. So the keys whose heads equal the wanted one's stand in one row, and only among
 * these are whole keys compared. */
#include "common/store/key_directory.h"

#include <string.h>

#include "common/base/assert.h"

static uint64_t head_of(struct tly_text key, uint32_t from) {
  uint64_t head = 0;
  uint32_t left = key.size - from;
  if (left >= sizeof head)
    memcpy(&head, key.data + from, sizeof head);
  else if (left > 0)
    memcpy(&head, key.data + from, left);
  return __builtin_bswap64(head);
}

struct tly_key_directory tly_key_directory_make(const struct tly_text *keys, uint32_t count, uint64_t *heads) {
  struct tly_key_directory directory = {.keys = keys, .heads = heads, .count = count};
  if (count == 0)
    return directory;
  struct tly_text first = keys[0], last = keys[count - 1]; /* what these two share, all between them share */
  while (directory.shared_size < first.size && directory.shared_size < last.size &&
         first.data[directory.shared_size] == last.data[directory.shared_size])
    directory.shared_size++;
  for (uint32_t i = 0; i < count; i++) {
    heads[i] = head_of(keys[i], directory.shared_size);
    TLY_ASSERT(i == 0 || (heads[i - 1] <= heads[i] && tly_text_compare(keys[i - 1], keys[i]) < 0));
  }
  return directory;
}

/* How many of heads[0 .. count) are below `head`. No branch depends on what is read. */
static uint32_t heads_below(const uint64_t *heads, uint32_t count, uint64_t head) {
  const uint64_t *base = heads;
  if (count == 0)
    return 0;
  while (count > 1) {
    uint32_t half = count / 2;
    base += (size_t)half * (base[half - 1] < head);
    count -= half;
  }
  return (uint32_t)(base - heads) + (*base < head);
}

/* How many keys compare below `limit` with `key`: 0 for those below it, 1 for those not above it. */
static uint32_t keys_before(const struct tly_key_directory *directory, struct tly_text key, int limit) {
  if (directory->count == 0)
    return 0;
  uint32_t shared = directory->shared_size, common = key.size < shared ? key.size : shared;
  int order = common > 0 ? memcmp(key.data, directory->keys[0].data, common) : 0;
  if (order > 0)
    return directory->count;
  if (order < 0 || key.size < shared)
    return 0;
  uint64_t head = head_of(key, shared);
  uint32_t low = heads_below(directory->heads, directory->count, head);
  if (low == directory->count || directory->heads[low] != head)
    return low;
  uint32_t high = low + 1;
  if (high < directory->count && directory->heads[high] == head)
    high = head == UINT64_MAX ? directory->count
                              : low + heads_below(directory->heads + low, directory->count - low, head + 1);
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (tly_text_compare(directory->keys[middle], key) < limit)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

uint32_t tly_key_directory_below(const struct tly_key_directory *directory, struct tly_text key) {
  return keys_before(directory, key, 0);
}

uint32_t tly_key_directory_not_above(const struct tly_key_directory *directory, struct tly_text key) {
  return keys_before(directory, key, 1);
}
