/* Unix sockets, and connections that change hands with the bytes that were read already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/wire/client.h"
#include "common/wire/socket.h"

static char folder[256];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tally-socket-XXXXXX");
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  return tly_file_remove_tree(folder, NULL) != TLY_OK;
}

static void a_path_too_long_for_sun_path_is_reached_all_the_same(void **state) {
  (void)state;
  char path[800];
  int listener, fd;
  struct stat info;
  struct tly_error error = TLY_ERROR_NONE;
  snprintf(path, sizeof path, "%s/%0150d", folder, 7);
  assert_int_equal(tly_file_make_folder(path, &error), TLY_OK);
  strcat(path, "/tally.sock");
  assert_int_equal(tly_socket_listen_unix(path, &listener, &error), TLY_OK);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0660);
  assert_int_equal(tly_socket_connect_unix(path, &fd, &error), TLY_OK);
  close(fd);
  close(listener);
}

static void a_live_socket_is_in_use_and_a_stale_one_is_replaced(void **state) {
  (void)state;
  char path[300];
  int listener, second;
  struct tly_error error = TLY_ERROR_NONE;
  snprintf(path, sizeof path, "%s/a.sock", folder);
  assert_int_equal(tly_socket_listen_unix(path, &listener, &error), TLY_OK);
  assert_int_equal(tly_socket_listen_unix(path, &second, &error), TLY_E_IN_USE);
  close(listener); /* the name stays, as after a kill */
  assert_int_equal(tly_socket_listen_unix(path, &second, &error), TLY_OK);
  close(second);
  assert_int_equal(tly_socket_connect_unix(path, &listener, &error), TLY_E_CONNECTION);
}

static void a_file_that_is_no_socket_is_left_untouched(void **state) {
  (void)state;
  char path[300];
  int listener;
  struct tly_error error = TLY_ERROR_NONE;
  snprintf(path, sizeof path, "%s/precious", folder);
  assert_int_equal(tly_file_replace(path, "data", 4, &error), TLY_OK);
  assert_int_equal(tly_socket_listen_unix(path, &listener, &error), TLY_E_CONFIG);
  assert_int_equal(tly_file_size(path), 4);
}

static void a_connection_changes_hands_with_its_unread_bytes(void **state) {
  (void)state;
  int channel[2], client[2], taken;
  struct tly_buffer rest = {0};
  struct tly_error error = TLY_ERROR_NONE;
  char byte;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
  for (int round = 0; round < 3; round++) { /* messages that follow each other closely do not mix */
    assert_int_equal(tly_handoff_send(channel[0], client[0], "unread", 6, &error), TLY_OK);
    assert_int_equal(tly_handoff_send(channel[0], client[0], "", 0, &error), TLY_OK);
  }
  for (int round = 0; round < 6; round++) {
    assert_int_equal(tly_handoff_receive(channel[1], &taken, &rest, &error), TLY_OK);
    assert_int_equal(rest.size, round % 2 == 0 ? 6 : 0);
    assert_int_equal(write(taken, "!", 1), 1);
    assert_int_equal(read(client[1], &byte, 1), 1);
    close(taken);
  }
  close(channel[0]);
  assert_int_equal(tly_handoff_receive(channel[1], &taken, &rest, &error), TLY_E_CONNECTION);
  assert_int_equal(taken, -1);
  close(channel[1]);
  close(client[0]);
  close(client[1]);
  tly_buffer_free(&rest);
}

static void a_tcp_listener_tells_the_port_it_was_given(void **state) {
  (void)state;
  struct tly_buffer bound = {0};
  struct tly_error error = TLY_ERROR_NONE;
  tly_client *client;
  int listener;
  assert_int_equal(tly_socket_listen_tcp("localhost:0", &listener, &bound, &error), TLY_OK);
  assert_int_equal(tly_client_connect(tly_buffer_text(&bound), true, &client, &error), TLY_OK);
  int other = -1;
  assert_int_equal(tly_socket_listen_tcp(tly_buffer_text(&bound), &other, NULL, &error), TLY_E_IN_USE);
  assert_int_equal(tly_socket_listen_tcp("nowhere", &other, NULL, &error), TLY_E_CONFIG);
  assert_int_equal(tly_socket_listen_tcp("example.com:80", &other, NULL, &error), TLY_E_CONFIG);
  tly_client_close(client);
  close(listener);
  tly_buffer_free(&bound);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_path_too_long_for_sun_path_is_reached_all_the_same),
      cmocka_unit_test(a_live_socket_is_in_use_and_a_stale_one_is_replaced),
      cmocka_unit_test(a_file_that_is_no_socket_is_left_untouched),
      cmocka_unit_test(a_connection_changes_hands_with_its_unread_bytes),
      cmocka_unit_test(a_tcp_listener_tells_the_port_it_was_given),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
