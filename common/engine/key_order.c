/* Groups are sorted by numbers, not by keys. Each key column has ranks: an interned column those of its distinct
 * encoded values, which are few; integers and doubles the distance from the least of them, without the low bits that
 * are the same in all (hours in microseconds have thirteen of those, and more when a day's are a multiple of
 * something). The ranks of all columns side by side are a number of 64 bits at most for nearly all views, and sorting
 * numbers by radix costs a few nanoseconds a group where comparing encoded keys costs a cache miss a comparison.
 *
 * What does not fit 64 bits takes the wide way: all keys are encoded and sorted (group_sort.h). */
#include "common/engine/key_order.h"

#include <string.h>

#include "common/base/memory.h"

#define SIGN_BIT (UINT64_C(1) << 63)

enum { TOO_MANY_BITS = 65 };

uint64_t tly_rank_ordered(enum tly_form form, uint64_t word) {
  if (form == TLY_FORM_F64 && (word & SIGN_BIT) != 0)
    return ~word;
  return word ^ SIGN_BIT;
}

uint64_t tly_rank_word(enum tly_form form, uint64_t ordered) {
  if (form == TLY_FORM_F64 && (ordered & SIGN_BIT) == 0)
    return ~ordered;
  return ordered ^ SIGN_BIT;
}

unsigned tly_rank_bits(uint64_t most) {
  return most == 0 ? 0 : 64 - (unsigned)__builtin_clzll(most);
}

/* --- columns ------------------------------------------------------------------------------------------------------ */

static void rank_words(struct tly_rank_column *column) {
  uint32_t count = tly_key_coder_count(column->coder);
  struct tly_key_heap heap = {.last = NULL};
  const uint8_t **records = tly_malloc((count + 1) * sizeof *records);
  for (uint32_t word = 0; word < count; word++)
    records[word] = tly_key_record_new(&heap, word, tly_key_coder_encoded(column->coder, word));
  tly_group_sort(records, count);
  column->own_texts = tly_malloc((count + 1) * sizeof *column->own_texts);
  for (uint32_t rank = 0; rank < count; rank++) {
    uint32_t word = tly_key_record_group(records[rank]);
    column->own_texts[rank] = tly_key_coder_encoded(column->coder, word);
    column->ranks[word] = rank;
  }
  tly_free(records);
  tly_key_heap_clear(&heap);
  column->texts = column->own_texts;
  column->text_count = count;
}

/* Among all values that the coder knows, if it has them in order; else among those that have words. */
static void rank_interned(struct tly_rank_column *column) {
  uint32_t count = tly_key_coder_count(column->coder);
  column->is_interned = true;
  column->ranks = tly_malloc((count + 1) * sizeof *column->ranks);
  column->texts = tly_key_coder_order(column->coder, column->ranks, &column->text_count);
  if (column->texts == NULL)
    rank_words(column);
  column->bits = tly_rank_bits(column->text_count > 0 ? column->text_count - 1 : 0);
}

/* What the values of a column that is not interned have between them. */
struct value_range {
  uint64_t least, most, differing, any;
  bool has_value, has_null;
};

struct range_visit {
  const tly_key_order *order;
  struct value_range *ranges;
};

static enum tly_form form_of(const struct tly_rank_column *column) {
  return tly_type_form(tly_key_coder_type(column->coder));
}

static bool is_null(const struct tly_rank_column *column, const uint64_t *words) {
  return tly_key_coder_word_count(column->coder) > 1 && words[column->first_word + 1] != 0;
}

static void note_range(void *context, uint32_t group, const uint64_t *words) {
  const struct range_visit *visit = context;
  (void)group;
  for (uint32_t c = 0; c < visit->order->column_count; c++) {
    const struct tly_rank_column *column = &visit->order->columns[c];
    struct value_range *range = &visit->ranges[c];
    if (column->is_interned)
      continue;
    if (is_null(column, words)) {
      range->has_null = true;
      continue;
    }
    uint64_t value = tly_rank_ordered(form_of(column), words[column->first_word]);
    if (!range->has_value)
      *range = (struct value_range){
          .least = value, .most = value, .any = value, .has_value = true, .has_null = range->has_null};
    range->least = value < range->least ? value : range->least;
    range->most = value > range->most ? value : range->most;
    range->differing |= value ^ range->any;
  }
}

static void rank_values(struct tly_rank_column *column, const struct value_range *range) {
  column->base = range->least;
  column->shift = range->differing != 0 ? (unsigned)__builtin_ctzll(range->differing) : 0;
  column->most = (range->most - range->least) >> column->shift;
  column->null_rank = range->has_value ? column->most + 1 : 0;
  column->has_value = range->has_value;
  column->has_null = range->has_null;
  bool is_full = range->has_null && column->most == UINT64_MAX; /* no rank is left for NULL */
  column->bits = is_full ? TOO_MANY_BITS : tly_rank_bits(range->has_null ? column->null_rank : column->most);
}

static void rank_columns(tly_key_order *order, const tly_group_lookup *lookup) {
  struct range_visit visit = {.order = order, .ranges = tly_calloc(order->column_count, sizeof *visit.ranges)};
  bool has_values = false;
  for (uint32_t c = 0; c < order->column_count; c++) {
    if (tly_key_coder_is_interned(order->columns[c].coder))
      rank_interned(&order->columns[c]);
    else
      has_values = true;
  }
  if (has_values)
    tly_group_lookup_each(lookup, note_range, &visit);
  for (uint32_t c = 0; c < order->column_count; c++)
    if (!order->columns[c].is_interned)
      rank_values(&order->columns[c], &visit.ranges[c]);
  tly_free(visit.ranges);
}

/* Where each column's rank stands; false when they do not fit. */
static bool place_columns(tly_key_order *order) {
  unsigned at = 0;
  for (uint32_t c = order->column_count; c-- > 0;) {
    order->columns[c].at = at;
    at += order->columns[c].bits;
    if (at > 64)
      return false;
  }
  return true;
}

static size_t groups_bytes(uint32_t count) {
  return ((size_t)count + 1) * sizeof(struct tly_sort_item);
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static uint64_t rank_in(const struct tly_rank_column *column, const uint64_t *words) {
  uint64_t word = words[column->first_word];
  if (column->is_interned)
    return column->ranks[word];
  if (is_null(column, words))
    return column->null_rank;
  return (tly_rank_ordered(form_of(column), word) - column->base) >> column->shift;
}

static void add_ranked(void *context, uint32_t group, const uint64_t *words) {
  tly_key_order *order = context;
  uint64_t rank = 0;
  for (uint32_t c = 0; c < order->column_count; c++)
    if (order->columns[c].bits > 0)
      rank |= rank_in(&order->columns[c], words) << order->columns[c].at;
  order->groups[order->count++] = (struct tly_sort_item){.word = rank, .payload = group};
}

static void sort_ranked(tly_key_order *order, tly_group_lookup *lookup) {
  tly_group_lookup_each(lookup, add_ranked, order);
  tly_group_lookup_clear(lookup); /* before there is more */
  struct tly_sort_item *scratch = tly_large_alloc(groups_bytes(order->group_capacity));
  tly_word_sort(order->groups, scratch, order->count);
  tly_large_free(scratch, groups_bytes(order->group_capacity));
}

static void add_wide(void *context, uint32_t group, const uint64_t *words) {
  tly_key_order *order = context;
  struct tly_buffer key = {0};
  for (uint32_t c = 0; c < order->column_count; c++)
    tly_key_coder_append(order->columns[c].coder, words + order->columns[c].first_word, &key);
  struct tly_text text = {.data = (const char *)key.data, .size = (uint32_t)key.size};
  order->records[order->count++] = tly_key_record_new(&order->heap, group, text);
  tly_buffer_free(&key);
}

static void sort_wide(tly_key_order *order, tly_group_lookup *lookup) {
  order->is_wide = true;
  order->records = tly_malloc((tly_group_lookup_count(lookup) + 1) * sizeof *order->records);
  tly_group_lookup_each(lookup, add_wide, order);
  tly_group_lookup_clear(lookup);
  tly_group_sort(order->records, order->count);
  for (uint32_t i = 0; i < order->count; i++)
    order->groups[i] = (struct tly_sort_item){.word = i, .payload = tly_key_record_group(order->records[i])};
}

tly_key_order *tly_key_order_new(tly_key_coder *const *coders, uint32_t column_count, tly_group_lookup *lookup,
                                 uint32_t group_count) {
  tly_key_order *order = tly_calloc(1, sizeof *order);
  order->column_count = column_count;
  order->columns = tly_calloc(column_count, sizeof *order->columns);
  order->group_capacity = group_count;
  order->groups = tly_large_alloc(groups_bytes(group_count));
  uint32_t word = 0;
  for (uint32_t c = 0; c < column_count; c++) {
    order->columns[c].coder = coders[c];
    order->columns[c].first_word = word;
    word += tly_key_coder_word_count(coders[c]);
  }
  if (lookup == NULL) {
    TLY_ASSERT(column_count == 0 && group_count <= 1);
    order->count = group_count;
    order->groups[0] = (struct tly_sort_item){.word = 0, .payload = 0};
    return order;
  }
  rank_columns(order, lookup);
  if (place_columns(order))
    sort_ranked(order, lookup);
  else
    sort_wide(order, lookup);
  TLY_ASSERT(order->count == group_count);
  return order;
}

void tly_key_order_free(tly_key_order *order) {
  if (order == NULL)
    return;
  for (uint32_t c = 0; c < order->column_count; c++) {
    tly_free(order->columns[c].own_texts);
    tly_free(order->columns[c].ranks);
  }
  tly_free(order->columns);
  tly_large_free(order->groups, groups_bytes(order->group_capacity));
  tly_free(order->records);
  tly_key_heap_clear(&order->heap);
  tly_free(order);
}
