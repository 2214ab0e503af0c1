#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/log.h"

/* A pipe that the signal handler writes to: readable for ever after the first stop, so any number of loops can wait on
 * it. */
static int stop_pipe[2] = {-1, -1};
static volatile sig_atomic_t stop_count;

static void on_stop_signal(int number) {
  int saved = errno;
  (void)number;
  stop_count = stop_count + 1;
  if (stop_count > 1)
    _exit(1);
  ssize_t written = write(stop_pipe[1], "", 1);
  (void)written; /* the pipe is empty before the first signal, so a byte always fits */
  errno = saved;
}

/* A process whose parent is gone already has become a child of process 1, which may be our supervisor itself, in a
 * container: the two are told apart by what they run. */
static bool is_orphan(pid_t parent) {
  char ours[4096], theirs[4096];
  if (parent != 1)
    return false;
  ssize_t our_size = readlink("/proc/self/exe", ours, sizeof ours);
  ssize_t their_size = readlink("/proc/1/exe", theirs, sizeof theirs);
  return our_size <= 0 || our_size != their_size || memcmp(ours, theirs, (size_t)our_size) != 0;
}

static void die_with_parent(void) {
  pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (is_orphan(parent) || getppid() != parent)
    _exit(1); /* the parent died before the request took effect */
}

void tly_process_setup(const char *name, bool with_parent) {
  tly_log_setup(name, TLY_LOG_INFO);
  TLY_ASSERT(stop_pipe[0] == -1);
  TLY_ASSERT(pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
  struct sigaction action = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  if (with_parent)
    die_with_parent();
}

int tly_process_stop_fd(void) {
  return stop_pipe[0];
}

bool tly_process_is_stopping(void) {
  return stop_count > 0;
}

void tly_process_stop(void) {
  if (stop_count == 0)
    on_stop_signal(SIGTERM);
}

enum tly_status tly_process_lock(const char *directory, const char *name, struct tly_error *error) {
  char path[4096];
  int fd; /* never closed: the lock lives as long as the process */
  if (snprintf(path, sizeof path, "%s/lock.%s", directory, name) >= (int)sizeof path)
    return TLY_FAIL(error, TLY_E_CONFIG, "data folder name is too long: %s", directory);
  enum tly_status status = tly_file_lock(path, true, &fd, error);
  if (status == TLY_E_IN_USE)
    return TLY_FAIL(error, TLY_E_IN_USE, "data folder %s is in use by another tally %s process", directory, name);
  return status;
}

void tly_process_ready(void) {
  const char *text = getenv("TALLY_READY_FD");
  if (text == NULL)
    return;
  int fd = atoi(text);
  if (fd > 2 && write(fd, "ready\n", 6) == 6)
    close(fd);
  unsetenv("TALLY_READY_FD");
}
