/* tests/batch_layer/test_archiver.c -- the archiver as a process, over its sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_layer/archiver.h"
#include "common/archive/archive_reader.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/wire/client.h"
#include "common/wire/socket.h"
#include "tests/support/archive_fixture.h"

struct process {
  struct archive_fixture fixture;
  char project[80], archiver[96], handoff[96];
  struct tly_settings settings;
  pid_t pid;
};

static void start(struct process *process) {
  int ready[2];
  char text[16], byte;
  assert_int_equal(pipe(ready), 0);
  process->pid = fork();
  assert_true(process->pid >= 0);
  if (process->pid == 0) {
    close(ready[0]);
    snprintf(text, sizeof text, "%d", ready[1]);
    setenv("TALLY_READY_FD", text, 1);
    _exit(tly_archiver_main(&process->settings));
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1); /* it answers, or it has ended */
  close(ready[0]);
}

static int stop(struct process *process, int signal_number) {
  int result;
  kill(process->pid, signal_number);
  assert_int_equal(waitpid(process->pid, &result, 0), process->pid);
  process->pid = 0;
  return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static int set_up(void **state) {
  struct process *process = calloc(1, sizeof *process);
  struct tly_error error = TLY_ERROR_NONE;
  archive_fixture_init(&process->fixture, archive_fixture_definition);
  snprintf(process->project, sizeof process->project, "%s/project", process->fixture.directory);
  snprintf(process->archiver, sizeof process->archiver, "%s/archiver.sock", process->fixture.directory);
  snprintf(process->handoff, sizeof process->handoff, "%s/handoff.sock", process->fixture.directory);
  process->settings = (struct tly_settings){.project = process->project,
                                            .directory = process->fixture.directory,
                                            .seal_bytes = INT64_C(1) << 40,
                                            .seal_age_s = 1000000};
  assert_int_equal(tly_file_make_folder(process->project, &error), TLY_OK);
  char file[96];
  snprintf(file, sizeof file, "%s/test.sql", process->project);
  assert_int_equal(tly_file_replace(file, archive_fixture_definition, strlen(archive_fixture_definition), &error),
                   TLY_OK);
  start(process);
  *state = process;
  return 0;
}

static int tear_down(void **state) {
  struct process *process = *state;
  if (process->pid != 0)
    stop(process, SIGKILL);
  archive_fixture_free(&process->fixture);
  free(process);
  return 0;
}

static tly_client *connect_to(struct process *process) {
  tly_client *client;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_client_connect(process->archiver, false, &client, &error) != TLY_OK)
    fail_msg("connect: %s", error.message);
  return client;
}

static void send_text(tly_client *client, const char *text) {
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_client_send(client, text, strlen(text), &error) != TLY_OK)
    fail_msg("send: %s", error.message);
}

static json_t *receive(tly_client *client) {
  json_t *reply;
  struct tly_error error = TLY_ERROR_NONE;
  if (tly_client_receive(client, 20000, &reply, &error) != TLY_OK)
    fail_msg("receive: %s", error.message);
  return reply;
}

static json_int_t number_at(const json_t *reply, const char *name) {
  return json_integer_value(json_object_get(json_object_get(reply, "result"), name));
}

static void expect_reply(tly_client *client, json_int_t id, json_int_t accepted, json_int_t rejected) {
  json_t *reply = receive(client);
  if (json_object_get(reply, "result") == NULL)
    fail_msg("%s", json_dumps(reply, 0));
  assert_int_equal(json_integer_value(json_object_get(reply, "id")), id);
  assert_int_equal(number_at(reply, "accepted"), accepted);
  assert_int_equal(number_at(reply, "rejected"), rejected);
  json_decref(reply);
}

static void expect_error(tly_client *client, const char *sqlstate) {
  json_t *reply = receive(client);
  json_t *data = json_object_get(json_object_get(reply, "error"), "data");
  assert_non_null(data);
  assert_string_equal(json_string_value(json_object_get(data, "sqlstate")), sqlstate);
  json_decref(reply);
}

/* A bulk request with the events first .. first + count - 1 and `bad` lines that are no events. */
static void send_bulk(struct process *process, tly_client *client, int id, uint64_t first, uint32_t count, int bad,
                      const char *more) {
  struct tly_buffer request = {0};
  archive_fixture_decode(&process->fixture, first, count);
  for (int i = 0; i < bad; i++)
    tly_buffer_append_text(&process->fixture.lines, "{\"amount\":\n");
  tly_buffer_print(&request, "{\"id\":%d,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"bytes\":%zu%s}}\n",
                   id, process->fixture.lines.size, more);
  tly_buffer_append(&request, process->fixture.lines.data, process->fixture.lines.size);
  send_text(client, tly_buffer_text(&request));
  tly_buffer_free(&request);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void what_was_acknowledged_is_there_after_a_kill(void **state) {
  struct process *process = *state;
  tly_client *client = connect_to(process);
  for (int i = 0; i < 20; i++)
    send_bulk(process, client, i, (uint64_t)i * 100, 100, i % 2, ""); /* pipelined */
  for (int i = 0; i < 20; i++)
    expect_reply(client, i, 100, i % 2);
  stop(process, SIGKILL);
  tly_client_close(client);
  start(process);
  client = connect_to(process);
  send_bulk(process, client, 21, 2000, 10, 0, "");
  expect_reply(client, 21, 10, 0);
  tly_client_close(client);
  assert_int_equal(stop(process, SIGTERM), 0);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), 2010);
  assert_int_equal(archive_fixture_verify(&process->fixture), 0);
}

static void events_in_the_request_line_keep_their_bytes(void **state) {
  struct process *process = *state;
  struct tly_buffer line = {0}, event = {0};
  tly_client *client = connect_to(process);
  for (uint64_t i = 0; i < 40; i++) {
    archive_fixture_event(i, &event);
    tly_buffer_clear(&line);
    tly_buffer_print(&line,
                     "{\"id\":%d,\"method\":\"ingest\",\"params\":{\"events\": [ %s ] ,\"stream\":\"payments\"}}\n",
                     (int)i, tly_buffer_text(&event));
    send_text(client, tly_buffer_text(&line));
  }
  for (int i = 0; i < 40; i++)
    expect_reply(client, i, 1, 0);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), 40);
  tly_buffer_free(&line);
  tly_buffer_free(&event);
  tly_client_close(client);
}

static void wrong_requests_are_answered_and_the_connection_lives_on(void **state) {
  struct process *process = *state;
  tly_client *client = connect_to(process);
  send_text(client, "{\"id\":1,\"method\":\"ingest\",\"params\":{\"stream\":\"nothing\",\"bytes\":3}}\n{}\n");
  expect_error(client, "42P01");
  send_text(client, "{\"id\":2,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\"}}\n");
  expect_error(client, "22023");
  send_text(client, "{\"id\":3,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"events\":[{},]}}\n");
  expect_error(client, "22032");
  send_text(
      client,
      "{\"id\":4,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"events\":[{}],\"format\":\"xml\"}}\n");
  expect_error(client, "22023");
  send_text(client, "{\"id\":5,\"method\":\"nothing\"}\n{\"broken\n");
  expect_error(client, "08P01");
  expect_error(client, "22032");
  send_text(client, "{\"id\":6,\"method\":\"cut\",\"params\":{\"views\":[\"nothing\"]}}\n");
  expect_error(client, "42P01");
  send_bulk(process, client, 7, 0, 5, 12, "");
  json_t *reply = receive(client);
  assert_int_equal(number_at(reply, "rejected"), 12);
  assert_int_equal(json_array_size(json_object_get(json_object_get(reply, "result"), "errors")), 10);
  json_decref(reply);
  send_text(client, "{\"id\":8,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"bytes\":999999999}}\n");
  expect_error(client, "54000"); /* and closes: where the next request begins is not known */
  tly_client_close(client);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), 5);
}

static void a_producer_that_repeats_itself_is_answered_again_and_stored_once(void **state) {
  struct process *process = *state;
  tly_client *client = connect_to(process);
  send_bulk(process, client, 1, 0, 10, 2, ",\"producer\":\"till-7\",\"sequence\":1");
  send_bulk(process, client, 2, 10, 10, 0, ",\"producer\":\"till-7\",\"sequence\":2");
  send_bulk(process, client, 3, 0, 10, 2, ",\"producer\":\"till-7\",\"sequence\":1");
  send_bulk(process, client, 4, 50, 10, 0, ",\"producer\":\"till-7\",\"sequence\":9");
  expect_reply(client, 1, 10, 2);
  expect_reply(client, 2, 10, 0);
  expect_reply(client, 3, 10, 2);
  expect_error(client, "22000");
  tly_client_close(client);
  stop(process, SIGKILL);
  start(process);
  client = connect_to(process);
  send_bulk(process, client, 5, 10, 10, 0, ",\"producer\":\"till-7\",\"sequence\":2");
  expect_reply(client, 5, 10, 0);
  tly_client_close(client);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), 20);
}

static void csv_comes_under_its_own_header(void **state) {
  struct process *process = *state;
  static const char first[] = "payment_id,amount,account\n\"a, b\",1.50,x\nc,bad,y\n";
  static const char second[] = "amount,payment_id\r\n2,\"line\nbreak\"\r\n";
  char request[256];
  tly_client *client = connect_to(process);
  snprintf(request, sizeof request,
           "{\"id\":1,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"format\":\"csv\",\"bytes\":%zu}}\n%s",
           strlen(first), first);
  send_text(client, request);
  snprintf(request, sizeof request,
           "{\"id\":2,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"format\":\"csv\",\"bytes\":%zu}}\n%s",
           strlen(second), second);
  send_text(client, request);
  expect_reply(client, 1, 1, 1);
  expect_reply(client, 2, 1, 0);
  send_text(client, "{\"id\":3,\"method\":\"seal\"}\n");
  json_decref(receive(client));
  tly_client_close(client);
  assert_int_equal(archive_fixture_verify(&process->fixture), 0);
  tly_archive_reader *reader;
  struct tly_arena arena;
  struct tly_block_ref *refs;
  struct tly_event_batch batch;
  struct tly_error error = TLY_ERROR_NONE;
  uint32_t count;
  tly_arena_init(&arena);
  tly_event_batch_init(&batch, process->fixture.stream);
  assert_int_equal(tly_archive_reader_open(process->fixture.directory, process->fixture.project, &reader, &error),
                   TLY_OK);
  assert_int_equal(
      tly_archive_reader_blocks(reader, process->fixture.stream, 0, 0, INT64_MAX, 9, &arena, &refs, &count, &error),
      TLY_OK);
  assert_int_equal(count, 2); /* two headers are never one block */
  assert_int_equal(tly_archive_reader_read(reader, process->fixture.stream, &refs[0], NULL, true, &batch, &error),
                   TLY_OK);
  assert_memory_equal(batch.raw[0].data, "\"a, b\",1.50,x", batch.raw[0].size);
  tly_archive_reader_close(reader);
  tly_event_batch_free(&batch);
  tly_arena_free(&arena);
}

static void a_handed_over_connection_comes_back_with_what_it_sent_next(void **state) {
  struct process *process = *state;
  int channel, pair[2], back;
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer rest = {0}, event = {0}, sent = {0};
  archive_fixture_event(0, &event);
  tly_buffer_print(&sent, "{\"id\":1,\"method\":\"ingest\",\"params\":{\"stream\":\"payments\",\"events\":[%s]}}\n",
                   tly_buffer_text(&event));
  assert_int_equal(tly_socket_connect_unix(process->handoff, &channel, &error), TLY_OK);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  assert_int_equal(tly_handoff_send(channel, pair[0], sent.data, sent.size, &error), TLY_OK);
  close(pair[0]);
  static const char next[] = "SELECT 1\n{\"id\":3,\"method\":\"status\"}\n{\"id\":4,";
  assert_int_equal(write(pair[1], next, strlen(next)), (ssize_t)strlen(next));
  assert_int_equal(tly_handoff_receive(channel, &back, &rest, &error), TLY_OK);
  assert_int_equal(rest.size, strlen(next));
  assert_memory_equal(rest.data, next, rest.size);
  char reply[256] = {0};
  assert_true(read(pair[1], reply, sizeof reply - 1) > 0); /* the reply was written before it came back */
  assert_non_null(strstr(reply, "\"accepted\":1"));
  close(back);
  close(pair[1]);
  close(channel);
  tly_buffer_free(&rest);
  tly_buffer_free(&event);
  tly_buffer_free(&sent);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), 1);
}

static void a_client_that_does_not_read_is_not_read_from_and_holds_nobody_up(void **state) {
  struct process *process = *state;
  static const char request[] = "{\"id\":1,\"method\":\"status\"}\n";
  int deaf;
  struct tly_error error = TLY_ERROR_NONE;
  assert_int_equal(tly_socket_connect_unix(process->archiver, &deaf, &error), TLY_OK);
  size_t sent = 0;
  int64_t deadline = tly_clock_monotonic_us(&tly_clock_real) + 3000000;
  for (int full = 0; full < 50 && tly_clock_monotonic_us(&tly_clock_real) < deadline;) {
    ssize_t count = send(deaf, request, strlen(request), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      sent += (size_t)count;
      full = 0;
    } else {
      full++;
      usleep(2000);
    }
  }
  assert_true(sent < 64u << 20); /* it stopped taking */
  tly_client *client = connect_to(process);
  send_bulk(process, client, 1, 0, 100, 0, "");
  expect_reply(client, 1, 100, 0);
  tly_client_close(client);
  close(deaf);
}

static void sealing_while_events_come_loses_none(void **state) {
  struct process *process = *state;
  tly_client *client = connect_to(process), *other = connect_to(process);
  int sent = 0;
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < 10; i++, sent++)
      send_bulk(process, client, sent, (uint64_t)sent * 50, 50, 0, "");
    send_text(other, round % 2 == 0 ? "{\"id\":1,\"method\":\"seal\"}\n" : "{\"id\":1,\"method\":\"cut\"}\n");
    for (int i = sent - 10; i < sent; i++)
      expect_reply(client, i, 50, 0);
    json_t *reply = receive(other);
    assert_non_null(json_object_get(reply, "result"));
    json_decref(reply);
  }
  tly_client_close(client);
  tly_client_close(other);
  assert_int_equal(stop(process, SIGTERM), 0);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), (uint64_t)sent * 50);
  assert_int_equal(archive_fixture_verify(&process->fixture), 0);
}

/* The number of the active file, once no sealing is under way. */
static json_int_t settled_segment(tly_client *client) {
  for (;;) {
    send_text(client, "{\"id\":1,\"method\":\"status\"}\n");
    json_t *reply = receive(client), *result = json_object_get(reply, "result");
    json_t *active = json_array_get(json_object_get(result, "active"), 0);
    json_int_t segment = json_integer_value(json_object_get(active, "segment"));
    bool is_sealing = json_is_true(json_object_get(result, "sealing"));
    json_decref(reply);
    if (!is_sealing)
      return segment;
  }
}

static void a_file_that_is_large_enough_is_sealed_by_itself(void **state) {
  struct process *process = *state;
  enum { BULKS = 30, EVENTS = 200 };
  assert_int_equal(stop(process, SIGTERM), 0);
  process->settings.seal_bytes = 300000;
  start(process);
  tly_client *client = connect_to(process);
  for (int i = 0; i < BULKS; i++) {
    send_bulk(process, client, i, (uint64_t)i * EVENTS, EVENTS, 0, "");
    expect_reply(client, i, EVENTS, 0);
  }
  assert_true(settled_segment(client) > 1);
  tly_client_close(client);
  assert_int_equal(stop(process, SIGTERM), 0);
  assert_int_equal(archive_fixture_check(&process->fixture, 0), BULKS * EVENTS);
  assert_int_equal(archive_fixture_verify(&process->fixture), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(what_was_acknowledged_is_there_after_a_kill),
      TEST(events_in_the_request_line_keep_their_bytes),
      TEST(wrong_requests_are_answered_and_the_connection_lives_on),
      TEST(a_producer_that_repeats_itself_is_answered_again_and_stored_once),
      TEST(csv_comes_under_its_own_header),
      TEST(a_handed_over_connection_comes_back_with_what_it_sent_next),
      TEST(a_client_that_does_not_read_is_not_read_from_and_holds_nobody_up),
      TEST(sealing_while_events_come_loses_none),
      TEST(a_file_that_is_large_enough_is_sealed_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
