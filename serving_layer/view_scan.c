/* How a merged view is read.
 *
 * Part 0 holds the groups; part i > 0 the i-th count(DISTINCT) set, whose keys are a group's key followed by a value. A
 * scan merges, for each part, the run's blocks with the live copy (tly_merge adds the states of equal keys) and walks
 * all parts side by side: they are sorted alike, and a group's key is a prefix of its distinct rows' keys, so one pass
 * counts them. A slice of groups, its counts and its finished outputs are all that is held at a time.
 *
 * INVARIANTS
 *   (1) A group appears once: both sources of a merge are strictly ascending, and so is what it gives.
 *   (2) Every row of a distinct part belongs to a group of part 0 (the fold writes both from one event), so the walk
 * never meets one that stands below the current group's key. A row that does is corruption, not to be counted. */
#include "serving_layer/view_scan.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

enum { GROUPS_PER_STEP = 1024 };

_Static_assert((int)GROUPS_PER_STEP <= (int)TLY_EVALUATE_ROWS, "a step is finished at once");

/* ---- what is needed ---------------------------------------------------------------------------------------------- */

static void need_parts(const struct tly_view_program *program, const struct tly_expr *expression, bool *needed) {
  if (expression->kind == TLY_EXPR_AGGREGATE)
    needed[program->plans[expression->column].part] = true;
  for (uint32_t i = 0; i < expression->argument_count; i++)
    need_parts(program, expression->arguments[i], needed);
}

void tly_view_needed_parts(const struct tly_view_program *program, const bool *wanted, bool *needed) {
  const struct tly_view *view = program->view;
  memset(needed, 0, program->part_count * sizeof *needed);
  needed[0] = true;
  if (view->having != NULL)
    need_parts(program, view->having, needed);
  for (uint32_t o = 0; o < view->output_count; o++)
    if (wanted == NULL || wanted[o])
      need_parts(program, view->outputs[o].expression, needed);
}

void tly_view_wanted_outputs(const struct tly_view_program *program, uint64_t used, bool *wanted) {
  for (uint32_t i = 0; i < program->view->output_count; i++)
    wanted[i] = (used >> (i < 63 ? i : 63) & 1) != 0;
}

/* ---- uses -------------------------------------------------------------------------------------------------------- */

void tly_view_use_init(struct tly_view_use *use, const struct tly_view_program *program, int64_t run) {
  *use = (struct tly_view_use){.program = program, .run = run, .used = UINT64_MAX};
}

static void free_live(struct tly_view_use *use) {
  if (use->live != NULL)
    for (uint32_t part = 0; part < use->program->part_count; part++)
      tly_group_list_free(&use->live[part]);
  tly_free(use->live);
  use->live = NULL;
}

void tly_view_use_free(struct tly_view_use *use) {
  free_live(use);
  tly_free(use->offsets);
  tly_buffer_free(&use->low);
  tly_buffer_free(&use->high);
}

static struct tly_text bound_of(const struct tly_buffer *buffer) {
  if (buffer->size == 0)
    return (struct tly_text){.data = NULL, .size = 0}; /* open */
  return (struct tly_text){.data = (const char *)buffer->data, .size = (uint32_t)buffer->size};
}

/* The state's arrays are the source's until it lets go of the runs: an answer says later what it rests on. */
static void keep_offsets(struct tly_view_use *use) {
  struct tly_view_state *state = &use->state;
  size_t cut_bytes = state->cut_partitions * sizeof *use->offsets;
  size_t live_bytes = state->live_partitions * sizeof *use->offsets;
  tly_free(use->offsets);
  use->offsets = tly_malloc(cut_bytes + live_bytes);
  if (cut_bytes > 0)
    memcpy(use->offsets, state->cut_offsets, cut_bytes);
  if (live_bytes > 0)
    memcpy(use->offsets + state->cut_partitions, state->live_offsets, live_bytes);
  state->cut_offsets = use->offsets;
  state->live_offsets = use->offsets + state->cut_partitions;
}

static enum tly_status copy_part(struct tly_view_use *use, uint32_t part, const struct tly_source *source,
                                 struct tly_control *control, struct tly_error *error) {
  tly_group_table *table = tly_group_table_new(use->program, part);
  enum tly_status status = source->live(source->context, use->program, &use->state, part, bound_of(&use->low),
                                        bound_of(&use->high), table, error);
  if (status == TLY_OK)
    status = tly_control_charge(control, (int64_t)tly_group_table_bytes(table), error);
  if (status == TLY_OK) {
    int64_t table_bytes = (int64_t)tly_group_table_bytes(table);
    status = tly_group_list_take(&use->live[part], table, error);
    if (status == TLY_OK)
      status = tly_control_charge(control, (int64_t)use->live[part].bytes - table_bytes, error);
  }
  tly_group_table_free(table);
  return status;
}

enum tly_status tly_view_use_open(struct tly_view_use *use, const struct tly_source *source,
                                  struct tly_control *control, struct tly_error *error) {
  TLY_TRY(tly_view_use_look(use, source, error));
  return tly_view_use_copy(use, source, control, error);
}

enum tly_status tly_view_use_look(struct tly_view_use *use, const struct tly_source *source, struct tly_error *error) {
  free_live(use);
  TLY_TRY(source->view(source->context, use->program, use->run, &use->state, error));
  keep_offsets(use);
  return TLY_OK;
}

enum tly_status tly_view_use_copy(struct tly_view_use *use, const struct tly_source *source,
                                  struct tly_control *control, struct tly_error *error) {
  free_live(use);
  if (!use->state.has_live)
    return TLY_OK;
  use->live = tly_calloc(use->program->part_count, sizeof *use->live);
  for (uint32_t part = 0; part < use->program->part_count; part++)
    tly_group_list_init(&use->live[part], use->program, part);
  bool *wanted = tly_calloc(use->program->view->output_count, sizeof *wanted);
  bool *needed = tly_calloc(use->program->part_count, sizeof *needed);
  tly_view_wanted_outputs(use->program, use->used, wanted);
  tly_view_needed_parts(use->program, wanted, needed);
  enum tly_status status = tly_control_check(control, error);
  for (uint32_t part = 0; status == TLY_OK && part < use->program->part_count; part++)
    if (needed[part])
      status = copy_part(use, part, source, control, error);
  tly_free(wanted);
  tly_free(needed);
  return status;
}

void tly_key_append_successor(const void *prefix, size_t size, struct tly_buffer *out) {
  const uint8_t *bytes = prefix;
  while (size > 0 && bytes[size - 1] == 0xff)
    size--;
  if (size == 0)
    return;
  tly_buffer_append(out, bytes, size - 1);
  tly_buffer_append_byte(out, (uint8_t)(bytes[size - 1] + 1));
}

/* ---- scans ------------------------------------------------------------------------------------------------------- */

/* One part's merge, and where the walk stands in it. */
struct stream {
  bool has_run;
  struct tly_group_source run;
  struct tly_group_list_scan live;
  bool has_live;
  tly_merge *merge;
  const struct tly_group_slice *slice; /* distinct parts: what is being walked; NULL: the end */
  uint32_t row;
  bool is_begun;
};

struct tly_view_scan {
  const struct tly_view_use *use;
  const struct tly_source *source;
  struct tly_control *control;
  struct tly_buffer low, high;
  bool *wanted; /* NULL: all */
  bool *needed; /* parts; the others are not read, and their counts not looked at */
  struct stream *streams;
  int64_t **counts; /* one a distinct part, GROUPS_PER_STEP each */
  tly_finisher *finisher;
  struct tly_group_slice empty;
  bool has_given, is_empty_made;
};

static void close_stream(tly_view_scan *scan, struct stream *stream) {
  const struct tly_source *source = scan->source;
  if (stream->merge != NULL)
    tly_merge_free(stream->merge);
  if (stream->has_run)
    source->end_scan(source->context, scan->use->program, scan->use->state.run, &stream->run);
  if (stream->has_live)
    tly_group_list_scan_free(&stream->live);
}

void tly_view_scan_close(tly_view_scan *scan) {
  if (scan == NULL)
    return;
  uint32_t part_count = scan->use->program->part_count;
  for (uint32_t part = 0; part < part_count; part++)
    close_stream(scan, &scan->streams[part]);
  for (uint32_t part = 1; part < part_count; part++)
    tly_free(scan->counts[part - 1]);
  if (scan->is_empty_made)
    tly_group_slice_free(&scan->empty);
  tly_finisher_free(scan->finisher);
  tly_free(scan->counts);
  tly_free(scan->streams);
  tly_free(scan->wanted);
  tly_free(scan->needed);
  tly_buffer_free(&scan->low);
  tly_buffer_free(&scan->high);
  tly_free(scan);
}

/* The narrower of two bounds: `size 0` is open. */
static void narrow(struct tly_buffer *out, struct tly_text own, const struct tly_buffer *use, bool is_low) {
  bool take_use = own.size == 0;
  if (own.size > 0 && use->size > 0) {
    int order = tly_key_compare(own.data, own.size, use->data, use->size);
    take_use = is_low ? order < 0 : order > 0;
  }
  if (take_use)
    tly_buffer_append(out, use->data, use->size);
  else
    tly_buffer_append(out, own.data, own.size);
}

static enum tly_status open_stream(tly_view_scan *scan, uint32_t part, struct tly_error *error) {
  const struct tly_view_use *use = scan->use;
  const struct tly_source *source = scan->source;
  struct stream *stream = &scan->streams[part];
  struct tly_group_source inputs[2];
  uint32_t count = 0;
  struct tly_text low = bound_of(&scan->low), high = bound_of(&scan->high);
  if (use->state.run > 0) {
    TLY_TRY(source->scan(source->context, use->program, use->state.run, part, low, high, &stream->run, error));
    stream->has_run = true;
    inputs[count++] = stream->run;
  }
  if (use->live != NULL) {
    tly_group_list_scan_init(&stream->live, &use->live[part], low, high);
    stream->has_live = true;
    inputs[count++] = tly_group_list_scan_source(&stream->live);
  }
  stream->merge = tly_merge_new(use->program, part, inputs, count);
  return TLY_OK;
}

enum tly_status tly_view_scan_open(const struct tly_view_use *use, const struct tly_source *source,
                                   struct tly_control *control, struct tly_text low, struct tly_text high,
                                   const bool *wanted, tly_view_scan **out, struct tly_error *error) {
  const struct tly_view_program *program = use->program;
  tly_view_scan *scan = tly_calloc(1, sizeof *scan);
  *out = NULL;
  scan->use = use;
  scan->source = source;
  scan->control = control;
  narrow(&scan->low, low, &use->low, true);
  narrow(&scan->high, high, &use->high, false);
  if (wanted != NULL) {
    scan->wanted = tly_calloc(program->view->output_count, sizeof *scan->wanted);
    memcpy(scan->wanted, wanted, program->view->output_count * sizeof *wanted);
  }
  scan->needed = tly_calloc(program->part_count, sizeof *scan->needed);
  tly_view_needed_parts(program, scan->wanted, scan->needed);
  scan->streams = tly_calloc(program->part_count, sizeof *scan->streams);
  scan->counts = tly_calloc(program->part_count, sizeof *scan->counts);
  for (uint32_t part = 1; part < program->part_count; part++)
    scan->counts[part - 1] = tly_calloc(GROUPS_PER_STEP, sizeof **scan->counts);
  scan->finisher = tly_finisher_new(program);
  for (uint32_t part = 0; part < program->part_count; part++) {
    enum tly_status status = scan->needed[part] ? open_stream(scan, part, error) : TLY_OK;
    if (status != TLY_OK) {
      tly_view_scan_close(scan);
      return status;
    }
  }
  *out = scan;
  return TLY_OK;
}

static enum tly_status step(tly_view_scan *scan, struct stream *stream, struct tly_error *error) {
  stream->row++;
  if (stream->is_begun && (stream->slice == NULL || stream->row < stream->slice->count))
    return TLY_OK;
  stream->is_begun = true;
  stream->row = 0;
  TLY_TRY(tly_control_check(scan->control, error));
  return tly_merge_next(stream->merge, GROUPS_PER_STEP, &stream->slice, error);
}

/* Count the rows of a distinct part that belong to the group `key`: they are the next ones (invariant 2). */
static enum tly_status count_distinct(tly_view_scan *scan, struct stream *stream, struct tly_text key, int64_t *count,
                                      struct tly_error *error) {
  *count = 0;
  if (!stream->is_begun)
    TLY_TRY(step(scan, stream, error));
  while (stream->slice != NULL) {
    struct tly_text row = stream->slice->keys[stream->row];
    if (row.size < key.size || memcmp(row.data, key.data, key.size) != 0) {
      if (tly_key_compare(row.data, row.size, key.data, key.size) < 0)
        return TLY_FAIL(error, TLY_E_CORRUPT, "view \"%s\": a distinct value belongs to no group",
                        scan->use->program->view->name);
      return TLY_OK;
    }
    ++*count;
    TLY_TRY(step(scan, stream, error));
  }
  return TLY_OK;
}

static enum tly_status finish_slice(tly_view_scan *scan, const struct tly_group_slice *slice, struct tly_view_rows *out,
                                    struct tly_error *error) {
  const struct tly_view_program *program = scan->use->program;
  for (uint32_t part = 1; part < program->part_count; part++)
    for (uint32_t group = 0; scan->needed[part] && group < slice->count; group++)
      TLY_TRY(count_distinct(scan, &scan->streams[part], slice->keys[group], &scan->counts[part - 1][group], error));
  return tly_finish(scan->finisher, slice, (const int64_t *const *)scan->counts, scan->wanted, &out->outputs,
                    &out->rows, &out->row_count, error);
}

/* The next groups; a view without GROUP BY over nothing has one of initial states. *out NULL at the end. */
static enum tly_status next_groups(tly_view_scan *scan, const struct tly_group_slice **out, struct tly_error *error) {
  TLY_TRY(tly_merge_next(scan->streams[0].merge, GROUPS_PER_STEP, out, error));
  if (*out == NULL && !scan->has_given && scan->use->program->view->key_count == 0) {
    tly_group_slice_init(&scan->empty, scan->use->program, 0);
    scan->is_empty_made = true;
    tly_finish_empty_group(scan->use->program, &scan->empty);
    *out = &scan->empty;
  }
  scan->has_given = true;
  return TLY_OK;
}

enum tly_status tly_view_scan_next(tly_view_scan *scan, struct tly_view_rows *out, struct tly_error *error) {
  *out = (struct tly_view_rows){0};
  do {
    const struct tly_group_slice *slice;
    TLY_TRY(tly_control_check(scan->control, error));
    TLY_TRY(next_groups(scan, &slice, error));
    if (slice == NULL)
      return TLY_OK;
    TLY_TRY(finish_slice(scan, slice, out, error));
  } while (out->row_count == 0);
  return TLY_OK;
}
