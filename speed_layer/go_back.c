/* A run that is published may turn out to be wrong. `tally rollback` rejects it, and every newer one, in batch.db: that
 * is the decision, and all there is to it. Here it is carried out, as often as it has to be: whoever starts without a
 * store, or with an old one, finds it in batch.db.
 *
 * The generations between the older run's cut and the present were trimmed when the newer run was published. So the
 * view gets a successor: a second row of its name, building on the older run, with a tail and deltas of its own, which
 * folds the archive from that run's cut on exactly as a new view does (fold_loop.c). The view itself goes on folding
 * and answering with what it has. When the successor stands where the layer stands, it takes the view's place.
 *
 * INVARIANTS (tests/model has a counterexample for each)
 *   (1) A rejected run is never taken again. What is shown already stays until there is something to take its place.
 *   (2) Views that show the same run, and for which it was rejected, switch in one transaction: a query over two of
 *       them never sees one before and one after. So they also begin in one.
 *   (3) The transaction of the switch is on the disk before anybody sees it.
 *   (4) What a successor stands on is checked in the step that shows it: ready, not rejected, with its files.
 *
 * A newer run that can be published is better than an older one: it is published as always (publish.c), and the
 * successor, of no use then, goes. */
#include "speed_layer/go_back.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/log.h"
#include "speed_layer/publish.h"

/* What batch.db has rejected of the runs that are of interest. */
struct rejections {
  struct tly_rejected *rows;
  uint32_t count;
};

static bool is_rejected(const struct rejections *rejections, const struct tly_live_view *live) {
  for (uint32_t r = 0; r < rejections->count; r++)
    if (rejections->rows[r].run == live->run && strcmp(rejections->rows[r].view, live->view->name) == 0)
      return true;
  return false;
}

/* Whether the project's view has to go back: it shows a run that was rejected for it. */
static bool goes_back(const struct rejections *rejections, const struct tly_live_view *live) {
  return live->is_ready && live->run > 0 && is_rejected(rejections, live);
}

static enum tly_status read_rejections(struct tly_speed *speed, struct rejections *out, struct tly_error *error) {
  int64_t oldest = INT64_MAX;
  for (uint32_t v = 0; v < speed->live_count; v++)
    if (speed->views[v].run > 0 && speed->views[v].run < oldest)
      oldest = speed->views[v].run;
  out->count = 0;
  return oldest < INT64_MAX ? tly_publish_rejected(speed, oldest, &out->rows, &out->count, error) : TLY_OK;
}

/* ---- successors -------------------------------------------------------------------------------------------------- */

/* The last of the array takes its place in it. */
static void forget_successor(struct tly_speed *speed, struct tly_live_view *successor) {
  TLY_ASSERT(successor >= speed->views + speed->view_count);
  struct tly_live_view *last = &speed->views[--speed->live_count];
  if (successor != last)
    *successor = *last;
  memset(last, 0, sizeof *last);
}

static enum tly_status drop_successor(struct tly_speed *speed, struct tly_live_view *successor,
                                      struct tly_error *error) {
  tly_log(TLY_LOG_INFO, "going back is given up", "view=%s run=%lld", successor->view->name, (long long)successor->run);
  TLY_TRY(tly_speed_store_begin(speed->store, error));
  TLY_TRY(tly_speed_store_remove_view(speed->store, successor->id, error));
  TLY_TRY(tly_speed_store_drop_hidden(speed->store, error));
  tly_delta_merge_forget(speed->merge, successor->id, INT64_MAX);
  tly_live_view_free(successor);
  forget_successor(speed, successor);
  return tly_speed_store_commit(speed->store, error);
}

/* Those of no use any more: their view shows another run by now, or what they stand on was rejected, too. */
static enum tly_status drop_useless(struct tly_speed *speed, const struct rejections *rejections,
                                    struct tly_error *error) {
  for (uint32_t v = speed->live_count; v > speed->view_count; v--) {
    struct tly_live_view *successor = &speed->views[v - 1];
    const struct tly_live_view *live = tly_speed_view(speed, successor->view->name);
    if (!goes_back(rejections, live) || is_rejected(rejections, successor))
      TLY_TRY(drop_successor(speed, successor, error));
  }
  return TLY_OK;
}

static enum tly_status add_successor(struct tly_speed *speed, const struct tly_live_view *live,
                                     const struct tly_run *run, struct tly_error *error) {
  struct tly_view_row row = {.name = live->view->name, .definition_hash = live->view->hash};
  struct tly_live_view *successor = tly_speed_add_successor(speed, live);
  TLY_TRY(tly_speed_store_add_view(speed->store, &row, error));
  successor->id = row.id;
  TLY_TRY(tly_publish_catch_up_from(speed, successor, run, error));
  tly_log(TLY_LOG_INFO, "going back", "view=%s from=%lld to=%lld", live->view->name, (long long)live->run,
          (long long)run->id);
  return TLY_OK;
}

/* ---- the views that show one run --------------------------------------------------------------------------------- */

/* Those that go back from one run; `missing`: one of them has no successor. */
struct group {
  int64_t run;
  struct tly_live_view *views[TLY_VIEWS_MAX];
  uint32_t count;
  bool is_missing, has_caught_up;
};

static void collect_group(struct tly_speed *speed, const struct rejections *rejections, int64_t run,
                          struct group *group) {
  *group = (struct group){.run = run, .has_caught_up = true};
  for (uint32_t v = 0; v < speed->view_count; v++) {
    struct tly_live_view *live = &speed->views[v];
    if (live->run != run || !goes_back(rejections, live))
      continue;
    const struct tly_live_view *successor = tly_speed_successor(speed, live);
    group->views[group->count++] = live;
    group->is_missing |= successor == NULL;
    group->has_caught_up &= successor != NULL && successor->has_caught_up;
  }
}

/* All of them, or none: a view without an older run waits for a newer one, and the others with it. */
static enum tly_status begin(struct tly_speed *speed, const struct group *group, bool *did_work,
                             struct tly_error *error) {
  struct tly_run bases[TLY_VIEWS_MAX];
  for (uint32_t v = 0; v < group->count; v++) {
    bool found;
    TLY_TRY(tly_publish_find_base(speed, group->views[v], &bases[v], &found, error));
    if (!found || bases[v].id > group->run) /* a newer one: it is published as soon as the fold has come there */
      return TLY_OK;
  }
  TLY_TRY(tly_speed_store_begin(speed->store, error));
  for (uint32_t v = 0; v < group->count; v++)
    if (tly_speed_successor(speed, group->views[v]) == NULL)
      TLY_TRY(add_successor(speed, group->views[v], &bases[v], error));
  tly_publish_forget_cuts(speed);
  *did_work = true;
  tly_crash_point("go_back.before_begin");
  TLY_TRY(tly_speed_store_commit(speed->store, error));
  tly_crash_point("go_back.after_begin");
  return TLY_OK;
}

/* *all_good false: one could not be shown, and was dropped. */
static enum tly_status check_bases(struct tly_speed *speed, const struct group *group, bool *all_good,
                                   struct tly_error *error) {
  *all_good = true;
  for (uint32_t v = 0; v < group->count; v++) {
    struct tly_live_view *successor = tly_speed_successor(speed, group->views[v]);
    bool is_base;
    TLY_TRY(tly_publish_is_base(speed, successor, successor->run, false, &is_base, error));
    *all_good &= is_base;
    if (!is_base)
      TLY_TRY(drop_successor(speed, successor, error));
  }
  return TLY_OK;
}

static enum tly_status replace(struct tly_speed *speed, struct tly_live_view *live, struct tly_error *error) {
  struct tly_live_view *successor = tly_speed_successor(speed, live);
  TLY_ASSERT(successor->has_caught_up && successor->given_count == 0 && live->given_count == 0);
  tly_log(TLY_LOG_INFO, "published again", "run=%lld view=%s instead=%lld", (long long)successor->run, live->view->name,
          (long long)live->run);
  TLY_TRY(tly_speed_store_remove_view(speed->store, live->id, error));
  TLY_TRY(tly_speed_store_set_view(speed->store, successor->id, true, successor->run, successor->cut, error));
  TLY_TRY(tly_speed_store_forget_catch_up(speed->store, successor->id, error));
  tly_delta_merge_forget(speed->merge, live->id, INT64_MAX);
  tly_live_view_free(live);
  *live = *successor;
  forget_successor(speed, successor);
  live->is_ready = true;
  live->is_catching_up = live->has_caught_up = false;
  tly_tail_free(&live->catch_up);
  return TLY_OK;
}

static enum tly_status switch_group(struct tly_speed *speed, const struct group *group, bool *did_work,
                                    struct tly_error *error) {
  bool all_good;
  *did_work = true;
  TLY_TRY(check_bases(speed, group, &all_good, error));
  if (!all_good)
    return TLY_OK;
  TLY_TRY(tly_speed_store_begin_durable(speed->store, error));
  for (uint32_t v = 0; v < group->count; v++)
    TLY_TRY(replace(speed, group->views[v], error));
  TLY_TRY(tly_speed_store_drop_hidden(speed->store, error));
  tly_crash_point("go_back.before_switch");
  TLY_TRY(tly_speed_store_commit(speed->store, error));
  tly_crash_point("go_back.after_switch");
  tly_speed_ring(speed);
  return TLY_OK;
}

enum tly_status tly_go_back_step(struct tly_speed *speed, bool *did_work, struct tly_error *error) {
  struct rejections rejections;
  struct group group;
  *did_work = false;
  TLY_ASSERT(!tly_speed_store_is_in_transaction(speed->store));
  tly_arena_reset(&speed->arena);
  TLY_TRY(read_rejections(speed, &rejections, error));
  TLY_TRY(drop_useless(speed, &rejections, error));
  for (uint32_t v = 0; v < speed->view_count; v++) {
    if (!goes_back(&rejections, &speed->views[v]))
      continue;
    collect_group(speed, &rejections, speed->views[v].run, &group); /* as often as it has views: nothing is lost */
    if (group.is_missing)
      TLY_TRY(begin(speed, &group, did_work, error));
    else if (group.has_caught_up)
      TLY_TRY(switch_group(speed, &group, did_work, error));
  }
  return TLY_OK;
}
