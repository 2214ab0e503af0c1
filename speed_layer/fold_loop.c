/* One step folds blocks in memory and then commits everything at once. How much goes into a commit adapts by itself:
 *
 *   quiet   A block arrives, nothing more is there: it is committed at once. Freshness is one fold and one commit.
 *   loaded  While a commit runs, further blocks arrive; they make up the next one. Small commits are some milliseconds
 *           apart (rests_until), large ones up to half a second (gathers_until), so commits grow with the load instead
 *           of following each other without end.
 *   behind  The more there is to fold, the longer a step may take before it commits: with many events a commit
 *           writes each group once for many events, and what is far behind cannot be fresh anyway. The bounds are
 *           STEP_US_MAX, STEP_EVENTS_MAX and, for memory, FOLD_BYTES_MAX. A commit that took long is followed by
 *           more folding: many views with many groups each would otherwise be written anew for each block.
 *
 * The views of a stream fold from the layer's own tail. A view that is being built on a run has a tail of its own,
 * which starts at the run's cut and never passes the layer's; in the very transaction in which the two meet, the view
 * is ready. One that will take the place of a view that is shown (go_back.c) folds in the same way, and waits there.
 *
 * INVARIANTS
 *   (1) Every block taken begins with the running hash at which the fold stands, or its own events prove it.
 *   (2) Positions in memory are ahead of the store's only between the first fold of a step and its commit. Any
 *       failure in between ends the process, so memory is never the only one to know.
 *   (3) A view folds a block exactly if the block's stamp is above the view's cut. */
#include "speed_layer/fold_loop.h"

#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/log.h"
#include "speed_layer/publish.h"

enum {
  BLOCKS_AT_ONCE = 64,
  STEP_EVENTS_MAX = 16 << 20,
  STEP_US_MIN = 5000,
  STEP_US_MAX = 1000000,
  STEP_EVENTS_A_US = 4, /* behind by so many: one microsecond more */
  CATCH_UP_US = 20000,
  REST_US_MIN = 3000,
  REST_US_MAX = 8000,
  GATHER_EVENTS = 8 << 10, /* a commit of more is followed by gathering: */
  GATHER_US_AN_EVENT = 4,  /* so much longer for each event above */
  GATHER_US_MAX = 500000,
  QUIET_US = 50000, /* nothing came for so long: gather no longer */
  LOOK_US = 4000,
  FOLD_BYTES_MAX = 112 << 20,    /* groups in memory, of all views, with what stays known between commits, */
  FOLD_KEPT_BYTES_MAX = 56 << 20 /* which is at most this */
};

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

/* What one step may still do. */
struct budget {
  int64_t events_left, until_us;
  bool did_fold;
};

static size_t fold_bytes(const struct tly_speed *speed) {
  size_t bytes = 0;
  for (uint32_t v = 0; v < speed->live_count; v++)
    bytes += tly_fold_bytes(speed->views[v].fold);
  return bytes;
}

static bool is_spent(const struct tly_speed *speed, const struct budget *budget) {
  if (!budget->did_fold)
    return false; /* a step always comes on */
  if (budget->events_left <= 0 || tly_clock_monotonic_us(speed->clock) >= budget->until_us)
    return true;
  return fold_bytes(speed) > FOLD_BYTES_MAX;
}

/* ---- one block --------------------------------------------------------------------------------------------------- */

/* The views that `cut` names end a generation there. */
static void note_cut(struct tly_speed *speed, const struct tly_cut *cut) {
  for (uint32_t n = 0; n < cut->view_count; n++)
    for (uint32_t v = 0; v < speed->live_count; v++) {
      struct tly_live_view *live = &speed->views[v];
      if (cut->number > live->cut && strcmp(live->view->name, cut->views[n]) == 0)
        tly_cut_list_add(&live->cuts, cut->number);
    }
}

/* The cuts below `stamp` are recorded, with a sync, before any block is stamped with it: they can be read now. */
static enum tly_status know_cuts(struct tly_speed *speed, int64_t stamp, struct tly_error *error) {
  struct tly_cut *cuts;
  uint32_t count;
  if (stamp - 1 <= speed->cut_known)
    return TLY_OK;
  TLY_TRY(tly_speed_archive_status(
      speed, tly_archive_reader_cuts(speed->archive, speed->cut_known, &speed->arena, &cuts, &count, error)));
  for (uint32_t c = 0; c < count; c++) {
    TLY_ASSERT(cuts[c].number > speed->cut_known);
    speed->cut_known = cuts[c].number;
    speed->cut_chain = tly_tail_chain_cut(speed->cut_chain, &cuts[c]);
    note_cut(speed, &cuts[c]);
  }
  if (stamp - 1 > speed->cut_known)
    return tly_speed_archive_status(speed,
                                    TLY_FAIL(error, TLY_E_CORRUPT,
                                             "a block is stamped with generation %lld, but the archive's index has no"
                                             " cut %lld",
                                             (long long)stamp, (long long)(stamp - 1)));
  return TLY_OK;
}

/* Who folds a block: the ready views (only == NULL), or one view that catches up. */
static bool takes_part(const struct tly_live_view *live, const struct tly_live_view *only,
                       const struct tly_stream *stream, int64_t stamp) {
  if (live->view->stream != stream || stamp <= live->cut)
    return false;
  return only != NULL ? live == only : live->is_ready;
}

static bool collect_wanted(struct tly_speed *speed, const struct tly_live_view *only, const struct tly_stream *stream,
                           int64_t stamp, bool *wanted) {
  bool any = false;
  memset(wanted, 0, stream->column_count * sizeof *wanted);
  for (uint32_t v = 0; v < speed->live_count; v++) {
    const struct tly_live_view *live = &speed->views[v];
    if (!takes_part(live, only, stream, stamp))
      continue;
    any = true;
    for (uint32_t c = 0; c < stream->column_count; c++)
      wanted[c] |= live->program->column_used[c];
  }
  return any;
}

static enum tly_status fold_events(struct tly_speed *speed, const struct tly_live_view *only,
                                   const struct tly_block_ref *ref, const struct tly_event_batch *events,
                                   int64_t first_offset, struct tly_error *error) {
  TLY_TRY(know_cuts(speed, ref->generation, error));
  for (uint32_t v = 0; v < speed->live_count; v++)
    if (takes_part(&speed->views[v], only, events->stream, ref->generation))
      TLY_TRY(tly_live_view_fold(&speed->views[v], speed->store, speed->merge, events, ref->generation, ref->partition,
                                 first_offset, error));
  return TLY_OK;
}

/* Take the events of `ref` from where `position` stands, up to `limit` (which ends at chain `limit_chain`; INT64_MAX:
 * all). Only a block that re-blocking has put together can reach below the position or beyond the limit. */
static enum tly_status take_block(struct tly_speed *speed, const struct tly_live_view *only,
                                  struct tly_tail_position *position, const struct tly_block_ref *ref, int64_t limit,
                                  const tly_chain *limit_chain, struct tly_error *error) {
  bool wanted[TLY_COLUMNS_MAX];
  const struct tly_stream *stream = position->stream;
  struct tly_event_batch *batch = tly_speed_batch(speed, stream), events;
  int64_t end = ref->first_offset + ref->event_count;
  bool reaches_below = ref->first_offset < position->next_offset;
  int64_t first = reaches_below ? position->next_offset : ref->first_offset;
  int64_t last = end < limit ? end : limit;
  TLY_ASSERT(first < last);
  if (!reaches_below && !tly_chain_equal(&ref->chain_before, &position->chain)) {
    speed->disagrees = true;
    return TLY_OK;
  }
  bool any = collect_wanted(speed, only, stream, ref->generation, wanted);
  if (any || reaches_below)
    TLY_TRY(tly_speed_archive_status(
        speed, tly_archive_reader_read(speed->archive, stream, ref, wanted, reaches_below, batch, error)));
  if (reaches_below) {
    tly_chain chain = tly_tail_chain_over(ref->chain_before, batch, (uint32_t)(first - ref->first_offset));
    speed->disagrees = !tly_chain_equal(&chain, &position->chain);
    if (speed->disagrees)
      return TLY_OK;
  }
  if (any) {
    tly_tail_slice(batch, (uint32_t)(first - ref->first_offset), (uint32_t)(last - first), speed->columns, &events);
    TLY_TRY(fold_events(speed, only, ref, &events, first, error));
  }
  position->next_offset = last;
  position->chain = last == end ? ref->chain_after : *limit_chain;
  position->generation = ref->generation;
  position->is_dirty = true;
  return TLY_OK;
}

/* Take blocks until `limit` or the budget's end. */
static enum tly_status take_blocks(struct tly_speed *speed, const struct tly_live_view *only,
                                   struct tly_tail_position *position, int64_t limit, const tly_chain *limit_chain,
                                   struct budget *budget, struct tly_error *error) {
  struct tly_block_ref *refs;
  uint32_t count = 1;
  while (count > 0 && position->next_offset < limit && !is_spent(speed, budget)) {
    TLY_TRY(tly_speed_archive_status(
        speed, tly_archive_reader_blocks(speed->archive, position->stream, position->partition, position->next_offset,
                                         INT64_MAX, BLOCKS_AT_ONCE, &speed->arena, &refs, &count, error)));
    for (uint32_t r = 0; r < count && refs[r].first_offset < limit && !is_spent(speed, budget); r++) {
      int64_t before = position->next_offset;
      TLY_TRY(take_block(speed, only, position, &refs[r], limit, limit_chain, error));
      if (speed->disagrees)
        return TLY_OK;
      budget->events_left -= position->next_offset - before;
      budget->did_fold = true;
    }
    if (count > 0 && refs[0].first_offset >= limit)
      return TLY_OK;
  }
  return TLY_OK;
}

/* ---- the layer's own tail ---------------------------------------------------------------------------------------- */

/* The archive's ends, as of now. *behind: how many events stand above the tail. */
static enum tly_status read_heads(struct tly_speed *speed, struct tly_position **heads, uint32_t *count,
                                  int64_t *behind, struct tly_error *error) {
  *behind = 0;
  tly_arena_reset(&speed->arena);
  TLY_TRY(
      tly_speed_archive_status(speed, tly_archive_reader_heads(speed->archive, &speed->arena, heads, count, error)));
  for (uint32_t h = 0; h < *count; h++) {
    const struct tly_stream *stream = tly_project_stream(speed->project, (*heads)[h].stream);
    *behind += (*heads)[h].next_offset - tly_tail_position(&speed->tail, stream, (*heads)[h].partition)->next_offset;
  }
  return TLY_OK;
}

/* Fold what stands above the tail in one partition. */
static enum tly_status follow_head(struct tly_speed *speed, const struct tly_position *head, struct budget *budget,
                                   struct tly_error *error) {
  const struct tly_stream *stream = tly_project_stream(speed->project, head->stream);
  struct tly_tail_position *position = tly_tail_position(&speed->tail, stream, head->partition);
  if (head->next_offset < position->next_offset ||
      (head->next_offset == position->next_offset && !tly_chain_equal(&head->chain, &position->chain)))
    speed->disagrees = true;
  else if (head->next_offset > position->next_offset)
    TLY_TRY(take_blocks(speed, NULL, position, INT64_MAX, NULL, budget, error));
  if (speed->disagrees)
    tly_log(TLY_LOG_WARN, "the archive has other events than those that were folded",
            "stream=%s partition=%u offset=%lld", stream->name, head->partition, (long long)position->next_offset);
  return TLY_OK;
}

/* Each step begins with another partition, so that a long backlog of one does not hold up the others. */
static enum tly_status follow_heads(struct tly_speed *speed, const struct tly_position *heads, uint32_t count,
                                    struct budget *budget, struct tly_error *error) {
  for (uint32_t n = 0; n < count && !speed->disagrees; n++)
    TLY_TRY(follow_head(speed, &heads[(speed->first_head + n) % count], budget, error));
  speed->first_head++;
  return TLY_OK;
}

/* Under load commits would follow each other without a pause, each with little in it and each costing pages, merges and
 * wake-ups of its readers. So after one, rest for a while: twice as long as it took. A lone event comes later than
 * that and does not wait. */
static int64_t rests_until(const struct tly_speed *speed) {
  return speed->commit_ended_us + clamp(2 * speed->commit_took_us, REST_US_MIN, REST_US_MAX);
}

/* From some 250000 events a second on, each pause makes the next commit larger, and that the next pause, up to
 * GATHER_US_MAX: then a commit writes each group once for many events. Below, pauses return to the short ones by
 * themselves, and they end when the events do, the last of which came at `came_us`. */
static int64_t gathers_until(const struct tly_speed *speed, int64_t came_us) {
  int64_t rested_us = rests_until(speed);
  int64_t more_us = clamp(GATHER_US_AN_EVENT * (speed->commit_events - GATHER_EVENTS), 0, GATHER_US_MAX);
  return clamp(came_us + QUIET_US, rested_us, rested_us + more_us);
}

/* True: rested for a moment, look again. */
static bool rest_after_commit(const struct tly_speed *speed, int64_t came_us) {
  int64_t left_us = gathers_until(speed, came_us) - tly_clock_monotonic_us(speed->clock);
  if (speed->bell == NULL || left_us <= 0)
    return false;
  usleep((useconds_t)clamp(left_us, 0, LOOK_US));
  return true;
}

/* When a step that is `behind` at `now_us` stops folding: not before it has worked for twice as long as a commit took,
 * since of many groups each is written once a commit. */
static int64_t folds_until(const struct tly_speed *speed, int64_t behind, int64_t now_us) {
  int64_t wanted_us = STEP_US_MIN + behind / STEP_EVENTS_A_US, repaid_us = 2 * speed->commit_took_us;
  int64_t until_us = now_us + clamp(wanted_us > repaid_us ? wanted_us : repaid_us, STEP_US_MIN, STEP_US_MAX);
  int64_t gathered_us = gathers_until(speed, now_us);
  return until_us > gathered_us ? until_us : gathered_us;
}

/* ---- views that fold from a tail of their own
 * ---------------------------------------------------------------------------------- */

/* Bring a building view's own tail towards the layer's. *met: they are at the same place. */
static enum tly_status catch_up(struct tly_speed *speed, struct tly_live_view *live, struct budget *budget, bool *met,
                                struct tly_error *error) {
  *met = true;
  for (uint32_t p = 0; p < speed->tail.count && !speed->disagrees; p++) {
    const struct tly_tail_position *goal = &speed->tail.positions[p];
    if (goal->stream != live->view->stream)
      continue;
    struct tly_tail_position *own = tly_tail_position(&live->catch_up, goal->stream, goal->partition);
    TLY_ASSERT(own->next_offset <= goal->next_offset);
    TLY_TRY(take_blocks(speed, live, own, goal->next_offset, &goal->chain, budget, error));
    *met = *met && own->next_offset == goal->next_offset;
  }
  return TLY_OK;
}

/* With more time than the layer's own tail gets, so that they meet under any load. */
static enum tly_status catch_up_views(struct tly_speed *speed, bool *did_work, struct tly_error *error) {
  struct budget budget = {.events_left = STEP_EVENTS_MAX,
                          .until_us = tly_clock_monotonic_us(speed->clock) + CATCH_UP_US};
  for (uint32_t v = 0; v < speed->live_count; v++) {
    struct tly_live_view *live = &speed->views[v];
    if (!live->is_catching_up || (live->has_caught_up && !*did_work))
      continue; /* nothing has come since */
    *did_work = true;
    TLY_TRY(catch_up(speed, live, &budget, &live->has_caught_up, error));
    if (speed->disagrees)
      return TLY_OK;
    TLY_TRY(tly_speed_store_begin(speed->store, error));
    TLY_TRY(tly_live_view_flush(live, speed->store, speed->merge, error));
    TLY_TRY(tly_speed_store_save_catch_up(speed->store, live->id, &live->catch_up, error));
    if (live->has_caught_up && v < speed->view_count) /* one that takes another's place: go_back.c */
      TLY_TRY(tly_publish_built(speed, live, error));
  }
  return TLY_OK;
}

/* ---- the commit -------------------------------------------------------------------------------------------------- */

/* The archive had `target` when this state was opened: whoever has seen an answer before must not see less after. */
static bool becomes_checked(const struct tly_speed *speed) {
  return !speed->is_checked && tly_tail_has_reached(&speed->tail, &speed->target);
}

static enum tly_status commit(struct tly_speed *speed, struct tly_error *error) {
  int64_t began_us = tly_clock_monotonic_us(speed->clock);
  TLY_TRY(tly_speed_store_begin(speed->store, error));
  for (uint32_t v = 0; v < speed->live_count; v++)
    TLY_TRY(tly_live_view_flush(&speed->views[v], speed->store, speed->merge, error));
  TLY_TRY(tly_speed_store_save_positions(speed->store, &speed->tail, error));
  if (speed->cut_known > speed->cut_stored) {
    TLY_TRY(tly_speed_store_set_cuts(speed->store, speed->cut_known, &speed->cut_chain, error));
    speed->cut_stored = speed->cut_known;
  }
  if (becomes_checked(speed)) {
    TLY_TRY(tly_speed_store_set_checked(speed->store, error));
    speed->is_checked = true;
  }
  tly_crash_point("fold.before_commit");
  TLY_TRY(tly_speed_store_commit(speed->store, error));
  tly_crash_point("fold.after_commit");
  speed->commit_ended_us = tly_clock_monotonic_us(speed->clock);
  speed->commit_took_us = speed->commit_ended_us - began_us;
  if (fold_bytes(speed) > FOLD_KEPT_BYTES_MAX)
    tly_speed_rest(speed);
  tly_speed_ring(speed);
  return TLY_OK;
}

enum tly_status tly_fold_loop_step(struct tly_speed *speed, bool *did_work, struct tly_error *error) {
  struct budget budget = {.events_left = STEP_EVENTS_MAX};
  struct tly_position *heads;
  uint32_t count;
  int64_t behind, came_us = 0;
  *did_work = false;
  TLY_ASSERT(!tly_speed_store_is_in_transaction(speed->store) && !speed->disagrees);
  do {
    int64_t now_us = tly_clock_monotonic_us(speed->clock), left_before = budget.events_left;
    TLY_TRY(read_heads(speed, &heads, &count, &behind, error));
    budget.until_us = folds_until(speed, behind, now_us);
    TLY_TRY(follow_heads(speed, heads, count, &budget, error));
    if (budget.events_left < left_before)
      came_us = tly_clock_monotonic_us(speed->clock);
  } while (!speed->disagrees && budget.did_fold && !is_spent(speed, &budget) && rest_after_commit(speed, came_us));
  *did_work = budget.did_fold || becomes_checked(speed);
  if (!speed->disagrees)
    TLY_TRY(catch_up_views(speed, did_work, error));
  if (speed->disagrees || !*did_work)
    return TLY_OK; /* what is folded and not committed goes with the state */
  speed->commit_events = STEP_EVENTS_MAX - budget.events_left;
  return commit(speed, error);
}
