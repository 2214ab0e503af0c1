#include "common/sql/view_schedule.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/sql/cron.h"
#include "common/value/zone_folder.h"

static bool is_same(const char *a, const char *b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The view of the job, among those defined so far, that says when it is due; or NULL. */
static const struct tly_view *job_view(const struct tly_project *project, const char *job) {
  for (uint32_t v = 0; v < project->view_count; v++)
    if (is_same(project->views[v].job, job) && project->views[v].recompute != NULL)
      return &project->views[v];
  return NULL;
}

static enum tly_status read_times(struct tly_resolver *resolver, const struct tly_option *recompute,
                                  const struct tly_option *time_zone, bool is_of_job, struct tly_view *view) {
  struct tly_cron cron;
  const tly_time_zone *zone;
  if (time_zone != NULL && recompute == NULL && is_of_job)
    return TLY_FAIL_AT(resolver, time_zone->location, TLY_E_INVALID_PARAMETER,
                       "time_zone without recompute: a view that leaves its schedule to its job has the job's");
  if (time_zone != NULL && recompute == NULL && view->reconcile == NULL)
    return TLY_FAIL_AT(resolver, time_zone->location, TLY_E_INVALID_PARAMETER,
                       "time_zone without recompute or reconcile: it is the time zone of the schedules");
  if (recompute != NULL) {
    view->recompute = recompute->value;
    enum tly_status parsed = tly_cron_parse(recompute->value, &cron, resolver->error);
    if (parsed != TLY_OK)
      return tly_resolver_place(resolver, recompute->location, parsed);
  }
  if (time_zone == NULL)
    return TLY_OK;
  view->time_zone = time_zone->value;
  enum tly_status status = tly_time_zone_find(tly_text_of(time_zone->value), &zone, resolver->error);
  return status == TLY_OK ? TLY_OK : tly_resolver_place(resolver, time_zone->location, status);
}

static bool is_plain(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  size_t size = strspn(name, allowed);
  return size > 0 && size <= TLY_NAME_BYTES_MAX && name[size] == 0;
}

/* Jobs and views are paused and shown by name: no name means two things. */
static enum tly_status check_names(struct tly_resolver *resolver, const struct tly_option *job,
                                   const struct tly_view *view) {
  const struct tly_project *project = resolver->project;
  for (uint32_t v = 0; v < project->view_count; v++)
    if (is_same(project->views[v].job, view->name))
      return TLY_FAIL_AT(resolver, view->location, TLY_E_DUPLICATE_OBJECT,
                         "\"%s\" is already the name of a job, that of view \"%s\"", view->name,
                         project->views[v].name);
  if (job == NULL)
    return TLY_OK;
  if (!is_plain(job->value))
    return TLY_FAIL_AT(resolver, job->location, TLY_E_INVALID_PARAMETER,
                       "the name of a job has letters, digits, _ and - only, at most %d", TLY_NAME_BYTES_MAX);
  if (is_same(job->value, view->name) || tly_project_view(project, job->value) != NULL)
    return TLY_FAIL_AT(resolver, job->location, TLY_E_DUPLICATE_OBJECT, "\"%s\" is already the name of a view",
                       job->value);
  return TLY_OK;
}

static enum tly_status check_agreement(struct tly_resolver *resolver, const struct tly_option *recompute,
                                       const struct tly_option *time_zone, const struct tly_view *view) {
  const struct tly_view *other = job_view(resolver->project, view->job);
  if (other == NULL || recompute == NULL)
    return TLY_OK;
  TLY_ASSERT(other->recompute != NULL);
  bool is_zone = is_same(other->recompute, recompute->value) && time_zone != NULL;
  if (is_same(other->recompute, recompute->value) && is_same(other->time_zone, view->time_zone))
    return TLY_OK;
  (void)TLY_FAIL_AT(resolver, is_zone ? time_zone->location : recompute->location, TLY_E_INVALID_PARAMETER,
                    "job \"%s\" has another schedule already: view \"%s\" says '%s' by the clocks of %s", view->job,
                    other->name, other->recompute, other->time_zone != NULL ? other->time_zone : "UTC");
  tly_error_hint(resolver->error, "the views of a job share one schedule: it is enough that one of them gives it");
  return TLY_E_INVALID_PARAMETER;
}

enum tly_status tly_view_schedule_read(struct tly_resolver *resolver, const struct tly_option *options, uint32_t count,
                                       struct tly_view *view) {
  const struct tly_option *recompute = tly_option_find(options, count, "recompute");
  const struct tly_option *time_zone = tly_option_find(options, count, "time_zone");
  const struct tly_option *job = tly_option_find(options, count, "job");
  TLY_TRY(read_times(resolver, recompute, time_zone, job != NULL, view));
  TLY_TRY(check_names(resolver, job, view));
  if (job == NULL)
    return TLY_OK;
  view->job = job->value;
  return check_agreement(resolver, recompute, time_zone, view);
}

void tly_view_schedule_share(struct tly_project *project) {
  for (uint32_t v = 0; v < project->view_count; v++) {
    struct tly_view *view = &project->views[v];
    const struct tly_view *giver = view->job != NULL && view->recompute == NULL ? job_view(project, view->job) : NULL;
    if (giver != NULL) {
      view->recompute = giver->recompute;
      view->time_zone = giver->time_zone;
    }
  }
}

const char *tly_view_schedule_name(const struct tly_view *view) {
  return view->job != NULL ? view->job : view->name;
}
