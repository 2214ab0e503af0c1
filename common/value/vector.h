/* common/value/vector.h -- a column of values: what decode makes, the archive stores and the evaluator computes.
 *
 * Path of an event: decode -> [vector] -> archive -> [vector] -> evaluate -> [vector] -> fold.
 * Thread: pure; what a vector points to belongs to whoever made it (an arena or an event batch). */
#ifndef TLY_VALUE_VECTOR_H
#define TLY_VALUE_VECTOR_H

#include "common/value/value.h"

/* The distinct texts of a column in one archive file or one event batch; a code is an index into it. */
struct tly_dictionary {
  const struct tly_text *entries;
  uint32_t count;
  /* Two dictionaries of one process with the same id, not 0, are the same list or one is a prefix of the other: what
   * was learned of a code holds for the next batch too. 0: known only while this batch is. */
  uint64_t id;
};

struct tly_vector {
  struct tly_type type;
  uint32_t count;      /* rows */
  bool is_constant;    /* element 0 stands for all rows */
  const uint8_t *null; /* a byte a row, 1 is NULL; NULL pointer: no row is */
  /* The array of tly_type_form(type). Elements of NULL rows are unspecified but readable (text: size 0). */
  union {
    int64_t *i64;
    tly_i128 *i128;
    double *f64;
    struct tly_text *text; /* NULL when the vector is coded */
    struct tly_decimal *decimal;
    struct tly_interval *interval;
  };
  /* TEXT form only, else NULL: row r is dictionary->entries[codes[r]]. Elements of NULL rows are code 0. */
  const uint32_t *codes;
  const struct tly_dictionary *dictionary;
};

static inline uint32_t tly_vector_row(const struct tly_vector *vector, uint32_t row) {
  return vector->is_constant ? 0 : row;
}

static inline bool tly_vector_is_null(const struct tly_vector *vector, uint32_t row) {
  return vector->null != NULL && vector->null[tly_vector_row(vector, row)] != 0;
}

static inline struct tly_text tly_vector_text(const struct tly_vector *vector, uint32_t row) {
  row = tly_vector_row(vector, row);
  return vector->codes != NULL ? vector->dictionary->entries[vector->codes[row]] : vector->text[row];
}

/* One element as a value (it borrows what the vector points to). */
struct tly_value tly_vector_value(const struct tly_vector *vector, uint32_t row);
/* A constant vector of `count` rows; its element lives in the arena. */
struct tly_vector tly_vector_of_value(const struct tly_value *value, uint32_t count, struct tly_arena *arena);
/* Room for `count` rows of `type` in the arena, no nulls. */
struct tly_vector tly_vector_new(struct tly_type type, uint32_t count, struct tly_arena *arena);
/* Bytes of one element of a form. */
size_t tly_form_size(enum tly_form form);

#endif
