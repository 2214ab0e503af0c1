/* serving_layer/store_facts.h -- what the stores know, gathered for reports and for system relations alike.
 *
 * Path of an answer: batch_reader, speed_reader, archive_reader -> [store_facts] -> report, system_rows.
 *
 * A store that is not there yet is an empty one. `speed` is in a snapshot, or NULL: then nothing is known of the live
 * side. Results live in the arena given. Thread: that of the source. */
#ifndef TLY_SERVING_STORE_FACTS_H
#define TLY_SERVING_STORE_FACTS_H

#include "serving_layer/store_source.h"

/* Begin a snapshot, if there is something to take one of: *speed is NULL otherwise. End it if it is not. */
TLY_CHECK enum tly_status tly_facts_begin(tly_store_source *source, tly_speed_reader **speed, struct tly_error *error);
/* batch.db's reader; *batch is NULL when there is no such store yet. */
TLY_CHECK enum tly_status tly_facts_batch(tly_store_source *source, tly_batch_reader **batch, struct tly_error *error);
/* Newest first, of those with id < `below` (INT64_MAX: of all) at most `max`. */
TLY_CHECK enum tly_status tly_facts_runs(tly_store_source *source, int64_t below, uint32_t max, struct tly_arena *arena,
                                         struct tly_run **out, uint32_t *count, struct tly_error *error);

struct tly_view_facts {
  const struct tly_view *view;
  struct tly_published published;          /* of this very definition; not ready: it is being built */
  struct tly_run_view run;                 /* what batch.db knows of the published run: its counts, no texts */
  const struct tly_schedule_row *schedule; /* what batch.db remembers of its schedule, its own or its job's; or NULL */
  int64_t held; /* the newest run of it that is held and newer than the published one; 0: none */
};
/* One a view of the project, in its order. */
TLY_CHECK enum tly_status tly_facts_views(tly_store_source *source, const struct tly_project *project,
                                          tly_speed_reader *speed, struct tly_arena *arena, struct tly_view_facts **out,
                                          struct tly_error *error);

/* The ends of all partitions that have events. */
TLY_CHECK enum tly_status tly_facts_heads(tly_store_source *source, struct tly_arena *arena, struct tly_position **out,
                                          uint32_t *count, struct tly_error *error);

struct tly_partition_facts {
  const struct tly_stream *stream;
  uint32_t partition;
  int64_t archived, folded; /* the next offset of each */
};
/* Events that are archived and not folded yet. */
static inline int64_t tly_partition_lag(const struct tly_partition_facts *facts) {
  return facts->archived > facts->folded ? facts->archived - facts->folded : 0;
}
/* A stream that has had no event yet has one partition, of zeros. */
TLY_CHECK enum tly_status tly_facts_partitions(tly_store_source *source, const struct tly_project *project,
                                               tly_speed_reader *speed, struct tly_arena *arena,
                                               struct tly_partition_facts **out, uint32_t *count,
                                               struct tly_error *error);

#endif
