/* The intern table maps bytes to numbers: the text itself, or for numerics without a 64-bit form the encoded value (so
 * that 1.5 and 1.50 are one). An entry keeps the bytes it is found by and the encoded value; in a text's encoding the
 * text stands at the front, so both are one copy.
 *
 * The code map remembers what number a dictionary's code has: four bytes a code, so that the map of a hundred thousand
 * texts stays near the core. */
#include "common/engine/key_coder.h"

#include <string.h>
#define XXH_INLINE_ALL /* short keys are hashed without a call */
#include <xxhash.h>

#include "common/base/memory.h"
#include "common/engine/hash_seed.h"
#include "common/engine/key_heap.h"
#include "common/value/ordered_key.h"

enum { SLOTS_MIN = 256 };
#define NONE UINT32_MAX

struct entry {
  struct tly_text bytes;   /* found by these */
  struct tly_text encoded; /* in a key */
};

struct slot {
  uint32_t hash;
  uint32_t number; /* NONE: free */
};

struct tly_key_coder {
  struct tly_type type;
  enum tly_form form;
  bool is_column; /* a stream's column as it is: its dictionary stays the same for the whole batch */
  bool is_nullable;
  bool is_interned;
  struct entry *entries;
  uint32_t count, capacity;
  struct slot *slots;
  uint32_t slot_count;
  uint64_t seed;
  struct tly_key_heap heap;
  uint32_t null_number; /* NONE: not met yet */
  size_t largest;
  struct tly_buffer scratch, encoded;
  uint32_t *code_map; /* a code's number, or NONE */
  uint32_t code_capacity;
  uint32_t code_count; /* codes below it may be known: what there is to forget */
  uint64_t dictionary_id;
  const struct tly_dictionary *dictionary; /* the one met last in this batch; valid while its column is coded */
};

tly_key_coder *tly_key_coder_new(const struct tly_expr *expression) {
  tly_key_coder *coder = tly_calloc(1, sizeof *coder);
  coder->type = expression->type;
  coder->form = tly_type_form(expression->type);
  coder->is_column = expression->kind == TLY_EXPR_COLUMN;
  coder->is_nullable = expression->nullable;
  coder->is_interned = coder->form != TLY_FORM_I64 && coder->form != TLY_FORM_F64;
  coder->null_number = NONE;
  coder->seed = tly_hash_seed(coder);
  return coder;
}

void tly_key_coder_free(tly_key_coder *coder) {
  if (coder == NULL)
    return;
  tly_free(coder->entries);
  tly_free(coder->slots);
  tly_key_heap_clear(&coder->heap);
  tly_buffer_free(&coder->scratch);
  tly_buffer_free(&coder->encoded);
  tly_free(coder->code_map);
  tly_free(coder);
}

static void forget_codes(tly_key_coder *coder) {
  coder->dictionary = NULL;
  coder->dictionary_id = 0;
  if (coder->code_count > 0)
    memset(coder->code_map, 0xFF, coder->code_count * sizeof *coder->code_map);
  coder->code_count = 0;
}

void tly_key_coder_clear(tly_key_coder *coder) {
  forget_codes(coder);
  tly_free(coder->entries);
  tly_free(coder->slots);
  coder->entries = NULL;
  coder->slots = NULL;
  coder->count = coder->capacity = coder->slot_count = 0;
  tly_key_heap_clear(&coder->heap);
  coder->null_number = NONE;
  coder->largest = 0;
}

size_t tly_key_coder_bytes(const tly_key_coder *coder) {
  return coder->capacity * sizeof *coder->entries + coder->slot_count * sizeof *coder->slots +
         coder->heap.allocated_bytes + coder->code_capacity * sizeof *coder->code_map;
}

uint32_t tly_key_coder_word_count(const tly_key_coder *coder) {
  return coder->is_nullable && !coder->is_interned ? 2 : 1;
}

bool tly_key_coder_is_interned(const tly_key_coder *coder) {
  return coder->is_interned;
}

uint32_t tly_key_coder_count(const tly_key_coder *coder) {
  return coder->count;
}

size_t tly_key_coder_largest(const tly_key_coder *coder) {
  return coder->largest;
}

void tly_key_coder_begin(tly_key_coder *coder) {
  if (coder->dictionary_id == 0)
    forget_codes(coder);
  coder->dictionary = NULL;
}

/* --- interning ---------------------------------------------------------------------------------------------------- */

static struct tly_text keep(tly_key_coder *coder, const void *bytes, size_t size) {
  uint8_t *copy = tly_key_heap_alloc(&coder->heap, size);
  if (size > 0)
    memcpy(copy, bytes, size);
  return (struct tly_text){.data = (const char *)copy, .size = (uint32_t)size};
}

static uint32_t add_entry(tly_key_coder *coder, const struct tly_value *value, struct tly_text bytes) {
  if (coder->count == coder->capacity) {
    coder->capacity = coder->capacity == 0 ? SLOTS_MIN / 2 : 2 * coder->capacity;
    coder->entries = tly_realloc_array(coder->entries, coder->capacity, sizeof *coder->entries);
  }
  struct tly_buffer *encoded = &coder->encoded;
  tly_buffer_clear(encoded);
  tly_key_append(encoded, value);
  struct entry *entry = &coder->entries[coder->count];
  entry->encoded = keep(coder, encoded->data, encoded->size);
  bool is_in_front = bytes.size <= encoded->size && memcmp(encoded->data, bytes.data, bytes.size) == 0;
  entry->bytes = is_in_front ? (struct tly_text){.data = entry->encoded.data, .size = bytes.size}
                             : keep(coder, bytes.data, bytes.size);
  if (encoded->size > coder->largest)
    coder->largest = encoded->size;
  TLY_ASSERT(coder->count < NONE - 1);
  return coder->count++;
}

static uint32_t hash_of(const tly_key_coder *coder, struct tly_text bytes) {
  return (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.size, coder->seed);
}

static void place(tly_key_coder *coder, uint32_t hash, uint32_t number) {
  uint32_t mask = coder->slot_count - 1, at = hash & mask;
  while (coder->slots[at].number != NONE)
    at = (at + 1) & mask;
  coder->slots[at] = (struct slot){.hash = hash, .number = number};
}

/* A slot's place follows from its hash: nothing but slots is read. */
static void grow_slots(tly_key_coder *coder) {
  struct slot *before = coder->slots;
  uint32_t count_before = coder->slot_count;
  coder->slot_count = count_before == 0 ? SLOTS_MIN : 2 * count_before;
  coder->slots = tly_malloc(coder->slot_count * sizeof *coder->slots);
  memset(coder->slots, 0xFF, coder->slot_count * sizeof *coder->slots);
  for (uint32_t at = 0; at < count_before; at++) {
    if (before[at].number != NONE)
      place(coder, before[at].hash, before[at].number);
  }
  tly_free(before);
}

/* The number of a value that is found by `bytes`, whose hash is given. */
static uint32_t intern(tly_key_coder *coder, struct tly_text bytes, uint32_t hash, const struct tly_value *value) {
  uint32_t mask = coder->slot_count - 1;
  for (uint32_t at = hash & mask; coder->slots[at].number != NONE; at = (at + 1) & mask) {
    uint32_t number = coder->slots[at].number;
    if (coder->slots[at].hash == hash && tly_text_equal(coder->entries[number].bytes, bytes))
      return number;
  }
  uint32_t number = add_entry(coder, value, bytes);
  if (2 * (uint64_t)coder->count > coder->slot_count)
    grow_slots(coder);
  place(coder, hash, number);
  return number;
}

static uint32_t intern_text(tly_key_coder *coder, struct tly_text text) {
  const struct tly_value value = {.type = coder->type, .text = text};
  return intern(coder, text, hash_of(coder, text), &value);
}

static uint32_t intern_null(tly_key_coder *coder) {
  TLY_ASSERT(coder->is_nullable);
  if (coder->null_number == NONE) {
    const struct tly_value null = tly_value_null(coder->type);
    coder->null_number = add_entry(coder, &null, (struct tly_text){.data = "", .size = 0});
  }
  return coder->null_number;
}

static void intern_texts(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows, uint64_t *words) {
  uint32_t hashes[TLY_EVALUATE_ROWS];
  TLY_EACH_ROW (rows, row) {
    hashes[row] = tly_vector_is_null(vector, row) ? 0 : hash_of(coder, tly_vector_text(vector, row));
    __builtin_prefetch(&coder->slots[hashes[row] & (coder->slot_count - 1)]);
  }
  struct tly_value value = {.type = coder->type};
  TLY_EACH_ROW (rows, row) {
    if (tly_vector_is_null(vector, row)) {
      words[row] = intern_null(coder);
      continue;
    }
    value.text = tly_vector_text(vector, row);
    words[row] = intern(coder, value.text, hashes[row], &value);
  }
}

static void intern_encoded(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows,
                           uint64_t *words) {
  TLY_EACH_ROW (rows, row) {
    if (tly_vector_is_null(vector, row)) {
      words[row] = intern_null(coder);
      continue;
    }
    struct tly_value value = tly_vector_value(vector, row);
    tly_buffer_clear(&coder->scratch);
    tly_key_append(&coder->scratch, &value);
    struct tly_text bytes = {.data = (const char *)coder->scratch.data, .size = (uint32_t)coder->scratch.size};
    words[row] = intern(coder, bytes, hash_of(coder, bytes), &value);
  }
}

/* --- dictionary codes --------------------------------------------------------------------------------------------- */

static void meet_dictionary(tly_key_coder *coder, const struct tly_dictionary *dictionary) {
  bool is_known = dictionary->id != 0 ? dictionary->id == coder->dictionary_id
                                      : coder->is_column && dictionary == coder->dictionary;
  if (!is_known)
    forget_codes(coder);
  coder->dictionary = dictionary;
  coder->dictionary_id = dictionary->id;
  if (dictionary->count > coder->code_count)
    coder->code_count = dictionary->count;
  if (dictionary->count <= coder->code_capacity)
    return;
  uint32_t capacity = dictionary->count < NONE / 2 ? dictionary->count + dictionary->count / 4 : dictionary->count;
  coder->code_map = tly_realloc_array(coder->code_map, capacity, sizeof *coder->code_map);
  memset(coder->code_map + coder->code_capacity, 0xFF, (capacity - coder->code_capacity) * sizeof *coder->code_map);
  coder->code_capacity = capacity;
}

static uint64_t learn_code(tly_key_coder *coder, uint32_t code) {
  TLY_ASSERT(code < coder->dictionary->count);
  uint32_t number = intern_text(coder, coder->dictionary->entries[code]);
  coder->code_map[code] = number;
  return number;
}

static void code_texts(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows, uint64_t *words) {
  meet_dictionary(coder, vector->dictionary);
  const uint32_t *map = coder->code_map, *codes = vector->codes, code_count = vector->dictionary->count;
  const uint8_t *null = vector->null;
  TLY_EACH_ROW (rows, row) {
    if (null != NULL && null[row] != 0) {
      words[row] = intern_null(coder);
      continue;
    }
    TLY_ASSERT(codes[row] < code_count);
    uint32_t number = map[codes[row]];
    words[row] = number != NONE ? number : learn_code(coder, codes[row]);
  }
}

/* --- words -------------------------------------------------------------------------------------------------------- */

static void code_direct(const tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows,
                        uint64_t *const *words) {
  _Static_assert(sizeof(double) == sizeof(uint64_t), "a double is a word");
  const uint64_t *values = (const uint64_t *)(const void *)vector->i64;
  if (!vector->is_constant && rows.list == NULL) {
    memcpy(words[0], values, rows.count * sizeof *values);
  } else {
    TLY_EACH_ROW (rows, row)
      words[0][row] = values[tly_vector_row(vector, row)];
  }
  if (!coder->is_nullable && vector->null == NULL)
    return;
  TLY_EACH_ROW (rows, row) {
    bool is_null = tly_vector_is_null(vector, row);
    TLY_ASSERT(coder->is_nullable || !is_null); /* or the front end's proof is wrong */
    if (coder->is_nullable)
      words[1][row] = is_null;
    words[0][row] = is_null ? 0 : words[0][row];
  }
}

void tly_key_coder_code(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows,
                        uint64_t *const *words) {
  TLY_ASSERT(tly_type_form(vector->type) == coder->form);
  if (!coder->is_interned) {
    code_direct(coder, vector, rows, words);
    return;
  }
  if (coder->slot_count == 0)
    grow_slots(coder);
  if (vector->codes != NULL && !vector->is_constant)
    code_texts(coder, vector, rows, words[0]);
  else if (coder->form == TLY_FORM_TEXT)
    intern_texts(coder, vector, rows, words[0]);
  else
    intern_encoded(coder, vector, rows, words[0]);
}

void tly_key_coder_append(const tly_key_coder *coder, const uint64_t *words, struct tly_buffer *key) {
  if (coder->is_interned) {
    struct tly_text encoded = tly_key_coder_encoded(coder, words[0]);
    tly_buffer_append(key, encoded.data, encoded.size);
    return;
  }
  struct tly_value value = {.type = coder->type, .is_null = coder->is_nullable && words[1] != 0};
  memcpy(&value.i64, &words[0], sizeof value.i64); /* or its f64 */
  tly_key_append(key, &value);
}

size_t tly_key_coder_size(const tly_key_coder *coder, uint64_t word) {
  enum { WORD_ENCODED_MAX = 32 };
  return coder->is_interned ? tly_key_coder_encoded(coder, word).size : WORD_ENCODED_MAX;
}

struct tly_text tly_key_coder_encoded(const tly_key_coder *coder, uint64_t word) {
  TLY_ASSERT(coder->is_interned && word < coder->count);
  return coder->entries[word].encoded;
}

struct tly_type tly_key_coder_type(const tly_key_coder *coder) {
  return coder->type;
}
