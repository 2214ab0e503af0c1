#include "serving_layer/store_facts.h"

#include <string.h>

#include "common/sql/view_schedule.h"

/* A store that is not there yet is an empty one. */
static bool is_absent(enum tly_status status) {
  return status == TLY_E_NOT_READY;
}

enum tly_status tly_facts_begin(tly_store_source *source, tly_speed_reader **speed, struct tly_error *error) {
  enum tly_status status = tly_store_source_speed(source, speed, error);
  if (status == TLY_OK)
    status = tly_speed_snapshot_begin(*speed, error);
  if (status != TLY_OK)
    *speed = NULL;
  return is_absent(status) ? TLY_OK : status;
}

enum tly_status tly_facts_batch(tly_store_source *source, tly_batch_reader **batch, struct tly_error *error) {
  *batch = NULL;
  enum tly_status status = tly_store_source_batch(source, batch, error);
  return is_absent(status) ? TLY_OK : status;
}

enum tly_status tly_facts_runs(tly_store_source *source, int64_t below, uint32_t max, struct tly_arena *arena,
                               struct tly_run **out, uint32_t *count, struct tly_error *error) {
  tly_batch_reader *batch;
  *out = NULL;
  *count = 0;
  TLY_TRY(tly_facts_batch(source, &batch, error));
  return batch == NULL ? TLY_OK : tly_batch_reader_runs(batch, below, max, arena, out, count, error);
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

/* What batch.db knows of a published run's view. */
static enum tly_status run_facts(tly_store_source *source, int64_t run, const char *view, struct tly_run_view *out,
                                 struct tly_error *error) {
  struct tly_arena arena;
  tly_batch_reader *batch;
  struct tly_run facts;
  *out = (struct tly_run_view){.groups = -1};
  if (run == 0)
    return TLY_OK;
  TLY_TRY(tly_store_source_batch(source, &batch, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_run(batch, run, &arena, &facts, error);
  for (uint32_t i = 0; status == TLY_OK && i < facts.view_count; i++)
    if (strcmp(facts.views[i].view, view) == 0)
      *out = facts.views[i];
  out->view = out->check = out->verdict = out->found = NULL; /* they end with the arena */
  tly_arena_free(&arena);
  return status;
}

/* What batch.db remembers of schedules. */
static enum tly_status read_schedules(tly_store_source *source, struct tly_arena *arena, struct tly_schedule_row **out,
                                      uint32_t *count, struct tly_error *error) {
  tly_batch_reader *batch;
  *out = NULL;
  *count = 0;
  TLY_TRY(tly_facts_batch(source, &batch, error));
  return batch == NULL ? TLY_OK : tly_batch_reader_schedules(batch, arena, out, count, error);
}

static const struct tly_schedule_row *schedule_of(const struct tly_view *view, const struct tly_schedule_row *schedules,
                                                  uint32_t count) {
  for (uint32_t i = 0; view->recompute != NULL && i < count; i++)
    if (strcmp(schedules[i].name, tly_view_schedule_name(view)) == 0)
      return &schedules[i];
  return NULL;
}

/* Runs that are kept; none when there is no batch.db yet. */
static enum tly_status kept_runs(tly_store_source *source, struct tly_arena *arena, struct tly_run **runs,
                                 uint32_t *count, struct tly_error *error) {
  tly_batch_reader *batch;
  *runs = NULL;
  *count = 0;
  TLY_TRY(tly_facts_batch(source, &batch, error));
  return batch == NULL ? TLY_OK : tly_batch_reader_kept(batch, arena, runs, count, error);
}

static int64_t find_held(const struct tly_view *view, int64_t published, const struct tly_run *runs, uint32_t count) {
  for (uint32_t r = count; r > 0 && runs[r - 1].id > published; r--)
    for (uint32_t v = 0; v < runs[r - 1].view_count && strcmp(runs[r - 1].state, "held") == 0; v++)
      if (strcmp(runs[r - 1].views[v].view, view->name) == 0)
        return runs[r - 1].id;
  return 0;
}

enum tly_status tly_facts_views(tly_store_source *source, const struct tly_project *project, tly_speed_reader *speed,
                                struct tly_arena *arena, struct tly_view_facts **out, struct tly_error *error) {
  struct tly_view_facts *facts = TLY_ARENA_ARRAY(arena, struct tly_view_facts, project->view_count);
  struct tly_schedule_row *schedules;
  struct tly_run *kept;
  uint32_t schedule_count, kept_count;
  *out = facts;
  TLY_TRY(read_schedules(source, arena, &schedules, &schedule_count, error));
  TLY_TRY(kept_runs(source, arena, &kept, &kept_count, error));
  for (uint32_t i = 0; i < project->view_count; i++) {
    facts[i].view = &project->views[i];
    facts[i].schedule = schedule_of(facts[i].view, schedules, schedule_count);
    enum tly_status status =
        speed != NULL ? tly_speed_snapshot_view(speed, facts[i].view, &facts[i].published, error) : TLY_OK;
    if (is_absent(status)) /* not there yet, or another definition: being built */
      status = TLY_OK;
    TLY_TRY(status);
    TLY_TRY(run_facts(source, facts[i].published.run, facts[i].view->name, &facts[i].run, error));
    facts[i].held = find_held(facts[i].view, facts[i].published.run, kept, kept_count);
  }
  return TLY_OK;
}

/* ---- partitions -------------------------------------------------------------------------------------------------- */

static int64_t folded_of(const struct tly_position *positions, uint32_t count, const struct tly_position *head) {
  for (uint32_t i = 0; i < count; i++)
    if (positions[i].partition == head->partition && strcmp(positions[i].stream, head->stream) == 0)
      return positions[i].next_offset;
  return 0;
}

enum tly_status tly_facts_heads(tly_store_source *source, struct tly_arena *arena, struct tly_position **out,
                                uint32_t *count, struct tly_error *error) {
  tly_archive_reader *archive;
  *out = NULL;
  *count = 0;
  enum tly_status status = tly_store_source_archive(source, &archive, error);
  if (status == TLY_OK)
    status = tly_archive_reader_heads(archive, arena, out, count, error);
  return is_absent(status) ? TLY_OK : status;
}

enum tly_status tly_facts_partitions(tly_store_source *source, const struct tly_project *project,
                                     tly_speed_reader *speed, struct tly_arena *arena, struct tly_partition_facts **out,
                                     uint32_t *count, struct tly_error *error) {
  struct tly_position *heads, *folded = NULL;
  uint32_t head_count, folded_count = 0;
  *count = 0;
  if (speed != NULL)
    TLY_TRY(tly_speed_snapshot_positions(speed, NULL, arena, &folded, &folded_count, error));
  TLY_TRY(tly_facts_heads(source, arena, &heads, &head_count, error));
  *out = TLY_ARENA_ARRAY(arena, struct tly_partition_facts, head_count + project->stream_count);
  for (uint32_t s = 0; s < project->stream_count; s++) {
    const struct tly_stream *stream = &project->streams[s];
    uint32_t first = *count;
    for (uint32_t i = 0; i < head_count; i++)
      if (strcmp(heads[i].stream, stream->name) == 0)
        (*out)[(*count)++] = (struct tly_partition_facts){.stream = stream,
                                                          .partition = heads[i].partition,
                                                          .archived = heads[i].next_offset,
                                                          .folded = folded_of(folded, folded_count, &heads[i])};
    if (*count == first)
      (*out)[(*count)++] = (struct tly_partition_facts){.stream = stream};
  }
  return TLY_OK;
}
