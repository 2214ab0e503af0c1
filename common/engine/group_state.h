/* common/engine/group_state.h -- columns of states: making, growing, copying. Private to the engine wing.
 *
 * A state that has met no value yet is *initial*: 0 for counts and sums; for MIN and MAX the value that any other one
 * replaces (the greatest, or the least, of its form; for text and decimals a mark), with `empty` 1 where it may stay
 * so. Thread: as group_table.h. */
#ifndef TLY_ENGINE_GROUP_STATE_H
#define TLY_ENGINE_GROUP_STATE_H

#include "common/base/assert.h"
#include "common/engine/group_table.h"

/* Marks of MIN and MAX states without a value. */
static inline bool tly_state_decimal_is_unset(struct tly_decimal value) {
  return value.scale < 0;
}

static inline bool tly_state_text_is_unset(struct tly_text text) {
  return text.data == NULL;
}

size_t tly_state_size(enum tly_state_form form);
/* One column a component of the part, without rows. */
struct tly_state_column *tly_states_new(const struct tly_view_program *program, uint32_t part, struct tly_arena *arena);
/* Room for `count` rows in the arena, not initialised. */
void tly_states_reserve(const struct tly_view_program *program, uint32_t part, struct tly_state_column *states,
                        uint32_t count, struct tly_arena *arena);
/* Row `row` becomes initial: of one component, of all. */
void tly_state_init(const struct tly_component *component, struct tly_state_column *column, uint32_t row);
void tly_states_init(const struct tly_view_program *program, uint32_t part, struct tly_state_column *states,
                     uint32_t row);
/* Give back what exact sums of rows [0, count) hold. */
void tly_states_release(const struct tly_view_program *program, uint32_t part, struct tly_state_column *states,
                        uint32_t count);
/* Row by row copies: of the value with all it points to, or of the bytes alone (an exact sum then has a new owner). */
void tly_states_copy(const struct tly_view_program *program, uint32_t part, struct tly_state_column *into,
                     uint32_t into_row, const struct tly_state_column *from, uint32_t from_row,
                     struct tly_arena *arena);
void tly_states_move(const struct tly_view_program *program, uint32_t part, struct tly_state_column *into,
                     uint32_t into_row, const struct tly_state_column *from, uint32_t from_row);
/* A row of some source goes into a row: the first to do so, or one that meets what is there. */
struct tly_state_step {
  const struct tly_state_column *from;
  uint32_t from_row, into_row;
  bool is_first;
};
/* Take steps in their order, column by column: as tly_states_copy for first ones and, in part 0, as tly_states_merge
 * for the others. */
void tly_states_take_steps(const struct tly_view_program *program, uint32_t part, struct tly_state_column *into,
                           const struct tly_state_step *steps, uint32_t count, struct tly_arena *arena);
/* tly_states_copy and tly_states_merge for one component. */
void tly_state_copy(struct tly_state_column *into, uint32_t into_row, const struct tly_state_column *from,
                    uint32_t from_row, struct tly_arena *arena);
void tly_state_merge(const struct tly_component *component, struct tly_state_column *into, uint32_t into_row,
                     const struct tly_state_column *from, uint32_t from_row, struct tly_arena *arena);
/* Bytes of the texts a row of states points to. */
size_t tly_states_text_bytes(const struct tly_view_program *program, uint32_t part,
                             const struct tly_state_column *states, uint32_t row);

struct tly_decimal tly_state_decimal_copy(struct tly_decimal value, struct tly_arena *arena);
struct tly_text tly_state_text_copy(struct tly_text text, struct tly_arena *arena);

#endif
