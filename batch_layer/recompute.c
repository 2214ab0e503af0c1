/* A recompute is two rounds of the same threads: fold all blocks, then merge all groups. Between them the calling
 * thread alone divides the work. It also waits, and tells of progress, while the rounds go on. */
#include "batch_layer/recompute.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batch_layer/recompute_reuse.h"
#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { PROGRESS_MS = 100 };

/* ---- rounds of threads ------------------------------------------------------------------------------------------- */

typedef enum tly_status (*round_function)(struct tly_recompute_work *work, uint32_t thread, struct tly_error *error);

struct round {
  struct tly_recompute_work *work;
  round_function run;
  uint32_t thread;
};

static void *run_thread(void *context) {
  struct round *round = context;
  struct tly_recompute_work *work = round->work;
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_status status = round->run(work, round->thread, &error);
  pthread_mutex_lock(&work->mutex);
  if (status != TLY_OK && work->status == TLY_OK) {
    work->status = status;
    work->error = error;
  }
  if (status != TLY_OK)
    atomic_store(&work->stopping, true);
  work->running--;
  pthread_cond_signal(&work->changed);
  pthread_mutex_unlock(&work->mutex);
  return NULL;
}

static void wait_for_threads(struct tly_recompute_work *work) {
  const struct tly_recompute_job *job = work->job;
  pthread_mutex_lock(&work->mutex);
  while (work->running > 0) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += PROGRESS_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&work->changed, &work->mutex, &until);
    pthread_mutex_unlock(&work->mutex);
    if (job->progress != NULL)
      job->progress(job->context, atomic_load(&work->folded), work->plan.events);
    pthread_mutex_lock(&work->mutex);
  }
  pthread_mutex_unlock(&work->mutex);
}

static enum tly_status run_round(struct tly_recompute_work *work, round_function run, struct tly_error *error) {
  uint32_t threads = work->job->threads, started = 0;
  pthread_t *handles = tly_calloc(threads, sizeof *handles);
  struct round *rounds = tly_calloc(threads, sizeof *rounds);
  for (; started < threads; started++) {
    rounds[started] = (struct round){.work = work, .run = run, .thread = started};
    pthread_mutex_lock(&work->mutex);
    work->running++;
    pthread_mutex_unlock(&work->mutex);
    if (pthread_create(&handles[started], NULL, run_thread, &rounds[started]) != 0) {
      pthread_mutex_lock(&work->mutex);
      work->running--;
      work->status = TLY_FAIL(&work->error, TLY_E_NO_MEMORY, "could not start a thread");
      pthread_mutex_unlock(&work->mutex);
      atomic_store(&work->stopping, true);
      break;
    }
  }
  wait_for_threads(work);
  for (uint32_t i = 0; i < started; i++)
    pthread_join(handles[i], NULL);
  tly_free(handles);
  tly_free(rounds);
  if (work->status != TLY_OK && error != NULL)
    *error = work->error;
  return work->status;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

static uint32_t stream_number(const struct tly_project *project, const struct tly_stream *stream) {
  for (uint32_t s = 0; s < project->stream_count; s++)
    if (&project->streams[s] == stream)
      return s;
  TLY_UNREACHABLE();
}

static void init_view(struct tly_recompute_work *work, struct tly_view_work *view, const struct tly_view *definition) {
  view->view = definition;
  view->program = tly_view_program_new(definition);
  view->stream = stream_number(work->job->project, definition->stream);
  view->parts = tly_calloc(view->program->part_count, sizeof *view->parts);
  view->folds = tly_calloc(work->job->threads, sizeof(tly_fold *));
  bool **wanted = &work->wanted[view->stream];
  if (*wanted == NULL)
    *wanted = tly_calloc(definition->stream->column_count, sizeof **wanted);
  for (uint32_t c = 0; c < definition->stream->column_count; c++)
    (*wanted)[c] |= view->program->column_used[c];
}

static void init_work(struct tly_recompute_work *work, const struct tly_recompute_job *job, const char *folder) {
  memset(work, 0, sizeof *work);
  work->job = job;
  work->folder = folder;
  pthread_mutex_init(&work->mutex, NULL);
  pthread_cond_init(&work->changed, NULL);
  work->wanted = tly_calloc(job->project->stream_count, sizeof(bool *));
  work->events_before = tly_calloc(job->project->stream_count, sizeof *work->events_before);
  tly_arena_init(&work->arena);
  work->views = tly_calloc(job->view_count, sizeof *work->views);
  for (uint32_t v = 0; v < job->view_count; v++)
    init_view(work, &work->views[v], job->views[v]);
  work->spills = tly_calloc(job->threads, sizeof *work->spills);
  work->arenas = tly_calloc(job->threads, sizeof *work->arenas);
  for (uint32_t t = 0; t < job->threads; t++)
    work->spills[t].fd = -1;
}

static void free_view(struct tly_view_work *view) {
  tly_fold_union_free(view->all_folds);
  for (uint32_t i = 0; i < view->fold_count; i++)
    tly_fold_free(view->folds[i]);
  tly_free(view->folds);
  for (uint32_t p = 0; p < view->program->part_count; p++) {
    for (uint32_t i = 0; i < view->parts[p].sorted_count; i++)
      tly_sorted_groups_free(view->parts[p].sorted[i]);
    tly_free(view->parts[p].sorted);
  }
  for (uint32_t i = 0; i < view->kept_count; i++) {
    tly_run_reader_close(view->kept[i].reader);
    tly_free(view->kept[i].folder);
  }
  tly_free(view->kept);
  tly_free(view->parts);
  tly_free(view->set_aside);
  tly_view_program_free(view->program);
}

static void free_work(struct tly_recompute_work *work) {
  const struct tly_recompute_job *job = work->job;
  tly_recompute_tasks_free(work);
  for (uint32_t v = 0; v < job->view_count; v++)
    free_view(&work->views[v]);
  for (uint32_t s = 0; s < job->project->stream_count; s++)
    tly_free(work->wanted[s]);
  for (uint32_t t = 0; t < job->threads; t++) {
    tly_spill_file_close(&work->spills[t]);
    tly_arena_free(&work->arenas[t]);
  }
  tly_free(work->wanted);
  tly_free(work->events_before);
  tly_buffer_free(&work->note);
  tly_arena_free(&work->arena);
  tly_free(work->views);
  tly_free(work->spills);
  tly_free(work->arenas);
  pthread_cond_destroy(&work->changed);
  pthread_mutex_destroy(&work->mutex);
}

static int compare_positions(const void *a, const void *b) {
  const struct tly_run_set_aside *left = a, *right = b;
  if (left->partition != right->partition)
    return left->partition < right->partition ? -1 : 1;
  return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static void list_set_aside(struct tly_view_work *view, struct tly_run_view_result *out, struct tly_arena *arena) {
  if (view->set_aside_count > 0)
    qsort(view->set_aside, view->set_aside_count, sizeof *view->set_aside, compare_positions);
  uint32_t count = view->set_aside_count < TLY_SET_ASIDE_LISTED_MAX ? view->set_aside_count : TLY_SET_ASIDE_LISTED_MAX;
  out->set_aside_listed = TLY_ARENA_ARRAY(arena, struct tly_run_set_aside, count);
  out->set_aside_listed_count = count;
  for (uint32_t i = 0; i < count; i++) {
    const struct tly_run_set_aside *event = &view->set_aside[i];
    out->set_aside_listed[i] = *event;
    out->set_aside_listed[i].sqlstate = tly_arena_copy(arena, event->sqlstate, strlen(event->sqlstate));
    out->set_aside_listed[i].message = tly_arena_copy(arena, event->message, strlen(event->message));
  }
}

static void list_files(const struct tly_recompute_work *work, uint32_t view, struct tly_run_view_result *out,
                       struct tly_arena *arena) {
  const struct tly_run_piece **pieces = tly_calloc(work->task_count, sizeof(struct tly_run_piece *));
  out->files = TLY_ARENA_ARRAY(arena, struct tly_run_file, work->task_count);
  for (uint32_t i = 0; i < work->task_count; i++) {
    const struct tly_run_piece *piece = &work->tasks[i].result;
    if (work->tasks[i].view != view)
      continue;
    pieces[out->file_count] = piece;
    out->files[out->file_count++] =
        (struct tly_run_file){.name = tly_arena_copy(arena, piece->file, strlen(piece->file)),
                              .part = piece->part,
                              .piece = piece->piece,
                              .groups = piece->groups,
                              .bytes = piece->bytes,
                              .hash = piece->file_hash};
    out->groups += piece->part == 0 ? piece->groups : 0;
  }
  out->content_hash = tly_run_content_hash(pieces, out->file_count);
  tly_free(pieces);
}

static void tell_view(const struct tly_recompute_work *work, uint32_t number, struct tly_run_view_result *out,
                      struct tly_arena *arena) {
  struct tly_view_work *view = &work->views[number];
  const struct tly_fold_counts *counts = &view->counts;
  /* Each event read is in exactly one of the three (invariant 10). */
  TLY_ASSERT(counts->folded + counts->filtered + counts->set_aside ==
             work->events_before[view->stream] + work->plan.stream_events[view->stream]);
  *out = (struct tly_run_view_result){.view = view->view->name,
                                      .definition_hash = view->view->hash,
                                      .folded = counts->folded,
                                      .filtered = counts->filtered,
                                      .set_aside = counts->set_aside,
                                      .drift = -1,
                                      .base = view->base,
                                      .base_count = view->base_count};
  list_set_aside(view, out, arena);
  list_files(work, number, out, arena);
}

static void tell_result(struct tly_recompute_work *work, struct tly_arena *arena, struct tly_run_result *out) {
  const struct tly_recompute_job *job = work->job;
  *out = (struct tly_run_result){
      .run = job->cut->number, .fold_version = TLY_FOLD_VERSION, .inputs = job->inputs, .view_count = job->view_count};
  for (uint32_t s = 0; s < job->project->stream_count; s++)
    out->events += work->events_before[s] + work->plan.stream_events[s];
  out->reused = out->events - work->plan.events;
  if (work->note.size > 0)
    out->note = tly_arena_print(arena, "%s", tly_buffer_text(&work->note));
  out->positions = TLY_ARENA_ARRAY(arena, struct tly_position, job->cut->position_count);
  for (uint32_t i = 0; i < job->cut->position_count; i++) {
    const struct tly_stream *stream = tly_project_stream(job->project, job->cut->positions[i].stream);
    if (stream != NULL && work->wanted[stream_number(job->project, stream)] != NULL)
      out->positions[out->position_count++] = job->cut->positions[i];
  }
  out->views = TLY_ARENA_ARRAY(arena, struct tly_run_view_result, job->view_count);
  for (uint32_t v = 0; v < job->view_count; v++)
    tell_view(work, v, &out->views[v], arena);
}

static enum tly_status compute(struct tly_recompute_work *work, struct tly_error *error) {
  TLY_TRY(run_round(work, tly_recompute_fold, error));
  tly_crash_point("recompute.after_fold");
  TLY_TRY(tly_recompute_divide(work, error));
  TLY_TRY(run_round(work, tly_recompute_merge, error));
  tly_crash_point("recompute.after_merge");
  return TLY_OK;
}

enum tly_status tly_recompute(const struct tly_recompute_job *job, struct tly_arena *arena, struct tly_run_result *out,
                              struct tly_error *error) {
  struct tly_recompute_work work;
  struct tly_buffer folder = {0};
  TLY_ASSERT(job->threads >= 1 && job->threads <= TLY_RECOMPUTE_THREADS_MAX);
  tly_buffer_print(&folder, "%s/runs/%" PRId64, job->directory, job->cut->number);
  init_work(&work, job, tly_buffer_text(&folder));
  enum tly_status status = tly_recompute_make_plan(&work, error);
  if (status == TLY_OK) {
    status = compute(&work, error);
    if (status == TLY_OK)
      tell_result(&work, arena, out);
    tly_recompute_plan_free(&work.plan);
  }
  free_work(&work);
  tly_buffer_free(&folder);
  return status;
}
