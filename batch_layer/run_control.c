/* Each request is checked as a whole before any of it is done. After that only batch.db can fail, and then the process
 * has to end: so there are two kinds of failures, and only the second one leaves this file. */
#include "batch_layer/run_control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch_layer/queue_report.h"
#include "batch_layer/run_reply.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"

bool tly_run_control_takes(enum tly_method method) {
  return method == TLY_METHOD_PAUSE || method == TLY_METHOD_RESUME || method == TLY_METHOD_CANCEL ||
         method == TLY_METHOD_QUEUE;
}

static void answer(const struct tly_run_control *control, uint64_t client, const struct tly_request *request,
                   json_t *result) {
  struct tly_buffer reply = {0};
  TLY_ASSERT(result != NULL);
  tly_reply_result(&reply, request->id, result);
  tly_batch_requests_answer(control->requests, client, &reply);
  tly_buffer_free(&reply);
  json_decref(result);
}

static void refuse(const struct tly_run_control *control, uint64_t client, const struct tly_request *request,
                   const struct tly_error *error) {
  int code = error->status == TLY_E_NOT_READY ? TLY_RPC_SERVER_ERROR : TLY_RPC_INVALID_PARAMS;
  tly_run_reply_error(control->requests, client, request->id, code, error);
}

/* Who asks, in their own words: they stand in batch.db and on terminals. */
static enum tly_status read_by(const json_t *params, const char **by, struct tly_error *error) {
  *by = "a client";
  TLY_TRY(tly_param_text(params, "by", by, error));
  size_t size = strlen(*by);
  if (size == 0 || size > TLY_WHO_BYTES_MAX)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"by\" says who asks, in 1 to %d bytes", TLY_WHO_BYTES_MAX);
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)(*by)[i] < ' ' || (*by)[i] == 0x7F)
      return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"by\" says who asks: it has no control characters");
  return TLY_OK;
}

/* ---- pause and resume -------------------------------------------------------------------------------------------- */

static enum tly_status choose(const struct tly_run_control *control, const char *name, bool *chosen,
                              struct tly_error *error) {
  const struct tly_view *view = tly_project_view(control->project, name);
  int number = tly_run_schedule_find(control->schedule, name);
  if (number >= 0) {
    chosen[number] = true;
    return TLY_OK;
  }
  if (view == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "there is no job and no view \"%s\"", name);
  (void)TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "view \"%s\" has no schedule of its own", name);
  if (view->job != NULL)
    tly_error_hint(error, "it is recomputed with job %s: name the job", view->job);
  else
    tly_error_hint(error, "it is recomputed by hand only");
  return TLY_E_INVALID_PARAMETER;
}

/* The schedules named by "names", or all. */
static enum tly_status read_names(const struct tly_run_control *control, const json_t *params, bool *chosen,
                                  struct tly_error *error) {
  const json_t *names = json_object_get(params, "names"), *name;
  uint32_t count = tly_run_schedule_count(control->schedule);
  size_t i;
  if (names != NULL && !json_is_array(names))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"names\" must be an array of jobs and views");
  if (count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "the project has no schedules");
  for (uint32_t s = 0; s < count; s++)
    chosen[s] = json_array_size(names) == 0;
  json_array_foreach(names, i, name) {
    if (!json_is_string(name))
      return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "the name of a job or a view must be a text");
    TLY_TRY(choose(control, json_string_value(name), chosen, error));
  }
  return TLY_OK;
}

static enum tly_status set_pauses(const struct tly_run_control *control, bool is_pause, const char *by,
                                  const bool *chosen, json_t *names, struct tly_error *error) {
  for (uint32_t s = 0; s < tly_run_schedule_count(control->schedule); s++) {
    if (!chosen[s])
      continue;
    json_array_append_new(names, json_string(tly_run_schedule_row(control->schedule, s)->name));
    if (is_pause)
      TLY_TRY(
          tly_run_schedule_pause(control->schedule, s, tly_clock_now_us(control->clock), by, control->queue, error));
    else
      TLY_TRY(tly_run_schedule_resume(control->schedule, s, error));
  }
  return TLY_OK;
}

static enum tly_status pause_or_resume(const struct tly_run_control *control, uint64_t client,
                                       const struct tly_request *request, struct tly_error *error) {
  bool chosen[TLY_VIEWS_MAX] = {false}, is_pause = request->method == TLY_METHOD_PAUSE;
  struct tly_error fault = TLY_ERROR_NONE;
  const char *by;
  if (read_by(request->params, &by, &fault) != TLY_OK ||
      read_names(control, request->params, chosen, &fault) != TLY_OK) {
    refuse(control, client, request, &fault);
    return TLY_OK;
  }
  json_t *names = json_array();
  enum tly_status status = set_pauses(control, is_pause, by, chosen, names, error);
  if (status == TLY_OK)
    answer(control, client, request, json_pack("{s:O}", is_pause ? "paused" : "resumed", names));
  json_decref(names);
  return status;
}

/* ---- cancel ------------------------------------------------------------------------------------------------------ */

/* Which run is meant: by its number, by that of its job while it waits, or the one under way. */
struct target {
  int64_t run;
  uint64_t job;
};

static enum tly_status read_target(const json_t *params, struct target *out, struct tly_error *error) {
  const json_t *run = json_object_get(params, "run");
  const char *text = json_string_value(run);
  char *end = NULL;
  *out = (struct target){.run = 0};
  if (run == NULL || json_is_null(run))
    return TLY_OK;
  if (json_is_integer(run) && json_integer_value(run) > 0) {
    out->run = json_integer_value(run);
    return TLY_OK;
  }
  if (text != NULL && text[0] == 'q' && text[1] >= '1' && text[1] <= '9') {
    out->job = strtoull(text + 1, &end, 10);
    if (*end == 0)
      return TLY_OK;
  }
  return TLY_FAIL(error, TLY_E_INVALID_PARAMETER,
                  "\"run\" is the number of a run, or the name of one that waits, as \"q3\"");
}

static enum tly_status no_such_run(const struct tly_run_control *control, struct target target,
                                   struct tly_error *error) {
  if (target.job != 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "nothing called q%" PRIu64 " waits", target.job);
  if (target.run != 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "run %" PRId64 " is not under way", target.run);
  (void)TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "no run is under way");
  if (control->queue->count > 0)
    tly_error_hint(error, "q%" PRIu64 " waits: name it to cancel it", control->queue->jobs[0]->number);
  return TLY_E_UNDEFINED_OBJECT;
}

static bool is_under_way(const struct tly_run_control *control, struct target target,
                         struct tly_run_progress *progress) {
  if (tly_run_stages_is_idle(control->stages))
    return false;
  tly_run_stages_progress(control->stages, progress);
  return (target.run == 0 && target.job == 0) || (target.run != 0 && target.run == progress->run) ||
         (target.job != 0 && target.job == progress->job->number);
}

/* Take it out of the queue or end it; *end has it. What cannot be cancelled is a fault. */
static enum tly_status cancel(const struct tly_run_control *control, struct target target, const struct tly_error *why,
                              struct tly_run_end *end, struct tly_error *fault, struct tly_error *error) {
  struct tly_run_progress progress;
  if (is_under_way(control, target, &progress)) {
    if (tly_run_stages_can_cancel(control->stages))
      return tly_run_stages_cancel(control->stages, why, end, error);
    (void)TLY_FAIL(fault, TLY_E_NOT_READY,
                   "run %" PRId64 " is ready and about to be published: it is too late to cancel it", progress.run);
    return TLY_OK;
  }
  struct tly_run_job *job = target.job != 0 ? tly_run_queue_remove(control->queue, target.job) : NULL;
  if (job == NULL) {
    (void)no_such_run(control, target, fault);
    return TLY_OK;
  }
  tly_run_reply_failure(control->requests, job, why);
  *end = (struct tly_run_end){.job = job, .outcome = TLY_RUN_CANCELLED};
  return TLY_OK;
}

static json_t *cancelled_json(const struct tly_run_control *control, const struct tly_run_end *end) {
  char name[32];
  snprintf(name, sizeof name, "q%" PRIu64, end->job->number);
  return json_pack("{s:o,s:o,s:o}", "cancelled", end->run != 0 ? json_integer(end->run) : json_string(name), "job",
                   end->job->name != NULL ? json_string(end->job->name) : json_null(), "views",
                   tly_queue_view_names(control->project, end->job->views));
}

static enum tly_status handle_cancel(const struct tly_run_control *control, uint64_t client,
                                     const struct tly_request *request, struct tly_run_end *end,
                                     struct tly_error *error) {
  struct tly_error fault = TLY_ERROR_NONE, why;
  struct target target;
  const char *by;
  if (read_by(request->params, &by, &fault) == TLY_OK && read_target(request->params, &target, &fault) == TLY_OK) {
    (void)TLY_FAIL(&why, TLY_E_CANCELLED, "cancelled by %s", by);
    TLY_TRY(cancel(control, target, &why, end, &fault, error));
  }
  if (end->job != NULL)
    answer(control, client, request, cancelled_json(control, end));
  else
    refuse(control, client, request, &fault);
  return TLY_OK;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

enum tly_status tly_run_control_handle(const struct tly_run_control *control, uint64_t client,
                                       const struct tly_request *request, struct tly_run_end *end,
                                       struct tly_error *error) {
  end->job = NULL;
  switch (request->method) {
  case TLY_METHOD_PAUSE:
  case TLY_METHOD_RESUME: return pause_or_resume(control, client, request, error);
  case TLY_METHOD_CANCEL: return handle_cancel(control, client, request, end, error);
  case TLY_METHOD_QUEUE: {
    struct tly_queue_report report = {.project = control->project,
                                      .clock = control->clock,
                                      .queue = control->queue,
                                      .schedule = control->schedule,
                                      .stages = control->stages};
    answer(control, client, request, tly_queue_report(&report));
    return TLY_OK;
  }
  default: TLY_UNREACHABLE();
  }
}
