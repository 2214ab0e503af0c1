/* One function a relation. Each gives a value for every column, in the order of system_relation.c: a wrong type or a
 * NULL where none may be is a mistake of this file, and asserted. */
#include "serving_layer/system_rows.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/store/run_reader.h"
#include "serving_layer/store_facts.h"

enum { FIRST_ROWS = 64, RUNS_AT_ONCE = 64, BREAKS_AT_ONCE = 256 };

/* ---- rows -------------------------------------------------------------------------------------------------------- */

void tly_system_rows_init(struct tly_system_rows *rows, const struct tly_system_relation *relation,
                          struct tly_arena *arena, struct tly_control *control) {
  *rows = (struct tly_system_rows){
      .relation = relation, .arena = arena, .control = control, .filled = relation->column_count};
}

enum tly_status tly_system_rows_add(struct tly_system_rows *rows, struct tly_error *error) {
  uint32_t columns = rows->relation->column_count;
  TLY_ASSERT(rows->filled == columns); /* the row before is whole */
  TLY_TRY(tly_control_charge(rows->control, (int64_t)rows->uncharged, error));
  rows->uncharged = 0;
  if (rows->count == rows->capacity) {
    uint32_t capacity = rows->capacity == 0 ? FIRST_ROWS : 2 * rows->capacity;
    TLY_TRY(tly_control_check(rows->control, error));
    TLY_TRY(tly_control_charge(rows->control, (int64_t)((size_t)capacity * columns * sizeof *rows->values), error));
    struct tly_value *values = TLY_ARENA_ARRAY(rows->arena, struct tly_value, (size_t)capacity * columns);
    if (rows->count > 0)
      memcpy(values, rows->values, (size_t)rows->count * columns * sizeof *values);
    rows->values = values;
    rows->capacity = capacity;
  }
  rows->count++;
  rows->filled = 0;
  return TLY_OK;
}

static struct tly_value *next_value(struct tly_system_rows *rows, enum tly_type_id type) {
  const struct tly_system_relation *relation = rows->relation;
  TLY_ASSERT(rows->filled < relation->column_count && relation->columns[rows->filled].type == type);
  struct tly_value *value = &rows->values[(size_t)(rows->count - 1) * relation->column_count + rows->filled++];
  *value = (struct tly_value){.type = TLY_TYPE_OF(type)};
  return value;
}

void tly_system_rows_integer(struct tly_system_rows *rows, int64_t value) {
  enum tly_type_id type = rows->relation->columns[rows->filled].type;
  TLY_ASSERT(tly_type_is_integer(type));
  next_value(rows, type)->i64 = value;
}

void tly_system_rows_text(struct tly_system_rows *rows, const char *text) {
  if (text == NULL) {
    tly_system_rows_null(rows);
    return;
  }
  size_t size = strlen(text);
  rows->uncharged += size;
  next_value(rows, TLY_TYPE_TEXT)->text = (struct tly_text){tly_arena_copy(rows->arena, text, size), (uint32_t)size};
}

void tly_system_rows_time(struct tly_system_rows *rows, int64_t us) {
  next_value(rows, TLY_TYPE_TIMESTAMPTZ)->i64 = us;
}

void tly_system_rows_boolean(struct tly_system_rows *rows, bool value) {
  next_value(rows, TLY_TYPE_BOOLEAN)->i64 = value;
}

void tly_system_rows_hash(struct tly_system_rows *rows, const struct tly_hash *hash) {
  char text[2 * TLY_HASH_BYTES + 1];
  tly_run_hash_print(hash, text);
  tly_system_rows_text(rows, text);
}

void tly_system_rows_null(struct tly_system_rows *rows) {
  TLY_ASSERT(rows->filled < rows->relation->column_count && rows->relation->columns[rows->filled].nullable);
  next_value(rows, rows->relation->columns[rows->filled].type)->is_null = true;
}

const struct tly_value *tly_system_rows_value(const struct tly_system_rows *rows, uint32_t row, uint32_t column) {
  TLY_ASSERT(row < rows->count && column < rows->relation->column_count);
  return &rows->values[(size_t)row * rows->relation->column_count + column];
}

/* What the readers tell as a count: -1 is "not known". */
static void add_count(struct tly_system_rows *rows, int64_t count) {
  if (count < 0)
    tly_system_rows_null(rows);
  else
    tly_system_rows_integer(rows, count);
}

/* What they tell as a number or a time: 0 is "none". */
static void add_number(struct tly_system_rows *rows, int64_t number) {
  add_count(rows, number > 0 ? number : -1);
}

/* ---- relations --------------------------------------------------------------------------------------------------- */

/* Where the rows come from, and places for what they are made of. */
struct look {
  tly_store_source *source;
  const struct tly_project *project;
  tly_speed_reader *speed;  /* in a snapshot, or NULL */
  tly_batch_reader *batch;  /* the same */
  struct tly_arena arena;   /* of a relation, or of some runs */
  struct tly_arena details; /* of one run: drift, events set aside */
  struct tly_error *error;
};

typedef enum tly_status (*run_rows)(struct look *look, struct tly_system_rows *rows, const struct tly_run *run);

/* The rows of each run, newest first. There may be many runs: some are read at once. */
static enum tly_status each_run(struct look *look, struct tly_system_rows *rows, run_rows give) {
  int64_t below = INT64_MAX;
  uint32_t count;
  do {
    struct tly_run *runs;
    tly_arena_reset(&look->arena);
    TLY_TRY(tly_control_check(rows->control, look->error));
    TLY_TRY(tly_facts_runs(look->source, below, RUNS_AT_ONCE, &look->arena, &runs, &count, look->error));
    for (uint32_t i = 0; i < count; i++) {
      TLY_TRY(give(look, rows, &runs[i]));
      below = runs[i].id;
    }
  } while (count == RUNS_AT_ONCE);
  return TLY_OK;
}

static enum tly_status give_run(struct look *look, struct tly_system_rows *rows, const struct tly_run *run) {
  TLY_TRY(tly_system_rows_add(rows, look->error));
  tly_system_rows_integer(rows, run->id);
  tly_system_rows_text(rows, run->state);
  tly_system_rows_text(rows, run->reason);
  tly_system_rows_time(rows, run->started_at_us);
  if (run->finished_at_us == 0)
    tly_system_rows_null(rows);
  else
    tly_system_rows_time(rows, run->finished_at_us);
  tly_system_rows_text(rows, run->job);
  add_number(rows, run->attempt);
  add_count(rows, run->events);
  add_count(rows, run->reused);
  tly_system_rows_boolean(rows, run->is_full);
  add_count(rows, run->drift);
  tly_system_rows_text(rows, run->error);
  tly_system_rows_text(rows, run->sqlstate);
  tly_system_rows_text(rows, run->note);
  tly_system_rows_text(rows, run->hold);
  if (run->released_at_us == 0)
    tly_system_rows_null(rows);
  else
    tly_system_rows_time(rows, run->released_at_us);
  tly_system_rows_text(rows, run->released_by);
  tly_system_rows_text(rows, run->released_reason);
  return TLY_OK;
}

static enum tly_status read_runs(struct look *look, struct tly_system_rows *rows) {
  return each_run(look, rows, give_run);
}

static enum tly_status give_run_views(struct look *look, struct tly_system_rows *rows, const struct tly_run *run) {
  for (uint32_t v = 0; v < run->view_count; v++) {
    const struct tly_run_view *view = &run->views[v];
    TLY_TRY(tly_system_rows_add(rows, look->error));
    tly_system_rows_integer(rows, run->id);
    tly_system_rows_text(rows, view->view);
    tly_system_rows_hash(rows, &view->definition_hash);
    add_count(rows, view->groups);
    add_count(rows, view->folded);
    add_count(rows, view->filtered);
    add_count(rows, view->set_aside);
    add_count(rows, view->drift);
    tly_system_rows_text(rows, view->check);
    tly_system_rows_text(rows, view->verdict);
    tly_system_rows_text(rows, view->found);
  }
  return TLY_OK;
}

static enum tly_status read_run_views(struct look *look, struct tly_system_rows *rows) {
  return each_run(look, rows, give_run_views);
}

static enum tly_status give_run_positions(struct look *look, struct tly_system_rows *rows, const struct tly_run *run) {
  for (uint32_t p = 0; p < run->position_count; p++) {
    const struct tly_position *position = &run->positions[p];
    TLY_TRY(tly_system_rows_add(rows, look->error));
    tly_system_rows_integer(rows, run->id);
    tly_system_rows_text(rows, position->stream);
    tly_system_rows_integer(rows, position->partition);
    tly_system_rows_integer(rows, position->next_offset);
    tly_system_rows_hash(rows, &position->chain);
  }
  return TLY_OK;
}

static enum tly_status read_run_positions(struct look *look, struct tly_system_rows *rows) {
  return each_run(look, rows, give_run_positions);
}

static enum tly_status give_run_drift(struct look *look, struct tly_system_rows *rows, const struct tly_run *run) {
  struct tly_drift_row *drift;
  uint32_t count;
  if (run->drift <= 0)
    return TLY_OK;
  tly_arena_reset(&look->details);
  TLY_TRY(tly_batch_reader_drift(look->batch, run->id, &look->details, &drift, &count, look->error));
  for (uint32_t i = 0; i < count; i++) {
    TLY_TRY(tly_system_rows_add(rows, look->error));
    tly_system_rows_integer(rows, run->id);
    tly_system_rows_text(rows, drift[i].view);
    tly_system_rows_text(rows, drift[i].key);
    tly_system_rows_text(rows, drift[i].live);
    tly_system_rows_text(rows, drift[i].recomputed);
    tly_system_rows_text(rows, drift[i].explanation);
  }
  return TLY_OK;
}

static enum tly_status read_drift(struct look *look, struct tly_system_rows *rows) {
  return each_run(look, rows, give_run_drift);
}

/* `run` 0: live. */
static enum tly_status add_set_aside(struct look *look, struct tly_system_rows *rows, int64_t run,
                                     const struct tly_set_aside_row *events, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    TLY_TRY(tly_system_rows_add(rows, look->error));
    add_number(rows, run);
    tly_system_rows_text(rows, events[i].view);
    tly_system_rows_integer(rows, events[i].partition);
    tly_system_rows_integer(rows, events[i].offset);
    tly_system_rows_text(rows, events[i].sqlstate);
    tly_system_rows_text(rows, events[i].message);
  }
  return TLY_OK;
}

static enum tly_status give_run_set_aside(struct look *look, struct tly_system_rows *rows, const struct tly_run *run) {
  struct tly_set_aside_row *events;
  uint32_t count;
  bool has_events = false;
  for (uint32_t v = 0; v < run->view_count; v++)
    has_events |= run->views[v].set_aside > 0;
  if (!has_events)
    return TLY_OK;
  tly_arena_reset(&look->details);
  TLY_TRY(tly_batch_reader_set_aside(look->batch, run->id, &look->details, &events, &count, look->error));
  return add_set_aside(look, rows, run->id, events, count);
}

static enum tly_status read_set_aside(struct look *look, struct tly_system_rows *rows) {
  struct tly_view_facts *views;
  struct tly_set_aside_row *events;
  uint32_t count;
  TLY_TRY(tly_facts_views(look->source, look->project, look->speed, &look->arena, &views, look->error));
  for (uint32_t v = 0; v < look->project->view_count; v++) {
    const struct tly_published *published = &views[v].published;
    if (published->live_set_aside == 0)
      continue;
    tly_arena_reset(&look->details);
    TLY_TRY(tly_speed_snapshot_set_aside(look->speed, views[v].view, published, &look->details, &events, &count,
                                         look->error));
    TLY_TRY(add_set_aside(look, rows, 0, events, count));
  }
  return each_run(look, rows, give_run_set_aside);
}

static enum tly_status read_views(struct look *look, struct tly_system_rows *rows) {
  struct tly_view_facts *views;
  TLY_TRY(tly_facts_views(look->source, look->project, look->speed, &look->arena, &views, look->error));
  for (uint32_t v = 0; v < look->project->view_count; v++) {
    const struct tly_view *view = views[v].view;
    const struct tly_published *published = &views[v].published;
    const struct tly_run_view *run = &views[v].run;
    TLY_TRY(tly_system_rows_add(rows, look->error));
    tly_system_rows_text(rows, view->name);
    tly_system_rows_text(rows, view->stream->name);
    tly_system_rows_text(rows, published->is_ready ? "ready" : "building");
    tly_system_rows_hash(rows, &view->hash);
    add_number(rows, published->run);
    add_number(rows, published->cut);
    add_count(rows, run->groups);
    tly_system_rows_integer(rows, run->folded + (int64_t)published->live_folded);
    tly_system_rows_integer(rows, run->filtered + (int64_t)published->live_filtered);
    tly_system_rows_integer(rows, run->set_aside + (int64_t)published->live_set_aside);
    tly_system_rows_text(rows, view->recompute);
    tly_system_rows_text(rows, view->time_zone);
    tly_system_rows_text(rows, view->check != NULL ? view->check->text : NULL);
    add_number(rows, views[v].held);
  }
  return TLY_OK;
}

static enum tly_status read_streams(struct look *look, struct tly_system_rows *rows) {
  for (uint32_t s = 0; s < look->project->stream_count; s++) {
    const struct tly_stream *stream = &look->project->streams[s];
    TLY_TRY(tly_system_rows_add(rows, look->error));
    tly_system_rows_text(rows, stream->name);
    tly_system_rows_text(rows, stream->format == TLY_FORMAT_CSV ? "csv" : "json");
    tly_system_rows_text(rows, stream->event_time >= 0 ? stream->columns[stream->event_time].name : NULL);
    tly_system_rows_hash(rows, &stream->hash);
  }
  return TLY_OK;
}

static enum tly_status read_partitions(struct look *look, struct tly_system_rows *rows) {
  struct tly_partition_facts *partitions;
  uint32_t count;
  TLY_TRY(
      tly_facts_partitions(look->source, look->project, look->speed, &look->arena, &partitions, &count, look->error));
  for (uint32_t i = 0; i < count; i++) {
    TLY_TRY(tly_system_rows_add(rows, look->error));
    tly_system_rows_text(rows, partitions[i].stream->name);
    tly_system_rows_integer(rows, partitions[i].partition);
    tly_system_rows_integer(rows, partitions[i].archived);
    tly_system_rows_integer(rows, partitions[i].folded);
    tly_system_rows_integer(rows, tly_partition_lag(&partitions[i]));
  }
  return TLY_OK;
}

static enum tly_status give_reconciliation(struct look *look, struct tly_system_rows *rows,
                                           const struct tly_reconciliation *reconciliation) {
  const int64_t counts[] = {reconciliation->keys,     reconciliation->matched,   reconciliation->within_tolerance,
                            reconciliation->breaks,   reconciliation->new_count, reconciliation->carried,
                            reconciliation->reopened, reconciliation->cleared};
  TLY_TRY(tly_system_rows_add(rows, look->error));
  tly_system_rows_integer(rows, reconciliation->id);
  tly_system_rows_text(rows, reconciliation->view);
  tly_system_rows_text(rows, reconciliation->ledger);
  tly_system_rows_text(rows, reconciliation->reason);
  tly_system_rows_time(rows, reconciliation->started_at_us);
  tly_system_rows_time(rows, reconciliation->finished_at_us);
  tly_system_rows_text(rows, reconciliation->result);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    add_count(rows, counts[i]);
  tly_system_rows_text(rows, reconciliation->tolerance);
  tly_system_rows_hash(rows, &reconciliation->definition_hash);
  if (reconciliation->has_ledger_hash)
    tly_system_rows_hash(rows, &reconciliation->ledger_hash);
  else
    tly_system_rows_null(rows);
  tly_system_rows_text(rows, reconciliation->totals);
  tly_system_rows_text(rows, reconciliation->error);
  tly_system_rows_text(rows, reconciliation->sqlstate);
  return TLY_OK;
}

/* NULL: there is no batch.db yet. */
static enum tly_status break_reader(struct look *look, tly_break_reader **out) {
  enum tly_status status = tly_store_source_breaks(look->source, out, look->error);
  if (status == TLY_E_NOT_READY)
    *out = NULL;
  return status == TLY_E_NOT_READY ? TLY_OK : status;
}

static enum tly_status read_reconciliations(struct look *look, struct tly_system_rows *rows) {
  tly_break_reader *reader;
  struct tly_reconciliation *all;
  uint32_t count = 0;
  TLY_TRY(break_reader(look, &reader));
  if (reader != NULL)
    TLY_TRY(tly_break_reader_reconciliations(reader, NULL, NULL, UINT32_MAX, &look->arena, &all, &count, look->error));
  for (uint32_t i = 0; i < count; i++)
    TLY_TRY(give_reconciliation(look, rows, &all[i]));
  return TLY_OK;
}

static enum tly_status give_break(struct look *look, struct tly_system_rows *rows, const struct tly_break_row *row) {
  TLY_TRY(tly_system_rows_add(rows, look->error));
  tly_system_rows_integer(rows, row->id);
  tly_system_rows_text(rows, row->view);
  tly_system_rows_text(rows, row->ledger);
  tly_system_rows_text(rows, row->key);
  tly_system_rows_text(rows, row->column);
  tly_system_rows_text(rows, row->kind);
  tly_system_rows_text(rows, row->status);
  tly_system_rows_boolean(rows, row->is_present);
  tly_system_rows_integer(rows, row->first_seen);
  tly_system_rows_time(rows, row->first_seen_at_us);
  tly_system_rows_integer(rows, row->last_seen);
  tly_system_rows_time(rows, row->last_seen_at_us);
  tly_system_rows_integer(rows, row->times_seen);
  tly_system_rows_time(rows, row->since_us);
  if (row->gone_at_us == 0)
    tly_system_rows_null(rows);
  else
    tly_system_rows_time(rows, row->gone_at_us);
  tly_system_rows_text(rows, row->tally);
  tly_system_rows_text(rows, row->ledger_side);
  tly_system_rows_text(rows, row->difference);
  return TLY_OK;
}

/* A page at a time: there may be many. */
static enum tly_status read_breaks(struct look *look, struct tly_system_rows *rows) {
  struct tly_break_filter filter = {.with_resolved = true};
  tly_break_reader *reader;
  struct tly_break_row *page;
  uint32_t count = 0;
  TLY_TRY(break_reader(look, &reader));
  if (reader == NULL)
    return TLY_OK;
  do {
    tly_arena_reset(&look->arena);
    TLY_TRY(tly_break_reader_breaks(reader, &filter, BREAKS_AT_ONCE, &look->arena, &page, &count, look->error));
    for (uint32_t i = 0; i < count; i++)
      TLY_TRY(give_break(look, rows, &page[i]));
    if (count > 0)
      filter.after = page[count - 1].id;
  } while (count == BREAKS_AT_ONCE);
  return TLY_OK;
}

typedef enum tly_status (*row_reader)(struct look *look, struct tly_system_rows *rows);

static const row_reader readers[TLY_SYSTEM_RELATION_COUNT] = {
    [TLY_SYSTEM_RUNS] = read_runs,
    [TLY_SYSTEM_RUN_VIEWS] = read_run_views,
    [TLY_SYSTEM_RUN_POSITIONS] = read_run_positions,
    [TLY_SYSTEM_DRIFT] = read_drift,
    [TLY_SYSTEM_SET_ASIDE] = read_set_aside,
    [TLY_SYSTEM_VIEWS] = read_views,
    [TLY_SYSTEM_STREAMS] = read_streams,
    [TLY_SYSTEM_PARTITIONS] = read_partitions,
    [TLY_SYSTEM_RECONCILIATIONS] = read_reconciliations,
    [TLY_SYSTEM_BREAKS] = read_breaks,
};

static enum tly_status read_all(struct look *look, struct tly_system_rows *const *rows) {
  for (uint32_t i = 0; i < TLY_SYSTEM_RELATION_COUNT; i++) {
    if (rows[i] == NULL)
      continue;
    TLY_ASSERT(rows[i]->relation->id == i);
    tly_arena_reset(&look->arena);
    TLY_TRY(readers[i](look, rows[i]));
    TLY_ASSERT(rows[i]->filled == rows[i]->relation->column_count);
  }
  return TLY_OK;
}

enum tly_status tly_system_rows_read(struct tly_system_rows *const rows[TLY_SYSTEM_RELATION_COUNT],
                                     tly_store_source *source, const struct tly_project *project,
                                     tly_speed_reader *speed, struct tly_error *error) {
  struct look look = {.source = source, .project = project, .speed = speed, .error = error};
  TLY_TRY(tly_facts_batch(source, &look.batch, error));
  if (look.batch != NULL)
    TLY_TRY(tly_batch_snapshot_begin(look.batch, error));
  tly_arena_init(&look.arena);
  tly_arena_init(&look.details);
  enum tly_status status = read_all(&look, rows);
  tly_arena_free(&look.arena);
  tly_arena_free(&look.details);
  if (look.batch != NULL)
    tly_batch_snapshot_end(look.batch);
  return status;
}
