/* INVARIANTS (check_invariants)
 *   (1) What is in the fold belongs to one generation, above the published cut.
 *   (2) folded + filtered + set aside = events given: no event is lost between the archive and the counts.
 *   (3) A building view folds nothing before it has a run to stand on. */
#include "speed_layer/live_view.h"

#include <string.h>

#include "common/base/assert.h"

static void check_invariants(const struct tly_live_view *live) {
  struct tly_fold_counts counts = tly_fold_counts(live->fold);
  TLY_ASSERT(live->generation == 0 ? live->given_count == 0 : live->generation > live->cut);
  TLY_ASSERT(counts.folded + counts.filtered + counts.set_aside == live->given_count);
  TLY_ASSERT(live->is_ready || live->is_catching_up || live->given_count == 0);
  TLY_ASSERT(!live->is_catching_up || (!live->is_ready && live->run > 0));
}

void tly_live_view_init(struct tly_live_view *live, const struct tly_view *view) {
  memset(live, 0, sizeof *live);
  live->view = view;
  live->program = tly_view_program_new(view);
  live->fold = tly_fold_new(live->program);
  tly_arena_init(&live->note_arena);
}

void tly_live_view_free(struct tly_live_view *live) {
  tly_fold_free(live->fold);
  tly_view_program_free(live->program);
  tly_cut_list_free(&live->cuts);
  tly_tail_free(&live->catch_up);
  tly_arena_free(&live->note_arena);
}

enum tly_status tly_live_view_adopt(struct tly_live_view *live, tly_speed_store *store, const struct tly_view_row *row,
                                    struct tly_error *error) {
  live->id = row->id;
  live->is_ready = row->is_ready;
  live->run = row->run;
  live->cut = row->cut;
  live->is_catching_up = row->is_catching_up;
  if (live->is_catching_up)
    TLY_TRY(tly_speed_store_load_catch_up(store, live->id, live->view->stream, &live->catch_up, error));
  TLY_TRY(tly_speed_store_count_set_aside(store, live->id, &live->listed_count, error));
  check_invariants(live);
  return TLY_OK;
}

/* Where the batch being folded stands in the archive, for the events set aside. */
struct set_aside_context {
  struct tly_live_view *live;
  uint32_t partition;
  int64_t first_offset;
};

static void note_set_aside(void *context, uint32_t event, const struct tly_row_error *row_error) {
  struct set_aside_context *where = context;
  struct tly_live_view *live = where->live;
  if (live->listed_count >= TLY_SET_ASIDE_LISTED_MAX || live->note_count >= TLY_SET_ASIDE_LISTED_MAX)
    return; /* counted all the same */
  live->listed_count++;
  live->notes[live->note_count++] = (struct tly_set_aside_note){
      .partition = where->partition,
      .offset = where->first_offset + event,
      .sqlstate = tly_status_sqlstate(row_error->status),
      .message = tly_arena_print(&live->note_arena, "%s", row_error->message),
  };
}

enum tly_status tly_live_view_fold(struct tly_live_view *live, tly_speed_store *store, tly_delta_merge *merge,
                                   const struct tly_event_batch *batch, int64_t stamp, uint32_t partition,
                                   int64_t first_offset, struct tly_error *error) {
  struct set_aside_context where = {.live = live, .partition = partition, .first_offset = first_offset};
  TLY_ASSERT(live->is_ready || live->is_catching_up);
  int64_t generation = tly_cut_list_generation(&live->cuts, live->cut, stamp);
  if (live->generation != 0 && live->generation != generation)
    TLY_TRY(tly_live_view_flush(live, store, merge, error));
  live->generation = generation;
  live->given_count += batch->count;
  tly_fold_batch(live->fold, batch, note_set_aside, &where);
  check_invariants(live);
  return TLY_OK;
}

struct delta_writer {
  tly_speed_store *store;
  int64_t delta;
  uint32_t block_count;
};

static enum tly_status write_block(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  struct delta_writer *writer = context;
  return tly_speed_store_add_block(writer->store, writer->delta, writer->block_count++, slice, false, error);
}

static enum tly_status write_part(struct tly_live_view *live, uint32_t part, tly_speed_store *store,
                                  tly_delta_merge *merge, struct tly_error *error) {
  tly_group_table *table = tly_fold_part(live->fold, part);
  struct tly_delta delta = {
      .view = live->id, .part = part, .generation = live->generation, .group_count = tly_group_table_count(table)};
  if (delta.group_count == 0)
    return TLY_OK; /* all filtered out or set aside */
  delta.level = tly_delta_level(delta.group_count);
  TLY_TRY(tly_speed_store_add_delta(store, &delta, error));
  struct delta_writer writer = {.store = store, .delta = delta.id};
  TLY_TRY(tly_group_table_drain(table, TLY_GROUPS_PER_BLOCK, write_block, &writer, error));
  tly_delta_merge_add(merge, &delta);
  return TLY_OK;
}

static enum tly_status write_notes(struct tly_live_view *live, tly_speed_store *store, struct tly_error *error) {
  for (uint32_t n = 0; n < live->note_count; n++) {
    const struct tly_set_aside_note *note = &live->notes[n];
    TLY_TRY(tly_speed_store_add_set_aside(store, live->id, live->generation, note->partition, note->offset,
                                          note->sqlstate, note->message, error));
  }
  live->note_count = 0;
  tly_arena_reset(&live->note_arena);
  return TLY_OK;
}

enum tly_status tly_live_view_flush(struct tly_live_view *live, tly_speed_store *store, tly_delta_merge *merge,
                                    struct tly_error *error) {
  check_invariants(live);
  if (live->given_count == 0)
    return TLY_OK;
  struct tly_fold_counts counts = tly_fold_counts(live->fold);
  TLY_TRY(tly_speed_store_begin(store, error));
  for (uint32_t part = 0; part < live->program->part_count; part++)
    TLY_TRY(write_part(live, part, store, merge, error));
  TLY_TRY(tly_speed_store_add_counts(store, live->id, live->generation, &counts, error));
  TLY_TRY(write_notes(live, store, error));
  tly_fold_clear(live->fold);
  live->generation = 0;
  live->given_count = 0;
  return TLY_OK;
}

void tly_live_view_rest(struct tly_live_view *live) {
  TLY_ASSERT(live->given_count == 0); /* between commits */
  tly_fold_free(live->fold);
  live->fold = tly_fold_new(live->program);
}

void tly_live_view_published(struct tly_live_view *live, int64_t run, int64_t cut) {
  TLY_ASSERT(live->given_count == 0); /* between commits */
  TLY_ASSERT(cut > live->cut || !live->is_ready);
  live->run = run;
  live->cut = cut;
  tly_cut_list_forget(&live->cuts, cut);
}
