#include "common/archive/dictionary.h"

#define XXH_INLINE_ALL /* as in checksum.c */
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "common/archive/bytes.h"
#include "common/archive/checksum.h"
#include "common/archive/same_bytes.h"
#include "common/base/assert.h"
#include "common/base/memory.h"

enum { FIRST_CAPACITY = 64, SLOTS_PER_ENTRY = 2, STRIP_ROWS = 32 };

/* Of a list of texts that only ever grows: what a fold has learned of a code holds for all batches that name it. */
static uint64_t new_identity(void) {
  static _Atomic uint64_t last;
  return ++last;
}

void tly_text_dictionary_init(struct tly_text_dictionary *dictionary) {
  memset(dictionary, 0, sizeof *dictionary);
  dictionary->view.id = new_identity();
  tly_arena_init(&dictionary->arena);
}

void tly_text_dictionary_free(struct tly_text_dictionary *dictionary) {
  tly_arena_free(&dictionary->arena);
  tly_free(dictionary->entries);
  tly_free(dictionary->slots);
  memset(dictionary, 0, sizeof *dictionary);
}

static void make_room(struct tly_text_dictionary *dictionary, uint32_t more) {
  uint32_t needed = dictionary->view.count + more;
  TLY_ASSERT(needed >= more);
  if (needed <= dictionary->capacity)
    return;
  uint32_t capacity = dictionary->capacity == 0 ? FIRST_CAPACITY : dictionary->capacity;
  while (capacity < needed)
    capacity *= 2;
  dictionary->entries = tly_realloc_array(dictionary->entries, capacity, sizeof *dictionary->entries);
  dictionary->capacity = capacity;
  dictionary->view.entries = dictionary->entries;
}

/* ---- finding a text ---------------------------------------------------------------------------------------------- */

/* A slot is a code + 1 in its lower half and upper bits of the text's hash in its upper half, so that a look-up
 * compares bytes about once; 0 is empty. */

static uint64_t hash_of(const struct tly_text_dictionary *dictionary, struct tly_text text) {
  return XXH3_64bits_withSeed(text.data, text.size, dictionary->seed);
}

static uint64_t slot_value(uint64_t hash, uint32_t code) {
  return (hash & 0xffffffff00000000) | (code + 1);
}

static void put_in_slot(struct tly_text_dictionary *dictionary, uint32_t code) {
  uint64_t hash = hash_of(dictionary, dictionary->entries[code]);
  uint32_t slot = (uint32_t)hash & (dictionary->slot_count - 1);
  while (dictionary->slots[slot] != 0)
    slot = (slot + 1) & (dictionary->slot_count - 1);
  dictionary->slots[slot] = slot_value(hash, code);
}

/* Slots for `entries` entries, filled with those that are there. */
static void rebuild_slots(struct tly_text_dictionary *dictionary, uint32_t entries) {
  uint32_t count = FIRST_CAPACITY;
  while (count < SLOTS_PER_ENTRY * (uint64_t)entries)
    count *= 2;
  if (dictionary->slots == NULL && getrandom(&dictionary->seed, sizeof dictionary->seed, GRND_NONBLOCK) < 0)
    dictionary->seed = (uint64_t)(uintptr_t)dictionary; /* early after boot: at least it is not the same everywhere */
  tly_free(dictionary->slots);
  dictionary->slots = tly_calloc(count, sizeof *dictionary->slots);
  dictionary->slot_count = count;
  for (uint32_t code = 0; code < dictionary->view.count; code++)
    put_in_slot(dictionary, code);
}

/* Room for `more` entries among the slots, at least half of which stay empty. */
static void make_slots(struct tly_text_dictionary *dictionary, uint32_t more) {
  uint64_t entries = (uint64_t)dictionary->view.count + more;
  if (SLOTS_PER_ENTRY * entries > dictionary->slot_count)
    rebuild_slots(dictionary, (uint32_t)(SLOTS_PER_ENTRY * entries));
}

static uint32_t add_entry(struct tly_text_dictionary *dictionary, struct tly_text text) {
  make_room(dictionary, 1);
  uint32_t code = dictionary->view.count++;
  dictionary->entries[code] =
      (struct tly_text){.data = tly_arena_copy(&dictionary->arena, text.data, text.size), .size = text.size};
  return code;
}

/* There is room among the slots. */
static uint32_t find_or_add(struct tly_text_dictionary *dictionary, struct tly_text text, uint64_t hash) {
  uint32_t mask = dictionary->slot_count - 1, slot = (uint32_t)hash & mask;
  for (; dictionary->slots[slot] != 0; slot = (slot + 1) & mask) {
    uint64_t value = dictionary->slots[slot];
    if (((value ^ hash) >> 32) != 0)
      continue;
    const struct tly_text *entry = &dictionary->entries[(uint32_t)value - 1];
    if (entry->size == text.size && tly_same_bytes(entry->data, text.data, text.size))
      return (uint32_t)value - 1;
  }
  uint32_t code = add_entry(dictionary, text);
  dictionary->slots[slot] = slot_value(hash, code);
  return code;
}

uint32_t tly_text_dictionary_intern(struct tly_text_dictionary *dictionary, struct tly_text text) {
  make_slots(dictionary, 1);
  return find_or_add(dictionary, text, hash_of(dictionary, text));
}

/* Up to STRIP_ROWS rows: their slots are fetched while they are hashed, then their entries, then the entries' bytes. */
static void intern_strip(struct tly_text_dictionary *dictionary, const struct tly_text *texts, const uint8_t *null,
                         uint32_t count, uint32_t *codes) {
  uint64_t hashes[STRIP_ROWS];
  uint32_t mask = dictionary->slot_count - 1;
  for (uint32_t i = 0; i < count; i++) {
    hashes[i] = hash_of(dictionary, texts[i]);
    __builtin_prefetch(&dictionary->slots[(uint32_t)hashes[i] & mask]);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t likely = (uint32_t)dictionary->slots[(uint32_t)hashes[i] & mask];
    __builtin_prefetch(&dictionary->entries[likely == 0 ? 0 : likely - 1]);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t likely = (uint32_t)dictionary->slots[(uint32_t)hashes[i] & mask];
    if (likely != 0)
      __builtin_prefetch(dictionary->entries[likely - 1].data);
  }
  for (uint32_t i = 0; i < count; i++)
    codes[i] = null != NULL && null[i] ? 0 : find_or_add(dictionary, texts[i], hashes[i]);
}

void tly_text_dictionary_intern_rows(struct tly_text_dictionary *dictionary, const struct tly_text *texts,
                                     const uint8_t *null, uint32_t count, uint32_t *codes) {
  for (uint32_t done = 0; done < count;) {
    uint32_t strip = count - done < STRIP_ROWS ? count - done : STRIP_ROWS;
    make_slots(dictionary, strip);
    make_room(dictionary, strip);
    intern_strip(dictionary, texts + done, null == NULL ? NULL : null + done, strip, codes + done);
    done += strip;
  }
}

void tly_text_dictionary_truncate(struct tly_text_dictionary *dictionary, uint32_t count) {
  TLY_ASSERT(count <= dictionary->view.count);
  if (count == dictionary->view.count)
    return;
  dictionary->view.count = count;
  dictionary->view.id = new_identity(); /* the codes from here on will mean other texts */
  if (dictionary->slots != NULL)
    rebuild_slots(dictionary, count + 1);
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

void tly_text_dictionary_write(const struct tly_text_dictionary *dictionary, uint32_t first, uint32_t count,
                               enum tly_effort effort, struct tly_buffer *out) {
  TLY_ASSERT(first <= dictionary->view.count && count <= dictionary->view.count - first);
  tly_bytes_write(dictionary->entries + first, count,
                  effort == TLY_EFFORT_SEALED ? TLY_COMPRESS_WELL : TLY_COMPRESS_NEVER, out);
  memset(tly_buffer_reserve(out, TLY_PACK_PADDING), 0, TLY_PACK_PADDING);
  out->size += TLY_PACK_PADDING;
}

bool tly_text_dictionary_read(struct tly_text_dictionary *dictionary, const void *piece, size_t size, uint32_t count) {
  struct tly_cursor in = tly_cursor_of(piece, size);
  make_room(dictionary, count);
  tly_bytes_read(&in, count, &dictionary->arena, dictionary->entries + dictionary->view.count);
  if (in.failed || tly_cursor_left(&in) != TLY_PACK_PADDING)
    return false;
  dictionary->view.count += count;
  if (dictionary->slots != NULL)
    rebuild_slots(dictionary, dictionary->view.count + 1);
  return true;
}

struct tly_hash tly_text_dictionary_checksum(const char *stream, uint32_t column, uint32_t first, uint32_t count,
                                             const void *piece, size_t size) {
  uint32_t place[3] = {column, first, count};
  struct tly_checksum checksum;
  tly_checksum_begin(&checksum);
  tly_checksum_add_text(&checksum, stream);
  tly_checksum_add(&checksum, place, sizeof place);
  tly_checksum_add(&checksum, piece, size);
  return tly_checksum_end(&checksum);
}
