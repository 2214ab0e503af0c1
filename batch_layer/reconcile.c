/* Both sides are sorted by key, so the comparison is one pass over two merges, in key ranges of RANGE_BLOCKS blocks of
 * the new run. A range is what one look at the live increments covers: their rows are copied in one short snapshot of
 * speed.db, then run files are read outside of it. Generations up to the cut cannot change any more once the speed
 * layer has passed it, and nothing is published meanwhile but by us; that the published run is still the same is
 * checked at each snapshot.
 *
 * Most ranges of most runs have no live increments and the same content as before. Blocks of equal content are equal
 * and have equal checksums (run_writer.h), so such a range is done by looking at the directories. */
#include "batch_layer/reconcile.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "batch_layer/drift_evidence.h"
#include "batch_layer/drift_list.h"
#include "batch_layer/sorted_groups.h"
#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/give_way.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/store/run_reader.h"
#include "common/store/speed_reader.h"
#include "common/value/ordered_key.h"

enum { RANGE_BLOCKS = 64, SOURCE_GROUPS = 2048, POLL_FIRST_US = 1000, POLL_LAST_US = 50000 };

/* ---- waiting for the speed layer --------------------------------------------------------------------------------- */

static bool reads_stream(const struct tly_reconcile_job *job, const char *stream) {
  for (uint32_t v = 0; v < job->view_count; v++)
    if (strcmp(job->views[v]->stream->name, stream) == 0)
      return true;
  return false;
}

static int64_t folded_up_to(const struct tly_position *positions, uint32_t count, const struct tly_position *wanted) {
  for (uint32_t i = 0; i < count; i++)
    if (positions[i].partition == wanted->partition && strcmp(positions[i].stream, wanted->stream) == 0)
      return positions[i].next_offset;
  return 0;
}

/* How many events of the run's streams below the cut are not folded live yet. Fails with TLY_E_NOT_READY while there is
 * no speed.db, or one that does not have the views yet. */
static enum tly_status events_behind(const struct tly_reconcile_job *job, tly_speed_reader *reader,
                                     struct tly_arena *arena, int64_t *behind, struct tly_error *error) {
  struct tly_position *positions;
  struct tly_published published;
  uint32_t count;
  *behind = 0;
  tly_arena_reset(arena);
  TLY_TRY(tly_speed_snapshot_begin(reader, error));
  enum tly_status status = tly_speed_snapshot_positions(reader, NULL, arena, &positions, &count, error);
  for (uint32_t v = 0; status == TLY_OK && v < job->view_count; v++)
    status = tly_speed_snapshot_view(reader, job->views[v], &published, error);
  tly_speed_snapshot_end(reader);
  for (uint32_t i = 0; status == TLY_OK && i < job->cut->position_count; i++) {
    const struct tly_position *wanted = &job->cut->positions[i];
    if (!reads_stream(job, wanted->stream))
      continue;
    int64_t folded = folded_up_to(positions, count, wanted);
    *behind += folded < wanted->next_offset ? wanted->next_offset - folded : 0;
  }
  return status;
}

/* Wait until the speed layer has passed the cut. NULL, with the reason in *why, when it did not come there. */
static tly_speed_reader *wait_for_speed(const struct tly_reconcile_job *job, struct tly_error *why) {
  struct tly_arena arena;
  tly_speed_reader *reader = job->speed;
  int64_t last_behind = INT64_MAX, moved_at = tly_clock_monotonic_us(&tly_clock_real), pause_us = POLL_FIRST_US;
  tly_arena_init(&arena);
  for (;;) {
    int64_t behind = INT64_MAX, now = tly_clock_monotonic_us(&tly_clock_real);
    enum tly_status status =
        reader == NULL ? tly_speed_reader_open(job->directory, job->project, &reader, why) : TLY_OK;
    if (status == TLY_OK)
      status = events_behind(job, reader, &arena, &behind, why);
    if (behind == 0)
      break;
    if (behind < last_behind)
      moved_at = now;
    last_behind = behind;
    bool is_late = now - moved_at > (int64_t)job->wait_ms * 1000;
    if (status == TLY_OK && is_late)
      status = TLY_FAIL(why, TLY_E_CANCELLED, "the speed layer is %" PRId64 " events behind the cut and does not move",
                        behind);
    if (is_late || (status != TLY_OK && !tly_status_is_retriable(status))) {
      tly_speed_reader_close(reader);
      reader = NULL;
      break;
    }
    nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
    pause_us = 2 * pause_us < POLL_LAST_US ? 2 * pause_us : POLL_LAST_US;
  }
  tly_arena_free(&arena);
  return reader;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* One view at the cut: both sides. */
struct comparison {
  const struct tly_reconcile_job *job;
  const struct tly_view *view;
  struct tly_view_program *program;
  tly_speed_reader *speed;
  struct tly_published published;
  tly_run_reader *before; /* of the published run; NULL: none */
  tly_run_reader *recomputed;
  tly_drift_list *list;
};

/* A source of slices, row by row. */
struct walk {
  struct tly_group_source source;
  const struct tly_group_slice *slice; /* NULL: at its end */
  uint32_t row;
};

static enum tly_status settle(struct walk *walk, struct tly_error *error) {
  while (walk->slice != NULL && walk->row >= walk->slice->count) {
    walk->row = 0;
    tly_give_way();
    TLY_TRY(walk->source.next(walk->source.context, &walk->slice, error));
  }
  return TLY_OK;
}

static enum tly_status start_walk(struct walk *walk, struct tly_group_source source, struct tly_error *error) {
  *walk = (struct walk){.source = source};
  TLY_TRY(source.next(source.context, &walk->slice, error));
  return settle(walk, error);
}

static enum tly_status step(struct walk *walk, struct tly_error *error) {
  walk->row++;
  return settle(walk, error);
}

/* <0: only `a` has its key, >0: only `b`; 0: both. Not both may be at their end. */
static int compare_walks(const struct walk *a, const struct walk *b) {
  if (a->slice == NULL || b->slice == NULL)
    return a->slice == NULL ? 1 : -1;
  struct tly_text left = a->slice->keys[a->row], right = b->slice->keys[b->row];
  return tly_key_compare(left.data, left.size, right.data, right.size);
}

/* Of equal keys. Parts above 0 have no states. */
static bool groups_equal(const struct tly_view_program *program, const struct walk *a, const struct walk *b) {
  return a->slice->part > 0 || tly_states_equal(program, a->slice->states, a->row, b->slice->states, b->row);
}

static enum tly_status compare_sources(const struct comparison *comparison, struct tly_group_source live_source,
                                       struct tly_group_source recomputed_source, struct tly_error *error) {
  struct walk live, recomputed;
  TLY_TRY(start_walk(&live, live_source, error));
  TLY_TRY(start_walk(&recomputed, recomputed_source, error));
  while (live.slice != NULL || recomputed.slice != NULL) {
    int order = compare_walks(&live, &recomputed);
    bool equal = order == 0 && groups_equal(comparison->program, &live, &recomputed);
    if (!equal)
      tly_drift_list_add(comparison->list, order <= 0 ? live.slice : NULL, live.row,
                         order >= 0 ? recomputed.slice : NULL, recomputed.row);
    if (order <= 0)
      TLY_TRY(step(&live, error));
    if (order >= 0)
      TLY_TRY(step(&recomputed, error));
  }
  return TLY_OK;
}

/* Blocks first .. end - 1 of a part of the new run, and the keys between which they stand. */
struct range {
  uint32_t part, first, end;
  struct tly_text low, high; /* data NULL: open */
};

/* The live increments of the range, sorted. */
static enum tly_status read_live(const struct comparison *comparison, const struct range *range,
                                 tly_sorted_groups *live, struct tly_error *error) {
  struct tly_published now;
  tly_group_table *table = tly_group_table_new(comparison->program, range->part);
  enum tly_status status = tly_speed_snapshot_begin(comparison->speed, error);
  if (status != TLY_OK)
    goto free_table;
  status = tly_speed_snapshot_view(comparison->speed, comparison->view, &now, error);
  if (status == TLY_OK && (now.run != comparison->published.run || now.cut != comparison->published.cut ||
                           now.view_id != comparison->published.view_id))
    status = TLY_FAIL(error, TLY_E_NOT_READY, "another run was published while view %s was compared",
                      comparison->view->name);
  if (status == TLY_OK)
    status = tly_speed_snapshot_groups(comparison->speed, comparison->program, now.view_id, range->part,
                                       comparison->published.cut, comparison->job->cut->number, range->low, range->high,
                                       table, error);
  tly_speed_snapshot_end(comparison->speed);
  if (status == TLY_OK)
    status = tly_group_table_drain(table, SOURCE_GROUPS, tly_sorted_groups_append, live, error);
free_table:
  tly_group_table_free(table);
  return status;
}

/* Whether the published run has the very same blocks in the range. */
static bool has_same_blocks(const struct comparison *comparison, const struct range *range) {
  tly_run_reader *before = comparison->before;
  if (before == NULL)
    return false;
  uint32_t all = tly_run_reader_block_count(before, range->part), count = range->end - range->first;
  uint32_t first = range->low.data != NULL ? tly_run_reader_find_block(before, range->part, range->low) : 0;
  if (first + count > all)
    return false;
  for (uint32_t i = 0; i < count; i++) {
    struct tly_run_block old = tly_run_reader_block(before, range->part, first + i);
    struct tly_run_block new = tly_run_reader_block(comparison->recomputed, range->part, range->first + i);
    if (memcmp(&old.checksum, &new.checksum, sizeof old.checksum) != 0)
      return false;
  }
  if (range->high.data == NULL)
    return first + count == all;
  if (first + count == all)
    return true;
  struct tly_text next = tly_run_reader_block(before, range->part, first + count).first_key;
  return tly_key_compare(next.data, next.size, range->high.data, range->high.size) >= 0;
}

static enum tly_status compare_merged(const struct comparison *comparison, const struct range *range,
                                      const tly_sorted_groups *live, struct tly_error *error) {
  struct tly_group_source sides[2], old = {0}, recomputed = {0};
  uint32_t count = 0;
  tly_sorted_cursor *cursor = tly_sorted_cursor_new(live, range->low, range->high);
  sides[count++] = tly_sorted_cursor_source(cursor);
  tly_merge *merge = NULL;
  enum tly_status status =
      tly_run_reader_scan(comparison->recomputed, range->part, range->low, range->high, &recomputed, error);
  if (status == TLY_OK && comparison->before != NULL) {
    status = tly_run_reader_scan(comparison->before, range->part, range->low, range->high, &old, error);
    sides[count++] = old;
  }
  if (status == TLY_OK) {
    merge = tly_merge_new(comparison->program, range->part, sides, count);
    status = compare_sources(comparison, tly_merge_source(merge), recomputed, error);
    tly_merge_free(merge);
  }
  if (old.context != NULL)
    tly_run_reader_end_scan(comparison->before, &old);
  if (recomputed.context != NULL)
    tly_run_reader_end_scan(comparison->recomputed, &recomputed);
  tly_sorted_cursor_free(cursor);
  return status;
}

static enum tly_status compare_range(const struct comparison *comparison, const struct range *range,
                                     struct tly_error *error) {
  const struct tly_published *published = &comparison->published;
  bool has_live = published->live_folded > 0;
  tly_sorted_groups *live = tly_sorted_groups_new(comparison->program, range->part, NULL);
  enum tly_status status = has_live ? read_live(comparison, range, live, error) : TLY_OK;
  if (status == TLY_OK && (tly_sorted_groups_count(live) > 0 || !has_same_blocks(comparison, range)))
    status = compare_merged(comparison, range, live, error);
  tly_sorted_groups_free(live);
  return status;
}

static enum tly_status compare_part(const struct comparison *comparison, uint32_t part, struct tly_error *error) {
  uint32_t blocks = tly_run_reader_block_count(comparison->recomputed, part);
  uint32_t first = 0;
  do {
    struct range range = {.part = part, .first = first, .end = blocks};
    if (blocks - first > RANGE_BLOCKS)
      range.end = first + RANGE_BLOCKS;
    if (first > 0)
      range.low = tly_run_reader_block(comparison->recomputed, part, first).first_key;
    if (range.end < blocks)
      range.high = tly_run_reader_block(comparison->recomputed, part, range.end).first_key;
    TLY_TRY(compare_range(comparison, &range, error));
    first = range.end;
  } while (first < blocks);
  return TLY_OK;
}

static enum tly_status compare_parts(struct comparison *comparison, struct tly_error *error) {
  const char *directory = comparison->job->directory;
  TLY_TRY(tly_run_reader_open(directory, comparison->job->cut->number, comparison->program, &comparison->recomputed,
                              error));
  if (comparison->published.run > 0)
    TLY_TRY(tly_run_reader_open(directory, comparison->published.run, comparison->program, &comparison->before, error));
  for (uint32_t p = 0; p < comparison->program->part_count; p++)
    TLY_TRY(compare_part(comparison, p, error));
  return TLY_OK;
}

/* Look what the view stands on; *comparable false: it is still being built, or already beyond the run. */
static enum tly_status look(struct comparison *comparison, bool *comparable, struct tly_error *error) {
  struct tly_published *published = &comparison->published;
  TLY_TRY(tly_speed_snapshot_begin(comparison->speed, error));
  enum tly_status status = tly_speed_snapshot_view(comparison->speed, comparison->view, published, error);
  tly_speed_snapshot_end(comparison->speed);
  *comparable = status == TLY_OK && published->is_ready && published->cut < comparison->job->cut->number &&
                memcmp(&published->definition_hash, &comparison->view->hash, sizeof published->definition_hash) == 0;
  return status;
}

static void explain(const struct comparison *comparison, const struct tly_run_view_result *result,
                    struct tly_arena *arena) {
  struct tly_drift_evidence_job job = {.directory = comparison->job->directory,
                                       .project = comparison->job->project,
                                       .cut = comparison->job->cut,
                                       .program = comparison->program,
                                       .published = &comparison->published,
                                       .speed = comparison->speed};
  if (result->drift_listed_count > 0)
    tly_drift_evidence(&job, result->drift_listed, result->drift_listed_count, arena);
}

static enum tly_status compare_view(const struct tly_reconcile_job *job, struct tly_view_program *program,
                                    tly_speed_reader *speed, uint32_t listed_max, struct tly_arena *arena,
                                    struct tly_run_view_result *result, struct tly_error *error) {
  struct comparison comparison = {.job = job, .view = program->view, .program = program, .speed = speed};
  bool comparable;
  TLY_TRY(look(&comparison, &comparable, error));
  if (!comparable)
    return TLY_OK;
  comparison.list = tly_drift_list_new(comparison.view, listed_max, arena);
  enum tly_status status = compare_parts(&comparison, error);
  if (status == TLY_OK) {
    result->drift = tly_drift_list_count(comparison.list);
    result->drift_listed_count = tly_drift_list_listed(comparison.list, &result->drift_listed);
    explain(&comparison, result, arena);
  }
  tly_run_reader_close(comparison.before);
  tly_run_reader_close(comparison.recomputed);
  tly_drift_list_free(comparison.list);
  return status;
}

static void compare_views(const struct tly_reconcile_job *job, struct tly_view_program **programs,
                          tly_speed_reader *speed, struct tly_arena *arena, struct tly_run_result *result) {
  uint32_t room = TLY_DRIFT_LISTED_MAX;
  for (uint32_t v = 0; v < job->view_count; v++) {
    struct tly_error why = TLY_ERROR_NONE;
    if (compare_view(job, programs[v], speed, room, arena, &result->views[v], &why) != TLY_OK)
      result->note = tly_arena_print(arena, "drift of view %s not checked: %s", job->views[v]->name, why.message);
    room -= result->views[v].drift_listed_count;
    if (job->progress != NULL)
      job->progress(job->context, v + 1, job->view_count);
  }
}

void tly_reconcile(const struct tly_reconcile_job *job, struct tly_arena *arena, struct tly_run_result *result) {
  struct tly_error why = TLY_ERROR_NONE;
  TLY_ASSERT(result->view_count == job->view_count);
  tly_speed_reader *speed = wait_for_speed(job, &why);
  if (speed == NULL) {
    result->note = tly_arena_print(arena, "drift not checked: %s", why.message);
    return;
  }
  /* The reader keeps decoded blocks by program, so the programs go after it. */
  struct tly_view_program **programs = TLY_ARENA_ARRAY(arena, struct tly_view_program *, job->view_count);
  for (uint32_t v = 0; v < job->view_count; v++)
    programs[v] = tly_view_program_new(job->views[v]);
  compare_views(job, programs, speed, arena, result);
  tly_speed_reader_close(speed);
  for (uint32_t v = 0; v < job->view_count; v++)
    tly_view_program_free(programs[v]);
}
