#include "batch_layer/definition_watch.h"

#include <string.h>

#include "batch_layer/retry_delay.h"
#include "common/archive/archive_reader.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { CHECK_US = 250000 };

/* What is known of a view besides its definition. */
struct view_state {
  bool is_covered;           /* a ready run of its present definition exists */
  bool is_held;              /* its newest one is held, under the present checks */
  int64_t building_since_us; /* monotonic; 0: not building */
  int64_t not_before_us;     /* after a failed run for its definition */
  uint32_t failures;
};

struct tly_definition_watch {
  struct tly_definition_watch_options options;
  tly_archive_reader *archive;         /* NULL until there is an archive */
  int64_t opened_at_us, checked_at_us; /* monotonic */
  struct view_state views[];           /* one a view of the project */
};

/* Whether the run was held by checks that are still the same. */
static bool has_same_checks(const struct tly_project *project, const struct tly_run *run) {
  for (uint32_t v = 0; v < run->view_count; v++) {
    const struct tly_view *view = tly_project_view(project, run->views[v].view);
    const char *now = view != NULL && view->check != NULL ? view->check->text : "";
    const char *then = run->views[v].check != NULL ? run->views[v].check : "";
    if (strcmp(now, then) != 0)
      return false;
  }
  return true;
}

static void note_run(tly_definition_watch *watch, const struct tly_run *run) {
  const struct tly_project *project = watch->options.project;
  bool is_held = strcmp(run->state, "held") == 0;
  bool is_held_still = is_held && has_same_checks(project, run);
  for (uint32_t v = 0; v < run->view_count; v++) {
    const struct tly_view *view = tly_project_view(project, run->views[v].view);
    bool is_rejected = run->views[v].rollback != NULL;
    if (view == NULL || is_rejected || memcmp(&view->hash, &run->views[v].definition_hash, sizeof view->hash) != 0)
      continue;
    struct view_state *state = &watch->views[view - project->views];
    state->is_covered |= !is_held;
    state->is_held = is_held_still;
  }
}

/* Which views have a run of their present definition, ready or held. */
static enum tly_status find_covered(tly_definition_watch *watch, tly_batch_reader *reader, struct tly_error *error) {
  struct tly_arena arena;
  struct tly_run *runs;
  uint32_t count;
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_kept(reader, &arena, &runs, &count, error);
  for (uint32_t r = 0; status == TLY_OK && r < count; r++)
    note_run(watch, &runs[r]);
  tly_arena_free(&arena);
  return status;
}

enum tly_status tly_definition_watch_open(const struct tly_definition_watch_options *options, tly_batch_reader *reader,
                                          tly_definition_watch **out, struct tly_error *error) {
  tly_definition_watch *watch =
      tly_calloc(1, sizeof *watch + (size_t)options->project->view_count * sizeof watch->views[0]);
  watch->options = *options;
  watch->opened_at_us = tly_clock_monotonic_us(options->clock);
  enum tly_status status = find_covered(watch, reader, error);
  *out = watch;
  if (status != TLY_OK) {
    tly_definition_watch_close(watch);
    *out = NULL;
  }
  return status;
}

void tly_definition_watch_close(tly_definition_watch *watch) {
  if (watch == NULL)
    return;
  tly_archive_reader_close(watch->archive);
  tly_free(watch);
}

static bool has_events(const struct tly_view *view, const struct tly_position *heads, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(heads[i].stream, view->stream->name) == 0 && heads[i].next_offset > 0)
      return true;
  return false;
}

/* The ends of all partitions; none when there is no archive yet. */
static uint32_t read_heads(tly_definition_watch *watch, struct tly_arena *arena, struct tly_position **heads) {
  const struct tly_definition_watch_options *options = &watch->options;
  uint32_t count = 0;
  if (watch->archive == NULL &&
      tly_archive_reader_open(options->directory, options->project, &watch->archive, NULL) != TLY_OK)
    return 0;
  return tly_archive_reader_heads(watch->archive, arena, heads, &count, NULL) == TLY_OK ? count : 0;
}

/* Whether the view needs a run that nobody asked for: it has events, and the speed layer builds it and waits for a run,
 * or there is neither a run nor a speed layer that could say that it does without (a view that was there before its
 * stream's first event is all live). */
static bool needs_run(tly_definition_watch *watch, uint32_t number, bool has_speed, bool is_known,
                      const struct tly_published *published) {
  struct view_state *view = &watch->views[number];
  int64_t at = tly_clock_monotonic_us(watch->options.clock), patience_us = (int64_t)watch->options.wait_ms * 1000;
  if (at < view->not_before_us || view->is_held)
    return false;
  if (!is_known || !has_speed) {
    view->building_since_us = 0;
    return !view->is_covered && at - watch->opened_at_us > patience_us;
  }
  if (published->is_ready) {
    view->building_since_us = 0;
    return false;
  }
  if (view->building_since_us == 0)
    view->building_since_us = at;
  return !view->is_covered || at - view->building_since_us > patience_us;
}

void tly_definition_watch_queue(tly_definition_watch *watch, int64_t now_us, struct tly_run_queue *queue) {
  const struct tly_project *project = watch->options.project;
  struct tly_published published[TLY_VIEWS_MAX];
  struct tly_position *heads = NULL;
  struct tly_run_job *job = NULL;
  struct tly_arena arena;
  bool known[TLY_VIEWS_MAX] = {false};
  int64_t at = tly_clock_monotonic_us(watch->options.clock);
  if (at - watch->checked_at_us < CHECK_US)
    return;
  watch->checked_at_us = at;
  bool has_speed = tly_speed_watch_look(watch->options.speed, published, known), has_heads = false;
  uint32_t head_count = 0;
  tly_arena_init(&arena);
  for (uint32_t v = 0; v < project->view_count; v++) {
    if (!needs_run(watch, v, has_speed, known[v], &published[v]) || tly_run_queue_has_view(queue, v))
      continue;
    if (!has_heads)
      head_count = read_heads(watch, &arena, &heads);
    has_heads = true;
    if (!has_events(&project->views[v], heads, head_count))
      continue;
    if (job == NULL && tly_run_queue_add(queue, TLY_REASON_DEFINITION, now_us, &job, NULL) != TLY_OK)
      break;
    job->views[v] = true;
  }
  tly_arena_free(&arena);
}

void tly_definition_watch_covered(tly_definition_watch *watch, const bool *views) {
  for (uint32_t v = 0; v < watch->options.project->view_count; v++)
    if (views[v]) {
      watch->views[v].is_covered = true;
      watch->views[v].is_held = false;
      watch->views[v].failures = 0;
      watch->views[v].not_before_us = 0;
    }
}

void tly_definition_watch_held(tly_definition_watch *watch, const bool *views) {
  for (uint32_t v = 0; v < watch->options.project->view_count; v++)
    watch->views[v].is_held |= views[v];
}

void tly_definition_watch_failed(tly_definition_watch *watch, const bool *views) {
  for (uint32_t v = 0; v < watch->options.project->view_count; v++)
    if (views[v]) {
      struct view_state *view = &watch->views[v];
      view->not_before_us = tly_clock_monotonic_us(watch->options.clock) + tly_retry_delay_us(++view->failures);
    }
}

void tly_definition_watch_cancelled(tly_definition_watch *watch, const bool *views) {
  tly_definition_watch_failed(watch, views);
  for (uint32_t v = 0; v < watch->options.project->view_count; v++)
    if (views[v] && !watch->views[v].is_covered)
      watch->views[v].not_before_us = INT64_MAX;
}
