#include "serving_layer/report.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/base/assert.h"
#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/sql/cron.h"
#include "common/store/fact_json.h"
#include "serving_layer/batch_queue.h"
#include "serving_layer/break_report.h"
#include "serving_layer/store_facts.h"

enum { RUNS_SHOWN = 20, RUNS_SHOWN_MAX = 1000, FOLDER_DEPTH_MAX = 4 };

/* ---- runs -------------------------------------------------------------------------------------------------------- */

/* Milliseconds, and events that were folded in a second, of a run that has ended. */
static void add_speed(const struct tly_run *run, json_t *out) {
  int64_t us = run->finished_at_us - run->started_at_us;
  bool is_known = run->finished_at_us > 0 && us > 0;
  json_object_set_new(out, "duration_ms", is_known ? json_integer(us / 1000) : json_null());
  json_object_set_new(out, "events_per_second",
                      is_known && run->events >= 0
                          ? json_integer((json_int_t)((double)(run->events - run->reused) * 1e6 / (double)us))
                          : json_null());
}

/* The keys that differed, with both values: [{"view":..,"key":[..],"live":{..},"recomputed":{..},"explanation":{..}}].
 */
static enum tly_status add_drift_rows(tly_batch_reader *batch, const struct tly_run *run, struct tly_arena *arena,
                                      json_t *out, struct tly_error *error) {
  struct tly_drift_row *rows;
  uint32_t count;
  if (run->drift <= 0)
    return TLY_OK;
  TLY_TRY(tly_batch_reader_drift(batch, run->id, arena, &rows, &count, error));
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++) {
    const char *live = rows[i].live != NULL ? rows[i].live : "null";
    const char *recomputed = rows[i].recomputed != NULL ? rows[i].recomputed : "null";
    const char *explanation = rows[i].explanation != NULL ? rows[i].explanation : "null";
    json_array_append_new(list, json_pack("{s:s,s:o?,s:o?,s:o?,s:o?}", "view", rows[i].view, "key",
                                          json_loads(rows[i].key, JSON_DECODE_ANY, NULL), "live",
                                          json_loads(live, JSON_DECODE_ANY, NULL), "recomputed",
                                          json_loads(recomputed, JSON_DECODE_ANY, NULL), "explanation",
                                          json_loads(explanation, JSON_DECODE_ANY, NULL)));
  }
  json_object_set_new(out, "drift_rows", list);
  return TLY_OK;
}

/* The control totals of the run's views, if they have any: [{"view":..,"check":..,"verdict":..,"found":..}]. */
static void add_checks(const struct tly_run *run, json_t *out) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < run->view_count; i++)
    if (run->views[i].check != NULL)
      json_array_append_new(list,
                            json_pack("{s:s,s:s,s:s,s:s}", "view", run->views[i].view, "check", run->views[i].check,
                                      "verdict", run->views[i].verdict, "found", run->views[i].found));
  if (json_array_size(list) > 0)
    json_object_set(out, "checks", list);
  json_decref(list);
}

/* Who let a held run go live, when and why; null: nobody. */
static json_t *released_json(const struct tly_run *run) {
  if (run->released_at_us == 0)
    return json_null();
  return json_pack("{s:s,s:o,s:s}", "by", run->released_by, "at", tly_time_json(run->released_at_us), "reason",
                   run->released_reason);
}

/* For which views the run is not shown again: [{"view":..,"at":..,"by":..,"reason":..}], or null. */
static json_t *rejected_json(const struct tly_run *run) {
  json_t *list = NULL;
  for (uint32_t i = 0; i < run->view_count; i++) {
    const struct tly_rollback *rollback = run->views[i].rollback;
    if (rollback == NULL)
      continue;
    if (list == NULL)
      list = json_array();
    json_array_append_new(list,
                          json_pack("{s:s,s:o,s:s,s:s}", "view", run->views[i].view, "at",
                                    tly_time_json(rollback->at_us), "by", rollback->by, "reason", rollback->reason));
  }
  return list != NULL ? list : json_null();
}

static json_t *run_json(const struct tly_run *run) {
  json_t *out = json_object();
  json_t *views = json_array();
  int64_t set_aside = 0, groups = 0, scheduled_at_us = 0;
  for (uint32_t i = 0; i < run->view_count; i++) {
    json_array_append_new(views, json_string(run->views[i].view));
    set_aside += run->views[i].set_aside > 0 ? run->views[i].set_aside : 0;
    groups += run->views[i].groups > 0 ? run->views[i].groups : 0;
    if (scheduled_at_us == 0 || (run->views[i].scheduled_at_us != 0 && run->views[i].scheduled_at_us < scheduled_at_us))
      scheduled_at_us = run->views[i].scheduled_at_us;
  }
  json_object_set_new(out, "run", json_integer(run->id));
  json_object_set_new(out, "state", json_string(run->state));
  json_object_set_new(out, "reason", json_string(run->reason));
  json_object_set_new(out, "job", tly_text_json(run->job));
  json_object_set_new(out, "views", views);
  json_object_set_new(out, "scheduled_at", tly_time_json(scheduled_at_us));
  json_object_set_new(out, "attempt", run->attempt > 0 ? json_integer(run->attempt) : json_null());
  json_object_set_new(out, "started_at", tly_time_json(run->started_at_us));
  json_object_set_new(out, "finished_at", tly_time_json(run->finished_at_us));
  add_speed(run, out);
  json_object_set_new(out, "cut", tly_positions_json(run->positions, run->position_count));
  json_object_set_new(out, "events", tly_count_json(run->events));
  json_object_set_new(out, "reused", tly_count_json(run->reused));
  json_object_set_new(out, "full", json_boolean(run->is_full));
  json_object_set_new(out, "groups", json_integer(groups));
  json_object_set_new(out, "drift", tly_count_json(run->drift));
  json_object_set_new(out, "set_aside", json_integer(set_aside));
  json_object_set_new(out, "error", tly_text_json(run->error));
  json_object_set_new(out, "sqlstate", tly_text_json(run->sqlstate));
  json_object_set_new(out, "note", tly_text_json(run->note));
  json_object_set_new(out, "hold", tly_text_json(run->hold));
  json_object_set_new(out, "released", released_json(run));
  add_checks(run, out);
  json_object_set_new(out, "rejected", rejected_json(run));
  return out;
}

static enum tly_status runs_json(tly_store_source *source, uint32_t max, json_t **out, struct tly_error *error) {
  struct tly_arena arena;
  tly_batch_reader *batch;
  struct tly_run *runs;
  uint32_t count;
  *out = json_array();
  tly_arena_init(&arena);
  enum tly_status status = tly_facts_batch(source, &batch, error);
  if (status == TLY_OK)
    status = tly_facts_runs(source, INT64_MAX, max, &arena, &runs, &count, error);
  for (uint32_t i = 0; status == TLY_OK && i < count; i++) {
    json_t *run = run_json(&runs[i]);
    json_array_append_new(*out, run);
    status = add_drift_rows(batch, &runs[i], &arena, run, error);
  }
  tly_arena_free(&arena);
  return status;
}

static enum tly_status report_runs(tly_store_source *source, const struct tly_settings *settings, const json_t *params,
                                   json_t *out, struct tly_error *error) {
  int64_t max = RUNS_SHOWN;
  json_t *runs;
  TLY_TRY(tly_param_integer(params, "max", &max, error));
  if (max < 1 || max > RUNS_SHOWN_MAX)
    return TLY_FAIL(error, TLY_E_INVALID_PARAMETER, "\"max\" must be from 1 to %d", RUNS_SHOWN_MAX);
  tly_batch_queue(settings->directory, out); /* first: what ends meanwhile is in the list */
  enum tly_status status = runs_json(source, (uint32_t)max, &runs, error);
  json_object_set_new(out, "runs", runs);
  return status;
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

/* When the view is due, or since when it is not. */
static void add_schedule(const struct tly_view *view, const struct tly_schedule_row *schedule, json_t *out) {
  struct tly_cron cron;
  int64_t next = INT64_MAX;
  bool is_paused = schedule != NULL && schedule->paused_at_us != 0;
  if (view->recompute != NULL && !is_paused && tly_cron_of_view(view, &cron, NULL) == TLY_OK)
    next = tly_cron_next(&cron, tly_clock_now_us(&tly_clock_real));
  json_object_set_new(out, "job", tly_text_json(view->job));
  json_object_set_new(out, "recompute", tly_text_json(view->recompute));
  json_object_set_new(out, "time_zone", tly_text_json(view->time_zone));
  json_object_set_new(out, "next_at", next != INT64_MAX ? tly_time_json(next) : json_null());
  json_object_set_new(out, "paused_at", is_paused ? tly_time_json(schedule->paused_at_us) : json_null());
  json_object_set_new(out, "paused_by", is_paused ? tly_text_json(schedule->paused_by) : json_null());
  json_object_set_new(out, "reconcile", tly_text_json(view->reconcile));
  json_object_set_new(out, "reconcile_with", tly_text_json(view->reconcile_with));
}

static json_t *view_json(const struct tly_view_facts *facts) {
  const struct tly_view *view = facts->view;
  const struct tly_published *published = &facts->published;
  const struct tly_run_view *run = &facts->run;
  json_t *out = json_object();
  json_object_set_new(out, "view", json_string(view->name));
  json_object_set_new(out, "stream", json_string(view->stream->name));
  json_object_set_new(out, "state", json_string(published->is_ready ? "ready" : "building"));
  json_object_set_new(out, "definition", tly_hash_json(&view->hash));
  json_object_set_new(out, "run", published->run > 0 ? json_integer(published->run) : json_null());
  json_object_set_new(out, "cut", published->cut > 0 ? json_integer(published->cut) : json_null());
  json_object_set_new(out, "groups", tly_count_json(run->groups));
  json_object_set_new(out, "folded", json_integer(run->folded + (int64_t)published->live_folded));
  json_object_set_new(out, "filtered", json_integer(run->filtered + (int64_t)published->live_filtered));
  json_object_set_new(out, "set_aside", json_integer(run->set_aside + (int64_t)published->live_set_aside));
  json_object_set_new(out, "check", tly_text_json(view->check != NULL ? view->check->text : NULL));
  json_object_set_new(out, "held", facts->held > 0 ? json_integer(facts->held) : json_null());
  add_schedule(view, facts->schedule, out);
  return out;
}

static enum tly_status report_views(tly_store_source *source, const struct tly_project *project, json_t *out,
                                    struct tly_error *error) {
  struct tly_view_facts *facts;
  struct tly_arena arena;
  tly_speed_reader *speed;
  json_t *views = json_array();
  json_object_set_new(out, "views", views);
  TLY_TRY(tly_facts_begin(source, &speed, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_facts_views(source, project, speed, &arena, &facts, error);
  if (speed != NULL)
    tly_speed_snapshot_end(speed);
  for (uint32_t i = 0; status == TLY_OK && i < project->view_count; i++)
    json_array_append_new(views, view_json(&facts[i]));
  tly_arena_free(&arena);
  return status;
}

/* ---- status: streams --------------------------------------------------------------------------------------------- */

static json_t *partition_json(const struct tly_partition_facts *facts) {
  json_t *row = json_object();
  json_object_set_new(row, "stream", json_string(facts->stream->name));
  json_object_set_new(row, "format", json_string(facts->stream->format == TLY_FORMAT_CSV ? "csv" : "json"));
  json_object_set_new(row, "partition", json_integer(facts->partition));
  json_object_set_new(row, "archived", json_integer(facts->archived));
  json_object_set_new(row, "folded", json_integer(facts->folded));
  json_object_set_new(row, "lag", json_integer(tly_partition_lag(facts)));
  return row;
}

static enum tly_status streams_json(tly_store_source *source, const struct tly_project *project, json_t *out,
                                    struct tly_error *error) {
  struct tly_partition_facts *partitions;
  struct tly_arena arena;
  tly_speed_reader *speed;
  uint32_t count = 0;
  TLY_TRY(tly_facts_begin(source, &speed, error));
  tly_arena_init(&arena);
  enum tly_status status = tly_facts_partitions(source, project, speed, &arena, &partitions, &count, error);
  if (speed != NULL)
    tly_speed_snapshot_end(speed);
  for (uint32_t i = 0; status == TLY_OK && i < count; i++)
    json_array_append_new(out, partition_json(&partitions[i]));
  tly_arena_free(&arena);
  return status;
}

/* ---- status: processes ------------------------------------------------------------------------------------------- */

/* The process that holds DIR/lock.<name>, from the kernel's list: asking for the lock ourselves could keep it from the
 * process that starts just now. 0: nobody. */
static long holder_of(const char *directory, const char *name) {
  char path[4096], line[256], wanted[64];
  struct stat info;
  long pid = 0;
  if (snprintf(path, sizeof path, "%s/lock.%s", directory, name) >= (int)sizeof path || stat(path, &info) != 0)
    return 0;
  snprintf(wanted, sizeof wanted, " %02x:%02x:%llu ", major(info.st_dev), minor(info.st_dev),
           (unsigned long long)info.st_ino);
  FILE *locks = fopen("/proc/locks", "r");
  while (locks != NULL && fgets(line, sizeof line, locks) != NULL) {
    const char *write = strstr(line, " WRITE ");
    if (strstr(line, " FLOCK ") != NULL && write != NULL && strstr(line, wanted) != NULL)
      pid = strtol(write + strlen(" WRITE "), NULL, 10);
  }
  if (locks != NULL)
    fclose(locks);
  return pid;
}

static void processes_json(const char *directory, json_t *out) {
  static const char *const names[] = {"archiver", "batch", "speed", "serve"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    long pid = holder_of(directory, names[i]);
    json_array_append_new(out, json_pack("{s:s,s:b,s:o}", "process", names[i], "running", pid != 0, "pid",
                                         pid != 0 ? json_integer(pid) : json_null()));
  }
}

/* ---- status: sizes ----------------------------------------------------------------------------------------------- */

static int64_t folder_bytes(const char *path, const char *prefix, int depth) {
  DIR *folder = depth > 0 ? opendir(path) : NULL;
  struct dirent *entry;
  int64_t bytes = 0;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    char name[4096];
    struct stat info;
    if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
      continue;
    if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= (int)sizeof name || lstat(name, &info) != 0)
      continue;
    if (S_ISDIR(info.st_mode))
      bytes += folder_bytes(name, "", depth - 1);
    else if (S_ISREG(info.st_mode))
      bytes += info.st_size;
  }
  if (folder != NULL)
    closedir(folder);
  return bytes;
}

static void sizes_json(const char *directory, json_t *out) {
  static const char *const stores[][2] = {
      {"archive", "archive"}, {"runs", "runs"}, {"speed", "speed-"}, {"batch", "batch.db"}};
  for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
    json_array_append_new(out, json_pack("{s:s,s:I}", "store", stores[i][0], "bytes",
                                         (json_int_t)folder_bytes(directory, stores[i][1], FOLDER_DEPTH_MAX)));
}

static enum tly_status report_status(tly_store_source *source, const struct tly_project *project,
                                     const struct tly_settings *settings, json_t *out, struct tly_error *error) {
  json_t *streams = json_array(), *processes = json_array(), *sizes = json_array(), *runs;
  json_object_set_new(out, "version", json_string(TALLY_VERSION));
  json_object_set_new(out, "streams", streams);
  json_object_set_new(out, "processes", processes);
  json_object_set_new(out, "sizes", sizes);
  TLY_TRY(streams_json(source, project, streams, error));
  processes_json(settings->directory, processes);
  sizes_json(settings->directory, sizes);
  enum tly_status status = runs_json(source, 5, &runs, error);
  json_object_set_new(out, "runs", runs);
  return status;
}

enum tly_status tly_report(tly_store_source *source, const struct tly_programs *programs,
                           const struct tly_settings *settings, const struct tly_request *request, json_t **out,
                           struct tly_error *error) {
  enum tly_status status;
  *out = json_object();
  switch (request->method) {
  case TLY_METHOD_RUNS: status = report_runs(source, settings, request->params, *out, error); break;
  case TLY_METHOD_VIEWS: status = report_views(source, programs->project, *out, error); break;
  case TLY_METHOD_STATUS: status = report_status(source, programs->project, settings, *out, error); break;
  case TLY_METHOD_BREAKS: status = tly_report_breaks(source, request->params, *out, error); break;
  case TLY_METHOD_RECONCILIATIONS: status = tly_report_reconciliations(source, request->params, *out, error); break;
  default: TLY_UNREACHABLE();
  }
  if (status == TLY_OK)
    return TLY_OK;
  json_decref(*out);
  *out = NULL;
  return status;
}
