/* common/engine/group_row.h -- one group, put together from wherever its key stands: the run, and live deltas.
 *
 * Path of an answer: key -> rows of held blocks -> [group row] -> finish -> reply. A merge of one key without a heap, a
 * table or a copy, and only of the components that are asked for.
 * Thread: a row belongs to one thread. */
#ifndef TLY_ENGINE_GROUP_ROW_H
#define TLY_ENGINE_GROUP_ROW_H

#include "common/engine/group_table.h"

struct tly_group_row {
  struct tly_group_slice slice; /* of part 0; of one row, or of none when no source had the key */
  struct tly_text key;
  struct tly_arena columns; /* of the slice; its own arena has what their values point to */
  uint32_t *components;     /* the numbers of those that are added up; the others stay initial */
  uint32_t component_count;
};

/* For the aggregates that HAVING or an output with wanted[o] (NULL: all) mentions. */
void tly_group_row_init(struct tly_group_row *row, const struct tly_view_program *program, const bool *wanted);
void tly_group_row_free(struct tly_group_row *row);
/* No source has had `key`, which is borrowed until the next begin, so far. */
void tly_group_row_begin(struct tly_group_row *row, struct tly_text key);
/* Add the states of row `from_row` of `from`, whose key is that of begin. */
void tly_group_row_add(struct tly_group_row *row, const struct tly_group_slice *from, uint32_t from_row);
/* Fetch ahead what add will read. */
void tly_group_row_prefetch(const struct tly_group_row *row, const struct tly_group_slice *from, uint32_t from_row);

#endif
