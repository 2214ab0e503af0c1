#include "speed_layer/cut.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

void tly_cut_list_free(struct tly_cut_list *list) {
  tly_free(list->numbers);
  memset(list, 0, sizeof *list);
}

void tly_cut_list_add(struct tly_cut_list *list, int64_t number) {
  TLY_ASSERT(number > 0);
  if (list->count > 0 && number <= list->numbers[list->count - 1])
    return;
  if (list->count == list->capacity) {
    list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    list->numbers = tly_realloc_array(list->numbers, list->capacity, sizeof *list->numbers);
  }
  list->numbers[list->count++] = number;
}

void tly_cut_list_forget(struct tly_cut_list *list, int64_t published) {
  uint32_t kept = 0;
  while (kept < list->count && list->numbers[kept] <= published)
    kept++;
  list->count -= kept;
  if (list->count > 0)
    memmove(list->numbers, list->numbers + kept, list->count * sizeof *list->numbers);
}

int64_t tly_cut_list_generation(const struct tly_cut_list *list, int64_t published, int64_t stamp) {
  uint32_t low = 0, high = list->count;
  TLY_ASSERT(stamp > published);
  while (low < high) { /* the first cut at or above the stamp */
    uint32_t middle = low + (high - low) / 2;
    if (list->numbers[middle] < stamp)
      low = middle + 1;
    else
      high = middle;
  }
  int64_t last = low > 0 && list->numbers[low - 1] > published ? list->numbers[low - 1] : published;
  return last + 1;
}
