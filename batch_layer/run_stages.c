/* A run goes through these stages:
 *
 *   IDLE -> CUTTING: the archiver was asked for a cut
 *        -> RECOMPUTING: row `running` in batch.db, a child at work; it recomputes, checks drift, computes the
 *                         control totals and writes the manifest
 *        -> PUBLISHING: row `ready`; the speed layer was rung and is waited for
 *        -> IDLE: waiters answered
 *
 * A failure in CUTTING has left no trace. A failure in RECOMPUTING makes the row `failed` and removes the folder. A run
 * whose control totals do not hold ends there too: its row is `held`, its files stay, and nobody is rung. In
 * PUBLISHING nothing can fail any more: a speed layer that does not publish in time only costs the waiters their
 * answer; the run stays ready.
 *
 * The next child is started when the one before has gone, and waits, so that a run finds it there. At the start of the
 * process it comes a moment later: the other layers start then, and somebody waits for them.
 *
 * INVARIANTS (check_invariants)
 *   (1) a job is under way exactly when the stage is not IDLE.
 *   (2) a child works exactly while RECOMPUTING, a connection to the archiver exactly while CUTTING. */
#include "batch_layer/run_stages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch_layer/publish_gate.h"
#include "batch_layer/recompute_child.h"
#include "batch_layer/run_reply.h"
#include "batch_layer/run_retention.h"
#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/doorbell.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/wire/client.h"

enum {
  CHILD_FIRST_US = 500000, /* after the start */
  CHILD_RETRY_US = 5000000,
  PUBLISH_POLL_MS = 20
};

enum { BELL, ARCHIVER, CHILD }; /* descriptors */

enum stage { IDLE, CUTTING, RECOMPUTING, PUBLISHING };

struct tly_run_stages {
  struct tly_run_stages_options options;
  tly_doorbell *bell;
  tly_archive_reader *archive; /* NULL until there is an archive */

  enum stage stage;
  struct tly_run_job *job;
  tly_client *archiver;
  int64_t deadline_us;                  /* monotonic, while CUTTING */
  int64_t run, started_at_us, began_us; /* began: monotonic */
  struct tly_recompute_child child;
  int64_t next_child_us;  /* monotonic: no child is started ahead of its run before */
  struct tly_arena arena; /* of the run under way */
  struct tly_run_result result;
  char progress_stage[32];            /* as the child has said last */
  int64_t done, all;                  /* of it */
  int64_t stage_began_us;             /* monotonic */
  struct tly_speed_patience patience; /* while PUBLISHING */
};

static void check_invariants(const tly_run_stages *stages) {
  TLY_ASSERT((stages->stage == IDLE) == (stages->job == NULL));
  TLY_ASSERT((stages->stage == CUTTING) == (stages->archiver != NULL));
  TLY_ASSERT((stages->stage == RECOMPUTING) == (stages->child.state == TLY_CHILD_WORKING));
}

static int64_t monotonic(const tly_run_stages *stages) {
  return tly_clock_monotonic_us(stages->options.clock);
}

static int64_t now(const tly_run_stages *stages) {
  return tly_clock_now_us(stages->options.clock);
}

bool tly_run_stages_is_idle(const tly_run_stages *stages) {
  return stages->stage == IDLE;
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

static void end_job(tly_run_stages *stages, enum tly_run_outcome outcome, struct tly_run_end *end) {
  *end = (struct tly_run_end){.job = stages->job, .outcome = outcome, .run = stages->run};
  stages->job = NULL;
  stages->stage = IDLE;
  tly_arena_reset(&stages->arena);
  memset(&stages->result, 0, sizeof stages->result);
}

/* The job cannot begin. */
static void fail_to_begin(tly_run_stages *stages, const struct tly_error *why, struct tly_run_end *end) {
  tly_log(TLY_LOG_WARN, "run not begun", "reason=%s error=\"%s\"", stages->job->reason, why->message);
  tly_client_close(stages->archiver);
  stages->archiver = NULL;
  stages->job->why = *why;
  tly_run_reply_failure(stages->options.requests, stages->job, why);
  end_job(stages, TLY_RUN_NOT_BEGUN, end);
}

/* The run that is under way has failed. Fails itself only when batch.db does. */
static enum tly_status fail_run(tly_run_stages *stages, const struct tly_error *why, struct tly_run_end *end,
                                struct tly_error *error) {
  const char *directory = stages->options.settings->directory;
  struct tly_error removal;
  tly_log(TLY_LOG_ERROR, "run failed", "run=%" PRId64 " error=\"%s\"", stages->run, why->message);
  TLY_TRY(tly_batch_store_fail(stages->options.store, stages->run, now(stages), why, error));
  if (tly_run_remove_folder(directory, stages->run, &removal) != TLY_OK)
    tly_log(TLY_LOG_WARN, "folder not removed", "run=%" PRId64 " error=\"%s\"", stages->run, removal.message);
  tly_run_reply_failure(stages->options.requests, stages->job, why);
  end_job(stages, TLY_RUN_FAILED, end);
  return TLY_OK;
}

/* From now on progress is that of `name`. */
static void begin_stage(tly_run_stages *stages, const char *name) {
  if (strcmp(stages->progress_stage, name) == 0)
    return;
  snprintf(stages->progress_stage, sizeof stages->progress_stage, "%s", name);
  stages->stage_began_us = monotonic(stages);
  stages->done = stages->all = 0;
}

bool tly_run_stages_can_cancel(const tly_run_stages *stages) {
  return stages->stage == CUTTING || stages->stage == RECOMPUTING;
}

enum tly_status tly_run_stages_cancel(tly_run_stages *stages, const struct tly_error *why, struct tly_run_end *end,
                                      struct tly_error *error) {
  TLY_ASSERT(tly_run_stages_can_cancel(stages));
  enum tly_status status = TLY_OK;
  if (stages->stage == RECOMPUTING) {
    tly_recompute_child_kill(&stages->child);
    status = fail_run(stages, why, end, error);
  } else {
    fail_to_begin(stages, why, end);
  }
  end->outcome = TLY_RUN_CANCELLED;
  return status;
}

void tly_run_stages_progress(const tly_run_stages *stages, struct tly_run_progress *out) {
  TLY_ASSERT(stages->stage != IDLE);
  *out = (struct tly_run_progress){.job = stages->job,
                                   .run = stages->run,
                                   .started_at_us = stages->started_at_us,
                                   .stage = stages->progress_stage,
                                   .done = stages->done,
                                   .all = stages->all,
                                   .stage_us = monotonic(stages) - stages->stage_began_us};
}

/* ---- CUTTING ----------------------------------------------------------------------------------------------------- */

static enum tly_status ask_for_cut(tly_run_stages *stages, struct tly_error *error) {
  const struct tly_project *project = stages->options.project;
  struct tly_buffer path = {0};
  json_t *views = json_array();
  for (uint32_t v = 0; v < project->view_count; v++)
    if (stages->job->views[v])
      json_array_append_new(views, json_string(project->views[v].name));
  json_t *request = json_pack("{s:i, s:s, s:{s:o}}", "id", 1, "method", "cut", "params", "views", views);
  char *text = json_dumps(request, JSON_COMPACT);
  TLY_ASSERT(text != NULL);
  tly_buffer_print(&path, "%s/archiver.sock", stages->options.settings->directory);
  enum tly_status status = tly_client_connect(tly_buffer_text(&path), false, &stages->archiver, error);
  if (status == TLY_OK)
    status = tly_client_send(stages->archiver, text, strlen(text), error);
  if (status == TLY_OK)
    status = tly_client_send(stages->archiver, "\n", 1, error);
  free(text);
  json_decref(request);
  tly_buffer_free(&path);
  return status;
}

void tly_run_stages_begin(tly_run_stages *stages, struct tly_run_job *job, struct tly_run_end *end) {
  struct tly_error error;
  TLY_ASSERT(stages->stage == IDLE);
  end->job = NULL;
  stages->job = job;
  stages->run = 0;
  stages->began_us = monotonic(stages);
  stages->started_at_us = now(stages);
  stages->stage = CUTTING;
  begin_stage(stages, "cut");
  stages->deadline_us = stages->began_us + (int64_t)stages->options.cut_timeout_ms * 1000;
  if (ask_for_cut(stages, &error) != TLY_OK)
    fail_to_begin(stages, &error, end);
}

/* The archiver's answer: the number of the cut. */
static enum tly_status receive_cut(tly_run_stages *stages, int64_t *number, struct tly_error *error) {
  json_t *reply;
  TLY_TRY(tly_client_receive(stages->archiver, 1000, &reply, error));
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
static enum tly_status read_cut(tly_run_stages *stages, int64_t number, struct tly_cut *cut, struct tly_error *error) {
  const struct tly_project *project = stages->options.project;
  uint32_t kept = 0;
  if (stages->archive == NULL)
    TLY_TRY(tly_archive_reader_open(stages->options.settings->directory, project, &stages->archive, error));
  TLY_TRY(tly_archive_reader_cut(stages->archive, number, &stages->arena, cut, error));
  for (uint32_t i = 0; i < cut->position_count; i++) {
    bool is_read = false;
    for (uint32_t v = 0; v < project->view_count; v++)
      is_read =
          is_read || (stages->job->views[v] && strcmp(project->views[v].stream->name, cut->positions[i].stream) == 0);
    if (is_read)
      cut->positions[kept++] = cut->positions[i];
  }
  cut->position_count = kept;
  return TLY_OK;
}

static enum tly_status store_begin(tly_run_stages *stages, const struct tly_cut *cut, struct tly_error *error) {
  const struct tly_project *project = stages->options.project;
  const struct tly_view *views[TLY_VIEWS_MAX];
  int64_t fired[TLY_VIEWS_MAX];
  struct tly_run_start start = {.cut = cut,
                                .reason = stages->job->reason,
                                .is_full = stages->job->is_full,
                                .started_at_us = stages->started_at_us,
                                .views = views,
                                .fired_at_us = fired,
                                .job = stages->job->name,
                                .attempt = stages->job->attempt,
                                .schedules = stages->job->schedules,
                                .schedule_count = stages->job->schedule_count};
  for (uint32_t v = 0; v < project->view_count; v++)
    if (stages->job->views[v]) {
      views[start.view_count] = &project->views[v];
      fired[start.view_count++] = stages->job->fired_at_us[v];
    }
  return tly_batch_store_begin(stages->options.store, &start, error);
}

static enum tly_status start_recompute(tly_run_stages *stages, int64_t number, struct tly_run_end *end,
                                       struct tly_error *error) {
  struct tly_cut cut;
  struct tly_error why;
  if (read_cut(stages, number, &cut, &why) != TLY_OK) {
    fail_to_begin(stages, &why, end);
    return TLY_OK;
  }
  tly_client_close(stages->archiver);
  stages->archiver = NULL;
  stages->run = number;
  TLY_TRY(store_begin(stages, &cut, error));
  tly_crash_point("run.after_begin");
  tly_log(TLY_LOG_INFO, "run begun", "run=%" PRId64 " reason=%s", number, stages->job->reason);
  if (tly_recompute_child_start(&stages->child, stages->options.settings, number, &why) != TLY_OK)
    return fail_run(stages, &why, end, error);
  stages->stage = RECOMPUTING;
  begin_stage(stages, "recompute");
  return TLY_OK;
}

static enum tly_status go_on_cutting(tly_run_stages *stages, bool is_answered, struct tly_run_end *end,
                                     struct tly_error *error) {
  struct tly_error why;
  int64_t number;
  if (!is_answered) {
    if (monotonic(stages) < stages->deadline_us)
      return TLY_OK;
    (void)TLY_FAIL(&why, TLY_E_CANCELLED, "the archiver did not answer within %d ms", stages->options.cut_timeout_ms);
    fail_to_begin(stages, &why, end);
    return TLY_OK;
  }
  if (receive_cut(stages, &number, &why) != TLY_OK) {
    fail_to_begin(stages, &why, end);
    return TLY_OK;
  }
  return start_recompute(stages, number, end, error);
}

/* ---- RECOMPUTING ------------------------------------------------------------------------------------------------- */

static void hear_progress(void *context, const char *stage, int64_t done, int64_t all) {
  tly_run_stages *stages = context;
  begin_stage(stages, stage);
  stages->done = done;
  stages->all = all;
  tly_run_reply_progress(stages->options.requests, stages->job, stages->run, stage, done, all);
}

/* hold NULL: the run is published. */
static void reply_result(const tly_run_stages *stages, const char *hold) {
  tly_run_reply_result(stages->options.requests, stages->job, &stages->result, hold,
                       (monotonic(stages) - stages->began_us) / 1000);
}

/* Nothing changes for anybody who asks: the runs before it stay published, and generations go on adding up. */
static enum tly_status hold_run(tly_run_stages *stages, const char *why, struct tly_run_end *end,
                                struct tly_error *error) {
  TLY_TRY(tly_batch_store_hold(stages->options.store, &stages->result, why, now(stages), error));
  tly_log(TLY_LOG_ERROR, "run held", "run=%" PRId64 " why=\"%s\"", stages->run, why);
  reply_result(stages, why);
  end_job(stages, TLY_RUN_HELD, end);
  return TLY_OK;
}

static enum tly_status make_ready(tly_run_stages *stages, struct tly_error *error) {
  TLY_TRY(tly_batch_store_ready(stages->options.store, &stages->result, now(stages), error));
  int64_t drift = tly_run_result_drift(&stages->result);
  tly_log(drift > 0 ? TLY_LOG_ERROR : TLY_LOG_INFO, drift > 0 ? "run ready, with drift" : "run ready",
          "run=%" PRId64 " events=%" PRIu64 " drift=%" PRId64, stages->run, stages->result.events, drift);
  stages->stage = PUBLISHING;
  begin_stage(stages, "publish");
  tly_speed_patience_begin(&stages->patience, stages->options.publish_wait_ms, monotonic(stages));
  tly_doorbell_ring(stages->options.settings->directory, "speed");
  return TLY_OK;
}

/* The child has succeeded by its own word: check it, and let the run through the gate or hold it. */
static enum tly_status take_result(tly_run_stages *stages, struct tly_run_end *end, struct tly_error *error) {
  char folder[4096];
  struct tly_error why;
  snprintf(folder, sizeof folder, "%s/runs/%" PRId64, stages->options.settings->directory, stages->run);
  enum tly_status status = tly_manifest_read(folder, &stages->child.manifest, &stages->arena, &stages->result, &why);
  if (status == TLY_OK && stages->result.run != stages->run)
    status = TLY_FAIL(&why, TLY_E_CORRUPT, "the manifest is of run %" PRId64, stages->result.run);
  if (status != TLY_OK)
    return fail_run(stages, &why, end, error);
  const char *why_held = tly_publish_gate_judge(stages->options.project, &stages->result, &stages->arena);
  return why_held != NULL ? hold_run(stages, why_held, end, error) : make_ready(stages, error);
}

static enum tly_status go_on_recomputing(tly_run_stages *stages, struct tly_run_end *end, struct tly_error *error) {
  struct tly_error why = TLY_ERROR_NONE;
  bool ended;
  enum tly_status status = tly_recompute_child_read(&stages->child, hear_progress, stages, &ended, &why);
  if (!ended)
    return TLY_OK;
  return status == TLY_OK ? take_result(stages, end, error) : fail_run(stages, &why, end, error);
}

/* ---- PUBLISHING -------------------------------------------------------------------------------------------------- */

/* The views of the run that will show it: it was not rejected for them by a rollback. False: there are none. */
static enum tly_status read_wanted(tly_run_stages *stages, bool *wanted, bool *is_wanted, struct tly_error *error) {
  TLY_TRY(tly_batch_store_rejected(stages->options.store, stages->run, stages->options.project, wanted, error));
  *is_wanted = false;
  for (uint32_t v = 0; v < stages->options.project->view_count; v++) {
    wanted[v] = stages->job->views[v] && !wanted[v];
    *is_wanted = *is_wanted || wanted[v];
  }
  return TLY_OK;
}

static enum tly_status go_on_publishing(tly_run_stages *stages, struct tly_run_end *end, struct tly_error *error) {
  struct tly_error why;
  bool wanted[TLY_VIEWS_MAX], is_wanted;
  TLY_TRY(read_wanted(stages, wanted, &is_wanted, error));
  if (!is_wanted) {
    (void)TLY_FAIL(&why, TLY_E_CANCELLED, "run %" PRId64 " was rejected by a rollback before it was published",
                   stages->run);
    tly_run_reply_failure(stages->options.requests, stages->job, &why);
    end_job(stages, TLY_RUN_UNPUBLISHED, end);
    return TLY_OK;
  }
  if (tly_speed_watch_shows(stages->options.speed, stages->run, wanted)) {
    tly_log(TLY_LOG_INFO, "run published", "run=%" PRId64, stages->run);
    reply_result(stages, NULL);
    end_job(stages, TLY_RUN_PUBLISHED, end);
    return TLY_OK;
  }
  int64_t progress = tly_speed_watch_progress(stages->options.speed);
  if (!tly_speed_patience_is_over(&stages->patience, progress, monotonic(stages)))
    return TLY_OK;
  (void)TLY_FAIL(&why, TLY_E_NOT_READY, "run %" PRId64 " is ready, but the speed layer does not publish it",
                 stages->run);
  tly_log(TLY_LOG_WARN, "run not published", "run=%" PRId64, stages->run);
  tly_run_reply_failure(stages->options.requests, stages->job, &why);
  end_job(stages, TLY_RUN_UNPUBLISHED, end);
  return TLY_OK;
}

/* ---- the loop's part --------------------------------------------------------------------------------------------- */

void tly_run_stages_poll(const tly_run_stages *stages, struct pollfd *polled, int *timeout_ms) {
  bool is_publishing = stages->stage == PUBLISHING;
  /* The speed layer rings at each of its commits; only while it is waited for that is worth waking up. */
  polled[BELL] = (struct pollfd){.fd = is_publishing ? tly_doorbell_fd(stages->bell) : -1, .events = POLLIN};
  polled[ARCHIVER] =
      (struct pollfd){.fd = stages->archiver != NULL ? tly_client_fd(stages->archiver) : -1, .events = POLLIN};
  polled[CHILD] =
      (struct pollfd){.fd = stages->child.state != TLY_CHILD_NONE ? stages->child.fd : -1, .events = POLLIN};
  if (is_publishing && *timeout_ms > PUBLISH_POLL_MS)
    *timeout_ms = PUBLISH_POLL_MS;
}

enum tly_status tly_run_stages_go_on(tly_run_stages *stages, const struct pollfd *polled, struct tly_run_end *end,
                                     struct tly_error *error) {
  enum stage before;
  end->job = NULL;
  if (polled[BELL].revents != 0)
    tly_doorbell_clear(stages->bell);
  do { /* a stage may end at once, and the next begin */
    before = stages->stage;
    switch (stages->stage) {
    case IDLE: break;
    case CUTTING: TLY_TRY(go_on_cutting(stages, polled[ARCHIVER].revents != 0, end, error)); break;
    case RECOMPUTING: TLY_TRY(go_on_recomputing(stages, end, error)); break;
    case PUBLISHING: TLY_TRY(go_on_publishing(stages, end, error)); break;
    }
    check_invariants(stages);
  } while (stages->stage != before);
  return TLY_OK;
}

void tly_run_stages_tend_child(tly_run_stages *stages) {
  struct tly_recompute_child *child = &stages->child;
  enum tly_child_state before = child->state;
  struct tly_error error;
  if (before == TLY_CHILD_WORKING)
    return;
  if (before != TLY_CHILD_NONE && tly_recompute_child_is_gone(child, NULL) && before == TLY_CHILD_WAITING)
    stages->next_child_us = monotonic(stages) + CHILD_RETRY_US; /* a run starts one of its own, if need be */
  if (child->state != TLY_CHILD_NONE || stages->stage != IDLE || monotonic(stages) < stages->next_child_us)
    return;
  if (tly_recompute_child_prepare(child, stages->options.settings, &error) == TLY_OK)
    return;
  tly_log(TLY_LOG_WARN, "no process to recompute in", "error=\"%s\"", error.message);
  stages->next_child_us = monotonic(stages) + CHILD_RETRY_US;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

enum tly_status tly_run_stages_open(const struct tly_run_stages_options *options, tly_run_stages **out,
                                    struct tly_error *error) {
  tly_run_stages *stages = tly_calloc(1, sizeof *stages);
  stages->options = *options;
  tly_arena_init(&stages->arena);
  stages->next_child_us = monotonic(stages) + CHILD_FIRST_US;
  enum tly_status status = tly_doorbell_open(options->settings->directory, "batch", &stages->bell, error);
  *out = stages;
  if (status != TLY_OK) {
    tly_run_stages_close(stages);
    *out = NULL;
  }
  return status;
}

/* The process ends: what is under way is over. */
static void abandon_run(tly_run_stages *stages) {
  struct tly_run_end end = {.job = NULL};
  struct tly_error why, error;
  (void)TLY_FAIL(&why, TLY_E_CANCELLED, "interrupted: the batch layer was stopped");
  if (stages->stage == RECOMPUTING && fail_run(stages, &why, &end, &error) != TLY_OK)
    tly_log(TLY_LOG_ERROR, "run not marked as failed", "run=%" PRId64 " error=\"%s\"", stages->run, error.message);
  if (stages->job != NULL) {
    tly_run_reply_failure(stages->options.requests, stages->job, &why);
    end_job(stages, TLY_RUN_FAILED, &end);
  }
  tly_run_job_free(end.job);
}

void tly_run_stages_close(tly_run_stages *stages) {
  if (stages == NULL)
    return;
  tly_recompute_child_kill(&stages->child);
  if (stages->job != NULL)
    abandon_run(stages);
  tly_client_close(stages->archiver);
  tly_archive_reader_close(stages->archive);
  tly_doorbell_close(stages->bell);
  tly_arena_free(&stages->arena);
  tly_free(stages);
}
