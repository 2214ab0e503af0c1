/* speed_layer/cut.h -- which generation of a view a stamped block belongs to.
 *
 * Path of an event: archive block, stamped at append -> [cut] -> the view's generation it is folded into.
 *
 * A cut names the views it is for; other views go on in the generation they had. So a view's generation is not a
 * block's stamp, but 1 + the last cut before the block that names the view. Thread: pure. */
#ifndef TLY_SPEED_CUT_H
#define TLY_SPEED_CUT_H

#include <stdint.h>

/* The cuts that name one view, ascending. A zeroed list is empty. */
struct tly_cut_list {
  int64_t *numbers;
  uint32_t count, capacity;
};

void tly_cut_list_free(struct tly_cut_list *list);
/* Cuts come in ascending order; one that is known already is passed over. */
void tly_cut_list_add(struct tly_cut_list *list, int64_t number);
/* Forget cuts at or below `published`: blocks before them are never folded again. */
void tly_cut_list_forget(struct tly_cut_list *list, int64_t published);
/* The generation of blocks stamped `stamp`, for a view whose published cut is `published` < stamp. The list must hold
 * every cut in (published, stamp) that names the view. */
int64_t tly_cut_list_generation(const struct tly_cut_list *list, int64_t published, int64_t stamp);

#endif
