#include "batch_layer/break_list.h"

#include <string.h>
#include <xxhash.h>

#include "common/base/limits.h"
#include "common/value/ordered_key.h"

void tly_break_list_init(struct tly_break_list *list, const struct tly_ledger_match *match,
                         struct tly_break_sink sink) {
  *list = (struct tly_break_list){.match = match, .sink = sink};
  tly_arena_init(&list->scratch);
}

void tly_break_list_free(struct tly_break_list *list) {
  tly_buffer_free(&list->texts);
  tly_arena_free(&list->scratch);
}

static void print_name(const char *name, bool is_first, struct tly_buffer *out) {
  if (!is_first)
    tly_buffer_append_byte(out, ',');
  tly_json_print_text(name, strlen(name), out);
  tly_buffer_append_byte(out, ':');
}

static enum tly_status print_key(struct tly_break_list *list, struct tly_text key, struct tly_error *error) {
  struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
  tly_buffer_append_byte(&list->texts, '{');
  for (uint32_t k = 0; k < list->match->key_count; k++) {
    struct tly_value value;
    TLY_TRY(tly_key_read(&cursor, list->match->keys[k].type, &list->scratch, &value, error));
    print_name(list->match->keys[k].name, k == 0, &list->texts);
    tly_value_print_json(&value, &list->texts);
  }
  tly_buffer_append_byte(&list->texts, '}');
  return TLY_OK;
}

/* The columns of a break: one, or all. */
static void columns_of(const struct tly_break_list *list, const struct tly_break *found, uint32_t *first,
                       uint32_t *end) {
  *first = found->column >= 0 ? (uint32_t)found->column : 0;
  *end = found->column >= 0 ? *first + 1 : list->match->compared_count;
}

static void print_side(struct tly_break_list *list, const struct tly_break *found, const struct tly_value *values) {
  uint32_t first, end;
  columns_of(list, found, &first, &end);
  if (values == NULL) {
    tly_buffer_append_text(&list->texts, "null");
    return;
  }
  tly_buffer_append_byte(&list->texts, '{');
  for (uint32_t c = first; c < end; c++) {
    print_name(list->match->compared[c].name, c == first, &list->texts);
    tly_value_print_json(&values[c], &list->texts);
  }
  tly_buffer_append_byte(&list->texts, '}');
}

static struct tly_decimal amount_of(const struct tly_value *values, uint32_t column) {
  if (values == NULL || values[column].is_null)
    return tly_decimal_of_i64(0, 0);
  return tly_value_decimal(&values[column]);
}

/* tally - ledger of an amount. */
static enum tly_status subtract(struct tly_break_list *list, const struct tly_break *found, uint32_t column,
                                struct tly_decimal *out, struct tly_error *error) {
  return tly_decimal_subtract(amount_of(found->tally, column), amount_of(found->ledger, column), &list->scratch, out,
                              error);
}

/* The differences of the amounts, as texts. */
static enum tly_status print_difference(struct tly_break_list *list, const struct tly_break *found,
                                        struct tly_error *error) {
  uint32_t first, end;
  bool is_first = true;
  columns_of(list, found, &first, &end);
  tly_buffer_append_byte(&list->texts, '{');
  for (uint32_t c = first; c < end; c++) {
    struct tly_decimal difference;
    if (!list->match->compared[c].is_amount)
      continue;
    TLY_TRY(subtract(list, found, c, &difference, error));
    print_name(list->match->compared[c].name, is_first, &list->texts);
    is_first = false;
    tly_buffer_append_byte(&list->texts, '"');
    tly_decimal_print(difference, &list->texts);
    tly_buffer_append_byte(&list->texts, '"');
  }
  tly_buffer_append_byte(&list->texts, '}');
  return TLY_OK;
}

static void append_value(const struct tly_break_list *list, const struct tly_value *values, uint32_t column,
                         struct tly_buffer *out) {
  struct tly_value none = tly_value_null(list->match->compared[column].type);
  tly_key_append(out, values != NULL ? &values[column] : &none);
}

/* Of the differences of amounts, and of both values of what is none: what an accepted break must keep. Keys are encoded
 * by value, so the display scale is not in it. */
static enum tly_status take_fingerprint(struct tly_break_list *list, const struct tly_break *found,
                                        struct tly_hash *out, struct tly_error *error) {
  struct tly_buffer bytes = {0};
  uint32_t first, end;
  enum tly_status status = TLY_OK;
  columns_of(list, found, &first, &end);
  for (uint32_t c = first; status == TLY_OK && c < end; c++) {
    struct tly_decimal difference;
    if (list->match->compared[c].is_amount) {
      status = subtract(list, found, c, &difference, error);
      if (status == TLY_OK)
        tly_decimal_append_ordered(difference, &bytes);
    } else {
      append_value(list, found->tally, c, &bytes);
      append_value(list, found->ledger, c, &bytes);
    }
  }
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(tly_buffer_text(&bytes), bytes.size));
  memcpy(out->bytes, canonical.digest, TLY_HASH_BYTES);
  tly_buffer_free(&bytes);
  return status;
}

/* The text that begins at `start` and ends where the next one begins. */
static struct tly_text text_from(const struct tly_break_list *list, size_t start, size_t end) {
  return (struct tly_text){.data = (const char *)list->texts.data + start, .size = (uint32_t)(end - start)};
}

/* `record` points into list->texts. */
static enum tly_status make_record(struct tly_break_list *list, const struct tly_break *found,
                                   struct tly_break_record *record, struct tly_error *error) {
  const struct tly_ledger_match *match = list->match;
  tly_arena_reset(&list->scratch);
  tly_buffer_clear(&list->texts);
  TLY_TRY(print_key(list, found->key, error));
  size_t tally = list->texts.size;
  print_side(list, found, found->tally);
  size_t ledger = list->texts.size;
  print_side(list, found, found->ledger);
  size_t difference = list->texts.size;
  TLY_TRY(print_difference(list, found, error));
  *record = (struct tly_break_record){
      .kind = found->kind,
      .column = tly_text_of(found->column >= 0 ? match->compared[found->column].name : ""),
      .key = text_from(list, 0, tally),
      .tally = text_from(list, tally, ledger),
      .ledger = text_from(list, ledger, difference),
      .difference = text_from(list, difference, list->texts.size),
      .ledger_rows = found->ledger_rows,
  };
  return take_fingerprint(list, found, &record->fingerprint, error);
}

enum tly_status tly_break_list_add(struct tly_break_list *list, const struct tly_break *found,
                                   struct tly_error *error) {
  struct tly_break_record record;
  list->count++;
  list->kinds[found->kind]++;
  if (list->is_full)
    return TLY_OK;
  TLY_TRY(make_record(list, found, &record, error));
  list->kept_bytes += list->texts.size;
  list->is_full = list->kept_bytes > TLY_BREAKS_KEPT_BYTES; /* what is kept are the first breaks, without a gap */
  if (list->is_full)
    return TLY_OK;
  list->is_full = ++list->kept == TLY_BREAKS_KEPT_MAX;
  return list->sink.add(list->sink.context, &record, error);
}
