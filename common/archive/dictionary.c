#include "common/archive/dictionary.h"

#define XXH_INLINE_ALL /* as in checksum.c */
#include <string.h>
#include <xxhash.h>

#include "common/archive/bytes.h"
#include "common/archive/checksum.h"
#include "common/base/assert.h"
#include "common/base/memory.h"

enum { FIRST_CAPACITY = 64, SLOTS_PER_ENTRY = 2 };

void tly_text_dictionary_init(struct tly_text_dictionary *dictionary) {
  memset(dictionary, 0, sizeof *dictionary);
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

/* ---- finding a text ------------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct tly_text_dictionary *dictionary, struct tly_text text) {
  return (uint32_t)XXH3_64bits(text.data, text.size) & (dictionary->slot_count - 1);
}

static void put_in_slot(struct tly_text_dictionary *dictionary, uint32_t code) {
  uint32_t slot = slot_of(dictionary, dictionary->entries[code]);
  while (dictionary->slots[slot] != 0)
    slot = (slot + 1) & (dictionary->slot_count - 1);
  dictionary->slots[slot] = code + 1;
}

/* Slots for `entries` entries, filled with those that are there. */
static void rebuild_slots(struct tly_text_dictionary *dictionary, uint32_t entries) {
  uint32_t count = FIRST_CAPACITY;
  while (count < SLOTS_PER_ENTRY * (uint64_t)entries)
    count *= 2;
  tly_free(dictionary->slots);
  dictionary->slots = tly_calloc(count, sizeof *dictionary->slots);
  dictionary->slot_count = count;
  for (uint32_t code = 0; code < dictionary->view.count; code++)
    put_in_slot(dictionary, code);
}

uint32_t tly_text_dictionary_intern(struct tly_text_dictionary *dictionary, struct tly_text text) {
  if (SLOTS_PER_ENTRY * ((uint64_t)dictionary->view.count + 1) > dictionary->slot_count)
    rebuild_slots(dictionary, SLOTS_PER_ENTRY * (dictionary->view.count + 1));
  uint32_t slot = slot_of(dictionary, text);
  for (; dictionary->slots[slot] != 0; slot = (slot + 1) & (dictionary->slot_count - 1)) {
    uint32_t code = dictionary->slots[slot] - 1;
    if (tly_text_equal(dictionary->entries[code], text))
      return code;
  }
  make_room(dictionary, 1);
  uint32_t code = dictionary->view.count++;
  dictionary->entries[code] =
      (struct tly_text){.data = tly_arena_copy(&dictionary->arena, text.data, text.size), .size = text.size};
  dictionary->slots[slot] = code + 1;
  return code;
}

void tly_text_dictionary_truncate(struct tly_text_dictionary *dictionary, uint32_t count) {
  TLY_ASSERT(count <= dictionary->view.count);
  if (count == dictionary->view.count)
    return;
  dictionary->view.count = count;
  rebuild_slots(dictionary, count + 1);
}

/* ---- pieces ----------------------------------------------------------------------------------------------------------- */

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
