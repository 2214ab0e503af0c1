/* Publishing run k for a view moves everything up to cut k from the live generations to the run, in one transaction.
 * It is right exactly if both count the same events, so it asks for all of:
 *
 *   (1) The run is ready in batch.db, not rejected for the view, and newer than what the view shows. (How a view
 *       goes back to an older one: go_back.c.)
 *   (2) The run's definition hash is the view's: both count by the same rules.
 *   (3) The run's cut is the archive's cut k: for the same views, and in the streams that they read the same positions
 *       and running hashes; and the archive's events up to there still have these hashes. So the run read the events
 *       that were folded here.
 *   (4) The layer's own tail has reached the cut in every partition. It has checked each block's running hash since
 *       its start, so up to its positions, hence up to the cut, it folded the archive's events.
 *   (5) The run's files open under that definition.
 *
 * Blocks are stamped after the cut, so what is folded above it lies in generations above it: hiding the generations
 * at or below the cut hides the run's events and no others.
 *
 * A view that is new here (or changed) does not fold at all until it has a run to stand on. Its past lies below the
 * layer's offsets, and live never folds below them in place; so it folds from the run's cut in the shadow, with a
 * tail of its own, and becomes visible in the transaction in which that tail meets the layer's (fold_loop.c). Folding
 * at once instead, from where the layer happens to stand, would need a run whose cut is not older than that: a run
 * that was cut a moment too early would leave the view without an answer until the next one. This way any run will
 * do. */
#include "speed_layer/publish.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/store/run_reader.h"

static bool same_hash(const struct tly_hash *a, const struct tly_hash *b) {
  return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool covers(const struct tly_run *run, const struct tly_live_view *live) {
  for (uint32_t v = 0; v < run->view_count; v++)
    if (strcmp(run->views[v].view, live->view->name) == 0)
      return same_hash(&run->views[v].definition_hash, &live->view->hash);
  return false;
}

static bool is_rejected(const struct tly_run *run, const struct tly_live_view *live) {
  for (uint32_t v = 0; v < run->view_count; v++)
    if (strcmp(run->views[v].view, live->view->name) == 0)
      return run->views[v].rollback != NULL;
  return false;
}

/* Each run is asked about again and again while it is there: the reason is told once. */
static enum tly_status refuse(struct tly_speed *speed, const struct tly_run *run, const char *why) {
  for (uint32_t r = 0; r < TLY_REFUSED_RUNS; r++)
    if (speed->refused_runs[r] == run->id)
      return TLY_OK;
  speed->refused_runs[speed->refused_count++ % TLY_REFUSED_RUNS] = run->id;
  tly_log(TLY_LOG_WARN, "run cannot be used", "run=%lld reason=\"%s\"", (long long)run->id, why);
  return TLY_OK;
}

/* ---- (3): the run's cut is the archive's ------------------------------------------------------------------------- */

static const struct tly_position *find_position(const struct tly_position *positions, uint32_t count,
                                                const struct tly_position *wanted) {
  for (uint32_t p = 0; p < count; p++)
    if (strcmp(positions[p].stream, wanted->stream) == 0 && positions[p].partition == wanted->partition)
      return &positions[p];
  return NULL;
}

/* The position of `position` in the other list, alike. Where nothing was read it need not be there. */
static bool is_among(const struct tly_position *position, const struct tly_position *list, uint32_t count) {
  const struct tly_position *other = find_position(list, count, position);
  return position->next_offset == 0 || (other != NULL && other->next_offset == position->next_offset &&
                                        tly_chain_equal(&other->chain, &position->chain));
}

/* Whether a view of the run, as far as we know them, is one of this stream. */
static bool reads_stream(const struct tly_project *project, const struct tly_run *run, const char *stream) {
  for (uint32_t v = 0; v < run->view_count; v++) {
    const struct tly_view *view = tly_project_view(project, run->views[v].view);
    if (view != NULL && strcmp(view->stream->name, stream) == 0)
      return true;
  }
  return false;
}

/* The cut is of all streams, the run's positions are those that its views read. */
static bool has_positions_of(const struct tly_project *project, const struct tly_run *run, const struct tly_cut *cut) {
  for (uint32_t p = 0; p < run->position_count; p++)
    if (!is_among(&run->positions[p], cut->positions, cut->position_count))
      return false;
  for (uint32_t p = 0; p < cut->position_count; p++)
    if (reads_stream(project, run, cut->positions[p].stream) &&
        !is_among(&cut->positions[p], run->positions, run->position_count))
      return false;
  return true;
}

/* The generations of a view end at the cuts that name it, so a run for a view that its cut does not name hides too
 * much. */
static bool names_views(const struct tly_cut *cut, const struct tly_run *run) {
  for (uint32_t r = 0; r < run->view_count; r++) {
    bool is_named = false;
    for (uint32_t v = 0; v < cut->view_count; v++)
      is_named |= strcmp(cut->views[v], run->views[r].view) == 0;
    if (!is_named)
      return false;
  }
  return true;
}

static enum tly_status archive_agrees(struct tly_speed *speed, const struct tly_run *run, bool *agrees,
                                      struct tly_error *error) {
  struct tly_cut cut;
  *agrees = false;
  enum tly_status status = tly_archive_reader_cut(speed->archive, run->id, &speed->arena, &cut, error);
  if (status == TLY_E_UNDEFINED_OBJECT)
    return refuse(speed, run, "the archive has no such cut");
  TLY_TRY(tly_speed_archive_status(speed, status));
  if (!has_positions_of(speed->project, run, &cut))
    return refuse(speed, run, "its positions are not those of the archive's cut");
  if (!names_views(&cut, run))
    return refuse(speed, run, "the archive's cut is for other views");
  for (uint32_t p = 0; p < run->position_count; p++) {
    const struct tly_stream *stream = tly_project_stream(speed->project, run->positions[p].stream);
    tly_chain chain;
    int64_t stamp;
    bool found;
    if (stream == NULL)
      continue;
    TLY_TRY(tly_speed_archive_status(
        speed, tly_tail_chain_at(speed->archive, stream, run->positions[p].partition, run->positions[p].next_offset,
                                 tly_speed_batch(speed, stream), &chain, &stamp, &found, error)));
    if (!found || !tly_chain_equal(&chain, &run->positions[p].chain))
      return refuse(speed, run, "it was made from other events than the archive has");
  }
  *agrees = true;
  return TLY_OK;
}

/* ---- (4) and (5) ------------------------------------------------------------------------------------------------- */

static bool has_reached(const struct tly_speed *speed, const struct tly_run *run) {
  for (uint32_t p = 0; p < run->position_count; p++) {
    const struct tly_position *wanted = &run->positions[p];
    const struct tly_stream *stream = tly_project_stream(speed->project, wanted->stream);
    if (stream == NULL)
      continue;
    const struct tly_tail_position *own = tly_tail_find(&speed->tail, stream, wanted->partition);
    if ((own != NULL ? own->next_offset : 0) < wanted->next_offset)
      return false;
  }
  return true;
}

static bool has_files(const struct tly_speed *speed, const struct tly_live_view *live, int64_t run,
                      struct tly_error *why) {
  tly_run_reader *reader;
  if (tly_run_reader_open(speed->directory, run, live->program, &reader, why) != TLY_OK)
    return false;
  tly_run_reader_close(reader);
  return true;
}

/* ---- publishing -------------------------------------------------------------------------------------------------- */

static bool wants(const struct tly_live_view *live, const struct tly_run *run) {
  if (!covers(run, live))
    return false;
  return live->is_ready ? run->id > live->cut : !live->is_catching_up;
}

static enum tly_status switch_ready(struct tly_speed *speed, struct tly_live_view *live, const struct tly_run *run,
                                    struct tly_error *error) {
  TLY_TRY(tly_speed_store_set_view(speed->store, live->id, true, run->id, run->id, error));
  tly_live_view_published(live, run->id, run->id);
  tly_delta_merge_forget(speed->merge, live->id, run->id);
  tly_log(TLY_LOG_INFO, "published", "run=%lld view=%s", (long long)run->id, live->view->name);
  return TLY_OK;
}

enum tly_status tly_publish_catch_up_from(struct tly_speed *speed, struct tly_live_view *live,
                                          const struct tly_run *run, struct tly_error *error) {
  TLY_TRY(tly_speed_store_set_view(speed->store, live->id, false, run->id, run->id, error));
  tly_live_view_published(live, run->id, run->id);
  live->is_catching_up = true;
  for (uint32_t p = 0; p < run->position_count; p++) {
    if (strcmp(run->positions[p].stream, live->view->stream->name) != 0)
      continue;
    struct tly_tail_position *own = tly_tail_position(&live->catch_up, live->view->stream, run->positions[p].partition);
    own->next_offset = run->positions[p].next_offset;
    own->chain = run->positions[p].chain;
    own->is_dirty = true;
  }
  return tly_speed_store_save_catch_up(speed->store, live->id, &live->catch_up, error);
}

static enum tly_status publish(struct tly_speed *speed, const struct tly_run *run, const bool *chosen,
                               struct tly_error *error) {
  TLY_TRY(tly_speed_store_begin_durable(speed->store, error));
  for (uint32_t v = 0; v < speed->view_count; v++)
    if (chosen[v])
      TLY_TRY(speed->views[v].is_ready ? switch_ready(speed, &speed->views[v], run, error)
                                       : tly_publish_catch_up_from(speed, &speed->views[v], run, error));
  TLY_TRY(tly_speed_store_drop_hidden(speed->store, error));
  tly_crash_point("publish.before_commit");
  TLY_TRY(tly_speed_store_commit(speed->store, error));
  tly_crash_point("publish.after_commit");
  return TLY_OK;
}

static enum tly_status consider(struct tly_speed *speed, const struct tly_run *run, bool *did_publish,
                                struct tly_error *error) {
  bool chosen[TLY_VIEWS_MAX] = {false};
  bool any = false, agrees = false;
  struct tly_error why;
  for (uint32_t v = 0; v < speed->view_count; v++)
    any |= chosen[v] = wants(&speed->views[v], run);
  if (!any || !has_reached(speed, run))
    return TLY_OK;
  TLY_TRY(archive_agrees(speed, run, &agrees, error));
  if (!agrees)
    return TLY_OK;
  for (uint32_t v = 0; v < speed->view_count; v++)
    if (chosen[v] && !has_files(speed, &speed->views[v], run->id, &why))
      return refuse(speed, run, why.message);
  *did_publish = true;
  return publish(speed, run, chosen, error);
}

/* batch.db comes into being after this process does: NULL until then. */
static enum tly_status open_batch(struct tly_speed *speed, struct tly_error *error) {
  if (speed->batch != NULL)
    return TLY_OK;
  enum tly_status status = tly_batch_reader_open(speed->directory, speed->project, &speed->batch, error);
  return status == TLY_E_NOT_READY ? TLY_OK : status;
}

/* Ready runs above `after`, ascending, in speed->arena. */
static enum tly_status read_ready(struct tly_speed *speed, int64_t after, struct tly_run **runs, uint32_t *count,
                                  struct tly_error *error) {
  *count = 0;
  TLY_TRY(open_batch(speed, error));
  if (speed->batch == NULL)
    return TLY_OK;
  return tly_batch_reader_ready(speed->batch, after, &speed->arena, runs, count, error);
}

enum tly_status tly_publish_step(struct tly_speed *speed, bool *did_publish, struct tly_error *error) {
  struct tly_run *runs;
  uint32_t count;
  int64_t oldest = INT64_MAX;
  *did_publish = false;
  TLY_ASSERT(!tly_speed_store_is_in_transaction(speed->store));
  tly_arena_reset(&speed->arena);
  for (uint32_t v = 0; v < speed->view_count; v++)
    if (speed->views[v].cut < oldest)
      oldest = speed->views[v].cut;
  TLY_TRY(read_ready(speed, oldest, &runs, &count, error));
  for (uint32_t r = count; r > 0; r--) /* the newest first: older ones are then of no more use */
    TLY_TRY(consider(speed, &runs[r - 1], did_publish, error));
  if (*did_publish)
    tly_speed_ring(speed);
  return TLY_OK;
}

enum tly_status tly_publish_rejected(struct tly_speed *speed, int64_t oldest, struct tly_rejected **out,
                                     uint32_t *count, struct tly_error *error) {
  *count = 0;
  TLY_TRY(open_batch(speed, error));
  if (speed->batch == NULL)
    return TLY_OK;
  return tly_batch_reader_rejected(speed->batch, oldest, &speed->arena, out, count, error);
}

static enum tly_status is_base(struct tly_speed *speed, const struct tly_live_view *live, const struct tly_run *run,
                               bool *out, struct tly_error *error) {
  struct tly_error why;
  *out = false;
  if (!covers(run, live))
    return TLY_OK;
  TLY_TRY(archive_agrees(speed, run, out, error));
  if (!*out)
    return TLY_OK;
  *out = has_files(speed, live, run->id, &why);
  return *out ? TLY_OK : refuse(speed, run, why.message);
}

enum tly_status tly_publish_is_base(struct tly_speed *speed, const struct tly_live_view *live, int64_t run_id,
                                    bool is_shown, bool *out, struct tly_error *error) {
  struct tly_run run;
  *out = false;
  TLY_TRY(open_batch(speed, error));
  if (speed->batch == NULL)
    return TLY_OK; /* a run that batch.db does not know is nobody's */
  enum tly_status status = tly_batch_reader_run(speed->batch, run_id, &speed->arena, &run, error);
  if (status == TLY_E_UNDEFINED_OBJECT)
    return TLY_OK;
  TLY_TRY(status);
  bool has_been_rejected = is_rejected(&run, live);
  if (has_been_rejected ? !is_shown || strcmp(run.state, "withdrawn") == 0 : strcmp(run.state, "ready") != 0)
    return TLY_OK;
  return is_base(speed, live, &run, out, error);
}

enum tly_status tly_publish_find_base(struct tly_speed *speed, const struct tly_live_view *live, struct tly_run *run,
                                      bool *found, struct tly_error *error) {
  struct tly_run *runs;
  uint32_t count;
  *found = false;
  TLY_TRY(read_ready(speed, 0, &runs, &count, error));
  for (uint32_t r = count; r > 0 && !*found; r--) {
    *run = runs[r - 1];
    TLY_TRY(is_base(speed, live, run, found, error));
  }
  return TLY_OK;
}

/* ---- a view that was built --------------------------------------------------------------------------------------- */

void tly_publish_forget_cuts(struct tly_speed *speed) {
  speed->cut_known = 0;
  memset(&speed->cut_chain, 0, sizeof speed->cut_chain);
}

/* The row of a new view takes the place of the old one; what was folded under the old id is nobody's and is trimmed. */
static enum tly_status start_over(struct tly_speed *speed, struct tly_live_view *live, struct tly_error *error) {
  struct tly_view_row row = {.name = live->view->name, .definition_hash = live->view->hash};
  TLY_TRY(tly_speed_store_remove_view(speed->store, live->id, error));
  TLY_TRY(tly_speed_store_drop_hidden(speed->store, error));
  tly_delta_merge_forget(speed->merge, live->id, INT64_MAX);
  TLY_TRY(tly_speed_store_add_view(speed->store, &row, error));
  live->is_catching_up = live->has_caught_up = false;
  tly_tail_free(&live->catch_up);
  tly_cut_list_free(&live->cuts);
  tly_publish_forget_cuts(speed);
  return tly_live_view_adopt(live, speed->store, &row, error);
}

enum tly_status tly_publish_built(struct tly_speed *speed, struct tly_live_view *live, struct tly_error *error) {
  TLY_ASSERT(live->is_catching_up && live->given_count == 0);
  if (!has_files(speed, live, live->run, NULL))
    return start_over(speed, live, error);
  TLY_TRY(tly_speed_store_set_view(speed->store, live->id, true, live->run, live->cut, error));
  TLY_TRY(tly_speed_store_forget_catch_up(speed->store, live->id, error));
  live->is_ready = true;
  live->is_catching_up = live->has_caught_up = false;
  tly_tail_free(&live->catch_up);
  tly_log(TLY_LOG_INFO, "view is ready", "view=%s run=%lld", live->view->name, (long long)live->run);
  tly_crash_point("catch_up.before_commit");
  return TLY_OK;
}
