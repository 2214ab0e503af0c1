/* Values are shown as a query would show them, so states are finished. A group that HAVING would hide is shown too,
 * hence a program without HAVING; counts of distinct values live in other parts and have rows of their own here, so
 * that both sides are finished with 0 for them and they never show as differing. States may differ where no output does
 * (a count behind an average): then all outputs are shown. */
#include "batch_layer/drift_list.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/engine/finish.h"
#include "common/store/slice.h"
#include "common/value/ordered_key.h"

struct side {
  tly_finisher *finisher;
  struct tly_slice_window window;
  const struct tly_vector *outputs; /* NULL: the side does not have the key */
  struct tly_error error;           /* of an output that raises */
};

struct tly_drift_list {
  struct tly_view view; /* without HAVING */
  struct tly_view_program *program;
  struct side live, recomputed;
  const int64_t **no_distinct; /* one a part above 0 */
  struct tly_arena *arena;
  struct tly_run_drift *listed;
  uint32_t listed_count, listed_max;
  int64_t count;
};

static const int64_t zero_count;

static void init_side(struct side *side, const struct tly_view_program *program) {
  side->finisher = tly_finisher_new(program);
  tly_slice_window_init(&side->window, program, 0);
}

tly_drift_list *tly_drift_list_new(const struct tly_view *view, uint32_t listed_max, struct tly_arena *arena) {
  tly_drift_list *list = tly_calloc(1, sizeof *list);
  list->view = *view;
  list->view.having = NULL;
  list->program = tly_view_program_new(&list->view);
  init_side(&list->live, list->program);
  init_side(&list->recomputed, list->program);
  list->no_distinct = tly_calloc(list->program->part_count, sizeof(const int64_t *));
  for (uint32_t p = 1; p < list->program->part_count; p++)
    list->no_distinct[p - 1] = &zero_count;
  list->arena = arena;
  list->listed_max = listed_max;
  list->listed = TLY_ARENA_ARRAY(arena, struct tly_run_drift, listed_max);
  return list;
}

static void free_side(struct side *side) {
  tly_finisher_free(side->finisher);
  tly_slice_window_free(&side->window);
}

void tly_drift_list_free(tly_drift_list *list) {
  if (list == NULL)
    return;
  free_side(&list->live);
  free_side(&list->recomputed);
  tly_view_program_free(list->program);
  tly_free(list->no_distinct);
  tly_free(list);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static const char *key_json(const tly_drift_list *list, uint32_t part, struct tly_text key) {
  const struct tly_part *layout = &list->program->parts[part];
  struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
  struct tly_buffer text = {0};
  tly_buffer_append_byte(&text, '[');
  for (uint32_t k = 0; k < layout->key_count; k++) {
    struct tly_value value;
    struct tly_error error;
    if (k > 0)
      tly_buffer_append_byte(&text, ',');
    if (tly_key_read(&cursor, layout->key_types[k], list->arena, &value, &error) != TLY_OK)
      value = tly_value_null(layout->key_types[k]); /* a key that cannot be read is itself the difference */
    tly_value_print_json(&value, &text);
  }
  tly_buffer_append_byte(&text, ']');
  const char *json = tly_arena_copy(list->arena, text.data, text.size);
  tly_buffer_free(&text);
  return json;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void finish_side(const tly_drift_list *list, struct side *side, const struct tly_group_slice *slice,
                        uint32_t row) {
  const uint32_t *rows;
  uint32_t row_count;
  side->outputs = NULL;
  side->error = TLY_ERROR_NONE;
  if (slice == NULL)
    return;
  const struct tly_group_slice *one = tly_slice_window_set(&side->window, slice, row, row + 1);
  const int64_t *const *distinct = list->program->part_count > 1 ? list->no_distinct : NULL;
  if (tly_finish(side->finisher, one, distinct, NULL, &side->outputs, &rows, &row_count, &side->error) != TLY_OK)
    side->outputs = NULL;
}

static void print_output(const struct side *side, uint32_t output, struct tly_buffer *out) {
  struct tly_value value = tly_vector_value(&side->outputs[output], 0);
  tly_value_print_json(&value, out);
}

static bool outputs_equal(const struct side *a, const struct side *b, uint32_t output) {
  struct tly_buffer left = {0}, right = {0};
  print_output(a, output, &left);
  print_output(b, output, &right);
  bool equal = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
  tly_buffer_free(&left);
  tly_buffer_free(&right);
  return equal;
}

/* The columns with shown[o] as a JSON object; for a side that raised, its error. */
static const char *side_json(const tly_drift_list *list, const struct side *side, const bool *shown) {
  struct tly_buffer text = {0};
  bool is_first = true;
  tly_buffer_append_byte(&text, '{');
  if (side->outputs == NULL) {
    tly_buffer_append_text(&text, "\"error\":");
    tly_json_print_text(side->error.message, strlen(side->error.message), &text);
  }
  for (uint32_t o = 0; side->outputs != NULL && o < list->view.output_count; o++) {
    if (!shown[o])
      continue;
    const char *name = list->view.outputs[o].name;
    if (!is_first)
      tly_buffer_append_byte(&text, ',');
    is_first = false;
    tly_json_print_text(name, strlen(name), &text);
    tly_buffer_append_byte(&text, ':');
    print_output(side, o, &text);
  }
  tly_buffer_append_byte(&text, '}');
  const char *json = tly_arena_copy(list->arena, text.data, text.size);
  tly_buffer_free(&text);
  return json;
}

static void list_values(tly_drift_list *list, struct tly_run_drift *item, const struct tly_group_slice *live,
                        uint32_t live_row, const struct tly_group_slice *recomputed, uint32_t recomputed_row) {
  finish_side(list, &list->live, live, live_row);
  finish_side(list, &list->recomputed, recomputed, recomputed_row);
  bool has_both = list->live.outputs != NULL && list->recomputed.outputs != NULL, differs = false;
  bool *shown = tly_calloc(list->view.output_count, sizeof *shown);
  for (uint32_t o = 0; o < list->view.output_count; o++) {
    shown[o] = !has_both || !outputs_equal(&list->live, &list->recomputed, o);
    differs = differs || shown[o];
  }
  for (uint32_t o = 0; !differs && o < list->view.output_count; o++)
    shown[o] = true;
  item->live = live != NULL ? side_json(list, &list->live, shown) : NULL;
  item->recomputed = recomputed != NULL ? side_json(list, &list->recomputed, shown) : NULL;
  tly_free(shown);
}

void tly_drift_list_add(tly_drift_list *list, const struct tly_group_slice *live, uint32_t live_row,
                        const struct tly_group_slice *recomputed, uint32_t recomputed_row) {
  const struct tly_group_slice *some = live != NULL ? live : recomputed;
  TLY_ASSERT(some != NULL);
  list->count++;
  if (list->listed_count >= list->listed_max)
    return;
  struct tly_run_drift *item = &list->listed[list->listed_count++];
  struct tly_text group = some->keys[live != NULL ? live_row : recomputed_row];
  *item = (struct tly_run_drift){.key = key_json(list, some->part, group), .part = some->part};
  item->group = (struct tly_text){.data = tly_arena_copy(list->arena, group.data, group.size), .size = group.size};
  if (some->part == 0) {
    list_values(list, item, live, live_row, recomputed, recomputed_row);
  } else { /* a distinct value has no states: it is there or it is not */
    item->live = live != NULL ? "{}" : NULL;
    item->recomputed = recomputed != NULL ? "{}" : NULL;
  }
}

int64_t tly_drift_list_count(const tly_drift_list *list) {
  return list->count;
}

uint32_t tly_drift_list_listed(const tly_drift_list *list, struct tly_run_drift **out) {
  *out = list->listed;
  return list->listed_count;
}
