/* The child's side of a recompute: everything that takes long or much memory happens here, at low priority, so that a
 * crash or a memory bomb leaves the scheduler up. It writes nothing but its run's folder; the scheduler, which alone
 * writes batch.db, takes its word only with the manifest's hash.
 *
 * It begins before there is a run: definitions are read and stores opened, then it waits for a number on stdin. The end
 * of stdin means that there will be none. Of the archive it opens the index alone: who holds a file of events open
 * keeps its room on the disk, and this may wait for days. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "batch_layer/control_totals.h"
#include "batch_layer/recompute_reuse.h"
#include "batch_layer/reconcile.h"
#include "common/base/crash_point.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/sqlite/sqlite.h"
#include "common/store/batch_reader.h"
#include "common/store/run_reader.h"

enum { ORDER_BYTES_MAX = 32 };

/* What the child has open and holds. */
struct child {
  const struct tly_settings *settings;
  struct tly_project *project;
  tly_batch_reader *batch; /* these three: NULL when they could not be opened ahead */
  tly_archive_reader *archive;
  tly_speed_reader *speed;
  struct tly_arena arena;
  struct tly_cut cut;
  const struct tly_view **views;
  bool is_full;
  struct tly_run_base *bases; /* one a view; NULL when the run is a full one */
  uint32_t view_count;
  int lock;
  uint64_t last_done;
};

/* ---- words to the scheduler -------------------------------------------------------------------------------------- */

/* One line; a scheduler that is gone has taken us with it, so a failed write means nothing. */
static void say(json_t *line) {
  struct tly_buffer text = {0};
  char *json = json_dumps(line, JSON_COMPACT);
  json_decref(line);
  if (json == NULL)
    return;
  tly_buffer_print(&text, "%s\n", json);
  free(json);
  ssize_t written = write(STDOUT_FILENO, text.data, text.size);
  (void)written;
  tly_buffer_free(&text);
}

static void say_progress(struct child *child, const char *stage, uint64_t done, uint64_t all) {
  if (done == child->last_done)
    return;
  child->last_done = done;
  say(json_pack("{s:s, s:I, s:I}", "stage", stage, "done", (json_int_t)done, "all", (json_int_t)all));
}

static void say_folded(void *context, uint64_t done, uint64_t all) {
  say_progress(context, "recompute", done, all);
}

static void say_compared(void *context, uint64_t done, uint64_t all) {
  say_progress(context, "reconcile", done, all);
}

static void say_checked(void *context, uint64_t done, uint64_t all) {
  say_progress(context, "check", done, all);
}

static void say_error(const struct tly_error *error) {
  size_t size = strlen(error->message);
  while (size > 0 && !tly_text_is_valid(error->message, size))
    size--;
  say(json_pack("{s:{s:s, s:o}}", "error", "sqlstate", tly_status_sqlstate(error->status), "message",
                json_stringn(error->message, size)));
}

/* ---- what to do -------------------------------------------------------------------------------------------------- */

/* The views of the run as batch.db has them, under the definitions it has. */
static enum tly_status find_views(struct child *child, const struct tly_run *run, struct tly_error *error) {
  child->views = (const struct tly_view **)TLY_ARENA_ARRAY(&child->arena, const struct tly_view *, run->view_count);
  for (uint32_t i = 0; i < run->view_count; i++) {
    const struct tly_view *view = tly_project_view(child->project, run->views[i].view);
    if (view == NULL || memcmp(&view->hash, &run->views[i].definition_hash, sizeof view->hash) != 0)
      return TLY_FAIL(error, TLY_E_CONFIG, "view %s was changed while run %" PRId64 " began", run->views[i].view,
                      run->id);
    child->views[child->view_count++] = view;
  }
  return TLY_OK;
}

/* A store that is not there yet is opened, or missed, by the run that needs it. */
static void open_stores(struct child *child) {
  const char *directory = child->settings->directory;
  if (tly_batch_reader_open(directory, child->project, &child->batch, NULL) != TLY_OK)
    child->batch = NULL;
  if (tly_archive_reader_open(directory, child->project, &child->archive, NULL) != TLY_OK)
    child->archive = NULL;
  if (tly_speed_reader_open(directory, child->project, &child->speed, NULL) != TLY_OK)
    child->speed = NULL;
}

static void close_stores(struct child *child) {
  tly_batch_reader_close(child->batch);
  tly_archive_reader_close(child->archive);
  tly_speed_reader_close(child->speed);
}

/* What earlier runs have left. It is done here since nobody waits for it, and no other recompute can be at work. */
static void tidy(const struct child *child) {
  struct tly_error error;
  if (child->batch != NULL &&
      tly_recompute_tidy_partials(child->settings->directory, child->project, child->batch, &error) != TLY_OK)
    tly_log(TLY_LOG_WARN, "partial results not tidied", "error=\"%s\"", error.message);
}

/* The number of the run that is wanted, a line on stdin; 0: none will be. */
static int64_t wait_for_run(void) {
  char order[ORDER_BYTES_MAX] = {0};
  ssize_t size;
  do
    size = read(STDIN_FILENO, order, sizeof order - 1);
  while (size < 0 && errno == EINTR);
  return size > 0 && order[size - 1] == '\n' ? strtoll(order, NULL, 10) : 0;
}

static enum tly_status find_run(struct child *child, int64_t number, struct tly_error *error) {
  struct tly_run run;
  if (child->batch == NULL)
    TLY_TRY(tly_batch_reader_open(child->settings->directory, child->project, &child->batch, error));
  TLY_TRY(tly_batch_reader_run(child->batch, number, &child->arena, &run, error));
  if (strcmp(run.state, "running") != 0)
    return TLY_FAIL(error, TLY_E_CONFIG, "run %" PRId64 " is %s, not running", number, run.state);
  /* The cut as batch.db recorded it when the run began: the archive is checked against it, block by block. */
  child->cut = (struct tly_cut){.number = number, .positions = run.positions, .position_count = run.position_count};
  TLY_TRY(find_views(child, &run, error));
  child->is_full = run.is_full;
  if (child->is_full)
    return TLY_OK;
  child->bases = TLY_ARENA_ARRAY(&child->arena, struct tly_run_base, child->view_count);
  return tly_recompute_find_bases(child->batch, child->views, child->view_count, child->bases, error);
}

/* A run that batch.db calls ready must be there after a power cut too: the folder's own name is synced like its files.
 */
static enum tly_status make_folder(struct child *child, const char *folder, struct tly_error *error) {
  struct tly_buffer path = {0};
  tly_buffer_print(&path, "%s/runs", child->settings->directory);
  bool is_first = !tly_file_exists(tly_buffer_text(&path));
  enum tly_status status = TLY_OK;
  if (tly_file_exists(folder))
    status = TLY_FAIL(error, TLY_E_IN_USE, "%s is there already, and no run of ours", folder);
  if (status == TLY_OK)
    status = tly_file_make_folder(folder, error);
  if (status == TLY_OK)
    status = tly_file_sync_folder(tly_buffer_text(&path), error);
  if (status == TLY_OK && is_first)
    status = tly_file_sync_folder(child->settings->directory, error);
  tly_buffer_clear(&path);
  tly_buffer_print(&path, "%s/lock", folder);
  if (status == TLY_OK)
    status = tly_file_lock(tly_buffer_text(&path), true, &child->lock, error);
  tly_buffer_free(&path);
  return status;
}

static uint32_t thread_count(const struct tly_settings *settings) {
  long wanted = settings->recompute_threads > 0 ? settings->recompute_threads : sysconf(_SC_NPROCESSORS_ONLN);
  return wanted < 1 ? 1 : wanted > TLY_RECOMPUTE_THREADS_MAX ? TLY_RECOMPUTE_THREADS_MAX : (uint32_t)wanted;
}

/* A thread that has too little room spills after every block, so each gets enough to be of use. */
static size_t group_bytes(uint32_t threads) {
  size_t bytes = (size_t)threads * TLY_RECOMPUTE_THREAD_BYTES;
  return bytes > TLY_RECOMPUTE_BYTES ? bytes : TLY_RECOMPUTE_BYTES;
}

/* A test's wish; 0: none. */
static uint64_t partial_events(void) {
  const char *text = getenv("TALLY_PARTIAL_EVENTS");
  return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static int drift_wait_ms(void) {
  const char *text = getenv("TALLY_DRIFT_WAIT_MS");
  return text != NULL ? atoi(text) : TLY_DRIFT_WAIT_MS;
}

/* What decides whether the run goes live: it must agree with the live totals, and the checks of its views must hold.
 * Both read its files. */
static enum tly_status control(struct child *child, struct tly_run_result *result, struct tly_error *error) {
  const char *directory = child->settings->directory;
  struct tly_reconcile_job drift = {.directory = directory,
                                    .project = child->project,
                                    .cut = &child->cut,
                                    .views = child->views,
                                    .view_count = child->view_count,
                                    .speed = child->speed,
                                    .wait_ms = drift_wait_ms(),
                                    .progress = say_compared,
                                    .context = child};
  struct tly_control_totals_job checks = {.directory = directory,
                                          .run = child->cut.number,
                                          .views = child->views,
                                          .view_count = child->view_count,
                                          .progress = say_checked,
                                          .context = child};
  const char *reused = result->note;
  result->note = NULL;
  child->last_done = 0;
  child->speed = NULL; /* it is the drift check's now */
  tly_reconcile(&drift, &child->arena, result);
  if (result->note != NULL)
    tly_log(TLY_LOG_WARN, "drift not known", "run=%" PRId64 " note=\"%s\"", child->cut.number, result->note);
  if (reused != NULL)
    result->note = result->note != NULL ? tly_arena_print(&child->arena, "%s; %s", reused, result->note) : reused;
  child->last_done = 0;
  return tly_control_totals(&checks, &child->arena, result, error);
}

/* Files, then the control totals, then the manifest. */
static enum tly_status compute(struct child *child, const char *folder, struct tly_hash *manifest,
                               struct tly_error *error) {
  struct tly_run_result result;
  uint32_t threads = thread_count(child->settings);
  struct tly_recompute_job job = {.directory = child->settings->directory,
                                  .project = child->project,
                                  .cut = &child->cut,
                                  .views = child->views,
                                  .view_count = child->view_count,
                                  .bases = child->bases,
                                  .is_full = child->is_full,
                                  .partial_events = partial_events(),
                                  .threads = threads,
                                  .group_bytes_max = group_bytes(threads),
                                  .archive = child->archive,
                                  .progress = say_folded,
                                  .context = child};
  TLY_TRY(tly_recompute(&job, &child->arena, &result, error));
  if (flock(child->lock, LOCK_SH) != 0) /* from now on the run may be read, first of all by ourselves */
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not share the lock of \"%s\"", folder);
  TLY_TRY(control(child, &result, error));
  TLY_TRY(tly_manifest_write(folder, &result, manifest, error));
  tly_crash_point("recompute.after_manifest");
  return TLY_OK;
}

static enum tly_status run_child(struct child *child, int64_t number, struct tly_hash *manifest,
                                 struct tly_error *error) {
  struct tly_buffer folder = {0};
  TLY_TRY(find_run(child, number, error));
  tly_buffer_print(&folder, "%s/runs/%" PRId64, child->settings->directory, number);
  enum tly_status status = make_folder(child, tly_buffer_text(&folder), error);
  if (status == TLY_OK)
    status = compute(child, tly_buffer_text(&folder), manifest, error);
  tly_buffer_free(&folder);
  return status;
}

static void say_last_word(int64_t run, enum tly_status status, const struct tly_hash *manifest,
                          const struct tly_error *error) {
  char text[33];
  if (status == TLY_OK) {
    tly_run_hash_print(manifest, text);
    say(json_pack("{s:s}", "manifest", text));
  } else {
    tly_log(TLY_LOG_ERROR, "recompute failed", "run=%" PRId64 " error=\"%s\"", run, error->message);
    say_error(error);
  }
}

int tly_recompute_main(const struct tly_settings *settings) {
  struct child child = {.settings = settings, .lock = -1};
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_hash manifest;
  int64_t run = 0;
  tly_process_setup("recompute", true);
  tly_sqlite_setup();
  tly_arena_init(&child.arena);
  enum tly_status status = tly_project_load_or_complain(settings->project, &child.project, &error);
  if (status == TLY_OK) {
    open_stores(&child);
    tidy(&child);
    run = wait_for_run();
    if (run > 0)
      status = run_child(&child, run, &manifest, &error);
  }
  if (run > 0 || status != TLY_OK)
    say_last_word(run, status, &manifest, &error);
  if (child.lock >= 0)
    close(child.lock);
  close_stores(&child);
  tly_arena_free(&child.arena);
  if (child.project != NULL)
    tly_project_free(child.project);
  return status == TLY_OK ? 0 : 1;
}
