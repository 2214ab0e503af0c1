#include "batch_layer/speed_watch.h"

#include <string.h>

#include "common/base/limits.h"

void tly_speed_watch_init(struct tly_speed_watch *watch, const char *directory, const struct tly_project *project) {
  *watch = (struct tly_speed_watch){.directory = directory, .project = project};
}

void tly_speed_watch_free(struct tly_speed_watch *watch) {
  if (watch->reader != NULL)
    tly_speed_reader_close(watch->reader);
  watch->reader = NULL;
}

bool tly_speed_watch_look(struct tly_speed_watch *watch, struct tly_published *published, bool *known) {
  const struct tly_project *project = watch->project;
  if (watch->reader == NULL && tly_speed_reader_open(watch->directory, project, &watch->reader, NULL) != TLY_OK)
    return false;
  if (tly_speed_snapshot_begin(watch->reader, NULL) != TLY_OK)
    return false;
  for (uint32_t v = 0; v < project->view_count; v++)
    known[v] = tly_speed_snapshot_view(watch->reader, &project->views[v], &published[v], NULL) == TLY_OK &&
               memcmp(&published[v].definition_hash, &project->views[v].hash, sizeof published[v].definition_hash) == 0;
  tly_speed_snapshot_end(watch->reader);
  return true;
}

bool tly_speed_watch_shows(struct tly_speed_watch *watch, int64_t run, const bool *views) {
  struct tly_published published[TLY_VIEWS_MAX];
  bool known[TLY_VIEWS_MAX] = {false};
  if (!tly_speed_watch_look(watch, published, known))
    return false;
  for (uint32_t v = 0; v < watch->project->view_count; v++)
    if (views[v] && (!known[v] || published[v].run < run))
      return false;
  return true;
}

bool tly_speed_watch_going_back(struct tly_speed_watch *watch, const struct tly_view *view,
                                struct tly_going_back *out) {
  *out = (struct tly_going_back){.run = 0};
  if (watch->reader == NULL || tly_speed_snapshot_begin(watch->reader, NULL) != TLY_OK)
    return false;
  bool is_read = tly_speed_snapshot_going_back(watch->reader, view, out, NULL) == TLY_OK;
  tly_speed_snapshot_end(watch->reader);
  return is_read && out->run > 0;
}

int64_t tly_speed_watch_progress(struct tly_speed_watch *watch) {
  struct tly_position *positions;
  struct tly_arena arena;
  uint32_t count;
  int64_t sum = 0;
  tly_arena_init(&arena);
  if (watch->reader != NULL && tly_speed_snapshot_begin(watch->reader, NULL) == TLY_OK) {
    if (tly_speed_snapshot_positions(watch->reader, NULL, &arena, &positions, &count, NULL) == TLY_OK)
      for (uint32_t i = 0; i < count; i++)
        sum += positions[i].next_offset;
    tly_speed_snapshot_end(watch->reader);
  }
  tly_arena_free(&arena);
  return sum;
}

void tly_speed_patience_begin(struct tly_speed_patience *patience, int wait_ms, int64_t now_us) {
  *patience =
      (struct tly_speed_patience){.wait_ms = wait_ms, .until_us = now_us + (int64_t)wait_ms * 1000, .progress = -1};
}

bool tly_speed_patience_is_over(struct tly_speed_patience *patience, int64_t progress, int64_t now_us) {
  if (progress != patience->progress)
    patience->until_us = now_us + (int64_t)patience->wait_ms * 1000;
  patience->progress = progress;
  return now_us >= patience->until_us;
}
