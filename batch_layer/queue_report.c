#include "batch_layer/queue_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/store/fact_json.h"

static json_t *unless_zero(int64_t value) {
  return value != 0 ? json_integer(value) : json_null();
}

json_t *tly_queue_view_names(const struct tly_project *project, const bool *views) {
  json_t *names = json_array();
  for (uint32_t v = 0; v < project->view_count; v++)
    if (views[v])
      json_array_append_new(names, json_string(project->views[v].name));
  return names;
}

/* By what name a job can be cancelled before it has a run's number. */
static json_t *number_json(const struct tly_run_job *job) {
  char text[32];
  snprintf(text, sizeof text, "q%" PRIu64, job->number);
  return json_string(text);
}

/* The first of the scheduled minutes that the job serves; 0: none. */
static int64_t first_minute(const struct tly_project *project, const struct tly_run_job *job) {
  int64_t first = 0;
  for (uint32_t v = 0; v < project->view_count; v++)
    if (job->views[v] && job->fired_at_us[v] != 0 && (first == 0 || job->fired_at_us[v] < first))
      first = job->fired_at_us[v];
  return first;
}

/* ---- under way --------------------------------------------------------------------------------------------------- */

static void add_rate(const struct tly_run_progress *progress, json_t *out) {
  double rate = progress->stage_us > 0 ? (double)progress->done * 1e6 / (double)progress->stage_us : 0;
  bool is_known = progress->all > 0 && rate > 0;
  double left = is_known && progress->all > progress->done ? (double)(progress->all - progress->done) / rate : 0;
  json_object_set_new(out, "events_per_second", rate > 0 ? json_integer((json_int_t)rate) : json_null());
  json_object_set_new(out, "eta_s", is_known ? json_integer((json_int_t)(left + 0.5)) : json_null());
}

static json_t *under_way_json(const struct tly_queue_report *report) {
  struct tly_run_progress progress;
  if (tly_run_stages_is_idle(report->stages))
    return json_null();
  tly_run_stages_progress(report->stages, &progress);
  const struct tly_run_job *job = progress.job;
  json_t *out = json_pack("{s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:I,s:I}", "run", unless_zero(progress.run), "waits",
                          number_json(job), "reason", job->reason, "job", tly_text_json(job->name), "views",
                          tly_queue_view_names(report->project, job->views), "scheduled_at",
                          tly_time_json(first_minute(report->project, job)), "attempt", unless_zero(job->attempt),
                          "started_at", tly_time_json(progress.started_at_us), "stage", progress.stage, "done",
                          (json_int_t)progress.done, "all", (json_int_t)progress.all);
  TLY_ASSERT(out != NULL);
  add_rate(&progress, out);
  return out;
}

/* ---- what waits -------------------------------------------------------------------------------------------------- */

/* A row of the queue; takes over what is JSON. */
struct row {
  json_t *waits, *views;
  const char *reason, *job;
  int64_t since_us, scheduled_at_us, attempt, next_try_us;
  const char *why;
};

static void add_row(json_t *rows, const struct row *row) {
  json_t *out = json_pack("{s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:o}", "waits", row->waits, "reason", row->reason, "job",
                          tly_text_json(row->job), "views", row->views, "since", tly_time_json(row->since_us),
                          "scheduled_at", tly_time_json(row->scheduled_at_us), "attempt", unless_zero(row->attempt),
                          "why", row->why, "next_try_at", tly_time_json(row->next_try_us));
  TLY_ASSERT(out != NULL);
  json_array_append_new(rows, out);
}

static void add_job(const struct tly_queue_report *report, const struct tly_run_job *job, json_t *rows) {
  struct tly_run_progress under_way = {.run = 0};
  char why[TLY_ERROR_MESSAGE_SIZE + 64];
  struct row row = {.waits = number_json(job),
                    .views = tly_queue_view_names(report->project, job->views),
                    .reason = job->reason,
                    .job = job->name,
                    .since_us = job->queued_at_us,
                    .scheduled_at_us = first_minute(report->project, job),
                    .why = why};
  int64_t wait_us = job->not_before_us - tly_clock_monotonic_us(report->clock);
  if (!tly_run_stages_is_idle(report->stages))
    tly_run_stages_progress(report->stages, &under_way);
  if (job->refusals > 0 && wait_us > 0) {
    snprintf(why, sizeof why, "it could not begin: %s", job->why.message);
    row.next_try_us = tly_clock_now_us(report->clock) + wait_us;
  } else if (under_way.run > 0) {
    snprintf(why, sizeof why, "run %" PRId64 " is under way", under_way.run);
  } else {
    snprintf(why, sizeof why, "another one is about to begin");
  }
  add_row(rows, &row);
}

/* The views of a schedule, by its number. */
static json_t *schedule_views(const struct tly_queue_report *report, uint32_t number) {
  json_t *names = json_array();
  for (uint32_t v = 0; v < report->project->view_count; v++)
    if (tly_run_schedule_of_view(report->schedule, v) == (int)number)
      json_array_append_new(names, json_string(report->project->views[v].name));
  return names;
}

/* A schedule that is paused, or has failed and is not in the queue again. */
static void add_schedule(const struct tly_queue_report *report, uint32_t number, json_t *rows) {
  const struct tly_schedule_row *schedule = tly_run_schedule_row(report->schedule, number);
  char why[TLY_WHO_BYTES_MAX + 128];
  struct row row = {.reason = TLY_REASON_SCHEDULE, .job = tly_run_schedule_job(report->schedule, number), .why = why};
  if (schedule->paused_at_us != 0) {
    row.since_us = schedule->paused_at_us;
    snprintf(why, sizeof why, "paused by %s", schedule->paused_by);
  } else if (schedule->attempts > 0 && !tly_run_schedule_is_taken(report->schedule, number)) {
    bool goes_on = schedule->try_at_us != 0;
    row.scheduled_at_us = goes_on ? schedule->fired_at_us : 0;
    row.attempt = goes_on ? schedule->attempts + 1 : 0;
    row.next_try_us = goes_on ? schedule->try_at_us
                              : tly_run_schedule_next(report->schedule, number, tly_clock_now_us(report->clock));
    snprintf(why, sizeof why, "run %" PRId64 " failed, attempt %" PRIu32 " of %d%s", schedule->run, schedule->attempts,
             TLY_RUN_ATTEMPTS_MAX, goes_on ? "" : ": left to the next minute of the schedule");
  } else {
    return;
  }
  row.waits = json_null();
  row.views = schedule_views(report, number);
  add_row(rows, &row);
}

json_t *tly_queue_report(const struct tly_queue_report *report) {
  json_t *rows = json_array();
  for (uint32_t i = 0; i < report->queue->count; i++)
    add_job(report, report->queue->jobs[i], rows);
  for (uint32_t i = 0; i < tly_run_schedule_count(report->schedule); i++)
    add_schedule(report, i, rows);
  json_t *out = json_pack("{s:o,s:o}", "under_way", under_way_json(report), "queue", rows);
  TLY_ASSERT(out != NULL);
  return out;
}
