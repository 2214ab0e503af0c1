/* tally run: start the four processes, restart one that dies, pass signals on.
 *
 * The supervisor holds no data and opens no store. It copies the definitions to DIR/definitions, so that a process that
 * is restarted later reads what the others run on, even if somebody edits the project meanwhile. A child that dies is
 * started again after a pause that doubles from 50 ms to 5 s and falls back once the child was up for 10 s. A child
 * writes "ready" into its pipe when it answers; when all have done so once, `ready` is printed on stdout. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "cli/command.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum { CHILD_COUNT = 4, PAUSE_MS_MIN = 50, PAUSE_MS_MAX = 5000, STEADY_MS = 10000, STOP_MS = 15000, NUMBER_SIZE = 24 };

struct supervisor;

struct child {
  struct supervisor *supervisor;
  const char *name;
  uv_process_t process;
  uv_pipe_t ready_pipe;
  uv_timer_t restart_timer;
  bool is_running, is_ready;
  int open_handles; /* of process and pipe: both must be closed before the next start */
  uint64_t started_at_ms;
  unsigned pause_ms;
  char read_space[16];
};

struct supervisor {
  uv_loop_t loop;
  const struct tly_settings *settings;
  char definitions[4096];
  struct child children[CHILD_COUNT];
  uv_signal_t signals[2];
  uv_timer_t stop_timer;
  bool is_stopping, told_ready;
  int exit_code;
};

static void start_child(struct child *child);

static bool all(const struct supervisor *supervisor, bool (*is)(const struct child *child)) {
  for (int i = 0; i < CHILD_COUNT; i++)
    if (!is(&supervisor->children[i]))
      return false;
  return true;
}

static bool is_ready(const struct child *child) {
  return child->is_ready;
}

static bool is_gone(const struct child *child) {
  return !child->is_running;
}

static void close_everything(struct supervisor *supervisor) {
  for (int i = 0; i < 2; i++)
    uv_close((uv_handle_t *)&supervisor->signals[i], NULL);
  uv_close((uv_handle_t *)&supervisor->stop_timer, NULL);
  for (int i = 0; i < CHILD_COUNT; i++)
    uv_close((uv_handle_t *)&supervisor->children[i].restart_timer, NULL);
}

/* ---- a child's life ---------------------------------------------------------------------------------------------- */

static void on_restart_timer(uv_timer_t *timer) {
  start_child(timer->data);
}

static void plan_restart(struct child *child) {
  uint64_t up_ms = uv_now(&child->supervisor->loop) - child->started_at_ms;
  if (up_ms >= STEADY_MS)
    child->pause_ms = PAUSE_MS_MIN;
  uv_timer_start(&child->restart_timer, on_restart_timer, child->pause_ms, 0);
  child->pause_ms = child->pause_ms * 2 < PAUSE_MS_MAX ? child->pause_ms * 2 : PAUSE_MS_MAX;
}

static void on_handle_closed(uv_handle_t *handle) {
  struct child *child = handle->data;
  struct supervisor *supervisor = child->supervisor;
  if (--child->open_handles > 0)
    return;
  child->is_running = false;
  if (!supervisor->is_stopping)
    plan_restart(child);
  else if (all(supervisor, is_gone))
    close_everything(supervisor);
}

static void on_child_exit(uv_process_t *process, int64_t code, int signal_number) {
  struct child *child = process->data;
  if (!child->supervisor->is_stopping)
    tly_log(TLY_LOG_WARN, "a process ended and is started again", "child=%s exit=%lld signal=%d pause_ms=%u",
            child->name, (long long)code, signal_number, child->pause_ms);
  uv_close((uv_handle_t *)process, on_handle_closed);
  uv_close((uv_handle_t *)&child->ready_pipe, on_handle_closed);
}

static void give_read_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out) {
  struct child *child = handle->data;
  (void)wanted;
  *out = uv_buf_init(child->read_space, sizeof child->read_space);
}

static void on_ready(uv_stream_t *stream, ssize_t size, const uv_buf_t *bytes) {
  struct child *child = stream->data;
  struct supervisor *supervisor = child->supervisor;
  (void)bytes;
  if (size <= 0) {
    uv_read_stop(stream);
    return;
  }
  child->is_ready = true;
  if (supervisor->told_ready || !all(supervisor, is_ready))
    return;
  supervisor->told_ready = true;
  puts("ready");
  fflush(stdout);
}

/* argv of `tally <name> DIR/definitions --data DIR ...` with every setting spelled, so that the child needs no file. */
static void spawn(struct child *child, uv_process_options_t *options) {
  const struct tly_settings *settings = child->supervisor->settings;
  char numbers[6][NUMBER_SIZE];
  snprintf(numbers[0], NUMBER_SIZE, "%d", settings->recompute_threads);
  snprintf(numbers[1], NUMBER_SIZE, "%d", settings->query_timeout_ms);
  snprintf(numbers[2], NUMBER_SIZE, "%d", settings->query_memory_bytes);
  snprintf(numbers[3], NUMBER_SIZE, "%d", settings->keep_runs);
  snprintf(numbers[4], NUMBER_SIZE, "%lld", (long long)settings->seal_bytes);
  snprintf(numbers[5], NUMBER_SIZE, "%lld", (long long)settings->seal_age_s);
  const char *arguments[] = {settings->program,
                             child->name,
                             child->supervisor->definitions,
                             "--data",
                             settings->directory,
                             "--recompute-threads",
                             numbers[0],
                             "--query-timeout-ms",
                             numbers[1],
                             "--query-memory-bytes",
                             numbers[2],
                             "--keep-runs",
                             numbers[3],
                             "--seal-bytes",
                             numbers[4],
                             "--seal-age-s",
                             numbers[5],
                             "--ledger-folder",
                             settings->ledger_folder != NULL ? settings->ledger_folder : settings->project,
                             settings->listen != NULL ? "--listen" : NULL,
                             settings->listen,
                             NULL};
  options->file = settings->program;
  options->args = (char **)(uintptr_t)arguments;
  int code = uv_spawn(&child->supervisor->loop, &child->process, options);
  if (code != 0)
    tly_log(TLY_LOG_ERROR, "a process could not be started", "child=%s error=\"%s\"", child->name, uv_strerror(code));
  child->open_handles = 2;
  if (code == 0) {
    uv_read_start((uv_stream_t *)&child->ready_pipe, give_read_space, on_ready);
  } else { /* as if it had ended at once */
    uv_close((uv_handle_t *)&child->process, on_handle_closed);
    uv_close((uv_handle_t *)&child->ready_pipe, on_handle_closed);
  }
}

static void start_child(struct child *child) {
  uv_stdio_container_t stdio[4] = {
      {.flags = UV_IGNORE},
      {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}, /* a child's stdout is talk: data is `ready` alone */
      {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->ready_pipe},
  };
  uv_process_options_t options = {.exit_cb = on_child_exit, .stdio_count = 4, .stdio = stdio};
  uv_pipe_init(&child->supervisor->loop, &child->ready_pipe, 0);
  child->ready_pipe.data = child;
  child->process.data = child;
  child->is_running = true;
  child->started_at_ms = uv_now(&child->supervisor->loop);
  spawn(child, &options);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void signal_children(struct supervisor *supervisor, int number) {
  for (int i = 0; i < CHILD_COUNT; i++)
    if (supervisor->children[i].is_running)
      uv_process_kill(&supervisor->children[i].process, number);
}

static void on_stop_timer(uv_timer_t *timer) {
  struct supervisor *supervisor = timer->data;
  tly_log(TLY_LOG_WARN, "a process did not end in time and is killed", NULL);
  supervisor->exit_code = TLY_EXIT_FAILED;
  signal_children(supervisor, SIGKILL);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct supervisor *supervisor = handle->data;
  (void)number;
  if (supervisor->is_stopping) {
    signal_children(supervisor, SIGKILL);
    return;
  }
  supervisor->is_stopping = true;
  uv_timer_start(&supervisor->stop_timer, on_stop_timer, STOP_MS, 0);
  for (int i = 0; i < CHILD_COUNT; i++)
    uv_timer_stop(&supervisor->children[i].restart_timer);
  signal_children(supervisor, SIGTERM);
  if (all(supervisor, is_gone))
    close_everything(supervisor);
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

static enum tly_status copy_definition(const char *project, const char *folder, const char *name,
                                       struct tly_error *error) {
  char from[4096], to[4096];
  struct tly_buffer text = {0};
  if (snprintf(from, sizeof from, "%s/%s", project, name) >= (int)sizeof from ||
      snprintf(to, sizeof to, "%s/%s", folder, name) >= (int)sizeof to)
    return TLY_FAIL(error, TLY_E_CONFIG, "file name is too long: %s/%s", project, name);
  enum tly_status status = tly_file_read(from, TLY_DEFINITION_BYTES_MAX, &text, error);
  if (status == TLY_OK)
    status = tly_file_replace(to, text.data, text.size, error);
  tly_buffer_free(&text);
  return status;
}

static enum tly_status copy_definitions(struct supervisor *supervisor, struct tly_error *error) {
  char **names;
  size_t count;
  TLY_TRY(tly_file_remove_tree(supervisor->definitions, error));
  TLY_TRY(tly_file_make_folder(supervisor->definitions, error));
  TLY_TRY(tly_file_list(supervisor->settings->project, ".sql", &names, &count, error));
  enum tly_status status = TLY_OK;
  for (size_t i = 0; i < count && status == TLY_OK; i++)
    status = copy_definition(supervisor->settings->project, supervisor->definitions, names[i], error);
  tly_file_list_free(names, count);
  return status;
}

static enum tly_status prepare(struct supervisor *supervisor, struct tly_error *error) {
  const struct tly_settings *settings = supervisor->settings;
  TLY_TRY(tly_file_make_folder(settings->directory, error));
  TLY_TRY(tly_process_lock(settings->directory, "run", error));
  if (snprintf(supervisor->definitions, sizeof supervisor->definitions, "%s/definitions", settings->directory) >=
      (int)sizeof supervisor->definitions)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", settings->directory);
  return copy_definitions(supervisor, error);
}

static void set_up_loop(struct supervisor *supervisor) {
  static const char *const names[CHILD_COUNT] = {"archiver", "batch", "speed", "serve"};
  static const int numbers[2] = {SIGTERM, SIGINT};
  TLY_ASSERT(uv_loop_init(&supervisor->loop) == 0);
  for (int i = 0; i < 2; i++) {
    uv_signal_init(&supervisor->loop, &supervisor->signals[i]);
    supervisor->signals[i].data = supervisor;
    uv_signal_start(&supervisor->signals[i], on_signal, numbers[i]);
  }
  uv_timer_init(&supervisor->loop, &supervisor->stop_timer);
  supervisor->stop_timer.data = supervisor;
  for (int i = 0; i < CHILD_COUNT; i++) {
    struct child *child = &supervisor->children[i];
    child->supervisor = supervisor;
    child->name = names[i];
    child->pause_ms = PAUSE_MS_MIN;
    uv_timer_init(&supervisor->loop, &child->restart_timer);
    child->restart_timer.data = child;
  }
}

int tly_command_run(struct tly_options *options) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_project *project = tly_command_load_project(options->settings.project);
  if (project == NULL)
    return TLY_EXIT_FAILED;
  tly_project_free(project);
  tly_log_setup("run", TLY_LOG_INFO);
  struct supervisor *supervisor = tly_calloc(1, sizeof *supervisor);
  supervisor->settings = &options->settings;
  int code = TLY_EXIT_OK;
  if (prepare(supervisor, &error) != TLY_OK) {
    code = tly_command_fail(&error);
  } else {
    signal(SIGPIPE, SIG_IGN);
    setenv("TALLY_READY_FD", "3", 1); /* where start_child puts the pipe */
    set_up_loop(supervisor);
    for (int i = 0; i < CHILD_COUNT; i++)
      start_child(&supervisor->children[i]);
    uv_run(&supervisor->loop, UV_RUN_DEFAULT);
    TLY_ASSERT(uv_loop_close(&supervisor->loop) == 0);
    code = supervisor->exit_code;
  }
  tly_free(supervisor);
  return code;
}
