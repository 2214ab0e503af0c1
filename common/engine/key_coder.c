/* The intern table maps bytes to values: the text itself, or for numerics without a 64-bit form the encoded value (so
 * that 1.5 and 1.50 are one). A value keeps the bytes it is found by and its encoded form; in a text's encoding the
 * text stands at the front, so both are one copy.
 *
 * Values stay known when words are forgotten, up to TLY_KEY_CODER_KEPT_BYTES: a fold that is emptied at each commit and
 * meets the same keys again does not hash, compare and encode them again. A value's number, its word, is given when it
 * is first met since then, under the present epoch; so words are 0, 1, 2, ... in the order of their coming, whatever is
 * kept.
 *
 * Two maps know a dictionary's codes: code_numbers, four bytes a code so that those of a hundred thousand texts stay
 * near the core, gives the word of a code that was met in this epoch; code_values the value of a code that was ever met
 * in this dictionary. Forgetting words takes a step for each code that has one, not for each code there is. */
#include "common/engine/key_coder.h"

#include <string.h>
#define XXH_INLINE_ALL /* short keys are hashed without a call */
#include <xxhash.h>

#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_sort.h"
#include "common/engine/hash_seed.h"
#include "common/engine/key_heap.h"
#include "common/value/ordered_key.h"

/* From so many codes on their words are more than the first cache holds: they are fetched some rows ahead. */
enum { FAR_CODES = 1 << 14, ROWS_AHEAD = 48 };
enum { SLOTS_MIN = 256, KEPT_VALUE_BYTES_MAX = 1024 };
#define NONE UINT32_MAX

struct interned {
  struct tly_text bytes;   /* found by these */
  struct tly_text encoded; /* in a key */
  uint32_t epoch, number;  /* its word, in that epoch */
};

struct slot {
  uint32_t hash;
  uint32_t value; /* NONE: free */
};

struct tly_key_coder {
  struct tly_type type;
  enum tly_form form;
  bool is_column; /* a stream's column as it is: its dictionary stays the same for the whole batch */
  bool is_nullable;
  bool is_interned;
  struct interned *values;
  uint32_t value_count, value_capacity;
  uint32_t ordered_count; /* the values when they were last put in order, */
  struct tly_text *order; /* their encoded forms, */
  uint32_t *places;       /* and where each stands there */
  struct slot *slots;
  uint32_t slot_count;
  uint64_t seed;
  struct tly_key_heap heap;
  uint32_t null_value; /* NONE: not met yet */
  uint32_t epoch;      /* from 1 */
  uint32_t *numbered;  /* the values by number, and how many: words are smaller */
  uint32_t count, capacity;
  size_t largest;
  struct tly_buffer scratch, encoded;
  uint32_t *code_numbers, *code_values; /* by code, NONE: not known */
  uint32_t code_capacity, code_count;   /* codes below code_count may be known */
  uint32_t *known_codes;                /* those that have a number */
  uint32_t known_count, known_capacity;
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
  coder->null_value = NONE;
  coder->epoch = 1;
  coder->seed = tly_hash_seed(coder);
  return coder;
}

void tly_key_coder_free(tly_key_coder *coder) {
  if (coder == NULL)
    return;
  tly_free(coder->values);
  tly_free(coder->numbered);
  tly_free(coder->slots);
  tly_free(coder->order);
  tly_free(coder->places);
  tly_key_heap_clear(&coder->heap);
  tly_buffer_free(&coder->scratch);
  tly_buffer_free(&coder->encoded);
  tly_free(coder->code_numbers);
  tly_free(coder->code_values);
  tly_free(coder->known_codes);
  tly_free(coder);
}

static void forget_codes(tly_key_coder *coder) {
  coder->dictionary = NULL;
  coder->dictionary_id = 0;
  if (coder->code_count > 0) {
    memset(coder->code_numbers, 0xFF, coder->code_count * sizeof *coder->code_numbers);
    memset(coder->code_values, 0xFF, coder->code_count * sizeof *coder->code_values);
  }
  coder->code_count = 0;
  coder->known_count = 0;
}

static void forget_values(tly_key_coder *coder) {
  forget_codes(coder);
  tly_free(coder->values);
  tly_free(coder->numbered);
  tly_free(coder->slots);
  tly_free(coder->order);
  tly_free(coder->places);
  coder->order = NULL;
  coder->places = NULL;
  coder->ordered_count = 0;
  coder->values = NULL;
  coder->numbered = NULL;
  coder->slots = NULL;
  coder->value_count = coder->value_capacity = coder->capacity = coder->slot_count = 0;
  tly_key_heap_clear(&coder->heap);
  coder->null_value = NONE;
  coder->largest = 0;
}

void tly_key_coder_clear(tly_key_coder *coder) {
  bool is_last_epoch = ++coder->epoch == 0;
  coder->count = 0;
  if (is_last_epoch)
    coder->epoch = 1;
  if (is_last_epoch || coder->largest > KEPT_VALUE_BYTES_MAX || tly_key_coder_bytes(coder) > TLY_KEY_CODER_KEPT_BYTES) {
    forget_values(coder);
    return;
  }
  for (uint32_t k = 0; k < coder->known_count; k++)
    coder->code_numbers[coder->known_codes[k]] = NONE;
  coder->known_count = 0;
}

size_t tly_key_coder_bytes(const tly_key_coder *coder) {
  return coder->value_capacity * sizeof *coder->values + coder->slot_count * sizeof *coder->slots +
         coder->capacity * sizeof *coder->numbered + coder->heap.allocated_bytes +
         coder->ordered_count * (sizeof *coder->order + sizeof *coder->places) +
         coder->code_capacity * (sizeof *coder->code_numbers + sizeof *coder->code_values) +
         coder->known_capacity * sizeof *coder->known_codes;
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

static uint32_t add_value(tly_key_coder *coder, const struct tly_value *value, struct tly_text bytes) {
  if (coder->value_count == coder->value_capacity) {
    coder->value_capacity = coder->value_capacity == 0 ? SLOTS_MIN / 2 : 2 * coder->value_capacity;
    coder->values = tly_realloc_array(coder->values, coder->value_capacity, sizeof *coder->values);
  }
  struct tly_buffer *encoded = &coder->encoded;
  tly_buffer_clear(encoded);
  tly_key_append(encoded, value);
  struct interned *added = &coder->values[coder->value_count];
  added->epoch = 0;
  added->encoded = keep(coder, encoded->data, encoded->size);
  bool is_in_front = bytes.size <= encoded->size && memcmp(encoded->data, bytes.data, bytes.size) == 0;
  added->bytes = is_in_front ? (struct tly_text){.data = added->encoded.data, .size = bytes.size}
                             : keep(coder, bytes.data, bytes.size);
  if (encoded->size > coder->largest)
    coder->largest = encoded->size;
  TLY_ASSERT(coder->value_count < NONE - 1);
  return coder->value_count++;
}

/* The value's word; of one that was not met in this epoch, the next. */
static uint32_t number_of(tly_key_coder *coder, uint32_t value) {
  struct interned *interned = &coder->values[value];
  if (interned->epoch == coder->epoch)
    return interned->number;
  if (coder->count == coder->capacity) {
    coder->capacity = coder->capacity == 0 ? SLOTS_MIN / 2 : 2 * coder->capacity;
    coder->numbered = tly_realloc_array(coder->numbered, coder->capacity, sizeof *coder->numbered);
  }
  interned->epoch = coder->epoch;
  interned->number = coder->count;
  coder->numbered[coder->count] = value;
  return coder->count++;
}

static uint32_t hash_of(const tly_key_coder *coder, struct tly_text bytes) {
  return (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.size, coder->seed);
}

static void place(tly_key_coder *coder, uint32_t hash, uint32_t value) {
  uint32_t mask = coder->slot_count - 1, at = hash & mask;
  while (coder->slots[at].value != NONE)
    at = (at + 1) & mask;
  coder->slots[at] = (struct slot){.hash = hash, .value = value};
}

/* A slot's place follows from its hash: nothing but slots is read. */
static void grow_slots(tly_key_coder *coder) {
  struct slot *before = coder->slots;
  uint32_t count_before = coder->slot_count;
  coder->slot_count = count_before == 0 ? SLOTS_MIN : 2 * count_before;
  coder->slots = tly_malloc(coder->slot_count * sizeof *coder->slots);
  memset(coder->slots, 0xFF, coder->slot_count * sizeof *coder->slots);
  for (uint32_t at = 0; at < count_before; at++) {
    if (before[at].value != NONE)
      place(coder, before[at].hash, before[at].value);
  }
  tly_free(before);
}

/* The interned value that is found by `bytes`, whose hash is given. */
static uint32_t intern(tly_key_coder *coder, struct tly_text bytes, uint32_t hash, const struct tly_value *value) {
  uint32_t mask = coder->slot_count - 1;
  for (uint32_t at = hash & mask; coder->slots[at].value != NONE; at = (at + 1) & mask) {
    uint32_t found = coder->slots[at].value;
    if (coder->slots[at].hash == hash && tly_text_equal(coder->values[found].bytes, bytes))
      return found;
  }
  uint32_t added = add_value(coder, value, bytes);
  if (2 * (uint64_t)coder->value_count > coder->slot_count)
    grow_slots(coder);
  place(coder, hash, added);
  return added;
}

static uint32_t number_of_null(tly_key_coder *coder) {
  TLY_ASSERT(coder->is_nullable);
  if (coder->null_value == NONE) {
    const struct tly_value null = tly_value_null(coder->type);
    coder->null_value = add_value(coder, &null, (struct tly_text){.data = "", .size = 0});
  }
  return number_of(coder, coder->null_value);
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
      words[row] = number_of_null(coder);
      continue;
    }
    value.text = tly_vector_text(vector, row);
    words[row] = number_of(coder, intern(coder, value.text, hashes[row], &value));
  }
}

static void intern_encoded(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows,
                           uint64_t *words) {
  TLY_EACH_ROW (rows, row) {
    if (tly_vector_is_null(vector, row)) {
      words[row] = number_of_null(coder);
      continue;
    }
    struct tly_value value = tly_vector_value(vector, row);
    tly_buffer_clear(&coder->scratch);
    tly_key_append(&coder->scratch, &value);
    struct tly_text bytes = {.data = (const char *)coder->scratch.data, .size = (uint32_t)coder->scratch.size};
    words[row] = number_of(coder, intern(coder, bytes, hash_of(coder, bytes), &value));
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
  size_t more = capacity - coder->code_capacity;
  coder->code_numbers = tly_realloc_array(coder->code_numbers, capacity, sizeof *coder->code_numbers);
  coder->code_values = tly_realloc_array(coder->code_values, capacity, sizeof *coder->code_values);
  memset(coder->code_numbers + coder->code_capacity, 0xFF, more * sizeof *coder->code_numbers);
  memset(coder->code_values + coder->code_capacity, 0xFF, more * sizeof *coder->code_values);
  coder->code_capacity = capacity;
}

/* A code that has no word in this epoch gets one; it stands for code_values[code]. */
static void number_code(tly_key_coder *coder, uint32_t code) {
  if (coder->known_count == coder->known_capacity) {
    coder->known_capacity = coder->known_capacity == 0 ? SLOTS_MIN : 2 * coder->known_capacity;
    coder->known_codes = tly_realloc_array(coder->known_codes, coder->known_capacity, sizeof *coder->known_codes);
  }
  coder->known_codes[coder->known_count++] = code;
  coder->code_numbers[code] = number_of(coder, coder->code_values[code]);
}

/* Codes without a word: of those whose texts are not known either, the slots are fetched while the texts are hashed,
 * then the values that stand there, so that the look-ups of many wait for memory together. */
static void learn_codes(tly_key_coder *coder, const uint32_t *codes, const uint32_t *rows, uint32_t count,
                        uint64_t *words) {
  uint32_t hashes[TLY_EVALUATE_ROWS], mask = coder->slot_count - 1;
  const struct tly_text *texts = coder->dictionary->entries;
  for (uint32_t i = 0; i < count; i++) {
    if (coder->code_values[codes[rows[i]]] != NONE)
      continue;
    hashes[i] = hash_of(coder, texts[codes[rows[i]]]);
    __builtin_prefetch(&coder->slots[hashes[i] & mask]);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t known = coder->code_values[codes[rows[i]]];
    uint32_t value = known != NONE ? known : coder->slots[hashes[i] & mask].value;
    if (value != NONE)
      __builtin_prefetch(&coder->values[value]);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t code = codes[rows[i]];
    const struct tly_value value = {.type = coder->type, .text = texts[code]};
    if (coder->code_values[code] == NONE)
      coder->code_values[code] = intern(coder, texts[code], hashes[i], &value);
    if (coder->code_numbers[code] == NONE) /* or it got one a few rows before */
      number_code(coder, code);
    words[rows[i]] = coder->code_numbers[code];
  }
}

/* Gives the rows whose codes have no word yet: few after the first blocks, so they are listed only where there are any.
 */
TLY_ALWAYS_INLINE uint32_t code_known(const tly_key_coder *coder, const uint32_t *codes, struct tly_rows rows,
                                      uint64_t *words, uint32_t *unknown) {
  const uint32_t *numbers = coder->code_numbers, code_count = coder->dictionary->count;
  const uint32_t fetching = code_count >= FAR_CODES && rows.count > ROWS_AHEAD ? rows.count - ROWS_AHEAD : 0;
  uint32_t count = 0, without = 0;
  TLY_EACH_ROW (rows, row) {
    if (row_index < fetching)
      __builtin_prefetch(&numbers[codes[tly_rows_at(rows, row_index + ROWS_AHEAD)]]);
    TLY_ASSERT(codes[row] < code_count);
    uint32_t number = numbers[codes[row]];
    words[row] = number;
    without += number == NONE;
  }
  if (without == 0)
    return 0;
  TLY_EACH_ROW (rows, row) {
    unknown[count] = row;
    count += words[row] == NONE;
  }
  return count;
}

static void code_texts(tly_key_coder *coder, const struct tly_vector *vector, struct tly_rows rows, uint64_t *words) {
  uint32_t unknown[TLY_EVALUATE_ROWS], present[TLY_EVALUATE_ROWS], count;
  meet_dictionary(coder, vector->dictionary);
  if (vector->null != NULL) {
    struct tly_rows some = {.list = present, .count = 0};
    TLY_EACH_ROW (rows, row) {
      present[some.count] = row;
      some.count += vector->null[row] == 0;
      if (vector->null[row] != 0)
        words[row] = number_of_null(coder);
    }
    rows = some;
  }
  if (rows.list == NULL)
    count = code_known(coder, vector->codes, (struct tly_rows){.list = NULL, .count = rows.count}, words, unknown);
  else
    count = code_known(coder, vector->codes, rows, words, unknown);
  learn_codes(coder, vector->codes, unknown, count, words);
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
  return coder->values[coder->numbered[word]].encoded;
}

struct tly_type tly_key_coder_type(const tly_key_coder *coder) {
  return coder->type;
}

static void put_in_order(tly_key_coder *coder) {
  uint32_t count = coder->value_count;
  struct tly_key_heap heap = {.last = NULL};
  const uint8_t **records = tly_malloc((count + 1) * sizeof *records);
  for (uint32_t value = 0; value < count; value++)
    records[value] = tly_key_record_new(&heap, value, coder->values[value].encoded);
  tly_group_sort(records, count);
  coder->order = tly_realloc_array(coder->order, count + 1, sizeof *coder->order);
  coder->places = tly_realloc_array(coder->places, count + 1, sizeof *coder->places);
  for (uint32_t place = 0; place < count; place++) {
    uint32_t value = tly_key_record_group(records[place]);
    coder->order[place] = coder->values[value].encoded;
    coder->places[value] = place;
  }
  tly_free(records);
  tly_key_heap_clear(&heap);
  coder->ordered_count = count;
}

const struct tly_text *tly_key_coder_order(tly_key_coder *coder, uint32_t *ranks, uint32_t *count) {
  if (coder->ordered_count != coder->value_count && coder->count < coder->value_count / 2)
    return NULL;
  if (coder->ordered_count != coder->value_count || coder->order == NULL)
    put_in_order(coder);
  for (uint32_t word = 0; word < coder->count; word++)
    ranks[word] = coder->places[coder->numbered[word]];
  *count = coder->ordered_count;
  return coder->order;
}
