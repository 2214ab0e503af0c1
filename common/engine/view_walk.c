/* A slice of groups, its counts and its finished outputs are all that is held at a time.
 *
 * INVARIANTS
 *   (1) A group appears once: the sources are strictly ascending.
 *   (2) Every row of a distinct part belongs to a group of part 0 (the fold writes both from one event), so the walk
 * never meets one that stands below the current group's key. A row that does is corruption, not to be counted. */
#include "common/engine/view_walk.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/engine/finish.h"
#include "common/value/ordered_key.h"

/* Where the walk stands in a distinct part. */
struct stream {
  struct tly_group_source source;
  const struct tly_group_slice *slice; /* what is being walked; NULL: the end */
  uint32_t row;
  bool is_begun;
};

struct tly_view_walk {
  const struct tly_view_program *program;
  bool *wanted; /* NULL: all */
  bool *needed; /* parts */
  struct stream *streams;
  int64_t **counts; /* one a distinct part, TLY_EVALUATE_ROWS each */
  tly_finisher *finisher;
  struct tly_group_slice empty;
  bool has_given, is_empty_made;
};

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

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

tly_view_walk *tly_view_walk_new(const struct tly_view_program *program, const struct tly_group_source *parts,
                                 const bool *wanted) {
  tly_view_walk *walk = tly_calloc(1, sizeof *walk);
  walk->program = program;
  if (wanted != NULL) {
    walk->wanted = tly_calloc(program->view->output_count, sizeof *walk->wanted);
    memcpy(walk->wanted, wanted, program->view->output_count * sizeof *wanted);
  }
  walk->needed = tly_calloc(program->part_count, sizeof *walk->needed);
  tly_view_needed_parts(program, wanted, walk->needed);
  walk->streams = tly_calloc(program->part_count, sizeof *walk->streams);
  walk->counts = tly_calloc(program->part_count, sizeof *walk->counts);
  for (uint32_t part = 0; part < program->part_count; part++)
    walk->streams[part].source = parts[part];
  for (uint32_t part = 1; part < program->part_count; part++)
    walk->counts[part - 1] = tly_calloc(TLY_EVALUATE_ROWS, sizeof **walk->counts);
  walk->finisher = tly_finisher_new(program);
  return walk;
}

void tly_view_walk_free(tly_view_walk *walk) {
  if (walk == NULL)
    return;
  for (uint32_t part = 1; part < walk->program->part_count; part++)
    tly_free(walk->counts[part - 1]);
  if (walk->is_empty_made)
    tly_group_slice_free(&walk->empty);
  tly_finisher_free(walk->finisher);
  tly_free(walk->counts);
  tly_free(walk->streams);
  tly_free(walk->wanted);
  tly_free(walk->needed);
  tly_free(walk);
}

static enum tly_status step(struct stream *stream, struct tly_error *error) {
  stream->row++;
  if (stream->is_begun && (stream->slice == NULL || stream->row < stream->slice->count))
    return TLY_OK;
  stream->is_begun = true;
  stream->row = 0;
  return stream->source.next(stream->source.context, &stream->slice, error);
}

/* Count the rows of a distinct part that belong to the group `key`: they are the next ones (invariant 2). */
static enum tly_status count_distinct(const tly_view_walk *walk, struct stream *stream, struct tly_text key,
                                      int64_t *count, struct tly_error *error) {
  *count = 0;
  if (!stream->is_begun)
    TLY_TRY(step(stream, error));
  while (stream->slice != NULL) {
    struct tly_text row = stream->slice->keys[stream->row];
    if (row.size < key.size || memcmp(row.data, key.data, key.size) != 0) {
      if (tly_key_compare(row.data, row.size, key.data, key.size) < 0)
        return TLY_FAIL(error, TLY_E_CORRUPT, "view \"%s\": a distinct value belongs to no group",
                        walk->program->view->name);
      return TLY_OK;
    }
    ++*count;
    TLY_TRY(step(stream, error));
  }
  return TLY_OK;
}

static enum tly_status finish_slice(tly_view_walk *walk, const struct tly_group_slice *slice, struct tly_view_rows *out,
                                    struct tly_error *error) {
  TLY_ASSERT(slice->count <= TLY_EVALUATE_ROWS);
  for (uint32_t part = 1; part < walk->program->part_count; part++)
    for (uint32_t group = 0; walk->needed[part] && group < slice->count; group++)
      TLY_TRY(count_distinct(walk, &walk->streams[part], slice->keys[group], &walk->counts[part - 1][group], error));
  return tly_finish(walk->finisher, slice, (const int64_t *const *)walk->counts, walk->wanted, &out->outputs,
                    &out->rows, &out->row_count, error);
}

/* The next groups; a view without GROUP BY over nothing has one of initial states. *out NULL at the end. */
static enum tly_status next_groups(tly_view_walk *walk, const struct tly_group_slice **out, struct tly_error *error) {
  const struct tly_group_source *groups = &walk->streams[0].source;
  TLY_TRY(groups->next(groups->context, out, error));
  if (*out == NULL && !walk->has_given && walk->program->view->key_count == 0) {
    tly_group_slice_init(&walk->empty, walk->program, 0);
    walk->is_empty_made = true;
    tly_finish_empty_group(walk->program, &walk->empty);
    *out = &walk->empty;
  }
  walk->has_given = true;
  return TLY_OK;
}

enum tly_status tly_view_walk_next(tly_view_walk *walk, struct tly_view_rows *out, struct tly_error *error) {
  *out = (struct tly_view_rows){0};
  do {
    const struct tly_group_slice *slice;
    TLY_TRY(next_groups(walk, &slice, error));
    if (slice == NULL)
      return TLY_OK;
    TLY_TRY(finish_slice(walk, slice, out, error));
  } while (out->row_count == 0);
  return TLY_OK;
}
