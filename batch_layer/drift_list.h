/* batch_layer/drift_list.h -- a differing group as words: its key and, where they differ, both sides' values, as JSON.
 *
 * Path of an event: reconcile -> [drift_list] -> manifest -> batch.db -> `tally reconcile`.
 * Thread: belongs to one thread. */
#ifndef TLY_BATCH_DRIFT_LIST_H
#define TLY_BATCH_DRIFT_LIST_H

#include "batch_layer/run_result.h"
#include "common/engine/group_table.h"

typedef struct tly_drift_list tly_drift_list;

/* For one view; lists at most `listed_max` keys, in `arena`. */
tly_drift_list *tly_drift_list_new(const struct tly_view *view, uint32_t listed_max, struct tly_arena *arena);
void tly_drift_list_free(tly_drift_list *list);
/* Count, and list while there is room, the group in row `live_row` of `live` and row `recomputed_row` of `recomputed`,
 * of the same part and key; a side that does not have the key is NULL. */
void tly_drift_list_add(tly_drift_list *list, const struct tly_group_slice *live, uint32_t live_row,
                        const struct tly_group_slice *recomputed, uint32_t recomputed_row);
/* How many were added, and those listed. */
int64_t tly_drift_list_count(const tly_drift_list *list);
uint32_t tly_drift_list_listed(const tly_drift_list *list, struct tly_run_drift **out);

#endif
