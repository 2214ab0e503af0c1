/* The store is trusted if, for every partition, the archive has all events below the stored offset, under the stored
 * hash and stamp; if the archive's cuts are those on which the generations rest; and if every published run is one
 * that could be published now (publish.c), its files included. The
 * archive can have gone back behind the store: a process killed between write and sync leaves a block in the page
 * cache alone; it is folded, the store reaches the disk, the power goes. The archive can then go on with other events
 * (offsets alone would not show it, hashes do), or with the same ones behind another cut, when a producer repeats
 * them (then the stamp shows it).
 *
 * A new store is just an ordinary store at an earlier place. Per stream:
 *   - Each view takes the newest ready run under its definition that the archive agrees with as published.
 *   - The tail starts at the oldest of these runs' cuts. Folding from there, a view passes over blocks up to its own
 *     cut, since they are stamped at or below it.
 *   - If no view has a run, the tail starts at the archive's beginning and all views are live alone. If only some
 *     have none, those are building, as a view that is added later: the others need not wait for a fold of all
 *     history.
 * Readers are told to wait (meta `checked`) until the tail has come to where the archive ended at the start.
 *
 * The same rule serves the very first start: no runs, an archive without events, all views ready at once.
 *
 * Definitions. A view whose hash is not the stored one is another view: the old row goes, and what was folded for it;
 * the new one is ready at once if nothing of its stream was folded yet, else it is building. */
#include "speed_layer/rebuild.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "speed_layer/publish.h"

/* ---- is the store still true? ------------------------------------------------------------------------------------ */

static enum tly_status check_positions(struct tly_speed *speed, bool *agrees, struct tly_error *error) {
  *agrees = true;
  for (uint32_t p = 0; p < speed->tail.count && *agrees; p++) {
    const struct tly_tail_position *position = &speed->tail.positions[p];
    TLY_TRY(tly_speed_archive_status(
        speed, tly_tail_check(speed->archive, position, tly_speed_batch(speed, position->stream), agrees, error)));
    if (!*agrees)
      tly_log(TLY_LOG_WARN, "the live state rests on events that the archive does not have",
              "stream=%s partition=%u offset=%lld", position->stream->name, position->partition,
              (long long)position->next_offset);
  }
  return TLY_OK;
}

static bool is_same_view(const struct tly_view_row *row, const struct tly_view *view) {
  return strcmp(row->name, view->name) == 0 &&
         memcmp(row->definition_hash.bytes, view->hash.bytes, sizeof view->hash.bytes) == 0;
}

/* A number that was given to two cuts (an archive restored from a copy) would make generations mean something else. */
static enum tly_status check_cuts(struct tly_speed *speed, bool *agrees, struct tly_error *error) {
  struct tly_cut *cuts;
  uint32_t count;
  int64_t number;
  tly_chain stored, found = {{0}};
  TLY_TRY(tly_speed_store_cuts(speed->store, &number, &stored, error));
  if (number == 0 || !*agrees)
    return TLY_OK;
  TLY_TRY(
      tly_speed_archive_status(speed, tly_archive_reader_cuts(speed->archive, 0, &speed->arena, &cuts, &count, error)));
  for (uint32_t c = 0; c < count && cuts[c].number <= number; c++)
    found = tly_tail_chain_cut(found, &cuts[c]);
  *agrees = tly_chain_equal(&found, &stored);
  speed->cut_stored = number;
  if (!*agrees)
    tly_log(TLY_LOG_WARN, "the live state rests on cuts that the archive does not have", "cut=%lld", (long long)number);
  return TLY_OK;
}

/* A second row of a name: the view that will take the place of the first one, which is shown. */
static bool is_successor(const struct tly_view_row *rows, uint32_t number) {
  for (uint32_t r = 0; r < number; r++)
    if (strcmp(rows[r].name, rows[number].name) == 0)
      return true;
  return false;
}

/* The runs that the store shows must be the archive's as much as its own folds. What a successor stands on is looked at
 * before it shows up (go_back.c). */
static enum tly_status check_runs(struct tly_speed *speed, const struct tly_view_row *rows, uint32_t row_count,
                                  bool *agrees, struct tly_error *error) {
  for (uint32_t r = 0; r < row_count && *agrees; r++) {
    const struct tly_live_view *live = tly_speed_view(speed, rows[r].name);
    if (live != NULL && is_same_view(&rows[r], live->view) && rows[r].run > 0 && !is_successor(rows, r))
      TLY_TRY(tly_publish_is_base(speed, live, rows[r].run, rows[r].is_ready, agrees, error));
  }
  return TLY_OK;
}

static enum tly_status is_true(struct tly_speed *speed, bool *out, struct tly_error *error) {
  struct tly_view_row *rows;
  uint32_t count;
  *out = false;
  TLY_TRY(tly_speed_store_load_positions(speed->store, speed->project, &speed->tail, error));
  TLY_TRY(tly_speed_store_load_views(speed->store, &speed->arena, &rows, &count, error));
  TLY_TRY(check_positions(speed, out, error));
  TLY_TRY(check_cuts(speed, out, error));
  return check_runs(speed, rows, count, out, error);
}

/* *opened false: there is no store to trust. A damaged one is as good as none. */
static enum tly_status open_trusted(struct tly_speed *speed, int64_t epoch, bool *opened, struct tly_error *error) {
  *opened = false;
  enum tly_status status = tly_speed_store_open(speed->directory, epoch, &speed->store, error);
  if (status == TLY_OK)
    status = is_true(speed, opened, error);
  if (*opened)
    return TLY_OK;
  tly_speed_store_close(speed->store);
  speed->store = NULL;
  speed->cut_stored = 0;
  tly_tail_free(&speed->tail);
  bool is_untrusted = status == TLY_OK || status == TLY_E_NOT_READY || status == TLY_E_CORRUPT;
  return is_untrusted && !speed->is_archive_failure ? TLY_OK : status;
}

/* ---- a new store ------------------------------------------------------------------------------------------------- */

/* What a new store says of one view. */
struct base {
  bool has_run;
  int64_t run;
};

/* The tail of one stream starts at the oldest cut that one of its views stands on. */
static enum tly_status start_at_cut(struct tly_speed *speed, const struct tly_stream *stream, int64_t number,
                                    struct tly_error *error) {
  struct tly_cut cut;
  TLY_TRY(tly_speed_archive_status(speed, tly_archive_reader_cut(speed->archive, number, &speed->arena, &cut, error)));
  for (uint32_t p = 0; p < cut.position_count; p++) {
    if (strcmp(cut.positions[p].stream, stream->name) != 0)
      continue;
    struct tly_tail_position *position = tly_tail_position(&speed->tail, stream, cut.positions[p].partition);
    position->next_offset = cut.positions[p].next_offset;
    position->chain = cut.positions[p].chain;
    position->is_dirty = true;
  }
  return TLY_OK;
}

static enum tly_status plan_stream(struct tly_speed *speed, const struct tly_stream *stream, struct base *bases,
                                   struct tly_error *error) {
  int64_t oldest = 0;
  for (uint32_t v = 0; v < speed->view_count; v++) {
    struct tly_run run;
    if (speed->views[v].view->stream != stream)
      continue;
    TLY_TRY(tly_publish_find_base(speed, &speed->views[v], &run, &bases[v].has_run, error));
    bases[v].run = bases[v].has_run ? run.id : 0;
    if (bases[v].has_run && (oldest == 0 || run.id < oldest))
      oldest = run.id;
  }
  if (oldest > 0)
    return start_at_cut(speed, stream, oldest, error);
  for (uint32_t v = 0; v < speed->view_count; v++)
    if (speed->views[v].view->stream == stream)
      bases[v].has_run = true; /* run 0: nothing, up to the archive's beginning */
  return TLY_OK;
}

static enum tly_status fill_new_store(struct tly_speed *speed, const struct base *bases, struct tly_error *error) {
  TLY_TRY(tly_speed_store_begin_durable(speed->store, error)); /* what it takes the place of never comes back */
  for (uint32_t v = 0; v < speed->view_count; v++) {
    const struct tly_view *view = speed->views[v].view;
    struct tly_view_row row = {.name = view->name,
                               .definition_hash = view->hash,
                               .is_ready = bases[v].has_run,
                               .run = bases[v].run,
                               .cut = bases[v].run};
    TLY_TRY(tly_speed_store_add_view(speed->store, &row, error));
  }
  TLY_TRY(tly_speed_store_save_positions(speed->store, &speed->tail, error));
  return tly_speed_store_commit(speed->store, error);
}

static enum tly_status make_store(struct tly_speed *speed, int64_t epoch, struct tly_error *error) {
  struct base bases[TLY_VIEWS_MAX] = {{0}};
  for (uint32_t s = 0; s < speed->project->stream_count; s++)
    TLY_TRY(plan_stream(speed, &speed->project->streams[s], bases, error));
  TLY_TRY(tly_speed_store_create(speed->directory, epoch, &speed->store, error));
  TLY_TRY(fill_new_store(speed, bases, error));
  tly_log(TLY_LOG_INFO, "new live state", "epoch=%lld", (long long)epoch);
  return tly_speed_store_adopt(speed->store, error);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static bool is_folded_from(const struct tly_speed *speed, const struct tly_stream *stream) {
  for (uint32_t p = 0; p < speed->tail.count; p++)
    if (speed->tail.positions[p].stream == stream && speed->tail.positions[p].next_offset > 0)
      return true;
  return false;
}

static enum tly_status remove_other_definitions(struct tly_speed *speed, const struct tly_view_row *rows,
                                                uint32_t count, struct tly_error *error) {
  for (uint32_t r = 0; r < count; r++) {
    const struct tly_live_view *live = tly_speed_view(speed, rows[r].name);
    if (live != NULL && is_same_view(&rows[r], live->view))
      continue;
    tly_log(TLY_LOG_INFO, live == NULL ? "view was removed" : "view was changed", "view=%s", rows[r].name);
    TLY_TRY(tly_speed_store_remove_view(speed->store, rows[r].id, error));
  }
  return tly_speed_store_drop_hidden(speed->store, error);
}

static enum tly_status add_new_definitions(struct tly_speed *speed, const struct tly_view_row *rows, uint32_t count,
                                           struct tly_error *error) {
  for (uint32_t v = 0; v < speed->view_count; v++) {
    const struct tly_view *view = speed->views[v].view;
    bool is_known = false;
    for (uint32_t r = 0; r < count; r++)
      is_known |= is_same_view(&rows[r], view);
    if (is_known)
      continue;
    struct tly_view_row row = {
        .name = view->name, .definition_hash = view->hash, .is_ready = !is_folded_from(speed, view->stream)};
    TLY_TRY(tly_speed_store_add_view(speed->store, &row, error));
    tly_log(TLY_LOG_INFO, "new view", "view=%s state=%s", view->name, row.is_ready ? "ready" : "building");
  }
  return TLY_OK;
}

static enum tly_status follow_definitions(struct tly_speed *speed, struct tly_error *error) {
  struct tly_view_row *rows;
  uint32_t count;
  TLY_TRY(tly_speed_store_load_views(speed->store, &speed->arena, &rows, &count, error));
  TLY_TRY(tly_speed_store_begin(speed->store, error));
  TLY_TRY(tly_speed_store_drop_unfinished(speed->store, error));
  TLY_TRY(remove_other_definitions(speed, rows, count, error));
  TLY_TRY(add_new_definitions(speed, rows, count, error));
  tly_crash_point("definitions.before_commit");
  TLY_TRY(tly_speed_store_commit(speed->store, error));
  TLY_TRY(tly_speed_store_load_views(speed->store, &speed->arena, &rows, &count, error));
  for (uint32_t r = 0; r < count; r++) {
    struct tly_live_view *live = tly_speed_view(speed, rows[r].name);
    if (is_successor(rows, r))
      live = tly_speed_add_successor(speed, live);
    TLY_TRY(tly_live_view_adopt(live, speed->store, &rows[r], error));
  }
  TLY_ASSERT(count == speed->live_count);
  return TLY_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static enum tly_status read_target(struct tly_speed *speed, struct tly_error *error) {
  struct tly_position *heads;
  uint32_t count;
  TLY_TRY(
      tly_speed_archive_status(speed, tly_archive_reader_heads(speed->archive, &speed->arena, &heads, &count, error)));
  for (uint32_t h = 0; h < count; h++) {
    const struct tly_stream *stream = tly_project_stream(speed->project, heads[h].stream);
    tly_tail_position(&speed->target, stream, heads[h].partition)->next_offset = heads[h].next_offset;
  }
  return TLY_OK;
}

enum tly_status tly_rebuild_open_store(struct tly_speed *speed, bool rebuild, struct tly_error *error) {
  int64_t epoch = tly_speed_store_current(speed->directory);
  bool opened = false;
  TLY_TRY(read_target(speed, error));
  if (epoch > 0 && !rebuild)
    TLY_TRY(open_trusted(speed, epoch, &opened, error));
  if (!opened)
    TLY_TRY(make_store(speed, epoch + 1, error));
  TLY_TRY(follow_definitions(speed, error));
  return tly_delta_merge_new(speed->store, &speed->merge, error);
}
