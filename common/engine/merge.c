/* A k-way merge: a binary heap of cursors, ordered by the key each stands on (and by number where keys are equal, so
 * that states always meet in the same order). A cursor holds one borrowed slice at a time; memory is bounded by the
 * sources' slices and one slice of output.
 *
 * Often the sources do not overlap (pieces of a run) or one of them holds almost everything (a run under a few live
 * groups). Then whole stretches of a slice are smaller than every other source's next key, and are handed out as they
 * lie, without a copy: a *window*.
 *
 * Where sources do overlap, the heap only says which rows meet: a list of *steps*, a row of a source into a row of the
 * output each. When a source's slice is used up or the output is full, keys are copied and states added column by
 * column, step after step. Most comparisons are of the first eight bytes of two keys, as one number.
 *
 * A source whose slice is used up is asked for the next one when the next group is wanted, so a window stays valid
 * until the next call. */
#include "common/engine/merge.h"

#include <string.h>

#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/group_state.h"
#include "common/value/ordered_key.h"

enum { OUTPUT_GROUPS_MAX = 8192, WINDOW_GROUPS_MIN = 16, STEPS_MIN = 1024 };

struct merge_cursor {
  struct tly_group_source source;
  const struct tly_group_slice *slice;
  uint32_t row;  /* == slice->count: the next slice is due */
  uint64_t head; /* the first bytes of the key it stands on */
};

struct tly_merge {
  const struct tly_view_program *program;
  uint32_t part;
  struct merge_cursor *cursors;
  uint32_t cursor_count;
  uint32_t *heap; /* numbers of the cursors that stand on a group */
  uint32_t heap_count;
  uint32_t *due; /* numbers of those that have to be asked */
  uint32_t due_count;
  struct tly_group_slice output;
  struct tly_state_step *steps; /* whose states are not in `output` yet */
  uint32_t step_count, step_capacity;
  struct tly_group_slice window; /* borrows a source's slice: never reset, never freed */
};

tly_merge *tly_merge_new(const struct tly_view_program *program, uint32_t part, const struct tly_group_source *sources,
                         uint32_t source_count) {
  tly_merge *merge = tly_calloc(1, sizeof *merge);
  merge->program = program;
  merge->part = part;
  merge->cursors = tly_calloc(source_count, sizeof *merge->cursors);
  merge->cursor_count = source_count;
  merge->heap = tly_calloc(source_count, sizeof *merge->heap);
  merge->due = tly_calloc(source_count, sizeof *merge->due);
  for (uint32_t i = 0; i < source_count; i++) {
    merge->cursors[i].source = sources[i];
    merge->due[merge->due_count++] = i;
  }
  tly_group_slice_init(&merge->output, program, part);
  merge->window.program = program;
  merge->window.part = part;
  merge->window.states = tly_calloc(program->parts[part].component_count, sizeof *merge->window.states);
  return merge;
}

void tly_merge_free(tly_merge *merge) {
  if (merge == NULL)
    return;
  tly_group_slice_free(&merge->output);
  tly_free(merge->window.states);
  tly_free(merge->steps);
  tly_free(merge->cursors);
  tly_free(merge->heap);
  tly_free(merge->due);
  tly_free(merge);
}

/* --- the heap ----------------------------------------------------------------------------------------------------- */

static struct tly_text key_of(const tly_merge *merge, uint32_t number) {
  const struct merge_cursor *cursor = &merge->cursors[number];
  return cursor->slice->keys[cursor->row];
}

static int compare_keys(struct tly_text a, struct tly_text b) {
  return tly_key_compare(a.data, a.size, b.data, b.size);
}

/* Greater for a greater key, as far as eight bytes tell; what is behind a key's end counts as 0. */
static uint64_t head_of(struct tly_text key) {
  uint64_t head = 0;
  if (key.size > 0) /* a view without GROUP BY has an empty key */
    memcpy(&head, key.data, key.size < sizeof head ? key.size : sizeof head);
  return __builtin_bswap64(head);
}

static void stand_on(struct merge_cursor *cursor, uint32_t row) {
  cursor->row = row;
  cursor->head = head_of(cursor->slice->keys[row]);
}

static bool stands_before(const tly_merge *merge, uint32_t a, uint32_t b) {
  uint64_t head_a = merge->cursors[a].head, head_b = merge->cursors[b].head;
  if (head_a != head_b)
    return head_a < head_b;
  int order = compare_keys(key_of(merge, a), key_of(merge, b));
  return order != 0 ? order < 0 : a < b;
}

static void sift_down(tly_merge *merge, uint32_t place) {
  uint32_t *heap = merge->heap, number = heap[place];
  for (uint32_t child; (child = 2 * place + 1) < merge->heap_count; place = child) {
    if (child + 1 < merge->heap_count && stands_before(merge, heap[child + 1], heap[child]))
      child++;
    if (!stands_before(merge, heap[child], number))
      break;
    heap[place] = heap[child];
  }
  heap[place] = number;
}

static void push(tly_merge *merge, uint32_t number) {
  uint32_t *heap = merge->heap, place = merge->heap_count++;
  for (uint32_t parent; place > 0 && stands_before(merge, number, heap[parent = (place - 1) / 2]); place = parent)
    heap[place] = heap[parent];
  heap[place] = number;
}

static void pop(tly_merge *merge) {
  merge->heap[0] = merge->heap[--merge->heap_count];
  if (merge->heap_count > 0)
    sift_down(merge, 0);
}

/* The first cursor has been moved on by `count` rows. */
static void advance_first(tly_merge *merge, uint32_t count) {
  uint32_t number = merge->heap[0];
  struct merge_cursor *cursor = &merge->cursors[number];
  TLY_ASSERT(cursor->row + count <= cursor->slice->count);
  if (cursor->row + count < cursor->slice->count) {
    stand_on(cursor, cursor->row + count);
    sift_down(merge, 0);
    return;
  }
  cursor->row = cursor->slice->count;
  pop(merge);
  merge->due[merge->due_count++] = number;
}

/* Ask every source that is due for its next slice. */
static enum tly_status refill(tly_merge *merge, struct tly_error *error) {
  while (merge->due_count > 0) {
    uint32_t number = merge->due[merge->due_count - 1];
    struct merge_cursor *cursor = &merge->cursors[number];
    TLY_TRY(cursor->source.next(cursor->source.context, &cursor->slice, error));
    merge->due_count--;
    if (cursor->slice == NULL)
      continue;
    TLY_ASSERT(cursor->slice->count > 0 && cursor->slice->part == merge->part);
    stand_on(cursor, 0);
    push(merge, number);
  }
  return TLY_OK;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

/* How many of keys[0 .. count) are smaller than `bound`. */
static uint32_t count_below(const struct tly_text *keys, uint32_t count, struct tly_text bound) {
  if (compare_keys(keys[count - 1], bound) < 0)
    return count;
  uint32_t low = 0, high = count - 1;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_keys(keys[middle], bound) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* How many groups of the first cursor's slice stand before every other cursor's; few are not worth a window: 0. */
static uint32_t window_groups(const tly_merge *merge, uint32_t group_max) {
  const struct merge_cursor *first = &merge->cursors[merge->heap[0]];
  uint32_t left = first->slice->count - first->row;
  uint32_t count = left < group_max ? left : group_max;
  if (merge->heap_count == 1)
    return count;
  for (uint32_t place = 1; place < 3 && place < merge->heap_count && count >= WINDOW_GROUPS_MIN; place++)
    count = count_below(first->slice->keys + first->row, count, key_of(merge, merge->heap[place]));
  return count < WINDOW_GROUPS_MIN ? 0 : count;
}

static const struct tly_group_slice *open_window(tly_merge *merge, uint32_t count) {
  const struct merge_cursor *first = &merge->cursors[merge->heap[0]];
  struct tly_group_slice *window = &merge->window;
  window->count = count;
  window->keys = first->slice->keys + first->row;
  for (uint32_t c = 0; c < merge->program->parts[merge->part].component_count; c++) {
    const struct tly_state_column *from = &first->slice->states[c];
    window->states[c] = *from;
    window->states[c].i64 = (int64_t *)(void *)((char *)from->i64 + first->row * tly_state_size(from->form));
    if (from->empty != NULL)
      window->states[c].empty = from->empty + first->row;
  }
  advance_first(merge, count);
  return window;
}

static void add_step(tly_merge *merge, uint32_t into_row, bool is_first) {
  const struct merge_cursor *cursor = &merge->cursors[merge->heap[0]];
  if (merge->step_count == merge->step_capacity) {
    merge->step_capacity = merge->step_capacity == 0 ? STEPS_MIN : 2 * merge->step_capacity;
    merge->steps = tly_realloc_array(merge->steps, merge->step_capacity, sizeof *merge->steps);
  }
  merge->steps[merge->step_count++] = (struct tly_state_step){
      .from = cursor->slice->states, .from_row = cursor->row, .into_row = into_row, .is_first = is_first};
}

/* The group of the smallest key, from all cursors that stand on it: its key, borrowed, and its steps. Gives the bytes
 * of key and texts. */
static size_t meet_group(tly_merge *merge) {
  struct tly_group_slice *output = &merge->output;
  uint32_t row = output->count++;
  struct tly_text key = key_of(merge, merge->heap[0]);
  uint64_t head = merge->cursors[merge->heap[0]].head;
  size_t bytes = key.size;
  bool is_first = true;
  output->keys[row] = key;
  do {
    const struct merge_cursor *cursor = &merge->cursors[merge->heap[0]];
    bytes += tly_states_text_bytes(merge->program, merge->part, cursor->slice->states, cursor->row);
    add_step(merge, row, is_first);
    advance_first(merge, 1);
    is_first = false;
  } while (merge->heap_count > 0 && merge->cursors[merge->heap[0]].head == head &&
           compare_keys(key_of(merge, merge->heap[0]), key) == 0);
  return bytes;
}

/* Rows first .. of the output borrow nothing any more. */
static void take_steps(tly_merge *merge, uint32_t first) {
  struct tly_group_slice *output = &merge->output;
  size_t bytes = 0;
  for (uint32_t row = first; row < output->count; row++)
    bytes += output->keys[row].size;
  char *place = tly_arena_alloc(&output->arena, bytes);
  for (uint32_t row = first; row < output->count; row++) {
    struct tly_text *key = &output->keys[row];
    if (key->size > 0)
      memcpy(place, key->data, key->size);
    key->data = place;
    place += key->size;
  }
  tly_states_take_steps(merge->program, merge->part, output->states, merge->steps, merge->step_count, &output->arena);
  merge->step_count = 0;
}

/* Sources are asked on the way, when what is borrowed of them has been taken. */
static enum tly_status fill_output(tly_merge *merge, uint32_t group_max, struct tly_error *error) {
  struct tly_group_slice *output = &merge->output;
  uint32_t room = group_max < OUTPUT_GROUPS_MAX ? group_max : OUTPUT_GROUPS_MAX;
  output->keys = TLY_ARENA_ARRAY(&output->arena, struct tly_text, room);
  tly_states_reserve(merge->program, merge->part, output->states, room, &output->arena);
  size_t bytes = 0;
  while (output->count < room && merge->heap_count > 0 && bytes < TLY_SLICE_BYTES_MAX) {
    uint32_t first = output->count;
    while (output->count < room && merge->heap_count > 0 && merge->due_count == 0 && bytes < TLY_SLICE_BYTES_MAX)
      bytes += meet_group(merge);
    take_steps(merge, first);
    TLY_TRY(refill(merge, error));
  }
  return TLY_OK;
}

enum tly_status tly_merge_next(tly_merge *merge, uint32_t group_max, const struct tly_group_slice **out,
                               struct tly_error *error) {
  TLY_ASSERT(group_max > 0);
  *out = NULL;
  tly_group_slice_reset(&merge->output);
  TLY_TRY(refill(merge, error));
  if (merge->heap_count == 0)
    return TLY_OK;
  uint32_t count = window_groups(merge, group_max);
  if (count > 0) {
    *out = open_window(merge, count);
    return TLY_OK;
  }
  TLY_TRY(fill_output(merge, group_max, error));
  *out = &merge->output;
  return TLY_OK;
}

static enum tly_status next_of_merge(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  return tly_merge_next(context, TLY_GROUPS_PER_BLOCK, out, error);
}

struct tly_group_source tly_merge_source(tly_merge *merge) {
  return (struct tly_group_source){.next = next_of_merge, .context = merge};
}
