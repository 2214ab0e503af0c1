/* A recompute takes what processor time nobody else wants. How that is said to the kernel matters, and not only for the
 * child. Linux shares a processor out among groups of processes first (those of a session, or a container), then within
 * each, and a group weighs on a processor what its runnable threads there are worth. Where only threads of nice 19 run,
 * the whole group weighs next to nothing; a moment later its live threads wake up and it weighs much. Threads of the
 * kernel, which are in no group, were seen to be runnable and to wait for more than 0.1 s at such a place (Linux 6.18).
 * It is they that end the writing of a file: the archiver's sync waited with them, for up to a second, and with the
 * archiver every live answer.
 *
 * So the child is a group of its own, of a small share, and the group of the live processes weighs what it did.
 * Where groups are made otherwise (a container), the child is one of many in ours; its priority is therefore low, but
 * not so low that our weight collapses. And it sleeps a little when others want its processor: give_way.h. */
#include "batch_layer/recompute_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

extern char **environ;

enum { ARGUMENT_COUNT = 6, READ_BYTES = 4096, SAID_BYTES_MAX = TLY_LINE_BYTES_MAX, LOW_PRIORITY = 10 };

/* Its status, as of waitpid. */
static int wait_for_end(struct tly_recompute_child *child) {
  int how = 0;
  while (waitpid(child->process, &how, 0) < 0 && errno == EINTR)
    continue;
  if (child->state == TLY_CHILD_WAITING)
    close(child->orders_fd);
  close(child->fd);
  tly_buffer_free(&child->said);
  memset(child, 0, sizeof *child);
  return how;
}

/* ---- its beginning ----------------------------------------------------------------------------------------------- */

/* A kernel without such groups has no such file; the priority is enough then. */
static void give_way(void) {
  static const char small_share[] = "10"; /* of the group, as LOW_PRIORITY is of a thread */
  setsid();
  int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t written = write(fd, small_share, sizeof small_share - 1);
    (void)written;
    close(fd);
  }
  setpriority(PRIO_PROCESS, 0, LOW_PRIORITY);
}

/* Between fork and exec only calls that are safe after a fork: the parent has one thread, but its locks may be any. */
static _Noreturn void become(const char *program, char **arguments, char **environment, int in, int out) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* at once, not only when it comes to its own set-up */
  give_way();
  if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
    _exit(127);
  execve(program, arguments, environment);
  _exit(127);
}

/* Our environment, with the number of threads that the settings give in place of its own. */
static char **child_environment(const struct tly_settings *settings, char *threads, size_t threads_size) {
  size_t count = 0, kept = 0;
  while (environ[count] != NULL)
    count++;
  char **environment = calloc(count + 2, sizeof(char *));
  TLY_ASSERT(environment != NULL);
  for (size_t i = 0; i < count; i++)
    if (strncmp(environ[i], "TALLY_RECOMPUTE_THREADS=", 24) != 0 && strncmp(environ[i], "TALLY_READY_FD=", 15) != 0)
      environment[kept++] = environ[i];
  snprintf(threads, threads_size, "TALLY_RECOMPUTE_THREADS=%d", settings->recompute_threads);
  environment[kept] = threads;
  return environment;
}

static pid_t spawn(const struct tly_settings *settings, int in, int out) {
  char threads[48];
  const char *arguments[ARGUMENT_COUNT] = {settings->program, "recompute-child", "--data", settings->directory,
                                           settings->project};
  char **environment = child_environment(settings, threads, sizeof threads);
  pid_t process = fork();
  if (process == 0)
    become(settings->program, (char **)(void *)arguments, environment, in, out);
  free(environment);
  return process;
}

enum tly_status tly_recompute_child_prepare(struct tly_recompute_child *child, const struct tly_settings *settings,
                                            struct tly_error *error) {
  int orders[2], words[2];
  TLY_ASSERT(child->state == TLY_CHILD_NONE);
  if (pipe2(orders, O_CLOEXEC) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make a pipe");
  if (pipe2(words, O_CLOEXEC) != 0) {
    close(orders[0]);
    close(orders[1]);
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make a pipe");
  }
  pid_t process = spawn(settings, orders[0], words[1]);
  enum tly_status status =
      process > 0 ? TLY_OK : TLY_FAIL_ERRNO(error, TLY_E_IO, "could not start a process to recompute in");
  close(orders[0]);
  close(words[1]);
  if (status != TLY_OK) {
    close(orders[1]);
    close(words[0]);
    return status;
  }
  TLY_ASSERT(fcntl(words[0], F_SETFL, O_NONBLOCK) == 0);
  *child = (struct tly_recompute_child){
      .state = TLY_CHILD_WAITING, .process = process, .orders_fd = orders[1], .fd = words[0]};
  return TLY_OK;
}

/* False: it did not take it, since it has ended. */
static bool give_run(struct tly_recompute_child *child, int64_t run) {
  char order[32];
  TLY_ASSERT(child->state == TLY_CHILD_WAITING);
  int size = snprintf(order, sizeof order, "%" PRId64 "\n", run);
  bool is_taken = write(child->orders_fd, order, (size_t)size) == size; /* into an empty pipe: never a part of it */
  close(child->orders_fd);
  child->state = TLY_CHILD_WORKING;
  return is_taken;
}

enum tly_status tly_recompute_child_start(struct tly_recompute_child *child, const struct tly_settings *settings,
                                          int64_t run, struct tly_error *error) {
  TLY_ASSERT(child->state != TLY_CHILD_WORKING);
  if (child->state == TLY_CHILD_WAITING && give_run(child, run))
    return TLY_OK;
  if (child->state != TLY_CHILD_NONE)
    wait_for_end(child);
  TLY_TRY(tly_recompute_child_prepare(child, settings, error));
  (void)give_run(child, run); /* why it has ended, if it has, will be its last word */
  return TLY_OK;
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

static enum tly_status status_of_sqlstate(const char *sqlstate) {
  for (int status = 1; status < TLY_STATUS_COUNT; status++)
    if (sqlstate != NULL && strcmp(tly_status_sqlstate((enum tly_status)status), sqlstate) == 0)
      return (enum tly_status)status;
  return TLY_E_INTERNAL;
}

static void take_line(struct tly_recompute_child *child, const char *line, size_t size,
                      void (*progress)(void *, const char *, int64_t, int64_t), void *context) {
  json_t *root = json_loadb(line, size, 0, NULL);
  const json_t *failure = json_object_get(root, "error");
  const char *stage = json_string_value(json_object_get(root, "stage"));
  const char *message = json_string_value(json_object_get(failure, "message"));
  if (stage != NULL) {
    progress(context, stage, json_integer_value(json_object_get(root, "done")),
             json_integer_value(json_object_get(root, "all")));
  } else if (message != NULL) {
    child->has_error = true;
    (void)TLY_FAIL(&child->error, status_of_sqlstate(json_string_value(json_object_get(failure, "sqlstate"))), "%s",
                   message);
  } else {
    child->has_manifest = tly_run_hash_parse(json_string_value(json_object_get(root, "manifest")), &child->manifest);
  }
  json_decref(root);
}

static void take_lines(struct tly_recompute_child *child, void (*progress)(void *, const char *, int64_t, int64_t),
                       void *context) {
  const uint8_t *end;
  while (child->said.size > 0 && (end = memchr(child->said.data, '\n', child->said.size)) != NULL) {
    size_t size = (size_t)(end - child->said.data);
    take_line(child, (const char *)child->said.data, size, progress, context);
    tly_buffer_consume(&child->said, size + 1);
  }
}

static enum tly_status last_word(const struct tly_recompute_child *child, struct tly_error *error) {
  if (child->has_manifest)
    return TLY_OK;
  if (error != NULL)
    *error = child->error;
  return child->error.status;
}

/* It has closed its end without a last word: tell how it ended. */
static enum tly_status conclude(struct tly_recompute_child *child, struct tly_error *error) {
  int how = wait_for_end(child);
  if (WIFSIGNALED(how))
    return TLY_FAIL(error, TLY_E_INTERNAL, "the recompute was ended by signal %d (%s)", WTERMSIG(how),
                    strsignal(WTERMSIG(how)));
  return TLY_FAIL(error, TLY_E_INTERNAL, "the recompute ended with status %d without a word", WEXITSTATUS(how));
}

enum tly_status tly_recompute_child_read(struct tly_recompute_child *child,
                                         void (*progress)(void *context, const char *stage, int64_t done, int64_t all),
                                         void *context, bool *ended, struct tly_error *error) {
  *ended = false;
  TLY_ASSERT(child->state == TLY_CHILD_WORKING);
  for (;;) {
    ssize_t count = read(child->fd, tly_buffer_reserve(&child->said, READ_BYTES), READ_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return TLY_OK;
    if (count <= 0)
      break;
    child->said.size += (size_t)count;
    take_lines(child, progress, context);
    if (child->has_manifest || child->has_error) {
      *ended = true;
      child->state = TLY_CHILD_LEAVING;
      return last_word(child, error);
    }
    if (child->said.size > SAID_BYTES_MAX)
      break; /* not a child of ours */
  }
  *ended = true;
  if (child->said.size > SAID_BYTES_MAX)
    kill(child->process, SIGKILL);
  return conclude(child, error);
}

/* ---- its end ----------------------------------------------------------------------------------------------------- */

bool tly_recompute_child_is_gone(struct tly_recompute_child *child, int *how) {
  char ignored[READ_BYTES]; /* one that waits may have said why it cannot */
  ssize_t count;
  TLY_ASSERT(child->state == TLY_CHILD_WAITING || child->state == TLY_CHILD_LEAVING);
  do
    count = read(child->fd, ignored, sizeof ignored);
  while (count > 0 || (count < 0 && errno == EINTR));
  if (count < 0)
    return false;
  int status = wait_for_end(child);
  if (how != NULL)
    *how = status;
  return true;
}

void tly_recompute_child_kill(struct tly_recompute_child *child) {
  if (child->state == TLY_CHILD_NONE)
    return;
  kill(child->process, SIGKILL);
  (void)wait_for_end(child);
}
