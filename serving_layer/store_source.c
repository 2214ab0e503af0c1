#include "serving_layer/store_source.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/store/run_reader.h"
#include "serving_layer/store_facts.h"
#include "serving_layer/system_rows.h"

/* A run of a view that is open, and what batch.db says of it. */
struct open_run {
  const struct tly_view_program *program;
  int64_t run;
  tly_run_reader *reader;
  bool is_asked_for;  /* by its number: let go with the statement */
  int64_t used_at_us; /* when a statement last took its state */
  uint64_t set_aside;
  int64_t *offsets; /* its cut on the view's stream, by partition */
  uint32_t partitions;
};

/* A thread that is busy with other views must not keep this one's superseded runs from being deleted. */
enum { KEPT_UNUSED_US = 5000000 };

struct tly_store_source {
  char *directory;
  const struct tly_programs *programs;
  tly_speed_reader *speed;
  tly_batch_reader *batch;
  tly_break_reader *breaks;
  tly_archive_reader *archive;
  struct open_run *runs;
  uint32_t run_count, run_capacity;
  struct tly_arena arena;     /* of the current look: positions */
  tly_block_cache *run_cache; /* of all runs; NULL: each its own */
};

tly_store_source *tly_store_source_new(const char *directory, const struct tly_programs *programs) {
  tly_store_source *source = tly_calloc(1, sizeof *source);
  source->directory = tly_strdup(directory);
  source->programs = programs;
  tly_arena_init(&source->arena);
  return source;
}

void tly_store_source_set_cache(tly_store_source *source, size_t run_bytes_max) {
  TLY_ASSERT(source->run_cache == NULL && source->run_count == 0);
  source->run_cache = tly_block_cache_new(run_bytes_max);
}

static void close_run(tly_store_source *source, uint32_t index) {
  tly_run_reader_close(source->runs[index].reader);
  tly_free(source->runs[index].offsets);
  source->runs[index] = source->runs[--source->run_count];
}

void tly_store_source_rest(tly_store_source *source) {
  while (source->run_count > 0)
    close_run(source, source->run_count - 1);
}

void tly_store_source_free(tly_store_source *source) {
  if (source == NULL)
    return;
  tly_store_source_rest(source);
  tly_block_cache_free(source->run_cache);
  tly_speed_reader_close(source->speed);
  if (source->batch != NULL)
    tly_batch_reader_close(source->batch);
  tly_break_reader_close(source->breaks);
  if (source->archive != NULL)
    tly_archive_reader_close(source->archive);
  tly_free(source->runs);
  tly_arena_free(&source->arena);
  tly_free(source->directory);
  tly_free(source);
}

enum tly_status tly_store_source_speed(tly_store_source *source, tly_speed_reader **out, struct tly_error *error) {
  if (source->speed == NULL)
    TLY_TRY(tly_speed_reader_open(source->directory, source->programs->project, &source->speed, error));
  *out = source->speed;
  return TLY_OK;
}

enum tly_status tly_store_source_breaks(tly_store_source *source, tly_break_reader **out, struct tly_error *error) {
  if (source->breaks == NULL)
    TLY_TRY(tly_break_reader_open(source->directory, &source->breaks, error));
  *out = source->breaks;
  return TLY_OK;
}

enum tly_status tly_store_source_batch(tly_store_source *source, tly_batch_reader **out, struct tly_error *error) {
  if (source->batch == NULL)
    TLY_TRY(tly_batch_reader_open(source->directory, source->programs->project, &source->batch, error));
  *out = source->batch;
  return TLY_OK;
}

enum tly_status tly_store_source_archive(tly_store_source *source, tly_archive_reader **out, struct tly_error *error) {
  if (source->archive == NULL)
    TLY_TRY(tly_archive_reader_open(source->directory, source->programs->project, &source->archive, error));
  *out = source->archive;
  return TLY_OK;
}

enum tly_status tly_store_source_version(tly_store_source *source, uint64_t *out, struct tly_error *error) {
  tly_speed_reader *speed;
  TLY_TRY(tly_store_source_speed(source, &speed, error));
  return tly_speed_reader_version(speed, out, error);
}

/* ---- one look ---------------------------------------------------------------------------------------------------- */

static enum tly_status begin(void *context, struct tly_error *error) {
  tly_store_source *source = context;
  tly_speed_reader *speed;
  TLY_TRY(tly_store_source_speed(source, &speed, error));
  tly_arena_reset(&source->arena);
  return tly_speed_snapshot_begin(speed, error);
}

static void end(void *context) {
  tly_store_source *source = context;
  tly_speed_snapshot_end(source->speed);
}

/* Positions of one stream as an array by partition; partitions that are not listed had no event: 0. */
static int64_t *offsets_of(const struct tly_position *positions, uint32_t count, const char *stream,
                           uint32_t *partitions, struct tly_arena *arena) {
  *partitions = 0;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(positions[i].stream, stream) == 0 && positions[i].partition >= *partitions)
      *partitions = positions[i].partition + 1;
  TLY_ASSERT(*partitions <= TLY_PARTITIONS_MAX);
  int64_t *offsets =
      arena != NULL ? TLY_ARENA_ARRAY(arena, int64_t, *partitions) : tly_calloc(*partitions, sizeof *offsets);
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(positions[i].stream, stream) == 0)
      offsets[positions[i].partition] = positions[i].next_offset;
  return offsets;
}

static enum tly_status read_run_facts(tly_store_source *source, struct open_run *run, struct tly_error *error) {
  const struct tly_view *view = run->program->view;
  struct tly_arena arena;
  struct tly_run facts;
  tly_batch_reader *batch;
  TLY_TRY(tly_store_source_batch(source, &batch, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_run(batch, run->run, &arena, &facts, error);
  if (status == TLY_OK) {
    run->offsets = offsets_of(facts.positions, facts.position_count, view->stream->name, &run->partitions, NULL);
    for (uint32_t i = 0; i < facts.view_count; i++)
      if (strcmp(facts.views[i].view, view->name) == 0 && facts.views[i].set_aside > 0)
        run->set_aside = (uint64_t)facts.views[i].set_aside;
  }
  tly_arena_free(&arena);
  return status;
}

static struct open_run *find_run(tly_store_source *source, const struct tly_view_program *program, int64_t run) {
  for (uint32_t i = 0; i < source->run_count; i++)
    if (source->runs[i].program == program && source->runs[i].run == run)
      return &source->runs[i];
  return NULL;
}

static enum tly_status open_run(tly_store_source *source, const struct tly_view_program *program, int64_t number,
                                bool is_asked_for, struct open_run **out, struct tly_error *error) {
  *out = find_run(source, program, number);
  if (*out != NULL)
    return TLY_OK;
  if (source->run_count == source->run_capacity) {
    source->run_capacity = source->run_capacity == 0 ? 8 : 2 * source->run_capacity;
    source->runs = tly_realloc_array(source->runs, source->run_capacity, sizeof *source->runs);
  }
  struct open_run run = {.program = program, .run = number, .is_asked_for = is_asked_for};
  TLY_TRY(tly_run_reader_open(source->directory, number, program, &run.reader, error));
  if (source->run_cache != NULL)
    tly_run_reader_share_cache(run.reader, source->run_cache);
  enum tly_status status = read_run_facts(source, &run, error);
  if (status != TLY_OK) {
    tly_run_reader_close(run.reader);
    return status;
  }
  source->runs[source->run_count++] = run;
  *out = &source->runs[source->run_count - 1];
  return TLY_OK;
}

/* Runs of this view that were published before need no longer be kept from deletion. */
static void drop_superseded(tly_store_source *source, const struct tly_view_program *program, int64_t published) {
  for (uint32_t i = source->run_count; i-- > 0;)
    if (source->runs[i].program == program && source->runs[i].run != published && !source->runs[i].is_asked_for)
      close_run(source, i);
}

static enum tly_status run_state(tly_store_source *source, const struct tly_view_program *program, int64_t number,
                                 bool is_asked_for, struct tly_view_state *out, struct tly_error *error) {
  struct open_run *run;
  TLY_TRY(open_run(source, program, number, is_asked_for, &run, error));
  run->used_at_us = tly_clock_monotonic_us(&tly_clock_real);
  out->run = number;
  out->cut = number;
  out->cut_offsets = run->offsets;
  out->cut_partitions = run->partitions;
  out->set_aside = run->set_aside;
  return TLY_OK;
}

static enum tly_status asked_run_state(tly_store_source *source, const struct tly_view_program *program, int64_t run,
                                       struct tly_view_state *out, struct tly_error *error) {
  enum tly_status status = run_state(source, program, run, true, out, error);
  if (status == TLY_E_NOT_READY || status == TLY_E_UNDEFINED_OBJECT)
    return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "run %lld of view \"%s\" does not exist, or is no longer kept",
                    (long long)run, program->view->name);
  return status;
}

static enum tly_status view_state(void *context, const struct tly_view_program *program, int64_t run,
                                  struct tly_view_state *out, struct tly_error *error) {
  tly_store_source *source = context;
  const struct tly_view *view = program->view;
  struct tly_published published;
  struct tly_position *positions;
  uint32_t count;
  *out = (struct tly_view_state){0};
  if (run > 0)
    return asked_run_state(source, program, run, out, error);
  TLY_TRY(tly_speed_snapshot_view(source->speed, view, &published, error));
  if (!published.is_ready)
    return TLY_FAIL(error, TLY_E_NOT_READY, "view \"%s\" is still being built from the archive", view->name);
  drop_superseded(source, program, published.run);
  if (published.run > 0)
    TLY_TRY(run_state(source, program, published.run, false, out, error));
  TLY_TRY(tly_speed_snapshot_positions(source->speed, view->stream, &source->arena, &positions, &count, error));
  out->live_offsets = offsets_of(positions, count, view->stream->name, &out->live_partitions, &source->arena);
  out->has_live = true;
  out->view_id = published.view_id;
  out->run = published.run;
  out->cut = published.cut;
  out->set_aside += published.live_set_aside;
  return TLY_OK;
}

static enum tly_status live(void *context, const struct tly_view_program *program, const struct tly_view_state *state,
                            uint32_t part, struct tly_text low, struct tly_text high, tly_group_table *table,
                            struct tly_error *error) {
  tly_store_source *source = context;
  return tly_speed_snapshot_groups(source->speed, program, state->view_id, part, state->cut, INT64_MAX, low, high,
                                   table, error);
}

enum tly_status tly_store_source_look_up(tly_store_source *source, const struct tly_view_program *program,
                                         const struct tly_view_state *state, struct tly_group_row *row,
                                         struct tly_error *error) {
  struct tly_block_lookup lookup = tly_block_lookup_begin(row);
  if (state->run > 0) {
    struct open_run *run = find_run(source, program, state->run);
    TLY_ASSERT(run != NULL);
    TLY_TRY(tly_run_reader_look_up(run->reader, &lookup, error));
  }
  TLY_TRY(tly_speed_snapshot_look_up(source->speed, program, state->view_id, state->cut, &lookup, error));
  tly_block_lookup_finish(&lookup);
  return TLY_OK;
}

static enum tly_status scan(void *context, const struct tly_view_program *program, int64_t run, uint32_t part,
                            struct tly_text low, struct tly_text high, struct tly_group_source *out,
                            struct tly_error *error) {
  struct open_run *found = find_run(context, program, run);
  TLY_ASSERT(found != NULL);
  return tly_run_reader_scan(found->reader, part, low, high, out, error);
}

static void end_scan(void *context, const struct tly_view_program *program, int64_t run,
                     struct tly_group_source *group_source) {
  struct open_run *found = find_run(context, program, run);
  TLY_ASSERT(found != NULL);
  tly_run_reader_end_scan(found->reader, group_source);
}

static enum tly_status system_rows(void *context, bool is_looking, struct tly_system_rows *const *rows,
                                   struct tly_error *error) {
  tly_store_source *source = context;
  return tly_system_rows_read(rows, source, source->programs->project, is_looking ? source->speed : NULL, error);
}

static enum tly_status heads(void *context, struct tly_arena *arena, struct tly_position **out, uint32_t *count,
                             struct tly_error *error) {
  return tly_facts_heads(context, arena, out, count, error);
}

static enum tly_status archive(void *context, tly_archive_reader **out, struct tly_error *error) {
  const tly_store_source *source = context;
  return tly_archive_reader_open(source->directory, source->programs->project, out, error);
}

static void release(void *context) {
  tly_store_source *source = context;
  int64_t now_us = tly_clock_monotonic_us(&tly_clock_real);
  for (uint32_t i = source->run_count; i-- > 0;)
    if (source->runs[i].is_asked_for || now_us - source->runs[i].used_at_us > KEPT_UNUSED_US)
      close_run(source, i);
}

void tly_store_source_forget(tly_store_source *source, const struct tly_view_program *program) {
  for (uint32_t i = source->run_count; i-- > 0;)
    if (source->runs[i].program == program)
      close_run(source, i);
}

struct tly_source tly_store_source_of(tly_store_source *source) {
  return (struct tly_source){.context = source,
                             .begin = begin,
                             .end = end,
                             .view = view_state,
                             .live = live,
                             .scan = scan,
                             .end_scan = end_scan,
                             .system = system_rows,
                             .heads = heads,
                             .archive = archive,
                             .release = release};
}
