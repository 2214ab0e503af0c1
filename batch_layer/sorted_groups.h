/* batch_layer/sorted_groups.h -- groups of one part of a view, sorted, kept until they are merged: in memory or
 * spilled.
 *
 * Path of an event: fold (a thread's group table) -> drain -> [sorted groups] -> merge -> run_writer.
 *
 * Thread: filled by one thread; then any number of threads may read it, each through a cursor of its own. */
#ifndef TLY_BATCH_SORTED_GROUPS_H
#define TLY_BATCH_SORTED_GROUPS_H

#include "common/engine/merge.h"

/* A file without a name in `folder`, so that nothing is left of it when the process ends. */
struct tly_spill_file {
  int fd; /* -1 before it is opened */
  uint64_t size;
};

TLY_CHECK enum tly_status tly_spill_file_open(const char *folder, struct tly_spill_file *file, struct tly_error *error);
void tly_spill_file_close(struct tly_spill_file *file);

typedef struct tly_sorted_groups tly_sorted_groups;

/* With a `spill`, groups go to the end of that file (which must outlive this), else they stay in memory. */
tly_sorted_groups *tly_sorted_groups_new(const struct tly_view_program *program, uint32_t part,
                                         struct tly_spill_file *spill);
void tly_sorted_groups_free(tly_sorted_groups *sorted);
/* Append a copy of `slice`, whose keys stand above all before. `context` is the sorted groups: fits
 * tly_group_table_drain. */
TLY_CHECK enum tly_status tly_sorted_groups_append(void *context, const struct tly_group_slice *slice,
                                                   struct tly_error *error);
uint64_t tly_sorted_groups_count(const tly_sorted_groups *sorted);
/* Keys spread over the whole, a slice apart, for choosing key ranges. Borrowed. */
uint32_t tly_sorted_groups_sample_count(const tly_sorted_groups *sorted);
struct tly_text tly_sorted_groups_sample(const tly_sorted_groups *sorted, uint32_t index);
/* The first key >= `key` at which a chapter begins (run_writer.h), appended to *out; *found false when there is none.
 */
TLY_CHECK enum tly_status tly_sorted_groups_chapter(const tly_sorted_groups *sorted, struct tly_text key,
                                                    struct tly_buffer *out, bool *found, struct tly_error *error);

typedef struct tly_sorted_cursor tly_sorted_cursor;

/* Groups with low <= key < high (data NULL: open). The bounds are borrowed. */
tly_sorted_cursor *tly_sorted_cursor_new(const tly_sorted_groups *sorted, struct tly_text low, struct tly_text high);
void tly_sorted_cursor_free(tly_sorted_cursor *cursor);
struct tly_group_source tly_sorted_cursor_source(tly_sorted_cursor *cursor);

#endif
