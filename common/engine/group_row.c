#include "common/engine/group_row.h"

#include "common/engine/group_state.h"

static void need_component(int32_t number, bool *needed) {
  if (number >= 0)
    needed[number] = true;
}

static void need_components(const struct tly_view_program *program, const struct tly_expr *expression, bool *needed) {
  if (expression->kind == TLY_EXPR_AGGREGATE) {
    const struct tly_aggregate_plan *plan = &program->plans[expression->column];
    need_component(plan->count, needed);
    need_component(plan->sum, needed);
    need_component(plan->sum_squares, needed);
    need_component(plan->extreme, needed);
  }
  for (uint32_t i = 0; i < expression->argument_count; i++)
    need_components(program, expression->arguments[i], needed);
}

static void choose_components(struct tly_group_row *row, const struct tly_view_program *program, const bool *wanted) {
  const struct tly_view *view = program->view;
  bool *needed = TLY_ARENA_ARRAY(&row->columns, bool, program->component_count);
  row->components = TLY_ARENA_ARRAY(&row->columns, uint32_t, program->component_count);
  if (view->having != NULL)
    need_components(program, view->having, needed);
  for (uint32_t o = 0; o < view->output_count; o++)
    if (wanted == NULL || wanted[o])
      need_components(program, view->outputs[o].expression, needed);
  for (uint32_t c = 0; c < program->component_count; c++)
    if (needed[c])
      row->components[row->component_count++] = c;
}

void tly_group_row_init(struct tly_group_row *row, const struct tly_view_program *program, const bool *wanted) {
  *row = (struct tly_group_row){.slice = {.program = program}};
  tly_arena_init(&row->columns);
  tly_arena_init(&row->slice.arena);
  choose_components(row, program, wanted);
  row->slice.keys = &row->key;
  row->slice.states = tly_states_new(program, 0, &row->columns);
  tly_states_reserve(program, 0, row->slice.states, 1, &row->columns);
  tly_states_init(program, 0, row->slice.states, 0);
}

/* What an exact sum held is given back; nothing else has to be undone. */
static void release_states(struct tly_group_row *row) {
  struct tly_group_slice *slice = &row->slice;
  for (uint32_t i = 0; i < row->component_count; i++) {
    struct tly_state_column *column = &slice->states[row->components[i]];
    if (column->form == TLY_STATE_EXACT_SUM)
      tly_exact_sum_free(column->exact_sum);
  }
  slice->count = 0;
}

void tly_group_row_free(struct tly_group_row *row) {
  if (row->slice.count > 0)
    release_states(row);
  tly_arena_free(&row->slice.arena);
  tly_arena_free(&row->columns);
}

void tly_group_row_begin(struct tly_group_row *row, struct tly_text key) {
  if (row->slice.count > 0)
    release_states(row);
  tly_arena_reset(&row->slice.arena);
  row->key = key;
}

void tly_group_row_add(struct tly_group_row *row, const struct tly_group_slice *from, uint32_t from_row) {
  struct tly_group_slice *slice = &row->slice;
  TLY_ASSERT(from->part == 0 && from_row < from->count);
  for (uint32_t i = 0; i < row->component_count; i++) {
    uint32_t number = row->components[i];
    const struct tly_state_column *states = &from->states[number];
    if (slice->count == 0)
      tly_state_copy(&slice->states[number], 0, states, from_row, &slice->arena);
    else
      tly_state_merge(&slice->program->components[number], &slice->states[number], 0, states, from_row, &slice->arena);
  }
  slice->count = 1;
}

void tly_group_row_prefetch(const struct tly_group_row *row, const struct tly_group_slice *from, uint32_t from_row) {
  for (uint32_t i = 0; i < row->component_count; i++) {
    const struct tly_state_column *column = &from->states[row->components[i]];
    __builtin_prefetch((const char *)column->i64 + from_row * tly_state_size(column->form));
  }
}
