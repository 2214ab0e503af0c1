#include "batch_layer/ledger_match.h"

#include <string.h>

#include "common/base/assert.h"

static bool is_amount(struct tly_type type) {
  return tly_type_is_integer(type.id) || type.id == TLY_TYPE_NUMERIC;
}

/* The form in which two types meet; false: they do not. */
static bool common_type(struct tly_type a, struct tly_type b, struct tly_type *out) {
  if (is_amount(a) && is_amount(b)) {
    bool are_integers = tly_type_is_integer(a.id) && tly_type_is_integer(b.id);
    *out = TLY_TYPE_OF(are_integers ? TLY_TYPE_BIGINT : TLY_TYPE_NUMERIC);
    return true;
  }
  if (tly_type_is_text(a.id) && tly_type_is_text(b.id)) {
    *out = TLY_TYPE_OF(TLY_TYPE_TEXT);
    return true;
  }
  *out = TLY_TYPE_OF(a.id);
  return a.id == b.id;
}

static int32_t column_named(const struct tly_ledger *ledger, const char *name) {
  for (uint32_t i = 0; i < ledger->column_count; i++)
    if (strcmp(ledger->columns[i].name, name) == 0)
      return (int32_t)i;
  return -1;
}

static enum tly_status make_pair(const struct tly_ledger_match *match, uint32_t output, uint32_t column,
                                 struct tly_ledger_pair *out, struct tly_error *error) {
  const struct tly_view_output *ours = &match->view->outputs[output];
  const struct tly_ledger_column *theirs = &match->ledger->columns[column];
  *out = (struct tly_ledger_pair){.name = ours->name, .output = output, .column = column};
  if (!common_type(ours->expression->type, theirs->type, &out->type)) {
    (void)TLY_FAIL(error, TLY_E_DATATYPE_MISMATCH,
                   "column \"%s\" is %s in view \"%s\" and %s in ledger \"%s\": they cannot be compared", ours->name,
                   tly_type_name(ours->expression->type), match->view->name, tly_type_name(theirs->type),
                   match->ledger->name);
    tly_error_hint(error, "declare the ledger's column as %s, or give it another name with OPTIONS (column_name '%s')",
                   tly_type_name(ours->expression->type), theirs->remote_name);
    return TLY_E_DATATYPE_MISMATCH;
  }
  out->is_amount = is_amount(out->type);
  return TLY_OK;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

/* An output that shows the key and nothing else, best one that the ledger has. -1: none. */
static int32_t output_of_key(const struct tly_ledger_match *match, uint32_t key) {
  int32_t found = -1;
  for (uint32_t o = 0; o < match->view->output_count; o++) {
    const struct tly_view_output *output = &match->view->outputs[o];
    if (output->expression->kind != TLY_EXPR_KEY || output->expression->column != key)
      continue;
    if (found < 0 || column_named(match->ledger, match->view->outputs[found].name) < 0)
      found = (int32_t)o;
  }
  return found;
}

static enum tly_status match_key(struct tly_ledger_match *match, uint32_t key, struct tly_error *error) {
  int32_t output = output_of_key(match, key);
  if (output < 0) {
    (void)TLY_FAIL(error, TLY_E_UNDEFINED_COLUMN,
                   "view \"%s\" has no output for column %u of its GROUP BY, so a ledger cannot be matched by it",
                   match->view->name, key + 1);
    tly_error_hint(error, "every column of GROUP BY must be an output by itself");
    return TLY_E_UNDEFINED_COLUMN;
  }
  const char *name = match->view->outputs[output].name;
  int32_t column = column_named(match->ledger, name);
  if (column < 0) {
    (void)TLY_FAIL(error, TLY_E_UNDEFINED_COLUMN, "ledger \"%s\" has no column \"%s\", which is a key of view \"%s\"",
                   match->ledger->name, name, match->view->name);
    tly_error_hint(error, "a column that has another name there: %s <type> OPTIONS (column_name '...')", name);
    return TLY_E_UNDEFINED_COLUMN;
  }
  if (strcmp(name, "currency") == 0)
    match->currency = (int32_t)key;
  return make_pair(match, (uint32_t)output, (uint32_t)column, &match->keys[match->key_count++], error);
}

/* ---- the other columns ------------------------------------------------------------------------------------------- */

static bool is_key_output(const struct tly_ledger_match *match, uint32_t output) {
  for (uint32_t k = 0; k < match->key_count; k++)
    if (match->keys[k].output == output)
      return true;
  return false;
}

static enum tly_status match_outputs(struct tly_ledger_match *match, struct tly_error *error) {
  const struct tly_view *view = match->view;
  for (uint32_t o = 0; o < view->output_count; o++) {
    if (is_key_output(match, o))
      continue;
    int32_t column = column_named(match->ledger, view->outputs[o].name);
    if (column < 0) {
      match->only_in_view[match->only_in_view_count++] = view->outputs[o].name;
      continue;
    }
    struct tly_ledger_pair *pair = &match->compared[match->compared_count++];
    TLY_TRY(make_pair(match, o, (uint32_t)column, pair, error));
    match->amount_count += pair->is_amount ? 1 : 0;
  }
  return TLY_OK;
}

static void list_only_in_ledger(struct tly_ledger_match *match) {
  for (uint32_t i = 0; i < match->ledger->column_count; i++) {
    bool is_matched = false;
    for (uint32_t k = 0; k < match->key_count; k++)
      is_matched = is_matched || match->keys[k].column == i;
    for (uint32_t c = 0; c < match->compared_count; c++)
      is_matched = is_matched || match->compared[c].column == i;
    if (!is_matched)
      match->only_in_ledger[match->only_in_ledger_count++] = match->ledger->columns[i].name;
  }
}

enum tly_status tly_ledger_match(const struct tly_view *view, const struct tly_ledger *ledger, struct tly_arena *arena,
                                 struct tly_ledger_match *out, struct tly_error *error) {
  *out = (struct tly_ledger_match){.view = view, .ledger = ledger, .currency = -1};
  out->keys = TLY_ARENA_ARRAY(arena, struct tly_ledger_pair, view->key_count);
  out->compared = TLY_ARENA_ARRAY(arena, struct tly_ledger_pair, view->output_count);
  out->only_in_view = (const char **)TLY_ARENA_ARRAY(arena, const char *, view->output_count);
  out->only_in_ledger = (const char **)TLY_ARENA_ARRAY(arena, const char *, ledger->column_count);
  for (uint32_t k = 0; k < view->key_count; k++)
    TLY_TRY(match_key(out, k, error));
  TLY_TRY(match_outputs(out, error));
  list_only_in_ledger(out);
  if (out->compared_count > 0)
    return TLY_OK;
  (void)TLY_FAIL(error, TLY_E_UNDEFINED_COLUMN, "ledger \"%s\" has nothing to compare with view \"%s\" but its keys",
                 ledger->name, view->name);
  tly_error_hint(error, "at least one more column must have the same name in both");
  return TLY_E_UNDEFINED_COLUMN;
}

struct tly_value tly_ledger_pair_value(const struct tly_ledger_pair *pair, const struct tly_value *value) {
  if (value->is_null)
    return tly_value_null(pair->type);
  if (pair->type.id == TLY_TYPE_NUMERIC)
    return tly_value_of_decimal(pair->type, tly_value_decimal(value));
  struct tly_value converted = *value;
  converted.type = pair->type; /* the same form: bigint for all integers, text for varchar */
  TLY_ASSERT(tly_type_form(value->type) == tly_type_form(pair->type));
  return converted;
}
