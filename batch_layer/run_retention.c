#include "batch_layer/run_retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/crash_point.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum { PATH_BYTES = 4096 };

static bool is_held(const struct tly_run *run) {
  return strcmp(run->state, "held") == 0;
}

/* How many runs newer than `run` have the view, and count against it: of a rejected run's those that are rejected for
 * it too, of another one's those that are not; and of a ready run's no held ones, so that however many are held, a run
 * to stand on is not lost. */
static uint32_t newer_runs(const struct tly_run *runs, uint32_t count, const struct tly_run *run,
                           const struct tly_run_view *view) {
  uint32_t newer = 0;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t v = 0; runs[i].id > run->id && v < runs[i].view_count; v++)
      if (strcmp(runs[i].views[v].view, view->view) == 0 &&
          (runs[i].views[v].rollback == NULL) == (view->rollback == NULL) && (is_held(run) || !is_held(&runs[i])))
        newer++;
  return newer;
}

static bool is_kept(const struct tly_run_retention *retention, const struct tly_run *runs, uint32_t count,
                    const struct tly_run *run, const int64_t *published) {
  const struct tly_project *project = retention->project;
  for (uint32_t v = 0; v < project->view_count; v++)
    if (published[v] == run->id)
      return true;
  for (uint32_t v = 0; v < run->view_count; v++)
    if (tly_project_view(project, run->views[v].view) != NULL &&
        newer_runs(runs, count, run, &run->views[v]) < retention->keep_runs)
      return true;
  return false;
}

static enum tly_status withdraw_old(const struct tly_run_retention *retention, const int64_t *published,
                                    struct tly_error *error) {
  struct tly_arena arena;
  struct tly_run *runs;
  uint32_t count;
  tly_arena_init(&arena);
  enum tly_status status = tly_batch_reader_kept(retention->reader, &arena, &runs, &count, error);
  for (uint32_t i = 0; status == TLY_OK && i < count; i++) {
    if (is_kept(retention, runs, count, &runs[i], published))
      continue;
    status = tly_batch_store_withdraw(retention->store, runs[i].id, error);
    tly_crash_point("retention.after_withdraw");
  }
  tly_arena_free(&arena);
  return status;
}

enum tly_status tly_run_remove_folder(const char *directory, int64_t run, struct tly_error *error) {
  char path[PATH_BYTES];
  int lock = -1;
  snprintf(path, sizeof path, "%s/runs/%" PRId64 "/lock", directory, run);
  if (tly_file_exists(path)) {
    enum tly_status status = tly_file_lock(path, true, &lock, error);
    if (status == TLY_E_IN_USE)
      return TLY_OK; /* somebody still reads it: next time */
    if (status != TLY_OK)
      return status;
  }
  snprintf(path, sizeof path, "%s/runs/%" PRId64, directory, run);
  enum tly_status status = tly_file_remove_tree(path, error);
  if (lock >= 0)
    close(lock);
  return status;
}

static bool has_manifest(const char *directory, int64_t run) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/runs/%" PRId64 "/manifest.json", directory, run);
  return tly_file_exists(path);
}

/* A folder that cannot be removed now is met again at the next run. */
static void remove_or_warn(const struct tly_run_retention *retention, int64_t run) {
  struct tly_error error;
  if (tly_run_remove_folder(retention->directory, run, &error) != TLY_OK)
    tly_log(TLY_LOG_WARN, "folder not removed", "run=%" PRId64 " error=\"%s\"", run, error.message);
}

static enum tly_status clean_folder(const struct tly_run_retention *retention, const char *name,
                                    struct tly_arena *arena, struct tly_error *error) {
  char *end;
  int64_t number = strtoll(name, &end, 10);
  struct tly_run run = {.state = "unknown"};
  if (*name != 0 && *end == 0 && number > 0) {
    enum tly_status status = tly_batch_reader_run(retention->reader, number, arena, &run, error);
    if (status != TLY_OK && status != TLY_E_UNDEFINED_OBJECT)
      return status;
  }
  bool is_attempt = strcmp(run.state, "failed") == 0 && !has_manifest(retention->directory, number);
  if (strcmp(run.state, "withdrawn") == 0 || is_attempt)
    remove_or_warn(retention, number);
  else if (strcmp(run.state, "failed") == 0 || run.id == 0)
    tly_log(TLY_LOG_WARN, "folder of no use", "folder=\"%s/runs/%s\" run=%s", retention->directory, name, run.state);
  return TLY_OK;
}

static enum tly_status clean_folders(const struct tly_run_retention *retention, struct tly_error *error) {
  char path[PATH_BYTES];
  char **names;
  size_t count;
  struct tly_arena arena;
  snprintf(path, sizeof path, "%s/runs", retention->directory);
  if (!tly_file_exists(path))
    return TLY_OK;
  TLY_TRY(tly_file_list(path, "", &names, &count, error));
  tly_arena_init(&arena);
  enum tly_status status = TLY_OK;
  for (size_t i = 0; status == TLY_OK && i < count; i++)
    status = clean_folder(retention, names[i], &arena, error);
  tly_arena_free(&arena);
  tly_file_list_free(names, count);
  return status;
}

enum tly_status tly_run_retention_apply(const struct tly_run_retention *retention, const int64_t *published,
                                        struct tly_error *error) {
  TLY_TRY(withdraw_old(retention, published, error));
  return clean_folders(retention, error);
}
