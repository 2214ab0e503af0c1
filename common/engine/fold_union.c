/* Each fold has its groups sorted by ranks of its own (key_order.h). Here the columns of all folds get common ranks:
 * the distinct values of interned columns are merged, integers get the least base and shift of all. A fold's rank is
 * carried over column by column, which keeps the order, so the union is a merge of sorted lists of numbers.
 *
 * One fold alone needs no carrying over, and may have its keys wide (encoded and sorted as such).
 *
 * A slice is made in three steps: merge numbers and write keys; copy the states, whose memory was asked for before;
 * merge the states of groups that several folds have. */
#include "common/engine/fold_union.h"

#include <string.h>

#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/fold_access.h"
#include "common/engine/group_access.h"
#include "common/engine/group_state.h"
#include "common/engine/key_order.h"
#include "common/value/ordered_key.h"

enum { KEY_CHUNK_BYTES = 32 << 10, PREFETCH_AHEAD = 16, TOO_MANY_BITS = 65 };

/* A column's ranks over all folds. */
struct union_column {
  const struct tly_rank_column *first; /* of the first fold: what all have alike */
  const struct tly_text *texts;        /* interned: encoded values by rank; else NULL: */
  struct tly_text *own_texts;          /* what `texts` points to, where several folds' are merged */
  uint64_t base, null_rank;
  unsigned shift;
  unsigned bits, at;
};

struct union_source {
  const tly_key_order *order;
  const tly_group_table *table;
  uint32_t **ranks; /* a column: common ranks of interned columns by the fold's, else NULL */
};

struct tly_fold_union {
  const struct tly_view_program *program;
  uint32_t column_count, source_count;
  struct union_column *columns;
  struct union_source *sources;
};

/* --- common ranks ------------------------------------------------------------------------------------------------- */

/* Where the merge of one column's texts stands in a source. */
struct text_head {
  const struct tly_text *next, *end;
  uint32_t *ranks; /* of `next`: where its common rank goes */
};

static struct text_head open_texts(struct union_source *source, uint32_t column) {
  const struct tly_rank_column *own = &source->order->columns[column];
  source->ranks[column] = tly_malloc((own->text_count + 1) * sizeof(uint32_t));
  return (struct text_head){.next = own->texts, .end = own->texts + own->text_count, .ranks = source->ranks[column]};
}

/* The heads that stand on the least text, into `on_least`; gives how many, 0 at the end. */
static uint32_t find_least(const struct text_head *heads, uint32_t count, uint32_t *on_least) {
  const struct tly_text *least = NULL;
  uint32_t found = 0;
  for (uint32_t h = 0; h < count; h++) {
    const struct tly_text *text = heads[h].next;
    if (text == heads[h].end)
      continue;
    int order = least == NULL ? -1 : tly_key_compare(text->data, text->size, least->data, least->size);
    if (order > 0)
      continue;
    found = order < 0 ? 0 : found;
    least = text;
    on_least[found++] = h;
  }
  return found;
}

static void take_text(struct text_head *head, uint32_t rank) {
  *head->ranks++ = rank;
  head->next++;
  if (head->end - head->next > PREFETCH_AHEAD)
    __builtin_prefetch(head->next[PREFETCH_AHEAD].data);
}

/* Merge the sorted texts of all sources; the least of those not taken yet gets the next rank. */
static void merge_texts(tly_fold_union *all, uint32_t number) {
  struct union_column *column = &all->columns[number];
  struct text_head *heads = tly_calloc(all->source_count, sizeof *heads);
  uint32_t *on_least = tly_calloc(all->source_count, sizeof *on_least), rank = 0, found;
  size_t most = 1;
  for (uint32_t s = 0; s < all->source_count; s++) {
    heads[s] = open_texts(&all->sources[s], number);
    most += (size_t)(heads[s].end - heads[s].next);
  }
  column->own_texts = tly_malloc(most * sizeof *column->own_texts);
  for (; (found = find_least(heads, all->source_count, on_least)) > 0; rank++) {
    column->own_texts[rank] = *heads[on_least[0]].next;
    for (uint32_t i = 0; i < found; i++)
      take_text(&heads[on_least[i]], rank);
  }
  tly_free(on_least);
  tly_free(heads);
  column->texts = column->own_texts;
  column->bits = tly_rank_bits(rank > 0 ? rank - 1 : 0);
}

/* Of one fold alone. */
static void take_texts(struct union_column *column) {
  column->texts = column->first->texts;
  column->bits = column->first->bits;
}

/* The least base and shift under which the values of all sources have ranks. */
static void join_values(tly_fold_union *all, uint32_t number) {
  struct union_column *column = &all->columns[number];
  uint64_t least = UINT64_MAX, most = 0, differing = 0, any = 0;
  bool has_value = false, has_null = false;
  for (uint32_t s = 0; s < all->source_count; s++) {
    const struct tly_rank_column *own = &all->sources[s].order->columns[number];
    has_null |= own->has_null;
    if (!own->has_value)
      continue;
    any = has_value ? any : own->base;
    has_value = true;
    uint64_t last = own->base + (own->most << own->shift);
    least = own->base < least ? own->base : least;
    most = last > most ? last : most;
    differing |= (own->base ^ any) | (own->most > 0 ? UINT64_C(1) << own->shift : 0);
  }
  column->base = has_value ? least : 0;
  column->shift = differing != 0 ? (unsigned)__builtin_ctzll(differing) : 0;
  uint64_t range = has_value ? (most - least) >> column->shift : 0;
  column->null_rank = has_value ? range + 1 : 0;
  column->bits = has_null && range == UINT64_MAX ? TOO_MANY_BITS : tly_rank_bits(has_null ? column->null_rank : range);
}

static bool place_columns(tly_fold_union *all) {
  unsigned at = 0;
  for (uint32_t c = all->column_count; c-- > 0;) {
    all->columns[c].at = at;
    at += all->columns[c].bits;
    if (at > 64)
      return false;
  }
  return true;
}

static void rank_columns(tly_fold_union *all) {
  for (uint32_t c = 0; c < all->column_count; c++) {
    all->columns[c].first = &all->sources[0].order->columns[c];
    if (all->columns[c].first->is_interned && all->source_count == 1)
      take_texts(&all->columns[c]);
    else if (all->columns[c].first->is_interned)
      merge_texts(all, c);
    else
      join_values(all, c);
  }
}

static bool is_wide(const tly_fold_union *all) {
  return all->source_count == 1 && all->sources[0].order->is_wide;
}

tly_fold_union *tly_fold_union_new(tly_fold *const *folds, uint32_t fold_count) {
  TLY_ASSERT(fold_count > 0);
  tly_fold_union *all = tly_calloc(1, sizeof *all);
  all->program = tly_fold_program(folds[0]);
  all->column_count = all->program->view->key_count;
  all->source_count = fold_count;
  all->columns = tly_calloc(all->column_count, sizeof *all->columns);
  all->sources = tly_calloc(fold_count, sizeof *all->sources);
  bool can_rank = true;
  for (uint32_t s = 0; s < fold_count; s++) {
    struct union_source *source = &all->sources[s];
    source->order = tly_fold_order(folds[s]);
    source->table = tly_fold_part(folds[s], 0);
    source->ranks = tly_calloc(all->column_count, sizeof(uint32_t *));
    can_rank &= !source->order->is_wide;
  }
  if (is_wide(all))
    return all;
  if (can_rank)
    rank_columns(all);
  if (can_rank && place_columns(all))
    return all;
  tly_fold_union_free(all);
  return NULL;
}

void tly_fold_union_free(tly_fold_union *all) {
  if (all == NULL)
    return;
  for (uint32_t s = 0; s < all->source_count; s++) {
    for (uint32_t c = 0; c < all->column_count; c++)
      tly_free(all->sources[s].ranks[c]);
    tly_free(all->sources[s].ranks);
  }
  for (uint32_t c = 0; c < all->column_count; c++)
    tly_free(all->columns[c].own_texts);
  tly_free(all->columns);
  tly_free(all->sources);
  tly_free(all);
}

uint64_t tly_fold_union_count(const tly_fold_union *all) {
  uint64_t count = 0;
  for (uint32_t s = 0; s < all->source_count; s++)
    count += all->sources[s].order->count;
  return count;
}

/* --- ranks and keys ----------------------------------------------------------------------------------------------- */

static uint64_t low_bits(uint64_t word, unsigned bits) {
  return bits == 64 ? word : word & ((UINT64_C(1) << bits) - 1);
}

static uint64_t rank_of_column(uint64_t rank, unsigned bits, unsigned at) {
  return bits == 0 ? 0 : low_bits(rank >> at, bits);
}

/* Whether two ranks have all columns down to the one at `at` in common. */
static bool agree(uint64_t a, uint64_t b, unsigned at) {
  return at == 64 || (a ^ b) >> at == 0;
}

/* The common rank of a source's group. */
static uint64_t common_rank(const tly_fold_union *all, const struct union_source *source, uint32_t index) {
  uint64_t own_rank = source->order->groups[index].word, rank = 0;
  if (all->source_count == 1) /* what is common is its own */
    return own_rank;
  for (uint32_t c = 0; c < all->column_count; c++) {
    const struct union_column *column = &all->columns[c];
    const struct tly_rank_column *own = &source->order->columns[c];
    if (column->bits == 0)
      continue;
    uint64_t value = rank_of_column(own_rank, own->bits, own->at);
    if (column->texts != NULL)
      value = source->ranks[c][value];
    else if (own->has_null && value == own->null_rank)
      value = column->null_rank;
    else
      value = (own->base - column->base + (value << own->shift)) >> column->shift;
    rank |= value << column->at;
  }
  return rank;
}

/* Keys are written one after the other in their order, so that the columns a key shares with the one before it stay. */
struct key_writer {
  const tly_fold_union *all;
  struct tly_buffer key;
  size_t *ends; /* of each column in `key` */
  uint64_t rank;
  bool has_key;
};

static void begin_keys(struct key_writer *writer, const tly_fold_union *all) {
  *writer = (struct key_writer){.all = all, .ends = tly_calloc(all->column_count, sizeof(size_t))};
}

static void end_keys(struct key_writer *writer) {
  tly_buffer_free(&writer->key);
  tly_free(writer->ends);
}

static void append_value(const struct union_column *column, uint64_t rank, struct tly_buffer *key) {
  if (column->texts != NULL) {
    tly_buffer_append(key, column->texts[rank].data, column->texts[rank].size);
    return;
  }
  enum tly_form form = tly_type_form(tly_key_coder_type(column->first->coder));
  uint64_t value = tly_rank_word(form, column->base + (rank << column->shift));
  bool is_nullable = tly_key_coder_word_count(column->first->coder) > 1;
  uint64_t words[TLY_KEY_WORDS_MAX] = {value, is_nullable && rank == column->null_rank};
  tly_key_coder_append(column->first->coder, words, key);
}

static struct tly_text write_key(struct key_writer *writer, uint64_t rank) {
  const tly_fold_union *all = writer->all;
  if (is_wide(all))
    return tly_key_record_text(all->sources[0].order->records[rank]);
  uint32_t c = 0;
  while (writer->has_key && c < all->column_count && agree(rank, writer->rank, all->columns[c].at))
    c++;
  writer->key.size = c == 0 ? 0 : writer->ends[c - 1];
  for (; c < all->column_count; c++) {
    append_value(&all->columns[c], rank_of_column(rank, all->columns[c].bits, all->columns[c].at), &writer->key);
    writer->ends[c] = writer->key.size;
  }
  writer->rank = rank;
  writer->has_key = true;
  return (struct tly_text){.data = writer->key.data != NULL ? (const char *)writer->key.data : "",
                           .size = (uint32_t)writer->key.size};
}

/* The first group of a source whose key is not below `key`. */
static uint32_t lower_bound(const struct union_source *source, struct key_writer *writer, struct tly_text key) {
  uint32_t low = 0, high = source->order->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    struct tly_text there = write_key(writer, common_rank(writer->all, source, middle));
    if (tly_key_compare(there.data, there.size, key.data, key.size) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* --- merging ------------------------------------------------------------------------------------------------------ */

/* Where a merge stands in one source. */
struct head {
  uint64_t rank;
  uint32_t source, next, end;
};

struct heads {
  struct head *items; /* those with groups left */
  uint32_t count;
};

static struct heads open_heads(const tly_fold_union *all, struct key_writer *writer, struct tly_text low,
                               struct tly_text high) {
  struct heads heads = {.items = tly_calloc(all->source_count, sizeof *heads.items)};
  for (uint32_t s = 0; s < all->source_count; s++) {
    const struct union_source *source = &all->sources[s];
    struct head head = {.source = s, .next = low.data != NULL ? lower_bound(source, writer, low) : 0};
    head.end = high.data != NULL ? lower_bound(source, writer, high) : source->order->count;
    if (head.next >= head.end)
      continue;
    head.rank = common_rank(all, source, head.next);
    heads.items[heads.count++] = head;
  }
  return heads;
}

static struct head *least_head(const struct heads *heads) {
  struct head *least = heads->items;
  for (uint32_t h = 1; h < heads->count; h++)
    if (heads->items[h].rank < least->rank)
      least = &heads->items[h];
  return least;
}

static void advance(const tly_fold_union *all, struct heads *heads, struct head *head) {
  if (++head->next < head->end)
    head->rank = common_rank(all, &all->sources[head->source], head->next);
  else
    *head = heads->items[--heads->count];
}

void tly_fold_union_quantile(const tly_fold_union *all, uint32_t part, uint32_t parts, struct tly_buffer *key) {
  struct key_writer writer;
  const struct union_source *largest = &all->sources[0];
  for (uint32_t s = 1; s < all->source_count; s++)
    if (all->sources[s].order->count > largest->order->count)
      largest = &all->sources[s];
  TLY_ASSERT(largest->order->count > 0 && part < parts);
  begin_keys(&writer, all);
  uint32_t index = (uint32_t)((uint64_t)largest->order->count * part / parts);
  struct tly_text text = write_key(&writer, common_rank(all, largest, index));
  tly_buffer_append(key, text.data, text.size);
  end_keys(&writer);
}

bool tly_fold_union_find(const tly_fold_union *all, struct tly_text low, bool (*test)(struct tly_text key),
                         struct tly_buffer *key) {
  struct key_writer writer;
  bool found = false;
  begin_keys(&writer, all);
  struct heads heads = open_heads(all, &writer, low, (struct tly_text){.data = NULL});
  while (heads.count > 0 && !found) {
    struct head *head = least_head(&heads);
    struct tly_text text = write_key(&writer, head->rank);
    found = test(text);
    if (found)
      tly_buffer_append(key, text.data, text.size);
    advance(all, &heads, head);
  }
  tly_free(heads.items);
  end_keys(&writer);
  return found;
}

/* --- slices ------------------------------------------------------------------------------------------------------- */

/* A group of one source, and the row of the slice it goes to. */
struct pick {
  uint32_t source, group, row;
};

struct tly_fold_cursor {
  const tly_fold_union *all;
  uint32_t slice_groups;
  struct key_writer writer;
  struct heads heads;
  struct tly_group_slice slice;
  struct pick *firsts; /* slice_groups of them: the first group of each row */
  struct pick *others; /* groups that meet one in their row */
  uint32_t other_count, other_capacity;
  struct tly_arena arena;
  struct tly_state_column *seen; /* shows one group at a time */
  char *key_place, *key_end;
};

tly_fold_cursor *tly_fold_cursor_new(const tly_fold_union *all, struct tly_text low, struct tly_text high,
                                     uint32_t slice_groups) {
  tly_fold_cursor *cursor = tly_calloc(1, sizeof *cursor);
  cursor->all = all;
  cursor->slice_groups = slice_groups;
  begin_keys(&cursor->writer, all);
  cursor->heads = open_heads(all, &cursor->writer, low, high);
  tly_group_slice_init(&cursor->slice, all->program, 0);
  cursor->firsts = tly_malloc(slice_groups * sizeof *cursor->firsts);
  tly_arena_init(&cursor->arena);
  cursor->seen = tly_states_new(all->program, 0, &cursor->arena);
  return cursor;
}

void tly_fold_cursor_free(tly_fold_cursor *cursor) {
  if (cursor == NULL)
    return;
  tly_group_slice_free(&cursor->slice);
  end_keys(&cursor->writer);
  tly_free(cursor->heads.items);
  tly_free(cursor->firsts);
  tly_free(cursor->others);
  tly_arena_free(&cursor->arena);
  tly_free(cursor);
}

/* A key of one interned column is its value's text, which stays where it is. */
static bool keys_are_texts(const tly_fold_union *all) {
  return all->column_count == 1 && all->columns[0].texts != NULL;
}

static struct tly_text keep_key(tly_fold_cursor *cursor, struct tly_text key) {
  if ((size_t)(cursor->key_end - cursor->key_place) < key.size) {
    size_t size = key.size > KEY_CHUNK_BYTES ? key.size : KEY_CHUNK_BYTES;
    cursor->key_place = tly_arena_alloc(&cursor->slice.arena, size);
    cursor->key_end = cursor->key_place + size;
  }
  struct tly_text kept = {.data = cursor->key_place, .size = key.size};
  if (key.size > 0)
    memcpy(cursor->key_place, key.data, key.size);
  cursor->key_place += key.size;
  return kept;
}

static struct pick pick_of(const tly_fold_union *all, const struct head *head, uint32_t row) {
  const struct union_source *source = &all->sources[head->source];
  return (struct pick){
      .source = head->source, .group = (uint32_t)source->order->groups[head->next].payload, .row = row};
}

static void pick_other(tly_fold_cursor *cursor, struct pick pick) {
  if (cursor->other_count == cursor->other_capacity) {
    cursor->other_capacity += cursor->slice_groups;
    cursor->others = tly_realloc_array(cursor->others, cursor->other_capacity, sizeof *cursor->others);
  }
  cursor->others[cursor->other_count++] = pick;
}

static size_t text_bytes(const tly_fold_cursor *cursor, struct pick pick) {
  const tly_group_table *table = cursor->all->sources[pick.source].table;
  if (!tly_group_table_has_texts(table))
    return 0;
  tly_group_table_show(table, pick.group, cursor->seen);
  return tly_states_text_bytes(cursor->all->program, 0, cursor->seen, 0);
}

static void pick_groups(tly_fold_cursor *cursor) {
  const tly_fold_union *all = cursor->all;
  struct tly_group_slice *slice = &cursor->slice;
  size_t bytes = 0;
  while (cursor->heads.count > 0 && slice->count < cursor->slice_groups && bytes < TLY_SLICE_BYTES_MAX) {
    struct head *head = least_head(&cursor->heads);
    uint64_t rank = head->rank;
    uint32_t row = slice->count++;
    cursor->firsts[row] = pick_of(all, head, row);
    slice->keys[row] = keys_are_texts(all)
                           ? all->columns[0].texts[rank_of_column(rank, all->columns[0].bits, all->columns[0].at)]
                           : keep_key(cursor, write_key(&cursor->writer, rank));
    bytes += slice->keys[row].size + text_bytes(cursor, cursor->firsts[row]);
    advance(all, &cursor->heads, head);
    while (cursor->heads.count > 0 && (head = least_head(&cursor->heads))->rank == rank) {
      pick_other(cursor, pick_of(all, head, row));
      advance(all, &cursor->heads, head);
    }
  }
}

static void prefetch(const tly_fold_cursor *cursor, struct pick pick) {
  __builtin_prefetch(tly_group_table_row(cursor->all->sources[pick.source].table, pick.group));
}

static void gather_states(tly_fold_cursor *cursor) {
  struct tly_group_slice *slice = &cursor->slice;
  for (uint32_t row = 0; row < slice->count; row++) {
    struct pick pick = cursor->firsts[row];
    if (row + PREFETCH_AHEAD < slice->count)
      prefetch(cursor, cursor->firsts[row + PREFETCH_AHEAD]);
    tly_group_table_borrow(cursor->all->sources[pick.source].table, pick.group, slice->states, row);
  }
  for (uint32_t i = 0; i < cursor->other_count; i++) {
    struct pick pick = cursor->others[i];
    if (i + PREFETCH_AHEAD < cursor->other_count)
      prefetch(cursor, cursor->others[i + PREFETCH_AHEAD]);
    tly_group_table_show(cursor->all->sources[pick.source].table, pick.group, cursor->seen);
    tly_states_merge(slice->program, slice->states, pick.row, cursor->seen, 0, &slice->arena);
  }
}

static enum tly_status next_slice(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  tly_fold_cursor *cursor = context;
  struct tly_group_slice *slice = &cursor->slice;
  (void)error;
  tly_group_slice_reset(slice);
  cursor->other_count = 0;
  cursor->key_place = cursor->key_end = NULL;
  *out = NULL;
  if (cursor->heads.count == 0)
    return TLY_OK;
  slice->keys = tly_arena_alloc(&slice->arena, cursor->slice_groups * sizeof *slice->keys);
  tly_states_reserve(slice->program, 0, slice->states, cursor->slice_groups, &slice->arena);
  pick_groups(cursor);
  gather_states(cursor);
  *out = slice;
  return TLY_OK;
}

struct tly_group_source tly_fold_cursor_source(tly_fold_cursor *cursor) {
  return (struct tly_group_source){.next = next_slice, .context = cursor};
}
