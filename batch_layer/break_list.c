#include "batch_layer/break_list.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/value/ordered_key.h"

const char *tly_break_name(enum tly_break_kind kind) {
  static const char *const names[TLY_BREAK_KIND_COUNT] = {
      [TLY_BREAK_OVER] = "over",
      [TLY_BREAK_SHORT] = "short",
      [TLY_BREAK_DIFFERS] = "differs",
      [TLY_BREAK_MISSING_IN_LEDGER] = "missing_in_ledger",
      [TLY_BREAK_MISSING_IN_TALLY] = "missing_in_tally",
      [TLY_BREAK_DUPLICATE_IN_LEDGER] = "duplicate_in_ledger",
  };
  return names[kind];
}

void tly_break_list_init(struct tly_break_list *list, const struct tly_ledger_match *match) {
  *list = (struct tly_break_list){.match = match};
  tly_arena_init(&list->scratch);
}

void tly_break_list_free(struct tly_break_list *list) {
  tly_buffer_free(&list->listed);
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
  tly_buffer_append_text(&list->listed, ",\"key\":{");
  for (uint32_t k = 0; k < list->match->key_count; k++) {
    struct tly_value value;
    TLY_TRY(tly_key_read(&cursor, list->match->keys[k].type, &list->scratch, &value, error));
    print_name(list->match->keys[k].name, k == 0, &list->listed);
    tly_value_print_json(&value, &list->listed);
  }
  tly_buffer_append_byte(&list->listed, '}');
  return TLY_OK;
}

/* The columns of a break: one, or all. */
static void columns_of(const struct tly_break_list *list, const struct tly_break *found, uint32_t *first,
                       uint32_t *end) {
  *first = found->column >= 0 ? (uint32_t)found->column : 0;
  *end = found->column >= 0 ? *first + 1 : list->match->compared_count;
}

static void print_side(struct tly_break_list *list, const char *side, const struct tly_break *found,
                       const struct tly_value *values) {
  uint32_t first, end;
  columns_of(list, found, &first, &end);
  tly_buffer_print(&list->listed, ",\"%s\":", side);
  if (values == NULL) {
    tly_buffer_append_text(&list->listed, "null");
    return;
  }
  tly_buffer_append_byte(&list->listed, '{');
  for (uint32_t c = first; c < end; c++) {
    print_name(list->match->compared[c].name, c == first, &list->listed);
    tly_value_print_json(&values[c], &list->listed);
  }
  tly_buffer_append_byte(&list->listed, '}');
}

static struct tly_decimal amount_of(const struct tly_value *values, uint32_t column) {
  if (values == NULL || values[column].is_null)
    return tly_decimal_of_i64(0, 0);
  return tly_value_decimal(&values[column]);
}

/* tally - ledger of the amounts, as texts. */
static enum tly_status print_difference(struct tly_break_list *list, const struct tly_break *found,
                                        struct tly_error *error) {
  uint32_t first, end;
  bool is_first = true;
  columns_of(list, found, &first, &end);
  tly_buffer_append_text(&list->listed, ",\"difference\":{");
  for (uint32_t c = first; c < end; c++) {
    struct tly_decimal difference;
    if (!list->match->compared[c].is_amount)
      continue;
    TLY_TRY(tly_decimal_subtract(amount_of(found->tally, c), amount_of(found->ledger, c), &list->scratch, &difference,
                                 error));
    print_name(list->match->compared[c].name, is_first, &list->listed);
    is_first = false;
    tly_buffer_append_byte(&list->listed, '"');
    tly_decimal_print(difference, &list->listed);
    tly_buffer_append_byte(&list->listed, '"');
  }
  tly_buffer_append_byte(&list->listed, '}');
  return TLY_OK;
}

static enum tly_status print_break(struct tly_break_list *list, const struct tly_break *found,
                                   struct tly_error *error) {
  tly_arena_reset(&list->scratch);
  tly_buffer_print(&list->listed, "%s{\"break\":\"%s\"", list->listed_count > 0 ? "," : "",
                   tly_break_name(found->kind));
  TLY_TRY(print_key(list, found->key, error));
  print_side(list, "tally", found, found->tally);
  print_side(list, "ledger", found, found->ledger);
  TLY_TRY(print_difference(list, found, error));
  if (found->kind == TLY_BREAK_DUPLICATE_IN_LEDGER)
    tly_buffer_print(&list->listed, ",\"rows\":%" PRIu64, found->ledger_rows);
  tly_buffer_append_byte(&list->listed, '}');
  return TLY_OK;
}

enum tly_status tly_break_list_add(struct tly_break_list *list, const struct tly_break *found,
                                   struct tly_error *error) {
  size_t before = list->listed.size;
  list->count++;
  list->kinds[found->kind]++;
  if (list->is_full)
    return TLY_OK;
  TLY_TRY(print_break(list, found, error));
  list->is_full = list->listed.size > TLY_BREAKS_LISTED_BYTES;
  if (list->is_full)
    list->listed.size = before; /* the list is the first breaks, without a gap */
  else
    list->listed_count++;
  list->is_full = list->is_full || list->listed_count == TLY_BREAKS_LISTED_MAX;
  return TLY_OK;
}
