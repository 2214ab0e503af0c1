#include "speed_layer/state.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "speed_layer/fold_loop.h"
#include "speed_layer/go_back.h"
#include "speed_layer/publish.h"
#include "speed_layer/rebuild.h"
#include "speed_layer/trim.h"

/* Merging and trimming take this long between two folds; more when deltas have piled up, since every reader pays for
 * each of them: as long as the commit took, for a group is merged about once for each time it was written. */
enum { UPKEEP_US = 1000, UPKEEP_CROWDED_US = 4000, CROWDED_COUNT = 4 * TLY_DELTA_FAN_IN };

/* Under load runs are looked for this often, not at each commit. */
enum { PUBLISH_LOOK_US = 20000 };

struct tly_event_batch *tly_speed_batch(struct tly_speed *speed, const struct tly_stream *stream) {
  size_t index = (size_t)(stream - speed->project->streams);
  TLY_ASSERT(index < speed->project->stream_count);
  return &speed->batches[index];
}

struct tly_live_view *tly_speed_view(struct tly_speed *speed, const char *name) {
  for (uint32_t v = 0; v < speed->view_count; v++)
    if (strcmp(speed->views[v].view->name, name) == 0)
      return &speed->views[v];
  return NULL;
}

enum tly_status tly_speed_archive_status(struct tly_speed *speed, enum tly_status status) {
  speed->is_archive_failure = status != TLY_OK;
  return status;
}

void tly_speed_ring(const struct tly_speed *speed) {
  tly_doorbell_ring(speed->directory, "serve");
  tly_doorbell_ring(speed->directory, "batch");
}

struct tly_live_view *tly_speed_add_successor(struct tly_speed *speed, const struct tly_live_view *live) {
  TLY_ASSERT(live < speed->views + speed->view_count && tly_speed_successor(speed, live) == NULL);
  struct tly_live_view *successor = &speed->views[speed->live_count++];
  tly_live_view_init(successor, live->view);
  return successor;
}

struct tly_live_view *tly_speed_successor(struct tly_speed *speed, const struct tly_live_view *live) {
  for (uint32_t v = speed->view_count; v < speed->live_count; v++)
    if (speed->views[v].view == live->view)
      return &speed->views[v];
  return NULL;
}

void tly_speed_rest(struct tly_speed *speed) {
  for (uint32_t v = 0; v < speed->live_count; v++)
    tly_live_view_rest(&speed->views[v]);
}

static struct tly_speed *new_state(const char *directory, const struct tly_project *project,
                                   const struct tly_clock *clock, tly_doorbell *bell) {
  struct tly_speed *speed = tly_calloc(1, sizeof *speed);
  speed->directory = directory;
  speed->project = project;
  speed->clock = clock;
  speed->bell = bell;
  speed->columns = tly_calloc(TLY_COLUMNS_MAX, sizeof *speed->columns);
  tly_arena_init(&speed->arena);
  speed->batches = tly_calloc(project->stream_count, sizeof *speed->batches);
  for (uint32_t s = 0; s < project->stream_count; s++)
    tly_event_batch_init(&speed->batches[s], &project->streams[s]);
  speed->views = tly_calloc(2 * (size_t)project->view_count, sizeof *speed->views);
  for (uint32_t v = 0; v < project->view_count; v++)
    tly_live_view_init(&speed->views[v], &project->views[v]);
  speed->view_count = speed->live_count = project->view_count;
  return speed;
}

enum tly_status tly_speed_open(const char *directory, const struct tly_project *project, const struct tly_clock *clock,
                               tly_doorbell *bell, bool rebuild, struct tly_speed **out, struct tly_error *error) {
  struct tly_speed *speed = new_state(directory, project, clock, bell);
  *out = NULL;
  enum tly_status status =
      tly_speed_archive_status(speed, tly_archive_reader_open(directory, project, &speed->archive, error));
  if (status == TLY_OK)
    status = tly_rebuild_open_store(speed, rebuild, error);
  if (status != TLY_OK) {
    tly_speed_close(speed);
    return status;
  }
  *out = speed;
  return TLY_OK;
}

void tly_speed_close(struct tly_speed *speed) {
  if (speed == NULL)
    return;
  tly_delta_merge_free(speed->merge);
  tly_speed_store_close(speed->store);
  tly_batch_reader_close(speed->batch);
  tly_archive_reader_close(speed->archive);
  for (uint32_t v = 0; v < speed->live_count; v++)
    tly_live_view_free(&speed->views[v]);
  for (uint32_t s = 0; s < speed->project->stream_count; s++)
    tly_event_batch_free(&speed->batches[s]);
  tly_tail_free(&speed->tail);
  tly_tail_free(&speed->target);
  tly_arena_free(&speed->arena);
  tly_free(speed->views);
  tly_free(speed->batches);
  tly_free(speed->columns);
  tly_free(speed);
}

static const struct tly_view_program *program_of(void *context, int64_t view) {
  struct tly_speed *speed = context;
  for (uint32_t v = 0; v < speed->live_count; v++)
    if (speed->views[v].id == view)
      return speed->views[v].program;
  TLY_UNREACHABLE(); /* the deltas of a view go with it */
}

static int64_t merging_us(const struct tly_speed *speed, uint32_t most) {
  if (most <= CROWDED_COUNT)
    return UPKEEP_US;
  return speed->commit_took_us > UPKEEP_CROWDED_US ? speed->commit_took_us : UPKEEP_CROWDED_US;
}

/* Merge and trim for a while. */
static enum tly_status keep_up(struct tly_speed *speed, bool *more, struct tly_error *error) {
  uint32_t most;
  bool trim_more;
  *more = tly_delta_merge_is_due(speed->merge, &most);
  int64_t now_us = tly_clock_monotonic_us(speed->clock);
  int64_t until_us = now_us + merging_us(speed, most);
  if (*more)
    TLY_TRY(tly_delta_merge_step(speed->merge, speed->clock, until_us, program_of, speed, error));
  TLY_TRY(tly_trim_step(speed->store, speed->clock, now_us + UPKEEP_US, &trim_more, error));
  *more = trim_more || tly_delta_merge_is_due(speed->merge, &most);
  return TLY_OK;
}

enum tly_status tly_speed_step(struct tly_speed *speed, bool *did_work, struct tly_error *error) {
  bool did_publish = false, did_go_back = false, more;
  TLY_TRY(tly_fold_loop_step(speed, did_work, error));
  if (speed->disagrees)
    return TLY_OK;
  int64_t now_us = tly_clock_monotonic_us(speed->clock);
  if (!*did_work || now_us - speed->runs_looked_for_us >= PUBLISH_LOOK_US) {
    speed->runs_looked_for_us = now_us;
    TLY_TRY(tly_publish_step(speed, &did_publish, error));
    TLY_TRY(tly_go_back_step(speed, &did_go_back, error));
  }
  TLY_TRY(keep_up(speed, &more, error));
  *did_work |= did_publish | did_go_back | more;
  return tly_speed_store_checkpoint(speed->store, false, error);
}
