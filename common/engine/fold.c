/* A batch goes through in pieces of TLY_EVALUATE_ROWS events. For each piece everything is evaluated first: WHERE, the
 * group key, every FILTER and every argument. An event that raises in any of them is then on no list of rows any more,
 * so what follows cannot fail and needs no way back:
 *
 *   1  evaluate       vectors, and the rows each feed applies to
 *   2  code           key columns and distinct values to words (key_coder.h); the rare key that is too long raises here
 *   3  look up        words to group numbers, a table a part (group_lookup.h); new groups are made
 *   4  apply          each component's loop over rows (fold_apply.h)
 *
 * A *feed* is a pair of FILTER and argument. Components with the same pair share the feed, so it is evaluated once, and
 * a group's states are touched once. count(*) goes with a column that is never NULL: they are of the same rows.
 *
 * Group numbers come from the lookup; a view without GROUP BY has none and the one group 0. Part 0's table knows its
 * groups by number alone: they leave in the order of their keys by way of fold_union.h. Distinct parts are looked up by
 * (group number in part 0, distinct value), and their tables have the encoded keys.
 *
 * INVARIANTS (check_invariants)
 *   (1) folded + filtered + set_aside is the number of events given.
 *   (2) The tables are of the epochs that words and lookups were made for, or `renew` is called before those are used.
 *   (3) While events are folded there is no order, and the table of a part has as many groups as its lookup. */
#include "common/engine/fold.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/engine/fold_access.h"
#include "common/engine/fold_apply.h"
#include "common/engine/fold_union.h"
#include "common/engine/group_access.h"

struct feed {
  const struct tly_expr *filter;   /* or NULL */
  const struct tly_expr *argument; /* NULL: count(*) */
  uint32_t *components;
  uint32_t component_count;
  /* of the present piece */
  struct tly_state_field *fields; /* one a component */
  struct tly_vector values;
  struct tly_rows rows; /* argument not NULL, filter true */
};

struct distinct_set {
  const struct tly_part *part;
  tly_group_table *table;
  uint64_t epoch;           /* of the table */
  tly_group_lookup *lookup; /* over group number and the coder's words */
  tly_key_coder *coder;
  uint64_t *words[1 + TLY_KEY_WORDS_MAX];
  struct tly_vector values;
  struct tly_rows rows;
};

struct tly_fold {
  const struct tly_view_program *program;
  tly_evaluator *evaluator;
  struct tly_arena scratch;
  struct tly_fold_counts counts;
  uint64_t given;
  struct tly_vector *columns; /* of the present piece: windows of the batch's */
  struct tly_vector *keys;
  tly_key_coder **coders; /* one a key column */
  uint64_t **words;       /* of all coders, one behind the other */
  uint64_t ***key_words;  /* where each coder's begin */
  uint64_t *bounds;       /* of all words */
  uint32_t word_count;
  uint32_t groups[TLY_EVALUATE_ROWS]; /* of part 0 */
  tly_group_table *table;             /* part 0 */
  uint64_t epoch;                     /* of the table */
  tly_group_lookup *lookup;           /* NULL: no keys */
  tly_key_order *order;               /* of part 0, or NULL */
  struct feed *feeds;
  uint32_t feed_count;
  struct distinct_set *sets; /* parts 1 .. */
  uint32_t set_count;
};

static void check_invariants(const tly_fold *fold) {
  TLY_ASSERT(fold->order == NULL);
  for (uint32_t s = 0; s < fold->set_count; s++)
    TLY_ASSERT(tly_group_table_count(fold->sets[s].table) == tly_group_lookup_count(fold->sets[s].lookup));
  TLY_ASSERT(fold->counts.folded + fold->counts.filtered + fold->counts.set_aside == fold->given);
}

/* --- groups in order ---------------------------------------------------------------------------------------------- */

/* Where the tables have been cleared, words and numbers of before mean nothing now. Whoever drains one part drains and
 * clears all. */
static void renew(tly_fold *fold) {
  if (tly_group_table_epoch(fold->table) == fold->epoch)
    return;
  fold->epoch = tly_group_table_epoch(fold->table);
  tly_key_order_free(fold->order);
  fold->order = NULL;
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    tly_key_coder_clear(fold->coders[k]);
  if (fold->lookup != NULL)
    tly_group_lookup_clear(fold->lookup);
  for (uint32_t s = 0; s < fold->set_count; s++) {
    struct distinct_set *set = &fold->sets[s];
    TLY_ASSERT(tly_group_table_count(set->table) == 0 && tly_group_table_epoch(set->table) != set->epoch);
    set->epoch = tly_group_table_epoch(set->table);
    tly_key_coder_clear(set->coder);
    tly_group_lookup_clear(set->lookup);
  }
}

void tly_fold_sort(tly_fold *fold) {
  renew(fold);
  if (fold->order != NULL)
    return;
  fold->order = tly_key_order_new(fold->coders, fold->program->view->key_count, fold->lookup,
                                  (uint32_t)tly_group_table_count(fold->table));
  for (uint32_t s = 0; s < fold->set_count; s++)
    tly_group_lookup_clear(fold->sets[s].lookup);
}

const struct tly_view_program *tly_fold_program(const tly_fold *fold) {
  return fold->program;
}

const tly_key_order *tly_fold_order(const tly_fold *fold) {
  TLY_ASSERT(fold->order != NULL);
  return fold->order;
}

/* The groups of part 0, for their table. */
static enum tly_status drain_groups(void *context, uint32_t slice_groups, tly_group_slice_visit visit,
                                    void *visit_context, struct tly_error *error) {
  tly_fold *fold = context;
  const struct tly_text open_bound = {.data = NULL};
  const struct tly_group_slice *slice;
  enum tly_status status;
  tly_fold_sort(fold);
  tly_fold_union *alone = tly_fold_union_new(&fold, 1);
  tly_fold_cursor *cursor = tly_fold_cursor_new(alone, open_bound, open_bound, slice_groups);
  struct tly_group_source source = tly_fold_cursor_source(cursor);
  while ((status = source.next(source.context, &slice, error)) == TLY_OK && slice != NULL)
    if ((status = visit(visit_context, slice, error)) != TLY_OK)
      break;
  tly_fold_cursor_free(cursor);
  tly_fold_union_free(alone);
  return status;
}

/* --- making ------------------------------------------------------------------------------------------------------- */

/* A column that is never NULL has a value in the very rows that count(*) counts, and evaluating it raises nothing. */
static bool counts_rows(const struct tly_expr *argument) {
  return argument == NULL || (argument->kind == TLY_EXPR_COLUMN && !argument->nullable);
}

static bool can_share(const struct feed *feed, const struct tly_component *component) {
  if (feed->filter != component->filter)
    return false;
  if (feed->argument == component->argument)
    return true;
  return (feed->argument == NULL || component->argument == NULL) && counts_rows(feed->argument) &&
         counts_rows(component->argument);
}

static void add_to_feed(tly_fold *fold, uint32_t number) {
  const struct tly_component *component = &fold->program->components[number];
  struct feed *feed = fold->feeds;
  while (feed < fold->feeds + fold->feed_count && !can_share(feed, component))
    feed++;
  if (feed == fold->feeds + fold->feed_count) {
    fold->feed_count++;
    feed->filter = component->filter;
    feed->components = tly_calloc(fold->program->component_count, sizeof *feed->components);
    feed->fields = tly_calloc(fold->program->component_count, sizeof *feed->fields);
  }
  if (component->argument != NULL)
    feed->argument = component->argument;
  feed->components[feed->component_count++] = number;
}

static uint64_t *new_words(void) {
  return tly_calloc(TLY_EVALUATE_ROWS, sizeof(uint64_t));
}

static void make_keys(tly_fold *fold) {
  const struct tly_view *view = fold->program->view;
  fold->keys = tly_calloc(view->key_count, sizeof *fold->keys);
  /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant */
  fold->coders = tly_calloc(view->key_count, sizeof *fold->coders);
  fold->words = tly_calloc(view->key_count * (size_t)TLY_KEY_WORDS_MAX, sizeof *fold->words);
  fold->key_words = tly_calloc(view->key_count, sizeof *fold->key_words);
  fold->bounds = tly_calloc(view->key_count * (size_t)TLY_KEY_WORDS_MAX, sizeof *fold->bounds);
  for (uint32_t k = 0; k < view->key_count; k++) {
    fold->coders[k] = tly_key_coder_new(view->keys[k]);
    fold->key_words[k] = fold->words + fold->word_count;
    for (uint32_t w = 0; w < tly_key_coder_word_count(fold->coders[k]); w++)
      fold->words[fold->word_count++] = new_words();
  }
  fold->table = tly_group_table_new_numbered(fold->program, drain_groups, fold);
  fold->epoch = tly_group_table_epoch(fold->table);
  if (view->key_count > 0)
    fold->lookup = tly_group_lookup_new(fold->word_count);
}

static void make_set(tly_fold *fold, uint32_t part, struct distinct_set *set) {
  set->part = &fold->program->parts[part];
  set->coder = tly_key_coder_new(set->part->distinct);
  uint32_t word_count = 1 + tly_key_coder_word_count(set->coder);
  for (uint32_t w = 0; w < word_count; w++)
    set->words[w] = new_words();
  set->table = tly_group_table_new(fold->program, part);
  set->epoch = tly_group_table_epoch(set->table);
  set->lookup = tly_group_lookup_new(word_count);
}

tly_fold *tly_fold_new(const struct tly_view_program *program) {
  tly_fold *fold = tly_calloc(1, sizeof *fold);
  fold->program = program;
  fold->evaluator = tly_evaluator_new();
  tly_arena_init(&fold->scratch);
  fold->columns = tly_calloc(program->view->stream->column_count, sizeof *fold->columns);
  make_keys(fold);
  fold->feeds = tly_calloc(program->component_count, sizeof *fold->feeds);
  for (uint32_t c = 0; c < program->component_count; c++)
    add_to_feed(fold, c);
  fold->set_count = program->part_count - 1;
  fold->sets = tly_calloc(fold->set_count, sizeof *fold->sets);
  for (uint32_t s = 0; s < fold->set_count; s++)
    make_set(fold, s + 1, &fold->sets[s]);
  return fold;
}

static void free_set(struct distinct_set *set) {
  tly_group_lookup_free(set->lookup);
  tly_group_table_free(set->table);
  tly_key_coder_free(set->coder);
  for (uint32_t w = 0; w < 1 + TLY_KEY_WORDS_MAX; w++)
    tly_free(set->words[w]);
}

void tly_fold_free(tly_fold *fold) {
  if (fold == NULL)
    return;
  for (uint32_t s = 0; s < fold->set_count; s++)
    free_set(&fold->sets[s]);
  tly_free(fold->sets);
  for (uint32_t f = 0; f < fold->feed_count; f++) {
    tly_free(fold->feeds[f].components);
    tly_free(fold->feeds[f].fields);
  }
  tly_free(fold->feeds);
  tly_key_order_free(fold->order);
  tly_group_lookup_free(fold->lookup);
  tly_group_table_free(fold->table);
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    tly_key_coder_free(fold->coders[k]);
  for (uint32_t w = 0; w < fold->word_count; w++)
    tly_free(fold->words[w]);
  tly_free(fold->words);
  tly_free(fold->key_words);
  tly_free(fold->bounds);
  tly_free(fold->coders);
  tly_free(fold->keys);
  tly_free(fold->columns);
  tly_arena_free(&fold->scratch);
  tly_evaluator_free(fold->evaluator);
  tly_free(fold);
}

/* --- 1: evaluate -------------------------------------------------------------------------------------------------- */

/* Rows [first, first + count) of `vector` as rows 0 .. count-1. */
static struct tly_vector window_of(const struct tly_vector *vector, uint32_t first, uint32_t count) {
  struct tly_vector window = *vector;
  size_t size = tly_form_size(tly_type_form(vector->type));
  TLY_ASSERT(!vector->is_constant && first + count <= vector->count);
  window.count = count;
  window.null = vector->null == NULL ? NULL : vector->null + first;
  window.codes = vector->codes == NULL ? NULL : vector->codes + first;
  if (vector->codes == NULL)
    window.i64 = (int64_t *)(void *)((char *)vector->i64 + first * size);
  return window;
}

static void take_columns(tly_fold *fold, const struct tly_event_batch *batch, uint32_t first, uint32_t count) {
  for (uint32_t c = 0; c < batch->stream->column_count; c++) {
    if (fold->program->column_used[c])
      fold->columns[c] = window_of(&batch->columns[c], first, count);
  }
}

static struct tly_rows filter_rows(tly_fold *fold, const struct tly_expr *condition, struct tly_rows rows) {
  return condition == NULL ? rows : tly_evaluate_condition(fold->evaluator, condition, rows);
}

/* The rows of `rows` where `vector` is not NULL. */
static struct tly_rows present_rows(tly_fold *fold, const struct tly_vector *vector, struct tly_rows rows) {
  if (vector->null == NULL)
    return rows;
  if (vector->is_constant)
    return vector->null[0] == 0 ? rows : (struct tly_rows){.list = rows.list, .count = 0};
  uint32_t *list = tly_evaluator_list(fold->evaluator), count = 0;
  TLY_EACH_ROW (rows, row) {
    list[count] = row;
    count += vector->null[row] == 0;
  }
  return (struct tly_rows){.list = list, .count = count};
}

/* `filter` and `argument` (or NULL) for `rows`: the argument's values and the rows that have one. */
static struct tly_rows evaluate_pair(tly_fold *fold, const struct tly_expr *filter, const struct tly_expr *argument,
                                     struct tly_rows rows, struct tly_vector *values) {
  rows = filter_rows(fold, filter, rows);
  if (argument == NULL)
    return rows;
  tly_evaluate_node(fold->evaluator, argument, rows, values);
  return present_rows(fold, values, tly_evaluator_live(fold->evaluator, rows));
}

/* Everything that can raise, in written order; gives the rows that WHERE lets through and that did not raise. */
static struct tly_rows evaluate_piece(tly_fold *fold, uint32_t count) {
  const struct tly_view *view = fold->program->view;
  struct tly_rows rows = filter_rows(fold, view->where, (struct tly_rows){.list = NULL, .count = count});
  for (uint32_t k = 0; k < view->key_count; k++)
    tly_evaluate_node(fold->evaluator, view->keys[k], rows, &fold->keys[k]);
  for (uint32_t f = 0; f < fold->feed_count; f++) {
    struct feed *feed = &fold->feeds[f];
    feed->rows = evaluate_pair(fold, feed->filter, feed->argument, rows, &feed->values);
    for (uint32_t c = 0; feed->argument != NULL && c < feed->component_count; c++)
      tly_fold_check_summands(fold->evaluator, &fold->program->components[feed->components[c]], &feed->values,
                              feed->rows);
  }
  for (uint32_t s = 0; s < fold->set_count; s++) {
    struct distinct_set *set = &fold->sets[s];
    set->rows = evaluate_pair(fold, set->part->filter, set->part->distinct, rows, &set->values);
  }
  return tly_evaluator_live(fold->evaluator, rows);
}

/* --- 2: code ------------------------------------------------------------------------------------------------------ */

static size_t key_size(const tly_fold *fold, uint32_t row) {
  size_t size = 0;
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    size += tly_key_coder_size(fold->coders[k], fold->key_words[k][0][row]);
  return size;
}

/* Only where an interned value is so large that several could make a key too long are sizes added up. */
static bool has_large(const tly_fold *fold) {
  size_t largest = 0;
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    largest += tly_key_coder_largest(fold->coders[k]);
  for (uint32_t s = 0; s < fold->set_count; s++)
    largest += tly_key_coder_largest(fold->sets[s].coder);
  return largest > TLY_KEY_BYTES_MAX / 2;
}

static void raise_large_keys(tly_fold *fold, struct tly_rows rows) {
  const char *words = "a group key is too long";
  TLY_EACH_ROW (rows, row) {
    if (key_size(fold, row) > TLY_KEY_BYTES_MAX)
      tly_evaluator_raise(fold->evaluator, row, TLY_E_TOO_LARGE, words);
  }
  for (uint32_t s = 0; s < fold->set_count; s++) {
    const struct distinct_set *set = &fold->sets[s];
    TLY_EACH_ROW (set->rows, row) {
      if (key_size(fold, row) + tly_key_coder_size(set->coder, set->words[1][row]) > TLY_KEY_BYTES_MAX)
        tly_evaluator_raise(fold->evaluator, row, TLY_E_TOO_LARGE, words);
    }
  }
}

static struct tly_rows code_piece(tly_fold *fold, struct tly_rows rows) {
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    tly_key_coder_code(fold->coders[k], &fold->keys[k], rows, fold->key_words[k]);
  for (uint32_t s = 0; s < fold->set_count; s++) {
    struct distinct_set *set = &fold->sets[s];
    set->rows = tly_evaluator_live(fold->evaluator, set->rows);
    tly_key_coder_code(set->coder, &set->values, set->rows, set->words + 1);
  }
  if (has_large(fold)) {
    raise_large_keys(fold, rows);
    rows = tly_evaluator_live(fold->evaluator, rows);
  }
  return rows;
}

/* --- 3: look up --------------------------------------------------------------------------------------------------- */

/* What is known of a coder's words: bounds[w] as group_lookup.h wants it. */
static uint32_t bound_words(const tly_key_coder *coder, uint64_t *bounds) {
  for (uint32_t w = 0; w < tly_key_coder_word_count(coder); w++)
    bounds[w] = tly_key_coder_is_interned(coder) ? tly_key_coder_count(coder) : 0;
  return tly_key_coder_word_count(coder);
}

static void find_groups(tly_fold *fold, struct tly_rows rows) {
  if (fold->lookup != NULL) {
    for (uint32_t k = 0, w = 0; k < fold->program->view->key_count; k++)
      w += bound_words(fold->coders[k], fold->bounds + w);
    tly_group_lookup_find(fold->lookup, fold->words, fold->bounds, rows, fold->groups);
    tly_group_table_extend(fold->table, tly_group_lookup_count(fold->lookup));
    return;
  }
  tly_group_table_extend(fold->table, 1);
  TLY_EACH_ROW (rows, row)
    fold->groups[row] = 0;
}

static void append_value(const tly_key_coder *coder, uint64_t *const *words, uint32_t row, struct tly_buffer *key) {
  uint64_t tuple[TLY_KEY_WORDS_MAX];
  for (uint32_t w = 0; w < tly_key_coder_word_count(coder); w++)
    tuple[w] = words[w][row];
  tly_key_coder_append(coder, tuple, key);
}

/* A row whose member is new has the words of its key at hand. */
static void add_member(const tly_fold *fold, struct distinct_set *set, uint32_t row, struct tly_buffer *key) {
  tly_buffer_clear(key);
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    append_value(fold->coders[k], fold->key_words[k], row, key);
  append_value(set->coder, set->words + 1, row, key);
  tly_group_table_append(set->table, key->data, key->size);
}

static void add_to_set(const tly_fold *fold, struct distinct_set *set) {
  uint32_t members[TLY_EVALUATE_ROWS];
  uint64_t bounds[1 + TLY_KEY_WORDS_MAX];
  struct tly_buffer key = {0};
  TLY_EACH_ROW (set->rows, row)
    set->words[0][row] = fold->groups[row];
  bounds[0] = tly_group_table_count(fold->table);
  bound_words(set->coder, bounds + 1);
  tly_group_lookup_find(set->lookup, set->words, bounds, set->rows, members);
  TLY_EACH_ROW (set->rows, row)
    if (members[row] == tly_group_table_count(set->table))
      add_member(fold, set, row, &key);
  tly_buffer_free(&key);
}

/* --- 4: apply, and the whole -------------------------------------------------------------------------------------- */

static void apply_piece(tly_fold *fold, struct tly_rows rows) {
  find_groups(fold, rows);
  struct tly_arena *values = tly_group_table_values(fold->table);
  for (uint32_t f = 0; f < fold->feed_count; f++) {
    struct feed *feed = &fold->feeds[f];
    feed->rows = tly_evaluator_live(fold->evaluator, feed->rows);
    for (uint32_t c = 0; c < feed->component_count; c++)
      feed->fields[c] = tly_group_table_field(fold->table, feed->components[c]);
    const struct tly_feed_states states = {.components = fold->program->components,
                                           .numbers = feed->components,
                                           .fields = feed->fields,
                                           .count = feed->component_count,
                                           .are_far = tly_group_table_is_far(fold->table)};
    tly_fold_apply(&states, feed->argument == NULL ? NULL : &feed->values, feed->rows, fold->groups, values,
                   &fold->scratch);
  }
  for (uint32_t s = 0; s < fold->set_count; s++) {
    fold->sets[s].rows = tly_evaluator_live(fold->evaluator, fold->sets[s].rows);
    add_to_set(fold, &fold->sets[s]);
  }
  tly_group_table_compact(fold->table);
}

static void report_set_aside(const tly_fold *fold, uint32_t first, uint32_t count, tly_set_aside_visit visit,
                             void *context) {
  if (visit == NULL || tly_evaluate_error_count(fold->evaluator) == 0)
    return;
  for (uint32_t row = 0; row < count; row++) {
    const struct tly_row_error *error = tly_evaluate_error(fold->evaluator, row);
    if (error != NULL)
      visit(context, first + row, error);
  }
}

static void fold_piece(tly_fold *fold, const struct tly_event_batch *batch, uint32_t first, uint32_t count,
                       tly_set_aside_visit visit, void *context) {
  tly_evaluator_reset(fold->evaluator);
  tly_arena_reset(&fold->scratch);
  take_columns(fold, batch, first, count);
  struct tly_evaluate_input input = {.row_count = count, .columns = fold->columns};
  tly_evaluate_begin(fold->evaluator, &input);
  struct tly_rows rows = code_piece(fold, evaluate_piece(fold, count));
  uint32_t set_aside = tly_evaluate_error_count(fold->evaluator);
  if (rows.count > 0)
    apply_piece(fold, rows);
  report_set_aside(fold, first, count, visit, context);
  fold->counts.folded += rows.count;
  fold->counts.set_aside += set_aside;
  fold->counts.filtered += count - rows.count - set_aside;
  tly_evaluator_reset(fold->evaluator);
}

void tly_fold_batch(tly_fold *fold, const struct tly_event_batch *batch, tly_set_aside_visit visit, void *context) {
  TLY_ASSERT(batch->stream->column_count == fold->program->view->stream->column_count);
  renew(fold);
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    tly_key_coder_begin(fold->coders[k]);
  for (uint32_t s = 0; s < fold->set_count; s++)
    tly_key_coder_begin(fold->sets[s].coder);
  for (uint32_t first = 0; first < batch->count; first += TLY_EVALUATE_ROWS) {
    uint32_t left = batch->count - first;
    fold_piece(fold, batch, first, left < TLY_EVALUATE_ROWS ? left : TLY_EVALUATE_ROWS, visit, context);
  }
  fold->given += batch->count;
  check_invariants(fold);
}

tly_group_table *tly_fold_part(tly_fold *fold, uint32_t part) {
  TLY_ASSERT(part < fold->program->part_count);
  return part == 0 ? fold->table : fold->sets[part - 1].table;
}

struct tly_fold_counts tly_fold_counts(const tly_fold *fold) {
  return fold->counts;
}

void tly_fold_clear(tly_fold *fold) {
  tly_group_table_clear(fold->table);
  for (uint32_t s = 0; s < fold->set_count; s++)
    tly_group_table_clear(fold->sets[s].table);
  fold->counts = (struct tly_fold_counts){.folded = 0};
  fold->given = 0;
}

size_t tly_fold_bytes(const tly_fold *fold) {
  size_t bytes = tly_group_table_bytes(fold->table) + tly_group_table_count(fold->table) * sizeof(struct tly_sort_item);
  if (fold->lookup != NULL)
    bytes += tly_group_lookup_bytes(fold->lookup);
  for (uint32_t k = 0; k < fold->program->view->key_count; k++)
    bytes += tly_key_coder_bytes(fold->coders[k]);
  for (uint32_t s = 0; s < fold->set_count; s++)
    bytes += tly_group_table_bytes(fold->sets[s].table) + tly_group_lookup_bytes(fold->sets[s].lookup) +
             tly_key_coder_bytes(fold->sets[s].coder);
  return bytes;
}
