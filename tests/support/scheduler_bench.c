#include "tests/support/scheduler_bench.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/ledger_main.h"
#include "batch_layer/recompute.h"
#include "common/base/limits.h"
#include "common/wire/socket.h"
#include "tests/common/store/view_fixture.h"

enum { DEADLINE_S = 120 };
const int64_t bench_hour_us = INT64_C(3600000000);
const int64_t bench_start_us = INT64_C(1704067200000000) + INT64_C(600000000);

struct bench bench;
static char program[4096];

/* ---- the world around the scheduler ------------------------------------------------------------------------------ */

static int64_t turned_now(void *context) {
  return ((struct bench *)context)->now_us;
}

static int64_t skipping_monotonic(void *context) {
  return tly_clock_monotonic_us(&tly_clock_real) + ((struct bench *)context)->skipped_us;
}

void bench_write_project(const char *definitions) {
  char path[400];
  snprintf(bench.project_folder, sizeof bench.project_folder, "%s/project", bench.rig.directory);
  CHECK_OK(tly_file_make_folder(bench.project_folder, &test_error));
  snprintf(path, sizeof path, "%s/all.sql", bench.project_folder);
  CHECK_OK(tly_file_replace(path, definitions, strlen(definitions), &test_error));
}

void bench_open_archiver(void) {
  char path[400];
  snprintf(path, sizeof path, "%s/archiver.sock", bench.rig.directory);
  CHECK_OK(tly_socket_listen_unix(path, &bench.archiver, &test_error));
}

void bench_open(const char *definitions) {
  memset(&bench, 0, sizeof bench);
  tly_arena_init(&bench.arena);
  rig_open(&bench.rig, definitions);
  bench_write_project(definitions);
  bench.settings = (struct tly_settings){.project = bench.project_folder,
                                         .directory = bench.rig.directory,
                                         .program = program,
                                         .recompute_threads = 2,
                                         .keep_runs = 3};
  bench.clock = (struct tly_clock){.now_us = turned_now, .monotonic_us = skipping_monotonic, .context = &bench};
  bench.now_us = bench_start_us;
  bench.speed_runs = true;
  bench_open_archiver();
}

void bench_open_scheduler(void) {
  struct tly_scheduler_options options = tly_scheduler_defaults(&bench.settings, bench.rig.project);
  options.clock = &bench.clock;
  options.publish_wait_ms = 300;
  CHECK_OK(tly_scheduler_open(&options, &bench.scheduler, &test_error));
}

void bench_close(void) {
  tly_scheduler_close(bench.scheduler);
  if (bench.archiver >= 0)
    close(bench.archiver);
  rig_close(&bench.rig);
  tly_arena_free(&bench.arena);
}

/* Answer one request for a cut, if there is one. */
void bench_serve_cut(void) {
  char line[4096], reply[100];
  const char *views[TLY_VIEWS_MAX + 1] = {NULL};
  json_t *request, *name;
  size_t i;
  int fd = bench.archiver >= 0 ? accept(bench.archiver, NULL, NULL) : -1;
  if (fd < 0)
    return;
  assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
  ssize_t size = recv(fd, line, sizeof line, 0);
  assert_true(size > 0);
  request = json_loadb(line, (size_t)size, 0, NULL);
  assert_string_equal(json_string_value(json_object_get(request, "method")), "cut");
  json_array_foreach(json_object_get(json_object_get(request, "params"), "views"), i, name) {
    views[i] = json_string_value(name);
  }
  int64_t number = rig_cut(&bench.rig, views);
  int reply_size = snprintf(reply, sizeof reply, "{\"id\":1,\"result\":{\"cut\":%" PRId64 "}}\n", number);
  assert_int_equal(send(fd, reply, (size_t)reply_size, 0), reply_size);
  json_decref(request);
  close(fd);
}

/* Let everybody work until `done`. */
void bench_pump(bool (*done)(void *context), void *context) {
  int64_t until = tly_clock_monotonic_us(&tly_clock_real) + DEADLINE_S * INT64_C(1000000);
  while (!done(context)) {
    if (tly_clock_monotonic_us(&tly_clock_real) > until)
      fail_msg("nothing happened for %d s", DEADLINE_S);
    bench_serve_cut();
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 2, &test_error));
    if (bench.speed_runs)
      rig_settle(&bench.rig);
  }
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

tly_client *bench_connect(void) {
  char path[400];
  tly_client *client;
  snprintf(path, sizeof path, "%s/batch.sock", bench.rig.directory);
  CHECK_OK(tly_client_connect(path, false, &client, &test_error));
  return client;
}

void bench_send(tly_client *client, const char *line) {
  CHECK_OK(tly_client_send(client, line, strlen(line), &test_error));
}

bool bench_has_reply(void *context) {
  struct pollfd waiting = {.fd = tly_client_fd(context), .events = POLLIN};
  return poll(&waiting, 1, 0) > 0;
}

/* The last line of the reply; the caller decrefs. `progress` counts the lines before it. */
json_t *bench_receive(tly_client *client, int *progress) {
  json_t *reply;
  for (;;) {
    enum tly_status status = tly_client_receive(client, 0, &reply, &test_error);
    if (status == TLY_E_CANCELLED) {
      bench_pump(bench_has_reply, client);
      continue;
    }
    CHECK_OK(status);
    if (json_object_get(reply, "progress") == NULL)
      return reply;
    ++*progress;
    json_decref(reply);
  }
}

json_t *bench_ask(const char *line) {
  int progress = 0;
  tly_client *client = bench_connect();
  bench_send(client, line);
  json_t *reply = bench_receive(client, &progress);
  tly_client_close(client);
  return reply;
}

int64_t bench_member(const json_t *reply, const char *name) {
  const json_t *value = json_object_get(json_object_get(reply, "result"), name);
  if (!json_is_integer(value)) {
    char *text = json_dumps(reply, 0);
    fail_msg("no integer \"%s\" in %s", name, text);
  }
  return json_integer_value(value);
}

const char *bench_sqlstate(const json_t *reply) {
  const json_t *data = json_object_get(json_object_get(reply, "error"), "data");
  const char *sqlstate = json_string_value(json_object_get(data, "sqlstate"));
  return sqlstate != NULL ? sqlstate : "none";
}

const char bench_recompute_all[] = "{\"id\":1,\"method\":\"recompute\",\"params\":{\"full\":true}}\n";

/* ---- what batch.db says ------------------------------------------------------------------------------------------ */

struct tly_run *bench_runs(uint32_t *count) {
  tly_batch_reader *reader;
  struct tly_run *runs;
  CHECK_OK(tly_batch_reader_open(bench.rig.directory, bench.rig.project, &reader, &test_error));
  CHECK_OK(tly_batch_reader_runs(reader, INT64_MAX, 1000, &bench.arena, &runs, count, &test_error));
  tly_batch_reader_close(reader);
  return runs;
}

uint32_t bench_count_runs(const char *state) {
  uint32_t all, count = 0;
  struct tly_run *runs = bench_runs(&all);
  for (uint32_t i = 0; i < all; i++)
    count += strcmp(runs[i].state, state) == 0;
  return count;
}

bool bench_is_idle(void *context) {
  (void)context;
  return tly_scheduler_is_idle(bench.scheduler);
}

bool bench_run_has_begun(void *context) {
  uint32_t count;
  bench_runs(&count);
  return count >= *(const uint32_t *)context;
}

bool bench_has_folder(int64_t run) {
  char path[400];
  snprintf(path, sizeof path, "%s/runs/%" PRId64, bench.rig.directory, run);
  return tly_file_exists(path);
}

/* A few turns in which something could begin, but should not. */
void bench_turn_in_vain(void) {
  uint32_t before, after;
  bench_runs(&before);
  for (int i = 0; i < 20; i++) {
    bench_serve_cut();
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  }
  bench_runs(&after);
  assert_int_equal(before, after);
  assert_true(tly_scheduler_is_idle(bench.scheduler));
}

/* The process of our child, found by its parent; 0: none now. */
pid_t bench_find_child(void) {
  char path[100];
  struct tly_buffer text = {0};
  pid_t child = 0;
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  if (tly_file_read(path, 4096, &text, &test_error) == TLY_OK && text.size > 0)
    child = (pid_t)strtol(tly_buffer_text(&text), NULL, 10);
  tly_buffer_free(&text);
  return child;
}

void bench_kill_child(void) {
  siginfo_t how;
  pid_t child = bench_find_child();
  if (child == 0)
    return;
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitid(P_PID, (id_t)child, &how, WEXITED | WNOWAIT), 0);
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

static int be_child(int argc, char **argv) {
  struct tly_settings settings = {.recompute_threads = 2};
  if (argc != 5 || strcmp(argv[2], "--data") != 0)
    return 2;
  settings.directory = argv[3];
  settings.project = argv[4];
  return strcmp(argv[1], "ledger-child") == 0 ? tly_ledger_main(&settings) : tly_recompute_main(&settings);
}

bool bench_main(int argc, char **argv, int *status) {
  if (argc > 1 && strstr(argv[1], "-child") != NULL) {
    *status = be_child(argc, argv);
    return true;
  }
  *status = 1;
  if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0)
    return true;
  tly_process_setup("test", false);
  return false;
}
