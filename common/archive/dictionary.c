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

/* Most texts that repeat are short: a currency, a state, an account's number. A slot holds the bytes of a text of up to
 * SHORT_SIZE themselves, so that finding its code is one look at one place; of a longer text it holds the hash, and the
 * entry's bytes decide. */

struct tly_text_slot {
  uint64_t word; /* the text's bytes with zeros behind them, or its hash */
  uint32_t size;
  uint32_t code_1; /* code + 1; 0: empty */
};

enum { SHORT_SIZE = sizeof(uint64_t) };

/* What a text is looked up by. */
struct sought {
  uint64_t word;
  uint32_t slot; /* where to look first */
};

/* Up to SHORT_SIZE bytes with zeros behind them; reads none but those. */
static inline uint64_t short_word(struct tly_text text) {
  if (text.size >= 4)
    return tly_load_u32(text.data) | (uint64_t)tly_load_u32(text.data + text.size - 4) << (8 * (text.size - 4));
  if (text.size == 0)
    return 0;
  const uint8_t *bytes = (const uint8_t *)text.data;
  uint32_t middle = text.size / 2, last = text.size - 1;
  return bytes[0] | (uint64_t)bytes[middle] << (8 * middle) | (uint64_t)bytes[last] << (8 * last);
}

static inline uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline struct sought seek_of(const struct tly_text_dictionary *dictionary, struct tly_text text) {
  struct sought sought;
  uint64_t hash;
  if (text.size <= SHORT_SIZE) {
    sought.word = short_word(text);
    hash = mix(sought.word ^ dictionary->seed, dictionary->second_seed + text.size);
  } else {
    sought.word = hash = XXH3_64bits_withSeed(text.data, text.size, dictionary->seed);
  }
  sought.slot = (uint32_t)hash & (dictionary->slot_count - 1);
  return sought;
}

static inline bool is_in_slot(const struct tly_text_dictionary *dictionary, const struct tly_text_slot *slot,
                              struct tly_text text, uint64_t word) {
  if (slot->word != word || slot->size != text.size)
    return false;
  return text.size <= SHORT_SIZE || tly_same_bytes(dictionary->entries[slot->code_1 - 1].data, text.data, text.size);
}

static void put_in_slot(struct tly_text_dictionary *dictionary, uint32_t code) {
  struct tly_text text = dictionary->entries[code];
  struct sought sought = seek_of(dictionary, text);
  uint32_t mask = dictionary->slot_count - 1, slot = sought.slot;
  while (dictionary->slots[slot].code_1 != 0)
    slot = (slot + 1) & mask;
  dictionary->slots[slot] = (struct tly_text_slot){.word = sought.word, .size = text.size, .code_1 = code + 1};
}

static void make_seeds(struct tly_text_dictionary *dictionary) {
  uint64_t seeds[2];
  if (getrandom(seeds, sizeof seeds, GRND_NONBLOCK) != (ssize_t)sizeof seeds)
    seeds[0] = seeds[1] = (uint64_t)(uintptr_t)dictionary; /* early after boot: at least not the same everywhere */
  dictionary->seed = seeds[0];
  dictionary->second_seed = seeds[1] | UINT64_C(1) << 63; /* never close to 0, which would multiply everything away */
}

/* At least `count` slots, filled with the entries that are there. */
static void rebuild_slots(struct tly_text_dictionary *dictionary, uint64_t count) {
  uint32_t slot_count = FIRST_CAPACITY;
  while (slot_count < count)
    slot_count *= 2;
  if (dictionary->slots == NULL)
    make_seeds(dictionary);
  tly_free(dictionary->slots);
  dictionary->slots = tly_calloc(slot_count, sizeof *dictionary->slots);
  dictionary->slot_count = slot_count;
  for (uint32_t code = 0; code < dictionary->view.count; code++)
    put_in_slot(dictionary, code);
}

/* Room for `more` entries among the slots, at least half of which stay empty. */
static void make_slots(struct tly_text_dictionary *dictionary, uint32_t more) {
  uint64_t needed = SLOTS_PER_ENTRY * ((uint64_t)dictionary->view.count + more);
  TLY_ASSERT(needed <= UINT32_MAX / 2);
  if (needed > dictionary->slot_count)
    rebuild_slots(dictionary, needed);
}

static uint32_t add_entry(struct tly_text_dictionary *dictionary, struct tly_text text) {
  make_room(dictionary, 1);
  uint32_t code = dictionary->view.count++;
  dictionary->entries[code] =
      (struct tly_text){.data = tly_arena_copy(&dictionary->arena, text.data, text.size), .size = text.size};
  return code;
}

/* There is room among the slots. */
static inline uint32_t find_or_add(struct tly_text_dictionary *dictionary, struct tly_text text, struct sought sought) {
  uint32_t mask = dictionary->slot_count - 1;
  struct tly_text_slot *slot = &dictionary->slots[sought.slot];
  for (; slot->code_1 != 0; slot = &dictionary->slots[++sought.slot & mask])
    if (is_in_slot(dictionary, slot, text, sought.word))
      return slot->code_1 - 1;
  uint32_t code = add_entry(dictionary, text);
  *slot = (struct tly_text_slot){.word = sought.word, .size = text.size, .code_1 = code + 1};
  return code;
}

uint32_t tly_text_dictionary_intern(struct tly_text_dictionary *dictionary, struct tly_text text) {
  make_slots(dictionary, 1);
  return find_or_add(dictionary, text, seek_of(dictionary, text));
}

/* Up to STRIP_ROWS rows: all their slots are fetched before any is looked at. */
static void intern_strip(struct tly_text_dictionary *dictionary, const struct tly_text *texts, const uint8_t *null,
                         uint32_t count, uint32_t *codes) {
  struct sought sought[STRIP_ROWS];
  for (uint32_t i = 0; i < count; i++) {
    sought[i] = seek_of(dictionary, texts[i]);
    __builtin_prefetch(&dictionary->slots[sought[i].slot]);
  }
  for (uint32_t i = 0; i < count; i++)
    codes[i] = null != NULL && null[i] ? 0 : find_or_add(dictionary, texts[i], sought[i]);
}

void tly_text_dictionary_intern_rows(struct tly_text_dictionary *dictionary, const struct tly_text *texts,
                                     const uint8_t *null, uint32_t count, uint32_t *codes) {
  for (uint32_t done = 0; done < count;) {
    uint32_t strip = count - done < STRIP_ROWS ? count - done : STRIP_ROWS;
    make_slots(dictionary, strip);
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
    rebuild_slots(dictionary, SLOTS_PER_ENTRY * (uint64_t)count);
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
    rebuild_slots(dictionary, SLOTS_PER_ENTRY * (uint64_t)dictionary->view.count);
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
