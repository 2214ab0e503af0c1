/* A crash point ends the process by SIGKILL at the place and the time the variable names, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/crash_point.h"

/* How many of three passes over two points a child with TALLY_CRASH_AT=`wanted` survives; 3: it ended by itself. */
static int passes_survived(const char *wanted) {
  int pipe_fds[2];
  char byte;
  int count = 0;
  assert_int_equal(pipe(pipe_fds), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    setenv("TALLY_CRASH_AT", wanted, 1);
    for (int pass = 0; pass < 3; pass++) {
      tly_crash_point("first.point");
      tly_crash_point("second.point");
      if (write(pipe_fds[1], "", 1) != 1)
        _exit(1);
    }
    _exit(0);
  }
  int result;
  close(pipe_fds[1]);
  assert_int_equal(waitpid(child, &result, 0), child);
  while (read(pipe_fds[0], &byte, 1) == 1)
    count++;
  close(pipe_fds[0]);
  assert_true(count == 3 ? WIFEXITED(result) : WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
  return count;
}

static void a_named_point_kills_at_its_first_hit(void **state) {
  (void)state;
  assert_int_equal(passes_survived("second.point"), 0);
}

static void a_number_waits_for_that_hit(void **state) {
  (void)state;
  assert_int_equal(passes_survived("first.point:3"), 2);
}

static void another_name_kills_nothing(void **state) {
  (void)state;
  assert_int_equal(passes_survived("first"), 3);
  assert_int_equal(passes_survived("first.point.more"), 3);
  assert_int_equal(passes_survived(""), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_named_point_kills_at_its_first_hit),
      cmocka_unit_test(a_number_waits_for_that_hit),
      cmocka_unit_test(another_name_kills_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
