/* The serving process over its real socket, over stores that the other layers have written: half of the events are in a
 * published run, half are live. The server is this program again, started with the word "serve". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/wire/client.h"
#include "common/wire/request.h"
#include "common/wire/socket.h"
#include "serving_layer/serve.h"
#include "tests/support/speed_project.h"
#include "tests/support/speed_rig.h"

#define QUERY_TIMEOUT_MS "1500"

enum { TIMEOUT_MS = 20000, ACCOUNTS = 1500 };

/* Beside the shared views: no GROUP BY, HAVING, a numeric and a nullable key. */
#define DEFINITIONS                                                                                                    \
  THREE_VIEWS                                                                                                          \
  "CREATE MATERIALIZED VIEW everything AS SELECT count(*) AS n, sum(amount) AS total, count(DISTINCT kind) AS kinds"   \
  " FROM payments;\n"                                                                                                  \
  "CREATE MATERIALIZED VIEW nothing AS SELECT count(*) AS n, max(kind) AS k FROM payments WHERE amount < 0;\n"         \
  "CREATE MATERIALIZED VIEW amounts AS SELECT amount, kind, count(*) AS n FROM payments GROUP BY amount, kind;\n"      \
  "CREATE MATERIALIZED VIEW often AS SELECT account, count(*) AS n FROM payments GROUP BY account"                     \
  " HAVING count(*) > 4;\n"                                                                                            \
  "CREATE MATERIALIZED VIEW sizes AS SELECT account, length(account) AS size, count(*) AS n FROM payments"             \
  " GROUP BY account, size;\n"

static const char *const views[] = {"totals",  "kinds", "shares", "everything", "nothing",
                                    "amounts", "often", "sizes",  NULL};

static struct rig rig;
static char project_folder[300];
static char socket_path[300];
static pid_t server;

/* ---- the server -------------------------------------------------------------------------------------------------- */

static int serve(char **arguments) {
  struct tly_settings settings = {.directory = arguments[2],
                                  .project = arguments[3],
                                  .query_timeout_ms = atoi(arguments[4]),
                                  .query_memory_bytes = 64 << 20};
  return tly_serve_main(&settings);
}

static void start_server(const char *query_timeout_ms) {
  int ready[2];
  char number[16], byte;
  assert_int_equal(pipe(ready), 0);
  server = fork();
  assert_true(server >= 0);
  if (server == 0) {
    snprintf(number, sizeof number, "%d", ready[1]);
    setenv("TALLY_READY_FD", number, 1);
    close(ready[0]);
    execl("/proc/self/exe", "test_serve", "serve", rig.directory, project_folder, query_timeout_ms, (char *)NULL);
    _exit(127);
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1); /* 0 when it ended instead */
  close(ready[0]);
}

static void stop_server(void) {
  int status;
  kill(server, SIGTERM);
  assert_int_equal(waitpid(server, &status, 0), server);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int open_all(void **state) {
  struct tly_error error = TLY_ERROR_NONE;
  char path[400];
  (void)state;
  rig_open(&rig, DEFINITIONS);
  rig_ingest_payments(&rig, 0, 0, 4000, ACCOUNTS);
  rig_start(&rig);
  rig_cut_and_run(&rig, views);
  rig_ingest_payments(&rig, 0, 4000, 3000, ACCOUNTS);
  rig_settle(&rig);
  snprintf(project_folder, sizeof project_folder, "%s/project", rig.directory);
  snprintf(socket_path, sizeof socket_path, "%s/tally.sock", rig.directory);
  assert_int_equal(tly_file_make_folder(project_folder, &error), TLY_OK);
  snprintf(path, sizeof path, "%s/views.sql", project_folder);
  assert_int_equal(tly_file_replace(path, DEFINITIONS, strlen(DEFINITIONS), &error), TLY_OK);
  start_server(QUERY_TIMEOUT_MS);
  return 0;
}

static int close_all(void **state) {
  (void)state;
  stop_server();
  rig_close(&rig);
  return 0;
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

static tly_client *client_open(void) {
  struct tly_error error = TLY_ERROR_NONE;
  tly_client *client;
  if (tly_client_connect(socket_path, false, &client, &error) != TLY_OK)
    fail_msg("%s", error.message);
  return client;
}

static void client_send(tly_client *client, const char *text) {
  struct tly_error error = TLY_ERROR_NONE;
  assert_int_equal(tly_client_send(client, text, strlen(text), &error), TLY_OK);
}

static json_t *client_receive(tly_client *client) {
  struct tly_error error = TLY_ERROR_NONE;
  json_t *reply;
  if (tly_client_receive(client, TIMEOUT_MS, &reply, &error) != TLY_OK)
    fail_msg("%s", error.message);
  return reply;
}

/* One line there, one line back; the caller decrefs. */
static json_t *ask(const char *line) {
  tly_client *client = client_open();
  client_send(client, line);
  client_send(client, "\n");
  json_t *reply = client_receive(client);
  tly_client_close(client);
  return reply;
}

static json_t *at(const json_t *value, const char *path) {
  char names[200], *next = names;
  snprintf(names, sizeof names, "%s", path);
  for (char *name; value != NULL && (name = strsep(&next, ".")) != NULL;)
    value = *name >= '0' && *name <= '9' ? json_array_get(value, (size_t)atoi(name)) : json_object_get(value, name);
  return (json_t *)(uintptr_t)value;
}

static const char *text_at(const json_t *value, const char *path) {
  const char *text = json_string_value(at(value, path));
  if (text == NULL) {
    char *dump = json_dumps(value, 0);
    fail_msg("no text at %s in %s", path, dump);
  }
  return text;
}

static void check_error(const char *line, int code, const char *sqlstate) {
  json_t *reply = ask(line);
  char *dump = json_dumps(reply, 0);
  if (json_integer_value(at(reply, "error.code")) != code ||
      strcmp(text_at(reply, "error.data.sqlstate"), sqlstate) != 0)
    fail_msg("%.200s: %s", line, dump);
  free(dump);
  json_decref(reply);
}

static void check_result(const char *line, const char *rows) {
  json_t *reply = ask(line);
  char *dump = json_dumps(at(reply, "result.rows"), JSON_COMPACT);
  if (dump == NULL) {
    dump = json_dumps(reply, JSON_COMPACT);
    fail_msg("%s: %s", line, dump);
  }
  assert_string_equal(dump, rows);
  free(dump);
  json_decref(reply);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void an_answer_has_columns_rows_and_what_it_rests_on(void **state) {
  (void)state;
  json_t *reply = ask("{\"id\":5,\"method\":\"query\",\"params\":{\"sql\":\"SELECT kind, n, largest FROM kinds ORDER "
                      "BY kind LIMIT 1\"}}");
  assert_int_equal(json_integer_value(at(reply, "id")), 5);
  assert_string_equal(text_at(reply, "result.columns.0.name"), "kind");
  assert_string_equal(text_at(reply, "result.columns.0.type"), "text");
  assert_string_equal(text_at(reply, "result.columns.1.type"), "bigint");
  assert_string_equal(text_at(reply, "result.columns.2.type"), "numeric");
  assert_string_equal(text_at(reply, "result.rows.0.0"), "k0");
  assert_int_equal(json_integer_value(at(reply, "result.as_of.run")), 1);
  assert_int_equal(json_integer_value(at(reply, "result.as_of.cut.payments.0")), 4000);
  assert_int_equal(json_integer_value(at(reply, "result.as_of.live.payments.0")), 7000);
  assert_int_equal(strlen(text_at(reply, "result.as_of.definition")), 32);
  assert_null(at(reply, "result.as_of.set_aside"));
  json_decref(reply);
  reply = ask("SELECT count(*) FROM shares");
  assert_int_equal(json_integer_value(at(reply, "result.as_of.set_aside")), 7000 / 11 + 1);
  json_decref(reply);
}

static void a_line_without_a_brace_is_sql(void **state) {
  (void)state;
  check_result("SELECT sum(n), count(*) FROM totals", "[[\"7000\",1500]]");
  check_result("  SELECT 1, 'a', NULL, true, 1.50", "[[1,\"a\",null,true,\"1.50\"]]");
  check_result("SELECT count(*) FROM run_1.kinds", "[[7]]");
}

/* Each account, asked for by its key: the loop's answer is the executor's, to the byte. */
static void a_point_query_answers_what_the_executor_answers(void **state) {
  tly_client *client = client_open();
  (void)state;
  for (int account = 0; account < 40; account++) {
    struct tly_buffer lines = {0};
    tly_buffer_print(&lines,
                     "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"SELECT account, n, total, kinds, last_kind "
                     "FROM totals WHERE account = $1\",\"args\":[\"A-%d\"]}}\n",
                     account * 41);
    tly_buffer_print(&lines,
                     "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"SELECT account, n, total, kinds, last_kind "
                     "FROM totals WHERE account = $1 LIMIT 9\",\"args\":[\"A-%d\"]}}\n",
                     account * 41);
    tly_buffer_print(
        &lines,
        "SELECT n, largest FROM kinds WHERE kind = 'k%d'\nSELECT n, largest FROM kinds WHERE kind = 'k%d' OFFSET 0\n",
        account, account);
    client_send(client, tly_buffer_text(&lines));
    for (int pair = 0; pair < 2; pair++) {
      json_t *point = client_receive(client), *executed = client_receive(client);
      assert_non_null(at(point, "result"));
      if (!json_equal(point, executed))
        fail_msg("%s\n%s", json_dumps(point, 0), json_dumps(executed, 0));
      json_decref(point);
      json_decref(executed);
    }
    tly_buffer_free(&lines);
  }
  tly_client_close(client);
}

/* One line answered on the loop, and the same with a LIMIT that sends it to the pool. */
static void check_both_ways(const char *sql, const char *args) {
  struct tly_buffer lines = {0};
  tly_client *client = client_open();
  for (int way = 0; way < 2; way++)
    tly_buffer_print(&lines, "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"%s%s\",\"args\":%s}}\n", sql,
                     way == 0 ? "" : " LIMIT 9", args);
  client_send(client, tly_buffer_text(&lines));
  json_t *point = client_receive(client), *executed = client_receive(client);
  if (at(point, "result") == NULL || !json_equal(point, executed))
    fail_msg("%s\n%s\n%s", sql, json_dumps(point, 0), json_dumps(executed, 0));
  json_decref(point);
  json_decref(executed);
  tly_client_close(client);
  tly_buffer_free(&lines);
}

static void every_kind_of_view_and_key_is_answered_alike_both_ways(void **state) {
  (void)state;
  check_both_ways("SELECT * FROM everything", "[]");
  check_both_ways("SELECT k, n FROM nothing", "[]");
  check_both_ways("SELECT n, amount FROM amounts WHERE kind = $1 AND amount = $2", "[\"k1\",\"1.01\"]");
  check_both_ways("SELECT n, amount FROM amounts WHERE $1 = kind AND amount = 1.010", "[\"k1\"]");
  check_both_ways("SELECT n, amount FROM amounts WHERE kind = $1 AND amount = $2", "[\"k1\",1]");
  check_both_ways("SELECT kind, share FROM shares WHERE kind = 'k3'", "[]");
  for (int account = 0; account < 20; account++) {
    char args[30];
    snprintf(args, sizeof args, "[\"A-%d\"]", account);
    check_both_ways("SELECT n FROM often WHERE account = $1", args);
  }
  check_result("SELECT n, kinds FROM everything", "[[7000,7]]");
  check_result("SELECT * FROM nothing", "[[0,null]]");
  check_result("SELECT n FROM amounts WHERE kind = 'k1' AND amount = 1.010", "[[1]]");
}

/* Statements that differ in their literals only are one statement: it must not be noticed. */
static void literals_are_answered_alike_whatever_was_asked_before(void **state) {
  (void)state;
  for (int i = 0; i < 30; i++) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT n, total FROM totals WHERE account = 'A-%d'", i * 7);
    check_both_ways(sql, "[]");
    snprintf(sql, sizeof sql, "SELECT n FROM sizes WHERE account = 'A-%d' AND size = %d", i, 3 + i % 2);
    check_both_ways(sql, "[]");
  }
  check_both_ways("SELECT n FROM sizes WHERE account = 'A-1' AND size = '3'", "[]");
  check_both_ways("SELECT n FROM sizes WHERE account = 'A-1' AND size = 100000", "[]");
  check_error("SELECT n FROM sizes WHERE account = 1 AND size = 3", -32602, "42883");
  check_error("SELECT n FROM sizes WHERE account = 'A-1' AND size = 'x'", -32602, "22P02");
  check_both_ways("SELECT n FROM sizes WHERE account = 'A-1' AND size = 3", "[]");
  check_error("SELECT n FROM totals WHERE account = 5", -32602, "42883");
}

static void a_key_that_is_not_there_or_null_gives_no_row(void **state) {
  (void)state;
  check_result(
      "{\"method\":\"query\",\"params\":{\"sql\":\"SELECT n FROM totals WHERE account = $1\",\"args\":[\"nobody\"]}}",
      "[]");
  check_result(
      "{\"method\":\"query\",\"params\":{\"sql\":\"SELECT n FROM totals WHERE account = $1\",\"args\":[null]}}", "[]");
}

/* `count` requests at once: points, some for the pool, some that are none. */
static void send_mixed(tly_client *client, int count) {
  struct tly_buffer lines = {0};
  for (int i = 0; i < count; i++)
    tly_buffer_print(
        &lines,
        i % 10 == 3 ? "{\"id\":%d,\"method\":\"query\",\"params\":{\"sql\":\"SELECT count(*) FROM kinds\"}}\n"
        : i % 10 == 5
            ? "{\"id\":%d,\"method\":\"nope\"}\n"
            : "{\"id\":%d,\"method\":\"query\",\"params\":{\"sql\":\"SELECT n FROM kinds WHERE kind = 'k1'\"}}\n",
        i);
  client_send(client, tly_buffer_text(&lines));
  tly_buffer_free(&lines);
}

static void check_mixed(tly_client *client, int count) {
  for (int i = 0; i < count; i++) {
    json_t *reply = client_receive(client);
    assert_int_equal(json_integer_value(at(reply, "id")), i);
    assert_int_equal(at(reply, "error") != NULL, i % 10 == 5);
    json_decref(reply);
  }
}

static void pipelined_requests_are_answered_in_order(void **state) {
  tly_client *client = client_open();
  (void)state;
  send_mixed(client, 900);
  check_mixed(client, 900);
  tly_client_close(client);
}

/* More clients than take their turns together, with more requests than fit into one turn; some leave at once. */
static void clients_that_come_together_are_each_answered_in_order(void **state) {
  enum { CLIENTS = 40, REQUESTS = 150 };
  tly_client *clients[CLIENTS];
  (void)state;
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = client_open();
  for (int i = 0; i < CLIENTS; i++)
    send_mixed(clients[i], i % 3 == 0 ? 1 : REQUESTS);
  for (int i = 0; i < CLIENTS; i++) {
    if (i % 5 != 4)
      check_mixed(clients[i], i % 3 == 0 ? 1 : REQUESTS);
    tly_client_close(clients[i]);
  }
}

static void a_large_answer_comes_in_parts_of_the_same_id(void **state) {
  tly_client *client = client_open();
  size_t rows = 0, lines = 0;
  (void)state;
  client_send(
      client,
      "{\"id\":\"big\",\"method\":\"query\",\"params\":{\"sql\":\"SELECT a.account, b.n FROM totals a, kinds b\"}}\n");
  for (bool is_last = false; !is_last; lines++) {
    json_t *reply = client_receive(client);
    assert_string_equal(text_at(reply, "id"), "big");
    is_last = at(reply, "result") != NULL;
    rows += json_array_size(is_last ? at(reply, "result.rows") : at(reply, "rows"));
    json_decref(reply);
  }
  assert_int_equal(rows, ACCOUNTS * 7);
  assert_true(lines >= 11);
  tly_client_close(client);
}

static void a_client_that_ends_its_side_still_gets_its_replies(void **state) {
  struct tly_error error = TLY_ERROR_NONE;
  tly_client *client = client_open();
  json_t *reply;
  (void)state;
  client_send(client, "SELECT count(*) FROM totals\nSELECT n FROM kinds WHERE kind = 'k1'\nSELECT 3\n");
  assert_int_equal(shutdown(tly_client_fd(client), SHUT_WR), 0);
  for (int i = 0; i < 3; i++)
    json_decref(client_receive(client));
  assert_int_equal(tly_client_receive(client, TIMEOUT_MS, &reply, &error), TLY_E_CONNECTION);
  tly_client_close(client);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void errors_carry_sqlstate_position_and_hint(void **state) {
  (void)state;
  json_t *reply = ask("{\"id\":2,\"method\":\"query\",\"params\":{\"sql\":\"SELECT totl FROM totals\"}}");
  assert_int_equal(json_integer_value(at(reply, "error.code")), -32602);
  assert_string_equal(text_at(reply, "error.data.sqlstate"), "42703");
  assert_int_equal(json_integer_value(at(reply, "error.data.position")), 8);
  assert_string_equal(text_at(reply, "error.message"), "column \"totl\" does not exist");
  json_decref(reply);
  check_error("SELECT 1/0", -32602, "22012");
  check_error("SELECT n / (n - n) FROM kinds WHERE kind = 'k1'", -32602, "22012");
  check_error("SELECT * FROM nope", -32602, "42P01");
  check_error("SELECT n FROM run_77.kinds", -32602, "42P01");
  check_error("{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"SELECT $1\",\"args\":[1,2]}}", -32602, "08P01");
  check_error("{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":5}}", -32602, "22023");
  check_error("{\"id\":1,\"method\":\"query\",\"params\":{}}", -32602, "22023");
  check_error(
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"SELECT n FROM kinds WHERE n = $1\",\"args\":[\"x\"]}}",
      -32602, "22P02");
}

static void requests_that_are_none_are_errors_and_the_connection_lives_on(void **state) {
  static const struct {
    const char *line;
    int code;
  } cases[] = {{"{\"id\":1,\"method\":\"nope\"}", -32601},
               {"{\"id\":1}", -32600},
               {"{\"id\":1,\"method\":\"cut\"}", -32601},
               {"{not json", -32700},
               {"{\"id\":1,\"method\":\"query\",\"params\":[]}", -32602}};
  tly_client *client = client_open();
  struct tly_buffer deep = {0};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    client_send(client, cases[i].line);
    client_send(client, "\r\n\n");
    json_t *reply = client_receive(client);
    assert_int_equal(json_integer_value(at(reply, "error.code")), cases[i].code);
    json_decref(reply);
  }
  tly_buffer_append_text(&deep, "{\"id\":1,\"params\":");
  for (int i = 0; i < 100000; i++)
    tly_buffer_append_byte(&deep, '[');
  tly_buffer_append_byte(&deep, '\n');
  client_send(client, tly_buffer_text(&deep));
  json_t *reply = client_receive(client);
  assert_string_equal(text_at(reply, "error.data.sqlstate"), "54001");
  json_decref(reply);
  client_send(client, "SELECT 1\n");
  json_decref(client_receive(client));
  tly_client_close(client);
  tly_buffer_free(&deep);
}

/* ---- hostile clients --------------------------------------------------------------------------------------------- */

static void a_line_of_two_mebibytes_is_refused_once_and_skipped(void **state) {
  tly_client *client = client_open();
  char *line = tly_malloc(2 << 20);
  (void)state;
  memset(line, 'x', 2 << 20);
  line[(2 << 20) - 2] = '\n';
  line[(2 << 20) - 1] = 0;
  client_send(client, line);
  client_send(client, "SELECT 4\n");
  json_t *reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "error.code")), -32600);
  assert_string_equal(text_at(reply, "error.data.sqlstate"), "54000");
  json_decref(reply);
  reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "result.rows.0.0")), 4);
  json_decref(reply);
  tly_free(line);
  tly_client_close(client);
}

static void half_a_line_holds_nobody_up(void **state) {
  tly_client *slow = client_open();
  (void)state;
  client_send(slow, "SELECT 1");
  check_result("SELECT 2", "[[2]]");
  client_send(slow, "0\n");
  json_t *reply = client_receive(slow);
  assert_int_equal(json_integer_value(at(reply, "result.rows.0.0")), 10);
  json_decref(reply);
  tly_client_close(slow);
}

static void deep_parentheses_are_an_error_not_a_crash(void **state) {
  struct tly_buffer sql = {0};
  (void)state;
  tly_buffer_append_text(&sql, "SELECT ");
  for (int i = 0; i < 100000; i++)
    tly_buffer_append_byte(&sql, '(');
  check_error(tly_buffer_text(&sql), -32602, "54000");
  sql.size = 60000;
  json_t *reply = ask(tly_buffer_text(&sql));
  assert_non_null(at(reply, "error"));
  json_decref(reply);
  check_result("SELECT 2", "[[2]]");
  tly_buffer_free(&sql);
}

static void a_cross_join_is_refused_or_ends_at_its_deadline(void **state) {
  (void)state;
  check_error("SELECT count(*) FROM totals a, totals b, totals c, totals d, totals e, totals f, totals g, totals h, "
              "totals i, totals j",
              -32602, "54001");
  check_error("SELECT count(*) FROM totals a, totals b, totals c, totals d", -32000, "57014");
}

/* Thirty clients ask for large answers (rows so wide that one part fills their sockets) and do not read: more than the
 * pool has threads. Others are answered nevertheless. */
static void clients_that_never_read_hold_nobody_up(void **state) {
  tly_client *slow[30];
  struct tly_buffer sql = {0};
  (void)state;
  stop_server();
  start_server("60000"); /* however slow the machine is, nobody is saved by a deadline */
  tly_buffer_append_text(&sql, "SELECT '");
  for (int i = 0; i < 4000; i++)
    tly_buffer_append_byte(&sql, 'x');
  tly_buffer_append_byte(&sql, '\'');
  tly_buffer_append_text(&sql, " FROM totals a, totals b, kinds c\n");
  for (int i = 0; i < 30; i++) {
    slow[i] = client_open();
    client_send(slow[i], tly_buffer_text(&sql));
  }
  check_result("SELECT n > 0 FROM kinds WHERE kind = 'k1' LIMIT 1", "[[true]]");
  for (int i = 0; i < 30; i++)
    tly_client_close(slow[i]);
  check_result("SELECT 2", "[[2]]");
  tly_buffer_free(&sql);
  stop_server();
  start_server(QUERY_TIMEOUT_MS);
}

static void the_connection_over_the_limit_is_told_and_closed(void **state) {
  static tly_client *clients[TLY_CONNECTIONS_MAX];
  struct rlimit limit;
  struct tly_error error;
  json_t *reply;
  (void)state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < TLY_CONNECTIONS_MAX + 100)
    skip();
  limit.rlim_cur = limit.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  for (int i = 0; i < TLY_CONNECTIONS_MAX; i++)
    clients[i] = client_open();
  client_send(clients[TLY_CONNECTIONS_MAX - 1], "SELECT 3\n"); /* answered: all were accepted */
  json_decref(client_receive(clients[TLY_CONNECTIONS_MAX - 1]));
  tly_client *over = client_open();
  reply = client_receive(over);
  assert_string_equal(text_at(reply, "error.data.sqlstate"), "53300");
  json_decref(reply);
  assert_int_equal(tly_client_receive(over, TIMEOUT_MS, &reply, &error), TLY_E_CONNECTION);
  tly_client_close(over);
  for (int i = 0; i < TLY_CONNECTIONS_MAX; i++)
    tly_client_close(clients[i]);
  do { /* as soon as the server has noticed */
    over = client_open();
    client_send(over, "SELECT 2\n");
    reply = client_receive(over);
    tly_client_close(over);
    if (at(reply, "result") != NULL)
      break;
    json_decref(reply);
  } while (true);
  json_decref(reply);
}

static void bytes_of_any_kind_do_no_harm(void **state) {
  unsigned seed = 20260302;
  (void)state;
  for (int round = 0; round < 30; round++) {
    tly_client *client = client_open();
    struct tly_error error;
    char noise[4000];
    for (size_t i = 0; i < sizeof noise; i++) {
      seed = seed * 1664525u + 1013904223u;
      noise[i] = (char)(seed >> 24);
    }
    enum tly_status ignored = tly_client_send(client, noise, sizeof noise, &error);
    (void)ignored;
    tly_client_close(client);
  }
  check_result("SELECT 2", "[[2]]");
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

static void runs_views_and_status_have_their_documented_members(void **state) {
  (void)state;
  json_t *reply = ask("{\"id\":1,\"method\":\"views\"}");
  assert_string_equal(text_at(reply, "result.views.0.view"), "totals");
  assert_string_equal(text_at(reply, "result.views.0.stream"), "payments");
  assert_string_equal(text_at(reply, "result.views.0.state"), "ready");
  assert_int_equal(json_integer_value(at(reply, "result.views.0.run")), 1);
  assert_int_equal(json_integer_value(at(reply, "result.views.0.folded")), 7000);
  assert_true(json_integer_value(at(reply, "result.views.0.groups")) > 1000);
  json_decref(reply);
  reply = ask("{\"id\":1,\"method\":\"runs\",\"params\":{\"max\":3}}");
  assert_int_equal(json_integer_value(at(reply, "result.runs.0.run")), 1);
  assert_string_equal(text_at(reply, "result.runs.0.state"), "ready");
  assert_int_equal(json_integer_value(at(reply, "result.runs.0.events")), 4000);
  json_decref(reply);
  reply = ask("{\"id\":1,\"method\":\"status\"}");
  assert_string_equal(text_at(reply, "result.streams.0.stream"), "payments");
  assert_int_equal(json_integer_value(at(reply, "result.streams.0.archived")), 7000);
  assert_int_equal(json_integer_value(at(reply, "result.streams.0.lag")), 0);
  assert_string_equal(text_at(reply, "result.processes.3.process"), "serve");
  assert_true(json_is_true(at(reply, "result.processes.3.running")));
  assert_int_equal(json_integer_value(at(reply, "result.processes.3.pid")), server);
  assert_true(json_integer_value(at(reply, "result.sizes.0.bytes")) > 0);
  json_decref(reply);
  check_error("{\"id\":1,\"method\":\"runs\",\"params\":{\"max\":0}}", -32602, "22023");
}

/* ---- the documented examples ------------------------------------------------------------------------------------- */

/* The same members with values of the same JSON types, all the way down; null stands for any type, and of an array the
 * first element is compared. A member that is not documented is as wrong as one that is missing. */
static void check_shape(const char *file, const json_t *example, const json_t *actual) {
  const char *name;
  json_t *value;
  if (json_is_null(example) || json_is_null(actual))
    return;
  if (json_typeof(example) != json_typeof(actual) && !(json_is_boolean(example) && json_is_boolean(actual)))
    fail_msg("%s: %s is not like %s", file, json_dumps(actual, JSON_ENCODE_ANY), json_dumps(example, JSON_ENCODE_ANY));
  if (json_is_array(example) && json_array_size(example) > 0 && json_array_size(actual) > 0)
    check_shape(file, json_array_get(example, 0), json_array_get(actual, 0));
  if (!json_is_object(example))
    return;
  json_object_foreach((json_t *)(uintptr_t)example, name, value) {
    if (json_object_get(actual, name) == NULL)
      fail_msg("%s: %s is documented and missing in %s", file, name, json_dumps(actual, 0));
    check_shape(file, value, json_object_get(actual, name));
  }
  json_object_foreach((json_t *)(uintptr_t)actual, name, value) {
    if (json_object_get(example, name) == NULL)
      fail_msg("%s: %s is not documented: %s", file, name, json_dumps(actual, 0));
  }
}

static char *line_of(const json_t *sent) {
  return json_is_string(sent) ? strdup(json_string_value(sent)) : json_dumps(sent, JSON_COMPACT);
}

/* Ours: sent to the server. Code and SQLSTATE of errors are compared by value. */
static void check_served(const char *file, const json_t *example) {
  tly_client *client = client_open();
  for (size_t i = 0; i < json_array_size(at(example, "sends")); i++) {
    char *line = line_of(json_array_get(at(example, "sends"), i));
    client_send(client, line);
    client_send(client, "\n");
    free(line);
  }
  for (size_t i = 0; i < json_array_size(at(example, "replies")); i++) {
    const json_t *wanted = json_array_get(at(example, "replies"), i);
    json_t *reply = client_receive(client);
    check_shape(file, wanted, reply);
    if (at(wanted, "error") != NULL) {
      assert_int_equal(json_integer_value(at(reply, "error.code")), json_integer_value(at(wanted, "error.code")));
      assert_string_equal(text_at(reply, "error.data.sqlstate"), text_at(wanted, "error.data.sqlstate"));
    }
    json_decref(reply);
  }
  tly_client_close(client);
}

/* The other layers': at least a request that is one, and replies that end. */
static void check_parsed(const json_t *example) {
  for (size_t i = 0; i < json_array_size(at(example, "sends")); i++) {
    struct tly_error error = TLY_ERROR_NONE;
    struct tly_request request;
    int code;
    char *line = line_of(json_array_get(at(example, "sends"), i));
    assert_int_equal(tly_request_parse(line, strlen(line), &request, &code, &error), TLY_OK);
    tly_request_free(&request);
    free(line);
  }
  const json_t *replies = at(example, "replies");
  assert_non_null(at(json_array_get(replies, json_array_size(replies) - 1), "result"));
}

static void the_examples_of_the_protocol_are_true(void **state) {
  struct tly_error error = TLY_ERROR_NONE;
  char **names;
  size_t count;
  (void)state;
  assert_int_equal(tly_file_list("schemas/protocol", ".json", &names, &count, &error), TLY_OK);
  assert_true(count >= 13);
  for (size_t i = 0; i < count; i++) {
    char path[300];
    json_error_t json_error;
    snprintf(path, sizeof path, "schemas/protocol/%s", names[i]);
    json_t *example = json_load_file(path, JSON_REJECT_DUPLICATES, &json_error);
    if (example == NULL)
      fail_msg("%s:%d: %s", path, json_error.line, json_error.text);
    assert_true(json_array_size(at(example, "sends")) > 0 && strlen(text_at(example, "about")) > 0);
    if (strcmp(text_at(example, "by"), "serve") == 0)
      check_served(path, example);
    else
      check_parsed(example);
    json_decref(example);
  }
  tly_file_list_free(names, count);
}

/* ---- other layers ------------------------------------------------------------------------------------------------ */

static int listen_as(const char *name) {
  struct tly_error error = TLY_ERROR_NONE;
  char path[300];
  int fd;
  snprintf(path, sizeof path, "%s/%s", rig.directory, name);
  assert_int_equal(tly_socket_listen_unix(path, &fd, &error), TLY_OK);
  return fd;
}

static void stop_listening(int fd, const char *name) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", rig.directory, name);
  close(fd);
  unlink(path);
}

static int accept_one(int fd) {
  struct pollfd waiter = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&waiter, 1, TIMEOUT_MS), 1);
  int connection = accept(fd, NULL, NULL);
  assert_true(connection >= 0);
  return connection;
}

/* What is sent on `fd` up to a line end. */
static void read_line(int fd, char *out, size_t size) {
  size_t at_byte = 0;
  do {
    struct pollfd waiter = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&waiter, 1, TIMEOUT_MS), 1);
    assert_true(at_byte + 1 < size && read(fd, out + at_byte, 1) == 1);
  } while (out[at_byte++] != '\n');
  out[at_byte] = 0;
}

static void without_the_other_layers_their_requests_are_errors(void **state) {
  tly_client *client = client_open();
  (void)state;
  check_error("{\"id\":1,\"method\":\"recompute\"}", -32000, "08006");
  client_send(client, "{\"id\":8,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"bytes\":20}}\n");
  client_send(client, "{\"account\":\"A\"}\n\n\n\n\nSELECT 9\n");
  json_t *reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "id")), 8);
  assert_string_equal(text_at(reply, "error.data.sqlstate"), "08006");
  json_decref(reply);
  reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "result.rows.0.0")), 9);
  json_decref(reply);
  tly_client_close(client);
}

static void a_recompute_is_relayed_with_its_progress(void **state) {
  int listener = listen_as("batch.sock");
  tly_client *client = client_open();
  char line[500];
  (void)state;
  client_send(client, "{\"id\":3,\"method\":\"recompute\",\"params\":{\"views\":[\"totals\"]}}\nSELECT 5\n");
  int batch = accept_one(listener);
  read_line(batch, line, sizeof line);
  assert_string_equal(line, "{\"id\":3,\"method\":\"recompute\",\"params\":{\"views\":[\"totals\"]}}\n");
  static const char progress[] = "{\"id\":3,\"progress\":{\"done\":1}}\n",
                    result[] = "{\"id\":3,\"result\":{\"run\":2}}\n";
  assert_int_equal(write(batch, progress, strlen(progress)), (ssize_t)strlen(progress));
  json_t *reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "progress.done")), 1);
  json_decref(reply);
  assert_int_equal(write(batch, result, strlen(result)), (ssize_t)strlen(result));
  reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "result.run")), 2);
  json_decref(reply);
  reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "result.rows.0.0")), 5);
  json_decref(reply);
  close(batch);
  client_send(client, "{\"id\":4,\"method\":\"reconcile\"}\n");
  batch = accept_one(listener);
  close(batch); /* it dies */
  reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "id")), 4);
  assert_string_equal(text_at(reply, "error.data.sqlstate"), "08006");
  json_decref(reply);
  tly_client_close(client);
  stop_listening(listener, "batch.sock");
}

/* It is asked for at its socket; while nobody answers there, runs are still told. */
static void what_waits_is_told_by_the_batch_layer(void **state) {
  (void)state;
  json_t *reply = ask("{\"id\":1,\"method\":\"runs\"}");
  assert_true(json_is_null(at(reply, "result.queue")));
  assert_true(json_is_null(at(reply, "result.under_way")));
  assert_int_equal(json_integer_value(at(reply, "result.runs.0.run")), 1);
  json_decref(reply);
  int listener = listen_as("batch.sock");
  tly_client *client = client_open();
  char line[500];
  client_send(client, "{\"id\":3,\"method\":\"runs\"}\n");
  int batch = accept_one(listener);
  read_line(batch, line, sizeof line);
  assert_non_null(strstr(line, "\"method\":\"queue\""));
  static const char result[] = "{\"id\":1,\"result\":{\"under_way\":null,\"queue\":[{\"waits\":\"q1\"}]}}\n";
  assert_int_equal(write(batch, result, strlen(result)), (ssize_t)strlen(result));
  reply = client_receive(client);
  assert_string_equal(text_at(reply, "result.queue.0.waits"), "q1");
  assert_int_equal(json_integer_value(at(reply, "result.runs.0.run")), 1);
  json_decref(reply);
  client_send(client, "{\"id\":4,\"method\":\"runs\"}\n");
  close(accept_one(listener)); /* it dies */
  reply = client_receive(client);
  assert_true(json_is_null(at(reply, "result.queue")));
  json_decref(reply);
  close(batch);
  tly_client_close(client);
  stop_listening(listener, "batch.sock");
}

/* The connection goes to the archiver with the request line and what came after it, once all earlier replies are out;
 * it comes back with what the archiver had read of the next request. */
static void ingest_hands_the_connection_to_the_archiver_and_back(void **state) {
  static const char ingest[] = "{\"id\":2,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"events\":[]}}\n";
  static const char reply_text[] = "{\"id\":2,\"result\":{\"accepted\":0}}\n";
  int listener = listen_as("handoff.sock"), taken;
  tly_client *client = client_open();
  struct tly_buffer rest = {0};
  struct tly_error error = TLY_ERROR_NONE;
  (void)state;
  client_send(client, "SELECT 6\n");
  client_send(client, ingest);
  int channel = accept_one(listener);
  for (int round = 0; round < 3; round++) { /* the channel stays */
    struct pollfd waiter = {.fd = channel, .events = POLLIN};
    assert_int_equal(poll(&waiter, 1, TIMEOUT_MS), 1);
    assert_int_equal(tly_handoff_receive(channel, &taken, &rest, &error), TLY_OK);
    assert_int_equal(rest.size, strlen(ingest));
    assert_memory_equal(rest.data, ingest, rest.size);
    assert_int_equal(write(taken, reply_text, strlen(reply_text)), (ssize_t)strlen(reply_text));
    static const char next[] = "SELECT 7\n{\"id\":3,\"method\":\"nope\"}\n";
    assert_int_equal(tly_handoff_send(channel, taken, next, strlen(next), &error), TLY_OK);
    close(taken);
    if (round == 0)
      json_decref(client_receive(client)); /* SELECT 6 */
    json_t *reply = client_receive(client);
    assert_int_equal(json_integer_value(at(reply, "id")), 2);
    json_decref(reply);
    reply = client_receive(client);
    assert_int_equal(json_integer_value(at(reply, "result.rows.0.0")), 7);
    json_decref(reply);
    json_decref(client_receive(client));
    client_send(client, round < 2 ? ingest : "SELECT 8\n");
  }
  json_t *reply = client_receive(client);
  assert_int_equal(json_integer_value(at(reply, "result.rows.0.0")), 8);
  json_decref(reply);
  tly_client_close(client);
  close(channel);
  tly_buffer_free(&rest);
  stop_listening(listener, "handoff.sock");
}

static void wait_answers_when_what_was_acknowledged_is_folded(void **state) {
  static const char waiting[] =
      "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"SELECT sum(n) FROM totals\",\"wait\":true}}";
  tly_client *client = client_open();
  struct tly_error error;
  json_t *reply;
  (void)state;
  check_result(waiting, "[[\"7000\"]]");
  rig_ingest_payments(&rig, 0, 7000, 10, ACCOUNTS); /* acknowledged, not folded: the speed layer rests */
  client_send(client, waiting);
  client_send(client, "\n");
  assert_int_equal(tly_client_receive(client, 300, &reply, &error), TLY_E_CANCELLED); /* nothing yet */
  rig_settle(&rig);
  reply = client_receive(client);
  assert_string_equal(text_at(reply, "result.rows.0.0"), "7010");
  json_decref(reply);
  rig_ingest_payments(&rig, 0, 7010, 10, ACCOUNTS);
  check_error(waiting, -32000, "57014");
  rig_settle(&rig);
  check_result("SELECT sum(n) FROM totals", "[[\"7020\"]]");
  check_result(waiting, "[[\"7020\"]]");
  tly_client_close(client);
}

/* Queries go on while runs are published under them, and each sees one state: counts only grow, and fit the offsets. */
static void a_query_sees_one_state_while_runs_are_published(void **state) {
  int64_t last = 0;
  (void)state;
  for (int round = 0; round < 4; round++) {
    rig_ingest_payments(&rig, 0, 7020 + 100 * round, 100, ACCOUNTS);
    rig_cut_and_run(&rig, views);
    for (int step = 0; step < 8; step++) {
      bool did_work;
      struct tly_error error = TLY_ERROR_NONE;
      assert_int_equal(tly_speed_step(rig.speed, &did_work, &error), TLY_OK);
      json_t *reply = ask("SELECT (SELECT sum(n) FROM totals), (SELECT n FROM totals WHERE account = 'A-1')");
      int64_t count = atoll(text_at(reply, "result.rows.0.0"));
      assert_int_equal(count, json_integer_value(at(reply, "result.as_of.live.payments.0")));
      assert_true(count >= last);
      last = count;
      json_decref(reply);
    }
  }
}

int main(int argument_count, char **arguments) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_answer_has_columns_rows_and_what_it_rests_on),
      cmocka_unit_test(a_line_without_a_brace_is_sql),
      cmocka_unit_test(a_point_query_answers_what_the_executor_answers),
      cmocka_unit_test(every_kind_of_view_and_key_is_answered_alike_both_ways),
      cmocka_unit_test(literals_are_answered_alike_whatever_was_asked_before),
      cmocka_unit_test(a_key_that_is_not_there_or_null_gives_no_row),
      cmocka_unit_test(pipelined_requests_are_answered_in_order),
      cmocka_unit_test(clients_that_come_together_are_each_answered_in_order),
      cmocka_unit_test(a_large_answer_comes_in_parts_of_the_same_id),
      cmocka_unit_test(a_client_that_ends_its_side_still_gets_its_replies),
      cmocka_unit_test(errors_carry_sqlstate_position_and_hint),
      cmocka_unit_test(requests_that_are_none_are_errors_and_the_connection_lives_on),
      cmocka_unit_test(a_line_of_two_mebibytes_is_refused_once_and_skipped),
      cmocka_unit_test(half_a_line_holds_nobody_up),
      cmocka_unit_test(deep_parentheses_are_an_error_not_a_crash),
      cmocka_unit_test(a_cross_join_is_refused_or_ends_at_its_deadline),
      cmocka_unit_test(clients_that_never_read_hold_nobody_up),
      cmocka_unit_test(the_connection_over_the_limit_is_told_and_closed),
      cmocka_unit_test(bytes_of_any_kind_do_no_harm),
      cmocka_unit_test(runs_views_and_status_have_their_documented_members),
      cmocka_unit_test(the_examples_of_the_protocol_are_true),
      cmocka_unit_test(without_the_other_layers_their_requests_are_errors),
      cmocka_unit_test(a_recompute_is_relayed_with_its_progress),
      cmocka_unit_test(what_waits_is_told_by_the_batch_layer),
      cmocka_unit_test(ingest_hands_the_connection_to_the_archiver_and_back),
      cmocka_unit_test(wait_answers_when_what_was_acknowledged_is_folded),
      cmocka_unit_test(a_query_sees_one_state_while_runs_are_published),
  };
  if (argument_count == 5 && strcmp(arguments[1], "serve") == 0)
    return serve(arguments);
  return cmocka_run_group_tests(tests, open_all, close_all);
}
