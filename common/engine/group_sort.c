/* Keys are sorted eight bytes at a time: each record carries the next eight bytes of its key as one big-endian word,
 * the words are sorted, and every run of equal words is sorted again by the eight bytes after them. (Multikey quicksort
 * with "super-alphabets": Bentley and Sedgewick 1997, Andersson and Nilsson 1998.) So a key is fetched from memory once
 * for eight bytes of common prefix, not once for every comparison.
 *
 * Words of many records are sorted by radix, least digit first, 11 bits a pass, leaving out the digits that are the
 * same for all; of few records by insertion. Bytes behind a key's end count as 0: since no key begins another one, two
 * keys differ where both still have bytes. */
#include "common/engine/group_sort.h"

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, WORD_BITS = 64, WORD_BYTES = 8, INSERTION_MAX = 48 };
enum { PREFETCH_AHEAD = 16 };

static const uint8_t *record_of(struct tly_sort_item item) {
  return (const uint8_t *)(uintptr_t)item.payload;
}

static uint64_t word_at(struct tly_text key, uint64_t depth) {
  if (depth + WORD_BYTES <= key.size) {
    uint64_t word;
    memcpy(&word, key.data + depth, WORD_BYTES);
    return __builtin_bswap64(word);
  }
  uint64_t word = 0;
  for (uint64_t i = depth; i < depth + WORD_BYTES; i++)
    word = word << 8 | (i < key.size ? (uint8_t)key.data[i] : 0);
  return word;
}

static void load_words(struct tly_sort_item *items, uint32_t count, uint64_t depth) {
  for (uint32_t i = 0; i < count; i++) {
    if (i + PREFETCH_AHEAD < count)
      __builtin_prefetch(record_of(items[i + PREFETCH_AHEAD]) + depth);
    items[i].word = word_at(tly_key_record_text(record_of(items[i])), depth);
  }
}

static void insertion_sort(struct tly_sort_item *items, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    struct tly_sort_item item = items[i];
    uint32_t place = i;
    for (; place > 0 && items[place - 1].word > item.word; place--)
      items[place] = items[place - 1];
    items[place] = item;
  }
}

/* One pass by the digit at `shift`, from `from` to `to`. */
static void radix_pass(const struct tly_sort_item *from, struct tly_sort_item *to, uint32_t count, int shift) {
  uint32_t starts[DIGITS] = {0};
  for (uint32_t i = 0; i < count; i++)
    starts[(from[i].word >> shift) & (DIGITS - 1)]++;
  uint32_t start = 0;
  for (int digit = 0; digit < DIGITS; digit++) {
    uint32_t size = starts[digit];
    starts[digit] = start;
    start += size;
  }
  for (uint32_t i = 0; i < count; i++)
    to[starts[(from[i].word >> shift) & (DIGITS - 1)]++] = from[i];
}

void tly_word_sort(struct tly_sort_item *items, struct tly_sort_item *scratch, uint32_t count) {
  if (count <= INSERTION_MAX) {
    insertion_sort(items, count);
    return;
  }
  uint64_t differing = 0;
  for (uint32_t i = 1; i < count; i++)
    differing |= items[i].word ^ items[0].word;
  struct tly_sort_item *from = items, *to = scratch;
  for (int shift = 0; shift < WORD_BITS; shift += DIGIT_BITS) {
    if (((differing >> shift) & (DIGITS - 1)) == 0)
      continue;
    radix_pass(from, to, count, shift);
    struct tly_sort_item *swapped = from;
    from = to;
    to = swapped;
  }
  if (from != items)
    memcpy(items, from, count * sizeof *items);
}

/* `items` have the first `depth` bytes in common. The depth of recursion is the length of a key in words; the long runs
 * of equal words are handled by the loop, so that a common prefix costs no recursion. */
static void sort_from(struct tly_sort_item *scratch, struct tly_sort_item *items, uint32_t count, uint64_t depth) {
  while (count > 1) {
    TLY_ASSERT(depth <= UINT32_MAX);
    load_words(items, count, depth);
    tly_word_sort(items, scratch, count);
    depth += WORD_BYTES;
    struct tly_sort_item *longest = NULL;
    uint32_t longest_count = 1;
    for (uint32_t start = 0, end; start < count; start = end) {
      for (end = start + 1; end < count && items[end].word == items[start].word; end++) {
      }
      uint32_t run = end - start;
      if (run > longest_count) {
        if (longest != NULL)
          sort_from(scratch, longest, longest_count, depth);
        longest = items + start;
        longest_count = run;
      } else if (run > 1) {
        sort_from(scratch, items + start, run, depth);
      }
    }
    items = longest;
    count = longest_count;
  }
}

void tly_group_sort(const uint8_t **records, uint32_t count) {
  struct tly_sort_item *items = tly_malloc(count * sizeof *items), *scratch = tly_malloc(count * sizeof *items);
  for (uint32_t i = 0; i < count; i++)
    items[i].payload = (uintptr_t)records[i];
  sort_from(scratch, items, count, 0);
  for (uint32_t i = 0; i < count; i++)
    records[i] = record_of(items[i]);
  tly_free(scratch);
  tly_free(items);
}
