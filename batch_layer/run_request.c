#include "batch_layer/run_request.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

static enum tly_status add_view(const struct tly_project *project, const json_t *name, bool *wanted,
                                struct tly_error *error) {
  const char *text = json_string_value(name);
  if (text == NULL)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "the name of a view must be a text");
  const struct tly_view *view = tly_project_view(project, text);
  if (view == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_TABLE, "view \"%s\" does not exist", text);
  wanted[view - project->views] = true;
  return TLY_OK;
}

/* The views of a job; *name is set to the project's own text of it. */
static enum tly_status add_job(const struct tly_project *project, const char *job, bool *wanted, const char **name,
                               struct tly_error *error) {
  *name = NULL;
  for (uint32_t v = 0; v < project->view_count; v++)
    if (project->views[v].job != NULL && strcmp(project->views[v].job, job) == 0) {
      wanted[v] = true;
      *name = project->views[v].job;
    }
  if (*name == NULL)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "job \"%s\" does not exist: no view says job = '%s'", job, job);
  return TLY_OK;
}

/* recompute: the views named by "views", those of the job named by "job", or all; reconcile: the one named by "view".
 * *job is the job's name, or NULL. */
static enum tly_status wanted_views(const struct tly_project *project, const struct tly_request *request, bool *wanted,
                                    const char **job, struct tly_error *error) {
  const json_t *names = json_object_get(request->params, "views"), *name;
  size_t i;
  *job = NULL;
  if (request->method == TLY_METHOD_RECONCILE)
    return add_view(project, json_object_get(request->params, "view"), wanted, error);
  if (names != NULL && !json_is_null(names) && !json_is_array(names))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"views\" must be an array of names");
  TLY_TRY(tly_param_text(request->params, "job", job, error));
  if (*job != NULL && json_array_size(names) > 0)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "either \"views\" or \"job\": a job has its views");
  if (*job != NULL)
    return add_job(project, *job, wanted, job, error);
  if (project->view_count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "the project has no views");
  for (uint32_t v = 0; v < project->view_count; v++)
    wanted[v] = json_array_size(names) == 0;
  json_array_foreach(names, i, name) {
    TLY_TRY(add_view(project, name, wanted, error));
  }
  return TLY_OK;
}

enum tly_status tly_run_request_queue(struct tly_run_queue *queue, const struct tly_project *project, int64_t now_us,
                                      uint64_t client, const struct tly_request *request, struct tly_error *error) {
  /* A reconciliation shall find what is wrong, so it takes nothing over that was computed before. */
  bool wanted[TLY_VIEWS_MAX] = {false}, is_full = request->method == TLY_METHOD_RECONCILE;
  const char *name;
  struct tly_run_waiter waiter = {
      .client = client, .id = request->id, .wants_drift = request->method == TLY_METHOD_RECONCILE};
  TLY_ASSERT(request->method == TLY_METHOD_RECOMPUTE || request->method == TLY_METHOD_RECONCILE);
  TLY_TRY(wanted_views(project, request, wanted, &name, error));
  if (request->method == TLY_METHOD_RECOMPUTE)
    TLY_TRY(tly_param_boolean(request->params, "full", &is_full, error));
  TLY_TRY(tly_param_boolean(request->params, "progress", &waiter.wants_progress, error));
  struct tly_run_job *job = tly_run_queue_find(queue, TLY_REASON_MANUAL, name, is_full, wanted);
  if (job == NULL) {
    TLY_TRY(tly_run_queue_add(queue, TLY_REASON_MANUAL, now_us, &job, error));
    job->name = name;
    job->is_full = is_full;
    memcpy(job->views, wanted, queue->view_count * sizeof *wanted);
  }
  tly_run_job_wait(job, waiter);
  return TLY_OK;
}
