/* common/store/slice.h -- parts of sorted slices of groups: find a key, borrow a range of rows, copy rows.
 *
 * Path of an event: run blocks -> slices -> [cut to a key range] -> merge; and sorted groups -> [gathered] -> run
 * blocks. Thread: pure; a slice belongs to one thread at a time. */
#ifndef TLY_STORE_SLICE_H
#define TLY_STORE_SLICE_H

#include "common/engine/group_table.h"

/* The number of rows whose key is below `key`: where `key` stands or would stand. */
uint32_t tly_slice_lower_bound(const struct tly_group_slice *slice, struct tly_text key);

/* Bytes of a row's key and texts: what can make a row large. */
size_t tly_slice_row_bytes(const struct tly_group_slice *slice, uint32_t row);

/* A window on some rows of another slice. Copies nothing: it is valid as long as the slice it was set to. */
struct tly_slice_window {
  struct tly_group_slice slice;
};

void tly_slice_window_init(struct tly_slice_window *window, const struct tly_view_program *program, uint32_t part);
void tly_slice_window_free(struct tly_slice_window *window);
/* Rows first .. end - 1 of `from`. Returns the window's slice. */
const struct tly_group_slice *tly_slice_window_set(struct tly_slice_window *window, const struct tly_group_slice *from,
                                                   uint32_t first, uint32_t end);

/* A slice that rows are copied into, up to a capacity it is given each time it is emptied. */
struct tly_slice_copy {
  struct tly_group_slice slice; /* read-only for others; lives until reset or free */
  uint32_t capacity;
};

void tly_slice_copy_init(struct tly_slice_copy *copy, const struct tly_view_program *program, uint32_t part);
void tly_slice_copy_free(struct tly_slice_copy *copy);
/* Empty it and make room for `capacity` rows. */
void tly_slice_copy_reset(struct tly_slice_copy *copy, uint32_t capacity);
/* Make it a copy of all of `from`, in little more memory than that needs: for what is kept long. */
void tly_slice_copy_whole(struct tly_slice_copy *copy, const struct tly_group_slice *from);
/* Append rows first .. end - 1 of `from`, which must fit and stand above all rows so far. */
void tly_slice_copy_append(struct tly_slice_copy *copy, const struct tly_group_slice *from, uint32_t first,
                           uint32_t end);
/* Bytes it holds, for memory bounds. */
size_t tly_slice_copy_bytes(const struct tly_slice_copy *copy);

#endif
