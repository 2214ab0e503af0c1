/* The snapshot covers the copy of the live groups and nothing else: nothing that a reader holds may keep the speed
 * layer from moving its log. The published run is opened within it, which locks its folder; its blocks are read later.
 * Between the commit that publishes the next run and the opening of the last one, the last one may be deleted: then the
 * snapshot is taken anew, and shows the next one.
 *
 * The copy goes by key ranges of RANGE_BLOCKS blocks of the run, so that a range, not the view, is held in memory. */
#include "batch_layer/merged_view.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "batch_layer/sorted_groups.h"
#include "common/base/clock.h"
#include "common/base/give_way.h"
#include "common/base/memory.h"
#include "common/store/batch_reader.h"
#include "common/store/run_reader.h"

enum { RANGE_BLOCKS = 64, SOURCE_GROUPS = 2048, POLL_FIRST_US = 1000, POLL_LAST_US = 50000, OPEN_ATTEMPTS = 5 };

/* One part: the run's groups and the live ones. */
struct part {
  tly_sorted_groups *live; /* NULL: not needed */
  tly_sorted_cursor *cursor;
  struct tly_group_source run;
  tly_merge *merge;
};

struct tly_merged_view {
  struct tly_merged_view_options options;
  struct tly_view_program *program;
  tly_speed_reader *speed;
  tly_run_reader *run; /* NULL: none is published */
  struct tly_published published;
  struct tly_spill_file spill;
  bool *needed;
  struct part *parts;
  tly_view_walk *walk;
  struct tly_arena arena; /* of the facts */
  struct tly_merged_view_facts facts;
};

/* ---- the instant ------------------------------------------------------------------------------------------------- */

/* The ends of the stream's partitions; none when nothing was ever archived. */
static enum tly_status read_heads(tly_merged_view *merged, struct tly_position **heads, uint32_t *count,
                                  struct tly_error *error) {
  const struct tly_merged_view_options *options = &merged->options;
  tly_archive_reader *archive;
  *count = 0;
  enum tly_status status = tly_archive_reader_open(options->directory, options->project, &archive, error);
  if (status == TLY_E_NOT_READY)
    return TLY_OK;
  if (status != TLY_OK)
    return status;
  status = tly_archive_reader_heads(archive, &merged->arena, heads, count, error);
  tly_archive_reader_close(archive);
  return status;
}

static int64_t folded_up_to(const struct tly_merged_view_facts *facts, const struct tly_position *wanted) {
  for (uint32_t i = 0; i < facts->live_count; i++)
    if (facts->live[i].partition == wanted->partition)
      return facts->live[i].next_offset;
  return 0;
}

/* Begin a snapshot and look how many events below `heads` are not folded in it. It is ended when it does not serve. */
static enum tly_status begin_snapshot(tly_merged_view *merged, const struct tly_position *heads, uint32_t head_count,
                                      int64_t *behind, struct tly_error *error) {
  const struct tly_merged_view_options *options = &merged->options;
  struct tly_merged_view_facts *facts = &merged->facts;
  const struct tly_stream *stream = options->view->stream;
  if (merged->speed == NULL)
    TLY_TRY(tly_speed_reader_open(options->directory, options->project, &merged->speed, error));
  TLY_TRY(tly_speed_snapshot_begin(merged->speed, error));
  enum tly_status status =
      tly_speed_snapshot_positions(merged->speed, stream, &merged->arena, &facts->live, &facts->live_count, error);
  if (status == TLY_OK)
    status = tly_speed_snapshot_view(merged->speed, options->view, &merged->published, error);
  *behind = 0;
  for (uint32_t i = 0; status == TLY_OK && i < head_count; i++) {
    int64_t folded = folded_up_to(facts, &heads[i]);
    if (strcmp(heads[i].stream, stream->name) == 0 && folded < heads[i].next_offset)
      *behind += heads[i].next_offset - folded;
  }
  if (status != TLY_OK || *behind > 0)
    tly_speed_snapshot_end(merged->speed);
  return status;
}

/* A snapshot with every event below `heads` in it. */
static enum tly_status wait_for_snapshot(tly_merged_view *merged, const struct tly_position *heads, uint32_t head_count,
                                         struct tly_error *error) {
  int64_t last_behind = INT64_MAX, moved_at = tly_clock_monotonic_us(&tly_clock_real), pause_us = POLL_FIRST_US;
  for (;;) {
    int64_t behind = INT64_MAX, now = tly_clock_monotonic_us(&tly_clock_real);
    enum tly_status status = begin_snapshot(merged, heads, head_count, &behind, error);
    if (status == TLY_OK && behind == 0)
      return TLY_OK;
    if (status != TLY_OK && !tly_status_is_retriable(status))
      return status;
    if (status == TLY_OK && behind < last_behind) {
      last_behind = behind;
      moved_at = now;
    }
    if (now - moved_at > (int64_t)merged->options.wait_ms * 1000)
      return status != TLY_OK
                 ? status
                 : TLY_FAIL(error, TLY_E_NOT_READY,
                            "the speed layer is %" PRId64 " events behind the archive and does not move", behind);
    nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
    pause_us = 2 * pause_us < POLL_LAST_US ? 2 * pause_us : POLL_LAST_US;
  }
}

/* ---- live groups ------------------------------------------------------------------------------------------------- */

/* The live groups of one range, behind those that were copied before. */
static enum tly_status copy_range(tly_merged_view *merged, uint32_t part, struct tly_text low, struct tly_text high,
                                  struct tly_error *error) {
  const struct tly_published *published = &merged->published;
  tly_group_table *table = tly_group_table_new(merged->program, part);
  enum tly_status status = tly_speed_snapshot_groups(merged->speed, merged->program, published->view_id, part,
                                                     published->cut, INT64_MAX, low, high, table, error);
  if (status == TLY_OK)
    status = tly_group_table_drain(table, SOURCE_GROUPS, tly_sorted_groups_append, merged->parts[part].live, error);
  tly_group_table_free(table);
  return status;
}

static enum tly_status copy_part(tly_merged_view *merged, uint32_t part, struct tly_error *error) {
  uint32_t blocks = merged->run != NULL ? tly_run_reader_block_count(merged->run, part) : 0;
  struct tly_text low = {.data = NULL}, high;
  uint32_t first = 0;
  do {
    uint32_t end = blocks - first > RANGE_BLOCKS ? first + RANGE_BLOCKS : blocks;
    high = end < blocks ? tly_run_reader_block(merged->run, part, end).first_key : (struct tly_text){.data = NULL};
    TLY_TRY(copy_range(merged, part, low, high, error));
    low = high;
    first = end;
  } while (first < blocks);
  return TLY_OK;
}

static enum tly_status copy_live(tly_merged_view *merged, struct tly_error *error) {
  enum tly_status status = TLY_OK;
  for (uint32_t p = 0; status == TLY_OK && p < merged->program->part_count; p++)
    if (merged->needed[p]) {
      merged->parts[p].live = tly_sorted_groups_new(merged->program, p, &merged->spill);
      if (merged->published.live_folded > 0)
        status = copy_part(merged, p, error);
    }
  return status;
}

/* Within the snapshot. TLY_E_IN_USE: the run was deleted meanwhile, look again. */
static enum tly_status take_state(tly_merged_view *merged, struct tly_error *error) {
  const struct tly_published *published = &merged->published;
  const struct tly_view *view = merged->options.view;
  if (!published->is_ready || memcmp(&published->definition_hash, &view->hash, sizeof published->definition_hash) != 0)
    return TLY_FAIL(error, TLY_E_NOT_READY, "view \"%s\" is still being built from the archive", view->name);
  if (published->run > 0) {
    enum tly_status status =
        tly_run_reader_open(merged->options.directory, published->run, merged->program, &merged->run, error);
    if (status != TLY_OK)
      return status == TLY_E_NOT_READY ? TLY_E_IN_USE : status;
  }
  return copy_live(merged, error);
}

/* ---- what it stands on ------------------------------------------------------------------------------------------- */

static void keep_cut(tly_merged_view *merged, const struct tly_run *run) {
  struct tly_merged_view_facts *facts = &merged->facts;
  const struct tly_view *view = merged->options.view;
  facts->cut = TLY_ARENA_ARRAY(&merged->arena, struct tly_position, run->position_count);
  for (uint32_t i = 0; i < run->position_count; i++)
    if (strcmp(run->positions[i].stream, view->stream->name) == 0)
      facts->cut[facts->cut_count++] = run->positions[i];
  for (uint32_t i = 0; i < run->view_count; i++)
    if (strcmp(run->views[i].view, view->name) == 0 && run->views[i].set_aside > 0)
      facts->set_aside += (uint64_t)run->views[i].set_aside;
}

static enum tly_status read_facts(tly_merged_view *merged, struct tly_error *error) {
  const struct tly_merged_view_options *options = &merged->options;
  struct tly_run run;
  tly_batch_reader *batch;
  merged->facts.run = merged->published.run;
  merged->facts.set_aside = merged->published.live_set_aside;
  if (merged->published.run == 0)
    return TLY_OK;
  TLY_TRY(tly_batch_reader_open(options->directory, options->project, &batch, error));
  enum tly_status status = tly_batch_reader_run(batch, merged->published.run, &merged->arena, &run, error);
  if (status == TLY_OK)
    keep_cut(merged, &run);
  tly_batch_reader_close(batch);
  return status;
}

const struct tly_merged_view_facts *tly_merged_view_facts(const tly_merged_view *merged) {
  return &merged->facts;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static enum tly_status open_part(tly_merged_view *merged, uint32_t number, struct tly_error *error) {
  struct part *part = &merged->parts[number];
  struct tly_text unbounded = {.data = NULL};
  struct tly_group_source sources[2];
  uint32_t count = 0;
  part->cursor = tly_sorted_cursor_new(part->live, unbounded, unbounded);
  sources[count++] = tly_sorted_cursor_source(part->cursor);
  if (merged->run != NULL) {
    TLY_TRY(tly_run_reader_scan(merged->run, number, unbounded, unbounded, &part->run, error));
    sources[count++] = part->run;
  }
  part->merge = tly_merge_new(merged->program, number, sources, count);
  return TLY_OK;
}

static enum tly_status open_walk(tly_merged_view *merged, struct tly_error *error) {
  uint32_t part_count = merged->program->part_count;
  struct tly_group_source *parts = tly_calloc(part_count, sizeof *parts);
  enum tly_status status = TLY_OK;
  for (uint32_t p = 0; status == TLY_OK && p < part_count; p++)
    if (merged->needed[p]) {
      status = open_part(merged, p, error);
      if (status == TLY_OK)
        parts[p] = tly_merge_source(merged->parts[p].merge);
    }
  if (status == TLY_OK)
    merged->walk = tly_view_walk_new(merged->program, parts, merged->options.wanted);
  tly_free(parts);
  return status;
}

enum tly_status tly_merged_view_next(tly_merged_view *merged, struct tly_view_rows *out, struct tly_error *error) {
  tly_give_way();
  return tly_view_walk_next(merged->walk, out, error);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static void forget_state(tly_merged_view *merged) {
  for (uint32_t p = 0; p < merged->program->part_count; p++) {
    struct part *part = &merged->parts[p];
    if (part->merge != NULL)
      tly_merge_free(part->merge);
    if (part->run.context != NULL)
      tly_run_reader_end_scan(merged->run, &part->run);
    if (part->cursor != NULL)
      tly_sorted_cursor_free(part->cursor);
    tly_sorted_groups_free(part->live);
    *part = (struct part){0};
  }
  if (merged->run != NULL)
    tly_run_reader_close(merged->run);
  merged->run = NULL;
}

static enum tly_status take_snapshot(tly_merged_view *merged, struct tly_error *error) {
  struct tly_position *heads = NULL;
  uint32_t head_count;
  TLY_TRY(read_heads(merged, &heads, &head_count, error));
  for (int attempt = 1;; attempt++) {
    TLY_TRY(wait_for_snapshot(merged, heads, head_count, error));
    enum tly_status status = take_state(merged, error);
    tly_speed_snapshot_end(merged->speed);
    if (status != TLY_E_IN_USE || attempt == OPEN_ATTEMPTS)
      return status;
    forget_state(merged);
  }
}

static enum tly_status open_view(tly_merged_view *merged, struct tly_error *error) {
  TLY_TRY(tly_spill_file_open(merged->options.directory, &merged->spill, error));
  TLY_TRY(take_snapshot(merged, error));
  TLY_TRY(read_facts(merged, error));
  return open_walk(merged, error);
}

enum tly_status tly_merged_view_open(const struct tly_merged_view_options *options, tly_merged_view **out,
                                     struct tly_error *error) {
  tly_merged_view *merged = tly_calloc(1, sizeof *merged);
  merged->options = *options;
  merged->spill.fd = -1;
  merged->program = tly_view_program_new(options->view);
  merged->parts = tly_calloc(merged->program->part_count, sizeof *merged->parts);
  merged->needed = tly_calloc(merged->program->part_count, sizeof *merged->needed);
  tly_view_needed_parts(merged->program, options->wanted, merged->needed);
  tly_arena_init(&merged->arena);
  enum tly_status status = open_view(merged, error);
  *out = merged;
  if (status != TLY_OK) {
    tly_merged_view_close(merged);
    *out = NULL;
  }
  return status;
}

void tly_merged_view_close(tly_merged_view *merged) {
  if (merged == NULL)
    return;
  tly_view_walk_free(merged->walk);
  forget_state(merged);
  tly_spill_file_close(&merged->spill);
  tly_speed_reader_close(merged->speed); /* keeps decoded blocks by program: before the program */
  tly_view_program_free(merged->program);
  tly_arena_free(&merged->arena);
  tly_free(merged->parts);
  tly_free(merged->needed);
  tly_free(merged);
}
