/* What a view shows is what speed.db says; which runs there are, what batch.db does. A run that a view can go back to
 * is ready, older than the one that is shown, of the definition that the view has today, not rejected for it, and its
 * files open. To go back is to reject every newer run of this definition for the view, also those that are ready and
 * not yet published, and those that are under way: only a run that begins after the decision takes the view on again.
 *
 * Asked a second time, while the speed layer still works on it or after its answer was lost, nothing is left to be
 * rejected: nothing is recorded then, and the answer is the same. */
#include "batch_layer/rollback.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/doorbell.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/store/run_reader.h"

enum { PROGRESS_US = 100000 };

/* A view that goes back. */
struct going {
  uint32_t view; /* number in the project */
  int64_t shown; /* the run that it showed */
  int64_t target;
  int64_t start; /* offsets below the target's cut, over all partitions of its stream */
};

struct rollback {
  uint64_t client;
  char *id, *reason, *by;
  bool wants_progress;
  bool *wanted; /* one a view of the project */
  bool is_named;
  int64_t to;          /* 0: each view's newest older run */
  struct going *views; /* NULL: not decided yet */
  uint32_t view_count;
  json_t *rejected;                   /* an array of runs a view of `views`: those above its target */
  struct tly_speed_patience patience; /* once it is recorded */
  int64_t told_us;
};

struct tly_rollbacks {
  struct tly_rollbacks_options options;
  struct rollback waiting[TLY_ROLLBACKS_MAX];
  uint32_t count;
};

static int64_t monotonic(const tly_rollbacks *rollbacks) {
  return tly_clock_monotonic_us(rollbacks->options.clock);
}

tly_rollbacks *tly_rollbacks_new(const struct tly_rollbacks_options *options) {
  tly_rollbacks *rollbacks = tly_calloc(1, sizeof *rollbacks);
  rollbacks->options = *options;
  return rollbacks;
}

bool tly_rollbacks_is_idle(const tly_rollbacks *rollbacks) {
  return rollbacks->count == 0;
}

static const struct tly_view *view_of(const tly_rollbacks *rollbacks, const struct going *going) {
  return &rollbacks->options.project->views[going->view];
}

/* ---- what is asked for ------------------------------------------------------------------------------------------- */

/* The caller frees *out. */
static enum tly_status take_text(const json_t *params, const char *name, const char *what, char **out,
                                 struct tly_error *error) {
  const json_t *value = json_object_get(params, name);
  const char *text = json_string_value(value);
  if (text == NULL || strspn(text, " \t\r\n") == strlen(text))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"%s\" is missing: %s is recorded with the runs", name, what);
  if (json_string_length(value) > TLY_REASON_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_TOO_LARGE, "\"%s\" has more than %d bytes", name, TLY_REASON_BYTES_MAX);
  *out = tly_strdup(text);
  return TLY_OK;
}

static enum tly_status take_views(const struct tly_project *project, const json_t *names, struct rollback *rollback,
                                  struct tly_error *error) {
  const json_t *name;
  size_t i;
  if (names != NULL && !json_is_null(names) && !json_is_array(names))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"views\" must be an array of names");
  json_array_foreach(names, i, name) {
    const char *text = json_string_value(name);
    const struct tly_view *view = text != NULL ? tly_project_view(project, text) : NULL;
    if (view == NULL)
      return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "view \"%s\" does not exist", text != NULL ? text : "");
    rollback->wanted[view - project->views] = rollback->is_named = true;
  }
  return TLY_OK;
}

static enum tly_status take_params(const struct tly_project *project, const json_t *params, struct rollback *rollback,
                                   struct tly_error *error) {
  TLY_TRY(take_views(project, json_object_get(params, "views"), rollback, error));
  TLY_TRY(tly_param_integer(params, "to", &rollback->to, error));
  if (json_object_get(params, "to") != NULL && rollback->to <= 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"to\" is the number of an older run");
  TLY_TRY(take_text(params, "reason", "why the views go back", &rollback->reason, error));
  TLY_TRY(take_text(params, "user", "who has decided it", &rollback->by, error));
  return tly_param_boolean(params, "progress", &rollback->wants_progress, error);
}

static void free_rollback(struct rollback *rollback) {
  tly_free(rollback->id);
  tly_free(rollback->reason);
  tly_free(rollback->by);
  tly_free(rollback->wanted);
  tly_free(rollback->views);
  json_decref(rollback->rejected);
}

enum tly_status tly_rollbacks_add(tly_rollbacks *rollbacks, uint64_t client, const struct tly_request *request,
                                  struct tly_error *error) {
  const struct tly_project *project = rollbacks->options.project;
  if (rollbacks->count == TLY_ROLLBACKS_MAX)
    return TLY_FAIL(error, TLY_E_TOO_MANY, "%d rollbacks are under way already", TLY_ROLLBACKS_MAX);
  struct rollback rollback = {.client = client,
                              .id = tly_strdup(request->id),
                              .wanted = tly_calloc(project->view_count, sizeof *rollback.wanted)};
  enum tly_status status = take_params(project, request->params, &rollback, error);
  if (status == TLY_OK)
    rollbacks->waiting[rollbacks->count++] = rollback;
  else
    free_rollback(&rollback);
  return status;
}

/* Without names: all views that show the newest published run. */
static enum tly_status choose_views(const struct tly_project *project, const struct tly_published *published,
                                    const bool *known, struct rollback *rollback, struct tly_error *error) {
  int64_t newest = 0;
  for (uint32_t v = 0; v < project->view_count && !rollback->is_named; v++)
    if (known[v] && published[v].is_ready && published[v].run > newest)
      newest = published[v].run;
  if (!rollback->is_named && newest == 0)
    return TLY_FAIL(error, TLY_E_NOT_READY, "no view shows a run: there is nothing to roll back");
  for (uint32_t v = 0; v < project->view_count; v++) {
    if (!rollback->is_named)
      rollback->wanted[v] = known[v] && published[v].is_ready && published[v].run == newest;
    if (!rollback->wanted[v])
      continue;
    if (!known[v] || !published[v].is_ready)
      return TLY_FAIL(error, TLY_E_NOT_READY, "view \"%s\" is still being built: it shows no run",
                      project->views[v].name);
    if (published[v].run == 0)
      return TLY_FAIL(error, TLY_E_NOT_READY, "view \"%s\" shows no run: it is all live", project->views[v].name);
  }
  return TLY_OK;
}

/* ---- the run to go back to --------------------------------------------------------------------------------------- */

struct kept {
  struct tly_run *runs; /* ready, held or rejected, ascending */
  uint32_t count;
};

static const struct tly_run_view *find_view(const struct tly_run *run, const struct tly_view *view) {
  for (uint32_t v = 0; v < run->view_count; v++)
    if (strcmp(run->views[v].view, view->name) == 0)
      return &run->views[v];
  return NULL;
}

static bool has_definition(const struct tly_run_view *facts, const struct tly_view *view) {
  return memcmp(&facts->definition_hash, &view->hash, sizeof view->hash) == 0;
}

static bool is_candidate(const struct tly_run *run, const struct tly_view *view, int64_t shown) {
  const struct tly_run_view *facts = find_view(run, view);
  return run->id < shown && strcmp(run->state, "ready") == 0 && facts != NULL && has_definition(facts, view) &&
         facts->rollback == NULL;
}

/* The way out: which runs there are. */
static void hint_candidates(const struct kept *kept, const struct tly_view *view, int64_t shown,
                            struct tly_error *error) {
  struct tly_buffer list = {0};
  for (uint32_t r = 0; r < kept->count; r++)
    if (is_candidate(&kept->runs[r], view, shown))
      tly_buffer_print(&list, "%s%" PRId64, list.size > 0 ? ", " : "", kept->runs[r].id);
  if (list.size > 0)
    tly_error_hint(error, "view \"%s\" can go back to: %s", view->name, tly_buffer_text(&list));
  else
    tly_error_hint(error,
                   "no older run of view \"%s\" as it is defined now is kept (the setting keep_runs says how many are);"
                   " tally recompute computes it anew from the archive",
                   view->name);
  tly_buffer_free(&list);
}

static enum tly_status refuse_definition(int64_t run, const struct tly_view *view, struct tly_error *error) {
  enum tly_status status = TLY_FAIL(
      error, TLY_E_INVALID_PARAMETER,
      "run %" PRId64 " was computed by another definition of view \"%s\": its values and live ones do not add up", run,
      view->name);
  tly_error_hint(error, "put the old definition back into the project, restart, and the view is computed by it from all"
                        " of the archive");
  return status;
}

/* Why the view cannot go back to the run that was named; it is not among the kept ones. */
static enum tly_status refuse_lost(const tly_rollbacks *rollbacks, int64_t number, struct tly_arena *arena,
                                   struct tly_error *error) {
  struct tly_run run;
  enum tly_status status = tly_batch_reader_run(rollbacks->options.reader, number, arena, &run, error);
  if (status != TLY_OK)
    return status;
  return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "run %" PRId64 " is not kept: it is %s", number, run.state);
}

static enum tly_status check_named(const tly_rollbacks *rollbacks, const struct kept *kept, int64_t to,
                                   const struct tly_view *view, int64_t shown, const struct tly_run **out,
                                   struct tly_arena *arena, struct tly_error *error) {
  const struct tly_run *run = NULL;
  for (uint32_t r = 0; r < kept->count; r++)
    if (kept->runs[r].id == to)
      run = &kept->runs[r];
  const struct tly_run_view *facts = run != NULL ? find_view(run, view) : NULL;
  *out = run;
  if (run == NULL)
    return refuse_lost(rollbacks, to, arena, error);
  if (facts == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "run %" PRId64 " does not have view \"%s\"", to, view->name);
  if (to == shown)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "view \"%s\" shows run %" PRId64 " already", view->name, to);
  if (facts->rollback != NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                    "run %" PRId64 " was rejected for view \"%s\" by %s: %s; it is not shown again", to, view->name,
                    facts->rollback->by, facts->rollback->reason);
  if (to > shown)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                    "run %" PRId64 " is newer than run %" PRId64 ", which view \"%s\" shows", to, shown, view->name);
  return has_definition(facts, view) ? TLY_OK : refuse_definition(to, view, error);
}

/* Without a number: the newest there is. */
static enum tly_status find_newest(const struct kept *kept, const struct tly_view *view, int64_t shown,
                                   const struct tly_run **out, struct tly_error *error) {
  int64_t other = 0;
  *out = NULL;
  for (uint32_t r = 0; r < kept->count; r++) {
    const struct tly_run_view *facts = find_view(&kept->runs[r], view);
    if (is_candidate(&kept->runs[r], view, shown))
      *out = &kept->runs[r];
    else if (facts != NULL && kept->runs[r].id < shown && !has_definition(facts, view))
      other = kept->runs[r].id;
  }
  if (*out != NULL)
    return TLY_OK;
  if (other > 0)
    return refuse_definition(other, view, error);
  return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "view \"%s\" shows run %" PRId64 ", and no older run of it is kept",
                  view->name, shown);
}

/* The speed layer looks again; but a decision that it cannot carry out is better not taken. */
static enum tly_status check_files(const tly_rollbacks *rollbacks, const struct tly_view *view, int64_t run,
                                   struct tly_error *error) {
  struct tly_view_program *program = tly_view_program_new(view);
  tly_run_reader *reader;
  enum tly_status status = tly_run_reader_open(rollbacks->options.directory, run, program, &reader, error);
  if (status == TLY_OK)
    tly_run_reader_close(reader);
  tly_view_program_free(program);
  return status;
}

static enum tly_status find_target(const tly_rollbacks *rollbacks, const struct kept *kept, int64_t to,
                                   struct going *going, struct tly_arena *arena, struct tly_error *error) {
  const struct tly_view *view = view_of(rollbacks, going);
  const struct tly_run *run;
  enum tly_status status = to > 0 ? check_named(rollbacks, kept, to, view, going->shown, &run, arena, error)
                                  : find_newest(kept, view, going->shown, &run, error);
  if (status != TLY_OK) {
    if (error->hint[0] == '\0')
      hint_candidates(kept, view, going->shown, error);
    return status;
  }
  TLY_ASSERT(run != NULL);
  going->target = run->id;
  going->start = 0;
  for (uint32_t p = 0; p < run->position_count; p++)
    if (strcmp(run->positions[p].stream, view->stream->name) == 0)
      going->start += run->positions[p].next_offset;
  return check_files(rollbacks, view, going->target, error);
}

static void reply_error(const tly_rollbacks *rollbacks, const struct rollback *rollback, const struct tly_error *why) {
  struct tly_buffer reply = {0};
  tly_reply_error(&reply, rollback->id, TLY_RPC_SERVER_ERROR, why);
  tly_batch_requests_answer(rollbacks->options.requests, rollback->client, &reply);
  tly_buffer_free(&reply);
}

/* ---- the decision ------------------------------------------------------------------------------------------------ */

static enum tly_status plan(const tly_rollbacks *rollbacks, struct rollback *rollback, struct tly_arena *arena,
                            struct tly_error *error) {
  const struct tly_project *project = rollbacks->options.project;
  struct tly_published published[TLY_VIEWS_MAX];
  bool known[TLY_VIEWS_MAX] = {false};
  struct kept kept;
  if (!tly_speed_watch_look(rollbacks->options.speed, published, known))
    return TLY_FAIL(error, TLY_E_NOT_READY, "the speed layer does not say yet what is published");
  TLY_TRY(choose_views(project, published, known, rollback, error));
  TLY_TRY(tly_batch_reader_kept(rollbacks->options.reader, arena, &kept.runs, &kept.count, error));
  rollback->views = tly_calloc(project->view_count, sizeof *rollback->views);
  for (uint32_t v = 0; v < project->view_count; v++) {
    if (!rollback->wanted[v])
      continue;
    struct going *going = &rollback->views[rollback->view_count++];
    *going = (struct going){.view = v, .shown = published[v].run};
    TLY_TRY(find_target(rollbacks, &kept, rollback->to, going, arena, error));
  }
  return TLY_OK;
}

static enum tly_status record(const tly_rollbacks *rollbacks, const struct rollback *rollback,
                              struct tly_error *error) {
  const struct tly_view *views[TLY_VIEWS_MAX];
  int64_t targets[TLY_VIEWS_MAX];
  uint32_t rejected_count;
  for (uint32_t v = 0; v < rollback->view_count; v++) {
    views[v] = view_of(rollbacks, &rollback->views[v]);
    targets[v] = rollback->views[v].target;
  }
  struct tly_rollback_order order = {.at_us = tly_clock_now_us(rollbacks->options.clock),
                                     .by = rollback->by,
                                     .reason = rollback->reason,
                                     .views = views,
                                     .targets = targets,
                                     .view_count = rollback->view_count};
  TLY_TRY(tly_batch_store_roll_back(rollbacks->options.store, &order, &rejected_count, error));
  for (uint32_t v = 0; v < rollback->view_count; v++)
    tly_log(TLY_LOG_WARN, "view is rolled back", "view=%s from=%" PRId64 " to=%" PRId64 " by=\"%s\" reason=\"%s\"",
            views[v]->name, rollback->views[v].shown, targets[v], rollback->by, rollback->reason);
  return TLY_OK;
}

/* Runs above the target that are rejected for the view, now or before. */
static enum tly_status list_rejected(const tly_rollbacks *rollbacks, const struct going *going, json_t *into,
                                     struct tly_arena *arena, struct tly_error *error) {
  struct tly_rejected *rows;
  uint32_t count;
  TLY_TRY(tly_batch_reader_rejected(rollbacks->options.reader, going->target + 1, arena, &rows, &count, error));
  for (uint32_t r = 0; r < count; r++)
    if (strcmp(rows[r].view, view_of(rollbacks, going)->name) == 0)
      json_array_append_new(into, json_integer(rows[r].run));
  return TLY_OK;
}

static enum tly_status note_rejected(const tly_rollbacks *rollbacks, struct rollback *rollback, struct tly_arena *arena,
                                     struct tly_error *error) {
  rollback->rejected = json_array();
  for (uint32_t v = 0; v < rollback->view_count; v++) {
    json_t *runs = json_array();
    json_array_append_new(rollback->rejected, runs);
    TLY_TRY(list_rejected(rollbacks, &rollback->views[v], runs, arena, error));
  }
  return TLY_OK;
}

static enum tly_status carry_out(const tly_rollbacks *rollbacks, struct rollback *rollback, struct tly_arena *arena,
                                 struct tly_error *error) {
  TLY_ASSERT(rollback->views != NULL && rollback->view_count > 0); /* they were planned */
  TLY_TRY(record(rollbacks, rollback, error));
  TLY_TRY(note_rejected(rollbacks, rollback, arena, error));
  tly_speed_patience_begin(&rollback->patience, rollbacks->options.publish_wait_ms, monotonic(rollbacks));
  tly_doorbell_ring(rollbacks->options.directory, "speed");
  return TLY_OK;
}

/* *is_over: it was refused, and answered. */
static enum tly_status decide(const tly_rollbacks *rollbacks, struct rollback *rollback, bool *is_over,
                              struct tly_error *error) {
  struct tly_error why = TLY_ERROR_NONE;
  struct tly_arena arena;
  enum tly_status status = TLY_OK;
  tly_arena_init(&arena);
  *is_over = plan(rollbacks, rollback, &arena, &why) != TLY_OK;
  if (*is_over)
    reply_error(rollbacks, rollback, &why);
  else
    status = carry_out(rollbacks, rollback, &arena, error);
  tly_arena_free(&arena);
  return status;
}

/* ---- the wait ---------------------------------------------------------------------------------------------------- */

static void reply_done(const tly_rollbacks *rollbacks, const struct rollback *rollback,
                       const struct tly_published *published) {
  struct tly_buffer reply = {0};
  json_t *views = json_array(), *result;
  for (uint32_t v = 0; v < rollback->view_count; v++) {
    const struct going *going = &rollback->views[v];
    json_array_append_new(views, json_pack("{s:s, s:I, s:O}", "view", view_of(rollbacks, going)->name, "run",
                                           (json_int_t)published[going->view].run, "rejected",
                                           json_array_get(rollback->rejected, v)));
  }
  result = json_pack("{s:o}", "views", views);
  TLY_ASSERT(result != NULL);
  tly_reply_result(&reply, rollback->id, result);
  tly_batch_requests_answer(rollbacks->options.requests, rollback->client, &reply);
  tly_buffer_free(&reply);
  json_decref(result);
}

/* It shows the older run, or, by now, one that began after the decision. */
static bool has_gone_back(const struct going *going, const json_t *rejected, const struct tly_published *published) {
  size_t i;
  const json_t *run;
  json_array_foreach(rejected, i, run) {
    if (published->run == json_integer_value(run))
      return false;
  }
  return published->is_ready && published->run >= going->target;
}

static bool is_done(const tly_rollbacks *rollbacks, const struct rollback *rollback, struct tly_published *published) {
  bool known[TLY_VIEWS_MAX] = {false};
  if (!tly_speed_watch_look(rollbacks->options.speed, published, known))
    return false;
  for (uint32_t v = 0; v < rollback->view_count; v++) {
    const struct going *going = &rollback->views[v];
    if (!known[going->view] || !has_gone_back(going, json_array_get(rollback->rejected, v), &published[going->view]))
      return false;
  }
  return true;
}

/* How many events of all views are folded again, and of how many. */
static void measure(const tly_rollbacks *rollbacks, const struct rollback *rollback, int64_t *done, int64_t *all) {
  *done = *all = 0;
  for (uint32_t v = 0; v < rollback->view_count; v++) {
    const struct going *going = &rollback->views[v];
    struct tly_going_back progress;
    if (!tly_speed_watch_going_back(rollbacks->options.speed, view_of(rollbacks, going), &progress))
      continue;
    *done += progress.reached - going->start;
    *all += progress.goal - going->start;
  }
}

static void tell_progress(tly_rollbacks *rollbacks, struct rollback *rollback, int64_t done, int64_t all) {
  char line[256];
  if (!rollback->wants_progress || all <= 0 || monotonic(rollbacks) < rollback->told_us + PROGRESS_US)
    return;
  rollback->told_us = monotonic(rollbacks);
  int size = snprintf(line, sizeof line,
                      "{\"id\":%s,\"progress\":{\"run\":%" PRId64 ",\"stage\":\"rollback\",\"done\":%" PRId64
                      ",\"all\":%" PRId64 "}}\n",
                      rollback->id, rollback->views[0].target, done, all);
  if (size > 0 && (size_t)size < sizeof line) /* a longer id goes without progress */
    tly_batch_requests_tell(rollbacks->options.requests, rollback->client, line);
}

/* The speed layer stands still. */
static void give_up(const tly_rollbacks *rollbacks, const struct rollback *rollback) {
  struct tly_error why;
  (void)TLY_FAIL(&why, TLY_E_NOT_READY,
                 "the newer runs are rejected, but the speed layer does not publish run %" PRId64 " of view \"%s\"",
                 rollback->views[0].target, view_of(rollbacks, &rollback->views[0])->name);
  tly_error_hint(&why, "the decision stands, and is carried out as soon as the speed layer works again");
  reply_error(rollbacks, rollback, &why);
}

/* Whether it is over. */
static bool look(tly_rollbacks *rollbacks, struct rollback *rollback) {
  struct tly_published published[TLY_VIEWS_MAX];
  int64_t done, all;
  if (is_done(rollbacks, rollback, published)) {
    reply_done(rollbacks, rollback, published);
    return true;
  }
  measure(rollbacks, rollback, &done, &all);
  int64_t progress = done + tly_speed_watch_progress(rollbacks->options.speed);
  tell_progress(rollbacks, rollback, done, all);
  if (!tly_speed_patience_is_over(&rollback->patience, progress, monotonic(rollbacks)))
    return false;
  give_up(rollbacks, rollback);
  return true;
}

enum tly_status tly_rollbacks_go_on(tly_rollbacks *rollbacks, struct tly_error *error) {
  uint32_t kept = 0;
  enum tly_status status = TLY_OK;
  for (uint32_t i = 0; i < rollbacks->count; i++) {
    struct rollback *rollback = &rollbacks->waiting[i];
    bool is_over = false;
    if (status == TLY_OK && rollback->views == NULL)
      status = decide(rollbacks, rollback, &is_over, error);
    if (status == TLY_OK && (is_over || look(rollbacks, rollback)))
      free_rollback(rollback);
    else
      rollbacks->waiting[kept++] = *rollback;
  }
  rollbacks->count = kept;
  return status;
}

void tly_rollbacks_free(tly_rollbacks *rollbacks) {
  struct tly_error why;
  if (rollbacks == NULL)
    return;
  (void)TLY_FAIL(&why, TLY_E_CANCELLED, "interrupted: the batch layer was stopped");
  for (uint32_t i = 0; i < rollbacks->count; i++) {
    if (rollbacks->waiting[i].views != NULL)
      tly_error_hint(&why, "the decision stands, and is carried out by the speed layer");
    reply_error(rollbacks, &rollbacks->waiting[i], &why);
    free_rollback(&rollbacks->waiting[i]);
  }
  tly_free(rollbacks);
}
