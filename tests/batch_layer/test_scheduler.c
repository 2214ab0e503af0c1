/* tests/batch_layer/test_scheduler.c -- why runs begin, what becomes of them, who is told: with a clock that the test
 * turns, real recomputes in child processes, the real speed layer's steps, and an archiver that only cuts.
 *
 * The program is its own child: `test_scheduler recompute-child --data DIR PROJECT`, and ledger-child likewise. */
#include "tests/common/store/view_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/batch_store.h"
#include "batch_layer/ledger_main.h"
#include "batch_layer/recompute.h"
#include "batch_layer/recompute_child.h"
#include "batch_layer/scheduler.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/sqlite/sqlite.h"
#include "common/store/batch_reader.h"
#include "common/store/run_reader.h"
#include "common/wire/client.h"
#include "common/wire/socket.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

#define HOURLY_VIEW                                                                                                    \
  "CREATE MATERIALIZED VIEW hourly WITH (recompute = '0 * * * *') AS"                                                  \
  " SELECT kind, count(*) AS n FROM payments GROUP BY kind;\n"
#define NIGHTLY_VIEW                                                                                                   \
  "CREATE MATERIALIZED VIEW nightly WITH (recompute = '0 2 * * *') AS"                                                 \
  " SELECT account, count(*) AS n FROM payments GROUP BY account;\n"
/* Two in the morning in Kolkata is 20:30 UTC. */
#define ZONED_VIEW(zone)                                                                                               \
  "CREATE MATERIALIZED VIEW zoned WITH (recompute = '0 2 * * *', time_zone = '" zone "') AS"                           \
  " SELECT account, count(*) AS n FROM payments GROUP BY account;\n"
#define SCHEDULED PAYMENTS_STREAM HOURLY_VIEW NIGHTLY_VIEW

enum { DEADLINE_S = 120 };
static const int64_t hour_us = INT64_C(3600000000);
static const int64_t start_us = INT64_C(1704067200000000) + INT64_C(600000000); /* 2024-01-01 00:10 UTC */

static char program[4096];

/* Everything of one test. */
static struct bench {
  struct rig rig;
  struct tly_arena arena;
  char project_folder[300];
  struct tly_settings settings;
  struct tly_clock clock;
  int64_t now_us;
  tly_scheduler *scheduler;
  int archiver; /* a socket that cuts; -1: nobody is there */
  bool speed_runs;
} bench;

/* ---- the world around the scheduler ------------------------------------------------------------------------------ */

static int64_t turned_now(void *context) {
  return ((struct bench *)context)->now_us;
}

static int64_t real_monotonic(void *context) {
  (void)context;
  return tly_clock_monotonic_us(&tly_clock_real);
}

static void write_project(const char *definitions) {
  char path[400];
  snprintf(bench.project_folder, sizeof bench.project_folder, "%s/project", bench.rig.directory);
  CHECK_OK(tly_file_make_folder(bench.project_folder, &test_error));
  snprintf(path, sizeof path, "%s/all.sql", bench.project_folder);
  CHECK_OK(tly_file_replace(path, definitions, strlen(definitions), &test_error));
}

static void open_archiver(void) {
  char path[400];
  snprintf(path, sizeof path, "%s/archiver.sock", bench.rig.directory);
  CHECK_OK(tly_socket_listen_unix(path, &bench.archiver, &test_error));
}

static void open_bench(const char *definitions) {
  memset(&bench, 0, sizeof bench);
  tly_arena_init(&bench.arena);
  rig_open(&bench.rig, definitions);
  write_project(definitions);
  bench.settings = (struct tly_settings){.project = bench.project_folder,
                                         .directory = bench.rig.directory,
                                         .program = program,
                                         .recompute_threads = 2,
                                         .keep_runs = 3};
  bench.clock = (struct tly_clock){.now_us = turned_now, .monotonic_us = real_monotonic, .context = &bench};
  bench.now_us = start_us;
  bench.speed_runs = true;
  open_archiver();
}

static void open_scheduler(void) {
  struct tly_scheduler_options options = tly_scheduler_defaults(&bench.settings, bench.rig.project);
  options.clock = &bench.clock;
  options.publish_wait_ms = 300;
  CHECK_OK(tly_scheduler_open(&options, &bench.scheduler, &test_error));
}

static void close_bench(void) {
  tly_scheduler_close(bench.scheduler);
  if (bench.archiver >= 0)
    close(bench.archiver);
  rig_close(&bench.rig);
  tly_arena_free(&bench.arena);
}

/* Answer one request for a cut, if there is one. */
static void serve_cut(void) {
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
static void pump(bool (*done)(void *context), void *context) {
  int64_t until = tly_clock_monotonic_us(&tly_clock_real) + DEADLINE_S * INT64_C(1000000);
  while (!done(context)) {
    if (tly_clock_monotonic_us(&tly_clock_real) > until)
      fail_msg("nothing happened for %d s", DEADLINE_S);
    serve_cut();
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 2, &test_error));
    if (bench.speed_runs)
      rig_settle(&bench.rig);
  }
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

static tly_client *connect_client(void) {
  char path[400];
  tly_client *client;
  snprintf(path, sizeof path, "%s/batch.sock", bench.rig.directory);
  CHECK_OK(tly_client_connect(path, false, &client, &test_error));
  return client;
}

static void send_line(tly_client *client, const char *line) {
  CHECK_OK(tly_client_send(client, line, strlen(line), &test_error));
}

static bool has_reply(void *context) {
  struct pollfd waiting = {.fd = tly_client_fd(context), .events = POLLIN};
  return poll(&waiting, 1, 0) > 0;
}

/* The last line of the reply; the caller decrefs. `progress` counts the lines before it. */
static json_t *receive_last(tly_client *client, int *progress) {
  json_t *reply;
  for (;;) {
    enum tly_status status = tly_client_receive(client, 0, &reply, &test_error);
    if (status == TLY_E_CANCELLED) {
      pump(has_reply, client);
      continue;
    }
    CHECK_OK(status);
    if (json_object_get(reply, "progress") == NULL)
      return reply;
    ++*progress;
    json_decref(reply);
  }
}

static json_t *ask(const char *line) {
  int progress = 0;
  tly_client *client = connect_client();
  send_line(client, line);
  json_t *reply = receive_last(client, &progress);
  tly_client_close(client);
  return reply;
}

static int64_t member(const json_t *reply, const char *name) {
  const json_t *value = json_object_get(json_object_get(reply, "result"), name);
  if (!json_is_integer(value)) {
    char *text = json_dumps(reply, 0);
    fail_msg("no integer \"%s\" in %s", name, text);
  }
  return json_integer_value(value);
}

static const char *sqlstate_of(const json_t *reply) {
  const json_t *data = json_object_get(json_object_get(reply, "error"), "data");
  const char *sqlstate = json_string_value(json_object_get(data, "sqlstate"));
  return sqlstate != NULL ? sqlstate : "none";
}

static const char recompute_all[] = "{\"id\":1,\"method\":\"recompute\",\"params\":{\"full\":true}}\n";

/* ---- what batch.db says ------------------------------------------------------------------------------------------ */

static struct tly_run *read_runs(uint32_t *count) {
  tly_batch_reader *reader;
  struct tly_run *runs;
  CHECK_OK(tly_batch_reader_open(bench.rig.directory, bench.rig.project, &reader, &test_error));
  CHECK_OK(tly_batch_reader_runs(reader, 1000, &bench.arena, &runs, count, &test_error));
  tly_batch_reader_close(reader);
  return runs;
}

static uint32_t count_runs(const char *state) {
  uint32_t all, count = 0;
  struct tly_run *runs = read_runs(&all);
  for (uint32_t i = 0; i < all; i++)
    count += strcmp(runs[i].state, state) == 0;
  return count;
}

static bool is_idle(void *context) {
  (void)context;
  return tly_scheduler_is_idle(bench.scheduler);
}

static bool run_has_begun(void *context) {
  uint32_t count;
  read_runs(&count);
  return count >= *(const uint32_t *)context;
}

static bool has_folder(int64_t run) {
  char path[400];
  snprintf(path, sizeof path, "%s/runs/%" PRId64, bench.rig.directory, run);
  return tly_file_exists(path);
}

/* A few turns in which something could begin, but should not. */
static void turn_in_vain(void) {
  uint32_t before, after;
  read_runs(&before);
  for (int i = 0; i < 20; i++) {
    serve_cut();
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  }
  read_runs(&after);
  assert_int_equal(before, after);
  assert_true(tly_scheduler_is_idle(bench.scheduler));
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void a_request_is_answered_when_its_run_is_published(void **state) {
  (void)state;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 2000, 300);
  rig_ingest_payments(&bench.rig, 2, 2000, 500, 300);
  rig_settle(&bench.rig);
  open_scheduler();
  json_t *reply = ask(recompute_all);
  int64_t run = member(reply, "run");
  assert_int_equal(member(reply, "events"), 2500);
  assert_int_equal(member(reply, "drift"), 0);
  assert_true(member(reply, "duration_ms") >= 0);
  const json_t *result = json_object_get(reply, "result");
  json_t *cut = json_pack("{s:[i,i,i]}", "payments", 2000, 0, 500);
  assert_true(json_equal(json_object_get(result, "cut"), cut));
  assert_int_equal(json_array_size(json_object_get(result, "views")), 3);
  for (uint32_t v = 0; v < 3; v++)
    assert_int_equal(rig_published(&bench.rig, all_views[v]).run, run);
  rig_assert_right(&bench.rig);
  json_decref(cut);
  json_decref(reply);
  close_bench();
}

static void progress_comes_before_the_result_to_who_wants_it(void **state) {
  (void)state;
  int lines = 0;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  open_scheduler();
  tly_client *client = connect_client();
  send_line(client, "{\"id\":\"x\",\"method\":\"recompute\",\"params\":{\"views\":[\"totals\"],\"progress\":true}}\n");
  json_t *reply = receive_last(client, &lines);
  assert_true(lines > 0);
  assert_string_equal(json_string_value(json_object_get(reply, "id")), "x");
  assert_int_equal(rig_published(&bench.rig, "totals").run, member(reply, "run"));
  assert_int_equal(rig_published(&bench.rig, "kinds").run, 0); /* that was not asked for */
  tly_client_close(client);
  json_decref(reply);
  close_bench();
}

static void a_request_that_makes_no_sense_is_an_error_reply(void **state) {
  (void)state;
  static const struct {
    const char *line, *sqlstate;
  } cases[] = {
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"nothing\"]}}\n", "42P01"},
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":\"totals\"}}\n", "22023"},
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[7]}}\n", "22023"},
      {"{\"id\":1,\"method\":\"recompute\",\"params\":{\"progress\":1}}\n", "22023"},
      {"{\"id\":1,\"method\":\"reconcile\",\"params\":{}}\n", "22023"},
      {"{\"id\":1,\"method\":\"status\"}\n", "0A000"},
      {"{\"id\":1,\"method\"\n", "22032"},
  };
  open_bench(THREE_VIEWS);
  open_scheduler();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *reply = ask(cases[i].line);
    if (strcmp(sqlstate_of(reply), cases[i].sqlstate) != 0)
      fail_msg("%s gives %s, not %s", cases[i].line, sqlstate_of(reply), cases[i].sqlstate);
    json_decref(reply);
  }
  assert_int_equal(count_runs("ready"), 0);
  close_bench();
}

static void equal_requests_share_a_run_and_others_queue(void **state) {
  (void)state;
  int lines = 0;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  open_scheduler();
  tly_client *clients[4];
  json_t *replies[4];
  for (int i = 0; i < 4; i++) {
    clients[i] = connect_client();
    send_line(clients[i],
              i % 2 == 0 ? recompute_all : "{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n");
  }
  for (int i = 0; i < 4; i++)
    replies[i] = receive_last(clients[i], &lines);
  assert_int_equal(member(replies[0], "run"), member(replies[2], "run"));
  assert_int_equal(member(replies[1], "run"), member(replies[3], "run"));
  assert_int_not_equal(member(replies[0], "run"), member(replies[1], "run"));
  for (int i = 0; i < 4; i++) {
    json_decref(replies[i]);
    tly_client_close(clients[i]);
  }
  close_bench();
}

static void requests_of_one_connection_are_answered_in_order(void **state) {
  (void)state;
  int lines = 0;
  open_bench(THREE_VIEWS);
  open_scheduler();
  tly_client *client = connect_client();
  send_line(client, "{\"id\":1,\"method\":\"recompute\"}\n{\"id\":2,\"method\":\"status\"}\n"
                    "{\"id\":3,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n");
  for (int id = 1; id <= 3; id++) {
    json_t *reply = receive_last(client, &lines);
    assert_int_equal(json_integer_value(json_object_get(reply, "id")), id);
    json_decref(reply);
  }
  tly_client_close(client);
  close_bench();
}

static void a_client_that_goes_away_leaves_its_run_going(void **state) {
  (void)state;
  uint32_t one = 1;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  open_scheduler();
  tly_client *client = connect_client();
  send_line(client, recompute_all);
  pump(run_has_begun, &one);
  tly_client_close(client);
  pump(is_idle, NULL);
  assert_int_equal(count_runs("ready"), 1);
  close_bench();
}

static void reconcile_answers_with_the_keys_that_differ(void **state) {
  (void)state;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 500, 300);
  rig_settle(&bench.rig);
  open_scheduler();
  json_t *reply = ask("{\"id\":1,\"method\":\"reconcile\",\"params\":{\"view\":\"totals\"}}\n");
  assert_int_equal(member(reply, "drift"), 0);
  assert_true(json_is_array(json_object_get(json_object_get(reply, "result"), "drift_rows")));
  json_decref(reply);
  close_bench();
}

/* ---- ledgers ----------------------------------------------------------------------------------------------------- */

#define WITH_LEDGER                                                                                                    \
  THREE_VIEWS                                                                                                          \
  "CREATE SERVER files FOREIGN DATA WRAPPER file;"                                                                     \
  "CREATE FOREIGN TABLE bank (account text, total numeric(18,2)) SERVER files OPTIONS (filename 'bank.csv');"

static const char against_bank[] =
    "{\"id\":1,\"method\":\"reconcile\",\"params\":{\"view\":\"totals\",\"against\":\"bank\",\"progress\":true}}\n";

static void open_ledger_bench(const char *csv) {
  char path[400];
  open_bench(WITH_LEDGER);
  snprintf(path, sizeof path, "%s/bank.csv", bench.project_folder);
  CHECK_OK(tly_file_replace(path, csv, strlen(csv), &test_error));
  rig_ingest(&bench.rig, "payments", 0, "{\"account\":\"a\",\"amount\":1.50}\n{\"account\":\"b\",\"amount\":2}\n");
  rig_settle(&bench.rig);
  open_scheduler();
}

static const char *outcome_of(const json_t *reply) {
  const char *outcome = json_string_value(json_object_get(json_object_get(reply, "result"), "result"));
  return outcome != NULL ? outcome : sqlstate_of(reply);
}

static void a_view_is_reconciled_with_a_ledger_in_a_child_of_its_own(void **state) {
  (void)state;
  open_ledger_bench("account,total\nb,2\na,1.5\n");
  json_t *reply = ask(against_bank);
  assert_string_equal(outcome_of(reply), "OK");
  assert_int_equal(member(reply, "keys"), 2);
  assert_int_equal(member(reply, "matched"), 2);
  json_decref(reply);
  assert_int_equal(count_runs("ready"), 0); /* nothing was recomputed for it */
  pump(is_idle, NULL);
  close_bench();
}

static void reconciliations_queue_and_a_recompute_goes_on_beside_them(void **state) {
  (void)state;
  tly_client *clients[4];
  int progress = 0;
  open_ledger_bench("account,total\nb,2\na,1.4\n");
  for (int i = 0; i < 4; i++) {
    clients[i] = connect_client();
    send_line(clients[i], i == 1 ? recompute_all : against_bank);
  }
  for (int i = 0; i < 4; i++) {
    json_t *reply = receive_last(clients[i], &progress);
    if (i != 1) {
      assert_string_equal(outcome_of(reply), "BREAKS");
      assert_int_equal(member(reply, "breaks"), 1);
    } else {
      assert_int_equal(member(reply, "events"), 2);
    }
    json_decref(reply);
    tly_client_close(clients[i]);
  }
  pump(is_idle, NULL);
  close_bench();
}

static void a_request_for_a_ledger_that_makes_no_sense_is_an_error_reply(void **state) {
  (void)state;
  static const struct {
    const char *params, *sqlstate;
  } cases[] = {
      {"\"view\":\"totals\",\"against\":\"nothing\"", "42P01"},
      {"\"view\":\"nothing\",\"against\":\"bank\"", "42P01"},
      {"\"view\":\"totals\",\"against\":7", "22023"},
      {"\"against\":\"bank\"", "42P01"},
      {"\"view\":\"kinds\",\"against\":\"bank\"", "42703"},
      {"\"view\":\"totals\",\"against\":\"bank\",\"tolerance\":\"-1\"", "22023"},
      {"\"view\":\"totals\",\"against\":\"bank\",\"tolerance\":\"much\"", "22023"},
      {"\"view\":\"totals\",\"against\":\"bank\",\"tolerance\":0.5", "22023"},
  };
  open_ledger_bench("account,total\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char line[300];
    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"reconcile\",\"params\":{%s}}\n", cases[i].params);
    json_t *reply = ask(line);
    if (strcmp(sqlstate_of(reply), cases[i].sqlstate) != 0)
      fail_msg("%s gives %s, not %s", line, sqlstate_of(reply), cases[i].sqlstate);
    json_decref(reply);
  }
  close_bench();
}

static void a_ledger_that_cannot_be_read_is_incomplete(void **state) {
  (void)state;
  open_ledger_bench("account,total\na,1.5\nb,\"2\n");
  json_t *reply = ask(against_bank);
  assert_string_equal(outcome_of(reply), "INCOMPLETE");
  assert_null(json_object_get(json_object_get(reply, "result"), "matched"));
  json_decref(reply);
  close_bench();
}

static void more_reconciliations_than_may_wait_are_refused(void **state) {
  (void)state;
  tly_client *clients[TLY_LEDGER_JOBS_MAX + 1];
  int progress = 0, refused = 0, fine = 0;
  open_ledger_bench("account,total\nb,2\na,1.5\n");
  for (int i = 0; i <= TLY_LEDGER_JOBS_MAX; i++) {
    clients[i] = connect_client();
    send_line(clients[i], against_bank); /* all are there before the scheduler looks */
  }
  for (int i = 0; i <= TLY_LEDGER_JOBS_MAX; i++) {
    json_t *reply = receive_last(clients[i], &progress);
    refused += strcmp(outcome_of(reply), "53300") == 0;
    fine += strcmp(outcome_of(reply), "OK") == 0;
    json_decref(reply);
    tly_client_close(clients[i]);
  }
  assert_int_equal(refused, 1);
  assert_int_equal(fine, TLY_LEDGER_JOBS_MAX);
  close_bench();
}

static void a_stop_ends_reconciliations_and_tells_who_waits(void **state) {
  (void)state;
  tly_client *clients[2];
  json_t *reply;
  open_ledger_bench("account,total\nb,2\na,1.5\n");
  for (int i = 0; i < 2; i++) {
    clients[i] = connect_client();
    send_line(clients[i], against_bank);
  }
  for (int i = 0; i < 3; i++) /* accept, read, start */
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 0, &test_error));
  tly_scheduler_close(bench.scheduler);
  bench.scheduler = NULL;
  for (int i = 0; i < 2; i++) {
    CHECK_OK(tly_client_receive(clients[i], 1000, &reply, &test_error));
    assert_string_equal(outcome_of(reply), "57014");
    json_decref(reply);
    tly_client_close(clients[i]);
  }
  close_bench();
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static void views_that_are_due_at_one_minute_share_a_run(void **state) {
  (void)state;
  uint32_t count, one = 1, two = 2;
  open_bench(SCHEDULED);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  open_scheduler();
  turn_in_vain();
  bench.now_us = start_us + hour_us; /* 01:10: the hourly one, for 01:00 */
  pump(run_has_begun, &one);
  pump(is_idle, NULL);
  struct tly_run *runs = read_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].reason, "schedule");
  assert_int_equal(runs[0].started_at_us, bench.now_us);
  assert_int_equal(runs[0].view_count, 1);
  assert_string_equal(runs[0].views[0].view, "hourly");
  turn_in_vain();
  bench.now_us = start_us + 2 * hour_us; /* 02:10: both */
  pump(run_has_begun, &two);
  pump(is_idle, NULL);
  runs = read_runs(&count);
  assert_int_equal(count, 2);
  assert_int_equal(runs[0].view_count, 2);
  turn_in_vain();
  close_bench();
}

static void a_schedule_goes_by_the_clocks_of_its_time_zone(void **state) {
  (void)state;
  uint32_t one = 1, count;
  setenv("TZDIR", "tests/common/value/zoneinfo", 1);
  open_bench(PAYMENTS_STREAM ZONED_VIEW("Asia/Kolkata"));
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  open_scheduler();
  bench.now_us = start_us + 20 * hour_us; /* 20:10 */
  turn_in_vain();
  bench.now_us = start_us + 21 * hour_us; /* 21:10 */
  pump(run_has_begun, &one);
  pump(is_idle, NULL);
  struct tly_run *runs = read_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].reason, "schedule");
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, PAYMENTS_STREAM ZONED_VIEW("Europe/Berlin"));
  write_project(PAYMENTS_STREAM ZONED_VIEW("Europe/Berlin"));
  rig_settle(&bench.rig);
  bench.now_us = start_us + 26 * hour_us; /* 02:10: in Berlin it has been two o'clock an hour ago */
  open_scheduler();
  turn_in_vain(); /* a schedule that has changed is first due at its next minute */
  close_bench();
}

static void a_missed_run_is_made_up_once(void **state) {
  (void)state;
  uint32_t one = 1, count;
  open_bench(SCHEDULED);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  open_scheduler();
  turn_in_vain();
  tly_scheduler_close(bench.scheduler);
  bench.now_us = start_us + 7 * 24 * hour_us; /* a week without us */
  open_scheduler();
  pump(run_has_begun, &one);
  pump(is_idle, NULL);
  struct tly_run *runs = read_runs(&count);
  assert_int_equal(count, 1);
  assert_int_equal(runs[0].view_count, 2);
  tly_scheduler_close(bench.scheduler);
  open_scheduler(); /* that it fired is durable */
  turn_in_vain();
  close_bench();
}

static void a_schedule_tries_again_when_no_archiver_is_there(void **state) {
  (void)state;
  uint32_t one = 1, count;
  open_bench(SCHEDULED);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  close(bench.archiver);
  bench.archiver = -1;
  open_scheduler();
  bench.now_us = start_us + hour_us;
  for (int i = 0; i < 10; i++)
    CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
  read_runs(&count);
  assert_int_equal(count, 0);
  assert_false(tly_scheduler_is_idle(bench.scheduler));
  json_t *reply = ask(recompute_all); /* whoever asks is told at once */
  assert_string_equal(sqlstate_of(reply), "08006");
  json_decref(reply);
  open_archiver();
  pump(run_has_begun, &one);
  pump(is_idle, NULL);
  assert_int_equal(count_runs("ready"), 1);
  close_bench();
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static void a_new_view_over_old_events_gets_its_run_by_itself(void **state) {
  (void)state;
  uint32_t one = 1, count;
  open_bench(PAYMENTS_STREAM TOTALS_VIEW);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 30);
  rig_settle(&bench.rig);
  open_scheduler();
  turn_in_vain(); /* a view that was there from the beginning is all live */
  tly_scheduler_close(bench.scheduler);
  rig_stop(&bench.rig);
  rig_change_project(&bench.rig, PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  write_project(PAYMENTS_STREAM TOTALS_VIEW KINDS_VIEW);
  rig_settle(&bench.rig);
  open_scheduler();
  pump(run_has_begun, &one);
  pump(is_idle, NULL);
  struct tly_run *runs = read_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].reason, "definition");
  assert_int_equal(runs[0].view_count, 1);
  assert_string_equal(runs[0].views[0].view, "kinds");
  assert_int_equal(runs[0].drift, -1); /* nothing to compare with */
  assert_true(rig_published(&bench.rig, "kinds").is_ready);
  rig_assert_right(&bench.rig);
  turn_in_vain();
  close_bench();
}

/* ---- the child that waits ---------------------------------------------------------------------------------------- */

/* The process of our child, found by its parent; 0: none now. */
static pid_t find_child(void) {
  char path[100];
  struct tly_buffer text = {0};
  pid_t child = 0;
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  if (tly_file_read(path, 4096, &text, &test_error) == TLY_OK && text.size > 0)
    child = (pid_t)strtol(tly_buffer_text(&text), NULL, 10);
  tly_buffer_free(&text);
  return child;
}

/* Whether a child is there, and another one than that of the run before, *context. */
static bool child_waits(void *context) {
  pid_t child = find_child();
  return tly_scheduler_is_idle(bench.scheduler) && child != 0 && child != *(const pid_t *)context;
}

/* Kill the child that waits, if there is one, and see it dead. */
static void kill_waiting_child(void) {
  siginfo_t how;
  pid_t child = find_child();
  if (child == 0)
    return;
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitid(P_PID, (id_t)child, &how, WEXITED | WNOWAIT), 0);
}

/* A reply to recompute_all by a child that has this crash point in its environment, and by none that was there before
 * or will be there after. */
static json_t *ask_and_crash(const char *point) {
  kill_waiting_child();
  setenv("TALLY_CRASH_AT", point, 1);
  json_t *reply = ask(recompute_all);
  unsetenv("TALLY_CRASH_AT");
  kill_waiting_child();
  return reply;
}

static void a_child_waits_for_the_next_run_and_computes_it(void **state) {
  (void)state;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 300);
  rig_settle(&bench.rig);
  pid_t waiting = 0;
  open_scheduler();
  pump(child_waits, &waiting);
  waiting = find_child();
  json_decref(ask(recompute_all));
  pump(child_waits, &waiting); /* one child, one run */
  rig_assert_right(&bench.rig);
  close_bench();
  assert_int_equal(find_child(), 0);
}

static void a_waiting_child_that_dies_costs_nothing(void **state) {
  (void)state;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 300);
  rig_settle(&bench.rig);
  pid_t child = 0;
  open_scheduler();
  for (int i = 0; i < 2; i++) {
    pump(child_waits, &child);
    kill_waiting_child();
    if (i == 1) /* seen before the run, or by it */
      turn_in_vain();
    json_t *reply = ask(recompute_all);
    assert_string_equal(sqlstate_of(reply), "none");
    json_decref(reply);
    child = find_child(); /* on its way out, or gone */
  }
  assert_int_equal(count_runs("ready"), 2);
  rig_assert_right(&bench.rig);
  close_bench();
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void a_recompute_that_is_killed_changes_nothing(void **state) {
  (void)state;
  static const char *const points[] = {"recompute.after_fold", "recompute.after_merge", "recompute.after_manifest"};
  uint32_t count;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 1000, 300);
  rig_settle(&bench.rig);
  open_scheduler();
  json_t *reply = ask(recompute_all);
  int64_t published = member(reply, "run");
  json_decref(reply);
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    rig_ingest_payments(&bench.rig, 0, 1000 + 10 * (int)i, 10, 300);
    reply = ask_and_crash(points[i]);
    assert_string_equal(sqlstate_of(reply), "XX000");
    json_decref(reply);
    struct tly_run *runs = read_runs(&count);
    assert_string_equal(runs[0].state, "failed");
    assert_non_null(strstr(runs[0].error, "signal 9"));
    assert_false(has_folder(runs[0].id));
    rig_settle(&bench.rig);
    assert_int_equal(rig_published(&bench.rig, "totals").run, published);
    rig_assert_right(&bench.rig);
  }
  reply = ask(recompute_all);
  assert_int_equal(member(reply, "drift"), 0); /* generations of failed runs simply add up */
  assert_int_equal(rig_published(&bench.rig, "totals").run, member(reply, "run"));
  rig_assert_right(&bench.rig);
  json_decref(reply);
  close_bench();
}

static void a_kill_at_any_moment_fails_the_run_or_comes_too_late(void **state) {
  (void)state;
  int rounds = getenv("TALLY_LONG") != NULL ? 200 : 8, killed = 0;
  unsigned seed = 7;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 20000, 3000);
  rig_settle(&bench.rig);
  open_scheduler();
  for (int round = 0; round < rounds || killed == 0; round++) {
    tly_client *client = connect_client();
    int lines = 0;
    uint32_t turns = (uint32_t)rand_r(&seed) % 40;
    send_line(client, recompute_all);
    for (uint32_t i = 0; i < turns || find_child() == 0; i++) {
      serve_cut();
      CHECK_OK(tly_scheduler_turn(bench.scheduler, 1, &test_error));
      if (has_reply(client))
        break;
      rig_settle(&bench.rig);
    }
    pid_t child = find_child();
    if (child > 0)
      kill(child, SIGKILL);
    json_t *reply = receive_last(client, &lines);
    bool failed = json_object_get(reply, "error") != NULL;
    killed += failed;
    rig_settle(&bench.rig);
    rig_assert_right(&bench.rig);
    json_decref(reply);
    tly_client_close(client);
  }
  assert_int_equal(count_runs("failed"), killed);
  assert_int_equal(count_runs("running"), 0);
  close_bench();
}

static void a_run_under_way_when_we_are_stopped_is_failed(void **state) {
  (void)state;
  uint32_t one = 1, count;
  int lines = 0;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 20000, 300);
  rig_settle(&bench.rig);
  open_scheduler();
  tly_client *client = connect_client();
  send_line(client, recompute_all);
  pump(run_has_begun, &one);
  tly_scheduler_close(bench.scheduler);
  bench.scheduler = NULL;
  json_t *reply = receive_last(client, &lines);
  assert_string_equal(sqlstate_of(reply), "57014");
  struct tly_run *runs = read_runs(&count);
  assert_string_equal(runs[0].state, "failed");
  assert_false(has_folder(runs[0].id));
  assert_int_equal(find_child(), 0);
  json_decref(reply);
  tly_client_close(client);
  close_bench();
}

static void runs_left_running_by_a_dead_process_are_failed_and_cleared(void **state) {
  (void)state;
  uint32_t count;
  tly_batch_store *store;
  char path[400];
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  const struct tly_view *views[] = {&bench.rig.project->views[0]};
  for (int64_t number = 50; number < 52; number++) {
    CHECK_OK(tly_batch_store_open(bench.rig.directory, 1, &store, &test_error));
    struct tly_cut cut = {.number = number};
    struct tly_run_start start = {.cut = &cut,
                                  .reason = "manual",
                                  .started_at_us = 5,
                                  .views = views,
                                  .fired_at_us = (int64_t[]){0},
                                  .view_count = 1};
    CHECK_OK(tly_batch_store_begin(store, &start, &test_error));
    tly_batch_store_close(store);
    snprintf(path, sizeof path, "%s/runs/%" PRId64, bench.rig.directory, number);
    CHECK_OK(tly_file_make_folder(path, &test_error));
  }
  snprintf(path, sizeof path, "%s/runs/51/manifest.json", bench.rig.directory);
  CHECK_OK(tly_file_replace(path, "{}", 2, &test_error));
  snprintf(path, sizeof path, "%s/runs/of somebody", bench.rig.directory);
  CHECK_OK(tly_file_make_folder(path, &test_error));
  open_scheduler();
  struct tly_run *runs = read_runs(&count);
  assert_int_equal(count, 2);
  for (uint32_t i = 0; i < count; i++) {
    assert_string_equal(runs[i].state, "failed");
    assert_non_null(strstr(runs[i].error, "interrupted"));
  }
  assert_false(has_folder(50)); /* an attempt that came to nothing */
  assert_true(has_folder(51));  /* one that says it is whole: reported, not deleted */
  assert_true(tly_file_exists(path));
  close_bench();
}

static void a_run_nobody_publishes_stays_ready(void **state) {
  (void)state;
  uint32_t count;
  open_bench(THREE_VIEWS);
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  bench.speed_runs = false;
  setenv("TALLY_DRIFT_WAIT_MS", "30", 1);
  open_scheduler();
  json_t *reply = ask(recompute_all);
  unsetenv("TALLY_DRIFT_WAIT_MS");
  assert_string_equal(sqlstate_of(reply), "55000");
  struct tly_run *runs = read_runs(&count);
  assert_int_equal(count, 1);
  assert_string_equal(runs[0].state, "ready");
  assert_int_equal(runs[0].drift, -1);
  assert_non_null(strstr(runs[0].note, "drift not checked"));
  assert_true(tly_scheduler_is_idle(bench.scheduler));
  rig_settle(&bench.rig); /* the speed layer comes back and publishes it */
  assert_int_equal(rig_published(&bench.rig, "totals").run, runs[0].id);
  rig_assert_right(&bench.rig);
  json_decref(reply);
  close_bench();
}

/* ---- retention --------------------------------------------------------------------------------------------------- */

static void old_runs_go_when_nobody_reads_them(void **state) {
  (void)state;
  tly_run_reader *reader = NULL;
  int64_t ids[5];
  open_bench(THREE_VIEWS);
  bench.settings.keep_runs = 2;
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  open_scheduler();
  struct tly_view_program *totals = tly_view_program_new(tly_project_view(bench.rig.project, "totals"));
  for (int i = 0; i < 5; i++) {
    json_t *reply = ask(recompute_all);
    ids[i] = member(reply, "run");
    json_decref(reply);
    if (i == 1)
      CHECK_OK(tly_run_reader_open(bench.rig.directory, ids[1], totals, &reader, &test_error));
  }
  assert_false(has_folder(ids[0]));
  assert_true(has_folder(ids[1])); /* it is still read */
  assert_false(has_folder(ids[2]));
  assert_true(has_folder(ids[3]));
  assert_true(has_folder(ids[4]));
  assert_int_equal(count_runs("ready"), 2);
  assert_int_equal(count_runs("withdrawn"), 3);
  tly_run_reader_close(reader);
  json_t *reply = ask(recompute_all);
  assert_false(has_folder(ids[1]));
  assert_false(has_folder(ids[3]));
  json_decref(reply);
  tly_view_program_free(totals);
  close_bench();
}

static void the_last_run_of_a_view_is_kept_however_old(void **state) {
  (void)state;
  open_bench(THREE_VIEWS);
  bench.settings.keep_runs = 1;
  rig_ingest_payments(&bench.rig, 0, 0, 100, 30);
  rig_settle(&bench.rig);
  open_scheduler();
  json_t *reply = ask(recompute_all);
  int64_t first = member(reply, "run");
  json_decref(reply);
  for (int i = 0; i < 3; i++)
    json_decref(ask("{\"id\":1,\"method\":\"recompute\",\"params\":{\"views\":[\"kinds\"]}}\n"));
  assert_true(has_folder(first)); /* totals and shares are published from it */
  assert_int_equal(count_runs("ready"), 2);
  rig_assert_right(&bench.rig);
  close_bench();
}

/* ---- priority ---------------------------------------------------------------------------------------------------- */

static bool has_stepped_back(pid_t process) {
  char path[64];
  struct tly_buffer text = {0};
  snprintf(path, sizeof path, "/proc/%d/autogroup", (int)process);
  bool is_small = !tly_file_exists("/proc/self/autogroup"); /* this kernel has no such groups */
  if (tly_file_read(path, 256, &text, NULL) == TLY_OK)
    is_small |= strstr(tly_buffer_text(&text), " nice 10") != NULL;
  tly_buffer_free(&text);
  return is_small && getsid(process) == process && getpriority(PRIO_PROCESS, (id_t)process) == 10;
}

/* Threads of the lowest priority in the group of the live processes would hold up kernel threads that these wait for.
 */
static void a_recompute_is_a_group_of_its_own_with_a_small_share(void **state) {
  (void)state;
  struct tly_recompute_child child = {0};
  open_bench(THREE_VIEWS);
  CHECK_OK(tly_recompute_child_prepare(&child, &bench.settings, &test_error));
  int64_t until_us = tly_clock_monotonic_us(&tly_clock_real) + INT64_C(60000000);
  while (!has_stepped_back(child.process) && tly_clock_monotonic_us(&tly_clock_real) < until_us)
    usleep(1000);
  assert_true(has_stepped_back(child.process));
  assert_int_not_equal(getsid(0), child.process);
  tly_recompute_child_kill(&child);
  close_bench();
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

int main(int argc, char **argv) {
  if (argc > 1 && strstr(argv[1], "-child") != NULL)
    return be_child(argc, argv);
  ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
  if (size <= 0)
    return 1;
  tly_process_setup("test", false);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_is_answered_when_its_run_is_published),
      cmocka_unit_test(progress_comes_before_the_result_to_who_wants_it),
      cmocka_unit_test(a_request_that_makes_no_sense_is_an_error_reply),
      cmocka_unit_test(equal_requests_share_a_run_and_others_queue),
      cmocka_unit_test(requests_of_one_connection_are_answered_in_order),
      cmocka_unit_test(a_client_that_goes_away_leaves_its_run_going),
      cmocka_unit_test(reconcile_answers_with_the_keys_that_differ),
      cmocka_unit_test(a_view_is_reconciled_with_a_ledger_in_a_child_of_its_own),
      cmocka_unit_test(reconciliations_queue_and_a_recompute_goes_on_beside_them),
      cmocka_unit_test(a_request_for_a_ledger_that_makes_no_sense_is_an_error_reply),
      cmocka_unit_test(a_ledger_that_cannot_be_read_is_incomplete),
      cmocka_unit_test(more_reconciliations_than_may_wait_are_refused),
      cmocka_unit_test(a_stop_ends_reconciliations_and_tells_who_waits),
      cmocka_unit_test(views_that_are_due_at_one_minute_share_a_run),
      cmocka_unit_test(a_schedule_goes_by_the_clocks_of_its_time_zone),
      cmocka_unit_test(a_missed_run_is_made_up_once),
      cmocka_unit_test(a_schedule_tries_again_when_no_archiver_is_there),
      cmocka_unit_test(a_new_view_over_old_events_gets_its_run_by_itself),
      cmocka_unit_test(a_child_waits_for_the_next_run_and_computes_it),
      cmocka_unit_test(a_waiting_child_that_dies_costs_nothing),
      cmocka_unit_test(a_recompute_that_is_killed_changes_nothing),
      cmocka_unit_test(a_kill_at_any_moment_fails_the_run_or_comes_too_late),
      cmocka_unit_test(a_run_under_way_when_we_are_stopped_is_failed),
      cmocka_unit_test(runs_left_running_by_a_dead_process_are_failed_and_cleared),
      cmocka_unit_test(a_run_nobody_publishes_stays_ready),
      cmocka_unit_test(old_runs_go_when_nobody_reads_them),
      cmocka_unit_test(the_last_run_of_a_view_is_kept_however_old),
      cmocka_unit_test(a_recompute_is_a_group_of_its_own_with_a_small_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
