/* serving_layer/group_list.h -- the live groups of a statement, copied out of one snapshot: sorted slices in memory.
 *
 * Path of an answer: snapshot of speed.db -> [group list] -> merge with the run -> finish. The copy is what lets the
 * snapshot end before anything slow begins (no reader holds back ingest).
 * Thread: a list that is no longer filled may be read by one thread at a time. */
#ifndef TLY_SERVING_GROUP_LIST_H
#define TLY_SERVING_GROUP_LIST_H

#include "common/engine/merge.h"
#include "common/store/slice.h"

struct tly_group_list {
  const struct tly_view_program *program;
  uint32_t part;
  struct tly_slice_copy *slices; /* each sorted, and all below the next one */
  uint32_t count, capacity;
  uint64_t groups;
  size_t bytes; /* for memory bounds */
};

void tly_group_list_init(struct tly_group_list *list, const struct tly_view_program *program, uint32_t part);
void tly_group_list_free(struct tly_group_list *list);
/* Move the groups of `table` (drained, then of no use but for clear and free) into the empty list. */
TLY_CHECK enum tly_status tly_group_list_take(struct tly_group_list *list, tly_group_table *table,
                                              struct tly_error *error);
/* Append copies of the groups of `slice`, which all stand above those in the list. */
void tly_group_list_append(struct tly_group_list *list, const struct tly_group_slice *slice);
/* The group with exactly this key: its slice and row; false when there is none. */
bool tly_group_list_find(const struct tly_group_list *list, struct tly_text key, const struct tly_group_slice **slice,
                         uint32_t *row);

/* A scan of low <= key < high (size 0: open) as a source for a merge. */
struct tly_group_list_scan {
  const struct tly_group_list *list;
  struct tly_text low, high;
  uint32_t next;
  struct tly_slice_window window;
};

void tly_group_list_scan_init(struct tly_group_list_scan *scan, const struct tly_group_list *list, struct tly_text low,
                              struct tly_text high);
void tly_group_list_scan_free(struct tly_group_list_scan *scan);
struct tly_group_source tly_group_list_scan_source(struct tly_group_list_scan *scan);

#endif
