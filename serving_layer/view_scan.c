/* How a merged view is read: a scan merges, for each part, the run's blocks with the live copy (tly_merge adds the
 * states of equal keys), and a walk over all parts side by side finishes the groups (common/engine/view_walk.h). */
#include "serving_layer/view_scan.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

enum { GROUPS_PER_STEP = 1024 };

_Static_assert((int)GROUPS_PER_STEP <= (int)TLY_EVALUATE_ROWS, "a step is finished at once");

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

/* One part's merge. */
struct stream {
  struct tly_control *control;
  bool has_run;
  struct tly_group_source run;
  struct tly_group_list_scan live;
  bool has_live;
  tly_merge *merge;
};

struct tly_view_scan {
  const struct tly_view_use *use;
  const struct tly_source *source;
  struct tly_control *control;
  struct tly_buffer low, high;
  struct stream *streams; /* of parts that are not needed: empty */
  tly_view_walk *walk;
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
  tly_view_walk_free(scan->walk);
  for (uint32_t part = 0; part < scan->use->program->part_count; part++)
    close_stream(scan, &scan->streams[part]);
  tly_free(scan->streams);
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

/* A slice at a time, so that a statement ends in good time when it has to. */
static enum tly_status next_of_stream(void *context, const struct tly_group_slice **out, struct tly_error *error) {
  struct stream *stream = context;
  TLY_TRY(tly_control_check(stream->control, error));
  return tly_merge_next(stream->merge, GROUPS_PER_STEP, out, error);
}

static enum tly_status open_streams(tly_view_scan *scan, const bool *wanted, struct tly_error *error) {
  const struct tly_view_program *program = scan->use->program;
  struct tly_group_source *parts = tly_calloc(program->part_count, sizeof *parts);
  bool *needed = tly_calloc(program->part_count, sizeof *needed);
  enum tly_status status = TLY_OK;
  tly_view_needed_parts(program, wanted, needed);
  for (uint32_t part = 0; status == TLY_OK && part < program->part_count; part++) {
    scan->streams[part].control = scan->control;
    parts[part] = (struct tly_group_source){.next = next_of_stream, .context = &scan->streams[part]};
    if (needed[part])
      status = open_stream(scan, part, error);
  }
  if (status == TLY_OK)
    scan->walk = tly_view_walk_new(program, parts, wanted);
  tly_free(parts);
  tly_free(needed);
  return status;
}

enum tly_status tly_view_scan_open(const struct tly_view_use *use, const struct tly_source *source,
                                   struct tly_control *control, struct tly_text low, struct tly_text high,
                                   const bool *wanted, tly_view_scan **out, struct tly_error *error) {
  tly_view_scan *scan = tly_calloc(1, sizeof *scan);
  *out = NULL;
  scan->use = use;
  scan->source = source;
  scan->control = control;
  narrow(&scan->low, low, &use->low, true);
  narrow(&scan->high, high, &use->high, false);
  scan->streams = tly_calloc(use->program->part_count, sizeof *scan->streams);
  enum tly_status status = open_streams(scan, wanted, error);
  if (status != TLY_OK) {
    tly_view_scan_close(scan);
    return status;
  }
  *out = scan;
  return TLY_OK;
}

enum tly_status tly_view_scan_next(tly_view_scan *scan, struct tly_view_rows *out, struct tly_error *error) {
  return tly_view_walk_next(scan->walk, out, error);
}
