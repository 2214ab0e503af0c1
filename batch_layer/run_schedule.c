/* INVARIANTS
 *   (1) a schedule is taken exactly while a job with reason "schedule" that has its views is queued or under way: it is
 *       not due then, so no job of it is queued twice.
 *   (2) what is in memory of a schedule is what batch.db has, but while a run is under way for it: its begin writes the
 *       row that tly_run_schedule_prepare has made, its end makes both the same. A pause has columns of its own. */
#include "batch_layer/run_schedule.h"

#include <string.h>

#include "batch_layer/retry_delay.h"
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/sql/cron.h"
#include "common/sql/view_schedule.h"

struct entry {
  struct tly_schedule_row row;
  bool is_job;
  struct tly_cron cron;
  char *cron_text; /* row.cron */
  char paused_by[TLY_WHO_BYTES_MAX + 1];
  bool is_taken;
};

enum { MINUTE_US = 60 * 1000000, NONE = -1 };

struct tly_run_schedule {
  const struct tly_project *project;
  tly_batch_store *store;
  int64_t looked_at_minute; /* schedules change by the minute: within it only attempts become due ... */
  bool has_changed;         /* ... and what has ended or was resumed */
  int *of_view;             /* one a view: its entry, or NONE */
  uint32_t count;
  struct entry *entries; /* at most one a view */
};

/* ---- open and close ---------------------------------------------------------------------------------------------- */

/* The schedule as a text that changes when it does: '0 2 * * *', '0 2 * * * Europe/Berlin'. */
static char *cron_text(const struct tly_view *view) {
  struct tly_buffer text = {0};
  tly_buffer_append_text(&text, view->recompute);
  if (view->time_zone != NULL)
    tly_buffer_print(&text, " %s", view->time_zone);
  char *copy = tly_strdup(tly_buffer_text(&text));
  tly_buffer_free(&text);
  return copy;
}

static void keep_pause(struct entry *entry, int64_t at_us, const char *by) {
  TLY_ASSERT(at_us == 0 || by != NULL);
  entry->row.paused_at_us = at_us;
  entry->row.paused_by = at_us != 0 ? entry->paused_by : NULL;
  if (at_us != 0)
    memcpy(entry->paused_by, by, strnlen(by, TLY_WHO_BYTES_MAX) + 1);
  entry->paused_by[TLY_WHO_BYTES_MAX] = 0;
}

static enum tly_status load(tly_run_schedule *schedule, struct entry *entry, const struct tly_schedule_row *rows,
                            uint32_t row_count, int64_t now_us, struct tly_error *error) {
  for (uint32_t i = 0; i < row_count; i++) {
    if (strcmp(rows[i].name, entry->row.name) != 0)
      continue;
    keep_pause(entry, rows[i].paused_at_us, rows[i].paused_by); /* whatever the schedule was then */
    if (strcmp(rows[i].cron, entry->row.cron) != 0)
      break;
    entry->row.fired_at_us = rows[i].fired_at_us;
    entry->row.run = rows[i].run;
    entry->row.attempts = rows[i].attempts;
    entry->row.try_at_us = rows[i].try_at_us;
    return TLY_OK;
  }
  int64_t before = tly_cron_previous(&entry->cron, now_us);
  entry->row.fired_at_us = before != INT64_MIN ? before : 0;
  return tly_batch_store_set_schedule(schedule->store, &entry->row, error);
}

static enum tly_status add_view(tly_run_schedule *schedule, uint32_t number, struct tly_error *error) {
  const struct tly_view *view = &schedule->project->views[number];
  schedule->of_view[number] = NONE;
  if (view->recompute == NULL)
    return TLY_OK;
  int known = tly_run_schedule_find(schedule, tly_view_schedule_name(view));
  schedule->of_view[number] = known != NONE ? known : (int)schedule->count;
  if (known != NONE)
    return TLY_OK;
  struct entry *entry = &schedule->entries[schedule->count++];
  entry->cron_text = cron_text(view);
  entry->is_job = view->job != NULL;
  entry->row = (struct tly_schedule_row){.name = tly_view_schedule_name(view), .cron = entry->cron_text};
  return tly_cron_of_view(view, &entry->cron, error);
}

static enum tly_status open_entries(tly_run_schedule *schedule, tly_batch_reader *reader, int64_t now_us,
                                    struct tly_error *error) {
  struct tly_schedule_row *rows;
  struct tly_arena arena;
  uint32_t count;
  for (uint32_t v = 0; v < schedule->project->view_count; v++)
    TLY_TRY(add_view(schedule, v, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_schedules(reader, &arena, &rows, &count, error);
  for (uint32_t i = 0; status == TLY_OK && i < schedule->count; i++)
    status = load(schedule, &schedule->entries[i], rows, count, now_us, error);
  tly_arena_free(&arena);
  return status;
}

enum tly_status tly_run_schedule_open(const struct tly_project *project, tly_batch_store *store,
                                      tly_batch_reader *reader, int64_t now_us, tly_run_schedule **out,
                                      struct tly_error *error) {
  tly_run_schedule *schedule = tly_calloc(1, sizeof *schedule);
  schedule->project = project;
  schedule->store = store;
  schedule->of_view = tly_calloc(project->view_count, sizeof *schedule->of_view);
  schedule->entries = tly_calloc(project->view_count, sizeof *schedule->entries);
  schedule->looked_at_minute = INT64_MIN;
  enum tly_status status = open_entries(schedule, reader, now_us, error);
  *out = schedule;
  if (status != TLY_OK) {
    tly_run_schedule_close(schedule);
    *out = NULL;
  }
  return status;
}

void tly_run_schedule_close(tly_run_schedule *schedule) {
  if (schedule == NULL)
    return;
  for (uint32_t i = 0; i < schedule->count; i++)
    tly_free(schedule->entries[i].cron_text);
  tly_free(schedule->entries);
  tly_free(schedule->of_view);
  tly_free(schedule);
}

uint32_t tly_run_schedule_count(const tly_run_schedule *schedule) {
  return schedule->count;
}

const struct tly_schedule_row *tly_run_schedule_row(const tly_run_schedule *schedule, uint32_t number) {
  TLY_ASSERT(number < schedule->count);
  return &schedule->entries[number].row;
}

int tly_run_schedule_find(const tly_run_schedule *schedule, const char *name) {
  for (uint32_t i = 0; i < schedule->count; i++)
    if (strcmp(schedule->entries[i].row.name, name) == 0)
      return (int)i;
  return NONE;
}

int tly_run_schedule_of_view(const tly_run_schedule *schedule, uint32_t view) {
  TLY_ASSERT(view < schedule->project->view_count);
  return schedule->of_view[view];
}

const char *tly_run_schedule_job(const tly_run_schedule *schedule, uint32_t number) {
  const struct entry *entry = &schedule->entries[number];
  return entry->is_job ? entry->row.name : NULL;
}

bool tly_run_schedule_is_taken(const tly_run_schedule *schedule, uint32_t number) {
  return schedule->entries[number].is_taken;
}

int64_t tly_run_schedule_next(const tly_run_schedule *schedule, uint32_t number, int64_t now_us) {
  int64_t next = tly_cron_next(&schedule->entries[number].cron, now_us);
  return next != INT64_MAX ? next : 0;
}

/* ---- due --------------------------------------------------------------------------------------------------------- */

static bool is_scheduled(const struct tly_run_job *job) {
  return strcmp(job->reason, TLY_REASON_SCHEDULE) == 0;
}

/* The minute the schedule is due for, or 0. An attempt that failed is due for the minute it was begun for. */
static int64_t due_minute(const struct entry *entry, int64_t now_us) {
  if (entry->is_taken || entry->row.paused_at_us != 0)
    return 0;
  int64_t minute = tly_cron_previous(&entry->cron, now_us);
  if (minute != INT64_MIN && minute > entry->row.fired_at_us)
    return minute;
  return entry->row.try_at_us != 0 && entry->row.try_at_us <= now_us ? entry->row.fired_at_us : 0;
}

static bool is_attempt_due(const tly_run_schedule *schedule, int64_t now_us) {
  for (uint32_t i = 0; i < schedule->count; i++)
    if (schedule->entries[i].row.try_at_us != 0 && schedule->entries[i].row.try_at_us <= now_us)
      return true;
  return false;
}

/* The job of the queue that these views join, or a new one. */
static enum tly_status find_job(struct tly_run_queue *queue, const struct entry *entry, int64_t now_us,
                                struct tly_run_job **out, struct tly_error *error) {
  *out = entry->is_job ? NULL : tly_run_queue_first(queue, TLY_REASON_SCHEDULE, NULL);
  if (*out != NULL)
    return TLY_OK;
  TLY_TRY(tly_run_queue_add(queue, TLY_REASON_SCHEDULE, now_us, out, error));
  (*out)->name = entry->is_job ? entry->row.name : NULL;
  return TLY_OK;
}

static bool queue_entry(tly_run_schedule *schedule, uint32_t number, int64_t now_us, int64_t minute,
                        struct tly_run_queue *queue) {
  struct entry *entry = &schedule->entries[number];
  struct tly_run_job *job;
  struct tly_error error;
  if (find_job(queue, entry, now_us, &job, &error) != TLY_OK) {
    tly_log(TLY_LOG_ERROR, "scheduled run must wait", "schedule=%s error=\"%s\"", entry->row.name, error.message);
    return false;
  }
  entry->is_taken = true;
  for (uint32_t v = 0; v < schedule->project->view_count; v++)
    if (schedule->of_view[v] == (int)number) {
      job->views[v] = true;
      job->fired_at_us[v] = minute;
    }
  return true;
}

uint32_t tly_run_schedule_queue(tly_run_schedule *schedule, int64_t now_us, struct tly_run_queue *queue) {
  uint32_t count = 0;
  if (now_us / MINUTE_US == schedule->looked_at_minute && !schedule->has_changed && !is_attempt_due(schedule, now_us))
    return 0;
  schedule->looked_at_minute = now_us / MINUTE_US;
  schedule->has_changed = false;
  for (uint32_t i = 0; i < schedule->count; i++) {
    int64_t minute = due_minute(&schedule->entries[i], now_us);
    if (minute != 0)
      count += queue_entry(schedule, i, now_us, minute, queue);
  }
  return count;
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

/* Whether any, or all, of the schedule's views are in `views`. */
static bool has_views(const tly_run_schedule *schedule, uint32_t number, const bool *views, bool all) {
  for (uint32_t v = 0; v < schedule->project->view_count; v++)
    if (schedule->of_view[v] == (int)number && views[v] != all)
      return !all;
  return all;
}

/* What is to be remembered when the run has begun: as if it failed, for if we die there is nobody to say so. */
static struct tly_schedule_row begun_row(const struct entry *entry, int64_t minute, int64_t now_us) {
  struct tly_schedule_row row = entry->row;
  row.attempts = minute == row.fired_at_us ? row.attempts + 1 : 1;
  row.fired_at_us = minute;
  row.try_at_us = row.attempts < TLY_RUN_ATTEMPTS_MAX ? now_us + tly_run_retry_delay_us(row.attempts) : 0;
  return row;
}

void tly_run_schedule_prepare(tly_run_schedule *schedule, int64_t now_us, struct tly_run_job *job) {
  if (!is_scheduled(job))
    return;
  job->schedules = tly_realloc_array(job->schedules, schedule->count, sizeof *job->schedules);
  job->schedule_count = 0;
  job->attempt = 0;
  for (uint32_t i = 0; i < schedule->count; i++) {
    const struct entry *entry = &schedule->entries[i];
    int64_t minute = tly_cron_previous(&entry->cron, now_us);
    if (!has_views(schedule, i, job->views, false))
      continue;
    TLY_ASSERT(entry->is_taken);
    if (minute < entry->row.fired_at_us) /* the clock was put back: the minute stays what it was */
      minute = entry->row.fired_at_us;
    struct tly_schedule_row row = begun_row(entry, minute, now_us);
    job->schedules[job->schedule_count++] = row;
    job->attempt = row.attempts > job->attempt ? row.attempts : job->attempt;
    for (uint32_t v = 0; v < schedule->project->view_count; v++)
      if (schedule->of_view[v] == (int)i)
        job->fired_at_us[v] = minute;
  }
}

static enum tly_status remember(tly_run_schedule *schedule, struct entry *entry, struct tly_error *error) {
  schedule->has_changed = true;
  return tly_batch_store_set_schedule(schedule->store, &entry->row, error);
}

/* The row that the run's begin has written, and how it went. */
static enum tly_status end_scheduled(tly_run_schedule *schedule, const struct tly_schedule_row *begun, int64_t now_us,
                                     int64_t run, enum tly_schedule_end how, struct tly_error *error) {
  struct entry *entry = &schedule->entries[tly_run_schedule_find(schedule, begun->name)];
  bool goes_on = how == TLY_SCHEDULE_FAILED && begun->attempts < TLY_RUN_ATTEMPTS_MAX;
  entry->is_taken = false;
  entry->row.fired_at_us = begun->fired_at_us;
  entry->row.run = run;
  entry->row.attempts = how == TLY_SCHEDULE_FAILED ? begun->attempts : 0;
  entry->row.try_at_us = goes_on ? now_us + tly_run_retry_delay_us(begun->attempts) : 0;
  return remember(schedule, entry, error);
}

enum tly_status tly_run_schedule_ended(tly_run_schedule *schedule, int64_t now_us, const struct tly_run_job *job,
                                       int64_t run, enum tly_schedule_end how, struct tly_error *error) {
  for (uint32_t i = 0; i < job->schedule_count; i++)
    TLY_TRY(end_scheduled(schedule, &job->schedules[i], now_us, run, how, error));
  if (is_scheduled(job) || how != TLY_SCHEDULE_SERVED)
    return TLY_OK;
  for (uint32_t i = 0; i < schedule->count; i++) { /* what was to be tried again has been done by somebody */
    struct entry *entry = &schedule->entries[i];
    if (entry->row.attempts == 0 || entry->is_taken || !has_views(schedule, i, job->views, true))
      continue;
    entry->row.attempts = 0;
    entry->row.try_at_us = 0;
    TLY_TRY(remember(schedule, entry, error));
  }
  return TLY_OK;
}

enum tly_status tly_run_schedule_dropped(tly_run_schedule *schedule, const struct tly_run_job *job,
                                         struct tly_error *error) {
  if (!is_scheduled(job))
    return TLY_OK;
  for (uint32_t v = 0; v < schedule->project->view_count; v++) {
    if (!job->views[v])
      continue;
    struct entry *entry = &schedule->entries[schedule->of_view[v]];
    entry->is_taken = false;
    entry->row.fired_at_us = job->fired_at_us[v];
    entry->row.attempts = 0;
    entry->row.try_at_us = 0;
    TLY_TRY(remember(schedule, entry, error));
  }
  return TLY_OK;
}

/* ---- pause and resume -------------------------------------------------------------------------------------------- */

/* Nothing waits for this schedule any more. */
static void leave_queue(tly_run_schedule *schedule, uint32_t number, struct tly_run_queue *queue) {
  for (uint32_t i = 0; i < queue->count; i++) {
    struct tly_run_job *job = queue->jobs[i];
    if (!is_scheduled(job) || !has_views(schedule, number, job->views, false))
      continue;
    for (uint32_t v = 0; v < schedule->project->view_count; v++)
      if (schedule->of_view[v] == (int)number)
        job->views[v] = false;
    if (!tly_run_job_has_views(job, queue->view_count))
      tly_run_job_free(tly_run_queue_remove(queue, job->number));
    schedule->entries[number].is_taken = false;
    return;
  }
}

void tly_run_schedule_put_back(tly_run_schedule *schedule, struct tly_run_job *job, struct tly_run_queue *queue) {
  tly_run_queue_put_back(queue, job);
  for (uint32_t i = 0; i < schedule->count; i++)
    if (schedule->entries[i].row.paused_at_us != 0)
      leave_queue(schedule, i, queue);
}

enum tly_status tly_run_schedule_pause(tly_run_schedule *schedule, uint32_t number, int64_t now_us, const char *by,
                                       struct tly_run_queue *queue, struct tly_error *error) {
  struct entry *entry = &schedule->entries[number];
  if (entry->row.paused_at_us != 0)
    return TLY_OK;
  keep_pause(entry, now_us, by);
  leave_queue(schedule, number, queue);
  tly_log(TLY_LOG_INFO, "schedule paused", "schedule=%s by=\"%s\"", entry->row.name, by);
  return tly_batch_store_set_pause(schedule->store, &entry->row, error);
}

enum tly_status tly_run_schedule_resume(tly_run_schedule *schedule, uint32_t number, struct tly_error *error) {
  struct entry *entry = &schedule->entries[number];
  if (entry->row.paused_at_us == 0)
    return TLY_OK;
  keep_pause(entry, 0, NULL);
  schedule->has_changed = true;
  tly_log(TLY_LOG_INFO, "schedule resumed", "schedule=%s", entry->row.name);
  return tly_batch_store_set_pause(schedule->store, &entry->row, error);
}
