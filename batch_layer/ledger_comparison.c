/* A merge join. A key of the ledger is looked at when all its rows are there: the first is copied, and rows that follow
 * under the same key make it a duplicate, of which only the sums of its amounts are kept.
 *
 * INVARIANTS
 *   (1) keys == matched + within_tolerance + broken.
 *   (2) For every amount and currency, the sum over keys of (tally - ledger), a missing value counting as 0, is the
 *       difference of the totals: nothing that stands on either side is left out of them. */
#include "batch_layer/ledger_comparison.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

enum { KEYS_PER_WORD = 4096, INLINE_LIMBS = 2 };

/* All rows of one key of the ledger. */
struct ledger_key {
  struct tly_buffer key;
  struct tly_value *values; /* of the only row; or the sums */
  struct tly_running_sum *sums;
  uint64_t rows; /* 0: the ledger is at its end */
  struct tly_arena arena;
};

struct join {
  struct tly_comparison *result;
  const struct tly_ledger_match *match;
  struct tly_decimal tolerance;
  struct tly_keyed_source tally, ledger;
  const struct tly_keyed_row *tally_row, *ledger_row; /* NULL: at its end; ledger_row: behind `group` */
  struct ledger_key group;
  struct tly_buffer last_key; /* of tally */
  struct tly_arena scratch;   /* of one key */
};

void tly_comparison_init(struct tly_comparison *comparison, const struct tly_ledger_match *match,
                         struct tly_break_sink sink) {
  memset(comparison, 0, sizeof *comparison);
  tly_break_list_init(&comparison->breaks, match, sink);
  tly_ledger_totals_init(&comparison->totals, match);
}

void tly_comparison_free(struct tly_comparison *comparison) {
  tly_break_list_free(&comparison->breaks);
  tly_ledger_totals_free(&comparison->totals);
}

/* ---- sides ------------------------------------------------------------------------------------------------------- */

static struct tly_text group_key(const struct ledger_key *group) {
  return (struct tly_text){.data = (const char *)group->key.data, .size = (uint32_t)group->key.size};
}

static int compare_keys(struct tly_text a, struct tly_text b) {
  return tly_key_compare(a.data, a.size, b.data, b.size);
}

static void keep_key(struct tly_buffer *buffer, struct tly_text key) {
  tly_buffer_clear(buffer);
  tly_buffer_append(buffer, key.data, key.size);
  (void)tly_buffer_text(buffer); /* never NULL, of a view without keys either */
}

static struct tly_value copy_value(const struct tly_value *value, struct tly_arena *arena) {
  struct tly_value copy = *value;
  if (value->is_null)
    return copy;
  if (tly_type_form(value->type) == TLY_FORM_TEXT)
    copy.text.data = tly_arena_copy(arena, value->text.data, value->text.size);
  if (tly_type_form(value->type) == TLY_FORM_DECIMAL && abs(value->decimal.limb_count) > INLINE_LIMBS)
    copy.decimal.limbs = (const uint64_t *)(const void *)tly_arena_copy(
        arena, value->decimal.limbs, (size_t)abs(value->decimal.limb_count) * sizeof *value->decimal.limbs);
  return copy;
}

static enum tly_status add_to_sums(struct join *join, const struct tly_value *values, struct tly_error *error) {
  for (uint32_t c = 0; c < join->match->compared_count; c++)
    if (join->match->compared[c].is_amount && !values[c].is_null)
      TLY_TRY(tly_running_sum_add(&join->group.sums[c], tly_value_decimal(&values[c]), &join->group.arena, error));
  return TLY_OK;
}

/* What is shown of a key that is there more than once. */
static void take_sums(struct join *join) {
  for (uint32_t c = 0; c < join->match->compared_count; c++) {
    struct tly_value *value = &join->group.values[c];
    *value = tly_value_null(join->match->compared[c].type);
    if (join->match->compared[c].is_amount)
      *value = tly_value_of_decimal(TLY_TYPE_OF(TLY_TYPE_NUMERIC), join->group.sums[c].value);
  }
}

static enum tly_status next_of_ledger(struct join *join, struct tly_error *error) {
  TLY_TRY(join->ledger.next(join->ledger.context, &join->ledger_row, error));
  join->result->ledger_rows += join->ledger_row != NULL ? 1 : 0;
  return TLY_OK;
}

/* All rows of the ledger's next key. */
static enum tly_status next_group(struct join *join, struct tly_error *error) {
  struct ledger_key *group = &join->group;
  tly_arena_reset(&group->arena);
  group->rows = 0;
  if (join->ledger_row == NULL)
    return TLY_OK;
  keep_key(&group->key, join->ledger_row->key);
  for (uint32_t c = 0; c < join->match->compared_count; c++) {
    group->values[c] = copy_value(&join->ledger_row->values[c], &group->arena);
    group->sums[c].value = tly_decimal_of_i64(0, 0);
  }
  for (;;) {
    group->rows++;
    TLY_TRY(next_of_ledger(join, error));
    int order = join->ledger_row != NULL ? compare_keys(join->ledger_row->key, group_key(group)) : 1;
    TLY_ASSERT(order >= 0);
    if (order > 0)
      break;
    if (group->rows == 1)
      TLY_TRY(add_to_sums(join, group->values, error));
    TLY_TRY(add_to_sums(join, join->ledger_row->values, error));
  }
  if (group->rows > 1)
    take_sums(join);
  return TLY_OK;
}

static enum tly_status next_of_tally(struct join *join, struct tly_error *error) {
  TLY_TRY(join->tally.next(join->tally.context, &join->tally_row, error));
  if (join->tally_row == NULL)
    return TLY_OK;
  struct tly_text last = {.data = (const char *)join->last_key.data, .size = (uint32_t)join->last_key.size};
  TLY_ASSERT(join->result->tally_keys == 0 || compare_keys(join->tally_row->key, last) > 0);
  keep_key(&join->last_key, join->tally_row->key);
  join->result->tally_keys++;
  return TLY_OK;
}

/* ---- one key ----------------------------------------------------------------------------------------------------- */

static struct tly_decimal amount_of(const struct tly_value *values, uint32_t column) {
  if (values == NULL || values[column].is_null)
    return tly_decimal_of_i64(0, 0);
  return tly_value_decimal(&values[column]);
}

/* Add the amounts of a key to the totals, whatever becomes of it. A side's values are NULL when it does not have it. */
static enum tly_status add_totals(struct join *join, struct tly_text key, const struct tly_value *tally,
                                  const struct tly_value *ledger, struct tly_currency_totals **out,
                                  struct tly_error *error) {
  uint32_t amount = 0;
  TLY_TRY(tly_ledger_totals_find(&join->result->totals, key, &join->scratch, out, error));
  for (uint32_t c = 0; c < join->match->compared_count; c++) {
    if (!join->match->compared[c].is_amount)
      continue;
    struct tly_amount_totals *totals = &(*out)->amounts[amount++];
    struct tly_decimal ours = amount_of(tally, c), theirs = amount_of(ledger, c), difference;
    TLY_TRY(tly_decimal_subtract(ours, theirs, &join->scratch, &difference, error));
    TLY_TRY(tly_running_sum_add(&totals->tally, ours, &join->scratch, error));
    TLY_TRY(tly_running_sum_add(&totals->ledger, theirs, &join->scratch, error));
    TLY_TRY(tly_running_sum_add(&totals->gross, tly_decimal_absolute(difference), &join->scratch, error));
  }
  return TLY_OK;
}

enum outcome { EQUAL, TOLERATED, BROKEN };

static enum tly_status compare_amounts(struct join *join, const struct tly_value *ours, const struct tly_value *theirs,
                                       struct tly_amount_totals *totals, enum outcome *outcome,
                                       enum tly_break_kind *kind, struct tly_error *error) {
  struct tly_decimal difference;
  TLY_TRY(tly_decimal_subtract(tly_value_decimal(ours), tly_value_decimal(theirs), &join->scratch, &difference, error));
  int sign = tly_decimal_sign(difference);
  *outcome = EQUAL;
  if (sign == 0)
    return TLY_OK;
  *kind = sign > 0 ? TLY_BREAK_OVER : TLY_BREAK_SHORT;
  *outcome = tly_decimal_compare(tly_decimal_absolute(difference), join->tolerance) <= 0 ? TOLERATED : BROKEN;
  if (*outcome == BROKEN)
    return TLY_OK;
  join->result->values_within_tolerance++;
  return tly_running_sum_add(&totals->within_tolerance, tly_decimal_absolute(difference), &join->scratch, error);
}

static enum tly_status compare_column(struct join *join, uint32_t column, struct tly_amount_totals *totals,
                                      enum outcome *outcome, enum tly_break_kind *kind, struct tly_error *error) {
  const struct tly_value *ours = &join->tally_row->values[column], *theirs = &join->group.values[column];
  *kind = TLY_BREAK_DIFFERS;
  *outcome = ours->is_null == theirs->is_null ? EQUAL : BROKEN;
  if (ours->is_null || theirs->is_null)
    return TLY_OK;
  if (join->match->compared[column].is_amount)
    return compare_amounts(join, ours, theirs, totals, outcome, kind, error);
  *outcome = tly_value_compare(ours, theirs) == 0 ? EQUAL : BROKEN;
  return TLY_OK;
}

/* A key that both sides have once. */
static enum tly_status compare_columns(struct join *join, struct tly_currency_totals *totals, struct tly_error *error) {
  enum outcome worst = EQUAL;
  uint32_t amount = 0;
  for (uint32_t c = 0; c < join->match->compared_count; c++) {
    bool is_amount = join->match->compared[c].is_amount;
    enum outcome outcome;
    enum tly_break_kind kind;
    TLY_TRY(compare_column(join, c, is_amount ? &totals->amounts[amount] : NULL, &outcome, &kind, error));
    amount += is_amount ? 1 : 0;
    worst = outcome > worst ? outcome : worst;
    if (outcome != BROKEN)
      continue;
    struct tly_break found = {.kind = kind,
                              .key = join->tally_row->key,
                              .column = (int32_t)c,
                              .tally = join->tally_row->values,
                              .ledger = join->group.values,
                              .ledger_rows = 1};
    TLY_TRY(tly_break_list_add(&join->result->breaks, &found, error));
  }
  join->result->matched += worst == EQUAL ? 1 : 0;
  join->result->within_tolerance += worst == TOLERATED ? 1 : 0;
  join->result->broken += worst == BROKEN ? 1 : 0;
  return TLY_OK;
}

/* `order` as of compare_sides. */
static enum tly_status compare_key(struct join *join, int order, struct tly_error *error) {
  const struct tly_value *tally = order <= 0 ? join->tally_row->values : NULL;
  const struct tly_value *ledger = order >= 0 ? join->group.values : NULL;
  struct tly_break found = {.key = order <= 0 ? join->tally_row->key : group_key(&join->group),
                            .column = -1,
                            .tally = tally,
                            .ledger = ledger,
                            .ledger_rows = order >= 0 ? join->group.rows : 0};
  struct tly_currency_totals *totals;
  tly_arena_reset(&join->scratch);
  TLY_TRY(add_totals(join, found.key, tally, ledger, &totals, error));
  join->result->keys++;
  if (order == 0 && join->group.rows == 1)
    return compare_columns(join, totals, error);
  found.kind = order < 0              ? TLY_BREAK_MISSING_IN_LEDGER
               : join->group.rows > 1 ? TLY_BREAK_DUPLICATE_IN_LEDGER
                                      : TLY_BREAK_MISSING_IN_TALLY;
  join->result->broken++;
  return tly_break_list_add(&join->result->breaks, &found, error);
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

/* <0: only the view has its key, >0: only the ledger; 0: both. Not both may be at their end. */
static int compare_sides(const struct join *join) {
  if (join->tally_row == NULL)
    return 1;
  return join->group.rows == 0 ? -1 : compare_keys(join->tally_row->key, group_key(&join->group));
}

static enum tly_status run_join(struct join *join, void (*progress)(void *, uint64_t), void *context,
                                struct tly_error *error) {
  struct tly_comparison *result = join->result;
  TLY_TRY(next_of_tally(join, error));
  TLY_TRY(next_of_ledger(join, error));
  TLY_TRY(next_group(join, error));
  while (join->tally_row != NULL || join->group.rows > 0) {
    int order = compare_sides(join);
    TLY_TRY(compare_key(join, order, error));
    if (order <= 0)
      TLY_TRY(next_of_tally(join, error));
    if (order >= 0)
      TLY_TRY(next_group(join, error));
    TLY_ASSERT(result->keys == result->matched + result->within_tolerance + result->broken);
    if (progress != NULL && result->keys % KEYS_PER_WORD == 0)
      progress(context, result->keys);
  }
  return TLY_OK;
}

enum tly_status tly_ledger_compare(struct tly_comparison *comparison, struct tly_decimal tolerance,
                                   struct tly_keyed_source tally, struct tly_keyed_source ledger,
                                   void (*progress)(void *context, uint64_t keys), void *context,
                                   struct tly_error *error) {
  const struct tly_ledger_match *match = comparison->breaks.match;
  struct join join = {.result = comparison, .match = match, .tolerance = tolerance, .tally = tally, .ledger = ledger};
  TLY_ASSERT(comparison->keys == 0 && tly_decimal_sign(tolerance) >= 0);
  join.group.values = tly_calloc(match->compared_count, sizeof *join.group.values);
  join.group.sums = tly_calloc(match->compared_count, sizeof *join.group.sums);
  tly_arena_init(&join.group.arena);
  tly_arena_init(&join.scratch);
  enum tly_status status = run_join(&join, progress, context, error);
  for (uint32_t c = 0; c < match->compared_count; c++)
    tly_running_sum_free(&join.group.sums[c]);
  tly_free(join.group.values);
  tly_free(join.group.sums);
  tly_buffer_free(&join.group.key);
  tly_buffer_free(&join.last_key);
  tly_arena_free(&join.group.arena);
  tly_arena_free(&join.scratch);
  return status;
}
