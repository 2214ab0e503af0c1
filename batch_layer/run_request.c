#include "batch_layer/run_request.h"

#include <string.h>

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

/* recompute: the views named by "views", or all; reconcile: the one named by "view". */
static enum tly_status wanted_views(const struct tly_project *project, const struct tly_request *request, bool *wanted,
                                    struct tly_error *error) {
  const json_t *names = json_object_get(request->params, "views"), *name;
  size_t i;
  if (request->method == TLY_METHOD_RECONCILE)
    return add_view(project, json_object_get(request->params, "view"), wanted, error);
  if (names != NULL && !json_is_null(names) && !json_is_array(names))
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"views\" must be an array of names");
  if (project->view_count == 0)
    return TLY_FAIL(error, TLY_E_UNDEFINED_OBJECT, "the project has no views");
  for (uint32_t v = 0; v < project->view_count; v++)
    wanted[v] = json_array_size(names) == 0;
  json_array_foreach(names, i, name) {
    TLY_TRY(add_view(project, name, wanted, error));
  }
  return TLY_OK;
}

enum tly_status tly_run_request_queue(struct tly_run_queue *queue, const struct tly_project *project, uint64_t client,
                                      const struct tly_request *request, struct tly_error *error) {
  bool wanted[TLY_VIEWS_MAX] = {false}, is_full = true;
  struct tly_run_waiter waiter = {
      .client = client, .id = request->id, .wants_drift = request->method == TLY_METHOD_RECONCILE};
  if (request->method != TLY_METHOD_RECOMPUTE && request->method != TLY_METHOD_RECONCILE)
    return TLY_FAIL(error, TLY_E_NOT_SUPPORTED,
                    "the batch layer answers \"recompute\", \"reconcile\" and \"break\" only");
  TLY_TRY(wanted_views(project, request, wanted, error));
  TLY_TRY(tly_param_boolean(request->params, "full", &is_full, error)); /* every run is: accepted for the name's sake */
  TLY_TRY(tly_param_boolean(request->params, "progress", &waiter.wants_progress, error));
  struct tly_run_job *job = tly_run_queue_find(queue, "manual", wanted);
  if (job == NULL) {
    TLY_TRY(tly_run_queue_add(queue, "manual", &job, error));
    memcpy(job->views, wanted, project->view_count * sizeof *wanted);
  }
  tly_run_job_wait(job, waiter);
  return TLY_OK;
}
