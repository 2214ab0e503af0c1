#include "serving_layer/group_list.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

void tly_group_list_init(struct tly_group_list *list, const struct tly_view_program *program, uint32_t part) {
  *list = (struct tly_group_list){.program = program, .part = part};
}

void tly_group_list_free(struct tly_group_list *list) {
  for (uint32_t i = 0; i < list->count; i++)
    tly_slice_copy_free(&list->slices[i]);
  tly_free(list->slices);
  *list = (struct tly_group_list){0};
}

void tly_group_list_append(struct tly_group_list *list, const struct tly_group_slice *slice) {
  if (slice->count == 0)
    return;
  if (list->count == list->capacity) {
    list->capacity = list->capacity == 0 ? 4 : 2 * list->capacity;
    list->slices = tly_realloc_array(list->slices, list->capacity, sizeof *list->slices);
  }
  struct tly_slice_copy *copy = &list->slices[list->count++];
  tly_slice_copy_init(copy, list->program, list->part);
  tly_slice_copy_reset(copy, slice->count);
  tly_slice_copy_append(copy, slice, 0, slice->count);
  list->groups += slice->count;
  list->bytes += tly_slice_copy_bytes(copy);
}

static enum tly_status take_slice(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  (void)error;
  tly_group_list_append(context, slice);
  return TLY_OK;
}

enum tly_status tly_group_list_take(struct tly_group_list *list, tly_group_table *table, struct tly_error *error) {
  TLY_ASSERT(list->count == 0);
  return tly_group_table_drain(table, TLY_GROUPS_PER_BLOCK, take_slice, list, error);
}

/* The first slice whose last key is not below `key`. */
static uint32_t first_slice(const struct tly_group_list *list, struct tly_text key) {
  uint32_t low = 0, high = list->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct tly_group_slice *slice = &list->slices[middle].slice;
    struct tly_text last = slice->keys[slice->count - 1];
    if (tly_key_compare(last.data, last.size, key.data, key.size) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool tly_group_list_find(const struct tly_group_list *list, struct tly_text key, const struct tly_group_slice **slice,
                         uint32_t *row) {
  uint32_t index = first_slice(list, key);
  if (index == list->count)
    return false;
  *slice = &list->slices[index].slice;
  *row = tly_slice_lower_bound(*slice, key);
  struct tly_text found = (*slice)->keys[*row];
  return found.size == key.size && memcmp(found.data, key.data, key.size) == 0;
}

void tly_group_list_scan_init(struct tly_group_list_scan *scan, const struct tly_group_list *list, struct tly_text low,
                              struct tly_text high) {
  *scan = (struct tly_group_list_scan){.list = list, .low = low, .high = high};
  scan->next = low.size > 0 ? first_slice(list, low) : 0;
  tly_slice_window_init(&scan->window, list->program, list->part);
}

void tly_group_list_scan_free(struct tly_group_list_scan *scan) {
  tly_slice_window_free(&scan->window);
}

static enum tly_status next_slice(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  struct tly_group_list_scan *scan = context;
  (void)error;
  *out = NULL;
  if (scan->next >= scan->list->count)
    return TLY_OK;
  const struct tly_group_slice *slice = &scan->list->slices[scan->next++].slice;
  uint32_t first = scan->low.size > 0 ? tly_slice_lower_bound(slice, scan->low) : 0;
  uint32_t end = scan->high.size > 0 ? tly_slice_lower_bound(slice, scan->high) : slice->count;
  if (end < slice->count)
    scan->next = scan->list->count;
  if (first < end)
    *out = tly_slice_window_set(&scan->window, slice, first, end);
  else if (end == slice->count) /* only the first slice can end below low, and then the next one does not */
    return next_slice(context, out, error);
  return TLY_OK;
}

struct tly_group_source tly_group_list_scan_source(struct tly_group_list_scan *scan) {
  return (struct tly_group_source){.next = next_slice, .context = scan};
}
