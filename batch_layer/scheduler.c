/* One loop over descriptors (requests, the archiver's answer, the children's words, the doorbell) and one run at a
 * time, which goes through these stages:
 *
 *   IDLE -> CUTTING: the archiver was asked for a cut
 *        -> RECOMPUTING: row `running` in batch.db, a child at work; it recomputes, checks drift and writes the
 * manifest
 *        -> PUBLISHING: row `ready`; the speed layer was rung and is waited for
 *        -> IDLE: waiters answered, runs no longer kept deleted
 *
 * A failure in CUTTING has left no trace. A failure in RECOMPUTING makes the row `failed` and removes the folder. In
 * PUBLISHING nothing can fail any more: a speed layer that does not publish in time only costs the waiters their
 * answer; the run stays ready.
 *
 * The next child is started when the one before has gone, and waits, so that a run finds it there. At the start of the
 * process it comes a moment later: the other layers start then, and somebody waits for them.
 *
 * When a request cannot begin (no archiver) it is told so. A schedule or a definition tries again, at longer and longer
 * intervals: nobody stands there to ask again.
 *
 * INVARIANTS (check_invariants)
 *   (1) a job is under way exactly when the stage is not IDLE.
 *   (2) a child works exactly while RECOMPUTING, a connection to the archiver exactly while CUTTING. */
#include "batch_layer/scheduler.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch_layer/batch_requests.h"
#include "batch_layer/batch_store.h"
#include "batch_layer/ledger_queue.h"
#include "batch_layer/recompute_child.h"
#include "batch_layer/run_queue.h"
#include "batch_layer/run_retention.h"
#include "batch_layer/run_schedule.h"
#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/doorbell.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/store/batch_reader.h"
#include "common/store/speed_reader.h"
#include "common/wire/client.h"

enum {
  CUT_TIMEOUT_MS = 30000,
  DEFINITION_WAIT_MS = 10000,
  DEFINITION_CHECK_US = 250000,
  RETRY_FIRST_US = 1000000,
  RETRY_LAST_US = 300 * 1000000,
  CHILD_FIRST_US = 500000, /* after the start */
  CHILD_RETRY_US = 5000000,
  PUBLISH_POLL_MS = 20,
  ROW_OVERHEAD_BYTES = 64,
  FIXED_DESCRIPTORS = 5
};

enum stage { IDLE, CUTTING, RECOMPUTING, PUBLISHING };

/* What the scheduler knows of a view besides its definition. */
struct view_state {
  bool is_covered;           /* a ready run of its present definition exists */
  int64_t building_since_us; /* monotonic; 0: not building */
  int64_t not_before_us;     /* after a failed run for its definition */
  uint32_t failures;
};

struct tly_scheduler {
  struct tly_scheduler_options options;
  const char *directory;
  tly_batch_store *store;
  tly_batch_reader *reader;
  tly_batch_requests *requests;
  tly_ledger_queue *ledgers; /* reconciliations with ledgers, beside the run */
  tly_doorbell *bell;
  tly_run_schedule *schedule;
  tly_speed_reader *speed;     /* NULL until there is a speed.db */
  tly_archive_reader *archive; /* NULL until there is an archive */
  struct tly_run_queue queue;
  struct view_state *views;
  int64_t opened_at_us, definitions_checked_at_us; /* monotonic */

  enum stage stage;
  struct tly_run_job *job;
  tly_client *archiver;
  int64_t deadline_us;                  /* monotonic, of the stage */
  int64_t run, started_at_us, began_us; /* began: monotonic */
  struct tly_recompute_child child;
  int64_t next_child_us;  /* monotonic: no child is started ahead of its run before */
  struct tly_arena arena; /* of the run under way */
  struct tly_run_result result;
  int64_t positions_seen; /* while PUBLISHING, to see that the speed layer moves */
};

static void check_invariants(const tly_scheduler *scheduler) {
  TLY_ASSERT((scheduler->stage == IDLE) == (scheduler->job == NULL));
  TLY_ASSERT((scheduler->stage == CUTTING) == (scheduler->archiver != NULL));
  TLY_ASSERT((scheduler->stage == RECOMPUTING) == (scheduler->child.state == TLY_CHILD_WORKING));
}

static int64_t monotonic(const tly_scheduler *scheduler) {
  return tly_clock_monotonic_us(scheduler->options.clock);
}

static int64_t now(const tly_scheduler *scheduler) {
  return tly_clock_now_us(scheduler->options.clock);
}

struct tly_scheduler_options tly_scheduler_defaults(const struct tly_settings *settings,
                                                    const struct tly_project *project) {
  return (struct tly_scheduler_options){.settings = settings,
                                        .project = project,
                                        .clock = &tly_clock_real,
                                        .cut_timeout_ms = CUT_TIMEOUT_MS,
                                        .publish_wait_ms = TLY_DRIFT_WAIT_MS,
                                        .definition_wait_ms = DEFINITION_WAIT_MS};
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void tell_progress(tly_scheduler *scheduler, const char *stage, int64_t done, int64_t all) {
  char line[256];
  for (uint32_t i = 0; i < scheduler->job->waiter_count; i++) {
    const struct tly_run_waiter *waiter = &scheduler->job->waiters[i];
    int size = snprintf(line, sizeof line,
                        "{\"id\":%s,\"progress\":{\"run\":%" PRId64 ",\"stage\":\"%s\",\"done\":%" PRId64
                        ",\"all\":%" PRId64 "}}\n",
                        waiter->id, scheduler->run, stage, done, all);
    if (waiter->wants_progress && size > 0 && (size_t)size < sizeof line) /* a longer id goes without progress */
      tly_batch_requests_tell(scheduler->requests, waiter->client, line);
  }
}

/* {"payments":[120000, ...]}: offsets by partition; partitions without events are 0. */
static json_t *cut_json(const struct tly_run_result *result) {
  json_t *cut = json_object();
  for (uint32_t i = 0; i < result->position_count; i++) {
    const struct tly_position *position = &result->positions[i];
    json_t *offsets = json_object_get(cut, position->stream);
    if (offsets == NULL) {
      offsets = json_array();
      json_object_set_new(cut, position->stream, offsets);
    }
    while (json_array_size(offsets) <= position->partition)
      json_array_append_new(offsets, json_integer(0));
    json_array_set_new(offsets, position->partition, json_integer(position->next_offset));
  }
  return cut;
}

static json_t *result_json(const tly_scheduler *scheduler) {
  const struct tly_run_result *result = &scheduler->result;
  int64_t drift = tly_run_result_drift(result);
  json_t *views = json_array();
  for (uint32_t v = 0; v < result->view_count; v++)
    json_array_append_new(views, json_string(result->views[v].view));
  json_t *object =
      json_pack("{s:I, s:I, s:o, s:o, s:o, s:I}", "run", (json_int_t)result->run, "events", (json_int_t)result->events,
                "cut", cut_json(result), "drift", drift >= 0 ? json_integer(drift) : json_null(), "views", views,
                "duration_ms", (json_int_t)((monotonic(scheduler) - scheduler->began_us) / 1000));
  if (object != NULL && result->note != NULL)
    json_object_set_new(object, "note", json_string(result->note));
  TLY_ASSERT(object != NULL);
  return object;
}

static void answer_error(tly_scheduler *scheduler, uint64_t client, const char *id, int code,
                         const struct tly_error *error) {
  struct tly_buffer reply = {0};
  tly_reply_error(&reply, id, code, error);
  tly_batch_requests_answer(scheduler->requests, client, &reply);
  tly_buffer_free(&reply);
}

/* The keys that differ, as far as they are listed and fit a reply line. */
static json_t *drift_rows_json(const struct tly_run_result *result) {
  json_t *rows = json_array();
  size_t bytes = 0;
  for (uint32_t v = 0; v < result->view_count; v++)
    for (uint32_t i = 0; i < result->views[v].drift_listed_count; i++) {
      const struct tly_run_drift *drift = &result->views[v].drift_listed[i];
      const char *live = drift->live != NULL ? drift->live : "null";
      const char *recomputed = drift->recomputed != NULL ? drift->recomputed : "null";
      bytes += strlen(drift->key) + strlen(live) + strlen(recomputed) + ROW_OVERHEAD_BYTES;
      if (bytes > TLY_BATCH_OUTPUT_BYTES / 2)
        return rows;
      json_array_append_new(rows, json_pack("{s:s, s:o, s:o, s:o}", "view", result->views[v].view, "key",
                                            json_loads(drift->key, JSON_DECODE_ANY, NULL), "live",
                                            json_loads(live, JSON_DECODE_ANY, NULL), "recomputed",
                                            json_loads(recomputed, JSON_DECODE_ANY, NULL)));
    }
  return rows;
}

static void answer_result(tly_scheduler *scheduler, const struct tly_run_waiter *waiter) {
  struct tly_buffer reply = {0};
  json_t *result = result_json(scheduler);
  if (waiter->wants_drift)
    json_object_set_new(result, "drift_rows", drift_rows_json(&scheduler->result));
  tly_reply_result(&reply, waiter->id, result);
  tly_batch_requests_answer(scheduler->requests, waiter->client, &reply);
  tly_buffer_free(&reply);
  json_decref(result);
}

/* The run is over for those who wait: with its result, or with `why`. */
static void answer_all(tly_scheduler *scheduler, const struct tly_error *why) {
  for (uint32_t i = 0; i < scheduler->job->waiter_count; i++) {
    const struct tly_run_waiter *waiter = &scheduler->job->waiters[i];
    if (why != NULL)
      answer_error(scheduler, waiter->client, waiter->id, TLY_RPC_SERVER_ERROR, why);
    else
      answer_result(scheduler, waiter);
  }
}

static void end_job(tly_scheduler *scheduler) {
  tly_run_job_free(scheduler->job);
  scheduler->job = NULL;
  scheduler->stage = IDLE;
  tly_arena_reset(&scheduler->arena);
  memset(&scheduler->result, 0, sizeof scheduler->result);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static enum tly_status add_view(const tly_scheduler *scheduler, const json_t *name, bool *wanted,
                                struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  const char *text = json_string_value(name);
  if (text == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "the name of a view must be a text");
  const struct tly_view *view = tly_project_view(project, text);
  if (view == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "view \"%s\" does not exist", text);
  wanted[view - project->views] = true;
  return TLY_OK;
}

/* recompute: the views named by "views", or all; reconcile: the one named by "view". */
static enum tly_status wanted_views(const tly_scheduler *scheduler, const struct tly_request *request, bool *wanted,
                                    struct tly_error *error) {
  const json_t *names = json_object_get(request->params, "views"), *name;
  size_t i;
  if (request->method == TLY_METHOD_RECONCILE)
    return add_view(scheduler, json_object_get(request->params, "view"), wanted, error);
  if (names != NULL && !json_is_null(names) && !json_is_array(names))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"views\" must be an array of names");
  if (scheduler->queue.view_count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "the project has no views");
  for (uint32_t v = 0; v < scheduler->queue.view_count; v++)
    wanted[v] = json_array_size(names) == 0;
  json_array_foreach(names, i, name) {
    TLY_TRY(add_view(scheduler, name, wanted, error));
  }
  return TLY_OK;
}

static enum tly_status queue_request(tly_scheduler *scheduler, uint64_t client, const struct tly_request *request,
                                     struct tly_error *error) {
  bool wanted[TLY_VIEWS_MAX] = {false}, is_full = true;
  struct tly_run_waiter waiter = {
      .client = client, .id = request->id, .wants_drift = request->method == TLY_METHOD_RECONCILE};
  if (request->method != TLY_METHOD_RECOMPUTE && request->method != TLY_METHOD_RECONCILE)
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "the batch layer answers \"recompute\" and \"reconcile\" only");
  TLY_TRY(wanted_views(scheduler, request, wanted, error));
  TLY_TRY(tly_param_boolean(request->params, "full", &is_full, error)); /* every run is: accepted for the name's sake */
  TLY_TRY(tly_param_boolean(request->params, "progress", &waiter.wants_progress, error));
  struct tly_run_job *job = tly_run_queue_find(&scheduler->queue, "manual", wanted);
  if (job == NULL) {
    TLY_TRY(tly_run_queue_add(&scheduler->queue, "manual", &job, error));
    memcpy(job->views, wanted, scheduler->queue.view_count * sizeof *wanted);
  }
  tly_run_job_wait(job, waiter);
  return TLY_OK;
}

static void handle_request(void *context, uint64_t client, const struct tly_request *request) {
  tly_scheduler *scheduler = context;
  struct tly_error error = TLY_ERROR_NONE;
  bool is_for_ledger = request->method == TLY_METHOD_RECONCILE && json_object_get(request->params, "against") != NULL;
  enum tly_status status = is_for_ledger ? tly_ledger_queue_add(scheduler->ledgers, client, request, &error)
                                         : queue_request(scheduler, client, request, &error);
  if (status == TLY_OK)
    return;
  int code = status == TLY_E_NOT_SUPPORTED ? TLY_RPC_METHOD_NOT_FOUND
             : status == TLY_E_TOO_MANY    ? TLY_RPC_SERVER_ERROR
                                           : TLY_RPC_INVALID_PARAMS;
  answer_error(scheduler, client, request->id, code, &error);
}

/* ---- why runs begin by themselves -------------------------------------------------------------------------------- */

static void queue_due(tly_scheduler *scheduler) {
  int64_t fired[TLY_VIEWS_MAX];
  if (tly_run_schedule_due(scheduler->schedule, now(scheduler), fired) == 0)
    return;
  struct tly_run_job *job = tly_run_queue_first(&scheduler->queue, "schedule");
  struct tly_error error;
  if (job == NULL && tly_run_queue_add(&scheduler->queue, "schedule", &job, &error) != TLY_OK) {
    tly_log(TLY_LOG_ERROR, "scheduled run dropped", "error=\"%s\"", error.message);
    return;
  }
  for (uint32_t v = 0; v < scheduler->queue.view_count; v++)
    if (fired[v] != 0) {
      job->views[v] = true;
      job->fired_at_us[v] = fired[v];
    }
}

/* What speed.db says of each view; NULL rows where it says nothing yet. False when there is no speed.db to ask. */
static bool look_at_speed(tly_scheduler *scheduler, struct tly_published *published, bool *known) {
  const struct tly_project *project = scheduler->options.project;
  if (scheduler->speed == NULL &&
      tly_speed_reader_open(scheduler->directory, project, &scheduler->speed, NULL) != TLY_OK)
    return false;
  if (tly_speed_snapshot_begin(scheduler->speed, NULL) != TLY_OK)
    return false;
  for (uint32_t v = 0; v < project->view_count; v++)
    known[v] = tly_speed_snapshot_view(scheduler->speed, &project->views[v], &published[v], NULL) == TLY_OK &&
               memcmp(&published[v].definition_hash, &project->views[v].hash, sizeof published[v].definition_hash) == 0;
  tly_speed_snapshot_end(scheduler->speed);
  return true;
}

static bool has_events(const tly_scheduler *scheduler, const struct tly_view *view, const struct tly_position *heads,
                       uint32_t count) {
  (void)scheduler;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(heads[i].stream, view->stream->name) == 0 && heads[i].next_offset > 0)
      return true;
  return false;
}

static enum tly_status need_archive(tly_scheduler *scheduler, struct tly_error *error) {
  if (scheduler->archive != NULL)
    return TLY_OK;
  return tly_archive_reader_open(scheduler->directory, scheduler->options.project, &scheduler->archive, error);
}

/* The ends of all partitions; none when there is no archive yet. */
static uint32_t read_heads(tly_scheduler *scheduler, struct tly_arena *arena, struct tly_position **heads) {
  uint32_t count = 0;
  if (need_archive(scheduler, NULL) != TLY_OK ||
      tly_archive_reader_heads(scheduler->archive, arena, heads, &count, NULL) != TLY_OK)
    return 0;
  return count;
}

/* Whether the view needs a run that nobody asked for: it has events, and the speed layer builds it and waits for a run,
 * or there is neither a run nor a speed layer that could say that it does without (a view that was there before its
 * stream's first event is all live). */
static bool needs_run(tly_scheduler *scheduler, uint32_t number, bool has_speed, bool is_known,
                      const struct tly_published *published) {
  struct view_state *view = &scheduler->views[number];
  int64_t at = monotonic(scheduler), patience_us = (int64_t)scheduler->options.definition_wait_ms * 1000;
  if (at < view->not_before_us)
    return false;
  if (!is_known || !has_speed) {
    view->building_since_us = 0;
    return !view->is_covered && at - scheduler->opened_at_us > patience_us;
  }
  if (published->is_ready) {
    view->building_since_us = 0;
    return false;
  }
  if (view->building_since_us == 0)
    view->building_since_us = at;
  return !view->is_covered || at - view->building_since_us > patience_us;
}

static void queue_definitions(tly_scheduler *scheduler) {
  const struct tly_project *project = scheduler->options.project;
  struct tly_published published[TLY_VIEWS_MAX];
  struct tly_position *heads = NULL;
  struct tly_run_job *job = NULL;
  struct tly_arena arena;
  bool known[TLY_VIEWS_MAX] = {false};
  scheduler->definitions_checked_at_us = monotonic(scheduler);
  bool has_speed = look_at_speed(scheduler, published, known), has_heads = false;
  uint32_t head_count = 0;
  tly_arena_init(&arena);
  for (uint32_t v = 0; v < project->view_count; v++) {
    if (!needs_run(scheduler, v, has_speed, known[v], &published[v]) || tly_run_queue_has_view(&scheduler->queue, v))
      continue;
    if (!has_heads)
      head_count = read_heads(scheduler, &arena, &heads);
    has_heads = true;
    if (!has_events(scheduler, &project->views[v], heads, head_count))
      continue;
    if (job == NULL && tly_run_queue_add(&scheduler->queue, "definition", &job, NULL) != TLY_OK)
      break;
    job->views[v] = true;
  }
  tly_arena_free(&arena);
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

static int64_t retry_delay_us(uint32_t attempts) {
  int64_t delay = RETRY_FIRST_US;
  for (uint32_t i = 1; i < attempts && delay < RETRY_LAST_US; i++)
    delay *= 2;
  return delay < RETRY_LAST_US ? delay : RETRY_LAST_US;
}

/* The job cannot begin. */
static void fail_to_begin(tly_scheduler *scheduler, const struct tly_error *why) {
  struct tly_run_job *job = scheduler->job;
  tly_log(TLY_LOG_WARN, "run not begun", "reason=%s error=\"%s\"", job->reason, why->message);
  tly_client_close(scheduler->archiver);
  scheduler->archiver = NULL;
  answer_all(scheduler, why);
  if (strcmp(job->reason, "manual") != 0) {
    job->not_before_us = monotonic(scheduler) + retry_delay_us(++job->attempts);
    tly_run_queue_put_back(&scheduler->queue, job);
    scheduler->job = NULL;
  }
  end_job(scheduler);
}

static enum tly_status ask_for_cut(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  struct tly_buffer path = {0};
  json_t *views = json_array();
  for (uint32_t v = 0; v < project->view_count; v++)
    if (scheduler->job->views[v])
      json_array_append_new(views, json_string(project->views[v].name));
  json_t *request = json_pack("{s:i, s:s, s:{s:o}}", "id", 1, "method", "cut", "params", "views", views);
  char *text = json_dumps(request, JSON_COMPACT);
  TLY_ASSERT(text != NULL);
  tly_buffer_print(&path, "%s/archiver.sock", scheduler->directory);
  enum tly_status status = tly_client_connect(tly_buffer_text(&path), false, &scheduler->archiver, error);
  if (status == TLY_OK)
    status = tly_client_send(scheduler->archiver, text, strlen(text), error);
  if (status == TLY_OK)
    status = tly_client_send(scheduler->archiver, "\n", 1, error);
  free(text);
  json_decref(request);
  tly_buffer_free(&path);
  return status;
}

static void begin_job(tly_scheduler *scheduler) {
  struct tly_error error;
  scheduler->job = tly_run_queue_take(&scheduler->queue, monotonic(scheduler));
  if (scheduler->job == NULL)
    return;
  scheduler->run = 0;
  scheduler->began_us = monotonic(scheduler);
  scheduler->started_at_us = now(scheduler);
  scheduler->stage = CUTTING;
  scheduler->deadline_us = scheduler->began_us + (int64_t)scheduler->options.cut_timeout_ms * 1000;
  if (ask_for_cut(scheduler, &error) != TLY_OK)
    fail_to_begin(scheduler, &error);
}

/* The archiver's answer: the number of the cut. */
static enum tly_status receive_cut(tly_scheduler *scheduler, int64_t *number, struct tly_error *error) {
  json_t *reply;
  TLY_TRY(tly_client_receive(scheduler->archiver, 1000, &reply, error));
  enum tly_status status = TLY_OK;
  const json_t *result = json_object_get(reply, "result");
  if (result == NULL)
    status = tly_client_error(reply, error);
  *number = json_integer_value(json_object_get(result, "cut"));
  if (status == TLY_OK && *number <= 0)
    status = TLY_FAIL(error, TLY_E_PROTOCOL, "the archiver's answer has no cut");
  json_decref(reply);
  return status;
}

/* The cut as the archive has it, with positions of the run's streams only. */
static enum tly_status read_cut(tly_scheduler *scheduler, int64_t number, struct tly_cut *cut,
                                struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  uint32_t kept = 0;
  TLY_TRY(need_archive(scheduler, error));
  TLY_TRY(tly_archive_reader_cut(scheduler->archive, number, &scheduler->arena, cut, error));
  for (uint32_t i = 0; i < cut->position_count; i++) {
    bool is_read = false;
    for (uint32_t v = 0; v < project->view_count; v++)
      is_read = is_read ||
                (scheduler->job->views[v] && strcmp(project->views[v].stream->name, cut->positions[i].stream) == 0);
    if (is_read)
      cut->positions[kept++] = cut->positions[i];
  }
  cut->position_count = kept;
  return TLY_OK;
}

static enum tly_status store_begin(tly_scheduler *scheduler, const struct tly_cut *cut, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  const struct tly_view *views[TLY_VIEWS_MAX];
  int64_t fired[TLY_VIEWS_MAX];
  struct tly_run_start start = {.cut = cut,
                                .reason = scheduler->job->reason,
                                .started_at_us = scheduler->started_at_us,
                                .views = views,
                                .fired_at_us = fired};
  for (uint32_t v = 0; v < project->view_count; v++)
    if (scheduler->job->views[v]) {
      views[start.view_count] = &project->views[v];
      fired[start.view_count++] = scheduler->job->fired_at_us[v];
    }
  return tly_batch_store_begin(scheduler->store, &start, error);
}

/* A failure of the definition's own run is tried again later: without one the view never answers. */
static void note_failure(tly_scheduler *scheduler) {
  for (uint32_t v = 0; v < scheduler->queue.view_count; v++)
    if (scheduler->job->views[v]) {
      struct view_state *view = &scheduler->views[v];
      view->not_before_us = monotonic(scheduler) + retry_delay_us(++view->failures);
    }
}

/* The run that is under way has failed. Fails itself only when batch.db does. */
static enum tly_status fail_run(tly_scheduler *scheduler, const struct tly_error *why, struct tly_error *error) {
  struct tly_error removal;
  tly_log(TLY_LOG_ERROR, "run failed", "run=%" PRId64 " error=\"%s\"", scheduler->run, why->message);
  TLY_TRY(tly_batch_store_fail(scheduler->store, scheduler->run, now(scheduler), why, error));
  if (tly_run_remove_folder(scheduler->directory, scheduler->run, &removal) != TLY_OK)
    tly_log(TLY_LOG_WARN, "folder not removed", "run=%" PRId64 " error=\"%s\"", scheduler->run, removal.message);
  note_failure(scheduler);
  answer_all(scheduler, why);
  end_job(scheduler);
  return TLY_OK;
}

static enum tly_status start_recompute(tly_scheduler *scheduler, int64_t number, struct tly_error *error) {
  struct tly_cut cut;
  struct tly_error why;
  if (read_cut(scheduler, number, &cut, &why) != TLY_OK) {
    fail_to_begin(scheduler, &why);
    return TLY_OK;
  }
  tly_client_close(scheduler->archiver);
  scheduler->archiver = NULL;
  scheduler->run = number;
  TLY_TRY(store_begin(scheduler, &cut, error));
  tly_crash_point("run.after_begin");
  tly_log(TLY_LOG_INFO, "run begun", "run=%" PRId64 " reason=%s", number, scheduler->job->reason);
  if (tly_recompute_child_start(&scheduler->child, scheduler->options.settings, number, &why) != TLY_OK)
    return fail_run(scheduler, &why, error);
  scheduler->stage = RECOMPUTING;
  return TLY_OK;
}

static enum tly_status go_on_cutting(tly_scheduler *scheduler, bool is_answered, struct tly_error *error) {
  struct tly_error why;
  int64_t number;
  if (!is_answered) {
    if (monotonic(scheduler) < scheduler->deadline_us)
      return TLY_OK;
    (void)TLY_FAIL(&why, TLY_E_CANCELLED, "the archiver did not answer within %d ms",
                   scheduler->options.cut_timeout_ms);
    fail_to_begin(scheduler, &why);
    return TLY_OK;
  }
  if (receive_cut(scheduler, &number, &why) != TLY_OK) {
    fail_to_begin(scheduler, &why);
    return TLY_OK;
  }
  return start_recompute(scheduler, number, error);
}

/* See to it that a child waits for the next run. */
static void tend_child(tly_scheduler *scheduler) {
  struct tly_recompute_child *child = &scheduler->child;
  enum tly_child_state before = child->state;
  struct tly_error error;
  if (before == TLY_CHILD_WORKING)
    return;
  if (before != TLY_CHILD_NONE && tly_recompute_child_is_gone(child, NULL) && before == TLY_CHILD_WAITING)
    scheduler->next_child_us = monotonic(scheduler) + CHILD_RETRY_US; /* a run starts one of its own, if need be */
  if (child->state != TLY_CHILD_NONE || scheduler->stage != IDLE || monotonic(scheduler) < scheduler->next_child_us)
    return;
  if (tly_recompute_child_prepare(child, scheduler->options.settings, &error) == TLY_OK)
    return;
  tly_log(TLY_LOG_WARN, "no process to recompute in", "error=\"%s\"", error.message);
  scheduler->next_child_us = monotonic(scheduler) + CHILD_RETRY_US;
}

static void hear_progress(void *context, const char *stage, int64_t done, int64_t all) {
  tell_progress(context, stage, done, all);
}

/* The child has succeeded by its own word: check it, and tell the world. */
static enum tly_status make_ready(tly_scheduler *scheduler, struct tly_error *error) {
  char folder[4096];
  struct tly_error why;
  snprintf(folder, sizeof folder, "%s/runs/%" PRId64, scheduler->directory, scheduler->run);
  enum tly_status status =
      tly_manifest_read(folder, &scheduler->child.manifest, &scheduler->arena, &scheduler->result, &why);
  if (status == TLY_OK && scheduler->result.run != scheduler->run)
    status = TLY_FAIL(&why, TLY_E_CORRUPT, "the manifest is of run %" PRId64, scheduler->result.run);
  if (status != TLY_OK)
    return fail_run(scheduler, &why, error);
  TLY_TRY(tly_batch_store_ready(scheduler->store, &scheduler->result, now(scheduler), error));
  int64_t drift = tly_run_result_drift(&scheduler->result);
  tly_log(drift > 0 ? TLY_LOG_ERROR : TLY_LOG_INFO, drift > 0 ? "run ready, with drift" : "run ready",
          "run=%" PRId64 " events=%" PRIu64 " drift=%" PRId64, scheduler->run, scheduler->result.events, drift);
  for (uint32_t v = 0; v < scheduler->queue.view_count; v++)
    if (scheduler->job->views[v]) {
      scheduler->views[v].is_covered = true;
      scheduler->views[v].failures = 0;
    }
  scheduler->stage = PUBLISHING;
  scheduler->positions_seen = -1;
  scheduler->deadline_us = monotonic(scheduler) + (int64_t)scheduler->options.publish_wait_ms * 1000;
  tly_doorbell_ring(scheduler->directory, "speed");
  return TLY_OK;
}

static enum tly_status go_on_recomputing(tly_scheduler *scheduler, struct tly_error *error) {
  struct tly_error why = TLY_ERROR_NONE;
  bool ended;
  enum tly_status status = tly_recompute_child_read(&scheduler->child, hear_progress, scheduler, &ended, &why);
  if (!ended)
    return TLY_OK;
  return status == TLY_OK ? make_ready(scheduler, error) : fail_run(scheduler, &why, error);
}

/* Delete what is no longer kept, if speed.db says what is published. */
static enum tly_status clean_up(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  const struct tly_settings *settings = scheduler->options.settings;
  struct tly_published published[TLY_VIEWS_MAX];
  bool known[TLY_VIEWS_MAX] = {false};
  int64_t runs[TLY_VIEWS_MAX];
  if (!look_at_speed(scheduler, published, known))
    return TLY_OK;
  for (uint32_t v = 0; v < project->view_count; v++) {
    if (!known[v])
      return TLY_OK;
    runs[v] = published[v].run;
  }
  struct tly_run_retention retention = {.directory = scheduler->directory,
                                        .project = project,
                                        .store = scheduler->store,
                                        .reader = scheduler->reader,
                                        .keep_runs = settings->keep_runs > 0 ? (uint32_t)settings->keep_runs : 1};
  return tly_run_retention_apply(&retention, runs, error);
}

static int64_t sum_of_positions(tly_scheduler *scheduler) {
  struct tly_position *positions;
  struct tly_arena arena;
  uint32_t count;
  int64_t sum = 0;
  tly_arena_init(&arena);
  if (scheduler->speed != NULL && tly_speed_snapshot_begin(scheduler->speed, NULL) == TLY_OK) {
    if (tly_speed_snapshot_positions(scheduler->speed, NULL, &arena, &positions, &count, NULL) == TLY_OK)
      for (uint32_t i = 0; i < count; i++)
        sum += positions[i].next_offset;
    tly_speed_snapshot_end(scheduler->speed);
  }
  tly_arena_free(&arena);
  return sum;
}

static bool is_published(tly_scheduler *scheduler) {
  struct tly_published published[TLY_VIEWS_MAX];
  bool known[TLY_VIEWS_MAX] = {false};
  if (!look_at_speed(scheduler, published, known))
    return false;
  for (uint32_t v = 0; v < scheduler->queue.view_count; v++)
    if (scheduler->job->views[v] && (!known[v] || published[v].run < scheduler->run))
      return false;
  return true;
}

static enum tly_status go_on_publishing(tly_scheduler *scheduler, struct tly_error *error) {
  struct tly_error why;
  if (is_published(scheduler)) {
    tly_log(TLY_LOG_INFO, "run published", "run=%" PRId64, scheduler->run);
    answer_all(scheduler, NULL);
    end_job(scheduler);
    return clean_up(scheduler, error);
  }
  int64_t sum = sum_of_positions(scheduler);
  if (sum != scheduler->positions_seen)
    scheduler->deadline_us = monotonic(scheduler) + (int64_t)scheduler->options.publish_wait_ms * 1000;
  scheduler->positions_seen = sum;
  if (monotonic(scheduler) < scheduler->deadline_us)
    return TLY_OK;
  (void)TLY_FAIL(&why, TLY_E_NOT_READY, "run %" PRId64 " is ready, but the speed layer does not publish it",
                 scheduler->run);
  tly_log(TLY_LOG_WARN, "run not published", "run=%" PRId64, scheduler->run);
  answer_all(scheduler, &why);
  end_job(scheduler);
  return TLY_OK;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static enum tly_status go_on(tly_scheduler *scheduler, bool is_answered, struct tly_error *error) {
  enum stage before;
  queue_due(scheduler);
  if (scheduler->stage == IDLE && monotonic(scheduler) - scheduler->definitions_checked_at_us >= DEFINITION_CHECK_US)
    queue_definitions(scheduler);
  do { /* a stage may end at once, and the next begin */
    before = scheduler->stage;
    switch (scheduler->stage) {
    case IDLE: begin_job(scheduler); break;
    case CUTTING: TLY_TRY(go_on_cutting(scheduler, is_answered, error)); break;
    case RECOMPUTING: TLY_TRY(go_on_recomputing(scheduler, error)); break;
    case PUBLISHING: TLY_TRY(go_on_publishing(scheduler, error)); break;
    }
    check_invariants(scheduler);
  } while (scheduler->stage != before && scheduler->stage != CUTTING && scheduler->stage != IDLE);
  tend_child(scheduler);
  tly_ledger_queue_go_on(scheduler->ledgers);
  return TLY_OK;
}

enum tly_status tly_scheduler_turn(tly_scheduler *scheduler, int timeout_ms, struct tly_error *error) {
  struct pollfd polled[FIXED_DESCRIPTORS + TLY_BATCH_CLIENTS_MAX + 1];
  polled[0] = (struct pollfd){.fd = tly_process_stop_fd(), .events = POLLIN};
  /* The speed layer rings at each of its commits; only while it is waited for that is worth waking up. */
  polled[1] =
      (struct pollfd){.fd = scheduler->stage == PUBLISHING ? tly_doorbell_fd(scheduler->bell) : -1, .events = POLLIN};
  polled[2] =
      (struct pollfd){.fd = scheduler->archiver != NULL ? tly_client_fd(scheduler->archiver) : -1, .events = POLLIN};
  polled[3] =
      (struct pollfd){.fd = scheduler->child.state != TLY_CHILD_NONE ? scheduler->child.fd : -1, .events = POLLIN};
  polled[4] = (struct pollfd){.fd = tly_ledger_queue_fd(scheduler->ledgers), .events = POLLIN};
  uint32_t clients = tly_batch_requests_poll(scheduler->requests, polled + FIXED_DESCRIPTORS);
  if (scheduler->stage == PUBLISHING && timeout_ms > PUBLISH_POLL_MS)
    timeout_ms = PUBLISH_POLL_MS;
  if (poll(polled, FIXED_DESCRIPTORS + clients, timeout_ms) < 0 && errno != EINTR)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "poll");
  if (polled[1].revents != 0)
    tly_doorbell_clear(scheduler->bell);
  tly_batch_requests_serve(scheduler->requests, polled + FIXED_DESCRIPTORS, clients);
  return go_on(scheduler, polled[2].revents != 0, error);
}

bool tly_scheduler_is_idle(const tly_scheduler *scheduler) {
  return scheduler->stage == IDLE && scheduler->queue.count == 0 && tly_ledger_queue_is_idle(scheduler->ledgers);
}

/* Which views have a ready run of their present definition. */
static enum tly_status find_covered(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  struct tly_arena arena;
  struct tly_run *runs;
  uint32_t count;
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_ready(scheduler->reader, 0, &arena, &runs, &count, error);
  for (uint32_t r = 0; status == TLY_OK && r < count; r++)
    for (uint32_t v = 0; v < runs[r].view_count; v++) {
      const struct tly_view *view = tly_project_view(project, runs[r].views[v].view);
      if (view != NULL && memcmp(&view->hash, &runs[r].views[v].definition_hash, sizeof view->hash) == 0)
        scheduler->views[view - project->views].is_covered = true;
    }
  tly_arena_free(&arena);
  return status;
}

static enum tly_status open_stores(tly_scheduler *scheduler, struct tly_error *error) {
  const struct tly_project *project = scheduler->options.project;
  TLY_TRY(tly_file_make_folder(scheduler->directory, error));
  TLY_TRY(tly_batch_store_open(scheduler->directory, now(scheduler), &scheduler->store, error));
  TLY_TRY(tly_batch_reader_open(scheduler->directory, project, &scheduler->reader, error));
  TLY_TRY(tly_run_schedule_open(project, scheduler->store, now(scheduler), &scheduler->schedule, error));
  TLY_TRY(find_covered(scheduler, error));
  TLY_TRY(tly_doorbell_open(scheduler->directory, "batch", &scheduler->bell, error));
  TLY_TRY(clean_up(scheduler, error));
  TLY_TRY(tly_batch_requests_open(scheduler->directory, handle_request, scheduler, &scheduler->requests, error));
  scheduler->ledgers =
      tly_ledger_queue_new(scheduler->options.settings, scheduler->options.project, scheduler->requests);
  return TLY_OK;
}

enum tly_status tly_scheduler_open(const struct tly_scheduler_options *options, tly_scheduler **out,
                                   struct tly_error *error) {
  tly_scheduler *scheduler = tly_calloc(1, sizeof *scheduler);
  TLY_ASSERT(options->project->view_count <= TLY_VIEWS_MAX);
  scheduler->options = *options;
  scheduler->directory = options->settings->directory;
  scheduler->views = tly_calloc(options->project->view_count, sizeof *scheduler->views);
  tly_run_queue_init(&scheduler->queue, options->project->view_count);
  tly_arena_init(&scheduler->arena);
  scheduler->opened_at_us = monotonic(scheduler);
  scheduler->next_child_us = scheduler->opened_at_us + CHILD_FIRST_US;
  enum tly_status status = open_stores(scheduler, error);
  *out = scheduler;
  if (status != TLY_OK) {
    tly_scheduler_close(scheduler);
    *out = NULL;
  }
  return status;
}

/* The process ends: what is under way is over. */
static void abandon_run(tly_scheduler *scheduler) {
  struct tly_error why, error;
  (void)TLY_FAIL(&why, TLY_E_CANCELLED, "interrupted: the batch layer was stopped");
  if (scheduler->stage == RECOMPUTING && fail_run(scheduler, &why, &error) != TLY_OK)
    tly_log(TLY_LOG_ERROR, "run not marked as failed", "run=%" PRId64 " error=\"%s\"", scheduler->run, error.message);
  if (scheduler->job != NULL) {
    answer_all(scheduler, &why);
    end_job(scheduler);
  }
}

void tly_scheduler_close(tly_scheduler *scheduler) {
  if (scheduler == NULL)
    return;
  tly_recompute_child_kill(&scheduler->child);
  if (scheduler->job != NULL)
    abandon_run(scheduler);
  tly_client_close(scheduler->archiver);
  tly_ledger_queue_free(scheduler->ledgers);
  tly_batch_requests_close(scheduler->requests);
  if (scheduler->speed != NULL)
    tly_speed_reader_close(scheduler->speed);
  tly_archive_reader_close(scheduler->archive);
  tly_doorbell_close(scheduler->bell);
  if (scheduler->schedule != NULL)
    tly_run_schedule_close(scheduler->schedule);
  tly_batch_reader_close(scheduler->reader);
  tly_batch_store_close(scheduler->store);
  tly_run_queue_free(&scheduler->queue);
  tly_arena_free(&scheduler->arena);
  tly_free(scheduler->views);
  tly_free(scheduler);
}
