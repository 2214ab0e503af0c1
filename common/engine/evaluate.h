/* common/engine/evaluate.h -- evaluate typed expressions over columns: the one implementation of every operator.
 *
 * Path of an event: event batch -> [evaluate: WHERE, keys, arguments] -> fold; and queries: values -> [evaluate] ->
 * rows.
 *
 * An expression is evaluated over up to TLY_EVALUATE_ROWS rows at a time. Branches (CASE, COALESCE, AND, OR, FILTER)
 * are evaluated only for the rows that reach them, so an error in a branch not taken is no error. A row that raises
 * gets its first error in written order and is out of the rest of the evaluation; the others go on. Thread: an
 * evaluator belongs to one thread; the tree it was made from is shared. */
#ifndef TLY_ENGINE_EVALUATE_H
#define TLY_ENGINE_EVALUATE_H

#include "common/sql/typed_tree.h"
#include "common/value/vector.h"

struct tly_row_error {
  enum tly_status status;
  const char *message; /* in the evaluator's arena until its next reset, or static */
};

/* Where an expression's leaves come from. */
struct tly_evaluate_input {
  uint32_t row_count;               /* <= TLY_EVALUATE_ROWS */
  const struct tly_vector *columns; /* COLUMN nodes (by `column`); vectors at least row_count long from their start */
  const struct tly_vector *keys;    /* KEY nodes */
  const struct tly_vector *aggregates; /* AGGREGATE nodes */
  const struct tly_value *parameters;  /* PARAMETER nodes */
  int64_t now_us;                      /* NOW nodes */
};

typedef struct tly_evaluator tly_evaluator;

tly_evaluator *tly_evaluator_new(void);
void tly_evaluator_free(tly_evaluator *evaluator);
/* Forget all vectors and errors handed out. */
void tly_evaluator_reset(tly_evaluator *evaluator);

/* Begin a batch of rows: clears errors (and nothing else). All evaluations until the next begin add to one set of row
 * errors: a row that has one is skipped by later calls. */
void tly_evaluate_begin(tly_evaluator *evaluator, const struct tly_evaluate_input *input);
/* Evaluate `expression` for the rows listed in `rows` (ascending; NULL: all). *out has row_count elements; those of
 * rows not listed or with an error are unspecified. It lives until reset. */
void tly_evaluate(tly_evaluator *evaluator, const struct tly_expr *expression, const uint32_t *rows,
                  uint32_t listed_count, struct tly_vector *out);
/* As tly_evaluate for a boolean, giving the rows where it is true (not NULL, not false, no error) in *selected, an
 * array in the evaluator's arena. */
uint32_t tly_evaluate_filter(tly_evaluator *evaluator, const struct tly_expr *condition, const uint32_t *rows,
                             uint32_t listed_count, const uint32_t **selected);
/* The error of a row since begin, or NULL. */
const struct tly_row_error *tly_evaluate_error(const tly_evaluator *evaluator, uint32_t row);
uint32_t tly_evaluate_error_count(const tly_evaluator *evaluator);

/* One row, for constants and for the serving layer's scalar calls: the value, or the error in *error. */
TLY_CHECK enum tly_status tly_evaluate_value(tly_evaluator *evaluator, const struct tly_expr *expression,
                                             const struct tly_evaluate_input *input, struct tly_value *out,
                                             struct tly_error *error);

#endif
