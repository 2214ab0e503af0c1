/* The serving process: one loop thread (sockets, framing, point queries) and a pool of workers (everything else). It
 * writes nothing: every store is opened read-only, so it can be killed and started at any moment. */
#include "serving_layer/serve.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/wire/socket.h"
#include "serving_layer/memory.h"
#include "serving_layer/server.h"

enum {
  LISTENERS_MAX = 2,
  TICK_MS = 1000,
  REST_TICKS = 5,
  RUN_CACHE_BYTES = 256 << 20 /* decoded blocks of the loop, of all views: about 2.5 million groups */
};

struct process {
  struct tly_serving server;
  struct tly_project *project;
  struct tly_programs *programs;
  struct tly_listener *listeners[LISTENERS_MAX];
  uint32_t listener_count;
  uv_poll_t stop;
};

/* A descriptor a connection, and some for stores. */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/* ---- the loop's own handles -------------------------------------------------------------------------------------- */

/* What is active keeps the loop from sleeping; there is nothing else to do. */
static void on_awake(uv_idle_t *idle) {
  (void)idle;
}

static void on_after(uv_check_t *check) {
  struct tly_serving *server = check->data;
  tly_sessions_continue(server);
}

static void on_look_end(uv_timer_t *timer) {
  struct tly_serving *server = timer->data;
  tly_points_end_look(server->points);
}

/* Before the loop sleeps: end a look at speed.db, now or in time; keep turning while sessions have requests left. */
static void on_before(uv_prepare_t *prepare) {
  struct tly_serving *server = prepare->data;
  if (tly_points_keep_look(server->points) && !uv_is_active((uv_handle_t *)&server->look_end))
    uv_timer_start(&server->look_end, on_look_end, TLY_LOOK_US_MAX / 1000, 0);
  if (server->ready != NULL && !uv_is_active((uv_handle_t *)&server->awake))
    uv_idle_start(&server->awake, on_awake);
  else if (server->ready == NULL)
    uv_idle_stop(&server->awake);
}

static void on_tick(uv_timer_t *timer) {
  struct tly_serving *server = timer->data;
  tly_sessions_check_blocked(server);
  if (++server->ticks % REST_TICKS == 0)
    tly_points_rest(server->points);
}

static void on_stop(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  uv_stop(poll->loop);
}

static void start_handles(struct process *process) {
  struct tly_serving *server = &process->server;
  uv_loop_t *loop = &server->loop;
  TLY_ASSERT(uv_idle_init(loop, &server->awake) == 0);
  TLY_ASSERT(uv_prepare_init(loop, &server->before) == 0);
  TLY_ASSERT(uv_check_init(loop, &server->after) == 0);
  TLY_ASSERT(uv_timer_init(loop, &server->tick) == 0);
  TLY_ASSERT(uv_timer_init(loop, &server->look_end) == 0);
  TLY_ASSERT(uv_poll_init(loop, &process->stop, tly_process_stop_fd()) == 0);
  server->before.data = server->after.data = server->tick.data = server->look_end.data = server;
  TLY_ASSERT(uv_prepare_start(&server->before, on_before) == 0);
  TLY_ASSERT(uv_check_start(&server->after, on_after) == 0);
  TLY_ASSERT(uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS) == 0);
  TLY_ASSERT(uv_poll_start(&process->stop, UV_READABLE, on_stop) == 0);
}

static void stop_handles(struct process *process) {
  struct tly_serving *server = &process->server;
  uv_close((uv_handle_t *)&server->awake, NULL);
  uv_close((uv_handle_t *)&server->before, NULL);
  uv_close((uv_handle_t *)&server->after, NULL);
  uv_close((uv_handle_t *)&server->tick, NULL);
  uv_close((uv_handle_t *)&server->look_end, NULL);
  uv_close((uv_handle_t *)&process->stop, NULL);
}

/* ---- listening --------------------------------------------------------------------------------------------------- */

static enum tly_status listen_all(struct process *process, struct tly_error *error) {
  struct tly_serving *server = &process->server;
  const struct tly_settings *settings = server->settings;
  struct tly_buffer bound = {0};
  char path[4096];
  int fd;
  if (snprintf(path, sizeof path, "%s/tally.sock", settings->directory) >= (int)sizeof path)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", settings->directory);
  TLY_TRY(tly_socket_listen_unix(path, &fd, error));
  process->listeners[process->listener_count++] = tly_listener_start(server, fd);
  if (settings->listen == NULL)
    return TLY_OK;
  enum tly_status status = tly_socket_listen_tcp(settings->listen, &fd, &bound, error);
  if (status == TLY_OK) {
    process->listeners[process->listener_count++] = tly_listener_start(server, fd);
    tly_log(TLY_LOG_INFO, "listening", "address=%s", tly_buffer_text(&bound));
  }
  tly_buffer_free(&bound);
  return status;
}

/* ---- start, run, stop -------------------------------------------------------------------------------------------- */

static enum tly_status start(struct process *process, struct tly_error *error) {
  struct tly_serving *server = &process->server;
  const struct tly_settings *settings = server->settings;
  TLY_TRY(tly_project_load_or_complain(settings->project, &process->project, error));
  TLY_TRY(tly_file_make_folder(settings->directory, error));
  TLY_TRY(tly_process_lock(settings->directory, "serve", error));
  process->programs = tly_programs_new(process->project);
  server->project = process->project;
  server->programs = process->programs;
  server->source = tly_store_source_new(settings->directory, process->programs);
  tly_store_source_set_cache(server->source, RUN_CACHE_BYTES);
  server->points = tly_points_new(process->programs, server->source);
  tly_handoff_start(server);
  TLY_TRY(tly_waiting_start(server, error));
  server->pool = tly_pool_start(&server->loop, settings, process->programs, tly_session_on_job, server);
  return listen_all(process, error);
}

static void stop(struct process *process) {
  struct tly_serving *server = &process->server;
  server->is_stopping = true;
  for (uint32_t i = 0; i < process->listener_count; i++)
    tly_listener_stop(process->listeners[i]);
  tly_sessions_close_all(server);
  tly_pool_stop(server->pool);
  if (server->waiting != NULL)
    tly_waiting_stop(server);
  if (server->handoff != NULL)
    tly_handoff_stop(server);
  stop_handles(process);
  uv_run(&server->loop, UV_RUN_DEFAULT); /* close callbacks */
  TLY_ASSERT(uv_loop_close(&server->loop) == 0);
  if (server->points != NULL)
    tly_points_free(server->points);
  tly_store_source_free(server->source);
  tly_programs_free(process->programs);
  tly_project_free(process->project);
}

int tly_serve_main(const struct tly_settings *settings) {
  struct tly_error error = TLY_ERROR_NONE;
  struct process *process = tly_calloc(1, sizeof *process);
  process->server.settings = settings;
  tly_process_setup("serve", getenv("TALLY_READY_FD") != NULL); /* the supervisor's child ends with it */
  tly_memory_setup();
  json_object_seed(0); /* before threads */
  raise_descriptor_limit();
  TLY_ASSERT(uv_loop_init(&process->server.loop) == 0);
  start_handles(process);
  enum tly_status status = start(process, &error);
  if (status == TLY_OK) {
    tly_process_ready();
    uv_run(&process->server.loop, UV_RUN_DEFAULT);
  } else
    tly_log(TLY_LOG_ERROR, "the serving layer ends", "sqlstate=%s error=\"%s\"", tly_status_sqlstate(status),
            error.message);
  stop(process);
  tly_free(process);
  return status == TLY_OK ? 0 : 1;
}
