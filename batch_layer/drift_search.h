/* batch_layer/drift_search.h -- which of a key's events explain that live and recomputed states of it differ.
 *
 * Path of an event: archive block -> fold, event by event -> [drift_search] -> drift_evidence -> batch.db.
 *
 * Given are the live state of one key and, event by event in order, what the key should have taken. Sought is the
 * shortest run of neighbours among these events with which the live state becomes right when they are added to it
 * (live *lacks* them), or which make the right state the live one when they are added to it again (live has them
 * *twice*). Thread: belongs to one thread. */
#ifndef TLY_BATCH_DRIFT_SEARCH_H
#define TLY_BATCH_DRIFT_SEARCH_H

#include "common/engine/group_table.h"

typedef struct tly_drift_search tly_drift_search;

/* For one key of a part; at most `event_max` events are taken. */
tly_drift_search *tly_drift_search_new(const struct tly_view_program *program, uint32_t part, uint32_t event_max);
/* NULL is fine. */
void tly_drift_search_free(tly_drift_search *search);
/* The next event's share: row `row` of `slice`. False: there are event_max already, and nothing was taken. */
TLY_CHECK bool tly_drift_search_add(tly_drift_search *search, const struct tly_group_slice *slice, uint32_t row);
uint32_t tly_drift_search_count(const tly_drift_search *search);

enum tly_drift_verdict {
  TLY_DRIFT_EQUAL,  /* the events make the live state: it is right */
  TLY_DRIFT_LACKS,  /* live lacks the events found */
  TLY_DRIFT_TWICE,  /* live has the events found once more than they are there */
  TLY_DRIFT_UNKNOWN /* no run of neighbours explains it */
};

/* What was found: events first .. first + count - 1, in the order they were added. */
struct tly_drift_found {
  enum tly_drift_verdict verdict;
  uint32_t first, count;
  uint32_t alternatives; /* other runs as short that explain it as well: equal amounts cannot be told apart */
  bool has_more;         /* and perhaps more of them: the search was ended */
};

/* `live` NULL: the live side does not have the key. TLY_E_CORRUPT never comes of good slices. */
TLY_CHECK enum tly_status tly_drift_search_run(tly_drift_search *search, const struct tly_group_slice *live,
                                               uint32_t live_row, struct tly_drift_found *out, struct tly_error *error);

#endif
