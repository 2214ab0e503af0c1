/* serving_layer/source.h -- where a statement's groups come from: the stores, or a test's memory.
 *
 * Path of an answer: [source] -> view_scan -> merged_table -> SQLite -> encode. A seam: everything above it (plan,
 * merging, aggregates) is tested without a file.
 * Thread: a source belongs to one thread at a time. */
#ifndef TLY_SERVING_SOURCE_H
#define TLY_SERVING_SOURCE_H

#include "common/archive/archive_reader.h"
#include "common/engine/merge.h"

struct tly_system_rows;

/* What one view stands for in one state of the stores. Arrays are the source's: valid until it
 * releases its runs or looks again. */
struct tly_view_state {
  int64_t view_id;
  int64_t run;                         /* published run (or the run asked for); 0: none, the view is all live */
  int64_t cut;                         /* live generations above it count */
  bool has_live;                       /* false: run_<n>.view, that run alone */
  uint64_t set_aside;                  /* events set aside, run and live together */
  int64_t *cut_offsets, *live_offsets; /* next offset, by partition */
  uint32_t cut_partitions, live_partitions;
};

struct tly_source {
  void *context;
  /* Begin to look at one state of all views. Every begin needs an end, soon: nothing is written past it meanwhile. */
  enum tly_status (*begin)(void *context, struct tly_error *error);
  void (*end)(void *context);
  /* Between begin and end: the state of a view; `run` > 0 asks for that run alone. Its run stays readable until
   * release. */
  enum tly_status (*view)(void *context, const struct tly_view_program *program, int64_t run,
                          struct tly_view_state *out, struct tly_error *error);
  /* Between begin and end: add the live groups of low <= key < high to `table`. */
  enum tly_status (*live)(void *context, const struct tly_view_program *program, const struct tly_view_state *state,
                          uint32_t part, struct tly_text low, struct tly_text high, tly_group_table *table,
                          struct tly_error *error);
  /* Any time until release: the run's groups of low <= key < high. Every scan needs an end_scan. */
  enum tly_status (*scan)(void *context, const struct tly_view_program *program, int64_t run, uint32_t part,
                          struct tly_text low, struct tly_text high, struct tly_group_source *out,
                          struct tly_error *error);
  void (*end_scan)(void *context, const struct tly_view_program *program, int64_t run, struct tly_group_source *source);
  /* The rows of all system relations of the statement, in one state of each store: `rows` by number of the relation,
   * NULL where it is not asked for. With `is_looking` it stands between begin and end, and sees the same live state. */
  enum tly_status (*system)(void *context, bool is_looking, struct tly_system_rows *const *rows,
                            struct tly_error *error);
  /* Where the archive ends now: all partitions of all streams, in `arena`; none when there is no archive yet. */
  enum tly_status (*heads)(void *context, struct tly_arena *arena, struct tly_position **out, uint32_t *count,
                           struct tly_error *error);
  /* A reader of the archive for one scan, which closes it. */
  enum tly_status (*archive)(void *context, tly_archive_reader **out, struct tly_error *error);
  /* The statement is over: runs asked for by number are let go. */
  void (*release)(void *context);
};

#endif
